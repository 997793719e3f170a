import { setTimeout as wait } from 'node:timers/promises'
import type { ReplayMemory } from '@behalf/core'
import { functionAt, integerAt, membersOf, optional } from '@behalf/core/sink-kit'
import type { Connection } from './connection.js'
import { CONNECTION_MEMBERS, connectionSettings, type RedisConnectionOptions } from './connection-options.js'
import { evictionWarning } from './eviction-warning.js'
import { keepingProcess } from './keep-process.js'
import { keyPrefixOf } from './key-prefix.js'
import { keepConnected } from './link.js'
import { RedisReplayError, replayError } from './redis-replay-error.js'
import { keysOf, rememberedSince, useOnce } from './use-script.js'

/** Options of {@link redisReplay}. */
export interface RedisReplayOptions extends RedisConnectionOptions {
  /** What the names of all keys begin with, in braces: letters, digits, `_`, `-`, `.` and `:`. Default `behalf`. */
  readonly keyPrefix?: string
  /** The resource server's tolerance for clocks, in seconds: `ready()` waits twice as long after Redis has forgotten. Default 5. */
  readonly toleranceSeconds?: number
  /** Most uses that wait for answers at a time; further ones are refused. Default 10,000. */
  readonly maxPending?: number
  /** The clock of `ready()`: milliseconds since the epoch, as the resource server's. Default `Date.now`. */
  readonly now?: () => number
}

/** A {@link ReplayMemory} on Redis. `use()` and `ready()` reject with a {@link RedisReplayError}. */
export interface RedisReplay extends ReplayMemory {
  use(proof: Parameters<ReplayMemory['use']>[0]): Promise<boolean>
  /**
   * Resolves when uses of proofs that are made now can be judged: waits where Redis has just forgotten, for some 10 seconds, and rejects
   * at once where it cannot be reached, may drop keys, or is a replica.
   */
  ready(): Promise<void>
  /** Ends the connection at once; what waits for an answer is rejected. */
  close(): Promise<void>
}

const WHERE = 'redisReplay()'
const MEMBERS = [...CONNECTION_MEMBERS, 'keyPrefix', 'toleranceSeconds', 'maxPending', 'now']
const DEFAULT_TOLERANCE_SECONDS = 5
const MOST_TOLERANCE_SECONDS = 300
const DEFAULT_MAX_PENDING = 10_000
/** How often `ready()` asks again whether it has waited for long enough, at most, in milliseconds. */
const ASK_AGAIN_MILLISECONDS = 1_000

/**
 * Remembers used proofs in Redis, or Valkey: one atomic command for each of them. It refuses rather than guesses: while Redis is away,
 * full, a replica, or may evict keys, and for proofs that could have been used before Redis, or the data that it was started with,
 * began to remember. What it cannot see: two primaries at the same time, and a clock of Redis that jumps ahead.
 *
 * Connects at once, and again whenever the connection is lost; nothing is queued meanwhile, and nothing is sent twice. Give each
 * resource server its own: it closes it. An open connection does not keep a process running.
 *
 * @throws {ConfigError} where an option is not what it must be
 */
export function redisReplay(options: RedisReplayOptions): RedisReplay {
  const members = membersOf(options, WHERE, MEMBERS)
  const settings = connectionSettings(members, WHERE)
  const keys = keysOf(keyPrefixOf(members, WHERE))
  const toleranceSeconds = optional(
    members,
    'toleranceSeconds',
    WHERE,
    (value, at) => integerAt(value, at, 0, MOST_TOLERANCE_SECONDS),
    DEFAULT_TOLERANCE_SECONDS,
  )
  const maxPending = optional(members, 'maxPending', WHERE, (value, at) => integerAt(value, at, 1), DEFAULT_MAX_PENDING)
  const now = optional(members, 'now', WHERE, functionAt<() => number>, Date.now)
  const link = keepConnected(settings, evictionWarning(EVICTION, 'BEHALF_REPLAY_EVICTION'))
  let pending = 0
  let gettingReady: Promise<void> | null = null
  let closed = false

  /** Whatever goes wrong, in our own words; a replica is left for whoever is the primary by now. */
  function failure(error: unknown, connection?: Connection): RedisReplayError {
    const told = replayError(error)
    if (told.code === 'replica') connection?.close()
    return closed ? new RedisReplayError('closed') : told
  }

  async function sinceWhen(): Promise<number> {
    let connection: Connection | undefined
    try {
      connection = await link.opened()
      return await rememberedSince(connection, keys, now())
    } catch (error) {
      throw failure(error, connection)
    }
  }

  async function becomeReady(): Promise<void> {
    for (;;) {
      const left = millisecondsLeft(await sinceWhen(), now(), toleranceSeconds)
      if (left <= 0) return
      await wait(Math.min(left, ASK_AGAIN_MILLISECONDS))
    }
  }

  /** @throws {RedisReplayError} why nobody can be asked now */
  function connectionNow(): Connection {
    try {
      return link.connection()
    } catch (error) {
      throw failure(error)
    }
  }

  return {
    async use(proof) {
      const connection = connectionNow()
      if (pending >= maxPending) throw new RedisReplayError('busy')
      pending++
      try {
        return await useOnce(connection, keys, proof)
      } catch (error) {
        throw failure(error, connection)
      } finally {
        pending--
      }
    },
    ready() {
      gettingReady ??= keepingProcess(becomeReady).finally(() => {
        gettingReady = null
      })
      return gettingReady
    },
    async close() {
      closed = true
      link.close()
    },
  }
}

const EVICTION = 'this Redis may drop what it must remember of used proofs, so that no proof is accepted'

/** Until a proof that is made then, whose time is in whole seconds, could not have been used before the memory begins. */
function millisecondsLeft(since: number, now: number, toleranceSeconds: number): number {
  const madeAfter = since + 2 * toleranceSeconds * 1000
  return (Math.floor(madeAfter / 1000) + 1) * 1000 - now
}
