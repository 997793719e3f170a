import { createHmac, createPublicKey } from 'node:crypto'
import type { Algorithm, JsonObject, JsonValue } from '@behalf/core'
import { type SigningKey, signText } from '@behalf/testing'

/** Numbers that look random and repeat (mulberry32). */
export class Random {
  #state: number

  constructor(seed: number) {
    this.#state = seed >>> 0
  }

  /** From 0 up to, not including, `below`. */
  below(below: number): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0
    let mixed = this.#state
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * below)
  }

  pick<T>(values: readonly T[]): T {
    if (values.length === 0) throw new RangeError('nothing to pick from')
    return values[this.below(values.length)] as T
  }

  bytes(length: number): Buffer {
    return Buffer.from(Array.from({ length }, () => this.below(256)))
  }
}

/** A valid token, and the key that signed it. */
export interface SignedToken {
  readonly text: string
  readonly key: SigningKey
}

/** What mutations are made of. */
export interface Material {
  /** Every algorithm's tokens. */
  readonly tokens: readonly SignedToken[]
  /** Keys to sign changed headers and claims with, the fast ones more often. */
  readonly signers: readonly SigningKey[]
  /** Keys of the set that signs `tokens`. */
  readonly keys: readonly SigningKey[]
  /** A key of somebody else's. */
  readonly stranger: SigningKey
  readonly claims: JsonObject
  readonly nowSeconds: number
  readonly toleranceSeconds: number
}

/** Makes one mutant. */
export type Mutation = (random: Random, material: Material) => string

/** Header and payload as they are signed: text, or bytes where text cannot say it. */
type Part = string | Buffer

const BASE64URL = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
const STRANGE = ['=', '+', '/', '.', ' ', '\t', '\n', '\r', '\0', '"', '%', '\u00a0', 'é', '\ud800', '\ufeff', '\u2028']

function encode(part: Part): string {
  return Buffer.from(part as string).toString('base64url')
}

function signParts(header: string, payload: string, { algorithm, privateKey }: SigningKey): string {
  const input = `${header}.${payload}`
  return `${input}.${signText(input, algorithm, privateKey).toString('base64url')}`
}

function headerOf({ algorithm, kid }: SigningKey): JsonObject {
  return { alg: algorithm, typ: 'at+jwt', kid }
}

/** A token by the standard header of its key. */
export function signClaims(key: SigningKey, payload: Part): string {
  return signParts(encode(JSON.stringify(headerOf(key))), encode(payload), key)
}

/** A token with its header changed and properly signed; `undefined` takes a member away. */
function signHeader(key: SigningKey, claims: JsonObject, changed: Readonly<Record<string, unknown>>): string {
  return signParts(encode(JSON.stringify({ ...headerOf(key), ...changed })), encode(JSON.stringify(claims)), key)
}

function withClaims({ claims }: Material, changed: Readonly<Record<string, JsonValue | undefined>>): string {
  return JSON.stringify({ ...claims, ...changed })
}

function withPart(token: string, index: number, change: (part: string) => string): string {
  return token
    .split('.')
    .map((part, at) => (at === index ? change(part) : part))
    .join('.')
}

function withSignature({ text }: SignedToken, change: (signature: Buffer) => Buffer): string {
  return withPart(text, 2, (part) => encode(change(Buffer.from(part, 'base64url'))))
}

/** A JSON value of any type. */
function anyJson(random: Random): JsonValue {
  return random.pick<JsonValue>([
    ...[null, true, false, 0, 1, -1, 1.5, '', ' ', 'x', '\u0000', '\ud800', 'x'.repeat(300), 'x'.repeat(1025)],
    ...[[], [null], ['x'], [[]], {}, { sub: 'x' }],
  ])
}

// --- text ---------------------------------------------------------------------------------------------------------------

const flipBit: Mutation = (random, { tokens }) => {
  const { text } = random.pick(tokens)
  const at = random.below(text.length)
  return text.slice(0, at) + String.fromCharCode(text.charCodeAt(at) ^ (1 << random.below(8))) + text.slice(at + 1)
}

