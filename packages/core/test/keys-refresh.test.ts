/** When keys are read anew: by their server's word, by a timer, by hand; and what an eviction leaves. */
import { AuthError, ConfigError, type IssuerOptions, type ResourceServerOptions } from '@behalf/core'
import { oauth } from '@behalf/core/issuers'
import { createSigningKey, TEST_AUDIENCE } from '@behalf/testing'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest'
import { deferred } from '../../../test/support/deferred.js'
import {
  apiOf,
  clock,
  codeOf,
  expectUnavailable,
  GOOD_SET,
  ISSUER,
  issuerAt,
  KEY,
  KID,
  keySetAt,
  PAUSE_OVER,
  START,
  settle,
  tokenOf,
  until,
  watchedFetch,
} from './support/key-apis.js'
import { type Answer, createKeyServer, json, type KeyServer, status, versioned } from './support/key-server.js'

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

const remote = (more: Partial<ResourceServerOptions> = {}) => apiOf({ issuers: [issuerAt(server.jwksUri)], ...more })
const next = createSigningKey('EdDSA', { kid: 'next' })

/** Answers each request when the test says so: with what the set was when it came. */
function heldAnswers(): { readonly came: (() => void)[]; answer: Answer; set: unknown } {
  const held = {
    came: [] as (() => void)[],
    set: GOOD_SET as unknown,
    answer: ((request, response) => {
      const { set } = held
      held.came.push(() => json(set)(request, response))
    }) as Answer,
  }
  return held
}

describe('the time for which keys are fresh', () => {
  test.each<[string, Record<string, string>, number]>([
    ['nothing', {}, 600],
    ['max-age=60', { 'cache-control': 'max-age=60' }, 60],
    ['max-age=59', { 'cache-control': 'max-age=59' }, 60],
    ['max-age=61', { 'cache-control': 'max-age=61' }, 61],
    ['max-age=0', { 'cache-control': 'max-age=0' }, 60],
    ['max-age=3600', { 'cache-control': 'max-age=3600' }, 3_600],
    ['max-age=3601', { 'cache-control': 'max-age=3601' }, 3_600],
    ['a year', { 'cache-control': 'public, max-age=31536000, immutable' }, 3_600],
    ['no-store', { 'cache-control': 'no-store, max-age=3600' }, 60],
    ['no-cache', { 'cache-control': 'No-Cache, max-age=3600' }, 60],
    ['max-age in another case, in quotes', { 'cache-control': 'PUBLIC , MAX-AGE="300"' }, 300],
    ['max-age less Age', { 'cache-control': 'max-age=300', age: '100' }, 200],
    ['max-age all used up by Age', { 'cache-control': 'max-age=300', age: '1000' }, 60],
    ['max-age, and an Age that is none', { 'cache-control': 'max-age=300', age: '-1' }, 300],
    ['Age alone', { age: '100' }, 600],
    ['max-age that is none', { 'cache-control': 'max-age=soon' }, 600],
    ['a negative max-age', { 'cache-control': 'max-age=-1' }, 600],
    ['s-maxage alone', { 'cache-control': 's-maxage=100' }, 600],
  ])('is what the server says, within a minute and an hour: %s', async (_what, headers, seconds) => {
    server.answer = json(GOOD_SET, headers)
    const keys = keySetAt(server.jwksUri)
    await keys.refresh()
    clock.time = START + seconds * 1000 - 1
    expect(keys.state().stale).toBe(false)
    clock.time = START + seconds * 1000
    expect(keys.state().stale).toBe(true)
  })

  test.each([
    [0, 480_000],
    [0.5, 456_000],
    [0.25, 468_000],
  ])('is refreshed in the background at 80 percent of it, up to a tenth earlier (%d)', async (random, milliseconds) => {
    const { fetch, idle } = watchedFetch()
    const keys = keySetAt(server.jwksUri, { fetch, random: () => random })
    await keys.refresh()
    for (const [at, fetches] of [
      [milliseconds - 1, 1],
      [milliseconds, 2],
      [milliseconds, 2],
    ] as const) {
      clock.time = START + at
      expect(keys.find(KID, 'EdDSA')).toMatchObject({ kid: KID })
      expect(server.asked.length).toBeLessThanOrEqual(fetches)
      await idle()
      await until(() => keys.state().ageSeconds === (fetches === 1 ? Math.floor(at / 1000) : 0))
      expect(server.asked).toHaveLength(fetches)
    }
  })

  test('counts from when they were asked for: the answer is no younger than that', async () => {
    const held = heldAnswers()
    server.answer = held.answer
    const keys = keySetAt(server.jwksUri)
    const refreshed = keys.refresh()
    await until(() => held.came.length === 1)
    clock.time += 2_000
    held.came[0]?.()
    await refreshed
    expect(keys.state().ageSeconds).toBe(2)
  })

  test('keys that are fresh for an hour are refreshed earlier where delegated calls need them', async () => {
    const { fetch, idle } = watchedFetch()
    server.answer = json(GOOD_SET, { 'cache-control': 'max-age=3600' })
    const keys = keySetAt(server.jwksUri, { fetch, random: () => 0 })
    await keys.refresh()
    clock.time = START + 719_999
    keys.within(900)
    clock.time = START + 720_000
    keys.within(3_600)
    await idle()
    expect(server.asked).toHaveLength(1)
    expect(keys.within(900)).toBe(keys.latest)
    await until(() => keys.state().ageSeconds === 0)
    expect(server.asked).toHaveLength(2)
  })

  test('a set that is said to be fresh for an hour proves no delegated call after 15 minutes without a new look', async () => {
    server.answer = json(GOOD_SET, { 'cache-control': 'max-age=3600' })
    const keys = keySetAt(server.jwksUri)
    await keys.refresh()
    server.answer = status(500)
    clock.time = START + 900_001
    expect(keys.within(3_600)).toBe(keys.latest)
    expect(await codeOf(() => keys.within(900))).toBe('keys_unavailable')
    expect(server.asked).toHaveLength(2)
  })
})

