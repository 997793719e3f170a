import type { AuditEvent, AuditSink } from '@behalf/core'

/** A sink that keeps its events in memory, for tests. */
export interface MemorySink extends AuditSink {
  /** Accepted events, oldest first. */
  readonly events: readonly AuditEvent[]
  /** The first accepted event that fits, waiting for it if need be: outcomes come when the response has ended. */
  until(fits: (event: AuditEvent) => boolean): Promise<AuditEvent>
  /** Forgets what was accepted. */
  clear(): void
  /** Makes the sink refuse every event, until it is called with `false`. */
  refuse(refusing?: boolean): void
  /** Accepts an event. Throws while it refuses, and after `close()`. */
  write(event: AuditEvent): void
  /** Nothing to do: `events` is where they are kept. */
  flush(): void
  /** Further events are refused; `events` stays readable. */
  close(): void
}

/** An event is accepted when it stands in `events`; nothing survives the process. */
export function memorySink(): MemorySink {
  const events: AuditEvent[] = []
  let waiting: { readonly fits: (event: AuditEvent) => boolean; readonly resolve: (event: AuditEvent) => void }[] = []
  let refusing = false
  let closed = false
  return {
    events,
    write(event) {
      if (closed) throw new Error('the memory sink is closed')
      if (refusing) throw new Error('the memory sink refuses')
      events.push(event)
      const told = waiting.filter(({ fits }) => fits(event))
      waiting = waiting.filter((each) => !told.includes(each))
      for (const { resolve } of told) resolve(event)
    },
    until(fits) {
      const found = events.find(fits)
      return found !== undefined ? Promise.resolve(found) : new Promise((resolve) => waiting.push({ fits, resolve }))
    },
    clear() {
      events.length = 0
    },
    refuse(refuse = true) {
      refusing = refuse
    },
    flush() {},
    close() {
      closed = true
    },
  }
}
