/** Opens a journal in the directory of its argument, says its process id, and goes on until it is killed. Imports the built package. */
import { journalSink } from '@behalf/journal'

const sink = journalSink({ directory: process.argv[2], signingKey: null, reserveBytes: 16_384 })
await sink.ready()
process.stdout.write(String(process.pid))
setInterval(() => {}, 60_000)
