import { isObject, type JsonObject } from './json.js'

/**
 * Whether a token is a JWT by its shape, well-formed or not: its first part, up to a dot, reads as a JSON object in base64url, however
 * loosely that is read and however many parts follow. Such a token is judged as a JWT and as nothing else, so that no dot or stray
 * character more gets a token past the checks of a JWT: there are servers that read it all the same.
 */
export function isJwtShaped(token: string): boolean {
  if (!token.includes('.')) return false
  const [header = ''] = token.replace(LEADING_DOTS, '').split('.', 1)
  return looselyRead(header) !== null
}

/**
 * What a token that is a JWT by its shape claims, however loosely it is written; `null` where it is none, or claims nothing that can be
 * read. Nothing of it is proved: it is only good for holding something against it.
 */
export function unverifiedClaimsOf(token: string): JsonObject | null {
  return isJwtShaped(token) ? looselyRead(token.replace(LEADING_DOTS, '').split('.', 2)[1] ?? '') : null
}

function looselyRead(part: string): JsonObject | null {
  try {
    const value: unknown = JSON.parse(Buffer.from(part, 'base64url').toString('utf8').replace(BYTE_ORDER_MARK, ''))
    return isObject(value) ? value : null
  } catch {
    return null
  }
}

const LEADING_DOTS = /^\.+/
const BYTE_ORDER_MARK = /^\ufeff/

/** What names a token that does not name itself: of a JWS what was signed, since its signature can be rewritten; else all of it. */
export function signedPartOf(token: string): string {
  return isJwtShaped(token) && token.split('.', 4).length === 3 ? token.slice(0, token.lastIndexOf('.')) : token
}
