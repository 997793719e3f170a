/**
 * Recorded calls over HTTP/2. Node's compatibility API looks like HTTP/1.1, but its responses end otherwise: an answer to HEAD is
 * finished before it has begun, an aborted one "finishes" too, and overriding the method overrides its header field.
 */
import type { IncomingMessage, RequestListener } from 'node:http'
import { PassThrough, type Readable } from 'node:stream'
import type { AuditEvent, ResourceServerOptions } from '@behalf/core'
import { resourceServer as expressServer } from '@behalf/express'
import { createTestIssuer, type MemorySink, memorySink } from '@behalf/testing'
import { afterAll, afterEach, describe, expect, test } from 'vitest'
import { deferred } from './support/deferred.js'
import { abandon, connectHttp2, type Http2Connection } from './support/http2.js'
import { FRAMEWORKS } from './support/servers.js'

const issuer = await createTestIssuer({ algorithms: ['EdDSA'] })
const delegated = { authorization: `Bearer ${issuer.token({ claims: { act: { sub: 'agent-1' } } })}` }
afterAll(() => issuer.close())

const closing: { close(): Promise<unknown> }[] = []
afterEach(async () => {
  for (const each of closing.splice(0)) await each.close()
})

/** What a handler can do here, on every framework. */
interface Call {
  readonly request: IncomingMessage
  text(body: string): void
  stream(body: Readable): void
}

interface Application {
  /** Middleware before `authenticate()`. */
  readonly before?: (call: Pick<Call, 'request'> & { readonly ended: Promise<void> }) => void
  readonly handle: (call: Call) => unknown
}

type Build = (options: ResourceServerOptions, application: Application) => RequestListener

/** Settles when the stream of a response has ended, however it did. */
function endOf(response: object): Promise<void> {
  const { stream } = response as { readonly stream: Readable }
  return new Promise((resolve) => stream.once('close', () => resolve()))
}

const bare: Build = (options, { before, handle }) => {
  const authenticate = expressServer(options).authenticate()
  return (request, response) => {
    before?.({ request, ended: endOf(response) })
    authenticate(request, response, () => {
      const text = (body: string) => void response.end(body)
      handle({ request, text, stream: (body) => void body.pipe(response) })
    })
  }
}

const BUILDS: readonly (readonly [name: string, build: Build])[] = [
  // Express itself does not run on HTTP/2, but its middleware does.
  ["Express's middleware on a bare server", bare],
  ...FRAMEWORKS.filter(({ family }) => family === 'koa').map((framework): readonly [string, Build] => [
    framework.name,
    (options, { before, handle }) => {
      const app = framework.application()
      app.use(framework.step(({ request, response }) => before?.({ request, ended: endOf(response) })))
      app.use(framework.resourceServer(options).authenticate())
      app.use(framework.handler(({ request, json, stream }) => handle({ request, text: json, stream })))
      return app.listener()
    },
  ]),
]

