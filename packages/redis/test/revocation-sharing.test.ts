/** What replicas that share a Redis know of each other's revocations, and what is kept of them. */

import { inspect } from 'node:util'
import { type RedisRevocationsOptions, redisRevocations } from '@behalf/redis'
import { describe, expect, test } from 'vitest'
import { describeWith } from '../../../test/support/needs-program.js'
import { Clock, newServer, POLL } from './support/replays.js'
import { ENTRIES, entryAt, keptOf, newSet, outcome, readiness, serverAndSets, untilWhole } from './support/revocations.js'
import { timesAsked } from './support/troubled-redis.js'

const SECRET = 'canary-4c0d7be1'

describe('options', () => {
  const url = 'redis://127.0.0.1:6379'
  test.each<[string, unknown, RegExp]>([
    ['none', undefined, /must be an object/],
    ['no URL', {}, /url must be a non-empty string/],
    ['an unknown one', { url, password: SECRET }, /unknown member "password"/],
    ['no TLS over the network', { url: `redis://:${SECRET}@redis.example.test` }, /loopback/],
    ['a prefix with a brace', { url, keyPrefix: `{${SECRET}}` }, /keyPrefix must be/],
    ['no room', { url, maxEntries: 0 }, /maxEntries must be/],
    ['more room than there can be', { url, maxEntries: 2 ** 24 }, /maxEntries must be/],
    ['no pause', { url, heartbeatMilliseconds: 0 }, /heartbeatMilliseconds must be/],
    ['less than no time to settle', { url, settleSeconds: -1 }, /settleSeconds must be/],
    ['less than it takes to notice', { url, heartbeatMilliseconds: 2_501 }, /settleSeconds must be 0, or twice heartbeatMill/],
    ['a clock that is none', { url, now: 5 }, /now must be a function/],
  ])('%s: refused, and not quoted', (_name, options, message) => {
    const create = () => redisRevocations(options as RedisRevocationsOptions)
    expect(create).toThrow(message)
    expect(create).toThrow(expect.objectContaining({ name: 'ConfigError', message: expect.not.stringContaining(SECRET) }))
  })

  test('as long as two heartbeats are enough to settle', async () => {
    await expect(newSet({ url, heartbeatMilliseconds: 2_500, settleSeconds: 5 }).close()).resolves.toBeUndefined()
  })

  test.each([
    ['a key of another length', { key: 'x'.repeat(42), issuedUntilSeconds: null, keepUntil: 1 }],
    ['a key with a space', { key: `${'x'.repeat(42)} `, issuedUntilSeconds: null, keepUntil: 1 }],
    ['an end that is none', { key: 'x'.repeat(43), issuedUntilSeconds: null, keepUntil: Number.POSITIVE_INFINITY }],
    ['a time that is none', { key: 'x'.repeat(43), issuedUntilSeconds: Number.NaN, keepUntil: 1 }],
    ['a time before all', { key: 'x'.repeat(43), issuedUntilSeconds: -1, keepUntil: 1 }],
  ])('an entry with %s is sent to nobody: no replica could read it', async (_name, entry) => {
    await expect(newSet({ url }).add(entry)).rejects.toMatchObject({ name: 'ConfigError' })
  })
})