const replaceCharacter: Mutation = (random, { tokens }) => {
  const { text } = random.pick(tokens)
  const at = random.below(text.length)
  return text.slice(0, at) + random.pick([...BASE64URL]) + text.slice(at + 1)
}

const swapCharacters: Mutation = (random, { tokens }) => {
  const units = random.pick(tokens).text.split('')
  const [one, other] = [random.below(units.length), random.below(units.length)]
  ;[units[one], units[other]] = [units[other] as string, units[one] as string]
  return units.join('')
}

const insertOrDelete: Mutation = (random, { tokens }) => {
  const { text } = random.pick(tokens)
  const at = random.below(text.length + 1)
  const mark = random.pick(['', ...STRANGE, ...BASE64URL.slice(0, 8)])
  return text.slice(0, at) + mark + text.slice(at + (mark === '' ? 1 + random.below(4) : 0))
}

const truncate: Mutation = (random, { tokens }) => {
  const { text } = random.pick(tokens)
  const length = random.below(text.length)
  return random.below(2) === 0 ? text.slice(0, length) : text.slice(length)
}

const swapParts: Mutation = (random, { tokens }) => [0, 1, 2].map((index) => random.pick(tokens).text.split('.')[index]).join('.')

const rearrangeParts: Mutation = (random, { tokens }) => {
  const parts = random.pick(tokens).text.split('.')
  const count = random.pick([0, 1, 2, 3, 3, 4, 5])
  return Array.from({ length: count }, () => random.pick([...parts, ''])).join('.')
}

const extraDots: Mutation = (random, { tokens }) => {
  const { text } = random.pick(tokens)
  const at = random.pick([0, text.indexOf('.'), text.lastIndexOf('.'), text.length, random.below(text.length)])
  return text.slice(0, at) + '.'.repeat(1 + random.below(3)) + text.slice(at)
}

const whitespace: Mutation = (random, { tokens }) => {
  const { text } = random.pick(tokens)
  const gap = random.pick([' ', '\t', '\n', '\r\n', '\u00a0', '\ufeff', '\u0000', '  ', '%20', '\f'])
  const at = random.pick([
    0,
    text.indexOf('.'),
    text.indexOf('.') + 1,
    text.lastIndexOf('.'),
    text.lastIndexOf('.') + 1,
    text.length,
  ])
  return text.slice(0, at) + gap + text.slice(at)
}

const padding: Mutation = (random, { tokens }) =>
  withPart(random.pick(tokens).text, random.below(3), (part) => part + '='.repeat(1 + random.below(3)))

/** The same bytes in another way of writing them: bits at the end that no byte uses. */
const looseBits: Mutation = (random, { tokens }) =>
  withPart(random.pick(tokens).text, random.pick([0, 1, 2, 2, 2]), (part) => {
    const last = BASE64URL.indexOf(part.at(-1) ?? 'A')
    const unused = part.length % 4 === 2 ? 16 : part.length % 4 === 3 ? 4 : 1
    return part.slice(0, -1) + BASE64URL[(last & ~(unused - 1)) | random.below(unused)]
  })

const otherAlphabet: Mutation = (random, { tokens }) => {
  const bases = tokens.filter(({ text }) => /[-_]/.test(text.slice(text.lastIndexOf('.'))))
  return withPart(random.pick(bases).text, 2, (part) =>
    random.below(2) === 0
      ? part.replaceAll('-', '+').replaceAll('_', '/')
      : part.replace(/[-_]/, (mark) => (mark === '-' ? '+' : '/')),
  )
}

const changeCase: Mutation = (random, { tokens }) =>
  withPart(random.pick(tokens).text, random.below(3), (part) => (random.below(2) === 0 ? part.toLowerCase() : part.toUpperCase()))

const unchanged: Mutation = (random, { tokens }) => random.pick(tokens).text

const garbage: Mutation = (random) => {
  const part = () => encode(random.bytes(random.below(60)))
  return random.pick([
    () => '',
    () => '.'.repeat(random.below(6)),
    () => [part(), part(), part()].join('.'),
    () => random.bytes(random.below(80)).toString('latin1'),
    () => `${encode('{"alg":"none"}')}.${part()}.`,
    () => random.pick(['undefined', 'null', '[object Object]', '{}', 'Bearer', 'e30.e30.e30', 'bnVsbA.bnVsbA.bnVsbA']),
  ])()
}

