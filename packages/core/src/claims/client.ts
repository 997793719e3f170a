import { MALFORMED, readClient } from '../delegation/claim-mapping.js'
import type { ClaimCheck } from './claim-check.js'

/** The client is readable (RFC 8693 4.3) and, where clients are listed, one of them: without `aud` that list is the only fence. */
export const checkClient: ClaimCheck = ({ claims, policy, limits }) => {
  const client = readClient(claims, policy.mapping, limits)
  if (client === MALFORMED) return 'claim_invalid'
  if (policy.clientIds === null) return null
  return client !== null && policy.clientIds.has(client) ? null : 'client_refused'
}
