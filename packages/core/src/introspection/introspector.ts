import { hash } from 'node:crypto'
import { AuthError } from '../errors.js'
import { AnswerError, type Fetch, FetchError } from '../keys/fetch-json.js'
import type { KeySet } from '../keys/key-set.js'
import type { Limits } from '../limits.js'
import type { Eventual } from '../thenable.js'
import { isObject, type JsonObject, parseStrictJson } from '../token/json.js'
import { judgeAnswer } from './answer.js'
import { askEndpoint, type EndpointOptions, StatusError, subjectOf } from './endpoint.js'
import { EndpointTrouble } from './endpoint-trouble.js'
import { type IntrospectionSettings, readIntrospectionOptions } from './introspection-options.js'
import { KeptAnswers } from './kept-answers.js'
import { type AnswerProof, proveAnswer, type SignedAnswerPolicy, stillProves } from './signed-answer.js'
import { SteadyClock } from './steady-clock.js'

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
  readonly #endpoint: EndpointOptions
  /** `null`: answers are not signed. */
  readonly #signing: SignedAnswerPolicy | null
  readonly #trouble: EndpointTrouble
  readonly #kept: KeptAnswers<Introspected<T>>
  readonly #clock = new SteadyClock()
  readonly #underWay = new Map<string, Question<T>>()
  /** Why the last question failed. */
  #failure = new FetchError('the endpoint is not asked again yet')
  #closed = false

  constructor(settings: IntrospectionSettings, environment: IntrospectionEnvironment) {
    const { audience } = settings
    const { limits, random } = environment
    this.#settings = settings
    this.#environment = environment
    this.#endpoint = { ...settings, ...environment, mediaType: audience === null ? JSON_TYPE : SIGNED_TYPE }
    this.#signing = audience === null ? null : { ...environment, audience }
    this.#trouble = new EndpointTrouble(limits, random)
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
    if (refused?.reason === 'introspection_unavailable') throw this.#unavailable(this.#failure, refused.until - steadyNow)
    if (refused !== undefined) throw new AuthError(refused.reason)
    const question = this.#underWay.get(key)
    if (question === undefined) return this.#send(key, token, steadyNow)
    // Who joins a question believes its answer for as long as anybody else: since it was sent.
    if (steadyNow - question.sentAt < this.#settings.cacheMilliseconds) return question.answer
    return this.#askNext(key, token, question)
  }

  close(): void {
    this.#closed = true
  }

  #steadyNow(): number {
    return this.#clock.at(this.#environment.now())
  }

  /** One more question for all who came after the one under way was sent: the first of them sends it. */
  #askNext(key: string, token: string, { answer }: Question<T>): Promise<Introspected<T>> {
    const ask = () => this.#underWay.get(key)?.answer ?? this.#send(key, token, this.#steadyNow())
    return answer.then(ask, ask)
  }

  /** In the background: nobody waits, and a failure changes nothing until the answer's time is over. */
  #refresh(key: string, token: string, steadyNow: number): void {
    if (this.#closed || this.#underWay.has(key) || this.#kept.refusal(key, steadyNow) !== undefined) return
    if (this.#trouble.waitMilliseconds(steadyNow) > 0 || this.#underWay.size >= MOST_QUESTIONS) return
    this.#send(key, token, steadyNow).catch(() => {})
  }

  #send(key: string, token: string, sentAt: number): Promise<Introspected<T>> {
    const wait = this.#trouble.waitMilliseconds(sentAt)
    if (wait > 0) throw this.#unavailable(this.#failure, wait)
    const most = this.#kept.active(key) === undefined ? MOST_QUESTIONS - RESERVED_QUESTIONS : MOST_QUESTIONS
    if (this.#underWay.size >= most) throw this.#unavailable(new FetchError('too many questions are under way'), 0)
    const answer = this.#answered(key, token, sentAt).finally(() => this.#underWay.delete(key))
    this.#underWay.set(key, { sentAt, answer })
    return answer
  }

  async #answered(key: string, token: string, sentAt: number): Promise<Introspected<T>> {
    const question = this.#trouble.sends()
    try {
      const answer = await this.#answer(key, token, sentAt)
      this.#trouble.succeeded()
      if (typeof answer !== 'string') return answer
      const until = sentAt + Math.min(this.#settings.cacheMilliseconds, MOST_REFUSED_MILLISECONDS)
      this.#kept.refuse(key, { reason: answer, until })
      throw new AuthError(answer)
    } catch (error) {
      if (error instanceof AuthError) throw error // a refusal; or the trouble of the issuer's keys
      // Nothing of a library's error goes on: it can quote what it could not read.
      throw this.#failed(key, question, error instanceof FetchError ? error : new FetchError('the answer could not be read'))
    }
  }

  /** Asks, proves, judges and keeps; or says why the token is refused. */
  async #answer(key: string, token: string, sentAt: number) {
    const { now, issuer, limits, random } = this.#environment
    const { cacheMilliseconds, takesUntyped } = this.#settings
    const askedAt = now()
    const text = await askEndpoint(token, this.#endpoint)
    const { answer, proof } = await this.#read(text, askedAt)
    const claims = judgeAnswer(answer, token, { issuer, takesUntyped, limits })
    if (typeof claims === 'string') return claims
    const jti = typeof claims['jti'] === 'string' ? claims['jti'] : null
    if (jti !== null && this.#kept.isTaken(jti, key)) throw new AnswerError('the answer is about another token')
    const introspected: Introspected<T> = { claims, askedAt, made: null }
    const expiresAt = expiryOf(claims)
    if (now() >= expiresAt) return introspected // whether that is too late for a call is judged with the other claims
    this.#kept.keep(key, {
      answer: introspected,
      sentAt,
      refreshAt: sentAt + cacheMilliseconds * REFRESH_PART * (1 - random() * JITTER),
      expiresAt,
      proof,
      jti,
      characters: text.length,
    })
    return introspected
  }

  async #read(text: string, askedAt: number): Promise<{ readonly answer: JsonObject; readonly proof: AnswerProof | null }> {
    if (this.#signing !== null) return proveAnswer(text, askedAt, this.#signing)
    const answer = parseStrictJson(text, this.#environment.limits.jsonDepth)
    if (!isObject(answer)) throw new AnswerError('the answer is not a JSON object')
    return { answer, proof: null }
  }

  #failed(key: string, question: number, failure: FetchError): AuthError {
    const now = this.#steadyNow()
    const subject = subjectOf(failure)
    this.#failure = failure
    this.#trouble.failed(question, subject, now, failure instanceof StatusError ? failure.pauseMilliseconds : 0)
    const pause = subject === 'endpoint' ? 0 : this.#environment.limits.retryAfterSeconds * 1000
    if (pause > 0) this.#kept.pause(key, now + pause) // so long its caller is told to wait
    return this.#unavailable(failure, this.#trouble.waitMilliseconds(now))
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

/** An `exp` that is no time ends the answer at once; the claim checks refuse it. */
function expiryOf({ exp }: JsonObject): number {
  if (exp === undefined) return Number.POSITIVE_INFINITY
  return typeof exp === 'number' ? exp * 1000 : Number.NEGATIVE_INFINITY
}
