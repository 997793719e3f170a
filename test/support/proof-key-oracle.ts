/**
 * What a proof's key and signature have to be, by RFC 7515 5.2, RFC 7517 4, RFC 7518 3 and 6, RFC 7638 3 and RFC 8037 2: numbers and
 * bytes are read here, and signatures are checked by WebCrypto.
 */
import { createHash, webcrypto } from 'node:crypto'

type Members = Readonly<Record<string, unknown>>

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'

/** The bytes of base64url without padding, where it is written as RFC 4648 3.5 asks: unused bits are zero. Otherwise `null`. */
export function fromBase64url(text: unknown): Uint8Array<ArrayBuffer> | null {
  if (typeof text !== 'string' || text.length % 4 === 1) return null
  const bytes = new Uint8Array(Math.floor((text.length * 3) / 4))
  let [bits, held, at] = [0, 0, 0]
  for (const character of text) {
    const value = ALPHABET.indexOf(character)
    if (value === -1) return null
    bits = ((bits << 6) | value) & 0xfff
    held += 6
    if (held < 8) continue
    held -= 8
    bytes[at++] = (bits >> held) & 0xff
  }
  return (bits & ((1 << held) - 1)) === 0 ? bytes : null
}

interface Curve {
  readonly bytes: number
  /** The prime of the field, and `b`; `a` is -3. */
  readonly prime: bigint
  readonly b: bigint
}

/** SP 800-186 3.2.1. */
const CURVES: Readonly<Record<string, Curve>> = {
  'P-256': {
    bytes: 32,
    prime: 2n ** 256n - 2n ** 224n + 2n ** 192n + 2n ** 96n - 1n,
    b: 0x5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604bn,
  },
  'P-384': {
    bytes: 48,
    prime: 2n ** 384n - 2n ** 128n - 2n ** 96n + 2n ** 32n - 1n,
    b: 0xb3312fa7e23ee7e4988e056be3f82d19181d9c6efe8141120314088f5013875ac656398d8a2ed19d2a85c8edd3ec2aefn,
  },
  'P-521': {
    bytes: 66,
    prime: 2n ** 521n - 1n,
    b: 0x0051953eb9618e1c9a1f929a21a0b68540eea2da725b99b315f3b8b489918ef109e156193951ec7e937b1652c0bd3bb1bf073573df883d2c34f1ef451fd46b503f00n,
  },
}

type Import = RsaHashedImportParams | EcKeyImportParams | { name: 'Ed25519' }
type RsaHashedImportParams = { name: 'RSASSA-PKCS1-v1_5' | 'RSA-PSS'; hash: string }
type EcKeyImportParams = { name: 'ECDSA'; namedCurve: string }

interface Algorithm {
  readonly kty: string
  readonly crv: string | null
  readonly key: Import
  readonly verify: { readonly name: string; readonly hash?: string; readonly saltLength?: number }
}

function rsa(bits: number, name: 'RSASSA-PKCS1-v1_5' | 'RSA-PSS'): Algorithm {
  const salt = name === 'RSA-PSS' ? { saltLength: bits / 8 } : {}
  return { kty: 'RSA', crv: null, key: { name, hash: `SHA-${bits}` }, verify: { name, ...salt } }
}

function ec(crv: string, bits: number): Algorithm {
  return { kty: 'EC', crv, key: { name: 'ECDSA', namedCurve: crv }, verify: { name: 'ECDSA', hash: `SHA-${bits}` } }
}

const ED25519: Algorithm = { kty: 'OKP', crv: 'Ed25519', key: { name: 'Ed25519' }, verify: { name: 'Ed25519' } }

const ALGORITHMS: ReadonlyMap<unknown, Algorithm> = new Map([
  ['RS256', rsa(256, 'RSASSA-PKCS1-v1_5')],
  ['RS384', rsa(384, 'RSASSA-PKCS1-v1_5')],
  ['RS512', rsa(512, 'RSASSA-PKCS1-v1_5')],
  ['PS256', rsa(256, 'RSA-PSS')],
  ['PS384', rsa(384, 'RSA-PSS')],
  ['PS512', rsa(512, 'RSA-PSS')],
  ['ES256', ec('P-256', 256)],
  ['ES384', ec('P-384', 384)],
  ['ES512', ec('P-521', 512)],
  ['EdDSA', ED25519],
  ['Ed25519', ED25519],
])

