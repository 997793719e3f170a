/** An API whose replicas share a Redis, over HTTP and through both adapters. */
import { createDpopClient, createTestIssuer, type DpopClient } from '@behalf/testing'
import { afterAll, describe, expect, onTestFinished, test } from 'vitest'
import { describeWith } from '../../../test/support/needs-program.js'
import { type Answer, DOORS, type Door, outcomeOf } from '../../../test/support/request.js'
import { begin, Clock, newMemory, newServer, outcome, POLL } from './support/replays.js'

const ORIGIN = 'https://api.example.test'
const ROUTES = [{ method: 'GET', path: '/orders', requirement: {} }] as const

const clock = new Clock()
const issuer = await createTestIssuer({ algorithms: ['EdDSA'], now: clock.now })
afterAll(() => issuer.close())
const jwks = issuer.jwks()
const client: DpopClient = createDpopClient({ now: clock.now })

describe.each(DOORS)('$name', ({ open }) => {
  async function api(url: string, replayMilliseconds = 10_000): Promise<Door> {
    const replay = newMemory({ url, now: clock.now })
    const door = await open(
      {
        issuers: [issuer.options({ jwks, dpop: 'require' })],
        publicOrigins: ORIGIN,
        dpop: { replay },
        limits: { replayMilliseconds },
        now: clock.now,
      },
      ROUTES,
    )
    onTestFinished(() => door.close())
    await begin(replay, clock)
    return door
  }

  /** A request as its client would send it, again and again: to whichever replica. */
  function request(): (door: Door) => Promise<Answer> {
    const token = issuer.token({ claims: { cnf: { jkt: client.jkt } } })
    const headers = client.headers('GET', `${ORIGIN}/orders`, token)
    return (door) => door.ask('/orders', { headers })
  }

  const outcomeTo = async (door: Door, send: (door: Door) => Promise<Answer>) => outcomeOf(await send(door))

  describeWith('redis-server', 'replicas that share a Redis', () => {
    test('[RFC9449-11.1-shared] a proof that one replica has accepted is refused by all of them', async () => {
      const server = await newServer()
      const doors = [await api(server.url), await api(server.url)] as const
      const send = request()
      expect(await outcomeTo(doors[0], send)).toBe('200')
      for (const door of doors) expect(await outcomeTo(door, send)).toBe('401 proof_replayed')
      expect(await outcomeTo(doors[1], request())).toBe('200')
    })

    test('[RFC9449-11.1-away] while Redis is away: 503 with Retry-After, and no handler runs; afterwards: 200', async () => {
      const server = await newServer()
      const door = await api(server.url)
      const used = request()
      expect(await outcomeTo(door, used)).toBe('200')
      await server.kill()
      for (const send of [used, request()]) {
        const answer = await send(door)
        expect(outcomeOf(answer)).toBe('503 replay_unavailable')
        expect(answer.headers['retry-after']).toMatch(/^\d+$/)
        expect(answer.headers['www-authenticate']).toBeUndefined()
      }
      expect(door.ran).toBe(1)
      await server.restart()
      const probe = newMemory({ url: server.url, now: clock.now })
      await begin(probe, clock)
      expect(await outcomeTo(door, used)).toBe('503 replay_unavailable')
      await expect.poll(() => outcomeTo(door, request()), POLL).toBe('200')
      expect(await outcome(probe, clock.use())).toBe(true)
    })

    test('[RFC9449-11.1-paused] while Redis is paused: 503 in time; what it was told meanwhile is used up', async () => {
      const server = await newServer()
      const door = await api(server.url, 30)
      const send = request()
      server.pause()
      expect(await outcomeTo(door, send)).toBe('503 replay_unavailable')
      server.resume()
      await expect.poll(() => outcomeTo(door, send), POLL).toBe('401 proof_replayed')
      expect(door.ran).toBe(0)
      await expect.poll(() => outcomeTo(door, request()), POLL).toBe('200')
    })
  })
})
