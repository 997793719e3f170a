/** Hostile headers, claims, encodings and signatures of proofs (RFC 7515, RFC 7519). */
import fc from 'fast-check'
import {
  type Change,
  changeClaims,
  deep,
  looseBits,
  NO_VALUES,
  rewrite,
  setClaim,
  setHeader,
  textOf,
  twist,
  VALUES,
  WHOLE,
  ways,
  withMember,
  ZERO,
} from './proof-changes.js'
import { CLIENT_KEYS, type Draft, type Members, OTHER_KEYS, signatureBy, type Twist } from './proof-draft.js'

const TYPES = [
  '"DPoP+JWT"',
  '"dpop"',
  '"dpop+jwt "',
  '"application/dpop+jwt"',
  '"JWT"',
  '"at+jwt"',
  '"dpop\\u002bjwt"',
  '["dpop+jwt"]',
]
const ALGORITHM_TEXTS = [
  ...['"none"', '"None"', '""', '"HS256"', '"HS384"', '"HS512"', '"RS1"', '"ES256K"', '"Ed448"', '"es256"', '"ES256 "', '"dir"'],
  ...['"RSA-OAEP"', '"ML-DSA-44"', '["ES256"]', '"constructor"', '"__proto__"', '"\\u0045S256"'],
]
const EXTENSIONS: readonly (readonly [string, string])[] = [
  ...(['[]', '["exp"]', '["b64"]', '["jwk"]', '"b64"', 'null', '{}', '[1]'] as const).map((json) => ['crit', json] as const),
  ...['true', 'false', '"no"'].map((json) => ['b64', json] as const),
  ...(['kid', 'jku', 'x5u', 'x5c', 'x5t', 'cty', 'zip', 'enc', 'jti', 'nonce', 'unknown', 'constructor'] as const).flatMap(
    (name) => ['"x"', '[]', 'null', '{"x":[1]}'].map((json) => [name, json] as const),
  ),
]

const otherAlgorithm = fc
  .constantFrom(...CLIENT_KEYS.map(({ alg }) => JSON.stringify(alg)), ...ALGORITHM_TEXTS)
  .map((json) => setHeader('alg', json))

const critical = fc.constantFrom('"x-unknown"', '"b64"', '"exp"').map((name) =>
  twist(`critical ${name}`, ({ header, ...draft }) => ({
    ...draft,
    header: [...header, ['crit', `[${name}]`], [JSON.parse(name), name === '"b64"' ? 'true' : '1']],
  })),
)

const duplicates = (what: 'header' | 'claims') =>
  fc
    .record({ at: fc.nat({ max: 6 }), first: fc.boolean(), lookalike: fc.boolean(), json: fc.option(fc.constantFrom(...VALUES)) })
    .map(({ at, first, lookalike, json }) => {
      const change = (members: Members): Members => {
        const [name, own] = members[at % members.length] ?? ['x', '1']
        // A name that only looks like one of ours is another member.
        const again = [lookalike ? `${name.slice(0, -1)}\u00ad` : name, json ?? own] as const
        return first ? [again, ...members] : [...members, again]
      }
      return what === 'header'
        ? twist('header twice', (draft) => ({ ...draft, header: change(draft.header) }))
        : changeClaims('claim twice', change)
    })

export const headers: fc.Arbitrary<Twist> = fc.oneof(
  fc.constantFrom(...TYPES, ...VALUES, null).map((json) => setHeader('typ', json)),
  { weight: 2, arbitrary: otherAlgorithm },
  fc.constantFrom(...VALUES, null).map((json) => setHeader('alg', json)),
  { weight: 2, arbitrary: fc.constantFrom(...EXTENSIONS).map(([name, json]) => setHeader(name, json)) },
  critical,
  duplicates('header'),
  fc.constantFrom('typ', 'alg', 'jwk').chain((name) => fc.constantFrom(...NO_VALUES).map((json) => setHeader(name, json))),
  fc.integer({ min: 28, max: 36 }).map((depth) => setHeader('x', deep(depth))),
)

const CLAIMS = ['jti', 'htm', 'htu', 'iat', 'ath']
const TIMES = [
  ...[`"${WHOLE}"`, `${WHOLE}.25`, `${WHOLE / 1e9}e9`, `${WHOLE}000`, `${WHOLE}e0`, `${WHOLE}.0`, `-${WHOLE}`, `[${WHOLE}]`],
  ...[
    '1e400',
    '-1e400',
    '1e308',
    '5e-324',
    '9007199254740993',
    `"${new Date(WHOLE * 1000).toISOString()}"`,
    `{"valueOf":${WHOLE}}`,
  ],
]
const IDS = [
  '""',
  '"\\u0000"',
  '" "',
  `"${'j'.repeat(500)}"`,
  `"${'j'.repeat(7000)}"`,
  '"\\ud800"',
  '"\\udc00"',
  '"\ufffd"',
  '"a","b"',
  '0',
]

