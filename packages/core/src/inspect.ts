/** Reads what a token says, without proving any of it: for people who look for a mistake, never for a decision. */
import { audiencesOf } from './claims/audience.js'
import type { ClaimCheckInput } from './claims/claim-check.js'
import { integerAt, membersOf, optional } from './config-shape.js'
import { type AuthContext, contextOf, type TokenInfo } from './delegation/context.js'
import type { Notice } from './delegation/decode.js'
import type { Party, UnknownParty } from './delegation/party.js'
import { claimRefusals } from './inspect/claim-refusals.js'
import { delegationRefusals } from './inspect/delegation-refusals.js'
import { type InspectedRefusal, inspectedRefusal } from './inspect/inspected-refusal.js'
import { beforeKeys, heldAgainst } from './inspect/without-keys.js'
import type { Issuer } from './issuers/issuer.js'
import type { IssuerOptions } from './issuers/issuer-options.js'
import { DEFAULT_CLOCK_TOLERANCE_SECONDS, DEFAULT_LIMITS, MAX_CLOCK_TOLERANCE_SECONDS } from './limits.js'
import { frozen, frozenWithout, type JsonObject } from './token/json.js'
import { parseJwt } from './token/jwt.js'

export type { InspectedRefusal } from './inspect/inspected-refusal.js'

/** When a token is looked at, and how strictly. */
export interface InspectOptions {
  /** The clock, in milliseconds since the epoch. */
  readonly nowMilliseconds: number
  /** How far clocks may differ, in seconds; 0 to 300. Default 5, as a resource server's. */
  readonly clockToleranceSeconds?: number
}

/** Header and claims as somebody wrote them. */
export interface UnverifiedToken {
  /** Frozen, without prototypes. */
  readonly unverifiedHeader: JsonObject
  /** Frozen, without prototypes. */
  readonly unverifiedClaims: JsonObject
}

/**
 * The issuer that a token is held against; or a function that makes one of what the token says, for a person who does not know it.
 * Options that are made from a token trust whoever wrote it: use them for nothing but a look.
 */
export type InspectedIssuer = IssuerOptions | ((token: UnverifiedToken) => IssuerOptions)

/** Who would be calling, if the signature held. Not a context: no guard and no rule takes it. */
export interface UnverifiedCaller {
  /** `direct`, `impersonation` or `delegation`. */
  readonly unverifiedKind: AuthContext['kind']
  /** Whose authority would be used. */
  readonly unverifiedSubject: Party
  /** Who would be calling; `null` for a direct call. */
  readonly unverifiedActor: Party | UnknownParty | null
  /** Every actor that the token names, current first. */
  readonly unverifiedChain: readonly (Party | UnknownParty)[]
  /** Who may become an actor at the authorization server. */
  readonly unverifiedMayAct: Party | null
  /** The client that the token would be issued to. */
  readonly unverifiedClientId: string | null
  /** The grant, session or delegation. */
  readonly unverifiedGrantId: string | null
  /** The tenant. */
  readonly unverifiedTenant: string | null
  /** Scopes that would count, before any rule narrows them. */
  readonly unverifiedScopes: readonly string[]
  /** Scopes that only ask the issuer for something, and are no authority. */
  readonly unverifiedRequestScopes: readonly string[]
  /** As a context's `notices`. */
  readonly notices: readonly Notice[]
}

/** What a token says, and why it would be refused. Nothing in it is proved, and nothing makes a context of it. */
export interface UnverifiedInspection {
  /** Always: no key was asked for, and no signature looked at. */
  readonly verified: false
  /** `null` where the token is no well-formed signed JWT. */
  readonly unverifiedHeader: JsonObject | null
  /** Without the claims of `embeddedClaims`. `null` where the token is no well-formed signed JWT. */
  readonly unverifiedClaims: JsonObject | null
  /** Claims that hold a whole token for a downstream API (`embeddedTokens`): a secret, so only their names are told. */
  readonly embeddedClaims: readonly string[]
  /** `null` where nobody can be read from the claims; `refusals` says why. */
  readonly unverifiedCaller: UnverifiedCaller | null
  /**
   * Every reason that can be told without a key, in the order in which a resource server meets them. Empty does not mean that the
   * token would be let in: keys, signature, revocation, rules and requirements are not looked at.
   */
  readonly refusals: readonly InspectedRefusal[]
}

