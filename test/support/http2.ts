/** HTTP/2 without encryption: a server on a free port, and one connection to it. */
import type { RequestListener } from 'node:http'
import { type ClientHttp2Stream, connect, constants, createServer } from 'node:http2'
import type { AddressInfo } from 'node:net'

interface Http2Answer {
  readonly status: number
  readonly body: string
}

export interface Http2Connection {
  /** Sends a request; its stream, for tests that leave before the answer has ended. */
  begin(headers: Readonly<Record<string, string>>): ClientHttp2Stream
  /** Sends a request, and reads the whole answer. */
  ask(headers: Readonly<Record<string, string>>): Promise<Http2Answer>
  /** Cuts the connection, with whatever is under way on it. */
  cut(): void
  close(): Promise<void>
}

/** Leaves as a client does that does not want an answer any more (RFC 9113 7, CANCEL). */
export function abandon(stream: ClientHttp2Stream): void {
  stream.close(constants.NGHTTP2_CANCEL)
}

export async function connectHttp2(listener: RequestListener): Promise<Http2Connection> {
  // Node's types have listeners of HTTP/2 apart; frameworks use what both have.
  const server = createServer(listener as unknown as Parameters<typeof createServer>[1])
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const session = connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
  const begin: Http2Connection['begin'] = (headers) => {
    const stream = session.request({ ':path': '/', ...headers })
    stream.on('error', () => {}) // a stream that the test leaves may end in an error
    return stream
  }
  return {
    begin,
    ask: (headers) =>
      new Promise((resolve, reject) => {
        const stream = begin(headers)
        const chunks: Buffer[] = []
        let status = 0
        stream.on('response', (answer) => {
          status = Number(answer[':status'])
        })
        stream.on('data', (chunk: Buffer) => chunks.push(chunk))
        stream.on('error', reject)
        stream.on('close', () => resolve({ status, body: Buffer.concat(chunks).toString() }))
      }),
    cut: () => session.destroy(),
    close: () =>
      new Promise((resolve) => {
        session.destroy()
        server.close(() => resolve())
      }),
  }
}
