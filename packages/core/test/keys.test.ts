/** Keys that are fetched: when, how often, within which bounds, and what their trouble means for a token. */
import { inspect } from 'node:util'
import { gzipSync } from 'node:zlib'
import { DEFAULT_LIMITS, type Fetch, type ResourceServerOptions } from '@behalf/core'
import { oauth } from '@behalf/core/issuers'
import { createSigningKey, createTestIssuer, TEST_AUDIENCE, type TestIssuer } from '@behalf/testing'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { resolveIssuer } from '../src/issuers/issuer.js'
import { ListedIssuers } from '../src/issuers/registry.js'
import { type KeySet, KeySnapshot } from '../src/keys/key-set.js'
import { isRefused, type ProvenToken } from '../src/proven-token.js'
import { VerifiedCache } from '../src/token/verified-cache.js'
import { createVerifier } from '../src/verifier.js'
import {
  apiOf,
  clock,
  expectUnavailable,
  GOOD_SET,
  ISSUER,
  issuerAt,
  KEY,
  KID,
  PAUSE_OVER,
  START,
  tokenOf,
  until,
  watchedFetch,
} from './support/key-apis.js'
import { type Answer, createKeyServer, cutOff, json, type KeyServer, reset, status, trickle } from './support/key-server.js'

let server: KeyServer
beforeAll(async () => {
  server = await createKeyServer()
})
beforeEach(() => {
  clock.time = START
  server.reset()
  server.answer = json(GOOD_SET)
})
afterAll(() => server.close())

/** An API whose one issuer has its keys at the test server. */
const remote = (more: Partial<ResourceServerOptions> = {}) => apiOf({ issuers: [issuerAt(server.jwksUri)], ...more })

