import type { JsonValue, PartyMatcher, Requirement, ResourceServerOptions } from '@behalf/core'
import { ConfigError } from '@behalf/core'
import { custom } from '@behalf/core/issuers'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { deferred } from '../../../test/support/deferred.js'
import { AUDIENCE, anyRule, createWorld, ISSUER, JWKS, OTHER_ISSUER, oauthIssuer, twoIssuers } from './support/harness.js'

type Claims = Readonly<Record<string, JsonValue | undefined>>

const DIRECT: Claims = {}
const SUPPORT: Claims = { act: { sub: 'support-1', iss: ISSUER } }
const AGENT: Claims = { act: { sub: 'agent-1', sub_profile: 'ai_agent' } }

/** `null`: a guard without a requirement. */
async function judged(requirement: Requirement | null, claims: Claims, options: Partial<ResourceServerOptions> = {}) {
  const visit = await createWorld({ delegation: [anyRule({ maxDepth: 3 })], ...options }).call(claims)
  expect(visit.code).toBeNull()
  return (await visit.guard(...given(requirement)))?.code ?? 'admitted'
}

const given = (requirement: Requirement | null): readonly [] | readonly [requirement: Requirement] =>
  requirement === null ? [] : [requirement]

const TENANT = { issuers: [oauthIssuer({ claims: { tenant: 'tid' } })] }
const byType = { issuers: [oauthIssuer({ claims: { type: { claim: 'aut', client: ['APP'], user: ['USER'] } } })] }
const imp = { issuers: [oauthIssuer({ kind: (claims) => (claims['imp'] === true ? 'impersonation' : 'delegation') })] }
const unknownActor = {
  issuers: [
    custom({
      issuer: ISSUER,
      audience: AUDIENCE,
      jwks: JWKS,
      tokenTypes: ['at+jwt'],
      actor: { read: () => 'unknown' },
      kind: 'delegation',
    }),
  ],
}

const two = { issuers: twoIssuers() }
const byClient = { issuers: [oauthIssuer({ actor: { id: ['sub', 'client_id'] } })] }
const CLIENT: Claims = { act: { client_id: 'agent-1' } }
const OTHER_CLIENT: Claims = { iss: OTHER_ISSUER, sub: 'client-1', sub_profile: 'vip' }
/** The same actor, stating the name space of somebody else. */
const elsewhere = ({ act }: Claims): Claims => ({ act: { ...(act as object), iss: OTHER_ISSUER } })
const notThere = (id: string): Requirement => ({ actor: { not: { id, issuer: OTHER_ISSUER } } })
const notSubject = (not: PartyMatcher): Requirement => ({ issuer: [ISSUER, OTHER_ISSUER], subject: { not } })

type Row = readonly [
  what: string,
  requirement: Requirement | null,
  claims: Claims,
  outcome: string,
  options?: Partial<ResourceServerOptions>,
]

