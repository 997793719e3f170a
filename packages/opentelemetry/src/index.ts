/** What behalf does, as metrics and span attributes of OpenTelemetry; and its audit events as log records. */
export { type AuditLogSinkOptions, auditLogSink } from './audit-log-sink.js'
export { instrumentBehalf } from './instrument-behalf.js'
export type { InstrumentationOptions } from './options.js'
