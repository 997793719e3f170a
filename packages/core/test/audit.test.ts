import { createHash } from 'node:crypto'
import { type AuditEvent, type AuditSink, bestEffort, embeddedToken, iterableSink, type JsonValue } from '@behalf/core'
import { curity } from '@behalf/core/issuers'
import { createSigningKey, fixtures, memorySink, sinkContract, testEvent } from '@behalf/testing'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { deferred } from '../../../test/support/deferred.js'
import { NO_JWT } from '../../../test/support/endings.js'
import { uuidV7 } from '../src/audit/event.js'
import {
  anyRule,
  createWorld,
  ISSUER,
  KEY,
  NOW_SECONDS,
  oauthIssuer,
  settle,
  tokenOf,
  tokenOfFixture,
  type World,
} from './support/harness.js'

type Claims = Readonly<Record<string, JsonValue | undefined>>
type RecordPolicy = 'delegated' | 'refusals' | 'always'

const SUPPORT: Claims = { act: { sub: 'support-1' } }
const SELF: Claims = { act: { sub: 'user-1', iss: ISSUER } }
const brief = ({ type, stage, decision, reason, result }: AuditEvent) =>
  [type.replace('access.', ''), stage, decision, reason ?? result].filter((word) => word !== null).join(' ')

/** A request from its start to the end of its response, and the events of it. */
async function eventsOf(record: RecordPolicy, claims: Claims | string | null, requirement?: object, optional = false) {
  const sink = memorySink()
  const world = createWorld({ delegation: [anyRule({ maxDepth: 2 })], audit: { sinks: [sink], record } })
  const visit = await world.call(claims, {}, optional)
  const refused = visit.error ?? (requirement === undefined ? null : await visit.guard(requirement))
  visit.response.end(refused?.status ?? 200)
  await settle()
  return sink.events
}

async function briefly(record: RecordPolicy, claims: Claims | string | null, requirement?: object, optional = false) {
  return (await eventsOf(record, claims, requirement, optional)).map(brief)
}

