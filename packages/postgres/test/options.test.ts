import { ConfigError } from '@behalf/core'
import {
  migrate,
  migrations,
  type PostgresOptions,
  type PostgresSinkOptions,
  postgresSink,
  postgresTarget,
} from '@behalf/postgres'
import pg from 'pg'
import { afterEach, describe, expect, it } from 'vitest'
import { openPool } from '../src/open-pool.js'

const LOCAL = 'postgres://writer@localhost/audit'
const REMOTE = 'postgres://writer@db.example.com/audit'
const CERTIFICATE = '-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----\n'
const KEY = CERTIFICATE.replaceAll('CERTIFICATE', 'PRIVATE KEY')
const FIXTURE = new URL('support/authority.pem', import.meta.url).pathname

/** What `pg` was told about TLS, and where it will connect to. */
function opened(connectionString: string, tls: PostgresOptions['tls'] = undefined) {
  const pool = openPool(connectionString, tls, 1000, 'test()').pool as pg.Pool
  const client = new pg.Client(pool.options)
  return { ssl: client.ssl as unknown, host: client.host, port: client.port, user: client.user, database: client.database }
}

describe('options that are refused', () => {
  const pool = { connect() {}, on() {} }
  it.each<[what: string, options: unknown, message: string]>([
    ['none', undefined, 'must be an object'],
    ['null', null, 'must be an object'],
    ['a URL alone', LOCAL, 'must be an object'],
    ['neither place', {}, 'needs either connectionString or pool'],
    ['both places', { connectionString: LOCAL, pool }, 'needs either connectionString or pool'],
    ['a missing environment variable', { connectionString: undefined }, '.connectionString is undefined'],
    [
      'an unknown option',
      { connectionString: LOCAL, tabel: 'x' },
      'has an unknown member "tabel": it knows connectionString, pool',
    ],
    ['a number for a URL', { connectionString: 5 }, '.connectionString must be a URL such as postgres://'],
    ['an empty URL', { connectionString: '' }, '.connectionString must be a URL'],
    ['another scheme', { connectionString: 'mysql://host/db' }, '.connectionString must be a URL'],
    ['a client for a pool', { pool: { query() {} } }, '.pool must be a Pool of pg'],
    ['null for a pool', { pool: null }, '.pool must be a Pool of pg'],
    ['tls beside a pool', { pool, tls: { ca: CERTIFICATE } }, '.tls goes with connectionString'],
    [
      'no statement timeout',
      { connectionString: LOCAL, statementTimeoutMilliseconds: 0 },
      '.statementTimeoutMilliseconds must be',
    ],
    ['half a millisecond', { connectionString: LOCAL, connectTimeoutMilliseconds: 0.5 }, '.connectTimeoutMilliseconds must be'],
    ['a timeout longer than a timer', { connectionString: LOCAL, connectTimeoutMilliseconds: 2 ** 31 }, 'from 1 to 2147483647'],
    [
      'a timeout as text',
      { connectionString: LOCAL, statementTimeoutMilliseconds: '5' },
      'must be a whole number, from 1 to 2147483647',
    ],
    ['null for tls', { connectionString: LOCAL, tls: null }, '.tls must be an object'],
    ['tls that is off', { connectionString: REMOTE, tls: false }, '.tls must be an object'],
    [
      'tls that verifies nothing',
      { connectionString: REMOTE, tls: { rejectUnauthorized: false } },
      'unknown member "rejectUnauthorized"',
    ],
    [
      'another check of the name',
      { connectionString: REMOTE, tls: { checkServerIdentity() {} } },
      'unknown member "checkServerIdentity"',
    ],
    ['a path for an authority', { connectionString: REMOTE, tls: { ca: '/etc/ca.pem' } }, '.tls.ca must be a text in PEM'],
    ['a certificate without a key', { connectionString: REMOTE, tls: { cert: CERTIFICATE } }, '.tls needs both cert and key'],
    ['a key without a certificate', { connectionString: REMOTE, tls: { key: KEY } }, '.tls needs both cert and key'],
  ])('%s', async (_, options, message) => {
    for (const [create, name] of [
      [postgresTarget, 'postgresTarget()'],
      [postgresSink, 'postgresSink()'],
    ] as const) {
      expect(() => create(options as PostgresOptions)).toThrow(ConfigError)
      expect(() => create(options as PostgresOptions)).toThrow(message)
      expect(() => create(options as PostgresOptions)).toThrow(name)
    }
    await expect(migrate(options as PostgresOptions)).rejects.toThrow(message)
    await expect(migrate(options as PostgresOptions)).rejects.toThrow(ConfigError)
  })

  it.each<[what: string, options: object, message: string]>([
    ['a batch of none', { maxBatchRecords: 0 }, 'maxBatchRecords must be a whole number'],
    ['a queue of none', { maxQueuedRecords: 0 }, 'maxQueuedRecords must be a whole number'],
    ['an undefined batch', { maxBatchRecords: undefined }, 'postgresSink().maxBatchRecords is undefined'],
  ])('of a sink: %s', (_, options, message) => {
    expect(() => postgresSink({ connectionString: LOCAL, ...options } as PostgresSinkOptions)).toThrow(message)
  })

  it('of a target: those of a queue', () => {
    expect(() => postgresTarget({ connectionString: LOCAL, maxBatchRecords: 5 } as PostgresOptions)).toThrow('unknown member')
  })
})

