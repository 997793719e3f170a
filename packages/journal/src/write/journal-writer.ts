import { JournalError, systemCodeOf } from '../journal-error.js'
import type { Intake, Pending } from './intake.js'
import { JournalLog } from './journal-log.js'
import type { JournalSettings } from './journal-options.js'
import type { RecordBatch } from './record-batch.js'
import type { RefusalSummary } from './refusal-limit.js'
import { createReserve, type Reserve } from './reserve.js'
import { Waiters } from './waiters.js'

/** How a journal is: before its directory is open, writing, without a working disk, or at its end. */
export type JournalState = 'opening' | 'writing' | 'failing' | 'closed'

/** Most records, and bytes of them, in one write: making the lines of so many takes a few milliseconds. */
const BATCH_RECORDS = 1_024
const BATCH_BYTES = 1024 * 1024

/** Pauses before the disk is tried again, in milliseconds: service is back within two seconds of its recovery. */
const FIRST_PAUSE_MILLISECONDS = 100
const LONGEST_PAUSE_MILLISECONDS = 1_000
const UNREADABLE_PAUSE_MILLISECONDS = 30_000

/** Longest wait for the lock to be given up, in milliseconds: on a disk that hangs it is given up when that goes on. */
const FREE_MILLISECONDS = 2_000

/** Refusals that were counted are said so often, in milliseconds. */
const SUMMARY_MILLISECONDS = 10_000

/** What the system says where there is no room. */
const DISK_FULL: ReadonlySet<string> = new Set(['ENOSPC', 'EDQUOT'])

/**
 * Brings what the intake holds to the disk: one write and one sync are under way, and the next takes all that came meanwhile.
 * After any failure it goes on in a new segment, with the same events, until the disk takes them.
 */
export class JournalWriter {
  readonly #settings: JournalSettings
  readonly #intake: Intake
  readonly #log: JournalLog
  readonly #reserve: Reserve
  readonly #waiters = new Waiters()
  #state: JournalState = 'opening'
  #running: Promise<void> | null = null
  #retry: NodeJS.Timeout | null = null
  #failures = 0
  /** Why the last attempt failed. */
  #lastError: JournalError | null = null
  #checkpointTimer: NodeJS.Timeout | null = null
  #checkpointDue = false
  #summaries: readonly RefusalSummary[] = []
  #summariesDueAt = 0
  /** The reserve is not there: nothing is written before it is. */
  #full = true
  #stopping = false
  /** The last records are on disk. */
  #stopped = false

  constructor(settings: JournalSettings, intake: Intake) {
    this.#settings = settings
    this.#intake = intake
    this.#log = new JournalLog(settings, () => this.wake())
    this.#reserve = createReserve(settings.directory, settings.reserveBytes, settings.createFile)
  }

  get state(): JournalState {
    return this.#state
  }