describe('which events come, and in which order', () => {
  const ALLOWED = ['decision rules allow', 'outcome response allow completed']

  it.each(['delegated', 'refusals', 'always'] as const)('%s: a delegated call, allowed', async (record) => {
    expect(await briefly(record, SUPPORT)).toEqual(ALLOWED)
  })

  it.each(['delegated', 'refusals', 'always'] as const)('%s: a self-actor, direct, like a delegated call', async (record) => {
    const events = await eventsOf(record, SELF)
    expect(events.map(brief)).toEqual(ALLOWED)
    expect(events[0]).toMatchObject({
      kind: 'direct',
      actor: null,
      chain: [{ id: 'user-1' }],
      notices: ['self_actor'],
      rule: null,
    })
    const refused = await briefly(record, SELF, { scopes: 'admin' })
    expect(refused).toEqual([
      'decision rules allow',
      'decision requirement refuse scope_insufficient',
      'outcome response allow refused',
    ])
  })

  it.each(['delegated', 'refusals', 'always'] as const)('%s: a delegated call, refused by a guard', async (record) => {
    const events = await eventsOf(record, SUPPORT, { kind: 'direct' })
    expect(events.map(brief)).toEqual([
      'decision rules allow',
      'decision requirement refuse delegation_forbidden',
      'outcome response allow refused',
    ])
    expect(new Set(events.map((event) => event.requestId)).size).toBe(1)
    expect(new Set(events.map((event) => event.id)).size).toBe(3)
    expect(events.map((event) => event.http.status)).toEqual([null, 403, 403])
  })

  it('a direct call: only by always', async () => {
    expect(await briefly('delegated', {})).toEqual([])
    expect(await briefly('refusals', {})).toEqual([])
    expect(await briefly('always', {})).toEqual(ALLOWED)
  })

  it('a direct call, refused by a guard: by refusals and always', async () => {
    const refusal = 'decision requirement refuse scope_insufficient'
    expect(await briefly('delegated', {}, { scopes: 'admin' })).toEqual([])
    expect(await briefly('refusals', {}, { scopes: 'admin' })).toEqual([refusal])
    expect(await briefly('always', {}, { scopes: 'admin' })).toEqual([
      'decision rules allow',
      refusal,
      'outcome response allow refused',
    ])
  })

  it('an anonymous call, refused by a guard: by refusals and always', async () => {
    const refusal = 'decision requirement refuse credentials_missing'
    expect(await briefly('delegated', null, {}, true)).toEqual([])
    expect(await briefly('refusals', null, {}, true)).toEqual([refusal])
    expect(await briefly('always', null, {}, true)).toContain(refusal)
  })

  /** Refusals of tokens whose signature holds, and that carry a delegation claim. */
  const WITH_DELEGATION: readonly (readonly [string, Claims, string])[] = [
    ['an expired impersonation', { ...SUPPORT, exp: 1 }, 'verify refuse token_expired'],
    ['a malformed act', { act: 'support-1' }, 'verify refuse delegation_malformed'],
    ['act: null', { act: null }, 'verify refuse delegation_malformed'],
    ['a chain with a hole', { act: { sub: 'a', act: {} } }, 'verify refuse delegation_malformed'],
    ['a foreign marker', { impersonator: 'admin' }, 'verify refuse delegation_foreign'],
    ['a nested foreign marker', { ext: { act: { sub: 'admin' } } }, 'verify refuse delegation_foreign'],
    ['a may_act subject token for somebody else', { may_act: { sub: 'a' }, aud: 'x' }, 'verify refuse audience_mismatch'],
    ['a bound one', { ...SUPPORT, cnf: { jkt: 'x' } }, 'bind refuse binding_unsupported'],
    ['one that no rule admits', { act: { sub: 'a', act: { sub: 'b', act: { sub: 'c' } } } }, 'rules refuse delegation_too_deep'],
  ]

  it.each(WITH_DELEGATION)('refused with a delegation claim, by every policy: %s', async (_, claims, expected) => {
    for (const record of ['delegated', 'refusals', 'always'] as const) {
      expect(await briefly(record, claims)).toEqual([`decision ${expected}`])
    }
  })

  it('what is known of such a token is recorded, and nothing that only its claims say', async () => {
    const [event] = await eventsOf('delegated', { ...SUPPORT, exp: 1, sub: 'somebody' })
    expect(event).toMatchObject({
      subject: null,
      actor: null,
      chain: [],
      kind: null,
      clientId: null,
      scopes: { token: [], effective: [] },
      token: { issuer: ISSUER, id: 'token-1', keyId: KEY.kid, algorithm: 'EdDSA' },
      http: { status: 401 },
    })
    expect(JSON.stringify(event)).not.toMatch(/somebody|support-1/)
  })

  it('a may_act token that a guard refuses is a refusal with a delegation claim too', async () => {
    expect(await briefly('delegated', { may_act: { sub: 'a' } }, { kind: 'delegation' })).toEqual([
      'decision requirement refuse delegation_required',
    ])
  })

  it('before a signature holds, nobody can fill the record: only refusals and always have it', async () => {
    const [header, payload] = tokenOf(SUPPORT).split('.')
    const forged = `${header}.${payload}.${tokenOf().split('.')[2]}`
    const stranger = tokenOf({ ...SUPPORT, iss: 'https://stranger.test' })
    const foreignKey = tokenOf(SUPPORT, {}, createSigningKey('EdDSA', { kid: 'stranger' }))
    for (const [token, expected] of [
      [forged, 'verify refuse signature_invalid'],
      [stranger, 'verify refuse issuer_unknown'],
      [foreignKey, 'verify refuse key_unknown'],
      ['abc', `verify refuse ${NO_JWT}`],
      [null, 'credentials refuse credentials_missing'],
    ] as const) {
      expect(await briefly('delegated', token)).toEqual([])
      expect(await briefly('refusals', token)).toEqual([`decision ${expected}`])
      expect(await briefly('always', token)).toEqual([`decision ${expected}`])
    }
  })

  it('a refused token without a delegation claim: by refusals and always', async () => {
    expect(await briefly('delegated', { exp: 1 })).toEqual([])
    expect(await briefly('refusals', { exp: 1 })).toEqual(['decision verify refuse token_expired'])
    expect(await briefly('always', { exp: 1 })).toEqual(['decision verify refuse token_expired'])
  })

  it("a marker that the issuer uses for something else is no delegation claim: 'ignoredMarkers'", async () => {
    const sink = memorySink()
    const issuers = [oauthIssuer({ ignoredMarkers: ['impersonated'] })]
    const world = createWorld({ issuers, audit: { sinks: [sink] } })
    expect((await world.call({ impersonated: false, exp: 1 })).code).toBe('token_expired')
    expect((await world.call({ impersonated: false })).code).toBeNull()
    expect(sink.events).toEqual([])
  })

  it('`audit: none` records nothing, and hinders nobody', async () => {
    const world = createWorld({ delegation: [anyRule()], audit: 'none' })
    const visit = await world.call(SUPPORT)
    expect(visit.passage).toBe('go_on')
    expect(await visit.guard()).toBeNull()
  })
})

describe('the outcome', () => {
  it.each([
    ['completed', 200, true],
    ['completed', 404, true],
    ['completed', 499, true],
    ['failed', 500, true],
    ['failed', 503, true],
    ['aborted', 200, false],
    ['aborted', 500, false],
  ] as const)('%s: status %i, handed over whole: %s', async (result, status, finished) => {
    const world = createWorld({ delegation: [anyRule()] })
    const visit = await world.call(SUPPORT)
    world.now += 1234
    visit.response.end(status, finished)
    const event = await world.sink.until(({ type }) => type === 'access.outcome')
    expect(event).toMatchObject({
      stage: 'response',
      decision: 'allow',
      rule: 'any',
      result,
      http: { status, durationMilliseconds: 1234 },
    })
    expect(world.sink.events[0]).toMatchObject({ result: null, http: { status: null, durationMilliseconds: null } })
  })

  it('refused, where a guard of ours answered, however the response ended', async () => {
    for (const finished of [true, false]) {
      const world = createWorld({ delegation: [anyRule()] })
      const visit = await world.call(SUPPORT)
      await visit.guard({ kind: 'direct' })
      visit.response.end(403, finished)
      expect(await world.sink.until(({ type }) => type === 'access.outcome')).toMatchObject({ result: 'refused' })
    }
  })

  it('comes exactly once for every admitted call, and never for a refused one', async () => {
    const world = createWorld({ delegation: [anyRule({ actor: { id: 'support-1' } })] })
    for (const claims of [SUPPORT, { act: { sub: 'x' } }, SUPPORT, { ...SUPPORT, exp: 1 }, SELF]) {
      const visit = await world.call(claims)
      visit.response.end()
      visit.response.end()
    }
    await settle()
    const admitted = world.sink.events.filter((event) => event.stage === 'rules' && event.decision !== 'refuse')
    const outcomes = world.sink.events.filter((event) => event.type === 'access.outcome')
    expect(admitted).toHaveLength(3)
    expect(outcomes.map((event) => event.requestId).sort()).toEqual(admitted.map((event) => event.requestId).sort())
  })

  it('a second authenticate() of the same server records nothing again', async () => {
    const world = createWorld({ delegation: [anyRule()] })
    const visit = await world.call(SUPPORT)
    const { requestView } = await import('./support/harness.js')
    const again = { key: visit.key, request: requestView(tokenOf(SUPPORT)), response: visit.response }
    expect(await world.server.authenticate()(again)).toBe('go_on')
    visit.response.end()
    await settle()
    expect(world.sink.events.map(brief)).toEqual(['decision rules allow', 'outcome response allow completed'])
  })

  it('not_run, where the client was gone before the handler', async () => {
    const asked = deferred()
    const answer = deferred<boolean>()
    const when = () => {
      asked.resolve()
      return answer.promise
    }
    const sink = memorySink()
    const world = createWorld({ delegation: [anyRule({ when })], audit: { sinks: [sink] } })
    const { HeldResponse, requestView } = await import('./support/harness.js')
    const response = new HeldResponse()
    const passage = world.server.authenticate()({ key: {}, request: requestView(world.seal(tokenOf(SUPPORT))), response })
    await asked.promise
    response.end(200, false)
    answer.resolve(true)
    expect(await passage).toBe('client_gone')
    await settle()
    expect(sink.events.map(brief)).toEqual(['decision rules allow', 'outcome response allow not_run'])
    expect(sink.events[1]?.http.status).toBeNull()
  })
})

