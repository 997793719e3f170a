import { hash } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import type { AuditCaller } from './audit/event.js'
import { type Confirmation, readConfirmation } from './binding/confirmation.js'
import { audiencesOf } from './claims/audience.js'
import type { ClaimCheckInput } from './claims/claim-check.js'
import { checkClaims, checkTimes } from './claims/index.js'
import { type AuthContext, contextOf, isDelegated, type TokenInfo } from './delegation/context.js'
import { carriesDelegation } from './delegation/decode.js'
import { AuthError } from './errors.js'
import type { Issuer } from './issuers/issuer.js'
import type { IssuerRegistry } from './issuers/registry.js'
import { type Limits, MAX_PROVEN_HEADERS } from './limits.js'
import type { FitMemo } from './policy/decide.js'
import { andThen, attempt, type Eventual } from './thenable.js'
import { type Algorithm, isAlgorithm } from './token/algorithms.js'
import { isIdentifier } from './token/identifier.js'
import { frozen, type JsonObject } from './token/json.js'
import { parseJwt, type UnverifiedJwt } from './token/jwt.js'
import { verifySignature } from './token/signature.js'
import type { VerifiedCache } from './token/verified-cache.js'

/** A token whose proof and claims hold. Nothing in it depends on a request. */
export interface ProvenToken {
  readonly token: string
  readonly issuer: Issuer
  readonly algorithm: Algorithm
  /** Thumbprint of the key that proved the signature. */
  readonly thumbprint: string
  readonly header: JsonObject
  readonly claims: JsonObject
  /** Before any rule: a delegated context still has the token's own scopes. */
  readonly context: AuthContext
  /** What the token is bound to (`cnf`, RFC 7800 3.1). That its sender is the one is proved for each request. */
  readonly confirmation: Confirmation | 'unsupported' | null
  /** Whether the claims carry delegation at all; asked only where a call is refused. */
  readonly carriesDelegation: () => boolean
  /** What was worked out from the token alone, so that its next request need not. */
  readonly memo: TokenMemo
}

/** Filled as it is needed. Nothing in it depends on a request. */
interface TokenMemo extends FitMemo {
  /** The caller as events say it, and the context that it was made from. */
  caller: { readonly context: AuthContext; readonly told: AuditCaller } | null
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

/** A signature that holds: whose it is, and by which key. */
interface Proof {
  readonly issuer: Issuer
  readonly kid: string | null
  readonly algorithm: Algorithm
  readonly thumbprint: string
}

/** What may be recorded of a token that is being proved; it grows on the way. */
interface Trail {
  evidence: () => Evidence
}

export function isRefused(result: ProvenToken | RefusedToken): result is RefusedToken {
  return 'error' in result
}

export function createVerifier({ issuers, cache, now, clockToleranceSeconds, limits }: VerifierOptions): Verifier {
  const headers = new LRUCache<string, JsonObject>({ max: MAX_PROVEN_HEADERS })
  const checkInput = (issuer: Issuer, header: JsonObject, claims: JsonObject): ClaimCheckInput => ({
    header,
    claims,
    policy: issuer.claims,
    limits,
    nowSeconds: now() / 1000,
    toleranceSeconds: clockToleranceSeconds,
  })

  /** The signature's part: everything up to here is somebody's text, everything after it the issuer's word. */
  function proveSignature(jwt: UnverifiedJwt): Eventual<Proof> {
    const iss = jwt.unverifiedClaims['iss']
    if (typeof iss !== 'string') throw new AuthError('issuer_unknown')
    return andThen(issuers.find(iss), (issuer) => proveBy(issuer, jwt, true))
  }

  function proveBy(issuer: Issuer, jwt: UnverifiedJwt, mayChange: boolean): Eventual<Proof> {
    const { alg, kid } = jwt.unverifiedHeader
    if (!isAlgorithm(alg) || !issuer.algorithms.has(alg)) throw new AuthError('algorithm_refused')
    if (kid !== undefined && typeof kid !== 'string') throw new AuthError('token_malformed')
    if (kid !== undefined && kid.length > limits.kidCharacters) throw new AuthError('key_unknown')
    return andThen(issuer.keys.find(kid ?? null, alg), ({ keyObject, thumbprint }) =>
      andThen(verifySignature(alg, keyObject, jwt.signingInput, jwt.signature), (holds) => {
        if (!holds) throw new AuthError('signature_invalid')
        return stillProves({ issuer, kid: kid ?? null, algorithm: alg, thumbprint }, jwt, mayChange)
      }),
    )
  }

  /** The issuer or its keys may have changed while the proof was computed: what they are now counts. */
  function stillProves(proof: Proof, jwt: UnverifiedJwt, mayChange: boolean): Eventual<Proof> {
    const { issuer, algorithm } = proof
    return andThen(issuers.find(issuer.issuer), (current) => {
      if (current === issuer) return requireKey(proof, limits.keysStaleSeconds)
      if (mayChange) return proveBy(current, jwt, false)
      if (!current.algorithms.has(algorithm)) throw new AuthError('algorithm_refused')
      return requireKey({ ...proof, issuer: current }, limits.keysStaleSeconds)
    })
  }

  /** A key that is gone proves nothing any more, nor one that the token does not name any more: by material, id and algorithm. */
  function requireKey(proof: Proof, maxAgeSeconds: number): Eventual<Proof> {
    const { issuer, kid, algorithm, thumbprint } = proof
    return andThen(issuer.keys.within(maxAgeSeconds), (keys) => {
      if (keys.find(kid, algorithm)?.thumbprint !== thumbprint) throw new AuthError('key_unknown')
      return proof
    })
  }

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
      return andThen(proveSignature(jwt), (proof) => {
        const proven = proveClaims(token, jwt, proof, trail)
        if (!isDelegated(proven.context)) return proven
        return andThen(requireKey(proof, limits.keysStaleDelegatedSeconds), () => proven)
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
