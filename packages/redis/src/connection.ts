import { readFile } from 'node:fs/promises'
import { isIP } from 'node:net'
import { createClient } from '@redis/client'
import type { ConnectionSettings, RedisTlsOptions } from './connection-options.js'
import { RedisFailure } from './redis-failure.js'

/** One connection to a primary that keeps what it is told. Lost once, it is lost. */
export interface Connection {
  /** Sends a command, once. Rejects with the client's error, also at once where the connection is lost. */
  send(command: readonly string[]): Promise<unknown>
  /**
   * Hears whatever is published on a channel, from when it resolves, in the order of the server: what was published before a command
   * ran is heard before its answer comes. From then on, `PING` is the only command that can be sent. `hear` must not throw.
   */
  subscribe(channel: string, hear: (message: string) => void): Promise<void>
  /** Ends it at once; what waits is rejected. */
  close(): void
}

/**
 * Connects, and makes sure that the server is a primary that drops nothing.
 * @param closing ends it while it is being opened
 * @param lost called when the connection is lost, by whichever side; once, and only where it was open
 * @throws the client's error, or a {@link RedisFailure}
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
  const watch = watcher(settings.answerTimeoutMilliseconds, close)
  return {
    send: (command) => watch(async () => client.sendCommand(command)),
    subscribe: (channel, hear) =>
      watch(async () => {
        if (state !== 'open') throw new RedisFailure('unanswered') // the client would keep it, for ever
        await client.subscribe(channel, hear)
      }),
    close,
  }
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

/** @throws {RedisFailure} where a file cannot be read */
async function certificatesOf({ caFile, certFile, keyFile }: RedisTlsOptions) {
  const read = async (name: string, path: string | undefined) => (path === undefined ? {} : { [name]: await readFile(path) })
  try {
    const [ca, cert, key] = await Promise.all([read('ca', caFile), read('cert', certFile), read('key', keyFile)])
    return { ...ca, ...cert, ...key }
  } catch {
    throw new RedisFailure('tls_failed')
  }
}

/** What `INFO` says about eviction and role. @throws {RedisFailure} where it is not what it must be */
function assertKeeps(memory: unknown, replication: unknown): void {
  const policy = /^maxmemory_policy:(\S+)/m.exec(String(memory))?.[1]
  const role = /^role:(\S+)/m.exec(String(replication))?.[1]
  if (policy === undefined || role === undefined) throw new RedisFailure('refused')
  if (role !== 'master') throw new RedisFailure('replica')
  if (policy !== 'noeviction') throw new RedisFailure('eviction')
}

/** What a task comes to, unless time is up or the signal is there first. Whatever comes after that is ignored. */
async function inTime<T>(task: Promise<T>, milliseconds: number, signal: AbortSignal): Promise<T> {
  let giveUp = () => {}
  const late = new Promise<never>((_, reject) => {
    giveUp = () => reject(new RedisFailure('unreachable'))
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
function watcher(milliseconds: number, silent: () => void): <T>(ask: () => Promise<T>) => Promise<T> {
  let waiting = 0
  let timer: NodeJS.Timeout | undefined
  return async (ask) => {
    if (waiting++ === 0) timer = setTimeout(silent, milliseconds).unref()
    try {
      return await ask()
    } finally {
      if (--waiting === 0) clearTimeout(timer)
      else timer?.refresh()
    }
  }
}
