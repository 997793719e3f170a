import { isUtf8 } from 'node:buffer'
import type { Limits } from '../limits.js'
import { isObject, type JsonObject, parseStrictJson } from './json.js'

/** A JWT in compact form, taken apart. Nothing in it is proved. */
export interface UnverifiedJwt {
  readonly unverifiedHeader: JsonObject
  readonly unverifiedClaims: JsonObject
  /** The header as it was written. */
  readonly headerPart: string
  /** The bytes that were signed, as the ASCII text they are (RFC 7515 5.2). */
  readonly signingInput: string
  readonly signature: Buffer
}

/** How long a JWT may be, in bytes of its compact form, and how deep its JSON. */
type JwtBounds = Pick<Limits, 'tokenBytes' | 'jsonDepth'>

/** Headers of tokens that were proved, as frozen objects by their exact text: all tokens of one key have the same. */
export type ProvenHeaders = Pick<ReadonlyMap<string, JsonObject>, 'get'>

/**
 * Takes a signed JWT apart (RFC 7519 7.2, RFC 7515 5.2): three parts in canonical base64url without padding, header and
 * claims as UTF-8 JSON objects without duplicate members. A JWE (five parts) is not accepted: decryption is no authentication
 * (RFC 8725 3.3). Header members that only a policy can judge (`alg`, `kid`, `typ`) are judged later.
 *
 * @returns `null` where the text is no such JWT
 */
export function parseJwt(token: string, bounds: JwtBounds, headers: ProvenHeaders): UnverifiedJwt | null {
  if (token.length > bounds.tokenBytes) return null
  const parts = token.split('.', 4)
  const [headerPart, payloadPart, signaturePart] = parts
  if (parts.length !== 3 || !headerPart || !payloadPart || !signaturePart) return null
  const unverifiedHeader = headers.get(headerPart) ?? parsePart(headerPart, bounds)
  // RFC 7515 4.1.11: an extension that is not understood refuses; none is understood here, `b64` (RFC 7797) included.
  if (unverifiedHeader === null || unverifiedHeader['crit'] !== undefined) return null
  const unverifiedClaims = parsePart(payloadPart, bounds)
  const signature = Buffer.from(signaturePart, 'base64url')
  if (unverifiedClaims === null || !isCanonical(signature, signaturePart)) return null
  const signingInput = token.slice(0, headerPart.length + 1 + payloadPart.length)
  return { unverifiedHeader, headerPart, unverifiedClaims, signingInput, signature }
}

/** Where parts are decoded that are read at once: a buffer of their own for each would keep the garbage collector busy. */
let scratch = Buffer.allocUnsafeSlow(4096)

/** A longer part gets a buffer of its own, which is not kept. */
const MOST_SCRATCH_CHARACTERS = 64 * 1024

function parsePart(part: string, bounds: JwtBounds): JsonObject | null {
  const bytes = part.length > MOST_SCRATCH_CHARACTERS ? Buffer.from(part, 'base64url') : inScratch(part)
  if (!isCanonical(bytes, part) || !isUtf8(bytes)) return null
  const value = parseStrictJson(bytes.toString('utf8'), bounds.jsonDepth)
  return isObject(value) ? value : null
}

function inScratch(part: string): Buffer {
  if (part.length > scratch.length) scratch = Buffer.allocUnsafeSlow(part.length)
  return scratch.subarray(0, scratch.write(part, 'base64url'))
}

/** Node's decoder skips what it does not know and ignores trailing bits; only text that encodes back to itself is base64url. */
export function isCanonical(bytes: Buffer, part: string): boolean {
  return bytes.toString('base64url') === part
}
