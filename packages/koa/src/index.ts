/** behalf for Koa 2 and 3. */
import type { IncomingMessage } from 'node:http'
import type { AuthContext, DelegatedContext } from '@behalf/core'
import {
  AuthError,
  type AuthenticateOptions,
  createResourceServer,
  exposeContext,
  nodeRequestView,
  nodeResponseView,
  type Requirement,
  type ResourceServerOptions,
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
  /** The request's context; `null` only for an anonymous call that `optional` let in. Throws `ConfigError` where `authenticate()` did not run. */
  contextOf(request: KoaRequest): AuthContext | null
  /** The same, for delegated calls only; throws `ConfigError` otherwise. */
  delegatedContextOf(request: KoaRequest): DelegatedContext
  /** Proof and context of a token, without rules, requirement or record: for WebSocket upgrades, queues, GraphQL. Throws `AuthError`. */
  verify(token: string): Promise<AuthContext>
  /** Flushes and closes the audit sinks, and waits for them without a time limit of its own. */
  close(): Promise<void>
}

/**
 * Creates a resource server for Koa.
 * @throws {ConfigError} naming the option that is wrong, and the mend
 */
export function resourceServer(options: ResourceServerOptions): KoaResourceServer {
  const server = createResourceServer(options)

  /** A refusal is answered here, or thrown for Koa's own error handling; `false`: the chain ends. */
  async function pass(context: Context, step: () => Promise<boolean>): Promise<boolean> {
    try {
      return await step()
    } catch (error) {
      if (!(error instanceof AuthError) || server.refusals === 'forward' || context.headerSent) throw error
      const { status, headers, body } = refusalAnswer(error)
      context.status = status
      context.set({ ...headers })
      context.body = body
      return false
    }
  }

  return {
    authenticate(authenticateOptions) {
      const step = server.authenticate(authenticateOptions)
      return async (context, next) => {
        const { req } = context
        const request = nodeRequestView(req, {
          raw: context,
          originalUrl: context.originalUrl,
          originalMethod: originalMethodOf(req),
          route: () => routeOf(context),
        })
        const exchange = { key: req, request, response: nodeResponseView(context.res) }
        const goOn = await pass(context, async () => (await step(exchange)) === 'go_on')
        if (!goOn) return
        exposeContext(context.state, server.contextProperty, () => server.contextOf(req))
        await next()
      }
    },
    guard(...requirement) {
      const step = server.guard(...requirement) // as many arguments as were given: `guard(undefined)` is a mistake
      return async (context, next) => {
        const goOn = await pass(context, async () => {
          await step(context.req)
          return true
        })
        if (goOn) await next()
      }
    },
    contextOf: (request) => server.contextOf(keyOf(request)),
    delegatedContextOf: (request) => server.delegatedContextOf(keyOf(request)),
    verify: (token) => server.verify(token),
    close: () => server.close(),
  }
}

function keyOf(request: KoaRequest): object {
  return 'req' in request ? request.req : request
}

function originalMethodOf(request: IncomingMessage & { readonly originalMethod?: string }): string | undefined {
  return request.originalMethod
}

/** The pattern that `@koa/router` matched, with the prefixes of its routers; `null` with any other router. */
function routeOf(context: object): string | null {
  const route = (context as { readonly _matchedRoute?: unknown })._matchedRoute
  return route === undefined || route === null ? null : String(route)
}
