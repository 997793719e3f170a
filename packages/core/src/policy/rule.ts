import {
  booleanAt,
  functionAt,
  integerAt,
  listAt,
  type Members,
  membersOf,
  oneOrListAt,
  optional,
  stringAt,
  wordAt,
} from '../config-shape.js'
import type { DelegatedContext } from '../delegation/context.js'
import type { DelegationKind } from '../delegation/dialect.js'
import { ConfigError } from '../errors.js'
import { type DetailTypes, detailTypeAt } from './details.js'
import { alwaysCovers, compileMatchers, fitsOne, namesAnId, type PartyMatcher } from './matcher.js'
import { compileScopes, type ScopePatterns } from './scopes.js'
import type { When } from './when.js'

/** Who may act for whom, and within which limits. The first rule that fits decides; a delegated call that none fits is refused. */
export interface DelegationRule {
  /** Unique; it stands in the context and in every record. */
  readonly id: string
  /** How the issuer writes the delegation, not who acts: no rule fences people from agents by `kind` alone. */
  readonly kind: DelegationKind | readonly DelegationKind[]
  /** The current actor; `'any'` also fits one that the token does not name. */
  readonly actor: PartyMatcher | readonly PartyMatcher[] | 'any'
  /** Issuer of the token, one or several. Omitted: any. Needed beside more than one issuer where the rule names an id. */
  readonly issuer?: string | readonly string[]
  /** Whose authority is used. Omitted: anybody's. */
  readonly subject?: PartyMatcher | readonly PartyMatcher[]
  /** Tenant of the token, one or several; at whichever issuer, unless `issuer` is given too. */
  readonly tenant?: string | readonly string[]
  /** Scopes that are left to the call: names, patterns such as `orders:*`, or `'all'`. */
  readonly scopes: string | readonly string[] | 'all'
  /** Names and patterns of scopes that are taken away last. */
  readonly exceptScopes?: string | readonly string[]
  /** Methods, or `'safe'`: GET, HEAD and OPTIONS. A list means exactly its words: `GET` does not stand for `HEAD`. */
  readonly methods?: readonly string[] | 'safe'
  /** Longest lifetime of the token, `exp − iat`, in seconds; a token without `iat` is refused. */
  readonly maxLifetimeSeconds?: number
  /** Most actors in the chain. Default 1. */
  readonly maxDepth?: number
  /** The issuer names every actor: a token that says otherwise (`chain_complete`) is refused. Default `false`. */
  readonly completeChain?: boolean
  /** Types of `authorization_details` (RFC 9396) that are left to the call, or `'all'`. Default: none. */
  readonly authorizationDetails?: string | readonly string[] | 'all'
  /** `subject`: where a route asks for a login (`acr`, `maxAuthAgeSeconds`), the one that the token tells of counts. Default: no login does. */
  readonly stepUp?: 'subject'
  /**
   * Asked last; only `true`, or an object with `allow: true`, admits. Throwing, taking longer than `limits.hookMilliseconds`, or
   * answering with another object, is a 503.
   */
  readonly when?: When
  /**
   * Use an answer again that admits and has an `expiresAt`, for the same token and until then: `when` must not look at the
   * request. Default `false`: it is asked for every request.
   */
  readonly whenCache?: boolean
}

const MEMBERS = [
  'id',
  'kind',
  'actor',
  'issuer',
  'subject',
  'tenant',
  'scopes',
  'exceptScopes',
  'methods',
  'maxLifetimeSeconds',
  'maxDepth',
  'completeChain',
  'authorizationDetails',
  'stepUp',
  'when',
  'whenCache',
] as const satisfies readonly (keyof DelegationRule)[]

const SAFE_METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS'])
const METHOD = /^[A-Z][A-Z-]*$/

