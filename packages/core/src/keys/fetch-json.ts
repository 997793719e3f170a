import type { Limits } from '../limits.js'
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

const LOOPBACK = /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])$/

/** Whether keys may be read from a URL: https, or http on this very machine. No credentials, no fragment. */
export function isFetchable(url: string): boolean {
  const parsed = URL.canParse(url) ? new URL(url) : null
  if (parsed === null || parsed.username !== '' || parsed.password !== '' || parsed.hash !== '') return false
  return parsed.protocol === 'https:' || (parsed.protocol === 'http:' && LOOPBACK.test(parsed.hostname))
}

/**
 * Fetches a JSON object with every bound that a document from elsewhere needs: https or loopback, no redirect (it would move
 * trust to whoever is named), status 200, a time to the headers and one in all, and a size counted on the stream.
 *
 * @throws {FetchError} with a fixed text
 */
export async function fetchJson(url: string, fetch: Fetch, limits: Limits): Promise<JsonObject> {
  if (!isFetchable(url)) throw new FetchError('the URL is neither https nor loopback')
  const abort = new AbortController()
  let headers: NodeJS.Timeout | undefined
  let total: NodeJS.Timeout | undefined
  // A race rather than the signal alone: a `fetch` of the application's own may not heed it.
  const late = new Promise<never>((_, reject) => {
    const stop = () => reject(new FetchError('the server took too long'))
    headers = setTimeout(stop, limits.fetchHeadersMilliseconds)
    total = setTimeout(stop, limits.fetchTotalMilliseconds)
  })
  const read = async (): Promise<JsonObject> => {
    const response = await fetch(url, { redirect: 'manual', signal: abort.signal, headers: { accept: 'application/json' } })
    clearTimeout(headers)
    if (response.status !== 200) throw new FetchError('the server did not answer with status 200', response.status)
    const value = parseStrictJson(await readText(response, limits.fetchBytes), limits.jsonDepth)
    if (!isObject(value)) throw new FetchError('the answer is not a JSON object')
    return value
  }
  try {
    return await Promise.race([read(), late])
  } catch (error) {
    throw error instanceof FetchError ? error : new FetchError('the server could not be reached')
  } finally {
    clearTimeout(headers)
    clearTimeout(total)
    abort.abort() // whatever was not read is dropped, and its connection with it
  }
}

async function readText(response: Response, maxBytes: number): Promise<string> {
  const chunks: Uint8Array[] = []
  let bytes = 0
  for await (const chunk of response.body ?? []) {
    bytes += chunk.byteLength
    if (bytes > maxBytes) throw new FetchError('the answer is too large')
    chunks.push(chunk)
  }
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(Buffer.concat(chunks))
  } catch {
    throw new FetchError('the answer is not UTF-8')
  }
}
