/** How long a status list serves, and what happens where it cannot be read: against a server that counts, by a clock that the test moves. */
import { inspect } from 'node:util'
import { AuthError, type Fetch } from '@behalf/core'
import { createSigningKey } from '@behalf/testing'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { deferred } from '../../../test/support/deferred.js'
import { FetchError } from '../src/keys/fetch-json.js'
import type { KeySet } from '../src/keys/key-set.js'
import type { StatusLists } from '../src/status-list/status-lists.js'
import { clock, codeOf, KEY, PAUSE_OVER, START, settle, until, watchedFetch } from './support/key-apis.js'
import { type Answer, cutOff, documents, flood, hang, reset, status, trickle } from './support/key-server.js'
import {
  createStatusListServer,
  keysOf,
  type ListSettings,
  listToken,
  SECONDS,
  type StatusListServer,
  statusListsAt,
  text,
} from './support/status-list-server.js'

let server: StatusListServer
beforeAll(async () => {
  server = await createStatusListServer()
})
beforeEach(() => {
  clock.time = START
  server.reset()
})
afterAll(() => server.close())

const VALID = Uint8Array.of(0b10)
const REVOKED = Uint8Array.of(0b11)

/** Lists whose fetches the test can wait for, and one token's place in one of them. */
function watched(settings: ListSettings = {}) {
  const { fetch, idle } = watchedFetch()
  const lists = statusListsAt(server, { ...settings, environment: { fetch, ...settings.environment } })
  const ask = (uri = server.uri) => codeOf(() => lists.check({ uri, index: 0 }))
  return { lists, ask, idle }
}

/** What is answered without waiting: anything that has to be waited for is the test's failure. */
function atOnce(lists: StatusLists, uri = server.uri): string {
  try {
    if (lists.check({ uri, index: 0 }) instanceof Promise) throw new Error('it has to be waited for')
    return 'ok'
  } catch (error) {
    if (error instanceof AuthError) return error.code
    throw error
  }
}

async function errorOf(lists: StatusLists): Promise<AuthError> {
  try {
    await lists.check({ uri: server.uri, index: 0 })
  } catch (error) {
    if (error instanceof AuthError) return error
    throw error
  }
  throw new Error('the token was not refused')
}

const after = (seconds: number) => {
  clock.time = START + seconds * 1000
}

