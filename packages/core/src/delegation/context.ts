import type { RefusalCode } from '../challenge.js'
import type { Limits } from '../limits.js'
import type { JsonObject, JsonValue } from '../token/json.js'
import { type AuthorizationDetail, readAuthorizationDetails } from './authorization-details.js'
import {
  type ClaimMapping,
  MALFORMED,
  type Malformed,
  readClient,
  readIdentifier,
  readProfiles,
  readScopes,
  requestPrefixOf,
} from './claim-mapping.js'
import { decodeDelegation, type Notice } from './decode.js'
import type { DelegationKind, Dialect } from './dialect.js'
import { NO_CLAIMS, type Party, type UnknownParty } from './party.js'

/**
 * Claims of your own that every context's `claims` is typed with. Open to augmentation:
 * `declare module '@behalf/core' { interface CustomClaims { department?: string } }`. The types are your promise: behalf
 * checks the shape of the claims it reads itself, not of these.
 */
// biome-ignore lint/suspicious/noEmptyInterface: it is empty so that applications can augment it
export interface CustomClaims {}

/** What is known of the token itself. Times are seconds since the epoch (RFC 7519 2, NumericDate). */
export interface TokenInfo {
  /** `iss` (RFC 7519 4.1.1): exactly as configured. */
  readonly issuer: string
  /** Every audience that the token names; empty where it has none. */
  readonly audience: readonly string[]
  /** `jti`, or where there is none `sha256:` and the digest of the signed text (a signature can be rewritten, that cannot). */
  readonly id: string
  /** Header `typ`, `null` where it has none. */
  readonly type: string | null
  /** `iat` (RFC 7519 4.1.6), in seconds; `null` where it has none. */
  readonly issuedAt: number | null
  /** `exp` (RFC 7519 4.1.4), in seconds. The clock tolerance is not added. */
  readonly expiresAt: number
  /** Header `kid` (RFC 7515 4.1.4), `null` where it has none. */
  readonly keyId: string | null
  /** Header `alg` (RFC 7515 4.1.1): one that the issuer's `algorithms` accept. `null`: the issuer was asked about the token instead. */
  readonly algorithm: string | null
}

/** What the application knows of a consent: what a rule's `when` answered beside `allow`. Clean texts of bounded length. */
export interface Consent {
  /** Which consent. `null`: not said. */
  readonly consentId: string | null
  /** When it ends, in seconds since the epoch. `null`: not said. */
  readonly expiresAt: number | null
  /** The ticket, case or order that the access is for. `null`: not said. */
  readonly ticket: string | null
  /** Why, in words for people. `null`: not said. */
  readonly reason: string | null
}

interface ContextMembers {
  /** Whose authority is used. */
  readonly subject: Party
  /** Every actor that the token names, current first. Everyone behind the first is history and grants nothing (RFC 8693 4.1). */
  readonly chain: readonly (Party | UnknownParty)[]
  /** Who may become an actor at the authorization server; nobody acts by it. See `mayBecomeActor`. */
  readonly mayAct: Party | null
  /** Effective scopes: what this call may do. Sorted, without duplicates. */
  readonly scopes: readonly string[]
  /** Scopes as the issuer granted them, before a rule narrowed them. Sorted, without duplicates. */
  readonly tokenScopes: readonly string[]
  /**
   * The client that the token was issued to (`client_id`, RFC 8693 4.3, or the issuer's own claim); `null`: not said. Never an
   * actor.
   */
  readonly clientId: string | null
  /** The grant, session or delegation that the token stems from. */
  readonly grantId: string | null
  /** The tenant that the token is for, from the issuer's `claims.tenant`; `null`: not said. A party can have another one. */
  readonly tenant: string | null
  /** The rule that admitted a delegated call; `null` for direct calls, in `report` mode where no rule did, and from `verify()`. */
  readonly rule: string | null
  /** In `report` mode: why the call would have been refused. */
  readonly wouldRefuse: RefusalCode | null
  /** What the rule's `when` said of the consent that the call stands on; `null`: nothing, and before a rule was asked. */
  readonly consent: Consent | null
  /**
   * Authorization details (RFC 9396) whose types the issuer's `authorizationDetails` names, in the token's order; of a delegated
   * call those that its rule leaves. Empty: none, or the claim is not read.
   */
  readonly authorizationDetails: readonly AuthorizationDetail[]
  /** What a handler should know of the call beside all this. Empty: nothing. */
  readonly notices: readonly Notice[]
  /** The token itself, without its text. */
  readonly token: TokenInfo
  /** Verified claims, deeply frozen, without prototypes. Only what behalf reads itself has been checked in shape. */
  readonly claims: Readonly<CustomClaims & Record<string, JsonValue>>
}

