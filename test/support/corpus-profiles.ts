import { readFileSync } from 'node:fs'
import type { IssuerOptions, JsonObject, JsonValue, JwkSet } from '@behalf/core'
import {
  type ActorOptions,
  asgardeo,
  type ClaimOptions,
  type CustomOptions,
  curity,
  custom,
  descope,
  oauth,
} from '@behalf/core/issuers'

/** A profile of `profiles.json`, its `extends` resolved. */
export interface CorpusProfile {
  readonly extends?: string
  readonly issuer: string
  readonly audience: string | null
  readonly typ: readonly (string | null)[] | null
  readonly actor?: {
    readonly claim?: string
    readonly id?: readonly string[]
    readonly iss?: 'optional' | 'required'
    readonly encoding?: 'json-string'
    readonly flat?: true
    readonly tenant?: string
    readonly factorType?: string
  }
  readonly actRequired?: boolean
  readonly actAs?: object
  readonly scopes?: string
  readonly client?: string | readonly string[]
  readonly foreignMarkers?: readonly string[]
  readonly defaultKind?: 'impersonation' | 'delegation'
  readonly kindRule?: string
  readonly kindClaim?: string
  readonly require?: Readonly<Record<string, string | readonly (string | null)[]>>
  readonly refuseIf?: readonly string[]
  readonly appIf?: string | Readonly<Record<string, string | readonly string[]>>
  readonly allowedAzp?: readonly string[]
  readonly allowedClients?: readonly string[]
  readonly selfActCheck?: boolean
  readonly subProfile?: 'free-text'
  readonly roles?: string
  readonly agentFacet?: number
}

/** Members that some branch below reads: a new one must not be overlooked. */
const UNDERSTOOD: ReadonlySet<string> = new Set([
  ...['extends', 'issuer', 'audience', 'typ', 'actor', 'actRequired', 'actAs', 'scopes', 'client', 'foreignMarkers'],
  ...['defaultKind', 'kindRule', 'kindClaim', 'require', 'refuseIf', 'appIf', 'allowedAzp', 'allowedClients'],
  ...['selfActCheck', 'subProfile', 'roles', 'agentFacet'],
])

const { _notes, ...PROFILES } = JSON.parse(readFileSync(new URL('../corpus/profiles.json', import.meta.url), 'utf8')) as Record<
  string,
  Partial<CorpusProfile>
> & {
  _notes: { now: number; clockToleranceSeconds: number; maxChainDepth: number; maxStringLength: number }
}

/** What holds for every case: the time in seconds, the clock tolerance, the longest chain and string. */
export const corpusNotes = _notes

export const profileNames: readonly string[] = Object.keys(PROFILES)

export function profileOf(name: string): CorpusProfile {
  const own = PROFILES[name]
  if (own === undefined) throw new Error(`there is no profile "${name}"`)
  const unknown = Object.keys(own).filter((member) => !UNDERSTOOD.has(member))
  if (unknown.length > 0) throw new Error(`profile "${name}" has members that no issuer option is made of: ${unknown}`)
  return { ...(own.extends === undefined ? {} : profileOf(own.extends)), ...own } as CorpusProfile
}

/** The issuer options that a profile stands for: presets for the systems that have one, `custom()` for all others. */
export function issuerOptionsOf(name: string, jwks: JwkSet): IssuerOptions {
  const profile = profileOf(name)
  const { issuer } = profile
  const audience = profile.audience ?? ''
  switch (name) {
    case 'rfc8693-strict':
    case 'actor-profile':
    case 'introspection':
      return oauth({
        issuer,
        audience,
        jwks,
        actor: { issuer: profile.actor?.iss ?? 'optional', required: profile.actRequired ?? false },
      })
    case 'curity':
    case 'curity-act-as':
      return curity({ issuer, audience, jwks, actAs: profile.actAs !== undefined })
    case 'descope':
      return descope({ projectId: issuer, jwks })
    case 'asgardeo':
      return asgardeo({ organization: organizationOf(issuer), clientIds: [audience], jwks })
    default:
      return custom(customOptionsOf(name, profile, jwks))
  }
}

function organizationOf(issuer: string): string {
  return new URL(issuer).pathname.split('/')[2] ?? ''
}

function customOptionsOf(name: string, profile: CorpusProfile, jwks: JwkSet): CustomOptions {
  return {
    issuer: profile.issuer,
    audience: profile.audience,
    jwks,
    tokenTypes: profile.typ ?? [],
    ...(profile.allowedClients !== undefined && { clientIds: profile.allowedClients }),
    ...(profile.audience === null && profile.allowedClients === undefined && { anyClient: true }),
    requiredClaims: requiredClaimsOf(profile),
    claims: claimOptionsOf(profile),
    actor: actorOptionsOf(name, profile),
    kind: kindOf(profile),
  }
}

function requiredClaimsOf({ require = {}, allowedAzp }: CorpusProfile): NonNullable<CustomOptions['requiredClaims']> {
  const required = Object.entries(require).map(([claim, values]) => [claim.replace('(payload)', ''), values] as const)
  // Clerk's `azp` is the origin of a web page: a condition, and no name of a client.
  return { ...Object.fromEntries(required), ...(allowedAzp !== undefined && { azp: allowedAzp }) }
}

