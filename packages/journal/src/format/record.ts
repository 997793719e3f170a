import { isUtf8 } from 'node:buffer'
import { hash } from 'node:crypto'
import type { JsonValue } from '@behalf/core'

/**
 * What a record can be about. `event` is one of the core's audit events, `checkpoint` a signed note as text, and everything else
 * is what a journal says of itself.
 */
export type RecordKind = 'checkpoint' | 'end' | 'event' | 'failure' | 'gap' | 'recovery' | 'refusals' | 'retention' | 'segment'

/** Every kind of record, sorted. */
export const RECORD_KINDS: readonly RecordKind[] = Object.freeze([
  'checkpoint',
  'end',
  'event',
  'failure',
  'gap',
  'recovery',
  'refusals',
  'retention',
  'segment',
])

/** `prev` of record 0: 32 zero bytes in base64url. */
export const GENESIS: string = 'A'.repeat(43)

/** One line of a journal, read. */
export interface JournalRecord {
  /** 0, 1, 2, … without a gap over the segments and restarts of one journal. */
  readonly seq: number
  /** What the record is about. */
  readonly kind: RecordKind
  /** A string for `checkpoint`, an object for every other kind. Its members are not checked. */
  readonly body: JsonValue
  /** `sha256` of the record before; {@link GENESIS} for record 0. */
  readonly prev: string
  /** SHA-256 of the line before `,"sha256":"`, base64url without padding, 43 characters. */
  readonly sha256: string
}

/** A record as it is written. */
export interface EncodedRecord {
  /** Without the newline that ends it. */
  readonly line: string
  /** The record's own hash: `prev` of the next one, and its leaf in the Merkle tree. */
  readonly sha256: string
}

/** `,"sha256":"` */
const HASH_MEMBER = ',"sha256":"'
/** Characters of a SHA-256 in base64url without padding. */
const HASH_CHARACTERS = 43
/** From the comma before `"sha256"` to the end of the line. */
const TAIL_BYTES = HASH_MEMBER.length + HASH_CHARACTERS + 2

/**
 * Frames a record: members in canonical order, own hash last.
 * @param canonicalBody what `canonicalJson()` made of the body
 * @param prev `sha256` of the record before; `GENESIS` for record 0
 */
export function encodeRecord(kind: RecordKind, canonicalBody: string, seq: number, prev: string): EncodedRecord {
  const head =
    kind < 'prev'
      ? `{"${kind}":${canonicalBody},"prev":"${prev}","seq":${seq}`
      : `{"prev":"${prev}","${kind}":${canonicalBody},"seq":${seq}`
  const sha256 = hash('sha256', head, 'base64url')
  return { line: `${head}${HASH_MEMBER}${sha256}"}`, sha256 }
}

/** Deeper values are refused: they are no records, and would end the stack. */
const MAX_DEPTH = 100

/**
 * A value as canonical JSON (RFC 8785): members sorted by the UTF-16 code units of their names, no white space, strings and numbers
 * as `JSON.stringify` writes them (which escapes a lone surrogate, where RFC 8785 3.2.2.2 stops).
 * @throws TypeError for everything that JSON has no word for, rather than leaving it out: `undefined`, also as a member; `NaN`
 * and infinities; bigints, functions, symbols; objects of a class; nesting beyond 100
 */
export function canonicalJson(value: unknown): string {
  return canonicalValue(value, MAX_DEPTH)
}

function canonicalValue(value: unknown, depthLeft: number): string {
  switch (typeof value) {
    case 'string':
      return canonicalString(value)
    case 'number':
      if (!Number.isFinite(value)) throw new TypeError('a record cannot hold a number that is not finite')
      return value === 0 ? '0' : `${value}`
    case 'boolean':
      return value ? 'true' : 'false'
    case 'object':
      if (value === null) return 'null'
      if (depthLeft === 0) throw new TypeError(`a record cannot hold values that are nested deeper than ${MAX_DEPTH}`)
      return Array.isArray(value) ? canonicalArray(value, depthLeft - 1) : canonicalObject(value, depthLeft - 1)
    default:
      throw new TypeError(`a record cannot hold ${typeof value === 'undefined' ? 'undefined' : `a ${typeof value}`}`)
  }
}

