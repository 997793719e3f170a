import type { JournalRecord } from '@behalf/journal'
import { textAt } from './record-fields.js'

/** Which records are wanted; what is left out admits all. */
export interface RecordFilter {
  /** `id` of who acted. */
  readonly actor?: string
  /** `id` of whose authority was used. */
  readonly subject?: string
  readonly kind?: string
  /** Milliseconds since the epoch. */
  readonly sinceMilliseconds?: number
  /** Refusals alone. */
  readonly refused?: boolean
  /** The journal's book-keeping too: segments, checkpoints, ends. */
  readonly all?: boolean
}

/** What only the journal's own verification needs. */
const BOOK_KEEPING: ReadonlySet<JournalRecord['kind']> = new Set(['segment', 'checkpoint', 'end'])

/** Whether a record is wanted. What the journal says of missing records stays, whoever is looked for: they may be among them. */
export function isWanted(record: JournalRecord, filter: RecordFilter): boolean {
  const { kind } = record
  if (BOOK_KEEPING.has(kind)) return filter.all === true
  if (!isRecentEnough(record, filter.sinceMilliseconds)) return false
  if (kind === 'event') return isWantedEvent(record, filter)
  if (kind === 'refusals') return isWantedSummary(record, filter)
  return true
}

function isRecentEnough({ body }: JournalRecord, sinceMilliseconds: number | undefined): boolean {
  if (sinceMilliseconds === undefined) return true
  const time = Date.parse(textAt(body, 'time') ?? textAt(body, 'to') ?? '')
  return Number.isNaN(time) || time >= sinceMilliseconds // a record that does not say when is not left out
}

function isWantedEvent({ body }: JournalRecord, { actor, subject, kind, refused }: RecordFilter): boolean {
  return (
    (actor === undefined || textAt(body, 'actor', 'id') === actor) &&
    (subject === undefined || textAt(body, 'subject', 'id') === subject) &&
    (kind === undefined || textAt(body, 'kind') === kind) &&
    (refused !== true || (textAt(body, 'type') === 'access.decision' && textAt(body, 'decision') === 'refuse'))
  )
}

/** A summary names its actor alone: with another filter, the refusals that it counts may be meant. */
function isWantedSummary({ body }: JournalRecord, { actor }: RecordFilter): boolean {
  return actor === undefined || textAt(body, 'actor', 'id') === actor
}
