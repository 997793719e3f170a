import type { RecordKind } from '../format/record.js'
import type { Chain, ChainState } from './chain.js'
import type { LineBuffer } from './line-buffer.js'

/** Records that go to the disk in one write: all of them, or as if none had been made. */
export class RecordBatch {
  readonly #chain: Chain
  readonly #before: ChainState
  readonly #lines: LineBuffer
  readonly #committed: (() => void)[] = []
  readonly #failed: (() => void)[] = []

  /** @param lines where they are made; emptied first */
  constructor(chain: Chain, lines: LineBuffer) {
    lines.clear()
    this.#lines = lines
    this.#chain = chain
    this.#before = chain.state()
  }

  get isEmpty(): boolean {
    return this.#lines.length === 0
  }

  /** The lines so far, each with its newline. */
  get bytes(): Uint8Array {
    return this.#lines.bytes
  }

  add(kind: RecordKind, body: unknown): void {
    this.#chain.add(this.#lines, kind, body)
  }

  /** Adds an event given as canonical JSON. @returns its sequence */
  addEvent(body: string): number {
    this.#chain.addCanonical(this.#lines, 'event', body)
    return this.#chain.size - 1
  }

  /** Adds a checkpoint over all that is on disk: so it is the first of its batch. @returns its note */
  addCheckpoint(nowMilliseconds: number): string {
    return this.#chain.addCheckpoint(this.#lines, nowMilliseconds)
  }

  /** What is to happen once the records are on disk, in this order. */
  onCommitted(act: () => void): void {
    this.#committed.push(act)
  }

  /** What is to happen where they did not get there. */
  onFailed(act: () => void): void {
    this.#failed.push(act)
  }

  commit(): void {
    for (const act of this.#committed) act()
  }

  /** The chain goes back to where it was. */
  fail(): void {
    this.#chain.restore(this.#before)
    for (const act of this.#failed) act()
  }
}
