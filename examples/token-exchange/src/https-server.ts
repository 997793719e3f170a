import type { RequestListener } from 'node:http'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { Certificate } from './certificates.js'

/** A server that listens already, so that others can be told of it, and serves once it has something to serve. */
export interface HttpsServer {
  /** Such as `https://127.0.0.1:40123`. */
  readonly origin: string
  serve(listener: RequestListener): void
  close(): Promise<void>
}

/**
 * Listens on a free port of this machine, and asks callers for certificates. Those that show one need nobody's signature on it: a
 * token is bound to the very certificate (RFC 8705 3), and whoever has no use for it shows none.
 */
export async function listenHttps({ cert, key }: Certificate): Promise<HttpsServer> {
  const server = createServer({ cert, key, requestCert: true, rejectUnauthorized: false })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(0, '127.0.0.1', resolve)
  })
  return {
    origin: `https://127.0.0.1:${(server.address() as AddressInfo).port}`,
    serve(listener) {
      server.on('request', listener)
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}
