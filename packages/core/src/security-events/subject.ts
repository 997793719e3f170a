import type { Limits } from '../limits.js'
import { isIdentifier } from '../token/identifier.js'
import { isObject, type JsonObject, type JsonValue } from '../token/json.js'
import type { Transmitter } from './options.js'

/** What of an issuer's tokens a subject names. */
export type Target = { readonly issuer: string } & (
  | { readonly tokenId: string }
  | { readonly sessionId: string }
  | { readonly subject: string }
  | { readonly actor: string }
)

/** Why a subject names no token. */
export type SubjectFault = 'malformed' | 'subject_not_supported' | 'subject_not_expected' | 'critical_member'

/** Ways to end what a subject names, the narrowest first: all targets of one way belong together. See {@link isNeeded}. */
export type Ways = readonly (readonly Target[])[]

/** Formats of RFC 9493 3.2 and SSF 1.0 3.5 that name tokens. */
type Format = 'opaque' | 'iss_sub' | 'jwt_id'

/** What is known while a subject is read. */
export type SubjectReader = Pick<Transmitter, 'about' | 'sessions' | 'criticalMembers'> & {
  readonly limits: Pick<Limits, 'identifierCharacters'>
}

/**
 * Whether a target that nothing is asked by is needed all the same, beside those of its way that are kept: part of what the event asks
 * for would go on. It is not where the user is kept, at the same issuer. A session and a token that are named beside somebody end with
 * everything of that user. What somebody holds as an actor is ended where the API asks by actors; nobody has to.
 */
export function isNeeded({ issuer }: Target, kept: readonly Target[]): boolean {
  return !kept.some((each) => 'subject' in each && each.issuer === issuer)
}

/** Most identifiers in one `aliases`: each of them is revoked. */
const MOST_ALIASES = 16

const OF_A_SESSION: ReadonlySet<Format> = new Set(['opaque'])
const OF_A_USER: ReadonlySet<Format> = new Set(['iss_sub'])
const OF_EITHER: ReadonlySet<Format> = new Set(['opaque', 'iss_sub', 'jwt_id'])

/**
 * Reads the subject of an event about a session: the session itself, one token, or whatever is the user's.
 * @param value of the claim `sub_id`
 */
export function sessionSubject(value: JsonValue | undefined, reader: SubjectReader): Ways | SubjectFault {
  return subjectOf(value, OF_EITHER, true, reader)
}

/** Reads the subject of an event about a user. A session beside it says more than is needed. */
export function userSubject(value: JsonValue | undefined, reader: SubjectReader): Ways | SubjectFault {
  return subjectOf(value, OF_A_USER, false, reader)
}

function subjectOf(
  value: JsonValue | undefined,
  simple: ReadonlySet<Format>,
  ofSession: boolean,
  reader: SubjectReader,
): Ways | SubjectFault {
  if (isObject(value) && value['format'] === 'complex') return complexSubject(value, ofSession, reader)
  const targets = targetsOf(value, simple, reader)
  return typeof targets === 'string' ? targets : [targets]
}

/**
 * A complex subject is one principal that all members together describe (SSF 1.0 3.3.1). A session is one of a kind at its issuer, so
 * that it says enough. Without it everything of the user is ended: members that only narrow that (a device, a tenant) cannot be
 * matched with tokens, and ending too much is the lesser harm.
 */
function complexSubject(subject: JsonObject, ofSession: boolean, reader: SubjectReader): Ways | SubjectFault {
  const members = Object.entries(subject).filter(([name]) => name !== 'format')
  if (members.length === 0 || !members.every(([, member]) => isIdentified(member))) return 'malformed'

  const user = Object.hasOwn(subject, 'user') ? targetsOf(subject['user'], OF_A_USER, reader) : []
  if (user === 'malformed' || user === 'subject_not_expected') return user
  const session = ofSession && Object.hasOwn(subject, 'session') ? targetsOf(subject['session'], OF_A_SESSION, reader) : []
  if (session === 'malformed') return session

  const ways = new Map<string, readonly Target[]>()
  // A session of another issuer than the user's is none of that user's.
  if (isFound(session) && (!isFound(user) || user.every(({ issuer }) => issuer === reader.sessions))) ways.set('session', session)
  if (isFound(user)) ways.set('user', user)
  // SSF 1.0 3.6: discarded, whatever else could be processed.
  if (members.some(([name]) => reader.criticalMembers.has(name) && !ways.has(name))) return 'critical_member'
  return ways.size === 0 ? 'subject_not_supported' : [...ways.values()]
}

function isFound(targets: readonly Target[] | SubjectFault): targets is readonly Target[] {
  return typeof targets !== 'string' && targets.length > 0
}

/** A subject identifier says its format (RFC 9493 3). */
function isIdentified(value: JsonValue | undefined): value is JsonObject & { readonly format: string } {
  return isObject(value) && typeof value['format'] === 'string'
}

/** What one subject identifier names, where it is of a format that is read here. */
function targetsOf(
  value: JsonValue | undefined,
  formats: ReadonlySet<Format>,
  reader: SubjectReader,
): readonly Target[] | SubjectFault {
  if (!isIdentified(value)) return 'malformed'
  if (value.format === 'aliases') return aliasTargets(value['identifiers'], formats, reader)
  if (!formats.has(value.format as Format)) return 'subject_not_supported'
  return namedBy(value, value.format as Format, reader)
}

/** The same subject by several names (RFC 9493 3.2.8): it is ended by each that can be read. */
function aliasTargets(
  identifiers: JsonValue | undefined,
  formats: ReadonlySet<Format>,
  reader: SubjectReader,
): readonly Target[] | SubjectFault {
  if (!Array.isArray(identifiers) || identifiers.length === 0 || identifiers.length > MOST_ALIASES) return 'malformed'
  const list: readonly (JsonValue | undefined)[] = identifiers
  if (list.some((each) => isObject(each) && each['format'] === 'aliases')) return 'malformed' // they must not be nested
  const read = list.map((each) => targetsOf(each, formats, reader))
  if (read.includes('malformed')) return 'malformed'
  const found = read.filter(isFound).flat()
  if (found.length > 0) return found
  return read.includes('subject_not_expected') ? 'subject_not_expected' : 'subject_not_supported'
}

function namedBy(
  identifier: JsonObject,
  format: Format,
  { about, sessions, limits }: SubjectReader,
): readonly Target[] | SubjectFault {
  const isName = (value: unknown): value is string => isIdentifier(value, limits.identifierCharacters)
  const { id, iss, sub, jti } = identifier
  if (format === 'opaque') return isName(id) ? [{ issuer: sessions, sessionId: id }] : 'malformed'
  if (typeof iss !== 'string') return 'malformed'
  const expected = (...targets: Target[]) => (about.has(iss) ? targets : 'subject_not_expected')
  if (format === 'jwt_id') return isName(jti) ? expected({ issuer: iss, tokenId: jti }) : 'malformed'
  // Whoever it is, for themselves and for others: an event does not say in which of these parts their tokens name them.
  return isName(sub) ? expected({ issuer: iss, subject: sub }, { issuer: iss, actor: sub }) : 'malformed'
}
