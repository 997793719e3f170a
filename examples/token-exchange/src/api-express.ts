import { resourceServer } from '@behalf/express'
import '@behalf/express/request' // types req.auth
import express from 'express'
import type { ApiSurroundings } from './api-options.js'
import { apiOptions, callerOf, SECURITY_EVENTS } from './api-options.js'
import type { RunningApi } from './running-api.js'

/** The orders of a shop, with Express. */
export function createExpressApi(surroundings: ApiSurroundings): RunningApi {
  const api = resourceServer(apiOptions(surroundings))
  const app = express()
  app.use(api.metadata())
  app.post(SECURITY_EVENTS, api.securityEvents()) // no caller's token: what is pushed is signed
  app.use(api.authenticate())

  app.get('/orders', api.guard({ scopes: 'orders:read' }), (req, res) => {
    res.json(callerOf(req.auth))
  })
  app.post('/orders', api.guard({ scopes: 'orders:write' }), (req, res) => {
    res.status(201).json(callerOf(req.auth))
  })
  app.post('/orders/:id/refund', api.guard({ scopes: 'orders:refund' }), (req, res) => {
    res.json(callerOf(req.auth))
  })
  // What people have written to each other: no program reads it, whoever it acts for.
  app.get('/letters', api.guard({ scopes: 'orders:read', actor: { not: { profile: 'ai_agent' } } }), (req, res) => {
    res.json(callerOf(req.auth))
  })
  return { listener: app, revoke: (revocation) => api.revoke(revocation), close: () => api.close() }
}