describe('acceptance', () => {
  const failing = (write: AuditSink['write']): AuditSink => ({ write })

  async function callWith(sinks: AuditSink[], more: { unrecorded?: 'refuse' | 'allow' } = {}) {
    const world = createWorld({ delegation: [anyRule()], audit: { sinks, ...more } })
    return { world, visit: await world.call(SUPPORT) }
  }

  const FAILING: readonly (readonly [string, AuditSink['write']])[] = [
    [
      'throws',
      () => {
        throw new Error('disk full')
      },
    ],
    ['rejects', () => Promise.reject(new Error('disk full'))],
    ['rejects with nothing', () => Promise.reject(undefined)],
  ]

  beforeEach(() => {
    vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
  })
  afterEach(() => {
    vi.restoreAllMocks()
    vi.useRealTimers()
  })

  it.each(FAILING)('a sink that %s: 503, and the outcome says not_run', async (_, write) => {
    const copy = memorySink()
    for (const sinks of [
      [failing(write), copy],
      [copy, failing(write)],
    ]) {
      copy.clear()
      const { visit, world } = await callWith(sinks)
      expect(visit.passage).toBeNull()
      expect(visit.error).toMatchObject({ code: 'audit_unavailable', status: 503, challenge: null })
      expect(visit.error?.headers['retry-after']).toBe('5')
      expect(String(visit.error?.cause)).not.toContain('disk')
      await expect(world.server.guard()(visit.key)).rejects.toMatchObject({ code: 'audit_unavailable' })
      await settle()
      expect(copy.events.map(brief)).toEqual(['decision rules allow', 'outcome response allow not_run'])
    }
  })

  it.each(FAILING)("unrecorded: 'allow' lets the call go on where a sink %s", async (_, write) => {
    const copy = memorySink()
    const { visit } = await callWith([failing(write), copy], { unrecorded: 'allow' })
    expect(visit.passage).toBe('go_on')
    visit.response.end()
    await settle()
    expect(copy.events.map(brief)).toEqual(['decision rules allow', 'outcome response allow completed'])
  })

  it.each(FAILING)('bestEffort() of a sink that %s stops nobody, and its loss is warned of', async (_, write) => {
    const copy = memorySink()
    const { visit } = await callWith([bestEffort(failing(write)), copy])
    expect(visit.passage).toBe('go_on')
    await settle()
    expect(copy.events).toHaveLength(1)
    expect(process.emitWarning).toHaveBeenCalledWith(expect.stringContaining('1 audit event(s) were not accepted'), {
      code: 'BEHALF_AUDIT_LOST',
    })
  })

  it.each<[string, unknown, string]>([
    ['a code', Object.assign(new Error('secret'), { code: 'queue_full' }), 'by a sink (queue_full)'],
    ['no code', new Error('secret'), 'by a sink'],
    ['a code that could be anything', Object.assign(new Error(), { code: 'postgres://user:secret@host' }), 'by a sink'],
    ['a code that is no text', { code: 42 }, 'by a sink'],
    ['nothing at all', undefined, 'by a sink'],
    [
      'a code that throws',
      {
        get code() {
          throw new Error('secret')
        },
      },
      'by a sink',
    ],
  ])('the warning names the code of an error, and nothing else of it: %s', async (_, error, text) => {
    for (const write of [
      () => Promise.reject(error),
      () => {
        throw error
      },
    ]) {
      vi.mocked(process.emitWarning).mockClear()
      await callWith([bestEffort(failing(write))])
      await settle()
      expect(process.emitWarning).toHaveBeenCalledWith(`behalf: 1 audit event(s) were not accepted ${text}`, {
        code: 'BEHALF_AUDIT_LOST',
      })
    }
  })

  it('bestEffort() keeps flush and close, and the receiver of write', async () => {
    class Counting {
      written = 0
      calls: string[] = []
      write(): void {
        this.written++
      }
      flush(): void {
        this.calls.push('flush')
      }
      close(): void {
        this.calls.push('close')
      }
    }
    const sink = new Counting()
    const { world } = await callWith([bestEffort(sink)])
    expect(sink.written).toBe(1)
    await world.server.close()
    expect(sink.calls).toEqual(['flush', 'close'])
  })

  it('the handler never runs before every sink has accepted', async () => {
    const written = deferred()
    const first = deferred()
    const second = deferred()
    const sinks = [
      failing(() => first.promise),
      failing(() => {
        written.resolve()
        return second.promise
      }),
    ]
    const world = createWorld({ delegation: [anyRule()], audit: { sinks } })
    let handlerRan = false
    const call = world.call(SUPPORT).then((visit) => {
      handlerRan = visit.passage === 'go_on'
    })
    await written.promise
    await settle()
    expect(handlerRan).toBe(false)
    first.resolve()
    await settle()
    expect(handlerRan).toBe(false)
    second.resolve()
    await call
    expect(handlerRan).toBe(true)
  })

  /** A call whose sink takes its time, stopped where it waits for the sink. */
  async function waiting(more: { unrecorded?: 'refuse' | 'allow'; timeoutMilliseconds?: number } = {}) {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    const written = deferred()
    const accepted = deferred()
    const events: AuditEvent[] = []
    const hanging = failing((event) => {
      events.push(event)
      written.resolve()
      return event.type === 'access.decision' ? accepted.promise : undefined
    })
    const world = createWorld({ delegation: [anyRule()], audit: { sinks: [hanging], ...more } })
    const visit = world.call(SUPPORT)
    await written.promise
    return { visit, accepted, events }
  }

  it('has 250 ms by default, and not one more', async () => {
    const { visit, accepted, events } = await waiting()
    await vi.advanceTimersByTimeAsync(249)
    accepted.resolve()
    expect((await visit).passage).toBe('go_on')
    expect(vi.getTimerCount()).toBe(0)
    expect(events.map(brief)).toEqual(['decision rules allow'])
  })

  it('that comes too late is none: 503 and not_run, exactly once', async () => {
    const { visit, accepted, events } = await waiting()
    await vi.advanceTimersByTimeAsync(250)
    const done = await visit
    expect(done.error).toMatchObject({ code: 'audit_unavailable', status: 503 })
    accepted.resolve()
    await settle()
    done.response.end(503)
    await settle()
    expect(events.map(brief)).toEqual(['decision rules allow', 'outcome response allow not_run'])
  })

  it('may fail after it came too late, and the process lives', async () => {
    const unhandled = vi.fn()
    process.on('unhandledRejection', unhandled)
    const { visit, accepted } = await waiting({ timeoutMilliseconds: 10 })
    await vi.advanceTimersByTimeAsync(10)
    expect((await visit).code).toBe('audit_unavailable')
    accepted.reject(new Error('late'))
    await settle()
    process.off('unhandledRejection', unhandled)
    expect(unhandled).not.toHaveBeenCalled()
  })

  it("that comes too late under unrecorded: 'allow': the call goes on, with an outcome of its own", async () => {
    const { visit, events } = await waiting({ unrecorded: 'allow' })
    await vi.advanceTimersByTimeAsync(250)
    const done = await visit
    expect(done.passage).toBe('go_on')
    done.response.end()
    await settle()
    expect(events.map(brief)).toEqual(['decision rules allow', 'outcome response allow completed'])
  })

  it('of a best-effort sink is not waited for', async () => {
    const { visit } = await callWith([bestEffort(failing(() => new Promise(() => {}))), memorySink()])
    expect(visit.passage).toBe('go_on')
  })

  it('of a refusal is not waited for: the refusal stands as it is', async () => {
    const sinks = [failing(() => new Promise(() => {})), failing(() => Promise.reject(new Error('x')))]
    const world = createWorld({ audit: { sinks } })
    expect((await world.call(SUPPORT)).code).toBe('actor_unauthorized')
  })

  it('lost events of refusals and outcomes are warned of, at most once a minute, with their number', async () => {
    const sink = memorySink()
    const world = createWorld({ audit: { sinks: [sink] } })
    sink.refuse()
    const lose = async (times: number) => {
      for (let each = 0; each < times; each++) await world.call(SUPPORT)
      await settle()
    }
    await lose(1)
    await lose(3)
    world.now += 59_999
    await lose(1)
    const texts = () => vi.mocked(process.emitWarning).mock.calls.map(([text]) => String(text))
    expect(texts()).toEqual([expect.stringContaining('behalf: 1 audit event')])
    world.now += 1
    await lose(1)
    expect(texts()).toHaveLength(2)
    expect(texts()[1]).toContain('behalf: 5 audit event')
  })

  it('close() warns of the events that were lost since the last warning', async () => {
    const sink = memorySink()
    const world = createWorld({ audit: { sinks: [sink] } })
    sink.refuse()
    for (let each = 0; each < 5; each++) {
      await world.call(SUPPORT)
      world.now += 1000
    }
    await settle()
    const numbers = () => vi.mocked(process.emitWarning).mock.calls.map(([text]) => Number(/\d+/.exec(String(text))?.[0]))
    expect(numbers()).toEqual([1])
    await world.server.close()
    expect(numbers()).toEqual([1, 4])
    await world.server.close()
    expect(numbers()).toEqual([1, 4])
  })

  it('close() warns of lost events also where a sink cannot be closed, and of none where none were lost', async () => {
    const broken: AuditSink = { write: () => Promise.reject(new Error('full')), close: () => Promise.reject(new Error('broken')) }
    const world = createWorld({ audit: { sinks: [broken] } })
    await world.call(SUPPORT)
    await world.call(SUPPORT)
    await settle()
    await expect(world.server.close()).rejects.toBeInstanceOf(AggregateError)
    const texts = vi.mocked(process.emitWarning).mock.calls.map(([text]) => String(text))
    expect(texts).toEqual([expect.stringContaining('1 audit event'), expect.stringContaining('1 audit event')])
    const quiet = createWorld()
    await quiet.server.close()
    expect(process.emitWarning).toHaveBeenCalledTimes(2)
  })
})

