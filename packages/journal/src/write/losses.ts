/** Why an event is not in the journal. */
export type LossReason = 'queue_full' | 'unavailable' | 'closed'

/** Which events are not in the journal: whether a call was let in, what became of it, or that it was refused. */
export type LossKind = 'decisions' | 'outcomes' | 'refusals'

/** Body of a `gap` record: events that were not taken, counted exactly. */
export interface Gap {
  /** Decisions that would have let a call in. */
  readonly decisions: number
  /** Outcomes of such decisions. */
  readonly outcomes: number
  readonly refusals: number
  readonly reason: LossReason
  /** When the first and the last of them came (RFC 3339, UTC, milliseconds). */
  readonly from: string
  readonly to: string
}

/** Counts what is not taken, until a record says so. */
export class Losses {
  #gaps = new Map<LossReason, Gap>()

  /** @param nowMilliseconds milliseconds since the epoch */
  count(kind: LossKind, reason: LossReason, nowMilliseconds: number): void {
    const time = new Date(nowMilliseconds).toISOString()
    const gap = this.#gaps.get(reason) ?? { decisions: 0, outcomes: 0, refusals: 0, reason, from: time, to: time }
    this.#gaps.set(reason, { ...gap, [kind]: gap[kind] + 1, to: time })
  }

  /** What was counted, which is forgotten here; give it back where it did not reach the disk. */
  take(): readonly Gap[] {
    if (this.#gaps.size === 0) return []
    const taken = [...this.#gaps.values()]
    this.#gaps = new Map()
    return taken
  }

  /** Adds what was taken to what came meanwhile. */
  giveBack(gaps: readonly Gap[]): void {
    for (const gap of gaps) {
      const later = this.#gaps.get(gap.reason)
      this.#gaps.set(gap.reason, later === undefined ? gap : joined(gap, later))
    }
  }

  get pending(): boolean {
    return this.#gaps.size > 0
  }
}

function joined(earlier: Gap, later: Gap): Gap {
  return {
    decisions: earlier.decisions + later.decisions,
    outcomes: earlier.outcomes + later.outcomes,
    refusals: earlier.refusals + later.refusals,
    reason: earlier.reason,
    from: earlier.from,
    to: later.to,
  }
}
