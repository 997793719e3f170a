import { isObject, type JsonObject } from '../token/json.js'

/** What a token is bound to, as its issuer says it (`cnf`, RFC 7800 3.1). Each member that is not `null` has to be proved. */
export interface Confirmation {
  /** Thumbprint of the key whose possession each request proves (RFC 9449 6.1). */
  readonly jkt: string | null
  /** Thumbprint of the client certificate (`x5t#S256`, RFC 8705 3.1). */
  readonly certificate: string | null
}

/** A SHA-256 digest in base64url without padding; the last character holds four bits. */
const DIGEST = /^[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]$/

/**
 * What a token is bound to. Only the top-level `cnf` counts: one inside `act` says nothing about the sender.
 * @param claims verified claims, without prototypes
 * @returns `null`: the token is not bound; `unsupported`: bound, but in a way that nobody here can check
 */
export function readConfirmation(claims: JsonObject): Confirmation | 'unsupported' | null {
  const { cnf } = claims
  if (cnf === undefined) return null
  if (!isObject(cnf)) return 'unsupported'
  const members = Object.keys(cnf)
  if (members.length === 0 || !members.every((name) => name === 'jkt' || name === 'x5t#S256')) return 'unsupported'
  const { jkt = null, 'x5t#S256': certificate = null } = cnf
  if (!isDigestOrAbsent(cnf, 'jkt', jkt) || !isDigestOrAbsent(cnf, 'x5t#S256', certificate)) return 'unsupported'
  return Object.freeze({ jkt, certificate })
}

function isDigestOrAbsent(cnf: JsonObject, name: string, value: unknown): value is string | null {
  return cnf[name] === undefined ? value === null : typeof value === 'string' && DIGEST.test(value)
}
