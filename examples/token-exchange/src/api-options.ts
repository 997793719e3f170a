import { randomBytes } from 'node:crypto'
import type { AuditSink, AuthContext, ResourceServerOptions } from '@behalf/core'
import { oauth } from '@behalf/core/issuers'
import type { Fetch } from './https-fetch.js'

/** Where an API is, and whom it trusts. */
export interface ApiSurroundings {
  /** What clients call it by; its audience as well. */
  readonly origin: string
  readonly issuer: string
  readonly sink: AuditSink
  /** Fetches the issuer's keys: its certificate is one that the standard `fetch` does not believe. */
  readonly fetch: Fetch
}

/** The same options for both APIs. */
export function apiOptions({ origin, issuer, sink, fetch }: ApiSurroundings): ResourceServerOptions {
  return {
    issuers: [oauth({ issuer, audience: origin, dpop: 'allow', mtls: 'allow', actor: { issuer: 'required' } })],
    delegation: [
      { id: 'agents', kind: 'delegation', actor: { issuer, profile: 'ai_agent' }, scopes: 'orders:read', maxDepth: 2 },
      {
        id: 'support',
        kind: 'delegation',
        actor: { issuer, profile: 'user' }, // people who act for others are of support
        scopes: 'orders:*',
        exceptScopes: 'orders:refund',
        maxLifetimeSeconds: 300,
      },
    ],
    audit: { sinks: [sink], record: 'always' },
    publicOrigins: origin,
    dpop: { replay: 'single-process', nonce: { secret: randomBytes(32) } },
    metadata: { resource: origin, scopesSupported: ['orders:read', 'orders:write', 'orders:refund'], resourceName: 'Orders' },
    fetch,
  }
}

/** Who called, as the routes answer it. */
export interface Caller {
  readonly subject: string
  /** Current actor first. */
  readonly chain: readonly (string | null)[]
  readonly rule: string | null
  readonly scopes: readonly string[]
}

export function callerOf({ subject, chain, rule, scopes }: AuthContext): Caller {
  return { subject: subject.id, chain: chain.map(({ id }) => id), rule, scopes }
}
