/**
 * Time that never goes back, made of a clock that can: what the clock loses when it is set back is added again. Only differences of
 * it mean anything. An answer must not live longer because a clock was set back under it.
 */
export class SteadyClock {
  #added = 0
  #latest = Number.NEGATIVE_INFINITY

  /** The steady time at which the clock shows a time, both in milliseconds. Asked in the order in which the clock was read. */
  at(clockMilliseconds: number): number {
    const lost = this.#latest - (clockMilliseconds + this.#added)
    if (lost > 0) this.#added += lost
    this.#latest = clockMilliseconds + this.#added
    return this.#latest
  }
}
