import { createDecrypters, type Decrypters } from './decryption/decrypters.js'
import { isEncrypted } from './decryption/jwe.js'
import { AuthError, ConfigError } from './errors.js'
import type { Issuer } from './issuers/issuer.js'
import type { OpaqueTokens } from './issuers/token-ways.js'
import type { Limits } from './limits.js'
import { andThen, type Eventual } from './thenable.js'
import { type ProvenHeaders, parseJwt } from './token/jwt.js'
import { isJwtShaped } from './token/token-shape.js'

/** A signed JWT as it is to be proved. */
interface SignedText {
  readonly jwt: string
  /** The issuer for whose key it was encrypted; `null`: it came plain. */
  readonly encryptedFor: string | null
}

/** An issuer that is asked about tokens which only it can read. */
export interface OpaqueIssuer {
  readonly issuer: Issuer
  readonly opaque: OpaqueTokens
}

/**
 * Which way a token goes: proved by its signature, opened first, or asked about. It is chosen by the token's shape and by what is
 * configured, before anything is known of it, and never changed: what is refused on one way is not tried on another.
 */
export interface TokenRoute {
  /** Whom to ask about the token; `null`: nobody, it is a JWT. */
  askAbout(token: string): OpaqueIssuer | null
  /** The signed JWT that a token is, or holds. @throws {AuthError} */
  signedText(token: string): Eventual<SignedText>
}

/**
 * @param issuers those that are configured; none where the application is asked for them
 * @throws {ConfigError} where more than one takes opaque tokens, or decryption keys clash
 */
export function createTokenRoute(issuers: readonly Issuer[], limits: Limits, headers: ProvenHeaders): TokenRoute {
  const opaque = opaqueIssuerOf(issuers)
  const decrypters = decryptersOf(issuers, limits)

  /** A token that is a JWT by its shape is asked about only where its issuer, by its own word or for want of any other, is one of opaque tokens alone. */
  function isOpaqueAlone({ issuer }: OpaqueIssuer, token: string): boolean {
    const jwt = parseJwt(token, limits, headers)
    if (jwt !== null) return (jwt.unverifiedClaims['iss'] ?? issuer.issuer) === issuer.issuer
    // It could be another issuer's, and then it is nobody else's to see.
    return isEncrypted(token) ? decrypters === null : issuers.length === 1
  }

  return {
    askAbout(token) {
      if (opaque === null) return null
      return !isJwtShaped(token) || (opaque.opaque.only && isOpaqueAlone(opaque, token)) ? opaque : null
    },

    signedText(token) {
      if (decrypters === null || !isEncrypted(token)) return { jwt: token, encryptedFor: null }
      const found = decrypters.find(token)
      if (found instanceof AuthError) throw found
      return andThen(found.decrypter.decrypt(token), (jwt) => ({ jwt, encryptedFor: found.issuer }))
    },
  }
}

function opaqueIssuerOf(issuers: readonly Issuer[]): OpaqueIssuer | null {
  const [first = null, second] = issuers.flatMap((issuer) => (issuer.opaque === null ? [] : [{ issuer, opaque: issuer.opaque }]))
  if (second !== undefined) {
    const names = `"${first?.issuer.issuer}" and "${second.issuer.issuer}"`
    throw new ConfigError(
      `issuers ${names} both have introspection: an opaque token does not say whose it is, so one of them alone can be asked`,
    )
  }
  return first
}

function decryptersOf(
  issuers: readonly Issuer[],
  limits: Limits,
): Decrypters<{ issuer: string; decrypter: NonNullable<Issuer['decrypter']> }> | null {
  const encrypting = issuers.flatMap(({ issuer, decrypter }) => (decrypter === null ? [] : [{ issuer, decrypter }]))
  return encrypting.length === 0 ? null : createDecrypters(encrypting, limits)
}
