import { createRareWarning } from '../rare-warning.js'
import { isBelated } from '../thenable.js'

/** An authentic event that should end tokens, and ends none. Holds nothing of the event. */
export interface UnprocessedEvent {
  /** The configured issuer of the event. */
  readonly transmitter: string
  /** What it says has happened. */
  readonly event: 'session-revoked' | 'credential-change'
  /**
   * `subject_not_supported`: its subject is in a form that names no token (a mail address, a device); `critical_member`: a part of it that
   * the transmitter calls critical cannot be processed; `subject_not_expected`: it is about an issuer that `about` does not name, and the
   * transmitter is told so; `not_kept`: the set of revocations is full or cannot be reached, and the transmitter is told to come again.
   */
  readonly reason: 'subject_not_supported' | 'critical_member' | 'subject_not_expected' | 'not_kept'
}

/** Who is told of unprocessed events: the application, or whoever reads the warnings of the process. */
export function createNotice(
  onUnprocessed: ((event: UnprocessedEvent) => unknown) | null,
  now: () => number,
): (event: UnprocessedEvent) => void {
  const tell = onUnprocessed ?? createWarning(now)
  return (event) => {
    try {
      isBelated(tell(Object.freeze(event)))
    } catch {} // the event is answered as it is, whoever was told
  }
}

function createWarning(now: () => number): (event: UnprocessedEvent) => void {
  const warn = createRareWarning('BEHALF_SECURITY_EVENT_UNPROCESSED', now)
  return ({ event, reason }) => warn(`a security event (${event}) ended no tokens: ${reason}`)
}
