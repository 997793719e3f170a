/**
 * The client of the MCP TypeScript SDK against an MCP server behind behalf. It is told nothing but the server's URL: its own code finds
 * the metadata (RFC 9728), the authorization server (RFC 8414), registers (RFC 7591) and gets a token for the resource (RFC 8707).
 */
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import type { AuthContext, DpopOptions, Requirement, ResourceServerOptions } from '@behalf/core'
import { oauth } from '@behalf/core/issuers'
import { resourceServer as expressServer } from '@behalf/express'
import { resourceServer as koaServer } from '@behalf/koa'
import {
  Client,
  DpopSession,
  type OAuthClientMetadata,
  type OAuthClientProvider,
  type OAuthDiscoveryState,
  type StoredOAuthClientInformation,
  type StoredOAuthTokens,
  StreamableHTTPClientTransport,
  type StreamableHTTPClientTransportOptions,
  UnauthorizedError,
} from '@modelcontextprotocol/client'
import { type NodeIncomingMessageLike, toNodeHandler } from '@modelcontextprotocol/node'
import { createMcpHandler, McpServer } from '@modelcontextprotocol/server'
import express from 'express'
import Koa from 'koa'
import { afterEach, describe, expect, test } from 'vitest'
import { type McpAuthorizationServer, signInAs, startMcpAuthorizationServer } from './support/mcp-authorization-server.js'

const closing: { close(): unknown }[] = []
afterEach(async () => {
  for (const each of closing.splice(0).reverse()) await each.close()
})

const REDIRECT_URI = 'http://127.0.0.1:9/callback' // nobody listens there: the test reads the address

/** The tools, and the scopes that each needs beside those that every call does. */
const TOOLS: Readonly<Record<string, Requirement>> = {
  whoami: {},
  refund: { scopes: 'tools:refund' },
}

const EVERY_CALL: Requirement = { scopes: 'tools:read' }

/** The requirement of the tool that a request calls; `{}` for any other message. */
function requirementOf(body: unknown): Requirement {
  const { method, params } = body as { method?: string; params?: { name?: string } }
  return method === 'tools/call' ? (TOOLS[params?.name ?? ''] ?? {}) : {}
}

/** Answers one request as an MCP server whose tools say who calls. */
function serveMcp(request: IncomingMessage, response: ServerResponse, body: unknown, contextOf: () => AuthContext | null) {
  const handler = createMcpHandler(() => {
    const server = new McpServer({ name: 'orders', version: '1.0.0' })
    for (const name of Object.keys(TOOLS)) {
      server.registerTool(name, { description: name }, () => ({
        content: [{ type: 'text', text: JSON.stringify({ tool: name, context: contextOf() }) }],
      }))
    }
    return server
  })
  return toNodeHandler(handler)(request as NodeIncomingMessageLike, response, body)
}

type Build = (options: ResourceServerOptions) => RequestListener

const buildExpress: Build = (options) => {
  const api = expressServer(options)
  const guards = new Map(Object.values(TOOLS).map((each) => [each, api.guard(each)]))
  const app = express().use(api.metadata(), api.authenticate(), express.json())
  app.all(
    '/mcp',
    api.guard(EVERY_CALL),
    (request, response, next) => (guards.get(requirementOf(request.body ?? {})) ?? api.guard({}))(request, response, next),
    (request, response) => serveMcp(request, response, request.body, () => api.contextOf(request)),
  )
  return app
}

const buildKoa: Build = (options) => {
  const api = koaServer(options)
  const guards = new Map(Object.values(TOOLS).map((each) => [each, api.guard(each)]))
  const app = new Koa().use(api.metadata()).use(api.authenticate()).use(api.guard(EVERY_CALL))
  app.use(async (context) => {
    const sent = context.method === 'POST' ? await text(context.req) : ''
    const body: unknown = sent === '' ? undefined : JSON.parse(sent)
    const guard = guards.get(requirementOf(body ?? {})) ?? api.guard({})
    await guard(context as never, async () => {
      context.respond = false
      await serveMcp(context.req, context.res, body, () => api.contextOf(context))
    })
  })
  return app.callback()
}

interface Flow {
  readonly url: URL
  readonly authorizationServer: McpAuthorizationServer
  /** Status of each answer to a request, as the client's requests came: method, path, scheme of the credentials. */
  readonly exchanges: readonly string[]
}

