import { isObject } from './json.js'

/**
 * Whether a token is a JWT by its shape: three parts (JWS) or five (JWE), the first of which is a JSON object in canonical base64url.
 * Such a token is judged as a JWT and as nothing else, however broken it is; what is no JWT by shape can only be asked about.
 */
export function isJwtShaped(token: string): boolean {
  const parts = token.split('.', 6)
  const header = parts[0]
  if ((parts.length !== 3 && parts.length !== 5) || !header) return false
  const bytes = Buffer.from(header, 'base64url')
  if (bytes.toString('base64url') !== header) return false // Node's decoder skips what it does not know
  try {
    return isObject(JSON.parse(bytes.toString('utf8')))
  } catch {
    return false
  }
}
