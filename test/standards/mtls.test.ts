/** Tokens that are bound to client certificates (RFC 8705 3), over real TLS connections and behind proxies that end TLS. */
import { createServer, get } from 'node:http'
import type { AddressInfo } from 'node:net'
import { networkInterfaces } from 'node:os'
import type { ResourceServerOptions } from '@behalf/core'
import { resourceServer as koaServer } from '@behalf/koa'
import { createDpopClient, createTestIssuer, memorySink, type TokenOverrides } from '@behalf/testing'
import Koa from 'koa'
import { afterAll, afterEach, describe, expect, test } from 'vitest'
import { PROXY_HEADERS } from '../support/certificate-headers.js'
import {
  type Certificate,
  derOf,
  FIRST_CLIENT,
  RSA_CLIENT,
  SECOND_CLIENT,
  SELF_SIGNED_CLIENT,
  thumbprintOf,
} from '../support/certificates.js'
import { deferred } from '../support/deferred.js'
import { ask } from '../support/http.js'
import { contextIn, outcomeOf } from '../support/request.js'
import { FRAMEWORKS, startApi } from '../support/servers.js'
import { TLS_DOORS, type TlsClient, type TlsClientOptions, type TlsDoor, type TlsServerOptions } from '../support/tls.js'

const issuer = await createTestIssuer({ algorithms: ['EdDSA'] })
afterAll(() => issuer.close())

const closing: { close(): unknown }[] = []
afterEach(async () => {
  for (const each of closing.splice(0).reverse()) await each.close()
})

function closedLater<T extends { close(): unknown }>(each: T): T {
  closing.push(each)
  return each
}

type Mode = 'off' | 'allow' | 'require'

const trusting = (mtls: Mode, dpop: Mode = 'off') => issuer.options({ jwks: issuer.jwks(), mtls, dpop })

const allowing: ResourceServerOptions = { issuers: [trusting('allow')] }

type Confirmation = NonNullable<TokenOverrides['claims']>[string]

/** Fields of a request with a token that is bound as it is said. */
const withToken = (cnf: Confirmation) => ({ authorization: `Bearer ${issuer.token({ claims: { cnf } })}` })

const boundTo = (certificate: Certificate) => withToken({ 'x5t#S256': thumbprintOf(certificate) })

