/**
 * The API, a process of its own: it logs to stdout, and its audit events stand between its other log lines.
 * Usage: node dist/api.js ISSUER AUDIENCE. SIGTERM ends it, after its last events are written.
 */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { bestEffort, iterableSink } from '@behalf/core'
import { oauth } from '@behalf/core/issuers'
import { resourceServer } from '@behalf/express'
import { pinoSink } from '@behalf/pino'
import express from 'express'
import { pino } from 'pino'
import { watchRefusals } from './watch.js'

const [issuer, audience] = process.argv.slice(2)
if (issuer === undefined || audience === undefined) throw new Error('usage: node dist/api.js ISSUER AUDIENCE')

const logger = pino()
/** A copy for a consumer in this process. It must never stop a call, so it is only tried. */
const copy = iterableSink({ maxQueuedEvents: 1000 })

const api = resourceServer({
  issuers: [oauth({ issuer, audience })],
  delegation: [{ id: 'helpers', kind: 'delegation', actor: 'any', scopes: ['orders:read', 'orders:write'] }],
  audit: { sinks: [pinoSink(logger), bestEffort(copy)] },
})

const app = express()
app.use(api.authenticate())
app.get('/orders', api.guard({ scopes: 'orders:read' }), (_req, res) => {
  logger.info('reading orders')
  res.json([])
})
app.post('/orders', api.guard({ scopes: 'orders:write' }), (_req, res) => {
  res.sendStatus(500) // out of order today, as the outcome will say
})
app.post('/password', api.guard({ kind: 'direct' }), (_req, res) => {
  res.sendStatus(204)
})

const watching = watchRefusals(copy, (alarm) => logger.error(alarm, 'many refusals'))
const server = createServer(app)
server.listen(0, '127.0.0.1', () => logger.info({ port: (server.address() as AddressInfo).port }, 'listening'))

process.once('SIGTERM', () => {
  server.close(async () => {
    await api.close()
    await watching
  })
})
