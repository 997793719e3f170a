import type { ClaimCheck } from './claim-check.js'

/** The token has not expired (RFC 7519 4.1.4): refused when now ≥ exp + tolerance. `1e400` parses to infinity and never would. */
export const checkExpiry: ClaimCheck = ({ claims, nowSeconds, toleranceSeconds }) => {
  const { exp } = claims
  if (exp === undefined) return 'claim_missing'
  if (typeof exp !== 'number' || !Number.isFinite(exp)) return 'claim_invalid'
  return nowSeconds >= exp + toleranceSeconds ? 'token_expired' : null
}
