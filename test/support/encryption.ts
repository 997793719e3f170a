/**
 * Whole suites run once more with every token encrypted for the API that gets it. Nothing else may come of them: what is inside is
 * judged as if it had come plain.
 */
import type { IssuerOptions, ResourceServerOptions } from '@behalf/core'
import { type ApiKey, apiKeyOf, sealedByAgreement, x25519Pair } from '../../packages/core/test/support/encrypted-tokens.js'

/** Whether every token of this run is encrypted (`vitest.config.ts`). */
export const ENCRYPTED: boolean = process.env['BEHALF_ENCRYPTION'] === 'on'

/** Keys of the API by the issuer that encrypts with them. */
const KEYS = new Map<string, ApiKey>()

/** A server's options, and in an encrypted run a key for each issuer that is listed, beside them. */
export function withEncryption<T extends Partial<ResourceServerOptions>>(options: T): T {
  const { issuers } = options
  return ENCRYPTED && Array.isArray(issuers) ? { ...options, issuers: issuers.map(encrypting) } : options
}

/** A token as it is shown to a server: encrypted where the server's options ask for it, the same text for the same token. */
export type Seal = (token: string) => string

/** How tokens are shown to a server of these options, as {@link withEncryption} left them. */
export function sealFor({ issuers }: Partial<ResourceServerOptions>): Seal {
  const listed: readonly (IssuerOptions | null)[] = Array.isArray(issuers) ? issuers : []
  const keys = new Map<unknown, ApiKey | null>(listed.map((each) => [each?.issuer, keyOf(each)]))
  const first = [...keys.values()].find((key) => key !== null) ?? null
  if (first === null) return (token) => token
  const asks = listed.some((each) => each?.introspection !== undefined)
  const made = new Map<string, string>()
  return (token) => {
    // Opaque to everybody but the issuer, who is asked.
    if (asks && !token.includes('.')) return token
    const named = keys.get(unverifiedIssuerOf(token))
    // What names no issuer of this server is encrypted all the same: only what is inside may refuse it.
    const key = named === undefined ? first : named
    if (key === null) return token
    const earlier = made.get(token) ?? sealed(key, token)
    made.set(token, earlier)
    return earlier
  }
}

function encrypting(options: IssuerOptions): IssuerOptions {
  // What is no options is the server's to judge, and what nobody but the issuer can read is not encrypted for anybody.
  if (typeof options !== 'object' || options === null || options.opaqueOnly === true) return options
  const key = KEYS.get(options.issuer) ?? apiKeyOf(x25519Pair, `api-${KEYS.size}`)
  KEYS.set(options.issuer, key)
  return { decryption: { keys: [key.jwk], algorithms: ['ECDH-ES'] }, ...options }
}

/** The key with which an issuer's tokens are encrypted in this run; `null`: they are not, or in a way of the test's own. */
function keyOf(options: IssuerOptions | null): ApiKey | null {
  const key = KEYS.get(options?.issuer ?? '') ?? null
  return options?.decryption?.keys[0] === key?.jwk ? key : null
}

function sealed(key: ApiKey, token: string): string {
  return sealedByAgreement(key, x25519Pair, (epk) => ({ alg: 'ECDH-ES', enc: 'A256GCM', cty: 'JWT', kid: key.kid, epk }), token)
}

/** The `iss` that a text claims, of whatever kind it may be; `undefined` where it claims nothing readable. */
function unverifiedIssuerOf(token: string): unknown {
  try {
    return (JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) as { iss?: unknown } | null)?.iss
  } catch {
    return undefined
  }
}
