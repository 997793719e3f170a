/** The troubles of issuers, one after the other, against a server that counts: time is the test's, each figure the server's own. */
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import type { Fetch, ResourceServerOptions } from '@behalf/core'
import { oauth } from '@behalf/core/issuers'
import { createSigningKey, memorySink, TEST_AUDIENCE } from '@behalf/testing'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { deferred } from '../../../test/support/deferred.js'
import { resolveIssuer } from '../src/issuers/issuer.js'
import { ListedIssuers } from '../src/issuers/registry.js'
import type { KeySet } from '../src/keys/key-set.js'
import type { RemoteKeySet } from '../src/keys/remote-key-set.js'
import { DEFAULT_LIMITS } from '../src/limits.js'
import { isRefused, type ProvenToken } from '../src/proven-token.js'
import { VerifiedCache } from '../src/token/verified-cache.js'
import { createVerifier } from '../src/verifier.js'
import { anyRule, createWorld } from './support/harness.js'
import {
  apiOf,
  assertUnavailable,
  clock,
  codeOf,
  delegatedOf,
  expectUnavailable,
  GOOD_SET,
  ISSUER,
  issuerAt,
  KEY,
  KID,
  keySetAt,
  PAUSE_OVER,
  START,
  tokenOf,
  until,
  watchedFetch,
} from './support/key-apis.js'
import {
  type Answer,
  createKeyServer,
  cutOff,
  flood,
  hang,
  json,
  type KeyServer,
  reset,
  status,
  trickle,
} from './support/key-server.js'

let server: KeyServer
let other: KeyServer
beforeAll(async () => {
  ;[server, other] = await Promise.all([createKeyServer(), createKeyServer()])
})
beforeEach(() => {
  clock.time = START
  for (const each of [server, other]) {
    each.reset()
    each.answer = json(GOOD_SET)
  }
})
afterAll(() => Promise.all([server.close(), other.close()]))

const remote = (more: Partial<ResourceServerOptions> = {}) => apiOf({ issuers: [issuerAt(server.jwksUri)], ...more })
const MINUTES = 60_000

/** Numbers from 0 to 1 that are the same in every run. */
function seeded(seed: number): () => number {
  let state = seed
  return () => {
    state = (state * 1_664_525 + 1_013_904_223) % 2 ** 32
    return state / 2 ** 32
  }
}

describe('10,000 first requests at once', () => {
  /** The answer is there long before a slow machine has got through all of them. */
  const limits = { fetchHeadersMilliseconds: 60_000, fetchTotalMilliseconds: 60_000 }

  test('[BEHALF-one-fetch] are one fetch', async () => {
    const api = remote({ cache: false, limits })
    const token = tokenOf(ISSUER)
    const outcomes = await Promise.all(Array.from({ length: 10_000 }, () => api.outcome(token)))
    expect(new Set(outcomes)).toEqual(new Set(['ok']))
    expect(server.asked).toEqual(['/jwks'])
  })

  test('[BEHALF-one-fetch] are one fetch also where it fails', async () => {
    server.answer = status(500)
    const api = remote({ cache: false, limits })
    const token = tokenOf(ISSUER)
    const outcomes = await Promise.all(Array.from({ length: 10_000 }, () => api.outcome(token)))
    expect(new Set(outcomes)).toEqual(new Set(['keys_unavailable']))
    expect(server.asked).toEqual(['/jwks'])
  })
})

