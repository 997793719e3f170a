import { readdir } from 'node:fs/promises'
import { type JournalEntry, JournalError, type ReadJournalOptions, readJournal } from '@behalf/journal'
import { CommandError, ioError } from '../command-error.js'
import { EXIT } from '../exit-codes.js'

const SEGMENT = /^journal-(\d{16})\.jsonl$/

/** Whether a file is named as a segment is. */
export function isSegmentName(name: string): boolean {
  return SEGMENT.test(name)
}

/**
 * Sequences of the first records of a journal's segments, oldest first; never empty.
 * @throws {CommandError} with exit code 74 where there is no journal
 */
export async function segmentsOf(directory: string): Promise<readonly number[]> {
  const names = (await namesIn(directory)).filter(isSegmentName).sort()
  if (names.length === 0) {
    throw new CommandError(`${directory} holds no journal: name the directory that journalSink() writes`, EXIT.io)
  }
  return names.map((name) => Number(SEGMENT.exec(name)?.[1]))
}

/**
 * Makes sure that there is a directory, whatever it holds.
 * @throws {CommandError} with exit code 74
 */
export async function requireDirectory(directory: string): Promise<void> {
  await namesIn(directory)
}

async function namesIn(directory: string): Promise<readonly string[]> {
  try {
    return await readdir(directory)
  } catch (error) {
    throw ioError(error, 'read the journal') ?? error
  }
}

/** The records of a journal, as far as they can be read. What cannot be read is an error for people. */
export async function* openJournal(
  directory: string,
  options: ReadJournalOptions,
): AsyncGenerator<JournalEntry, void, undefined> {
  try {
    yield* readJournal(directory, options)
  } catch (error) {
    if (error instanceof JournalError) {
      throw new CommandError(`${error.message}; 'behalf audit verify ${directory}' says more`, EXIT.io)
    }
    throw ioError(error, 'read the journal') ?? error
  }
}
