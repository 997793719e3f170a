import { LRUCache } from 'lru-cache'
import { DEFAULT_CACHE_BYTES } from '../limits.js'
import type { AnswerRefusal } from './answer.js'
import type { AnswerProof } from './signed-answer.js'

/** An answer about an active token, and how long it can be believed. */
export interface KeptAnswer<A> {
  readonly answer: A
  /** Steady time at which the question was sent. */
  readonly sentAt: number
  /** Steady time from which on it is asked again in the background. */
  readonly refreshAt: number
  /** The token's `exp`, in milliseconds since the epoch; infinite where it has none. */
  readonly expiresAt: number
  /** `null`: the answer was not signed. */
  readonly proof: AnswerProof | null
  /** The token's id, as the answer says it. */
  readonly jti: string | null
  /** Length of the answer as it was written. */
  readonly characters: number
}

/** Why a token is not asked about at the moment. */
interface KeptRefusal {
  readonly reason: AnswerRefusal | 'introspection_unavailable'
  /** Steady time. */
  readonly until: number
}

/** A parsed answer takes about this many times its text. */
const BYTES_PER_CHARACTER = 6

/**
 * Answers of one issuer by a digest of their token, within bounds. Those about active tokens stand apart from all others: tokens that
 * somebody invents, however many, take the place of none of them. One that is too old to be believed stays until its place is needed,
 * and shows that its token is not an invented one.
 */
export class KeptAnswers<A> {
  readonly #active: LRUCache<string, KeptAnswer<A>>
  readonly #refused: LRUCache<string, KeptRefusal>
  /** Which token an id belongs to. */
  readonly #keys = new Map<string, string>()

  constructor(maxEntries: number) {
    this.#active = new LRUCache<string, KeptAnswer<A>>({
      max: maxEntries,
      maxSize: DEFAULT_CACHE_BYTES,
      sizeCalculation: ({ characters }) => Math.max(1, characters) * BYTES_PER_CHARACTER,
      dispose: ({ jti }, key) => {
        if (jti !== null && this.#keys.get(jti) === key) this.#keys.delete(jti)
      },
    })
    this.#refused = new LRUCache<string, KeptRefusal>({ max: maxEntries })
  }

  active(key: string): KeptAnswer<A> | undefined {
    return this.#active.get(key)
  }

  refusal(key: string, steadyNow: number): KeptRefusal | undefined {
    const kept = this.#refused.get(key)
    return kept !== undefined && steadyNow < kept.until ? kept : undefined
  }

  /** Whether a token's id is one that a kept answer says of another token. */
  isTaken(jti: string, key: string): boolean {
    const known = this.#keys.get(jti)
    return known !== undefined && known !== key
  }

  keep(key: string, kept: KeptAnswer<A>): void {
    this.#refused.delete(key)
    this.#active.set(key, kept)
    if (kept.jti !== null && this.#active.has(key)) this.#keys.set(kept.jti, key)
  }

  /** The answer that a token is not good, which ends every other answer about it. */
  refuse(key: string, refusal: KeptRefusal): void {
    this.#active.delete(key)
    this.#refused.set(key, refusal)
  }

  /** Leaves a token alone for a while. What is known of it stays. */
  pause(key: string, until: number): void {
    this.#refused.set(key, { reason: 'introspection_unavailable', until })
  }

  /** Forgets what is known of an active token. */
  forget(key: string): void {
    this.#active.delete(key)
  }

  /** Forgets what is known of every token. */
  clear(): void {
    this.#active.clear()
    this.#refused.clear()
  }
}
