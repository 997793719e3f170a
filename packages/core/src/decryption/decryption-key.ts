import {
  constants,
  createPrivateKey,
  createPublicKey,
  diffieHellman,
  generateKeyPairSync,
  type JsonWebKey,
  type KeyObject,
  privateDecrypt,
  publicEncrypt,
  randomBytes,
} from 'node:crypto'
import type { Members } from '../config-shape.js'
import { isObject, type JsonObject } from '../token/json.js'
import type { KeyManagementAlgorithm } from './algorithms.js'

/** A private key that may decrypt tokens, made once from its JWK. */
export interface DecryptionKey {
  /** `null` where the JWK has none. */
  readonly kid: string | null
  readonly kty: 'RSA' | 'EC' | 'OKP'
  /** Curve, `null` for RSA. */
  readonly crv: string | null
  /** The one algorithm that the JWK allows, `null` where it does not say. */
  readonly alg: string | null
  readonly keyObject: KeyObject
}

/** RFC 7518 4.3 demands 2048 bits or more. */
const LEAST_RSA_BITS = 2048

/** Curves for key agreement (RFC 7518 4.6, 6.2.1.1; RFC 8037 3.2), with the type of their keys. */
const CURVES: ReadonlyMap<unknown, 'EC' | 'OKP'> = new Map([
  ['P-256', 'EC'],
  ['P-384', 'EC'],
  ['P-521', 'EC'],
  ['X25519', 'OKP'],
])

/** What `key_ops` calls the use of a key here (RFC 7517 4.3): one of them must be there. */
const OPERATIONS = { RSA: ['decrypt', 'unwrapKey'], EC: ['deriveKey', 'deriveBits'], OKP: ['deriveKey', 'deriveBits'] } as const

/**
 * Imports a private JWK as a decryption key.
 * @returns the key, or a fixed text that says why this JWK is none here
 */
export function importPrivateJwk(jwk: Members, maxKidCharacters: number): DecryptionKey | string {
  const { kty, crv, kid, use, key_ops: keyOps, alg } = jwk
  if (kty === 'oct') return 'is a symmetric key: only the private key of a pair is accepted'
  if (kty !== 'RSA' && kty !== 'EC' && kty !== 'OKP') return 'has a key type that cannot decrypt here'
  if (jwk['d'] === undefined) return 'is a public key: give the private one'
  if (use !== undefined && use !== 'enc') return 'is not for encryption ("use")'
  const operations: readonly unknown[] = OPERATIONS[kty]
  if (keyOps !== undefined && !(Array.isArray(keyOps) && keyOps.some((each) => operations.includes(each)))) {
    return 'may not decrypt ("key_ops")'
  }
  if (kid !== undefined && (typeof kid !== 'string' || kid.length > maxKidCharacters)) return 'has an unusable "kid"'
  if (kty !== 'RSA' && CURVES.get(crv) !== kty) return 'has a curve that is not accepted'
  if (alg !== undefined && typeof alg !== 'string') return 'has an unusable "alg"'
  const publicKey = readOrNull(() => publicOf(jwk))
  if (publicKey === null) return 'has key material that cannot be read'
  const keyObject = readOrNull(() => createPrivateKey({ key: jwk as JsonWebKey, format: 'jwk' }))
  // Some versions of Node ask themselves whether the two parts belong together, and refuse to read the key where they do not.
  if (keyObject === null) return 'has private key material that cannot be read, or does not belong to its public part'
  if (kty === 'RSA' && bitsOf(publicKey) < LEAST_RSA_BITS) return 'has fewer than 2048 bits'
  if (!isPair(keyObject, publicKey)) return 'has a private part that does not belong to its public part'
  return { kid: kid ?? null, kty, crv: kty === 'RSA' ? null : String(crv), alg: alg ?? null, keyObject }
}

/** Whether a key may be used with an algorithm (RFC 8725 3.1: each key for one algorithm, as far as it says). */
export function keyFits({ kty, alg }: DecryptionKey, algorithm: KeyManagementAlgorithm): boolean {
  return algorithm.startsWith('RSA') === (kty === 'RSA') && (alg === null || alg === algorithm)
}

/**
 * Whether the point that a token shows (`epk`, RFC 7518 4.6.1.1) says to be on the curve of the key. Whether it is there indeed, and a
 * public one, is the cryptography's to say.
 */
export function pointFits({ kty, crv }: DecryptionKey, { epk }: JsonObject): boolean {
  return isObject(epk) && epk['kty'] === kty && epk['crv'] === crv
}

function publicOf({ kty, crv, x, y, n, e }: Members): KeyObject {
  const members = kty === 'RSA' ? { kty, n, e } : kty === 'EC' ? { kty, crv, x, y } : { kty, crv, x }
  return createPublicKey({ key: members as JsonWebKey, format: 'jwk' })
}

function readOrNull(read: () => KeyObject): KeyObject | null {
  try {
    return read()
  } catch {
    return null
  }
}

/** Not every version of Node asks whether the two parts of a JWK are those of one pair: with a key that issuers do not have, no token could be opened. */
function isPair(privateKey: KeyObject, publicKey: KeyObject): boolean {
  try {
    return privateKey.asymmetricKeyType === 'rsa' ? opens(privateKey, publicKey) : agrees(privateKey, publicKey)
  } catch {
    return false
  }
}

function opens(privateKey: KeyObject, publicKey: KeyObject): boolean {
  const secret = randomBytes(16)
  const how = { padding: constants.RSA_PKCS1_OAEP_PADDING }
  return privateDecrypt({ key: privateKey, ...how }, publicEncrypt({ key: publicKey, ...how }, secret)).equals(secret)
}

function agrees(privateKey: KeyObject, publicKey: KeyObject): boolean {
  const { namedCurve } = privateKey.asymmetricKeyDetails ?? {}
  const other = namedCurve === undefined ? generateKeyPairSync('x25519') : generateKeyPairSync('ec', { namedCurve })
  const ours = diffieHellman({ privateKey, publicKey: other.publicKey })
  return ours.equals(diffieHellman({ privateKey: other.privateKey, publicKey }))
}

function bitsOf({ asymmetricKeyDetails = {} }: KeyObject): number {
  return asymmetricKeyDetails.modulusLength ?? 0
}
