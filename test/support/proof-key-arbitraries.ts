/** Hostile keys of proofs (RFC 7517, RFC 7518). */
import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { type Change, changeBytes, looseBits, setHeader, twist, VALUES, withMember, ZERO } from './proof-changes.js'
import { CLIENT_KEYS, OTHER_KEYS, type ProofKey, STRANGE_KEYS, type Twist } from './proof-draft.js'

type Jwk = Readonly<Record<string, unknown>>

/** Changes the key that the header shows. */
export function changeJwk(name: string, change: (jwk: Jwk, key: ProofKey) => unknown): Twist {
  return twist(`jwk ${name}`, (draft) => {
    const json = JSON.stringify(change(draft.key.jwk as Jwk, draft.key)) ?? null
    return { ...draft, header: withMember(draft.header, 'jwk', json) }
  })
}

/** Changes one member that holds the key's material. */
function changeMaterial(name: string, change: Change<string>): readonly Twist[] {
  return ['x', 'y', 'n', 'e'].map((which) =>
    changeJwk(`${which} ${name}`, (jwk) => (typeof jwk[which] === 'string' ? { ...jwk, [which]: change(jwk[which]) } : jwk)),
  )
}

const flipLast = (bytes: Buffer) => Buffer.concat([bytes.subarray(0, -1), Buffer.from([(bytes.at(-1) ?? 0) ^ 1])])

const MATERIAL: readonly Twist[] = [
  changeMaterial('padded', (text) => `${text}=`),
  changeMaterial('padded twice', (text) => `${text}==`),
  changeMaterial('loose', looseBits),
  changeMaterial('base64', (text) => text.replaceAll('-', '+').replaceAll('_', '/')),
  changeMaterial('space before', (text) => ` ${text}`),
  changeMaterial('line after', (text) => `${text}\n`),
  changeMaterial('garbage inside', (text) => `${text.slice(0, 2)}!${text.slice(2)}`),
  changeMaterial(
    'zero before',
    changeBytes((bytes) => Buffer.concat([ZERO, bytes])),
  ),
  changeMaterial(
    'zero after',
    changeBytes((bytes) => Buffer.concat([bytes, ZERO])),
  ),
  changeMaterial(
    'shorter',
    changeBytes((bytes) => bytes.subarray(1)),
  ),
  changeMaterial('flipped', changeBytes(flipLast)),
  changeMaterial(
    'zeros',
    changeBytes((bytes) => Buffer.alloc(bytes.length)),
  ),
  changeMaterial(
    'ones',
    changeBytes((bytes) => Buffer.alloc(bytes.length, 0xff)),
  ),
  changeMaterial('empty', () => ''),
  changeMaterial('one', () => 'AQ'),
  changeMaterial('two', () => 'Ag'),
].flat()

const PRIVATE_MEMBERS = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k']

