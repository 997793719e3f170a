import { setTimeout as wait } from 'node:timers/promises'
import type { DeliveryRecord } from '@behalf/core'
import { headers, type MsgHdrs } from '@nats-io/transport-node'
import { type ChainPosition, ID_HEADER, NOTHING_YET, recordsBehind, SEQUENCE_HEADER } from './chain-position.js'
import { NatsError } from './nats-error.js'
import type { OutgoingMessage, PublishAnswer } from './publish-window.js'
import type { StreamLink } from './stream-link.js'

/** Most messages, and most bytes of their bodies, that wait for acknowledgements at a time. */
const MAX_WINDOW_RECORDS = 500
const MAX_WINDOW_BYTES = 4 * 1024 * 1024
/** Room for the headers of a message beside its id, twice, and numbers. */
const HEADER_BYTES = 256
/** What a header can hold without being changed: visible ASCII. */
const ID = /^[\x21-\x7e]{1,256}$/

/** How often the first message of a window may be refused for its place, without any progress, and how long to wait in between. */
const MAX_ATTEMPTS = 20
const ATTEMPT_MILLISECONDS = 50

/** Another message stands before: JetStream's codes for a wrong last message id, subject sequence, and one that is not known yet. */
const MISPLACED: ReadonlySet<number> = new Set([10070, 10071, 10164])
/** A message with this id is under way already. */
const ID_IN_PROCESS = 10158
/** No stream took the message. */
const NO_RESPONDERS = 503

/**
 * Delivers records of one chain, in order. Messages of a window go out together. Its first one names the place in the stream of the
 * chain's last record (`Nats-Expected-Last-Subject-Sequence`), each further one the record before it
 * (`Nats-Expected-Last-Msg-Id`): where one is lost, refused, or overtaken by somebody else's message, all behind it are refused.
 *
 * @param acknowledged where chains ended when their last record was acknowledged; brought up to date
 * @param gaps where chains ended when their records were asked for again; brought up to date. `null`: nobody is asked
 * @throws {NatsError} the first records of the list may have arrived
 */
export async function deliverChain(
  link: StreamLink,
  chain: string,
  records: readonly DeliveryRecord[],
  acknowledged: Map<string, ChainPosition>,
  gaps: Map<string, number> | null = null,
): Promise<void> {
  const isNew = !acknowledged.has(chain)
  let position = link.seen.has(chain) ? lastOf(chain) : await lookUp()
  if (isNew) assertNoGap(records[0]?.sequence ?? 0, position)
  let rest = remaining(records, position)
  let windowRecords = MAX_WINDOW_RECORDS
  let attempts = 0
  while (rest.length > 0) {
    const window = windowOf(link, chain, rest, windowRecords, position)
    const answers = await link.publish(window, link.ackTimeoutMilliseconds)
    const arrived = countStored(answers)
    position = positionAfter(position, rest, answers, arrived)
    acknowledged.set(chain, position)
    rest = rest.slice(arrived)
    if (arrived === window.length) {
      windowRecords = Math.min(MAX_WINDOW_RECORDS, windowRecords * 2)
      continue
    }
    attempts = arrived > 0 ? 0 : attempts + 1
    assertMisplaced(answers[arrived], attempts)
    windowRecords = Math.max(1, arrived + Math.ceil(arrived / 2)) // as far as it came between the others' messages, and a bit
    if (arrived > 0) continue
    if (attempts > 1) await wait(ATTEMPT_MILLISECONDS)
    position = await lookUp()
    rest = remaining(rest, position)
  }

  /**
   * A chain that is new to this process goes on where another one ended. Where the stream ends before that, it has lost something, or its
   * records never came here: whoever has them is asked once. A chain may also have a gap of its own, so the second time it is taken.
   */
  function assertNoGap(sequence: number, found: ChainPosition): void {
    if (sequence <= found.sequence + 1 || gaps === null || gaps.get(chain) === found.sequence) return
    gaps.set(chain, found.sequence)
    acknowledged.delete(chain)
    throw new NatsError('acknowledged_lost', { resumeFrom: { chain, sequence: found.sequence + 1 } })
  }

  function lastOf(of: string): ChainPosition {
    return acknowledged.get(of) ?? NOTHING_YET
  }

  async function lookUp(): Promise<ChainPosition> {
    const before = lastOf(chain)
    const found = await link.lookUp(chain)
    if (await isLost(link, before, found)) {
      acknowledged.delete(chain)
      throw new NatsError('acknowledged_lost', { resumeFrom: { chain, sequence: found.sequence + 1 } })
    }
    // where all were removed for their age, what was acknowledged is still not to be delivered again
    const now = found.streamSequence === 0 ? { ...before, streamSequence: 0 } : found
    link.seen.add(chain)
    acknowledged.set(chain, now)
    return now
  }
}

