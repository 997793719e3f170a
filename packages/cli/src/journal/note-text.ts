import type { JsonValue } from '@behalf/core'
import type { JournalRecord } from '@behalf/journal'
import { partyName } from './party-name.js'
import { fieldAt, numberAt, textAt } from './record-fields.js'

/** What a record of the journal's own says, as a sentence. Texts in it are not escaped yet. */
export function noteText({ kind, body }: JournalRecord): string {
  switch (kind) {
    case 'gap':
      return `gap: ${count(body, 'decisions', 'decision')}, ${count(body, 'outcomes', 'outcome')} and ${count(body, 'refusals', 'refusal')} are not in this journal (${textAt(body, 'reason') ?? '?'}), ${span(body)}`
    case 'failure':
      return `failure: a write or sync failed (${textAt(body, 'code') ?? '?'}); the journal goes on here`
    case 'recovery':
      return `recovery: ${recoveryText(body)}`
    case 'refusals':
      return `refusals: ${numberAt(body, 'count') ?? '?'} more of ${partyName(fieldAt(body, 'actor')) ?? 'somebody'} at ${textAt(body, 'issuer') ?? 'no known issuer'}, ${span(body)}: ${reasonsText(body)}`
    case 'retention':
      return `retention: records ${numberAt(body, 'removed', 'from') ?? '?'} to ${numberAt(body, 'removed', 'through') ?? '?'} were removed on purpose (${count(fieldAt(body, 'removed') ?? null, 'segments', 'segment')})`
    case 'segment':
      return `segment: begins here, of journal ${textAt(body, 'journal') ?? '?'}`
    case 'checkpoint':
      return `checkpoint: ${typeof body === 'string' ? body.split('\n').slice(0, 3).join(' ') : '?'}`
    case 'end':
      return 'end: the writer ended as it should'
    case 'event':
      return ''
  }
}

/** When a record of the journal's own was written, or what it counts came to an end; `null` where it does not say. */
export function noteTime({ kind, body }: JournalRecord): string | null {
  if (kind === 'segment') return textAt(body, 'created')
  if (kind === 'checkpoint') return typeof body === 'string' ? (/^time (\S+)$/m.exec(body)?.[1] ?? null) : null
  return textAt(body, 'time') ?? textAt(body, 'to')
}

function recoveryText(body: JsonValue): string {
  const closed = count(body, 'closed', 'decision')
  const bytes = numberAt(body, 'cut', 'bytes')
  const cut =
    bytes === null
      ? 'nothing was cut off'
      : `${bytes} bytes were cut off the end of ${textAt(body, 'cut', 'segment') ?? 'a segment'}`
  const durable = numberAt(body, 'cut', 'durable') ?? 0
  return `${cut}${durable > 0 ? `, of which ${durable} records had been durable` : ''}; ${closed} closed as unknown`
}

function reasonsText(body: JsonValue): string {
  const reasons = fieldAt(body, 'reasons')
  if (typeof reasons !== 'object' || reasons === null || Array.isArray(reasons)) return '?'
  return Object.entries(reasons)
    .map(([code, times]) => `${code} ${typeof times === 'number' ? times : '?'}`)
    .join(', ')
}

function span(body: JsonValue): string {
  return `from ${textAt(body, 'from') ?? '?'} to ${textAt(body, 'to') ?? '?'}`
}

function count(body: JsonValue, name: string, singular: string): string {
  const value = numberAt(body, name)
  return `${value ?? '?'} ${singular}${value === 1 ? '' : 's'}`
}
