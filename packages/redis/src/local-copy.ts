import { joinedEntry, MemoryRevocations, type RevocationEntry } from '@behalf/core/sink-kit'

/** The home of what has none: it was learned in several epochs. No epoch is called so. */
const NO_EPOCH = '-'

/** What a replica knows of a shared set. It forgets nothing before its time, whatever Redis has lost. */
export class LocalCopy {
  readonly #set: MemoryRevocations
  readonly #maxEntries: number
  /** What the set holds, and some that it holds no more. */
  readonly #keys = new Set<string>()
  #home = ''

  constructor(maxEntries: number, now: () => number) {
    this.#set = new MemoryRevocations(maxEntries, now)
    this.#maxEntries = maxEntries
  }

  get version(): number {
    return this.#set.version
  }

  /**
   * The epoch in which Redis had everything that is known here: there is nothing to give back while that goes on. Empty where nothing is
   * known, and no epoch at all where it was learned in several.
   */
  get home(): string {
    return this.#home
  }

  /** Whether Redis may lack some of it in this epoch, and not only by a mistake. */
  mayExceed(epoch: string): boolean {
    return this.#home !== '' && this.#home !== epoch
  }

  /** Redis has everything in this epoch. */
  isIn(epoch: string): void {
    if (this.mayExceed(epoch)) this.#home = epoch
  }

  find(key: string): RevocationEntry | undefined {
    return this.#set.find(key)
  }

  /** As of when nothing is missing that it took: not where the clock was set back behind what it has forgotten since. */
  wholeAt(now: number): number {
    return this.#set.wholeAt(now)
  }

  /**
   * Takes an entry; one that says nothing new changes nothing.
   * @param epoch in which Redis has it
   * @returns whether it is there now: not where there is no room
   */
  take(entry: RevocationEntry, epoch: string): boolean {
    if (covers(this.#set.find(entry.key), entry)) return true
    try {
      this.#set.add(entry)
    } catch {
      return false
    }
    this.#home = this.mayExceed(epoch) ? NO_EPOCH : epoch
    this.#keys.add(entry.key)
    if (this.#keys.size > this.#maxEntries) this.#dropKeys()
    return true
  }

  /** The keys of everything that it holds, and perhaps of what it held. */
  keys(): readonly string[] {
    return [...this.#keys]
  }

  /** What it knows of some keys, has not ended, and is not covered by what is there. */
  lackedBy(there: ReadonlyMap<string, RevocationEntry>, keys: readonly string[], now: number): readonly RevocationEntry[] {
    return keys.flatMap((key) => {
      const entry = this.#set.find(key)
      return entry === undefined || entry.keepUntil <= now || covers(there.get(key), entry) ? [] : [entry]
    })
  }

  #dropKeys(): void {
    for (const key of this.#keys) if (this.#set.find(key) === undefined) this.#keys.delete(key)
  }
}

/** Whether an entry revokes whatever another one of its key does, for as long. */
function covers(one: RevocationEntry | undefined, other: RevocationEntry): boolean {
  if (one === undefined || one.keepUntil < other.keepUntil) return false
  if (one.issuedUntilSeconds === other.issuedUntilSeconds) return true // all but always
  return joinedEntry(one, other).issuedUntilSeconds === one.issuedUntilSeconds
}
