import type { AuditEvent, JsonValue } from '@behalf/core'
import {
  CLOUDEVENTS_MAPPING_VERSION,
  CLOUDEVENTS_VERSION,
  type CloudEventOptions,
  CSV_MAPPING_VERSION,
  csvHeader,
  ECS_MAPPING_VERSION,
  ECS_VERSION,
  OCSF_MAPPING_VERSION,
  OCSF_VERSION,
  OTEL_MAPPING_VERSION,
  toCloudEvent,
  toCsvRow,
  toEcs,
  toOcsf,
  toOcsfImpersonation,
  toOtelLogRecord,
  toOtlpJson,
  traceContextOf,
} from '@behalf/core/mappings'
import { testEvent } from '@behalf/testing'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { isValidEvent } from '../../../test/support/audit-schema.js'
import { FUZZ_FACTOR, FUZZ_SEED, FUZZ_TIMEOUT } from '../../../test/support/fuzz-settings.js'
import { arbitraryEvent } from './golden/arbitrary-event.js'
import { GOLDEN_EVENTS } from './golden/events.js'

const RUNS = { numRuns: 150 * FUZZ_FACTOR, seed: FUZZ_SEED }
const SOURCE = { source: 'urn:example:orders' }

type Json = Readonly<Record<string, unknown>>

/** Every mapping to JSON, by its name. */
const MAPPINGS: Readonly<Record<string, (event: AuditEvent) => unknown>> = {
  toOcsf: (event) => toOcsf(event),
  toOcsfImpersonation: (event) => toOcsfImpersonation(event),
  toEcs,
  toCloudEvent: (event) => toCloudEvent(event, SOURCE),
  toOtelLogRecord,
  toOtlpJson: (event) => toOtlpJson([event]),
}

const golden = (name: string): AuditEvent => GOLDEN_EVENTS[name] ?? expect.fail(`no golden event ${name}`)

/** What stands at a dotted path, where names may hold dots themselves when given as a list. */
function at(value: unknown, ...path: readonly (string | number)[]): unknown {
  return path.reduce<unknown>((each, name) => (each as Json | undefined)?.[name], value)
}

/** Every path of a value with what stands there. */
function leaves(value: unknown, path = ''): [string, unknown][] {
  if (typeof value !== 'object' || value === null) return [[path, value]]
  return Object.entries(value).flatMap(([name, member]) => leaves(member, `${path}.${name}`))
}

/** The one log record of an OTLP request. */
const logRecord = (event: AuditEvent) => at(toOtlpJson([event]), 'resourceLogs', 0, 'scopeLogs', 0, 'logRecords', 0) as Json

/** A value of OTLP read back, written from the protocol's side. */
function decoded(value: Json): JsonValue {
  if ('stringValue' in value) return value['stringValue'] as string
  if ('boolValue' in value) return value['boolValue'] as boolean
  if ('intValue' in value) return Number(value['intValue'])
  if ('doubleValue' in value) return value['doubleValue'] as number
  if ('arrayValue' in value) return (at(value, 'arrayValue', 'values') as Json[]).map(decoded)
  return 'kvlistValue' in value ? decodedMap(at(value, 'kvlistValue', 'values') as Json[]) : null
}

function decodedMap(pairs: readonly Json[]): Record<string, JsonValue> {
  return Object.fromEntries(pairs.map(({ key, value }) => [key, decoded(value as Json)]))
}

