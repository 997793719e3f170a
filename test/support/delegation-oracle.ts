import type { JsonObject, JsonValue } from '@behalf/core'
import { isStrictJson } from './json-oracle.js'

/** What an issuer's options mean, said once more and apart from them. */
export interface OracleDialect {
  readonly issuer: string
  readonly audience: string
  readonly kind: 'impersonation' | 'delegation'
  readonly requires: readonly string[]
  readonly purpose: string | null
  /** Markers that are read; every other one is foreign. */
  readonly reads: readonly string[]
  /** What the words of `sub_profile` mean: themselves, or what is listed (others nothing); `null`: the claim is not read. */
  readonly profiles: 'themselves' | Readonly<Record<string, string>> | null
  /** Claims that may name an actor, the first present one counts. */
  readonly naming: readonly string[]
  readonly selfIsDirect: boolean
  /** `may_act` without delegation makes a grant of the token. */
  readonly mayActNeedsAct: boolean
}

export interface OracleParty {
  readonly id: string
  readonly idClaim: string
  readonly issuer: string | null
  readonly type: 'client' | null
  readonly profiles: readonly string[]
}

export interface Expected {
  readonly outcome: 'direct-none' | 'direct-self' | 'delegated'
  readonly subject: OracleParty
  readonly chain: readonly OracleParty[]
  readonly mayAct: OracleParty | null
}

/** Fixed time and limits of the server that is compared. */
interface OracleLimits {
  readonly nowSeconds: number
  readonly toleranceSeconds: number
  readonly jsonDepth: number
  readonly actors: number
}

/** Every claim that means delegation somewhere; a dot stands between a claim and its member. */
export const MARKERS: readonly string[] = [
  ...['act', 'act_as', 'impersonator', 'impersonated', 'impersonatedBy', 'impersonated_by', 'impersonator_id'],
  ...['impersonator_user_id', 'impersonator_userid', 'impersonator_tenantid', 'impersonator_username'],
  ...['impersonator_tenantname', 'xms_act_fct', 'ext.act', 'ext.act_as', 'ext.impersonator'],
]

const REFUSED = null

/** A signed payload as the oracle sees it. */
export interface OracleView {
  /** What must come of it; `null`: a refusal. */
  readonly expected: Expected | null
  /** Markers of delegation in it, by name. */
  readonly markers: readonly string[]
  /** Its signature can hold, and it has a marker or `may_act`: even its refusal is recorded. */
  readonly carriesDelegation: boolean
}

/** Looks at a signed payload: who calls for whom, or that it must be refused. */
export function foresee(payload: string, dialects: readonly OracleDialect[], limits: OracleLimits): OracleView {
  const claims = readable(payload, limits)
  if (claims === null) return { expected: REFUSED, markers: [], carriesDelegation: false }
  const markers = present(claims)
  const dialect = dialects.find(({ issuer }) => issuer === claims['iss'])
  if (dialect === undefined) return { expected: REFUSED, markers, carriesDelegation: false }
  const holds = claimsHold(claims, dialect, limits) && !('cnf' in claims)
  const subject = holds ? typed(party(claims, ['sub'], dialect, dialect.issuer), claims, dialect) : REFUSED
  const expected = subject === REFUSED ? REFUSED : whoActs(claims, markers, subject, dialect, limits)
  return { expected, markers, carriesDelegation: markers.length > 0 || 'may_act' in claims }
}

