import type { Fetch } from '../keys/fetch-json.js'
import type { KeySet } from '../keys/key-set.js'
import type { Limits } from '../limits.js'
import type { Eventual } from '../thenable.js'
import type { JsonObject } from '../token/json.js'
import type { ActorSigns } from './answer.js'

/** What an issuer said of an active token. */
export interface Introspected<T> {
  /** Frozen, without prototypes and without `active`; `iss` is always there. */
  readonly claims: JsonObject
  /** When the question was sent, in milliseconds since the epoch. */
  readonly askedAt: number
  /** What the caller made of it, kept as long as the answer; see {@link Introspector.accepted}. */
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
  /**
   * Takes note that a token was found good here, with what the caller made of the answer. What is asked about such tokens comes before what
   * is asked about all others, which strangers can send in any number.
   */
  accepted(token: string, answer: Introspected<T>, made: T): void
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
  readonly actors: ActorSigns
}
