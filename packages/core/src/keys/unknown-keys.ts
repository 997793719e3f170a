import { LRUCache } from 'lru-cache'
import type { Algorithm } from '../token/algorithms.js'

/**
 * Key ids that an issuer was asked for in vain. Only a fetch that succeeded makes an entry; it ends after some time, and with
 * every change of the key set.
 */
export class UnknownKeys {
  readonly #entries: LRUCache<string, number>
  readonly #milliseconds: number

  constructor(most: number, seconds: number) {
    this.#entries = new LRUCache<string, number>({ max: most })
    this.#milliseconds = seconds * 1000
  }

  add(kid: string | null, algorithm: Algorithm, nowMilliseconds: number): void {
    this.#entries.set(nameOf(kid, algorithm), nowMilliseconds)
  }

  /** Milliseconds since a key id turned out to be unknown; `null` where that is not known (any more). */
  age(kid: string | null, algorithm: Algorithm, nowMilliseconds: number): number | null {
    const since = this.#entries.get(nameOf(kid, algorithm))
    if (since === undefined) return null
    const age = nowMilliseconds - since
    return age >= 0 && age < this.#milliseconds ? age : null
  }

  clear(): void {
    this.#entries.clear()
  }
}

/** One text for each pair: an algorithm has no colon, and a missing id has none after it. */
function nameOf(kid: string | null, algorithm: Algorithm): string {
  return kid === null ? algorithm : `${algorithm}:${kid}`
}
