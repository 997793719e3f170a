import type { AuditSink, AuthContext, IssuerOptions } from '@behalf/core'
import { resourceServer } from '@behalf/express'
import '@behalf/express/request' // types req.auth
import express, { type Express } from 'express'

/** The application under test. Issuer and sink come from outside, so that a test can bring its own. */
export function createApp(issuer: IssuerOptions, sink: AuditSink): Express {
  const api = resourceServer({
    issuers: [issuer],
    delegation: [{ id: 'support-looks', kind: 'impersonation', actor: 'any', scopes: 'orders:read', methods: 'safe' }],
    audit: { sinks: [sink] },
  })
  const app = express()
  app.use(api.authenticate())
  app.get('/orders', api.guard({ scopes: 'orders:read' }), (req, res) => {
    res.json({ banner: bannerFor(req.auth), orders: [`order of ${req.auth.subject.id}`] })
  })
  app.post('/password', api.guard({ kind: 'direct' }), (_req, res) => {
    res.sendStatus(204)
  })
  return app
}

/** What stands over every page while somebody else looks at it. */
export function bannerFor({ kind, actor, subject }: AuthContext): string | null {
  if (kind === 'direct') return null
  return `${actor?.id ?? 'Somebody'} is looking at the account of ${subject.id}`
}
