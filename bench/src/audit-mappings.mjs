// What it costs to say an event in another schema, as text; shown, without an aim.
import { performance } from 'node:perf_hooks'
import { toCloudEvent, toCsvRow, toEcs, toOcsf, toOtelLogRecord, toOtlpJson } from '@behalf/core/mappings'
import { exposedFullGc } from './gc.mjs'
import { inRounds, median } from './rounds.mjs'
import { printTable, progress, whole } from './table.mjs'

const FULL = { events: 5000, rounds: 5 }
const QUICK = { events: 1000, rounds: 3 }

const SOURCE = 'https://api.bench.example'

/** Where a format takes many events in one text. */
const TOGETHER = 100

/** @type {readonly { name: string, characters: (events: readonly object[]) => number }[]} */
const MAPPINGS = [
  { name: 'native', characters: eachAs((event) => JSON.stringify(event)) },
  { name: 'toOcsf', characters: eachAs((event) => JSON.stringify(toOcsf(event))) },
  { name: 'toEcs', characters: eachAs((event) => JSON.stringify(toEcs(event))) },
  { name: 'toCloudEvent', characters: eachAs((event) => JSON.stringify(toCloudEvent(event, { source: SOURCE }))) },
  { name: 'toOtelLogRecord', characters: eachAs((event) => JSON.stringify(toOtelLogRecord(event))) },
  { name: `toOtlpJson, ${TOGETHER} together`, characters: togetherAs((events) => JSON.stringify(toOtlpJson(events))) },
  { name: 'toCsvRow', characters: eachAs(toCsvRow) },
]

function eachAs(text) {
  return (events) => events.reduce((sum, event) => sum + text(event).length, 0)
}

function togetherAs(text) {
  return (events) => {
    let sum = 0
    for (let from = 0; from < events.length; from += TOGETHER) sum += text(events.slice(from, from + TOGETHER)).length
    return sum
  }
}

export async function measureMappings({ source, quick }) {
  const { events: count, rounds } = quick ? QUICK : FULL
  const collect = exposedFullGc()
  const samples = await inRounds({
    subjects: MAPPINGS,
    rounds,
    warmUpRounds: 1,
    progress: (text) => progress(`audit, mappings: ${text}`),
    async measure({ characters }) {
      const events = await source.take(count)
      collect()
      const start = performance.now()
      const total = characters(events)
      return { perSecond: (events.length * 1000) / (performance.now() - start), characters: total / events.length }
    },
  })
  const rows = [...samples].map(([{ name }, windows]) => ({
    name,
    perSecond: median(windows.map(({ perSecond }) => perSecond)),
    characters: median(windows.map(({ characters }) => characters)),
  }))
  printTable(
    'Events a second in other schemas, as JSON text (CSV: a row), on one thread',
    ['', 'events/s', 'characters each'],
    rows.map((row) => [row.name, whole(row.perSecond), whole(row.characters)]),
  )
  return { rows }
}
