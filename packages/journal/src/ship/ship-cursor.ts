import { randomUUID } from 'node:crypto'
import { constants } from 'node:fs'
import { open, rename, rm } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { systemCodeOf } from '../journal-error.js'
import { syncDirectory } from '../write/journal-directory.js'
import { ShipError } from './ship-error.js'

/** How far a journal was delivered to one target. */
export interface ShipCursor {
  /** UUID of the journal. */
  readonly journal: string
  /** Sequence of the next record to deliver: 1 or more. */
  readonly next: number
  /** `sha256` of the last record that was delivered. */
  readonly sha256: string
}

const FORMAT = 'behalf-cursor/1'
const MAX_BYTES = 1024
const OWNER_ONLY = 0o600
const WRITABLE_BY_OTHERS = 0o022
const JOURNAL = /^[\x21-\x7e]{1,100}$/
const HASH = /^[A-Za-z0-9_-]{43}$/
const { O_RDONLY, O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW = 0, O_NONBLOCK = 0 } = constants

/**
 * Reads a cursor. `null`: there is none yet.
 * @throws {ShipError} `cursor_unreadable` for everything but a regular file of ours that holds a cursor
 */
export async function readCursor(path: string): Promise<ShipCursor | null> {
  const text = await readText(path)
  if (text === null) return null
  const cursor = parseCursor(text)
  if (cursor === null) throw unreadable('it holds no cursor')
  return cursor
}

async function readText(path: string): Promise<string | null> {
  try {
    const file = await open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK)
    try {
      const stats = await file.stat()
      const self = process.geteuid?.()
      if (!stats.isFile()) throw unreadable('it is no regular file')
      if (self !== undefined && (stats.uid !== self || (stats.mode & WRITABLE_BY_OTHERS) !== 0)) {
        throw unreadable('other users may write to it')
      }
      if (stats.size > MAX_BYTES) throw unreadable('it holds no cursor')
      return await file.readFile('utf8')
    } finally {
      await file.close()
    }
  } catch (error) {
    const code = systemCodeOf(error)
    if (code === 'ENOENT') return null
    throw error instanceof ShipError ? error : unreadable(code)
  }
}

function parseCursor(text: string): ShipCursor | null {
  try {
    const { format, journal, next, sha256, ...others } = JSON.parse(text) as Record<string, unknown>
    if (format !== FORMAT || Object.keys(others).length > 0) return null
    if (typeof journal !== 'string' || !JOURNAL.test(journal)) return null
    if (typeof sha256 !== 'string' || !HASH.test(sha256)) return null
    return Number.isSafeInteger(next) && (next as number) > 0 ? { journal, next: next as number, sha256 } : null
  } catch {
    return null
  }
}

function unreadable(why: string): ShipError {
  return new ShipError(
    'cursor_unreadable',
    `the cursor cannot be read: ${why}; without it shipping begins with the first record, and what is at the target is not doubled`,
  )
}

/**
 * Replaces a cursor: after a crash or a power cut there is the old one or the new one, whole. Rejects with the system's error.
 */
export async function saveCursor(path: string, { journal, next, sha256 }: ShipCursor): Promise<void> {
  const directory = dirname(resolve(path))
  const temporary = `${resolve(path)}-${randomUUID()}`
  try {
    const file = await open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, OWNER_ONLY)
    try {
      await file.writeFile(`${JSON.stringify({ format: FORMAT, journal, next, sha256 })}\n`)
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(temporary, path)
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => {})
    throw error
  }
  await syncDirectory(directory)
}

/** Removes a cursor: the next run begins with the first record. Rejects with the system's error. */
export async function removeCursor(path: string): Promise<void> {
  await rm(path, { force: true })
  await syncDirectory(dirname(resolve(path)))
}
