import { randomUUID } from 'node:crypto'
import { functionAt, integerAt, membersOf, optional } from '../config-shape.js'
import { ConfigError } from '../errors.js'
import type { AuditEvent } from './event.js'
import type { AuditSink } from './sink.js'

/** One record on its way to another log: the same members and the same bytes at every attempt. */
export interface DeliveryRecord {
  /** Idempotency key: an event's `id`; of a record that is a journal's own, `<journal uuid>/<sequence>`. */
  readonly id: string
  /** Within one chain, order is kept: the uuid of a journal, or a uuid that a sink made when it was created. */
  readonly chain: string
  /**
   * Position in its chain, 0 or more, rising. A sink leaves one out for good where its record was not delivered. A journal that
   * had to write an event again has it under two: the same `id`, and another `sequence` and `body`.
   */
  readonly sequence: number
  /** What is to be kept, byte for byte: a journal's line without its newline, or the event as JSON. */
  readonly body: string
  /** The event, where the record is one; `null` for a journal's own records. */
  readonly event: AuditEvent | null
}

/** Another log. `targetContract()` of `@behalf/testing` checks what is promised here. */
export interface DeliveryTarget {
  /**
   * Resolves when every record is kept there: what that survives is the target's own promise. A record whose `id` is there
   * already is taken without a trace. Where it rejects, none, all or the first few may be there. Called with at least one record,
   * in the order of their chains, and never again before its promise is settled.
   *
   * A target that finds that it has lost what it had acknowledged can say so: an error with the member
   * `resumeFrom: { chain, sequence }`, from which record on it wants them again. A shipper goes back to there.
   */
  deliver(records: readonly DeliveryRecord[]): Promise<void>
  /** Frees what the target holds. Called once, when no `deliver()` is under way; nothing is delivered after it. */
  close?(): Promise<void>
}

/** Options of {@link deliverySink}. */
export interface DeliverySinkOptions {
  /**
   * Most records that wait for their acknowledgement, those under way included; a further one is refused, and with it the call
   * that it records. Refused calls can use a quarter of it. At least 4. Default: 10,000.
   */
  readonly maxQueuedRecords?: number
  /** Most records that are delivered together. At least 1. Default: 500. */
  readonly maxBatchRecords?: number
}

const DEFAULT_MAX_QUEUED_RECORDS = 10_000
const DEFAULT_MAX_BATCH_RECORDS = 500

/** A flood of refusals, which anybody can cause, leaves the rest of the queue to the others. */
const SHARE_OF_REFUSALS = 1 / 4

/** A record, and who waits for it. */
interface Waiting {
  readonly record: DeliveryRecord
  readonly refusal: boolean
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

/**
 * Writes events to a target directly, without a journal between. One batch is under way at a time; the next one takes all that
 * came meanwhile, so that it grows with the load and waits for nobody.
 *
 * An event is accepted when the target has acknowledged it. It is refused at once where the queue is full or the sink closed, and
 * with the target's error where its batch failed; it is not tried again, and the batch after it is tried at once. A refused event
 * may have arrived all the same. What waits lives in memory: neither a kill nor a power cut spares it, but none of it was accepted.
 *
 * `flush()` resolves when everything that was written before is accepted or refused. `close()` refuses further events, waits for
 * the others and closes the target; it rejects where the target's does.
 *
 * @throws {ConfigError} where the target or an option is not what it must be
 */
export function deliverySink(target: DeliveryTarget, options: DeliverySinkOptions = {}): AuditSink {
  const deliver = deliverOf(target)
  const { maxQueuedRecords, maxBatchRecords } = settingsOf(options)
  const maxQueuedRefusals = Math.floor(maxQueuedRecords * SHARE_OF_REFUSALS)
  const chain = randomUUID()
  let sequence = 0
  let queue: Waiting[] = []
  let queued = 0
  let queuedRefusals = 0
  let underWay = false
  /** Settles with the event that was queued last, and so after all before it; never rejects. */
  let lastThrough: Promise<void> = Promise.resolve()
  let closing: Promise<void> | null = null

  function assertRoomFor(refusal: boolean): void {
    if (closing !== null) throw new Error('the delivery sink is closed')
    if (queued >= maxQueuedRecords) throw new Error('the queue of the delivery sink is full')
    if (refusal && queuedRefusals >= maxQueuedRefusals) {
      throw new Error('the share of refused calls in the queue of the delivery sink is full')
    }
  }

  function enqueue(event: AuditEvent, refusal: boolean): Promise<void> {
    const body = JSON.stringify(event)
    const record: DeliveryRecord = Object.freeze({ id: event.id, chain, sequence: sequence++, body, event })
    queued++
    if (refusal) queuedRefusals++
    return new Promise((resolve, reject) => queue.push({ record, refusal, resolve, reject }))
  }

  /** Delivers until nothing waits. Never rejects. */
  async function deliverAll(): Promise<void> {
    underWay = true
    while (queue.length > 0) {
      const batch = queue.slice(0, maxBatchRecords)
      queue = queue.slice(maxBatchRecords)
      await deliverBatch(batch)
    }
    underWay = false
  }

  async function deliverBatch(batch: readonly Waiting[]): Promise<void> {
    try {
      await deliver(batch.map(({ record }) => record))
      for (const { resolve } of batch) resolve()
    } catch (error) {
      for (const { reject } of batch) reject(error)
    }
    queued -= batch.length
    queuedRefusals -= batch.filter(({ refusal }) => refusal).length
  }

  async function closeAfterAll(): Promise<void> {
    await lastThrough
    await target.close?.()
  }

  return {
    write(event) {
      const refusal = event.decision === 'refuse'
      assertRoomFor(refusal)
      const written = enqueue(event, refusal)
      lastThrough = written.catch(() => {}) // also: nobody has to wait for a refusal
      if (!underWay) deliverAll()
      return written
    },
    flush: () => lastThrough,
    close() {
      closing ??= closeAfterAll()
      return closing
    },
  }
}

/** The target's `deliver`, bound to it. */
function deliverOf(target: DeliveryTarget): DeliveryTarget['deliver'] {
  if (typeof target !== 'object' || target === null) {
    throw new ConfigError('the target of deliverySink() must be an object with a method deliver(records)')
  }
  functionAt(target.deliver, 'deliver of the target of deliverySink()')
  if (target.close !== undefined) functionAt(target.close, 'close of the target of deliverySink()')
  return (records) => target.deliver(records)
}

function settingsOf(options: DeliverySinkOptions): Required<DeliverySinkOptions> {
  const where = 'deliverySink()'
  const members = membersOf(options, where, ['maxQueuedRecords', 'maxBatchRecords'])
  return {
    maxQueuedRecords: optional(members, 'maxQueuedRecords', where, atLeast(4), DEFAULT_MAX_QUEUED_RECORDS),
    maxBatchRecords: optional(members, 'maxBatchRecords', where, atLeast(1), DEFAULT_MAX_BATCH_RECORDS),
  }
}

function atLeast(least: number): (value: unknown, where: string) => number {
  return (value, where) => integerAt(value, where, least)
}
