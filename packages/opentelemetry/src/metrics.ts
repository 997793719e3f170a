import { type Counter, type Histogram, type Meter, metrics, ValueType } from '@opentelemetry/api'
import type { Listeners } from './listeners.js'
import type { InstrumentationSettings } from './options.js'

/** Name of our instrumentation scope. */
const SCOPE = '@behalf/opentelemetry'

/** The version of this package; a test holds it against `package.json`. */
export const VERSION = '0.1.0'

/** From a hit in the cache, some microseconds, to a wait for keys, at most three seconds by default. */
const VERIFICATION_SECONDS = [
  ...[5e-6, 1e-5, 2.5e-5, 5e-5, 1e-4, 2.5e-4, 5e-4],
  ...[1e-3, 2.5e-3, 5e-3, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 3],
]

/** From a neighbour on the network to the limit of a fetch, three seconds by default, and beyond it where that is raised. */
const FETCH_SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 3, 5, 10]

interface Instruments {
  readonly verifications: Counter
  readonly verificationDuration: Histogram
  readonly cacheLookups: Counter
  readonly keysFetches: Counter
  readonly keysFetchDuration: Histogram
  readonly refusals: Counter
  readonly delegatedCalls: Counter
  readonly auditFailures: Counter
}

/**
 * Turns messages into metrics. Each attribute is one of a few words, a refusal code, or a name out of the configuration: what a
 * caller can invent would be a series each time.
 */
export function metricListeners({ meter, issuerLabel }: InstrumentationSettings): Listeners {
  const instruments = meter === null ? globalInstruments() : always(createInstruments(meter))
  return {
    'behalf:verification': ({ reason, cache, durationMilliseconds }) => {
      const { verifications, verificationDuration, cacheLookups } = instruments()
      const result = reason === null ? 'accepted' : 'refused'
      verifications.add(1, reason === null ? { result } : { result, reason })
      verificationDuration.record(durationMilliseconds / 1000, { result, cache })
      if (cache !== 'off') cacheLookups.add(1, { result: cache })
    },
    'behalf:keys.fetch': ({ issuer, result, durationMilliseconds }) => {
      const { keysFetches, keysFetchDuration } = instruments()
      const attributes = issuerLabel ? { result, issuer } : { result }
      keysFetches.add(1, attributes)
      keysFetchDuration.record(durationMilliseconds / 1000, attributes)
    },
    'behalf:refusal': ({ code, stage }) => instruments().refusals.add(1, { code, stage }),
    'behalf:delegated': ({ kind, decision, rule, reason }) =>
      instruments().delegatedCalls.add(1, {
        ...{ kind, decision },
        ...(rule !== null && { rule }),
        ...(reason !== null && { reason }),
      }),
    'behalf:audit.failure': ({ events }) => instruments().auditFailures.add(events),
  }
}

function always<T>(value: T): () => T {
  return () => value
}

/**
 * Instruments of whatever provider is the global one now. A meter that is asked for before the SDK has started stays a silent one
 * for ever; so the instruments are made again when the provider has changed.
 */
function globalInstruments(): () => Instruments {
  let provider: ReturnType<typeof metrics.getMeterProvider> | undefined
  let instruments: Instruments | undefined
  return () => {
    const present = metrics.getMeterProvider()
    if (instruments === undefined || present !== provider) {
      instruments = createInstruments(present.getMeter(SCOPE, VERSION))
      provider = present
    }
    return instruments
  }
}

function createInstruments(meter: Meter): Instruments {
  const counter = (name: string, unit: string, description: string) =>
    meter.createCounter(name, { unit, description, valueType: ValueType.INT })
  const seconds = (name: string, description: string, explicitBucketBoundaries: number[]) =>
    meter.createHistogram(name, { unit: 's', description, advice: { explicitBucketBoundaries } })
  return {
    verifications: counter('behalf.verifications', '{verification}', 'Tokens that were verified, or refused while they were'),
    verificationDuration: seconds(
      'behalf.verification.duration',
      'How long a verification took, waiting included',
      VERIFICATION_SECONDS,
    ),
    cacheLookups: counter('behalf.cache.lookups', '{lookup}', 'Tokens looked up in the verified-token cache'),
    keysFetches: counter('behalf.keys.fetches', '{fetch}', 'Key sets that an issuer was asked for'),
    keysFetchDuration: seconds(
      'behalf.keys.fetch.duration',
      'How long a fetch of a key set took, discovery included',
      FETCH_SECONDS,
    ),
    refusals: counter('behalf.refusals', '{request}', 'Requests that were refused'),
    delegatedCalls: counter('behalf.delegated_calls', '{call}', 'Delegated calls that the rules decided about'),
    auditFailures: counter('behalf.audit.failures', '{event}', 'Audit events that a sink did not accept'),
  }
}
