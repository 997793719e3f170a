import { setImmediate as turn } from 'node:timers/promises'
import {
  type AuditEvent,
  type AuditSink,
  ConfigError,
  type DeliveryRecord,
  type DeliveryTarget,
  deliverySink,
} from '@behalf/core'
import { sinkContract, testEvent } from '@behalf/testing'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { deferred } from '../../../test/support/deferred.js'

/** One call of `deliver`, which ends when the test says so. */
interface Delivery {
  readonly records: readonly DeliveryRecord[]
  acknowledge(): void
  fail(error?: unknown): void
}

/** A target that does what the test does by hand, and keeps a list of it. */
function handTarget() {
  const deliveries: Delivery[] = []
  let underWay = 0
  const state = { mostUnderWay: 0, closed: 0, closedUnderWay: 0 }
  const target: DeliveryTarget = {
    async deliver(records) {
      underWay++
      state.mostUnderWay = Math.max(state.mostUnderWay, underWay)
      const { promise, resolve, reject } = deferred()
      deliveries.push({ records, acknowledge: resolve, fail: (error = new Error('the target is away')) => reject(error) })
      try {
        await promise
      } finally {
        underWay--
      }
    },
    async close() {
      state.closed++
      state.closedUnderWay = underWay
    },
  }
  return { target, deliveries, state }
}

/** What became of a write, as far as it is known. */
function watch(written: unknown) {
  const seen: { state: 'waiting' | 'accepted' | 'refused'; error: unknown } = { state: 'waiting', error: null }
  Promise.resolve(written).then(
    () => {
      seen.state = 'accepted'
    },
    (error: unknown) => {
      seen.state = 'refused'
      seen.error = error
    },
  )
  return seen
}

const allowed = () => testEvent()
const refused = () => testEvent({ decision: 'refuse', reason: 'token_expired' })
const ids = (records: readonly { readonly id: string }[] | undefined) => records?.map(({ id }) => id)
const numbered = (count: number) => Array.from({ length: count }, () => allowed())

const unhandled: unknown[] = []
const note = (reason: unknown) => unhandled.push(reason)
beforeEach(() => {
  unhandled.length = 0
  process.on('unhandledRejection', note)
})
afterEach(async () => {
  await turn()
  process.off('unhandledRejection', note)
  expect(unhandled).toEqual([])
})

describe('a record', () => {
  it('holds the event as JSON, its id, and its place in the chain of the sink', async () => {
    const { target, deliveries } = handTarget()
    const sink = deliverySink(target)
    const events = numbered(3)
    for (const event of events) sink.write(event)
    deliveries[0]?.acknowledge()
    await turn()
    deliveries[1]?.acknowledge()
    await sink.flush?.()
    const records = deliveries.flatMap((delivery) => delivery.records)
    expect(records.map(({ body }) => body)).toEqual(events.map((event) => JSON.stringify(event)))
    expect(ids(records)).toEqual(ids(events))
    expect(records.map(({ sequence }) => sequence)).toEqual([0, 1, 2])
    expect(records.map(({ event }) => event)).toEqual(events)
    expect(new Set(records.map(({ chain }) => chain)).size).toBe(1)
    expect(records[0]?.chain).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
    expect(records.every(Object.isFrozen)).toBe(true)
  })

  it('is of another chain in another sink', () => {
    const { target, deliveries } = handTarget()
    deliverySink(target).write(allowed())
    deliverySink(target).write(allowed())
    expect(deliveries[0]?.records[0]?.chain).not.toBe(deliveries[1]?.records[0]?.chain)
  })

  it('escapes a lone surrogate and U+0000, so that any log can keep the text', () => {
    const { target, deliveries } = handTarget()
    const net = { peer: null, forwarded: null, userAgent: 'a\u0000b\ud800c', callerRequestId: null }
    deliverySink(target).write(testEvent({ net }))
    const body = deliveries[0]?.records[0]?.body
    expect(body).toContain('a\\u0000b\\ud800c')
    expect(JSON.parse(body as string).net).toEqual(net)
  })
})

