import { oneOrListAt, stringAt } from '../config-shape.js'
import { ConfigError } from '../errors.js'
import { isLoopback } from '../loopback.js'
import { parseUrl } from '../parse-url.js'
import type { RequestView } from '../request-view.js'
import type { PeerNetworks } from './peer-networks.js'
import { hasBrokenEscape, hasDotSegments, normalizeOrigin, normalizePath } from './target-uri.js'

/** What clients call this API: the origins that are configured, and no other. */
export class PublicOrigins {
  /** By host and port, as `Host` says them. */
  readonly #byHost: ReadonlyMap<string, string>
  readonly #only: string | null
  readonly #proxies: PeerNetworks

  constructor(origins: readonly string[], proxies: PeerNetworks) {
    this.#byHost = new Map(origins.map((origin) => [hostOf(origin), origin]))
    this.#only = origins.length === 1 ? (origins[0] ?? null) : null
    this.#proxies = proxies
  }

  /**
   * The URI that a request was sent to, without query, in its normal form (RFC 9449 4.3); with dot segments as it is written, since
   * frameworks route by what is written, and a proof for one route must not open another. What the request says about its host only
   * selects among the configured origins; where there is one, nothing has to be said.
   * @returns `null` where none of several is selected, and where the request's target cannot be compared
   */
  targetOf(request: RequestView): string | null {
    const origin = this.#only ?? this.#originFor(this.#hostFor(request))
    const { path } = request
    if (origin === null || path === '' || hasBrokenEscape(path)) return null
    return origin + (hasDotSegments(path) ? path : normalizePath(path))
  }

  #originFor(host: string): string | null {
    const origin = this.#byHost.get(host)
    if (origin !== undefined) return origin
    // Written in another form: with a default port, or an address in a longer one.
    for (const each of this.#byHost.values()) if (normalizeOrigin(schemeOf(each), host) === each) return each
    return null
  }

  /** Host and port, in lower case, of `Forwarded` (RFC 7239) or `X-Forwarded-Host` where a trusted proxy wrote them, else of the request. */
  #hostFor(request: RequestView): string {
    const forwarded = this.#proxies.includes(request.peer) ? forwardedHost(request) : null
    // RFC 9112 3.2.2 and RFC 9113 8.3.1: an absolute target and `:authority` come before `Host`.
    const host =
      forwarded ?? /^https?:\/\/([^/?#]*)/i.exec(request.url)?.[1] ?? request.header(':authority') ?? request.header('host')
    return host?.toLowerCase() ?? ''
  }
}

/** Reads `publicOrigins`. */
export function publicOriginsAt(value: unknown, where: string): readonly string[] {
  const origins = oneOrListAt(value, where, originAt)
  const hosts = origins.map(hostOf)
  if (new Set(hosts).size !== hosts.length) throw new ConfigError(`${where} names a host twice: with one scheme only`)
  return origins
}

function originAt(value: unknown, where: string): string {
  const text = stringAt(value, where)
  const problem = `${where} must be an https origin such as https://api.example.com, without a path (http only on loopback)`
  const [, scheme = '', authority = ''] = /^(https?):\/\/([^/?#@\\*\s]+)\/?$/i.exec(text) ?? []
  const url = authority === '' ? null : parseUrl(text)
  if (url === null) throw new ConfigError(problem)
  const { host, hostname, protocol } = url // a name in other scripts in its ASCII form
  if (protocol !== 'https:' && !isLoopback(hostname)) throw new ConfigError(problem)
  const origin = normalizeOrigin(scheme, host)
  if (origin === null) throw new ConfigError(problem)
  return origin
}

function schemeOf(origin: string): string {
  return origin.startsWith('https:') ? 'https' : 'http'
}

function hostOf(origin: string): string {
  return new URL(origin).host
}

/** What the nearest proxy wrote: the last of several. Where its two fields do not agree, one of them is not its own: no host at all. */
function forwardedHost(request: RequestView): string | null {
  const one = standardHost(request.header('forwarded') ?? '')
  const other = request.header('x-forwarded-host')?.split(',').at(-1)?.trim() ?? null
  return one === null || other === null || one.toLowerCase() === other.toLowerCase() ? (one ?? other) : ''
}

/**
 * `host` of the last element of `Forwarded` (RFC 7239 4): `null` where it has none, empty where the field cannot be read to its end.
 * A client may have written the elements before, and a quote that it leaves open must not swallow what the proxy has added.
 */
function standardHost(field: string): string | null {
  const pair = /[ \t]*(?:([^\s=;,"]+)=(?:"((?:[^"\\]|\\.)*)"|([^\s;,"]*))[ \t]*)?([;,]|$)/y
  let host: string | null = null
  let isNewElement = true
  for (;;) {
    const match = pair.exec(field)
    if (match === null) return ''
    const [, name, quoted, bare = '', separator] = match
    if (name !== undefined) {
      if (isNewElement) host = null
      isNewElement = false
      if (name.toLowerCase() === 'host') host = host === null ? (quoted?.replace(/\\(.)/g, '$1') ?? bare) : ''
    }
    if (separator === '') return host
    if (separator === ',') isNewElement = true
  }
}
