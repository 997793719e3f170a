import { JournalError } from '../journal-error.js'
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

  /** @param beat called every two seconds: whatever time alone brings can be looked after then */
  constructor(directory: string, now: () => number, beat: () => void) {
    this.#directory = directory
    this.#now = now
    this.#beat = beat
  }

  /** Resolves when the lock is ours. @throws {JournalError} `locked` where it is somebody else's, or is so now */
  async hold(): Promise<void> {
    if (this.#lock === null) {
      this.#lock = await acquireWriterLock(this.#directory, this.#now)
      this.#seenAt = performance.now()
      this.#heartbeat ??= setInterval(() => this.#refresh(), REFRESH_MILLISECONDS).unref()
    } else if (performance.now() - this.#seenAt > TRUSTED_MILLISECONDS) {
      await this.#lock.refresh()
      this.#seenAt = performance.now()
    }
  }

  /** The lock is somebody else's now. */
  drop(): void {
    this.#lock = null
  }

  /** Gives the lock up. Never rejects. */
  async release(): Promise<void> {
    if (this.#heartbeat !== null) clearInterval(this.#heartbeat)
    await this.#lock?.release().catch(() => {})
    this.#lock = null
  }

  async #refresh(): Promise<void> {
    try {
      await this.#lock?.refresh()
      this.#seenAt = performance.now()
    } catch (error) {
      // That it was taken away is found out before the next write; the disk's trouble shows there by itself.
      if (error instanceof JournalError) this.#seenAt = Number.NEGATIVE_INFINITY
    }
    this.#beat()
  }
}
