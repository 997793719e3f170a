import type { RefusalCode } from '../challenge.js'
import type { ClaimCheckInput } from '../claims/claim-check.js'
import { contextOf, type TokenInfo } from '../delegation/context.js'
import type { Dialect } from '../delegation/dialect.js'
import { type ClaimPath, claimAt, pathName } from '../delegation/markers.js'
import { type InspectedRefusal, inspectedRefusal } from './inspected-refusal.js'

/**
 * Why nobody can be read from the claims, and, behind a foreign marker, what else would refuse.
 * @param claimsRefused a claim that the context needs was found unreadable and is told already
 */
export function delegationRefusals(
  code: RefusalCode,
  input: ClaimCheckInput,
  dialect: Dialect,
  claimsRefused: boolean,
): readonly InspectedRefusal[] {
  if (code === 'claim_invalid' && claimsRefused) return []
  const { claims } = input
  const told = inspectedRefusal(code, present(claims, pathsOf(code, dialect)))
  if (code !== 'delegation_foreign') return [told]
  const behind = contextOf(claims, NO_INFO, { ...dialect, foreign: [] }, input.limits)
  return typeof behind === 'string' ? [told, inspectedRefusal(behind, present(claims, pathsOf(behind, dialect)))] : [told]
}

const NO_INFO: TokenInfo = Object.freeze({
  issuer: '',
  audience: Object.freeze([]),
  id: '',
  type: null,
  issuedAt: null,
  expiresAt: 0,
  keyId: null,
  algorithm: '',
})

/** Where a reason can stand. */
function pathsOf(code: RefusalCode, { foreign, forms }: Dialect): readonly ClaimPath[] {
  if (code === 'delegation_foreign') return foreign
  if (code === 'claim_invalid') return [['authorization_details']] // the claim checks have told of all others
  const own = forms.flatMap(({ path }) => (path === null ? [] : [path]))
  return code === 'token_type_refused' ? [['may_act']] : code === 'delegation_malformed' ? [...own, ['may_act']] : own
}

function present(claims: ClaimCheckInput['claims'], paths: readonly ClaimPath[]): readonly string[] {
  return paths.filter((path) => claimAt(claims, path) !== undefined).map(pathName)
}
