// An API under load whose journal's disk gets into trouble and out of it again, by the real clock.
import { once } from 'node:events'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { resourceServer } from '@behalf/koa'
import Koa from 'koa'
import { createCallers } from './audit-exchange.mjs'
import { openJournal, verifyWithKey } from './audit-journal.mjs'
import { startChild } from './child.mjs'
import { guardOptions } from './exchange.mjs'
import { atLeast, atMost } from './soak-rows.mjs'
import { progress, whole } from './table.mjs'

/** Each way of trouble comes so often. `calm`: before the first, and after each. */
const FULL = { times: 2, troubleSeconds: 15, calmSeconds: 5 }
const QUICK = { times: 1, troubleSeconds: 1.5, calmSeconds: 2.5 }

/** What the disk does in each, and at which operations. */
const TROUBLES = [
  { name: 'hangs in syncs', operations: ['sync'], hangs: true },
  { name: 'hangs in writes', operations: ['write'], hangs: true },
  { name: 'fails (EIO)', operations: ['create', 'write', 'sync'], hangs: false },
]

const PER_SECOND = 250
const CALLERS = 50

/** `audit.timeoutMilliseconds` of the server, and what a busy machine adds. */
const LIMIT_MILLISECONDS = 250
const BUSY_MILLISECONDS = 250

const MOST_SECONDS_TO_SERVICE = 2

/** @returns {Promise<import('./soak-rows.mjs').Row[]>} */
export async function stallRows({ quick }) {
  const plan = quick ? QUICK : FULL
  const folder = mkdtempSync(join(tmpdir(), 'behalf-soak-'))
  const callers = await createCallers(CALLERS)
  try {
    const disk = createDisk()
    const directory = join(folder, 'journal')
    const api = await startApi(callers, await openJournal(directory, { createFile: disk.createFile }))
    const seconds = plan.calmSeconds + plan.times * TROUBLES.length * (plan.troubleSeconds + plan.calmSeconds)
    const load = await startLoad(api, callers, folder)
    const [answers, spells] = await Promise.all([load.answers(seconds), troubled(disk, plan)]).finally(load.end)
    await api.close()
    return [
      ...spells.flatMap((spell) => rowsOf(spell, answers, api.handled)),
      ...(await rowsOfAll(answers, api.handled, directory)),
    ]
  } finally {
    await callers.close()
    rmSync(folder, { recursive: true, force: true })
  }
}

/** Files of the operating system, behind a disk that can be told to hang or to fail. */
function createDisk() {
  let trouble = null
  let held = []
  const pass = async (operation) => {
    if (trouble === null || !trouble.operations.includes(operation)) return
    if (!trouble.hangs) throw Object.assign(new Error('the disk fails'), { code: 'EIO' })
    await new Promise((resolve) => held.push(resolve))
  }
  return {
    setTrouble(next) {
      trouble = next
      for (const resolve of held) resolve()
      held = []
    },
    async createFile(path) {
      await pass('create')
      const file = await open(path, 'wx', 0o600)
      return {
        async write(bytes) {
          await pass('write')
          await file.appendFile(bytes)
        },
        async sync() {
          await pass('sync')
          await file.datasync()
        },
        truncate: (bytes) => file.truncate(bytes),
        close: () => file.close(),
      }
    },
  }
}

/** Handlers leave a mark: the id that the caller gave the request. */
async function startApi({ environment }, sink) {
  const handled = new Map()
  const server = resourceServer(guardOptions(environment, sink))
  const app = new Koa()
  app.silent = true
  app.use(server.authenticate())
  app.use((context) => {
    handled.set(context.get('x-request-id'), Date.now())
    context.body = 'done'
  })
  const listener = app.listen(0, '127.0.0.1')
  listener.keepAliveTimeout = 0 // the load has more connections than it needs most of the time
  await once(listener, 'listening')
  return {
    handled,
    port: listener.address().port,
    async close() {
      listener.close()
      await server.close()
    },
  }
}

