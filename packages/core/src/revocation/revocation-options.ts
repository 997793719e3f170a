import { functionAt, integerAt, listAt, membersOf, oneOrListAt, optional, stringAt, wordAt } from '../config-shape.js'
import { ConfigError } from '../errors.js'
import { REVOCATION_BASES, type RevocationBasis } from './entry.js'
import { memoryRevocations } from './memory-revocations.js'
import type { Named } from './revocation.js'
import type { RevocationSet } from './revocation-set.js'

/**
 * By what a token is asked about, and what it is there: `tokenId` is `jti`, or `sha256:` and a digest, as a context's `token.id`;
 * `actor` one of the chain, each of which is asked about.
 */
export type RevocableName =
  | ({ readonly by: 'tokenId' } & Named<'tokenId'>)
  | ({ readonly by: 'grantId' } & Named<'grantId'>)
  | ({ readonly by: 'sessionId' } & Named<'sessionId'>)
  | ({ readonly by: 'subject' } & Named<'subject'>)
  | ({ readonly by: 'actor' } & Named<'actor'>)
  | ({ readonly by: 'subjectAndActor' } & Named<'subject' | 'actor'>)

/** What a function is asked about a token: where `by` is `grantId` there is a `grantId`, and so on. */
export type RevocationQuery = RevocableName & {
  /** Issuer of the token. */
  readonly issuer: string
  /** `iat`, in seconds since the epoch; `null` where the token does not say. */
  readonly issuedAt: number | null
}

/** Whether something is revoked, as the application knows it. Only `false` lets a request go on; thrown, late or anything else is a 503. */
export type RevocationQuestion = (asked: RevocationQuery) => boolean | Promise<boolean>

/** By what tokens of which issuers can be revoked, and who knows. */
export interface RevocationCheck {
  /** By what. `grantId` and `sessionId` need the claim that says it: `claims.grant` and `claims.session` of the issuer. */
  readonly by: RevocationBasis | readonly RevocationBasis[]
  /** Issuer of the tokens, one or several; `'any'`: every one, for `issuers` as a function. */
  readonly issuer: string | readonly string[]
  /** A set, such as `memoryRevocations()` or one of `@behalf/redis`; or a function. */
  readonly from: RevocationSet | RevocationQuestion
  /**
   * Of a set: for how long what it knows may be out of date, in seconds, until requests are answered 503; default 1. Of a function: for
   * how long its "not revoked" is used again for the same token; default 0, so that it is asked on every request.
   */
  readonly staleSeconds?: number
}

/** How tokens are ended before their time. */
export interface RevocationOptions {
  /**
   * Longest lifetime of a token (`exp − iat`) that a set is asked about, in seconds; needed with sets. A longer one, or one without `iat`,
   * is refused: a revocation is kept for so long, and no longer.
   */
  readonly maxTokenLifetimeSeconds?: number
  /** All of them are asked; one that says so revokes. */
  readonly checks: readonly RevocationCheck[]
}

/** A check, read. */
export interface ReadCheck {
  readonly bases: ReadonlySet<RevocationBasis>
  /** `null`: every issuer. */
  readonly issuers: ReadonlySet<string> | null
  readonly from: { readonly set: RevocationSet } | { readonly question: RevocationQuestion }
  readonly staleMilliseconds: number
}

/** What is known of the issuers whose tokens can be revoked. */
export interface RevocableIssuers {
  /** `null`: the application is asked for them. */
  readonly names: ReadonlySet<string> | null
  /** The claim of an issuer that says a basis, where it needs one; `null`: none does. */
  claimOf(issuer: string, basis: 'grantId' | 'sessionId'): string | null
}

/** Some 68 years: whatever is longer is a mistake. */
const MOST_LIFETIME_SECONDS = 2 ** 31

/** How far behind a set may be where it does not say: replicas know of a revocation within a second. */
const DEFAULT_SET_STALE_SECONDS = 1

