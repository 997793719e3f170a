import { isDeepStrictEqual } from 'node:util'
import { LRUCache } from 'lru-cache'
import { AuthError, ConfigError } from '../errors.js'
import type { KeySetState } from '../keys/key-set.js'
import { type Eventual, inTime } from '../thenable.js'
import { type Issuer, type IssuerEnvironment, resolveIssuer } from './issuer.js'
import type { IssuerOptions } from './issuer-options.js'

/** Finds issuers by `iss`; one at a time is the issuer of a name. */
export interface IssuerRegistry {
  /**
   * The issuer of exactly this name; a promise only where the application has to be asked.
   * @throws {AuthError} `issuer_unknown`, `issuer_unavailable`
   * @throws {ConfigError} where the application answered with wrong options
   */
  find(unverifiedIss: string): Eventual<Issuer>
  /** Every issuer that is known now. */
  known(): Iterable<Issuer>
  /** Forgets what was found for a name, so that it is asked for again. Issuers that are configured stay. */
  forget(iss: string): void
  /** Ends what goes on in the background. */
  close(): void
}

/** The keys of one issuer, for people and probes. */
export interface IssuerKeyState extends KeySetState {
  /** As it is configured. */
  readonly issuer: string
}

/** Issuers that are configured as a list: every one of them is there from the start. */
export class ListedIssuers implements IssuerRegistry {
  readonly #issuers: ReadonlyMap<string, Issuer>

  constructor(issuers: ReadonlyMap<string, Issuer>) {
    this.#issuers = issuers
  }

  find(unverifiedIss: string): Issuer {
    const issuer = this.#issuers.get(unverifiedIss)
    if (issuer === undefined) throw new AuthError('issuer_unknown')
    return issuer
  }

  known(): Iterable<Issuer> {
    return this.#issuers.values()
  }

  forget(): void {}

  close(): void {
    for (const { keys, opaque, statusLists } of this.#issuers.values()) {
      keys.close()
      opaque?.introspector.close()
      statusLists?.close()
    }
  }
}

/**
 * Looks an issuer up in what the application knows; `null`: nobody. It is asked about text that anybody can write, before any
 * proof: look it up in a list of your own, and never make options from it, or every stranger who runs an issuer is trusted.
 */
export type IssuerLookup = (unverifiedIss: string) => IssuerOptions | null | Promise<IssuerOptions | null>

/** Part of the time of an issuer after which the application is asked again in the background, so that no request waits for it. */
const ASK_AGAIN_PART = 0.8

interface Entry {
  readonly issuer: Issuer
  /** Milliseconds since the epoch. */
  readonly askedAt: number
  /** When it was asked for again, maybe in vain. */
  triedAt: number
}

/** One question to the application, shared by all who wait. Never rejects: each of them gets an error of its own. */
type Question = Promise<Issuer | 'unknown' | 'unavailable' | ConfigError>

/**
 * Issuers that the application is asked for. Each answer holds for some time; unknown names are kept apart, so that a flood of
 * invented ones cannot take the place of an issuer.
 */
export class AskedIssuers implements IssuerRegistry {
  readonly #lookup: IssuerLookup
  readonly #environment: IssuerEnvironment
  readonly #entries: LRUCache<string, Entry>
  /** When a name turned out to be unknown, in milliseconds since the epoch. */
  readonly #unknown: LRUCache<string, number>
  readonly #asking = new Map<string, Question>()

  constructor(lookup: IssuerLookup, environment: IssuerEnvironment) {
    const { limits } = environment
    this.#lookup = lookup
    this.#environment = environment
    this.#entries = new LRUCache({ max: limits.issuers })
    this.#unknown = new LRUCache({ max: limits.unknownIssuers })
  }

