import { ConfigError } from '../errors.js'
import type { RevocationSet } from './revocation-set.js'

/** For how long a server accepts tokens at most, by the options that say it. */
export interface SetTerms {
  readonly maxTokenLifetimeSeconds: number
  readonly clockToleranceSeconds: number
}

/** By which terms the servers of this process keep what they revoke in a set. */
const termsOfSets = new WeakMap<RevocationSet, SetTerms>()

/**
 * What one server revokes is kept by its own terms: tokens that another one accepts for longer would come back.
 * @throws {ConfigError} naming the option in which they differ
 */
export function requireSameTerms(set: RevocationSet, terms: SetTerms): void {
  const known = termsOfSets.get(set) ?? terms
  for (const option of ['maxTokenLifetimeSeconds', 'clockToleranceSeconds'] as const) {
    if (known[option] === terms[option]) continue
    throw new ConfigError(
      `a set of revocations is shared by servers with ${option} of ${known[option]} and ${terms[option]}: give them one, or a set each`,
    )
  }
  termsOfSets.set(set, terms)
}
