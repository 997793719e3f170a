// The same route behind every guard, over HTTP: throughput, latency and the server's CPU time a request.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { startChild } from './child.mjs'
import { GUARDS, UNGUARDED } from './guards.mjs'
import { inRounds, median, medianOfPairs } from './rounds.mjs'
import { fixed, printTable, progress, whole } from './table.mjs'
import { environmentOf, forged, signPool, startIssuer } from './tokens.mjs'

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
      print(title, rows)
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
  const { title, rounds, heat, plan, algorithm, pools } = bench
  const once = heat === 'cold'
  const servers = guardsOf(bench).map((guard) => startServer({ ...bench, guard: guard.name }))
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
      measure: (subject, round) => measureWindow(bench, subject, round, once),
    })
    return summarize(samples)
  } finally {
    for (const server of await Promise.allSettled(servers)) server.value?.end()
  }
}

function warmUp(bench, server, file, { requests, milliseconds }) {
  return underLoad(bench, server, { file }, async () => {
    const start = Date.now()
    let served = 0
    while (Date.now() - start < milliseconds && served < requests) {
      await sleep(100)
      served = (await server.ask()).served
    }
  })
}

/**
 * Does something while a server is under load. `from` and `to`: tokens of the file of which none is used twice; without them
 * they come round and round.
 */
async function underLoad({ title, load }, server, given, act) {
  const low = load.until((message) => message.low)
  const ended = load.until((message) => message.ended)
  load.send({ command: 'start', port: server.port, ...given })
  const result = await act(low.promise)
  load.send({ command: 'stop' })
  const { statuses } = await ended.promise
  low.forget()
  const wrong = Object.entries(statuses).filter(([status]) => status !== '200')
  if (wrong.length > 0)
    throw new Error(`${title}: ${server.guard} answered ${wrong.map(([status, count]) => `${status} x ${count}`)}`)
  return result
}

async function measureWindow(bench, { guard, server, file }, round, once) {
  const { title, load, plan } = bench
  const from = plan.warmUp.newTokens + round * plan.segment
  const tokens = once ? { file, from, to: from + plan.segment } : { file }
  return underLoad(bench, server, tokens, async (low) => {
    await sleep(plan.settleMilliseconds)
    const before = await server.ask()
    load.send({ command: 'mark' })
    await Promise.race([sleep(plan.windowMilliseconds), low])
    const [after, { result }] = await Promise.all([server.ask(), load.ask({ command: 'result' }, (message) => message.result)])
    const requests = after.served - before.served
    if (requests < 20) throw new Error(`${title}: ${guard.name} served ${requests} requests in a window: too few to say anything`)
    const milliseconds = after.at - before.at
    const cpu = after.cpuMicroseconds - before.cpuMicroseconds
    return {
      perSecond: (requests * 1000) / milliseconds,
      cpuMicroseconds: cpu / requests,
      p50: result.p50,
      p99: result.p99,
      serverBusy: cpu / 1000 / milliseconds,
      loadBusy: result.busy,
    }
  })
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

async function startServer({ framework, guard, algorithm, environment }) {
  const child = startChild('./http-server.mjs', [JSON.stringify({ framework, guard, algorithm, environment })])
  const { port } = await child.until((message) => message.port).promise
  return { guard, port, ask: () => child.ask({}, (message) => message.at), end: child.end }
}

/** Ratios and differences are taken round by round; where nobody went unguarded there are none. */
function summarize(samples) {
  const bare = [...samples].find(([{ guard }]) => guard.name === UNGUARDED)?.[1]
  return [...samples].map(([{ guard }, windows]) => {
    const of = (figure) => median(windows.map((window) => window[figure]))
    const beside = (join) => (bare === undefined ? null : medianOfPairs(bare, windows, join))
    return {
      name: guard.name,
      kind: guard.kind,
      tokens: guard.tokens,
      perSecond: of('perSecond'),
      ratio: beside((without, own) => own.perSecond / without.perSecond),
      cpuMicroseconds: of('cpuMicroseconds'),
      cpuAboveUnguarded: beside((without, own) => own.cpuMicroseconds - without.cpuMicroseconds),
      p50: of('p50'),
      p99: of('p99'),
      serverBusy: of('serverBusy'),
      loadBusy: of('loadBusy'),
      windows,
    }
  })
}

function print(title, rows) {
  printTable(
    `${title}, 32 connections`,
    ['', 'requests/s', 'ratio', 'CPU us', 'above unguarded', 'p50 ms', 'p99 ms', 'server busy', 'load busy'],
    rows.map((row) => [
      row.name,
      whole(row.perSecond),
      fixed(row.ratio),
      fixed(row.cpuMicroseconds, 1),
      fixed(row.cpuAboveUnguarded, 1),
      fixed(row.p50, 2),
      fixed(row.p99, 2),
      fixed(row.serverBusy),
      fixed(row.loadBusy),
    ]),
  )
}
