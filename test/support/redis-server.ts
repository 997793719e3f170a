import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { promisify } from 'node:util'
import { findProgram } from './needs-program.js'
import { freePort, isStopped } from './server-process.js'

/** A Redis of a test's own, on a free port of 127.0.0.1, in a directory of its own. */
export interface RedisServerUnderTest {
  readonly port: number
  /** `redis://127.0.0.1:<port>` */
  readonly url: string
  /** Asks it something over a connection of its own, with `redis-cli`. Errors come as text, too. */
  cli(...words: readonly string[]): Promise<string>
  /** Ends it at once, as `kill -9` does: what it was told since it last wrote its files is gone. */
  kill(): Promise<void>
  /** Stops its clock (SIGSTOP): connections stay open, and nobody answers. */
  pause(): void
  /** Lets a paused server go on. */
  resume(): void
  /** {@link kill}, then starts it again: same port, same files. Resolves when it answers. */
  restart(): Promise<void>
  /** Ends it and removes everything that it wrote. */
  stop(): Promise<void>
}

/** Options of {@link startRedisServer}. */
interface RedisServerOptions {
  /** Settings, as `redis-server --name value …`. Without any it writes no files by itself. */
  readonly settings?: Readonly<Record<string, string>>
  /** What `redis-cli` needs to be let in. */
  readonly cli?: readonly string[]
  /** Speaks TLS and nothing else. Files in PEM. */
  readonly tls?: { readonly certFile: string; readonly keyFile: string }
}

/** Longer than any start takes on a busy machine. */
const START_MILLISECONDS = 20_000
const POLL_MILLISECONDS = 10

/** Starts `redis-server`. Resolves when it answers. */
export async function startRedisServer({ settings = {}, cli = [], tls }: RedisServerOptions = {}): Promise<RedisServerUnderTest> {
  const program = findProgram('redis-server')
  if (program === null) throw new Error('redis-server is not installed')
  const directory = mkdtempSync(join(tmpdir(), 'behalf-redis-'))
  const port = await freePort()
  const secure = tls && {
    port: '0',
    'tls-port': String(port),
    'tls-cert-file': tls.certFile,
    'tls-key-file': tls.keyFile,
    'tls-auth-clients': 'no',
  }
  const own = { bind: '127.0.0.1', port: String(port), dir: directory, save: '', 'repl-diskless-sync-delay': '0' }
  const flags = Object.entries({ ...own, ...secure, ...settings }).flatMap(([name, value]) => [`--${name}`, value])
  let server: ChildProcess | null = null

  async function start(path: string): Promise<void> {
    server = spawn(path, flags, { stdio: 'ignore' })
    process.once('exit', removeAll)
    await untilAnswering(port, server, tls !== undefined)
  }

  /** The test run ends before the test does. */
  function removeAll(): void {
    server?.kill('SIGKILL')
    rmSync(directory, { recursive: true, force: true })
  }

  async function stop(): Promise<void> {
    await kill()
    rmSync(directory, { recursive: true, force: true })
  }

  async function kill(): Promise<void> {
    process.off('exit', removeAll)
    if (server === null || server.exitCode !== null || server.signalCode !== null) return
    const exited = once(server, 'exit')
    server.kill('SIGKILL') // a paused process too
    await exited
  }

  try {
    await start(program)
  } catch (error) {
    await stop()
    throw error
  }
  return {
    port,
    url: `redis://127.0.0.1:${port}`,
    async cli(...words) {
      const { stdout } = await promisify(execFile)('redis-cli', ['-p', String(port), ...cli, ...words])
      return stdout.trimEnd()
    },
    kill,
    pause() {
      if (server === null) return
      server.kill('SIGSTOP')
      while (!isStopped(server.pid)) {} // a moment later: it would still answer
    },
    resume: () => void server?.kill('SIGCONT'),
    async restart() {
      await kill()
      await start(program)
    },
    stop,
  }
}

async function untilAnswering(port: number, server: ChildProcess, secure: boolean): Promise<void> {
  const deadline = Date.now() + START_MILLISECONDS
  while (!(await answers(port, secure))) {
    if (server.exitCode !== null) throw new Error(`redis-server ended with code ${server.exitCode}`)
    if (Date.now() > deadline) throw new Error('redis-server did not start')
    await wait(POLL_MILLISECONDS)
  }
}

/** Whether the server answers, be it with an error, and has loaded its files. With TLS: whether it takes connections. */
function answers(port: number, secure: boolean): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port })
    const done = (answer: boolean) => {
      socket.destroy()
      resolve(answer)
    }
    socket.on('error', () => done(false)).on('close', () => done(false))
    socket.once('connect', () => (secure ? done(true) : socket.write('PING\r\n')))
    socket.once('data', (text) => done(!text.toString().startsWith('-LOADING')))
  })
}
