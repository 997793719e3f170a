/** One outcome for each call that was let in, whatever becomes of it: over real connections, with the journal as the only sink. */
import { readdirSync } from 'node:fs'
import { type ClientRequest, request } from 'node:http'
import { PassThrough } from 'node:stream'
import type { AuditEvent, AuditResult } from '@behalf/core'
import { afterAll, afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { deferred } from '../../../test/support/deferred.js'
import type { Answer } from '../../../test/support/http.js'
import { closeAll } from '../../../test/support/servers.js'
import { verifyJournal } from '../src/verify/verify-journal.js'
import type { JournalOptions } from '../src/write/journal-options.js'
import type { JournalSink } from '../src/write/journal-sink.js'
import { agentToken, DOORS, type Handle, ISSUER, type JournaledApi, startJournaledApi } from './support/e2e-api.js'
import { createChance } from './support/e2e-chance.js'
import { ALL_PAIRED, unpairedIn } from './support/e2e-pairs.js'
import { FaultDisk } from './support/fault-disk.js'
import { bodiesOf, decision, eventsOf, newDirectory, newJournal, recordsOf, VERIFIER_KEY } from './support/journals.js'

const token = agentToken()
const running: JournaledApi[] = []

beforeEach(() => {
  vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
})
afterEach(async () => {
  vi.restoreAllMocks()
  await closeAll(running.splice(0))
})
afterAll(() => ISSUER.close())

describe.each(DOORS)('$name', (framework) => {
  /** An API on a journal, on a disk that a test can slow down. */
  async function start(
    journal: Partial<JournalOptions> = {},
    options: Parameters<typeof startJournaledApi>[2] = {},
  ): Promise<{ api: JournaledApi; sink: JournalSink; disk: FaultDisk; directory: string }> {
    const directory = newDirectory()
    const disk = new FaultDisk()
    const sink = newJournal(directory, { createFile: disk.createFile, commitDeadlineMilliseconds: 30_000, ...journal })
    await sink.ready()
    const api = await startJournaledApi(framework, sink, { ...options, audit: { timeoutMilliseconds: 30_000, ...options.audit } })
    running.push(api)
    return { api, sink, disk, directory }
  }

  test('completed, failed, refused by a guard: as the response was', async () => {
    const handle: Handle = (call) => {
      if (call.request.url === '/throws') throw Object.assign(new Error('a mistake'), { status: 500 })
      call.json({}, call.request.url === '/unavailable' ? 503 : 200)
    }
    const { api, sink, directory } = await start({}, { handle, server: { refusals: 'respond' } })
    const answers = await Promise.all(
      ['/', '/orders', '/throws', '/unavailable', '/direct-only'].map((path) => api.call(token, path, { path })),
    )
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 500, 503, 403])
    expect([...api.ran].sort()).toEqual(['/', '/orders', '/throws', '/unavailable'])
    await sink.flush()
    expect(resultsIn(await reopened(directory, sink))).toEqual({
      '/': ['completed'],
      '/orders': ['completed'],
      '/throws': ['failed'],
      '/unavailable': ['failed'],
      '/direct-only': ['refused'],
    })
  })

  test('a client that leaves in the middle of the answer, or before a handler that never answers: aborted', async () => {
    const began = deferred()
    const handle: Handle = (call) => {
      if (call.request.url === '/never') {
        began.resolve()
        return new Promise(() => {})
      }
      const body = new PassThrough()
      body.write('the first part')
      call.stream(body)
      return undefined
    }
    const { api, sink, directory } = await start({}, { handle })
    const streaming = begin(api, '/stream')
    await new Promise<void>((resolve) => streaming.once('response', (response) => response.once('data', () => resolve())))
    streaming.destroy()
    const waiting = begin(api, '/never')
    await began.promise
    waiting.destroy()
    await recorded(sink, directory, ({ result }) => result === 'aborted', 2)
    expect(resultsIn(await reopened(directory, sink))).toEqual({ '/stream': ['aborted'], '/never': ['aborted'] })
  })

  test('a client that is gone when its decision is on disk: not run', async () => {
    const { api, sink, disk, directory } = await start()
    disk.stall()
    const leaving = begin(api, 'left')
    await until(() => sink.queuedRecords === 1)
    leaving.destroy()
    await until(async () => (await connectionsOf(api.server)) === 0)
    disk.resume()
    await recorded(sink, directory, ({ result }) => result === 'not_run', 1)
    expect(api.ran).toEqual([])
    expect(resultsIn(await reopened(directory, sink))).toEqual({ left: ['not_run'] })
  })

  test.each([
    ['the commit deadline', { commitDeadlineMilliseconds: 500 }, { timeoutMilliseconds: 30_000 }],
    ['the time limit of the API', { commitDeadlineMilliseconds: 30_000 }, { timeoutMilliseconds: 500 }],
  ])('a decision that is on disk after %s: 503, and not run', async (_what, journal, audit) => {
    const { api, sink, disk, directory } = await start(journal, { audit })
    disk.stall()
    const answers = await Promise.all(Array.from({ length: 5 }, (_, index) => api.call(token, `late-${index}`)))
    expect(answers.map(codeOf)).toEqual(Array(5).fill('audit_unavailable'))
    expect(api.ran).toEqual([])
    disk.resume()
    await sink.flush()
    const late = Object.fromEntries(answers.map((_, index) => [`late-${index}`, ['not_run']]))
    expect(resultsIn(await reopened(directory, sink))).toEqual(late)
  })

  test('late under degrade, or where unrecorded calls are allowed: the handler runs, and its outcome says so', async () => {
    const degrading = await start({ commitDeadlineMilliseconds: 500, whenUnavailable: 'degrade' })
    const allowing = await start({ commitDeadlineMilliseconds: 500 }, { audit: { unrecorded: 'allow' } })
    for (const { api, sink, disk, directory } of [degrading, allowing]) {
      disk.stall()
      const answers = await Promise.all(Array.from({ length: 5 }, (_, index) => api.call(token, `late-${index}`)))
      expect(answers.map(({ status }) => status)).toEqual(Array(5).fill(200))
      disk.resume()
      await sink.flush()
      const late = Object.fromEntries(answers.map((_, index) => [`late-${index}`, ['completed']]))
      expect(resultsIn(await reopened(directory, sink))).toEqual(late)
    }
  })

  test('decisions that are not taken leave no outcome behind, and both are counted', async () => {
    const { api, sink, disk, directory } = await start({ commitDeadlineMilliseconds: 40 })
    disk.fault = () => 'EIO'
    expect(codeOf(await api.call(token, 'first'))).toBe('audit_unavailable') // queued; the disk's fault shows with it
    const answers = await Promise.all(Array.from({ length: 7 }, (_, index) => api.call(token, `refused-${index}`)))
    expect(answers.map(codeOf)).toEqual(Array(7).fill('audit_unavailable'))
    disk.heal()
    await sink.flush()
    expect(resultsIn(await reopened(directory, sink))).toEqual({ first: ['not_run'] })
    const gaps = bodiesOf<{ decisions: number; outcomes: number }>(directory, 'gap')
    expect(gaps.reduce((sum, { decisions }) => sum + decisions, 0)).toBe(7)
    expect(gaps.reduce((sum, { outcomes }) => sum + outcomes, 0)).toBe(7)
  })

  test('report mode: what no rule admits has one outcome, also where a guard finds it too narrow', async () => {
    const server = {
      mode: 'report',
      delegation: [{ id: 'agents', kind: 'delegation', actor: { profile: 'ai_agent' }, scopes: ['orders:write'] }],
    } as const
    const { api, sink, directory } = await start({}, { server })
    const stranger = ISSUER.token({ claims: { act: { sub: 'stranger-1' } } })
    expect((await api.call(stranger, 'no-rule')).status).toBe(200)
    expect((await api.call(token, 'too-narrow', { path: '/orders' })).status).toBe(200)
    const events = await reopened(directory, sink)
    expect(resultsIn(events)).toEqual({ 'no-rule': ['completed'], 'too-narrow': ['completed'] })
    expect(events.filter(({ stage }) => stage === 'requirement')).toHaveLength(1)
    expect(events.filter(({ type }) => type === 'access.outcome').map(({ decision }) => decision)).toEqual([
      'would_refuse',
      'would_refuse',
    ])
  })

  test('calls under way when the journal is closed: their outcomes are unknown, once, however often it is opened again', async () => {
    const release = deferred()
    let began = 0
    const handle: Handle = async (call) => {
      began++
      await release.promise
      call.json({})
    }
    const { api, sink, directory } = await start({}, { handle })
    const calls = Array.from({ length: 3 }, (_, index) => api.call(token, `under-way-${index}`))
    await until(() => began === 3)
    await sink.close()
    release.resolve()
    expect((await Promise.all(calls)).map(({ status }) => status)).toEqual([200, 200, 200])
    expect(codeOf(await api.call(token, 'too-late'))).toBe('audit_unavailable')
    for (let opened = 0; opened < 3; opened++) {
      expect(resultsIn(await reopened(directory, sink))).toEqual({
        'under-way-0': ['unknown'],
        'under-way-1': ['unknown'],
        'under-way-2': ['unknown'],
      })
    }
  })

  test('hundreds of calls, of which many are left at any moment, on a disk that stutters: one outcome each', async () => {
    const chance = createChance(8693)
    const pauses = createChance(3968)
    /** What is done once a call is in its handler. */
    const inside = new Map<string, () => void>()
    const handle: Handle = async (call) => {
      const wait = Number(call.request.headers['x-wait'])
      if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait))
      if (call.request.url === '/never') {
        inside.get(String(call.request.headers['x-request-id']))?.()
        await new Promise(() => {})
      }
      if (call.request.url === '/throws') throw Object.assign(new Error('a mistake'), { status: 500 })
      call.json({ text: 'x'.repeat(20_000) })
    }
    const { api, sink, disk, directory } = await start({ commitDeadlineMilliseconds: 60, maxSegmentBytes: 65_536 }, { handle })
    disk.before = (operation) =>
      operation === 'sync'
        ? new Promise((resolve) => setTimeout(resolve, pauses.happens(0.1) ? 80 : pauses.integer(0, 3)))
        : undefined
    const leftInside: string[] = []
    let asked = 0
    async function caller(): Promise<void> {
      while (asked < 400) {
        const id = `call-${asked++}`
        const path = chance.pick(['/', '/', '/throws', '/direct-only'])
        const headers = [['X-Wait', String(chance.pick([0, 0, 1, 5]))]] as const
        const way = chance.pick(['stays', 'stays', 'stays', 'leaves', 'leaves a handler', 'leaves inside'])
        if (way === 'stays') await api.call(token, id, { path, headers })
        if (way === 'leaves') await leave(begin(api, id, path), chance.integer(0, 20))
        if (way === 'leaves a handler') await leave(begin(api, id, '/never'), chance.integer(0, 60))
        if (way === 'leaves inside') {
          const sent = begin(api, id, '/never')
          inside.set(id, () => {
            leftInside.push(id)
            sent.destroy()
          })
          await leave(sent, 30_000) // answered before, where its decision did not get to disk in time
        }
      }
    }
    await Promise.all(Array.from({ length: 16 }, caller))
    await until(async () => (await connectionsOf(api.server)) === 0)
    disk.heal()
    disk.before = null
    await sink.flush()
    const events = await reopened(directory, sink)
    const results = Object.entries(resultsIn(events))
    expect(results.filter(([, each]) => each.length !== 1)).toEqual([])
    const outcomes = new Map(results)
    // How many come to which end is a matter of time, except where the test leaves a handler that has begun.
    const kinds: readonly AuditResult[] = ['aborted', 'completed', 'failed', 'not_run', 'refused']
    expect(results.filter(([, [kind]]) => kind === undefined || !kinds.includes(kind))).toEqual([])
    expect(leftInside.filter((id) => outcomes.get(id)?.[0] !== 'aborted')).toEqual([])
    // Whose handler ran was let in, and is not called "not run".
    expect(api.ran.filter((id) => !outcomes.has(id) || outcomes.get(id)?.[0] === 'not_run')).toEqual([])
  })
})

