import { type Migration, migrationsOf } from './migrations.js'
import { type PostgresOptions, settingsOf } from './options.js'
import type { PostgresClient } from './pool.js'
import { PostgresError } from './postgres-error.js'
import { ignore, inSession } from './session.js'

/** Of the advisory lock that migrations take, of whatever table: 'behalf' in ASCII. */
const LOCK = '108187682434150'

/**
 * Makes the table, or brings it to this version, in one transaction: all of it, or nothing. Applied again, it does nothing. Any
 * number of processes may do so at once: one of them does it, and the others wait. The user must own the table, or be allowed to
 * create it; give the sink another one. `statementTimeoutMilliseconds` does not hold here: an index takes the time it takes.
 *
 * @returns the versions that were applied; empty where all of them had been
 * @throws {ConfigError} where an option is not what it must be
 * @throws {PostgresError} where PostgreSQL cannot be reached, or refuses
 */
export async function migrate(options: PostgresOptions): Promise<readonly number[]> {
  const settings = settingsOf(options, 'migrate()')
  settings.pool.on('error', ignore)
  const { migrations, ...names } = settings.table
  try {
    return await inSession(settings, (client) => applyAll(client, migrations, migrationsOf({ migrations, ...names })))
  } finally {
    await settings.endPool()
  }
}

async function applyAll(client: PostgresClient, versions: string, migrations: readonly Migration[]): Promise<number[]> {
  await client.query({ text: 'begin; set local statement_timeout = 0; set local lock_timeout = 0' })
  await client.query({ text: `select pg_advisory_xact_lock(${LOCK})` })
  await assertEncoding(client)
  await client.query({
    text: `create table if not exists ${versions} (version integer primary key, applied timestamptz not null default now())`,
  })
  const { rows } = await client.query({ text: `select version from ${versions}` })
  const applied = new Set((rows as readonly { readonly version: number }[]).map(({ version }) => version))
  const missing = migrations.filter(({ version }) => !applied.has(version))
  for (const { version, sql } of missing) {
    await client.query({ text: sql })
    await client.query({ text: `insert into ${versions} (version) values ($1)`, values: [version] })
  }
  await client.query({ text: 'commit' })
  return missing.map(({ version }) => version)
}

/** Another encoding cannot keep every record, and would refuse the first that it cannot, with all that come after it. */
async function assertEncoding(client: PostgresClient): Promise<void> {
  const { rows } = await client.query({ text: 'show server_encoding' })
  const [row] = rows as readonly { readonly server_encoding: string }[]
  if (row?.server_encoding !== 'UTF8') throw new PostgresError('the encoding of the database must be UTF8')
}
