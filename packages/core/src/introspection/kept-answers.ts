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
  /** About the memory that it takes, with what is made of it. */
  readonly bytes: number
}

/** Why a token is not asked about at the moment. */
interface KeptRefusal {
  readonly reason: AnswerRefusal | 'introspection_unavailable'
  /** Steady time. */
  readonly until: number
}

/** Memory for answers about tokens that were not accepted here, in bytes. */
const OTHERS_BYTES = DEFAULT_CACHE_BYTES / 8

/**
 * Answers of one issuer by a digest of their token, within bounds. Those about regular tokens, which were accepted here once, stand apart
 * from all others: neither invented tokens nor good ones that are for somebody else, however many, take the place of one of them. A mark
 * outlives its answer: that an answer is not believed any more says nothing against the token.
 */
export class KeptAnswers<A> {
  readonly #regular: LRUCache<string, KeptAnswer<A>>
  readonly #others: LRUCache<string, KeptAnswer<A>>
  readonly #refused: LRUCache<string, KeptRefusal>
  readonly #marks: LRUCache<string, true>
  /** Which token an id belongs to. */
  readonly #keys = new Map<string, string>()

  constructor(maxEntries: number) {
    const answers = (maxSize: number) =>
      new LRUCache<string, KeptAnswer<A>>({
        max: maxEntries,
        maxSize,
        sizeCalculation: ({ bytes }) => Math.max(1, bytes),
        dispose: ({ jti }, key) => {
          if (jti !== null && this.#keys.get(jti) === key) this.#keys.delete(jti)
        },
      })
    this.#regular = answers(DEFAULT_CACHE_BYTES)
    this.#others = answers(OTHERS_BYTES)
    this.#refused = new LRUCache<string, KeptRefusal>({ max: maxEntries })
    this.#marks = new LRUCache<string, true>({ max: maxEntries })
  }

  /** An answer about an active token. */
  find(key: string): KeptAnswer<A> | undefined {
    return this.#regular.get(key) ?? this.#others.get(key)
  }

  /** Whether a token was accepted here once, and not called inactive since. */
  isRegular(key: string): boolean {
    return this.#marks.get(key) !== undefined
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
    this.forget(key)
    const answers = this.isRegular(key) ? this.#regular : this.#others
    answers.set(key, kept)
    if (kept.jti !== null && answers.has(key)) this.#keys.set(kept.jti, key)
  }

  /** Makes a token a regular one. */
  accept(key: string): void {
    this.#marks.set(key, true)
    const kept = this.#others.get(key)
    if (kept !== undefined) this.keep(key, kept)
  }

  /** The answer that a token is not good, which ends every other answer about it. */
  refuse(key: string, refusal: KeptRefusal): void {
    this.#marks.delete(key)
    this.forget(key)
    this.#refused.set(key, refusal)
  }

  /** Leaves a token alone for a while. What is known of it stays. */
  pause(key: string, until: number): void {
    this.#refused.set(key, { reason: 'introspection_unavailable', until })
  }

  /** Forgets the answer about an active token. */
  forget(key: string): void {
    this.#regular.delete(key)
    this.#others.delete(key)
  }

  /** Forgets the answers about every token. */
  clear(): void {
    this.#regular.clear()
    this.#others.clear()
    this.#refused.clear()
  }
}
