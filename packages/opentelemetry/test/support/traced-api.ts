/** An API on a real server whose requests are traced as the HTTP instrumentation of OpenTelemetry does it: around the listener. */
import { randomUUID } from 'node:crypto'
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'
import type { ResourceServerOptions } from '@behalf/core'
import type { Attributes } from '@opentelemetry/api'
import { type Framework, startApi, type TestServer } from '../../../../test/support/servers.js'
import type { Traced } from './measured.js'

/** What came of a request. */
interface Told {
  readonly status: number
  /** `code` of the problem document, `null` where the answer is none. */
  readonly code: string | null
  /** Attributes of its span. */
  readonly span: Attributes
}

export interface TracedApi {
  readonly api: TestServer
  /** Asks, and waits until the response has closed and its span has ended. */
  ask(token: string | null, request?: { method?: string; path?: string; headers?: Record<string, string> }): Promise<Told>
  close(): Promise<void>
}

/**
 * `GET /orders/:id` and `POST /orders` are guarded by a scope each. `GET /open` takes anonymous calls too, `GET /members` lets a guard
 * refuse them; the check of `GET /failing` throws.
 */
export async function startTraced(framework: Framework, options: ResourceServerOptions, traced: Traced): Promise<TracedApi> {
  const running = await startApi(framework, options, (app, api, { handler }) => {
    const done = handler((call) => call.json({ done: true }))
    app.route('GET', '/open', api.authenticate({ optional: true }), done)
    app.route('GET', '/members', api.authenticate({ optional: true }), api.guard(), done)
    app.route('GET', '/failing', api.authenticate(), api.guard({ check: failing }), done)
    app.route('GET', '/orders/:id', api.authenticate(), api.guard({ scopes: 'orders:read' }), done)
    app.route('POST', '/orders', api.authenticate(), api.guard({ scopes: 'orders:write' }), done)
  })
  const closed = new Map<string, () => void>()
  const [listener] = running.server.listeners('request') as RequestListener[]
  running.server.removeAllListeners('request')
  running.server.on('request', (request: IncomingMessage, response: ServerResponse & { req: IncomingMessage }) => {
    const name = String(request.headers['x-span'])
    traced.tracer.startActiveSpan(name, (span) => {
      response.once('close', () => {
        span.end()
        closed.get(name)?.()
        closed.delete(name)
      })
      listener?.(request, response)
    })
  })
  return {
    api: running.api,
    async ask(token, { method = 'GET', path = '/orders/1', headers = {} } = {}) {
      const name = randomUUID()
      const end = new Promise<void>((resolve) => closed.set(name, resolve))
      const credentials = token === null ? {} : { authorization: `Bearer ${token}` }
      const answer = await fetch(`${running.url}${path}`, { method, headers: { ...headers, ...credentials, 'x-span': name } })
      const body = (await answer.json()) as { readonly code?: string }
      await end
      return { status: answer.status, code: body.code ?? null, span: traced.attributesOf(name) }
    },
    async close() {
      await running.api.close()
      await running.close()
    },
  }
}

function failing(): never {
  throw new Error('this check always throws')
}
