import type { ClaimPolicy } from '../claims/claim-check.js'
import { booleanAt, listAt, type Members, membersOf, optional, stringAt } from '../config-shape.js'
import { type Decrypter, resolveDecryption } from '../decryption/decrypter.js'
import { namesActor } from '../delegation/decode.js'
import type { Dialect } from '../delegation/dialect.js'
import { hasMarker } from '../delegation/markers.js'
import { ConfigError } from '../errors.js'
import type { ActorSigns } from '../introspection/answer.js'
import { resolveIntrospection } from '../introspection/endpoint-introspector.js'
import type { IntrospectionOptions } from '../introspection/introspection-options.js'
import type { Introspector } from '../introspection/introspector.js'
import type { KeySet } from '../keys/key-set.js'
import { resolveStatusList } from '../status-list/status-list-options.js'
import type { StatusLists } from '../status-list/status-lists.js'
import type { ActorOptions } from './actor-options.js'
import type { IssuerEnvironment } from './issuer.js'

/** How an issuer is asked about opaque tokens, and how its answers write delegation. */
export interface IssuerIntrospectionOptions extends IntrospectionOptions {
  /** How the answers write delegation, where it is not as in the issuer's JWTs. Default: the issuer's `actor`. */
  readonly actor?: ActorOptions | readonly ActorOptions[] | null
  /**
   * Claims that an answer must have, beside `sub`, `exp` and `aud`. Default: the issuer's `presentClaims`, less those that a preset asks of
   * its JWTs.
   */
  readonly presentClaims?: readonly string[]
}

/** Tokens of an issuer that only it can read. */
export interface OpaqueTokens {
  readonly introspector: Introspector<object>
  /** None of its tokens is read here, whatever it looks like. */
  readonly only: boolean
  /** What its answers must say. */
  readonly claims: ClaimPolicy
  readonly dialect: Dialect
}

/** What an issuer's tokens are beside signed texts, and what is asked about them after that. */
export interface TokenWays {
  /** `null`: the issuer is not asked about tokens. */
  readonly opaque: OpaqueTokens | null
  /** `null`: its tokens are not encrypted. */
  readonly decrypter: Decrypter | null
  /** `null`: its tokens are not looked up in lists. */
  readonly statusLists: StatusLists | null
}

/** What has been read of the issuer already. */
interface ReadIssuer {
  readonly issuer: string
  readonly algorithms: ReadonlySet<string>
  readonly keys: KeySet
  readonly claims: ClaimPolicy
  readonly dialect: Dialect
  /** The same with other ways of writing who acts. */
  dialectWith(actor: unknown, where: string): Dialect
  readonly actor: unknown
}

/** Members of the issuer options that are read here. */
const WAYS = ['introspection', 'opaqueOnly', 'decryption', 'statusList'] as const

/** @throws {ConfigError} */
export function resolveWays(members: Members, where: string, environment: IssuerEnvironment, read: ReadIssuer): TokenWays {
  const given = WAYS.find((name) => Object.hasOwn(members, name))
  if (given !== undefined && !environment.listed) {
    throw new ConfigError(
      `${where}.${given} goes with issuers as a list: a function is asked only for the issuer that a JWT names`,
    )
  }
  const { issuer, algorithms, keys } = read
  const { limits } = environment
  const all = { ...environment, issuer, algorithms, keys }
  const only = isOpaqueOnly(members, where)
  return {
    opaque: optional(
      members,
      'introspection',
      where,
      (value, at) => {
        const dialect = read.dialectWith(...actorOfAnswers(value, at, read.actor))
        const actors: ActorSigns = {
          inToken: (unverifiedClaims) => hasMarker(unverifiedClaims, read.dialect.markers),
          inAnswer: (claims) => namesActor(claims, dialect, limits),
        }
        return {
          introspector: resolveIntrospection<object>(value, at, { ...all, actors }),
          only,
          claims: claimsOfAnswers(read.claims, value, at),
          dialect,
        }
      },
      null,
    ),
    decrypter: optional(members, 'decryption', where, (value, at) => resolveDecryption(value, at, limits), null),
    statusLists: optional(members, 'statusList', where, (value, at) => resolveStatusList(value, at, all), null),
  }
}

/** Whether an issuer's tokens are never JWTs to this API, so that it needs no keys for them. */
export function isOpaqueOnly(members: Members, where: string): boolean {
  const only = optional(members, 'opaqueOnly', where, booleanAt, false)
  if (!only) return false
  if (!Object.hasOwn(members, 'introspection')) {
    throw new ConfigError(`${where}.opaqueOnly needs ${where}.introspection: somebody has to be asked about its tokens`)
  }
  const idle = ['decryption', 'statusList'].find((name) => Object.hasOwn(members, name))
  if (idle !== undefined) throw new ConfigError(`${where}.${idle} is for JWTs, and opaqueOnly says that there are none`)
  return true
}

/**
 * An answer has no header, and needs not say all that a JWT does (RFC 7662 2.2): who, until when and for whom are asked for all the same.
 * `iss` is the issuer's, who was asked.
 */
function claimsOfAnswers(claims: ClaimPolicy, value: unknown, where: string): ClaimPolicy {
  const members = membersOf(value, where, Object.keys(value ?? {}))
  const namesAt = (given: unknown, at: string) => (Array.isArray(given) && given.length === 0 ? [] : listAt(given, at, stringAt))
  const always = claims.presentClaims.filter((name) => ['iss', 'sub', 'exp', 'aud'].includes(name))
  const more = optional(members, 'presentClaims', where, namesAt, claims.presentClaims)
  return Object.freeze({ ...claims, tokenTypes: new Set([null]), presentClaims: [...new Set([...always, ...more])] })
}

function actorOfAnswers(value: unknown, where: string, actor: unknown): [actor: unknown, where: string] {
  const members = membersOf(value, where, Object.keys(value ?? {}))
  return Object.hasOwn(members, 'actor') ? [members['actor'], `${where}.actor`] : [actor, `${where}.actor`]
}
