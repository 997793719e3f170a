import type { AuditEvent } from '@behalf/core'
import { testEvent } from '@behalf/testing'

const ISSUER = 'https://as.example.test'
const TRACEPARENT = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'

const NOBODY = { id: null, idClaim: null, issuer: null, type: null, profiles: [], tenant: null } as const
const user = { id: 'user-1', idClaim: 'sub', issuer: ISSUER, type: 'user', profiles: [], tenant: null } as const
const support = { ...user, id: 'support-1', issuer: null } as const
const service = { ...user, id: 'billing', idClaim: 'client_id', type: 'client' } as const
const agent = { ...service, id: 'agent-7', profiles: ['ai_agent', 'assistant'] } as const

/** What is the same in every golden event: nothing may come from a clock or from chance. */
const COMMON = {
  id: '01a20109-aff4-7848-8200-ecbb28691759',
  requestId: '01a20109-afe9-7a21-98a4-221c8d802e5a',
  time: '2026-09-21T13:33:20.118Z',
  subject: user,
  actor: support,
  chain: [support],
  clientId: 'desk',
  token: {
    issuer: ISSUER,
    id: '0728d517-7968-474f-bd7d-12537ccbe436',
    issuedAt: 1790000000,
    expiresAt: 1790000600,
    keyId: 'k1',
    algorithm: 'RS256',
  },
  keys: { ageSeconds: 42, stale: false },
  http: { method: 'GET', route: null, status: null, durationMilliseconds: null },
  net: { peer: '10.0.0.7', forwarded: '203.0.113.9', userAgent: 'desk/2.1', callerRequestId: null },
} as const satisfies Partial<AuditEvent>

const golden = (overrides: Partial<AuditEvent>): AuditEvent => testEvent({ ...COMMON, ...overrides })

const DIRECT = { kind: 'direct', actor: null, chain: [], rule: null } as const

const WITHOUT_CONTEXT = {
  ...DIRECT,
  kind: null,
  subject: null,
  clientId: null,
  decision: 'refuse',
  scopes: { token: [], effective: [] },
} as const

const outcome = (result: NonNullable<AuditEvent['result']>, status: number | null): Partial<AuditEvent> => ({
  type: 'access.outcome',
  stage: 'response',
  result,
  http: { method: 'PATCH', route: '/orders/:id', status, durationMilliseconds: result === 'unknown' ? null : 12.6 },
})

/** One event of every kind, by the name of its golden file. */
export const GOLDEN_EVENTS: Readonly<Record<string, AuditEvent>> = {
  'direct-allow': golden({ ...DIRECT, tenant: 'acme' }),
  'direct-service': golden({ ...DIRECT, subject: service, http: { ...COMMON.http, method: 'POST', route: '/orders' } }),
  'direct-self-actor': golden({ ...DIRECT, chain: [user], notices: ['self_actor'] }),
  'impersonation-allow': golden({ trace: { traceparent: TRACEPARENT } }),
  'impersonation-unknown-actor': golden({ actor: NOBODY, chain: [NOBODY], net: { ...COMMON.net, peer: null } }),
  'delegation-chain': golden({ kind: 'delegation', actor: service, chain: [service, NOBODY, support], grantId: 'grant-9' }),
  'delegation-ai-agent': golden({
    kind: 'delegation',
    actor: agent,
    chain: [agent, service],
    rule: 'agents',
    trace: { traceparent: TRACEPARENT },
  }),
  'delegation-consented': golden({
    kind: 'delegation',
    actor: service,
    chain: [service],
    consent: { consentId: 'consent-17', expiresAt: 1790003600.5, ticket: 'CASE-42', reason: 'order lost, asked by phone' },
    notices: ['chain_incomplete'],
  }),
  'refused-without-credentials': golden({
    ...WITHOUT_CONTEXT,
    stage: 'credentials',
    reason: 'credentials_missing',
    token: { issuer: null, id: null, issuedAt: null, expiresAt: null, keyId: null, algorithm: null },
    keys: { ageSeconds: null, stale: false },
    http: { ...COMMON.http, status: 401 },
  }),
  'refused-before-signature': golden({
    ...WITHOUT_CONTEXT,
    stage: 'verify',
    reason: 'signature_invalid',
    token: { issuer: null, id: null, issuedAt: null, expiresAt: null, keyId: 'k2', algorithm: null },
    keys: { ageSeconds: null, stale: false },
    http: { ...COMMON.http, status: 401 },
  }),
  'refused-after-signature': golden({
    ...WITHOUT_CONTEXT,
    stage: 'verify',
    reason: 'delegation_ambiguous',
    token: { ...COMMON.token, issuedAt: null, expiresAt: null },
    http: { ...COMMON.http, status: 401 },
  }),
  'refused-by-rule': golden({
    decision: 'refuse',
    reason: 'method_not_delegated',
    scopes: { token: ['orders:read'], effective: [] },
    http: { ...COMMON.http, method: 'DELETE', status: 403 },
  }),
  'refused-consent-withdrawn': golden({
    decision: 'refuse',
    reason: 'actor_unauthorized',
    consent: { consentId: 'consent-17', expiresAt: null, ticket: null, reason: '=1+1' },
    scopes: { token: ['orders:read'], effective: [] },
    http: { ...COMMON.http, status: 403 },
  }),
  'would-refuse': golden({ decision: 'would_refuse', reason: 'actor_unauthorized', rule: null }),
  'outcome-completed': golden(outcome('completed', 200)),
  'outcome-failed': golden(outcome('failed', 500)),
  'outcome-aborted': golden(outcome('aborted', 200)),
  'outcome-refused': golden(outcome('refused', 403)),
  'outcome-not-run': golden(outcome('not_run', null)),
  'outcome-unknown': golden(outcome('unknown', null)),
  'hostile-text': golden({
    kind: 'delegation',
    subject: { ...user, id: '=HYPERLINK("http://evil.test";"x")', tenant: '+1' },
    actor: { ...support, id: '@SUM(1+1)*cmd|\'/C calc\'!A0, "quoted"', issuer: '－1' },
    chain: [{ ...support, id: '@SUM(1+1)*cmd|\'/C calc\'!A0, "quoted"', issuer: '－1' }],
    rule: '-2+3',
    clientId: '__proto__',
    http: { method: 'PURGE', route: '/a"b\n,c', status: null, durationMilliseconds: null },
    net: {
      peer: 'fe80::1%eth0',
      forwarded: 'for=198.51.100.1;by="＝1"',
      userAgent: '<script>\ufffd</script> “Дело” \u{1f600}',
      callerRequestId: '=1+1',
    },
    trace: { traceparent: '00-00000000000000000000000000000000-00f067aa0ba902b7-00' },
  }),
}
