/** Security events that are pushed to an API: RFC 8417, RFC 8935, SSF 1.0 and CAEP 1.0, over real HTTP and on every framework. */
import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { connect } from 'node:net'
import { inspect } from 'node:util'
import { ConfigError, type createResourceServer, type JsonObject, memoryRevocations, RevocationError } from '@behalf/core'
import { resourceServer as expressServer } from '@behalf/express'
import { resourceServer as koaServer } from '@behalf/koa'
import { createSigningKey, createTestIssuer, signCompact } from '@behalf/testing'
import express from 'express'
import Koa3 from 'koa'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { type Answer, askRaw, parseAnswer } from '../support/http.js'
import { connectHttp2 } from '../support/http2.js'
import {
  RECEIVER,
  type SecurityEventApi,
  type SecurityEventApiOptions,
  START_SECONDS,
  startSecurityEventApi,
  TEST_ISSUER_OPTIONS,
} from '../support/security-event-api.js'
import {
  aliases,
  CREDENTIAL_CHANGE,
  complex,
  issSub,
  jwtId,
  opaque,
  SESSION_REVOKED,
  SET_CONTENT_TYPE,
  SSF,
} from '../support/security-event-transmitter.js'
import { FRAMEWORKS, type Framework } from '../support/servers.js'

const issuer = await createTestIssuer(TEST_ISSUER_OPTIONS)
afterAll(() => issuer.close())

/** What would have ended the process of an application. */
const incidents: unknown[] = []
const note = (incident: unknown) => void incidents.push(incident)
beforeAll(() => void process.on('unhandledRejection', note))
afterAll(() => void process.off('unhandledRejection', note))

const closing: { close(): Promise<unknown> }[] = []
afterEach(async () => {
  for (const each of closing.splice(0)) await each.close()
  expect(incidents.splice(0)).toEqual([])
})

const user = issSub(issuer.issuer, 'user-1')
const session = opaque('session-1')
/** Koa tells its application of connections that were reset, whoever reads of them. */
const ourErrors = ({ running }: SecurityEventApi) => running.app.errors.filter((error) => !/ECONN|HPE_/.test(inspect(error)))
const errOf = ({ status, body }: Answer) => `${status} ${(JSON.parse(body) as { err: string }).err}`

