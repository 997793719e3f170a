import type { AuditSettings, RecordPolicy } from './audit/recorder.js'
import { type AuditSink, sinkAt } from './audit/sink.js'
import { type CompiledBinder, compileBinder } from './binding/bind.js'
import { type DpopOptions, type MtlsOptions, resolveBindings } from './binding/binding-options.js'
import type { BindingPolicy } from './binding/binding-policy.js'
import { createDpopJudge, type DpopSettings } from './binding/dpop.js'
import type { ReplayMemory } from './binding/replay-memory.js'
import { BEARER_ONLY, type ChallengeOffer } from './challenge.js'
import { booleanAt, functionAt, integerAt, listAt, type Members, membersOf, optional, stringAt, wordAt } from './config-shape.js'
import { ConfigError } from './errors.js'
import { type Issuer, type IssuerEnvironment, type IssuerOptions, resolveIssuer } from './issuers/issuer.js'
import { AskedIssuers, type IssuerLookup, type IssuerRegistry, ListedIssuers } from './issuers/registry.js'
import { type Fetch, isFetchable } from './keys/fetch-json.js'
import { publicAddressesOnly } from './keys/private-address.js'
import {
  DEFAULT_AUDIT_TIMEOUT_MILLISECONDS,
  DEFAULT_CACHE_BYTES,
  DEFAULT_CACHE_ENTRIES,
  DEFAULT_CLOCK_TOLERANCE_SECONDS,
  DEFAULT_LIMITS,
  type Limits,
  LONGEST_TIMER_MILLISECONDS,
  MAX_CACHE_ENTRIES,
  MAX_CLOCK_TOLERANCE_SECONDS,
} from './limits.js'
import { type MetadataOptions, type ResourceMetadata, resolveMetadata } from './metadata.js'
import { createDecider, type Decide } from './policy/decide.js'
import { compileRules, type DelegationRule, type KnownIssuers } from './policy/rule.js'
import type { CredentialsSource } from './token/credentials.js'
import type { CacheOptions } from './token/verified-cache.js'

/** Where records go, which ones, and what happens where one is not accepted. */
export interface AuditOptions {
  /** Every one of them must accept an event, unless it is wrapped in `bestEffort()`. */
  readonly sinks: readonly AuditSink[]
  /**
   * `delegated` (default): every delegated call, allowed or refused, and refusals of tokens whose signature holds and that
   * carry a delegation claim. `refusals`: all refusals too. `always`: every verified call too.
   */
  readonly record?: RecordPolicy
  /** What becomes of a call whose record is not accepted: `refuse` (default) it with 503, or `allow` it. */
  readonly unrecorded?: 'refuse' | 'allow'
  /** How long the sinks together may take to accept an event, in milliseconds; 1 to 60,000. Default 250. */
  readonly timeoutMilliseconds?: number
}

/** How keys are discovered where `issuers` is a function. */
export interface DiscoveryOptions {
  /**
   * Let discovered URLs lead to private, link-local and loopback addresses, and plain http to loopback. Without it they are
   * refused after their host is resolved: a tenant's metadata must not make this server ask its own neighbours. Default `false`.
   */
  readonly allowPrivateAddresses?: boolean
}

/** Options of a resource server. Validated once, when the server is created. */
export interface ResourceServerOptions {
  /**
   * The authorization servers that this API trusts; or, for many tenants, a function that looks one up in a list of the
   * application's own. Its argument is anybody's text: options that are made from it trust everybody.
   */
  readonly issuers: readonly IssuerOptions[] | IssuerLookup
  /** Who may act for whom. Without rules every delegated call is refused. */
  readonly delegation?: readonly DelegationRule[]
  /** `report`: refusals made by rules are recorded as `would_refuse` and the call goes on; creation warns of it. Default `enforce`. */
  readonly mode?: 'enforce' | 'report'
  /** Needed with rules; the word `'none'` says that nothing is recorded. */
  readonly audit?: AuditOptions | 'none'
  /** Where else a token may stand. Beside an `Authorization` field it is one credential too many: 400. */
  readonly credentials?: { readonly from: CredentialsSource }
  /** `respond` (default): the adapter answers refusals itself. `forward`: it hands them to the framework's error handling. */
  readonly refusals?: 'respond' | 'forward'
  /** Name of the context on the framework's request; not one that requests have already. Default `auth`. */
  readonly contextProperty?: string
  /** How far clocks may differ, in seconds; 0 to 300. Default 5. */
  readonly clockToleranceSeconds?: number
  /**
   * What clients call this API by: origins, such as `https://api.example.com`. Proofs of possession are made for one of them; `Host` and
   * forwarded fields only select among several.
   */
  readonly publicOrigins?: string | readonly string[]
  /** Addresses and networks of proxies, such as `10.0.0.0/8`, whose word about a client's certificate and the forwarded host is taken. Default: nobody's. */
  readonly trustedProxies?: readonly string[]
  /** How proofs of possession are judged; needed where an issuer's `dpop` is not `off`. */
  readonly dpop?: DpopOptions
  /** Where client certificates are found. Default: the TLS connection. */
  readonly mtls?: MtlsOptions
  /** What the API says about itself at `/.well-known/oauth-protected-resource` (RFC 9728); challenges then name that place. */
  readonly metadata?: MetadataOptions
  /** Bounds to change; the rest keep their defaults. */
  readonly limits?: Partial<Limits>
  /** Bounds of the verified-token cache; `false`: none. */
  readonly cache?: CacheOptions | false
  /** Fetch the keys of all configured issuers at once, rather than with the first request. Default `false`. See `ready()`. */
  readonly warmUp?: boolean
  /** How keys are discovered where `issuers` is a function. */
  readonly discovery?: DiscoveryOptions
  /**
   * Fetches key sets and metadata: for a proxy, or mutual TLS to the issuer. It must pass on what it is given (`redirect`, `signal`,
   * `headers`) and answer with a standard `Response`; its failure is `keys_unavailable`. Default: the standard `fetch`.
   */
  readonly fetch?: Fetch
  /** The clock, in milliseconds since the epoch; for tests. Default `Date.now`. */
  readonly now?: () => number
}