const ROWS: readonly Row[] = [
  ['guard() means a verified call', null, DIRECT, 'admitted'],
  ['guard() means a verified call, delegated too', {}, SUPPORT, 'admitted'],

  ['a scope that is there', { scopes: 'orders:read' }, DIRECT, 'admitted'],
  ['a scope that is not', { scopes: 'orders:refund' }, DIRECT, 'scope_insufficient'],
  ['all of several scopes', { scopes: ['orders:read', 'orders:write'] }, DIRECT, 'admitted'],
  ['all but one', { scopes: ['orders:read', 'orders:refund'] }, DIRECT, 'scope_insufficient'],
  ['scopes know no patterns', { scopes: 'orders:*' }, DIRECT, 'scope_insufficient'],
  ['a scope with * is a word', { scopes: 'orders:*' }, { scope: 'orders:*' }, 'admitted'],
  ['and is no pattern', { scopes: 'orders:read' }, { scope: 'orders:*' }, 'scope_insufficient'],
  ['scopes are exact', { scopes: 'orders:Read' }, DIRECT, 'scope_insufficient'],
  ['one of several scopes', { anyScope: ['admin', 'orders:write'] }, DIRECT, 'admitted'],
  ['none of several scopes', { anyScope: ['admin', 'orders:refund'] }, DIRECT, 'scope_insufficient'],
  ['both kinds of scopes', { scopes: 'orders:read', anyScope: ['admin', 'orders:write'] }, DIRECT, 'admitted'],
  ['the first of both fails', { scopes: 'admin', anyScope: ['orders:read'] }, DIRECT, 'scope_insufficient'],
  ['the second of both fails', { scopes: 'orders:read', anyScope: 'admin' }, DIRECT, 'scope_insufficient'],

  ['direct where direct', { kind: 'direct' }, DIRECT, 'admitted'],
  ['delegation where direct', { kind: 'direct' }, SUPPORT, 'delegation_forbidden'],
  ['direct where delegation', { kind: 'delegation' }, DIRECT, 'delegation_required'],
  ['direct where either delegated kind', { kind: ['impersonation', 'delegation'] }, DIRECT, 'delegation_required'],
  ['delegation where delegation', { kind: 'delegation' }, SUPPORT, 'admitted'],
  ['delegation where impersonation', { kind: 'impersonation' }, SUPPORT, 'delegation_forbidden'],
  ['impersonation where delegation', { kind: 'delegation' }, { ...SUPPORT, imp: true }, 'delegation_forbidden', imp],
  ['impersonation where impersonation', { kind: 'impersonation' }, { ...SUPPORT, imp: true }, 'admitted', imp],
  ['impersonation where one of a list', { kind: ['direct', 'impersonation'] }, { ...SUPPORT, imp: true }, 'admitted', imp],
  ['delegation where not one of a list', { kind: ['direct', 'impersonation'] }, SUPPORT, 'delegation_forbidden', imp],

  ['the issuer', { issuer: ISSUER }, DIRECT, 'admitted', { issuers: twoIssuers() }],
  ['another issuer', { issuer: OTHER_ISSUER }, DIRECT, 'requirement_failed', { issuers: twoIssuers() }],
  ['one of the issuers', { issuer: [OTHER_ISSUER, ISSUER] }, DIRECT, 'admitted', { issuers: twoIssuers() }],

  ['the tenant', { tenant: 't1' }, { tid: 't1' }, 'admitted', TENANT],
  ['one of the tenants', { tenant: ['t0', 't1'] }, { tid: 't1' }, 'admitted', TENANT],
  ['another tenant', { tenant: 't1' }, { tid: 't2' }, 'requirement_failed', TENANT],
  ['no tenant', { tenant: 't1' }, DIRECT, 'requirement_failed', TENANT],

  ['the subject', { subject: { id: 'user-1' } }, DIRECT, 'admitted'],
  ['another subject', { subject: { id: 'user-2' } }, DIRECT, 'requirement_failed'],
  ['one of the subjects', { subject: [{ id: 'user-2' }, { id: 'user-1' }] }, SUPPORT, 'admitted'],
  ['not this subject', { subject: { not: { id: 'user-1' } } }, DIRECT, 'requirement_failed'],
  ['not another subject', { subject: { not: { id: 'user-2' } } }, DIRECT, 'admitted'],
  ['neither of two', { subject: { not: [{ id: 'user-2' }, { id: 'user-1' }] } }, DIRECT, 'requirement_failed'],
  ['the naming claim counts', { subject: { id: 'user-1', idClaim: 'client_id' } }, DIRECT, 'requirement_failed'],
  ['a client as subject', { subject: { type: 'client' } }, { sub: 'client-1' }, 'admitted'],
  ['no client as subject', { subject: { type: 'client' } }, DIRECT, 'requirement_failed'],
  ['not a client', { subject: { not: { type: 'client' } } }, { sub: 'client-1' }, 'requirement_failed'],
  ['not a client: where nothing is said', { subject: { not: { type: 'client' } } }, DIRECT, 'admitted'],
  ['a user, as the issuer says', { subject: { type: 'user' } }, { aut: 'USER' }, 'admitted', byType],
  ['an application, as the issuer says', { subject: { type: 'user' } }, { aut: 'APP' }, 'requirement_failed', byType],
  ['a word that the issuer did not explain', { subject: { type: 'user' } }, { aut: 'ROBOT' }, 'requirement_failed', byType],
  ['the tenant of the subject', { subject: { tenant: 't1' } }, { tid: 't1' }, 'admitted', TENANT],
  ['another tenant of the subject', { subject: { tenant: 't1' } }, { tid: 't2' }, 'requirement_failed', TENANT],
  ['the profile of the subject', { subject: { profile: 'vip' } }, { sub_profile: 'staff VIP' }, 'admitted'],
  ['part of a profile', { subject: { profile: 'vi' } }, { sub_profile: 'vip' }, 'requirement_failed'],

  ['the actor', { actor: { id: 'support-1' } }, SUPPORT, 'admitted'],
  ['another actor', { actor: { id: 'support-2' } }, SUPPORT, 'actor_unauthorized'],
  ['the profile of the actor', { actor: { profile: 'ai_agent' } }, AGENT, 'admitted'],
  ['not that profile', { actor: { not: { profile: 'ai_agent' } } }, AGENT, 'actor_unauthorized'],
  ['not that profile, another', { actor: { not: { profile: 'ai_agent' } } }, SUPPORT, 'admitted'],
  ['the name space of the actor', { actor: { issuer: ISSUER } }, SUPPORT, 'admitted'],
  ['a name space that is not said', { actor: { issuer: ISSUER } }, AGENT, 'actor_unauthorized'],
  ['a prior actor is none', { actor: { id: 'b' } }, { act: { sub: 'a', act: { sub: 'b' } } }, 'actor_unauthorized'],
  ['not a prior actor', { actor: { not: { id: 'b' } } }, { act: { sub: 'a', act: { sub: 'b' } } }, 'admitted'],
  ['a direct call has no actor', { actor: { id: 'support-1' } }, DIRECT, 'delegation_required'],
  ['a direct call meets a not', { actor: { not: { profile: 'ai_agent' } } }, DIRECT, 'admitted'],

  // Whoever is kept out does not get in by stating a name space.
  ['not that profile, in any name space', { actor: { not: { profile: 'ai_agent' } } }, elsewhere(AGENT), 'actor_unauthorized'],
  ['not that id, in any name space', { actor: { not: { id: 'agent-1' } } }, elsewhere(AGENT), 'actor_unauthorized'],
  [
    'not one of a list, in any name space',
    { actor: { not: [{ id: 'agent-0' }, { id: 'agent-1' }] } },
    elsewhere(AGENT),
    'actor_unauthorized',
  ],
  ['not a client, in any name space', { actor: { not: { type: 'client' } } }, elsewhere(CLIENT), 'actor_unauthorized', byClient],
  ['not that id, named otherwise', { actor: { not: { id: 'agent-1' } } }, elsewhere(CLIENT), 'admitted', byClient],
  ['an id that is not kept out, elsewhere', { actor: { not: { id: 'agent-2' } } }, elsewhere(AGENT), 'admitted'],
  ['every member of a matcher must describe', { actor: { not: { id: 'agent-1', profile: 'x' } } }, elsewhere(AGENT), 'admitted'],
  ['not of a name space: of that one', { actor: { not: { issuer: ISSUER } } }, SUPPORT, 'actor_unauthorized'],
  ['not of a name space: of another', { actor: { not: { issuer: ISSUER } } }, elsewhere(AGENT), 'admitted'],
  ['not of a name space: unsaid', { actor: { not: { issuer: ISSUER } } }, AGENT, 'admitted'],
  ['not that id of a name space: of that one', notThere('agent-1'), elsewhere(AGENT), 'actor_unauthorized'],
  ['not that id of a name space: of the token', notThere('support-1'), SUPPORT, 'admitted'],
  ['not that id of a name space: unsaid', notThere('agent-1'), AGENT, 'admitted'],
  ['without not, another name space does not fit', { actor: { profile: 'ai_agent' } }, elsewhere(AGENT), 'actor_unauthorized'],

  ['not that subject, of either issuer', notSubject({ id: 'user-1' }), { iss: OTHER_ISSUER }, 'requirement_failed', two],
  ['not a client, of either issuer', notSubject({ type: 'client' }), OTHER_CLIENT, 'requirement_failed', two],
  ['not a profile, of either issuer', notSubject({ profile: 'vip' }), OTHER_CLIENT, 'requirement_failed', two],
  [
    'not that subject of one issuer: of it',
    notSubject({ id: 'user-1', issuer: OTHER_ISSUER }),
    { iss: OTHER_ISSUER },
    'requirement_failed',
    two,
  ],
  ['not that subject of one issuer: of the other', notSubject({ id: 'user-1', issuer: OTHER_ISSUER }), DIRECT, 'admitted', two],
  ['not a client of one issuer: of the other', notSubject({ type: 'client', issuer: ISSUER }), OTHER_CLIENT, 'admitted', two],
  ['an unknown actor is not somebody', { actor: { id: 'a' } }, DIRECT, 'actor_unauthorized', unknownActor],
  ['nor is it not somebody', { actor: { not: { id: 'a' } } }, DIRECT, 'actor_unauthorized', unknownActor],
  ['an unknown actor, where none is asked', { kind: 'delegation' }, DIRECT, 'admitted', unknownActor],

  ['a claim', { claims: { department: 'sales' } }, { department: 'sales' }, 'admitted'],
  ['another value', { claims: { department: 'sales' } }, { department: 'Sales' }, 'requirement_failed'],
  ['no claim', { claims: { department: 'sales' } }, DIRECT, 'requirement_failed'],
  ['one of the values', { claims: { level: [1, 2, true] } }, { level: 2 }, 'admitted'],
  ['none of the values', { claims: { level: [1, 2] } }, { level: 3 }, 'requirement_failed'],
  ['a value of another type', { claims: { level: 1 } }, { level: '1' }, 'requirement_failed'],
  ['a list is not one of its values', { claims: { department: 'sales' } }, { department: ['sales'] }, 'requirement_failed'],
  ['false is a value', { claims: { blocked: false } }, { blocked: false }, 'admitted'],
  ['and is not absence', { claims: { blocked: false } }, DIRECT, 'requirement_failed'],
  ['every claim', { claims: { a: 1, b: 2 } }, { a: 1, b: 3 }, 'requirement_failed'],
  ['inherited members are no claims', { claims: { constructor: 'x' } }, DIRECT, 'requirement_failed'],
]

