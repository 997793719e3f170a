import { generateKeyPairSync } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { inspect } from 'node:util'
import { gzipSync } from 'node:zlib'
import {
  AuthError,
  ConfigError,
  createResourceServer,
  DEFAULT_LIMITS,
  type Fetch,
  type ResourceServerOptions,
} from '@behalf/core'
import { oauth } from '@behalf/core/issuers'
import { createSigningKey, createTestIssuer, type SigningKey, signCompact, TEST_AUDIENCE, type TestIssuer } from '@behalf/testing'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { resolveIssuer } from '../src/issuers/issuer.js'
import { metadataUrls } from '../src/keys/discovery.js'
import { isFetchable } from '../src/keys/fetch-json.js'
import { type KeySet, KeySnapshot } from '../src/keys/key-set.js'
import { VerifiedCache } from '../src/token/verified-cache.js'
import { createVerifier, isRefused, type ProvenToken } from '../src/verifier.js'

const START = 1_790_000_000_000
const ISSUER = 'https://as.example.test'
const KID = 'key-1'

let clock = START
const now = () => clock
beforeEach(() => {
  clock = START
})

const KEY = createSigningKey('EdDSA', { kid: KID })

let serial = 0
/** A good token; each has its own text, so that none is found in a cache. */
function tokenOf(
  issuer: string,
  key: SigningKey = KEY,
  header: Record<string, string | undefined> = {},
  more: { readonly iat?: number } = {},
): string {
  const seconds = Math.floor(START / 1000)
  const claims = {
    iss: issuer,
    aud: TEST_AUDIENCE,
    sub: 'user-1',
    client_id: 'c',
    iat: seconds,
    exp: seconds + 86_400,
    jti: `${serial++}`,
    ...more,
  }
  return signCompact({ alg: key.algorithm, kid: key.kid, typ: 'at+jwt', ...header }, JSON.stringify(claims), key)
}

interface Api {
  /** `ok`, or the code of the refusal. */
  outcome(token: string): Promise<string>
  error(token: string): Promise<AuthError>
}

function apiOf(options: ResourceServerOptions): Api {
  const server = createResourceServer({ now, ...options })
  const failure = (token: string) =>
    server.verify(token).then(
      () => null,
      (error: unknown) => error,
    )
  return {
    async outcome(token) {
      const error = await failure(token)
      if (error === null) return 'ok'
      if (error instanceof AuthError) return error.code
      throw error
    },
    async error(token) {
      const error = await failure(token)
      if (error instanceof AuthError) return error
      throw new Error('the token was not refused', { cause: error })
    },
  }
}

const trusting = (keys: readonly unknown[], issuer = ISSUER) =>
  oauth({ issuer, audience: TEST_AUDIENCE, jwks: { keys: keys as readonly object[] } })

/** Our trouble: never the caller's 401. */
async function expectUnavailable(api: Api, token: string, what = ''): Promise<void> {
  const { code, status, challenge, headers } = await api.error(token)
  expect([code, status, challenge, headers['retry-after']], what).toEqual(['keys_unavailable', 503, null, '5'])
}

/** A server whose answer each test writes itself. */
interface KeyServer {
  readonly origin: string
  /** Paths that were asked for, in order. */
  readonly asked: string[]
  answer: (request: IncomingMessage, response: ServerResponse) => void
  close(): Promise<void>
}

