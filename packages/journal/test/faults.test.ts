/** Failing disks, one after the other, under a clock of the test: what is promised when they fail, and when they are back. */
import { readdirSync } from 'node:fs'
import type { AuditEvent } from '@behalf/core'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { verifyJournal } from '../src/verify/verify-journal.js'
import type { JournalOptions } from '../src/write/journal-options.js'
import type { JournalSink } from '../src/write/journal-sink.js'
import type { Gap } from '../src/write/losses.js'
import { FaultDisk, usedBytes } from './support/fault-disk.js'
import { bodiesOf, decision, eventsOf, newDirectory, newJournal, outcomeOf, refusal, VERIFIER_KEY } from './support/journals.js'
import { filesQuiet, holdTimers, pass, settled, type Watched, watch } from './support/paces.js'

const warned = vi.spyOn(process, 'emitWarning')
beforeEach(() => {
  holdTimers()
  warned.mockReset().mockImplementation(() => {})
})
afterEach(() => vi.useRealTimers())

/** A journal on a disk that fails when it is told to, already open. */
async function onDisk(options: Partial<JournalOptions> = {}): Promise<{ disk: FaultDisk; sink: JournalSink; directory: string }> {
  const disk = new FaultDisk()
  const directory = newDirectory()
  const sink = newJournal(directory, { createFile: disk.createFile, commitDeadlineMilliseconds: 200, ...options })
  await sink.ready()
  return { disk, sink, directory }
}

/** Events that gap records say are missing. */
function gapsOf(directory: string): { decisions: number; outcomes: number; refusals: number } {
  const sum = { decisions: 0, outcomes: 0, refusals: 0 }
  for (const gap of bodiesOf<Gap>(directory, 'gap')) {
    for (const kind of ['decisions', 'outcomes', 'refusals'] as const) sum[kind] += gap[kind]
  }
  return sum
}

/** The journal is whole: everything on it holds, and everything that was accepted is there, once. */
async function expectWhole(directory: string, accepted: readonly AuditEvent[]): Promise<void> {
  vi.useRealTimers()
  const report = await verifyJournal(directory, { key: VERIFIER_KEY })
  expect(report.findings.filter(({ severity }) => severity !== 'note')).toEqual([])
  expect(report.verdict).toBe('good')
  const ids = eventsOf(directory).map(({ id }) => id)
  expect(new Set(ids).size).toBe(ids.length)
  for (const { id } of accepted) expect(ids).toContain(id)
}

/** One call after the other, each answered as the recorder of the core does it: without a record no handler runs. */
class Callers {
  readonly ran: AuditEvent[] = []
  readonly refused: AuditEvent[] = []
  readonly #sink: JournalSink
  readonly #open: { event: AuditEvent; watched: Watched }[] = []

  constructor(sink: JournalSink) {
    this.#sink = sink
  }

