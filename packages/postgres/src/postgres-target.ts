import type { DeliveryRecord, DeliveryTarget } from '@behalf/core'
import { type PostgresOptions, settingsOf } from './options.js'
import type { PostgresClient } from './pool.js'
import { PostgresError } from './postgres-error.js'
import { insertStatement, insertValues } from './row.js'
import { ignore, inSession } from './session.js'

/**
 * Keeps records in a table: one transaction a batch, a row a record, its `body` byte for byte. The user needs INSERT on the table
 * and nothing else; `migrate()`, run as its owner, makes it.
 *
 * Acknowledged means committed and flushed to disk, also on the synchronous standbys if the server has any, whatever
 * `synchronous_commit` the user, the database or the server is set to. Not looked at: `fsync` and `full_page_writes` of the
 * server, and whether somebody made the table unlogged. `deliver()` rejects with a {@link PostgresError}; then the batch may
 * have arrived as a whole, or not at all. The next one connects again.
 *
 * @throws {ConfigError} where an option is not what it must be
 */
export function postgresTarget(options: PostgresOptions): DeliveryTarget {
  return targetOf(options, 'postgresTarget()')
}

/** @param where the function that the options were given to, for messages */
export function targetOf(options: PostgresOptions, where: string): DeliveryTarget {
  const settings = settingsOf(options, where)
  const { pool, endPool, table, statementTimeoutMilliseconds } = settings
  const insert = insertStatement(table.table)
  let closing: Promise<void> | null = null
  pool.on('error', ignore)

  return {
    async deliver(records) {
      if (closing !== null) throw new PostgresError('the PostgreSQL target is closed')
      await inSession(settings, (client) => insertAll(client, insert, records, statementTimeoutMilliseconds))
    },
    close() {
      closing ??= endPool()
      return closing
    },
  }
}

async function insertAll(
  client: PostgresClient,
  insert: string,
  records: readonly DeliveryRecord[],
  timeoutMilliseconds: number,
): Promise<void> {
  const query = (text: string, values?: unknown[]) =>
    client.query({ text, ...(values && { values }), query_timeout: timeoutMilliseconds })
  await query(beginStatement(timeoutMilliseconds))
  const { rowCount } = await query(insert, insertValues(records))
  if (rowCount === 0) await query(WAIT_FOR_OTHERS)
  await unwarned(client, () => query('commit'))
}

/**
 * Whatever is set for the user, the database or the server: a commit waits for the disk and the standbys; a row that somebody else
 * commits meanwhile is no conflict; a warning is told; and the server ends what nobody waits for any more.
 */
function beginStatement(timeoutMilliseconds: number): string {
  const settings = ['synchronous_commit = on', 'client_min_messages = warning', `statement_timeout = ${timeoutMilliseconds}`]
  return ['begin isolation level read committed', ...settings.map((setting) => `set local ${setting}`)].join('; ')
}

/**
 * Every record was there already: perhaps of an attempt whose commit still waits, or has ceased to wait, for a standby. A
 * transaction that writes nothing would not wait at all; this one writes to the log, and so its commit waits for all before it.
 */
const WAIT_FOR_OTHERS = "select pg_logical_emit_message(true, 'behalf', '')"

/** A commit that somebody kept from waiting for its standby succeeds, with a warning: nothing is acknowledged. */
async function unwarned(client: PostgresClient, commit: () => Promise<unknown>): Promise<void> {
  let warning = false
  const note = ({ code }: { readonly code?: string | undefined }) => {
    warning ||= code?.startsWith('01') ?? true
  }
  client.on('notice', note)
  try {
    await commit()
  } finally {
    client.off('notice', note)
  }
  if (warning) throw new PostgresError('the records were committed, but no standby has confirmed them')
}
