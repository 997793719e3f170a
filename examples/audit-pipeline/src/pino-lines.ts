import type { AuditEvent } from '@behalf/core'

/** The audit event in a line of pino's output; `null` for every other line, whatever it is. */
export function auditEventOf(line: string): AuditEvent | null {
  try {
    const { audit } = JSON.parse(line) as { readonly audit?: unknown }
    return isEvent(audit) ? audit : null
  } catch {
    return null
  }
}

/** Every member of an event is always there; these tell one from whatever else is logged under the same name. */
function isEvent(value: unknown): value is AuditEvent {
  const { v, requestId, http, subject, actor } = (value ?? {}) as Partial<AuditEvent>
  const known = typeof v === 'string' && v.startsWith('1.') // members are only ever added under 1.x
  return known && typeof requestId === 'string' && http !== undefined && subject !== undefined && actor !== undefined
}
