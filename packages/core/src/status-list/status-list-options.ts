import { booleanAt, integerAt, listAt, membersOf, optional, stringAt } from '../config-shape.js'
import { ConfigError } from '../errors.js'
import { isFetchable } from '../keys/fetch-json.js'
import type { RemoteListOptions } from './remote-list.js'
import { RemoteStatusLists, type StatusLists } from './status-lists.js'

/** How an issuer says that tokens are not good any more: by a Token Status List (draft-ietf-oauth-status-list). */
export interface StatusListOptions {
  /** A token that names no list is refused. Default `false`: it is not asked about. */
  readonly required?: boolean
  /** Origins that lists may come from, such as `https://status.example.com`. Default: the issuer's own. */
  readonly origins?: readonly string[]
  /** How long past its time a list serves while it cannot be read, in seconds; never past its own `exp`. Default 0: then 503. */
  readonly staleSeconds?: number
}

/** What status lists need from their issuer and server. */
export type StatusListEnvironment = Omit<RemoteListOptions, 'staleSeconds' | 'closed'>

/**
 * Validates the options. Nothing is asked before a token names a list.
 * @param value `true`, or {@link StatusListOptions}
 * @throws {ConfigError} naming the option and the mend
 */
export function resolveStatusList(value: unknown, where: string, environment: StatusListEnvironment): StatusLists {
  const shape = 'true or an object: leave it out where there are no lists' // there is no `false`
  const members = value === true ? {} : membersOf(value, where, ['required', 'origins', 'staleSeconds'], { shape })
  const origins = optional(members, 'origins', where, (each, at) => listAt(each, at, originAt), null)
  const required = optional(members, 'required', where, booleanAt, false)
  const staleSeconds = optional(members, 'staleSeconds', where, (each, at) => integerAt(each, at, 0), 0)
  return new RemoteStatusLists(
    {
      origins: new Set(origins ?? [originOf(environment.issuer, where)]),
      required,
      uriCharacters: environment.limits.identifierCharacters,
    },
    { ...environment, staleSeconds },
  )
}

function originAt(value: unknown, where: string): string {
  const origin = stringAt(value, where)
  if (!isFetchable(origin) || new URL(origin).origin !== origin) {
    throw new ConfigError(`${where} must be an https origin (http only on loopback), such as "https://status.example.com"`)
  }
  return origin
}

function originOf(issuer: string, where: string): string {
  if (!isFetchable(issuer)) {
    throw new ConfigError(`${where} needs origins: the issuer is no https URL, so nothing says where its lists may come from`)
  }
  return new URL(issuer).origin
}