describe('any valid event', () => {
  test('the generator makes valid events', () => {
    fc.assert(
      fc.property(arbitraryEvent, (event) => isValidEvent(event)),
      RUNS,
    )
  })

  test.each(Object.entries(MAPPINGS))(
    '%s: never throws, has no undefined member, is JSON as it is, and the same each time',
    (_name, map) => {
      fc.assert(
        fc.property(arbitraryEvent, (event) => {
          const before = JSON.stringify(event)
          const made = map(event)
          expect(leaves(made).filter(([, leaf]) => leaf === undefined)).toEqual([])
          expect(JSON.parse(JSON.stringify(made))).toEqual(JSON.parse(JSON.stringify(map(JSON.parse(before)))))
          expect(JSON.stringify(made)).toBe(JSON.stringify(map(JSON.parse(before))))
          for (const [, leaf] of leaves(made)) if (typeof leaf === 'number') expect(Number.isFinite(leaf)).toBe(true)
          expect(JSON.stringify(event)).toBe(before)
        }),
        RUNS,
      )
    },
    FUZZ_TIMEOUT,
  )

  test('its ids arrive whole', () => {
    fc.assert(
      fc.property(arbitraryEvent, (event) => {
        const { id, requestId } = event
        expect([at(toOcsf(event), 'metadata', 'uid'), at(toOcsf(event), 'metadata', 'correlation_uid')]).toEqual([id, requestId])
        expect([at(toEcs(event), 'event', 'id'), at(toEcs(event), 'http', 'request', 'id')]).toEqual([id, requestId])
        expect(toCloudEvent(event, SOURCE)).toMatchObject({ id, requestid: requestId })
        expect(toOtelLogRecord(event).attributes).toMatchObject({ 'log.record.uid': id, 'behalf.request.id': requestId })
        const switched = toOcsfImpersonation(event)
        if (switched !== null) {
          expect(at(switched, 'metadata', 'uid')).toBe(`${id}:300207`)
          expect(at(switched, 'metadata', 'original_event_uid')).toBe(id)
        }
      }),
      RUNS,
    )
  })

  test('its time is the same moment everywhere', () => {
    fc.assert(
      fc.property(arbitraryEvent, (event) => {
        const milliseconds = new Date(event.time).getTime()
        expect(toOcsf(event)['time']).toBe(milliseconds)
        expect(toEcs(event)['@timestamp']).toBe(event.time)
        expect(toCloudEvent(event, SOURCE).time).toBe(event.time)
        const [seconds, nanoseconds] = toOtelLogRecord(event).timestamp
        expect(BigInt(seconds) * 1_000_000_000n + BigInt(nanoseconds)).toBe(BigInt(milliseconds) * 1_000_000n)
        expect(nanoseconds).toBeGreaterThanOrEqual(0)
        const exact = BigInt(milliseconds) * 1_000_000n
        const nanos = exact < 0n || exact >= 2n ** 64n ? 0n : exact
        expect([logRecord(event)['timeUnixNano'], logRecord(event)['observedTimeUnixNano']]).toEqual([`${nanos}`, `${nanos}`])
      }),
      RUNS,
    )
  })

  test('can be had back whole from OTLP, and its attributes are those of the API', () => {
    fc.assert(
      fc.property(arbitraryEvent, (event) => {
        const record = logRecord(event)
        expect(decoded(record['body'] as Json)).toEqual(JSON.parse(JSON.stringify(event)))
        expect(decodedMap(record['attributes'] as Json[])).toEqual(toOtelLogRecord(event).attributes)
      }),
      RUNS,
    )
  })

  test('keeps subject and actor verbatim in OCSF, whichever way its actor points', () => {
    fc.assert(
      fc.property(arbitraryEvent, (event) => {
        const { subject, actor, chain, kind } = event
        expect(at(toOcsf(event), 'unmapped', 'delegation')).toMatchObject({ subject, actor, chain, kind })
        expect(at(toOcsfImpersonation(event), 'unmapped', 'delegation', 'actor')).toEqual(
          kind === 'impersonation' ? actor : undefined,
        )
      }),
      RUNS,
    )
  })

  test('never has a user.target in ECS', () => {
    fc.assert(
      fc.property(arbitraryEvent, (event) => at(toEcs(event), 'user', 'target') === undefined),
      RUNS,
    )
  })

  test('nothing that a proxy or caller wrote gets into a place that is trusted', () => {
    const [forwarded, callerRequestId, userAgent, keyId] = ['192.0.2.201', '192.0.2.202', '192.0.2.203', '192.0.2.204']
    const allowed = new Map([
      [forwarded, /^\.(unmapped\.behalf|behalf|data|body)\.net\.forwarded$/],
      [callerRequestId, /^\.(unmapped\.behalf|behalf|data|body)\.net\.callerRequestId$/],
      [keyId, /^\.(unmapped\.behalf\.token|behalf\.token|data\.token|body\.token)\.keyId$/],
      [
        userAgent,
        /^\.(http_request\.user_agent|user_agent\.original|(data|body)\.net\.userAgent|attributes\.user_agent\.original)$/,
      ],
    ])
    fc.assert(
      fc.property(arbitraryEvent, (drawn) => {
        const event = { ...drawn, net: { ...drawn.net, forwarded, callerRequestId, userAgent }, token: { ...drawn.token, keyId } }
        for (const [name, map] of Object.entries(MAPPINGS)) {
          if (name === 'toOtlpJson') continue // its attributes are those of toOtelLogRecord, and its body is the event
          for (const [path, leaf] of leaves(map(event))) {
            const fits = allowed.get(`${leaf}`)
            if (fits !== undefined) expect(path).toMatch(fits)
          }
        }
      }),
      RUNS,
    )
  })
})

