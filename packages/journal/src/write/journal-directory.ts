import { constants, lstatSync, mkdirSync, type Stats } from 'node:fs'
import { open } from 'node:fs/promises'
import { ConfigError } from '@behalf/core/sink-kit'
import { systemCodeOf } from '../journal-error.js'

const OWNER_ONLY = 0o700
const OTHERS = 0o077

/**
 * Makes the directory where it is missing, and makes sure that nobody else can write to it or read from it.
 * Not checked: the directories above it.
 * @throws {ConfigError} where it is a symbolic link or no directory, is owned by somebody else, or is open to others
 */
export function prepareDirectory(path: string): void {
  const stats = made(path)
  if (stats.isSymbolicLink()) throw new ConfigError(`journalSink().directory is a symbolic link: name the directory itself`)
  if (!stats.isDirectory()) throw new ConfigError('journalSink().directory is no directory')
  const self = process.geteuid?.()
  if (self === undefined) return // Windows: who may read is a matter of its access lists
  if (stats.uid !== self)
    throw new ConfigError('journalSink().directory is owned by another user: chown it to the user of this process')
  if ((stats.mode & OTHERS) !== 0) throw new ConfigError('journalSink().directory is open to other users: chmod it to 0700')
}

function made(path: string): Stats {
  try {
    mkdirSync(path, { recursive: true, mode: OWNER_ONLY })
    return lstatSync(path)
  } catch (error) {
    throw new ConfigError(`journalSink().directory cannot be made, or is no directory (${systemCodeOf(error)})`)
  }
}

/** Makes the names in a directory durable: a new file is there after a power cut only when its directory was synced too. */
export async function syncDirectory(path: string): Promise<void> {
  if (process.platform === 'win32') return // it syncs names with files, and opens no directories
  const handle = await open(path, constants.O_RDONLY)
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}