/** JWE shapes, JSON serializations, tokens within tokens: forms that are no compact JWS. */
const otherForms: Mutation = (random, { tokens, signers, claims }) => {
  const { text } = random.pick(tokens)
  const [header = '', payload = '', signature = ''] = text.split('.')
  const unprotected = { kid: random.pick(signers).kid }
  return random.pick([
    () =>
      [encode('{"alg":"RSA-OAEP","enc":"A256GCM"}'), '', encode(random.bytes(12)), payload, encode(random.bytes(16))].join('.'),
    () => [encode('{"alg":"dir","enc":"A128CBC-HS256"}'), payload, signature, header, ''].join('.'),
    () => `${text}.${encode(random.bytes(16))}.${encode(random.bytes(16))}`,
    () => JSON.stringify({ payload, protected: header, signature }),
    () => JSON.stringify({ payload, protected: header, header: unprotected, signature }),
    () => JSON.stringify({ payload, signatures: [{ protected: header, signature }] }),
    () => JSON.stringify(text),
    () => `${text}~`,
    () => `Bearer ${text}`,
    () => `${text},${text}`,
    () => encodeURIComponent(` ${text}`),
    () => `${header}..${signature}`,
    () => signParts(header, JSON.stringify(claims), random.pick(signers)),
    () => signClaims(random.pick(signers), text),
    () => signClaims(random.pick(signers), JSON.stringify(text)),
  ])()
}

// --- signatures ---------------------------------------------------------------------------------------------------------

/** Order of each curve's group. */
const ORDERS: Readonly<Partial<Record<Algorithm, bigint>>> = {
  ES256: 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n,
  ES384: 0xffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973n,
  ES512:
    0x01fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffa51868783bf2f966b7fcc0148f709a5d03bb5c9b8899c47aebb6fb71e91386409n,
}
const ED25519_ORDER = 2n ** 252n + 27742317777372353535851937790883648493n

function toBigInt(bytes: Buffer): bigint {
  return BigInt(`0x${bytes.toString('hex') || '0'}`)
}

function toBytes(value: bigint, length: number): Buffer {
  return Buffer.from(
    value
      .toString(16)
      .padStart(length * 2, '0')
      .slice(-length * 2),
    'hex',
  )
}

const flipSignatureBit: Mutation = (random, { tokens }) =>
  withSignature(random.pick(tokens), (signature) => {
    const at = random.below(signature.length)
    signature.writeUInt8(signature.readUInt8(at) ^ (1 << random.below(8)), at)
    return signature
  })

const signatureLength: Mutation = (random, { tokens }) =>
  withSignature(random.pick(tokens), (signature) =>
    random.pick([
      () => signature.subarray(0, random.below(signature.length)),
      () => signature.subarray(1 + random.below(signature.length)),
      () => Buffer.concat([signature, Buffer.alloc(1 + random.below(3))]),
      () => Buffer.concat([Buffer.alloc(1 + random.below(3)), signature]),
      () => Buffer.concat([signature, signature]),
      () => Buffer.concat([signature, random.bytes(1)]),
      () => Buffer.alloc(signature.length, random.pick([0, 0xff])),
    ])(),
  )

/** s → n − s: another signature of the same text by the same key. Whoever may take one may take the other. */
const negatedS: Mutation = (random, { tokens }) => {
  const token = random.pick(tokens.filter(({ key }) => ORDERS[key.algorithm] !== undefined))
  const order = ORDERS[token.key.algorithm] ?? 0n
  return withSignature(token, (signature) => {
    const half = signature.length / 2
    return Buffer.concat([signature.subarray(0, half), toBytes(order - toBigInt(signature.subarray(half)), half)])
  })
}

