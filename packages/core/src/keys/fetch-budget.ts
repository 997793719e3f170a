/**
 * How many fetches strangers can cause: some in a row, then one more in every interval. A clock that was set back gives nothing
 * away and takes nothing.
 */
export class FetchBudget {
  readonly #most: number
  readonly #intervalMilliseconds: number
  #left: number
  /** Since when the next one is being earned, in milliseconds since the epoch. */
  #since = 0

  constructor(most: number, intervalSeconds: number) {
    this.#most = most
    this.#intervalMilliseconds = intervalSeconds * 1000
    this.#left = most
  }

  /** Spends one; `false` where none is left. */
  spend(nowMilliseconds: number): boolean {
    this.#earn(nowMilliseconds)
    if (this.#left === 0) return false
    this.#left--
    return true
  }

  /** Milliseconds until there is one again. */
  waitMilliseconds(nowMilliseconds: number): number {
    this.#earn(nowMilliseconds)
    return this.#left > 0 ? 0 : this.#since + this.#intervalMilliseconds - nowMilliseconds
  }

  #earn(nowMilliseconds: number): void {
    if (nowMilliseconds < this.#since || this.#left === this.#most) this.#since = nowMilliseconds
    const earned = Math.floor((nowMilliseconds - this.#since) / this.#intervalMilliseconds)
    if (earned === 0) return
    this.#left = Math.min(this.#most, this.#left + earned)
    this.#since = this.#left === this.#most ? nowMilliseconds : this.#since + earned * this.#intervalMilliseconds
  }
}
