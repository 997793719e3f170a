import type { IssuerOptions } from '@behalf/core'
import { resourceServer } from '@behalf/express'
import { createTestIssuer, memorySink, testContext } from '@behalf/testing'
import express, { type Express } from 'express'
import request from 'supertest'
import { describe } from './context.js'

function createApp(settings: { readonly issuers: readonly IssuerOptions[] }): Express {
  const api = resourceServer({ ...settings, audit: { sinks: [memorySink()] } })
  return express().use(api.authenticate())
}

export async function supportIsRefused(): Promise<void> {
  // #region http
  const issuer = await createTestIssuer({ algorithms: ['EdDSA'] })
  const token = issuer.token({ claims: { act: { sub: 'support-1' } } })
  const app = createApp({ issuers: [issuer.options()] })
  await request(app).get('/orders').set('authorization', `Bearer ${token}`).expect(403)
  // #endregion http
  await issuer.close()
}

export const handlerTest = (): string => {
  // #region unit
  const context = testContext({ kind: 'impersonation', subject: 'user-1', actor: 'support-1', scopes: ['orders:read'] })
  const answer = describe(context)
  // #endregion unit
  return answer
}
