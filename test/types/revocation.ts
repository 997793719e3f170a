/** Type tests: what can be revoked, and what a function is asked. Two names at once do not compile. */
import type { Revocation, RevocationCheck, RevocationQuery } from '@behalf/core'

const issuer = 'https://as.example.test'

export const revocations: readonly Revocation[] = [
  { issuer, tokenId: 'a' },
  { issuer, grantId: 'a' },
  { issuer, sessionId: 'a', at: 1 },
  { issuer, subject: 'a' },
  { issuer, actor: 'a', at: 1 },
  { issuer, subject: 'a', actor: 'b', at: 1 },
]

export const mistakenRevocations: readonly Revocation[] = [
  // @ts-expect-error nothing is named
  { issuer },
  // @ts-expect-error an issuer has to be named
  { tokenId: 'a' },
  // @ts-expect-error a token and its grant are two revocations
  { issuer, tokenId: 'a', grantId: 'b' },
  // @ts-expect-error a session and its subject are two revocations
  { issuer, sessionId: 'a', subject: 'b' },
  // @ts-expect-error an actor of a session cannot be named
  { issuer, sessionId: 'a', actor: 'b' },
  // @ts-expect-error subject and actor go together, a third name does not
  { issuer, subject: 'a', actor: 'b', grantId: 'c' },
  // @ts-expect-error a token is one, whenever it was issued
  { issuer, tokenId: 'a', at: 1 },
  // @ts-expect-error so is a grant
  { issuer, grantId: 'a', at: 1 },
  // @ts-expect-error undefined must not become "every actor"
  { issuer, subject: 'a', actor: undefined },
]

/** What was not written in its place is no exception. */
const twoNames = { issuer, tokenId: 'a', grantId: 'b' }
const timed = { issuer, tokenId: 'a', at: 1 }
export const foundElsewhere: readonly Revocation[] = [
  // @ts-expect-error two names
  twoNames,
  // @ts-expect-error a token, and a time
  timed,
]

declare const isRevoked: (id: string) => Promise<boolean>

export const checks: readonly RevocationCheck[] = [
  // By its word, each query has its names.
  { by: 'grantId', issuer, from: async (query) => query.by === 'grantId' && (await isRevoked(query.grantId)) },
  { by: 'subjectAndActor', issuer, from: async (query) => query.by !== 'subjectAndActor' || query.subject === query.actor },
  { by: ['grantId', 'tokenId'], issuer, from: async ({ grantId, tokenId }) => await isRevoked(grantId ?? tokenId ?? '') },
  { by: 'grantId', issuer: 'any', from: ({ grantId = '' }) => isRevoked(grantId) },
  // @ts-expect-error no grant is asked about by a session
  { by: 'sessionId', issuer, from: async (query) => query.by === 'sessionId' && (await isRevoked(query.grantId)) },
  // @ts-expect-error by itself it may be missing: the query can be by something else
  { by: 'grantId', issuer, from: (query) => isRevoked(query.grantId) },
]

export function nameOf(query: RevocationQuery): string {
  switch (query.by) {
    case 'tokenId':
      return query.tokenId
    case 'grantId':
      return query.grantId
    case 'sessionId':
      return query.sessionId
    case 'subject':
      return query.subject
    case 'actor':
      return query.actor
    case 'subjectAndActor':
      return query.subject + query.actor
  }
}
