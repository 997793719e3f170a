/** What an application can get wrong in the option `introspection`. */
import { inspect } from 'node:util'
import { ConfigError } from '@behalf/core'
import { createSigningKey } from '@behalf/testing'
import { describe, expect, test } from 'vitest'
import { resolveIntrospection } from '../src/introspection/endpoint-introspector.js'
import { CLIENT_ID, environmentOf, SECRET } from './support/introspection-api.js'

const ENDPOINT = 'https://as.example.test/introspect'
const BASIC = { method: 'client_secret_basic', clientSecret: SECRET }
const GOOD = { endpoint: ENDPOINT, clientId: CLIENT_ID, authentication: BASIC }

const ec = createSigningKey('ES256', { kid: 'ec' })
const privateJwk = (key = ec, more: object = {}) => ({ ...key.privateKey.export({ format: 'jwk' }), ...more })
const PRIVATE = privateJwk()
const byKey = (more: object = {}) => ({
  ...GOOD,
  authentication: { method: 'private_key_jwt', key: PRIVATE, algorithm: 'ES256', ...more },
})

function resolve(value: unknown) {
  return resolveIntrospection(value, 'issuers[0].introspection', environmentOf())
}

test.each<[string, object]>([
  ['a secret in the header', GOOD],
  ['a secret in the form', { ...GOOD, authentication: { ...BASIC, method: 'client_secret_post' } }],
  ['a key', byKey()],
  ['a key for an audience', byKey({ audience: 'https://as.example.test/token' })],
  ['a key with what JWKs can say', byKey({ key: privateJwk(ec, { kid: 'x', use: 'sig', alg: 'ES256', key_ops: ['sign'] }) })],
  ['http on loopback', { ...GOOD, endpoint: 'http://127.0.0.1:1234/introspect?tenant=1' }],
  ['signed answers', { ...GOOD, signed: true }],
  ['signed answers for an audience', { ...GOOD, signed: { audience: 'https://api.example.test' } }],
  ['signed answers for the client', { ...GOOD, signed: {} }],
  ['no signed answers', { ...GOOD, signed: false }],
  ['everything else', { ...GOOD, untyped: 'accept', cacheSeconds: 0, maxEntries: 1, actor: { claim: 'act' } }],
  ['the longest time', { ...GOOD, cacheSeconds: 300 }],
])('takes %s', (_what, options) => {
  expect(() => resolve(options)).not.toThrow()
})

const AS_A_JWK =
  "authentication.key must be a private key as a JWK: of a PEM or a KeyObject, createPrivateKey(pem).export({ format: 'jwk' })"

