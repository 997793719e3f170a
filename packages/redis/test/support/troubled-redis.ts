/** Servers that are not what a replica of an API needs, and how a test sees what comes of it. */
import { expect, onTestFinished } from 'vitest'
import type { RedisServerUnderTest } from '../../../../test/support/redis-server.js'
import { newServer, POLL } from './replays.js'

/** Why something was refused by which a server is not reached. */
export const NOWHERE = /^(unreachable|unanswered)$/

/** A port at which nothing listens. */
export const NOBODY = 1

/** A server that is a replica from its beginning, of a primary which is there. */
export async function newReplica(readOnly: string): Promise<RedisServerUnderTest> {
  const primary = await newServer()
  return newServer({ settings: { replicaof: `127.0.0.1 ${primary.port}`, 'replica-read-only': readOnly } })
}

/** Two servers, of which one has what the other has. */
export async function pair(): Promise<{ primary: RedisServerUnderTest; replica: RedisServerUnderTest }> {
  const [primary, replica] = await Promise.all([newServer(), newServer()])
  await follow(replica, primary)
  return { primary, replica }
}

/** Makes a server a replica of another one, and waits until it has all of its data. */
export async function follow(replica: RedisServerUnderTest, primary: RedisServerUnderTest): Promise<void> {
  await replica.cli('replicaof', '127.0.0.1', String(primary.port))
  await expect.poll(() => replica.cli('info', 'replication'), POLL).toContain('master_link_status:up')
}

/** How often the server was asked something, by the name of the command: a way to see that something goes on. */
export async function timesAsked(server: RedisServerUnderTest, command: string): Promise<number> {
  const calls = new RegExp(`cmdstat_${command}:calls=(\\d+)`).exec(await server.cli('info', 'commandstats'))
  return Number(calls?.[1] ?? 0)
}

/** What the process is warned of from now on, until the test ends. */
export function heardWarnings(): readonly (Error & { readonly code?: string })[] {
  const warnings: Error[] = []
  const note = (warning: Error) => void warnings.push(warning)
  process.on('warning', note)
  onTestFinished(() => void process.off('warning', note))
  return warnings
}
