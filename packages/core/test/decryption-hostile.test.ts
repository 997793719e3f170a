/** Encrypted tokens of attackers, who have the public key like everybody: what they change, and what they make themselves. */
import { diffieHellman, generateKeyPairSync, type KeyObject, randomBytes } from 'node:crypto'
import { inspect } from 'node:util'
import { AuthError } from '@behalf/core'
import fc from 'fast-check'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { CONTENT_ENCRYPTIONS, type KeyManagementAlgorithm } from '../src/decryption/algorithms.js'
import {
  apiKeyOf,
  decrypterOf,
  derived,
  ecPair,
  encrypted,
  INNER,
  jwkOf,
  rsaPair,
  sealed,
  sealedByAgreement,
  sealedByRsa,
  x25519Pair,
} from './support/encrypted-tokens.js'
import { codeOf } from './support/key-apis.js'

const RSA = apiKeyOf(rsaPair, 'rsa-1')
const EC = apiKeyOf(ecPair('P-256'), 'ec-1')
const X = apiKeyOf(x25519Pair, 'x-1')
const ALGORITHMS: readonly KeyManagementAlgorithm[] = ['RSA-OAEP-256', 'ECDH-ES', 'ECDH-ES+A128KW']
const decrypter = decrypterOf({ keys: [RSA.jwk, EC.jwk, X.jwk], algorithms: ALGORITHMS })
const outcome = (token: string) => codeOf(() => decrypter.decrypt(token))

const HEADER = { alg: 'RSA-OAEP-256', enc: 'A256GCM', kid: 'rsa-1', cty: 'JWT' } as const
const withHeader = (header: unknown) => sealedByRsa(typeof header === 'string' ? header : JSON.stringify(header), RSA.publicKey)

/** What is computed with keys: a refusal that comes before it costs nothing. */
function watchedWork(): () => number {
  const spies = (['importKey', 'deriveBits', 'decrypt', 'unwrapKey'] as const).map((name) => vi.spyOn(crypto.subtle, name))
  return () => spies.reduce((sum, spy) => sum + spy.mock.calls.length, 0)
}
afterEach(() => vi.restoreAllMocks())

test('what the test makes by hand is good in itself', async () => {
  expect(await outcome(withHeader(HEADER))).toBe('ok')
  for (const [key, make] of [
    [EC, ecPair('P-256')],
    [X, x25519Pair],
  ] as const) {
    const token = sealedByAgreement(key, make, (epk) => ({ alg: 'ECDH-ES', enc: 'A256GCM', kid: key.kid, cty: 'JWT', epk }))
    expect(await outcome(token)).toBe('ok')
  }
})

describe('algorithms', () => {
  test.each([
    'RSA1_5',
    'RSA-OAEP',
    'RSA-OAEP-384',
    'rsa-oaep-256',
    'RSA-OAEP-256 ',
    'dir',
    'A128KW',
    'A256KW',
    'A256GCMKW',
    'ECDH-ES+A256KW',
    'ECDH-1PU',
    'PBES2-HS256+A128KW',
    'none',
    'None',
    'RS256',
    '',
    '__proto__',
    'constructor',
    null,
    1,
    true,
    ['RSA-OAEP-256'],
    { alg: 'RSA-OAEP-256' },
    undefined,
  ])('[RFC8725-3.1-decryption] [RFC8725-3.2-decryption] alg %j is refused before anything is computed', async (alg) => {
    const work = watchedWork()
    expect(await outcome(withHeader({ ...HEADER, alg }))).toBe('algorithm_refused')
    expect(work()).toBe(0)
  })

  test.each(['A128GCM ', 'a256gcm', 'A256CBC', 'A512GCM', 'none', '', 'toString', null, 1, ['A256GCM'], undefined])(
    '[RFC8725-3.1-decryption] enc %j is refused before anything is computed',
    async (enc) => {
      const work = watchedWork()
      expect(await outcome(withHeader({ ...HEADER, enc }))).toBe('algorithm_refused')
      expect(work()).toBe(0)
    },
  )

  test('[RFC8725-3.2-decryption] dir is refused also with the right key', async () => {
    const header = JSON.stringify({ alg: 'dir', enc: 'A256GCM', cty: 'JWT' })
    expect(await outcome(sealed({ header, cek: randomBytes(32) }))).toBe('algorithm_refused')
  })

  test.each([1, 310_000, 2 ** 31, 2 ** 53, 1e308])(
    '[RFC8725-3.13-passwords] a password with %d rounds costs nothing',
    async (p2c) => {
      const work = watchedWork()
      const p2s = 'c2FsdHNhbHQ'
      for (const alg of ['PBES2-HS256+A128KW', 'PBES2-HS384+A192KW', 'PBES2-HS512+A256KW']) {
        expect(await outcome(withHeader({ ...HEADER, alg, p2c, p2s }))).toBe('algorithm_refused')
      }
      expect(await outcome(withHeader({ ...HEADER, p2c }))).toBe('token_malformed')
      expect(await outcome(withHeader({ ...HEADER, p2s }))).toBe('token_malformed')
      expect(work()).toBe(0)
    },
  )

  test.each(['DEF', 'GZIP', '', null, 1, {}])(
    '[RFC8725-3.6-compression] zip %j is refused before anything is computed',
    async (zip) => {
      const work = watchedWork()
      expect(await outcome(withHeader({ ...HEADER, zip }))).toBe('algorithm_refused')
      expect(work()).toBe(0)
    },
  )
})

