import type { Limits } from '../limits.js'
import type { JsonObject } from '../token/json.js'
import { type Fetch, FetchError, fetchJson, stopIfOver } from './fetch-json.js'

/** What came of reading a document. */
export interface Reading {
  readonly value: JsonObject
  /** The server said that this is still what was read last. */
  readonly unchanged: boolean
  /** For how long it is fresh, in seconds, within the limits. */
  readonly freshSeconds: number
}

/** A JSON document at a URL, asked for with its ETag once it is known: an answer without a body costs next to nothing. */
export class RemoteDocument {
  readonly url: string
  readonly #fetch: Fetch
  readonly #limits: Limits
  #last: { readonly value: JsonObject; readonly etag: string; readonly freshSeconds: number | null } | null = null

  constructor(url: string, fetch: Fetch, limits: Limits) {
    this.url = url
    this.#fetch = fetch
    this.#limits = limits
  }

  /** @throws {FetchError} with a fixed text; an error of the `fetch` that was given */
  async read(signal: AbortSignal): Promise<Reading> {
    const last = this.#last
    const { value, freshSeconds, etag } = await fetchJson(this.url, this.#fetch, this.#limits, signal, last?.etag ?? null)
    stopIfOver(signal)
    const { keysFreshSeconds, keysFreshLeastSeconds, keysFreshMostSeconds } = this.#limits
    const said = freshSeconds ?? (value === null ? last?.freshSeconds : null) // RFC 9111 4.3.4: a 304 changes what it says
    const fresh = Math.min(keysFreshMostSeconds, Math.max(keysFreshLeastSeconds, said ?? keysFreshSeconds))
    if (value !== null) {
      this.#last = etag === null ? null : { value, etag, freshSeconds }
      return { value, unchanged: false, freshSeconds: fresh }
    }
    if (last === null) throw new FetchError('the server did not answer with status 200', 304)
    return { value: last.value, unchanged: true, freshSeconds: fresh }
  }
}
