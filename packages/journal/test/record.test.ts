import { createHash } from 'node:crypto'
import { testEvent } from '@behalf/testing'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { canonicalJson } from '../src/format/canonical-json.js'
import { encodeRecord, faultOf, GENESIS, parseRecord, RECORD_KINDS, type RecordKind } from '../src/format/record.js'
import { firstSequenceOf, segmentName } from '../src/format/segment-names.js'

const PREV = createHash('sha256').update('before').digest('base64url')
const BODIES: Partial<Record<RecordKind, unknown>> = { checkpoint: 'a note\n', event: testEvent() }
const bodyOf = (kind: RecordKind): unknown => BODIES[kind] ?? { time: '2026-09-21T13:33:20.000Z' }
const lineOf = (kind: RecordKind, seq = 12): string => encodeRecord(kind, canonicalJson(bodyOf(kind)), seq, PREV).line

/** A line with its own hash made to hold, whatever stands before it. */
function sealed(head: string | Buffer): Buffer {
  const bytes = Buffer.from(head)
  return Buffer.concat([bytes, Buffer.from(`,"sha256":"${createHash('sha256').update(bytes).digest('base64url')}"}`)])
}

describe('canonicalJson', () => {
  it('sorts members by UTF-16 code units, as the example of RFC 8785 3.2.3 does', () => {
    const example = {
      '\u20ac': 'Euro Sign',
      '\r': 'Carriage Return',
      '\ufb33': 'Hebrew Letter Dalet With Dagesh',
      1: 'One',
      '\ud83d\ude00': 'Emoji: Grinning Face',
      '\u0080': 'Control',
      '\u00f6': 'Latin Small Letter O With Diaeresis',
    }
    expect(Object.values(JSON.parse(canonicalJson(example)))).toEqual([
      'One',
      'Carriage Return',
      'Control',
      'Latin Small Letter O With Diaeresis',
      'Euro Sign',
      'Emoji: Grinning Face',
      'Hebrew Letter Dalet With Dagesh',
    ])
  })

  it('writes the numbers, strings and literals of RFC 8785 3.2.2', () => {
    const example = {
      numbers: [Number('333333333.33333329'), 1e30, 4.5, 2e-3, 0.000000000000000000000000001, -0],
      string: '\u20ac$\u000F\u000aA\'\u0042\u0022\u005c\\"/',
      literals: [null, true, false],
    }
    expect(canonicalJson(example)).toBe(
      String.raw`{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27,0],"string":"€$\u000f\nA'B\"\\\\\"/"}`,
    )
  })

  it('sorts at every depth, and leaves lists in their order', () => {
    expect(canonicalJson({ b: [{ d: 1, c: [3, 1, 2] }], a: {} })).toBe('{"a":{},"b":[{"c":[3,1,2],"d":1}]}')
    expect(canonicalJson([[], {}, [1]])).toBe('[[],{},[1]]')
  })

  it('escapes lone surrogates, and nothing that is a pair', () => {
    expect(canonicalJson(['\ud800', '\udfff', '\ud83d\ude00'])).toBe('["\\ud800","\\udfff","\ud83d\ude00"]')
  })

  it('takes members without a prototype, and names that objects have anyway', () => {
    const members = Object.assign(Object.create(null), { z: 1, constructor: 2 })
    expect(canonicalJson(members)).toBe('{"constructor":2,"z":1}')
    expect(canonicalJson(JSON.parse('{"__proto__":1,"a":2}'))).toBe('{"__proto__":1,"a":2}')
  })

  it.each([
    ['undefined', undefined, 'undefined'],
    ['a member that is undefined', { a: undefined }, 'undefined'],
    ['a hole in a list', new Array(2), 'undefined'],
    ['NaN', { a: Number.NaN }, 'not finite'],
    ['an infinity', [Number.NEGATIVE_INFINITY], 'not finite'],
    ['a bigint', { a: 1n }, 'a bigint'],
    ['a function', { toJSON: (): string => 'x' }, 'a function'],
    ['a symbol', [Symbol('x')], 'a symbol'],
    ['a date', { time: new Date(0) }, 'of a class'],
    ['a map', new Map(), 'of a class'],
    ['a buffer', Buffer.from('x'), 'of a class'],
  ])('refuses %s', (_, value, message) => {
    expect(() => canonicalJson(value)).toThrow(TypeError)
    expect(() => canonicalJson(value)).toThrow(message)
  })

  it('refuses what is nested too deep, and what holds itself', () => {
    const nested = (depth: number): unknown => (depth === 0 ? 1 : [nested(depth - 1)])
    expect(canonicalJson(nested(100))).toBe(`${'['.repeat(100)}1${']'.repeat(100)}`)
    expect(() => canonicalJson(nested(101))).toThrow('nested deeper')
    const loop: Record<string, unknown> = {}
    loop['loop'] = loop
    expect(() => canonicalJson(loop)).toThrow('nested deeper')
  })

  it('gives for any JSON value what JSON.parse reads back, always the same, and independent of the order of members', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const text = canonicalJson(value)
        expect(JSON.parse(text)).toEqual(JSON.parse(JSON.stringify(value)))
        expect(canonicalJson(turnedRound(value))).toBe(text)
        expect(canonicalJson(JSON.parse(text))).toBe(text)
      }),
      { seed: 8785 },
    )
  })

  it('does not mix up objects whose names only look alike', () => {
    for (let n = 0; n < 40; n++) expect(canonicalJson({ [`b${n}`]: 1, a: n })).toBe(`{"a":${n},"b${n}":1}`)
    expect(canonicalJson({ b: 1, a: 2 })).toBe(canonicalJson({ a: 2, b: 1 }))
  })
})

