import { booleanAt, integerAt, type Members, membersOf, optional, stringAt, wordAt } from '../config-shape.js'
import { ConfigError } from '../errors.js'
import { fetchableAt } from '../keys/fetch-json.js'
import { MAX_CACHE_ENTRIES } from '../limits.js'
import { type Algorithm, algorithmAt } from '../token/algorithms.js'
import { type ClientAuthentication, privateKeyJwt, secretInForm, secretInHeader } from './client-authentication.js'

/** How this API shows the authorization server who it is (RFC 7662 2.1), with a secret that both know. */
export interface SecretAuthentication {
  /** `client_secret_basic`: in the `Authorization` field (RFC 6749 2.3.1); `client_secret_post`: in the form. */
  readonly method: 'client_secret_basic' | 'client_secret_post'
  /** The secret. It stands in no message, and no `util.inspect` shows it. */
  readonly clientSecret: string
}

/** The same with a signature, so that no secret is sent: an assertion by RFC 7523 2.2, a new one for each question. */
export interface KeyAuthentication {
  /** An assertion in the form (RFC 7523 2.2). */
  readonly method: 'private_key_jwt'
  /** The private key as a JWK (RFC 7517 4). Its `kid`, if it has one, goes into the assertion. */
  readonly key: object
  /** One that the key fits. */
  readonly algorithm: Algorithm
  /** `aud` of the assertion. Default: the issuer. */
  readonly audience?: string
}

/** How an issuer is asked about tokens that only it can read (RFC 7662). */
export interface IntrospectionOptions {
  /** The introspection endpoint: https, or http on loopback; without credentials and fragment. */
  readonly endpoint: string
  /** This API's client id at the issuer. */
  readonly clientId: string
  /** How it proves to be that client. */
  readonly authentication: SecretAuthentication | KeyAuthentication
  /**
   * Asks for answers that the issuer signs (RFC 9701), and accepts no other. They are proved by the issuer's keys and algorithms, and
   * name this API as their `audience`: its client id, unless it is said here. Encrypted answers are not read. Default `false`.
   */
  readonly signed?: boolean | { readonly audience?: string }
  /**
   * What becomes of a token where the answer does not say that it is an access token; one that is said to be of another kind is
   * always refused. Refresh tokens are active too: accept untyped answers only from an endpoint that knows access tokens alone.
   * Default `refuse`.
   */
  readonly untyped?: 'refuse' | 'accept'
  /**
   * How long an answer is believed, in whole seconds from when the question was sent: so long a token that was revoked can go on.
   * Never beyond the token's `exp`. 0: each request asks. At most 300. Default 30.
   */
  readonly cacheSeconds?: number
  /** Most answers kept. Default 10,000. */
  readonly maxEntries?: number
}

/** The options, read. */
export interface IntrospectionSettings {
  readonly endpoint: string
  readonly authentication: ClientAuthentication
  /** What signed answers call us; `null`: answers are not signed. */
  readonly audience: string | null
  readonly takesUntyped: boolean
  readonly cacheMilliseconds: number
  readonly maxEntries: number
}

const MOST_CACHE_SECONDS = 300
const DEFAULT_CACHE_SECONDS = 30
const DEFAULT_ENTRIES = 10_000

const MEMBERS: readonly string[] = [
  'endpoint',
  'clientId',
  'authentication',
  'signed',
  'untyped',
  'cacheSeconds',
  'maxEntries',
  // Read with the issuer's other options: how the answers write delegation, and what they must say.
  'actor',
  'presentClaims',
]

/** @throws {ConfigError} naming the option and the mend, never a secret */
export function readIntrospectionOptions(value: unknown, where: string, issuer: string): IntrospectionSettings {
  const members = membersOf(value, where, MEMBERS)
  const endpoint = fetchableAt(members['endpoint'], `${where}.endpoint`)
  const clientId = stringAt(members['clientId'], `${where}.clientId`)
  const authentication = authenticationAt(members['authentication'], `${where}.authentication`, clientId, issuer)
  const cacheSecondsAt = (given: unknown, at: string) => integerAt(given, at, 0, MOST_CACHE_SECONDS)
  const entriesAt = (given: unknown, at: string) => integerAt(given, at, 1, MAX_CACHE_ENTRIES)
  return {
    endpoint,
    authentication,
    audience: optional(members, 'signed', where, (given, at) => audienceAt(given, at, clientId), null),
    takesUntyped: optional(members, 'untyped', where, untypedAt, 'refuse') === 'accept',
    cacheMilliseconds: optional(members, 'cacheSeconds', where, cacheSecondsAt, DEFAULT_CACHE_SECONDS) * 1000,
    maxEntries: optional(members, 'maxEntries', where, entriesAt, DEFAULT_ENTRIES),
  }
}

function untypedAt(value: unknown, where: string): 'refuse' | 'accept' {
  return wordAt(value, where, ['refuse', 'accept'])
}

function audienceAt(value: unknown, where: string, clientId: string): string | null {
  if (typeof value !== 'object' || value === null) return booleanAt(value, where) ? clientId : null
  return optional(membersOf(value, where, ['audience']), 'audience', where, stringAt, clientId)
}

const METHODS = ['client_secret_basic', 'client_secret_post', 'private_key_jwt'] as const

function authenticationAt(value: unknown, where: string, clientId: string, issuer: string): ClientAuthentication {
  const all = membersOf(value, where, ['method', 'clientSecret', 'key', 'algorithm', 'audience'])
  const method = wordAt(all['method'], `${where}.method`, METHODS)
  if (method !== 'private_key_jwt') {
    const { clientSecret } = membersOf(value, where, ['method', 'clientSecret'])
    const secret = stringAt(clientSecret, `${where}.clientSecret`)
    return method === 'client_secret_basic' ? secretInHeader(clientId, secret) : secretInForm(clientId, secret)
  }
  const members: Members = membersOf(value, where, ['method', 'key', 'algorithm', 'audience'])
  if (!Object.hasOwn(members, 'key')) throw new ConfigError(`${where}.key is missing: give the private key as a JWK`)
  const algorithm = algorithmAt(members['algorithm'], `${where}.algorithm`)
  const audience = optional(members, 'audience', where, stringAt, issuer)
  return privateKeyJwt({ clientId, audience, algorithm, jwk: members['key'], where: `${where}.key` })
}
