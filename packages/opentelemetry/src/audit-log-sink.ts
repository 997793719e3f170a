import type { AuditEvent, AuditSink } from '@behalf/core'
import { toOtelLogRecord, traceContextOf } from '@behalf/core/mappings'
import { ConfigError, functionAt, membersOf, optional } from '@behalf/core/sink-kit'
import { type Context, context, isSpanContextValid, trace } from '@opentelemetry/api'
import type { Logger, LogRecord } from '@opentelemetry/api-logs'

/** Options of {@link auditLogSink}. */
export interface AuditLogSinkOptions {
  /**
   * Hands on what the SDK still holds, for example `() => provider.forceFlush()`; called by the sink's `flush()`. Default: none,
   * and then the sink has no `flush()`: the API has no way to ask for it.
   */
  readonly flush?: () => Promise<void>
}

const WHERE = 'auditLogSink() options'

/**
 * Writes each event as a log record of OpenTelemetry, with the native event as its body: `toOtelLogRecord()` of
 * `@behalf/core/mappings` says what stands where. The record belongs to the active span, and where there is none to the trace that
 * the caller's `traceparent` names.
 *
 * Accepted means that the logger has taken the record, and nothing more: an SDK's batch processor keeps records in memory, loses them
 * with the process, and **drops them without a word** when its queue is full. So wrap it in `bestEffort()` beside a sink that keeps its
 * promise; alone it is a log, not an audit trail. What the logger says it would leave out - no SDK, an SDK that was shut down, a least
 * severity, a filter by sampling - is refused.
 *
 * It never shuts the SDK down: that is the application's.
 *
 * @throws {ConfigError} where `logger` is no `Logger` of `@opentelemetry/api-logs` 0.215 or later (earlier ones cannot say what they
 * leave out), or an option is unknown or wrong
 */
export function auditLogSink(logger: Logger, options: AuditLogSinkOptions = {}): AuditSink {
  const { emit, enabled } = (logger ?? {}) as Partial<Logger>
  if (typeof emit !== 'function' || typeof enabled !== 'function') {
    throw new ConfigError('auditLogSink() needs a Logger of @opentelemetry/api-logs 0.215 or later: provider.getLogger(name)')
  }
  const flush = optional(membersOf(options, WHERE, ['flush']), 'flush', WHERE, functionAt<() => Promise<void>>, null)
  return {
    write(event) {
      const record = recordOf(event)
      if (!logger.enabled(record)) throw new Error('the OpenTelemetry logger leaves this record out: it is not enabled for it')
      logger.emit(record)
    },
    ...(flush !== null && { flush: () => flush() }),
  }
}

/** A log record, with what the logger is asked about. */
type EventRecord = LogRecord & Required<Pick<LogRecord, 'context' | 'severityNumber' | 'eventName'>>

function recordOf(event: AuditEvent): EventRecord {
  const { body, ...record } = toOtelLogRecord(event)
  // An event is JSON, which is a body; that a processor must not write to what is frozen, types cannot say.
  return { ...record, body: body as unknown as NonNullable<LogRecord['body']>, context: contextOf(event) }
}

function contextOf(event: AuditEvent): Context {
  const active = context.active()
  const span = trace.getSpanContext(active)
  const said = traceContextOf(event)
  if (said === null || (span !== undefined && isSpanContextValid(span))) return active
  const { traceId, spanId, flags: traceFlags } = said
  return trace.setSpanContext(active, { traceId, spanId, traceFlags, isRemote: true })
}
