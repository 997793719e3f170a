import * as openid from 'openid-client'
import { type Cookies, visit } from './browser.js'
import { CALLBACK, type Client, TOKEN_EXCHANGE } from './clients.js'
import { type Fetch, httpsFetch } from './https-fetch.js'
import type { Person } from './people.js'
import { ACCESS_TOKEN_TYPE } from './token-exchange.js'

/** What a token endpoint has answered. */
export type Tokens = openid.TokenEndpointResponse

/** What an API has answered. */
export interface ApiAnswer {
  readonly status: number
  /** Of a refusal: the `code` of the problem document. */
  readonly code: string | null
  readonly body: unknown
  /** What the API asks for (RFC 9110 11.6.1). */
  readonly challenges: readonly openid.WWWAuthenticateChallenge[]
}

/** A token exchange (RFC 8693 2.1), with the usual types. */
export interface ExchangeRequest {
  readonly subject: Tokens
  readonly actor: Tokens
  readonly resource: string
  /** Omitted: all scopes of the subject token. */
  readonly scope?: string
}

/** A program that uses the authorization server and APIs, with a key or a certificate of its own. */
export interface OAuthClient {
  readonly id: string
  /** Its connection, with its certificate where it has one: for calls that go another way than usual. */
  readonly fetch: Fetch
  /**
   * A person signs in: authorization code with PKCE (RFC 7636).
   * @param cookies of the person's browser; whoever has signed in with them before is not asked for the password again
   */
  signIn(person: Pick<Person, 'id' | 'password'>, resource: string, scope: string, cookies?: Cookies): Promise<Tokens>
  /** A token of the client itself (RFC 6749 4.4). */
  ownToken(resource: string, scope: string): Promise<Tokens>
  exchange(request: ExchangeRequest): Promise<Tokens>
  /** Any request to the token endpoint. */
  grant(type: string, parameters: Readonly<Record<string, string>> | URLSearchParams): Promise<Tokens>
  /** Calls an API. Proofs and nonces are the library's business. */
  call(tokens: Tokens, method: string, url: string): Promise<ApiAnswer>
}

/** Surroundings of a client. */
export interface ConnectOptions {
  /** Certificates of servers that are believed. */
  readonly ca: string
  /** Is told of every request that the client makes. */
  readonly overhear?: (url: string, init: RequestInit) => void
}

/** Connects a client to the authorization server, by the server's metadata. Where tokens are bound to a key, it makes one. */
export async function connect(issuer: string, client: Client, { ca, overhear }: ConnectOptions): Promise<OAuthClient> {
  const { id, binding, secret, certificate } = client
  const fetch = httpsFetch({ ca, ...(binding === 'mtls' && { own: certificate }) })
  const overheard = (url: string, init: RequestInit) => {
    overhear?.(url, init)
    return fetch(url, init)
  }
  const authentication = binding === 'mtls' ? openid.TlsClientAuth() : openid.ClientSecretBasic(secret)
  const config = await openid.discovery(new URL(issuer), id, undefined, authentication, {
    [openid.customFetch]: (url, { body = null, ...init }) => overheard(url, { ...init, body } as RequestInit),
  })
  const options = binding === 'dpop' ? { DPoP: openid.getDPoPHandle(config, await openid.randomDPoPKeyPair('ES256')) } : {}
  const grant: OAuthClient['grant'] = (type, parameters) =>
    openid.genericGrantRequest(config, type, new URLSearchParams(parameters), options)

  return {
    id,
    fetch,
    grant,
    async signIn(person, resource, scope, cookies) {
      const codeVerifier = openid.randomPKCECodeVerifier()
      const state = openid.randomState()
      const start = openid.buildAuthorizationUrl(config, {
        redirect_uri: CALLBACK,
        code_challenge: await openid.calculatePKCECodeChallenge(codeVerifier),
        code_challenge_method: 'S256',
        resource,
        scope,
        state,
      })
      const back = await visit(httpsFetch({ ca }), start, CALLBACK, person, cookies)
      const checks = { pkceCodeVerifier: codeVerifier, expectedState: state }
      return openid.authorizationCodeGrant(config, back, checks, undefined, options)
    },
    ownToken: (resource, scope) => openid.clientCredentialsGrant(config, { resource, scope }, options),
    exchange: ({ subject, actor, resource, scope }) =>
      grant(TOKEN_EXCHANGE, {
        subject_token: subject.access_token,
        subject_token_type: ACCESS_TOKEN_TYPE,
        actor_token: actor.access_token,
        actor_token_type: ACCESS_TOKEN_TYPE,
        resource,
        ...(scope !== undefined && { scope }),
      }),
    async call({ access_token }, method, url) {
      try {
        return await read(
          await openid.fetchProtectedResource(config, access_token, new URL(url), method, null, undefined, options),
        )
      } catch (error) {
        if (!(error instanceof openid.WWWAuthenticateChallengeError)) throw error
        return await read(error.response, error.cause)
      }
    },
  }
}

/**
 * Asks an API who issues tokens for it: the challenge names its metadata (RFC 9728 5.1), which names its authorization server.
 * @param resource the API's own identifier
 * @throws where the metadata is of another API (RFC 9728 3.3)
 */
export async function issuerOf(fetch: Fetch, resource: string): Promise<string> {
  const { headers } = await fetch(resource)
  const [, place = ''] = /resource_metadata="([^"]+)"/.exec(headers.get('www-authenticate') ?? '') ?? []
  const metadata = (await (await fetch(place)).json()) as ResourceMetadata
  const [issuer] = metadata.authorization_servers
  if (metadata.resource !== resource || issuer === undefined) throw new Error(`${place} is of another API`)
  return issuer
}

/** As much of the document of RFC 9728 2 as is used here. */
interface ResourceMetadata {
  readonly resource: string
  readonly authorization_servers: readonly string[]
}

async function read(response: Response, challenges: ApiAnswer['challenges'] = []): Promise<ApiAnswer> {
  const body = (await response.json()) as { readonly code?: string }
  return { status: response.status, code: response.ok ? null : (body.code ?? null), body, challenges }
}