describe('the header', () => {
  const text = JSON.stringify(HEADER)

  test.each<readonly [string, string]>([
    ['empty', ''],
    ['an empty object', '{}'],
    ['null', 'null'],
    ['a list', `[${text}]`],
    ['text', '"header"'],
    ['cut', text.slice(0, -1)],
    ['two objects', text + text],
    ['begun by a byte order mark', `\uFEFF${text}`],
    ['of an alg named twice', text.replace('{', '{"alg":"dir",')],
    ['of an alg named twice, the good one first', text.replace('}', ',"alg":"dir"}')],
    ['of an alg named twice, once by an escape', text.replace('{', '{"\\u0061lg":"dir",')],
    ['of a kid named twice', text.replace('{', '{"kid":"other",')],
    ['of a twin deeper down', text.replace('{', '{"x":{"a":1,"a":2},')],
    ['nested too deep', text.replace('{', `{"x":${'['.repeat(40)}${']'.repeat(40)},`)],
    ['with a critical extension', JSON.stringify({ ...HEADER, crit: ['exp'], exp: 1 })],
    ['with an empty list of them', JSON.stringify({ ...HEADER, crit: [] })],
    ['with null for them', JSON.stringify({ ...HEADER, crit: null })],
    ['with a critical kid', JSON.stringify({ ...HEADER, crit: ['kid'] })],
  ])('[RFC7516-4-header] that is %s is refused before anything is computed', async (_what, header) => {
    const work = watchedWork()
    expect(await outcome(withHeader(header))).toBe(header === '{}' ? 'algorithm_refused' : 'token_malformed')
    expect(work()).toBe(0)
  })

  test('[RFC7516-4-header] that is not UTF-8 is refused', async () => {
    const bytes = Buffer.concat([Buffer.from(`${text.slice(0, -1)},"x":"`), Buffer.from([0xff]), Buffer.from('"}')])
    expect(await outcome(sealedByRsa(bytes, RSA.publicKey))).toBe('token_malformed')
  })

  test('[RFC7516-4-header] members that are not understood are passed over; none of them is fetched', async () => {
    const fetch = vi.spyOn(globalThis, 'fetch')
    const strange = {
      jku: 'https://a.example',
      x5u: 'https://a.example',
      x5c: ['AA'],
      jwk: jwkOf(EC.publicKey),
      iv: 'AA',
      tag: 'AA',
    }
    const claims = { iss: 'https://as.example.test', sub: 'x', aud: 1, typ: 'at+jwt', b64: false, toString: 1 }
    expect(await outcome(withHeader({ ...HEADER, ...strange, ...claims }))).toBe('ok')
    expect(fetch).not.toHaveBeenCalled()
  })

  test('[RFC7516-5.2-integrity] is protected: with any other one the content does not open', async () => {
    const token = withHeader(HEADER)
    const [, ...rest] = token.split('.')
    for (const header of [
      { ...HEADER, typ: 'JWT' },
      { cty: 'JWT', kid: 'rsa-1', enc: 'A256GCM', alg: 'RSA-OAEP-256' },
      { ...HEADER, cty: 'jwt' },
      { alg: HEADER.alg, enc: HEADER.enc, cty: 'JWT' },
    ]) {
      const part = Buffer.from(JSON.stringify(header)).toString('base64url')
      expect(await outcome([part, ...rest].join('.'))).toBe('decryption_failed')
    }
  })
})

