/** For how long an answer is believed, and what is asked again when. */
import { inspect } from 'node:util'
import fc from 'fast-check'
import { beforeEach, describe, expect, test, vi } from 'vitest'
import { answers, JSON_TYPE, knows, type Reply, says, sends } from '../../../test/support/introspection-server.js'
import { KeptAnswers } from '../src/introspection/kept-answers.js'
import { SteadyClock } from '../src/steady-clock.js'
import {
  ACTIVE,
  type Asking,
  asking,
  clock,
  endpointForTests,
  expectTrouble,
  GOOD,
  quiet,
  START,
  START_SECONDS,
} from './support/introspection-api.js'
import { until } from './support/key-apis.js'

const server = await endpointForTests(says(ACTIVE))

describe('an answer is believed', () => {
  test.each([
    [{}, 30],
    [{ cacheSeconds: 1 }, 1],
    [{ cacheSeconds: 300 }, 300],
  ])('[Design-introspection-cache] for its time, and then asked for again: %j', async (options, seconds) => {
    const api = asking(server, options, { random: () => 0 })
    await api.outcome('a-token')
    clock.time = START + seconds * 800 - 1
    expect(await api.outcome('a-token')).toBe('ok')
    expect(server.asked).toEqual(['a-token'])
    clock.time = START + seconds * 1000
    expect(api.introspector.known('a-token')).toBeUndefined()
    expect(await api.outcome('a-token')).toBe('ok')
    expect(server.asked).toEqual(['a-token', 'a-token'])
  })

  test('[Design-introspection-cache] counted from when the question was sent, not from when it was answered', async () => {
    server.reply = (request, response, question) => {
      clock.time += 20_000
      says(ACTIVE)(request, response, question)
    }
    const api = asking(server)
    await api.outcome('a-token')
    expect(api.introspector.known('a-token')).toBeDefined()
    clock.time = START + 30_000
    expect(api.introspector.known('a-token')).toBeUndefined()
  })

  test.each([1, 10, 29])('[RFC7662-4-exp] never beyond the expiry of the token, which comes after %d s', async (seconds) => {
    server.reply = says({ ...ACTIVE, exp: START_SECONDS + seconds })
    const api = asking(server)
    await api.outcome('a-token')
    clock.time = START + seconds * 1000 - 1
    expect(api.introspector.known('a-token')).toBeDefined()
    clock.time = START + seconds * 1000
    expect(api.introspector.known('a-token')).toBeUndefined()
    clock.time = START
    expect(api.introspector.known('a-token')).toBeUndefined() // it was thrown away
  })

  test.each([START_SECONDS, START_SECONDS - 3, 'soon', null, [START_SECONDS + 60]])(
    '[RFC7662-4-exp] not at all where its token has expired, or nobody can tell: %j',
    async (exp) => {
      server.reply = says({ ...ACTIVE, exp })
      const api = asking(server)
      expect((await api.claims('a-token'))['exp']).toEqual(exp) // whether it is good is judged with the other claims
      expect(api.introspector.known('a-token')).toBeUndefined()
    },
  )

  test('[Design-introspection-flood] a token that has expired takes the place of no good one, either', async () => {
    server.reply = knows({ good: GOOD, expired: { ...GOOD, exp: START_SECONDS } })
    const api = asking(server, { maxEntries: 1 })
    for (const token of ['good', 'expired']) expect(await api.outcome(token)).toBe('ok')
    expect(api.introspector.known('good')).toBeDefined()
  })

  test('[Design-introspection-cache] only for this very token', async () => {
    server.reply = knows({ [`${'x'.repeat(200)}a`]: GOOD })
    const api = asking(server)
    expect(await api.outcome(`${'x'.repeat(200)}a`)).toBe('ok')
    expect(await api.outcome(`${'x'.repeat(200)}b`)).toBe('token_inactive')
    expect(await api.outcome(`y${'x'.repeat(200)}a`)).toBe('token_inactive')
  })

  test('[Design-introspection-cache] with cacheSeconds 0 each request asks', async () => {
    const api = asking(server, { cacheSeconds: 0 })
    for (let each = 0; each < 3; each++) expect(await api.outcome('a-token')).toBe('ok')
    expect(server.asked).toHaveLength(3)
    server.reply = says({ active: false })
    expect(await api.outcome('a-token')).toBe('token_inactive')
    server.reply = says(ACTIVE)
    expect(await api.outcome('a-token')).toBe('ok')
  })
})

