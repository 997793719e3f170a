import type { AuditEvent } from '@behalf/core'
import { canonicalJson, shapeOf } from '../format/canonical-json.js'

/** Members that the core makes once for each token, and then puts into all of its events. */
const SHARED: ReadonlySet<string> = new Set(['actor', 'chain', 'notices', 'scopes', 'subject', 'token'])

/** Parts that are remembered, in two generations: those of some thousand tokens. Each is an object and a few hundred bytes of text. */
const PARTS_KEPT = 10_000

/**
 * Events as canonical JSON. What is the same in all events of a token is made text once; that is most of an event. Only what is
 * frozen as deep as it goes is remembered: nothing else stays the same.
 */
export class EventText {
  #young = new Map<object, string>()
  #old = new Map<object, string>()

  /** The same text as `canonicalJson(event)`, with the same errors. */
  of(event: AuditEvent): string {
    const { names, openings } = shapeOf(Object.keys(event))
    let text = ''
    for (let index = 0; index < names.length; index++) {
      const name = names[index] as keyof AuditEvent
      const value: unknown = event[name]
      text += openings[index] as string
      text += typeof value === 'object' && value !== null && SHARED.has(name) ? this.#partOf(value) : canonicalJson(value)
    }
    return text === '' ? '{}' : `${text}}`
  }

  /** Parts whose text is remembered, for tests. */
  get rememberedParts(): number {
    return this.#young.size + this.#old.size
  }

  #partOf(part: object): string {
    const known = this.#young.get(part) ?? this.#old.get(part)
    if (known !== undefined) return known
    const text = canonicalJson(part)
    if (isDeeplyFrozen(part)) this.#remember(part, text)
    return text
  }

  #remember(part: object, text: string): void {
    if (this.#young.size >= PARTS_KEPT / 2) {
      this.#old = this.#young
      this.#young = new Map()
    }
    this.#young.set(part, text)
  }
}

function isDeeplyFrozen(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return true
  return Object.isFrozen(value) && Object.values(value).every(isDeeplyFrozen)
}
