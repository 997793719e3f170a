import { chmodSync, mkdirSync, readdirSync, rmSync, statSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { shipJournal } from '../src/ship/ship-journal.js'
import { cursorOf, HandMadeJournal, JOURNAL, memoryTarget, shipOptions, temporaryDirectory } from './support/ship-fixture.js'

const small = () => new HandMadeJournal().segment().events(5).checkpoint()

describe('what is delivered', () => {
  test('every record of every kind, in order, byte for byte, over segments', async () => {
    const journal = small()
      .add('gap', {
        decisions: 1,
        from: '2026-09-21T13:33:20.000Z',
        outcomes: 0,
        reason: 'late',
        refusals: 0,
        to: '2026-09-21T13:33:21.000Z',
      })
      .checkpoint()
      .segment()
      .add('recovery', { closed: 0, cut: null, time: '2026-09-21T13:33:22.000Z' })
      .events(3, { net: { peer: null, forwarded: null, userAgent: 'Дело \ud800 “日本”', callerRequestId: null } })
      .add('end', { time: '2026-09-21T13:33:23.000Z' })
      .checkpoint()
    const target = memoryTarget()
    const report = await shipJournal(shipOptions(journal, target).options)
    expect(target.kept.map(({ body }) => body)).toEqual(journal.lines)
    expect(target.kept.map(({ sequence }) => sequence)).toEqual(journal.lines.map((_, index) => index))
    expect(new Set(target.kept.map(({ chain }) => chain))).toEqual(new Set([JOURNAL]))
    expect(report).toEqual({ delivered: journal.size, retries: 0, removed: 0, held: 0, nextSequence: journal.size })
  })

  test('an event has its own id; every other record the id of its place', async () => {
    const target = memoryTarget()
    await shipJournal(shipOptions(small(), target).options)
    expect(target.kept.map(({ id, event }) => event?.id ?? id)).toEqual(target.kept.map(({ id }) => id))
    expect(target.kept.map(({ event }) => event !== null)).toEqual([false, true, true, true, true, true, false])
    expect(target.kept[0]?.id).toBe(`${JOURNAL}/0`)
    expect(target.kept[6]?.id).toBe(`${JOURNAL}/6`)
  })

  test('in batches of at most batchRecords', async () => {
    const target = memoryTarget()
    await shipJournal(shipOptions(small(), target, { batchRecords: 4 }).options)
    expect(target.calls.map((records) => records.length)).toEqual([4, 2, 1]) // the checkpoint itself is final only at the end
  })

  test('in batches of a few megabytes', async () => {
    const net = { peer: null, forwarded: null, userAgent: 'x'.repeat(1024 * 1024), callerRequestId: null }
    const target = memoryTarget()
    await shipJournal(shipOptions(new HandMadeJournal().segment().events(9, { net }).checkpoint(), target).options)
    expect(target.calls.map((records) => records.length)).toEqual([4, 3, 3, 1])
  })

  test('only what is new, in a later run', async () => {
    const journal = small()
    await shipJournal(shipOptions(journal, memoryTarget()).options)
    journal.events(2).checkpoint().segment().events(1)
    const target = memoryTarget()
    await shipJournal(shipOptions(journal, target).options)
    expect(target.calls.flat().map(({ body }) => body)).toEqual(journal.lines.slice(7))
    const again = memoryTarget()
    await shipJournal(shipOptions(journal, again).options)
    expect(again.calls).toEqual([])
  })

  test('nothing, from a journal that is not there yet', async () => {
    const target = memoryTarget()
    const { options } = shipOptions(new HandMadeJournal(), target)
    expect(await shipJournal(options)).toMatchObject({ delivered: 0, nextSequence: 0 })
    expect(target.calls).toEqual([])
  })
})

describe('what is final', () => {
  test('records behind the last checkpoint wait while somebody writes', async () => {
    const journal = small().events(3).lock()
    const target = memoryTarget()
    const { options } = shipOptions(journal, target, { now: Date.now })
    expect(await shipJournal(options)).toMatchObject({ delivered: 6, held: 4, nextSequence: 6 })
    expect(target.kept.map(({ body }) => body)).toEqual(journal.lines.slice(0, 6))
    journal.unlock()
    expect(await shipJournal(options)).toMatchObject({ delivered: 4, held: 0 })
    expect(target.kept.map(({ body }) => body)).toEqual(journal.lines)
  })

  test('a writer that is silent for more than ten seconds is not waited for', async () => {
    const journal = small().events(3).lock()
    const now = 1_790_000_000_000
    utimesSync(join(journal.directory, 'lock'), now / 1000, (now - 10_000) / 1000)
    expect(await shipJournal(shipOptions(journal, memoryTarget(), { now: () => now }).options)).toMatchObject({ held: 4 })
    expect(await shipJournal(shipOptions(journal, memoryTarget(), { now: () => now + 1 }).options)).toMatchObject({ held: 0 })
  })

  test('records that are written anew are delivered as they stand in the journal in the end', async () => {
    const journal = small().events(3).lock()
    const target = memoryTarget()
    const abort = new AbortController()
    let polls = 0
    const { options } = shipOptions(journal, target, {
      once: false,
      signal: abort.signal,
      now: Date.now,
      async wait() {
        polls++
        if (polls === 1)
          journal.takeBack(2).segment().add('failure', { code: 'EIO', message: 'x', time: 'x' }).events(4).checkpoint()
        if (polls === 2) abort.abort()
      },
    })
    await shipJournal(options)
    expect(target.kept.map(({ body }) => body)).toEqual(journal.lines.slice(0, -1))
  })

  test('what changes behind a delivery ends it', async () => {
    const journal = small().events(3)
    const { options } = shipOptions(journal, memoryTarget(), {
      once: false,
      async wait() {
        journal.takeBack(2).segment().events(4).checkpoint() // although it was final: nobody held the lock
      },
    })
    await expect(shipJournal(options)).rejects.toMatchObject({ name: 'ShipError', code: 'journal_rewritten' })
  })
})

describe('a segment that does not follow', () => {
  test('what an earlier run delivered, ends the run', async () => {
    const journal = small()
    const { options } = shipOptions(journal, memoryTarget())
    await shipJournal(options)
    journal.unlink().segment()
    const target = memoryTarget()
    await expect(shipJournal({ ...options, target })).rejects.toMatchObject({ code: 'journal_rewritten' })
    expect(target.calls).toEqual([])
  })

  test('because it belongs to another journal, ends the run', async () => {
    const journal = small()
    const target = memoryTarget()
    const { options } = shipOptions(journal, target, {
      once: false,
      async wait() {
        const other = new HandMadeJournal(temporaryDirectory(), 'another').segment().events(8).segment().events(20).segment()
        writeFileSync(join(journal.directory, other.segments[2] as string), `${other.lines.at(-1)}\n`)
      },
    })
    await expect(shipJournal(options)).rejects.toMatchObject({ code: 'journal_rewritten' })
    expect(target.kept.map(({ body }) => body)).toEqual(journal.lines)
  })
})

describe('a target that fails', () => {
  test('gets the same bytes again until it takes them, after pauses that double up to a bound', async () => {
    const target = memoryTarget()
    target.fail = (call) => {
      if (call <= 8) throw new Error('away')
    }
    const { options, waits, progress } = shipOptions(small(), target, {
      maxAttempts: 0,
      firstBackOffMilliseconds: 100,
      longestBackOffMilliseconds: 1_500,
    })
    const report = await shipJournal(options)
    expect(waits).toEqual([99, 199, 399, 799, 1_499, 1_499, 1_499, 1_499])
    expect(new Set(target.calls.slice(0, 9).map((records) => JSON.stringify(records))).size).toBe(1)
    expect(report).toMatchObject({ delivered: 7, retries: 8 })
    expect(progress.map(({ error }) => (error as Error | null)?.message ?? null)).toEqual([...Array(8).fill('away'), null, null])
  })

  test('is left alone for a time that chance decides', async () => {
    const target = memoryTarget()
    const drawn = [0, 0.5, 0.25]
    target.fail = (call) => {
      if (call <= 3) throw new Error('away')
    }
    const { options, waits } = shipOptions(small(), target, {
      random: () => drawn.shift() as number,
      firstBackOffMilliseconds: 100,
    })
    await shipJournal(options)
    expect(waits).toEqual([0, 100, 100])
  })

  test('ends a single run after five attempts, with nothing saved', async () => {
    const target = memoryTarget()
    const away = new Error('away')
    target.fail = () => Promise.reject(away)
    const { options } = shipOptions(small(), target)
    await expect(shipJournal(options)).rejects.toMatchObject({ code: 'target_failed', cause: away })
    expect(target.calls.length).toBe(5)
    expect(readdirSync(options.directory)).toEqual(['journal-0000000000000000.jsonl'])
  })

  test('that kept what it did not acknowledge holds each record once in the end', async () => {
    const journal = small()
    const target = memoryTarget()
    target.failsAfterKeeping = true
    target.fail = (call) => {
      if (call % 2 === 1) throw new Error('the answer got lost')
    }
    await shipJournal(shipOptions(journal, target, { batchRecords: 2 }).options)
    expect(target.kept.map(({ body }) => body)).toEqual(journal.lines)
  })

  test('is not called again before its promise is settled', async () => {
    let underWay = 0
    let most = 0
    const target = memoryTarget()
    target.fail = async () => {
      underWay++
      most = Math.max(most, underWay)
      await new Promise(setImmediate)
      underWay--
    }
    await shipJournal(shipOptions(small(), target, { batchRecords: 1 }).options)
    expect(target.calls.length).toBe(7)
    expect(most).toBe(1)
  })
})

describe('a target that has lost what it acknowledged', () => {
  /** Loses everything from a record on, once, when it is called for the n-th time. */
  function losingTarget(call: number, sequence: number) {
    const target = memoryTarget()
    const kept = target.kept
    const deliver = target.deliver
    let lost = false
    target.deliver = async (records) => {
      if (!lost && target.calls.length + 1 === call) {
        lost = true
        kept.length = sequence
        target.forget()
        throw Object.assign(new Error('lost'), { resumeFrom: { chain: JOURNAL, sequence } })
      }
      await deliver(records)
    }
    return target
  }

  test.each([0, 1, 4])('from record %i on gets it again', async (sequence) => {
    const journal = small().segment().events(3).checkpoint()
    const target = losingTarget(3, sequence)
    const { options } = shipOptions(journal, target, { batchRecords: 3 })
    const report = await shipJournal(options)
    expect(target.kept.map(({ body }) => body)).toEqual(journal.lines)
    expect(report).toMatchObject({ retries: 1, removed: 0, nextSequence: journal.size })
    expect(cursorOf(options).next).toBe(journal.size)
  })

  test('gets it again by the next run, where this one ends before', async () => {
    const journal = small().segment().events(3).checkpoint()
    const target = losingTarget(3, 2)
    const abort = new AbortController()
    const { options } = shipOptions(journal, target, {
      batchRecords: 3,
      signal: abort.signal,
      onProgress: ({ error }) => error !== null && abort.abort(),
    })
    await shipJournal(options)
    expect(cursorOf(options).next).toBe(2)
    const { signal, ...again } = options
    await shipJournal(again)
    expect(target.kept.map(({ body }) => body)).toEqual(journal.lines)
  })

  test('while it follows, at the journal’s end, too', async () => {
    const journal = small()
    const target = losingTarget(3, 2)
    const abort = new AbortController()
    const steps = [() => journal.events(1), () => abort.abort()]
    const { options } = shipOptions(journal, target, {
      once: false,
      signal: abort.signal,
      wait: async () => void steps.shift()?.(),
    })
    await shipJournal(options)
    expect(target.kept.map(({ body }) => body)).toEqual(journal.lines)
  })

  test('that retention has removed meanwhile: counted, and the rest delivered', async () => {
    const journal = small().segment().events(3).checkpoint()
    const target = losingTarget(3, 2)
    const { options } = shipOptions(journal, target, { onProgress: ({ error }) => error !== null && journal.remove(0) })
    expect(await shipJournal(options)).toMatchObject({ removed: 5, nextSequence: journal.size })
    expect(target.kept.map(({ body }) => body)).toEqual([...journal.lines.slice(0, 2), ...journal.lines.slice(7)])
  })

  test.each([
    { chain: 'another', sequence: 0 },
    { chain: JOURNAL, sequence: 1_000 },
    { chain: JOURNAL, sequence: -1 },
    { chain: JOURNAL, sequence: '0' },
    null,
  ])('according to an error that makes no sense (%j): is tried again as any other', async (resumeFrom) => {
    const target = memoryTarget()
    target.fail = (call) => {
      if (call === 2) throw Object.assign(new Error('x'), { resumeFrom })
    }
    await shipJournal(shipOptions(small(), target).options)
    expect(target.calls.map((records) => records[0]?.sequence)).toEqual([0, 6, 6])
  })
})

describe('the cursor', () => {
  test('is saved after each acknowledgement, for its owner alone, and nothing beside it', async () => {
    const journal = small()
    const saved: number[] = []
    const { options } = shipOptions(journal, memoryTarget(), {
      batchRecords: 3,
      onProgress: () => saved.push(cursorOf(options).next),
    })
    await shipJournal(options)
    expect(saved).toEqual([3, 6, 7])
    const { sha256 } = JSON.parse(journal.lines.at(-1) as string) as { sha256: string }
    expect(cursorOf(options)).toEqual({ format: 'behalf-cursor/1', journal: JOURNAL, next: 7, sha256 })
    expect(statSync(options.cursorFile).mode & 0o777).toBe(0o600)
    expect(readdirSync(journal.directory)).toEqual(['cursor-test.json', 'journal-0000000000000000.jsonl'])
  })

  test('lost between acknowledgement and saving: the records come again, and an idempotent target shows none twice', async () => {
    const journal = small()
    const target = memoryTarget()
    const { options } = shipOptions(journal, target, { batchRecords: 3 })
    await shipJournal({
      ...options,
      onProgress: () => {
        throw new Error('killed')
      },
    }).catch(() => {})
    rmSync(options.cursorFile)
    await shipJournal(options)
    expect(target.calls.flat().length).toBe(3 + journal.size)
    expect(target.kept.map(({ body }) => body)).toEqual(journal.lines)
  })

  test('that cannot be saved does not stop delivery, and ends the run with an error', async () => {
    const journal = small()
    const target = memoryTarget()
    const { options, progress } = shipOptions(journal, target, { cursorFile: join(journal.directory, 'missing', 'cursor.json') })
    await expect(shipJournal(options)).rejects.toMatchObject({ code: 'cursor_unsaved' })
    expect(target.kept.length).toBe(journal.size)
    expect(progress.map(({ error }) => (error as NodeJS.ErrnoException).code)).toEqual(['ENOENT', 'ENOENT'])
  })

  test('that cannot be saved at first is saved later', async () => {
    const journal = small()
    const cursorFile = join(journal.directory, 'later', 'cursor.json')
    const { options, progress } = shipOptions(journal, memoryTarget(), { cursorFile, batchRecords: 3 })
    const told = options.onProgress
    options satisfies object
    await shipJournal({
      ...options,
      onProgress(each) {
        told?.(each)
        if (progress.length === 1) mkdirSync(join(journal.directory, 'later'))
      },
    })
    expect(progress.map(({ error }) => error === null)).toEqual([false, true, true])
    expect(cursorOf(options).next).toBe(7)
  })

  test.each<[string, (journal: HandMadeJournal, cursorFile: string) => void]>([
    [
      'of another journal',
      (journal) => {
        rmSync(journal.directory, { recursive: true })
        mkdirSync(journal.directory)
        new HandMadeJournal(journal.directory, 'another').segment().events(9).checkpoint()
      },
    ],
    [
      'of another history of the journal',
      (journal) => {
        journal.remove(0)
        new HandMadeJournal(journal.directory).segment().events(9).checkpoint()
      },
    ],
    [
      'beyond the end of the journal',
      (journal) => {
        journal.remove(0)
        new HandMadeJournal(journal.directory).segment().events(2).checkpoint()
      },
    ],
    ['of a journal that is not there', (journal) => void journal.remove(0)],
  ])('%s is refused', async (_name, change) => {
    const journal = small()
    const { options } = shipOptions(journal, memoryTarget())
    await shipJournal(options)
    const saved = JSON.stringify(cursorOf(options))
    change(journal, options.cursorFile)
    writeFileSync(options.cursorFile, saved, { mode: 0o600 })
    const target = memoryTarget()
    await expect(shipJournal({ ...options, target })).rejects.toMatchObject({ name: 'ShipError', code: 'cursor_mismatch' })
    expect(target.calls).toEqual([])
  })

  const good = { format: 'behalf-cursor/1', journal: JOURNAL, next: 1, sha256: 'A'.repeat(43) }
  test.each<[string, string]>([
    ['empty', ''],
    ['no JSON', '{'],
    ['null', 'null'],
    ['a list', '[]'],
    ['of another format', JSON.stringify({ ...good, format: 'behalf-cursor/2' })],
    ['without a journal', JSON.stringify({ ...good, journal: '' })],
    ['with another member', JSON.stringify({ ...good, more: 1 })],
    ['with a sequence that is 0', JSON.stringify({ ...good, next: 0 })],
    ['with a sequence that is no integer', JSON.stringify({ ...good, next: 1.5 })],
    ['with a sequence that is text', JSON.stringify({ ...good, next: '1' })],
    ['with a short hash', JSON.stringify({ ...good, sha256: 'A' })],
    ['long', JSON.stringify(good).padEnd(1025)],
  ])('%s is refused', async (_name, text) => {
    const { options } = shipOptions(small(), memoryTarget())
    writeFileSync(options.cursorFile, text, { mode: 0o600 })
    await expect(shipJournal(options)).rejects.toMatchObject({ name: 'ShipError', code: 'cursor_unreadable' })
  })

  test('that is a symbolic link, a directory, or writable by others is refused', async () => {
    const { options } = shipOptions(small(), memoryTarget())
    const refused = () => expect(shipJournal(options)).rejects.toMatchObject({ code: 'cursor_unreadable' })
    const elsewhere = join(temporaryDirectory(), 'cursor')
    writeFileSync(elsewhere, JSON.stringify(good), { mode: 0o600 })
    symlinkSync(elsewhere, options.cursorFile)
    await refused()
    rmSync(options.cursorFile)
    mkdirSync(options.cursorFile)
    await refused()
    rmSync(options.cursorFile, { recursive: true })
    writeFileSync(options.cursorFile, JSON.stringify(good))
    chmodSync(options.cursorFile, 0o620)
    await refused()
  })
})

describe('retention', () => {
  test('what it removed before its turn is counted, and the rest delivered', async () => {
    const journal = small()
    await shipJournal(shipOptions(journal, memoryTarget()).options)
    journal.events(3).checkpoint().segment().events(2).checkpoint().segment().events(1).checkpoint()
    journal.remove(0).remove(1)
    const target = memoryTarget()
    const report = await shipJournal(shipOptions(journal, target).options)
    expect(target.kept.map(({ body }) => body)).toEqual(journal.lines.slice(15))
    expect(report).toMatchObject({ removed: 8, delivered: 3, nextSequence: journal.size })
  })

  test('what it removed after its delivery is not missed', async () => {
    const journal = small()
    await shipJournal(shipOptions(journal, memoryTarget()).options)
    journal.segment().events(2).checkpoint().remove(0)
    expect(await shipJournal(shipOptions(journal, memoryTarget()).options)).toMatchObject({ removed: 0, delivered: 4 })
  })

  test('a first run on an old journal counts what came before it', async () => {
    const journal = small().segment().events(2).checkpoint().remove(0)
    expect(await shipJournal(shipOptions(journal, memoryTarget()).options)).toMatchObject({ removed: 7, delivered: 4 })
  })
})

describe('following', () => {
  test('delivers what comes, over rotation, until it is aborted', async () => {
    const journal = small().lock()
    const target = memoryTarget()
    const abort = new AbortController()
    const steps = [
      () => journal.events(2).checkpoint(),
      () => journal.segment().events(1).checkpoint(),
      () => journal.events(1).unlock(),
      () => abort.abort(),
    ]
    const { options } = shipOptions(journal, target, {
      once: false,
      signal: abort.signal,
      now: Date.now,
      wait: async () => void steps.shift()?.(),
    })
    const report = await shipJournal(options)
    expect(target.kept.map(({ body }) => body)).toEqual(journal.lines)
    expect(report).toMatchObject({ delivered: journal.size, held: 0 })
    expect(cursorOf(options).next).toBe(journal.size)
  })

  test('waits for a journal that is not there yet', async () => {
    const journal = new HandMadeJournal()
    const target = memoryTarget()
    const abort = new AbortController()
    const steps = [() => journal.segment().events(1), () => abort.abort()]
    await shipJournal(
      shipOptions(journal, target, { once: false, signal: abort.signal, wait: async () => void steps.shift()?.() }).options,
    )
    expect(target.kept.map(({ body }) => body)).toEqual(journal.lines)
  })

  test('aborted while the target is away, it ends at once and without an error', async () => {
    const abort = new AbortController()
    const target = memoryTarget()
    target.fail = () => {
      throw new Error('away')
    }
    const { options } = shipOptions(small(), target, { once: false, signal: abort.signal, wait: async () => abort.abort() })
    expect(await shipJournal(options)).toMatchObject({ delivered: 0, retries: 1, held: 7 })
  })

  test('aborted before it began, it delivers nothing', async () => {
    const target = memoryTarget()
    await shipJournal(shipOptions(small(), target, { once: false, signal: AbortSignal.abort() }).options)
    expect(target.calls).toEqual([])
  })

  test('a real wait is ended by the signal', async () => {
    const abort = new AbortController()
    const target = memoryTarget()
    target.fail = () => {
      setImmediate(() => abort.abort())
      throw new Error('away')
    }
    const { wait, random, ...options } = shipOptions(small(), target, { once: false, signal: abort.signal }).options
    const hour = 3_600_000
    await shipJournal({ ...options, firstBackOffMilliseconds: hour, longestBackOffMilliseconds: hour, random: () => 0.99 })
    expect(target.calls.length).toBe(1)
  })
})

describe('progress', () => {
  test('says how far it is behind, in records, bytes and seconds', async () => {
    const journal = small().segment().events(2, { time: '2026-09-21T13:33:25.500Z' }).checkpoint()
    const { options, progress } = shipOptions(journal, memoryTarget(), { batchRecords: 5 })
    await shipJournal(options)
    const bytesFrom = (sequence: number) =>
      journal.lines.slice(sequence).reduce((bytes, line) => bytes + Buffer.byteLength(line) + 1, 0)
    expect(progress).toEqual([
      {
        delivered: 5,
        retries: 0,
        removed: 0,
        held: 2,
        nextSequence: 5,
        recordsBehind: 6,
        bytesBehind: bytesFrom(5),
        secondsBehind: 10,
        error: null,
      },
      {
        delivered: 6,
        retries: 0,
        removed: 0,
        held: 1,
        nextSequence: 6,
        recordsBehind: 5,
        bytesBehind: bytesFrom(6),
        secondsBehind: 9,
        error: null,
      },
      {
        delivered: 7,
        retries: 0,
        removed: 0,
        held: 1,
        nextSequence: 7,
        recordsBehind: 4,
        bytesBehind: bytesFrom(7),
        secondsBehind: 2010,
        error: null,
      },
      {
        delivered: 10,
        retries: 0,
        removed: 0,
        held: 1,
        nextSequence: 10,
        recordsBehind: 1,
        bytesBehind: bytesFrom(10),
        secondsBehind: 9,
        error: null,
      },
      {
        delivered: 11,
        retries: 0,
        removed: 0,
        held: 0,
        nextSequence: 11,
        recordsBehind: 0,
        bytesBehind: 0,
        secondsBehind: null,
        error: null,
      },
    ])
  })

  test('says so also where nothing was delivered by this run yet', async () => {
    const journal = small()
    await shipJournal(shipOptions(journal, memoryTarget()).options)
    journal.segment().events(2).checkpoint()
    const target = memoryTarget()
    target.fail = (call) => {
      if (call === 1) throw new Error('away')
    }
    const { options, progress } = shipOptions(journal, target)
    await shipJournal(options)
    const bytes = journal.lines.slice(7).reduce((sum, line) => sum + Buffer.byteLength(line) + 1, 0)
    expect(progress[0]).toMatchObject({ delivered: 0, retries: 1, recordsBehind: 4, bytesBehind: bytes })
  })
})

describe('options', () => {
  const good = () => shipOptions(small(), memoryTarget()).options
  test.each<[string, object, RegExp]>([
    ['an unknown one', { cursor: 'x' }, /unknown member "cursor"/],
    ['no directory', { directory: '' }, /directory must be a non-empty string/],
    ['no target', { target: {} }, /target\.deliver must be a function/],
    ['a signal that is none', { signal: {} }, /signal must be an AbortSignal/],
    ['no batches', { batchRecords: 0 }, /batchRecords must be a whole number, from 1/],
    [
      'a back-off that shrinks',
      { firstBackOffMilliseconds: 2, longestBackOffMilliseconds: 1 },
      /must be at least firstBackOffMilliseconds/,
    ],
  ])('%s is refused', async (_name, wrong, message) => {
    const rejection = expect(shipJournal({ ...good(), ...wrong })).rejects
    await rejection.toMatchObject({ name: 'ConfigError' })
    await expect(shipJournal({ ...good(), ...wrong })).rejects.toThrow(message)
  })
})
