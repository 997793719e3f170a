import { randomUUID } from 'node:crypto'

/** What a customer has agreed to: that support acts for her, and the agents that support sends. */
export interface Consent {
  readonly consentId: string
  /** When it ends, in seconds since the epoch. */
  readonly expiresAt: number
  /** The case that it is for. */
  readonly ticket: string
  /** What it is for, in words for people. */
  readonly reason: string
}

/** What the `when` of a rule is answered. */
export type ConsentAnswer = { readonly allow: false } | (Consent & { readonly allow: boolean })

/**
 * The register of consents, one for each customer, latest last. It is kept in memory, and shared by both APIs, as a database would be:
 * `examples/consents` has one.
 *
 * Only the customer is looked up. Who acts is what the rules are about, and whoever stands behind the current actor grants nothing (RFC
 * 8693 4.1), so that nobody asks about Sam when an agent calls.
 */
export class Consents {
  readonly #answers = new Map<string, Consent & { readonly allow: boolean }>()

  /**
   * A customer consents; an earlier consent of hers is replaced.
   * @param subject as tokens name her, at the one issuer that there is
   */
  give(subject: string, terms: Omit<Consent, 'consentId'>): Consent {
    const consent = { consentId: randomUUID(), ...terms }
    this.#answers.set(subject, { allow: true, ...consent })
    return consent
  }

  /** It stays on record, so that a refusal can say which consent is missing. */
  withdraw(subject: string): void {
    const answer = this.#answers.get(subject)
    if (answer !== undefined) this.#answers.set(subject, { ...answer, allow: false })
  }

  /** Whether support may act for somebody. That a consent has ended is not checked here: behalf reads `expiresAt`. */
  answerFor(subject: string): ConsentAnswer {
    return this.#answers.get(subject) ?? { allow: false }
  }
}

const HOUR_SECONDS = 3600

/** What a customer consents to who has asked for help. */
export function helpWanted(): Omit<Consent, 'consentId'> {
  const expiresAt = Math.floor(Date.now() / 1000) + HOUR_SECONDS
  return { expiresAt, ticket: 'case-7', reason: 'a parcel that did not arrive' }
}
