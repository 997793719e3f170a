import type { AuditSink, JwkSet } from '@behalf/core'
import { asgardeo, curity } from '@behalf/core/issuers'
import { type ExpressResourceServer, resourceServer } from '@behalf/express'
import '@behalf/express/request' // types req.auth
import express, { type Express } from 'express'
import type { Customers } from './customers.js'
import type { Staff } from './staff.js'

export const CURITY = 'https://idsvr.example.com/oauth/v2/oauth-anonymous'
export const ASGARDEO = 'https://api.asgardeo.io/t/bifrost/oauth2/token'

/** What the desk is made of. */
export interface Parts {
  readonly staff: Staff
  readonly customers: Customers
  readonly sink: AuditSink
  /** The issuers' keys; in production leave `jwks` out, and they are fetched. */
  readonly jwks: JwkSet
}

/** The shop's account API, with a door for support. */
export function createDesk({ staff, customers, sink, jwks }: Parts): { app: Express; api: ExpressResourceServer } {
  const api = resourceServer({
    issuers: [
      curity({ issuer: CURITY, audience: 'test-web-api', jwks }),
      asgardeo({ organization: 'bifrost', clientIds: ['jVcW4oLn1Jjb2T94H4gtPV9z5Y0a'], jwks }),
    ],
    delegation: [
      {
        id: 'support-looks',
        kind: 'impersonation',
        issuer: [CURITY, ASGARDEO],
        actor: 'any', // whoever the issuer lets impersonate ...
        when: (context) => staff.isOnDuty(context), // ... and who is on duty here
        scopes: ['profile:read', 'orders:read'],
        methods: 'safe',
        maxLifetimeSeconds: 3600,
      },
    ],
    audit: { sinks: [sink] },
  })

  const app = express()
  app.use(express.json(), api.authenticate())
  app.get('/profile', api.guard({ scopes: 'profile:read' }), (req, res) => {
    const { name, address } = customers.of(req.auth.subject)
    res.json({ name, address })
  })
  app.put('/profile/address', api.guard({ scopes: 'profile:write' }), (req, res) => {
    customers.of(req.auth.subject).address = String(req.body.address)
    res.sendStatus(204)
  })
  app.get('/orders', api.guard({ scopes: 'orders:read' }), (req, res) => {
    res.json(customers.of(req.auth.subject).orders)
  })
  app.get('/payments', api.guard({ scopes: 'payments:read' }), (_req, res) => {
    res.json(['card ending in 4242'])
  })
  // Reading is enough to do harm here, so the method does not protect it: the customer in person, nobody else.
  app.get('/recovery-codes', api.guard({ kind: 'direct' }), (_req, res) => {
    res.json(['1234-5678'])
  })
  app.post('/password', api.guard({ kind: 'direct' }), (_req, res) => {
    res.sendStatus(204)
  })
  return { app, api }
}