/**
 * Takes a token apart and holds it against an issuer's options: the same reading, claim checks and dialect as in a resource server,
 * but every reason instead of the first one. Fetches nothing, asks for no key and **proves nothing**: to prove a token use
 * `createResourceServer(…).verify(token)`.
 *
 * @throws {ConfigError} where the options, or the issuer's, are wrong; never because of the token
 */
export function inspectToken(token: string, against: InspectedIssuer, options: InspectOptions): UnverifiedInspection {
  const { nowMilliseconds, toleranceSeconds } = settled(options)
  const known = typeof against === 'function' ? null : heldAgainst(against, nowMilliseconds)
  const jwt = parseJwt(token, DEFAULT_LIMITS, new Map())
  if (jwt === null) return nothingReadable()
  const unverifiedHeader = frozen(jwt.unverifiedHeader)
  const unverifiedClaims = frozen(jwt.unverifiedClaims)
  const issuer = known ?? heldAgainst((against as AsFunction)({ unverifiedHeader, unverifiedClaims }), nowMilliseconds)

  const input: ClaimCheckInput = {
    header: unverifiedHeader,
    claims: unverifiedClaims,
    policy: issuer.claims,
    limits: DEFAULT_LIMITS,
    nowSeconds: nowMilliseconds / 1000,
    toleranceSeconds,
  }
  const embeddedClaims = [...issuer.dialect.embeddedTokens].filter((name) => unverifiedClaims[name] !== undefined)
  const caller = contextOf(unverifiedClaims, unprovedInfo(issuer, unverifiedClaims), issuer.dialect, DEFAULT_LIMITS)
  const claimsRefused = claimRefusals(input)
  return Object.freeze({
    verified: false,
    unverifiedHeader,
    unverifiedClaims: embeddedClaims.length === 0 ? unverifiedClaims : frozenWithout(unverifiedClaims, new Set(embeddedClaims)),
    embeddedClaims: Object.freeze(embeddedClaims),
    unverifiedCaller: typeof caller === 'string' ? null : callerOf(caller),
    refusals: Object.freeze([
      ...beforeKeys(token, issuer),
      ...claimsRefused,
      ...(typeof caller === 'string' ? delegationRefusals(caller, input, issuer.dialect, claimsRefused.length > 0) : []),
      ...(unverifiedClaims['cnf'] === undefined ? [] : [inspectedRefusal('binding_unsupported', ['cnf'])]),
    ]),
  })
}

type AsFunction = Extract<InspectedIssuer, (...args: never[]) => unknown>

function settled(options: InspectOptions): { readonly nowMilliseconds: number; readonly toleranceSeconds: number } {
  const where = 'inspectToken()'
  const members = membersOf(options, where, ['nowMilliseconds', 'clockToleranceSeconds'])
  return {
    nowMilliseconds: integerAt(members['nowMilliseconds'], `${where}.nowMilliseconds`, 0),
    toleranceSeconds: optional(
      members,
      'clockToleranceSeconds',
      where,
      (value, at) => integerAt(value, at, 0, MAX_CLOCK_TOLERANCE_SECONDS),
      DEFAULT_CLOCK_TOLERANCE_SECONDS,
    ),
  }
}

function nothingReadable(): UnverifiedInspection {
  return Object.freeze({
    verified: false,
    unverifiedHeader: null,
    unverifiedClaims: null,
    embeddedClaims: Object.freeze([]),
    unverifiedCaller: null,
    refusals: Object.freeze([inspectedRefusal('token_malformed')]),
  })
}

/** Only its issuer is read, as the name space of the subject; it is in no context that anybody gets to see. */
function unprovedInfo({ issuer }: Issuer, { aud }: JsonObject): TokenInfo {
  const audience = audiencesOf(aud) ?? []
  return { issuer, audience, id: '', type: null, issuedAt: null, expiresAt: 0, keyId: null, algorithm: null }
}

function callerOf(context: AuthContext): UnverifiedCaller {
  const { kind, subject, actor, chain, mayAct, clientId, grantId, tenant, scopes, tokenScopes, notices } = context
  return Object.freeze({
    unverifiedKind: kind,
    unverifiedSubject: subject,
    unverifiedActor: actor,
    unverifiedChain: chain,
    unverifiedMayAct: mayAct,
    unverifiedClientId: clientId,
    unverifiedGrantId: grantId,
    unverifiedTenant: tenant,
    unverifiedScopes: scopes,
    unverifiedRequestScopes: Object.freeze(tokenScopes.filter((scope) => !scopes.includes(scope))),
    notices,
  })
}
