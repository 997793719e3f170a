import { type AuditOptions, resolveAudit } from './audit/audit-options.js'
import type { AuditSettings } from './audit/recorder.js'
import { type CompiledBinder, compileBinder } from './binding/bind.js'
import { type DpopOptions, type MtlsOptions, resolveBindings } from './binding/binding-options.js'
import type { BindingPolicy } from './binding/binding-policy.js'
import { createDpopJudge, type DpopSettings } from './binding/dpop.js'
import type { ReplayMemory } from './binding/replay-memory.js'
import { BEARER_ONLY, type ChallengeOffer } from './challenge.js'
import { booleanAt, functionAt, integerAt, type Members, membersOf, optional, stringAt, wordAt } from './config-shape.js'
import { ConfigError } from './errors.js'
import type { IssuerOptions } from './issuers/issuer-options.js'
import type { IssuerLookup, IssuerRegistry } from './issuers/registry.js'
import { type Fetch, isFetchable } from './keys/fetch-json.js'
import {
  DEFAULT_CACHE_BYTES,
  DEFAULT_CACHE_ENTRIES,
  DEFAULT_CLOCK_TOLERANCE_SECONDS,
  DEFAULT_LIMITS,
  type Limits,
  MAX_CACHE_ENTRIES,
  MAX_CLOCK_TOLERANCE_SECONDS,
} from './limits.js'
import { limitsAt } from './limits-option.js'
import { type MetadataOptions, type ResourceMetadata, resolveMetadata } from './metadata.js'
import { compileNotEnded, type NotEnded } from './not-ended.js'
import { createDecider, type Decide } from './policy/decide.js'
import { compileRules, type DelegationRule, type KnownIssuers } from './policy/rule.js'
import { type RevocableIssuers, type RevocationOptions, readRevocationOptions } from './revocation/revocation-options.js'
import { createRevocations, type Revocations } from './revocation/revocations.js'
import { resolveSecurityEvents, type SecurityEventOptions, type SecurityEventSettings } from './security-events/options.js'
import type { CredentialsSource } from './token/credentials.js'
import type { CacheOptions } from './token/verified-cache.js'
import { allowPrivateAt, type DiscoveryOptions, resolveIssuers } from './trusted-issuers.js'

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
  /** How tokens are ended before their time: by `api.revoke()`, and by whoever else writes to the sets. Default: not at all. */
  readonly revocation?: RevocationOptions
  /** Who may tell this API, by security events that are pushed to it, that tokens were ended; needs `revocation`. See `securityEvents()`. */
  readonly securityEvents?: SecurityEventOptions
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
  'revocation',
  'securityEvents',
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
  /** Whether a login can count for a delegated call: one of the rules says so, or rules are not enforced. */
  readonly loginCanCount: boolean
  /** Asks the delegation rules. */
  readonly decide: Decide
  readonly mode: 'enforce' | 'report'
  readonly audit: AuditSettings
  readonly credentialsFrom: CredentialsSource | null
  /** Whether a call comes from the sender that its token is bound to. */
  readonly binder: CompiledBinder
  /** What a proven token is asked about on each request. */
  readonly notEnded: NotEnded
  /** What ends tokens before their time; `null`: nothing does. */
  readonly revocations: Revocations | null
  /** Who may push security events; `null`: nobody. */
  readonly securityEvents: SecurityEventSettings | null
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
  const environment = {
    limits,
    now,
    fetch,
    random: Math.random,
    toleranceSeconds: clockToleranceSeconds,
    dpopLacks: bindings.dpopLacks,
  }
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
  const revocations = optional(
    members,
    'revocation',
    where,
    (value) =>
      createRevocations({
        ...readRevocationOptions(value, 'revocation', revocableIssuers(issuers, knownIssuers)),
        issuerNames: knownIssuers.names,
        toleranceSeconds: clockToleranceSeconds,
        limits,
        now,
      }),
    null,
  )
  const eventEnvironment = { ...environment, listed: true, tokenIssuers: knownIssuers.names, clockToleranceSeconds }
  const securityEvents = optional(
    members,
    'securityEvents',
    where,
    (value) => resolveSecurityEvents(value, 'securityEvents', eventEnvironment),
    null,
  )
  if (securityEvents !== null) requireKept(securityEvents, revocations)
  const rules = optional(members, 'delegation', where, (value) => compileRules(value, knownIssuers), [])
  const mode = optional(members, 'mode', where, (value, at) => wordAt(value, at, ['enforce', 'report']), 'enforce' as const)
  return Object.freeze({
    issuers,
    knownIssuers,
    loginCanCount: mode === 'report' || rules.some(({ loginCounts }) => loginCounts),
    decide: createDecider(rules),
    mode,
    audit: resolveAudit(members, rules.length > 0 || mode === 'report'),
    credentialsFrom: optional(members, 'credentials', where, credentialsAt, null),
    refusals: optional(members, 'refusals', where, (value, at) => wordAt(value, at, ['respond', 'forward']), 'respond' as const),
    contextProperty: optional(members, 'contextProperty', where, propertyAt, 'auth'),
    binder: compileBinder({ dpop: dpop && createDpopJudge(dpop), certificate: mtls ? bindings.certificate : null }),
    revocations,
    notEnded: compileNotEnded({
      revocations,
      statusLists: [...issuers.known()].some((each) => each.statusLists !== null),
      limits,
    }),
    securityEvents,
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

/** An event that ends nothing would be pushed in vain, again and again. */
function requireKept({ transmitters }: SecurityEventSettings, revocations: Revocations | null): void {
  for (const issuer of [...transmitters.values()].flatMap(({ about }) => [...about])) {
    if (revocations !== null && (['sessionId', 'subject'] as const).some((basis) => revocations.keeps(issuer, basis))) continue
    throw new ConfigError(
      `securityEvents would end nothing: no set is asked by sessionId or subject for "${issuer}". Add one of them to by of a check in revocation.checks, with a set to keep it`,
    )
  }
}

function revocableIssuers(issuers: IssuerRegistry, { names }: KnownIssuers): RevocableIssuers {
  const listed = new Map(names === null ? [] : [...issuers.known()].map((each) => [each.issuer, each.claims.mapping] as const))
  return {
    names,
    claimOf: (issuer, basis) => listed.get(issuer)?.[basis === 'grantId' ? 'grant' : 'session'] ?? null,
  }
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
