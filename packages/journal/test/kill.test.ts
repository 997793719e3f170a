/**
 * An API under load is killed at random moments. Its handlers leave marks that survive that; each mark must have its decision in the
 * journal, and each decision exactly one outcome once the journal was opened again. `BEHALF_KILLS`: how often.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { appendFileSync, existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { AuditEvent } from '@behalf/core'
import { createTestIssuer } from '@behalf/testing'
import { afterAll, describe, expect, test } from 'vitest'
import { verifyJournal } from '../src/verify/verify-journal.js'
import { createChance } from './support/e2e-chance.js'
import { type ApiChild, type ChildSettings, type Death, forkApi } from './support/e2e-child.js'
import { type Load, type LoadRequest, startLoad } from './support/e2e-load.js'
import { ALL_PAIRED, isAdmission, unpairedIn } from './support/e2e-pairs.js'
import { FaultDisk } from './support/fault-disk.js'
import { bodiesOf, decision, eventsOf, newDirectory, newJournal, ORIGIN, SIGNING_KEY, VERIFIER_KEY } from './support/journals.js'

const KILLS = positive('BEHALF_KILLS', 20)
const SEED = positive('BEHALF_KILLS_SEED', 8693)
/** Kills that one journal has to live through. */
const KILLS_PER_JOURNAL = 4
const CONCURRENCY = 24
/** Some ten calls fill it. */
const SMALL_SEGMENT_BYTES = 16_384

const SIGNING_KEY_PEM = SIGNING_KEY.export({ type: 'pkcs8', format: 'pem' }).toString()
const issuer = await createTestIssuer({ algorithms: ['EdDSA'] })
afterAll(() => issuer.close())

const agents = Array.from({ length: 6 }, (_, index) =>
  issuer.token({ claims: { sub: `user-${index}`, act: agent(`agent-${index}`) } }),
)
const strangers = Array.from({ length: 3 }, (_, index) => issuer.token({ claims: { act: { sub: `stranger-${index}` } } }))
const direct = issuer.token()
const forged = `${direct.slice(0, -20)}${'A'.repeat(20)}`

/** What all kills together came upon: a test of kills that always hit an idle journal would show nothing. */
const met = {
  kills: 0,
  marks: 0,
  answers: 0,
  unknown: 0,
  refusals: 0,
  torn: 0,
  segments: 0,
  whileRecovering: 0,
  beforeListening: 0,
}

/** The next one loads its modules while this one is being killed. */
let spare: ApiChild | null = forkApi()
afterAll(() => spare?.kill())

describe(`an API that is killed ${KILLS} times (BEHALF_KILLS_SEED=${SEED})`, () => {
  const journals = Math.ceil(KILLS / KILLS_PER_JOURNAL)
  test.each(Array.from({ length: journals }, (_, index) => index))('journal %i', async (index) => {
    const kills = Math.min(KILLS_PER_JOURNAL, KILLS - index * KILLS_PER_JOURNAL)
    const place = newPlace(SEED + index)
    for (let round = 0; round < kills; round++) {
      await killOnce(place, `${index}-${round}`)
      await expectWhole(place)
      tellProgress()
    }
  })

  test.runIf(KILLS >= 20)('the kills came when they could have done harm', () => {
    expect(met.kills).toBe(KILLS)
    expect(met.marks).toBeGreaterThan(KILLS)
    expect(met.answers).toBeGreaterThan(KILLS)
    expect(met.refusals).toBeGreaterThan(0)
    expect(met.unknown).toBeGreaterThan(0)
    expect(met.segments).toBeGreaterThan(2 * KILLS)
    expect(met.torn).toBeGreaterThan(0)
    expect(met.whileRecovering).toBeGreaterThan(0)
    expect(met.beforeListening).toBeGreaterThan(0)
  })
})

