import assert from 'node:assert/strict'
import type { ProofUse, ReplayMemory } from '@behalf/core'
import { casesOf, first, freshName, last } from './replicas.js'

/** One memory of used proofs under test, and what its surroundings can do. */
export interface ReplayUnderTest {
  /** Memories that share what they know, as replicas of an API do: two or more; one, where it is for a single process. Fresh. */
  readonly replicas: readonly ReplayMemory[]
  /** The time that the memory goes by, in milliseconds since the epoch; proofs that are made at that time can be judged. */
  now(): number
  /** Lets time pass, until what had to be remembered up to `time` may be forgotten: 100 ms, for a memory by the real clock. */
  pass(time: number): Promise<void> | void
  /** Brings about that nobody can know which proofs were used: a store that is away, or full. */
  fail(): Promise<void> | void
}

/** One promise of the contract, to be run by any test runner. */
export interface ReplayContractCase {
  /** What the memory promises: the name of a test. */
  readonly name: string
  /** Makes a memory and holds it to the promise; rejects where it is broken. */
  readonly run: () => Promise<void>
}

/** How long the proofs are acceptable whose end the contract waits for, in milliseconds. */
const SHORT_MILLISECONDS = 100
/** How long all others are acceptable. */
const LONG_MILLISECONDS = 60_000
/** Uses at the same time. */
const CONCURRENT_USES = 200

/**
 * What every {@link ReplayMemory} promises, as a list of named cases: `for (const { name, run } of replayContract(create)) test(name, run)`.
 * Each case creates its own memory, and closes it. Not checked: what a memory's store can lose without anybody noticing.
 */
export function replayContract(create: () => Promise<ReplayUnderTest> | ReplayUnderTest): readonly ReplayContractCase[] {
  const contractCase = casesOf(create)
  return [
    contractCase('takes the first use of a proof, and no further one, whichever replica is asked', async (under) => {
      const use = useAt(under.now())
      assert.equal(await first(under).use(use), true)
      for (const memory of [...under.replicas, ...under.replicas]) assert.equal(await memory.use({ ...use }), false)
    }),
    contractCase('tells proofs apart', async (under) => {
      const uses = Array.from({ length: 50 }, () => useAt(under.now()))
      for (const use of uses) assert.equal(await last(under).use(use), true)
      for (const use of uses) assert.equal(await last(under).use(use), false)
    }),
    contractCase('takes exactly one of many uses at the same time', async (under) => {
      const use = useAt(under.now())
      const answers = await Promise.all(
        Array.from({ length: CONCURRENT_USES }, (_, index) => under.replicas[index % under.replicas.length]?.use({ ...use })),
      )
      assert.equal(answers.filter((answer) => answer === true).length, 1)
      assert.equal(answers.filter((answer) => answer === false).length, CONCURRENT_USES - 1)
    }),
    contractCase('remembers a use until the proof is not acceptable any more', async (under) => {
      const use = useAt(under.now())
      await first(under).use(use)
      assert.equal(await last(under).use({ ...use, now: use.acceptableUntil - 1 }), false)
    }),
    contractCase('goes by the proof, not by the times that it is told with it', async (under) => {
      const use = useAt(under.now())
      await first(under).use(use)
      assert.equal(await last(under).use({ ...use, acceptableUntil: use.acceptableUntil + 1_000, now: use.now + 1_000 }), false)
    }),
    contractCase('does not remember for ever', async (under) => {
      const use = useAt(under.now(), SHORT_MILLISECONDS)
      await first(under).use(use)
      await under.pass(use.acceptableUntil)
      assert.equal(await last(under).use({ ...useAt(under.now()), id: use.id }), true)
    }),
    contractCase('refuses rather than guesses, where it cannot know', async (under) => {
      const used = useAt(under.now())
      await first(under).use(used)
      await under.fail()
      for (const memory of under.replicas) {
        await assert.rejects(async () => memory.use(useAt(under.now())))
        assert.notEqual(await answerOf(() => memory.use(used)), true)
      }
    }),
    contractCase('is ready where proofs that are made now can be judged', async (under) => {
      for (const memory of under.replicas) await memory.ready?.()
      assert.equal(await last(under).use(useAt(under.now())), true)
    }),
    contractCase('closes twice, and takes no proof for a first one that it was told of before', async (under) => {
      const use = useAt(under.now())
      await first(under).use(use)
      for (const memory of under.replicas) {
        await memory.close?.()
        await memory.close?.()
        assert.notEqual(await answerOf(() => memory.use(use)), true)
      }
    }),
  ]
}

/** A use of a proof of its own that is made now. */
function useAt(now: number, milliseconds: number = LONG_MILLISECONDS): ProofUse {
  return { id: freshName(), acceptableFrom: now, acceptableUntil: now + milliseconds, now }
}

/** What it answers; its error, where it refuses. */
async function answerOf(use: () => boolean | Promise<boolean>): Promise<unknown> {
  try {
    return await use()
  } catch (error) {
    return error
  }
}