describe.each(TLS_DOORS)('$name', ({ open }) => {
  const start = async (options: ResourceServerOptions, tls?: TlsServerOptions): Promise<TlsDoor> =>
    closedLater(await open(options, tls))
  const connect = async (door: TlsDoor, certificate: Certificate | null, options?: TlsClientOptions): Promise<TlsClient> =>
    closedLater(await door.connect(certificate, options))

  test('[RFC8705-3-match] takes a token with the certificate that it is bound to, whoever vouches for that', async () => {
    const door = await start(allowing)
    for (const client of [FIRST_CLIENT, SECOND_CLIENT, RSA_CLIENT, SELF_SIGNED_CLIENT]) {
      expect(contextIn(await door.ask(client, boundTo(client))).subject.id).toBe('user-1')
    }
    expect(door.ran).toBe(4)
  })

  test('[RFC8705-3-mismatch-401] answers 401 invalid_token to another certificate, and to none', async () => {
    const door = await start(allowing)
    for (const client of [SECOND_CLIENT, RSA_CLIENT, SELF_SIGNED_CLIENT, null]) {
      const answer = await door.ask(client, boundTo(FIRST_CLIENT))
      expect(outcomeOf(answer)).toBe('401 sender_mismatch')
      expect(answer.headers['www-authenticate']).toMatch(/^Bearer error="invalid_token", /)
    }
    expect(door.ran).toBe(0)
  })

  test('[RFC8705-3-match] where TLS itself asks for an authority, it stands before that', async () => {
    const door = await start(allowing, { rejectUnauthorized: true })
    expect(outcomeOf(await door.ask(FIRST_CLIENT, boundTo(FIRST_CLIENT)))).toBe('200')
    expect(outcomeOf(await door.ask(SECOND_CLIENT, boundTo(FIRST_CLIENT)))).toBe('401 sender_mismatch')
    await expect(door.ask(SELF_SIGNED_CLIENT, boundTo(SELF_SIGNED_CLIENT))).rejects.toThrow()
    await expect(door.ask(null, boundTo(FIRST_CLIENT))).rejects.toThrow()
    expect(door.ran).toBe(1)
  })

  test('[BEHALF-certificate-leaves] a client that leaves while its token waits for keys is not taken for somebody else', async () => {
    const [fetching, answer] = [deferred(), deferred()]
    const sink = memorySink()
    const door = await start({
      issuers: [issuer.options({ mtls: 'require', jwksUri: issuer.jwksUri })],
      audit: { sinks: [sink], record: 'always' },
      fetch: async () => {
        fetching.resolve()
        await answer.promise
        return Response.json(issuer.jwks())
      },
    })
    const client = await connect(door, FIRST_CLIENT)
    const asked = client.ask(boundTo(FIRST_CLIENT)).catch(() => 'left')
    await fetching.promise
    client.close()
    expect(await asked).toBe('left')
    while (door.connections > 0) await new Promise((resolve) => setImmediate(resolve))
    answer.resolve()
    while (sink.events.length < 2) await new Promise((resolve) => setImmediate(resolve))
    expect(sink.events.map(({ decision, reason, result }) => [decision, reason, result])).toEqual([
      ['allow', null, null],
      ['allow', null, 'not_run'],
    ])
    expect(door.ran).toBe(0)
  })

  test('[RFC8705-3-per-request] asks on each request of a connection, and remembers nothing of another one', async () => {
    const door = await start(allowing)
    const first = await connect(door, FIRST_CLIENT)
    const second = await connect(door, SECOND_CLIENT)
    const [ofFirst, ofSecond] = [boundTo(FIRST_CLIENT), boundTo(SECOND_CLIENT)]
    for (let round = 0; round < 3; round++) {
      expect(outcomeOf(await first.ask(ofFirst))).toBe('200')
      expect(outcomeOf(await first.ask(ofSecond))).toBe('401 sender_mismatch')
      expect(outcomeOf(await second.ask(ofFirst))).toBe('401 sender_mismatch')
      expect(outcomeOf(await second.ask(ofSecond))).toBe('200')
      expect(outcomeOf(await first.ask(withToken(undefined)))).toBe('200')
    }
  })

  test.each(['TLSv1.2', 'TLSv1.3'] as const)(
    '[RFC8705-3-resumption] a resumed session of %s is bound as before',
    async (version) => {
      const door = await start(allowing)
      const before = await connect(door, FIRST_CLIENT, { version })
      expect(outcomeOf(await before.ask(boundTo(FIRST_CLIENT)))).toBe('200')
      const session = await before.session
      const after = await connect(door, FIRST_CLIENT, { version, session })
      expect([after.resumed, after.version]).toEqual([true, version])
      expect(outcomeOf(await after.ask(boundTo(FIRST_CLIENT)))).toBe('200')
      expect(outcomeOf(await after.ask(boundTo(SECOND_CLIENT)))).toBe('401 sender_mismatch')
      // A session speaks for the certificate that it began with, whatever its client has at hand now.
      const other = await connect(door, SECOND_CLIENT, { version, session })
      expect(other.resumed).toBe(true)
      expect(outcomeOf(await other.ask(boundTo(SECOND_CLIENT)))).toBe('401 sender_mismatch')
      expect(outcomeOf(await other.ask(boundTo(FIRST_CLIENT)))).toBe('200')
    },
  )

  test.each(['TLSv1.2', 'TLSv1.3'] as const)(
    '[RFC8705-3-resumption] without a certificate %s resumes nobody',
    async (version) => {
      const door = await start(allowing)
      const before = await connect(door, null, { version })
      expect(outcomeOf(await before.ask(withToken(undefined)))).toBe('200')
      const after = await connect(door, null, { version, session: await before.session })
      expect(after.resumed).toBe(true)
      expect(outcomeOf(await after.ask(boundTo(FIRST_CLIENT)))).toBe('401 sender_mismatch')
    },
  )

  test.each<[Mode, ...string[]]>([
    ['off', '200', '401 binding_unsupported', '401 binding_unsupported', '401 binding_unsupported'],
    ['allow', '200', '200', '401 sender_mismatch', '401 sender_mismatch'],
    ['require', '401 binding_required', '200', '401 sender_mismatch', '401 sender_mismatch'],
  ])('[BEHALF-certificate-modes] mtls: %s', async (mode, unbound, own, anothers, nobodys) => {
    const door = await start({ issuers: [trusting(mode)] })
    const client = await connect(door, FIRST_CLIENT)
    expect(outcomeOf(await client.ask(withToken(undefined)))).toBe(unbound)
    expect(outcomeOf(await client.ask(boundTo(FIRST_CLIENT)))).toBe(own)
    expect(outcomeOf(await client.ask(boundTo(SECOND_CLIENT)))).toBe(anothers)
    expect(outcomeOf(await door.ask(null, boundTo(FIRST_CLIENT)))).toBe(nobodys)
  })

  test('[BEHALF-certificate-modes] what one issuer may do, another one may not', async () => {
    const other = closedLater(await createTestIssuer({ algorithms: ['EdDSA'] }))
    const door = await start({ issuers: [trusting('require'), other.options({ jwks: other.jwks() })] })
    const client = await connect(door, FIRST_CLIENT)
    const cnf = { 'x5t#S256': thumbprintOf(FIRST_CLIENT) }
    const ofOther = (claims = {}) => ({ authorization: `Bearer ${other.token({ claims })}` })
    expect(outcomeOf(await client.ask(withToken(cnf)))).toBe('200')
    expect(outcomeOf(await client.ask(withToken(undefined)))).toBe('401 binding_required')
    expect(outcomeOf(await client.ask(ofOther({ cnf })))).toBe('401 binding_unsupported')
    expect(outcomeOf(await client.ask(ofOther()))).toBe('200')
  })

  test('[RFC8705-3.1-x5t] reads nothing else than x5t#S256: what it does not know, it refuses', async () => {
    const door = await start(allowing)
    const client = await connect(door, FIRST_CLIENT)
    const x5t = thumbprintOf(FIRST_CLIENT)
    const hex = Buffer.from(x5t, 'base64url').toString('hex')
    const others: Confirmation[] = [
      ...[null, '', x5t, [], {}, [{ 'x5t#S256': x5t }], true, 0],
      ...[null, '', 0, true, [x5t], { x5t }, `${x5t}=`, ` ${x5t}`, x5t.slice(1), hex, `${x5t.slice(0, -1)}B`].map((value) => ({
        'x5t#S256': value,
      })),
      ...['x5t', 'x5t#s256', 'X5T#S256', 'x5t#S512', 'kid', 'jwk', 'jku', 'jwe'].map((name) => ({ [name]: x5t })),
      { 'x5t#S256': x5t, kid: 'k' },
      { 'x5t#S256': x5t, x5t },
      { 'x5t#S256': x5t, jkt: null },
    ]
    for (const cnf of others) {
      expect(outcomeOf(await client.ask(withToken(cnf))), JSON.stringify(cnf)).toBe('401 binding_unsupported')
    }
    expect(outcomeOf(await client.ask(withToken({ 'x5t#S256': x5t })))).toBe('200')
  })

  test.each<[string, Partial<ResourceServerOptions>]>([
    ['nothing is said', {}],
    ['nothing is said of it', { mtls: {} }],
    ['the connection is named', { mtls: { certificate: 'connection' } }],
  ])('[BEHALF-certificate-source] where %s, no header says anything about a certificate', async (_what, options) => {
    const door = await start({ ...allowing, ...options, trustedProxies: ['127.0.0.1'] })
    const client = await connect(door, SECOND_CLIENT)
    for (const { header, write } of PROXY_HEADERS) {
      const headers = { ...boundTo(FIRST_CLIENT), [header]: write(FIRST_CLIENT) }
      expect(outcomeOf(await client.ask(headers)), header).toBe('401 sender_mismatch')
    }
    expect(outcomeOf(await client.ask({ ...boundTo(SECOND_CLIENT), 'client-cert': 'garbage' }))).toBe('200')
  })

  test('[BEHALF-certificate-source] where a header is named, the connection says nothing: its certificate is the proxy’s', async () => {
    const mtls = { certificate: { header: 'Client-Cert', form: 'rfc9440' } } as const
    const door = await start({ ...allowing, mtls, trustedProxies: ['127.0.0.0/8'] })
    const proxy = await connect(door, SECOND_CLIENT)
    const forwarded = { 'client-cert': `:${derOf(FIRST_CLIENT).toString('base64')}:` }
    expect(outcomeOf(await proxy.ask(boundTo(SECOND_CLIENT)))).toBe('401 sender_mismatch')
    expect(outcomeOf(await proxy.ask({ ...boundTo(SECOND_CLIENT), ...forwarded }))).toBe('401 sender_mismatch')
    expect(outcomeOf(await proxy.ask({ ...boundTo(FIRST_CLIENT), ...forwarded }))).toBe('200')
  })

  test('[BEHALF-certificate-peer] a peer with a certificate of its own is no trusted proxy yet', async () => {
    const mtls = { certificate: { header: 'Client-Cert', form: 'rfc9440' } } as const
    const door = await start({ ...allowing, mtls, trustedProxies: ['10.0.0.0/8'] })
    const forwarded = { 'client-cert': `:${derOf(FIRST_CLIENT).toString('base64')}:`, 'x-forwarded-for': '10.0.0.1' }
    expect(outcomeOf(await door.ask(FIRST_CLIENT, { ...boundTo(FIRST_CLIENT), ...forwarded }))).toBe('401 sender_mismatch')
  })

  describe('a token that is bound to a key too', () => {
    const ORIGIN = 'https://api.example.test'
    const client = createDpopClient()
    const bothOptions = (mtls: Mode, dpop: Mode): ResourceServerOptions => ({
      issuers: [trusting(mtls, dpop)],
      publicOrigins: ORIGIN,
      dpop: { replay: 'single-process' },
    })
    const cnf = { jkt: client.jkt, 'x5t#S256': thumbprintOf(FIRST_CLIENT) }

    test.each<[Mode, Mode]>([
      ['allow', 'allow'],
      ['require', 'require'],
    ])(
      '[BEHALF-certificate-and-key] needs both of them (mtls: %s, dpop: %s), and uses no proof up where the certificate does not fit',
      async (mtls, dpop) => {
        const door = await start(bothOptions(mtls, dpop))
        const first = await connect(door, FIRST_CLIENT)
        const second = await connect(door, SECOND_CLIENT)
        const none = await connect(door, null)
        const token = issuer.token({ claims: { cnf } })
        const proved = client.headers('GET', `${ORIGIN}/`, token)
        expect(outcomeOf(await second.ask(proved))).toBe('401 sender_mismatch')
        expect(outcomeOf(await none.ask(proved))).toBe('401 sender_mismatch')
        expect(outcomeOf(await first.ask(proved))).toBe('200')
        expect(outcomeOf(await first.ask(proved))).toBe('401 proof_replayed')
        expect(outcomeOf(await second.ask(proved))).toBe('401 sender_mismatch')
        expect(outcomeOf(await first.ask({ authorization: `DPoP ${token}` }))).toBe('401 proof_missing')
        expect(outcomeOf(await first.ask({ authorization: `Bearer ${token}` }))).toBe('401 sender_mismatch')
        const stranger = createDpopClient().headers('GET', `${ORIGIN}/`, token)
        expect(outcomeOf(await first.ask(stranger))).toBe('401 sender_mismatch')
      },
    )

    test.each<[Mode, Mode, string, string]>([
      ['require', 'allow', '401 binding_required', '200'],
      ['allow', 'require', '200', '401 binding_required'],
      ['off', 'allow', '200', '401 binding_unsupported'],
      ['allow', 'off', '401 binding_unsupported', '200'],
    ])('[BEHALF-certificate-modes] mtls: %s, dpop: %s', async (mtls, dpop, keyOnly, certificateOnly) => {
      const options = bothOptions(mtls, dpop)
      const { dpop: _dpop, ...withoutDpop } = options
      const door = await start(dpop === 'off' ? withoutDpop : options)
      const first = await connect(door, FIRST_CLIENT)
      const boundToKey = issuer.token({ claims: { cnf: { jkt: client.jkt } } })
      expect(outcomeOf(await first.ask(client.headers('GET', `${ORIGIN}/`, boundToKey)))).toBe(keyOnly)
      expect(outcomeOf(await first.ask(boundTo(FIRST_CLIENT)))).toBe(certificateOnly)
      const toBoth = client.headers('GET', `${ORIGIN}/`, issuer.token({ claims: { cnf } }))
      expect(outcomeOf(await first.ask(toBoth))).toBe(mtls === 'off' || dpop === 'off' ? '401 binding_unsupported' : '200')
    })

    test('a certificate is nothing to the scheme DPoP', async () => {
      const door = await start(bothOptions('allow', 'allow'))
      const first = await connect(door, FIRST_CLIENT)
      const token = issuer.token({ claims: { cnf: { 'x5t#S256': thumbprintOf(FIRST_CLIENT) } } })
      expect(outcomeOf(await first.ask(client.headers('GET', `${ORIGIN}/`, token)))).toBe('401 sender_mismatch')
    })
  })
})