/** An authorization server, and an MCP server that trusts it. */
async function start(
  build: Build,
  more: { readonly dpop?: DpopOptions; readonly scopes?: readonly string[]; readonly audience?: string } = {},
): Promise<Flow> {
  const exchanges: string[] = []
  let listener: RequestListener = (_request, response) => void response.writeHead(503).end()
  const server = createServer((request, response) => {
    const scheme = request.headers.authorization?.split(' ', 1)[0] ?? 'nobody'
    response.once('finish', () => exchanges.push(`${request.method} ${request.url} ${scheme} ${response.statusCode}`))
    listener(request, response)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const resource = `${origin}/mcp`
  const authorizationServer = await startMcpAuthorizationServer({ [resource]: 'tools:read tools:refund' })
  const { dpop, scopes = ['tools:read'], audience = resource } = more
  listener = build({
    issuers: [oauth({ issuer: authorizationServer.issuer, audience, ...(dpop !== undefined && { dpop: 'require' }) })],
    metadata: { resource, scopesSupported: scopes },
    ...(dpop !== undefined && { dpop, publicOrigins: origin }),
  })
  closing.push(authorizationServer, {
    close: () => {
      server.closeAllConnections()
      return new Promise((resolve) => server.close(resolve))
    },
  })
  return { url: new URL(resource), authorizationServer, exchanges }
}

/** What an application keeps for the SDK, and the person who signs in. It knows no URL but its own. */
class Person implements OAuthClientProvider {
  readonly redirectUrl = REDIRECT_URI
  /** Where the SDK has sent the person, each time. */
  readonly sentTo: URL[] = []
  readonly session: DpopSession | undefined
  discovered: OAuthDiscoveryState | undefined
  #client: StoredOAuthClientInformation | undefined
  #tokens: StoredOAuthTokens | undefined
  #verifier = ''

  constructor(session?: DpopSession) {
    this.session = session
  }

  get clientMetadata(): OAuthClientMetadata {
    return {
      client_name: 'a test',
      redirect_uris: [REDIRECT_URI],
      grant_types: ['authorization_code'],
      response_types: ['code'],
      token_endpoint_auth_method: 'none',
      ...(this.session !== undefined && { dpop_bound_access_tokens: true }),
    }
  }

  clientInformation() {
    return this.#client
  }

  saveClientInformation(client: StoredOAuthClientInformation) {
    this.#client = client
  }

  tokens() {
    return this.#tokens
  }

  saveTokens(tokens: StoredOAuthTokens) {
    this.#tokens = tokens
  }

  redirectToAuthorization(url: URL) {
    this.sentTo.push(url)
  }

  saveCodeVerifier(verifier: string) {
    this.#verifier = verifier
  }

  codeVerifier() {
    return this.#verifier
  }

  discoveryState() {
    return this.discovered
  }

  saveDiscoveryState(state: OAuthDiscoveryState) {
    this.discovered = state
  }

  dpop() {
    return this.session
  }
}

const createClient = () => new Client({ name: 'test', version: '1.0.0' })

function transportTo({ url }: Flow, person: Person, options: StreamableHTTPClientTransportOptions = {}) {
  return new StreamableHTTPClientTransport(url, { ...options, authProvider: person })
}

/** Lets a person sign in where the SDK has sent them, and hands the answer to the SDK. */
async function signIn(transport: StreamableHTTPClientTransport, person: Person): Promise<void> {
  const place = person.sentTo.at(-1)
  if (place === undefined) throw new Error('nobody was sent anywhere')
  await transport.finishAuth(await signInAs(place, REDIRECT_URI))
}

/** Connects as an application does: the first try ends in a sign-in, the second one in a connection. */
async function connect(flow: Flow, person: Person, options?: StreamableHTTPClientTransportOptions): Promise<Client> {
  const first = transportTo(flow, person, options)
  await expect(createClient().connect(first)).rejects.toThrow(UnauthorizedError)
  await signIn(first, person)
  const client = createClient()
  await client.connect(transportTo(flow, person, options))
  closing.push(client)
  return client
}

interface Told {
  readonly tool: string
  readonly context: AuthContext
}

async function call(client: Client, name: string): Promise<Told> {
  const { content } = await client.callTool({ name })
  const [part] = content as readonly { readonly text: string }[]
  return JSON.parse(part?.text ?? 'null') as Told
}

describe.each([
  ['Express', buildExpress],
  ['Koa', buildKoa],
])('%s', (_name, build) => {
  test('[BEHALF-mcp-client] the client walks from a 401 to a tool call, and the tool sees who calls', async () => {
    const flow = await start(build)
    const person = new Person()
    const client = await connect(flow, person)
    const { tool, context } = await call(client, 'whoami')

    const { issuer } = flow.authorizationServer
    expect(tool).toBe('whoami')
    expect(context).toMatchObject({ kind: 'direct', subject: { id: 'ada', issuer }, scopes: ['tools:read'] })
    expect(context.clientId).toBe(person.clientInformation()?.client_id)

    // What it found, and where.
    const { origin, href: resource } = flow.url
    expect(person.discovered).toMatchObject({
      authorizationServerUrl: issuer,
      resourceMetadataUrl: `${origin}/.well-known/oauth-protected-resource/mcp`,
      resourceMetadata: { resource, authorization_servers: [issuer], scopes_supported: ['tools:read'] },
      authorizationServerMetadata: { issuer },
    })
    expect(flow.exchanges.slice(0, 2)).toEqual([
      'POST /mcp nobody 401',
      'GET /.well-known/oauth-protected-resource/mcp nobody 200',
    ])
    expect(flow.authorizationServer.asked.slice(0, 2)).toEqual(['GET /.well-known/oauth-authorization-server', 'POST /reg'])
    // What it asked for, with the resource as the metadata name it.
    expect(Object.fromEntries(person.sentTo[0]?.searchParams ?? [])).toMatchObject({ resource, scope: 'tools:read' })
    expect(person.sentTo).toHaveLength(1)
  })

  test('without resource_metadata in the challenge there is no way to the metadata of another path', async () => {
    const flow = await start(build)
    const answer = await fetch(flow.url, { method: 'POST', body: '{}' })
    expect(answer.headers.get('www-authenticate')).toBe(
      `Bearer resource_metadata="${flow.url.origin}/.well-known/oauth-protected-resource/mcp"`,
    )
    expect((await fetch(`${flow.url.origin}/.well-known/oauth-protected-resource`)).status).toBe(401)
  })

  test('[BEHALF-mcp-step-up] a tool that needs more scopes: 403 names them, and the client steps up', async () => {
    const flow = await start(build)
    const person = new Person()
    const client = await connect(flow, person)
    await expect(call(client, 'refund')).rejects.toThrow(UnauthorizedError)
    expect(flow.exchanges.filter((each) => each.endsWith('403'))).toEqual(['POST /mcp Bearer 403'])
    expect(person.sentTo).toHaveLength(2)
    expect(person.sentTo[1]?.searchParams.get('scope')?.split(' ').sort()).toEqual(['tools:read', 'tools:refund'])

    const again = transportTo(flow, person)
    await signIn(again, person)
    const stepped = createClient()
    await stepped.connect(again)
    closing.push(stepped)
    const { tool, context } = await call(stepped, 'refund')
    expect([tool, context.subject.id, [...context.scopes].sort()]).toEqual(['refund', 'ada', ['tools:read', 'tools:refund']])
  })

  test('[BEHALF-mcp-step-up] a client that does not step up is told the scope, and where the metadata is', async () => {
    const flow = await start(build)
    const client = await connect(flow, new Person(), { onInsufficientScope: 'throw' })
    const failure = await call(client, 'refund').catch((error: unknown) => error)
    expect(failure).toMatchObject({
      name: 'InsufficientScopeError',
      requiredScope: 'tools:refund',
      resourceMetadataUrl: new URL(`${flow.url.origin}/.well-known/oauth-protected-resource/mcp`),
    })
    expect((await call(client, 'whoami')).context.subject.id).toBe('ada')
  })

  test('[BEHALF-mcp-audience] a token for another resource is refused, and no tool runs', async () => {
    const flow = await start(build, { audience: 'https://other.example.test' })
    const person = new Person()
    const first = transportTo(flow, person)
    await expect(createClient().connect(first)).rejects.toThrow(UnauthorizedError)
    await signIn(first, person)
    await expect(createClient().connect(transportTo(flow, person))).rejects.toThrow()
    const answer = await fetch(flow.url, {
      method: 'POST',
      headers: { authorization: `Bearer ${person.tokens()?.access_token}` },
      body: '{}',
    })
    expect([answer.status, await answer.json()]).toMatchObject([401, { code: 'audience_mismatch' }])
    expect(flow.exchanges.filter((each) => each.startsWith('POST') && each.endsWith('200'))).toEqual([])
  })

  test('[BEHALF-mcp-audience] a token of one MCP server opens no other one of the same authorization server', async () => {
    const [one, other] = [await start(build), await start(build)]
    const person = new Person()
    await connect(one, person)
    const headers = { authorization: `Bearer ${person.tokens()?.access_token}` }
    expect((await fetch(one.url, { method: 'POST', headers, body: '{}' })).status).not.toBe(401)
    expect((await fetch(other.url, { method: 'POST', headers, body: '{}' })).status).toBe(401)
  })

  test.each<[string, DpopOptions]>([
    ['without nonces', { replay: 'single-process' }],
    ['with nonces', { replay: 'single-process', nonce: { secret: 'a secret that is long enough for a test of nonces' } }],
  ])('[BEHALF-mcp-client] a client with a key proves it with each request, %s', async (_what, dpop) => {
    const flow = await start(build, { dpop })
    const session = await DpopSession.create()
    const person = new Person(session)
    const client = await connect(flow, person)
    for (let round = 0; round < 3; round++) expect((await call(client, 'whoami')).context.subject.id).toBe('ada')
    expect(person.discovered?.resourceMetadata).toMatchObject({ dpop_bound_access_tokens_required: true })
    expect(flow.exchanges.filter((each) => each.includes('Bearer'))).toEqual([])
    expect(flow.exchanges.filter((each) => each === 'POST /mcp DPoP 200').length).toBeGreaterThanOrEqual(4)
    const stolen = { authorization: `Bearer ${person.tokens()?.access_token}` }
    expect((await fetch(flow.url, { method: 'POST', headers: stolen, body: '{}' })).status).toBe(401)
  })
})
