import { hash, randomUUID } from 'node:crypto'
import { constants } from 'node:fs'
import { type FileHandle, open, readdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { AuditEvent } from '@behalf/core'
import { parseCheckpoint, parseNote } from '../format/checkpoint.js'
import { MerkleFrontier } from '../format/merkle.js'
import { GENESIS, type JournalRecord, parseRecord } from '../format/record.js'
import { frontierFits, type SegmentHeader, segmentHeaderOf } from '../format/segment-header.js'
import { firstSequenceOf } from '../format/segment-names.js'
import { JournalError, systemCodeOf } from '../journal-error.js'
import { readRegularFile } from '../read/read-regular-file.js'
import type { ChainState } from './chain.js'
import type { CreateFile } from './journal-file.js'
import { type OpenDecisions, trackDecision } from './open-decisions.js'

/** What a journal was when its last writer ended, however that was. */
export interface Recovered {
  /** UUID of the journal. */
  readonly journal: string
  /** `null`: the directory was empty. */
  readonly origin: string | null
  readonly chain: ChainState
  readonly previous: SegmentHeader['previous']
  readonly open: OpenDecisions
  readonly cut: Cut | null
}

/** Bytes at the end of a journal that are no records: a write that was under way when the machine or the process ended. */
export interface Cut {
  readonly bytes: number
  /** Records that were on disk for certain, as a checkpoint among the cut bytes says, and are not there now. Not 0: damage, or worse. */
  readonly durable: number
  /** Where the bytes were put; `null` where they could not be kept. */
  readonly file: string | null
  readonly segment: string
  /** SHA-256 of the bytes, base64url. */
  readonly sha256: string
}

/** Decisions and records of one segment, up to its first byte that is no record. */
interface SegmentContents {
  readonly header: SegmentHeader
  readonly chain: ChainState
  readonly open: OpenDecisions
  /** Length of what is good. */
  readonly goodBytes: number
  readonly bytes: Buffer
}

const NEWLINE = 0x0a
const { O_RDWR, O_NOFOLLOW = 0 } = constants

/**
 * Finds out where a journal stands, from its last segment and what that points to. Torn bytes at its end are cut off, and kept in
 * a file of their own. Needs the directory's lock. Not done here: anything that `verifyJournal()` does.
 * @throws {JournalError} `unreadable` where the last segment is of another format, or not the successor of the one before
 */
export async function recover(directory: string, createFile: CreateFile): Promise<Recovered> {
  let headless: Headless | null = null
  for (const name of (await segmentsOf(directory)).reverse()) {
    const contents = await readSegment(directory, name)
    if (contents !== null) return recoverFrom(directory, name, contents, headless, createFile)
    headless = await putHeadlessAside(directory, name, headless)
  }
  if (headless !== null)
    throw new JournalError(
      'unreadable',
      'the first segment of the journal is damaged: put the directory aside, for whoever finds out why',
    )
  const chain: ChainState = { size: 0, head: GENESIS, frontier: [], checkpointSize: 0, uncovered: 0 }
  return { journal: randomUUID(), origin: null, chain, previous: null, open: new Map(), cut: null }
}

async function recoverFrom(
  directory: string,
  name: string,
  contents: SegmentContents,
  headless: Headless | null,
  createFile: CreateFile,
): Promise<Recovered> {
  const { header, goodBytes, bytes, open } = contents
  const torn = goodBytes === bytes.length ? null : await putAside(directory, name, contents, createFile)
  const cut = headless === null ? torn : cutOf(headless, contents.chain.size)
  if (header.previous !== null && header.previous.name < name)
    await shorten(join(directory, header.previous.name), header.previous.bytes)
  const checkpointSize = contents.chain.checkpointSize || (await lastCheckpointBefore(directory, name))
  const uncovered = contents.chain.size - checkpointSize - (checkpointSize > 0 ? 1 : 0) // a checkpoint needs none for itself
  const chain = { ...contents.chain, checkpointSize, uncovered }
  return { journal: header.journal, origin: header.origin, chain, previous: { bytes: goodBytes, name }, open, cut }
}

/** A segment whose header is not there, although records are. */
interface Headless {
  readonly name: string
  readonly bytes: Buffer
  /** Where it was put. */
  readonly file: string
}

/**
 * Puts a segment without a header aside. Most often its first write never came to the disk; where there are records in it, a record
 * has to tell of it.
 */
async function putHeadlessAside(directory: string, name: string, before: Headless | null): Promise<Headless | null> {
  const path = join(directory, name)
  const bytes = await readRegularFile(path)
  const file = tornName(firstSequenceOf(name) ?? 0)
  await rename(path, join(directory, file))
  return before ?? (holdsRecords(bytes) ? { name, bytes, file } : null)
}

function holdsRecords(bytes: Buffer): boolean {
  for (let start = 0, end = bytes.indexOf(NEWLINE); end !== -1; start = end + 1, end = bytes.indexOf(NEWLINE, start)) {
    if (parseRecord(bytes.subarray(start, end)) !== null) return true
  }
  return false
}

function cutOf({ name, bytes, file }: Headless, size: number): Cut {
  return { bytes: bytes.length, durable: durableIn(bytes, size), file, segment: name, sha256: hash('sha256', bytes, 'base64url') }
}

/** Names of the segments in a directory, oldest first. */
export async function segmentsOf(directory: string): Promise<string[]> {
  return (await readdir(directory)).filter((name) => firstSequenceOf(name) !== null).sort()
}

/** A name for bytes that are not part of the journal. */
export function tornName(sequence: number, mark: string = randomUUID()): string {
  return `torn-${String(sequence).padStart(16, '0')}-${mark}.bin`
}

/** A decision that lets a call in, and where it stands. */
interface DecisionAt {
  readonly sequence: number
  readonly requestId: string
  readonly event: AuditEvent
}

/** Decisions on disk, by their sequences; those that retention removed are left out. */
export async function decisionsAt(directory: string, sequences: readonly number[]): Promise<readonly DecisionAt[]> {
  if (sequences.length === 0) return []
  const wanted = new Set(sequences)
  const found: DecisionAt[] = []
  const names = await segmentsOf(directory)
  for (const [index, name] of names.entries()) {
    const first = firstSequenceOf(name) ?? 0
    const next = firstSequenceOf(names[index + 1] ?? '') ?? Number.POSITIVE_INFINITY
    if (!sequences.some((sequence) => sequence >= first && sequence < next)) continue
    for (const { record } of recordsIn(await readRegularFile(join(directory, name)))) {
      if (record.seq >= next) break // behind the end that the next segment tells: written, and then written again there
      if (record.kind !== 'event' || !wanted.delete(record.seq)) continue
      const event = record.body as unknown as AuditEvent
      found.push({ sequence: record.seq, requestId: event.requestId, event })
    }
  }
  return found
}

/** `null`: the segment has no header, so its first write never reached the disk. */
async function readSegment(directory: string, name: string): Promise<SegmentContents | null> {
  const bytes = await readRegularFile(join(directory, name))
  let header: SegmentHeader | null = null
  let tree = MerkleFrontier.empty()
  let head: string = GENESIS
  let goodBytes = 0
  let checkpointSize = 0
  const openDecisions: OpenDecisions = new Map()
  for (const { record, end } of recordsIn(bytes)) {
    if (header === null) {
      header = headerOf(record, name)
      if (header === null) return null
      tree = MerkleFrontier.of(
        record.seq,
        header.frontier.map((each) => Buffer.from(each, 'base64url')),
      )
      for (const { requestId, sequence } of await decisionsAt(directory, header.open)) openDecisions.set(requestId, sequence)
    } else if (record.seq !== tree.size || record.prev !== head) break
    if (record.kind === 'event') trackDecision(openDecisions, record.body as unknown as AuditEvent, record.seq)
    if (record.kind === 'checkpoint') checkpointSize = record.seq
    tree.appendHash(record.sha256)
    head = record.sha256
    goodBytes = end
  }
  if (header === null) return null
  const chain = { size: tree.size, head, frontier: tree.hashes(), checkpointSize, uncovered: 0 }
  return { header, chain, open: openDecisions, goodBytes, bytes }
}

function headerOf(record: JournalRecord, name: string): SegmentHeader | null {
  if (record.kind !== 'segment' || record.seq !== firstSequenceOf(name)) return null
  const header = segmentHeaderOf(record.body)
  if (header === null || !frontierFits(header, record.seq))
    throw new JournalError('unreadable', 'the journal was written in another format: give this version a directory of its own')
  return header
}

/** Complete records from the beginning on, until the first bytes that are none. */
function* recordsIn(bytes: Buffer): Generator<{ record: JournalRecord; end: number }> {
  let start = 0
  for (let end = bytes.indexOf(NEWLINE); end !== -1; end = bytes.indexOf(NEWLINE, start)) {
    const record = parseRecord(bytes.subarray(start, end))
    if (record === null) return
    start = end + 1
    yield { record, end: start }
  }
}

/** Puts torn bytes aside. They are cut off when a record tells of it, so that a start that is broken off does not hide them. */
async function putAside(
  directory: string,
  name: string,
  { bytes, goodBytes, chain }: SegmentContents,
  createFile: CreateFile,
): Promise<Cut> {
  const torn = bytes.subarray(goodBytes)
  const sha256 = hash('sha256', torn, 'base64url')
  const file = tornName(chain.size, sha256) // the same again where a start was broken off: one copy is enough
  const kept = await keep(join(directory, file), torn, createFile)
  return { bytes: torn.length, durable: durableIn(torn, chain.size), file: kept ? file : null, segment: name, sha256 }
}

/**
 * Cuts a file back to its bytes that count: what stands behind them was written again elsewhere, or is torn. A segment that was left
 * behind may still have such bytes, and the record that told of it may be torn itself.
 */
export async function shorten(path: string, bytes: number): Promise<void> {
  let handle: FileHandle
  try {
    handle = await open(path, O_RDWR | O_NOFOLLOW)
  } catch (error) {
    if (systemCodeOf(error) === 'ENOENT') return // retention has removed it
    throw error
  }
  try {
    if ((await handle.stat()).size <= bytes) return
    await handle.truncate(bytes)
    await handle.sync()
  } finally {
    await handle.close()
  }
}

/** A copy of torn bytes, whole or not at all. */
async function keep(path: string, bytes: Buffer, createFile: CreateFile): Promise<boolean> {
  const unfinished = `${path}-${randomUUID()}`
  try {
    const file = await createFile(unfinished)
    await file.write(bytes)
    await file.sync()
    await file.close()
    await rename(unfinished, path)
    return true
  } catch {
    await rm(unfinished, { force: true }).catch(() => {})
    return false // a full disk must not keep a journal from starting
  }
}

/** How many records beyond `size` were on disk, as checkpoints in these bytes say: each covers only what was. */
function durableIn(torn: Buffer, size: number): number {
  let durable = 0
  for (let start = 0, end = torn.indexOf(NEWLINE); end !== -1; start = end + 1, end = torn.indexOf(NEWLINE, start)) {
    const record = parseRecord(torn.subarray(start, end))
    const note = record?.kind === 'checkpoint' && typeof record.body === 'string' ? parseNote(record.body) : null
    const checkpoint = note === null ? null : parseCheckpoint(note.text)
    if (checkpoint !== null) durable = Math.max(durable, checkpoint.size - size)
  }
  return durable
}

/** Size of the last checkpoint in the segments before one. */
async function lastCheckpointBefore(directory: string, name: string): Promise<number> {
  const earlier = (await segmentsOf(directory)).filter((each) => each < name)
  let next = firstSequenceOf(name) ?? 0
  for (const each of earlier.reverse()) {
    let size = 0
    for (const { record } of recordsIn(await readRegularFile(join(directory, each)))) {
      if (record.seq >= next) break
      if (record.kind === 'checkpoint') size = record.seq
    }
    if (size > 0) return size
    next = firstSequenceOf(each) ?? 0
  }
  return 0
}
