import { type BindingPolicy, bindingPolicyOf } from '../binding/binding-policy.js'
import type { ClaimPolicy, RequiredValue } from '../claims/claim-check.js'
import { accessTokenTypeAt } from '../claims/other-kinds.js'
import {
  booleanAt,
  functionAt,
  listAt,
  type Members,
  membersOf,
  oneOrListAt,
  optional,
  stringAt,
  wordAt,
} from '../config-shape.js'
import type { ClaimMapping } from '../delegation/claim-mapping.js'
import type { Dialect } from '../delegation/dialect.js'
import { markersWithout } from '../delegation/markers.js'
import { ConfigError } from '../errors.js'
import { configuredLocation, DiscoveredLocation } from '../keys/discovery.js'
import { type Fetch, fetchableAt, isFetchable } from '../keys/fetch-json.js'
import type { KeySet } from '../keys/key-set.js'
import { NoKeySet } from '../keys/no-key-set.js'
import { RemoteKeySet } from '../keys/remote-key-set.js'
import { StaticKeySet } from '../keys/static-key-set.js'
import type { Limits } from '../limits.js'
import { ALGORITHM_NAMES, algorithmAt } from '../token/algorithms.js'
import type { JsonObject } from '../token/json.js'
import { markerAt, resolveActors } from './actor-options.js'
import { resolveClaims } from './claim-options.js'
import { ISSUER_MEMBERS } from './issuer-options.js'
import { isOpaqueOnly, resolveWays, type TokenWays } from './token-ways.js'

/** Claims in which issuers are known to write authority beside scopes. */
const AUTHORITY_CLAIMS: readonly string[] = [
  'roles',
  'role',
  'groups',
  'permissions',
  'entitlements',
  'authorization_details',
  'realm_access',
  'resource_access',
  'cognito:groups',
]

/** An issuer, ready to verify tokens. */
export interface Issuer extends TokenWays {
  readonly issuer: string
  readonly algorithms: ReadonlySet<string>
  readonly keys: KeySet
  /** Where its keys come from, as a text to compare. */
  readonly keysFrom: string
  readonly claims: ClaimPolicy
  readonly dialect: Dialect
  /** How its tokens may be bound to their sender. */
  readonly binding: BindingPolicy
}

/** What issuers need from their server. */
export interface IssuerEnvironment {
  readonly fetch: Fetch
  /** Milliseconds since the epoch. */
  readonly now: () => number
  readonly limits: Limits
  /** From 0 to 1. */
  readonly random: () => number
  /** Refresh keys by a timer too; not for issuers of which there can be thousands. */
  readonly keepFresh: boolean
  /** One of a list: there from the start, and until the end. */
  readonly listed: boolean
  /** How far clocks may differ, in seconds. */
  readonly toleranceSeconds: number
  /** Refuses discovered URLs that must not be asked; `null`: none. */
  readonly screen: ((url: string) => Promise<void>) | null
  /** Where metadata may stand; default: where that of authorization servers does. */
  readonly metadataUrls?: (issuer: string) => readonly string[]
  /** What proofs cannot be judged without, as a text that says what is missing; `null`: nothing is. */
  readonly dpopLacks: string | null
}

/**
 * Validates issuer options and prepares everything that can be prepared before a request.
 * @throws {ConfigError} naming the option and the mend
 */
export function resolveIssuer(options: unknown, where: string, environment: IssuerEnvironment): Issuer {
  const members = membersOf(options, where, ISSUER_MEMBERS)
  const issuer = stringAt(members['issuer'], `${where}.issuer`)
  const strings = (value: unknown, at: string) => listAt(value, at, stringAt)

  const audience = members['audience'] === null ? null : oneOrListAt(members['audience'], `${where}.audience`, stringAt)
  const clientIds = optional(members, 'clientIds', where, strings, null)
  const anyClient = optional(members, 'anyClient', where, booleanAt, false)
  if (audience === null && clientIds === null && !anyClient) {
    throw new ConfigError(`${where}.audience is null: name the accepted clients in clientIds, or say anyClient: true`)
  }
  if (clientIds !== null && anyClient) throw new ConfigError(`${where} has both clientIds and anyClient: choose one`)

  const mapping = resolveClaims(Object.hasOwn(members, 'claims') ? members['claims'] : {}, `${where}.claims`)
  if (clientIds !== null && mapping.client.length === 0) {
    throw new ConfigError(`${where}.clientIds needs ${where}.claims.client: no claim names the client`)
  }
  const actor = Object.hasOwn(members, 'actor') ? members['actor'] : { claim: 'act' }
  const dialectWith = dialectReader(members, where, mapping)
  const algorithms = new Set(
    optional(members, 'algorithms', where, (value, at) => listAt(value, at, algorithmAt), ALGORITHM_NAMES),
  )
  const keys = resolveKeys(members, issuer, where, environment)
  const claims: ClaimPolicy = Object.freeze({
    tokenTypes: new Set(
      optional(members, 'tokenTypes', where, (value, at) => listAt(value, at, tokenTypeAt), ['application/at+jwt']),
    ),
    audience: audience === null ? null : new Set(audience),
    presentClaims: [
      ...new Set([
        'iss',
        'sub',
        'exp',
        ...(audience === null ? [] : ['aud']),
        ...optional(members, 'presentClaims', where, strings, []),
      ]),
    ],
    requiredClaims: optional(members, 'requiredClaims', where, resolveRequired, []),
    clientIds: clientIds === null ? null : new Set(clientIds),
    mapping,
  })
  const dialect = dialectWith(actor, `${where}.actor`)
  return Object.freeze({
    issuer,
    algorithms,
    ...keys,
    binding: resolveBinding(members, where, environment),
    claims,
    dialect,
    ...resolveWays(members, where, environment, { issuer, algorithms, keys: keys.keys, claims, actor, dialect, dialectWith }),
  })
}

