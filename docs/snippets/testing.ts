import { mkdtempSync, readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { AuditEvent, AuditSink, IssuerOptions } from '@behalf/core'
import { curity } from '@behalf/core/issuers'
import { resourceServer } from '@behalf/express'
import '@behalf/express/request'
import { createTestIssuer, fixtures, memorySink, sinkContract, testContext } from '@behalf/testing'
import express, { type Express } from 'express'
import request from 'supertest'
import { describe } from './context.js'
import { fileSink } from './sink.js'

// #region app
export function createApp(issuer: IssuerOptions, sink: AuditSink): Express {
  const api = resourceServer({
    issuers: [issuer],
    delegation: [{ id: 'support-looks', kind: 'impersonation', actor: 'any', scopes: 'orders:read', methods: 'safe' }],
    audit: { sinks: [sink] },
  })
  const app = express()
  app.use(api.authenticate())
  app.get('/orders', api.guard({ scopes: 'orders:read' }), (req, res) => {
    res.json({ subject: req.auth.subject.id, actor: req.auth.actor?.id ?? null })
  })
  app.post('/orders', api.guard({ scopes: 'orders:write' }), (_req, res) => {
    res.sendStatus(201)
  })
  return app
}
// #endregion app

export async function supportLooksAndDoesNotWrite(): Promise<void> {
  // #region http
  const issuer = await createTestIssuer({ algorithms: ['EdDSA'] })
  const app = createApp(issuer.options({ kind: 'impersonation' }), memorySink())
  const token = issuer.token({ claims: { act: { sub: 'support-1' } } }) // support-1, for user-1

  await request(app).get('/orders').auth(token, { type: 'bearer' }).expect(200, { subject: 'user-1', actor: 'support-1' })
  await request(app).post('/orders').auth(token, { type: 'bearer' }).expect(403)
  await issuer.close()
  // #endregion http
}

export async function keysComeAndGo(): Promise<void> {
  // #region trouble
  let now = Date.now()
  const issuer = await createTestIssuer({ algorithms: ['EdDSA'], now: () => now })
  const api = resourceServer({ issuers: [issuer.options()], now: () => now })
  const app = express().use(api.authenticate(), (_req, res) => res.sendStatus(204))
  const call = () => request(app).get('/').auth(issuer.token(), { type: 'bearer' })

  issuer.fail('garbage', 'jwks')
  await call().expect(503) // our trouble, never the caller's 401
  issuer.recover()
  now += 1_000 // the issuer is not asked again at once: limits.backOffFirstSeconds
  await call().expect(204)

  issuer.rotate()
  await call().expect(204) // an unknown key id: the keys are fetched anew
  await issuer.close()
  // #endregion trouble
}

export async function documentedTokens(): Promise<AuditEvent> {
  // #region fixture
  const issuer = await createTestIssuer({ algorithms: ['EdDSA'] })
  const { impersonated } = fixtures.curity
  const sink = memorySink()
  const app = createApp(
    curity({ issuer: String(impersonated.claims['iss']), audience: 'test-web-api', jwks: issuer.jwks() }),
    sink,
  )
  const token = issuer.tokenOf(impersonated, { claims: { scope: 'orders:read' } })

  await request(app).get('/orders').auth(token, { type: 'bearer' }).expect(200, { subject: 'user123', actor: 'admin' })
  const outcome = await sink.until(({ type }) => type === 'access.outcome') // it comes when the response has ended
  await issuer.close()
  // #endregion fixture
  return outcome
}

export const handlerTest = (): string => {
  // #region unit
  const context = testContext({ kind: 'impersonation', subject: 'user-1', actor: 'support-1', scopes: ['orders:read'] })
  const answer = describe(context)
  // #endregion unit
  return answer
}

/** @param test of vitest, `node:test`, or any other runner */
export function fileSinkKeepsTheContract(test: (name: string, run: () => Promise<void>) => void): void {
  // #region contract
  const create = () => {
    const path = join(mkdtempSync(join(tmpdir(), 'events-')), 'audit.jsonl')
    const lines = () => readFileSync(path, 'utf8').trimEnd().split('\n')
    return { sink: fileSink(path), accepted: () => lines().map((line) => JSON.parse(line) as AuditEvent) }
  }
  for (const { name, run } of sinkContract(create)) test(name, run)
  // #endregion contract
}
