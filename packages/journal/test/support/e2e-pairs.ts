import type { AuditEvent } from '@behalf/core'

/** What is wrong with the outcomes of a journal: empty lists where each admitting decision of the rules has exactly one. */
export interface Unpaired {
  /** Request ids of decisions without an outcome. */
  readonly missing: readonly string[]
  /** Request ids with more than one. */
  readonly twice: readonly string[]
  /** Request ids of outcomes without a decision before them. */
  readonly unmatched: readonly string[]
}

export const ALL_PAIRED: Unpaired = { missing: [], twice: [], unmatched: [] }

/** Whether an event lets a call in. */
export function isAdmission({ type, stage, decision }: AuditEvent): boolean {
  return type === 'access.decision' && stage === 'rules' && decision !== 'refuse'
}

/** Holds the admitting decisions of the rules against the outcomes, in the order of the journal. */
export function unpairedIn(events: readonly AuditEvent[]): Unpaired {
  const outcomes = new Map<string, number>()
  const unmatched: string[] = []
  for (const event of events) {
    const { requestId, type } = event
    if (isAdmission(event)) outcomes.set(requestId, 0)
    else if (type === 'access.outcome') {
      const known = outcomes.get(requestId)
      if (known === undefined) unmatched.push(requestId)
      else outcomes.set(requestId, known + 1)
    }
  }
  const counted = [...outcomes]
  return {
    missing: counted.filter(([, count]) => count === 0).map(([id]) => id),
    twice: counted.filter(([, count]) => count > 1).map(([id]) => id),
    unmatched,
  }
}
