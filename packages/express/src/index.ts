/** behalf for Express 4 and 5. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import {
  ApplicationError,
  type AuthContext,
  AuthError,
  type AuthenticateOptions,
  andThen,
  answerPush,
  attempt,
  createResourceServer,
  type DelegatedContext,
  type Eventual,
  exposeContext,
  forwardedRefusal,
  type HttpAnswer,
  type KeyControl,
  nodeRequestView,
  nodeResponseView,
  type RequestView,
  type Requirement,
  type ResourceServerOptions,
  type Revocation,
  refusalAnswer,
} from '@behalf/core/adapter'

/** Express middleware, typed by Node's own request and response so that routes keep the inference of their path parameters. */
export type Middleware = (request: IncomingMessage, response: ServerResponse, next: (error?: unknown) => void) => void

/** A resource server for Express. */
export interface ExpressResourceServer {
  /**
   * Verifies the request's token, applies the delegation rules, records, and shows the context as `req.auth` (or
   * `contextProperty`). Mount it before whatever needs a verified caller; a second one on the same request does nothing.
   */
  authenticate(options?: AuthenticateOptions): Middleware
  /** A route's own requirement; `guard()` alone means "a verified call". Throws `ConfigError` here for a wrong requirement. */
  guard(...requirement: readonly [] | readonly [requirement: Requirement]): Middleware
  /**
   * Answers whoever asks what this API is, and who issues tokens for it (RFC 9728). Mount it at the root, before `authenticate()`. Throws
   * `ConfigError` where the option `metadata` is not given.
   */
  metadata(): Middleware
  /**
   * Receives security events that are pushed to this API (RFC 8935): `app.post('/security-events', api.securityEvents())`, before
   * `authenticate()` and body parsers. Throws `ConfigError` where the option `securityEvents` is not given.
   */
  securityEvents(): Middleware
  /** The request's context; `null` only for an anonymous call that `optional` let in. Throws `ConfigError` where `authenticate()` did not run. */
  contextOf(request: IncomingMessage): AuthContext | null
  /** The same, for delegated calls only; throws `ConfigError` otherwise. */
  delegatedContextOf(request: IncomingMessage): DelegatedContext
  /** Proof and context of a token, without rules, requirement or record: for WebSocket upgrades, queues, GraphQL. Throws `AuthError`. */
  verify(token: string): Promise<AuthContext>
  /** Resolves when every configured issuer has keys, and used proofs can be remembered; rejects where that is not so now. For readiness probes. */
  ready(): Promise<void>
  /**
   * Ends tokens before their time: one, or those of a grant, a session, a subject or an actor. They are refused from the next request on.
   * Resolves when that is kept; rejects with `RevocationError` where it is not. Needs the option `revocation`.
   */
  revoke(revocation: Revocation): Promise<void>
  /** The keys of the issuers: `refresh` and `evict` for emergencies, `state` to look. */
  readonly keys: KeyControl
  /** Flushes and closes the audit sinks, and waits for them without a time limit of its own. Stops timers. */
  close(): Promise<void>
}

/** What Express adds to Node's request, as far as it is read here. */
interface ExpressRequest extends IncomingMessage {
  readonly originalUrl?: string
  readonly originalMethod?: string
  readonly route?: { readonly path?: unknown }
  /** What a body parser has made of the body. */
  readonly body?: unknown
  /** Its bytes, where somebody keeps them: hosts of functions do. */
  readonly rawBody?: unknown
}

/**
 * Creates a resource server for Express.
 * @throws {ConfigError} naming the option that is wrong, and the mend
 */
export function resourceServer(options: ResourceServerOptions): ExpressResourceServer {
  const server = createResourceServer(options)

  /** Runs a step, then either goes on or answers. */
  const middleware =
    (step: (request: ExpressRequest, response: ServerResponse) => Eventual<boolean>): Middleware =>
    (request, response, next) => {
      attempt(
        () => step(request, response),
        (goOn) => goOn && next(),
        (error) => refuse(error, response, next),
      )
    }

  function refuse(error: unknown, response: ServerResponse, next: (error?: unknown) => void): void {
    const failure = errorFrom(error)
    if (!(failure instanceof AuthError) || server.refusals === 'forward' || response.headersSent) {
      next(failure instanceof AuthError ? forwardedRefusal(failure, response) : failure)
      return
    }
    try {
      send(refusalAnswer(failure, response), response)
    } catch (thrown) {
      // Another middleware's hook on the response failed: that is the application's 500, not the caller's refusal.
      if (!response.headersSent) takeBack(failure, response)
      next(errorFrom(thrown))
    }
  }

  return {
    authenticate(authenticateOptions) {
      const step = server.authenticate(authenticateOptions)
      return middleware((request, response) => {
        const view = viewOf(request)
        return andThen(step({ key: request, request: view, response: nodeResponseView(response) }), (passage) => {
          if (passage !== 'go_on') return false
          exposeContext(request, server, request)
          return true
        })
      })
    },
    guard(...requirement) {
      const step = server.guard(...requirement) // as many arguments as were given: `guard(undefined)` is a mistake
      return middleware((request) => andThen(step(request), () => true))
    },
    metadata() {
      const answerTo = server.metadata()
      return (request, response, next) => {
        const answer = answerTo(viewOf(request))
        if (answer === null) next()
        else send(answer, response)
      }
    },
    securityEvents() {
      const receiver = server.securityEvents()
      return middleware((request, response) => {
        const { body, rawBody } = request
        return andThen(answerPush(receiver, viewOf(request), request, [body, rawBody]), (answer) => {
          if (answer !== null) send(answer, response)
          return false
        })
      })
    },
    contextOf: (request) => server.contextOf(request),
    delegatedContextOf: (request) => server.delegatedContextOf(request),
    verify: (token) => server.verify(token),
    ready: () => server.ready(),
    revoke: (revocation) => server.revoke(revocation),
    keys: server.keys,
    close: () => server.close(),
  }
}

function viewOf(request: ExpressRequest): RequestView {
  return nodeRequestView(request, {
    raw: request,
    originalUrl: request.originalUrl ?? request.url ?? '',
    originalMethod: request.originalMethod,
    routeOf,
  })
}

function send({ status, headers, body }: HttpAnswer, response: ServerResponse): void {
  response.statusCode = status
  for (const [name, value] of Object.entries(headers)) response.setHeader(name, value)
  response.end(body)
}

/** Express takes a falsy error for none, and a text for a command: whatever was thrown must reach it as an error. */
function errorFrom(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new ApplicationError(thrown)
}

function takeBack(error: AuthError, response: ServerResponse): void {
  response.statusCode = 500
  for (const name of Object.keys(refusalAnswer(error).headers)) response.removeHeader(name)
}

/**
 * The pattern of the matched route, relative to its router: Express does not keep the pattern under which a router is mounted,
 * and the mounted path itself can hold identifiers.
 */
function routeOf(request: ExpressRequest): string | null {
  const path = request.route?.path
  return path === undefined || path === null ? null : String(path)
}
