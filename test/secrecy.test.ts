/**
 * Nothing that a caller wrote comes back: not in an answer, not in an error, not in a record (but for the fields that are meant
 * to hold it). Every text below holds the same word, which no part of this project contains.
 */
import { inspect } from 'node:util'
import type { AuditEvent, ResourceServerOptions } from '@behalf/core'
import { custom, oauth } from '@behalf/core/issuers'
import { createTestIssuer, type MemorySink, memorySink, type TokenOverrides } from '@behalf/testing'
import { pino } from 'pino'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { type Answer, ask, askRaw, bearer } from './support/http.js'
import {
  type Application,
  closeAll,
  FRAMEWORKS,
  type Framework,
  type RunningApi,
  startApi,
  type TestServer,
} from './support/servers.js'

const WORD = 'cnry'
const CANARIES: Readonly<Record<string, string>> = {
  plain: `${WORD}-plain`,
  'CR LF': `${WORD}\r\nSet-Cookie: ${WORD}=1\r\n\r\n${WORD}`,
  NUL: `${WORD}\0${WORD}`,
  escape: `\u001b[31m${WORD}\u202e${WORD}\u2028`,
  'non-Latin-1': `${WORD}-é-日本-\u{1f600}-${WORD}`,
  quotes: `${WORD}"\\,${WORD}="x"`,
  long: WORD.repeat(300),
}

const issuer = await createTestIssuer({ algorithms: ['EdDSA'] })
const jwks = issuer.jwks()
const trusted = issuer.options({ jwks })
afterAll(() => issuer.close())

const incidents: unknown[] = []
const note = (...incident: unknown[]) => void incidents.push(incident)
const PROCESS_EVENTS = ['unhandledRejection', 'uncaughtException', 'warning'] as const
beforeAll(() => {
  for (const name of PROCESS_EVENTS) process.on(name, note)
})
afterAll(() => {
  for (const name of PROCESS_EVENTS) process.off(name, note)
})
afterEach(() => {
  const leaked = incidents.splice(0).map((incident) => inspect(incident, { depth: Number.POSITIVE_INFINITY }))
  expect(leaked.filter((text) => text.includes(WORD))).toEqual([])
})

/** Fails where a text holds the word, or a part of the token as it was sent. */
function expectNothingOf(token: string, text: string, where: string): void {
  const parts = token.split('.').filter((part) => part.length >= 16)
  const leaks = [WORD, ...parts].filter((secret) => text.toLowerCase().includes(secret.toLowerCase()))
  expect({ where, leaks }).toEqual({ where, leaks: [] })
}

function expectSilentAnswer(token: string, { headers, body }: Answer): void {
  expectNothingOf(token, JSON.stringify(headers), 'header')
  expectNothingOf(token, body, 'body')
  expect(headers['set-cookie']).toBeUndefined()
}

function expectSilentError(token: string, error: unknown): void {
  expect(error).toBeInstanceOf(Error)
  expectNothingOf(token, inspect(error, { depth: Number.POSITIVE_INFINITY, showHidden: true }), 'inspect')
  expectNothingOf(token, String(JSON.stringify(error)), 'JSON')
  expectNothingOf(token, JSON.stringify(pino.stdSerializers.err(error as Error)), 'pino')
  expectNothingOf(token, String((error as Error).stack), 'stack')
}

const UNCLEAN = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u

/** The fields that may hold foreign text are clean and short; all others hold none. */
function expectSilentEvent(token: string, event: AuditEvent): void {
  const foreign = [event.token.keyId, event.token.id, event.net.userAgent, event.net.forwarded, event.net.callerRequestId]
  for (const text of foreign) {
    expect(text ?? '').not.toMatch(UNCLEAN)
    expect((text ?? '').length).toBeLessThanOrEqual(1024)
  }
  expect((event.token.keyId ?? '').length).toBeLessThanOrEqual(256)
  const rest = {
    ...event,
    token: { ...event.token, keyId: null, id: null },
    net: { ...event.net, userAgent: null, forwarded: null, callerRequestId: null },
  }
  expectNothingOf(token, JSON.stringify(rest), `event of stage ${event.stage}`)
}

type Json = NonNullable<TokenOverrides['claims']>
const past = { exp: 1_000_000_000, iat: 999_999_000 }

