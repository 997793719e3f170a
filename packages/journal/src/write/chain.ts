import type { KeyObject } from 'node:crypto'
import { canonicalJson } from '../format/canonical-json.js'
import { type Checkpoint, formatCheckpoint, signNote } from '../format/checkpoint.js'
import { MerkleFrontier } from '../format/merkle.js'
import type { RecordKind } from '../format/record.js'
import type { LineBuffer } from './line-buffer.js'

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

  /** Adds a record to the chain, and to the lines. */
  add(lines: LineBuffer, kind: RecordKind, body: unknown): void {
    this.addCanonical(lines, kind, canonicalJson(body))
  }

  /** Adds a record whose body is canonical JSON already. */
  addCanonical(lines: LineBuffer, kind: RecordKind, body: string): void {
    const sha256 = lines.add(kind, body, this.#size, this.#head)
    this.#frontier.appendHash(sha256)
    this.#head = sha256
    this.#size++
    this.#uncovered++
  }

  /** Adds a checkpoint over all records so far, which must be on disk. @returns its note */
  addCheckpoint(lines: LineBuffer, nowMilliseconds: number): string {
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
    this.add(lines, 'checkpoint', note)
    this.#checkpointSize = checkpoint.size
    this.#uncovered = 0
    return note
  }
}
