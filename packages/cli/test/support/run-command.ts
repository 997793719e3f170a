import { Readable, Writable } from 'node:stream'
import { run } from '../../src/run.js'
import type { Terminal } from '../../src/terminal.js'

/** The world's time in these tests. */
export const NOW = Date.parse('2026-09-21T13:33:20.000Z')

export interface World {
  readonly input?: string | Readable
  readonly env?: Readonly<Record<string, string>>
  readonly tty?: boolean
  readonly stdinTty?: boolean
  readonly columns?: number
  readonly now?: () => number
  readonly signal?: AbortSignal
  readonly stdout?: Writable
}

export interface Ran {
  readonly code: number
  readonly out: string
  readonly err: string
  /** Without the newline at the end. */
  readonly lines: readonly string[]
}

/** Runs a command line in this process. */
export async function runCommand(args: readonly string[], world: World = {}): Promise<Ran> {
  const { terminal, texts } = createWorld(world)
  const code = await run(args, terminal)
  const { out, err } = texts()
  return { code, out, err, lines: out === '' ? [] : out.replace(/\n$/, '').split('\n') }
}

/** A terminal that keeps what is written to it. */
export function createWorld(world: World = {}): {
  readonly terminal: Terminal
  readonly texts: () => { readonly out: string; readonly err: string }
} {
  const out: Buffer[] = []
  const err: Buffer[] = []
  const terminal: Terminal = {
    stdin: typeof world.input === 'string' ? Readable.from([world.input]) : (world.input ?? Readable.from([])),
    stdout: world.stdout ?? keeping(out),
    stderr: keeping(err),
    env: world.env ?? {},
    isTTY: { stdin: world.stdinTty ?? false, stdout: world.tty ?? false, stderr: world.tty ?? false },
    columns: () => world.columns ?? null,
    now: world.now ?? (() => NOW),
    signal: world.signal ?? new AbortController().signal,
  }
  return { terminal, texts: () => ({ out: Buffer.concat(out).toString(), err: Buffer.concat(err).toString() }) }
}

function keeping(chunks: Buffer[]): Writable {
  return new Writable({
    write(chunk: Buffer, _encoding, done) {
      chunks.push(chunk)
      done()
    },
  })
}

/** A reader that takes so many bytes, and then goes away, as `head` does. */
export function closingAfter(bytes: number): { readonly stream: Writable; readonly taken: () => number } {
  let taken = 0
  const stream = new Writable({
    write(chunk: Buffer, _encoding, done) {
      if (taken >= bytes) {
        done(Object.assign(new Error('write EPIPE'), { code: 'EPIPE', syscall: 'write' }))
        return
      }
      taken += chunk.length
      done()
    },
  })
  return { stream, taken: () => taken }
}