/** A steady load, whatever is answered, over connections that are there before it begins: a busy machine is slow to accept new ones. */
async function startLoad({ port }, { tokens }, folder) {
  const file = join(folder, 'tokens.txt')
  writeFileSync(file, tokens.join('\n'))
  const child = startChild('./audit-load.mjs', [file])
  await child.until(({ ready }) => ready).promise
  await child.ask({ connect: port }, ({ connected }) => connected)
  return {
    async answers(seconds) {
      const given = { port, perSecond: PER_SECOND, milliseconds: seconds * 1000, each: true }
      return (await child.ask(given, ({ result }) => result)).result
    },
    end: child.end,
  }
}

/** @returns {Promise<{ name: string, from: number, to: number, until: number }[]>} when each trouble began and ended, and the calm after it */
async function troubled(disk, { times, troubleSeconds, calmSeconds }) {
  const spells = []
  await sleep(calmSeconds * 1000)
  for (let time = 0; time < times; time++) {
    for (const trouble of TROUBLES) {
      progress(`soak: a disk that ${trouble.name} for ${troubleSeconds} s under ${PER_SECOND} delegated requests a second`)
      const from = Date.now()
      disk.setTrouble(trouble)
      await sleep(troubleSeconds * 1000)
      disk.setTrouble(null)
      const to = Date.now()
      await sleep(calmSeconds * 1000)
      spells.push({ name: trouble.name, from, to, until: Date.now() })
    }
  }
  return spells
}

function rowsOf({ name, from, to, until }, answers, handled) {
  const during = answers.filter(({ dueAt }) => dueAt >= from && dueAt < to)
  // What is sent just before the next trouble belongs to that.
  const after = answers.filter(({ dueAt }) => dueAt >= to && dueAt < until - LIMIT_MILLISECONDS)
  const otherwise = after.filter(({ status }) => status !== 200)
  const longest = Math.max(0, ...[...during, ...after].map(({ milliseconds }) => milliseconds))
  const service = otherwise.length === 0 ? 0 : (otherwise.at(-1).dueAt - to) / 1000
  // What was on its way to the disk when the trouble began may still come there.
  const ran = [...handled.values()].filter((at) => at >= from + LIMIT_MILLISECONDS && at < to)
  const what = `a disk that ${name} for ${((to - from) / 1000).toFixed(1)} s`
  return [
    { what: `${what}: answered 503`, ...atLeast(during.filter(({ status }) => status === 503).length, 1) },
    { what: `${what}: handlers that ran meanwhile`, ...atMost(ran.length, 0, '') },
    { what: `${what}: longest wait for an answer`, ...atMost(longest, LIMIT_MILLISECONDS + BUSY_MILLISECONDS, ' ms') },
    {
      what: `${what}: seconds until all of ${whole(after.length)} requests after it are served`,
      ...atMost(service, MOST_SECONDS_TO_SERVICE, ' s'),
    },
  ]
}

async function rowsOfAll(answers, handled, directory) {
  const strange = answers.filter(({ status }) => status !== 200 && status !== 503)
  const recorded = decisionsIn(directory)
  const missing = [...handled.keys()].filter((id) => !recorded.has(id))
  const { verdict, findings } = await verifyWithKey(directory)
  return [
    { what: `answers of ${whole(answers.length)} that are neither 200 nor 503`, ...atMost(strange.length, 0, '') },
    { what: 'handlers that ran at all', ...atLeast(handled.size, 1) },
    { what: `handlers of ${whole(handled.size)} that ran without a decision in the journal`, ...atMost(missing.length, 0, '') },
    {
      what: 'the journal in the end',
      measured: verdict === 'good' ? verdict : `${verdict}, ${findings[0]?.code}`,
      bound: 'good',
      holds: verdict === 'good',
    },
  ]
}

/** Read without any of the journal's own code. */
function decisionsIn(directory) {
  const names = readdirSync(directory).filter((name) => name.startsWith('journal-'))
  const lines = names.flatMap((name) => readFileSync(join(directory, name), 'utf8').split('\n').filter(Boolean))
  const events = lines.map((line) => JSON.parse(line).event).filter((event) => event?.type === 'access.decision')
  return new Set(events.filter(({ decision }) => decision === 'allow').map(({ net }) => net.callerRequestId))
}
