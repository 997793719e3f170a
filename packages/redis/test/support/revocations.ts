import { createHash, randomUUID } from 'node:crypto'
import type { RevocationEntry } from '@behalf/core'
import { type RedisRevocations, type RedisRevocationsOptions, redisRevocations } from '@behalf/redis'
import { expect, onTestFinished } from 'vitest'
import type { RedisServerUnderTest, startRedisServer } from '../../../../test/support/redis-server.js'
import { Clock, newServer, POLL } from './replays.js'

/** The hash of a set with the default prefix. */
export const ENTRIES = '{behalf}:revoked'

/** A set that ends with the test. Without settling, unless it is told so: that takes real time. */
export function newSet(options: RedisRevocationsOptions): RedisRevocations {
  const set = redisRevocations({ heartbeatMilliseconds: 5, settleSeconds: 0, ...options })
  onTestFinished(() => set.close())
  return set
}

/** An entry about something of its own, which is to be kept for an hour. */
export function entryAt(clock: Clock, milliseconds = 3_600_000): RevocationEntry {
  const key = createHash('sha256').update(randomUUID()).digest('base64url')
  return { key, issuedUntilSeconds: null, keepUntil: clock.time + milliseconds }
}

/** A server, and sets that share it and know everything. */
export async function serverAndSets(
  count: number,
  options: Partial<RedisRevocationsOptions> = {},
  serverOptions?: Parameters<typeof startRedisServer>[0],
): Promise<{ server: RedisServerUnderTest; sets: readonly RedisRevocations[]; clock: Clock }> {
  const server = await newServer(serverOptions)
  const clock = new Clock()
  const sets = Array.from({ length: count }, () => newSet({ url: server.url, now: clock.now, ...options }))
  await untilWhole(sets, clock)
  return { server, sets, clock }
}

/** Until all of them know whatever was acknowledged by now: the clock goes on for it. */
export async function untilWhole(sets: readonly RedisRevocations[], clock: Clock): Promise<void> {
  clock.pass(1)
  const { time } = clock
  for (const set of sets) await expect.poll(() => set.wholeAt(time), POLL).toBe(time)
}

/** What became of an entry: `added`, or why it was refused. */
export function outcome(set: RedisRevocations, entry: RevocationEntry): Promise<string> {
  return set.add(entry).then(
    () => 'added',
    (error) => {
      expect(error).toMatchObject({ name: 'RevocationError', code: expect.stringMatching(/^(full|unavailable)$/) })
      return error.reason
    },
  )
}

/** What the heartbeat under way finds: `ready`, or why nothing is certain. */
export function readiness(set: RedisRevocations): Promise<string> {
  return set.ready().then(
    () => 'ready',
    (error) => {
      expect(error).toMatchObject({ name: 'RevocationError', code: expect.stringMatching(/^(full|unavailable)$/) })
      return error.reason
    },
  )
}

/** Nothing is certain, for a reason that fits, and while several heartbeats fail it does not become so. */
export async function expectStandingStill(set: RedisRevocations, clock: Clock, reason: RegExp): Promise<void> {
  clock.pass(1)
  await expect.poll(() => readiness(set), POLL).toMatch(reason)
  for (let beat = 0; beat < 3; beat++) expect(await readiness(set)).not.toBe('ready')
  expect(set.wholeAt(clock.time)).toBeLessThan(clock.time)
}

/** What Redis keeps of an entry, as text; empty: nothing. */
export function keptOf(server: RedisServerUnderTest, { key }: RevocationEntry): Promise<string> {
  return server.cli('hget', ENTRIES, key)
}
