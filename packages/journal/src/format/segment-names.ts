/** Digits of a sequence in a file's name: names sort as their sequences do, up to the largest safe integer. */
const SEQUENCE_DIGITS = 16
const SEGMENT_NAME = /^journal-(\d{16})\.jsonl$/

/** Name of the segment whose first record has this sequence: `journal-0000000000000000.jsonl`. */
export function segmentName(firstSequence: number): string {
  if (!Number.isSafeInteger(firstSequence) || firstSequence < 0)
    throw new RangeError('the first sequence of a segment must be a safe integer, 0 or more')
  return `journal-${String(firstSequence).padStart(SEQUENCE_DIGITS, '0')}.jsonl`
}

/** Sequence of a segment's first record, by its file's name. `null`: no segment. */
export function firstSequenceOf(name: string): number | null {
  const digits = SEGMENT_NAME.exec(name)?.[1]
  if (digits === undefined) return null
  const sequence = Number(digits)
  return Number.isSafeInteger(sequence) ? sequence : null
}