/** Each place of a token, with a text in it. */
const HEADER_PLACES: Readonly<Record<string, (text: string) => Json>> = {
  kid: (text) => ({ kid: text }),
  'kid, an object': (text) => ({ kid: { [text]: text } }),
  crit: (text) => ({ crit: [text], [text]: true }),
  'crit, a string': (text) => ({ crit: text }),
  typ: (text) => ({ typ: text }),
  'typ, a list': (text) => ({ typ: [text] }),
  alg: (text) => ({ alg: text }),
  'alg, a list': (text) => ({ alg: ['EdDSA', text] }),
  cty: (text) => ({ cty: text }),
  jku: (text) => ({ jku: `https://${text}` }),
  x5u: (text) => ({ x5u: text }),
  x5c: (text) => ({ x5c: [text] }),
  jwk: (text) => ({ jwk: { kty: 'OKP', crv: 'Ed25519', x: text, kid: text } }),
  'a member of its own': (text) => ({ custom: { inner: [text] } }),
  'the name of a member': (text) => ({ [text]: 1 }),
}

const CLAIM_PLACES: Readonly<Record<string, (text: string) => Json>> = {
  iss: (text) => ({ iss: text }),
  'iss, nearly right': (text) => ({ iss: `${issuer.issuer}/${text}` }),
  sub: (text) => ({ sub: text }),
  'sub, an object': (text) => ({ sub: { [text]: text } }),
  aud: (text) => ({ aud: text }),
  'aud, a list': (text) => ({ aud: [text, { [text]: 1 }] }),
  client_id: (text) => ({ client_id: text }),
  scope: (text) => ({ scope: text }),
  'scope, a list': (text) => ({ scope: [text] }),
  jti: (text) => ({ jti: text }),
  exp: (text) => ({ exp: text }),
  nbf: (text) => ({ nbf: text }),
  iat: (text) => ({ iat: text }),
  sub_profile: (text) => ({ sub_profile: text }),
  act: (text) => ({ act: text }),
  'act.sub': (text) => ({ act: { sub: text } }),
  'act.iss': (text) => ({ act: { sub: 'agent-1', iss: text } }),
  'act.act': (text) => ({ act: { sub: 'agent-1', act: { [text]: text } } }),
  'a member of act': (text) => ({ act: { sub: 'agent-1', email: text, [text]: text } }),
  may_act: (text) => ({ may_act: text }),
  'may_act.sub': (text) => ({ may_act: { sub: text } }),
  cnf: (text) => ({ cnf: { jkt: text } }),
  'a foreign marker': (text) => ({ impersonator: { email: text } }),
  roles: (text) => ({ roles: [text] }),
  'a claim of its own': (text) => ({ note: { inner: [text] } }),
  'the name of a claim': (text) => ({ [text]: 1, note: { [text]: 1 } }),
}

interface RefusedToken {
  readonly name: string
  readonly token: string
}

/** Each text in each place, once under a signature that does not hold and once (where it is refused all the same) under one that does. */
function refusedTokens(text: string): readonly RefusedToken[] {
  const forgedSignature = Buffer.from(text.repeat(3)).toString('base64url')
  const forge = (token: string) => `${token.slice(0, token.lastIndexOf('.'))}.${forgedSignature}`
  const places = [
    ...Object.entries(HEADER_PLACES).map(([name, make]) => ({ name: `header: ${name}`, header: make(text), claims: {} as Json })),
    ...Object.entries(CLAIM_PLACES).map(([name, make]) => ({ name: `claims: ${name}`, header: {} as Json, claims: make(text) })),
  ]
  const raw = (payload: string) => issuer.token({ payload })
  return [
    ...places.flatMap(({ name, header, claims }) => [
      { name: `${name}, forged`, token: forge(issuer.token({ header, claims })) },
      { name: `${name}, expired`, token: issuer.token({ header, claims: { ...past, ...claims } }) },
    ]),
    { name: 'signature', token: forge(issuer.token()) },
    { name: 'payload that is no JSON', token: raw(text) },
    { name: 'payload that is a string', token: raw(JSON.stringify(text)) },
    { name: 'payload with a member twice', token: raw(`{"iss":${JSON.stringify(text)},"iss":${JSON.stringify(text)}}`) },
    { name: 'parts that are no base64url', token: `${WORD}.${WORD}~.${WORD}+` },
    { name: 'one part', token: WORD.repeat(8) },
  ]
}

type Started = RunningApi & { readonly sink: MemorySink }
const running: Started[] = []
afterAll(() => closeAll(running))

async function start(
  framework: Framework,
  more: Partial<ResourceServerOptions>,
  prepare: (app: Application, api: TestServer) => unknown = () => {},
): Promise<Started> {
  const sink = memorySink()
  const started = await startApi(
    framework,
    {
      issuers: [trusted],
      delegation: [{ id: 'agents', kind: 'delegation', actor: { id: 'agent-1' }, scopes: 'all' }],
      audit: { sinks: [sink], record: 'always' },
      ...more,
    },
    (app, api) => {
      prepare(app, api)
      app.use(api.authenticate())
      app.route(
        'GET',
        '/',
        framework.handler((call) => call.json('in')),
      )
    },
  )
  const all = { ...started, sink }
  running.push(all)
  return all
}

