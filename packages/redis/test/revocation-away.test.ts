/** A Redis that is not there, or that cannot be relied upon: no replica says that it knows everything, until it does again. */
import { setImmediate as turn } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { describeWith } from '../../../test/support/needs-program.js'
import { freePort } from '../../../test/support/server-process.js'
import { Clock, newServer, POLL } from './support/replays.js'
import {
  ENTRIES,
  entryAt,
  expectStandingStill,
  keptOf,
  newSet,
  outcome,
  readiness,
  serverAndSets,
  untilWhole,
} from './support/revocations.js'
import { runProgram } from './support/run-program.js'
import { heardWarnings, NOWHERE, newReplica, timesAsked } from './support/troubled-redis.js'

describeWith('redis-server', 'a Redis that goes away', () => {
  test('[Design-revocation-shared-away] killed: stands still, takes nothing, forgets nothing, and is found again', async () => {
    const { server, sets, clock } = await serverAndSets(1)
    const [set = newSet({ url: server.url })] = sets
    const entry = entryAt(clock)
    await set.add(entry)
    await server.kill()
    await expectStandingStill(set, clock, NOWHERE)
    const refused = entryAt(clock)
    expect(await outcome(set, refused)).toMatch(NOWHERE)
    expect(set.find(refused.key)).toBeUndefined()
    expect(set.find(entry.key)).toEqual(entry)
    await server.restart()
    await untilWhole([set], clock)
    expect(await keptOf(server, refused)).toBe('') // not kept for later
  })

  test('[Design-revocation-shared-away] hanging: stands still from the question on that is not answered', async () => {
    const { server, sets, clock } = await serverAndSets(1, { answerTimeoutMilliseconds: 500, connectTimeoutMilliseconds: 500 })
    const [set = newSet({ url: server.url })] = sets
    server.pause()
    await expectStandingStill(set, clock, NOWHERE)
    const entry = entryAt(clock)
    expect(await outcome(set, entry)).toMatch(NOWHERE)
    server.resume()
    await untilWhole([set], clock)
  })

  test('hanging for a moment: what was under way is answered', async () => {
    const { server, sets, clock } = await serverAndSets(2)
    server.pause()
    clock.pass(1)
    const entry = entryAt(clock)
    const added = sets.map((set) => outcome(set, entry))
    const { time } = clock
    expect(sets.every((set) => set.wholeAt(time) < time)).toBe(true)
    server.resume()
    expect(await Promise.all(added)).toEqual(['added', 'added'])
    await untilWhole(sets, clock)
  })

  test.each([['pubsub'], ['normal']])(
    '[Design-revocation-shared-reread] connections of the kind %s are ended: everything is read anew',
    async (kind) => {
      const { server, sets, clock } = await serverAndSets(2)
      const entries = Array.from({ length: 20 }, () => entryAt(clock))
      for (const [index, entry] of entries.entries()) {
        if (index % 5 === 0) await server.cli('client', 'kill', 'type', kind, 'skipme', 'yes')
        await expect.poll(() => outcome(sets[index % 2] ?? newSet({ url: '' }), entry), POLL).toBe('added')
      }
      await untilWhole(sets, clock)
      for (const set of sets) for (const entry of entries) expect(set.find(entry.key)).toEqual(entry)
    },
  )

  test('[Design-revocation-shared-reread] without its subscription it is not whole, and afterwards not before it has read', async () => {
    const { server, sets, clock } = await serverAndSets(2)
    const [set = newSet({ url: '' }), other = set] = sets
    const scans = () => timesAsked(server, 'hscan')
    const before = await scans()
    // Whoever may not subscribe hears nothing; whatever else it asks is answered.
    await server.cli('acl', 'setuser', 'default', '-subscribe')
    await server.cli('client', 'kill', 'type', 'pubsub')
    await expectStandingStill(set, clock, /^unauthorized$/)
    const entry = entryAt(clock)
    expect(await outcome(other, entry)).toBe('added')
    expect(set.find(entry.key)).toBeUndefined()
    expect(await scans()).toBe(before)
    await server.cli('acl', 'setuser', 'default', '+subscribe')
    await untilWhole(sets, clock)
    expect(set.find(entry.key)).toEqual(entry)
    expect(await scans()).toBe(before + 2)
  })

  test('closed: nothing waits, nothing is added, what is known is found, and the server has no connections of it', async () => {
    const { server, sets, clock } = await serverAndSets(1, { answerTimeoutMilliseconds: 600_000 })
    const [set = newSet({ url: '' })] = sets
    const entry = entryAt(clock)
    await set.add(entry)
    server.pause()
    const waiting = [outcome(set, entryAt(clock)), readiness(set)]
    await set.close()
    expect(await Promise.race([readiness(set), turn('late')])).toBe('closed')
    expect(await Promise.all(waiting)).toEqual(['closed', 'closed'])
    await set.close()
    clock.pass(1)
    expect([await outcome(set, entryAt(clock)), await readiness(set)]).toEqual(['closed', 'closed'])
    expect(set.find(entry.key)).toEqual(entry)
    expect(set.wholeAt(clock.time)).toBeLessThan(clock.time)
    server.resume()
    await expect.poll(() => server.cli('client', 'list'), POLL).toMatch(/^[^\n]*$/) // ours alone
  })

  test('nobody listens: ready() rejects at once, and so does add()', async () => {
    const clock = new Clock()
    const set = newSet({ url: `redis://127.0.0.1:${await freePort()}`, now: clock.now })
    expect([await outcome(set, entryAt(clock)), await readiness(set)]).toEqual(['unreachable', 'unreachable'])
    expect(set.wholeAt(clock.time)).toBe(Number.NEGATIVE_INFINITY)
  })

  test('no more entries wait for answers than are allowed', async () => {
    const { server, sets, clock } = await serverAndSets(1, { answerTimeoutMilliseconds: 600_000 })
    const [set = newSet({ url: '' })] = sets
    server.pause()
    const entry = entryAt(clock)
    const waiting = Array.from({ length: 10_000 }, () => outcome(set, entry))
    expect(await outcome(set, entry)).toBe('busy')
    await server.kill()
    expect(new Set(await Promise.all(waiting))).toEqual(new Set(['unanswered']))
    await server.restart()
    await expect.poll(() => outcome(set, entry), POLL).toBe('added')
  })
})

