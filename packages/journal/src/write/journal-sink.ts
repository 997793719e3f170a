import type { AuditEvent, AuditSink } from '@behalf/core'
import { Intake } from './intake.js'
import { prepareDirectory } from './journal-directory.js'
import { type JournalOptions, resolveJournalOptions } from './journal-options.js'
import { type JournalState, JournalWriter } from './journal-writer.js'

/** A journal as a sink. */
export interface JournalSink extends AuditSink {
  /**
   * Resolves when the event is on disk. Rejects, or throws, with a `JournalError` where it is not accepted; see
   * `JournalOptions.whenUnavailable`. Of a refused call beyond `refusalsPerSecond` only the number is written.
   */
  write(event: AuditEvent): Promise<void> | undefined
  /** Resolves when everything that was written before is on disk; rejects where that takes longer than `closeTimeoutMilliseconds`. */
  flush(): Promise<void>
  /** Writes what waits and a last checkpoint, and lets go of the directory. Rejects where the disk does not take them in time. */
  close(): Promise<void>
  /**
   * Resolves when the directory is open and its records can follow those of the last writer. Rejects with a `JournalError` where that
   * failed; it is tried again by itself. Nobody has to call it: events wait, within the commit deadline.
   */
  ready(): Promise<void>
  /** How the journal is, for health checks. */
  readonly state: JournalState
  /** Events that wait for the disk. */
  readonly queuedRecords: number
}

/**
 * An append-only journal of audit events on a local disk: durable, and tamper-evident to whoever holds the public key and a checkpoint
 * from outside. Begins to open its directory at once.
 *
 * `write()` resolves when its record is on disk: no handler runs before its decision is, under `unrecorded: 'refuse'`. Events are
 * written together: one write and one sync are under way, and the next takes all that came meanwhile.
 *
 * Not promised: anything against whoever holds the signing key, or on a disk that says it has synced and has not.
 * @throws {ConfigError} for wrong options, and where the directory is a symbolic link, somebody else's, or open to other users
 */
export function journalSink(options: JournalOptions): JournalSink {
  const settings = resolveJournalOptions(options)
  prepareDirectory(settings.directory)
  let closing: Promise<void> | null = null
  const intake = new Intake(settings, () => writer.wake())
  const writer = new JournalWriter(settings, intake)
  writer.wake()
  return {
    write: (event) => intake.write(event),
    flush: () => writer.written(intake.accepted, settings.closeTimeoutMilliseconds),
    close() {
      intake.setUnavailable('closed')
      closing ??= writer.close(settings.closeTimeoutMilliseconds)
      return closing
    },
    ready: () => writer.ready(),
    get state() {
      return writer.state
    },
    get queuedRecords() {
      return intake.size
    },
  }
}
