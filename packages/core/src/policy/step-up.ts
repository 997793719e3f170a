import { isChallengeWord, type StepUp } from '../challenge.js'
import { integerAt, type Members, oneOrListAt, optional, stringAt } from '../config-shape.js'
import { ConfigError } from '../errors.js'
import type { JsonObject } from '../token/json.js'

/**
 * What a requirement asks of the user's login, from its members `acr` and `maxAuthAgeSeconds`; `null`: nothing.
 * @throws {ConfigError}
 */
export function stepUpOf(members: Members, where: string): StepUp | null {
  const acrValues = optional(members, 'acr', where, (value, at) => oneOrListAt(value, at, acrAt), [])
  const maxAgeSeconds = optional(members, 'maxAuthAgeSeconds', where, (value, at) => integerAt(value, at, 0), null)
  return acrValues.length === 0 && maxAgeSeconds === null ? null : Object.freeze({ acrValues, maxAgeSeconds })
}

function acrAt(value: unknown, where: string): string {
  const acr = stringAt(value, where)
  if (!isChallengeWord(acr)) {
    throw new ConfigError(
      `${where} must be printable ASCII without space, quote and backslash: challenges name it; several values are a list`,
    )
  }
  return acr
}

/**
 * Whether the login that verified claims tell of (`acr`, `auth_time`: RFC 9470 6, RFC 9068 2.2.1) is one that is asked for. A claim
 * that is missing, or of another type, tells of none; so does a time that lies ahead by more than the tolerance.
 */
export function meetsStepUp(
  { acrValues, maxAgeSeconds }: StepUp,
  { acr, auth_time: authTime }: JsonObject,
  nowSeconds: number,
  toleranceSeconds: number,
): boolean {
  if (acrValues.length > 0 && !(typeof acr === 'string' && acrValues.includes(acr))) return false
  if (maxAgeSeconds === null) return true
  if (typeof authTime !== 'number') return false
  const ageSeconds = nowSeconds - authTime
  return ageSeconds >= -toleranceSeconds && ageSeconds <= maxAgeSeconds + toleranceSeconds
}