/** What `JSON.stringify` escapes in a string. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is escaped
const ESCAPED = /["\\\u0000-\u001f\ud800-\udfff]/

function canonicalString(text: string): string {
  return ESCAPED.test(text) ? JSON.stringify(text) : `"${text}"`
}

function canonicalArray(values: readonly unknown[], depthLeft: number): string {
  const { length } = values
  if (length === 0) return '[]'
  let text = `[${canonicalValue(values[0], depthLeft)}`
  for (let index = 1; index < length; index++) text += `,${canonicalValue(values[index], depthLeft)}`
  return `${text}]`
}

function canonicalObject(object: object, depthLeft: number): string {
  const prototype = Object.getPrototypeOf(object)
  if (prototype !== Object.prototype && prototype !== null) throw new TypeError('a record cannot hold an object of a class')
  const keys = Object.keys(object)
  const { length } = keys
  if (length === 0) return '{}'
  const { names, openings } = shapeOf(keys)
  let text = ''
  for (let index = 0; index < length; index++) {
    text += openings[index] as string
    text += canonicalValue((object as Record<string, unknown>)[names[index] as string], depthLeft)
  }
  return `${text}}`
}

/** Objects with the same names in the same order: sorting them and quoting them is half the work, and done once. */
interface Shape {
  readonly keys: readonly string[]
  /** Sorted. */
  readonly names: readonly string[]
  /** What stands before each value: `{"first":`, `,"next":`. */
  readonly openings: readonly string[]
}

/** Shapes by their number of names. Few are kept: records have few shapes, but parties can bring names of their own. */
const shapes = new Map<number, Shape[]>()
const SHAPES_KEPT = 8
const LONGEST_SHAPE_KEPT = 64

function shapeOf(keys: readonly string[]): Shape {
  let known = shapes.get(keys.length)
  if (known !== undefined) for (const shape of known) if (sameNames(shape.keys, keys)) return shape
  const shape = createShape(keys)
  if (keys.length > LONGEST_SHAPE_KEPT) return shape
  if (known === undefined) {
    known = []
    shapes.set(keys.length, known)
  }
  if (known.length === SHAPES_KEPT) known.shift()
  known.push(shape)
  return shape
}

function sameNames(some: readonly string[], others: readonly string[]): boolean {
  for (let index = 0; index < some.length; index++) if (some[index] !== others[index]) return false
  return true
}

function createShape(keys: readonly string[]): Shape {
  const names = [...keys].sort() // by UTF-16 code units
  return { keys, names, openings: names.map((name, index) => `${index === 0 ? '{' : ','}${canonicalString(name)}:`) }
}

const DIGIT_0 = 0x30
const DIGIT_9 = 0x39
const QUOTE = 0x22
const BRACE_OPEN = 0x7b
const BRACE_CLOSE = 0x7d
/** Digits of `Number.MAX_SAFE_INTEGER`. */
const MOST_DIGITS = 16

const SEQ_MEMBER = bytesOf(',"seq":')
const PREV_MEMBER = bytesOf(',"prev":"')
const PREV_FIRST = bytesOf('{"prev":"')
const TAIL_START = bytesOf(HASH_MEMBER)
const BASE64URL_HASH = /^[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]$/

/** How the lines of one kind begin: `{"event":`, or after `prev`: `"segment":`. */
interface Opening {
  readonly kind: RecordKind
  readonly first: boolean
  readonly bytes: Buffer
  /** Byte with which the body begins and ends. */
  readonly open: number
  readonly close: number
}

const OPENINGS: readonly Opening[] = ['event' as const, ...RECORD_KINDS.filter((kind) => kind !== 'event')].map((kind) => ({
  kind,
  first: kind < 'prev',
  bytes: bytesOf(kind < 'prev' ? `{"${kind}":` : `,"${kind}":`),
  open: kind === 'checkpoint' ? QUOTE : BRACE_OPEN,
  close: kind === 'checkpoint' ? QUOTE : BRACE_CLOSE,
}))

/**
 * Reads one line, given without its newline. `null` where it is anything but a record: other members or another order, white space
 * between them, an unknown kind, a sequence that is no safe integer, bytes that are no UTF-8, a body that is no JSON, or an own
 * hash that does not hold over the bytes. Not checked: that the body is in canonical form, its members, and `prev`.
 */
export function parseRecord(line: Uint8Array): JournalRecord | null {
  const bytes = bufferOver(line)
  const tail = bytes.length - TAIL_BYTES
  if (tail < 0 || !holds(bytes, tail, TAIL_START)) return null
  const sha256 = hash('sha256', bytes.subarray(0, tail), 'base64url')
  if (bytes.toString('latin1', tail + HASH_MEMBER.length) !== `${sha256}"}`) return null
  if (!isUtf8(bytes)) return null
  return parseMembers(bytes, tail, sha256)
}

