import { createPublicKey, type JsonWebKey, type KeyObject } from 'node:crypto'
import type { JWK } from 'jose'
import { calculateJwkThumbprint } from 'jose/jwk/thumbprint' // the whole of jose takes a third of the start-up time
import { ALGORITHMS, type Algorithm } from '../token/algorithms.js'
import { isObject, type JsonObject, type JsonValue } from '../token/json.js'

/** A public key that may prove signatures, made once from its JWK. */
export interface VerificationKey {
  /** `null` where the JWK has none. */
  readonly kid: string | null
  readonly kty: string
  /** Curve, `null` for RSA. */
  readonly crv: string | null
  /** The one algorithm that the JWK allows, `null` where it does not say. */
  readonly alg: string | null
  readonly keyObject: KeyObject
  /** RFC 7638 SHA-256 thumbprint: the same key material has the same one, whatever its id. */
  readonly thumbprint: string
}

/** A key without its thumbprint, which only an asynchronous digest can give. */
export type ImportedKey = KeyMaterial & { readonly jwk: JsonObject }

type KeyMaterial = Omit<VerificationKey, 'thumbprint'>

/** RFC 7518 3.3 and 3.5 demand 2048 bits or more. */
const LEAST_RSA_BITS = 2048

/** Members that only a private or symmetric key has (RFC 7518 6.2.2, 6.3.2, 6.4.1). */
const SECRET_MEMBERS = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k'] as const

/**
 * Imports a JWK as a verification key.
 * @returns the key, or a fixed text that says why this JWK is none here
 */
export function importJwk(jwk: unknown, maxKidCharacters: number): ImportedKey | string {
  if (!isObject(jwk)) return 'is not an object'
  const { kty, crv, kid, use, key_ops: keyOps, alg } = jwk
  if (SECRET_MEMBERS.some((name) => jwk[name] !== undefined)) return 'is a private or symmetric key: give its public part'
  if (kty !== 'RSA' && kty !== 'EC' && kty !== 'OKP') return 'has a key type that cannot verify signatures here'
  if (use !== undefined && use !== 'sig') return 'is not for signatures ("use")'
  if (keyOps !== undefined && !(Array.isArray(keyOps) && keyOps.includes('verify'))) return 'may not verify ("key_ops")'
  if (kid !== undefined && (typeof kid !== 'string' || kid.length > maxKidCharacters)) return 'has an unusable "kid"'
  const curve = kty === 'RSA' ? null : typeof crv === 'string' ? crv : ''
  if (curve !== null && ![...ALGORITHMS.values()].some((each) => each.crv === curve && each.kty === kty)) {
    return 'has a curve that is not accepted'
  }
  if (alg !== undefined && !fitsAlgorithm(alg, kty, curve)) return 'has an "alg" that does not fit it'
  let keyObject: KeyObject
  try {
    keyObject = createPublicKey({ key: jwk as JsonWebKey, format: 'jwk' })
  } catch {
    return 'has key material that cannot be read'
  }
  if (kty === 'RSA' && (keyObject.asymmetricKeyDetails?.modulusLength ?? 0) < LEAST_RSA_BITS) return 'has fewer than 2048 bits'
  return { kid: kid ?? null, kty, crv: curve, alg: alg ?? null, keyObject, jwk }
}

export async function withThumbprint({ jwk, ...key }: ImportedKey): Promise<VerificationKey> {
  return { ...key, thumbprint: await calculateJwkThumbprint(jwk as JWK) }
}

function fitsAlgorithm(alg: JsonValue, kty: string, curve: string | null): alg is string {
  const details = typeof alg === 'string' ? ALGORITHMS.get(alg) : undefined
  return details !== undefined && details.kty === kty && details.crv === curve
}

/** Whether a key may be used with an algorithm (RFC 8725 3.1: each key for one algorithm, as far as it says). */
export function keyFits(key: KeyMaterial, algorithm: Algorithm): boolean {
  return fitsAlgorithm(algorithm, key.kty, key.crv) && (key.alg === null || key.alg === algorithm)
}
