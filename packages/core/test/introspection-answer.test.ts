/** What an answer must say to be believed, and what it says of a token (RFC 7662 2.2). */
import type { JsonObject, JsonValue } from '@behalf/core'
import { createSigningKey, signCompact } from '@behalf/testing'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { knows, says } from '../../../test/support/introspection-server.js'
import { judgeAnswer } from '../src/introspection/answer.js'
import { tokenKindOf } from '../src/introspection/token-kind.js'
import {
  ACTIVE,
  asking,
  clock,
  endpointForTests,
  expectTrouble,
  GOOD,
  hasActor,
  ISSUER,
  START,
  START_SECONDS,
} from './support/introspection-api.js'

const server = await endpointForTests()

const POLICY = { issuer: ISSUER, takesUntyped: false, actors: { inToken: hasActor, inAnswer: hasActor } }
const judged = (answer: JsonObject, token = 'opaque', more: object = {}) =>
  judgeAnswer(structuredClone(answer), token, { ...POLICY, ...more })

describe('whether the token is active', () => {
  test('[RFC7662-2.2-active] an active one is, by the JSON value true', async () => {
    server.reply = says(ACTIVE)
    expect(await asking(server).claims('a-token')).toEqual(GOOD)
  })

  test('[RFC7662-2.2-inactive] one that is not, or that nobody knows, is the caller’s trouble', async () => {
    const api = asking(server)
    const { code, status } = await api.error('a-token')
    expect([code, status]).toEqual(['token_inactive', 401])
    server.reply = says({ active: false, ...GOOD, iss: 'https://other.example.test', token_type: 'refresh_token' })
    expect(await api.outcome('other')).toBe('token_inactive')
  })

  const untrue: JsonValue[] = ['true', 'false', 'TRUE', '', 1, 0, null, [], [true], {}, { active: true }]
  test.each(untrue)('[RFC7662-2.2-active] nothing else calls it active: %j', async (active) => {
    server.reply = says({ ...GOOD, active })
    expect(await asking(server).outcome('a-token')).toBe('token_inactive')
  })

  test('[RFC7662-2.2-active] nothing else calls it active, for any JSON value', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (active) => {
        fc.pre(active !== true)
        expect(judged({ ...GOOD, active: active as JsonValue })).toBe('token_inactive')
      }),
    )
  })

  test('[RFC7662-2.2-active] an answer that does not say it is none', async () => {
    server.reply = says(GOOD)
    await expectTrouble(asking(server), 'a-token', 'the answer does not say whether the token is active')
  })

  test('[RFC7662-2.2-active] an inherited true is none', () => {
    expect(() => judgeAnswer(Object.setPrototypeOf({ ...GOOD }, null), 'x', POLICY)).toThrow('whether the token is active')
    expect(() => judgeAnswer(JSON.parse('{"__proto__":{"active":true}}') as JsonObject, 'x', POLICY)).toThrow()
  })
})

describe('who answers', () => {
  test.each<JsonValue>(['https://other.example.test', `${ISSUER}/`, ISSUER.toUpperCase(), '', null, 1, [ISSUER]])(
    '[Design-introspection-issuer] an answer that names another issuer is not believed: %j',
    async (iss) => {
      server.reply = says({ ...ACTIVE, iss })
      await expectTrouble(asking(server), 'a-token', 'the answer names another issuer')
    },
  )

  test('[Design-introspection-issuer] one that names none is of the issuer that was asked', async () => {
    const { iss: _, ...unnamed } = ACTIVE
    server.reply = says(unnamed)
    expect(await asking(server).claims('a-token')).toEqual(GOOD)
  })
})

describe('what is made of it', () => {
  test('[Design-introspection-frozen] claims are frozen at every depth, and nothing is inherited', async () => {
    const body = `{"active":true,"token_type":"Bearer","sub":"user-1","__proto__":{"admin":true},"act":{"sub":"a","__proto__":{"x":1}},"list":[{"a":1}]}`
    server.reply = (_request, response) => response.writeHead(200, { 'content-type': 'application/json' }).end(body)
    const claims = await asking(server).claims('a-token')
    expect(Object.keys(claims).sort()).toEqual(['act', 'iss', 'list', 'sub', 'token_type'])
    for (const each of [claims, claims['act'], (claims['list'] as JsonObject[])[0]] as JsonObject[]) {
      expect(Object.isFrozen(each)).toBe(true)
      expect(Object.getPrototypeOf(each)).toBeNull()
    }
    expect(Object.isFrozen(claims['list'])).toBe(true)
    expect('admin' in claims).toBe(false)
  })

  test('[Design-introspection-frozen] it says when the question was sent, and has room for what the caller makes of it', async () => {
    server.reply = (request, response, question) => {
      clock.time += 700
      says(ACTIVE)(request, response, question)
    }
    const { introspector } = asking(server)
    const answer = await introspector.ask('a-token')
    expect([answer.askedAt, answer.made]).toEqual([START, null])
    introspector.accepted('a-token', answer, 'something')
    expect(introspector.known('a-token')).toBe(answer)
    expect(introspector.known('a-token')?.made).toBe('something')
    expect(introspector.known('a-tokeN')).toBeUndefined()
  })
})

