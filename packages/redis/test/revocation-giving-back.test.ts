/** Where Redis may have lost what a replica knows: what that replica says, in which order, and when it is done. */
import type { RevocationEntry } from '@behalf/core'
import { describe, expect, test } from 'vitest'
import { bulk, type FakeRedis, fakeRedis, list, type Question } from './support/fake-redis.js'
import { NOTHING, nextAnswered, PATIENT, PONG, read, SUBSCRIBED, state } from './support/fake-revocations.js'
import { Clock, POLL } from './support/replays.js'
import { entryAt, newSet, readiness } from './support/revocations.js'

/** The epoch in which Redis had everything, by the words of a script; and the keys of what it is to add. */
function said({ words }: Question): readonly [home: string | undefined, ...keys: string[]] {
  return [words[5], ...words.slice(8).filter((_, index) => index % 3 === 0)]
}

/** A step of reading, with some entries. */
function page(next: string, ...entries: readonly RevocationEntry[]): string {
  const fields = entries.flatMap(({ key, keepUntil }) => [bulk(key), bulk(`${keepUntil} -`)])
  return list(bulk(next), list(...fields))
}

const [HAS_E, HAS_F] = [list(bulk('e')), list(bulk('f'))]

/** A set that is certain of some entries, which it was told in the epoch `e`; the next question is that of a heartbeat. */
async function knowing(count: number, options: object = {}) {
  const { redis, set, clock, question } = await read(options)
  const entries = Array.from({ length: count }, () => entryAt(clock))
  question.answer(state('e', count))
  const ping = await redis.next()
  const told = entries.map(({ key, keepUntil }) => `${key} ${keepUntil} -`)
  if (count > 0) redis.publish(`e ${count} ${told.join(' ')}`)
  ping.answer(PONG)
  await set.ready()
  return { redis, set, clock, entries }
}

/** Everything is read anew, in the epoch `f`. @returns the question that begins it */
async function losing(redis: FakeRedis): Promise<Question> {
  const noticed = await nextAnswered(redis, 'EVALSHA', state('f', 0))
  await nextAnswered(redis, 'PING', PONG)
  await nextAnswered(redis, 'SUBSCRIBE', SUBSCRIBED)
  return noticed
}

/** And there is nothing. The next question gives something back. */
async function losingAll(redis: FakeRedis): Promise<void> {
  await losing(redis)
  await nextAnswered(redis, 'EVALSHA', state('f', 0))
  await nextAnswered(redis, 'HSCAN', NOTHING)
  await nextAnswered(redis, 'EVALSHA', state('f', 0))
}