const made: readonly (readonly [string, string])[] = await Promise.all(
  CONTENT_ENCRYPTIONS.flatMap((enc) => [
    encrypted({ alg: 'RSA-OAEP-256', enc, kid: 'rsa-1' }, RSA.publicKey).then((token) => [`RSA-OAEP-256 ${enc}`, token] as const),
    encrypted({ alg: 'ECDH-ES', enc, kid: 'ec-1' }, EC.publicKey).then((token) => [`ECDH-ES ${enc}`, token] as const),
    encrypted({ alg: 'ECDH-ES+A128KW', enc, kid: 'x-1' }, X.publicKey).then((token) => [`ECDH-ES+A128KW ${enc}`, token] as const),
  ]),
)
const PARTS = ['header', 'encrypted key', 'initialization vector', 'ciphertext', 'tag'] as const

describe.each(made)('a token by %s', (_name, token) => {
  const parts = token.split('.')
  const changed = (at: number, change: (part: string) => string) =>
    parts.map((part, index) => (index === at ? change(part) : part)).join('.')
  const bytesChanged = (at: number, change: (bytes: Buffer) => Buffer) =>
    changed(at, (part) => change(Buffer.from(part, 'base64url')).toString('base64url'))
  const noKey = parts[1] === ''

  test('[RFC7516-5.2-integrity] opens, and with any bit flipped does not', async () => {
    expect(await outcome(token)).toBe('ok')
    for (const at of [1, 2, 3, 4]) {
      const { length } = Buffer.from(parts[at] ?? '', 'base64url')
      for (const byte of length === 0 ? [] : [0, length >> 1, length - 1]) {
        const flipped = bytesChanged(at, (bytes) => {
          bytes[byte] = (bytes[byte] ?? 0) ^ 1
          return bytes
        })
        expect(await outcome(flipped), `${PARTS[at]}, byte ${byte}`).toBe('decryption_failed')
      }
    }
  })

  test('[RFC7516-5.2-integrity] with any part cut or lengthened it does not', async () => {
    for (const at of [1, 2, 3, 4]) {
      if (noKey && at === 1) continue
      for (const [what, change] of [
        ['a byte less', (bytes: Buffer) => bytes.subarray(0, -1)],
        ['half', (bytes: Buffer) => bytes.subarray(0, bytes.length >> 1)],
        ['without its first byte', (bytes: Buffer) => bytes.subarray(1)],
        ['a byte more', (bytes: Buffer) => Buffer.concat([bytes, Buffer.alloc(1)])],
        ['one byte', (bytes: Buffer) => bytes.subarray(0, 1)],
      ] as const) {
        expect(await outcome(bytesChanged(at, change)), `${PARTS[at]}: ${what}`).toBe('decryption_failed')
      }
    }
  })

  test('[RFC7516-5.2-parts] with any part empty it is no token; nor with a key where none is sent', async () => {
    for (const at of [0, 1, 2, 3, 4]) {
      const other = noKey && at === 1 ? 'AAAA' : ''
      expect(await outcome(changed(at, () => other)), PARTS[at]).toBe('token_malformed')
    }
  })

  test('[RFC7516-5.2-base64url] with any part in another form of base64 it is no token', async () => {
    for (const at of [0, 1, 2, 3, 4]) {
      for (const [what, change] of [
        ['padded', (part: string) => `${part}=`],
        ['with a blank', (part: string) => `${part} `],
        ['with a line break', (part: string) => `\n${part}`],
        ['with a plus', (part: string) => `+${part}`],
        ['with a slash', (part: string) => `/${part}`],
        ['with a letter of another alphabet', (part: string) => `${part}é`],
        ['with a NUL', (part: string) => `${part}\0`],
        ['of an impossible length', (part: string) => part.slice(0, (part.length >> 2) << 2).concat('A')],
      ] as const) {
        expect(await outcome(changed(at, change)), `${PARTS[at]}: ${what}`).toBe('token_malformed')
      }
      const part = parts[at] ?? ''
      if (part.length % 4 === 0) continue
      const last = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'.indexOf(part.at(-1) ?? '')
      const stray = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'[last | 1] ?? ''
      expect(await outcome(changed(at, () => part.slice(0, -1) + stray)), `${PARTS[at]}: stray bits`).toBe('token_malformed')
    }
  })

  test('[RFC7516-5.2-parts] with a part more or less it is no token', async () => {
    for (const other of [
      `${token}.`,
      `${token}.AA`,
      `.${token}`,
      parts.slice(0, 4).join('.'),
      parts.slice(1).join('.'),
      parts.join(''),
    ]) {
      expect(await outcome(other)).toBe('token_malformed')
    }
  })
})

