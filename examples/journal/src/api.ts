/**
 * An API with a journal, a process of its own.
 * Usage: node dist/api.js ISSUER AUDIENCE DIRECTORY KEY. SIGTERM ends it in order.
 */
import { appendFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { oauth } from '@behalf/core/issuers'
import { resourceServer } from '@behalf/express'
import { journalSink } from '@behalf/journal'
import express from 'express'

const [issuer, audience, directory, key] = process.argv.slice(2)
if (issuer === undefined || audience === undefined || directory === undefined || key === undefined) {
  throw new Error('usage: node dist/api.js ISSUER AUDIENCE DIRECTORY KEY')
}

const journal = journalSink({
  directory,
  signingKey: { file: key },
  origin: 'orders.example.com/audit',
  // A file beside the key stands for a place to which this machine has no way back.
  onCheckpoint: (note) => appendFileSync(`${key}.checkpoints`, `${note}\0`),
})
await journal.ready()

const api = resourceServer({
  issuers: [oauth({ issuer, audience })],
  delegation: [{ id: 'helpers', kind: 'delegation', actor: 'any', scopes: ['orders:read'] }],
  audit: { sinks: [journal] },
})

const app = express()
app.use(api.authenticate())
app.get('/orders/:id', api.guard({ scopes: 'orders:read' }), (req, res) => {
  res.json({ id: req.params.id })
})
app.get('/export', api.guard({ scopes: 'orders:read' }), (_req, res) => {
  res.write('the first of many orders\n') // and then it takes its time
})

const server = createServer(app)
server.listen(0, '127.0.0.1', () => process.stdout.write(`http://127.0.0.1:${(server.address() as AddressInfo).port}\n`))

process.once('SIGTERM', () => {
  server.close(() => api.close())
  server.closeIdleConnections()
})
