/** An endpoint that is down, slow or full: never a token accepted, never the caller's fault, and no stampede. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { answers, createIntrospectionServer, knows, type Reply, says, sends } from '../../../test/support/introspection-server.js'
import { EndpointTrouble } from '../src/introspection/endpoint-trouble.js'
import { DEFAULT_LIMITS } from '../src/limits.js'
import {
  ACTIVE,
  type Asking,
  asking,
  clock,
  endpointForTests,
  expectTrouble,
  GOOD,
  LONGEST,
  quiet,
  START,
} from './support/introspection-api.js'
import { until } from './support/key-apis.js'
import { cutOff, flood, hang, reset, trickle } from './support/key-server.js'

const server = await endpointForTests(says(ACTIVE))

const SHORT = { limits: { fetchHeadersMilliseconds: 50, fetchTotalMilliseconds: 100 } }

const retryAfter = async (api: Asking, token: string) => (await api.error(token)).headers['retry-after']
/** A reply that looks like a good one but for how it comes. */
const starts = (reply: Reply): Reply => {
  return (request, response, question) => {
    response.setHeader('content-type', 'application/json')
    reply(request, response, question)
  }
}

describe('trouble of any kind is ours', () => {
  test.each<[string, Reply]>([
    ['closes the connection', reset],
    ['closes it in the middle of the answer', starts(cutOff)],
    ['never answers', hang],
    ['never comes to the end of its answer', starts(trickle)],
    ['sends without end', starts(flood(4 * 1024 * 1024))],
  ])('[Design-introspection-trouble] an endpoint that %s', async (_what, reply) => {
    server.reply = reply
    await expectTrouble(asking(server, {}, SHORT), 'a-token')
  })

  const STATUSES = [
    201, 202, 204, 206, 300, 302, 304, 400, 401, 403, 404, 405, 408, 413, 415, 418, 422, 429, 500, 501, 502, 503, 504,
  ]
  test.each(STATUSES)(
    '[Design-introspection-trouble] an endpoint that answers with %d, whatever else it says',
    async (status) => {
      const body = status === 204 || status === 304 ? undefined : JSON.stringify(ACTIVE)
      server.reply = (_request, response) => response.writeHead(status, { 'content-type': 'application/json' }).end(body)
      await expectTrouble(asking(server), 'a-token', 'the endpoint did not answer with status 200')
    },
  )

  test('[Design-introspection-trouble] an endpoint that is not there', async () => {
    const gone = await createIntrospectionServer()
    await gone.close()
    await expectTrouble(asking(gone), 'a-token', 'the server could not be reached')
  })

  test('[Design-introspection-trouble] nothing is served beyond its time while the endpoint is away', async () => {
    const api = asking(server, {}, LONGEST)
    expect(await api.outcome('a-token')).toBe('ok')
    server.reply = answers(503)
    clock.time = START + 29_999
    expect(await api.outcome('a-token')).toBe('ok')
    await quiet(server)
    clock.time = START + 30_000
    await expectTrouble(api, 'a-token')
    clock.time = START + 600_000
    await expectTrouble(api, 'a-token')
    server.reply = says(ACTIVE)
    clock.time = START + 700_000
    expect(await api.outcome('a-token')).toBe('ok')
  })
})

