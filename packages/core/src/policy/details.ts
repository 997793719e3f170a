import type { RefusalCode } from '../challenge.js'
import { type Members, membersOf, oneOrListAt, optional, stringAt } from '../config-shape.js'
import { type AuthorizationDetail, DETAIL_LISTS } from '../delegation/authorization-details.js'
import type { AuthContext } from '../delegation/context.js'
import { ConfigError } from '../errors.js'

/**
 * What one and the same object of `authorization_details` must hold. A list: all of these. What the object does not say it does not
 * hold: one without `locations` is none for a place.
 */
export interface DetailRequirement {
  /** One of the types that the issuer's `authorizationDetails` names. */
  readonly type: string
  /** Where the resource is. */
  readonly locations?: string | readonly string[]
  /** What may be done. */
  readonly actions?: string | readonly string[]
  /** Kinds of data. */
  readonly datatypes?: string | readonly string[]
  /** The one resource. */
  readonly identifier?: string
  /** Levels of privilege. */
  readonly privileges?: string | readonly string[]
}

/** Mistakes are told with the mend: people give the type alone, or ask for members of their own types. */
const DETAIL_WORDS = {
  shape: 'an object such as { type: "payment" }',
  others: 'compare other members in check, with context.authorizationDetails',
}

const DETAIL_MEMBERS = ['type', 'identifier', ...DETAIL_LISTS] as const satisfies readonly (keyof DetailRequirement)[]

/** A requirement on one object, prepared. */
export interface CompiledDetail {
  readonly type: string
  /** `null`: any. */
  readonly identifier: string | null
  /** What each list must hold; lists that are not asked for are not here. */
  readonly lists: readonly (readonly [name: (typeof DETAIL_LISTS)[number], words: readonly string[]])[]
}

/** Types that issuers know. `null`, or left out: which ones there are is not known. */
export type DetailTypes = ReadonlySet<string> | null | undefined

/**
 * One object that is asked for, or a list of them.
 * @throws {ConfigError}
 */
export function compileDetails(value: unknown, where: string, types: DetailTypes): readonly CompiledDetail[] {
  return oneOrListAt(value, where, (each, at) => compileDetail(membersOf(each, at, DETAIL_MEMBERS, DETAIL_WORDS), at, types))
}

function compileDetail(members: Members, where: string, types: DetailTypes): CompiledDetail {
  const texts = (value: unknown, at: string) => oneOrListAt(value, at, stringAt)
  return Object.freeze({
    type: detailTypeAt(members['type'], `${where}.type`, types),
    identifier: optional(members, 'identifier', where, stringAt, null),
    lists: DETAIL_LISTS.filter((name) => Object.hasOwn(members, name)).map(
      (name) => [name, texts(members[name], `${where}.${name}`)] as const,
    ),
  })
}

/**
 * A type that a rule or requirement names; some issuer must know it, or it would silently never be met.
 * @throws {ConfigError}
 */
export function detailTypeAt(value: unknown, where: string, types: DetailTypes): string {
  const type = stringAt(value, where)
  if (types && !types.has(type)) {
    throw new ConfigError(`${where} names a type that no issuer knows: "${type}"; add it to an issuer's authorizationDetails`)
  }
  return type
}

/** What a rule leaves of a token's details. */
export function narrowDetails(
  details: readonly AuthorizationDetail[],
  left: ReadonlySet<string> | 'all' | null,
): readonly AuthorizationDetail[] {
  if (left === 'all' || details.length === 0) return details
  return Object.freeze(left === null ? [] : details.filter(({ type }) => left.has(type)))
}

/**
 * Judges whether a call has the details that are asked for.
 * @param ofToken before a rule narrowed them
 */
export function judgeDetails(
  asked: readonly CompiledDetail[],
  { kind, authorizationDetails }: AuthContext,
  ofToken: readonly AuthorizationDetail[],
): RefusalCode | null {
  const missing = asked.filter((each) => !isHeld(each, authorizationDetails))
  if (missing.length === 0) return null
  return kind !== 'direct' && missing.every((each) => isHeld(each, ofToken)) ? 'scope_not_delegated' : 'requirement_failed'
}

/** Whether a single object holds all of it: parts of several objects do not add up (RFC 9396 2.2, 3). */
function isHeld({ type, identifier, lists }: CompiledDetail, details: readonly AuthorizationDetail[]): boolean {
  return details.some(
    (detail) =>
      detail.type === type &&
      (identifier === null || detail.identifier === identifier) &&
      lists.every(([name, words]) => words.every((word) => detail[name]?.includes(word) ?? false)),
  )
}