describe('what kind of token it is', () => {
  const { token_type: _, ...untyped } = ACTIVE

  test.each<JsonObject>([
    { token_type: 'Bearer' },
    { token_type: 'bearer' },
    { token_type: 'BEARER' },
    { token_type: 'access_token' },
    { token_type: 'urn:ietf:params:oauth:token-type:access_token' },
    { token_type: 'DPoP', cnf: { jkt: 'x' } },
    { token_type: 'dpop', cnf: { jkt: 'x' } },
    { token_use: 'access_token' },
    { token_use: 'access_token', token_type: 'Bearer' },
    { typ: 'Bearer' },
    { typ: 'DPoP', cnf: { jkt: 'x' } },
    { typ: 'at+jwt' },
    { typ: 'application/at+jwt' },
    { purpose: 'access_token' },
    { purpose: 'access_token', token_type: 'bearer' },
    { typ: 'JWT', token_type: 'Bearer' },
    { purpose: 'payments', token_type: 'Bearer' },
  ])('[Design-introspection-kind] one that says so is an access token: %j', async (said) => {
    server.reply = says({ ...untyped, ...said })
    expect(await asking(server).outcome('a-token')).toBe('ok')
  })

  test.each<JsonObject>([{}, { typ: 'JWT' }, { purpose: 'payments' }, { purpose: 7 }, { purpose: 'toString' }])(
    '[Design-introspection-kind] one that does not say is accepted only where the application says so: %j',
    async (said) => {
      server.reply = says({ ...untyped, ...said })
      const { code, status } = await asking(server).error('a-token')
      expect([code, status]).toEqual(['token_type_refused', 401])
      expect(await asking(server, { untyped: 'refuse' }).outcome('a-token')).toBe('token_type_refused')
      expect(await asking(server, { untyped: 'accept' }).outcome('a-token')).toBe('ok')
    },
  )

  const OTHERS: JsonObject[] = [
    { token_type: 'refresh_token' },
    { token_type: 'Refresh' },
    { token_type: 'N_A' },
    { token_type: 'mac' },
    { token_type: '' },
    { token_type: null },
    { token_type: 1 },
    { token_type: ['Bearer'] },
    { token_type: 'urn:ietf:params:oauth:token-type:refresh_token' },
    { token_use: 'refresh_token' },
    { token_use: 'id' },
    { typ: 'Refresh' },
    { typ: 'Offline' },
    { typ: 'ID' },
    { typ: 'Logout' },
    { typ: 'rt+jwt' },
    { purpose: 'refresh_token' },
    { purpose: 'id_token' },
    { purpose: 'nonce' },
    { purpose: 'authorization_code' },
    { purpose: 'device_code' },
    // Hydra calls its refresh tokens Bearer too
    { token_type: 'Bearer', token_use: 'refresh_token' },
    { token_type: 'Bearer', typ: 'Refresh' },
    { token_type: 'Bearer', purpose: 'refresh_token' },
    { token_type: 'refresh_token', typ: 'Bearer' },
    { token_type: 'refresh_token', token_use: 'access_token', purpose: 'access_token' },
  ]

  test.each(OTHERS)('[Design-introspection-kind] another kind is always refused: %j', async (said) => {
    server.reply = says({ ...untyped, ...said })
    expect(await asking(server).outcome('a-token')).toBe('token_type_refused')
    expect(await asking(server, { untyped: 'accept' }).outcome('a-token')).toBe('token_type_refused')
  })

  test('[Design-introspection-kind] whatever else an answer says, a word for another kind is heard', () => {
    const words = fc.record(
      {
        token_type: fc.constantFrom('Bearer', 'DPoP', 'access_token', 'refresh_token', 'N_A'),
        token_use: fc.constantFrom('access_token', 'refresh_token'),
        typ: fc.constantFrom('Bearer', 'JWT', 'Refresh', 'ID'),
        purpose: fc.constantFrom('access_token', 'refresh_token', 'id_token', 'payments'),
      },
      { requiredKeys: [] },
    )
    fc.assert(
      fc.property(words, (said) => {
        const all = Object.values(said)
        const other = all.some((word) => ['refresh_token', 'N_A', 'Refresh', 'ID', 'id_token'].includes(word))
        const access = all.some((word) => ['Bearer', 'DPoP', 'access_token'].includes(word))
        const bound = all.includes('DPoP')
        expect(tokenKindOf(said)).toBe(other ? 'other' : bound ? 'bound' : access ? 'access_token' : 'unsaid')
      }),
    )
  })

  test.each<JsonObject>([
    { token_type: 'DPoP' },
    { token_type: 'dpop', cnf: {} },
    { token_type: 'DPoP', cnf: { jkt: 1 } },
    { token_type: 'DPoP', cnf: 'x' },
    { typ: 'DPoP', token_type: 'Bearer' },
    { token_type: 'DPoP', cnf: { 'x5t#S256': 'x' } },
  ])(
    '[RFC9449-6.2-introspection] a token that is called bound, without its key, is not believed to be anything: %j',
    async (said) => {
      server.reply = says({ ...untyped, ...said })
      await expectTrouble(asking(server, { untyped: 'accept' }), 'a-token', 'the answer calls the token bound, but names no key')
    },
  )
})

