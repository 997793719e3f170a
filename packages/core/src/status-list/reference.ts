import { AuthError } from '../errors.js'
import { isFetchable } from '../keys/fetch-json.js'
import { isObject, type JsonObject, type JsonValue } from '../token/json.js'

/** Where a token says that its status is. */
export interface StatusReference {
  /** The list's URL, exactly as the token and the list write it. */
  readonly uri: string
  /** The token's place in the list, from 0. */
  readonly index: number
}

/** Which references are followed. */
export interface ReferencePolicy {
  /** Origins that lists may come from. */
  readonly origins: ReadonlySet<string>
  /** A token without a reference is refused. */
  readonly required: boolean
  /** Longest URL, in UTF-16 code units. */
  readonly uriCharacters: number
}

/**
 * Reads the reference in verified claims (draft-ietf-oauth-status-list 6.2), `null` where there is none. A `status` that names another
 * mechanism only is not one that can be read: nobody would ask whether such a token is still good.
 * @throws {AuthError} `claim_invalid`, `claim_missing`
 */
export function readReference({ status }: JsonObject, policy: ReferencePolicy): StatusReference | null {
  if (status === undefined) {
    if (policy.required) throw new AuthError('claim_missing')
    return null
  }
  const reference = isObject(status) ? status['status_list'] : undefined
  if (!isObject(reference)) throw new AuthError('claim_invalid')
  const { idx, uri } = reference
  if (!isIndex(idx) || !isAcceptedUri(uri, policy)) throw new AuthError('claim_invalid')
  return { uri, index: idx }
}

function isIndex(value: JsonValue | undefined): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0
}

/** The issuer names the URL, and yet not every URL: a list of anybody else must not be asked, nor a neighbour of this server. */
function isAcceptedUri(value: JsonValue | undefined, { origins, uriCharacters }: ReferencePolicy): value is string {
  if (typeof value !== 'string' || value.length > uriCharacters || !isFetchable(value)) return false
  return origins.has(new URL(value).origin)
}
