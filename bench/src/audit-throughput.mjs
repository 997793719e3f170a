// How many events a second come to disk, and what one costs, beside a bare group commit into the same directory.
import { readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { performance } from 'node:perf_hooks'
import { pinoSink } from '@behalf/pino'
import pino from 'pino'
import { createGroupCommit } from './audit-floor.mjs'
import { openJournal, PATIENT, verifyWithKey } from './audit-journal.mjs'
import { recentEventsSink } from './exchange.mjs'
import { exposedFullGc } from './gc.mjs'
import { inRounds, median, medianOfPairs } from './rounds.mjs'
import { fixed, printTable, progress, whole } from './table.mjs'

const FLOOR = 'bare group commit'
const JOURNAL = 'journal'

/** What a sink is made of, in a directory of its own. `waits`: a write is settled when its event is on disk. */
const SINKS = [
  { name: FLOOR, waits: true, create: (directory) => createGroupCommit(`${directory}.jsonl`) },
  { name: JOURNAL, waits: true, create: (directory) => openJournal(directory, PATIENT) },
  { name: 'memory', waits: false, create: async () => recentEventsSink() },
  {
    name: 'pino, file, nothing synced',
    waits: false,
    create: async (directory) => pinoSink(pino(pino.destination({ dest: `${directory}.log`, sync: false }))),
  },
]

const FULL = { rounds: 7, events: 20_000, lanes: [512, 2000] }
const QUICK = { rounds: 2, events: 5000, lanes: [512, 2000] }

/** @param {{ source: object, folder: string, quick: boolean }} options `folder`: on the disk that is measured */
export async function measureThroughput({ source, folder, quick }) {
  const { rounds, events: count, lanes } = quick ? QUICK : FULL
  const collect = exposedFullGc()
  const subjects = lanes.flatMap((each) =>
    SINKS.filter(({ waits }) => waits || each === lanes[0]).map((sink) => ({ sink, lanes: each })),
  )
  let opened = 0
  const samples = await inRounds({
    subjects,
    rounds,
    warmUpRounds: 1,
    progress: (text) => progress(`audit, events a second: ${text}`),
    async measure({ sink, lanes: atOnce }, round) {
      const events = await source.take(count)
      const directory = join(folder, `throughput-${opened++}`)
      const made = await sink.create(directory)
      collect()
      let sample
      try {
        sample = await (sink.waits ? closedLoop : straightOn)(made, events, atOnce)
      } finally {
        await made.close?.()
      }
      if (sink.name === JOURNAL && round < 0) await checkThatItIsAJournal(directory, events.length)
      for (const path of [directory, `${directory}.jsonl`, `${directory}.log`]) rmSync(path, { recursive: true, force: true })
      return sample
    },
  })
  const rows = summarize(samples)
  const bytes = await meanBytes(source)
  print(rows, bytes)
  return { rounds, events: count, bytesEach: bytes, rows }
}

/** So many events wait for the disk at any time; the next one is written when one of them is there. */
function closedLoop(sink, events, lanes) {
  let next = 0
  const lane = async () => {
    while (next < events.length) await sink.write(events[next++])
  }
  return timed(events.length, () => Promise.all(Array.from({ length: lanes }, lane)))
}

/** Sinks that accept in memory; what they have taken is with the system, if with anybody, when the clock stops. */
function straightOn(sink, events, atOnce) {
  return timed(events.length, async () => {
    for (let from = 0; from < events.length; from += atOnce) {
      for (const event of events.slice(from, from + atOnce)) sink.write(event)
      await new Promise((resolve) => setImmediate(resolve))
    }
    await sink.flush?.()
  })
}

async function timed(count, act) {
  const cpu = process.cpuUsage()
  const thread = mainThreadMicroseconds()
  const start = performance.now()
  await act()
  const milliseconds = performance.now() - start
  const { user, system } = process.cpuUsage(cpu)
  return {
    perSecond: (count * 1000) / milliseconds,
    mainMicroseconds: thread === null ? null : (mainThreadMicroseconds() - thread) / count,
    cpuMicroseconds: (user + system) / count,
  }
}

/** CPU time of this thread as Linux tells it; `null` elsewhere. */
function mainThreadMicroseconds() {
  try {
    return Number(readFileSync('/proc/thread-self/schedstat', 'latin1').split(' ')[0]) / 1000
  } catch {
    return null
  }
}

/** A benchmark of a journal that keeps no journal is worthless. */
async function checkThatItIsAJournal(directory, events) {
  const { verdict, records, findings } = await verifyWithKey(directory)
  if (verdict !== 'good' || records < events)
    throw new Error(`the journal of ${events} events is ${verdict}: ${findings[0]?.code ?? `${records} records`}`)
}

async function meanBytes(source) {
  const events = await source.take(1000)
  return events.reduce((sum, event) => sum + Buffer.byteLength(JSON.stringify(event)), 0) / events.length
}

function summarize(samples) {
  const floors = new Map([...samples].filter(([{ sink }]) => sink.name === FLOOR).map(([{ lanes }, windows]) => [lanes, windows]))
  return [...samples].map(([{ sink, lanes }, windows]) => {
    const of = (figure) => (windows[0][figure] === null ? null : median(windows.map((window) => window[figure])))
    return {
      name: sink.name,
      lanes: sink.waits ? lanes : null,
      perSecond: of('perSecond'),
      ratio: medianOfPairs(floors.get(lanes), windows, (floor, own) => own.perSecond / floor.perSecond),
      mainMicroseconds: of('mainMicroseconds'),
      cpuMicroseconds: of('cpuMicroseconds'),
      windows,
    }
  })
}

function print(rows, bytes) {
  printTable(
    `Events to disk, ${whole(bytes)} bytes of JSON each; ratio to the bare group commit of the same round`,
    ['', 'in flight', 'events/s', 'ratio', 'main thread us', 'CPU us'],
    rows
      .toSorted((one, other) => (one.lanes ?? Infinity) - (other.lanes ?? Infinity) || other.perSecond - one.perSecond)
      .map((row) => [
        row.name,
        row.lanes === null ? null : whole(row.lanes),
        whole(row.perSecond),
        fixed(row.ratio),
        fixed(row.mainMicroseconds, 1),
        fixed(row.cpuMicroseconds, 1),
      ]),
  )
}