const ecdsaValues: Mutation = (random, { tokens }) => {
  const token = random.pick(tokens.filter(({ key }) => ORDERS[key.algorithm] !== undefined))
  const order = ORDERS[token.key.algorithm] ?? 0n
  return withSignature(token, (signature) => {
    const half = signature.length / 2
    const [r, s] = [signature.subarray(0, half), signature.subarray(half)]
    const odd = () => toBytes(random.pick([0n, 1n, order, order - 1n, order + 1n, order * 2n, 2n ** BigInt(half * 8) - 1n]), half)
    return random.pick([
      () => Buffer.concat([odd(), s]),
      () => Buffer.concat([r, odd()]),
      () => Buffer.concat([odd(), odd()]),
      () => Buffer.concat([s, r]),
      () => Buffer.concat([r, r]),
      () => Buffer.concat([toBytes(toBigInt(r) + order, half), s]),
      () => Buffer.concat([r, toBytes(toBigInt(s) + order, half)]),
      () => derOf(r, s),
      () => Buffer.concat([r, Buffer.alloc(1), s]),
    ])()
  })
}

/** The ASN.1 form that OpenSSL writes and JWS does not know. */
function derOf(r: Buffer, s: Buffer): Buffer {
  const integer = (bytes: Buffer) => {
    const first = bytes.findIndex((byte) => byte !== 0)
    const short = first === -1 ? Buffer.alloc(1) : bytes.subarray(first)
    const positive = (short[0] ?? 0) >= 0x80 ? Buffer.concat([Buffer.alloc(1), short]) : short
    return Buffer.concat([Buffer.from([0x02, positive.length]), positive])
  }
  const body = Buffer.concat([integer(r), integer(s)])
  return Buffer.concat([Buffer.from(body.length < 0x80 ? [0x30, body.length] : [0x30, 0x81, body.length]), body])
}

const eddsaValues: Mutation = (random, { tokens }) =>
  withSignature(random.pick(tokens.filter(({ key }) => key.algorithm.startsWith('Ed'))), (signature) => {
    const [r, s] = [signature.subarray(0, 32), signature.subarray(32)]
    const value = toBigInt(Buffer.from(s).reverse())
    const little = (number: bigint) => toBytes(number, 32).reverse()
    const identity = little(1n)
    return random.pick([
      () => Buffer.concat([r, little(value + ED25519_ORDER)]),
      () => Buffer.concat([r, little((ED25519_ORDER - value) % ED25519_ORDER)]),
      () => Buffer.concat([identity, s]),
      () => Buffer.concat([identity, Buffer.alloc(32)]),
      () => Buffer.concat([Buffer.alloc(32), s]),
      () => Buffer.concat([s, r]),
    ])()
  })

const rsaValues: Mutation = (random, { tokens }) => {
  const token = random.pick(tokens.filter(({ key }) => key.jwk['kty'] === 'RSA'))
  const modulus = toBigInt(Buffer.from(String(token.key.jwk['n']), 'base64url'))
  return withSignature(token, (signature) => {
    const value = toBigInt(signature)
    const { length } = signature
    return random.pick([
      () => toBytes(value + modulus, length),
      () => toBytes(value + modulus, length + 1),
      () => toBytes(modulus - value, length),
      () => toBytes(random.pick([0n, 1n, modulus, modulus - 1n]), length),
    ])()
  })
}

const otherSigner: Mutation = (random, { tokens, keys, stranger, claims }) => {
  const { text, key } = random.pick(tokens)
  const [header = '', payload = ''] = text.split('.')
  const sameFamily = keys.filter(({ jwk, kid }) => jwk['kty'] === key.jwk['kty'] && kid !== key.kid && jwk['kty'] !== 'RSA')
  return random.pick([
    () => signParts(header, payload, stranger),
    () => signParts(header, payload, random.pick(sameFamily.length === 0 ? [stranger] : sameFamily)),
    () => `${header}.${payload}.${encode(signText(payload, stranger.algorithm, stranger.privateKey))}`,
    () => signHeader(stranger, claims, {}),
    () =>
      signHeader(stranger, claims, { kid: random.pick(keys.filter(({ algorithm }) => algorithm === stranger.algorithm)).kid }),
    () => signHeader(stranger, claims, { kid: undefined }),
  ])()
}

// --- headers, properly signed -------------------------------------------------------------------------------------------

