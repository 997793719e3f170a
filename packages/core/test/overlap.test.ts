import { describe, expect, test } from 'vitest'
import { Overlap } from '../src/token/overlap.js'

const turn = () => new Promise<void>((resolve) => setImmediate(resolve))

describe('proofs that do not overlap', () => {
  test('one after another in one task, each after the answer to the one before', async () => {
    const overlap = new Overlap()
    for (let each = 0; each < 100; each++) {
      expect(overlap.begins()).toBe(false)
      await null
    }
  })

  test('one in each turn of the event loop', async () => {
    const overlap = new Overlap()
    for (let each = 0; each < 10; each++) {
      expect(overlap.begins()).toBe(false)
      await turn()
      await turn()
    }
  })
})

describe('proofs that overlap', () => {
  test('in one run of code, from the second on', () => {
    const overlap = new Overlap()
    expect(Array.from({ length: 5 }, () => overlap.begins())).toEqual([false, true, true, true, true])
  })

  test('in several tasks of one turn; the first of the next turn is taken for another such, after a lone one no more', async () => {
    const overlap = new Overlap()
    const begun: boolean[] = []
    const task = () => new Promise<void>((resolve) => setImmediate(() => resolve(void begun.push(overlap.begins()))))
    await Promise.all([task(), task(), task()])
    expect(begun).toEqual([false, true, true])
    await turn()
    expect(overlap.begins()).toBe(true)
    await turn()
    await turn()
    expect(overlap.begins()).toBe(false)
  })
})
