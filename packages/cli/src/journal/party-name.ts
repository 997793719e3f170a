import type { JsonValue } from '@behalf/core'
import { fieldAt, textAt } from './record-fields.js'

/** Ids that could be taken for words of ours stand in quotes. */
const LOOKS_LIKE_OURS = /^[-("]/

/** Who a party is, for people; `null` where a record names nobody there. Not escaped yet. */
export function partyName(party: JsonValue | undefined): string | null {
  if (party === undefined || party === null) return null
  const id = textAt(party, 'id')
  if (id !== null) return LOOKS_LIKE_OURS.test(id) ? JSON.stringify(id) : id
  return fieldAt(party, 'id') === null ? '(not named)' : '(unreadable)'
}
