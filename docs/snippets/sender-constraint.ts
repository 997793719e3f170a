import { oauth } from '@behalf/core/issuers'
import { resourceServer } from '@behalf/express'
import { redisReplay } from '@behalf/redis'
import { createDpopClient, createTestIssuer } from '@behalf/testing'
import express from 'express'

const nonceSecret = process.env['DPOP_NONCE_SECRET'] ?? 'sixty-four-hexadecimal-digits-of-a-secret-that-all-replicas-share'

// #region dpop
const api = resourceServer({
  issuers: [oauth({ issuer: 'https://as.example.com', audience: 'https://api.example.com', dpop: 'allow' })],
  publicOrigins: 'https://api.example.com', // what clients call this API
  dpop: { replay: 'single-process' }, // one process remembers which proofs were used; replicas share a memory
})

const app = express()
app.use(api.authenticate())
app.post('/payments', api.guard({ scopes: 'payments:write', dpop: 'require' }), (_req, res) => {
  res.sendStatus(202)
})
// #endregion dpop

// #region replicas
const replicas = resourceServer({
  issuers: [oauth({ issuer: 'https://as.example.com', audience: 'https://api.example.com', dpop: 'require' })],
  publicOrigins: ['https://api.example.com', 'https://api.example.org'],
  dpop: {
    replay: redisReplay({ url: 'rediss://redis.example.com' }),
    nonce: { secret: nonceSecret }, // the same on every replica
    algorithms: ['ES256', 'EdDSA'],
  },
})
// #endregion replicas

// #region mtls
const behindProxy = resourceServer({
  issuers: [oauth({ issuer: 'https://as.example.com', audience: 'https://api.example.com', mtls: 'require' })],
  mtls: { certificate: { header: 'Client-Cert', form: 'rfc9440' } },
  trustedProxies: ['10.0.0.0/8'],
})
// #endregion mtls

// #region metadata
const described = resourceServer({
  issuers: [oauth({ issuer: 'https://as.example.com', audience: 'https://api.example.com/mcp' })],
  metadata: { resource: 'https://api.example.com/mcp', scopesSupported: ['orders:read'], resourceName: 'Orders' },
})

const mcp = express()
mcp.use(described.metadata()) // public: before authenticate()
mcp.use('/mcp', described.authenticate())
// #endregion metadata

// #region test
async function boundCall(url: string): Promise<Response> {
  const issuer = await createTestIssuer({ algorithms: ['EdDSA'] })
  const client = createDpopClient()
  const token = issuer.token({ claims: { cnf: { jkt: client.jkt } } })
  return fetch(url, { headers: client.headers('GET', url, token) })
}

// #endregion test

export { app, behindProxy, boundCall, mcp, replicas }
