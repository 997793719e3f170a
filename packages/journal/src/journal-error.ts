/** Why a journal did not take an event, or could not be opened. */
export type JournalErrorCode =
  /** Another process writes to the directory, or did a moment ago. */
  | 'locked'
  /** The disk refuses or is full; the journal tries again by itself. */
  | 'unavailable'
  /** Too many records wait for the disk. */
  | 'queue_full'
  /** The record was not on disk within the commit deadline; it can get there yet. */
  | 'late'
  /** The journal was closed. */
  | 'closed'
  /** What stands in the directory is no journal that this version can go on with. */
  | 'unreadable'

/** An event that was not accepted, or a journal that could not be opened. The text is fixed: nothing of an event is in it. */
export class JournalError extends Error {
  override readonly name = 'JournalError'
  /** Stable reason. */
  readonly code: JournalErrorCode

  constructor(code: JournalErrorCode, message: string) {
    super(message)
    this.code = code
  }
}

/** The system's name of what went wrong (`ENOSPC`, `EIO`), without its message, which names paths. */
export function systemCodeOf(error: unknown): string {
  const code = (error as { readonly code?: unknown } | null)?.code
  return typeof code === 'string' && /^[A-Z][A-Z0-9_]{1,31}$/.test(code) ? code : 'UNKNOWN'
}