  find(unverifiedIss: string): Eventual<Issuer> {
    const { now, limits } = this.#environment
    const entry = this.#entries.get(unverifiedIss)
    if (entry !== undefined) {
      const age = now() - entry.askedAt
      if (age >= 0 && age < limits.issuerSeconds * 1000) {
        if (age >= limits.issuerSeconds * 1000 * ASK_AGAIN_PART) this.#askAgain(unverifiedIss, entry)
        return entry.issuer
      }
    }
    if (unverifiedIss.length > limits.identifierCharacters || this.#isUnknown(unverifiedIss))
      throw new AuthError('issuer_unknown')
    return this.#answered(this.#ask(unverifiedIss))
  }

  *known(): Iterable<Issuer> {
    for (const { issuer } of this.#entries.values()) yield issuer
  }

  forget(iss: string): void {
    this.#entries.delete(iss)
    this.#unknown.delete(iss)
    this.#asking.delete(iss) // what was asked before this does not count any more
  }

  close(): void {
    for (const { keys } of this.known()) keys.close()
  }

  #isUnknown(iss: string): boolean {
    const since = this.#unknown.get(iss)
    if (since === undefined) return false
    const age = this.#environment.now() - since
    return age >= 0 && age < this.#environment.limits.unknownIssuerSeconds * 1000
  }

  async #answered(question: Question): Promise<Issuer> {
    const answer = await question
    if (answer === 'unknown') throw new AuthError('issuer_unknown')
    if (answer === 'unavailable') {
      const cause = new Error('the function issuers threw, rejected or took too long')
      throw new AuthError('issuer_unavailable', { retryAfterSeconds: this.#environment.limits.retryAfterSeconds, cause })
    }
    if (answer instanceof ConfigError) throw new ConfigError(answer.message)
    return answer
  }

  /** In the background; where that is in vain, not on every request. */
  #askAgain(iss: string, entry: Entry): void {
    const now = this.#environment.now()
    if (now - entry.triedAt < this.#environment.limits.retryAfterSeconds * 1000) return
    entry.triedAt = now
    void this.#ask(iss)
  }

  #ask(iss: string): Question {
    const earlier = this.#asking.get(iss)
    if (earlier !== undefined) return earlier
    const question: Question = this.#answerOf(iss).then((answer) => {
      if (this.#asking.get(iss) !== question) return 'unavailable' // forgotten meanwhile
      this.#asking.delete(iss)
      return this.#keep(iss, answer)
    })
    this.#asking.set(iss, question)
    return question
  }

  /** What the application says, made into an issuer. */
  async #answerOf(iss: string): Promise<Awaited<Question>> {
    const { limits } = this.#environment
    try {
      const asked = new Promise<IssuerOptions | null>((resolve) => resolve(this.#lookup(iss)))
      const options = await inTime(asked, limits.issuerLookupMilliseconds, () => {
        throw new Error('too late')
      })
      if (options === null) return 'unknown'
      const issuer = resolveIssuer(options, 'issuers(…)', this.#environment)
      return issuer.issuer === iss ? issuer : 'unknown'
    } catch (error) {
      return error instanceof ConfigError ? error : 'unavailable' // presets throw it too, inside the function
    }
  }

  #keep(iss: string, answer: Awaited<Question>): Awaited<Question> {
    const askedAt = this.#environment.now()
    if (answer === 'unknown') {
      this.#entries.delete(iss)
      this.#unknown.set(iss, askedAt)
    }
    if (typeof answer === 'string' || answer instanceof ConfigError) return answer
    const issuer = this.#withKnownKeys(answer, this.#entries.peek(iss), askedAt)
    this.#unknown.delete(iss)
    this.#entries.set(iss, { issuer, askedAt, triedAt: askedAt })
    return issuer
  }

  /** Keys stay where their place did: those of an issuer without calls only as long as they are fresh, since nobody refreshed them. */
  #withKnownKeys(answer: Issuer, entry: Entry | undefined, now: number): Issuer {
    if (entry === undefined || answer.keysFrom !== entry.issuer.keysFrom) return answer
    const inUse = now - entry.askedAt < this.#environment.limits.issuerSeconds * 1000
    if (!inUse && (entry.issuer.keys.latest?.isStale(now) ?? true)) return answer
    const { keys } = entry.issuer
    const unchanged = isDeepStrictEqual({ ...answer, keys: null }, { ...entry.issuer, keys: null })
    return unchanged ? entry.issuer : Object.freeze({ ...answer, keys })
  }
}
