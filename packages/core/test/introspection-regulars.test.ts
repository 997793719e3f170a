/** Who counts as one of ours to an endpoint in trouble: whose token was accepted here, and nobody else, however good the token is elsewhere. */
import { AuthError } from '@behalf/core'
import { createSigningKey } from '@behalf/testing'
import { describe, expect, test } from 'vitest'
import { deferred } from '../../../test/support/deferred.js'
import { answers, knows, type Reply, SIGNED_TYPE, says, sends, signedAnswer } from '../../../test/support/introspection-server.js'
import type { KeySet } from '../src/keys/key-set.js'
import { StaticKeySet } from '../src/keys/static-key-set.js'
import { DEFAULT_LIMITS } from '../src/limits.js'
import {
  ACTIVE,
  asking,
  CLIENT_ID,
  clock,
  endpointForTests,
  expectTrouble,
  GOOD,
  ISSUER,
  KEY,
  LONGEST,
  quiet,
  START,
  START_SECONDS,
} from './support/introspection-api.js'
import { until } from './support/key-apis.js'

const server = await endpointForTests(says(ACTIVE))

/** Active at the issuer, and for another API. */
const isOurs = (token: string) => !token.startsWith('foreign')
/** One answer about tokens of a name, and the honest one about all others. */
const about = (name: string, reply: Reply): Reply => {
  return (request, response, question) => (question.token.startsWith(name) ? reply : says(ACTIVE))(request, response, question)
}

describe('good tokens that are for somebody else', () => {
  test('[Design-introspection-strangers] push no answer of ours out', async () => {
    const api = asking(server, { cacheSeconds: 300, maxEntries: 3 }, LONGEST, isOurs)
    expect(await api.outcome('good')).toBe('ok')
    for (let each = 0; each < 10; each++) expect(await api.outcome(`foreign-${each}`)).toBe('ok')
    expect(api.introspector.known('good')).toBeDefined()
    expect(api.introspector.known('foreign-9')).toBeDefined()
    expect(api.introspector.known('foreign-0')).toBeUndefined()
  })

  test.each([
    ['fails', answers(500)],
    ['says too much', sends('x'.repeat(300_000))],
    ['does not let us ask', answers(403)],
  ])('[Design-introspection-strangers] stop nothing of ours where the endpoint %s', async (_what, reply) => {
    const api = asking(server, {}, LONGEST, isOurs)
    for (const token of ['good', 'foreign-1', 'foreign-2']) expect(await api.outcome(token)).toBe('ok')
    server.reply = about('foreign', reply)
    clock.time = START + 30_000
    for (const token of ['foreign-1', 'foreign-2']) await expectTrouble(api, token)
    await expectTrouble(api, 'new')
    expect(await api.outcome('good')).toBe('ok')
  })

  test('[Design-introspection-at-once] take none of the places that are kept for ours', async () => {
    const api = asking(server, {}, {}, isOurs)
    const foreign = Array.from({ length: 97 }, (_, each) => `foreign-${each}`)
    for (const token of ['good', ...foreign]) expect(await api.outcome(token)).toBe('ok')
    const holding = server.hold(says(ACTIVE))
    clock.time = START + 30_000
    const waiting = foreign.slice(0, 96).map((token) => api.outcome(token))
    await until(() => holding.waiting === 96)
    await expectTrouble(api, 'foreign-96', 'too many questions are under way')
    const good = api.outcome('good')
    await until(() => holding.waiting === 97)
    holding.release()
    expect(await good).toBe('ok')
    expect(new Set(await Promise.all(waiting))).toEqual(new Set(['ok']))
  })

  test('[Design-introspection-at-once] are served from what is known where no more can be asked', async () => {
    const api = asking(server, {}, {}, isOurs)
    expect(await api.outcome('foreign')).toBe('ok')
    const holding = server.hold(says(ACTIVE))
    const waiting = Array.from({ length: 96 }, (_, each) => api.outcome(`new-${each}`))
    await until(() => holding.waiting === 96)
    clock.time = START + 29_000 // when it would be refreshed
    expect(api.introspector.known('foreign')).toBeDefined()
    expect(server.asked.filter((token) => token === 'foreign')).toHaveLength(1)
    holding.release()
    await Promise.all(waiting)
  })
})

