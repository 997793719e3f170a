import { integerAt } from '../config-shape.js'
import { ConfigError } from '../errors.js'
import type { AuditEvent } from './event.js'

/**
 * Where events go. `write` *accepts* an event when it returns, or when its promise resolves; it refuses one by throwing or
 * rejecting. What acceptance survives is the sink's own promise (see `docs/audit-events.md`). Events are frozen and must be
 * taken in the order in which they are written.
 */
export interface AuditSink {
  /**
   * Accepts by returning or resolving, refuses by throwing or rejecting. Called in the order of events, also while an earlier
   * promise is pending.
   */
  write(event: AuditEvent): void | Promise<void>
  /** Resolves when everything that was accepted before is where the sink keeps it. */
  flush?(): void | Promise<void>
  /** Flushes and frees what the sink holds; called once. */
  close?(): void | Promise<void>
}

/** A sink as it was configured. */
export function sinkAt(value: unknown, where: string): AuditSink {
  if (typeof value !== 'object' || value === null)
    throw new ConfigError(`${where} must be a sink: an object with a method write(event)`)
  const { write, flush, close } = value as Partial<AuditSink>
  if (typeof write !== 'function') throw new ConfigError(`${where} must be a sink: it has no method write(event)`)
  if ([flush, close].some((method) => method !== undefined && typeof method !== 'function')) {
    throw new ConfigError(`${where} must be a sink: its flush and close, where it has them, must be functions`)
  }
  return value as AuditSink
}

const bestEffortSinks = new WeakSet<AuditSink>()

/**
 * A sink whose refusal stops nobody: its events may be lost. For copies beside a sink that keeps the promise, or where a log
 * is all that is wanted.
 */
export function bestEffort(sink: AuditSink): AuditSink {
  sinkAt(sink, 'the argument of bestEffort()')
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
  /** Queues an event. Throws where `maxQueuedEvents` wait already, or after `close()`. */
  write(event: AuditEvent): void
  /** Resolves when the consumer has taken everything that was queued before; at once where no loop is under way. */
  flush(): Promise<void>
  /** Ends the consumer's loop once it has taken what is queued; refuses further events. */
  close(): void
}

/**
 * Events as an async iterable, for pipelines in the same process. An event is accepted when it is queued: a queue lives in
 * memory and survives neither a crash nor a kill.
 */
export function iterableSink(options: IterableSinkOptions): IterableSink {
  const maxQueuedEvents = integerAt(options?.maxQueuedEvents, 'iterableSink().maxQueuedEvents', 1)
  const queue: AuditEvent[] = []
  let written = 0
  let taken = 0
  let closed = false
  /** A loop is under way. */
  let consumed = false
  /** Calls of `next()` that wait for an event. */
  let waiting: ((result: IteratorResult<AuditEvent, undefined>) => void)[] = []
  /** Calls of `flush()`, each with the number of events that must have been taken. */
  let flushing: { readonly upTo: number; readonly resolve: () => void }[] = []

  /** Lets those go whose events were taken; all of them where nobody takes any more. */
  function release(): void {
    const done = flushing.filter(({ upTo }) => upTo <= taken || !consumed)
    flushing = flushing.filter((each) => !done.includes(each))
    for (const { resolve } of done) resolve()
  }

  function close(): void {
    closed = true
    for (const resolve of waiting) resolve({ done: true, value: undefined })
    waiting = []
  }

  const iterator: AsyncIterator<AuditEvent, undefined> = {
    next() {
      const event = queue.shift()
      if (event !== undefined) {
        taken++
        release()
        return Promise.resolve({ done: false, value: event })
      }
      if (closed) return Promise.resolve({ done: true, value: undefined })
      return new Promise((resolve) => waiting.push(resolve))
    },
    async return() {
      consumed = false
      release()
      return { done: true, value: undefined }
    },
  }
  return {
    write(event) {
      if (closed) throw new Error('the iterable sink is closed')
      if (queue.length >= maxQueuedEvents) throw new Error('the queue of the iterable sink is full')
      written++
      const consumer = waiting.shift()
      if (consumer === undefined) queue.push(event)
      else {
        taken++
        consumer({ done: false, value: event })
      }
    },
    flush: () =>
      taken === written || !consumed ? Promise.resolve() : new Promise((resolve) => flushing.push({ upTo: written, resolve })),
    close,
    [Symbol.asyncIterator]() {
      consumed = true
      return iterator
    },
  }
}
