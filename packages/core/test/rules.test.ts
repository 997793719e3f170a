import type { AuthContext, DelegatedContext, DelegationRule, JsonValue, RequestView } from '@behalf/core'
import { custom } from '@behalf/core/issuers'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { deferred } from '../../../test/support/deferred.js'
import { ENDINGS } from '../../../test/support/endings.js'
import {
  AUDIENCE,
  anyRule,
  createWorld,
  ISSUER,
  JWKS,
  NOW_SECONDS,
  OTHER_ISSUER,
  oauthIssuer,
  twoIssuers,
} from './support/harness.js'

type Claims = Readonly<Record<string, JsonValue | undefined>>

const SUPPORT: Claims = { act: { sub: 'support-1' } }

function odd(): never {
  throw new Error('odd')
}

/** Two rules: the one under test, and after it one that would admit everything. */
const ruleThen = (more: Partial<DelegationRule>): DelegationRule[] => [anyRule({ id: 'first', ...more }), anyRule({ id: 'rest' })]

/** Which rule admits a call, or the code of its refusal. */
async function decided(rules: readonly DelegationRule[], claims: Claims, request: Partial<RequestView> = {}) {
  const visit = await createWorld({ delegation: rules }).call(claims, request)
  return visit.code ?? visit.context().rule
}

describe('without a rule that fits', () => {
  it.each([
    ['no rules', {}],
    ['an empty list of rules', { delegation: [] }],
    ['rules for others', { delegation: [anyRule({ actor: { id: 'agent-1' } })] }],
  ])('%s: every delegated call is refused', async (_, options) => {
    const visit = await createWorld(options).call(SUPPORT)
    expect(visit.error).toMatchObject({ code: 'actor_unauthorized', status: 403 })
    expect(visit.error?.challenge).toMatch(/^Bearer error="actor_unauthorized"/)
    expect(visit.passage).toBeNull()
  })

  it('a direct call needs no rule, and no rule touches it', async () => {
    const when = vi.fn(() => false)
    for (const delegation of [[], [anyRule({ scopes: 'nothing', methods: ['POST'], maxLifetimeSeconds: 1, when })]]) {
      const visit = await createWorld({ delegation }).call({})
      expect(visit.code).toBeNull()
      expect(visit.context()).toMatchObject({ kind: 'direct', rule: null, scopes: ['orders:read', 'orders:write'] })
    }
    expect(when).not.toHaveBeenCalled()
  })
})

