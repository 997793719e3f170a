import type { RequestListener } from 'node:http'

/** An API, ready to be served. */
export interface RunningApi {
  readonly listener: RequestListener
  /** Flushes and closes its audit sinks. */
  close(): Promise<void>
}
