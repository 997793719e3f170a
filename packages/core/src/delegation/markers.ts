import type { JsonObject } from '../token/json.js'
import { isObject } from '../token/json.js'

/** Where a claim stands: a top-level name, or a path of names. */
export type ClaimPath = readonly string[]

/**
 * Every claim by which a known system says that somebody acts for somebody else. One that an issuer's dialect does not read
 * refuses its token, whatever its value: the call would pass as direct, under the wrong name.
 */
export const DELEGATION_MARKERS: readonly ClaimPath[] = [
  ['act'], // RFC 8693 4.1
  ['act_as'], // Curity
  ['impersonator'], // Auth0 (legacy), Keycloak mappers, WorkOS
  ['impersonated'], // Auth0 (legacy)
  ['impersonatedBy'], // Better Auth
  ['impersonated_by'],
  ['impersonator_id'],
  ['impersonator_user_id'], // PropelAuth
  ['impersonator_userid'], // ABP Framework
  ['impersonator_tenantid'],
  ['impersonator_username'],
  ['impersonator_tenantname'],
  ['xms_act_fct'], // Microsoft Entra agents
  ['ext', 'act'], // Ory Hydra puts custom claims under `ext`
  ['ext', 'act_as'],
  ['ext', 'impersonator'],
]

/** A known marker as one word: how options and messages name it. */
export function pathName(path: ClaimPath): string {
  return path.join('.')
}

/** The value of an own member at a path; `undefined` where there is none. Inherited members are no claims. */
export function claimAt(claims: JsonObject, path: ClaimPath): JsonObject[string] {
  let value: JsonObject[string] = claims
  for (const name of path) {
    if (!isObject(value) || !Object.hasOwn(value, name)) return undefined
    value = value[name]
  }
  return value
}

/** Whether any of the markers is present, `null` as a value included. */
export function hasMarker(claims: JsonObject, markers: readonly ClaimPath[]): boolean {
  return markers.some((path) => claimAt(claims, path) !== undefined)
}

/** Whether two paths are the same: member by member, since a name may hold dots itself. */
export function isSamePath(one: ClaimPath, other: ClaimPath): boolean {
  return one.length === other.length && one.every((name, index) => name === other[index])
}

/** The known markers but those given. */
export function markersWithout(paths: readonly ClaimPath[]): readonly ClaimPath[] {
  return DELEGATION_MARKERS.filter((marker) => !paths.some((path) => isSamePath(path, marker)))
}
