import { AuthError } from '../errors.js'
import { AnswerError } from '../keys/fetch-json.js'
import type { KeySet, KeySnapshot } from '../keys/key-set.js'
import type { VerificationKey } from '../keys/verification-key.js'
import type { Limits } from '../limits.js'
import type { Eventual } from '../thenable.js'
import { type Algorithm, isAlgorithm } from '../token/algorithms.js'
import { isObject, type JsonObject, type JsonValue } from '../token/json.js'
import { parseJwt } from '../token/jwt.js'
import { verifySignature } from '../token/signature.js'

/** What signed answers (RFC 9701) are proved with. */
export interface SignedAnswerPolicy {
  readonly issuer: string
  /** What they must call us. */
  readonly audience: string
  readonly algorithms: ReadonlySet<string>
  readonly keys: KeySet
  readonly limits: Limits
  readonly toleranceSeconds: number
  /** Milliseconds since the epoch. */
  readonly now: () => number
}

/** Which key proved an answer. */
export interface AnswerProof {
  readonly kid: string | null
  readonly algorithm: Algorithm
  readonly thumbprint: string
}

const TYPE = /^(?:application\/)?token-introspection\+jwt$/i

/**
 * Proves a signed answer (RFC 9701 5): type, algorithm, key, signature, and that it was made for us, now.
 *
 * `sub` and `exp` SHOULD NOT be there, so that nobody takes the answer for an access token; that binds whoever makes it, and we do not
 * take it for one. An `exp` that is there is heeded all the same (RFC 7519 4.1.4).
 *
 * @param askedAt when the question was sent, in milliseconds since the epoch
 * @throws {AnswerError} with a fixed text
 * @throws {AuthError} `keys_unavailable`
 */
export async function proveAnswer(
  text: string,
  askedAt: number,
  policy: SignedAnswerPolicy,
): Promise<{ readonly answer: JsonObject; readonly proof: AnswerProof }> {
  const { algorithms, limits } = policy
  const jwt = parseJwt(text, { tokenBytes: limits.fetchBytes, jsonDepth: limits.jsonDepth }, new Map())
  if (jwt === null) throw new AnswerError('the answer is not a well-formed signed JWT')
  const { typ, alg, kid } = jwt.unverifiedHeader
  if (typeof typ !== 'string' || !TYPE.test(typ)) throw new AnswerError('the answer is a JWT of another type')
  if (!isAlgorithm(alg) || !algorithms.has(alg))
    throw new AnswerError('the answer is signed by an algorithm that is not accepted')
  if (kid !== undefined && (typeof kid !== 'string' || kid.length > limits.kidCharacters)) {
    throw new AnswerError('the answer names its key unreadably')
  }
  const { keyObject, thumbprint } = await findKey(policy, kid ?? null, alg)
  const holds = await verifySignature(alg, keyObject, jwt.signingInput, jwt.signature, true)
  if (!holds) throw new AnswerError('the signature of the answer does not hold')
  const proof = { kid: kid ?? null, algorithm: alg, thumbprint }
  if (!stillProves(proof, policy.keys)) throw new AnswerError('the key of the answer is not one of the issuer any more')
  const claims = jwt.unverifiedClaims // by now the issuer's
  checkEnvelope(claims, askedAt, policy)
  const answer = claims['token_introspection']
  if (!isObject(answer)) throw new AnswerError('the answer holds no introspection')
  return { answer, proof }
}

/** Whether the key that proved an answer is still one of the issuer's, as far as that is known. */
export function stillProves({ kid, algorithm, thumbprint }: AnswerProof, keys: KeySet): boolean {
  return keys.latest?.find(kid, algorithm)?.thumbprint === thumbprint
}

/**
 * Keys that can prove an answer. Whether it is about a delegated call is only known once it is proved: they may be as old as they may
 * be for those.
 * @throws {AuthError} `keys_unavailable`
 */
export function freshKeys({ keys, limits }: SignedAnswerPolicy): Eventual<KeySnapshot> {
  return keys.within(limits.keysStaleDelegatedSeconds)
}

async function findKey(policy: SignedAnswerPolicy, kid: string | null, algorithm: Algorithm): Promise<VerificationKey> {
  try {
    await freshKeys(policy) // they can have grown too old, or have gone, since the question was sent
    return await policy.keys.find(kid, algorithm)
  } catch (error) {
    if (error instanceof AuthError && error.code === 'key_unknown') {
      throw new AnswerError('the answer is signed by a key that is not one of the issuer')
    }
    throw error
  }
}

function checkEnvelope({ iss, aud, iat, nbf, exp }: JsonObject, askedAt: number, policy: SignedAnswerPolicy): void {
  const { issuer, audience, toleranceSeconds, now } = policy
  if (iss !== issuer) throw new AnswerError('the answer is of another issuer')
  if (!(Array.isArray(aud) ? aud : [aud]).includes(audience)) throw new AnswerError('the answer is for somebody else')
  const latest = now() / 1000 + toleranceSeconds
  // Times are often whole seconds: what was made in the second of the question is not older than it.
  const earliest = Math.floor(askedAt / 1000) - toleranceSeconds
  if (typeof iat !== 'number' || iat > latest) throw new AnswerError('the answer does not say a possible time of its making')
  if (iat < earliest) throw new AnswerError('the answer is older than the question')
  if (!isTimeOrAbsent(nbf) || (nbf !== undefined && nbf > latest)) throw new AnswerError('the answer is not valid yet')
  const past = now() / 1000 - toleranceSeconds
  if (!isTimeOrAbsent(exp) || (exp !== undefined && exp <= past)) throw new AnswerError('the answer has expired')
}

function isTimeOrAbsent(value: JsonValue | undefined): value is number | undefined {
  return value === undefined || typeof value === 'number'
}