describe('batches', () => {
  it('the first event goes at once, and the next batch takes all that came meanwhile', async () => {
    const { target, deliveries, state } = handTarget()
    const sink = deliverySink(target)
    const events = numbered(6)
    for (const event of events.slice(0, 4)) sink.write(event)
    expect(deliveries.map(({ records }) => records.length)).toEqual([1])
    deliveries[0]?.acknowledge()
    await turn()
    for (const event of events.slice(4)) sink.write(event)
    expect(deliveries.map(({ records }) => records.length)).toEqual([1, 3])
    deliveries[1]?.acknowledge()
    await turn()
    expect(deliveries.map(({ records }) => records.length)).toEqual([1, 3, 2])
    deliveries[2]?.acknowledge()
    await sink.flush?.()
    expect(ids(deliveries.flatMap(({ records }) => records))).toEqual(ids(events))
    expect(state.mostUnderWay).toBe(1)
  })

  it('hold at most maxBatchRecords', async () => {
    const { target, deliveries } = handTarget()
    const sink = deliverySink(target, { maxBatchRecords: 2 })
    const events = numbered(6)
    for (const event of events) sink.write(event)
    for (const number of [0, 1, 2, 3]) {
      deliveries[number]?.acknowledge()
      await turn()
    }
    expect(deliveries.map(({ records }) => records.length)).toEqual([1, 2, 2, 1])
    expect(ids(deliveries.flatMap(({ records }) => records))).toEqual(ids(events))
  })

  it('hold at most 500 where nothing is said', async () => {
    const { target, deliveries } = handTarget()
    const sink = deliverySink(target)
    for (const event of numbered(502)) sink.write(event)
    deliveries[0]?.acknowledge()
    await turn()
    deliveries[1]?.acknowledge()
    await turn()
    expect(deliveries.map(({ records }) => records.length)).toEqual([1, 500, 1])
  })

  it('go on after a time with nothing to do', async () => {
    const { target, deliveries } = handTarget()
    const sink = deliverySink(target)
    sink.write(allowed())
    deliveries[0]?.acknowledge()
    await sink.flush?.()
    await turn()
    const event = allowed()
    sink.write(event)
    expect(ids(deliveries[1]?.records)).toEqual([event.id])
  })
})

