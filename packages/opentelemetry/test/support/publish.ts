import { channel } from 'node:diagnostics_channel'
import type { TelemetryMessages } from '@behalf/core'

/** Publishes what the core would. */
export function publish<K extends keyof TelemetryMessages>(name: K, message: TelemetryMessages[K]): void {
  channel(name).publish(Object.freeze(message))
}

/** One message for each channel. */
export const MESSAGES: { readonly [K in keyof TelemetryMessages]: TelemetryMessages[K] } = {
  'behalf:verification': { reason: null, cache: 'hit', issuer: 'https://as.example.test', durationMilliseconds: 0.004 },
  'behalf:refusal': { code: 'token_expired', status: 401, stage: 'verify' },
  'behalf:delegated': { kind: 'delegation', rule: 'agents', decision: 'allow', reason: null },
  'behalf:keys.fetch': { issuer: 'https://as.example.test', result: 'loaded', durationMilliseconds: 12 },
  'behalf:audit.failure': { events: 1 },
}

/** The channels there are. */
export const CHANNELS = Object.keys(MESSAGES) as readonly (keyof TelemetryMessages)[]

/** Publishes one message on every channel. */
export function publishAll(): void {
  for (const name of CHANNELS) channel(name).publish(MESSAGES[name])
}
