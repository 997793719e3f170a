/**
 * The power goes at any moment: what a completed sync covers is on the disk, and of the rest any part, or zeros, or another file's
 * old bytes. What was accepted must be there when the machine is back, and the journal must go on from it.
 */
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { AuditEvent } from '@behalf/core'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { verifyJournal } from '../src/verify/verify-journal.js'
import { FaultDisk, type FileImage } from './support/fault-disk.js'
import { bodiesOf, decision, eventsOf, newDirectory, newJournal, outcomeOf, refusal, VERIFIER_KEY } from './support/journals.js'
import { holdTimers, pass, watch } from './support/paces.js'
import { seededRandom } from './support/seeded-random.js'

const CASES = Number(process.env['BEHALF_POWER_CUTS'] ?? 1_000)
const CUTS_PER_RUN = 25

beforeEach(() => {
  holdTimers()
  vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
})
afterEach(() => vi.useRealTimers())

/** The disk and what had been accepted at one moment. */
interface Moment {
  readonly images: ReadonlyMap<string, FileImage>
  readonly accepted: readonly AuditEvent[]
}

/** A writer with many events, some faults, small segments; what it had on disk before and after each of its operations. */
async function liveThrough(random: () => number): Promise<Moment[]> {
  const disk = new FaultDisk()
  const accepted: AuditEvent[] = []
  const moments: Moment[] = []
  const look = () => void moments.push({ images: new Map(disk.images), accepted: [...accepted] })
  disk.before = look
  const directory = newDirectory()
  const sink = newJournal(directory, { createFile: disk.createFile, maxSegmentBytes: 8_192 + Math.floor(random() * 30_000) })
  await sink.ready()
  for (let turn = 0; turn < 12; turn++) {
    disk.fault = random() < 0.15 ? (operation) => (operation === 'sync' ? 'EIO' : null) : null
    for (let count = Math.floor(random() * 8); count >= 0; count--) write(random())
    await pass(random() < 0.2 ? 1_000 : 20)
  }
  disk.heal()
  await pass(1_500)
  await sink.close()
  look()
  return moments

  function write(chance: number): void {
    if (chance < 0.2) watch(() => sink.write(refusal({ rule: 'x'.repeat(Math.floor(random() * 2_000)) })))
    else if (chance < 0.5 && accepted.length > 0) {
      const of = accepted[Math.floor(random() * accepted.length)] as AuditEvent
      if (!answered.has(of.requestId)) {
        answered.add(of.requestId)
        watch(() => sink.write(outcomeOf(of)))
      }
    } else {
      const event = decision()
      watch(async () => {
        await sink.write(event)
        accepted.push(event)
      })
    }
  }
}
const answered = new Set<string>()

/** What a disk may hold after the cut. A file of which nothing was synced may be missing as a whole. */
function afterTheCut(directory: string, { images }: Moment, random: () => number): void {
  for (const [name, { written, synced }] of images) {
    const unsynced = written.length - synced
    if (synced === 0 && random() < 0.3) continue
    const kept = Buffer.from(written.subarray(0, synced + Math.floor(random() * (unsynced + 1))))
    const fate = random()
    if (fate < 0.25) kept.fill(0, synced + Math.floor(random() * (kept.length - synced)))
    else if (fate < 0.4) for (let at = synced; at < kept.length; at++) if (random() < 0.02) kept[at] = Math.floor(random() * 256)
    const zeros = unsynced > 0 && random() < 0.2 ? Buffer.alloc(Math.floor(random() * 5_000)) : Buffer.alloc(0)
    writeFileSync(join(directory, name), Buffer.concat([kept, zeros]), {
      mode: 0o600,
    })
  }
}

test(`${CASES} power cuts: nothing accepted is lost, and every start is clean`, async () => {
  let cuts = 0
  let torn = 0
  for (let seed = 1; cuts < CASES; seed++) {
    const random = seededRandom(seed)
    const moments = await liveThrough(random)
    for (let count = 0; count < CUTS_PER_RUN && cuts < CASES; count++, cuts++) {
      const moment = moments[Math.floor(random() * moments.length)] as Moment
      const directory = join(newDirectory(), 'journal')
      mkdirSync(directory, { mode: 0o700 })
      afterTheCut(directory, moment, random)
      const sink = newJournal(directory)
      await sink.ready()
      await sink.close()
      const report = await verifyJournal(directory, { key: VERIFIER_KEY })
      const where = `seed ${seed}, cut ${count}: ${outlineOf(directory)}`
      expect([where, report.findings.filter(({ severity }) => severity !== 'note')]).toEqual([where, []])
      expect([where, report.verdict]).toEqual([where, 'good'])
      const events = eventsOf(directory)
      const ids = new Set(events.map(({ id }) => id))
      expect([where, moment.accepted.filter(({ id }) => !ids.has(id))]).toEqual([where, []])
      expectOneOutcomeEach(where, events)
      if (bodiesOf<{ cut: object | null }>(directory, 'recovery').some(({ cut }) => cut !== null)) torn++
      rmSync(directory, { recursive: true })
    }
  }
  expect(torn).toBeGreaterThan(CASES / 10) // the cuts do cut
})

/** What stands in each segment, for whoever looks for a mistake: the moments of a disk are not the same in every run. */
function outlineOf(directory: string): string {
  const kinds = (line: string) =>
    /"(checkpoint|event|gap|recovery|refusals|retention|segment|end|failure)":/.exec(line)?.[1] ?? '?'
  const segments = readdirSync(directory).filter((name) => name.startsWith('journal-'))
  return segments
    .sort()
    .map((name) => `${name}: ${readFileSync(join(directory, name), 'latin1').trimEnd().split('\n').map(kinds).join(' ')}`)
    .join('; ')
}

function expectOneOutcomeEach(where: string, events: readonly AuditEvent[]): void {
  const outcomes = new Map<string, number>()
  for (const { type, requestId } of events)
    if (type === 'access.outcome') outcomes.set(requestId, (outcomes.get(requestId) ?? 0) + 1)
  const admitted = events.filter(({ type, decision: word }) => type === 'access.decision' && word !== 'refuse')
  expect([where, admitted.filter(({ requestId }) => outcomes.get(requestId) !== 1)]).toEqual([where, []])
}

test('the model cuts files that are really written', async () => {
  const directory = newDirectory()
  const disk = new FaultDisk()
  const sink = newJournal(directory, { createFile: disk.createFile })
  await sink.write(decision())
  await sink.close()
  for (const [name, { written, synced }] of disk.images) {
    if (!readdirSync(directory).includes(name)) continue
    expect([name, statSync(join(directory, name)).size]).toEqual([name, written.length])
    expect(synced).toBe(written.length)
  }
})
