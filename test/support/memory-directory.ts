/**
 * Tests write and sync some hundred thousand small records, and a disk that stutters makes minutes of them. Where there is room in memory
 * they do it there: no test is about the disk of this machine. `npm run soak` and `npm run bench` are.
 */
import { mkdirSync, rmSync, statfsSync } from 'node:fs'

const MEMORY = '/dev/shm'
const NEEDED_BYTES = 1024 ** 3

/** For the temporary files of this run; `undefined`: wherever they are by default. `TMPDIR` of whoever runs the tests comes first. */
export const memoryDirectory =
  process.env['TMPDIR'] === undefined && hasRoom() ? `${MEMORY}/behalf-tests-${process.pid}` : undefined

function hasRoom(): boolean {
  try {
    const { bavail, bsize } = statfsSync(MEMORY)
    return bavail * bsize >= NEEDED_BYTES
  } catch {
    return false // it is of Linux alone
  }
}

/** Called by vitest before all tests, for each of its projects. @returns what is called after them */
export function setup(): (() => void) | undefined {
  if (memoryDirectory === undefined) return undefined
  const directory = memoryDirectory
  mkdirSync(directory, { recursive: true, mode: 0o755 }) // PostgreSQL runs as another user
  return () => rmSync(directory, { recursive: true, force: true })
}