describe('the point', () => {
  const agreed = (epk: unknown, more = {}) =>
    sealedByAgreement(EC, ecPair('P-256'), (good) => ({
      alg: 'ECDH-ES',
      enc: 'A256GCM',
      kid: 'ec-1',
      cty: 'JWT',
      epk: (typeof epk === 'function' ? epk(good) : epk) as never,
      ...more,
    }))
  const pointOf = (make: () => { publicKey: KeyObject }) => jwkOf(make().publicKey)

  test.each<readonly [string, unknown]>([
    ['missing', undefined],
    ['null', null],
    ['text', 'epk'],
    ['a list', [pointOf(ecPair('P-256'))]],
    ['empty', {}],
    ['on P-384', pointOf(ecPair('P-384'))],
    ['on P-521', pointOf(ecPair('P-521'))],
    ['on X25519', pointOf(x25519Pair)],
    ['on secp256k1', pointOf(ecPair('secp256k1'))],
    ['RSA', jwkOf(RSA.publicKey)],
    ['symmetric', { kty: 'oct', k: 'AAAA' }],
    ['without type', { ...pointOf(ecPair('P-256')), kty: undefined }],
    ['without curve', { ...pointOf(ecPair('P-256')), crv: undefined }],
    ['a private key', jwkOf(generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey)],
  ])('[RFC8725-3.4-point] that is %s is refused before anything is computed', async (_what, epk) => {
    const work = watchedWork()
    expect(await outcome(agreed(epk))).toBe('decryption_failed')
    expect(work()).toBe(0)
  })

  test('[RFC8725-3.4-point] of the right curve and another type is refused before anything is computed', async () => {
    const work = watchedWork()
    const header = { alg: 'ECDH-ES', enc: 'A256GCM', kid: 'x-1', cty: 'JWT', epk: { ...pointOf(x25519Pair), kty: 'EC' } }
    expect(await outcome(sealed({ header: JSON.stringify(header), cek: randomBytes(32) }))).toBe('decryption_failed')
    expect(work()).toBe(0)
  })

  const zero = Buffer.alloc(32).toString('base64url')
  test.each<readonly [string, (good: Record<string, unknown>) => unknown]>([
    ['not on its curve', (good) => ({ ...good, y: good['x'] })],
    ['the origin', (good) => ({ ...good, x: zero, y: zero })],
    ['of a curve with another constant', (good) => ({ ...good, x: zero })],
    ['beyond the field', (good) => ({ ...good, x: Buffer.alloc(32, 255).toString('base64url') })],
    ['called P-256, of another curve', () => ({ ...pointOf(ecPair('secp256k1')), crv: 'P-256' })],
    ['called P-256, of P-384', () => ({ ...pointOf(ecPair('P-384')), crv: 'P-256' })],
    ['without y', (good) => ({ ...good, y: undefined })],
    ['of empty coordinates', (good) => ({ ...good, x: '', y: '' })],
    ['of numbers', (good) => ({ ...good, x: 1, y: 2 })],
  ])('[RFC8725-3.4-point] that is %s is refused', async (_what, change) => {
    expect(await outcome(agreed(change))).toBe('decryption_failed')
  })

  test.each([
    '0000000000000000000000000000000000000000000000000000000000000000',
    '0100000000000000000000000000000000000000000000000000000000000000',
    'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
    'edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
    'e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800',
    '5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157',
  ])('[RFC8725-3.4-point] of small order, with which everybody knows the shared secret, is refused: %s', async (hex) => {
    const epk = { kty: 'OKP', crv: 'X25519', x: Buffer.from(hex, 'hex').toString('base64url') }
    const cek = derived(Buffer.alloc(32), 'A256GCM', Buffer.alloc(0), Buffer.alloc(0))
    const header = JSON.stringify({ alg: 'ECDH-ES', enc: 'A256GCM', kid: 'x-1', cty: 'JWT', epk })
    expect(await outcome(sealed({ header, cek }))).toBe('decryption_failed')
  })

  test('[RFC7516-11.5-alike] a point of the right curve that belongs to nobody’s secret is refused like any other trouble', async () => {
    const shared = diffieHellman({ privateKey: ecPair('P-256')().privateKey, publicKey: EC.publicKey })
    const cek = derived(shared, 'A256GCM', Buffer.alloc(0), Buffer.alloc(0))
    const header = JSON.stringify({ alg: 'ECDH-ES', enc: 'A256GCM', cty: 'JWT', kid: 'ec-1', epk: pointOf(ecPair('P-256')) })
    expect(await outcome(sealed({ header, cek }))).toBe('decryption_failed')
  })

  test.each<readonly [string, object]>([
    ['apu', { apu: 1 }],
    ['apv', { apv: ['AA'] }],
    ['apu', { apu: 'not base64!' }],
    ['apu', { apu: null }],
  ])('[RFC7516-11.5-alike] a word of a party that cannot be read is such a trouble: %s', async (_what, more) => {
    expect(await outcome(agreed((good: unknown) => good, more))).toBe('decryption_failed')
  })
})

