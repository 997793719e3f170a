import { styleText } from 'node:util'
import type { AuditEvent } from '@behalf/core'
import type { Call } from './calls.js'
import type { RunningApi } from './listen.js'
import type { Demo } from './start.js'

type Style = Parameters<typeof styleText>[0]

/** Colours are for people at a terminal who have not asked to be spared (https://no-color.org). */
const coloured = process.stdout.isTTY === true && !process.env['NO_COLOR']

export function paint(style: Style, text: string): string {
  return coloured ? styleText(style, text, { validateStream: false }) : text
}

/** Text from elsewhere, without what could move a cursor, forge a line or turn writing round. */
export function printable(text: string): string {
  return text.replace(/[\p{C}\p{Zl}\p{Zp}]/gu, (each) => `\\u{${each.codePointAt(0)?.toString(16)}}`)
}

export function say(text = ''): void {
  process.stdout.write(`${text}\n`)
}

/** The demo's first page: addresses, and calls to paste. */
export function introduction({ issuer, apis, tokens }: Demo, calls: readonly Call[]): string {
  const [first, ...others] = apis
  const lines = [
    `Test issuer  ${issuer}`,
    ...apis.map(({ name, url }) => `${`${titleOf(name)} API`.padEnd(11)}  ${url}`),
    '',
    `Paste a line into another terminal. ${others.map(({ name, url }) => `${titleOf(name)} answers the same on port ${new URL(url).port}`).join(', ')}.`,
    'The tokens are good for an hour, and for this run of the demo only.',
    '',
  ]
  for (const call of calls) {
    lines.push(paint('bold', `${call.name} - ${call.expectation}`))
    lines.push(curlLine(`${first?.url}${call.path}`, call.method, tokens[call.token]), '')
  }
  lines.push('Audit events (time, API, decision, who, why, request, result). Ctrl-C ends the demo.')
  return lines.join('\n')
}

function curlLine(url: string, method: string, token: string): string {
  return `curl -i -w "\\n" ${method === 'GET' ? '' : `-X ${method} `}${url} -H "Authorization: Bearer ${token}"`
}

function titleOf(name: RunningApi['name']): string {
  return name === 'express' ? 'Express' : 'Koa'
}

const DECISION_STYLES = { allow: 'green', refuse: 'red', would_refuse: 'yellow' } as const

/** An audit event in one line. An outcome repeats the decision that let the call in; the line says `ended` instead. */
export function eventLine(api: RunningApi['name'], event: AuditEvent): string {
  const { time, type, decision, reason, rule, http, result } = event
  const word = type === 'access.outcome' ? paint('dim', 'ended'.padEnd(6)) : paint(DECISION_STYLES[decision], decision.padEnd(6))
  const why = reason ?? (rule === null ? 'no rule needed' : `rule ${rule}`)
  const request = `${http.method} ${http.route ?? '(before routing)'}`
  const end = [http.status ?? '', ...(result === null ? [] : [result, `after ${http.durationMilliseconds} ms`])]
  const cells = [
    paint('dim', printable(time.slice(11, 23))),
    api.padEnd(7),
    word,
    whoOf(event).padEnd(36),
    printable(why).padEnd(22),
    printable(request).padEnd(26),
    end.join(' '),
  ]
  return cells.join('  ').trimEnd()
}

/** `actor → subject`, and behind whom the actor stands. */
function whoOf({ subject, chain }: AuditEvent): string {
  if (subject === null) return '(nobody proven)'
  const [actor, ...history] = chain.map(({ id }) => printable(id ?? '(unnamed)'))
  const name = printable(subject.id ?? '(unnamed)')
  if (actor === undefined) return `${name}, directly`
  return `${actor} → ${name}${history.length === 0 ? '' : ` (after ${history.join(', ')})`}`
}

/** Rows under a head, in columns as wide as their widest cell. */
export function tableOf(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((title, column) => Math.max(title.length, ...rows.map((row) => row[column]?.length ?? 0)))
  const lineOf = (cells: readonly string[]) =>
    cells
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd()
  return [paint('bold', lineOf(head)), ...rows.map(lineOf)].join('\n')
}
