import { createHash, createPrivateKey, type KeyObject } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { canonicalJson } from '../../src/format/canonical-json.js'
import { formatCheckpoint, signNote } from '../../src/format/checkpoint.js'
import { encodeRecord, GENESIS, type RecordKind } from '../../src/format/record.js'
import { segmentName } from '../../src/format/segment-names.js'
import { parseVerifierKey, type VerifierKey, verifierKeyText } from '../../src/format/verifier-key.js'
import { naiveFrontier, naiveRoot } from './naive-merkle.js'

/** An Ed25519 key that is the same in every run. */
export function testSigningKey(seed: number): KeyObject {
  const prefix = Buffer.from('302e020100300506032b657004220420', 'hex')
  return createPrivateKey({ key: Buffer.concat([prefix, Buffer.alloc(32, seed)]), format: 'der', type: 'pkcs8' })
}

export const ORIGIN = 'log.example.test/orders'
export const SIGNING_KEY: KeyObject = testSigningKey(7)
export const VERIFIER_KEY: VerifierKey = parseVerifierKey(verifierKeyText(ORIGIN, SIGNING_KEY))
export const JOURNAL = '5e0a4d0e-3b2f-4a53-9d0c-0d3f6ad3b001'

/** One segment's file. */
export interface BuiltSegment {
  readonly name: string
  readonly first: number
  /** With their newlines. */
  readonly lines: string[]
  /** Bytes behind its end. */
  rest: string
}

export interface BuilderOptions {
  /** `null`: checkpoints are not signed. */
  readonly key?: KeyObject | null
  readonly origin?: string
  readonly journal?: string
  /** The n-th checkpoint gets the signature line of the n-th one of this journal. */
  readonly signaturesOf?: JournalBuilder
}

/** Makes valid journals from the format alone; the writer has no part in it. Every method adds what it says, and returns the builder. */
export class JournalBuilder {
  readonly segments: BuiltSegment[] = []
  readonly key: KeyObject | null
  readonly origin: string
  readonly journal: string
  readonly #signaturesOf: JournalBuilder | null
  readonly leaves: Buffer[] = []
  /** Notes of all checkpoints. */
  readonly notes: string[] = []
  readonly open = new Map<string, number>()
  #head: string = GENESIS
  #covered = 0
  #clock = Date.parse('2026-09-21T13:33:20.000Z')
  #requests = 0

  constructor({ key = SIGNING_KEY, origin = ORIGIN, journal = JOURNAL, signaturesOf }: BuilderOptions = {}) {
    this.key = key
    this.origin = origin
    this.journal = journal
    this.#signaturesOf = signaturesOf ?? null
    this.#begin(null)
  }

  get size(): number {
    return this.leaves.length
  }

  get head(): string {
    return this.#head
  }

  get time(): string {
    return new Date(this.#clock++).toISOString()
  }

  record(kind: RecordKind, body: unknown): this {
    const { line, sha256 } = encodeRecord(kind, canonicalJson(body), this.size, this.#head)
    this.segments.at(-1)?.lines.push(`${line}\n`)
    this.leaves.push(Buffer.from(sha256, 'base64url'))
    this.#head = sha256
    return this
  }

  event(type: string, requestId: string, members: object = {}): this {
    const event = {
      v: '1.0',
      id: `${this.size}`,
      type,
      time: this.time,
      requestId,
      stage: 'rules',
      decision: 'allow',
      reason: null,
      result: null,
    }
    return this.record('event', { ...event, ...members })
  }

  decision(requestId: string, members: object = {}): this {
    this.open.set(requestId, this.size)
    return this.event('access.decision', requestId, members)
  }

  outcome(requestId: string, result = 'completed'): this {
    this.open.delete(requestId)
    return this.event('access.outcome', requestId, { stage: 'response', result })
  }

  /** Calls from decision to outcome. */
  calls(count: number): this {
    for (let n = 0; n < count; n++) {
      const requestId = this.newRequest()
      this.decision(requestId).outcome(requestId)
    }
    return this
  }

  newRequest(): string {
    return `request-${++this.#requests}`
  }

  refusal(): this {
    return this.event('access.decision', this.newRequest(), { stage: 'verify', decision: 'refuse', reason: 'token_expired' })
  }

  checkpoint(members: object = {}): this {
    const checkpoint = {
      origin: this.origin,
      size: this.size,
      root: naiveRoot(this.leaves),
      from: this.#covered,
      head: this.#head,
      journal: this.journal,
      time: this.time,
      ...members,
    }
    const text = formatCheckpoint(checkpoint)
    const note = this.#sign(text)
    this.notes.push(note)
    this.#covered = checkpoint.size
    return this.record('checkpoint', note)
  }

  #sign(text: string): string {
    const genuine = this.#signaturesOf?.notes[this.notes.length]
    if (genuine !== undefined) return `${text}${genuine.slice(genuine.lastIndexOf('\n\n') + 1)}`
    return this.key === null ? `${text}\n` : signNote(text, this.origin, this.key)
  }

  /** Links the records of another journal's segment anew, each changed before; takes the place of everything that was built. */
  replay(lines: readonly string[], change: (line: string) => string): this {
    if (this.segments[0]?.lines.length === 1 && this.size === 1) this.#clear()
    this.segments.push({ name: segmentName(this.size), first: this.size, lines: [], rest: '' })
    for (const line of lines) {
      const { prev: _prev, seq: _seq, sha256: _sha256, ...rest } = JSON.parse(change(line))
      const [[kind, body]] = Object.entries(rest) as [[RecordKind, unknown]]
      this.record(kind, kind === 'segment' ? this.#headerAnew(body as object) : body)
    }
    return this
  }

  /** Takes back the last records, whose lines the caller has taken away. */
  rewind(count: number): this {
    this.leaves.splice(-count)
    this.#head = this.leaves.at(-1)?.toString('base64url') ?? GENESIS
    return this
  }

  #headerAnew(header: object): object {
    const before = this.segments.at(-2)
    const previous = before === undefined ? null : { bytes: Buffer.byteLength(before.lines.join('')), name: before.name }
    return { ...header, frontier: naiveFrontier(this.leaves).map((hash) => hash.toString('base64url')), previous }
  }

  #clear(): void {
    this.segments.length = 0
    this.leaves.length = 0
    this.#head = GENESIS
  }

