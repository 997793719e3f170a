import { type ChildProcess, execFile, type SpawnOptions, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chownSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { findProgram } from './needs-program.js'
import { freePort } from './server-process.js'

/** A PostgreSQL of a test's own, in a directory of its own, on a free port of the loopback interface. */
export interface PostgresServer {
  readonly port: number
  /** The directory of its unix socket. */
  readonly socketDirectory: string
  /** Connection string of a user, the owner of everything where none is named. */
  url(user?: { readonly name: string; readonly password: string }): string
  /** The same over the unix socket, which asks for no password and is therefore quicker. */
  socketUrl(user?: string): string
  /** Resolves when it takes connections. After {@link kill} it recovers first. */
  start(): Promise<void>
  /** Ends all of its processes at once, as a crash would; resolves when they are gone. */
  kill(): Promise<void>
  /** Stops all of its processes where they are: connections stay open, and nothing answers. */
  pause(): void
  /** Lets them go on. */
  resume(): void
  /** {@link kill}, then {@link start}. */
  restart(): Promise<void>
  /** Ends it, and removes everything that it has made. */
  stop(): Promise<void>
}

export interface PostgresServerOptions {
  /** Settings beside those that keep it small, as `postgres -c name=value`. */
  readonly settings?: Readonly<Record<string, string>>
  /** Certificate and key in PEM: it speaks TLS, too. */
  readonly tls?: { readonly cert: string; readonly key: string }
}

const OWNER = { name: 'owner', password: 'password-of-the-owner' }

const SETTINGS = {
  listen_addresses: '127.0.0.1',
  max_connections: '20',
  shared_buffers: '16MB',
  dynamic_shared_memory_type: 'mmap', // in the data directory: a killed server leaves nothing in /dev/shm
  autovacuum: 'off',
  wal_level: 'minimal',
  max_wal_senders: '0',
  fsync: 'on',
  log_min_messages: 'log',
}

const READY = 'database system is ready to accept connections'
const PORT_TAKEN = 'could not bind'
/** Processes of a killed server that are not quite gone. */
const STILL_IN_USE = 'is still in use'
const MOST_ATTEMPTS = 100

/** Creates the data directory and starts the server. Needs `postgres` and `initdb`: see `describeWith`. */
export async function startPostgres({ settings = {}, tls }: PostgresServerOptions = {}): Promise<PostgresServer> {
  const directory = mkdtempSync(join(tmpdir(), 'behalf-postgres-'))
  const data = join(directory, 'data')
  const user = unprivilegedUser()
  if (user.uid !== undefined && user.gid !== undefined) chownSync(directory, user.uid, user.gid)
  let postmaster: ChildProcess | null = null
  let dirty = false

  const removeAll = () => {
    if (postmaster !== null) signalAll(postmaster, 'SIGKILL')
    rmSync(directory, { recursive: true, force: true })
  }
  process.once('exit', removeAll)
  await initialize(directory, data, user)
  if (tls !== undefined) {
    writeOwn(join(data, 'server.crt'), tls.cert, user)
    writeOwn(join(data, 'server.key'), tls.key, user)
  }
  let port = await freePort()

  async function startOnce(): Promise<void> {
    const own = { port: String(port), unix_socket_directories: directory, ssl: tls === undefined ? 'off' : 'on' }
    const flags = Object.entries({ ...SETTINGS, ...own, ...settings }).flatMap(([name, value]) => ['-c', `${name}=${value}`])
    const started = spawn(program('postgres'), ['-D', data, ...flags], {
      ...user,
      cwd: directory,
      env: { PATH: process.env['PATH'] ?? '', LC_ALL: 'C' },
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    postmaster = started
    try {
      await readiness(started)
    } catch (error) {
      postmaster = null
      throw error
    }
  }

  async function start(): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await startOnce()
      } catch (error) {
        if (attempt === MOST_ATTEMPTS || !String(error).includes(STILL_IN_USE)) throw error
      }
    }
  }

  async function startOnFreePort(): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await start()
      } catch (error) {
        if (attempt === MOST_ATTEMPTS || !String(error).includes(PORT_TAKEN)) throw error
        port = await freePort()
      }
    }
  }

  async function end(signal: 'SIGKILL' | 'SIGINT'): Promise<void> {
    if (postmaster === null) return
    const ending = postmaster
    postmaster = null
    const gone = once(ending, 'exit')
    if (signal === 'SIGKILL') signalAll(ending, signal)
    else ending.kill(signal)
    await gone
    dirty = signal === 'SIGKILL'
  }

  await startOnFreePort()
  return {
    get port() {
      return port
    },
    socketDirectory: directory,
    url: ({ name, password } = OWNER) => `postgres://${name}:${password}@127.0.0.1:${port}/postgres`,
    socketUrl: (name = OWNER.name) => `postgres://${name}@/postgres?host=${directory}&port=${port}`,
    start,
    kill: () => end('SIGKILL'),
    pause() {
      if (postmaster !== null) signalAll(postmaster, 'SIGSTOP')
    },
    resume() {
      if (postmaster !== null) signalAll(postmaster, 'SIGCONT')
    },
    async restart() {
      await end('SIGKILL')
      await start()
    },
    async stop() {
      if (postmaster === null && dirty) await start() // it frees the shared memory that a killed one leaves behind
      if (postmaster !== null) signalAll(postmaster, 'SIGCONT')
      await end('SIGINT')
      removeAll()
      process.off('exit', removeAll)
    },
  }
}

