// Run with --expose-gc by memory.mjs: signs, verifies and forgets tokens, and weighs the heap.
import { createResourceServer } from '@behalf/core'
import { oauth } from '@behalf/core/issuers'
import { signCompact } from '@behalf/testing'
import { AUDIENCE, claimsOf, headerOf, padded, startIssuer } from './tokens.mjs'

const ALGORITHM = 'ES256'
const BATCH = 250
const AT_ONCE = 32
const MIB = 2 ** 20

const { cache, count } = JSON.parse(process.argv[2])
const issuer = await startIssuer()
const key = issuer.key(ALGORITHM)
const server = createResourceServer({
  issuers: [oauth({ issuer: issuer.issuer, audience: AUDIENCE, jwks: issuer.jwks() })],
  ...(cache && { cache }),
})

const newToken = () => signCompact(headerOf(key), JSON.stringify(padded(claimsOf(issuer.issuer), ALGORITHM)), key)

async function verifyMany(tokens) {
  let left = tokens
  let peak = 0
  while (left > 0) {
    const batch = Array.from({ length: Math.min(BATCH, left) }, newToken)
    left -= batch.length
    for (let at = 0; at < batch.length; at += AT_ONCE)
      await Promise.all(batch.slice(at, at + AT_ONCE).map((token) => server.verify(token)))
    peak = Math.max(peak, process.memoryUsage().heapUsed)
    if (left % 5000 === 0) process.send({ done: count - left })
  }
  return peak
}

/** Heap and what lies outside of it, after everything that can go has gone. */
async function weigh() {
  for (let time = 0; time < 3; time++) {
    globalThis.gc()
    await new Promise((resolve) => setImmediate(resolve))
  }
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}

await verifyMany(100) // compiled code and keys are not the cache's
const before = await weigh()
const firstPeak = await verifyMany(Math.floor(count / 2))
const halfWay = await weigh()
const secondPeak = await verifyMany(Math.ceil(count / 2))
const after = await weigh()
process.send({
  result: {
    tokens: count,
    beforeMiB: before / MIB,
    halfWayMiB: halfWay / MIB,
    afterMiB: after / MIB,
    heldMiB: (after - before) / MIB,
    lateGrowthMiB: (after - halfWay) / MIB,
    peakMiB: Math.max(firstPeak, secondPeak) / MIB,
    residentMiB: process.resourceUsage().maxRSS / 1024,
  },
})
await issuer.close()
