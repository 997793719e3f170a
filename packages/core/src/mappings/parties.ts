import type { AuditEvent, AuditParty } from '../audit/event.js'
import type { Party } from '../delegation/party.js'

/** A party that the token names. */
export type NamedParty = Omit<Party, 'claims'>

/** The word of `sub_profile` by which an issuer says that a party is an AI agent. */
const AI_AGENT = 'ai_agent'

export function isNamed(party: AuditParty | null): party is NamedParty {
  return party !== null && party.id !== null
}

/** Who calls, as far as the token shows it: the actor, or the subject where no actor is visible. `null` without a context. */
export function actingParty({ actor, subject }: Pick<AuditEvent, 'actor' | 'subject'>): AuditParty | null {
  return actor ?? subject
}

/** The party itself where it is an AI agent; `null` otherwise. */
export function aiAgentOf(party: AuditParty | null): NamedParty | null {
  return isNamed(party) && party.profiles.includes(AI_AGENT) ? party : null
}