const ALGORITHM_WORDS = [
  ...[
    'none',
    'None',
    'NONE',
    'nOnE',
    '',
    'HS256',
    'HS384',
    'HS512',
    'RS1',
    'ES256K',
    'Ed448',
    'ML-DSA-44',
    'EdDSA ',
    'dir',
    'RSA-OAEP',
  ],
  ...[
    'RS256',
    'RS384',
    'RS512',
    'PS256',
    'PS384',
    'PS512',
    'ES256',
    'ES384',
    'ES512',
    'EdDSA',
    'Ed25519',
    'toString',
    '__proto__',
  ],
]

const algorithmHeader: Mutation = (random, { signers, claims }) => {
  const key = random.pick(signers)
  const alg = random.pick<() => unknown>([
    () => random.pick(ALGORITHM_WORDS),
    () => key.algorithm.toLowerCase(),
    () => key.algorithm.toUpperCase(),
    () => [key.algorithm],
    () => anyJson(random),
    () => undefined,
  ])()
  const token = signHeader(key, claims, { alg, ...(random.below(3) === 0 && { kid: undefined }) })
  return random.below(4) === 0 ? token.slice(0, token.lastIndexOf('.') + 1) : token
}

/** A token by a key that does not say its algorithm, under each algorithm that it can be used with, and others. */
const openKey: Mutation = (random, { keys, claims }) => {
  const open = random.pick(keys.filter(({ jwk }) => jwk['alg'] === undefined))
  const fitting: readonly Algorithm[] =
    open.jwk['kty'] === 'RSA' ? ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'] : ['ES256']
  const key = { ...open, algorithm: random.pick(fitting) }
  return random.below(4) === 0 ? signHeader(key, claims, { alg: random.pick(ALGORITHM_WORDS) }) : signHeader(key, claims, {})
}

/** The oldest trick: HMAC with the public key as its secret. */
const publicKeyAsSecret: Mutation = (random, { keys, claims }) => {
  const key = random.pick(keys)
  const publicKey = createPublicKey(key.privateKey)
  const alg = random.pick(['HS256', 'HS384', 'HS512', key.algorithm])
  const secret = random.pick<() => Part>([
    () => publicKey.export({ format: 'pem', type: 'spki' }),
    () => String(publicKey.export({ format: 'pem', type: 'spki' })).trim(),
    () => publicKey.export({ format: 'der', type: 'spki' }),
    () => JSON.stringify(key.jwk),
    () => Buffer.from(String(key.jwk['x'] ?? key.jwk['n']), 'base64url'),
    () => '',
  ])()
  const input = `${encode(JSON.stringify({ alg, typ: 'at+jwt', kid: key.kid }))}.${encode(JSON.stringify(claims))}`
  return `${input}.${encode(
    createHmac(`sha${alg.startsWith('HS') ? alg.slice(2) : '256'}`, secret)
      .update(input)
      .digest(),
  )}`
}

const keyIdHeader: Mutation = (random, { signers, keys, claims }) => {
  const key = random.pick(signers)
  const kid = random.pick<() => unknown>([
    () => undefined,
    () => random.pick(keys).kid,
    () => anyJson(random),
    () => key.kid.toUpperCase(),
    () => ` ${key.kid}`,
    () => key.kid + random.pick(STRANGE),
    () => [key.kid],
    () => random.pick(['x'.repeat(257), '../../etc/passwd', "' OR 1=1", '__proto__', 'constructor']),
  ])()
  return signHeader(key, claims, { kid })
}

const criticalHeader: Mutation = (random, { signers, claims }) => {
  const crit = random.pick<unknown>([
    ...[[], ['exp'], ['b64'], ['b64', 'b64'], ['alg'], ['kid'], [''], [1], [null], 'b64', null, {}, true, 0, ''],
    ...[['http://example.com/UNDEFINED'], ['toString'], ['__proto__']],
  ])
  const b64 = random.pick([undefined, true, true, false, 'true', null])
  return signHeader(random.pick(signers), claims, { crit, b64, exp: random.pick([undefined, claims['exp']]) })
}

const unencodedPayload: Mutation = (random, { signers, claims }) => {
  const key = random.pick(signers)
  const crit = random.pick([undefined, ['b64']])
  const header = encode(JSON.stringify({ ...headerOf(key), b64: random.pick([false, true]), crit }))
  const payload = JSON.stringify(claims).replaceAll('.', random.pick(['.', '%2E', '']))
  return signParts(header, random.below(2) === 0 ? payload : encode(payload), key)
}

