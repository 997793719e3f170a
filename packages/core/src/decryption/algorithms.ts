import { wordAt } from '../config-shape.js'

/**
 * How the key of the content is sent or agreed on (`alg` of a JWE, RFC 7518 4). Public-key ways only: a password (PBES2-*), a key that
 * both sides share (`dir`, A128KW, …) and RSA1_5 (RFC 8725 3.2) are not among them and cannot be added.
 */
export type KeyManagementAlgorithm = (typeof KEY_MANAGEMENT)[number]

/** All ways that an issuer may be given. */
export const KEY_MANAGEMENT = [
  'RSA-OAEP',
  'RSA-OAEP-256',
  'RSA-OAEP-384',
  'RSA-OAEP-512',
  'ECDH-ES',
  'ECDH-ES+A128KW',
  'ECDH-ES+A192KW',
  'ECDH-ES+A256KW',
] as const

/** How the content is encrypted (`enc` of a JWE, RFC 7518 5). All of them are authenticated. */
export type ContentEncryption = (typeof CONTENT_ENCRYPTIONS)[number]

/** All content encryptions that an issuer may be given; also the default. */
export const CONTENT_ENCRYPTIONS = ['A128GCM', 'A192GCM', 'A256GCM', 'A128CBC-HS256', 'A192CBC-HS384', 'A256CBC-HS512'] as const

/** Reads a {@link KeyManagementAlgorithm}. */
export function keyManagementAt(value: unknown, where: string): KeyManagementAlgorithm {
  return wordAt(value, where, KEY_MANAGEMENT)
}

/** Reads a {@link ContentEncryption}. */
export function contentEncryptionAt(value: unknown, where: string): ContentEncryption {
  return wordAt(value, where, CONTENT_ENCRYPTIONS)
}

/** Whether the token says nothing but a point, from which both sides have the key of the content: no key is sent (RFC 7518 4.6). */
export function sendsNoKey(algorithm: KeyManagementAlgorithm): boolean {
  return algorithm === 'ECDH-ES'
}

/** Whether a token has an initialization vector and an authentication tag of the lengths that its encryption has (RFC 7518 5.2, 5.3). */
export function hasLengths(encryption: ContentEncryption, iv: Buffer, tag: Buffer): boolean {
  const gcm = encryption.endsWith('GCM')
  return iv.length === (gcm ? 12 : 16) && tag.length === (gcm ? 16 : CBC_TAG_BYTES[encryption])
}

/** Half of the digest. */
const CBC_TAG_BYTES: Readonly<Partial<Record<ContentEncryption, number>>> = {
  'A128CBC-HS256': 16,
  'A192CBC-HS384': 24,
  'A256CBC-HS512': 32,
}