describe('a clock that is set back', () => {
  test.each([1, 20_000, 86_400_000])('[Design-introspection-clock] by %d ms lets no answer live longer', async (back) => {
    const api = asking(server)
    await api.outcome('a-token')
    clock.time = START + 20_000
    expect(api.introspector.known('a-token')).toBeDefined()
    clock.time -= back
    expect(api.introspector.known('a-token')).toBeDefined()
    clock.time += 9_999
    expect(api.introspector.known('a-token')).toBeDefined()
    clock.time += 1
    expect(api.introspector.known('a-token')).toBeUndefined()
  })

  test('[Design-introspection-clock] steady time never goes back, and never loses what the clock went on', () => {
    const steps = fc.array(fc.record({ on: fc.nat(10_000), jump: fc.integer({ min: -1_000_000, max: 1_000_000 }) }))
    fc.assert(
      fc.property(steps, (moves) => {
        const steady = new SteadyClock(() => 0)
        let wall = START
        let last = steady.at(wall)
        for (const { on, jump } of moves) {
          wall += jump
          const jumped = steady.at(wall)
          expect(jumped - last).toBe(Math.max(0, jump))
          wall += on
          last = steady.at(wall)
          expect(last - jumped).toBe(on)
        }
      }),
    )
  })
})

describe('a clock that is set back while nobody looks', () => {
  /** What goes on whatever happens to the clock. */
  let gone = 0
  beforeEach(() => {
    gone = 0
  })
  const passes = (milliseconds: number, setBack = 0) => {
    gone += milliseconds
    clock.time += milliseconds - setBack
  }

  test.each([
    [25_000, 4_999],
    [10_000, 4_999],
    [25_000, 25_000],
    [25_000, 86_400_000],
  ])('[Design-introspection-clock] for %d ms, by %d ms, lets no answer live longer', async (idle, back) => {
    const api = asking(server, {}, { monotonic: () => gone })
    await api.outcome('a-token')
    passes(idle, back)
    expect(api.introspector.known('a-token')).toBeDefined()
    passes(29_999 - idle)
    expect(api.introspector.known('a-token')).toBeDefined()
    passes(1)
    expect(api.introspector.known('a-token')).toBeUndefined()
  })

  test('[Design-introspection-clock] beyond its time lets no answer live at all', async () => {
    const api = asking(server, {}, { monotonic: () => gone })
    await api.outcome('a-token')
    passes(30_000, 29_000)
    expect(api.introspector.known('a-token')).toBeUndefined()
  })

  test('[Design-introspection-clock] a machine that slept counts by its clock, if nothing else went on', async () => {
    const api = asking(server, {}, { monotonic: () => gone })
    await api.outcome('a-token')
    clock.time += 30_000
    expect(api.introspector.known('a-token')).toBeUndefined()
  })

  test('[Design-introspection-clock] whatever the clock does, no more is lost than a tenth of a second', () => {
    const steps = fc.array(
      fc.record({ on: fc.nat(60_000), jump: fc.oneof(fc.constant(0), fc.integer({ min: -90_000, max: 90_000 })) }),
    )
    fc.assert(
      fc.property(steps, fc.nat(), (moves, begin) => {
        let monotonic = begin
        let wall = START
        const steady = new SteadyClock(() => monotonic)
        const times = [{ steady: steady.at(wall), monotonic }]
        for (const { on, jump } of moves) {
          monotonic += on
          wall += on + jump
          const now = { steady: steady.at(wall), monotonic }
          for (const then of times) {
            expect(now.steady - then.steady).toBeGreaterThanOrEqual(now.monotonic - then.monotonic - 100)
          }
          times.push(now)
        }
      }),
    )
  })

  test.each([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])(
    '[Design-introspection-clock] what is no time changes nothing: %d',
    (odd) => {
      const steady = new SteadyClock(() => 0)
      const begin = steady.at(START)
      expect(steady.at(odd)).toBe(begin)
      expect(steady.at(START + 500)).toBe(begin + 500)
    },
  )

  test('[Design-introspection-clock] and no answer is believed by it', async () => {
    const api = asking(server)
    await api.outcome('a-token')
    clock.time = Number.NaN
    expect(api.introspector.known('a-token')).toBeUndefined()
  })

  test('[Design-introspection-clock] sources that tick at different moments go no faster together', () => {
    let tenths = 0
    const steady = new SteadyClock(() => tenths / 10)
    const begin = steady.at(START)
    for (let each = 0; each < 100_000; each++) {
      tenths++
      steady.at(START + Math.floor((tenths + 5) / 10))
    }
    const time = steady.at(START + 10_000) - begin
    expect(time).toBeGreaterThanOrEqual(10_000)
    expect(time).toBeLessThanOrEqual(10_100)
  })

  test('[Design-introspection-clock] is noticed by the time of the process where the clock is the one of the machine', async () => {
    const wall = vi.spyOn(Date, 'now').mockImplementation(() => clock.time)
    const process = vi.spyOn(performance, 'now').mockImplementation(() => gone)
    try {
      const answer = () => new Response(JSON.stringify(ACTIVE), { headers: { 'content-type': JSON_TYPE } })
      const api = asking(server, {}, { now: Date.now, fetch: async () => answer() })
      await api.outcome('a-token')
      passes(29_999, 20_000)
      expect(api.introspector.known('a-token')).toBeDefined()
      passes(1)
      expect(api.introspector.known('a-token')).toBeUndefined()
    } finally {
      wall.mockRestore()
      process.mockRestore()
    }
  })

  test("[Design-introspection-clock] and by nothing where it is somebody's own, which is all the time there is", async () => {
    const process = vi.spyOn(performance, 'now').mockImplementation(() => gone)
    try {
      const api = asking(server)
      await api.outcome('a-token')
      gone += 86_400_000
      expect(api.introspector.known('a-token')).toBeDefined()
    } finally {
      process.mockRestore()
    }
  })
})

