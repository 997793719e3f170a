import { AuthError } from './errors.js'
import type { Issuer } from './issuers/issuer.js'
import type { IssuerRegistry } from './issuers/registry.js'
import type { Limits } from './limits.js'
import { andThen, type Eventual } from './thenable.js'
import { type Algorithm, isAlgorithm } from './token/algorithms.js'
import type { UnverifiedJwt } from './token/jwt.js'
import { verifySignature } from './token/signature.js'

/** A signature that holds: whose it is, and by which key. */
export interface Proof {
  readonly issuer: Issuer
  readonly kid: string | null
  readonly algorithm: Algorithm
  readonly thumbprint: string
}

/** The signature's part of a proof: everything up to here is somebody's text, everything after it the issuer's word. */
export interface SignatureProver {
  /**
   * @param encryptedFor the issuer for whose key the token was encrypted: it has to be the one that signed it. `null`: it came plain,
   *   which an issuer that encrypts its tokens does not do
   * @throws {AuthError}
   */
  prove(jwt: UnverifiedJwt, encryptedFor: string | null): Eventual<Proof>
  /**
   * A key that is gone proves nothing any more, nor one that the token does not name any more: by material, id and algorithm.
   * @throws {AuthError} `key_unknown`, `keys_unavailable`
   */
  requireKey(proof: Proof, maxAgeSeconds: number): Eventual<Proof>
}

export function createSignatureProver({ issuers, limits }: { issuers: IssuerRegistry; limits: Limits }): SignatureProver {
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

  function requireKey(proof: Proof, maxAgeSeconds: number): Eventual<Proof> {
    const { issuer, kid, algorithm, thumbprint } = proof
    return andThen(issuer.keys.within(maxAgeSeconds), (keys) => {
      if (keys.find(kid, algorithm)?.thumbprint !== thumbprint) throw new AuthError('key_unknown')
      return proof
    })
  }

  return {
    prove(jwt, encryptedFor) {
      const iss = jwt.unverifiedClaims['iss']
      if (typeof iss !== 'string' || (encryptedFor !== null && encryptedFor !== iss)) throw new AuthError('issuer_unknown')
      return andThen(issuers.find(iss), (issuer) => {
        if (issuer.decrypter !== null && encryptedFor === null) throw new AuthError('encryption_required')
        return proveBy(issuer, jwt, true)
      })
    },
    requireKey,
  }
}
