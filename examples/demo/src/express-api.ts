import type { ResourceServerOptions } from '@behalf/core'
import { resourceServer } from '@behalf/express'
import '@behalf/express/request' // types req.auth
import express from 'express'
import { listen, type RunningApi } from './listen.js'
import { callerOf } from './rules.js'

/** The Express API, listening. */
export async function startExpressApi(options: ResourceServerOptions, port: number): Promise<RunningApi> {
  const api = resourceServer(options)
  const app = express()
  app.use(api.authenticate())

  app.get('/orders', api.guard({ scopes: 'orders:read' }), (req, res) => {
    res.json({ orders: ['order-1', 'order-2'], caller: callerOf(req.auth) })
  })
  app.post('/orders', api.guard({ scopes: 'orders:write' }), (req, res) => {
    res.status(201).json({ created: 'order-3', caller: callerOf(req.auth) })
  })
  app.post('/orders/:id/refund', api.guard({ scopes: 'orders:refund' }), (req, res) => {
    res.json({ refunded: req.params.id, caller: callerOf(req.auth) })
  })
  app.post('/password', api.guard({ kind: 'direct' }), (req, res) => {
    res.json({ changed: true, caller: callerOf(req.auth) })
  })

  return listen('express', app, port, () => api.close())
}
