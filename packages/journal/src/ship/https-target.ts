import type { DeliveryRecord, DeliveryTarget } from '@behalf/core'
import {
  ConfigError,
  functionAt,
  integerAt,
  isLoopback,
  type Members,
  membersOf,
  optional,
  parseUrl,
  stringAt,
} from '@behalf/core/sink-kit'
import { systemCodeOf } from '../journal-error.js'

/** The standard `fetch`, or one of the application's own: a proxy, mutual TLS. */
export type HttpsFetch = (url: string, init: RequestInit) => Promise<Response>

/** Options of {@link httpsTarget}. */
export interface HttpsTargetOptions {
  /** `https://…`, or `http://…` on loopback. Without credentials and fragment. */
  readonly url: string
  /** Sent as `Authorization: Bearer …`. A function is asked before every delivery, so that it can be renewed. */
  readonly token?: string | (() => string | Promise<string>)
  /** Further fields of every request. Those that this target sets itself are refused. */
  readonly headers?: Readonly<Record<string, string>>
  /** Longest time of one delivery, from its beginning to the status, in milliseconds. Default 10,000. */
  readonly timeoutMilliseconds?: number
  /** Default: the runtime's. Called with `redirect: 'error'`. */
  readonly fetch?: HttpsFetch
}

/** Why a delivery over HTTP failed. The text is fixed; `status` is set where the server answered. */
export class HttpsTargetError extends Error {
  override readonly name = 'HttpsTargetError'
  /** HTTP status of the answer; `null`: there was none. */
  readonly status: number | null

  constructor(message: string, status: number | null = null) {
    super(status === null ? message : `${message} (${status})`)
    this.status = status
  }
}

const WHERE = 'httpsTarget()'
const MEMBERS = ['url', 'token', 'headers', 'timeoutMilliseconds', 'fetch']
const DEFAULT_TIMEOUT_MILLISECONDS = 10_000
const LONGEST_TIMEOUT_MILLISECONDS = 600_000
/** A longer answer costs the connection. */
const MAX_DRAINED_BYTES = 16 * 1024

/** What is ours to say, and what `fetch` would refuse or ignore. */
const RESERVED = ['content-type', 'content-length', 'idempotency-key', 'host', 'connection', 'transfer-encoding']
const FIELD_NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/
const FIELD_VALUE = /^[\x20-\x7e\t]*$/
const BEARER = /^[A-Za-z0-9._~+/-]+=*$/

/**
 * Delivers batches of records to an HTTPS endpoint: `POST` of `application/x-ndjson`, the `body` of each record as one line, with
 * `Idempotency-Key: <first id>..<last id>`. A status from 200 to 299 acknowledges all of them; what that survives is the server's
 * promise. Everything else rejects with an {@link HttpsTargetError}: other statuses, redirects (which could lead anywhere), a
 * time-out. The body of the answer is dropped.
 *
 * The server must tell by a record's own `id` what it has already (an event's `event.id`; of a journal's other records `seq`, within
 * the journal): batches are not cut alike when they are delivered again by another run.
 *
 * @throws {ConfigError} where an option is not what it must be; its text holds neither the URL nor a secret
 */
export function httpsTarget(options: HttpsTargetOptions): DeliveryTarget {
  const members = membersOf(options, WHERE, MEMBERS)
  const url = urlAt(members['url'], `${WHERE}.url`)
  const headers = optional(members, 'headers', WHERE, headersAt, {})
  const token = optional(members, 'token', WHERE, tokenAt, null)
  if (token !== null && 'authorization' in headers) {
    throw new ConfigError(`${WHERE} has a token and a header authorization: leave one of them out`)
  }
  const timeoutMilliseconds = timeoutAt(members)
  const fetch = optional(members, 'fetch', WHERE, functionAt<HttpsFetch>, globalThis.fetch)

  async function requestOf(records: readonly DeliveryRecord[], signal: AbortSignal): Promise<RequestInit> {
    return {
      method: 'POST',
      redirect: 'error',
      signal,
      headers: {
        ...headers,
        ...(token !== null && { authorization: await authorizationOf(token) }),
        'content-type': 'application/x-ndjson',
        'idempotency-key': idempotencyKeyOf(records),
      },
      body: records.map(({ body }) => `${body}\n`).join(''),
    }
  }

  return {
    async deliver(records) {
      const post = async (signal: AbortSignal) => fetch(url, await requestOf(records, signal))
      const { status, redirected } = await answerWithin(timeoutMilliseconds, post)
      if (redirected) throw new HttpsTargetError('the answer came by a redirect') // of a `fetch` that heeds no `redirect`
      if (status < 200 || status > 299) throw new HttpsTargetError('the server did not take the records', status)
    },
  }
}

