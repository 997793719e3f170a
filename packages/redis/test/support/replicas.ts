import { fork } from 'node:child_process'
import { once } from 'node:events'
import { Agent, request } from 'node:http'
import { fileURLToPath } from 'node:url'
import type { JwkSet } from '@behalf/core'
import { onTestFinished } from 'vitest'

const PROGRAM = fileURLToPath(new URL('api-child.mjs', import.meta.url))

/** What a replica is. */
export interface ReplicaSettings {
  /** Of Redis. */
  readonly url: string
  readonly issuer: string
  readonly audience: string
  readonly jwks: JwkSet
  /** What clients call it. */
  readonly origin: string
  readonly proofSeconds: number
}

/** Starts an API in a process of its own, which ends with the test. @returns the port where it listens, once it is ready */
export async function startReplica(settings: ReplicaSettings): Promise<number> {
  const child = fork(PROGRAM, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
  onTestFinished(() => void child.kill('SIGKILL'))
  child.send(settings)
  const ended = once(child, 'exit').then(([code]) => {
    throw new Error(`a replica ended with code ${code}`)
  })
  const [{ port }] = (await Promise.race([once(child, 'message'), ended])) as [{ port: number }]
  ended.catch(() => {})
  return port
}

/**
 * Sends one request again and again, to one replica after the other.
 * @returns how often each answer came: status, and code of the problem
 */
export async function sendAll(
  ports: readonly number[],
  path: string,
  headers: Readonly<Record<string, string>>,
  { uses, concurrency }: { readonly uses: number; readonly concurrency: number },
): Promise<Map<string, number>> {
  const agent = new Agent({ keepAlive: true, maxSockets: Math.ceil(concurrency / ports.length) })
  const counts = new Map<string, number>()
  let sent = 0
  const worker = async () => {
    while (sent < uses) {
      const outcome = await send(agent, ports[sent++ % ports.length] ?? 0, path, headers)
      counts.set(outcome, (counts.get(outcome) ?? 0) + 1)
    }
  }
  await Promise.all(Array.from({ length: concurrency }, worker))
  agent.destroy()
  return counts
}

function send(agent: Agent, port: number, path: string, headers: Readonly<Record<string, string>>): Promise<string> {
  return new Promise((resolve, reject) => {
    const outgoing = request({ agent, host: '127.0.0.1', port, path, headers }, (incoming) => {
      let text = ''
      incoming.setEncoding('utf8').on('data', (part: string) => {
        text += part
      })
      incoming.on('error', reject).on('end', () => {
        const { code } = JSON.parse(text) as { code?: string }
        resolve(`${incoming.statusCode}${code === undefined ? '' : ` ${code}`}`)
      })
    })
    outgoing.on('error', reject).end()
  })
}
