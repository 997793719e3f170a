import type { IssuerOptions } from '@behalf/core'
import { asgardeo, curity } from '@behalf/core/issuers'
import type { TestIssuer } from '@behalf/testing'

export const CURITY = 'https://idsvr.example.com/oauth/v2/oauth-anonymous'
export const ASGARDEO = 'https://api.asgardeo.io/t/bifrost/oauth2/token'

/**
 * The systems that both APIs trust. One test issuer signs for all of them: for the standards issuer the APIs discover its keys
 * over HTTP, as in production; the two vendors are trusted with the same keys under their own names and dialects.
 */
export function trustedIssuers(server: TestIssuer): readonly IssuerOptions[] {
  const jwks = server.jwks()
  return [
    server.options(),
    curity({ issuer: CURITY, audience: 'test-web-api', jwks }),
    asgardeo({ organization: 'bifrost', clientIds: ['jVcW4oLn1Jjb2T94H4gtPV9z5Y0a'], jwks }),
  ]
}
