import { hash } from 'node:crypto'
import { AuthError } from '../errors.js'
import { AnswerError, type Fetch, FetchError } from '../keys/fetch-json.js'
import type { KeySet } from '../keys/key-set.js'
import type { Limits } from '../limits.js'
import type { Eventual } from '../thenable.js'
import type { JsonObject } from '../token/json.js'
import { type AnswerRefusal, TokenAnswerError } from './answer.js'
import { StatusError, subjectOf } from './endpoint.js'
import { EndpointTrouble } from './endpoint-trouble.js'
import { type IntrospectionSettings, readIntrospectionOptions } from './introspection-options.js'
import { KeptAnswers } from './kept-answers.js'
import { freshKeys, stillProves } from './signed-answer.js'
import { monotonicBeside, SteadyClock } from './steady-clock.js'
import { askForWord, type Word, type WordOptions } from './word.js'

/** What an issuer said of an active token. */
export interface Introspected<T> {
  /** Frozen, without prototypes and without `active`; `iss` is always there. */
  readonly claims: JsonObject
  /** When the question was sent, in milliseconds since the epoch. */
  readonly askedAt: number
  /** What the caller made of it; kept as long as the answer. */
  made: T | null
}

/** Asks one issuer about tokens, and remembers what it said. */
export interface Introspector<T> {
  /** What is known and still believed of a token; `undefined` otherwise. Answers at once. */
  known(token: string): Introspected<T> | undefined
  /**
   * What is known of a token, or else what the issuer answers now; several callers share a question.
   * @throws {AuthError} `token_inactive`; `token_type_refused`: it is not said to be an access token, or is said to be another kind;
   *   `token_malformed`: it is too long to be asked about; `introspection_unavailable`, `keys_unavailable`: our trouble
   */
  ask(token: string): Eventual<Introspected<T>>
  /** Forgets what is known of every token: nothing is believed until it is said in answer to a question that was sent after this. */
  forget(): void
  /** Ends what goes on in the background. */
  close(): void
}

/** What introspection needs of its issuer and server. */
export interface IntrospectionEnvironment {
  readonly issuer: string
  readonly algorithms: ReadonlySet<string>
  /** The issuer's keys, for signed answers. */
  readonly keys: KeySet
  readonly fetch: Fetch
  /** Milliseconds since the epoch. */
  readonly now: () => number
  /** Milliseconds that only go on, whatever happens to the clock. Default: the process's, where `now` is `Date.now`. */
  readonly monotonic?: () => number
  readonly limits: Limits
  /** From 0 to 1: spreads refreshes and pauses. */
  readonly random: () => number
  readonly toleranceSeconds: number
}

/**
 * Reads the option `introspection` of an issuer. Nothing is asked yet.
 * @throws {ConfigError} naming the option and the mend
 */
export function resolveIntrospection<T>(value: unknown, where: string, environment: IntrospectionEnvironment): Introspector<T> {
  return new EndpointIntrospector<T>(readIntrospectionOptions(value, where, environment.issuer), environment)
}

/** Most questions under way at a time, of one issuer. */
const MOST_QUESTIONS = 128
/** How many of them are for tokens that have been active: invented ones must not keep these from being asked about again. */
const RESERVED_QUESTIONS = 32
/** When an answer in use is asked for again: after this part of its time, up to {@link JITTER} of that earlier. */
const REFRESH_PART = 0.8
const JITTER = 0.1
/** Longest time for which a refusal is remembered: a token that an issuer's replicas do not know yet must not wait long. */
const MOST_REFUSED_MILLISECONDS = 10_000

const JSON_TYPE = 'application/json'
const SIGNED_TYPE = 'application/token-introspection+jwt'

interface Question<T> {
  /** Steady time. */
  readonly sentAt: number
  readonly answer: Promise<Introspected<T>>
}

class EndpointIntrospector<T> implements Introspector<T> {
  readonly #settings: IntrospectionSettings
  readonly #environment: IntrospectionEnvironment
  readonly #asking: WordOptions
  /** With questions about tokens that have been active, and with all others: what a stranger's text leads to stops strangers alone. */
  readonly #regulars: EndpointTrouble
  readonly #strangers: EndpointTrouble
  readonly #kept: KeptAnswers<Introspected<T>>
  readonly #clock: SteadyClock
  readonly #underWay = new Map<string, Question<T>>()
  /** What was asked for before everything was forgotten is not believed. */
  #generation = 0
  #closed = false

