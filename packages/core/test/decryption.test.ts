/** Encrypted access tokens, as issuers make them: every algorithm against another implementation of the other side. */
import { inspect } from 'node:util'
import { AuthError } from '@behalf/core'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { CONTENT_ENCRYPTIONS, type KeyManagementAlgorithm } from '../src/decryption/algorithms.js'
import { createDecrypters, outerKeyId } from '../src/decryption/decrypters.js'
import { isEncrypted } from '../src/decryption/jwe.js'
import { DEFAULT_LIMITS } from '../src/limits.js'
import {
  apiKeyOf,
  decrypterOf,
  ecPair,
  encrypted,
  INNER,
  rsaPair,
  sealedByAgreement,
  sealedByRsa,
  x25519Pair,
} from './support/encrypted-tokens.js'
import { codeOf } from './support/key-apis.js'

const RSA = apiKeyOf(rsaPair, 'rsa-1')
const EC: Readonly<Record<string, ReturnType<typeof apiKeyOf>>> = {
  'P-256': apiKeyOf(ecPair('P-256'), 'ec-256'),
  'P-384': apiKeyOf(ecPair('P-384'), 'ec-384'),
  'P-521': apiKeyOf(ecPair('P-521'), 'ec-521'),
  X25519: apiKeyOf(x25519Pair, 'x-1'),
}
const P256 = EC['P-256'] ?? RSA

const BY_RSA: readonly KeyManagementAlgorithm[] = ['RSA-OAEP', 'RSA-OAEP-256', 'RSA-OAEP-384', 'RSA-OAEP-512']
const BY_AGREEMENT: readonly KeyManagementAlgorithm[] = ['ECDH-ES', 'ECDH-ES+A128KW', 'ECDH-ES+A192KW', 'ECDH-ES+A256KW']

const PAIRS = [
  ...BY_RSA.map((alg) => ({ alg, curve: 'RSA', key: RSA })),
  ...Object.entries(EC).flatMap(([curve, key]) => BY_AGREEMENT.map((alg) => ({ alg, curve, key }))),
].flatMap((each) => CONTENT_ENCRYPTIONS.map((enc) => ({ ...each, enc })))

describe('every accepted pair of algorithms', () => {
  test.each(PAIRS)('[RFC7516-5.2-decrypt] $alg on $curve with $enc', async ({ alg, enc, key }) => {
    const token = await encrypted({ alg, enc, kid: key.kid }, key.publicKey)
    expect(await decrypterOf({ keys: [key.jwk], algorithms: [alg] }).decrypt(token)).toBe(INNER)
  })

  test.each(PAIRS.filter(({ enc }) => enc === 'A256GCM'))(
    '[RFC8725-3.1-decryption] $alg on $curve is refused where it is not named',
    async ({ alg, enc, key }) => {
      const others = (alg.startsWith('RSA') ? BY_RSA : BY_AGREEMENT).filter((each) => each !== alg)
      const token = await encrypted({ alg, enc, kid: key.kid }, key.publicKey)
      expect(await codeOf(() => decrypterOf({ keys: [key.jwk], algorithms: others }).decrypt(token))).toBe('algorithm_refused')
    },
  )

  test.each(CONTENT_ENCRYPTIONS)('[RFC8725-3.1-decryption] %s is refused where others are named', async (enc) => {
    const token = await encrypted({ alg: 'ECDH-ES', enc, kid: P256.kid }, P256.publicKey)
    const encryption = CONTENT_ENCRYPTIONS.filter((each) => each !== enc)
    const decrypter = decrypterOf({ keys: [P256.jwk], algorithms: ['ECDH-ES'], encryption })
    expect(await codeOf(() => decrypter.decrypt(token))).toBe('algorithm_refused')
  })

  test('[RFC7516-5.2-decrypt] opens any signed JWT that fits into a header field, whatever its length', async () => {
    const decrypter = decrypterOf({ keys: [P256.jwk], algorithms: ['ECDH-ES'] })
    const part = fc.string({ unit: fc.constantFrom(...'AZaz09-_'), minLength: 1, maxLength: 3_000 })
    await fc.assert(
      fc.asyncProperty(part, part, part, fc.constantFrom(...CONTENT_ENCRYPTIONS), async (header, claims, signature, enc) => {
        const inner = `${header}.${claims}.${signature}`
        expect(await decrypter.decrypt(await encrypted({ alg: 'ECDH-ES', enc }, P256.publicKey, inner))).toBe(inner)
      }),
      { numRuns: 50 },
    )
  })

  test('[RFC7516-5.2-decrypt] the words of the parties take part in the agreement', async () => {
    const decrypter = decrypterOf({ keys: [P256.jwk], algorithms: ['ECDH-ES'] })
    const made = (apu: string) =>
      sealedByAgreement(P256, ecPair('P-256'), (epk) => ({ alg: 'ECDH-ES', enc: 'A256GCM', cty: 'JWT', epk, apu, apv: 'Qm9i' }))
    expect(await decrypter.decrypt(made('QWxpY2U'))).toBe(INNER)
    expect(await decrypter.decrypt(made('A'.repeat(11_000)))).toBe(INNER)
    expect(await codeOf(() => decrypter.decrypt(made('A'.repeat(12_400))))).toBe('token_malformed')
  })
})

