/** Pauses between failed attempts: random up to a bound that doubles with every failure ("full jitter"), so that servers do not ask in step. */
export class BackOff {
  readonly #firstMilliseconds: number
  readonly #mostMilliseconds: number
  readonly #random: () => number
  #until = Number.NEGATIVE_INFINITY
  /** Failures since the last success. */
  failures = 0

  constructor(firstSeconds: number, mostSeconds: number, random: () => number) {
    this.#firstMilliseconds = firstSeconds * 1000
    this.#mostMilliseconds = mostSeconds * 1000
    this.#random = random
  }

  failed(nowMilliseconds: number): void {
    const bound = Math.min(this.#mostMilliseconds, this.#firstMilliseconds * 2 ** Math.min(this.failures, 30))
    this.failures++
    this.#until = nowMilliseconds + this.#random() * bound
  }

  succeeded(): void {
    this.failures = 0
    this.#until = Number.NEGATIVE_INFINITY
  }

  /** Milliseconds until the next attempt; 0 or less: it may begin. A pause that a clock set back has made longer than any is over. */
  waitMilliseconds(nowMilliseconds: number): number {
    const wait = this.#until - nowMilliseconds
    return wait > this.#mostMilliseconds ? 0 : wait
  }
}
