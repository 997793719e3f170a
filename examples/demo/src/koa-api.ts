import type { ResourceServerOptions } from '@behalf/core'
import { resourceServer } from '@behalf/koa'
import Router from '@koa/router'
import Koa from 'koa'
import { listen, type RunningApi } from './listen.js'
import { callerOf } from './rules.js'

/** The Koa API, listening: the same routes as the Express API. */
export async function startKoaApi(options: ResourceServerOptions, port: number): Promise<RunningApi> {
  const api = resourceServer(options)
  const router = new Router()

  router.get('/orders', api.guard({ scopes: 'orders:read' }), (ctx) => {
    ctx.body = { orders: ['order-1', 'order-2'], caller: callerOf(ctx.state.auth) }
  })
  router.post('/orders', api.guard({ scopes: 'orders:write' }), (ctx) => {
    ctx.status = 201
    ctx.body = { created: 'order-3', caller: callerOf(ctx.state.auth) }
  })
  router.post('/orders/:id/refund', api.guard({ scopes: 'orders:refund' }), (ctx) => {
    ctx.body = { refunded: ctx.params['id'], caller: callerOf(ctx.state.auth) }
  })
  router.post('/password', api.guard({ kind: 'direct' }), (ctx) => {
    ctx.body = { changed: true, caller: callerOf(ctx.state.auth) }
  })

  const app = new Koa()
  app.use(api.authenticate()).use(router.routes()).use(router.allowedMethods())
  return listen('koa', app.callback(), port, () => api.close())
}