describeWith('redis-server', 'a Redis that cannot be relied upon', () => {
  test('[Design-revocation-shared-noeviction] that may evict keys: refused at the start, said once, and found again when it is mended', async () => {
    const warnings = heardWarnings()
    const server = await newServer({ settings: { 'maxmemory-policy': 'allkeys-lru' } })
    const clock = new Clock()
    const set = newSet({ url: server.url, now: clock.now })
    await expectStandingStill(set, clock, /^eviction$/)
    expect(await outcome(set, entryAt(clock))).toBe('eviction')
    expect(warnings.map(({ code }) => code)).toEqual(['BEHALF_REVOCATION_EVICTION'])
    await server.cli('config', 'set', 'maxmemory-policy', 'noeviction')
    await untilWhole([set], clock)
  })

  test('[Design-revocation-shared-noeviction] that may evict keys all of a sudden: stands still, takes nothing, and puts back what is gone', async () => {
    const { server, sets, clock } = await serverAndSets(2)
    const [set = newSet({ url: '' })] = sets
    const entry = entryAt(clock)
    await set.add(entry)
    await server.cli('config', 'set', 'maxmemory-policy', 'allkeys-random')
    expect(await outcome(set, entryAt(clock))).toBe('eviction')
    for (const each of sets) await expectStandingStill(each, clock, /^eviction$/)
    await server.cli('hdel', ENTRIES, entry.key)
    await server.cli('config', 'set', 'maxmemory-policy', 'noeviction')
    await untilWhole(sets, clock)
    expect(await keptOf(server, entry)).not.toBe('')
  })

  test('that has no memory left: nothing is revoked, and that is said', async () => {
    const { server, sets, clock } = await serverAndSets(1)
    const [set = newSet({ url: '' })] = sets
    await server.cli('config', 'set', 'maxmemory', '1')
    const entry = entryAt(clock)
    await expect(set.add(entry)).rejects.toMatchObject({ code: 'full', reason: 'no_memory' })
    expect([set.find(entry.key), await keptOf(server, entry)]).toEqual([undefined, ''])
    await untilWhole([set], clock) // it is known to everybody that nothing was
    await server.cli('config', 'set', 'maxmemory', '0')
    expect(await outcome(set, entry)).toBe('added')
  })

  test.each(['yes', 'no'])('that is a replica (read only: %s)', async (readOnly) => {
    const server = await newReplica(readOnly)
    const clock = new Clock()
    const set = newSet({ url: server.url, now: clock.now })
    await expectStandingStill(set, clock, /^replica$/)
    expect(await outcome(set, entryAt(clock))).toBe('replica')
  })

  test('that holds something which is no entry: what it revokes is not known, until it is gone', async () => {
    const { server, sets, clock } = await serverAndSets(1)
    await server.cli('hset', ENTRIES, 'x'.repeat(43), 'soon enough', 'a-later-version', 'may say more')
    await server.cli('publish', `${ENTRIES}:0`, 'nonsense')
    await server.cli('publish', `${ENTRIES}:0`, `e 7 ${'x'.repeat(43)} soon enough`)
    await untilWhole(sets, clock) // nobody has added it
    const other = newSet({ url: server.url, now: clock.now })
    await expectStandingStill(other, clock, /^refused$/)
    await server.cli('hdel', ENTRIES, 'x'.repeat(43))
    await untilWhole([other], clock)
  })

  test('[Design-revocation-shared-full] whose set is full: refused, and whoever can hold less is not whole', async () => {
    const { server, sets, clock } = await serverAndSets(1, { maxEntries: 5 })
    const [set = newSet({ url: '' })] = sets
    const small = newSet({ url: server.url, now: clock.now, maxEntries: 3 })
    const entries = Array.from({ length: 6 }, () => entryAt(clock))
    const [one = entryAt(clock), two = one, three = one, four = one, five = one, six = one] = entries
    for (const entry of [one, two, three]) expect(await outcome(set, entry)).toBe('added')
    await untilWhole([set, small], clock)
    for (const entry of [four, five]) expect(await outcome(set, entry)).toBe('added')
    await expect(set.add(six)).rejects.toMatchObject({ code: 'full', reason: 'max_entries' })
    await expectStandingStill(small, clock, /^copy_full$/)
    for (const entry of [one, two, three]) expect(small.find(entry.key)).toEqual(entry)
    expect(await outcome(small, four)).toBe('copy_full') // it is there, but not here
    await untilWhole([set], clock)
    await server.cli('del', ENTRIES)
    await untilWhole([set], clock)
    for (const entry of [one, two, three, four, five]) expect(await keptOf(server, entry)).not.toBe('')
  })
})

describeWith('redis-server', 'a process', () => {
  test('does not live for a set that nobody has closed, but for an answer that somebody waits for', async () => {
    const server = await newServer()
    const program = (url: string) => `
      import { redisRevocations } from '@behalf/redis'
      const set = redisRevocations({ url: '${url}', settleSeconds: 0 })
      await set.add({ key: 'x'.repeat(43), issuedUntilSeconds: null, keepUntil: Date.now() + 60_000 }).catch(({ reason }) => process.stdout.write(reason))
      await set.ready().catch(({ reason }) => process.stdout.write(reason))
      process.stdout.write('over')
    `
    expect(await runProgram(program(server.url))).toBe('over')
    expect(await keptOf(server, { key: 'x'.repeat(43), issuedUntilSeconds: null, keepUntil: 0 })).not.toBe('')
    expect(await runProgram(program(`redis://127.0.0.1:${await freePort()}`))).toBe('unreachableunreachableover')
  })
})
