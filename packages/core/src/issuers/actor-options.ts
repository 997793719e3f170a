import { booleanAt, functionAt, listAt, membersOf, oneOrListAt, optional, stringAt, wordAt } from '../config-shape.js'
import type { ActorForm, ActorReader } from '../delegation/dialect.js'
import { type ClaimPath, DELEGATION_MARKERS, isSamePath, pathName } from '../delegation/markers.js'
import { ConfigError } from '../errors.js'

/** How an issuer writes who acts. Either `claim` or `read` says where. */
export interface ActorOptions {
  /**
   * The claim: a top-level name, or the names of a path. A name may hold dots; it is never split. A path that meets something
   * other than an object on its way refuses the token.
   */
  readonly claim?: string | readonly string[]
  /**
   * A function of the verified claims, for shapes that the other members cannot say: returns an object in the shape of `act`
   * (RFC 8693 4.1, profiles as `sub_profile`), `'unknown'` where somebody acts but is not named (not with
   * `direction: 'subject'`: a subject is always named), or `null` for nobody. Synchronous; what it returns is checked like a
   * claim, and an error in it refuses the token.
   */
  readonly read?: ActorReader
  /** Known delegation claims that `read` looks after, by name (`ext.act` for a path). Others stay foreign. */
  readonly reads?: readonly string[]
  /** `object` (default): as RFC 8693; `json`: the same as JSON text; `string`: the id alone. */
  readonly encoding?: 'object' | 'json' | 'string'
  /** Claims that may name the actor: the first present one counts. Default `sub`. */
  readonly id?: string | readonly string[]
  /** Whether every actor must say its issuer (`act.iss`). Default `optional`. */
  readonly issuer?: 'optional' | 'required'
  /** `subject`: the claim names the subject, and the token's `sub` is the actor. Default `actor`. */
  readonly direction?: 'actor' | 'subject'
  /** Whether every token must carry delegation. Default `false`. */
  readonly required?: boolean
  /**
   * Whether actors and subjects share one name space, so that an actor with the subject's own issuer and id is the subject
   * itself. Default `false`: such a call is a delegation.
   */
  readonly selfIsDirect?: boolean
  /** With `encoding: 'string'`: the top-level claim that holds the actor's tenant. */
  readonly tenant?: string
}

const MEMBERS = [
  'claim',
  'read',
  'reads',
  'encoding',
  'id',
  'issuer',
  'direction',
  'required',
  'selfIsDirect',
  'tenant',
] as const satisfies readonly (keyof ActorOptions)[]

/** A form, and the known markers that it looks after. */
export interface ResolvedActor {
  readonly form: ActorForm
  readonly reads: readonly ClaimPath[]
}

/** @throws {ConfigError} */
export function resolveActors(options: unknown, where: string): readonly ResolvedActor[] {
  if (options === null) return []
  if (!Array.isArray(options)) return [resolveActor(options, where)]
  return listAt(options, where, resolveActor)
}

function resolveActor(options: unknown, where: string): ResolvedActor {
  const members = membersOf(options, where, MEMBERS)
  const path = optional(members, 'claim', where, (value, at) => oneOrListAt(value, at, stringAt), null)
  const read = optional(members, 'read', where, functionAt<ActorReader>, null)
  if ((path === null) === (read === null)) throw new ConfigError(`${where} needs either "claim" or "read"`)
  const encoding = optional(
    members,
    'encoding',
    where,
    (value, at) => wordAt(value, at, ['object', 'json', 'string']),
    'object' as const,
  )
  const tenantClaim = optional(members, 'tenant', where, stringAt, null)
  if (tenantClaim !== null && encoding !== 'string') throw new ConfigError(`${where}.tenant goes with encoding 'string'`)
  if (read !== null && encoding !== 'object') throw new ConfigError(`${where}.encoding goes with "claim", not with "read"`)
  const direction = optional(members, 'direction', where, (value, at) => wordAt(value, at, ['actor', 'subject']), 'actor')
  const reads = optional(members, 'reads', where, (value, at) => listAt(value, at, markerAt), [])
  if (reads.length > 0 && read === null) throw new ConfigError(`${where}.reads goes with "read"`)
  const parents = (path ?? []).slice(1).map((_, index) => (path ?? []).slice(0, index + 1))
  const tenantPath: readonly ClaimPath[] = tenantClaim === null ? [] : [[tenantClaim]]
  const form: ActorForm = {
    path,
    read,
    encoding,
    naming: optional(members, 'id', where, (value, at) => oneOrListAt(value, at, stringAt), ['sub']),
    issuerRequired:
      optional(members, 'issuer', where, (value, at) => wordAt(value, at, ['optional', 'required']), 'optional') === 'required',
    reversed: direction === 'subject',
    required: optional(members, 'required', where, booleanAt, false),
    selfIsDirect: optional(members, 'selfIsDirect', where, booleanAt, false),
    profiles: read === null ? null : { claim: 'sub_profile', words: null },
    tenantClaim,
    signs: [...parents.filter((parent) => DELEGATION_MARKERS.some((marker) => isSamePath(marker, parent))), ...tenantPath],
  }
  return { form: Object.freeze(form), reads: [...(path === null ? [] : [path]), ...parents, ...tenantPath, ...reads] }
}

/** A known delegation marker, by its name. */
export function markerAt(value: unknown, where: string): ClaimPath {
  const name = stringAt(value, where)
  const marker = DELEGATION_MARKERS.find((path) => pathName(path) === name)
  if (marker === undefined) {
    throw new ConfigError(`${where} is no known delegation marker: it can be ${DELEGATION_MARKERS.map(pathName).join(', ')}`)
  }
  return marker
}
