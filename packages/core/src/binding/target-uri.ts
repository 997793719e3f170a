import { parseUrl } from '../parse-url.js'

/** `scheme "://" authority path`, without user, query and fragment; nothing that a URL parser would mend (RFC 3986 appendix B). */
const HTTP_URI = /^(https?):\/\/([^/?#@]+)((?:\/[^?#]*)?)(?:[?#].*)?$/i

/** What stays as it is: nothing is escaped, and there is neither query nor fragment. */
const PLAIN_URI = /^[A-Za-z0-9\-._~:/@!$&'()*+,;=[\]]+$/

/** Characters that no URI has, and that parsers treat in different ways: white space, quotes, backslashes, angle brackets, other scripts. */
const NOT_IN_URI = /[^\x21-\x7e]|["<>\\]/

interface TargetUri {
  /** In its normal form. */
  readonly origin: string
  /** As it is written. */
  readonly path: string
}

/**
 * An HTTP URI as it is compared, without query and fragment: RFC 3986 6.2.2 (case, percent-encoding, dot segments) and 6.2.3
 * (default port, empty path), as RFC 9449 4.3 recommends.
 * @returns `null` where the text is no HTTP URI, or names a user
 */
export function normalizeTargetUri(uri: string): string | null {
  const parsed = parseTargetUri(uri)
  return parsed === null ? null : parsed.origin + normalizePath(parsed.path)
}

/**
 * Whether a text is an HTTP URI that names a request's target: in its normal form, or, where the target has no such form, with its
 * very path. Query and fragment are not compared. Most clients write it as it is compared.
 */
export function isSameTarget(uri: string, target: string): boolean {
  if (uri === target && PLAIN_URI.test(uri)) return true
  const parsed = parseTargetUri(uri)
  return parsed !== null && [normalizePath(parsed.path), parsed.path].some((path) => parsed.origin + path === target)
}

function parseTargetUri(uri: string): TargetUri | null {
  const [, scheme, authority = '', path = ''] = NOT_IN_URI.test(uri) || hasBrokenEscape(uri) ? [] : (HTTP_URI.exec(uri) ?? [])
  const origin = scheme === undefined ? null : normalizeOrigin(scheme, authority)
  return origin === null ? null : { origin, path }
}

/** Whether a path has segments that its normal form has not. Frameworks route by what is written: `/admin/..` is no `/` to them. */
export function hasDotSegments(path: string): boolean {
  return /\/(?:\.|%2e){1,2}(?:\/|$)/i.test(path)
}

/**
 * Scheme, host and port as they are compared; a host in its ASCII form.
 * @param authority host and port
 * @returns `null` where it is none
 */
export function normalizeOrigin(scheme: string, authority: string): string | null {
  const text = `${scheme.toLowerCase()}://${authority}`
  const url = NOT_IN_URI.test(text) ? null : parseUrl(text)
  if (url === null) return null
  const { origin, hostname } = url
  const host = /^(\[[^\]]*\]|[^:]*)(?::\d*)?$/.exec(authority)?.[1]
  // A URL parser takes `0x7f.1` and `127.1` for 127.0.0.1; RFC 3986 does not. Addresses in brackets have several forms.
  return host !== undefined && (host.startsWith('[') || decodeUnreserved(host).toLowerCase() === hostname) ? origin : null
}

/** A path as it is compared: unreserved characters decoded, other escapes in upper case, no dot segments, never empty. */
export function normalizePath(path: string): string {
  if (path.startsWith('/') && !/%|\/\./.test(path)) return path
  const segments: string[] = []
  const parts = decodeUnreserved(path).split('/').slice(1)
  parts.forEach((segment, index) => {
    const isDots = segment === '.' || segment === '..'
    if (segment === '..') segments.pop()
    if (!isDots) segments.push(segment)
    else if (index === parts.length - 1) segments.push('') // `/a/..` is `/`
  })
  return `/${segments.join('/')}`
}

/** Whether a `%` stands for itself: what comes after it could be decoded into an escape. */
export function hasBrokenEscape(text: string): boolean {
  return /%(?![0-9a-f]{2})/i.test(text)
}

function decodeUnreserved(text: string): string {
  return text.replace(/%([0-9a-f]{2})/gi, (escaped, hex: string) => {
    const character = String.fromCharCode(Number.parseInt(hex, 16))
    return /[A-Za-z0-9\-._~]/.test(character) ? character : escaped.toUpperCase()
  })
}