const typeHeader: Mutation = (random, { signers, claims }) => {
  const typ = random.pick<() => unknown>([
    () => random.pick(['JWT', 'jwt', 'at+JWT', 'AT+JWT', 'application/at+jwt', 'Application/AT+JWT', 'APPLICATION/at+jwt']),
    () =>
      random.pick([
        'at+jwt ',
        ' at+jwt',
        'at+jwt;v=1',
        'at jwt',
        'text/at+jwt',
        'application/application/at+jwt',
        '/at+jwt',
        'at+jwt/',
      ]),
    () =>
      random.pick([
        'application/',
        '',
        'at+\u212awt',
        'at+jwt\u0000',
        'logout+jwt',
        'dpop+jwt',
        'JOSE',
        'JOSE+JSON',
        'secevent+jwt',
      ]),
    () => anyJson(random),
    () => ['at+jwt'],
    () => undefined,
  ])()
  return signHeader(random.pick(signers), claims, { typ })
}

/** Header members that must not be believed, or mean nothing. */
const furtherHeader: Mutation = (random, { signers, stranger, claims }) => {
  const key = random.pick([...signers, stranger])
  const member = random.pick<Readonly<Record<string, unknown>>>([
    ...[
      { jwk: stranger.jwk },
      { jwk: anyJson(random) },
      { jku: 'https://attacker.example/jwks' },
      { x5u: 'http://127.0.0.1:1/' },
    ],
    ...[{ x5c: [encode(random.bytes(40))] }, { x5t: encode(random.bytes(20)) }, { zip: 'DEF' }, { zip: anyJson(random) }],
    ...[{ cty: 'JWT' }, { cty: anyJson(random) }, { enc: 'A256GCM' }, { iss: 'https://attacker.example' }, { exp: 1 }],
    ...[{ b64: true }, { b64: false }, { epk: stranger.jwk }, { url: 'x' }, { nonce: 'x' }, { 'x-unknown': anyJson(random) }],
  ])
  return signHeader(key, claims, { ...member, ...(random.below(4) === 0 && { kid: undefined }) })
}

/** Headers whose text is odd: duplicates, other JSON, broken JSON, broken UTF-8, odd base64url. */
const headerText: Mutation = (random, { signers, claims }) => {
  const key = random.pick(signers)
  const header = JSON.stringify(headerOf(key))
  const raw = random.pick<() => Part>([
    () => header.replace('{', `{"alg":"${random.pick(['none', key.algorithm])}",`),
    () => header.replace('{', '{"\\u0061lg":"none",'),
    () => header.replace('}', ',"kid":"other"}').replace('{', `{"kid":"${key.kid}",`),
    () => header.replace('"alg"', '"\\u0061\\u006cg"'),
    () => header.replace('}', ',"__proto__":{"crit":["b64"]}}'),
    () => header.replace('}', ',"nested":{"a":1,"a":2}}'),
    () => header.replace('}', ',}'),
    () => header.slice(0, -1),
    () => `${header}${header}`,
    () => `[${header}]`,
    () => random.pick(['null', 'true', '1', '"x"', '[]', '{}', '', ' ', '{"alg"}']),
    () => `${random.pick([' ', '\n', '\t', '\u00a0', '\ufeff', '\u0000'])}${header}${random.pick(['', ' ', '\r\n', '\u0000'])}`,
    () => Buffer.concat([Buffer.from([0xef, 0xbb, 0xbf]), Buffer.from(header)]),
    () =>
      Buffer.concat([
        Buffer.from(header.slice(0, -2)),
        random.pick([Buffer.from([0xff]), Buffer.from([0xc0, 0xaf]), Buffer.from([0xed, 0xa0, 0x80])]),
        Buffer.from('"}'),
      ]),
    () => Buffer.from(header, 'utf16le'),
    () => header.replace('}', `,"deep":${'['.repeat(40)}${']'.repeat(40)}}`),
  ])()
  return signParts(oddly(random, encode(raw)), encode(JSON.stringify(claims)), key)
}