describe('the first rule that fits decides', () => {
  it('its limits refuse, and never lead to the next rule', async () => {
    expect(
      await decided(ruleThen({ actor: { id: 'support-1' }, maxDepth: 1 }), { act: { sub: 'support-1', act: { sub: 'x' } } }),
    ).toBe('delegation_too_deep')
    expect(await decided(ruleThen({ actor: { id: 'support-1' }, methods: ['POST'] }), SUPPORT)).toBe('method_not_delegated')
    expect(await decided(ruleThen({ actor: { id: 'support-1' }, maxLifetimeSeconds: 599 }), SUPPORT)).toBe('delegation_too_long')
    expect(await decided(ruleThen({ actor: { id: 'support-1' }, when: () => false }), SUPPORT)).toBe('actor_unauthorized')
    expect(await decided(ruleThen({ actor: { id: 'support-1' } }), SUPPORT)).toBe('first')
    expect(await decided(ruleThen({ actor: { id: 'support-2' } }), SUPPORT)).toBe('rest')
  })

  it('its scopes narrow, and never lead to the next rule', async () => {
    const visit = await createWorld({ delegation: ruleThen({ actor: { id: 'support-1' }, scopes: 'nothing' }) }).call(SUPPORT)
    expect(visit.context()).toMatchObject({ rule: 'first', scopes: [], tokenScopes: ['orders:read', 'orders:write'] })
  })

  it('by kind', async () => {
    const issuers = [oauthIssuer({ kind: (claims) => (claims['imp'] === true ? 'impersonation' : 'delegation') })]
    const world = createWorld({ issuers, delegation: ruleThen({ kind: 'impersonation' }) })
    expect((await world.call({ ...SUPPORT, imp: true })).context()).toMatchObject({ kind: 'impersonation', rule: 'first' })
    expect((await world.call(SUPPORT)).context()).toMatchObject({ kind: 'delegation', rule: 'rest' })
  })

  it("by the token's issuer", async () => {
    const world = createWorld({ issuers: twoIssuers(), delegation: ruleThen({ issuer: OTHER_ISSUER }) })
    expect((await world.call({ ...SUPPORT, iss: OTHER_ISSUER })).context().rule).toBe('first')
    expect((await world.call(SUPPORT)).context().rule).toBe('rest')
  })

  it('by tenant: exactly, one or several, and never a token without one', async () => {
    const issuers = [oauthIssuer({ claims: { tenant: 'tid' } })]
    const rule = (tenant: string | string[]) => createWorld({ issuers, delegation: ruleThen({ tenant }) })
    expect((await rule('t1').call({ ...SUPPORT, tid: 't1' })).context().rule).toBe('first')
    expect((await rule(['t0', 't1']).call({ ...SUPPORT, tid: 't1' })).context().rule).toBe('first')
    for (const tid of ['T1', 't10', 't', undefined]) {
      expect((await rule('t1').call({ ...SUPPORT, tid })).context().rule).toBe('rest')
    }
  })

  it('by subject', async () => {
    const rules = (subject: NonNullable<DelegationRule['subject']>) => ruleThen({ subject })
    expect(await decided(rules({ id: 'user-1' }), SUPPORT)).toBe('first')
    expect(await decided(rules([{ id: 'user-0' }, { id: 'user-1' }]), SUPPORT)).toBe('first')
    expect(await decided(rules({ id: 'user-2' }), SUPPORT)).toBe('rest')
    expect(await decided(rules({ id: 'user-1', issuer: ISSUER }), SUPPORT)).toBe('first')
    expect(await decided(rules({ id: 'user-1', issuer: OTHER_ISSUER }), SUPPORT)).toBe('rest')
    expect(await decided(rules({ type: 'client' }), SUPPORT)).toBe('rest')
    expect(await decided(rules({ type: 'client' }), { ...SUPPORT, sub: 'client-1' })).toBe('first')
    expect(await decided(rules({ profile: 'vip' }), { ...SUPPORT, sub_profile: 'Customer VIP' })).toBe('first')
    expect(await decided(rules({ profile: 'vi' }), { ...SUPPORT, sub_profile: 'vip' })).toBe('rest')
  })
})

