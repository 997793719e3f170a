import type { AuditEvent, DeliveryRecord } from '@behalf/core'
import { arrayLiteral } from './array-literal.js'

/** A column of the table, and what a record has there. */
interface Column {
  readonly name: string
  readonly type: 'text' | 'bigint' | 'integer' | 'timestamptz'
  readonly of: (record: DeliveryRecord) => string | number | null
}

/** Columns that are for finding: the body alone is what was recorded. */
const SEARCHED: readonly (readonly [name: string, of: (event: AuditEvent) => string | null])[] = [
  ['type', (event) => event.type],
  ['request_id', (event) => event.requestId],
  ['stage', (event) => event.stage],
  ['decision', (event) => event.decision],
  ['reason', (event) => event.reason],
  ['rule', (event) => event.rule],
  ['kind', (event) => event.kind],
  ['result', (event) => event.result],
  ['issuer', (event) => event.token.issuer],
  ['subject_issuer', (event) => event.subject?.issuer ?? null],
  ['subject_id', (event) => event.subject?.id ?? null],
  ['actor_issuer', (event) => event.actor?.issuer ?? null],
  ['actor_id', (event) => event.actor?.id ?? null],
  ['client_id', (event) => event.clientId],
  ['tenant', (event) => event.tenant],
  ['http_method', (event) => event.http.method],
  ['http_route', (event) => event.http.route],
  ['peer', (event) => event.net.peer],
]

const COLUMNS: readonly Column[] = [
  { name: 'id', type: 'text', of: ({ id }) => id },
  { name: 'chain', type: 'text', of: ({ chain }) => chain },
  { name: 'sequence', type: 'bigint', of: ({ sequence }) => sequence },
  { name: 'time', type: 'timestamptz', of: ({ event }) => event?.time ?? null },
  ...SEARCHED.map(
    ([name, of]): Column => ({ name, type: 'text', of: ({ event }) => (event === null ? null : searchable(of(event))) }),
  ),
  { name: 'http_status', type: 'integer', of: ({ event }) => event?.http.status ?? null },
  { name: 'body', type: 'text', of: ({ body }) => body },
]

/**
 * One statement for any number of records: each value is a list, the column of all of them. Without a conflict target it needs no
 * privilege but INSERT, where `on conflict (id)` would ask for SELECT too; the primary key is the table's only constraint.
 */
export function insertStatement(table: string): string {
  const names = COLUMNS.map(({ name }) => name).join(', ')
  const lists = COLUMNS.map(({ type }, index) => `$${index + 1}::${type}[]`).join(', ')
  return `insert into ${table} (${names}) select * from unnest(${lists}) on conflict do nothing`
}

/** The values of {@link insertStatement}. */
export function insertValues(records: readonly DeliveryRecord[]): string[] {
  return COLUMNS.map(({ of }) => arrayLiteral(records.map(of)))
}

/** Longest text of a searched column, in UTF-16 code units: PostgreSQL refuses to index more than 2,704 bytes. */
const SEARCHED_CHARACTERS = 512

/**
 * A caller's text as any database takes it: a text of PostgreSQL cannot hold U+0000, and one record that is refused would hold up
 * all that come after it.
 */
function searchable(text: string | null): string | null {
  if (text === null) return null
  const whole = text.replaceAll('\0', '\uFFFD')
  return whole.length <= SEARCHED_CHARACTERS ? whole : `${whole.slice(0, SEARCHED_CHARACTERS - 1)}…`
}
