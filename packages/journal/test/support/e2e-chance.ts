import { seededRandom } from './seeded-random.js'

/** Chance that can be had again: the same seed gives the same numbers. */
export interface Chance {
  /** A whole number from `least` to `most`. */
  integer(least: number, most: number): number
  /** One of these. */
  pick<T>(from: readonly T[]): T
  /** Whether something of this probability happens. */
  happens(probability: number): boolean
}

export function createChance(seed: number): Chance {
  const next = seededRandom(seed)
  const integer = (least: number, most: number) => least + Math.floor(next() * (most - least + 1))
  return {
    integer,
    pick: <T>(from: readonly T[]) => from[integer(0, from.length - 1)] as T,
    happens: (probability) => next() < probability,
  }
}
