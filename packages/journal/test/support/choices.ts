import { seededRandom } from './seeded-random.js'

/** Choices that look random, and are the same for the same seed. */
export interface Choices {
  /** A whole number from 0 on, smaller than this. */
  below(limit: number): number
  pick<T>(values: readonly T[]): T
  bytes(count: number): Buffer
}

export function seededChoices(seed: number): Choices {
  const next = seededRandom(seed)
  const below = (limit: number): number => Math.floor(next() * limit)
  return {
    below,
    pick: <T>(values: readonly T[]) => values[below(values.length)] as T,
    bytes: (count) => Buffer.from(Array.from({ length: count }, () => below(256))),
  }
}
