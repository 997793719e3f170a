/**
 * A delegation that is ended in the middle of a stream of requests: no request that began after the acknowledgement is served. The
 * journal says what was let in; which requests had begun by then the caller knows.
 */
import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type AuditEvent, memoryRevocations, type Revocation } from '@behalf/core'
import { journalSink, readJournal } from '@behalf/journal'
import { createSigningKey, createTestIssuer, type TestIssuer } from '@behalf/testing'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { ask, bearer } from './support/http.js'
import { FRAMEWORKS, startApi } from './support/servers.js'

let issuer: TestIssuer
beforeAll(async () => {
  issuer = await createTestIssuer({ algorithms: ['EdDSA'] })
})
afterAll(() => issuer.close())

const directories: string[] = []
afterEach(() => {
  for (const each of directories.splice(0)) rmSync(each, { recursive: true, force: true })
})

/** How many callers ask at the same time, each of them again as soon as it has an answer. */
const CALLERS = 8
/** Requests that were served before the delegation is ended, and that are made after it. */
const BEFORE = 100
const AFTER = 100

async function allowedIn(directory: string): Promise<readonly AuditEvent[]> {
  const events: AuditEvent[] = []
  for await (const { record } of readJournal(directory)) {
    if (record.kind === 'event') events.push(record.body as unknown as AuditEvent)
  }
  return events.filter(({ type, decision }) => type === 'access.decision' && decision === 'allow')
}

describe.each(FRAMEWORKS)('$name', (framework) => {
  test.each<[string, (issuer: string, tokenId: string) => Revocation]>([
    ['grant', (iss) => ({ issuer: iss, grantId: 'grant-1' })],
    ['token', (iss, tokenId) => ({ issuer: iss, tokenId })],
    ['actor for its subject', (iss) => ({ issuer: iss, subject: 'user-1', actor: 'agent-1' })],
  ])('[Design-revocation-mid-stream] serves no request that began after its %s was ended', async (_name, revocationOf) => {
    const directory = mkdtempSync(join(tmpdir(), 'behalf-ended-'))
    chmodSync(directory, 0o700)
    directories.push(directory)
    const journal = journalSink({
      directory,
      signingKey: createSigningKey('EdDSA').privateKey,
      origin: 'test.example/audit',
      reserveBytes: 16_384,
      commitDeadlineMilliseconds: 60_000,
    })
    const options = issuer.options({ jwks: issuer.jwks(), claims: { grant: 'grant_id' } })
    const api = await startApi(
      framework,
      {
        issuers: [options],
        delegation: [{ id: 'agents', kind: 'delegation', actor: 'any', scopes: 'all' }],
        audit: { sinks: [journal], timeoutMilliseconds: 60_000 },
        revocation: {
          maxTokenLifetimeSeconds: 3600,
          checks: [{ by: ['tokenId', 'grantId', 'subjectAndActor'], issuer: options.issuer, from: memoryRevocations() }],
        },
      },
      (app, server) => {
        app.use(server.authenticate()).route(
          'GET',
          '/',
          framework.handler((call) => call.json({})),
        )
      },
    )
    const claims = { jti: 'token-1', grant_id: 'grant-1', sub: 'user-1', act: { sub: 'agent-1' } }
    const token = issuer.token({ claims })
    const other = issuer.token({ claims: { jti: 'token-2', grant_id: 'grant-2', sub: 'user-2', act: { sub: 'agent-1' } } })

    let begun = 0
    const counts = { served: 0, refused: 0, othersServed: 0 }
    const begin = async () => {
      const id = `${begun++}`
      const [theirs, ours] = await Promise.all([
        ask(api.port, { headers: [bearer(other), ['X-Request-Id', 'other']] }),
        ask(api.port, { headers: [bearer(token), ['X-Request-Id', id]] }),
      ])
      if (theirs.status === 200) counts.othersServed++
      if (ours.status === 200) counts.served++
      else counts.refused++
    }
    let ending = false
    let begunBefore = Number.NaN
    const endSoon = async () => {
      if (ending || counts.served < BEFORE) return
      ending = true
      await api.api.revoke(revocationOf(options.issuer, 'token-1'))
      begunBefore = begun
    }
    const caller = async () => {
      while (!(begun > begunBefore + AFTER)) {
        await begin()
        await endSoon()
      }
    }
    await Promise.all(Array.from({ length: CALLERS }, caller))
    await api.close()
    await api.api.close()

    const allowed = await allowedIn(directory)
    const ids = allowed.filter(({ grantId }) => grantId === 'grant-1').map(({ net }) => Number(net.callerRequestId))
    expect(ids.length, 'each answer that was served is in the journal').toBe(counts.served)
    expect(Math.max(...ids)).toBeLessThan(begunBefore)
    expect(counts.served).toBeGreaterThanOrEqual(BEFORE)
    expect(counts.refused).toBeGreaterThanOrEqual(AFTER)
    expect(counts.othersServed, 'everybody else was served throughout').toBe(begun)
  })
})
