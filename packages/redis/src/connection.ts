import { readFile } from 'node:fs/promises'
import { isIP } from 'node:net'
import { createClient } from '@redis/client'
import type { ConnectionSettings, RedisTlsOptions } from './connection-options.js'
import { RedisReplayError } from './redis-replay-error.js'

/** One connection to a primary that keeps what it is told. Lost once, it is lost. */
export interface Connection {
  /** Sends a command, once. Rejects with the client's error, also at once where the connection is lost. */
  send(command: readonly string[]): Promise<unknown>
  /** Ends it at once; what waits is rejected. */
  close(): void
}

/**
 * Connects, and makes sure that the server is a primary that drops nothing.
 * @param closing ends it while it is being opened
 * @param lost called when the connection is lost, by whichever side; once, and only where it was open
 * @throws the client's error, or a {@link RedisReplayError}
 */
export async function openConnection(settings: ConnectionSettings, closing: AbortSignal, lost: () => void): Promise<Connection> {
  const client = createClient(await clientOptions(settings))
  let state: 'opening' | 'open' | 'closed' = 'opening'

  function close(): void {
    const wasOpen = state === 'open'
    state = 'closed'
    client.destroy()
    if (wasOpen) lost()
  }

  /** The client goes on connecting after it was destroyed: what comes of that is ended then. */
  async function connect(): Promise<void> {
    await client.connect().finally(() => state === 'closed' && client.destroy())
    assertKeeps(await client.sendCommand(['INFO', 'memory']), await client.sendCommand(['INFO', 'replication']))
  }

  client.on('error', close) // without a listener it would end the process
  client.unref() // an idle connection is no reason for a process to go on
  try {
    await inTime(connect(), settings.connectTimeoutMilliseconds, closing)
  } catch (error) {
    close()
    throw error
  }
  state = 'open'
  return { send: watched((command) => client.sendCommand(command), settings.answerTimeoutMilliseconds, close), close }
}

async function clientOptions({ host, port, database, credentials, tls, connectTimeoutMilliseconds }: ConnectionSettings) {
  const socket = { host, port, connectTimeout: connectTimeoutMilliseconds, reconnectStrategy: false as const }
  return {
    socket: tls === null ? socket : { ...socket, ...(await securityOf(host, tls)) },
    database,
    ...(credentials !== null && { password: credentials.password }),
    ...(credentials?.user !== undefined && { username: credentials.user }),
    RESP: 2 as const, // all that is needed; what comes with the other one would ask for further privileges
    maintNotifications: 'disabled' as const,
    disableClientInfo: true,
    disableOfflineQueue: true, // a use that nobody waits for any more must not be sent later
    commandOptions: { timeout: 0 }, // a timer for each command; the caller has one
  }
}

async function securityOf(host: string, tls: RedisTlsOptions) {
  // Node names the server only where it is told to, and whoever serves several by one address asks for it (RFC 6066 3: no address).
  const named = isIP(host) === 0 ? { servername: host } : {}
  return { tls: true as const, rejectUnauthorized: true, ...named, ...(await certificatesOf(tls)) }
}

/** @throws {RedisReplayError} where a file cannot be read */
async function certificatesOf({ caFile, certFile, keyFile }: RedisTlsOptions) {
  const read = async (name: string, path: string | undefined) => (path === undefined ? {} : { [name]: await readFile(path) })
  try {
    const [ca, cert, key] = await Promise.all([read('ca', caFile), read('cert', certFile), read('key', keyFile)])
    return { ...ca, ...cert, ...key }
  } catch {
    throw new RedisReplayError('tls_failed')
  }
}

/** What `INFO` says about eviction and role. @throws {RedisReplayError} where it is not what it must be */
function assertKeeps(memory: unknown, replication: unknown): void {
  const policy = /^maxmemory_policy:(\S+)/m.exec(String(memory))?.[1]
  const role = /^role:(\S+)/m.exec(String(replication))?.[1]
  if (policy === undefined || role === undefined) throw new RedisReplayError('refused')
  if (role !== 'master') throw new RedisReplayError('replica')
  if (policy !== 'noeviction') throw new RedisReplayError('eviction')
}

/** What a task comes to, unless time is up or the signal is there first. Whatever comes after that is ignored. */
async function inTime<T>(task: Promise<T>, milliseconds: number, signal: AbortSignal): Promise<T> {
  let giveUp = () => {}
  const late = new Promise<never>((_, reject) => {
    giveUp = () => reject(new RedisReplayError('unreachable'))
  })
  const timer = setTimeout(giveUp, milliseconds).unref()
  signal.addEventListener('abort', giveUp)
  if (signal.aborted) giveUp()
  try {
    return await Promise.race([task, late])
  } finally {
    clearTimeout(timer)
    signal.removeEventListener('abort', giveUp)
  }
}

/** Calls `silent` where a command waits, and no answer to any of them has come for so long. */
function watched(send: Connection['send'], milliseconds: number, silent: () => void): Connection['send'] {
  let waiting = 0
  let timer: NodeJS.Timeout | undefined
  return async (command) => {
    if (waiting++ === 0) timer = setTimeout(silent, milliseconds).unref()
    try {
      return await send(command)
    } finally {
      if (--waiting === 0) clearTimeout(timer)
      else timer?.refresh()
    }
  }
}
