import { type AuditEvent, partyKey } from '@behalf/core'

/** Who was refused too often, and why the last time. */
export interface Alarm {
  readonly actor: string
  readonly refusals: number
  readonly lastReason: string | null
}

const TOO_MANY = 3

/** Reads events as they come, until their source is closed; tells of each actor once that has been refused too often. */
export async function watchRefusals(events: AsyncIterable<AuditEvent>, tell: (alarm: Alarm) => void): Promise<void> {
  const counts = new Map<string, number>()
  for await (const { decision, actor, reason } of events) {
    if (decision !== 'refuse' || actor === null || actor.id === null) continue
    const key = partyKey(actor)
    const refusals = (counts.get(key) ?? 0) + 1
    counts.set(key, refusals)
    if (refusals === TOO_MANY) tell({ actor: actor.id, refusals, lastReason: reason })
  }
}
