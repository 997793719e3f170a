import { createPublicKey, type JsonWebKey, type KeyObject, verify } from 'node:crypto'
import type { TokenLedger } from './token-ledger.js'

/** A party, as `act` and `may_act` name it (RFC 8693 4.1, 4.4). */
export interface Actor {
  readonly iss: string
  readonly sub: string
  readonly sub_profile?: string
  readonly act?: Actor
}

/** What a person has signed in for. Whatever is exchanged for its tokens inherits it. */
export interface SignIn {
  /** The grant that the tokens come of. */
  readonly grant_id?: string
  /** The session in which it was given. */
  readonly sid?: string
}

/** Claims of a token of this server. A program's own token comes of no sign-in. */
export interface TokenClaims extends SignIn {
  readonly iss: string
  readonly sub: string
  readonly aud: string
  readonly client_id: string
  readonly jti: string
  readonly exp: number
  readonly scope?: string
  readonly sub_profile?: string
  readonly act?: Actor
  readonly may_act?: Actor
  readonly cnf?: { readonly jkt?: string; readonly 'x5t#S256'?: string }
}

/** What a token has to stand up to: this server's name, its key, and its memory. */
export interface TokenReader {
  readonly issuer: string
  readonly ledger: TokenLedger
  readonly key: KeyObject
}

/** The public part of a signing key. */
export function publicKeyOf(jwk: JsonWebKey): KeyObject {
  const { d: _private, ...open } = jwk
  return createPublicKey({ key: open, format: 'jwk' })
}

/**
 * The claims of a token that this server has issued, that has not ended and was not taken back; `null` for anything else. Since the
 * signature is its own, the claims have the types that it gave them.
 */
export function readOwnToken(token: string, { issuer, ledger, key }: TokenReader): TokenClaims | null {
  const [header = '', payload = '', signature = '', ...rest] = token.split('.')
  if (rest.length > 0) return null
  const signed = Buffer.from(`${header}.${payload}`)
  const bytes = Buffer.from(signature, 'base64url')
  if (!verify('sha256', signed, { key, dsaEncoding: 'ieee-p1363' }, bytes)) return null
  const { typ, alg } = jsonOf(header) as { readonly typ?: string; readonly alg?: string }
  const claims = jsonOf(payload) as TokenClaims
  if (typ !== 'at+jwt' || alg !== 'ES256' || claims.iss !== issuer) return null // its ID tokens are no access tokens
  return claims.exp > Date.now() / 1000 && ledger.stands(claims.jti) ? claims : null
}

function jsonOf(part: string): unknown {
  return JSON.parse(Buffer.from(part, 'base64url').toString('utf8'))
}