test.runIf(existsSync('/proc/self/stat'))(
  'a writer that was killed and that nobody took note of (a zombie) holds no lock',
  async () => {
    const directory = newDirectory()
    const { process: parent, pid } = await becomeZombie(directory)
    try {
      expect(readFileSync(`/proc/${pid}/stat`, 'utf8')).toContain(') Z ')
      const sink = newJournal(directory)
      await sink.ready()
      await sink.write(decision())
    } finally {
      parent.kill('SIGKILL')
    }
  },
)

test('a writer that ends after it has cut off torn bytes, and before it has said so: the next one says it', async () => {
  const directory = newDirectory()
  const first = newJournal(directory)
  await first.write(decision())
  await first.close()
  appendFileSync(join(directory, 'journal-0000000000000000.jsonl'), '{"event":{"torn')
  const disk = new FaultDisk()
  disk.fault = (operation, name) => (operation === 'create' && name.startsWith('journal-') ? 'EIO' : null)
  const second = newJournal(directory, { createFile: disk.createFile, closeTimeoutMilliseconds: 1 })
  await expect(second.ready()).rejects.toMatchObject({ code: 'unavailable' })
  await second.close().catch(() => {})
  const third = newJournal(directory)
  await third.ready()
  await third.close()
  const cuts = bodiesOf<{ cut: { bytes: number } | null }>(directory, 'recovery').map(({ cut }) => cut?.bytes ?? 0)
  expect(cuts).toEqual([0, 15])
  expect((await verifyJournal(directory, { key: VERIFIER_KEY })).verdict).toBe('good')
})

/** A journal that is killed several times, and what is known of it from outside. */
interface Place extends Pick<ChildSettings, 'journal' | 'effectsFile' | 'checkpointFile'> {
  readonly directory: string
  readonly chance: ReturnType<typeof createChance>
  /** Ids of delegated calls that a client saw answered with 200. */
  readonly answered: string[]
}

function newPlace(seed: number): Place {
  const directory = newDirectory()
  const outside = newDirectory()
  const chance = createChance(seed)
  const journal = {
    directory,
    origin: ORIGIN,
    maxSegmentBytes: chance.pick([SMALL_SEGMENT_BYTES, SMALL_SEGMENT_BYTES, 64 * 1024 * 1024]),
    checkpointRecords: chance.pick([10, 50, 1_000]),
    checkpointSeconds: 1,
    reserveBytes: 16_384,
    commitDeadlineMilliseconds: 5_000,
    refusalsPerSecond: 1_000,
  }
  return {
    directory,
    chance,
    journal,
    effectsFile: join(outside, 'effects'),
    checkpointFile: join(outside, 'checkpoint'),
    answered: [],
  }
}

/** How a process ends: after so many answers, so many milliseconds after it was told to start or listens, or at an operation on files. */
type Ending =
  | { readonly at: 'answers'; readonly count: number }
  | { readonly at: 'start' | 'load'; readonly milliseconds: number }
  | { readonly at: 'operation'; readonly death: Death }

/** Those that no run may be without. */
const FIRST_ENDINGS: readonly Ending[] = [
  { at: 'operation', death: { operation: 'write', count: 8, when: 'half' } },
  { at: 'start', milliseconds: 0 },
]

function endingOf(place: Place, ways: readonly Ending['at'][]): Ending {
  const { pick, integer } = place.chance
  const at = pick(ways)
  if (at === 'answers') return { at, count: integer(1, 120) }
  if (at === 'operation') return { at, death: deathOf(place) }
  return { at, milliseconds: at === 'start' ? pick([0, 4, 8, 12, 16]) : integer(0, 80) }
}

/** Files are made and closed at rotations only. */
function deathOf({ chance: { pick, integer }, journal }: Place): Death {
  const often = ['write', 'write', 'sync'] as const
  const operation = pick(journal.maxSegmentBytes === SMALL_SEGMENT_BYTES ? (['create', 'close', ...often] as const) : often)
  const most = operation === 'write' || operation === 'sync' ? 25 : 6
  return { operation, count: integer(1, most), when: pick(['before', 'half', 'after']) }
}

