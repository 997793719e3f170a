import { type Connection, openConnection } from './connection.js'
import type { ConnectionSettings } from './connection-options.js'
import { failureCode, RedisFailure, type RedisFailureCode } from './redis-failure.js'

/** A connection that is opened anew whenever it is lost. */
export interface Link {
  /** The open connection. @throws {RedisFailure} why there is none */
  connection(): Connection
  /** The open connection, or the one that is being opened. Rejects with a {@link RedisFailure} where there is neither, or that fails. */
  opened(): Promise<Connection>
  /** Ends it for good. */
  close(): void
}

/** Longest pause after a connection was lost, in milliseconds; it doubles with each attempt that fails. */
const BACK_OFF_FIRST_MILLISECONDS = 50
/** Longest pause of all: so long a server that is back can wait for us. */
const BACK_OFF_MOST_MILLISECONDS = 2_000

/** @param failed is told of every attempt that fails */
export function keepConnected(settings: ConnectionSettings, failed: (code: RedisFailureCode) => void): Link {
  const closing = new AbortController()
  let current: Connection | null = null
  let opening: Promise<Connection> | null = null
  let reason: RedisFailureCode = 'unreachable'
  let failures = 0
  let timer: NodeJS.Timeout | undefined

  function connect(): void {
    opening = openConnection(settings, closing.signal, lost).then(arrived, missed)
    opening.catch(() => {}) // `reason` has it
  }

  function arrived(connection: Connection): Connection {
    opening = null
    if (closing.signal.aborted) {
      connection.close()
      throw new RedisFailure('closed')
    }
    failures = 0
    current = connection
    return connection
  }

  function missed(error: unknown): never {
    opening = null
    const failure = new RedisFailure(closing.signal.aborted ? 'closed' : failureCode(error, 'unreachable'))
    reason = failure.code
    if (reason !== 'closed') {
      connectLater()
      failed(reason)
    }
    throw failure
  }

  function lost(): void {
    current = null
    if (closing.signal.aborted) return
    reason = 'unreachable'
    connectLater()
  }

  function connectLater(): void {
    const most = Math.min(BACK_OFF_MOST_MILLISECONDS, BACK_OFF_FIRST_MILLISECONDS * 2 ** failures)
    failures++
    timer = setTimeout(connect, most * (0.5 + Math.random() / 2)).unref() // replicas must not all come back at one moment
  }

  connect()
  return {
    connection() {
      if (current === null) throw new RedisFailure(reason)
      return current
    },
    async opened() {
      return current ?? opening ?? Promise.reject(new RedisFailure(reason))
    },
    close() {
      reason = 'closed'
      closing.abort()
      clearTimeout(timer)
      current?.close()
    },
  }
}
