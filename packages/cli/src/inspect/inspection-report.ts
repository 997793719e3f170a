import type { AuthContext, JsonObject } from '@behalf/core'
import type { InspectedRefusal, UnverifiedCaller, UnverifiedInspection } from '@behalf/core/inspect'
import { EXIT, type ExitCode } from '../exit-codes.js'
import { escapeJson } from '../text/escape-text.js'
import { hideTokens } from '../text/hide-tokens.js'
import { NOT_GIVEN } from './named-issuer.js'
import type { Proof, SignatureState } from './prove-token.js'

/** What is known of a token after it was looked at, and maybe proved. */
export interface InspectionReport {
  /** Proved by keys that were named, and held against everything that has to be named. */
  readonly verified: boolean
  readonly signature: SignatureState
  /** What was taken from the token itself, since nobody named it. */
  readonly notCompared: readonly string[]
  /** Why it would be refused, or is; in the order in which a resource server meets them. */
  readonly refusals: readonly Pick<InspectedRefusal, 'code' | 'status' | 'detail' | 'members' | 'accepted'>[]
  readonly inspection: UnverifiedInspection
  readonly exitCode: ExitCode
}

/** An API whose audience or clients nobody named lets everybody's tokens in: such a proof is not whole. */
const NEEDED: ReadonlySet<string> = new Set(['audience', 'client'])

/**
 * @param proof `null`: no keys were named
 * @param mayBeTaken the token cannot be read here, which is no reason for every API to refuse it
 */
export function reportOf(
  inspection: UnverifiedInspection,
  proof: Proof | null,
  notCompared: readonly string[],
  mayBeTaken: boolean,
): InspectionReport {
  const refusals = mayBeTaken ? [] : withProof(inspection.refusals.map(withoutPlaceholder), proof)
  const whole = !notCompared.some((each) => NEEDED.has(each))
  const verified = proof !== null && proof.context !== null && refusals.length === 0 && whole
  return {
    verified,
    signature: proof?.signature ?? 'not_checked',
    notCompared,
    refusals,
    inspection,
    exitCode: exitCodeOf(verified, proof, refusals.length),
  }
}

/** What nobody named is accepted nowhere. */
function withoutPlaceholder(refusal: InspectedRefusal): InspectedRefusal {
  return { ...refusal, accepted: refusal.accepted.filter((value) => value !== NOT_GIVEN) }
}

function exitCodeOf(verified: boolean, proof: Proof | null, refusals: number): ExitCode {
  if (verified) return EXIT.good
  if (proof?.signature === 'not_checkable') return EXIT.unavailable
  return refusals > 0 ? EXIT.refused : EXIT.unauthenticated
}

function withProof(told: InspectionReport['refusals'], proof: Proof | null): InspectionReport['refusals'] {
  const { refusal } = proof ?? { refusal: null }
  if (refusal === null || told.some(({ code }) => code === refusal.code)) return told
  const { code, status, message: detail } = refusal
  return [{ code, status, detail, members: [], accepted: [] }, ...told]
}

/** The report as one JSON object: `verified` first, and every name says it where nothing is proved. */
export function reportAsJson({ verified, signature, notCompared, refusals, inspection }: InspectionReport): string {
  const { unverifiedHeader, unverifiedClaims, unverifiedCaller, embeddedClaims } = inspection
  const said = verified
    ? { header: unverifiedHeader, claims: unverifiedClaims, caller: provedCaller(unverifiedCaller) }
    : { unverifiedHeader, unverifiedClaims, unverifiedCaller }
  return escapeJson(hideTokens(JSON.stringify({ verified, signature, notCompared, refusals, ...said, embeddedClaims })))
}

/** The same members as in a context. */
function provedCaller(caller: UnverifiedCaller | null): Readonly<Record<string, unknown>> | null {
  if (caller === null) return null
  return Object.fromEntries(
    Object.entries(caller).map(([name, value]) => {
      const plain = name.replace(/^unverified/, '')
      return [plain.charAt(0).toLowerCase() + plain.slice(1), value as AuthContext[keyof AuthContext] | JsonObject]
    }),
  )
}
