import { listen } from './listeners.js'
import { metricListeners } from './metrics.js'
import { type InstrumentationOptions, resolveOptions } from './options.js'
import { spanListeners } from './spans.js'

/**
 * Turns what every resource server of this process tells on its channels into metrics and span attributes, with
 * `@opentelemetry/api` alone: without an SDK nothing is measured. Whether the SDK starts before or after does not matter.
 *
 * Call it once: two of them with one meter count everything twice.
 *
 * @returns a function that ends it; to call it again does nothing
 * @throws {ConfigError} where an option is unknown, `undefined` or of the wrong type
 */
export function instrumentBehalf(options: InstrumentationOptions = {}): () => void {
  const settings = resolveOptions(options)
  const stopMetrics = listen(metricListeners(settings))
  const stopSpans = settings.spans ? listen(spanListeners()) : () => {}
  return () => {
    stopMetrics()
    stopSpans()
  }
}
