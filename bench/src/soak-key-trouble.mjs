// Keys: an issuer's endpoint in trouble, and floods of invented key ids, against real servers and by the real clock.
import { randomBytes } from 'node:crypto'
import { monitorEventLoopDelay, performance } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import { createResourceServer } from '@behalf/core'
import { oauth } from '@behalf/core/issuers'
import { createSigningKey } from '@behalf/testing'
import { startChild } from './child.mjs'
import { requestThrough } from './exchange.mjs'
import { exposedFullGc } from './gc.mjs'
import { peerNamed } from './peers.mjs'
import { atLeast, atMost } from './soak-rows.mjs'
import { progress, whole } from './table.mjs'
import { AUDIENCE, bearerOf, headerOf, partsOf, signPool } from './tokens.mjs'

const FULL = { troubleSeconds: 25, floodSeconds: 60 }
const QUICK = { troubleSeconds: 6, floodSeconds: 12 }

const TROUBLES = ['hangs', 'is down', 'answers 64 MiB']

/** Keys are refreshed every two seconds or so, and a failed fetch is tried again as soon: that trouble meets them at once. */
const HASTY = { keysFreshSeconds: 2, keysFreshLeastSeconds: 1, backOffMostSeconds: 2 }

/** A request that waited for an endpoint in trouble would take two or three seconds; a busy machine may take this. */
const MOST_MILLISECONDS = 1000

/** Between two requests with known keys, in milliseconds; each time one token that is cached and one that is new. */
const BEAT_MILLISECONDS = 20

const FLOOD_PER_SECOND = 10_000
const FLOOD_TURN_MILLISECONDS = 10
const MOST_FETCHES = 15

/** A key published during a flood: the bucket's next token, the fetch, and what a busy machine adds. */
const MOST_SECONDS_TO_NEW_KEY = 6

const BURST = 1000
const CACHE_ENTRIES = 1000
const MOST_GROWTH_MIB = 8
const MOST_SENT_BYTES = 8 * 2 ** 20

/** @returns {Promise<import('./soak-rows.mjs').Row[]>} */
export async function soakKeys({ quick }) {
  const plan = quick ? QUICK : FULL
  const endpoint = startChild('./soak-keys.mjs')
  try {
    const { port } = await endpoint.until((message) => message.port).promise
    return await soak(await createScene(endpoint, port, plan), plan)
  } finally {
    endpoint.end()
  }
}

async function createScene(endpoint, port, { troubleSeconds, floodSeconds }) {
  const issuer = `http://127.0.0.1:${port}`
  const key = createSigningKey('EdDSA')
  const signer = { issuer, key: () => key }
  const tell = (message) => endpoint.ask(message, ({ fetches }) => fetches !== undefined)
  await tell({ jwks: { keys: [key.jwk] } })
  const beats = Math.ceil((TROUBLES.length * troubleSeconds + floodSeconds) * (1000 / BEAT_MILLISECONDS) * 1.2) + CACHE_ENTRIES
  progress(`soak: signing ${whole(beats + 2 * BURST)} tokens`)
  const pool = await signPool({ issuer: signer, algorithm: 'EdDSA', count: beats + 2 * BURST })
  const serverWith = (limits) =>
    requestThrough(
      createResourceServer({
        issuers: [oauth({ issuer, audience: AUDIENCE, jwksUri: `${issuer}/jwks` })],
        cache: { maxEntries: CACHE_ENTRIES },
        limits,
      }),
      { guarded: true },
    )
  // Both live as long as the soak does: what they keep is weighed at its end.
  return { issuer, key, tell, pool, hasty: serverWith(HASTY), usual: serverWith({}) }
}

async function soak(scene, plan) {
  const { pool, hasty } = scene
  const collect = exposedFullGc()
  // Caches are full before the heap is weighed: what they hold is bounded, and no growth.
  for (const token of pool.splice(0, CACHE_ENTRIES)) await hasty(bearerOf(token))
  await burst(scene)
  const before = await heldBytes(collect)

  const rows = []
  for (const trouble of TROUBLES) rows.push(...(await underTrouble(scene, trouble, plan.troubleSeconds)))
  rows.push(await burst(scene))
  rows.push(...(await flood(scene, plan.floodSeconds)))
  const growth = ((await heldBytes(collect)) - before) / 2 ** 20
  rows.push({ what: 'memory kept after it all, beyond the start', ...atMost(growth, MOST_GROWTH_MIB, ' MiB') })
  return rows
}

/** Requests with a known key, at a steady beat, while something goes on; none may fail, none may wait. */
function steadyRequests({ pool }, call) {
  const known = pool.shift()
  const waiting = []
  let failures = 0
  let longest = 0
  let count = 0
  const ask = async (token) => {
    const start = performance.now()
    try {
      await call(bearerOf(token))
    } catch {
      failures++
    }
    longest = Math.max(longest, performance.now() - start)
    count++
  }
  const timer = setInterval(() => waiting.push(ask(known), ask(pool.shift())), BEAT_MILLISECONDS)
  return async (what) => {
    clearInterval(timer)
    await Promise.all(waiting)
    return [
      { what: `${what}: failed of ${whole(count)} known-key requests`, ...atMost(failures, 0, '') },
      { what: `${what}: longest known-key request`, ...atMost(longest, MOST_MILLISECONDS, ' ms') },
    ]
  }
}

