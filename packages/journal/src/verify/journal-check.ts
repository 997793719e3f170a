import { MerkleFrontier } from '../format/merkle.js'
import { GENESIS, type JournalRecord } from '../format/record.js'
import { frontierFits, type SegmentHeader, segmentHeaderOf } from '../format/segment-header.js'
import { firstSequenceOf } from '../format/segment-names.js'
import type { VerifierKey } from '../format/verifier-key.js'
import type { SegmentName } from '../read/segment-lines.js'
import { CheckpointTrail, type Identity } from './checkpoint-trail.js'
import type { FindingCode, Findings, Place } from './findings.js'
import type { OutsideCheckpoint } from './outside-checkpoint.js'
import { ownBodyOf } from './own-bodies.js'
import { Pairs } from './pairs.js'

/** A segment that is being checked. */
export interface SegmentPlace extends SegmentName {
  /** The segment before it in the directory; `null`: it is the first there. */
  readonly before: string | null
}

/** Checks a journal's records, one after the other, each against everything before it. Reads no files. */
export class JournalCheck {
  readonly #findings: Findings
  readonly #outside: OutsideCheckpoint | null
  readonly pairs: Pairs
  readonly checkpoints: CheckpointTrail
  /** Sequence of the oldest record. */
  readonly first: number
  /** Sequence that the next record must have, and what it must link to; `null`: after damage, anything. */
  #next: number | null
  #head: string | null
  /** Over all records so far; `null` after damage, until a header says where the tree stands. */
  #tree: MerkleFrontier | null
  identity: Identity | null = null
  records = 0
  last: number | null = null
  #lastKind: JournalRecord['kind'] | null = null
  #stoppedAt: number | null = null
  /** Last record that was removed on purpose. */
  readonly #removals: { readonly through: number; readonly sequence: number }[] = []
  /** Whether this segment says that a write or a sync failed. */
  troubleInSegment = false

  /** @param first sequence of the oldest record, by its segment's name */
  constructor(first: number, key: VerifierKey | null, outside: OutsideCheckpoint | null, findings: Findings) {
    this.#findings = findings
    this.#outside = outside
    this.pairs = new Pairs(findings)
    this.checkpoints = new CheckpointTrail(findings, key, first === 0)
    this.first = first
    this.#next = first
    this.#head = first === 0 ? GENESIS : null
    this.#tree = first === 0 ? MerkleFrontier.empty() : null
  }

  /** Sequence that the next record must have; `null`: not known. */
  get next(): number | null {
    return this.#next
  }

  /** The last writer ended in order: `end`, and a checkpoint after it. */
  get endsCleanly(): boolean {
    return this.#lastKind === 'checkpoint' && this.#stoppedAt !== null && this.#stoppedAt === (this.last ?? 0) - 1
  }

  /** Something is not there, or cannot be read: what comes next is not held against what was before. */
  lose(next: number | null): void {
    this.#next = next
    this.#head = null
    this.#tree = null
    this.checkpoints.lose()
  }

  /** Checks a record. @param segment where its header is expected, if the record is its first */
  take(record: JournalRecord, place: Place, segment: SegmentPlace | null): void {
    this.#follows(record, place)
    if (segment !== null) this.#begins(segment, record, place)
    this.#takeKind(record, place, segment !== null)
    this.#add(record)
  }

  #follows({ seq, prev }: JournalRecord, place: Place): void {
    if (this.#next !== null && seq !== this.#next) {
      this.#fault('sequence_gap', place, `record ${seq} stands where record ${this.#next} should`)
      this.lose(null)
    } else if (this.#head !== null && prev !== this.#head)
      this.#fault('chain_broken', place, `record ${seq} does not link to the one before`)
  }

  #takeKind(record: JournalRecord, place: Place, isFirst: boolean): void {
    switch (record.kind) {
      case 'event':
        if (!this.pairs.take(record.body, place)) this.#fault('body_malformed', place, 'an event without type or request')
        return
      case 'checkpoint':
        this.checkpoints.take(record, this.#tree, this.identity, place)
        return
      case 'segment':
        if (!isFirst) this.#fault('segment_header', place, 'a header that is not the first record of its segment')
        return
      case 'end':
        this.#stoppedAt = record.seq
        return
      case 'failure':
        this.troubleInSegment = true
        return
      default:
        this.#takeOwn(record, place)
    }
  }