function program(name: 'postgres' | 'initdb'): string {
  const path = findProgram(name)
  if (path === null) throw new Error(`${name} is not installed`)
  return path
}

/** PostgreSQL refuses to run as root: then it runs as the user that its package makes, or as nobody. */
function unprivilegedUser(): Pick<SpawnOptions, 'uid' | 'gid'> {
  if (process.getuid?.() !== 0) return {}
  const users = readFileSync('/etc/passwd', 'utf8').split('\n')
  const entry = ['postgres', 'nobody'].map((name) => users.find((line) => line.startsWith(`${name}:`))).find(Boolean)
  const [, , uid, gid] = (entry ?? '').split(':')
  if (uid === undefined || gid === undefined) throw new Error('there is neither a user postgres nor nobody to run as')
  return { uid: Number(uid), gid: Number(gid) }
}

/** A file that the server's user alone can read. */
function writeOwn(path: string, text: string, { uid, gid }: Pick<SpawnOptions, 'uid' | 'gid'>): void {
  writeFileSync(path, text, { mode: 0o600 })
  if (uid !== undefined && gid !== undefined) chownSync(path, uid, gid)
}

async function initialize(directory: string, data: string, user: Pick<SpawnOptions, 'uid' | 'gid'>): Promise<void> {
  const passwordFile = join(directory, 'password')
  writeOwn(passwordFile, OWNER.password, user)
  const flags = [
    ['-D', data],
    ['-U', OWNER.name],
    ['--auth-host', 'scram-sha-256', '--auth-local', 'trust'],
    ['--pwfile', passwordFile],
    ['-E', 'UTF8', '--locale', 'C', '--no-sync'],
  ]
  await promisify(execFile)(program('initdb'), flags.flat(), { ...user, cwd: directory })
}

/** Resolves when the log says so; rejects with the log where the server ends first. */
function readiness(postmaster: ChildProcess): Promise<void> {
  return new Promise((resolve, reject) => {
    let log = ''
    postmaster.stderr?.setEncoding('utf8').on('data', (text: string) => {
      log += text
      if (log.includes(READY)) resolve()
    })
    postmaster.once('exit', () => reject(new Error(`postgres ended: ${log}`)))
    postmaster.once('error', reject)
  })
}

/**
 * To the postmaster and its children, which are sessions of their own and so in no group with it. It is stopped first: it must
 * not start a child meanwhile.
 */
function signalAll(postmaster: ChildProcess, signal: 'SIGKILL' | 'SIGSTOP' | 'SIGCONT'): void {
  if (postmaster.pid === undefined || postmaster.exitCode !== null || postmaster.signalCode !== null) return
  postmaster.kill('SIGSTOP')
  for (const pid of childrenOf(postmaster.pid)) {
    try {
      process.kill(pid, signal)
    } catch {} // it has ended meanwhile
  }
  postmaster.kill(signal)
}

/** Linux alone says it without a program. Elsewhere the children of a killed postmaster end by themselves, soon after it. */
function childrenOf(pid: number): readonly number[] {
  try {
    return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number)
  } catch {
    return []
  }
}