describe('an issuer that is down after one good fetch', () => {
  const troubles: readonly (readonly [string, Answer])[] = [
    ['answers 500', status(500)],
    ['closes the connection', reset],
    ['sends garbage', json('<html>')],
    ['sends an empty set', json({ keys: [] })],
    ['redirects', status(302, { location: 'https://other.example.test/jwks' })],
  ]

  test.each(troubles)(
    '[BEHALF-own-trouble] and %s: a known key answers at once for 60 minutes, then 503',
    async (_what, trouble) => {
      const { fetch, idle } = watchedFetch()
      const keys = keySetAt(server.jwksUri, { fetch })
      await keys.refresh()
      server.answer = trouble
      for (let age = 0; age <= 60 * MINUTES; age += 10_000) {
        clock.time = START + age
        expect(keys.find(KID, 'EdDSA'), `${age} ms`).toMatchObject({ kid: KID })
        expect(keys.within(3_600), `${age} ms`).toBe(keys.latest)
        if (age <= 15 * MINUTES) expect(keys.within(900), `${age} ms`).toBe(keys.latest)
        await idle()
      }
      expect(server.asked.length).toBeGreaterThan(50) // it was tried, again and again
      expect(server.asked.length).toBeLessThan(250)
      expect(keys.state()).toMatchObject({ keys: 1, ageSeconds: 3_600, stale: true, failures: server.asked.length - 1 })
      clock.time = START + 60 * MINUTES + 1
      expect(await codeOf(() => keys.find(KID, 'EdDSA'))).toBe('keys_unavailable')
      expect(await codeOf(() => keys.within(3_600))).toBe('keys_unavailable')
      clock.time = START + 15 * MINUTES + 1
      expect(keys.within(3_600)).toBe(keys.latest)
      expect(await codeOf(() => keys.within(900))).toBe('keys_unavailable')
    },
  )

  test('[BEHALF-own-trouble] [BEHALF-stale-bounds] no request fails, cached or not, direct for 60 minutes and delegated for 15; then 503 and never 401', async () => {
    const { fetch, idle } = watchedFetch()
    const api = remote({ fetch })
    const [direct, delegated] = [tokenOf(ISSUER), delegatedOf(ISSUER)]
    expect([await api.outcome(direct), await api.outcome(delegated)]).toEqual(['ok', 'ok'])
    server.answer = status(500)
    for (let age = 0; age <= 60 * MINUTES; age += 10_000) {
      clock.time = START + age
      expect([await api.outcome(direct), await api.outcome(tokenOf(ISSUER))], `${age} ms`).toEqual(['ok', 'ok'])
      if (age <= 15 * MINUTES) {
        expect([await api.outcome(delegated), await api.outcome(delegatedOf(ISSUER))], `${age} ms`).toEqual(['ok', 'ok'])
      }
      await idle()
      if (age === 15 * MINUTES) {
        clock.time++
        await expectUnavailable(api, delegated)
        await expectUnavailable(api, delegatedOf(ISSUER))
        expect(await api.outcome(direct)).toBe('ok')
      }
    }
    clock.time = START + 60 * MINUTES + 1
    for (const token of [direct, tokenOf(ISSUER), delegated, delegatedOf(ISSUER)]) await expectUnavailable(api, token)
    // And a token that could be refused for other reasons is not told so: nobody knows.
    await expectUnavailable(api, tokenOf(ISSUER, KEY, { kid: 'stranger' }))
    server.answer = json(GOOD_SET)
    clock.time += PAUSE_OVER
    for (const token of [direct, delegated]) expect(await api.outcome(token)).toBe('ok')
  })

  test('every audit event says how old the keys were, and that they were past their time', async () => {
    const { fetch, idle } = watchedFetch()
    const sink = memorySink()
    const world = createWorld({
      issuers: [issuerAt(server.jwksUri)],
      delegation: [anyRule()],
      audit: { sinks: [sink], record: 'always' },
      now: clock.now,
      fetch,
    })
    const [direct, delegated] = [tokenOf(ISSUER), delegatedOf(ISSUER)]
    const keysOf = async (milliseconds: number, token: string) => {
      clock.time = START + milliseconds
      sink.clear()
      const { code } = await world.call(token)
      await idle()
      return [code, ...sink.events.map(({ keys }) => keys)]
    }
    expect(await keysOf(0, delegated)).toEqual([null, { ageSeconds: 0, stale: false }])
    server.answer = status(500)
    expect(await keysOf(599_999, delegated)).toEqual([null, { ageSeconds: 599, stale: false }])
    expect(await keysOf(600_000, delegated)).toEqual([null, { ageSeconds: 600, stale: true }])
    expect(await keysOf(600_000, direct)).toEqual([null, { ageSeconds: 600, stale: true }])
    expect(await keysOf(900_000, delegated)).toEqual([null, { ageSeconds: 900, stale: true }])
    expect((await keysOf(900_001, delegated))[0]).toBe('keys_unavailable')
    expect(await keysOf(3_600_000, direct)).toEqual([null, { ageSeconds: 3_600, stale: true }])
    expect((await keysOf(3_600_001, direct))[0]).toBe('keys_unavailable')
    await world.server.close()
  })
})

