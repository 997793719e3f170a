import { constants } from 'node:fs'
import { type FileHandle, open, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { JsonObject, JsonValue } from '@behalf/core'
import type { JournalRecord } from '../format/record.js'
import { namesIn, type SegmentName, segmentsAmong } from '../read/segment-lines.js'

/** How far a delivery is behind the end of its journal. */
export interface Lag {
  /** Records that were not delivered. */
  readonly recordsBehind: number
  /** Of the segments' files. */
  readonly bytesBehind: number
}

/** Where what was delivered ends. */
export interface ShippedEnd {
  /** Sequence of the next record. */
  readonly next: number
  /** Segment of the last record, and where its line ends there, in bytes. `null`: nothing was delivered by this run. */
  readonly place: { readonly segment: string; readonly end: number } | null
}

/** Bytes in which the last line of a segment nearly always begins and ends. */
const TAIL_BYTES = 64 * 1024
const LINE_END = /"seq":(\d{1,16}),"sha256":"[A-Za-z0-9_-]{43}"\}\n/g

/**
 * Looks at the files' sizes and at the last line of the last one. While a writer is at work it is out of date at once; a segment
 * that is removed meanwhile counts as nothing.
 */
export async function measureLag(directory: string, { next, place }: ShippedEnd): Promise<Lag> {
  const segments = segmentsAmong(await namesIn(directory))
  const last = segments.at(-1)
  if (last === undefined) return { recordsBehind: 0, bytesBehind: 0 }
  const behind = segments.filter((each, index) => isBehind(each, segments[index + 1], next, place))
  let bytesBehind = 0
  for (const { name } of behind) bytesBehind += (await sizeOf(join(directory, name))) - (name === place?.segment ? place.end : 0)
  return { recordsBehind: Math.max(0, (await lastSequenceOf(directory, last)) + 1 - next), bytesBehind: Math.max(0, bytesBehind) }
}

/** Whether a segment holds anything that is not delivered. */
function isBehind({ name }: SegmentName, successor: SegmentName | undefined, next: number, place: ShippedEnd['place']): boolean {
  return name === place?.segment || successor === undefined || successor.first > next
}

async function sizeOf(path: string): Promise<number> {
  try {
    return (await stat(path)).size
  } catch {
    return 0
  }
}

/** Sequence of the last whole line; that of the first one where the end of the file does not tell. */
async function lastSequenceOf(directory: string, { name, first }: SegmentName): Promise<number> {
  let file: FileHandle | null = null
  try {
    file = await open(join(directory, name), constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0))
    const { size } = await file.stat()
    const tail = Buffer.alloc(Math.min(size, TAIL_BYTES))
    await file.read(tail, 0, tail.length, size - tail.length)
    const digits = [...tail.toString('latin1').matchAll(LINE_END)].at(-1)?.[1]
    return digits === undefined ? first : Number(digits)
  } catch {
    return first
  } finally {
    await file?.close()
  }
}

/** When a record was made, in milliseconds since the epoch; `null` where it does not say. */
export function timeOf({ kind, body }: JournalRecord): number | null {
  const text = kind === 'checkpoint' ? checkpointTime(body) : ownTime(body)
  const milliseconds = typeof text === 'string' ? Date.parse(text) : Number.NaN
  return Number.isNaN(milliseconds) ? null : milliseconds
}

function checkpointTime(note: JsonValue): JsonValue | undefined {
  return typeof note === 'string' ? /^time (\S+)$/m.exec(note)?.[1] : undefined
}

function ownTime(body: JsonValue): JsonValue | undefined {
  const { time, created, to } = body as JsonObject
  return time ?? created ?? to
}
