import { CommandError } from '../command-error.js'

const SECONDS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400, w: 604_800 }
const AGE = /^(\d{1,6})([smhdw])$/
const MOMENT = /^(\d{4}-\d{2}-\d{2})(T\d{2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?(Z|[+-]\d{2}:\d{2})?)?$/

/**
 * A moment, in milliseconds since the epoch: an age (`90s`, `30m`, `2h`, `3d`, `1w`), or RFC 3339. A date alone is its beginning,
 * and what names no zone is UTC.
 * @throws {CommandError}
 */
export function parseSince(text: string, nowMilliseconds: number): number {
  const [, count, unit = ''] = AGE.exec(text) ?? []
  if (count !== undefined) return nowMilliseconds - Number(count) * (SECONDS[unit] ?? 0) * 1000
  const [, date = '', time = 'T00:00Z', zone] = MOMENT.exec(text) ?? []
  const milliseconds = Date.parse(`${date}${time}${zone === undefined && time !== 'T00:00Z' ? 'Z' : ''}`)
  if (date === '' || Number.isNaN(milliseconds) || !isDate(date)) {
    throw new CommandError("--since must be an age such as '2h' or '3d', or a time such as '2026-09-21T13:00:00Z'")
  }
  return milliseconds
}

/** The 31st of a month with 30 days is none. */
function isDate(date: string): boolean {
  const milliseconds = Date.parse(`${date}T00:00Z`)
  return !Number.isNaN(milliseconds) && new Date(milliseconds).toISOString().startsWith(date)
}
