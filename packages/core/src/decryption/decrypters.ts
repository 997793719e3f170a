import { AuthError, ConfigError } from '../errors.js'
import type { Limits } from '../limits.js'
import type { Decrypter } from './decrypter.js'
import { parseJwe } from './jwe.js'

/** An issuer that encrypts its tokens. */
export interface Encrypting {
  readonly issuer: string
  readonly decrypter: Decrypter
}

/** Finds whose encrypted token it is, which only the token's inside would say. */
export interface Decrypters<T extends Encrypting> {
  /**
   * The issuer for whom the key that the token names is configured. Anybody can name it: which issuer it is indeed is what the `iss`
   * inside says, and the two have to be the same.
   * @returns a refusal where there is none: `token_malformed`, `key_unknown`
   */
  find(token: string): T | AuthError
}

/**
 * Puts together all issuers that encrypt their tokens. Where there are several, each of their keys has an id, and no two issuers have one
 * of the same: the id is all by which an encrypted token can be told.
 * @throws {ConfigError} naming the issuers
 */
export function createDecrypters<T extends Encrypting>(list: readonly T[], limits: Limits): Decrypters<T> {
  const byKid = new Map<string | null, T>()
  for (const each of list) {
    for (const kid of each.decrypter.keyIds) {
      const other = byKid.get(kid)
      if (other !== undefined) {
        throw new ConfigError(`issuers "${other.issuer}" and "${each.issuer}" have decryption keys of the same "kid": rename one`)
      }
      if (kid === null && list.length > 1) {
        throw new ConfigError(`issuer "${each.issuer}" has a decryption key without "kid", beside other issuers: give it one`)
      }
      byKid.set(kid, each)
    }
  }
  const only = list.length === 1 ? list[0] : undefined
  return {
    find(token) {
      const kid = outerKeyId(token, limits)
      if (kid === undefined) return new AuthError('token_malformed')
      return (kid === null ? only : byKid.get(kid)) ?? new AuthError('key_unknown')
    },
  }
}

/**
 * The key that an encrypted token names: `null` where it names none, `undefined` where its header cannot be read. Anybody's text, not
 * bounded by more than the token.
 */
export function outerKeyId(token: string, limits: Limits): string | null | undefined {
  const jwe = parseJwe(token, limits)
  const kid = jwe?.unverifiedHeader['kid']
  if (jwe === null || (kid !== undefined && typeof kid !== 'string')) return undefined
  return kid ?? null
}
