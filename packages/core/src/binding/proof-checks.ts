import { hash } from 'node:crypto'
import type { RefusalCode } from '../challenge.js'
import type { DpopNonces } from './dpop-nonce.js'
import type { DpopProof } from './dpop-proof.js'
import { isSameTarget } from './target-uri.js'

/** What a proof must be about. */
export interface ProofDemand {
  /** The access token, as it was presented. */
  readonly token: string
  /** As it came over the wire. */
  readonly method: string
  /** The request's URI in its normal form; `null`: no public origin fits the request. */
  readonly targetUri: string | null
  /** `null`: no nonces are given out. */
  readonly nonces: DpopNonces | null
  /** Seconds since the epoch, with fractions. */
  readonly nowSeconds: number
  readonly toleranceSeconds: number
  /** How long after `iat` a proof is accepted. */
  readonly lifeSeconds: number
}

/** Tests one rule of RFC 9449 4.3, and is pure: the reason why the proof is refused, or `null`. */
type ProofCheck = (proof: DpopProof, demand: ProofDemand) => RefusalCode | null

/** 4.3, 8: methods are compared with their case (RFC 9110 9.1). */
const checkMethod: ProofCheck = ({ htm }, { method }) => (htm === method ? null : 'proof_method_mismatch')

/** 4.3, 9: the same URI, in normal form, without query and fragment. */
const checkTarget: ProofCheck = ({ htu }, { targetUri }) =>
  targetUri !== null && isSameTarget(htu, targetUri) ? null : 'proof_target_mismatch'

/** 4.3, 11, and 11.1: made within a short time; a client's clock may be a little ahead. */
const checkTime: ProofCheck = ({ iat }, { nowSeconds, toleranceSeconds, lifeSeconds }) => {
  if (nowSeconds >= iat + lifeSeconds + toleranceSeconds) return 'proof_expired'
  return nowSeconds < iat - toleranceSeconds ? 'proof_not_yet_valid' : null
}

/** 4.3, 12: made for this very token. */
const checkToken: ProofCheck = ({ ath }, { token }) =>
  ath === hash('sha256', token, 'base64url') ? null : 'proof_token_mismatch'

/** 4.3, 10, and 11.3: where nonces are given out, each proof has one that is still good. */
const checkNonce: ProofCheck = ({ nonce }, { nonces, nowSeconds, toleranceSeconds }) =>
  nonces === null || nonces.accepts(nonce, nowSeconds, toleranceSeconds) ? null : 'proof_nonce_required'

/** Every proof check, in the order in which they are asked; the first reason is the answer. A new nonce helps only where all else fits. */
export const PROOF_CHECKS: readonly ProofCheck[] = [checkMethod, checkTarget, checkTime, checkToken, checkNonce]

/** Asks every proof check. */
export function checkProof(proof: DpopProof, demand: ProofDemand): RefusalCode | null {
  for (const check of PROOF_CHECKS) {
    const refusal = check(proof, demand)
    if (refusal !== null) return refusal
  }
  return null
}
