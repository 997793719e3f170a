/** Why records could not be delivered, or a stream could not be made. */
export type NatsErrorCode =
  /** No server answers, or not in time. */
  | 'unreachable'
  /** The credentials cannot be read, or the server refuses them. */
  | 'unauthorized'
  /** The server offers no TLS where it is required, or its certificate is not trusted. */
  | 'tls_failed'
  /** No stream takes the subject. */
  | 'stream_missing'
  /** A stream takes the subject, but would not keep or not acknowledge records. */
  | 'stream_unfit'
  /** An acknowledgement did not come in time, or the connection broke before it. */
  | 'unanswered'
  /** The server refused to keep a record, or to answer a question; `status` is its error code. */
  | 'refused'
  /** A record is larger than the server takes, or its id or chain is nothing that a header or subject can hold. */
  | 'record_unfit'
  /** The stream holds another record at the same place of the chain. */
  | 'chain_forked'
  /** The stream no longer holds records that it had acknowledged. Said once, with `resumeFrom`; the next delivery goes on with whatever it is given. */
  | 'acknowledged_lost'
  /** The target was closed. */
  | 'closed'

const MESSAGES: Readonly<Record<NatsErrorCode, string>> = {
  unreachable: 'no NATS server could be reached',
  unauthorized: 'the credentials for NATS cannot be read, or the server refuses them',
  tls_failed: 'the NATS server offers no TLS, which is required except on loopback, or its certificate is not trusted',
  stream_missing: 'no JetStream stream takes the subject of the records: create one, for example with ensureStream()',
  stream_unfit: 'the JetStream stream of the subject would not keep or not acknowledge the records',
  unanswered: 'the NATS server did not acknowledge in time: is it there, and may this user publish to the subject?',
  refused: 'the NATS server refused',
  record_unfit: 'a record is too large for the NATS server, or its id or chain fits in no header or subject',
  chain_forked: 'the stream holds another record at this place of the chain: was the journal put back from an older copy?',
  acknowledged_lost: 'the stream no longer holds records that it had acknowledged',
  closed: 'the NATS target is closed',
}

/** A delivery that failed. Its text is fixed: no record, address or secret is in it, and it has no `cause`. */
export class NatsError extends Error {
  override readonly name = 'NatsError'
  /** Stable reason. */
  readonly code: NatsErrorCode
  /** JetStream's own error code (`err_code`), where it answered with one. */
  readonly status: number | null

  /** With `acknowledged_lost`: the first record that the stream no longer holds. A shipper delivers again from there. */
  readonly resumeFrom: { readonly chain: string; readonly sequence: number } | null

  /** @param details `detail`: our own words, put behind the text */
  constructor(
    code: NatsErrorCode,
    details: Partial<Pick<NatsError, 'status' | 'resumeFrom'>> & { readonly detail?: string } = {},
  ) {
    const { status = null, resumeFrom = null, detail = null } = details
    super(`${MESSAGES[code]}${status === null ? '' : ` (${status})`}${detail === null ? '' : `: ${detail}`}`)
    this.code = code
    this.status = status
    this.resumeFrom = resumeFrom
  }
}