function turnedRound(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(turnedRound)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value)
      .reverse()
      .map(([name, member]) => [name, turnedRound(member)]),
  )
}

describe('records', () => {
  it.each(RECORD_KINDS)('of kind %s are read as they were written', (kind) => {
    const { line, sha256 } = encodeRecord(kind, canonicalJson(bodyOf(kind)), 12, PREV)
    expect(parseRecord(Buffer.from(line))).toEqual({
      seq: 12,
      kind,
      body: JSON.parse(JSON.stringify(bodyOf(kind))),
      prev: PREV,
      sha256,
    })
    const { [kind]: body, seq, prev } = JSON.parse(line)
    expect({ body, seq, prev }).toEqual({ body: JSON.parse(JSON.stringify(bodyOf(kind))), seq: 12, prev: PREV })
  })

  it('hash exactly the bytes before their own hash', () => {
    const line = lineOf('event')
    const head = line.slice(0, line.lastIndexOf(',"sha256":"'))
    expect(line).toBe(`${head},"sha256":"${createHash('sha256').update(head).digest('base64url')}"}`)
  })

  it.each(RECORD_KINDS)('are canonical as a whole, whatever they are about: %s', (kind) => {
    expect(canonicalJson(JSON.parse(lineOf(kind)))).toBe(lineOf(kind))
  })

  it('are read from any view of memory', () => {
    const line = Buffer.from(`xx${lineOf('event')}yy`)
    expect(parseRecord(new Uint8Array(line.buffer, line.byteOffset + 2, line.length - 4))?.seq).toBe(12)
  })

  it.each([0, 1, 10, Number.MAX_SAFE_INTEGER])('can have the sequence %d', (seq) => {
    expect(parseRecord(Buffer.from(encodeRecord('end', '{}', seq, GENESIS).line))?.seq).toBe(seq)
    expect(parseRecord(Buffer.from(encodeRecord('event', '{}', seq, GENESIS).line))?.seq).toBe(seq)
  })

  it('are not read when any one byte is another', () => {
    for (const kind of RECORD_KINDS) {
      const line = Buffer.from(lineOf(kind))
      for (let at = 0; at < line.length; at++) {
        const edited = Buffer.from(line)
        edited[at] = (edited[at] as number) ^ 1
        expect(parseRecord(edited), `${kind} at ${at}`).toBeNull()
      }
    }
  })

  it('are not read when cut, or with anything before or after them', () => {
    const line = lineOf('segment')
    for (let length = 0; length < line.length; length++) expect(parseRecord(Buffer.from(line.slice(0, length)))).toBeNull()
    for (const extra of [`${line} `, ` ${line}`, `${line}\n`, `${line}\r`, line + line])
      expect(parseRecord(Buffer.from(extra))).toBeNull()
  })

  const hash = `"${PREV}"`
  it.each([
    ['an unknown kind', `{"gossip":{},"prev":${hash},"seq":1`],
    ['no kind', `{"prev":${hash},"seq":1`],
    ['two kinds', `{"event":{},"gap":{},"prev":${hash},"seq":1`],
    ['a kind before prev that belongs after it', `{"segment":{},"prev":${hash},"seq":1`],
    ['a kind after prev that belongs before it', `{"prev":${hash},"event":{},"seq":1`],
    ['members in another order', `{"event":{},"seq":1,"prev":${hash}`],
    ['a further member', `{"event":{},"note":1,"prev":${hash},"seq":1`],
    ['white space between members', `{"event":{}, "prev":${hash},"seq":1`],
    ['white space around the body', `{"event": {},"prev":${hash},"seq":1`],
    ['a body that is no JSON', `{"event":{x},"prev":${hash},"seq":1`],
    ['a body that is a list', `{"event":[],"prev":${hash},"seq":1`],
    ['a body that is null', `{"event":null,"prev":${hash},"seq":1`],
    ['an event that is a string', `{"event":"x","prev":${hash},"seq":1`],
    ['a checkpoint that is an object', `{"checkpoint":{},"prev":${hash},"seq":1`],
    ['a checkpoint of two strings', `{"checkpoint":"a","b":"c","prev":${hash},"seq":1`],
    ['no prev', `{"event":{},"seq":1`],
    ['a prev of 42 characters', `{"event":{},"prev":"${PREV.slice(1)}","seq":1`],
    ['a prev that is not in canonical base64url', `{"event":{},"prev":"${PREV.slice(0, 42)}B","seq":1`],
    ['a prev in base64', `{"event":{},"prev":"+${PREV.slice(1)}","seq":1`],
    ['no seq', `{"event":{},"prev":${hash}`],
    ['an empty seq', `{"event":{},"prev":${hash},"seq":`],
    ['a seq with a leading zero', `{"event":{},"prev":${hash},"seq":01`],
    ['a negative seq', `{"event":{},"prev":${hash},"seq":-1`],
    ['a seq with a fraction', `{"event":{},"prev":${hash},"seq":1.0`],
    ['a seq with an exponent', `{"event":{},"prev":${hash},"seq":1e3`],
    ['a seq in quotes', `{"event":{},"prev":${hash},"seq":"1"`],
    ['a seq beyond the safe integers', `{"event":{},"prev":${hash},"seq":9007199254740992`],
    ['a seq of 17 digits', `{"event":{},"prev":${hash},"seq":10000000000000000`],
  ])('are not read with %s, although their hash holds', (_, head) => {
    expect(parseRecord(sealed(`{"event":{},"prev":${hash},"seq":1`))).not.toBeNull()
    expect(parseRecord(sealed(head))).toBeNull()
    expect(faultOf(sealed(head))).toBe('line_malformed')
  })

  it('are not read with bytes that are no UTF-8, although their hash holds', () => {
    const good = Buffer.from(`{"event":{"a":"é"},"prev":${hash},"seq":1`)
    expect(parseRecord(sealed(good))).not.toBeNull()
    const bad = Buffer.from(good)
    bad[good.indexOf(0xc3)] = 0x41
    expect(parseRecord(sealed(bad))).toBeNull()
  })

  it('tell a hash that does not hold from what is no record', () => {
    const line = lineOf('event')
    expect(faultOf(Buffer.from(line.replace('user-1', 'user-2')))).toBe('hash_mismatch')
    expect(faultOf(Buffer.from(line.slice(0, -1)))).toBe('line_malformed')
    expect(faultOf(Buffer.from(''))).toBe('line_malformed')
  })

  it('never make the parser throw, whatever the bytes are', () => {
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 200 }),
      fc.string({ maxLength: 200 }).map((text) => sealed(text)),
    )
    fc.assert(fc.property(bytes, (each) => parseRecord(each) === null))
  })
})