test.each<[string, unknown, string]>([
  ['nothing', undefined, 'introspection must be an object'],
  ['a list', [GOOD], 'introspection must be an object'],
  ['an unknown member', { ...GOOD, ttl: 3 }, 'unknown member "ttl"'],
  ['a missing environment variable', { ...GOOD, clientId: undefined }, 'clientId is undefined'],
  ['no endpoint', { ...GOOD, endpoint: '' }, 'endpoint must be a non-empty string'],
  ['http', { ...GOOD, endpoint: 'http://as.example.test/introspect' }, 'endpoint must be an https URL'],
  ['credentials in the URL', { ...GOOD, endpoint: 'https://a:b@as.example.test/' }, 'endpoint must be an https URL'],
  ['a fragment', { ...GOOD, endpoint: `${ENDPOINT}#x` }, 'endpoint must be an https URL'],
  ['no URL', { ...GOOD, endpoint: 'introspect' }, 'endpoint must be an https URL'],
  ['an empty client', { ...GOOD, clientId: '' }, 'clientId must be a non-empty string'],
  ['no authentication', { endpoint: ENDPOINT, clientId: CLIENT_ID }, 'authentication must be an object'],
  ['an unknown method', { ...GOOD, authentication: { ...BASIC, method: 'none' } }, "method must be one of 'client_secret_basic'"],
  ['no secret', { ...GOOD, authentication: { method: 'client_secret_post' } }, 'clientSecret must be a non-empty string'],
  ['an empty secret', { ...GOOD, authentication: { ...BASIC, clientSecret: '' } }, 'clientSecret must be a non-empty string'],
  ['a missing secret', { ...GOOD, authentication: { ...BASIC, clientSecret: undefined } }, 'clientSecret is undefined'],
  ['a secret and a key', { ...GOOD, authentication: { ...BASIC, key: PRIVATE } }, 'unknown member "key"'],
  ['a key and a secret', byKey({ clientSecret: SECRET }), 'unknown member "clientSecret"'],
  ['no key', { ...GOOD, authentication: { method: 'private_key_jwt', algorithm: 'ES256' } }, 'key is missing'],
  ['no algorithm', { ...GOOD, authentication: { method: 'private_key_jwt', key: PRIVATE } }, 'algorithm is not an accepted'],
  ['a symmetric algorithm', byKey({ algorithm: 'HS256' }), 'algorithm is not an accepted'],
  ['another algorithm', byKey({ algorithm: 'RS256' }), 'key does not fit the algorithm RS256'],
  ['another curve', byKey({ algorithm: 'ES384' }), 'key does not fit the algorithm ES384'],
  ['a key for another algorithm', byKey({ key: privateJwk(ec, { alg: 'ES384' }) }), 'has an "alg" that does not fit it'],
  ['a PEM', byKey({ key: ec.privateKey.export({ format: 'pem', type: 'pkcs8' }) }), AS_A_JWK],
  ['a KeyObject', byKey({ key: ec.privateKey }), AS_A_JWK],
  ['a key that is nothing', byKey({ key: null }), AS_A_JWK],
  ['a public key', byKey({ key: ec.jwk }), 'must be a private key as a JWK'],
  ['a symmetric key', byKey({ key: { kty: 'oct', k: 'c2VjcmV0' } }), 'must be a private key as a JWK'],
  ['a key for encryption', byKey({ key: privateJwk(ec, { use: 'enc' }) }), 'is not for signatures'],
  ['a key that may not sign', byKey({ key: privateJwk(ec, { key_ops: ['verify'] }) }), 'may not sign'],
  ['an unreadable id', byKey({ key: privateJwk(ec, { kid: 7 }) }), 'has an unusable "kid"'],
  ['the half of another key', byKey({ key: privateJwk(ec, { d: privateJwk(createSigningKey('ES256')).d }) }), 'does not belong'],
  ['a half that is none', byKey({ key: privateJwk(ec, { d: '!' }) }), 'does not belong'],
  ['an empty audience', byKey({ audience: '' }), 'audience must be a non-empty string'],
  ['signed as a text', { ...GOOD, signed: 'true' }, 'signed must be true or false'],
  ['signed as nothing', { ...GOOD, signed: null }, 'signed must be true or false'],
  ['signed for nobody', { ...GOOD, signed: { audience: '' } }, 'signed.audience must be a non-empty string'],
  ['signed by something', { ...GOOD, signed: { key: 1 } }, 'unknown member "key"'],
  ['untyped as a flag', { ...GOOD, untyped: true }, "untyped must be one of 'refuse', 'accept'"],
  ['less than no time', { ...GOOD, cacheSeconds: -1 }, 'cacheSeconds must be a whole number, from 0 to 300'],
  ['too long a time', { ...GOOD, cacheSeconds: 301 }, 'cacheSeconds must be a whole number, from 0 to 300'],
  ['part of a second', { ...GOOD, cacheSeconds: 0.5 }, 'cacheSeconds must be a whole number'],
  ['no entries', { ...GOOD, maxEntries: 0 }, 'maxEntries must be a whole number'],
  ['more entries than there can be', { ...GOOD, maxEntries: 2 ** 24 }, 'maxEntries must be a whole number'],
])('[Design-introspection-secrecy] refuses %s, and quotes no secret', (_what, options, message) => {
  let error: unknown
  try {
    resolve(options)
  } catch (thrown) {
    error = thrown
  }
  expect(error).toBeInstanceOf(ConfigError)
  expect((error as ConfigError).message).toContain('issuers[0].introspection')
  expect((error as ConfigError).message).toContain(message)
  const told = inspect(error, { depth: 9, showHidden: true })
  for (const secret of [SECRET, PRIVATE.d, 'c2VjcmV0', 'BEGIN PRIVATE']) expect(told).not.toContain(secret)
})

test('refuses a short RSA key', () => {
  const key = {
    kty: 'RSA',
    n: Buffer.alloc(128, 0xff).toString('base64url'),
    e: 'AQAB',
    d: Buffer.alloc(128, 1).toString('base64url'),
  }
  expect(() => resolve(byKey({ key, algorithm: 'RS256' }))).toThrow('has fewer than 2048 bits')
})

describe('secrets stand in nothing that can be printed', () => {
  test.each<[string, object]>([
    ['a secret in the header', GOOD],
    ['a secret in the form', { ...GOOD, authentication: { ...BASIC, method: 'client_secret_post' } }],
    ['a key', byKey()],
  ])('[Design-introspection-secrecy] %s', (_what, options) => {
    const introspector = resolve(options)
    const told = [inspect(introspector, { depth: 9, showHidden: true }), JSON.stringify(introspector), String(introspector)]
    for (const text of told) {
      for (const secret of [SECRET, encodeURIComponent(SECRET), PRIVATE.d ?? '', Buffer.from(SECRET).toString('base64')]) {
        expect(text).not.toContain(secret)
      }
    }
  })
})
