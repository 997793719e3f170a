import {
  booleanAt,
  ConfigError,
  integerAt,
  isLoopback,
  type Members,
  membersOf,
  oneOrListAt,
  optional,
  parseUrl,
  stringAt,
} from '@behalf/core/sink-kit'

/** How to say who connects: exactly one of these. A server's own URL may hold a token, or a user and a password, instead. */
export type NatsCredentials =
  | { readonly token: string }
  | { readonly user: string; readonly password: string }
  /** Seed of an nkey (`SU…`). */
  | { readonly nkeySeed: string }
  /** Path of a creds file (JWT and seed); read at every connection, so that it can be renewed. */
  | { readonly credentialsFile: string }

/** TLS to the server. Certificates are always verified. Files are read at every connection, so that they can be renewed. */
export interface NatsTlsOptions {
  /** PEM of the authorities that are trusted in place of the system's. */
  readonly caFile?: string
  /** PEM of the client's certificate; needs `keyFile`. */
  readonly certFile?: string
  /** PEM of the client certificate's key; needs `certFile`. */
  readonly keyFile?: string
  /** The server begins with TLS, before its first line (`handshake_first`). Default `false`. */
  readonly handshakeFirst?: boolean
}

/** Where the server is, and who connects. */
export interface NatsConnectionOptions {
  /**
   * `nats://host:port` or `tls://host:port`; port 4222 where it is not given. Of several, which may be a cluster's, one that
   * answers is used. TLS is required, except from `nats://` on loopback: a server that does not offer it gets no credentials.
   */
  readonly servers: string | readonly string[]
  /** Default: what the server's URL says, or nobody. */
  readonly credentials?: NatsCredentials
  /** Given, even empty, it requires TLS on loopback too. */
  readonly tls?: NatsTlsOptions
  /** Longest time until a server has answered and taken the credentials, in milliseconds. Default 5,000. */
  readonly connectTimeoutMilliseconds?: number
  /** Longest time without an acknowledgement while one is waited for, in milliseconds. Default 5,000. */
  readonly ackTimeoutMilliseconds?: number
}

/** One server, and how to connect to it. */
export interface NatsServer {
  readonly host: string
  readonly port: number
  readonly credentials: NatsCredentials | null
  /** `null`: not required. */
  readonly tls: NatsTlsOptions | null
}

/** Options of a connection, checked. */
export interface ConnectionSettings {
  readonly servers: readonly NatsServer[]
  readonly connectTimeoutMilliseconds: number
  readonly ackTimeoutMilliseconds: number
}

/** The members of {@link NatsConnectionOptions}. */
export const CONNECTION_MEMBERS: readonly string[] = [
  'servers',
  'credentials',
  'tls',
  'connectTimeoutMilliseconds',
  'ackTimeoutMilliseconds',
]

const DEFAULT_PORT = 4222
const DEFAULT_CONNECT_TIMEOUT_MILLISECONDS = 5_000
const DEFAULT_ACK_TIMEOUT_MILLISECONDS = 5_000
/** Longer timers are cut short by the runtime. */
const LONGEST_TIMEOUT_MILLISECONDS = 2 ** 31 - 1

/** Checks the members of a connection. No message holds the text of a URL or of a credential. */
export function connectionSettings(members: Members, where: string): ConnectionSettings {
  const urls = oneOrListAt(members['servers'], `${where}.servers`, stringAt)
  const credentials = optional(members, 'credentials', where, credentialsAt, null)
  const tls = optional(members, 'tls', where, tlsAt, null)
  const servers = urls.map((url, index) => serverAt(url, `${where}.servers[${index}]`, credentials, tls))
  return {
    servers,
    connectTimeoutMilliseconds: timeoutAt('connectTimeoutMilliseconds', DEFAULT_CONNECT_TIMEOUT_MILLISECONDS),
    ackTimeoutMilliseconds: timeoutAt('ackTimeoutMilliseconds', DEFAULT_ACK_TIMEOUT_MILLISECONDS),
  }

  function timeoutAt(name: string, fallback: number): number {
    return optional(members, name, where, (value, at) => integerAt(value, at, 1, LONGEST_TIMEOUT_MILLISECONDS), fallback)
  }
}

function serverAt(text: string, where: string, credentials: NatsCredentials | null, tls: NatsTlsOptions | null): NatsServer {
  const scheme = /^(nats|tls):\/\/[^/?#]*\/?$/.exec(text)?.[1]
  const url = scheme === undefined ? null : parsedUrl(text, scheme)
  if (url === null || url.hostname === '') {
    throw new ConfigError(`${where} must be nats://host:port or tls://host:port, without a path`)
  }
  const own = credentialsOf(url, where)
  if (own !== null && credentials !== null) {
    throw new ConfigError(`${where} holds credentials, and so does the option credentials: leave one of them out`)
  }
  const required = scheme === 'tls' || tls !== null || !isLoopback(url.hostname)
  return Object.freeze({
    host: url.hostname.replace(/^\[|\]$/g, ''),
    port: Number(/:(\d+)\/?$/.exec(text)?.[1] ?? DEFAULT_PORT),
    credentials: credentials ?? own,
    tls: required ? (tls ?? {}) : null,
  })
}

/** Parsed under a scheme whose hosts are read as web addresses are: any other one leaves `LOCALHOST` or `0x7f.1` as they are. */
function parsedUrl(text: string, scheme: string): URL | null {
  const asWeb = `https${text.slice(scheme.length)}`
  return parseUrl(asWeb)
}

/** `nats://user:password@host`, or `nats://token@host`. */
function credentialsOf({ username, password }: URL, where: string): NatsCredentials | null {
  if (username === '' && password === '') return null
  try {
    if (password === '') return { token: decodeURIComponent(username) }
    return { user: decodeURIComponent(username), password: decodeURIComponent(password) }
  } catch {
    throw new ConfigError(`${where} holds credentials that are not percent-encoded as they should be: use the option credentials`)
  }
}

const CREDENTIALS_FORMS = ['token', 'password+user', 'nkeySeed', 'credentialsFile']

function credentialsAt(value: unknown, where: string): NatsCredentials {
  const members = membersOf(value, where, ['token', 'user', 'password', 'nkeySeed', 'credentialsFile'])
  if (!CREDENTIALS_FORMS.includes(Object.keys(members).sort().join('+'))) {
    throw new ConfigError(
      `${where} must have token, or user and password, or nkeySeed, or credentialsFile, and nothing beside it`,
    )
  }
  for (const [name, member] of Object.entries(members)) stringAt(member, `${where}.${name}`)
  return Object.freeze({ ...members }) as NatsCredentials
}

function tlsAt(value: unknown, where: string): NatsTlsOptions {
  const members = membersOf(value, where, ['caFile', 'certFile', 'keyFile', 'handshakeFirst'])
  for (const name of ['caFile', 'certFile', 'keyFile']) optional(members, name, where, stringAt, null)
  optional(members, 'handshakeFirst', where, booleanAt, false)
  if ('certFile' in members !== 'keyFile' in members) throw new ConfigError(`${where} needs certFile and keyFile, or neither`)
  return Object.freeze({ ...members }) as NatsTlsOptions
}
