// Floors of the audit trail: the same work with nothing but what cannot be left out.
import { hash } from 'node:crypto'
import { close, fdatasync, open, readdirSync, readFileSync, write } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'

const openFile = promisify(open)
const writeFile = promisify(write)
const syncFile = promisify(fdatasync)
const closeFile = promisify(close)

/**
 * A bare adaptive group commit: one write and one sync are under way, and the next takes all that came meanwhile. No order of
 * members, no chain, no bounds, no rotation, no recovery.
 */
export async function createGroupCommit(path) {
  const descriptor = await openFile(path, 'wx', 0o600)
  let lines = []
  let waiters = []
  let running = null

  async function run() {
    while (lines.length > 0) {
      const bytes = Buffer.from(lines.join(''))
      const settled = waiters
      lines = []
      waiters = []
      try {
        for (let from = 0; from < bytes.length; ) from += (await writeFile(descriptor, bytes, from)).bytesWritten
        await syncFile(descriptor)
      } catch (error) {
        for (const { reject } of settled) reject(error)
        throw error
      }
      for (const { resolve } of settled) resolve()
    }
    running = null
  }

  return {
    write(event) {
      lines.push(`${JSON.stringify(event)}\n`)
      running ??= Promise.resolve().then(run)
      return new Promise((resolve, reject) => waiters.push({ resolve, reject }))
    },
    async close() {
      await running
      await closeFile(descriptor)
    },
  }
}

const NEWLINE = 0x0a

/** Parses and hashes every line of a directory's segments. @returns {number} lines */
export function parseAndHash(directory) {
  let lines = 0
  for (const name of readdirSync(directory).filter((each) => each.startsWith('journal-'))) {
    const bytes = readFileSync(join(directory, name))
    for (let start = 0; start < bytes.length; lines++) {
      const found = bytes.indexOf(NEWLINE, start)
      const end = found === -1 ? bytes.length : found
      JSON.parse(bytes.toString('utf8', start, end))
      hash('sha256', bytes.subarray(start, end), 'base64url')
      start = end + 1
    }
  }
  return lines
}
