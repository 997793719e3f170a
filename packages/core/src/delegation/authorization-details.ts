import { isObject, type JsonObject, type JsonValue } from '../token/json.js'
import { MALFORMED, type Malformed } from './claim-mapping.js'

/** One object of `authorization_details` (RFC 9396 2) whose type this API knows. The members below are checked in type, all others are not. */
export interface AuthorizationDetail extends JsonObject {
  /** One of the issuer's `authorizationDetails`, compared exactly. */
  readonly type: string
  /** Where the resource is (RFC 9396 2.2). Missing: not said, which is never "everywhere". */
  readonly locations?: readonly string[]
  /** What may be done. */
  readonly actions?: readonly string[]
  /** Kinds of data. */
  readonly datatypes?: readonly string[]
  /** One resource. */
  readonly identifier?: string
  /** Levels of privilege. */
  readonly privileges?: readonly string[]
}

/** The members of RFC 9396 2.2 that are lists of texts. */
export const DETAIL_LISTS = ['locations', 'actions', 'datatypes', 'privileges'] as const

/** Most objects in one token: each of them is looked at wherever one is asked for. */
const MOST_DETAILS = 64

const NO_DETAILS: readonly never[] = Object.freeze([])

/**
 * The authorization details that a token has (RFC 9396 9.1; introspection answers have them in the same place, 9.2).
 * @param claims verified, deeply frozen
 * @param types types that this API knows; `null`: the claim is not read. A detail of any other type grants nothing, and is left out
 */
export function readAuthorizationDetails(
  claims: JsonObject,
  types: ReadonlySet<string> | null,
): readonly AuthorizationDetail[] | Malformed {
  if (types === null) return NO_DETAILS
  const value = claims['authorization_details']
  if (value === undefined) return NO_DETAILS
  if (!Array.isArray(value) || value.length > MOST_DETAILS) return MALFORMED
  const known: AuthorizationDetail[] = []
  for (const each of value as readonly JsonValue[]) {
    if (!isObject(each) || typeof each['type'] !== 'string') return MALFORMED
    if (!types.has(each['type'])) continue
    if (!hasCommonShape(each)) return MALFORMED
    known.push(each as AuthorizationDetail)
  }
  return Object.freeze(known)
}

function hasCommonShape(detail: JsonObject): boolean {
  const { identifier } = detail
  return (identifier === undefined || typeof identifier === 'string') && DETAIL_LISTS.every((name) => isTexts(detail[name]))
}

function isTexts(value: JsonValue | undefined): boolean {
  return value === undefined || (Array.isArray(value) && value.every((each) => typeof each === 'string'))
}
