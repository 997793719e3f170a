/** The Koa example of the README. */
// #region first
import { oauth } from '@behalf/core/issuers'
import { resourceServer } from '@behalf/koa'
import { pinoSink } from '@behalf/pino'
import Router from '@koa/router'
import Koa from 'koa'
import { pino } from 'pino'

const api = resourceServer({
  issuers: [oauth({ issuer: 'https://as.example.com', audience: 'https://api.example.com' })],
  delegation: [{ id: 'agents', kind: 'delegation', actor: { profile: 'ai_agent' }, scopes: 'orders:*', methods: 'safe' }],
  audit: { sinks: [pinoSink(pino())] },
})

const app = new Koa()
const router = new Router()
router.get('/orders', api.guard({ scopes: 'orders:read' }), (ctx) => {
  const { subject, actor } = ctx.state.auth
  ctx.body = { subject: subject.id, actor: actor?.id ?? null }
})
app.use(api.authenticate()).use(router.routes())

// #endregion first

export { api, app }