describe('a replica says in which epoch Redis had all that it knows', () => {
  test('none while it knows nothing, and with what is new', async () => {
    const { redis, set, clock, question } = await read({ heartbeatMilliseconds: 60_000 })
    expect(said(question)).toEqual([''])
    question.answer(state('e', 0))
    await nextAnswered(redis, 'PING', PONG)
    await set.ready()
    const entry = entryAt(clock)
    const adding = set.add(entry)
    expect(said(await nextAnswered(redis, 'EVALSHA', HAS_E))).toEqual(['', entry.key])
    await adding
  })

  test('none where it has lost nothing since, because it had nothing', async () => {
    const { redis, set } = await knowing(0)
    expect(said(await losing(redis))).toEqual([''])
    expect(said(await nextAnswered(redis, 'EVALSHA', state('f', 0)))).toEqual([''])
    await nextAnswered(redis, 'HSCAN', NOTHING)
    expect(said(await nextAnswered(redis, 'EVALSHA', state('f', 0)))).toEqual([''])
    await nextAnswered(redis, 'PING', PONG)
    await set.ready()
    expect(said(await redis.next())).toEqual([''])
  })

  test.each(['heard', 'added', 'read'] as const)('that in which it %s of it', async (how) => {
    const redis = await fakeRedis()
    const clock = new Clock()
    const set = newSet({ url: redis.url, now: clock.now, ...PATIENT })
    const entry = entryAt(clock)
    const subscribing = await redis.next()
    const adding = how === 'added' ? set.add(entry) : null
    if (adding !== null) await nextAnswered(redis, 'EVALSHA', HAS_E)
    await adding
    subscribing.answer(SUBSCRIBED)
    const first = await redis.next()
    expect(said(first)).toEqual([how === 'added' ? 'e' : ''])
    if (how === 'heard') redis.publish(`e 1 ${entry.key} ${entry.keepUntil} -`)
    if (how === 'heard') await expect.poll(() => set.find(entry.key), POLL).toEqual(entry)
    first.answer(state('e', 1))
    await nextAnswered(redis, 'HSCAN', page('0', entry))
    expect(said(await redis.next())).toEqual(['e'])
  })

  test('also where it is read anew: nothing is said beside that, and nothing given back', async () => {
    const { redis, set, clock, entries } = await knowing(1)
    const heartbeat = await redis.next()
    redis.end('subscribed')
    heartbeat.answer(state('e', 1))
    await nextAnswered(redis, 'SUBSCRIBE', SUBSCRIBED)
    clock.pass(1)
    expect(said(await nextAnswered(redis, 'EVALSHA', state('e', 1)))).toEqual(['e'])
    await nextAnswered(redis, 'HSCAN', page('0', ...entries))
    expect(said(await nextAnswered(redis, 'EVALSHA', state('e', 1)))).toEqual(['e'])
    await nextAnswered(redis, 'PING', PONG)
    await expect.poll(() => set.wholeAt(clock.time), POLL).toBe(clock.time)
  })

  test('also where it was told only half of it: that has nothing to do with what others may know', async () => {
    const redis = await fakeRedis()
    const clock = new Clock()
    const set = newSet({ url: redis.url, now: clock.now, ...PATIENT })
    const found = readiness(set)
    await nextAnswered(redis, 'SUBSCRIBE', SUBSCRIBED)
    await nextAnswered(redis, 'EVALSHA', state('e', 2))
    await nextAnswered(redis, 'HSCAN', page('17', entryAt(clock)))
    await nextAnswered(redis, 'HSCAN', '-ERR what\r\n')
    expect(await found).toBe('refused')
    await nextAnswered(redis, 'SUBSCRIBE', SUBSCRIBED)
    expect(said(await redis.next())).toEqual(['e'])
  })

  test('none of them where it was told in several', async () => {
    const { redis, set, clock, entries } = await knowing(1)
    const heartbeat = await redis.next()
    const known = entries.map((entry) => set.add(entry))
    const adding = await redis.next()
    heartbeat.answer(state('e', 1))
    adding.answer(HAS_F)
    await Promise.all(known)
    await nextAnswered(redis, 'PING', PONG)
    const another = await redis.next()
    expect(said(another)).toEqual(['e']) // what it knew is no news
    const fresh = set.add(entryAt(clock))
    const addingMore = await redis.next()
    another.answer(state('e', 1))
    addingMore.answer(HAS_F)
    await fresh
    await nextAnswered(redis, 'PING', PONG)
    const [home] = said(await losing(redis))
    expect(['', 'e', 'f']).not.toContain(home)
    expect(said(await redis.next())).toEqual([home])
  })
})

