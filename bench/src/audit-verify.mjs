// How fast a journal is verified, beside parsing and hashing the same bytes and nothing else.
import { join } from 'node:path'
import { performance } from 'node:perf_hooks'
import { parseAndHash } from './audit-floor.mjs'
import { openJournal, PATIENT, verifyWithKey } from './audit-journal.mjs'
import { exposedFullGc } from './gc.mjs'
import { inRounds, median, medianOfPairs } from './rounds.mjs'
import { fixed, printTable, progress, whole } from './table.mjs'

const FULL = { records: 200_000, rounds: 3 }
const QUICK = { records: 20_000, rounds: 2 }

/** Written at once and waited for; far below what a journal has room for. */
const BATCH = 2000

const FLOOR = 'JSON.parse + SHA-256 of each line'
const VERIFY = 'verifyJournal'

export async function measureVerify({ source, folder, quick }) {
  const { records, rounds } = quick ? QUICK : FULL
  const directory = join(folder, 'verify')
  await writeJournal(directory, source, records)
  const collect = exposedFullGc()
  let bytes = 0
  const subjects = [
    { name: FLOOR, run: async () => parseAndHash(directory) },
    {
      name: VERIFY,
      async run() {
        const report = await verifyWithKey(directory)
        if (report.verdict !== 'good') throw new Error(`the journal is ${report.verdict}: ${report.findings[0]?.code}`)
        bytes = report.bytes
        return report.records
      },
    },
  ]
  const samples = await inRounds({
    subjects,
    rounds,
    warmUpRounds: 1,
    progress: (text) => progress(`audit, verify: ${text}`),
    async measure({ run }) {
      collect()
      const start = performance.now()
      const read = await run()
      if (read < records) throw new Error(`audit: of ${records} records ${read} were read`)
      return (read * 1000) / (performance.now() - start)
    },
  })
  const [floor, verify] = subjects.map((subject) => samples.get(subject))
  const ratio = medianOfPairs(floor, verify, (one, other) => other / one)
  const rows = [
    { name: FLOOR, perSecond: median(floor), ratio: 1, samples: floor },
    { name: VERIFY, perSecond: median(verify), ratio, samples: verify },
  ]
  printTable(
    `Verification of a signed journal of ${whole(records)} events, ${whole(bytes / 2 ** 20)} MiB`,
    ['', 'records/s', 'ratio'],
    rows.map((row) => [row.name, whole(row.perSecond), fixed(row.ratio)]),
  )
  return { records, bytes, rows, ratio }
}

async function writeJournal(directory, source, records) {
  const sink = await openJournal(directory, PATIENT)
  try {
    for (let written = 0; written < records; written += BATCH) {
      progress(`audit, verify: writing ${whole(written)} of ${whole(records)} events`)
      const events = await source.take(Math.min(BATCH, records - written))
      await Promise.all(events.map((event) => sink.write(event)))
    }
  } finally {
    await sink.close()
  }
}
