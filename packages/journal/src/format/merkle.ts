import { hash } from 'node:crypto'

/** Bytes of a SHA-256. */
const HASH_BYTES = 32
/** Levels that a tree of a safe integer's size can have. */
const LEVELS = 53
/** Characters of a SHA-256 in base64url without padding. */
const HASH_CHARACTERS = 43
/** Domain separation of leaves and nodes (RFC 6962 2.1). */
const LEAF = 0x00
const NODE = 0x01

/** Number of complete subtrees of a tree of this size, which is the number of hashes of its frontier. */
export function subtreesOf(size: number): number {
  let count = 0
  for (let rest = size; rest > 0; rest = Math.floor(rest / 2)) count += rest % 2
  return count
}

/**
 * The right edge of an RFC 6962 Merkle tree (SHA-256): the hashes of its complete subtrees, from which the tree grows and its root
 * is computed. 32 bytes for each set bit of the size, whatever the size is.
 */
export class MerkleFrontier {
  #size = 0
  /** Hash of the complete subtree of 2^level leaves at `32 × level`, where the size has that bit. */
  readonly #levels = Buffer.alloc(LEVELS * HASH_BYTES)
  readonly #leaf = Buffer.alloc(1 + HASH_BYTES, LEAF)
  readonly #node = Buffer.alloc(1 + 2 * HASH_BYTES, NODE)

  private constructor() {}

  /** The tree without leaves. */
  static empty(): MerkleFrontier {
    return new MerkleFrontier()
  }

  /**
   * A tree of which only the frontier is known.
   * @param hashes those of its complete subtrees, largest first, 32 bytes each
   * @throws RangeError where the size is no safe integer, or their number does not fit it
   */
  static of(size: number, hashes: readonly Buffer[]): MerkleFrontier {
    if (!Number.isSafeInteger(size) || size < 0)
      throw new RangeError('the size of a Merkle tree must be a safe integer, 0 or more')
    if (hashes.length !== subtreesOf(size) || hashes.some((each) => each.length !== HASH_BYTES))
      throw new RangeError('a Merkle frontier must have one hash of 32 bytes for each complete subtree')
    const tree = MerkleFrontier.empty()
    let next = hashes.length
    for (const level of levelsOf(size)) tree.#put(level, hashes[--next] as Buffer)
    tree.#size = size
    return tree
  }

  /** Number of leaves. */
  get size(): number {
    return this.#size
  }

  /** Adds a leaf. `leafData`: the 32 bytes that the leaf stands for, not yet hashed as a leaf. */
  append(leafData: Uint8Array): void {
    if (leafData.length !== HASH_BYTES) throw new RangeError('a leaf must be 32 bytes')
    this.#leaf.set(leafData, 1)
    this.#grow()
  }

  /** Adds a leaf given as a record's `sha256`: 43 characters of base64url. */
  appendHash(sha256: string): void {
    if (sha256.length !== HASH_CHARACTERS || this.#leaf.write(sha256, 1, 'base64url') !== HASH_BYTES)
      throw new RangeError('a leaf must be 32 bytes in base64url')
    this.#grow()
  }

  /** The root (RFC 6962 2.1), 32 bytes; of an empty tree the hash of nothing. */
  root(): Buffer {
    let root: string | null = null
    for (const level of levelsOf(this.#size)) {
      const start = level * HASH_BYTES
      root = root === null ? this.#levels.toString('latin1', start, start + HASH_BYTES) : this.#join(level, root)
    }
    return Buffer.from(root ?? hash('sha256', '', 'binary'), 'latin1')
  }

  /** Hashes of the complete subtrees, largest first: what `of()` takes. Copies. */
  hashes(): Buffer[] {
    return levelsOf(this.#size)
      .map((level) => Buffer.from(this.#levels.subarray(level * HASH_BYTES, (level + 1) * HASH_BYTES)))
      .reverse()
  }

  /** Takes the leaf that was put in place, and joins the subtrees that it completes. Hashes go as text: that is four times as fast. */
  #grow(): void {
    let subtree = hash('sha256', this.#leaf, 'binary')
    let level = 0
    for (let rest = this.#size; rest % 2 === 1; rest = (rest - 1) / 2) subtree = this.#join(level++, subtree)
    this.#put(level, subtree)
    this.#size++
  }

  /** Hash over the complete subtree of this level and what stands to its right. */
  #join(level: number, right: string): string {
    const start = level * HASH_BYTES
    this.#levels.copy(this.#node, 1, start, start + HASH_BYTES)
    this.#node.write(right, 1 + HASH_BYTES, 'latin1')
    return hash('sha256', this.#node, 'binary')
  }

  #put(level: number, subtree: string | Buffer): void {
    const start = level * HASH_BYTES
    if (typeof subtree === 'string') this.#levels.write(subtree, start, 'latin1')
    else this.#levels.set(subtree, start)
  }
}

/** Levels of the complete subtrees, smallest first: the bits that are set in the size. */
function levelsOf(size: number): number[] {
  const levels: number[] = []
  for (let rest = size, level = 0; rest > 0; rest = Math.floor(rest / 2), level++) if (rest % 2 === 1) levels.push(level)
  return levels
}