describe('a version that the server names (ETag)', () => {
  test('is asked for, and an answer without a body counts as read', async () => {
    server.answer = versioned('"1"', GOOD_SET, { 'cache-control': 'max-age=300' })
    const keys = keySetAt(server.jwksUri)
    await keys.refresh()
    const first = await keys.within(900)
    clock.time += 200_000
    await keys.refresh()
    expect(server.etags).toEqual([null, '"1"'])
    expect(keys.state()).toMatchObject({ keys: 1, ageSeconds: 0, stale: false, failures: 0 })
    expect(keys.find(KID, 'EdDSA')).toBe(first.find(KID, 'EdDSA'))
    clock.time += 299_999
    expect(keys.state().stale).toBe(false)
    clock.time += 1
    expect(keys.state().stale).toBe(true)
    server.answer = versioned('W/"2"', { keys: [next.jwk] })
    await keys.refresh()
    await keys.refresh()
    expect(server.etags).toEqual([null, '"1"', '"1"', 'W/"2"'])
    expect(keys.find('next', 'EdDSA')).toMatchObject({ kid: 'next' })
    expect(keys.find(null, 'EdDSA')).toMatchObject({ kid: 'next' })
  })

  test('is not asked for where the server names none any more', async () => {
    const keys = keySetAt(server.jwksUri)
    for (const answer of [versioned('"1"', GOOD_SET), json({ keys: [next.jwk] }), json(GOOD_SET)]) {
      server.answer = answer
      await keys.refresh()
    }
    expect(server.etags).toEqual([null, '"1"', null])
  })

  test('304 to a request that named none is a failure', async () => {
    server.answer = status(304, { etag: '"1"' })
    expect(await codeOf(() => keySetAt(server.jwksUri).refresh())).toBe('keys_unavailable')
  })

  test.each([
    ['an empty set', { keys: [] }],
    ['no set', { error: 'no' }],
    ['a set without a usable key', { keys: [{ kty: 'oct', k: 'AAAA' }] }],
  ])('of %s is not good because it has not changed since: the last good set grows old', async (_what, bad) => {
    server.answer = versioned('"1"', GOOD_SET)
    const keys = keySetAt(server.jwksUri)
    await keys.refresh()
    server.answer = versioned('"2"', bad)
    for (let failures = 1; failures <= 3; failures++) {
      clock.time += PAUSE_OVER
      expect(await codeOf(() => keys.refresh())).toBe('keys_unavailable')
      expect(keys.state()).toMatchObject({ keys: 1, failures, ageSeconds: failures * 61 })
    }
  })

  test('is forgotten with an eviction', async () => {
    server.answer = versioned('"1"', GOOD_SET)
    const keys = keySetAt(server.jwksUri)
    await keys.refresh()
    keys.evict()
    await keys.refresh()
    expect(server.etags).toEqual([null, null])
  })
})

