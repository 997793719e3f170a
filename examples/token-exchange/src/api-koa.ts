import { resourceServer } from '@behalf/koa'
import Router from '@koa/router'
import Koa from 'koa'
import type { ApiSurroundings } from './api-options.js'
import { apiOptions, callerOf, SECURITY_EVENTS } from './api-options.js'
import type { RunningApi } from './running-api.js'

/** The same API with Koa. */
export function createKoaApi(surroundings: ApiSurroundings): RunningApi {
  const api = resourceServer(apiOptions(surroundings))
  const events = new Router().post(SECURITY_EVENTS, api.securityEvents()) // no caller's token: what is pushed is signed
  const router = new Router()

  router.get('/orders', api.guard({ scopes: 'orders:read' }), (ctx) => {
    ctx.body = callerOf(ctx.state.auth)
  })
  router.post('/orders', api.guard({ scopes: 'orders:write' }), (ctx) => {
    ctx.status = 201
    ctx.body = callerOf(ctx.state.auth)
  })
  router.post('/orders/:id/refund', api.guard({ scopes: 'orders:refund' }), (ctx) => {
    ctx.body = callerOf(ctx.state.auth)
  })
  // What people have written to each other: no program reads it, whoever it acts for.
  router.get('/letters', api.guard({ scopes: 'orders:read', actor: { not: { profile: 'ai_agent' } } }), (ctx) => {
    ctx.body = callerOf(ctx.state.auth)
  })

  const app = new Koa()
  app.use(api.metadata()).use(events.routes()).use(api.authenticate()).use(router.routes()).use(router.allowedMethods())
  return { listener: app.callback(), revoke: (revocation) => api.revoke(revocation), close: () => api.close() }
}
