// A route that demands a proof of possession with each request, over HTTP.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { request as httpRequest } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startChild } from './child.mjs'
import { guardsFor, PEER } from './dpop-guards.mjs'
import { createClients, signPairs, trials, withTokens } from './dpop-pairs.mjs'
import { TARGET } from './dpop-target.mjs'
import { UNGUARDED } from './guards.mjs'
import { inRounds, medianOfPairs } from './rounds.mjs'
import { fixed, progress, whole } from './table.mjs'
import { environmentOf } from './tokens.mjs'
import { measureWindow, printServed, startServer, summarize, underLoad } from './under-load.mjs'

/** With each request a new token. */
const COLD = 'cold'

/** One token for each client. */
const HOT = 'hot'

/** What an API sees: many clients, each with a token that it uses for some minutes. */
const HOT_CLIENTS = 100

/**
 * No proof is used twice by a server: its process remembers them. All servers of a round are shown the same pairs, which are signed
 * right before it. `pairs`: of a round; where they are used up a window ends early. `algorithm`: of the tokens, proofs
 * are ES256 throughout. `clients`: how many take turns; `each`: every request is a new client's.
 */
const FULL = {
  warmUpPairs: 4000,
  pairs: 8000,
  settleMilliseconds: 100,
  windowMilliseconds: 600,
  scenarios: [
    { framework: 'express', heat: COLD, algorithm: 'RS256', clients: 1, rounds: 9 },
    { framework: 'express', heat: COLD, algorithm: 'ES256', clients: 1, rounds: 7 },
    { framework: 'express', heat: COLD, algorithm: 'ES256', clients: 'each', rounds: 7 },
    { framework: 'express', heat: HOT, algorithm: 'RS256', clients: HOT_CLIENTS, rounds: 5 },
    { framework: 'koa', heat: COLD, algorithm: 'RS256', clients: 1, rounds: 4 },
    { framework: 'koa', heat: HOT, algorithm: 'RS256', clients: HOT_CLIENTS, rounds: 4 },
  ],
}

const QUICK = {
  warmUpPairs: 1200,
  pairs: 3000,
  settleMilliseconds: 50,
  windowMilliseconds: 250,
  scenarios: [
    { framework: 'express', heat: COLD, algorithm: 'RS256', clients: 1, rounds: 3 },
    { framework: 'express', heat: COLD, algorithm: 'ES256', clients: 'each', rounds: 3 },
    { framework: 'express', heat: HOT, algorithm: 'RS256', clients: HOT_CLIENTS, rounds: 2 },
    { framework: 'koa', heat: COLD, algorithm: 'RS256', clients: 1, rounds: 2 },
  ],
}

export async function measureHttp({ issuer, quick }) {
  const plan = quick ? QUICK : FULL
  const folder = mkdtempSync(join(tmpdir(), 'behalf-bench-dpop-'))
  const load = startChild('./http-load.mjs')
  try {
    const scenarios = []
    for (const scenario of plan.scenarios) {
      const title = titleOf(scenario)
      const pairs = createPairs({ ...scenario, title, issuer, folder, load })
      const rows = await measureScenario({ ...scenario, title, plan, issuer, load, pairs })
      const against = ({ ofPeer }) => fixed(ofPeer)
      printServed(title, rows, [
        ['a proof again', ({ replay }) => replay],
        ['of the peer', against],
      ])
      scenarios.push({ ...scenario, title, rows })
    }
    return { scenarios }
  } finally {
    load.end()
    rmSync(folder, { recursive: true, force: true })
  }
}

function titleOf({ framework, heat, algorithm, clients }) {
  const whose = clients === 'each' ? 'a new client each time' : clients === 1 ? 'one client' : `${clients} clients`
  return `DPoP, ${framework} ${heat} ${algorithm}, ${whose}`
}

/** Pairs of the round that is measured, in a file that the load process has read. */
function createPairs({ title, issuer, algorithm, heat, clients, folder, load }) {
  const once = clients === 'each' ? null : createClients(clients)
  const known = once !== null && heat === HOT ? withTokens(once, issuer, algorithm) : once
  let current = { round: null, file: null }
  return {
    /** What the load process is told: which pairs, and that none comes twice. */
    async of(round, count) {
      const given = () => ({ file: current.file, from: 0, to: count })
      if (current.round === round) return given()
      if (current.file !== null) {
        load.send({ command: 'forget', file: current.file })
        rmSync(current.file)
      }
      progress(`http ${title}: signing ${whole(count)} pairs`)
      const lines = await signPairs({ issuer, algorithm, clients: known ?? createClients(count), count })
      current = { round, file: join(folder, `${title.replaceAll(/\W+/g, '-')}-${round}.txt`) }
      writeFileSync(current.file, lines.join('\n'))
      await load.ask({ command: 'prepare', file: current.file }, ({ prepared }) => prepared)
      return given()
    },
  }
}

async function measureScenario(bench) {
  const { title, framework, algorithm, rounds, plan, issuer, pairs } = bench
  const guards = guardsFor(framework)
  const environment = environmentOf(issuer)
  const servers = guards.map(({ name }) =>
    startServer({ guards: './dpop-guards.mjs', guard: name, framework, algorithm, environment }),
  )
  try {
    const subjects = await Promise.all(servers.map(async (server, index) => ({ guard: guards[index], server: await server })))
    for (const { guard, server } of subjects) {
      await checkThatItGuards(server.port, guard, trials(issuer, algorithm), title)
      progress(`http ${title}: ${guard.name} warms up`)
      await underLoad(bench, server, await pairs.of('warm-up', plan.warmUpPairs), (low) => low)
    }
    const samples = await inRounds({
      subjects,
      rounds,
      progress: (text) => progress(`http ${title}: ${text}`),
      measure: async (subject, round) => measureWindow(bench, subject, await pairs.of(round, plan.pairs)),
    })
    return besidePeer(summarize(samples, UNGUARDED), guards)
  } finally {
    for (const server of await Promise.allSettled(servers)) server.value?.end()
  }
}

/** Throughput as a ratio to the peer's, round by round; `null` where there is no peer. */
function besidePeer(rows, guards) {
  const peer = rows.find(({ name }) => name === PEER)?.windows
  return rows.map((row, index) => ({
    ...row,
    replay: guards[index].replay,
    ofPeer: peer === undefined ? null : medianOfPairs(peer, row.windows, (theirs, own) => own.perSecond / theirs.perSecond),
  }))
}

/** What must be refused is; what must be accepted is; and a used proof has the fate that the table says. */
async function checkThatItGuards(port, guard, cases, title) {
  const expect = async (what, trial, accepted) => {
    const status = await ask(port, trial)
    if ((status === 200) !== accepted) throw new Error(`${title}: ${guard.name} answers ${status} to ${what}`)
  }
  for (const trial of cases) await expect(trial.what, trial, trial.good || guard.name === UNGUARDED)
  await expect('a used proof', cases[0], guard.replay === 'accepted')
}

function ask(port, { token, proof, scheme = 'DPoP' }) {
  const headers = {
    host: new URL(TARGET).host,
    ...(token !== null && { authorization: `${scheme} ${token}` }),
    ...(proof !== null && { dpop: proof }),
  }
  return new Promise((resolve, reject) => {
    const request = httpRequest({ port, host: '127.0.0.1', path: '/orders', headers }, (response) => {
      response.resume().once('end', () => resolve(response.statusCode))
    })
    request.once('error', reject).end()
  })
}
