import { AuthError, ConfigError } from '../errors.js'
import type { Limits } from '../limits.js'
import type { Algorithm } from '../token/algorithms.js'
import { type KeySet, KeySnapshot } from './key-set.js'
import { importJwk, type VerificationKey, withThumbprint } from './verification-key.js'

/** A JWK Set (RFC 7517 5) that is configured rather than fetched. */
export interface JwkSet {
  /** Public JWKs (RFC 7517 4). One that cannot verify signatures is a `ConfigError`. */
  readonly keys: readonly object[]
}

/** Keys that are given with the configuration: each must be usable, or the configuration is wrong. */
export class StaticKeySet implements KeySet {
  readonly #ready: Promise<KeySnapshot>
  latest: KeySnapshot | null = null

  /** @throws {ConfigError} naming the first key that cannot verify signatures */
  constructor(jwks: JwkSet, where: string, limits: Limits) {
    const imported = jwks.keys.map((jwk, index) => {
      const key = importJwk(jwk, limits.kidCharacters)
      if (typeof key === 'string') throw new ConfigError(`${where}.keys[${index}] ${key}`)
      return key
    })
    this.#ready = Promise.all(imported.map(withThumbprint)).then((keys) => {
      this.latest = new KeySnapshot(keys, null)
      return this.latest
    })
    this.#ready.catch(() => {}) // asked again by `current()`: without this, a failure here would end the process
  }

  current(): KeySnapshot | Promise<KeySnapshot> {
    return this.latest ?? this.#ready
  }

  async find(kid: string | null, algorithm: Algorithm): Promise<VerificationKey> {
    const key = (await this.current()).find(kid, algorithm)
    if (key === null) throw new AuthError('key_unknown')
    return key
  }
}
