import { type BindingMode, bindingModeAt } from '../binding/binding-policy.js'
import type { RefusalCode, StepUp } from '../challenge.js'
import { booleanAt, functionAt, membersOf, oneOrListAt, optional, stringAt, wordAt } from '../config-shape.js'
import type { AuthContext } from '../delegation/context.js'
import type { Party, UnknownParty } from '../delegation/party.js'
import { ConfigError, type RefusalDetails } from '../errors.js'
import type { JsonObject } from '../token/json.js'
import { type CompiledDetail, compileDetails, type DetailRequirement, judgeDetails } from './details.js'
import type { Hook } from './hook.js'
import { compileMatchers, fitsNone, fitsOne, type PartyMatcher } from './matcher.js'
import { issuersAt, type KnownIssuers, namesAt, requireIssuerForIds } from './rule.js'
import { scopeAt } from './scopes.js'
import { meetsStepUp, stepUpOf } from './step-up.js'

type ContextKind = AuthContext['kind']
type ClaimValue = string | number | boolean

/** Matchers, or with `not` everybody whom they do not describe; there, a matcher without `issuer` describes parties of every name space. */
export type PartyRequirement = PartyMatcher | readonly PartyMatcher[] | { readonly not: PartyMatcher | readonly PartyMatcher[] }

/** What one route asks of a verified call. Every member given must hold; `guard()` alone means "a verified call". */
export interface Requirement {
  /** All of these must be effective. Exact, no patterns. */
  readonly scopes?: string | readonly string[]
  /** One of these must be effective. */
  readonly anyScope?: string | readonly string[]
  /** Kinds admitted; omitted: all. */
  readonly kind?: ContextKind | readonly ContextKind[]
  /** Issuer of the token, one or several. */
  readonly issuer?: string | readonly string[]
  /**
   * Tenant of the token, one or several, whichever issuer wrote it unless `issuer` is given. A token without a tenant does not
   * meet it.
   */
  readonly tenant?: string | readonly string[]
  /** The current actor. A direct call has none: it meets only a `not`. */
  readonly actor?: PartyRequirement
  /** Whose authority is used. */
  readonly subject?: PartyRequirement
  /**
   * Top-level claims and the values, or lists of values, one of which each must have. Judged on the context's `claims`: a
   * delegated context has neither scopes nor `authorityClaims` there, so that such a requirement refuses it.
   */
  readonly claims?: Readonly<Record<string, ClaimValue | readonly ClaimValue[]>>
  /**
   * `require`: the token is bound to a key, whose possession this request has proved (RFC 9449). `off`: it is not bound to one. `allow`
   * (default): either. Makes an issuer's `dpop` narrower on a route, never wider.
   */
  readonly dpop?: BindingMode
  /** Authorization details (RFC 9396) that the call has: each of these in one and the same object. */
  readonly authorizationDetails?: DetailRequirement | readonly DetailRequirement[]
  /** The issuer names every actor: a token that says otherwise (`chain_complete`) does not meet it. Default `false`. */
  readonly completeChain?: boolean
  /**
   * How the user has logged in (`acr`), one of these, the one that is preferred first: challenges name them (RFC 9470). A delegated
   * call meets this and the next one only where its rule says `stepUp: 'subject'`.
   */
  readonly acr?: string | readonly string[]
  /** How long ago the user has logged in (`auth_time`) at most, in whole seconds, 0 or more; the clock tolerance is added. */
  readonly maxAuthAgeSeconds?: number
  /** Asked last; only `true` admits. Throwing, or taking longer than `limits.hookMilliseconds`, is a 503. */
  readonly check?: Hook<AuthContext>
}

const MEMBERS = [
  'scopes',
  'anyScope',
  'kind',
  'issuer',
  'tenant',
  'actor',
  'subject',
  'claims',
  'dpop',
  'authorizationDetails',
  'completeChain',
  'acr',
  'maxAuthAgeSeconds',
  'check',
] as const satisfies readonly (keyof Requirement)[]

interface CompiledParty {
  readonly matchers: readonly PartyMatcher[]
  readonly not: boolean
}

/** A requirement, prepared. `null` stands for "not asked". */
export interface CompiledRequirement {
  readonly scopes: readonly string[]
  readonly anyScope: readonly string[]
  readonly kinds: ReadonlySet<ContextKind> | null
  readonly issuers: ReadonlySet<string> | null
  readonly tenants: ReadonlySet<string> | null
  readonly actor: CompiledParty | null
  readonly subject: CompiledParty | null
  readonly claims: readonly (readonly [claim: string, values: readonly ClaimValue[]])[]
  readonly dpop: BindingMode
  readonly details: readonly CompiledDetail[]
  readonly completeChain: boolean
  readonly stepUp: StepUp | null
  readonly check: Hook<AuthContext> | null
}

