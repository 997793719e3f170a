import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { onTestFinished } from 'vitest'
import { commandIn } from './fake-redis.js'

/** Stands between a set and Redis. Ends with the test. */
export interface RedisProxy {
  readonly url: string
  /** From now on nothing that Redis says on connections with a subscription is read, or passed on. */
  stop(): void
  /** Passes everything on. */
  go(): void
  /**
   * From now on commands that are held wait, and so does whatever comes behind them on the same connection.
   * @param isHeld by the words of a command
   */
  hold(isHeld: (words: readonly string[]) => boolean): Gate
  /** Leads to another server from now on, as the address of a primary does after a failover. What is connected is cut off. */
  move(port: number): void
}

/** Commands that wait. */
export interface Gate {
  /** How many have been held so far, those included that were let go. */
  held(): number
  /** Lets one of them go. */
  pass(): void
  /** Lets all go, and holds none any more. */
  open(): void
}

export async function redisProxy(first: number): Promise<RedisProxy> {
  let port = first
  const subscribed = new Set<Socket>()
  const sockets = new Set<Socket>()
  let stopped = false
  const gate: GateState = { isHeld: () => false, held: 0, waiting: [] }
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
    const pass = throughGate(gate, (command) => void inside.write(command))
    outside.on('data', (chunk) => {
      if (/subscribe/i.test(chunk.toString('latin1'))) {
        subscribed.add(inside)
        if (stopped) inside.pause()
      }
      pass(chunk)
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
    hold(isHeld) {
      gate.isHeld = isHeld
      const pass = () => gate.waiting.shift()?.()
      return {
        held: () => gate.held,
        pass,
        open() {
          gate.isHeld = () => false
          while (gate.waiting.length > 0) pass()
        },
      }
    },
    move(to) {
      port = to
      for (const socket of sockets) socket.destroy()
    },
  }
}

interface GateState {
  isHeld: (words: readonly string[]) => boolean
  held: number
  /** What lets each of those go that wait. */
  readonly waiting: (() => void)[]
}

/** @returns what takes the bytes of one connection, and sends its commands, one by one, as they are let go */
function throughGate(gate: GateState, send: (command: Buffer) => void): (chunk: Buffer) => void {
  let rest: Buffer = Buffer.alloc(0)
  let isBlocked = false

  function sendOn(): void {
    while (!isBlocked) {
      const next = commandIn(rest.toString('latin1'))
      if (next === null) return
      const command = rest.subarray(0, next.length)
      rest = rest.subarray(next.length)
      if (gate.isHeld(next.words)) {
        isBlocked = true
        gate.held++
        gate.waiting.push(() => {
          isBlocked = false
          send(command)
          sendOn()
        })
      } else send(command)
    }
  }

  return (chunk) => {
    rest = Buffer.concat([rest, chunk])
    sendOn()
  }
}
