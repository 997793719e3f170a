import { generateKeyPairSync, hash, type KeyObject } from 'node:crypto'
import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { AuditEvent } from '@behalf/core'
import { journalSink } from '@behalf/journal'
import { testEvent } from '@behalf/testing'
import { NOW } from './run-command.js'

export const JOURNAL_ID = '3b2f8c1e-6a4d-4b0f-9a55-0f1e2d3c4b5a'
export const ORIGIN = 'orders.example/audit'

/** A busy machine's disk can be late, which is not what these tests are about. */
export const PATIENCE_MILLISECONDS = 60_000

/** A new directory; the operating system clears it away. */
export function newDirectory(): string {
  return mkdtempSync(join(tmpdir(), 'behalf-cli-'))
}

/** A record to be written by hand: its kind and its body. */
export type Written = readonly [kind: string, body: unknown]

/**
 * A journal of one segment, framed by hand: whatever a record says, its hashes hold. Bodies are written as `JSON.stringify` does.
 * @returns the directory
 */
export function writtenJournal(records: Iterable<Written>, directory: string = newDirectory()): string {
  const header = {
    created: at(0),
    format: 'behalf-journal/1',
    frontier: [],
    journal: JOURNAL_ID,
    open: [],
    origin: ORIGIN,
    commitDeadlineMilliseconds: PATIENCE_MILLISECONDS,
    previous: null,
  }
  let prev = 'A'.repeat(43)
  let seq = 0
  const chunks: string[] = []
  for (const [kind, body] of [['segment', header] as const, ...records]) {
    const json = JSON.stringify(body)
    const head =
      kind < 'prev' ? `{"${kind}":${json},"prev":"${prev}","seq":${seq}` : `{"prev":"${prev}","${kind}":${json},"seq":${seq}`
    prev = hash('sha256', head, 'base64url')
    chunks.push(`${head},"sha256":"${prev}"}\n`)
    seq++
  }
  writeFileSync(join(directory, 'journal-0000000000000000.jsonl'), chunks.join(''), { mode: 0o600 })
  return directory
}

/** A time of the tests' world: so many seconds before its now. */
export function at(secondsAgo: number): string {
  return new Date(NOW - secondsAgo * 1000).toISOString()
}

/** A party by its id. */
export function party(id: string): NonNullable<AuditEvent['subject']> {
  return { id, idClaim: 'sub', issuer: 'https://as.example.test', type: null, profiles: [], tenant: null }
}

/** An event of the tests' world, by who acts for whom. */
export function event(actor: string | null, subject: string, more: Partial<AuditEvent> = {}): AuditEvent {
  const actorParty = actor === null ? null : party(actor)
  return testEvent({
    time: at(0),
    actor: actorParty,
    subject: party(subject),
    chain: actorParty === null ? [] : [actorParty],
    kind: actor === null ? 'direct' : 'impersonation',
    ...more,
  })
}

/** What a real writer makes of events, each decision with its outcome; closed as it should be. */
export async function realJournal(
  calls: number,
  options: { readonly signingKey?: KeyObject | null; readonly maxSegmentBytes?: number; readonly checkpoints?: string[] } = {},
): Promise<{ readonly directory: string; readonly signingKey: KeyObject | null }> {
  const directory = newDirectory()
  const signingKey = options.signingKey === undefined ? generateKeyPairSync('ed25519').privateKey : options.signingKey
  const sink = journalSink({
    directory,
    signingKey,
    origin: ORIGIN,
    commitDeadlineMilliseconds: PATIENCE_MILLISECONDS,
    ...(options.maxSegmentBytes !== undefined && { maxSegmentBytes: options.maxSegmentBytes }),
    ...(options.checkpoints !== undefined && { onCheckpoint: (note) => void options.checkpoints?.push(note) }),
  })
  for (let call = 0; call < calls; call++) {
    const decision = event(`agent-${call % 7}`, `user-${call}`)
    await sink.write(decision)
    await sink.write({ ...decision, id: testEvent().id, type: 'access.outcome', stage: 'response', result: 'completed' })
  }
  await sink.close?.()
  return { directory, signingKey }
}
