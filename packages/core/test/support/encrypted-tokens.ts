import {
  constants,
  createCipheriv,
  createHash,
  diffieHellman,
  generateKeyPairSync,
  type KeyObject,
  publicEncrypt,
  randomBytes,
} from 'node:crypto'
import type { JsonObject } from '@behalf/core'
import { CompactEncrypt } from 'jose'
import { type Decrypter, type DecryptionOptions, resolveDecryption } from '../../src/decryption/decrypter.js'
import { DEFAULT_LIMITS, type Limits } from '../../src/limits.js'

/** Makes the key pair of an API. */
export type PairMaker = () => { readonly publicKey: KeyObject; readonly privateKey: KeyObject }

export const rsaPair: PairMaker = () => generateKeyPairSync('rsa', { modulusLength: 2048 })
export const ecPair =
  (namedCurve: string): PairMaker =>
  () =>
    generateKeyPairSync('ec', { namedCurve })
export const x25519Pair: PairMaker = () => generateKeyPairSync('x25519')

/** A decryption key of an API, and the public part that its issuer has. */
export interface ApiKey {
  readonly kid: string
  readonly publicKey: KeyObject
  /** Private. */
  readonly jwk: JsonObject
}

export function apiKeyOf(make: PairMaker, kid: string): ApiKey {
  const { publicKey, privateKey } = make()
  return { kid, publicKey, jwk: { ...(privateKey.export({ format: 'jwk' }) as JsonObject), kid } }
}

export const jwkOf = (key: KeyObject): JsonObject => key.export({ format: 'jwk' }) as JsonObject

/** A signed JWT by its shape: nobody proves its signature here. */
export const INNER = 'eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJzZWNyZXQtc3ViamVjdCJ9.c2lnbmF0dXJl'

/** A token as another library makes it. */
export function encrypted(header: JsonObject, key: KeyObject, content: string = INNER): Promise<string> {
  return new CompactEncrypt(Buffer.from(content)).setProtectedHeader({ cty: 'JWT', ...header } as never).encrypt(key)
}

/** Any header text, with AES-256 in GCM and a key of the test's. */
export interface Sealing {
  readonly header: string | Buffer
  readonly cek: Buffer
  readonly encryptedKey?: Buffer
  readonly content?: string
  readonly tagBytes?: number
  readonly ivBytes?: number
}

/** A JWE whose header is taken as it is, and which is right in all else: only what the header says can refuse it. */
export function sealed({
  header,
  cek,
  encryptedKey = Buffer.alloc(0),
  content = INNER,
  tagBytes = 16,
  ivBytes = 12,
}: Sealing): string {
  const protectedPart = Buffer.from(header).toString('base64url')
  const iv = randomBytes(ivBytes)
  const cipher = createCipheriv('aes-256-gcm', cek, iv, { authTagLength: 16 }).setAAD(Buffer.from(protectedPart))
  const ciphertext = Buffer.concat([cipher.update(content), cipher.final()])
  const parts = [encryptedKey, iv, ciphertext, cipher.getAuthTag().subarray(0, tagBytes)]
  return [protectedPart, ...parts.map((part) => part.toString('base64url'))].join('.')
}

/** The same for RSA-OAEP-256, whatever the header calls it. */
export function sealedByRsa(header: Sealing['header'], publicKey: KeyObject, more: Partial<Sealing> = {}): string {
  const cek = randomBytes(32)
  const how = { key: publicKey, padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: 'sha256' }
  return sealed({ header, cek, encryptedKey: publicEncrypt(how, cek), ...more })
}

/** The same for ECDH-ES: the header is made from the point that was agreed with. */
export function sealedByAgreement(
  { publicKey }: Pick<ApiKey, 'publicKey'>,
  make: PairMaker,
  headerOf: (epk: JsonObject) => JsonObject,
  content: string = INNER,
): string {
  const ephemeral = make()
  const shared = diffieHellman({ privateKey: ephemeral.privateKey, publicKey })
  const header = headerOf(jwkOf(ephemeral.publicKey))
  const partyInfo = (value: unknown) => Buffer.from(typeof value === 'string' ? value : '', 'base64url')
  const cek = derived(shared, 'A256GCM', partyInfo(header['apu']), partyInfo(header['apv']))
  return sealed({ header: JSON.stringify(header), cek, content })
}

/** RFC 7518 4.6.2, for a key of 256 bits. */
export function derived(shared: Buffer, algorithm: string, apu: Buffer, apv: Buffer): Buffer {
  const number = (value: number) => Buffer.from(Uint32Array.of(value).buffer).swap32()
  const measured = (bytes: Buffer) => Buffer.concat([number(bytes.length), bytes])
  const otherInfo = [measured(Buffer.from(algorithm)), measured(apu), measured(apv), number(256)]
  return createHash('sha256')
    .update(Buffer.concat([number(1), shared, ...otherInfo]))
    .digest()
}

export function decrypterOf(options: DecryptionOptions, limits: Partial<Limits> = {}): Decrypter {
  return resolveDecryption(options, 'decryption', { ...DEFAULT_LIMITS, ...limits })
}