describeWith('redis-server', 'sets that share a Redis', () => {
  test('knows nothing before it has read, and says so', async () => {
    const server = await newServer()
    const set = newSet({ url: server.url })
    expect(set.wholeAt(Date.now())).toBe(Number.NEGATIVE_INFINITY)
    await set.ready()
    expect(set.wholeAt(Date.now())).toBeGreaterThan(0)
  })

  test('[Design-revocation-shared-everywhere] one that starts later reads everything, however much it is, and what is added meanwhile', async () => {
    const count = 2_500 // several steps of reading
    const { server, sets, clock } = await serverAndSets(1)
    const entries = Array.from({ length: count }, () => entryAt(clock))
    await Promise.all(entries.map((entry) => sets[0]?.add(entry)))
    const late = newSet({ url: server.url, now: clock.now })
    const meanwhile = Array.from({ length: 300 }, () => entryAt(clock))
    await Promise.all(meanwhile.map((entry) => sets[0]?.add(entry)))
    await untilWhole([late], clock)
    for (const entry of [...entries, ...meanwhile]) expect(late.find(entry.key)).toEqual(entry)
    expect(await server.cli('hlen', ENTRIES)).toBe(String(count + 300 + 3))
    expect(await server.cli('zcard', `${ENTRIES}:ends`)).toBe(String(count + 300))
  })

  test('hears of an entry by message, not only by reading', async () => {
    const { sets, clock } = await serverAndSets(2, { heartbeatMilliseconds: 60_000 })
    const entry = entryAt(clock)
    await sets[0]?.add(entry)
    await expect.poll(() => sets[1]?.find(entry.key), POLL).toEqual(entry)
    expect(sets[1]?.wholeAt(clock.time)).toBeLessThanOrEqual(clock.time)
  })

  test('an entry that is there already, for as long and for as many tokens, changes nothing', async () => {
    const { server, sets, clock } = await serverAndSets(2)
    const [one, other] = sets
    const entry = { ...entryAt(clock), issuedUntilSeconds: 5_000 }
    await one?.add(entry)
    await untilWhole(sets, clock)
    const [count, version] = [await server.cli('hget', ENTRIES, 'count'), one?.version]
    await other?.add({ ...entry, issuedUntilSeconds: 4_000 })
    await other?.add({ ...entry, keepUntil: entry.keepUntil - 1 })
    await untilWhole(sets, clock)
    expect(await server.cli('hget', ENTRIES, 'count')).toBe(count)
    expect(one?.version).toBe(version)
  })

  test('times keep their fractions', async () => {
    const { server, sets, clock } = await serverAndSets(2)
    const entry = { ...entryAt(clock), issuedUntilSeconds: 1_790_000_000.123456 }
    await sets[0]?.add({ ...entry, keepUntil: entry.keepUntil - 0.5 })
    await untilWhole(sets, clock)
    expect(sets[1]?.find(entry.key)).toEqual({ ...entry, keepUntil: Math.ceil(entry.keepUntil - 0.5) })
    expect(await keptOf(server, entry)).toBe(`${Math.ceil(entry.keepUntil - 0.5)} 1790000000.123456`)
  })

  test('what has ended by the clock of Redis, and a minute more, is removed without anybody asking', async () => {
    const { server, sets, clock } = await serverAndSets(1)
    const real = new Clock()
    const [ended, within, later] = [entryAt(real, -61_000), entryAt(real, -50_000), entryAt(real)]
    for (const entry of [ended, within, later]) await sets[0]?.add(entry)
    await expect.poll(() => keptOf(server, ended), POLL).toBe('')
    await expect.poll(() => server.cli('zscore', `${ENTRIES}:ends`, ended.key), POLL).toBe('')
    await untilWhole(sets, clock)
    for (const entry of [within, later]) expect(await keptOf(server, entry)).not.toBe('')
  })

  test('what is revoked where a clock is behind that of Redis is known to the others, though Redis removes it', async () => {
    const { sets, clock } = await serverAndSets(2)
    const entry = entryAt(new Clock(), -61_000)
    await sets[0]?.add(entry)
    await untilWhole(sets, clock)
    expect(sets[1]?.find(entry.key)).toEqual(entry)
  })

  test('where the clock is set back behind what a full copy has forgotten, nothing is certain', async () => {
    const { server, sets, clock } = await serverAndSets(1, { maxEntries: 1 })
    const [ended, later] = [entryAt(clock, 10_000), entryAt(clock)]
    await sets[0]?.add(ended)
    const { time } = clock
    clock.pass(11)
    await server.cli('zadd', `${ENTRIES}:ends`, 'XX', '0', ended.key) // by the clock of Redis, too
    await sets[0]?.add(later)
    await untilWhole(sets, clock)
    expect([sets[0]?.find(ended.key), sets[0]?.find(later.key)]).toEqual([undefined, later])
    expect(sets[0]?.wholeAt(clock.time)).toBe(clock.time)
    expect(sets[0]?.wholeAt(time)).toBe(Number.NEGATIVE_INFINITY)
  })

  test('sets with prefixes of their own, and in databases of their own, know nothing of each other', async () => {
    const { server, sets, clock } = await serverAndSets(1)
    const others = [
      newSet({ url: server.url, now: clock.now, keyPrefix: 'two' }),
      newSet({ url: `${server.url}/3`, now: clock.now }),
    ]
    await untilWhole(others, clock)
    const subscribed = () => server.cli('info', 'stats')
    const connections = async () => /total_connections_received:(\d+)/.exec(await subscribed())?.[1]
    const before = Number(await connections())
    for (const set of [...sets, ...others]) {
      const entry = entryAt(clock)
      await set.add(entry)
      await untilWhole([...sets, ...others], clock)
      expect([...sets, ...others].filter((each) => each.find(entry.key) !== undefined)).toEqual([set])
    }
    expect(Number(await connections())).toBeLessThanOrEqual(before + 6) // ours alone: none was connected anew
  })

  test('entries hold no identifier in clear; nor do errors and what is shown of a set hold a secret', async () => {
    const server = await newServer({ settings: { requirepass: SECRET }, cli: ['--no-auth-warning', '-a', SECRET] })
    const clock = new Clock()
    const set = newSet({ url: `redis://:${SECRET}@127.0.0.1:${server.port}`, now: clock.now })
    await set.ready()
    const entry = entryAt(clock)
    await set.add(entry)
    expect(await server.cli('hkeys', ENTRIES)).toBe(['epoch', 'begun', 'count', entry.key].join('\n'))
    const wrong = newSet({ url: `redis://:${SECRET}x@127.0.0.1:${server.port}` })
    const failures = [wrong.ready(), wrong.add(entry)].map((failing) => failing.catch((error: unknown) => error))
    for (const shown of [set, wrong, ...(await Promise.all(failures))]) {
      const stack = shown instanceof Error ? shown.stack : ''
      expect(`${stack} ${JSON.stringify(shown)} ${inspect(shown, { depth: 10, showHidden: true })}`).not.toContain(SECRET)
    }
    expect(await readiness(wrong)).toBe('unauthorized')
  })

  test('a user with the privileges that the README names, and no others', async () => {
    const server = await newServer()
    const commands = ['info', 'time', 'eval', 'evalsha', 'subscribe', 'publish', 'ping', 'hget', 'hmget', 'hset']
    const more = ['hincrby', 'hlen', 'hdel', 'hscan', 'zadd', 'zrangebyscore', 'zrem', 'select']
    const allowed = [...commands, ...more].map((name) => `+${name}`)
    await server.cli('acl', 'setuser', 'api', 'on', '>pw', '~{behalf}*', 'resetchannels', '&{behalf}*', ...allowed)
    const clock = new Clock()
    const set = newSet({ url: `redis://api:pw@127.0.0.1:${server.port}/3`, now: clock.now })
    await untilWhole([set], clock)
    const entries = [entryAt(clock), entryAt(new Clock(), -61_000)]
    for (const entry of entries) expect(await outcome(set, entry)).toBe('added')
    await server.cli('-n', '3', 'del', ENTRIES)
    await untilWhole([set], clock)
    expect(await server.cli('acl', 'log')).toBe('')
    await server.cli('acl', 'setuser', 'api', '-publish')
    expect(await outcome(set, entryAt(clock))).toBe('unauthorized')
  })

  test('an idle set asks as often as it was told to', async () => {
    const { server, sets, clock } = await serverAndSets(1, { heartbeatMilliseconds: 60_000 })
    await sets[0]?.add(entryAt(clock))
    const before = await timesAsked(server, 'evalsha')
    for (let turn = 0; turn < 20; turn++) await server.cli('ping')
    expect(await timesAsked(server, 'evalsha')).toBe(before)
  })
})