/** Runs an API on the journal until it is killed, and sometimes another one that is killed while it recovers. */
async function killOnce(place: Place, name: string): Promise<void> {
  const ending = FIRST_ENDINGS[met.kills] ?? endingOf(place, ['answers', 'answers', 'load', 'operation', 'operation', 'start'])
  await runUntilKilled(place, ending, name)
  met.kills++
  expectRecorded(place)
  if (met.kills > 1 && !place.chance.happens(1 / 4)) return
  met.whileRecovering++
  await runUntilKilled(place, endingOf(place, ['operation', 'start']), `${name}-again`)
  expectRecorded(place)
}

async function runUntilKilled(place: Place, ending: Ending, name: string): Promise<void> {
  const { journal, effectsFile, checkpointFile, chance } = place
  const child = spare ?? forkApi()
  spare = forkApi()
  const { issuer: url, audience } = issuer
  const identity = { issuer: url, audience, jwks: issuer.jwks(), signingKeyPem: SIGNING_KEY_PEM }
  const death = ending.at === 'operation' ? ending.death : null
  const started = child.start({ journal, effectsFile, checkpointFile, ...identity, death, timeoutMilliseconds: 10_000 })
  if (ending.at === 'start') setTimeout(child.kill, ending.milliseconds)
  const port = await started
  if (port === null) {
    met.beforeListening++
    return
  }
  const load = startLoad(port, CONCURRENCY, requestsOf(chance, name))
  if (ending.at === 'load') setTimeout(child.kill, ending.milliseconds)
  else void load.until(ending.at === 'answers' ? ending.count : 250).then(child.kill) // also where an operation never comes
  await child.ended
  await load.stop()
  noteAnswers(place, load)
}

function noteAnswers({ answered }: Place, load: Load): void {
  for (const [status, ids] of load.answered) {
    met.answers += ids.length
    if (status === 200) answered.push(...ids.filter((id) => id.endsWith('delegated')))
    else expect([401, 403, 503]).toContain(status)
  }
}

/** Mostly delegated calls, some direct ones, some that are refused. */
function requestsOf({ integer, pick }: Place['chance'], name: string): () => LoadRequest {
  let count = 0
  return () => {
    const waitMilliseconds = pick([0, 0, 0, 2])
    const drawn = integer(1, 10)
    const [kind, token] =
      drawn <= 7
        ? ['delegated', pick(agents)]
        : drawn === 8
          ? ['direct', direct]
          : ['refused', pick([...strangers, forged, null])]
    return { id: `${name}-${count++}-${kind}`, path: kind === 'direct' ? '/direct' : '/delegated', token, waitMilliseconds }
  }
}

/** Every mark of a handler, and every answer, has its decision in the files as the kill left them. */
function expectRecorded({ directory, effectsFile, answered }: Place): void {
  const marks = marksIn(effectsFile)
  const recorded = new Set(
    eventsAsTheyAre(directory)
      .filter(isAllowed)
      .map(({ net }) => net.callerRequestId),
  )
  expect(marks.filter((id) => !recorded.has(id))).toEqual([])
  expect(answered.filter((id) => !recorded.has(id))).toEqual([])
}

/** The journal goes on; then it is whole, and says what became of every call. */
async function expectWhole(place: Place): Promise<void> {
  const { directory, journal, checkpointFile, effectsFile } = place
  const marks = marksIn(effectsFile)
  const sink = newJournal(directory, journal)
  await sink.ready()
  await sink.close()
  const events = eventsOf(directory)
  expect(unpairedIn(events)).toEqual(ALL_PAIRED)
  const recorded = new Set(events.filter(isAllowed).map(({ net }) => net.callerRequestId))
  expect(marks.filter((id) => !recorded.has(id))).toEqual([])
  const checkpoint = existsSync(checkpointFile) ? readFileSync(checkpointFile, 'utf8') : null
  const { verdict, findings, openDecisions } = await verifyJournal(directory, { key: VERIFIER_KEY, checkpoint })
  expect({ verdict, openDecisions, findings: verdict === 'good' ? [] : findings }).toEqual({
    verdict: 'good',
    openDecisions: 0,
    findings: [],
  })
  noteWhatWasMet(directory, marks.length, events)
}

