/** Who waits for something to hold. `reject`: `null` where a failed attempt is no reason to give up. */
interface Waiter {
  readonly done: () => boolean
  readonly resolve: () => void
  readonly reject: ((error: unknown) => void) | null
}

/** Those who wait for the writer, asked again after each of its steps. */
export class Waiters {
  #waiters: Waiter[] = []

  /** Resolves once `done` holds; rejects where an attempt fails before. */
  attempt(done: () => boolean): Promise<void> {
    if (done()) return Promise.resolve()
    return new Promise((resolve, reject) => this.#waiters.push({ done, resolve, reject }))
  }

  /** `true` once `done` holds, whatever failed before; `false` where that takes too long. */
  within(timeoutMilliseconds: number, done: () => boolean): Promise<boolean> {
    if (done()) return Promise.resolve(true)
    return new Promise((resolve) => {
      const timer = setTimeout(() => {
        this.#waiters = this.#waiters.filter((each) => each !== waiter)
        resolve(false)
      }, timeoutMilliseconds)
      const waiter: Waiter = {
        done,
        resolve() {
          clearTimeout(timer)
          resolve(true)
        },
        reject: null,
      }
      this.#waiters.push(waiter)
    })
  }

  /** A step was made, or failed with an error. */
  settle(error: unknown): void {
    const waiters = this.#waiters
    this.#waiters = []
    for (const each of waiters) {
      if (each.done()) each.resolve()
      else if (error === null || each.reject === null) this.#waiters.push(each)
      else each.reject(error)
    }
  }
}
