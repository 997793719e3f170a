import type { AuditEvent, AuditParty } from '../audit/event.js'
import { consentOf } from './consent.js'

/** Version of the CSV columns: a minor one adds columns at the end, a major one changes what is there. */
export const CSV_MAPPING_VERSION = '1.1'

type Cell = string | number | boolean | null
type Column = readonly [name: string, cell: (event: AuditEvent) => Cell]

const COLUMNS: readonly Column[] = [
  ['time', ({ time }) => time],
  ['id', ({ id }) => id],
  ['type', ({ type }) => type],
  ['requestId', ({ requestId }) => requestId],
  ['stage', ({ stage }) => stage],
  ['decision', ({ decision }) => decision],
  ['reason', ({ reason }) => reason],
  ['result', ({ result }) => result],
  ['rule', ({ rule }) => rule],
  ['kind', ({ kind }) => kind],
  ...partyColumns('subject', ({ subject }) => subject),
  ...partyColumns('actor', ({ actor }) => actor),
  ['chain', ({ chain }) => JSON.stringify(chain)],
  ['clientId', ({ clientId }) => clientId],
  ['tenant', ({ tenant }) => tenant],
  ['grantId', ({ grantId }) => grantId],
  ['scopes.token', ({ scopes }) => JSON.stringify(scopes.token)],
  ['scopes.effective', ({ scopes }) => JSON.stringify(scopes.effective)],
  ['token.issuer', ({ token }) => token.issuer],
  ['token.id', ({ token }) => token.id],
  ['token.issuedAt', ({ token }) => token.issuedAt],
  ['token.expiresAt', ({ token }) => token.expiresAt],
  ['token.keyId', ({ token }) => token.keyId],
  ['token.algorithm', ({ token }) => token.algorithm],
  ['keys.ageSeconds', ({ keys }) => keys.ageSeconds],
  ['keys.stale', ({ keys }) => keys.stale],
  ['http.method', ({ http }) => http.method],
  ['http.route', ({ http }) => http.route],
  ['http.status', ({ http }) => http.status],
  ['http.durationMilliseconds', ({ http }) => http.durationMilliseconds],
  ['net.peer', ({ net }) => net.peer],
  ['net.forwarded', ({ net }) => net.forwarded],
  ['net.userAgent', ({ net }) => net.userAgent],
  ['net.callerRequestId', ({ net }) => net.callerRequestId],
  ['trace.traceparent', ({ trace }) => trace.traceparent],
  ['notices', ({ notices }) => JSON.stringify(notices)],
  ['v', ({ v }) => v],
  ['consent.consentId', (event) => consentOf(event)?.consentId ?? null],
  ['consent.expiresAt', (event) => consentOf(event)?.expiresAt ?? null],
  ['consent.ticket', (event) => consentOf(event)?.ticket ?? null],
  ['consent.reason', (event) => consentOf(event)?.reason ?? null],
]

/** The names of the columns as a line of CSV (RFC 4180), without a line break: dotted paths of the native event. */
export function csvHeader(): string {
  return COLUMNS.map(([name]) => name).join(',')
}

/**
 * An event as a line of CSV (RFC 4180), in the order of `csvHeader()`, without a line break: join lines with CR LF. `null` is an
 * empty cell, a list is JSON.
 *
 * A text that a spreadsheet could run is defused with an apostrophe before it: one that begins with `=`, `+`, `-`, `@`, a tab or
 * a line break, also behind white space or invisible characters, and their full-width forms. Such a cell is not the event's text
 * any more: read an export of JSON back, never of CSV.
 */
export function toCsvRow(event: AuditEvent): string {
  return COLUMNS.map(([, cell]) => cellText(cell(event))).join(',')
}

function partyColumns(name: string, party: (event: AuditEvent) => AuditParty | null): readonly Column[] {
  return [
    [`${name}.id`, (event) => party(event)?.id ?? null],
    [`${name}.idClaim`, (event) => party(event)?.idClaim ?? null],
    [`${name}.issuer`, (event) => party(event)?.issuer ?? null],
    [`${name}.type`, (event) => party(event)?.type ?? null],
    [`${name}.profiles`, (event) => profilesOf(party(event))],
    [`${name}.tenant`, (event) => party(event)?.tenant ?? null],
  ]
}

function profilesOf(party: AuditParty | null): string | null {
  return party === null ? null : JSON.stringify(party.profiles)
}

/** Signs that begin a formula. Compatibility forms of them (full-width, small, superscript) become these when normalized. */
const FORMULA = /^[\s\p{Z}\p{C}]*[=+\-@\u2212]/u
const BREAKS_OUT = /^[\t\r\n]/
/** The same behind what a spreadsheet of another locale takes for a separator: quotes do not hold there, as the cell does not begin with one. */
const INNER_FORMULA = /([;\t|\r\n])(?=([\s\p{Z}\p{C}]*[=+\-@\u2212\uff1d\uff0b\uff0d\uff20\ufe62\ufe63\ufe66\ufe6b]))/gu

/** What has to be quoted (RFC 4180 2.6), and what other readers take for a separator. */
const NEEDS_QUOTES = /[",;\t\r\n]|^\s|\s$/

function cellText(cell: Cell): string {
  if (typeof cell !== 'string') return cell === null ? '' : `${cell}`
  const dangerous = BREAKS_OUT.test(cell) || FORMULA.test(cell.normalize('NFKC'))
  const text = (dangerous ? `'${cell}` : cell).replace(INNER_FORMULA, "$1'")
  return dangerous || NEEDS_QUOTES.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}
