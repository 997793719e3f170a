import { ConfigError } from '../errors.js'
import { isObject, type JsonObject, type JsonValue } from '../token/json.js'
import type { ClaimCheck } from './claim-check.js'
import { normalizeTokenType } from './token-type.js'

/** Types of JWTs that are never access tokens, with the source that says so. Nobody can configure them as one. */
const OTHER_TYPES: ReadonlySet<string> = new Set(
  [
    'dpop+jwt', // a proof of possession, RFC 9449 4.2
    'secevent+jwt', // a security event, RFC 8417 2.3
    'logout+jwt', // OpenID Connect Back-Channel Logout 1.0 2.4
    'token-introspection+jwt', // an answer to an API, RFC 9701 5
    'oauth-authz-req+jwt', // a request of a client, RFC 9101 10.8
    'client-authentication+jwt', // a client's assertion, RFC 7523bis
    'oauth-id-jag+jwt', // a grant for another authorization server
    'txntoken+jwt', // a transaction token, for its own header field
    'statuslist+jwt', // the status of many tokens
    'kb+jwt', // a holder's proof beside a credential, RFC 9901
  ].map(normalizeTokenType),
)

/** Claims that only another kind of JWT has, where its header does not say which it is. */
const OTHER_CLAIMS: Readonly<Record<string, (value: JsonValue) => boolean>> = {
  at_hash: isText, // an ID token, OpenID Connect Core 1.0 3.1.3.6
  c_hash: isText, // an ID token, 3.3.2.11
  s_hash: isText, // an ID token, FAPI 1.0
  events: isObject, // a security event or a logout token, RFC 8417 2.2
  htu: isText, // a proof of possession, RFC 9449 4.2
  token_introspection: isObject, // RFC 9701 5
  status_list: isObject, // a status list
  req_wl: isText, // a transaction token
}

/** Types that say nothing (RFC 8725 3.11). */
const UNTYPED: ReadonlySet<string> = new Set(['application/jwt'])

/**
 * The token is not one of another kind of the same issuer (RFC 8725 3.12: rules for different kinds must exclude each other). A header
 * that says `at+jwt`, or another type of this issuer's own, is believed; where it says nothing, the claims are looked at.
 */
export const checkOtherKinds: ClaimCheck = ({ header: { typ }, claims }) => {
  const untyped = typ === undefined || (typeof typ === 'string' && UNTYPED.has(normalizeTokenType(typ)))
  return untyped && otherKindOf(claims) !== null ? 'token_type_refused' : null
}

/** The claim by which a token shows itself to be of another kind, `null` where none does. */
export function otherKindOf(claims: JsonObject): string | null {
  for (const [name, isOne] of Object.entries(OTHER_CLAIMS)) {
    const value = claims[name]
    if (value !== undefined && isOne(value)) return name
  }
  return null
}

/** Reads a type that an issuer may give access tokens: in the form in which types are compared. */
export function accessTokenTypeAt(type: string, where: string): string {
  const normalized = normalizeTokenType(type)
  if (OTHER_TYPES.has(normalized)) throw new ConfigError(`${where} is "${type}", which is no access token: leave it out`)
  return normalized
}

function isText(value: JsonValue): boolean {
  return typeof value === 'string'
}
