/**
 * Measures, in a process of its own, what refused bodies of 64 MiB cost in memory. Imports the built package: `npm test` builds
 * it first. Argument: the origin of a server with a good set at `/jwks` and a flood at `/flood`. Run with `--expose-gc`.
 */
import { createResourceServer } from '@behalf/core/adapter'
import { oauth } from '@behalf/core/issuers'

const ORIGIN = process.argv[2]
const ISSUER = 'https://as.example.test'
const WARM_UPS = 10
const FLOODS = 10

/** Heap and external memory (array buffers included) that are in use. What is collected is taken off the figures a little later. */
async function used() {
  for (let round = 0; round < 3; round++) {
    globalThis.gc()
    await new Promise((resolve) => setImmediate(resolve))
  }
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}

/** Refuses floods, as many as are wanted; keys are asked for at once by `refresh()`. */
async function floods(count, fetch = globalThis.fetch) {
  const server = createResourceServer({
    issuers: [oauth({ issuer: ISSUER, audience: 'a', jwksUri: `${ORIGIN}/flood` })],
    fetch,
    limits: { fetchTotalMilliseconds: 60_000 }, // looking at the memory takes its time
  })
  let refused = 0
  for (let index = 0; index < count; index++) {
    await server.keys.refresh(ISSUER).catch(({ code, cause }) => {
      if (code === 'keys_unavailable' && cause.message === 'the answer is too large') refused++
    })
  }
  await server.close()
  return refused
}

const good = createResourceServer({ issuers: [oauth({ issuer: ISSUER, audience: 'a', jwksUri: `${ORIGIN}/jwks` })] })
await good.ready()
await good.close()

let peak = 0
let sampled = 0
let base = Number.POSITIVE_INFINITY
/** The same bytes, with a look at the memory whenever some of them are read. */
async function sampling(url, init) {
  const response = await globalThis.fetch(url, init)
  async function* chunks() {
    for await (const chunk of response.body) {
      sampled++
      peak = Math.max(peak, (await used()) - base)
      yield chunk
    }
  }
  return new Response(ReadableStream.from(chunks()), { status: response.status, headers: response.headers })
}

let refused = await floods(WARM_UPS)
refused += await floods(2, sampling)
base = await used()
peak = 0
sampled = 0
refused += await floods(FLOODS)
const grown = (await used()) - base
refused += await floods(3, sampling)
process.stdout.write(JSON.stringify({ refused, grown, peak, sampled }))
