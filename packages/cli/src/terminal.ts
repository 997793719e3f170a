import type { Readable, Writable } from 'node:stream'

/** Everything of the outside world that a command may touch beside the file system: tests give their own. */
export interface Terminal {
  readonly stdin: Readable
  readonly stdout: Writable
  readonly stderr: Writable
  readonly env: Readonly<Record<string, string | undefined>>
  /** Which of the streams are a person's terminal. */
  readonly isTTY: { readonly stdin: boolean; readonly stdout: boolean; readonly stderr: boolean }
  /** Columns of the terminal now; `null` where there is none. */
  readonly columns: () => number | null
  /** The clock, in milliseconds since the epoch. */
  readonly now: () => number
  /** Aborted when the command has to end; its `reason` is the signal's name, `SIGINT` or `SIGTERM`. */
  readonly signal: AbortSignal
}

/** The process's own terminal. The first SIGINT or SIGTERM asks the command to end, the second ends the process. */
export function processTerminal(): Terminal {
  const { stdin, stdout, stderr, env } = process
  const ending = new AbortController()
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => ending.abort(name))
  // Help that nobody reads to its end is no fault; whoever writes more than that hears of it by the write itself.
  for (const stream of [stdout, stderr]) stream.on('error', () => {})
  return {
    stdin,
    stdout,
    stderr,
    env,
    isTTY: { stdin: stdin.isTTY === true, stdout: stdout.isTTY === true, stderr: stderr.isTTY === true },
    columns: () => stdout.columns ?? null,
    now: Date.now,
    signal: ending.signal,
  }
}
