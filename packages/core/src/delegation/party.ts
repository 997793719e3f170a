import type { JsonObject } from '../token/json.js'

/** Somebody named by a token. Two parties are the same only if issuer, naming claim and id are. */
export interface Party {
  /** As the token writes it; compared exactly. Unique only together with `issuer` and `idClaim`. */
  readonly id: string
  /** The claim that named the party: `sub`, or another one where the issuer's dialect says so (`client_id`, `user_id`, …). */
  readonly idClaim: string
  /** Name space of the id. `null` where the token does not say; it is never inherited from the token. */
  readonly issuer: string | null
  /**
   * `client`: an application, where the issuer says so, where the naming claim is `client_id`, or where `sub` is the token's
   * client id (RFC 9068 2.2); `user`: a person, where the issuer says so; `null`: not said.
   */
  readonly type: 'user' | 'client' | null
  /** Lower-cased words of `sub_profile` (draft-mora-oauth-entity-profiles). They describe; they grant nothing. */
  readonly profiles: readonly string[]
  /**
   * The party's own tenant: a subject's home, or an actor's where the issuer's `actor.tenant` names its claim. `null`: not said.
   */
  readonly tenant: string | null
  /**
   * Further members that the token has about an actor (e-mail, name, client id, a classification that was not understood, …);
   * no authority and no lifetimes. Empty for a subject, unless `act_as` names it.
   */
  readonly claims: JsonObject
}

/** The token says *that* somebody acts, not who. */
export interface UnknownParty {
  /** `null` is what tells it from a `Party`. */
  readonly id: null
  /** Not said. */
  readonly idClaim: null
  /** Not said. */
  readonly issuer: null
  /** Not said. */
  readonly type: null
  /** Empty: nothing is said. */
  readonly profiles: readonly []
  /** Not said. */
  readonly tenant: null
  /** Empty. */
  readonly claims: JsonObject
}

export const NO_CLAIMS: JsonObject = Object.freeze(Object.create(null))

export const UNKNOWN_PARTY: UnknownParty = Object.freeze({
  id: null,
  idClaim: null,
  issuer: null,
  type: null,
  profiles: Object.freeze([] as const),
  tenant: null,
  claims: NO_CLAIMS,
})

/**
 * A key to look a party up by: issuer, naming claim and id, joined so that no two different parties share one.
 * Never look people up by `id` alone: the same id at two issuers is two parties.
 *
 * @throws {TypeError} for a party that the token did not name
 */
export function partyKey(party: { readonly issuer: string | null; readonly id: string; readonly idClaim?: string }): string {
  if (typeof party.id !== 'string') throw new TypeError('a party that is not named has no key')
  return JSON.stringify([party.issuer, party.idClaim ?? 'sub', party.id])
}

/** Whether two parties are known to be the same: both name spaces are stated, and issuer, naming claim and id are equal. */
export function isSameParty(one: Party, other: Party): boolean {
  return one.issuer !== null && one.issuer === other.issuer && one.idClaim === other.idClaim && one.id === other.id
}