describe.each(FRAMEWORKS)('$name', (framework) => {
  /** An API of one test's own. */
  async function start(options: SecurityEventApiOptions = {}): Promise<SecurityEventApi> {
    const own = await startSecurityEventApi(framework, issuer, options)
    closing.push(own)
    return own
  }

  /** One whose set of revocations stays as it is. */
  let api: SecurityEventApi
  beforeAll(async () => {
    api = await startSecurityEventApi(framework, issuer)
  })
  afterAll(() => api.close())

  /** A push that is refused, and a token that is served after it as before. */
  async function refuses(outcome: string, body: string, more?: Parameters<SecurityEventApi['push']>[1]): Promise<void> {
    expect(await api.pushed(body, more)).toBe(outcome)
    expect(await api.served(api.token())).toBe('200')
  }

  describe('an event that is taken', () => {
    test('[RFC8935-2.2-accepted] is answered with 202 and no body', async () => {
      const { transmitter, push } = await start()
      const { status, headers, body } = await push(transmitter.sessionRevoked(session))
      expect([status, body, headers['content-length'], headers['cache-control']]).toEqual([202, '', '0', 'no-store'])
    })

    test.each([
      ['its session', session],
      ['its subject', user],
      ['itself', jwtId(issuer.issuer, 'token-1')],
      ['its session, as one of several members', complex({ session, user, tenant: opaque('tenant-1') })],
      ['its subject on a device', complex({ user, device: opaque('device-1') })],
      ['its subject by several names', aliases({ format: 'email', email: 'user@example.test' }, user)],
    ])(
      '[RFC8935-2.2-kept-first] [CAEP-3.1-session-revoked] a token that was served is refused on the next request, by %s',
      async (_by, subject) => {
        const { transmitter, push, served, token } = await start()
        const one = token()
        expect([await served(one), await served(one)]).toEqual(['200', '200']) // the second time it is remembered
        expect((await push(transmitter.sessionRevoked(subject))).status).toBe(202)
        expect(await served(one)).toBe('401 token_revoked')
        expect(await served(token({ sid: 'session-2', sub: 'user-2', jti: 'token-2' }))).toBe('200')
      },
    )

    test.each([
      ['revoke', '401 token_revoked'],
      ['update', '401 token_revoked'],
      ['delete', '401 token_revoked'],
      ['create', '200'],
    ])('[CAEP-3.3-change-type] a credential: %s', async (change_type, outcome) => {
      const { transmitter, pushed, served, token } = await start()
      expect(await pushed(transmitter.credentialChange(user, { change_type }))).toBe('202')
      expect(await served(token())).toBe(outcome)
      expect(await served(token({ sub: 'user-2' }))).toBe('200')
    })

    test('[CAEP-2-event-timestamp] ends what was issued until then, and nothing that was issued since', async () => {
      const { transmitter, push, served, token } = await start()
      await push(transmitter.sessionRevoked(user, { event_timestamp: START_SECONDS - 60 }))
      expect(await served(token({ iat: START_SECONDS - 60 }))).toBe('401 token_revoked')
      expect(await served(token({ iat: START_SECONDS - 59 }))).toBe('200')
    })

    test('[RFC8935-2-again] that comes again is taken again, and ends nothing that was issued since', async () => {
      const api = await start()
      const set = api.transmitter.sessionRevoked(user)
      expect(await api.pushed(set)).toBe('202')
      api.nowMilliseconds += 60_000
      expect(await api.pushed(set)).toBe('202')
      expect(await api.served(api.token({ iat: START_SECONDS }))).toBe('401 token_revoked')
      expect(await api.served(api.token({ iat: START_SECONDS + 1 }))).toBe('200')
    })

    test.each([
      'https://events.example.test/coffee',
      'https://schemas.openid.net/secevent/caep/event-type/device-compliance-change',
      `${SSF}verification`,
      `${SSF}stream-updated`,
    ])('[RFC8417-2.2-unknown-events] %s: nothing is done', async (event) => {
      expect(await api.pushed(api.transmitter.set({ [event]: {} }, { claims: { sub_id: user } }))).toBe('202')
      expect(await api.served(api.token())).toBe('200')
    })

    test('[SSF-3.6-best-effort] about somebody who names no token: nothing is ended, and the application is told', async () => {
      const { transmitter, pushed, told } = await start()
      expect(await pushed(transmitter.sessionRevoked({ format: 'email', email: 'user@example.test' }))).toBe('202')
      expect(told).toEqual([{ transmitter: issuer.issuer, event: 'session-revoked', reason: 'subject_not_supported' }])
    })

    test('[SSF-3.6-critical] with a critical member that cannot be processed is discarded', async () => {
      const { transmitter, pushed, served, token, told } = await start({ transmitter: { criticalMembers: ['tenant'] } })
      expect(await pushed(transmitter.sessionRevoked(complex({ user, tenant: opaque('tenant-1') })))).toBe('202')
      expect(await served(token())).toBe('200')
      expect(told).toEqual([{ transmitter: issuer.issuer, event: 'session-revoked', reason: 'critical_member' }])
    })

    test('[SSF-4.2.3-unknown-members] with members that nobody knows', async () => {
      const { transmitter, pushed, served, token } = await start()
      const set = transmitter.sessionRevoked({ ...session, x: 1 }, { x: [] }, { header: { x: 1 }, claims: { x: {} } })
      expect(await pushed(set)).toBe('202')
      expect(await served(token())).toBe('401 token_revoked')
    })
  })

  describe('a push that is refused', () => {
    test('[RFC8935-2.3-failure] says why in JSON and in English, in whatever language it is asked', async () => {
      for (const language of ['de', 'fr;q=1, *;q=0', '*']) {
        const headers = [
          ['Content-Type', SET_CONTENT_TYPE],
          ['Accept', 'application/json'],
          ['Accept-Language', language],
        ] as const
        const answer = await api.push('x', { headers })
        expect(answer.status).toBe(400)
        expect(answer.headers).toMatchObject({
          'content-type': 'application/json',
          'content-language': 'en',
          'cache-control': 'no-store',
          'content-length': String(Buffer.byteLength(answer.body)),
        })
        expect(Object.keys(JSON.parse(answer.body) as object)).toEqual(['err', 'description'])
      }
    })

    test.each(['GET', 'PUT', 'DELETE', 'PATCH'])('[RFC9110-15.5.6-allow] by %s', async (method) => {
      const answer = await api.push(api.transmitter.sessionRevoked(session), { method })
      expect([answer.status, answer.headers['allow'], answer.body]).toEqual([405, 'POST', ''])
      expect(await api.served(api.token())).toBe('200')
    })

    test.each(['application/json', 'application/jwt', 'text/plain', null])(
      '[RFC8935-2.1-content-type] with the content type %j',
      async (type) =>
        refuses('400 invalid_request', api.transmitter.sessionRevoked(session), {
          headers: type === null ? [] : [['Content-Type', type]],
        }),
    )

    test.each(['Application/SECEVENT+jwt', `${SET_CONTENT_TYPE}; charset=utf-8`])(
      '[RFC8935-2.1-content-type] not, where the content type is %s',
      async (type) => {
        const set = api.transmitter.set({ [`${SSF}verification`]: {} })
        expect(await api.pushed(set, { headers: [['Content-Type', type]] })).toBe('202')
      },
    )

    test.each(['', 'x', 'e30.e30.', 'e30.e30.e30.e30.e30', '{"a":1}'])(
      '[RFC8935-2-parse] [RFC8935-2.4-invalid-request] with the body %j',
      async (body) => refuses('400 invalid_request', body),
    )

    test.each([undefined, 'JWT', 'at+jwt', 'logout+jwt'])('[RFC8417-2.3-typ] [SSF-4.1.1-typ] of type %j', async (typ) =>
      refuses('400 invalid_request', api.transmitter.sessionRevoked(session, {}, { header: { typ } })),
    )

    test.each([undefined, 'https://stranger.example.test', `${issuer.issuer}/`])(
      '[RFC8935-2-issuer] [SSF-4.1.6-iss] of issuer %j',
      async (iss) => refuses('400 invalid_issuer', api.transmitter.sessionRevoked(session, {}, { claims: { iss } })),
    )

    test('[RFC8935-2-authentic] [RFC8935-2.4-authentication-failed] [RFC8935-2.4-invalid-key] with a signature of somebody else', async () => {
      const forged = createSigningKey('EdDSA', { kid: api.transmitter.key.kid })
      await refuses('400 authentication_failed', api.transmitter.sessionRevoked(session, {}, { key: forged }))
      await refuses('400 invalid_key', api.transmitter.sessionRevoked(session, {}, { key: createSigningKey('EdDSA') }))
      await refuses('400 invalid_key', api.transmitter.sessionRevoked(session, {}, { key: issuer.key() }))
      await refuses('400 invalid_key', api.transmitter.sessionRevoked(session, {}, { header: { alg: 'none' } }))
    })

    test.each([undefined, 'https://api.example.test', ['https://other.example.test'], []])(
      '[RFC8935-2-audience] for %j',
      async (aud) => refuses('400 invalid_audience', api.transmitter.sessionRevoked(session, {}, { claims: { aud } })),
    )

    test.each<[string, JsonObject | { [name: string]: undefined }]>([
      ['no jti', { jti: undefined }],
      ['no iat', { iat: undefined }],
      ['an iat that is a text', { iat: 'now' }],
      ['an iat ahead', { iat: START_SECONDS + 60 }],
      ['a toe that is a text', { toe: 'now' }],
      ['a txn that is a number', { txn: 1 }],
      ['no events', { events: undefined }],
      ['empty events', { events: {} }],
      ['events that are no objects', { events: { [SESSION_REVOKED]: true } }],
    ])('[RFC8417-2.2-claims] [RFC8417-2.2-iat] [RFC8417-2.2-events] with %s', async (_what, claims) =>
      refuses('400 invalid_request', api.transmitter.sessionRevoked(session, {}, { claims })),
    )

    test.each([{ sub: 'user-1' }, { exp: START_SECONDS + 600 }])(
      '[SSF-4.1.2-sub] [SSF-4.1.7-exp] with %j, as other kinds of tokens have',
      async (claims) => refuses('400 invalid_request', api.transmitter.sessionRevoked(session, {}, { claims })),
    )

    test('[SSF-3.1-sub-id] without a subject, or with two', async () => {
      await refuses('400 invalid_request', api.transmitter.sessionRevoked(undefined))
      await refuses('400 invalid_request', api.transmitter.sessionRevoked(undefined, { subject: session }))
      await refuses('400 invalid_request', api.transmitter.sessionRevoked(session, { subject: user }))
    })

    test('[RFC8935-2-expected] [RFC8935-2.4-access-denied] about a subject of another issuer', async () =>
      refuses('400 access_denied', api.transmitter.sessionRevoked(issSub('https://other.example.test', 'user-1'))))

    test('[RFC8935-3-authorization] [RFC8935-2.4-authentication-failed] without the Authorization that was agreed upon', async () => {
      const { transmitter, push, served, token } = await start({ transmitter: { authorization: 'Bearer secret-1' } })
      const set = transmitter.sessionRevoked(session)
      const withAuthorization = (...values: string[]) =>
        push(set, {
          headers: [['Content-Type', SET_CONTENT_TYPE], ...values.map((value) => ['Authorization', value] as const)],
        })
      for (const values of [[], ['Bearer secret-2'], ['bearer secret-1'], ['Bearer secret-1', 'Bearer secret-1']]) {
        expect(errOf(await withAuthorization(...values))).toBe('400 authentication_failed')
      }
      expect(await served(token())).toBe('200')
      expect((await withAuthorization('Bearer secret-1')).status).toBe(202)
      expect(await served(token())).toBe('401 token_revoked')
    })

    const KINDS: readonly (readonly [string, JsonObject, JsonObject])[] = [
      ['an access token', { typ: 'at+jwt' }, { sub: 'user-1', exp: START_SECONDS + 60, client_id: 'c', scope: 'x' }],
      ['an ID token', { typ: 'JWT' }, { sub: 'user-1', exp: START_SECONDS + 60, nonce: 'n' }],
      ['a logout token', { typ: 'logout+jwt' }, { sub: 'user-1', sid: 'session-1' }],
      ['a logout token that is typed as a SET', {}, { sub: 'user-1', sid: 'session-1' }],
      ['an answer to an introspection', { typ: 'token-introspection+jwt' }, { token_introspection: { active: false } }],
      ['a request object', { typ: 'oauth-authz-req+jwt' }, {}],
      ['a proof of possession', { typ: 'dpop+jwt' }, { htm: 'POST', htu: RECEIVER }],
      ['a status list', { typ: 'statuslist+jwt' }, { status_list: { bits: 1, lst: 'eNrbuRgAAhcBXQ' } }],
      ['a client assertion', { typ: 'client-authentication+jwt' }, { sub: 'client-1', exp: START_SECONDS + 60 }],
    ]

    test.each(KINDS)('[SSF-4.1.1-typ] since it is %s', async (_kind, header, claims) =>
      refuses(
        '400 invalid_request',
        api.transmitter.sessionRevoked(session, {}, { header: { ...header }, claims: { ...claims } }),
      ),
    )

    test('a SET is no access token', async () => {
      const { key } = api.transmitter
      const both = await start({ issuer: { jwks: { keys: [key.jwk] } } })
      expect(await both.served(api.transmitter.sessionRevoked(session))).toBe('401 token_type_refused')
    })
  })

  describe('trouble of ours', () => {
    test('[RFC8935-2.2-kept-first] a set that is full: the transmitter comes again', async () => {
      const full = memoryRevocations({ maxEntries: 1, now: () => START_SECONDS * 1000 })
      const { transmitter, push, served, token, told } = await start({ revocations: full })
      await push(transmitter.sessionRevoked(opaque('session-2')))
      const { status, headers, body } = await push(transmitter.sessionRevoked(session))
      expect([status, headers['retry-after'], headers['cache-control'], body]).toEqual([503, '5', 'no-store', ''])
      expect(await served(token())).toBe('200')
      expect(told).toEqual([{ transmitter: issuer.issuer, event: 'session-revoked', reason: 'not_kept' }])
    })

    test('[RFC8935-2.2-kept-first] a set that cannot be reached: the same', async () => {
      const { add: _add, ...rest } = { ...memoryRevocations(), find: () => undefined, wholeAt: (now: number) => now, version: 0 }
      const away = { ...rest, add: () => Promise.reject(new RevocationError('unavailable')) }
      const { transmitter, pushed } = await start({ revocations: away })
      expect(await pushed(transmitter.sessionRevoked(session))).toBe('503')
    })

    test('[RFC8935-2.3-general] keys that cannot be fetched: the same', async () => {
      const elsewhere = await createTestIssuer({ algorithms: ['EdDSA'] })
      closing.push(elsewhere)
      elsewhere.fail()
      const own = await start({
        server: {
          securityEvents: {
            transmitters: [{ issuer: elsewhere.issuer, audience: RECEIVER, jwksUri: elsewhere.jwksUri, about: issuer.issuer }],
          },
        },
      })
      const header = { alg: 'EdDSA', kid: elsewhere.key().kid, typ: 'secevent+jwt' }
      const claims = {
        iss: elsewhere.issuer,
        aud: RECEIVER,
        iat: START_SECONDS,
        jti: 'j',
        sub_id: user,
        events: { [SESSION_REVOKED]: {} },
      }
      const set = signCompact(header, JSON.stringify(claims), elsewhere.key())
      const { status, headers } = await own.push(set)
      expect([status, Number(headers['retry-after']) >= 1]).toEqual([503, true])
      elsewhere.recover()
      own.nowMilliseconds += 120_000
      expect(await own.pushed(set)).toBe('202')
      expect(await own.served(own.token())).toBe('401 token_revoked')
    })

    test('an event by which nothing is asked is a mistake of the application: 500', async () => {
      const revocation = {
        maxTokenLifetimeSeconds: 3600,
        checks: [{ by: 'subject' as const, issuer: issuer.issuer, from: memoryRevocations() }],
      }
      const own = await start({ server: { revocation } })
      expect((await own.push(own.transmitter.sessionRevoked(session))).status).toBe(500)
      expect(own.running.app.errors).toHaveLength(1)
      expect(own.running.app.errors[0]).toBeInstanceOf(ConfigError)
    })
  })

  describe('the body', () => {
    const HEAD = `POST /security-events HTTP/1.1\r\nHost: x\r\nContent-Type: ${SET_CONTENT_TYPE}\r\n`

    test('that says that it is too long is not read: 413, and the connection ends', async () => {
      const answer = parseAnswer(await askRaw(api.running.port, `${HEAD}Content-Length: 65537\r\n\r\n`))
      expect([answer.status, answer.headers['connection'], answer.body]).toEqual([413, 'close', ''])
    })

    test('that turns out too long: 413, and the connection ends', async () => {
      const chunk = `10001\r\n${'x'.repeat(0x10001)}\r\n`
      const answer = parseAnswer(await askRaw(api.running.port, `${HEAD}Transfer-Encoding: chunked\r\n\r\n${chunk}`))
      expect([answer.status, answer.headers['connection'], answer.body]).toEqual([413, 'close', ''])
    })

    test('may come in pieces', async () => {
      const { transmitter, served, token, running } = await start()
      const set = transmitter.sessionRevoked(session)
      const pieces = [set.slice(0, 10), set.slice(10)].map((piece) => `${piece.length.toString(16)}\r\n${piece}\r\n`).join('')
      const raw = await askRaw(running.port, `${HEAD}Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n${pieces}0\r\n\r\n`)
      expect(raw).toMatch(/^HTTP\/1\.1 202 /)
      expect(await served(token())).toBe('401 token_revoked')
    })

    test.each(['destroy', 'resetAndDestroy'] as const)('of a transmitter that goes away (%s) harms nobody', async (end) => {
      const requests: IncomingMessage[] = []
      const own = await start({ before: (app) => app.use(framework.step(({ request }) => void requests.push(request))) })
      const socket = connect(own.running.port, '127.0.0.1')
      socket.on('error', () => {})
      await once(socket, 'connect')
      const arrived = once(own.running.server, 'request')
      socket.write(`${HEAD}Content-Length: 500\r\n\r\nabc`)
      await arrived
      const [request] = requests
      const gone = new Promise((resolve) => request?.once('close', resolve))
      socket[end]()
      await gone
      expect(ourErrors(own)).toEqual([])
      expect(await own.pushed(own.transmitter.sessionRevoked(session))).toBe('202')
    })

    test('of a transmitter that goes away before the event is kept: it is kept all the same', async () => {
      const kept = memoryRevocations({ now: () => START_SECONDS * 1000 })
      let keeping = () => {}
      let keep = () => {}
      const begun = new Promise<void>((resolve) => {
        keeping = resolve
      })
      const gone = new Promise<void>((resolve) => {
        keep = resolve
      })
      const slow = Object.assign(Object.create(kept) as typeof kept, {
        async add(entry: Parameters<typeof kept.add>[0]) {
          keeping()
          await gone
          kept.add(entry)
        },
      })
      Object.defineProperties(slow, { find: { value: kept.find.bind(kept) }, version: { get: () => kept.version } })
      const own = await start({ revocations: slow })
      const set = own.transmitter.sessionRevoked(session)
      const socket = connect(own.running.port, '127.0.0.1')
      socket.on('error', () => {})
      socket.write(`${HEAD}Content-Length: ${set.length}\r\n\r\n${set}`)
      await begun
      socket.destroy()
      await once(socket, 'close')
      keep()
      await new Promise(setImmediate)
      expect(await own.served(own.token())).toBe('401 token_revoked')
      expect(ourErrors(own)).toEqual([])
    })
  })

  describe('beside body parsers', () => {
    /** Reads the body, and leaves something of it where parsers of this framework leave it. */
    const parser = (leave: (body: Buffer) => unknown): object => {
      const read = async (request: IncomingMessage) => {
        const chunks: Buffer[] = []
        for await (const chunk of request) chunks.push(chunk as Buffer)
        return leave(Buffer.concat(chunks))
      }
      if (framework.family === 'koa') {
        return async (context: Koa3.Context, next: Koa3.Next) => {
          Object.assign(context.request, { body: await read(context.req) })
          await next()
        }
      }
      return (request: express.Request, _response: express.Response, next: express.NextFunction) => {
        read(request).then((body) => {
          request.body = body
          next()
        }, next)
      }
    }

    test.each<[string, (body: Buffer) => unknown]>([
      ['bytes', (body) => body],
      ['a text', (body) => body.toString()],
    ])('that leave %s', async (_what, leave) => {
      const own = await start({ before: (app) => app.use(parser(leave)) })
      expect(await own.pushed(own.transmitter.sessionRevoked(session))).toBe('202')
      expect(await own.served(own.token())).toBe('401 token_revoked')
      expect(await own.pushed('x'.repeat(65_537))).toBe('413')
    })

    const OF_EXPRESS: readonly (readonly [string, object])[] = [
      ['express.json()', express.json()],
      ['express.raw()', express.raw({ type: SET_CONTENT_TYPE })],
      ['express.text()', express.text({ type: SET_CONTENT_TYPE })],
    ]
    test.each(framework.family === 'express' ? OF_EXPRESS : [])('of Express: %s', async (_what, layer) => {
      const own = await start({ before: (app) => app.use(layer) })
      expect(await own.pushed(own.transmitter.sessionRevoked(session))).toBe('202')
      expect(await own.served(own.token())).toBe('401 token_revoked')
    })

    test('that leave neither: 500, and the error names the mend', async () => {
      const own = await start({ before: (app) => app.use(parser(() => ({ parsed: true }))) })
      expect((await own.push(own.transmitter.sessionRevoked(session))).status).toBe(500)
      expect(inspect(own.running.app.errors)).toMatch(/ConfigError: .*put securityEvents\(\) before body parsers/)
      // A stranger who pushes something else is told so, and nobody else.
      expect(await own.pushed('{}', { headers: [['Content-Type', 'application/json']] })).toBe('400 invalid_request')
      expect(own.running.app.errors).toHaveLength(1)
    })
  })

  test('[BEHALF-event-secrecy] nothing of a SET comes back', async () => {
    const own = await start()
    const word = 'cnry'
    const claims = { jti: word, txn: word }
    const answers = [
      await own.push(own.transmitter.sessionRevoked({ format: word, id: word }, {}, { claims })),
      await own.push(own.transmitter.sessionRevoked(issSub(word, word), {}, { claims })),
      await own.push(own.transmitter.sessionRevoked(opaque(`${word}\n`), {}, { claims })),
      await own.push(own.transmitter.sessionRevoked(session, {}, { claims: { iss: word } })),
      await own.push(own.transmitter.sessionRevoked(session, {}, { claims: { aud: word } })),
      await own.push(own.transmitter.sessionRevoked(session, {}, { header: { kid: word } })),
      await own.push(own.transmitter.sessionRevoked(session, {}, { header: { alg: word, typ: word } })),
      await own.push(own.transmitter.set({ [CREDENTIAL_CHANGE]: { change_type: [word] } }, { claims })),
      await own.push(word),
    ]
    expect(answers.map(({ status }) => status)).not.toContain(500)
    expect(inspect([answers, own.told, own.running.app.errors], { depth: 9 })).not.toContain(word)
  })

  test('without the option there is nobody to receive', () => {
    const plain = framework.resourceServer({ issuers: [issuer.options({ jwks: issuer.jwks() })] })
    expect(() => plain.securityEvents()).toThrow(ConfigError)
    expect(() => plain.securityEvents()).toThrow(/needs the option securityEvents/)
  })
})

