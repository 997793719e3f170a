import type { AuditEvent } from '../audit/event.js'
import { membersOf, stringAt } from '../config-shape.js'
import { ConfigError } from '../errors.js'
import { actingParty, aiAgentOf, isNamed } from './parties.js'
import { traceContextOf } from './trace-context.js'

/** Version of the mapping to CloudEvents: a minor one adds attributes, a major one changes what is there. */
export const CLOUDEVENTS_MAPPING_VERSION = '1.0'

/** The version of CloudEvents that the mapping follows: `specversion`. */
export const CLOUDEVENTS_VERSION = '1.0'

/** Options of {@link toCloudEvent}. */
export interface CloudEventOptions {
  /**
   * Who made the event, as a URI reference (CloudEvents 3.1), for example `https://api.example.com/audit` or `urn:example:orders`:
   * printable ASCII without spaces. With `id` it is unique, so two deployments whose events meet in one place need two of them.
   */
  readonly source: string
}

/** An event in the JSON form of CloudEvents 1.0. Members that may be missing are left out, never `null`. */
export interface CloudEvent {
  /** Always `1.0`. */
  readonly specversion: typeof CLOUDEVENTS_VERSION
  /** The event's `id`. */
  readonly id: string
  /** From the options. */
  readonly source: string
  /** The event's `type`. */
  readonly type: AuditEvent['type']
  /** The event's `time`. */
  readonly time: string
  /** Always JSON. */
  readonly datacontenttype: 'application/json'
  /** Extension of ours: the event's `requestId`. */
  readonly requestid: string
  /** Extension Auth Context: what kind of principal acted. */
  readonly authtype: 'app_user' | 'service_account' | 'unauthenticated' | 'unknown'
  /** Extension Auth Context: who acted, the actor or else the subject. Missing where nobody is named. */
  readonly authid?: string
  /** Extension of ours: whose authority an actor used. Missing in direct calls, and where nobody is named. */
  readonly onbehalfof?: string
  /** Extension Distributed Tracing. Missing where the event has none, or one that means nothing. */
  readonly traceparent?: string
  /** Extension of ours: {@link CLOUDEVENTS_MAPPING_VERSION}. */
  readonly behalfmapping: typeof CLOUDEVENTS_MAPPING_VERSION
  /** The native event, as it is. */
  readonly data: AuditEvent
}

const WHERE = 'CloudEvents options'
const URI_REFERENCE = /^[!-~]+$/

/** What a String attribute must not hold (CloudEvents 3.2): control characters, noncharacters, lone surrogates. */
const NOT_IN_STRINGS = /[\p{Cc}\p{Cs}\p{Noncharacter_Code_Point}]/u

/**
 * An event as a CloudEvent 1.0 with the native event as its data. An id that CloudEvents takes for no text is left out of the
 * attributes rather than changed: the data has it.
 *
 * @throws {ConfigError} for an unknown, missing or wrong option; never for a valid event
 */
export function toCloudEvent(event: AuditEvent, options: CloudEventOptions): CloudEvent {
  const source = sourceAt(membersOf(options, WHERE, ['source'])['source'])
  const acting = actingParty(event)
  const principal = isNamed(acting) ? textOf(acting.id) : null
  const behalf = event.actor !== null && isNamed(event.subject) ? textOf(event.subject.id) : null
  return {
    specversion: CLOUDEVENTS_VERSION,
    id: event.id,
    source,
    type: event.type,
    time: event.time,
    datacontenttype: 'application/json',
    requestid: event.requestId,
    authtype: authTypeOf(event),
    ...(principal !== null && { authid: principal }),
    ...(behalf !== null && { onbehalfof: behalf }),
    ...(traceContextOf(event) !== null && event.trace.traceparent !== null && { traceparent: event.trace.traceparent }),
    behalfmapping: CLOUDEVENTS_MAPPING_VERSION,
    data: event,
  }
}

function sourceAt(value: unknown): string {
  const source = stringAt(value, `${WHERE}.source`)
  if (!URI_REFERENCE.test(source))
    throw new ConfigError(`${WHERE}.source must be a URI reference: printable ASCII without spaces`)
  return source
}

function authTypeOf(event: AuditEvent): CloudEvent['authtype'] {
  const acting = actingParty(event)
  if (event.reason === 'credentials_missing' && acting === null) return 'unauthenticated'
  if (acting?.type === 'client' || aiAgentOf(acting) !== null) return 'service_account'
  return acting?.type === 'user' ? 'app_user' : 'unknown'
}

function textOf(text: string): string | null {
  return NOT_IN_STRINGS.test(text) ? null : text
}
