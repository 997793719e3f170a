import { LRUCache } from 'lru-cache'
import { readConfirmation } from './binding/confirmation.js'
import type { ClaimCheckInput, ClaimPolicy } from './claims/claim-check.js'
import { checkClaims, checkTimes } from './claims/index.js'
import { MALFORMED, readIdentifier } from './delegation/claim-mapping.js'
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
import { parseJwt } from './token/jwt.js'
import { signedPartOf } from './token/token-shape.js'
import type { VerifiedCache } from './token/verified-cache.js'
import { createTokenRoute, type OpaqueIssuer } from './token-route.js'

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

/** What an issuer has said in a token, or about one. */
interface Word {
  readonly token: string
  /** Names a token without `jti`. */
  readonly text: string
  readonly issuer: Issuer
  /** `null`: the issuer said it when it was asked. */
  readonly proof: Proof | null
  readonly header: JsonObject
  readonly claims: JsonObject
}

/** Whether the same token was proved by another request meanwhile, by the same key: what rules have said of it is kept in one place. */
function isTwin({ issuer, proof }: ProvenToken, { issuer: ours, algorithm, thumbprint }: Proof): boolean {
  return issuer === ours && proof?.algorithm === algorithm && proof.thumbprint === thumbprint
}

/** Of an opaque token. */
const NO_HEADER: JsonObject = Object.freeze(Object.create(null))

/** What may be recorded of a token that is being proved; it grows on the way. */
interface Trail {
  evidence: () => Evidence
}

export function createVerifier({ issuers, cache, now, clockToleranceSeconds, limits }: VerifierOptions): Verifier {
  const headers = new LRUCache<string, JsonObject>({ max: MAX_PROVEN_HEADERS })
  const route = createTokenRoute([...issuers.known()], limits, headers)
  const signatures = createSignatureProver({ issuers, limits })
  const checkInput = (policy: ClaimPolicy, header: JsonObject, claims: JsonObject): ClaimCheckInput => ({
    header,
    claims,
    policy,
    limits,
    nowSeconds: now() / 1000,
    toleranceSeconds: clockToleranceSeconds,
  })

  /** The claims' part: what the issuer's word says, and whether it says what is asked for here. */
  function proveClaims({ token, text, issuer, proof, header, claims }: Word, trail: Trail): ProvenToken {
    const { claims: policy, dialect } = proof === null && issuer.opaque !== null ? issuer.opaque : issuer
    const info = tokenInfo(issuer, header, claims, text, limits)
    const carries = () => carriesDelegation(claims, dialect, limits)
    trail.evidence = () => ({ ...info, carriesDelegation: carries() })

    const refusal = checkClaims(checkInput(policy, header, claims))
    if (refusal !== null) throw new AuthError(refusal)
    const context = contextOf(claims, info, dialect, limits)
    if (typeof context === 'string') throw new AuthError(context)
    const confirmation = readConfirmation(claims)
    const sessionId = readIdentifier(claims, policy.mapping.session, limits)
    if (sessionId === MALFORMED) throw new AuthError('claim_invalid')
    // The issuer that answers about a token says itself whether it is good: its answer need not name a list.
    const named = proof !== null || claims['status'] !== undefined
    const status = named ? (issuer.statusLists?.reference(claims) ?? null) : null
    const memo: TokenMemo = { fit: null, caller: null, revocation: null }
    return { token, issuer, proof, header, claims, context, confirmation, sessionId, status, carriesDelegation: carries, memo }
  }

  function proveJwt(token: string, trail: Trail): Eventual<ProvenToken> {
    return andThen(route.signedText(token), ({ jwt: text, encryptedFor }) => {
      const jwt = parseJwt(text, limits, headers)
      if (jwt === null) throw new AuthError('token_malformed')
      trail.evidence = () => ({ ...NO_EVIDENCE, keyId: textOf(jwt.unverifiedHeader['kid']) })
      return andThen(signatures.prove(jwt, encryptedFor), (proof) => {
        const known = headers.get(jwt.headerPart)
        const header = known ?? frozen(jwt.unverifiedHeader)
        if (known === undefined) headers.set(jwt.headerPart, header)
        const { issuer } = proof
        const claims = frozen(jwt.unverifiedClaims)
        const proven = proveClaims({ token, text: jwt.signingInput, issuer, proof, header, claims }, trail)
        const delegated = isDelegated(proven.context)
        return andThen(delegated ? signatures.requireKey(proof, limits.keysStaleDelegatedSeconds) : proof, () => {
          const twin = cache?.get(token)
          if (twin !== undefined && isTwin(twin, proof)) return twin
          cache?.set(proven)
          return proven
        })
      })
    })
  }

  /** What its issuer says of a token that nobody else can read (RFC 7662). It remembers its answers itself, for as long as they hold. */
  function proveByAnswer({ issuer, opaque }: OpaqueIssuer, token: string, trail: Trail): Eventual<ProvenToken> {
    // A dot at either end is nobody's: who asks about such a text would only learn how loosely the issuer reads.
    if (token.length > limits.tokenBytes || token.startsWith('.') || token.endsWith('.')) throw new AuthError('token_malformed')
    return andThen(opaque.introspector.ask(token), (answer) => {
      const { claims } = answer
      const proven = proveClaims({ token, text: signedPartOf(token), issuer, proof: null, header: NO_HEADER, claims }, trail)
      if (answer.made !== null) return answer.made as ProvenToken // by another request that waited for the same answer
      opaque.introspector.accepted(token, answer, proven)
      return proven
    })
  }

  function prove(token: string): Eventual<ProvenToken | RefusedToken> {
    const trail: Trail = { evidence: () => NO_EVIDENCE }
    return attempt<ProvenToken, ProvenToken | RefusedToken>(
      () => {
        const asked = route.askAbout(token)
        return asked === null ? proveJwt(token, trail) : proveByAnswer(asked, token, trail)
      },
      (proven) => proven,
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
  function stillGood({ issuer, proof, header, claims, context }: ProvenToken): Eventual<boolean> {
    const maxAgeSeconds = isDelegated(context) ? limits.keysStaleDelegatedSeconds : limits.keysStaleSeconds
    return attempt(
      () => issuers.find(issuer.issuer),
      (current) =>
        current === issuer &&
        checkTimes(checkInput(issuer.claims, header, claims)) === null &&
        (proof === null || // an answer is remembered by whoever asked for it, and only for as long as it holds
          attempt(
            () => issuer.keys.within(maxAgeSeconds),
            (keys) => keys.find(context.token.keyId, proof.algorithm)?.thumbprint === proof.thumbprint,
            () => false,
          )),
      () => false,
    )
  }

  return {
    recall(token) {
      const cached = cache?.get(token)
      if (cached !== undefined) return cached
      // What was made of an answer is kept beside it, as an object: issuers know nothing of what verifiers make.
      return (route.askAbout(token)?.opaque.introspector.known(token)?.made as ProvenToken | null | undefined) ?? undefined
    },

    verify(token, recalled) {
      if (recalled === undefined) return prove(token)
      return andThen(stillGood(recalled), (good) => {
        if (good) return recalled
        cache?.delete(recalled)
        return prove(token)
      })
    },

    forget(issuer) {
      for (const known of issuers.known()) if (known.issuer === issuer) known.opaque?.introspector.forget()
      cache?.deleteEvery((proven) => proven.issuer.issuer === issuer)
    },
  }
}