describe('names of segments', () => {
  it.each([0, 1, 4711, Number.MAX_SAFE_INTEGER])('say the first sequence: %d', (sequence) => {
    expect(firstSequenceOf(segmentName(sequence))).toBe(sequence)
  })

  it('sort as their sequences do', () => {
    const sequences = [1000, 9, 10, 0, Number.MAX_SAFE_INTEGER, 99]
    expect(sequences.map(segmentName).sort().map(firstSequenceOf)).toEqual(sequences.sort((a, b) => a - b))
  })

  it.each([-1, 1.5, Number.NaN, Number.MAX_SAFE_INTEGER + 1])('are not made of %d', (sequence) => {
    expect(() => segmentName(sequence)).toThrow(RangeError)
  })

  it.each([
    'journal-1.jsonl',
    'journal-00000000000000001.jsonl',
    'journal-000000000000001x.jsonl',
    'journal-0000000000000001.jsonl.bak',
    'journal-0000000000000001.jsonl\n',
    'Journal-0000000000000001.jsonl',
    'a/journal-0000000000000001.jsonl',
    'journal-９999999999999999.jsonl',
    'journal-9007199254740992.jsonl',
    '',
  ])('are nothing else: %j', (name) => {
    expect(firstSequenceOf(name)).toBeNull()
  })
})
