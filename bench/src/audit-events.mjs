// Events as a resource server makes them: fresh ones for each use, since a string that was written before brings its hash along.
import { createCallers, delegatedRequests } from './audit-exchange.mjs'

/** Fewer than a server's cache holds, so that each is proved once. */
const CALLERS = 1000

/** @returns {Promise<{ take(count: number): Promise<object[]>, close(): Promise<void> }>} `take`: decisions, each with its outcome behind it */
export async function createEventSource() {
  const callers = await createCallers(CALLERS)
  let events = []
  const request = await delegatedRequests(callers, {
    write(event) {
      events.push(event)
    },
  })
  return {
    async take(count) {
      events = []
      while (events.length < count) await request()
      return events
    },
    close: () => callers.close(),
  }
}
