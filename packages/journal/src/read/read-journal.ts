import { setTimeout as delay } from 'node:timers/promises'
import { booleanAt, functionAt, integerAt, membersOf, optional } from '@behalf/core/sink-kit'
import { type JournalRecord, parseRecord } from '../format/record.js'
import { JournalError } from '../journal-error.js'
import { namesIn, SegmentLines, type SegmentName, segmentsAmong } from './segment-lines.js'

/** One record of a journal, and where it stands. */
export interface JournalEntry {
  /** What stands there. */
  readonly record: JournalRecord
  /** The record's bytes as text, without the newline. */
  readonly line: string
  /** Name of the file. */
  readonly segment: string
  /** Where the line begins in the file, in bytes. */
  readonly offset: number
}

/** Options of {@link readJournal}. */
export interface ReadJournalOptions {
  /** The first record that is wanted; those before it are not given. Default: 0. */
  readonly fromSequence?: number
  /** Ends the loop, without an error. */
  readonly signal?: AbortSignal
  /** Wait for further records at the end, and go on with the next segment. Default: `false`. */
  readonly follow?: boolean
  /** How long to wait at the end before looking again, in milliseconds. 1 to 60,000. Default: 250. */
  readonly pollMilliseconds?: number
  /** How to wait, for tests. Default: a timer that `signal` ends. */
  readonly wait?: (milliseconds: number, signal: AbortSignal | undefined) => Promise<void>
}

interface Settings {
  readonly fromSequence: number
  readonly signal: AbortSignal | undefined
  readonly follow: boolean
  readonly pollMilliseconds: number
  readonly wait: (milliseconds: number, signal: AbortSignal | undefined) => Promise<void>
}

const NAMES = ['fromSequence', 'signal', 'follow', 'pollMilliseconds', 'wait']

/**
 * Reads a journal's records in order, chunk by chunk, also while a writer appends to it. Bytes that a later segment declares not to
 * be part of the journal are left out, and so is an incomplete last line.
 *
 * With `follow`, records are given as soon as they can be read, which may be before they are durable. Where a write or a sync fails
 * then, the writer goes on in a new segment with the sequence of the first record that was not durable: sequences that were given
 * already come again, with what stands in the journal now. Segments that retention removes before they are read are left out;
 * the sequence then jumps.
 *
 * Checked: framing, each record's own hash, sequence and link to the record before. Not checked: checkpoints, signatures, and
 * everything else that `verifyJournal()` is for.
 * @throws {JournalError} `unreadable` where the directory or a file cannot be read, a segment is no regular file, or what stands
 * where a record should be is none
 */
export function readJournal(directory: string, options: ReadJournalOptions = {}): AsyncIterable<JournalEntry> {
  const settings = resolve(options)
  return { [Symbol.asyncIterator]: () => entriesOf(directory, settings) }
}

function resolve(options: ReadJournalOptions): Settings {
  const where = 'readJournal()'
  const members = membersOf(options, where, NAMES)
  return {
    fromSequence: optional(members, 'fromSequence', where, (value, at) => integerAt(value, at, 0), 0),
    signal: options.signal,
    follow: optional(members, 'follow', where, booleanAt, false),
    pollMilliseconds: optional(members, 'pollMilliseconds', where, (value, at) => integerAt(value, at, 1, 60_000), 250),
    wait: optional(members, 'wait', where, functionAt<Settings['wait']>, waitFor),
  }
}

async function waitFor(milliseconds: number, signal: AbortSignal | undefined): Promise<void> {
  await delay(milliseconds, undefined, { ...(signal && { signal }) }).catch(() => undefined) // ended by the signal, which is looked at next
}

async function* entriesOf(directory: string, settings: Settings): AsyncGenerator<JournalEntry, void, undefined> {
  let at: Start | null = await firstSegment(directory, settings)
  while (at !== null && !aborted(settings)) at = yield* entriesOfSegment(directory, at, settings)
}

/** Where reading goes on. */
interface Start {
  readonly segment: SegmentName
  /** `sha256` of the record before; `null` where it was not read. */
  readonly link: string | null
}

