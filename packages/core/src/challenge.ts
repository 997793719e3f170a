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
  | 'binding_required'
  | 'sender_mismatch'
  | 'encryption_required'
  | 'decryption_failed'
  | 'token_inactive'
  | 'token_revoked'
  | 'step_up_required'
  | 'proof_missing'
  | 'proof_malformed'
  | 'proof_algorithm_refused'
  | 'proof_key_refused'
  | 'proof_signature_invalid'
  | 'proof_method_mismatch'
  | 'proof_target_mismatch'
  | 'proof_token_mismatch'
  | 'proof_expired'
  | 'proof_not_yet_valid'
  | 'proof_nonce_required'
  | 'proof_replayed'
  | 'scope_insufficient'
  | 'actor_unauthorized'
  | 'scope_not_delegated'
  | 'delegation_forbidden'
  | 'delegation_required'
  | 'delegation_too_deep'
  | 'method_not_delegated'
  | 'delegation_too_long'
  | 'chain_incomplete'
  | 'requirement_failed'
  | 'keys_unavailable'
  | 'issuer_unavailable'
  | 'rule_unavailable'
  | 'audit_unavailable'
  | 'replay_unavailable'
  | 'introspection_unavailable'
  | 'revocation_unavailable'

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
const invalidProof = (detail: string): Answer => row(401, 'invalid_dpop_proof', detail)
const notThisActor = (detail: string): Answer => row(403, 'actor_unauthorized', detail)
const ourTrouble = (detail: string): Answer => row(503, undefined, detail)

