import { ConfigError } from '@behalf/core'
import type { Meter } from '@opentelemetry/api'

/** Options of `instrumentBehalf()`. */
export interface InstrumentationOptions {
  /** Makes the instruments. Default: `@behalf/opentelemetry` of the global meter provider, whenever that is set. */
  readonly meter?: Meter
  /** Whether attributes are set on the active span. Default `true`. */
  readonly spans?: boolean
  /**
   * Whether metrics of key fetches name the issuer. Default `false`: where `issuers` is a function there can be thousands, and
   * each would be a series of its own. Worth turning on beside a short list of issuers.
   */
  readonly issuerLabel?: boolean
}

/** Options, checked. */
export interface InstrumentationSettings {
  /** `null`: the global provider's. */
  readonly meter: Meter | null
  readonly spans: boolean
  readonly issuerLabel: boolean
}

const WHERE = 'instrumentBehalf() options'
const MEMBERS = ['meter', 'spans', 'issuerLabel']

export function resolveOptions(options: InstrumentationOptions): InstrumentationSettings {
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    throw new ConfigError(`${WHERE} must be an object`)
  }
  for (const [name, member] of Object.entries(options)) {
    if (!MEMBERS.includes(name)) {
      throw new ConfigError(`${WHERE} has an unknown member "${name}": it knows ${MEMBERS.join(', ')}`)
    }
    if (member === undefined) {
      throw new ConfigError(`${WHERE}.${name} is undefined: give a value, or leave the member out`)
    }
  }
  const { meter = null, spans = true, issuerLabel = false } = options
  if ('meter' in options && !isMeter(meter)) throw new ConfigError(`${WHERE}.meter must be a Meter of @opentelemetry/api`)
  if (typeof spans !== 'boolean') throw new ConfigError(`${WHERE}.spans must be true or false`)
  if (typeof issuerLabel !== 'boolean') throw new ConfigError(`${WHERE}.issuerLabel must be true or false`)
  return { meter, spans, issuerLabel }
}

/** Whether it can make what is needed; a provider, which is easily given in its place, cannot. */
function isMeter(value: unknown): boolean {
  const { createCounter, createHistogram } = (value ?? {}) as Partial<Meter>
  return typeof createCounter === 'function' && typeof createHistogram === 'function'
}
