import { randomBytes } from 'node:crypto'
import {
  type AuditSink,
  type AuthContext,
  type DelegatedContext,
  memoryRevocations,
  type ResourceServerOptions,
} from '@behalf/core'
import { oauth } from '@behalf/core/issuers'
import type { ConsentAnswer, Consents } from './consents.js'
import type { Fetch } from './https-fetch.js'
import { TOKEN_SECONDS } from './resources.js'

/** Where an API takes security events. */
export const SECURITY_EVENTS = '/security-events'

/** Where an API is, and whom it trusts. */
export interface ApiSurroundings {
  /** What clients call it by; its audience as well. */
  readonly origin: string
  readonly issuer: string
  readonly sink: AuditSink
  /** Who has consented that support acts for them. */
  readonly consents: Consents
  /** The `Authorization` field of whoever pushes security events. */
  readonly eventAuthorization: string
  /** Fetches the issuer's keys: its certificate is one that the standard `fetch` does not believe. */
  readonly fetch: Fetch
}

/** The same options for both APIs. */
export function apiOptions(surroundings: ApiSurroundings): ResourceServerOptions {
  const { origin, issuer, sink, consents, eventAuthorization, fetch } = surroundings
  const when = ({ subject }: DelegatedContext): ConsentAnswer => consents.answerFor(subject.id) // for each request: it may be withdrawn
  return {
    issuers: [
      oauth({
        issuer,
        audience: origin,
        dpop: 'allow',
        mtls: 'allow',
        actor: { issuer: 'required' },
        claims: { grant: 'grant_id', session: 'sid' },
      }),
    ],
    delegation: [
      {
        id: 'agents',
        kind: 'delegation',
        actor: { issuer, profile: 'ai_agent' },
        scopes: 'orders:read',
        maxDepth: 2,
        when,
      },
      {
        id: 'support',
        kind: 'delegation',
        actor: { issuer, profile: 'user' }, // people who act for others are of support
        scopes: 'orders:*',
        exceptScopes: 'orders:refund',
        maxLifetimeSeconds: TOKEN_SECONDS,
        when,
      },
    ],
    revocation: {
      maxTokenLifetimeSeconds: TOKEN_SECONDS,
      checks: [{ by: ['tokenId', 'grantId', 'sessionId'], issuer, from: memoryRevocations() }],
    },
    securityEvents: {
      transmitters: [{ issuer, audience: origin, jwksUri: `${issuer}/jwks`, authorization: eventAuthorization }],
    },
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
  /** Which consent the call stands on. */
  readonly consent: string | null
  readonly scopes: readonly string[]
}

export function callerOf({ subject, chain, rule, consent, scopes }: AuthContext): Caller {
  return { subject: subject.id, chain: chain.map(({ id }) => id), rule, consent: consent?.consentId ?? null, scopes }
}
