/** The contract of every set of revocations: held by the one in memory, and not by sets that break one promise each. */
import { memoryRevocations, type RevocationEntry, type RevocationSet } from '@behalf/core'
import { type RevocationsUnderTest, revocationContract } from '@behalf/testing'
import { describe, expect, test } from 'vitest'

const MAX_ENTRIES = 4

function create(change: (set: RevocationSet, now: () => number) => Partial<RevocationSet> = () => ({})) {
  return (): RevocationsUnderTest => {
    let time = 1_790_000_000_000
    const now = () => time
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
        time = Math.max(time, until)
      },
    }
  }
}

describe('memoryRevocations()', () => {
  for (const { name, run } of revocationContract(create())) test(name, run)
})

/** Names of the promises that a set breaks. */
async function broken(change: Parameters<typeof create>[0]): Promise<readonly string[]> {
  const names: string[] = []
  for (const { name, run } of revocationContract(create(change))) {
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
    ['makes no room', (set) => ({ add: hoarding(set) }), /in place of what has ended/],
    ['is never ready', () => ({ ready: () => Promise.reject(new Error('never')) }), /is ready/],
    ['is ready before it knows anything', (_set, now) => knowingLater(now), /is ready/],
    ['closes once', () => closingOnce(), /closes twice/],
  ])('%s', async (_name, change, promise) => {
    const names = await broken(change)
    expect(names.some((name) => promise.test(name))).toBe(true)
  })
})

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
