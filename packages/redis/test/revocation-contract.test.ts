import { revocationContract } from '@behalf/testing'
import { test } from 'vitest'
import { describeWith } from '../../../test/support/needs-program.js'
import { Clock, newServer } from './support/replays.js'
import { ENTRIES, newSet } from './support/revocations.js'

const MAX_ENTRIES = 12

describeWith('redis-server', 'the contract of every set of revocations', () => {
  const cases = revocationContract(async () => {
    const server = await newServer()
    const clock = new Clock()
    const replicas = Array.from({ length: 3 }, () => newSet({ url: server.url, now: clock.now, maxEntries: MAX_ENTRIES }))
    for (const set of replicas) await set.ready()
    let away = false
    return {
      replicas,
      maxEntries: MAX_ENTRIES,
      now: clock.now,
      async pass(time) {
        clock.time = Math.max(clock.time, time)
        if (away) return
        // Redis goes by its own clock, and waits for another minute. That is cut short here.
        const ended = await server.cli('zrangebyscore', `${ENTRIES}:ends`, '-inf', String(time))
        for (const key of ended.split('\n').filter(Boolean)) await server.cli('zadd', `${ENTRIES}:ends`, 'XX', '0', key)
      },
      fail() {
        away = true
        return server.kill()
      },
    }
  })
  for (const { name, run } of cases) test(name, run)
})
