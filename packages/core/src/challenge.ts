/**
 * From the reason of a refusal to its answer: HTTP status, `WWW-Authenticate` (RFC 6750 3, RFC 9110 11.6.1) and problem
 * document (RFC 9457). One exhaustive table; every text in it is fixed, so that nothing a caller wrote can be echoed.
 */

/** The stable code of a refusal; see `docs/errors.md`. */
export type RefusalCode =
  | 'request_ambiguous'
  | 'credentials_malformed'
  | 'credentials_missing'
  | 'token_malformed'
  | 'issuer_unknown'
  | 'algorithm_refused'
  | 'key_unknown'
  | 'signature_invalid'
  | 'token_type_refused'
  | 'claim_missing'
  | 'claim_invalid'
  | 'audience_mismatch'
  | 'client_refused'
  | 'token_expired'
  | 'token_not_yet_valid'
  | 'delegation_malformed'
  | 'delegation_ambiguous'
  | 'delegation_foreign'
  | 'delegation_missing'
  | 'binding_unsupported'
  | 'scope_insufficient'
  | 'actor_unauthorized'
  | 'scope_not_delegated'
  | 'delegation_forbidden'
  | 'delegation_required'
  | 'delegation_too_deep'
  | 'method_not_delegated'
  | 'delegation_too_long'
  | 'requirement_failed'
  | 'keys_unavailable'
  | 'issuer_unavailable'
  | 'rule_unavailable'
  | 'audit_unavailable'

/** The problem document (RFC 9457) of a refusal. */
export interface Problem {
  /** `about:blank` (RFC 9457 4.2.1): the status alone says what kind of problem it is; the `code` says more. */
  readonly type: 'about:blank'
  /** The status as words (RFC 9110 15). */
  readonly title: string
  /** The HTTP status. */
  readonly status: number
  /** Stable; what programs branch on. */
  readonly code: RefusalCode
  /** A fixed text for people. */
  readonly detail: string
}

interface Answer {
  readonly status: 400 | 401 | 403 | 503
  /** The `error` of the challenge; `null`: a challenge without one; `undefined`: no challenge at all. */
  readonly error: string | null | undefined
  readonly detail: string
}

const row = (status: Answer['status'], error: Answer['error'], detail: string): Answer => ({ status, error, detail })

const invalidToken = (detail: string): Answer => row(401, 'invalid_token', detail)
const notThisActor = (detail: string): Answer => row(403, 'actor_unauthorized', detail)
const ourTrouble = (detail: string): Answer => row(503, undefined, detail)

const ANSWERS: Readonly<Record<RefusalCode, Answer>> = {
  request_ambiguous: row(400, 'invalid_request', 'The request presents credentials more than once'),
  credentials_malformed: row(400, 'invalid_request', 'The credentials are not well-formed'),
  credentials_missing: row(401, null, 'An access token is required'),
  token_malformed: invalidToken('The token is not a well-formed signed JWT'),
  issuer_unknown: invalidToken('The issuer of the token is not trusted here'),
  algorithm_refused: invalidToken('The signature algorithm of the token is not accepted'),
  key_unknown: invalidToken('The key that the token names is not one of its issuer'),
  signature_invalid: invalidToken('The signature of the token does not hold'),
  token_type_refused: invalidToken('The token is not an access token for this API'),
  claim_missing: invalidToken('A required claim is missing'),
  claim_invalid: invalidToken('A claim has a value that is not accepted'),
  audience_mismatch: invalidToken('The token was issued for another audience'),
  client_refused: invalidToken('The client of the token is not accepted'),
  token_expired: invalidToken('The token has expired'),
  token_not_yet_valid: invalidToken('The token is not valid yet'),
  delegation_malformed: invalidToken('The token says that somebody acts for its subject, but not readably'),
  delegation_ambiguous: invalidToken('The token says in more than one way who acts for whom'),
  delegation_foreign: invalidToken('The token carries a delegation claim that is not read for its issuer'),
  delegation_missing: invalidToken('The token does not say who acts'),
  binding_unsupported: invalidToken('The token is bound to its sender in a way that is not supported here'),
  scope_insufficient: row(403, 'insufficient_scope', 'The token does not have the scopes that this request needs'),
  actor_unauthorized: notThisActor('The actor is not authorized to act for this subject'),
  scope_not_delegated: notThisActor('The scopes that this request needs are not delegated to the actor'),
  delegation_forbidden: notThisActor('This request is not open to this kind of delegation'),
  delegation_required: notThisActor('This request is open to delegated calls only'),
  delegation_too_deep: notThisActor('The delegation has more steps than are allowed'),
  method_not_delegated: notThisActor('The method of this request is not delegated to the actor'),
  delegation_too_long: notThisActor('The lifetime of the delegated token is longer than is allowed'),
  requirement_failed: row(403, undefined, 'A requirement of this request is not met'),
  keys_unavailable: ourTrouble('The keys of the issuer are not available at the moment'),
  issuer_unavailable: ourTrouble('The issuer of the token cannot be looked up at the moment'),
  rule_unavailable: ourTrouble('The rule for this request cannot be evaluated at the moment'),
  audit_unavailable: ourTrouble('The request cannot be recorded at the moment'),
}

const TITLES: Readonly<Record<Answer['status'], string>> = {
  400: 'Bad Request',
  401: 'Unauthorized',
  403: 'Forbidden',
  503: 'Service Unavailable',
}

/** Every code, in the order of the table: for documents and tests that must not miss one. */
export const REFUSAL_CODES: readonly RefusalCode[] = Object.freeze(Object.keys(ANSWERS) as RefusalCode[])

/** The HTTP status of a refusal. */
export function statusOf(code: RefusalCode): number {
  return ANSWERS[code].status
}

/** The fixed text that explains a refusal. */
export function detailOf(code: RefusalCode): string {
  return ANSWERS[code].detail
}

/** The problem document of a refusal. */
export function problemOf(code: RefusalCode): Problem {
  const { status, detail } = ANSWERS[code]
  return { type: 'about:blank', title: TITLES[status], status, code, detail }
}

/** What RFC 6749 3.3 allows in a scope: only such scopes can stand in a quoted challenge parameter unescaped. */
const SCOPE_TOKEN = /^[\x21\x23-\x5b\x5d-\x7e]+$/

/**
 * The `WWW-Authenticate` value of a refusal, or `null` where there is none.
 * @param scopes the scopes that the route asks for, from the application's own configuration, never from a token
 */
export function challengeOf(code: RefusalCode, scopes: readonly string[]): string | null {
  const { error, detail } = ANSWERS[code]
  if (error === undefined) return null
  if (error === null) return 'Bearer'
  const scope = scopes.length > 0 && scopes.every((word) => SCOPE_TOKEN.test(word)) ? `, scope="${scopes.join(' ')}"` : ''
  return `Bearer error="${error}", error_description="${detail}"${scope}`
}
