import type { JsonObject, JsonValue } from '@behalf/core'
import type { JournalRecord } from '../format/record.js'

/** What verification needs to know of the records that a journal writes about itself. */
type OwnBody =
  | { readonly kind: 'gap'; readonly decisions: number; readonly outcomes: number; readonly refusals: number }
  | { readonly kind: 'recovery'; readonly durable: number }
  | { readonly kind: 'retention'; readonly through: number }
  | { readonly kind: 'other' }

/** Reads such a body; `null` where its members are not what they must be. */
export function ownBodyOf({ kind, body }: JournalRecord): OwnBody | null {
  const members = objectAt(body)
  if (members === null) return null
  if (kind === 'gap') return gapOf(members)
  if (kind === 'recovery') return recoveryOf(members)
  if (kind === 'retention') return retentionOf(members)
  return { kind: 'other' }
}

function gapOf({ decisions, outcomes, refusals }: JsonObject): OwnBody | null {
  return isCount(decisions) && isCount(outcomes) && isCount(refusals) ? { kind: 'gap', decisions, outcomes, refusals } : null
}

function recoveryOf({ cut }: JsonObject): OwnBody | null {
  if (cut === null) return { kind: 'recovery', durable: 0 }
  const durable = objectAt(cut)?.['durable']
  return isCount(durable) ? { kind: 'recovery', durable } : null
}

function retentionOf({ removed }: JsonObject): OwnBody | null {
  const through = objectAt(removed)?.['through']
  return isCount(through) ? { kind: 'retention', through } : null
}

function objectAt(value: JsonValue | undefined): JsonObject | null {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as JsonObject) : null
}

function isCount(value: JsonValue | undefined): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0
}
