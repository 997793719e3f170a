import type { RecordKind } from '../format/record.js'
import type { Chain, ChainState } from './chain.js'

/** Records that go to the disk in one write: all of them, or as if none had been made. */
export class RecordBatch {
  readonly #chain: Chain
  readonly #before: ChainState
  readonly #lines: string[] = []
  readonly #committed: (() => void)[] = []
  readonly #failed: (() => void)[] = []

  constructor(chain: Chain) {
    this.#chain = chain
    this.#before = chain.state()
  }

  get isEmpty(): boolean {
    return this.#lines.length === 0
  }

  /** The lines so far, each with its newline. */
  get text(): string {
    return this.#lines.join('')
  }

  add(kind: RecordKind, body: unknown): void {
    this.#lines.push(this.#chain.add(kind, body))
  }

  /** Adds an event given as canonical JSON. @returns its sequence */
  addEvent(body: string): number {
    this.#lines.push(this.#chain.addCanonical('event', body))
    return this.#chain.size - 1
  }

  /** Adds a checkpoint over all that is on disk: so it is the first of its batch. @returns its note */
  addCheckpoint(nowMilliseconds: number): string {
    const { line, note } = this.#chain.addCheckpoint(nowMilliseconds)
    this.#lines.push(line)
    return note
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
