import { join } from 'node:path'
import { FORMAT, type SegmentHeader } from '../format/segment-header.js'
import { JournalError, systemCodeOf } from '../journal-error.js'
import { Chain } from './chain.js'
import type { JournalSettings } from './journal-options.js'
import { LineBuffer } from './line-buffer.js'
import { LockKeeper } from './lock-keeper.js'
import { type OpenDecisions, unknownOutcome } from './open-decisions.js'
import { RecordBatch } from './record-batch.js'
import { type Cut, decisionsAt, recover, shorten } from './recover.js'
import { findRemovable, type Removal, removeSegments } from './retention.js'
import { createSegmentFile, type SegmentFile } from './segment-file.js'

/** What a recovery found, until a record says so. */
interface Findings {
  readonly open: OpenDecisions
  readonly cut: Cut | null
}

/** Body of a `failure` record. */
interface Trouble {
  readonly code: string
  readonly message: string
  readonly time: string
}

/**
 * The records of a directory, and the file that is being written: one chain over all segments. Each call is a step that succeeds, or
 * leaves everything as it was but for the segment, which must be left behind then. Knows nothing of queues or of trying again.
 */
export class JournalLog {
  readonly #settings: JournalSettings
  readonly #lock: LockKeeper
  readonly #lines = new LineBuffer()
  #chain: Chain | null = null
  #segment: SegmentFile | null = null
  #previous: SegmentHeader['previous'] = null
  #open: OpenDecisions = new Map()
  #findings: Findings | null = null
  #trouble: Trouble | null = null
  /** A segment of ours that was begun and left behind with nothing in it. */
  #leftover: string | null = null
  #removal: Removal | null = null

  /** @param beat called every two seconds while the directory is ours */
  constructor(settings: JournalSettings, beat: () => void) {
    this.#settings = settings
    this.#lock = new LockKeeper(settings.directory, settings.now, beat)
  }

  /** Whether records can follow those of the last writer, and what that one left is said. */
  get isOpen(): boolean {
    return this.#chain !== null && this.#findings === null
  }

  /** Records since the last checkpoint that are worth one. */
  get uncovered(): number {
    return this.#segment === null ? 0 : (this.#chain?.uncovered ?? 0)
  }

