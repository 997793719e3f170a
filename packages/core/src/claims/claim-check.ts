import type { RefusalCode } from '../challenge.js'
import type { ClaimMapping } from '../delegation/claim-mapping.js'
import type { Limits } from '../limits.js'
import type { JsonObject } from '../token/json.js'

/** A value that a required claim may have; `null` stands for "absent". */
export type RequiredValue = string | number | boolean | null

/** What the claims of one issuer's tokens must say. */
export interface ClaimPolicy {
  /** Accepted header `typ`, as full lower-case media types; `null`: may be absent. */
  readonly tokenTypes: ReadonlySet<string | null>
  /** Audiences, one of which the token must name; `null`: the token must name none. */
  readonly audience: ReadonlySet<string> | null
  /** Claims that must be there, whatever their value. */
  readonly presentClaims: readonly string[]
  /** Claims that must have one of the values listed. */
  readonly requiredClaims: readonly (readonly [claim: string, values: readonly RequiredValue[]])[]
  /** Accepted clients; `null`: every client of the issuer. */
  readonly clientIds: ReadonlySet<string> | null
  readonly mapping: ClaimMapping
}

/** All that a claim check may look at. */
export interface ClaimCheckInput {
  /** The header, whose signature holds. */
  readonly header: JsonObject
  /** The claims, whose signature holds; frozen, without prototypes. */
  readonly claims: JsonObject
  readonly policy: ClaimPolicy
  readonly limits: Limits
  /** Seconds since the epoch, with fractions. */
  readonly nowSeconds: number
  readonly toleranceSeconds: number
}

/** Tests one rule, and is pure: the reason why the token is refused, or `null`. */
export type ClaimCheck = (input: ClaimCheckInput) => RefusalCode | null