test('decisions that were written twice, since a sync failed and its bytes could not be cut off: one outcome each', async () => {
  const directory = newDirectory()
  const disk = new FaultDisk()
  const sink = newJournal(directory, { createFile: disk.createFile, maxSegmentBytes: 4_096 })
  await sink.write(decision())
  disk.fault = (operation) => (operation === 'sync' || operation === 'truncate' ? 'EIO' : null)
  const again = Array.from({ length: 3 }, () => sink.write(decision()))
  await until(() => sink.state === 'failing')
  disk.heal()
  await Promise.all(again)
  await until(() => sink.state === 'writing')
  await sink.write(decision()) // in a third segment, whose header names the decisions that are open
  expect(readdirSync(directory).filter((name) => name.startsWith('journal-'))).toHaveLength(3)
  await reopened(directory, sink)
})

describe('the end of a journal', () => {
  test('a call that comes while it is being closed is refused, and nothing follows the last records', async () => {
    const directory = newDirectory()
    const disk = new FaultDisk()
    const sink = newJournal(directory, { createFile: disk.createFile })
    await sink.write(decision())
    disk.stall()
    const writes = disk.counts.write
    const closing = sink.close()
    await until(() => disk.counts.write > writes)
    expect(() => sink.write(decision())).toThrow('the journal is closed')
    disk.resume()
    await closing
    expect(recordsOf(directory).map(({ kind }) => kind)).toEqual(['segment', 'recovery', 'event', 'end', 'checkpoint'])
    const names = readdirSync(directory)
    expect(names).toEqual(['journal-0000000000000000.jsonl', 'reserve'])
    await reopened(directory, sink)
  })

  test('one that could not be closed in time writes nothing and signs nothing any more, whoever has the directory now', async () => {
    const directory = newDirectory()
    const disk = new FaultDisk()
    const notes: string[] = []
    const onCheckpoint = (note: string) => void notes.push(note)
    const sink = newJournal(directory, {
      createFile: disk.createFile,
      commitDeadlineMilliseconds: 30_000,
      closeTimeoutMilliseconds: 50,
      onCheckpoint,
    })
    await sink.write(decision())
    disk.stall()
    const before = disk.counts.write
    const lost = sink.write(decision())
    lost?.catch(() => {}) // looked at below
    await until(() => disk.counts.write > before)
    await expect(sink.close()).rejects.toThrow('1 event(s) are lost')
    await expect(lost).rejects.toThrow('the journal is closed')
    const next = newJournal(directory)
    await expect(next.ready()).rejects.toMatchObject({ code: 'locked' }) // a write of the first is still under way
    const writes = { ...disk.counts }
    const signed = notes.length
    disk.resume()
    await until(() => next.state === 'writing')
    await next.write(decision())
    await next.flush()
    for (let turn = 0; turn < 200; turn++) await new Promise((resolve) => setImmediate(resolve))
    expect({ ...disk.counts, truncate: 0, sync: 0 }).toEqual({ ...writes, truncate: 0, sync: 0 })
    expect(notes).toHaveLength(signed)
    await reopened(directory, next)
  })
})

