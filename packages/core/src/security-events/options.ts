import { hash } from 'node:crypto'
import { normalizeTokenType } from '../claims/token-type.js'
import { functionAt, listAt, type Members, membersOf, oneOrListAt, optional, stringAt } from '../config-shape.js'
import { ConfigError } from '../errors.js'
import { type Issuer, type IssuerEnvironment, resolveIssuer } from '../issuers/issuer.js'
import type { JwkSet } from '../keys/static-key-set.js'
import type { Algorithm } from '../token/algorithms.js'
import type { UnprocessedEvent } from './unprocessed.js'

/** Who pushes security events to this API (RFC 8935), and what it is believed about. */
export interface TransmitterOptions {
  /** Compared exactly with `iss` of its security events (SSF 1.0: the one of the stream's configuration). */
  readonly issuer: string
  /** This API's name as a receiver, one or several: `aud` of the stream's configuration. */
  readonly audience: string | readonly string[]
  /** Where its keys are: https, or http on loopback. Without `jwksUri` and `jwks` its `/.well-known/ssf-configuration` says it. */
  readonly jwksUri?: string
  /** The keys themselves. Each must be usable. */
  readonly jwks?: JwkSet
  /** Accepted `alg`. Default: every asymmetric one that behalf knows. */
  readonly algorithms?: readonly Algorithm[]
  /** Issuers whose tokens its events may end. Default: itself. An event about a subject of any other one is refused. */
  readonly about?: string | readonly string[]
  /** Which of them numbers the sessions that opaque subjects name. Needed where `about` names several; default: the only one. */
  readonly sessions?: string
  /** `critical_subject_members` of its metadata: an event whose complex subject has one of them that cannot be processed is discarded. */
  readonly criticalMembers?: readonly string[]
  /** The exact value of the `Authorization` field that it sends (`authorization_header` of the stream). Default: the field is not looked at. */
  readonly authorization?: string
}

/** Which security events are received. */
export interface SecurityEventOptions {
  /** Who pushes them, each issuer once. */
  readonly transmitters: readonly TransmitterOptions[]
  /**
   * Told of an authentic event that should end tokens and ends none, since its subject cannot be matched with any. What it throws is
   * ignored. Default: a warning of the process (`BEHALF_SECURITY_EVENT_UNPROCESSED`), at most one a minute.
   */
  readonly onUnprocessed?: (event: UnprocessedEvent) => void
}

/** A transmitter, ready to be believed. */
export interface Transmitter {
  /** Its name, keys, algorithms, audience and type of tokens, as if it issued tokens. */
  readonly issuer: Issuer
  readonly about: ReadonlySet<string>
  readonly sessions: string
  readonly criticalMembers: ReadonlySet<string>
  /** SHA-256 of the `Authorization` value; `null`: any. */
  readonly authorization: Buffer | null
}

/** What `securityEvents` needs from its server. */
export interface SecurityEventEnvironment extends Omit<IssuerEnvironment, 'dpopLacks' | 'screen' | 'keepFresh' | 'listed'> {
  /** Names of the configured token issuers; `null`: the application is asked for them. */
  readonly tokenIssuers: ReadonlySet<string> | null
}

/** What the receiver works with. */
export interface SecurityEventSettings extends Pick<SecurityEventEnvironment, 'limits' | 'now' | 'toleranceSeconds'> {
  readonly transmitters: ReadonlyMap<string, Transmitter>
  /** `null`: a warning is the default. */
  readonly onUnprocessed: ((event: UnprocessedEvent) => unknown) | null
}

const TRANSMITTER_MEMBERS = [
  'issuer',
  'audience',
  'jwksUri',
  'jwks',
  'algorithms',
  'about',
  'sessions',
  'criticalMembers',
  'authorization',
] as const satisfies readonly (keyof TransmitterOptions)[]

/** Members that a transmitter has in common with a token issuer. */
const OF_ISSUERS: readonly string[] = ['issuer', 'audience', 'jwksUri', 'jwks', 'algorithms']

/** Where a transmitter says where its keys are (SSF 1.0 7.2): between host and path. */
function configurationUrls(issuer: string): readonly string[] {
  const { origin, pathname } = new URL(issuer)
  return [`${origin}/.well-known/ssf-configuration${pathname.replace(/\/$/, '')}`]
}

