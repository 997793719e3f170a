import { checkAudience } from '../claims/audience.js'
import type { ClaimCheckInput } from '../claims/claim-check.js'
import { checkIssuedAt } from '../claims/issued-at.js'
import { checkNotBefore } from '../claims/not-before.js'
import type { JsonObject } from '../token/json.js'
import type { SetRefusal } from './answers.js'
import { isTime } from './events.js'

/**
 * Why the claims of a SET whose signature holds are not accepted, or `null`: those of RFC 8417 2.2, as SSF 1.0 4.1 profiles them. What
 * its events say is read later.
 */
export function checkSet(input: ClaimCheckInput): SetRefusal | null {
  const { claims } = input
  const { jti, iat, toe, txn } = claims
  if (typeof jti !== 'string' || jti === '' || !isTime(iat)) return 'claims'
  if (toe !== undefined && !isTime(toe)) return 'claims'
  if (txn !== undefined && typeof txn !== 'string') return 'claims'
  if (hasForeignClaims(claims)) return 'foreign_claims'
  if (checkAudience(input) !== null) return 'audience'
  if (checkIssuedAt(input) !== null || checkNotBefore(input) !== null) return 'times'
  return null
}

/** SSF 1.0 4.1.2 and 4.1.7: what other kinds of JWTs have, no SET may have. */
function hasForeignClaims({ sub, exp }: JsonObject): boolean {
  return sub !== undefined || exp !== undefined
}