/** @throws {ConfigError} naming the check, the member and the mend */
export function readRevocationOptions(
  value: unknown,
  where: string,
  issuers: RevocableIssuers,
): { readonly maxTokenLifetimeSeconds: number; readonly checks: readonly ReadCheck[] } {
  const members = membersOf(value, where, ['maxTokenLifetimeSeconds', 'checks'])
  const checks = listAt(members['checks'], `${where}.checks`, (each, at) => checkAt(each, at, issuers))
  const lifetimeAt = (each: unknown, at: string) => integerAt(each, at, 1, MOST_LIFETIME_SECONDS)
  const maxTokenLifetimeSeconds = optional(members, 'maxTokenLifetimeSeconds', where, lifetimeAt, null)
  const hasSet = checks.some(({ from }) => 'set' in from)
  if (maxTokenLifetimeSeconds !== null && !hasSet) {
    throw new ConfigError(
      `${where}.maxTokenLifetimeSeconds goes with sets: functions keep what they like, and nothing enforces it: leave it out, or give a check a set, such as memoryRevocations()`,
    )
  }
  if (maxTokenLifetimeSeconds === null && hasSet) {
    throw new ConfigError(`${where} needs maxTokenLifetimeSeconds: so long each revocation is kept, and no token may live longer`)
  }
  return { maxTokenLifetimeSeconds: maxTokenLifetimeSeconds ?? 0, checks }
}

function checkAt(value: unknown, where: string, known: RevocableIssuers): ReadCheck {
  const members = membersOf(value, where, ['by', 'issuer', 'from', 'staleSeconds'])
  const bases = new Set(oneOrListAt(members['by'], `${where}.by`, (each, at) => wordAt(each, at, REVOCATION_BASES)))
  const issuers = members['issuer'] === 'any' ? null : new Set(oneOrListAt(members['issuer'], `${where}.issuer`, issuerAt))
  for (const issuer of issuers ?? known.names ?? []) {
    if (known.names !== null && !known.names.has(issuer)) {
      throw new ConfigError(`${where}.issuer names an issuer that is not configured: "${issuer}"`)
    }
    for (const [basis, option] of SAID_BY_A_CLAIM) {
      if (bases.has(basis) && known.names !== null && known.claimOf(issuer, basis) === null) {
        throw new ConfigError(
          `${where}.by names ${basis}, but no claim of "${issuer}" says it: give that issuer claims.${option}`,
        )
      }
    }
  }
  const from = sourceAt(members['from'], `${where}.from`)
  const defaultStale = 'set' in from ? DEFAULT_SET_STALE_SECONDS : 0
  const least = 'set' in from ? 1 : 0
  const staleSeconds = optional(members, 'staleSeconds', where, (each, at) => integerAt(each, at, least, 86_400), defaultStale)
  return Object.freeze({ bases, issuers, from, staleMilliseconds: staleSeconds * 1000 })
}

const SAID_BY_A_CLAIM = [
  ['grantId', 'grant'],
  ['sessionId', 'session'],
] as const

function issuerAt(value: unknown, where: string): string {
  if (typeof value !== 'string') throw new ConfigError(`${where} must be an issuer, a list of them, or 'any'`)
  return stringAt(value, where)
}

function sourceAt(value: unknown, where: string): ReadCheck['from'] {
  // A function too, by its type, whose answer would be taken for none on every request.
  if (value === memoryRevocations) throw new ConfigError(`${where} is memoryRevocations itself: call it, memoryRevocations()`)
  if (typeof value === 'function') return { question: functionAt<RevocationQuestion>(value, where) }
  const set = value as Partial<RevocationSet> | null
  const isSet =
    typeof set === 'object' &&
    set !== null &&
    [set.add, set.find, set.wholeAt].every((method) => typeof method === 'function') &&
    typeof set.version === 'number'
  if (!isSet) throw new ConfigError(`${where} must be a set of revocations, such as memoryRevocations(), or a function`)
  return { set: set as RevocationSet }
}