const [express4, express5, koa2, koa3] = FRAMEWORKS as [Framework, Framework, Framework, Framework]

describe('a refused token', () => {
  const servers: Started[] = []
  beforeAll(async () => {
    const sinks = [memorySink(), memorySink()] as const
    const [refusals, always] = sinks
    servers.push({ ...(await start(express5, { audit: { sinks: [refusals], record: 'refusals' } })), sink: refusals })
    servers.push({ ...(await start(koa3, { audit: { sinks: [always], record: 'always' } })), sink: always })
    servers.push(await start(express4, { refusals: 'forward' }))
    servers.push(await start(koa2, { refusals: 'forward' }))
  })

  describe.each(Object.entries(CANARIES))('with a text that is %s', (_name, text) => {
    test.each(refusedTokens(text))('in $name', async ({ token }) => {
      // Two servers answer by themselves, two hand the error on; the second pair is asked for two texts only, since errors of
      // all others are seen through verify().
      for (const { port, sink, app } of text === CANARIES['plain'] || text === CANARIES['CR LF']
        ? servers
        : servers.slice(0, 2)) {
        sink.clear()
        const known = app.errors.length
        const answer = await ask(port, { headers: [bearer(token)] })
        expect(answer.status).toBeGreaterThanOrEqual(400)
        expect(answer.status).toBeLessThan(500)
        expectSilentAnswer(token, answer)
        expect(sink.events).toHaveLength(1)
        for (const event of sink.events) expectSilentEvent(token, event)
        for (const error of app.errors.slice(known)) expectSilentError(token, error)
      }
      const [first] = servers
      await expect(first?.api.verify(token)).rejects.toThrow()
      expectSilentError(token, await first?.api.verify(token).catch((error: unknown) => error))
    })
  })

  test('reached the error handling of the applications that ask for it, and no other', () => {
    expect(servers.map(({ app }) => app.errors.length > 0)).toEqual([false, false, true, true])
  })

  test('the record keeps a key id, cut and cleaned, and nothing else of a forged token', async () => {
    const [first] = servers
    first?.sink.clear()
    const kid = `${WORD}\r\n\u202e${'x'.repeat(400)}`
    await ask(first?.port ?? 0, { headers: [bearer(issuer.token({ header: { kid } }))] })
    expect(first?.sink.events[0]?.token).toEqual({
      issuer: null,
      id: null,
      issuedAt: null,
      expiresAt: null,
      keyId: `${WORD}\uFFFD\uFFFD\uFFFD${'x'.repeat(249)}`,
      algorithm: null,
    })
  })
})

test('a verified token that the rules refuse: the record holds who and which token, and no further claim', async () => {
  const { port, sink } = await start(koa3, {})
  const secrets = {
    act: { sub: 'somebody', email: WORD, [WORD]: WORD },
    note: WORD,
    [WORD]: WORD,
    roles: [WORD],
    aud: [issuer.audience, WORD],
    may_act: { sub: WORD },
  }
  const token = issuer.token({ claims: secrets, header: { [WORD]: WORD, jku: WORD } })
  const answer = await ask(port, { headers: [bearer(token)] })
  expect(answer.status).toBe(403)
  expectSilentAnswer(token, answer)
  expect(sink.events).toHaveLength(1)
  expect(sink.events[0]).toMatchObject({ subject: { id: 'user-1' }, actor: { id: 'somebody' } })
  expectNothingOf(token, JSON.stringify(sink.events), 'event')
})

