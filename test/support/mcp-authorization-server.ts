/**
 * A real authorization server, as MCP clients expect one: they register themselves (RFC 7591), are public clients with PKCE, name the
 * resource (RFC 8707), and may bind their tokens to a key (RFC 9449). Plain http on loopback, in memory.
 */
import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import type { Configuration, KoaContextWithOIDC, Provider } from 'oidc-provider'
import { createStore } from '../../examples/token-exchange/src/store.js'

// Not the package's front door: that prints a notice where Node is older than 22. Its types are the same.
const { Provider: OidcProvider } = (await import('oidc-provider/lib/provider.js' as string)) as { Provider: typeof Provider }

const SIGN_IN = '/sign-in/'

/** An authorization server that listens. */
export interface McpAuthorizationServer {
  readonly issuer: string
  /** What was asked of it, as method and path, in order. */
  readonly asked: readonly string[]
  close(): Promise<void>
}

/**
 * Starts it. Whoever signs in is `ada`, and a client is granted what it asks for.
 * @param resources what tokens can be asked for, with the scopes that each of them knows
 */
export async function startMcpAuthorizationServer(resources: Readonly<Record<string, string>>): Promise<McpAuthorizationServer> {
  const asked: string[] = []
  let listener: RequestListener = (_request, response) => void response.writeHead(503).end()
  const server = createServer((request, response) => {
    asked.push(`${request.method} ${request.url?.split('?', 1)[0]}`)
    listener(request, response)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const provider = new OidcProvider(issuer, configurationOf(resources))
  offerSignIn(provider)
  listener = provider.callback()
  return {
    issuer,
    asked,
    close: () =>
      new Promise((resolve, reject) => {
        server.close((error) => (error ? reject(error) : resolve()))
        server.closeAllConnections()
      }),
  }
}

function configurationOf(resources: Readonly<Record<string, string>>): Configuration {
  const key = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'jwk' })
  return {
    adapter: createStore(),
    clientBasedCORS: () => false,
    clientDefaults: { id_token_signed_response_alg: 'ES256' },
    cookies: { keys: [randomBytes(32).toString('base64url')] },
    // Clients register with the scopes that they begin with, and must be able to ask for more later.
    extraClientMetadata: { properties: ['any_scope'], validator: (_ctx, _key, _value, metadata) => void delete metadata.scope },
    features: {
      devInteractions: { enabled: false },
      dPoP: { enabled: true },
      registration: { enabled: true },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: (_ctx, resource) => ({
          scope: resources[resource] ?? '',
          audience: resource,
          accessTokenFormat: 'jwt', // RFC 9068
          jwt: { sign: { alg: 'ES256' } },
        }),
        useGrantedResource: () => true,
      },
    },
    findAccount: (_ctx, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
    interactions: { url: (_ctx, { uid }) => SIGN_IN + uid },
    jwks: { keys: [{ ...key, kid: 'mcp', alg: 'ES256', use: 'sig' }] },
    loadExistingGrant: grantEverything,
    responseTypes: ['code'],
    scopes: ['openid', ...new Set(Object.values(resources).flatMap((each) => each.split(' ')))],
    ttl: { AccessToken: () => 300, Grant: () => 300, IdToken: () => 60, Interaction: () => 300, Session: () => 300 },
  }
}

async function grantEverything(ctx: KoaContextWithOIDC) {
  const { provider, client, session, resourceServers = {}, requestParamScopes } = ctx.oidc
  const grant = new provider.Grant({ clientId: client?.clientId, accountId: session?.accountId })
  for (const [name, { scopes }] of Object.entries(resourceServers)) {
    grant.addResourceScope(name, [...requestParamScopes].filter((scope) => scopes.has(scope)).join(' '))
  }
  grant.addOIDCScope([...requestParamScopes].join(' ')) // `scopes` makes them the server's own too
  await grant.save()
  return grant
}

/** The page on which people sign in: whoever sends its form is `ada`. */
function offerSignIn(provider: Provider): void {
  provider.use(async (ctx, next) => {
    if (!ctx.path.startsWith(SIGN_IN)) return next()
    await provider.interactionDetails(ctx.req, ctx.res)
    if (ctx.method !== 'POST') {
      ctx.body = '<form method="post"><button>Sign in</button></form>'
      return
    }
    await text(ctx.req)
    // Clients on somebody's own machine need a yes each time.
    ctx.redirect(await provider.interactionResult(ctx.req, ctx.res, { login: { accountId: 'ada' }, consent: {} }))
  })
}

/**
 * What a browser does with ada before it: follows redirects, keeps cookies and signs in, until it is sent back to the client.
 * @returns what the client is told at its redirect URI
 */
export async function signInAs(start: URL, redirectUri: string): Promise<URLSearchParams> {
  const cookies = new Map<string, string>()
  let url = start
  let method = 'GET'
  for (let steps = 0; !url.href.startsWith(`${redirectUri}?`); steps++) {
    if (steps === 20) throw new Error(`sent around in circles, now to ${url.pathname}`)
    const cookie = [...cookies].map((pair) => pair.join('=')).join('; ')
    const response = await fetch(url, { method, redirect: 'manual', headers: { cookie } })
    for (const line of response.headers.getSetCookie()) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(line) ?? []
      cookies.set(name, value)
    }
    const location = response.headers.get('location')
    await response.body?.cancel()
    if (location === null && (response.status !== 200 || method === 'POST'))
      throw new Error(`${response.status} at ${url.pathname}`)
    method = location === null ? 'POST' : 'GET'
    url = location === null ? url : new URL(location, url)
  }
  return url.searchParams
}
