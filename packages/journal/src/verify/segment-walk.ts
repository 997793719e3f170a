import { lstat } from 'node:fs/promises'
import { join } from 'node:path'
import { faultOf, type JournalRecord, parseRecord } from '../format/record.js'
import type { VerifierKey } from '../format/verifier-key.js'
import { SegmentLines, type SegmentName, type Unopened } from '../read/segment-lines.js'
import type { Findings, Place } from './findings.js'
import { JournalCheck, type SegmentPlace } from './journal-check.js'
import type { OutsideCheckpoint } from './outside-checkpoint.js'

/** How far verification is. */
export interface VerifyProgress {
  /** Bytes that were read. */
  readonly bytes: number
  /** Bytes of all segments, when it began. */
  readonly totalBytes: number
  /** Records that were read. */
  readonly records: number
}

/** What of the options concerns the walk. */
interface WalkSettings {
  readonly key: VerifierKey | null
  readonly live: boolean
  readonly onProgress: ((done: VerifyProgress) => void) | null
  readonly signal: AbortSignal | undefined
}

/** How much of a segment's file is part of the journal. */
interface Extent {
  /** In bytes. */
  readonly end: number
  /** `declared`: the next segment's header says so. `last`: there is no next segment yet. `unknown`: there is, and it does not say. */
  readonly by: 'declared' | 'last' | 'unknown'
}

const NUL = 0

/** Reads the segments of a journal in order, hands their records to a {@link JournalCheck}, and checks where each segment ends. */
export class SegmentWalk {
  readonly #directory: string
  readonly #segments: readonly SegmentName[]
  readonly #settings: WalkSettings
  readonly #outside: OutsideCheckpoint | null
  readonly #findings: Findings
  /** `null`: no segment could be opened. */
  check: JournalCheck | null = null
  /** Bytes of the segments that were read. */
  bytes = 0
  #totalBytes = 0
  /** Name of the segment before, if it is part of the journal. */
  #before: string | null = null
  /** Bytes behind the end of the segment before, which the next one has to explain. */
  #abandoned: Place | null = null
  /** The segment after this one, opened to see where this one ends. */
  #ahead: SegmentLines | null = null
  /** Damage at the very end that a write under way can have left. */
  #torn: Place | null = null

  constructor(
    directory: string,
    segments: readonly SegmentName[],
    settings: WalkSettings,
    outside: OutsideCheckpoint | null,
    findings: Findings,
  ) {
    this.#directory = directory
    this.#segments = segments
    this.#settings = settings
    this.#outside = outside
    this.#findings = findings
  }