describe('the actor of a rule', () => {
  const actor = (matcher: DelegationRule['actor']) => ruleThen({ actor: matcher, maxDepth: 8 })
  const rest = ruleThen({}).slice(1)
  const deep = (matcher: DelegationRule['actor'], claims: Claims) =>
    decided([...actor(matcher).slice(0, 1), ...rest.map((rule) => ({ ...rule, maxDepth: 8 }))], claims)

  it('is compared exactly', async () => {
    for (const sub of ['Support-1', 'support-10', 'support-', 'support-1x', 'ssupport-1']) {
      expect(await decided(actor({ id: 'support-1' }), { act: { sub } })).toBe('rest')
    }
    expect(await decided(actor([{ id: 'support-0' }, { id: 'support-1' }]), SUPPORT)).toBe('first')
  })

  it('needs every member of a matcher, and one matcher of a list', async () => {
    const claims = { act: { sub: 'agent-1', sub_profile: 'ai_agent' } }
    expect(await decided(actor({ id: 'agent-1', profile: 'ai_agent' }), claims)).toBe('first')
    expect(await decided(actor({ id: 'agent-2', profile: 'ai_agent' }), claims)).toBe('rest')
    expect(await decided(actor({ id: 'agent-1', profile: 'service' }), claims)).toBe('rest')
    expect(await decided(actor([{ id: 'agent-2' }, { profile: 'ai_agent' }]), claims)).toBe('first')
  })

  it('is never one from the history', async () => {
    const claims = { act: { sub: 'nobody', act: { sub: 'support-1', sub_profile: 'trusted', iss: ISSUER } } }
    expect(await deep({ id: 'support-1' }, claims)).toBe('rest')
    expect(await deep({ profile: 'trusted' }, claims)).toBe('rest')
    expect(await deep({ id: 'support-1', issuer: ISSUER }, claims)).toBe('rest')
    expect(await deep({ id: 'nobody' }, claims)).toBe('first')
  })

  it('without issuer fits a name space that is unsaid or the issuer of the token', async () => {
    expect(await decided(actor({ id: 'support-1' }), { act: { sub: 'support-1' } })).toBe('first')
    expect(await decided(actor({ id: 'support-1' }), { act: { sub: 'support-1', iss: ISSUER } })).toBe('first')
    expect(await decided(actor({ id: 'support-1' }), { act: { sub: 'support-1', iss: OTHER_ISSUER } })).toBe('rest')
    expect(await decided(actor({ profile: 'ai_agent' }), { act: { sub: 'a', iss: OTHER_ISSUER, sub_profile: 'ai_agent' } })).toBe(
      'rest',
    )
  })

  it('with issuer fits only whoever says exactly that', async () => {
    const matcher = { id: 'support-1', issuer: OTHER_ISSUER }
    expect(await decided(actor(matcher), { act: { sub: 'support-1', iss: OTHER_ISSUER } })).toBe('first')
    expect(await decided(actor(matcher), { act: { sub: 'support-1', iss: `${OTHER_ISSUER}/` } })).toBe('rest')
    expect(await decided(actor(matcher), { act: { sub: 'support-1', iss: ISSUER } })).toBe('rest')
    expect(await decided(actor(matcher), { act: { sub: 'support-1' } })).toBe('rest')
    expect(await decided(actor({ id: 'support-1', issuer: ISSUER }), { act: { sub: 'support-1' } })).toBe('rest')
  })

  it('is found by its naming claim', async () => {
    const issuers = [oauthIssuer({ actor: { id: ['sub', 'client_id'] } })]
    const first = async (matcher: DelegationRule['actor'], act: JsonValue) =>
      (await createWorld({ issuers, delegation: actor(matcher) }).call({ act })).context().rule
    expect(await first({ id: 'one', idClaim: 'client_id' }, { client_id: 'one' })).toBe('first')
    expect(await first({ id: 'one' }, { client_id: 'one' })).toBe('rest')
    expect(await first({ id: 'one', idClaim: 'client_id' }, { sub: 'one' })).toBe('rest')
    expect(await first({ id: 'one', idClaim: 'sub' }, { sub: 'one', client_id: 'two' })).toBe('first')
    expect(await first({ id: 'two', idClaim: 'client_id' }, { sub: 'one', client_id: 'two' })).toBe('rest')
    expect(await first({ type: 'client' }, { client_id: 'one' })).toBe('first')
    expect(await first({ type: 'client' }, { sub: 'one' })).toBe('rest')
  })

  it("has a tenant only where the issuer's dialect says so", async () => {
    const issuers = [
      custom({
        issuer: ISSUER,
        audience: AUDIENCE,
        jwks: JWKS,
        tokenTypes: ['at+jwt'],
        actor: { claim: 'impersonator_userid', encoding: 'string', tenant: 'impersonator_tenantid' },
        kind: 'impersonation',
      }),
    ]
    const world = createWorld({ issuers, delegation: actor({ tenant: 'host' }) })
    const call = async (tenant: string) =>
      (await world.call({ impersonator_userid: 'admin', impersonator_tenantid: tenant })).context().rule
    expect(await call('host')).toBe('first')
    expect(await call('hosts')).toBe('rest')
    expect(await decided(actor({ tenant: 'host' }), { act: { sub: 'a', tenant: 'host', tid: 'host' } })).toBe('rest')
  })

  it("that the token does not name is fit by 'any' alone", async () => {
    const issuers = [
      custom({
        issuer: ISSUER,
        audience: AUDIENCE,
        jwks: JWKS,
        tokenTypes: ['at+jwt'],
        actor: { read: (claims) => (claims['imp'] === true ? 'unknown' : null) },
        kind: 'impersonation',
      }),
    ]
    const call = async (matcher: DelegationRule['actor']) => {
      const visit = await createWorld({ issuers, delegation: [anyRule({ actor: matcher })] }).call({ imp: true })
      return visit.code ?? visit.context().actor
    }
    expect(await call('any')).toMatchObject({ id: null, issuer: null, type: null, profiles: [] })
    for (const matcher of [
      { id: 'null' },
      { type: 'user' },
      { type: 'client' },
      { profile: 'ai_agent' },
      { tenant: 't' },
    ] as const) {
      expect(await call(matcher)).toBe('actor_unauthorized')
      expect(await call([matcher])).toBe('actor_unauthorized')
    }
  })
})