describe('who acts', () => {
  const actorOf = (name: string) => toOcsf(golden(name))['actor']
  const person = { user: { uid: 'user-1', domain: 'https://as.example.test', type_id: 1, type: 'User' } }
  const nobody = { user: { name: 'Unknown', type_id: 0, type: 'Unknown' } }

  test.each<[string, unknown, unknown]>([
    ['direct-allow', person, undefined],
    ['direct-service', { app_uid: 'billing', application: { uid: 'billing' } }, undefined],
    ['impersonation-allow', { user: { uid: 'support-1', type_id: 1, type: 'User' } }, undefined],
    ['impersonation-unknown-actor', nobody, undefined],
    ['delegation-chain', { app_uid: 'billing', application: { uid: 'billing' } }, undefined],
    ['delegation-ai-agent', person, { uid: 'agent-7' }],
    ['refused-before-signature', nobody, undefined],
  ])('%s: OCSF', (name, actor, agent) => {
    expect(actorOf(name)).toEqual(actor)
    expect(toOcsf(golden(name))['ai_agent']).toEqual(agent)
    expect(at(toOcsf(golden(name)), 'metadata', 'profiles')).toEqual(
      expect.arrayContaining(agent === undefined ? ['security_control'] : ['security_control', 'ai_operation']),
    )
  })

  test('an AI agent that calls by itself is its own principal', () => {
    const subject = { ...testEvent().actor, id: 'agent-7', profiles: ['ai_agent'] } as NonNullable<AuditEvent['subject']>
    const event = testEvent({ kind: 'direct', subject, actor: null, chain: [], rule: null })
    expect(toOcsf(event)).toMatchObject({ ai_agent: { uid: 'agent-7' }, actor: { user: { uid: 'agent-7' } } })
    expect(toCloudEvent(event, SOURCE).authtype).toBe('service_account')
  })

  test('a person of another profile is no AI agent', () => {
    const actor = { ...testEvent().actor, id: 'support-1', profiles: ['employee', 'ai_agents'] } as NonNullable<
      AuditEvent['actor']
    >
    const event = testEvent({ actor, chain: [actor] })
    expect(toOcsf(event)).toMatchObject({ actor: { user: { uid: 'support-1' } } })
    expect(toOcsf(event)).not.toHaveProperty('ai_agent')
    expect(toCloudEvent(event, SOURCE).authtype).toBe('unknown')
  })

  test.each<[string, unknown]>([
    ['direct-allow', { id: 'user-1', domain: 'https://as.example.test' }],
    ['impersonation-allow', { id: 'support-1', effective: { id: 'user-1', domain: 'https://as.example.test' } }],
    ['impersonation-unknown-actor', { effective: { id: 'user-1', domain: 'https://as.example.test' } }],
    ['refused-before-signature', undefined],
  ])('%s: ECS', (name, user) => expect(toEcs(golden(name))['user']).toEqual(user))

  test('everybody whom an event names can be found in ECS, once', () => {
    expect(at(toEcs(golden('delegation-chain')), 'related', 'user')).toEqual(['billing', 'user-1', 'support-1'])
    expect(at(toEcs(golden('direct-self-actor')), 'related', 'user')).toEqual(['user-1'])
    expect(toEcs(golden('outcome-completed'))['related']).toEqual({ user: ['support-1', 'user-1'], ip: ['10.0.0.7'] })
  })

  test.each<[string, object]>([
    ['direct-allow', { authtype: 'app_user', authid: 'user-1' }],
    ['direct-service', { authtype: 'service_account', authid: 'billing' }],
    ['impersonation-allow', { authtype: 'app_user', authid: 'support-1', onbehalfof: 'user-1' }],
    ['impersonation-unknown-actor', { authtype: 'unknown', onbehalfof: 'user-1' }],
    ['delegation-ai-agent', { authtype: 'service_account', authid: 'agent-7', onbehalfof: 'user-1' }],
    ['refused-before-signature', { authtype: 'unknown' }],
    ['refused-without-credentials', { authtype: 'unauthenticated' }],
  ])('%s: CloudEvents', (name, expected) => {
    const { authtype, authid, onbehalfof } = toCloudEvent(golden(name), SOURCE)
    expect(JSON.parse(JSON.stringify({ authtype, authid, onbehalfof }))).toEqual(expected)
  })

  test('an id that CloudEvents does not take for text is left out, not changed', () => {
    for (const id of ['a\ufffe', 'a\u{1ffff}', '\ufdd0', 'a\u0085', '\ud800']) {
      const subject = { ...(testEvent().subject as object), id } as NonNullable<AuditEvent['subject']>
      const made = toCloudEvent(testEvent({ subject, actor: subject, chain: [subject] }), SOURCE)
      expect(made).not.toHaveProperty('authid')
      expect(made).not.toHaveProperty('onbehalfof')
      expect(made.data.subject?.id).toBe(id)
    }
  })

  test('a chain in OpenTelemetry keeps the place of somebody who is not named', () => {
    expect(toOtelLogRecord(golden('delegation-chain')).attributes['delegation.chain']).toEqual(['billing', '', 'support-1'])
  })
})

