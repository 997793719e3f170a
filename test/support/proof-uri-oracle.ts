/**
 * What RFC 9449 4.3 asks of `htu`, read from RFC 3986 (the grammar of section 3, 5.2.4, 6.2.2 and 6.2.3) and RFC 9110 4.2. It uses no
 * URL parser: those mend what they are given.
 */

/**
 * `either`: the texts are no URIs by the grammar, but the same; whether they are compared at all is not said anywhere. Or the request
 * names another host in its target, where the API has one origin only.
 */
export type Sameness = 'same' | 'different' | 'either'

/** What a request says about the URI that it was sent to. */
export interface SentTo {
  /** The request target as received (RFC 9112 3.2): in origin-form or absolute-form. */
  readonly target: string
  /** The `Host` field. */
  readonly host: string | null
  /** The host that a trusted proxy has written; `null`: there is no such word. */
  readonly forwardedHost: string | null
}

/** A URI without query and fragment, in its normal form. */
interface Normal {
  readonly origin: string
  readonly path: string
  /** The path as it is written. */
  readonly written: string
  /** Whether path, query and fragment follow the grammar; an authority that does not is none at all. */
  readonly wellFormed: boolean
}

/**
 * Whether `htu` names the URI of a request.
 * @param origins what the API is called by, in normal form; with one of them, a request need not say which
 */
export function sameTarget(htu: string, origins: readonly string[], sent: SentTo): Sameness {
  const claimed = readUri(htu)
  const origin = originOf(origins, sent)
  const asked = readTarget(sent.target)
  if (claimed === null || origin === null || asked === null || claimed.origin !== origin) return 'different'
  if (claimed.path !== normalPath(asked.path)) return 'different'
  // Frameworks route by what is written: with dot segments in the request, a proof has to name just that.
  if (hasDots(asked.path) && claimed.written !== asked.path) return 'different'
  const isForIt = asked.authority === null || readOrigin(schemeOf(origin), asked.authority) === origin
  return claimed.wellFormed && asked.wellFormed && isForIt ? 'same' : 'either'
}

/** The URI of a request in its normal form, `null` where its host is none of the API's. */
export function targetUriOf(origins: readonly string[], sent: SentTo): string | null {
  const [origin, asked] = [originOf(origins, sent), readTarget(sent.target)]
  return origin === null || asked === null ? null : origin + normalPath(asked.path)
}

