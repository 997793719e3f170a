import { MALFORMED, readScopes } from '../delegation/claim-mapping.js'
import type { ClaimCheck } from './claim-check.js'

/** Scopes are written as this issuer writes them: one string (RFC 8693 4.2), or a list where the issuer's options say so. */
export const checkScopes: ClaimCheck = ({ claims, policy, limits }) =>
  readScopes(claims, policy.mapping, limits) === MALFORMED ? 'claim_invalid' : null
