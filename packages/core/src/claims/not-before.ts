import type { ClaimCheck } from './claim-check.js'

/** The token is valid already (RFC 7519 4.1.5): refused when now < nbf − tolerance, the clock cut to whole seconds. */
export const checkNotBefore: ClaimCheck = ({ claims, nowSeconds, toleranceSeconds }) => {
  const { nbf } = claims
  if (nbf === undefined) return null
  if (typeof nbf !== 'number' || !Number.isFinite(nbf)) return 'claim_invalid'
  return Math.floor(nowSeconds) < nbf - toleranceSeconds ? 'token_not_yet_valid' : null
}