describe('a list that was read', () => {
  test('[STATUS-LIST-8.2-fresh] answers at once, and is not asked for again', async () => {
    server.publish({ bytes: VALID })
    const { lists, ask } = watched()
    expect(await ask()).toBe('ok')
    for (const seconds of [0, 1, 100, 455]) {
      after(seconds)
      expect(atOnce(lists)).toBe('ok')
      expect(await codeOf(() => lists.check({ uri: server.uri, index: 1 }))).toBe('token_revoked')
    }
    expect(server.asked).toHaveLength(1)
  })

  test('[STATUS-LIST-8.2-fresh] is read anew in the background before its time is over: nobody waits', async () => {
    server.publish({ bytes: VALID })
    const { lists, ask } = watched()
    await ask()
    server.publish({ bytes: REVOKED })
    after(457) // 80 % of 600 s, a twentieth of that earlier
    expect([atOnce(lists), atOnce(lists)]).toEqual(['ok', 'ok'])
    await until(() => atOnce(lists) === 'token_revoked')
    expect(server.asked).toHaveLength(2)
  })

  test('[STATUS-LIST-8.2-fresh] and before its end, where that comes first', async () => {
    server.publish({ bytes: VALID, claims: { exp: SECONDS + 95 } })
    const { lists, ask } = watched()
    await ask()
    server.publish({ bytes: REVOKED })
    after(77)
    expect(atOnce(lists)).toBe('ok')
    await until(() => atOnce(lists) === 'token_revoked')
  })

  test('[STATUS-LIST-8.2-fresh] its time passes also where a clock is set back, not so far that it shows', async () => {
    server.publish({ bytes: VALID, claims: { ttl: 30 } })
    const { ask } = watched()
    await ask()
    server.publish({ bytes: REVOKED })
    after(20)
    expect(await ask()).toBe('ok')
    after(5)
    expect(await ask()).toBe('ok')
    after(15)
    expect(await ask()).toBe('token_revoked')
  })

  test('[BEHALF-status-list-stale] nor does it serve any longer for it while it cannot be read', async () => {
    server.publish({ bytes: VALID, claims: { ttl: 30 } })
    const { ask } = watched({ staleSeconds: 60 })
    await ask()
    server.answer = reset
    after(80)
    expect(await ask()).toBe('ok')
    after(40)
    expect(await ask()).toBe('ok')
    after(50)
    expect(await ask()).toBe('revocation_unavailable')
  })

  test('[STATUS-LIST-8.2-fresh] past its time a request waits for the newer one', async () => {
    server.publish({ bytes: VALID })
    const { ask } = watched({ staleSeconds: 3_600 })
    await ask()
    server.publish({ bytes: REVOKED })
    after(600)
    expect(await ask()).toBe('token_revoked')
  })

  const times: readonly (readonly [string, Record<string, unknown>, Record<string, string>, number])[] = [
    ['nothing is said', {}, {}, 600],
    ['its ttl', { ttl: 30 }, {}, 30],
    ['its ttl, whatever the server says', { ttl: 30 }, { 'cache-control': 'max-age=1000' }, 30],
    ['its ttl, also where the server says no-store', { ttl: 30 }, { 'cache-control': 'no-store' }, 30],
    ['what its server says, where it says nothing itself', {}, { 'cache-control': 'public, max-age=40' }, 40],
    ['that less the age of the answer', {}, { 'cache-control': 'max-age="40"', age: '15' }, 25],
    ['no less than 5 s', { ttl: 0.5 }, {}, 5],
    ['no less than 5 s, where the server says no-cache', {}, { 'cache-control': 'no-cache' }, 5],
    ['no less than 5 s, where the server says no-store', {}, { 'cache-control': 'max-age=60, no-store' }, 5],
    ['no more than an hour', { ttl: 86_400 }, {}, 3_600],
    ['no more than up to its end', { ttl: 30, exp: SECONDS + 10 }, {}, 15],
    ['no more than up to its end, even if that is soon', { exp: SECONDS - 4 }, {}, 1],
  ]
  test.each(times)('[STATUS-LIST-8.2-fresh] is fresh for its time: %s', async (_what, claims, headers, seconds) => {
    server.publish({ bytes: VALID, claims }, headers)
    const { lists, ask } = watched()
    await ask()
    server.answer = status(500)
    after(seconds - 0.001)
    expect(atOnce(lists)).toBe('ok')
    after(seconds)
    expect(await ask()).toBe('revocation_unavailable')
  })

  test('[BEHALF-status-list-rollback] is not replaced by an older one, whoever signed that', async () => {
    server.publish({ bytes: REVOKED })
    const { lists, ask, idle } = watched()
    await ask()
    server.publish({ bytes: VALID, claims: { iat: SECONDS - 1 } })
    after(500)
    expect(atOnce(lists)).toBe('token_revoked')
    await idle()
    expect(server.asked).toHaveLength(2)
    expect(atOnce(lists)).toBe('token_revoked')
    after(600 + 60)
    expect(await ask()).toBe('revocation_unavailable')
    after(600 + 60 + 61)
    server.publish({ bytes: VALID, claims: { iat: SECONDS } }) // as old as the known one: a list can be published twice a second
    expect(await ask()).toBe('ok')
  })

  test('[BEHALF-status-list-key] serves only as long as the key that proved it is one of the issuer', async () => {
    const next = createSigningKey('EdDSA', { kid: 'key-2' })
    const [before, rotated] = [keysOf(KEY, next), keysOf(next)]
    let keys = before
    const current: Partial<KeySet> = {
      get latest() {
        return keys.latest
      },
      find: (kid, algorithm) => keys.find(kid, algorithm),
    }
    server.publish({ bytes: VALID })
    const { lists, ask } = watched({ keys: current as KeySet })
    expect(await ask()).toBe('ok')
    await rotated.within(0)
    keys = rotated
    expect(await ask()).toBe('revocation_unavailable')
    clock.time += PAUSE_OVER
    server.publish({ bytes: VALID, key: next })
    expect(await ask()).toBe('ok')
    rotated.evict()
    expect(await ask()).toBe('revocation_unavailable')
    clock.time += PAUSE_OVER
    await rotated.refresh()
    expect(await ask()).toBe('ok')
    expect(atOnce(lists)).toBe('ok')
  })

  test('[STATUS-LIST-8.2-fresh] is read anew where the clock was set back under it', async () => {
    server.publish({ bytes: VALID, claims: { iat: SECONDS - 9_999 } })
    const { lists, ask } = watched()
    await ask()
    clock.time = START - 1
    expect(await ask()).toBe('ok')
    expect(server.asked).toHaveLength(2)
    expect(atOnce(lists)).toBe('ok')
  })
})

