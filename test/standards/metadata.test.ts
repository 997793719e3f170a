/** What a protected resource says about itself, and how clients find it: RFC 9728, over real HTTP. */
import type { ResourceServerOptions } from '@behalf/core'
import { createDpopClient, createTestIssuer, memorySink } from '@behalf/testing'
import { afterAll, afterEach, describe, expect, test } from 'vitest'
import { type Answer, type Ask, ask, bearer } from '../support/http.js'
import { connectHttp2 } from '../support/http2.js'
import { type Application, FRAMEWORKS, startApi, type TestServer } from '../support/servers.js'

const issuer = await createTestIssuer({ algorithms: ['EdDSA'] })
afterAll(() => issuer.close())

const closing: { close(): unknown }[] = []
afterEach(async () => {
  for (const each of closing.splice(0).reverse()) await each.close()
})

const ORIGIN = 'https://api.example.test'
const WELL_KNOWN = '/.well-known/oauth-protected-resource'

type Modes = Parameters<typeof issuer.options>[0]

function optionsWith(resource: string, modes: Modes = {}, more: Partial<ResourceServerOptions> = {}): ResourceServerOptions {
  return { issuers: [issuer.options({ jwks: issuer.jwks(), ...modes })], metadata: { resource }, ...more }
}

const DPOP: Partial<ResourceServerOptions> = {
  publicOrigins: ORIGIN,
  dpop: { replay: 'single-process', algorithms: ['ES256', 'EdDSA'] },
}

/** Both adapters have it. */
const metadataOf = (api: TestServer) => (api as TestServer & { metadata(): object }).metadata()

/** The challenges of an answer, each with its parameters, in their order. */
function challengesOf({ headers }: Answer): readonly { scheme: string; parameters: readonly (readonly [string, string])[] }[] {
  const value = headers['www-authenticate']
  if (value === undefined) return []
  return value.split(/, (?=(?:Bearer|DPoP)\b)/).map((text) => {
    const [scheme = '', ...rest] = text.split(' ')
    const parameters = [...rest.join(' ').matchAll(/([a-z_]+)="([^"]*)"/g)].map(([, name = '', of = '']) => [name, of] as const)
    return { scheme, parameters }
  })
}

const codeOf = ({ body }: Answer) => (JSON.parse(body) as { code: string }).code