async function underTrouble(scene, trouble, seconds) {
  progress(`soak: the key endpoint ${trouble} for ${seconds} s`)
  const { fetches: before } = await scene.tell({ trouble })
  const end = steadyRequests(scene, scene.hasty)
  await sleep(seconds * 1000)
  const { fetches, mostSent } = await scene.tell({ trouble: null })
  const rows = await end(`the key endpoint ${trouble}`)
  // Without a fetch in this time the rows above say nothing.
  rows.push({ what: `the key endpoint ${trouble}: fetches tried`, ...atLeast(fetches - before, 1) })
  if (trouble === 'answers 64 MiB') {
    rows.push({
      what: `the key endpoint ${trouble}: most bytes taken`,
      ...atMost(mostSent / 2 ** 20, MOST_SENT_BYTES / 2 ** 20, ' MiB'),
    })
  }
  return rows
}

/** Many new tokens in one turn of the event loop. Proofs on the loop would hold it for as long as they take together. */
async function burst({ usual: call, pool, key }) {
  progress('soak: a burst of new tokens')
  await call(bearerOf(pool[0]))
  const tokens = pool.splice(0, BURST)
  const raw = await peerNamed('crypto.verify').create({ jwks: { keys: [key.jwk] } }, 'EdDSA')
  const parts = tokens.map(partsOf)
  const start = performance.now()
  for (const each of parts) raw(each)
  const onTheLoop = performance.now() - start

  const delay = monitorEventLoopDelay({ resolution: 1 })
  delay.enable()
  await sleep(50)
  delay.reset()
  await Promise.all(tokens.map((token) => call(bearerOf(token))))
  await sleep(20)
  delay.disable()
  return {
    what: `burst of ${whole(BURST)} new tokens: longest stall of the event loop (proofs on it: ${onTheLoop.toFixed(0)} ms)`,
    ...atMost(delay.max / 1e6, Math.round(onTheLoop / 2), ' ms'),
  }
}

/** Invented key ids by the thousand, known keys beside them, and in the midst of it a new key that is real. */
async function flood(scene, seconds) {
  const { usual: call, pool, tell, key } = scene
  const { fetches: before } = await tell({})
  const end = steadyRequests(scene, call)
  const added = newKey(scene, call, seconds)

  const [, payload] = pool[0].toString('latin1').split('.')
  const answers = new Map()
  const count = (answer) => answers.set(answer, (answers.get(answer) ?? 0) + 1)
  const start = performance.now()
  let sent = 0
  while (performance.now() - start < seconds * 1000) {
    const due = Math.floor(((performance.now() - start) / 1000) * FLOOD_PER_SECOND)
    // A machine that cannot keep up must not pile up requests either: at most two turns' worth at once.
    const most = sent + (2 * FLOOD_PER_SECOND * FLOOD_TURN_MILLISECONDS) / 1000
    for (; sent < Math.min(due, most); sent++) {
      const header = Buffer.from(JSON.stringify(headerOf({ algorithm: 'EdDSA', kid: randomBytes(9).toString('base64url') })))
      const token = `${header.toString('base64url')}.${payload}.${SIGNATURE}`
      refused(call, `Bearer ${token}`).then(count)
    }
    progress(`soak: random key ids, ${Math.round((performance.now() - start) / 1000)} of ${seconds} s`)
    await sleep(FLOOD_TURN_MILLISECONDS)
  }
  const { fetches } = await tell({})
  const rate = sent / seconds
  const rows = [
    { what: `${whole(rate)} random key ids a second: fetches in ${seconds} s`, ...atMost(fetches - before, MOST_FETCHES, '') },
    ...(await end('random key ids')),
    {
      what: 'random key ids: seconds until a key published meanwhile works',
      ...atMost(await added, MOST_SECONDS_TO_NEW_KEY, ' s'),
    },
    { what: 'random key ids: accepted', ...atMost(answers.get('accepted') ?? 0, 0, '') },
  ]
  await tell({ jwks: { keys: [key.jwk] } })
  process.stderr.write(
    `answers to random key ids: ${[...answers].map(([answer, times]) => `${answer} ${whole(times)}`).join(', ')}\n`,
  )
  return rows
}

const SIGNATURE = randomBytes(64).toString('base64url')

async function refused(call, authorization) {
  try {
    await call(authorization)
    return 'accepted'
  } catch (error) {
    return error.code ?? error.message
  }
}

/** Publishes a key in the middle of a flood and asks with it, from then on and a little before, until it works. */
async function newKey({ issuer, key, tell }, call, seconds) {
  await sleep((seconds * 1000) / 2)
  const added = createSigningKey('EdDSA')
  const [token] = await signPool({ issuer: { issuer, key: () => added }, algorithm: 'EdDSA', count: 1 })
  await refused(call, bearerOf(token)) // asked for just before it was published: it may be remembered as unknown now
  await tell({ jwks: { keys: [key.jwk, added.jwk] } })
  const start = performance.now()
  while ((await refused(call, bearerOf(token))) !== 'accepted') {
    if (performance.now() - start > 2000 * MOST_SECONDS_TO_NEW_KEY) return Number.POSITIVE_INFINITY
    await sleep(100)
  }
  return (performance.now() - start) / 1000
}

async function heldBytes(collect) {
  for (let time = 0; time < 3; time++) {
    collect()
    await sleep(20)
  }
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}
