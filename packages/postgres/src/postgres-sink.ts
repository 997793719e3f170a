import { type AuditSink, type DeliverySinkOptions, deliverySink } from '@behalf/core'
import { membersOf } from '@behalf/core/sink-kit'
import { POSTGRES_OPTIONS, type PostgresOptions } from './options.js'
import { targetOf } from './postgres-target.js'

/** Options of {@link postgresSink}: those of `postgresTarget()` and those of `deliverySink()`. */
export type PostgresSinkOptions = PostgresOptions & DeliverySinkOptions

const WHERE = 'postgresSink()'

/**
 * An audit sink that writes to a table directly, in batches (`deliverySink()` over `postgresTarget()`). Accepted means what it
 * means there: committed and flushed. While PostgreSQL is away, events are refused; a journal beside it, which is shipped, keeps
 * them instead.
 *
 * @throws {ConfigError} where an option is not what it must be
 */
export function postgresSink(options: PostgresSinkOptions): AuditSink {
  membersOf(options, WHERE, [...POSTGRES_OPTIONS, 'maxQueuedRecords', 'maxBatchRecords'])
  const { maxQueuedRecords, maxBatchRecords, ...target } = options
  return deliverySink(targetOf(target, WHERE), {
    ...(maxQueuedRecords !== undefined && { maxQueuedRecords }),
    ...(maxBatchRecords !== undefined && { maxBatchRecords }),
  })
}