describe('one of ours', () => {
  test('[Design-introspection-strangers] is so no more once it is called inactive', async () => {
    const api = asking(server, { cacheSeconds: 1 }, LONGEST)
    for (const token of ['good', 'ended']) expect(await api.outcome(token)).toBe('ok')
    clock.time = START + 1_000
    server.reply = knows({ good: GOOD })
    expect(await api.outcome('ended')).toBe('token_inactive')
    clock.time = START + 2_000
    server.reply = about('ended', answers(403))
    await expectTrouble(api, 'ended')
    expect(await api.outcome('good')).toBe('ok')
  })

  test('[Design-introspection-back-off] is one token, however often it fails: the others are asked about', async () => {
    const api = asking(server, {}, LONGEST)
    for (const token of ['odd', 'good', 'other']) expect(await api.outcome(token)).toBe('ok')
    server.reply = about('odd', answers(500))
    clock.time = START + 30_000
    for (let each = 0; each < 5; each++) {
      await expectTrouble(api, 'odd', 'the endpoint did not answer with status 200')
      clock.time += 5_000
    }
    expect(server.asked.filter((token) => token === 'odd')).toHaveLength(6)
    expect(await api.outcome('good')).toBe('ok')
    server.reply = answers(500)
    clock.time += 30_000
    await expectTrouble(api, 'odd')
    await expectTrouble(api, 'other')
    await expectTrouble(api, 'good')
    expect(server.asked.slice(-2)).toEqual(['odd', 'other']) // a second token says that it is not the first
  })

  test('[Design-introspection-back-off] makes nobody else wait for as long as the endpoint asks of it', async () => {
    const api = asking(server, {}, LONGEST)
    for (const token of ['odd', 'good']) expect(await api.outcome(token)).toBe('ok')
    server.reply = about('odd', answers(503, { 'retry-after': '60' }))
    clock.time = START + 30_000
    await expectTrouble(api, 'odd')
    clock.time += 60_000
    await expectTrouble(api, 'odd')
    expect(await api.outcome('good')).toBe('ok')
  })

  test('[Design-introspection-strangers] stays one where its answer is not believed any more: the key of the issuer is another', async () => {
    const next = createSigningKey('ES256', { kid: 'key-2' })
    const setOf = (key: typeof KEY) => new StaticKeySet({ keys: [key.jwk] }, 'jwks', DEFAULT_LIMITS)
    let [key, set] = [KEY, setOf(KEY)]
    const keys = new Proxy({} as KeySet, {
      get(_target, name: keyof KeySet) {
        const member: unknown = set[name as keyof StaticKeySet]
        return typeof member === 'function' ? member.bind(set) : member
      },
    })
    const signed: Reply = (request, response, question) => {
      const nowSeconds = Math.floor(clock.time / 1000)
      const text = signedAnswer({ key, issuer: ISSUER, audience: CLIENT_ID, nowSeconds, answer: ACTIVE })
      sends(text, SIGNED_TYPE)(request, response, question)
    }
    server.reply = signed
    const api = asking(server, { signed: true, cacheSeconds: 300 }, { ...LONGEST, keys })
    for (const token of ['one', 'two']) expect(await api.outcome(token)).toBe('ok')
    server.reply = answers(403)
    await expectTrouble(api, 'stranger')
    server.reply = signed
    key = next
    set = setOf(next)
    expect(api.introspector.known('one')).toBeUndefined()
    for (const token of ['one', 'two']) expect(await api.outcome(token)).toBe('ok')
    await expectTrouble(api, 'new')
  })

  test('[Design-introspection-strangers] stays one where its answer has ended and the issuer prolongs it', async () => {
    const lasting = (): Reply => says({ ...ACTIVE, exp: Math.floor(clock.time / 1000) + 60 })
    server.reply = lasting()
    const api = asking(server, { cacheSeconds: 300 }, LONGEST)
    expect(await api.outcome('good')).toBe('ok')
    clock.time = START + 60_000
    server.reply = answers(403)
    await expectTrouble(api, 'stranger')
    server.reply = lasting()
    expect(await api.outcome('good')).toBe('ok')
  })

  test('[Design-introspection-strangers] stays one where everything is forgotten by hand', async () => {
    const api = asking(server, {}, LONGEST)
    expect(await api.outcome('good')).toBe('ok')
    server.reply = answers(403)
    await expectTrouble(api, 'stranger')
    api.introspector.forget()
    server.reply = says(ACTIVE)
    expect(api.introspector.known('good')).toBeUndefined()
    expect(await api.outcome('good')).toBe('ok')
  })
})

