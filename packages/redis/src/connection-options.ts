import { ConfigError, integerAt, isLoopback, type Members, membersOf, optional, parseUrl, stringAt } from '@behalf/core/sink-kit'

/** Who connects. */
export interface RedisCredentials {
  /** A user of the server's access list. Default: the server's default user. */
  readonly user?: string
  readonly password: string
}

/** Certificates for TLS. The server's is always verified. Files hold PEM and are read at every connection, so that they can be renewed. */
export interface RedisTlsOptions {
  /** The authorities that are trusted in place of Node's. */
  readonly caFile?: string
  /** The client's certificate; needs `keyFile`. */
  readonly certFile?: string
  /** The client certificate's key; needs `certFile`. */
  readonly keyFile?: string
}

/** Where the server is, and who connects. */
export interface RedisConnectionOptions {
  /**
   * `rediss://user:password@host:port/database`: user, password and database may be left out, and the port is 6379 then. It names the
   * primary, and is looked up at every connection. `redis://`, without TLS, is taken where the host is loopback alone.
   */
  readonly url: string
  /** Default: what the URL says, or nobody. */
  readonly credentials?: RedisCredentials
  /** Certificates; with `rediss://` alone. */
  readonly tls?: RedisTlsOptions
  /** Longest time until a server has let us in and said what it is, in milliseconds. Default 5,000. */
  readonly connectTimeoutMilliseconds?: number
  /**
   * Longest time without any answer while one is waited for, in milliseconds; then the connection is given up. How long a request waits
   * is the server's `limits.replayMilliseconds`. Default 5,000.
   */
  readonly answerTimeoutMilliseconds?: number
}

/** Options of a connection, checked. */
export interface ConnectionSettings {
  readonly host: string
  readonly port: number
  readonly database: number
  readonly credentials: RedisCredentials | null
  /** `null`: no TLS, on this machine. */
  readonly tls: RedisTlsOptions | null
  readonly connectTimeoutMilliseconds: number
  readonly answerTimeoutMilliseconds: number
}

/** The members of {@link RedisConnectionOptions}. */
export const CONNECTION_MEMBERS: readonly (keyof RedisConnectionOptions)[] = [
  'url',
  'credentials',
  'tls',
  'connectTimeoutMilliseconds',
  'answerTimeoutMilliseconds',
]

const DEFAULT_PORT = 6379
const DEFAULT_TIMEOUT_MILLISECONDS = 5_000
/** Longer timers are cut short by the runtime. */
const LONGEST_TIMEOUT_MILLISECONDS = 2 ** 31 - 1

/** Checks the members of a connection. No message holds a part of the URL or of a credential. */
export function connectionSettings(members: Members, where: string): ConnectionSettings {
  const { scheme, url, port, database } = addressAt(members['url'], `${where}.url`)
  const credentials = optional(members, 'credentials', where, credentialsAt, null)
  const tls = optional(members, 'tls', where, tlsAt, null)
  const own = credentialsOf(url, `${where}.url`)
  if (own !== null && credentials !== null) {
    throw new ConfigError(`${where}.url holds credentials, and so does the option credentials: leave one of them out`)
  }
  if (scheme === 'redis' && tls !== null) {
    throw new ConfigError(`${where}.tls has certificates, and the URL is without TLS: write rediss://, or leave them out`)
  }
  if (scheme === 'redis' && !isLoopback(url.hostname)) {
    throw new ConfigError(`${where}.url must be rediss://…: without TLS (redis://) the host must be loopback`)
  }
  return Object.freeze({
    host: url.hostname.replace(/^\[|\]$/g, ''),
    port,
    database,
    credentials: credentials ?? own,
    tls: scheme === 'rediss' ? (tls ?? {}) : null,
    connectTimeoutMilliseconds: timeoutAt('connectTimeoutMilliseconds'),
    answerTimeoutMilliseconds: timeoutAt('answerTimeoutMilliseconds'),
  })

  function timeoutAt(name: string): number {
    const read = (value: unknown, at: string) => integerAt(value, at, 1, LONGEST_TIMEOUT_MILLISECONDS)
    return optional(members, name, where, read, DEFAULT_TIMEOUT_MILLISECONDS)
  }
}

/** A URL's parts, as far as they are not looked at yet. */
interface Address {
  readonly scheme: 'redis' | 'rediss'
  /** Under a scheme whose hosts are read as web addresses are: any other one leaves `LOCALHOST` or `0x7f.1` as they are. */
  readonly url: URL
  readonly port: number
  readonly database: number
}

function addressAt(value: unknown, where: string): Address {
  const [, scheme, rest = '', database = '0'] = /^(rediss?):\/\/([^/?#]*)(?:\/(\d{0,5}))?$/.exec(stringAt(value, where)) ?? []
  const text = `https://${rest}`
  const url = scheme === undefined ? null : parseUrl(text)
  if (url === null || url.hostname === '') {
    throw new ConfigError(`${where} must be rediss://user:password@host:port/database, with special characters percent-encoded`)
  }
  const port = Number(/:(\d+)$/.exec(rest)?.[1] ?? DEFAULT_PORT) // a web address does not keep its own one
  return { scheme: scheme as Address['scheme'], url, port, database: Number(database) }
}

/** `user:password@` or `:password@`. */
function credentialsOf({ username, password }: URL, where: string): RedisCredentials | null {
  if (username === '' && password === '') return null
  if (password === '') throw new ConfigError(`${where} names a user without a password: write :password@ for a password alone`)
  try {
    const user = decodeURIComponent(username)
    return Object.freeze({ password: decodeURIComponent(password), ...(user !== '' && { user }) })
  } catch {
    throw new ConfigError(`${where} holds credentials that are not percent-encoded as they should be: use the option credentials`)
  }
}

function credentialsAt(value: unknown, where: string): RedisCredentials {
  const members = membersOf(value, where, ['user', 'password'])
  optional(members, 'user', where, stringAt, null)
  stringAt(members['password'], `${where}.password`)
  return Object.freeze({ ...members }) as unknown as RedisCredentials
}

function tlsAt(value: unknown, where: string): RedisTlsOptions {
  const names = ['caFile', 'certFile', 'keyFile']
  const members = membersOf(value, where, names)
  for (const name of names) optional(members, name, where, stringAt, null)
  if ('certFile' in members !== 'keyFile' in members) throw new ConfigError(`${where} needs certFile and keyFile, or neither`)
  return Object.freeze({ ...members })
}