  get rotationIsDue(): boolean {
    const { maxSegmentBytes, maxSegmentSeconds, now } = this.#settings
    if (this.#segment === null || !this.isOpen) return false
    return this.#segment.bytes >= maxSegmentBytes || now() - this.#segment.createdAt >= maxSegmentSeconds * 1000
  }

  /**
   * Makes sure that the directory is ours, and that it is known where its journal stands.
   * @returns requests of ours that another writer has closed meanwhile: their outcomes come too late
   */
  async hold(): Promise<readonly string[]> {
    await this.#lock.hold()
    if (this.#chain !== null) return []
    const { directory, createFile, origin, signingKey } = this.#settings
    const recovered = await recover(directory, createFile)
    if (recovered.origin !== null && recovered.origin !== origin) throw anotherOrigin()
    const removal = await findRemovable(this.#settings, recovered.chain.size)
    const signer = signingKey === null ? null : { name: origin, key: signingKey }
    const own = this.#open // not empty where we had the directory before
    this.#chain = new Chain({ journal: recovered.journal, origin, signer }, recovered.chain)
    this.#previous = recovered.previous
    this.#open = new Map([...recovered.open].filter(([requestId]) => own.has(requestId)))
    this.#findings = { open: new Map([...recovered.open].filter(([requestId]) => !own.has(requestId))), cut: recovered.cut }
    this.#removal = removal
    return [...own.keys()].filter((requestId) => !recovered.open.has(requestId))
  }

  /** One write and one sync of what `fill` adds, after what the log itself has to say. */
  async write(fill: (batch: RecordBatch) => void): Promise<void> {
    const batch = new RecordBatch(this.#chain as Chain, this.#lines)
    const before = this.#previous
    try {
      await this.#lock.assertHeld()
      const segment = this.#segment ?? (await this.#begin(batch))
      fill(batch)
      if (!batch.isEmpty) await segment.append(batch.bytes)
      await this.#lock.assertHeld() // whoever has taken us for dead meanwhile does not count what we wrote
    } catch (error) {
      batch.fail()
      throw error
    }
    const torn = this.#findings !== null && this.#findings.cut !== null ? before : null
    batch.commit()
    if (torn !== null) await shorten(join(this.#settings.directory, torn.name), torn.bytes) // now that a record tells of it
    if (this.#removal !== null) await this.#remove(this.#removal)
  }

  /** A decision that let a call in is on disk. */
  opened(requestId: string, sequence: number): void {
    this.#open.set(requestId, sequence)
  }

  /** So is its outcome. */
  closed(requestId: string): void {
    this.#open.delete(requestId)
  }

  /** Ends a segment that is whole. @param cover writes a checkpoint, which is the last record of every whole segment */
  async finishSegment(cover: () => Promise<void>): Promise<void> {
    if (this.uncovered > 0) await cover()
    const segment = this.#segment
    if (segment === null) return
    this.#previous = { bytes: segment.bytes, name: segment.name }
    this.#segment = null
    await segment.close()
  }

  /** Finds segments that are to be removed; they are, with the next write, which says so. */
  async planRemoval(): Promise<void> {
    this.#removal = await findRemovable(this.#settings, this.#chain?.size ?? 0)
  }

  /** Leaves a segment behind after a failure, which the next one tells of. Never rejects. */
  async abandonSegment(code: string): Promise<void> {
    this.#trouble ??= {
      code,
      message: 'a write failed; the journal went on here',
      time: new Date(this.#settings.now()).toISOString(),
    }
    const segment = this.#segment
    if (segment === null) return
    this.#segment = null
    if (segment.bytes > 0) this.#previous = { bytes: segment.bytes, name: segment.name }
    else this.#leftover = segment.name
    await segment.abandon()
  }

  /** Another writer has the directory now, and has gone on from what we left: so must we, once it is ours again. Never rejects. */
  async giveUp(): Promise<void> {
    const segment = this.#segment
    this.#segment = null
    await segment?.close().catch(() => {}) // not cut back: the other writer may have counted what stands there
    await this.#lock.drop()
    this.#chain = null
    this.#findings = null
  }

  /** Closes what is open, and writes nothing more to it. Never rejects. */
  async letGo(): Promise<void> {
    const segment = this.#segment
    this.#segment = null
    await segment?.close().catch(() => {})
  }

  /** Lets go of the directory. Never rejects. */
  release(): Promise<void> {
    return this.#lock.release()
  }

  /** A new segment, with what has to be known to read on from it, and why it was begun. */
  async #begin(batch: RecordBatch): Promise<SegmentFile> {
    const { directory, createFile, now } = this.#settings
    const { identity, size, frontier } = this.#chain as Chain
    const segment = await createSegmentFile(directory, size, this.#leftover, createFile, now())
    this.#segment = segment
    await this.#lock.assertHeld()
    const time = new Date(now()).toISOString()
    const header: SegmentHeader = {
      created: time,
      format: FORMAT,
      frontier: frontier.map((each) => each.toString('base64url')),
      journal: identity.journal,
      open: [...this.#open.values(), ...(this.#findings?.open.values() ?? [])],
      origin: identity.origin,
      previous: this.#previous,
    }
    batch.add('segment', header)
    if (this.#findings !== null) await this.#addFindings(batch, this.#findings, time)
    if (this.#trouble !== null) batch.add('failure', this.#trouble)
    if (this.#removal !== null) batch.add('retention', { removed: rangeOf(this.#removal), time })
    batch.onCommitted(() => {
      this.#findings = null
      this.#trouble = null
    })
    return segment
  }

  /** What the last writer left: torn bytes, and decisions whose outcome nobody saw. */
  async #addFindings(batch: RecordBatch, { open, cut }: Findings, time: string): Promise<void> {
    const { directory, now } = this.#settings
    const decisions = await decisionsAt(directory, [...open.values()])
    batch.add('recovery', { closed: decisions.length, cut, time })
    for (const { event } of decisions) batch.add('event', unknownOutcome(event, now()))
  }

  /** A segment that cannot be removed is no reason to refuse records: it is tried again with the next ones. */
  async #remove(removal: Removal): Promise<void> {
    this.#removal = null
    try {
      await removeSegments(this.#settings.directory, removal)
    } catch (error) {
      process.emitWarning(
        `behalf: segments of the journal in ${this.#settings.directory} cannot be removed (${systemCodeOf(error)})`,
        {
          code: 'BEHALF_JOURNAL_RETENTION',
        },
      )
    }
  }
}

function rangeOf({ from, through, names }: Removal): { from: number; segments: number; through: number } {
  return { from, segments: names.length, through }
}

function anotherOrigin(): JournalError {
  return new JournalError(
    'unreadable',
    'the journal in this directory has another origin: give each origin a directory of its own',
  )
}