/** Ids that handlers left behind. */
function marksIn(effectsFile: string): string[] {
  return existsSync(effectsFile) ? readFileSync(effectsFile, 'utf8').split('\n').slice(0, -1) : []
}

/** The last look at a journal counts for all of its kills. */
const seen = new Map<string, Pick<typeof met, 'marks' | 'unknown' | 'refusals' | 'torn' | 'segments'>>()

function noteWhatWasMet(directory: string, marks: number, events: readonly AuditEvent[]): void {
  const names = readdirSync(directory)
  seen.set(directory, {
    marks,
    unknown: events.filter(({ result }) => result === 'unknown').length,
    refusals: events.filter((event) => event.type === 'access.decision' && event.decision === 'refuse').length,
    torn: bodiesOf<{ cut: unknown }>(directory, 'recovery').filter(({ cut }) => cut !== null).length,
    segments: names.filter((name) => name.startsWith('journal-')).length,
  })
  for (const what of ['marks', 'unknown', 'refusals', 'torn', 'segments'] as const) {
    met[what] = [...seen.values()].reduce((sum, each) => sum + each[what], 0)
  }
}

function isAllowed(event: AuditEvent): boolean {
  return isAdmission(event) && event.decision === 'allow'
}

/** Events in all segments, read without any of the journal's own code: lines that are JSON and have an event. */
function eventsAsTheyAre(directory: string): AuditEvent[] {
  const names = readdirSync(directory).filter((name) => name.startsWith('journal-'))
  return names.flatMap((name) =>
    readFileSync(join(directory, name), 'utf8')
      .split('\n')
      .slice(0, -1)
      .flatMap((line) => (JSON.parse(line) as { readonly event?: AuditEvent }).event ?? []),
  )
}

function agent(sub: string) {
  return { sub, sub_profile: 'ai_agent' }
}

/** A writer whose parent does not look after its children: killed, it stays in the table of processes. */
async function becomeZombie(directory: string): Promise<{ readonly process: ChildProcess; readonly pid: number }> {
  const program = fileURLToPath(new URL('support/lock-child.mjs', import.meta.url))
  const script = '"$0" "$@" & exec sleep 60' // sleep knows of no child
  const parent = spawn('sh', ['-c', script, process.execPath, program, directory, ORIGIN], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const [line] = (await once(parent.stdout, 'data')) as [Buffer]
  const pid = Number(line.toString())
  process.kill(pid, 'SIGKILL')
  await untilGone(pid)
  return { process: parent, pid }
}

/** A killed process has no memory of its own any more once it is a zombie. */
async function untilGone(pid: number): Promise<void> {
  while (!readFileSync(`/proc/${pid}/stat`, 'utf8').includes(') Z ')) await new Promise((resolve) => setImmediate(resolve))
}

/** One line on a terminal, for long runs. */
function tellProgress(): void {
  if (KILLS <= 100 || !process.stderr.isTTY) return
  process.stderr.write(`\r${met.kills} of ${KILLS} kills, ${met.marks} marks of handlers${met.kills === KILLS ? '\n' : ''}`)
}

function positive(name: string, otherwise: number): number {
  const text = process.env[name]
  if (text === undefined || text === '') return otherwise
  const value = Number(text)
  if (!Number.isSafeInteger(value) || value < 1) throw new Error(`${name} is not a positive whole number: ${text}`)
  return value
}
