import { Agent, request } from 'node:http'

/** One request of a load. */
export interface LoadRequest {
  /** Stands in `X-Request-Id`. */
  readonly id: string
  readonly path: string
  readonly token: string | null
  /** How long the handler waits before it answers, in milliseconds. */
  readonly waitMilliseconds: number
}

/** What came of a load so far. */
export interface Load {
  /** Ids by the status of their answer. */
  readonly answered: ReadonlyMap<number, readonly string[]>
  /** Answers of any kind. */
  readonly answers: number
  /** Resolves when so many answers have come, or the load has ended. */
  until(answers: number): Promise<void>
  /** Asks nothing more; resolves when nothing is under way. */
  stop(): Promise<void>
}

/** Keeps so many requests under way, over connections that stay open, until it is stopped or the server is gone. */
export function startLoad(port: number, concurrency: number, next: () => LoadRequest): Load {
  const agent = new Agent({ keepAlive: true, maxSockets: concurrency })
  const answered = new Map<number, string[]>()
  let waiting: { readonly answers: number; readonly resolve: () => void }[] = []
  let answers = 0
  let stopped = false

  function release(all: boolean): void {
    const done = waiting.filter((each) => all || answers >= each.answers)
    waiting = waiting.filter((each) => !done.includes(each))
    for (const { resolve } of done) resolve()
  }

  async function ask(): Promise<void> {
    while (!stopped) {
      const each = next()
      const status = await statusOf(agent, port, each).catch(() => null)
      if (status === null) break // the server is gone
      const known = answered.get(status)
      if (known === undefined) answered.set(status, [each.id])
      else known.push(each.id)
      answers++
      release(false)
    }
  }

  const ended = Promise.all(Array.from({ length: concurrency }, ask)).then(() => {
    release(true)
    agent.destroy()
    stopped = true
  })
  return {
    answered,
    get answers() {
      return answers
    },
    until: (count) =>
      answers >= count || stopped ? Promise.resolve() : new Promise((resolve) => waiting.push({ answers: count, resolve })),
    stop() {
      stopped = true
      return ended
    },
  }
}

/** Status of the answer, once all of it was read. */
function statusOf(agent: Agent, port: number, { id, path, token, waitMilliseconds }: LoadRequest): Promise<number> {
  const headers = {
    'x-request-id': id,
    'x-wait': String(waitMilliseconds),
    ...(token !== null && { authorization: `Bearer ${token}` }),
  }
  return new Promise((resolve, reject) => {
    const sent = request({ agent, host: '127.0.0.1', port, path, headers }, (response) => {
      response.resume()
      response.once('end', () => resolve(response.statusCode ?? 0))
      response.once('error', reject)
      response.once('close', () => reject(new Error('the connection was cut')))
    })
    sent.once('error', reject)
    sent.end()
  })
}