describe('a requirement', () => {
  for (const [what, requirement, claims, outcome, options] of ROWS) {
    it(what, async () => {
      expect(await judged(requirement, claims, options)).toBe(outcome)
    })
  }

  it('refuses with one code, in one order: kind, issuer, tenant, subject, actor, claims, scopes, check', async () => {
    const check = vi.fn(() => false)
    const options = { issuers: twoIssuers() }
    const codes: string[] = []
    let requirement: Requirement = {
      kind: 'impersonation',
      issuer: OTHER_ISSUER,
      subject: { not: { id: 'user-1' } },
      actor: { id: 'nobody' },
      claims: { x: 1 },
      scopes: 'admin',
      check,
    }
    for (const mend of [
      { kind: 'delegation' },
      { issuer: ISSUER },
      { subject: { id: 'user-1' } },
      { actor: { id: 'support-1' } },
      { claims: { sub: 'user-1' } },
      { scopes: 'orders:read' },
    ] as const) {
      codes.push(await judged(requirement, SUPPORT, options))
      expect(check).not.toHaveBeenCalled()
      requirement = { ...requirement, ...mend }
    }
    codes.push(await judged(requirement, SUPPORT, options))
    expect(codes).toEqual([
      'delegation_forbidden',
      'requirement_failed',
      'requirement_failed',
      'actor_unauthorized',
      'requirement_failed',
      'scope_insufficient',
      'requirement_failed',
    ])
    expect(check).toHaveBeenCalledTimes(1)
  })

  it('several guards all hold', async () => {
    const visit = await createWorld().call({})
    expect(await visit.guard({ scopes: 'orders:read' })).toBeNull()
    expect((await visit.guard({ scopes: 'admin' }))?.code).toBe('scope_insufficient')
    expect(await visit.guard({ scopes: 'orders:write' })).toBeNull()
  })
})