describe('lengths', () => {
  test.each([1, 4, 8, 12, 13, 14, 15])(
    '[RFC7518-5.3-tag] %d bytes are no tag, be they right as far as they go',
    async (tagBytes) => {
      const work = watchedWork()
      expect(await outcome(sealedByRsa(JSON.stringify(HEADER), RSA.publicKey, { tagBytes }))).toBe('decryption_failed')
      expect(work()).toBe(0)
    },
  )

  test.each([1, 8, 11, 13, 16])('[RFC7518-5.3-tag] %d bytes are no initialization vector of GCM', async (ivBytes) => {
    const work = watchedWork()
    expect(await outcome(sealedByRsa(JSON.stringify(HEADER), RSA.publicKey, { ivBytes }))).toBe('decryption_failed')
    expect(work()).toBe(0)
  })
})

describe('what is inside', () => {
  const inside = (content: string) => outcome(sealedByRsa(JSON.stringify(HEADER), RSA.publicKey, { content }))

  test.each<readonly [string, string]>([
    ['claims that nobody signed', JSON.stringify({ iss: 'https://as.example.test', sub: 'x' })],
    ['another encrypted token', withHeader(HEADER)],
    ['a token without signature', 'eyJhbGciOiJub25lIn0.e30.'],
    ['a token without claims', 'e30..AA'],
    ['a token without header', '.e30.AA'],
    ['two parts', 'e30.AA'],
    ['four parts', 'a.b.c.d'],
    ['a token and a blank', `${INNER} `],
    ['a token and a line break', `${INNER}\n`],
    ['a token after a byte order mark', `\uFEFF${INNER}`],
    ['two tokens', `${INNER}\n${INNER}`],
    ['padded parts', 'e30=.e30=.AA=='],
    ['a JWS in its JSON form', '{"payload":"e30","signatures":[]}'],
    ['letters of another alphabet', 'é.é.é'],
    ['text', 'hello'],
  ])('[RFC7519-11.2-nested] [RFC8725-3.3-nested] %s is no signed JWT', async (_what, content) => {
    expect(await inside(content)).toBe('token_malformed')
  })

  test('[RFC7519-11.2-nested] nothing of it is in a refusal', async () => {
    const content = JSON.stringify({ sub: 'secret-subject' })
    for (const token of [
      withHeader({ ...HEADER, kid: 'secret-kid' }),
      sealedByRsa(JSON.stringify(HEADER), RSA.publicKey, { content }),
    ]) {
      const error: unknown = await decrypter.decrypt(token).catch((each: unknown) => each)
      expect(error).toBeInstanceOf(AuthError)
      expect(inspect(error, { depth: 20, showHidden: true })).not.toContain('secret')
      expect((error as AuthError).cause).toBeUndefined()
    }
  })
})

