import type { Limits } from '../limits.js'
import { isIdentifier } from '../token/identifier.js'
import { frozenWithout, isObject, type JsonObject, type JsonValue, parseStrictJson } from '../token/json.js'
import { type ClaimMapping, MALFORMED, type Malformed, profilesUnderstood, readProfiles } from './claim-mapping.js'
import type { ActorForm } from './dialect.js'
import { NO_CLAIMS, type Party } from './party.js'

/**
 * Members of `act` that are not kept with the party: identity that has its own field, the next actor, and everything that
 * means nothing inside `act` (RFC 8693 4.1): lifetimes, audiences, authority, proof keys. `client_profile` never classifies.
 */
const NOT_KEPT: ReadonlySet<string> = new Set([
  ...['sub', 'iss', 'act', 'act_as', 'may_act', 'client_profile'],
  ...['exp', 'nbf', 'iat', 'aud', 'jti', 'cnf'],
  ...['scope', 'scp', 'roles', 'role', 'groups', 'permissions', 'entitlements', 'authorization_details'],
])

/**
 * Reads a chain of actors, current first. It is read whole or not at all: a link without identity, of another type, or beyond
 * the limit makes the chain malformed, since a shortened chain would be a false record.
 */
export function readChain(
  value: JsonValue,
  form: ActorForm,
  mapping: ClaimMapping,
  limits: Limits,
): readonly Party[] | Malformed {
  if (form.encoding === 'string') {
    const party = readBareParty(value, form, limits)
    return party === MALFORMED ? MALFORMED : Object.freeze([party])
  }
  let link: JsonValue | undefined = value
  if (form.encoding === 'json') {
    link = typeof value === 'string' ? parseStrictJson(value, limits.jsonDepth) : undefined
  }
  const chain: Party[] = []
  do {
    const party = isObject(link) && chain.length < limits.actors ? readParty(link, form, mapping, limits) : MALFORMED
    if (party === MALFORMED) return MALFORMED
    chain.push(party)
    link = ownMember(link as JsonObject, 'act')
  } while (link !== undefined)
  return Object.freeze(chain)
}

/** A party that is written as its id alone. */
export function readBareParty(value: JsonValue, form: Pick<ActorForm, 'naming'>, limits: Limits): Party | Malformed {
  if (!isIdentifier(value, limits.identifierCharacters)) return MALFORMED
  const idClaim = form.naming[0] ?? 'sub'
  return Object.freeze({
    id: value,
    idClaim,
    issuer: null,
    type: typeOf(idClaim),
    profiles: Object.freeze([]),
    tenant: null,
    claims: NO_CLAIMS,
  })
}

/** One party of a chain, or of `may_act`. */
export function readParty(
  link: JsonObject,
  form: Pick<ActorForm, 'naming' | 'issuerRequired' | 'profiles'>,
  mapping: ClaimMapping,
  limits: Limits,
): Party | Malformed {
  const idClaim = form.naming.find((name) => ownMember(link, name) !== undefined)
  const id = idClaim === undefined ? undefined : ownMember(link, idClaim)
  if (idClaim === undefined || !isIdentifier(id, limits.identifierCharacters)) return MALFORMED
  const issuer = ownMember(link, 'iss')
  if (issuer === undefined ? form.issuerRequired : !isIdentifier(issuer, limits.identifierCharacters)) return MALFORMED
  const profilesMapping = form.profiles ?? mapping.profiles
  const profiles = readProfiles(link, profilesMapping, limits)
  if (profiles === MALFORMED) return MALFORMED
  const understood = profilesUnderstood(link, profilesMapping) ? [profilesMapping?.claim ?? idClaim] : []
  const own = [idClaim, ...understood].filter((name) => !NOT_KEPT.has(name))
  const claims = frozenWithout(link, own.length === 0 ? NOT_KEPT : new Set([...NOT_KEPT, ...own]))
  return Object.freeze({
    id,
    idClaim,
    issuer: (issuer as string | undefined) ?? null,
    type: typeOf(idClaim),
    profiles,
    tenant: null,
    claims,
  })
}

/** A party that is known by a client id only is an application; it is never compared with users' ids. */
function typeOf(idClaim: string): 'client' | null {
  return idClaim === 'client_id' ? 'client' : null
}

function ownMember(object: JsonObject, name: string): JsonValue | undefined {
  return Object.hasOwn(object, name) ? object[name] : undefined
}
