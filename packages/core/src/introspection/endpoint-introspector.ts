import { hash } from 'node:crypto'
import { AuthError } from '../errors.js'
import { AnswerError, FetchError } from '../keys/fetch-json.js'
import { monotonicBeside, SteadyClock } from '../steady-clock.js'
import type { Eventual } from '../thenable.js'
import type { JsonObject } from '../token/json.js'
import { type AnswerRefusal, TokenAnswerError } from './answer.js'
import { StatusError, subjectOf } from './endpoint.js'
import { EndpointTrouble } from './endpoint-trouble.js'
import { type IntrospectionSettings, readIntrospectionOptions } from './introspection-options.js'
import type { Introspected, IntrospectionEnvironment, Introspector } from './introspector.js'
import { KeptAnswers } from './kept-answers.js'
import { freshKeys, stillProves } from './signed-answer.js'
import { askForWord, type Word, type WordOptions } from './word.js'

/**
 * Reads the option `introspection` of an issuer. Nothing is asked yet.
 * @throws {ConfigError} naming the option and the mend
 */
export function resolveIntrospection<T>(value: unknown, where: string, environment: IntrospectionEnvironment): Introspector<T> {
  return new EndpointIntrospector<T>(readIntrospectionOptions(value, where, environment.issuer), environment)
}

/** Most questions under way at a time, of one issuer. */
const MOST_QUESTIONS = 128
/** How many of them are for tokens that were accepted here: others must not keep these from being asked about again. */
const RESERVED_QUESTIONS = 32
/** When an answer in use is asked for again: after this part of its time, up to {@link JITTER} of that earlier. */
const REFRESH_PART = 0.8
const JITTER = 0.1
/** Longest time for which a refusal is remembered: a token that an issuer's replicas do not know yet must not wait long. */
const MOST_REFUSED_MILLISECONDS = 10_000

/** A parsed answer takes about this many times its text, and what is made of it names the token by its own text. */
const BYTES_PER_CHARACTER = 6
const BYTES_PER_TOKEN_CHARACTER = 2

const JSON_TYPE = 'application/json'
const SIGNED_TYPE = 'application/token-introspection+jwt'

/** What comes of a question: an answer, or a refusal, which is made for each of those who wait. */
type Outcome<T> = Introspected<T> | (() => AuthError)

interface Question<T> {
  /** Steady time. */
  readonly sentAt: number
  /** Never rejects. */
  readonly outcome: Promise<Outcome<T>>
}