describe.each(BUILDS)('%s', (name, build) => {
  async function start(
    application: Application,
    rule: Partial<NonNullable<ResourceServerOptions['delegation']>[number]> = {},
  ): Promise<{ readonly client: Http2Connection; readonly sink: MemorySink }> {
    const sink = memorySink()
    const options: ResourceServerOptions = {
      issuers: [issuer.options({ jwks: issuer.jwks() })],
      delegation: [{ id: 'agents', kind: 'delegation', actor: 'any', scopes: 'all', ...rule }],
      audit: { sinks: [sink] },
    }
    const client = await connectHttp2(build(options, application))
    closing.push(client)
    return { client, sink }
  }

  const isOutcome = ({ type }: AuditEvent) => type === 'access.outcome'
  const resultsOf = ({ events }: MemorySink) => events.filter(isOutcome).map(({ result }) => result)

  // Koa 2 takes an answer to HEAD over HTTP/2 for one that has ended, and never sends it.
  const methods = ['GET', 'HEAD', 'POST', 'DELETE'].filter((method) => method !== 'HEAD' || name !== 'Koa 2')

  test.each(methods)('%s reaches its handler, and is completed', async (method) => {
    let ran = 0
    const { client, sink } = await start({
      handle({ text }) {
        ran++
        text('hello')
      },
    })
    const answer = await client.ask({ ...delegated, ':method': method })
    expect(answer.status).toBe(200)
    expect(answer.body.includes('hello')).toBe(method !== 'HEAD')
    expect(ran).toBe(1)
    expect(await sink.until(isOutcome)).toMatchObject({ result: 'completed', http: { method, status: 200 } })
    expect(sink.events.map(({ type }) => type)).toEqual(['access.decision', 'access.outcome'])
  })

  test('a streamed answer is completed at its end, and not before', async () => {
    const body = new PassThrough()
    const { client, sink } = await start({ handle: ({ stream }) => stream(body) })
    body.write('first')
    const stream = client.begin(delegated)
    await new Promise((resolve) => stream.once('data', resolve))
    expect(resultsOf(sink)).toEqual([])
    const ended = new Promise((resolve) => stream.once('end', resolve))
    stream.resume()
    body.end('last')
    await ended
    expect(await sink.until(isOutcome)).toMatchObject({ result: 'completed', http: { status: 200 } })
    expect(resultsOf(sink)).toEqual(['completed'])
  })

  test.each([
    ['a reset', (stream: ReturnType<Http2Connection['begin']>) => abandon(stream)],
    ['a cut connection', (_: unknown, client: Http2Connection) => client.cut()],
  ] as const)('%s while the handler runs is aborted, and stays so when the handler answers', async (_what, leave) => {
    const running = deferred()
    const answered = deferred()
    const over = deferred()
    const { client, sink } = await start({
      async handle({ text }) {
        running.resolve()
        await answered.promise
        text('too late')
        over.resolve()
      },
    })
    const stream = client.begin(delegated)
    await running.promise
    leave(stream, client)
    expect(await sink.until(isOutcome)).toMatchObject({ result: 'aborted' })
    answered.resolve()
    await over.promise
    await new Promise((resolve) => setImmediate(resolve))
    expect(resultsOf(sink)).toEqual(['aborted'])
  })

  test.each([
    ['a reset', (stream: ReturnType<Http2Connection['begin']>) => abandon(stream)],
    ['a cut connection', (_: unknown, client: Http2Connection) => client.cut()],
  ] as const)('%s in the middle of a stream is aborted', async (_what, leave) => {
    const body = new PassThrough()
    const { client, sink } = await start({ handle: ({ stream }) => stream(body) })
    body.write('first')
    const stream = client.begin(delegated)
    await new Promise((resolve) => stream.once('data', resolve))
    leave(stream, client)
    expect(await sink.until(isOutcome)).toMatchObject({ result: 'aborted', http: { status: 200 } })
    expect(resultsOf(sink)).toEqual(['aborted'])
    body.destroy()
  })

  test('a reset while an answer that the handler has ended is still on its way is aborted', async () => {
    // More than the window of a client that does not read.
    const { client, sink } = await start({ handle: ({ text }) => text('x'.repeat(1_000_000)) })
    const stream = client.begin(delegated)
    await new Promise((resolve) => stream.once('response', resolve))
    abandon(stream)
    expect(await sink.until(isOutcome)).toMatchObject({ result: 'aborted', http: { status: 200 } })
  })

  test('a reset before the handler: it does not run', async () => {
    let ran = 0
    const asked = deferred()
    let ended = Promise.resolve()
    const { client, sink } = await start(
      {
        before(call) {
          ended = call.ended
        },
        handle: () => ran++,
      },
      {
        async when() {
          asked.resolve()
          await ended
          return true
        },
      },
    )
    const stream = client.begin(delegated)
    await asked.promise
    abandon(stream)
    expect(await sink.until(isOutcome)).toMatchObject({ result: 'not_run', http: { status: null } })
    expect(ran).toBe(0)
  })

  test.each([
    ['POST', 'GET'],
    ['GET', 'DELETE'],
  ])('%s on the wire, overridden to %s before authenticate(): the stricter counts', async (wire, method) => {
    let ran = 0
    const override = ({ request }: Pick<Call, 'request'>) => {
      request.method = method
    }
    const handle = ({ text }: Call) => {
      ran++
      text('hello')
    }
    const { client } = await start({ before: override, handle }, { methods: 'safe' })
    const answer = await client.ask({ ...delegated, ':method': wire })
    expect([answer.status, JSON.parse(answer.body).code]).toEqual([403, 'method_not_delegated'])
    expect(ran).toBe(0)
  })

  test('GET stays GET under the same rule', async () => {
    const { client } = await start({ handle: ({ text }) => text('hello') }, { methods: 'safe' })
    expect((await client.ask({ ...delegated, ':method': 'GET' })).status).toBe(200)
  })
})