describe('what is said of the content', () => {
  const decrypter = decrypterOf({ keys: [RSA.jwk], algorithms: ['RSA-OAEP-256'] })
  const opened = (header: Record<string, unknown>) =>
    codeOf(() =>
      decrypter.decrypt(sealedByRsa(JSON.stringify({ alg: 'RSA-OAEP-256', enc: 'A256GCM', ...header }), RSA.publicKey)),
    )

  test.each(['JWT', 'jwt', 'Jwt', 'application/jwt', 'at+jwt', 'AT+JWT', 'application/at+jwt'])(
    '[RFC7519-5.2-cty] %s is a signed JWT',
    async (cty) => {
      expect(await opened({ cty })).toBe('ok')
    },
  )

  test.each([
    undefined,
    '',
    'JWE',
    'JSON',
    'json',
    'JWT ',
    ' JWT',
    'text/jwt',
    'application/',
    'x-jwt',
    'id+jwt',
    null,
    1,
    true,
    ['JWT'],
    {},
  ])('[RFC7519-5.2-cty] %j is none', async (cty) => {
    expect(await opened({ cty })).toBe('token_malformed')
  })

  test.each([undefined, 'JWT', 'at+jwt', 'JOSE', 1])('the outer type %j says nothing', async (typ) => {
    expect(await opened({ cty: 'JWT', typ })).toBe('ok')
  })
})