describe("a guard's refusal that the application caught", () => {
  it.each([
    ['and answered otherwise', 200, true, 'completed'],
    ['and answered with a failure of its own', 500, true, 'failed'],
    ['and lost the client', 200, false, 'aborted'],
    ['and answered as it is', 403, true, 'refused'],
  ] as const)('%s: the outcome is what became of the response', async (_, status, finished, result) => {
    const world = createWorld({ delegation: [anyRule()], refusals: 'forward' })
    const visit = await world.call(SUPPORT)
    expect((await visit.guard({ kind: 'direct' }))?.status).toBe(403)
    expect(await visit.guard()).toBeNull()
    visit.response.end(status, finished)
    const outcome = await world.sink.until(({ type }) => type === 'access.outcome')
    expect(outcome).toMatchObject({ result, decision: 'allow', http: { status } })
  })
})

describe('close()', () => {
  it('flushes, then closes, every sink', async () => {
    const calls: string[] = []
    const flushed = deferred()
    const slow: AuditSink = {
      write() {},
      async flush() {
        calls.push('flush')
        await flushed.promise
        calls.push('flushed')
      },
      async close() {
        calls.push('close')
      },
    }
    const plain: AuditSink = { write() {} }
    const world = createWorld({ audit: { sinks: [slow, plain] } })
    const closing = world.server.close()
    await settle()
    expect(calls).toEqual(['flush'])
    flushed.resolve()
    await closing
    expect(calls).toEqual(['flush', 'flushed', 'close'])
  })

  it('tells of every sink that could not be closed, after trying all', async () => {
    const closed = vi.fn()
    const broken = (text: string): AuditSink => ({ write() {}, close: () => Promise.reject(new Error(text)) })
    const throwing: AuditSink = {
      write() {},
      close() {
        throw new Error('three')
      },
    }
    const world = createWorld({ audit: { sinks: [broken('one'), broken('two'), throwing, { write() {}, close: closed }] } })
    const error = await world.server.close().catch((reason: unknown) => reason)
    expect(error).toBeInstanceOf(AggregateError)
    expect((error as AggregateError).errors.map((each: Error) => each.message).sort()).toEqual(['one', 'three', 'two'])
    expect(closed).toHaveBeenCalledTimes(1)
  })

  it('closes a sink whose flush failed too', async () => {
    const close = vi.fn()
    const world = createWorld({ audit: { sinks: [{ write() {}, flush: () => Promise.reject(new Error('flush')), close }] } })
    await expect(world.server.close()).rejects.toBeInstanceOf(AggregateError)
    expect(close).toHaveBeenCalledTimes(1)
  })

  it('calls a sink’s close once, however often the server is closed', async () => {
    const close = vi.fn()
    const world = createWorld({ audit: { sinks: [{ write() {}, close }] } })
    await Promise.all([world.server.close(), world.server.close()])
    await world.server.close()
    expect(close).toHaveBeenCalledTimes(1)
  })
})

