import type { DeliveryRecord } from '@behalf/core'
import type { JetStreamManager } from '@nats-io/jetstream'

/** The idempotency key of a record: the server drops a second message with it within the stream's window, 2 minutes by default. */
export const ID_HEADER = 'Nats-Msg-Id'
/** A record's position in its chain, in decimal digits: what is there already is seen by it after that window too. */
export const SEQUENCE_HEADER = 'Behalf-Sequence'

/** Where a chain ends in the stream. */
export interface ChainPosition {
  /** Position in its chain of the last record; -1: none. */
  readonly sequence: number
  /** Id of the last record. `null`: none, or one that is not ours. */
  readonly id: string | null
  /** Where the last record stands in the stream; 0: the stream holds nothing of the chain. */
  readonly streamSequence: number
}

/** Of a chain that the stream holds nothing of. */
export const NOTHING_YET: ChainPosition = Object.freeze({ sequence: -1, id: null, streamSequence: 0 })

/** Asks the stream's leader for the last message of a chain's subject. Rejects with the client's error. */
export async function lookUpPosition(manager: JetStreamManager, stream: string, subject: string): Promise<ChainPosition> {
  const message = await manager.streams.getMessage(stream, { last_by_subj: subject })
  if (message === null) return NOTHING_YET
  const digits = message.header.get(SEQUENCE_HEADER)
  const id = message.header.get(ID_HEADER)
  return {
    sequence: /^\d{1,16}$/.test(digits) ? Number(digits) : -1,
    id: id === '' ? null : id,
    streamSequence: message.seq,
  }
}

/** Records of a chain that come behind a position, each id once: an event that a journal wrote twice is there under its first sequence. */
export function recordsBehind(records: readonly DeliveryRecord[], position: ChainPosition): DeliveryRecord[] {
  const seen = new Set<string | null>([position.id])
  return records.filter(({ id, sequence }) => {
    if (sequence <= position.sequence || seen.has(id)) return false
    seen.add(id)
    return true
  })
}
