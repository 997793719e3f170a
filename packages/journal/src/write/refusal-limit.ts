import type { AuditEvent, AuditParty } from '@behalf/core'

/** Body of a `refusals` record: refusals of one actor beyond the rate, counted instead of written. */
export interface RefusalSummary {
  /** The actor, as its first counted event has it. `null`: refused before there was a context, or a direct call. */
  readonly actor: AuditParty | null
  readonly count: number
  /** When the first and the last of them came (RFC 3339, UTC, milliseconds). */
  readonly from: string
  /** `iss` of the token; `null` before its signature holds. */
  readonly issuer: string | null
  /** How often each code was the reason. */
  readonly reasons: Readonly<Record<string, number>>
  readonly to: string
}

/** Issuers and actors that are told apart; those beyond share one place. Each costs a few hundred bytes. */
const KNOWN_CALLERS = 1_000
/** What everybody beyond the known ones shares: a text that no caller's key can be. */
const THE_OTHERS = 'the others'

interface Caller {
  /** Refusals that may be written now; grows back with time. */
  allowance: number
  refilledAt: number
  summary: {
    actor: AuditParty | null
    issuer: string | null
    count: number
    from: number
    to: number
    reasons: Map<string, number>
  } | null
}

/** Lets so many refusals of each actor be written as its rate allows, and counts the others. */
export class RefusalLimit {
  readonly #perSecond: number
  readonly #burst: number
  readonly #callers = new Map<string, Caller>()
  #counted = 0

  /** @param perSecond refusals of one (issuer, actor) that are written each second; ten seconds' worth may come at once */
  constructor(perSecond: number) {
    this.#perSecond = perSecond
    this.#burst = perSecond * 10
  }

  /** Whether a refusal is to be written; otherwise it was counted. */
  admits(event: AuditEvent, nowMilliseconds: number): boolean {
    const caller = this.#callerOf(event, nowMilliseconds)
    const passed = Math.max(0, nowMilliseconds - caller.refilledAt)
    caller.allowance = Math.min(this.#burst, caller.allowance + (passed / 1000) * this.#perSecond)
    caller.refilledAt = nowMilliseconds
    if (caller.allowance >= 1) {
      caller.allowance--
      return true
    }
    this.#count(caller, event, nowMilliseconds)
    return false
  }

  /** Whether anything was counted that no record says yet. */
  get pending(): boolean {
    return this.#counted > 0
  }

  /** What was counted, which is forgotten here, and so is everybody who was quiet. */
  take(nowMilliseconds: number): readonly RefusalSummary[] {
    const summaries: RefusalSummary[] = []
    for (const [key, caller] of this.#callers) {
      if (caller.summary !== null) summaries.push(summaryOf(caller.summary))
      else if (nowMilliseconds - caller.refilledAt > 10_000) this.#callers.delete(key) // its allowance is full again by now
      caller.summary = null
    }
    this.#counted = 0
    return summaries
  }

  #callerOf(event: AuditEvent, nowMilliseconds: number): Caller {
    const key = keyOf(event)
    const known = this.#callers.get(key) ?? (this.#callers.size >= KNOWN_CALLERS ? this.#callers.get(THE_OTHERS) : undefined)
    if (known !== undefined) return known
    const caller: Caller = { allowance: this.#burst, refilledAt: nowMilliseconds, summary: null }
    this.#callers.set(this.#callers.size >= KNOWN_CALLERS ? THE_OTHERS : key, caller)
    return caller
  }

  #count(caller: Caller, event: AuditEvent, nowMilliseconds: number): void {
    caller.summary ??= {
      actor: event.actor,
      issuer: event.token.issuer,
      count: 0,
      from: nowMilliseconds,
      to: nowMilliseconds,
      reasons: new Map(),
    }
    const { summary } = caller
    const reason = event.reason ?? 'unknown'
    if (this.#callers.get(THE_OTHERS) === caller) {
      summary.actor = null
      summary.issuer = null
    }
    summary.count++
    summary.to = nowMilliseconds
    summary.reasons.set(reason, (summary.reasons.get(reason) ?? 0) + 1)
    this.#counted++
  }
}

function summaryOf({ actor, issuer, count, from, to, reasons }: NonNullable<Caller['summary']>): RefusalSummary {
  return {
    actor,
    count,
    from: new Date(from).toISOString(),
    issuer,
    reasons: Object.fromEntries(reasons),
    to: new Date(to).toISOString(),
  }
}

function keyOf({ token, actor }: AuditEvent): string {
  return JSON.stringify([token.issuer, actor?.issuer ?? null, actor?.idClaim ?? null, actor?.id ?? null])
}
