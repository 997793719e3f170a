import assert from 'node:assert/strict'
import { setTimeout as wait } from 'node:timers/promises'
import type { RevocationEntry, RevocationSet } from '@behalf/core'
import { casesOf, first, freshName, last } from './replicas.js'

/** One set of revocations under test, and what its surroundings can do. */
export interface RevocationsUnderTest {
  /** Sets that share what they know, as replicas of an API do: two or more; one, where it is for a single process. Fresh, and empty. */
  readonly replicas: readonly RevocationSet[]
  /** How many entries the whole set takes: 3 to 100. */
  readonly maxEntries: number
  /** The time that the set goes by, in milliseconds since the epoch. */
  now(): number
  /** Lets time pass until `time`, at least; what had to be kept until then may be forgotten. */
  pass(time: number): Promise<void> | void
  /** Brings about that nobody can know what was added: a store that is away. Only for a set that has such a thing. */
  fail?(): Promise<void> | void
}

/** One promise of the contract, to be run by any test runner. */
export interface RevocationContractCase {
  /** What the set promises: the name of a test. */
  readonly name: string
  /** Makes a set and holds it to the promise; rejects where it is broken. */
  readonly run: () => Promise<void>
}

/** For how long the entries are kept whose end the contract waits for, in milliseconds. */
const SHORT_MILLISECONDS = 100
/** For how long all others are kept. */
const LONG_MILLISECONDS = 3_600_000
/** For how long an entry is watched with a clock that goes by itself, in milliseconds. */
const WATCHED_MILLISECONDS = 2_000
/** How often, over that time. */
const LOOKS = 8
/** After so many milliseconds a clock that goes by itself shows another time. */
const CLOCK_MILLISECONDS = 10
/** How often it is asked whether a replica knows everything. */
const POLL_MILLISECONDS = 2

/**
 * What every {@link RevocationSet} promises, as a list of named cases:
 * `for (const { name, run } of revocationContract(create)) test(name, run)`. Each case creates its own set, and closes it. Entries
 * are watched until their end: for an hour where `now` goes on with `pass` alone, for two seconds with a clock that goes by itself. Not
 * checked: how soon a replica knows of an entry, what a set's store can lose without anybody noticing, and that anything is kept for
 * longer than it was watched.
 */
