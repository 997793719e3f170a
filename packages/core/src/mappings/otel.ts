import type { AuditEvent } from '../audit/event.js'
import { consentOf } from './consent.js'
import { epochMilliseconds } from './epoch.js'
import { COMMON_METHODS } from './http-methods.js'
import { actingParty, isNamed } from './parties.js'
import { type Severity, severityOf } from './severity.js'

/**
 * Version of the mapping to OpenTelemetry logs (the stable log data model; in OTLP 1.5 and later, whose records have an event name):
 * a minor one adds attributes, a major one changes what is there.
 */
export const OTEL_MAPPING_VERSION = '1.1'

/** A value of an attribute. */
export type OtelAttribute = string | number | boolean | string[]

/** The attributes of a log record; none is missing, and none `null`. */
export type OtelAttributes = Record<string, OtelAttribute>

/** The shape that `Logger.emit()` of `@opentelemetry/api-logs` takes. */
export interface OtelLogRecord {
  /** The event's `type`. */
  readonly eventName: AuditEvent['type']
  /** When it happened: seconds since the epoch, and nanoseconds. A number in its place could be taken for the age of the process. */
  readonly timestamp: [seconds: number, nanoseconds: number]
  /** 9, 13 or 17: INFO, WARN or ERROR. */
  readonly severityNumber: 9 | 13 | 17
  /** The same as a word. */
  readonly severityText: 'INFO' | 'WARN' | 'ERROR'
  /** The native event, as it is: a structured body. */
  readonly body: AuditEvent
  /** What is searched for, named by the semantic conventions where they have a name. */
  readonly attributes: OtelAttributes
}

const SEVERITIES: Readonly<Record<Severity, Pick<OtelLogRecord, 'severityNumber' | 'severityText'>>> = {
  info: { severityNumber: 9, severityText: 'INFO' },
  warn: { severityNumber: 13, severityText: 'WARN' },
  error: { severityNumber: 17, severityText: 'ERROR' },
}

/**
 * An event as a log record of OpenTelemetry's API. The trace is not in it: there it comes from a context, which this package
 * cannot make; see `traceContextOf()`.
 */
export function toOtelLogRecord(event: AuditEvent): OtelLogRecord {
  const milliseconds = epochMilliseconds(event.time)
  const seconds = Math.floor(milliseconds / 1000)
  return {
    eventName: event.type,
    timestamp: [seconds, (milliseconds - seconds * 1000) * 1_000_000],
    ...SEVERITIES[severityOf(event)],
    body: event,
    attributes: otelAttributes(event),
  }
}

function otelAttributes(event: AuditEvent): OtelAttributes {
  const { subject, reason, result, kind, rule, chain } = event
  const acting = actingParty(event)
  const { consentId = null, ticket = null } = consentOf(event) ?? {}
  return {
    'log.record.uid': event.id,
    'behalf.request.id': event.requestId,
    'behalf.stage': event.stage,
    'behalf.decision': event.decision,
    ...(result !== null && { 'behalf.result': result }),
    ...(kind !== null && { 'behalf.kind': kind }),
    ...(rule !== null && { 'behalf.rule': rule }),
    ...(consentId !== null && { 'behalf.consent.id': consentId }),
    ...(ticket !== null && { 'behalf.consent.ticket': ticket }),
    ...(reason !== null && { 'error.type': reason }),
    ...(isNamed(acting) && { 'user.id': acting.id }),
    ...(isNamed(subject) && {
      'delegation.subject.id': subject.id,
      ...(subject.issuer !== null && { 'delegation.subject.issuer': subject.issuer }),
      ...(subject.type !== null && { 'delegation.subject.type': subject.type }),
    }),
    // Somebody who is not named keeps a place: who stands behind whom must not shift.
    ...(chain.length > 0 && { 'delegation.chain': chain.map(({ id }) => id ?? '') }),
    ...httpAttributes(event),
    ...(event.net.peer !== null && { 'client.address': event.net.peer }),
    ...(event.net.userAgent !== null && { 'user_agent.original': event.net.userAgent }),
    'behalf.mapping': OTEL_MAPPING_VERSION,
  }
}

/** A method that the conventions do not know is `_OTHER` there, and stands beside it where it is one (`OTHER` of ours is none). */
function httpAttributes({ http: { method, route, status } }: AuditEvent): OtelAttributes {
  const common = COMMON_METHODS.has(method)
  return {
    'http.request.method': common ? method : '_OTHER',
    ...(!common && method !== 'OTHER' && { 'http.request.method_original': method }),
    ...(route !== null && { 'http.route': route }),
    ...(status !== null && { 'http.response.status_code': status }),
  }
}
