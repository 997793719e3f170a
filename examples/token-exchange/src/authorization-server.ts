/// <reference path="./oidc-provider.d.ts" />
import { generateKeyPairSync, randomBytes, randomUUID } from 'node:crypto'
import type { TLSSocket } from 'node:tls'
import type { AccessToken, ClientCredentials, Configuration, KoaContextWithOIDC } from 'oidc-provider'
import { InvalidTarget } from 'oidc-provider/lib/helpers/errors.js'
import { Provider } from 'oidc-provider/lib/provider.js'
import { type Clients, metadataOf } from './clients.js'
import { extraClaimsOf } from './extra-claims.js'
import type { Fetch } from './https-fetch.js'
import type { HttpsServer } from './https-server.js'
import type { People } from './people.js'
import { publicKeyOf, readOwnToken, type TokenReader } from './presented-token.js'
import { resourcesOf } from './resources.js'
import { createTransmitter, type EventStream } from './security-events.js'
import { grantEverything, offerSignIn, signInUrl } from './sign-in.js'
import { createStore } from './store.js'
import { type Exchanges, offerTokenExchange } from './token-exchange.js'
import { TokenLedger } from './token-ledger.js'

/** Who takes part, and which APIs there are. */
export interface Parties {
  readonly people: People
  readonly clients: Clients
  /** Origins of the APIs: what tokens for them name as their audience. */
  readonly apis: readonly string[]
  /** Where APIs are told that something was taken back. */
  readonly streams: readonly EventStream[]
  /** Reaches them. */
  readonly fetch: Fetch
}

/** The authorization server, while it listens. */
export interface AuthorizationServer {
  readonly issuer: string
  /** Takes a token back: neither it nor what was exchanged for it is exchanged any more. APIs are not told, and accept them until they end. */
  revoke(token: string): void
  /**
   * Takes back what somebody has signed in for: the session, its grants, and every token that came of them, also those that others have
   * got for theirs. Resolves when every API has taken note: from then on they refuse those tokens.
   * @param sessionId the claim `sid`
   * @throws where an API has not. Nothing is exchanged any more even then
   */
  revokeSession(sessionId: string): Promise<void>
}

/** Starts oidc-provider on a server that listens, as an authorization server with token exchange, DPoP and client certificates. */
export function startAuthorizationServer(server: HttpsServer, parties: Parties): AuthorizationServer {
  const { people, clients, apis, streams, fetch } = parties
  const issuer = server.origin
  const signingKey = {
    ...generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'jwk' }),
    kid: randomUUID(),
  }
  const ledger = new TokenLedger()
  const reader: TokenReader = { issuer, ledger, key: publicKeyOf(signingKey) }
  const transmitter = createTransmitter({ issuer, signingKey, streams, fetch })
  const exchanges: Exchanges = new WeakMap()
  const registered = Object.values(clients).flatMap((each) => Object.values(each))
  const resources = resourcesOf(
    issuer,
    apis,
    registered.filter(({ profile }) => profile === 'ai_agent').map(({ id }) => id),
  )

  const configuration: Configuration = {
    adapter: createStore(),
    clients: registered.map(metadataOf),
    clientDefaults: { id_token_signed_response_alg: 'ES256' },
    clientAuthMethods: ['client_secret_basic', 'self_signed_tls_client_auth'],
    clientBasedCORS: () => false,
    cookies: { keys: [randomBytes(32).toString('base64url')] },
    extraTokenClaims: (_ctx, token) => ({ ...extraClaimsOf(token, issuer, people, registered, exchanges) }),
    features: {
      clientCredentials: { enabled: true },
      devInteractions: { enabled: false },
      dPoP: { enabled: true, nonceSecret: randomBytes(32), requireNonce: () => true },
      mTLS: { enabled: true, certificateBoundAccessTokens: true, selfSignedTlsClientAuth: true, getCertificate },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo(_ctx, resource) {
          const known = resources.get(resource)
          if (known === undefined) throw new InvalidTarget('there is no such resource')
          return known
        },
        useGrantedResource: () => true,
      },
      rpInitiatedLogout: { enabled: false },
      userinfo: { enabled: false },
    },
    findAccount: (_ctx, id) => (Object.hasOwn(people, id) ? { accountId: id, claims: () => ({ sub: id }) } : undefined),
    interactions: { url: signInUrl },
    jwks: { keys: [{ ...signingKey, alg: 'ES256', use: 'sig' }] },
    loadExistingGrant: grantEverything,
    pkce: { required: () => true },
    renderError(ctx, { error }) {
      ctx.type = 'text'
      ctx.body = error
    },
    responseTypes: ['code'],
    ttl: {
      AccessToken: (_ctx, token) => token.resourceServer?.accessTokenTTL ?? 60,
      ClientCredentials: (_ctx, token) => token.resourceServer?.accessTokenTTL ?? 60,
      Grant: () => 3600,
      IdToken: () => 60,
      Interaction: () => 600,
      Session: () => 3600,
    },
  }
  const provider = new Provider(issuer, configuration)
  offerSignIn(provider, people)
  offerTokenExchange(provider, reader, exchanges)
  const remember = (token: AccessToken | ClientCredentials) => {
    const expiresAt = Date.now() / 1000 + token.remainingTTL
    const session = token.kind === 'AccessToken' ? token.sessionUid : undefined
    if (session !== undefined) ledger.add(session, expiresAt, [])
    ledger.add(token.jti, expiresAt, exchanges.get(token)?.parents ?? (session === undefined ? [] : [session]))
  }
  provider.on('access_token.issued', remember)
  provider.on('client_credentials.issued', remember)
  server.serve(provider.callback())
  return {
    issuer,
    revoke(token) {
      const claims = readOwnToken(token, reader)
      if (claims !== null) ledger.revoke(claims.jti)
    },
    async revokeSession(sessionId) {
      ledger.revoke(sessionId)
      const session = await provider.Session.findByUid(sessionId)
      await session?.destroy() // and with it codes that nobody has come for yet
      await transmitter.sessionRevoked(sessionId)
    },
  }
}

function getCertificate({ req }: KoaContextWithOIDC) {
  return (req.socket as TLSSocket).getPeerX509Certificate()
}
