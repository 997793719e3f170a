/** What the adapters promise beside the table of `parity.test.ts`: how they live with the rest of an application. */
import { once } from 'node:events'
import { Agent, type ClientRequest, request as httpRequest, type IncomingMessage, type ServerResponse } from 'node:http'
import { connect as connectHttp2, createServer as createHttp2Server } from 'node:http2'
import { type AddressInfo, connect } from 'node:net'
import { PassThrough } from 'node:stream'
import {
  ApplicationError,
  type AuditEvent,
  type AuditSink,
  AuthError,
  ConfigError,
  type ResourceServerOptions,
} from '@behalf/core'
import { resourceServer as expressServer } from '@behalf/express'
import { createTestIssuer, type MemorySink, memorySink } from '@behalf/testing'
import express from 'express'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { ask, bearer } from './support/http.js'
import { type Application, FRAMEWORKS, type Framework, type RunningApi, startApi, type TestServer } from './support/servers.js'

const issuer = await createTestIssuer({ algorithms: ['EdDSA'] })
const jwks = issuer.jwks()
const direct = bearer(issuer.token())
const delegated = bearer(issuer.token({ claims: { act: { sub: 'agent-1' } } }))

const closing: { close(): Promise<unknown> }[] = []
afterEach(async () => {
  for (const each of closing.splice(0)) await each.close()
})
afterAll(() => issuer.close())

/** What would have ended the process of an application. */
const incidents: unknown[] = []
const note = (incident: unknown) => void incidents.push(incident)
beforeAll(() => {
  process.on('unhandledRejection', note)
})
afterAll(() => {
  process.off('unhandledRejection', note)
})
afterEach(() => expect(incidents.splice(0)).toEqual([]))

type Started = RunningApi & { readonly sink: MemorySink }
type Build = (app: Application, api: TestServer, framework: Framework) => void

function optionsOf(sink: MemorySink, more: Partial<ResourceServerOptions> = {}): ResourceServerOptions {
  return {
    issuers: [issuer.options({ jwks })],
    delegation: [{ id: 'agents', kind: 'delegation', actor: 'any', scopes: 'all' }],
    audit: { sinks: [sink], record: 'always' },
    ...more,
  }
}

async function start(framework: Framework, build: Build, more: Partial<ResourceServerOptions> = {}): Promise<Started> {
  const sink = memorySink()
  const started = { ...(await startApi(framework, optionsOf(sink, more), build)), sink }
  closing.push(started)
  return started
}

const outcomeOf = (sink: MemorySink): Promise<AuditEvent> => sink.until((event) => event.type === 'access.outcome')
const resultsOf = (sink: MemorySink) => sink.events.filter(({ type }) => type === 'access.outcome').map(({ result }) => result)
const decisionsOf = (sink: MemorySink) =>
  sink.events.filter(({ type }) => type === 'access.decision').map(({ stage, decision }) => `${stage} ${decision}`)

/** Starts a request and hands over its answer as soon as the header is there; the body is left to the test. */
function begin(
  port: number,
  headers: readonly (readonly [string, string])[],
): Promise<{ readonly sent: ClientRequest; readonly answer: IncomingMessage }> {
  return new Promise((resolve, reject) => {
    const sent = httpRequest({ host: '127.0.0.1', port, headers: Object.fromEntries(headers), agent: false }, (answer) =>
      resolve({ sent, answer }),
    )
    sent.on('error', reject)
    sent.end()
  })
}

const nextChunk = (answer: IncomingMessage) =>
  new Promise<string>((resolve) => answer.once('data', (chunk: Buffer) => resolve(chunk.toString())))