/** Why `parseRecord()` did not take a line: it has an own hash that does not hold, or it is no record at all. */
export function faultOf(line: Uint8Array): 'hash_mismatch' | 'line_malformed' {
  const bytes = bufferOver(line)
  const tail = bytes.length - TAIL_BYTES
  if (tail < 0 || !holds(bytes, tail, TAIL_START)) return 'line_malformed'
  const stated = bytes.toString('latin1', tail + HASH_MEMBER.length)
  const shaped = BASE64URL_HASH.test(stated.slice(0, HASH_CHARACTERS)) && stated.endsWith('"}')
  return shaped && stated !== `${hash('sha256', bytes.subarray(0, tail), 'base64url')}"}` ? 'hash_mismatch' : 'line_malformed'
}

/** The members before the own hash, which end at `end`. */
function parseMembers(bytes: Buffer, end: number, sha256: string): JournalRecord | null {
  const digits = startOfDigits(bytes, end)
  const seq = integerBetween(bytes, digits, end)
  const seqStart = digits - SEQ_MEMBER.length
  if (seq === null || seqStart < 0 || !holds(bytes, seqStart, SEQ_MEMBER)) return null
  const prevFirst = holds(bytes, 0, PREV_FIRST)
  const prevStart = prevFirst ? 0 : seqStart - PREV_MEMBER.length - HASH_CHARACTERS - 1
  const prev = prevStart < 0 ? null : prevAt(bytes, prevStart + PREV_MEMBER.length)
  if (prev === null || !(prevFirst || holds(bytes, prevStart, PREV_MEMBER))) return null
  const opening = openingAt(bytes, prevFirst ? PREV_FIRST.length + HASH_CHARACTERS + 1 : 0, !prevFirst)
  if (opening === null) return null
  const bodyStart = (prevFirst ? PREV_FIRST.length + HASH_CHARACTERS + 1 : 0) + opening.bytes.length
  const body = bodyBetween(bytes, bodyStart, prevFirst ? seqStart : prevStart, opening)
  return body === null ? null : { seq, kind: opening.kind, body, prev, sha256 }
}

function openingAt(bytes: Buffer, at: number, first: boolean): Opening | null {
  for (const opening of OPENINGS) if (opening.first === first && holds(bytes, at, opening.bytes)) return opening
  return null
}

function startOfDigits(bytes: Buffer, end: number): number {
  let start = end
  while (start > 0 && isDigit(bytes[start - 1])) start--
  return start
}

function isDigit(byte: number | undefined): boolean {
  return byte !== undefined && byte >= DIGIT_0 && byte <= DIGIT_9
}

/** A safe integer without leading zeros. */
function integerBetween(bytes: Buffer, start: number, end: number): number | null {
  const digits = end - start
  if (digits === 0 || digits > MOST_DIGITS || (digits > 1 && bytes[start] === DIGIT_0)) return null
  let value = 0
  for (let at = start; at < end; at++) value = value * 10 + ((bytes[at] as number) - DIGIT_0)
  return Number.isSafeInteger(value) ? value : null
}

/** A hash in canonical base64url, and the quote that ends it. */
function prevAt(bytes: Buffer, at: number): string | null {
  if (bytes[at + HASH_CHARACTERS] !== QUOTE) return null
  const prev = bytes.toString('latin1', at, at + HASH_CHARACTERS)
  return BASE64URL_HASH.test(prev) ? prev : null
}

/** The body: one JSON value of the kind's type, without white space around it. */
function bodyBetween(bytes: Buffer, start: number, end: number, { open, close }: Opening): JsonValue | null {
  if (end - start < 2 || bytes[start] !== open || bytes[end - 1] !== close) return null
  try {
    return JSON.parse(bytes.toString('utf8', start, end)) as JsonValue
  } catch {
    return null
  }
}

/** Whether `expected` stands at this place. */
function holds(bytes: Buffer, at: number, expected: Buffer): boolean {
  if (at + expected.length > bytes.length) return false
  for (let index = 0; index < expected.length; index++) if (bytes[at + index] !== expected[index]) return false
  return true
}

function bytesOf(text: string): Buffer {
  return Buffer.from(text, 'latin1')
}

/** The same memory as a `Buffer`. */
function bufferOver(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
