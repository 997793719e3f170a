import type { AuditSink, DelegationRule, JsonValue, Requirement } from '@behalf/core'
import { createResourceServer } from '@behalf/core/adapter'
import { asgardeo, custom } from '@behalf/core/issuers'
import { fixtures, type MemorySink, memorySink } from '@behalf/testing'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { deferred } from '../../../test/support/deferred.js'
import { AUDIENCE, anyRule, createWorld, ISSUER, JWKS, oauthIssuer, settle, tokenOf, tokenOfFixture } from './support/harness.js'

type Claims = Readonly<Record<string, JsonValue | undefined>>

const SUPPORT: Claims = { act: { sub: 'support-1' } }
const OWN_SCOPES = ['orders:read', 'orders:write']

let warnings: unknown[][] = []
beforeEach(() => {
  warnings = []
  vi.spyOn(process, 'emitWarning').mockImplementation((...args: unknown[]) => {
    warnings.push(args)
  })
})
afterEach(() => {
  vi.restoreAllMocks()
})

const reporting = (...delegation: DelegationRule[]) => createWorld({ mode: 'report', delegation })

describe('report mode', () => {
  it('warns when it is created, and enforce does not', () => {
    createResourceServer({ issuers: [oauthIssuer()], audit: { sinks: [memorySink()] } })
    expect(warnings).toEqual([])
    createResourceServer({ issuers: [oauthIssuer()], audit: { sinks: [memorySink()] }, mode: 'report' })
    expect(warnings).toEqual([[expect.stringContaining("mode 'report'"), { code: 'BEHALF_REPORT_MODE' }]])
  })

  const RELAXED: readonly (readonly [string, DelegationRule[], Claims, string, string | null])[] = [
    ['no rule', [], SUPPORT, 'actor_unauthorized', null],
    ['no rule that fits', [anyRule({ actor: { id: 'x' } })], SUPPORT, 'actor_unauthorized', null],
    ['too deep', [anyRule()], { act: { sub: 'a', act: { sub: 'b' } } }, 'delegation_too_deep', 'any'],
    ['another method', [anyRule({ methods: ['POST'] })], SUPPORT, 'method_not_delegated', 'any'],
    ['too long', [anyRule({ maxLifetimeSeconds: 10 })], SUPPORT, 'delegation_too_long', 'any'],
    ['when says no', [anyRule({ scopes: 'orders:read', when: () => false })], SUPPORT, 'actor_unauthorized', 'any'],
    [
      'when throws',
      [anyRule({ scopes: 'orders:read', when: () => Promise.reject(new Error('x')) })],
      SUPPORT,
      'rule_unavailable',
      'any',
    ],
  ]

  it.each(RELAXED)('lets pass, and says so: %s', async (_, delegation, claims, code, rule) => {
    const world = reporting(...delegation)
    const visit = await world.call(claims)
    expect(visit.code).toBeNull()
    expect(visit.passage).toBe('go_on')
    expect(visit.context()).toMatchObject({ rule: null, wouldRefuse: code, scopes: OWN_SCOPES, tokenScopes: OWN_SCOPES })
    expect(world.sink.events).toHaveLength(1)
    expect(world.sink.events[0]).toMatchObject({
      type: 'access.decision',
      stage: 'rules',
      decision: 'would_refuse',
      reason: code,
      rule,
      scopes: { token: OWN_SCOPES, effective: OWN_SCOPES },
    })
    expect(await visit.guard({ scopes: OWN_SCOPES })).toBeNull()

    visit.response.end(200)
    const outcome = await world.sink.until((event) => event.type === 'access.outcome')
    expect(outcome).toMatchObject({ decision: 'would_refuse', reason: code, result: 'completed' })
    await settle()
    expect(world.sink.events).toHaveLength(2)
  })

  it('leaves admitted calls as they are: narrowed, and allowed', async () => {
    const world = reporting(anyRule({ scopes: 'orders:read' }))
    const visit = await world.call(SUPPORT)
    expect(visit.context()).toMatchObject({ rule: 'any', wouldRefuse: null, scopes: ['orders:read'] })
    expect(world.sink.events[0]).toMatchObject({ decision: 'allow', reason: null, rule: 'any' })
  })

  it('relaxes scopes at the guard: the call goes on with the token’s own scopes', async () => {
    const world = reporting(anyRule({ scopes: 'orders:read' }))
    const visit = await world.call(SUPPORT)
    expect(await visit.guard({ scopes: 'orders:write' })).toBeNull()
    expect(visit.context()).toMatchObject({ rule: null, wouldRefuse: 'scope_not_delegated', scopes: OWN_SCOPES })
    expect(world.sink.events.map(({ stage, decision, reason, rule }) => [stage, decision, reason, rule])).toEqual([
      ['rules', 'allow', null, 'any'],
      ['requirement', 'would_refuse', 'scope_not_delegated', 'any'],
    ])
    expect(world.sink.events[1]?.requestId).toBe(world.sink.events[0]?.requestId)
    // Once is enough: the next guard sees the token's own scopes.
    expect(await visit.guard({ scopes: 'orders:write' })).toBeNull()
    expect(world.sink.events).toHaveLength(2)

    visit.response.end(200)
    const outcome = await world.sink.until((event) => event.type === 'access.outcome')
    expect(outcome).toMatchObject({
      decision: 'would_refuse',
      reason: 'scope_not_delegated',
      rule: 'any',
      result: 'completed',
      scopes: { token: OWN_SCOPES, effective: OWN_SCOPES },
    })
    await settle()
    expect(world.sink.events.filter((event) => event.type === 'access.outcome')).toHaveLength(1)
  })

  /** A call that a rule narrowed, up to a guard that asks for more, with a sink that takes the first event only. */
  async function unrecorded(more: { unrecorded?: 'refuse' | 'allow' } = {}) {
    const sink = memorySink()
    const copy = memorySink()
    const audit = { sinks: [sink, copy], ...more }
    const world = createWorld({ mode: 'report', delegation: [anyRule({ scopes: 'orders:read' })], audit })
    const visit = await world.call(SUPPORT)
    sink.refuse()
    return { visit, sink, copy, error: await visit.guard({ scopes: 'orders:write' }) }
  }
  const outcomeIn = (sink: MemorySink) => sink.until((event) => event.type === 'access.outcome')

  it('relaxes nothing at the guard that no sink accepted: 503', async () => {
    const { visit, copy, error } = await unrecorded()
    expect(error).toMatchObject({ code: 'audit_unavailable', status: 503, challenge: null })
    expect(error?.headers['retry-after']).toBe('5')
    visit.response.end(503)
    expect(await outcomeIn(copy)).toMatchObject({ result: 'refused', http: { status: 503 } })
    expect(copy.events.map(({ stage, decision, reason }) => [stage, decision, reason]).slice(0, 3)).toEqual([
      ['rules', 'allow', null],
      ['requirement', 'would_refuse', 'scope_not_delegated'],
      ['requirement', 'refuse', 'audit_unavailable'],
    ])
  })

  it('that was not recorded holds for nobody else: the next guard refuses, until a sink accepts', async () => {
    const { visit, sink, copy } = await unrecorded()
    expect((await visit.guard({ scopes: 'orders:write' }))?.code).toBe('audit_unavailable')
    expect(visit.context()).toMatchObject({ rule: 'any', wouldRefuse: null, scopes: ['orders:read'] })
    sink.refuse(false)
    copy.clear()
    expect(await visit.guard({ scopes: 'orders:write' })).toBeNull()
    expect(copy.events).toMatchObject([{ decision: 'would_refuse', reason: 'scope_not_delegated', rule: 'any' }])
  })

  it('waits at the guard until the sinks have accepted', async () => {
    const written = deferred()
    const accepted = deferred()
    const slow: AuditSink = {
      write(event) {
        if (event.stage !== 'requirement') return undefined
        written.resolve()
        return accepted.promise
      },
    }
    const audit = { sinks: [slow] }
    const visit = await createWorld({ mode: 'report', delegation: [anyRule({ scopes: 'orders:read' })], audit }).call(SUPPORT)
    let passed = false
    const guarded = visit.guard({ scopes: 'orders:write' }).then((error) => {
      passed = true
      return error
    })
    await written.promise
    await settle()
    expect(passed).toBe(false)
    // Until then nothing is relaxed for anybody: not for a handler that looks, and not for a guard that is asked meanwhile.
    expect(visit.context()).toMatchObject({ rule: 'any', wouldRefuse: null, scopes: ['orders:read'] })
    let passedBeside = false
    const beside = visit.guard({ scopes: 'orders:write' }).then((error) => {
      passedBeside = true
      return error
    })
    await settle()
    expect(passedBeside).toBe(false)
    accepted.resolve()
    expect([await guarded, await beside]).toEqual([null, null])
    expect(visit.context()).toMatchObject({ rule: null, wouldRefuse: 'scope_not_delegated', scopes: OWN_SCOPES })
  })

  it("goes on without a record under unrecorded: 'allow', and the outcome says what would have been", async () => {
    const { visit, copy, error } = await unrecorded({ unrecorded: 'allow' })
    expect(error).toBeNull()
    expect(visit.context()).toMatchObject({ wouldRefuse: 'scope_not_delegated', scopes: OWN_SCOPES })
    visit.response.end(200)
    expect(await outcomeIn(copy)).toMatchObject({
      decision: 'would_refuse',
      reason: 'scope_not_delegated',
      rule: 'any',
      result: 'completed',
    })
  })

  it('relaxes a method that was overridden after the rule was asked', async () => {
    let method = 'GET'
    const world = reporting(anyRule({ methods: 'safe' }))
    const visit = await world.call(SUPPORT, {
      get method() {
        return method
      },
    })
    method = 'DELETE'
    expect(await visit.guard()).toBeNull()
    expect(visit.context()).toMatchObject({ rule: null, wouldRefuse: 'method_not_delegated' })
    expect(world.sink.events[1]).toMatchObject({ decision: 'would_refuse', reason: 'method_not_delegated', rule: 'any' })
    visit.response.end(200)
    expect(await outcomeIn(world.sink)).toMatchObject({ decision: 'would_refuse', reason: 'method_not_delegated', rule: 'any' })
  })

  it.each([
    ['scopes that the token does not have', { scopes: 'admin' }, 'scope_insufficient'],
    ['some of which a rule took away', { scopes: ['admin', 'orders:write'] }, 'scope_insufficient'],
    ['kind', { kind: 'direct' }, 'delegation_forbidden'],
    ['actor', { actor: { id: 'support-2' } }, 'actor_unauthorized'],
    ['claims', { claims: { department: 'x' } }, 'requirement_failed'],
    ['check', { check: () => false }, 'requirement_failed'],
    ['check after relaxed scopes', { scopes: 'orders:write', check: () => false }, 'requirement_failed'],
  ] satisfies [string, Requirement, string][])('holds requirements: %s', async (_, requirement, code) => {
    for (const delegation of [[], [anyRule({ scopes: 'orders:read' })]]) {
      const visit = await reporting(...delegation).call(SUPPORT)
      expect((await visit.guard(requirement))?.code).toBe(code)
    }
  })

  it.each([
    ['expired', { ...SUPPORT, exp: 1 }, 'token_expired'],
    ['for somebody else', { ...SUPPORT, aud: 'https://elsewhere.test' }, 'audience_mismatch'],
    ['bound to a sender', { ...SUPPORT, cnf: { jkt: 'x' } }, 'binding_unsupported'],
    ['unreadable delegation', { act: 'support-1' }, 'delegation_malformed'],
    ['a foreign marker', { impersonator: { sub: 'x' } }, 'delegation_foreign'],
    ['a foreign marker beside one that is read', { ...SUPPORT, act_as: { sub: 'x' } }, 'delegation_foreign'],
  ] satisfies [string, Claims, string][])('holds proof, binding and delegation itself: %s', async (_, claims, code) => {
    expect((await reporting().call(claims)).code).toBe(code)
  })

  it('holds the signature', async () => {
    const [header, , signature] = tokenOf(SUPPORT).split('.')
    const forged = [header, tokenOf({}).split('.')[1], signature].join('.')
    expect((await reporting().call(forged)).code).toBe('signature_invalid')
  })

  it('holds mayAct', async () => {
    const { subjectToken } = fixtures.asgardeo
    const issuers = [
      asgardeo({
        organization: 'bifrost',
        clientIds: [String(subjectToken.claims['aud'])],
        jwks: JWKS,
        tokenTypes: ['at+jwt', 'JWT'],
      }),
    ]
    const world = createWorld({ mode: 'report', issuers: issuers.map((each) => ({ ...each, presentClaims: ['iat'] })) })
    expect((await world.call(tokenOfFixture(subjectToken))).code).toBe('token_type_refused')
    const refusing = custom({
      issuer: ISSUER,
      audience: AUDIENCE,
      jwks: JWKS,
      tokenTypes: ['at+jwt'],
      actor: { claim: 'act' },
      kind: 'delegation',
      mayAct: 'refuse',
    })
    const other = createWorld({ mode: 'report', issuers: [refusing] })
    expect((await other.call({ ...SUPPORT, may_act: { sub: 'x' } })).code).toBe('token_type_refused')
  })

  it('holds the audit: what cannot be recorded is refused', async () => {
    const world = reporting()
    world.sink.refuse()
    const visit = await world.call(SUPPORT)
    expect(visit.error).toMatchObject({ code: 'audit_unavailable', status: 503 })
  })

  it('touches no direct call', async () => {
    const world = reporting(anyRule({ scopes: 'orders:read' }))
    const visit = await world.call({})
    expect(visit.context()).toMatchObject({ kind: 'direct', rule: null, wouldRefuse: null, scopes: OWN_SCOPES })
    expect((await visit.guard({ scopes: 'admin' }))?.code).toBe('scope_insufficient')
    expect(world.sink.events).toEqual([])
  })
})
