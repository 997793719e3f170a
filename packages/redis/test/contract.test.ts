import { replayContract } from '@behalf/testing'
import { expect, test } from 'vitest'
import { describeWith } from '../../../test/support/needs-program.js'
import { begin, Clock, newMemory, newServer, POLL, untilConnected } from './support/replays.js'

describeWith('redis-server', 'the contract of every memory of used proofs', () => {
  const cases = replayContract(async () => {
    const server = await newServer()
    const clock = new Clock()
    const replicas = Array.from({ length: 3 }, () => newMemory({ url: server.url, now: clock.now }))
    for (const memory of replicas) await untilConnected(memory, clock)
    if (replicas[0] !== undefined) await begin(replicas[0], clock)
    return {
      replicas,
      now: clock.now,
      async pass(time) {
        clock.time = Math.max(clock.time, time)
        await expect.poll(() => server.cli('keys', '{behalf}:*'), POLL).toBe('') // by the server's own clock
      },
      fail: () => server.kill(),
    }
  })
  for (const { name, run } of cases) test(name, run)
})
