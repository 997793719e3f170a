import { createInbox, type Msg, type MsgHdrs, type NatsConnection } from '@nats-io/transport-node'

/** A message on its way to a stream. */
export interface OutgoingMessage {
  readonly subject: string
  readonly headers: MsgHdrs
  readonly body: Uint8Array
}

/** What became of a message. */
export type PublishAnswer =
  /**
   * It is in the stream, at `sequence`; 0: the server takes it for one that it has not stored yet. A duplicate's is the sequence of
   * the first message with its id, which may have another subject.
   */
  | { readonly kind: 'stored'; readonly sequence: number; readonly duplicate: boolean }
  /** It was not stored; `status` is JetStream's `err_code`, or the code of the message's status line (503: nobody listens). */
  | { readonly kind: 'refused'; readonly status: number }
  /** Not known: no answer in time, or the connection broke. */
  | { readonly kind: 'unanswered' }

/** Publishes to streams over one connection. */
export interface Publisher {
  /**
   * Sends messages all at once, in their order, and waits for an answer to each. Never rejects. Ends with `unanswered` for those
   * that are left where no answer came for `timeoutMilliseconds`, or where the connection closed.
   */
  publish(messages: readonly OutgoingMessage[], timeoutMilliseconds: number): Promise<readonly PublishAnswer[]>
}

const UNANSWERED: PublishAnswer = Object.freeze({ kind: 'unanswered' })

/** Messages that wait for their answers. */
interface Window {
  readonly first: number
  readonly answers: PublishAnswer[]
  left: number
  readonly answered: () => void
  readonly over: () => void
}

/**
 * One inbox, and one subscription, for the answers to everything. The client's own `publish()` does the same with a promise, a timer
 * and a subscription's bookkeeping for each message, at less than half the rate.
 */
export function createPublisher(connection: NatsConnection): Publisher {
  const inbox = createInbox()
  let count = 0
  let current: Window | null = null

  function take(message: Msg): void {
    const index = Number(message.subject.slice(inbox.length + 1)) - (current?.first ?? 0)
    if (current === null || current.answers[index] !== UNANSWERED) return // of a window that was given up
    current.answers[index] = answerOf(message)
    current.left--
    current.answered()
    if (current.left === 0) current.over()
  }

  connection.subscribe(`${inbox}.*`, {
    callback(error, message) {
      if (error)
        current?.over() // the server does not let this user listen to the inbox
      else take(message)
    },
  })
  connection.closed().then(
    () => current?.over(),
    () => current?.over(),
  )

  return {
    publish: (messages, timeoutMilliseconds) =>
      new Promise((resolve) => {
        const timer = setTimeout(over, timeoutMilliseconds)
        const window: Window = {
          first: count,
          answers: messages.map(() => UNANSWERED),
          left: messages.length,
          answered: () => timer.refresh(),
          over,
        }
        function over(): void {
          clearTimeout(timer)
          if (current === window) current = null
          resolve(window.answers)
        }
        current = window
        try {
          for (const { subject, headers, body } of messages) {
            connection.publish(subject, body, { headers, reply: `${inbox}.${count++}` })
          }
        } catch {
          over() // the connection is closed
        }
      }),
  }
}

/** As far as it is read. Somebody else's words. */
interface PubAck {
  readonly error?: { readonly err_code?: number; readonly code?: number }
  readonly seq?: unknown
  readonly duplicate?: unknown
}

/** JetStream's answer to a publication: `{"stream":…,"seq":…}` or `{"error":{"err_code":…}}`; without a stream, an empty one with status 503. */
function answerOf(message: Msg): PublishAnswer {
  const status = message.headers?.code ?? 0
  if (status !== 0) return { kind: 'refused', status }
  try {
    const { error, seq, duplicate } = message.json<PubAck>()
    if (error !== undefined) return { kind: 'refused', status: Number(error.err_code ?? error.code ?? 0) }
    if (!Number.isSafeInteger(seq)) return { kind: 'refused', status: 0 }
    return { kind: 'stored', sequence: seq as number, duplicate: duplicate === true }
  } catch {
    return { kind: 'refused', status: 0 }
  }
}
