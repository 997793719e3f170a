import { ConfigError } from '../errors.js'
import { type BodyFault, type BodyStream, readBody } from '../request-body.js'
import type { HttpAnswer, RequestView } from '../request-view.js'
import { TOO_LARGE, TOO_SLOW } from './answers.js'
import { MAX_SET_BYTES, type SecurityEventReceiver } from './receiver.js'

/** How long the body of a push may take, in milliseconds: it is one small token. */
const BODY_MILLISECONDS = 10_000

/** Node's request: its stream, and what says how its connection is ended. */
export interface PushStream extends BodyStream {
  /** 1 or 2. */
  readonly httpVersionMajor: number
}

/**
 * Reads a push and has it answered. For adapters.
 * @param parsed where body parsers leave what they have read: the first of them that is bytes or a text is the body
 * @returns `null`: the transmitter is gone, and there is nobody to answer
 * @throws {ConfigError} where somebody has read the body and left neither; what the receiver rejects with
 */
export async function answerPush(
  receiver: SecurityEventReceiver,
  request: Pick<RequestView, 'method' | 'authorization' | 'header'>,
  stream: PushStream,
  parsed: readonly unknown[],
): Promise<HttpAnswer | null> {
  const { method, authorization } = request
  const contentType = request.header('content-type')
  const early = receiver.refuseEarly({ method, contentType })
  if (early !== null) return early
  const body = parsed.find(isRaw)
  if (body !== undefined) return receiver.receive({ method, contentType, authorization, body })
  if (stream.readableDidRead) throw new ConfigError(READ_BEFORE)
  const read = await readBody(stream, { maxBytes: MAX_SET_BYTES, milliseconds: BODY_MILLISECONDS })
  return typeof read === 'string'
    ? answerToFault(read, stream)
    : receiver.receive({ method, contentType, authorization, body: read })
}

const READ_BEFORE =
  'the body of this request was read before securityEvents() could read it, and no bytes of it were kept: put securityEvents() before body parsers, or leave the bytes to it, as express.raw() does'

function isRaw(value: unknown): value is Uint8Array | string {
  // An empty one is what some parsers leave where they have read nothing.
  return (typeof value === 'string' || value instanceof Uint8Array) && value.length > 0
}

/** What was not read would come as the next request: the connection ends. HTTP/2 ends the stream alone. */
function answerToFault(fault: BodyFault, { httpVersionMajor }: PushStream): HttpAnswer | null {
  if (fault === 'gone') return null
  const answer = fault === 'too_large' ? TOO_LARGE : TOO_SLOW
  return httpVersionMajor === 1 ? { ...answer, headers: { ...answer.headers, connection: 'close' } } : answer
}
