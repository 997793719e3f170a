import { isIdentifier } from '../token/identifier.js'
import type { JsonValue } from '../token/json.js'
import type { ClaimCheck } from './claim-check.js'

/** The audiences of a token as a list; `null` where the claim is neither a string nor a list of strings (RFC 7519 4.1.3). */
export function audiencesOf(aud: JsonValue | undefined): readonly string[] | null {
  if (aud === undefined) return []
  if (typeof aud === 'string') return [aud]
  return Array.isArray(aud) && aud.every((each) => typeof each === 'string') ? (aud as readonly string[]) : null
}

/** The token was issued for this API: one exact match (RFC 9068 4). Where no audience is configured, a token that has one is for somebody else. */
export const checkAudience: ClaimCheck = ({ claims, policy, limits }) => {
  const audiences = audiencesOf(claims['aud'])
  if (audiences === null) return 'claim_invalid'
  if (policy.audience === null) return claims['aud'] === undefined ? null : 'audience_mismatch'
  if (audiences.length === 0) return claims['aud'] === undefined ? 'claim_missing' : 'audience_mismatch'
  if (!audiences.every((each) => isIdentifier(each, limits.identifierCharacters))) return 'claim_invalid'
  return audiences.some((each) => policy.audience?.has(each)) ? null : 'audience_mismatch'
}
