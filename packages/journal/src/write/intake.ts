import type { AuditEvent } from '@behalf/core'
import { JournalError } from '../journal-error.js'
import { EventText } from './event-text.js'
import type { JournalSettings } from './journal-options.js'
import { Losses, type LossKind, type LossReason } from './losses.js'
import { RefusalLimit } from './refusal-limit.js'

/**
 * What an event means for the journal: `admission` lets a call in, and is waited for; `outcome` tells what became of one;
 * `refusal` anybody can cause.
 */
export type EventRole = 'admission' | 'outcome' | 'refusal'

/** An event on its way to the disk. */
export interface Pending {
  readonly role: EventRole
  readonly requestId: string
  /** The event as canonical JSON. */
  readonly body: string
  /** Bytes of `body` in UTF-8. */
  readonly bytes: number
  /** By the monotonic clock, in milliseconds: a deadline does not move when somebody sets the time. */
  readonly queuedAt: number
  /** Settles `write()`; `null` where it is settled already. */
  waiter: { readonly resolve: () => void; readonly reject: (error: JournalError) => void } | null
}

/** Refusals leave the rest of the queue to everybody else. */
const SHARE_OF_REFUSALS = 1 / 4

/**
 * What waits for the disk, within bounds. An admission beyond them is refused, or counted, as the options say. A refused call
 * can fill a quarter at most. An outcome always finds a place: there are no more of them than calls that were let in.
 */
export class Intake {
  readonly losses: Losses = new Losses()
  readonly refusals: RefusalLimit
  readonly #settings: JournalSettings
  readonly #text = new EventText()
  readonly #wake: () => void
  #queue: Pending[] = []
  #queuedBytes = 0
  #queuedRefusals = 0
  #queuedRefusalBytes = 0
  /** Requests whose admission was not taken: their outcomes are not taken either. */
  readonly #untaken = new Set<string>()
  /** Requests whose outcome another writer has written. */
  readonly #disowned = new Set<string>()
  /** Admissions that wait, oldest first; some of them may be settled. */
  #waiting: Pending[] = []
  #deadline: NodeJS.Timeout | null = null
  #unavailable: LossReason | null = null
  /** A deadline was missed, and nothing came to the disk since. */
  #stalled = false
  #accepted = 0
  #written = 0

  /** @param wake called when there is something to write */
  constructor(settings: JournalSettings, wake: () => void) {
    this.#settings = settings
    this.#wake = wake
    this.refusals = new RefusalLimit(settings.refusalsPerSecond)
  }

  /** Number of events that wait, those with the disk included. */
  get size(): number {
    return this.#queue.length
  }

  /** Events that were queued since the journal was made. */
  get accepted(): number {
    return this.#accepted
  }

  /** Those of them that are on disk. */
  get written(): number {
    return this.#written
  }

  /** Resolves when the event is on disk, or was counted as the options allow; rejects, or throws, where it is not accepted. */
  write(event: AuditEvent): Promise<void> | undefined {
    const role = roleOf(event)
    if (role === 'outcome') return this.#writeOutcome(event)
    if (role === 'refusal') return this.#writeRefusal(event)
    return this.#writeAdmission(event)
  }

  #writeAdmission(event: AuditEvent): Promise<void> | undefined {
    const trouble = this.#unavailable ?? (this.#stalled ? 'unavailable' : null)
    const reason = trouble === 'closed' || this.#strict ? (trouble ?? this.#fullReason()) : this.#fullReason()
    if (reason !== null) {
      if (event.stage === 'rules') this.#untaken.add(event.requestId) // a guard's decision comes after one that was taken
      return this.#lose('decisions', reason)
    }
    if (this.#untaken.has(event.requestId)) return this.#lose('decisions', 'queue_full') // or its outcome would be missing
    const written = this.#enqueue('admission', event)
    if (trouble !== null) return undefined // degraded: written when the disk is back, and nobody waits for that
    return written
  }