describe('a flood of random key ids', () => {
  let serial = 0
  const strangers = (keys: RemoteKeySet, count: number) =>
    Promise.all(Array.from({ length: count }, () => codeOf(() => keys.find(`stranger-${serial++}`, 'EdDSA'))))

  /** Simulates a minute in ten steps a second; answers how many fetches the server saw in it. */
  async function minute(keys: RemoteKeySet, perSecond: (second: number) => number): Promise<number> {
    const before = server.asked.length
    for (let second = 0; second < 60; second++) {
      for (let step = 0; step < 10; step++) {
        for (const code of new Set(await strangers(keys, perSecond(second) / 10))) {
          expect(['key_unknown', 'keys_unavailable']).toContain(code)
        }
        clock.time += 100
      }
    }
    return server.asked.length - before
  }
  // The whole flood in those seconds in which the budget begins, ends and comes back; elsewhere less, for the time this takes.
  const flooded = (second: number) => (second < 6 ? 10_000 : 200)
  const thinly = () => 100

  test('[BEHALF-unknown-kid] causes at most 15 fetches in the first minute, and 12 in each later one', async () => {
    const keys = keySetAt(server.jwksUri)
    const fetches = [await minute(keys, flooded), await minute(keys, thinly), await minute(keys, thinly)]
    expect(fetches[0]).toBeLessThanOrEqual(15)
    for (const later of fetches.slice(1)) expect(later).toBeLessThanOrEqual(12)
    for (const each of fetches) expect(each).toBeGreaterThanOrEqual(11) // the budget was used up: otherwise this shows nothing
    expect(keys.find(KID, 'EdDSA')).toMatchObject({ kid: KID })
  })

  test.each([1, 2, 3])('[BEHALF-unknown-kid] also while the issuer fails, and known keys are asked for (%i)', async (seed) => {
    const keys = keySetAt(server.jwksUri, { random: seeded(seed) })
    await keys.refresh()
    server.answer = status(500)
    for (const most of [14, 12, 12]) {
      expect(await minute(keys, () => 20)).toBeLessThanOrEqual(most)
      expect(keys.find(KID, 'EdDSA')).toMatchObject({ kid: KID })
    }
    expect(server.asked.length).toBeGreaterThan(5)
  })

  test('[BEHALF-unknown-kid] at the very beginning, with nothing known, causes three', async () => {
    const keys = keySetAt(server.jwksUri)
    expect(new Set(await strangers(keys, 10_000))).toEqual(new Set(['key_unknown']))
    expect(server.asked.length).toBeLessThanOrEqual(3)
  })

  test.each([0, 700, 1_300, 2_500, 4_900])(
    '[BEHALF-unknown-kid] keeps a new key waiting for at most 5 s, asked for before or not (published after %i ms)',
    async (offset) => {
      const keys = keySetAt(server.jwksUri)
      await minute(keys, () => 10)
      for (let passed = 0; passed < offset; passed += 100) {
        await strangers(keys, 50)
        clock.time += 100
      }
      const [next, early] = ['next', 'early'].map((kid) => createSigningKey('EdDSA', { kid }))
      expect(await codeOf(() => keys.find('early', 'EdDSA'))).not.toBe('ok')
      clock.time += 1
      const published = clock.time
      server.answer = json({ keys: [KEY.jwk, next?.jwk, early?.jwk] })
      const waited: Record<string, number> = {}
      while (clock.time <= published + 5_000) {
        await strangers(keys, 50)
        for (const kid of ['next', 'early']) {
          if ((await codeOf(() => keys.find(kid, 'EdDSA'))) === 'ok') waited[kid] ??= clock.time - published
        }
        clock.time += 100
      }
      expect(waited).toEqual({ next: expect.any(Number), early: expect.any(Number) })
    },
  )

  test('[BEHALF-unknown-kid] a key that was asked for just before it was published is found 5 s after that', async () => {
    const api = remote()
    expect(await api.outcome(tokenOf(ISSUER))).toBe('ok')
    const next = createSigningKey('EdDSA', { kid: 'next' })
    expect(await api.outcome(tokenOf(ISSUER, next))).toBe('key_unknown')
    server.answer = json({ keys: [KEY.jwk, next.jwk] })
    clock.time = START + 4_999
    expect(await api.outcome(tokenOf(ISSUER, next))).toBe('key_unknown')
    expect(server.asked).toHaveLength(2)
    clock.time = START + 5_000
    expect(await api.outcome(tokenOf(ISSUER, next))).toBe('ok')
    expect(server.asked).toHaveLength(3)
  })

  test('[BEHALF-unknown-kid] a key id that an attacker asked for is found at once by the fetch that somebody else causes', async () => {
    const keys = keySetAt(server.jwksUri)
    expect(await codeOf(() => keys.find('next', 'EdDSA'))).toBe('key_unknown')
    const [next, another] = ['next', 'another'].map((kid) => createSigningKey('EdDSA', { kid }))
    server.answer = json({ keys: [KEY.jwk, next?.jwk, another?.jwk] })
    expect(await codeOf(() => keys.find('another', 'EdDSA'))).toBe('ok')
    expect(keys.find('next', 'EdDSA')).toMatchObject({ kid: 'next' })
  })

  test('[BEHALF-unknown-kid] what was remembered as unknown is forgotten when the set changes, and only then', async () => {
    const keys = keySetAt(server.jwksUri, { limits: { unknownKeyFetches: 10 } })
    const next = createSigningKey('EdDSA', { kid: 'next' })
    await keys.refresh()
    expect(await codeOf(() => keys.find('next', 'EdDSA'))).toBe('key_unknown')
    await keys.refresh() // the same set again
    server.answer = json({ keys: [KEY.jwk, next.jwk] })
    expect(await codeOf(() => keys.find('next', 'EdDSA'))).toBe('key_unknown')
    expect(server.asked).toHaveLength(3)
    server.answer = json({ keys: [KEY.jwk, createSigningKey('EdDSA', { kid: 'another' }).jwk] })
    await keys.refresh()
    server.answer = json({ keys: [KEY.jwk, next.jwk] })
    expect(await codeOf(() => keys.find('next', 'EdDSA'))).toBe('ok')
    expect(server.asked).toHaveLength(5)
  })
})