  /** @throws {JournalError} `unreadable` where a file cannot be read; the signal's reason */
  async run(): Promise<void> {
    if (this.#settings.onProgress !== null) this.#totalBytes = await this.#bytesOfAll()
    try {
      for (const [index, segment] of this.#segments.entries()) await this.#takeSegment(segment, index)
    } finally {
      await this.#ahead?.close()
    }
    this.#reportTorn()
    if (this.#abandoned !== null) this.#reportAbandoned(this.#abandoned)
  }

  async #bytesOfAll(): Promise<number> {
    let bytes = 0
    for (const { name } of this.#segments) {
      const stats = await lstat(join(this.#directory, name)).catch(() => null) // for the progress only: one that is gone counts nothing
      bytes += stats?.size ?? 0
    }
    return bytes
  }

  async #takeSegment(segment: SegmentName, index: number): Promise<void> {
    const lines = await this.#open(segment)
    if (lines === 'missing' || lines === 'irregular') {
      this.#cannotOpen(segment, lines)
      return
    }
    try {
      this.check ??= new JournalCheck(segment.first, this.#settings.key, this.#outside, this.#findings)
      if (!this.#comesNext(this.check, segment)) return
      const extent = await this.#extentOf(lines, segment, index)
      await this.#takeLines(this.check, lines, segment, extent)
      this.#checkEnd(this.check, lines, segment, extent)
      this.#before = segment.name
    } finally {
      this.bytes += lines.bytes
      await lines.close()
    }
  }

  /** A segment that was listed and cannot be opened. */
  #cannotOpen({ name, first }: SegmentName, state: Unopened): void {
    const place = { segment: name, sequence: first, offset: null }
    if (state === 'irregular') this.#findings.add('tampered', 'segment_irregular', place, 'a segment that is no regular file')
    else this.#findings.add('tampered', 'segment_missing', place, 'a segment that went away while others were read')
    this.check?.lose(null)
  }

  /** Whether a segment goes on where the one before ended, or at least not before that. */
  #comesNext(check: JournalCheck, { name, first }: SegmentName): boolean {
    const expected = check.next
    if (expected === null) check.lose(first)
    else if (first > expected) {
      const place = { segment: null, sequence: expected, offset: null }
      this.#findings.add('tampered', 'segment_missing', place, `records ${expected} to ${first - 1} are in no segment`)
      check.lose(first)
    } else if (first < expected) {
      const place = { segment: name, sequence: first, offset: null }
      this.#findings.add(
        'tampered',
        'segment_extra',
        place,
        `a segment from record ${first} on stands where record ${expected} should`,
      )
      return false
    }
    return true
  }

  async #open({ name }: SegmentName): Promise<SegmentLines | Unopened> {
    const ahead = this.#ahead
    this.#ahead = null
    return ahead?.name === name ? ahead : SegmentLines.open(this.#directory, name)
  }

  async #extentOf(lines: SegmentLines, { name }: SegmentName, index: number): Promise<Extent> {
    const next = this.#segments[index + 1]
    if (next === undefined) return { end: lines.bytes, by: 'last' }
    const ahead = await SegmentLines.open(this.#directory, next.name)
    if (ahead === 'missing' || ahead === 'irregular') return { end: lines.bytes, by: 'unknown' }
    this.#ahead = ahead
    const { state, header } = await ahead.peekHeader(next.first)
    if (header?.previous?.name === name) return { end: header.previous.bytes, by: 'declared' }
    const begun = state === 'partial' && index + 2 === this.#segments.length
    return { end: lines.bytes, by: begun ? 'last' : 'unknown' }
  }

  async #takeLines(check: JournalCheck, lines: SegmentLines, segment: SegmentName, { end, by }: Extent): Promise<void> {
    const { signal, onProgress } = this.#settings
    let expected: SegmentPlace | null = { ...segment, before: this.#before }
    do {
      signal?.throwIfAborted()
      for (let line = lines.next(end); line !== null; line = lines.next(end)) {
        const record = parseRecord(line)
        const place: Place = { segment: segment.name, sequence: record === null ? check.next : record.seq, offset: lines.offset }
        if (record === null) this.#malformed(check, line, place, by)
        else this.#takeRecord(check, record, place, expected)
        expected = null
      }
      onProgress?.({ bytes: this.bytes + lines.nextOffset, totalBytes: this.#totalBytes, records: check.records })
    } while (await lines.fill(end))
    if (this.#abandoned !== null) this.#explainAbandoned(this.#abandoned, check.troubleInSegment, by)
    if (expected !== null && by !== 'last')
      this.#findings.add(
        'tampered',
        'segment_header',
        { segment: segment.name, sequence: segment.first, offset: 0 },
        'a segment without a header',
      )
  }

  #takeRecord(check: JournalCheck, record: JournalRecord, place: Place, expected: SegmentPlace | null): void {
    if (record.kind === 'checkpoint' && this.#torn !== null) {
      this.#findings.add(
        'tampered',
        'line_malformed',
        this.#torn,
        'bytes that are no record, before a checkpoint that was written later',
      )
      this.#torn = null
    }
    check.take(record, place, expected)
  }

  /** A line that is no record. Zeros at the very end are what a power cut can leave, unless they were a record once. */
  #malformed(check: JournalCheck, line: Buffer, place: Place, by: Extent['by']): void {
    if (by === 'last' && line.includes(NUL)) this.#torn ??= place
    else {
      const fault = faultOf(line)
      const message = fault === 'hash_mismatch' ? 'a record whose own hash does not hold' : 'a line that is no record'
      this.#findings.add('tampered', fault, place, message)
    }
    check.lose(null)
  }

  #checkEnd(check: JournalCheck, lines: SegmentLines, { name }: SegmentName, { end, by }: Extent): void {
    const place: Place = { segment: name, sequence: check.next, offset: lines.nextOffset }
    if (by === 'declared') this.#checkDeclaredEnd(check, lines, place, end)
    else if (lines.nextOffset === end && end > 0) return
    else if (by === 'last') this.#torn ??= place
    else if (end > 0) this.#findings.add('tampered', 'line_malformed', place, 'a line without its end')
  }

  #checkDeclaredEnd(check: JournalCheck, lines: SegmentLines, place: Place, end: number): void {
    if (lines.bytes < end) {
      this.#findings.add('tampered', 'segment_cut', place, `a segment that has ${lines.bytes} bytes of ${end}`)
      check.lose(null)
    } else if (lines.nextOffset < end) {
      this.#findings.add('tampered', 'segment_previous', place, 'a segment whose stated end is not the end of a record')
      check.lose(null)
    } else if (lines.bytes > end) this.#abandoned = { ...place, offset: end }
  }

  /** Bytes that a failed write left are no fault; the segment after them says that one failed. */
  #explainAbandoned(place: Place, explained: boolean, by: Extent['by']): void {
    this.#abandoned = null
    const onTheWay = by === 'last' && this.#settings.live // what explains them may be written just now
    if (explained || onTheWay)
      this.#findings.add('note', 'abandoned_bytes', place, 'bytes that a failed write left; they are no part of the journal')
    else this.#reportAbandoned(place)
  }

  #reportAbandoned(place: Place): void {
    this.#findings.add(
      'incomplete',
      'abandoned_bytes',
      place,
      'bytes behind the end of a segment, which no failed write explains',
    )
  }

  #reportTorn(): void {
    if (this.#torn === null) return
    const severity = this.#settings.live ? 'note' : 'incomplete'
    this.#findings.add(severity, 'torn_tail', this.#torn, 'bytes at the end that are no record: a write that was under way')
  }
}