describe.each(FRAMEWORKS)('$name', (framework) => {
  const { handler, step } = framework
  const hello = handler((call) => call.json('hello'))
  const subject = (api: TestServer) => handler((call) => call.json(api.contextOf(call.request)?.subject.id ?? null))

  describe('routers and applications in an application', () => {
    test('a router authenticates its own routes only', async () => {
      const { port, sink } = await start(framework, (app, api) => {
        app.route('GET', '/public', hello)
        app.router('/api', (routes) => {
          routes.use(api.authenticate())
          routes.route('GET', '/orders/:id', api.guard({ scopes: 'orders:read' }), subject(api))
        })
      })
      expect((await ask(port, { path: '/public' })).status).toBe(200)
      expect(sink.events).toEqual([])
      expect((await ask(port, { path: '/api/orders/17' })).status).toBe(401)
      sink.clear()
      const answer = await ask(port, { path: '/api/orders/17?q=4711', headers: [direct] })
      expect([answer.status, answer.body]).toEqual([200, '"user-1"'])
      const { http } = await outcomeOf(sink)
      // Express knows the pattern of the innermost router only; @koa/router keeps the prefixes.
      expect(http.route).toBe(framework.family === 'express' ? '/orders/:id' : '/api/orders/:id')
      expect(JSON.stringify(sink.events)).not.toContain('4711')
    })

    test('a router in a router', async () => {
      const { port, sink } = await start(framework, (app, api) => {
        app.use(api.authenticate())
        app.router('/api', (outer) => {
          outer.router('/v1', (inner) => {
            inner.route('GET', '/orders/:id', api.guard({ scopes: 'orders:read' }), subject(api))
            inner.route('GET', '/refunds/:id', api.guard({ scopes: 'orders:refund' }), subject(api))
          })
        })
      })
      expect((await ask(port, { path: '/api/v1/orders/17', headers: [direct] })).body).toBe('"user-1"')
      expect((await outcomeOf(sink)).http.route).toBe(framework.family === 'express' ? '/orders/:id' : '/api/v1/orders/:id')
      sink.clear()
      expect((await ask(port, { path: '/api/v1/refunds/17', headers: [direct] })).status).toBe(403)
      expect((await outcomeOf(sink)).result).toBe('refused')
    })

    test('a mounted application, guarded by the server of the outer one', async () => {
      const { port, sink } = await start(framework, (app, api) => {
        app.use(api.authenticate())
        app.mount('/sub', (sub) => sub.route('GET', '/me', api.guard(), subject(api)))
      })
      expect((await ask(port, { path: '/sub/me', headers: [direct] })).body).toBe('"user-1"')
      expect((await outcomeOf(sink)).http.route).toBe('/me')
      expect((await ask(port, { path: '/sub/me' })).status).toBe(401)
    })

    /** A rule that takes note of what its hook sees. */
    const noting = (paths: string[]): Partial<ResourceServerOptions> => ({
      delegation: [
        {
          id: 'agents',
          kind: 'delegation',
          actor: 'any',
          scopes: 'all',
          when: (_context, request) => paths.push(request.path, request.url) > 0,
        },
      ],
    })

    test('a mounted application that authenticates by itself', async () => {
      const paths: string[] = []
      const build: Build = (app, api) =>
        app.mount('/sub', (sub) => {
          sub.use(api.authenticate())
          sub.route('GET', '/me', api.guard(), subject(api))
        })
      const { port } = await start(framework, build, noting(paths))
      expect((await ask(port, { path: '/sub/me?page=2', headers: [delegated] })).body).toBe('"user-1"')
      expect(paths).toEqual(['/sub/me', '/sub/me?page=2'])
    })

    test('one that Express hands a shortened target sees what was sent', async () => {
      const paths: string[] = []
      const build: Build = (app, api) => void app.use(api.authenticate()).route('GET', '/me', subject(api))
      const inner = (await start(framework, build, noting(paths))).app.listener()
      const server = express()
        .use('/sub', (request, response) => void inner(request, response))
        .listen(0, '127.0.0.1')
      await once(server, 'listening')
      closing.push({ close: async () => void server.close() })
      const { port } = server.address() as AddressInfo
      expect((await ask(port, { path: '/sub/me?page=2', headers: [delegated] })).body).toBe('"user-1"')
      expect(paths).toEqual(['/sub/me', '/sub/me?page=2'])
    })
  })

  describe('authenticate() more than once', () => {
    test('decides and records once', async () => {
      const { port, sink } = await start(framework, (app, api) => {
        app.use(api.authenticate(), api.authenticate())
        app.router('/api', (routes) => routes.use(api.authenticate()).route('GET', '/', api.authenticate(), subject(api)))
      })
      expect((await ask(port, { path: '/api/', headers: [delegated] })).body).toBe('"user-1"')
      await outcomeOf(sink)
      expect(decisionsOf(sink)).toEqual(['rules allow'])
      expect(resultsOf(sink)).toEqual(['completed'])
    })

    test('a strict one after an optional one refuses an anonymous call, and records it', async () => {
      const { port, sink } = await start(framework, (app, api) => {
        app.use(api.authenticate({ optional: true }))
        app.route(
          'GET',
          '/open',
          handler((call) => call.json(api.contextOf(call.request))),
        )
        app.use(api.authenticate())
        app.route('GET', '/closed', hello)
      })
      expect((await ask(port, { path: '/open' })).body).toBe('null')
      sink.clear()
      const answer = await ask(port, { path: '/closed' })
      expect([answer.status, answer.headers['www-authenticate']]).toEqual([401, 'Bearer'])
      expect(sink.events.map(({ decision, reason }) => [decision, reason])).toEqual([['refuse', 'credentials_missing']])
      expect((await ask(port, { path: '/closed', headers: [direct] })).status).toBe(200)
    })

    test('two servers on one request do not know each other', async () => {
      const other = framework.resourceServer(optionsOf(memorySink(), { contextProperty: 'other' }))
      closing.push(other)
      const { port } = await start(framework, (app, api) => {
        app.use(api.authenticate(), other.authenticate())
        app.route('GET', '/', api.guard(), other.guard(), subject(other))
      })
      expect((await ask(port, { headers: [direct] })).body).toBe('"user-1"')
    })
  })

  describe('guards', () => {
    test('several all hold', async () => {
      let ran = 0
      const { port } = await start(framework, (app, api) => {
        app.use(api.authenticate(), api.guard({ kind: 'delegation' }))
        app.route(
          'GET',
          '/',
          api.guard({ scopes: 'orders:read' }),
          api.guard({ scopes: 'orders:refund' }),
          step(() => ran++),
          hello,
        )
        app.route('GET', '/read', api.guard({ scopes: 'orders:read' }), api.guard({ scopes: 'orders:write' }), hello)
      })
      expect((await ask(port, { headers: [delegated] })).status).toBe(403)
      expect(ran).toBe(0)
      expect((await ask(port, { path: '/read', headers: [delegated] })).status).toBe(200)
      expect((await ask(port, { path: '/read', headers: [direct] })).status).toBe(403)
    })

    test("without authenticate() it is our mistake, never the caller's", async () => {
      const { port, app } = await start(framework, (app, api) => app.route('GET', '/', api.guard(), hello))
      const answer = await ask(port, { headers: [direct] })
      expect(answer.status).toBe(500)
      expect(answer.headers['www-authenticate']).toBeUndefined()
      expect(app.errors).toEqual([expect.any(ConfigError)])
    })

    test('of another server is our mistake too', async () => {
      const other = framework.resourceServer(optionsOf(memorySink()))
      closing.push(other)
      const { port, app } = await start(framework, (app, api) =>
        app.use(api.authenticate()).route('GET', '/', other.guard(), hello),
      )
      expect((await ask(port, { headers: [direct] })).status).toBe(500)
      expect(app.errors).toEqual([expect.any(ConfigError)])
    })

    test('a refusal: one outcome, and the handler has not run', async () => {
      let ran = 0
      const { port, sink } = await start(framework, (app, api) => {
        app.use(api.authenticate())
        app.route(
          'GET',
          '/',
          api.guard({ kind: 'direct' }),
          step(() => ran++),
          hello,
        )
      })
      expect((await ask(port, { headers: [delegated] })).status).toBe(403)
      const outcome = await outcomeOf(sink)
      expect(outcome).toMatchObject({ result: 'refused', decision: 'allow', rule: 'agents', http: { status: 403 } })
      expect(decisionsOf(sink)).toEqual(['rules allow', 'requirement refuse'])
      expect(new Set(sink.events.map(({ requestId }) => requestId)).size).toBe(1)
      expect(ran).toBe(0)
    })

    test('contextOf() without authenticate(), and delegatedContextOf() of a direct call, throw', async () => {
      const { port, app } = await start(framework, (app, api) => {
        app.route(
          'GET',
          '/early',
          handler((call) => call.json(api.contextOf(call.request))),
        )
        app.use(api.authenticate())
        app.route(
          'GET',
          '/',
          handler((call) => call.json(api.delegatedContextOf(call.request).actor.id)),
        )
      })
      expect((await ask(port, { path: '/early', headers: [direct] })).status).toBe(500)
      expect((await ask(port, { headers: [direct] })).status).toBe(500)
      expect(app.errors).toEqual([expect.any(ConfigError), expect.any(ConfigError)])
      expect((await ask(port, { headers: [delegated] })).body).toBe('"agent-1"')
    })
  })

  test('a requirement that turns out to be undefined is a ConfigError, and no requirement is none', () => {
    const api = framework.resourceServer(optionsOf(memorySink()))
    closing.push(api)
    expect(() => api.guard(undefined)).toThrow(ConfigError)
    expect(() => api.guard(null as never)).toThrow(ConfigError)
    expect(() => api.guard()).not.toThrow()
  })

  describe('credentials.from that throws', () => {
    const withStatus = (status: number) => Object.assign(new Error('cookie jar'), { status, statusCode: status, expose: true })

    test.each([
      ['undefined', undefined],
      ['null', null],
      ['an empty string', ''],
      ['0', 0],
      ['false', false],
      ["'route'", 'route'],
      ["'router'", 'router'],
      ['an error', new Error('cookie jar')],
      ['an error with status 404', withStatus(404)],
      ['an error with status 401', withStatus(401)],
      ['an error with status 200', withStatus(200)],
    ])('%s: 500, and nothing behind it runs', async (_name, thrown) => {
      let ran = 0
      const handlers = handler((call) => {
        ran++
        call.json('hello')
      })
      const from = () => {
        throw thrown
      }
      const { port, app } = await start(
        framework,
        (app, api) => {
          app.route('GET', '/inline', api.authenticate({ optional: true }), handlers)
          app.route('GET', '/inline', handlers)
          app.use(api.authenticate())
          app.route('GET', '/', handlers)
          app.route('GET', '/guarded', api.guard(), handlers)
        },
        { credentials: { from } },
      )
      for (const path of ['/', '/guarded', '/nowhere', '/inline']) {
        for (const headers of [[], [delegated]]) {
          const answer = await ask(port, { path, headers })
          expect([path, answer.status]).toEqual([path, 500])
          expect(answer.headers['www-authenticate']).toBeUndefined()
          expect(answer.body).not.toContain('cookie jar')
        }
      }
      expect(ran).toBe(0)
      expect(app.errors).toHaveLength(8)
      for (const error of app.errors) expect(error).toBeInstanceOf(ApplicationError)
      expect((app.errors[0] as ApplicationError).cause).toBe(thrown)
    })
  })

  describe('a hook of other middleware that fails while a refusal is answered', () => {
    /** As packages do that change an answer's header late: the hook runs once, before the header is sent. */
    const hooked = (hook: (response: ServerResponse) => void) =>
      step(({ response }) => {
        const writeHead = response.writeHead as (...args: unknown[]) => ServerResponse
        Object.assign(response, {
          writeHead(...args: unknown[]) {
            Object.assign(response, { writeHead })
            hook(response)
            return writeHead.apply(response, args)
          },
        })
      })

    test.each([
      ['throws', () => thrown(new Error('broken hook')), 'broken hook'],
      ['sets an invalid header', (response: ServerResponse) => response.setHeader('x-note', 'a\nb'), 'Invalid character'],
    ])("%s: the application's error handling answers, and the server goes on", async (_name, hook, message) => {
      let ran = 0
      const { port, app } = await start(framework, (app, api) => {
        app.use(hooked(hook))
        app.use(api.authenticate())
        app.route(
          'GET',
          '/',
          api.guard({ kind: 'direct' }),
          step(() => ran++),
          hello,
        )
      })
      const seen: unknown[] = []
      for (const headers of [[], [delegated]]) {
        const answer = await ask(port, { headers })
        expect([answer.status, answer.headers['www-authenticate']]).toEqual([500, undefined])
        seen.push(expect.objectContaining({ message: expect.stringContaining(message) }))
      }
      expect(app.errors).toEqual(seen)
      expect(ran).toBe(0)
    })

    // Koa itself answers nothing where something falsy is thrown at its answer.
    test.runIf(framework.name.startsWith('Express'))('throws undefined: that is no "go on"', async () => {
      let ran = 0
      const { port, app } = await start(framework, (app, api) => {
        app.use(hooked(() => thrown(undefined as never)))
        app.use(api.authenticate())
        app.route(
          'GET',
          '/',
          step(() => ran++),
          hello,
        )
      })
      expect((await ask(port, {})).status).toBe(500)
      expect(app.errors).toEqual([expect.any(ApplicationError)])
      expect(ran).toBe(0)
    })
  })

  describe('a guard in report mode', () => {
    async function relaxed(unrecorded: 'refuse' | 'allow') {
      let ran = 0
      const full: AuditSink = {
        write(event) {
          if (event.stage === 'requirement') throw new Error('full')
        },
      }
      const copy = memorySink()
      const { port } = await start(
        framework,
        (app, api) => {
          app.use(api.authenticate())
          app.route(
            'GET',
            '/',
            api.guard({ scopes: 'orders:write' }),
            step(() => ran++),
            hello,
          )
        },
        {
          mode: 'report',
          delegation: [{ id: 'agents', kind: 'delegation', actor: 'any', scopes: 'orders:read' }],
          audit: { sinks: [full, copy], unrecorded },
        },
      )
      const answer = await ask(port, { headers: [delegated] })
      return { answer, outcome: await outcomeOf(copy), ran }
    }

    test('lets nothing pass that was not recorded', async () => {
      const { answer, outcome, ran } = await relaxed('refuse')
      expect([answer.status, JSON.parse(answer.body).code]).toEqual([503, 'audit_unavailable'])
      expect(outcome).toMatchObject({ result: 'refused', http: { status: 503 } })
      expect(ran).toBe(0)
    })

    test("lets it pass under unrecorded: 'allow', and the outcome says what would have been", async () => {
      const { answer, outcome, ran } = await relaxed('allow')
      expect(answer.status).toBe(200)
      expect(outcome).toMatchObject({ decision: 'would_refuse', reason: 'scope_not_delegated', result: 'completed' })
      expect(ran).toBe(1)
    })
  })

  describe('outcomes', () => {
    test.each([
      [
        'a handler that throws after a moment',
        () => Promise.resolve().then(() => Promise.reject(new Error('broken'))),
        500,
        'failed',
      ],
      ['a handler that throws at once', () => thrown(new Error('broken')), 500, 'failed'],
      [
        'a handler that fails with a status of its own',
        () => thrown(Object.assign(new Error('no'), { status: 409 })),
        409,
        'completed',
      ],
    ] as const)('%s', async (_name, handle, status, result) => {
      const { port, sink } = await start(framework, (app, api) => app.use(api.authenticate()).route('GET', '/', handler(handle)))
      expect((await ask(port, { headers: [delegated] })).status).toBe(status)
      expect(await outcomeOf(sink)).toMatchObject({ result, http: { status } })
      expect(resultsOf(sink)).toEqual([result])
    })

    test.each([
      [500, 'failed'],
      [503, 'failed'],
      [499, 'completed'],
      [404, 'completed'],
    ] as const)('a handler that answers %i', async (status, result) => {
      const { port, sink } = await start(framework, (app, api) =>
        app.use(api.authenticate()).route(
          'GET',
          '/',
          handler((call) => call.json({}, status)),
        ),
      )
      expect((await ask(port, { headers: [delegated] })).status).toBe(status)
      expect(await outcomeOf(sink)).toMatchObject({ result, http: { status } })
    })

    test('of a streamed response comes at its end', async () => {
      const body = new PassThrough()
      const { port, sink } = await start(framework, (app, api) =>
        app.use(api.authenticate()).route(
          'GET',
          '/',
          handler((call) => call.stream(body)),
        ),
      )
      body.write('first')
      const { answer } = await begin(port, [delegated])
      expect(await nextChunk(answer)).toBe('first')
      expect(resultsOf(sink)).toEqual([])
      expect(decisionsOf(sink)).toEqual(['rules allow'])
      body.end('last')
      expect(await nextChunk(answer)).toBe('last')
      expect(await outcomeOf(sink)).toMatchObject({ result: 'completed', http: { status: 200 } })
      expect(resultsOf(sink)).toEqual(['completed'])
    })

    test('of a client that leaves in the middle of a stream is aborted', async () => {
      const body = new PassThrough()
      const { port, sink } = await start(framework, (app, api) =>
        app.use(api.authenticate()).route(
          'GET',
          '/',
          handler((call) => call.stream(body)),
        ),
      )
      body.write('first')
      const { sent, answer } = await begin(port, [delegated])
      answer.on('error', () => {})
      await nextChunk(answer)
      sent.destroy()
      expect(await outcomeOf(sink)).toMatchObject({ result: 'aborted', http: { status: 200 } })
      expect(resultsOf(sink)).toEqual(['aborted'])
      body.destroy()
    })

    test('of a client that leaves before the handler: it does not run', async () => {
      let ran = 0
      let gone = (_answer: boolean) => {}
      const asked = new PassThrough()
      const { port, sink } = await start(
        framework,
        (app, api) => {
          app.use(step(({ response }) => response.once('close', () => gone(true))))
          app.use(api.authenticate())
          app.route(
            'GET',
            '/',
            step(() => ran++),
            hello,
          )
        },
        {
          delegation: [
            {
              id: 'agents',
              kind: 'delegation',
              actor: 'any',
              scopes: 'all',
              when: () =>
                new Promise((resolve) => {
                  gone = resolve
                  asked.end('asked')
                }),
            },
          ],
        },
      )
      const sent = httpRequest({ port, host: '127.0.0.1', headers: Object.fromEntries([delegated]), agent: false })
      sent.on('error', () => {})
      sent.end()
      await new Promise((resolve) => asked.once('data', resolve))
      sent.destroy()
      expect(await outcomeOf(sink)).toMatchObject({ result: 'not_run', http: { status: null } })
      expect(ran).toBe(0)
    })
  })

  describe('methods', () => {
    test('HEAD is answered like GET, without a body', async () => {
      const { port, sink } = await start(framework, (app, api) => {
        app.use(api.authenticate())
        app.route('GET', '/', api.guard({ scopes: 'orders:read' }), hello)
      })
      const answer = await ask(port, { method: 'HEAD', headers: [delegated] })
      expect([answer.status, answer.body, answer.headers['content-length']]).toEqual([200, '', '7'])
      expect(await outcomeOf(sink)).toMatchObject({ result: 'completed', http: { method: 'HEAD' } })
      const refused = await ask(port, { method: 'HEAD' })
      expect([refused.status, refused.body, refused.headers['www-authenticate']]).toEqual([401, '', 'Bearer'])
    })

    test("a CORS preflight is the application's own affair", async () => {
      const { port, sink } = await start(framework, (app, api) => {
        app.route(
          'OPTIONS',
          '/orders',
          handler((call) => call.json({}, 200)),
        )
        app.use(api.authenticate())
        app.route('GET', '/orders', hello)
        app.route('OPTIONS', '/late', hello)
      })
      expect((await ask(port, { method: 'OPTIONS', path: '/orders' })).status).toBe(200)
      expect(sink.events).toEqual([])
      expect((await ask(port, { method: 'OPTIONS', path: '/late' })).status).toBe(401)
    })

    const readOnly: Partial<ResourceServerOptions> = {
      delegation: [{ id: 'looks', kind: 'delegation', actor: 'any', scopes: 'all', methods: 'safe' }],
    }

    test('a method that is overridden after authenticate() is judged again by the guard', async () => {
      let ran = 0
      const { port } = await start(
        framework,
        (app, api) => {
          app.use(api.authenticate())
          app.use(step((call) => call.overrideMethod('DELETE')))
          app.route(
            'DELETE',
            '/',
            api.guard(),
            step(() => ran++),
            hello,
          )
        },
        readOnly,
      )
      const answer = await ask(port, { headers: [delegated] })
      expect([answer.status, JSON.parse(answer.body).code]).toEqual([403, 'method_not_delegated'])
      expect(ran).toBe(0)
      expect((await ask(port, { headers: [direct] })).status).toBe(200)
    })

    test.each([
      ['POST', 'GET'],
      ['GET', 'DELETE'],
    ])('%s that is overridden to %s before authenticate(): the stricter counts', async (method, becomes) => {
      const { port } = await start(
        framework,
        (app, api) => {
          app.use(step((call) => call.overrideMethod(becomes)))
          app.use(api.authenticate())
          app.route(becomes, '/', hello)
        },
        readOnly,
      )
      const answer = await ask(port, { method, headers: [delegated] })
      expect([answer.status, JSON.parse(answer.body).code]).toEqual([403, 'method_not_delegated'])
    })
  })

  describe('connections', () => {
    test('several requests on one connection are several requests', async () => {
      const { port, sink } = await start(framework, (app, api) => app.use(api.authenticate()).route('GET', '/', subject(api)))
      const agent = new Agent({ keepAlive: true, maxSockets: 1 })
      const ports = new Set<number>()
      const statuses: number[] = []
      for (const header of [direct, null, delegated, direct]) {
        statuses.push(
          await new Promise<number>((resolve, reject) => {
            const headers = header === null ? {} : Object.fromEntries([header])
            httpRequest({ host: '127.0.0.1', port, agent, headers }, (answer) => {
              ports.add(answer.socket.localPort ?? 0)
              answer.resume().on('end', () => resolve(answer.statusCode ?? 0))
            })
              .on('error', reject)
              .end()
          }),
        )
      }
      agent.destroy()
      expect(statuses).toEqual([200, 401, 200, 200])
      expect(ports.size).toBe(1)
      expect(decisionsOf(sink)).toEqual(['rules allow', 'credentials refuse', 'rules allow', 'rules allow'])
      expect(new Set(sink.events.map(({ requestId }) => requestId)).size).toBe(4)
    })

    test('a large upload is refused without waiting for it', async () => {
      const { port } = await start(framework, (app, api) => app.use(api.authenticate()).route('POST', '/', hello))
      const statusLine = await new Promise<string>((resolve, reject) => {
        const socket = connect(port, '127.0.0.1', () =>
          socket.write('POST / HTTP/1.1\r\nHost: api\r\nContent-Length: 1000000000\r\n\r\n'),
        )
        socket.on('error', reject)
        socket.once('data', (chunk) => {
          resolve(chunk.toString().split('\r\n', 1)[0] ?? '')
          socket.destroy()
        })
      })
      expect(statusLine).toBe('HTTP/1.1 401 Unauthorized')
    })

    test("behind a proxy: the peer is the socket's, what the proxy says stands apart", async () => {
      const { port, sink } = await start(framework, (app, api) =>
        app.trustProxy().use(api.authenticate()).route('GET', '/', hello),
      )
      const forwarded = ['X-Forwarded-For', '203.0.113.9, 10.0.0.1'] as const
      await ask(port, { headers: [delegated, forwarded, ['User-Agent', 'agent/1'], ['X-Request-Id', 'theirs-1']] })
      expect((await outcomeOf(sink)).net).toEqual({
        peer: '127.0.0.1',
        forwarded: '203.0.113.9, 10.0.0.1',
        userAgent: 'agent/1',
        callerRequestId: 'theirs-1',
      })
      expect(sink.events[0]?.requestId).not.toBe('theirs-1')
    })
  })

  describe("refusals: 'forward'", () => {
    const forward = { refusals: 'forward' } as const

    test.each([
      ['authenticate()', '/', undefined, 401, 'Bearer'],
      ['a guard', '/refunds', direct, 403, /^Bearer error="insufficient_scope".*scope="orders:refund"$/],
    ] as const)(
      '%s hands its error to the application, and the default handler keeps the challenge',
      async (_name, path, header, status, challenge) => {
        const { port, app } = await start(
          framework,
          (app, api) => {
            app.use(api.authenticate())
            app.route('GET', '/refunds', api.guard({ scopes: 'orders:refund' }), hello)
          },
          forward,
        )
        const answer = await ask(port, { path, headers: header === undefined ? [] : [header] })
        expect(answer.status).toBe(status)
        expect(answer.headers['www-authenticate']).toMatch(challenge)
        expect(answer.headers['cache-control']).toBe('no-store')
        // Koa shows the message of an error that says `expose`; it is a fixed text.
        const [error] = app.errors
        expect(error).toBeInstanceOf(AuthError)
        expect(error).toMatchObject({ status, expose: true, headers: { 'www-authenticate': expect.stringMatching(challenge) } })
      },
    )

    test('an application that catches the refusal of a guard and goes on: the outcome is of its own answer', async () => {
      // Express hands errors to middleware of four arguments; Koa throws them at whoever waits for `next()`.
      const goOn =
        framework.family === 'express'
          ? [(_error: unknown, _request: unknown, _response: unknown, next: () => void) => next()]
          : []
      const catching =
        framework.family === 'koa'
          ? [
              async (context: { body: unknown }, next: () => Promise<void>) => {
                await next().catch(() => {
                  context.body = 'hello'
                })
              },
            ]
          : []
      const { port, sink } = await start(
        framework,
        (app, api) => {
          app.use(api.authenticate(), ...catching, api.guard({ kind: 'direct' }), ...goOn)
          app.route('GET', '/', api.guard(), hello)
        },
        forward,
      )
      const answer = await ask(port, { headers: [delegated] })
      expect([answer.status, answer.body.includes('hello')]).toEqual([200, true])
      expect(await outcomeOf(sink)).toMatchObject({ result: 'completed', decision: 'allow', http: { status: 200 } })
      expect(decisionsOf(sink)).toEqual(['rules allow', 'requirement refuse'])
    })

    test('a broken wiring is forwarded as 500', async () => {
      const { port } = await start(framework, (app, api) => app.route('GET', '/', api.guard(), hello), forward)
      expect((await ask(port)).status).toBe(500)
    })
  })

  describe('the context as a property', () => {
    test('is the record of the server, under the name that was chosen', async () => {
      const { port } = await start(
        framework,
        (app, api) => {
          app.use(api.authenticate())
          app.route(
            'GET',
            '/',
            handler((call) => call.json([call.shown['caller'] === api.contextOf(call.request), 'auth' in call.shown])),
          )
        },
        { contextProperty: 'caller' },
      )
      expect((await ask(port, { headers: [direct] })).body).toBe('[true,false]')
    })

    test('throws on an anonymous request and names contextOf', async () => {
      const { port, app } = await start(framework, (app, api) => {
        app.use(api.authenticate({ optional: true }))
        app.route(
          'GET',
          '/',
          handler((call) => call.json(call.shown['auth'])),
        )
        app.route(
          'GET',
          '/keys',
          handler((call) => call.json(Object.keys(call.shown).includes('auth'))),
        )
      })
      expect((await ask(port)).status).toBe(500)
      expect(app.errors).toEqual([
        expect.objectContaining({ name: 'ConfigError', message: expect.stringContaining('contextOf') }),
      ])
      expect((await ask(port, { path: '/keys' })).body).toBe('false')
    })

    test('can be taken by another library; the record stays', async () => {
      const theirs = { user: 'theirs' }
      const before: unknown[] = []
      const { port } = await start(framework, (app, api) => {
        app.use(step((call) => Object.assign(call.shown, { auth: { user: 'before' } })))
        app.use(api.authenticate())
        app.use(step((call) => before.push(call.shown['auth'] === api.contextOf(call.request))))
        app.use(step((call) => Object.assign(call.shown, { auth: theirs })))
        app.route(
          'GET',
          '/',
          api.guard({ kind: 'direct' }),
          handler((call) => call.json([call.shown['auth'] === theirs, api.contextOf(call.request)?.subject.id])),
        )
      })
      expect((await ask(port, { headers: [direct] })).body).toBe('[true,"user-1"]')
      expect(before).toEqual([true])
    })

    test('that another library has locked is a mistake that is told', async () => {
      const { port, app } = await start(framework, (app, api) => {
        app.use(step((call) => Object.defineProperty(call.shown, 'auth', { value: {}, configurable: false })))
        app.use(api.authenticate())
        app.route('GET', '/', hello)
      })
      expect((await ask(port, { headers: [direct] })).status).toBe(500)
      expect(app.errors).toEqual([expect.objectContaining({ message: expect.stringContaining('contextProperty') })])
    })
  })
})