/** Whether the stream ends before what it had acknowledged. Records that were removed for their age are not lost. */
async function isLost(link: StreamLink, before: ChainPosition, found: ChainPosition): Promise<boolean> {
  if (found.streamSequence >= before.streamSequence) return false
  return found.streamSequence > 0 || (await link.lastSequence()) < before.streamSequence
}

/** What is left to be delivered. @throws {NatsError} `chain_forked` where the stream's last record is another one than ours there */
function remaining(records: readonly DeliveryRecord[], position: ChainPosition): DeliveryRecord[] {
  const same = records.find(({ sequence }) => sequence === position.sequence)
  if (same !== undefined && same.id !== position.id) throw new NatsError('chain_forked')
  return recordsBehind(records, position)
}

function windowOf(
  link: StreamLink,
  chain: string,
  records: readonly DeliveryRecord[],
  mostRecords: number,
  position: ChainPosition,
): readonly OutgoingMessage[] {
  const subject = link.subjectOf(chain)
  const messages: OutgoingMessage[] = []
  let bytes = 0
  for (const [index, record] of records.slice(0, mostRecords).entries()) {
    const body = Buffer.from(record.body, 'utf8')
    bytes += body.length
    const fits = ID.test(record.id) && body.length + 2 * record.id.length + HEADER_BYTES <= link.maxMessageBytes
    if (!fits && index === 0) throw new NatsError('record_unfit')
    if (!fits || (bytes > MAX_WINDOW_BYTES && index > 0)) break
    messages.push({ subject, body, headers: headersOf(record, records[index - 1] ?? null, position) })
  }
  return messages
}

function headersOf(record: DeliveryRecord, before: DeliveryRecord | null, position: ChainPosition): MsgHdrs {
  const all = headers()
  all.set(ID_HEADER, record.id)
  all.set(SEQUENCE_HEADER, String(record.sequence))
  if (before === null) all.set('Nats-Expected-Last-Subject-Sequence', String(position.streamSequence))
  else all.set('Nats-Expected-Last-Msg-Id', before.id)
  return all
}

/** How many of the first messages are in the stream. */
function countStored(answers: readonly PublishAnswer[]): number {
  const missing = answers.findIndex((answer) => answer.kind !== 'stored' || answer.sequence === 0)
  return missing === -1 ? answers.length : missing
}

function positionAfter(
  position: ChainPosition,
  records: readonly DeliveryRecord[],
  answers: readonly PublishAnswer[],
  arrived: number,
): ChainPosition {
  let after = position
  for (let index = 0; index < arrived; index++) {
    const answer = answers[index] as PublishAnswer
    const { id, sequence } = records[index] as DeliveryRecord
    const here = answer.kind === 'stored' && !answer.duplicate
    after = { id, sequence, streamSequence: here ? answer.sequence : after.streamSequence }
  }
  return after
}

/** Goes on where a message was refused for its place alone. @throws {NatsError} otherwise, and where that does not end */
function assertMisplaced(answer: PublishAnswer | undefined, attempts: number): void {
  if (answer === undefined || answer.kind === 'unanswered') throw new NatsError('unanswered')
  if (answer.kind === 'stored') {
    if (attempts >= MAX_ATTEMPTS) throw new NatsError('refused', { status: ID_IN_PROCESS })
    return
  }
  if (answer.status === NO_RESPONDERS) throw new NatsError('stream_missing')
  const misplaced = MISPLACED.has(answer.status) || answer.status === ID_IN_PROCESS
  if (!misplaced || attempts >= MAX_ATTEMPTS) throw new NatsError('refused', { status: answer.status })
}
