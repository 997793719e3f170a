import { asgardeo, curity, custom, descope, oauth } from '@behalf/core/issuers'

// #region systems
export const issuers = [
  oauth({ issuer: 'https://as.example.com', audience: 'https://api.example.com' }),
  curity({ issuer: 'https://idsvr.example.com/oauth/v2/oauth-anonymous', audience: 'test-web-api' }),
  descope({ projectId: 'P2UcQcyxrjSA3mr6y0xZKRYI5oJz' }),
  asgardeo({ organization: 'bifrost', clientIds: ['jVcW4oLn1Jjb2T94H4gtPV9z5Y0a'] }),
  custom({
    issuer: 'https://login.example.test',
    audience: 'https://api.example.test',
    jwksUri: 'https://login.example.test/keys',
    tokenTypes: ['JWT'],
    claims: { scopes: { claim: 'permissions', format: 'list' } },
    actor: { claim: 'original_user', encoding: 'string' },
    kind: 'impersonation',
  }),
]
// #endregion systems
