/** Chance that can be had again: the same seed gives the same numbers. */
export interface Chance {
  /** A whole number from `least` to `most`. */
  integer(least: number, most: number): number
  /** One of these. */
  pick<T>(from: readonly T[]): T
  /** Whether something of this probability happens. */
  happens(probability: number): boolean
}

/** Mulberry32: small, and good enough to choose moments with. */
export function createChance(seed: number): Chance {
  let state = seed >>> 0
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
  const integer = (least: number, most: number) => least + Math.floor(next() * (most - least + 1))
  return {
    integer,
    pick: <T>(from: readonly T[]) => from[integer(0, from.length - 1)] as T,
    happens: (probability) => next() < probability,
  }
}
