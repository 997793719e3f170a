import { memoryRevocations } from '@behalf/core'
import { oauth } from '@behalf/core/issuers'
import { resourceServer } from '@behalf/express'
import express from 'express'

export const app = express()
const secret = 'agreed upon with the transmitter'

// #region receiver
const revocations = memoryRevocations() // replicas share a set of @behalf/redis
const api = resourceServer({
  issuers: [oauth({ issuer: 'https://idp.example.com', audience: 'https://api.example.com', claims: { session: 'sid' } })],
  revocation: {
    maxTokenLifetimeSeconds: 3600,
    checks: [{ by: ['sessionId', 'subject', 'tokenId'], issuer: 'https://idp.example.com', from: revocations }],
  },
  securityEvents: {
    transmitters: [
      {
        issuer: 'https://idp.example.com',
        audience: 'https://api.example.com/security-events',
        jwksUri: 'https://idp.example.com/ssf/jwks.json',
        authorization: `Bearer ${secret}`,
      },
    ],
  },
})
app.post('/security-events', api.securityEvents()) // before body parsers and authenticate()
// #endregion receiver
