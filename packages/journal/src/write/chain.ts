import type { KeyObject } from 'node:crypto'
import { type Checkpoint, formatCheckpoint, signNote } from '../format/checkpoint.js'
import { MerkleFrontier } from '../format/merkle.js'
import { canonicalJson, encodeRecord, type RecordKind } from '../format/record.js'

/** Where a chain stands: what comes next depends on nothing else. */
export interface ChainState {
  /** Sequence of the next record; the number of records so far. */
  readonly size: number
  /** `sha256` of the last record. */
  readonly head: string
  /** Merkle frontier over all records so far. */
  readonly frontier: readonly Buffer[]
  /** Size of the last checkpoint; 0: none yet. */
  readonly checkpointSize: number
  /** Records since the last checkpoint that are worth one: everything but a checkpoint itself. */
  readonly uncovered: number
}

/** Whose journal it is, and who signs for it. */
export interface ChainIdentity {
  /** UUID of the journal. */
  readonly journal: string
  /** First line of its checkpoints. */
  readonly origin: string
  readonly signer: { readonly name: string; readonly key: KeyObject } | null
}

/** Frames records, links each with the one before, and signs for all of them. Knows nothing of files. */
export class Chain {
  readonly identity: ChainIdentity
  #size: number
  #head: string
  #frontier: MerkleFrontier
  #checkpointSize: number
  #uncovered: number

  constructor(identity: ChainIdentity, { size, head, frontier, checkpointSize, uncovered }: ChainState) {
    this.identity = identity
    this.#size = size
    this.#head = head
    this.#frontier = MerkleFrontier.of(size, frontier)
    this.#checkpointSize = checkpointSize
    this.#uncovered = uncovered
  }

  get size(): number {
    return this.#size
  }

  get uncovered(): number {
    return this.#uncovered
  }

  /** Merkle frontier over all records so far. */
  get frontier(): readonly Buffer[] {
    return this.#frontier.hashes()
  }

  /** As it is now; records that are added later do not change it. */
  state(): ChainState {
    return {
      size: this.#size,
      head: this.#head,
      frontier: this.#frontier.hashes(),
      checkpointSize: this.#checkpointSize,
      uncovered: this.#uncovered,
    }
  }

  /** Goes back: what was added since is forgotten, as it did not reach the disk. */
  restore({ size, head, frontier, checkpointSize, uncovered }: ChainState): void {
    this.#size = size
    this.#head = head
    this.#frontier = MerkleFrontier.of(size, frontier)
    this.#checkpointSize = checkpointSize
    this.#uncovered = uncovered
  }

  /** Adds a record. @returns its line, with the newline */
  add(kind: RecordKind, body: unknown): string {
    return this.addCanonical(kind, canonicalJson(body))
  }

  /** Adds a record whose body is canonical JSON already. @returns its line, with the newline */
  addCanonical(kind: RecordKind, body: string): string {
    const { line, sha256 } = encodeRecord(kind, body, this.#size, this.#head)
    this.#frontier.appendHash(sha256)
    this.#head = sha256
    this.#size++
    this.#uncovered++
    return `${line}\n`
  }

  /** Adds a checkpoint over all records so far, which must be on disk. @returns its line, and the note that it holds */
  addCheckpoint(nowMilliseconds: number): { readonly line: string; readonly note: string } {
    const { origin, journal, signer } = this.identity
    const checkpoint: Checkpoint = {
      origin,
      size: this.#size,
      root: this.#frontier.root(),
      from: this.#checkpointSize,
      head: this.#head,
      journal,
      time: new Date(nowMilliseconds).toISOString(),
    }
    const text = formatCheckpoint(checkpoint)
    const note = signer === null ? `${text}\n` : signNote(text, signer.name, signer.key)
    const line = this.add('checkpoint', note)
    this.#checkpointSize = checkpoint.size
    this.#uncovered = 0
    return { line, note }
  }
}
