/** The contract of every set of revocations: held by the one in memory, and not by sets that break one promise each. */
import { memoryRevocations, type RevocationEntry, type RevocationSet } from '@behalf/core'
import { type RevocationsUnderTest, revocationContract } from '@behalf/testing'
import { describe, expect, test } from 'vitest'

const MAX_ENTRIES = 4

/** @param going how far the clock goes on by itself whenever it is looked at, in milliseconds */
function create(change: (set: RevocationSet, now: () => number) => Partial<RevocationSet> = () => ({}), going = 0) {
  return (): RevocationsUnderTest => {
    let time = 1_790_000_000_000
    const now = () => {
      time += going
      return time
    }
    const set = memoryRevocations({ maxEntries: MAX_ENTRIES, now })
    const base: RevocationSet = {
      add: (entry) => set.add(entry),
      find: (key) => set.find(key),
      get version() {
        return set.version
      },
      wholeAt: (at) => set.wholeAt(at),
    }
    const changed = Object.defineProperties(base, Object.getOwnPropertyDescriptors(change(set, now)))
    return {
      replicas: [changed],
      maxEntries: MAX_ENTRIES,
      now,
      pass(until) {
        if (going > 0 && until - time > 60_000) throw new Error('nobody can wait for so long')
        time = Math.max(time, until)
      },
    }
  }
}

describe.each([0, 1])('with a clock that goes on by %s when it is looked at', (going) => {
  describe('memoryRevocations()', () => {
    for (const { name, run } of revocationContract(create(undefined, going))) test(name, run)
  })

  describe('a set that forgets whatever has ended', () => {
    for (const { name, run } of revocationContract(create(forgettingOnTime, going))) test(name, run)
  })
})

describe('two replicas, of which one hears late of what the other is told, and says so', () => {
  const cases = revocationContract(() => {
    const under = create()()
    return { ...under, replicas: under.replicas.flatMap((set) => twoOf(set, under.now)) }
  })
  for (const { name, run } of cases) test(name, run)
})

function twoOf(set: RevocationSet, now: () => number): readonly RevocationSet[] {
  const copy = memoryRevocations({ maxEntries: MAX_ENTRIES, now })
  const unheard: RevocationEntry[] = []
  const add: RevocationSet['add'] = (entry) => {
    set.add(entry)
    unheard.push(entry)
  }
  const hear = () => {
    for (const entry of unheard.splice(0)) copy.add(entry)
  }
  const late: RevocationSet = {
    add(entry) {
      add(entry)
      hear()
    },
    find: (key) => copy.find(key),
    get version() {
      return copy.version
    },
    wholeAt(time) {
      if (unheard.length === 0) return time
      hear()
      return time - 1
    },
  }
  return [Object.create(set, { add: { value: add } }) as RevocationSet, late]
}

/** Names of the promises that a set breaks. */
async function broken(...of: Parameters<typeof create>): Promise<readonly string[]> {
  const names: string[] = []
  for (const { name, run } of revocationContract(create(...of))) {
    await run().catch(() => names.push(name))
  }
  return names
}

/** A set that keeps the last entry of a key, instead of joining them. */
function forgetful(): Partial<RevocationSet> {
  const entries = new Map<string, RevocationEntry>()
  let version = 0
  return {
    add(entry) {
      entries.set(entry.key, entry)
      version++
    },
    find: (key) => entries.get(key),
    get version() {
      return version
    },
  }
}

describe('a set that breaks a promise is found out', () => {
  test.each<[string, Parameters<typeof create>[0], RegExp]>([
    ['finds nothing', () => ({ find: () => undefined }), /knows at once/],
    [
      'finds everything',
      (set) => ({ find: (key) => set.find(key) ?? { key, issuedUntilSeconds: null, keepUntil: 0 } }),
      /nothing else/,
    ],
    ['takes nothing', () => ({ add() {} }), /knows at once/],
    ['is sure of what is to come', () => ({ wholeAt: (now) => now + 1 }), /never sure/],
    ['keeps the last', forgetful, /^joins/],
    ['never changes its version', () => ({ version: 1 }), /version/],
    ['takes everything', forgetful, /no room/],
    ['refuses without saying why', (set) => ({ add: refusing(set, new Error('full')) }), /no room/],
    ['drops what it has no room for', (set) => ({ add: refusing(set, null) }), /no room/],
    ['forgets early', (set, now) => forgettingEarly(set, now, 1_000), /^forgets nothing before its time$/],
    ['forgets a little early', (set, now) => forgettingEarly(set, now, 3_599_998), /^forgets nothing before its time$/],
    ['forgets with what ends', (set) => forgettingWithOthers(set), /^forgets nothing before its time, though others/],
    ['makes no room', (set) => ({ add: hoarding(set) }), /in place of what has ended/],
    ['is never ready', () => ({ ready: () => Promise.reject(new Error('never')) }), /is ready/],
    ['is ready before it knows anything', (_set, now) => knowingLater(now), /is ready/],
    ['closes once', () => closingOnce(), /closes twice/],
  ])('%s', async (_name, change, promise) => {
    const names = await broken(change)
    expect(names.some((name) => promise.test(name))).toBe(true)
  })

  test('forgets early, by a clock that nobody can put forward for an hour', async () => {
    const names = await broken((set, now) => forgettingEarly(set, now, 1_000), 1)
    expect(names).toEqual(expect.arrayContaining([expect.stringMatching(/^forgets nothing before its time$/)]))
  })
})

/** Finds nothing any more so many milliseconds after it was added. */
function forgettingEarly(set: RevocationSet, now: () => number, milliseconds: number): Partial<RevocationSet> {
  const added = new Map<string, number>()
  return {
    add(entry) {
      added.set(entry.key, now())
      return set.add(entry)
    },
    find: (key) => (now() - (added.get(key) ?? 0) > milliseconds ? undefined : set.find(key)),
  }
}

function forgettingOnTime(set: RevocationSet, now: () => number): Partial<RevocationSet> {
  return {
    find(key) {
      const entry = set.find(key)
      return entry !== undefined && now() < entry.keepUntil ? entry : undefined
    },
  }
}

/** Drops everything where an entry has ended and another one needs its room. */
function forgettingWithOthers(set: RevocationSet): Partial<RevocationSet> {
  const keys: string[] = []
  return {
    add(entry) {
      if (!keys.includes(entry.key)) keys.push(entry.key)
      return set.add(entry)
    },
    find: (key) => (keys.length > MAX_ENTRIES && keys.indexOf(key) < MAX_ENTRIES ? undefined : set.find(key)),
  }
}

function refusing(set: RevocationSet, instead: Error | null): RevocationSet['add'] {
  return (entry) => {
    try {
      set.add(entry)
    } catch {
      if (instead !== null) throw instead
    }
  }
}

function hoarding(set: RevocationSet): RevocationSet['add'] {
  const keys = new Set<string>()
  return (entry) => {
    if (keys.size >= MAX_ENTRIES && !keys.has(entry.key))
      throw Object.assign(new Error('full'), { name: 'RevocationError', code: 'full' })
    keys.add(entry.key)
    return set.add(entry)
  }
}

function closingOnce(): Partial<RevocationSet> {
  let closed = false
  return {
    async close() {
      if (closed) throw new Error('closed')
      closed = true
    },
  }
}

/** Knows everything when it is asked for the second time. */
function knowingLater(now: () => number): Partial<RevocationSet> {
  let asked = 0
  return { wholeAt: () => (asked++ === 0 ? Number.NEGATIVE_INFINITY : now()) }
}
