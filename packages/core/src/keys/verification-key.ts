import { createPublicKey, hash, type JsonWebKey, type KeyObject } from 'node:crypto'
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
  if (kty === 'RSA') {
    const { modulusLength, publicExponent } = rsaDetails(keyObject)
    if (modulusLength < LEAST_RSA_BITS) return 'has fewer than 2048 bits'
    if (publicExponent < 3n || publicExponent % 2n === 0n) return 'has an exponent that no private key belongs to'
  }
  return { kid: kid ?? null, kty, crv: curve, alg: alg ?? null, keyObject, jwk }
}

export async function withThumbprint({ jwk, ...key }: ImportedKey): Promise<VerificationKey> {
  return { ...key, thumbprint: await calculateJwkThumbprint(jwk as JWK) }
}

/** Length of each coordinate (RFC 7518 6.2.1.2, RFC 8037 2). */
const COORDINATE_BYTES: Readonly<Record<string, number>> = { 'P-256': 32, 'P-384': 48, 'P-521': 66, Ed25519: 32 }

/** Not asked of keys on curves: Node takes longer to find their details than to import them. */
function rsaDetails({ asymmetricKeyDetails = {} }: KeyObject): {
  readonly modulusLength: number
  readonly publicExponent: bigint
} {
  const { modulusLength = 0, publicExponent = 0n } = asymmetricKeyDetails
  return { modulusLength, publicExponent }
}

/** Most bits of an RSA key that a stranger may have proved: the work grows with their square. */
const MOST_STRANGERS_RSA_BITS = 4096
const MOST_STRANGERS_EXPONENT = 0xffff_ffffn

/** Whether a key that anybody can make costs no more to prove by than usual ones do (RFC 8725 3.4). Not asked of issuers' keys. */
export function isAffordable({ kty, keyObject }: ImportedKey): boolean {
  if (kty !== 'RSA') return true // one of the few curves that are accepted
  const { modulusLength, publicExponent } = rsaDetails(keyObject)
  return modulusLength <= MOST_STRANGERS_RSA_BITS && publicExponent <= MOST_STRANGERS_EXPONENT
}

/**
 * Whether the material of a key is written in the one way that RFC 7518 has for it: then one key has one thumbprint. Not asked of
 * issuers' keys, some of which are written with a leading zero.
 */
export function isCanonical({ kty, crv, jwk }: ImportedKey): boolean {
  const bytes = crv === null ? null : COORDINATE_BYTES[crv]
  return (THUMBPRINT_MEMBERS[kty] ?? []).every((name) => {
    if (name === 'kty' || name === 'crv') return true
    const written = String(jwk[name])
    const value = Buffer.from(written, 'base64url')
    if (value.toString('base64url') !== written) return false
    return bytes === null ? value[0] !== 0 : value.length === bytes // a number is as short as it can be, a coordinate as long as its curve says
  })
}

/** Members of a thumbprint, in their order (RFC 7638 3.2, RFC 8037 2). */
const THUMBPRINT_MEMBERS: Readonly<Record<string, readonly string[]>> = {
  EC: ['crv', 'kty', 'x', 'y'],
  OKP: ['crv', 'kty', 'x'],
  RSA: ['e', 'kty', 'n'],
}

/**
 * The RFC 7638 SHA-256 thumbprint of a JWK as it is written, at once: a proof of possession shows a new key with many a request, and
 * the library's digest goes to another thread and back. Nothing of the key is checked.
 * @returns `null` where a member is missing, or the type of key is none that can sign
 */
export function thumbprintOf(jwk: JsonObject): string | null {
  const { kty } = jwk
  const members = typeof kty === 'string' && Object.hasOwn(THUMBPRINT_MEMBERS, kty) ? THUMBPRINT_MEMBERS[kty] : undefined
  if (members === undefined || !members.every((name) => typeof jwk[name] === 'string')) return null
  return hash('sha256', JSON.stringify(Object.fromEntries(members.map((name) => [name, jwk[name]]))), 'base64url')
}

function fitsAlgorithm(alg: JsonValue, kty: string, curve: string | null): alg is string {
  const details = typeof alg === 'string' ? ALGORITHMS.get(alg) : undefined
  return details !== undefined && details.kty === kty && details.crv === curve
}

/** Whether a key may be used with an algorithm (RFC 8725 3.1: each key for one algorithm, as far as it says). */
export function keyFits(key: KeyMaterial, algorithm: Algorithm): boolean {
  return fitsAlgorithm(algorithm, key.kty, key.crv) && (key.alg === null || key.alg === algorithm)
}
