import { hash } from 'node:crypto'
import type { AuditCaller } from './audit/event.js'
import type { Confirmation } from './binding/confirmation.js'
import { audiencesOf } from './claims/audience.js'
import type { AuthContext, TokenInfo } from './delegation/context.js'
import type { AuthError } from './errors.js'
import type { Issuer } from './issuers/issuer.js'
import type { Limits } from './limits.js'
import type { FitMemo } from './policy/decide.js'
import type { RevocationMemo } from './revocation/revocations.js'
import type { Proof } from './signature-proof.js'
import type { StatusReference } from './status-list/reference.js'
import { isIdentifier } from './token/identifier.js'
import type { JsonObject } from './token/json.js'

/** A token whose proof and claims hold. Nothing in it depends on a request. */
export interface ProvenToken {
  readonly token: string
  readonly issuer: Issuer
  /** The signature that holds; `null`: the issuer was asked about the token instead. */
  readonly proof: Pick<Proof, 'algorithm' | 'thumbprint'> | null
  readonly header: JsonObject
  readonly claims: JsonObject
  /** Before any rule: a delegated context still has the token's own scopes. */
  readonly context: AuthContext
  /** What the token is bound to (`cnf`, RFC 7800 3.1). That its sender is the one is proved for each request. */
  readonly confirmation: Confirmation | 'unsupported' | null
  /** The session that the issuer's claim names (`claims.session`); `null`: none. */
  readonly sessionId: string | null
  /** Where the issuer says whether the token is still good; `null`: nowhere, or nobody looks. */
  readonly status: StatusReference | null
  /** Whether the claims carry delegation at all; asked only where a call is refused. */
  readonly carriesDelegation: () => boolean
  /** What was worked out from the token alone, so that its next request need not. */
  readonly memo: TokenMemo
}

/** Filled as it is needed. Nothing in it depends on a request. */
export interface TokenMemo extends FitMemo, RevocationMemo {
  /** The caller as events say it, and the context that it was made from. */
  caller: { readonly context: AuthContext; readonly told: AuditCaller } | null
}

/** What may be recorded of a token that was refused. Only `keyId` can be there before the signature holds; it is then an attacker's text. */
export interface Evidence {
  readonly issuer: string | null
  readonly id: string | null
  readonly keyId: string | null
  readonly algorithm: string | null
  /** The signature holds, and the token carries a delegation claim, readable or not. */
  readonly carriesDelegation: boolean
}

export const NO_EVIDENCE: Evidence = Object.freeze({
  issuer: null,
  id: null,
  keyId: null,
  algorithm: null,
  carriesDelegation: false,
})

/** A refused token, with what may be recorded of it; kept apart from {@link AuthError}, which travels further. */
export interface RefusedToken {
  readonly error: AuthError
  readonly evidence: Evidence
}

export function isRefused(result: ProvenToken | RefusedToken): result is RefusedToken {
  return 'error' in result
}

/**
 * What is known of a token whose issuer has spoken for it.
 * @param text that names a token without `jti`: what was signed, not the signature, which can be rewritten
 */
export function tokenInfo(issuer: Issuer, header: JsonObject, claims: JsonObject, text: string, limits: Limits): TokenInfo {
  const { jti, iat, exp, aud } = claims
  return Object.freeze({
    issuer: issuer.issuer,
    audience: Object.freeze([...(audiencesOf(aud) ?? [])]),
    id: isIdentifier(jti, limits.identifierCharacters) ? jti : `sha256:${hash('sha256', text, 'base64url')}`,
    type: textOf(header['typ']),
    issuedAt: typeof iat === 'number' ? iat : null,
    expiresAt: typeof exp === 'number' ? exp : 0,
    keyId: textOf(header['kid']),
    algorithm: textOf(header['alg']),
  })
}

export function textOf(value: unknown): string | null {
  return typeof value === 'string' ? value : null
}