describe('scopes that a rule took away', () => {
  const narrowed = { delegation: [anyRule({ scopes: 'orders:read' })] }

  it.each([
    ['one that the token has', { scopes: 'orders:write' }, 'scope_not_delegated'],
    ['one that it does not have', { scopes: 'admin' }, 'scope_insufficient'],
    ['one of each', { scopes: ['orders:write', 'admin'] }, 'scope_insufficient'],
    ['one of several, one of which the token has', { anyScope: ['orders:write', 'admin'] }, 'scope_not_delegated'],
    ['one of several, none of which it has', { anyScope: ['orders:refund', 'admin'] }, 'scope_insufficient'],
    ['one that is left', { scopes: 'orders:read' }, 'admitted'],
  ] satisfies [string, Requirement, string][])('%s', async (_, requirement, outcome) => {
    expect(await judged(requirement, SUPPORT, narrowed)).toBe(outcome)
  })

  it('are not named in the challenge: signing in again would not help', async () => {
    const visit = await createWorld(narrowed).call(SUPPORT)
    const error = await visit.guard({ scopes: ['orders:read', 'orders:write'] })
    expect(error?.status).toBe(403)
    expect(error?.challenge).toMatch(/^Bearer error="actor_unauthorized", error_description="[^"]+"$/)
  })

  it('while missing scopes are: all that the route asks for', async () => {
    const visit = await createWorld().call({})
    const error = await visit.guard({ scopes: ['orders:read', 'admin'], anyScope: ['a', 'b'] })
    expect(error?.status).toBe(403)
    expect(error?.challenge).toMatch(/^Bearer error="insufficient_scope", .*, scope="orders:read admin a b"$/)
  })

  it('requirements that failed have no challenge at all', async () => {
    const error = await (await createWorld().call({})).guard({ claims: { department: 'x' } })
    expect(error).toMatchObject({ code: 'requirement_failed', status: 403, challenge: null })
    expect(error?.headers).not.toHaveProperty('www-authenticate')
  })
})

