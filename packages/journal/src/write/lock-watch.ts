import { lstat } from 'node:fs/promises'
import { systemCodeOf } from '../journal-error.js'

/** A holder that cannot be looked at (another container or machine) is dead when its lock has not changed for so long, in milliseconds. */
export const SILENCE_MILLISECONDS = 10_000

/**
 * Watches whether files change, by the monotonic clock alone: wall clocks jump, and those of two machines differ. So the first look never
 * finds silence.
 */
export class LockWatch {
  readonly #clock: () => number
  readonly #seen = new Map<string, { readonly mark: string; readonly since: number }>()

  /** @param clock milliseconds, monotonic; `performance.now` but in tests */
  constructor(clock: () => number = () => performance.now()) {
    this.#clock = clock
  }

  /** Whether a file has not changed for ten seconds, as far as it was looked at; also where it is gone. */
  async isSilent(path: string): Promise<boolean> {
    const mark = await markOf(path)
    const seen = this.#seen.get(path)
    if (mark === null) {
      this.#seen.delete(path)
      return true
    }
    if (seen?.mark === mark) return this.#clock() - seen.since > SILENCE_MILLISECONDS
    this.#seen.set(path, { mark, since: this.#clock() })
    return false
  }
}

async function markOf(path: string): Promise<string | null> {
  try {
    const { ino, mtimeMs, size } = await lstat(path)
    return `${ino} ${mtimeMs} ${size}`
  } catch (error) {
    if (systemCodeOf(error) === 'ENOENT') return null
    throw error
  }
}
