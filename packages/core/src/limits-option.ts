import { integerAt, membersOf } from './config-shape.js'
import { ConfigError } from './errors.js'
import { DEFAULT_LIMITS, type Limits, LONGEST_TIMER_MILLISECONDS, MAX_CACHE_ENTRIES } from './limits.js'

/** Limits that say how many entries a memory has room for from the start. */
const ROOMS: ReadonlySet<string> = new Set([
  'issuers',
  'unknownIssuers',
  'unknownKeys',
  'replayEntries',
  'statusLists',
] satisfies (keyof Limits)[])

/** Pairs of limits of which the first must not be greater than the second. */
const IN_ORDER: readonly (readonly [keyof Limits, keyof Limits])[] = [
  ['keysFreshLeastSeconds', 'keysFreshSeconds'],
  ['keysFreshSeconds', 'keysFreshMostSeconds'],
  ['keysStaleDelegatedSeconds', 'keysStaleSeconds'],
  ['backOffFirstSeconds', 'backOffMostSeconds'],
  ['fetchHeadersMilliseconds', 'fetchTotalMilliseconds'],
  ['statusListInflatedBytes', 'statusListMemoryBytes'],
]

/** Reads the option `limits`: what is not given keeps its default. */
export function limitsAt(value: unknown, where: string): Limits {
  const members = membersOf(value, where, Object.keys(DEFAULT_LIMITS))
  for (const [name, limit] of Object.entries(members)) integerAt(limit, `${where}.${name}`, leastOf(name), mostOf(name))
  const limits = Object.freeze({ ...DEFAULT_LIMITS, ...(members as Partial<Limits>) })
  for (const [less, more] of IN_ORDER) {
    if (limits[less] > limits[more]) {
      throw new ConfigError(`${where}.${less} (${limits[less]}) is greater than ${more} (${limits[more]}): set both`)
    }
  }
  return limits
}

/** A nonce must live long enough for a client to use it. */
function leastOf(limit: string): number {
  return limit === 'nonceSeconds' ? 10 : 1
}

function mostOf(limit: string): number {
  if (limit === 'keysRefreshPercent') return 100
  if (ROOMS.has(limit)) return MAX_CACHE_ENTRIES
  return limit.endsWith('Milliseconds') ? LONGEST_TIMER_MILLISECONDS : Number.MAX_SAFE_INTEGER
}