const MEMBERS = [
  'issuers',
  'delegation',
  'mode',
  'audit',
  'credentials',
  'refusals',
  'contextProperty',
  'clockToleranceSeconds',
  'publicOrigins',
  'trustedProxies',
  'dpop',
  'mtls',
  'metadata',
  'limits',
  'cache',
  'warmUp',
  'discovery',
  'fetch',
  'now',
] as const satisfies readonly (keyof ResourceServerOptions)[]

/** Options, resolved and frozen: everything that can be prepared before a request. */
export interface Settings {
  readonly issuers: IssuerRegistry
  readonly knownIssuers: KnownIssuers
  /** Asks the delegation rules. */
  readonly decide: Decide
  readonly mode: 'enforce' | 'report'
  readonly audit: AuditSettings
  readonly credentialsFrom: CredentialsSource | null
  /** Whether a call comes from the sender that its token is bound to. */
  readonly binder: CompiledBinder
  /** What proofs are judged by; `null`: none are. */
  readonly dpop: DpopSettings | null
  /** The memory of used proofs, also where no issuer asks for proofs: it is closed with the server. */
  readonly replay: ReplayMemory | null
  /** What challenges tell beside the reason; `null`: nothing. */
  readonly offer: ChallengeOffer | null
  /** `null`: none is published. */
  readonly metadata: ResourceMetadata | null
  readonly refusals: 'respond' | 'forward'
  readonly contextProperty: string
  readonly clockToleranceSeconds: number
  readonly limits: Limits
  readonly cache: { readonly maxEntries: number; readonly maxBytes: number } | null
  readonly warmUp: boolean
  readonly now: () => number
}

/** @throws {ConfigError} naming the option and the mend */
export function resolveOptions(options: unknown): Settings {
  const members = membersOf(options, 'resourceServer()', MEMBERS)
  const where = 'resourceServer()'
  const limits = optional(members, 'limits', where, limitsAt, DEFAULT_LIMITS)
  const now = optional(members, 'now', where, functionAt<() => number>, Date.now)
  const fetch = optional(members, 'fetch', where, functionAt<Fetch>, globalThis.fetch)
  const clockToleranceSeconds = optional(members, 'clockToleranceSeconds', where, toleranceAt, DEFAULT_CLOCK_TOLERANCE_SECONDS)
  const bindings = resolveBindings(members, where, { limits, now, toleranceSeconds: clockToleranceSeconds })

  const allowPrivate = optional(members, 'discovery', where, allowPrivateAt, null)
  const environment = { limits, now, fetch, random: Math.random, dpopLacks: bindings.dpopLacks }
  const { issuers, knownIssuers, policies } = resolveIssuers(members['issuers'], environment, allowPrivate)
  const dpop = policies === null || policies.some((policy) => policy.dpop !== 'off') ? bindings.dpop : null
  const mtls = policies === null || policies.some((policy) => policy.mtls !== 'off')
  if (policies !== null) requireUse(members, policies)
  const dpopAlgorithms = dpop === null ? null : [...dpop.algorithms]
  const dpopRequired = policies?.every((policy) => policy.dpop === 'require') ?? false
  const metadata = optional(
    members,
    'metadata',
    where,
    (value) => {
      const authorizationServers = [...(knownIssuers.names ?? [])].filter(isFetchable)
      return resolveMetadata(value, 'metadata', {
        authorizationServers,
        dpopAlgorithms,
        dpopRequired,
        mtls: policies !== null && mtls,
        bindingsKnown: policies !== null,
      })
    },
    null,
  )
  const rules = optional(members, 'delegation', where, (value) => compileRules(value, knownIssuers), [])
  const mode = optional(members, 'mode', where, (value, at) => wordAt(value, at, ['enforce', 'report']), 'enforce' as const)
  return Object.freeze({
    issuers,
    knownIssuers,
    decide: createDecider(rules),
    mode,
    audit: resolveAudit(members, rules.length > 0 || mode === 'report'),
    credentialsFrom: optional(members, 'credentials', where, credentialsAt, null),
    refusals: optional(members, 'refusals', where, (value, at) => wordAt(value, at, ['respond', 'forward']), 'respond' as const),
    contextProperty: optional(members, 'contextProperty', where, propertyAt, 'auth'),
    binder: compileBinder({ dpop: dpop && createDpopJudge(dpop), certificate: mtls ? bindings.certificate : null }),
    dpop,
    replay: bindings.dpop?.replay ?? null,
    offer: dpop === null && metadata === null ? null : offerOf(dpopAlgorithms, dpopRequired, metadata),
    metadata,
    clockToleranceSeconds,
    limits,
    cache: optional(members, 'cache', where, cacheAt, { maxEntries: DEFAULT_CACHE_ENTRIES, maxBytes: DEFAULT_CACHE_BYTES }),
    warmUp: optional(members, 'warmUp', where, booleanAt, false),
    now,
  })
}

