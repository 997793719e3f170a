import type { Scheme } from '../challenge.js'
import { AuthError } from '../errors.js'
import type { RequestView } from '../request-view.js'
import { isBelated } from '../thenable.js'

/**
 * Where else a token may stand, beside the `Authorization` field: a cookie, an old query parameter. Answers at once, with a
 * token or `null`; what it throws becomes the `cause` of an `ApplicationError` (500), never an anonymous call.
 */
export type CredentialsSource = (request: RequestView) => string | null

const B64TOKEN = /^[A-Za-z0-9\-._~+/]+=*$/
/** A scheme (RFC 9110 11.4), compared without case, and what follows it after `1*SP`. */
const CREDENTIALS = /^([!#$%&'*+\-.^_`|~0-9A-Za-z]+)(?: +|$)/

/** Whether a text has the shape of a bearer token: `b64token` (RFC 6750 2.1). */
export function isBearerToken(text: string): boolean {
  return B64TOKEN.test(text)
}

/** A token as it is presented. */
export interface Credentials {
  readonly scheme: Scheme
  readonly token: string
}

/**
 * What stands as the one access token of a request, or `null` where the request presents none at all.
 *
 * A request that presents credentials in two places is refused (RFC 6750 2: a client must not use more than one method), never
 * resolved by a preference: a proxy may have looked at the other one. Form bodies and query parameters are not read. Whether the
 * text has the shape of a token ({@link isBearerToken}) is not checked here: one that was proved before needs no such look.
 *
 * @param offersDpop whether the scheme `DPoP` (RFC 9449 7.1) is understood
 * @throws {AuthError} `request_ambiguous`, `credentials_malformed`, `credentials_missing` (another scheme), `binding_unsupported` (`DPoP`)
 */
export function readCredentials(request: RequestView, from: CredentialsSource | null, offersDpop: boolean): Credentials | null {
  const lines = request.authorization
  // A source that throws is the application's failure, not an anonymous request: its error goes up, and becomes a 500.
  const elsewhere: unknown = from === null ? null : from(request)
  isBelated(elsewhere) // a promise is no string, so it is refused below
  if (lines.length > 1 || (lines.length === 1 && elsewhere !== null)) throw new AuthError('request_ambiguous')
  const line = lines[0]
  if (line === undefined && elsewhere === null) return null
  if (line !== undefined) return credentialsIn(line, offersDpop)
  if (typeof elsewhere !== 'string') throw new AuthError('credentials_malformed')
  return { scheme: 'Bearer', token: elsewhere }
}

function credentialsIn(line: string, offersDpop: boolean): Credentials {
  const [start = '', scheme] = CREDENTIALS.exec(line) ?? []
  if (scheme === undefined) throw new AuthError('credentials_malformed')
  const name = scheme.toLowerCase()
  const token = line.slice(start.length)
  if (name === 'bearer') return { scheme: 'Bearer', token }
  if (name !== 'dpop') throw new AuthError('credentials_missing')
  if (!offersDpop) throw new AuthError('binding_unsupported')
  return { scheme: 'DPoP', token }
}
