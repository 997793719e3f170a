/** Where keys may be read from, and how an issuer's metadata says where they are. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { ConfigError, createResourceServer, type Fetch } from '@behalf/core'
import { oauth } from '@behalf/core/issuers'
import { createSigningKey, createTestIssuer, TEST_AUDIENCE } from '@behalf/testing'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { deferred } from '../../../test/support/deferred.js'
import { DiscoveredLocation, type KeyLocation, metadataUrls } from '../src/keys/discovery.js'
import { isFetchable } from '../src/keys/fetch-json.js'
import { DEFAULT_LIMITS } from '../src/limits.js'
import {
  apiOf,
  clock,
  codeOf,
  expectUnavailable,
  GOOD_SET,
  type KeySetSettings,
  KID,
  keySetAt,
  PAUSE_OVER,
  START,
  settle,
  tokenOf,
  until,
  watchedFetch,
} from './support/key-apis.js'
import { type Answer, createKeyServer, documents, json, type KeyServer, reset, status, versioned } from './support/key-server.js'

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
      expect(() => createResourceServer({ issuers: [oauth({ issuer, audience: 'y', jwks: GOOD_SET })] }), issuer).not.toThrow()
    }
  })

  test('keys are named once', () => {
    const both = { issuer: 'x', audience: 'y', jwks: GOOD_SET, jwksUri: 'https://as.example.test/jwks' }
    expect(() => createResourceServer({ issuers: [oauth(both)] })).toThrow(/both/)
  })
})

describe('discovery', () => {
  const OAUTH = '/.well-known/oauth-authorization-server'
  const OPENID = '/.well-known/openid-configuration'

  const metadata = (issuer: string, more: object = {}) => ({ issuer, jwks_uri: `${server.origin}/keys`, ...more })
  const discovering = (issuer: string) => apiOf({ issuers: [oauth({ issuer, audience: TEST_AUDIENCE })] })

  test('evict() forgets the versions of metadata, too: all of it is asked for anew', async () => {
    const api = discovering(server.origin)
    server.answer = documents({
      [OAUTH]: versioned('"m"', metadata(server.origin), { 'cache-control': 'no-cache' }),
      '/keys': versioned('"k"', GOOD_SET),
    })
    await api.server.keys.refresh(server.origin)
    clock.time += 61_000
    await api.server.keys.refresh(server.origin)
    api.server.keys.evict(server.origin)
    await api.server.keys.refresh(server.origin)
    expect(server.asked).toEqual([OAUTH, '/keys', OAUTH, '/keys', OAUTH, '/keys'])
    expect(server.etags).toEqual([null, null, '"m"', '"k"', null, null])
  })

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
      const issuer = `${server.origin}${path}`
      const at = `${OAUTH}${path.replace(/\/$/, '')}`
      server.answer = documents({ [at]: metadata(issuer), '/keys': GOOD_SET })
      expect(await discovering(issuer).outcome(tokenOf(issuer))).toBe('ok')
      expect(server.asked).toEqual([at, '/keys'])
    },
  )

  test.each(['', '/', '/t/1', '/t/1/'])(
    '[OPENID-DISCOVERY-4-suffix] or, with the path %j, by its OpenID configuration',
    async (path) => {
      const issuer = `${server.origin}${path}`
      const bare = path.replace(/\/$/, '')
      server.answer = documents({ [`${bare}${OPENID}`]: metadata(issuer), '/keys': GOOD_SET })
      expect(await discovering(issuer).outcome(tokenOf(issuer))).toBe('ok')
      expect(server.asked).toEqual([`${OAUTH}${bare}`, `${bare}${OPENID}`, '/keys'])
    },
  )

  test('[RFC8414-3.3-issuer] metadata of another issuer is not used: 503, and its keys are not fetched', async () => {
    const issuer = `${server.origin}/t/1`
    for (const other of [
      `${issuer}/`,
      server.origin,
      issuer.toUpperCase(),
      `${issuer}?`,
      'https://as.example.test',
      '',
      null,
      [issuer],
      undefined,
    ]) {
      server.answer = documents({
        [`${OAUTH}/t/1`]: metadata(issuer, { issuer: other }),
        [`/t/1${OPENID}`]: metadata(issuer, { issuer: other }),
        '/keys': GOOD_SET,
      })
      await expectUnavailable(discovering(issuer), tokenOf(issuer), JSON.stringify(other))
    }
    expect(server.asked).not.toContain('/keys')
  })

  test('[BEHALF-fetch-https] keys that metadata places elsewhere than https or loopback are not fetched: 503', async () => {
    const issuer = server.origin
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
      server.answer = documents({ [OAUTH]: { issuer, jwks_uri }, [OPENID]: { issuer, jwks_uri }, '/keys': GOOD_SET })
      await expectUnavailable(discovering(issuer), tokenOf(issuer), JSON.stringify(jwks_uri))
    }
    expect(server.asked).not.toContain('/keys')
  })

  test.each([500, 404, 'garbage', 'redirect', 'reset'] as const)(
    '[BEHALF-discovery-retried] metadata in trouble (%s) is 503, tried again after a pause, and never remembered',
    async (trouble) => {
      const issuer = await createTestIssuer({ algorithms: ['EdDSA'], now: clock.now, path: '/t/1' })
      try {
        const api = apiOf({ issuers: [issuer.options()] })
        issuer.fail(trouble, 'metadata')
        await expectUnavailable(api, issuer.token())
        expect(issuer.hits).toEqual({ metadata: 2, jwks: 0 })
        clock.time += PAUSE_OVER
        await expectUnavailable(api, issuer.token())
        expect(issuer.hits).toEqual({ metadata: 4, jwks: 0 })
        issuer.recover()
        await expectUnavailable(api, issuer.token())
        expect(issuer.hits).toEqual({ metadata: 4, jwks: 0 })
        clock.time += PAUSE_OVER
        expect(await api.outcome(issuer.token())).toBe('ok')
        expect(issuer.hits).toEqual({ metadata: 5, jwks: 1 })
      } finally {
        await issuer.close()
      }
    },
  )

  test('[BEHALF-one-fetch] any number of first requests share one discovery and one fetch', async () => {
    const issuer = await createTestIssuer({ algorithms: ['EdDSA'], now: clock.now })
    try {
      const api = apiOf({ issuers: [issuer.options()] })
      const outcomes = await Promise.all(Array.from({ length: 1000 }, () => api.outcome(issuer.token())))
      expect(new Set(outcomes)).toEqual(new Set(['ok']))
      expect(issuer.hits).toEqual({ metadata: 1, jwks: 1 })
    } finally {
      await issuer.close()
    }
  })

  describe('under the policy of keys', () => {
    const moved = () => `${server.origin}/moved`
    /** A key set whose place is discovered, the first set read. */
    async function discovered(more: Partial<KeySetSettings> = {}) {
      const { fetch, idle } = watchedFetch()
      const location = new DiscoveredLocation(server.origin, { fetch, now: clock.now, limits: DEFAULT_LIMITS, screen: null })
      const keys = keySetAt('', { fetch, location, ...more })
      server.answer = documents({ [OAUTH]: metadata(server.origin), '/keys': GOOD_SET })
      await keys.refresh()
      server.asked.length = 0
      return { keys, idle, refreshed: () => keys.refresh().then(() => [...server.asked.splice(0)]) }
    }

    test('what metadata says is used while it is fresh, and read again then', async () => {
      const { refreshed } = await discovered()
      clock.time = START + 599_999
      expect(await refreshed()).toEqual(['/keys'])
      clock.time = START + 600_000
      expect(await refreshed()).toEqual([OAUTH, '/keys'])
      clock.time += 599_999
      expect(await refreshed()).toEqual(['/keys'])
    })

    test('keys that have moved are found when metadata is no longer fresh', async () => {
      const { keys, refreshed } = await discovered()
      const next = createSigningKey('EdDSA', { kid: 'key-2' })
      server.answer = documents({
        [OAUTH]: metadata(server.origin, { jwks_uri: moved() }),
        '/keys': GOOD_SET,
        '/moved': { keys: [next.jwk] },
      })
      clock.time = START + 600_000
      expect(await refreshed()).toEqual([OAUTH, '/moved'])
      expect(keys.find('key-2', 'EdDSA')).not.toBeInstanceOf(Promise)
      expect(await codeOf(() => keys.find(KID, 'EdDSA'))).toBe('key_unknown')
    })

    test('keys that are gone from their place are looked for anew at the next fetch, however fresh the metadata is', async () => {
      const { keys, refreshed } = await discovered()
      server.answer = documents({ [OAUTH]: metadata(server.origin, { jwks_uri: moved() }), '/moved': GOOD_SET })
      await expect(keys.refresh()).rejects.toMatchObject({ code: 'keys_unavailable' })
      expect(server.asked.splice(0)).toEqual(['/keys'])
      expect(await refreshed()).toEqual([OAUTH, '/moved'])
      expect(await refreshed()).toEqual(['/moved'])
    })

    test.each<[string, Answer]>([
      ['is not found', status(404)],
      ['fails', status(500)],
      ['is garbage', json('<html>')],
      ['is of another issuer', json({ issuer: 'https://other.example.test', jwks_uri: 'https://other.example.test/keys' })],
      ['is reset', reset],
      ['is moved by a redirect', status(302, { location: 'https://other.example.test/' })],
    ])('metadata that %s takes no keys away for an hour', async (_what, trouble) => {
      const { keys, refreshed } = await discovered()
      server.answer = documents({ [OAUTH]: trouble, [OPENID]: trouble, '/keys': GOOD_SET })
      for (const milliseconds of [600_000, 3_599_999]) {
        clock.time = START + milliseconds
        expect(await refreshed()).toEqual([OAUTH, OPENID, '/keys'])
      }
      clock.time = START + 3_600_000
      await expect(keys.refresh()).rejects.toMatchObject({ code: 'keys_unavailable', status: 503 })
      expect(server.asked.splice(0)).toEqual([OAUTH, OPENID])
    })

    test('after an eviction nothing of it is remembered', async () => {
      const { keys } = await discovered()
      server.answer = documents({ [OAUTH]: status(500), [OPENID]: status(500), '/keys': GOOD_SET })
      keys.evict()
      expect(await codeOf(() => keys.within(3600))).toBe('keys_unavailable')
      expect(server.asked).toEqual([OAUTH, OPENID])
    })

    test('metadata that was asked for before an eviction names no place of keys after it', async () => {
      const { keys } = await discovered()
      const evil = createSigningKey('EdDSA', { kid: 'evil' })
      const asked = deferred()
      const held = deferred()
      server.answer = documents({
        [OAUTH]: (request: IncomingMessage, response: ServerResponse) => {
          asked.resolve()
          held.promise.then(() => json(metadata(server.origin, { jwks_uri: moved() }))(request, response))
        },
        '/keys': GOOD_SET,
        '/moved': { keys: [evil.jwk] },
      })
      clock.time = START + 600_000
      const before = keys.refresh().catch(() => {})
      await asked.promise
      keys.evict()
      held.resolve()
      await before
      server.answer = documents({ [OAUTH]: metadata(server.origin), '/keys': GOOD_SET, '/moved': { keys: [evil.jwk] } })
      clock.time += PAUSE_OVER
      expect(await codeOf(() => keys.find('evil', 'EdDSA'))).toBe('key_unknown')
      expect(await codeOf(() => keys.find(KID, 'EdDSA'))).toBe('ok')
    })

    describe('in time', () => {
      beforeEach(() => {
        vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
      })
      afterEach(() => {
        vi.useRealTimers()
      })

      /** Asks for keys, and says when the answer came. Time stands still once the keys have come: importing them takes none. */
      async function secondsUntil(fetch: Fetch, known?: KeyLocation) {
        let keysCame = false
        const watched: Fetch = async (url, init) => {
          const response = await fetch(url, init)
          keysCame ||= url.endsWith('/keys')
          return response
        }
        const environment = { fetch: watched, now: clock.now, limits: DEFAULT_LIMITS, screen: null }
        const keys = keySetAt('', { fetch: watched, location: known ?? new DiscoveredLocation(server.origin, environment) })
        let outcome: string | null = null
        codeOf(() => keys.refresh()).then((code) => {
          outcome = code
        })
        for (let tenths = 0; tenths <= 100; tenths++) {
          await settle()
          if (keysCame) await until(() => outcome !== null)
          if (outcome !== null) return { outcome, seconds: tenths / 10 }
          await vi.advanceTimersByTimeAsync(100)
        }
        return { outcome, seconds: Number.POSITIVE_INFINITY }
      }
      const never = () => new Promise<never>(() => {})
      const later = (milliseconds: number, body: unknown) =>
        new Promise<Response>((resolve) => setTimeout(() => resolve(Response.json(body)), milliseconds))

      test('[BEHALF-fetch-bounds] metadata and keys have 3 s together', async () => {
        const slow: Fetch = (url) => later(1_600, url.endsWith('/keys') ? GOOD_SET : metadata(server.origin))
        expect(await secondsUntil(slow)).toEqual({ outcome: 'keys_unavailable', seconds: 3 })
        const quickEnough: Fetch = (url) => later(1_400, url.endsWith('/keys') ? GOOD_SET : metadata(server.origin))
        expect(await secondsUntil(quickEnough)).toEqual({ outcome: 'ok', seconds: 2.8 })
      })

      test('[BEHALF-fetch-bounds] both places of metadata have them together, too', async () => {
        expect(await secondsUntil(never)).toEqual({ outcome: 'keys_unavailable', seconds: 3 })
      })

      test('metadata that hangs takes no keys away: their place is known', async () => {
        let hanging = false
        const fetch: Fetch = (url) => {
          if (url.endsWith('/keys')) return Promise.resolve(Response.json(GOOD_SET))
          return hanging ? never() : Promise.resolve(Response.json(metadata(server.origin)))
        }
        const known = new DiscoveredLocation(server.origin, { fetch, now: clock.now, limits: DEFAULT_LIMITS, screen: null })
        expect(await secondsUntil(fetch, known)).toEqual({ outcome: 'ok', seconds: 0 })
        hanging = true
        clock.time = START + 600_000
        const { outcome, seconds } = await secondsUntil(fetch, known)
        expect(outcome).toBe('ok')
        expect(seconds).toBeLessThanOrEqual(3)
      })
    })
  })
})