describe('acceptance', () => {
  it('comes with the acknowledgement of the batch, not before, and not with that of another', async () => {
    const { target, deliveries } = handTarget()
    const sink = deliverySink(target)
    const [first, second] = numbered(2).map((event) => watch(sink.write(event)))
    await turn()
    expect([first?.state, second?.state]).toEqual(['waiting', 'waiting'])
    deliveries[0]?.acknowledge()
    await turn()
    expect([first?.state, second?.state]).toEqual(['accepted', 'waiting'])
    deliveries[1]?.acknowledge()
    await turn()
    expect(second?.state).toBe('accepted')
  })

  it('is refused with the error of the target to all of a failed batch; the batch after it is tried', async () => {
    const { target, deliveries } = handTarget()
    const sink = deliverySink(target)
    const events = numbered(4)
    const [first, ...meanwhile] = events.slice(0, 3).map((event) => watch(sink.write(event)))
    deliveries[0]?.acknowledge()
    await turn()
    const later = watch(sink.write(events[3] as AuditEvent))
    const error = new Error('the target is away')
    deliveries[1]?.fail(error)
    await turn()
    expect(first?.state).toBe('accepted')
    expect(meanwhile).toEqual([
      { state: 'refused', error },
      { state: 'refused', error },
    ])
    expect(later.state).toBe('waiting')
    expect(ids(deliveries[2]?.records)).toEqual([events[3]?.id])
    deliveries[2]?.acknowledge()
    await turn()
    expect(later.state).toBe('accepted')
  })

  it('of what failed, nothing is delivered again, and its sequence stays unused', async () => {
    const { target, deliveries } = handTarget()
    const sink = deliverySink(target)
    const failed = watch(sink.write(allowed()))
    deliveries[0]?.fail()
    await turn()
    expect(failed.state).toBe('refused')
    sink.write(allowed())
    expect(deliveries.map(({ records }) => records.map(({ sequence }) => sequence))).toEqual([[0], [1]])
  })

  it.each<[what: string, deliver: () => unknown]>([
    [
      'throws',
      () => {
        throw new Error('at once')
      },
    ],
    ['rejects', () => Promise.reject(new Error('at once'))],
    ['rejects with nothing', () => Promise.reject()],
  ])('is refused where a target %s', async (_, deliver) => {
    const sink = deliverySink({ deliver: deliver as DeliveryTarget['deliver'] })
    const writes = numbered(3).map((event) => watch(sink.write(event)))
    await sink.flush?.()
    await turn()
    expect(writes.map(({ state }) => state)).toEqual(['refused', 'refused', 'refused'])
  })

  it('comes also from a target that answers at once, without a promise', async () => {
    const sink = deliverySink({ deliver: () => undefined as never })
    await expect(sink.write(allowed())).resolves.toBeUndefined()
  })

  it('needs nobody to wait for a refusal', async () => {
    const { target, deliveries } = handTarget()
    const sink = deliverySink(target)
    sink.write(allowed())
    deliveries[0]?.fail()
    await turn()
    await turn()
    expect(unhandled).toEqual([]) // afterEach looks once more
  })

  it('is refused to an event that is no JSON; the next one goes on, under the sequence that it would have had', async () => {
    const { target, deliveries } = handTarget()
    const sink = deliverySink(target)
    const circle: Record<string, unknown> = { id: 'circle', decision: 'allow' }
    circle['circle'] = circle
    expect(() => sink.write(circle as never)).toThrow(TypeError)
    sink.write(allowed())
    expect(deliveries.map(({ records }) => records.map(({ sequence }) => sequence))).toEqual([[0]])
  })
})