/** A rule, prepared. `null` stands for "any". */
export interface CompiledRule {
  readonly id: string
  readonly kinds: ReadonlySet<DelegationKind>
  readonly issuers: ReadonlySet<string> | null
  readonly tenants: ReadonlySet<string> | null
  readonly actors: readonly PartyMatcher[] | null
  readonly subjects: readonly PartyMatcher[] | null
  readonly scopes: ScopePatterns | 'all'
  readonly exceptScopes: ScopePatterns | null
  readonly methods: ReadonlySet<string> | null
  readonly maxLifetimeSeconds: number | null
  readonly maxDepth: number
  readonly completeChain: boolean
  /** `null`: none. */
  readonly authorizationDetails: ReadonlySet<string> | 'all' | null
  /** Whether the login that the token tells of counts for its actor. */
  readonly loginCounts: boolean
  readonly when: When | null
  readonly whenCache: boolean
}

/** What rules and requirements have to know about the issuers. */
export interface KnownIssuers {
  /** Names of all issuers; `null`: the application is asked for them. */
  readonly names: ReadonlySet<string> | null
  /** There can be more than one issuer: the same id can then be two parties. */
  readonly several: boolean
  /** Every issuer writes scopes as space-separated words. */
  readonly scopesAreWords: boolean
  /** Tokens of one of them can be bound to a key. */
  readonly offersDpop: boolean
  /** Types of `authorization_details` that one of them knows. */
  readonly detailTypes?: DetailTypes
}

/** @throws {ConfigError} naming the rule, the member and the mend */
export function compileRules(rules: unknown, issuers: KnownIssuers): readonly CompiledRule[] {
  if (!Array.isArray(rules)) throw new ConfigError('delegation must be a list of rules')
  const compiled = Array.from(rules, (rule: unknown, index) => compileRule(rule, `delegation[${index}]`, issuers))
  compiled.forEach((rule, index) => {
    const where = `delegation[${index}] ("${rule.id}")`
    const earlier = compiled.slice(0, index)
    if (earlier.some((other) => other.id === rule.id))
      throw new ConfigError(`${where} has an id that an earlier rule has already`)
    const shadow = earlier.find((other) => shadows(other, rule, issuers.names))
    if (shadow !== undefined) {
      throw new ConfigError(
        `${where} can never decide: the earlier rule "${shadow.id}" always fits first; order them from narrow to wide`,
      )
    }
  })
  return Object.freeze(compiled)
}

function compileRule(rule: unknown, where: string, issuers: KnownIssuers): CompiledRule {
  const members = membersOf(rule, where, MEMBERS)
  for (const name of ['id', 'kind', 'actor', 'scopes']) {
    if (!Object.hasOwn(members, name)) throw new ConfigError(`${where} needs ${name}`)
  }
  const compiled: CompiledRule = {
    id: stringAt(members['id'], `${where}.id`),
    kinds: new Set(
      oneOrListAt(members['kind'], `${where}.kind`, (value, at) => wordAt(value, at, ['impersonation', 'delegation'])),
    ),
    issuers: optional(members, 'issuer', where, (value, at) => issuersAt(value, at, issuers), null),
    tenants: optional(members, 'tenant', where, namesAt, null),
    actors: members['actor'] === 'any' ? null : compileMatchers(members['actor'], `${where}.actor`),
    subjects: optional(members, 'subject', where, compileMatchers, null),
    scopes: members['scopes'] === 'all' ? 'all' : compileScopes(members['scopes'], `${where}.scopes`, issuers.scopesAreWords),
    exceptScopes: optional(members, 'exceptScopes', where, (value, at) => exceptScopesAt(value, at, issuers), null),
    methods: optional(members, 'methods', where, methodsAt, null),
    maxLifetimeSeconds: optional(members, 'maxLifetimeSeconds', where, (value, at) => integerAt(value, at, 1), null),
    maxDepth: optional(members, 'maxDepth', where, (value, at) => integerAt(value, at, 1), 1),
    completeChain: optional(members, 'completeChain', where, booleanAt, false),
    authorizationDetails: optional(members, 'authorizationDetails', where, (value, at) => detailsAt(value, at, issuers), null),
    loginCounts: optional(members, 'stepUp', where, (value, at) => wordAt(value, at, ['subject']) === 'subject', false),
    when: optional(members, 'when', where, functionAt<When>, null),
    whenCache: optional(members, 'whenCache', where, booleanAt, false),
  }
  if (compiled.whenCache && compiled.when === null) throw new ConfigError(`${where}.whenCache goes with when`)
  requireIssuerForIds(members, where, issuers, compiled.actors, compiled.subjects)
  return Object.freeze(compiled)
}

