import type { RequestListener } from 'node:http'
import type { Revocation } from '@behalf/core'

/** An API, ready to be served. */
export interface RunningApi {
  readonly listener: RequestListener
  /** Ends tokens at this API alone, whatever the authorization server says. */
  revoke(revocation: Revocation): Promise<void>
  /** Flushes and closes its audit sinks. */
  close(): Promise<void>
}
