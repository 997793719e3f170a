// What a journal adds to a delegated request, at a fixed rate of requests: over HTTP, and through the core alone.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { performance } from 'node:perf_hooks'
import { createCallers, delegatedRequests } from './audit-exchange.mjs'
import { createGroupCommit } from './audit-floor.mjs'
import { openJournal } from './audit-journal.mjs'
import { onSchedule } from './audit-schedule.mjs'
import { startChild } from './child.mjs'
import { recentEventsSink } from './exchange.mjs'
import { inRounds, median, medianOfPairs, quantile } from './rounds.mjs'
import { fixed, printTable, progress, whole } from './table.mjs'

const ASKED_PER_SECOND = 5000
const MEMORY = 'memory'
const JOURNAL = 'journal'
/** Shows what the disk takes by itself. */
const FLOOR = 'bare group commit'
const KINDS = [MEMORY, FLOOR, JOURNAL]

/** Tried from the left: a machine that has to generate the load too may not serve what is asked. */
const RATES = [ASKED_PER_SECOND, 4000, 3000, 2000, 1000, 500]
const TRIES = 2

/** A server is warm only after thousands of requests; before that it could not serve more. */
const WARM_UP_PER_SECOND = 2000

/**
 * A server keeps up that has no queue: in the median it answers within a few ticks of the schedule, and at the end nothing waits. One
 * at its limit would show what a queue does with a little more work, and not what a journal adds.
 */
const KEEPS_UP = { mostBehindSeconds: 0.01, mostMilliseconds: 3 }

const FULL = {
  rounds: 5,
  milliseconds: 1500,
  settleMilliseconds: 300,
  warmUpMilliseconds: 4000,
  probeMilliseconds: 1500,
  callers: 1000,
  coreRounds: 5,
}
const QUICK = {
  rounds: 2,
  milliseconds: 400,
  settleMilliseconds: 100,
  warmUpMilliseconds: 1000,
  probeMilliseconds: 400,
  callers: 200,
  coreRounds: 2,
}

export async function measureLatency({ folder, quick }) {
  const plan = quick ? QUICK : FULL
  const callers = await createCallers(plan.callers)
  try {
    const http = await overHttp(callers, folder, plan)
    const core = await throughCore(callers, folder, plan)
    for (const each of [http, core]) print(each)
    return { http, core }
  } finally {
    await callers.close()
  }
}

async function overHttp({ environment, tokens }, folder, plan) {
  const file = join(folder, 'tokens.txt')
  writeFileSync(file, tokens.join('\n'))
  const load = startChild('./audit-load.mjs', [file])
  const servers = KINDS.map((kind, index) => ({
    kind,
    child: startChild('./audit-server.mjs', [JSON.stringify({ kind, directory: join(folder, `http-${index}`), environment })]),
  }))
  try {
    const waiting = [
      load.until(({ ready }) => ready).promise,
      ...servers.map(({ child }) => child.until(({ port }) => port).promise),
    ]
    const [, ...ports] = await Promise.all(waiting)
    const window = async (index, perSecond, milliseconds) => {
      const given = { port: ports[index].port, perSecond, milliseconds, settleMilliseconds: plan.settleMilliseconds }
      return (await load.ask(given, ({ result }) => result)).result
    }
    progress('audit, latency: servers warm up')
    for (const index of KINDS.keys()) await window(index, WARM_UP_PER_SECOND, plan.warmUpMilliseconds)
    const rate = await sustainableRate((perSecond) => window(KINDS.indexOf(MEMORY), perSecond, plan.probeMilliseconds))
    const samples = await inRounds({
      subjects: KINDS,
      rounds: plan.rounds,
      warmUpRounds: 1,
      progress: (text) => progress(`audit, ${whole(rate)} delegated requests a second over HTTP: ${text}`),
      measure: (kind) => window(KINDS.indexOf(kind), rate, plan.milliseconds),
    })
    await checkThatTheyRecord(servers)
    return summarize('over HTTP', rate, samples)
  } finally {
    for (const each of [load, ...servers.map(({ child }) => child)]) each.end()
  }
}

/** The highest rate at which a server that records in memory keeps up. */
async function sustainableRate(probe) {
  for (const perSecond of RATES) {
    for (let time = 0; time < TRIES; time++) {
      progress(`audit, latency: do ${whole(perSecond)} requests a second go over HTTP?`)
      const { behind, p50 } = await probe(perSecond)
      if (behind <= perSecond * KEEPS_UP.mostBehindSeconds && p50 <= KEEPS_UP.mostMilliseconds) return perSecond
    }
  }
  throw new Error(`audit: this machine does not serve ${RATES.at(-1)} requests a second: too few to say anything`)
}

