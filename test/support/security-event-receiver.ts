/** A receiver without a server around it: what it answers, what it revokes, and whom it tells. */
import type { HttpAnswer, Revocation } from '@behalf/core/adapter'
import { DEFAULT_LIMITS, type Limits } from '../../packages/core/src/limits.js'
import type { SecurityEventOptions, TransmitterOptions } from '../../packages/core/src/security-events/options.js'
import { resolveSecurityEvents } from '../../packages/core/src/security-events/options.js'
import type { Push } from '../../packages/core/src/security-events/receiver.js'
import { createSecurityEventReceiver } from '../../packages/core/src/security-events/receiver.js'
import type { UnprocessedEvent } from '../../packages/core/src/security-events/unprocessed.js'
import { createTransmitter, SET_CONTENT_TYPE, type TestTransmitter } from './security-event-transmitter.js'

export const TRANSMITTER = 'https://idp.example.test'
export const OTHER_ISSUER = 'https://other.example.test'
export const RECEIVER = 'https://api.example.test/security-events'
export const NOW_SECONDS = 1_790_000_000
export const TOLERANCE_SECONDS = 5

export interface HeldReceiver {
  readonly transmitter: TestTransmitter
  readonly revoked: Revocation[]
  readonly told: UnprocessedEvent[]
  /** Milliseconds since the epoch; settable. */
  nowMilliseconds: number
  /** What keeping a revocation comes to. */
  keep: (revocation: Revocation) => Promise<void> | void
  push(body: Push['body'], more?: Partial<Push>): Promise<HttpAnswer>
  /** Status and, of a refusal, its code; `202` or `400 invalid_request`. */
  outcome(body: Push['body'], more?: Partial<Push>): Promise<string>
  close(): void
}

export interface ReceiverSettings {
  readonly transmitter?: Partial<TransmitterOptions>
  readonly events?: Partial<SecurityEventOptions>
  readonly limits?: Partial<Limits>
  /** Default: the transmitter, and a second one. */
  readonly tokenIssuers?: readonly string[] | null
  /** The application wants to be told of nothing. */
  readonly silent?: boolean
}

/** A receiver of one transmitter, who is a token issuer too. */
export function holdReceiver({
  transmitter: own,
  events,
  limits: some,
  tokenIssuers,
  silent,
}: ReceiverSettings = {}): HeldReceiver {
  const transmitter = createTransmitter(TRANSMITTER, RECEIVER, () => Math.floor(held.nowMilliseconds / 1000))
  const limits = { ...DEFAULT_LIMITS, ...some }
  const options = {
    transmitters: [{ issuer: TRANSMITTER, audience: RECEIVER, jwks: transmitter.jwks, ...own }],
    ...(silent !== true && { onUnprocessed: (event: UnprocessedEvent) => void held.told.push(event) }),
    ...events,
  }
  const environment = {
    limits,
    now: () => held.nowMilliseconds,
    fetch: globalThis.fetch,
    random: () => 0.5,
    toleranceSeconds: TOLERANCE_SECONDS,
    tokenIssuers: tokenIssuers === null ? null : new Set(tokenIssuers ?? [TRANSMITTER, OTHER_ISSUER]),
  }
  const receiver = createSecurityEventReceiver(
    resolveSecurityEvents(options, 'securityEvents', environment),
    async (revocation) => {
      await held.keep(revocation)
      held.revoked.push(revocation)
    },
  )
  const held: HeldReceiver = {
    transmitter,
    revoked: [],
    told: [],
    nowMilliseconds: NOW_SECONDS * 1000,
    keep() {},
    push: (body, more) => receiver.receive({ method: 'POST', contentType: SET_CONTENT_TYPE, authorization: [], body, ...more }),
    outcome: async (body, more) => outcomeOf(await held.push(body, more)),
    close: () => receiver.close(),
  }
  return held
}

export function outcomeOf({ status, body }: Pick<HttpAnswer, 'status' | 'body'>): string {
  return body === '' ? String(status) : `${status} ${(JSON.parse(body) as { err: string }).err}`
}