/** Closes a journal, opens it once more, and holds it to the pairs. @returns its events */
async function reopened(directory: string, sink: JournalSink): Promise<AuditEvent[]> {
  await sink.close()
  const next = newJournal(directory)
  await next.ready()
  await next.close()
  const events = eventsOf(directory)
  expect(unpairedIn(events)).toEqual(ALL_PAIRED)
  expect((await verifyJournal(directory, { key: VERIFIER_KEY })).verdict).toBe('good')
  return events
}

/** Results of outcomes, by the caller's request id. */
function resultsIn(events: readonly AuditEvent[]): Record<string, AuditResult[]> {
  const results: Record<string, AuditResult[]> = {}
  for (const { net, result } of events)
    if (result !== null) results[net.callerRequestId ?? ''] = [...(results[net.callerRequestId ?? ''] ?? []), result]
  return results
}

/** A request that the test may leave. */
function begin({ port }: JournaledApi, id: string, path = id): ClientRequest {
  const headers = { authorization: `Bearer ${token}`, 'x-request-id': id }
  const sent = request({ host: '127.0.0.1', port, path: path.startsWith('/') ? path : '/', headers, agent: false })
  sent.on('error', () => {}) // that is how leaving shows
  sent.end()
  return sent
}

/** Leaves after so many milliseconds, or is answered before. */
function leave(sent: ClientRequest, milliseconds: number): Promise<void> {
  return new Promise((resolve) => {
    sent.once('close', () => resolve())
    sent.once('response', (response) => response.resume())
    const timer = setTimeout(() => sent.destroy(), milliseconds)
    sent.once('close', () => clearTimeout(timer))
  })
}

function codeOf({ status, body }: Answer): string | null {
  return status === 503 ? (JSON.parse(body) as { code: string }).code : null
}

function connectionsOf(server: JournaledApi['server']): Promise<number> {
  return new Promise((resolve, reject) =>
    server.getConnections((error, count) => (error === null ? resolve(count) : reject(error))),
  )
}

/** Waits until so many events that fit are on disk. */
async function recorded(
  sink: JournalSink,
  directory: string,
  fits: (event: AuditEvent) => boolean,
  count: number,
): Promise<void> {
  await until(async () => {
    await sink.flush()
    return eventsOf(directory).filter(fits).length >= count
  })
}

/** What is waited for here comes by itself; the test's own time limit ends a hang. */
async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await holds())) await new Promise((resolve) => setImmediate(resolve))
}