  /** There may be something to write. */
  wake(): void {
    if (this.#running !== null || this.#retry !== null || this.#state === 'closed') return
    this.#running = Promise.resolve().then(() => this.#run()) // the events of one turn go together
  }

  /** Resolves when the directory is open; rejects where the attempt under way, or the last one, failed. */
  ready(): Promise<void> {
    if (this.#closed()) return Promise.reject(closedError())
    if (this.#retry !== null && this.#state === 'opening') return Promise.reject(this.#lastError)
    this.wake()
    return this.#waiters.attempt(() => this.#state === 'writing')
  }

  /** Resolves when so many events are on disk since the journal was made; rejects where that takes too long. */
  async written(events: number, timeoutMilliseconds: number): Promise<void> {
    this.wake()
    if (!(await this.#waiters.within(timeoutMilliseconds, () => this.#intake.written >= events))) throw unavailable()
  }

  /** Ends the journal: what waits, its last records, the lock. Rejects where the disk does not take them in time. */
  async close(timeoutMilliseconds: number): Promise<void> {
    this.#stopping = true
    if (this.#running === null && this.#hasNothingToEnd()) this.#stopped = true
    this.wake()
    await this.#waiters.within(timeoutMilliseconds, () => this.#stopped)
    this.#state = 'closed'
    for (const each of [this.#retry, this.#checkpointTimer]) if (each !== null) clearTimeout(each)
    this.#waiters.settle(closedError())
    const lost = this.#intake.abandon()
    await Promise.race([this.#free(), after(FREE_MILLISECONDS)])
    if (lost > 0)
      throw new JournalError('unavailable', `the journal was closed while its disk took no records: ${lost} event(s) are lost`)
  }

  /** The directory was never open, and nobody has written: there is nothing to end. */
  #hasNothingToEnd(): boolean {
    return this.#state === 'opening' && this.#intake.size === 0
  }

  /** The lock is given up only when no write is under way: on a disk that hangs, that is when it does not hang any more. */
  async #free(): Promise<void> {
    await this.#running
    await this.#log.letGo()
    await this.#log.release()
  }

  /** Steps until there is nothing more to do. Never rejects. */
  async #run(): Promise<void> {
    try {
      while (this.#hasWork()) {
        await this.#step()
        this.#succeeded()
      }
    } catch (error) {
      await this.#failed(error)
    }
    this.#running = null
    if (this.#retry === null && this.#hasWork()) this.wake()
  }

  /** Closed before it had come to its end: whoever has the directory now goes on from what was on disk. */
  #closed(): boolean {
    return this.#state === 'closed'
  }

  #hasWork(): boolean {
    if (this.#state === 'closed' || this.#stopped) return false
    if (!this.#log.isOpen || this.#full || this.#state === 'failing') return true
    if (this.#intake.size > 0 || this.#intake.losses.pending || this.#summaries.length > 0) return true
    return this.#checkpointIsDue() || this.#log.rotationIsDue || this.#summariesAreDue() || (this.#stopping && !this.#stopped)
  }

  async #step(): Promise<void> {
    this.#intake.disown(await this.#log.hold())
    if (this.#full) await this.#takeReserve()
    await this.#write((batch) => this.#addWaiting(batch))
    if (this.#log.rotationIsDue) await this.#rotate()
    if (this.#stopping && !this.#stopped && this.#intake.size === 0) await this.#stop()
  }

  /** Where there is no room for the reserve, there is none for records: what is written stays as it is. */
  async #takeReserve(): Promise<void> {
    try {
      await this.#reserve.take()
    } catch (error) {
      throw new ReserveError(systemCodeOf(error))
    }
    this.#full = false
  }

  /** Records for one write. A checkpoint covers all that is on disk, so it stands before what is not. */
  async #write(fill: (batch: RecordBatch) => void): Promise<void> {
    if (this.#closed()) throw closedError()
    await this.#log.write((batch) => {
      if (batch.isEmpty && this.#checkpointIsDue()) this.#addCheckpoint(batch)
      fill(batch)
    })
    this.#armCheckpoint()
  }

  /** What waits, as much as goes into one write. */
  #addWaiting(batch: RecordBatch): void {
    const gaps = this.#intake.losses.take()
    batch.onFailed(() => this.#intake.losses.giveBack(gaps))
    for (const gap of gaps) batch.add('gap', gap)
    if (this.#summariesAreDue()) this.#takeSummaries()
    for (const summary of this.#summaries) batch.add('refusals', summary)
    const pending = this.#intake.take(BATCH_RECORDS, BATCH_BYTES)
    const sequences = pending.map(({ body }) => batch.addEvent(body))
    batch.onCommitted(() => {
      this.#summaries = []
      for (const [index, each] of pending.entries()) this.#track(each, sequences[index] as number)
      this.#intake.done(pending.length)
    })
  }

  #track({ role, requestId }: Pending, sequence: number): void {
    if (role === 'admission') this.#log.opened(requestId, sequence)
    else if (role === 'outcome') this.#log.closed(requestId)
  }

  #addCheckpoint(batch: RecordBatch): void {
    const note = batch.addCheckpoint(this.#settings.now())
    batch.onCommitted(() => {
      this.#checkpointDue = false
      this.#tellCheckpoint(note)
    })
  }

  #tellCheckpoint(note: string): void {
    const { onCheckpoint } = this.#settings
    if (onCheckpoint === null || this.#closed()) return
    const failed = () =>
      process.emitWarning('behalf: onCheckpoint of a journal failed: a checkpoint has no copy outside', {
        code: 'BEHALF_JOURNAL_CHECKPOINT',
      })
    try {
      const told = onCheckpoint(note)
      if (told !== undefined) Promise.resolve(told).catch(failed)
    } catch {
      failed()
    }
  }

  #checkpointIsDue(): boolean {
    const { uncovered } = this.#log
    return uncovered > 0 && (this.#checkpointDue || uncovered >= this.#settings.checkpointRecords)
  }

  #armCheckpoint(): void {
    if (this.#checkpointTimer !== null || this.#log.uncovered === 0) return
    this.#checkpointTimer = setTimeout(() => {
      this.#checkpointTimer = null
      this.#checkpointDue = true
      this.wake()
    }, this.#settings.checkpointSeconds * 1000).unref()
  }

  async #rotate(): Promise<void> {
    await this.#log.finishSegment(() => this.#cover())
    await this.#log.planRemoval()
  }

  /** A checkpoint over everything. */
  async #cover(): Promise<void> {
    this.#checkpointDue = true
    await this.#write(() => {})
  }

  async #stop(): Promise<void> {
    this.#takeSummaries()
    await this.#write((batch) => {
      this.#addWaiting(batch)
      batch.add('end', { time: new Date(this.#settings.now()).toISOString() })
    })
    await this.#log.finishSegment(() => this.#cover())
    this.#stopped = true
  }

  #summariesAreDue(): boolean {
    return this.#intake.refusals.pending && this.#summaries.length === 0 && performance.now() >= this.#summariesDueAt
  }

  #takeSummaries(): void {
    if (this.#summaries.length > 0) return
    this.#summaries = this.#intake.refusals.take(this.#settings.now())
    this.#summariesDueAt = performance.now() + SUMMARY_MILLISECONDS
  }

  #succeeded(): void {
    if (this.#state !== 'closed') this.#state = 'writing'
    this.#failures = 0
    this.#intake.setUnavailable(this.#stopping ? 'closed' : null)
    this.#waiters.settle(null)
  }

  /** Leaves what failed behind, and tries again before long. */
  async #failed(error: unknown): Promise<void> {
    if (this.#state === 'closed') return
    if (this.#state !== 'opening') this.#state = 'failing'
    this.#intake.setUnavailable(this.#stopping ? 'closed' : 'unavailable')
    await this.#leaveBehind(error)
    if (this.#stopping && this.#hasNothingToEnd()) this.#stopped = true
    this.#lastError = error instanceof JournalError ? error : unavailable()
    this.#waiters.settle(this.#lastError)
    const pause = pauseAfter(this.#lastError, this.#failures++)
    this.#retry = setTimeout(() => {
      this.#retry = null
      this.wake()
    }, pause)
    if (this.#intake.size === 0 && !this.#stopping) this.#retry.unref()
  }

  async #leaveBehind(error: unknown): Promise<void> {
    const code = error instanceof JournalError || error instanceof ReserveError ? error.code : systemCodeOf(error)
    this.#warnOnce(code)
    if (error instanceof ReserveError) return
    if (code === 'locked' || code === 'unreadable') return this.#log.giveUp()
    await this.#log.abandonSegment(code)
    if (DISK_FULL.has(code)) await this.#tellFull()
  }

  /** Once for each time of trouble. */
  #warnOnce(code: string): void {
    if (this.#failures > 0) return
    const { whenUnavailable, directory } = this.#settings
    const meanwhile = whenUnavailable === 'refuse' ? 'decisions are refused' : 'events are counted'
    process.emitWarning(`behalf: the journal in ${directory} cannot write (${code}): ${meanwhile} until it can`, {
      code: 'BEHALF_JOURNAL_TROUBLE',
    })
  }

  /** Uses the room that was kept to say that there is no other. */
  async #tellFull(): Promise<void> {
    this.#full = true
    await this.#reserve.giveUp()
    if (!this.#log.isOpen) return
    try {
      await this.#log.write(() => {})
    } catch (error) {
      await this.#log.abandonSegment(systemCodeOf(error))
    }
  }
}

/** There is no room for the reserve. */
class ReserveError extends Error {
  readonly code: string

  constructor(code: string) {
    super('there is no room for the reserve of the journal')
    this.code = code
  }
}

/** What cannot be read will not be different before somebody has looked at it; to find that out can take a second each time. */
function pauseAfter({ code }: JournalError, failures: number): number {
  if (code === 'unreadable') return UNREADABLE_PAUSE_MILLISECONDS
  return Math.min(LONGEST_PAUSE_MILLISECONDS, FIRST_PAUSE_MILLISECONDS * 2 ** failures)
}

function after(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds).unref())
}

function closedError(): JournalError {
  return new JournalError('closed', 'the journal is closed')
}

function unavailable(): JournalError {
  return new JournalError('unavailable', 'the disk of the journal takes no records now')
}
