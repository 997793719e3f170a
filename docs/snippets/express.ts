/** The first example of the README. */
// #region first
import { oauth } from '@behalf/core/issuers'
import { resourceServer } from '@behalf/express'
import { pinoSink } from '@behalf/pino'
import '@behalf/express/request' // types req.auth
import express from 'express'
import { pino } from 'pino'

const api = resourceServer({
  issuers: [oauth({ issuer: 'https://as.example.com', audience: 'https://api.example.com' })],
  delegation: [
    {
      id: 'agents',
      kind: 'delegation',
      actor: { profile: 'ai_agent' },
      scopes: 'orders:*',
      exceptScopes: 'orders:refund',
      methods: 'safe',
    },
  ],
  audit: { sinks: [pinoSink(pino())] },
})

const app = express()
app.use(api.authenticate())
app.get('/orders', api.guard({ scopes: 'orders:read' }), (req, res) => {
  const { subject, actor } = req.auth
  res.json({ subject: subject.id, actor: actor?.id ?? null })
})
app.post('/password', api.guard({ kind: 'direct' }), (_req, res) => {
  res.sendStatus(204)
})

// #endregion first

export { api, app }
