import { realpath } from 'node:fs/promises'
import { sep } from 'node:path'
import { CommandError, ioError } from '../command-error.js'

/**
 * Makes sure that a file lies outside of the journal's directory: what stands inside can be changed by whoever changed the journal.
 * @param what it is, for messages: `the key`
 * @throws {CommandError}
 */
export async function requireOutside(path: string, directory: string, what: string): Promise<void> {
  const [file, journal] = await Promise.all([real(path, what), real(directory, 'the journal')])
  if (file.startsWith(`${journal}${sep}`)) {
    throw new CommandError(
      `${what} lies in the journal's directory, where it proves nothing: keep it elsewhere, and name it there`,
    )
  }
}

async function real(path: string, what: string): Promise<string> {
  try {
    return await realpath(path)
  } catch (error) {
    throw ioError(error, `read ${what}`) ?? error
  }
}
