import { AuthError, ConfigError } from '../errors.js'
import type { Limits } from '../limits.js'
import { andThen, type Eventual } from '../thenable.js'
import type { Algorithm } from '../token/algorithms.js'
import { type KeySet, type KeySetState, KeySnapshot } from './key-set.js'
import { importJwk, type VerificationKey, withThumbprint } from './verification-key.js'

/** A JWK Set (RFC 7517 5) that is configured rather than fetched. */
export interface JwkSet {
  /** Public JWKs (RFC 7517 4). One that cannot verify signatures is a `ConfigError`. */
  readonly keys: readonly object[]
}

/**
 * Keys that are given with the configuration: each must be usable, or the configuration is wrong. They never grow old; evicted,
 * they prove nothing until a refresh takes them up again.
 */
export class StaticKeySet implements KeySet {
  /** What the keys are, as a text to compare. */
  readonly source: string
  readonly #limits: Limits
  readonly #ready: Promise<KeySnapshot>
  #latest: KeySnapshot | null = null
  #evicted = false

  /** @throws {ConfigError} naming the first key that cannot verify signatures */
  constructor(jwks: JwkSet, where: string, limits: Limits) {
    this.#limits = limits
    const imported = jwks.keys.map((jwk, index) => {
      const key = importJwk(jwk, limits.kidCharacters)
      if (typeof key === 'string') throw new ConfigError(`${where}.keys[${index}] ${key}`)
      return key
    })
    this.source = JSON.stringify(imported.map(({ kid, alg, keyObject }) => [kid, alg, keyObject.export({ format: 'jwk' })]))
    this.#ready = Promise.all(imported.map(withThumbprint)).then((keys) => {
      this.#latest = new KeySnapshot(keys, null)
      return this.#latest
    })
    this.#ready.catch(() => {}) // asked again by `within()`: without this, a failure here would end the process
  }

  get latest(): KeySnapshot | null {
    return this.#evicted ? null : this.#latest
  }

  within(_maxAgeSeconds: number): Eventual<KeySnapshot> {
    if (!this.#evicted) return this.#latest ?? this.#ready
    throw new AuthError('keys_unavailable', { retryAfterSeconds: this.#limits.retryAfterSeconds })
  }

  find(kid: string | null, algorithm: Algorithm): Eventual<VerificationKey> {
    return andThen(this.within(0), (known) => {
      const key = known.find(kid, algorithm)
      if (key === null) throw new AuthError('key_unknown')
      return key
    })
  }

  async refresh(): Promise<void> {
    this.#evicted = false
    await this.#ready
  }

  evict(): void {
    this.#evicted = true
  }

  state(): KeySetState {
    const keys = this.latest?.keys.length ?? 0
    return Object.freeze({ keys, ageSeconds: keys === 0 ? null : 0, stale: false, failures: 0, lastFailure: null })
  }

  close(): void {}
}