function originOf(origins: readonly string[], { target, host, forwardedHost }: SentTo): string | null {
  if (origins.length === 1) return origins[0] ?? null
  const [, absolute] = /^https?:\/\/([^/?#]*)/i.exec(target) ?? []
  const authority = forwardedHost ?? absolute ?? host ?? ''
  return origins.find((origin) => readOrigin(schemeOf(origin), authority) === origin) ?? null
}

function schemeOf(origin: string): string {
  return origin.slice(0, origin.indexOf(':'))
}

interface Asked {
  readonly path: string
  /** `null`: the target is in origin-form. */
  readonly authority: string | null
  readonly wellFormed: boolean
}

/** A request target (RFC 9112 3.2); `null` where no path can be read in it. */
function readTarget(target: string): Asked | null {
  if (target === '*') return { path: '', authority: null, wellFormed: true }
  if (target.startsWith('/')) {
    const [path = ''] = target.split('?', 1)
    return { path, authority: null, wellFormed: isPath(path) }
  }
  const [, authority = '', path = ''] = /^[a-z][a-z0-9+.-]*:\/\/([^/?#]+)([^?#]*)/i.exec(target) ?? []
  return authority === '' ? null : { path, authority, wellFormed: isPath(path) }
}

/** RFC 3986 appendix B, for http and https only. */
function readUri(text: string): Normal | null {
  const [, scheme, , authority, path = '', , query = '', , fragment = ''] =
    /^(?:([^:/?#]+):)?(\/\/([^/?#]*))?([^?#]*)(\?([^#]*))?(#([\s\S]*))?$/.exec(text) ?? []
  if (scheme === undefined || authority === undefined) return null
  const origin = readOrigin(scheme, authority)
  if (origin === null) return null
  return { origin, path: normalPath(path), written: path, wellFormed: isPath(path) && isQuery(query) && isQuery(fragment) }
}

function hasDots(path: string): boolean {
  return path
    .split('/')
    .slice(1)
    .some((segment) => ['.', '..'].includes(segment.replace(/%2e/gi, '.')))
}

const DEFAULT_PORTS: Readonly<Record<string, number>> = { http: 80, https: 443 }
/** `*( unreserved / pct-encoded / sub-delims )`, not empty (RFC 9110 4.2.1). */
const REG_NAME = /^(?:[A-Za-z0-9\-._~!$&'()*+,;=]|%[0-9A-Fa-f]{2})+$/

/** Scheme, host and port in normal form; `null` where they are none, or name a user (RFC 9110 4.2.4). */
function readOrigin(givenScheme: string, authority: string): string | null {
  const scheme = givenScheme.toLowerCase()
  const standard = DEFAULT_PORTS[scheme]
  const [, host = '', digits = ''] = /^(\[[^\]]*\]|[^:@[\]]*)(?::([0-9]*))?$/.exec(authority) ?? []
  const port = digits === '' ? standard : Number(digits)
  if (standard === undefined || port === undefined || port > 65_535) return null
  const name = host.startsWith('[') ? readIpv6(host.slice(1, -1)) : REG_NAME.test(host) ? decoded(host).toLowerCase() : null
  return name === null ? null : `${scheme}://${name}${port === standard ? '' : `:${port}`}`
}

/** An address in brackets, all eight groups written out. */
function readIpv6(text: string): string | null {
  const halves = text.split('::')
  if (halves.length > 2) return null
  const [before, after] = halves.map(groupsOf)
  if (before === undefined || before === null || after === null) return null
  const missing = 8 - before.length - (after?.length ?? 0)
  if (after === undefined ? missing !== 0 : missing < 1) return null
  const groups = [...before, ...Array.from({ length: missing }, () => 0), ...(after ?? [])]
  return `[${groups.map((group) => group.toString(16)).join(':')}]`
}

function groupsOf(text: string): readonly number[] | null {
  if (text === '') return []
  const parts = text.split(':')
  const groups = parts.flatMap((part, index) => {
    if (/^[0-9A-Fa-f]{1,4}$/.test(part)) return [Number.parseInt(part, 16)]
    const bytes = index === parts.length - 1 && /^\d{1,3}(?:\.\d{1,3}){3}$/.test(part) ? part.split('.').map(Number) : []
    const [a = 256, b = 0, c = 0, d = 0] = bytes
    return bytes.every((byte) => byte < 256) && a < 256 ? [a * 256 + b, c * 256 + d] : [Number.NaN]
  })
  return groups.some(Number.isNaN) ? null : groups
}

/** `path-abempty` (RFC 3986 3.3). */
function isPath(path: string): boolean {
  return /^(?:\/(?:[A-Za-z0-9\-._~!$&'()*+,;=:@]|%[0-9A-Fa-f]{2})*)*$/.test(path)
}

function isQuery(text: string): boolean {
  return /^(?:[A-Za-z0-9\-._~!$&'()*+,;=:@/?]|%[0-9A-Fa-f]{2})*$/.test(text)
}

function normalPath(path: string): string {
  return removeDotSegments(decoded(path)) || '/'
}

/** Stands for a percent sign that begins no escape: what follows it must not turn it into one. */
const BARE_PERCENT = '\uffff'

/** RFC 3986 6.2.2.1 and 6.2.2.2: each escape once. */
function decoded(text: string): string {
  const parts = text.split(/(%[0-9A-Fa-f]{2})/)
  return parts
    .map((part, index) => {
      if (index % 2 === 0) return part.replaceAll('%', BARE_PERCENT)
      const character = String.fromCodePoint(Number.parseInt(part.slice(1), 16))
      return /^[\w.~-]$/.test(character) ? character : part.toUpperCase()
    })
    .join('')
}

/** The algorithm of RFC 3986 5.2.4, step by step. */
function removeDotSegments(path: string): string {
  let input = path
  let output = ''
  while (input !== '') {
    if (input.startsWith('/./')) input = input.slice(2)
    else if (input === '/.') input = '/'
    else if (input.startsWith('/../') || input === '/..') {
      input = input === '/..' ? '/' : input.slice(3)
      output = output.slice(0, Math.max(0, output.lastIndexOf('/')))
    } else {
      const next = input.indexOf('/', 1)
      const segment = next === -1 ? input : input.slice(0, next)
      output += segment
      input = input.slice(segment.length)
    }
  }
  return output
}
