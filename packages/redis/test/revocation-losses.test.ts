/** Whatever Redis has lost, or a replica has missed: nobody says that it knows everything before it does, and nothing that anybody knows is forgotten. */
import type { RevocationEntry } from '@behalf/core'
import { expect, test } from 'vitest'
import { describeWith } from '../../../test/support/needs-program.js'
import type { RedisServerUnderTest } from '../../../test/support/redis-server.js'
import { redisProxy } from './support/redis-proxy.js'
import { Clock, newServer, POLL } from './support/replays.js'
import {
  ENTRIES,
  entryAt,
  expectStandingStill,
  keptOf,
  newSet,
  outcome,
  serverAndSets,
  untilWhole,
} from './support/revocations.js'
import { expectSettling, SETTLING, settle, settleUntilWhole } from './support/settling.js'
import { NOBODY, NOWHERE, pair } from './support/troubled-redis.js'

describeWith('redis-server', 'a Redis that loses what it was told', () => {
  test('[Design-revocation-shared-settle] one that is used for the first time is believed after a while: it may have lost something', async () => {
    const server = await newServer()
    const clock = new Clock()
    const sets = [1, 2].map(() => newSet({ url: server.url, now: clock.now, ...SETTLING }))
    await expectSettling(server, sets, clock)
    const entry = entryAt(clock)
    expect(await outcome(sets[0] ?? newSet({ url: '' }), entry)).toBe('added')
    await settle(server)
    await untilWhole(sets, clock)
    const late = newSet({ url: server.url, now: clock.now, ...SETTLING })
    await untilWhole([late], clock) // no reason to wait
    expect(late.find(entry.key)).toEqual(entry)
  })

  test.each<
    [
      string,
      Readonly<Record<string, string>>,
      (server: RedisServerUnderTest) => Promise<unknown>,
      (server: RedisServerUnderTest) => Promise<unknown>,
    ]
  >([
    ['flushed', {}, async () => {}, (server) => server.cli('flushall')],
    ['without its hash', {}, async () => {}, (server) => server.cli('del', ENTRIES)],
    ['killed and started again, without files', {}, async () => {}, (server) => server.restart()],
    ['killed and started again from an older snapshot', {}, (server) => server.cli('save'), (server) => server.restart()],
    [
      'killed and started again from its log',
      { appendonly: 'yes', appendfsync: 'always' },
      async () => {},
      (server) => server.restart(),
    ],
  ])(
    '[Design-revocation-shared-lost] %s: nobody is whole until it has settled, and what is known is written back',
    async (_name, settings, before, lose) => {
      const server = await newServer({ settings })
      const clock = new Clock()
      const options = { url: server.url, now: clock.now, ...SETTLING }
      const sets = [newSet(options), newSet(options)]
      await settle(server)
      await untilWhole(sets, clock)
      const [early, late] = [entryAt(clock), { ...entryAt(clock), issuedUntilSeconds: 1_790_000_000.25 }]
      await sets[0]?.add(early)
      await before(server)
      await sets[1]?.add(late)
      await untilWhole(sets, clock)
      await lose(server)
      const newcomer = newSet(options)
      await expectSettling(server, [...sets, newcomer], clock)
      for (const set of sets) for (const entry of [early, late]) expect(set.find(entry.key)).toEqual(entry)
      for (const entry of [early, late]) await expect.poll(() => keptOf(server, entry), POLL).not.toBe('')
      await settleUntilWhole(server, [...sets, newcomer], clock)
      for (const entry of [early, late]) expect(newcomer.find(entry.key)).toEqual(entry)
    },
  )

  test('[Design-revocation-shared-lost] a replica that becomes the primary, without what it did not get', async () => {
    const { primary, replica } = await pair()
    const clock = new Clock()
    const proxy = await redisProxy(primary.port)
    const sets = [1, 2].map(() => newSet({ url: proxy.url, now: clock.now }))
    await untilWhole(sets, clock)
    const [known, missed] = [entryAt(clock), entryAt(clock)]
    await sets[0]?.add(known)
    await expect.poll(() => keptOf(replica, known), POLL).not.toBe('')
    replica.pause() // what it did not get
    await sets[0]?.add(missed)
    await untilWhole(sets, clock)
    await primary.kill()
    replica.resume()
    proxy.move(replica.port)
    for (const set of sets) await expectStandingStill(set, clock, /^replica$/)
    await replica.cli('replicaof', 'no', 'one')
    await untilWhole(sets, clock)
    await expect.poll(() => keptOf(replica, missed), POLL).not.toBe('')
    const newcomer = newSet({ url: replica.url, now: clock.now })
    await untilWhole([newcomer], clock)
    for (const entry of [known, missed]) expect(newcomer.find(entry.key)).toEqual(entry)
  })

  test('a primary that becomes a replica is left at once, by both connections', async () => {
    const { server, sets, clock } = await serverAndSets(1, {}, { settings: { 'replica-read-only': 'no' } })
    const [set = newSet({ url: '' })] = sets
    const ids = async () => (await server.cli('client', 'list')).split('\n').map((line) => / ?id=\d+ /.exec(line)?.[0])
    const before = (await ids()).slice(0, 2)
    const other = await newServer()
    await server.cli('replicaof', '127.0.0.1', String(other.port))
    await expectStandingStill(set, clock, /^replica$/)
    expect(await ids()).not.toEqual(expect.arrayContaining([before[0]]))
    expect(await ids()).not.toEqual(expect.arrayContaining([before[1]]))
    await server.cli('replicaof', 'no', 'one')
    await untilWhole(sets, clock)
  })

  test('[Design-revocation-shared-stale] a clock of the replica that was set back makes nothing younger', async () => {
    const server = await newServer()
    const clock = new Clock()
    const proxy = await redisProxy(server.port)
    const set = newSet({ url: proxy.url, now: clock.now })
    await untilWhole([set], clock)
    proxy.move(NOBODY)
    await expectStandingStill(set, clock, NOWHERE)
    const { time } = clock
    const age = time - set.wholeAt(time)
    clock.pass(4)
    expect(clock.time - set.wholeAt(clock.time)).toBe(age + 4_000)
    clock.pass(-3)
    expect(clock.time - set.wholeAt(clock.time)).toBe(age + 4_000)
    clock.pass(1)
    expect(clock.time - set.wholeAt(clock.time)).toBe(age + 5_000)
  })

  test('a clock of Redis that was set back is no reason to wait until it is there again', async () => {
    const { server, sets, clock } = await serverAndSets(1)
    await server.cli('hset', ENTRIES, 'begun', String(clock.time + 3_600_000))
    await untilWhole(sets, clock)
    expect(Number(await server.cli('hget', ENTRIES, 'begun'))).toBeLessThan(clock.time + 3_000_000)
  })

  test('many entries that are lost are written back, by whichever replica', async () => {
    const { server, sets, clock } = await serverAndSets(3)
    const entries = Array.from({ length: 450 }, () => entryAt(clock))
    await Promise.all(entries.map((entry) => sets[0]?.add(entry)))
    await untilWhole(sets, clock)
    await server.cli('flushall')
    await untilWhole(sets, clock)
    expect(await server.cli('hlen', ENTRIES)).toBe(String(450 + 3))
    expect(await server.cli('hget', ENTRIES, 'count')).toBe('450') // what is there is not published again
  })

  test('what has ended is not written back', async () => {
    const { server, sets, clock } = await serverAndSets(1)
    const [ending, staying] = [entryAt(clock, 1_000), entryAt(clock)]
    for (const entry of [ending, staying]) await sets[0]?.add(entry)
    clock.pass(2)
    await server.cli('flushall')
    await untilWhole(sets, clock)
    expect([await keptOf(server, ending), await keptOf(server, staying)]).toEqual(['', expect.stringContaining(' -')])
  })
})