/** Reads the issuer's dialect, with whichever way of writing who acts: its tokens and its answers can have different ones. */
function dialectReader(members: Members, where: string, mapping: ClaimMapping): (actor: unknown, at: string) => Dialect {
  const strings = (value: unknown, at: string) => listAt(value, at, stringAt)
  const ignored = optional(members, 'ignoredMarkers', where, (value, at) => listAt(value, at, markerAt), [])
  const authorityClaims = new Set([...AUTHORITY_CLAIMS, ...optional(members, 'authorityClaims', where, strings, [])])
  const embeddedTokens = new Set(optional(members, 'embeddedTokens', where, strings, []))
  const scopeClaims = [mapping.scopes?.claim, mapping.tenantScopes?.claim].filter((claim) => claim !== undefined)
  const shared = {
    kind: optional(members, 'kind', where, kindAt, 'delegation' as const),
    mayAct: optional(members, 'mayAct', where, mayActAt, 'expose' as const),
    mapping,
    authorityClaims,
    embeddedTokens,
    hiddenFromDelegates: new Set([...embeddedTokens, ...authorityClaims, ...scopeClaims]),
    authorizationDetails: optional(members, 'authorizationDetails', where, (value, at) => new Set(strings(value, at)), null),
  }
  return (actor, at) => {
    const actors = resolveActors(actor, at)
    const forms = actors.map(({ form }) => form)
    return Object.freeze({
      ...shared,
      forms,
      foreign: markersWithout([...actors.flatMap(({ reads }) => reads), ...ignored]),
      markers: [...markersWithout(ignored), ...forms.flatMap((form) => (form.path === null ? [] : [form.path]))],
    })
  }
}

function resolveBinding(members: Members, where: string, { dpopLacks }: IssuerEnvironment): BindingPolicy {
  const policy = bindingPolicyOf(members, where)
  if (policy.dpop !== 'off' && dpopLacks !== null) throw new ConfigError(`${where}.dpop is '${policy.dpop}': ${dpopLacks}`)
  return policy
}

function resolveKeys(
  members: Readonly<Record<string, unknown>>,
  issuer: string,
  where: string,
  environment: IssuerEnvironment,
): Pick<Issuer, 'keys' | 'keysFrom'> {
  const { limits } = environment
  if (needsNoKeys(members, where)) return { keys: new NoKeySet(), keysFrom: 'nowhere' }
  const jwksUri = optional(members, 'jwksUri', where, fetchableAt, null)
  if (Object.hasOwn(members, 'jwks')) {
    if (jwksUri !== null) throw new ConfigError(`${where} has both jwks and jwksUri: choose one`)
    const { keys } = membersOf(members['jwks'], `${where}.jwks`, ['keys'])
    if (!Array.isArray(keys) || keys.length === 0) throw new ConfigError(`${where}.jwks.keys must be a non-empty list`)
    const keySet = new StaticKeySet({ keys }, `${where}.jwks`, limits)
    return { keys: keySet, keysFrom: keySet.source }
  }
  if (jwksUri === null && !isFetchable(issuer)) {
    throw new ConfigError(`${where}.issuer is no https URL, so its keys cannot be discovered: give jwksUri or jwks`)
  }
  const location = jwksUri === null ? new DiscoveredLocation(issuer, environment) : configuredLocation(jwksUri)
  return { keys: new RemoteKeySet({ ...environment, issuer, location }), keysFrom: jwksUri ?? 'discovery' }
}

/** Tokens that are only asked about have no signature, and their answers have one only where that is said. */
function needsNoKeys(members: Members, where: string): boolean {
  if (!isOpaqueOnly(members, where)) return false
  const { signed = false } = membersOf(
    members['introspection'],
    `${where}.introspection`,
    Object.keys(members['introspection'] ?? {}),
  )
  return signed === false
}

function tokenTypeAt(value: unknown, where: string): string | null {
  return value === null ? null : accessTokenTypeAt(stringAt(value, where), where)
}

function kindAt(value: unknown, where: string): Dialect['kind'] {
  if (typeof value === 'function') return functionAt<(claims: JsonObject) => unknown>(value, where)
  return wordAt(value, where, ['impersonation', 'delegation'])
}

function mayActAt(value: unknown, where: string): Dialect['mayAct'] {
  return wordAt(value, where, ['expose', 'refuse', 'refuse_without_act'])
}

function resolveRequired(value: unknown, where: string): ClaimPolicy['requiredClaims'] {
  const members = membersOf(value, where, Object.keys(value ?? {}))
  return Object.entries(members)
    .filter(([, accepted]) => accepted !== 'any')
    .map(([name, accepted]) => [name, oneOrListAt(accepted, `${where}["${name}"]`, requiredValueAt)] as const)
}

function requiredValueAt(value: unknown, where: string): RequiredValue {
  if (value === null || typeof value === 'boolean' || (typeof value === 'number' && Number.isFinite(value))) return value
  return stringAt(value, where)
}