describe('limits', () => {
  it('maxDepth counts every actor; its default is 1', async () => {
    const chain = (length: number): JsonValue => (length === 1 ? { sub: 'a1' } : { sub: `a${length}`, act: chain(length - 1) })
    expect(await decided([anyRule()], { act: chain(1) })).toBe('any')
    expect(await decided([anyRule()], { act: chain(2) })).toBe('delegation_too_deep')
    expect(await decided([anyRule({ maxDepth: 3 })], { act: chain(3) })).toBe('any')
    expect(await decided([anyRule({ maxDepth: 3 })], { act: chain(4) })).toBe('delegation_too_deep')
  })

  it('methods hold for the method on the wire and the one that the framework shows: the stricter wins', async () => {
    const call = (methods: DelegationRule['methods'], wireMethod: string, method: string) =>
      decided([anyRule(methods === undefined ? {} : { methods })], SUPPORT, { method, wireMethod })
    for (const method of ['GET', 'HEAD', 'OPTIONS']) expect(await call('safe', method, method)).toBe('any')
    for (const method of ['POST', 'DELETE', 'PATCH', 'TRACE', 'get', '']) {
      expect(await call('safe', method, method)).toBe('method_not_delegated')
    }
    expect(await call('safe', 'POST', 'GET')).toBe('method_not_delegated')
    expect(await call('safe', 'GET', 'DELETE')).toBe('method_not_delegated')
    expect(await call(['POST', 'DELETE'], 'POST', 'DELETE')).toBe('any')
    expect(await call(['GET'], 'HEAD', 'HEAD')).toBe('method_not_delegated')
    expect(await call(undefined, 'DELETE', 'DELETE')).toBe('any')
  })

  it('methods are judged again by every guard: an override may have run in between', async () => {
    let method = 'GET'
    const visit = await createWorld({ delegation: [anyRule({ methods: 'safe' })] }).call(SUPPORT, {
      get method() {
        return method
      },
    })
    expect(await visit.guard()).toBeNull()
    method = 'DELETE'
    expect((await visit.guard())?.code).toBe('method_not_delegated')
  })

  it('maxLifetimeSeconds is of exp − iat, and needs iat', async () => {
    const issuers = [{ ...oauthIssuer(), presentClaims: ['client_id'] }]
    const call = async (lifetime: number | null) => {
      const iat = lifetime === null ? undefined : NOW_SECONDS
      const exp = NOW_SECONDS + (lifetime ?? 10)
      return (await createWorld({ issuers, delegation: [anyRule({ maxLifetimeSeconds: 60 })] }).call({ ...SUPPORT, iat, exp }))
        .code
    }
    expect(await call(59)).toBeNull()
    expect(await call(60)).toBeNull()
    expect(await call(60.5)).toBe('delegation_too_long')
    expect(await call(61)).toBe('delegation_too_long')
    // Where sets of revocations are asked, no token without `iat` is.
    expect(await call(null)).toBe(ENDINGS ? 'claim_missing' : 'delegation_too_long')
  })

  it('are asked in one order: depth, method, lifetime, when', async () => {
    const when = vi.fn(() => true)
    const rule = anyRule({ maxDepth: 1, methods: ['POST'], maxLifetimeSeconds: 1, when })
    const two: Claims = { act: { sub: 'a', act: { sub: 'b' } } }
    expect(await decided([rule], two)).toBe('delegation_too_deep')
    expect(await decided([{ ...rule, maxDepth: 2 }], two)).toBe('method_not_delegated')
    expect(await decided([{ ...rule, maxDepth: 2, methods: ['GET'] }], two)).toBe('delegation_too_long')
    expect(when).not.toHaveBeenCalled()
    expect(await decided([{ ...rule, maxDepth: 2, methods: ['GET'], maxLifetimeSeconds: 600 }], two)).toBe('any')
    expect(when).toHaveBeenCalledTimes(1)
  })
})

