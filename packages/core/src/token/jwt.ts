import { isUtf8 } from 'node:buffer'
import { AuthError } from '../errors.js'
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

/** Headers of tokens that were proved, as frozen objects by their exact text: all tokens of one key have the same. */
export type ProvenHeaders = Pick<ReadonlyMap<string, JsonObject>, 'get'>

/**
 * Takes a signed JWT apart (RFC 7519 7.2, RFC 7515 5.2): three parts in canonical base64url without padding, header and
 * claims as UTF-8 JSON objects without duplicate members. A JWE (five parts) is not accepted: decryption is no authentication
 * (RFC 8725 3.3). Header members that only a policy can judge (`alg`, `kid`, `typ`) are judged later.
 *
 * @throws {AuthError} `token_malformed`
 */
export function parseJwt(token: string, limits: Limits, headers: ProvenHeaders): UnverifiedJwt {
  if (token.length > limits.tokenBytes) throw new AuthError('token_malformed')
  const parts = token.split('.', 4)
  const [headerPart, payloadPart, signaturePart] = parts
  if (parts.length !== 3 || !headerPart || !payloadPart || !signaturePart) throw new AuthError('token_malformed')
  const unverifiedHeader = headers.get(headerPart) ?? parsePart(headerPart, limits)
  // RFC 7515 4.1.11: an extension that is not understood refuses; none is understood here, `b64` (RFC 7797) included.
  if (unverifiedHeader['crit'] !== undefined) throw new AuthError('token_malformed')
  return {
    unverifiedHeader,
    headerPart,
    unverifiedClaims: parsePart(payloadPart, limits),
    signingInput: token.slice(0, headerPart.length + 1 + payloadPart.length),
    signature: decodePart(signaturePart),
  }
}

/** Where parts are decoded that are read at once: a buffer of their own for each would keep the garbage collector busy. */
let scratch = Buffer.allocUnsafeSlow(4096)

function parsePart(part: string, limits: Limits): JsonObject {
  if (part.length > scratch.length) scratch = Buffer.allocUnsafeSlow(part.length)
  const bytes = scratch.subarray(0, scratch.write(part, 'base64url'))
  requireCanonical(bytes, part)
  if (!isUtf8(bytes)) throw new AuthError('token_malformed')
  const value = parseStrictJson(bytes.toString('utf8'), limits.jsonDepth)
  if (!isObject(value)) throw new AuthError('token_malformed')
  return value
}

function decodePart(part: string): Buffer {
  const bytes = Buffer.from(part, 'base64url')
  requireCanonical(bytes, part)
  return bytes
}

/** Node's decoder skips what it does not know and ignores trailing bits; only text that encodes back to itself is base64url. */
function requireCanonical(bytes: Buffer, part: string): void {
  if (bytes.toString('base64url') !== part) throw new AuthError('token_malformed')
}
