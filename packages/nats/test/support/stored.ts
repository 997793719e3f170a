import type { KeptRecord } from '@behalf/testing'
import { jetstreamManager } from '@nats-io/jetstream'
import { connect } from '@nats-io/transport-node'

/** A message of a stream. */
export interface StoredMessage extends KeptRecord {
  readonly subject: string
  readonly sequence: string
}

/** Everything that the streams under a subject hold, in the order of the stream, read by a client of its own. */
export async function storedMessages(url: string, subject: string, stream?: string): Promise<readonly StoredMessage[]> {
  const connection = await connect({ servers: url, noAsyncTraces: true })
  try {
    const manager = await jetstreamManager(connection)
    const name = stream ?? (await manager.streams.find(`${subject}.*`))
    const { first_seq, last_seq } = (await manager.streams.info(name)).state
    const first = Math.max(1, first_seq) // 0: nothing was ever stored
    const numbers = Array.from({ length: Math.max(0, last_seq - first + 1) }, (_, index) => first + index)
    const messages = []
    for (let at = 0; at < numbers.length; at += 500) {
      messages.push(...(await Promise.all(numbers.slice(at, at + 500).map((seq) => manager.streams.getMessage(name, { seq })))))
    }
    return messages
      .filter((message) => message !== null)
      .map((message) => ({
        id: message.header.get('Nats-Msg-Id'),
        body: message.string(),
        subject: message.subject,
        sequence: message.header.get('Behalf-Sequence'),
      }))
      .filter((message) => message.subject.startsWith(`${subject}.`))
  } finally {
    await connection.close()
  }
}