  call(): Watched {
    const event = decision()
    const watched = watch(() => this.#sink.write(event))
    this.#open.push({ event, watched })
    return watched
  }

  /** Ends the calls whose decision is accepted or refused. */
  answer(): void {
    for (const each of this.#open.splice(0)) {
      if (each.watched.state === 'pending') this.#open.push(each)
      else if (each.watched.state === 'accepted') {
        this.ran.push(each.event)
        watch(() => this.#sink.write(outcomeOf(each.event)))
      } else {
        this.refused.push(each.event)
        watch(() =>
          this.#sink.write(outcomeOf(each.event, { result: 'not_run', http: { ...each.event.http, durationMilliseconds: 1 } })),
        )
      }
    }
  }

  get pending(): number {
    return this.#open.length
  }
}

/** A fault of some operations. */
function failing(code: string, ...operations: readonly string[]): (disk: FaultDisk) => void {
  return (disk) => {
    disk.fault = (operation) => (operations.length === 0 || operations.includes(operation) ? code : null)
  }
}

const TROUBLES: [string, (disk: FaultDisk) => void][] = [
  ['EIO at every write', failing('EIO', 'write')],
  ['EIO at every sync', failing('EIO', 'sync')],
  ['EIO at everything, cutting back included', failing('EIO')],
  ['no new files', failing('EMFILE', 'write', 'create')],
  [
    'a full disk',
    (disk) => {
      disk.capacityBytes = 40_000
    },
  ],
  ['a full disk, by word alone', failing('ENOSPC', 'write')],
  ['a disk that stalls', (disk) => disk.stall()],
]

describe.each(TROUBLES)('%s for 30 s', (_, begin) => {
  test('strict: no handler runs, each call is told within the deadline, and service is back within 2 s', async () => {
    const { disk, sink, directory } = await onDisk()
    const callers = new Callers(sink)
    for (let count = 0; count < 10; count++) callers.call()
    await settled(() => {
      callers.answer()
      return callers.pending === 0
    })
    expect(callers.ran).toHaveLength(10)

    begin(disk)
    if (disk.capacityBytes < Number.POSITIVE_INFINITY)
      for (let count = 0; count < 60; count++) watch(() => sink.write(outcomeOf(decision())))
    await pass(1_000)
    const before = callers.ran.length
    for (let second = 0; second < 30; second++) {
      const watched = [callers.call(), callers.call()]
      await pass(250)
      expect(watched.map(({ state }) => state)).toEqual(['refused', 'refused'])
      callers.answer()
      await pass(750)
    }
    expect(callers.ran).toHaveLength(before)
    expect(callers.refused).toHaveLength(60)

    disk.heal()
    let servedAfter = 0
    for (let watched = callers.call(); servedAfter < 2_000; servedAfter += 10) {
      await pass(10)
      if (watched.state === 'accepted') break
      if (watched.state === 'refused') watched = callers.call()
    }
    expect(servedAfter).toBeLessThan(2_000)
    await settled(() => sink.state === 'writing' && sink.queuedRecords === 0)
    callers.answer()
    await settled(() => sink.queuedRecords === 0)
    await sink.close()
    const recorded = new Set(
      eventsOf(directory)
        .filter(({ type }) => type === 'access.decision')
        .map(({ id }) => id),
    )
    const missing = [...callers.ran, ...callers.refused].filter(({ id }) => !recorded.has(id)).length
    expect(gapsOf(directory)).toEqual({ decisions: missing, outcomes: missing, refusals: 0 })
    await expectWhole(directory, callers.ran)
  })

  test('degrade: every call goes on, and gap records add up to what is missing', async () => {
    const { disk, sink, directory } = await onDisk({ whenUnavailable: 'degrade', maxQueuedRecords: 100 })
    const callers = new Callers(sink)
    const refusals: AuditEvent[] = []
    begin(disk)
    for (let second = 0; second < 30; second++) {
      for (let count = 0; count < 10; count++) callers.call()
      for (let count = 0; count < 3; count++) {
        const each = refusal({ actor: null, token: { ...decision().token, issuer: `https://${second}.example` } })
        refusals.push(each)
        watch(() => sink.write(each))
      }
      await pass(300)
      callers.answer()
      await pass(700)
    }
    expect(callers.pending).toBe(0)
    expect(callers.refused).toEqual([])
    expect(callers.ran).toHaveLength(300)
    disk.heal()
    await pass(2_000)
    await settled(() => sink.state === 'writing' && sink.queuedRecords === 0)
    await sink.close()
    const events = eventsOf(directory)
    const count = (type: AuditEvent['type'], refused: boolean) =>
      events.filter((event) => event.type === type && (event.decision === 'refuse') === refused).length
    expect(gapsOf(directory)).toEqual({
      decisions: 300 - count('access.decision', false),
      outcomes: 300 - count('access.outcome', false),
      refusals: refusals.length - count('access.decision', true),
    })
    expect(gapsOf(directory).decisions).toBeGreaterThan(150)
    await expectWhole(directory, [])
  })
})

describe('after a failed sync', () => {
  test('the file is not written or synced again, and its records stand in a new segment', async () => {
    const { disk, sink, directory } = await onDisk()
    await sink.write(decision())
    const [first] = readdirSync(directory).filter((name) => name.startsWith('journal-'))
    let failures = 0
    const after: string[] = []
    disk.fault = (operation, name) => {
      if (failures > 0 && name === first && operation !== 'truncate') after.push(operation)
      return operation === 'sync' && failures++ === 0 ? 'EIO' : null
    }
    const event = decision()
    const watched = watch(() => sink.write(event))
    await pass(150)
    await settled(() => watched.state !== 'pending')
    expect(watched.state).toBe('accepted') // the second attempt came within the deadline
    expect(after).toEqual([])
    expect(bodiesOf<{ code: string }>(directory, 'failure').map(({ code }) => code)).toEqual(['EIO'])
    expect(eventsOf(directory).map(({ id }) => id)).toContain(event.id)
    await sink.close()
  })

  test.each(['write', 'sync'])(
    'of many batches one fails, and all events are there in their order: a failed %s',
    async (failing) => {
      const { disk, sink, directory } = await onDisk({ commitDeadlineMilliseconds: 60_000, maxQueuedRecords: 20_000 })
      let operations = 0
      disk.fault = (operation) => (operation === failing && [2, 5].includes(++operations) ? 'EIO' : null)
      const events = Array.from({ length: 6_000 }, () => decision())
      const written = events.map((event) => watch(() => sink.write(event)))
      for (let turns = 0; turns < 5_000 && written.some(({ state }) => state === 'pending'); turns++) await pass(10)
      expect(operations).toBeGreaterThan(5)
      expect(new Set(written.map(({ state }) => state))).toEqual(new Set(['accepted']))
      expect(eventsOf(directory).map(({ id }) => id)).toEqual(events.map(({ id }) => id))
      for (const event of events) sink.write(outcomeOf(event))
      await sink.close()
      await expectWhole(directory, [])
    },
  )

  test('a warning tells of it once', async () => {
    const { disk, sink } = await onDisk()
    disk.fault = () => 'EIO'
    watch(() => sink.write(decision()))
    await pass(5_000)
    expect(warned.mock.calls.map(([, options]) => (options as { code: string }).code)).toEqual(['BEHALF_JOURNAL_TROUBLE'])
    disk.heal()
    await pass(2_000)
    await settled(() => sink.state === 'writing')
  })
})

describe('a full disk', () => {
  test('is said in the journal while it is full, by the room that was kept', async () => {
    const { disk, sink, directory } = await onDisk()
    const [first, second] = [decision(), decision({ rule: 'x'.repeat(4_000) })]
    await sink.write(first)
    disk.capacityBytes = usedBytes(directory) + 500
    const refused = watch(() => sink.write(second))
    await pass(1_000)
    expect(refused.state).toBe('refused')
    expect(bodiesOf<{ code: string }>(directory, 'failure').map(({ code }) => code)).toEqual(['ENOSPC'])
    await pass(30_000, 50)
    expect(readdirSync(directory).length).toBeLessThan(6)
    disk.heal()
    await pass(2_000)
    await settled(() => sink.state === 'writing' && sink.queuedRecords === 0)
    await Promise.all([first, second].map((each) => sink.write(outcomeOf(each))))
    await sink.close()
    await expectWhole(directory, [first, second])
  })
})

describe('bounds', () => {
  test('a full queue refuses at once, outcomes of accepted calls still find a place', async () => {
    const { disk, sink, directory } = await onDisk({ maxQueuedRecords: 20 })
    const accepted = Array.from({ length: 5 }, () => decision())
    await Promise.all(accepted.map((each) => sink.write(each)))
    disk.stall()
    const waiting = Array.from({ length: 20 }, () => watch(() => sink.write(decision())))
    const beyond = watch(() => sink.write(decision()))
    await settled(() => beyond.state !== 'pending')
    expect([beyond.state, beyond.code]).toEqual(['refused', 'queue_full'])
    for (const each of accepted) expect(watch(() => sink.write(outcomeOf(each))).state).toBe('pending')
    disk.resume()
    await settled(() => sink.queuedRecords === 0)
    await pass(10)
    expect(waiting.every(({ state }) => state === 'accepted')).toBe(true)
    await sink.close()
    expect(gapsOf(directory)).toEqual({ decisions: 1, outcomes: 0, refusals: 0 })
    expect(eventsOf(directory).filter(({ type }) => type === 'access.outcome')).toHaveLength(5)
  })

  test('one timer serves all deadlines, however they come', async () => {
    const { disk, sink } = await onDisk({ whenUnavailable: 'degrade' })
    disk.stall()
    watch(() => sink.write(decision()))
    const timers = vi.getTimerCount()
    for (let times = 0; times < 20; times++) {
      vi.advanceTimersByTime(200)
      watch(() => sink.write(decision())) // between the timer and the turn after it
      await filesQuiet()
    }
    expect(vi.getTimerCount()).toBeLessThanOrEqual(timers)
    disk.resume()
    await settled(() => sink.queuedRecords === 0)
  })

  test('bytes count too', async () => {
    const { disk, sink } = await onDisk({ maxQueuedBytes: 65_536 })
    disk.stall()
    const big = Array.from({ length: 10 }, () => watch(() => sink.write(decision({ rule: 'x'.repeat(10_000) }))))
    await pass(10)
    expect(big.filter(({ code }) => code === 'queue_full').length).toBeGreaterThan(2)
    disk.resume()
    await settled(() => sink.queuedRecords === 0)
  })

  test('refusals fill a quarter of the queue, and nobody else feels it', async () => {
    const { disk, sink, directory } = await onDisk({ maxQueuedRecords: 100 })
    disk.stall()
    const refusals = Array.from({ length: 200 }, (_, index) =>
      refusal({ actor: null, token: { ...decision().token, issuer: `https://${index}.example` } }),
    ).map((each) => watch(() => sink.write(each)))
    await settled(() => refusals.slice(25).every(({ state }) => state === 'refused'))
    const others = Array.from({ length: 75 }, () => watch(() => sink.write(decision())))
    disk.resume()
    await settled(() => sink.queuedRecords === 0)
    await pass(10)
    expect(others.every(({ state }) => state === 'accepted')).toBe(true)
    expect(refusals.filter(({ state }) => state === 'accepted')).toHaveLength(25)
    await sink.close()
    expect(gapsOf(directory)).toEqual({ decisions: 0, outcomes: 0, refusals: 175 })
  })

  test('close() gives up on a dead disk after its time, and says what is lost', async () => {
    const { disk, sink } = await onDisk({ closeTimeoutMilliseconds: 1_000 })
    disk.fault = () => 'EIO'
    const event = watch(() => sink.write(decision()))
    const flushed = watch(() => sink.flush())
    const closed = sink.close().then(
      () => 'closed',
      (error: Error) => error.message,
    )
    await pass(1_200)
    expect(flushed.code).toBe('unavailable')
    expect(await closed).toMatch(/1 event\(s\) are lost/)
    expect(event.state).toBe('refused')
  })
})

describe('opening', () => {
  test('a disk that is full when the journal is opened is tried again', async () => {
    const disk = new FaultDisk()
    disk.capacityBytes = 10_000
    const directory = newDirectory()
    const sink = newJournal(directory, { createFile: disk.createFile })
    await expect(sink.ready()).rejects.toMatchObject({ code: 'unavailable' })
    expect(watch(() => sink.write(decision())).code).toBe('unavailable')
    disk.heal()
    await pass(1_100)
    await settled(() => sink.state === 'writing')
    const event = decision()
    await sink.write(event)
    await sink.write(outcomeOf(event))
    await sink.close()
    await expectWhole(directory, [event])
  })
})