describe('remote keys', () => {
  test('[BEHALF-one-fetch] nothing is fetched before a token needs it, and one fetch serves any number of them', async () => {
    const api = remote()
    expect(server.asked).toEqual([])
    const outcomes = await Promise.all(Array.from({ length: 1000 }, () => api.outcome(tokenOf(ISSUER))))
    expect(new Set(outcomes)).toEqual(new Set(['ok']))
    expect(server.asked).toEqual(['/jwks'])
  })

  test('[BEHALF-one-fetch] a failed fetch, too, is one for everybody who waited, and for everybody in the pause after it', async () => {
    server.answer = status(500)
    const api = remote()
    const outcomes = await Promise.all(Array.from({ length: 1000 }, () => api.outcome(tokenOf(ISSUER))))
    expect(new Set(outcomes)).toEqual(new Set(['keys_unavailable']))
    server.answer = json(GOOD_SET)
    expect(await api.outcome(tokenOf(ISSUER))).toBe('keys_unavailable')
    expect(server.asked).toHaveLength(1)
    clock.time += 1_000
    expect(await api.outcome(tokenOf(ISSUER))).toBe('ok')
    expect(server.asked).toHaveLength(2)
  })

  test('[BEHALF-one-fetch] everybody who waited for a failed fetch gets an error of their own', async () => {
    const trouble = 'the key set has no list of keys'
    server.answer = json({ keys: 'none' })
    const api = remote()
    const waited = await Promise.all([api.error(tokenOf(ISSUER)), api.error(tokenOf(ISSUER))])
    expect(server.asked).toHaveLength(1)
    server.answer = json(GOOD_SET)
    clock.time += 1_000
    expect(await api.outcome(tokenOf(ISSUER))).toBe('ok')
    server.answer = json({ keys: 'none' })
    clock.time += 5_000
    // Only the first of them causes a fetch: in the pause after it the error is nobody else's either.
    const stranger = (id: string) => api.error(tokenOf(ISSUER, KEY, { kid: id }))
    const later = [await stranger('a'), await stranger('b'), ...(await Promise.all([stranger('c'), stranger('d')]))]
    const errors = [...waited, ...later]
    expect(errors.map(({ code, cause }) => [code, (cause as Error).message])).toEqual(
      errors.map(() => ['keys_unavailable', trouble]),
    )
    expect(server.asked).toHaveLength(3)
    expect(new Set(errors).size).toBe(6)
    expect(new Set(errors.map(({ cause }) => cause)).size).toBe(6)
  })

  test('keys are fetched again in the background, when 70 to 80 percent of their time are over', async () => {
    const { fetch, idle } = watchedFetch()
    const api = remote({ fetch })
    const fetches = async (milliseconds: number) => {
      clock.time = START + milliseconds
      expect(await api.outcome(tokenOf(ISSUER))).toBe('ok')
      await idle()
      return server.asked.length
    }
    expect(await fetches(0)).toBe(1)
    expect(await fetches(419_999)).toBe(1)
    expect(await fetches(480_000)).toBe(2)
    expect(await fetches(480_001)).toBe(2)
  })

  test('keys from the future, after the clock was set back, are fetched again at once, while nobody waits', async () => {
    const api = remote()
    const hours = 3_600_000
    expect(await api.outcome(tokenOf(ISSUER))).toBe('ok')
    const replacement = createSigningKey('EdDSA', { kid: 'key-2' })
    server.answer = json({ keys: [replacement.jwk] })
    clock.time = START - 2 * hours
    const early = { iat: Math.floor(clock.time / 1000) }
    const known = tokenOf(ISSUER, KEY, {}, early)
    await api.outcome(known) // by the old keys or the new ones: both are possible
    expect(await api.outcome(tokenOf(ISSUER, replacement, {}, early))).toBe('ok')
    expect(server.asked).toHaveLength(2)
    expect(await api.outcome(known)).toBe('key_unknown')
  })

  test('[BEHALF-unknown-kid] after the clock was set back, an unknown key id is looked for at once', async () => {
    const api = remote()
    expect(await api.outcome(tokenOf(ISSUER))).toBe('ok')
    clock.time = START - 1
    const replacement = createSigningKey('EdDSA', { kid: 'key-2' })
    server.answer = json({ keys: [KEY.jwk, replacement.jwk] })
    expect(await api.outcome(tokenOf(ISSUER, replacement, {}, { iat: Math.floor(clock.time / 1000) }))).toBe('ok')
    expect(server.asked).toHaveLength(2)
  })

  test('[BEHALF-unknown-kid] unknown key ids cause two fetches beside the first one, and one more every 5 s', async () => {
    const api = remote()
    expect(await api.outcome(tokenOf(ISSUER))).toBe('ok')
    const stranger = async (milliseconds: number, kid: string) => {
      clock.time = START + milliseconds
      return [await api.outcome(tokenOf(ISSUER, KEY, { kid })), server.asked.length]
    }
    expect(await stranger(0, 'a')).toEqual(['key_unknown', 2])
    expect(await stranger(0, 'b')).toEqual(['key_unknown', 3])
    expect(await stranger(0, 'c')).toEqual(['keys_unavailable', 3])
    expect(await stranger(0, 'a')).toEqual(['key_unknown', 3])
    expect(await stranger(4_999, 'c')).toEqual(['keys_unavailable', 3])
    expect(await stranger(5_000, 'c')).toEqual(['key_unknown', 4])
    expect(await stranger(5_000, 'd')).toEqual(['keys_unavailable', 4])
    expect(await stranger(9_999, 'd')).toEqual(['keys_unavailable', 4])
    expect(await stranger(10_000, 'd')).toEqual(['key_unknown', 5])
    // After a quiet time there are three again, and no more.
    for (const [kid, fetches] of [
      ['e', 6],
      ['f', 7],
      ['g', 8],
      ['h', 8],
    ] as const) {
      expect((await stranger(100_000, kid))[1]).toBe(fetches)
    }
  })

  test('[BEHALF-no-idle-fetch] nothing is fetched for a token that could not be accepted anyway', async () => {
    const api = remote({
      issuers: [oauth({ issuer: ISSUER, audience: TEST_AUDIENCE, jwksUri: `${server.origin}/jwks`, algorithms: ['EdDSA'] })],
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
    expect(server.asked).toEqual([])
    expect(await api.outcome(tokenOf(ISSUER))).toBe('ok')
    clock.time += 60_000
    for (const [token, code] of cases()) expect(await api.outcome(token)).toBe(code)
    expect(server.asked).toHaveLength(1)
    // The longest key id that is looked for does cause a fetch.
    expect(await api.outcome(tokenOf(ISSUER, KEY, { kid: 'k'.repeat(256) }))).toBe('key_unknown')
    expect(server.asked).toHaveLength(2)
  })

  test('[BEHALF-removed-key] a new key is found at once, and the old one is refused from then on', async () => {
    const issuer = await createTestIssuer({ algorithms: ['EdDSA'], now: clock.now })
    try {
      const api = apiOf({ issuers: [issuer.options()] })
      const [known, unused] = [issuer.token(), issuer.token()]
      expect(await api.outcome(known)).toBe('ok')
      issuer.rotate()
      // Until somebody asks for the new key, nobody knows.
      expect(await api.outcome(known)).toBe('ok')
      const renewed = issuer.token()
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
    const { fetch, idle } = watchedFetch()
    const api = remote({ fetch })
    const token = tokenOf(ISSUER)
    expect(await api.outcome(token)).toBe('ok')
    server.answer = json({ keys: [createSigningKey('EdDSA').jwk] })
    clock.time = START + 419_999
    expect(await api.outcome(token)).toBe('ok')
    await idle()
    expect(server.asked).toHaveLength(1)
    clock.time = START + 480_000
    expect(await api.outcome(token)).toBe('ok')
    await until(async () => (await api.outcome(token)) === 'key_unknown')
    expect(await api.outcome(token)).toBe('key_unknown')
  })

  test('[BEHALF-removed-key] other key material under the same id replaces the key', async () => {
    const api = remote()
    const token = tokenOf(ISSUER)
    expect(await api.outcome(token)).toBe('ok')
    const other = createSigningKey('EdDSA', { kid: KID })
    server.answer = json({ keys: [other.jwk] })
    clock.time = START + 480_000
    expect(await api.outcome(token)).toBe('ok')
    await until(async () => (await api.outcome(token)) === 'signature_invalid')
    expect(await api.outcome(tokenOf(ISSUER))).toBe('signature_invalid')
    expect(await api.outcome(tokenOf(ISSUER, other))).toBe('ok')
  })

  test('[BEHALF-proof-under-way] a key that disappears while its proof is computed proves nothing, and nothing is cached', async () => {
    const environment = {
      fetch: globalThis.fetch,
      now: clock.now,
      limits: DEFAULT_LIMITS,
      random: () => 0.5,
      keepFresh: false,
      listed: true,
      toleranceSeconds: 5,
      screen: null,
      dpopLacks: null,
    }
    const issuer = resolveIssuer(oauth({ issuer: ISSUER, audience: TEST_AUDIENCE, jwks: GOOD_SET }), 'issuer', environment)
    const present = await issuer.keys.within(0)
    const gone = new KeySnapshot([], START)
    let current: KeySnapshot = gone
    let found = 0
    const keys: KeySet = {
      find(kid, algorithm) {
        found++
        return issuer.keys.find(kid, algorithm)
      },
      within: () => current,
      get latest() {
        return current
      },
      refresh: () => issuer.keys.refresh(),
      evict: () => issuer.keys.evict(),
      state: () => issuer.keys.state(),
      close: () => issuer.keys.close(),
    }
    const verifier = createVerifier({
      issuers: new ListedIssuers(new Map([[ISSUER, { ...issuer, keys }]])),
      cache: new VerifiedCache<ProvenToken>(10, 1_000_000),
      now: clock.now,
      clockToleranceSeconds: 5,
      limits: DEFAULT_LIMITS,
    })
    const outcome = async (token: string) => {
      const result = await verifier.verify(token, verifier.recall(token))
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
    const sized = (bytes: number) => JSON.stringify(GOOD_SET).padEnd(bytes)
    const code = (each: number) => status(each, {}, JSON.stringify(GOOD_SET))

    test.each<[string, Answer]>([
      ['status 500', code(500)],
      ['status 404', code(404)],
      ['status 401', code(401)],
      ['status 204', code(204)],
      ['status 206', code(206)],
      ['status 304', code(304)],
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
      ['a closed connection', reset],
      ['a connection closed half-way', cutOff],
    ])('[BEHALF-own-trouble] %s is 503 keys_unavailable, and tried again after a pause', async (_what, answer) => {
      const api = remote()
      const token = tokenOf(ISSUER)
      server.answer = answer
      await expectUnavailable(api, token)
      server.answer = json(GOOD_SET)
      await expectUnavailable(api, token)
      expect(server.asked).toHaveLength(1)
      clock.time += 1_000
      expect(await api.outcome(token)).toBe('ok')
      expect(server.asked).toHaveLength(2)
    })

    test('[BEHALF-fetch-bounds] 64 keys and 256 KiB are within the limits', async () => {
      server.answer = json(many(64))
      expect(await remote().outcome(tokenOf(ISSUER))).toBe('ok')
      server.answer = json(sized(256 * 1024))
      expect(await remote().outcome(tokenOf(ISSUER))).toBe('ok')
    })

    test('[RFC7517-5-unknown] keys that cannot be used are passed over', async () => {
      server.answer = json({ keys: [...unusable, KEY.jwk], more: true })
      expect(await remote().outcome(tokenOf(ISSUER))).toBe('ok')
    })

    test.each([301, 302, 303, 307, 308])('[BEHALF-fetch-redirect] a redirect (%i) is not followed', async (code) => {
      server.answer = (request, response) => {
        if (request.url === '/jwks') response.writeHead(code, { location: `${server.origin}/elsewhere` }).end()
        else json(GOOD_SET)(request, response)
      }
      await expectUnavailable(remote(), tokenOf(ISSUER))
      expect(server.asked).toEqual(['/jwks'])
    })

    test('[BEHALF-fetch-bounds] more than is read is not even begun where its length is said', async () => {
      let taken = 0
      const body = new ReadableStream(
        {
          pull(controller) {
            taken++
            controller.enqueue(new Uint8Array(64 * 1024))
          },
        },
        { highWaterMark: 0 },
      )
      const fetch: Fetch = async () => new Response(body, { headers: { 'content-length': `${256 * 1024 + 1}` } })
      await expectUnavailable(remote({ fetch }), tokenOf(ISSUER))
      expect(taken).toBe(0)
    })

    test('[BEHALF-fetch-bounds] the limit is on what is unpacked, not on what is sent', async () => {
      const packed = gzipSync(sized(8 * 2 ** 20))
      expect(packed.length).toBeLessThan(64 * 1024)
      server.answer = (_request, response) => response.writeHead(200, { 'content-encoding': 'gzip' }).end(packed)
      await expectUnavailable(remote(), tokenOf(ISSUER))
    })

    test('[BEHALF-own-trouble] also for a token that is known, once its keys are too old', async () => {
      const { fetch, idle } = watchedFetch()
      const api = remote({ fetch })
      const token = tokenOf(ISSUER)
      expect(await api.outcome(token)).toBe('ok')
      server.answer = status(500)
      clock.time = START + 3_600_000
      expect(await api.outcome(token)).toBe('ok')
      await idle()
      clock.time += 1
      await expectUnavailable(api, token)
      server.answer = json(GOOD_SET)
      clock.time += PAUSE_OVER
      expect(await api.outcome(token)).toBe('ok')
    })

    test('[BEHALF-own-trouble] an unknown key id is not called unknown as long as nobody could look; known keys go on', async () => {
      const api = remote()
      expect(await api.outcome(tokenOf(ISSUER))).toBe('ok')
      server.answer = status(500)
      clock.time += 5_000
      await expectUnavailable(api, tokenOf(ISSUER, KEY, { kid: 'stranger' }))
      expect(await api.outcome(tokenOf(ISSUER))).toBe('ok')
    })

    test('[BEHALF-secrecy] the error quotes nothing of what the server said', async () => {
      for (const answer of [
        json('CANARY0815'),
        status(418, { 'x-canary': 'CANARY0815' }, 'CANARY0815'),
        json({ keys: [{ kty: 'CANARY0815' }] }),
      ]) {
        server.answer = answer
        const error = await remote().error(tokenOf(ISSUER))
        expect(error.cause).toBeInstanceOf(Error)
        expect(inspect(error, { depth: 9 }) + JSON.stringify(error)).not.toContain('CANARY0815')
      }
    })

    test('[RFC9110-10.2.3-retry-after] callers are told to wait for whole seconds, as configured', async () => {
      server.answer = status(500)
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
        server.answer = () => resolve()
      })
      const api = remote()
      const calls = [watch(api.outcome(tokenOf(ISSUER))), watch(api.outcome(tokenOf(ISSUER)))]
      await asked
      await vi.advanceTimersByTimeAsync(1_999)
      expect(calls.map(({ settled }) => settled)).toEqual([null, null])
      await vi.advanceTimersByTimeAsync(1)
      expect(await Promise.all(calls.map(({ outcome }) => outcome))).toEqual(['keys_unavailable', 'keys_unavailable'])
      server.answer = json(GOOD_SET)
      clock.time += 1_000
      expect(await api.outcome(tokenOf(ISSUER))).toBe('ok')
    })

    test('[BEHALF-fetch-bounds] a server that trickles is given up after 3 s in all', async () => {
      server.answer = trickle
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
      return Response.json(GOOD_SET)
    }
    expect(await remote({ fetch }).outcome(tokenOf(ISSUER))).toBe('ok')
    expect(calls).toEqual([
      [`${server.origin}/jwks`, expect.objectContaining({ redirect: 'manual', signal: expect.any(AbortSignal) })],
    ])
  })
})

describe('several issuers', () => {
  let one: TestIssuer
  let two: TestIssuer
  beforeAll(async () => {
    ;[one, two] = await Promise.all([
      createTestIssuer({ algorithms: ['EdDSA'], now: clock.now }),
      createTestIssuer({ algorithms: ['EdDSA'], now: clock.now }),
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
      const before = one.hits.metadata
      clock.time += PAUSE_OVER
      await expectUnavailable(api, one.token())
      expect(one.hits.metadata).toBeGreaterThan(before)
      expect(await api.outcome(two.token())).toBe('ok')
    }
    one.recover()
    clock.time += PAUSE_OVER
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