/** Every algorithm that the oracle knows: asymmetric ones. */
export const KNOWN_ALGORITHMS: readonly string[] = [...ALGORITHMS.keys()].map(String)

const PRIVATE = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k', 'priv']

/** Whether a `jwk` is a public key for an algorithm, written as its RFCs say. */
export function isProofKey(jwk: unknown, alg: string): jwk is Members {
  const algorithm = ALGORITHMS.get(alg)
  if (algorithm === undefined || typeof jwk !== 'object' || jwk === null || Array.isArray(jwk)) return false
  const key = jwk as Members
  const has = (name: string) => Object.hasOwn(key, name)
  if (PRIVATE.some(has) || key['kty'] !== algorithm.kty) return false
  if (algorithm.crv !== null && key['crv'] !== algorithm.crv) return false
  if (has('use') && key['use'] !== 'sig') return false
  if (has('key_ops') && !(Array.isArray(key['key_ops']) && key['key_ops'].includes('verify'))) return false
  if (has('alg') && key['alg'] !== alg) return false
  if (has('kid') && typeof key['kid'] !== 'string') return false
  return hasMaterial(key, algorithm)
}

function hasMaterial(key: Members, { kty, crv }: Algorithm): boolean {
  if (kty === 'RSA') return isRsaKey(fromBase64url(key['n']), fromBase64url(key['e']))
  const [x, y] = [fromBase64url(key['x']), fromBase64url(key['y'])]
  if (kty === 'OKP') return x?.length === 32
  const curve = CURVES[crv ?? '']
  return curve !== undefined && x?.length === curve.bytes && y?.length === curve.bytes && isPoint(curve, toNumber(x), toNumber(y))
}

/** RFC 7518 3.3: 2048 bits or more; 2 and 6.3.1: no more octets than needed; RFC 8017 3.1: `e` is odd and at least 3. */
function isRsaKey(n: Uint8Array | null, e: Uint8Array | null): boolean {
  if (n === null || e === null || n[0] === 0 || e[0] === 0 || toNumber(n) < 2n ** 2047n) return false
  const exponent = toNumber(e)
  return exponent >= 3n && exponent % 2n === 1n
}

/** y² = x³ − 3x + b. */
function isPoint({ prime, b }: Curve, x: bigint, y: bigint): boolean {
  return x < prime && y < prime && (y * y - (x * x * x - 3n * x + b)) % prime === 0n
}

function toNumber(bytes: Uint8Array): bigint {
  return BigInt(`0x0${Buffer.from(bytes).toString('hex')}`)
}

const THUMBPRINT_MEMBERS: Readonly<Record<string, readonly string[]>> = {
  EC: ['crv', 'kty', 'x', 'y'],
  OKP: ['crv', 'kty', 'x'],
  RSA: ['e', 'kty', 'n'],
  oct: ['k', 'kty'],
}

/** RFC 7638 3: the SHA-256 digest of the required members, in their order; `null` where one is missing. */
export function thumbprintOf(jwk: unknown): string | null {
  if (typeof jwk !== 'object' || jwk === null) return null
  const key = jwk as Members
  const names = THUMBPRINT_MEMBERS[String(key['kty'])]
  if (names === undefined || names.some((name) => typeof key[name] !== 'string')) return null
  const text = `{${names.map((name) => `"${name}":${JSON.stringify(key[name])}`).join(',')}}`
  return createHash('sha256').update(text).digest('base64url')
}

/** Keys are read once: the same few sign thousands of proofs. */
const imported = new Map<string, Promise<webcrypto.CryptoKey>>()

/** Whether a signature is one of a key that {@link isProofKey}. */
export async function signatureHolds(
  jwk: Members,
  alg: string,
  input: string,
  signature: Uint8Array<ArrayBuffer>,
): Promise<boolean> {
  const algorithm = ALGORITHMS.get(alg)
  if (algorithm === undefined) return false
  const names = THUMBPRINT_MEMBERS[algorithm.kty] ?? []
  const bare = Object.fromEntries(names.map((name) => [name, jwk[name]]))
  const id = `${alg} ${JSON.stringify(bare)}`
  const key = imported.get(id) ?? webcrypto.subtle.importKey('jwk', bare, algorithm.key, false, ['verify'])
  if (imported.size < 1000) imported.set(id, key)
  return webcrypto.subtle.verify(algorithm.verify, await key, signature, Buffer.from(input, 'latin1'))
}
