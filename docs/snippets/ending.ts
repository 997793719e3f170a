import type { RevocationCheck } from '@behalf/core'

// #region revocation
import { memoryRevocations } from '@behalf/core'
import { oauth } from '@behalf/core/issuers'
import { resourceServer } from '@behalf/express'

const issuer = 'https://as.example.com'
export const api = resourceServer({
  issuers: [oauth({ issuer, audience: 'https://api.example.com', claims: { grant: 'grant_id', session: 'sid' } })],
  revocation: {
    maxTokenLifetimeSeconds: 3600,
    checks: [{ by: ['tokenId', 'grantId', 'subject', 'subjectAndActor'], issuer, from: memoryRevocations() }],
  },
})

export async function endSome(): Promise<void> {
  await api.revoke({ issuer, grantId: 'b2f1' }) // this delegation
  await api.revoke({ issuer, subject: 'ada', actor: 'agent-7' }) // whatever agent-7 holds for Ada
  await api.revoke({ issuer, subject: 'ada' }) // Ada signs out everywhere; a login is good again some seconds later
  await api.revoke({ issuer, tokenId: 'e6a0' }) // one token
}
// #endregion revocation

const grants = { isRevoked: async (id: string): Promise<boolean> => id === 'b2f0' }

export const asked: readonly RevocationCheck[] =
  // #region function
  [{ by: 'grantId', issuer, from: async ({ grantId = '' }) => await grants.isRevoked(grantId), staleSeconds: 5 }]
// #endregion function
