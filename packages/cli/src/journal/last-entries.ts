import type { JournalEntry } from '@behalf/journal'
import { openJournal, segmentsOf } from './open-journal.js'

/** The end of a journal. */
export interface LastEntries {
  /** In the journal's order. */
  readonly entries: readonly JournalEntry[]
  /** Sequence after the last record that is there. */
  readonly next: number
}

/** Finds the last entries that are wanted. Reads segment by segment from the end, so that a long journal takes no longer than a short one. */
export async function lastEntries(
  directory: string,
  most: number,
  isWanted: (entry: JournalEntry) => boolean,
  signal: AbortSignal,
): Promise<LastEntries> {
  let entries: readonly JournalEntry[] = []
  let next = 0
  let end = Number.POSITIVE_INFINITY
  for (const fromSequence of [...(await segmentsOf(directory))].reverse()) {
    const ring = new Ring<JournalEntry>(most - entries.length)
    for await (const entry of openJournal(directory, { fromSequence, signal })) {
      const { seq } = entry.record
      if (seq >= end) break
      next = Math.max(next, seq + 1)
      if (isWanted(entry)) ring.add(entry)
    }
    entries = [...ring.values(), ...entries]
    if (entries.length === most || signal.aborted) break
    end = fromSequence
  }
  return { entries, next }
}

/** The last so many values. */
class Ring<T> {
  readonly #most: number
  readonly #values: T[] = []
  #oldest = 0

  constructor(most: number) {
    this.#most = most
  }

  add(value: T): void {
    if (this.#values.length < this.#most) {
      this.#values.push(value)
      return
    }
    this.#values[this.#oldest] = value
    this.#oldest = (this.#oldest + 1) % this.#most
  }

  values(): readonly T[] {
    return [...this.#values.slice(this.#oldest), ...this.#values.slice(0, this.#oldest)]
  }
}