describe('credentials of a request', () => {
  const base64 = Buffer.from(`user:${WORD}`).toString('base64')
  const values: readonly (readonly [name: string, value: string])[] = [
    ['a Basic password', `Basic ${base64}`],
    ['a Basic password that is not encoded', `Basic user:${WORD}`],
    ['a DPoP token', `DPoP ${WORD}`],
    ['a scheme of its own', `${WORD} ${WORD}`],
    ['a Bearer token with a quote', `Bearer ${WORD}"${WORD}`],
    ['a Bearer token and a second one', `Bearer ${WORD}, Bearer ${WORD}`],
    ['a Bearer token with Latin-1', `Bearer ${WORD}\xe9\xff`],
    ['no scheme', WORD],
    ['Digest parameters', `Digest username="${WORD}", realm="${WORD}", nonce="x"`],
  ]

  describe.each(FRAMEWORKS)('$name', (framework) => {
    test.each(values)('%s', async (_name, value) => {
      for (const refusals of ['respond', 'forward'] as const) {
        const { port, sink, app } = await start(framework, { refusals })
        const request = `GET /?access_token=${WORD} HTTP/1.1\r\nHost: api\r\nCookie: session=${WORD}\r\nConnection: close\r\n`
        const answer = await askRaw(port, `${request}Authorization: ${value}\r\n\r\n`)
        expect(answer).toMatch(/^HTTP\/1\.1 40[01] /)
        expectNothingOf(base64, answer, 'answer')
        expect(answer).not.toContain(base64)
        expect(sink.events).toHaveLength(1)
        for (const event of sink.events) expectSilentEvent(base64, event)
        for (const error of app.errors) expectSilentError(base64, error)
        expect(app.errors).toHaveLength(refusals === 'forward' ? 1 : 0)
      }
    })

    test.each([
      ['a text with a line break', () => `${WORD}\r\n${WORD}`, 400],
      ['a token that is none', () => WORD, 401],
      ['an object', () => ({ [WORD]: WORD }) as never, 400],
      ['a promise that is kept', () => Promise.resolve(WORD) as never, 400],
      ['a promise that is broken', () => Promise.reject(new Error(WORD)) as never, 400],
    ])('credentials.from that returns %s', async (_name, from, status) => {
      const { port, sink } = await start(framework, { credentials: { from } })
      const answer = await ask(port, { headers: [['Cookie', `session=${WORD}`]] })
      expect(answer.status).toBe(status)
      expectSilentAnswer(WORD, answer)
      expect(sink.events).toHaveLength(1)
      for (const event of sink.events) expectSilentEvent(WORD, event)
      expect(incidents).toEqual([])
    })

    test('credentials.from that throws is a 500 whose answer in production holds nothing', async () => {
      const thrown = Object.assign(new Error(WORD), { token: WORD, headers: { 'x-leak': WORD }, status: 418, expose: true })
      const from = () => {
        throw thrown
      }
      const { port, sink, app } = await start(framework, { credentials: { from } }, (app) => app.production())
      const answer = await ask(port)
      expect(answer.status).toBe(500)
      expectSilentAnswer(WORD, answer)
      expect(answer.headers['www-authenticate']).toBeUndefined()
      // What was thrown is the application's own, for its own logs: the cause, and nothing else of the error.
      const [error] = app.errors as readonly Error[]
      expect(app.errors).toHaveLength(1)
      expect(error).toMatchObject({ name: 'ApplicationError', code: 'application_failed', status: 500, expose: false })
      expect(error?.cause).toBe(thrown)
      expectNothingOf(WORD, `${error?.message} ${error?.stack} ${JSON.stringify(error)}`, 'error')
      expect(error).not.toHaveProperty('headers')
      for (const event of sink.events) expectSilentEvent(WORD, event)
    })

    test('what a caller says about itself is recorded clean and short', async () => {
      const { port, sink } = await start(framework, {})
      const text = `${WORD}\x9b31m\xad${'y'.repeat(2000)}`
      const lines = ['User-Agent', 'X-Forwarded-For', 'X-Request-Id', 'Traceparent']
        .map((name) => `${name}: ${text}\r\n`)
        .join('')
      const answer = await askRaw(port, `GET / HTTP/1.1\r\nHost: api\r\nConnection: close\r\n${lines}\r\n`)
      expectNothingOf(WORD, answer, 'answer')
      const [event] = sink.events
      const kept = `${WORD}\uFFFD31m\uFFFD${'y'.repeat(247)}`
      expect(event?.net).toEqual({ peer: '127.0.0.1', forwarded: kept, userAgent: kept, callerRequestId: kept })
      expect(event?.trace).toEqual({ traceparent: null })
    })
  })
})

