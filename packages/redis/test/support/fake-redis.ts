import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { onTestFinished } from 'vitest'

/** A server that speaks the protocol of Redis, and answers what the test says, when the test says it. Ends with the test. */
export interface FakeRedis {
  readonly url: string
  /** What it was asked and has not answered yet, in the order in which it came; what every connection begins with is answered by itself. */
  next(): Promise<Question>
  /** Says something on all connections with a subscription. */
  publish(message: string): void
  /** Ends all connections with a subscription, or all others. */
  end(kind: 'subscribed' | 'others'): void
}

/** A command, by its name and first words. */
export interface Question {
  readonly words: readonly string[]
  /** Answers with protocol text, see {@link bulk} and {@link list}. */
  answer(text: string): void
}

export function bulk(text: string): string {
  return `$${Buffer.byteLength(text)}\r\n${text}\r\n`
}

export function list(...items: readonly string[]): string {
  return `*${items.length}\r\n${items.join('')}`
}

/** What every connection is asked first. */
const INFOS: Readonly<Record<string, string>> = { memory: 'maxmemory_policy:noeviction', replication: 'role:master' }

export async function fakeRedis(): Promise<FakeRedis> {
  const questions: Question[] = []
  const waiting: ((question: Question) => void)[] = []
  const sockets = new Set<Socket>()
  const subscribed = new Map<Socket, string>()
  const server = createServer((socket) => {
    let rest = ''
    sockets.add(socket)
    socket.on('error', () => {}).on('close', () => sockets.delete(socket))
    socket.on('data', (chunk) => {
      rest += chunk.toString('latin1')
      for (;;) {
        const parsed = commandIn(rest)
        if (parsed === null) return
        rest = rest.slice(parsed.length)
        take(socket, parsed.words)
      }
    })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    server.close()
    for (const socket of sockets) socket.destroy()
  })

  function take(socket: Socket, words: readonly string[]): void {
    const [name = '', first = ''] = words
    if (name === 'INFO') {
      socket.write(bulk(INFOS[first] ?? ''))
      return
    }
    const answer = (text: string) => {
      if (name.toLowerCase() === 'subscribe') subscribed.set(socket, first)
      socket.write(text)
    }
    const question = { words, answer }
    const waiter = waiting.shift()
    if (waiter === undefined) questions.push(question)
    else waiter(question)
  }

  return {
    url: `redis://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async next() {
      return questions.shift() ?? (await new Promise((resolve) => waiting.push(resolve)))
    },
    publish(message) {
      for (const [socket, channel] of subscribed) socket.write(list(bulk('message'), bulk(channel), bulk(message)))
    },
    end(kind) {
      for (const socket of sockets) if (subscribed.has(socket) === (kind === 'subscribed')) socket.destroy()
    },
  }
}

/** The first command of a text, a list of texts; `null` where it is not whole yet. */
export function commandIn(text: string): { words: readonly string[]; length: number } | null {
  const count = /^\*(\d+)\r\n/.exec(text)
  if (count === null) return null
  let at = count[0].length
  const words: string[] = []
  for (let index = 0; index < Number(count[1]); index++) {
    const head = /^\$(\d+)\r\n/.exec(text.slice(at, at + 32))
    if (head === null) return null
    const begin = at + head[0].length
    at = begin + Number(head[1]) + 2
    if (text.length < at) return null
    words.push(text.slice(begin, at - 2))
  }
  return { words, length: at }
}
