import { Agent, createServer, type IncomingHttpHeaders, type RequestListener, request } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { AuthContext, Requirement, ResourceServerOptions } from '@behalf/core'
import { resourceServer as expressServer } from '@behalf/express'
import { resourceServer as koaServer } from '@behalf/koa'
import Router from '@koa/router'
import express from 'express'
import Koa from 'koa'

/** A route of a test API: it answers with the context of its caller. */
export interface Route {
  readonly method: 'GET' | 'POST'
  readonly path: string
  /** Given: a guard with this requirement. */
  readonly requirement?: Requirement
  /** `none`: the route forgets to authenticate. Default `required`. */
  readonly authenticate?: 'required' | 'optional' | 'none'
}

/** An HTTP answer, read whole. */
export interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly text: string
}

/** What one request presents. */
interface Presented {
  /** Stands in `Authorization: Bearer`. */
  readonly token?: string
  /** `Authorization` field lines, as they are. */
  readonly authorization?: readonly string[]
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
}

/** A running API behind one framework. */
export interface Door {
  readonly url: string
  /** How often a handler ran. */
  readonly ran: number
  ask(path: string, presented?: Presented): Promise<Answer>
  close(): Promise<void>
}

/** Opens an API with one framework. */
export type OpenDoor = (options: ResourceServerOptions, routes: readonly Route[]) => Promise<Door>

/** Larger than Node's default, so that the limit for tokens is ours and not Node's. */
const MAX_HEADER_BYTES = 64 * 1024

const openExpress: OpenDoor = (options, routes) => {
  const api = expressServer(options)
  const app = express()
  app.set('env', 'test') // keeps Express's error handler from printing
  return listen((handlerRan) => {
    for (const { method, path, requirement, authenticate } of routes) {
      const steps = [
        ...(authenticate === 'none' ? [] : [api.authenticate({ optional: authenticate === 'optional' })]),
        ...(requirement === undefined ? [] : [api.guard(requirement)]),
      ]
      app[method === 'GET' ? 'get' : 'post'](path, ...steps, (req, res) => {
        handlerRan()
        res.json(api.contextOf(req))
      })
    }
    return app
  })
}

const openKoa: OpenDoor = (options, routes) => {
  const api = koaServer(options)
  const app = new Koa()
  app.silent = true
  const router = new Router()
  return listen((handlerRan) => {
    for (const { method, path, requirement, authenticate } of routes) {
      const steps = [
        ...(authenticate === 'none' ? [] : [api.authenticate({ optional: authenticate === 'optional' })]),
        ...(requirement === undefined ? [] : [api.guard(requirement)]),
      ] as Koa.Middleware[]
      router[method === 'GET' ? 'get' : 'post'](path, ...steps, (context: Koa.Context) => {
        handlerRan()
        context.type = 'json'
        context.body = JSON.stringify(api.contextOf(context))
      })
    }
    app.use(router.routes())
    return app.callback()
  })
}

/** Both doors, for `describe.each`. */
export const DOORS: readonly { readonly name: string; readonly open: OpenDoor }[] = [
  { name: 'Express 5', open: openExpress },
  { name: 'Koa 3', open: openKoa },
]

async function listen(listenerOf: (handlerRan: () => void) => RequestListener): Promise<Door> {
  let ran = 0
  const listener = listenerOf(() => {
    ran++
  })
  const agent = new Agent({ keepAlive: true, maxSockets: 8 })
  const server = createServer({ maxHeaderSize: MAX_HEADER_BYTES }, listener)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}`,
    get ran() {
      return ran
    },
    ask: (path, presented = {}) => ask(agent, port, path, presented),
    close: () =>
      new Promise((resolve, reject) => {
        agent.destroy()
        server.close((error) => (error ? reject(error) : resolve()))
        server.closeAllConnections()
      }),
  }
}

function ask(agent: Agent, port: number, path: string, presented: Presented): Promise<Answer> {
  const { token, method = 'GET', headers = {}, body } = presented
  const lines = presented.authorization ?? (token === undefined ? [] : [`Bearer ${token}`])
  // A raw list: it can hold one field name twice.
  const raw = [
    ...['host', `127.0.0.1:${port}`],
    ...lines.flatMap((line) => ['authorization', line]),
    ...Object.entries(headers).flat(),
    ...(body === undefined ? [] : ['content-length', String(Buffer.byteLength(body))]),
  ]
  return new Promise((resolve, reject) => {
    const outgoing = request({ agent, host: '127.0.0.1', port, path, method, headers: raw }, (incoming) => {
      const chunks: Buffer[] = []
      incoming.on('data', (chunk: Buffer) => chunks.push(chunk))
      incoming.on('error', reject)
      incoming.on('end', () => {
        resolve({ status: incoming.statusCode ?? 0, headers: incoming.headers, text: Buffer.concat(chunks).toString('utf8') })
      })
    })
    outgoing.on('error', reject)
    outgoing.end(body)
  })
}

/** The code of a refusal; `null` for any other answer. */
export function codeOf(answer: Answer): string | null {
  if (answer.headers['content-type'] !== 'application/problem+json') return null
  return (JSON.parse(answer.text) as { code: string }).code
}

/** Status and code of an answer as one word, so that a failing test shows both. */
export function outcomeOf(answer: Answer): string {
  const code = codeOf(answer)
  return code === null ? String(answer.status) : `${answer.status} ${code}`
}

/** The context that a route answered with. */
export function contextIn(answer: Answer): AuthContext {
  if (answer.status !== 200) throw new Error(`no context, but ${outcomeOf(answer)}`)
  return JSON.parse(answer.text) as AuthContext
}
