import { checkAudience } from '../claims/audience.js'
import type { ClaimCheck, ClaimCheckInput, RequiredValue } from '../claims/claim-check.js'
import { checkClient } from '../claims/client.js'
import { checkExpiry } from '../claims/expiry.js'
import { checkIdentifiers } from '../claims/identifiers.js'
import { CLAIM_CHECKS } from '../claims/index.js'
import { checkIssuedAt } from '../claims/issued-at.js'
import { checkNotBefore } from '../claims/not-before.js'
import { checkOtherKinds, otherKindOf } from '../claims/other-kinds.js'
import { checkPresentClaims } from '../claims/present-claims.js'
import { checkRequiredClaims } from '../claims/required-claims.js'
import { checkScopes } from '../claims/scopes.js'
import { checkSubject } from '../claims/subject.js'
import { checkTokenType } from '../claims/token-type.js'
import { type InspectedRefusal, inspectedRefusal } from './inspected-refusal.js'

/** What a failed check is about. */
interface About {
  readonly members: readonly string[]
  readonly accepted?: readonly string[]
}

/** What each claim check is about; a test holds it to the list of checks. */
export const ABOUT: ReadonlyMap<ClaimCheck, (input: ClaimCheckInput) => About> = new Map<
  ClaimCheck,
  (input: ClaimCheckInput) => About
>([
  [checkTokenType, ({ policy }) => ({ members: ['typ'], accepted: [...policy.tokenTypes].map(acceptedWord) })],
  [checkOtherKinds, ({ claims }) => ({ members: names([otherKindOf(claims)]) })],
  [checkPresentClaims, (input) => ({ members: missing(input) })],
  [checkSubject, () => ({ members: ['sub'] })],
  [checkRequiredClaims, requiredUnmet],
  [checkAudience, ({ policy }) => ({ members: ['aud'], accepted: [...(policy.audience ?? ['(none)'])] })],
  [checkClient, ({ policy }) => ({ members: policy.mapping.client, accepted: [...(policy.clientIds ?? [])] })],
  [checkExpiry, () => ({ members: ['exp'] })],
  [checkNotBefore, () => ({ members: ['nbf'] })],
  [checkIssuedAt, () => ({ members: ['iat'] })],
  [checkScopes, ({ policy: { mapping } }) => ({ members: names([mapping.scopes?.claim, mapping.tenantScopes?.claim]) })],
  [checkIdentifiers, identifiersPresent],
])

/** Every reason that the claim checks have, each claim told once: one that is missing is not told again as unreadable. */
export function claimRefusals(input: ClaimCheckInput): readonly InspectedRefusal[] {
  const absent = new Set(missing(input))
  return CLAIM_CHECKS.flatMap((check) => {
    const code = check(input)
    if (code === null) return []
    const { members, accepted } = ABOUT.get(check)?.(input) ?? { members: [] }
    const toldBefore = check !== checkPresentClaims && members.length > 0 && members.every((name) => absent.has(name))
    return toldBefore ? [] : [inspectedRefusal(code, members, accepted)]
  })
}

/** The check itself says which: it is asked about one claim at a time. */
function missing(input: ClaimCheckInput): readonly string[] {
  const { policy } = input
  return policy.presentClaims.filter(
    (name) => checkPresentClaims({ ...input, policy: { ...policy, presentClaims: [name] } }) !== null,
  )
}

function requiredUnmet(input: ClaimCheckInput): About {
  const { policy } = input
  const unmet = policy.requiredClaims.filter(
    (entry) => checkRequiredClaims({ ...input, policy: { ...policy, requiredClaims: [entry] } }) !== null,
  )
  return {
    members: unmet.map(([name]) => name),
    accepted: unmet.length === 1 ? (unmet[0]?.[1] ?? []).map(acceptedWord) : [],
  }
}

function identifiersPresent({ claims, policy: { mapping } }: ClaimCheckInput): About {
  const { tenant, subjectTenant, grant, profiles } = mapping
  return { members: names(['jti', tenant, subjectTenant, grant, profiles?.claim]).filter((name) => claims[name] !== undefined) }
}

function acceptedWord(value: RequiredValue): string {
  return value === null ? '(absent)' : String(value)
}

function names(given: readonly (string | null | undefined)[]): readonly string[] {
  return given.filter((name) => typeof name === 'string')
}
