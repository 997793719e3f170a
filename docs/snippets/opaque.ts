import type { IssuerOptions } from '@behalf/core'
import { oauth } from '@behalf/core/issuers'

/** Both are options of one issuer each, since one alone can be asked about opaque tokens. */
export function issuersWith(apiKey: string, tokenKey: string): readonly IssuerOptions[] {
  const keys = { ORDERS_API_KEY: apiKey, TOKEN_KEY: tokenKey }
  return [asked(keys), encrypted(keys)]
}

function asked(secrets: { ORDERS_API_KEY: string }): IssuerOptions {
  return (
    // #region introspection
    oauth({
      issuer: 'https://as.example.com',
      audience: 'https://api.example.com',
      introspection: {
        endpoint: 'https://as.example.com/oauth2/introspect',
        clientId: 'orders-api',
        authentication: { method: 'private_key_jwt', key: JSON.parse(secrets.ORDERS_API_KEY), algorithm: 'ES256' },
        signed: true,
      },
    })
    // #endregion introspection
  )
}

function encrypted(secrets: { TOKEN_KEY: string }): IssuerOptions {
  return (
    // #region decryption
    oauth({
      issuer: 'https://secretive.example.com',
      audience: 'https://api.example.com',
      decryption: { keys: [JSON.parse(secrets.TOKEN_KEY)], algorithms: ['ECDH-ES+A256KW'] },
    })
    // #endregion decryption
  )
}
