import { type Checkpoint, parseCheckpoint, parseNote, verifyNote } from '../format/checkpoint.js'
import type { MerkleFrontier } from '../format/merkle.js'
import type { JournalRecord } from '../format/record.js'
import type { VerifierKey } from '../format/verifier-key.js'
import type { FindingCode, Findings, Place } from './findings.js'

/** More records than this between two checkpoints are told of: what a writer signs at once by default, and what a full queue adds. */
const MOST_UNCOVERED_RECORDS = 11_000

/** Whose checkpoints are expected. */
export interface Identity {
  readonly journal: string
  readonly origin: string
}

/** Checks a journal's checkpoints, each against the records before it, against the one before, and with the key. */
export class CheckpointTrail {
  readonly #findings: Findings
  readonly #key: VerifierKey | null
  /** Size of the checkpoint before: 0 at the journal's beginning; `null`: not known. */
  #before: number | null
  #time = ''
  /** Checkpoints that fit the records. */
  count = 0
  /** Size of the last one that fits and, where there is a key, is signed by it. */
  signedThrough = 0
  /** Its time. */
  signedAt: string | null = null
  /** The first checkpoint that the key did not sign, and that no later good one covers. */
  #unsigned: { readonly place: Place; count: number } | null = null

  /** @param fromStart the journal's first record is there */
  constructor(findings: Findings, key: VerifierKey | null, fromStart: boolean) {
    this.#findings = findings
    this.#key = key
    this.#before = fromStart ? 0 : null
  }

  /** @param tree over all records before this one; `null`: not known any more */
  take(record: JournalRecord, tree: MerkleFrontier | null, identity: Identity | null, place: Place): void {
    const note = typeof record.body === 'string' ? parseNote(record.body) : null
    const checkpoint = note && parseCheckpoint(note.text)
    if (note === null || checkpoint === null) {
      this.#report('checkpoint_invalid', place, 'a checkpoint that cannot be read')
      return
    }
    const fits = this.#fits(checkpoint, record, tree, identity, place)
    this.#compareTime(checkpoint, place)
    this.#before = checkpoint.size
    if (!fits) return
    this.count++
    if (this.#key === null || verifyNote(note, this.#key)) this.#covered(checkpoint.size, place)
    else this.#notSigned(place)
  }

  /** What was damaged before can be whole again, but what the last checkpoint was is not known. */
  lose(): void {
    this.#before = null
  }

  finish(): void {
    if (this.#unsigned !== null)
      this.#report(
        'checkpoint_signature',
        this.#unsigned.place,
        `${this.#unsigned.count} checkpoint(s) that the key did not sign, and none after them that it did`,
      )
  }

  #fits(
    checkpoint: Checkpoint,
    record: JournalRecord,
    tree: MerkleFrontier | null,
    identity: Identity | null,
    place: Place,
  ): boolean {
    const { size, from, head, root, origin, journal } = checkpoint
    const faults: [boolean, FindingCode, string][] = [
      [
        identity !== null && (origin !== identity.origin || journal !== identity.journal),
        'checkpoint_foreign',
        'a checkpoint of another journal',
      ],
      [
        size !== record.seq || (this.#before !== null && from !== this.#before),
        'checkpoint_range',
        'a checkpoint for another range of records',
      ],
      [head !== record.prev, 'checkpoint_head', 'a checkpoint over another last record'],
      [
        tree !== null && tree.size === size && !tree.root().equals(root),
        'checkpoint_root',
        'the records are not those that the checkpoint was made for',
      ],
    ]
    const found = faults.find(([fault]) => fault)
    if (found !== undefined) this.#report(found[1], place, found[2])
    return found === undefined && tree !== null
  }

  #compareTime({ time, size }: Checkpoint, place: Place): void {
    if (time < this.#time)
      this.#findings.add('note', 'checkpoint_time', place, 'a checkpoint that says it is older than the one before')
    if (this.#before !== null && size - this.#before > MOST_UNCOVERED_RECORDS)
      this.#findings.add('note', 'checkpoint_late', place, `${size - this.#before} records since the checkpoint before`)
    this.#time = time
  }

  #covered(size: number, place: Place): void {
    this.signedThrough = size
    this.signedAt = this.#time
    if (this.#unsigned === null) return
    const { count, place: first } = this.#unsigned
    this.#unsigned = null
    this.#findings.add(
      'note',
      'checkpoint_signature',
      first,
      `${count} checkpoint(s) that the key did not sign; that of record ${place.sequence} covers them`,
    )
  }

  #notSigned(place: Place): void {
    if (this.#unsigned === null) this.#unsigned = { place: { ...place }, count: 1 }
    else this.#unsigned.count++
  }

  #report(code: FindingCode, place: Place, message: string): void {
    this.#findings.add('tampered', code, place, message)
  }
}
