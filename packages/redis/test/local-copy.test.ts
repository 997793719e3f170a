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
    copy.take(entry('a', 10, 100), 'e')
    const lacked = copy.lackedBy(new Map(there === null ? [] : [['a', there]]), copy.keys(), 50)
    expect(lacked).toEqual(isLacked ? [entry('a', 10, 100)] : [])
  })

  test('changes its version only where it learns something', () => {
    const copy = new LocalCopy(3, () => 0)
    copy.take(entry('a', 10, 100), 'e')
    const { version } = copy
    for (const known of [entry('a', 10, 100), entry('a', 9, 100), entry('a', 10, 99)]) expect(copy.take(known, 'e')).toBe(true)
    expect(copy.version).toBe(version)
    copy.take(entry('a', 11, 99), 'e')
    expect([copy.version === version, copy.find('a')]).toEqual([false, entry('a', 11, 100)])
  })

  test('says in which epoch Redis had all of it', () => {
    const copy = new LocalCopy(2, () => 0)
    copy.isIn('e') // of nothing
    const homes = [copy.home]
    for (const [key, epoch] of [
      ['a', 'e'],
      ['b', 'e'],
      ['a', 'f'], // nothing new
      ['c', 'f'], // no room
    ] as const) {
      copy.take(entry(key, null, 100), epoch)
      homes.push(copy.home)
    }
    expect(homes).toEqual(['', 'e', 'e', 'e', 'e'])
    expect(['e', 'f'].map((epoch) => copy.mayExceed(epoch))).toEqual([false, true])
    copy.take(entry('a', null, 200), 'f')
    expect(['e', 'f', copy.home].map((epoch) => copy.mayExceed(epoch))).toEqual([true, true, false])
    copy.isIn('f')
    expect(['', 'e', 'f'].map((epoch) => copy.mayExceed(epoch))).toEqual([true, true, false])
  })

  test('says that it has no room, and makes some of what has ended', () => {
    let now = 0
    const copy = new LocalCopy(2, () => now)
    expect(['a', 'b', 'c'].map((key) => copy.take(entry(key, null, 100), 'e'))).toEqual([true, true, false])
    expect(copy.take(entry('a', null, 200), 'e')).toBe(true)
    now = 150
    expect(['c', 'd'].map((key) => copy.take(entry(key, null, 300), 'e'))).toEqual([true, false])
    expect(copy.lackedBy(new Map(), copy.keys(), now)).toEqual([entry('a', null, 200), entry('c', null, 300)])
    expect(copy.lackedBy(new Map(), copy.keys(), 200)).toEqual([entry('c', null, 300)])
  })
})