/** The status of an answer, and its body read and dropped as far as that is worth it: the connection can then be used again. */
async function answerWithin(milliseconds: number, post: (signal: AbortSignal) => Promise<Response>): Promise<Response> {
  const abort = new AbortController()
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<'late'>((resolve) => {
    timer = setTimeout(() => resolve('late'), milliseconds)
  })
  try {
    const response = await Promise.race([post(abort.signal), late]) // a `fetch` of the application's own may not heed the signal
    if (response === 'late') throw new HttpsTargetError('the server took too long')
    await Promise.race([drain(response), late])
    return response
  } catch (error) {
    throw error instanceof HttpsTargetError ? error : unreachable(error)
  } finally {
    clearTimeout(timer)
    abort.abort()
  }
}

/** Reads what is left of an answer, a little of it. Never rejects: the status was all that is wanted. */
async function drain({ body }: Response): Promise<void> {
  let bytes = 0
  try {
    for await (const chunk of body ?? []) {
      bytes += (chunk as Uint8Array).byteLength
      if (bytes > MAX_DRAINED_BYTES) return
    }
  } catch {}
}

/** With the system's name of the trouble, which holds neither address nor secret. */
function unreachable(error: unknown): HttpsTargetError {
  const { cause } = (error ?? {}) as { readonly cause?: unknown }
  return new HttpsTargetError(`the server could not be reached, or its certificate is not trusted: ${systemCodeOf(cause)}`)
}

/** Ids are visible ASCII, unless somebody made an event by hand: a header takes no other. */
function idempotencyKeyOf(records: readonly DeliveryRecord[]): string {
  const key = `${records[0]?.id}..${records.at(-1)?.id}`
  return FIELD_VALUE.test(key) ? key : encodeURIComponent(key)
}

async function authorizationOf(token: NonNullable<HttpsTargetOptions['token']>): Promise<string> {
  const value = typeof token === 'string' ? token : await askedFor(token)
  if (typeof value !== 'string' || !BEARER.test(value))
    throw new HttpsTargetError('the function token answered with no bearer token')
  return `Bearer ${value}`
}

async function askedFor(token: () => string | Promise<string>): Promise<string> {
  try {
    return await token()
  } catch {
    throw new HttpsTargetError('the function token failed')
  }
}

function urlAt(value: unknown, where: string): string {
  const text = stringAt(value, where)
  const url = parseUrl(text)
  if (url !== null && (url.username !== '' || url.password !== '')) {
    throw new ConfigError(`${where} must not hold credentials: use the option token`)
  }
  const fits = url !== null && (url.protocol === 'https:' || (url.protocol === 'http:' && isLoopback(url.hostname)))
  if (!fits || url.hash !== '') throw new ConfigError(`${where} must be an https URL (http only on loopback), without a fragment`)
  return url.href
}

function tokenAt(value: unknown, where: string): NonNullable<HttpsTargetOptions['token']> {
  if (typeof value === 'function') return value as () => string | Promise<string>
  if (typeof value !== 'string' || !BEARER.test(value)) {
    throw new ConfigError(
      `${where} must be a bearer token (RFC 6750 2.1), without "Bearer" before it, or a function that answers with one`,
    )
  }
  return value
}

function headersAt(value: unknown, where: string): Readonly<Record<string, string>> {
  const headers: Record<string, string> = {}
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new ConfigError(`${where} must be an object`)
  for (const [name, text] of Object.entries(value)) {
    const field = name.toLowerCase()
    if (!FIELD_NAME.test(name) || RESERVED.includes(field) || field in headers) {
      throw new ConfigError(`${where} has a field that cannot be set: none twice, and none of ${RESERVED.join(', ')}`)
    }
    if (typeof text !== 'string' || !FIELD_VALUE.test(text))
      throw new ConfigError(`${where}.${field} must be a line of ASCII text`)
    headers[field] = text
  }
  return Object.freeze(headers)
}

function timeoutAt(members: Members): number {
  const read = (value: unknown, where: string) => integerAt(value, where, 1, LONGEST_TIMEOUT_MILLISECONDS)
  return optional(members, 'timeoutMilliseconds', WHERE, read, DEFAULT_TIMEOUT_MILLISECONDS)
}