/** Mostly the text itself; else the same bytes in a spelling that a lenient decoder takes. */
function oddly(random: Random, text: string): string {
  if (random.below(4) !== 0) return text
  const missing = (4 - (text.length % 4)) % 4
  return random.pick([
    () => text + '='.repeat(missing),
    () => `${text}=`,
    () => `${text.slice(0, 8)}\n${text.slice(8)}`,
    () => ` ${text}`,
    () => text.replaceAll('-', '+').replaceAll('_', '/'),
    () => (missing === 0 ? text : text.slice(0, -1) + BASE64URL[BASE64URL.indexOf(text.at(-1) ?? 'A') | 1]),
  ])()
}

// --- claims, properly signed --------------------------------------------------------------------------------------------

const timeClaims: Mutation = (random, material) => {
  const { nowSeconds: now, toleranceSeconds: tolerance } = material
  const name = random.pick(['exp', 'nbf', 'iat'])
  const time =
    random.pick([now, now - tolerance, now + tolerance]) + random.pick([-1, -0.75, -0.5, -0.25, 0, 0, 0.25, 0.5, 0.75, 1])
  const raw = random.pick<() => string>([
    () => `${time}`,
    () => `${time}`,
    () => `${time}`,
    () => `"${time}"`,
    () =>
      random.pick([
        '1e400',
        '-1e400',
        '1e308',
        '-1e308',
        '0',
        '-0',
        '-1',
        '1e1',
        '1.8e9',
        '9007199254740993',
        '[]',
        `[${now + 100}]`,
      ]),
    () => JSON.stringify(anyJson(random)),
  ])()
  const payload = withClaims(material, { [name]: '#' }).replace('"#"', raw)
  return signClaims(random.pick(material.signers), payload)
}

const audienceClaim: Mutation = (random, material) => {
  const ours = String(material.claims['aud'])
  const aud = random.pick<() => JsonValue>([
    () => [ours],
    () => [random.pick(['https://other.example', '', ' ', 'x\u0000']), ours],
    () => [ours, random.pick<JsonValue>([5, null, {}, [ours], true])],
    () => [[ours]],
    () => ({ 0: ours, length: 1 }),
    () =>
      random.pick([
        `${ours}/`,
        ours.toUpperCase(),
        ours.slice(0, -1),
        ` ${ours}`,
        `${ours} https://other.example`,
        `${ours}\u0000`,
      ]),
    () => [],
    () => anyJson(random),
  ])()
  return signClaims(random.pick(material.signers), withClaims(material, { aud }))
}

const identityClaims: Mutation = (random, material) => {
  const name = random.pick(['iss', 'iss', 'sub', 'client_id', 'jti', 'scope'])
  const usual = String(material.claims[name])
  const value = random.pick<() => JsonValue>([
    () => anyJson(random),
    () => [usual],
    () => usual + random.pick(['/', ' ', '\u0000', '\n', '\u200b', '#', '?']),
    () => random.pick(['somebody', 'José', 'Jose\u0301', '\u{1f600}', '__proto__', 'a b', '\u202ereversed', 'x'.repeat(1024)]),
    () => usual.toUpperCase(),
  ])()
  return signClaims(random.pick(material.signers), withClaims(material, { [name]: value }))
}

const missingClaim: Mutation = (random, material) =>
  signClaims(random.pick(material.signers), withClaims(material, { [random.pick(Object.keys(material.claims))]: undefined }))

const harmlessClaims: Mutation = (random, material) => {
  const claims = random.pick<() => JsonObject>([
    () => ({ sub: `user-${random.below(1000)}`, jti: `j-${random.below(1000)}` }),
    () => ({ exp: material.nowSeconds + random.below(10_000), iat: material.nowSeconds - random.below(10_000) }),
    () => ({ name: 'Ann', email: 'ann@example.com', roles: ['admin'], nested: { a: [1, { b: null }] } }),
    () => ({ nbf: material.nowSeconds - random.below(1000) }),
    () => ({ scope: 'a b c', auth_time: 1, acr: '1' }),
    () => ({ act: { sub: `admin-${random.below(100)}` } }),
    () => ({ act: { sub: 'a', iss: 'https://idp.example', act: { sub: 'b' } }, may_act: { sub: 'c' } }),
  ])()
  return signClaims(random.pick(material.signers), withClaims(material, claims))
}

