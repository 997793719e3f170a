import type { RevocationEntry } from './entry.js'

/**
 * What is revoked, for all replicas that share it. It is asked on every request, so `find` answers at once, from memory; a set that is
 * shared keeps a copy there, and says how old that may be.
 */
export interface RevocationSet {
  /**
   * Adds an entry, beside those that are there: one of the same key is joined with it, and nothing takes one away before its time.
   * Resolves when the set keeps it, and {@link RevocationSet.find} of this very object answers with it. Rejects where that is not so,
   * also where the set is full: nothing is dropped for it.
   */
  add(entry: RevocationEntry): void | Promise<void>
  /** The entry of a key, `undefined` where there is none. */
  find(key: string): RevocationEntry | undefined
  /** Changes with whatever makes {@link RevocationSet.find} answer otherwise for any key. */
  readonly version: number
  /**
   * As of when the set is known to hold everything that was added by anybody, in milliseconds since the epoch by the clock that `now` was
   * read from; `now` for a set that nobody shares, `-Infinity` for one that has not been read yet.
   */
  wholeAt(now: number): number
  /** Resolves when the set can be believed. For readiness probes. */
  ready?(): Promise<void>
  /** Ends its connections; called when the resource server is closed. */
  close?(): Promise<void>
}

/** Something could not be revoked. */
export class RevocationError extends Error {
  override readonly name = 'RevocationError'
  /** Stable reason: `full`, the set takes no more entries; `unavailable`, it cannot be reached. */
  readonly code: 'full' | 'unavailable'

  constructor(code: 'full' | 'unavailable') {
    super(
      code === 'full'
        ? 'the set of revocations is full: nothing was revoked. Raise its maxEntries, or shorten the lifetime of tokens'
        : 'the set of revocations cannot be reached: whether anything was revoked is not known',
    )
    this.code = code
  }
}
