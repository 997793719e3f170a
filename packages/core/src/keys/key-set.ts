import type { Eventual } from '../thenable.js'
import type { Algorithm } from '../token/algorithms.js'
import { keyFits, type VerificationKey } from './verification-key.js'

/** The keys of one issuer, where they come from hidden. */
export interface KeySet {
  /**
   * Keys that were read within a time; a promise only where they have to be read first.
   * @throws {AuthError} `keys_unavailable`: our trouble, never the caller's
   */
  within(maxAgeSeconds: number): Eventual<KeySnapshot>
  /**
   * The key that a token names; a promise only where it is not known yet.
   * @param kid `null` where the token names none: then exactly one key must fit the algorithm
   * @throws {AuthError} `key_unknown`, `keys_unavailable`
   */
  find(kid: string | null, algorithm: Algorithm): Eventual<VerificationKey>
  /** The keys that were read last, whatever their age; `null` before there are any. Never fetches. */
  readonly latest: KeySnapshot | null
  /** Reads the keys anew, beginning now; what is no longer among them proves nothing from then on. */
  refresh(): Promise<void>
  /** Forgets the keys: nothing is proved until a set is read that was asked for after this. */
  evict(): void
  /** What is known of the keys. */
  state(): KeySetState
  /** Ends what goes on in the background. */
  close(): void
}

/** How one issuer's keys are. Seconds are whole. */
export interface KeySetState {
  /** Keys that can prove signatures; 0: none has been read, or they were evicted. */
  readonly keys: number
  /** Since the keys were read; 0 for keys that are configured, `null` where there are none. */
  readonly ageSeconds: number | null
  /** The keys are past the time for which their server calls them fresh. */
  readonly stale: boolean
  /** Failed fetches since the last one that succeeded. */
  readonly failures: number
  /** Why the last fetch failed, as a fixed text; `null` where it did not. */
  readonly lastFailure: string | null
}

/** The keys of one issuer at one time. Never changed after it is made. */
export class KeySnapshot {
  readonly #byKid: ReadonlyMap<string | null, readonly VerificationKey[]>
  readonly keys: readonly VerificationKey[]
  /** When the keys were read, in milliseconds since the epoch; `null` for keys that are configured. */
  readonly fetchedAt: number | null
  /** For how long after that they are fresh, in seconds. */
  readonly freshSeconds: number

  constructor(keys: readonly VerificationKey[], fetchedAt: number | null, freshSeconds: number = Number.POSITIVE_INFINITY) {
    this.keys = keys
    this.#byKid = groupByKid(keys)
    this.fetchedAt = fetchedAt
    this.freshSeconds = freshSeconds
  }

  /** The one key that fits, or `null` where none or more than one does. */
  find(kid: string | null, algorithm: Algorithm): VerificationKey | null {
    let found: VerificationKey | null = null
    for (const key of (kid === null ? this.keys : this.#byKid.get(kid)) ?? []) {
      if (!keyFits(key, algorithm)) continue
      if (found !== null && found.thumbprint !== key.thumbprint) return null // one key, listed twice, is one key
      found ??= key
    }
    return found
  }

  /** Age in milliseconds; 0 for keys that are configured. Negative where the clock was set back. */
  ageMilliseconds(nowMilliseconds: number): number {
    return this.fetchedAt === null ? 0 : nowMilliseconds - this.fetchedAt
  }

  /** Age in whole seconds, not below 0. */
  ageSeconds(nowMilliseconds: number): number {
    return Math.max(0, Math.floor(this.ageMilliseconds(nowMilliseconds) / 1000))
  }

  /** Whether the keys are past their time. */
  isStale(nowMilliseconds: number): boolean {
    return this.ageMilliseconds(nowMilliseconds) >= this.freshSeconds * 1000
  }

  /** Whether another set says the same: the same ids for the same material and use. */
  saysTheSame(other: KeySnapshot): boolean {
    const said = ({ keys }: KeySnapshot) =>
      keys
        .map(({ kid, alg, thumbprint }) => JSON.stringify([kid, alg, thumbprint]))
        .sort()
        .join()
    return said(this) === said(other)
  }
}

function groupByKid(keys: readonly VerificationKey[]): ReadonlyMap<string | null, readonly VerificationKey[]> {
  const groups = new Map<string | null, VerificationKey[]>()
  for (const key of keys) groups.set(key.kid, [...(groups.get(key.kid) ?? []), key])
  return groups
}
