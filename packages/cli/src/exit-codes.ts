/**
 * What the command's exit codes mean. 0 to 3 are verdicts; the others follow `sysexits.h`, and 128 + n the shell's way to say that
 * signal n ended a program.
 */
export const EXIT = {
  /** Good: verified, in order, done. */
  good: 0,
  /** The journal was tampered with; the token would be refused. */
  refused: 1,
  /** The journal is not tampered with as far as it goes, and something is missing. */
  incomplete: 2,
  /** Nothing is wrong as far as can be seen, and nobody's signature was asked: no key was given. */
  unauthenticated: 3,
  /** The command line is wrong (EX_USAGE). */
  usage: 64,
  /** Keys or a target cannot be reached (EX_UNAVAILABLE). */
  unavailable: 69,
  /** A defect of this program (EX_SOFTWARE). */
  defect: 70,
  /** A file or directory cannot be read or written (EX_IOERR). */
  io: 74,
  /** Ended by SIGINT before it was through. */
  interrupted: 130,
  /** Ended by SIGTERM before it was through. */
  terminated: 143,
} as const

/** One of {@link EXIT}. */
export type ExitCode = (typeof EXIT)[keyof typeof EXIT]
