import { membersOf, stringAt, wordAt } from '../config-shape.js'
import { profileWordAt } from '../delegation/claim-mapping.js'
import type { Party, UnknownParty } from '../delegation/party.js'
import { ConfigError } from '../errors.js'

/** Describes parties; every member given must hold. Exact comparison only. */
export interface PartyMatcher {
  /** The party's id, compared exactly. Beside several issuers the rule or requirement then needs `issuer` too. */
  readonly id?: string
  /** The claim that named the party. Default `sub`; goes with `id`. */
  readonly idClaim?: string
  /**
   * The party's own name space (`act.iss`). Without it, parties fit whose name space is unsaid or is the token's issuer (under
   * `{ not: … }`: parties of every name space); with it, only those that say exactly this one.
   */
  readonly issuer?: string
  /** What the issuer says the party is; parties of whom it is not said fit neither word. */
  readonly type?: 'user' | 'client'
  /** One word of the party's `profiles`, in lower case. */
  readonly profile?: string
  /** The party's own tenant, which can differ from the token's. */
  readonly tenant?: string
}

const MEMBERS = ['id', 'idClaim', 'issuer', 'type', 'profile', 'tenant'] as const satisfies readonly (keyof PartyMatcher)[]

/** @throws {ConfigError} for an empty matcher, an unknown or undefined member */
function compileMatcher(value: unknown, where: string): PartyMatcher {
  const members = membersOf(value, where, MEMBERS)
  if (Object.keys(members).length === 0) throw new ConfigError(`${where} is empty: say whom it means, or use 'any' for an actor`)
  for (const name of ['id', 'idClaim', 'issuer', 'profile', 'tenant'])
    if (Object.hasOwn(members, name)) stringAt(members[name], `${where}.${name}`)
  if (Object.hasOwn(members, 'type')) wordAt(members['type'], `${where}.type`, ['user', 'client'])
  if (Object.hasOwn(members, 'idClaim') && !Object.hasOwn(members, 'id')) throw new ConfigError(`${where}.idClaim goes with id`)
  const matcher = members as PartyMatcher
  if (matcher.profile !== undefined) profileWordAt(matcher.profile, `${where}.profile`)
  return Object.freeze({ ...matcher, ...(matcher.id !== undefined && { idClaim: matcher.idClaim ?? 'sub' }) })
}

/** One matcher or a non-empty list of them. */
export function compileMatchers(value: unknown, where: string): readonly PartyMatcher[] {
  if (!Array.isArray(value)) return [compileMatcher(value, where)]
  if (value.length === 0) throw new ConfigError(`${where} is an empty list: it would fit nobody`)
  return Array.from(value, (each: unknown, index) => compileMatcher(each, `${where}[${index}]`))
}

/** Whether a party is described by one of the matchers. An unknown party is described by none. */
export function fitsOne(matchers: readonly PartyMatcher[], party: Party | UnknownParty, tokenIssuer: string): boolean {
  return party.id !== null && matchers.some((matcher) => inNameSpace(matcher, party, tokenIssuer) && describes(matcher, party))
}

/**
 * Whether a party is none of those that the matchers keep out. Here a matcher without `issuer` describes parties of every name
 * space: somebody who is to be kept out must not get in by stating one. An unknown party could be anybody, so it is not kept in.
 */
export function fitsNone(matchers: readonly PartyMatcher[], party: Party | UnknownParty): boolean {
  return (
    party.id !== null &&
    !matchers.some((matcher) => (matcher.issuer === undefined || matcher.issuer === party.issuer) && describes(matcher, party))
  )
}

function inNameSpace(matcher: PartyMatcher, party: Party, tokenIssuer: string): boolean {
  if (matcher.issuer !== undefined) return party.issuer === matcher.issuer
  return party.issuer === null || party.issuer === tokenIssuer
}

/** Everything that a matcher says about a party, apart from its name space. */
function describes(matcher: PartyMatcher, party: Party): boolean {
  return (
    (matcher.id === undefined || (party.id === matcher.id && party.idClaim === matcher.idClaim)) &&
    (matcher.type === undefined || party.type === matcher.type) &&
    (matcher.profile === undefined || party.profiles.includes(matcher.profile)) &&
    (matcher.tenant === undefined || party.tenant === matcher.tenant)
  )
}

export function namesAnId(matchers: readonly PartyMatcher[] | null): boolean {
  return matchers?.some((matcher) => matcher.id !== undefined) ?? false
}

/**
 * Whether whoever fits `narrow` always fits `wide`; `null` stands for everybody.
 * @param tokenIssuer the one issuer whose tokens `narrow` is asked about, `null` where there are several
 */
export function alwaysCovers(
  wide: readonly PartyMatcher[] | null,
  narrow: readonly PartyMatcher[] | null,
  tokenIssuer: string | null,
): boolean {
  if (wide === null) return true
  return narrow?.every((each) => wide.some((other) => implies(each, other, tokenIssuer))) ?? false
}

function implies(narrow: PartyMatcher, wide: PartyMatcher, tokenIssuer: string | null): boolean {
  // Without a name space, a matcher fits the token's own and what is unsaid; with one, that one alone.
  const sameNameSpace = narrow.issuer === wide.issuer || (wide.issuer === undefined && narrow.issuer === tokenIssuer)
  if (!sameNameSpace) return false
  return MEMBERS.every((name) => name === 'issuer' || wide[name] === undefined || wide[name] === narrow[name])
}