describe('an issuer in trouble', () => {
  const json = (value: unknown, init?: ResponseInit) => async () => new Response(JSON.stringify(value), init)
  const metadata = (more: object) => ({ issuer: issuer.issuer, jwks_uri: `${issuer.issuer}/jwks`, ...more })
  const troubles: readonly (readonly [name: string, fetch: () => Promise<Response>])[] = [
    ['answers with an error', async () => new Response(WORD, { status: 500, statusText: WORD, headers: { 'x-trouble': WORD } })],
    ['answers with something else', async () => new Response(`<html>${WORD}`)],
    ['answers with broken JSON', async () => new Response(`{"keys":[{"kid":"${WORD}"`)],
    ['answers with bytes that are no UTF-8', async () => new Response(Buffer.from(`"${WORD}\xff"`, 'latin1'))],
    ['redirects', async () => new Response(null, { status: 302, headers: { location: `https://${WORD}.example.test` } })],
    ['names another issuer', json(metadata({ issuer: WORD }))],
    ['names a bad place for its keys', json(metadata({ jwks_uri: `http://${WORD}` }))],
    ['has no usable key', json({ ...metadata({}), keys: [{ kty: 'oct', k: WORD, kid: WORD }] })],
    ['has keys that are none', json({ ...metadata({}), keys: WORD })],
    ['has a key that cannot be read', json({ ...metadata({}), keys: [{ kty: 'OKP', crv: 'Ed25519', x: WORD, kid: WORD }] })],
    ['cannot be reached', () => Promise.reject(Object.assign(new TypeError(WORD), { cause: new Error(WORD) }))],
  ]

  test.each(troubles)('%s', async (_name, fetch) => {
    for (const refusals of ['respond', 'forward'] as const) {
      for (const framework of FRAMEWORKS) {
        const { port, sink, app } = await start(framework, {
          issuers: [oauth({ issuer: issuer.issuer, audience: issuer.audience })],
          fetch,
          refusals,
        })
        const token = issuer.token()
        const answer = await ask(port, { headers: [bearer(token)] })
        expect(answer.status).toBe(503)
        expectSilentAnswer(token, answer)
        expect(sink.events).toHaveLength(1)
        for (const event of sink.events) expectSilentEvent(token, event)
        expect(app.errors).toHaveLength(refusals === 'forward' ? 1 : 0)
        for (const error of app.errors) expectSilentError(token, error)
      }
    }
  })
})

describe("an application's function that throws", () => {
  const fail = (): never => {
    throw Object.assign(new Error(WORD), { status: 418, headers: { 'x-leak': WORD }, expose: true })
  }
  const reject = () => Promise.reject(new Error(WORD))
  const actor = { claim: 'act' } as const
  const dialect = { issuer: issuer.issuer, audience: issuer.audience, jwks, tokenTypes: ['at+jwt'] }
  const withRule = (when: () => never | Promise<never>): Partial<ResourceServerOptions> => ({
    delegation: [{ id: 'agents', kind: 'delegation', actor: 'any', scopes: 'all', when }],
  })
  const cases: readonly (readonly [name: string, options: Partial<ResourceServerOptions>, status: number])[] = [
    ['when', withRule(fail), 503],
    ['when, with a promise', withRule(reject), 503],
    ['kind', { issuers: [custom({ ...dialect, actor, kind: fail })] }, 401],
    ['kind, with a promise', { issuers: [custom({ ...dialect, actor, kind: reject as never })] }, 401],
    ['read', { issuers: [custom({ ...dialect, actor: { read: fail, reads: ['act'] }, kind: 'delegation' })] }, 401],
    [
      'read, with a promise',
      { issuers: [custom({ ...dialect, actor: { read: reject as never, reads: ['act'] }, kind: 'delegation' })] },
      401,
    ],
    ['a sink', { audit: { sinks: [{ write: fail }] } }, 503],
    ['a sink, with a promise', { audit: { sinks: [{ write: reject }] } }, 503],
  ]

  describe.each(FRAMEWORKS)('$name', (framework) => {
    test.each(cases)('%s', async (_name, options, status) => {
      for (const refusals of ['respond', 'forward'] as const) {
        const { port, sink, app } = await start(framework, { refusals, ...options })
        const token = issuer.token({ claims: { act: { sub: 'agent-1' } } })
        const answer = await ask(port, { headers: [bearer(token)] })
        expect(answer.status).toBe(status)
        expectSilentAnswer(token, answer)
        for (const event of sink.events) expectSilentEvent(token, event)
        for (const error of app.errors) expectSilentError(token, error)
        expect(app.errors).toHaveLength(refusals === 'forward' ? 1 : 0)
      }
    })

    test.each([
      ['check', fail],
      ['check, with a promise', reject],
    ])('%s', async (_name, check) => {
      const { port, sink } = await start(framework, {}, (app, api) => {
        app.use(api.authenticate())
        app.use(api.guard({ check }))
      })
      const token = issuer.token()
      const answer = await ask(port, { headers: [bearer(token)] })
      expect(answer.status).toBe(503)
      expectSilentAnswer(token, answer)
      await sink.until(({ type }) => type === 'access.outcome')
      expect(sink.events).toHaveLength(3)
      for (const event of sink.events) expectSilentEvent(token, event)
    })
  })
})
