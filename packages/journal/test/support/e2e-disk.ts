import { execFileSync } from 'node:child_process'
import { closeSync, mkdirSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'vitest'

const CHUNK = Buffer.alloc(4_096)

/** A file system of its own, in memory, that can be filled up. */
export interface SmallDisk {
  /** A directory on it that only its owner can read, for a journal. */
  readonly directory: string
  /** Takes all room that is left. */
  fill(): void
  /** Gives it back. */
  free(): void
  unmount(): void
}

/** @param bytes its size; @throws where file systems cannot be mounted: that takes root, or a container that allows it */
export function mountSmallDisk(bytes: number): SmallDisk {
  const mountPoint = mkdtempSync(join(tmpdir(), 'behalf-disk-'))
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${bytes},mode=0700`, 'tmpfs', mountPoint], { stdio: 'ignore' })
  } catch (error) {
    rmSync(mountPoint, { recursive: true })
    throw error
  }
  const directory = join(mountPoint, 'journal')
  mkdirSync(directory, { mode: 0o700 })
  const filler = join(mountPoint, 'filler')
  return {
    directory,
    fill: () => fillUp(filler),
    free: () => rmSync(filler, { force: true }),
    unmount() {
      execFileSync('umount', ['-l', mountPoint]) // also where a test that failed has left a file open
      rmSync(mountPoint, { recursive: true })
    },
  }
}

function fillUp(path: string): void {
  const file = openSync(path, 'a')
  try {
    for (;;) writeSync(file, CHUNK)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error
  } finally {
    closeSync(file)
  }
}

/**
 * A `describe` whose tests need something of the system: they are skipped, with one line that says why, where it is not there.
 * With `CI` set in the environment they fail instead.
 * @param tryIt throws where it is not there
 */
export function describeWhere(what: string, tryIt: () => void, name: string, tests: () => void): void {
  try {
    tryIt()
    describe(name, tests)
    return
  } catch {
    // said below
  }
  if (process.env['CI']) {
    describe(name, () => {
      it(`needs ${what}`, () => {
        throw new Error(`${what} is not possible here`)
      })
    })
    return
  }
  process.stderr.write(`skipped: ${name}: ${what} is not possible here\n`)
  describe.skip(name, tests)
}
