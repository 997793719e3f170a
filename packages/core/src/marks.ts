/** What somebody has put on objects of others: nobody else can see, copy or forge it, and it goes with its object. */
export interface Marks<T> {
  /** What was put on an object; `undefined`: nothing. */
  get(object: object): T | undefined
  /** Puts a value on an object that has none yet. */
  put(object: object, value: T): void
}

/** Answers with its argument instead of a new object: private members of a subclass are then put on that. */
class Itself {
  constructor(object: object) {
    // biome-ignore lint/correctness/noConstructorReturn: this is what the class is for
    return object
  }
}

/**
 * Marks, each under a private name of its own. They promise what a `WeakMap` does, without its price: the collector of young
 * objects takes the values of a `WeakMap` for reachable, so that every request would grow old (docs/decisions/0015).
 */
export function createMarks<T>(): Marks<T> {
  class Marked extends Itself {
    readonly #value: T

    constructor(object: object, value: T) {
      super(object)
      this.#value = value
    }

    static valueIn(object: object): T | undefined {
      return typeof object === 'object' && object !== null && #value in object ? object.#value : undefined
    }
  }
  return {
    get: (object) => Marked.valueIn(object),
    put(object, value) {
      new Marked(object, value)
    },
  }
}
