/** Tokens that only their issuer can read, over HTTP and on every framework: RFC 7662, RFC 9701. */
import type { IssuerOptions, JsonObject, JsonValue, ResourceServerOptions } from '@behalf/core'
import { asgardeo, custom, oauth } from '@behalf/core/issuers'
import { createDpopClient, createSigningKey, memorySink, signCompact } from '@behalf/testing'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { outcomeOf } from '../support/dpop-api.js'
import { type Answer, ask } from '../support/http.js'
import {
  createIntrospectionServer,
  type IntrospectionServer,
  JSON_TYPE,
  knows,
  type Reply,
  SIGNED_TYPE,
  type SignedAnswer,
  says,
  sends,
  signedAnswer,
} from '../support/introspection-server.js'
import { FRAMEWORKS, startApi } from '../support/servers.js'

const START_SECONDS = 1_790_000_000
const ISSUER = 'https://as.example.test'
const AUDIENCE = 'https://api.example.test'
const CLIENT_ID = 'orders-api'
const ORIGIN = 'https://api.example.com'
const KEY = createSigningKey('EdDSA', { kid: 'key-1' })
const JWKS = { keys: [KEY.jwk] }
const TOKEN = '2YotnFZFEjr1zCsicMWpAA'

/** However slow the machine, nothing takes so long. */
const UNHURRIED = { fetchHeadersMilliseconds: 60_000, fetchTotalMilliseconds: 60_000 }
const SHORT = { fetchHeadersMilliseconds: 50, fetchTotalMilliseconds: 100 }

const GOOD: JsonObject = {
  token_type: 'Bearer',
  iss: ISSUER,
  sub: 'user-1',
  aud: AUDIENCE,
  client_id: 'client-1',
  scope: 'orders:read',
  exp: START_SECONDS + 3600,
}
const ACTIVE: JsonObject = { active: true, ...GOOD }

let server: IntrospectionServer
let nowSeconds = START_SECONDS
beforeAll(async () => {
  server = await createIntrospectionServer()
})
beforeEach(() => {
  server.reset()
  server.reply = knows({ [TOKEN]: GOOD })
  nowSeconds = START_SECONDS
})
afterAll(() => server.close())

const closing: { close(): Promise<unknown> }[] = []
afterEach(async () => {
  for (const each of closing.splice(0)) await each.close()
  await server.idle()
})

type Introspection = Partial<NonNullable<IssuerOptions['introspection']>>

function introspectionOf(more: Introspection = {}): NonNullable<IssuerOptions['introspection']> {
  const authentication = { method: 'client_secret_basic', clientSecret: 'tops3cret' } as const
  return { endpoint: server.endpoint, clientId: CLIENT_ID, authentication, ...more }
}

function issuerOf(introspection: Introspection = {}, more: Partial<IssuerOptions> = {}): IssuerOptions {
  return custom({
    issuer: ISSUER,
    audience: AUDIENCE,
    jwks: JWKS,
    tokenTypes: ['at+jwt'],
    actor: { claim: 'act' },
    kind: 'delegation',
    introspection: introspectionOf(introspection),
    ...more,
  })
}

/** A JWT of the issuer that is good in every way. */
function jwtOf(claims: JsonObject = {}, key = KEY): string {
  const all = { ...GOOD, jti: 'jwt-1', iat: START_SECONDS, ...claims }
  return signCompact({ typ: 'at+jwt', alg: key.algorithm, kid: key.kid }, JSON.stringify(all), key)
}