describe('which key', () => {
  const algorithms: readonly KeyManagementAlgorithm[] = ['RSA-OAEP-256', 'ECDH-ES']
  const second = apiKeyOf(ecPair('P-256'), 'ec-2')
  const { kid: _kid, ...nameless } = P256.jwk
  const to = (key: typeof RSA, header = {}) =>
    encrypted({ alg: key === RSA ? 'RSA-OAEP-256' : 'ECDH-ES', enc: 'A256GCM', ...header }, key.publicKey)

  test('[RFC7516-5.2-key] is the one that the token names', async () => {
    const decrypter = decrypterOf({ keys: [RSA.jwk, P256.jwk, second.jwk], algorithms })
    for (const key of [RSA, P256, second]) expect(await decrypter.decrypt(await to(key, { kid: key.kid }))).toBe(INNER)
    const wrong = await to(P256, { kid: second.kid })
    expect(await codeOf(() => decrypter.decrypt(wrong))).toBe('decryption_failed')
  })

  test('[RFC7516-5.2-key] [RFC8725-3.1-one-key] is of the type of the algorithm, and for no other one than it says', async () => {
    const decrypter = decrypterOf({ keys: [RSA.jwk, P256.jwk], algorithms })
    expect(await codeOf(async () => decrypter.decrypt(await to(RSA, { kid: P256.kid })))).toBe('key_unknown')
    const bound = decrypterOf({
      keys: [{ ...RSA.jwk, alg: 'RSA-OAEP-256' }, P256.jwk],
      algorithms: [...algorithms, 'ECDH-ES+A128KW'],
    })
    expect(await bound.decrypt(await to(RSA, { kid: RSA.kid }))).toBe(INNER)
    const two = { ...P256.jwk, alg: 'ECDH-ES+A128KW' }
    const other = decrypterOf({ keys: [two, second.jwk], algorithms: ['ECDH-ES', 'ECDH-ES+A128KW'] })
    expect(await codeOf(async () => other.decrypt(await to(P256, { kid: P256.kid })))).toBe('key_unknown')
  })

  test('[RFC7516-5.2-key] where the token names none, exactly one must fit the algorithm', async () => {
    expect(await decrypterOf({ keys: [RSA.jwk, P256.jwk], algorithms }).decrypt(await to(P256))).toBe(INNER)
    expect(await decrypterOf({ keys: [nameless], algorithms: ['ECDH-ES'] }).decrypt(await to(P256))).toBe(INNER)
    const ambiguous = decrypterOf({ keys: [P256.jwk, second.jwk], algorithms: ['ECDH-ES'] })
    expect(await codeOf(async () => ambiguous.decrypt(await to(P256)))).toBe('key_unknown')
  })

  test.each([
    ['another one', 'other', 'key_unknown'],
    ['one in another case', 'EC-256', 'key_unknown'],
    ['the empty text', '', 'key_unknown'],
    ['a very long one', 'k'.repeat(9_000), 'key_unknown'],
    ['a name that objects have', '__proto__', 'key_unknown'],
    ['a number', 1, 'token_malformed'],
    ['null', null, 'token_malformed'],
    ['a list', ['ec-256'], 'token_malformed'],
  ])('[RFC7516-5.2-key] a token that names %s is refused', async (_what, kid, code) => {
    const token = sealedByAgreement(P256, ecPair('P-256'), (epk) => ({ alg: 'ECDH-ES', enc: 'A256GCM', cty: 'JWT', kid, epk }))
    for (const jwk of [P256.jwk, nameless]) {
      const decrypter = decrypterOf({ keys: [jwk], algorithms: ['ECDH-ES'] })
      expect(await codeOf(() => decrypter.decrypt(token))).toBe(code)
    }
  })
})