describe('when everything is to be forgotten', () => {
  test('[Design-introspection-forget] no answer is believed any more, and each token is asked about again', async () => {
    const api = asking(server, { cacheSeconds: 300 })
    for (const token of ['one', 'two']) expect(await api.outcome(token)).toBe('ok')
    server.reply = says({ active: false })
    api.introspector.forget()
    expect(api.introspector.known('one')).toBeUndefined()
    for (const token of ['one', 'two']) expect(await api.outcome(token)).toBe('token_inactive')
  })

  test('[Design-introspection-forget] nor any refusal, or pause of one token', async () => {
    server.reply = says({ active: false })
    const api = asking(server)
    expect(await api.outcome('one')).toBe('token_inactive')
    server.reply = sends('', null, 400)
    await expectTrouble(api, 'two')
    server.reply = says(ACTIVE)
    api.introspector.forget()
    for (const token of ['one', 'two']) expect(await api.outcome(token)).toBe('ok')
  })

  test('[Design-introspection-forget] the id of a token that was forgotten is free', async () => {
    server.reply = says({ ...ACTIVE, jti: 'id-1' })
    const api = asking(server)
    expect(await api.outcome('one')).toBe('ok')
    api.introspector.forget()
    expect(await api.outcome('two')).toBe('ok')
  })

  test.each<[string, Reply]>([
    ['is good', says(ACTIVE)],
    ['refuses', says({ ...ACTIVE, token_use: 'refresh_token' })],
    ['is none', sends('<html>')],
  ])(
    '[Design-introspection-forget] an answer to a question that was sent before, and %s, is asked for again',
    async (_what, reply) => {
      const holding = server.hold(reply)
      const api = asking(server)
      const before = [api.outcome('a-token'), api.outcome('a-token')]
      await until(() => holding.waiting === 1)
      api.introspector.forget()
      const after = api.outcome('a-token')
      server.reply = says({ active: false })
      holding.release()
      expect(await Promise.all([...before, after])).toEqual(['token_inactive', 'token_inactive', 'token_inactive'])
      expect(server.asked).toHaveLength(2)
      expect(api.introspector.known('a-token')).toBeUndefined()
    },
  )

  test('[Design-introspection-forget] also in the background, and however often', async () => {
    const api = asking(server)
    await api.outcome('a-token')
    let holding = server.hold(says({ ...ACTIVE, scope: 'old' }))
    clock.time = START + 24_000
    expect(api.introspector.known('a-token')).toBeDefined()
    for (let each = 0; each < 3; each++) {
      await until(() => holding.waiting === 1)
      api.introspector.forget()
      const { release } = holding
      holding = server.hold(says({ ...ACTIVE, scope: each === 2 ? 'new' : 'old' }))
      release()
    }
    await until(() => holding.waiting === 1)
    expect(api.introspector.known('a-token')).toBeUndefined()
    holding.release()
    await quiet(server)
    expect(api.introspector.known('a-token')?.claims['scope']).toBe('new')
  })

  test('[Design-introspection-forget] the age of that answer counts from when it was asked for again', async () => {
    const holding = server.hold(says(ACTIVE))
    const api = asking(server)
    const outcome = api.outcome('a-token')
    await until(() => holding.waiting === 1)
    api.introspector.forget()
    clock.time = START + 10_000
    server.reply = says(ACTIVE)
    holding.release()
    expect(await outcome).toBe('ok')
    clock.time = START + 33_999
    expect(api.introspector.known('a-token')).toBeDefined()
    await quiet(server)
    expect(server.asked).toHaveLength(2) // 80 percent of its time are over one millisecond later
    api.introspector.close()
    clock.time = START + 39_999
    expect(api.introspector.known('a-token')?.askedAt).toBe(START + 10_000)
    clock.time = START + 40_000
    expect(api.introspector.known('a-token')).toBeUndefined()
  })

  test('[Design-introspection-forget] nothing is asked again while the endpoint wants to be left alone', async () => {
    const holding = server.hold(says(ACTIVE))
    const api = asking(server)
    const outcome = api.outcome('one')
    await until(() => holding.waiting === 1)
    server.reply = (_request, response) => response.writeHead(429, { 'retry-after': '20' }).end()
    await expectTrouble(api, 'two')
    api.introspector.forget()
    holding.release()
    expect(await outcome).toBe('introspection_unavailable')
    expect(server.asked).toEqual(['one', 'two'])
  })
})

