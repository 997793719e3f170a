import { type Checkpoint, type ParsedNote, parseCheckpoint, parseNote, verifyNote } from '../format/checkpoint.js'
import type { MerkleFrontier } from '../format/merkle.js'
import type { VerifierKey } from '../format/verifier-key.js'
import type { Identity } from './checkpoint-trail.js'
import type { Findings, Place } from './findings.js'

/** Holds a journal against a checkpoint that was kept where its writer could not reach it. */
export class OutsideCheckpoint {
  readonly #findings: Findings
  readonly #checkpoint: Checkpoint
  #compared = false

  private constructor(findings: Findings, checkpoint: Checkpoint) {
    this.#findings = findings
    this.#checkpoint = checkpoint
  }

  /**
   * Reads it, and checks its signature where there is a key.
   * @throws TypeError where the text is no checkpoint
   */
  static of(text: string, key: VerifierKey | null, findings: Findings): OutsideCheckpoint {
    const note: ParsedNote | null = parseNote(text)
    const checkpoint = note && parseCheckpoint(note.text)
    if (note === null || checkpoint === null)
      throw new TypeError(
        'verifyJournal().checkpoint must be the text of a checkpoint as the journal wrote it, with its last newline',
      )
    if (key !== null && !verifyNote(note, key))
      findings.add('incomplete', 'outside_signature', placeOf(checkpoint), 'the checkpoint from outside is not signed by the key')
    return new OutsideCheckpoint(findings, checkpoint)
  }

  /** Size of the journal at which it must be compared. */
  get size(): number {
    return this.#checkpoint.size
  }

  /**
   * @param tree over as many records as the checkpoint covers; `null`: not known any more
   * @param head `sha256` of the last of them
   */
  compare(tree: MerkleFrontier | null, head: string): void {
    const { root, head: expected } = this.#checkpoint
    this.#compared = true
    if (head !== expected || tree === null || !tree.root().equals(root))
      this.#report('the journal does not hold the records that the checkpoint from outside was made for')
  }

  /** @param first sequence of the oldest record; `null`: the journal is empty */
  finish(identity: Identity | null, first: number | null): void {
    const { journal, origin, size } = this.#checkpoint
    if (identity !== null && (journal !== identity.journal || origin !== identity.origin))
      this.#report('the checkpoint from outside is one of another journal')
    else if (this.#compared) return
    else if (first !== null && size <= first)
      this.#findings.add(
        'incomplete',
        'outside_checkpoint',
        placeOf(this.#checkpoint),
        'the checkpoint from outside is older than the oldest record that is kept: it cannot be compared',
      )
    else this.#report('the journal has fewer records than the checkpoint from outside covers')
  }

  #report(message: string): void {
    this.#findings.add('tampered', 'outside_checkpoint', placeOf(this.#checkpoint), message)
  }
}

/** The last record that it covers. */
function placeOf({ size }: Checkpoint): Place {
  return { segment: null, sequence: size - 1, offset: null }
}