describe('what was decided, and what came of it', () => {
  test.each<[string, readonly unknown[]]>([
    // action, disposition, status, label, severity, ECS type, ECS outcome, OpenTelemetry
    ['direct-allow', [1, 1, 0, 'Unknown', 1, 'allowed', 'unknown', 'INFO']],
    ['would-refuse', [1, 1, 0, 'Unknown', 2, 'allowed', 'unknown', 'WARN']],
    ['refused-by-rule', [2, 2, 2, 'Failure', 2, 'denied', 'failure', 'WARN']],
    ['refused-before-signature', [2, 2, 2, 'Failure', 2, 'denied', 'failure', 'WARN']],
    ['outcome-completed', [1, 1, 1, 'Success', 1, 'allowed', 'success', 'INFO']],
    ['outcome-failed', [1, 1, 2, 'Failure', 3, 'allowed', 'failure', 'ERROR']],
    ['outcome-aborted', [1, 1, 99, 'aborted', 2, 'allowed', 'unknown', 'WARN']],
    ['outcome-refused', [1, 1, 2, 'Failure', 2, 'allowed', 'failure', 'WARN']],
    ['outcome-not-run', [1, 1, 2, 'Failure', 2, 'allowed', 'failure', 'WARN']],
    ['outcome-unknown', [1, 1, 0, 'Unknown', 2, 'allowed', 'unknown', 'WARN']],
  ])('%s', (name, expected) => {
    const [ocsf, ecs] = [toOcsf(golden(name)), toEcs(golden(name))]
    const words = ['action_id', 'disposition_id', 'status_id', 'status', 'severity_id'].map((each) => ocsf[each])
    const made = [...words, at(ecs, 'event', 'type', 1), at(ecs, 'event', 'outcome'), toOtelLogRecord(golden(name)).severityText]
    expect(made).toEqual(expected)
    const { reason, result } = golden(name)
    expect([ocsf['status_code'], ocsf['status_detail']]).toEqual([reason ?? undefined, result ?? undefined])
    expect([at(ecs, 'event', 'reason'), at(ecs, 'behalf', 'result')]).toEqual([reason ?? undefined, result])
    expect(toOtelLogRecord(golden(name)).attributes['error.type']).toBe(reason ?? undefined)
  })

  test.each<[string, number, string]>([
    ['GET', 2, 'Read'],
    ['HEAD', 2, 'Read'],
    ['PUT', 3, 'Update'],
    ['PATCH', 3, 'Update'],
    ['DELETE', 4, 'Delete'],
    ['POST', 99, 'POST'],
    ['OPTIONS', 99, 'OPTIONS'],
    ['PURGE', 99, 'PURGE'],
    ['OTHER', 0, 'Unknown'],
  ])('%s is activity %i of OCSF', (method, id, activity) => {
    const http = { method, route: '/orders/:id', status: null, durationMilliseconds: null }
    const made = toOcsf(testEvent({ http }))
    expect([made['activity_id'], made['activity_name'], made['type_uid']]).toEqual([id, activity, 600300 + id])
    expect(made['api']).toEqual({ operation: `${method} /orders/:id` })
    const registered = method !== 'PURGE' && method !== 'OTHER'
    expect(at(made, 'http_request', 'http_method')).toBe(registered ? method : undefined)
    expect(at(toEcs(testEvent({ http })), 'http', 'request', 'method')).toBe(method)
    expect(toOtelLogRecord(testEvent({ http })).attributes).toMatchObject(
      registered ? { 'http.request.method': method } : { 'http.request.method': '_OTHER' },
    )
    expect(toOtelLogRecord(testEvent({ http })).attributes['http.request.method_original']).toBe(
      method === 'PURGE' ? 'PURGE' : undefined,
    )
  })

  test('durations are whole numbers of their unit, and left out where they cannot be', () => {
    const lasting = (durationMilliseconds: number) =>
      ({ ...golden('outcome-completed'), http: { method: 'GET', route: null, status: 200, durationMilliseconds } }) as AuditEvent
    expect(at(toOcsf(lasting(12.6)), 'http_response')).toEqual({ code: 200, latency: 13 })
    expect(at(toEcs(lasting(12.6)), 'event', 'duration')).toBe(12_600_000)
    expect(at(toOcsf(lasting(1e300)), 'http_response')).toEqual({ code: 200 })
    expect(at(toEcs(lasting(1e300)), 'event')).not.toHaveProperty('duration')
    expect(at(toOcsf(golden('outcome-unknown')))).not.toHaveProperty('http_response')
  })

  test('the first sight of an impersonation is an account switch, and only of an impersonation', () => {
    const switched = toOcsfImpersonation(golden('impersonation-allow'), { service: 'orders' })
    expect(switched).toMatchObject({
      ...{ class_uid: 3002, category_uid: 3, activity_id: 7, type_uid: 300207, account_switch_type_id: 2, status_id: 1 },
      ...{ user: { uid: 'user-1' }, actor: { user: { uid: 'support-1' } }, service: { name: 'orders' } },
    })
    expect(toOcsfImpersonation(golden('impersonation-allow'))).toMatchObject({ service: { name: 'behalf' } })
    expect(toOcsfImpersonation(golden('refused-by-rule'))).toMatchObject({ status_id: 2, status: 'Failure' })
    for (const name of ['direct-allow', 'delegation-chain', 'refused-before-signature']) {
      expect(toOcsfImpersonation(golden(name))).toBeNull()
    }
  })
})

