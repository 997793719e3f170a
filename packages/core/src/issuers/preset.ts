import { membersOf } from '../config-shape.js'
import { ISSUER_MEMBERS, type IssuerOptions } from './issuer.js'

/** What every preset lets an application say itself. A preset's own `requiredClaims` and `claims` stay where no other value is given. */
export type PresetOptions = Omit<IssuerOptions, 'issuer' | 'audience' | 'actor' | 'presentClaims'>

const OWN_TO_PRESETS: readonly string[] = ['issuer', 'audience', 'actor', 'presentClaims'] satisfies (keyof IssuerOptions)[]
const COMMON = ISSUER_MEMBERS.filter((name) => !OWN_TO_PRESETS.includes(name))

/**
 * Joins a preset with what the application says.
 * @param own members that only this preset has; the preset has read them already
 * @throws {ConfigError} for a member that the preset does not know, or that is `undefined`
 */
export function joinPreset(given: object, name: string, own: readonly string[], preset: IssuerOptions): IssuerOptions {
  const members = membersOf(given, `${name}()`, [...own, ...COMMON])
  const common = Object.fromEntries(Object.entries(members).filter(([member]) => !own.includes(member)))
  const { requiredClaims, claims } = common as PresetOptions
  return {
    ...preset,
    ...common,
    ...(preset.requiredClaims && { requiredClaims: { ...preset.requiredClaims, ...requiredClaims } }),
    ...(preset.claims && { claims: { ...preset.claims, ...claims } }),
  }
}