describe("another token's answer", () => {
  const key = createSigningKey('EdDSA')
  const jwtOf = (claims: JsonObject) => signCompact({ alg: 'EdDSA', typ: 'at+jwt' }, JSON.stringify(claims), key)

  test('[Design-introspection-mix-up] the id of one token is not accepted for another', async () => {
    const one = { ...GOOD, jti: 'id-1' }
    server.reply = knows({ one, two: one, three: { ...GOOD, jti: 'id-3' } })
    const api = asking(server)
    expect(await api.outcome('one')).toBe('ok')
    await expectTrouble(api, 'two', 'the answer is about another token')
    expect(await api.outcome('one')).toBe('ok')
    expect(await api.outcome('three')).toBe('ok')
  })

  test('[Design-introspection-mix-up] also when the answer about the first one is too old to be believed', async () => {
    const one = { ...GOOD, jti: 'id-1' }
    server.reply = knows({ one, two: one })
    const api = asking(server)
    await api.outcome('one')
    clock.time += 31_000
    await expectTrouble(api, 'two', 'the answer is about another token')
    expect(await api.outcome('one')).toBe('ok')
  })

  test('[Design-introspection-mix-up] an id that has gone with its token is free again', async () => {
    server.reply = knows({ one: { ...GOOD, jti: 'id-1' } })
    const api = asking(server, { maxEntries: 1 })
    await api.outcome('one')
    server.reply = knows({ two: { ...GOOD, jti: 'id-2' }, three: { ...GOOD, jti: 'id-1' } })
    expect(await api.outcome('two')).toBe('ok')
    expect(await api.outcome('three')).toBe('ok')
  })

  test.each<[string, JsonObject, JsonObject]>([
    ['id', { jti: 'a' }, { jti: 'b' }],
    ['subject', { sub: 'a' }, { sub: 'b' }],
    ['issuer', { iss: 'https://other.example.test' }, {}],
    ['issuer, which is no text', { iss: [ISSUER] }, {}],
    ['id in another type', { jti: 1 }, { jti: '1' }],
  ])('[Design-introspection-mix-up] a token that is a JWT is about what it says: another %s', async (_what, token, answer) => {
    server.reply = says({ ...ACTIVE, ...answer })
    await expectTrouble(asking(server), jwtOf({ sub: 'user-1', ...token }), 'the answer is about another token')
  })

  test.each<[string, string]>([
    ['the same', jwtOf({ iss: ISSUER, sub: 'user-1', jti: 'a' })],
    ['less', jwtOf({ exp: START_SECONDS })],
    ['nothing that can be read', 'e30.bm90IGpzb24.AA'],
    ['something encrypted', 'e30.a.b.c.d'],
  ])('[Design-introspection-mix-up] a token that says %s is no other', async (_what, token) => {
    server.reply = says({ ...ACTIVE, jti: 'a' })
    expect(await asking(server).outcome(token)).toBe('ok')
  })
})