function whoActs(
  claims: JsonObject,
  markers: readonly string[],
  subject: OracleParty,
  dialect: OracleDialect,
  limits: OracleLimits,
): Expected | null {
  const mayAct = 'may_act' in claims ? partyAt(claims['may_act'], ['sub', 'client_id'], dialect) : undefined
  if (mayAct === REFUSED || markers.some((name) => !dialect.reads.includes(name))) return REFUSED
  const common = { subject, mayAct: mayAct ?? null }
  if (markers.length === 0) {
    return mayAct !== undefined && dialect.mayActNeedsAct ? REFUSED : { ...common, outcome: 'direct-none', chain: [] }
  }
  if (markers.includes('act_as')) return markers.length === 1 ? reversed(claims, common, dialect) : REFUSED
  if (!markers.includes('act')) return flat(claims, common, dialect)
  const found = markers.length === 1 ? links(claims['act'], dialect, limits.actors) : REFUSED
  if (found === REFUSED) return REFUSED
  const chain = found.map((each) => typed(each, claims, dialect))
  const [actor] = chain as [OracleParty]
  const self =
    dialect.selfIsDirect &&
    chain.length === 1 &&
    same(actor, subject) &&
    !Object.hasOwn(claims['act'] as JsonObject, 'client_id') &&
    wordsOf(claims['act'] as JsonObject).every((word) => meaningOf(word, dialect) !== undefined) &&
    actor.profiles.every((profile) => subject.profiles.includes(profile))
  return { ...common, outcome: self ? 'direct-self' : 'delegated', chain }
}

/** `act_as` names the subject, in the token's own name space, and `sub` is the actor. */
function reversed(claims: JsonObject, common: Omit<Expected, 'outcome' | 'chain'>, dialect: OracleDialect): Expected | null {
  const target = claims['act_as']
  const named = partyAt(target, dialect.naming, dialect)
  if (named === REFUSED || (named.issuer !== null && named.issuer !== dialect.issuer)) return REFUSED
  if (Object.hasOwn(target as object, 'act') || Object.hasOwn(target as object, 'act_as')) return REFUSED
  const actor = common.subject
  if (named.id === actor.id && named.idClaim === actor.idClaim) return { ...common, outcome: 'direct-self', chain: [actor] }
  return { ...common, subject: { ...named, issuer: dialect.issuer }, outcome: 'delegated', chain: [actor] }
}

/** Only the actor's id, with a tenant beside it. */
function flat(claims: JsonObject, common: Omit<Expected, 'outcome' | 'chain'>, dialect: OracleDialect): Expected | null {
  const id = claims['impersonator_user_id']
  const tenant = 'impersonator_tenantid' in claims ? claims['impersonator_tenantid'] : 'none'
  if (!isName(id) || !isName(tenant)) return REFUSED
  const actor = typed({ id, idClaim: 'sub', issuer: null, type: null, profiles: [] }, claims, dialect)
  return { ...common, outcome: 'delegated', chain: [actor] }
}

function links(link: JsonValue | undefined, dialect: OracleDialect, left: number): readonly OracleParty[] | null {
  const actor = left > 0 ? partyAt(link, dialect.naming, dialect) : REFUSED
  if (actor === REFUSED) return REFUSED
  if (!Object.hasOwn(link as object, 'act')) return [actor]
  const history = links((link as JsonObject)['act'], dialect, left - 1)
  return history === REFUSED ? REFUSED : [actor, ...history]
}

function partyAt(value: JsonValue | undefined, naming: readonly string[], dialect: OracleDialect): OracleParty | null {
  return isRecord(value) ? party(value, naming, dialect) : REFUSED
}

function party(
  value: JsonObject,
  naming: readonly string[],
  dialect: OracleDialect,
  issuer = own(value, 'iss'),
): OracleParty | null {
  const idClaim = naming.find((name) => Object.hasOwn(value, name))
  const id = idClaim && own(value, idClaim)
  const profile = dialect.profiles === null ? undefined : own(value, 'sub_profile')
  const readable = isName(id) && (issuer === undefined || isName(issuer)) && (profile === undefined || isName(profile))
  if (!readable || idClaim === undefined) return REFUSED
  const profiles = new Set(wordsOf(value).flatMap((word) => meaningOf(word, dialect) ?? []))
  return { id, idClaim, issuer: issuer ?? null, type: idClaim === 'client_id' ? 'client' : null, profiles: [...profiles] }
}

