import type { AuthContext, DelegationRule } from '@behalf/core'
import { ASGARDEO, CURITY } from './issuers.js'

/** Who may act for whom: the same rules for both APIs. */
export function delegationRules(standardsIssuer: string): readonly DelegationRule[] {
  return [
    {
      id: 'support-helps',
      kind: 'impersonation',
      issuer: CURITY,
      actor: { id: 'admin' },
      scopes: ['orders:read', 'orders:write'],
      maxLifetimeSeconds: 3600,
    },
    { id: 'auditors-look', kind: 'impersonation', issuer: ASGARDEO, actor: 'any', scopes: 'all', methods: 'safe' },
    {
      id: 'agents',
      kind: 'delegation',
      issuer: standardsIssuer,
      actor: { profile: 'ai_agent' },
      scopes: 'orders:*',
      exceptScopes: 'orders:refund',
      maxDepth: 2,
    },
  ]
}

/** Who called, as the demo's routes answer it. */
export interface Caller {
  readonly subject: string
  /** Current actor first, as the token has them. */
  readonly actors: readonly (string | null)[]
  readonly rule: string | null
  readonly scopes: readonly string[]
}

export function callerOf({ subject, chain, rule, scopes }: AuthContext): Caller {
  return { subject: subject.id, actors: chain.map(({ id }) => id), rule, scopes }
}
