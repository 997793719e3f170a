import { JournalError } from '../journal-error.js'
import { LockWatch } from './lock-watch.js'
import { acquireWriterLock, REFRESH_MILLISECONDS, type WriterLock } from './writer-lock.js'

/** Who was silent for longer makes sure that the lock is still its own before it writes, in milliseconds. */
const TRUSTED_MILLISECONDS = 5_000

/** Holds the lock of a directory as long as it can: says at times that its holder is alive, and finds out when it was taken for dead. */
export class LockKeeper {
  readonly #directory: string
  readonly #now: () => number
  readonly #beat: () => void
  #lock: WriterLock | null = null
  /** By the monotonic clock, in milliseconds. */
  #seenAt = 0
  #heartbeat: NodeJS.Timeout | null = null
  #refreshing = false
  #released = false
  readonly #watch = new LockWatch()

  /** @param beat called every two seconds: whatever time alone brings can be looked after then */
  constructor(directory: string, now: () => number, beat: () => void) {
    this.#directory = directory
    this.#now = now
    this.#beat = beat
  }

  /** Resolves when the lock is ours. @throws {JournalError} `locked` where it is somebody else's, or is so now */
  async hold(): Promise<void> {
    if (this.#lock !== null) return this.assertHeld()
    const lock = await acquireWriterLock(this.#directory, this.#now, this.#watch)
    if (this.#released) {
      await lock.release()
      throw new JournalError('closed', 'the journal was closed while it was opened')
    }
    this.#lock = lock
    this.#seenAt = performance.now()
    this.#heartbeat ??= setInterval(() => this.#refresh(), REFRESH_MILLISECONDS).unref()
  }

  /**
   * Makes sure that the lock is still ours; asks the disk only after a silence. Called before and after whatever can take long: whoever
   * was stopped in the middle of it may have been taken for dead.
   * @throws {JournalError} `locked` where it is somebody else's
   */
  async assertHeld(): Promise<void> {
    if (this.#lock === null) throw new JournalError('locked', 'the lock of the journal is not held any more')
    if (performance.now() - this.#seenAt <= TRUSTED_MILLISECONDS) return
    await this.#lock.refresh()
    this.#seenAt = performance.now()
  }

  /** Lets the lock go, where it is ours still; it can be taken again. Never rejects. */
  async drop(): Promise<void> {
    const lock = this.#lock
    this.#lock = null
    await lock?.release().catch(() => {})
  }

  /** Gives the lock up, for good. Never rejects. */
  async release(): Promise<void> {
    this.#released = true
    if (this.#heartbeat !== null) clearInterval(this.#heartbeat)
    await this.drop()
  }

  /** One at a time: on a disk that hangs each of them holds a thread of Node's pool. */
  async #refresh(): Promise<void> {
    this.#beat()
    if (this.#refreshing) return
    this.#refreshing = true
    try {
      await this.#lock?.refresh()
      this.#seenAt = performance.now()
    } catch (error) {
      // That it was taken away is found out before the next write; the disk's trouble shows there by itself.
      if (error instanceof JournalError) this.#seenAt = Number.NEGATIVE_INFINITY
    }
    this.#refreshing = false
  }
}
