import { AuthError } from '../errors.js'
import { BackOff } from '../keys/back-off.js'
import { type Fetch, FetchError, stopIfOver, withinTime } from '../keys/fetch-json.js'
import { type Moment, monotonicBeside, SteadyClock } from '../steady-clock.js'
import type { Eventual } from '../thenable.js'
import { fetchList } from './fetch-list.js'
import { type ListPolicy, type ProvenList, proveList } from './list-token.js'
import type { Statuses } from './statuses.js'

/** What a status list at a URL needs from outside. */
export interface RemoteListOptions extends ListPolicy {
  readonly fetch: Fetch
  /** From 0 to 1: spreads refreshes and pauses. */
  readonly random: () => number
  /** Refuses an address that must not be asked, by a {@link FetchError}; `null`: every address may be. */
  readonly screen: ((url: string) => Promise<void>) | null
  /** How long past its time a list serves while it cannot be read. */
  readonly staleSeconds: number
  /** Aborted: nothing is read in the background any more. */
  readonly closed: AbortSignal
}

/** A list, and for how long it serves, in milliseconds since it was asked for: also where the clock was set back under it. */
interface KeptList {
  readonly proven: ProvenList
  readonly readAt: Moment
  /** After that it is read anew in the background. */
  readonly refreshAfter: number
  readonly freshFor: number
  /** While it cannot be read. */
  readonly servesFor: number
  /** Its own end, in milliseconds since the epoch. */
  readonly end: number
}

/** A refresh begins up to this part of its time early. */
const JITTER = 0.1

/**
 * The status list at one URL: one fetch at a time, shared by all who wait. A fresh list answers at once, and is read anew in the
 * background before its time is over. Past its time it serves only while it cannot be read, as long as the application lets it, and never
 * past its own `exp`. The list that was read last stays until a newer one was read whole, and proved.
 */
export class RemoteList {
  readonly #uri: string
  readonly #options: RemoteListOptions
  readonly #backOff: BackOff
  /** Called when a list was read. */
  readonly #changed: (list: RemoteList) => void
  readonly #steady: SteadyClock
  #kept: KeptList | null = null
  #fetching: Promise<FetchError | null> | null = null
  /** Why the last fetch failed, `null` where it did not. */
  #failure: FetchError | null = null

  constructor(uri: string, options: RemoteListOptions, changed: (list: RemoteList) => void) {
    const { limits, random, now } = options
    this.#uri = uri
    this.#steady = new SteadyClock(monotonicBeside(now))
    this.#options = options
    this.#backOff = new BackOff(limits.backOffFirstSeconds, limits.backOffMostSeconds, random)
    this.#changed = changed
  }

  /** Memory that the list takes, in bytes. */
  get bytes(): number {
    return this.#kept?.proven.statuses.bytes.byteLength ?? 0
  }

  /**
   * The statuses; a promise only where they have to be read first.
   * @throws {AuthError} `revocation_unavailable`
   */
  read(): Eventual<Statuses> {
    const now = this.#now()
    const kept = this.#usable(now)
    if (kept === null) return this.#needed(now.clock)
    const age = now.steady - kept.readAt.steady
    if (age >= kept.freshFor) return this.#pauses(now.clock) ? kept.proven.statuses : this.#newer()
    if (age >= kept.refreshAfter) this.#refreshSoon(now.clock)
    return kept.proven.statuses
  }

