import type { AuditEvent } from '@behalf/core'
import { uuidV7 } from '@behalf/core/sink-kit'

/** Admitting decisions on disk whose outcome is not: by request, the sequence of the last one. */
export type OpenDecisions = Map<string, number>

/** Takes note of an event that is on disk. */
export function trackDecision(
  open: OpenDecisions,
  event: Pick<AuditEvent, 'type' | 'decision' | 'requestId'>,
  sequence: number,
): void {
  if (event.type === 'access.outcome') open.delete(event.requestId)
  else if (event.decision !== 'refuse') open.set(event.requestId, sequence)
}

/** The outcome of a call whose end nobody saw: the process ended before its response did. */
export function unknownOutcome(decision: AuditEvent, nowMilliseconds: number): AuditEvent {
  return {
    ...decision,
    id: uuidV7(nowMilliseconds),
    type: 'access.outcome',
    time: new Date(nowMilliseconds).toISOString(),
    stage: 'response',
    http: { ...decision.http, status: null, durationMilliseconds: null },
    result: 'unknown',
  }
}