describe('an endpoint that hangs', () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  })
  afterEach(() => {
    vi.useRealTimers()
  })

  /** An answer's code once it is there. */
  function watch(step: () => unknown): { code: string | null } {
    const watched = { code: null as string | null }
    codeOf(step).then((code) => {
      watched.code = code
    })
    return watched
  }

  test.each<[string, Answer, number]>([
    ['says nothing', hang, 2_000],
    ['trickles', trickle, 3_000],
  ])(
    '[BEHALF-fetch-bounds] and %s: a known key waits for nothing, an unknown one for 3 s at most',
    async (_what, trouble, limit) => {
      const begun = deferred()
      const fetch: Fetch = async (url, init) => {
        const response = await globalThis.fetch(url, init)
        if (server.answer === trouble) begun.resolve() // the headers have come: from now on only the time in all runs
        return response
      }
      const keys = keySetAt(server.jwksUri, { fetch })
      await keys.refresh()
      server.answer = trouble === hang ? () => begun.resolve() : trouble
      clock.time = START + 600_000
      const [known, current] = [keys.find(KID, 'EdDSA'), keys.within(900)]
      expect([known, current].map((each) => each instanceof Promise)).toEqual([false, false])
      const unknown = [watch(() => keys.find('stranger-1', 'EdDSA')), watch(() => keys.find('stranger-2', 'EdDSA'))]
      await begun.promise
      await vi.advanceTimersByTimeAsync(limit - 1)
      expect(unknown.map(({ code }) => code)).toEqual([null, null])
      expect(keys.find(KID, 'EdDSA')).toBe(known)
      await vi.advanceTimersByTimeAsync(1)
      expect(unknown.map(({ code }) => code)).toEqual(['keys_unavailable', 'keys_unavailable'])
      // In the pause after it, nobody waits for anything.
      const later = watch(() => keys.find('stranger-3', 'EdDSA'))
      await vi.advanceTimersByTimeAsync(0)
      expect(later.code).toBe('keys_unavailable')
      expect(keys.find(KID, 'EdDSA')).toBe(known)
      expect(server.asked).toHaveLength(2)
    },
  )

  test('[BEHALF-fetch-bounds] an unknown key id is answered within 3 s, also where it comes during a slow fetch and the next one hangs', async () => {
    let fetches = 0
    const fetch: Fetch = () => {
      fetches++
      return fetches === 1
        ? new Promise((resolve) => setTimeout(() => resolve(Response.json(GOOD_SET)), 1_900))
        : new Promise(() => {})
    }
    const keys = keySetAt(server.jwksUri, { fetch })
    const first = watch(() => keys.within(900))
    const unknown = watch(() => keys.find('stranger', 'EdDSA'))
    await vi.advanceTimersByTimeAsync(1_900)
    await until(() => first.code === 'ok' && fetches === 2)
    await vi.advanceTimersByTimeAsync(1_100)
    expect(unknown.code).not.toBeNull()
  })
})