describe('where from', () => {
  const from = (peer: string | null) => testEvent({ net: { peer, forwarded: null, userAgent: null, callerRequestId: null } })

  test.each(['10.0.0.7', '255.255.255.255', '::1', '2001:db8::7', '::ffff:10.0.0.7', '2001:DB8::7'])(
    '%s is an address',
    (peer) => {
      expect(toOcsf(from(peer))['src_endpoint']).toEqual({ ip: peer })
      expect(toEcs(from(peer))['source']).toEqual({ address: peer, ip: peer })
      expect(at(toEcs(from(peer)), 'related', 'ip')).toEqual([peer])
      expect(toOtelLogRecord(from(peer)).attributes['client.address']).toBe(peer)
    },
  )

  test.each([
    'fe80::1%eth0',
    '/run/api.sock',
    '999.1.1.1',
    '010.0.0.7',
    '1.2.3',
    '1:2',
    ':',
    '::1]/x[',
    '12345::',
    '[::1]',
    '1.2.3.4:5',
  ])('%s is none', (peer) => {
    expect(toOcsf(from(peer))['src_endpoint']).toEqual({ name: peer })
    expect(toEcs(from(peer))['source']).toEqual({ address: peer })
    expect(at(toEcs(from(peer)), 'related', 'ip')).toBeUndefined()
  })

  test('nobody knows', () => {
    expect(toOcsf(from(null))['src_endpoint']).toEqual({ name: 'Unknown' })
    expect(toOcsf(from(''))['src_endpoint']).toEqual({ name: 'Unknown' })
    expect(toEcs(from(null))).not.toHaveProperty('source')
    expect(toEcs(from(null))).not.toHaveProperty('user_agent')
    expect(toOtelLogRecord(from(null)).attributes).not.toHaveProperty('client.address')
  })
})

