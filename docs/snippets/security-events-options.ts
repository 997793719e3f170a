import { memoryRevocations, type ResourceServerOptions } from '@behalf/core'
import { oauth } from '@behalf/core/issuers'
import { secrets } from './secrets.js'

const issuer = 'https://idp.example.com'

/** Those of the Express example, for the Koa one. */
export const options: ResourceServerOptions = {
  issuers: [oauth({ issuer, audience: 'https://api.example.com', claims: { session: 'sid' } })],
  revocation: {
    maxTokenLifetimeSeconds: 3600,
    checks: [{ by: ['sessionId', 'subject', 'actor', 'tokenId'], issuer, from: memoryRevocations() }],
  },
  securityEvents: {
    transmitters: [
      {
        issuer,
        audience: 'https://api.example.com/security-events',
        jwksUri: 'https://idp.example.com/ssf/jwks.json',
        authorization: `Bearer ${secrets.TRANSMITTER}`,
      },
    ],
  },
}