describe('refusals', () => {
  test.each([
    [{}, 10],
    [{ cacheSeconds: 300 }, 10],
    [{ cacheSeconds: 3 }, 3],
  ])('[Design-introspection-refusals] are remembered for a short time: %j', async (options, seconds) => {
    server.reply = says({ active: false })
    const api = asking(server, options)
    expect(await api.outcome('a-token')).toBe('token_inactive')
    server.reply = says(ACTIVE)
    clock.time = START + seconds * 1000 - 1
    expect(await api.outcome('a-token')).toBe('token_inactive')
    expect(server.asked).toHaveLength(1)
    clock.time = START + seconds * 1000
    expect(await api.outcome('a-token')).toBe('ok')
  })

  test('[Design-introspection-refusals] of another kind of token are too', async () => {
    server.reply = says({ ...ACTIVE, token_use: 'refresh_token' })
    const api = asking(server)
    for (let each = 0; each < 3; each++) expect(await api.outcome('a-token')).toBe('token_type_refused')
    expect(server.asked).toHaveLength(1)
  })

  test('[Design-introspection-flood] invented tokens, however many, take the place of no good one', async () => {
    server.reply = knows({ good: GOOD })
    const api = asking(server, { maxEntries: 2 })
    expect(await api.outcome('good')).toBe('ok')
    for (let each = 0; each < 20; each++) expect(await api.outcome(`invented-${each}`)).toBe('token_inactive')
    expect(await api.outcome('good')).toBe('ok')
    expect(server.asked.filter((token) => token === 'good')).toHaveLength(1)
  })

  test('[Design-introspection-flood] no more answers are kept than are allowed, of either sort', async () => {
    const api = asking(server, { maxEntries: 2 })
    for (const token of ['one', 'two', 'three']) await api.outcome(token)
    expect(['one', 'two', 'three'].map((token) => api.introspector.known(token) !== undefined)).toEqual([false, true, true])
    server.reply = says({ active: false })
    for (const token of ['four', 'five', 'six', 'six', 'five', 'four']) expect(await api.outcome(token)).toBe('token_inactive')
    expect(server.asked).toEqual(['one', 'two', 'three', 'four', 'five', 'six', 'four'])
  })

  test('[Design-introspection-flood] nor do answers take more memory than is allowed, however long they are', () => {
    const kept = new KeptAnswers<string>(10_000)
    const answer = { answer: 'x', sentAt: 0, refreshAt: 0, expiresAt: 0, proof: null, jti: null }
    const MIB = 1024 * 1024
    const keys = (sort: string) => Array.from({ length: 100 }, (_, each) => `${sort} ${each}`)
    for (const key of keys('regular')) kept.accept(key)
    for (const key of [...keys('regular'), ...keys('other')]) kept.keep(key, { ...answer, bytes: 1.5 * MIB })
    const left = (sort: string) => keys(sort).filter((key) => kept.find(key) !== undefined).length
    expect([left('regular'), left('other')]).toEqual([42, 5]) // of 64 and 8 MiB
    kept.keep('huge', { ...answer, jti: 'id', bytes: 65 * MIB })
    expect([kept.find('huge'), kept.isTaken('id', 'other')]).toEqual([undefined, false])
  })
})

