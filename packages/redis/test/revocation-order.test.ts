/** What a set asks, in which order, and what it makes of answers that come late, in between, or that are none. */
import { describe, expect, test } from 'vitest'
import { openConnection } from '../src/connection.js'
import { connectionSettings } from '../src/connection-options.js'
import { bulk, fakeRedis, list } from './support/fake-redis.js'
import { NOTHING, nextAnswered, PONG, read, SUBSCRIBED, state } from './support/fake-revocations.js'
import { Clock, POLL } from './support/replays.js'
import { entryAt, newSet, readiness } from './support/revocations.js'

describe('the first reading', () => {
  test('subscribes first, then reads, then asks, then waits for a sign of the subscription; the time is that of the question', async () => {
    const { redis, set, clock, question } = await read()
    expect(question.words[0]).toBe('EVALSHA')
    clock.pass(5)
    question.answer(state('e', 0))
    const ping = await redis.next()
    expect(ping.words).toEqual(['PING'])
    expect(set.wholeAt(clock.time)).toBe(Number.NEGATIVE_INFINITY)
    clock.pass(5)
    ping.answer(PONG)
    await set.ready()
    expect(set.wholeAt(clock.time)).toBe(1_000_000)
  })

  test('in steps, until the server says that it was the last', async () => {
    const redis = await fakeRedis()
    const clock = new Clock()
    const set = newSet({ url: redis.url, now: clock.now })
    const [one, other] = [entryAt(clock), entryAt(clock)]
    await nextAnswered(redis, 'SUBSCRIBE', SUBSCRIBED)
    await nextAnswered(redis, 'EVALSHA', state('e', 2))
    const first = await redis.next()
    expect(first.words.slice(0, 3)).toEqual(['HSCAN', '{behalf}:revoked', '0'])
    first.answer(list(bulk('17'), list(bulk(one.key), bulk(`${one.keepUntil} -`), bulk('epoch'), bulk('e'))))
    const second = await redis.next()
    expect(second.words.slice(0, 3)).toEqual(['HSCAN', '{behalf}:revoked', '17'])
    second.answer(list(bulk('0'), list(bulk(other.key), bulk(`${other.keepUntil} 5.5`))))
    await nextAnswered(redis, 'EVALSHA', state('e', 2))
    await nextAnswered(redis, 'PING', PONG)
    await set.ready()
    expect([set.find(one.key), set.find(other.key)]).toEqual([one, { ...other, issuedUntilSeconds: 5.5 }])
  })

  test('what is heard before the answer, and is not in it, counts', async () => {
    const redis = await fakeRedis()
    const clock = new Clock()
    const set = newSet({ url: redis.url, now: clock.now })
    const entry = entryAt(clock)
    await nextAnswered(redis, 'SUBSCRIBE', SUBSCRIBED)
    const question = await redis.next()
    redis.publish(`e 5 ${entry.key} ${entry.keepUntil} -`)
    await expect.poll(() => set.find(entry.key), POLL).toEqual(entry)
    question.answer(state('e', 4))
    await nextAnswered(redis, 'HSCAN', list(bulk('0'), list(bulk(entry.key), bulk(`${entry.keepUntil} -`))))
    await nextAnswered(redis, 'EVALSHA', state('e', 5))
    await nextAnswered(redis, 'PING', PONG)
    await set.ready()
    expect(set.wholeAt(clock.time)).toBe(clock.time)
  })
})

