import { AuthError } from '../errors.js'
import { FetchError } from '../keys/fetch-json.js'
import type { KeySet } from '../keys/key-set.js'
import type { VerificationKey } from '../keys/verification-key.js'
import type { Limits } from '../limits.js'
import { type Algorithm, isAlgorithm } from '../token/algorithms.js'
import type { JsonObject, JsonValue } from '../token/json.js'
import { parseJwt } from '../token/jwt.js'
import { verifySignature } from '../token/signature.js'
import { readStatuses, type Statuses } from './statuses.js'

/** By what status lists are proved: all of it is the issuer's. */
export interface ListPolicy {
  readonly issuer: string
  readonly algorithms: ReadonlySet<string>
  readonly keys: KeySet
  /** Milliseconds since the epoch. */
  readonly now: () => number
  readonly limits: Limits
  readonly toleranceSeconds: number
}

/** A status list token whose signature and claims hold. */
export interface ProvenList {
  readonly statuses: Statuses
  /** `iat`, in seconds since the epoch. */
  readonly issuedAt: number
  /** `exp`, in seconds since the epoch; `null`: it has none. */
  readonly expiresAt: number | null
  /** `ttl`: for how many seconds it may be kept; `null`: it does not say. */
  readonly ttlSeconds: number | null
  readonly kid: string | null
  readonly algorithm: Algorithm
  readonly thumbprint: string
}

const TYPE = /^(?:application\/)?statuslist\+jwt$/i

/**
 * Proves a status list token (draft-ietf-oauth-status-list 5.1, 8.3): type, algorithm, the issuer's key, signature, and claims.
 * @param uri where it was read; it must say so itself, or another list of the issuer could stand in its place
 * @throws {FetchError} with a fixed text
 */
export async function proveList(text: string, uri: string, policy: ListPolicy): Promise<ProvenList> {
  const { algorithms, limits } = policy
  const jwt = parseJwt(text, { tokenBytes: limits.statusListBytes, jsonDepth: limits.jsonDepth }, new Map())
  if (jwt === null) throw new FetchError('the status list token is not a well-formed signed JWT')
  const { typ, alg, kid } = jwt.unverifiedHeader
  if (typeof typ !== 'string' || !TYPE.test(typ)) throw new FetchError('the status list token is a JWT of another type')
  if (!isAlgorithm(alg) || !algorithms.has(alg))
    throw new FetchError('the status list token has an algorithm that is not accepted')
  if (kid !== undefined && (typeof kid !== 'string' || kid.length > limits.kidCharacters)) {
    throw new FetchError('the status list token names its key unreadably')
  }
  const { keyObject, thumbprint } = await keyOf(policy.keys, kid ?? null, alg)
  const holds = await verifySignature(alg, keyObject, jwt.signingInput, jwt.signature, true)
  if (!holds) throw new FetchError('the signature of the status list token does not hold')
  const claims = jwt.unverifiedClaims // by now the issuer's
  const times = readTimes(claims, policy)
  checkOrigin(claims, uri, policy.issuer)
  const statuses = await readStatuses(claims['status_list'], limits.statusListInflatedBytes)
  return { statuses, ...times, kid: kid ?? null, algorithm: alg, thumbprint }
}

async function keyOf(keys: KeySet, kid: string | null, algorithm: Algorithm): Promise<VerificationKey> {
  try {
    return await keys.find(kid, algorithm)
  } catch (error) {
    if (!(error instanceof AuthError)) throw error
    throw new FetchError(
      error.code === 'key_unknown'
        ? 'the status list token is signed by a key that is not one of its issuer'
        : 'the keys of the issuer could not be read',
    )
  }
}

function checkOrigin({ iss, sub, aud }: JsonObject, uri: string, issuer: string): void {
  if (iss !== undefined && iss !== issuer) throw new FetchError('the status list token is of another issuer')
  if (sub !== uri) throw new FetchError('the status list token is of another list')
  // RFC 7519 4.1.3: what is for somebody else is not for us. Lists are for everybody, and have no audience.
  if (aud !== undefined) throw new FetchError('the status list token is for somebody else')
}

function readTimes(
  { iat, exp, nbf, ttl }: JsonObject,
  policy: ListPolicy,
): Pick<ProvenList, 'issuedAt' | 'expiresAt' | 'ttlSeconds'> {
  const nowSeconds = policy.now() / 1000
  const latest = Math.floor(nowSeconds) + policy.toleranceSeconds
  if (!isTime(iat)) throw new FetchError('the status list token does not say when it was issued')
  if (iat > latest) throw new FetchError('the status list token was issued in the future')
  if (nbf !== undefined && !(isTime(nbf) && nbf <= latest)) throw new FetchError('the status list token is not valid yet')
  if (exp !== undefined && !(isTime(exp) && nowSeconds < exp + policy.toleranceSeconds)) {
    throw new FetchError('the status list token has expired')
  }
  if (ttl !== undefined && !(isTime(ttl) && ttl > 0)) throw new FetchError('the status list token has an impossible ttl')
  return { issuedAt: iat, expiresAt: exp ?? null, ttlSeconds: ttl ?? null }
}

/** `1e400` parses to infinity, and would never end. */
function isTime(value: JsonValue | undefined): value is number {
  return typeof value === 'number' && Number.isFinite(value)
}
