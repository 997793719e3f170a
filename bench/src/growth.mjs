// What one hot request costs as things grow: issuers, rules, cached tokens, scopes, chains. Flat is the aim.
import { performance } from 'node:perf_hooks'
import { createResourceServer } from '@behalf/core'
import { oauth } from '@behalf/core/issuers'
import { signCompact } from '@behalf/testing'
import { AGENT_RULE, recentEventsSink, requestThrough } from './exchange.mjs'
import { exposedGc } from './gc.mjs'
import { inRounds, median } from './rounds.mjs'
import { printTable, progress, whole } from './table.mjs'
import { AUDIENCE, bearerOf, claimsOf, headerOf, padded, SCOPE, signPool, startIssuer, textOf } from './tokens.mjs'

const ALGORITHM = 'EdDSA'
const FULL = { rounds: 15, requests: 4000, cached: [10, 1000, 100_000] }
const QUICK = { rounds: 4, requests: 1000, cached: [10, 1000, 4000] }

/** How much dearer the largest may be than the smallest and still be called flat: caches of the processor are not ours to mend. */
export const FLAT = 1.25

export async function runGrowth({ quick }) {
  const plan = quick ? QUICK : FULL
  const issuer = await startIssuer()
  try {
    const rows = []
    for (const measure of [issuersRow, rulesOfOthersRow, rulesOfIssuersRow, cachedRow, scopesRow, depthRow]) {
      const row = await measure(issuer, plan)
      rows.push(...(Array.isArray(row) ? row : [row]))
    }
    printTable(
      'Growth: ns for one hot request through authenticate() and guard(), from the least to the most',
      ['', 'sizes', 'ns', 'last / first'],
      rows.map(({ name, sizes, nanoseconds, ratio }) => [
        name,
        sizes.map(whole).join(' / '),
        nanoseconds.map(whole).join(' / '),
        ratio.toFixed(2),
      ]),
    )
    return { rows, flat: FLAT }
  } finally {
    await issuer.close()
  }
}

/** One issuer's options; all issuers of a row show the same key, since making 1,000 would take longer than the row. */
function optionsOf(issuer, iss = issuer.issuer) {
  return oauth({ issuer: iss, audience: AUDIENCE, jwks: { keys: [issuer.key(ALGORITHM).jwk] } })
}

function tokenOf(issuer, { iss = issuer.issuer, delegated = false, more = {} } = {}) {
  const key = issuer.key(ALGORITHM)
  return Buffer.from(signCompact(headerOf(key), JSON.stringify(padded(claimsOf(iss, { delegated, more }), ALGORITHM)), key))
}

function serverWith(options) {
  return requestThrough(createResourceServer(options), { guarded: true })
}

const issOf = (index) => `https://as-${index}.bench.example`

/** As many cached tokens whatever the number of issuers, spread over all of them: else the row would show the cache's growth too. */
function issuersRow(issuer, plan) {
  const tokens = 1000
  return growthOf('issuers', [1, 10, 100, 1000], plan, (count) => ({
    call: serverWith({ issuers: range(count).map((index) => optionsOf(issuer, issOf(index))) }),
    tokens: range(tokens).map((index) => tokenOf(issuer, { iss: issOf(index % count) })),
  }))
}

/** Delegated calls; the one rule that fits stands last. */
function rulesOfOthersRow(issuer, plan) {
  return growthOf('rules that do not fit: other actors', [1, 10, 100, 1000], plan, (count) => ({
    call: serverWith({
      issuers: [optionsOf(issuer)],
      delegation: [
        ...range(count).map((index) => ({ ...AGENT_RULE, id: `r${index}`, actor: { id: `agent-${index}` } })),
        AGENT_RULE,
      ],
      audit: { sinks: [recentEventsSink()] },
    }),
    tokens: [tokenOf(issuer, { delegated: true })],
  }))
}