describe('the trace', () => {
  const traced = (traceparent: string | null) => testEvent({ trace: { traceparent } })
  const [id, span] = ['4bf92f3577b34da6a3ce929d0e0e4736', '00f067aa0ba902b7']

  test('is named where the caller names one', () => {
    const event = traced(`00-${id}-${span}-01`)
    expect(traceContextOf(event)).toEqual({ traceId: id, spanId: span, flags: 1 })
    expect(toOcsf(event)['trace']).toEqual({ uid: id })
    expect(at(toOcsf(event), 'metadata', 'profiles')).toEqual(['security_control', 'trace'])
    expect(toEcs(event)['trace']).toEqual({ id })
    expect(toCloudEvent(event, SOURCE).traceparent).toBe(`00-${id}-${span}-01`)
    expect(logRecord(event)).toMatchObject({ traceId: id, spanId: span, flags: 1 })
    expect(traceContextOf(traced(`cc-${id}-${span}-ff`))?.flags).toBe(255)
  })

  test.each([null, `00-${'0'.repeat(32)}-${span}-01`, `00-${id}-${'0'.repeat(16)}-01`, `ff-${id}-${span}-01`])(
    '%s names none',
    (traceparent) => {
      const event = traced(traceparent)
      expect(traceContextOf(event)).toBeNull()
      expect([toOcsf(event)['trace'], toEcs(event)['trace'], toCloudEvent(event, SOURCE).traceparent]).toEqual([
        undefined,
        undefined,
        undefined,
      ])
      expect(Object.keys(logRecord(event))).not.toEqual(expect.arrayContaining(['traceId']))
      expect(at(toOcsf(event), 'unmapped', 'behalf', 'traceparent')).toBe(traceparent)
      expect(at(toEcs(event), 'behalf', 'traceparent')).toBe(traceparent)
    },
  )
})

describe('times that no clock of ours shows', () => {
  test('a leap second is the second after it', () => {
    expect(toOcsf(testEvent({ time: '2016-12-31T23:59:60.500Z' }))['time']).toBe(Date.parse('2017-01-01T00:00:00.500Z'))
  })
  test('text that is no time does not end an export', () => {
    const event = testEvent({ time: 'once' })
    expect(toOcsf(event)['time']).toBe(0)
    expect(logRecord(event)['timeUnixNano']).toBe('0')
    expect(toOtelLogRecord(event).timestamp).toEqual([0, 0])
  })
})

