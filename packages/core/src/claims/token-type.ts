import type { ClaimCheck } from './claim-check.js'

/** A media type as it is compared: lower case, with the `application/` that a header may leave out (RFC 7515 4.1.9). */
export function normalizeTokenType(type: string): string {
  const lower = type.toLowerCase()
  return lower.includes('/') ? lower : `application/${lower}`
}

/** The header's `typ` is one that this issuer gives access tokens (RFC 9068 4, RFC 8725 3.11). */
export const checkTokenType: ClaimCheck = ({ header: { typ }, policy }) => {
  const type = typeof typ === 'string' ? normalizeTokenType(typ) : null
  const readable = typ === undefined || type !== null
  return readable && policy.tokenTypes.has(type) ? null : 'token_type_refused'
}
