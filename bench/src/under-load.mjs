// A guarded server under load: warm-up, one measured window, and what many windows come to.
import { setTimeout as sleep } from 'node:timers/promises'
import { startChild } from './child.mjs'
import { median, medianOfPairs } from './rounds.mjs'
import { fixed, printTable, whole } from './table.mjs'

/** @param {{ guards: string, guard: string, framework: string, algorithm: string, environment: object }} given `guards`: the module that knows the guard */
export async function startServer(given) {
  const child = startChild('./http-server.mjs', [JSON.stringify(given)])
  const { port } = await child.until((message) => message.port).promise
  return { guard: given.guard, port, ask: () => child.ask({}, (message) => message.at), end: child.end }
}

/** Until a server has answered so many requests, or so much time has gone. The credentials of the file come round and round. */
export function warmUp(bench, server, file, { requests, milliseconds }) {
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
 * Does something while a server is under load. `from` and `to`: credentials of the file of which none is used twice; without them
 * they come round and round.
 */
export async function underLoad({ title, load }, server, given, act) {
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

/** One window of a round; it ends early where the credentials are used up. */
export function measureWindow(bench, { guard, server }, given) {
  const { title, load, plan } = bench
  return underLoad(bench, server, given, async (low) => {
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

/**
 * Ratios and differences are taken round by round; where nobody went unguarded there are none.
 * @param {string} unguarded name of the guard that is none
 */
export function summarize(samples, unguarded) {
  const bare = [...samples].find(([{ guard }]) => guard.name === unguarded)?.[1]
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

/** @param {readonly (readonly [heading: string, of: (row: object) => string | null])[]} more columns that stand before the others */
export function printServed(title, rows, more = []) {
  printTable(
    `${title}, 32 connections`,
    [
      '',
      ...more.map(([heading]) => heading),
      'requests/s',
      'ratio',
      'CPU us',
      'above unguarded',
      'p50 ms',
      'p99 ms',
      'server busy',
      'load busy',
    ],
    rows.map((row) => [
      row.name,
      ...more.map(([, of]) => of(row)),
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
