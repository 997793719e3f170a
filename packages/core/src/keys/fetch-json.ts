import { stringAt } from '../config-shape.js'
import { ConfigError } from '../errors.js'
import type { Limits } from '../limits.js'
import { isLoopback } from '../loopback.js'
import { parseUrl } from '../parse-url.js'
import { inTime } from '../thenable.js'
import { isObject, type JsonObject, parseStrictJson } from '../token/json.js'

/** The standard `fetch`, or one of the application's own (a proxy, mutual TLS to the issuer). */
export type Fetch = (url: string, init: RequestInit) => Promise<Response>

/** A fetch that failed. The text is fixed; `status` is set where the server answered. */
export class FetchError extends Error {
  override readonly name = 'FetchError'
  readonly status: number | null

  constructor(message: string, status: number | null = null) {
    super(message)
    this.status = status
  }
}

/** A fetch that came to an answer, but to one that cannot be used. */
export class AnswerError extends FetchError {}

/** Whether something may be asked of a URL: https, or http on this very machine. No credentials, no fragment. */
export function isFetchable(url: string): boolean {
  const parsed = parseUrl(url)
  if (parsed === null || parsed.username !== '' || parsed.password !== '' || parsed.hash !== '') return false
  return parsed.protocol === 'https:' || (parsed.protocol === 'http:' && isLoopback(parsed.hostname))
}

/** Reads the option of such a URL. */
export function fetchableAt(value: unknown, where: string): string {
  const url = stringAt(value, where)
  if (!isFetchable(url))
    throw new ConfigError(`${where} must be an https URL (http only on loopback), without credentials and fragment`)
  return url
}

/** What a server answered. */
export interface Fetched {
  /** `null`: what the caller has is still what the server has (304). */
  readonly value: JsonObject | null
  /** For how long the server calls it fresh, in seconds; `null` where it does not say. */
  readonly freshSeconds: number | null
  /** Names this version (RFC 9110 8.8.3). */
  readonly etag: string | null
}

/**
 * Runs a task of one or more fetches within a time. When it is over, whatever was not read is dropped, and its connection with it.
 * @throws {FetchError} with a fixed text
 */
export async function withinTime<T>(milliseconds: number, task: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const abort = new AbortController()
  try {
    return await raced(task(abort.signal), milliseconds)
  } catch (error) {
    throw error instanceof FetchError ? error : new FetchError('the server could not be reached')
  } finally {
    abort.abort()
  }
}

/**
 * Fetches a JSON object with the bounds that a document from elsewhere needs: https or loopback, no redirect (it would move
 * trust to whoever is named), status 200, a time to the headers, and a size counted on the stream. For the time in all see
 * {@link withinTime}.
 *
 * @param etag of the version that the caller has; `null`: none
 * @throws {FetchError} with a fixed text; an error of the `fetch` that was given
 */
export async function fetchJson(
  url: string,
  fetch: Fetch,
  limits: Limits,
  signal: AbortSignal,
  etag: string | null,
): Promise<Fetched> {
  const headers = { accept: 'application/json', ...(etag !== null && { 'if-none-match': etag }) }
  const response = await fetchAnswer(url, fetch, limits, signal, { headers })
  const about = { freshSeconds: freshSecondsOf(response.headers), etag: response.headers.get('etag') }
  if (response.status === 304 && etag !== null) return { ...about, etag, value: null }
  if (response.status !== 200) throw new FetchError('the server did not answer with status 200', response.status)
  const value = parseStrictJson(await readText(response, limits, signal), limits.jsonDepth)
  if (!isObject(value)) throw new AnswerError('the answer is not a JSON object')
  return { ...about, value }
}

/**
 * Sends a request, and waits for the answer's headers: https or loopback, no redirect, a time. The status and the body are the
 * caller's to judge; see {@link readText}.
 * @throws {FetchError} with a fixed text; an error of the `fetch` that was given
 */
export async function fetchAnswer(
  url: string,
  fetch: Fetch,
  limits: Limits,
  signal: AbortSignal,
  request: Pick<RequestInit, 'method' | 'headers' | 'body'>,
): Promise<Response> {
  if (!isFetchable(url)) throw new FetchError('the URL is neither https nor loopback')
  const response = await raced(fetch(url, { redirect: 'manual', signal, ...request }), limits.fetchHeadersMilliseconds)
  if (response.redirected) throw new AnswerError('the answer came by a redirect') // of a `fetch` that heeds no `redirect`
  return response
}

/**
 * Ends a task whose time is over. It goes on where a fetch does not heed its signal, and must change nothing any more.
 * @throws {FetchError}
 */
export function stopIfOver(signal: AbortSignal): void {
  if (signal.aborted) throw new FetchError('the server took too long')
}

/** A race rather than the signal alone: a `fetch` of the application's own may not heed it. */
export function raced<T>(task: Promise<T>, milliseconds: number): Promise<T> {
  return inTime(task, milliseconds, () => {
    throw new FetchError('the server took too long')
  })
}

/** RFC 9111 4.2.1, for a private cache: `max-age` less the `Age` that a cache on the way has added. */
export function freshSecondsOf(headers: Headers): number | null {
  const directives = (headers.get('cache-control') ?? '')
    .toLowerCase()
    .split(',')
    .map((each) => each.trim())
  if (directives.includes('no-store') || directives.includes('no-cache')) return 0
  const maxAge = directives.map((each) => /^max-age="?(\d{1,10})"?$/.exec(each)?.[1]).find((each) => each !== undefined)
  if (maxAge === undefined) return null
  const age = /^\d{1,10}$/.exec(headers.get('age') ?? '')?.[0] ?? '0'
  return Math.max(0, Number(maxAge) - Number(age))
}

/**
 * The body of an answer as text, its size counted on the stream.
 * @throws {FetchError} with a fixed text; an error of the `fetch` that was given
 */
export async function readText(response: Response, { fetchBytes }: Limits, signal: AbortSignal): Promise<string> {
  if (Number(response.headers.get('content-length')) > fetchBytes) throw new AnswerError('the answer is too large')
  const chunks: Uint8Array[] = []
  let bytes = 0
  for await (const chunk of response.body ?? []) {
    stopIfOver(signal)
    if (!(chunk instanceof Uint8Array)) throw new AnswerError('the answer has no bytes') // a `fetch` of the application's own
    bytes += chunk.byteLength
    if (bytes > fetchBytes) throw new AnswerError('the answer is too large')
    chunks.push(chunk)
  }
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(Buffer.concat(chunks))
  } catch {
    throw new AnswerError('the answer is not UTF-8')
  }
}
