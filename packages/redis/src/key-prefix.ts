import { ConfigError, type Members, optional, stringAt } from '@behalf/core/sink-kit'

const DEFAULT_PREFIX = 'behalf'

/** The option `keyPrefix`: what the names of all keys begin with, in braces, so that they are in one slot of a cluster. */
export function keyPrefixOf(members: Members, where: string): string {
  return optional(members, 'keyPrefix', where, prefixAt, DEFAULT_PREFIX)
}

function prefixAt(value: unknown, where: string): string {
  const prefix = stringAt(value, where)
  if (!/^[A-Za-z0-9_.:-]{1,64}$/.test(prefix)) {
    throw new ConfigError(`${where} must be 1 to 64 letters, digits, "_", "-", "." and ":", like ${DEFAULT_PREFIX}`)
  }
  return prefix
}
