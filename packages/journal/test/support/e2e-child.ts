import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { JwkSet } from '@behalf/core'
import type { JournalOptions } from '../../src/write/journal-options.js'

const PROGRAM = fileURLToPath(new URL('kill-child.mjs', import.meta.url))

/** Where a child ends itself: at an operation on the journal's files, the n-th of its kind. */
export interface Death {
  readonly operation: 'create' | 'write' | 'sync' | 'truncate' | 'close'
  readonly count: number
  /** `half`: of a write, its first half is done; anything else is left out. */
  readonly when: 'before' | 'half' | 'after'
}

/** What an API in a child process is. */
export interface ChildSettings {
  readonly journal: Partial<JournalOptions> & Pick<JournalOptions, 'directory'>
  readonly signingKeyPem: string
  readonly issuer: string
  readonly audience: string
  readonly jwks: JwkSet
  /** Its handlers append the caller's request id here, before anything else. */
  readonly effectsFile: string
  /** The last checkpoint that its journal handed out. */
  readonly checkpointFile: string
  readonly death: Death | null
  readonly timeoutMilliseconds: number
}

/** An API in a process of its own. */
export interface ApiChild {
  readonly process: ChildProcess
  /** Lets it begin. Resolves with its port; `null` where it ended before. */
  start(settings: ChildSettings): Promise<number | null>
  /** Closes the API and its journal. Resolves with the error's message; `null` where there was none. */
  close(): Promise<string | null>
  /** Resolves when the process has ended and was taken note of. */
  readonly ended: Promise<void>
  kill(): void
}

/** Starts a child, which loads its modules meanwhile. */
export function forkApi(): ApiChild {
  const child = fork(PROGRAM, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
  const warm = once(child, 'message')
  warm.catch(() => {}) // looked at by whoever starts it
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  const answer = async <T>(send: () => void, nothing: T): Promise<T> => {
    const message = once(child, 'message').then(([body]) => body as T)
    message.catch(() => {})
    send()
    return Promise.race([message, ended.then(() => nothing)])
  }
  const tell = (message: object) => {
    if (child.connected) child.send(message, () => {}) // it may end at this moment
  }
  return {
    process: child,
    ended,
    async start(settings) {
      await Promise.race([warm, ended])
      return (await answer<{ port: number | null }>(() => tell(settings), { port: null })).port
    },
    close: async () => (await answer<{ closed: string | null }>(() => tell({}), { closed: 'it had ended' })).closed,
    kill: () => void child.kill('SIGKILL'),
  }
}
