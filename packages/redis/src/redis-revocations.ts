import {
  ConfigError,
  functionAt,
  integerAt,
  membersOf,
  optional,
  type RevocationEntry,
  type RevocationSet,
} from '@behalf/core/sink-kit'
import type { Connection } from './connection.js'
import { CONNECTION_MEMBERS, connectionSettings, type RedisConnectionOptions } from './connection-options.js'
import { evictionWarning } from './eviction-warning.js'
import { keepingProcess } from './keep-process.js'
import { keyPrefixOf } from './key-prefix.js'
import { keepConnected } from './link.js'
import { LocalCopy } from './local-copy.js'
import { RedisRevocationError, revocationError } from './redis-revocation-error.js'
import { assertEntry } from './revocation-entries.js'
import { follow } from './revocation-follower.js'
import { addEntry, revocationKeys } from './revocation-script.js'

/** Options of {@link redisRevocations}. */
export interface RedisRevocationsOptions extends RedisConnectionOptions {
  /** What the names of all keys begin with, in braces: letters, digits, `_`, `-`, `.` and `:`. Default `behalf`. */
  readonly keyPrefix?: string
  /**
   * Most entries of the whole set, the same on every replica; a full one refuses new ones. Each takes some 300 bytes of Redis, and 400 of
   * every replica. Default 100,000.
   */
  readonly maxEntries?: number
  /** Pause between heartbeats, each of which makes sure that nothing was missed, in milliseconds. Default 200. */
  readonly heartbeatMilliseconds?: number
  /**
   * How long nobody believes a Redis that has lost what it knew, or is used for the first time, in seconds: so long the other replicas
   * have to say that they know more. From when one of them has last said so, until it has written all of it back. At least two
   * heartbeats, or 0: for an API without replicas. Default 5.
   */
  readonly settleSeconds?: number
  /** The clock of the resource server, in milliseconds since the epoch. Default `Date.now`. */
  readonly now?: () => number
}

/** A {@link RevocationSet} on Redis. `add()` and `ready()` reject with a {@link RedisRevocationError}. */
export interface RedisRevocations extends RevocationSet {
  /**
   * Resolves when Redis has the entry and so has this object. Where it rejects with the code `full`, nothing was revoked; with
   * `unavailable` that is not known: revoke again. Nothing is sent later, and nothing twice.
   * @throws {ConfigError} where the entry is not as `revocationKey()` and `revoke()` make them
   */
  add(entry: RevocationEntry): Promise<void>
  /**
   * Resolves when the set can be believed: waits while it is read and where Redis has just forgotten, and rejects at once where it cannot
   * be reached, may drop keys, or is a replica.
   */
  ready(): Promise<void>
  /** Ends the connections at once; what waits for an answer is rejected. What is known stays known, and gets older. */
  close(): Promise<void>
}

const WHERE = 'redisRevocations()'
const MEMBERS = [...CONNECTION_MEMBERS, 'keyPrefix', 'maxEntries', 'heartbeatMilliseconds', 'settleSeconds', 'now']
const DEFAULT_MAX_ENTRIES = 100_000
/** A copy is a `Map`: more than it can hold would fail later. */
const MOST_ENTRIES = 2 ** 24 - 1
const DEFAULT_HEARTBEAT_MILLISECONDS = 200
const MOST_HEARTBEAT_MILLISECONDS = 60_000
const DEFAULT_SETTLE_SECONDS = 5
const MOST_SETTLE_SECONDS = 300
/** Most entries that wait for their answers at a time. */
const MOST_PENDING = 10_000

/**
 * What is revoked, for all replicas of an API that share a Redis, or Valkey. Every replica has a copy, hears of each entry as soon as
 * Redis has it, and asks several times per second whether it has missed any. It says that it is not up to date rather than guess: while
 * Redis is away, hangs, is a replica or may evict keys, while the subscription is lost, and until everything was read after that. What
 * Redis has lost, replicas that know it write back. What cannot be seen: two primaries at the same time, and what Redis and every
 * replica have lost together.
 *
 * Connects at once, with two connections, and again whenever one is lost. Give each resource server its own: it closes it. Open
 * connections do not keep a process running. Entries hold hashes, and no identifier in clear.
 *
 * @throws {ConfigError} where an option is not what it must be
 */
export function redisRevocations(options: RedisRevocationsOptions): RedisRevocations {
  const members = membersOf(options, WHERE, MEMBERS)
  const settings = connectionSettings(members, WHERE)
  const keys = revocationKeys(keyPrefixOf(members, WHERE), settings.database)
  const maxEntries = integerOf('maxEntries', 1, MOST_ENTRIES, DEFAULT_MAX_ENTRIES)
  const heartbeatMilliseconds = integerOf('heartbeatMilliseconds', 1, MOST_HEARTBEAT_MILLISECONDS, DEFAULT_HEARTBEAT_MILLISECONDS)
  const settleMilliseconds = 1_000 * integerOf('settleSeconds', 0, MOST_SETTLE_SECONDS, DEFAULT_SETTLE_SECONDS)
  if (settleMilliseconds > 0 && settleMilliseconds < 2 * heartbeatMilliseconds) {
    throw new ConfigError(
      `${WHERE}.settleSeconds must be 0, or twice heartbeatMilliseconds or more: others would believe a Redis that has lost something before this replica has noticed`,
    )
  }
  const now = optional(members, 'now', WHERE, functionAt<() => number>, Date.now)

  function integerOf(name: string, least: number, most: number, otherwise: number): number {
    return optional(members, name, WHERE, (value, at) => integerAt(value, at, least, most), otherwise)
  }

  const warn = evictionWarning(EVICTION, 'BEHALF_REVOCATION_EVICTION')
  const commands = keepConnected(settings, warn)
  const subscription = keepConnected(settings, warn)
  const copy = new LocalCopy(maxEntries, now)
  const follower = follow({
    ...{ commands, subscription, keys, copy, heartbeatMilliseconds, settleMilliseconds, now },
  })
  let pending = 0
  let closed = false

  /** @returns the epoch in which it is there */
  async function addToRedis(entry: RevocationEntry): Promise<string> {
    let connection: Connection | undefined
    try {
      connection = await commands.opened()
      return await addEntry(connection, keys, entry, maxEntries)
    } catch (error) {
      const failure = revocationError(error)
      if (failure.reason === 'replica') connection?.close() // for whoever is the primary by now
      throw closed ? new RedisRevocationError('closed') : failure
    }
  }

  return {
    get version() {
      return copy.version
    },
    async add(entry) {
      assertEntry(entry)
      if (pending >= MOST_PENDING) throw new RedisRevocationError('busy')
      pending++
      const added = keepingProcess(() => addToRedis(entry))
      const epoch = await added.finally(() => pending--)
      if (!copy.take(entry, epoch)) throw new RedisRevocationError('copy_full')
    },
    find: (key) => copy.find(key),
    wholeAt: (time) => Math.min(follower.wholeAt(time), copy.wholeAt(time)),
    ready: () => keepingProcess(() => follower.whole()),
    async close() {
      closed = true
      follower.stop()
      commands.close()
      subscription.close()
    },
  }
}

const EVICTION = 'this Redis may drop what it must remember of revocations, so that none of it is believed'
