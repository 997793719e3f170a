import { createTestIssuer, memorySink, type TestIssuer, testContext } from '@behalf/testing'
import request from 'supertest'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { bannerFor, createApp } from '../src/app.js'

let issuer: TestIssuer
const sink = memorySink()
const app = () => createApp(issuer.options({ kind: 'impersonation' }), sink)

beforeAll(async () => {
  issuer = await createTestIssuer({ algorithms: ['EdDSA'] })
})
afterAll(() => issuer.close())

describe('over HTTP, with a token from the test issuer', () => {
  it('shows support the orders of the user, under a banner', async () => {
    const token = issuer.token({ claims: { sub: 'ada', act: { sub: 'support-1' } } })
    const { body } = await request(app()).get('/orders').set('authorization', `Bearer ${token}`).expect(200)
    expect(body).toEqual({ banner: 'support-1 is looking at the account of ada', orders: ['order of ada'] })
  })

  it('does not let support change the password', async () => {
    const token = issuer.token({ claims: { sub: 'ada', act: { sub: 'support-1' } } })
    const { body } = await request(app()).post('/password').set('authorization', `Bearer ${token}`).expect(403)
    expect(body.code).toBe('method_not_delegated')
  })

  it('lets the user do so', async () => {
    await request(app()).post('/password').set('authorization', `Bearer ${issuer.token()}`).expect(204)
  })

  it('records who looked at whom', async () => {
    const token = issuer.token({ claims: { sub: 'grace', act: { sub: 'support-2' } } })
    await request(app()).get('/orders').set('authorization', `Bearer ${token}`)
    const outcome = await sink.until(({ type, subject }) => type === 'access.outcome' && subject?.id === 'grace')
    expect(outcome).toMatchObject({ actor: { id: 'support-2' }, rule: 'support-looks', result: 'completed' })
  })
})

describe('without a server, with a context made for the test', () => {
  it('has a banner while support impersonates', () => {
    const context = testContext({ kind: 'impersonation', subject: 'ada', actor: 'support-1' })
    expect(bannerFor(context)).toBe('support-1 is looking at the account of ada')
  })

  it('has none for the user in person', () => {
    expect(bannerFor(testContext({ subject: 'ada' }))).toBeNull()
  })
})
