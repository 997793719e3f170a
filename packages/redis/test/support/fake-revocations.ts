/** What a set of revocations asks, and a server that is none answers. */
import type { RedisRevocations } from '@behalf/redis'
import { expect } from 'vitest'
import { bulk, type FakeRedis, fakeRedis, list, type Question } from './fake-redis.js'
import { Clock } from './replays.js'
import { newSet } from './revocations.js'

export const SUBSCRIBED = list(bulk('subscribe'), bulk('{behalf}:revoked:0'), ':1\r\n')
export const PONG = list(bulk('pong'), bulk(''))
/** For however long a test takes to answer. */
export const PATIENT = { answerTimeoutMilliseconds: 600_000 }
const LONG_AGO = '1000000'

/** What is known of the set as a whole. */
export function state(epoch: string, count: number | string, age: string = LONG_AGO): string {
  return list(bulk(epoch), bulk(String(count)), bulk(age))
}

/** Of a set to read. */
export const NOTHING = list(bulk('0'), list())

/** Answers the next question, which has to have that name. */
export async function nextAnswered(redis: FakeRedis, name: string, answer: string): Promise<Question> {
  const question = await redis.next()
  expect(question.words[0]?.toUpperCase()).toBe(name)
  question.answer(answer)
  return question
}

/** A set, and the first question after it has read that there is nothing. */
export async function read(
  options: object = {},
  count = 0,
): Promise<{ redis: FakeRedis; set: RedisRevocations; clock: Clock; question: Question }> {
  const redis = await fakeRedis()
  const clock = new Clock(1_000_000)
  const set = newSet({ url: redis.url, now: clock.now, ...PATIENT, ...options })
  await nextAnswered(redis, 'SUBSCRIBE', SUBSCRIBED)
  await nextAnswered(redis, 'EVALSHA', state('e', count))
  await nextAnswered(redis, 'HSCAN', NOTHING)
  return { redis, set, clock, question: await redis.next() }
}
