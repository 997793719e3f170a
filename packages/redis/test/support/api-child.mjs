/**
 * One of the replicas of an API, in a process of its own. Imports the built packages: `npm test` builds them first. Waits for its
 * settings (`ReplicaSettings` of `replicas.ts`), and says where it listens.
 */
import { createServer } from 'node:http'
import { oauth } from '@behalf/core/issuers'
import { resourceServer } from '@behalf/express'
import { redisReplay } from '@behalf/redis'
import express from 'express'

process.on('disconnect', () => process.exit(0))
process.once('message', start)

async function start({ url, issuer, audience, jwks, origin, proofSeconds }) {
  const replay = redisReplay({ url })
  const api = resourceServer({
    issuers: [oauth({ issuer, audience, jwks, dpop: 'require' })],
    publicOrigins: origin,
    dpop: { replay },
    limits: { proofSeconds, replayMilliseconds: 30_000 }, // a busy machine is no reason to refuse
  })
  const app = express()
  app.set('env', 'test') // keeps Express's error handler from printing
  app.use(api.authenticate())
  app.get('/orders', (_request, response) => void response.json({}))
  await replay.ready()
  const server = createServer(app)
  server.keepAliveTimeout = 0 // the client says when a connection is not needed any more
  server.listen(0, '127.0.0.1', function listening() {
    process.send({ port: this.address().port })
  })
}