describe('failures of decryption', () => {
  test('[RFC7516-11.5-alike] are all the same, whichever step they come from', async () => {
    const [header = '', key = '', iv = '', ciphertext = '', tag = ''] = withHeader(HEADER).split('.')
    const stranger = apiKeyOf(rsaPair, 'rsa-1')
    const tokens = [
      sealedByRsa(JSON.stringify(HEADER), stranger.publicKey), // the key cannot be unwrapped
      sealedByRsa(JSON.stringify(HEADER), RSA.publicKey, { encryptedKey: randomBytes(256) }),
      sealedByRsa(JSON.stringify(HEADER), RSA.publicKey, { encryptedKey: randomBytes(20) }),
      [header, key, iv, ciphertext, randomBytes(16).toString('base64url')].join('.'),
      [header, key, randomBytes(12).toString('base64url'), ciphertext, tag].join('.'),
      sealedByRsa(JSON.stringify({ ...HEADER, enc: 'A128GCM' }), RSA.publicKey), // a key of another length
      sealedByRsa(JSON.stringify({ ...HEADER, enc: 'A128CBC-HS256' }), RSA.publicKey),
    ]
    const told = new Set<string>()
    for (const token of tokens) {
      const error: unknown = await decrypter.decrypt(token).catch((each: unknown) => each)
      if (!(error instanceof AuthError)) throw new Error('it was opened')
      told.add(JSON.stringify([error.code, error.message, error.status, error.challenge, error.headers, error.cause ?? null]))
    }
    expect(told.size).toBe(1)
    expect([...told][0]).toContain('decryption_failed')
  })
})

test('[RFC8725-3.4-size] a token that is longer than a token can be is not even split', async () => {
  const limited = decrypterOf({ keys: [RSA.jwk], algorithms: ['RSA-OAEP-256'] }, { tokenBytes: 1_000 })
  const token = sealedByRsa(JSON.stringify(HEADER), RSA.publicKey)
  expect(await limited.decrypt(token)).toBe(INNER)
  const long = sealedByRsa(JSON.stringify({ ...HEADER, x: 'x'.repeat(500) }), RSA.publicKey)
  expect(await codeOf(() => limited.decrypt(long))).toBe('token_malformed')
})

test('[RFC7516-5.2-parts] no text opens, and every refusal is one of four', async () => {
  const codes = new Set(['token_malformed', 'algorithm_refused', 'key_unknown', 'decryption_failed'])
  const good = withHeader(HEADER)
  const part = fc.oneof(
    fc.constantFrom(...good.split('.'), '', 'e30', 'AA', 'AB'),
    fc.base64String({ maxLength: 40 }).map((text) => text.replace(/=/g, '').replace(/\+/g, '-').replace(/\//g, '_')),
    fc.json({ maxDepth: 2 }).map((text) => Buffer.from(text).toString('base64url')),
  )
  const header = fc.record(
    {
      alg: fc.constantFrom('RSA-OAEP-256', 'ECDH-ES', 'dir', 'none', 1),
      enc: fc.constantFrom('A256GCM', 'A128CBC-HS256', null),
      kid: fc.constantFrom('rsa-1', 'ec-1', 'x', 2),
      cty: fc.constantFrom('JWT', 'at+jwt', 'x', 3),
      epk: fc.oneof(fc.constant(jwkOf(EC.publicKey)), fc.json()),
      zip: fc.constant('DEF'),
      crit: fc.constant([]),
    },
    { requiredKeys: [] },
  )
  const first = fc.oneof(
    part,
    header.map((each) => Buffer.from(JSON.stringify(each)).toString('base64url')),
  )
  const texts = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 200 }),
    fc.array(part, { maxLength: 7 }).map((parts) => parts.join('.')),
    fc.tuple(first, part, part, part, part).map((parts) => parts.join('.')),
  )
  await fc.assert(
    fc.asyncProperty(texts, async (text) => {
      fc.pre(text !== good)
      expect(codes).toContain(await outcome(text))
    }),
    { numRuns: 1_000 },
  )
})
