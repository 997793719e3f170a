import type { AuditEvent } from '@behalf/core'

/** Pairs the events of each request, and tells each request's story in one sentence when it is known. */
export class Story {
  /** Calls that were let in and have not ended: decisions by request. */
  readonly #open = new Map<string, AuditEvent[]>()

  /** @returns a sentence, once the request is through */
  take(event: AuditEvent): string | null {
    const { requestId, type, stage, decision } = event
    if (type === 'access.outcome') {
      const decisions = this.#open.get(requestId) ?? []
      this.#open.delete(requestId)
      const refusal = decisions.find((each) => each.decision === 'refuse')
      return `${requestOf(event)}: ${event.http.status} ${event.result}${becauseOf(refusal ?? event)}`
    }
    if (decision === 'refuse' && stage !== 'requirement')
      return `${requestOf(event)}: ${event.http.status} refused${becauseOf(event)}`
    this.#open.set(requestId, [...(this.#open.get(requestId) ?? []), event])
    return null
  }

  /** Calls that were let in and of whose end nothing was written: the API may have died under them. */
  unfinished(): readonly string[] {
    return [...this.#open.values()].flatMap(([event]) => (event === undefined ? [] : [`${requestOf(event)}: no outcome`]))
  }
}

function requestOf({ actor, subject, http }: AuditEvent): string {
  const who = actor === null ? nameOf(subject) : `${nameOf(actor)} as ${nameOf(subject)}`
  return `${who}, ${http.method} ${printable(http.route ?? '(before routing)')}`
}

function becauseOf({ reason, rule }: AuditEvent): string {
  if (reason !== null) return ` (${printable(reason)})`
  return rule === null ? '' : ` (rule ${printable(rule)})`
}

function nameOf(party: AuditEvent['subject']): string {
  if (party === null) return '(nobody proven)'
  return party.id === null ? '(unnamed)' : printable(party.id)
}

/** behalf lets no name in that could move a cursor or forge a line; but who wrote the line that is read here, nobody knows. */
function printable(text: string): string {
  return text.replace(/[\p{C}\p{Zl}\p{Zp}]/gu, (each) => `\\u{${each.codePointAt(0)?.toString(16)}}`)
}