class EndpointIntrospector<T> implements Introspector<T> {
  readonly #settings: IntrospectionSettings
  readonly #environment: IntrospectionEnvironment
  readonly #asking: WordOptions
  /** With questions about tokens that were accepted here, and with all others: what a stranger's text leads to stops strangers alone. */
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
    const kept = this.#kept.find(key)
    if (kept === undefined) return undefined
    const now = this.#environment.now()
    const steadyNow = this.#clock.at(now)
    if (!(now < kept.expiresAt) || (kept.proof !== null && !stillProves(kept.proof, this.#environment.keys))) {
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
    this.#stopIfRefused(key, steadyNow)
    const question = this.#underWay.get(key)
    if (question === undefined) return given(this.#send(key, token, steadyNow))
    // Who joins a question believes its answer for as long as anybody else: since it was sent.
    if (steadyNow - question.sentAt < this.#settings.cacheMilliseconds) return given(question.outcome)
    return this.#askNext(key, token, question)
  }

  accepted(token: string, answer: Introspected<T>, made: T): void {
    answer.made = made
    this.#kept.accept(keyOf(token))
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

  #troubleWith(key: string): EndpointTrouble {
    return this.#kept.isRegular(key) ? this.#regulars : this.#strangers
  }

  /** @throws {AuthError} where the last answer about a token is a refusal, or there was none and the token is left alone for a while */
  #stopIfRefused(key: string, steadyNow: number): void {
    const refused = this.#kept.refusal(key, steadyNow)
    if (refused === undefined) return
    if (refused.reason !== 'introspection_unavailable') throw new AuthError(refused.reason)
    throw this.#troubleWith(key).unavailable(refused.until - steadyNow)
  }

  /** One more question for all who came after the one under way was sent: the first of them sends it. */
  async #askNext(key: string, token: string, { outcome }: Question<T>): Promise<Introspected<T>> {
    await outcome
    const steadyNow = this.#steadyNow()
    this.#stopIfRefused(key, steadyNow)
    return given(this.#underWay.get(key)?.outcome ?? this.#send(key, token, steadyNow))
  }

  /** In the background: nobody waits, and a failure changes nothing until the answer's time is over. */
  #refresh(key: string, token: string, steadyNow: number): void {
    if (this.#closed || this.#underWay.has(key) || this.#kept.refusal(key, steadyNow) !== undefined) return
    if (this.#hindrance(key, steadyNow) === null) this.#start(key, token, steadyNow).catch(() => {})
  }

  /** @throws {AuthError} where nothing is asked now */
  #send(key: string, token: string, steadyNow: number): Promise<Outcome<T>> {
    const hindrance = this.#hindrance(key, steadyNow)
    if (hindrance !== null) throw hindrance()
    return this.#start(key, token, steadyNow)
  }

  #start(key: string, token: string, sentAt: number): Promise<Outcome<T>> {
    const outcome = this.#outcome(key, token, sentAt, this.#troubleWith(key)).finally(() => this.#underWay.delete(key))
    this.#underWay.set(key, { sentAt, outcome })
    return outcome
  }

  /** Why nothing can be asked about a token now; `null`: it can. */
  #hindrance(key: string, steadyNow: number): (() => AuthError) | null {
    const most = this.#kept.isRegular(key) ? MOST_QUESTIONS : MOST_QUESTIONS - RESERVED_QUESTIONS
    const trouble = this.#troubleWith(key)
    const pause = trouble.pause(steadyNow)
    if (pause !== null || this.#underWay.size < most) return pause
    return () => trouble.unavailable(0, new FetchError('too many questions are under way'))
  }

  async #outcome(key: string, token: string, sentAt: number, trouble: EndpointTrouble): Promise<Outcome<T>> {
    const lacking = await this.#lackingKeys()
    if (lacking !== null) return lacking
    const question = trouble.sends()
    const generation = this.#generation
    const isOutdated = () => generation !== this.#generation
    let answer: Introspected<T> | AnswerRefusal | null = null
    try {
      const word = await askForWord(token, this.#asking)
      if (!isOutdated()) answer = this.#keep(key, token, word, sentAt)
    } catch (error) {
      const failure = failureOf(error)
      if (!(isOutdated() && failure instanceof AnswerError)) {
        const told = this.#failed(key, question, failure, trouble)
        return error instanceof AuthError ? () => error.again() : told
      }
    }
    if (answer === null) {
      // Everything was forgotten meanwhile: nobody is told what was so before. The place among the questions under way is still ours.
      const again = this.#steadyNow()
      return trouble.pause(again) ?? this.#outcome(key, token, again, trouble)
    }
    trouble.succeeded()
    if (typeof answer !== 'string') return answer
    const reason = answer
    return () => new AuthError(reason)
  }

  /** Without keys a signed answer could not be proved: then nothing is asked. */
  async #lackingKeys(): Promise<(() => AuthError) | null> {
    const { signing } = this.#asking
    try {
      if (signing !== null) await freshKeys(signing)
      return null
    } catch (error) {
      return () => (error instanceof AuthError ? error.again() : new AuthError('keys_unavailable'))
    }
  }

  /** @throws {TokenAnswerError} where the answer is another token's */
  #keep(key: string, token: string, word: Word, sentAt: number): Introspected<T> | AnswerRefusal {
    const { said, askedAt, proof, characters } = word
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
    if (!(now() < expiresAt)) {
      this.#kept.forget(key) // what was said before is not so any more
      return answer // whether that is too late for a call is judged with the other claims
    }
    const bytes = characters * BYTES_PER_CHARACTER + token.length * BYTES_PER_TOKEN_CHARACTER
    const refreshAt = sentAt + cacheMilliseconds * REFRESH_PART * (1 - random() * JITTER)
    this.#kept.keep(key, { answer, sentAt, refreshAt, expiresAt, proof, jti, bytes })
    return answer
  }

  #failed(key: string, question: number, failure: FetchError, trouble: EndpointTrouble): () => AuthError {
    const now = this.#steadyNow()
    const subject = subjectOf(failure)
    const asked = failure instanceof StatusError ? trouble.atMost(failure.pauseMilliseconds) : 0
    trouble.failure = failure
    trouble.failed(question, key, subject, now, asked)
    const wait = trouble.waitMilliseconds(now)
    if (subject === 'endpoint') return () => trouble.unavailable(wait, failure)
    const pause = Math.max(asked, this.#environment.limits.retryAfterSeconds * 1000)
    this.#kept.pause(key, now + pause) // so long its caller is told to wait
    return () => trouble.unavailable(Math.max(pause, wait), failure)
  }
}

async function given<T>(outcome: Promise<Outcome<T>>): Promise<Introspected<T>> {
  const answer = await outcome
  if (typeof answer === 'function') throw answer()
  return answer
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