/** What a requirement is held against when it is read. */
interface RequirementSettings {
  readonly knownIssuers: KnownIssuers
  /** Whether a login can count for a delegated call. */
  readonly loginCanCount: boolean
}

/** @throws {ConfigError} naming the member and the mend */
export function compileRequirement(
  requirement: unknown,
  { knownIssuers: issuers, loginCanCount }: RequirementSettings,
): CompiledRequirement {
  const where = 'guard()'
  const members = membersOf(requirement, where, MEMBERS)
  const kindsAt = (value: unknown, at: string) =>
    new Set(oneOrListAt(value, at, (kind, inner) => wordAt(kind, inner, ['direct', 'impersonation', 'delegation'])))
  const scopesAt = (value: unknown, at: string) =>
    oneOrListAt(value, at, (each, inner) => scopeAt(each, inner, issuers.scopesAreWords))
  const compiled: CompiledRequirement = {
    scopes: optional(members, 'scopes', where, scopesAt, []),
    anyScope: optional(members, 'anyScope', where, scopesAt, []),
    kinds: optional(members, 'kind', where, kindsAt, null),
    issuers: optional(members, 'issuer', where, (value, at) => issuersAt(value, at, issuers), null),
    tenants: optional(members, 'tenant', where, namesAt, null),
    actor: optional(members, 'actor', where, partyAt, null),
    subject: optional(members, 'subject', where, partyAt, null),
    claims: optional(members, 'claims', where, claimsAt, []),
    dpop: optional(members, 'dpop', where, (value, at) => dpopAt(value, at, issuers), 'allow' as const),
    details: optional(members, 'authorizationDetails', where, (value, at) => compileDetails(value, at, issuers.detailTypes), []),
    completeChain: optional(members, 'completeChain', where, booleanAt, false),
    stepUp: stepUpOf(members, where),
    check: optional(members, 'check', where, functionAt<Hook<AuthContext>>, null),
  }
  requireIssuerForIds(members, where, issuers, compiled.actor?.matchers ?? null, compiled.subject?.matchers ?? null)
  if (compiled.stepUp !== null && !loginCanCount && refusesDirect(compiled)) {
    throw new ConfigError(
      `${where} asks for a delegated call and for a login, which no rule lets count: give a rule stepUp: 'subject'`,
    )
  }
  return Object.freeze(compiled)
}

/** Whether no direct call can meet it. Such a call has no actor. */
function refusesDirect({ kinds, actor }: CompiledRequirement): boolean {
  return kinds?.has('direct') === false || actor?.not === false
}

function dpopAt(value: unknown, where: string, { offersDpop }: KnownIssuers): BindingMode {
  const mode = bindingModeAt(value, where)
  if (mode !== 'off' && !offersDpop) {
    throw new ConfigError(
      `${where} is '${mode}', but no issuer's tokens can be bound to a key: give one dpop: 'allow', with publicOrigins`,
    )
  }
  return mode
}

function partyAt(value: unknown, where: string): CompiledParty {
  if (typeof value === 'object' && value !== null && Object.hasOwn(value, 'not')) {
    const { not } = membersOf(value, where, ['not'])
    return { matchers: compileMatchers(not, `${where}.not`), not: true }
  }
  return { matchers: compileMatchers(value, where), not: false }
}

function claimsAt(value: unknown, where: string): CompiledRequirement['claims'] {
  const members = membersOf(value, where, Object.keys(value ?? {}))
  const entries = Object.entries(members)
  if (entries.length === 0) throw new ConfigError(`${where} is empty: name a claim, or leave the member out`)
  return entries.map(([name, accepted]) => [name, oneOrListAt(accepted, `${where}["${name}"]`, claimValueAt)] as const)
}

function claimValueAt(value: unknown, where: string): ClaimValue {
  if (typeof value === 'boolean' || (typeof value === 'number' && Number.isFinite(value))) return value
  return stringAt(value, where)
}

/** Judges whether a token is bound to a key as a route asks. That its sender holds the key was proved before. */
export function judgeDpop({ dpop }: CompiledRequirement, isBound: boolean): RefusalCode | null {
  if (dpop === 'require') return isBound ? null : 'binding_required'
  return dpop === 'off' && isBound ? 'binding_unsupported' : null
}

/** What is known of a judged call beside its context. */
export interface JudgedCall {
  /** The verified claims, all of them, and the context before any rule. `null`: nothing was verified. */
  readonly proven: { readonly claims: JsonObject; readonly context: AuthContext } | null
  /** Whether the login that the token tells of counts for a delegated call. */
  readonly loginCounts: boolean
}

/** The server's clock. */
export interface JudgingClock {
  /** Milliseconds since the epoch. */
  readonly now: () => number
  readonly clockToleranceSeconds: number
}

