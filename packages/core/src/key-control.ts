import { stringAt } from './config-shape.js'
import { AuthError, ConfigError } from './errors.js'
import type { IssuerKeyState } from './issuers/registry.js'
import type { Settings } from './options.js'
import type { Verifier } from './verifier.js'

/**
 * What can be done about an issuer's keys by hand. `refresh` and `evict` of an issuer that is not on a configured list are a
 * {@link ConfigError}; where `issuers` is a function, `refresh` asks it, and `evict` of one that is not known does nothing.
 */
export interface KeyControl {
  /**
   * Reads an issuer's keys anew, beginning now: what it has removed proves nothing from then on. Rejects with {@link AuthError}
   * `keys_unavailable` where they cannot be read; the keys known before then stay.
   */
  refresh(issuer: string): Promise<void>
  /**
   * Drops an issuer's keys and its verified tokens: every token of it waits for, or is answered 503 until, a set is read that was
   * asked for after this. A key that the issuer still shows is good again then. Keys that are configured come back with
   * {@link KeyControl.refresh}. Where `issuers` is a function, it is asked again.
   */
  evict(issuer: string): void
  /** The keys of every issuer that is known now. */
  state(): readonly IssuerKeyState[]
}

/** What a server offers about its issuers' keys; `ready` is told of in `ResourceServer`. */
export function createKeyControl(
  {
    issuers,
    knownIssuers,
    limits,
    dpop,
    revocations,
  }: Pick<Settings, 'issuers' | 'knownIssuers' | 'limits' | 'dpop' | 'revocations'>,
  verifier: Pick<Verifier, 'forget'>,
): { readonly ready: () => Promise<void>; readonly keys: KeyControl } {
  async function ready(): Promise<void> {
    const listed = knownIssuers.names === null ? [] : [...issuers.known()] // one tenant's trouble is not the API's
    await Promise.all([
      replayReady(),
      revocationsReady(),
      ...listed.map(async ({ keys }) => keys.within(limits.keysStaleSeconds)),
    ])
  }

  async function replayReady(): Promise<void> {
    try {
      await dpop?.replay.ready?.()
    } catch {
      throw new AuthError('replay_unavailable', { retryAfterSeconds: limits.retryAfterSeconds })
    }
  }

  async function revocationsReady(): Promise<void> {
    try {
      await revocations?.ready()
    } catch {
      throw new AuthError('revocation_unavailable', { retryAfterSeconds: limits.retryAfterSeconds })
    }
  }

  const keys: KeyControl = {
    async refresh(issuer) {
      const found = await issuers.find(issuerNamed(issuer))
      await found.keys.refresh()
    },
    evict(issuer) {
      const name = issuerNamed(issuer)
      for (const known of issuers.known()) if (known.issuer === name) known.keys.evict()
      issuers.forget(name)
      verifier.forget(name)
    },
    state: () => Object.freeze([...issuers.known()].map(({ issuer, keys: set }) => Object.freeze({ issuer, ...set.state() }))),
  }

  function issuerNamed(issuer: string): string {
    stringAt(issuer, 'the issuer of api.keys')
    if (knownIssuers.names?.has(issuer) === false) throw new ConfigError(`no issuer is configured as "${issuer}"`)
    return issuer
  }

  return { ready, keys: Object.freeze(keys) }
}
