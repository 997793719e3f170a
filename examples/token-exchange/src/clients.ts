import { randomBytes, X509Certificate } from 'node:crypto'
import type { ClientMetadata } from 'oidc-provider'
import { type Certificate, createCertificate } from './certificates.js'

/** How the tokens of a client are bound to it: to a key (RFC 9449), or to its certificate (RFC 8705). */
export type Binding = 'dpop' | 'mtls'

/** The programs of the story. */
export type ClientName = 'helpdesk' | 'researcher' | 'translator'

/** A client of the authorization server. */
export interface Client {
  /** Such as `helpdesk-dpop`. */
  readonly id: string
  readonly binding: Binding
  /** What it authenticates with, where it has no certificate. Made anew for each run. */
  readonly secret: string
  /** What it authenticates with, and what its tokens are bound to, where `binding` is `mtls`. */
  readonly certificate: Certificate
  /** What it is, as tokens say it (`sub_profile`). */
  readonly profile: 'web_app' | 'ai_agent'
  /** Which client may act for whomever it acts for, such as the next agent (`may_act`). */
  readonly helper: ClientName | null
}

/** Every program, registered once for each way of being bound. */
export type Clients = Readonly<Record<Binding, Readonly<Record<ClientName, Client>>>>

/** Nobody is redirected there in earnest: the script reads the address. */
export const CALLBACK = 'https://helpdesk.example.com/callback'

/** The grant of RFC 8693 2.1. */
export const TOKEN_EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange'

/** The help desk is where people sign in; two agents come after it. */
export function createClients(): Clients {
  const client = (name: ClientName, binding: Binding, profile: Client['profile'], helper: ClientName | null): Client => ({
    id: clientId(name, binding),
    binding,
    secret: randomBytes(32).toString('base64url'),
    certificate: createCertificate(clientId(name, binding)),
    profile,
    helper,
  })
  const all = (binding: Binding) => ({
    helpdesk: client('helpdesk', binding, 'web_app', null),
    researcher: client('researcher', binding, 'ai_agent', 'translator'),
    translator: client('translator', binding, 'ai_agent', null),
  })
  return { dpop: all('dpop'), mtls: all('mtls') }
}

/** The id of a program's registration. */
export function clientId(name: string, binding: Binding): string {
  return `${name}-${binding}`
}

/** A client as the authorization server is told of it (RFC 7591 2). */
export function metadataOf({ id, binding, secret, certificate, profile }: Client): ClientMetadata {
  const signsIn = profile === 'web_app'
  return {
    client_id: id,
    grant_types: [signsIn ? 'authorization_code' : 'client_credentials', TOKEN_EXCHANGE],
    response_types: signsIn ? ['code'] : [],
    redirect_uris: signsIn ? [CALLBACK] : [],
    ...(binding === 'dpop'
      ? { token_endpoint_auth_method: 'client_secret_basic', client_secret: secret, dpop_bound_access_tokens: true }
      : {
          token_endpoint_auth_method: 'self_signed_tls_client_auth', // RFC 8705 2.2
          jwks: { keys: [jwkOf(certificate)] },
          tls_client_certificate_bound_access_tokens: true,
        }),
  }
}

function jwkOf({ cert }: Certificate): Record<string, unknown> {
  const certificate = new X509Certificate(cert)
  return { ...certificate.publicKey.export({ format: 'jwk' }), x5c: [certificate.raw.toString('base64')] }
}
