// The aims, each judged by a figure of this run.
import { printTable, whole } from './table.mjs'

/**
 * @param {object} parts what the parts of a run returned; a part that did not run leaves its aims unjudged
 * @returns {{ part: string, figure: string, aim: string, measured: string, verdict: 'met' | 'missed' }[]}
 */
export function judgeAims(parts) {
  return Object.entries(JUDGES).flatMap(([part, judge]) => {
    if (parts[part] === undefined) return []
    return judge(parts[part]).map(({ figure, aim, measured, met }) => ({
      part,
      figure,
      aim,
      measured,
      verdict: met ? 'met' : 'missed',
    }))
  })
}

export function printAims(aims) {
  printTable(
    'Aims',
    ['', 'aim', 'measured', 'verdict'],
    aims.map(({ part, figure, aim, measured, verdict }) => [`${part}: ${figure}`, aim, measured, verdict]),
  )
}

function atLeast(figure, value, least, unit = '') {
  return { figure, aim: `at least ${least.toFixed(2)}${unit}`, measured: `${value.toFixed(2)}${unit}`, met: value >= least }
}

function atMost(figure, value, most, unit = '') {
  return { figure, aim: `at most ${most}${unit}`, measured: `${value.toFixed(2)}${unit}`, met: value <= most }
}

function ahead(figure, own, others) {
  const best = others.reduce((one, other) => (other.value > one.value ? other : one))
  return { figure, aim: `above ${best.name}, ${whole(best.value)}`, measured: whole(own), met: own > best.value }
}

function below(figure, own, others) {
  const best = others.reduce((one, other) => (other.value < one.value ? other : one))
  return {
    figure,
    aim: `below ${best.name}, ${best.value.toFixed(1)} us`,
    measured: `${own.toFixed(1)} us`,
    met: own < best.value,
  }
}

const JUDGES = {
  micro: judgeMicro,
  http: judgeHttp,
  growth: judgeGrowth,
  memory: judgeMemory,
  startup: judgeStartup,
  dpop: judgeDpop,
  audit: judgeAudit,
}

/** Delegated calls may cost so much more than direct ones, and a guarded call so much more than one without a guard. */
const DELEGATED_MICROSECONDS = 5
const HOT_MICROSECONDS = 5

const LEAST_COLD = { RS256: 0.8, PS256: 0.8 }
const LEAST_AT_ONCE = { RS256: 1, PS256: 1, ES256: 1.3, EdDSA: 1.3 }

/** Each further check may add so much to a request whose token is known. */
const CHECK_MICROSECONDS = 2

function judgeMicro({ algorithms, delegated, checks }) {
  const rows = []
  const judge = (mode, least) => {
    for (const [algorithm, bound] of Object.entries(least)) {
      for (const { name, ratio } of algorithms[algorithm][mode].filter(({ kind }) => kind === 'behalf')) {
        rows.push(atLeast(`${algorithm} ${mode}, ${name}, of crypto.verify`, ratio, bound))
      }
    }
  }
  judge('cold', LEAST_COLD)
  judge('cold, 32 at once', LEAST_AT_ONCE)
  for (const { algorithm, extraMicroseconds } of delegated) {
    rows.push(atMost(`${algorithm} hot, delegated beyond direct`, extraMicroseconds, DELEGATED_MICROSECONDS, ' us'))
  }
  for (const { name: group, rows: measured } of checks) {
    for (const { name, extraMicroseconds } of measured.slice(2)) {
      rows.push(atMost(`hot, ${group}, ${name}, added`, extraMicroseconds, CHECK_MICROSECONDS, ' us'))
    }
  }
  return rows
}

function judgeHttp({ scenarios }) {
  return scenarios.flatMap(({ title, framework, heat, algorithm, rows }) => {
    const own = rows.find(({ name }) => name === 'behalf')
    const delegated = rows.find(({ name }) => name === 'behalf, delegated')
    const peers = rows.filter(({ kind }) => kind === 'peer')
    const throughput = ahead(
      `${title}, requests/s`,
      own.perSecond,
      peers.map(({ name, perSecond }) => ({ name, value: perSecond })),
    )
    if (heat === 'cold') {
      const jose = rows.find(({ name }) => name === 'jose')
      if (framework !== 'koa') return []
      return algorithm === 'RS256'
        ? [throughput, atLeast(`${title}, of jose`, own.perSecond / jose.perSecond, 1.5)]
        : [throughput]
    }
    return [
      atMost(`${title}, CPU above unguarded`, own.cpuAboveUnguarded, HOT_MICROSECONDS, ' us'),
      atMost(
        `${title}, CPU above unguarded, delegated`,
        delegated.cpuAboveUnguarded,
        HOT_MICROSECONDS + DELEGATED_MICROSECONDS,
        ' us',
      ),
      below(
        `${title}, CPU a request`,
        own.cpuMicroseconds,
        peers.map(({ name, cpuMicroseconds }) => ({ name, value: cpuMicroseconds })),
      ),
      throughput,
      ...(framework === 'koa' ? [atLeast(`${title}, throughput of unguarded`, own.ratio, 0.85)] : []),
    ]
  })
}

