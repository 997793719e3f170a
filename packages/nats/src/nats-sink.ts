import { type AuditSink, type DeliverySinkOptions, deliverySink } from '@behalf/core'
import { membersOf } from '@behalf/core/sink-kit'
import { type NatsTargetOptions, natsTarget, TARGET_MEMBERS } from './nats-target.js'

/** Options of {@link natsSink}. */
export interface NatsSinkOptions extends NatsTargetOptions, DeliverySinkOptions {}

const SINK_MEMBERS = ['maxQueuedRecords', 'maxBatchRecords']

/**
 * Writes events to JetStream directly: `deliverySink()` over {@link natsTarget}. An event is accepted when the stream has
 * acknowledged it. While the server is away events are refused, and with them the calls that they record: where that must not be,
 * write to a journal and ship that.
 *
 * @throws {ConfigError} where an option is not what it must be
 */
export function natsSink(options: NatsSinkOptions): AuditSink {
  membersOf(options, 'natsSink()', [...TARGET_MEMBERS, ...SINK_MEMBERS])
  const { maxQueuedRecords, maxBatchRecords, ...target } = options
  return deliverySink(natsTarget(target), {
    ...(maxQueuedRecords !== undefined && { maxQueuedRecords }),
    ...(maxBatchRecords !== undefined && { maxBatchRecords }),
  })
}