/** The segment that holds the first record that is wanted, or else the oldest one. */
async function firstSegment(directory: string, settings: Settings): Promise<Start | null> {
  while (!aborted(settings)) {
    const segments = segmentsAmong(await namesIn(directory))
    const found = segments.findLast(({ first }) => first <= settings.fromSequence) ?? segments[0]
    if (found !== undefined) return { segment: found, link: null }
    if (!settings.follow) return null
    await settings.wait(settings.pollMilliseconds, settings.signal)
  }
  return null
}

/** Gives the records of one segment. @returns where to go on; `null` at the end of the journal */
async function* entriesOfSegment(
  directory: string,
  { segment, link }: Start,
  settings: Settings,
): AsyncGenerator<JournalEntry, Start | null, undefined> {
  const lines = await SegmentLines.open(directory, segment.name)
  if (lines === 'irregular') throw new JournalError('unreadable', `${segment.name} is no regular file`)
  if (lines === 'missing') return removed(directory, segment)
  try {
    const reading: Reading = { directory, segment, lines, end: Number.POSITIVE_INFINITY, link, before: null }
    while (!aborted(settings)) {
      const successor = await successorOf(reading)
      yield* entriesUpTo(reading, settings)
      if (aborted(settings)) return null
      if (successor !== null) return { segment: successor, link: linkAfter(reading) }
      if (!settings.follow) return null
      await settings.wait(settings.pollMilliseconds, settings.signal)
    }
    return null
  } finally {
    await lines.close()
  }
}

/** A segment that is being read. */
interface Reading {
  readonly directory: string
  readonly segment: SegmentName
  readonly lines: SegmentLines
  /** How many of its bytes are part of the journal; not known of the last segment. */
  end: number
  readonly link: string | null
  /** The record that was read last. */
  before: JournalRecord | null
}

/** Retention removed the segment before it was read. */
async function removed(directory: string, segment: SegmentName): Promise<Start | null> {
  const next = await oldestAfter(directory, segment)
  return next && { segment: next, link: null }
}

/** What the next segment must link to. Nothing, where records behind the end were read before it was known to be the end. */
function linkAfter({ segment, lines, end, before }: Reading): string | null {
  if (end === Number.POSITIVE_INFINITY || before === null) return null
  if (lines.nextOffset < end) throw new JournalError('unreadable', `${segment.name} ends before byte ${end}`)
  return lines.nextOffset === end ? before.sha256 : null
}

/** Gives what can be read now. */
async function* entriesUpTo(reading: Reading, settings: Settings): AsyncGenerator<JournalEntry, void, undefined> {
  const { lines, segment } = reading
  do {
    for (let line = lines.next(); line !== null; line = lines.next()) {
      const record = recordAt(line, reading)
      reading.before = record
      if (record.seq >= settings.fromSequence)
        yield { record, line: line.toString('utf8'), segment: segment.name, offset: lines.offset }
      if (aborted(settings)) return
    }
  } while (await lines.fill(reading.end))
}

function recordAt(line: Buffer, { segment, lines, before, link }: Reading): JournalRecord {
  const record = parseRecord(line)
  if (record === null) throw new JournalError('unreadable', `${segment.name} has no record at byte ${lines.offset}`)
  const first = record.seq === segment.first && (link === null || record.prev === link)
  const follows = before === null ? first : record.seq === before.seq + 1 && record.prev === before.sha256
  if (!follows) throw new JournalError('unreadable', `${segment.name} has a record out of its place at byte ${lines.offset}`)
  return record
}

/** The segment after this one, once its header is there: that says how much of this one is part of the journal. */
async function successorOf(reading: Reading): Promise<SegmentName | null> {
  const { directory, segment } = reading
  const next = await oldestAfter(directory, segment)
  if (next === null) return null
  const lines = await SegmentLines.open(directory, next.name)
  if (lines === 'missing') return successorOf(reading) // removed just now: look again
  if (lines === 'irregular') throw new JournalError('unreadable', `${next.name} is no regular file`)
  const { state, header } = await lines.peekHeader(next.first).finally(() => lines.close())
  if (state === 'partial') return null
  if (header === null) throw new JournalError('unreadable', `${next.name} does not begin with a segment's header`)
  if (header.previous?.name === segment.name) reading.end = header.previous.bytes
  return next
}

async function oldestAfter(directory: string, { first }: SegmentName): Promise<SegmentName | null> {
  return segmentsAmong(await namesIn(directory)).find((each) => each.first > first) ?? null
}

function aborted({ signal }: Settings): boolean {
  return signal?.aborted === true
}