describe('an anonymous call', () => {
  const REQUIREMENTS: readonly (Requirement | null)[] = [
    null,
    {},
    { scopes: 'orders:read' },
    { kind: 'direct' },
    { kind: 'delegation' },
    { actor: { not: { profile: 'ai_agent' } } },
    { subject: { not: { type: 'client' } } },
    { check: () => true },
  ]

  it.each(
    REQUIREMENTS.map((requirement) => [requirement === null ? 'nothing' : JSON.stringify(requirement), requirement] as const),
  )('has no credentials, whatever is asked: %s', async (_, requirement) => {
    const visit = await createWorld().call(null, {}, true)
    expect(visit.passage).toBe('go_on')
    expect(await visit.guard(...given(requirement))).toMatchObject({
      code: 'credentials_missing',
      status: 401,
      challenge: 'Bearer',
    })
  })

  it('has no context: null, not an error', async () => {
    const world = createWorld()
    const visit = await world.call(null, {}, true)
    expect(world.server.contextOf(visit.key)).toBeNull()
    expect(() => world.server.delegatedContextOf(visit.key)).toThrow(ConfigError)
  })
})

describe('without authenticate()', () => {
  it('a guard is a ConfigError, status 500, never a 401', async () => {
    const { server } = createWorld()
    await expect(server.guard()({})).rejects.toMatchObject({ name: 'ConfigError', status: 500 })
    expect(() => server.contextOf({})).toThrow(ConfigError)
    expect(() => server.delegatedContextOf({})).toThrow(ConfigError)
  })

  it("so is a guard of another server: its record is not this one's", async () => {
    const visit = await createWorld().call({})
    const { server } = createWorld()
    await expect(server.guard()(visit.key)).rejects.toBeInstanceOf(ConfigError)
  })

  it('delegatedContextOf() of a direct call is a ConfigError that names the mend', async () => {
    const world = createWorld()
    const visit = await world.call({})
    expect(() => world.server.delegatedContextOf(visit.key)).toThrow(/not delegated: guard its route with kind/)
  })

  it('a guard that runs while authenticate() is still under way is a ConfigError too', async () => {
    const asked = deferred()
    const answer = deferred<boolean>()
    const when = () => {
      asked.resolve()
      return answer.promise
    }
    const world = createWorld({ delegation: [anyRule({ when })] })
    const key = {}
    const { HeldResponse, requestView, tokenOf } = await import('./support/harness.js')
    const passage = world.server.authenticate()({ key, request: requestView(tokenOf(SUPPORT)), response: new HeldResponse() })
    await asked.promise
    await expect(world.server.guard()(key)).rejects.toBeInstanceOf(ConfigError)
    answer.resolve(true)
    await expect(passage).resolves.toBe('go_on')
    expect(await world.server.guard()(key)).toBeUndefined()
  })

  it('a refused request stays refused for whoever asks later', async () => {
    const visit = await createWorld().call({ exp: 1 })
    expect(visit.code).toBe('token_expired')
    expect((await visit.guard())?.code).toBe('token_expired')
    expect(() => visit.context()).toThrow(/expired/)
  })
})

