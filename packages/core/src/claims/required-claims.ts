import type { ClaimCheck } from './claim-check.js'

/** Claims that tell this issuer's access tokens from its other tokens have an accepted value (RFC 8725 3.12). */
export const checkRequiredClaims: ClaimCheck = ({ claims, policy }) => {
  for (const [name, values] of policy.requiredClaims) {
    const value = claims[name]
    if (value === undefined) {
      if (!values.includes(null)) return 'claim_missing'
    } else if (value === null || !values.some((each) => each === value)) return 'claim_invalid'
  }
  return null
}
