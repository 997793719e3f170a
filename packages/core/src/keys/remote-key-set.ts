import { AuthError } from '../errors.js'
import { type Limits, LONGEST_TIMER_MILLISECONDS } from '../limits.js'
import { keysFetchChannel } from '../telemetry.js'
import { andThen, type Eventual } from '../thenable.js'
import type { Algorithm } from '../token/algorithms.js'
import type { JsonObject } from '../token/json.js'
import { BackOff } from './back-off.js'
import type { KeyLocation } from './discovery.js'
import { FetchBudget } from './fetch-budget.js'
import { type Fetch, FetchError, raced, stopIfOver, withinTime } from './fetch-json.js'
import { type KeySet, type KeySetState, KeySnapshot } from './key-set.js'
import { RemoteDocument } from './remote-document.js'
import { UnknownKeys } from './unknown-keys.js'
import { type ImportedKey, importJwk, type VerificationKey, withThumbprint } from './verification-key.js'

/** What a remote key set needs from outside. */
export interface RemoteKeySetOptions {
  /** For those who measure. */
  readonly issuer: string
  readonly location: KeyLocation
  readonly fetch: Fetch
  /** Milliseconds since the epoch. */
  readonly now: () => number
  readonly limits: Limits
  /** From 0 to 1: spreads refreshes and pauses. */
  readonly random: () => number
  /** Keys are refreshed by a timer too, so that an API without calls does not hold on to old ones. */
  readonly keepFresh: boolean
}

interface KeySource {
  readonly document: RemoteDocument
  readonly value: JsonObject
  readonly keys: readonly VerificationKey[]
}

/** A refresh begins up to this part of its time early. */
const JITTER = 0.1

/** Whatever the clock says, a timer does not fire more often than this. */
const LEAST_TIMER_MILLISECONDS = 1000

/**
 * Keys that are fetched from the issuer: one fetch at a time, shared by all who wait.
 *
 * A known key never waits while the set is not too old: it is refreshed in the background before its time is over, and goes on
 * being used while the issuer cannot be read. An unknown key id waits for a fetch that began after it was seen, as far as the
 * budget for strangers goes. The set that was read last stays until another one was read whole.
 */
export class RemoteKeySet implements KeySet {
  readonly #options: RemoteKeySetOptions
  readonly #backOff: BackOff
  readonly #budget: FetchBudget
  readonly #unknown: UnknownKeys
  /** The document that the keys were read from last, and what was made of which answer. */
  #source: KeySource | null = null
  #latest: KeySnapshot | null = null
  /** Part of the fresh time after which the set is refreshed. */
  #refreshPart = 1
  #fetching: Promise<FetchError | null> | null = null
  /** Why the last fetch failed, `null` where it did not. */
  #failure: FetchError | null = null
  /** Fetches that began before the last eviction are of no use. */
  #evictions = 0
  #timer: NodeJS.Timeout | undefined
  #closed = false

  constructor(options: RemoteKeySetOptions) {
    const { limits, random } = options
    this.#options = options
    this.#backOff = new BackOff(limits.backOffFirstSeconds, limits.backOffMostSeconds, random)
    this.#budget = new FetchBudget(limits.unknownKeyFetches, limits.unknownKeyFetchSeconds)
    this.#unknown = new UnknownKeys(limits.unknownKeys, limits.unknownKeySeconds)
  }

  get latest(): KeySnapshot | null {
    return this.#latest
  }