  #writeOutcome(event: AuditEvent): Promise<void> | undefined {
    if (this.#disowned.delete(event.requestId)) return undefined
    if (this.#untaken.delete(event.requestId)) return this.#lose('outcomes', this.#unavailable ?? 'queue_full')
    if (this.#unavailable === 'closed') return this.#lose('outcomes', 'closed')
    return this.#enqueue('outcome', event)
  }

  #writeRefusal(event: AuditEvent): Promise<void> | undefined {
    if (this.#unavailable === 'closed') return this.#lose('refusals', 'closed')
    if (!this.refusals.admits(event, this.#settings.now())) {
      this.#wake()
      return undefined // said in a summary
    }
    const reason = this.#fullReason()
    if (reason !== null) return this.#lose('refusals', reason)
    const { maxQueuedRecords, maxQueuedBytes } = this.#settings
    if (
      this.#queuedRefusals >= maxQueuedRecords * SHARE_OF_REFUSALS ||
      this.#queuedRefusalBytes >= maxQueuedBytes * SHARE_OF_REFUSALS
    )
      return this.#lose('refusals', 'queue_full')
    return this.#enqueue('refusal', event)
  }

  get #strict(): boolean {
    return this.#settings.whenUnavailable === 'refuse'
  }

  #fullReason(): LossReason | null {
    const { maxQueuedRecords, maxQueuedBytes } = this.#settings
    return this.#queue.length >= maxQueuedRecords || this.#queuedBytes >= maxQueuedBytes
      ? (this.#unavailable ?? 'queue_full')
      : null
  }

  /** Counts an event that is not taken. Strict: it is refused too. */
  #lose(kind: LossKind, reason: LossReason): undefined {
    this.losses.count(kind, reason, this.#settings.now())
    this.#wake()
    if (this.#strict || reason === 'closed') throw errorFor(reason)
  }

  #enqueue(role: EventRole, event: AuditEvent): Promise<void> {
    const body = this.#text.of(event)
    const bytes = Buffer.byteLength(body)
    const pending: Pending = { role, requestId: event.requestId, body, bytes, queuedAt: performance.now(), waiter: null }
    this.#queue.push(pending)
    this.#accepted++
    this.#queuedBytes += pending.bytes
    if (role === 'refusal') {
      this.#queuedRefusals++
      this.#queuedRefusalBytes += bytes
    }
    const written = new Promise<void>((resolve, reject) => {
      pending.waiter = { resolve, reject }
    })
    written.catch(() => {}) // refusals and outcomes have nobody who waits
    if (role === 'admission') this.#await(pending)
    this.#wake()
    return written
  }

  /** The next events for the disk, oldest first, and no more than fit. They stay in the queue until they are `done`. */
  take(maxRecords: number, maxBytes: number): readonly Pending[] {
    let bytes = 0
    let count = 0
    while (count < this.#queue.length && count < maxRecords && bytes < maxBytes) {
      bytes += (this.#queue[count] as Pending).bytes
      count++
    }
    return this.#queue.slice(0, count)
  }

  /** The first `count` events are on disk. */
  done(count: number): void {
    if (this.#unavailable !== 'closed') this.#unavailable = null
    const written = this.#queue.slice(0, count)
    this.#queue = this.#queue.slice(count)
    this.#written += written.length
    this.#stalled = false
    for (const pending of written) {
      this.#queuedBytes -= pending.bytes
      if (pending.role === 'refusal') {
        this.#queuedRefusals--
        this.#queuedRefusalBytes -= pending.bytes
      }
      settle(pending, null)
    }
    if (this.#waiting.length > 0 && this.#waiting[0]?.waiter === null)
      this.#waiting = this.#waiting.filter(({ waiter }) => waiter !== null)
  }

  /** Another writer has closed these requests as unknown, while it had the directory: their outcomes come too late, also those that wait. */
  disown(requestIds: readonly string[]): void {
    if (requestIds.length === 0) return
    for (const each of requestIds) this.#disowned.add(each)
    const late = this.#queue.filter(({ role, requestId }) => role === 'outcome' && this.#disowned.delete(requestId))
    this.#queue = this.#queue.filter((each) => !late.includes(each))
    this.#written += late.length
    for (const pending of late) {
      this.#queuedBytes -= pending.bytes
      settle(pending, null)
    }
  }

  /** The disk does not take anything now, or does again (`null`). */
  setUnavailable(reason: LossReason | null): void {
    this.#unavailable = reason
    if (reason !== null && !this.#strict) for (const pending of this.#waiting) settle(pending, null)
  }

  /** Nothing more will be written: what still waits is not accepted. @returns how many events are lost */
  abandon(): number {
    const left = this.#queue
    this.#queue = []
    this.#waiting = []
    if (this.#deadline !== null) clearTimeout(this.#deadline)
    this.#deadline = null
    for (const pending of left) settle(pending, errorFor('closed'))
    return left.length
  }

  /** An admission waits no longer than the commit deadline. One timer serves all: they come and go in order. */
  #await(pending: Pending): void {
    this.#waiting.push(pending)
    if (this.#deadline === null) this.#watch(this.#settings.commitDeadlineMilliseconds)
  }

  #watch(milliseconds: number): void {
    const expire = () => {
      this.#deadline = null // not before: one timer serves all
      this.#expire()
    }
    this.#deadline = setTimeout(() => setImmediate(expire), milliseconds) // what came from the disk while the event loop was busy is taken first
    this.#deadline.unref()
  }

  #expire(): void {
    const { commitDeadlineMilliseconds } = this.#settings
    const latest = performance.now() - commitDeadlineMilliseconds
    const late = this.#waiting.filter(({ queuedAt }) => queuedAt <= latest)
    this.#waiting = this.#waiting.filter(({ queuedAt, waiter }) => queuedAt > latest && waiter !== null)
    if (late.some(({ waiter }) => waiter !== null)) this.#stalled = true
    for (const pending of late) settle(pending, this.#strict ? errorFor('late') : null)
    const [next] = this.#waiting
    if (next !== undefined) this.#watch(Math.max(1, next.queuedAt - latest))
  }
}

function settle(pending: Pending, error: JournalError | null): void {
  const { waiter } = pending
  pending.waiter = null
  if (error === null) waiter?.resolve()
  else waiter?.reject(error)
}

function roleOf({ type, decision }: AuditEvent): EventRole {
  if (type === 'access.outcome') return 'outcome'
  return decision === 'refuse' ? 'refusal' : 'admission'
}

const MESSAGES = {
  queue_full: 'too many records wait for the disk of the journal',
  unavailable: 'the disk of the journal takes no records now',
  late: 'the record did not reach the disk of the journal in time',
  closed: 'the journal is closed',
} as const

function errorFor(code: keyof typeof MESSAGES): JournalError {
  return new JournalError(code, MESSAGES[code])
}
