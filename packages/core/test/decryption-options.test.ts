/** What `decryption` of an issuer may say. Whatever is wrong is a ConfigError that names it, and quotes no key. */
import { generateKeyPairSync } from 'node:crypto'
import { inspect } from 'node:util'
import { ConfigError } from '@behalf/core'
import { describe, expect, test } from 'vitest'
import { resolveDecryption } from '../src/decryption/decrypter.js'
import { DEFAULT_LIMITS } from '../src/limits.js'
import { apiKeyOf, ecPair, jwkOf, rsaPair, x25519Pair } from './support/encrypted-tokens.js'

const RSA = apiKeyOf(rsaPair, 'rsa-1')
const EC = apiKeyOf(ecPair('P-256'), 'ec-1')
const OTHER_EC = apiKeyOf(ecPair('P-256'), 'ec-2')
const P384 = apiKeyOf(ecPair('P-384'), 'ec-384')
const X = apiKeyOf(x25519Pair, 'x-1')
const { kid: _kid, ...NAMELESS } = EC.jwk
const SECRET = 'c2VjcmV0LXNlY3JldC1zZWNyZXQ'
const KEY_OBJECT = ecPair('P-256')().privateKey
const PEM = KEY_OBJECT.export({ type: 'pkcs8', format: 'pem' })

const ALL = [
  'RSA-OAEP',
  'RSA-OAEP-256',
  'RSA-OAEP-384',
  'RSA-OAEP-512',
  'ECDH-ES',
  'ECDH-ES+A128KW',
  'ECDH-ES+A192KW',
  'ECDH-ES+A256KW',
]
const BOTH = ['RSA-OAEP-256', 'ECDH-ES']

const resolve = (options: unknown) => resolveDecryption(options, 'issuers[0].decryption', DEFAULT_LIMITS)

function failureOf(options: unknown): string {
  try {
    resolve(options)
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError)
    const shown = inspect(error)
    for (const key of [RSA, EC, OTHER_EC, P384, X]) expect(shown).not.toContain(String(key.jwk['d']))
    for (const secret of [SECRET, 'BEGIN PRIVATE']) expect(shown).not.toContain(secret)
    return (error as ConfigError).message
  }
  throw new Error('it was accepted')
}

test('[BEHALF-decryption-options] what is accepted', () => {
  expect([...resolve({ keys: [RSA.jwk, EC.jwk, P384.jwk, X.jwk], algorithms: ALL }).keyIds]).toEqual([
    'rsa-1',
    'ec-1',
    'ec-384',
    'x-1',
  ])
  expect([...resolve({ keys: [NAMELESS], algorithms: ['ECDH-ES'], encryption: ['A128GCM'] }).keyIds]).toEqual([null])
  for (const more of [
    { use: 'enc' },
    { key_ops: ['unwrapKey'] },
    { key_ops: ['sign', 'decrypt'] },
    { alg: 'RSA-OAEP-256' },
    { kid: 'k'.repeat(256) },
    { x5t: 'x' },
  ]) {
    expect(resolve({ keys: [{ ...RSA.jwk, ...more }], algorithms: ['RSA-OAEP-256'] }).keyIds.size).toBe(1)
  }
  for (const operation of ['deriveKey', 'deriveBits']) {
    expect(resolve({ keys: [{ ...EC.jwk, key_ops: [operation] }], algorithms: ['ECDH-ES'] }).keyIds.size).toBe(1)
    expect(resolve({ keys: [{ ...X.jwk, key_ops: [operation] }], algorithms: ['ECDH-ES'] }).keyIds.size).toBe(1)
  }
})

