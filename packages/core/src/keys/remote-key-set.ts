import { AuthError } from '../errors.js'
import type { Limits } from '../limits.js'
import type { Algorithm } from '../token/algorithms.js'
import { type Fetch, FetchError, fetchJson } from './fetch-json.js'
import { type KeySet, KeySnapshot } from './key-set.js'
import { type ImportedKey, importJwk, type VerificationKey, withThumbprint } from './verification-key.js'

/** What a remote key set needs from outside. */
export interface RemoteKeySetOptions {
  /** Says where the keys are: a constant, or discovery. Asked before every fetch; throws {@link FetchError}. */
  readonly locate: () => Promise<string>
  readonly fetch: Fetch
  /** Milliseconds since the epoch. */
  readonly now: () => number
  readonly limits: Limits
}

/**
 * Keys that are fetched from the issuer. Any number of waiting requests share one fetch; a set is used until it is no longer
 * fresh; an unknown key id causes at most one fetch in a cool-down. A failed fetch is `keys_unavailable` (503) for those who
 * need it, and the next request tries again.
 */
export class RemoteKeySet implements KeySet {
  readonly #options: RemoteKeySetOptions
  latest: KeySnapshot | null = null
  #fetching: Promise<KeySnapshot | FetchError> | null = null
  /** When the last fetch began, in milliseconds since the epoch. */
  #askedAt: number = Number.NEGATIVE_INFINITY
  /** Why the last fetch failed, `null` where it did not. */
  #failure: FetchError | null = null

  constructor(options: RemoteKeySetOptions) {
    this.#options = options
  }

  current(): KeySnapshot | Promise<KeySnapshot> {
    const { now, limits } = this.#options
    const snapshot = this.latest
    return snapshot?.isFresh(now(), limits.keysFreshSeconds) ? snapshot : this.#fetch()
  }

  async find(kid: string | null, algorithm: Algorithm): Promise<VerificationKey> {
    const known = await this.current()
    const key = known.find(kid, algorithm) ?? (await this.#afterUnknown(known)).find(kid, algorithm)
    if (key === null) throw new AuthError('key_unknown')
    return key
  }

  /** The set to ask once more after a key was not found: a newer one, unless the issuer was asked only just now. */
  #afterUnknown(known: KeySnapshot): KeySnapshot | Promise<KeySnapshot> {
    const { now, limits } = this.#options
    const sinceAsked = now() - this.#askedAt
    const justAsked = sinceAsked >= 0 && sinceAsked < limits.unknownKeyCooldownSeconds * 1000
    if (!justAsked || this.#fetching !== null) return this.#fetch()
    // Only a set that was read says that a key is unknown; after a failure nobody knows.
    if (this.#failure !== null) throw this.#unavailable(this.#failure)
    return this.latest ?? known
  }

  /** One fetch for all who wait; each of them gets an error of its own. */
  async #fetch(): Promise<KeySnapshot> {
    this.#fetching ??= this.#load().finally(() => {
      this.#fetching = null
    })
    const result = await this.#fetching
    if (result instanceof FetchError) throw this.#unavailable(result)
    return result
  }

  #unavailable({ message, status }: FetchError): AuthError {
    const { retryAfterSeconds } = this.#options.limits
    return new AuthError('keys_unavailable', { retryAfterSeconds, cause: new FetchError(message, status) })
  }

  async #load(): Promise<KeySnapshot | FetchError> {
    const startedAt = this.#options.now()
    this.#askedAt = startedAt
    try {
      this.latest = new KeySnapshot(await this.#read(), startedAt)
      this.#failure = null
      return this.latest
    } catch (error) {
      // A library's error can quote the answer it could not read: only our own fixed texts go on.
      this.#failure = error instanceof FetchError ? error : new FetchError('the key set could not be read')
      return this.#failure
    }
  }

  /** The usable keys that the issuer shows now. */
  async #read(): Promise<readonly VerificationKey[]> {
    const { locate, fetch, limits } = this.#options
    const { keys } = await fetchJson(await locate(), fetch, limits)
    if (!Array.isArray(keys)) throw new FetchError('the key set has no list of keys')
    if (keys.length > limits.keys) throw new FetchError('the key set has too many keys')
    const imported = keys.map((jwk) => importJwk(jwk, limits.kidCharacters))
    const usable = imported.filter((key): key is ImportedKey => typeof key !== 'string')
    if (usable.length === 0) throw new FetchError('the key set has no usable key')
    return Promise.all(usable.map(withThumbprint))
  }
}