describe('many requests', () => {
  test('[BEHALF-status-list-one-fetch] are one fetch', async () => {
    server.publish({ bytes: VALID })
    const { lists } = watched()
    const asked = await Promise.all(
      Array.from({ length: 2_000 }, (_, at) => codeOf(() => lists.check({ uri: server.uri, index: at % 2 }))),
    )
    expect(new Set(asked)).toEqual(new Set(['ok', 'token_revoked']))
    expect(server.asked).toHaveLength(1)
  })

  test('[BEHALF-status-list-one-fetch] are one fetch also where it fails, and where the list is past its time', async () => {
    server.answer = status(500)
    const { ask } = watched({ staleSeconds: 600 })
    const all = () => Promise.all(Array.from({ length: 1_000 }, () => ask()))
    expect(new Set(await all())).toEqual(new Set(['revocation_unavailable']))
    expect(server.asked).toHaveLength(1)
    after(61)
    server.publish({ bytes: VALID })
    expect(await ask()).toBe('ok')
    after(61 + 600)
    expect(new Set(await all())).toEqual(new Set(['ok']))
    expect(server.asked).toHaveLength(3)
  })
})

describe('a list that cannot be read', () => {
  const troubles: readonly (readonly [string, Answer])[] = [
    ['404', status(404)],
    ['500', status(500)],
    ['204', status(204)],
    ['206', status(206)],
    ['304, which was not asked for', status(304)],
    ['a redirect', status(302, { location: '/lists/2' })],
    ['a permanent redirect', status(308, { location: '/lists/2' })],
    ['no answer', hang],
    ['a beginning', trickle],
    ['a closed connection', reset],
    ['a body that is cut off', cutOff],
    ['5 MiB of blanks', flood(5 * 1024 * 1024)],
    ['a length that is too large', status(200, { 'content-length': String(5 * 1024 * 1024) })],
    ['a broken compression', status(200, { 'content-encoding': 'gzip' }, 'no gzip')],
  ]
  const short = { fetchHeadersMilliseconds: 60, fetchTotalMilliseconds: 90 }

  test.each(troubles)('[BEHALF-status-list-trouble] is our trouble: %s', async (_what, trouble) => {
    const good = text(listToken(`${server.origin}/lists/2`))
    server.answer = (request, response) => (request.url === '/lists/2' ? good : trouble)(request, response)
    const slow = trouble === hang || trouble === trickle
    const lists = statusListsAt(server, slow ? { limits: short } : {})
    const error = await errorOf(lists)
    expect([error.code, error.status, error.challenge]).toEqual(['revocation_unavailable', 503, null])
    expect(Number(error.headers['retry-after'])).toBeGreaterThanOrEqual(5)
    expect(error.cause).toBeInstanceOf(FetchError)
    expect(server.asked).toEqual(['/lists/1'])
  })

  test('[BEHALF-status-list-trouble] its server is left alone for a while, and callers are told to', async () => {
    server.answer = status(500)
    const { lists, ask } = watched({ limits: { backOffFirstSeconds: 40 } })
    const first = await errorOf(lists)
    expect(first.headers['retry-after']).toBe('20')
    expect(first.cause).toMatchObject({ status: 500 })
    server.publish({ bytes: VALID })
    after(19.999)
    expect((await errorOf(lists)).headers['retry-after']).toBe('5')
    expect(server.asked).toHaveLength(1)
    after(20)
    expect(await ask()).toBe('ok')
    server.answer = status(500)
    after(620)
    expect((await errorOf(lists)).headers['retry-after']).toBe('20') // a trouble of its own
    after(640)
    expect((await errorOf(lists)).headers['retry-after']).toBe('30')
  })

  test('[BEHALF-status-list-trouble] a refresh that fails changes nothing before the list’s time is over, and is tried again', async () => {
    server.publish({ bytes: VALID })
    const { lists, ask, idle } = watched()
    await ask()
    server.answer = status(500)
    for (const seconds of [457, 500, 560, 599.999]) {
      after(seconds)
      for (let time = 0; time < 3; time++) {
        expect(atOnce(lists)).toBe('ok')
        await idle()
      }
    }
    expect(server.asked.length).toBe(5) // once each time: it is left alone in between
    after(600)
    expect(await ask()).toBe('revocation_unavailable')
  })

  test('[BEHALF-status-list-stale] serves as long past its time as the application lets it, and no longer', async () => {
    server.publish({ bytes: VALID })
    const { lists, ask } = watched({ staleSeconds: 300 })
    await ask()
    server.answer = status(500)
    after(600)
    expect(await ask()).toBe('ok') // after it was asked for in vain
    expect(server.asked).toHaveLength(2)
    expect(atOnce(lists)).toBe('ok') // and for a while without asking
    expect(server.asked).toHaveLength(2)
    after(700)
    expect(await ask()).toBe('ok')
    after(899.999)
    expect(await ask()).toBe('ok')
    after(900)
    expect(await ask()).toBe('revocation_unavailable')
    after(900 + 61)
    server.publish({ bytes: REVOKED })
    expect(await ask()).toBe('token_revoked')
  })

  test('[BEHALF-status-list-stale] never serves past its own end', async () => {
    server.publish({ bytes: VALID, claims: { exp: SECONDS + 700 } })
    const { ask } = watched({ staleSeconds: 86_400 })
    await ask()
    server.answer = status(500)
    after(704.999)
    expect(await ask()).toBe('ok')
    after(705)
    expect(await ask()).toBe('revocation_unavailable')
  })

  test('[BEHALF-status-list-stale] nor where its time ends while it is asked for again', async () => {
    const { promise, resolve } = deferred<Response>()
    let asked = 0
    const fetch: Fetch = async () => (asked++ === 0 ? new Response(listToken(server.uri, { bytes: VALID })) : promise)
    const { ask } = watched({ staleSeconds: 10, environment: { fetch } })
    expect(await ask()).toBe('ok')
    after(609)
    const waiting = ask()
    await settle()
    after(610)
    resolve(new Response('', { status: 500 }))
    expect(await waiting).toBe('revocation_unavailable')
  })

  test('[BEHALF-status-list-trouble] an issuer whose keys cannot be read is our trouble too', async () => {
    server.publish({ bytes: VALID })
    const keys = keysOf(KEY)
    keys.evict()
    const error = await errorOf(statusListsAt(server, { keys }))
    expect([error.code, (error.cause as Error).message]).toEqual([
      'revocation_unavailable',
      'the keys of the issuer could not be read',
    ])
  })

  test('[BEHALF-status-list-trouble] what a fetch of the application throws is not told', async () => {
    const failing: readonly Fetch[] = [
      () => Promise.reject(new Error('secret')),
      () => Promise.reject('secret'),
      () => {
        throw new Error('secret')
      },
      async () => ({ status: 200 }) as Response,
    ]
    for (const fetch of failing) {
      const error = await errorOf(statusListsAt(server, { environment: { fetch } }))
      expect(error.code).toBe('revocation_unavailable')
      expect(inspect(error, { depth: 9 })).not.toContain('secret')
    }
  })

  test('[BEHALF-status-list-trouble] an answer that came by a redirect is not taken', async () => {
    const fetch: Fetch = (url) => globalThis.fetch(url) // heeds nothing
    server.answer = documents({
      '/lists/1': status(302, { location: '/lists/2' }),
      '/lists/2': text(listToken(server.uri)),
    })
    expect((await errorOf(statusListsAt(server, { environment: { fetch } }))).code).toBe('revocation_unavailable')
  })

  test('[BEHALF-status-list-screen] an address that must not be asked is not', async () => {
    server.publish({ bytes: VALID })
    const screened: string[] = []
    const screen = async (url: string) => {
      screened.push(url)
      throw new FetchError('the host of a discovered URL has an address that is not public')
    }
    const error = await errorOf(statusListsAt(server, { environment: { screen } }))
    expect([error.code, screened, server.asked]).toEqual(['revocation_unavailable', [server.uri], []])
    expect(
      await codeOf(() => statusListsAt(server, { environment: { screen: async () => {} } }).check({ uri: server.uri, index: 0 })),
    ).toBe('ok')
  })

  test('[BEHALF-status-list-screen] nor is it where looking at the address took longer than there is time', async () => {
    const { promise, resolve } = deferred()
    let asked = 0
    const fetch: Fetch = async () => {
      asked++
      return new Response(listToken(server.uri))
    }
    const lists = statusListsAt(server, { limits: short, environment: { fetch, screen: () => promise } })
    expect((await errorOf(lists)).code).toBe('revocation_unavailable')
    resolve()
    await settle()
    expect(asked).toBe(0)
  })
})

