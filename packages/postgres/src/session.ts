import type { PostgresSettings } from './options.js'
import type { PostgresClient, PostgresPool } from './pool.js'
import { PostgresError, postgresError } from './postgres-error.js'

/**
 * Does something with a connection. After a failure the connection is closed: whatever was under way there cannot be known, and
 * the next session gets a new one.
 * @throws {PostgresError} whatever went wrong
 */
export async function inSession<T>(settings: PostgresSettings, work: (client: PostgresClient) => Promise<T>): Promise<T> {
  const { pool, connectTimeoutMilliseconds } = settings
  let client: PostgresClient | null = null
  let failed = true
  try {
    client = await connectInTime(pool, connectTimeoutMilliseconds)
    client.on('error', ignore)
    const result = await work(client)
    failed = false
    return result
  } catch (error) {
    throw postgresError(error)
  } finally {
    client?.off('error', ignore)
    client?.release(failed)
  }
}

/** A connection lost: whoever waits for an answer is told by that. Without a listener it would end the process. */
export function ignore(): void {}

/** A client. One that comes too late, as from a pool that has none free, is given back. */
async function connectInTime(pool: PostgresPool, milliseconds: number): Promise<PostgresClient> {
  const connecting = pool.connect()
  let timer: NodeJS.Timeout | undefined
  let late = false
  const timeUp = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      late = true
      reject(new PostgresError('there was no connection to PostgreSQL in time'))
    }, milliseconds)
  })
  connecting.then((client) => late && client.release(), ignore)
  try {
    return await Promise.race([connecting, timeUp])
  } finally {
    clearTimeout(timer)
  }
}
