/** Native audit events in other schemas: pure functions, each with a version of its own; see `docs/audit-mappings.md`. */
export {
  CLOUDEVENTS_MAPPING_VERSION,
  CLOUDEVENTS_VERSION,
  type CloudEvent,
  type CloudEventOptions,
  toCloudEvent,
} from './cloud-event.js'
export { CSV_MAPPING_VERSION, csvHeader, toCsvRow } from './csv.js'
export { ECS_MAPPING_VERSION, ECS_VERSION, toEcs } from './ecs.js'
export { OCSF_MAPPING_VERSION, OCSF_VERSION, type OcsfOptions, toOcsf, toOcsfImpersonation } from './ocsf.js'
export {
  OTEL_MAPPING_VERSION,
  type OtelAttribute,
  type OtelAttributes,
  type OtelLogRecord,
  toOtelLogRecord,
} from './otel.js'
export { type OtlpJsonOptions, toOtlpJson } from './otlp-json.js'
export { type TraceContext, traceContextOf } from './trace-context.js'
