import { BackOff } from '../keys/back-off.js'
import type { Limits } from '../limits.js'

/**
 * What a failure is about: the `endpoint` (it cannot be reached, it does not let us in, it has enough of us); an `answer` that is
 * none, which can be the fault of one odd token; or our `question` about one token alone.
 */
export type FailureSubject = 'endpoint' | 'answer' | 'question'

/** As many answers in a row that are none say that it is not one odd token. */
const BAD_ANSWERS = 2

/**
 * Pauses between questions while an endpoint is in trouble. Times are of a clock that never goes back.
 *
 * A token that nobody knows is a stranger's text: if a single bad answer ended all questions, one odd token could. Many questions
 * are under way at a time: those that were sent before a failure was seen fail for the same reason, and do not count again.
 */
export class EndpointTrouble {
  readonly #backOff: BackOff
  readonly #mostMilliseconds: number
  #badAnswers = 0
  #sent = 0
  /** Questions up to this one were sent before the last failure was seen. */
  #sentBefore = 0
  #notBefore = Number.NEGATIVE_INFINITY

  constructor({ backOffFirstSeconds, backOffMostSeconds }: Limits, random: () => number) {
    this.#backOff = new BackOff(backOffFirstSeconds, backOffMostSeconds, random)
    this.#mostMilliseconds = backOffMostSeconds * 1000
  }

  /** Takes note of a question, and numbers it. */
  sends(): number {
    return ++this.#sent
  }

  succeeded(): void {
    this.#badAnswers = 0
    this.#backOff.succeeded()
  }

  /** @param pauseMilliseconds for how long the endpoint wants to be left alone; not below 0 */
  failed(question: number, about: FailureSubject, nowMilliseconds: number, pauseMilliseconds: number): void {
    const pause = Math.min(pauseMilliseconds, this.#mostMilliseconds)
    this.#notBefore = Math.max(this.#notBefore, nowMilliseconds + pause)
    if (about === 'question' || question <= this.#sentBefore) return
    if (about === 'answer' && ++this.#badAnswers < BAD_ANSWERS) return
    this.#sentBefore = this.#sent
    this.#backOff.failed(nowMilliseconds)
  }

  /** Milliseconds until the next question; 0 or less: it may be sent. */
  waitMilliseconds(nowMilliseconds: number): number {
    return Math.max(this.#backOff.waitMilliseconds(nowMilliseconds), this.#notBefore - nowMilliseconds)
  }
}
