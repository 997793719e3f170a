import { oauth } from '@behalf/core/issuers'
import { resourceServer } from '@behalf/express'
import express from 'express'

/** Stands for a table of the application's own. */
const tenants = {
  findByIssuer: async (issuer: string) =>
    issuer === 'https://login.customer.example' ? { issuer: 'https://login.customer.example' } : null,
}

// #region tenants
const api = resourceServer({
  issuers: async (unverifiedIss) => {
    const tenant = await tenants.findByIssuer(unverifiedIss) // your own list, compared exactly
    return tenant === null ? null : oauth({ issuer: tenant.issuer, audience: 'https://api.example.com' })
  },
})
// #endregion tenants

const app = express()
// #region ready
app.get('/ready', (_req, res) => {
  api.ready().then(
    () => res.json(api.keys.state()),
    () => res.sendStatus(503),
  )
})

// #endregion ready
export { app }