/** No actor is visible in the token - never "there is no actor": some issuers impersonate without a trace. */
export interface DirectContext extends ContextMembers {
  /** No actor is visible. */
  readonly kind: 'direct'
  /** Always `null`: whoever calls is not told apart from the subject. */
  readonly actor: null
  /** Always `null`: no rule is asked. */
  readonly consent: null
}

/** Somebody acts for the subject. */
export interface DelegatedContext extends ContextMembers {
  /** How the issuer writes it: its `kind`. It does not say who acts. */
  readonly kind: DelegationKind
  /** Who is really calling. */
  readonly actor: Party | UnknownParty
  /** Claims with authority beside scopes (roles, groups, …). Rules narrow scopes alone: these are the subject's in full. */
  readonly unnarrowed: Readonly<Record<string, JsonValue>>
}

/** Who is calling, on whose behalf, and within which limits. Everything reachable from it is frozen. */
export type AuthContext = DirectContext | DelegatedContext

/** What a rule or its absence makes of a delegated context. */
export type Admission = Pick<ContextMembers, 'rule' | 'scopes' | 'wouldRefuse' | 'authorizationDetails'>

export function isDelegated(context: AuthContext): context is DelegatedContext {
  return context.kind !== 'direct'
}

/** Whether an effective scope is there; exact, no patterns. */
export function hasScope(context: Pick<AuthContext, 'scopes'>, scope: string): boolean {
  return context.scopes.includes(scope)
}

/** Tokens within tokens, by the `token` member that all contexts of one verification share: they stand in no context. */
const embedded = new WeakMap<TokenInfo, ReadonlyMap<string, string>>()

/**
 * A token that the issuer put inside this one for a downstream API (Curity), from a claim that the issuer's `embeddedTokens`
 * names; `null` where there is none. It has *not* been verified and authenticates nobody here: pass it on, nothing else.
 */
export function embeddedToken(context: Pick<AuthContext, 'token'>, claim: string): string | null {
  return embedded.get(context.token)?.get(claim) ?? null
}

/**
 * Builds the context of verified claims, before any rule: a delegated context has no rule yet and the token's own scopes.
 * The claims' shapes have been checked; who acts for whom is decoded here.
 */
export function contextOf(claims: JsonObject, token: TokenInfo, dialect: Dialect, limits: Limits): AuthContext | RefusalCode {
  const { mapping } = dialect
  const clientId = readClient(claims, mapping, limits)
  const tokenScopes = readScopes(claims, mapping, limits)
  const tenant = readIdentifier(claims, mapping.tenant, limits)
  const grantId = readIdentifier(claims, mapping.grant, limits)
  if (clientId === MALFORMED || tokenScopes === MALFORMED || tenant === MALFORMED || grantId === MALFORMED) return 'claim_invalid'
  const tokenSubject = readSubject(claims, token.issuer, clientId, tenant, mapping, limits)
  if (tokenSubject === MALFORMED) return 'claim_invalid'
  const delegation = decodeDelegation(claims, dialect, tokenSubject, clientId, limits)
  if (typeof delegation === 'string') return delegation
  const authorizationDetails = readAuthorizationDetails(claims, dialect.authorizationDetails)
  if (authorizationDetails === MALFORMED) return 'claim_invalid'

  rememberEmbedded(token, claims, dialect)
  const { kind, actor, subject, chain, mayAct, notices } = delegation
  const scopes = withoutRequestScopes(tokenScopes, mapping)
  // Written out member by member, twice: spreading them takes many times as long, and this is done for every new token.
  if (kind === 'direct' || actor === null) {
    return Object.freeze({
      kind: 'direct',
      subject,
      actor: null,
      chain,
      mayAct,
      scopes,
      tokenScopes,
      clientId,
      grantId,
      tenant,
      rule: null,
      wouldRefuse: null,
      consent: null,
      authorizationDetails,
      notices,
      token,
      claims: claimsWithout(claims, dialect.embeddedTokens),
    })
  }
  const unnarrowed: Record<string, JsonValue> = Object.create(null)
  for (const name of dialect.authorityClaims) {
    const value = claims[name]
    if (value !== undefined && !dialect.embeddedTokens.has(name)) unnarrowed[name] = value
  }
  return Object.freeze({
    kind,
    subject,
    actor,
    chain,
    mayAct,
    scopes,
    tokenScopes,
    clientId,
    grantId,
    tenant,
    rule: null,
    wouldRefuse: null,
    consent: null,
    authorizationDetails,
    notices,
    token,
    unnarrowed: Object.freeze(unnarrowed),
    claims: claimsWithout(claims, dialect.hiddenFromDelegates),
  })
}

