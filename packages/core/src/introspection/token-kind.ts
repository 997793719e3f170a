import type { JsonObject, JsonValue } from '../token/json.js'

/** What an answer says the token is. `bound`: an access token that only the holder of a key may use (RFC 9449 6.2). */
export type TokenKind = 'access_token' | 'bound' | 'other' | 'unsaid'

/**
 * Where authorization servers say what kind of token they answer about, with the words for access tokens, in lower case. Any other
 * word there means another kind: a refresh token is "active" too, and whoever holds one must not get in with it.
 */
const ACCESS_TOKEN_WORDS: Readonly<Record<string, ReadonlySet<string>>> = {
  // RFC 7662 2.2 has the types of RFC 6749 7.1 there; Duende IdentityServer and older servers the words of the hint
  token_type: new Set(['bearer', 'dpop', 'access_token', 'urn:ietf:params:oauth:token-type:access_token']),
  token_use: new Set(['access_token', 'access']), // Ory Hydra; Amazon Cognito
  typ: new Set(['bearer', 'dpop', 'at+jwt', 'application/at+jwt']), // Keycloak
}

/** A type of the header, shown as it stands in every kind of JWT (RFC 8725 3.11). */
const SAYS_NOTHING = 'jwt'

/** Curity's word; elsewhere an everyday one, so that only what names a kind of token is taken for that. */
const PURPOSES: ReadonlyMap<unknown, TokenKind> = new Map([
  ['access_token', 'access_token'],
  ['refresh_token', 'other'],
  ['id_token', 'other'],
  ['authorization_code', 'other'],
  ['device_code', 'other'],
  ['nonce', 'other'],
])

/** The kind of token that an answer is about. All that it says must say the same. */
export function tokenKindOf(claims: JsonObject): TokenKind {
  const said: TokenKind[] = Object.entries(ACCESS_TOKEN_WORDS).map(([member, words]) => kindBy(claims[member], words))
  said.push(PURPOSES.get(claims['purpose']) ?? 'unsaid')
  for (const kind of ['other', 'bound', 'access_token'] as const) if (said.includes(kind)) return kind
  return 'unsaid'
}

function kindBy(value: JsonValue | undefined, words: ReadonlySet<string>): TokenKind {
  if (value === undefined) return 'unsaid'
  if (typeof value !== 'string') return 'other'
  const word = value.toLowerCase()
  if (word === SAYS_NOTHING) return 'unsaid'
  if (word === 'dpop') return 'bound'
  return words.has(word) ? 'access_token' : 'other'
}
