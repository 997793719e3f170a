import type { Limits } from '../limits.js'
import { type Fetch, FetchError, isFetchable, stopIfOver, withinTime } from './fetch-json.js'
import { RemoteDocument } from './remote-document.js'

/**
 * Where an issuer's metadata may stand: RFC 8414 3.1 puts the well-known part between host and path, OpenID Connect Discovery 4
 * behind the path.
 */
export function metadataUrls(issuer: string): readonly string[] {
  const { origin, pathname } = new URL(issuer)
  const path = pathname.replace(/\/$/, '')
  return [`${origin}/.well-known/oauth-authorization-server${path}`, `${origin}${path}/.well-known/openid-configuration`]
}

/** Says where an issuer's keys are. */
export interface KeyLocation {
  /** @throws {FetchError} with a fixed text; an error of the `fetch` that was given */
  jwksUri(signal: AbortSignal): Promise<string>
  /** The keys were not where they should be: the place is looked up again, and what is remembered serves only if that fails. */
  doubt(): void
  /** Nothing that is remembered serves any more. */
  forget(): void
}

/** Keys whose place is configured. */
export function configuredLocation(jwksUri: string): KeyLocation {
  return { jwksUri: async () => jwksUri, doubt() {}, forget() {} }
}

/** What discovery needs from outside. */
export interface DiscoveryEnvironment {
  readonly fetch: Fetch
  /** Milliseconds since the epoch. */
  readonly now: () => number
  readonly limits: Limits
  /** Refuses an address that must not be asked, by a {@link FetchError}; `null`: every address may be. */
  readonly screen: ((url: string) => Promise<void>) | null
  /** Where the metadata may stand. Default: where that of authorization servers does. */
  readonly metadataUrls?: (issuer: string) => readonly string[]
}

/**
 * Keys whose place the issuer's metadata names. Its `issuer` must be exactly the one that was configured (RFC 8414 3.3), or
 * somebody else's keys would be taken for this issuer's. What was found is used while it is fresh, and where the metadata cannot
 * be read for as long as keys may be stale: an issuer whose keys are there has not failed because its metadata is not.
 */
export class DiscoveredLocation implements KeyLocation {
  readonly #issuer: string
  readonly #options: DiscoveryEnvironment
  /** In the order in which they are asked; the one that answered last comes first. */
  #documents: readonly RemoteDocument[]
  #found: { readonly jwksUri: string; readonly readAt: number; readonly freshSeconds: number } | null = null
  #doubted = false
  #forgotten = 0

  constructor(issuer: string, options: DiscoveryEnvironment) {
    this.#issuer = issuer
    this.#options = options
    this.#documents = this.#unread()
  }

  async jwksUri(signal: AbortSignal): Promise<string> {
    const { now, limits, screen } = this.#options
    const found = this.#found
    const forgotten = this.#forgotten
    const age = found === null ? Number.NaN : now() - found.readAt
    const usable = (seconds: number) => age >= 0 && age < seconds * 1000
    if (found !== null && !this.#doubted && usable(found.freshSeconds)) return found.jwksUri
    try {
      const discovering = async (within: AbortSignal) => {
        const discovered = await this.#discover(within)
        await screen?.(discovered.jwksUri)
        stopIfOver(within)
        return discovered
      }
      // What is known serves where metadata hangs; there must be time left to use it.
      const known = found !== null && usable(limits.keysStaleSeconds)
      const { jwksUri, freshSeconds } = known
        ? await withinTime(limits.fetchTotalMilliseconds / 2, (part) => discovering(AbortSignal.any([signal, part])))
        : await discovering(signal)
      stopIfOver(signal)
      if (forgotten === this.#forgotten) {
        this.#found = { jwksUri, readAt: now(), freshSeconds }
        this.#doubted = false
      }
      return jwksUri
    } catch (error) {
      if (found !== null && usable(limits.keysStaleSeconds)) return found.jwksUri
      throw error
    }
  }

  doubt(): void {
    this.#doubted = true
  }

  forget(): void {
    this.#forgotten++
    this.#found = null
    this.#documents = this.#unread()
  }

  /** Without what was read of them, and their ETags. */
  #unread(): readonly RemoteDocument[] {
    const { fetch, limits, metadataUrls: urlsOf = metadataUrls } = this.#options
    return urlsOf(this.#issuer).map((url) => new RemoteDocument(url, fetch, limits))
  }

  async #discover(signal: AbortSignal): Promise<{ readonly jwksUri: string; readonly freshSeconds: number }> {
    let failure: unknown = null
    for (const document of this.#documents) {
      try {
        await this.#options.screen?.(document.url)
        const { value, freshSeconds } = await document.read(signal)
        if (value['issuer'] !== this.#issuer) throw new FetchError('the metadata document is of another issuer')
        const jwksUri = value['jwks_uri']
        if (typeof jwksUri !== 'string' || !isFetchable(jwksUri)) {
          throw new FetchError('the metadata document names no usable jwks_uri')
        }
        stopIfOver(signal)
        if (this.#documents.includes(document)) {
          this.#documents = [document, ...this.#documents.filter((each) => each !== document)]
        }
        return { jwksUri, freshSeconds }
      } catch (error) {
        failure = error
      }
    }
    throw failure instanceof FetchError ? failure : new FetchError('the metadata document could not be read')
  }
}