const delegationClaims: Mutation = (random, material) => {
  const value = random.pick<() => JsonValue>([
    () => anyJson(random),
    () => ({ sub: anyJson(random) }),
    () => ({ sub: 'a', act: anyJson(random) }),
  ])()
  const name = random.pick(['act', 'act', 'act_as', 'may_act', 'impersonator', 'cnf', 'ext', 'sub_profile'])
  return signClaims(random.pick(material.signers), withClaims(material, { [name]: name === 'ext' ? { act: value } : value }))
}

/** Payloads whose text is odd: duplicates, other JSON, broken JSON, broken UTF-8, odd base64url. */
const payloadText: Mutation = (random, { signers, claims }) => {
  const key = random.pick(signers)
  const usual = JSON.stringify(claims)
  const raw = random.pick<() => Part>([
    () => usual.replace('{', `{"${random.pick(['sub', 'iss', 'exp', 'aud', 'scope'])}":"first",`),
    () => usual.replace('}', ',"s\\u0075b":"admin"}'),
    () => usual.replace('}', ',"act":{"sub":"a","sub":"b"}}'),
    () => usual.replace('}', ',"list":[{"a":1,"a":1}]}'),
    () => usual.replace('"sub"', '"\\u0073ub"'),
    () => usual.replace('}', ',"__proto__":{"sub":"admin","act":{"sub":"x"}}}'),
    () => usual.replaceAll(':', random.pick([' :\n', ':\t', ':\r\n '])),
    () => usual.replace('}', ',}'),
    () => usual.replaceAll('"', "'"),
    () => usual.slice(0, -1),
    () => `${usual}${random.pick(['\u0000', 'x', usual, ','])}`,
    () => random.pick(['null', 'true', '1', '"x"', '[]', '{}', '', ' ', `[${usual}]`]),
    () => `${random.pick([' ', '\n', '\t', '\u00a0', '\ufeff', '\u2028'])}${usual}`,
    () =>
      Buffer.concat([
        Buffer.from(usual.slice(0, -2)),
        random.pick([
          Buffer.from([0xff]),
          Buffer.from([0xc1, 0xbf]),
          Buffer.from([0xed, 0xb0, 0x80]),
          Buffer.from([0xf4, 0x90, 0x80, 0x80]),
        ]),
        Buffer.from(usual.slice(-2)),
      ]),
    () => Buffer.from(usual, 'utf16le'),
    () => Buffer.from(usual, 'latin1'),
    () => usual.replace('}', `,"deep":${'['.repeat(random.pick([20, 31, 32, 200]))}${']'.repeat(0)}}`),
    () => {
      const depth = random.pick([20, 30, 31, 32, 33, 500])
      return usual.replace('}', `,"deep":${'['.repeat(depth)}${']'.repeat(depth)}}`)
    },
    () => usual.replace('}', `,"long":"${'x'.repeat(random.pick([1000, 11_000, 13_000, 30_000]))}"}`),
  ])()
  return signParts(encode(JSON.stringify(headerOf(key))), oddly(random, encode(raw)), key)
}

/** Every kind of mutation, by name. */
export const MUTATIONS: Readonly<Record<string, Mutation>> = {
  unchanged,
  flipBit,
  replaceCharacter,
  swapCharacters,
  insertOrDelete,
  truncate,
  swapParts,
  rearrangeParts,
  extraDots,
  whitespace,
  padding,
  looseBits,
  otherAlphabet,
  changeCase,
  garbage,
  otherForms,
  flipSignatureBit,
  signatureLength,
  negatedS,
  ecdsaValues,
  eddsaValues,
  rsaValues,
  otherSigner,
  algorithmHeader,
  openKey,
  publicKeyAsSecret,
  keyIdHeader,
  criticalHeader,
  unencodedPayload,
  typeHeader,
  furtherHeader,
  headerText,
  timeClaims,
  audienceClaim,
  identityClaims,
  missingClaim,
  harmlessClaims,
  delegationClaims,
  payloadText,
}
