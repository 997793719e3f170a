import { EXIT, type ExitCode } from './exit-codes.js'

/** The exit code of a command that a signal asked to end. */
export function interrupted(signal: AbortSignal): ExitCode {
  return signal.reason === 'SIGTERM' ? EXIT.terminated : EXIT.interrupted
}