  constructor(settings: IntrospectionSettings, environment: IntrospectionEnvironment) {
    const { audience, takesUntyped } = settings
    const { limits, random } = environment
    this.#settings = settings
    this.#environment = environment
    this.#asking = {
      ...environment,
      takesUntyped,
      endpoint: { ...settings, ...environment, mediaType: audience === null ? JSON_TYPE : SIGNED_TYPE },
      signing: audience === null ? null : { ...environment, audience },
    }
    this.#regulars = new EndpointTrouble(limits, random)
    this.#strangers = new EndpointTrouble(limits, random)
    this.#clock = new SteadyClock(environment.monotonic ?? monotonicBeside(environment.now))
    this.#kept = new KeptAnswers(settings.maxEntries)
  }

  known(token: string): Introspected<T> | undefined {
    return this.#known(keyOf(token), token)
  }

  #known(key: string, token: string): Introspected<T> | undefined {
    const kept = this.#kept.active(key)
    if (kept === undefined) return undefined
    const now = this.#environment.now()
    const steadyNow = this.#clock.at(now)
    if (now >= kept.expiresAt || (kept.proof !== null && !stillProves(kept.proof, this.#environment.keys))) {
      this.#kept.forget(key) // for good: RFC 7662 4 lets no answer be kept beyond `exp`
      return undefined
    }
    if (steadyNow - kept.sentAt >= this.#settings.cacheMilliseconds) return undefined
    if (steadyNow >= kept.refreshAt) this.#refresh(key, token, steadyNow)
    return kept.answer
  }

  ask(token: string): Eventual<Introspected<T>> {
    if (token.length > this.#environment.limits.tokenBytes) throw new AuthError('token_malformed')
    const key = keyOf(token)
    const known = this.#known(key, token)
    if (known !== undefined) return known
    const steadyNow = this.#steadyNow()
    const refused = this.#kept.refusal(key, steadyNow)
    if (refused?.reason === 'introspection_unavailable') {
      throw this.#unavailable(this.#troubleWith(key).failure, refused.until - steadyNow)
    }
    if (refused !== undefined) throw new AuthError(refused.reason)
    const question = this.#underWay.get(key)
    if (question === undefined) return this.#send(key, token, steadyNow)
    // Who joins a question believes its answer for as long as anybody else: since it was sent.
    if (steadyNow - question.sentAt < this.#settings.cacheMilliseconds) return question.answer
    return this.#askNext(key, token, question)
  }

  forget(): void {
    this.#generation++
    this.#kept.clear()
  }

  close(): void {
    this.#closed = true
  }

  #steadyNow(): number {
    return this.#clock.at(this.#environment.now())
  }

  #isRegular(key: string): boolean {
    return this.#kept.active(key) !== undefined
  }

  #troubleWith(key: string): EndpointTrouble {
    return this.#isRegular(key) ? this.#regulars : this.#strangers
  }

  /** One more question for all who came after the one under way was sent: the first of them sends it. */
  #askNext(key: string, token: string, { answer }: Question<T>): Promise<Introspected<T>> {
    const ask = () => this.#underWay.get(key)?.answer ?? this.#send(key, token, this.#steadyNow())
    return answer.then(ask, ask)
  }

  /** In the background: nobody waits, and a failure changes nothing until the answer's time is over. */
  #refresh(key: string, token: string, steadyNow: number): void {
    if (this.#closed || this.#underWay.has(key) || this.#kept.refusal(key, steadyNow) !== undefined) return
    if (this.#troubleWith(key).waitMilliseconds(steadyNow) > 0 || this.#underWay.size >= MOST_QUESTIONS) return
    this.#send(key, token, steadyNow).catch(() => {})
  }

  #send(key: string, token: string, sentAt: number): Promise<Introspected<T>> {
    const trouble = this.#troubleWith(key)
    this.#stopInPause(trouble, sentAt)
    const most = this.#isRegular(key) ? MOST_QUESTIONS : MOST_QUESTIONS - RESERVED_QUESTIONS
    if (this.#underWay.size >= most) throw this.#unavailable(new FetchError('too many questions are under way'), 0)
    const answer = this.#answered(key, token, sentAt, trouble).finally(() => this.#underWay.delete(key))
    this.#underWay.set(key, { sentAt, answer })
    return answer
  }

  #stopInPause(trouble: EndpointTrouble, steadyNow: number): void {
    const wait = trouble.waitMilliseconds(steadyNow)
    if (wait > 0) throw this.#unavailable(trouble.failure, wait)
  }

  async #answered(key: string, token: string, sentAt: number, trouble: EndpointTrouble): Promise<Introspected<T>> {
    const { signing } = this.#asking
    if (signing !== null) await freshKeys(signing) // without them the answer could not be proved: nothing is asked
    const question = trouble.sends()
    const generation = this.#generation
    const isOutdated = () => generation !== this.#generation
    let answer: Introspected<T> | AnswerRefusal | null = null
    try {
      const word = await askForWord(token, this.#asking)
      if (!isOutdated()) answer = this.#keep(key, word, sentAt)
    } catch (error) {
      const failure = failureOf(error)
      if (!(isOutdated() && failure instanceof AnswerError)) {
        const told = this.#failed(key, question, failure, trouble)
        throw error instanceof AuthError ? error : told
      }
    }
    if (answer === null) {
      // Everything was forgotten meanwhile: nobody is told what was so before. The place among the questions under way is still ours.
      const again = this.#steadyNow()
      this.#stopInPause(trouble, again)
      return this.#answered(key, token, again, trouble)
    }
    trouble.succeeded()
    if (typeof answer === 'string') throw new AuthError(answer)
    return answer
  }

  /** @throws {TokenAnswerError} where the answer is another token's */
  #keep(key: string, { said, askedAt, proof, characters }: Word, sentAt: number): Introspected<T> | AnswerRefusal {
    const { now, random } = this.#environment
    const { cacheMilliseconds } = this.#settings
    if (typeof said === 'string') {
      this.#kept.refuse(key, { reason: said, until: sentAt + Math.min(cacheMilliseconds, MOST_REFUSED_MILLISECONDS) })
      return said
    }
    const jti = typeof said['jti'] === 'string' ? said['jti'] : null
    if (jti !== null && this.#kept.isTaken(jti, key)) throw new TokenAnswerError('the answer is about another token')
    const answer: Introspected<T> = { claims: said, askedAt, made: null }
    const expiresAt = expiryOf(said)
    if (now() >= expiresAt) return answer // whether that is too late for a call is judged with the other claims
    const refreshAt = sentAt + cacheMilliseconds * REFRESH_PART * (1 - random() * JITTER)
    this.#kept.keep(key, { answer, sentAt, refreshAt, expiresAt, proof, jti, characters })
    return answer
  }

  #failed(key: string, question: number, failure: FetchError, trouble: EndpointTrouble): AuthError {
    const now = this.#steadyNow()
    const subject = subjectOf(failure)
    const asked = failure instanceof StatusError ? trouble.atMost(failure.pauseMilliseconds) : 0
    trouble.failure = failure
    trouble.failed(question, subject, now, asked)
    if (subject === 'endpoint') return this.#unavailable(failure, trouble.waitMilliseconds(now))
    const pause = Math.max(asked, this.#environment.limits.retryAfterSeconds * 1000)
    this.#kept.pause(key, now + pause) // so long its caller is told to wait
    return this.#unavailable(failure, Math.max(pause, trouble.waitMilliseconds(now)))
  }

  /** Our trouble, and when to come again. The failure is told anew: the one that is kept has seen other requests. */
  #unavailable({ message, status }: FetchError, waitMilliseconds: number): AuthError {
    const retryAfterSeconds = Math.max(this.#environment.limits.retryAfterSeconds, Math.ceil(waitMilliseconds / 1000))
    return new AuthError('introspection_unavailable', { retryAfterSeconds, cause: new FetchError(message, status) })
  }
}

/** The whole text, so that no two tokens are one; as a digest, so that none is kept. */
function keyOf(token: string): string {
  return hash('sha256', token, 'base64url')
}

/** Nothing of a library's error goes on: it can quote what it could not read. */
function failureOf(error: unknown): FetchError {
  if (error instanceof AuthError) return new AnswerError('the keys of the issuer are not available')
  return error instanceof FetchError ? error : new FetchError('the answer could not be read')
}

/** An `exp` that is no time ends the answer at once; the claim checks refuse it. */
function expiryOf({ exp }: JsonObject): number {
  if (exp === undefined) return Number.POSITIVE_INFINITY
  return typeof exp === 'number' ? exp * 1000 : Number.NEGATIVE_INFINITY
}
