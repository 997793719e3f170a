import { AuthError } from '../errors.js'
import { type KeySet, type KeySetState, KeySnapshot } from './key-set.js'

/** The keys of an issuer whose tokens nobody signs: there are none, nothing is fetched, and nothing is wrong about that. */
export class NoKeySet implements KeySet {
  readonly latest = null
  readonly #nothing = new KeySnapshot([], null)

  within(): KeySnapshot {
    return this.#nothing
  }

  find(): never {
    throw new AuthError('key_unknown')
  }

  async refresh(): Promise<void> {}

  evict(): void {}

  state(): KeySetState {
    return Object.freeze({ keys: 0, ageSeconds: null, stale: false, failures: 0, lastFailure: null })
  }

  close(): void {}
}
