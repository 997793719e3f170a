/**
 * Four processes that share a Redis: what is revoked at one of them is known to each of the others, as soon as it says that it knows
 * everything. `BEHALF_REVOCATION_ROUNDS`: how many times.
 */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { expect, onTestFinished, test } from 'vitest'
import { describeWith } from '../../../test/support/needs-program.js'
import { Clock, newServer } from './support/replays.js'
import { entryAt } from './support/revocations.js'

const ROUNDS = Number(process.env['BEHALF_REVOCATION_ROUNDS'] || 50)
const REPLICAS = 4
const PROGRAM = fileURLToPath(new URL('support/revocation-child.mjs', import.meta.url))

function startReplica(): ChildProcess {
  const child = fork(PROGRAM, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
  onTestFinished(() => void child.kill('SIGKILL'))
  return child
}

async function tell(child: ChildProcess, message: object): Promise<unknown> {
  const ending = new AbortController()
  const { signal } = ending
  const ended = once(child, 'exit', { signal }).then(([code]) => {
    throw new Error(`a replica ended with code ${code}`)
  })
  const answered = once(child, 'message', { signal })
  child.send(message)
  try {
    return (await Promise.race([answered, ended]))[0]
  } finally {
    for (const left of [answered, ended]) left.catch(() => {})
    ending.abort()
  }
}

describeWith('redis-server', 'four processes that share a Redis', () => {
  test(`[Design-revocation-shared-everywhere] ${ROUNDS} revocations: each is known everywhere`, {
    timeout: 900_000,
  }, async () => {
    const server = await newServer()
    const replicas = Array.from({ length: REPLICAS }, startReplica)
    await Promise.all(replicas.map((replica) => tell(replica, { url: server.url })))
    let found = 0
    for (let round = 0; round < ROUNDS; round++) {
      const entry = entryAt(new Clock())
      const adder = replicas[round % REPLICAS] ?? startReplica()
      expect(await tell(adder, { add: entry })).toEqual({ added: true })
      const asked = { find: entry.key, acknowledgedAt: Date.now() }
      const answers = await Promise.all(replicas.map((replica) => tell(replica, asked)))
      found += answers.filter((answer) => (answer as { found: boolean }).found).length
    }
    expect(found).toBe(ROUNDS * REPLICAS)
  })
})
