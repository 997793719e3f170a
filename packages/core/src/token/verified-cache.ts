import { LRUCache } from 'lru-cache'

/** Bounds of the verified-token cache. */
export interface CacheOptions {
  /** Most tokens kept; 1 to 16,777,215. Default 10,000. */
  readonly maxEntries?: number
  /**
   * Most memory kept, in bytes, as estimated from the length of the tokens; claims of very many small objects can take almost three
   * times as much. Default 64 MiB.
   */
  readonly maxBytes?: number
}

/** Characters of the signature's end that find an entry: hashing them costs a third of hashing a whole token. */
const TAIL_CHARACTERS = 43

/** A parsed token takes about this many times the bytes of its compact form (strings, claims, context). */
const BYTES_PER_CHARACTER = 6

/**
 * Verified tokens by their exact text. Only proven tokens are stored, so forged ones can neither hit nor evict: an entry is
 * found by the end of its signature and then compared whole. Nothing that depends on a request may be part of an entry.
 */
export class VerifiedCache<T extends { readonly token: string }> {
  readonly #entries: LRUCache<string, T>

  constructor(maxEntries: number, maxBytes: number) {
    this.#entries = new LRUCache<string, T>({
      max: maxEntries,
      maxSize: maxBytes,
      sizeCalculation: (entry) => entry.token.length * BYTES_PER_CHARACTER,
    })
  }

  get(token: string): T | undefined {
    const entry = this.#entries.get(token.slice(-TAIL_CHARACTERS))
    return entry !== undefined && entry.token === token ? entry : undefined
  }

  set(entry: T): void {
    this.#entries.set(entry.token.slice(-TAIL_CHARACTERS), entry)
  }

  /** Forgets every entry of a kind; looks at all of them. */
  deleteEvery(isOne: (entry: T) => boolean): void {
    for (const [tail, entry] of [...this.#entries.entries()]) if (isOne(entry)) this.#entries.delete(tail)
  }

  delete(entry: T): void {
    this.#entries.delete(entry.token.slice(-TAIL_CHARACTERS))
  }
}