export function revocationContract(
  create: () => Promise<RevocationsUnderTest> | RevocationsUnderTest,
): readonly RevocationContractCase[] {
  const contractCase = casesOf(create)
  return [
    contractCase('knows at once what it was told, and nothing else', async (under) => {
      const set = first(under)
      const [added, other] = [entryAt(under), entryAt(under)]
      assert.equal(set.find(added.key), undefined)
      await set.add(added)
      assert.deepEqual({ ...set.find(added.key) }, added)
      assert.equal(set.find(other.key), undefined)
    }),
    contractCase('does not say that it knows everything while it lacks what anybody was told', async (under) => {
      for (let round = 0; round < Math.min(under.maxEntries, 20); round++) {
        const adder = under.replicas[round % under.replicas.length]
        const entry = entryAt(under)
        await adder?.add(entry)
        await under.pass(under.now() + 1)
        const acknowledged = under.now()
        for (const set of under.replicas) {
          await untilWhole(set, under, acknowledged)
          assert.deepEqual({ ...set.find(entry.key) }, entry)
        }
      }
    }),
    contractCase('is never sure of a time that has not come', async (under) => {
      for (const set of under.replicas) assert(set.wholeAt(under.now()) <= under.now())
    }),
    contractCase('joins what it is told of one key: the later times, and every token where anybody said so', async (under) => {
      const now = under.now()
      const { key } = entryAt(under)
      const told: readonly (readonly [given: RevocationEntry, joined: RevocationEntry])[] = [
        [entry(key, 2_000, now + 50_000), entry(key, 2_000, now + 50_000)],
        [entry(key, 1_000.5, now + 60_000), entry(key, 2_000, now + 60_000)],
        [entry(key, 10_000, now + 40_000), entry(key, 10_000, now + 60_000)],
        [entry(key, null, now + 30_000), entry(key, null, now + 60_000)],
        [entry(key, 20_000, now + 70_000), entry(key, null, now + 70_000)],
      ]
      for (const [index, [given, joined]] of told.entries()) {
        const set = under.replicas[index % under.replicas.length]
        for (const each of under.replicas) await untilWhole(each, under, under.now())
        await set?.add(given)
        assert.deepEqual({ ...set?.find(key) }, joined)
        await under.pass(under.now() + 1)
        for (const each of under.replicas) {
          await untilWhole(each, under, under.now())
          assert.deepEqual({ ...each.find(key) }, joined)
        }
      }
    }),
    contractCase('loses nothing of what it is told at the same time', async (under) => {
      const shared = entryAt(under)
      const own = Array.from({ length: under.maxEntries - 1 }, () => entryAt(under))
      const times = [3_000, 1_000, 4_000, 2_000]
      await Promise.all([
        ...times.map((time, index) =>
          under.replicas[index % under.replicas.length]?.add({ ...shared, issuedUntilSeconds: time }),
        ),
        ...own.map((each, index) => under.replicas[index % under.replicas.length]?.add(each)),
      ])
      await under.pass(under.now() + 1)
      for (const set of under.replicas) {
        await untilWhole(set, under, under.now())
        assert.equal(set.find(shared.key)?.issuedUntilSeconds, 4_000)
        for (const each of own) assert.deepEqual({ ...set.find(each.key) }, each)
      }
    }),
    contractCase('says with its version that something has changed', async (under) => {
      const set = first(under)
      const versions = new Set([set.version])
      const { key, keepUntil } = entryAt(under)
      for (const time of [1_000, 2_000, null]) {
        await set.add(entry(key, time, keepUntil))
        versions.add(set.version)
      }
      assert.equal(versions.size, 4)
      const other = last(under)
      await untilWhole(other, under, under.now())
      const before = other.version
      await set.add(entryAt(under))
      await under.pass(under.now() + 1)
      await untilWhole(other, under, under.now())
      assert.notEqual(other.version, before)
    }),
    contractCase('refuses what it has no room for, says so, and forgets nothing for it', async (under) => {
      const kept = Array.from({ length: under.maxEntries }, () => entryAt(under))
      for (const each of kept) await first(under).add(each)
      const more = entryAt(under)
      for (const set of under.replicas) {
        await assert.rejects(async () => set.add(more), { name: 'RevocationError', code: 'full' })
        assert.equal(set.find(more.key), undefined)
      }
      const [again = more] = kept
      await last(under).add({ ...again, keepUntil: again.keepUntil + 1 }) // needs none
      await under.pass(under.now() + 1)
      for (const set of under.replicas) {
        await untilWhole(set, under, under.now())
        for (const each of kept) assert.notEqual(set.find(each.key), undefined)
      }
    }),
    contractCase('forgets nothing before its time', async (under) => {
      const kept = entryAt(under, await watchable(under))
      await first(under).add(kept)
      await keptToTheEnd(under, kept)
    }),
    contractCase('forgets nothing before its time, though others come and end', async (under) => {
      const milliseconds = await watchable(under)
      const kept = entryAt(under, milliseconds)
      const ending = Array.from({ length: under.maxEntries - 1 }, () => entryAt(under, milliseconds / 2))
      for (const each of [kept, ...ending]) await first(under).add(each)
      await under.pass(Math.max(...ending.map(({ keepUntil }) => keepUntil)) + 1)
      for (const _ of ending) await last(under).add(entryAt(under))
      await keptToTheEnd(under, kept)
    }),
    contractCase('takes what is new in place of what has ended', async (under) => {
      const ending = Array.from({ length: under.maxEntries - 1 }, () => entryAt(under, SHORT_MILLISECONDS))
      const staying = entryAt(under)
      for (const each of [staying, ...ending]) await first(under).add(each)
      await under.pass(Math.max(...ending.map(({ keepUntil }) => keepUntil)) + 1)
      const fresh = ending.map(() => entryAt(under))
      for (const each of fresh) await last(under).add(each)
      await under.pass(under.now() + 1)
      for (const set of under.replicas) {
        await untilWhole(set, under, under.now())
        for (const each of [staying, ...fresh]) assert.notEqual(set.find(each.key), undefined)
      }
    }),
    contractCase('is not up to date while it cannot know, takes nothing then, and forgets nothing', async (under) => {
      const known = entryAt(under)
      await first(under).add(known)
      await under.pass(under.now() + 1)
      for (const set of under.replicas) await untilWhole(set, under, under.now())
      if (under.fail === undefined) return
      await under.fail()
      await under.pass(under.now() + 1)
      const away = under.now()
      for (const set of under.replicas) {
        const lost = entryAt(under)
        await assert.rejects(async () => set.add(lost), { name: 'RevocationError', code: 'unavailable' })
        assert(set.wholeAt(under.now()) < away)
        assert.deepEqual({ ...set.find(known.key) }, known)
      }
    }),
    contractCase('is ready when it can be believed', async (under) => {
      for (const set of under.replicas) {
        await set.ready?.()
        assert.notEqual(set.wholeAt(under.now()), Number.NEGATIVE_INFINITY)
      }
    }),
    contractCase('closes twice, and forgets nothing by it', async (under) => {
      const known = entryAt(under)
      await first(under).add(known)
      await first(under).close?.()
      await first(under).close?.()
      assert.deepEqual({ ...first(under).find(known.key) }, known)
    }),
  ]
}

/** Waits until it says that it knows everything that was acknowledged by then. Whoever runs the case says how long that may take. */
async function untilWhole(set: RevocationSet, { now }: RevocationsUnderTest, time: number): Promise<void> {
  while (!(set.wholeAt(now()) >= time)) await wait(POLL_MILLISECONDS)
}

/** For how long it can be watched whether an entry is kept, in milliseconds. */
async function watchable({ now }: RevocationsUnderTest): Promise<number> {
  const before = now()
  await wait(CLOCK_MILLISECONDS)
  return now() === before ? LONG_MILLISECONDS : WATCHED_MILLISECONDS
}

/** Every replica that has once known everything finds an entry until its last millisecond, whatever it knows of others by then. */
async function keptToTheEnd(under: RevocationsUnderTest, kept: RevocationEntry): Promise<void> {
  await under.pass(under.now() + 1)
  const begun = under.now()
  for (const set of under.replicas) await untilWhole(set, under, begun)
  for (let look = 1; look <= LOOKS; look++) {
    await under.pass(begun + (kept.keepUntil - 1 - begun) * (look / LOOKS))
    for (const set of under.replicas) {
      const found = set.find(kept.key)
      if (under.now() < kept.keepUntil) assert.deepEqual({ ...found }, kept) // a clock that goes by itself may be past it
    }
  }
}

/** An entry about something of its own. */
function entryAt({ now }: RevocationsUnderTest, milliseconds: number = LONG_MILLISECONDS): RevocationEntry {
  return entry(freshName(), null, Math.ceil(now() + milliseconds))
}

function entry(key: string, issuedUntilSeconds: number | null, keepUntil: number): RevocationEntry {
  return { key, issuedUntilSeconds, keepUntil }
}
