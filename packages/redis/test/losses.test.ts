/** Whatever Redis has lost, or may have lost: no proof is accepted twice, and fresh ones are accepted again soon. */
import type { ProofUse } from '@behalf/core'
import type { RedisReplay } from '@behalf/redis'
import { expect, test } from 'vitest'
import { describeWith } from '../../../test/support/needs-program.js'
import type { RedisServerUnderTest } from '../../../test/support/redis-server.js'
import { begin, Clock, newMemory, newServer, outcome, POLL, serverAndMemory, untilConnected } from './support/replays.js'
import { follow, pair } from './support/troubled-redis.js'

/** Twice the tolerance, and a second, since proofs tell their time in whole seconds. */
const UNTIL_JUDGED_SECONDS = 11

/** Nothing from before is accepted, now or later; what is made long enough afterwards is. */
async function expectForgotten(memory: RedisReplay, clock: Clock, used: ProofUse): Promise<void> {
  await untilConnected(memory, clock)
  expect(await outcome(memory, clock.again(used))).toBe('forgotten')
  const atOnce = clock.use()
  expect(await outcome(memory, atOnce)).toBe('forgotten')
  clock.pass(UNTIL_JUDGED_SECONDS)
  expect(await outcome(memory, clock.again(used))).toBe('forgotten')
  expect(await outcome(memory, clock.again(atOnce))).toBe('forgotten')
  const fresh = clock.use()
  expect([await outcome(memory, fresh), await outcome(memory, fresh)]).toEqual([true, false])
}

describeWith('redis-server', 'a Redis that loses what it was told', () => {
  test('begins to remember when it is first asked: what is older cannot be judged', async () => {
    const server = await newServer()
    const clock = new Clock()
    const memory = newMemory({ url: server.url, now: clock.now })
    const older = clock.use()
    await expectForgotten(memory, clock, older)
  })

  test.each([['flushall'], ['flushdb'], ['del', '{behalf}']])('%s', async (...command) => {
    const { server, memory, clock } = await serverAndMemory()
    const used = clock.use()
    expect(await memory.use(used)).toBe(true)
    await server.cli(...command)
    await expectForgotten(memory, clock, used)
  })

  test.each<[string, Readonly<Record<string, string>>, (server: RedisServerUnderTest) => Promise<unknown>]>([
    ['killed and started again, without files', {}, async () => {}],
    ['killed and started again from an older snapshot', {}, (server) => server.cli('save')],
    ['killed and started again from its log', { appendonly: 'yes', appendfsync: 'always' }, async () => {}],
  ])('[RFC9449-11.1-lost] %s', async (_name, settings, before) => {
    const { server, memory, clock } = await serverAndMemory({}, { settings })
    await before(server)
    const used = clock.use()
    expect(await memory.use(used)).toBe(true)
    await server.restart()
    await expectForgotten(memory, clock, used)
  })

  test('[RFC9449-11.1-failover] a replica that becomes the primary, whether it had everything or not', async () => {
    const { primary, replica } = await pair()
    const clock = new Clock()
    const memory = newMemory({ url: primary.url, now: clock.now })
    await begin(memory, clock)
    const [known, missed] = [clock.use(), clock.use()]
    expect(await memory.use(known)).toBe(true)
    await expect.poll(() => replica.cli('exists', `{behalf}:${known.id}`), POLL).toBe('1')
    replica.pause() // what it did not get
    expect(await memory.use(missed)).toBe(true)
    await primary.kill()
    replica.resume()
    const other = newMemory({ url: replica.url, now: clock.now })
    await expect.poll(() => outcome(other, clock.again(known)), POLL).toBe('replica')
    await replica.cli('replicaof', 'no', 'one')
    await expectForgotten(other, clock, known)
    expect(await outcome(other, missed)).toBe('forgotten')
  })

  test('[RFC9449-11.1-failover] a primary that is replaced, and put back before anybody asked the other one', async () => {
    const { primary, replica } = await pair()
    const clock = new Clock()
    const memory = newMemory({ url: primary.url, now: clock.now })
    await begin(memory, clock)
    await expect.poll(() => replica.cli('get', '{behalf}'), POLL).not.toBe('')
    await replica.cli('replicaof', 'no', 'one')
    const used = clock.use()
    expect(await memory.use(used)).toBe(true) // the old primary does not know yet
    await follow(primary, replica)
    expect(await primary.cli('exists', `{behalf}:${used.id}`)).toBe('0')
    await primary.cli('replicaof', 'no', 'one')
    await expectForgotten(memory, clock, used)
  })

  test('a primary that becomes a replica is left at once, and found again as a primary', async () => {
    const { server, memory, clock } = await serverAndMemory({}, { settings: { 'replica-read-only': 'no' } })
    const used = clock.use()
    expect(await memory.use(used)).toBe(true)
    const connection = / ?id=\d+ (?=.*cmd=eval)/.exec(await server.cli('client', 'list'))?.[0] ?? 'none'
    const other = await newServer()
    await server.cli('replicaof', '127.0.0.1', String(other.port))
    await expect.poll(() => outcome(memory, clock.use()), POLL).toBe('replica')
    expect(connection).not.toBe('none')
    await expect.poll(() => server.cli('client', 'list'), POLL).not.toContain(connection)
    await server.cli('replicaof', 'no', 'one')
    await expectForgotten(memory, clock, used)
  })

  test('where it remembers since never moves back, whoever’s clock it was', async () => {
    const { server, memory, clock } = await serverAndMemory({}, { settings: { appendonly: 'yes', appendfsync: 'always' } })
    expect(await memory.use(clock.use())).toBe(true)
    const since = async () => Number((await server.cli('get', '{behalf}')).split(':')[1])
    const before = await since()
    const slow = new Clock(before - 100_000)
    await memory.close()
    await server.restart()
    const other = newMemory({ url: server.url, now: slow.now })
    await untilConnected(other, slow)
    expect(await since()).toBe(before)
    slow.time = before
    slow.pass(10) // proofs are made in whole seconds, and must be later by more than twice the tolerance
    expect(await outcome(other, { ...slow.use(), acceptableFrom: before })).toBe('forgotten')
    expect(await outcome(other, { ...slow.use(), acceptableFrom: before + 1 })).toBe(true)
  })

  test('what is remembered ends by itself; the mark of the beginning does not', async () => {
    const { server, memory, clock } = await serverAndMemory()
    const use = clock.use()
    await memory.use(use)
    const left = Number(await server.cli('pttl', `{behalf}:${use.id}`))
    // A minute longer than needed: the clock of an API may be set back.
    const needed = use.acceptableUntil - use.now
    expect(left).toBeGreaterThan(needed)
    expect(left).toBeLessThanOrEqual(needed + 60_000)
    expect(await server.cli('pttl', '{behalf}')).toBe('-1')
    const late = clock.use()
    expect(await memory.use({ ...late, now: late.acceptableUntil + 5 })).toBe(true) // too late to be judged, but not too late to be noted
  })
})
