import { constants } from 'node:fs'
import { open, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { AuditEvent, DeliveryRecord, DeliveryTarget, JsonObject } from '@behalf/core'
import { booleanAt, ConfigError, functionAt, integerAt, membersOf, optional, stringAt } from '@behalf/core/sink-kit'
import { segmentHeaderOf } from '../format/segment-header.js'
import { systemCodeOf } from '../journal-error.js'
import { type JournalEntry, readJournal } from '../read/read-journal.js'
import { readCursor, removeCursor, type ShipCursor, saveCursor } from './ship-cursor.js'
import { ShipError } from './ship-error.js'
import { type Lag, measureLag, type ShippedEnd, timeOf } from './ship-lag.js'

/** Options of {@link shipJournal}. */
export interface ShipOptions {
  /** The journal's directory. Needs to be read only, unless the cursor is kept there. */
  readonly directory: string
  /** Where to. It is not closed at the end. */
  readonly target: DeliveryTarget
  /** Where to keep how far it went: one file for each target. Its directory must be there. */
  readonly cursorFile: string
  /** End when everything that is final was delivered, rather than waiting for more. Default `false`. */
  readonly once?: boolean
  /** Ends shipping, without an error: at once, or after the delivery that is under way. */
  readonly signal?: AbortSignal
  /** Told after each delivery and each failure. What it throws ends shipping. */
  readonly onProgress?: (progress: ShipProgress) => void
  /** Most records that are delivered together. Default 500. */
  readonly batchRecords?: number
  /** How often a delivery is tried before shipping ends with `target_failed`; 0: for ever. Default: 0, and 5 with `once`. */
  readonly maxAttempts?: number
  /**
   * Longest pause before the first repetition of a delivery, in milliseconds; doubled with each further one, and drawn by chance
   * between 0 and that, so that many shippers do not come back together. Default 200.
   */
  readonly firstBackOffMilliseconds?: number
  /** What that pause grows to, in milliseconds. Default 30,000. */
  readonly longestBackOffMilliseconds?: number
  /** How long to wait at the journal's end before looking again, in milliseconds. 1 to 60,000. Default 250. */
  readonly pollMilliseconds?: number
  /** Milliseconds since the epoch, for tests. */
  readonly now?: () => number
  /** From 0 to below 1, for tests. */
  readonly random?: () => number
  /** How to wait, for tests. Resolves early where the signal is aborted. */
  readonly wait?: (milliseconds: number, signal: AbortSignal | undefined) => Promise<void>
}

/** How shipping stands. */
export interface ShipProgress extends ShipReport, Lag {
  /** Age of the oldest record that was read and not delivered, in seconds; `null`: there is none, or it does not say. */
  readonly secondsBehind: number | null
  /** What the target failed with, or saving the cursor; `null` after a success. Not ours: it may hold somebody else's words. */
  readonly error: unknown
}

/** What shipping came to. */
export interface ShipReport {
  /** Records that the target acknowledged in this run. */
  readonly delivered: number
  /** Deliveries that failed. */
  readonly retries: number
  /** Records that were no longer in the journal when their turn came: retention had removed them. They are at no target. */
  readonly removed: number
  /** Records that were read and are not final yet: no checkpoint covers them, and their writer is at work. */
  readonly held: number
  /** Sequence of the next record to deliver. */
  readonly nextSequence: number
}

type Settings = Required<Omit<ShipOptions, 'signal' | 'onProgress' | 'target'>> & {
  readonly deliver: DeliveryTarget['deliver']
  readonly signal: AbortSignal | undefined
  readonly onProgress: ((progress: ShipProgress) => void) | null
}

/** Most bytes of lines that are delivered together, unless one line alone is longer. */
const MAX_BATCH_BYTES = 4 * 1024 * 1024
/** Checkpoints come each second, or each thousand records; without any, waiting for one must not take all memory. */
const MAX_HELD_RECORDS = 100_000
/** A writer says every 2 seconds that it is alive. */
const WRITER_SILENCE_MILLISECONDS = 10_000

/**
 * Delivers a journal's records to a target: each at least once, in order, with the same bytes at every attempt. A target that
 * keeps its promise holds each of them once. The cursor is saved only when the target has acknowledged; while it does not, the same
 * records are tried again after growing pauses.
 *
 * Only what is final goes out: what a checkpoint or a later segment covers, and the rest once its writer has ended, or has been
 * silent for 10 seconds. What comes behind it may still be written anew after a failure of the disk. So a record arrives about a
 * second after its event, and the last checkpoint of a journal that is being written waits for the next.
 *
 * A target can find out that it has lost what it had acknowledged: where its error says so by `resumeFrom: { chain, sequence }`, as
 * that of `natsTarget()` does, shipping goes back to that record.
 *
 * Records that retention removed before their turn are counted as `removed`, and shipping goes on: stopping would lose more. All
 * kinds of records are delivered. Checked: each record's own hash and its link to the one before, also over restarts by the
 * cursor. Not checked: signatures; for them there is `verifyJournal()`.
 *
 * @throws {ConfigError} rejects with it where an option is not what it must be
 * @throws {ShipError} rejects with it: see its codes
 * @throws {JournalError} rejects with it: `unreadable`
 */
export async function shipJournal(options: ShipOptions): Promise<ShipReport> {
  const settings = settingsOf(options)
  const cursor = await readCursor(settings.cursorFile)
  if (cursor !== null) await assertOwn(settings.directory, cursor)
  const shipment = new Shipment(settings, cursor)
  await shipment.run()
  return shipment.report
}

/** @throws {ShipError} where what stands before the cursor is not what was delivered */
async function assertOwn(directory: string, { journal, next, sha256 }: ShipCursor): Promise<void> {
  const found = await firstOf(readJournal(directory))
  if (found !== null && journalOf(found) !== journal) {
    throw mismatch('it was made for another journal')
  }
  const last = await firstOf(readJournal(directory, { fromSequence: next - 1 }))
  if (last === null) throw mismatch('the journal ends before it: was it put back from an older copy?')
  if (last.record.seq === next - 1 && last.record.sha256 !== sha256) {
    throw mismatch('the journal holds another record than the one that was delivered')
  }
}

async function firstOf(entries: AsyncIterable<JournalEntry>): Promise<JournalEntry | null> {
  for await (const entry of entries) return entry
  return null
}

function journalOf({ record }: JournalEntry): string | null {
  return record.kind === 'segment' ? (segmentHeaderOf(record.body)?.journal ?? null) : null
}

function mismatch(why: string): ShipError {
  return new ShipError('cursor_mismatch', `the cursor does not fit the journal: ${why}`)
}

/** A record that was read, and the line's place. */
interface Held extends JournalEntry {
  readonly end: number
}

/** One run. */
class Shipment {
  readonly #settings: Settings
  #journal: string | null
  #next: number
  /** `sha256` of the last record that was delivered; `null`: none. */
  #sha256: string | null
  #place: ShippedEnd['place'] = null
  /** Records that were read and not delivered, in order. */
  #held: Held[] = []
  #delivered = 0
  #retries = 0
  #removed = 0
  #cursorError: unknown = null
  /** Where to begin again, because the target has lost what it had acknowledged. */
  #resumeFrom: number | null = null

  constructor(settings: Settings, cursor: ShipCursor | null) {
    this.#settings = settings
    this.#journal = cursor?.journal ?? null
    this.#next = cursor?.next ?? 0
    this.#sha256 = cursor?.sha256 ?? null
  }

  get report(): ShipReport {
    return {
      delivered: this.#delivered,
      retries: this.#retries,
      removed: this.#removed,
      held: this.#held.length,
      nextSequence: this.#next,
    }
  }

  async run(): Promise<void> {
    do {
      await this.#resume()
      await this.#read()
    } while (this.#resumeFrom !== null)
    if (this.#cursorError !== null) await this.#saveCursorAtLast()
  }

  /** Reads and delivers until the end, or until it has to begin again further before. */
  async #read(): Promise<void> {
    const { directory, once, signal, pollMilliseconds, wait } = this.#settings
    const stop = new AbortController()
    const entries = readJournal(directory, {
      fromSequence: this.#next,
      follow: !once,
      pollMilliseconds,
      signal: signal === undefined ? stop.signal : AbortSignal.any([signal, stop.signal]),
      wait: async (milliseconds) => {
        await this.#deliverRest() // the reader has nothing more for now
        if (this.#resumeFrom === null) await wait(milliseconds, signal)
        else stop.abort()
      },
    })
    for await (const entry of entries) {
      this.#hold(entry)
      if (coversWhatIsBefore(entry)) await this.#deliver(this.#held.length - 1)
      if (signal?.aborted === true || this.#resumeFrom !== null) return
    }
    if (once) await this.#deliverRest()
  }

  /** Goes back to what the target has lost, also for the next run. Where retention has removed it, it counts as removed. */
  async #resume(): Promise<void> {
    if (this.#resumeFrom === null) return
    const last = await firstOf(readJournal(this.#settings.directory, { fromSequence: Math.max(0, this.#resumeFrom - 1) }))
    const delivered = last !== null && last.record.seq === this.#resumeFrom - 1 ? last.record.sha256 : null
    this.#next = this.#resumeFrom
    this.#sha256 = delivered
    this.#place = null
    this.#held = []
    this.#resumeFrom = null
    await this.#saveCursor()
  }

  /** Takes a record up. What was read and is written anew, because its sync failed, makes way. */
  #hold(entry: JournalEntry): void {
    const { record, line, offset } = entry
    this.#assertSameJournal(entry)
    while ((this.#held.at(-1)?.record.seq ?? -1) >= record.seq) this.#held.pop()
    const before = this.#held.at(-1)?.record ?? null
    const expected = before === null ? this.#next : before.seq + 1
    const sha256 = before === null ? this.#sha256 : before.sha256
    if (record.seq < expected || (record.seq === expected && sha256 !== null && record.prev !== sha256)) throw rewritten()
    this.#removed += record.seq - expected
    if (this.#held.length >= MAX_HELD_RECORDS) {
      throw new ShipError('checkpoint_missing', `the journal goes on for ${MAX_HELD_RECORDS} records without a checkpoint`)
    }
    this.#held.push({ ...entry, end: offset + Buffer.byteLength(line, 'utf8') + 1 })
  }

  #assertSameJournal(entry: JournalEntry): void {
    if (entry.record.kind !== 'segment' && this.#journal !== null) return
    const journal = journalOf(entry)
    if (journal === null || (this.#journal !== null && journal !== this.#journal)) throw rewritten()
    this.#journal = journal
  }

  /** Delivers what nobody will write anew, because nobody writes. */
  async #deliverRest(): Promise<void> {
    const { directory, now, signal } = this.#settings
    if (this.#held.length === 0 || signal?.aborted === true || (await hasWriter(directory, now()))) return
    for (const segment of new Set(this.#held.map((each) => each.segment))) await syncSegment(join(directory, segment))
    await this.#deliver(this.#held.length)
  }

  /** Delivers the first records that are held, in batches. */
  async #deliver(count: number): Promise<void> {
    for (let left = count; left > 0; ) {
      const batch = this.#batchOf(left)
      if (!(await this.#deliverBatch(batch))) return
      left -= batch.length
    }
  }

  #batchOf(most: number): readonly Held[] {
    const candidates = this.#held.slice(0, Math.min(most, this.#settings.batchRecords))
    let bytes = 0
    const tooMuch = candidates.findIndex((each, index) => {
      bytes += each.end - each.offset
      return bytes > MAX_BATCH_BYTES && index > 0
    })
    return tooMuch === -1 ? candidates : candidates.slice(0, tooMuch)
  }

  /** Tries until the target has acknowledged. @returns `false` where the signal ended that, or where it has to begin again before */
  async #deliverBatch(batch: readonly Held[]): Promise<boolean> {
    const { signal, maxAttempts } = this.#settings
    const records = batch.map((each) => deliveryRecordOf(each, this.#journal as string))
    for (let attempts = 1; signal?.aborted !== true; attempts++) {
      const failure = await this.#attempt(records)
      if (failure === null) {
        await this.#acknowledged(batch)
        return true
      }
      this.#retries++
      await this.#tell(failure.error)
      this.#resumeFrom = lostFrom(failure.error, this.#journal as string, this.#next)
      if (this.#resumeFrom !== null) return false
      if (attempts === maxAttempts) throw targetFailed(failure.error)
      await this.#backOff(attempts)
    }
    return false
  }

  async #attempt(records: readonly DeliveryRecord[]): Promise<{ readonly error: unknown } | null> {
    try {
      await this.#settings.deliver(records)
      return null
    } catch (error) {
      return { error }
    }
  }

  async #backOff(attempts: number): Promise<void> {
    const { firstBackOffMilliseconds, longestBackOffMilliseconds, random, wait, signal } = this.#settings
    const ceiling = Math.min(longestBackOffMilliseconds, firstBackOffMilliseconds * 2 ** (attempts - 1))
    await wait(Math.floor(random() * ceiling), signal)
  }

  /** The records are at the target: so says the cursor from now on. Where it cannot be saved, that is tried again with the next ones. */
  async #acknowledged(batch: readonly Held[]): Promise<void> {
    const last = batch.at(-1) as Held
    this.#held = this.#held.slice(batch.length)
    this.#delivered += batch.length
    this.#next = last.record.seq + 1
    this.#sha256 = last.record.sha256
    this.#place = { segment: last.segment, end: last.end }
    await this.#saveCursor()
    await this.#tell(this.#cursorError)
  }

  async #saveCursor(): Promise<void> {
    try {
      if (this.#sha256 === null) await removeCursor(this.#settings.cursorFile)
      else await saveCursor(this.#settings.cursorFile, this.#cursorAt(this.#sha256))
      this.#cursorError = null
    } catch (error) {
      this.#cursorError = error
    }
  }

  #cursorAt(sha256: string): ShipCursor {
    return { journal: this.#journal as string, next: this.#next, sha256 }
  }

  async #saveCursorAtLast(): Promise<void> {
    await this.#saveCursor()
    if (this.#cursorError === null) return
    const code = systemCodeOf(this.#cursorError)
    throw new ShipError(
      'cursor_unsaved',
      `the cursor cannot be saved (${code}): the next run delivers again what it does not say`,
    )
  }

  async #tell(error: unknown): Promise<void> {
    const { directory, now, onProgress } = this.#settings
    if (onProgress === null) return
    const lag = await measureLag(directory, { next: this.#next, place: this.#place })
    const oldest = this.#held.map(({ record }) => timeOf(record)).find((time) => time !== null) ?? null
    const secondsBehind = oldest === null ? null : Math.max(0, (now() - oldest) / 1000)
    onProgress(Object.freeze({ ...this.report, ...lag, secondsBehind, error }))
  }
}

/**
 * The first record that a target no longer holds although it had acknowledged it, where its error says so
 * (`resumeFrom: { chain, sequence }`). `null`: nothing is lost.
 */
function lostFrom(error: unknown, chain: string, next: number): number | null {
  const { resumeFrom } = (error ?? {}) as { readonly resumeFrom?: Partial<Pick<DeliveryRecord, 'chain' | 'sequence'>> | null }
  const { chain: lostChain, sequence = next } = resumeFrom ?? {}
  return lostChain === chain && Number.isSafeInteger(sequence) && sequence >= 0 && sequence < next ? sequence : null
}

/** A checkpoint covers records that its writer had synced before; a segment begins behind the last one that was. */
function coversWhatIsBefore({ record }: JournalEntry): boolean {
  return record.kind === 'checkpoint' || record.kind === 'segment'
}

/** Whether somebody may be writing to the journal: there is a lock, and its holder has said lately that it is alive. */
async function hasWriter(directory: string, nowMilliseconds: number): Promise<boolean> {
  try {
    return nowMilliseconds - (await stat(join(directory, 'lock'))).mtimeMs <= WRITER_SILENCE_MILLISECONDS
  } catch (error) {
    return systemCodeOf(error) !== 'ENOENT'
  }
}

/** Of a writer that was killed, the last records may be nowhere but in memory. A segment that was removed meanwhile needs nothing. */
async function syncSegment(path: string): Promise<void> {
  const file = await open(path, constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0)).catch(() => null)
  try {
    await file?.datasync()
  } finally {
    await file?.close()
  }
}

function deliveryRecordOf({ record, line }: JournalEntry, journal: string): DeliveryRecord {
  const { seq, kind, body } = record
  const id = kind === 'event' ? (body as JsonObject)['id'] : null
  const event = typeof id === 'string' && id !== '' ? (body as unknown as AuditEvent) : null
  return Object.freeze({ id: event?.id ?? `${journal}/${seq}`, chain: journal, sequence: seq, body: line, event })
}

function rewritten(): ShipError {
  return new ShipError(
    'journal_rewritten',
    'the journal changed behind what was delivered, or its parts are of different journals',
  )
}

function targetFailed(cause: unknown): ShipError {
  return new ShipError('target_failed', 'the target took no records, as often as it was tried', { cause })
}

const WHERE = 'shipJournal()'
const MEMBERS = [
  'directory',
  'target',
  'cursorFile',
  'once',
  'signal',
  'onProgress',
  'batchRecords',
  'maxAttempts',
  'firstBackOffMilliseconds',
  'longestBackOffMilliseconds',
  'pollMilliseconds',
  'now',
  'random',
  'wait',
]
const ATTEMPTS_ONCE = 5
/** A pause beyond an hour is no pause. */
const LONGEST_MILLISECONDS = 3_600_000

function settingsOf(options: ShipOptions): Settings {
  const members = membersOf(options, WHERE, MEMBERS)
  const integer = (name: string, least: number, most: number, fallback: number) =>
    optional(members, name, WHERE, (value, at) => integerAt(value, at, least, most), fallback)
  const once = optional(members, 'once', WHERE, booleanAt, false)
  const firstBackOffMilliseconds = integer('firstBackOffMilliseconds', 1, LONGEST_MILLISECONDS, 200)
  const longestBackOffMilliseconds = integer('longestBackOffMilliseconds', 1, LONGEST_MILLISECONDS, 30_000)
  if (longestBackOffMilliseconds < firstBackOffMilliseconds) {
    throw new ConfigError(`${WHERE}.longestBackOffMilliseconds must be at least firstBackOffMilliseconds`)
  }
  return {
    directory: stringAt(members['directory'], `${WHERE}.directory`),
    cursorFile: stringAt(members['cursorFile'], `${WHERE}.cursorFile`),
    deliver: deliverOf(members['target']),
    once,
    signal: optional(members, 'signal', WHERE, signalAt, undefined),
    onProgress: optional(members, 'onProgress', WHERE, functionAt<(progress: ShipProgress) => void>, null),
    batchRecords: integer('batchRecords', 1, 10_000, 500),
    maxAttempts: integer('maxAttempts', 0, Number.MAX_SAFE_INTEGER, once ? ATTEMPTS_ONCE : 0),
    firstBackOffMilliseconds,
    longestBackOffMilliseconds,
    pollMilliseconds: integer('pollMilliseconds', 1, 60_000, 250),
    now: optional(members, 'now', WHERE, functionAt<() => number>, Date.now),
    random: optional(members, 'random', WHERE, functionAt<() => number>, Math.random),
    wait: optional(members, 'wait', WHERE, functionAt<Settings['wait']>, waitFor),
  }
}

function deliverOf(target: unknown): DeliveryTarget['deliver'] {
  const { deliver } = (target ?? {}) as Partial<DeliveryTarget>
  functionAt(deliver, `${WHERE}.target.deliver`)
  return (records) => (target as DeliveryTarget).deliver(records)
}

function signalAt(value: unknown, where: string): AbortSignal {
  if (!(value instanceof AbortSignal)) throw new ConfigError(`${where} must be an AbortSignal`)
  return value
}

async function waitFor(milliseconds: number, signal: AbortSignal | undefined): Promise<void> {
  await delay(milliseconds, undefined, { ...(signal && { signal }) }).catch(() => undefined) // ended by the signal
}