  /** What is kept, as far as it may serve: its time is not over, and its key still one of the issuer's. A clock that was set back says nothing of it. */
  #usable({ clock, steady }: Moment): KeptList | null {
    const kept = this.#kept
    if (kept === null || clock < kept.readAt.clock || clock >= kept.end) return null
    if (steady - kept.readAt.steady >= kept.servesFor) return null
    const { kid, algorithm, thumbprint } = kept.proven
    return this.#options.keys.latest?.find(kid, algorithm)?.thumbprint === thumbprint ? kept : null
  }

  /** A newer list in place of one past its time, which serves only where reading has failed just now. */
  async #newer(): Promise<Statuses> {
    const failure = await (this.#fetching ?? this.#fetch())
    const now = this.#now()
    const serving = failure === null ? this.#kept : this.#usable(now)
    if (serving === null) throw this.#unavailable(failure, now.clock)
    return serving.proven.statuses
  }

  /** A list where there is none that may serve: asked for unless its server has just failed. */
  async #needed(now: number): Promise<Statuses> {
    if (this.#pauses(now)) throw this.#unavailable(this.#failure, now)
    const failure = await (this.#fetching ?? this.#fetch())
    if (failure !== null || this.#kept === null) throw this.#unavailable(failure, this.#options.now())
    return this.#kept.proven.statuses
  }

  /** In the background: nobody waits, and a failure only lengthens the pause. */
  #refreshSoon(now: number): void {
    if (this.#fetching === null && !this.#pauses(now) && !this.#options.closed.aborted) void this.#fetch()
  }

  /** The server has just failed, and is left alone for a while. */
  #pauses(now: number): boolean {
    return this.#fetching === null && this.#backOff.waitMilliseconds(now) > 0
  }

  /** One fetch for all who wait; never rejects. */
  #fetch(): Promise<FetchError | null> {
    const fetching = this.#load().finally(() => {
      this.#fetching = null
    })
    this.#fetching = fetching
    return fetching
  }

  async #load(): Promise<FetchError | null> {
    const { now, limits } = this.#options
    const startedAt = this.#now()
    try {
      const { proven, freshSeconds } = await withinTime(limits.fetchTotalMilliseconds, (signal) => this.#readAnew(signal))
      // Otherwise whoever answers for the issuer's server could take a revocation back with a list of last week.
      if (this.#kept !== null && proven.issuedAt < this.#kept.proven.issuedAt) {
        throw new FetchError('the status list is older than the one that was read before')
      }
      this.#kept = this.#timed(proven, startedAt, freshSeconds)
      this.#failure = null
      this.#backOff.succeeded()
      this.#changed(this)
      return null
    } catch (error) {
      // A library's error can quote the answer it could not read: only our own fixed texts go on.
      this.#failure = error instanceof FetchError ? error : new FetchError('the status list could not be read')
      this.#backOff.failed(now())
      return this.#failure
    }
  }

  async #readAnew(signal: AbortSignal): Promise<{ readonly proven: ProvenList; readonly freshSeconds: number | null }> {
    const { fetch, limits, screen } = this.#options
    await screen?.(this.#uri)
    stopIfOver(signal)
    const { unverifiedText, freshSeconds } = await fetchList(this.#uri, fetch, limits, limits.statusListBytes, signal)
    return { proven: await proveList(unverifiedText, this.#uri, this.#options), freshSeconds }
  }

  /** What the list says of its time comes before what its server says (section 8.2); within our bounds, and up to its `exp`. */
  #timed(proven: ProvenList, readAt: Moment, serverSeconds: number | null): KeptList {
    const { limits, random, staleSeconds, toleranceSeconds } = this.#options
    const said = proven.ttlSeconds ?? serverSeconds ?? limits.keysFreshSeconds
    const freshSeconds = Math.min(limits.keysFreshMostSeconds, Math.max(limits.statusListFreshLeastSeconds, said))
    const end = proven.expiresAt === null ? Number.POSITIVE_INFINITY : (proven.expiresAt + toleranceSeconds) * 1000
    const freshFor = Math.min(end - readAt.clock, freshSeconds * 1000)
    const refreshPart = (limits.keysRefreshPercent / 100) * (1 - random() * JITTER)
    return { proven, readAt, refreshAfter: freshFor * refreshPart, freshFor, servesFor: freshFor + staleSeconds * 1000, end }
  }

  #now(): Moment {
    return this.#steady.moment(this.#options.now())
  }

  /** Our trouble, and when to come again: as soon as the server may be asked again. */
  #unavailable(failure: FetchError | null, now: number): AuthError {
    const { message, status } = failure ?? new FetchError('the status list is not asked for again yet')
    const wait = Math.ceil(this.#backOff.waitMilliseconds(now) / 1000)
    const retryAfterSeconds = Math.max(this.#options.limits.retryAfterSeconds, wait)
    return new AuthError('revocation_unavailable', { retryAfterSeconds, cause: new FetchError(message, status) })
  }
}
