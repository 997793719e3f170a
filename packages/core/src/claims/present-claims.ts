import type { ClaimCheck } from './claim-check.js'

/** Every claim that this issuer's tokens always have is there (RFC 9068 2.2). Values are judged by other checks. */
export const checkPresentClaims: ClaimCheck = ({ claims, policy }) =>
  policy.presentClaims.every((name) => claims[name] !== undefined) ? null : 'claim_missing'
