import { hash } from 'node:crypto'
import type { RefusalCode } from './challenge.js'
import { audiencesOf } from './claims/audience.js'
import type { ClaimCheckInput } from './claims/claim-check.js'
import { checkClaims, checkTimes } from './claims/index.js'
import { type AuthContext, contextOf, type TokenInfo } from './delegation/context.js'
import { carriesDelegation } from './delegation/decode.js'
import { AuthError } from './errors.js'
import type { Issuer } from './issuers/issuer.js'
import type { Limits } from './limits.js'
import { isAlgorithm } from './token/algorithms.js'
import { isIdentifier } from './token/identifier.js'
import { frozenCopy, type JsonObject } from './token/json.js'
import { parseJwt, type UnverifiedJwt } from './token/jwt.js'
import { verifySignature } from './token/signature.js'
import type { VerifiedCache } from './token/verified-cache.js'

/** A token whose proof and claims hold. Nothing in it depends on a request. */
export interface ProvenToken {
  readonly token: string
  readonly issuer: Issuer
  /** Thumbprint of the key that proved the signature. */
  readonly thumbprint: string
  readonly header: JsonObject
  readonly claims: JsonObject
  /** Before any rule: a delegated context still has the token's own scopes. */
  readonly context: AuthContext
  /** The token is bound to its sender (`cnf`, RFC 7800 3.1). */
  readonly bound: boolean
  /** Whether the claims carry delegation at all; asked only where a call is refused. */
  readonly carriesDelegation: () => boolean
}

/** What may be recorded of a token that was refused. Only `keyId` can be there before the signature holds; it is then an attacker's text. */
export interface Evidence {
  readonly issuer: string | null
  readonly id: string | null
  readonly keyId: string | null
  readonly algorithm: string | null
  /** The signature holds, and the token carries a delegation claim, readable or not. */
  readonly carriesDelegation: boolean
}

export const NO_EVIDENCE: Evidence = Object.freeze({
  issuer: null,
  id: null,
  keyId: null,
  algorithm: null,
  carriesDelegation: false,
})

/** A refused token, with what may be recorded of it; kept apart from {@link AuthError}, which travels further. */
export interface RefusedToken {
  readonly error: AuthError
  readonly evidence: Evidence
}

/** Turns a token into a context, or into the reason why not. */
export interface Verifier {
  /** Proof: from the verified-token cache, or parsed, proved and checked. */
  prove(token: string): Promise<ProvenToken | RefusedToken>
  /** What can change under a proven token: time, and whether its key is still one of the issuer's. */
  stillGood(proven: ProvenToken): Promise<RefusedToken | null>
}

export interface VerifierOptions {
  readonly issuers: ReadonlyMap<string, Issuer>
  readonly cache: VerifiedCache<ProvenToken> | null
  /** Milliseconds since the epoch. */
  readonly now: () => number
  readonly clockToleranceSeconds: number
  readonly limits: Limits
}

export function isRefused(result: ProvenToken | RefusedToken): result is RefusedToken {
  return 'error' in result
}

