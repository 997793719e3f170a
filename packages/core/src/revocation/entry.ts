import { hash } from 'node:crypto'

/** By what a token can be revoked. */
export type RevocationBasis = 'tokenId' | 'grantId' | 'sessionId' | 'subject' | 'actor' | 'subjectAndActor'

/** Every basis, in the order in which they are asked. */
export const REVOCATION_BASES: readonly RevocationBasis[] = [
  'tokenId',
  'grantId',
  'sessionId',
  'subject',
  'actor',
  'subjectAndActor',
]

/** Something that is revoked, as a set keeps it. Holds no identifier in clear. */
export interface RevocationEntry {
  /** SHA-256 of the basis, the issuer and what is revoked, in base64url: 43 characters. See {@link revocationKey}. */
  readonly key: string
  /** Tokens issued at this time or before it are revoked, and those that do not say when; in seconds since the epoch. `null`: every token. */
  readonly issuedUntilSeconds: number | null
  /** Until then it has to be kept, in milliseconds since the epoch: no token that it is about is accepted any more. */
  readonly keepUntil: number
}

/**
 * The key of an entry.
 * @param names what is revoked: one identifier, or subject and actor
 */
export function revocationKey(basis: RevocationBasis, issuer: string, names: readonly string[]): string {
  return hash('sha256', JSON.stringify([basis, issuer, ...names]), 'base64url')
}

/** The entry that stands for both of two entries of one key: whatever either revokes, for as long as either has to be kept. */
export function joinedEntry(one: RevocationEntry, other: RevocationEntry): RevocationEntry {
  const untils = [one.issuedUntilSeconds, other.issuedUntilSeconds]
  return Object.freeze({
    key: one.key,
    issuedUntilSeconds: untils.includes(null) ? null : Math.max(...(untils as number[])),
    keepUntil: Math.max(one.keepUntil, other.keepUntil),
  })
}
