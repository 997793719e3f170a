import type { ExitCode } from './exit-codes.js'
import type { Terminal } from './terminal.js'

/** What a command needs, and how it tells its end. */
export interface CommandContext {
  readonly terminal: Terminal
  /** Where a command's verdict is no plain success. */
  exit(code: ExitCode): void
}
