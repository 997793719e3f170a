import { isDeepStrictEqual } from 'node:util'
import type { AuditEvent } from '@behalf/core'
import { type MemorySink, memorySink } from '@behalf/testing'
import { type Call, calls, type Expected } from './calls.js'
import type { RunningApi } from './listen.js'
import { paint, printable, say, tableOf } from './printing.js'
import type { Caller } from './rules.js'
import { startDemo } from './start.js'

const PATIENCE_MILLISECONDS = 10_000

/** What an API answered. */
interface Answer {
  readonly call: Call
  readonly api: RunningApi['name']
  /** Sent along as `X-Request-Id`, so that the call's events are found again. */
  readonly requestId: string
  readonly status: number
  readonly caller: Caller | null
  readonly code: string | null
}

/** Makes every call against both APIs, prints what came of it, and says whether all was as expected. */
export async function check(): Promise<boolean> {
  const sinks = { express: memorySink(), koa: memorySink() }
  const demo = await startDemo(null, (api) => sinks[api])
  const answers: Answer[] = []
  try {
    for (const call of calls) {
      for (const api of demo.apis) answers.push(await make(call, api, demo.tokens[call.token]))
    }
  } finally {
    await demo.close() // no request is under way any more: every outcome is written
  }

  const findings = answers.map((answer) => judge(answer, eventsOf(answer, sinks[answer.api])))
  say(tableOf(['call', 'API', 'status', 'subject', 'actor', 'rule or refusal', 'audit events', ''], findings.map(rowOf)))
  say()
  const wrong = findings.filter(({ differences }) => differences.length > 0)
  for (const { answer, differences } of wrong) {
    for (const difference of differences) say(paint('red', `${answer.call.name}, ${answer.api}: ${difference}`))
  }
  say(
    wrong.length === 0 ? `All ${findings.length} calls are as expected.` : `${wrong.length} of ${findings.length} calls differ.`,
  )
  return wrong.length === 0
}

async function make(call: Call, api: RunningApi, token: string): Promise<Answer> {
  const requestId = `${api.name} ${call.name}`
  const response = await fetch(`${api.url}${call.path}`, {
    method: call.method,
    headers: { authorization: `Bearer ${token}`, 'x-request-id': requestId },
    signal: AbortSignal.timeout(PATIENCE_MILLISECONDS),
  })
  const { caller = null, code = null } = (await response.json()) as { caller?: Caller; code?: string }
  return { call, api: api.name, requestId, status: response.status, caller, code }
}

function eventsOf({ requestId }: Answer, sink: MemorySink): readonly AuditEvent[] {
  return sink.events.filter(({ net }) => net.callerRequestId === requestId)
}

/** A call, as it went, beside what was expected. */
interface Finding {
  readonly answer: Answer
  readonly recorded: Expected
  readonly differences: readonly string[]
}

function judge(answer: Answer, events: readonly AuditEvent[]): Finding {
  const { expected } = answer.call
  const recorded = recordOf(answer.status, events)
  return { answer, recorded, differences: [...answerDifferences(answer, expected), ...recordDifferences(recorded, expected)] }
}

/** What the audit events say: each of them names the same parties, and the last decision says why. */
function recordOf(status: number, events: readonly AuditEvent[]): Expected {
  const last = events.findLast(({ type }) => type === 'access.decision')
  return {
    status: events.findLast(({ http }) => http.status !== null)?.http.status ?? status,
    subject: last?.subject?.id ?? null,
    actors: last?.chain.map(({ id }) => id ?? '(unnamed)') ?? [],
    decidedBy: last?.reason ?? last?.rule ?? null,
    events: events.map(({ stage, reason, result, decision }) => `${stage}:${result ?? reason ?? decision}`),
  }
}

function answerDifferences({ status, caller, code }: Answer, expected: Expected): readonly string[] {
  const admitted = expected.status < 400
  return [
    difference('the answer has status', status, expected.status),
    difference('the answer has code', code, admitted ? null : expected.decidedBy),
    difference('the route saw subject', caller?.subject ?? null, admitted ? expected.subject : null),
    difference('the route saw actors', caller?.actors ?? [], admitted ? expected.actors : []),
    difference('the route saw rule', caller?.rule ?? null, admitted ? expected.decidedBy : null),
  ].flat()
}

function recordDifferences(recorded: Expected, expected: Expected): readonly string[] {
  return (Object.keys(expected) as (keyof Expected)[]).flatMap((name) =>
    difference(`the events say ${name}`, recorded[name], expected[name]),
  )
}

function difference(what: string, found: unknown, expected: unknown): readonly string[] {
  if (isDeepStrictEqual(found, expected)) return []
  return [printable(`${what} ${JSON.stringify(found)}, expected ${JSON.stringify(expected)}`)]
}

function rowOf({ answer, recorded, differences }: Finding): readonly string[] {
  const { subject, actors, decidedBy, events } = recorded
  const cells = [
    answer.call.name,
    answer.api,
    String(answer.status),
    subject ?? '-',
    actors.join(' < ') || '-',
    decidedBy ?? '-',
    events.join(' ') || 'none',
    differences.length === 0 ? 'ok' : 'DIFFERS',
  ]
  return cells.map(printable)
}