/** Issuers that a rule or requirement names; each must be configured, or it would silently never fit. */
export function issuersAt(value: unknown, where: string, issuers: KnownIssuers): ReadonlySet<string> {
  const names = namesAt(value, where)
  for (const name of names)
    if (issuers.names !== null && !issuers.names.has(name))
      throw new ConfigError(`${where} names an issuer that is not configured: "${name}"`)
  return names
}

export function namesAt(value: unknown, where: string): ReadonlySet<string> {
  return new Set(oneOrListAt(value, where, stringAt))
}

/** Beside several issuers, an id alone names two parties. */
export function requireIssuerForIds(
  members: Members,
  where: string,
  issuers: KnownIssuers,
  ...matchers: readonly (readonly PartyMatcher[] | null)[]
): void {
  if (issuers.several && !Object.hasOwn(members, 'issuer') && matchers.some(namesAnId)) {
    throw new ConfigError(`${where} names an id and needs issuer: the same id at two issuers is two parties`)
  }
}

function exceptScopesAt(value: unknown, where: string, issuers: KnownIssuers): ScopePatterns {
  if (value === 'all')
    throw new ConfigError(`${where} is 'all', which would leave nothing: write a rule's scopes as a list instead`)
  return compileScopes(value, where, issuers.scopesAreWords)
}

function detailsAt(value: unknown, where: string, { detailTypes }: KnownIssuers): ReadonlySet<string> | 'all' {
  return value === 'all' ? 'all' : new Set(oneOrListAt(value, where, (each, at) => detailTypeAt(each, at, detailTypes)))
}

function methodsAt(value: unknown, where: string): ReadonlySet<string> {
  if (value === 'safe') return SAFE_METHODS
  return new Set(
    listAt(value, where, (method, at) => {
      const name = stringAt(method, at)
      if (!METHOD.test(name)) throw new ConfigError(`${at} must be a method in upper case, such as 'POST'`)
      return name
    }),
  )
}

/** Whether a rule is the one for a delegated call: kind, issuer, tenant, actor and subject. Its limits are judged after. */
export function fitsRule(rule: CompiledRule, context: DelegatedContext): boolean {
  const { issuer } = context.token
  return (
    rule.kinds.has(context.kind) &&
    (rule.issuers === null || rule.issuers.has(issuer)) &&
    (rule.tenants === null || (context.tenant !== null && rule.tenants.has(context.tenant))) &&
    (rule.actors === null || fitsOne(rule.actors, context.actor, issuer)) &&
    (rule.subjects === null || fitsOne(rule.subjects, context.subject, issuer))
  )
}

/**
 * Whether whatever fits `later` always fits `earlier`.
 * @param allIssuers `null`: not known
 */
function shadows(earlier: CompiledRule, later: CompiledRule, allIssuers: ReadonlySet<string> | null): boolean {
  const laterIssuers = later.issuers ?? allIssuers
  const [onlyIssuer = null] = laterIssuers?.size === 1 ? laterIssuers : []
  return (
    includesAll(earlier.kinds, later.kinds) &&
    includesAll(earlier.issuers ?? allIssuers, laterIssuers) &&
    includesAll(earlier.tenants, later.tenants) &&
    alwaysCovers(earlier.actors, later.actors, onlyIssuer) &&
    alwaysCovers(earlier.subjects, later.subjects, onlyIssuer)
  )
}

/** `null` stands for everything. */
function includesAll<T>(wide: ReadonlySet<T> | null, narrow: ReadonlySet<T> | null): boolean {
  return wide === null || (narrow !== null && [...narrow].every((each) => wide.has(each)))
}
