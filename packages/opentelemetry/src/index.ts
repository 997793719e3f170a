/** What behalf does, as metrics and span attributes of OpenTelemetry. */
export { instrumentBehalf } from './instrument-behalf.js'
export type { InstrumentationOptions } from './options.js'
