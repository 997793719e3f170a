import type { RevocationEntry } from '@behalf/core/sink-kit'
import type { Connection } from './connection.js'
import { RedisFailure } from './redis-failure.js'
import { RedisRevocationError } from './redis-revocation-error.js'
import { redisScript, runScript } from './redis-script.js'
import { entryOf, isEntryKey, wordsOf } from './revocation-entries.js'

/** Where a set is, in Redis. One hash tag for all of it: it is in one slot of a cluster. */
export interface RevocationKeys {
  /** A hash of all entries, and of what is known of them as a whole, so that they are lost together or not at all. */
  readonly entries: string
  /** A sorted set of their keys by the end of each. Only for making room. */
  readonly ends: string
  /** The channel on which every change is published. It names the database: channels are of all of them. */
  readonly channel: string
}

export function revocationKeys(prefix: string, database: number): RevocationKeys {
  const entries = `{${prefix}}:revoked`
  return { entries, ends: `${entries}:ends`, channel: `${entries}:${database}` }
}

/** What the server knows of the set as a whole. */
export interface SetState {
  /** Names the data: another one begins where the server may have lost something. */
  readonly epoch: string
  /** How many entries were added or changed so far. */
  readonly count: number
  /** For how long the epoch has gone on and nobody has said to know more, in milliseconds by the clock of the server. */
  readonly ageMilliseconds: number
}

/**
 * What every step begins with. The server must be a primary that drops nothing. `ARGV[1]`: the epoch in which it had all that whoever asks
 * knows, see `LocalCopy.home`; empty where that is not said.
 *
 * An epoch begins where the hash is missing, and where the history of the data (`master_replid`) is not the one it was written in: that
 * ends where a server starts, from whatever files, and where a replica becomes the primary. So does an epoch that is yet to come by the
 * server's clock: that was set back. Where whoever asks knows of another epoch, it may know more than the server does, and settling
 * begins anew.
 *
 * Then up to 100 entries that are past their time for a minute, by the server's clock, are removed.
 */
const BEGIN = `
local replication = redis.call('INFO', 'replication')
local history = string.match(replication, 'master_replid:(%w+)')
if not history or not string.find(replication, 'role:master', 1, true) then return 'replica' end
if string.match(redis.call('INFO', 'memory'), 'maxmemory_policy:(%S+)') ~= 'noeviction' then return 'eviction' end
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local known = redis.call('HMGET', KEYS[1], 'epoch', 'begun', 'count')
local epoch, begun, count = known[1], tonumber(known[2] or ''), tonumber(known[3] or '')
local function settleAnew()
  begun = now
  redis.call('HSET', KEYS[1], 'begun', string.format('%.0f', now))
end
if not epoch or not begun or begun > now or not count or string.sub(epoch, 1, #history + 1) ~= history .. ':' then
  epoch, begun, count = history .. ':' .. time[1] .. '.' .. time[2], now, count or 0
  redis.call('HSET', KEYS[1], 'epoch', epoch, 'begun', string.format('%.0f', begun), 'count', string.format('%.0f', count))
end
if ARGV[1] ~= '' and ARGV[1] ~= epoch then settleAnew() end
local ended = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', string.format('%.0f', now - 60000), 'LIMIT', 0, 100)
if #ended > 0 then
  redis.call('HDEL', KEYS[1], unpack(ended))
  redis.call('ZREM', KEYS[2], unpack(ended))
end
`

const LOOK = redisScript(`${BEGIN}
return { epoch, string.format('%.0f', count), string.format('%.0f', now - begun) }
`)

/**
 * `ARGV`, further: the channel, most entries, then key, end and time of each of up to 100. An entry that is there is joined with the given
 * one, as `joinedEntry` does. What that changes is published, with the epoch and the count. Where there is no room for all, nothing is
 * written. With an epoch they are written back: those that are removed by now are left out, and where that changes anything, it was
 * lost without another epoch, and more may have been.
 */
const ADD = redisScript(`${BEGIN}
local function later(one, other)
  if tonumber(one) >= tonumber(other) then return one end
  return other
end
local changed, ends, told, more = {}, {}, {}, 0
for at = 4, #ARGV, 3 do
  local key, keep, issued = ARGV[at], ARGV[at + 1], ARGV[at + 2]
  local old = redis.call('HGET', KEYS[1], key)
  local oldKeep, oldIssued = string.match(old or '', '^(%S+) (%S+)$')
  if oldKeep and tonumber(oldKeep) then
    keep = later(oldKeep, keep)
    if issued == '-' or oldIssued == '-' then issued = '-' else issued = later(oldIssued, issued) end
  end
  local removed = ARGV[1] ~= '' and tonumber(keep) <= now - 60000
  if keep .. ' ' .. issued ~= old and not removed then
    if not old then more = more + 1 end
    table.insert(changed, key)
    table.insert(changed, keep .. ' ' .. issued)
    table.insert(ends, keep)
    table.insert(ends, key)
    table.insert(told, key .. ' ' .. keep .. ' ' .. issued)
  end
end
if more > 0 and redis.call('HLEN', KEYS[1]) - 3 + more > tonumber(ARGV[3]) then return 'full' end
if #told > 0 then
  redis.call('HSET', KEYS[1], unpack(changed))
  redis.call('ZADD', KEYS[2], unpack(ends))
  count = redis.call('HINCRBY', KEYS[1], 'count', #told)
  if ARGV[1] ~= '' then settleAnew() end
  redis.call('PUBLISH', ARGV[2], epoch .. ' ' .. string.format('%.0f', count) .. ' ' .. table.concat(told, ' '))
end
return { epoch }
`)