describe('refresh()', () => {
  test('fetches at once, whatever the pause and the budget', async () => {
    const api = remote()
    server.answer = status(500)
    await expect(api.server.keys.refresh(ISSUER)).rejects.toMatchObject({ code: 'keys_unavailable', status: 503 })
    await expect(api.server.keys.refresh(ISSUER)).rejects.toBeInstanceOf(AuthError)
    server.answer = json(GOOD_SET)
    for (let count = 3; count <= 12; count++) {
      await api.server.keys.refresh(ISSUER)
      expect(server.asked).toHaveLength(count)
    }
  })

  test('that fails keeps the keys that were there', async () => {
    const api = remote()
    expect(await api.outcome(tokenOf(ISSUER))).toBe('ok')
    for (const trouble of [status(500), json({ keys: [] }), json('<html>')]) {
      server.answer = trouble
      await expect(api.server.keys.refresh(ISSUER)).rejects.toMatchObject({ code: 'keys_unavailable' })
      expect(await api.outcome(tokenOf(ISSUER))).toBe('ok')
    }
    expect(api.server.keys.state()).toMatchObject([{ keys: 1, failures: 3, lastFailure: 'the answer is not a JSON object' }])
  })

  test('waits for a fetch that began after it was called', async () => {
    const held = heldAnswers()
    server.answer = held.answer
    const keys = keySetAt(server.jwksUri)
    const first = codeOf(() => keys.within(3_600))
    await until(() => held.came.length === 1)
    held.set = { keys: [next.jwk] } // the key is removed while a fetch is under way that saw it yet
    let refreshed = false
    const refresh = keys.refresh().then(() => {
      refreshed = true
    })
    held.came[0]?.()
    expect(await first).toBe('ok')
    await until(() => held.came.length === 2)
    expect(refreshed).toBe(false)
    expect(keys.find(KID, 'EdDSA')).toMatchObject({ kid: KID })
    held.came[1]?.()
    await refresh
    expect(keys.find('next', 'EdDSA')).toMatchObject({ kid: 'next' })
  })

  test('[BEHALF-one-fetch] any number of them share the fetch that begins when one under way ends', async () => {
    const held = heldAnswers()
    server.answer = held.answer
    const keys = keySetAt(server.jwksUri)
    const first = codeOf(() => keys.within(3_600))
    await until(() => held.came.length === 1)
    const refreshes = Promise.allSettled([keys.refresh(), keys.refresh(), keys.refresh()])
    held.came[0]?.()
    await first
    await until(() => held.came.length > 1)
    await settle()
    await settle()
    for (const answer of held.came.slice(1)) answer()
    expect((await refreshes).map((each) => each.status)).toEqual(['fulfilled', 'fulfilled', 'fulfilled'])
    expect(server.asked).toHaveLength(2)
  })

  test('[BEHALF-removed-key] an answer that comes late does not bring back what a later one removed', async () => {
    const answers: (() => void)[] = []
    server.answer = (request, response) => {
      const set = answers.length < 2 ? GOOD_SET : { keys: [next.jwk] } // the third one who asks sees that the key is gone
      answers.push(() => json(set)(request, response))
    }
    const keys = keySetAt(server.jwksUri)
    const first = codeOf(() => keys.within(3_600))
    await until(() => answers.length === 1)
    const refreshes = [keys.refresh(), keys.refresh()]
    answers[0]?.()
    await first
    await until(() => answers.length > 1)
    await settle()
    await settle()
    for (const answer of answers.slice(1).reverse()) {
      answer()
      await Promise.race(refreshes)
    }
    await Promise.all(refreshes)
    if (answers.length === 2) {
      const again = keys.refresh()
      await until(() => answers.length === 3)
      answers[2]?.()
      await again
    }
    expect(keys.latest?.find(KID, 'EdDSA')).toBeNull()
    expect(keys.latest?.find('next', 'EdDSA')).toMatchObject({ kid: 'next' })
  })

  test('of an issuer that is not configured is a ConfigError', async () => {
    const api = remote()
    await expect(api.server.keys.refresh('https://stranger.example.test')).rejects.toBeInstanceOf(ConfigError)
    expect(() => api.server.keys.evict('https://stranger.example.test')).toThrow(ConfigError)
    expect(server.asked).toEqual([])
  })

  test.each<[string, ResourceServerOptions['issuers']]>([
    ['a list', [issuerAt('https://as.example.test/jwks')]],
    ['a function', () => issuerAt('https://as.example.test/jwks')],
  ])('of what is no name is a ConfigError, as evict() of it is (%s)', async (_what, issuers) => {
    const { keys } = apiOf({ issuers, fetch: () => Promise.reject(new Error('nothing is fetched here')) }).server
    for (const issuer of [undefined, null, '', 1, {}] as never[]) {
      await expect(keys.refresh(issuer)).rejects.toBeInstanceOf(ConfigError)
      expect(() => keys.evict(issuer)).toThrow(ConfigError)
    }
  })
})

