/** Why shipping ended. */
export type ShipErrorCode =
  /** The cursor's file is there, and is no cursor, or others may write to it. */
  | 'cursor_unreadable'
  /** The cursor was made for another journal, or for another history of this one. */
  | 'cursor_mismatch'
  /** Everything was delivered, and the cursor could not be saved: the next run delivers the last part again. */
  | 'cursor_unsaved'
  /** While it was being shipped, the journal changed behind what was delivered. */
  | 'journal_rewritten'
  /** The journal goes on too long without a checkpoint: nothing says what of it is final. */
  | 'checkpoint_missing'
  /** The target took nothing, as often as it was tried; its last error is the `cause`. */
  | 'target_failed'

/** Shipping that ended before its time. The text is fixed; only `cause` can hold somebody else's words. */
export class ShipError extends Error {
  override readonly name = 'ShipError'
  /** Stable reason. */
  readonly code: ShipErrorCode

  constructor(code: ShipErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}
