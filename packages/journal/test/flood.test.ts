/** Refused callers cost others nothing: not their place in the queue, not their answers. And each refusal is written or counted. */
import type { AuditEvent } from '@behalf/core'
import { testEvent } from '@behalf/testing'
import { afterAll, afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { verifyJournal } from '../src/verify/verify-journal.js'
import { type CreateFile, createSystemFile } from '../src/write/journal-file.js'
import type { JournalOptions } from '../src/write/journal-options.js'
import type { Gap } from '../src/write/losses.js'
import type { RefusalSummary } from '../src/write/refusal-limit.js'
import { agentToken, DOORS, ISSUER, startJournaledApi, strangerToken } from './support/e2e-api.js'
import { type LoadRequest, startLoad } from './support/e2e-load.js'
import { ALL_PAIRED, isAdmission, unpairedIn } from './support/e2e-pairs.js'
import { FaultDisk } from './support/fault-disk.js'
import { bodiesOf, decision, eventsOf, newDirectory, newJournal, refusal, VERIFIER_KEY } from './support/journals.js'

const SLOW_SYNC_MILLISECONDS = 25

const disks: FaultDisk[] = []
beforeEach(() => {
  vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
})
afterEach(() => {
  vi.restoreAllMocks()
  for (const disk of disks.splice(0)) {
    disk.heal() // what a test that failed has left stalled
  }
})
afterAll(() => ISSUER.close())

/** Files whose every sync takes its time. */
const createSlowFile: CreateFile = async (path) => {
  const file = await createSystemFile(path)
  return {
    ...file,
    async sync() {
      await new Promise((resolve) => setTimeout(resolve, SLOW_SYNC_MILLISECONDS))
      await file.sync()
    },
  }
}

/** A journal on a disk that a test can stall. */
function stallingJournal(options: Partial<JournalOptions>) {
  const directory = newDirectory()
  const disk = new FaultDisk()
  disks.push(disk)
  const sink = newJournal(directory, { createFile: disk.createFile, commitDeadlineMilliseconds: 30_000, ...options })
  return { directory, disk, sink }
}

describe.each(DOORS)('$name', (framework) => {
  test('one refused actor, as fast as it can: everybody else is served', async () => {
    const directory = newDirectory()
    const sink = newJournal(directory, {
      createFile: createSlowFile,
      commitDeadlineMilliseconds: 30_000,
      maxQueuedRecords: 100,
      refusalsPerSecond: 1_000,
    })
    const audit = { record: 'refusals', timeoutMilliseconds: 40_000 } as const
    const api = await startJournaledApi(framework, sink, { audit })
    await sink.ready()
    const stranger = strangerToken()
    const forged = `${stranger.slice(0, -20)}${'A'.repeat(20)}`
    const actors = Array.from({ length: 8 }, (_, index) => agentToken(`agent-${index}`))
    let floods = 0
    let calls = 0
    const flood = startLoad(api.port, 40, () => requestOf(`flood-${floods++}`, floods % 2 === 0 ? stranger : forged))
    await flood.until(200)
    const served = startLoad(api.port, 16, () => requestOf(`call-${calls}`, actors[calls++ % actors.length] ?? ''))
    await Promise.all([flood.until(1_000), served.until(300)])
    await Promise.all([flood.stop(), served.stop()])
    expect([...served.answered.keys()]).toEqual([200])
    expect([...flood.answered.keys()].sort()).toEqual([401, 403])
    await api.close()
    await sink.close()

    const events = eventsOf(directory)
    expect(events.filter(isAdmission)).toHaveLength(served.answers)
    expect(api.ran).toHaveLength(served.answers)
    expect(refusalsIn(directory, events)).toBe(flood.answers)
    expect(unpairedIn(events)).toEqual(ALL_PAIRED)
    expect((await verifyJournal(directory, { key: VERIFIER_KEY })).verdict).toBe('good')
  })
})

test('written, summed up, and not taken: refusals add up, by reason and by caller', async () => {
  let now = 1_790_000_000_000
  const directory = newDirectory()
  const sink = newJournal(directory, { refusalsPerSecond: 5, now: () => now })
  await sink.ready()
  const reasons = ['actor_unauthorized', 'scope_insufficient', 'token_expired'] as const
  const written = { one: 0, other: 0, nobody: 0 }
  for (let round = 0; round < 40; round++) {
    now += 700
    for (let each = 0; each < 30; each++) {
      written.one++
      void sink.write(refusal({ actor: party('one'), reason: reasons[each % 3] ?? null }))
      if (each % 3 === 0) {
        written.other++
        void sink.write(refusal({ actor: party('other'), reason: 'actor_unauthorized' }))
      }
      written.nobody++
      void sink.write(unverified())
    }
    await sink.flush()
  }
  await sink.close()
  const events = eventsOf(directory)
  const summaries = bodiesOf<RefusalSummary>(directory, 'refusals')
  const sumOf = (id: string | null) =>
    events.filter(({ actor }) => (actor?.id ?? null) === id).length +
    summaries.filter(({ actor }) => (actor?.id ?? null) === id).reduce((sum, { count }) => sum + count, 0)
  expect({ one: sumOf('one'), other: sumOf('other'), nobody: sumOf(null) }).toEqual(written)
  for (const { count, reasons, from, to } of summaries) {
    expect(Object.values(reasons).reduce((sum, each) => sum + each, 0)).toBe(count)
    expect(from <= to).toBe(true)
  }
  // 28 seconds at five a second, and ten seconds' worth at the start: nobody gets more written.
  for (const id of ['one', null]) {
    const count = events.filter(({ actor }) => (actor?.id ?? null) === id).length
    expect(count).toBeGreaterThan(5 * 28)
    expect(count).toBeLessThanOrEqual(5 * 28 + 50)
  }
  expect(summaries.length).toBeLessThan(3 * 5) // one of each caller in ten seconds, and a last one
  expect(bodiesOf(directory, 'gap')).toEqual([])
})

test('thousands of invented actors: what is remembered of them is bounded, and every refusal is written or counted', async () => {
  const now = 1_790_000_000_000
  const directory = newDirectory()
  const sink = newJournal(directory, { refusalsPerSecond: 1, now: () => now })
  await sink.ready()
  for (let each = 0; each < 2_000; each++) {
    // Twenty of each: ten are written at once, of those who are remembered.
    const event = refusal({ actor: party(`invented-${each}`) })
    for (let again = 0; again < 20; again++) void sink.write(event)
    if (each % 50 === 0) await sink.flush()
  }
  await sink.flush()
  await sink.close()
  const events = eventsOf(directory)
  expect(refusalsIn(directory, events)).toBe(40_000)
  const summaries = bodiesOf<RefusalSummary>(directory, 'refusals')
  const named = new Set([...events.map(({ actor }) => actor?.id), ...summaries.map(({ actor }) => actor?.id)])
  expect(named.size).toBeLessThanOrEqual(1_002)
  const others = summaries.filter(({ actor }) => actor === null)
  expect(others.reduce((sum, { count }) => sum + count, 0)).toBe(1_000 * 20 - 10)
  expect(others.every(({ issuer }) => issuer === null)).toBe(true)
})

test('tokens that nobody signed share one allowance, whatever they say', async () => {
  const now = 1_790_000_000_000
  const directory = newDirectory()
  const sink = newJournal(directory, { refusalsPerSecond: 1, now: () => now })
  await sink.ready()
  for (let each = 0; each < 1_000; each++) void sink.write(unverified({ keyId: `invented-${each}` }))
  await sink.close()
  expect(eventsOf(directory)).toHaveLength(10)
  expect(refusalsIn(directory, eventsOf(directory))).toBe(1_000)
})

describe('while the disk stands still', () => {
  test('refusals fill a quarter of the queue by number, and admissions the rest', async () => {
    const { directory, disk, sink } = stallingJournal({ maxQueuedRecords: 100, refusalsPerSecond: 10_000 })
    await sink.ready()
    disk.stall()
    for (let each = 0; each < 500; each++) attempt(() => sink.write(refusal({ actor: party(`actor-${each % 50}`) })))
    expect(sink.queuedRecords).toBe(25)
    const admitted = Array.from({ length: 75 }, () => attempt(() => sink.write(decision())))
    expect(sink.queuedRecords).toBe(100)
    expect(attempt(() => sink.write(decision()))).toBe('queue_full')
    disk.resume()
    expect(await Promise.all(admitted)).toEqual(Array(75).fill(undefined))
    await sink.close()
    expect(refusalsIn(directory, eventsOf(directory))).toBe(500)
    expect(gapOf(directory, 'decisions')).toBe(1)
  })

  test('refusals fill a quarter of the queue by bytes, however long they are', async () => {
    const { directory, disk, sink } = stallingJournal({
      maxQueuedBytes: 1024 * 1024,
      maxQueuedRecords: 10_000,
      refusalsPerSecond: 10_000,
    })
    await sink.ready()
    disk.stall()
    const chain = Array.from({ length: 40 }, (_, index) => party(`${'long-'.repeat(40)}${index}`))
    for (let each = 0; each < 500; each++) attempt(() => sink.write(refusal({ actor: party(`actor-${each % 50}`), chain })))
    // Each is some ten kilobytes: without a share in bytes they would fill the queue.
    const admitted = Array.from({ length: 200 }, () => attempt(() => sink.write(decision())))
    expect(admitted.filter((each) => each === 'queue_full')).toHaveLength(0)
    disk.resume()
    expect(await Promise.all(admitted)).toEqual(Array(200).fill(undefined))
    await sink.close()
    expect(refusalsIn(directory, eventsOf(directory))).toBe(500)
  })
})

test('after close() a refusal is not accepted, whether its caller is within the rate or beyond', async () => {
  const now = 1_790_000_000_000
  const directory = newDirectory()
  const sink = newJournal(directory, { refusalsPerSecond: 1, now: () => now })
  for (let each = 0; each < 20; each++) void sink.write(refusal())
  await sink.close()
  for (let each = 0; each < 20; each++) expect(attempt(() => sink.write(refusal()))).toBe('closed')
  expect(attempt(() => sink.write(refusal({ actor: party('another') })))).toBe('closed')
  expect(refusalsIn(directory, eventsOf(directory))).toBe(20)
})

/** What `write()` gives back, or the code of what it throws. */
function attempt(write: () => Promise<void> | undefined): Promise<void> | undefined | string {
  try {
    return write()
  } catch (error) {
    return (error as { code: string }).code
  }
}

function requestOf(id: string, token: string): LoadRequest {
  return { id, path: '/', token, waitMilliseconds: 0 }
}

/** Refusals that a journal knows of: written, summed up, or counted as not taken. */
function refusalsIn(directory: string, events: readonly AuditEvent[]): number {
  const written = events.filter((event) => event.type === 'access.decision' && event.decision === 'refuse').length
  const summed = bodiesOf<RefusalSummary>(directory, 'refusals').reduce((sum, { count }) => sum + count, 0)
  return written + summed + gapOf(directory, 'refusals')
}

function gapOf(directory: string, kind: 'decisions' | 'outcomes' | 'refusals'): number {
  return bodiesOf<Gap>(directory, 'gap').reduce((sum, gap) => sum + gap[kind], 0)
}

function party(id: string) {
  return { id, idClaim: 'sub', issuer: 'https://as.example.test', type: null, profiles: [], tenant: null }
}

/** A refusal before there was a context: nothing of the token is known but its key id. */
function unverified(token: Partial<AuditEvent['token']> = {}): AuditEvent {
  const nothing = { issuer: null, id: null, issuedAt: null, expiresAt: null, keyId: null, algorithm: null }
  return testEvent({
    decision: 'refuse',
    stage: 'verify',
    reason: 'signature_invalid',
    rule: null,
    kind: null,
    subject: null,
    actor: null,
    chain: [],
    clientId: null,
    token: { ...nothing, ...token },
  })
}
