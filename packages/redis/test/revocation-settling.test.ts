/** Nobody is sure of a Redis that has lost something while a replica is still giving back what it knows. */
import type { RevocationEntry } from '@behalf/core'
import { expect, onTestFinished, test, vi } from 'vitest'
import { describeWith } from '../../../test/support/needs-program.js'
import type { RedisServerUnderTest } from '../../../test/support/redis-server.js'
import { type Connection, openConnection } from '../src/connection.js'
import { connectionSettings } from '../src/connection-options.js'
import { addEntry, giveBack, look, revocationKeys } from '../src/revocation-script.js'
import { type Gate, type RedisProxy, redisProxy } from './support/redis-proxy.js'
import { Clock, newServer, POLL } from './support/replays.js'
import { ENTRIES, entryAt, expectStandingStill, keptOf, newSet, outcome, readiness, untilWhole } from './support/revocations.js'
import { begun, expectSettling, SETTLING, settle, settleUntilWhole } from './support/settling.js'
import { NOBODY, NOWHERE } from './support/troubled-redis.js'

/** Holds each step in which something is added, or given back. */
function holdSteps(proxy: RedisProxy): Gate {
  return proxy.hold(([name = '', ...words]) => /^eval/i.test(name) && words.includes(`${ENTRIES}:0`))
}

/** Replicas that know a number of entries, with gates on their way to Redis, which then loses everything. */
async function lostToAll(count: number, knowing: number) {
  const server = await newServer()
  const clock = new Clock()
  const options = { now: clock.now, answerTimeoutMilliseconds: 600_000, ...SETTLING }
  const proxies = await Promise.all(Array.from({ length: knowing }, () => redisProxy(server.port)))
  const sets = proxies.map(({ url }) => newSet({ url, ...options }))
  const entries = Array.from({ length: count }, () => entryAt(clock))
  const [first = newSet({ url: '' })] = sets
  await settle(server)
  await untilWhole(sets, clock)
  await Promise.all(entries.map((entry) => first.add(entry)))
  await untilWhole(sets, clock)
  const gates = proxies.map(holdSteps)
  await server.cli('flushall')
  for (const gate of gates) await expect.poll(() => gate.held(), POLL).toBe(1)
  const newcomer = newSet({ url: server.url, ...options })
  await expectSettling(server, [...sets, newcomer], clock)
  return { server, clock, sets, gates, entries, newcomer }
}

describeWith('redis-server', 'a Redis that has lost what it knew', () => {
  test('[Design-revocation-shared-settle] nobody is sure before every replica has given back the last of what it knows', async () => {
    const { server, clock, sets, gates, entries, newcomer } = await lostToAll(250, 2)
    const [one, other] = gates
    const revoked = entryAt(clock)
    expect(await outcome(newcomer, revoked)).toBe('added')
    for (const gate of [one, other]) {
      for (let step = 1; step <= 3; step++) {
        await settle(server)
        gate?.pass() // those of the other one find everything there
        await expect.poll(() => begun(server), POLL).not.toBe('1')
        await expectSettling(server, [...sets, newcomer], clock)
        if (step < 3) await expect.poll(() => gate?.held(), POLL).toBe(step + 1)
      }
    }
    await settleUntilWhole(server, [...sets, newcomer], clock)
    for (const entry of [...entries, revoked]) {
      for (const set of [...sets, newcomer]) expect(set.find(entry.key)).toEqual(entry)
    }
  })

  test('one that ends while it gives back keeps nobody waiting', async () => {
    const { server, clock, sets, gates, newcomer } = await lostToAll(250, 1)
    await settle(server)
    gates[0]?.pass()
    await expect.poll(() => begun(server), POLL).not.toBe('1')
    await sets[0]?.close()
    gates[0]?.open()
    await settleUntilWhole(server, [newcomer], clock)
    expect(Number(await server.cli('hlen', ENTRIES))).toBeGreaterThanOrEqual(100 + 3)
  })

  test('what was taken once is given back though the set is full by then, and nobody is sure who has no room for it', async () => {
    const server = await newServer()
    const clock = new Clock()
    const proxy = await redisProxy(server.port)
    const options = { now: clock.now, maxEntries: 3, ...SETTLING }
    const knowing = newSet({ url: proxy.url, ...options })
    await settle(server)
    await untilWhole([knowing], clock)
    const [known, fresh] = [1, 2].map(() => Array.from({ length: 3 }, () => entryAt(clock))) as [
      RevocationEntry[],
      RevocationEntry[],
    ]
    for (const entry of known) await knowing.add(entry)
    proxy.move(NOBODY)
    await server.cli('flushall')
    const newcomer = newSet({ url: server.url, ...options })
    for (const entry of fresh) expect(await outcome(newcomer, entry)).toBe('added')
    proxy.move(server.port)
    for (const entry of known) await expect.poll(() => keptOf(server, entry), POLL).not.toBe('')
    for (const set of [knowing, newcomer]) await expectStandingStill(set, clock, /^copy_full$/)
    expect(await outcome(newcomer, entryAt(clock))).toBe('max_entries')
    const larger = newSet({ url: server.url, ...options, maxEntries: 6 })
    await settleUntilWhole(server, [larger], clock)
    for (const entry of [...known, ...fresh]) expect(larger.find(entry.key)).toEqual(entry)
  })

  test('a replica that has no room for what there is keeps the others waiting once, and not again and again', async () => {
    const server = await newServer()
    const clock = new Clock()
    const options = { url: server.url, now: clock.now, ...SETTLING }
    const [set, small] = [newSet({ ...options, maxEntries: 5 }), newSet({ ...options, maxEntries: 3 })]
    await settle(server)
    await untilWhole([set, small], clock)
    const entries = Array.from({ length: 5 }, () => entryAt(clock))
    for (const entry of entries) await set.add(entry)
    await expectStandingStill(small, clock, /^copy_full$/)
    await server.cli('flushall')
    for (const entry of entries) await expect.poll(() => keptOf(server, entry), POLL).not.toBe('')
    await set.close()
    for (let beat = 0; beat < 3; beat++) expect(await readiness(small)).toBe('copy_full')
    await settle(server)
    for (let beat = 0; beat < 3; beat++) expect(await readiness(small)).toBe('copy_full')
    expect(await begun(server)).toBe('1')
    const another = newSet({ ...options, maxEntries: 5 })
    await untilWhole([another], clock)
    for (const entry of entries) expect(another.find(entry.key)).toEqual(entry)
  })
})

