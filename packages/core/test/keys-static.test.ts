/** Keys that are given with the configuration, and which key fits a token. */
import { generateKeyPairSync } from 'node:crypto'
import { inspect } from 'node:util'
import { ConfigError, createResourceServer } from '@behalf/core'
import { oauth } from '@behalf/core/issuers'
import { createSigningKey, TEST_AUDIENCE } from '@behalf/testing'
import { describe, expect, test } from 'vitest'
import { apiOf, ISSUER, KEY, KID, tokenOf } from './support/key-apis.js'

const trusting = (keys: readonly unknown[], issuer = ISSUER) =>
  oauth({ issuer, audience: TEST_AUDIENCE, jwks: { keys: keys as readonly object[] } })

describe('static keys', () => {
  const ec = createSigningKey('ES256').jwk
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const rsaJwk = rsa.publicKey.export({ format: 'jwk' })
  const ed = KEY.jwk
  const secret = 'c2VjcmV0LXNlY3JldC1zZWNyZXQ'

  test('[BEHALF-static-keys] a usable key is one, with any members that do not matter here', async () => {
    for (const more of [
      {},
      { use: 'sig' },
      { key_ops: ['verify'] },
      { alg: 'EdDSA' },
      { kid: 'k'.repeat(256) },
      { x5t: 'x', exp: 1 },
    ]) {
      const { kid: _kid, alg: _alg, use: _use, ...bare } = ed
      const jwk = { ...bare, ...more }
      const kid = 'kid' in more ? String(more.kid) : undefined
      expect(await apiOf({ issuers: [trusting([jwk])] }).outcome(tokenOf(ISSUER, KEY, { kid }))).toBe('ok')
    }
  })

  test.each([
    ['private', KEY.privateKey.export({ format: 'jwk' }), /private or symmetric/],
    ['private RSA', rsa.privateKey.export({ format: 'jwk' }), /private or symmetric/],
    ['symmetric', { kty: 'oct', k: secret }, /private or symmetric/],
    ['symmetric without material', { kty: 'oct' }, /key type/],
    ['RSA of 1024 bits', generateKeyPairSync('rsa', { modulusLength: 1024 }).publicKey.export({ format: 'jwk' }), /2048/],
    ['RSA of 2040 bits', generateKeyPairSync('rsa', { modulusLength: 2040 }).publicKey.export({ format: 'jwk' }), /2048/],
    ['without key type', { ...ed, kty: undefined }, /key type/],
    ['of another key type', { ...ed, kty: 'AKP' }, /key type/],
    ['a key type in another case', { ...rsaJwk, kty: 'rsa' }, /key type/],
    ['for encryption', { ...ed, use: 'enc' }, /"use"/],
    ['of an unreadable use', { ...ed, use: ['sig'] }, /"use"/],
    ['for signing', { ...ed, key_ops: ['sign'] }, /"key_ops"/],
    ['for nothing', { ...ed, key_ops: [] }, /"key_ops"/],
    ['of unreadable operations', { ...ed, key_ops: 'verify' }, /"key_ops"/],
    ['for an algorithm of another key type', { ...ed, alg: 'RS256' }, /"alg"/],
    ['for an algorithm of another curve', { ...ec, alg: 'ES384' }, /"alg"/],
    ['for HMAC', { ...ed, alg: 'HS256' }, /"alg"/],
    ['for encryption by algorithm', { ...rsaJwk, alg: 'RSA-OAEP' }, /"alg"/],
    ['of an unreadable algorithm', { ...ed, alg: 1 }, /"alg"/],
    ['for key agreement', { kty: 'OKP', crv: 'X25519', x: ed['x'] }, /curve/],
    ['of another curve', generateKeyPairSync('ec', { namedCurve: 'secp256k1' }).publicKey.export({ format: 'jwk' }), /curve/],
    ['without curve', { ...ec, alg: undefined, crv: undefined }, /curve/],
    ['of a curve of another key type', { ...ec, alg: undefined, crv: 'Ed25519' }, /curve/],
    ['of an unreadable key id', { ...ed, kid: 1 }, /"kid"/],
    ['of a key id that is too long', { ...ed, kid: 'k'.repeat(257) }, /"kid"/],
    ['of too little material', { ...ed, x: 'AAAA' }, /material/],
    ['without material', { ...ed, x: undefined }, /material/],
    ['of garbage', { kty: 'RSA', n: '!', e: 1 }, /material/],
    ['a point that is not on its curve', { ...ec, y: ec['x'] }, /material/],
    ['null', null, /object/],
    ['text', 'key', /object/],
    ['a list', [], /object/],
  ])('[BEHALF-static-keys] a key %s is a ConfigError that names it, and quotes nothing', (_what, jwk, message) => {
    let failure: unknown
    try {
      createResourceServer({ issuers: [trusting([ed, jwk])] })
    } catch (error) {
      failure = error
    }
    expect(failure).toBeInstanceOf(ConfigError)
    expect((failure as ConfigError).message).toMatch(/^issuers\[0\]\.jwks\.keys\[1\] /)
    expect((failure as ConfigError).message).toMatch(message)
    expect(inspect(failure)).not.toContain(secret)
  })

  test.each([
    ['no list', { keys: {} }],
    ['an empty list', { keys: [] }],
    ['nothing', {}],
    ['more than keys', { keys: [ed], more: 1 }],
    ['null', null],
  ])('[BEHALF-static-keys] a set with %s is a ConfigError', (_what, jwks) => {
    const options = { issuer: ISSUER, audience: TEST_AUDIENCE, jwks } as unknown as Parameters<typeof oauth>[0]
    expect(() => createResourceServer({ issuers: [oauth(options)] })).toThrow(ConfigError)
  })

  test('[RFC7518-3.3-size] 2048 bits are enough for RSA, and fewer are not', () => {
    expect(() => createResourceServer({ issuers: [trusting([rsaJwk])] })).not.toThrow()
    const short = generateKeyPairSync('rsa', { modulusLength: 2040 }).publicKey.export({ format: 'jwk' })
    expect(() => createResourceServer({ issuers: [trusting([short])] })).toThrow(/2048/)
  })

  test('[RFC8725-3.4-inputs] a public key that is no point of its curve is refused before it is used', () => {
    expect(() => createResourceServer({ issuers: [trusting([{ ...ec, y: ec['x'] }])] })).toThrow(ConfigError)
  })

  test('[BEHALF-one-fitting-key] without a key id exactly one key must fit; with one it must be of that id', async () => {
    const [one, two] = [createSigningKey('EdDSA'), createSigningKey('EdDSA')]
    const api = apiOf({ issuers: [trusting([one.jwk, two.jwk, ec])] })
    expect(await api.outcome(tokenOf(ISSUER, one))).toBe('ok')
    expect(await api.outcome(tokenOf(ISSUER, two))).toBe('ok')
    for (const key of [one, two]) expect(await api.outcome(tokenOf(ISSUER, key, { kid: undefined }))).toBe('key_unknown')
    expect(await apiOf({ issuers: [trusting([one.jwk, ec])] }).outcome(tokenOf(ISSUER, one, { kid: undefined }))).toBe('ok')
    expect(await api.outcome(tokenOf(ISSUER, one, { kid: two.kid }))).toBe('signature_invalid')
  })

  test('[BEHALF-one-fitting-key] two keys of one id that fit one algorithm are ambiguous', async () => {
    const [one, two] = [createSigningKey('EdDSA', { kid: 'same' }), createSigningKey('EdDSA', { kid: 'same' })]
    const api = apiOf({ issuers: [trusting([one.jwk, two.jwk])] })
    for (const key of [one, two]) expect(await api.outcome(tokenOf(ISSUER, key))).toBe('key_unknown')
  })

  test('[BEHALF-one-fitting-key] the same key, listed twice, is one key', async () => {
    const { alg: _alg, ...withoutAlg } = KEY.jwk
    const { kid: _kid, ...withoutKid } = KEY.jwk
    for (const twin of [KEY.jwk, withoutAlg, withoutKid]) {
      const api = apiOf({ issuers: [trusting([KEY.jwk, twin])] })
      expect(await api.outcome(tokenOf(ISSUER))).toBe('ok')
      expect(await api.outcome(tokenOf(ISSUER, KEY, { kid: undefined }))).toBe('ok')
    }
    const other = createSigningKey('EdDSA', { kid: KID })
    const ambiguous = apiOf({ issuers: [trusting([KEY.jwk, KEY.jwk, other.jwk])] })
    for (const key of [KEY, other]) expect(await ambiguous.outcome(tokenOf(ISSUER, key))).toBe('key_unknown')
  })

  test('[RFC7518-3.4-curve] a key of another curve does not fit an ECDSA algorithm', async () => {
    const p384 = createSigningKey('ES384')
    const { alg: _alg, ...jwk } = p384.jwk
    const api = apiOf({ issuers: [trusting([jwk])] })
    expect(await api.outcome(tokenOf(ISSUER, p384))).toBe('ok')
    expect(await api.outcome(tokenOf(ISSUER, p384, { alg: 'ES256' }))).toBe('key_unknown')
    expect(await api.outcome(tokenOf(ISSUER, p384, { alg: 'EdDSA' }))).toBe('key_unknown')
  })

  test('a private key in the configuration is not quoted by the error', () => {
    const jwk = KEY.privateKey.export({ format: 'jwk' })
    expect(() => createResourceServer({ issuers: [trusting([jwk])] })).toThrow(
      expect.objectContaining({ message: expect.not.stringContaining(String(jwk.d)) }),
    )
  })
})
