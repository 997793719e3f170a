import { createPublicKey, hash, type KeyObject } from 'node:crypto'

/** The public half of a signing key: what a checkpoint's signature is checked with. */
export interface VerifierKey {
  /** The name that signatures must have. `null`: not said (a PEM file says none), and any name will do. */
  readonly name: string | null
  /** Ed25519. */
  readonly publicKey: KeyObject
  /** The same key as its 32 bytes (RFC 8032 5.1.2). */
  readonly raw: Buffer
}

/** Signature type of Ed25519 in a C2SP signed note. */
const ED25519 = 0x01
const RAW_BYTES = 32
const KEY_ID_BYTES = 4

const VKEY = /^([^+]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/]+={0,2})$/
const PEM = /^-----BEGIN PUBLIC KEY-----[\sA-Za-z0-9+/=]+-----END PUBLIC KEY-----$/
const NO_KEY_NAME = /[\s+\p{Cc}\p{Cs}]/u

/** Whether a text can name a key (C2SP signed-note): not empty, and without spaces, plus signs, control characters, lone surrogates. */
export function isKeyName(name: string): boolean {
  return name.length > 0 && !NO_KEY_NAME.test(name)
}

/** Key id of a C2SP signed note: the first 4 bytes of SHA-256 over name, newline, signature type and public key. */
export function keyIdOf(name: string, raw: Buffer): Buffer {
  return hash('sha256', Buffer.concat([Buffer.from(`${name}\n`), Buffer.of(ED25519), raw]), 'buffer').subarray(0, KEY_ID_BYTES)
}

/**
 * Reads a verifier key: `<name>+<key id>+<key>` (C2SP signed-note, "vkey"), or the PEM of an Ed25519 public key (RFC 8410).
 * White space around it is ignored.
 * @throws TypeError that says what to give instead; it never holds the text
 */
export function parseVerifierKey(text: string): VerifierKey {
  const trimmed = text.trim()
  if (/PRIVATE[ +]KEY/.test(trimmed)) throw new TypeError('this is a private key: give the verifier its public half')
  if (trimmed.startsWith('-----BEGIN')) return keyOfPem(trimmed)
  return keyOfVkey(trimmed)
}

/** The text that names a public key for others: C2SP's "vkey". `key`: Ed25519, public or private; of a private key its public half. */
export function verifierKeyText(name: string, key: KeyObject): string {
  if (!isKeyName(name))
    throw new TypeError('the name of a key must not be empty, and hold no spaces, plus signs or control characters')
  const raw = publicBytesOf(key)
  return `${name}+${keyIdOf(name, raw).toString('hex')}+${Buffer.concat([Buffer.of(ED25519), raw]).toString('base64')}`
}

function keyOfPem(text: string): VerifierKey {
  const publicKey = PEM.test(text) ? publicKeyOf(() => createPublicKey({ key: text, format: 'pem' })) : null
  if (publicKey?.asymmetricKeyType !== 'ed25519')
    throw new TypeError('a verifier key in PEM must be one Ed25519 public key: BEGIN PUBLIC KEY … END PUBLIC KEY')
  return { name: null, publicKey, raw: publicBytesOf(publicKey) }
}

function keyOfVkey(text: string): VerifierKey {
  const [, name, keyId, encoded] = VKEY.exec(text) ?? []
  if (name === undefined || keyId === undefined || encoded === undefined || !isKeyName(name))
    throw new TypeError('a verifier key must be <name>+<8 hex digits>+<base64>, or the PEM of an Ed25519 public key')
  const typed = Buffer.from(encoded, 'base64')
  if (typed.toString('base64') !== encoded || typed.length !== 1 + RAW_BYTES || typed[0] !== ED25519)
    throw new TypeError('a verifier key must hold an Ed25519 key: the byte 1 and 32 bytes, in base64')
  const raw = typed.subarray(1)
  if (keyIdOf(name, raw).toString('hex') !== keyId)
    throw new TypeError('a verifier key whose key id does not fit its name and key: copy it again, and whole')
  const jwk = { kty: 'OKP', crv: 'Ed25519', x: raw.toString('base64url') }
  const publicKey = publicKeyOf(() => createPublicKey({ key: jwk, format: 'jwk' }))
  if (publicKey === null) throw new TypeError('a verifier key must hold an Ed25519 public key')
  return { name, publicKey, raw }
}

/** `null` instead of the library's error, which can quote its input. */
function publicKeyOf(create: () => KeyObject): KeyObject | null {
  try {
    return create()
  } catch {
    return null
  }
}

/** The 32 bytes of an Ed25519 public key, or of a private key's public half. */
export function publicBytesOf(key: KeyObject): Buffer {
  if (key.type === 'secret' || key.asymmetricKeyType !== 'ed25519') throw new TypeError('the key must be an Ed25519 key')
  const publicKey = key.type === 'private' ? createPublicKey(key) : key
  return Buffer.from(publicKey.export({ format: 'jwk' }).x ?? '', 'base64url')
}