/** The token's own client is a client, where it is named as a subject in the token's own name space. */
function typed<P extends OracleParty | null>(each: P, claims: JsonObject, { issuer }: OracleDialect): P {
  const own = each?.issuer === null || each?.issuer === issuer
  return own && each?.idClaim === 'sub' && each.id === claims['client_id'] ? { ...each, type: 'client' } : each
}

/** The words of a classification; one of another shape has at least one, which means nothing. */
function wordsOf(value: JsonObject): readonly string[] {
  const profile = own(value, 'sub_profile')
  if (profile === undefined || typeof profile !== 'string') return profile === undefined ? [] : ['']
  const words = profile.replace(/[A-Z]/g, (letter) => letter.toLowerCase()).split(/ +/)
  return words.filter((word) => word !== '' || words.length === 1)
}

function meaningOf(word: string, { profiles }: OracleDialect): string | undefined {
  if (word === '' || profiles === null) return undefined
  return profiles === 'themselves' ? word : Object.hasOwn(profiles, word) ? profiles[word] : undefined
}

/** A name that can stand in a log: no control, format or surrogate character, no separator but plain spaces inside, 1 to 1024 long. */
export function isName(value: unknown): value is string {
  if (typeof value !== 'string' || value.length < 1 || value.length > 1024 || value.trim() !== value) return false
  return [...value].every((character) => character === ' ' || !/\p{Cc}|\p{Cf}|\p{Cs}|\p{Z}/u.test(character))
}

function claimsHold(claims: JsonObject, dialect: OracleDialect, { nowSeconds, toleranceSeconds }: OracleLimits): boolean {
  const optional = (name: string, fits: (value: unknown) => boolean) => !Object.hasOwn(claims, name) || fits(claims[name])
  const isTime = (value: unknown): value is number => typeof value === 'number' && Math.abs(value) < Number.POSITIVE_INFINITY
  const audiences = typeof claims['aud'] === 'string' ? [claims['aud']] : claims['aud']
  return (
    dialect.requires.every((name) => Object.hasOwn(claims, name)) &&
    isName(claims['sub']) &&
    Array.isArray(audiences) &&
    audiences.every(isName) &&
    audiences.includes(dialect.audience) &&
    (dialect.purpose === null || claims['purpose'] === dialect.purpose) &&
    isTime(claims['exp']) &&
    nowSeconds < claims['exp'] + toleranceSeconds &&
    optional('nbf', (nbf) => isTime(nbf) && nowSeconds >= nbf - toleranceSeconds) &&
    optional('iat', (iat) => isTime(iat) && iat <= nowSeconds + toleranceSeconds) &&
    [
      ...['client_id', 'jti'],
      ...(dialect.profiles === null ? [] : ['sub_profile']),
      ...(dialect.purpose === null ? [] : ['delegationId']),
    ].every((name) => optional(name, isName)) &&
    optional('scope', (scope) => typeof scope === 'string' && scope.split(' ').every((word) => word === '' || isName(word)))
  )
}

function readable(payload: string, { jsonDepth }: OracleLimits): JsonObject | null {
  if (!isStrictJson(payload, jsonDepth)) return null
  const claims: unknown = JSON.parse(payload)
  if (!isRecord(claims)) return null
  // Without prototype and `__proto__`, so that `in` and plain reads see nothing but claims.
  const copy: Record<string, JsonValue | undefined> = Object.create(null)
  for (const name of Object.keys(claims)) if (name !== '__proto__') copy[name] = claims[name]
  return copy
}

function present(claims: JsonObject): readonly string[] {
  return MARKERS.filter((name) => {
    const [outer = '', inner] = name.split('.')
    const value = own(claims, outer)
    return inner === undefined ? Object.hasOwn(claims, outer) : isRecord(value) && Object.hasOwn(value, inner)
  })
}

function same(one: OracleParty, other: OracleParty): boolean {
  return one.issuer !== null && one.issuer === other.issuer && one.idClaim === other.idClaim && one.id === other.id
}

function own(object: JsonObject, name: string): JsonValue | undefined {
  return Object.hasOwn(object, name) ? object[name] : undefined
}

function isRecord(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
