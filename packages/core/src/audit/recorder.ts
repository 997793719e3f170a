import type { AuthContext } from '../delegation/context.js'
import { codeOf } from '../error-code.js'
import { auditFailureChannel } from '../telemetry.js'
import { type Eventual, inTime } from '../thenable.js'
import type { AuditEvent } from './event.js'
import { type AuditSink, isBestEffort } from './sink.js'

/** Which decisions are recorded; see `AuditOptions.record`. */
export type RecordPolicy = 'delegated' | 'refusals' | 'always'

/** A server's audit options, resolved. */
export interface AuditSettings {
  readonly sinks: readonly AuditSink[]
  readonly record: RecordPolicy
  /** What becomes of a call whose record is not accepted. */
  readonly unrecorded: 'refuse' | 'allow'
  readonly timeoutMilliseconds: number
}

/** Writes events to every sink, and knows which ones are wanted. */
export interface Recorder {
  /** Whether decisions about such a call are recorded. `context`: `null` where the call was refused before there was one. */
  wants(refused: boolean, context: AuthContext | null, carriesDelegation: boolean): boolean
  /** Writes an event that must be accepted before the call goes on; `false` where a sink refused it or took too long. */
  accept(event: AuditEvent): Eventual<boolean>
  /** Writes an event that nothing waits for: a refusal, an outcome. Its loss, or an error in making it, is warned of. */
  note(create: () => AuditEvent): void
  /** Flushes and closes the sinks, once. */
  close(): Promise<void>
}

/** At most one warning about lost events in this time, in milliseconds, with the number that it stands for. */
const WARNING_INTERVAL_MILLISECONDS = 60_000

/** Codes that one warning names; there are few kinds of trouble at a time. */
const MOST_CODES = 5

/** What a sink's silence is called in a warning. */
const LATE = { code: 'audit_timeout' }

/** An event is lost once, however many sinks did not accept it, and however often they say so. */
interface Loss {
  counted: boolean
}

export function createRecorder(settings: AuditSettings, now: () => number): Recorder {
  const { sinks, record, timeoutMilliseconds } = settings
  let closing: Promise<void> | null = null
  let lost = 0
  let warnedAt = Number.NEGATIVE_INFINITY
  /** Codes of the errors with which sinks have refused since the last warning. */
  const codes = new Set<string>()

  function countLost(loss: Loss, error: unknown): void {
    const code = codeOf(error)
    if (code !== null && codes.size < MOST_CODES) codes.add(code)
    if (loss.counted) return
    loss.counted = true
    lost++
    if (auditFailureChannel.heard) auditFailureChannel.publish({ events: 1 })
    const sinceWarned = now() - warnedAt
    if (sinceWarned < 0 || sinceWarned >= WARNING_INTERVAL_MILLISECONDS) warnLost()
  }

  function warnLost(): void {
    warnedAt = now()
    const why = codes.size === 0 ? '' : ` (${[...codes].join(', ')})`
    process.emitWarning(`behalf: ${lost} audit event(s) were not accepted by a sink${why}`, { code: 'BEHALF_AUDIT_LOST' })
    lost = 0
    codes.clear()
  }

  /** One sink's answer; what a best-effort sink loses is counted, and stops nobody. */
  function write(sink: AuditSink, event: AuditEvent, loss: Loss): Eventual<boolean> {
    const refused = (error: unknown) => {
      countLost(loss, error)
      return isBestEffort(sink)
    }
    try {
      const accepted = sink.write(event)
      if (accepted === undefined) return true
      const answer = Promise.resolve(accepted).then(() => true, refused)
      return isBestEffort(sink) ? true : answer
    } catch (error) {
      return refused(error)
    }
  }

  function allAccept(waiting: readonly Promise<boolean>[], loss: Loss): Promise<boolean> {
    const accepted = Promise.all(waiting).then((answers) => answers.every(Boolean))
    return inTime(accepted, timeoutMilliseconds, () => {
      countLost(loss, LATE)
      return false
    })
  }

  return {
    wants(refused, context, carriesDelegation) {
      if (sinks.length === 0) return false
      if (record === 'always' || (record === 'refusals' && refused)) return true
      if (context !== null && (context.kind !== 'direct' || context.notices.length > 0)) return true
      return refused && carriesDelegation
    },

    accept(event) {
      const loss: Loss = { counted: false }
      let waiting: Promise<boolean>[] | null = null
      let refused = false
      for (const sink of sinks) {
        const answer = write(sink, event, loss)
        if (answer === false) refused = true
        else if (answer !== true) waiting = [...(waiting ?? []), answer]
      }
      return refused ? false : waiting === null || allAccept(waiting, loss)
    },

    note(create) {
      try {
        const event = create()
        const loss: Loss = { counted: false }
        for (const sink of sinks) write(sink, event, loss)
      } catch (error) {
        countLost({ counted: false }, error) // outcomes are made in a listener of the response, where an error would end the process
      }
    },

    close() {
      closing ??= closeAll(sinks).finally(() => {
        if (lost > 0) warnLost()
      })
      return closing
    },
  }
}

/** Closes every sink, whatever becomes of its flush or of the others. */
async function closeAll(sinks: readonly AuditSink[]): Promise<void> {
  const closing = sinks.map(async (sink) => {
    try {
      await sink.flush?.()
    } finally {
      await sink.close?.()
    }
  })
  const failures = (await Promise.allSettled(closing)).filter((each) => each.status === 'rejected')
  if (failures.length === 0) return
  const reasons = failures.map((each) => each.reason)
  throw new AggregateError(reasons, 'an audit sink could not be closed')
}
