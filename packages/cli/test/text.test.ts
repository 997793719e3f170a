import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { escapeJson, escapeText, isolated } from '../src/text/escape-text.js'
import { hideTokens } from '../src/text/hide-tokens.js'
import { parseSince } from '../src/text/parse-since.js'
import { numericDate, relativeTime } from '../src/text/relative-time.js'
import { createStyle } from '../src/text/style.js'
import { cutToWidth, padToWidth, textWidth } from '../src/text/text-width.js'
import { HOSTILE, isHarmless } from './support/hostile.js'
import { NOW } from './support/run-command.js'

describe('texts of others', () => {
  it('the test itself sees what is hostile', () => {
    expect(HOSTILE.filter((text) => text !== 'two  spaces').every((text) => !isHarmless(text))).toBe(true)
    expect(isHarmless('Ünïcødé 名前 שלום, ok.')).toBe(true)
  })

  it.each(HOSTILE.map((text) => [JSON.stringify(text), text]))('%s is escaped', (_, text) => {
    const escaped = escapeText(text)
    expect(escaped).not.toBe(text)
    expect(isHarmless(escaped)).toBe(true)
    expect(escaped).not.toMatch(/ {2}/)
  })

  it('says what was there', () => {
    expect(escapeText('\u001b[2J')).toBe('\\u{1b}[2J')
    expect(escapeText('a\\u{1b}')).toBe('a\\\\u{1b}')
    expect(escapeText('a  b ')).toBe('a \\u{20}b\\u{20}')
    expect(escapeText('\u{e0041}')).toBe('\\u{e0041}')
  })

  it('plain text of any script is left as it is', () => {
    for (const text of ['support-1', 'Zoë Müller', '山田 太郎', 'שרה', 'e\u0301te', 'https://as.example/x?y=1', '🙂']) {
      expect(escapeText(text)).toBe(text)
    }
  })

  it('any text comes out harmless, and two texts never as one', () => {
    const unit = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 6 }),
      fc.constantFrom(...HOSTILE, '\\', ' ', '  ', '\\u{20}', 'a'),
    )
    const text = fc.array(unit, { maxLength: 4 }).map((parts) => parts.join(''))
    fc.assert(
      fc.property(text, text, (one, other) => {
        expect(isHarmless(escapeText(one))).toBe(true)
        if (one !== other) expect(escapeText(one)).not.toBe(escapeText(other))
      }),
      { numRuns: 3000, seed: 7 },
    )
  })

  it('JSON stays the same value', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 3 }), fc.constantFrom(...HOSTILE), (value, hostile) => {
        const json = JSON.stringify({ value, hostile, [hostile]: 1 })
        expect(JSON.parse(escapeJson(json))).toEqual(JSON.parse(json))
        expect(isHarmless(escapeJson(json))).toBe(true)
      }),
      { numRuns: 500, seed: 7 },
    )
  })

  it('text from right to left keeps to its cell', () => {
    expect(isolated('שרה 1')).toBe('\u2068שרה 1\u2069')
    expect(isolated('sara 1')).toBe('sara 1')
  })

  it.each(['eyJhbGciOiJub25lIn0.eyJzdWIiOiJhIn0.c2ln', 'eyJhbGciOiJub25lIn0.eyJzdWIiOiJhIn0.', 'eyJhbGciOiJub25lIn0.a.b.c.d'])(
    'the token %s is hidden wherever it stands',
    (token) => {
      expect(hideTokens(`before ${token}, after`)).toBe('before (a token, not shown), after')
    },
  )
})

describe('widths', () => {
  it.each([
    ['plain', 5],
    ['名前', 4],
    ['ｆｕｌｌ', 8],
    ['한국', 4],
    ['e\u0301', 1],
    ['🙂', 2],
    ['\u2068שרה\u2069', 3],
    ['𠀀', 2],
    ['—…', 2],
  ])('%s takes %i columns', (text, width) => {
    expect(textWidth(text)).toBe(width)
  })

  it('cuts between characters, and never beyond', () => {
    expect(cutToWidth('名前です', 8)).toBe('名前です')
    expect(cutToWidth('名前です', 7)).toBe('名前で…')
    expect(cutToWidth('名前です', 6)).toBe('名前…')
    expect(cutToWidth('support-1', 5)).toBe('supp…')
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', maxLength: 30 }), fc.integer({ min: 1, max: 40 }), (text, columns) => {
        const escaped = escapeText(text)
        expect(textWidth(cutToWidth(escaped, columns))).toBeLessThanOrEqual(columns)
        expect(textWidth(padToWidth(cutToWidth(escaped, columns), columns))).toBe(columns)
      }),
      { numRuns: 1000, seed: 7 },
    )
  })
})

describe('times', () => {
  it.each([
    [0, 'now'],
    [999, 'now'],
    [1000, 'in 1 second'],
    [-59_999, '59 seconds ago'],
    [-60_000, '1 minute ago'],
    [3_600_000 * 2, 'in 2 hours'],
    [-86_400_000 * 3.5, '3 days ago'],
  ])('%i ms from now is %s', (distance, words) => {
    expect(relativeTime(NOW + distance, NOW)).toBe(words)
  })

  it.each([['1'], [null], [1e300], [Number.NaN], [{}]])('%j is no time', (value) => {
    expect(numericDate(value, NOW)).toBeNull()
  })

  it.each([
    ['90s', NOW - 90_000],
    ['30m', NOW - 1_800_000],
    ['2h', NOW - 7_200_000],
    ['3d', NOW - 259_200_000],
    ['1w', NOW - 604_800_000],
    ['2026-09-21', Date.UTC(2026, 8, 21)],
    ['2026-09-21T13:00', Date.UTC(2026, 8, 21, 13)],
    ['2026-09-21T13:00:05.25', Date.UTC(2026, 8, 21, 13, 0, 5, 250)],
    ['2026-09-21T13:00:00Z', Date.UTC(2026, 8, 21, 13)],
    ['2026-09-21T13:00:00+02:00', Date.UTC(2026, 8, 21, 11)],
  ])('--since %s', (text, expected) => {
    expect(parseSince(text, NOW)).toBe(expected)
  })

  it.each(['', 'yesterday', '2 h', '-2h', '2y', '2026-02-30', '2026-13-01', '2026-09-21T25:00Z', '21.09.2026', '1790000000'])(
    '--since %j is refused',
    (text) => {
      expect(() => parseSince(text, NOW)).toThrow('--since must be an age')
    },
  )
})

describe('colours', () => {
  const styled = (env: Record<string, string>, stdout: boolean) =>
    createStyle({ env, isTTY: { stdin: false, stdout, stderr: false } }, 'stdout')('red', 'x') !== 'x'

  it.each([
    [{}, true, true],
    [{}, false, false],
    [{ NO_COLOR: '1' }, true, false],
    [{ NO_COLOR: '' }, true, true],
    [{ TERM: 'dumb' }, true, false],
    [{ FORCE_COLOR: '1' }, false, true],
    [{ FORCE_COLOR: '' }, false, true],
    [{ FORCE_COLOR: '0' }, true, false],
    [{ FORCE_COLOR: '1', NO_COLOR: '1' }, false, true],
  ])('%j on a terminal %j: %j', (env, tty, expected) => {
    expect(styled(env, tty)).toBe(expected)
  })
})
