import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import type { TelemetryMessages } from '@behalf/core'
import { diag } from '@opentelemetry/api'

/** What is done with the messages of each channel that is listened to. */
export type Listeners = {
  readonly [K in keyof TelemetryMessages]?: (message: TelemetryMessages[K]) => void
}

/** Subscribes, and gives back what unsubscribes. */
export function listen(listeners: Listeners): () => void {
  const stops = Object.entries(listeners).map(([channel, listener]) => {
    const guarded = guard(listener as (message: unknown) => void)
    subscribe(channel, guarded)
    return () => unsubscribe(channel, guarded)
  })
  return () => {
    for (const stop of stops) stop()
  }
}

/**
 * A listener that throws nothing. Node rethrows what a subscriber throws in `process.nextTick`, as an uncaught exception: a meter
 * that fails would end the process in the middle of somebody's request.
 */
function guard(listener: (message: unknown) => void): (message: unknown) => void {
  return (message) => {
    try {
      listener(message)
    } catch (error) {
      complain(error)
    }
  }
}

function complain(error: unknown): void {
  try {
    diag.error('@behalf/opentelemetry: a message could not be measured', error)
  } catch {
    // The logger is the application's and may throw as well; nobody is left to be told.
  }
}
