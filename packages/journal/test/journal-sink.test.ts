import { generateKeyPairSync } from 'node:crypto'
import { chmodSync, lstatSync, mkdirSync, readdirSync, statSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { ConfigError } from '@behalf/core'
import { sinkContract } from '@behalf/testing'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { canonicalJson } from '../src/format/canonical-json.js'
import { parseCheckpoint, parseNote, verifyNote } from '../src/format/checkpoint.js'
import { encodeRecord, GENESIS } from '../src/format/record.js'
import type { SegmentHeader } from '../src/format/segment-header.js'
import { JournalError } from '../src/journal-error.js'
import { type JournalOptions, resolveJournalOptions } from '../src/write/journal-options.js'
import { journalSink } from '../src/write/journal-sink.js'
import { FaultDisk } from './support/fault-disk.js'
import {
  bodiesOf,
  decision,
  eventsOf,
  newDirectory,
  newJournal,
  ORIGIN,
  outcomeOf,
  recordsOf,
  refusal,
  SIGNING_KEY,
  VERIFIER_KEY,
} from './support/journals.js'
import { filesQuiet } from './support/paces.js'

describe('the contract of sinks', () => {
  for (const { name, run } of sinkContract(() => {
    const directory = newDirectory()
    return { sink: newJournal(directory), accepted: () => eventsOf(directory) }
  }))
    test(name, run)
})

describe('a journal', () => {
  test('has its record on disk when write() resolves', async () => {
    const directory = newDirectory()
    const sink = newJournal(directory)
    const event = decision()
    await sink.write(event)
    expect(eventsOf(directory)).toEqual([event])
  })

  test('begins with a header, ends with a stop and a checkpoint over everything', async () => {
    const directory = newDirectory()
    const sink = newJournal(directory)
    await sink.write(decision())
    await sink.close()
    const records = recordsOf(directory)
    expect(records.map(({ kind }) => kind)).toEqual(['segment', 'recovery', 'event', 'end', 'checkpoint'])
    expect(records.map(({ seq }) => seq)).toEqual([0, 1, 2, 3, 4])
    expect(records.slice(1).map(({ prev }) => prev)).toEqual(records.slice(0, -1).map(({ sha256 }) => sha256))
  })

  test('signs checkpoints that name their range, and hands them out', async () => {
    const directory = newDirectory()
    const notes: string[] = []
    const sink = newJournal(directory, { onCheckpoint: (note) => void notes.push(note) })
    await sink.write(decision())
    await sink.close()
    expect(notes).toEqual(bodiesOf<string>(directory, 'checkpoint'))
    const note = parseNote(notes.at(-1) ?? '')
    expect(note !== null && verifyNote(note, VERIFIER_KEY)).toBe(true)
    expect(parseCheckpoint(note?.text ?? '')).toMatchObject({ origin: ORIGIN, size: 4, from: 0 })
  })

  test('a checkpoint callback that throws or rejects stops nobody, and is warned of', async () => {
    const warned = vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
    for (const onCheckpoint of [() => Promise.reject(new Error('away')), () => void JSON.parse('{')]) {
      const sink = newJournal(newDirectory(), { onCheckpoint })
      await sink.write(decision())
      await sink.close()
    }
    await new Promise((resolve) => setImmediate(resolve))
    expect(warned.mock.calls.map(([, options]) => options)).toEqual(Array(2).fill({ code: 'BEHALF_JOURNAL_CHECKPOINT' }))
    warned.mockRestore()
  })

  test('without a signing key its checkpoints bear no signature', async () => {
    const directory = newDirectory()
    const sink = newJournal(directory, { signingKey: null })
    await sink.write(decision())
    await sink.close()
    expect(parseNote(bodiesOf<string>(directory, 'checkpoint')[0] ?? '')?.signatures).toEqual([])
  })

  test('goes on where the last writer ended: one chain, a new segment, one journal', async () => {
    const directory = newDirectory()
    for (let times = 0; times < 3; times++) {
      const sink = newJournal(directory)
      await sink.write(decision())
      await sink.close()
    }
    const records = recordsOf(directory)
    expect(records.map(({ seq }) => seq)).toEqual(records.map((_, index) => index))
    expect(records.slice(1).map(({ prev }) => prev)).toEqual(records.slice(0, -1).map(({ sha256 }) => sha256))
    const headers = bodiesOf<SegmentHeader>(directory, 'segment')
    expect(headers).toHaveLength(3)
    expect(new Set(headers.map(({ journal }) => journal)).size).toBe(1)
    expect(headers.map(({ previous }) => previous?.name ?? null)).toEqual([
      null,
      ...readdirSync(directory).filter(isSegment).sort().slice(0, 2),
    ])
  })

  test('closes decisions without an outcome as unknown when it starts, once each', async () => {
    const directory = newDirectory()
    const [answered, unanswered, relaxed] = [decision(), decision(), decision()]
    const first = newJournal(directory)
    await Promise.all([answered, unanswered, relaxed].map((each) => first.write(each)))
    await first.write(outcomeOf(answered))
    const would = decision({
      requestId: relaxed.requestId,
      stage: 'requirement',
      decision: 'would_refuse',
      reason: 'scope_not_delegated',
    })
    await first.write(would)
    await first.write(refusal({ requestId: unanswered.requestId, stage: 'requirement' })) // a guard refused; its outcome did not come
    await first.close()
    await newJournal(directory).close()
    await newJournal(directory).close()
    const unknown = eventsOf(directory).filter(({ result }) => result === 'unknown')
    expect(unknown.map(({ requestId }) => requestId).sort()).toEqual([unanswered.requestId, relaxed.requestId].sort())
    expect(unknown.find(({ requestId }) => requestId === relaxed.requestId)).toMatchObject({
      type: 'access.outcome',
      stage: 'response',
      decision: 'would_refuse',
      reason: 'scope_not_delegated',
      http: { status: null, durationMilliseconds: null },
    })
    expect(bodiesOf<{ closed: number }>(directory, 'recovery').map(({ closed }) => closed)).toEqual([0, 2, 0])
  })

  test('finds open decisions in segments before the last', async () => {
    const directory = newDirectory()
    const open = decision()
    const sink = newJournal(directory, { maxSegmentBytes: 4_096 })
    await sink.write(open)
    for (let count = 0; count < 20; count++) {
      const each = decision()
      await sink.write(each)
      await sink.write(outcomeOf(each))
    }
    await sink.close()
    expect(readdirSync(directory).filter(isSegment).length).toBeGreaterThan(3)
    await newJournal(directory).close()
    expect(
      eventsOf(directory)
        .filter(({ result }) => result === 'unknown')
        .map(({ requestId }) => requestId),
    ).toEqual([open.requestId])
  })

  test('a request that is answered after a rotation is not open', async () => {
    const directory = newDirectory()
    const open = decision()
    const sink = newJournal(directory, { maxSegmentBytes: 4_096 })
    await sink.write(open)
    for (let count = 0; count < 20; count++)
      await sink.write(refusal({ actor: null, token: { ...open.token, issuer: `https://${count}.example` } }))
    await sink.write(outcomeOf(open))
    await sink.close()
    await newJournal(directory).close()
    expect(eventsOf(directory).filter(({ result }) => result === 'unknown')).toEqual([])
  })

  test('has one writer: the second waits until the first is closed', async () => {
    const directory = newDirectory()
    const first = newJournal(directory)
    await first.write(decision())
    const warned = vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
    const second = newJournal(directory)
    await expect(second.ready()).rejects.toMatchObject({ name: 'JournalError', code: 'locked' })
    expect(() => second.write(decision())).toThrow(JournalError)
    await first.close()
    await vi.waitFor(() => second.ready(), { timeout: 5_000 })
    await second.write(decision())
    warned.mockRestore()
  })

  test('refuses a journal of another origin', async () => {
    const directory = newDirectory()
    await newJournal(directory).close()
    await expect(newJournal(directory, { origin: 'another.example' }).ready()).rejects.toMatchObject({ code: 'unreadable' })
  })

  test.each<[string, Partial<SegmentHeader>]>([
    ['of another format', { format: 'behalf-journal/2' as never }],
    ['whose tree cannot be', { frontier: ['AAAA'] }],
  ])('refuses a journal %s', async (_, changes) => {
    const directory = newDirectory()
    const header = {
      created: '',
      format: 'behalf-journal/1',
      frontier: [],
      journal: 'j',
      open: [],
      origin: ORIGIN,
      previous: null,
      ...changes,
    }
    writeFileSync(
      join(directory, 'journal-0000000000000000.jsonl'),
      `${encodeRecord('segment', canonicalJson(header), 0, GENESIS).line}\n`,
    )
    await expect(newJournal(directory).ready()).rejects.toMatchObject({ code: 'unreadable' })
  })

  test('accepts nothing after close', async () => {
    const directory = newDirectory()
    const sink = newJournal(directory)
    await sink.write(decision())
    await sink.close()
    for (const event of [decision(), outcomeOf(decision()), refusal()]) expect(() => sink.write(event)).toThrow(/is closed/)
    await expect(sink.close()).resolves.toBeUndefined()
    expect(eventsOf(directory)).toHaveLength(1)
  })

  test('writes many events with few syncs', async () => {
    const directory = newDirectory()
    const disk = new FaultDisk()
    const sink = newJournal(directory, { createFile: disk.createFile, commitDeadlineMilliseconds: 60_000 })
    await sink.ready()
    const syncs = disk.counts.sync
    const events = Array.from({ length: 3_000 }, () => decision())
    await Promise.all(events.map((event) => sink.write(event)))
    expect(disk.counts.sync - syncs).toBeLessThan(10)
    expect(eventsOf(directory).map(({ id }) => id)).toEqual(events.map(({ id }) => id))
  })
})

describe('files', () => {
  test('are for their owner alone', async () => {
    const directory = join(newDirectory(), 'made', 'here')
    const sink = newJournal(directory)
    await sink.write(decision())
    expect(lstatSync(directory).mode & 0o777).toBe(0o700)
    for (const name of readdirSync(directory))
      expect([name, lstatSync(join(directory, name)).mode & 0o777]).toEqual([name, 0o600])
    await sink.close()
  })

  test.each<[string, (directory: string) => void, RegExp]>([
    ['open to the group', (directory) => mkdirSync(directory, { mode: 0o750 }), /chmod it to 0700/],
    ['open to others', (directory) => mkdirSync(directory, { mode: 0o701 }), /chmod it to 0700/],
    ['a symbolic link', (directory) => symlinkSync(newDirectory(), directory), /symbolic link/],
    ['a file', (directory) => writeFileSync(directory, ''), /EEXIST|no directory/],
  ])('a directory that is %s is refused', (_, make, message) => {
    const directory = join(newDirectory(), 'journal')
    make(directory)
    expect(() => newJournal(directory)).toThrow(message)
  })

  test.runIf(process.geteuid?.() === 0)("somebody else's directory is refused", async () => {
    const { chownSync } = await import('node:fs')
    const directory = newDirectory()
    chownSync(directory, 12345, 12345)
    expect(() => newJournal(directory)).toThrow(/owned by another user/)
  })

  test('a link in the place of a segment is not followed', async () => {
    const directory = newDirectory()
    const target = join(newDirectory(), 'elsewhere')
    writeFileSync(target, 'untouched')
    symlinkSync(target, join(directory, 'journal-0000000000000000.jsonl'))
    const warned = vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
    await expect(newJournal(directory).ready()).rejects.toMatchObject({ name: 'JournalError' })
    expect(statSync(target).size).toBe('untouched'.length)
    warned.mockRestore()
  })

  test('rotate by size, each whole segment ending with a checkpoint', async () => {
    const directory = newDirectory()
    const sink = newJournal(directory, { maxSegmentBytes: 8_192 })
    for (let count = 0; count < 50; count++) await sink.write(decision())
    await sink.close()
    const records = recordsOf(directory)
    const starts = records.filter(({ kind }) => kind === 'segment').map(({ seq }) => seq)
    expect(starts.length).toBeGreaterThan(4)
    for (const start of starts.slice(1)) expect(records[start - 1]?.kind).toBe('checkpoint')
    expect(records.filter(({ kind }) => kind === 'event')).toHaveLength(50)
  })
})

describe('time', () => {
  let time = 0
  const now = () => time
  beforeEach(() => {
    time = Date.parse('2026-09-21T13:33:20.000Z')
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'performance'] })
  })
  afterEach(() => vi.useRealTimers())

  test('brings a checkpoint a second after a record, and none without', async () => {
    const directory = newDirectory()
    const sink = newJournal(directory, { now })
    await sink.write(decision())
    await filesQuiet()
    vi.advanceTimersByTime(999)
    await sink.write(decision())
    expect(bodiesOf(directory, 'checkpoint')).toEqual([])
    vi.advanceTimersByTime(1)
    await vi.waitFor(() => expect(bodiesOf(directory, 'checkpoint')).toHaveLength(1), { timeout: 30_000 })
    vi.advanceTimersByTime(60_000)
    await sink.write(decision())
    expect(bodiesOf(directory, 'checkpoint')).toHaveLength(1)
  })

  test('rotates a segment that is old', async () => {
    const directory = newDirectory()
    const sink = newJournal(directory, { now, maxSegmentSeconds: 3_600 })
    await sink.write(decision())
    time += 3_599_999
    await sink.write(decision())
    expect(bodiesOf(directory, 'segment')).toHaveLength(1)
    time += 1
    await sink.write(decision())
    await sink.write(decision())
    expect(bodiesOf(directory, 'segment')).toHaveLength(2)
  })

  test('removes old segments, after saying so', async () => {
    const directory = newDirectory()
    const sink = newJournal(directory, { now, maxSegmentBytes: 4_096, retainSeconds: 86_400 })
    for (let count = 0; count < 8; count++) await sink.write(decision())
    const before = recordsOf(directory).at(-1)?.seq ?? 0
    await sink.close()
    const old = (time - 86_401_000) / 1000
    for (const name of readdirSync(directory).filter(isSegment)) utimesSync(join(directory, name), old, old)
    const next = newJournal(directory, { now, retainSeconds: 86_400 })
    await next.write(decision())
    await next.close()
    const [record] = bodiesOf<{ removed: { from: number; through: number; segments: number } }>(directory, 'retention')
    expect(record?.removed.from).toBe(0)
    const [first] = recordsOf(directory)
    expect(first?.seq).toBe((record?.removed.through ?? 0) + 1)
    expect(first?.seq).toBeLessThanOrEqual(before + 2) // the last segment of the last writer stays
  })

  test('removes the oldest segments beyond the size', async () => {
    const directory = newDirectory()
    const sink = newJournal(directory, { now, maxSegmentBytes: 4_096, retainBytes: 20_000 })
    for (let count = 0; count < 100; count++) await sink.write(decision())
    const total = readdirSync(directory)
      .filter(isSegment)
      .reduce((sum, name) => sum + statSync(join(directory, name)).size, 0)
    expect(total).toBeLessThan(20_000 + 3 * 6_000)
    const [first, second] = recordsOf(directory)
    expect(first?.kind).toBe('segment')
    expect(first?.seq).toBeGreaterThan(0)
    expect(second?.seq).toBe((first?.seq ?? 0) + 1)
  })

  test('beyond the rate refusals of one actor are counted, and others are not', async () => {
    const directory = newDirectory()
    const sink = newJournal(directory, { now, refusalsPerSecond: 2 })
    const flood = Array.from({ length: 100 }, (_, index) =>
      refusal({ reason: index % 4 === 0 ? 'scope_insufficient' : 'actor_unauthorized' }),
    )
    for (const each of flood) sink.write(each)
    const somebodyElse = refusal({
      actor: { ...(flood[0]?.actor as NonNullable<(typeof flood)[0]['actor']>), id: 'other' } as never,
    })
    await sink.write(somebodyElse)
    await sink.close()
    const written = eventsOf(directory)
    expect(written.filter(({ actor }) => actor?.id === 'support-1')).toHaveLength(20)
    expect(written.filter(({ actor }) => actor?.id === 'other')).toHaveLength(1)
    expect(bodiesOf(directory, 'refusals')).toEqual([
      expect.objectContaining({
        actor: flood[0]?.actor,
        issuer: flood[0]?.token.issuer,
        count: 80,
        reasons: { scope_insufficient: 20, actor_unauthorized: 60 },
      }),
    ])
  })
})

