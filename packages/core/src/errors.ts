import { type ChallengeOffer, challengeOf, detailOf, type RefusalCode, type Scheme, type StepUp, statusOf } from './challenge.js'
import { EXPOSE, exposing } from './exposed-headers.js'

/** What a refusal says beside its code. Nothing in it comes from a request. */
export interface RefusalDetails {
  /** Scopes the route asks for (our own configuration), for the challenges of `scope_insufficient` and `step_up_required`. */
  readonly scopes?: readonly string[]
  /** What the route asks of the user's login (our own configuration), for the challenge of `step_up_required`. */
  readonly stepUp?: StepUp
  /** For 503: what the caller is told to wait, in seconds. */
  readonly retryAfterSeconds?: number
  /** Our own error, with a fixed text; never a library's. */
  readonly cause?: Error
  /** What the server offers in its challenges; default: the scheme `Bearer` alone. */
  readonly offer?: ChallengeOffer
  /** The scheme with which the token came. Default `Bearer`. */
  readonly scheme?: Scheme
  /** A nonce for the client's next proof (RFC 9449 8.2). */
  readonly nonce?: string
  /** What the application says already of header fields that scripts of other origins may read. */
  readonly exposed?: string
}

/**
 * A refused request. Its texts are fixed: no member at any depth holds text of the token or the request.
 *
 * `status`, `headers` and `expose` are what Express's and Koa's own error handlers read, so that a forwarded refusal keeps its challenge.
 */
export class AuthError extends Error {
  override readonly name = 'AuthError'
  /** Stable reason; see `docs/errors.md`. */
  readonly code: RefusalCode
  /** HTTP status: 400, 401, 403, or 503 where the trouble is on our side. */
  readonly status: number
  /** The `WWW-Authenticate` value, or `null` where the refusal has none. */
  readonly challenge: string | null
  /** Header fields of the answer, names in lower case. */
  readonly headers: Readonly<Record<string, string>>
  /** The message may be shown to the caller: it is a fixed text. */
  readonly expose = true
  readonly #details: RefusalDetails

  constructor(code: RefusalCode, details: RefusalDetails = {}) {
    super(detailOf(code), details.cause === undefined ? undefined : { cause: details.cause })
    this.code = code
    this.status = statusOf(code)
    this.#details = details
    this.challenge = challengeOf(code, details.scopes ?? [], details.offer, details.scheme, details.stepUp)
    const headers: Record<string, string> = { 'cache-control': 'no-store' }
    if (this.challenge !== null) headers['www-authenticate'] = this.challenge
    if (details.retryAfterSeconds !== undefined) headers['retry-after'] = String(details.retryAfterSeconds)
    if (details.nonce !== undefined) headers['dpop-nonce'] = details.nonce
    const unreadable = [
      ...(this.challenge === null ? [] : ['WWW-Authenticate']),
      ...(details.nonce === undefined ? [] : ['DPoP-Nonce']),
    ]
    if (details.offer !== undefined && unreadable.length > 0) headers[EXPOSE] = exposing(details.exposed ?? null, unreadable)
    this.headers = Object.freeze(headers)
  }

  /** The same refusal for another request: what an application writes on one of them is not seen on the other. */
  again(): AuthError {
    return new AuthError(this.code, this.#details)
  }

  /** The same refusal, to be sent with a response that has `Access-Control-Expose-Headers` already. For adapters. */
  beside(exposed: string | null): AuthError {
    return exposed === null || this.headers[EXPOSE] === undefined ? this : new AuthError(this.code, { ...this.#details, exposed })
  }

  /** The same refusal, as a server tells it. For adapters and the server itself. */
  toldBy(offer: ChallengeOffer, scheme: Scheme, nonce: string | null): AuthError {
    return new AuthError(this.code, { ...this.#details, offer, scheme, ...(nonce !== null && { nonce }) })
  }
}

/**
 * A function of the application failed where it was asked about a request: status 500, whatever the function threw. What it
 * threw is the `cause`, for the application's own logs; the message is a fixed text.
 */
export class ApplicationError extends Error {
  override readonly name = 'ApplicationError'
  readonly code = 'application_failed'
  readonly status = 500
  readonly expose = false

  constructor(cause: unknown) {
    super('a function of the application failed while the request was authenticated', { cause })
  }
}

/**
 * A mistake in the application's configuration or wiring: thrown when something is created, or, where it can only be seen
 * at a request (a guard without `authenticate()`), as status 500 - never as a 401. The message names the option and the mend.
 */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
  readonly code = 'config_invalid'
  readonly status = 500
  readonly expose = false
}
