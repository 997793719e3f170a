/** A journal on a disk that is really full: a file system of a few megabytes, and a process that may not write to files. */
import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { join } from 'node:path'
import type { AuditSink } from '@behalf/core'
import { afterAll, afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { type Answer, ask, bearer } from '../../../test/support/http.js'
import { JournalError } from '../src/journal-error.js'
import { verifyJournal } from '../src/verify/verify-journal.js'
import type { JournalOptions } from '../src/write/journal-options.js'
import type { Gap } from '../src/write/losses.js'
import { agentToken, DOORS, ISSUER, type JournaledApi, startJournaledApi } from './support/e2e-api.js'
import { forkApi } from './support/e2e-child.js'
import { describeWhere, mountSmallDisk, type SmallDisk } from './support/e2e-disk.js'
import { ALL_PAIRED, isAdmission, unpairedIn } from './support/e2e-pairs.js'
import { FaultDisk } from './support/fault-disk.js'
import {
  bodiesOf,
  decision,
  eventsOf,
  newDirectory,
  newJournal,
  ORIGIN,
  outcomeOf,
  refusal,
  SIGNING_KEY,
  VERIFIER_KEY,
} from './support/journals.js'

const DISK_BYTES = 2 * 1024 * 1024
const RESERVE_BYTES = 64 * 1024
/** Of `audit`. */
const TIMEOUT_MILLISECONDS = 1_000
/** Something is wrong where it takes so long on any machine. How long it may take is asked of a clock of the test: `faults.test.ts`. */
const PATIENCE_MILLISECONDS = 60_000

const token = agentToken()

afterAll(() => ISSUER.close())

const warnings: unknown[] = []
const unhandled: unknown[] = []
const noteUnhandled = (reason: unknown) => void unhandled.push(reason)
beforeEach(() => {
  vi.spyOn(process, 'emitWarning').mockImplementation(
    (...given: unknown[]) => void warnings.push((given[1] as { code: string }).code),
  )
  process.on('unhandledRejection', noteUnhandled)
  process.on('uncaughtException', noteUnhandled)
})
afterEach(() => {
  process.off('unhandledRejection', noteUnhandled)
  process.off('uncaughtException', noteUnhandled)
  vi.restoreAllMocks()
  warnings.length = 0
  expect(unhandled.splice(0)).toEqual([])
})

describeWhere(
  'mounting a small tmpfs (it takes root)',
  () => mountSmallDisk(DISK_BYTES).unmount(),
  'a small file system',
  () => {
    let disk: SmallDisk
    beforeEach(() => {
      disk = mountSmallDisk(DISK_BYTES)
    })
    afterEach(() => disk.unmount())

    const journalOn = (options: Partial<JournalOptions> = {}) =>
      newJournal(disk.directory, {
        reserveBytes: RESERVE_BYTES,
        commitDeadlineMilliseconds: 200,
        closeTimeoutMilliseconds: 20_000,
        ...options,
      })

    describe.each(DOORS)('$name', (framework) => {
      test('strict: no handler runs without its record, each call is answered with 503, and service is back', async () => {
        const sink = journalOn()
        const api = await startJournaledApi(framework, sink, { audit: { timeoutMilliseconds: TIMEOUT_MILLISECONDS } })
        const caller = callerOf(api)
        await until(async () => (await caller.call()).status === 200, 'a call is served')
        disk.fill()
        await until(async () => codeOf(await caller.call()) === 'audit_unavailable', 'a call is refused')
        const ranBefore = api.ran.length
        const refused = await Promise.all(Array.from({ length: 50 }, () => caller.call()))
        expect(refused.map(codeOf)).toEqual(Array(50).fill('audit_unavailable'))
        expect(refused.map(({ status, headers }) => [status, Number(headers['retry-after']) > 0])).toEqual(
          Array(50).fill([503, true]),
        )
        expect(api.ran).toHaveLength(ranBefore)
        expect(sink.state).toBe('failing')
        await until(() => textOf(disk).includes('"failure":{"code":"ENOSPC"'), 'the disk says that it is full')
        disk.free()
        await until(async () => (await caller.call()).status === 200, 'a call is served')
        expect(sink.state).toBe('writing')
        await api.close()
        await sink.close()

        const events = eventsOf(disk.directory)
        const recorded = events.filter(isAdmission).map(({ net }) => net.callerRequestId)
        expect(api.ran.filter((id) => !recorded.includes(id))).toEqual([])
        expect(caller.served.filter((id) => !recorded.includes(id))).toEqual([])
        const { decisions, outcomes } = gapsOn(disk)
        expect(recorded.length + decisions).toBe(caller.calls)
        expect(events.length - recorded.length + outcomes).toBe(caller.calls)
        expect(unpairedIn(events)).toEqual(ALL_PAIRED)
        expect(bodiesOf(disk.directory, 'failure')).toHaveLength(1)
        expect((await verifyJournal(disk.directory, { key: VERIFIER_KEY })).verdict).toBe('good')
        expect(warnings.filter((code) => code === 'BEHALF_JOURNAL_TROUBLE')).toHaveLength(1)
      })

      test('degrade: every call is served, and gap records add up to what is missing', async () => {
        const sink = journalOn({ whenUnavailable: 'degrade', maxQueuedRecords: 40 })
        const api = await startJournaledApi(framework, sink, { audit: { timeoutMilliseconds: TIMEOUT_MILLISECONDS } })
        const caller = callerOf(api)
        await caller.call()
        disk.fill()
        for (let round = 0; round < 6; round++) await Promise.all(Array.from({ length: 25 }, () => caller.call()))
        expect(sink.state).toBe('failing')
        disk.free()
        await until(() => sink.state === 'writing', 'the journal writes')
        await caller.call()
        await api.close()
        await sink.close()

        expect(caller.calls).toBe(152)
        expect(caller.served).toHaveLength(152)
        expect(api.ran).toHaveLength(152)
        const events = eventsOf(disk.directory)
        const recorded = events.filter(isAdmission)
        const { decisions, outcomes, refusals } = gapsOn(disk)
        expect(decisions).toBeGreaterThan(0)
        expect(recorded.length + decisions).toBe(152)
        expect(events.length - recorded.length + outcomes).toBe(152)
        expect(refusals).toBe(0)
        expect(unpairedIn(events)).toEqual(ALL_PAIRED)
        expect((await verifyJournal(disk.directory, { key: VERIFIER_KEY })).verdict).toBe('good')
      })
    })

    test('degrade: gaps add up for every kind of event, also where the disk fills up again and again', async () => {
      const sink = journalOn({ whenUnavailable: 'degrade', maxQueuedRecords: 20, refusalsPerSecond: 10_000 })
      await sink.ready()
      const written = { decisions: 0, outcomes: 0, refusals: 0 }
      for (let round = 0; round < 4; round++) {
        if (round > 0) disk.fill()
        const decisions = Array.from({ length: 30 + round }, () => decision())
        for (const each of decisions) {
          void sink.write(each)
          void sink.write(refusal())
        }
        await until(() => sink.state === (round > 0 ? 'failing' : 'writing'), 'the disk shows')
        for (const each of decisions) void sink.write(outcomeOf(each))
        written.decisions += decisions.length
        written.outcomes += decisions.length
        written.refusals += decisions.length
        disk.free()
        await until(() => sink.queuedRecords === 0, 'everything is written')
      }
      await sink.close()
      const events = eventsOf(disk.directory)
      const gaps = gapsOn(disk)
      expect(bodiesOf(disk.directory, 'refusals')).toEqual([])
      expect(Math.min(gaps.decisions, gaps.outcomes, gaps.refusals)).toBeGreaterThan(0)
      expect({
        decisions: events.filter(isAdmission).length + gaps.decisions,
        outcomes: events.filter(({ type }) => type === 'access.outcome').length + gaps.outcomes,
        refusals: events.filter((event) => event.decision === 'refuse').length + gaps.refusals,
      }).toEqual(written)
      expect(unpairedIn(events)).toEqual(ALL_PAIRED)
      expect((await verifyJournal(disk.directory, { key: VERIFIER_KEY })).verdict).toBe('good')
    })

    test('a disk that stays full for long gets one record about it, and no more files', async () => {
      const sink = journalOn()
      await sink.ready()
      disk.fill()
      await untilRefused(sink)
      await until(() => textOf(disk).includes('"failure"'), 'the disk says that it is full')
      const names = readdirSync(disk.directory)
      await new Promise((resolve) => setTimeout(resolve, 1_500)) // several attempts
      expect(readdirSync(disk.directory)).toEqual(names)
      disk.free()
      await until(() => sink.state === 'writing', 'the journal writes')
      await sink.close()
      expect(bodiesOf(disk.directory, 'failure')).toHaveLength(1)
    })

    test('a journal that is opened on a full disk leaves nothing behind there, and opens when there is room', async () => {
      disk.fill()
      const sink = journalOn()
      await expect(sink.ready()).rejects.toMatchObject({ code: 'unavailable' })
      await expect(sink.ready()).rejects.toMatchObject({ code: 'unavailable' })
      expect(() => sink.write(decision())).toThrow(JournalError)
      expect(readdirSync(disk.directory)).toEqual([])
      disk.free()
      await until(() => sink.state === 'writing', 'the journal writes')
      const event = decision()
      await sink.write(event)
      await sink.write(outcomeOf(event))
      await sink.close()
      expect(readdirSync(disk.directory).sort()).toEqual(['journal-0000000000000000.jsonl', 'reserve'])
      expect((await verifyJournal(disk.directory, { key: VERIFIER_KEY })).verdict).toBe('good')
    })

    test('a journal that is closed on a full disk says what it loses, and the next one goes on', async () => {
      const sink = journalOn({ whenUnavailable: 'degrade', closeTimeoutMilliseconds: 300 })
      await sink.write(decision())
      disk.fill()
      await until(() => {
        void sink.write(decision())
        return sink.state === 'failing'
      }, 'the disk shows')
      const waiting = sink.queuedRecords
      expect(waiting).toBeGreaterThan(0)
      await expect(sink.close()).rejects.toThrow(`${waiting} event(s) are lost`)
      expect(openFilesIn(disk.directory)).toEqual([])
      disk.free()
      const next = journalOn()
      await next.ready()
      await next.close()
      expect(unpairedIn(eventsOf(disk.directory))).toEqual(ALL_PAIRED)
      expect((await verifyJournal(disk.directory, { key: VERIFIER_KEY })).verdict).toBe('good')
    })
  },
)

test('a disk that failed while nobody called is tried again by itself: the first call that comes is served', async () => {
  const disk = new FaultDisk()
  const sink = newJournal(newDirectory(), { createFile: disk.createFile, checkpointSeconds: 1 })
  await sink.write(decision())
  disk.fault = () => 'EIO'
  await until(() => sink.state === 'failing', 'the checkpoint fails')
  disk.heal()
  await until(() => sink.state === 'writing', 'the journal writes')
  await sink.write(decision())
})

/** Every write fails, whatever room there is; unlike a full disk, this needs no rights. */
describeWhere(
  'limiting the size of files (prlimit)',
  () => limitFiles(process.pid, null),
  'a process that may not write to files',
  () => {
    test('strict: no handler runs, the process lives on, and service is back', async () => {
      const directory = newDirectory()
      const outside = newDirectory()
      const child = forkApi()
      try {
        const port = await child.start({
          journal: { directory, origin: ORIGIN, reserveBytes: RESERVE_BYTES },
          signingKeyPem: SIGNING_KEY.export({ type: 'pkcs8', format: 'pem' }).toString(),
          issuer: ISSUER.issuer,
          audience: ISSUER.audience,
          jwks: ISSUER.jwks(),
          effectsFile: join(outside, 'effects'),
          checkpointFile: join(outside, 'checkpoint'),
          death: null,
          timeoutMilliseconds: TIMEOUT_MILLISECONDS,
        })
        const caller = callerOf({ port: port ?? 0 })
        await until(async () => (await caller.call()).status === 200, 'a call is served')
        const pid = child.process.pid ?? 0
        limitFiles(pid, 0)
        const refused = []
        for (let each = 0; each < 20; each++) refused.push(await caller.call())
        expect(refused.map(codeOf)).toEqual(Array(20).fill('audit_unavailable'))
        limitFiles(pid, null)
        await until(async () => (await caller.call()).status === 200, 'a call is served')
        expect(await child.close()).toBeNull()
        const marks = readFileSync(join(outside, 'effects'), 'utf8').split('\n').slice(0, -1)
        expect(marks).toEqual(caller.served)
        const events = eventsOf(directory)
        expect(marks.filter((id) => !events.some((event) => isAdmission(event) && event.net.callerRequestId === id))).toEqual([])
        expect(unpairedIn(events)).toEqual(ALL_PAIRED)
        expect(bodiesOf<{ code: string }>(directory, 'failure').map(({ code }) => code)).toContain('EFBIG')
        expect((await verifyJournal(directory, { key: VERIFIER_KEY })).verdict).toBe('good')
      } finally {
        child.kill()
      }
    })
  },
)

/** Calls an API under a token, and counts. */
function callerOf({ port }: Pick<JournaledApi, 'port'>) {
  const served: string[] = []
  let calls = 0
  return {
    served,
    get calls() {
      return calls
    },
    async call(): Promise<Answer> {
      const id = `call-${calls++}`
      const answer = await ask(port, { path: '/delegated', headers: [['X-Request-Id', id], ['X-Wait', '0'], bearer(token)] })
      if (answer.status === 200) served.push(id)
      return answer
    },
  }
}

function codeOf({ status, body }: Answer): string | null {
  return status === 503 ? (JSON.parse(body) as { code: string }).code : null
}

function gapsOn({ directory }: SmallDisk): Pick<Gap, 'decisions' | 'outcomes' | 'refusals'> {
  const sum = { decisions: 0, outcomes: 0, refusals: 0 }
  for (const gap of bodiesOf<Gap>(directory, 'gap'))
    for (const kind of ['decisions', 'outcomes', 'refusals'] as const) sum[kind] += gap[kind]
  return sum
}

function textOf({ directory }: SmallDisk): string {
  const names = readdirSync(directory).filter((name) => name.startsWith('journal-'))
  return names.map((name) => readFileSync(join(directory, name), 'utf8')).join('')
}

/** Asks again and again until something holds; fails where that takes too long. */
async function until(holds: () => boolean | Promise<boolean>, what: string): Promise<void> {
  const deadline = performance.now() + PATIENCE_MILLISECONDS
  while (!(await holds())) {
    if (performance.now() > deadline) throw new Error(`not within ${PATIENCE_MILLISECONDS} ms: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

/** The last page of a file may have room where the disk has none. */
async function untilRefused(sink: AuditSink): Promise<void> {
  const refused = async () => sink.write(decision())
  await until(
    () =>
      refused().then(
        () => false,
        () => true,
      ),
    'a decision is refused',
  )
}

/** Files of a directory that this process holds open. */
function openFilesIn(directory: string): string[] {
  const links = readdirSync('/proc/self/fd').map((descriptor) => {
    try {
      return readlinkSync(`/proc/self/fd/${descriptor}`)
    } catch {
      return '' // that of the listing itself
    }
  })
  return links.filter((link) => link.startsWith(`${directory}/`))
}

/** How long the files may be that a process writes to; `null`: as it was. */
function limitFiles(pid: number, bytes: number | null): void {
  execFileSync('prlimit', ['--pid', String(pid), `--fsize=${bytes ?? 'unlimited'}:unlimited`], { stdio: 'ignore' })
}
