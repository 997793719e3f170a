import { MALFORMED, readIdentifier, readProfiles } from '../delegation/claim-mapping.js'
import type { ClaimCheck } from './claim-check.js'

/** Token id, grant, tenants and profiles, where present, are clean: they go into rules, records and the application's look-ups. */
export const checkIdentifiers: ClaimCheck = ({ claims, policy, limits }) => {
  const { tenant, subjectTenant, grant, profiles } = policy.mapping
  const clean = ['jti', tenant, subjectTenant, grant].every((name) => readIdentifier(claims, name, limits) !== MALFORMED)
  return clean && readProfiles(claims, profiles, limits) !== MALFORMED ? null : 'claim_invalid'
}
