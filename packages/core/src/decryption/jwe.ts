import { isUtf8 } from 'node:buffer'
import type { Limits } from '../limits.js'
import { isObject, type JsonObject, parseStrictJson } from '../token/json.js'
import { isCanonical } from '../token/jwt.js'

/** A JWE in compact form, taken apart. Anybody can make one: nothing in it is proved, not even where it can be decrypted. */
export interface UnverifiedJwe {
  readonly unverifiedHeader: JsonObject
  /** Empty where no key is sent. */
  readonly encryptedKey: Buffer
  readonly iv: Buffer
  readonly tag: Buffer
}

/** How long a JWE may be, in bytes of its compact form, and how deep the JSON of its header. */
type JweBounds = Pick<Limits, 'tokenBytes' | 'jsonDepth'>

/** Whether a token has the five parts of a JWE (RFC 7516 9); those of a JWS are three. */
export function isEncrypted(token: string): boolean {
  return partsOf(token).length === 5
}

/**
 * Takes a JWE apart (RFC 7516 5.2): five parts in canonical base64url without padding, the header as a UTF-8 JSON object without
 * duplicate members. No part but the key may be empty. Header members that only a policy can judge (`alg`, `enc`, `kid`, `zip`) are judged
 * later; `typ` is not judged at all: what counts is the one of the JWT inside.
 *
 * @returns `null` where the text is no such JWE
 */
export function parseJwe(token: string, bounds: JweBounds): UnverifiedJwe | null {
  if (token.length > bounds.tokenBytes) return null
  const parts = partsOf(token).map(bytesOf)
  const [header, encryptedKey, iv, ciphertext, tag] = parts
  if (parts.length !== 5 || !header || !encryptedKey || !iv?.length || !ciphertext?.length || !tag?.length) return null
  const unverifiedHeader = isUtf8(header) ? parseStrictJson(header.toString('utf8'), bounds.jsonDepth) : undefined
  if (!isObject(unverifiedHeader)) return null
  // RFC 7516 4.1.13: an extension that is not understood refuses; none is understood here.
  if (unverifiedHeader['crit'] !== undefined) return null
  return { unverifiedHeader, encryptedKey, iv, tag }
}

function partsOf(token: string): readonly string[] {
  return token.split('.', 6)
}

function bytesOf(part: string): Buffer | null {
  const bytes = Buffer.from(part, 'base64url')
  return isCanonical(bytes, part) ? bytes : null
}