describe.each(FRAMEWORKS)('$name', (framework) => {
  interface Api {
    /** How often the handler ran. */
    readonly ran: number
    ask(token?: string, scheme?: string, headers?: readonly (readonly [string, string])[]): Promise<Answer>
    /** Status and code of the answer. */
    outcome(token?: string): Promise<string>
    context(token?: string): Promise<JsonObject>
    /** Forgets what is known of the issuer. */
    evict(): void
  }

  async function start(issuer: IssuerOptions = issuerOf(), more: Partial<ResourceServerOptions> = {}): Promise<Api> {
    let ran = 0
    const options: ResourceServerOptions = {
      issuers: [issuer],
      delegation: [{ id: 'any', kind: ['delegation', 'impersonation'], actor: 'any', scopes: 'all' }],
      audit: { sinks: [memorySink()] },
      now: () => nowSeconds * 1000,
      limits: UNHURRIED,
      ...more,
    }
    const running = await startApi(framework, options, (app, api) => {
      app.use(api.authenticate())
      app.route(
        'GET',
        '/',
        framework.handler((call) => {
          ran++
          call.json(api.contextOf(call.request))
        }),
      )
    })
    closing.push(running, running.api)
    const request: Api['ask'] = (token = TOKEN, scheme = 'Bearer', headers = []) =>
      ask(running.port, { headers: [['Authorization', `${scheme} ${token}`], ...headers] })
    return {
      get ran() {
        return ran
      },
      ask: request,
      outcome: async (token) => outcomeOf(await request(token)),
      async context(token) {
        const answer = await request(token)
        expect(outcomeOf(answer)).toBe('200')
        return JSON.parse(answer.body) as JsonObject
      },
      evict: () => running.api.keys.evict(ISSUER),
    }
  }

  /** Our trouble: nobody gets in, nobody is told that his token is bad, and everybody when to come again. */
  async function expectTrouble(api: Api, token = TOKEN): Promise<void> {
    const ran = api.ran
    const answer = await api.ask(token)
    expect(outcomeOf(answer)).toBe('503 introspection_unavailable')
    expect(answer.headers['www-authenticate']).toBeUndefined()
    expect(answer.headers['retry-after']).toMatch(/^\d+$/)
    expect(JSON.stringify(answer)).not.toContain(token)
    expect(api.ran).toBe(ran)
  }

  async function refuses(api: Api, outcome: string, token = TOKEN): Promise<void> {
    const ran = api.ran
    const answer = await api.ask(token)
    expect(outcomeOf(answer)).toBe(outcome)
    expect(answer.headers['www-authenticate']).toContain('error="invalid_token"')
    expect(api.ran).toBe(ran)
  }

  describe('the question (RFC 7662 2.1)', () => {
    test('[RFC7662-2.1-post] [RFC7662-2.1-authenticated] is a form, sent by POST, by this API in its own name', async () => {
      const api = await start()
      expect(await api.outcome()).toBe('200')
      const [question, ...more] = server.questions
      expect(more).toEqual([])
      expect([question?.method, question?.path]).toEqual(['POST', '/introspect'])
      expect(question?.headers['content-type']).toBe('application/x-www-form-urlencoded')
      expect(Object.fromEntries(question?.form ?? [])).toEqual({ token: TOKEN, token_type_hint: 'access_token' })
      const credentials = Buffer.from('orders-api:tops3cret').toString('base64')
      expect(question?.headers['authorization']).toBe(`Basic ${credentials}`)
    })

    test('[RFC9701-4-accept] says that it wants a signed answer', async () => {
      const api = await start(issuerOf({ signed: true }))
      await api.ask()
      expect(server.questions[0]?.headers['accept']).toBe(SIGNED_TYPE)
    })

    test('[RFC7662-4-tls] goes to no endpoint without TLS, unless it is on this machine', async () => {
      await expect(start(issuerOf({ endpoint: 'http://as.example.test/introspect' }))).rejects.toThrow('must be an https URL')
    })
  })

  describe('the answer (RFC 7662 2.2)', () => {
    test('[RFC7662-2.2-active] [RFC7662-2.2-claims] about an active token lets it through, with what it says', async () => {
      const api = await start()
      expect(await api.context()).toMatchObject({
        kind: 'direct',
        subject: { id: 'user-1', issuer: ISSUER },
        clientId: 'client-1',
        scopes: ['orders:read'],
        token: { issuer: ISSUER, audience: [AUDIENCE], expiresAt: START_SECONDS + 3600 },
      })
    })

    test('[RFC7662-2.2-inactive] about an inactive one refuses it', async () => {
      server.reply = says({ active: false })
      await refuses(await start(), '401 token_inactive')
    })

    test.each<JsonValue>(['true', 1, 'false', null, [true]])(
      '[RFC7662-2.2-active] without the JSON value true does not call it active: %j',
      async (active) => {
        server.reply = says({ ...ACTIVE, active })
        await refuses(await start(), '401 token_inactive')
      },
    )

    test('[RFC7662-2.2-active] that does not say whether it is active is none', async () => {
      server.reply = says(GOOD)
      await expectTrouble(await start())
    })

    test.each<[string, JsonObject, string]>([
      ['another audience', { aud: 'https://other.example.test' }, 'audience_mismatch'],
      ['an expiry that has passed', { exp: START_SECONDS - 5 }, 'token_expired'],
      ['an expiry that is none', { exp: 'soon' }, 'claim_invalid'],
      ['a time before which it is not valid', { nbf: START_SECONDS + 6 }, 'token_not_yet_valid'],
      ['a time of issue that is yet to come', { iat: START_SECONDS + 6 }, 'token_not_yet_valid'],
      ['a subject that is none', { sub: '' }, 'claim_invalid'],
    ])('[RFC7662-2.2-claims] is held to the same as a JWT: %s', async (_what, claims, code) => {
      server.reply = says({ ...ACTIVE, ...claims })
      await refuses(await start(), `401 ${code}`)
    })

    test.each(['sub', 'aud', 'exp'])('[RFC7662-2.2-claims] does not leave out %s', async (name) => {
      const { [name]: _, ...rest } = ACTIVE
      server.reply = says(rest)
      await refuses(await start(), '401 claim_missing')
    })

    test('[RFC7662-2.2-claims] is of an accepted client, where those are configured', async () => {
      const api = await start(issuerOf({}, { clientIds: ['client-2'] }))
      await refuses(api, '401 client_refused')
    })

    test('[Design-introspection-kind] about a refresh token refuses it, whatever the application accepts', async () => {
      server.reply = says({ ...ACTIVE, token_use: 'refresh_token' })
      for (const untyped of ['refuse', 'accept'] as const) {
        await refuses(await start(issuerOf({ untyped })), '401 token_type_refused')
      }
    })

    test('[Design-introspection-kind] that does not say of what kind the token is is accepted only by option', async () => {
      const { token_type: _, ...untyped } = ACTIVE
      server.reply = says(untyped)
      await refuses(await start(), '401 token_type_refused')
      expect(await (await start(issuerOf({ untyped: 'accept' }))).outcome()).toBe('200')
    })

    test('[RFC8693-4.1-introspection] says who acts', async () => {
      server.reply = says({ ...ACTIVE, act: { sub: 'agent-1', iss: ISSUER }, may_act: { sub: 'agent-2' } })
      expect(await (await start()).context()).toMatchObject({
        kind: 'delegation',
        subject: { id: 'user-1' },
        actor: { id: 'agent-1', issuer: ISSUER },
      })
      server.reply = says({ ...ACTIVE, act: 'agent-1' })
      await refuses(await start(), '401 delegation_malformed')
    })

    test('[Design-introspection-dialect] says it in the words of its own endpoint', async () => {
      const text = { claim: 'act', encoding: 'string' } as const
      server.reply = says({ ...ACTIVE, act: 'agent-1' })
      const api = await start(issuerOf({ actor: text }))
      expect(await api.context()).toMatchObject({ kind: 'delegation', actor: { id: 'agent-1' } })
      expect(await api.outcome(jwtOf({ act: { sub: 'agent-1' } }))).toBe('200')
      await refuses(api, '401 delegation_malformed', jwtOf({ act: 'agent-1' }))
    })

    test('[RFC9449-6.2-introspection] about a bound token lets nobody through who does not hold the key', async () => {
      const client = createDpopClient({ now: () => nowSeconds * 1000 })
      server.reply = says({ ...ACTIVE, token_type: 'DPoP', cnf: { jkt: client.jkt } })
      const dpop = { publicOrigins: ORIGIN, dpop: { replay: 'single-process' } } as const
      const api = await start(issuerOf({}, { dpop: 'allow' }), dpop)
      expect(outcomeOf(await api.ask())).toBe('401 sender_mismatch')
      const proof = client.proof('GET', `${ORIGIN}/`, { token: TOKEN })
      expect(outcomeOf(await api.ask(TOKEN, 'DPoP', [['DPoP', proof]]))).toBe('200')
      expect(outcomeOf(await api.ask(TOKEN, 'DPoP', [['DPoP', proof]]))).toBe('401 proof_replayed')
      await refuses(await start(), '401 binding_unsupported')
    })

    test('[RFC7662-4-exp] is not believed beyond the expiry of the token', async () => {
      server.reply = says({ ...ACTIVE, exp: START_SECONDS + 10 })
      const api = await start()
      expect([await api.outcome(), await api.outcome()]).toEqual(['200', '200'])
      expect(server.asked).toHaveLength(1)
      nowSeconds = START_SECONDS + 10
      server.reply = says({ active: false })
      await refuses(api, '401 token_inactive')
    })

    test('[Design-introspection-cache] is believed for its time, and not longer', async () => {
      const api = await start(issuerOf({ cacheSeconds: 10 }))
      for (let each = 0; each < 3; each++) expect(await api.outcome()).toBe('200')
      expect(server.asked).toHaveLength(1)
      server.reply = says({ active: false })
      nowSeconds = START_SECONDS + 10
      await refuses(api, '401 token_inactive')
    })

    test('[Design-introspection-cache] that is asked for again in the background is waited for by nobody, and asked for once', async () => {
      const api = await start(issuerOf({ cacheSeconds: 10 }))
      expect(await api.outcome()).toBe('200')
      nowSeconds = START_SECONDS + 9
      expect(await api.outcome()).toBe('200')
      await server.idle()
      nowSeconds = START_SECONDS + 10
      expect(await api.outcome()).toBe('200')
      expect(server.asked).toHaveLength(2)
    })
  })

  describe('an error of the endpoint (RFC 7662 2.3)', () => {
    test.each([400, 401, 403, 404, 429, 500, 503])('[RFC7662-2.3-error] is never the fault of the token: %d', async (status) => {
      server.reply = sends(JSON.stringify({ error: 'invalid_client' }), JSON_TYPE, status)
      await expectTrouble(await start())
    })

    test.each<[string, Reply]>([
      ['is down', (request) => request.socket.destroy()],
      ['never answers', () => {}],
      ['sends its users elsewhere', (_request, response) => response.writeHead(307, { location: '/elsewhere' }).end()],
      ['answers with a page', sends('<html>', 'text/html')],
      ['answers with too much', sends(JSON.stringify({ ...ACTIVE, padding: 'x'.repeat(300_000) }))],
      ['says something twice', sends(`{"active":true,${JSON.stringify(GOOD).slice(1, -1)},"sub":"admin"}`)],
      ["gives another issuer's word", says({ ...ACTIVE, iss: 'https://other.example.test' })],
    ])('[Design-introspection-trouble] an endpoint that %s lets nobody in', async (_what, reply) => {
      server.reply = reply
      await expectTrouble(await start(issuerOf(), { limits: SHORT }))
      expect(server.questions.every(({ path }) => path === '/introspect')).toBe(true)
    })

    test("[Design-introspection-mix-up] another token's answer lets nobody in", async () => {
      server.reply = says({ ...ACTIVE, jti: 'id-1' })
      const api = await start()
      expect(await api.outcome()).toBe('200')
      await expectTrouble(api, 'another-token')
      expect(await api.outcome()).toBe('200')
    })

    test.each<[string, Reply]>([
      ['is closed to', sends('blocked', 'text/plain', 403)],
      ['is closed for a time to', (_request, response) => response.writeHead(429, { 'retry-after': '60' }).end()],
      ['breaks off at', (request) => request.socket.destroy()],
      ['fails on', sends('', null, 500)],
    ])(
      '[Design-introspection-strangers] an endpoint that %s what strangers send is asked about regulars',
      async (_what, reply) => {
        const odd: Reply = (request, response, question) =>
          (question.token === TOKEN ? says(ACTIVE) : reply)(request, response, question)
        server.reply = odd
        const api = await start(issuerOf({ cacheSeconds: 0 }))
        expect(await api.outcome()).toBe('200')
        for (let each = 0; each < 5; each++) {
          for (const which of ['a', 'b']) await expectTrouble(api, `strange-${each}-${which}`)
          expect(await api.outcome()).toBe('200')
        }
      },
    )

    test('[Design-introspection-odd-token] the holders of tokens of another issuer stop nobody', async () => {
      const api = await start()
      server.reply = says({ ...ACTIVE, iss: 'https://other.example.test' })
      for (const token of ['foreign-1', 'foreign-2', 'foreign-3']) await expectTrouble(api, token)
      server.reply = says(ACTIVE)
      expect(await api.outcome()).toBe('200')
    })

    test('[Design-introspection-forget] that is evicted is asked about every token again', async () => {
      const api = await start(issuerOf({ cacheSeconds: 300 }))
      expect(await api.outcome()).toBe('200')
      server.reply = says({ active: false })
      expect(await api.outcome()).toBe('200')
      api.evict()
      await refuses(api, '401 token_inactive')
    })

    test('[Design-introspection-trouble] ends what was known when its time is over, and not before', async () => {
      const api = await start(issuerOf({ cacheSeconds: 10 }))
      expect(await api.outcome()).toBe('200')
      server.reply = (request) => request.socket.destroy()
      nowSeconds = START_SECONDS + 7
      expect(await api.outcome()).toBe('200')
      nowSeconds = START_SECONDS + 10
      await expectTrouble(api)
    })
  })

  describe('a signed answer (RFC 9701 5)', () => {
    const signed = (more: Partial<SignedAnswer> = {}, type = SIGNED_TYPE): Reply =>
      sends(signedAnswer({ key: KEY, issuer: ISSUER, audience: CLIENT_ID, nowSeconds, answer: ACTIVE, ...more }), type)

    test('[RFC9701-5-signature] [RFC9701-5-introspection] is believed where everything about it holds', async () => {
      server.reply = signed()
      expect(await (await start(issuerOf({ signed: true }))).context()).toMatchObject({ subject: { id: 'user-1' } })
      server.reply = signed({ answer: { active: false } })
      await refuses(await start(issuerOf({ signed: true })), '401 token_inactive')
    })

    test.each<[string, () => Reply]>([
      ['not signed', () => says(ACTIVE)],
      ['not signed, and inactive', () => says({ active: false })],
      ['not signed, under its media type', () => says(ACTIVE, SIGNED_TYPE)],
      ['of another media type', () => signed({}, 'application/jwt')],
      ['of another type', () => signed({ header: { typ: 'JWT' } })],
      ['without a type', () => signed({ header: { typ: undefined } })],
      ['an access token', () => sends(jwtOf({ token_introspection: ACTIVE, aud: CLIENT_ID }), SIGNED_TYPE)],
      ['signed by somebody else', () => signed({ key: createSigningKey('EdDSA', { kid: KEY.kid }) })],
      ['signed by nobody', () => signed({ header: { alg: 'none' } })],
      ['of another issuer', () => signed({ issuer: 'https://other.example.test' })],
      ['for somebody else', () => signed({ audience: 'other-api' })],
      ['for nobody', () => signed({ claims: { aud: undefined } })],
      ['of no time', () => signed({ claims: { iat: undefined } })],
      ['of yesterday', () => signed({ nowSeconds: START_SECONDS - 86_400 })],
      ['of tomorrow', () => signed({ nowSeconds: START_SECONDS + 86_400 })],
      ['empty', () => signed({ claims: { ...ACTIVE, aud: CLIENT_ID, token_introspection: undefined } })],
    ])(
      '[RFC9701-5-unsigned] [RFC9701-5-media-type] [RFC9701-5-typ] [RFC9701-5-signature] [RFC9701-5-iss] [RFC9701-5-aud] [RFC9701-5-iat] [RFC9701-8.1-confusion] is none where it is %s',
      async (_what, reply) => {
        server.reply = reply()
        await expectTrouble(await start(issuerOf({ signed: true })))
      },
    )

    test('[RFC9701-8.1-confusion] is no access token', async () => {
      const answer = signedAnswer({ key: KEY, issuer: ISSUER, audience: AUDIENCE, nowSeconds, answer: ACTIVE, claims: GOOD })
      await refuses(await start(), '401 token_type_refused', answer)
      expect(server.asked).toEqual([])
    })
  })

  describe('a token that is a JWT by its shape', () => {
    const stranger = createSigningKey('EdDSA')
    test.each<[string, string, string]>([
      ['a good one', jwtOf(), '200'],
      ['one of a stranger', jwtOf({}, stranger), '401 key_unknown'],
      ['one that has expired', jwtOf({ exp: START_SECONDS - 60 }), '401 token_expired'],
      ['one of another issuer', jwtOf({ iss: 'https://other.example.test' }), '401 issuer_unknown'],
      ['one without a signature', `${jwtOf().split('.').slice(0, 2).join('.')}.`, '401 token_malformed'],
      ['dots', '....', '401 token_malformed'],
      ['an encrypted one', 'eyJhbGciOiJSU0EtT0FFUCIsImVuYyI6IkEyNTZHQ00ifQ.a.b.c.d', '401 token_malformed'],
    ])('[Design-jwt-shape] is proved or refused as one, and never asked about: %s', async (_what, token, outcome) => {
      server.reply = says(ACTIVE)
      expect(await (await start()).outcome(token)).toBe(outcome)
      expect(server.asked).toEqual([])
    })

    test('[Design-opaque-only] is asked about where its issuer says that all its tokens are opaque', async () => {
      server.reply = says(ACTIVE)
      const { jwks: _, ...opaque } = issuerOf({}, { opaqueOnly: true })
      const api = await start(opaque)
      expect(await api.outcome(jwtOf({}, stranger))).toBe('200')
      expect(server.asked).toHaveLength(1)
      await expectTrouble(api, jwtOf({ sub: 'admin' }, stranger)) // the answer is about somebody else
    })

    test.each(['a.b.c', 'ory_at_abc.def', 'v2.local.abc', 'e30=', 'a....b'])(
      '[Design-jwt-shape] anything else is asked about: %s',
      async (token) => {
        expect(await (await start()).outcome(token)).toBe('401 token_inactive')
        expect(server.asked).toEqual([token])
      },
    )
  })

  test('[Design-one-opaque-issuer] one issuer alone can be asked about a token that names none', async () => {
    const other = oauth({
      issuer: 'https://other.example.test',
      audience: AUDIENCE,
      jwks: JWKS,
      introspection: introspectionOf(),
    })
    await expect(start(issuerOf(), { issuers: [issuerOf(), other] })).rejects.toThrow('one of them alone can be asked')
  })

  test('[Design-introspection-dialect] Asgardeo writes the actor as a bare text there', async () => {
    const issuer = asgardeo({ organization: 'example', clientIds: ['client-1'], jwks: JWKS, introspection: introspectionOf() })
    server.reply = says({ ...ACTIVE, iss: issuer.issuer, aud: 'client-1', act: 'agent-1', aut: 'APPLICATION_USER' })
    expect(await (await start(issuer)).context()).toMatchObject({ actor: { id: 'agent-1' } })
  })

  test('[Design-introspection-secrecy] neither token nor secret stands in an answer or an event', async () => {
    const sink = memorySink()
    const api = await start(issuerOf(), { audit: { sinks: [sink], record: 'always' } })
    const answers = [await api.ask(), await api.ask('another-token')]
    server.reply = sends('<html>', 'text/html')
    answers.push(await api.ask('a-third-token'))
    const told = JSON.stringify([answers.map(({ headers, body }) => [headers, body]), sink.events])
    for (const secret of [TOKEN, 'another-token', 'a-third-token', 'tops3cret']) expect(told).not.toContain(secret)
    expect(sink.events.length).toBeGreaterThan(0)
  })
})
