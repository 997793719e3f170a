import { hash } from 'node:crypto'
import { ErrorReply } from '@redis/client'
import type { Connection } from './connection.js'

/** One step on the server, in Lua: it runs nothing else meanwhile. */
export interface RedisScript {
  readonly text: string
  /** By which a server knows it that has run it before. */
  readonly digest: string
}

export function redisScript(text: string): RedisScript {
  return Object.freeze({ text, digest: hash('sha1', text) })
}

/** By its digest; a server that does not know it, after a start, has done nothing yet and is told the whole. */
export async function runScript(
  connection: Connection,
  { text, digest }: RedisScript,
  keys: readonly string[],
  values: readonly string[],
): Promise<unknown> {
  const rest = [String(keys.length), ...keys, ...values]
  try {
    return await connection.send(['EVALSHA', digest, ...rest])
  } catch (error) {
    if (!(error instanceof ErrorReply) || !error.message.startsWith('NOSCRIPT')) throw error
    return connection.send(['EVAL', text, ...rest])
  }
}