describe('when', () => {
  it.each([
    ['true', () => true, null],
    ['a promise of true', async () => true, null],
    ['false', () => false, 'actor_unauthorized'],
    ['a promise of false', async () => false, 'actor_unauthorized'],
    ['1', () => 1, 'actor_unauthorized'],
    ['a promise of 1', async () => 1, 'actor_unauthorized'],
    ["'true'", () => 'true', 'actor_unauthorized'],
    ['an object', () => ({}), 'actor_unauthorized'],
    ['undefined', () => undefined, 'actor_unauthorized'],
    ['null', () => null, 'actor_unauthorized'],
    ['a Boolean object', () => Object(true), 'actor_unauthorized'],
  ])('%s', async (_, when, code) => {
    const visit = await createWorld({ delegation: ruleThen({ actor: { id: 'support-1' }, when: when as never }) }).call(SUPPORT)
    expect(visit.code).toBe(code)
    if (code === null) expect(visit.context().rule).toBe('first')
  })

  it.each([
    [
      'throws',
      () => {
        throw new Error('the directory says: token eyJ')
      },
    ],
    [
      'throws nothing at all',
      () => {
        throw undefined
      },
    ],
    ['rejects', () => Promise.reject(new Error('the directory is down'))],
    ['answers with a thenable that throws', () => Object.fromEntries([['then', odd]])],
  ])('that %s is our trouble: 503, to be tried again, never the next rule', async (_, when) => {
    const visit = await createWorld({ delegation: ruleThen({ actor: { id: 'support-1' }, when: when as never }) }).call(SUPPORT)
    expect(visit.error).toMatchObject({ code: 'rule_unavailable', status: 503, challenge: null })
    expect(visit.error?.headers['retry-after']).toMatch(/^\d+$/)
    expect(JSON.stringify(visit.error)).not.toContain('directory')
  })

  it('is asked last, with the scopes that the rule leaves and before it is admitted to a handler', async () => {
    const when = vi.fn((context: DelegatedContext, request: RequestView) => {
      expect(Object.isFrozen(context)).toBe(true)
      return context.scopes.length === 1 && request.path === '/orders'
    })
    const visit = await createWorld({ delegation: [anyRule({ scopes: 'orders:read', when })] }).call(SUPPORT)
    expect(visit.code).toBeNull()
    expect(when.mock.calls[0]?.[0]).toMatchObject({
      scopes: ['orders:read'],
      tokenScopes: ['orders:read', 'orders:write'],
      actor: { id: 'support-1' },
      subject: { id: 'user-1' },
    })
  })

  it('is asked for every request, also of one and the same token', async () => {
    let onDuty = true
    const world = createWorld({ delegation: [anyRule({ when: () => onDuty })] })
    expect((await world.call(SUPPORT)).code).toBeNull()
    onDuty = false
    expect((await world.call(SUPPORT)).code).toBe('actor_unauthorized')
  })

  describe('that takes its time', () => {
    beforeEach(() => {
      vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    })
    afterEach(() => {
      vi.useRealTimers()
    })

    async function slow(limits: { hookMilliseconds?: number } = {}) {
      const asked = deferred()
      const answer = deferred<boolean>()
      const when = () => {
        asked.resolve()
        return answer.promise
      }
      const world = createWorld({ delegation: ruleThen({ actor: { id: 'support-1' }, when }), limits })
      const visit = world.call(SUPPORT)
      await asked.promise
      return { visit, answer }
    }

    it('may take as long as the limit says', async () => {
      const { visit, answer } = await slow()
      await vi.advanceTimersByTimeAsync(999)
      answer.resolve(true)
      expect((await visit).code).toBeNull()
      expect(vi.getTimerCount()).toBe(0)
    })

    it('is too late after that: 503, whatever it answers then', async () => {
      const { visit, answer } = await slow()
      await vi.advanceTimersByTimeAsync(1000)
      expect((await visit).error).toMatchObject({ code: 'rule_unavailable', status: 503 })
      answer.resolve(true)
      const done = await visit
      expect(() => done.context()).toThrow(/cannot be evaluated/)
    })

    it('may reject after that, and the process lives', async () => {
      const unhandled = vi.fn()
      process.on('unhandledRejection', unhandled)
      const { visit, answer } = await slow({ hookMilliseconds: 20 })
      await vi.advanceTimersByTimeAsync(20)
      expect((await visit).code).toBe('rule_unavailable')
      answer.reject(new Error('late'))
      await new Promise((resolve) => setImmediate(resolve))
      process.off('unhandledRejection', unhandled)
      expect(unhandled).not.toHaveBeenCalled()
    })

    it('keeps to limits.retryAfterSeconds', async () => {
      const world = createWorld({
        delegation: [anyRule({ when: () => Promise.reject(new Error('down')) })],
        limits: { retryAfterSeconds: 17 },
      })
      expect((await world.call(SUPPORT)).error?.headers['retry-after']).toBe('17')
    })
  })
})

