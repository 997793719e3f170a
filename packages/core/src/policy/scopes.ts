import { oneOrListAt, stringAt } from '../config-shape.js'
import { ConfigError } from '../errors.js'

/** Scopes by exact name, and by what they begin with. */
export interface ScopePatterns {
  readonly exact: ReadonlySet<string>
  /** Prefixes that end in `:`, from patterns such as `orders:*`. */
  readonly prefixes: readonly string[]
}

/**
 * One scope, as tokens can hold it.
 * @param words whether every issuer writes scopes as space-separated words, so that none can hold a space
 * @throws {ConfigError}
 */
export function scopeAt(value: unknown, where: string, words: boolean): string {
  const scope = stringAt(value, where)
  if (words && scope.includes(' ')) throw new ConfigError(`${where} holds a space: name several scopes as a list`)
  return scope
}

/** @throws {ConfigError} for a `*` that is not last, after a `:` */
export function compileScopes(value: unknown, where: string, words: boolean): ScopePatterns {
  const exact = new Set<string>()
  const prefixes: string[] = []
  for (const pattern of oneOrListAt(value, where, (each, at) => scopeAt(each, at, words))) {
    const star = pattern.indexOf('*')
    if (star === -1) exact.add(pattern)
    else if (star === pattern.length - 1 && pattern.endsWith(':*') && pattern.length > 2) prefixes.push(pattern.slice(0, -1))
    else throw new ConfigError(`${where}: in "${pattern}" a "*" may only stand last, after a ":", as in "orders:*"`)
  }
  return { exact, prefixes }
}

/**
 * Whether patterns cover a scope. `orders:*` covers what begins with `orders:` and has more after it. A scope that itself
 * contains `*` is an ordinary word: no pattern covers it, so that a token cannot bring a pattern of its own.
 */
function covers(patterns: ScopePatterns, scope: string): boolean {
  return patterns.exact.has(scope) || (!scope.includes('*') && beginsWithOne(patterns, scope))
}

/** What a rule leaves of the scopes given: allowed by it and not excepted. An exception also takes away a word with `*`. */
export function narrowScopes(
  scopes: readonly string[],
  allowed: ScopePatterns | 'all',
  except: ScopePatterns | null,
): readonly string[] {
  const left = scopes.filter(
    (scope) =>
      (allowed === 'all' || covers(allowed, scope)) &&
      !(except !== null && (except.exact.has(scope) || beginsWithOne(except, scope))),
  )
  return Object.freeze(left)
}

function beginsWithOne({ prefixes }: ScopePatterns, scope: string): boolean {
  return prefixes.some((prefix) => scope.length > prefix.length && scope.startsWith(prefix))
}
