import { constants } from 'node:fs'
import { open } from 'node:fs/promises'
import { JournalError } from '../journal-error.js'

const { O_RDONLY, O_NOFOLLOW = 0, O_NONBLOCK = 0 } = constants

/**
 * Reads a whole file, and nothing else that may stand under its name: links are not followed, and a pipe does not make anybody wait.
 * @throws {JournalError} `unreadable` where it is no regular file; the system's error otherwise
 */
export async function readRegularFile(path: string): Promise<Buffer> {
  const handle = await open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK)
  try {
    if (!(await handle.stat()).isFile())
      throw new JournalError('unreadable', 'what stands under the name of a file of the journal is none')
    return await handle.readFile()
  } finally {
    await handle.close()
  }
}