describe('in another epoch', () => {
  test('[Design-revocation-shared-settle] it says so with every step of reading and of giving back, until Redis has everything', async () => {
    const { redis, set, clock, entries } = await knowing(3)
    const [one = entryAt(clock), two = one, three = one] = entries
    expect(said(await losing(redis))).toEqual(['e'])
    expect(said(await nextAnswered(redis, 'EVALSHA', state('f', 1)))).toEqual(['e'])
    await nextAnswered(redis, 'HSCAN', page('17'))
    expect(said(await nextAnswered(redis, 'EVALSHA', state('f', 1)))).toEqual(['e'])
    await nextAnswered(redis, 'HSCAN', page('0', two))
    expect(said(await nextAnswered(redis, 'EVALSHA', state('f', 1)))).toEqual(['e'])
    const [home, ...keys] = said(await nextAnswered(redis, 'EVALSHA', HAS_F))
    expect([home, new Set(keys)]).toEqual(['e', new Set([one.key, three.key])])
    redis.publish(`f 3 ${one.key} ${one.keepUntil} - ${three.key} ${three.keepUntil} -`)
    expect(said(await nextAnswered(redis, 'EVALSHA', state('f', 3)))).toEqual(['e'])
    expect(said(await nextAnswered(redis, 'EVALSHA', state('f', 3)))).toEqual(['f'])
    await nextAnswered(redis, 'PING', PONG)
    await set.ready()
    expect(said(await redis.next())).toEqual(['f'])
  })

  test('[Design-revocation-shared-settle] also with a step that has nothing to give back: the next one may', async () => {
    const { redis, entries } = await knowing(1)
    await losing(redis)
    await nextAnswered(redis, 'EVALSHA', state('f', 1))
    await nextAnswered(redis, 'HSCAN', page('0', ...entries))
    await nextAnswered(redis, 'EVALSHA', state('f', 1))
    expect(said(await nextAnswered(redis, 'EVALSHA', HAS_F))).toEqual(['e'])
    expect(said(await nextAnswered(redis, 'EVALSHA', state('f', 1)))).toEqual(['e'])
    expect(said(await redis.next())).toEqual(['f'])
  })

  test('what it heard of before is not taken for what is there', async () => {
    const { redis, set, clock } = await knowing(1)
    await nextAnswered(redis, 'EVALSHA', state('e', 2)) // which it has not heard of
    await nextAnswered(redis, 'PING', PONG)
    await nextAnswered(redis, 'SUBSCRIBE', SUBSCRIBED)
    const question = await redis.next()
    const late = entryAt(clock)
    redis.publish(`e 2 ${late.key} ${late.keepUntil} -`) // and then everything is lost
    await expect.poll(() => set.find(late.key), POLL).toEqual(late)
    question.answer(state('f', 0))
    await nextAnswered(redis, 'HSCAN', NOTHING)
    await nextAnswered(redis, 'EVALSHA', state('f', 0))
    const [home, ...keys] = said(await redis.next())
    expect([home, keys.length, keys.includes(late.key)]).toEqual(['e', 2, true])
  })

  test('nor is that which it hears of late, from before, while it gives back', async () => {
    const { redis, set, clock } = await knowing(1)
    await losingAll(redis)
    const giving = await redis.next()
    const late = entryAt(clock)
    redis.publish(`e 9 ${late.key} ${late.keepUntil} -`)
    await expect.poll(() => set.find(late.key), POLL).toEqual(late)
    giving.answer(HAS_F)
    await nextAnswered(redis, 'EVALSHA', state('f', 1))
    expect(said(await nextAnswered(redis, 'EVALSHA', state('f', 1)))).toEqual(['e'])
    await nextAnswered(redis, 'PING', PONG)
    await nextAnswered(redis, 'SUBSCRIBE', SUBSCRIBED)
    expect(said(await redis.next())).toEqual(['e'])
  })

  test('where that ends while it gives back, it is not done', async () => {
    const { redis, entries } = await knowing(1)
    await losingAll(redis)
    expect(said(await nextAnswered(redis, 'EVALSHA', HAS_F))).toEqual(['e', entries[0]?.key])
    await nextAnswered(redis, 'EVALSHA', state('g', 0))
    expect(said(await nextAnswered(redis, 'EVALSHA', state('g', 0)))).toEqual(['e'])
  })

  test('much is given back a hundred at a time, and some of that without waiting; after a failure no more', async () => {
    const { redis } = await knowing(1_050)
    await losingAll(redis)
    const waiting: Question[] = []
    for (let step = 0; step < 8; step++) waiting.push(await redis.next())
    waiting[0]?.answer(HAS_F)
    waiting.push(await redis.next())
    const keys = waiting.map((question) => said(question).slice(1))
    expect(keys.map(({ length }) => length)).toEqual(Array.from({ length: 9 }, () => 100))
    expect(new Set(keys.flat()).size).toBe(900)
    waiting[1]?.answer('-ERR what\r\n')
    for (const question of waiting.slice(2)) question.answer(HAS_F)
    await nextAnswered(redis, 'SUBSCRIBE', SUBSCRIBED)
    expect(said(await redis.next())).toEqual(['e'])
  })

  test('what others have given back by then is left out', async () => {
    const { redis, set, clock, entries } = await knowing(1_050)
    await losingAll(redis)
    const waiting: Question[] = []
    for (let step = 0; step < 8; step++) waiting.push(await redis.next())
    const given = new Set(waiting.flatMap((question) => said(question).slice(1)))
    const last = entryAt(clock)
    const others = [...entries.filter(({ key }) => !given.has(key)), last]
    redis.publish(`f ${others.length} ${others.map(({ key, keepUntil }) => `${key} ${keepUntil} -`).join(' ')}`)
    await expect.poll(() => set.find(last.key), POLL).toEqual(last)
    waiting[0]?.answer(HAS_F)
    expect(said(await redis.next())).toEqual(['e'])
  })

  test.each<[string, (...entries: readonly RevocationEntry[]) => string, string]>([
    ['has no room for what there is', (...entries) => page('0', ...entries), 'copy_full'],
    ['cannot read what there is', () => list(bulk('0'), list(bulk('x'.repeat(43)), bulk('what'))), 'refused'],
  ])('a replica that %s gives back all the same, once', async (_name, pageOf, reason) => {
    const { redis, set, clock, entries } = await knowing(1, { maxEntries: 1 })
    const more = entryAt(clock)
    await losing(redis)
    const found = readiness(set)
    await nextAnswered(redis, 'EVALSHA', state('f', 1))
    await nextAnswered(redis, 'HSCAN', pageOf(more))
    await nextAnswered(redis, 'EVALSHA', state('f', 1))
    expect(said(await nextAnswered(redis, 'EVALSHA', HAS_F))).toEqual(['e', entries[0]?.key])
    await nextAnswered(redis, 'EVALSHA', state('f', 2))
    expect(await found).toBe(reason)
    const again = readiness(set)
    await nextAnswered(redis, 'SUBSCRIBE', SUBSCRIBED)
    expect(said(await nextAnswered(redis, 'EVALSHA', state('f', 2)))).toEqual(['f'])
    await nextAnswered(redis, 'HSCAN', pageOf(more, ...entries))
    expect(await again).toBe(reason)
    await nextAnswered(redis, 'SUBSCRIBE', SUBSCRIBED)
  })
})
