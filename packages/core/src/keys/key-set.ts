import type { Algorithm } from '../token/algorithms.js'
import { keyFits, type VerificationKey } from './verification-key.js'

/** The keys of one issuer, where they come from hidden. */
export interface KeySet {
  /**
   * The keys as they are now; a promise only where they have to be fetched first.
   * @throws {AuthError} `keys_unavailable`: our trouble, never the caller's
   */
  current(): KeySnapshot | Promise<KeySnapshot>
  /**
   * The key that a token names.
   * @param kid `null` where the token names none: then exactly one key must fit the algorithm
   * @throws {AuthError} `key_unknown`, `keys_unavailable`
   */
  find(kid: string | null, algorithm: Algorithm): Promise<VerificationKey>
  /** The keys that were read last, whatever their age; `null` before there are any. Never fetches. */
  readonly latest: KeySnapshot | null
}

/** The keys of one issuer at one time. Never changed after it is made. */
export class KeySnapshot {
  readonly #keys: readonly VerificationKey[]
  readonly #thumbprints: ReadonlySet<string>
  /** When the keys were read, in milliseconds since the epoch; `null` for keys that are configured. */
  readonly fetchedAt: number | null

  constructor(keys: readonly VerificationKey[], fetchedAt: number | null) {
    this.#keys = keys
    this.#thumbprints = new Set(keys.map((key) => key.thumbprint))
    this.fetchedAt = fetchedAt
  }

  /** The one key that fits, or `null` where none or more than one does. */
  find(kid: string | null, algorithm: Algorithm): VerificationKey | null {
    const fitting = this.#keys.filter((key) => (kid === null || key.kid === kid) && keyFits(key, algorithm))
    const [first] = fitting
    if (first === undefined) return null
    return fitting.every((key) => key.thumbprint === first.thumbprint) ? first : null // one key, listed twice, is one key
  }

  /** Whether key material is still in the set: asked by thumbprint, since an id can be given to another key. */
  holds(thumbprint: string): boolean {
    return this.#thumbprints.has(thumbprint)
  }

  /** Whether the keys were read within a time. Keys from the future, after a clock was set back, were not. */
  isFresh(nowMilliseconds: number, seconds: number): boolean {
    const age = nowMilliseconds - (this.fetchedAt ?? nowMilliseconds)
    return age >= 0 && age < seconds * 1000
  }

  /** Age in whole seconds; 0 for keys that are configured. */
  ageSeconds(nowMilliseconds: number): number {
    return this.fetchedAt === null ? 0 : Math.max(0, Math.floor((nowMilliseconds - this.fetchedAt) / 1000))
  }
}
