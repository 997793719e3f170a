import type { Limits } from '../limits.js'
import { type Fetch, FetchError, fetchJson, isFetchable } from './fetch-json.js'

/**
 * Where an issuer's metadata may stand: RFC 8414 3.1 puts the well-known part between host and path, OpenID Connect Discovery 4
 * behind the path.
 */
export function metadataUrls(issuer: string): readonly string[] {
  const { origin, pathname } = new URL(issuer)
  const path = pathname.replace(/\/$/, '')
  return [`${origin}/.well-known/oauth-authorization-server${path}`, `${origin}${path}/.well-known/openid-configuration`]
}

/**
 * The `jwks_uri` of an issuer, from its metadata. Its `issuer` must be exactly the one that was configured (RFC 8414 3.3), or
 * somebody else's keys would be taken for this issuer's. Nothing is remembered here: a failure is tried again by the next call.
 *
 * @throws {FetchError} with a fixed text
 */
export async function discoverJwksUri(issuer: string, fetch: Fetch, limits: Limits): Promise<string> {
  let failure = new FetchError('the issuer has no metadata document')
  for (const url of metadataUrls(issuer)) {
    try {
      const metadata = await fetchJson(url, fetch, limits)
      if (metadata['issuer'] !== issuer) throw new FetchError('the metadata document is of another issuer')
      const jwksUri = metadata['jwks_uri']
      if (typeof jwksUri !== 'string' || !isFetchable(jwksUri))
        throw new FetchError('the metadata document names no usable jwks_uri')
      return jwksUri
    } catch (error) {
      failure = error instanceof FetchError ? error : new FetchError('the metadata document could not be read')
    }
  }
  throw failure
}