describe('evict()', () => {
  test('drops keys and cached tokens: 503 until a new set is read', async () => {
    const api = remote()
    const cached = tokenOf(ISSUER)
    expect(await api.outcome(cached)).toBe('ok')
    server.answer = status(500)
    api.server.keys.evict(ISSUER)
    expect(api.server.keys.state()).toMatchObject([{ issuer: ISSUER, keys: 0, ageSeconds: null, stale: false }])
    await expectUnavailable(api, cached)
    await expectUnavailable(api, tokenOf(ISSUER))
    server.answer = json(GOOD_SET)
    clock.time += PAUSE_OVER
    expect(await api.outcome(cached)).toBe('ok')
    expect(server.asked).toHaveLength(3)
  })

  test('is over as soon as somebody asks, also in the pause after a failure', async () => {
    const api = remote()
    server.answer = status(500)
    await expectUnavailable(api, tokenOf(ISSUER))
    api.server.keys.evict(ISSUER)
    server.answer = json(GOOD_SET)
    expect(await api.outcome(tokenOf(ISSUER))).toBe('ok')
  })

  test('[BEHALF-evict] makes a fetch under way useless, and those who wait for it get 503', async () => {
    const held = heldAnswers()
    server.answer = held.answer
    const api = remote()
    const waiting = api.outcome(tokenOf(ISSUER))
    await until(() => held.came.length === 1)
    api.server.keys.evict(ISSUER)
    held.came[0]?.()
    expect(await waiting).toBe('keys_unavailable')
    expect(api.server.keys.state()).toMatchObject([{ keys: 0, failures: 0 }])
    // It is no failure of the issuer's: the next one asks at once.
    server.answer = json({ keys: [next.jwk] })
    expect(await api.outcome(tokenOf(ISSUER, next))).toBe('ok')
    expect(await api.outcome(tokenOf(ISSUER))).toBe('key_unknown')
  })

  test('the next request does not wait for a fetch of before', async () => {
    const held = heldAnswers()
    server.answer = held.answer
    const api = remote()
    const waiting = api.outcome(tokenOf(ISSUER))
    await until(() => held.came.length === 1)
    api.server.keys.evict(ISSUER)
    server.answer = json({ keys: [next.jwk] })
    expect(await api.outcome(tokenOf(ISSUER, next))).toBe('ok')
    held.came[0]?.()
    expect(await waiting).not.toBe('ok')
    expect(await api.outcome(tokenOf(ISSUER))).toBe('key_unknown')
    expect(await api.outcome(tokenOf(ISSUER, next))).toBe('ok')
  })

  test('a fetch of before neither replaces the set that was read after it, nor its version', async () => {
    const keys = keySetAt(server.jwksUri)
    const held = deferred()
    const begun = deferred()
    const old = versioned('"old"', GOOD_SET)
    server.answer = (request, response) => {
      begun.resolve()
      held.promise.then(() => old(request, response))
    }
    const before = keys.refresh().catch(() => {})
    await begun.promise
    keys.evict()
    server.answer = versioned('"new"', { keys: [next.jwk] })
    await keys.refresh()
    held.resolve()
    await before
    expect(keys.find('next', 'EdDSA')).toMatchObject({ kid: 'next' })
    // The issuer goes back to the old set: what it says now is what holds.
    server.answer = old
    clock.time += PAUSE_OVER
    await keys.refresh()
    expect(keys.find(KID, 'EdDSA')).toMatchObject({ kid: KID })
    expect(keys.latest?.find('next', 'EdDSA')).toBeNull()
  })

  test('configured keys come back by refresh()', async () => {
    const api = apiOf({ issuers: [oauth({ issuer: ISSUER, audience: TEST_AUDIENCE, jwks: GOOD_SET })] })
    const token = tokenOf(ISSUER)
    expect(await api.outcome(token)).toBe('ok')
    expect(api.server.keys.state()).toEqual([
      { issuer: ISSUER, keys: 1, ageSeconds: 0, stale: false, failures: 0, lastFailure: null },
    ])
    api.server.keys.evict(ISSUER)
    expect(api.server.keys.state()).toMatchObject([{ keys: 0, ageSeconds: null }])
    for (const each of [token, tokenOf(ISSUER)]) await expectUnavailable(api, each)
    await expect(api.server.ready()).rejects.toMatchObject({ code: 'keys_unavailable' })
    await api.server.keys.refresh(ISSUER)
    expect(await api.outcome(token)).toBe('ok')
    await api.server.ready()
  })
})