const JWKS: readonly Twist[] = [
  ...MATERIAL,
  ...PRIVATE_MEMBERS.flatMap((name) =>
    ['x', '', null, [], 1].map((value) => changeJwk(`with ${name}`, (jwk) => ({ ...jwk, [name]: value }))),
  ),
  changeJwk('private', (_jwk, { privateJwk }) => privateJwk),
  changeJwk('x and y swapped', (jwk) => (jwk['y'] === undefined ? jwk : { ...jwk, x: jwk['y'], y: jwk['x'] })),
  changeJwk('missing', () => undefined),
  changeJwk('in a list', (jwk) => [jwk]),
  changeJwk('in a set', (jwk) => ({ keys: [jwk] })),
  changeJwk('as text', (jwk) => JSON.stringify(jwk)),
  ...VALUES.slice(0, 20).map((json) => setHeader('jwk', json)),
  ...['kty', 'crv', 'x', 'y', 'n', 'e'].flatMap((name) => [
    changeJwk(`without ${name}`, (jwk) => Object.fromEntries(Object.entries(jwk).filter(([each]) => each !== name))),
    ...[null, 1, [], {}, '', 'x'].map((value) =>
      changeJwk(`${name} ${JSON.stringify(value)}`, (jwk) => ({ ...jwk, [name]: value })),
    ),
  ]),
  ...['ec', 'EC ', 'RSA', 'OKP', 'oct', 'AKP'].map((kty) => changeJwk(`kty ${kty}`, (jwk) => ({ ...jwk, kty }))),
  ...['P-256', 'P-384', 'P-521', 'secp256k1', 'p-256', 'prime256v1', 'Ed25519', 'X25519', 'Ed448'].map((crv) =>
    changeJwk(`crv ${crv}`, (jwk) => ({ ...jwk, crv })),
  ),
  ...['sig', 'enc', '', 'Sig', null, 1].map((use) => changeJwk(`use ${use}`, (jwk) => ({ ...jwk, use }))),
  ...[['verify'], ['sign', 'verify'], ['sign'], [], ['encrypt'], 'verify', null, { verify: 1 }].map((value) =>
    changeJwk(`key_ops ${JSON.stringify(value)}`, (jwk) => ({ ...jwk, key_ops: value })),
  ),
  ...['ES256', 'RS256', 'EdDSA', 'none', 'HS256', '', null, 1].map((alg) => changeJwk(`alg ${alg}`, (jwk) => ({ ...jwk, alg }))),
  changeJwk('own alg', (jwk, { alg }) => ({ ...jwk, alg })),
  ...['key-1', '', 'x'.repeat(2000), '\ud800', null, 1, []].map((kid) => changeJwk('kid', (jwk) => ({ ...jwk, kid }))),
  ...[
    ['x5c', ['MIIB']],
    ['x5u', 'https://evil.test'],
    ['x5t#S256', 'x'],
    ['ext', true],
    ['ext', false],
    ['unknown', { d: 'x' }],
    ['D', 'x'],
  ].map(([name, value]) => changeJwk(`with ${name}`, (jwk) => ({ ...jwk, [String(name)]: value }))),
  changeJwk('order', (jwk) => Object.fromEntries(Object.entries(jwk).toReversed())),
  twist('jwk member twice', (draft) => ({
    ...draft,
    header: withMember(draft.header, 'jwk', JSON.stringify(draft.key.jwk).replace('{', '{"kty":"EC",')),
  })),
  twist('jwk with __proto__', (draft) => ({
    ...draft,
    header: withMember(draft.header, 'jwk', JSON.stringify(draft.key.jwk).replace('{', '{"__proto__":{"d":"x"},')),
  })),
  twist('jwk with white space and escapes', (draft) => ({
    ...draft,
    header: withMember(draft.header, 'jwk', JSON.stringify(draft.key.jwk).replace('{', '{ \n').replace('"kty"', '"\\u006bty"')),
  })),
]

const anotherKey = fc
  .record({ key: fc.constantFrom(...OTHER_KEYS, ...CLIENT_KEYS), signs: fc.boolean(), bound: fc.constantFrom('own', 'shown') })
  .map(({ key, signs, bound }) =>
    twist(`jwk of another key ${key.alg}`, (draft) => ({
      ...draft,
      bound: bound as 'own' | 'shown',
      ...(signs && { signer: key }),
      header: withMember(withMember(draft.header, 'jwk', JSON.stringify(key.jwk)), 'alg', JSON.stringify(key.alg)),
    })),
  )

const strangeKey = fc.constantFrom(...STRANGE_KEYS).map((key) =>
  twist(`strange key ${key.alg} ${key.jwk.crv}`, (draft) => ({
    ...draft,
    signer: key,
    header: withMember(withMember(draft.header, 'jwk', JSON.stringify(key.jwk)), 'alg', JSON.stringify(key.alg)),
  })),
)

const secretKey = fc.constantFrom('HS256', 'HS384', 'HS512').map((alg) =>
  twist(`secret key ${alg}`, (draft) => ({
    ...draft,
    header: withMember(withMember(draft.header, 'jwk', '{"kty":"oct","k":"c2VjcmV0"}'), 'alg', JSON.stringify(alg)),
  })),
)

/** RSA with the exponent 1: everybody can write down what such a key "signs" (RFC 8017 9.2). */
export const EXPONENT_ONE: Twist = twist('RSA key whose exponent is 1, and a signature without a private key', (draft) => {
  const key = CLIENT_KEYS.find(({ alg }) => alg === 'RS256')
  if (key === undefined) return draft
  return {
    ...draft,
    signer: key,
    header: withMember(withMember(draft.header, 'jwk', JSON.stringify({ ...key.jwk, e: 'AQ' })), 'alg', '"RS256"'),
    signature: (_signature, input) => {
      const info = Buffer.concat([
        Buffer.from('3031300d060960864801650304020105000420', 'hex'),
        createHash('sha256').update(input).digest(),
      ])
      return Buffer.concat([Buffer.from([0, 1]), Buffer.alloc(256 - 3 - info.length, 0xff), ZERO, info])
    },
  }
})

export const keys: fc.Arbitrary<Twist> = fc.oneof(
  { weight: 12, arbitrary: fc.constantFrom(...JWKS) },
  { weight: 2, arbitrary: anotherKey },
  { weight: 2, arbitrary: strangeKey },
  secretKey,
  fc.constant(EXPONENT_ONE),
)