describe('an answer that comes in the background', () => {
  test.each([START_SECONDS - 3600, START_SECONDS + 240, 'soon', null])(
    '[RFC7662-4-exp] and ends the token ends it at once: %j',
    async (exp) => {
      const api = asking(server, { cacheSeconds: 300 })
      expect(await api.outcome('a-token')).toBe('ok')
      clock.time = START + 240_000
      server.reply = says({ ...ACTIVE, exp })
      expect(api.introspector.known('a-token')).toBeDefined()
      await quiet(server)
      expect(api.introspector.known('a-token')).toBeUndefined()
      expect(server.asked).toHaveLength(2)
    },
  )
})

describe('those who wait for one question', () => {
  test.each([
    ['before it is sent', 0],
    ['when its answer has come', 1],
  ])(
    '[Design-introspection-single-flight] are refused each by an error of their own: keys are not there %s',
    async (_what, times) => {
      const known = new StaticKeySet({ keys: [KEY.jwk] }, 'jwks', DEFAULT_LIMITS)
      const down = deferred<never>()
      down.promise.catch(() => {}) // asked only later, where the question is sent first
      let left = times
      const within = () => (left-- > 0 ? known.within(0) : down.promise)
      const keys = Object.assign(Object.create(known) as KeySet, { within })
      const nowSeconds = START_SECONDS
      const text = signedAnswer({ key: KEY, issuer: ISSUER, audience: CLIENT_ID, nowSeconds, answer: ACTIVE })
      server.reply = sends(text, SIGNED_TYPE)
      const api = asking(server, { signed: true }, { keys })
      const both = [api.error('a-token'), api.error('a-token')]
      down.reject(new AuthError('keys_unavailable', { retryAfterSeconds: 7 }))
      const [one, other] = await Promise.all(both)
      for (const { code, headers } of [one, other] as AuthError[])
        expect([code, headers['retry-after']]).toEqual(['keys_unavailable', '7'])
      expect(one).not.toBe(other)
      expect(server.asked).toHaveLength(times)
    },
  )

  test.each<[string, Reply]>([
    ['says no', says({ active: false })],
    ['fails', answers(500)],
    ['cannot be believed', says({ ...ACTIVE, iss: 'https://other.example.test' })],
  ])('[Design-introspection-single-flight] are refused each by an error of their own: the endpoint %s', async (_what, reply) => {
    const holding = server.hold(reply)
    const api = asking(server)
    const both = [api.error('a-token'), api.error('a-token')]
    await until(() => holding.waiting === 1)
    holding.release()
    const [one, other] = await Promise.all(both)
    expect(one?.code).toBe(other?.code)
    expect(one).not.toBe(other)
    expect(one?.cause === undefined || one.cause !== other?.cause).toBe(true)
    expect(server.asked).toHaveLength(1)
  })
})
