import { type Moment, monotonicBeside, type RevocationEntry, SteadyClock } from '@behalf/core/sink-kit'
import { ChangeCount } from './change-count.js'
import type { Connection } from './connection.js'
import type { Link } from './link.js'
import type { LocalCopy } from './local-copy.js'
import { RedisRevocationError, revocationError } from './redis-revocation-error.js'
import { changeOf, look, type RevocationKeys, readEntries } from './revocation-script.js'
import { writeBack } from './write-back.js'

/** What is followed, and how. */
export interface FollowerSettings {
  readonly commands: Link
  /** A connection of its own: what is subscribed there can send nothing else. */
  readonly subscription: Link
  readonly keys: RevocationKeys
  readonly copy: LocalCopy
  readonly heartbeatMilliseconds: number
  readonly settleMilliseconds: number
  readonly now: () => number
}

/** Keeps a copy of a shared set up to date, and knows as of when it certainly is. */
export interface Follower {
  /**
   * As of when the copy held everything that was added by anybody, by the clock as it goes now; `-Infinity`: it was never certain.
   * @param time what the clock shows
   */
  wholeAt(time: number): number
  /** Resolves when that is certain the next time. Rejects with a `RedisRevocationError` where it cannot be found out. */
  whole(): Promise<void>
  stop(): void
}

/** One connection for commands and one subscription, and what was read and heard since both are there. */
interface Session {
  readonly commands: Connection
  readonly subscription: Connection
  readonly changes: ChangeCount
}

/** What Redis certainly has in an epoch, as long as that is asked. */
interface Reading {
  /** Empty: that is not known yet. */
  epoch: string
  there: Map<string, RevocationEntry> | null
}

/** Shortest pause before everything is read anew, in milliseconds; it doubles with each attempt after which nothing is certain. */
const BACK_OFF_FIRST_MILLISECONDS = 50
const BACK_OFF_MOST_MILLISECONDS = 2_000

/**
 * One heartbeat after the other. Each asks the server for the number of all changes, and then the subscription for a sign of life. Redis
 * does one thing at a time, and writes to each connection in that order: with that sign, every message has come that was published
 * before the number was told. Where it fits, everything is known that was acknowledged before the question was sent.
 *
 * Whatever does not fit, or is not answered, ends the session: the subscription is made anew, on another connection, then everything is
 * read, and what this replica knows and Redis does not is written back.
 *
 * With each question it says in which epoch Redis had all that is known here. Where that is another one, all others wait from then on until
 * `settleSeconds` after it was written back.
 */
export function follow(settings: FollowerSettings): Follower {
  const { keys, copy, now } = settings
  let session: Session | null = null
  const steady = new SteadyClock(monotonicBeside(now))
  let wholeAt: Moment | null = null
  /** How often everything was read since the last time that everything fitted. */
  let attempts = 0
  let stopped = false
  let timer: NodeJS.Timeout | undefined
  let next = nextBeat()

  async function begin(commands: Connection, subscription: Connection): Promise<Session> {
    attempts++
    const changes = new ChangeCount()
    const there = new Map<string, RevocationEntry>()
    const reading: Reading = { epoch: '', there }
    await subscription.subscribe(keys.channel, (message) => hear(message, changes, reading))
    const { epoch, count } = await look(commands, keys, copy.home)
    changes.reading(epoch, count)
    reading.epoch = epoch
    const failure = await read(commands, epoch, there).then(() => null, revocationError)
    // What others wait for is given to them, also where this replica cannot know what else there is.
    if (failure === null || copy.mayExceed(epoch)) {
      const isComplete = await writeBack({ commands, keys, copy, epoch, there, now })
      if (isComplete && !changes.strayed) copy.isIn(epoch)
    }
    reading.there = null
    if (failure !== null) throw failure
    return { commands, subscription, changes }
  }

  async function read(commands: Connection, epoch: string, there: Map<string, RevocationEntry>): Promise<void> {
    let isFull = false
    const take = (entry: RevocationEntry) => {
      there.set(entry.key, entry)
      isFull = !copy.take(entry, epoch) || isFull
    }
    const mention = () => (copy.mayExceed(epoch) ? look(commands, keys, copy.home) : undefined)
    await readEntries(commands, keys, take, mention)
    if (isFull) throw new RedisRevocationError('copy_full')
  }

  function hear(message: string, changes: ChangeCount, { epoch, there }: Reading): void {
    const change = changeOf(message)
    if (change === null) return
    for (const entry of change.entries) {
      if (change.epoch === epoch) there?.set(entry.key, entry)
      if (!copy.take(entry, change.epoch)) changes.miss()
    }
    changes.heard(change.epoch, change.before, change.count)
  }

  /** @returns whether everything was known when it began */
  async function beat(): Promise<boolean> {
    const [commands, subscription] = await Promise.all([settings.commands.opened(), settings.subscription.opened()])
    try {
      const answer = await compare(commands, subscription)
      if (answer === 'missed') subscription.close()
      else attempts = 0
      return answer === 'whole'
    } catch (error) {
      const failure = revocationError(error)
      if (failure.reason === 'replica') commands.close() // for whoever is the primary by now
      subscription.close()
      throw failure
    }
  }

  async function compare(commands: Connection, subscription: Connection): Promise<'missed' | 'settling' | 'whole'> {
    const last = session
    session = null
    if (last !== null && (last.commands !== commands || last.subscription !== subscription)) return 'missed'
    const current = last ?? (await begin(commands, subscription))
    const asked = steady.moment(now())
    const { epoch, count, ageMilliseconds } = await look(commands, keys, copy.home)
    await subscription.send(['PING'])
    if (!current.changes.holds(epoch, count)) return 'missed'
    session = current
    // Where Redis has just lost something, others may know it, and be about to write it back, or still at it.
    if (ageMilliseconds < settings.settleMilliseconds) return 'settling'
    wholeAt = asked
    return 'whole'
  }

  async function run(): Promise<void> {
    const outcome = await beat().catch(revocationError)
    if (stopped) return
    const told = next
    next = nextBeat()
    if (typeof outcome === 'boolean') told.resolve(outcome)
    else told.reject(outcome)
    timer = setTimeout(run, pause(outcome)).unref()
  }

  function pause(outcome: boolean | Error): number {
    if (session !== null && typeof outcome === 'boolean') return settings.heartbeatMilliseconds
    const most = Math.min(BACK_OFF_MOST_MILLISECONDS, BACK_OFF_FIRST_MILLISECONDS * 2 ** attempts)
    return most * (0.5 + Math.random() / 2) // replicas must not all read at one moment
  }

  run()
  return {
    wholeAt(time) {
      if (wholeAt === null) return Number.NEGATIVE_INFINITY
      // A clock that was set back makes nothing younger.
      return Math.min(wholeAt.clock, time - (steady.at(time) - wholeAt.steady))
    },
    async whole() {
      while (!(await next.promise)) {}
    },
    stop() {
      stopped = true
      clearTimeout(timer)
      next.reject(new RedisRevocationError('closed'))
    },
  }
}

/** What the heartbeat under way will find. */
function nextBeat() {
  let resolve: (whole: boolean) => void = () => {}
  let reject: (why: Error) => void = () => {}
  const promise = new Promise<boolean>((yes, no) => {
    resolve = yes
    reject = no
  })
  promise.catch(() => {}) // perhaps nobody waits for it
  return { promise, resolve, reject }
}