describe('a heartbeat', () => {
  test('a message on its way is waited for: it comes before the sign of the subscription', async () => {
    const { redis, set, clock, question } = await read()
    const entry = entryAt(clock)
    question.answer(state('e', 1))
    const ping = await redis.next()
    redis.publish(`e 1 ${entry.key} ${entry.keepUntil} -`)
    ping.answer(PONG)
    await set.ready()
    expect([set.find(entry.key), set.wholeAt(clock.time)]).toEqual([entry, clock.time])
  })

  test.each([
    'nonsense',
    '',
    'e',
    'e 1',
    ` 1 ${'x'.repeat(43)} 5 -`,
    `e soon ${'x'.repeat(43)} 5 -`,
    `e 1 ${'x'.repeat(42)} 5 -`,
    `e 1 ${'x'.repeat(43)} 5`,
  ])('a message that is none of ours is passed over: %j', async (message) => {
    const { redis, set, clock, question } = await read({ heartbeatMilliseconds: 60_000 })
    question.answer(state('e', 0))
    const ping = await redis.next()
    redis.publish(message)
    ping.answer(PONG)
    await set.ready()
    expect([set.version, set.wholeAt(clock.time)]).toEqual([0, clock.time])
  })

  test.each<[string, string, string | null]>([
    ['a message that has not come with it', state('e', 1), null],
    ['another epoch', state('f', 0), null],
    ['messages of another epoch', state('e', 0), 'f 1'],
    ['messages with a gap', state('e', 2), 'e 2'],
  ])('%s: everything is read anew, on another subscription', async (_name, answer, published) => {
    const { redis, set, clock, question } = await read()
    question.answer(answer)
    const ping = await redis.next()
    const entry = entryAt(clock)
    if (published !== null) redis.publish(`${published} ${entry.key} ${entry.keepUntil} -`)
    ping.answer(PONG)
    await nextAnswered(redis, 'SUBSCRIBE', SUBSCRIBED)
    expect(set.wholeAt(clock.time)).toBe(Number.NEGATIVE_INFINITY)
    await nextAnswered(redis, 'EVALSHA', state('f', 7))
    await nextAnswered(redis, 'HSCAN', published === null ? NOTHING : list(bulk('0'), list(bulk(entry.key), bulk('1 -'))))
    if (published?.startsWith('e') === true) await nextAnswered(redis, 'EVALSHA', state('f', 7)) // beside it
    if (published !== null) await nextAnswered(redis, 'EVALSHA', list(bulk('f'))) // what Redis lacks
    if (published?.startsWith('e') === true) await nextAnswered(redis, 'EVALSHA', state('f', 7)) // and that it is there now
    await nextAnswered(redis, 'EVALSHA', state('f', 7))
    await nextAnswered(redis, 'PING', PONG)
    await set.ready()
    expect(set.wholeAt(clock.time)).toBe(clock.time)
  })

  test.each(['subscribed', 'others'] as const)(
    '[Design-revocation-shared-reread] connections (%s) that were lost since the last one: everything is read anew',
    async (kind) => {
      const { redis, set, clock, question } = await read({ heartbeatMilliseconds: 300 }) // longer than to connect again
      question.answer(state('e', 0))
      await nextAnswered(redis, 'PING', PONG)
      await set.ready()
      redis.end(kind)
      clock.pass(5)
      await nextAnswered(redis, 'SUBSCRIBE', SUBSCRIBED)
      expect(set.wholeAt(clock.time)).toBeLessThan(clock.time)
      await nextAnswered(redis, 'EVALSHA', state('e', 0))
      await nextAnswered(redis, 'HSCAN', NOTHING)
      await nextAnswered(redis, 'EVALSHA', state('e', 0))
      await nextAnswered(redis, 'PING', PONG)
      await expect.poll(() => set.wholeAt(clock.time), POLL).toBe(clock.time)
    },
  )

  test('an epoch that is too young is not believed yet', async () => {
    const { redis, set, clock, question } = await read({ settleSeconds: 5 })
    let ready = false
    const becomingReady = set.ready().then(() => {
      ready = true
    })
    question.answer(state('e', 0, '4999'))
    await nextAnswered(redis, 'PING', PONG)
    const again = await redis.next()
    expect([again.words[0], ready, set.wholeAt(clock.time)]).toEqual(['EVALSHA', false, Number.NEGATIVE_INFINITY])
    again.answer(state('e', 0, '5000'))
    await nextAnswered(redis, 'PING', PONG)
    await becomingReady
    expect(set.wholeAt(clock.time)).toBe(clock.time)
  })

  test.each([
    ['nothing', '$-1\r\n', 'refused'],
    ['a number', ':1\r\n', 'refused'],
    ['an empty list', '*0\r\n', 'refused'],
    ['a count that is none', state('e', 'many'), 'refused'],
    ['an age that is none', state('e', 0, 'old'), 'refused'],
    ['numbers', list(':1\r\n', ':1\r\n', ':1\r\n'), 'refused'],
    ['an error', '-ERR what\r\n', 'refused'],
    ['that it is elsewhere', '-MOVED 1 127.0.0.1:1\r\n', 'refused'],
    ['that it is a replica', bulk('replica'), 'replica'],
    ['that it may drop keys', bulk('eviction'), 'eviction'],
    ['that it must not say', '-NOPERM no\r\n', 'unauthorized'],
    ['that it has no room', "-OOM command not allowed when used memory > 'maxmemory'\r\n", 'no_memory'],
    ['that it is not there yet', '-LOADING Redis is loading\r\n', 'unreachable'],
  ])('a server that answers with %s: nothing is certain', async (_name, answer, reason) => {
    const { set, clock, question } = await read()
    const found = readiness(set)
    question.answer(answer)
    expect(await found).toBe(reason)
    expect(set.wholeAt(clock.time)).toBe(Number.NEGATIVE_INFINITY)
  })

  test.each([
    ['nothing', '$-1\r\n'],
    ['a text', bulk('0')],
    ['no fields', list(bulk('0'))],
    ['fields that are none', list(bulk('0'), bulk('x'))],
    ['an entry without an end', list(bulk('0'), list(bulk('x'.repeat(43)), bulk('')))],
    ['an entry with more than it has', list(bulk('0'), list(bulk('x'.repeat(43)), bulk('1 - -')))],
    ['an entry without a value', list(bulk('0'), list(bulk('x'.repeat(43))))],
  ])('a server that gives %s to read: nothing is certain', async (_name, answer) => {
    const redis = await fakeRedis()
    const set = newSet({ url: redis.url })
    const found = readiness(set)
    await nextAnswered(redis, 'SUBSCRIBE', SUBSCRIBED)
    await nextAnswered(redis, 'EVALSHA', state('e', 2))
    await nextAnswered(redis, 'HSCAN', answer)
    expect(await found).toBe('refused')
    expect(set.wholeAt(Date.now())).toBe(Number.NEGATIVE_INFINITY)
  })

  test.each([['$-1\r\n'], [':1\r\n'], [bulk('kept')], [list()], ['-ERR what\r\n']])(
    'what is no answer to an entry is none: %j',
    async (answer) => {
      const { redis, set, clock, question: heartbeat } = await read({ heartbeatMilliseconds: 60_000 })
      heartbeat.answer(state('e', 0))
      await nextAnswered(redis, 'PING', PONG)
      const entry = entryAt(clock)
      const adding = set.add(entry)
      const question = await redis.next()
      expect(question.words).toEqual(expect.arrayContaining([entry.key, String(entry.keepUntil), '-']))
      question.answer(answer)
      await expect(adding).rejects.toMatchObject({ code: 'unavailable', reason: 'refused' })
      expect(set.find(entry.key)).toBeUndefined()
    },
  )
})

describe('a connection', () => {
  test('that is lost cannot be subscribed to any more, and nobody waits for it', async () => {
    const { url } = await fakeRedis()
    let lost = 0
    const connection = await openConnection(connectionSettings({ url }, 'here'), new AbortController().signal, () => lost++)
    connection.close()
    await expect(connection.subscribe('channel', () => {})).rejects.toMatchObject({ code: 'unanswered' })
    expect(lost).toBe(1)
  })
})