describe('a body of 64 MiB', () => {
  /** What can be on its way between the two sockets, in the kernel's buffers: 4 to 5 MiB on Linux. */
  const SOCKET_BUFFERS = 12 * 2 ** 20

  test('[BEHALF-fetch-bounds] is refused, and not read', async () => {
    server.answer = flood(64 * 2 ** 20)
    let read = 0
    const fetch: Fetch = async (url, init) => {
      const response = await globalThis.fetch(url, init)
      async function* counted() {
        for await (const chunk of response.body ?? []) {
          read += chunk.byteLength
          yield chunk
        }
      }
      return new Response(ReadableStream.from(counted()), response)
    }
    const before = server.sentBytes
    const api = remote({ fetch })
    await expectUnavailable(api, tokenOf(ISSUER))
    await server.idle()
    expect(read).toBeGreaterThan(256 * 1024)
    expect(read).toBeLessThanOrEqual(256 * 1024 + 64 * 1024) // the chunk that goes beyond is the last
    expect(server.sentBytes - before).toBeLessThan(256 * 1024 + SOCKET_BUFFERS)
    server.answer = json(GOOD_SET)
    clock.time += PAUSE_OVER
    expect(await api.outcome(tokenOf(ISSUER))).toBe('ok')
  })

  test('[BEHALF-fetch-bounds] takes less than 2 MB of memory', async () => {
    server.answer = (request, response) => (request.url === '/flood' ? flood(64 * 2 ** 20) : json(GOOD_SET))(request, response)
    const child = fileURLToPath(new URL('support/flood-child.mjs', import.meta.url))
    const { stdout } = await promisify(execFile)(process.execPath, ['--expose-gc', child, server.origin])
    const { refused, grown, peak, sampled } = JSON.parse(stdout) as Record<'refused' | 'grown' | 'peak' | 'sampled', number>
    expect(refused).toBe(25)
    expect(sampled).toBeGreaterThan(4)
    expect(server.asked.filter((path) => path === '/flood')).toHaveLength(refused)
    expect(grown).toBeLessThan(2_000_000)
    expect(peak).toBeLessThan(2_000_000)
  })
})