describeWith('redis-server', 'settling begins anew', () => {
  const keys = revocationKeys('behalf', 0)
  const clock = new Clock()
  const there = entryAt(clock)
  const fresh = entryAt(clock)
  const removed = entryAt(clock, -61_000)

  test.each<[string, boolean, (connection: Connection, epoch: string) => Promise<unknown>]>([
    ['who knows nothing asks', false, (to) => look(to, keys, '')],
    ['who knows what was there in this epoch asks', false, (to, epoch) => look(to, keys, epoch)],
    ['who knows of another epoch asks', true, (to, epoch) => look(to, keys, `${epoch}0`)],
    ['something is revoked', false, (to) => addEntry(to, keys, fresh, 10)],
    ['nothing is given back in this epoch', false, (to, epoch) => giveBack(to, keys, [there], epoch)],
    ['something is given back in this epoch', true, (to, epoch) => giveBack(to, keys, [there, fresh], epoch)],
    ['more of an entry is given back', true, (to, epoch) => giveBack(to, keys, [{ ...there, keepUntil: 9e15 }], epoch)],
    ['what Redis has removed by its clock is given back', false, (to, epoch) => giveBack(to, keys, [removed], epoch)],
    ['nothing is given back by who knows of another epoch', true, (to, epoch) => giveBack(to, keys, [], `${epoch}0`)],
  ])('where %s: %s', async (_name, does, ask) => {
    const { server, connection } = await connected()
    await addEntry(connection, keys, there, 10)
    const { epoch } = await look(connection, keys, '')
    await settle(server)
    const before = await server.cli('time')
    await ask(connection, epoch)
    const after = await look(connection, keys, '')
    expect(after.epoch).toBe(epoch)
    if (does) expect(Number(await begun(server))).toBeGreaterThanOrEqual(Number(before.split('\n')[0]) * 1000)
    else expect(await begun(server)).toBe('1')
    expect(await keptOf(server, removed)).toBe('')
    expect(await server.cli('zscore', `${ENTRIES}:ends`, removed.key)).toBe('')
  })

  test('and whoever says so is told', async () => {
    const { server, connection } = await connected()
    const { epoch } = await look(connection, keys, '')
    await settle(server)
    expect((await look(connection, keys, epoch)).ageMilliseconds).toBeGreaterThan(1e12)
    expect((await look(connection, keys, 'another')).ageMilliseconds).toBe(0)
  })

  test('what was taken once needs no room; what is new does', async () => {
    const { server, connection } = await connected()
    await addEntry(connection, keys, there, 1)
    await expect(addEntry(connection, keys, fresh, 1)).rejects.toMatchObject({ reason: 'max_entries' })
    await giveBack(connection, keys, [fresh], 'another')
    expect(await keptOf(server, fresh)).not.toBe('')
  })

  async function connected(): Promise<{ server: RedisServerUnderTest; connection: Connection }> {
    const server = await newServer()
    const connection = await openConnection(
      connectionSettings({ url: server.url }, 'here'),
      new AbortController().signal,
      () => {},
    )
    onTestFinished(() => connection.close())
    return { server, connection }
  }
})

describeWith('redis-server', 'the clock of the machine', () => {
  test('[Design-revocation-shared-stale] set back, it makes nothing younger, though nobody has looked in between', async () => {
    let [wall, steady] = [Date.now(), performance.now()]
    const spies = [
      vi.spyOn(Date, 'now').mockImplementation(() => wall),
      vi.spyOn(performance, 'now').mockImplementation(() => steady),
    ]
    onTestFinished(() => {
      for (const spy of spies) spy.mockRestore()
    })
    const server = await newServer()
    const proxy = await redisProxy(server.port)
    const set = newSet({ url: proxy.url })
    await set.ready()
    proxy.move(NOBODY)
    await expect.poll(() => readiness(set), POLL).toMatch(NOWHERE)
    expect(set.wholeAt(wall)).toBe(wall)
    steady += 4_000
    wall += 4_000 - 3_800
    expect(set.wholeAt(wall)).toBe(wall - 4_000)
    wall += 5_000 // set forward: what is known may be older than it is
    expect(set.wholeAt(wall)).toBe(wall - 9_000)
  })
})