describe('CSV', () => {
  /** A reader of RFC 4180, written from the grammar: what stands between quotes is text, `""` a quote. */
  function parseCsv(text: string): string[][] {
    const rows: string[][] = [['']]
    let quoted = false
    const append = (character: string) => {
      const row = rows[rows.length - 1] ?? expect.fail('no row')
      row[row.length - 1] += character
    }
    for (let index = 0; index < text.length; index++) {
      const character = text.charAt(index)
      if (quoted) {
        if (character !== '"') append(character)
        else if (text.charAt(index + 1) === '"') append(text.charAt(index++))
        else quoted = false
      } else if (character === '"') quoted = true
      else if (character === ',') rows[rows.length - 1]?.push('')
      else if (character === '\r' && text.charAt(index + 1) === '\n') {
        rows.push([''])
        index++
      } else append(character)
    }
    return rows
  }

  const LISTS = ['chain', 'scopes.token', 'scopes.effective', 'subject.profiles', 'actor.profiles', 'notices']

  /** What a column holds, by its dotted name alone. */
  function textAt(event: AuditEvent, column: string): string {
    const value = at(event, ...column.split('.'))
    if (value === null || value === undefined) return ''
    return LISTS.includes(column) ? JSON.stringify(value) : `${value}`
  }

  test('the columns are paths of the native event: none is missing, and none is named twice', () => {
    const columns = csvHeader().split(',')
    expect(new Set(columns).size).toBe(columns.length)
    const paths = leaves(golden('direct-allow')).map(([path]) => path.slice(1))
    const covered = (path: string) =>
      columns.some((column) => path === column || path.startsWith(`${column}.`) || column.startsWith(`${path}.`))
    expect(paths.filter((path) => !covered(path))).toEqual([])
  })

  test(
    'any event is read back cell by cell, but for the apostrophe',
    () => {
      fc.assert(
        fc.property(fc.array(arbitraryEvent, { minLength: 1, maxLength: 3 }), (events) => {
          const columns = csvHeader().split(',')
          const [header, ...rows] = parseCsv([csvHeader(), ...events.map(toCsvRow)].join('\r\n'))
          expect(header).toEqual(columns)
          expect(rows).toHaveLength(events.length)
          for (const [index, row] of rows.entries()) {
            const event = events[index] ?? expect.fail('one row too many')
            const expected = columns.map((column) => textAt(event, column))
            const bare = (cells: readonly string[]) => cells.map((cell) => cell.replaceAll("'", '')) // apostrophes are what defuses
            expect(bare(row)).toEqual(bare(expected))
          }
        }),
        RUNS,
      )
    },
    FUZZ_TIMEOUT,
  )

  test('no cell of text begins as a formula', () => {
    const numbers = ['token.issuedAt', 'token.expiresAt', 'http.durationMilliseconds', 'http.status', 'keys.ageSeconds']
    const columns = csvHeader().split(',')
    fc.assert(
      fc.property(arbitraryEvent, (event) => {
        const [row = []] = parseCsv(toCsvRow(event))
        const text = row.filter((_, place) => !numbers.includes(columns[place] ?? ''))
        expect(text.filter((cell) => /^[\s\u200b\ufeff]*[=+\-@\t\r\uff1d\uff0b\uff0d\uff20]/.test(cell))).toEqual([])
      }),
      RUNS,
    )
  })

  const cell = (userAgent: string) => {
    const [row = []] = parseCsv(toCsvRow(testEvent({ net: { peer: null, forwarded: null, userAgent, callerRequestId: null } })))
    return row[csvHeader().split(',').indexOf('net.userAgent')]
  }

  test.each([
    '=1+1',
    '+1',
    '-1',
    '@SUM(A1)',
    '\t=1',
    '\r=1',
    '\n=1',
    '\tx',
    '\rx',
    '  =1',
    '\u00a0=1',
    '\u3000=1',
    '\u200b=1',
    '\ufeff=1',
    '＝1',
    '＋1',
    '－1',
    '＠x',
    '﹦1',
    '﹢1',
    '﹣1',
    '﹫x',
    '⁺1',
    '−1',
    "=cmd|'/C calc'!A0",
  ])('%j is defused and quoted', (text) => {
    expect(cell(text)).toMatch(/^'/)
    expect(cell(text)?.replaceAll("'", '')).toBe(text.replaceAll("'", ''))
    expect(toCsvRow(testEvent({ net: { peer: null, forwarded: null, userAgent: text, callerRequestId: null } }))).toContain(
      `"${cell(text)}"`,
    )
  })

  test.each(['a=1', "'=1", 'desk/2.1 (=x)', '"=1"', ',=1', '1-1', '', ' x ', 'a;b', '–1', '/=1'])(
    '%j is left as it is',
    (text) => {
      expect(cell(text)).toBe(text)
    },
  )

  test('quotes, line breaks and separators stay inside of their cell', () => {
    const nasty = 'a"b,c\r\nd;e'
    expect(toCsvRow(testEvent({ rule: nasty }))).toContain('"a""b,c\r\nd;e"')
  })
})

describe('options', () => {
  const event = testEvent()
  test.each<[string, () => unknown, RegExp]>([
    [
      'an OCSF service that is no text',
      () => toOcsf(event, { service: 1 as never }),
      /OCSF options\.service must be a non-empty string/,
    ],
    ['an unknown OCSF option', () => toOcsf(event, { servce: 'x' } as never), /unknown member "servce"/],
    ['an undefined OCSF option', () => toOcsfImpersonation(event, { service: undefined as never }), /service is undefined/],
    ['no source', () => toCloudEvent(event, {} as CloudEventOptions), /CloudEvents options\.source must be a non-empty string/],
    ['no options', () => toCloudEvent(event, undefined as never), /CloudEvents options must be an object/],
    ['a source with a space', () => toCloudEvent(event, { source: 'a b' }), /must be a URI reference/],
    ['a source in another script', () => toCloudEvent(event, { source: 'https://дело.test' }), /must be a URI reference/],
    ['an unknown CloudEvents option', () => toCloudEvent(event, { ...SOURCE, sorce: 1 } as never), /unknown member "sorce"/],
    [
      'a resource that is no object',
      () => toOtlpJson([event], { resource: [] as never }),
      /OTLP options\.resource must be an object/,
    ],
    ['a resource with an object in it', () => toOtlpJson([event], { resource: { a: {} as never } }), /must map names to strings/],
    ['a resource with NaN', () => toOtlpJson([event], { resource: { a: Number.NaN } }), /must map names to strings/],
    ['a resource with an empty name', () => toOtlpJson([event], { resource: { '': 'x' } }), /must map names to strings/],
    ['an unknown OTLP option', () => toOtlpJson([], { scope: 'x' } as never), /unknown member "scope"/],
  ])('%s is refused', (_name, call, message) => expect(call).toThrow(message))

  test('a resource describes all events of a request, which keep their order', () => {
    const events = [testEvent(), testEvent(), testEvent()]
    const made = toOtlpJson(events, { resource: { 'service.name': 'orders', port: 8080, live: true, share: 0.5 } })
    expect(decodedMap(at(made, 'resourceLogs', 0, 'resource', 'attributes') as Json[])).toEqual({
      ...{ 'service.name': 'orders', port: 8080, live: true, share: 0.5 },
    })
    const records = at(made, 'resourceLogs', 0, 'scopeLogs', 0, 'logRecords') as Json[]
    expect(records.map(({ body }) => at(decoded(body as Json), 'id'))).toEqual(events.map(({ id }) => id))
    expect(toOtlpJson([])).toEqual({ resourceLogs: [] })
  })
})

test('each output says which mapping made it, and which schema it follows', () => {
  const event = testEvent()
  expect(at(toOcsf(event), 'unmapped', 'behalf', 'mapping')).toBe(OCSF_MAPPING_VERSION)
  expect(at(toOcsf(event), 'metadata', 'version')).toBe(OCSF_VERSION)
  expect(at(toEcs(event), 'behalf', 'mapping')).toBe(ECS_MAPPING_VERSION)
  expect(at(toEcs(event), 'ecs', 'version')).toBe(ECS_VERSION)
  expect(toCloudEvent(event, SOURCE)).toMatchObject({
    ...{ behalfmapping: CLOUDEVENTS_MAPPING_VERSION, specversion: CLOUDEVENTS_VERSION },
  })
  expect(toOtelLogRecord(event).attributes['behalf.mapping']).toBe(OTEL_MAPPING_VERSION)
  expect(at(toOtlpJson([event]), 'resourceLogs', 0, 'scopeLogs', 0, 'scope', 'version')).toBe(OTEL_MAPPING_VERSION)
  expect(CSV_MAPPING_VERSION).toMatch(/^\d+\.\d+$/)
})

describe('a record of schema 1.0, as older journals hold them', () => {
  const { consent: _, ...rest } = { ...golden('delegation-chain'), v: '1.0' as const }
  const older = rest as unknown as AuditEvent
  const newer = golden('delegation-chain')

  test.each(Object.entries(MAPPINGS))('%s makes the same of it as of one that tells of no consent', (_name, map) => {
    expect(Object.hasOwn(older, 'consent')).toBe(false)
    const made = JSON.stringify(map(older)).replaceAll('"1.0"', '"1.1"')
    const expected = JSON.stringify(map({ ...newer }))
    // What holds the event as it is holds no member that it does not have.
    const without = (text: string) => text.replaceAll('"consent":null,', '').replaceAll('{"key":"consent","value":{}},', '')
    expect(without(made)).toBe(without(expected.replaceAll('"1.0"', '"1.1"')))
  })

  test('OCSF and ECS say that nothing was told, as they do of a newer one', () => {
    expect(at(toOcsf(older), 'unmapped', 'delegation', 'consent')).toBeNull()
    expect(at(toOcsf(older), 'metadata', 'log_version')).toBe('1.0')
    expect(at(toEcs(older), 'behalf', 'consent')).toBeNull()
  })

  test('its line of CSV has every column', () => {
    expect(toCsvRow(older)).toBe(toCsvRow(newer).replace(',1.1,,,,', ',1.0,,,,'))
  })
})

test('what is told of a consent is found in each schema', () => {
  const event = golden('delegation-consented')
  const { consent } = event
  expect(at(toOcsf(event), 'unmapped', 'delegation', 'consent')).toEqual(consent)
  expect(at(toEcs(event), 'behalf', 'consent')).toEqual(consent)
  expect(toCloudEvent(event, SOURCE).data.consent).toBe(consent)
  expect(toOtelLogRecord(event).attributes).toMatchObject({
    ...{ 'behalf.consent.id': 'consent-17', 'behalf.consent.ticket': 'CASE-42' },
  })
  expect(toCsvRow(event)).toMatch(/,1\.1,consent-17,1790003600\.5,CASE-42,"order lost, asked by phone"$/)
  expect(toCsvRow(golden('refused-consent-withdrawn'))).toMatch(/,1\.1,consent-17,,,"'=1\+1"$/)
})

test.each([';', '\t'])('a spreadsheet that separates by %j finds no formula either', (separator) => {
  for (const start of ['=', '+', '-', '@', '\uff1d', ' =', '\u00a0='])
    for (const before of ['x;', 'x\t', 'x\n', 'x\r\n', ';;', 'a"b;']) {
      const text = `${before}${start}cmd|' /C calc'!A0;y`
      const row = toCsvRow(testEvent({ net: { peer: null, forwarded: null, userAgent: text, callerRequestId: null } }))
      const cells = row.split(new RegExp(`[${separator}\r\n]`)).map((cell) => cell.replace(/^"|"$/g, '').normalize('NFKC'))
      expect(cells.filter((cell) => /^\s*[=+@-]/.test(cell))).toEqual([])
    }
})
