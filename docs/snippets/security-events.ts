// #region receiver
import { memoryRevocations } from '@behalf/core'
import { oauth } from '@behalf/core/issuers'
import { resourceServer } from '@behalf/express'
import express from 'express'
import { secrets } from './secrets.js' // your own

const api = resourceServer({
  issuers: [oauth({ issuer: 'https://idp.example.com', audience: 'https://api.example.com', claims: { session: 'sid' } })],
  revocation: {
    maxTokenLifetimeSeconds: 3600,
    checks: [
      {
        by: ['sessionId', 'subject', 'actor', 'tokenId'],
        issuer: 'https://idp.example.com',
        from: memoryRevocations(), // replicas share a set of @behalf/redis
      },
    ],
  },
  securityEvents: {
    transmitters: [
      {
        issuer: 'https://idp.example.com',
        audience: 'https://api.example.com/security-events',
        jwksUri: 'https://idp.example.com/ssf/jwks.json',
        authorization: `Bearer ${secrets.TRANSMITTER}`,
      },
    ],
  },
})

const app = express()
app.post('/security-events', api.securityEvents()) // before authenticate() and body parsers

// #endregion receiver

export { app }