describe('several lists', () => {
  const uriOf = (number: number) => `${server.origin}/lists/${number}`
  beforeEach(() => {
    server.answer = (request, response) =>
      text(listToken(`${server.origin}${request.url}`, { bytes: new Uint8Array(1_000) }))(request, response)
  })

  test('[BEHALF-status-list-memory] are kept up to a number; those that were not asked for longest give way', async () => {
    const { ask, lists } = watched({ limits: { statusLists: 2 } })
    for (const number of [1, 2, 1, 3]) await ask(uriOf(number))
    expect(server.asked).toEqual(['/lists/1', '/lists/2', '/lists/3'])
    expect([atOnce(lists, uriOf(1)), atOnce(lists, uriOf(3))]).toEqual(['ok', 'ok'])
    expect(await ask(uriOf(2))).toBe('ok')
    expect(server.asked).toHaveLength(4)
  })

  test('[BEHALF-status-list-memory] are kept up to an amount of memory', async () => {
    const { ask } = watched({ limits: { statusListMemoryBytes: 2 * 2_048 + 2_999 } })
    for (const number of [1, 2, 3]) await ask(uriOf(number))
    expect(server.asked).toHaveLength(3)
    await ask(uriOf(3))
    await ask(uriOf(2))
    expect(server.asked).toHaveLength(3)
    await ask(uriOf(1))
    expect(server.asked).toHaveLength(4)
  })

  test('[BEHALF-status-list-memory] one that is as large as all of it may be is kept', async () => {
    const { ask } = watched({ limits: { statusListMemoryBytes: 1_000, statusListInflatedBytes: 1_000 } })
    for (const number of [1, 1, 2, 2]) expect(await ask(uriOf(number))).toBe('ok')
    expect(server.asked).toEqual(['/lists/1', '/lists/2'])
  })

  test('[BEHALF-status-list-memory] one that gave way while it was read answers those who wait, and does not come back', async () => {
    const { promise, resolve } = deferred<Response>()
    const fetch: Fetch = async (url) => (url === uriOf(1) && server.asked.length === 0 ? promise : globalThis.fetch(url))
    const { lists, ask } = watched({ limits: { statusLists: 1 }, environment: { fetch } })
    const waiting = ask(uriOf(1))
    await ask(uriOf(2))
    resolve(new Response(listToken(uriOf(1))))
    expect(await waiting).toBe('ok')
    expect(atOnce(lists, uriOf(2))).toBe('ok')
  })
})

describe('the end', () => {
  test('[BEHALF-status-list-close] nothing is read in the background any more; a request that has to wait still does', async () => {
    server.publish({ bytes: VALID })
    const { lists, ask, idle } = watched()
    await ask()
    lists.close()
    lists.close()
    after(599)
    expect(atOnce(lists)).toBe('ok')
    await idle()
    expect(server.asked).toHaveLength(1)
    after(600)
    expect(await ask()).toBe('ok')
    expect(server.asked).toHaveLength(2)
  })
})
