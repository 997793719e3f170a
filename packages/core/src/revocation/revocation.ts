import { membersOf, stringAt } from '../config-shape.js'
import { ConfigError } from '../errors.js'
import type { Limits } from '../limits.js'
import { isIdentifier } from '../token/identifier.js'
import { type RevocationBasis, revocationKey } from './entry.js'

/** What can be named, to be revoked. */
interface Names {
  readonly tokenId: string
  readonly grantId: string
  readonly sessionId: string
  readonly subject: string
  readonly actor: string
}

/** These names, and none of the others. */
export type Named<N extends keyof Names> = Pick<Names, N> & { readonly [Other in Exclude<keyof Names, N>]?: never }

/**
 * What is to be refused from now on, of the tokens of one issuer: one token (`tokenId` as a context's `token.id`), all tokens of a
 * grant, or those issued up to a time in a session, for a subject, to an actor, or to an actor for a subject. `at` is that time, in
 * seconds since the epoch by the issuer's clock; default: now, and the clock tolerance, since clocks differ.
 *
 * People are named by id alone, however a token writes them: `subject` is whose authority is used, `actor` anybody in the chain, in
 * whichever name space. Too much that is refused can be seen; too little cannot. Names are compared exactly: one that no token can
 * have is a mistake, and refused.
 */
export type Revocation = { readonly issuer: string } & (
  | ((Named<'tokenId'> | Named<'grantId'>) & { readonly at?: never })
  | ((Named<'sessionId'> | Named<'subject'> | Named<'actor'> | Named<'subject' | 'actor'>) & { readonly at?: number })
)

/** A revocation, read. */
export interface ReadRevocation {
  readonly issuer: string
  readonly basis: RevocationBasis
  readonly key: string
  /** In seconds since the epoch; `null`: whenever a token was issued. */
  readonly issuedUntilSeconds: number | null
}

/** What names something to revoke, and whether it carries a time. */
const SHAPES: readonly (readonly [basis: RevocationBasis, names: readonly string[], timed: boolean])[] = [
  ['tokenId', ['tokenId'], false],
  ['grantId', ['grantId'], false],
  ['sessionId', ['sessionId'], true],
  ['subjectAndActor', ['subject', 'actor'], true],
  ['subject', ['subject'], true],
  ['actor', ['actor'], true],
]

const NAMES = [...new Set(SHAPES.flatMap(([, names]) => names))]

/**
 * @param defaultAt the time of a revocation that does not say one, in seconds since the epoch
 * @throws {ConfigError} where it is not one of the shapes of {@link Revocation}, or names what no token can
 */
export function readRevocation(
  given: unknown,
  defaultAt: number,
  { identifierCharacters }: Pick<Limits, 'identifierCharacters'>,
): ReadRevocation {
  const where = 'revoke()'
  const members = membersOf(given, where, ['issuer', ...NAMES, 'at'])
  const issuer = stringAt(members['issuer'], `${where}.issuer`)
  const said = NAMES.filter((name) => Object.hasOwn(members, name))
  const shape = SHAPES.find(([, names]) => names.length === said.length && names.every((name) => said.includes(name)))
  if (shape === undefined) {
    const which = 'one of tokenId, grantId, sessionId, subject, actor, or subject and actor together'
    throw new ConfigError(
      said.length === 0 ? `${where} needs ${which}` : `${where} takes exactly ${which}: call it once for each`,
    )
  }
  const [basis, names, timed] = shape
  if (!timed && Object.hasOwn(members, 'at')) {
    throw new ConfigError(`${where}.at goes with sessionId, subject and actor: leave it out beside ${basis}`)
  }
  const ids = names.map((name) => nameAt(members[name], `${where}.${name}`, identifierCharacters))
  const at = Object.hasOwn(members, 'at') ? secondsAt(members['at'], `${where}.at`) : defaultAt
  return { issuer, basis, key: revocationKey(basis, issuer, ids), issuedUntilSeconds: timed ? at : null }
}

/** The id of a token without `jti`. */
const DIGEST = /^sha256:[\w-]{43}$/

/** A name as tokens are admitted with it: any other would end nothing, without a word. */
function nameAt(value: unknown, where: string, most: number): string {
  const name = stringAt(value, where)
  if (isIdentifier(name, most) || DIGEST.test(name)) return name
  throw new ConfigError(
    `${where} names nothing: no token that is accepted says it so. Give it as tokens do: one clean line of at most ${most} characters, without white space around it`,
  )
}

/** Beyond the year 5000: a time in milliseconds. */
const MOST_SECONDS = 1e11

function secondsAt(value: unknown, where: string): number {
  if (typeof value !== 'number' || !(value >= 0 && value < MOST_SECONDS)) {
    throw new ConfigError(`${where} must be a time in seconds since the epoch`)
  }
  return value
}