describe('ready()', () => {
  const OTHER = 'https://other-as.example.test'

  test('resolves when every issuer has keys, and fetches what is missing', async () => {
    const api = apiOf({ issuers: [issuerAt(server.jwksUri), issuerAt(`${server.origin}/other`, OTHER)] })
    expect(await api.outcome(tokenOf(ISSUER))).toBe('ok')
    await api.server.ready()
    expect(server.asked).toEqual(['/jwks', '/other'])
    await api.server.ready()
    expect(server.asked).toHaveLength(2)
  })

  test('rejects while one of them cannot be read, and tries again after the pause', async () => {
    const api = apiOf({ issuers: [issuerAt(server.jwksUri), issuerAt(`${server.origin}/other`, OTHER)] })
    server.answer = (request, response) => (request.url === '/other' ? status(500) : json(GOOD_SET))(request, response)
    await expect(api.server.ready()).rejects.toMatchObject({ code: 'keys_unavailable', status: 503 })
    expect(await api.outcome(tokenOf(ISSUER))).toBe('ok')
    server.answer = json(GOOD_SET)
    clock.time += 1_000
    await api.server.ready()
    expect(server.asked.toSorted()).toEqual(['/jwks', '/other', '/other'])
  })

  test('holds while an issuer is down for less than an hour', async () => {
    const { fetch, idle } = watchedFetch()
    const api = remote({ fetch })
    await api.server.ready()
    server.answer = status(500)
    clock.time = START + 3_600_000
    await api.server.ready()
    await idle()
    clock.time++
    await expect(api.server.ready()).rejects.toMatchObject({ code: 'keys_unavailable' })
  })

  test("waits for nobody where `issuers` is a function, and one tenant's trouble is not the API's", async () => {
    const options: Record<string, IssuerOptions> = { [ISSUER]: issuerAt(server.jwksUri) }
    const api = apiOf({ issuers: (iss) => options[iss] ?? null })
    await api.server.ready()
    expect(server.asked).toEqual([])
    server.answer = status(500)
    await expectUnavailable(api, tokenOf(ISSUER))
    await api.server.ready()
  })

  test('warmUp fetches before the first request, and its failure is nobody’s', async () => {
    remote()
    await settle()
    expect(server.asked).toEqual([])
    const api = remote({ warmUp: true })
    await until(() => api.server.keys.state()[0]?.keys === 1)
    expect(await api.outcome(tokenOf(ISSUER))).toBe('ok')
    expect(server.asked).toHaveLength(1)
    server.answer = status(500)
    const unlucky = remote({ warmUp: true })
    await until(() => unlucky.server.keys.state()[0]?.failures === 1)
    await expectUnavailable(unlucky, tokenOf(ISSUER))
  })
})

