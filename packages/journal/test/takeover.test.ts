/** Writers that are taken for dead and are not, and directories that somebody has put something into. */
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { canonicalJson } from '../src/format/canonical-json.js'
import { encodeRecord, GENESIS } from '../src/format/record.js'
import { verifyJournal } from '../src/verify/verify-journal.js'
import { FaultDisk } from './support/fault-disk.js'
import { bodiesOf, decision, eventsOf, newDirectory, newJournal, ORIGIN, outcomeOf, VERIFIER_KEY } from './support/journals.js'
import { filesQuiet, holdTimers, pass, settled, watch } from './support/paces.js'

beforeEach(() => {
  holdTimers()
  vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
})
afterEach(() => vi.useRealTimers())

/** What another machine does that has heard nothing of the holder for ten seconds. */
function takeLockAway(directory: string): void {
  rmSync(join(directory, 'lock'))
}

const idsOf = (directory: string) => eventsOf(directory).map(({ id }) => id)

test('a write that took too long is not acknowledged when somebody else has the directory by then', async () => {
  const directory = newDirectory()
  const disk = new FaultDisk()
  const first = newJournal(directory, { createFile: disk.createFile })
  await first.ready()
  const [mine, theirs] = [decision(), decision()]
  disk.stall()
  const writing = watch(() => first.write(mine))
  await settled(() => disk.counts.write > 2)
  takeLockAway(directory)
  const second = newJournal(directory)
  await second.write(theirs)
  await second.write(outcomeOf(theirs))
  await pass(6_000, 500)
  disk.resume()
  await pass(3_000, 500)
  expect(writing.state).toBe('pending')
  await second.close()
  await pass(3_000, 500)
  await settled(() => writing.state !== 'pending')
  expect(writing.state).toBe('accepted')
  await first.write(outcomeOf(mine))
  await first.close()
  expect(idsOf(directory)).toEqual(expect.arrayContaining([mine.id, theirs.id]))
  vi.useRealTimers()
  const { findings } = await verifyJournal(directory, { key: VERIFIER_KEY })
  expect(findings.filter(({ severity }) => severity === 'tampered')).toEqual([])
})

test('a writer that was stopped while it began a segment does not put the segment of another one aside', async () => {
  const directory = newDirectory()
  const disk = new FaultDisk()
  let goOn = () => {}
  const stopped = new Promise<void>((resolve) => {
    goOn = resolve
  })
  disk.before = (operation, name) => (operation === 'create' && name.startsWith('journal-') ? stopped : undefined)
  const first = newJournal(directory, { createFile: disk.createFile })
  await settled(() => disk.counts.create >= 2)
  takeLockAway(directory)
  const second = newJournal(directory)
  const accepted = [decision(), decision()]
  await second.write(accepted[0] as never)
  goOn()
  await filesQuiet()
  await pass(2_000, 100)
  await second.write(accepted[1] as never)
  expect(first.state).toBe('opening')
  expect(readdirSync(directory).filter((name) => name.startsWith('torn-'))).toEqual([])
  await second.close()
  expect(idsOf(directory)).toEqual(accepted.map(({ id }) => id))
})

test('an outcome that waited while another writer closed its call as unknown is not written', async () => {
  const directory = newDirectory()
  const disk = new FaultDisk()
  const first = newJournal(directory, { createFile: disk.createFile })
  const call = decision()
  await first.write(call)
  disk.fault = () => 'EIO'
  watch(() => first.write(outcomeOf(call)))
  await pass(500)
  takeLockAway(directory)
  await newJournal(directory).close()
  await pass(6_000, 500)
  disk.heal()
  await pass(3_000, 100)
  await settled(() => first.state === 'writing' && first.queuedRecords === 0)
  await first.close()
  expect(
    eventsOf(directory)
      .filter(({ type }) => type === 'access.outcome')
      .map(({ result }) => result),
  ).toEqual(['unknown'])
})

test('a last segment whose header is damaged is told of, with what had been on disk for certain', async () => {
  const directory = newDirectory()
  for (let times = 0; times < 2; times++) {
    const sink = newJournal(directory)
    const event = decision()
    await sink.write(event)
    await sink.write(outcomeOf(event))
    await sink.close()
  }
  const last =
    readdirSync(directory)
      .filter((name) => name.startsWith('journal-'))
      .sort()
      .at(-1) ?? ''
  const bytes = readFileSync(join(directory, last))
  bytes[20] = (bytes[20] as number) ^ 1
  writeFileSync(join(directory, last), bytes)
  await newJournal(directory).close()
  const cut = bodiesOf<{ cut: { segment: string; durable: number } | null }>(directory, 'recovery').at(-1)?.cut
  expect(cut?.segment).toBe(last)
  expect(cut?.durable).toBeGreaterThan(0)
  vi.useRealTimers()
  expect((await verifyJournal(directory, { key: VERIFIER_KEY })).verdict).toBe('tampered')
})

test('a first segment whose header is damaged is not begun anew', async () => {
  const directory = newDirectory()
  const sink = newJournal(directory)
  await sink.write(decision())
  await sink.close()
  const [only = ''] = readdirSync(directory).filter((name) => name.startsWith('journal-'))
  writeFileSync(join(directory, only), readFileSync(join(directory, only)).fill(0, 0, 10))
  await expect(newJournal(directory).ready()).rejects.toMatchObject({ code: 'unreadable' })
})

test('decisions that a start could not close any more are closed by the next one', async () => {
  const directory = newDirectory()
  const calls = [decision(), decision(), decision()]
  const first = newJournal(directory)
  for (const each of calls) await first.write(each)
  await first.close()
  await newJournal(directory).close()
  const last =
    readdirSync(directory)
      .filter((name) => name.startsWith('journal-'))
      .sort()
      .at(-1) ?? ''
  const lines = readFileSync(join(directory, last), 'utf8').split('\n')
  writeFileSync(join(directory, last), `${lines.slice(0, 3).join('\n')}\n`) // header, recovery, and one of three outcomes
  await newJournal(directory).close()
  const outcomes = eventsOf(directory).filter(({ type }) => type === 'access.outcome')
  expect(outcomes.map(({ requestId }) => requestId).sort()).toEqual(calls.map(({ requestId }) => requestId).sort())
})

test.each(['../precious.txt', '/etc/precious', 'lock', ''])('a header that names %j as its predecessor is none', async (name) => {
  const outside = newDirectory()
  const directory = join(outside, 'journal')
  const precious = join(outside, 'precious.txt')
  writeFileSync(precious, 'precious')
  await newJournal(directory).close()
  for (const each of readdirSync(directory)) rmSync(join(directory, each))
  const previous = { bytes: 0, name }
  const header = { created: '', format: 'behalf-journal/1', frontier: [], journal: 'j', open: [], origin: ORIGIN, previous }
  const { line } = encodeRecord('segment', canonicalJson(header), 0, GENESIS)
  writeFileSync(join(directory, 'journal-0000000000000000.jsonl'), `${line}\n`)
  await expect(newJournal(directory).ready()).rejects.toMatchObject({ code: 'unreadable' })
  expect(readFileSync(precious, 'utf8')).toBe('precious')
})

test('nobody waits for a journal that is closed', async () => {
  const directory = newDirectory()
  const holder = newJournal(directory)
  await holder.ready()
  const waiting = newJournal(directory)
  await expect(waiting.ready()).rejects.toMatchObject({ code: 'locked' })
  await waiting.close()
  await expect(waiting.ready()).rejects.toMatchObject({ code: 'closed' })
  await holder.close()
  expect(readdirSync(directory)).not.toContain('lock')
})