describe('one question', () => {
  test('[Design-introspection-single-flight] is asked for all who come meanwhile', async () => {
    const holding = server.hold(says(ACTIVE))
    const api = asking(server)
    const outcomes = Array.from({ length: 500 }, () => api.outcome('a-token'))
    await until(() => holding.waiting === 1)
    holding.release()
    expect(new Set(await Promise.all(outcomes))).toEqual(new Set(['ok']))
    expect(server.asked).toEqual(['a-token'])
  })

  test('[Design-introspection-single-flight] is asked for each of several tokens, and its failure is everybody’s', async () => {
    const holding = server.hold(sends('', null, 500))
    const api = asking(server)
    const outcomes = ['one', 'two'].flatMap((token) => Array.from({ length: 50 }, () => api.outcome(token)))
    await until(() => holding.waiting === 2)
    holding.release()
    expect(new Set(await Promise.all(outcomes))).toEqual(new Set(['introspection_unavailable']))
    expect([...server.asked].sort()).toEqual(['one', 'two'])
  })

  test.each([0, 1, 10])(
    '[Design-introspection-single-flight] that was sent too long ago is no answer: one more is asked for all of them (%d s)',
    async (cacheSeconds) => {
      const holding = server.hold(says(ACTIVE))
      const api = asking(server, { cacheSeconds })
      const first = api.outcome('a-token')
      await until(() => holding.waiting === 1)
      clock.time += cacheSeconds * 1000
      const later = [api.outcome('a-token'), api.outcome('a-token')]
      server.reply = says({ active: false }) // it has been revoked since
      holding.release()
      expect(await first).toBe('ok')
      expect(await Promise.all(later)).toEqual(['token_inactive', 'token_inactive'])
      expect(server.asked).toHaveLength(2)
    },
  )

  test('[Design-introspection-single-flight] whoever comes while that one is under way waits for one more', async () => {
    const holding = server.hold(says(ACTIVE))
    const api = asking(server, { cacheSeconds: 0 })
    const first = api.outcome('a-token')
    await until(() => holding.waiting === 1)
    const second = api.outcome('a-token')
    holding.release()
    expect(await first).toBe('ok')
    await until(() => holding.waiting === 1)
    const third = api.outcome('a-token')
    server.reply = says({ active: false })
    holding.release()
    expect([await second, await third]).toEqual(['ok', 'token_inactive'])
    expect(server.asked).toHaveLength(3)
  })

  /** Asked twice at a time: the endpoint says one thing to the first, and that the token is active to the second. */
  function inTurn(reply: Reply): { api: Asking; outcomes: Promise<readonly [string, string]> } {
    const holding = server.hold(reply)
    const api = asking(server, { cacheSeconds: 0 })
    return { api, outcomes: twice() }

    async function twice() {
      const first = api.outcome('a-token')
      await until(() => holding.waiting === 1)
      const later = api.outcome('a-token')
      server.reply = says(ACTIVE)
      holding.release()
      return [await first, await later] as const
    }
  }

  test('[Design-introspection-single-flight] also where the one before it was refused', async () => {
    expect(await inTurn(says({ active: false })).outcomes).toEqual(['token_inactive', 'ok'])
  })

  test.each([400, 500])(
    '[Design-introspection-single-flight] but none where the one before it failed (%d): the token is left alone',
    async (status) => {
      const { api, outcomes } = inTurn(answers(status))
      expect(await outcomes).toEqual(['introspection_unavailable', 'introspection_unavailable'])
      expect(server.asked).toEqual(['a-token'])
      clock.time += 5_000
      expect(await api.outcome('a-token')).toBe('ok')
    },
  )
})

