import { oauth } from '@behalf/core/issuers'
import { resourceServer } from '@behalf/express'
import express from 'express'

/** Stands for a table of the application's own. */
const tenants = {
  findByIssuer: async (issuer: string) =>
    issuer === 'https://login.customer.example' ? { issuer: 'https://login.customer.example' } : null,
}

/** Stands for an agent of `undici`: a proxy, or one with a client certificate. */
const agentOfTheProxy = {}

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
    () => res.sendStatus(204), // who may see it, can be told api.keys.state()
    () => res.sendStatus(503),
  )
})

// #endregion ready

const proxied = resourceServer({
  issuers: [oauth({ issuer: 'https://as.example.com', audience: 'https://api.example.com' })],
  // #region fetch
  fetch: (url, init) => fetch(url, { ...init, dispatcher: agentOfTheProxy } as RequestInit),
  // #endregion fetch
})

export { app, proxied }