export function createVerifier({ issuers, cache, now, clockToleranceSeconds, limits }: VerifierOptions): Verifier {
  const checkInput = (issuer: Issuer, header: JsonObject, claims: JsonObject): ClaimCheckInput => ({
    header,
    claims,
    policy: issuer.claims,
    limits,
    nowSeconds: now() / 1000,
    toleranceSeconds: clockToleranceSeconds,
  })

  /** The signature's part: everything up to here is somebody's text, everything after it the issuer's word. */
  async function proveSignature(jwt: UnverifiedJwt): Promise<{ issuer: Issuer; thumbprint: string }> {
    const { alg, kid } = jwt.unverifiedHeader
    const issuer = issuerOf(jwt.unverifiedClaims['iss'])
    if (!isAlgorithm(alg) || !issuer.algorithms.has(alg)) throw new AuthError('algorithm_refused')
    if (kid !== undefined && typeof kid !== 'string') throw new AuthError('token_malformed')
    if (kid !== undefined && kid.length > limits.kidCharacters) throw new AuthError('key_unknown')
    const key = await issuer.keys.find(kid ?? null, alg)
    if (!(await verifySignature(alg, key.keyObject, jwt.signingInput, jwt.signature))) throw new AuthError('signature_invalid')
    // The set may have changed while the proof was computed: a key that is gone proves nothing any more.
    if (!(await issuer.keys.current()).holds(key.thumbprint)) throw new AuthError('key_unknown')
    return { issuer, thumbprint: key.thumbprint }
  }

  function issuerOf(unverifiedIss: unknown): Issuer {
    const issuer = typeof unverifiedIss === 'string' ? issuers.get(unverifiedIss) : undefined
    if (issuer === undefined) throw new AuthError('issuer_unknown')
    return issuer
  }

  async function proveNew(token: string): Promise<ProvenToken | RefusedToken> {
    let evidence: () => Evidence = () => NO_EVIDENCE
    try {
      const jwt = parseJwt(token, limits)
      const keyId = textOf(jwt.unverifiedHeader['kid'])
      evidence = () => ({ ...NO_EVIDENCE, keyId })
      const { issuer, thumbprint } = await proveSignature(jwt)

      const header = frozenCopy(jwt.unverifiedHeader)
      const claims = frozenCopy(jwt.unverifiedClaims)
      const info = tokenInfo(issuer, header, claims, jwt.signingInput, limits)
      const carries = () => carriesDelegation(claims, issuer.dialect, limits)
      evidence = () => ({ ...info, carriesDelegation: carries() })

      const refusal = checkClaims(checkInput(issuer, header, claims))
      if (refusal !== null) throw new AuthError(refusal)
      const context = contextOf(claims, info, issuer.dialect, limits)
      if (typeof context === 'string') throw new AuthError(context)

      const bound = claims['cnf'] !== undefined
      const proven = { token, issuer, thumbprint, header, claims, context, bound, carriesDelegation: carries }
      cache?.set(proven)
      return proven
    } catch (error) {
      if (error instanceof AuthError) return { error, evidence: evidence() }
      throw error
    }
  }

  const refusedLater = ({ context, carriesDelegation: carries }: ProvenToken, error: AuthError): RefusedToken => ({
    error,
    evidence: { ...context.token, carriesDelegation: carries() },
  })

  return {
    async prove(token) {
      return cache?.get(token) ?? proveNew(token)
    },

    async stillGood(proven) {
      const { issuer, header, claims } = proven
      let refusal: RefusalCode | null = checkTimes(checkInput(issuer, header, claims))
      try {
        if (refusal === null && !(await issuer.keys.current()).holds(proven.thumbprint)) refusal = 'key_unknown'
      } catch (error) {
        if (error instanceof AuthError) return refusedLater(proven, error)
        throw error
      }
      if (refusal === null) return null
      cache?.delete(proven)
      return refusedLater(proven, new AuthError(refusal))
    },
  }
}

function tokenInfo(issuer: Issuer, header: JsonObject, claims: JsonObject, signingInput: string, limits: Limits): TokenInfo {
  const { jti, iat, exp, aud } = claims
  return Object.freeze({
    issuer: issuer.issuer,
    audience: Object.freeze([...(audiencesOf(aud) ?? [])]),
    id: isIdentifier(jti, limits.identifierCharacters) ? jti : `sha256:${hash('sha256', signingInput, 'base64url')}`,
    type: textOf(header['typ']),
    issuedAt: typeof iat === 'number' ? iat : null,
    expiresAt: typeof exp === 'number' ? exp : 0,
    keyId: textOf(header['kid']),
    algorithm: String(header['alg']),
  })
}

function textOf(value: unknown): string | null {
  return typeof value === 'string' ? value : null
}
