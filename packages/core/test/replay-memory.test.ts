/** What one process remembers of used proofs: RFC 9449 11.1. */
import { type ReplayUnderTest, replayContract } from '@behalf/testing'
import { describe, expect, test } from 'vitest'
import { longestUseMilliseconds } from '../src/binding/dpop.js'
import { type ProofUse, ReplayMemoryError, SingleProcessMemory } from '../src/binding/replay-memory.js'
import { DEFAULT_LIMITS } from '../src/limits.js'

/** How long the memory of these tests keeps a use, in milliseconds. */
const KEEP = 1000

/** A use whose proof nobody would accept any more when the memory forgets it. */
function useOf(id: string, now: number, more: Partial<ProofUse> = {}): ProofUse {
  return { id, acceptableFrom: now, acceptableUntil: now + KEEP, now, ...more }
}

function codeOf(step: () => unknown): unknown {
  try {
    step()
  } catch (error) {
    return error instanceof ReplayMemoryError ? error.code : error
  }
  return 'answered'
}

describe('a use', () => {
  test('is the first one once, and none after it', () => {
    const memory = new SingleProcessMemory(10, KEEP)
    expect(memory.use(useOf('a', 0))).toBe(true)
    expect(memory.use(useOf('a', 0))).toBe(false)
    expect(memory.use(useOf('b', 0))).toBe(true)
    expect(memory.use(useOf('a', 1))).toBe(false)
    expect(memory.use(useOf('b', 1))).toBe(false)
  })

  test('is remembered for as long as was said, and not longer', () => {
    for (const [later, first] of [
      [KEEP - 1, false],
      [KEEP, true],
      [KEEP + 1, true],
    ] as const) {
      const memory = new SingleProcessMemory(10, KEEP)
      memory.use(useOf('a', 0))
      // As a proof that is made later could be: the id alone says whether it is the same.
      expect(memory.use(useOf('a', later)), String(later)).toBe(first)
    }
  })

  test('that is asked for again is not remembered for longer', () => {
    const memory = new SingleProcessMemory(10, KEEP)
    memory.use(useOf('a', 0))
    expect(memory.use(useOf('a', KEEP - 1))).toBe(false)
    expect(memory.use(useOf('a', KEEP))).toBe(true)
  })
})

describe('a full memory', () => {
  test('refuses the next use rather than forget one, and keeps its word about those it has', () => {
    const memory = new SingleProcessMemory(2, KEEP)
    expect([memory.use(useOf('a', 0)), memory.use(useOf('b', 0))]).toEqual([true, true])
    expect(codeOf(() => memory.use(useOf('c', 0)))).toBe('full')
    expect(memory.use(useOf('a', 0))).toBe(false)
    expect(memory.use(useOf('b', 0))).toBe(false)
    expect(codeOf(() => memory.use(useOf('c', KEEP - 1)))).toBe('full')
  })

  test('has room again when the time of a use is over', () => {
    const memory = new SingleProcessMemory(2, KEEP)
    memory.use(useOf('a', 0))
    memory.use(useOf('b', 1))
    expect(codeOf(() => memory.use(useOf('c', KEEP - 1)))).toBe('full')
    expect(memory.use(useOf('c', KEEP))).toBe(true)
    expect(codeOf(() => memory.use(useOf('d', KEEP)))).toBe('full')
    expect(memory.use(useOf('d', KEEP + 1))).toBe(true)
  })

  test('that refuses a use has not taken note of it', () => {
    const memory = new SingleProcessMemory(1, KEEP)
    memory.use(useOf('a', 0))
    expect(codeOf(() => memory.use(useOf('b', 0)))).toBe('full')
    expect(memory.use(useOf('b', KEEP))).toBe(true)
  })
})

describe('a clock that is set back', () => {
  test('makes nobody the first again whose use was forgotten', () => {
    const memory = new SingleProcessMemory(10, KEEP)
    const proof = useOf('a', 0)
    expect(memory.use(proof)).toBe(true)
    memory.use(useOf('b', KEEP)) // forgets the first one
    expect(codeOf(() => memory.use(proof))).toBe('forgotten')
  })

  test.each([
    [KEEP, 'forgotten'],
    [KEEP + 1, 'answered'],
  ])('a proof that is acceptable until %i is %s where uses until 1000 are', (acceptableUntil, answer) => {
    const memory = new SingleProcessMemory(10, KEEP)
    memory.use(useOf('a', 0))
    memory.use(useOf('b', KEEP))
    expect(codeOf(() => memory.use(useOf('c', 0, { acceptableUntil })))).toBe(answer)
  })

  test('does not take back what was forgotten before', () => {
    const memory = new SingleProcessMemory(10, KEEP)
    memory.use(useOf('early', -5000))
    memory.use(useOf('a', 0))
    memory.use(useOf('b', KEEP))
    memory.use(useOf('c', KEEP / 2)) // remembered until 1500, behind one that is remembered until 2000
    memory.use(useOf('d', 2 * KEEP)) // forgets both: the later of their times counts
    expect(codeOf(() => memory.use(useOf('b', KEEP)))).toBe('forgotten')
    expect(codeOf(() => memory.use(useOf('e', KEEP, { acceptableUntil: 2 * KEEP + 1 })))).toBe('answered')
  })
})

describe('the errors', () => {
  test.each(['full', 'forgotten'] as const)('say %s, by a fixed text', (code) => {
    const error = new ReplayMemoryError(code)
    expect([error.name, error.code]).toEqual(['ReplayMemoryError', code])
    expect(error.message).toMatch(/^the (?:memory|proof) [a-z ]+$/)
    expect(new ReplayMemoryError('full').message).not.toBe(new ReplayMemoryError('forgotten').message)
  })
})

describe('the time for which uses are kept', () => {
  test.each([0, 1, 5, 300])('is as long as a proof can be accepted at a tolerance of %i s', (tolerance) => {
    const { proofSeconds } = DEFAULT_LIMITS
    // The first use at the earliest, by a client whose clock is ahead; the last at the end, by a replica whose clock is behind.
    const earliest = -tolerance
    const latest = proofSeconds + 2 * tolerance
    expect(longestUseMilliseconds(DEFAULT_LIMITS, tolerance)).toBeGreaterThanOrEqual((latest - earliest) * 1000)
  })
})

describe('a clock that jumped ahead and back', () => {
  test('does not fill the memory with what is remembered for too long', () => {
    const memory = new SingleProcessMemory(100, KEEP)
    expect(memory.use(useOf('ahead', 3_600_000))).toBe(true)
    for (let each = 0; each < 1000; each++) expect(memory.use(useOf(`later-${each}`, each * 100))).toBe(true)
    expect(memory.use(useOf('ahead', 99_900))).toBe(false)
    expect(codeOf(() => memory.use(useOf('ahead', 3_600_000 + KEEP, { acceptableUntil: 3_600_000 + KEEP })))).toBe('forgotten')
  })
})

describe('the contract', () => {
  const create = (): ReplayUnderTest => {
    let time = 1_790_000_000_000
    const memory = new SingleProcessMemory(1_000, 60_000)
    return {
      replicas: [memory],
      now: () => time,
      pass(until) {
        time = until + 60_000
      },
      fail() {
        for (let each = 0; each < 999; each++) memory.use(useOf(`another-${each}`, time, { acceptableUntil: time + 60_000 }))
      },
    }
  }
  for (const { name, run } of replayContract(create)) test(name, run)
})
