import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setImmediate as turn } from 'node:timers/promises'
import type { AuditEvent, DeliveryRecord, DeliveryTarget } from '@behalf/core'
import { testEvent } from '@behalf/testing'
import { onTestFinished } from 'vitest'
import { canonicalJson } from '../../src/format/canonical-json.js'
import { encodeRecord, GENESIS, type RecordKind } from '../../src/format/record.js'
import { segmentName } from '../../src/format/segment-names.js'
import type { ShipOptions, ShipProgress } from '../../src/ship/ship-journal.js'

/** The journal's UUID, unless a test says otherwise. */
export const JOURNAL = '3d5c1f0e-8a54-4c0e-9a40-0f5b0a9d7c11'

/** A directory that is gone when the test is over. */
export function temporaryDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'behalf-ship-'))
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }))
  return directory
}

/** A journal made by hand: lines as a writer makes them, with checkpoints that say nothing but that they are there. */
export class HandMadeJournal {
  readonly directory: string
  readonly journal: string
  /** Every line that is part of the journal, in order. */
  readonly lines: string[] = []
  /** Names of the segments, oldest first. */
  readonly segments: string[] = []
  #hash = GENESIS
  #bytes = 0

  constructor(directory: string = temporaryDirectory(), journal: string = JOURNAL) {
    this.directory = directory
    this.journal = journal
  }

  get size(): number {
    return this.lines.length
  }

  /** Begins a segment. */
  segment(): this {
    const previous = this.segments.at(-1)
    const header = {
      created: '2026-09-21T13:00:00.000Z',
      format: 'behalf-journal/1',
      frontier: [],
      journal: this.journal,
      open: [],
      origin: 'test',
      previous: previous === undefined ? null : { bytes: this.#bytes, name: previous },
    }
    this.segments.push(segmentName(this.size))
    this.#bytes = 0
    writeFileSync(this.path(), '', { mode: 0o600 })
    return this.add('segment', header)
  }

  add(kind: RecordKind, body: unknown): this {
    const { line, sha256 } = encodeRecord(kind, canonicalJson(body), this.size, this.#hash)
    this.#hash = sha256
    this.lines.push(line)
    this.#bytes += Buffer.byteLength(line) + 1
    appendFileSync(this.path(), `${line}\n`)
    return this
  }

  events(count: number, overrides: Partial<AuditEvent> = {}): this {
    for (let left = count; left > 0; left--) this.add('event', testEvent(overrides))
    return this
  }

  /** What was written before is final. */
  checkpoint(): this {
    return this.add('checkpoint', `test\n${this.size}\nroot\ntime 2026-09-21T13:33:21.000Z\n`)
  }

  /** Takes back the last records, as a writer does whose sync failed: the bytes stay, and the next segment does not count them. */
  takeBack(count: number): this {
    const left = this.size - count
    this.#bytes -= this.lines.slice(left).reduce((bytes, line) => bytes + Buffer.byteLength(line) + 1, 0)
    this.lines.length = left
    this.#hash = (JSON.parse(this.lines[left - 1] as string) as { sha256: string }).sha256
    return this
  }

  /** The next record is linked to nothing of this journal. */
  unlink(): this {
    this.#hash = GENESIS
    return this
  }

  /** Says that somebody writes. */
  lock(): this {
    writeFileSync(join(this.directory, 'lock'), '{}')
    return this
  }

  unlock(): this {
    rmSync(join(this.directory, 'lock'))
    return this
  }

  remove(segment: number): this {
    rmSync(join(this.directory, this.segments[segment] as string))
    return this
  }

  /** Path of the last segment. */
  path(): string {
    return join(this.directory, this.segments.at(-1) as string)
  }
}

/** A target in memory, which keeps each id once, and fails as it is told. */
export interface MemoryTarget extends DeliveryTarget {
  readonly kept: DeliveryRecord[]
  /** Every call, whatever came of it. */
  readonly calls: (readonly DeliveryRecord[])[]
  /** Called at each delivery with its number, from 1; throws or rejects to fail it. Records are kept before (`'late'`) or not at all. */
  fail: ((call: number) => void | Promise<void>) | null
  failsAfterKeeping: boolean
  /** Knows of no id any more but those of what it keeps. */
  forget(): void
}

export function memoryTarget(): MemoryTarget {
  const ids = new Set<string>()
  const target: MemoryTarget = {
    kept: [],
    calls: [],
    fail: null,
    failsAfterKeeping: false,
    forget() {
      ids.clear()
      for (const { id } of target.kept) ids.add(id)
    },
    async deliver(records) {
      target.calls.push(records)
      const call = target.calls.length
      if (!target.failsAfterKeeping) await target.fail?.(call)
      for (const record of records) {
        if (!ids.has(record.id)) target.kept.push(record)
        ids.add(record.id)
      }
      if (target.failsAfterKeeping) await target.fail?.(call)
    },
  }
  return target
}

/** Options with a clock that stands still, chance that does not, and waiting that takes a turn. */
export function shipOptions(journal: HandMadeJournal, target: DeliveryTarget, overrides: Partial<ShipOptions> = {}) {
  const waits: number[] = []
  const progress: ShipProgress[] = []
  const options: ShipOptions = {
    directory: journal.directory,
    cursorFile: join(journal.directory, 'cursor-test.json'),
    target,
    once: true,
    now: () => Date.parse('2026-09-21T13:33:30.000Z'),
    random: () => 0.999_999,
    async wait(milliseconds) {
      waits.push(milliseconds)
      await turn()
    },
    onProgress: (each) => progress.push(each),
    ...overrides,
  }
  return { options, waits, progress }
}

export function cursorOf(options: ShipOptions): { format: string; journal: string; next: number; sha256: string } {
  return JSON.parse(readFileSync(options.cursorFile, 'utf8'))
}
