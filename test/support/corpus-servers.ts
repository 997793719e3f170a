import { Agent, createServer, type IncomingHttpHeaders, type RequestListener, request } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { DelegationRule, IssuerOptions, ResourceServerOptions } from '@behalf/core'
import * as forExpress from '@behalf/express'
import * as forKoa from '@behalf/koa'
import { memorySink } from '@behalf/testing'
import express from 'express'
import Koa from 'koa'
import { type Seal, sealFor } from './encryption.js'
import { withSwitchedOn } from './switched-on.js'

export interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

/** A real server that answers every request with the context it was given. */
export interface ContextServer {
  /** How a token is shown to this server. */
  readonly seal: Seal
  /** Asks with an `Authorization` field, and others. */
  ask(authorization: string, more?: Readonly<Record<string, string>>): Promise<Answer>
  close(): Promise<void>
}

export type AdapterName = 'express' | 'koa'

export interface ContextServerOptions {
  readonly adapter: AdapterName
  readonly issuer: IssuerOptions
  readonly rule: DelegationRule
  /** Milliseconds since the epoch. */
  readonly now: () => number
  readonly clockToleranceSeconds: number
  /** Further options of the server. */
  readonly more?: Partial<ResourceServerOptions>
}

/** Room for the longest token of the corpus: what is too long is the resource server's to say. */
const MAX_HEADER_BYTES = 4 * 1024 * 1024

export async function startContextServer(options: ContextServerOptions): Promise<ContextServer> {
  const { adapter, issuer, rule, now, clockToleranceSeconds, more } = options
  const all = withSwitchedOn({
    issuers: [issuer],
    delegation: [rule],
    audit: { sinks: [memorySink()] },
    now,
    clockToleranceSeconds,
    ...more,
  })
  const { listener, close } = LISTENERS[adapter](all)
  const server = createServer({ maxHeaderSize: MAX_HEADER_BYTES }, listener)
  server.keepAliveTimeout = 0 // the agent keeps its connections for as long as it likes
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(0, '127.0.0.1', resolve)
  })
  const agent = new Agent({ keepAlive: true })
  const { port } = server.address() as AddressInfo
  return {
    seal: sealFor(all),
    ask: (authorization, more = {}) =>
      new Promise((resolve, reject) => {
        const call = request(
          { agent, host: '127.0.0.1', port, path: '/', headers: { authorization, ...more } },
          async (response) => {
            const chunks: Buffer[] = []
            for await (const chunk of response) chunks.push(chunk as Buffer)
            resolve({ status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(chunks).toString() })
          },
        )
        call.once('error', reject)
        call.end()
      }),
    async close() {
      agent.destroy()
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
      await close()
    },
  }
}

interface Listener {
  readonly listener: RequestListener
  readonly close: () => Promise<void>
}

const LISTENERS: Readonly<Record<AdapterName, (options: ResourceServerOptions) => Listener>> = {
  express(options) {
    const api = forExpress.resourceServer(options)
    const app = express()
    app.use(api.authenticate())
    app.get('/', (req, res) => {
      res.json(api.contextOf(req))
    })
    return { listener: app, close: () => api.close() }
  },
  koa(options) {
    const api = forKoa.resourceServer(options)
    const app = new Koa()
    app.use(api.authenticate())
    app.use((ctx) => {
      ctx.body = api.contextOf(ctx)
    })
    return { listener: app.callback(), close: () => api.close() }
  },
}
