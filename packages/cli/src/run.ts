import { ConfigError } from '@behalf/core'
import { JournalError } from '@behalf/journal'
import { CommanderError } from 'commander'
import { CommandError, ioError } from './command-error.js'
import { EXIT, type ExitCode } from './exit-codes.js'
import { interrupted } from './interrupted.js'
import { createProgram } from './program.js'
import type { Terminal } from './terminal.js'
import { shownText } from './text/shown-text.js'

const REPORT_AT = 'https://github.com/behalf/behalf/issues'

/**
 * Runs one command line, and answers with its exit code. Never throws, and never ends the process.
 * @param args without the names of Node and the program
 */
export async function run(args: readonly string[], terminal: Terminal): Promise<ExitCode> {
  let code: ExitCode = EXIT.good
  const program = createProgram({
    terminal,
    exit(verdict) {
      code = verdict
    },
  })
  try {
    await program.parseAsync(args, { from: 'user' })
    return code
  } catch (error) {
    return explain(error, terminal)
  }
}

function explain(error: unknown, { stderr, signal }: Terminal): ExitCode {
  // The parser has told its own mistakes already; help and version are none.
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.good : EXIT.usage
  if (signal.aborted) return interrupted(signal)
  const told = toldToPeople(error)
  if (told !== null) {
    stderr.write(`behalf: ${shownText(told.message)}\n`)
    return told.exitCode
  }
  stderr.write(`behalf: this is a defect of behalf itself; please report it at ${REPORT_AT}\n${traceOf(error)}\n`)
  return EXIT.defect
}

/** What a person can mend; `null`: only we can. */
function toldToPeople(error: unknown): CommandError | null {
  if (error instanceof CommandError) return error
  if (error instanceof ConfigError) return new CommandError(error.message)
  if (error instanceof JournalError) return new CommandError(error.message, EXIT.io)
  return ioError(error, 'use')
}

/** Where it happened; the message may hold text of others, so every line is escaped. */
function traceOf(error: unknown): string {
  const text = error instanceof Error ? (error.stack ?? error.message) : 'something was thrown that is no error'
  return text
    .split('\n')
    .map((line) => `  ${shownText(line.trim())}`)
    .join('\n')
}
