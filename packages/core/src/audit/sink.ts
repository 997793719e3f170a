import { integerAt } from '../config-shape.js'
import type { AuditEvent } from './event.js'

/**
 * Where events go. `write` *accepts* an event when it returns, or when its promise resolves; it refuses one by throwing or
 * rejecting. What acceptance survives is the sink's own promise (see `docs/audit-events.md`). Events are frozen and must be
 * taken in the order in which they are written.
 */
export interface AuditSink {
  write(event: AuditEvent): void | Promise<void>
  /** Resolves when everything that was accepted before is where the sink keeps it. */
  flush?(): void | Promise<void>
  /** Flushes and frees what the sink holds; called once. */
  close?(): void | Promise<void>
}

const bestEffortSinks = new WeakSet<AuditSink>()

/**
 * A sink whose refusal stops nobody: its events may be lost. For copies beside a sink that keeps the promise, or where a log
 * is all that is wanted.
 */
export function bestEffort(sink: AuditSink): AuditSink {
  const wrapped: AuditSink = {
    write: (event) => sink.write(event),
    ...(sink.flush && { flush: () => sink.flush?.() }),
    ...(sink.close && { close: () => sink.close?.() }),
  }
  bestEffortSinks.add(wrapped)
  return wrapped
}

export function isBestEffort(sink: AuditSink): boolean {
  return bestEffortSinks.has(sink)
}

/** Options of {@link iterableSink}. */
export interface IterableSinkOptions {
  /** Most events that wait for the consumer; a further one is refused, and with it the call that it records. */
  readonly maxQueuedEvents: number
}

/** A sink that is read with `for await`. One consumer; `close` ends its loop after what is queued. */
export interface IterableSink extends AuditSink, AsyncIterable<AuditEvent> {
  write(event: AuditEvent): void
  /** Resolves when the consumer has taken everything that was queued before. */
  flush(): Promise<void>
  close(): void
}

/**
 * Events as an async iterable, for pipelines in the same process. An event is accepted when it is queued: a queue lives in
 * memory and survives neither a crash nor a kill.
 */
export function iterableSink(options: IterableSinkOptions): IterableSink {
  const maxQueuedEvents = integerAt(options?.maxQueuedEvents, 'iterableSink().maxQueuedEvents', 1)
  const queue: AuditEvent[] = []
  let closed = false
  let wake: (() => void) | null = null
  let drained: (() => void)[] = []

  const next = async (): Promise<IteratorResult<AuditEvent, undefined>> => {
    for (;;) {
      const event = queue.shift()
      if (queue.length === 0) {
        for (const resolve of drained) resolve()
        drained = []
      }
      if (event !== undefined) return { done: false, value: event }
      if (closed) return { done: true, value: undefined }
      await new Promise<void>((resolve) => {
        wake = resolve
      })
    }
  }
  const rouse = () => {
    wake?.()
    wake = null
  }
  return {
    write(event) {
      if (closed) throw new Error('the iterable sink is closed')
      if (queue.length >= maxQueuedEvents) throw new Error('the queue of the iterable sink is full')
      queue.push(event)
      rouse()
    },
    flush: () => (queue.length === 0 ? Promise.resolve() : new Promise((resolve) => drained.push(resolve))),
    close() {
      closed = true
      rouse()
    },
    [Symbol.asyncIterator]: () => ({
      next,
      return: async () => ({ done: true, value: undefined }),
    }),
  }
}
