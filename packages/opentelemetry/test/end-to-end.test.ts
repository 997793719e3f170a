import { type AuditSink, createResourceServer, type DelegationRule, type ResourceServerOptions } from '@behalf/core'
import { instrumentBehalf } from '@behalf/opentelemetry'
import { createSigningKey, createTestIssuer, memorySink, type TestIssuer } from '@behalf/testing'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { FRAMEWORKS, type Framework } from '../../../test/support/servers.js'
import { type Measured, measured, tracedGlobally } from './support/measured.js'
import { startTraced, type TracedApi } from './support/traced-api.js'

const traced = tracedGlobally()
afterAll(() => traced.end())

const AGENTS: DelegationRule = { id: 'agents', kind: 'delegation', actor: { id: 'agent-1' }, scopes: 'all', methods: 'safe' }
const READERS: DelegationRule = { id: 'readers', kind: 'delegation', actor: { id: 'reader-1' }, scopes: 'orders:read' }

describe.each(FRAMEWORKS)('$name', (framework: Framework) => {
  let issuer: TestIssuer
  let sink: ReturnType<typeof memorySink>
  let under: Measured
  let stop: () => void
  let running: TracedApi
  beforeAll(async () => {
    issuer = await createTestIssuer({ algorithms: ['EdDSA'] })
  })
  afterAll(() => issuer.close())
  beforeEach(() => {
    sink = memorySink()
    under = measured()
    stop = instrumentBehalf({ meter: under.meter })
  })
  afterEach(async () => {
    stop()
    issuer.recover()
    await running.close()
    traced.clear()
    vi.restoreAllMocks()
  })

  const start = async (options: Partial<ResourceServerOptions> = {}) => {
    running = await startTraced(
      framework,
      { issuers: [issuer.options()], delegation: [AGENTS, READERS], audit: { sinks: [sink] }, ...options },
      traced,
    )
    return running
  }
  const actedBy = (sub: string, claims: Record<string, string> = {}) => issuer.token({ claims: { ...claims, act: { sub } } })

  it('counts a call that is accepted, first cold, then hot', async () => {
    const { ask } = await start()
    const token = issuer.token()
    expect(await ask(token)).toEqual({ status: 200, code: null, span: { 'behalf.cache': 'miss' } })
    expect(await ask(token)).toEqual({ status: 200, code: null, span: { 'behalf.cache': 'hit' } })
    expect(await ask(token)).toEqual({ status: 200, code: null, span: { 'behalf.cache': 'hit' } })
    expect(await under.series('behalf.verifications')).toEqual([[{ result: 'accepted' }, 3]])
    expect(await under.series('behalf.cache.lookups')).toEqual([
      [{ result: 'hit' }, 2],
      [{ result: 'miss' }, 1],
    ])
    expect(await under.series('behalf.verification.duration')).toEqual([
      [{ result: 'accepted', cache: 'hit' }, 2],
      [{ result: 'accepted', cache: 'miss' }, 1],
    ])
    expect(await under.series('behalf.keys.fetches')).toEqual([[{ result: 'loaded' }, 1]])
    expect(await under.series('behalf.refusals')).toEqual([])
    expect(await under.series('behalf.delegated_calls')).toEqual([])
    expect(await under.series('behalf.audit.failures')).toEqual([])
  })

  it('gives durations in seconds that a request can have', async () => {
    const { ask } = await start()
    const before = performance.now()
    await ask(issuer.token())
    const seconds = (performance.now() - before) / 1000
    for (const name of ['behalf.verification.duration', 'behalf.keys.fetch.duration']) {
      const [point] = (await under.histogram(name)).dataPoints
      expect(point?.value.sum, name).toBeGreaterThan(0)
      expect(point?.value.sum, name).toBeLessThanOrEqual(seconds)
    }
  })

  it('counts no lookups without a cache', async () => {
    const { ask } = await start({ cache: false })
    expect(await ask(issuer.token())).toMatchObject({ status: 200, span: { 'behalf.cache': 'off' } })
    expect(await under.series('behalf.verifications')).toEqual([[{ result: 'accepted' }, 1]])
    expect(await under.series('behalf.cache.lookups')).toEqual([])
  })

  it('counts nothing for an anonymous call that is let in', async () => {
    const { ask } = await start()
    expect(await ask(null, { path: '/open' })).toEqual({ status: 200, code: null, span: {} })
    expect(await under.all()).toEqual([])
  })

  it('counts refusals before, in and after the verification', async () => {
    const { ask } = await start()
    const forged = issuer.token({ key: createSigningKey('EdDSA', { kid: issuer.key().kid }) })
    expect(await ask(null)).toEqual({
      ...{ status: 401, code: 'credentials_missing' },
      span: { 'behalf.refusal.code': 'credentials_missing' },
    })
    expect(await ask(forged)).toEqual({
      ...{ status: 401, code: 'signature_invalid' },
      span: { 'behalf.cache': 'miss', 'behalf.refusal.code': 'signature_invalid' },
    })
    expect(await ask(issuer.token({ claims: { scope: 'orders:write' } }))).toEqual({
      ...{ status: 403, code: 'scope_insufficient' },
      span: { 'behalf.cache': 'miss', 'behalf.refusal.code': 'scope_insufficient' },
    })
    expect(await under.series('behalf.refusals')).toEqual([
      [{ code: 'credentials_missing', stage: 'credentials' }, 1],
      [{ code: 'scope_insufficient', stage: 'requirement' }, 1],
      [{ code: 'signature_invalid', stage: 'verify' }, 1],
    ])
    expect(await under.series('behalf.verifications')).toEqual([
      [{ result: 'accepted' }, 1],
      [{ result: 'refused', reason: 'signature_invalid' }, 1],
    ])
  })

  it('counts refusals at the step where they happen', async () => {
    const failing = () => {
      throw new Error('the duty roster is down')
    }
    const { ask } = await start({ delegation: [{ ...AGENTS, when: failing }] })
    await ask(issuer.token({ claims: { cnf: { jkt: 'x' } } }))
    await ask(actedBy('agent-1'))
    await ask(null, { path: '/members' })
    await ask(issuer.token(), { path: '/failing' })
    expect(await under.series('behalf.refusals')).toEqual([
      [{ code: 'binding_unsupported', stage: 'bind' }, 1],
      [{ code: 'credentials_missing', stage: 'requirement' }, 1],
      [{ code: 'rule_unavailable', stage: 'requirement' }, 1],
      [{ code: 'rule_unavailable', stage: 'rules' }, 1],
    ])
    expect(await under.series('behalf.delegated_calls')).toEqual([
      [{ kind: 'delegation', decision: 'refuse', rule: 'agents', reason: 'rule_unavailable' }, 1],
    ])
  })

  it('takes a cached token that has expired for a miss: it was proved anew', async () => {
    let aheadMilliseconds = 0
    const { ask } = await start({ now: () => Date.now() + aheadMilliseconds })
    const token = issuer.token()
    await ask(token)
    aheadMilliseconds = 3_600_000
    expect(await ask(token)).toMatchObject({ code: 'token_expired', span: { 'behalf.cache': 'miss' } })
    expect(await under.series('behalf.cache.lookups')).toEqual([[{ result: 'miss' }, 2]])
  })

  it('counts delegated calls that rules admit and refuse', async () => {
    const { ask } = await start()
    expect(await ask(actedBy('agent-1'))).toMatchObject({
      status: 200,
      span: { 'behalf.kind': 'delegation', 'behalf.rule': 'agents', 'behalf.decision': 'allow' },
    })
    expect(await ask(actedBy('agent-1'), { method: 'POST', path: '/orders' })).toMatchObject({
      code: 'method_not_delegated',
      span: {
        'behalf.rule': 'agents',
        'behalf.decision': 'refuse',
        'behalf.refusal.code': 'method_not_delegated',
      },
    })
    const stranger = await ask(actedBy('stranger-1'))
    expect(stranger).toMatchObject({
      code: 'actor_unauthorized',
      span: { 'behalf.kind': 'delegation', 'behalf.decision': 'refuse', 'behalf.refusal.code': 'actor_unauthorized' },
    })
    expect(stranger.span).not.toHaveProperty(['behalf.rule'])
    expect(await under.series('behalf.delegated_calls')).toEqual([
      [{ kind: 'delegation', decision: 'allow', rule: 'agents' }, 1],
      [{ kind: 'delegation', decision: 'refuse', reason: 'actor_unauthorized' }, 1],
      [{ kind: 'delegation', decision: 'refuse', rule: 'agents', reason: 'method_not_delegated' }, 1],
    ])
    expect(await under.series('behalf.refusals')).toEqual([
      [{ code: 'actor_unauthorized', stage: 'rules' }, 1],
      [{ code: 'method_not_delegated', stage: 'rules' }, 1],
    ])
    expect(await under.series('behalf.verifications')).toEqual([[{ result: 'accepted' }, 3]])
  })

  it('counts a delegated call that a rule admits and a guard refuses as both', async () => {
    const { ask } = await start()
    expect(await ask(actedBy('reader-1'), { method: 'POST', path: '/orders' })).toMatchObject({
      code: 'scope_not_delegated',
      span: { 'behalf.rule': 'readers', 'behalf.decision': 'allow', 'behalf.refusal.code': 'scope_not_delegated' },
    })
    expect(await under.series('behalf.delegated_calls')).toEqual([
      [{ kind: 'delegation', decision: 'allow', rule: 'readers' }, 1],
    ])
    expect(await under.series('behalf.refusals')).toEqual([[{ code: 'scope_not_delegated', stage: 'requirement' }, 1]])
  })

  it('counts what would be refused, and no refusal, in report mode', async () => {
    vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
    const { ask } = await start({ mode: 'report' })
    expect(await ask(actedBy('stranger-1'))).toMatchObject({ status: 200, span: { 'behalf.decision': 'would_refuse' } })
    expect(await under.series('behalf.delegated_calls')).toEqual([
      [{ kind: 'delegation', decision: 'would_refuse', reason: 'actor_unauthorized' }, 1],
    ])
    expect(await under.series('behalf.refusals')).toEqual([])
  })

  it('counts what a failing sink did not accept, the decision and its outcome', async () => {
    vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
    const { ask } = await start()
    sink.refuse()
    expect(await ask(actedBy('agent-1'))).toMatchObject({
      status: 503,
      span: { 'behalf.refusal.code': 'audit_unavailable', 'behalf.rule': 'agents' },
    })
    expect(await under.series('behalf.audit.failures')).toEqual([[{}, 2]])
    expect(await under.series('behalf.refusals')).toEqual([[{ code: 'audit_unavailable', stage: 'rules' }, 1]])
    sink.refuse(false)
    expect(await ask(actedBy('agent-1'))).toMatchObject({ status: 200 })
    expect(await under.series('behalf.audit.failures')).toEqual([[{}, 2]])
  })

  it('counts an event once that a sink refuses after its time was over', async () => {
    vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
    const refusals: (() => void)[] = []
    const late: AuditSink = {
      write: () => new Promise((_, reject) => refusals.push(() => reject(new Error('too late, and no')))),
    }
    const { ask } = await start({ audit: { sinks: [late], timeoutMilliseconds: 1 } })
    expect(await ask(actedBy('agent-1'))).toMatchObject({ status: 503 })
    for (const refuse of refusals) refuse()
    await new Promise((resolve) => setImmediate(resolve))
    expect(refusals).toHaveLength(2) // the decision, and its outcome `not_run`
    expect(await under.series('behalf.audit.failures')).toEqual([[{}, 2]])
  })

  it('counts fetches that fail, and the verifications that are refused for it', async () => {
    const { ask } = await start()
    issuer.fail(500)
    expect(await ask(issuer.token())).toEqual({
      ...{ status: 503, code: 'keys_unavailable' },
      span: { 'behalf.cache': 'miss', 'behalf.refusal.code': 'keys_unavailable' },
    })
    expect(await under.series('behalf.keys.fetches')).toEqual([[{ result: 'failed' }, 1]])
    expect(await under.series('behalf.keys.fetch.duration')).toEqual([[{ result: 'failed' }, 1]])
    expect(await under.series('behalf.verifications')).toEqual([[{ result: 'refused', reason: 'keys_unavailable' }, 1]])
    expect(await under.series('behalf.refusals')).toEqual([[{ code: 'keys_unavailable', stage: 'verify' }, 1]])
  })

  it('names the issuer of a fetch as it is configured, if asked for', async () => {
    stop()
    stop = instrumentBehalf({ meter: under.meter, issuerLabel: true })
    const { ask } = await start()
    await ask(issuer.token())
    expect(await under.series('behalf.keys.fetches')).toEqual([[{ result: 'loaded', issuer: issuer.issuer }, 1]])
  })

  it('counts verify() as a verification; where there is no request, none is refused', async () => {
    const { api } = await start()
    await api.verify(issuer.token())
    await expect(api.verify('not.a.token')).rejects.toMatchObject({ code: 'token_malformed' })
    expect(await under.series('behalf.verifications')).toEqual([
      [{ result: 'accepted' }, 1],
      [{ result: 'refused', reason: 'token_malformed' }, 1],
    ])
    expect(await under.series('behalf.refusals')).toEqual([])
  })

  it('keeps the spans of requests at the same time apart', async () => {
    const { ask } = await start()
    const actors = Array.from({ length: 40 }, (_, index) => ['agent-1', 'reader-1', 'stranger-1', null][index % 4] ?? null)
    const told = await Promise.all(actors.map((actor) => ask(actor === null ? issuer.token() : actedBy(actor))))
    const expected = { 'agent-1': 'agents', 'reader-1': 'readers', 'stranger-1': undefined } as const
    expect(told.map(({ span }) => [span['behalf.kind'], span['behalf.rule']])).toEqual(
      actors.map((actor) => (actor === null ? [undefined, undefined] : ['delegation', expected[actor as keyof typeof expected]])),
    )
  })

  it('measures nothing any more after it was ended', async () => {
    const { ask } = await start()
    await ask(issuer.token())
    stop()
    await ask(issuer.token())
    await ask(null)
    expect(await under.series('behalf.verifications')).toEqual([[{ result: 'accepted' }, 1]])
    expect(await under.series('behalf.refusals')).toEqual([])
  })
})

