import type { JournalRecord } from '@behalf/journal'
import { escapeText, isolated } from '../text/escape-text.js'
import type { Look, Style } from '../text/style.js'
import { cutToWidth, padToWidth } from '../text/text-width.js'
import { noteText, noteTime } from './note-text.js'
import { partyName } from './party-name.js'
import { fieldAt, numberAt, textAt } from './record-fields.js'

/** Records as lines of a table. */
export interface RecordTable {
  /** The names of the columns. */
  header(): string
  /** One record as one line. */
  line(record: JournalRecord): string
}

interface Column {
  readonly name: string
  /** Columns of the terminal that it always has. */
  readonly columns: number
  /** Its part of what is left; 0: it does not grow. */
  readonly share: number
}

const GAP = '  '
const NARROWEST = 72
/** Below this width, times and kinds are shortened. */
const ROOMY = 120

const WIDE_COLUMNS: readonly Column[] = [
  { name: 'TIME', columns: 24, share: 0 },
  { name: 'WHAT', columns: 12, share: 0 },
  { name: 'ACTOR', columns: 10, share: 3 },
  { name: 'KIND', columns: 15, share: 0 },
  { name: 'SUBJECT', columns: 10, share: 3 },
  { name: 'CALL', columns: 12, share: 4 },
  { name: 'RULE OR REASON', columns: 14, share: 4 },
]
const NARROW_COLUMNS: readonly Column[] = [
  { name: 'TIME', columns: 14, share: 0 },
  { name: 'WHAT', columns: 12, share: 0 },
  { name: 'ACTOR', columns: 7, share: 3 },
  { name: 'KIND', columns: 4, share: 0 },
  { name: 'SUBJECT', columns: 7, share: 3 },
  { name: 'CALL', columns: 8, share: 4 },
  { name: 'REASON', columns: 8, share: 3 },
]

/**
 * Lays records out in columns: cut to the width of a terminal, or whole where there is none.
 * @param width columns of the terminal; `null`: nothing is cut
 */
export function createRecordTable(width: number | null, style: Style): RecordTable {
  const narrow = width !== null && width < ROOMY
  const columns = narrow ? NARROW_COLUMNS : WIDE_COLUMNS
  const widths = widthsOf(columns, width)
  const total = width === null ? null : Math.max(width, NARROWEST)
  const looks = (cells: readonly string[], look: (index: number) => Look | null): string =>
    cells
      .map((cell, index) => {
        const room = widths[index] ?? 0
        const cut = width === null ? cell : cutToWidth(cell, room)
        const last = index === cells.length - 1
        const chosen = look(index)
        const shown = isolated(cut)
        const looked = chosen === null ? shown : style(chosen, shown)
        return last ? looked : looked + padToWidth(cut, room).slice(cut.length)
      })
      .join(GAP)
      .trimEnd()

  return {
    header: () =>
      looks(
        columns.map(({ name }) => name),
        () => 'dim',
      ),
    line(record) {
      if (record.kind === 'event') {
        const cells = cellsOf(record, narrow).map(escapeText)
        return looks(cells, (index) => (index === 0 ? 'dim' : index === 1 ? lookOf(record) : null))
      }
      const text = `${padToWidth(timeText(noteTime(record), narrow), widths[0] ?? 0)}${GAP}${escapeText(noteText(record))}`
      return style(GRAVE.has(record.kind) ? 'yellow' : 'dim', isolated(total === null ? text : cutToWidth(text, total)))
    },
  }
}

/** Records that say that something is not in the journal, or went wrong. */
const GRAVE: ReadonlySet<JournalRecord['kind']> = new Set(['gap', 'failure', 'recovery', 'refusals'])

function widthsOf(columns: readonly Column[], width: number | null): readonly number[] {
  if (width === null) return columns.map((column) => column.columns)
  const taken = columns.reduce((sum, column) => sum + column.columns, GAP.length * (columns.length - 1))
  const left = Math.max(0, Math.max(width, NARROWEST) - taken)
  const shares = columns.reduce((sum, { share }) => sum + share, 0)
  return columns.map((column) => column.columns + Math.floor((left * column.share) / shares))
}

function cellsOf({ body }: JournalRecord, narrow: boolean): readonly string[] {
  return [
    timeText(textAt(body, 'time'), narrow),
    whatText(body),
    partyName(fieldAt(body, 'actor')) ?? '-',
    kindText(body, narrow),
    partyName(fieldAt(body, 'subject')) ?? '-',
    callText(body),
    whyText(body),
  ]
}

const ISO = /^\d{4}-(\d{2}-\d{2})T(\d{2}:\d{2}:\d{2})\.\d{3}Z$/

function timeText(time: string | null, narrow: boolean): string {
  if (time === null) return '-'
  return narrow ? escapeText(time).replace(ISO, '$1 $2') : escapeText(time)
}

/** `allow`, `refuse` and `would_refuse` decide; what became of a call stands behind an arrow. */
function whatText(body: JournalRecord['body']): string {
  return textAt(body, 'type') === 'access.outcome' ? `-> ${textAt(body, 'result') ?? '?'}` : (textAt(body, 'decision') ?? '?')
}

function kindText(body: JournalRecord['body'], narrow: boolean): string {
  const kind = textAt(body, 'kind')
  if (kind === null) return '-'
  const chain = fieldAt(body, 'chain')
  const actors = Array.isArray(chain) ? chain.length : 0
  return narrow ? kind.slice(0, 3) : actors > 1 ? `${kind} ${actors}` : kind
}

function callText(body: JournalRecord['body']): string {
  const status = numberAt(body, 'http', 'status')
  const call = `${textAt(body, 'http', 'method') ?? '?'} ${textAt(body, 'http', 'route') ?? '-'}`
  return status === null ? call : `${status} ${call}`
}

function whyText(body: JournalRecord['body']): string {
  const reason = textAt(body, 'reason')
  const rule = textAt(body, 'rule')
  if (reason === null) return rule ?? ''
  return rule === null ? reason : `${reason} (rule ${rule})`
}

function lookOf({ body }: JournalRecord): Look | null {
  if (textAt(body, 'type') === 'access.outcome') return textAt(body, 'result') === 'completed' ? 'dim' : 'yellow'
  const decision = textAt(body, 'decision')
  return decision === 'allow' ? 'green' : decision === 'refuse' ? 'red' : 'yellow'
}
