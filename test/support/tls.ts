/** APIs behind TLS that asks for client certificates, over HTTP/1.1 and HTTP/2, and clients that have one, or none. */
import type { RequestListener } from 'node:http'
import { connect as connectHttp2, createSecureServer } from 'node:http2'
import { Agent, createServer, request } from 'node:https'
import type { AddressInfo, Server, Socket } from 'node:net'
import { connect as connectTls, type SecureVersion, type TLSSocket } from 'node:tls'
import type { ResourceServerOptions } from '@behalf/core'
import { resourceServer as expressServer } from '@behalf/express'
import { resourceServer as koaServer } from '@behalf/koa'
import express from 'express'
import Koa from 'koa'
import { AUTHORITY, type Certificate, SERVER_CERTIFICATE } from './certificates.js'
import type { Answer } from './request.js'

type Protocol = 'HTTP/1.1' | 'HTTP/2'

/** How the server asks for certificates. */
export interface TlsServerOptions {
  /** Ends connections without a certificate that the authority vouches for. Default `false`. */
  readonly rejectUnauthorized?: boolean
}

export interface TlsClientOptions {
  /** The only TLS version that is spoken. Default: the newest. */
  readonly version?: SecureVersion
  /** A session to be resumed. */
  readonly session?: Buffer
}

/** One connection, kept alive. */
export interface TlsClient {
  /** Whether its session was resumed. */
  readonly resumed: boolean
  readonly version: string | null
  /** A session by which another connection can resume this one. */
  readonly session: Promise<Buffer>
  ask(headers: Readonly<Record<string, string>>): Promise<Answer>
  close(): void
}

/** A running API: `GET /` answers with the context of its caller. */
export interface TlsDoor {
  /** How often the handler ran. */
  readonly ran: number
  /** Connections that are open now, as the server sees them. */
  readonly connections: number
  /** Connects; rejects where the server does not let the client in. */
  connect(certificate: Certificate | null, options?: TlsClientOptions): Promise<TlsClient>
  /** One question on a connection of its own. */
  ask(certificate: Certificate | null, headers: Readonly<Record<string, string>>): Promise<Answer>
  close(): Promise<void>
}

interface TlsDoorKind {
  readonly name: string
  readonly open: (options: ResourceServerOptions, tls?: TlsServerOptions) => Promise<TlsDoor>
}

type Build = (options: ResourceServerOptions, handlerRan: () => void) => RequestListener

const buildExpress: Build = (options, handlerRan) => {
  const api = expressServer(options)
  return express().get('/', api.authenticate(), (request, response) => {
    handlerRan()
    response.json(api.contextOf(request))
  })
}

/** Express itself does not run on HTTP/2, but its middleware does. */
const buildBare: Build = (options, handlerRan) => {
  const api = expressServer(options)
  const authenticate = api.authenticate()
  return (request, response) =>
    authenticate(request, response, () => {
      handlerRan()
      response.end(JSON.stringify(api.contextOf(request)))
    })
}

const buildKoa: Build = (options, handlerRan) => {
  const api = koaServer(options)
  return new Koa()
    .use(api.authenticate())
    .use((context) => {
      handlerRan()
      context.body = JSON.stringify(api.contextOf(context))
    })
    .callback()
}

/** Both adapters on both protocols, for `describe.each`. */
export const TLS_DOORS: readonly TlsDoorKind[] = [
  { name: 'Express 5, HTTP/1.1', open: (options, tls) => open(buildExpress, 'HTTP/1.1', options, tls) },
  { name: 'Koa 3, HTTP/1.1', open: (options, tls) => open(buildKoa, 'HTTP/1.1', options, tls) },
  { name: "Express's middleware, HTTP/2", open: (options, tls) => open(buildBare, 'HTTP/2', options, tls) },
  { name: 'Koa 3, HTTP/2', open: (options, tls) => open(buildKoa, 'HTTP/2', options, tls) },
]

