import { close, constants, fdatasync, ftruncate, open, write } from 'node:fs'
import { promisify } from 'node:util'

/**
 * A file that is being written, from its beginning on. Small, so that a test can put a failing disk in its place.
 * Each method rejects with the system's error; after that nothing more is written to the file.
 */
export interface JournalFile {
  /** Appends all of the bytes. */
  write(bytes: Uint8Array): Promise<void>
  /** Resolves when everything that was written before is on the disk itself. */
  sync(): Promise<void>
  /** Cuts the file back to a length in bytes. */
  truncate(bytes: number): Promise<void>
  /** Frees the file. */
  close(): Promise<void>
}

/** Makes a new file that only its owner may read; rejects with `EEXIST` where there is one already. */
export type CreateFile = (path: string) => Promise<JournalFile>

const { O_CREAT, O_EXCL, O_WRONLY, O_NOFOLLOW = 0 } = constants
const OWNER_ONLY = 0o600

const openFile = promisify(open)
const truncateFile = promisify(ftruncate)
const closeFile = promisify(close)

/** A file of the operating system. */
export const createSystemFile: CreateFile = async (path) => {
  const descriptor = await openFile(path, O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW, OWNER_ONLY)
  let length = 0
  return {
    async write(bytes) {
      let written = 0
      while (written < bytes.length) written += await writeSome(descriptor, bytes, written, length + written)
      length += written
    },
    sync: () => new Promise((resolve, reject) => fdatasync(descriptor, (error) => (error ? reject(error) : resolve()))),
    async truncate(bytes) {
      await truncateFile(descriptor, bytes)
      length = bytes
    },
    close: () => closeFile(descriptor),
  }
}

/** Writes as much as the system takes at once: at a full disk that can be a part. */
function writeSome(descriptor: number, bytes: Uint8Array, from: number, position: number): Promise<number> {
  return new Promise((resolve, reject) => {
    write(descriptor, bytes, from, bytes.length - from, position, (error, count) => (error ? reject(error) : resolve(count)))
  })
}
