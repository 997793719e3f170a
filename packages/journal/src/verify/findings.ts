/** How bad a finding is. `note`: worth knowing, and no fault. */
export type Severity = 'tampered' | 'incomplete' | 'note'

/** What can be found in a journal. */
export type FindingCode =
  /** Bytes behind a segment's end that no failed write explains. */
  | 'abandoned_bytes'
  /** An own record whose members are not what they must be. */
  | 'body_malformed'
  /** A record that does not link to the one before. */
  | 'chain_broken'
  /** A checkpoint of another journal or origin. */
  | 'checkpoint_foreign'
  /** A checkpoint that names another last record. */
  | 'checkpoint_head'
  /** A record that should be a checkpoint and is none. */
  | 'checkpoint_invalid'
  /** More records than usual between two checkpoints. */
  | 'checkpoint_late'
  /** A checkpoint for another range of records. */
  | 'checkpoint_range'
  /** The records are not those that were signed. */
  | 'checkpoint_root'
  /** A checkpoint that the key did not sign. */
  | 'checkpoint_signature'
  /** A checkpoint that was signed earlier than the one before it: a clock went back. */
  | 'checkpoint_time'
  /** A second decision about a request whose outcome is not there yet. */
  | 'decision_twice'
  /** Records that were durable were gone at a start. */
  | 'durable_lost'
  /** Events that were not recorded, as the journal says itself. */
  | 'events_lost'
  /** A record whose own hash does not hold. */
  | 'hash_mismatch'
  /** No segment at all. */
  | 'journal_empty'
  /** A segment of another journal. */
  | 'journal_mixed'
  /** A line that is no record. */
  | 'line_malformed'
  /** A file that is named almost as a segment is. */
  | 'name_unknown'
  /** The last writer did not end in order. */
  | 'no_clean_end'
  /** A decision that let a call in, and no outcome. */
  | 'outcome_missing'
  /** A second outcome of one call. */
  | 'outcome_twice'
  /** An outcome without its decision. */
  | 'outcome_unmatched'
  /** The checkpoint from outside does not fit the journal, or could not be compared. */
  | 'outside_checkpoint'
  /** The key did not sign the checkpoint from outside. */
  | 'outside_signature'
  /** The journal does not begin at record 0, and no retention record says why. */
  | 'retention_unexplained'
  /** A segment that ends before its end. */
  | 'segment_cut'
  /** A segment whose records stand in another one already. */
  | 'segment_extra'
  /** A header whose frontier is not that of the records before. */
  | 'segment_frontier'
  /** A segment that does not begin with its header, or a header elsewhere. */
  | 'segment_header'
  /** A segment that is no regular file. */
  | 'segment_irregular'
  /** A segment that is not there. */
  | 'segment_missing'
  /** A header that names decisions as open that are not. */
  | 'segment_open'
  /** A header that names another segment before it, or another end of that. */
  | 'segment_previous'
  /** A record that does not have the next sequence. */
  | 'sequence_gap'
  /** Bytes at the very end that are no record: a write that was under way. */
  | 'torn_tail'
  /** Records at the end that no good checkpoint covers. */
  | 'unsigned_tail'

/** Where something was found; what does not apply is `null`. */
export interface Place {
  /** Name of the file. */
  readonly segment: string | null
  /** The record's, or the one that it should have. */
  readonly sequence: number | null
  /** Where the line begins in the file, in bytes. */
  readonly offset: number | null
}

/** One thing that was found. */
export interface Finding extends Place {
  /** How bad it is. */
  readonly severity: Severity
  /** What it is: stable, for programs. */
  readonly code: FindingCode
  /** A fixed text, with names of segments and numbers; nothing else of a journal's contents. */
  readonly message: string
}

const SEVERITIES: readonly Severity[] = ['tampered', 'incomplete', 'note']
/** Findings kept of each severity: one edit can bring a row of them, and the first says it. */
const MOST_KEPT = 50

/** Of the whole journal. */
export const NOWHERE: Place = Object.freeze({ segment: null, sequence: null, offset: null })

/** Collects what is found. */
export class Findings {
  readonly #kept: Record<Severity, Finding[]> = { tampered: [], incomplete: [], note: [] }

  add(severity: Severity, code: FindingCode, place: Place, message: string): void {
    const kept = this.#kept[severity]
    const { segment, sequence, offset } = place
    if (kept.length < MOST_KEPT) kept.push({ severity, code, segment, sequence, offset, message })
  }

  has(severity: Severity): boolean {
    return this.#kept[severity].length > 0
  }

  /** Worst first, and of each severity in the order of the journal as far as it can be said. */
  list(): Finding[] {
    return SEVERITIES.flatMap((severity) => this.#kept[severity])
  }
}
