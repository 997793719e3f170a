import { randomUUID } from 'node:crypto'
import type { AuditEvent } from '@behalf/core'
import { deepFreeze } from './deep-freeze.js'

/** A valid audit event, for tests of sinks and pipelines; members can be overridden. */
export function testEvent(overrides: Partial<AuditEvent> = {}): AuditEvent {
  const subject = {
    id: 'user-1',
    idClaim: 'sub',
    issuer: 'https://as.example.test',
    type: null,
    profiles: [],
    tenant: null,
  } as const
  const actor = { ...subject, id: 'support-1', issuer: null } as const
  return deepFreeze({
    v: '1.1',
    id: uuidV7(),
    type: 'access.decision',
    time: '2026-09-21T13:33:20.000Z',
    requestId: uuidV7(),
    stage: 'rules',
    decision: 'allow',
    reason: null,
    rule: 'support-looks',
    consent: null,
    kind: 'impersonation',
    subject,
    actor,
    chain: [actor],
    clientId: 'client-1',
    tenant: null,
    grantId: null,
    scopes: { token: ['orders:read', 'orders:write'], effective: ['orders:read'] },
    token: {
      issuer: 'https://as.example.test',
      id: randomUUID(),
      issuedAt: 1790000000,
      expiresAt: 1790000600,
      keyId: 'key-1',
      algorithm: 'EdDSA',
    },
    keys: { ageSeconds: 3, stale: false },
    http: { method: 'GET', route: '/orders', status: null, durationMilliseconds: null },
    net: { peer: '127.0.0.1', forwarded: null, userAgent: 'test', callerRequestId: null },
    trace: { traceparent: null },
    result: null,
    notices: [],
    ...overrides,
  })
}

/** Good enough for tests: the version and variant of a UUIDv7, not its clock. */
function uuidV7(): string {
  const random = randomUUID()
  return `${random.slice(0, 14)}7${random.slice(15)}`
}