/** The same context after its rules were asked. */
export function admitted(context: DelegatedContext, admission: Admission): DelegatedContext {
  return Object.freeze({ ...context, ...admission })
}

/** The same context, with what the rule's `when` said of a consent. */
export function consented(context: DelegatedContext, consent: Consent): DelegatedContext {
  return Object.freeze({ ...context, consent })
}

function readSubject(
  claims: JsonObject,
  issuer: string,
  clientId: string | null,
  tenant: string | null,
  mapping: ClaimMapping,
  limits: Limits,
): Party | Malformed {
  const id = readIdentifier(claims, 'sub', limits)
  const home = readIdentifier(claims, mapping.subjectTenant, limits)
  const profiles = readProfiles(claims, mapping.profiles, limits)
  if (id === null || id === MALFORMED || home === MALFORMED || profiles === MALFORMED) return MALFORMED
  return Object.freeze({
    id,
    idClaim: 'sub',
    issuer,
    type: subjectType(claims, id, clientId, mapping),
    profiles,
    tenant: home ?? tenant,
    claims: NO_CLAIMS,
  })
}

/** RFC 9068 2.2 lets `sub` name the client where no resource owner takes part; some issuers say it in a claim of its own. */
function subjectType(claims: JsonObject, id: string, clientId: string | null, mapping: ClaimMapping): Party['type'] {
  const said = mapping.type === null ? undefined : claims[mapping.type.claim]
  if (typeof said === 'string' && mapping.type?.client.includes(said)) return 'client'
  if (id === clientId) return 'client'
  return typeof said === 'string' && mapping.type?.user.includes(said) ? 'user' : null
}

function withoutRequestScopes(scopes: readonly string[], mapping: ClaimMapping): readonly string[] {
  return mapping.requestScopePrefixes.length === 0
    ? scopes
    : Object.freeze(scopes.filter((scope) => requestPrefixOf(scope, mapping) === null))
}

function claimsWithout(claims: JsonObject, hidden: ReadonlySet<string>): AuthContext['claims'] {
  if (!hasOne(claims, hidden)) return claims as AuthContext['claims']
  const visible: Record<string, JsonValue> = Object.create(null)
  for (const [name, value] of Object.entries(claims)) if (!hidden.has(name) && value !== undefined) visible[name] = value
  return Object.freeze(visible) as AuthContext['claims']
}

function hasOne(claims: JsonObject, names: ReadonlySet<string>): boolean {
  for (const name of names) if (claims[name] !== undefined) return true
  return false
}

function rememberEmbedded(token: TokenInfo, claims: JsonObject, dialect: Dialect): void {
  if (!hasOne(claims, dialect.embeddedTokens)) return
  const found = [...dialect.embeddedTokens].flatMap((name) => {
    const value = claims[name]
    return typeof value === 'string' ? [[name, value] as const] : []
  })
  if (found.length > 0) embedded.set(token, new Map(found))
}
