import { EXIT, type ExitCode } from './exit-codes.js'

/**
 * A mistake or a trouble that the person at the terminal can mend: told in one line that names the mend, without a stack trace. The
 * message must hold no secret; text of others in it is escaped where it is printed.
 */
export class CommandError extends Error {
  override readonly name = 'CommandError'
  readonly exitCode: ExitCode

  constructor(message: string, exitCode: ExitCode = EXIT.usage) {
    super(message)
    this.exitCode = exitCode
  }
}

/** What the system says of files, in words. */
const TROUBLES: Readonly<Record<string, string>> = {
  EACCES: 'permission denied',
  EEXIST: 'it exists already',
  EFBIG: 'the file would be too large',
  EIO: 'the disk reports an error',
  EISDIR: 'it is a directory',
  ELOOP: 'it is a symbolic link',
  EMFILE: 'too many open files',
  ENAMETOOLONG: 'the name is too long',
  ENOENT: 'no such file or directory',
  ENOSPC: 'no space is left on the disk',
  ENOTDIR: 'it is no directory',
  EPERM: 'it is not permitted',
  EROFS: 'the file system is read-only',
}

/**
 * A trouble of the file system as an error for people; `null` where the error is something else.
 * @param doing what was tried, for example `read the key file`
 */
export function ioError(error: unknown, doing: string): CommandError | null {
  const { code, syscall, path } = (error ?? {}) as NodeJS.ErrnoException
  if (typeof code !== 'string' || typeof syscall !== 'string') return null
  return new CommandError(`cannot ${doing}${path === undefined ? '' : ` ${path}`}: ${TROUBLES[code] ?? code}`, EXIT.io)
}
