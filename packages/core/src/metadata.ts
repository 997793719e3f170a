import { listAt, type Members, membersOf, optional, stringAt } from './config-shape.js'
import { ConfigError } from './errors.js'
import { isLoopback } from './loopback.js'
import type { HttpAnswer, RequestView } from './request-view.js'
import type { JsonObject } from './token/json.js'

/** What a protected resource says about itself (RFC 9728 2), beside what the server knows: its issuers, proofs and certificates. */
export interface MetadataOptions {
  /** The API's own identifier: an https URL without fragment, such as `https://api.example.com/mcp`. */
  readonly resource: string
  /** Where clients get tokens. Default: every configured issuer that is a URL; needed where there is none, or where `issuers` is a function. */
  readonly authorizationServers?: readonly string[]
  /** Scopes that clients may ask for. */
  readonly scopesSupported?: readonly string[]
  /** The API's name, for people. */
  readonly resourceName?: string
  /** A page for developers. */
  readonly resourceDocumentation?: string
  /** A page about what clients may do with data. */
  readonly resourcePolicyUri?: string
  /** A page about terms of service. */
  readonly resourceTosUri?: string
  /** Further members, as they are: `jwks_uri`, `resource_name#de`, `signed_metadata`, … */
  readonly additional?: JsonObject
}

/** What the server itself knows. */
export interface ServerFacts {
  /** Issuers that are URLs. */
  readonly authorizationServers: readonly string[]
  /** Accepted algorithms of proofs; `null`: none are judged. */
  readonly dpopAlgorithms: readonly string[] | null
  /** Every token must be bound to a key. */
  readonly dpopRequired: boolean
  /** Tokens may be bound to client certificates. */
  readonly mtls: boolean
}

/** A document, ready to be sent. */
export interface ResourceMetadata {
  /** Where it is: what challenges name. */
  readonly url: string
  /** Path and query of that. */
  readonly target: string
  readonly body: string
}

const MEMBERS = [
  'resource',
  'authorizationServers',
  'scopesSupported',
  'resourceName',
  'resourceDocumentation',
  'resourcePolicyUri',
  'resourceTosUri',
  'additional',
] as const satisfies readonly (keyof MetadataOptions)[]

/** How long the document may be kept, in seconds: it changes with the configuration alone. */
const KEPT_SECONDS = 600

/** Reads `metadata`, and makes the document. */
export function resolveMetadata(value: unknown, where: string, facts: ServerFacts): ResourceMetadata {
  const members = membersOf(value, where, MEMBERS)
  const resource = resourceAt(members['resource'], `${where}.resource`)
  const text = (name: string) => optional(members, name, where, stringAt, undefined)
  const servers = optional(members, 'authorizationServers', where, urlsAt, facts.authorizationServers)
  if (servers.length === 0) throw new ConfigError(`${where}.authorizationServers is needed: no configured issuer is a URL`)
  const own = {
    resource,
    authorization_servers: servers,
    scopes_supported: optional(members, 'scopesSupported', where, (list, at) => listAt(list, at, stringAt), undefined),
    bearer_methods_supported: ['header'],
    resource_name: text('resourceName'),
    resource_documentation: text('resourceDocumentation'),
    resource_policy_uri: text('resourcePolicyUri'),
    resource_tos_uri: text('resourceTosUri'),
    dpop_signing_alg_values_supported: facts.dpopAlgorithms ?? undefined,
    dpop_bound_access_tokens_required: facts.dpopRequired || undefined,
    tls_client_certificate_bound_access_tokens: facts.mtls || undefined,
  }
  const additional = optional(members, 'additional', where, additionalAt, {})
  const twice = Object.keys(additional).find((name) => Object.hasOwn(own, name))
  if (twice !== undefined) throw new ConfigError(`${where}.additional has "${twice}", which is written here already`)
  const { origin, pathname, search } = new URL(resource)
  // RFC 9728 3.1: between host and path; a slash that is the whole path is left out.
  const target = `/.well-known/oauth-protected-resource${pathname === '/' ? '' : pathname}${search}`
  return Object.freeze({ url: origin + target, target, body: JSON.stringify({ ...own, ...additional }) })
}

/** The answer to whoever asks for the document (RFC 9728 3.2); `null`: something else is asked for. */
export function metadataAnswer({ target, body }: ResourceMetadata, request: RequestView): HttpAnswer | null {
  const [path, query] = target.split('?')
  if (request.path !== path || (query !== undefined && !request.url.endsWith(`?${query}`))) return null
  const open = { 'access-control-allow-origin': '*' } // it is public, and clients in browsers need it
  if (request.method === 'GET' || request.method === 'HEAD') {
    return {
      status: 200,
      headers: {
        ...open,
        'content-type': 'application/json',
        'content-length': String(Buffer.byteLength(body)),
        'cache-control': `public, max-age=${KEPT_SECONDS}`,
      },
      body,
    }
  }
  const allow = 'GET, HEAD, OPTIONS'
  const preflight = { 'access-control-allow-methods': allow, 'access-control-allow-headers': '*' }
  return request.method === 'OPTIONS'
    ? { status: 204, headers: { ...open, ...preflight, allow }, body: '' }
    : { status: 405, headers: { ...open, allow, 'content-length': '0' }, body: '' }
}

function resourceAt(value: unknown, where: string): string {
  const text = stringAt(value, where)
  const url = URL.canParse(text) ? new URL(text) : null
  const secure = url?.protocol === 'https:' || (url?.protocol === 'http:' && isLoopback(url.hostname))
  if (url === null || !secure || text.includes('#') || url.username !== '' || url.password !== '' || !isPlain(text)) {
    throw new ConfigError(`${where} must be an https URL (http only on loopback), without fragment`)
  }
  return text // as it is written: clients compare it (RFC 9728 3.3)
}

/** Clients make the document's URL of the resource's text: a parser must not change it on the way. */
function isPlain(text: string): boolean {
  return /^[\x21-\x7e]+$/.test(text) && !/["<>\\]/.test(text)
}

function urlsAt(value: unknown, where: string): readonly string[] {
  return listAt(value, where, (each, at) => {
    const text = stringAt(each, at)
    if (!URL.canParse(text)) throw new ConfigError(`${at} must be the URL of an authorization server`)
    return text
  })
}

function additionalAt(value: unknown, where: string): Members {
  return membersOf(value, where, Object.keys(value ?? {}))
}
