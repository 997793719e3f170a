import { rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { firstSequenceOf, segmentName } from '../format/segment-names.js'
import { JournalError, systemCodeOf } from '../journal-error.js'
import { syncDirectory } from './journal-directory.js'
import type { CreateFile, JournalFile } from './journal-file.js'
import { tornName } from './recover.js'

/** The segment that is being written. What is counted in `bytes` is on disk; a write that failed is none of it. */
export interface SegmentFile {
  readonly name: string
  /** Milliseconds since the epoch. */
  readonly createdAt: number
  /** Length of what is durable. */
  readonly bytes: number
  /** One write and one sync; the first one also makes the file's name durable. After a rejection the file must be abandoned. */
  append(lines: Uint8Array): Promise<void>
  /** Closes a file that is whole. */
  close(): Promise<void>
  /**
   * Leaves a file behind after a failure: it is never synced again, since the system may have forgotten what it could not write.
   * Cuts it back to what is durable, as far as the disk lets it. Never rejects.
   */
  abandon(): Promise<void>
}

/**
 * Begins a segment.
 * @param ownLeftover name of a segment that this very writer has begun and left behind with nothing in it: that one is put aside
 * @throws {JournalError} `locked` where anything else is in the way: only another writer can have put it there
 */
export async function createSegmentFile(
  directory: string,
  firstSequence: number,
  ownLeftover: string | null,
  createFile: CreateFile,
  nowMilliseconds: number,
): Promise<SegmentFile> {
  const name = segmentName(firstSequence)
  const file = await createNew(directory, name, ownLeftover, createFile)
  let bytes = 0
  return {
    name,
    createdAt: nowMilliseconds,
    get bytes() {
      return bytes
    },
    async append(lines) {
      const { length } = lines
      await file.write(lines)
      await file.sync()
      if (bytes === 0) await syncDirectory(directory)
      bytes += length
    },
    close: () => file.close(),
    async abandon() {
      await file.truncate(bytes).catch(() => {})
      await file.close().catch(() => {})
      if (bytes === 0) await rm(join(directory, name), { force: true }).catch(() => {})
    },
  }
}

async function createNew(
  directory: string,
  name: string,
  ownLeftover: string | null,
  createFile: CreateFile,
): Promise<JournalFile> {
  const path = join(directory, name)
  try {
    return await createFile(path)
  } catch (error) {
    if (systemCodeOf(error) !== 'EEXIST') throw error
    if (name !== ownLeftover) throw new JournalError('locked', 'another process has begun the segment that was to be begun here')
    await rename(path, join(directory, tornName(firstSequenceOf(name) ?? 0)))
    return createFile(path)
  }
}