describe('options', () => {
  const good: JournalOptions = { directory: '/nowhere/journal', signingKey: SIGNING_KEY }
  const { privateKey: rsa } = generateKeyPairSync('rsa', { modulusLength: 2048 })

  test.each<[string, object, RegExp]>([
    ['no directory', { signingKey: null }, /directory must be a non-empty string/],
    ['no signing key', { directory: '/nowhere' }, /signingKey is missing/],
    ['another kind of key', { ...good, signingKey: rsa }, /must be an Ed25519 private key/],
    ['a public key', { ...good, signingKey: generateKeyPairSync('ed25519').publicKey }, /must be an Ed25519 private key/],
    ['a key file that is not there', { ...good, signingKey: { file: '/nowhere/key.pem' } }, /cannot be read/],
    ['an origin with a blank', { ...good, origin: 'a b' }, /no white space/],
    ['an origin with a plus', { ...good, origin: 'a+b' }, /no "\+"/],
    ['an unknown option', { ...good, dir: 'x' }, /unknown member "dir"/],
    ['an undefined option', { ...good, origin: undefined }, /origin is undefined/],
    ['a queue of nothing', { ...good, maxQueuedRecords: 3 }, /at least 4/],
    ['another word', { ...good, whenUnavailable: 'drop' }, /'refuse', 'degrade'/],
    ['a reserve that is too small', { ...good, reserveBytes: 16_383 }, /from 16384/],
  ])('%s is a ConfigError', (_, options, message) => {
    expect(() => journalSink(options as JournalOptions)).toThrow(ConfigError)
    expect(() => journalSink(options as JournalOptions)).toThrow(message)
  })

  test('a key file lies outside of the directory, and is for its owner alone', () => {
    const directory = newDirectory()
    const elsewhere = newDirectory()
    const pem = SIGNING_KEY.export({ type: 'pkcs8', format: 'pem' })
    for (const each of [directory, elsewhere]) writeFileSync(join(each, 'key.pem'), pem, { mode: 0o600 })
    expect(() => resolveJournalOptions({ directory, signingKey: { file: join(directory, 'key.pem') } })).toThrow(
      /keep it elsewhere/,
    )
    expect(resolveJournalOptions({ directory, signingKey: { file: join(elsewhere, 'key.pem') } }).signingKey?.type).toBe(
      'private',
    )
    chmodSync(join(elsewhere, 'key.pem'), 0o640)
    expect(() => resolveJournalOptions({ directory, signingKey: { file: join(elsewhere, 'key.pem') } })).toThrow(
      /chmod it to 0600/,
    )
    writeFileSync(join(elsewhere, 'other.pem'), 'no key', { mode: 0o600 })
    expect(() => resolveJournalOptions({ directory, signingKey: { file: join(elsewhere, 'other.pem') } })).toThrow(
      /no private key/,
    )
  })
})

function isSegment(name: string): boolean {
  return name.startsWith('journal-')
}
