/** A Redis that has lost what it knew, and that nobody believes for a while. */
import type { RedisRevocations } from '@behalf/redis'
import { expect } from 'vitest'
import type { RedisServerUnderTest } from '../../../../test/support/redis-server.js'
import { type Clock, POLL } from './replays.js'
import { ENTRIES } from './revocations.js'
import { timesAsked } from './troubled-redis.js'

/** So long that it does not pass by itself within a test. */
export const SETTLING = { settleSeconds: 300 }

/** When settling began, in milliseconds since the epoch by the clock of Redis. */
export const begun = (server: RedisServerUnderTest) => server.cli('hget', ENTRIES, 'begun')

/** As if that time had passed since settling began. */
export async function settle(server: RedisServerUnderTest): Promise<void> {
  await expect.poll(() => begun(server), POLL).not.toBe('')
  await server.cli('hset', ENTRIES, 'begun', '1')
}

/** Heartbeats go on, and nobody counts as whole. */
export async function expectSettling(
  server: RedisServerUnderTest,
  sets: readonly RedisRevocations[],
  clock: Clock,
): Promise<void> {
  clock.pass(1)
  const before = await timesAsked(server, 'evalsha')
  await expect.poll(() => timesAsked(server, 'evalsha'), POLL).toBeGreaterThan(before + 10 * sets.length)
  for (const set of sets) expect(set.wholeAt(clock.time)).toBeLessThan(clock.time)
}

/** Lets time pass until all of them are sure of everything, again where settling begins anew. */
export async function settleUntilWhole(
  server: RedisServerUnderTest,
  sets: readonly RedisRevocations[],
  clock: Clock,
): Promise<void> {
  clock.pass(1)
  const { time } = clock
  const areWhole = async () => {
    await settle(server)
    return sets.every((set) => set.wholeAt(time) === time)
  }
  await expect.poll(areWhole, POLL).toBe(true)
}
