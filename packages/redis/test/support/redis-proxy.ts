import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { onTestFinished } from 'vitest'

/** Stands between a set and Redis. Ends with the test. */
export interface RedisProxy {
  readonly url: string
  /** From now on nothing that Redis says on connections with a subscription is read, or passed on. */
  stop(): void
  /** Passes everything on. */
  go(): void
  /** Leads to another server from now on, as the address of a primary does after a failover. What is connected is cut off. */
  move(port: number): void
}

export async function redisProxy(first: number): Promise<RedisProxy> {
  let port = first
  const subscribed = new Set<Socket>()
  const sockets = new Set<Socket>()
  let stopped = false
  const server = createServer((outside) => {
    const inside = connect(port, '127.0.0.1')
    for (const [one, other] of [
      [outside, inside],
      [inside, outside],
    ] as const) {
      sockets.add(one)
      one
        .on('error', () => {})
        .on('close', () => {
          sockets.delete(one)
          other.destroy()
        })
    }
    outside.on('data', (chunk) => {
      if (/subscribe/i.test(chunk.toString('latin1'))) {
        subscribed.add(inside)
        if (stopped) inside.pause()
      }
      inside.write(chunk)
    })
    inside.on('data', (chunk) => void outside.write(chunk))
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    server.close()
    for (const socket of sockets) socket.destroy()
  })
  return {
    url: `redis://127.0.0.1:${(server.address() as AddressInfo).port}`,
    stop() {
      stopped = true
      for (const socket of subscribed) socket.pause()
    },
    go() {
      stopped = false
      for (const socket of subscribed) socket.resume()
    },
    move(to) {
      port = to
      for (const socket of sockets) socket.destroy()
    },
  }
}