const ANSWERS: Readonly<Record<RefusalCode, Answer>> = {
  request_ambiguous: row(400, 'invalid_request', 'The request presents credentials more than once'),
  credentials_malformed: row(400, 'invalid_request', 'The credentials are not well-formed'),
  credentials_missing: row(401, null, 'An access token is required'),
  token_malformed: invalidToken('The token is not a well-formed signed JWT'),
  issuer_unknown: invalidToken('The issuer of the token is not trusted here'),
  algorithm_refused: invalidToken('An algorithm of the token is not accepted'),
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
  binding_required: invalidToken('The token has to be bound to its sender'),
  sender_mismatch: invalidToken('The token is bound to another sender than this one'),
  encryption_required: invalidToken('The token has to be encrypted for this API'),
  decryption_failed: invalidToken('The token cannot be decrypted'),
  token_inactive: invalidToken('The issuer does not call the token active'),
  token_revoked: invalidToken('The token has been revoked'),
  step_up_required: row(401, 'insufficient_user_authentication', 'A stronger or more recent authentication is required'),
  proof_missing: invalidProof('A proof of possession is required'),
  proof_malformed: invalidProof('The proof of possession is not well-formed'),
  proof_algorithm_refused: invalidProof('The signature algorithm of the proof is not accepted'),
  proof_key_refused: invalidProof('The key of the proof is not an acceptable public key'),
  proof_signature_invalid: invalidProof('The signature of the proof does not hold'),
  proof_method_mismatch: invalidProof('The proof was made for another method'),
  proof_target_mismatch: invalidProof('The proof was made for another URI'),
  proof_token_mismatch: invalidProof('The proof was made for another token'),
  proof_expired: invalidProof('The proof is too old'),
  proof_not_yet_valid: invalidProof('The proof is not valid yet'),
  proof_nonce_required: row(401, 'use_dpop_nonce', 'The proof needs the nonce of this answer'),
  proof_replayed: invalidProof('The proof was used before'),
  scope_insufficient: row(403, 'insufficient_scope', 'The token does not have the scopes that this request needs'),
  actor_unauthorized: notThisActor('The actor is not authorized to act for this subject'),
  scope_not_delegated: notThisActor('The scopes or authorization details that this request needs are not delegated to the actor'),
  delegation_forbidden: notThisActor('This request is not open to this kind of delegation'),
  delegation_required: notThisActor('This request is open to delegated calls only'),
  delegation_too_deep: notThisActor('The delegation has more steps than are allowed'),
  method_not_delegated: notThisActor('The method of this request is not delegated to the actor'),
  delegation_too_long: notThisActor('The lifetime of the delegated token is longer than is allowed'),
  chain_incomplete: notThisActor('Not every actor behind this call is known'),
  requirement_failed: row(403, undefined, 'A requirement of this request is not met'),
  keys_unavailable: ourTrouble('The keys of the issuer are not available at the moment'),
  issuer_unavailable: ourTrouble('The issuer of the token cannot be looked up at the moment'),
  rule_unavailable: ourTrouble('The rule for this request cannot be evaluated at the moment'),
  audit_unavailable: ourTrouble('The request cannot be recorded at the moment'),
  replay_unavailable: ourTrouble('Whether the proof was used before cannot be said at the moment'),
  introspection_unavailable: ourTrouble('The issuer cannot be asked about the token at the moment'),
  revocation_unavailable: ourTrouble('Whether the token was revoked cannot be said at the moment'),
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

/** What RFC 6749 3.3 allows in a scope: only such words can stand in a quoted challenge parameter unescaped, and in a list there. */
const CHALLENGE_WORD = /^[\x21\x23-\x5b\x5d-\x7e]+$/

/** Whether a word can stand in a list of words in a challenge: printable ASCII without space, quote and backslash. */
export function isChallengeWord(word: string): boolean {
  return CHALLENGE_WORD.test(word)
}

/** What a route asks of the user's login (RFC 9470 3). */
export interface StepUp {
  /** Accepted `acr`, in order of preference: challenge words. Empty: any. */
  readonly acrValues: readonly string[]
  /** How long ago the user may have logged in, in seconds: a whole number. `null`: any time. */
  readonly maxAgeSeconds: number | null
}

/** The schemes with which a token can be presented (RFC 6750 2.1, RFC 9449 7.1). */
export type Scheme = 'Bearer' | 'DPoP'

/** What a server tells in its challenges beside the reason: the same for all of them. */
export interface ChallengeOffer {
  /** Tokens that are not bound to a key can be presented. */
  readonly bearer: boolean
  /** Accepted algorithms of proofs; `null`: the scheme `DPoP` is not offered. */
  readonly dpopAlgorithms: readonly string[] | null
  /** Where the metadata of the protected resource is (RFC 9728 5.1); `null`: it is not published. */
  readonly resourceMetadata: string | null
}

/** The scheme `Bearer`, and nothing else. */
export const BEARER_ONLY: ChallengeOffer = Object.freeze({ bearer: true, dpopAlgorithms: null, resourceMetadata: null })

/** Errors that only a proof has (RFC 9449 7.1, 8.2). */
const ABOUT_PROOFS: ReadonlySet<string> = new Set(['invalid_dpop_proof', 'use_dpop_nonce'])

/**
 * The `WWW-Authenticate` value of a refusal, or `null` where there is none. The error stands in the challenge of the scheme that it
 * is about; where that is `Bearer` and the answer is 401, the scheme `DPoP` is offered beside it (RFC 9449 7.2).
 * @param scopes the scopes that the route asks for, from the application's own configuration, never from a token
 * @param presented the scheme with which the token came
 * @param stepUp what the route asks of the user's login; `null`: nothing is told of it
 */
export function challengeOf(
  code: RefusalCode,
  scopes: readonly string[],
  offer: ChallengeOffer = BEARER_ONLY,
  presented: Scheme = 'Bearer',
  stepUp: StepUp | null = null,
): string | null {
  const { error, detail, status } = ANSWERS[code]
  if (error === undefined) return null
  if (error === null) return [offer.bearer ? challenge('Bearer', [], offer) : [], dpopOffer(offer)].flat().join(', ')
  const scope = scopes.length > 0 && scopes.every(isChallengeWord) ? [`scope="${scopes.join(' ')}"`] : []
  const params = [`error="${error}"`, `error_description="${detail}"`, ...scope, ...(stepUp === null ? [] : stepUpParams(stepUp))]
  const aboutDpop = ABOUT_PROOFS.has(error) || (offer.dpopAlgorithms !== null && (presented === 'DPoP' || !offer.bearer))
  if (aboutDpop) return challenge('DPoP', params, offer)
  return [challenge('Bearer', params, offer), ...(status === 401 ? dpopOffer(offer) : [])].join(', ')
}

/** RFC 9470 3: of the two only what is asked. */
function stepUpParams({ acrValues, maxAgeSeconds }: StepUp): readonly string[] {
  return [
    ...(acrValues.length === 0 ? [] : [`acr_values="${acrValues.join(' ')}"`]),
    ...(maxAgeSeconds === null ? [] : [`max_age="${maxAgeSeconds}"`]),
  ]
}

function dpopOffer(offer: ChallengeOffer): readonly string[] {
  return offer.dpopAlgorithms === null ? [] : [challenge('DPoP', [], offer)]
}

/** One challenge (RFC 9110 11.6.1). */
function challenge(scheme: Scheme, params: readonly string[], { dpopAlgorithms, resourceMetadata }: ChallengeOffer): string {
  const all = [
    ...params,
    ...(scheme === 'DPoP' && dpopAlgorithms !== null ? [`algs="${dpopAlgorithms.join(' ')}"`] : []),
    ...(resourceMetadata === null ? [] : [`resource_metadata="${resourceMetadata}"`]),
  ]
  return all.length === 0 ? scheme : `${scheme} ${all.join(', ')}`
}
