import { lstat, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { firstSequenceOf } from '../format/segment-names.js'
import { syncDirectory } from './journal-directory.js'
import type { JournalSettings } from './journal-options.js'
import { segmentsOf } from './recover.js'

/** Segments that are to be removed: the oldest ones of a journal. */
export interface Removal {
  readonly names: readonly string[]
  /** Sequences of their first and last records. */
  readonly from: number
  readonly through: number
}

/**
 * Which segments are too old, or too many. Called between two segments, when all of them are closed. The last one stays: the next
 * writer goes on from it.
 * @param size number of records so far
 */
export async function findRemovable(
  { directory, retainBytes, retainSeconds, now }: JournalSettings,
  size: number,
): Promise<Removal | null> {
  if (retainBytes === null && retainSeconds === null) return null
  const names = await segmentsOf(directory)
  const segments = await Promise.all(names.map(async (name) => ({ name, stats: await lstat(join(directory, name)) })))
  let total = segments.reduce((sum, { stats }) => sum + stats.size, 0)
  let count = 0
  for (const { stats } of segments.slice(0, -1)) {
    const tooMany = retainBytes !== null && total > retainBytes
    const tooOld = retainSeconds !== null && now() - stats.mtimeMs > retainSeconds * 1000
    if (!tooMany && !tooOld) break
    total -= stats.size
    count++
  }
  if (count === 0) return null
  const following = firstSequenceOf(names[count] ?? '') ?? size
  return { names: names.slice(0, count), from: firstSequenceOf(names[0] ?? '') ?? 0, through: following - 1 }
}

/** Removes segments, oldest first, so that what is left is whole at any moment. The journal must have said so before. */
export async function removeSegments(directory: string, { names }: Removal): Promise<void> {
  for (const name of names) await rm(join(directory, name), { force: true })
  await syncDirectory(directory)
}