describe('the queue', () => {
  /** Fills it: what was taken, and what was refused at once. */
  function fill(sink: AuditSink, count: number, create: () => AuditEvent) {
    const taken: ReturnType<typeof watch>[] = []
    const errors: string[] = []
    for (let number = 0; number < count; number++) {
      try {
        taken.push(watch(sink.write(create())))
      } catch (error) {
        errors.push((error as Error).message)
      }
    }
    return { taken, errors }
  }

  it('counts what is under way, refuses at once what is too much, and has room again after the acknowledgement', async () => {
    const { target, deliveries } = handTarget()
    const sink = deliverySink(target, { maxQueuedRecords: 4 })
    const { taken, errors } = fill(sink, 5, allowed)
    expect(taken).toHaveLength(4)
    expect(errors).toEqual(['the queue of the delivery sink is full'])
    deliveries[0]?.acknowledge()
    await turn()
    expect(fill(sink, 2, allowed)).toMatchObject({ taken: { length: 1 }, errors: { length: 1 } })
    expect(deliveries.map(({ records }) => records.length)).toEqual([1, 3])
  })

  it('has room again after a failure', async () => {
    const { target, deliveries } = handTarget()
    const sink = deliverySink(target, { maxQueuedRecords: 4, maxBatchRecords: 4 })
    fill(sink, 4, allowed)
    deliveries[0]?.fail()
    await turn()
    deliveries[1]?.fail()
    await turn()
    expect(fill(sink, 5, allowed)).toMatchObject({ taken: { length: 4 }, errors: { length: 1 } })
  })

  it('holds 10,000 where nothing is said', () => {
    const sink = deliverySink(handTarget().target)
    const event = allowed()
    expect(fill(sink, 10_001, () => event)).toMatchObject({ taken: { length: 10_000 }, errors: { length: 1 } })
  })

  it('gives refusals a quarter: a flood of them starves nobody', async () => {
    const { target, deliveries } = handTarget()
    const sink = deliverySink(target, { maxQueuedRecords: 40 })
    const flood = fill(sink, 1000, refused)
    expect(flood.taken).toHaveLength(10)
    expect(new Set(flood.errors)).toEqual(new Set(['the share of refused calls in the queue of the delivery sink is full']))
    expect(fill(sink, 31, allowed)).toMatchObject({ taken: { length: 30 }, errors: { length: 1 } })
    expect(fill(sink, 1, refused).errors).toEqual(['the queue of the delivery sink is full'])

    deliveries[0]?.acknowledge() // one refusal
    await turn()
    expect(fill(sink, 2, refused)).toMatchObject({ taken: { length: 1 }, errors: { length: 1 } })
    deliveries[1]?.fail() // nine refusals, thirty others
    await turn()
    expect(fill(sink, 100, refused)).toMatchObject({ taken: { length: 9 } }) // one is under way
  })

  it('rounds the quarter down, and leaves refusals one place at least', () => {
    expect(fill(deliverySink(handTarget().target, { maxQueuedRecords: 4 }), 4, refused).taken).toHaveLength(1)
    expect(fill(deliverySink(handTarget().target, { maxQueuedRecords: 7 }), 7, refused).taken).toHaveLength(1)
    expect(fill(deliverySink(handTarget().target, { maxQueuedRecords: 8 }), 8, refused).taken).toHaveLength(2)
  })

  it.each<[what: string, event: AuditEvent]>([
    ['what would be refused', testEvent({ decision: 'would_refuse', reason: 'scope_insufficient' })],
    ['an outcome, also of a refused call', testEvent({ type: 'access.outcome', stage: 'response', result: 'refused' })],
  ])('takes %s as any other', (_, event) => {
    expect(fill(deliverySink(handTarget().target, { maxQueuedRecords: 8 }), 9, () => event).taken).toHaveLength(8)
  })
})

describe('flush()', () => {
  it('waits for all that was written before, and for nothing that comes after', async () => {
    const { target, deliveries } = handTarget()
    const sink = deliverySink(target)
    sink.write(allowed())
    sink.write(allowed())
    const flushed = watch(sink.flush?.())
    deliveries[0]?.acknowledge()
    await turn()
    expect(flushed.state).toBe('waiting')
    sink.write(allowed())
    deliveries[1]?.acknowledge()
    await turn()
    expect(flushed.state).toBe('accepted')
    expect(deliveries).toHaveLength(3)
  })

  it('resolves though a batch failed: whoever wrote it knows', async () => {
    const { target, deliveries } = handTarget()
    const sink = deliverySink(target)
    sink.write(allowed())
    const flushed = watch(sink.flush?.())
    deliveries[0]?.fail()
    await turn()
    expect(flushed.state).toBe('accepted')
  })

  it('waits though the last write was refused at once', async () => {
    const { target, deliveries } = handTarget()
    const sink = deliverySink(target, { maxQueuedRecords: 4 })
    for (const event of numbered(4)) sink.write(event)
    expect(() => sink.write(allowed())).toThrow('full')
    const flushed = watch(sink.flush?.())
    deliveries[0]?.acknowledge()
    await turn()
    expect(flushed.state).toBe('waiting')
    deliveries[1]?.acknowledge()
    await turn()
    expect(flushed.state).toBe('accepted')
  })
})