test.each<[string, (options: Parameters<typeof createResourceServer>[0]) => Parameters<typeof connectHttp2>[0]]>([
  [
    "Express's middleware on a bare server",
    (options) => {
      const receive = expressServer(options).securityEvents()
      return (request, response) => receive(request, response, () => response.end('next'))
    },
  ],
  [
    'Koa 3',
    (options) => {
      const app = new Koa3()
      app.use(koaServer(options).securityEvents())
      return app.callback() as Parameters<typeof connectHttp2>[0]
    },
  ],
])('[RFC8935-2.2-accepted] over HTTP/2: %s', async (_name, listener) => {
  let options: Parameters<typeof createResourceServer>[0] | undefined
  const [framework] = FRAMEWORKS
  if (framework === undefined) throw new Error('there are frameworks')
  const keep: Framework['resourceServer'] = (given) => {
    options = given
    return framework.resourceServer(given)
  }
  const own = await startSecurityEventApi({ ...framework, resourceServer: keep }, issuer)
  closing.push(own)
  if (options === undefined) throw new Error('the API has options')
  const connection = await connectHttp2(listener(options))
  closing.push(connection)
  const push = async (body: string, more: Record<string, string> = {}) => {
    const stream = connection.begin({ ':method': 'POST', 'content-type': SET_CONTENT_TYPE, ...more })
    const chunks: Buffer[] = []
    stream.on('data', (chunk: Buffer) => chunks.push(chunk))
    const answered = once(stream, 'response')
    const ended = new Promise((resolve) => stream.once('end', resolve))
    stream.end(body)
    const [headers] = (await answered) as [Record<string, unknown>]
    await ended
    return [headers[':status'], Buffer.concat(chunks).toString()]
  }
  expect(await push(own.transmitter.sessionRevoked(session))).toEqual([202, ''])
  expect(await own.served(own.token())).toBe('401 token_revoked')
  expect((await push('x'))[0]).toBe(400)
  expect(await push('x'.repeat(65_537))).toEqual([413, ''])
})