describe('key fetches', () => {
  let issuer: TestIssuer
  let under: Measured
  let stop = () => {}
  beforeEach(async () => {
    issuer = await createTestIssuer({ algorithms: ['EdDSA'] })
    under = measured()
  })
  afterEach(async () => {
    stop()
    await issuer.close()
  })

  it('say whether the keys are other ones', async () => {
    stop = instrumentBehalf({ meter: under.meter })
    const api = createResourceServer({ issuers: [issuer.options()] })
    await api.verify(issuer.token())
    await api.keys.refresh(issuer.issuer)
    issuer.rotate()
    await api.keys.refresh(issuer.issuer)
    expect(await under.series('behalf.keys.fetches')).toEqual([
      [{ result: 'loaded' }, 2],
      [{ result: 'unchanged' }, 1],
    ])
    await api.close()
  })

  it('have a duration of their own also if somebody begins to listen while one is under way', async () => {
    const before = performance.now()
    const api = createResourceServer({
      issuers: [issuer.options()],
      fetch: (...request) => {
        stop()
        stop = instrumentBehalf({ meter: under.meter })
        return fetch(...request)
      },
    })
    await api.verify(issuer.token())
    const [point] = (await under.histogram('behalf.keys.fetch.duration')).dataPoints
    expect(point?.value.sum).toBeLessThanOrEqual((performance.now() - before) / 1000)
    await api.close()
  })
})