async function createKeyServer(): Promise<KeyServer> {
  const asked: string[] = []
  const server: Server = createServer((request, response) => {
    asked.push(request.url ?? '')
    keyServer.answer(request, response)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const keyServer: KeyServer = {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked,
    answer: (_request, response) => response.writeHead(404).end(),
    async close() {
      server.close()
      server.closeAllConnections()
      await once(server, 'close')
    },
  }
  return keyServer
}

const json = (body: unknown) => (_request: IncomingMessage, response: ServerResponse) => {
  response.writeHead(200, { 'content-type': 'application/json' }).end(typeof body === 'string' ? body : JSON.stringify(body))
}
const goodSet = { keys: [KEY.jwk] }

let servers: KeyServer
beforeAll(async () => {
  servers = await createKeyServer()
})
beforeEach(() => {
  servers.asked.length = 0
  servers.answer = json(goodSet)
})
afterAll(() => servers.close())

/** An API whose one issuer has its keys at the test server. */
const remote = (more: Partial<ResourceServerOptions> = {}) =>
  apiOf({ issuers: [oauth({ issuer: ISSUER, audience: TEST_AUDIENCE, jwksUri: `${servers.origin}/jwks` })], ...more })

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

describe('remote keys', () => {
  test('[BEHALF-one-fetch] nothing is fetched before a token needs it, and one fetch serves any number of them', async () => {
    const api = remote()
    expect(servers.asked).toEqual([])
    const outcomes = await Promise.all(Array.from({ length: 1000 }, () => api.outcome(tokenOf(ISSUER))))
    expect(new Set(outcomes)).toEqual(new Set(['ok']))
    expect(servers.asked).toEqual(['/jwks'])
  })

  test('[BEHALF-one-fetch] a failed fetch, too, is one for everybody who waited, and the next request tries again', async () => {
    servers.answer = (_request, response) => response.writeHead(500).end()
    const api = remote()
    const outcomes = await Promise.all(Array.from({ length: 1000 }, () => api.outcome(tokenOf(ISSUER))))
    expect(new Set(outcomes)).toEqual(new Set(['keys_unavailable']))
    expect(servers.asked).toHaveLength(1)
    servers.answer = json(goodSet)
    expect(await api.outcome(tokenOf(ISSUER))).toBe('ok')
    expect(servers.asked).toHaveLength(2)
  })

  test('[BEHALF-one-fetch] everybody who waited for a failed fetch gets an error of their own', async () => {
    const trouble = 'the key set has no list of keys'
    servers.answer = json({ keys: 'none' })
    const api = remote()
    const waited = await Promise.all([api.error(tokenOf(ISSUER)), api.error(tokenOf(ISSUER))])
    expect(servers.asked).toHaveLength(1)
    // Within the cool-down an unknown key is not looked for again: that error is nobody else's either.
    servers.answer = json(goodSet)
    expect(await api.outcome(tokenOf(ISSUER))).toBe('ok')
    servers.answer = json({ keys: 'none' })
    clock += 600_000
    const stranger = (id: string) => api.error(tokenOf(ISSUER, KEY, { kid: id }))
    const later = [await stranger('a'), await stranger('b'), ...(await Promise.all([stranger('c'), stranger('d')]))]
    const errors = [...waited, ...later]
    expect(errors.map(({ code, cause }) => [code, (cause as Error).message])).toEqual(
      errors.map(() => ['keys_unavailable', trouble]),
    )
    expect(new Set(errors).size).toBe(6)
    expect(new Set(errors.map(({ cause }) => cause)).size).toBe(6)
  })

  test('keys are used for 600 s, and fetched again then', async () => {
    const api = remote()
    const fetches = async (milliseconds: number) => {
      clock = START + milliseconds
      expect(await api.outcome(tokenOf(ISSUER))).toBe('ok')
      return servers.asked.length
    }
    expect(await fetches(0)).toBe(1)
    expect(await fetches(599_999)).toBe(1)
    expect(await fetches(600_000)).toBe(2)
    expect(await fetches(600_001)).toBe(2)
  })

  test('keys from the future, after the clock was set back, are fetched again rather than trusted', async () => {
    const api = remote()
    const hours = 3_600_000
    expect(await api.outcome(tokenOf(ISSUER))).toBe('ok')
    const replacement = createSigningKey('EdDSA', { kid: 'key-2' })
    servers.answer = json({ keys: [replacement.jwk] })
    clock = START - 2 * hours
    const early = { iat: Math.floor(clock / 1000) }
    expect(await api.outcome(tokenOf(ISSUER, KEY, {}, early))).toBe('key_unknown')
    expect(servers.asked).toHaveLength(2)
    expect(await api.outcome(tokenOf(ISSUER, replacement, {}, early))).toBe('ok')
    expect(servers.asked).toHaveLength(2)
  })

  test('[BEHALF-unknown-kid] after the clock was set back, an unknown key id is looked for at once', async () => {
    const api = remote()
    expect(await api.outcome(tokenOf(ISSUER))).toBe('ok')
    clock = START - 1
    const replacement = createSigningKey('EdDSA', { kid: 'key-2' })
    servers.answer = json({ keys: [KEY.jwk, replacement.jwk] })
    expect(await api.outcome(tokenOf(ISSUER, replacement, {}, { iat: Math.floor(clock / 1000) }))).toBe('ok')
    expect(servers.asked).toHaveLength(2)
  })

  test('[BEHALF-unknown-kid] unknown key ids cause at most one fetch in the cool-down', async () => {
    const api = remote()
    expect(await api.outcome(tokenOf(ISSUER))).toBe('ok')
    const strangers = async (milliseconds: number) => {
      clock = START + milliseconds
      const tokens = Array.from({ length: 100 }, (_, index) => tokenOf(ISSUER, KEY, { kid: `stranger-${index}` }))
      const outcomes = await Promise.all(tokens.map((token) => api.outcome(token)))
      expect(new Set(outcomes)).toEqual(new Set(['key_unknown']))
      return servers.asked.length
    }
    expect(await strangers(0)).toBe(1)
    expect(await strangers(4_999)).toBe(1)
    expect(await strangers(5_000)).toBe(2)
    expect(await strangers(5_001)).toBe(2)
    expect(await strangers(9_999)).toBe(2)
    expect(await strangers(10_000)).toBe(3)
  })

  test('[BEHALF-no-idle-fetch] nothing is fetched for a token that could not be accepted anyway', async () => {
    const api = remote({
      issuers: [oauth({ issuer: ISSUER, audience: TEST_AUDIENCE, jwksUri: `${servers.origin}/jwks`, algorithms: ['EdDSA'] })],
    })
    const es = createSigningKey('ES256')
    const cases = (): readonly (readonly [token: string, code: string])[] => [
      [tokenOf('https://stranger.example.test'), 'issuer_unknown'],
      [tokenOf(ISSUER, es), 'algorithm_refused'],
      [tokenOf(ISSUER, KEY, { alg: 'none' }), 'algorithm_refused'],
      [tokenOf(ISSUER, KEY, { kid: 'k'.repeat(257) }), 'key_unknown'],
      ['a.b.c', 'token_malformed'],
    ]
    for (const [token, code] of cases()) expect(await api.outcome(token)).toBe(code)
    expect(servers.asked).toEqual([])
    expect(await api.outcome(tokenOf(ISSUER))).toBe('ok')
    clock += 60_000
    for (const [token, code] of cases()) expect(await api.outcome(token)).toBe(code)
    expect(servers.asked).toHaveLength(1)
    // The longest key id that is looked for does cause a fetch.
    expect(await api.outcome(tokenOf(ISSUER, KEY, { kid: 'k'.repeat(256) }))).toBe('key_unknown')
    expect(servers.asked).toHaveLength(2)
  })

  test('[BEHALF-removed-key] a new key is found after the cool-down, and the old one is refused from then on', async () => {
    const issuer = await createTestIssuer({ algorithms: ['EdDSA'], now })
    try {
      const api = apiOf({ issuers: [issuer.options()] })
      const [known, unused] = [issuer.token(), issuer.token()]
      expect(await api.outcome(known)).toBe('ok')
      issuer.rotate()
      const renewed = issuer.token()
      // Within the cool-down nobody asks, so that nobody knows.
      expect(await api.outcome(renewed)).toBe('key_unknown')
      expect(await api.outcome(known)).toBe('ok')
      clock += 5_000
      expect(await api.outcome(renewed)).toBe('ok')
      expect(issuer.hits.jwks).toBe(2)
      expect(await api.outcome(known)).toBe('key_unknown')
      expect(await api.outcome(unused)).toBe('key_unknown')
      expect(await api.outcome(renewed)).toBe('ok')
    } finally {
      await issuer.close()
    }
  })

  test('[BEHALF-removed-key] a known token alone is enough to notice that its key is gone', async () => {
    const api = remote()
    const token = tokenOf(ISSUER)
    expect(await api.outcome(token)).toBe('ok')
    servers.answer = json({ keys: [createSigningKey('EdDSA').jwk] })
    clock = START + 599_999
    expect(await api.outcome(token)).toBe('ok')
    clock = START + 600_000
    expect(await api.outcome(token)).toBe('key_unknown')
    expect(await api.outcome(token)).toBe('key_unknown')
  })

  test('[BEHALF-removed-key] other key material under the same id replaces the key', async () => {
    const api = remote()
    const token = tokenOf(ISSUER)
    expect(await api.outcome(token)).toBe('ok')
    const other = createSigningKey('EdDSA', { kid: KID })
    servers.answer = json({ keys: [other.jwk] })
    clock = START + 600_000
    expect(await api.outcome(token)).toBe('key_unknown')
    expect(await api.outcome(tokenOf(ISSUER))).toBe('signature_invalid')
    expect(await api.outcome(tokenOf(ISSUER, other))).toBe('ok')
  })

  test('[BEHALF-proof-under-way] a key that disappears while its proof is computed proves nothing, and nothing is cached', async () => {
    const environment = { fetch: globalThis.fetch, now, limits: DEFAULT_LIMITS }
    const issuer = resolveIssuer(trusting([KEY.jwk]), 'issuer', environment)
    const present = await issuer.keys.current()
    const gone = new KeySnapshot([], START)
    let current: KeySnapshot = gone
    let found = 0
    const keys: KeySet = {
      async find(kid, algorithm) {
        found++
        return issuer.keys.find(kid, algorithm)
      },
      current: () => current,
      get latest() {
        return current
      },
    }
    const verifier = createVerifier({
      issuers: new Map([[ISSUER, { ...issuer, keys }]]),
      cache: new VerifiedCache<ProvenToken>(10, 1_000_000),
      now,
      clockToleranceSeconds: 5,
      limits: DEFAULT_LIMITS,
    })
    const outcome = async (token: string) => {
      const result = await verifier.prove(token)
      return isRefused(result) ? result.error.code : 'ok'
    }
    const token = tokenOf(ISSUER)
    expect(await outcome(token)).toBe('key_unknown')
    current = present
    expect(await outcome(token)).toBe('ok')
    expect(found).toBe(2)
    expect(await outcome(token)).toBe('ok')
    expect(found).toBe(2)
  })

  describe('in trouble', () => {
    const unusable = [{ kty: 'oct', k: 'AAAA' }, { ...KEY.jwk, use: 'enc' }, { kty: 'RSA', n: 'AQAB', e: 'AQAB' }, null, 'key']
    const many = (count: number) => ({ keys: [KEY.jwk, ...Array.from({ length: count - 1 }, () => unusable[1])] })
    const sized = (bytes: number) => JSON.stringify(goodSet).padEnd(bytes)
    const status =
      (code: number, headers: Record<string, string> = {}) =>
      (_request: IncomingMessage, response: ServerResponse) => {
        response.writeHead(code, headers).end(code === 204 || code === 304 ? undefined : JSON.stringify(goodSet))
      }

    test.each<[string, KeyServer['answer']]>([
      ['status 500', status(500)],
      ['status 404', status(404)],
      ['status 401', status(401)],
      ['status 204', status(204)],
      ['status 206', status(206)],
      ['status 304', status(304)],
      ['HTML', json('<html></html>')],
      ['no content', json('')],
      ['broken JSON', json('{"keys":[')],
      ['a list', json([KEY.jwk])],
      ['null', json('null')],
      ['no keys', json({})],
      ['keys that are no list', json({ keys: { 0: KEY.jwk } })],
      ['an empty set', json({ keys: [] })],
      ['no usable key', json({ keys: unusable })],
      ['a key for an algorithm of another curve alone', json({ keys: [{ ...createSigningKey('ES256').jwk, alg: 'ES384' }] })],
      ['a duplicate member', json(`{"keys":[],"keys":[${JSON.stringify(KEY.jwk)}]}`)],
      ['too many keys', json(many(65))],
      ['too many bytes', json(sized(256 * 1024 + 1))],
      [
        'text that is not UTF-8',
        (_request, response) => response.end(Buffer.concat([Buffer.from('{"x":"'), Buffer.from([0xff]), Buffer.from('"}')])),
      ],
      ['a closed connection', (request) => request.socket.destroy()],
      [
        'a connection closed half-way',
        (request, response) => {
          response.writeHead(200, { 'content-length': '1000' }).write('{"keys":[', () => request.socket.destroy())
        },
      ],
    ])('[BEHALF-own-trouble] %s is 503 keys_unavailable, and the next request tries again', async (_what, answer) => {
      const api = remote()
      const token = tokenOf(ISSUER)
      servers.answer = answer
      await expectUnavailable(api, token)
      await expectUnavailable(api, token)
      expect(servers.asked).toHaveLength(2)
      servers.answer = json(goodSet)
      expect(await api.outcome(token)).toBe('ok')
    })

    test('[BEHALF-fetch-bounds] 64 keys and 256 KiB are within the limits', async () => {
      servers.answer = json(many(64))
      expect(await remote().outcome(tokenOf(ISSUER))).toBe('ok')
      servers.answer = json(sized(256 * 1024))
      expect(await remote().outcome(tokenOf(ISSUER))).toBe('ok')
    })

    test('[RFC7517-5-unknown] keys that cannot be used are passed over', async () => {
      servers.answer = json({ keys: [...unusable, KEY.jwk], more: true })
      expect(await remote().outcome(tokenOf(ISSUER))).toBe('ok')
    })

    test.each([301, 302, 303, 307, 308])('[BEHALF-fetch-redirect] a redirect (%i) is not followed', async (code) => {
      servers.answer = (request, response) => {
        if (request.url === '/jwks') response.writeHead(code, { location: `${servers.origin}/elsewhere` }).end()
        else json(goodSet)(request, response)
      }
      await expectUnavailable(remote(), tokenOf(ISSUER))
      expect(servers.asked).toEqual(['/jwks'])
    })

    test('[BEHALF-fetch-bounds] of a body of 64 MiB only the beginning is read', async () => {
      const chunk = Buffer.alloc(64 * 1024, ' ')
      const closed = new Promise<number>((resolve) => {
        servers.answer = (_request, response) => {
          let sent = 0
          const send = () => {
            while (sent < 64 * 2 ** 20) {
              sent += chunk.length
              if (!response.write(chunk)) return
            }
            response.end()
          }
          response.on('drain', send).on('close', () => resolve(sent))
          send()
        }
      })
      await expectUnavailable(remote(), tokenOf(ISSUER))
      expect(await closed).toBeLessThan(32 * 2 ** 20)
    })

    test('[BEHALF-fetch-bounds] the limit is on what is unpacked, not on what is sent', async () => {
      const packed = gzipSync(sized(8 * 2 ** 20))
      expect(packed.length).toBeLessThan(64 * 1024)
      servers.answer = (_request, response) => response.writeHead(200, { 'content-encoding': 'gzip' }).end(packed)
      await expectUnavailable(remote(), tokenOf(ISSUER))
    })

    test('[BEHALF-own-trouble] also for a token that is known, once its keys are no longer fresh', async () => {
      const api = remote()
      const token = tokenOf(ISSUER)
      expect(await api.outcome(token)).toBe('ok')
      servers.answer = status(500)
      clock = START + 599_999
      expect(await api.outcome(token)).toBe('ok')
      clock = START + 600_000
      await expectUnavailable(api, token)
      servers.answer = json(goodSet)
      expect(await api.outcome(token)).toBe('ok')
    })

    test('[BEHALF-own-trouble] an unknown key id is not called unknown as long as nobody could look; known keys go on', async () => {
      const api = remote()
      expect(await api.outcome(tokenOf(ISSUER))).toBe('ok')
      servers.answer = status(500)
      clock += 5_000
      await expectUnavailable(api, tokenOf(ISSUER, KEY, { kid: 'stranger' }))
      expect(await api.outcome(tokenOf(ISSUER))).toBe('ok')
    })

    test('[BEHALF-secrecy] the error quotes nothing of what the server said', async () => {
      for (const answer of [
        json('CANARY0815'),
        status(418, { 'x-canary': 'CANARY0815' }),
        json({ keys: [{ kty: 'CANARY0815' }] }),
      ]) {
        servers.answer = answer
        const error = await remote().error(tokenOf(ISSUER))
        expect(error.cause).toBeInstanceOf(Error)
        expect(inspect(error, { depth: 9 }) + JSON.stringify(error)).not.toContain('CANARY0815')
      }
    })

    test('[RFC9110-10.2.3-retry-after] callers are told to wait for whole seconds, as configured', async () => {
      servers.answer = status(500)
      const error = await remote({ limits: { retryAfterSeconds: 60 } }).error(tokenOf(ISSUER))
      expect(error.headers['retry-after']).toBe('60')
    })
  })

  describe('in time', () => {
    beforeEach(() => {
      vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    })
    afterEach(() => {
      vi.useRealTimers()
    })

    /** Watches a call without waiting for it. */
    function watch(outcome: Promise<string>): { settled: string | null; readonly outcome: Promise<string> } {
      const watched = { settled: null as string | null, outcome }
      outcome.then((result) => {
        watched.settled = result
      })
      return watched
    }

    test('[BEHALF-fetch-bounds] a server that says nothing is given up after 2 s, for everybody who waits', async () => {
      const asked = new Promise<void>((resolve) => {
        servers.answer = () => resolve()
      })
      const api = remote()
      const calls = [watch(api.outcome(tokenOf(ISSUER))), watch(api.outcome(tokenOf(ISSUER)))]
      await asked
      await vi.advanceTimersByTimeAsync(1_999)
      expect(calls.map(({ settled }) => settled)).toEqual([null, null])
      await vi.advanceTimersByTimeAsync(1)
      expect(await Promise.all(calls.map(({ outcome }) => outcome))).toEqual(['keys_unavailable', 'keys_unavailable'])
      servers.answer = json(goodSet)
      expect(await api.outcome(tokenOf(ISSUER))).toBe('ok')
    })

    test('[BEHALF-fetch-bounds] a server that trickles is given up after 3 s in all', async () => {
      servers.answer = (_request, response) => {
        response.writeHead(200).write('{"keys":')
      }
      let headersCame = () => {}
      const headers = new Promise<void>((resolve) => {
        headersCame = resolve
      })
      const fetch: Fetch = async (url, init) => {
        const response = await globalThis.fetch(url, init)
        headersCame()
        return response
      }
      const call = watch(remote({ fetch }).outcome(tokenOf(ISSUER)))
      await headers
      await vi.advanceTimersByTimeAsync(2_999)
      expect(call.settled).toBeNull()
      await vi.advanceTimersByTimeAsync(1)
      expect(await call.outcome).toBe('keys_unavailable')
    })

    test.each<[string, Fetch]>([
      ['never answers', () => new Promise(() => {})],
      [
        'answers with a body that never ends',
        async () => new Response(new ReadableStream({ pull: () => new Promise(() => {}) })),
      ],
    ])(
      "[BEHALF-fetch-bounds] an application's own fetch that %s and ignores its signal is given up too",
      async (_what, fetch) => {
        const call = watch(remote({ fetch }).outcome(tokenOf(ISSUER)))
        await vi.advanceTimersByTimeAsync(3_000)
        expect(call.settled).toBe('keys_unavailable')
      },
    )
  })

  test.each<[string, Fetch]>([
    [
      'throws',
      () => {
        throw new RangeError('CANARY0815')
      },
    ],
    ['rejects', () => Promise.reject(new RangeError('CANARY0815'))],
    ['rejects with nothing', () => Promise.reject(undefined)],
    ['answers with something else', async () => ({}) as Response],
  ])("[BEHALF-own-trouble] an application's own fetch that %s is 503", async (_what, fetch) => {
    const api = remote({ fetch })
    await expectUnavailable(api, tokenOf(ISSUER))
    expect(inspect(await api.error(tokenOf(ISSUER)), { depth: 9 })).not.toContain('CANARY0815')
  })

  test("an application's own fetch gets the address, and is told not to follow redirects", async () => {
    const calls: [string, RequestInit][] = []
    const fetch: Fetch = async (url, init) => {
      calls.push([url, init])
      return Response.json(goodSet)
    }
    expect(await remote({ fetch }).outcome(tokenOf(ISSUER))).toBe('ok')
    expect(calls).toEqual([
      [`${servers.origin}/jwks`, expect.objectContaining({ redirect: 'manual', signal: expect.any(AbortSignal) })],
    ])
  })
})

describe('addresses', () => {
  test.each([
    'https://as.example.test/jwks',
    'https://as.example.test:8443/jwks?tenant=1',
    'HTTPS://AS.EXAMPLE.TEST/',
    'http://localhost/jwks',
    'http://localhost:8080/jwks',
    'http://127.0.0.1:8080/jwks',
    'http://127.1.2.3/',
    'http://[::1]:8080/jwks',
  ])('[BEHALF-fetch-https] %s may be fetched', (url) => {
    expect(isFetchable(url)).toBe(true)
    expect(() => createResourceServer({ issuers: [oauth({ issuer: 'x', audience: 'y', jwksUri: url })] })).not.toThrow()
  })

  test.each([
    'http://as.example.test/jwks',
    'http://localhost.example.test/',
    'http://notlocalhost/',
    'http://127.0.0.1.example.test/',
    'http://128.0.0.1/',
    'http://10.0.0.1/',
    'http://169.254.169.254/latest/meta-data/',
    'http://0.0.0.0/',
    'http://[::]/',
    'http://[::ffff:10.0.0.1]/',
    'http://127.0.0.1@as.example.test/',
    'https://user:pass@as.example.test/',
    'https://user@as.example.test/',
    'https://as.example.test/#keys',
    'ftp://localhost/jwks',
    'file:///etc/passwd',
    'data:application/json,{}',
    'javascript:1',
    '//as.example.test/jwks',
    '/jwks',
    'as.example.test/jwks',
    'https://',
    ' ',
  ])('[BEHALF-fetch-https] %s may not', (url) => {
    expect(isFetchable(url)).toBe(false)
    const options = () => createResourceServer({ issuers: [oauth({ issuer: 'x', audience: 'y', jwksUri: url })] })
    expect(options).toThrow(ConfigError)
    expect(options).toThrow(/jwksUri/)
  })

  test('[BEHALF-fetch-https] an issuer that is no such address needs its keys named', () => {
    for (const issuer of ['P2UcQcyxrjSA3mr6y0xZKRYI5oJz', 'http://as.example.test', 'https://as.example.test/#a', 'urn:as']) {
      expect(() => createResourceServer({ issuers: [oauth({ issuer, audience: 'y' })] }), issuer).toThrow(ConfigError)
      expect(() => createResourceServer({ issuers: [trusting([KEY.jwk], issuer)] }), issuer).not.toThrow()
    }
  })

  test('keys are named once', () => {
    const both = { issuer: 'x', audience: 'y', jwks: goodSet, jwksUri: 'https://as.example.test/jwks' }
    expect(() => createResourceServer({ issuers: [oauth(both)] })).toThrow(/both/)
  })
})

describe('discovery', () => {
  const OAUTH = '/.well-known/oauth-authorization-server'
  const OPENID = '/.well-known/openid-configuration'

  /** Documents by path; everything else is not found. */
  const documents = (found: Readonly<Record<string, unknown>>) => (request: IncomingMessage, response: ServerResponse) => {
    const document = found[request.url ?? '']
    if (document === undefined) response.writeHead(404).end()
    else json(document)(request, response)
  }
  const metadata = (issuer: string, more: object = {}) => ({ issuer, jwks_uri: `${servers.origin}/keys`, ...more })
  const discovering = (issuer: string) => apiOf({ issuers: [oauth({ issuer, audience: TEST_AUDIENCE })] })

  test.each([
    [
      'https://as.example',
      ['https://as.example/.well-known/oauth-authorization-server', 'https://as.example/.well-known/openid-configuration'],
    ],
    [
      'https://as.example/',
      ['https://as.example/.well-known/oauth-authorization-server', 'https://as.example/.well-known/openid-configuration'],
    ],
    [
      'https://as.example:8443/t/1',
      [
        'https://as.example:8443/.well-known/oauth-authorization-server/t/1',
        'https://as.example:8443/t/1/.well-known/openid-configuration',
      ],
    ],
    [
      'https://as.example/t/1/',
      [
        'https://as.example/.well-known/oauth-authorization-server/t/1',
        'https://as.example/t/1/.well-known/openid-configuration',
      ],
    ],
  ])('[RFC8414-3.1-path] the metadata of %s stands between host and path, or behind the path', (issuer, urls) => {
    expect(metadataUrls(issuer)).toEqual(urls)
  })

  test.each(['', '/', '/t/1', '/t/1/'])(
    '[RFC8414-3.1-path] finds the keys of an issuer with the path %j by its metadata',
    async (path) => {
      const issuer = `${servers.origin}${path}`
      const at = `${OAUTH}${path.replace(/\/$/, '')}`
      servers.answer = documents({ [at]: metadata(issuer), '/keys': goodSet })
      expect(await discovering(issuer).outcome(tokenOf(issuer))).toBe('ok')
      expect(servers.asked).toEqual([at, '/keys'])
    },
  )

  test.each(['', '/', '/t/1', '/t/1/'])(
    '[OPENID-DISCOVERY-4-suffix] or, with the path %j, by its OpenID configuration',
    async (path) => {
      const issuer = `${servers.origin}${path}`
      const bare = path.replace(/\/$/, '')
      servers.answer = documents({ [`${bare}${OPENID}`]: metadata(issuer), '/keys': goodSet })
      expect(await discovering(issuer).outcome(tokenOf(issuer))).toBe('ok')
      expect(servers.asked).toEqual([`${OAUTH}${bare}`, `${bare}${OPENID}`, '/keys'])
    },
  )

  test('[RFC8414-3.3-issuer] metadata of another issuer is not used: 503, and its keys are not fetched', async () => {
    const issuer = `${servers.origin}/t/1`
    for (const other of [
      `${issuer}/`,
      servers.origin,
      issuer.toUpperCase(),
      `${issuer}?`,
      'https://as.example.test',
      '',
      null,
      [issuer],
      undefined,
    ]) {
      servers.answer = documents({
        [`${OAUTH}/t/1`]: metadata(issuer, { issuer: other }),
        [`/t/1${OPENID}`]: metadata(issuer, { issuer: other }),
        '/keys': goodSet,
      })
      await expectUnavailable(discovering(issuer), tokenOf(issuer), JSON.stringify(other))
    }
    expect(servers.asked).not.toContain('/keys')
  })

  test('[BEHALF-fetch-https] keys that metadata places elsewhere than https or loopback are not fetched: 503', async () => {
    const issuer = servers.origin
    for (const jwks_uri of [
      'http://as.example.test/keys',
      'file:///etc/passwd',
      '/keys',
      '',
      null,
      [`${issuer}/keys`],
      undefined,
      `${issuer.replace('//', '//user@')}/keys`,
    ]) {
      servers.answer = documents({ [OAUTH]: { issuer, jwks_uri }, [OPENID]: { issuer, jwks_uri }, '/keys': goodSet })
      await expectUnavailable(discovering(issuer), tokenOf(issuer), JSON.stringify(jwks_uri))
    }
    expect(servers.asked).not.toContain('/keys')
  })

  test.each([500, 404, 'garbage', 'redirect', 'reset'] as const)(
    '[BEHALF-discovery-retried] metadata in trouble (%s) is 503, tried again, and never remembered',
    async (trouble) => {
      const issuer = await createTestIssuer({ algorithms: ['EdDSA'], now, path: '/t/1' })
      try {
        const api = apiOf({ issuers: [issuer.options()] })
        issuer.fail(trouble, 'metadata')
        await expectUnavailable(api, issuer.token())
        expect(issuer.hits).toEqual({ metadata: 2, jwks: 0 })
        await expectUnavailable(api, issuer.token())
        expect(issuer.hits).toEqual({ metadata: 4, jwks: 0 })
        issuer.recover()
        expect(await api.outcome(issuer.token())).toBe('ok')
        expect(issuer.hits).toEqual({ metadata: 5, jwks: 1 })
      } finally {
        await issuer.close()
      }
    },
  )

  test('[BEHALF-one-fetch] any number of first requests share one discovery and one fetch', async () => {
    const issuer = await createTestIssuer({ algorithms: ['EdDSA'], now })
    try {
      const api = apiOf({ issuers: [issuer.options()] })
      const outcomes = await Promise.all(Array.from({ length: 1000 }, () => api.outcome(issuer.token())))
      expect(new Set(outcomes)).toEqual(new Set(['ok']))
      expect(issuer.hits).toEqual({ metadata: 1, jwks: 1 })
    } finally {
      await issuer.close()
    }
  })

  test('keys that have moved are found by the next fetch', async () => {
    const issuer = servers.origin
    const api = discovering(issuer)
    servers.answer = documents({ [OAUTH]: metadata(issuer), '/keys': goodSet })
    expect(await api.outcome(tokenOf(issuer))).toBe('ok')
    servers.answer = documents({ [OAUTH]: metadata(issuer, { jwks_uri: `${issuer}/moved` }), '/moved': goodSet })
    clock += 600_000
    expect(await api.outcome(tokenOf(issuer))).toBe('ok')
    expect(servers.asked).toEqual([OAUTH, '/keys', OAUTH, '/moved'])
  })
})

describe('several issuers', () => {
  let one: TestIssuer
  let two: TestIssuer
  beforeAll(async () => {
    ;[one, two] = await Promise.all([
      createTestIssuer({ algorithms: ['EdDSA'], now }),
      createTestIssuer({ algorithms: ['EdDSA'], now }),
    ])
  })
  afterEach(() => {
    one.recover()
    two.recover()
  })
  afterAll(() => Promise.all([one.close(), two.close()]))

  test("[BEHALF-issuer-isolation] one issuer's trouble does not touch another's tokens", async () => {
    const api = apiOf({ issuers: [one.options(), two.options()] })
    for (const trouble of [500, 'garbage', 'reset'] as const) {
      one.fail(trouble)
      await expectUnavailable(api, one.token())
      expect(await api.outcome(two.token())).toBe('ok')
    }
    one.recover()
    expect(await api.outcome(one.token())).toBe('ok')
  })

  test("[BEHALF-issuer-isolation] an issuer that hangs does not delay another's tokens", async () => {
    let release = () => {}
    const held = new Promise<void>((resolve) => {
      release = resolve
    })
    const fetch: Fetch = async (url, init) => {
      if (url.startsWith(one.issuer)) await held
      return globalThis.fetch(url, init)
    }
    const api = apiOf({ issuers: [one.options(), two.options()], fetch })
    const waiting = api.outcome(one.token())
    expect(await api.outcome(two.token())).toBe('ok')
    release()
    expect(await waiting).toBe('ok')
  })

  test('[RFC8725-3.8-issuer-keys] keys of one issuer never prove what another is said to say, also under the same key id', async () => {
    const [ofOne, ofTwo] = [createSigningKey('EdDSA', { kid: KID }), createSigningKey('EdDSA', { kid: KID })]
    const [first, second] = ['https://one.example.test', 'https://two.example.test']
    const serve: Fetch = async (url) => Response.json({ keys: [url.includes('one') ? ofOne.jwk : ofTwo.jwk] })
    const issuers = [first, second].map((issuer) => oauth({ issuer, audience: TEST_AUDIENCE, jwksUri: `${issuer}/jwks` }))
    const api = apiOf({ issuers, fetch: serve })
    for (const _time of ['first', 'again']) {
      expect(await api.outcome(tokenOf(first, ofOne))).toBe('ok')
      expect(await api.outcome(tokenOf(second, ofTwo))).toBe('ok')
      expect(await api.outcome(tokenOf(second, ofOne))).toBe('signature_invalid')
      expect(await api.outcome(tokenOf(first, ofTwo))).toBe('signature_invalid')
    }
  })

  test('[RFC8725-3.8-issuer-keys] an unknown issuer is refused before any key is looked for', async () => {
    const api = apiOf({ issuers: [one.options(), two.options()] })
    const before = [{ ...one.hits }, { ...two.hits }]
    expect(await api.outcome(tokenOf('https://three.example.test'))).toBe('issuer_unknown')
    expect([one.hits, two.hits]).toEqual(before)
  })
})