describe.each(FRAMEWORKS)('$name, without TLS of its own', (framework) => {
  type Lines = readonly (readonly [name: string, value: string])[]

  /** An API behind an application that believes whatever proxies say; asked from 127.0.0.1. */
  async function start(options: Partial<ResourceServerOptions>) {
    const running = await startApi(framework, { ...allowing, ...options }, (app, api, { handler }) => {
      app.trustProxy().use(api.authenticate())
      app.route(
        'GET',
        '/',
        handler((call) => call.json(api.contextOf(call.request))),
      )
    })
    const { port } = closedLater(running)
    return async (token: ReturnType<typeof withToken>, lines: Lines = []) => {
      const { status, body } = await ask(port, { headers: [['Authorization', token.authorization], ...lines] })
      return status === 200 ? '200' : `${status} ${(JSON.parse(body) as { code: string }).code}`
    }
  }

  const BOUND = boundTo(FIRST_CLIENT)
  const rfc9440 = (...certificates: Certificate[]): Lines =>
    certificates.map((certificate) => ['Client-Cert', `:${derOf(certificate).toString('base64')}:`])
  const CLIENT_CERT = { mtls: { certificate: { header: 'Client-Cert', form: 'rfc9440' } } } as const

  test('[RFC8705-3-mismatch-401] a connection without TLS has no certificate', async () => {
    const outcome = await start({})
    expect(await outcome(BOUND)).toBe('401 sender_mismatch')
    expect(await outcome(BOUND, rfc9440(FIRST_CLIENT))).toBe('401 sender_mismatch')
    expect(await outcome(withToken(undefined))).toBe('200')
  })

  test.each(PROXY_HEADERS)('[BEHALF-certificate-forms] reads what is written by $proxy', async ({ header, form, write }) => {
    const outcome = await start({ mtls: { certificate: { header, form } }, trustedProxies: ['127.0.0.1'] })
    for (const client of [FIRST_CLIENT, RSA_CLIENT]) {
      const line = [header, write(client)] as const
      expect(await outcome(boundTo(client), [line])).toBe('200')
      expect(await outcome(boundTo(SECOND_CLIENT), [line])).toBe('401 sender_mismatch')
      expect(await outcome(boundTo(client), [line, line])).toBe('401 sender_mismatch')
      expect(await outcome(boundTo(client), [[header, write(SECOND_CLIENT)], line])).toBe('401 sender_mismatch')
    }
    for (const value of ['', '(null)', '-', 'NONE', 'null']) {
      expect(await outcome(BOUND, [[header, value]])).toBe('401 sender_mismatch')
    }
    expect(await outcome(BOUND)).toBe('401 sender_mismatch')
  })

  test.each([
    [['127.0.0.1'], '200'],
    [['127.0.0.0/8'], '200'],
    [['10.0.0.0/8', '127.0.0.1/32'], '200'],
    [['::ffff:127.0.0.1'], '200'],
    [['127.0.0.2'], '401 sender_mismatch'],
    [['126.0.0.0/8'], '401 sender_mismatch'],
    [['10.0.0.0/8', '::1', 'fd00::/8'], '401 sender_mismatch'],
  ])(
    '[BEHALF-certificate-peer] of the proxies %j the peer 127.0.0.1 gets %s, whatever it says about itself',
    async (trustedProxies, expected) => {
      const outcome = await start({ ...CLIENT_CERT, trustedProxies })
      const certificate = rfc9440(FIRST_CLIENT)
      expect(await outcome(BOUND, certificate)).toBe(expected)
      const claims: Lines = [
        ['X-Forwarded-For', '10.0.0.1'],
        ['X-Forwarded-For', '127.0.0.2, 126.0.0.1'],
        ['X-Real-IP', '10.0.0.1'],
        ['Forwarded', 'for="[::1]"'],
        ['X-Forwarded-Proto', 'https'],
        ['X-Client-Verify', 'SUCCESS'],
      ]
      for (const claim of claims) expect(await outcome(BOUND, [...certificate, claim]), claim.join(': ')).toBe(expected)
      expect(await outcome(BOUND, [...certificate, ...claims])).toBe(expected)
    },
  )

  test('[BEHALF-certificate-forms] another field says nothing, whatever it is called', async () => {
    const outcome = await start({ ...CLIENT_CERT, trustedProxies: ['127.0.0.1'] })
    expect(await outcome(BOUND, [['client-CERT', `:${derOf(FIRST_CLIENT).toString('base64')}:`]])).toBe('200')
    for (const name of ['X-Client-Cert', 'Client_Cert', 'Client-Cert-Chain', 'X-Forwarded-Client-Cert', 'Client.Cert']) {
      expect(await outcome(BOUND, [[name, `:${derOf(FIRST_CLIENT).toString('base64')}:`]]), name).toBe('401 sender_mismatch')
    }
  })

  test.each([
    [
      'behind the real one',
      (own: string, added: string): Lines => [
        ['Client-Cert', added],
        ['Client-Cert', own],
      ],
    ],
    [
      'as a parameter',
      (own: string, added: string): Lines => [
        ['Client-Cert', `${added};a`],
        ['Client-Cert', own],
      ],
    ],
    [
      'as a parameter with a value',
      (own: string, added: string): Lines => [
        ['Client-Cert', `${added};a=1`],
        ['Client-Cert', own],
      ],
    ],
    [
      'as a string that is open',
      (own: string, added: string): Lines => [
        ['Client-Cert', `${added};a="`],
        ['Client-Cert', own],
      ],
    ],
  ])(
    '[RFC9440-2.2-client-cert] a line of the client’s own, which its proxy has not removed, hides nothing: %s',
    async (_how, lines) => {
      const outcome = await start({ ...CLIENT_CERT, trustedProxies: ['127.0.0.1'] })
      const [own = '', stolen = ''] = [SECOND_CLIENT, FIRST_CLIENT].map((each) => `:${derOf(each).toString('base64')}:`)
      expect(await outcome(BOUND, lines(own, stolen))).toBe('401 sender_mismatch')
      expect(await outcome(BOUND, lines(stolen, own))).toBe('401 sender_mismatch')
    },
  )

  test('a refusal of a delegated call is recorded, without the certificate', async () => {
    const sink = memorySink()
    const outcome = await start({ ...CLIENT_CERT, trustedProxies: ['127.0.0.1'], audit: { sinks: [sink] } })
    const claims = { act: { sub: 'agent-1' }, cnf: { 'x5t#S256': thumbprintOf(FIRST_CLIENT) } }
    const token = { authorization: `Bearer ${issuer.token({ claims })}` }
    expect(await outcome(token, rfc9440(SECOND_CLIENT))).toBe('401 sender_mismatch')
    expect(sink.events).toMatchObject([{ type: 'access.decision', stage: 'bind', decision: 'refuse', reason: 'sender_mismatch' }])
    const text = JSON.stringify(sink.events)
    for (const each of [FIRST_CLIENT, SECOND_CLIENT]) {
      expect(text).not.toContain(thumbprintOf(each))
      expect(text).not.toContain(derOf(each).toString('base64').slice(0, 40))
    }
  })

  test('verify() has no connection to look at: a bound token is refused', async () => {
    const api = closedLater(framework.resourceServer(allowing))
    await expect(api.verify(issuer.token())).resolves.toMatchObject({ subject: { id: 'user-1' } })
    const bound = issuer.token({ claims: { cnf: { 'x5t#S256': thumbprintOf(FIRST_CLIENT) } } })
    await expect(api.verify(bound)).rejects.toMatchObject({ code: 'binding_unsupported' })
  })
})