describe('check', () => {
  it.each([
    ['true', () => true, 'admitted'],
    ['a promise of true', async () => true, 'admitted'],
    ['false', () => false, 'requirement_failed'],
    ['a promise of false', async () => false, 'requirement_failed'],
    ['1', () => 1, 'requirement_failed'],
    ['undefined', () => undefined, 'requirement_failed'],
    ['a promise of an object', async () => ({}), 'requirement_failed'],
  ])('%s', async (_, check, outcome) => {
    expect(await judged({ check: check as never }, DIRECT)).toBe(outcome)
    expect(await judged({ check: check as never }, SUPPORT)).toBe(outcome)
  })

  it.each([
    [
      'throws',
      () => {
        throw new Error('secret')
      },
    ],
    ['rejects', () => Promise.reject(new Error('secret'))],
  ])('that %s is our trouble', async (_, check) => {
    const error = await (await createWorld().call({})).guard({ check })
    expect(error).toMatchObject({ code: 'rule_unavailable', status: 503, challenge: null })
    expect(error?.headers['retry-after']).toBe('5')
    expect(error?.cause).toBeUndefined()
  })

  it('sees the context with the scopes that are left, and the request', async () => {
    const check = vi.fn(() => true)
    const visit = await createWorld({ delegation: [anyRule({ scopes: 'orders:read' })] }).call(SUPPORT)
    expect(await visit.guard({ check })).toBeNull()
    expect(check).toHaveBeenCalledWith(visit.context(), expect.objectContaining({ path: '/orders' }))
    expect(visit.context().scopes).toEqual(['orders:read'])
  })

  describe('that takes its time', () => {
    beforeEach(() => {
      vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    })
    afterEach(() => {
      vi.useRealTimers()
    })

    it('has limits.hookMilliseconds, and not one more', async () => {
      const visit = await createWorld({ limits: { hookMilliseconds: 50 } }).call({})
      const inTime = deferred<boolean>()
      const first = visit.guard({ check: () => inTime.promise })
      await vi.advanceTimersByTimeAsync(49)
      inTime.resolve(true)
      expect(await first).toBeNull()

      const late = deferred<boolean>()
      const second = visit.guard({ check: () => late.promise })
      await vi.advanceTimersByTimeAsync(50)
      late.resolve(true)
      expect((await second)?.code).toBe('rule_unavailable')
      expect(vi.getTimerCount()).toBe(0)
    })
  })
})