describe('pauses', () => {
  test.each<[string, Reply]>([
    ['cannot be reached', reset],
    ['does not let us in', answers(401)],
    ['does not let us ask', answers(403)],
    ['has enough of us', answers(429)],
    ['sends us elsewhere', answers(302)],
  ])('[Design-introspection-back-off] an endpoint that %s is left alone at once', async (_what, reply) => {
    server.reply = reply
    const api = asking(server, {}, LONGEST)
    await expectTrouble(api, 'one')
    await expectTrouble(api, 'two')
    expect(server.asked).toEqual(['one'])
    clock.time = START + 1_000
    server.reply = says(ACTIVE)
    expect(await api.outcome('two')).toBe('ok')
  })

  test.each<[string, Reply]>([
    ['an error of the server', answers(500)],
    ['an error of a gateway', answers(502)],
    ['no JSON', sends('<html>')],
    ['another media type', sends('{}', 'text/html')],
    ['an answer that says nothing', says({})],
    ['too much', sends(`"${'x'.repeat(DEFAULT_LIMITS.fetchBytes)}"`)],
  ])('[Design-introspection-back-off] %s can be about one token: two of them in a row are not', async (_what, reply) => {
    server.reply = reply
    const api = asking(server, {}, LONGEST)
    await expectTrouble(api, 'one')
    await expectTrouble(api, 'one')
    expect(server.asked).toEqual(['one'])
    await expectTrouble(api, 'two')
    await expectTrouble(api, 'three')
    expect(server.asked).toEqual(['one', 'two'])
    clock.time = START + 1_000
    server.reply = says(ACTIVE)
    expect(await api.outcome('three')).toBe('ok')
  })

  test('[Design-introspection-odd-token] one odd token, however often it comes, stops no other', async () => {
    const odd: Reply = (request, response, question) =>
      (question.token.startsWith('odd') ? answers(500) : says(ACTIVE))(request, response, question)
    server.reply = odd
    const api = asking(server, {}, LONGEST)
    for (let each = 0; each < 10; each++) {
      await expectTrouble(api, `odd-${each}`)
      expect(await api.outcome(`good-${each}`)).toBe('ok')
    }
  })

  test.each<[string, Reply]>([
    ["another issuer's word", says({ ...ACTIVE, iss: 'https://other.example.test' })],
    ["another token's id", says({ ...ACTIVE, jti: 'id-1' })],
    ['a bound token without its key', says({ ...ACTIVE, token_type: 'DPoP' })],
  ])(
    '[Design-introspection-odd-token] the holders of good tokens stop no other, however many there are: %s',
    async (_what, reply) => {
      server.reply = knows({ regular: { ...GOOD, jti: 'id-1' } })
      const api = asking(server, {}, LONGEST)
      expect(await api.outcome('regular')).toBe('ok')
      server.reply = reply
      for (const token of ['one', 'two', 'three', 'one']) await expectTrouble(api, token)
      expect(server.asked).toEqual(['regular', 'one', 'two', 'three'])
      server.reply = says({ ...ACTIVE, jti: 'id-2' })
      expect(await api.outcome('four')).toBe('ok')
    },
  )

  test('[Design-introspection-odd-token] a token that is a JWT, and not the one of the answer, stops no other', async () => {
    const api = asking(server, {}, LONGEST)
    const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
    for (const sub of ['a', 'b', 'c']) await expectTrouble(api, `${part({ alg: 'ES256' })}.${part({ sub })}.AA`)
    expect(await api.outcome('good')).toBe('ok')
  })

  test.each([400, 404, 405, 408, 413, 414, 415, 422])(
    '[Design-introspection-odd-token] an answer that says that the question was wrong is about that question alone: %d',
    async (status) => {
      server.reply = answers(status)
      const api = asking(server, {}, LONGEST)
      for (const token of ['one', 'two', 'three', 'one', 'two', 'three']) await expectTrouble(api, token)
      expect(server.asked).toEqual(['one', 'two', 'three'])
      server.reply = says(ACTIVE)
      expect(await api.outcome('four')).toBe('ok')
      clock.time = START + 4_999
      await expectTrouble(api, 'one')
      clock.time = START + 5_000
      expect(await api.outcome('one')).toBe('ok')
    },
  )

  test('[Design-introspection-back-off] pauses double, up to a minute, and an answer ends them', async () => {
    server.reply = reset
    const api = asking(server, {}, LONGEST)
    const waits = ['5', '5', '5', '8', '16', '32', '60', '60']
    const pauses = [1, 2, 4, 8, 16, 32, 60, 60]
    for (const [at, seconds] of pauses.entries()) {
      expect(await retryAfter(api, `token-${at}`)).toBe(waits[at])
      clock.time += seconds * 1000 - 1
      const asked = server.asked.length
      await expectTrouble(api, `early-${at}`)
      expect(server.asked).toHaveLength(asked)
      clock.time += 1
    }
    server.reply = says(ACTIVE)
    expect(await api.outcome('good')).toBe('ok')
    server.reply = reset
    await expectTrouble(api, 'again')
    clock.time += 1_000
    server.reply = says(ACTIVE)
    expect(await api.outcome('again')).toBe('ok')
  })

  test('[Design-introspection-back-off] questions that failed together count once', async () => {
    const holding = server.hold(reset)
    const api = asking(server, {}, LONGEST)
    const outcomes = Array.from({ length: 50 }, (_, each) => api.outcome(`token-${each}`))
    await until(() => holding.waiting === 50)
    holding.release()
    expect(new Set(await Promise.all(outcomes))).toEqual(new Set(['introspection_unavailable']))
    clock.time += 1_000
    server.reply = says(ACTIVE)
    expect(await api.outcome('token-0')).toBe('ok')
  })

  test.each<[number, string, number]>([
    [429, '7', 7],
    [429, '3600', 60],
    [429, new Date(START + 9_000).toUTCString(), 9],
    [429, 'soon', 5],
    [429, '-7', 5],
    [429, '0', 5],
    [429, new Date(START - 9_000).toUTCString(), 5],
    [429, '9'.repeat(400), 5],
    [500, '7', 5],
  ])('[RFC9110-10.2.3-endpoint] %d with Retry-After: %s is heeded, within bounds', async (status, value, seconds) => {
    server.reply = answers(status, { 'retry-after': value })
    const api = asking(server) // no pauses of its own
    expect(await retryAfter(api, 'one')).toBe(`${seconds}`)
    server.reply = says(ACTIVE)
    const asked = seconds === 5 ? 'ok' : 'introspection_unavailable'
    expect(await api.outcome('two')).toBe(asked)
    clock.time = START + seconds * 1000
    expect(await api.outcome('one')).toBe('ok')
  })

  test.each<[string, number]>([
    ['7', 7],
    ['3600', 60],
    ['2', 5],
  ])('[RFC9110-10.2.3-endpoint] 503 with Retry-After: %s is heeded for its own token', async (value, seconds) => {
    server.reply = answers(503, { 'retry-after': value })
    const api = asking(server)
    expect(await retryAfter(api, 'odd')).toBe(`${seconds}`)
    server.reply = says(ACTIVE)
    for (const token of ['one', 'two']) expect(await api.outcome(token)).toBe('ok')
    clock.time = START + seconds * 1000 - 1
    await expectTrouble(api, 'odd')
    clock.time = START + seconds * 1000
    expect(await api.outcome('odd')).toBe('ok')
  })

  test('[RFC9110-10.2.3-endpoint] 503 with Retry-After is heeded for all where it is the second bad answer in a row', async () => {
    server.reply = answers(503, { 'retry-after': '20' })
    const api = asking(server)
    for (const token of ['one', 'two']) await expectTrouble(api, token)
    server.reply = says(ACTIVE)
    clock.time = START + 19_999
    expect(await retryAfter(api, 'three')).toBe('5')
    clock.time = START + 20_000
    expect(await api.outcome('three')).toBe('ok')
    expect(server.asked).toEqual(['one', 'two', 'three'])
  })

  /** Asks about `slow`, whose answer stays on its way while the endpoint is in trouble with `one`. */
  async function overtaken(answer: Reply, trouble: Reply) {
    const holding = server.hold(answer)
    const api = asking(server)
    const slow = api.outcome('slow')
    await until(() => holding.waiting === 1)
    server.reply = trouble
    await expectTrouble(api, 'one')
    return {
      api,
      /** What becomes of `slow`. */
      arrive: () => {
        holding.release()
        return slow
      },
    }
  }

  test('[RFC9110-10.2.3-endpoint] 503 with Retry-After that was on its way at another failure stops its own token alone', async () => {
    const { api, arrive } = await overtaken(answers(503, { 'retry-after': '60' }), answers(403))
    server.reply = says(ACTIVE)
    expect(await api.outcome('two')).toBe('ok')
    expect(await arrive()).toBe('introspection_unavailable')
    expect(await api.outcome('three')).toBe('ok')
  })

  test('[RFC9110-10.2.3-endpoint] a shorter one that was on its way does not shorten it', async () => {
    const { api, arrive } = await overtaken(answers(429, { 'retry-after': '6' }), answers(429, { 'retry-after': '20' }))
    expect(await arrive()).toBe('introspection_unavailable')
    expect(await retryAfter(api, 'two')).toBe('20')
    expect(server.asked).toEqual(['slow', 'one'])
  })

  test('[RFC9110-10.2.3-endpoint] an answer that was on its way does not end that pause', async () => {
    const { api, arrive } = await overtaken(says(ACTIVE), answers(429, { 'retry-after': '20' }))
    expect(await arrive()).toBe('ok')
    expect(await retryAfter(api, 'two')).toBe('20')
    expect(server.asked).toEqual(['slow', 'one'])
  })

  test('[Design-introspection-back-off] a clock that is set back makes no pause longer than any', async () => {
    server.reply = reset
    const api = asking(server, {}, LONGEST)
    await expectTrouble(api, 'one')
    clock.time = START - 86_400_000
    expect(await retryAfter(api, 'two')).toBe('5')
    clock.time += 1_000
    server.reply = says(ACTIVE)
    expect(await api.outcome('two')).toBe('ok')
  })

  test('[Design-introspection-back-off] no sequence of events makes a pause longer than a minute', () => {
    const about = fc.constantFrom('endpoint' as const, 'answer' as const, 'question' as const, 'none' as const)
    const events = fc.array(
      fc.record({ about, token: fc.constantFrom('one', 'two'), on: fc.nat(120_000), pause: fc.nat(10 ** 9), back: fc.nat(20) }),
    )
    fc.assert(
      fc.property(events, (all) => {
        const trouble = new EndpointTrouble(DEFAULT_LIMITS, () => 1)
        let now = START
        for (const { about: subject, token, on, pause, back } of all) {
          now += on
          const question = Math.max(1, trouble.sends() - back)
          if (subject === 'none') trouble.succeeded()
          else trouble.failed(question, token, subject, now, pause)
          expect(trouble.waitMilliseconds(now)).toBeLessThanOrEqual(60_000)
          expect(trouble.waitMilliseconds(now + 60_000)).toBeLessThanOrEqual(0)
        }
      }),
    )
  })
})