const HAS_IPV6 = Object.values(networkInterfaces()).some((each) => each?.some(({ address }) => address === '::1'))

describe.skipIf(!HAS_IPV6)('a server on all addresses of this machine', () => {
  test.each([
    ['127.0.0.1', ['127.0.0.1'], 200],
    ['127.0.0.1', ['127.0.0.0/8'], 200],
    ['127.0.0.1', ['::ffff:127.0.0.1'], 200],
    ['127.0.0.1', ['::1', '10.0.0.0/8'], 401],
    ['::1', ['::1'], 200],
    ['::1', ['::/127', '127.0.0.0/8'], 200],
    ['::1', ['127.0.0.0/8', 'fd00::/8'], 401],
  ])('who comes from %s is one of the proxies %j: %i', async (host, trustedProxies, expected) => {
    const api = closedLater(
      koaServer({ ...allowing, mtls: { certificate: { header: 'Client-Cert', form: 'rfc9440' } }, trustedProxies }),
    )
    const server = createServer(
      new Koa()
        .use(api.authenticate())
        .use((context) => {
          context.body = 'handled'
        })
        .callback(),
    )
    await new Promise<void>((resolve) => server.listen(0, '::', resolve))
    closedLater({ close: () => new Promise((resolve) => server.close(resolve)) })
    const headers = { ...boundTo(FIRST_CLIENT), 'client-cert': `:${derOf(FIRST_CLIENT).toString('base64')}:` }
    const { port } = server.address() as AddressInfo
    const status = await new Promise((resolve, reject) => {
      get({ host, port, headers, agent: false }, (answer) => resolve(answer.resume().statusCode)).on('error', reject)
    })
    expect(status).toBe(expected)
  })
})