describe('state()', () => {
  test('tells age, staleness and failures, and is frozen', async () => {
    const { fetch, idle } = watchedFetch()
    const api = remote({ fetch })
    const state = () => api.server.keys.state()[0]
    expect(api.server.keys.state()).toEqual([
      { issuer: ISSUER, keys: 0, ageSeconds: null, stale: false, failures: 0, lastFailure: null },
    ])
    expect(server.asked).toEqual([])
    await api.server.ready()
    expect(state()).toEqual({ issuer: ISSUER, keys: 1, ageSeconds: 0, stale: false, failures: 0, lastFailure: null })
    server.answer = status(418)
    clock.time = START + 600_000
    expect(await api.outcome(tokenOf(ISSUER))).toBe('ok')
    await idle()
    expect(state()).toEqual({
      issuer: ISSUER,
      keys: 1,
      ageSeconds: 600,
      stale: true,
      failures: 1,
      lastFailure: 'the server did not answer with status 200',
    })
    server.answer = json({ keys: [KEY.jwk, next.jwk] })
    await api.server.keys.refresh(ISSUER)
    expect(state()).toEqual({ issuer: ISSUER, keys: 2, ageSeconds: 0, stale: false, failures: 0, lastFailure: null })
    clock.time -= 10_000
    expect(state()).toMatchObject({ ageSeconds: 0, stale: false })
    expect([Object.isFrozen(api.server.keys.state()), Object.isFrozen(state()), Object.isFrozen(api.server.keys)]).toEqual([
      true,
      true,
      true,
    ])
  })
})

describe('a clock that is set back', () => {
  test('says nothing about the age of a set: it counts anew, is refreshed at once, and nobody waits', async () => {
    const { fetch, idle } = watchedFetch()
    const keys = keySetAt(server.jwksUri, { fetch })
    await keys.refresh()
    server.answer = status(500)
    clock.time = START - 7_200_000
    expect(keys.find(KID, 'EdDSA')).toMatchObject({ kid: KID })
    await idle()
    expect(server.asked).toHaveLength(2)
    clock.time += 3_600_000
    expect(keys.find(KID, 'EdDSA')).toMatchObject({ kid: KID })
    await idle()
    clock.time += 1
    expect(await codeOf(() => keys.find(KID, 'EdDSA'))).toBe('keys_unavailable')
  })

  test('ends a pause that it would have made longer than any', async () => {
    const keys = keySetAt(server.jwksUri, { random: () => 0.99 })
    server.answer = status(500)
    expect(await codeOf(() => keys.within(900))).toBe('keys_unavailable')
    clock.time = START - 60_000
    server.answer = json(GOOD_SET)
    expect(await codeOf(() => keys.within(900))).toBe('ok')
  })
})

