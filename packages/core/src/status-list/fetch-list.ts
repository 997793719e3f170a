import { type Fetch, FetchError, fetchAnswer, freshSecondsOf, readText } from '../keys/fetch-json.js'
import type { Limits } from '../limits.js'

/** A status list token as it was answered. Nothing in it is proved. */
export interface FetchedList {
  readonly unverifiedText: string
  /** For how long the server calls it fresh, in seconds; `null` where it does not say. */
  readonly freshSeconds: number | null
}

/**
 * Asks for a status list token (draft-ietf-oauth-status-list 8.1), with the bounds of every fetch. A redirect is not followed, though
 * the draft would let servers redirect: it would move the request to an origin that is not configured.
 * @throws {FetchError} with a fixed text; an error of the `fetch` that was given
 */
export async function fetchList(
  uri: string,
  fetch: Fetch,
  limits: Limits,
  maxBytes: number,
  signal: AbortSignal,
): Promise<FetchedList> {
  const response = await fetchAnswer(uri, fetch, limits, signal, { headers: { accept: 'application/statuslist+jwt' } })
  if (response.status !== 200) throw new FetchError('the server did not answer with status 200', response.status)
  const unverifiedText = await readText(response, { ...limits, fetchBytes: maxBytes }, signal)
  return { unverifiedText, freshSeconds: freshSecondsOf(response.headers) }
}
