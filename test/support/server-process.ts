import { type ChildProcess, spawn } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { once } from 'node:events'
import { readdirSync, readFileSync, rmSync } from 'node:fs'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { setTimeout as wait } from 'node:timers/promises'
import { findProgram, type Program } from './needs-program.js'

/**
 * A port that is free now, and that is never given to outgoing connections: while its server is down, one to this very port could be
 * given it for its own end, and would answer itself. Somebody else could take it before the server does: then the server ends, and
 * its start fails.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const server = createServer()
    try {
      server.listen(randomInt(10_240, 32_768), '127.0.0.1')
      await once(server, 'listening')
      return (server.address() as AddressInfo).port
    } catch {
      // taken: another one
    } finally {
      server.close()
    }
  }
}

/** A server of a test's own: a process that can be ended, stopped and started again. */
export interface ServerProcess {
  /** Ends it at once, as `kill -9` does. What it had handed to the operating system stays. */
  kill(): Promise<void>
  /** Stops its clock (SIGSTOP): connections stay open, and nobody answers. */
  pause(): void
  /** Lets it go on. */
  resume(): void
  /** {@link kill}, then starts it again. Resolves when it answers. */
  restart(): Promise<void>
  /** Ends it and removes its directory. */
  stop(): Promise<void>
}

/** How a server is started. */
export interface ServerProcessOptions {
  readonly program: Program
  readonly args: readonly string[]
  /** Everything that it writes; removed with it. */
  readonly directory: string
  readonly port: number
  /** Asked again and again on a connection until the server answers. */
  readonly greet: (socket: Socket, done: (answers: boolean) => void) => void
}

/** Longer than any start takes on a busy machine. */
const START_MILLISECONDS = 20_000
const POLL_MILLISECONDS = 10

/** Starts a server on 127.0.0.1. Resolves when it answers. */
export async function startServerProcess({
  program,
  args,
  directory,
  port,
  greet,
}: ServerProcessOptions): Promise<ServerProcess> {
  let server: ChildProcess | null = null

  async function start(): Promise<void> {
    const path = findProgram(program)
    if (path === null) throw new Error(`${program} is not installed`)
    server = spawn(path, args, { stdio: 'ignore' })
    process.once('exit', removeAll)
    await untilAnswering(server)
  }

  async function untilAnswering(started: ChildProcess): Promise<void> {
    const deadline = Date.now() + START_MILLISECONDS
    while (!(await answers())) {
      if (started.exitCode !== null) throw new Error(`${program} ended with code ${started.exitCode}`)
      if (Date.now() > deadline) throw new Error(`${program} did not start`)
      await wait(POLL_MILLISECONDS)
    }
  }

  function answers(): Promise<boolean> {
    return new Promise((resolve) => {
      const socket = connect({ host: '127.0.0.1', port })
      const done = (answer: boolean) => {
        socket.destroy()
        resolve(answer)
      }
      socket.on('error', () => done(false)).on('close', () => done(false))
      greet(socket, done)
    })
  }

  /** The test run ends before the test does. */
  function removeAll(): void {
    server?.kill('SIGKILL')
    rmSync(directory, { recursive: true, force: true })
  }

  async function kill(): Promise<void> {
    process.off('exit', removeAll)
    if (server === null || server.exitCode !== null || server.signalCode !== null) return
    const exited = once(server, 'exit')
    server.kill('SIGKILL') // a paused process too
    await exited
  }

  async function stop(): Promise<void> {
    await kill()
    rmSync(directory, { recursive: true, force: true })
  }

  try {
    await start()
  } catch (error) {
    await stop()
    throw error
  }
  return {
    kill,
    pause() {
      if (server === null) return
      server.kill('SIGSTOP')
      while (!isStopped(server.pid)) {} // a moment later: it would still answer
    },
    resume: () => void server?.kill('SIGCONT'),
    async restart() {
      await kill()
      await start()
    },
    stop,
  }
}

/** Whether all threads of a process have stopped. Where the system does not tell, it is taken at its word. */
function isStopped(pid: number | undefined): boolean {
  try {
    const tasks = readdirSync(`/proc/${pid}/task`)
    return tasks.every((task) => / [Tt] /.test(stateIn(readFileSync(`/proc/${pid}/task/${task}/stat`, 'utf8'))))
  } catch {
    return true
  }
}

/** The state stands behind the command, which is in parentheses and may hold anything. */
function stateIn(stat: string): string {
  return stat.slice(stat.lastIndexOf(')') + 1, stat.lastIndexOf(')') + 4)
}