/** About so many fields of the hash are read at a time: the server does nothing else meanwhile, for about a millisecond. */
const FIELDS_AT_A_TIME = 1_000

/**
 * Asks what the server knows of the set; where it has lost something, another epoch begins.
 * @param home the epoch in which it had all that is known here: where that is another one, settling begins anew. Empty: nothing is known
 */
export async function look(connection: Connection, { entries, ends }: RevocationKeys, home: string): Promise<SetState> {
  const answer = await runScript(connection, LOOK, [entries, ends], [home])
  if (!Array.isArray(answer)) throw failureOf(answer)
  const [epoch, count, age] = answer as readonly unknown[]
  const numbers = [Number(count), Number(age)] as const
  if (typeof epoch !== 'string' || !numbers.every(Number.isFinite)) throw new RedisFailure('refused')
  return { epoch, count: numbers[0], ageMilliseconds: numbers[1] }
}

/** Adds an entry, or joins it with the one that is there. @returns the epoch in which the server has it */
export function addEntry(
  connection: Connection,
  keys: RevocationKeys,
  entry: RevocationEntry,
  maxEntries: number,
): Promise<string> {
  return add(connection, keys, [entry], '', maxEntries)
}

/**
 * Gives back up to 100 entries that the server may have lost, all of them or none. It had room for each of them once, and is not asked
 * for it again: somebody relies on them.
 * @param home the epoch in which it had all that is known here; where that is another one, settling begins anew, also without any entry
 */
export async function giveBack(
  connection: Connection,
  keys: RevocationKeys,
  entries: readonly RevocationEntry[],
  home: string,
): Promise<void> {
  await add(connection, keys, entries, home, Number.MAX_SAFE_INTEGER)
}

async function add(
  connection: Connection,
  { entries, ends, channel }: RevocationKeys,
  added: readonly RevocationEntry[],
  home: string,
  maxEntries: number,
): Promise<string> {
  const words = [home, channel, String(maxEntries), ...added.flatMap(wordsOf)]
  const answer = await runScript(connection, ADD, [entries, ends], words)
  const [epoch] = Array.isArray(answer) ? (answer as readonly unknown[]) : []
  if (typeof epoch !== 'string') throw failureOf(answer)
  return epoch
}

/**
 * Reads all entries that are there from the beginning to the end of it; others perhaps, and some of them twice. Rejects with a
 * {@link RedisFailure} where one cannot be read: what it revokes is not known.
 * @param beside what is asked with each step
 */
export async function readEntries(
  connection: Connection,
  keys: RevocationKeys,
  take: (entry: RevocationEntry) => void,
  beside: () => Promise<unknown> | undefined,
): Promise<void> {
  let cursor = '0'
  do {
    const step = connection.send(['HSCAN', keys.entries, cursor, 'COUNT', String(FIELDS_AT_A_TIME)])
    const [answer] = await Promise.all([step, beside()])
    const [next, fields] = Array.isArray(answer) ? (answer as readonly unknown[]) : []
    if (typeof next !== 'string' || !Array.isArray(fields)) throw new RedisFailure('refused')
    for (let at = 0; at < fields.length; at += 2) takeField(String(fields[at]), String(fields[at + 1]), take)
    cursor = next
  } while (cursor !== '0')
}

function takeField(name: string, value: string, take: (entry: RevocationEntry) => void): void {
  if (!isEntryKey(name)) return // of the set as a whole
  const [keepUntil = '', issuedUntil = '', ...rest] = value.split(' ')
  const entry = rest.length === 0 ? entryOf(name, keepUntil, issuedUntil) : null
  if (entry === null) throw new RedisFailure('refused')
  take(entry)
}

/** What was published. */
export interface Change {
  readonly epoch: string
  /** How many entries had been added or changed before. */
  readonly before: number
  /** And with these. */
  readonly count: number
  readonly entries: readonly RevocationEntry[]
}

/** @returns `null` where the message is none of ours. What it should have told is missed then, and that is seen by the count. */
export function changeOf(message: string): Change | null {
  const [epoch = '', countText = '', ...words] = message.split(' ')
  const count = Number(countText)
  if (epoch === '' || !Number.isSafeInteger(count) || words.length === 0) return null
  const entries: RevocationEntry[] = []
  for (let at = 0; at < words.length; at += 3) {
    const entry = entryOf(words[at] ?? '', words[at + 1] ?? '', words[at + 2] ?? '')
    if (entry === null) return null
    entries.push(entry)
  }
  return { epoch, before: count - entries.length, count, entries }
}

function failureOf(answer: unknown): Error {
  if (answer === 'full') return new RedisRevocationError('max_entries')
  return new RedisFailure(answer === 'replica' || answer === 'eviction' ? answer : 'refused')
}
