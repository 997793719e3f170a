import type { DelegatedContext, DelegationRule } from '@behalf/core'
import { asgardeo, oauth } from '@behalf/core/issuers'
import { resourceServer } from '@behalf/express'
import { memorySink } from '@behalf/testing'

const staff = { isOnDuty: async (actor: DelegatedContext['actor']) => actor.id !== null }

// #region rules
const delegation: DelegationRule[] = [
  {
    id: 'support-looks',
    kind: 'impersonation',
    issuer: 'https://api.asgardeo.io/t/bifrost/oauth2/token',
    actor: 'any',
    scopes: ['orders:read', 'profile:*'],
    methods: 'safe',
    maxLifetimeSeconds: 3600,
    when: ({ actor }) => staff.isOnDuty(actor),
  },
  {
    id: 'agents',
    kind: 'delegation',
    issuer: 'https://as.example.com',
    actor: { profile: 'ai_agent' },
    scopes: 'orders:*',
    exceptScopes: 'orders:refund',
    maxDepth: 2,
  },
]
// #endregion rules

export const api = resourceServer({
  issuers: [
    oauth({ issuer: 'https://as.example.com', audience: 'https://api.example.com' }),
    asgardeo({ organization: 'bifrost', clientIds: ['jVcW4oLn1Jjb2T94H4gtPV9z5Y0a'] }),
  ],
  delegation,
  audit: { sinks: [memorySink()] },
})
