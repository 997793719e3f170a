/**
 * One of the replicas that share a set of revocations, in a process of its own. Imports the built packages: `npm test` builds them first.
 * Told to `add` an entry, it says when Redis has it; asked whether it can `find` a key, it answers when it knows everything that was
 * acknowledged by a time.
 */
import { setTimeout as wait } from 'node:timers/promises'
import { redisRevocations } from '@behalf/redis'

process.on('disconnect', () => process.exit(0))
let set

process.on('message', async ({ url, add, find, acknowledgedAt }) => {
  if (url !== undefined) {
    set = redisRevocations({ url, heartbeatMilliseconds: 20, settleSeconds: 0 })
    await set.ready()
    process.send({ ready: true })
  } else if (add !== undefined) {
    await set.add(add)
    process.send({ added: set.find(add.key) !== undefined })
  } else {
    while (!(set.wholeAt(Date.now()) > acknowledgedAt)) await wait(1)
    process.send({ found: set.find(find) !== undefined })
  }
})
