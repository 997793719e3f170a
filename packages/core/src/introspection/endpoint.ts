import { AnswerError, type Fetch, FetchError, fetchAnswer, readText, stopIfOver, withinTime } from '../keys/fetch-json.js'
import type { Limits } from '../limits.js'
import { TokenAnswerError } from './answer.js'
import type { ClientAuthentication } from './client-authentication.js'
import type { FailureSubject } from './endpoint-trouble.js'

/** Where, how and by whom questions are asked. */
export interface EndpointOptions {
  readonly endpoint: string
  readonly authentication: ClientAuthentication
  /** The one media type of answers. */
  readonly mediaType: string
  readonly fetch: Fetch
  readonly limits: Limits
  /** Milliseconds since the epoch. */
  readonly now: () => number
}

/** An answer that is no introspection, by its status. */
export class StatusError extends FetchError {
  /** For how long the endpoint wants to be left alone. */
  readonly pauseMilliseconds: number

  constructor(status: number, pauseMilliseconds: number) {
    super('the endpoint did not answer with status 200', status)
    this.pauseMilliseconds = pauseMilliseconds
  }
}

/**
 * Asks about one token (RFC 7662 2.1), with the bounds of any other fetch.
 * @returns the answer as it was written
 * @throws {FetchError} with a fixed text
 */
export function askEndpoint(token: string, options: EndpointOptions): Promise<string> {
  const { endpoint, authentication, mediaType, fetch, limits, now } = options
  return withinTime(limits.fetchTotalMilliseconds, async (signal) => {
    const { authorization, form } = await authentication(now())
    stopIfOver(signal)
    const headers = {
      accept: mediaType,
      'content-type': 'application/x-www-form-urlencoded',
      ...(authorization !== null && { authorization }),
    }
    const body = new URLSearchParams({ token, token_type_hint: 'access_token', ...form }).toString()
    const response = await fetchAnswer(endpoint, fetch, limits, signal, { method: 'POST', headers, body })
    if (response.status !== 200) throw new StatusError(response.status, pauseOf(response, now()))
    if (mediaTypeOf(response) !== mediaType) throw new AnswerError('the answer is of another media type')
    return readText(response, limits, signal)
  })
}

/** What a failure to get an answer, or to believe it, is about. */
export function subjectOf(failure: FetchError): FailureSubject {
  if (failure instanceof TokenAnswerError) return 'question'
  if (failure instanceof AnswerError) return 'answer'
  const status = failure.status ?? 0
  if (status >= 500) return 'answer'
  const asked = status >= 400 && status !== 401 && status !== 403 && status !== 429
  return asked ? 'question' : 'endpoint'
}

function mediaTypeOf({ headers }: Response): string {
  return (headers.get('content-type') ?? '').split(';', 1).join('').trim().toLowerCase()
}

/** `Retry-After` (RFC 9110 10.2.3), as seconds or as a date, where the endpoint has too much to do. */
function pauseOf({ status, headers }: Response, nowMilliseconds: number): number {
  const said = headers.get('retry-after')
  if (said === null || (status !== 429 && status !== 503)) return 0
  const pause = /^\d{1,10}$/.test(said) ? Number(said) * 1000 : Date.parse(said) - nowMilliseconds
  return pause > 0 ? pause : 0 // a text that is no date is `NaN`
}