function offerOf(
  dpopAlgorithms: readonly string[] | null,
  dpopRequired: boolean,
  metadata: ResourceMetadata | null,
): ChallengeOffer {
  return Object.freeze({ ...BEARER_ONLY, bearer: !dpopRequired, dpopAlgorithms, resourceMetadata: metadata?.url ?? null })
}

/** Somebody who forgets the issuer's word would go on with bearer tokens, and believe otherwise. */
function requireUse(members: Members, policies: readonly BindingPolicy[]): void {
  for (const way of ['dpop', 'mtls'] as const) {
    if (Object.hasOwn(members, way) && policies.every((policy) => policy[way] === 'off')) {
      throw new ConfigError(
        `${way} is given, but no issuer's tokens are bound in that way: give one ${way}: 'allow' or 'require'`,
      )
    }
  }
}

function toleranceAt(value: unknown, where: string): number {
  return integerAt(value, where, 0, MAX_CLOCK_TOLERANCE_SECONDS)
}

type Environment = Omit<IssuerEnvironment, 'keepFresh' | 'screen'>

/**
 * @param allowPrivate `null`: not said
 * @returns `policies`: `null` where they are not known yet
 */
function resolveIssuers(
  value: unknown,
  common: Environment,
  allowPrivate: boolean | null,
): { readonly issuers: IssuerRegistry; readonly knownIssuers: KnownIssuers; readonly policies: readonly BindingPolicy[] | null } {
  if (typeof value === 'function') {
    const environment = { ...common, keepFresh: false, screen: allowPrivate ? null : publicAddressesOnly() }
    return {
      issuers: new AskedIssuers(functionAt<IssuerLookup>(value, 'issuers'), environment),
      knownIssuers: { names: null, several: true, scopesAreWords: true, offersDpop: common.dpopLacks === null },
      policies: null,
    }
  }
  if (allowPrivate !== null) throw new ConfigError('discovery is for issuers as a function: leave it out beside a list')
  const issuers = listIssuers(value, { ...common, keepFresh: true, screen: null })
  const policies = [...issuers.values()].map(({ binding }) => binding)
  return {
    issuers: new ListedIssuers(issuers),
    knownIssuers: {
      names: new Set(issuers.keys()),
      several: issuers.size > 1,
      scopesAreWords: [...issuers.values()].every(writesWords),
      offersDpop: policies.some(({ dpop }) => dpop !== 'off'),
    },
    policies,
  }
}

function listIssuers(value: unknown, environment: IssuerEnvironment): ReadonlyMap<string, Issuer> {
  if (!Array.isArray(value) || value.length === 0) {
    throw new ConfigError('issuers must be a non-empty list of issuer options, or a function that looks them up')
  }
  const issuers = new Map<string, Issuer>()
  Array.from(value).forEach((options: unknown, index) => {
    const issuer = resolveIssuer(options, `issuers[${index}]`, environment)
    if (issuers.has(issuer.issuer)) throw new ConfigError(`issuers[${index}].issuer is configured twice: "${issuer.issuer}"`)
    issuers.set(issuer.issuer, issuer)
  })
  return issuers
}

function allowPrivateAt(value: unknown, where: string): boolean {
  return optional(membersOf(value, where, ['allowPrivateAddresses']), 'allowPrivateAddresses', where, booleanAt, false)
}

