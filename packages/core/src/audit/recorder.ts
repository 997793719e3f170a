import type { AuthContext } from '../delegation/context.js'
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
  accept(event: AuditEvent): Promise<boolean>
  /** Writes an event that nothing waits for: a refusal, an outcome. Its loss, or an error in making it, is warned of. */
  note(create: () => AuditEvent): void
  /** Flushes and closes the sinks, once. */
  close(): Promise<void>
}

/** At most one warning about lost events in this time, in milliseconds, with the number that it stands for. */
const WARNING_INTERVAL_MILLISECONDS = 60_000

export function createRecorder(settings: AuditSettings, now: () => number): Recorder {
  const { sinks, record, timeoutMilliseconds } = settings
  let closing: Promise<void> | null = null
  let lost = 0
  let warnedAt = Number.NEGATIVE_INFINITY

  function countLost(): void {
    lost++
    const sinceWarned = now() - warnedAt
    if (sinceWarned < 0 || sinceWarned >= WARNING_INTERVAL_MILLISECONDS) warnLost()
  }

  function warnLost(): void {
    warnedAt = now()
    process.emitWarning(`behalf: ${lost} audit event(s) were not accepted by a sink`, { code: 'BEHALF_AUDIT_LOST' })
    lost = 0
  }

  /** One sink's answer; what a best-effort sink loses is warned of, and stops nobody. */
  function write(sink: AuditSink, event: AuditEvent): boolean | Promise<boolean> {
    const refused = () => {
      countLost()
      return isBestEffort(sink)
    }
    try {
      const accepted = sink.write(event)
      if (accepted === undefined) return true
      const answer = Promise.resolve(accepted).then(() => true, refused)
      return isBestEffort(sink) ? true : answer
    } catch {
      return refused()
    }
  }

  return {
    wants(refused, context, carriesDelegation) {
      if (sinks.length === 0) return false
      if (record === 'always' || (record === 'refusals' && refused)) return true
      if (context !== null && (context.kind !== 'direct' || context.notices.includes('self_actor'))) return true
      return refused && carriesDelegation
    },

    async accept(event) {
      const answers = sinks.map((sink) => write(sink, event))
      const waiting = answers.filter((answer): answer is Promise<boolean> => typeof answer !== 'boolean')
      if (answers.includes(false)) return false
      if (waiting.length === 0) return true
      let timer: NodeJS.Timeout | undefined
      const late = new Promise<'late'>((resolve) => {
        timer = setTimeout(resolve, timeoutMilliseconds, 'late')
      })
      try {
        const answer = await Promise.race([late, Promise.all(waiting).then((all) => (all.every(Boolean) ? 'yes' : 'no'))])
        if (answer === 'late') countLost()
        return answer === 'yes'
      } finally {
        clearTimeout(timer)
      }
    },

    note(create) {
      try {
        const event = create()
        for (const sink of sinks) write(sink, event)
      } catch {
        countLost() // outcomes are made in a listener of the response, where an error would end the process
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
