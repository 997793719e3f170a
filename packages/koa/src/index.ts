/** behalf for Koa 2 and 3. */
import type { IncomingMessage } from 'node:http'
import type { AuthContext, DelegatedContext } from '@behalf/core'
import {
  AuthError,
  type AuthenticateOptions,
  answerPush,
  attempt,
  createResourceServer,
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
import type { Context, Middleware } from 'koa'

/** What `authenticate()` adds to `ctx.state`; chains with an application's own state. */
export interface AuthState {
  /** The context. Reading it on an anonymous request throws: ask `contextOf` there. */
  readonly auth: AuthContext
}

/** Whatever stands for a request: Koa's context, or Node's request. */
export type KoaRequest = Pick<Context, 'req'> | IncomingMessage

/** A resource server for Koa. */
export interface KoaResourceServer {
  /**
   * Verifies the request's token, applies the delegation rules, records, and shows the context as `ctx.state.auth` (or
   * `contextProperty`). A second one on the same request does nothing.
   */
  authenticate(options?: AuthenticateOptions): Middleware<AuthState>
  /** A route's own requirement; `guard()` alone means "a verified call". Throws `ConfigError` here for a wrong requirement. */
  guard(...requirement: readonly [] | readonly [requirement: Requirement]): Middleware<AuthState>
  /**
   * Answers whoever asks what this API is, and who issues tokens for it (RFC 9728). Mount it at the root, before `authenticate()`. Throws
   * `ConfigError` where the option `metadata` is not given.
   */
  metadata(): Middleware
  /**
   * Receives security events that are pushed to this API (RFC 8935): `router.post('/security-events', api.securityEvents())`, before
   * `authenticate()` and body parsers. Throws `ConfigError` where the option `securityEvents` is not given.
   */
  securityEvents(): Middleware
  /** The request's context; `null` only for an anonymous call that `optional` let in. Throws `ConfigError` where `authenticate()` did not run. */
  contextOf(request: KoaRequest): AuthContext | null
  /** The same, for delegated calls only; throws `ConfigError` otherwise. */
  delegatedContextOf(request: KoaRequest): DelegatedContext
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

/**
 * Creates a resource server for Koa.
 * @throws {ConfigError} naming the option that is wrong, and the mend
 */
export function resourceServer(options: ResourceServerOptions): KoaResourceServer {
  const server = createResourceServer(options)

  /** A refusal is answered here, or thrown for Koa's own error handling: the chain ends. */
  function pass<T>(context: Context, step: () => Eventual<T>, goOn: (answer: T) => Eventual<unknown>): Eventual<unknown> {
    return attempt(step, goOn, (error) => {
      if (!(error instanceof AuthError)) throw error
      if (server.refusals === 'forward' || context.headerSent) throw forwardedRefusal(error, context.res)
      send(refusalAnswer(error, context.res), context)
    })
  }

  return {
    authenticate(authenticateOptions) {
      const step = server.authenticate(authenticateOptions)
      return (context, next) => {
        const { req } = context
        const exchange = { key: req, request: viewOf(context), response: nodeResponseView(context.res) }
        return pass(
          context,
          () => step(exchange),
          (passage) => {
            if (passage !== 'go_on') return
            exposeContext(context.state, server, req)
            return next()
          },
        )
      }
    },
    guard(...requirement) {
      const step = server.guard(...requirement) // as many arguments as were given: `guard(undefined)` is a mistake
      return (context, next) => pass(context, () => step(context.req), next)
    },
    metadata() {
      const answerTo = server.metadata()
      return (context, next) => {
        const answer = answerTo(viewOf(context))
        if (answer === null) return next()
        send(answer, context)
      }
    },
    securityEvents() {
      const receiver = server.securityEvents()
      return async (context) => {
        const answer = await answerPush(receiver, viewOf(context), context.req, bodiesOf(context))
        if (answer !== null) send(answer, context)
      }
    },
    contextOf: (request) => server.contextOf(keyOf(request)),
    delegatedContextOf: (request) => server.delegatedContextOf(keyOf(request)),
    verify: (token) => server.verify(token),
    ready: () => server.ready(),
    revoke: (revocation) => server.revoke(revocation),
    keys: server.keys,
    close: () => server.close(),
  }
}

/** Whoever has shortened the target, such as an Express application around this one, or changed the method may have kept what was sent. */
type MountedRequest = IncomingMessage & { readonly originalUrl?: string; readonly originalMethod?: string }

function viewOf(context: Context): RequestView {
  const req: MountedRequest = context.req
  const { originalUrl = context.originalUrl, originalMethod } = req
  return nodeRequestView(req, { raw: context, originalUrl, originalMethod, routeOf })
}

/** Where body parsers for Koa, and hosts of functions, leave what they have read. */
function bodiesOf({ req, request }: Context): readonly unknown[] {
  const { body, rawBody }: Bodies = request as object
  return [body, rawBody, (req as Bodies).rawBody]
}

interface Bodies {
  readonly body?: unknown
  readonly rawBody?: unknown
}

function send({ status, headers, body }: HttpAnswer, context: Context): void {
  context.status = status
  context.set({ ...headers })
  context.body = body
  if (!('content-type' in headers)) context.remove('content-type') // Koa says of what type even an empty text is
}

function keyOf(request: KoaRequest): object {
  return 'req' in request ? request.req : request
}

/** The pattern that `@koa/router` matched, with the prefixes of its routers; `null` with any other router. */
function routeOf(context: object): string | null {
  const route = (context as { readonly _matchedRoute?: unknown })._matchedRoute
  return route === undefined || route === null ? null : String(route)
}
