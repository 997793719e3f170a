import type { JsonObject, JsonValue } from '@behalf/core'
import type { Findings, Place } from './findings.js'

/** Requests whose outcome is there that are remembered, to tell a second outcome from one without a decision. */
const CLOSED_KEPT = 10_000
/** Open decisions that are named one by one. */
const MOST_NAMED = 10

/** Checks that every decision that let a call in has exactly one outcome. Memory: the decisions that are open at one time. */
export class Pairs {
  readonly #findings: Findings
  /** Requests, and the sequence of their last decision. */
  readonly #open = new Map<string, number>()
  /** Requests that were closed lately, in two generations. */
  #closed = new Set<string>()
  #closedBefore = new Set<string>()
  /** Outcomes whose decision may have been removed or not recorded, as the journal says. */
  #unmatchedAllowed = 0
  /** Outcomes that were not recorded, as the journal says. */
  #missingAllowed = 0
  readonly #unmatched: Place[] = []
  #unmatchedCount = 0

  constructor(findings: Findings) {
    this.#findings = findings
  }

  get openDecisions(): number {
    return this.#open.size
  }

  /** An event as it is recorded. @returns `false` where it is no event */
  take(event: JsonValue, place: Place): boolean {
    const { type, decision, requestId } = event as JsonObject
    if (typeof type !== 'string' || typeof requestId !== 'string') return false
    if (type === 'access.outcome') this.#close(requestId, place)
    else if (type === 'access.decision' && decision !== 'refuse') this.#opened(requestId, event as JsonObject, place)
    return true
  }

  /** Decisions that a header says are open. @returns `false` where one is not */
  agreesWith(open: readonly number[]): boolean {
    if (open.length === 0) return true
    const known = new Set(this.#open.values())
    return open.every((sequence) => known.has(sequence))
  }

  /** Events that are not there, as the journal says. */
  allow(decisions: number, outcomes: number): void {
    this.#unmatchedAllowed += decisions
    this.#missingAllowed += outcomes
  }

  /** @param live a writer is at work: what is open can be closed yet */
  finish(live: boolean, segmentOf: (sequence: number) => string | null): void {
    if (this.#unmatchedCount > this.#unmatchedAllowed) this.#reportUnmatched()
    if (this.#open.size > this.#missingAllowed) this.#reportMissing(live, segmentOf)
  }

  #opened(requestId: string, { stage }: JsonObject, place: Place): void {
    if (stage === 'rules' && this.#open.has(requestId))
      this.#findings.add(
        'tampered',
        'decision_twice',
        place,
        'a second decision of the rules about a request whose outcome is not there',
      )
    this.#open.set(requestId, place.sequence ?? 0)
  }

  #close(requestId: string, place: Place): void {
    if (this.#open.delete(requestId)) this.#remember(requestId)
    else if (this.#closed.has(requestId) || this.#closedBefore.has(requestId))
      this.#findings.add('tampered', 'outcome_twice', place, 'a second outcome of one call')
    else {
      this.#unmatchedCount++
      if (this.#unmatched.length < MOST_NAMED) this.#unmatched.push({ ...place })
    }
  }

  #remember(requestId: string): void {
    if (this.#closed.size === CLOSED_KEPT) {
      this.#closedBefore = this.#closed
      this.#closed = new Set()
    }
    this.#closed.add(requestId)
  }

  #reportUnmatched(): void {
    const message = `${this.#unmatchedCount} outcome(s) without a decision; the journal explains ${this.#unmatchedAllowed}`
    for (const place of this.#unmatched) this.#findings.add('incomplete', 'outcome_unmatched', place, message)
  }

  #reportMissing(live: boolean, segmentOf: (sequence: number) => string | null): void {
    const message = `${this.#open.size} decision(s) without an outcome; the journal explains ${this.#missingAllowed}`
    const oldest = [...this.#open.values()].sort((a, b) => a - b).slice(0, MOST_NAMED)
    for (const sequence of oldest) {
      const place = { segment: segmentOf(sequence), sequence, offset: null }
      this.#findings.add(live ? 'note' : 'incomplete', 'outcome_missing', place, message)
    }
  }
}
