import { isDeepStrictEqual } from 'node:util'
import { isObject, type JsonObject, type JsonValue } from '../token/json.js'

/** Events that end tokens (CAEP 1.0 3.1 and 3.3). Any other event is taken, and nothing is done. */
type EventName = 'session-revoked' | 'credential-change'

const BASE = 'https://schemas.openid.net/secevent/caep/event-type/'
const EVENT_NAMES: readonly EventName[] = ['session-revoked', 'credential-change']

/** Something that happened, and ends tokens that were issued until then. */
export interface Happening {
  readonly event: EventName
  /** Tokens end that were issued until then, in whole seconds since the epoch. Said by the SET alone, whenever it comes. */
  readonly at: number
}

/** Claims of a SET that its events are read with. */
export interface EventClaims extends Readonly<Record<'events' | 'sub_id' | 'toe', JsonValue | undefined>> {
  readonly iat: number
}

/**
 * What the events of a SET ask for. They are all about one happening (RFC 8417 2.2), so that each that is known here is heeded.
 * @param toleranceSeconds what clocks may differ by
 * @returns `events`: one of them is not what its definition says; `subject`: they name another subject than the SET
 */
export function happeningsIn(
  { events, sub_id, toe, iat }: EventClaims,
  toleranceSeconds: number,
): readonly Happening[] | 'events' | 'subject' {
  if (!isObject(events)) return 'events'
  const payloads = Object.values(events)
  // RFC 8417 2.2: an event's value is an object, also where the event is not known.
  if (payloads.length === 0 || !payloads.every(isObject)) return 'events'
  // A SET cannot tell of what happens after it. The clock that its event is told by may be ahead, or has to allow for one that is.
  const latest = Math.ceil(iat) + toleranceSeconds
  const happenings: Happening[] = []
  for (const event of EVENT_NAMES) {
    const payload = events[BASE + event]
    if (!isObject(payload)) continue
    const { event_timestamp, subject } = payload
    const seconds = event_timestamp ?? toe ?? iat
    if (event_timestamp === null || !isTime(seconds) || !isReadable(event, payload)) return 'events'
    // SSF 1.0 3.1.1: it may stand in the event too. Two subjects would leave open whose tokens end.
    if (subject !== undefined && !isDeepStrictEqual(subject, sub_id)) return 'subject'
    if (endsTokens(event, payload)) happenings.push({ event, at: Math.min(Math.ceil(seconds), latest) })
  }
  return happenings
}

/** A time (RFC 7519 2) that can have been. */
export function isTime(value: JsonValue | undefined): value is number {
  return typeof value === 'number' && Number.isFinite(value) && value >= 0
}

function isReadable(event: EventName, { change_type }: JsonObject): boolean {
  return event !== 'credential-change' || typeof change_type === 'string'
}

/** A credential that is new ends nothing. Any other change does, also one that is not known here: what it was worth before is in doubt. */
function endsTokens(event: EventName, { change_type }: JsonObject): boolean {
  return event !== 'credential-change' || change_type !== 'create'
}