function resolveAudit(members: Members, needed: boolean): AuditSettings {
  const nothing: AuditSettings = { sinks: [], record: 'delegated', unrecorded: 'refuse', timeoutMilliseconds: 0 }
  const audit = members['audit']
  if (audit === 'none') return nothing
  if (audit === undefined) {
    if (needed) throw new ConfigError("audit is needed where calls may be delegated: give sinks, or say audit: 'none'")
    return nothing
  }
  const where = 'audit'
  const inner = membersOf(audit, where, ['sinks', 'record', 'unrecorded', 'timeoutMilliseconds'])
  return Object.freeze({
    sinks: listAt(inner['sinks'], 'audit.sinks', sinkAt),
    record: optional(
      inner,
      'record',
      where,
      (value, at) => wordAt(value, at, ['delegated', 'refusals', 'always']),
      'delegated' as const,
    ),
    unrecorded: optional(inner, 'unrecorded', where, (value, at) => wordAt(value, at, ['refuse', 'allow']), 'refuse' as const),
    timeoutMilliseconds: optional(
      inner,
      'timeoutMilliseconds',
      where,
      (value, at) => integerAt(value, at, 1, 60_000),
      DEFAULT_AUDIT_TIMEOUT_MILLISECONDS,
    ),
  })
}

function writesWords({ claims }: Issuer): boolean {
  const { scopes, tenantScopes } = claims.mapping
  return scopes?.format !== 'list' && tenantScopes === null
}

/** Names that requests of Node or of a framework have already: showing the context under one of them would break the application. */
const TAKEN: ReadonlySet<string> = new Set(
  [
    '__proto__ constructor prototype toString on once emit pipe destroy',
    'url originalUrl baseUrl path method headers rawHeaders httpVersion socket connection',
    'query params body route app res req next get header ip ips protocol hostname secure cookies is accepts',
  ].flatMap((names) => names.split(' ')),
)

function propertyAt(value: unknown, where: string): string {
  const name = stringAt(value, where)
  if (TAKEN.has(name)) throw new ConfigError(`${where} is "${name}", which requests have already: choose another name`)
  return name
}

function credentialsAt(value: unknown, where: string): CredentialsSource {
  return functionAt<CredentialsSource>(membersOf(value, where, ['from'])['from'], `${where}.from`)
}

/** Limits that say how many entries a memory has room for from the start. */
const ROOMS: ReadonlySet<string> = new Set([
  'issuers',
  'unknownIssuers',
  'unknownKeys',
  'replayEntries',
] satisfies (keyof Limits)[])

/** Pairs of limits of which the first must not be greater than the second. */
const IN_ORDER: readonly (readonly [keyof Limits, keyof Limits])[] = [
  ['keysFreshLeastSeconds', 'keysFreshSeconds'],
  ['keysFreshSeconds', 'keysFreshMostSeconds'],
  ['keysStaleDelegatedSeconds', 'keysStaleSeconds'],
  ['backOffFirstSeconds', 'backOffMostSeconds'],
  ['fetchHeadersMilliseconds', 'fetchTotalMilliseconds'],
]

function limitsAt(value: unknown, where: string): Limits {
  const members = membersOf(value, where, Object.keys(DEFAULT_LIMITS))
  for (const [name, limit] of Object.entries(members)) integerAt(limit, `${where}.${name}`, leastOf(name), mostOf(name))
  const limits = Object.freeze({ ...DEFAULT_LIMITS, ...(members as Partial<Limits>) })
  for (const [less, more] of IN_ORDER) {
    if (limits[less] > limits[more]) {
      throw new ConfigError(`${where}.${less} (${limits[less]}) is greater than ${more} (${limits[more]}): set both`)
    }
  }
  return limits
}

/** A nonce must live long enough for a client to use it. */
function leastOf(limit: string): number {
  return limit === 'nonceSeconds' ? 10 : 1
}

function mostOf(limit: string): number {
  if (limit === 'keysRefreshPercent') return 100
  if (ROOMS.has(limit)) return MAX_CACHE_ENTRIES
  return limit.endsWith('Milliseconds') ? LONGEST_TIMER_MILLISECONDS : Number.MAX_SAFE_INTEGER
}

function cacheAt(value: unknown, where: string): Settings['cache'] {
  if (value === false) return null
  const members = membersOf(value, where, ['maxEntries', 'maxBytes'])
  return {
    maxEntries: optional(
      members,
      'maxEntries',
      where,
      (each, at) => integerAt(each, at, 1, MAX_CACHE_ENTRIES),
      DEFAULT_CACHE_ENTRIES,
    ),
    maxBytes: optional(members, 'maxBytes', where, (each, at) => integerAt(each, at, 1), DEFAULT_CACHE_BYTES),
  }
}