function rulesOfIssuersRow(issuer, plan) {
  return growthOf('rules that do not fit: other issuers', [1, 10, 100, 1000], plan, (count) => ({
    call: serverWith({
      issuers: [optionsOf(issuer), ...range(count).map((index) => optionsOf(issuer, issOf(index)))],
      delegation: [...range(count).map((index) => ({ ...AGENT_RULE, id: `r${index}`, issuer: issOf(index) })), AGENT_RULE],
      audit: { sinks: [recentEventsSink()] },
    }),
    tokens: [tokenOf(issuer, { delegated: true })],
  }))
}

/** Tokens at random out of so many, all of them cached; beside it the least that a cache can do: a Map, and one comparison. */
async function cachedRow(issuer, plan) {
  const all = await signPool({ issuer, algorithm: ALGORITHM, count: plan.cached.at(-1) })
  const filled = (count) => all.slice(0, count)
  const bytes = 2 ** 31
  const own = await growthOf('cached tokens', plan.cached, plan, async (count) => {
    const tokens = filled(count)
    const call = serverWith({ issuers: [optionsOf(issuer)], cache: { maxEntries: count, maxBytes: bytes } })
    for (let at = 0; at < count; at += 32) await Promise.all(tokens.slice(at, at + 32).map((token) => call(bearerOf(token))))
    return { call, tokens }
  })
  const floor = await growthOf('  floor: a Map of so many tokens', plan.cached, plan, (count) => {
    const tokens = filled(count)
    const entries = new Map(tokens.map((token) => [textOf(token).slice(-43), { token: textOf(token) }]))
    const call = (authorization) => {
      const token = authorization.slice(7)
      if (entries.get(token.slice(-43))?.token !== token) throw new Error('not found')
      return true
    }
    return { call, tokens }
  })
  return [own, floor]
}

function scopesRow(issuer, plan) {
  return growthOf('scopes in the token', [1, 10, 100], plan, (count) => ({
    call: serverWith({ issuers: [optionsOf(issuer)] }),
    tokens: [tokenOf(issuer, { more: { scope: [SCOPE, ...range(count - 1).map((index) => `s${index}:read`)].join(' ') } })],
  }))
}

function depthRow(issuer, plan) {
  return growthOf('actors in the chain', [1, 4, 8], plan, (depth) => {
    const act = range(depth).reduceRight(
      (inner, index) => ({ sub: `agent-${index}`, sub_profile: 'ai_agent', ...(inner && { act: inner }) }),
      null,
    )
    return {
      call: serverWith({
        issuers: [optionsOf(issuer)],
        delegation: [{ ...AGENT_RULE, maxDepth: 8 }],
        audit: { sinks: [recentEventsSink()] },
      }),
      tokens: [tokenOf(issuer, { more: { act } })],
    }
  })
}

/** One subject for each size, all sizes in every round. */
async function growthOf(name, sizes, plan, prepare) {
  const collectYoung = exposedGc()
  const subjects = []
  for (const size of sizes) {
    progress(`growth ${name.trim()}: preparing ${whole(size)}`)
    const { call, tokens } = await prepare(size)
    for (const token of tokens) await call(bearerOf(token)) // proved once: from here on every request is hot
    subjects.push({ size, call, tokens })
  }
  const samples = await inRounds({
    subjects,
    rounds: plan.rounds,
    warmUpRounds: 1,
    progress: (text) => progress(`growth ${name.trim()}: ${text}`),
    async measure({ call, tokens }) {
      const requests = range(plan.requests).map(() => bearerOf(tokens[Math.floor(Math.random() * tokens.length)]))
      collectYoung()
      const start = performance.now()
      for (const request of requests) {
        const result = call(request)
        if (typeof result?.then === 'function') await result
      }
      return ((performance.now() - start) * 1e6) / requests.length
    },
  })
  const nanoseconds = subjects.map((subject) => median(samples.get(subject)))
  return { name, sizes, nanoseconds, ratio: nanoseconds.at(-1) / nanoseconds[0] }
}

function range(count) {
  return Array.from({ length: count }, (_, index) => index)
}