describe('HTTP/2', () => {
  /** Frameworks differ: Koa runs on Node's compatibility API; Express does not, but its middleware here does. */
  const koas = FRAMEWORKS.filter(({ family }) => family === 'koa')
  const bare = (options: ResourceServerOptions) => {
    const api = expressServer(options)
    const authenticate = api.authenticate()
    const guard = api.guard({ scopes: 'orders:read' })
    const listener = (request: IncomingMessage, response: ServerResponse) =>
      authenticate(request, response, () =>
        guard(request, response, () => response.end(JSON.stringify(api.contextOf(request)?.subject.id))),
      )
    return listener
  }
  const onKoa = (framework: Framework) => (options: ResourceServerOptions) => {
    const api = framework.resourceServer(options)
    const app = framework.application()
    app.use(api.authenticate(), api.guard({ scopes: 'orders:read' }))
    app.use(framework.handler((call) => call.json(api.contextOf(call.request)?.subject.id)))
    return app.listener()
  }

  test.each([
    ["Express's middleware on a bare server", bare] as const,
    ...koas.map((framework) => [framework.name, onKoa(framework)] as const),
  ])('%s', async (_name, listenerOf) => {
    const sink = memorySink()
    const server = createHttp2Server(listenerOf(optionsOf(sink)) as never)
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const session = connectHttp2(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
    const askHttp2 = (headers: Readonly<Record<string, string>>) =>
      new Promise<{ readonly headers: Readonly<Record<string, unknown>>; readonly body: string }>((resolve, reject) => {
        const stream = session.request({ ':path': '/?q=1', ...headers })
        const chunks: Buffer[] = []
        let answered: Readonly<Record<string, unknown>> = {}
        stream.on('response', (answer) => {
          answered = answer
        })
        stream.on('data', (chunk: Buffer) => chunks.push(chunk))
        stream.on('error', reject)
        stream.on('end', () => resolve({ headers: answered, body: Buffer.concat(chunks).toString() }))
        stream.end()
      })
    const refused = await askHttp2({})
    expect(refused.headers).toMatchObject({ ':status': 401, 'www-authenticate': 'Bearer', 'cache-control': 'no-store' })
    expect(JSON.parse(refused.body)).toMatchObject({ code: 'credentials_missing' })

    const admitted = await askHttp2({ authorization: delegated[1], 'user-agent': 'h2' })
    expect([admitted.headers[':status'], admitted.body]).toEqual([200, '"user-1"'])
    expect(await outcomeOf(sink)).toMatchObject({
      result: 'completed',
      http: { method: 'GET', status: 200 },
      net: { peer: '127.0.0.1', userAgent: 'h2' },
    })

    const forbidden = await askHttp2({ authorization: bearer(issuer.token({ claims: { scope: 'profile' } }))[1] })
    expect(forbidden.headers).toMatchObject({ ':status': 403, 'content-type': 'application/problem+json' })
    session.close()
    await new Promise((resolve) => server.close(resolve))
  })
})

function thrown(error: Error): never {
  throw error
}