  within(maxAgeSeconds: number): Eventual<KeySnapshot> {
    const now = this.#options.now()
    const snapshot = this.#latest
    if (snapshot === null) return this.#needed(now)
    const age = snapshot.ageMilliseconds(now)
    if (age < 0) return this.#rebased(snapshot, now)
    if (age >= Math.min(snapshot.freshSeconds, maxAgeSeconds) * 1000 * this.#refreshPart) this.#refreshSoon(now)
    return age <= maxAgeSeconds * 1000 ? snapshot : this.#needed(now)
  }

  find(kid: string | null, algorithm: Algorithm): Eventual<VerificationKey> {
    const found = andThen(
      this.within(this.#options.limits.keysStaleSeconds),
      (known) => known.find(kid, algorithm) ?? this.#findUnknown(kid, algorithm),
    )
    return found instanceof Promise ? this.#inTime(found) : found
  }

  /** Nobody waits for more than the time of one fetch, even if it takes two of them. */
  async #inTime(found: Promise<VerificationKey>): Promise<VerificationKey> {
    try {
      return await raced(found, this.#options.limits.fetchTotalMilliseconds)
    } catch (error) {
      throw error instanceof FetchError ? this.#unavailable(error, this.#options.now()) : error
    }
  }

  async refresh(): Promise<void> {
    if (this.#fetching !== null) await this.#fetching // it began before this was asked: it may bring what is no longer so
    const failure = await (this.#fetching ?? this.#fetch())
    if (failure !== null) throw this.#unavailable(failure, this.#options.now())
  }

  evict(): void {
    this.#evictions++
    this.#latest = null
    this.#source = null
    this.#fetching = null
    this.#failure = null
    this.#options.location.forget()
    this.#unknown.clear()
    this.#backOff.succeeded()
  }

  state(): KeySetState {
    const now = this.#options.now()
    const snapshot = this.#latest
    return Object.freeze({
      keys: snapshot?.keys.length ?? 0,
      ageSeconds: snapshot?.ageSeconds(now) ?? null,
      stale: snapshot?.isStale(now) ?? false,
      failures: this.#backOff.failures,
      lastFailure: this.#failure?.message ?? null,
    })
  }

  close(): void {
    this.#closed = true
    clearTimeout(this.#timer)
  }

  /** A clock that was set back says nothing about the age of a set: it counts anew, and a refresh begins at once. */
  #rebased(snapshot: KeySnapshot, now: number): KeySnapshot {
    this.#latest = new KeySnapshot(snapshot.keys, now, snapshot.freshSeconds)
    this.#refreshSoon(now)
    return this.#latest
  }

  /** In the background: nobody waits, and a failure only lengthens the pause. */
  #refreshSoon(now: number): void {
    if (this.#fetching === null && this.#backOff.waitMilliseconds(now) <= 0) void this.#fetch()
  }

  /** Keys where there are none, or too old ones: asked for unless the issuer has just failed. */
  async #needed(now: number): Promise<KeySnapshot> {
    if (this.#fetching === null && this.#backOff.waitMilliseconds(now) > 0) throw this.#unavailable(this.#failure, now)
    const failure = await (this.#fetching ?? this.#fetch())
    if (failure !== null || this.#latest === null) throw this.#unavailable(failure, this.#options.now())
    return this.#latest
  }

  /** Only a fetch that began after the id was seen, and succeeded, says that a key is unknown. Until then nobody knows: 503. */
  async #findUnknown(kid: string | null, algorithm: Algorithm): Promise<VerificationKey> {
    const { now, limits } = this.#options
    const age = this.#unknown.age(kid, algorithm, now())
    if (age !== null && age < limits.unknownKeyAgainSeconds * 1000) throw new AuthError('key_unknown')
    const doubt = (failure: FetchError | null) =>
      age === null ? this.#unavailable(failure, now()) : new AuthError('key_unknown')

    if (this.#fetching !== null) {
      const failure = await this.#fetching
      const key = this.#latest?.find(kid, algorithm)
      if (key) return key
      if (failure !== null) throw doubt(failure)
    }
    const ours = this.#fetching ?? this.#fetchForStranger()
    if (ours === null) throw doubt(this.#failure)
    const failure = await ours
    const key = this.#latest?.find(kid, algorithm)
    if (key) return key
    if (failure !== null) throw doubt(failure)
    this.#unknown.add(kid, algorithm, now())
    throw new AuthError('key_unknown')
  }

  #fetchForStranger(): Promise<FetchError | null> | null {
    const now = this.#options.now()
    return this.#backOff.waitMilliseconds(now) <= 0 && this.#budget.waitMilliseconds(now) <= 0 ? this.#fetch() : null
  }

  /** One fetch for all who wait; never rejects. Each fetch counts against the budget of strangers, whoever needs it. */
  #fetch(): Promise<FetchError | null> {
    this.#budget.spend(this.#options.now())
    const fetching = this.#load().finally(() => {
      if (this.#fetching === fetching) this.#fetching = null
      this.#plan()
    })
    this.#fetching = fetching
    return fetching
  }

  async #load(): Promise<FetchError | null> {
    const { now, limits, random, issuer, location } = this.#options
    const evictions = this.#evictions
    const startedAt = now()
    const started = performance.now()
    const tell = (result: 'loaded' | 'unchanged' | 'failed') => {
      if (keysFetchChannel.heard) keysFetchChannel.publish({ issuer, result, durationMilliseconds: performance.now() - started })
    }
    try {
      const { keys, freshSeconds } = await withinTime(limits.fetchTotalMilliseconds, (signal) => this.#read(signal))
      if (evictions !== this.#evictions) throw new FetchError('the keys were evicted while they were read')
      const snapshot = new KeySnapshot(keys, startedAt, freshSeconds)
      const unchanged = this.#latest?.saysTheSame(snapshot) ?? false
      if (!unchanged) this.#unknown.clear()
      this.#latest = snapshot
      this.#refreshPart = (limits.keysRefreshPercent / 100) * (1 - random() * JITTER)
      this.#failure = null
      this.#backOff.succeeded()
      tell(unchanged ? 'unchanged' : 'loaded')
      return null
    } catch (error) {
      // A library's error can quote the answer it could not read: only our own fixed texts go on.
      const failure = error instanceof FetchError ? error : new FetchError('the key set could not be read')
      tell('failed')
      if (evictions !== this.#evictions) return failure // nothing that began before an eviction says how the issuer is now
      this.#failure = failure
      this.#backOff.failed(now())
      location.doubt()
      return failure
    }
  }

  /** The usable keys that the issuer shows now. What is read after the time was over changes nothing. */
  async #read(signal: AbortSignal): Promise<{ readonly keys: readonly VerificationKey[]; readonly freshSeconds: number }> {
    const { location, fetch, limits } = this.#options
    const url = await location.jwksUri(signal)
    const earlier = this.#source?.document.url === url ? this.#source : null
    const document = earlier?.document ?? new RemoteDocument(url, fetch, limits)
    const { value, freshSeconds } = await document.read(signal)
    // An answer that has not changed has the keys that were read from it, whatever was read elsewhere meanwhile.
    if (earlier !== null && earlier.value === value) return { keys: earlier.keys, freshSeconds }
    const keys = await keysOf(value['keys'], limits)
    stopIfOver(signal)
    this.#source = { document, value, keys }
    return { keys, freshSeconds }
  }

  /** Plans the next refresh; the timer keeps no process alive. */
  #plan(): void {
    clearTimeout(this.#timer)
    if (!this.#options.keepFresh || this.#closed) return
    const wait = Math.min(LONGEST_TIMER_MILLISECONDS, Math.max(LEAST_TIMER_MILLISECONDS, this.#untilRefresh()))
    this.#timer = setTimeout(() => {
      if (this.#untilRefresh() > 0) this.#plan()
      else this.#refreshSoon(this.#options.now())
    }, wait).unref()
  }

  #untilRefresh(): number {
    const now = this.#options.now()
    const pause = this.#backOff.waitMilliseconds(now)
    if (this.#latest === null || this.#backOff.failures > 0) return pause
    const { fetchedAt, freshSeconds } = this.#latest
    const { keysStaleSeconds, keysStaleDelegatedSeconds } = this.#options.limits
    const dueSeconds = Math.min(freshSeconds, keysStaleSeconds, keysStaleDelegatedSeconds) * this.#refreshPart
    return (fetchedAt ?? now) + dueSeconds * 1000 - now
  }

  /** Our trouble, and when to come again: as soon as the issuer may be asked again. */
  #unavailable(failure: FetchError | null, now: number): AuthError {
    const { message, status } = failure ?? new FetchError('the issuer is not asked again yet')
    const wait = Math.max(this.#backOff.waitMilliseconds(now), failure === null ? this.#budget.waitMilliseconds(now) : 0)
    const retryAfterSeconds = Math.max(this.#options.limits.retryAfterSeconds, Math.ceil(wait / 1000))
    return new AuthError('keys_unavailable', { retryAfterSeconds, cause: new FetchError(message, status) })
  }
}

/** @throws {FetchError} where there is no usable key */
async function keysOf(jwks: unknown, limits: Limits): Promise<readonly VerificationKey[]> {
  if (!Array.isArray(jwks)) throw new FetchError('the key set has no list of keys')
  if (jwks.length > limits.keys) throw new FetchError('the key set has too many keys')
  const imported = jwks.map((jwk) => importJwk(jwk, limits.kidCharacters))
  const usable = imported.filter((key): key is ImportedKey => typeof key !== 'string')
  if (usable.length === 0) throw new FetchError('the key set has no usable key')
  return Promise.all(usable.map(withThumbprint))
}