function claimOptionsOf({ scopes = 'scope:string', client, appIf, subProfile, agentFacet }: CorpusProfile): ClaimOptions {
  const [claim = 'scope', format] = scopes.split(':')
  return {
    scopes: { claim, format: format === 'array' ? 'list' : 'string' },
    ...(client !== undefined && { client }),
    // Where `appIf` is a text it says that `sub` names the client, which needs no option.
    ...(typeof appIf === 'object' && { type: typeOf(appIf) }),
    ...(subProfile === 'free-text' && { profiles: null }),
    ...(agentFacet !== undefined && {
      profiles: { claim: SUBJECT_FACETS, words: { [agentFacet]: 'ai_agent', 13: 'ai_agent_user' } },
    }),
  }
}

function typeOf(appIf: Readonly<Record<string, string | readonly string[]>>): NonNullable<ClaimOptions['type']> {
  const [[claim, values] = ['', []]] = Object.entries(appIf)
  return { claim, client: typeof values === 'string' ? [values] : values }
}

function kindOf({ kindRule, kindClaim, defaultKind = 'delegation' }: CorpusProfile): NonNullable<CustomOptions['kind']> {
  if (kindRule === 'act.client_id present -> delegation, else impersonation') {
    return ({ act }) => (isObject(act) && act['client_id'] !== undefined ? 'delegation' : 'impersonation')
  }
  if (kindRule !== undefined) throw new Error(`no kind function says "${kindRule}"`)
  if (kindClaim === undefined) return defaultKind
  // The vendor documents one value. Whatever else stands there gets the stricter kind.
  return (claims) => (valueAt(claims, kindClaim.split('.')) === 'delegation' ? 'delegation' : defaultKind)
}

/** Claims that a vendor writes beside the one that names the actor: they are no markers of somebody else, and mean nothing alone. */
const COMPANIONS: Readonly<Record<string, readonly string[]>> = {
  'auth0-legacy': ['impersonated'],
  abp: ['impersonator_username', 'impersonator_tenantname'],
}

function actorOptionsOf(name: string, profile: CorpusProfile): ActorOptions | readonly ActorOptions[] {
  const { actor = {}, agentFacet, selfActCheck: selfIsDirect = true } = profile
  if (agentFacet !== undefined) {
    return { read: agentByFacet(String(agentFacet)), reads: [ACTOR_FACETS], id: 'client_id', selfIsDirect }
  }
  if (actor.factorType !== undefined) return { read: unknownByFactor(actor.factorType), selfIsDirect }
  const { claim = 'act', id, iss, encoding, flat, tenant } = actor
  const form: ActorOptions = {
    claim,
    selfIsDirect,
    ...(id !== undefined && { id }),
    ...(iss !== undefined && { issuer: iss }),
    ...(encoding === 'json-string' && { encoding: 'json' as const }),
    ...(flat && { encoding: 'string' as const }),
    ...(tenant !== undefined && { tenant }),
  }
  const companions = COMPANIONS[name]
  return companions === undefined ? form : [form, { read: onlyBeside(claim, companions), reads: companions }]
}

/** Refuses a token that has companions of a claim, and not the claim: somebody acts, and nobody is named. */
function onlyBeside(claim: string, companions: readonly string[]): NonNullable<ActorOptions['read']> {
  return (claims) => (companions.some((each) => claims[each] !== undefined) && claims[claim] === undefined ? {} : null)
}

const ACTOR_FACETS = 'xms_act_fct'
const SUBJECT_FACETS = 'xms_sub_fct'

/** Entra: the client (`azp`) acts where a facet says that it is an agent, unless the subject is that agent itself. */
function agentByFacet(agent: string): NonNullable<ActorOptions['read']> {
  return (claims) => {
    const { azp, iss } = claims
    if (!facetsOf(claims, ACTOR_FACETS).includes(agent) || facetsOf(claims, SUBJECT_FACETS).includes(agent)) return null
    return { client_id: azp, iss, sub_profile: 'ai_agent' }
  }
}

function facetsOf(claims: JsonObject, claim: string): readonly string[] {
  const facets = claims[claim] ?? ''
  if (claims[claim] === null || typeof facets !== 'string') throw new TypeError('facets are one text')
  return facets.split(' ')
}

const STYTCH_SESSION = 'https://stytch.com/session'

/** Stytch: a factor of the session says that somebody else signed in, and not who. */
function unknownByFactor(type: string): NonNullable<ActorOptions['read']> {
  return (claims) => {
    const session = claims[STYTCH_SESSION]
    if (session === undefined) return null
    const factors = isObject(session) ? session['authentication_factors'] : undefined
    if (!Array.isArray(factors) || !factors.every(isObject)) throw new TypeError('factors are a list of objects')
    return factors.some((factor) => factor['type'] === type) ? 'unknown' : null
  }
}

function isObject(value: JsonValue | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function valueAt(claims: JsonObject, path: readonly string[]): JsonValue | undefined {
  return path.reduce<JsonValue | undefined>((value, name) => (isObject(value) ? value[name] : undefined), claims)
}
