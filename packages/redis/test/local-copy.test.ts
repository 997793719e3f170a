/** What a replica keeps of a shared set, and what it would write back. */
import type { RevocationEntry } from '@behalf/core'
import { describe, expect, test } from 'vitest'
import { LocalCopy } from '../src/local-copy.js'

function entry(key: string, issuedUntilSeconds: number | null, keepUntil: number): RevocationEntry {
  return { key, issuedUntilSeconds, keepUntil }
}

describe('LocalCopy', () => {
  test.each<[string, RevocationEntry | null, boolean]>([
    ['nothing', null, true],
    ['the same', entry('a', 10, 100), false],
    ['more: a later time', entry('a', 11, 100), false],
    ['more: every token', entry('a', null, 100), false],
    ['more: a later end', entry('a', 10, 101), false],
    ['less: an earlier time', entry('a', 9, 100), true],
    ['less: an earlier end', entry('a', 10, 99), true],
    ['less, though for longer', entry('a', 9, 200), true],
    ['more, but not for as long', entry('a', null, 99), true],
  ])('where Redis has %s', (_name, there, isLacked) => {
    const copy = new LocalCopy(3, () => 0)
    copy.take(entry('a', 10, 100))
    const lacked = copy.lackedBy(new Map(there === null ? [] : [['a', there]]), copy.keys(), 50)
    expect(lacked).toEqual(isLacked ? [entry('a', 10, 100)] : [])
  })

  test('changes its version only where it learns something', () => {
    const copy = new LocalCopy(3, () => 0)
    copy.take(entry('a', 10, 100))
    const { version } = copy
    for (const known of [entry('a', 10, 100), entry('a', 9, 100), entry('a', 10, 99)]) expect(copy.take(known)).toBe(true)
    expect(copy.version).toBe(version)
    copy.take(entry('a', 11, 99))
    expect([copy.version === version, copy.find('a')]).toEqual([false, entry('a', 11, 100)])
  })

  test('says that it has no room, and makes some of what has ended', () => {
    let now = 0
    const copy = new LocalCopy(2, () => now)
    expect(['a', 'b', 'c'].map((key) => copy.take(entry(key, null, 100)))).toEqual([true, true, false])
    expect(copy.take(entry('a', null, 200))).toBe(true)
    now = 150
    expect(['c', 'd'].map((key) => copy.take(entry(key, null, 300)))).toEqual([true, false])
    expect(copy.lackedBy(new Map(), copy.keys(), now)).toEqual([entry('a', null, 200), entry('c', null, 300)])
    expect(copy.lackedBy(new Map(), copy.keys(), 200)).toEqual([entry('c', null, 300)])
  })
})
