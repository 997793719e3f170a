/**
 * Tells proofs that come one after another from proofs that overlap, by where in the event loop they begin.
 *
 * Two that begin in the same run of code, or in different tasks of one turn of the event loop, belong to calls that wait for each
 * other's proof. Two that begin in one task, with a pause for promises between them, belong to one caller that asks again after
 * each answer: nobody else waits.
 */
export class Overlap {
  #sameRun = false
  #sameTask = false
  #sameTurn = false
  #inThisTurn = false
  #inLastTurn = false

  /** Takes note that a proof begins; `true` where it overlaps others, or where proofs did so in the last turn. */
  begins(): boolean {
    if (this.#sameRun || (this.#sameTurn && !this.#sameTask)) this.#inThisTurn = true
    this.#mark()
    return this.goesOn()
  }

  /** The same for one more proof of a caller whose earlier one began a moment ago: it overlaps with others, never with that one. */
  goesOn(): boolean {
    return this.#inThisTurn || this.#inLastTurn
  }

  /** Promises are asked after a run of code, ticks after a task, immediates after a turn. */
  #mark(): void {
    if (!this.#sameRun) {
      this.#sameRun = true
      queueMicrotask(() => {
        this.#sameRun = false
      })
    }
    if (!this.#sameTask) {
      this.#sameTask = true
      process.nextTick(() => {
        this.#sameTask = false
      })
    }
    if (!this.#sameTurn) {
      this.#sameTurn = true
      setImmediate(() => {
        this.#sameTurn = false
        this.#inLastTurn = this.#inThisTurn
        this.#inThisTurn = false
      }).unref()
    }
  }
}
