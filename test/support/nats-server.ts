import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { findProgram } from './needs-program.js'
import { freePort, isStopped } from './server-process.js'

/** A JetStream server of a test's own, on a free port of 127.0.0.1. */
export interface NatsServerUnderTest {
  readonly port: number
  /** `nats://127.0.0.1:<port>` */
  readonly url: string
  /** Its files, to be copied or put back while it is not running. */
  readonly store: string
  /** Ends the server at once, as `kill -9` does. What it had handed to the operating system stays. */
  kill(): Promise<void>
  /** Stops the server's clock (SIGSTOP): connections stay open, and nobody answers. */
  pause(): void
  /** Lets a paused server go on. */
  resume(): void
  /** Starts it again after `kill()`: same port, same store. Resolves when it answers. */
  restart(): Promise<void>
  /** Ends the server and removes everything that it wrote. */
  stop(): Promise<void>
}

/** Options of {@link startNatsServer}. */
interface NatsServerOptions {
  /** Lines for its configuration file: users, TLS. */
  readonly configuration?: string
}

/** Longer than any start takes on a busy machine. */
const START_MILLISECONDS = 20_000
const POLL_MILLISECONDS = 20

/** Starts `nats-server` with JetStream and a store of its own. Resolves when it answers. */
export async function startNatsServer(options: NatsServerOptions = {}): Promise<NatsServerUnderTest> {
  const program = findProgram('nats-server')
  if (program === null) throw new Error('nats-server is not installed')
  const directory = mkdtempSync(join(tmpdir(), 'behalf-nats-'))
  const port = await freePort()
  const configuration = join(directory, 'server.conf')
  const store = join(directory, 'store')
  writeFileSync(
    configuration,
    `listen: 127.0.0.1:${port}\njetstream { store_dir: ${JSON.stringify(store)} }\n${options.configuration ?? ''}\n`,
  )
  let server: ChildProcess | null = null

  async function start(path: string): Promise<void> {
    server = spawn(path, ['-c', configuration], { stdio: 'ignore' })
    process.once('exit', removeAll)
    await untilAnswering(port, server)
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
    url: `nats://127.0.0.1:${port}`,
    store,
    kill,
    pause() {
      if (server === null) return
      server.kill('SIGSTOP')
      while (!isStopped(server.pid)) {} // a moment later: it would still answer
    },
    resume: () => void server?.kill('SIGCONT'),
    restart: () => start(program),
    stop,
  }
}

async function untilAnswering(port: number, server: ChildProcess): Promise<void> {
  const deadline = Date.now() + START_MILLISECONDS
  while (!(await answers(port))) {
    if (server.exitCode !== null) throw new Error(`nats-server ended with code ${server.exitCode}`)
    if (Date.now() > deadline) throw new Error('nats-server did not start')
    await wait(POLL_MILLISECONDS)
  }
}

/** Whether the server says its first line. */
function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port })
    const done = (answer: boolean) => {
      socket.destroy()
      resolve(answer)
    }
    socket.on('error', () => done(false)).on('close', () => done(false))
    socket.once('data', () => done(true))
  })
}
