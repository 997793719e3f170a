/** How many entries of an epoch are known without a gap. */
interface Stretch {
  readonly epoch: string
  /** Those up to here may not be known. */
  readonly before: number
  readonly count: number
}

/** Keeps count of what was heard and what was read, so that nothing is missed without being noticed. */
export class ChangeCount {
  #stretch: Stretch | null = null
  /** What the server had when it was last asked. */
  #had = 0
  #missed = false
  #strayed = false

  /** Something was missed: all of it has to be read anew. */
  get missed(): boolean {
    return this.#missed
  }

  /** Something came of another epoch than was read: it need not be where that is. */
  get strayed(): boolean {
    return this.#strayed
  }

  /** Takes note of a message. */
  heard(epoch: string, before: number, count: number): void {
    const known = this.#stretch
    this.#strayed ||= known !== null && known.epoch !== epoch
    if (known === null) this.#stretch = { epoch, before, count }
    else if (known.epoch !== epoch || before > known.count) this.#missed = true
    else this.#stretch = { ...known, count: Math.max(known.count, count) }
  }

  /** Everything up to here is about to be read; messages may have come before. */
  reading(epoch: string, count: number): void {
    const heard = this.#stretch ?? { epoch, before: count, count }
    if (heard.epoch !== epoch || heard.before > count) this.#missed = true
    this.#stretch = { epoch, before: 0, count: Math.max(heard.count, count) }
  }

  /** Something went wrong that no count shows. */
  miss(): void {
    this.#missed = true
  }

  /** Whether all is known that the server has by its own account, and it has nothing less than it had. */
  holds(epoch: string, count: number): boolean {
    const isKnown = this.#stretch?.epoch === epoch && count <= this.#stretch.count && count >= this.#had
    this.#had = count
    return isKnown && !this.#missed
  }
}
