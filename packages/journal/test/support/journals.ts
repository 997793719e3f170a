import { generateKeyPairSync } from 'node:crypto'
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { AuditEvent } from '@behalf/core'
import { testEvent } from '@behalf/testing'
import { afterEach } from 'vitest'
import { type JournalRecord, parseRecord } from '../../src/format/record.js'
import { segmentHeaderOf } from '../../src/format/segment-header.js'
import { firstSequenceOf } from '../../src/format/segment-names.js'
import { parseVerifierKey, type VerifierKey, verifierKeyText } from '../../src/format/verifier-key.js'
import type { JournalOptions } from '../../src/write/journal-options.js'
import { type JournalSink, journalSink } from '../../src/write/journal-sink.js'

export const SIGNING_KEY = generateKeyPairSync('ed25519').privateKey
export const ORIGIN = 'test.example/audit'
export const VERIFIER_KEY: VerifierKey = parseVerifierKey(verifierKeyText(ORIGIN, SIGNING_KEY))

const directories: string[] = []
const sinks: JournalSink[] = []

afterEach(async () => {
  await Promise.allSettled(sinks.splice(0).map((sink) => sink.close()))
  for (const each of directories.splice(0)) rmSync(each, { recursive: true, force: true })
})

/** An empty directory, removed after the test. */
export function newDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'behalf-journal-'))
  chmodSync(directory, 0o700)
  directories.push(directory)
  return directory
}

/** A journal with a small reserve, and patience with a busy machine; closed after the test. */
export function newJournal(directory: string, options: Partial<JournalOptions> = {}): JournalSink {
  const sink = journalSink({
    directory,
    signingKey: SIGNING_KEY,
    origin: ORIGIN,
    reserveBytes: 16_384,
    commitDeadlineMilliseconds: 60_000,
    ...options,
  })
  sinks.push(sink)
  return sink
}

/** Records of a journal in their order, read in the simplest way: what the next segment's header cuts off is left out. */
export function recordsOf(directory: string): JournalRecord[] {
  const names = readdirSync(directory)
    .filter((name) => firstSequenceOf(name) !== null)
    .sort()
  const segments = names.map((name) => readFileSync(join(directory, name)))
  return segments.flatMap((bytes, index) => {
    const next = segments[index + 1]
    const header = next === undefined ? null : segmentHeaderOf(recordOf(next.subarray(0, next.indexOf(0x0a))).body)
    const good = bytes.subarray(0, header?.previous?.bytes ?? bytes.length).toString('utf8')
    return good
      .split('\n')
      .slice(0, -1)
      .map((line) => recordOf(Buffer.from(line)))
  })
}

function recordOf(line: Uint8Array): JournalRecord {
  const record = parseRecord(line)
  if (record === null) throw new Error(`no record: ${Buffer.from(line).toString('utf8').slice(0, 200)}`)
  return record
}

/** Bodies of the records of one kind. */
export function bodiesOf<T>(directory: string, kind: JournalRecord['kind']): T[] {
  return recordsOf(directory)
    .filter((record) => record.kind === kind)
    .map(({ body }) => body as T)
}

export function eventsOf(directory: string): AuditEvent[] {
  return bodiesOf<AuditEvent>(directory, 'event')
}

/** A decision that lets a call in. */
export function decision(overrides: Partial<AuditEvent> = {}): AuditEvent {
  return testEvent(overrides)
}

/** What became of such a call. */
export function outcomeOf(of: AuditEvent, overrides: Partial<AuditEvent> = {}): AuditEvent {
  return testEvent({
    ...of,
    id: testEvent().id,
    type: 'access.outcome',
    stage: 'response',
    result: 'completed',
    http: { ...of.http, status: 200, durationMilliseconds: 3 },
    ...overrides,
  })
}

/** A refused call of an actor. */
export function refusal(overrides: Partial<AuditEvent> = {}): AuditEvent {
  return testEvent({
    decision: 'refuse',
    reason: 'actor_unauthorized',
    rule: null,
    scopes: { token: ['orders:read'], effective: [] },
    http: { method: 'GET', route: null, status: 403, durationMilliseconds: null },
    ...overrides,
  })
}
