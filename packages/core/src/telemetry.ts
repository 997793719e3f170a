/**
 * What is told to whoever measures: messages on channels of `node:diagnostics_channel`. Nobody listens by default, and then a
 * message is not even made. Nothing in a message is a caller's text, nor names a subject, an actor or a token.
 */
import { channel } from 'node:diagnostics_channel'
import type { RefusalCode } from './challenge.js'

/** A token was verified, or refused while it was: on channel `behalf:verification`. */
export interface VerificationMessage {
  /** Why it was refused; `null`: its proof and claims hold. */
  readonly reason: RefusalCode | null
  /** Whether the proof came from the verified-token cache; `off`: there is none. */
  readonly cache: 'hit' | 'miss' | 'off'
  /** The configured issuer; `null` where the token was refused before its signature held. */
  readonly issuer: string | null
  /** How long it took, in milliseconds, waiting included. */
  readonly durationMilliseconds: number
}

/** A request was refused, at any step: on channel `behalf:refusal`. */
export interface RefusalMessage {
  /** The reason. */
  readonly code: RefusalCode
  /** The HTTP status of the refusal. */
  readonly status: number
  /** The step that refused. */
  readonly stage: 'credentials' | 'verify' | 'bind' | 'rules' | 'requirement'
}

/** The rules decided about a delegated call: on channel `behalf:delegated`. */
export interface DelegatedMessage {
  /** How the issuer writes the call. */
  readonly kind: 'impersonation' | 'delegation'
  /** Id of the rule that decided, `null` where none fits. Rules are configured, so that there are few. */
  readonly rule: string | null
  /** What the rules said. */
  readonly decision: 'allow' | 'refuse' | 'would_refuse'
  /** Why the call is, or would be, refused. */
  readonly reason: RefusalCode | null
}

/** A key set was asked for: on channel `behalf:keys.fetch`. */
export interface KeysFetchMessage {
  /** The configured issuer. */
  readonly issuer: string
  /** `unchanged`: the same keys as before, whether the server said so (304) or showed them again. */
  readonly result: 'loaded' | 'unchanged' | 'failed'
  /** How long it took, in milliseconds, discovery included. */
  readonly durationMilliseconds: number
}

/** A sink did not accept an event: on channel `behalf:audit.failure`. */
export interface AuditFailureMessage {
  /** Events that were not accepted. */
  readonly events: number
}

/** Every channel, with what is published on it. */
export interface TelemetryMessages {
  /** A token was verified, or refused while it was. */
  'behalf:verification': VerificationMessage
  /** A request was refused. */
  'behalf:refusal': RefusalMessage
  /** The rules decided. */
  'behalf:delegated': DelegatedMessage
  /** A key set was asked for. */
  'behalf:keys.fetch': KeysFetchMessage
  /** An event was not accepted. */
  'behalf:audit.failure': AuditFailureMessage
}

/** One channel of ours. */
interface Telemetry<T> {
  /** Whether anybody listens: only then is a message worth making. */
  readonly heard: boolean
  publish(message: T): void
}

function telemetry<K extends keyof TelemetryMessages>(name: K): Telemetry<TelemetryMessages[K]> {
  const listeners = channel(name)
  return {
    get heard() {
      return listeners.hasSubscribers
    },
    publish: (message) => listeners.publish(Object.freeze(message)),
  }
}

export const verificationChannel: Telemetry<TelemetryMessages['behalf:verification']> = telemetry('behalf:verification')
export const refusalChannel: Telemetry<TelemetryMessages['behalf:refusal']> = telemetry('behalf:refusal')
export const delegatedChannel: Telemetry<TelemetryMessages['behalf:delegated']> = telemetry('behalf:delegated')
export const keysFetchChannel: Telemetry<TelemetryMessages['behalf:keys.fetch']> = telemetry('behalf:keys.fetch')
export const auditFailureChannel: Telemetry<TelemetryMessages['behalf:audit.failure']> = telemetry('behalf:audit.failure')