describe('keys', () => {
  const AS_A_JWK =
    /must be a private key as a JWK: of a PEM or a KeyObject, createPrivateKey\(pem\)\.export\(\{ format: 'jwk' \}\)$/
  const small = (modulusLength: number) => jwkOf(generateKeyPairSync('rsa', { modulusLength }).privateKey)
  const { d: _d, ...publicEc } = EC.jwk
  const foreign = jwkOf(generateKeyPairSync('ec', { namedCurve: 'secp256k1' }).privateKey)
  const ed25519 = jwkOf(generateKeyPairSync('ed25519').privateKey)
  const { p: _p, q: _q, dp: _dp, dq: _dq, qi: _qi, ...onlyD } = RSA.jwk

  test.each<readonly [string, unknown, RegExp]>([
    ['null', null, AS_A_JWK],
    ['text', '{}', AS_A_JWK],
    ['a PEM', PEM, AS_A_JWK],
    ['a PEM in bytes', Buffer.from(PEM), AS_A_JWK],
    ['a KeyObject', KEY_OBJECT, AS_A_JWK],
    ['a list', [EC.jwk], AS_A_JWK],
    ['an empty object', {}, AS_A_JWK],
    ['without a key type', { ...EC.jwk, kty: undefined }, /key type/],
    ['of another key type', { ...EC.jwk, kty: 'AKP' }, /key type/],
    ['a key type in another case', { ...EC.jwk, kty: 'ec' }, /key type/],
    ['symmetric', { kty: 'oct', k: SECRET }, /symmetric/],
    ['symmetric, for a wrapping algorithm', { kty: 'oct', k: SECRET, alg: 'A256KW' }, /symmetric/],
    ['public', publicEc, /public key/],
    ['public RSA', jwkOf(RSA.publicKey), /public key/],
    ['RSA of 1024 bits', small(1024), /2048/],
    ['RSA of 2040 bits', small(2040), /2048/],
    ['for signatures', { ...EC.jwk, use: 'sig' }, /"use"/],
    ['of an unreadable use', { ...EC.jwk, use: ['enc'] }, /"use"/],
    ['RSA for key agreement', { ...RSA.jwk, key_ops: ['deriveBits'] }, /"key_ops"/],
    ['EC for decryption', { ...EC.jwk, key_ops: ['decrypt'] }, /"key_ops"/],
    ['for nothing', { ...EC.jwk, key_ops: [] }, /"key_ops"/],
    ['of unreadable operations', { ...EC.jwk, key_ops: 'deriveBits' }, /"key_ops"/],
    ['of an unreadable key id', { ...EC.jwk, kid: 1 }, /"kid"/],
    ['of a key id that is too long', { ...EC.jwk, kid: 'k'.repeat(257) }, /"kid"/],
    ['of an unreadable algorithm', { ...EC.jwk, alg: ['ECDH-ES'] }, /"alg"/],
    ['for an algorithm that is not accepted', { ...EC.jwk, alg: 'ECDH-ES+A128KW' }, /fits none/],
    ['for an algorithm of another type', { ...EC.jwk, alg: 'RSA-OAEP-256' }, /fits none/],
    ['for a signature algorithm', { ...EC.jwk, alg: 'ES256' }, /fits none/],
    ['of another curve', foreign, /curve/],
    ['for signatures by curve', ed25519, /curve/],
    ['of a curve of another type', { ...EC.jwk, crv: 'X25519' }, /curve/],
    ['without curve', { ...EC.jwk, crv: undefined }, /curve/],
    ['of garbage', { kty: 'RSA', n: '!', e: 'AQAB', d: SECRET }, /material/],
    ['without its primes', onlyD, /material/],
    ['without its point', { ...EC.jwk, x: undefined }, /material/],
    ['a point that is not on its curve', { ...EC.jwk, y: EC.jwk['x'] }, /material|belong/],
    ['with the private part of another key', { ...EC.jwk, d: OTHER_EC.jwk['d'] }, /belong/],
    ['with the public part of another key', { ...RSA.jwk, n: apiKeyOf(rsaPair, 'x').jwk['n'] }, /belong/],
    ['X25519 with the private part of another key', { ...X.jwk, d: apiKeyOf(x25519Pair, 'x').jwk['d'] }, /belong/],
  ])('[BEHALF-decryption-options] a key that is %s', (_what, jwk, message) => {
    expect(failureOf({ keys: [{ ...P384.jwk }, jwk], algorithms: BOTH })).toMatch(
      new RegExp(`^issuers\\[0\\]\\.decryption\\.keys\\[1\\] .*(?:${message.source})`),
    )
  })

  test.each<readonly [string, readonly unknown[]]>([
    ['of one id', [EC.jwk, { ...P384.jwk, kid: 'ec-1' }]],
    ['without id', [NAMELESS, P384.jwk]],
    ['the same', [EC.jwk, { ...EC.jwk }]],
  ])('[BEHALF-decryption-options] several that are %s', (_what, keys) => {
    expect(failureOf({ keys, algorithms: ['ECDH-ES'] })).toMatch(/^issuers\[0\]\.decryption\.keys are several: /)
  })
})

test.each<readonly [string, unknown, RegExp]>([
  ['not an object', true, /must be an object/],
  ['empty', {}, /algorithms must be/],
  [
    'without algorithms',
    { keys: [EC.jwk] },
    new RegExp(`algorithms must be a non-empty list of ${ALL.map((each) => `'${each}'`.replace('+', '\\+')).join(', ')}$`),
  ],
  ['without keys', { algorithms: ['ECDH-ES'] }, /keys must be a non-empty list/],
  ['of an empty list of keys', { keys: [], algorithms: ['ECDH-ES'] }, /keys must be a non-empty list/],
  [
    'of a key set in place of a list',
    { keys: { keys: [EC.jwk] }, algorithms: ['ECDH-ES'] },
    /keys must be a non-empty list of private JWKs: of a JWK set, its keys$/,
  ],
  ['of an empty list of algorithms', { keys: [EC.jwk], algorithms: [] }, /algorithms must be a non-empty list/],
  ['of an algorithm named twice', { keys: [EC.jwk], algorithms: ['ECDH-ES', 'ECDH-ES'] }, /twice/],
  ['of an empty list of encryptions', { keys: [EC.jwk], algorithms: ['ECDH-ES'], encryption: [] }, /encryption must be/],
  [
    'of an unknown encryption',
    { keys: [EC.jwk], algorithms: ['ECDH-ES'], encryption: ['A128CBC'] },
    /encryption\[0\] must be one of/,
  ],
  ['undefined in a member', { keys: [EC.jwk], algorithms: ['ECDH-ES'], encryption: undefined }, /undefined/],
  ['with an unknown member', { keys: [EC.jwk], algorithms: ['ECDH-ES'], zip: true }, /unknown member "zip"/],
  ['a key in place of options', EC.jwk, /unknown member/],
  ['of an algorithm without key', { keys: [EC.jwk], algorithms: BOTH }, /names 'RSA-OAEP-256', which none of the keys fits/],
])('[BEHALF-decryption-options] options that are %s', (_what, options, message) => {
  expect(failureOf(options)).toMatch(message)
})

test.each([
  'RSA1_5',
  'dir',
  'PBES2-HS256+A128KW',
  'PBES2-HS384+A192KW',
  'PBES2-HS512+A256KW',
  'A128KW',
  'A192KW',
  'A256KW',
  'A128GCMKW',
  'A192GCMKW',
  'A256GCMKW',
  'none',
  'rsa-oaep',
  'RS256',
  '*',
  1,
  null,
  ['ECDH-ES'],
])('[RFC8725-3.2-decryption] %s can never be accepted', (algorithm) => {
  expect(failureOf({ keys: [RSA.jwk, EC.jwk], algorithms: [...BOTH, algorithm] })).toMatch(
    /algorithms\[2\] must be one of 'RSA-OAEP'/,
  )
})