describe('the refresh in the background', () => {
  test.each([
    [0, 24_000],
    [0.5, 22_800],
    [1, 21_600],
  ])(
    '[Design-introspection-refresh] begins after 80 percent of the time, up to a tenth earlier, and nobody waits (%d)',
    async (random, after) => {
      const api = asking(server, {}, { random: () => random })
      await api.outcome('a-token')
      const holding = server.hold(says({ ...ACTIVE, scope: 'other' }))
      clock.time = START + after - 1
      expect(api.introspector.known('a-token')?.claims['scope']).toBe('orders:read')
      expect(server.asked).toHaveLength(1)
      clock.time = START + after
      for (let each = 0; each < 3; each++) expect(api.introspector.known('a-token')?.claims['scope']).toBe('orders:read')
      await until(() => holding.waiting === 1)
      holding.release()
      await until(() => api.introspector.known('a-token')?.claims['scope'] === 'other')
      expect(server.asked).toHaveLength(2)
      expect(api.introspector.known('a-token')).toMatchObject({ askedAt: START + after, made: null })
      server.reply = says(ACTIVE)
      clock.time = START + after + 29_999
      expect(api.introspector.known('a-token')).toBeDefined()
    },
  )

  test('[Design-introspection-refresh] that finds the token inactive ends it at once', async () => {
    const api = asking(server)
    await api.outcome('a-token')
    server.reply = says({ active: false })
    clock.time = START + 24_000
    expect(await api.outcome('a-token')).toBe('ok')
    await until(() => api.introspector.known('a-token') === undefined)
    expect(await api.outcome('a-token')).toBe('token_inactive')
    expect(server.asked).toHaveLength(2)
  })

  test('[Design-introspection-refresh] that finds another kind of token ends it at once', async () => {
    const api = asking(server)
    await api.outcome('a-token')
    server.reply = says({ ...ACTIVE, token_use: 'refresh_token' })
    clock.time = START + 24_000
    expect(await api.outcome('a-token')).toBe('ok')
    await until(() => api.introspector.known('a-token') === undefined)
  })

  test.each<[string, Parameters<typeof sends>]>([
    ['an error', ['', null, 500]],
    ['a refusal', ['', null, 400]],
    ['no answer at all', ['<html>', 'text/html']],
    ['a lie', ['{"active":true,"iss":"https://other.example.test"}']],
  ])('[Design-introspection-refresh] that comes to %s changes nothing until the time is over', async (_what, reply) => {
    const api = asking(server)
    await api.outcome('a-token')
    server.reply = sends(...reply)
    clock.time = START + 24_000
    expect(await api.outcome('a-token')).toBe('ok')
    await quiet(server)
    expect(await api.outcome('a-token')).toBe('ok')
    clock.time = START + 28_999
    expect(await api.outcome('a-token')).toBe('ok') // left alone for as long as a caller would be
    await quiet(server)
    expect(server.asked).toHaveLength(2)
    clock.time = START + 29_999
    expect(await api.outcome('a-token')).toBe('ok')
    await quiet(server)
    clock.time = START + 30_000
    await expectTrouble(api, 'a-token')
  })

  test('[Design-introspection-refresh] is not begun once the server is closed', async () => {
    const api = asking(server)
    await api.outcome('a-token')
    api.introspector.close()
    clock.time = START + 24_000
    expect(await api.outcome('a-token')).toBe('ok')
    await quiet(server)
    expect(server.asked).toHaveLength(1)
  })
})

describe('asking about a token whose answer is known', () => {
  test('[Design-introspection-cache] is answered at once, without a question', async () => {
    const { introspector, ask } = asking(server)
    const answer = await ask('a-token')
    expect(introspector.ask('a-token')).toBe(answer)
    expect(server.asked).toHaveLength(1)
  })
})

test('[Design-introspection-secrecy] no token stands in anything that can be printed', async () => {
  const token = 'a-token-that-nobody-may-see'
  const holding = server.hold(says(ACTIVE))
  const { introspector, ask } = asking(server)
  const told = (value: unknown) => inspect(value, { depth: 9, showHidden: true }) + JSON.stringify(value)
  const answer = ask(token)
  await until(() => holding.waiting === 1)
  expect(told(introspector)).not.toContain(token)
  holding.release()
  expect(told(await answer)).not.toContain(token)
  expect(told(introspector)).not.toContain(token)
})
