import { ConfigError } from '@behalf/core'
import { integerAt, membersOf, optional } from '@behalf/core/sink-kit'
import { openPool, type PostgresTls } from './open-pool.js'
import type { PostgresPool } from './pool.js'
import { DEFAULT_TABLE, type TableName, tableNameAt } from './table-name.js'

/** Where the table is, and how long to wait for it. Either `connectionString` or `pool` is given. */
export interface PostgresOptions {
  /**
   * `postgres://user:password@host:5432/database`. Without a password, `PGPASSWORD` and the password file hold, as they do in
   * `pg`. Over the network, TLS is always used and the server's certificate verified, with its name: of `sslmode`, only
   * `verify-full` is taken, and `disable` where the host is loopback or a unix socket. `sslrootcert`, `sslcert` and `sslkey` name
   * files in the URL.
   */
  readonly connectionString?: string
  /**
   * A `Pool` of `pg`, which stays the application's: its TLS is not checked, and it is not ended with the target. An `error`
   * listener is added to it, without which a lost connection would end the process.
   */
  readonly pool?: PostgresPool
  /** The table, with its schema if it is to have one: lower-case letters, digits and `_`. Default: `behalf_audit`. */
  readonly table?: string
  /** Certificates that TLS needs. With a `connectionString` alone. Given for a loopback host, it turns TLS on. */
  readonly tls?: PostgresTls
  /** How long each statement may take, in milliseconds; the commit, too. Default: 5,000. */
  readonly statementTimeoutMilliseconds?: number
  /** How long it may take to get a connection, in milliseconds. Default: 5,000. */
  readonly connectTimeoutMilliseconds?: number
}

/** Options, checked. */
export interface PostgresSettings {
  readonly pool: PostgresPool
  /** Ends the pool, where it is our own. */
  readonly endPool: () => Promise<void>
  readonly table: TableName
  readonly statementTimeoutMilliseconds: number
  readonly connectTimeoutMilliseconds: number
}

export const POSTGRES_OPTIONS: readonly (keyof PostgresOptions)[] = [
  'connectionString',
  'pool',
  'table',
  'tls',
  'statementTimeoutMilliseconds',
  'connectTimeoutMilliseconds',
]
const DEFAULT_TIMEOUT_MILLISECONDS = 5000
/** Longest timer of Node; PostgreSQL's is as long. */
const LONGEST_TIMEOUT_MILLISECONDS = 2 ** 31 - 1

/**
 * Options as they are used. Opens a pool, which connects when it is first needed.
 * @param where the function that they were given to, for messages
 * @throws {ConfigError} where an option is not what it must be
 */
export function settingsOf(options: PostgresOptions, where: string): PostgresSettings {
  const members = membersOf(options, where, POSTGRES_OPTIONS)
  const timeout = (name: keyof PostgresOptions) => optional(members, name, where, timeoutAt, DEFAULT_TIMEOUT_MILLISECONDS)
  const statementTimeoutMilliseconds = timeout('statementTimeoutMilliseconds')
  const connectTimeoutMilliseconds = timeout('connectTimeoutMilliseconds')
  const table = optional(members, 'table', where, tableNameAt, tableNameAt(DEFAULT_TABLE, where))
  return {
    ...poolOf(options, connectTimeoutMilliseconds, where),
    table,
    statementTimeoutMilliseconds,
    connectTimeoutMilliseconds,
  }
}

function poolOf(options: PostgresOptions, connectTimeoutMilliseconds: number, where: string) {
  const { connectionString, pool, tls } = options
  if ((connectionString === undefined) === (pool === undefined)) {
    throw new ConfigError(`${where} needs either connectionString or pool`)
  }
  if (connectionString !== undefined) {
    return openPool(connectionString, tls, connectTimeoutMilliseconds, where)
  }
  if (tls !== undefined) throw new ConfigError(`${where}.tls goes with connectionString: a pool has settings of its own`)
  assertPool(pool, `${where}.pool`)
  return { pool, endPool: async () => {} }
}

function assertPool(pool: unknown, where: string): asserts pool is PostgresPool {
  const { connect, on } = (pool ?? {}) as Partial<PostgresPool>
  if (typeof connect !== 'function' || typeof on !== 'function') throw new ConfigError(`${where} must be a Pool of pg`)
}

function timeoutAt(value: unknown, where: string): number {
  return integerAt(value, where, 1, LONGEST_TIMEOUT_MILLISECONDS)
}
