/** What the authorization server remembers of a token that it has issued: JWTs cannot be looked up, nor taken back, without it. */
interface Entry {
  /** Seconds since the epoch. */
  readonly expiresAt: number
  /** Ids of the tokens that it was exchanged for, or of the session that it comes of. */
  readonly parents: readonly string[]
}

/** The tokens that were issued, the sessions that they come of, and what of both was taken back. */
export class TokenLedger {
  readonly #issued = new Map<string, Entry>()
  readonly #revoked = new Set<string>()

  /**
   * @param id `jti` of a token, `sid` of a session
   * @param expiresAt seconds since the epoch; of a session, when the last token of it ends that is known
   */
  add(id: string, expiresAt: number, parents: readonly string[]): void {
    const now = Date.now() / 1000
    for (const [old, entry] of this.#issued) {
      if (entry.expiresAt > now) continue
      this.#issued.delete(old)
      this.#revoked.delete(old)
    }
    this.#issued.set(id, { expiresAt: Math.max(expiresAt, this.#issued.get(id)?.expiresAt ?? 0), parents })
  }

  /** Takes a token or a session back, and with it whatever has come or will come of it. */
  revoke(id: string): void {
    this.#revoked.add(id)
  }

  /** Whether a token was issued here, and neither it nor anything that it comes of was taken back. A parent lives as long as its children. */
  stands(id: string): boolean {
    const entry = this.#issued.get(id)
    return entry !== undefined && !this.#revoked.has(id) && entry.parents.every((parent) => this.stands(parent))
  }
}
