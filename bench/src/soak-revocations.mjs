// Revocations over four processes that share Redis: how long after revoke() has resolved each of them refuses, by the real clock.
import { spawn, spawnSync } from 'node:child_process'
import { randomInt, randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import { createTestIssuer } from '@behalf/testing'
import { startChild } from './child.mjs'
import { atMost } from './soak-rows.mjs'
import { progress, whole } from './table.mjs'
import { environmentOf } from './tokens.mjs'

const REDIS = 'redis-server'
const REPLICAS = 4
const FULL = { calm: 1_000, troubled: 300 }
const QUICK = { calm: 100, troubled: 30 }

/** What the design promises. */
const MOST_MILLISECONDS = 1_000
const LIFETIME_SECONDS = 3_600
/** While there is trouble, subscriptions are ended so often. */
const TROUBLE_MILLISECONDS = 700
const START_MILLISECONDS = 20_000

/** @returns {Promise<import('./soak-rows.mjs').Row[]>} */
export async function soakRevocations({ quick }) {
  const plan = quick ? QUICK : FULL
  if (spawnSync(REDIS, ['--version']).error !== undefined) {
    return [{ what: 'revocations over four processes', measured: `${REDIS} is not installed`, bound: '', holds: false }]
  }
  const redis = await startRedis()
  const issuer = await createTestIssuer({ algorithms: ['EdDSA'] })
  const replicas = []
  try {
    const settings = { url: redis.url, environment: environmentOf(issuer), maxTokenLifetimeSeconds: LIFETIME_SECONDS }
    for (let index = 0; index < REPLICAS; index++) {
      const child = startChild('soak-revocations-child.mjs', [JSON.stringify(settings)])
      replicas.push({ child, started: child.until(({ port }) => port !== undefined).promise })
    }
    for (const replica of replicas) replica.url = `http://127.0.0.1:${(await replica.started).port}/orders`
    const calm = await revokeAll(issuer, replicas, plan.calm, 'all is well')
    const trouble = setInterval(() => redis.endSubscriptions(), TROUBLE_MILLISECONDS)
    const troubled = await revokeAll(issuer, replicas, plan.troubled, 'subscriptions are ended').finally(() =>
      clearInterval(trouble),
    )
    return [
      ...rowsOf(`${whole(plan.calm)} revocations`, calm),
      ...rowsOf(`${whole(plan.troubled)} while subscriptions are ended`, troubled),
    ]
  } finally {
    for (const { child } of replicas) child.end()
    await issuer.close()
    await redis.stop()
  }
}

/** One after the other, each at another process; the others are asked all the time, by one caller each. */
async function revokeAll(issuer, replicas, count, when) {
  const found = { delays: [], late: 0, unavailable: 0, notRevoked: 0, standstill: 0 }
  const delay = monitorEventLoopDelay({ resolution: 1 })
  delay.enable()
  for (let round = 0; round < count; round++) {
    if (round % 20 === 0) progress(`soak: revocations while ${when}, ${round} of ${count}`)
    const tokenId = randomUUID()
    const token = issuer.token({ claims: { jti: tokenId } })
    for (const { url } of replicas) await untilAccepted(url, token)
    const asking = replicas.map(({ url }) => askUntilRefused(url, token))
    const { child } = replicas[round % replicas.length]
    const { at } = await child.ask({ revoke: tokenId }, ({ revoked }) => revoked === tokenId)
    for (const answers of await Promise.all(asking)) note(answers, at, found)
    for (const { url } of replicas) if ((await ask(url, token)) === 'accepted') found.notRevoked++
  }
  found.standstill = delay.max / 1e6
  return found
}

function note(answers, at, found) {
  const accepted = answers.filter(({ answer }) => answer === 'accepted')
  found.late += accepted.filter(({ began }) => began > at + MOST_MILLISECONDS).length
  found.unavailable += answers.filter(({ answer }) => answer === 'unavailable').length
  found.delays.push(Math.max(0, answers.at(-1).ended - at))
}

/** Asks again and again, until the token is refused as revoked. @returns what was answered, and when each request began and ended */
async function askUntilRefused(url, token) {
  const answers = []
  for (;;) {
    const began = Date.now()
    const answer = await ask(url, token)
    answers.push({ began, answer, ended: Date.now() })
    if (answer === 'revoked') return answers
  }
}

async function untilAccepted(url, token) {
  while ((await ask(url, token)) !== 'accepted') await sleep(5)
}

async function ask(url, token) {
  const response = await fetch(url, { headers: { authorization: `Bearer ${token}` } })
  const text = await response.text()
  if (response.status === 200) return 'accepted'
  const { code } = JSON.parse(text)
  if (code === 'token_revoked') return 'revoked'
  if (code === 'revocation_unavailable') return 'unavailable'
  throw new Error(`an API answered ${response.status} ${code}`)
}

function rowsOf(what, { delays, late, unavailable, notRevoked, standstill }) {
  const sorted = delays.toSorted((one, other) => one - other)
  const p99 = sorted[Math.ceil(sorted.length * 0.99) - 1]
  return [
    { what: `${what}: from revoke() to the first refusal of each process, p99`, ...atMost(p99, MOST_MILLISECONDS, ' ms') },
    { what: `${what}: the same, longest`, ...atMost(sorted.at(-1), MOST_MILLISECONDS, ' ms') },
    { what: `${what}: accepted though begun more than a second after`, ...atMost(late, 0, '') },
    { what: `${what}: accepted after a refusal`, ...atMost(notRevoked, 0, '') },
    { what: `${what}: answered 503`, measured: String(unavailable), bound: 'any', holds: true },
    // The floor: a machine that is taken away for so long adds that to a delay, and more where several processes wait.
    { what: `${what}: longest standstill of the callers' own`, measured: `${whole(standstill)} ms`, bound: 'any', holds: true },
  ]
}

async function startRedis() {
  const directory = mkdtempSync(join(tmpdir(), 'behalf-soak-'))
  const port = randomInt(10_240, 32_768)
  const server = spawn(REDIS, ['--bind', '127.0.0.1', '--port', String(port), '--save', '', '--dir', directory], {
    stdio: 'ignore',
  })
  const deadline = Date.now() + START_MILLISECONDS
  while (!(await say(port, 'PING').catch(() => false))) {
    if (server.exitCode !== null || Date.now() > deadline) throw new Error(`${REDIS} did not start`)
    await sleep(20)
  }
  return {
    url: `redis://127.0.0.1:${port}`,
    endSubscriptions: () => say(port, 'CLIENT KILL TYPE pubsub').catch(() => {}),
    async stop() {
      server.kill('SIGKILL')
      if (server.exitCode === null && server.signalCode === null) await once(server, 'exit')
      rmSync(directory, { recursive: true, force: true })
    },
  }
}

/** Says one line to Redis, and waits for an answer. */
async function say(port, line) {
  const socket = connect(port, '127.0.0.1')
  try {
    await once(socket, 'connect')
    socket.write(`${line}\r\n`)
    await once(socket, 'data')
    return true
  } finally {
    socket.destroy()
  }
}
