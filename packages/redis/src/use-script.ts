import type { Connection } from './connection.js'
import { RedisReplayError } from './redis-replay-error.js'
import { redisScript, runScript } from './redis-script.js'

/**
 * `KEYS[1]`: where the memory says since when it remembers, and of which history of data. A history (`master_replid`) ends, and another
 * one begins, where a server starts, or where a replica becomes the primary: data of another history may have lost something. Without
 * that key everything is lost. Then the memory begins anew, now.
 *
 * `KEYS[2]`: the use; left out, only the beginning is asked for. `ARGV`: now; the earliest time at which the proof could have been
 * used; how long it has to be remembered. Milliseconds, and since the epoch. They are kept as texts: Lua would round them.
 */
const SCRIPT = redisScript(`
local state = redis.call('INFO', 'replication')
local history = string.match(state, 'master_replid:(%w+)')
if not history or not string.find(state, 'role:master', 1, true) then return 'replica' end
local known, since = string.match(redis.call('GET', KEYS[1]) or '', '^(%w+):(%d+)$')
if known ~= history then
  if not since or tonumber(since) < tonumber(ARGV[1]) then since = ARGV[1] end
  redis.call('SET', KEYS[1], history .. ':' .. since)
end
if not KEYS[2] then return since end
if tonumber(ARGV[2]) <= tonumber(since) then return 'forgotten' end
if redis.call('SET', KEYS[2], '1', 'NX', 'PX', ARGV[3]) then return 'first' end
return 'seen'
`)

/** Milliseconds beyond the time that is needed while every clock is right: one of them may be set back, or Redis be reached late. */
const REMEMBERED_LONGER = 60_000

/** Where the keys of a memory are. One hash tag for all of them: they are in one slot of a cluster. */
export interface Keys {
  readonly memory: string
  use(id: string): string
}

export function keysOf(prefix: string): Keys {
  return { memory: `{${prefix}}`, use: (id) => `{${prefix}}:${id}` }
}

/** Takes note of a use, where it can be judged. @returns whether it is the first one. Rejects with the client's error, or a {@link RedisReplayError} */
export async function useOnce(
  connection: Connection,
  keys: Keys,
  { id, acceptableFrom, acceptableUntil, now }: { id: string; acceptableFrom: number; acceptableUntil: number; now: number },
): Promise<boolean> {
  const times = [now, acceptableFrom, Math.max(1, acceptableUntil - now) + REMEMBERED_LONGER].map((time) =>
    String(Math.ceil(time)),
  )
  const answer = await runScript(connection, SCRIPT, [keys.memory, keys.use(id)], times)
  if (answer === 'first') return true
  if (answer === 'seen') return false
  throw new RedisReplayError(answer === 'forgotten' || answer === 'replica' ? answer : 'refused')
}

/** Since when the memory remembers, in milliseconds since the epoch; where it has to begin anew, it begins now. */
export async function rememberedSince(connection: Connection, keys: Keys, now: number): Promise<number> {
  const answer = await runScript(connection, SCRIPT, [keys.memory], [String(Math.ceil(now))])
  if (answer === 'replica') throw new RedisReplayError('replica')
  if (!/^\d+$/.test(String(answer))) throw new RedisReplayError('refused')
  return Number(answer)
}
