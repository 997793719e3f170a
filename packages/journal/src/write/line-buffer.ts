import { hash } from 'node:crypto'
import { frameOf, type RecordKind, tailOf } from '../format/record.js'

const FIRST_BYTES = 65_536
/** More than a frame has: two hashes, a sequence, a kind. */
const MOST_FRAME_BYTES = 256
/** Bytes of a UTF-16 code unit in UTF-8, at most. */
const BYTES_A_UNIT = 3

/**
 * The lines of a batch as bytes, each encoded once. One buffer serves all batches: of a thousand records a second none leaves
 * anything behind for the garbage collector.
 */
export class LineBuffer {
  #buffer: Buffer = Buffer.allocUnsafe(FIRST_BYTES)
  #length = 0

  get length(): number {
    return this.#length
  }

  /** The lines so far. The same memory as the next batch's: it must be on its way before that is begun. */
  get bytes(): Uint8Array {
    return this.#buffer.subarray(0, this.#length)
  }

  clear(): void {
    this.#length = 0
  }

  /** Adds a record, with its newline. @returns its `sha256` */
  add(kind: RecordKind, canonicalBody: string, seq: number, prev: string): string {
    this.#makeRoom(canonicalBody.length * BYTES_A_UNIT + MOST_FRAME_BYTES)
    const { before, after } = frameOf(kind, seq, prev)
    const buffer = this.#buffer
    const start = this.#length
    let end = start + buffer.write(before, start, 'latin1')
    end += buffer.write(canonicalBody, end, 'utf8')
    end += buffer.write(after, end, 'latin1')
    const sha256 = hash('sha256', buffer.subarray(start, end), 'base64url')
    this.#length = end + buffer.write(`${tailOf(sha256)}\n`, end, 'latin1')
    return sha256
  }

  #makeRoom(bytes: number): void {
    const needed = this.#length + bytes
    if (needed <= this.#buffer.length) return
    const larger = Buffer.allocUnsafe(Math.max(needed, 2 * this.#buffer.length))
    larger.set(this.bytes)
    this.#buffer = larger
  }
}
