import { LRUCache } from 'lru-cache'
import { readConfirmation } from './binding/confirmation.js'
import type { ClaimCheckInput } from './claims/claim-check.js'
import { checkClaims, checkTimes } from './claims/index.js'
import { contextOf, isDelegated } from './delegation/context.js'
import { carriesDelegation } from './delegation/decode.js'
import { AuthError } from './errors.js'
import type { Issuer } from './issuers/issuer.js'
import type { IssuerRegistry } from './issuers/registry.js'
import { type Limits, MAX_PROVEN_HEADERS } from './limits.js'
import {
  type Evidence,
  NO_EVIDENCE,
  type ProvenToken,
  type RefusedToken,
  type TokenMemo,
  textOf,
  tokenInfo,
} from './proven-token.js'
import { createSignatureProver, type Proof } from './signature-proof.js'
import { andThen, attempt, type Eventual } from './thenable.js'
import { frozen, type JsonObject } from './token/json.js'
import { parseJwt, type UnverifiedJwt } from './token/jwt.js'
import type { VerifiedCache } from './token/verified-cache.js'

/** Turns a token into a context, or into the reason why not. */
export interface Verifier {
  /** A token that was proved before, if it is remembered. Not asked: whether it is still good. */
  recall(token: string): ProvenToken | undefined
  /**
   * Proof and claims: those that were recalled, where they are still good, or parsed, proved and checked. A promise only where
   * something has to be waited for.
   */
  verify(token: string, recalled: ProvenToken | undefined): Eventual<ProvenToken | RefusedToken>
  /** Forgets every cached token of an issuer. */
  forget(issuer: string): void
}

export interface VerifierOptions {
  readonly issuers: IssuerRegistry
  readonly cache: VerifiedCache<ProvenToken> | null
  /** Milliseconds since the epoch. */
  readonly now: () => number
  readonly clockToleranceSeconds: number
  readonly limits: Limits
}

/** What may be recorded of a token that is being proved; it grows on the way. */
interface Trail {
  evidence: () => Evidence
}

export function createVerifier({ issuers, cache, now, clockToleranceSeconds, limits }: VerifierOptions): Verifier {
  const headers = new LRUCache<string, JsonObject>({ max: MAX_PROVEN_HEADERS })
  const signatures = createSignatureProver({ issuers, limits })
  const checkInput = (issuer: Issuer, header: JsonObject, claims: JsonObject): ClaimCheckInput => ({
    header,
    claims,
    policy: issuer.claims,
    limits,
    nowSeconds: now() / 1000,
    toleranceSeconds: clockToleranceSeconds,
  })

  /** The claims' part: what the issuer's word says, and whether it says what is asked for here. */
  function proveClaims(token: string, jwt: UnverifiedJwt, proof: Proof, trail: Trail): ProvenToken {
    const { issuer, algorithm, thumbprint } = proof
    const known = headers.get(jwt.headerPart)
    const header = known ?? frozen(jwt.unverifiedHeader)
    if (known === undefined) headers.set(jwt.headerPart, header)
    const claims = frozen(jwt.unverifiedClaims)
    const info = tokenInfo(issuer, header, claims, jwt.signingInput, limits)
    const carries = () => carriesDelegation(claims, issuer.dialect, limits)
    trail.evidence = () => ({ ...info, carriesDelegation: carries() })

    const refusal = checkClaims(checkInput(issuer, header, claims))
    if (refusal !== null) throw new AuthError(refusal)
    const context = contextOf(claims, info, issuer.dialect, limits)
    if (typeof context === 'string') throw new AuthError(context)
    const confirmation = readConfirmation(claims)
    const memo: TokenMemo = { fit: null, caller: null }
    return { token, issuer, algorithm, thumbprint, header, claims, context, confirmation, carriesDelegation: carries, memo }
  }

  function prove(token: string): Eventual<ProvenToken | RefusedToken> {
    const trail: Trail = { evidence: () => NO_EVIDENCE }
    const steps = (): Eventual<ProvenToken> => {
      const jwt = parseJwt(token, limits, headers)
      if (jwt === null) throw new AuthError('token_malformed')
      trail.evidence = () => ({ ...NO_EVIDENCE, keyId: textOf(jwt.unverifiedHeader['kid']) })
      return andThen(signatures.prove(jwt), (proof) => {
        const proven = proveClaims(token, jwt, proof, trail)
        if (!isDelegated(proven.context)) return proven
        return andThen(signatures.requireKey(proof, limits.keysStaleDelegatedSeconds), () => proven)
      })
    }
    return attempt<ProvenToken, ProvenToken | RefusedToken>(
      steps,
      (proven) => {
        cache?.set(proven)
        return proven
      },
      (error) => {
        if (error instanceof AuthError) return { error, evidence: trail.evidence() }
        throw error
      },
    )
  }

  /**
   * What can change under a proven token: its issuer, time, and whether its key is still one of the issuer's, as far as that is
   * known. Where it did, the token is proved anew, and answered as if it had never been seen.
   */
  function stillGood({ issuer, header, claims, context, algorithm, thumbprint }: ProvenToken): Eventual<boolean> {
    const maxAgeSeconds = isDelegated(context) ? limits.keysStaleDelegatedSeconds : limits.keysStaleSeconds
    return attempt(
      () => issuers.find(issuer.issuer),
      (current) =>
        current === issuer &&
        checkTimes(checkInput(issuer, header, claims)) === null &&
        attempt(
          () => issuer.keys.within(maxAgeSeconds),
          (keys) => keys.find(context.token.keyId, algorithm)?.thumbprint === thumbprint,
          () => false,
        ),
      () => false,
    )
  }

  return {
    recall: (token) => cache?.get(token),

    verify(token, recalled) {
      if (recalled === undefined) return prove(token)
      return andThen(stillGood(recalled), (good) => {
        if (good) return recalled
        cache?.delete(recalled)
        return prove(token)
      })
    },

    forget(issuer) {
      cache?.deleteEvery((proven) => proven.issuer.issuer === issuer)
    },
  }
}