  #takeOwn(record: JournalRecord, place: Place): void {
    const own = ownBodyOf(record)
    if (own === null)
      this.#fault('body_malformed', place, `a record of kind ${record.kind} whose members are not what they must be`)
    else if (own.kind === 'retention')
      this.#removals.push({ through: Math.min(own.through, record.seq - 1), sequence: record.seq })
    else if (own.kind === 'recovery' && own.durable > 0)
      this.#fault('durable_lost', place, `${own.durable} record(s) that were durable were gone when a writer started`)
    else if (own.kind === 'gap') {
      this.pairs.allow(own.decisions, own.outcomes)
      const message = `not recorded: ${own.decisions} decision(s), ${own.outcomes} outcome(s), ${own.refusals} refusal(s)`
      this.#findings.add('note', 'events_lost', place, message)
    }
  }

  #add({ seq, kind, sha256 }: JournalRecord): void {
    this.#tree?.appendHash(sha256)
    this.#head = sha256
    this.#next = seq + 1
    this.last = seq
    this.#lastKind = kind
    this.records++
    if (this.#outside !== null && this.#outside.size === seq + 1) this.#outside.compare(this.#tree, sha256)
  }

  /** Checks the first record of a segment. */
  #begins(segment: SegmentPlace, record: JournalRecord, place: Place): void {
    this.troubleInSegment = false
    const header = record.kind === 'segment' && record.seq === segment.first ? segmentHeaderOf(record.body) : null
    if (header === null || !frontierFits(header, record.seq)) {
      this.#fault('segment_header', place, 'a segment that does not begin with its header')
      return
    }
    this.#knows(header, place)
    this.#comesAfter(header, segment, place)
    this.#growsFrom(header, record, place)
    if (record.seq === this.first) this.pairs.allow(header.open.filter((sequence) => sequence < this.first).length, 0)
    else if (!this.pairs.agreesWith(header.open))
      this.#fault('segment_open', place, 'a header that names decisions as open that are not')
  }

  #knows({ journal, origin }: SegmentHeader, place: Place): void {
    if (this.identity === null) this.identity = { journal, origin }
    else if (this.identity.journal !== journal || this.identity.origin !== origin)
      this.#fault('journal_mixed', place, 'a segment of another journal, or under another origin')
  }

  #comesAfter({ previous }: SegmentHeader, { first, before }: SegmentPlace, place: Place): void {
    const name = previous?.name ?? null
    const atStart = before === null && first > 0
    const named = atStart ? name !== null && (firstSequenceOf(name) ?? first) < first : name === before
    if (!named) this.#fault('segment_previous', place, 'a header that names another segment before it')
  }

  /** Its frontier is the one of the records before, or where those are not known, what the tree goes on from. */
  #growsFrom({ frontier }: SegmentHeader, { seq: size, prev }: JournalRecord, place: Place): void {
    const hashes = frontier.map((each) => Buffer.from(each, 'base64url'))
    if (this.#tree === null) {
      this.#tree = MerkleFrontier.of(size, hashes)
      if (this.#outside?.size === size) this.#outside.compare(this.#tree, prev)
      return
    }
    const own = this.#tree.hashes()
    if (own.length !== hashes.length || own.some((hash, index) => !hash.equals(hashes[index] as Buffer)))
      this.#fault('segment_frontier', place, 'a header whose frontier is not that of the records before')
  }

  /**
   * Whether the journal says why it does not begin at record 0.
   * @param covered size of the last good checkpoint: what stands behind it anybody can have written
   */
  startExplained(covered: number): 'yes' | 'unsigned' | 'no' {
    if (this.first === 0) return 'yes'
    const fitting = this.#removals.filter(({ through }) => through >= this.first - 1)
    if (fitting.length === 0) return 'no'
    return fitting.some(({ sequence }) => sequence < covered) ? 'yes' : 'unsigned'
  }

  #fault(code: FindingCode, place: Place, message: string): void {
    this.#findings.add('tampered', code, place, message)
  }
}
