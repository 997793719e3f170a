import { membersOf } from '../config-shape.js'
import { ConfigError } from '../errors.js'
import { ISSUER_MEMBERS, type IssuerOptions } from './issuer-options.js'

/** Options of {@link custom}: nothing that decides who is calling has a default. */
export type CustomOptions = IssuerOptions &
  Required<Pick<IssuerOptions, 'tokenTypes'>> &
  ({ readonly actor: null } | Required<Pick<IssuerOptions, 'actor' | 'kind'>>)

/**
 * An issuer with claims of its own: an explicit mapping, no autodetection. Which `typ` access tokens have, where delegation is
 * written and what kind it is must be said; `actor: null` says that the issuer writes none, and then every known delegation
 * claim refuses a token.
 */
export function custom(options: CustomOptions): IssuerOptions {
  const members = membersOf(options, 'custom()', ISSUER_MEMBERS)
  for (const name of ['issuer', 'audience', 'tokenTypes', 'actor', ...(options.actor === null ? [] : ['kind'])]) {
    if (!Object.hasOwn(members, name)) throw new ConfigError(`custom() needs ${name}: nothing about it is guessed`)
  }
  return { ...options }
}
