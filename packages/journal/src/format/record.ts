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

/** What stands before and after a record's body, up to its own hash: members in canonical order. */
export function frameOf(kind: RecordKind, seq: number, prev: string): { readonly before: string; readonly after: string } {
  return kind < 'prev'
    ? { before: `{"${kind}":`, after: `,"prev":"${prev}","seq":${seq}` }
    : { before: `{"prev":"${prev}","${kind}":`, after: `,"seq":${seq}` }
}

/** The end of a record, once the hash over everything before it is known. */
export function tailOf(sha256: string): string {
  return `${HASH_MEMBER}${sha256}"}`
}

/**
 * A record as a line.
 * @param canonicalBody what `canonicalJson()` made of the body
 * @param prev `sha256` of the record before; `GENESIS` for record 0
 */
export function encodeRecord(kind: RecordKind, canonicalBody: string, seq: number, prev: string): EncodedRecord {
  const { before, after } = frameOf(kind, seq, prev)
  const head = `${before}${canonicalBody}${after}`
  const sha256 = hash('sha256', head, 'base64url')
  return { line: `${head}${tailOf(sha256)}`, sha256 }
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
