/**
 * The four frameworks behind one small surface, so that one test can be run on each of them. Applications are built in words
 * that all of them understand; whatever only one framework has is reached through `application`.
 */
import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from 'node:http'
import { createRequire } from 'node:module'
import type { AddressInfo } from 'node:net'
import type { Readable } from 'node:stream'
import type {
  AuthContext,
  DelegatedContext,
  KeyControl,
  Requirement,
  ResourceServerOptions,
  Revocation,
} from '@behalf/core/adapter'
import { resourceServer as expressServer } from '@behalf/express'
import { resourceServer as koaServer } from '@behalf/koa'
import Router from '@koa/router'
import express5, { type ErrorRequestHandler, type Express, type Request, type RequestHandler, type Response } from 'express'
import Koa3, { type Context, type Middleware } from 'koa'

const require = createRequire(import.meta.url)
// The aliases of the older majors have no types of their own; what is used here is the same in both.
const express4 = require('express4') as typeof express5
const Koa2 = require('koa2') as typeof Koa3
const compose = require('koa-compose') as (layers: readonly Middleware[]) => Middleware

type FrameworkName = 'Express 4' | 'Express 5' | 'Koa 2' | 'Koa 3'

/** A framework's own middleware, opaque to tests. */
type Layer = object

/** One request in a handler, the same for every framework. */
interface Call {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  /** Express's request, Koa's context. */
  readonly raw: object
  /** Where the framework shows the context: Express's request, Koa's state. */
  readonly shown: Record<string, unknown>
  json(value: unknown, status?: number): void
  stream(body: Readable): void
  /** What a method-override middleware does. */
  overrideMethod(method: string): void
}

/** What both adapters have in common. */
export interface TestServer {
  authenticate(options?: { readonly optional?: boolean }): Layer
  guard(requirement?: Requirement): Layer
  metadata(): Layer
  securityEvents(): Layer
  contextOf(request: IncomingMessage): AuthContext | null
  delegatedContextOf(request: IncomingMessage): DelegatedContext
  verify(token: string): Promise<AuthContext>
  revoke(revocation: Revocation): Promise<void>
  readonly keys: KeyControl
  close(): Promise<void>
}

/** An application, or a router in one. */
interface Routes {
  use(...layers: readonly Layer[]): Routes
  route(method: string, path: string, ...layers: readonly Layer[]): Routes
  /** A router of its own under a prefix. */
  router(prefix: string, build: (routes: Routes) => void): Routes
}

export interface Application extends Routes {
  /** A whole application mounted under a prefix. */
  mount(prefix: string, build: (app: Routes) => void): Application
  /** Believes what proxies say about the client, as far as the framework can. */
  trustProxy(): Application
  /** What a server in production does with errors that reach it. */
  production(): Application
  /** Errors that reached the application's error handling. */
  readonly errors: readonly unknown[]
  /** Node's request listener of everything that was built. */
  listener(): RequestListener
}

export interface Framework {
  readonly name: FrameworkName
  readonly family: 'express' | 'koa'
  resourceServer(options: ResourceServerOptions): TestServer
  application(): Application
  handler(handle: (call: Call) => unknown): Layer
  /** Middleware of an application's own: goes on after `act`. */
  step(act: (call: Call) => unknown): Layer
}

/** A server on a port of this machine. */
interface Listening {
  readonly port: number
  readonly url: string
  readonly server: Server
  close(): Promise<void>
}

export const FRAMEWORKS: readonly Framework[] = [
  expressFramework('Express 4', express4),
  expressFramework('Express 5', express5),
  koaFramework('Koa 2', Koa2),
  koaFramework('Koa 3', Koa3),
]

async function listen(listener: RequestListener): Promise<Listening> {
  const server = createServer(listener)
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(0, '127.0.0.1', resolve)
  })
  const { port } = server.address() as AddressInfo
  return {
    port,
    url: `http://127.0.0.1:${port}`,
    server,
    close: () =>
      new Promise((resolve, reject) => {
        server.close((error) => (error ? reject(error) : resolve()))
        server.closeAllConnections()
      }),
  }
}

/** The same API on one framework, listening. */
export interface RunningApi extends Listening {
  readonly framework: Framework
  readonly api: TestServer
  readonly app: Application
}

/**
 * Starts an API on a framework.
 * @param build adds middleware and routes; without it, `authenticate()` and a `GET /` that answers with the context
 */
export async function startApi(
  framework: Framework,
  options: ResourceServerOptions,
  build: (app: Application, api: TestServer, framework: Framework) => void = whoAmI,
): Promise<RunningApi> {
  const api = framework.resourceServer(options)
  const app = framework.application()
  build(app, api, framework)
  return { framework, api, app, ...(await listen(app.listener())) }
}

/** Starts the same API on all four frameworks; options may differ, for example by their sink. */
export async function startOnAll(
  options: (framework: Framework) => ResourceServerOptions,
  build?: (app: Application, api: TestServer, framework: Framework) => void,
): Promise<readonly RunningApi[]> {
  return Promise.all(FRAMEWORKS.map((framework) => startApi(framework, options(framework), build)))
}

export async function closeAll(servers: Iterable<{ close(): Promise<void> }>): Promise<void> {
  await Promise.all([...servers].map((server) => server.close()))
}