describe('scopes', () => {
  const left = async (granted: string, scopes: DelegationRule['scopes'], exceptScopes?: DelegationRule['exceptScopes']) => {
    const rule = anyRule({ scopes, ...(exceptScopes !== undefined && { exceptScopes }) })
    const visit = await createWorld({ delegation: [rule] }).call({ ...SUPPORT, scope: granted })
    expect(visit.context().tokenScopes).toEqual([...new Set(granted.split(' '))].sort())
    return visit.context().scopes.join(' ')
  }

  it('are those of both the token and the rule, sorted and without duplicates', async () => {
    expect(await left('orders:write orders:read orders:read profile', ['profile', 'orders:read', 'admin'])).toBe(
      'orders:read profile',
    )
    expect(await left('b a b', 'all')).toBe('a b')
    expect(await left('orders:read', 'orders:READ')).toBe('')
    expect(await left('orders:read', ['all'])).toBe('')
    expect(await left('all orders:read', ['all'])).toBe('all')
  })

  it('by pattern: what begins so, and has more after it', async () => {
    const granted = 'orders orders: orders:read orders:read:own ordersx:read xorders:read profile'
    expect(await left(granted, 'orders:*')).toBe('orders:read orders:read:own')
    expect(await left(granted, 'orders:read:*')).toBe('orders:read:own')
  })

  it('less the exceptions, which come last', async () => {
    const granted = 'orders:read orders:refund orders:refund:all profile'
    expect(await left(granted, 'orders:*', 'orders:refund')).toBe('orders:read orders:refund:all')
    expect(await left(granted, 'orders:*', ['orders:refund', 'orders:refund:*'])).toBe('orders:read')
    expect(await left(granted, 'all', 'orders:*')).toBe('profile')
    expect(await left(granted, ['orders:refund'], ['orders:refund'])).toBe('')
  })

  it('of a token that contain * are ordinary words, and no pattern covers them', async () => {
    const granted = 'orders:* orders:*:x * orders:read'
    expect(await left(granted, 'orders:*')).toBe('orders:read')
    expect(await left(granted, 'all')).toBe('* orders:* orders:*:x orders:read')
    expect(await left(granted, 'all', 'orders:*')).toBe('*')
  })

  it('no claim means no scopes', async () => {
    const visit = await createWorld({ delegation: [anyRule()] }).call({ ...SUPPORT, scope: undefined })
    expect(visit.context()).toMatchObject({ scopes: [], tokenScopes: [] })
  })
})

describe('claims of a delegated context', () => {
  const authority = {
    roles: ['admin'],
    groups: ['staff'],
    permissions: ['everything'],
    entitlements: ['gold'],
    authorization_details: [{ type: 'payment' }],
  }

  it('have no authority claims; `unnarrowed` has them', async () => {
    const visit = await createWorld({ delegation: [anyRule()] }).call({ ...SUPPORT, ...authority, department: 'x' })
    const { claims, unnarrowed } = visit.delegated()
    expect(claims['department']).toBe('x')
    for (const name of [...Object.keys(authority), 'scope']) expect(claims).not.toHaveProperty(name)
    expect({ ...unnarrowed }).toEqual(authority)
    expect(JSON.stringify(claims)).not.toMatch(/orders:write|admin/)
  })

  it('of a direct context keep them', async () => {
    const context: AuthContext = (await createWorld().call(authority)).context()
    expect({ ...context.claims }).toMatchObject({ ...authority, scope: 'orders:read orders:write' })
    expect(context).not.toHaveProperty('unnarrowed')
  })

  it('follow the authorityClaims that the issuer names, beside the usual ones', async () => {
    const issuers = [oauthIssuer({ authorityClaims: ['clearance'] })]
    const visit = await createWorld({ issuers, delegation: [anyRule()] }).call({ ...SUPPORT, ...authority, clearance: 'top' })
    expect({ ...visit.delegated().unnarrowed }).toEqual({ ...authority, clearance: 'top' })
    for (const name of [...Object.keys(authority), 'clearance']) expect(visit.delegated().claims).not.toHaveProperty(name)
  })

  it('have no scopes of tenants either: rules do not narrow them there', async () => {
    const issuers = [oauthIssuer({ claims: { tenant: 'tid', tenantScopes: { claim: 'tenants', member: 'scopes' } } })]
    const claims = { tid: 't1', tenants: { t1: { scopes: ['t1:write'] }, t2: { scopes: ['t2:write'] } } }
    const world = createWorld({ issuers, delegation: [anyRule({ scopes: 'orders:read' })] })
    const delegated = (await world.call({ ...SUPPORT, ...claims })).delegated()
    expect(delegated).toMatchObject({ scopes: ['orders:read'], tokenScopes: ['orders:read', 'orders:write', 't1:write'] })
    expect(delegated.claims).not.toHaveProperty('tenants')
    expect(delegated.claims).not.toHaveProperty('scope')
    expect((await world.call(claims)).context().claims['tenants']).toMatchObject(claims.tenants)
  })
})
