import type { AuditEvent } from '../audit/event.js'

/** How loud an event is. */
export type Severity = 'info' | 'warn' | 'error'

/**
 * `error`: the application failed (500 or more). `warn`: a refusal, a call that would have been refused, an outcome that is not
 * `completed`. `info`: anything else.
 */
export function severityOf({ decision, result }: Pick<AuditEvent, 'decision' | 'result'>): Severity {
  if (result === 'failed') return 'error'
  if (decision !== 'allow') return 'warn'
  return result === null || result === 'completed' ? 'info' : 'warn'
}
