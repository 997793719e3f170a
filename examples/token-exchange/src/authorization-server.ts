/// <reference path="./oidc-provider.d.ts" />
import { generateKeyPairSync, randomBytes, randomUUID } from 'node:crypto'
import type { TLSSocket } from 'node:tls'
import type { AccessToken, ClientCredentials, Configuration, KoaContextWithOIDC } from 'oidc-provider'
import { InvalidTarget } from 'oidc-provider/lib/helpers/errors.js'
import { Provider } from 'oidc-provider/lib/provider.js'
import { type Clients, metadataOf } from './clients.js'
import { extraClaimsOf } from './extra-claims.js'
import type { HttpsServer } from './https-server.js'
import type { People } from './people.js'
import { publicKeyOf, readOwnToken, type TokenReader } from './presented-token.js'
import { resourcesOf } from './resources.js'
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
}

/** The authorization server, while it listens. */
export interface AuthorizationServer {
  readonly issuer: string
  /** Takes a token back: neither it nor what was exchanged for it is exchanged any more. APIs accept them until they end. */
  revoke(token: string): void
}

/** Starts oidc-provider on a server that listens, as an authorization server with token exchange, DPoP and client certificates. */
export function startAuthorizationServer(server: HttpsServer, { people, clients, apis }: Parties): AuthorizationServer {
  const issuer = server.origin
  const signingKey = {
    ...generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'jwk' }),
    kid: randomUUID(),
  }
  const ledger = new TokenLedger()
  const reader: TokenReader = { issuer, ledger, key: publicKeyOf(signingKey) }
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
    expiresWithSession: () => false,
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
  const remember = (token: AccessToken | ClientCredentials) =>
    ledger.add(token.jti, Date.now() / 1000 + token.remainingTTL, exchanges.get(token)?.parents ?? [])
  provider.on('access_token.issued', remember)
  provider.on('client_credentials.issued', remember)
  server.serve(provider.callback())
  return {
    issuer,
    revoke(token) {
      const claims = readOwnToken(token, reader)
      if (claims !== null) ledger.revoke(claims.jti)
    },
  }
}

function getCertificate({ req }: KoaContextWithOIDC) {
  return (req.socket as TLSSocket).getPeerX509Certificate()
}
