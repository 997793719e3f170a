// The same route behind every guard, over HTTP: throughput, latency and the server's CPU time a request.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startChild } from './child.mjs'
import { GUARDS, UNGUARDED } from './guards.mjs'
import { inRounds } from './rounds.mjs'
import { progress, whole } from './table.mjs'
import { environmentOf, forged, signPool, startIssuer } from './tokens.mjs'
import { measureWindow, printServed, startServer, summarize, underLoad, warmUp } from './under-load.mjs'

const BARE = [UNGUARDED, 'by hand, thread pool', 'fast-jwt, cache', 'jose', 'aws-jwt-verify']

/**
 * What is measured. Every guard has a process of its own for a whole scenario: a server is warm only after thousands of requests.
 * `warmUp` ends by requests or by time, whichever comes first. `segment`: new tokens for one cold window; where they are used up
 * the window ends early, none comes again. PS256, ES256 and EdDSA are for those who verify by hand or by a bare library.
 */
const FULL = {
  warmUp: { requests: 12_000, milliseconds: 3000, newTokens: 3000 },
  settleMilliseconds: 150,
  windowMilliseconds: 1000,
  segment: 8000,
  scenarios: [
    { framework: 'koa', heat: 'hot', algorithm: 'RS256', rounds: 9 },
    { framework: 'express', heat: 'hot', algorithm: 'RS256', rounds: 7 },
    { framework: 'koa', heat: 'cold', algorithm: 'RS256', rounds: 5 },
    { framework: 'express', heat: 'cold', algorithm: 'RS256', rounds: 5 },
    ...['PS256', 'ES256', 'EdDSA'].map((algorithm) => ({ framework: 'koa', heat: 'cold', algorithm, rounds: 4, only: BARE })),
  ],
}

const QUICK = {
  warmUp: { requests: 5000, milliseconds: 900, newTokens: 400 },
  settleMilliseconds: 60,
  windowMilliseconds: 300,
  segment: 2000,
  scenarios: [
    { framework: 'koa', heat: 'hot', algorithm: 'RS256', rounds: 3, only: [UNGUARDED, 'fast-jwt, cache'] },
    { framework: 'express', heat: 'hot', algorithm: 'RS256', rounds: 2, only: [UNGUARDED, 'fast-jwt, cache'] },
    { framework: 'koa', heat: 'cold', algorithm: 'RS256', rounds: 2, only: [UNGUARDED, 'fast-jwt, cache', 'jose'] },
    ...['PS256', 'ES256', 'EdDSA'].map((algorithm) => ({ framework: 'koa', heat: 'cold', algorithm, rounds: 1, only: ['jose'] })),
  ],
}

function guardsOf({ framework, heat, algorithm, only }) {
  return GUARDS.filter((guard) => {
    if (guard[framework] === undefined || !guard.algorithms.includes(algorithm)) return false
    if (guard.tokens === 'delegated') return heat === 'hot'
    if (guard.name === 'by hand, thread pool' && framework === 'express') return false
    return only === undefined || guard.kind === 'behalf' || only.includes(guard.name)
  })
}

export async function runHttp({ quick }) {
  const plan = quick ? QUICK : FULL
  const folder = mkdtempSync(join(tmpdir(), 'behalf-bench-'))
  const issuer = await startIssuer()
  const load = startChild('./http-load.mjs', [])
  try {
    const environment = environmentOf(issuer)
    const pools = createPools(issuer, folder, load, plan)
    const scenarios = []
    for (const scenario of plan.scenarios) {
      const title = `${scenario.framework} ${scenario.heat} ${scenario.algorithm}`
      const rows = await measureScenario({ ...scenario, title, plan, environment, load, pools })
      printServed(title, rows)
      scenarios.push({ ...scenario, title, rows })
    }
    return { scenarios }
  } finally {
    load.end()
    await issuer.close()
    rmSync(folder, { recursive: true, force: true })
  }
}

/** Files of tokens for the load process, each made once; besides them a token for the check that comes before the load. */
function createPools(issuer, folder, load, { scenarios, segment, warmUp }) {
  const made = new Map()
  const most = (algorithm) =>
    Math.max(...scenarios.filter((each) => each.algorithm === algorithm && each.heat === 'cold').map((each) => each.rounds))
  const make = async (algorithm, tokens, repeated) => {
    const count = repeated ? 1 : warmUp.newTokens + most(algorithm) * segment
    progress(`http: signing ${whole(count)} ${algorithm} tokens`)
    const [sample, ...pool] = await signPool({ issuer, algorithm, count: count + 1, delegated: tokens === 'delegated' })
    const file = join(folder, `${algorithm}-${tokens}-${count}.txt`)
    writeFileSync(file, pool.join('\n'))
    await load.ask({ command: 'prepare', file }, ({ prepared }) => prepared)
    return { file, sample }
  }
  return {
    of(algorithm, tokens, { repeated }) {
      const name = `${algorithm} ${tokens} ${repeated}`
      if (!made.has(name)) made.set(name, make(algorithm, tokens, repeated))
      return made.get(name)
    },
  }
}

async function measureScenario(bench) {
  const { title, rounds, heat, plan, framework, algorithm, environment, pools } = bench
  const once = heat === 'cold'
  const servers = guardsOf(bench).map((guard) =>
    startServer({ guards: './guards.mjs', guard: guard.name, framework, algorithm, environment }),
  )
  const subjects = []
  try {
    for (const [index, guard] of guardsOf(bench).entries()) {
      progress(`http ${title}: ${guard.name} warms up`)
      const repeated = await pools.of(algorithm, guard.tokens, { repeated: true })
      const fresh = once ? await pools.of(algorithm, guard.tokens, { repeated: false }) : null
      const server = await servers[index]
      subjects.push({ guard, server, file: (fresh ?? repeated).file })
      await checkThatItGuards(server.port, guard, repeated.sample, title)
      await warmUp(bench, server, repeated.file, plan.warmUp)
      if (once) await underLoad(bench, server, { file: fresh.file, from: 0, to: plan.warmUp.newTokens }, (low) => low)
    }
    const samples = await inRounds({
      subjects,
      rounds,
      progress: (text) => progress(`http ${title}: ${text}`),
      measure: (subject, round) => windowOf(bench, subject, round, once),
    })
    return summarize(samples, UNGUARDED)
  } finally {
    for (const server of await Promise.allSettled(servers)) server.value?.end()
  }
}

function windowOf(bench, subject, round, once) {
  const { segment, warmUp: before } = bench.plan
  const from = before.newTokens + round * segment
  return measureWindow(bench, subject, once ? { file: subject.file, from, to: from + segment } : { file: subject.file })
}

/** A guard that lets a forged token pass, or stops a good one, is not worth a figure. */
async function checkThatItGuards(port, guard, sample, title) {
  const ask = async (headers) => {
    const response = await fetch(`http://127.0.0.1:${port}/orders`, { headers })
    await response.arrayBuffer()
    return response.status
  }
  const refusal = guard.name === UNGUARDED ? 200 : 401
  const cases = [
    ['a valid token', { authorization: `Bearer ${sample.toString('latin1')}` }, 200],
    ['a forged token', { authorization: `Bearer ${forged(sample).toString('latin1')}` }, refusal],
    ['no token', {}, refusal],
  ]
  for (const [what, headers, wanted] of cases) {
    const status = await ask(headers)
    if (status !== wanted) throw new Error(`${title}: ${guard.name} answers ${status} to ${what}, not ${wanted}`)
  }
}