describe('whose token it is', () => {
  const named = (issuer: string, ...keys: readonly object[]) => ({
    issuer,
    decrypter: decrypterOf({ keys, algorithms: ['ECDH-ES'] }),
  })
  const second = apiKeyOf(ecPair('P-256'), 'ec-2')
  const { kid: _kid, ...nameless } = second.jwk
  const tokenOf = (kid?: string) =>
    encrypted({ alg: 'ECDH-ES', enc: 'A256GCM', ...(kid !== undefined && { kid }) }, P256.publicKey)
  const found = (result: AuthError | { issuer: string }) => (result instanceof AuthError ? result.code : result.issuer)

  test('[BEHALF-decryption-issuer] is said by the key that it names', async () => {
    const decrypters = createDecrypters([named('one', P256.jwk), named('two', second.jwk)], DEFAULT_LIMITS)
    expect(found(decrypters.find(await tokenOf('ec-256')))).toBe('one')
    expect(found(decrypters.find(await tokenOf('ec-2')))).toBe('two')
    expect(found(decrypters.find(await tokenOf('ec-3')))).toBe('key_unknown')
    expect(found(decrypters.find(await tokenOf()))).toBe('key_unknown')
  })

  test('[BEHALF-decryption-issuer] needs no name where one issuer alone encrypts', async () => {
    for (const jwk of [nameless, second.jwk]) {
      expect(found(createDecrypters([named('one', jwk)], DEFAULT_LIMITS).find(await tokenOf()))).toBe('one')
    }
    expect(found(createDecrypters([named('one', nameless)], DEFAULT_LIMITS).find(await tokenOf('ec-2')))).toBe('key_unknown')
    expect(found(createDecrypters([], DEFAULT_LIMITS).find(await tokenOf()))).toBe('key_unknown')
  })

  test('[BEHALF-decryption-issuer] two issuers that could not be told apart are a ConfigError', () => {
    expect(() => createDecrypters([named('one', P256.jwk), named('two', second.jwk, P256.jwk)], DEFAULT_LIMITS)).toThrow(
      /^issuers "one" and "two" have decryption keys of the same "kid"/,
    )
    for (const list of [
      [named('one', nameless), named('two', P256.jwk)],
      [named('two', P256.jwk), named('one', nameless)],
    ]) {
      expect(() => createDecrypters(list, DEFAULT_LIMITS)).toThrow(/^issuer "one" has a decryption key without "kid"/)
    }
  })

  test.each([INNER, '', '....', 'e30.a.b.c', 'e30..AA.AA.AA.AA', 'W10..AA.AA.AA', '{}', 'eyJraWQiOjF9..AA.AA.AA'])(
    '[BEHALF-decryption-issuer] is not asked of what is no JWE: %s',
    (token) => {
      expect(found(createDecrypters([named('one', P256.jwk)], DEFAULT_LIMITS).find(token))).toBe('token_malformed')
    },
  )

  test('an encrypted token is told from a signed one by its parts', async () => {
    expect([isEncrypted(INNER), isEncrypted(await tokenOf()), isEncrypted('opaque'), isEncrypted('a.b.c.d.e.f')]).toEqual([
      false,
      true,
      false,
      false,
    ])
    expect(outerKeyId(await tokenOf('ec-2'), DEFAULT_LIMITS)).toBe('ec-2')
    expect(outerKeyId(await tokenOf(), DEFAULT_LIMITS)).toBeNull()
    expect(outerKeyId(INNER, DEFAULT_LIMITS)).toBeUndefined()
  })
})

describe('what is shown', () => {
  test('[BEHALF-decryption-secrecy] neither a decrypter nor its errors show a private key', async () => {
    const decrypter = decrypterOf({ keys: [RSA.jwk], algorithms: ['RSA-OAEP-256'] })
    const secrets = ['d', 'p', 'q', 'dp', 'dq', 'qi'].map((name) => String(RSA.jwk[name]))
    const token = await encrypted({ alg: 'RSA-OAEP-256', enc: 'A256GCM' }, apiKeyOf(rsaPair, 'x').publicKey)
    const error: unknown = await decrypter.decrypt(token).catch((each: unknown) => each)
    for (const each of [decrypter, error]) {
      const shown = [inspect(each, { showHidden: true, depth: 20 }), JSON.stringify(each), String(each)].join()
      for (const secret of secrets) expect(shown).not.toContain(secret)
    }
    expect(Object.keys(decrypter)).toEqual(['keyIds'])
  })

  test('[BEHALF-decryption-secrecy] what the caller holds is not changed, and changes nothing later', async () => {
    const jwk: Record<string, unknown> = { ...P256.jwk }
    const decrypter = decrypterOf({ keys: [jwk], algorithms: ['ECDH-ES'] })
    const token = await encrypted({ alg: 'ECDH-ES', enc: 'A256GCM' }, P256.publicKey)
    expect(await decrypter.decrypt(token)).toBe(INNER)
    expect(jwk).toEqual(P256.jwk)
    expect(Object.isFrozen(jwk)).toBe(false)
    jwk['d'] = 'AAAA'
    expect(await decrypter.decrypt(token)).toBe(INNER)
  })
})
