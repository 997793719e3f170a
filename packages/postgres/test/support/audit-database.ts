import { execFileSync } from 'node:child_process'
import { migrate } from '@behalf/postgres'
import pg from 'pg'
import { type PostgresServer, type PostgresServerOptions, startPostgres } from '../../../../test/support/postgres-server.js'

/** A server with the table, its owner, and a user that may insert and do nothing else. */
export interface AuditDatabase {
  readonly server: PostgresServer
  /** Connection string of the owner. */
  readonly ownerUrl: string
  /** Connection string of the user that writes. */
  readonly writerUrl: string
  /** Runs SQL as the owner. */
  sql<Row = Record<string, unknown>>(text: string, values?: unknown[]): Promise<Row[]>
  /** What is in the table, in the order in which it is read. */
  kept(): Promise<{ readonly id: string; readonly body: string }[]>
  stop(): Promise<void>
}

const WRITER = { name: 'writer', password: 'password-of-the-writer' }

export async function startAuditDatabase(options: PostgresServerOptions = {}): Promise<AuditDatabase> {
  const server = await startPostgres(options)
  await migrate({ connectionString: server.url() })

  /** A connection each: the server may have been killed meanwhile. */
  async function sql<Row>(text: string, values?: unknown[]): Promise<Row[]> {
    const client = new pg.Client({ connectionString: server.socketUrl(), ssl: false })
    await client.connect()
    try {
      return (await client.query(text, values)).rows
    } finally {
      await client.end()
    }
  }
  await sql(`create role writer login password '${WRITER.password}'; grant insert on behalf_audit to writer`)
  return {
    server,
    ownerUrl: server.url(),
    writerUrl: server.url(WRITER),
    sql,
    kept: () => sql('select id, body from behalf_audit order by chain, sequence'),
    stop: () => server.stop(),
  }
}

/** A certificate for `localhost` alone, signed by itself. */
export function localhostCertificate(): { readonly cert: string; readonly key: string } {
  const request = 'req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout - -days 2 -subj /CN=localhost'
  const name = ['-addext', 'subjectAltName=DNS:localhost']
  const pem = execFileSync('openssl', [...request.split(' '), ...name], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })
  const start = pem.indexOf('-----BEGIN CERTIFICATE-----')
  return { key: pem.slice(0, start), cert: pem.slice(start) }
}
