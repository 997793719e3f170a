/** APIs whose replicas share a Redis, over HTTP and through both adapters: revoked at one, refused at the other. */
import { createResourceServer } from '@behalf/core/adapter'
import { createTestIssuer } from '@behalf/testing'
import { afterAll, describe, expect, onTestFinished, test } from 'vitest'
import { describeWith } from '../../../test/support/needs-program.js'
import { DOORS, type Door, outcomeOf } from '../../../test/support/request.js'
import { Clock, newServer, POLL } from './support/replays.js'
import { newSet, untilWhole } from './support/revocations.js'

const ROUTES = [{ method: 'GET', path: '/orders', requirement: {} }] as const

const clock = new Clock()
const issuer = await createTestIssuer({ algorithms: ['EdDSA'], now: clock.now })
afterAll(() => issuer.close())
const jwks = issuer.jwks()

describe.each(DOORS)('$name', ({ open }) => {
  /** What every replica of an API is made of, with a set of its own. */
  function replica(url: string, staleSeconds = 1) {
    const set = newSet({ url, now: clock.now })
    const check = { by: ['tokenId', 'subject'] as const, issuer: issuer.issuer, from: set, staleSeconds }
    const revocation = { maxTokenLifetimeSeconds: 3_600, checks: [check] }
    return { set, options: { issuers: [issuer.options({ jwks })], revocation, now: clock.now } }
  }

  async function door(options: Parameters<typeof open>[0]): Promise<Door> {
    const opened = await open(options, ROUTES)
    onTestFinished(() => opened.close())
    return opened
  }

  const ask = async (at: Door, token: string) => outcomeOf(await at.ask('/orders', { token }))

  describeWith('redis-server', 'replicas that share a Redis', () => {
    test('[Design-revocation-shared-everywhere] a token that one replica ends is refused by the other one, also where it is remembered', async () => {
      const server = await newServer()
      const [one, other] = [replica(server.url), replica(server.url)]
      const api = createResourceServer(one.options)
      await api.ready()
      const at = await door(other.options)
      await untilWhole([one.set, other.set], clock)
      const [ended, kept] = ['ended', 'kept'].map((jti) => issuer.token({ claims: { jti } })) as [string, string]
      for (const token of [ended, kept, ended]) expect(await ask(at, token)).toBe('200')
      await api.revoke({ issuer: issuer.issuer, tokenId: 'ended' })
      await expect.poll(() => ask(at, ended), POLL).toBe('401 token_revoked')
      expect([await ask(at, ended), await ask(at, kept)]).toEqual(['401 token_revoked', '200'])
      clock.pass(1)
      await untilWhole([other.set], clock)
      await api.close()
      expect([await ask(at, ended), await ask(at, kept)]).toEqual(['401 token_revoked', '200'])
    })

    test('[Design-revocation-shared-stale] while Redis is away: served as long as staleSeconds says, and then 503 until it is back', async () => {
      const server = await newServer()
      const { set, options } = replica(server.url, 10)
      const at = await door(options)
      await untilWhole([set], clock)
      const token = issuer.token({})
      expect(await ask(at, token)).toBe('200')
      await server.kill()
      clock.pass(10)
      expect(await ask(at, token)).toBe('200')
      const served = at.ran
      clock.time++
      const answer = await at.ask('/orders', { token })
      expect([outcomeOf(answer), at.ran]).toEqual(['503 revocation_unavailable', served])
      expect(answer.headers['retry-after']).toMatch(/^\d+$/)
      const api = createResourceServer(options)
      await expect(api.revoke({ issuer: issuer.issuer, subject: 'somebody' })).rejects.toMatchObject({ code: 'unavailable' })
      await server.restart()
      await expect.poll(() => ask(at, token), POLL).toBe('200')
    })

    test('[Design-revocation-shared-stale] before the first reading: 503', async () => {
      const { options } = replica('redis://127.0.0.1:1')
      const at = await door(options)
      expect(await ask(at, issuer.token({}))).toBe('503 revocation_unavailable')
      expect(at.ran).toBe(0)
    })
  })
})
