import { AuthError } from '../errors.js'
import type { RequestView } from '../request-view.js'
import { isBelated } from '../thenable.js'

/**
 * Where else a token may stand, beside the `Authorization` field: a cookie, an old query parameter. Answers at once, with a
 * token or `null`; what it throws becomes the `cause` of an `ApplicationError` (500), never an anonymous call.
 */
export type CredentialsSource = (request: RequestView) => string | null

/** `1*SP b64token` after the scheme (RFC 6750 2.1); the scheme is compared without case (RFC 9110 11.1). */
const BEARER = /^Bearer +([A-Za-z0-9\-._~+/]+=*)$/i
const B64TOKEN = /^[A-Za-z0-9\-._~+/]+=*$/
const SCHEME = /^([!#$%&'*+\-.^_`|~0-9A-Za-z]+)(?: |$)/

/**
 * The one access token of a request, or `null` where the request presents none at all.
 *
 * A request that presents credentials in two places is refused (RFC 6750 2: a client must not use more than one method), never
 * resolved by a preference: a proxy may have looked at the other one. Form bodies and query parameters are not read.
 *
 * @throws {AuthError} `request_ambiguous`, `credentials_malformed`, `credentials_missing` (another scheme), `binding_unsupported` (`DPoP`)
 */
export function readCredentials(request: RequestView, from: CredentialsSource | null): string | null {
  const lines = request.authorization
  // A source that throws is the application's failure, not an anonymous request: its error goes up, and becomes a 500.
  const elsewhere: unknown = from === null ? null : from(request)
  isBelated(elsewhere) // a promise is no string, so it is refused below
  if (lines.length > 1 || (lines.length === 1 && elsewhere !== null)) throw new AuthError('request_ambiguous')
  const line = lines[0]
  if (line === undefined) {
    if (elsewhere === null) return null
    if (typeof elsewhere !== 'string' || !B64TOKEN.test(elsewhere)) throw new AuthError('credentials_malformed')
    return elsewhere
  }
  const scheme = SCHEME.exec(line)?.[1]?.toLowerCase()
  if (scheme === undefined) throw new AuthError('credentials_malformed')
  if (scheme === 'dpop') throw new AuthError('binding_unsupported')
  if (scheme !== 'bearer') throw new AuthError('credentials_missing')
  const token = BEARER.exec(line)?.[1]
  if (token === undefined) throw new AuthError('credentials_malformed')
  return token
}
