import { AuthError } from '../errors.js'
import { BackOff } from '../keys/back-off.js'
import { FetchError } from '../keys/fetch-json.js'
import type { Limits } from '../limits.js'

/**
 * What a failure is about: the `endpoint` (it cannot be reached, it does not let us in, it has enough of us); an `answer` that is
 * none, which can be the fault of one odd token; or our `question` about one token alone.
 */
export type FailureSubject = 'endpoint' | 'answer' | 'question'

/** Answers that are none, about as many tokens and with no good one between them, say that it is not one odd token. */
const BAD_ANSWERS = 2

/**
 * Pauses between questions of one sort while an endpoint is in trouble with them. Times are of a clock that never goes back.
 *
 * A token that nobody knows is a stranger's text: if a single bad answer ended all questions, one odd token could. Many questions
 * are under way at a time: those that were sent before a failure was seen fail for the same reason, and do not count again.
 */
export class EndpointTrouble {
  readonly #backOff: BackOff
  readonly #mostMilliseconds: number
  readonly #retryAfterSeconds: number
  /** Keys of the tokens that had a bad answer since the last good one; no more of them than are needed. */
  readonly #badAbout = new Set<string>()
  #sent = 0
  /** Questions up to this one were sent before the last failure was seen. */
  #sentBefore = 0
  #notBefore = Number.NEGATIVE_INFINITY
  /** Why the last question failed. */
  failure: FetchError = new FetchError('the endpoint is not asked again yet')

  constructor({ backOffFirstSeconds, backOffMostSeconds, retryAfterSeconds }: Limits, random: () => number) {
    this.#backOff = new BackOff(backOffFirstSeconds, backOffMostSeconds, random)
    this.#mostMilliseconds = backOffMostSeconds * 1000
    this.#retryAfterSeconds = retryAfterSeconds
  }

  /** Takes note of a question, and numbers it. */
  sends(): number {
    return ++this.#sent
  }

  succeeded(): void {
    this.#badAbout.clear()
    this.#backOff.succeeded()
  }

  /**
   * @param key of the token that was asked about
   * @param pauseMilliseconds for how long the endpoint wants to be left alone; not below 0. Heeded where the failure stops more than
   *   its own question, since the text of a token can be the reason for it too
   */
  failed(question: number, key: string, about: FailureSubject, nowMilliseconds: number, pauseMilliseconds: number): void {
    const isNew = question > this.#sentBefore
    if (about === 'question' || (about === 'answer' && !(isNew && this.#areBad(key)))) return
    this.#notBefore = Math.max(this.#notBefore, nowMilliseconds + this.atMost(pauseMilliseconds))
    if (!isNew) return
    this.#sentBefore = this.#sent
    this.#backOff.failed(nowMilliseconds)
  }

  /** Whether, with a bad answer about this token, it is the answers that are bad and not the token. */
  #areBad(key: string): boolean {
    if (this.#badAbout.size < BAD_ANSWERS) this.#badAbout.add(key)
    return this.#badAbout.size >= BAD_ANSWERS
  }

  /** No pause is longer than any, whatever the endpoint asks for. */
  atMost(pauseMilliseconds: number): number {
    return Math.min(pauseMilliseconds, this.#mostMilliseconds)
  }

  /** Milliseconds until the next question; 0 or less: it may be sent. */
  waitMilliseconds(nowMilliseconds: number): number {
    return Math.max(this.#backOff.waitMilliseconds(nowMilliseconds), this.#notBefore - nowMilliseconds)
  }

  /** Why no question may be sent now, as of now; `null`: one may. */
  pause(nowMilliseconds: number): (() => AuthError) | null {
    const wait = this.waitMilliseconds(nowMilliseconds)
    const { failure } = this
    return wait > 0 ? () => this.unavailable(wait, failure) : null
  }

  /** Our trouble, and when to come again. The failure is told anew: the one that is kept has seen other requests. */
  unavailable(waitMilliseconds: number, { message, status }: FetchError = this.failure): AuthError {
    const retryAfterSeconds = Math.max(this.#retryAfterSeconds, Math.ceil(waitMilliseconds / 1000))
    return new AuthError('introspection_unavailable', { retryAfterSeconds, cause: new FetchError(message, status) })
  }
}