  /** Ends the segment as a rotation does. */
  rotate(): this {
    this.checkpoint()
    return this.#begin(this.#end())
  }

  stop(): this {
    return this.record('end', { time: this.time }).checkpoint()
  }

  /** A clean stop, and a new writer. */
  restart(): this {
    this.stop()
    return this.#begin(this.#end()).record('recovery', { closed: 0, cut: null, time: this.time })
  }

  /** The writer is killed; the next one cuts what was torn, and closes what was open. */
  crash(durable = 0): this {
    const torn = '{"event":{"v":"1.0","id":"torn'
    const segment = this.segments.at(-1)?.name
    const sha256 = createHash('sha256').update(torn).digest('base64url')
    this.#begin(this.#end())
    const cut = { bytes: torn.length, durable, file: `torn-${String(this.size).padStart(16, '0')}-a.bin`, segment, sha256 }
    this.record('recovery', { closed: this.open.size, cut, time: this.time })
    for (const requestId of [...this.open.keys()]) this.outcome(requestId, 'unknown')
    return this
  }

  /** A write fails, and leaves these bytes behind the end of its segment. */
  failedWrite(rest: string): this {
    const end = this.#end()
    const segment = this.segments.at(-1)
    if (segment !== undefined) segment.rest = rest
    return this.#begin(end).record('failure', { code: 'EIO', message: 'a write failed', time: this.time })
  }

  gap(decisions: number, outcomes: number, refusals = 0): this {
    return this.record('gap', { decisions, from: this.time, outcomes, reason: 'queue_full', refusals, to: this.time })
  }

  /** Removes the oldest segments, and says so. */
  retain(removed: number): this {
    const oldest = this.segments[removed]
    if (oldest === undefined) throw new Error('one segment must stay')
    this.record('retention', {
      removed: { from: this.segments[0]?.first, segments: removed, through: oldest.first - 1 },
      time: this.time,
    })
    this.segments.splice(0, removed)
    return this
  }

  /** The files as they are now. */
  files(): Map<string, Buffer> {
    return new Map(this.segments.map(({ name, lines, rest }) => [name, Buffer.from(lines.join('') + rest)]))
  }

  /** Writes the files into a directory, which is made where it is missing. */
  writeTo(directory: string): void {
    mkdirSync(directory, { recursive: true })
    for (const [name, bytes] of this.files()) writeFileSync(join(directory, name), bytes)
  }

  #end(): { bytes: number; name: string } {
    const { lines, name } = this.segments.at(-1) as BuiltSegment
    return { bytes: Buffer.byteLength(lines.join('')), name }
  }

  #begin(previous: { bytes: number; name: string } | null): this {
    this.segments.push({ name: segmentName(this.size), first: this.size, lines: [], rest: '' })
    return this.record('segment', {
      created: this.time,
      format: 'behalf-journal/1',
      frontier: naiveFrontier(this.leaves).map((hash) => hash.toString('base64url')),
      journal: this.journal,
      open: [...this.open.values()].sort((a, b) => a - b),
      origin: this.origin,
      previous,
    })
  }
}
