import { constants, generateKeyPairSync, type KeyObject, randomUUID, sign } from 'node:crypto'
import type { Algorithm, JsonObject } from '@behalf/core'

/** A key pair of a test issuer. */
export interface SigningKey {
  /** The one algorithm that it is for; becomes the header's `alg`. */
  readonly algorithm: Algorithm
  /** Its key id; becomes the header's `kid`. */
  readonly kid: string
  /** Signs. */
  readonly privateKey: KeyObject
  /** The public part, as the key set shows it. */
  readonly jwk: JsonObject
}

const RSA_BITS = 2048

const CURVES: Readonly<Partial<Record<Algorithm, string>>> = { ES256: 'P-256', ES384: 'P-384', ES512: 'P-521' }

/** The two halves of a key. */
export interface KeyPair {
  /** Signs. */
  readonly privateKey: KeyObject
  /** Verifies; what a key set shows. */
  readonly publicKey: KeyObject
}

/** Makes a key pair that fits an algorithm. */
export function createKeyPair(algorithm: Algorithm): KeyPair {
  const curve = CURVES[algorithm]
  if (curve !== undefined) return generateKeyPairSync('ec', { namedCurve: curve })
  return algorithm.startsWith('Ed') ? generateKeyPairSync('ed25519') : generateKeyPairSync('rsa', { modulusLength: RSA_BITS })
}

/** Makes a signing key for an algorithm, with a fresh id and a fresh pair unless they are given. */
export function createSigningKey(
  algorithm: Algorithm,
  given: { readonly kid?: string; readonly pair?: KeyPair } = {},
): SigningKey {
  const { kid = `${algorithm.toLowerCase()}-${randomUUID().slice(0, 8)}`, pair = createKeyPair(algorithm) } = given
  const jwk = { ...(pair.publicKey.export({ format: 'jwk' }) as JsonObject), kid, alg: algorithm, use: 'sig' }
  return { algorithm, kid, privateKey: pair.privateKey, jwk }
}

/** Signs any text with an algorithm's primitive. Nothing is validated: broken tokens are this package's trade. */
export function signText(text: string, algorithm: Algorithm, key: KeyObject): Buffer {
  const pss = algorithm.startsWith('PS') && {
    padding: constants.RSA_PKCS1_PSS_PADDING,
    saltLength: constants.RSA_PSS_SALTLEN_DIGEST,
  }
  const digest = algorithm.startsWith('Ed') ? null : `sha${algorithm.slice(2)}`
  return sign(digest, Buffer.from(text), { key, dsaEncoding: 'ieee-p1363', ...pss })
}

/** A compact JWS over a header and a payload text, both taken as they are. */
export function signCompact(header: JsonObject, payload: string, { algorithm, privateKey }: SigningKey): string {
  const input = `${base64url(JSON.stringify(header))}.${base64url(payload)}`
  return `${input}.${signText(input, algorithm, privateKey).toString('base64url')}`
}

function base64url(text: string): string {
  return Buffer.from(text).toString('base64url')
}