const FLOOR_ROW = /floor/

/** Only what the aims name: scopes and chains may cost what they are long, and are shown. */
const NAMED_GROWTH = /issuers|rules|cached/

function judgeGrowth({ rows, flat }) {
  const floor = rows.find(({ name }) => FLOOR_ROW.test(name))
  return rows
    .filter(({ name }) => NAMED_GROWTH.test(name) && !FLOOR_ROW.test(name))
    .map(({ name, sizes, nanoseconds, ratio }) => {
      const range = `${name}, ${whole(sizes[0])} to ${whole(sizes.at(-1))}`
      if (name !== 'cached tokens') return atMost(`${range}, last / first`, ratio, flat)
      // What a plain Map of the same tokens loses to the processor's caches is not the guard's growth.
      const net = (nanoseconds.at(-1) - (floor.nanoseconds.at(-1) - floor.nanoseconds[0])) / nanoseconds[0]
      return atMost(`${range}, last / first without the floor's own growth (with it: ${ratio.toFixed(2)})`, net, flat)
    })
}

function judgeMemory({ runs }) {
  return runs.map(({ name, heldMiB, boundMiB, lateGrowthMiB }) => ({
    figure: `${name}: heap kept`,
    aim: `at most ${boundMiB} MiB, and no growth in the second half`,
    measured: `${heldMiB.toFixed(1)} MiB, ${lateGrowthMiB.toFixed(1)} in the second half`,
    met: heldMiB <= boundMiB && lateGrowthMiB <= LATE_GROWTH_MIB,
  }))
}

/** What a heap may differ by between two collections and still be the same. */
const LATE_GROWTH_MIB = 2

function judgeStartup({ rows, packages }) {
  const of = (name) => rows.find((row) => row.name === name)
  const own = of('@behalf/express')
  const peer = of('express-oauth2-jwt-bearer')
  const count = packages.find(({ name }) => name === '@behalf/express').others.length
  return [
    {
      figure: 'import @behalf/express',
      aim: `not above express-oauth2-jwt-bearer, ${peer.milliseconds.toFixed(1)} ms`,
      measured: `${own.milliseconds.toFixed(1)} ms`,
      met: own.milliseconds <= peer.milliseconds,
    },
    { figure: 'packages beside the framework and the adapter', aim: 'at most 3', measured: String(count), met: count <= 3 },
  ]
}

/** What a bearer token may cost more where proofs are taken too. */
const ALLOWED_NANOSECONDS = 500

/** A request that proves its sender is at least as fast as with the one peer that can do so, new tokens and new proofs throughout. */
function judgeDpop({ micro, http }) {
  const { extraNanoseconds } = micro.bearer.find(({ name }) => name === 'DPoP allowed')
  return [
    ...http.scenarios
      .filter(({ framework, heat }) => framework === 'express' && heat === 'cold')
      .map(({ title, rows }) => {
        const { ofPeer } = rows.find(({ name }) => name === 'behalf')
        return atLeast(`${title}, requests/s, of express-oauth2-jwt-bearer`, ofPeer, 1)
      }),
    atMost('a hot bearer token where DPoP is allowed, beyond not configured', extraNanoseconds, ALLOWED_NANOSECONDS, ' ns'),
  ]
}

/** A journal does so much more than its floors do: it may be half as fast. */
const LEAST_OF_FLOOR = 0.5

/** What a journal may add to a delegated request, in milliseconds. */
const ADDED_P50 = 1
const ADDED_P99 = 5

function judgeAudit({ throughput, latency, verify }) {
  return [
    ...throughput.rows
      .filter(({ name }) => name === 'journal')
      .map(({ lanes, ratio }) => atLeast(`${whole(lanes)} events in flight, of a bare group commit`, ratio, LEAST_OF_FLOOR)),
    judgeRate(latency.http),
    ...[latency.http, latency.core].flatMap(judgeLatency),
    atLeast('verify, of JSON.parse + SHA-256', verify.ratio, LEAST_OF_FLOOR),
  ]
}

/** The aims below it speak of this rate. */
function judgeRate({ perSecond, askedPerSecond }) {
  return {
    figure: 'requests a second over HTTP that this machine can ask and serve',
    aim: `at least ${whole(askedPerSecond)}`,
    measured: whole(perSecond),
    met: perSecond >= askedPerSecond,
  }
}

function judgeLatency({ way, perSecond, rows }) {
  const where = `${whole(perSecond)} a second ${way}`
  const { extraP50, extraP99, otherwise } = rows.find(({ name }) => name === 'journal')
  return [
    atMost(`${where}, p50 above a memory sink`, extraP50, ADDED_P50, ' ms'),
    atMost(`${where}, p99 above a memory sink`, extraP99, ADDED_P99, ' ms'),
    { figure: `${where}, answers other than 200`, aim: 'none', measured: whole(otherwise), met: otherwise === 0 },
  ]
}
