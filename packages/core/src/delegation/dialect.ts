import { isBelated } from '../thenable.js'
import type { JsonObject } from '../token/json.js'
import type { ClaimMapping } from './claim-mapping.js'
import type { ClaimPath } from './markers.js'

/** How an issuer writes who acts; RFC 8693 delegation or the older word for it. It says nothing about who acts. */
export type DelegationKind = 'impersonation' | 'delegation'

/**
 * What a reader of an application's own returns: an object in the shape of `act` (RFC 8693 4.1), `'unknown'` where the token
 * says that somebody acts but not who, or `null` where nobody is said to act.
 */
export type ActorReader = (claims: JsonObject) => JsonObject | 'unknown' | null

/** One way in which a dialect writes who acts for whom. */
export interface ActorForm {
  /** Where the claim stands; `null` where a reader finds it. */
  readonly path: ClaimPath | null
  readonly read: ActorReader | null
  /** `object`: as RFC 8693; `json`: the same object as text, parsed once; `string`: only the id. */
  readonly encoding: 'object' | 'json' | 'string'
  /** Claims that may name the party, the first present one counts. */
  readonly naming: readonly string[]
  readonly issuerRequired: boolean
  /** The claim names the *subject*, and the token's `sub` is the actor (Curity's `act_as`). */
  readonly reversed: boolean
  readonly required: boolean
  /** Actors and subjects share one name space, so that an actor equal to the subject is the subject. */
  readonly selfIsDirect: boolean
  /** Where this form's parties say their profiles, if not where the dialect's mapping says: a reader returns the standard's shape. */
  readonly profiles: ClaimMapping['profiles']
  /** Top-level claim that holds the actor's tenant; only with `string`. */
  readonly tenantClaim: string | null
  /** Claims that say that the form is used, even where its own claim is missing: such a token is unreadable, not direct. */
  readonly signs: readonly ClaimPath[]
}

/** How one kind of issuer writes delegation. Configured per issuer, never guessed from a token. */
export interface Dialect {
  /** At most one of them may be present in a token. */
  readonly forms: readonly ActorForm[]
  /** Markers of other dialects: one present refuses the token. */
  readonly foreign: readonly ClaimPath[]
  /** All claims by which a token can say that somebody acts, readable or not. */
  readonly markers: readonly ClaimPath[]
  readonly kind: DelegationKind | ((claims: JsonObject) => unknown)
  readonly mayAct: 'expose' | 'refuse' | 'refuse_without_act'
  readonly mapping: ClaimMapping
  /** Claims that carry authority beside scopes: kept out of a delegated context's `claims`. */
  readonly authorityClaims: ReadonlySet<string>
  /** Claims that hold a whole token for a downstream API: kept out of every context. */
  readonly embeddedTokens: ReadonlySet<string>
  /** Claims that a delegated context does not show: all of these, and those that hold scopes. */
  readonly hiddenFromDelegates: ReadonlySet<string>
  /** Types of `authorization_details` that this API knows; `null`: the claim is not read. */
  readonly authorizationDetails: ReadonlySet<string> | null
}

/** Runs a function of the application that must answer at once. `undefined`: it threw, or answered with a promise. */
export function callSynchronously<T>(call: () => T): T | undefined {
  try {
    const result = call()
    return isBelated(result) ? undefined : result
  } catch {
    return undefined
  }
}