/** Transmitters are configured, as listed issuers are. */
const ONE_OF_A_LIST = { keepFresh: true, listed: true, screen: null, dpopLacks: null, metadataUrls: configurationUrls } as const

/** RFC 8417 2.3. */
const SET_TYPE = normalizeTokenType('secevent+jwt')

/**
 * Reads `securityEvents` of a server.
 * @throws {ConfigError} naming the option and the mend
 */
export function resolveSecurityEvents(
  value: unknown,
  where: string,
  environment: SecurityEventEnvironment,
): SecurityEventSettings {
  const members = membersOf(value, where, ['transmitters', 'onUnprocessed'])
  const { limits, now, toleranceSeconds } = environment
  const transmitters = new Map<string, Transmitter>()
  listAt(members['transmitters'], `${where}.transmitters`, (each, at) => {
    const transmitter = transmitterAt(each, at, environment)
    const { issuer } = transmitter.issuer
    if (transmitters.has(issuer)) {
      throw new ConfigError(`${at}.issuer is configured twice: "${issuer}". Give one transmitter all of its audiences`)
    }
    transmitters.set(issuer, transmitter)
    return transmitter
  })
  return Object.freeze({
    transmitters,
    onUnprocessed: optional(members, 'onUnprocessed', where, functionAt<(event: UnprocessedEvent) => unknown>, null),
    limits,
    now,
    toleranceSeconds,
  })
}

function transmitterAt(value: unknown, where: string, environment: SecurityEventEnvironment): Transmitter {
  const members = membersOf(value, where, TRANSMITTER_MEMBERS)
  oneOrListAt(members['audience'], `${where}.audience`, stringAt) // `null` is for tokens
  const common = Object.fromEntries(Object.entries(members).filter(([name]) => OF_ISSUERS.includes(name)))
  const asIssuer = resolveIssuer(common, where, { ...environment, ...ONE_OF_A_LIST })
  const issuer = { ...asIssuer, claims: { ...asIssuer.claims, tokenTypes: new Set([SET_TYPE]) } }
  const about = aboutAt(members, where, issuer.issuer, environment.tokenIssuers)
  return Object.freeze({
    issuer: Object.freeze(issuer),
    about,
    sessions: sessionsAt(members, where, about),
    criticalMembers: new Set(optional(members, 'criticalMembers', where, (list, at) => listAt(list, at, stringAt), [])),
    authorization: optional(members, 'authorization', where, authorizationAt, null),
  })
}

function aboutAt(members: Members, where: string, issuer: string, tokenIssuers: ReadonlySet<string> | null): ReadonlySet<string> {
  const about = optional(members, 'about', where, (value, at) => oneOrListAt(value, at, stringAt), [issuer])
  for (const name of about) {
    if (tokenIssuers !== null && !tokenIssuers.has(name)) {
      throw new ConfigError(`${where}.about has to name issuers of tokens that are configured in issuers, and "${name}" is none`)
    }
  }
  return new Set(about)
}

function sessionsAt(members: Members, where: string, about: ReadonlySet<string>): string {
  const [first, ...others] = about
  const sessions = optional(members, 'sessions', where, stringAt, others.length === 0 ? first : undefined)
  if (sessions === undefined) {
    throw new ConfigError(`${where}.about names several issuers: say in sessions which of them numbers the sessions`)
  }
  if (!about.has(sessions)) throw new ConfigError(`${where}.sessions has to be one of about`)
  return sessions
}

/** What Node takes as the value of a field, without the white space that it would strip (RFC 9110 5.5). */
const FIELD_VALUE = /^[\x21-\x7e](?:[\t\x20-\x7e]*[\x21-\x7e])?$/

function authorizationAt(value: unknown, where: string): Buffer {
  const text = stringAt(value, where)
  if (!FIELD_VALUE.test(text))
    throw new ConfigError(`${where} must be the value of a header field, without white space around it`)
  return authorizationHash(text)
}

/** Values of any length are compared by their hashes, which takes the same time for all of them. */
export function authorizationHash(value: string): Buffer {
  return hash('sha256', value, 'buffer')
}
