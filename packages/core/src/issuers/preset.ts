import { type Members, membersOf } from '../config-shape.js'
import { ISSUER_MEMBERS, type IssuerOptions } from './issuer-options.js'

/** What every preset lets an application say itself. A preset's own `requiredClaims`, `presentClaims` and `claims` stay where no other value is given. */
export type PresetOptions = Omit<IssuerOptions, 'issuer' | 'audience' | 'actor'>

const OWN_TO_PRESETS: readonly string[] = ['issuer', 'audience', 'actor'] satisfies (keyof IssuerOptions)[]
const COMMON = ISSUER_MEMBERS.filter((name) => !OWN_TO_PRESETS.includes(name))

/**
 * Makes sure that a preset was given an object whose members it knows.
 * @param own members that only this preset has
 * @throws {ConfigError}
 */
export function presetMembers(given: unknown, name: string, own: readonly string[]): Members {
  return membersOf(given, `${name}()`, [...own, ...COMMON])
}

/**
 * Joins a preset with what the application says: the preset's own `requiredClaims` and `claims` stay where no other is given.
 * @throws {ConfigError} for a member that the preset does not know, or that is `undefined`
 */
export function joinPreset(given: object, name: string, own: readonly string[], preset: IssuerOptions): IssuerOptions {
  const members = presetMembers(given, name, own)
  const common = Object.fromEntries(Object.entries(members).filter(([member]) => !own.includes(member)))
  const join = <K extends 'requiredClaims' | 'claims'>(member: K): Pick<IssuerOptions, K> => {
    if (!Object.hasOwn(common, member) || preset[member] === undefined) return {} as Pick<IssuerOptions, K>
    const more = membersOf(common[member], `${name}().${member}`, Object.keys(common[member] ?? {}))
    return { [member]: { ...preset[member], ...more } } as Pick<IssuerOptions, K>
  }
  return { ...preset, ...common, ...join('requiredClaims'), ...join('claims'), ...joinPresentClaims(common, preset) }
}

/** The preset's own are about its JWTs: of answers only what the application says itself is asked. */
function joinPresentClaims(common: Members, preset: IssuerOptions): Pick<IssuerOptions, 'presentClaims' | 'introspection'> {
  const { presentClaims: more, introspection } = common
  const joins = Array.isArray(more) && more.length > 0 // anything else is a mistake, and is left as it is to be told
  const joined = joins && { presentClaims: [...new Set([...(preset.presentClaims ?? []), ...more])] }
  const ofAnswers = { presentClaims: joins ? more : [], ...preset.introspection, ...(introspection ?? {}) }
  const asks = typeof introspection === 'object' && introspection !== null && { introspection: ofAnswers }
  return { ...joined, ...asks } as Pick<IssuerOptions, 'presentClaims' | 'introspection'>
}