async function checkThatTheyRecord(servers) {
  for (const { kind, child } of servers) {
    const { served, accepted } = await child.ask({}, (message) => message.served !== undefined)
    // A call that was refused for lack of a record has neither decision nor outcome, or its decision came too late.
    if (served === 0 || accepted < 2 * served)
      throw new Error(`audit: ${kind} has accepted ${accepted} events of ${served} delegated requests, not two of each`)
  }
}

async function throughCore(callers, folder, plan) {
  const sinks = {
    [MEMORY]: recentEventsSink(),
    [FLOOR]: await createGroupCommit(join(folder, 'core.jsonl')),
    [JOURNAL]: await openJournal(join(folder, 'core')),
  }
  try {
    const requests = {}
    for (const kind of KINDS) requests[kind] = await delegatedRequests(callers, sinks[kind])
    const samples = await inRounds({
      subjects: KINDS,
      rounds: plan.coreRounds,
      warmUpRounds: 1,
      progress: (text) => progress(`audit, ${whole(ASKED_PER_SECOND)} delegated requests a second through the core: ${text}`),
      measure: (kind) => coreWindow(requests[kind], plan),
    })
    return summarize('through the core', ASKED_PER_SECOND, samples)
  } finally {
    for (const kind of KINDS) await sinks[kind].close?.()
  }
}

async function coreWindow(request, { milliseconds, settleMilliseconds }) {
  const latencies = []
  const statuses = {}
  const waiting = []
  const start = performance.now()
  const settled = (dueAt, status) => {
    if (dueAt < start + settleMilliseconds) return
    latencies.push(performance.now() - dueAt)
    statuses[status] = (statuses[status] ?? 0) + 1
  }
  const send = (dueAt) => {
    try {
      const answer = request()
      if (answer === undefined) settled(dueAt, 200)
      else
        waiting.push(
          answer.then(
            () => settled(dueAt, 200),
            ({ status }) => settled(dueAt, status ?? 500),
          ),
        )
    } catch ({ status }) {
      settled(dueAt, status ?? 500)
    }
  }
  const late = await onSchedule({ perSecond: ASKED_PER_SECOND, milliseconds: settleMilliseconds + milliseconds, send })
  await Promise.all(waiting)
  return {
    p50: quantile(latencies, 0.5),
    p99: quantile(latencies, 0.99),
    most: quantile(latencies, 1),
    answers: latencies.length,
    statuses,
    ...late,
  }
}

function summarize(way, perSecond, samples) {
  const rows = [...samples].map(([kind, windows]) => {
    const of = (figure) => median(windows.map((window) => window[figure]))
    const total = (count) => windows.reduce((sum, window) => sum + count(window), 0)
    return {
      name: kind,
      p50: of('p50'),
      p99: of('p99'),
      most: Math.max(...windows.map(({ most }) => most)),
      lateP50: of('lateP50'),
      lateP99: of('lateP99'),
      answers: total(({ answers }) => answers),
      otherwise: total(({ answers, statuses }) => answers - (statuses[200] ?? 0)),
      windows,
    }
  })
  const above = (kind, figure) =>
    medianOfPairs(samples.get(MEMORY), samples.get(kind), (one, other) => other[figure] - one[figure])
  for (const row of rows) {
    row.extraP50 = above(row.name, 'p50')
    row.extraP99 = above(row.name, 'p99')
  }
  return { way, perSecond, askedPerSecond: ASKED_PER_SECOND, rows }
}

function print({ way, perSecond, rows }) {
  printTable(
    `${whole(perSecond)} delegated requests a second ${way}, in ms since each was due`,
    ['', 'p50', 'above memory', 'p99', 'above memory', 'longest', 'sent late p50', 'p99', 'requests', 'not 200'],
    rows.map((row) => [
      row.name,
      fixed(row.p50, 2),
      fixed(row.extraP50, 2),
      fixed(row.p99, 2),
      fixed(row.extraP99, 2),
      fixed(row.most, 1),
      fixed(row.lateP50, 2),
      fixed(row.lateP99, 2),
      whole(row.answers),
      row.otherwise,
    ]),
  )
}
