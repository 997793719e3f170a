import { createHash, randomUUID } from 'node:crypto'
import type { ProofUse } from '@behalf/core'
import { type RedisReplay, type RedisReplayOptions, redisReplay } from '@behalf/redis'
import { expect, onTestFinished } from 'vitest'
import { type RedisServerUnderTest, startRedisServer } from '../../../../test/support/redis-server.js'

const TOLERANCE_SECONDS = 5
const PROOF_SECONDS = 60

/** A Redis that ends with the test. */
export async function newServer(options?: Parameters<typeof startRedisServer>[0]): Promise<RedisServerUnderTest> {
  const server = await startRedisServer(options)
  onTestFinished(() => server.stop())
  return server
}

/** A memory that ends with the test. */
export function newMemory(options: RedisReplayOptions): RedisReplay {
  const memory = redisReplay(options)
  onTestFinished(() => memory.close())
  return memory
}

/** A clock that is set by hand: the times of a memory and of the uses that it is told of. */
export class Clock {
  time: number
  readonly now = (): number => this.time

  constructor(time: number = Date.now()) {
    this.time = time
  }

  /** Lets so many seconds pass. */
  pass(seconds: number): void {
    this.time += seconds * 1000
  }

  /** A use, as a resource server makes one of a proof that is as old as given. */
  use(ageSeconds = 0): ProofUse {
    const iat = Math.floor(this.time / 1000) - ageSeconds
    return {
      id: createHash('sha256').update(randomUUID()).digest('base64url'),
      acceptableFrom: (iat - 2 * TOLERANCE_SECONDS) * 1000,
      acceptableUntil: (iat + PROOF_SECONDS + 2 * TOLERANCE_SECONDS) * 1000,
      now: this.time,
    }
  }

  /** The use of the same proof, now. */
  again(use: ProofUse): ProofUse {
    return { ...use, now: this.time }
  }
}

/** What became of a use: the answer, or the code of the error. */
export async function outcome(memory: RedisReplay, use: ProofUse): Promise<boolean | string> {
  try {
    return await memory.use(use)
  } catch (error) {
    expect(error).toMatchObject({ name: 'RedisReplayError' })
    return (error as { code: string }).code
  }
}

/** Until it is connected: a use of a proof that is too old to be judged says so. Uses up nothing. */
export async function untilConnected(memory: RedisReplay, clock: Clock): Promise<void> {
  await expect.poll(() => outcome(memory, clock.use(10_000)), POLL).toBe('forgotten')
}

/** For what follows from a connection that is made anew. */
export const POLL = { interval: 5, timeout: 20_000 }

/** A server, and a memory that remembers for long enough to judge proofs that are made now. */
export async function serverAndMemory(
  options: Partial<RedisReplayOptions> = {},
  serverOptions?: Parameters<typeof startRedisServer>[0],
): Promise<{ server: RedisServerUnderTest; memory: RedisReplay; clock: Clock }> {
  const server = await newServer(serverOptions)
  const clock = new Clock()
  const memory = newMemory({ url: server.url, now: clock.now, ...options })
  await begin(memory, clock)
  return { server, memory, clock }
}

/** Connects, and lets the time pass that a memory which has just begun needs. */
export async function begin(memory: RedisReplay, clock: Clock): Promise<void> {
  await untilConnected(memory, clock)
  clock.pass(2 * TOLERANCE_SECONDS + 1)
}
