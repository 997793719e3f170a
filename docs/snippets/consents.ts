import type { DelegationRule } from '@behalf/core'
import { oauth } from '@behalf/core/issuers'
import { resourceServer } from '@behalf/express'
import { memorySink } from '@behalf/testing'

interface StoredConsent {
  readonly id: string
  readonly withdrawn: boolean
  readonly endsAt: Date
}

const consents = {
  find: async (_customer: string, _agent: string | null): Promise<StoredConsent | null> => null,
}

// #region consent
const actsForCustomers: DelegationRule = {
  id: 'agents-with-consent',
  kind: 'delegation',
  actor: { profile: 'ai_agent' },
  scopes: 'orders:read',
  async when({ subject, actor }) {
    const consent = await consents.find(subject.id, actor.id)
    if (consent === null) return false
    return { allow: !consent.withdrawn, consentId: consent.id, expiresAt: consent.endsAt.getTime() / 1000 }
  },
}
// #endregion consent

export const api = resourceServer({
  issuers: [
    oauth({
      issuer: 'https://as.example.com',
      audience: 'https://api.example.com',
      authorizationDetails: ['payment_initiation'],
    }),
  ],
  delegation: [actsForCustomers],
  audit: { sinks: [memorySink()] },
})

// #region guards
export const guards = {
  /** A login by one of these, not longer ago than five minutes; a delegated call never meets it. */
  transfer: api.guard({ acr: ['urn:example:hardware-key', 'urn:example:otp'], maxAuthAgeSeconds: 300 }),
  /** One object of `authorization_details` that holds all of this. */
  payment: api.guard({ authorizationDetails: { type: 'payment_initiation', actions: 'initiate' } }),
}
// #endregion guards
