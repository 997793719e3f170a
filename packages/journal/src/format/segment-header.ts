import type { JsonObject, JsonValue } from '@behalf/core'
import { subtreesOf } from './merkle.js'
import { firstSequenceOf } from './segment-names.js'

/** A SHA-256 in base64url. */
const HASH = /^[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]$/

/** Version of the format; a journal of another one is not read. */
export const FORMAT = 'behalf-journal/1'

/** Body of a `segment` record, the first of every segment: all that has to be known to read on from here. */
export interface SegmentHeader {
  /** When the segment was begun (RFC 3339, UTC, milliseconds). */
  readonly created: string
  readonly format: typeof FORMAT
  /** Merkle frontier over all records before this one, largest subtree first, base64url. */
  readonly frontier: readonly string[]
  /** UUID of the journal. */
  readonly journal: string
  /** Sequences of admitting decisions whose outcome is not written yet. */
  readonly open: readonly number[]
  readonly origin: string
  /** The segment before, and how many of its bytes are part of the journal. `null`: this is the first. */
  readonly previous: { readonly bytes: number; readonly name: string } | null
}

/** The body of a `segment` record as a header; `null` where it is none of this format. */
export function segmentHeaderOf(body: JsonValue): SegmentHeader | null {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) return null
  const { created, format, frontier, journal, open, origin, previous } = body as JsonObject
  const fits =
    typeof created === 'string' &&
    format === FORMAT &&
    listOf(frontier, (each) => typeof each === 'string') &&
    typeof journal === 'string' &&
    listOf(open, (each) => Number.isSafeInteger(each)) &&
    typeof origin === 'string' &&
    (previous === null || isPrevious(previous))
  return fits ? (body as unknown as SegmentHeader) : null
}

function isPrevious(value: JsonValue | undefined): boolean {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false
  const { bytes, name } = value as JsonObject
  // A name that leads elsewhere would have another file cut back.
  return Number.isSafeInteger(bytes) && (bytes as number) >= 0 && typeof name === 'string' && firstSequenceOf(name) !== null
}

function listOf(value: JsonValue | undefined, fits: (each: JsonValue) => boolean): boolean {
  return Array.isArray(value) && value.every(fits)
}

/** Whether a header's frontier can be one over so many records. */
export function frontierFits({ frontier }: SegmentHeader, size: number): boolean {
  return frontier.length === subtreesOf(size) && frontier.every((each) => HASH.test(each))
}
