/** The introspection endpoint of an authorization server, over real HTTP, whose every answer is the test's: honest, late, or a lie. */
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer as createSecureServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { JsonObject, JsonValue } from '@behalf/core'
import { type SigningKey, signCompact } from '@behalf/testing'
import type { Certificate } from './certificates.js'

export const JSON_TYPE = 'application/json'
export const SIGNED_TYPE = 'application/token-introspection+jwt'

/** What the endpoint was asked. */
export interface Question {
  readonly method: string
  readonly path: string
  readonly headers: IncomingMessage['headers']
  readonly body: string
  readonly form: URLSearchParams
  /** The token that it is about. */
  readonly token: string
}

/** How it answers. Answers of key servers in tests fit too: they look at the request alone. */
export type Reply = (request: IncomingMessage, response: ServerResponse, question: Question) => void

/** Answers that wait for the test. */
interface Held {
  readonly waiting: number
  /** Lets those go that wait now; whatever comes later waits again. */
  release(): void
}

export interface IntrospectionServer {
  readonly origin: string
  readonly endpoint: string
  /** In order. */
  readonly questions: Question[]
  /** Tokens that it was asked about, in order. */
  readonly asked: readonly string[]
  reply: Reply
  /** From now on holds every answer until the test lets it go. */
  hold(reply: Reply): Held
  /** Resolves when every response has ended, or its connection has. */
  idle(): Promise<void>
  /** Forgets what it was asked; every token is inactive. */
  reset(): void
  close(): Promise<void>
}

/** @param tls its certificate; without one it speaks plain HTTP */
export async function createIntrospectionServer(tls?: Certificate): Promise<IntrospectionServer> {
  const open = new Set<Promise<unknown>>()
  const listener = (request: IncomingMessage, response: ServerResponse) => {
    const closed: Promise<unknown> = once(response, 'close').then(() => open.delete(closed))
    open.add(closed)
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const body = Buffer.concat(chunks).toString('utf8')
      const form = new URLSearchParams(body)
      const { method = '', url: path = '', headers } = request
      const question = { method, path, headers, body, form, token: form.get('token') ?? '' }
      self.questions.push(question)
      self.reply(request, response, question)
    })
  }
  const server =
    tls === undefined ? createServer(listener) : createSecureServer({ cert: tls.certificate, key: tls.key }, listener)
  server.on('tlsClientError', () => {}) // a client that does not trust it
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const origin = `${tls === undefined ? 'http' : 'https'}://127.0.0.1:${(server.address() as AddressInfo).port}`
  const self: IntrospectionServer = {
    origin,
    endpoint: `${origin}/introspect`,
    questions: [],
    get asked() {
      return self.questions.map(({ token }) => token)
    },
    reply: says({ active: false }),
    hold(reply) {
      const waiting: (() => void)[] = []
      self.reply = (request, response, question) => waiting.push(() => reply(request, response, question))
      return {
        get waiting() {
          return waiting.length
        },
        release() {
          for (const go of waiting.splice(0)) go()
        },
      }
    },
    async idle() {
      await Promise.all(open)
    },
    reset() {
      self.questions.length = 0
      self.reply = says({ active: false })
    },
    async close() {
      server.close()
      server.closeAllConnections()
      await once(server, 'close')
    },
  }
  return self
}

/** A body with a status and a media type. */
export function sends(body: string, contentType: string | null = JSON_TYPE, status = 200): Reply {
  return (_request, response) => {
    response.writeHead(status, contentType === null ? {} : { 'content-type': contentType }).end(body)
  }
}

/** Nothing but a status and header fields. */
export function answers(status: number, headers: Readonly<Record<string, string>> = {}): Reply {
  return (_request, response) => response.writeHead(status, headers).end()
}

/** The same answer about every token. */
export function says(answer: JsonValue, contentType: string | null = JSON_TYPE): Reply {
  return sends(JSON.stringify(answer), contentType)
}

/** What it knows of each token; every other one is inactive. */
export function knows(tokens: Readonly<Record<string, JsonObject>>): Reply {
  return (request, response, question) => {
    const known = Object.hasOwn(tokens, question.token) ? tokens[question.token] : undefined
    says(known === undefined ? { active: false } : { active: true, ...known })(request, response, question)
  }
}

type Changes = Readonly<Record<string, JsonValue | undefined>>

/** What a signed answer is made of, and what makes it differ from a good one; `undefined` takes a member away. */
export interface SignedAnswer {
  readonly key: SigningKey
  readonly issuer: string
  /** The API that asks. */
  readonly audience: string
  /** When it is made, in seconds since the epoch. */
  readonly nowSeconds: number
  /** The introspection itself. */
  readonly answer: JsonValue
  readonly header?: Changes
  readonly claims?: Changes
}

/** An answer by RFC 9701. */
export function signedAnswer({ key, issuer, audience, nowSeconds, answer, header, claims }: SignedAnswer): string {
  const all = { typ: 'token-introspection+jwt', alg: key.algorithm, kid: key.kid, ...header }
  const envelope = { iss: issuer, aud: audience, iat: nowSeconds, token_introspection: answer, ...claims }
  return signCompact(JSON.parse(JSON.stringify(all)) as JsonObject, JSON.stringify(envelope), key)
}
