/** Opens a journal, says its process id, and goes on until it is killed. Imports the built package. Arguments: directory, origin. */
import { journalSink } from '@behalf/journal'

const [directory, origin] = process.argv.slice(2)
const sink = journalSink({ directory, origin, signingKey: null, reserveBytes: 16_384 })
await sink.ready()
process.stdout.write(String(process.pid))
setInterval(() => {}, 60_000)