/**
 * Judges a requirement, except its `check` and its `dpop`, in one order: kind, issuer, tenant, subject, actor, chain, claims,
 * authorization details, scopes that a rule took away, login, scopes. What no new token could mend comes before the login, so that
 * nobody logs in in vain; missing scopes come after it, since its challenge names them too (RFC 9470 3).
 * @returns why the call is refused, or `null`
 */
export function judgeRequirement(
  requirement: CompiledRequirement,
  context: AuthContext,
  call: JudgedCall,
  clock: JudgingClock,
): RefusalCode | null {
  const refusal =
    judgeKind(requirement, context, call) ??
    judgeParties(requirement, context) ??
    judgeChain(requirement, context) ??
    (requirement.claims.every(([name, values]) => values.some((value) => context.claims[name] === value))
      ? null
      : 'requirement_failed') ??
    (requirement.details.length === 0
      ? null
      : judgeDetails(requirement.details, context, call.proven?.context.authorizationDetails ?? []))
  if (refusal !== null) return refusal
  const scopes = judgeScopes(requirement, context)
  if (requirement.stepUp === null || scopes === 'scope_not_delegated') return scopes
  const claims = call.proven?.claims ?? {}
  return meetsStepUp(requirement.stepUp, claims, clock.now() / 1000, clock.clockToleranceSeconds) ? scopes : 'step_up_required'
}

/** What the challenge of a refusal tells of the requirement: the scopes where the call lacks some, and what is asked of the login. */
export function challengeDetails(
  refusal: RefusalCode,
  requirement: CompiledRequirement,
  context: AuthContext | null,
): Pick<RefusalDetails, 'scopes' | 'stepUp'> {
  const { scopes, anyScope, stepUp } = requirement
  if (refusal === 'scope_insufficient') return { scopes: [...scopes, ...anyScope] }
  if (refusal !== 'step_up_required' || stepUp === null) return {}
  const lacksScopes = context !== null && judgeScopes(requirement, context) !== null
  return { stepUp, scopes: lacksScopes ? [...scopes, ...anyScope] : [] }
}

/** A login is the user's own: what it proves is not proved of somebody who acts for the user, unless a rule says so. */
function judgeKind(
  { kinds, stepUp }: CompiledRequirement,
  { kind }: AuthContext,
  { loginCounts }: JudgedCall,
): RefusalCode | null {
  if (kinds !== null && !kinds.has(kind)) return kind === 'direct' ? 'delegation_required' : 'delegation_forbidden'
  return stepUp !== null && kind !== 'direct' && !loginCounts ? 'delegation_forbidden' : null
}

/** Where the issuer says that it leaves somebody out, a direct call may be that somebody's: its login is nobody's that can be named. */
function judgeChain({ completeChain, stepUp }: CompiledRequirement, { kind, notices }: AuthContext): RefusalCode | null {
  if (!notices.includes('chain_incomplete')) return null
  return completeChain || (stepUp !== null && kind === 'direct') ? 'chain_incomplete' : null
}

function judgeParties(requirement: CompiledRequirement, context: AuthContext): RefusalCode | null {
  const { issuer } = context.token
  if (requirement.issuers !== null && !requirement.issuers.has(issuer)) return 'requirement_failed'
  if (requirement.tenants !== null && !(context.tenant !== null && requirement.tenants.has(context.tenant)))
    return 'requirement_failed'
  if (requirement.subject !== null && !meets(requirement.subject, context.subject, issuer)) return 'requirement_failed'
  if (requirement.actor === null) return null
  if (context.actor === null) return requirement.actor.not ? null : 'delegation_required'
  return meets(requirement.actor, context.actor, issuer) ? null : 'actor_unauthorized'
}

/** Of an unknown party nothing can be said: it meets neither a matcher nor its opposite. */
function meets({ matchers, not }: CompiledParty, party: Party | UnknownParty, issuer: string): boolean {
  return not ? fitsNone(matchers, party) : fitsOne(matchers, party, issuer)
}

function judgeScopes({ scopes, anyScope }: CompiledRequirement, context: AuthContext): RefusalCode | null {
  if (anyScope.length === 0 && scopes.every((scope) => context.scopes.includes(scope))) return null
  const missing = scopes.filter((scope) => !context.scopes.includes(scope))
  const lacksAny = anyScope.length > 0 && !anyScope.some((scope) => context.scopes.includes(scope))
  if (missing.length === 0 && !lacksAny) return null
  const granted = (scope: string) => context.kind !== 'direct' && context.tokenScopes.includes(scope)
  return missing.every(granted) && (!lacksAny || anyScope.some(granted)) ? 'scope_not_delegated' : 'scope_insufficient'
}