describe('the refresh timer', () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  })
  afterEach(() => {
    vi.useRealTimers()
  })

  /** Both clocks go on together. */
  async function pass(milliseconds: number): Promise<void> {
    clock.time += milliseconds
    await vi.advanceTimersByTimeAsync(milliseconds)
  }

  /** Refreshes that were planned since: timers of 72 to 80 percent of the time for which keys are fresh. */
  function plannedRefreshes() {
    const planned = vi.spyOn(globalThis, 'setTimeout')
    onTestFinished(() => planned.mockRestore())
    return () =>
      planned.mock.calls.flatMap(([, delay], index) => {
        const milliseconds = Number(delay)
        if (milliseconds < 432_000 || milliseconds > 480_000) return []
        return [{ milliseconds, timer: planned.mock.results[index]?.value as NodeJS.Timeout }]
      })
  }

  test('reads keys anew without any request', async () => {
    const keys = keySetAt(server.jwksUri, { keepFresh: true, random: () => 0.5 })
    await keys.refresh()
    server.answer = json({ keys: [next.jwk] })
    await pass(455_999)
    await settle()
    expect(server.asked).toHaveLength(1)
    await pass(1)
    await until(() => keys.latest?.find('next', 'EdDSA') != null)
    expect(server.asked).toHaveLength(2)
    await pass(456_000)
    await until(() => server.asked.length === 3)
  })

  test('comes early enough for delegated calls where keys are fresh for longer: nobody waits after a quiet quarter of an hour', async () => {
    const { fetch, idle } = watchedFetch()
    server.answer = json(GOOD_SET, { 'cache-control': 'max-age=3600' })
    const keys = keySetAt(server.jwksUri, { keepFresh: true, random: () => 0, fetch })
    await keys.refresh()
    await pass(719_999)
    await idle()
    expect(server.asked).toHaveLength(1)
    await pass(1)
    await idle()
    await until(() => keys.state().ageSeconds === 0)
    expect(server.asked).toHaveLength(2)
    await pass(180_001) // 900.001 s without a call
    expect(keys.within(900)).toBe(keys.latest)
    expect(server.asked).toHaveLength(2)
  })

  test('goes on after failures, by the pauses of the back-off but never within a second', async () => {
    const { fetch, idle } = watchedFetch()
    const keys = keySetAt(server.jwksUri, { keepFresh: true, random: () => 0.5, fetch })
    server.answer = status(500)
    expect(await codeOf(() => keys.refresh())).toBe('keys_unavailable')
    const expected = [1_000, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000] // half of 1, 2, 4 … 60 s
    for (const [index, milliseconds] of expected.entries()) {
      await pass(milliseconds - 1)
      await idle()
      expect(server.asked).toHaveLength(index + 1)
      await pass(1)
      await idle()
      expect(server.asked).toHaveLength(index + 2)
    }
    server.answer = json(GOOD_SET)
    await pass(30_000)
    await until(() => keys.state().keys === 1)
    await pass(455_999)
    await idle()
    expect(server.asked).toHaveLength(expected.length + 2)
  })

  test('is there for listed issuers, ended by close(), and keeps no process alive', async () => {
    const { fetch, idle } = watchedFetch()
    const refreshes = plannedRefreshes()
    const api = remote({ fetch })
    await api.server.ready()
    const [first] = refreshes()
    expect(refreshes()).toHaveLength(1)
    expect(first?.timer.hasRef()).toBe(false)
    await pass(first?.milliseconds ?? 0)
    await until(() => api.server.keys.state()[0]?.ageSeconds === 0 && refreshes().length === 2)
    expect(server.asked).toHaveLength(2)
    await api.server.close()
    await pass(3_600_000)
    await idle()
    expect(server.asked).toHaveLength(2)
  })

  test('is not begun anew by a fetch that ends after close()', async () => {
    const held = heldAnswers()
    server.answer = held.answer
    const refreshes = plannedRefreshes()
    const keys = keySetAt(server.jwksUri, { keepFresh: true })
    const refreshed = keys.refresh()
    await until(() => held.came.length === 1)
    keys.close()
    held.came[0]?.()
    await refreshed
    expect(keys.state().keys).toBe(1)
    expect(refreshes()).toEqual([])
  })

  test('is not there for issuers that are asked for', async () => {
    const api = apiOf({ issuers: () => issuerAt(server.jwksUri) })
    expect(await api.outcome(tokenOf(ISSUER))).toBe('ok')
    await pass(3_600_000)
    await settle()
    expect(server.asked).toHaveLength(1)
  })
})
