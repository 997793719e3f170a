import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'

/** How the server answers a request. */
export type Answer = (request: IncomingMessage, response: ServerResponse) => void

/** A loopback server for keys and metadata whose every answer is the test's, and which counts what it is asked and what it sends. */
export interface KeyServer {
  readonly origin: string
  /** Where the tests' issuers say that their keys are. */
  readonly jwksUri: string
  /** Paths that were asked for, in order. */
  readonly asked: string[]
  /** `If-None-Match` of each request, `null` where it had none. */
  readonly etags: (string | null)[]
  /** Bytes handed over to sockets since the server began. */
  readonly sentBytes: number
  answer: Answer
  /** Resolves when every response has ended, or its connection has. */
  idle(): Promise<void>
  /** Forgets what it was asked, and answers with 404. */
  reset(): void
  close(): Promise<void>
}

export async function createKeyServer(): Promise<KeyServer> {
  const open = new Set<Promise<unknown>>()
  const sockets: Socket[] = []
  const server = createServer((request, response) => {
    keyServer.asked.push(request.url ?? '')
    keyServer.etags.push(request.headers['if-none-match'] ?? null)
    const closed: Promise<unknown> = once(response, 'close').then(() => open.delete(closed))
    open.add(closed)
    keyServer.answer(request, response)
  })
  server.on('connection', (socket) => sockets.push(socket))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const keyServer: KeyServer = {
    origin,
    jwksUri: `${origin}/jwks`,
    asked: [],
    etags: [],
    get sentBytes() {
      return sockets.reduce((sum, { bytesWritten }) => sum + bytesWritten, 0)
    },
    answer: status(404),
    async idle() {
      await Promise.all(open)
    },
    reset() {
      keyServer.asked.length = 0
      keyServer.etags.length = 0
      keyServer.answer = status(404)
    },
    async close() {
      server.close()
      server.closeAllConnections()
      await once(server, 'close')
    },
  }
  return keyServer
}

/** 200 with a document, or with a text as it is. */
export function json(body: unknown, headers: Record<string, string> = {}): Answer {
  const text = typeof body === 'string' ? body : JSON.stringify(body)
  return (_request, response) => response.writeHead(200, { 'content-type': 'application/json', ...headers }).end(text)
}

/** 200 with a document of a version; 304 to whoever has it. */
export function versioned(etag: string, body: unknown, headers: Record<string, string> = {}): Answer {
  return (request, response) => {
    if (request.headers['if-none-match'] === etag) response.writeHead(304, { etag, ...headers }).end()
    else json(body, { etag, ...headers })(request, response)
  }
}

/** Any status, with a body where it can have one. */
export function status(code: number, headers: Record<string, string> = {}, body = '{}'): Answer {
  return (_request, response) => response.writeHead(code, headers).end(code === 204 || code === 304 ? undefined : body)
}

/** Documents by path; everything else is not found. */
export function documents(found: Readonly<Record<string, unknown>>): Answer {
  return (request, response) => {
    const document = found[request.url ?? '']
    if (document === undefined) status(404)(request, response)
    else if (typeof document === 'function') document(request, response)
    else json(document)(request, response)
  }
}

/** Takes the request, and never answers. */
export const hang: Answer = () => {}

/** Closes the connection instead of answering. */
export const reset: Answer = (request) => request.socket.destroy()

/** Closes the connection in the middle of the body. */
export const cutOff: Answer = (request, response) => {
  response.writeHead(200, { 'content-length': '1000' }).write('{"keys":[', () => request.socket.destroy())
}

/** Answers with headers and a beginning, and nothing after that. */
export const trickle: Answer = (_request, response) => {
  response.writeHead(200).write('{"keys":')
}

/** Sends blanks as fast as they are taken, up to a number of bytes. */
export function flood(bytes: number): Answer {
  const chunk = Buffer.alloc(64 * 1024, ' ')
  return (_request, response) => {
    let left = bytes
    const send = () => {
      while (left > 0) {
        left -= chunk.length
        if (!response.write(chunk)) return
      }
      response.end()
    }
    response.on('drain', send)
    send()
  }
}
