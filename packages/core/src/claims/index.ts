import type { RefusalCode } from '../challenge.js'
import { checkAudience } from './audience.js'
import type { ClaimCheck, ClaimCheckInput } from './claim-check.js'
import { checkClient } from './client.js'
import { checkExpiry } from './expiry.js'
import { checkIdentifiers } from './identifiers.js'
import { checkIssuedAt } from './issued-at.js'
import { checkNotBefore } from './not-before.js'
import { checkOtherKinds } from './other-kinds.js'
import { checkPresentClaims } from './present-claims.js'
import { checkRequiredClaims } from './required-claims.js'
import { checkScopes } from './scopes.js'
import { checkSubject } from './subject.js'
import { checkTokenType } from './token-type.js'

/** Checks whose answer changes with the clock: they hold again on every use of a cached token. */
const TIME_CHECKS: readonly ClaimCheck[] = [checkExpiry, checkNotBefore, checkIssuedAt]

/** Every claim check, in the order in which they are asked; the first reason is the answer. */
export const CLAIM_CHECKS: readonly ClaimCheck[] = [
  checkTokenType,
  checkOtherKinds,
  checkPresentClaims,
  checkSubject,
  checkRequiredClaims,
  checkAudience,
  checkClient,
  ...TIME_CHECKS,
  checkScopes,
  checkIdentifiers,
]

/** Asks every claim check; who acts for whom is decoded after them. */
export function checkClaims(input: ClaimCheckInput): RefusalCode | null {
  return firstRefusal(CLAIM_CHECKS, input)
}

/** Asks again what time can change. */
export function checkTimes(input: ClaimCheckInput): RefusalCode | null {
  return firstRefusal(TIME_CHECKS, input)
}

function firstRefusal(checks: readonly ClaimCheck[], input: ClaimCheckInput): RefusalCode | null {
  for (const check of checks) {
    const refusal = check(input)
    if (refusal !== null) return refusal
  }
  return null
}