describe('a table', () => {
  it.each<[table: unknown]>([
    [''],
    ['Audit'],
    ['1audit'],
    ['audit-log'],
    ['audit log'],
    ['audit"'],
    ["audit'"],
    ['audit;drop table x'],
    ['аudit'], // a Cyrillic letter
    ['a.b.c'],
    ['.audit'],
    ['audit.'],
    ['audit\n'],
    ['a'.repeat(41)],
    [`${'a'.repeat(41)}.audit`],
    [null],
    [7],
    [['audit']],
  ])('is not %j', (table) => {
    const message = '.table must be a table or schema.table, each of lower-case letters, digits and "_"'
    expect(() => postgresTarget({ connectionString: LOCAL, table: table as string })).toThrow(ConfigError)
    expect(() => postgresTarget({ connectionString: LOCAL, table: table as string })).toThrow(message)
    expect(() => migrations(table as string)).toThrow('the argument of migrations() must be a table')
  })

  it.each(['audit', '_audit_2', 'security.audit', 'order', 'select.table', 'a'.repeat(40)])(
    'is %s, quoted wherever it stands',
    (table) => {
      const quoted = table
        .split('.')
        .map((part) => `"${part}"`)
        .join('.')
      const [first] = migrations(table)
      expect(first?.sql).toContain(`create table if not exists ${quoted} (`)
      expect(first?.sql.match(/ on "[^ ]+ /g)).toEqual(Array(6).fill(` on ${quoted} `))
      for (const [index] of first?.sql.matchAll(/(?<=index if not exists )"[^"]+"/g) ?? [])
        expect(index.length - 2).toBeLessThan(64)
    },
  )
})

describe('TLS', () => {
  afterEach(() => {
    for (const name of ['PGHOST', 'PGSSLMODE', 'PGPASSWORD']) delete process.env[name]
  })
  const verified = { rejectUnauthorized: true }

  it.each<[what: string, url: string, ssl: unknown, host: string]>([
    ['a name', REMOTE, verified, 'db.example.com'],
    ['an address', 'postgres://u@192.0.2.1/db', verified, '192.0.2.1'],
    ['a private address', 'postgres://u@10.0.0.5/db', verified, '10.0.0.5'],
    ['IPv6', 'postgres://u@[2001:db8::1]/db', verified, '2001:db8::1'],
    ['every interface', 'postgres://u@0.0.0.0/db', verified, '0.0.0.0'],
    ['a name that looks like loopback', 'postgres://u@127.0.0.1.example.com/db', verified, '127.0.0.1.example.com'],
    ['another', 'postgres://u@localhost.example.com/db', verified, 'localhost.example.com'],
    ['a number that is loopback to some', 'postgres://u@2130706433/db', verified, '2130706433'],
    ['a host that the query changes', 'postgres://u@localhost/db?host=db.example.com', verified, 'db.example.com'],
    ['sslmode=verify-full', `${REMOTE}?sslmode=verify-full`, verified, 'db.example.com'],
    ['sslmode=verify-full on loopback', `${LOCAL}?sslmode=verify-full`, verified, 'localhost'],
    ['localhost', LOCAL, false, 'localhost'],
    ['127.0.0.1', 'postgresql://u@127.0.0.1:5433/db', false, '127.0.0.1'],
    ['127.1.2.3', 'postgres://u@127.1.2.3/db', false, '127.1.2.3'],
    ['::1', 'postgres://u@[::1]/db', false, '::1'],
    ['a socket', 'postgres://u@%2Fvar%2Frun%2Fpostgresql/db', false, '/var/run/postgresql'],
    ['a socket in the query', 'postgres://u@/db?host=/var/run/postgresql', false, '/var/run/postgresql'],
    ['sslmode=disable on loopback', `${LOCAL}?sslmode=disable`, false, 'localhost'],
  ])('%s', (_, url, ssl, host) => {
    expect(opened(url)).toMatchObject({ ssl, host })
  })

  it.each([
    'sslmode=disable',
    'sslmode=allow',
    'sslmode=prefer',
    'sslmode=require',
    'sslmode=verify-ca',
    'sslmode=no-verify',
    'sslmode=',
    'sslmode=VERIFY-FULL',
    '%73slmode=disable',
    'application_name=a&sslmode=disable',
    'sslmode=verify-full&sslmode=disable',
    'sslmode=disable&sslmode=verify-full',
    'ssl=0',
    'ssl=false',
    'ssl=true',
    'ssl=no-verify',
    'uselibpqcompat=true',
    'uselibpqcompat=true&sslmode=require',
    'sslnegotiation=direct',
    'sslpassword=x',
  ])('over the network, a URL with %s is refused', (query) => {
    const create = () => postgresTarget({ connectionString: `${REMOTE}?${query}` })
    expect(create).toThrow(ConfigError)
    expect(create).toThrow(
      /connectionString (must say no more about TLS than sslmode=verify-full, sslrootcert|says something about TLS twice)/,
    )
  })

  it('the rest of a URL stays as it is', () => {
    const url =
      'postgres://wri%20ter:p%40ss@db.example.com:6432/au%20dit?application_name=api%201&sslmode=verify-full&options=-c%20x=1'
    const pool = openPool(url, undefined, 1000, 'test()').pool as pg.Pool
    expect(opened(url)).toEqual({ ssl: verified, host: 'db.example.com', port: 6432, user: 'wri ter', database: 'au dit' })
    const { password } = new pg.Client(pool.options) as unknown as { password: string }
    expect(password).toBe('p@ss')
    expect(pool.options.connectionString).toContain('application_name=api+1&options=-c+x%3D1')
  })

  it('PGHOST says where to, and so whether TLS is needed; PGSSLMODE says nothing', () => {
    process.env['PGSSLMODE'] = 'disable'
    expect(opened('postgres:///audit').ssl).toBe(false)
    process.env['PGHOST'] = 'db.example.com'
    expect(opened('postgres:///audit')).toMatchObject({ ssl: verified, host: 'db.example.com' })
    process.env['PGSSLMODE'] = 'no-verify'
    expect(opened(REMOTE).ssl).toEqual(verified)
  })

  it('PGPASSWORD holds where the URL has no password', () => {
    process.env['PGPASSWORD'] = 'from-the-environment'
    const passwordOf = (url: string) =>
      (new pg.Client((openPool(url, undefined, 1, 'test()').pool as pg.Pool).options) as unknown as { password: string }).password
    expect(passwordOf(LOCAL)).toBe('from-the-environment')
    expect(passwordOf('postgres://writer:own@localhost/audit')).toBe('own')
  })

  it('certificates come from the option, or from files that the URL names; on loopback they turn TLS on', () => {
    const tls = { ca: CERTIFICATE, cert: CERTIFICATE, key: KEY }
    expect(opened(REMOTE, { ca: CERTIFICATE }).ssl).toEqual({ ca: CERTIFICATE, ...verified })
    expect(opened(LOCAL, tls).ssl).toMatchObject({ ca: CERTIFICATE, cert: CERTIFICATE, ...verified })
    expect((opened(LOCAL, tls).ssl as { key: string }).key).toBe(KEY)
    expect(opened(`${LOCAL}?sslrootcert=${FIXTURE}`).ssl).toEqual({ ca: expect.stringContaining('-----BEGIN'), ...verified })
    expect(opened(`${REMOTE}?sslrootcert=${FIXTURE}&sslmode=verify-full`).ssl).toMatchObject(verified)
    expect(opened(LOCAL, {}).ssl).toEqual(verified)
  })

  it.each<[what: string, url: string, tls: object | undefined, message: string]>([
    ['twice', `${REMOTE}?sslrootcert=${FIXTURE}`, { ca: CERTIFICATE }, '.tls and the URL both name certificates'],
    [
      'in a file that is not there',
      `${REMOTE}?sslrootcert=/nowhere/secret.pem`,
      undefined,
      'names a file as sslrootcert that cannot be read',
    ],
    ['in a directory', `${REMOTE}?sslcert=/tmp`, undefined, 'names a file as sslcert that cannot be read'],
    ['in a file that is no PEM', `${REMOTE}?sslrootcert=/dev/null`, undefined, '.tls.ca must be a text in PEM'],
    ['by half', `${REMOTE}?sslcert=${FIXTURE}`, undefined, '.tls needs both cert and key'],
    ['and TLS is off', `${LOCAL}?sslmode=disable`, { ca: CERTIFICATE }, 'has certificates for TLS, and sslmode=disable'],
    ['in files, and TLS is off', `${LOCAL}?sslmode=disable&sslrootcert=${FIXTURE}`, undefined, 'and sslmode=disable'],
  ])('certificates are refused where they are named %s', (_, connectionString, tls, message) => {
    const create = () => postgresTarget({ connectionString, ...(tls && { tls }) })
    expect(create).toThrow(ConfigError)
    expect(create).toThrow(message)
    expect(create).not.toThrow('nowhere')
  })
})

describe('secrets', () => {
  const SECRET = 'S3cret-7f1c'
  it.each([
    `postgres://writer:${SECRET}@db.example.com/audit?sslmode=disable`,
    `postgres://writer:${SECRET}@db.example.com/audit?sslkey=/nowhere/${SECRET}`,
    `postgres://writer:${SECRET}@db.example.com/audit?ssl${SECRET}=1`,
    `postgres://writer:${SECRET}%E0%A4@db.example.com/audit`,
    `postgres://writer:${SECRET}/x@db.example.com/audit`,
    `postgres://writer:${SECRET}#x@db.example.com:port/audit`,
    `postgres://writer:a?sslmode=${SECRET}@db.example.com/audit`,
    `postgres://writer:${SECRET}@db.example.com:99999999/audit`,
    ` postgres://writer:${SECRET}@db.example.com/audit`,
    `postgres//writer:${SECRET}@db.example.com/audit`,
    `host=db.example.com password=${SECRET}`,
  ])('no error about a connection string holds a part of it: %s', (connectionString) => {
    let error: unknown = null
    try {
      postgresTarget({ connectionString })
    } catch (thrown) {
      error = thrown
    }
    expect(error).toBeInstanceOf(ConfigError)
    expect((error as Error).cause).toBeUndefined()
    expect(`${(error as Error).stack} ${JSON.stringify(error)}`).not.toContain(SECRET)
  })
})
