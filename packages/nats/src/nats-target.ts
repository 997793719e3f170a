import type { DeliveryRecord, DeliveryTarget } from '@behalf/core'
import { booleanAt, membersOf, optional } from '@behalf/core/sink-kit'
import { deliverChain } from './chain-delivery.js'
import type { ChainPosition } from './chain-position.js'
import { CONNECTION_MEMBERS, connectionSettings, type NatsConnectionOptions } from './connection-options.js'
import { NatsError } from './nats-error.js'
import { openStreamLink, type StreamLink } from './stream-link.js'
import { DEFAULT_SUBJECT, subjectAt } from './subject.js'

/** Options of {@link natsTarget}. */
export interface NatsTargetOptions extends NatsConnectionOptions {
  /**
   * First tokens of the subjects: the records of a chain go to `<subject>.<chain>`. A stream must listen on `<subject>.*`.
   * Default `behalf.audit`.
   */
  readonly subject?: string
  /**
   * Whether a chain that is new to this target must go on where the stream ends: where it would leave a gap, `deliver()` rejects once with
   * `acknowledged_lost` and what is missing, for a shipper that can go back to there. Default `false`.
   */
  readonly asksForGaps?: boolean
}

/** The members of {@link NatsTargetOptions}. */
export const TARGET_MEMBERS: readonly string[] = [...CONNECTION_MEMBERS, 'subject', 'asksForGaps']

/**
 * Delivers records to a JetStream stream: the `body` of each is one message, with its `id` as `Nats-Msg-Id` and its `sequence` as
 * `Behalf-Sequence`. A record counts as delivered when the stream has acknowledged it, or holds it already. What that survives is
 * the stream's matter: one server on Debian's settings syncs its files every 2 minutes, so that a kill costs nothing and a power
 * cut up to 2 minutes; replicas, or `sync_interval: always`, mend that.
 *
 * The order of a chain holds whatever fails in between: each message names the one that must stand before it, and the server
 * refuses it otherwise. A record is kept once, however long ago its first delivery was: the end of the chain is looked up in the
 * stream whenever it is not known for certain.
 *
 * Connects at the first delivery, and again at the first one after a connection broke or an acknowledgement did not come.
 * `deliver()` rejects with a {@link NatsError}. Not checked: the number of replicas, and how often the server syncs.
 *
 * @throws {ConfigError} where an option is not what it must be
 */
export function natsTarget(options: NatsTargetOptions): DeliveryTarget {
  const where = 'natsTarget()'
  const members = membersOf(options, where, TARGET_MEMBERS)
  const settings = connectionSettings(members, where)
  const subject = optional(members, 'subject', where, subjectAt, DEFAULT_SUBJECT)
  const acknowledged = new Map<string, ChainPosition>()
  const gaps = optional(members, 'asksForGaps', where, booleanAt, false) ? new Map<string, number>() : null
  let link: StreamLink | null = null
  let closed = false

  async function openLink(): Promise<StreamLink> {
    if (link?.isOpen() !== true) link = closed ? null : await openStreamLink(settings, subject)
    if (!closed && link !== null) return link
    link?.close()
    throw new NatsError('closed')
  }

  return {
    async deliver(records) {
      const open = await openLink()
      try {
        for (const [chain, ofChain] of byChain(records)) await deliverChain(open, chain, ofChain, acknowledged, gaps)
      } catch (error) {
        open.close() // what is under way over it is not waited for any more, and must not be taken for an answer later
        throw error instanceof NatsError ? error : new NatsError('unanswered')
      }
    },
    async close() {
      closed = true
      link?.close()
    },
  }
}

function byChain(records: readonly DeliveryRecord[]): Map<string, DeliveryRecord[]> {
  const chains = new Map<string, DeliveryRecord[]>()
  for (const record of records) {
    const chain = chains.get(record.chain)
    if (chain === undefined) chains.set(record.chain, [record])
    else chain.push(record)
  }
  return chains
}