describe.each(FRAMEWORKS)('$name', (framework) => {
  async function start(
    options: ResourceServerOptions,
    build: (app: Application, api: TestServer) => void = (app, api) => {
      app.use(metadataOf(api), api.authenticate())
      app.route(
        'GET',
        '/',
        framework.handler(({ json }) => json('handled')),
      )
      app.route(
        'GET',
        '/refunds',
        api.guard({ scopes: 'orders:refund' }),
        framework.handler(({ json }) => json('handled')),
      )
      app.route(
        'GET',
        '/vip',
        api.guard({ check: () => false }),
        framework.handler(({ json }) => json('handled')),
      )
      app.route(
        'GET',
        '/direct',
        api.guard({ kind: 'direct' }),
        framework.handler(({ json }) => json('handled')),
      )
    },
  ) {
    const running = await startApi(framework, options, build)
    closing.push(running)
    return (request: Ask) => ask(running.port, request)
  }

  describe('the document', () => {
    test('[RFC9728-3-well-known] is open to everybody who asks, and is nobody’s call', async () => {
      const sink = memorySink()
      const send = await start(optionsWith(ORIGIN, {}, { audit: { sinks: [sink], record: 'always' } }))
      const answer = await send({ path: WELL_KNOWN })
      expect([answer.status, JSON.parse(answer.body)]).toEqual([
        200,
        { resource: ORIGIN, authorization_servers: [issuer.issuer], bearer_methods_supported: ['header'] },
      ])
      expect((await send({ path: WELL_KNOWN, headers: [bearer('garbage')] })).body).toBe(answer.body)
      expect(sink.events).toEqual([])
    })

    test.each([
      [`${ORIGIN}/`, WELL_KNOWN, `${WELL_KNOWN}/`],
      [`${ORIGIN}/mcp`, `${WELL_KNOWN}/mcp`, WELL_KNOWN],
      [`${ORIGIN}/mcp/`, `${WELL_KNOWN}/mcp/`, WELL_KNOWN],
      [`${ORIGIN}/a/b?tenant=c&x=%20`, `${WELL_KNOWN}/a/b?tenant=c&x=%20`, `${WELL_KNOWN}/a/b`],
      [`${ORIGIN}?tenant=c`, `${WELL_KNOWN}?tenant=c`, WELL_KNOWN],
    ])(
      '[RFC9728-3.1-insertion] [RFC9728-3.3-resource] of %s is at %s, and names it as it is written',
      async (resource, path, elsewhere) => {
        const send = await start(optionsWith(resource))
        const answer = await send({ path })
        expect([answer.status, (JSON.parse(answer.body) as { resource: string }).resource]).toEqual([200, resource])
        expect((await send({ path: elsewhere })).status).toBe(401)
      },
    )

    test('[RFC9728-3.2-json] is 200 application/json, for scripts of other origins too', async () => {
      const send = await start(optionsWith(ORIGIN))
      const { status, headers, body } = await send({ path: WELL_KNOWN, headers: [['Origin', 'https://app.example.test']] })
      expect(status).toBe(200)
      expect(headers).toMatchObject({
        'content-type': 'application/json',
        'content-length': String(Buffer.byteLength(body)),
        'access-control-allow-origin': '*',
        'cache-control': 'public, max-age=600',
      })
      expect(headers).not.toHaveProperty('www-authenticate')
      expect(headers).not.toHaveProperty('transfer-encoding')
    })

    test('[RFC9110-9.3.2-head] [RFC9728-3.2-json] answers HEAD with the same fields and no content', async () => {
      const send = await start(optionsWith(ORIGIN))
      const { date: _one, ...got } = (await send({ path: WELL_KNOWN })).headers
      const head = await send({ path: WELL_KNOWN, method: 'HEAD' })
      const { date: _other, ...headers } = head.headers
      expect([head.status, head.body, headers]).toEqual([200, '', got])
    })

    test('[BEHALF-metadata-cors] answers a preflight', async () => {
      const send = await start(optionsWith(ORIGIN))
      const preflight = [
        ['Origin', 'https://app.example.test'],
        ['Access-Control-Request-Method', 'GET'],
        ['Access-Control-Request-Headers', 'mcp-protocol-version'],
      ] as const
      const { status, headers, body } = await send({ path: WELL_KNOWN, method: 'OPTIONS', headers: preflight })
      expect([status, body]).toEqual([204, ''])
      expect(headers).toMatchObject({
        'access-control-allow-origin': '*',
        'access-control-allow-methods': 'GET, HEAD, OPTIONS',
        'access-control-allow-headers': '*',
      })
      expect(headers).not.toHaveProperty('content-type')
    })

    test.each(['POST', 'PUT', 'DELETE', 'PATCH'])('[RFC9110-15.5.6-allow] answers 405 to %s', async (method) => {
      const send = await start(optionsWith(ORIGIN))
      const { status, headers, body } = await send({ path: WELL_KNOWN, method, body: '{}' })
      expect([status, headers['allow'], body]).toEqual([405, 'GET, HEAD, OPTIONS', ''])
    })

    test('[RFC9728-3.2-omit-empty] has no member that is empty', async () => {
      const send = await start(optionsWith(ORIGIN))
      const document = JSON.parse((await send({ path: WELL_KNOWN })).body) as Record<string, unknown>
      for (const [name, value] of Object.entries(document)) expect(value, name).not.toEqual([])
      expect(Object.values(document)).not.toContain(null)
    })

    test('[RFC9728-2-members] says what is configured, and what the server knows of proofs and certificates', async () => {
      const metadata = { resource: ORIGIN, scopesSupported: ['orders:read'], resourceName: 'Bestellungen \u2713' }
      const send = await start(optionsWith(ORIGIN, { dpop: 'require', mtls: 'allow' }, { ...DPOP, metadata }))
      expect(JSON.parse((await send({ path: WELL_KNOWN })).body)).toEqual({
        resource: ORIGIN,
        authorization_servers: [issuer.issuer],
        scopes_supported: ['orders:read'],
        bearer_methods_supported: ['header'],
        resource_name: 'Bestellungen \u2713',
        dpop_signing_alg_values_supported: ['ES256', 'EdDSA'],
        dpop_bound_access_tokens_required: true,
        tls_client_certificate_bound_access_tokens: true,
      })
    })

    test('[RFC9728-2-authorization-servers] names the servers of the application where issuers are looked up', async () => {
      const authorizationServers = ['https://a.example.test', 'https://b.example.test/tenant']
      const options = optionsWith(ORIGIN, {}, { metadata: { resource: ORIGIN, authorizationServers } })
      const send = await start({ ...options, issuers: () => null })
      expect(JSON.parse((await send({ path: WELL_KNOWN })).body)).toMatchObject({ authorization_servers: authorizationServers })
    })

    test('[BEHALF-metadata-place] behind authenticate() it is for callers with a token only', async () => {
      const send = await start(optionsWith(ORIGIN), (app, api) => void app.use(api.authenticate(), metadataOf(api)))
      expect((await send({ path: WELL_KNOWN })).status).toBe(401)
      expect((await send({ path: WELL_KNOWN, headers: [bearer(issuer.token())] })).status).toBe(200)
    })

    test('[BEHALF-metadata-place] a mounted application serves it too: the whole path counts', async () => {
      const send = await start(optionsWith(ORIGIN), (app, api) => {
        app.mount('/.well-known', (inner) => void inner.use(metadataOf(api)))
        app.mount('/v1', (inner) => void inner.use(metadataOf(api)))
        app.use(framework.handler(({ json }) => json('elsewhere', 404)))
      })
      expect((await send({ path: WELL_KNOWN })).status).toBe(200)
      expect((await send({ path: `/v1${WELL_KNOWN}` })).status).toBe(404)
    })

    test('[BEHALF-metadata-place] whatever else is asked for goes on to the application', async () => {
      const send = await start(optionsWith(ORIGIN), (app, api) => {
        app.use(
          metadataOf(api),
          framework.handler(({ json }) => json('the application')),
        )
      })
      for (const path of ['/', `${WELL_KNOWN}/x`, '/.well-known', `/x${WELL_KNOWN}`]) {
        expect((await send({ path })).body, path).toBe('"the application"')
      }
      for (const method of ['POST', 'OPTIONS']) expect((await send({ path: '/', method })).body).toBe('"the application"')
    })
  })

  describe('the challenge', () => {
    const url = `${ORIGIN}${WELL_KNOWN}/mcp`

    test('[RFC9728-5.1-challenge] names the document in every challenge, whatever its scheme, once', async () => {
      const client = createDpopClient()
      const delegated = { act: { sub: 'agent-1' } }
      const send = await start(optionsWith(`${ORIGIN}/mcp`, { dpop: 'allow' }, { ...DPOP, audit: 'none' }))
      const bound = issuer.token({ claims: { cnf: { jkt: client.jkt } } })
      const refusals: [Ask, number, string, string[]][] = [
        [{}, 401, 'credentials_missing', ['Bearer', 'DPoP']],
        [{ headers: [bearer('a b')] }, 400, 'credentials_malformed', ['Bearer']],
        [{ headers: [bearer('a'), bearer('b')] }, 400, 'request_ambiguous', ['Bearer']],
        [{ headers: [bearer('a.b.c')] }, 401, 'token_malformed', ['Bearer', 'DPoP']],
        [
          { headers: [bearer(issuer.token({ claims: { aud: 'https://other.example.test' } }))] },
          401,
          'audience_mismatch',
          ['Bearer', 'DPoP'],
        ],
        [{ headers: [bearer(bound)] }, 401, 'sender_mismatch', ['Bearer', 'DPoP']],
        [{ headers: [['Authorization', `DPoP ${bound}`]] }, 401, 'proof_missing', ['DPoP']],
        [{ headers: [['Authorization', `DPoP ${issuer.token()}`]] }, 401, 'sender_mismatch', ['DPoP']],
        [{ headers: [bearer(issuer.token({ claims: delegated }))] }, 403, 'actor_unauthorized', ['Bearer']],
        [{ path: '/refunds', headers: [bearer(issuer.token())] }, 403, 'scope_insufficient', ['Bearer']],
        [
          { path: '/refunds', headers: Object.entries(client.headers('GET', `${ORIGIN}/refunds`, bound)) },
          403,
          'scope_insufficient',
          ['DPoP'],
        ],
      ]
      for (const [request, status, code, schemes] of refusals) {
        const answer = await send(request)
        const challenges = challengesOf(answer)
        expect([answer.status, codeOf(answer), challenges.map(({ scheme }) => scheme)]).toEqual([status, code, schemes])
        for (const { parameters } of challenges) {
          expect(parameters.filter(([name]) => name === 'resource_metadata')).toEqual([['resource_metadata', url]])
        }
        expect(answer.headers['access-control-expose-headers']).toBe('WWW-Authenticate')
      }
      expect((await send({ path: new URL(url).pathname })).status).toBe(200)
    })

    test('[RFC9728-5.1-challenge] names it where every token must be bound to a key, and only that scheme is left', async () => {
      const send = await start(optionsWith(`${ORIGIN}/mcp`, { dpop: 'require' }, DPOP))
      for (const headers of [[], [bearer(issuer.token())]]) {
        const [challenge, ...others] = challengesOf(await send({ headers }))
        expect([challenge?.scheme, others]).toEqual(['DPoP', []])
        expect(challenge?.parameters).toContainEqual(['resource_metadata', url])
        expect(challenge?.parameters).toContainEqual(['algs', 'ES256 EdDSA'])
      }
    })

    test('[RFC9728-5.1-challenge] names it to a framework that answers refusals itself', async () => {
      const send = await start(optionsWith(`${ORIGIN}/mcp`, {}, { refusals: 'forward' }), (app, api) => {
        app.use(metadataOf(api), api.authenticate())
      })
      const answer = await send({})
      expect([answer.status, answer.headers['www-authenticate']]).toEqual([401, `Bearer resource_metadata="${url}"`])
    })

    test('[RFC9728-5.1-scope] keeps the scopes that a route asks for beside it', async () => {
      const send = await start(optionsWith(`${ORIGIN}/mcp`))
      const [challenge] = challengesOf(await send({ path: '/refunds', headers: [bearer(issuer.token())] }))
      expect(Object.fromEntries(challenge?.parameters ?? [])).toEqual({
        error: 'insufficient_scope',
        error_description: 'The token does not have the scopes that this request needs',
        scope: 'orders:refund',
        resource_metadata: url,
      })
    })

    test('where there is no challenge, there is none because of it', async () => {
      const send = await start(optionsWith(`${ORIGIN}/mcp`))
      const answer = await send({ path: '/vip', headers: [bearer(issuer.token())] })
      expect([answer.status, codeOf(answer), challengesOf(answer)]).toEqual([403, 'requirement_failed', []])
    })

    test('[BEHALF-metadata-off] without the option nothing is named, and nothing served', async () => {
      const { metadata: _metadata, ...options } = optionsWith(ORIGIN)
      const send = await start(options, (app, api) => {
        expect(() => metadataOf(api)).toThrow(/metadata\(\) needs the option metadata/)
        app.use(api.authenticate())
      })
      const answer = await send({ path: WELL_KNOWN })
      expect([answer.status, answer.headers['www-authenticate']]).toEqual([401, 'Bearer'])
    })
  })
})

test.each(FRAMEWORKS.filter(({ family }) => family === 'koa'))(
  '[RFC9728-3.2-json] $name serves it over HTTP/2',
  async (framework) => {
    const api = framework.resourceServer(optionsWith(`${ORIGIN}/mcp`))
    const app = framework.application()
    app.use(metadataOf(api), api.authenticate())
    const connection = await connectHttp2(app.listener())
    closing.push(api, connection)
    const { status, body } = await connection.ask({ ':path': `${WELL_KNOWN}/mcp` })
    expect([status, (JSON.parse(body) as { resource: string }).resource]).toEqual([200, `${ORIGIN}/mcp`])
    expect((await connection.ask({ ':path': WELL_KNOWN })).status).toBe(401)
  },
)
