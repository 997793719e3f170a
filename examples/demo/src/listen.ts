import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'

/** An API of the demo, while it listens. */
export interface RunningApi {
  readonly name: 'express' | 'koa'
  readonly url: string
  /** Lets running requests end, then closes the audit sinks. */
  close(): Promise<void>
}

/** How long running requests may take when the demo ends, in milliseconds. */
const GRACE_MILLISECONDS = 1000

/** @throws an error with a `code` such as `EADDRINUSE`, and the `port` */
export async function listen(
  name: RunningApi['name'],
  listener: RequestListener,
  port: number,
  afterwards: () => Promise<void>,
): Promise<RunningApi> {
  const server = createServer(listener)
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, '127.0.0.1', resolve)
  })
  return {
    name,
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async close() {
      const closed = new Promise<void>((resolve) => {
        server.close(() => resolve())
      })
      const impatience = setTimeout(() => server.closeAllConnections(), GRACE_MILLISECONDS)
      await closed
      clearTimeout(impatience)
      await afterwards()
    },
  }
}
