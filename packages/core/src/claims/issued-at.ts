import type { ClaimCheck } from './claim-check.js'

/** The token was not issued in the future: refused when iat > now + tolerance, the clock cut to whole seconds. */
export const checkIssuedAt: ClaimCheck = ({ claims, nowSeconds, toleranceSeconds }) => {
  const { iat } = claims
  if (iat === undefined) return null
  if (typeof iat !== 'number' || !Number.isFinite(iat)) return 'claim_invalid'
  return iat > Math.floor(nowSeconds) + toleranceSeconds ? 'token_not_yet_valid' : null
}