const escapedClaim = fc.tuple(fc.constantFrom('jti', 'htm', 'htu', 'ath'), ways).map(([name, how]) =>
  changeClaims(`claim ${name} escaped`, (members) => {
    const value = textOf(members, name) ?? ''
    const units = rewrite(value, how, (character, way) =>
      way < 5 ? JSON.stringify(character).slice(1, -1) : `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
    )
    return withMember(members, name, `"${units}"`)
  }),
)

const renamedClaim = fc
  .tuple(
    fc.constantFrom(...CLAIMS),
    fc.constantFrom<Change<string>>(
      (name) => name.toUpperCase(),
      (name) => ` ${name}`,
      (name) => `${name}\0`,
    ),
  )
  .map(([name, change]) =>
    changeClaims(`claim ${name} renamed`, (members) =>
      members.map(([each, json]) => [each === name ? change(each) : each, json]),
    ),
  )

export const claims: fc.Arbitrary<Twist> = fc.oneof(
  {
    weight: 2,
    arbitrary: fc.tuple(fc.constantFrom(...CLAIMS), fc.constantFrom(...VALUES, null)).map(([name, json]) => setClaim(name, json)),
  },
  fc.tuple(fc.constantFrom(...CLAIMS), fc.constantFrom(...NO_VALUES)).map(([name, json]) => setClaim(name, json)),
  { weight: 2, arbitrary: fc.constantFrom(...TIMES).map((json) => setClaim('iat', json)) },
  fc.constantFrom(...IDS).map((json) => setClaim('jti', json)),
  { weight: 2, arbitrary: duplicates('claims') },
  { weight: 2, arbitrary: escapedClaim },
  renamedClaim,
  fc
    .tuple(
      fc.constantFrom('nonce', 'iss', 'exp', 'nbf', 'aud', 'cnf', 'act', 'x', '', '__proto__', 'constructor'),
      fc.constantFrom(...VALUES),
    )
    .map(([name, json]) => setClaim(name, json)),
  fc.integer({ min: 28, max: 36 }).map((depth) => setClaim('x', deep(depth))),
  fc.constantFrom(1000, 3000, 5400, 5800, 6200, 9000).map((length) => setClaim('x', `"${'x'.repeat(length)}"`)),
  fc.constant(changeClaims('claims in another order', (members) => members.toReversed())),
)

function changeBytesOf(name: string, change: (json: string) => Buffer): readonly Twist[] {
  return [
    twist(`header ${name}`, (draft) => ({ ...draft, headerBytes: change })),
    twist(`payload ${name}`, (draft) => ({ ...draft, payloadBytes: change })),
  ]
}

const TEXTS: readonly Twist[] = [
  changeBytesOf('with a byte order mark', (json) => Buffer.from(`\ufeff${json}`)),
  changeBytesOf('in UTF-16', (json) => Buffer.from(json, 'utf16le')),
  changeBytesOf('with invalid UTF-8', (json) =>
    Buffer.concat([Buffer.from(`${json.slice(0, -1)},"x":"`), Buffer.from([0xc0, 0xaf]), Buffer.from('"}')]),
  ),
  changeBytesOf('with a surrogate in UTF-8', (json) =>
    Buffer.concat([Buffer.from(`${json.slice(0, -1)},"x":"`), Buffer.from([0xed, 0xa0, 0x80]), Buffer.from('"}')]),
  ),
  changeBytesOf('with white space', (json) => Buffer.from(` \t\r\n${json.replaceAll(',"', ' ,\n "')} \n`)),
  changeBytesOf('with a no-break space', (json) => Buffer.from(`\u00a0${json}`)),
  changeBytesOf('with a null after it', (json) => Buffer.from(`${json}\0`)),
  changeBytesOf('with a member twice, once with an escape in its name', (json) =>
    Buffer.from(
      json.replace(
        /^\{"(.)([^"]*)"/,
        (all, first: string, rest: string) => `{"\\u00${first.charCodeAt(0).toString(16)}${rest}":1,${all.slice(1)}`,
      ),
    ),
  ),
  changeBytesOf('with an escape in a name', (json) =>
    Buffer.from(json.replace(/^\{"(.)/, (_all, first: string) => `{"\\u00${first.charCodeAt(0).toString(16)}`)),
  ),
  changeBytesOf('twice', (json) => Buffer.from(json + json)),
  changeBytesOf('with a comment', (json) => Buffer.from(`/**/${json}`)),
  changeBytesOf('with a comma too many', (json) => Buffer.from(json.replace(/}$/, ',}'))),
  changeBytesOf('in a list', (json) => Buffer.from(`[${json}]`)),
  changeBytesOf('as text', (json) => Buffer.from(JSON.stringify(json))),
  changeBytesOf('null', () => Buffer.from('null')),
  changeBytesOf('empty object', () => Buffer.from('{}')),
  changeBytesOf('empty', () => Buffer.alloc(0)),
  changeBytesOf('cut', (json) => Buffer.from(json.slice(0, -1))),
].flat()

function changePart(name: string, change: Change<string>): readonly Twist[] {
  return [0, 1, 2].map((index) =>
    twist(`part ${index} ${name}`, (draft) => ({
      ...draft,
      written: (proof) =>
        proof
          .split('.')
          .map((part, at) => (at === index ? change(part) : part))
          .join('.'),
    })),
  )
}

function changeProof(name: string, change: Change<string>): Twist {
  return twist(`proof ${name}`, (draft) => ({ ...draft, written: change }))
}

function changeLines(name: string, dpop: Draft['dpop']): Twist {
  return twist(`DPoP field ${name}`, (draft) => ({ ...draft, dpop }))
}

const GAPS = [' ', '\t', '  ', '\u00a0', ',', ', ', ';', '"', '%20', '=', '.', '~', '\0', '\n', 'é', '\ufeff']

const WRITINGS: readonly Twist[] = [
  ...changePart('padded', (part) => `${part}=`),
  ...changePart('padded twice', (part) => `${part}==`),
  ...changePart('loose', looseBits),
  ...changePart('base64', (part) => part.replaceAll('-', '+').replaceAll('_', '/')),
  ...changePart('empty', () => ''),
  ...changePart('as it is', (part) => Buffer.from(part, 'base64url').toString('latin1')),
  ...changePart('encoded again', (part) => Buffer.from(part).toString('base64url')),
  ...changePart('and a character', (part) => `${part}A`),
  ...changePart('upper case', (part) => part.toUpperCase()),
  ...GAPS.flatMap((gap) => [
    ...changePart(`with ${JSON.stringify(gap)} before`, (part) => gap + part),
    ...changePart(`with ${JSON.stringify(gap)} inside`, (part) => part.slice(0, 9) + gap + part.slice(9)),
    ...changePart(`with ${JSON.stringify(gap)} after`, (part) => part + gap),
  ]),
  changeProof('of four parts', (proof) => `${proof}.AAAA`),
  changeProof('of five parts', (proof) => `${proof}.AAAA.AAAA`),
  changeProof('of two parts', (proof) => proof.slice(0, proof.lastIndexOf('.'))),
  changeProof('detached', (proof) => proof.replace(/\.[^.]*\./, '..')),
  changeProof('nested', (proof) => proof.replace(/\.[^.]*\./, `.${Buffer.from(proof).toString('base64url')}.`)),
  changeProof('as text', (proof) => JSON.stringify(proof)),
  changeProof('in JSON form', (proof) => {
    const [header, payload, signature] = proof.split('.')
    return JSON.stringify({ protected: header, payload, signature })
  }),
  changeProof('with a scheme', (proof) => `DPoP ${proof}`),
  changeProof('empty', () => ''),
  changeProof('only dots', () => '..'),
  changeProof('a number', () => '0'),
  changeLines('missing', () => []),
  changeLines('twice', (proof) => [proof, proof]),
  changeLines('good and empty', (proof) => [proof, '']),
  changeLines('empty and good', (proof) => ['', proof]),
  changeLines('good and bad', (proof) => [proof, 'x.y.z']),
  changeLines('bad and good', (proof) => ['x.y.z', proof]),
  changeLines('a list', (proof) => [`${proof}, ${proof}`]),
  changeLines('a list without space', (proof) => [`${proof},${proof}`]),
  changeLines('with a comma', (proof) => [`${proof},`]),
  changeLines('with parameters', (proof) => [`${proof};x=y`]),
]

export const encodings: fc.Arbitrary<Twist> = fc.oneof(
  { weight: 2, arbitrary: fc.constantFrom(...TEXTS) },
  { weight: 5, arbitrary: fc.constantFrom(...WRITINGS) },
)

/** Orders of the curves' groups (SP 800-186 3.2.1), by bytes of a coordinate. */
const ORDERS: ReadonlyMap<number, bigint> = new Map([
  [32, 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n],
  [48, 0xffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973n],
  [
    66,
    0x01fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffa51868783bf2f966b7fcc0148f709a5d03bb5c9b8899c47aebb6fb71e91386409n,
  ],
])

const toNumber = (bytes: Buffer) => BigInt(`0x0${bytes.toString('hex')}`)
const toBytes = (value: bigint, length: number) =>
  Buffer.from(
    value
      .toString(16)
      .padStart(2 * length, '0')
      .slice(-2 * length),
    'hex',
  )

function changeSignature(name: string, signature: Draft['signature']): Twist {
  return twist(`signature ${name}`, (draft) => ({ ...draft, signature }))
}

/** Changes `R` and `S` of ECDSA; other signatures stay as they are. */
function changeEcdsa(name: string, change: (r: Buffer, s: Buffer, order: bigint, half: number) => readonly Buffer[]): Twist {
  return twist(`ECDSA ${name}`, (draft) => ({
    ...draft,
    signature: (signature) => {
      const half = signature.length / 2
      const order = draft.signer.jwk.kty === 'EC' ? ORDERS.get(half) : undefined
      return order === undefined
        ? signature
        : Buffer.concat(change(signature.subarray(0, half), signature.subarray(half), order, half))
    },
  }))
}

/** `n - s` proves the same by the same key: another signature for one proof. */
export const NEGATED: Twist = changeEcdsa('n - s', (r, s, order, half) => [r, toBytes(order - toNumber(s), half)])

/** The ASN.1 form of a short integer. */
function derInteger(bytes: Buffer): Buffer {
  const value = toNumber(bytes)
  const short = toBytes(value, Math.floor(value.toString(2).length / 8) + 1)
  return Buffer.concat([Buffer.from([2, short.length]), short])
}

const SIGNATURES: readonly Twist[] = [
  NEGATED,
  changeEcdsa('as DER', (r, s) => {
    const body = Buffer.concat([derInteger(r), derInteger(s)])
    return [Buffer.from(body.length < 0x80 ? [0x30, body.length] : [0x30, 0x81, body.length]), body]
  }),
  changeEcdsa('swapped', (r, s) => [s, r]),
  changeEcdsa('r + n', (r, s, order, half) => [toBytes(toNumber(r) + order, half), s]),
  changeEcdsa('s + n', (r, s, order, half) => [r, toBytes(toNumber(s) + order, half)]),
  changeEcdsa('r = 0', (_r, s, _order, half) => [Buffer.alloc(half), s]),
  changeEcdsa('s = n', (r, _s, order, half) => [r, toBytes(order, half)]),
  changeEcdsa('a zero before each', (r, s) => [ZERO, r, ZERO, s]),
  changeSignature('zero', (signature) => Buffer.alloc(signature.length)),
  changeSignature('ones', (signature) => Buffer.alloc(signature.length, 0xff)),
  changeSignature('one zero', () => ZERO),
  changeSignature('cut at the end', (signature) => signature.subarray(0, -1)),
  changeSignature('cut before', (signature) => signature.subarray(1)),
  changeSignature('longer', (signature) => Buffer.concat([signature, ZERO])),
  changeSignature('longer before', (signature) => Buffer.concat([ZERO, signature])),
  changeSignature('twice', (signature) => Buffer.concat([signature, signature])),
  changeSignature('empty', () => Buffer.alloc(0)),
  changeSignature('identity', (signature) => Buffer.concat([Buffer.from([1]), Buffer.alloc(signature.length - 1)])),
  ...[...OTHER_KEYS, ...CLIENT_KEYS].map((signer) => twist(`signed by another ${signer.alg}`, (draft) => ({ ...draft, signer }))),
  ...['RS256', 'RS512', 'PS256', 'PS512', 'ES256', 'ES384', 'ES512', 'HS256'].map((alg) =>
    twist(`signed as ${alg}`, (draft) => ({ ...draft, signature: (_signature, input) => signatureBy(alg, draft.signer, input) })),
  ),
  twist('another text signed', (draft) => ({
    ...draft,
    signature: (_signature, input) => signatureBy(draft.key.alg, draft.signer, `${input} `),
  })),
  twist('the payload alone signed', (draft) => ({
    ...draft,
    signature: (_signature, input) => signatureBy(draft.key.alg, draft.signer, input.slice(input.indexOf('.') + 1)),
  })),
]

const flippedBit = fc
  .tuple(fc.nat({ max: 255 }), fc.nat({ max: 7 }))
  .map(([at, bit]) =>
    changeSignature('flipped', (signature) =>
      Buffer.from(signature.map((byte, index) => (index === at % signature.length ? byte ^ (1 << bit) : byte))),
    ),
  )

export const signatures: fc.Arbitrary<Twist> = fc.oneof({ weight: 4, arbitrary: fc.constantFrom(...SIGNATURES) }, flippedBit)
