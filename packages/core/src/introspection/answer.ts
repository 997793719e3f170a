import { AnswerError } from '../keys/fetch-json.js'
import { frozenWithout, isObject, type JsonObject } from '../token/json.js'
import { unverifiedClaimsOf } from '../token/token-shape.js'
import { tokenKindOf } from './token-kind.js'

/** Why a token is refused by an answer that can be believed. */
export type AnswerRefusal = 'token_inactive' | 'token_type_refused'

/**
 * An answer that is one, about a token that cannot be what it says: whoever holds the token can be the reason, so that it says nothing
 * of the endpoint.
 */
export class TokenAnswerError extends AnswerError {}

/** What an answer is held against. */
export interface AnswerPolicy {
  /** Who answers. */
  readonly issuer: string
  /** Whether an answer may leave out what kind of token it is about. */
  readonly takesUntyped: boolean
  readonly actors: ActorSigns
}

/** How tokens of an issuer and answers about them show that somebody acts, readable or not. */
export interface ActorSigns {
  inToken(unverifiedClaims: JsonObject): boolean
  inAnswer(claims: JsonObject): boolean
}

const ACTIVE: ReadonlySet<string> = new Set(['active'])
/** Claims by which a JWT and the answer about it show that they belong together. */
const IDENTIFYING = ['jti', 'sub', 'iss'] as const

/**
 * What an answer (RFC 7662 2.2) says of a token: its claims, frozen, with `iss` and without `active`; or why it is refused. Whether
 * the claims are good for this API is judged as for any token, and not here.
 * @throws {AnswerError} where the answer cannot be believed: our trouble, never the caller's; {@link TokenAnswerError} where that says
 *   nothing of other answers
 */
export function judgeAnswer(answer: JsonObject, token: string, policy: AnswerPolicy): JsonObject | AnswerRefusal {
  const { active, iss } = answer
  if (active === undefined) throw new AnswerError('the answer does not say whether the token is active')
  // A text or a number is not the JSON value `true`, whatever it means to whoever wrote it: the issuer has not called the token active.
  if (active !== true) return 'token_inactive'
  if (iss !== undefined && iss !== policy.issuer) throw new TokenAnswerError('the answer names another issuer')
  const kind = tokenKindOf(answer)
  if (kind === 'other' || (kind === 'unsaid' && !policy.takesUntyped)) return 'token_type_refused'
  if (kind === 'bound' && !namesKey(answer)) {
    throw new TokenAnswerError('the answer calls the token bound, but names no key')
  }
  const claims = frozenWithout({ ...answer, iss: policy.issuer }, ACTIVE)
  const unverified = unverifiedClaimsOf(token)
  if (unverified !== null) holdAgainst(claims, unverified, policy)
  return claims
}

/** RFC 9449 6.2: without the key, a token of the type `DPoP` would pass for one that anybody may use. */
function namesKey({ cnf }: JsonObject): boolean {
  return isObject(cnf) && typeof cnf['jkt'] === 'string'
}

/**
 * A token that is a JWT itself must say nothing else than the answer; any other text shows nothing. What an answer leaves out (RFC 7662
 * 2.2 asks for nothing but `active`) must not make a direct call of a delegated one, or a token for anybody of one that is bound.
 */
function holdAgainst(claims: JsonObject, unverified: JsonObject, { actors }: AnswerPolicy): void {
  for (const name of IDENTIFYING) {
    const [here, there] = [claims[name], unverified[name]]
    if (here !== undefined && there !== undefined && here !== there) {
      throw new TokenAnswerError('the answer is about another token')
    }
  }
  if (actors.inToken(unverified) && !actors.inAnswer(claims)) {
    throw new TokenAnswerError('the answer leaves out who acts, which the token tells')
  }
  if (unverified['cnf'] !== undefined && claims['cnf'] === undefined) {
    throw new TokenAnswerError('the answer leaves out the key that the token is bound to')
  }
}