describeWith('redis-server', 'a replica that misses something', () => {
  /** Adds as the script does, in one step, but without its message. */
  async function addUnsaid(server: RedisServerUnderTest, { key, keepUntil }: RevocationEntry): Promise<void> {
    const text = `redis.call('HSET', KEYS[1], ARGV[1], ARGV[2]) redis.call('HINCRBY', KEYS[1], 'count', 1)`
    await server.cli('eval', text, '1', ENTRIES, key, `${keepUntil} -`)
  }

  test('[Design-revocation-shared-missed] an entry that was never published: whole again only with it', async () => {
    const { server, sets, clock } = await serverAndSets(2)
    const entry = entryAt(clock)
    await addUnsaid(server, entry)
    clock.pass(1)
    const { time } = clock
    for (const set of sets) {
      await expect.poll(() => set.wholeAt(time), POLL).toBe(time)
      expect(set.find(entry.key)).toEqual(entry)
    }
  })

  test('[Design-revocation-shared-missed] a gap between messages: everything is read anew', async () => {
    const { server, sets, clock } = await serverAndSets(1, { heartbeatMilliseconds: 60_000 })
    const [set = newSet({ url: '' })] = sets
    const [missed, told] = [entryAt(clock), entryAt(clock)]
    await addUnsaid(server, missed)
    await set.add(told)
    expect([set.find(missed.key), set.find(told.key)]).toEqual([undefined, told])
    const fast = newSet({ url: server.url, now: clock.now })
    await untilWhole([fast], clock)
    expect(fast.find(missed.key)).toEqual(missed)
  })

  test('a count that has gone back: something was restored by hand, and what is known is put back', async () => {
    const { server, sets, clock } = await serverAndSets(1)
    const [one, other] = [entryAt(clock), entryAt(clock)]
    for (const entry of [one, other]) await sets[0]?.add(entry)
    await untilWhole(sets, clock)
    const text = `redis.call('HDEL', KEYS[1], ARGV[1]) redis.call('HINCRBY', KEYS[1], 'count', -1)`
    await server.cli('eval', text, '1', ENTRIES, other.key)
    await expect.poll(() => keptOf(server, other), POLL).not.toBe('')
    await untilWhole(sets, clock)
  })

  test('[Design-revocation-shared-hanging] a subscription that hangs: stands still, though everything else is answered', async () => {
    const server = await newServer()
    const proxy = await redisProxy(server.port)
    const clock = new Clock()
    const set = newSet({ url: proxy.url, now: clock.now, answerTimeoutMilliseconds: 500 })
    await untilWhole([set], clock)
    proxy.stop()
    await expectStandingStill(set, clock, /^(unanswered|unreachable)$/)
    const entry = entryAt(clock)
    expect(await outcome(newSet({ url: server.url }), entry)).toBe('added')
    expect(set.find(entry.key)).toBeUndefined()
    proxy.go()
    await untilWhole([set], clock)
    expect(set.find(entry.key)).toEqual(entry)
  })

  test('[Design-revocation-shared-slow] one that hears nothing while much is said is cut off by Redis, and then reads', async () => {
    const server = await newServer({ settings: { 'client-output-buffer-limit': 'pubsub 4mb 1mb 1' } })
    const proxy = await redisProxy(server.port)
    const clock = new Clock()
    const set = newSet({ url: proxy.url, now: clock.now, answerTimeoutMilliseconds: 600_000 })
    const other = newSet({ url: server.url, now: clock.now })
    await untilWhole([set, other], clock)
    proxy.stop()
    const entry = entryAt(clock)
    await other.add(entry)
    const subscribers = async () => Number((await server.cli('pubsub', 'numsub', `${ENTRIES}:0`)).split('\n')[1])
    expect(await subscribers()).toBe(2)
    const text = `for _ = 1, 100 do redis.call('PUBLISH', KEYS[1], string.rep('x', 100000)) end`
    await expect
      .poll(async () => {
        await server.cli('eval', text, '1', `${ENTRIES}:0`)
        return subscribers()
      }, POLL)
      .toBeLessThan(2)
    proxy.go()
    await untilWhole([set, other], clock)
    expect(set.find(entry.key)).toEqual(entry)
  })
})
