/** What the authorization server remembers of a token that it has issued: JWTs cannot be looked up, nor taken back, without it. */
interface Entry {
  /** Seconds since the epoch. */
  readonly expiresAt: number
  /** Ids of the tokens that it was exchanged for. */
  readonly parents: readonly string[]
}

/** The tokens that were issued, and those that were taken back. */
export class TokenLedger {
  readonly #issued = new Map<string, Entry>()
  readonly #revoked = new Set<string>()

  /**
   * @param id `jti`
   * @param expiresAt seconds since the epoch
   */
  add(id: string, expiresAt: number, parents: readonly string[]): void {
    const now = Date.now() / 1000
    for (const [old, entry] of this.#issued) {
      if (entry.expiresAt > now) continue
      this.#issued.delete(old)
      this.#revoked.delete(old)
    }
    this.#issued.set(id, { expiresAt, parents })
  }

  /** Takes a token back, and with it whatever was or will be exchanged for it. */
  revoke(id: string): void {
    this.#revoked.add(id)
  }

  /** Whether a token was issued here, and neither it nor one that it comes from was taken back. A parent lives as long as its children. */
  stands(id: string): boolean {
    const entry = this.#issued.get(id)
    return entry !== undefined && !this.#revoked.has(id) && entry.parents.every((parent) => this.stands(parent))
  }
}
