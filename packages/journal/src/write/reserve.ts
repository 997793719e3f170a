import { lstat, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { syncDirectory } from './journal-directory.js'
import type { CreateFile } from './journal-file.js'

const RESERVE_NAME = 'reserve'
const CHUNK_BYTES = 65_536

/** Room on the disk that is given up when the disk is full, so that the journal can still say so. */
export interface Reserve {
  /** Takes the room, unless it is taken already. Rejects with the system's error where there is none. */
  take(): Promise<void>
  /** Gives the room up. Never rejects. */
  giveUp(): Promise<void>
}

/** @param bytes how much room; it is filled, since a file with a hole has no room */
export function createReserve(directory: string, bytes: number, createFile: CreateFile): Reserve {
  const path = join(directory, RESERVE_NAME)
  let taken = false

  async function giveUp(): Promise<void> {
    taken = false
    await rm(path, { force: true }).catch(() => {})
  }

  async function fill(): Promise<void> {
    const file = await createFile(path)
    try {
      for (let written = 0; written < bytes; written += CHUNK_BYTES) {
        await file.write(Buffer.alloc(Math.min(CHUNK_BYTES, bytes - written), 0x20))
      }
      await file.sync()
    } finally {
      await file.close()
    }
    await syncDirectory(directory)
  }

  return {
    async take() {
      if (taken) return
      if ((await lengthOf(path)) !== bytes) {
        await giveUp()
        await fill().catch(async (error: unknown) => {
          await giveUp()
          throw error
        })
      }
      taken = true
    },
    giveUp,
  }
}

/** `-1` where there is no such file. */
async function lengthOf(path: string): Promise<number> {
  try {
    const stats = await lstat(path)
    return stats.isFile() ? stats.size : -1
  } catch {
    return -1
  }
}
