import type { AuditEvent } from '@behalf/core'
import { testEvent } from '@behalf/testing'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { deepFreeze } from '../../testing/src/deep-freeze.js'
import { canonicalJson } from '../src/format/canonical-json.js'
import { encodeRecord, GENESIS, RECORD_KINDS } from '../src/format/record.js'
import { EventText } from '../src/write/event-text.js'
import { LineBuffer } from '../src/write/line-buffer.js'

const json = fc
  .jsonValue({ maxDepth: 3 })
  .map((value) => (typeof value === 'object' && value !== null ? deepFreeze(value) : value))

test('events have the text that canonicalJson() gives them, also when their parts come again', () => {
  const text = new EventText()
  fc.assert(
    fc.property(fc.array(json, { minLength: 1, maxLength: 4 }), fc.dictionary(fc.string(), json), (parts, others) => {
      for (let times = 0; times < 2; times++) {
        for (const part of parts) {
          const event = { ...others, subject: part, actor: parts[0], token: part, scopes: part } as unknown as AuditEvent
          expect(text.of(event)).toBe(canonicalJson(event))
        }
      }
    }),
  )
  const event = testEvent()
  expect([text.of(event), text.of(testEvent({ ...event }))]).toEqual([canonicalJson(event), canonicalJson(event)])
})

test.each<[string, (token: AuditEvent['token']) => object]>([
  ['that is not frozen', (token) => ({ ...token })],
  ['of which only the surface is frozen', (token) => Object.freeze({ ...token, inner: { id: 'before' } })],
])('a part %s is read anew each time', (_, copyOf) => {
  const text = new EventText()
  const token = copyOf(testEvent().token) as { id?: string; inner?: { id: string } }
  const event = { ...testEvent(), token } as unknown as AuditEvent
  const before = text.of(event)
  if (token.inner === undefined) token.id = 'after'
  else token.inner.id = 'after'
  expect(text.of(event)).not.toBe(before)
  expect(text.of(event)).toBe(canonicalJson(event))
})

test('remembers some thousand tokens, and no more', () => {
  const text = new EventText()
  const first = testEvent()
  text.of(first)
  for (let count = 0; count < 10_000; count++) {
    const each = testEvent({ rule: String(count) })
    if (count % 1_000 === 0) expect(text.of(each)).toBe(canonicalJson(each))
    else text.of(each)
  }
  expect(text.rememberedParts).toBeLessThanOrEqual(10_000)
  expect(text.rememberedParts).toBeGreaterThan(1_000)
})

test('the same errors as canonicalJson()', () => {
  const text = new EventText()
  for (const broken of [{ subject: { id: undefined } }, { rule: Number.NaN }, { token: Object.freeze({ id: 1n }) }]) {
    expect(() => text.of({ ...testEvent(), ...broken } as unknown as AuditEvent)).toThrow(TypeError)
  }
})

test('lines in a buffer are what encodeRecord() makes, whatever they hold and however long they are', () => {
  const lines = new LineBuffer()
  fc.assert(
    fc.property(
      fc.array(
        fc.record({ kind: fc.constantFrom(...RECORD_KINDS), body: fc.jsonValue(), size: fc.integer({ min: 0, max: 40_000 }) }),
        {
          maxLength: 6,
        },
      ),
      (records) => {
        lines.clear()
        let prev = GENESIS
        let expected = ''
        for (const [seq, { kind, body, size }] of records.entries()) {
          const text = canonicalJson({ body, filler: '\u20ac'.repeat(size) })
          const { line, sha256 } = encodeRecord(kind, text, seq, prev)
          expected += `${line}\n`
          expect(lines.add(kind, text, seq, prev)).toBe(sha256)
          prev = sha256
        }
        expect(Buffer.from(lines.bytes).toString('utf8')).toBe(expected)
        expect(lines.length).toBe(Buffer.byteLength(expected))
      },
    ),
    { numRuns: 60 },
  )
})