describe('close()', () => {
  it('refuses further events, waits for the others, then closes the target once', async () => {
    const { target, deliveries, state } = handTarget()
    const sink = deliverySink(target)
    const writes = numbered(2).map((event) => watch(sink.write(event)))
    const closed = watch(sink.close?.())
    expect(() => sink.write(allowed())).toThrow('the delivery sink is closed')
    deliveries[0]?.acknowledge()
    await turn()
    expect(state.closed).toBe(0)
    deliveries[1]?.fail()
    await turn()
    expect(writes.map(({ state }) => state)).toEqual(['accepted', 'refused'])
    expect(state).toMatchObject({ closed: 1, closedUnderWay: 0 })
    expect(closed.state).toBe('accepted')
    await sink.close?.()
    await sink.flush?.()
    expect(state.closed).toBe(1)
    expect(deliveries).toHaveLength(2)
  })

  it('takes a target that has nothing to close', async () => {
    const sink = deliverySink({ deliver: async () => {} })
    await expect(sink.close?.()).resolves.toBeUndefined()
    expect(() => sink.write(allowed())).toThrow('closed')
  })

  it.each<[what: string, close: () => unknown]>([
    ['rejects', () => Promise.reject(new Error('not closed'))],
    [
      'throws',
      () => {
        throw new Error('not closed')
      },
    ],
  ])('rejects where that of the target %s', async (_, close) => {
    const sink = deliverySink({ deliver: async () => {}, close: close as () => Promise<void> })
    await expect(sink.close?.()).rejects.toThrow('not closed')
  })
})

describe('deliverySink() refuses', () => {
  const target: DeliveryTarget = { deliver: async () => {} }

  it.each<[what: string, target: unknown, options: unknown, message: string]>([
    ['no target', undefined, {}, 'the target of deliverySink() must be an object with a method deliver(records)'],
    ['null', null, {}, 'the target of deliverySink() must be an object'],
    ['a function', () => {}, {}, 'the target of deliverySink() must be an object'],
    ['a sink', { write() {} }, {}, 'deliver of the target of deliverySink() must be a function'],
    ['a close that is none', { deliver() {}, close: true }, {}, 'close of the target of deliverySink() must be a function'],
    ['null for options', target, null, 'deliverySink() must be an object'],
    ['an unknown option', target, { maxBatch: 5 }, 'unknown member "maxBatch": it knows maxQueuedRecords, maxBatchRecords'],
    ['an undefined option', target, { maxBatchRecords: undefined }, 'deliverySink().maxBatchRecords is undefined'],
    ['a batch of none', target, { maxBatchRecords: 0 }, 'deliverySink().maxBatchRecords must be a whole number, at least 1'],
    ['half a record', target, { maxBatchRecords: 1.5 }, 'deliverySink().maxBatchRecords must be a whole number'],
    ['a queue of 3', target, { maxQueuedRecords: 3 }, 'deliverySink().maxQueuedRecords must be a whole number, at least 4'],
    ['an endless queue', target, { maxQueuedRecords: Number.POSITIVE_INFINITY }, 'maxQueuedRecords must be a whole number'],
    ['a number as text', target, { maxQueuedRecords: '10' }, 'maxQueuedRecords must be a whole number'],
  ])('%s', (_, given, options, message) => {
    const create = () => deliverySink(given as DeliveryTarget, options as object)
    expect(create).toThrow(ConfigError)
    expect(create).toThrow(message)
  })

  it('nothing that is right', async () => {
    class Target implements DeliveryTarget {
      readonly records: DeliveryRecord[] = []
      async deliver(records: readonly DeliveryRecord[]) {
        this.records.push(...records)
      }
      async close() {
        this.records.push(null as never)
      }
    }
    const instance = new Target()
    const sink = deliverySink(instance, { maxQueuedRecords: 4, maxBatchRecords: 1 })
    await sink.write(allowed())
    await sink.close?.()
    expect(instance.records).toHaveLength(2) // `this` is the target
  })
})

describe('a sink over a target that keeps everything', () => {
  const contract = sinkContract(() => {
    const kept: AuditEvent[] = []
    const target: DeliveryTarget = {
      async deliver(records) {
        await turn()
        kept.push(...records.map(({ body }) => JSON.parse(body)))
      },
    }
    return { sink: deliverySink(target), accepted: () => kept }
  })
  for (const { name, run } of contract) it(name, run)
})
