/** One use of a proof, as a {@link ReplayMemory} is told of it. All times in milliseconds since the epoch, by this server's clock. */
export interface ProofUse {
  /** SHA-256 of the key's thumbprint, the target URI and `jti`, in base64url: 43 characters. */
  readonly id: string
  /** The earliest time at which any replica could have accepted the proof. */
  readonly acceptableFrom: number
  /** From then on no replica accepts it: so long it has to be remembered. */
  readonly acceptableUntil: number
  /** Now. */
  readonly now: number
}

/**
 * Remembers which proofs were used (RFC 9449 11.1), for all replicas that share it.
 *
 * It must answer in one atomic step, or two uses at the same time are both the first. It must reject rather than guess: also where it
 * has lost, or cannot know, what it was told since `acceptableFrom`. The caller then gets a 503, and no use is accepted.
 */
export interface ReplayMemory {
  /** Takes note of a use: `true` where it is the first one. Nothing but `true` lets a request go on. */
  use(proof: ProofUse): boolean | Promise<boolean>
  /** Resolves when uses of proofs that are made now can be judged. For readiness probes. */
  ready?(): Promise<void>
  /** Ends its connections; called when the resource server is closed. */
  close?(): Promise<void>
}

/** A memory that cannot say whether a proof was used. */
export class ReplayMemoryError extends Error {
  override readonly name = 'ReplayMemoryError'
  /** Stable reason: `full`, `forgotten`. */
  readonly code: 'full' | 'forgotten'

  constructor(code: 'full' | 'forgotten') {
    super(code === 'full' ? 'the memory of used proofs is full' : 'the proof is older than the memory of used proofs')
    this.code = code
  }
}

/**
 * The memory of one process, which forgets everything when that ends: for an API that has no replicas. A full memory refuses rather
 * than forgets.
 */
export class SingleProcessMemory implements ReplayMemory {
  /** Until when each use is remembered; in the order of these times, since all are kept equally long. */
  readonly #uses = new Map<string, number>()
  /** Those from before the clock was set back: in the other map they would keep everything behind them. */
  readonly #ahead = new Map<string, number>()
  readonly #entries: number
  readonly #keepMilliseconds: number
  /** Uses that had to be remembered until then, or less, may be forgotten: the clock may have been set back since. */
  #forgottenUntil = Number.NEGATIVE_INFINITY

  /** @param keepMilliseconds how long a use is remembered; at least as long as any proof is accepted */
  constructor(entries: number, keepMilliseconds: number) {
    this.#entries = entries
    this.#keepMilliseconds = keepMilliseconds
  }

  use({ id, acceptableUntil, now }: ProofUse): boolean {
    this.#forget(now)
    if (acceptableUntil <= this.#forgottenUntil) throw new ReplayMemoryError('forgotten')
    if (this.#uses.has(id) || this.#ahead.has(id)) return false
    if (this.#uses.size + this.#ahead.size >= this.#entries) throw new ReplayMemoryError('full')
    this.#uses.set(id, now + this.#keepMilliseconds)
    return true
  }

  #forget(now: number): void {
    for (const [id, until] of this.#uses) {
      if (until > now && until <= now + this.#keepMilliseconds) break
      this.#uses.delete(id)
      if (until > now) this.#ahead.set(id, until)
      else this.#forgottenUntil = Math.max(this.#forgottenUntil, until)
    }
    for (const [id, until] of this.#ahead) {
      if (until > now) return
      this.#ahead.delete(id)
      this.#forgottenUntil = Math.max(this.#forgottenUntil, until)
    }
  }
}
