import type { HttpAnswer } from '../request-view.js'

/** Error codes of RFC 8935 2.4. */
type SetErrorCode =
  | 'invalid_request'
  | 'invalid_key'
  | 'invalid_issuer'
  | 'invalid_audience'
  | 'authentication_failed'
  | 'access_denied'

/** Why a push is refused for good: the transmitter is told, and has to change something before it comes again. */
export type SetRefusal =
  | 'content_type'
  | 'malformed'
  | 'type'
  | 'issuer'
  | 'authorization'
  | 'key'
  | 'signature'
  | 'audience'
  | 'claims'
  | 'times'
  | 'foreign_claims'
  | 'events'
  | 'subject'
  | 'subject_not_expected'

/** Every refusal, with its code and a fixed text: nothing of a SET comes back. */
const REFUSALS: Readonly<Record<SetRefusal, readonly [err: SetErrorCode, description: string]>> = {
  content_type: ['invalid_request', 'The Content-Type has to be application/secevent+jwt'],
  malformed: ['invalid_request', 'The body is not a well-formed signed JWT'],
  type: ['invalid_request', 'The header parameter typ has to be secevent+jwt'],
  issuer: ['invalid_issuer', 'No security events of this issuer are taken here'],
  authorization: ['authentication_failed', 'The Authorization field is not the one that was agreed upon'],
  key: ['invalid_key', 'The key or the algorithm of the signature is not accepted'],
  signature: ['authentication_failed', 'The signature does not hold'],
  audience: ['invalid_audience', 'The security event is for another recipient'],
  claims: ['invalid_request', 'A claim is missing, or not of the type that it has to be'],
  times: ['invalid_request', 'The security event is not valid yet'],
  foreign_claims: ['invalid_request', 'The claims sub and exp must not be there'],
  events: ['invalid_request', 'An event does not have the form that its definition asks for'],
  subject: ['invalid_request', 'The subject of the event is missing, ambiguous or not well-formed'],
  subject_not_expected: ['access_denied', 'Events about this subject are not expected of this transmitter'],
}

/** What no cache may keep, and nobody else may see. */
const COMMON = { 'cache-control': 'no-store' } as const

const empty = (status: number, headers: Readonly<Record<string, string>> = {}): HttpAnswer =>
  Object.freeze({ status, headers: Object.freeze({ ...COMMON, ...headers, 'content-length': '0' }), body: '' })

/** RFC 8935 2.2: the SET is taken, and everything it asks for is kept. */
export const ACCEPTED: HttpAnswer = empty(202)
/** RFC 9110 15.5.6. */
export const ONLY_POST: HttpAnswer = empty(405, { allow: 'POST' })
/** RFC 9110 15.5.14. What is left of the body is not read. */
export const TOO_LARGE: HttpAnswer = empty(413)
/** RFC 9110 15.5.9. */
export const TOO_SLOW: HttpAnswer = empty(408)

/** Our trouble: the transmitter comes again (RFC 8935 2.3, a general HTTP error; RFC 9110 15.6.4). */
export function unavailable(retryAfterSeconds: number): HttpAnswer {
  return empty(503, { 'retry-after': String(retryAfterSeconds) })
}

/** RFC 8935 2.3. */
export function refused(refusal: SetRefusal): HttpAnswer {
  const [err, description] = REFUSALS[refusal]
  const body = JSON.stringify({ err, description })
  return {
    status: 400,
    headers: {
      ...COMMON,
      'content-type': 'application/json',
      'content-language': 'en',
      'content-length': String(Buffer.byteLength(body)),
    },
    body,
  }
}