describe('a key that is removed, or replaced under its id', () => {
  const replacement = createSigningKey('EdDSA', { kid: KID })
  const renewed = createSigningKey('EdDSA', { kid: 'key-2' })

  test.each([
    ['removed', { keys: [renewed.jwk] }, 'key_unknown'],
    ['replaced', { keys: [replacement.jwk] }, 'signature_invalid'],
  ])('[BEHALF-removed-key] %s: its tokens are refused from the next refresh on, cached ones too', async (_what, set, code) => {
    const api = remote()
    const [cached, unused, cachedDelegated] = [tokenOf(ISSUER), tokenOf(ISSUER), delegatedOf(ISSUER)]
    expect([await api.outcome(cached), await api.outcome(cachedDelegated)]).toEqual(['ok', 'ok'])
    server.answer = json(set)
    expect(await api.outcome(cached)).toBe('ok')
    await api.server.keys.refresh(ISSUER)
    for (const token of [cached, unused, cachedDelegated]) expect(await api.outcome(token)).toBe(code)
    // Back again: nothing about the token itself was remembered.
    server.answer = json(GOOD_SET)
    await api.server.keys.refresh(ISSUER)
    for (const token of [cached, unused, cachedDelegated]) expect(await api.outcome(token)).toBe('ok')
  })

  test.each([
    ['removed', { keys: [renewed.jwk] }],
    ['replaced', { keys: [replacement.jwk] }],
  ])('[BEHALF-proof-under-way] %s during a proof: it proves nothing, and is not cached', async (_what, set) => {
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
    const issuer = resolveIssuer(
      oauth({ issuer: ISSUER, audience: TEST_AUDIENCE, jwksUri: server.jwksUri }),
      'issuer',
      environment,
    )
    let duringProof = async () => {}
    const keys: KeySet = {
      async find(kid, algorithm) {
        const key = await issuer.keys.find(kid, algorithm)
        await duringProof()
        return key
      },
      within: (seconds) => issuer.keys.within(seconds),
      get latest() {
        return issuer.keys.latest
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
    for (const token of [tokenOf(ISSUER), delegatedOf(ISSUER)]) {
      server.answer = json(GOOD_SET)
      await issuer.keys.refresh()
      duringProof = () => {
        server.answer = json(set)
        return issuer.keys.refresh()
      }
      const result = await verifier.verify(token, verifier.recall(token))
      expect(isRefused(result) && result.error.code).toBe('key_unknown')
      expect(verifier.recall(token)).toBeUndefined()
      // Evicted during it: nobody knows.
      server.answer = json(GOOD_SET)
      await issuer.keys.refresh()
      duringProof = async () => {
        server.answer = status(500)
        issuer.keys.evict()
      }
      const evicted = await verifier.verify(token, verifier.recall(token))
      expect(isRefused(evicted) && evicted.error.code).toBe('keys_unavailable')
      expect(verifier.recall(token)).toBeUndefined()
      clock.time += PAUSE_OVER
    }
  })
})

describe('two keys of one id', () => {
  test('[BEHALF-one-fitting-key] that fit one algorithm prove nothing; of the others in the set each does', async () => {
    const [one, two] = [createSigningKey('EdDSA', { kid: 'same' }), createSigningKey('EdDSA', { kid: 'same' })]
    server.answer = json({ keys: [one.jwk, two.jwk, KEY.jwk] })
    const api = remote()
    for (const key of [one, two]) expect(await api.outcome(tokenOf(ISSUER, key))).toBe('key_unknown')
    expect(await api.outcome(tokenOf(ISSUER))).toBe('ok')
  })
})

describe("one issuer's trouble", () => {
  const OTHER = 'https://other-as.example.test'
  const both = (more: Partial<ResourceServerOptions> = {}) =>
    apiOf({ issuers: [issuerAt(server.jwksUri), issuerAt(other.jwksUri, OTHER)], ...more })

  test.each<[string, Answer]>([
    ['failing', status(500)],
    ['sending garbage', json('<html>')],
    ['resetting connections', reset],
    ['cutting answers off', cutOff],
    ['redirecting', status(302, { location: 'https://evil.example.test/' })],
    ['flooding', flood(64 * 2 ** 20)],
  ])("[BEHALF-issuer-isolation] (%s) is not another issuer's", async (_what, trouble) => {
    server.answer = trouble
    const api = both()
    for (let round = 0; round < 3; round++) {
      await expectUnavailable(api, tokenOf(ISSUER))
      expect(await api.outcome(tokenOf(OTHER))).toBe('ok')
      clock.time += PAUSE_OVER
    }
    expect(other.asked).toEqual(['/jwks'])
    expect(api.server.keys.state()).toMatchObject([
      { issuer: ISSUER, keys: 0, failures: 3 },
      { issuer: OTHER, keys: 1, failures: 0, lastFailure: null },
    ])
  })

  test("[BEHALF-issuer-isolation] an endpoint that hangs delays only its own issuer's tokens", async () => {
    const [begun, over] = [deferred(), deferred()]
    server.answer = (request, response) => {
      begun.resolve()
      over.promise.then(() => status(500)(request, response))
    }
    const api = both()
    let waiting = true
    const held = api.error(tokenOf(ISSUER)).then((error) => {
      waiting = false
      return error
    })
    await begun.promise
    for (let round = 0; round < 3; round++) expect(await api.outcome(tokenOf(OTHER))).toBe('ok')
    expect(waiting).toBe(true)
    over.resolve()
    assertUnavailable(await held)
  })

  test("[BEHALF-issuer-isolation] a flood of its unknown key ids leaves another issuer's budget alone", async () => {
    const api = both()
    const stranger = (issuer: string, kid: string) => api.outcome(tokenOf(issuer, KEY, { kid }))
    for (let index = 0; index < 100; index++) await stranger(ISSUER, `stranger-${index}`)
    expect(await stranger(ISSUER, 'next')).toBe('keys_unavailable')
    expect(await api.outcome(tokenOf(OTHER))).toBe('ok')
    const next = createSigningKey('EdDSA', { kid: 'next' })
    other.answer = json({ keys: [KEY.jwk, next.jwk] })
    expect(await api.outcome(tokenOf(OTHER, next))).toBe('ok')
    expect([server.asked.length, other.asked.length]).toEqual([3, 2])
  })

  test('[BEHALF-issuer-isolation] [BEHALF-no-idle-fetch] a flood of invented issuers fetches nothing, and touches nobody', async () => {
    const api = both()
    const invented = await Promise.all(
      Array.from({ length: 2_000 }, (_, index) => api.outcome(tokenOf(`https://invented-${index}.example.test`))),
    )
    expect(new Set(invented)).toEqual(new Set(['issuer_unknown']))
    expect([server.asked, other.asked]).toEqual([[], []])
    expect([await api.outcome(tokenOf(ISSUER)), await api.outcome(tokenOf(OTHER))]).toEqual(['ok', 'ok'])
    expect(api.server.keys.state().map(({ issuer }) => issuer)).toEqual([ISSUER, OTHER])
  })

  test('[BEHALF-issuer-isolation] an eviction drops the keys and tokens of that issuer alone', async () => {
    const api = both()
    const [here, there] = [tokenOf(ISSUER), tokenOf(OTHER)]
    expect([await api.outcome(here), await api.outcome(there)]).toEqual(['ok', 'ok'])
    server.answer = status(500)
    other.answer = status(500)
    api.server.keys.evict(ISSUER)
    await expectUnavailable(api, here)
    expect([await api.outcome(there), await api.outcome(tokenOf(OTHER))]).toEqual(['ok', 'ok'])
  })
})
