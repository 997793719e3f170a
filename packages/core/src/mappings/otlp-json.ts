import type { AuditEvent } from '../audit/event.js'
import { type Members, membersOf, optional } from '../config-shape.js'
import { ConfigError } from '../errors.js'
import type { JsonObject, JsonValue } from '../token/json.js'
import { epochMilliseconds } from './epoch.js'
import { OTEL_MAPPING_VERSION, toOtelLogRecord } from './otel.js'
import { traceContextOf } from './trace-context.js'

/** Options of {@link toOtlpJson}. */
export interface OtlpJsonOptions {
  /** Attributes of the resource that made the events, for example `{ 'service.name': 'orders' }`. Default: none. */
  readonly resource?: Readonly<Record<string, string | number | boolean>>
}

const WHERE = 'OTLP options'
const NANOSECONDS_PER_MILLISECOND = 1_000_000n

/**
 * Events as the body of one OTLP/HTTP request for logs (`ExportLogsServiceRequest`, JSON encoding): to be sent to `/v1/logs`, or
 * to be kept as a line of a file that a collector reads. The attributes are those of `toOtelLogRecord()`.
 *
 * Identifiers of traces are hexadecimal, times are nanoseconds as decimal text, integers are text (OTLP, "JSON Protobuf Encoding").
 *
 * @throws {ConfigError} for an unknown or wrong option; never for a valid event
 */
export function toOtlpJson(events: readonly AuditEvent[], options: OtlpJsonOptions = {}): JsonObject {
  const resource = optional(membersOf(options, WHERE, ['resource']), 'resource', WHERE, resourceAt, {})
  if (events.length === 0) return { resourceLogs: [] }
  return {
    resourceLogs: [
      {
        resource: { attributes: keyValues(resource) },
        scopeLogs: [
          { scope: { name: '@behalf/core/mappings', version: OTEL_MAPPING_VERSION }, logRecords: events.map(logRecordOf) },
        ],
      },
    ],
  }
}

function resourceAt(value: unknown, where: string): JsonObject {
  const members: Members = membersOf(value, where, typeof value === 'object' && value !== null ? Object.keys(value) : [])
  for (const [name, member] of Object.entries(members)) {
    const scalar = typeof member === 'string' || typeof member === 'boolean' || Number.isFinite(member)
    if (name === '' || !scalar) throw new ConfigError(`${where} must map names to strings, numbers or booleans`)
  }
  return members as JsonObject
}

function logRecordOf(event: AuditEvent): JsonObject {
  const { eventName, severityNumber, severityText, attributes } = toOtelLogRecord(event)
  const trace = traceContextOf(event)
  const time = nanosecondsOf(event.time)
  return {
    timeUnixNano: time,
    observedTimeUnixNano: time,
    severityNumber,
    severityText,
    eventName,
    body: anyValue(event as unknown as JsonObject),
    attributes: keyValues(attributes),
    ...(trace !== null && { flags: trace.flags, traceId: trace.traceId, spanId: trace.spanId }),
  }
}

/** `fixed64` ends in the year 2554 and does not begin before the epoch: what lies outside is 0, not known. */
function nanosecondsOf(time: string): string {
  const nanoseconds = BigInt(epochMilliseconds(time)) * NANOSECONDS_PER_MILLISECOND
  return nanoseconds === BigInt.asUintN(64, nanoseconds) ? `${nanoseconds}` : '0'
}

function keyValues(members: JsonObject): readonly JsonObject[] {
  return Object.entries(members).map(([key, value]) => ({ key, value: anyValue(value ?? null) }))
}

/** An `AnyValue`; of `null` the empty one. */
function anyValue(value: JsonValue): JsonObject {
  switch (typeof value) {
    case 'string':
      return { stringValue: value }
    case 'boolean':
      return { boolValue: value }
    case 'number':
      return Number.isSafeInteger(value) ? { intValue: `${value}` } : { doubleValue: value }
    default:
      if (value === null) return {}
      return isList(value) ? { arrayValue: { values: value.map(anyValue) } } : { kvlistValue: { values: keyValues(value) } }
  }
}

function isList(value: JsonObject | readonly JsonValue[]): value is readonly JsonValue[] {
  return Array.isArray(value)
}
