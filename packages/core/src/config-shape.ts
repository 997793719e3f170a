import { ConfigError } from './errors.js'

/** A plain object given as configuration, its members not yet known. */
export type Members = Readonly<Record<string, unknown>>

/** Words of messages, where the usual ones would leave the mend open. */
interface ShapeWords {
  /** What it must be. Default: an object. */
  readonly shape?: string
  /** Where members that are not known have their place. */
  readonly others?: string
}

/**
 * The members of a configuration object, after making sure that it is one, that each of its members is known and that none
 * is `undefined`: a missing environment variable must not become "everybody".
 * @param where how the object is named in messages, for example `delegation[0].actor`
 */
export function membersOf(value: unknown, where: string, known: readonly string[], words: ShapeWords = {}): Members {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new ConfigError(`${where} must be ${words.shape ?? 'an object'}`)
  }
  for (const [name, member] of Object.entries(value)) {
    if (!known.includes(name)) {
      const others = words.others === undefined ? '' : `; ${words.others}`
      throw new ConfigError(`${where} has an unknown member "${name}": it knows ${known.join(', ')}${others}`)
    }
    if (member === undefined) {
      throw new ConfigError(`${where}.${name} is undefined: give a value, or leave the member out`)
    }
  }
  return value as Members
}

/** A non-empty string. */
export function stringAt(value: unknown, where: string): string {
  if (typeof value !== 'string' || value === '') throw new ConfigError(`${where} must be a non-empty string`)
  return value
}

/**
 * A non-empty list without repetition, each entry read by `entry`.
 * @param of what it is a list of, for its message
 */
export function listAt<T>(value: unknown, where: string, entry: (value: unknown, where: string) => T, of = ''): readonly T[] {
  if (!Array.isArray(value) || value.length === 0) throw new ConfigError(`${where} must be a non-empty list${of && ` of ${of}`}`)
  const entries = Array.from(value, (each: unknown, index) => entry(each, `${where}[${index}]`)) // `map` would skip holes
  if (new Set(entries).size !== entries.length) throw new ConfigError(`${where} names something twice`)
  return Object.freeze(entries)
}

/** One value or a non-empty list of them, as a list. */
export function oneOrListAt<T>(value: unknown, where: string, entry: (value: unknown, where: string) => T): readonly T[] {
  return Array.isArray(value) ? listAt(value, where, entry) : Object.freeze([entry(value, where)])
}

/** One of the words that are allowed. */
export function wordAt<const W extends string>(value: unknown, where: string, words: readonly W[]): W {
  if (typeof value !== 'string' || !words.includes(value as W)) {
    throw new ConfigError(`${where} must be one of ${quoted(words)}`)
  }
  return value as W
}

/** Words as a message lists them. */
export function quoted(words: readonly string[]): string {
  return words.map((word) => `'${word}'`).join(', ')
}

/** A private key as a JWK, as far as its shape tells: whoever has a PEM or a `KeyObject` is told how to make one of it. */
export function privateJwkAt(value: unknown, where: string): Members {
  if (typeof value === 'object' && value !== null && 'kty' in value) return value as Members
  throw new ConfigError(
    `${where} must be a private key as a JWK: of a PEM or a KeyObject, createPrivateKey(pem).export({ format: 'jwk' })`,
  )
}

/** `true` or `false`, and nothing that counts as one of them. */
export function booleanAt(value: unknown, where: string): boolean {
  if (typeof value !== 'boolean') throw new ConfigError(`${where} must be true or false`)
  return value
}

/** A whole number within bounds, both included. */
export function integerAt(value: unknown, where: string, least: number, most: number = Number.MAX_SAFE_INTEGER): number {
  if (!Number.isSafeInteger(value) || (value as number) < least || (value as number) > most) {
    const bounds = most === Number.MAX_SAFE_INTEGER ? `at least ${least}` : `from ${least} to ${most}`
    throw new ConfigError(`${where} must be a whole number, ${bounds}`)
  }
  return value as number
}

/** A function. Its signature is the caller's word. */
// biome-ignore lint/suspicious/noExplicitAny: the caller states the signature; only callability can be checked here
export function functionAt<F extends (...args: any[]) => unknown>(value: unknown, where: string): F {
  if (typeof value !== 'function') throw new ConfigError(`${where} must be a function`)
  return value as F
}

/** Reads an optional member: absent means `fallback`. */
export function optional<T, D>(
  members: Members,
  name: string,
  where: string,
  read: (value: unknown, where: string) => T,
  fallback: D,
): T | D {
  return Object.hasOwn(members, name) ? read(members[name], `${where}.${name}`) : fallback
}
