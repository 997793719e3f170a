/** Metrics and spans that were really recorded, by the SDKs that applications run. */

import { type Attributes, context, type Meter, metrics, type Tracer, trace } from '@opentelemetry/api'
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks'
import { DataPointType, type HistogramMetricData, MeterProvider, type MetricData, MetricReader } from '@opentelemetry/sdk-metrics'
import { BasicTracerProvider, InMemorySpanExporter, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-base'

/** Reads when it is asked, and never by itself. */
class AskedReader extends MetricReader {
  protected override onForceFlush(): Promise<void> {
    return Promise.resolve()
  }
  protected override onShutdown(): Promise<void> {
    return Promise.resolve()
  }
}

/** One series: its attributes, and the counter's value, or how often something was recorded in a histogram. */
export type Series = readonly [attributes: Attributes, value: number]

export interface Measured {
  readonly provider: MeterProvider
  readonly meter: Meter
  /** Everything that was measured, one for each instrument that was used. */
  all(): Promise<readonly MetricData[]>
  /** The series of one instrument, none if it was not used; in the order of their attributes. */
  series(name: string): Promise<readonly Series[]>
  /** A histogram as it was collected. */
  histogram(name: string): Promise<HistogramMetricData>
}

export function measured(): Measured {
  const reader = new AskedReader()
  const provider = new MeterProvider({ readers: [reader] })
  const all = async () => {
    const { resourceMetrics, errors } = await reader.collect()
    if (errors.length > 0) throw new AggregateError(errors)
    return resourceMetrics.scopeMetrics.flatMap((scope) => scope.metrics)
  }
  const find = async (name: string) => (await all()).find(({ descriptor }) => descriptor.name === name)
  return {
    provider,
    meter: provider.getMeter('test'),
    all,
    async series(name) {
      const data = await find(name)
      return data === undefined ? [] : seriesOf(data)
    },
    async histogram(name) {
      const data = await find(name)
      if (data?.dataPointType !== DataPointType.HISTOGRAM) throw new Error(`no histogram ${name}`)
      return data
    },
  }
}

export function seriesOf({ dataPoints }: MetricData): readonly Series[] {
  const series = dataPoints.map(({ attributes, value }): Series => [attributes, typeof value === 'number' ? value : value.count])
  return series.toSorted(([a], [b]) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1))
}

/** Makes a measured provider the global one, in place of any other. */
export function measuredGlobally(): Measured {
  const made = measured()
  metrics.disable()
  metrics.setGlobalMeterProvider(made.provider)
  return made
}

export interface Traced {
  readonly tracer: Tracer
  /** Attributes of every span that has ended, by the span's name. */
  attributesOf(name: string): Attributes
  clear(): void
  end(): void
}

/** Makes a tracer provider and a context manager the global ones. */
export function tracedGlobally(): Traced {
  const exporter = new InMemorySpanExporter()
  const provider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] })
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable())
  trace.setGlobalTracerProvider(provider)
  return {
    tracer: trace.getTracer('test'),
    attributesOf(name) {
      const found = exporter.getFinishedSpans().filter((span) => span.name === name)
      if (found.length !== 1) throw new Error(`${found.length} spans ${name} have ended`)
      return found[0]?.attributes ?? {}
    },
    clear: () => exporter.reset(),
    end() {
      trace.disable()
      context.disable()
    },
  }
}
