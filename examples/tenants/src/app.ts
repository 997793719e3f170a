import { oauth } from '@behalf/core/issuers'
import { type ExpressResourceServer, resourceServer } from '@behalf/express'
import '@behalf/express/request' // types req.auth
import express, { type Express } from 'express'
import type { Tenants } from './tenants.js'

/** What the API is made of. */
export interface Parts {
  readonly tenants: Tenants
  /** For test issuers, which are on loopback. In production leave `discovery` out: a tenant must not point this server at its neighbours. */
  readonly allowPrivateAddresses: boolean
}

/** Notes of many tenants, each with an issuer of its own. */
export function createNotes({ tenants, allowPrivateAddresses }: Parts): {
  app: Express
  api: ExpressResourceServer
  offboard: (issuer: string) => void
} {
  const api = resourceServer({
    // The argument is anybody's text. It finds a row or none, and no option is made from it: see the README.
    issuers: async (unverifiedIss) => {
      const tenant = await tenants.byIssuer(unverifiedIss)
      return tenant === null ? null : oauth({ issuer: tenant.issuer, audience: tenant.audience })
    },
    discovery: { allowPrivateAddresses },
  })

  const app = express()

  // Before authenticate(): probes bring no token. It tells how many, not who: anybody can ask.
  app.get('/ready', async (_req, res) => {
    const ready = await api.ready().then(
      () => true,
      () => false,
    )
    const keys = api.keys.state()
    res.status(ready ? 200 : 503).json({ ready, issuers: keys.length, stale: keys.filter(({ stale }) => stale).length })
  })

  app.use(api.authenticate())
  app.get('/notes', api.guard({ scopes: 'notes:read' }), async (req, res) => {
    // The issuer of a verified token: from here on it says which tenant this is.
    const tenant = await tenants.byIssuer(req.auth.token.issuer)
    res.json({ tenant: tenant?.name, reader: req.auth.subject.id, notes: tenant?.notes })
  })

  return {
    app,
    api,
    /** The row goes first: whoever is asked about after that finds none. Then what was known from it goes, tokens included. */
    offboard(issuer) {
      tenants.remove(issuer)
      api.keys.evict(issuer)
    },
  }
}