describe('strangers and regulars', () => {
  const TROUBLE: [string, Reply][] = [
    ['cannot be reached', reset],
    ['does not let us ask', answers(403)],
    ['does not let us in', answers(401)],
    ['has enough of us', answers(429, { 'retry-after': '60' })],
    ['is down for a time', answers(503, { 'retry-after': '60' })],
    ['fails', answers(500)],
    ['says nothing', says({})],
  ]

  test.each(TROUBLE)(
    "[Design-introspection-strangers] an endpoint that %s on strangers' tokens is still asked about those that were accepted here",
    async (_what, reply) => {
      server.reply = (request, response, question) =>
        (question.token.startsWith('odd') ? reply : says(ACTIVE))(request, response, question)
      const api = asking(server, { cacheSeconds: 10 }, LONGEST)
      expect(await api.outcome('good')).toBe('ok')
      for (let each = 0; each < 20; each++) {
        for (const which of ['a', 'b']) await expectTrouble(api, `odd-${each}-${which}`)
        clock.time += 10_000
        expect(await api.outcome('good')).toBe('ok')
      }
      for (const which of ['a', 'b', 'c']) await expectTrouble(api, `odd-again-${which}`)
      await expectTrouble(api, 'new') // it could be one of those
    },
  )

  test('[Design-introspection-strangers] nor do they keep good answers from being refreshed in the background', async () => {
    const api = asking(server, {}, LONGEST)
    expect(await api.outcome('good')).toBe('ok')
    server.reply = reset
    clock.time = START + 23_900
    await expectTrouble(api, 'odd')
    server.reply = says({ ...ACTIVE, scope: 'new' })
    clock.time = START + 24_000
    expect(api.introspector.known('good')).toBeDefined()
    await quiet(server)
    expect(api.introspector.known('good')?.claims['scope']).toBe('new')
    await expectTrouble(api, 'new')
  })

  test.each(TROUBLE)(
    '[Design-introspection-strangers] regulars are left alone by their own trouble: one that %s',
    async (_what, reply) => {
      const api = asking(server, {}, LONGEST)
      const tokens = ['one', 'two', 'three']
      for (const token of tokens) expect(await api.outcome(token)).toBe('ok')
      server.questions.length = 0
      server.reply = reply
      clock.time = START + 30_000
      for (const token of tokens) await expectTrouble(api, token)
      expect(server.asked.length).toBeLessThan(3)
      server.reply = says(ACTIVE)
      expect(await api.outcome('stranger')).toBe('ok') // what they ask is their own risk
      await expectTrouble(api, 'three')
      clock.time = START + 90_000
      for (const token of tokens) expect(await api.outcome(token)).toBe('ok')
    },
  )

  test('[Design-introspection-strangers] each is told what went wrong with its own sort', async () => {
    const api = asking(server, {}, LONGEST)
    expect(await api.outcome('good')).toBe('ok')
    clock.time = START + 30_000
    server.reply = answers(403)
    await expectTrouble(api, 'stranger')
    server.reply = reset
    await expectTrouble(api, 'good')
    await expectTrouble(api, 'good', 'the server could not be reached')
    await expectTrouble(api, 'stranger', 'the endpoint did not answer with status 200')
  })
})

