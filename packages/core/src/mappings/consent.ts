import type { AuditEvent } from '../audit/event.js'
import type { Consent } from '../delegation/context.js'

/** What an event tells of a consent. A record of schema 1.0 has no such member: it tells nothing. */
export function consentOf({ consent }: AuditEvent): Pick<Consent, keyof Consent> | null {
  return consent ?? null
}
