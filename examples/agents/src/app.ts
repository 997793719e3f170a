import { type AuditSink, type IssuerOptions, partyKey } from '@behalf/core'
import { type KoaResourceServer, resourceServer } from '@behalf/koa'
import Router from '@koa/router'
import Koa from 'koa'

/** An API that people use in person, and through their agents. */
export function createApp(issuer: IssuerOptions, sink: AuditSink): { app: Koa; api: KoaResourceServer } {
  const api = resourceServer({
    issuers: [issuer],
    // From narrow to wide: the first rule that fits decides.
    delegation: [
      {
        id: 'reports',
        kind: 'delegation',
        actor: { id: 'reporting-agent', profile: 'ai_agent' },
        scopes: 'orders:read',
        methods: 'safe',
      },
      {
        id: 'agents',
        kind: 'delegation',
        actor: { profile: 'ai_agent' },
        scopes: 'orders:*',
        exceptScopes: 'orders:refund', // money goes back by a person's decision
        maxDepth: 2, // an agent may hand on to one other
      },
    ],
    audit: { sinks: [sink] },
  })

  const router = new Router()
  router.get('/orders', api.guard({ scopes: 'orders:read' }), (ctx) => {
    const { subject, chain, scopes } = ctx.state.auth
    ctx.body = { ordersOf: subject.id, through: chain.map(({ id }) => id), scopes }
  })
  router.post('/orders', api.guard({ scopes: 'orders:write' }), (ctx) => {
    ctx.status = 201
    ctx.body = { orderedFor: ctx.state.auth.subject.id }
  })
  router.post('/orders/:id/refund', api.guard({ scopes: 'orders:refund' }), (ctx) => {
    ctx.body = { refunded: ctx.params['id'] }
  })
  // An inbox belongs to one agent and one person together; neither sees it without the other.
  const inboxes = new Map<string, string[]>()
  router.get('/agent/inbox', api.guard({ kind: 'delegation', actor: { profile: 'ai_agent' } }), (ctx) => {
    const { actor, subject } = api.delegatedContextOf(ctx)
    if (actor.id === null) throw new Error('unreachable: an unnamed actor has no profile') // only so that its type is known
    const key = JSON.stringify([partyKey(actor), partyKey(subject)])
    const inbox = inboxes.get(key) ?? [`welcome, ${actor.id} for ${subject.id}`]
    inboxes.set(key, inbox)
    ctx.body = inbox
  })

  const app = new Koa()
  app.use(api.authenticate()).use(router.routes()).use(router.allowedMethods())
  return { app, api }
}
