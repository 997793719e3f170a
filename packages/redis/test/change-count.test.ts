/** Nothing is missed without being noticed: whatever messages say, and in whatever order they come beside what is read. */
import { describe, expect, test } from 'vitest'
import { ChangeCount } from '../src/change-count.js'

type Step = readonly ['heard' | 'reading', epoch: string, ...counts: readonly number[]]

function after(...steps: readonly Step[]): ChangeCount {
  const changes = new ChangeCount()
  for (const [kind, epoch, one = 0, other = 0] of steps) {
    if (kind === 'heard') changes.heard(epoch, one, other)
    else changes.reading(epoch, one)
  }
  return changes
}

describe('holds()', () => {
  test.each<[string, readonly Step[], number]>([
    ['what was read', [['reading', 'a', 5]], 5],
    ['what was read, and nothing was there', [['reading', 'a', 0]], 0],
    [
      'what was heard after it',
      [
        ['reading', 'a', 5],
        ['heard', 'a', 5, 8],
        ['heard', 'a', 8, 9],
      ],
      9,
    ],
    [
      'what was heard beyond the question',
      [
        ['reading', 'a', 5],
        ['heard', 'a', 5, 9],
      ],
      7,
    ],
    [
      'what was heard before it was read',
      [
        ['heard', 'a', 3, 5],
        ['reading', 'a', 5],
      ],
      5,
    ],
    [
      'what was heard before its answer came',
      [
        ['heard', 'a', 5, 6],
        ['heard', 'a', 6, 7],
        ['reading', 'a', 5],
      ],
      7,
    ],
    [
      'what was read, though it is heard late',
      [
        ['reading', 'a', 5],
        ['heard', 'a', 3, 4],
      ],
      5,
    ],
    [
      'what was heard late',
      [
        ['reading', 'a', 5],
        ['heard', 'a', 3, 4],
        ['heard', 'a', 4, 5],
        ['heard', 'a', 5, 6],
      ],
      6,
    ],
  ])('%s', (_name, steps, count) => {
    expect(after(...steps).holds('a', count)).toBe(true)
  })

  test.each<[string, readonly Step[], string, number]>([
    ['nothing, before anything was read', [], 'a', 0],
    ['one more than was read', [['reading', 'a', 5]], 'a', 6],
    [
      'one more than was heard',
      [
        ['reading', 'a', 5],
        ['heard', 'a', 5, 6],
      ],
      'a',
      7,
    ],
    ['another epoch', [['reading', 'a', 5]], 'b', 5],
    [
      'what came after a gap',
      [
        ['reading', 'a', 5],
        ['heard', 'a', 6, 7],
      ],
      'a',
      7,
    ],
    [
      'what came after a gap, and then what was missing',
      [
        ['reading', 'a', 5],
        ['heard', 'a', 6, 7],
        ['heard', 'a', 5, 6],
      ],
      'a',
      7,
    ],
    [
      'what came of another epoch',
      [
        ['reading', 'a', 5],
        ['heard', 'b', 5, 6],
      ],
      'a',
      5,
    ],
    [
      'what came of another epoch before it was read',
      [
        ['heard', 'b', 0, 6],
        ['reading', 'a', 5],
      ],
      'a',
      5,
    ],
    [
      'what came after a gap before it was read',
      [
        ['heard', 'a', 6, 7],
        ['reading', 'a', 5],
      ],
      'a',
      7,
    ],
    [
      'a gap among what came before it was read',
      [
        ['heard', 'a', 3, 4],
        ['heard', 'a', 5, 6],
        ['reading', 'a', 6],
      ],
      'a',
      6,
    ],
  ])('not %s', (_name, steps, epoch, count) => {
    expect(after(...steps).holds(epoch, count)).toBe(false)
  })

  test.each<[string, boolean, readonly Step[]]>([
    [
      'of the one that was read',
      false,
      [
        ['reading', 'a', 5],
        ['heard', 'a', 6, 7],
      ],
    ],
    [
      'of another one, before that was read',
      false,
      [
        ['heard', 'b', 5, 6],
        ['reading', 'a', 5],
      ],
    ],
    [
      'of another one',
      true,
      [
        ['reading', 'a', 5],
        ['heard', 'b', 5, 6],
        ['heard', 'a', 5, 6],
      ],
    ],
  ])('what came %s has strayed: %s', (_name, strayed, steps) => {
    expect(after(...steps).strayed).toBe(strayed)
  })

  test('not less than there was', () => {
    const changes = after(['reading', 'a', 5], ['heard', 'a', 5, 7])
    expect([changes.holds('a', 6), changes.holds('a', 7), changes.holds('a', 6)]).toEqual([true, true, false])
  })

  test('not what could not be taken', () => {
    const changes = after(['reading', 'a', 5])
    changes.miss()
    expect(changes.holds('a', 5)).toBe(false)
  })
})
