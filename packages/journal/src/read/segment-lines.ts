import { constants } from 'node:fs'
import { type FileHandle, open, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { parseRecord } from '../format/record.js'
import { type SegmentHeader, segmentHeaderOf } from '../format/segment-header.js'
import { firstSequenceOf } from '../format/segment-names.js'
import { JournalError, systemCodeOf } from '../journal-error.js'

/** A segment's file, by its name. */
export interface SegmentName {
  readonly name: string
  /** Sequence of its first record, as the name says. */
  readonly first: number
}

/** Longest line that can be a record, in bytes, without its newline. */
const MAX_LINE_BYTES = 4 * 1024 * 1024

const CHUNK_BYTES = 256 * 1024
const LEAST_CHUNK_BYTES = 4 * 1024
const NEWLINE = 0x0a
const NO_LINE = Buffer.alloc(0)
const { O_RDONLY, O_NOFOLLOW = 0, O_NONBLOCK = 0 } = constants

/** Names in a journal's directory, sorted. @throws {JournalError} `unreadable` where it cannot be read */
export async function namesIn(directory: string): Promise<string[]> {
  try {
    return (await readdir(directory)).sort()
  } catch (error) {
    throw new JournalError('unreadable', `the journal's directory cannot be read (${systemCodeOf(error)})`)
  }
}

/** The segments among these names, oldest first. */
export function segmentsAmong(names: readonly string[]): SegmentName[] {
  const segments: SegmentName[] = []
  for (const name of names) {
    const first = firstSequenceOf(name)
    if (first !== null) segments.push({ name, first })
  }
  return segments.sort((a, b) => a.first - b.first)
}

/** Why a segment cannot be opened: it is not there any more, or a symbolic link, a directory, a pipe. */
export type Unopened = 'missing' | 'irregular'

/**
 * The lines of one segment, chunk by chunk. `fill()` reads on, then `next()` gives the lines that are whole:
 * memory stays within a chunk, or one line where that is longer.
 */
export class SegmentLines {
  readonly name: string
  /** Bytes that the file had when it was opened. */
  readonly bytes: number
  readonly #file: FileHandle
  #buffer: Buffer
  /** In the buffer: where the next line begins, up to where no newline was found, and where what was read ends. */
  #start = 0
  #searched = 0
  #end = 0
  /** Bytes of a line that is too long, which were dropped. */
  #dropped = 0
  /** In the file: what is read next, and where the last line began. */
  #position = 0
  #offset = 0

  private constructor(name: string, file: FileHandle, bytes: number) {
    this.name = name
    this.bytes = bytes
    this.#file = file
    this.#buffer = Buffer.allocUnsafe(Math.max(LEAST_CHUNK_BYTES, Math.min(bytes, CHUNK_BYTES)))
  }

  /**
   * Opens a segment for reading. Symbolic links are not followed, and nothing but a regular file is read.
   * @throws {JournalError} `unreadable` for everything but the two reasons that are returned
   */
  static async open(directory: string, name: string): Promise<SegmentLines | Unopened> {
    let file: FileHandle | null = null
    try {
      file = await open(join(directory, name), O_RDONLY | O_NOFOLLOW | O_NONBLOCK)
      const stats = await file.stat()
      if (stats.isFile()) return new SegmentLines(name, file, stats.size)
      await file.close()
      return 'irregular'
    } catch (error) {
      await file?.close()
      const code = systemCodeOf(error)
      if (code === 'ENOENT') return 'missing'
      if (code === 'ELOOP' || code === 'EMLINK' || code === 'ENXIO' || code === 'EISDIR') return 'irregular'
      throw new JournalError('unreadable', `${name} cannot be read (${code})`)
    }
  }

  /** Where the line that `next()` gave last begins, in bytes from the start of the file. */
  get offset(): number {
    return this.#offset
  }

  /** Where the next line begins. */
  get nextOffset(): number {
    return this.#position - (this.#end - this.#start) - this.#dropped
  }

  /**
   * Reads on, not beyond this many bytes of the file. `false`: there is nothing more for now.
   * @throws {JournalError} `unreadable` where the disk does not give them
   */
  async fill(limit: number = Number.POSITIVE_INFINITY): Promise<boolean> {
    this.#makeRoom()
    const room = Math.min(this.#buffer.length - this.#end, limit - this.#position)
    if (room <= 0) return false
    const bytesRead = await this.#read(room)
    this.#end += bytesRead
    this.#position += bytesRead
    return bytesRead > 0
  }

  /**
   * The next whole line that ends within this many bytes of the file, without its newline: good until `fill()`. A line that is too
   * long comes as an empty one.
   */
  next(limit: number = Number.POSITIVE_INFINITY): Buffer | null {
    const newline = this.#searched < this.#end ? this.#buffer.subarray(0, this.#end).indexOf(NEWLINE, this.#searched) : -1
    if (newline === -1) {
      this.#searched = this.#end
      return null
    }
    const offset = this.nextOffset
    if (offset + this.#dropped + newline + 1 - this.#start > limit) return null
    this.#offset = offset
    const line =
      this.#dropped > 0 || newline - this.#start > MAX_LINE_BYTES ? NO_LINE : this.#buffer.subarray(this.#start, newline)
    this.#dropped = 0
    this.#start = newline + 1
    this.#searched = this.#start
    return line
  }

  /** Looks at the segment's header, before anything else was read; `next()` gives its line again. */
  async peekHeader(first: number): Promise<FirstLine> {
    let line: Buffer | null = null
    while (line === null && (await this.fill())) line = this.next()
    this.#start = 0
    this.#searched = 0
    if (line === null) return { state: 'partial', header: null }
    const record = parseRecord(line)
    const header = record?.kind === 'segment' && record.seq === first ? segmentHeaderOf(record.body) : null
    return { state: header === null ? 'malformed' : 'header', header }
  }

  async #read(room: number): Promise<number> {
    try {
      return (await this.#file.read(this.#buffer, this.#end, room, this.#position)).bytesRead
    } catch (error) {
      throw new JournalError('unreadable', `${this.name} cannot be read (${systemCodeOf(error)})`)
    }
  }

  async close(): Promise<void> {
    await this.#file.close()
  }

  /** Moves what is left to the front, and grows the buffer, or drops what cannot be a record. */
  #makeRoom(): void {
    if (this.#start > 0) {
      this.#buffer.copyWithin(0, this.#start, this.#end)
      this.#end -= this.#start
      this.#start = 0
      this.#searched = this.#end
    }
    if (this.#end < this.#buffer.length) return
    if (this.#dropped === 0 && this.#end <= MAX_LINE_BYTES) {
      const larger = Buffer.allocUnsafe(Math.min(2 * this.#buffer.length, MAX_LINE_BYTES + CHUNK_BYTES))
      this.#buffer.copy(larger, 0, 0, this.#end)
      this.#buffer = larger
      return
    }
    this.#dropped += this.#end
    this.#end = 0
    this.#searched = 0
  }
}

/** The first line of a segment. */
interface FirstLine {
  /** `partial`: no whole line yet. `malformed`: no header of this format. */
  readonly state: 'partial' | 'malformed' | 'header'
  readonly header: SegmentHeader | null
}