describe('questions at a time', () => {
  test('[Design-introspection-at-once] are bounded, and a quarter of them is for tokens that were accepted here', async () => {
    const api = asking(server)
    expect(await api.outcome('good')).toBe('ok')
    const holding = server.hold(knows({ good: GOOD }))
    clock.time = START + 30_000
    const strangers = Array.from({ length: 96 }, (_, each) => api.outcome(`invented-${each}`))
    await until(() => holding.waiting === 96)
    await expectTrouble(api, 'one-too-many', 'too many questions are under way')
    expect(await retryAfter(api, 'one-too-many')).toBe('5')
    const good = api.outcome('good')
    await until(() => holding.waiting === 97)
    holding.release()
    expect(await good).toBe('ok')
    expect(new Set(await Promise.all(strangers))).toEqual(new Set(['token_inactive']))
    server.reply = knows({ 'one-too-many': GOOD })
    expect(await api.outcome('one-too-many')).toBe('ok')
  })

  test('[Design-introspection-at-once] are bounded for those tokens too, also in the background', async () => {
    const api = asking(server)
    const tokens = Array.from({ length: 140 }, (_, each) => `token-${each}`)
    for (const token of tokens) await api.outcome(token)
    const holding = server.hold(says(ACTIVE))
    server.questions.length = 0
    clock.time = START + 24_000
    for (const token of tokens) expect(api.introspector.known(token)).toBeDefined()
    await until(() => holding.waiting === 128)
    clock.time = START + 30_000
    await expectTrouble(api, 'token-139', 'too many questions are under way')
    expect(server.questions).toHaveLength(128)
    holding.release()
    await quiet(server)
    clock.time = START + 30_001
    server.reply = says(ACTIVE)
    expect(await api.outcome('token-139')).toBe('ok')
  })
})
