// One verification, without HTTP: every peer beside the raw primitive of the same algorithm.
import { createResourceServer } from '@behalf/core'
import { measureChecks } from './checks-micro.mjs'
import { guardOptions, recentEventsSink, requestThrough } from './exchange.mjs'
import { exposedGc } from './gc.mjs'
import { PEERS } from './peers.mjs'
import { inRounds, median, medianOfPairs } from './rounds.mjs'
import { fixed, printTable, progress, whole } from './table.mjs'
import { manyAtOnce, oneByOne } from './timed-calls.mjs'
import { ALGORITHMS, bearerOf, environmentOf, forged, partsOf, signPool, startIssuer, textOf } from './tokens.mjs'

const FLOOR = 'crypto.verify'
const DIRECT = 'behalf, authenticate'
const DELEGATED = 'behalf, authenticate delegated'
const AT_ONCE = 32

const MODES = [
  { name: 'cold', repeated: false, lanes: 1 },
  { name: 'cold, 32 at once', repeated: false, lanes: AT_ONCE },
  { name: 'hot', repeated: true, lanes: 1 },
  { name: 'hot, 32 at once', repeated: true, lanes: AT_ONCE },
]

const FULL = { rounds: 15, milliseconds: 50, pool: 3000, copies: 12_000, modes: MODES, keeps: () => true }
const QUICK = {
  rounds: 4,
  milliseconds: 10,
  pool: 500,
  copies: 2000,
  modes: MODES.slice(0, 3),
  // The rows that the aims speak of, and a library to compare with.
  keeps: ({ name, kind }, algorithm) => algorithm === 'RS256' || kind === 'behalf' || name === FLOOR || name === 'jose',
}

export async function runMicro({ quick }) {
  const plan = quick ? QUICK : FULL
  const issuer = await startIssuer()
  try {
    const results = {}
    for (const algorithm of ALGORITHMS) {
      results[algorithm] = await measureAlgorithm(issuer, algorithm, plan)
      print(algorithm, results[algorithm])
    }
    const checks = await measureChecks({ issuer, quick })
    return { rounds: plan.rounds, algorithms: results, delegated: delegatedExtra(results), checks }
  } finally {
    await issuer.close()
  }
}

async function measureAlgorithm(issuer, algorithm, plan) {
  progress(`micro ${algorithm}: signing`)
  const pools = {
    direct: await signPool({ issuer, algorithm, count: plan.pool }),
    delegated: await signPool({ issuer, algorithm, count: plan.pool, delegated: true }),
  }
  const environment = environmentOf(issuer)
  const peers = PEERS.filter((peer) => peer.algorithms.includes(algorithm) && plan.keeps(peer, algorithm))
  const subjects = peers.map((peer) => ({ peer, call: null }))
  for (const subject of subjects) await checkThatItGuards(subject.peer, environment, algorithm, pools)

  await checkThatDelegationIsRecorded(environment, pools.delegated[0])

  const collectYoung = exposedGc()
  const modes = {}
  for (const mode of plan.modes) {
    const measured = mode.repeated ? subjects.filter(({ peer }) => peer.input !== 'parts' || peer.name === FLOOR) : subjects
    const samples = await inRounds({
      subjects: measured,
      rounds: plan.rounds,
      warmUpRounds: 1,
      progress: (text) => progress(`micro ${algorithm} ${mode.name}: ${text}`),
      async measure(subject) {
        const { peer } = subject
        const pool = pools[peer.tokens]
        // A peer that remembers must not meet a token of the round before: it starts anew, keys at hand, before the clock does.
        if (subject.call === null || (peer.remembers && !mode.repeated)) {
          subject.call = await peer.create(environment, algorithm)
          for (const token of pool.slice(-4)) await subject.call(inputOf(peer, token))
        }
        const inputs = mode.repeated
          ? Array.from({ length: plan.copies }, () => inputOf(peer, pool[0]))
          : pool.slice(0, -4).map((token) => inputOf(peer, token))
        if (mode.repeated) await subject.call(inputs[0])
        collectYoung()
        return mode.lanes === 1
          ? oneByOne(subject.call, inputs, plan, !mode.repeated)
          : manyAtOnce(subject.call, inputs, plan, mode.lanes)
      },
    })
    modes[mode.name] = summarize(samples)
  }
  return modes
}

/** A benchmark of a guard that does not guard is worthless. */
async function checkThatItGuards(peer, environment, algorithm, pools) {
  const call = await peer.create(environment, algorithm)
  const [token] = pools[peer.tokens]
  const answer = async (bytes) => {
    try {
      return (await call(inputOf(peer, bytes))) ? 'accepted' : 'refused'
    } catch (error) {
      return `refused (${error?.code ?? error?.message})`
    }
  }
  const good = await answer(token)
  if (good !== 'accepted') throw new Error(`${peer.name} does not accept a valid ${algorithm} token: ${good}`)
  if ((await answer(forged(token))) === 'accepted') throw new Error(`${peer.name} accepts a forged ${algorithm} token`)
}

function inputOf({ input }, token) {
  if (input === 'token') return textOf(token)
  if (input === 'authorization') return bearerOf(token)
  return partsOf(token)
}

/** Nor is a delegated call that passes for a direct one worth a figure: its decision and its outcome must reach the sink. */
async function checkThatDelegationIsRecorded(environment, token) {
  const sink = recentEventsSink()
  await requestThrough(createResourceServer(guardOptions(environment, sink)))(bearerOf(token))
  if (sink.count !== 2) throw new Error(`a delegated call left ${sink.count} events in the sink, not a decision and an outcome`)
}

function summarize(samples) {
  const floor = [...samples].find(([{ peer }]) => peer.name === FLOOR)[1]
  return [...samples].map(([{ peer }, nanoseconds]) => ({
    name: peer.name,
    kind: peer.kind,
    nanoseconds: median(nanoseconds),
    perSecond: 1e9 / median(nanoseconds),
    ratio: medianOfPairs(floor, nanoseconds, (raw, own) => raw / own),
    samples: nanoseconds.map(Math.round),
  }))
}

/** What a delegated call costs beyond a direct one: rules, and two events. */
function delegatedExtra(results) {
  return Object.entries(results).map(([algorithm, modes]) => {
    const of = (name) => modes.hot.find((row) => row.name === name)
    const [direct, delegated] = [of(DIRECT), of(DELEGATED)]
    const extra = medianOfPairs(direct.samples, delegated.samples, (one, other) => other - one)
    return {
      algorithm,
      directNanoseconds: direct.nanoseconds,
      delegatedNanoseconds: delegated.nanoseconds,
      extraMicroseconds: extra / 1000,
    }
  })
}

function print(algorithm, modes) {
  const names = [...new Set(Object.values(modes).flatMap((rows) => rows.map(({ name }) => name)))]
  const of = (mode, name) => modes[mode]?.find((row) => row.name === name)
  printTable(
    `${algorithm}: verifications a second, and their ratio to one raw synchronous crypto.verify of the same round`,
    ['', ...MODES.flatMap(({ name }) => [`${name} /s`, 'ratio'])],
    names.map((name) => [
      name,
      ...MODES.flatMap((mode) => [whole(of(mode.name, name)?.perSecond), fixed(of(mode.name, name)?.ratio)]),
    ]),
  )
}
