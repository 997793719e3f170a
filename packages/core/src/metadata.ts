import { listAt, type Members, membersOf, optional, stringAt } from './config-shape.js'
import { ConfigError } from './errors.js'
import { isLoopback } from './loopback.js'
import { parseUrl } from './parse-url.js'
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
  /** The last two are known: not so where the application is asked for issuers. */
  readonly bindingsKnown: boolean
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

/** What follows from the policies of all issuers. */
const ABOUT_BINDINGS: readonly string[] = ['dpop_bound_access_tokens_required', 'tls_client_certificate_bound_access_tokens']

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
  const open = facts.bindingsKnown ? [] : ABOUT_BINDINGS // who may say it, if not the server
  const twice = Object.keys(additional).find((name) => Object.hasOwn(own, name) && !open.includes(name))
  if (twice !== undefined) throw new ConfigError(`${where}.additional has "${twice}", which is written here already`)
  const { origin, pathname, search } = new URL(resource)
  // RFC 9728 3.1: between host and path; a slash that is the whole path is left out.
  const target = `/.well-known/oauth-protected-resource${pathname === '/' ? '' : pathname}${search}`
  return Object.freeze({ url: origin + target, target, body: JSON.stringify({ ...own, ...additional }) })
}

/** The answer to whoever asks for the document (RFC 9728 3.2); `null`: something else is asked for. */
export function metadataAnswer({ target, body }: ResourceMetadata, request: RequestView): HttpAnswer | null {
  const query = queryOf(target)
  if (request.path + query !== target || (query !== '' && queryOf(request.url) !== query)) return null
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

/** The query of a request target, with its question mark; empty where there is none. */
function queryOf(target: string): string {
  const mark = target.indexOf('?')
  return mark === -1 ? '' : target.slice(mark)
}

function resourceAt(value: unknown, where: string): string {
  const text = stringAt(value, where)
  const url = parseUrl(text)
  if (url === null || !isSecure(url) || text.includes('#') || url.username !== '' || url.password !== '' || !isPlain(text)) {
    throw new ConfigError(`${where} must be an https URL (http only on loopback), without fragment`)
  }
  return text // as it is written: clients compare it (RFC 9728 3.3)
}

function isSecure({ protocol, hostname }: URL): boolean {
  return protocol === 'https:' || (protocol === 'http:' && isLoopback(hostname))
}

/** Clients make the document's URL of the resource's text: a parser must not change it on the way. */
function isPlain(text: string): boolean {
  return /^https?:\/\/(?!\/)[\x21-\x7e]+$/i.test(text) && !/["<>\\]/.test(text)
}

function urlsAt(value: unknown, where: string): readonly string[] {
  return listAt(value, where, (each, at) => {
    const text = stringAt(each, at)
    const url = parseUrl(text)
    if (url === null || !isSecure(url) || /[?#]/.test(text)) {
      throw new ConfigError(
        `${at} must be the https URL of an authorization server (http only on loopback), without query and fragment`,
      )
    }
    return text
  })
}

function additionalAt(value: unknown, where: string): Members {
  const members = membersOf(value, where, Object.keys(value ?? {}))
  for (const [name, member] of Object.entries(members)) {
    if (Array.isArray(member) && member.length === 0)
      throw new ConfigError(`${where}.${name} is empty: leave it out (RFC 9728 3.2)`)
    if (!isJson(member)) throw new ConfigError(`${where}.${name} is no JSON value`)
  }
  return members
}

function isJson(value: unknown): boolean {
  try {
    return JSON.stringify(value) !== undefined
  } catch {
    return false
  }
}
