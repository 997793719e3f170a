// One of the replicas of an API that share a set of revocations, in a process of its own.
import { createServer } from 'node:http'
import { oauth } from '@behalf/core/issuers'
import { resourceServer } from '@behalf/express'
import { redisRevocations } from '@behalf/redis'
import express from 'express'

const { url, environment, maxTokenLifetimeSeconds } = JSON.parse(process.argv[2])
const { issuer, audience, jwks } = environment
const api = resourceServer({
  issuers: [oauth({ issuer, audience, jwks })],
  revocation: { maxTokenLifetimeSeconds, checks: [{ by: 'tokenId', issuer, from: redisRevocations({ url }) }] },
})
const app = express()
app.set('env', 'test') // keeps Express's error handler from printing
app.use(api.authenticate())
app.get('/orders', (_request, response) => void response.json({ orders: ['a-1', 'a-2'] }))

process.once('disconnect', () => process.exit(0))
process.on('message', async ({ revoke: tokenId }) => {
  try {
    await api.revoke({ issuer, tokenId })
    process.send({ revoked: tokenId, at: Date.now() })
  } catch (error) {
    process.send({ failure: String(error) })
  }
})

await api.ready()
const server = createServer(app)
server.listen(0, '127.0.0.1', () => process.send({ port: server.address().port }))