async function open(
  build: Build,
  protocol: Protocol,
  options: ResourceServerOptions,
  { rejectUnauthorized = false }: TlsServerOptions = {},
): Promise<TlsDoor> {
  let ran = 0
  const listener = build(options, () => {
    ran++
  })
  const { certificate: cert, key } = SERVER_CERTIFICATE
  const secured = { cert, key, ca: AUTHORITY, requestCert: true, rejectUnauthorized }
  const server: Server =
    protocol === 'HTTP/1.1'
      ? createServer(secured, listener)
      : // Node's types have listeners of HTTP/2 apart; frameworks use what both have.
        createSecureServer(secured, listener as unknown as Parameters<typeof createSecureServer>[1])
  const sockets = new Set<Socket>()
  server.on('connection', (socket: Socket) => sockets.add(socket.once('close', () => sockets.delete(socket))))
  server.on('tlsClientError', () => {}) // a client that is not let in
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const connect: TlsDoor['connect'] = async (client, clientOptions) => {
    const { socket, session } = await handshake(port, protocol, client, clientOptions)
    return (protocol === 'HTTP/1.1' ? overHttp1 : overHttp2)(socket, session)
  }
  return {
    get ran() {
      return ran
    },
    get connections() {
      return sockets.size
    },
    connect,
    async ask(client, headers) {
      const connection = await connect(client)
      try {
        return await connection.ask(headers)
      } finally {
        connection.close()
      }
    },
    close: () =>
      new Promise((resolve, reject) => {
        server.close((error) => (error ? reject(error) : resolve()))
        for (const socket of sockets) socket.destroy()
      }),
  }
}

interface Secured {
  readonly socket: TLSSocket
  readonly session: Promise<Buffer>
}

function handshake(
  port: number,
  protocol: Protocol,
  client: Certificate | null,
  { version, session: resumed }: TlsClientOptions = {},
): Promise<Secured> {
  return new Promise((resolve, reject) => {
    const socket = connectTls({
      host: '127.0.0.1',
      port,
      ca: AUTHORITY,
      ALPNProtocols: [protocol === 'HTTP/1.1' ? 'http/1.1' : 'h2'],
      ...(client !== null && { cert: client.certificate, key: client.key }),
      ...(version !== undefined && { minVersion: version, maxVersion: version }),
      ...(resumed !== undefined && { session: resumed }),
    })
    const session = new Promise<Buffer>((resolveSession) => socket.once('session', resolveSession))
    socket.once('secureConnect', () => resolve({ socket, session }))
    socket.once('error', reject)
    socket.once('close', () => reject(new Error('the connection was closed')))
  })
}

const stateOf = (socket: TLSSocket) => ({ resumed: socket.isSessionReused(), version: socket.getProtocol() })

function overHttp1(socket: TLSSocket, session: Promise<Buffer>): TlsClient {
  const agent = Object.assign(new Agent({ keepAlive: true, maxSockets: 1 }), { createConnection: () => socket })
  return {
    ...stateOf(socket),
    session,
    ask: (headers) =>
      new Promise((resolve, reject) => {
        const outgoing = request({ agent, headers: { host: 'localhost', ...headers } }, (incoming) => {
          const chunks: Buffer[] = []
          incoming.on('data', (chunk: Buffer) => chunks.push(chunk))
          incoming.on('end', () =>
            resolve({ status: incoming.statusCode ?? 0, headers: incoming.headers, text: Buffer.concat(chunks).toString() }),
          )
        })
        outgoing.on('error', reject)
        outgoing.end()
      }),
    close: () => socket.destroy(),
  }
}

function overHttp2(socket: TLSSocket, session: Promise<Buffer>): TlsClient {
  const connection = connectHttp2('https://localhost', { createConnection: () => socket })
  connection.on('error', () => {}) // told by the streams too
  return {
    ...stateOf(socket),
    session,
    ask: (headers) =>
      new Promise((resolve, reject) => {
        const stream = connection.request({ ':path': '/', ...headers })
        const chunks: Buffer[] = []
        let answer: Omit<Answer, 'text'> | null = null
        stream.on('response', ({ ':status': status, ...named }) => {
          answer = { status: Number(status), headers: named as Answer['headers'] }
        })
        stream.on('data', (chunk: Buffer) => chunks.push(chunk))
        stream.on('error', reject)
        stream.on('close', () =>
          answer === null
            ? reject(new Error('the connection was closed'))
            : resolve({ ...answer, text: Buffer.concat(chunks).toString() }),
        )
      }),
    close: () => connection.destroy(),
  }
}
