import { functionAt, integerAt, membersOf, optional } from '../config-shape.js'
import { joinedEntry, type RevocationEntry } from './entry.js'
import { RevocationError, type RevocationSet } from './revocation-set.js'

/** Options of {@link memoryRevocations}. */
export interface MemoryRevocationsOptions {
  /** Most entries that are kept; a full set refuses new ones. Each takes some 200 bytes. Default 100,000. */
  readonly maxEntries?: number
  /** The clock, in milliseconds since the epoch: entries past their time make room. Default `Date.now`. */
  readonly now?: () => number
}

const DEFAULT_MAX_ENTRIES = 100_000
/** More than a `Map` can hold would fail later. */
const MOST_ENTRIES = 2 ** 24 - 1

/**
 * A set of revocations of this process alone: for an API that has no replicas, and forgotten when it ends. A full set refuses new
 * entries rather than forget one.
 * @throws {ConfigError}
 */
export function memoryRevocations(options: MemoryRevocationsOptions = {}): RevocationSet {
  const where = 'memoryRevocations()'
  const members = membersOf(options, where, ['maxEntries', 'now'])
  return new MemoryRevocations(
    optional(members, 'maxEntries', where, (value, at) => integerAt(value, at, 1, MOST_ENTRIES), DEFAULT_MAX_ENTRIES),
    optional(members, 'now', where, functionAt<() => number>, Date.now),
  )
}

/** What is revoked, in memory: a set of its own, and the copy that a shared one keeps. */
export class MemoryRevocations implements RevocationSet {
  readonly #entries = new Map<string, RevocationEntry>()
  readonly #maxEntries: number
  readonly #now: () => number
  #version = 0
  /** Up to then entries were forgotten: where the clock is set back before that, nobody knows which of them still matter. */
  #forgottenUntil = Number.NEGATIVE_INFINITY
  /** No entry is past its time before then. */
  #nextEnd = Number.POSITIVE_INFINITY

  constructor(maxEntries: number, now: () => number) {
    this.#maxEntries = maxEntries
    this.#now = now
  }

  get version(): number {
    return this.#version
  }

  add(entry: RevocationEntry): void {
    const earlier = this.#entries.get(entry.key)
    if (earlier === undefined) this.#makeRoom()
    const kept = earlier === undefined ? Object.freeze({ ...entry }) : joinedEntry(earlier, entry)
    this.#entries.set(entry.key, kept)
    this.#nextEnd = Math.min(this.#nextEnd, kept.keepUntil)
    this.#version++
  }

  find(key: string): RevocationEntry | undefined {
    return this.#entries.get(key)
  }

  wholeAt(now: number): number {
    return now < this.#forgottenUntil ? Number.NEGATIVE_INFINITY : now
  }

  /** @throws {RevocationError} `full` */
  #makeRoom(): void {
    if (this.#entries.size < this.#maxEntries) return
    if (this.#nextEnd <= this.#now()) this.#forgetEnded()
    if (this.#entries.size >= this.#maxEntries) throw new RevocationError('full')
  }

  /** Looks at every entry; not before one of them can be past its time. */
  #forgetEnded(): void {
    const now = this.#now()
    this.#nextEnd = Number.POSITIVE_INFINITY
    for (const [key, { keepUntil }] of this.#entries) {
      if (keepUntil <= now) {
        this.#entries.delete(key)
        this.#forgottenUntil = Math.max(this.#forgottenUntil, keepUntil)
      } else this.#nextEnd = Math.min(this.#nextEnd, keepUntil)
    }
  }
}
