/**
 * Both sources are compared over at least this many milliseconds. They tick at different moments: compared at every tick, they would
 * go twice as fast together as each of them does.
 */
const LEAST_SPAN_MILLISECONDS = 100

/**
 * Time that never goes back, made of a clock that can, and of a source that only goes on: whichever went on further. Only differences
 * of it mean anything. An answer must not live longer because a clock was set back under it, even while nobody looked.
 */
export class SteadyClock {
  readonly #monotonic: () => number
  #latest = 0
  /** What the clock showed last. */
  #shown = Number.POSITIVE_INFINITY
  /** Where both are compared from: steady time, and what the two showed then. */
  #from: { readonly steady: number; readonly clock: number; readonly monotonic: number }

  /** @param monotonic milliseconds that only go on, from any beginning; one that stands still leaves all to the clock */
  constructor(monotonic: () => number) {
    this.#monotonic = monotonic
    this.#from = { steady: 0, clock: 0, monotonic: monotonic() }
  }

  /** The steady time at which the clock shows a time, both in milliseconds. Asked in the order in which the clock was read. */
  at(clock: number): number {
    const monotonic = this.#monotonic()
    if (!Number.isFinite(clock)) return this.#latest // no time at all: the next one that is shown tells how much has gone
    const wentBack = clock < this.#shown
    const gone = Math.max(wentBack ? 0 : clock - this.#from.clock, monotonic - this.#from.monotonic)
    this.#latest = Math.max(this.#latest, this.#from.steady + gone)
    if (wentBack || gone >= LEAST_SPAN_MILLISECONDS) this.#from = { steady: this.#latest, clock, monotonic }
    this.#shown = clock
    return this.#latest
  }

  /** A time that the clock shows, together with the steady time of {@link at}. */
  moment(clock: number): Moment {
    return { clock, steady: this.at(clock) }
  }
}

/** A time by the clock, and in steady time, both in milliseconds. How long ago it was is told by the second; only the first means a date. */
export interface Moment {
  /** Milliseconds since the epoch. */
  readonly clock: number
  /** Milliseconds since any beginning. */
  readonly steady: number
}

/** What goes beside a clock: the process's own where the clock is the machine's. A clock of somebody's own is the only time there is. */
export function monotonicBeside(now: () => number): () => number {
  return now === Date.now ? () => performance.now() : () => 0
}