function whoAmI(app: Application, api: TestServer, framework: Framework): void {
  app.use(api.authenticate())
  app.route(
    'GET',
    '/',
    framework.handler((call) => call.json(api.contextOf(call.request))),
  )
}

function expressFramework(name: FrameworkName, express: typeof express5): Framework {
  const callOf = (request: Request, response: Response): Call => ({
    request,
    response,
    raw: request,
    shown: request as unknown as Record<string, unknown>,
    json: (value, status = 200) => void response.status(status).json(value),
    stream: (body) => void body.pipe(response),
    overrideMethod(method) {
      Object.assign(request, { originalMethod: request.method })
      request.method = method
    },
  })
  const layers = (each: readonly Layer[]) => each as readonly RequestHandler[]
  const routesOf = (router: Pick<Express, 'use' | 'all'>): Routes => {
    const routes: Routes = {
      use(...each) {
        router.use(...layers(each))
        return routes
      },
      route(method, path, ...each) {
        const add = (router as unknown as Record<string, (path: string, ...each: readonly RequestHandler[]) => void>)[
          method.toLowerCase()
        ]
        add?.call(router, path, ...layers(each))
        return routes
      },
      router(prefix, build) {
        const inner = express.Router()
        build(routesOf(inner as unknown as Express))
        router.use(prefix, inner)
        return routes
      },
    }
    return routes
  }
  return {
    name,
    family: 'express',
    resourceServer: expressServer as unknown as Framework['resourceServer'],
    application() {
      const app = express()
      const errors: unknown[] = []
      const noteError: ErrorRequestHandler = (error, _request, _response, next) => {
        errors.push(error)
        next(error)
      }
      const application: Application = {
        ...routesOf(app),
        errors,
        mount(prefix, build) {
          const sub = express()
          build(routesOf(sub))
          app.use(prefix, sub)
          return application
        },
        trustProxy() {
          app.set('trust proxy', true)
          return application
        },
        production() {
          app.set('env', 'production')
          return application
        },
        listener() {
          app.use(noteError)
          return app as RequestListener
        },
      }
      return application
    },
    // Express 4 does not look at a handler's promise, so its applications hand rejections on themselves.
    handler: (handle) =>
      (async (request, response, next) => {
        if (name === 'Express 5') return await handle(callOf(request, response))
        try {
          return await handle(callOf(request, response))
        } catch (error) {
          next(error)
        }
      }) satisfies RequestHandler,
    step: (act) =>
      ((request, response, next) => {
        act(callOf(request, response))
        next()
      }) satisfies RequestHandler,
  }
}

function koaFramework(name: FrameworkName, Koa: typeof Koa3): Framework {
  const callOf = (context: Context): Call => ({
    request: context.req,
    response: context.res,
    raw: context,
    shown: context.state,
    json(value, status = 200) {
      context.status = status
      context.type = 'application/json'
      context.body = JSON.stringify(value)
    },
    stream(body) {
      context.body = body
    },
    overrideMethod(method) {
      Object.assign(context.req, { originalMethod: context.method })
      context.method = method
    },
  })
  const layers = (each: readonly Layer[]) => each as readonly Middleware[]
  type RouterLayer = Parameters<Router['use']>[0]
  /** A router's own routes, or (without one) those of an application, each in a router of its own. */
  const routesOf = (use: (layer: Middleware) => void, router: Router | null): Routes => {
    const routes: Routes = {
      use(...each) {
        for (const layer of layers(each)) use(layer)
        return routes
      },
      route(method, path, ...each) {
        const into = router ?? new Router()
        into.register(path, [method.toUpperCase()], [...layers(each)] as unknown as RouterLayer[])
        if (router === null) use(into.routes() as unknown as Middleware)
        return routes
      },
      router(prefix, build) {
        const inner = new Router({ prefix })
        build(routesOf((layer) => inner.use(layer as unknown as RouterLayer), inner))
        use(inner.routes() as unknown as Middleware)
        return routes
      },
    }
    return routes
  }
  return {
    name,
    family: 'koa',
    resourceServer: koaServer as unknown as Framework['resourceServer'],
    application() {
      const app = new Koa()
      const errors: unknown[] = []
      app.on('error', (error: unknown) => errors.push(error))
      const application: Application = {
        ...routesOf((layer) => app.use(layer), null),
        errors,
        mount(prefix, build) {
          const inner = new Koa()
          build(routesOf((layer) => inner.use(layer), null))
          app.use(mounted(prefix, compose(inner.middleware)))
          return application
        },
        trustProxy() {
          app.proxy = true
          return application
        },
        production() {
          app.env = 'production'
          return application
        },
        listener: () => app.callback() as RequestListener,
      }
      return application
    },
    handler: (handle) => (async (context) => void (await handle(callOf(context)))) satisfies Middleware,
    step: (act) =>
      (async (context, next) => {
        act(callOf(context))
        await next()
      }) satisfies Middleware,
  }
}

/** What `koa-mount` does: the inner application sees its own part of the path. */
function mounted(prefix: string, inner: Middleware): Middleware {
  return async (context, next) => {
    const outside = context.path
    if (!outside.startsWith(`${prefix}/`)) return next()
    const inside = outside.slice(prefix.length)
    context.path = inside
    await inner(context, async () => {
      context.path = outside
      await next()
      context.path = inside
    })
    context.path = outside
  }
}