describe('an event', () => {
  async function decision(claims: Claims, headers: Readonly<{ [name: string]: string }> = {}, more: object = {}, world?: World) {
    const from = world ?? createWorld({ delegation: [anyRule()] })
    const visit = await from.call(claims, { headers, ...more })
    expect(visit.code).toBeNull()
    return from.sink.events.at(-1) as AuditEvent
  }

  it('says who, for whom, by which rule and with which scopes', async () => {
    const world = createWorld({ delegation: [anyRule({ scopes: 'orders:read' })] })
    expect(await decision(SUPPORT, { 'user-agent': 'curl/8' }, {}, world)).toEqual({
      v: '1.1',
      id: expect.any(String),
      type: 'access.decision',
      time: '2026-09-21T14:13:20.000Z',
      requestId: expect.any(String),
      stage: 'rules',
      decision: 'allow',
      reason: null,
      rule: 'any',
      consent: null,
      kind: 'delegation',
      subject: { id: 'user-1', idClaim: 'sub', issuer: ISSUER, type: null, profiles: [], tenant: null },
      actor: { id: 'support-1', idClaim: 'sub', issuer: null, type: null, profiles: [], tenant: null },
      chain: [{ id: 'support-1', idClaim: 'sub', issuer: null, type: null, profiles: [], tenant: null }],
      clientId: 'client-1',
      tenant: null,
      grantId: null,
      scopes: { token: ['orders:read', 'orders:write'], effective: ['orders:read'] },
      token: {
        issuer: ISSUER,
        id: 'token-1',
        issuedAt: NOW_SECONDS,
        expiresAt: NOW_SECONDS + 600,
        keyId: KEY.kid,
        algorithm: 'EdDSA',
      },
      keys: { ageSeconds: 0, stale: false },
      http: { method: 'GET', route: '/orders', status: null, durationMilliseconds: null },
      net: { peer: '127.0.0.1', forwarded: null, userAgent: 'curl/8', callerRequestId: null },
      trace: { traceparent: null },
      result: null,
      notices: [],
    })
  })

  it('has the same members whatever it tells of', async () => {
    const shape = (value: object): unknown =>
      Object.fromEntries(
        Object.entries(value)
          .filter(([name]) => !['subject', 'actor', 'chain'].includes(name))
          .map(([name, member]) => [
            name,
            member !== null && typeof member === 'object' && !Array.isArray(member) ? shape(member) : 0,
          ])
          .sort(([one], [other]) => String(one).localeCompare(String(other))),
      )
    const events = [
      ...(await eventsOf('always', SUPPORT)),
      ...(await eventsOf('always', null)),
      ...(await eventsOf('always', { ...SUPPORT, exp: 1 })),
      ...(await eventsOf('always', SUPPORT, { kind: 'direct' })),
    ]
    const [first] = events
    expect(events.length).toBeGreaterThan(5)
    for (const event of events) expect(shape(event)).toEqual(shape(first as AuditEvent))
  })

  it('is frozen to its last member', async () => {
    const unfrozen = (value: object, path: string): string[] => [
      ...(Object.isFrozen(value) ? [] : [path]),
      ...Object.entries(value).flatMap(([name, member]) =>
        member !== null && typeof member === 'object' ? unfrozen(member as object, `${path}.${name}`) : [],
      ),
    ]
    for (const event of [...(await eventsOf('always', SUPPORT)), ...(await eventsOf('always', { ...SUPPORT, exp: 1 }))]) {
      expect(unfrozen(event, 'event')).toEqual([])
    }
  })

  it('has a UUIDv7 as id: unique, and in the order of time', async () => {
    const world = createWorld({ delegation: [anyRule()] })
    for (let each = 0; each < 300; each++) {
      world.now += 1
      await world.call(SUPPORT)
    }
    const ids = world.sink.events.map((event) => event.id)
    expect(ids).toHaveLength(300)
    for (const id of ids) expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
    expect([...ids].sort()).toEqual(ids)
    expect(new Set(ids).size).toBe(300)
    expect(Number.parseInt((ids[0] ?? '').replaceAll('-', '').slice(0, 12), 16)).toBe(NOW_SECONDS * 1000 + 1)
  })

  it('keeps ids apart within one millisecond, in the order in which they were made', () => {
    const ids = Array.from({ length: 10_000 }, () => uuidV7(NOW_SECONDS * 1000))
    expect(new Set(ids).size).toBe(10_000)
    for (const part of [ids.slice(0, 4096), ids.slice(4096, 8192)].map((each) => each.slice(-100))) {
      expect([...part].sort()).toEqual(part)
    }
  })

  it('has ids whose milliseconds differ in their random part, and show every variant', () => {
    const ids = Array.from({ length: 300 }, (_, each) => uuidV7(NOW_SECONDS * 1000 + each))
    expect(new Set(ids.map((id) => id.slice(19))).size).toBe(300)
    expect(new Set(ids.map((id) => id[19]))).toEqual(new Set(['8', '9', 'a', 'b']))
    expect([...ids].sort()).toEqual(ids)
  })

  const DIRTY: readonly (readonly [string, string, string])[] = [
    ['line ends', 'a\r\nb\u0085c\u2028d\u2029e', 'a\uFFFD\uFFFDb\uFFFDc\uFFFDd\uFFFDe'],
    ['control characters', '\u0000\u0007\u001b[31m\u007f\u009b', '\uFFFD\uFFFD\uFFFD[31m\uFFFD\uFFFD'],
    ['characters that turn text round', 'a\u202eb\u2066c\u200f', 'a\uFFFDb\uFFFDc\uFFFD'],
    ['characters that hide', 'a\u200bb\ufeffc\u00add', 'a\uFFFDb\uFFFDc\uFFFDd'],
    ['lone surrogates', 'a\ud800b\udc00', 'a\uFFFDb\uFFFD'],
    ['a pair that the cap cuts in two', `${'x'.repeat(255)}\u{1f600}`, `${'x'.repeat(255)}\uFFFD`],
    ['too much', 'y'.repeat(10_000), 'y'.repeat(256)],
    ['text of any script, as it is', 'Дело 日本 \u{1f600}', 'Дело 日本 \u{1f600}'],
  ]

  it.each(DIRTY)('cleans and caps what a caller wrote: %s', async (_, dirty, clean) => {
    const headers = { 'user-agent': dirty, 'x-forwarded-for': dirty, 'x-request-id': dirty, traceparent: dirty }
    const event = await decision(SUPPORT, headers)
    expect(event.net).toMatchObject({ userAgent: clean, forwarded: clean, callerRequestId: clean })
    expect(event.trace.traceparent).toBeNull()
    expect(event.requestId).not.toBe(clean)
  })

  it('cleans and caps the key id of a token that was never proved', async () => {
    const [event] = await eventsOf('always', tokenOf(SUPPORT, { kid: `evil\r\n\u001b[2J${'k'.repeat(300)}` }))
    expect(event).toMatchObject({ reason: 'key_unknown', token: { issuer: null, id: null, algorithm: null } })
    expect(event?.token.keyId).toMatch(/^evil\uFFFD{3}\[2Jk+$/)
    expect(event?.token.keyId).toHaveLength(256)
  })

  it('cleans and caps the id of a refused token', async () => {
    const [event] = await eventsOf('delegated', { ...SUPPORT, exp: 1, jti: `evil\r\n\u202e${'j'.repeat(3000)}` })
    expect(event?.reason).toBe('token_expired')
    expect(event?.token.id).not.toMatch(/[\p{Cc}\p{Cf}]/u)
    expect(event?.token.id?.length).toBeLessThanOrEqual(1024)
  })

  it('takes a traceparent only in its shape', async () => {
    const traceparent = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'
    expect((await decision(SUPPORT, { traceparent })).trace).toEqual({ traceparent })
    expect((await decision(SUPPORT, { traceparent: `${traceparent}\n` })).trace).toEqual({ traceparent: null })
    expect((await decision(SUPPORT, { traceparent: traceparent.toUpperCase() })).trace).toEqual({ traceparent: null })
  })

  it('prefers Forwarded to X-Forwarded-For, and keeps the peer apart', async () => {
    const headers = { forwarded: 'for=192.0.2.1', 'x-forwarded-for': '198.51.100.1' }
    expect((await decision(SUPPORT, headers, { peer: '10.0.0.7' })).net).toMatchObject({
      peer: '10.0.0.7',
      forwarded: 'for=192.0.2.1',
    })
  })

  it.each(['get', 'GET\n', 'X'.repeat(21), '1', ''])('calls a method that is none OTHER: %j', async (method) => {
    expect((await decision(SUPPORT, {}, { method })).http.method).toBe('OTHER')
  })

  it('has the route, never the path, the query or the token', async () => {
    const token = tokenOf({ ...SUPPORT, secret: 'in-a-claim', email: 'user@example.test' })
    const world = createWorld({ delegation: [anyRule()] })
    await world.call(token, { path: '/orders/4711', url: '/orders/4711?key=hush', route: '/orders/:id' })
    const text = JSON.stringify(world.sink.events)
    expect(world.sink.events[0]?.http.route).toBe('/orders/:id')
    for (const hidden of ['4711', 'hush', 'in-a-claim', 'user@example.test', ...token.split('.')])
      expect(text).not.toContain(hidden)
  })

  describe('without jti', () => {
    const es256 = createSigningKey('ES256', { kid: 'es' })
    const issuers = [{ ...oauthIssuer(), jwks: { keys: [es256.jwk] }, presentClaims: ['client_id'] }]
    /** Order of P-256's base point. */
    const N = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n

    const idOf = async (token: string) => {
      const world = createWorld({ issuers, delegation: [anyRule()] })
      expect((await world.call(token)).code).toBeNull()
      return world.sink.events[0]?.token.id
    }

    it('names the token by the SHA-256 of its signing input, so that a rewritten signature changes nothing', async () => {
      const token = tokenOf({ ...SUPPORT, jti: undefined }, {}, es256)
      const [header, payload, signature] = token.split('.') as [string, string, string]
      const bytes = Buffer.from(signature, 'base64url')
      const s = BigInt(`0x${bytes.subarray(32).toString('hex')}`)
      const other = Buffer.from((N - s).toString(16).padStart(64, '0'), 'hex')
      const rewritten = [header, payload, Buffer.concat([bytes.subarray(0, 32), other]).toString('base64url')].join('.')
      expect(rewritten).not.toBe(token)
      const expected = `sha256:${createHash('sha256').update(`${header}.${payload}`).digest('base64url')}`
      expect(await idOf(token)).toBe(expected)
      expect(await idOf(rewritten)).toBe(expected)
    })

    it('names other tokens differently', async () => {
      const one = await idOf(tokenOf({ ...SUPPORT, jti: undefined }, {}, es256))
      const other = await idOf(tokenOf({ ...SUPPORT, jti: undefined, exp: NOW_SECONDS + 601 }, {}, es256))
      expect(one).not.toBe(other)
    })
  })

  describe('of a Curity token', () => {
    const { impersonated } = fixtures.curity
    const inner = 'eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJlbWJlZGRlZCJ9.c2lnbmF0dXJl'
    const issuer = curity({
      issuer: String(impersonated.claims['iss']),
      audience: 'test-web-api',
      jwks: { keys: [KEY.jwk] },
      embeddedTokens: ['downstream'],
      authorityClaims: ['roles', 'downstream'],
    })
    const token = (claims: Claims) => tokenOfFixture(impersonated, claims)

    it('has request scopes by their prefix only, and they are no authority', async () => {
      const world = createWorld({ issuers: [issuer], delegation: [anyRule()] })
      const scope = 'read act_as:alice@example.com act_as:bob@example.com act_as_account:4711'
      const visit = await world.call(token({ scope }))
      expect(visit.context().scopes).toEqual(['read'])
      expect((await visit.guard({ scopes: 'act_as:alice@example.com' }))?.status).toBe(403)
      visit.response.end(403)
      await world.sink.until((event) => event.type === 'access.outcome')
      expect(world.sink.events).toHaveLength(3)
      for (const event of world.sink.events) {
        expect([...event.scopes.token].sort()).toEqual(['act_as:', 'act_as_account:', 'read'])
        expect(JSON.stringify(event)).not.toMatch(/alice|bob|4711/)
      }
    })

    it('has no embedded token, nor has the context; embeddedToken() gives it out', async () => {
      const sink = memorySink()
      const world = createWorld({ issuers: [issuer], delegation: [anyRule()], audit: { sinks: [sink], record: 'always' } })
      for (const claims of [{ downstream: inner }, { downstream: inner, act: undefined }]) {
        const visit = await world.call(token(claims))
        const context = visit.context()
        expect(JSON.stringify(context)).not.toContain(inner)
        expect(context.claims).not.toHaveProperty('downstream')
        expect(context).not.toHaveProperty('unnarrowed.downstream')
        expect(embeddedToken(context, 'downstream')).toBe(inner)
        expect(embeddedToken(context, 'other')).toBeNull()
        expect(embeddedToken({ token: { ...context.token } }, 'downstream')).toBeNull()
      }
      expect(sink.events).toHaveLength(2)
      expect(JSON.stringify(sink.events)).not.toContain(inner)
      expect((await world.call(inner)).code).not.toBeNull()
    })
  })
})

describe('iterableSink()', () => {
  const events = (count: number) => Array.from({ length: count }, () => testEvent())
  const taken = async (sink: AsyncIterable<AuditEvent>, most = Number.POSITIVE_INFINITY) => {
    const ids: string[] = []
    for await (const event of sink) {
      ids.push(event.id)
      if (ids.length >= most) break
    }
    return ids
  }
  const ids = (list: readonly AuditEvent[]) => list.map((event) => event.id)

  it('hands events on in order, also those that were written before anybody read', async () => {
    const sink = iterableSink({ maxQueuedEvents: 10 })
    const [before, after] = [events(3), events(3)]
    for (const event of before) sink.write(event)
    const reading = taken(sink)
    await settle()
    for (const event of after) sink.write(event)
    sink.close()
    expect(await reading).toEqual(ids([...before, ...after]))
  })

  it('refuses when it is full, and takes events again when there is room', async () => {
    const sink = iterableSink({ maxQueuedEvents: 2 })
    const [one, two, three] = events(3) as [AuditEvent, AuditEvent, AuditEvent]
    sink.write(one)
    sink.write(two)
    expect(() => sink.write(three)).toThrow(/full/)
    expect(await taken(sink, 1)).toEqual([one.id])
    sink.write(three)
    sink.close()
    expect(await taken(sink)).toEqual([two.id, three.id])
  })

  it('that is full refuses the call with 503', async () => {
    const sink = iterableSink({ maxQueuedEvents: 1 })
    sink.write(testEvent())
    vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
    const world = createWorld({ delegation: [anyRule()], audit: { sinks: [sink] } })
    expect((await world.call(SUPPORT)).error).toMatchObject({ code: 'audit_unavailable', status: 503 })
    vi.restoreAllMocks()
  })

  it('ends its loop on close, after what is queued, and refuses from then on', async () => {
    const sink = iterableSink({ maxQueuedEvents: 5 })
    const reading = taken(sink)
    const [event] = events(1) as [AuditEvent]
    sink.write(event)
    sink.close()
    expect(() => sink.write(event)).toThrow(/closed/)
    expect(await reading).toEqual([event.id])
    expect(await taken(sink)).toEqual([])
  })

  it('keeps what is queued when a loop is left early: the next one goes on', async () => {
    const sink = iterableSink({ maxQueuedEvents: 5 })
    const queued = events(4)
    for (const event of queued) sink.write(event)
    expect(await taken(sink, 2)).toEqual(ids(queued.slice(0, 2)))
    sink.close()
    expect(await taken(sink)).toEqual(ids(queued.slice(2)))
  })

  it('flushes when everything queued before has been taken, whatever came after', async () => {
    const sink = iterableSink({ maxQueuedEvents: 5 })
    await sink.flush()
    const iterator = sink[Symbol.asyncIterator]()
    const [one, two, three] = events(3) as [AuditEvent, AuditEvent, AuditEvent]
    sink.write(one)
    sink.write(two)
    let flushed = false
    void sink.flush().then(() => {
      flushed = true
    })
    await settle()
    expect(flushed).toBe(false)
    await iterator.next()
    sink.write(three)
    await settle()
    expect(flushed).toBe(false)
    await iterator.next()
    await settle()
    expect(flushed).toBe(true)
  })

  it('answers every pending next(), also when two were asked at once', async () => {
    const sink = iterableSink({ maxQueuedEvents: 5 })
    const iterator = sink[Symbol.asyncIterator]()
    const settled: unknown[] = []
    for (let each = 0; each < 3; each++)
      void iterator.next().then(({ done, value }) => settled.push(done === true ? 'end' : value))
    await settle()
    const [one, two] = events(2) as [AuditEvent, AuditEvent]
    sink.write(one)
    sink.write(two)
    await settle()
    sink.close()
    await settle()
    expect(settled).toEqual([one, two, 'end'])
  })

  it('does not hold up close() of a server that nobody reads any more', async () => {
    const sink = iterableSink({ maxQueuedEvents: 5 })
    const world = createWorld({ delegation: [anyRule()], audit: { sinks: [sink] } })
    await world.call(SUPPORT)
    await world.call(SUPPORT)
    await taken(sink, 1)
    let closed = false
    const closing = world.server.close().then(
      () => {
        closed = true
      },
      () => {
        closed = true
      },
    )
    await settle()
    expect(closed).toBe(true)
    await closing
  })
})

describe('the sink contract', () => {
  const iterable = () => {
    const sink = iterableSink({ maxQueuedEvents: 1000 })
    const kept: AuditEvent[] = []
    void (async () => {
      for await (const event of sink) kept.push(event)
    })()
    return {
      sink,
      accepted: async () => {
        await settle()
        return kept
      },
    }
  }
  const memory = () => {
    const sink = memorySink()
    return { sink, accepted: () => sink.events }
  }
  const bestEffortMemory = () => {
    const sink = memorySink()
    return { sink: bestEffort(sink), accepted: () => sink.events }
  }

  describe.each([
    ['memorySink()', memory],
    ['iterableSink()', iterable],
    ['bestEffort()', bestEffortMemory],
  ] as const)('%s', (_, create) => {
    for (const { name, run } of sinkContract(create)) it(name, run)
  })
})
