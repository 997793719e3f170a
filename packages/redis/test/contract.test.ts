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
        const beyond = time - clock.time
        clock.time = Math.max(clock.time, time)
        for (const key of (await server.cli('keys', '{behalf}:*')).split('\n').filter(Boolean)) {
          // A key ends by itself, a minute later than it has to. That minute is cut short here.
          const left = Number(await server.cli('pttl', key))
          expect(left).toBeGreaterThan(0)
          expect(left).toBeLessThanOrEqual(Math.max(1, beyond) + 60_000)
          await server.cli('pexpire', key, '1')
        }
        await expect.poll(() => server.cli('keys', '{behalf}:*'), POLL).toBe('') // by the server's own clock
      },
      fail: () => server.kill(),
    }
  })
  for (const { name, run } of cases) test(name, run)
})
