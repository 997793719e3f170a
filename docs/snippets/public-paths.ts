import { oauth } from '@behalf/core/issuers'
import { resourceServer } from '@behalf/express'
import express from 'express'

const api = resourceServer({ issuers: [oauth({ issuer: 'https://as.example.com', audience: 'https://api.example.com' })] })
const app = express()

// #region router
app.get('/health', (_req, res) => res.json({ ok: true })) // before authenticate(): public

const orders = express.Router()
orders.use(api.authenticate())
orders.get('/', api.guard({ scopes: 'orders:read' }), (_req, res) => res.json([]))
app.use('/orders', orders)
// #endregion router

// #region optional
app.get('/catalogue', api.authenticate({ optional: true }), (req, res) => {
  const context = api.contextOf(req) // null for an anonymous call
  res.json({ prices: context === null ? 'list' : `for ${context.subject.id}` })
})
// #endregion optional

// #region preflight
app.options('/invoices', (_req, res) => {
  res.set({ 'access-control-allow-origin': 'https://shop.example.com', 'access-control-allow-headers': 'authorization' })
  res.sendStatus(204)
})
app.get('/invoices', api.authenticate(), api.guard(), (_req, res) => res.json([]))

// #endregion preflight

export { api, app }
