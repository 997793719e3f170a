/** Who acts for whom: RFC 8693 4, the actor profile and entity profile drafts, and behalf's own promises about them. */
import type { JsonValue } from '@behalf/core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { contextIn, outcomeOf } from '../support/request.js'
import { CURITY, CURITY_ACT_AS, NO_AUDIENCE, openTrustedApi, STRICT, type TrustedApi } from '../support/trusted-api.js'
import { DOORS } from './warm-doors.js'

type Claims = Record<string, JsonValue | undefined>

/** A chain of so many actors, current first. */
function chainOf(actors: number, at = 1): JsonValue {
  return { sub: `actor-${at}`, ...(at < actors && { act: chainOf(actors, at + 1) }) }
}

describe.each(DOORS)('$name', ({ open }) => {
  let api: TrustedApi
  beforeAll(async () => {
    api = await openTrustedApi(open)
  })
  afterAll(() => api.close())

  const contextOf = async (claims: Claims) => contextIn(await api.answer(api.with(claims)))
  const outcome = (claims: Claims, path?: string) => api.outcome(api.with(claims), path)
  const curity = (iss: string, claims: Claims) =>
    api.token({ header: { typ: 'JWT' }, claims: { iss, purpose: 'access_token', ...claims } })

  describe('act', () => {
    test('[RFC8693-4.1-outermost] the outermost actor is the current one, and the subject stays the subject', async () => {
      const context = await contextOf({ act: { sub: 'actor-1', act: { sub: 'actor-2' } } })
      expect(context).toMatchObject({ kind: 'delegation', subject: { id: 'user-1' }, actor: { id: 'actor-1' } })
      expect(context.chain.map(({ id }) => id)).toEqual(['actor-1', 'actor-2'])
    })

    test.each([
      null,
      true,
      1,
      '',
      'admin',
      [],
      [{ sub: 'a' }],
      {},
      { sub: '' },
      { sub: null },
      { sub: 1 },
      { iss: 'x' },
      { act: { sub: 'a' } },
    ])('[RFC8693-4.1-object] [BEHALF-never-direct] refuses act %j', async (act) => {
      expect(await outcome({ act })).toBe('401 delegation_malformed')
    })

    test('[BEHALF-never-direct] refuses a chain that is unreadable further in: it is never cut', async () => {
      for (const act of [null, 'admin', [], {}, { sub: 1 }, { sub: 'b', act: null }, { sub: 'b', iss: '' }]) {
        expect(await outcome({ act: { sub: 'a', act } }), JSON.stringify(act)).toBe('401 delegation_malformed')
      }
    })

    test('[RFC8693-4.1-identity] members of act that are not identity neither limit nor extend anything', async () => {
      const act = {
        ...{ sub: 'actor-1', exp: 1, nbf: 9e12, iat: 'x', aud: 'other', jti: 1 },
        ...{ scope: 'orders:refund', roles: ['admin'], permissions: '*', cnf: { jkt: 'x' } },
      }
      const context = await contextOf({ act: { ...act, email: 'support@example.test' }, scope: 'orders:read' })
      expect(context.scopes).toEqual(['orders:read'])
      expect(context.actor?.claims).toEqual({ email: 'support@example.test' })
      expect(await outcome({ act, exp: 1 })).toBe('401 token_expired')
    })

    test('[RFC8693-4.1-iss-and-sub] an actor has the name space that it states, and no other', async () => {
      const issuerOf = async (act: JsonValue) => (await contextOf({ act })).actor?.issuer
      expect(await issuerOf({ sub: 'a', iss: 'https://staff.example.test' })).toBe('https://staff.example.test')
      expect(await issuerOf({ sub: 'a' })).toBeNull()
      for (const iss of ['', null, 1, {}]) expect(await outcome({ act: { sub: 'a', iss } })).toBe('401 delegation_malformed')
    })

    test('[RFC8693-4.3-client] the client is not an actor', async () => {
      expect(await contextOf({ client_id: 'app', azp: 'other' })).toMatchObject({ kind: 'direct', actor: null, clientId: 'app' })
      expect(await contextOf({ client_id: 'app', act: { sub: 'a' } })).toMatchObject({ actor: { id: 'a' }, clientId: 'app' })
      expect(await outcome({ act: { client_id: 'app' } })).toBe('401 delegation_malformed')
    })

    test('[RFC8693-4.4-may-act] whoever may become an actor does not act', async () => {
      const context = await contextOf({ may_act: { sub: 'agent-1', exp: 1, aud: 'x' } })
      expect(context).toMatchObject({ kind: 'direct', actor: null, mayAct: { id: 'agent-1' } })
      expect(await outcome({ may_act: { sub: 'agent-1' }, act: { sub: 'agent-2' } })).toBe('200')
      for (const mayAct of [null, 'agent-1', [], {}, { sub: 1 }]) {
        expect(await outcome({ may_act: mayAct }), JSON.stringify(mayAct)).toBe('401 delegation_malformed')
      }
    })
  })

  describe('the actor profile', () => {
    test('[ACTOR-PROFILE-depth] eight actors are read, nine refuse the token, none are cut', async () => {
      for (const actors of [1, 4, 7, 8]) expect((await contextOf({ act: chainOf(actors) })).chain).toHaveLength(actors)
      for (const actors of [9, 10]) expect(await outcome({ act: chainOf(actors) })).toBe('401 delegation_malformed')
    })

    test('[ACTOR-PROFILE-self] an actor that states the own issuer and id of the subject is no delegation', async () => {
      const { issuer } = api.issuer
      expect(await contextOf({ act: { iss: issuer, sub: 'user-1' } })).toMatchObject({ kind: 'direct', notices: ['self_actor'] })
    })

    test('[ACTOR-PROFILE-self] the id alone is not enough, nor anything that says more', async () => {
      const { issuer } = api.issuer
      const self = { iss: issuer, sub: 'user-1' }
      for (const act of [
        { sub: 'user-1' },
        { sub: 'user-1', iss: 'https://other.example.test' },
        { sub: 'user-1', iss: `${issuer}/` },
        { ...self, client_id: 'app' },
        { ...self, sub_profile: 'ai_agent' },
        { ...self, act: { sub: 'actor-2' } },
      ]) {
        expect((await contextOf({ act })).kind, JSON.stringify(act)).toBe('delegation')
      }
    })

    test('[ACTOR-PROFILE-issuer] where actors must state their issuer, one that does not refuses the token', async () => {
      const act = { sub: 'a', iss: STRICT }
      expect(await outcome({ iss: STRICT, act })).toBe('200')
      expect(await outcome({ iss: STRICT, act: { ...act, act } })).toBe('200')
      expect(await outcome({ iss: STRICT, act: { sub: 'a' } })).toBe('401 delegation_malformed')
      expect(await outcome({ iss: STRICT, act: { ...act, act: { sub: 'b' } } })).toBe('401 delegation_malformed')
    })

    test('[ACTOR-PROFILE-client-profile] client_profile inside act classifies nobody, and is not kept', async () => {
      const { actor } = await contextOf({ act: { sub: 'a', client_profile: 'ai_agent', sub_profile: 'Service' } })
      expect(actor).toMatchObject({ profiles: ['service'], claims: {} })
    })

    test('[ACTOR-PROFILE-cnf] cnf inside act binds nothing; only the one of the token does', async () => {
      expect(await outcome({ act: { sub: 'a', cnf: { jkt: 'x' } } })).toBe('200')
      expect(await outcome({ act: { sub: 'a' }, cnf: { jkt: 'x' } })).toBe('401 binding_unsupported')
    })

    test('[ACTOR-PROFILE-unauthorized] [BEHALF-no-rule] an actor that no rule admits gets 403 actor_unauthorized', async () => {
      const door = await open(
        {
          issuers: [api.issuer.options({ jwks: api.issuer.jwks() })],
          delegation: [
            { id: 'one', kind: 'delegation', actor: { id: 'support-1' }, subject: { id: 'user-1' }, scopes: 'all', maxDepth: 8 },
          ],
          audit: 'none',
          now: () => api.nowSeconds * 1000,
        },
        [{ method: 'GET', path: '/context' }],
      )
      const answer = (claims: Claims) => door.ask('/context', { token: api.with(claims) })
      try {
        expect(outcomeOf(await answer({ act: { sub: 'support-1' } }))).toBe('200')
        const others: readonly Claims[] = [
          { act: { sub: 'support-2' } },
          { act: { sub: 'support-1' }, sub: 'user-2' },
          { act: { sub: 'support-1', iss: 'https://other.example.test' } },
          // The admitted actor is history here, and history grants nothing (RFC 8693 4.1).
          { act: { sub: 'support-2', act: { sub: 'support-1' } } },
        ]
        for (const claims of others) {
          const refused = await answer(claims)
          expect(outcomeOf(refused), JSON.stringify(claims)).toBe('403 actor_unauthorized')
          expect(refused.headers['www-authenticate']).toMatch(/^Bearer error="actor_unauthorized", /)
          expect(refused.text + JSON.stringify(refused.headers)).not.toMatch(/support-|user-/)
        }
      } finally {
        await door.close()
      }
    })

    test('[RFC8693-4.1-history] an actor in the history is never the one that a rule asks for', async () => {
      const door = await open(
        {
          issuers: [api.issuer.options({ jwks: api.issuer.jwks() })],
          delegation: [{ id: 'agents', kind: 'delegation', actor: { profile: 'ai_agent' }, scopes: 'all', maxDepth: 8 }],
          audit: 'none',
          now: () => api.nowSeconds * 1000,
        },
        [{ method: 'GET', path: '/context', requirement: { actor: { profile: 'ai_agent' } } }],
      )
      const agent = { sub: 'agent-1', sub_profile: 'ai_agent' }
      const ask = async (act: JsonValue) => outcomeOf(await door.ask('/context', { token: api.with({ act }) }))
      try {
        expect(await ask({ ...agent, act: { sub: 'a' } })).toBe('200')
        expect(await ask({ sub: 'a', act: agent })).toBe('403 actor_unauthorized')
      } finally {
        await door.close()
      }
    })

    test('[BEHALF-two-parties] the same id at two issuers is two parties', async () => {
      const { issuer } = api.issuer
      const door = await open(
        {
          issuers: [
            api.issuer.options({ jwks: api.issuer.jwks() }),
            api.issuer.options({ issuer: STRICT, jwks: api.issuer.jwks() }),
          ],
          delegation: [{ id: 'one', kind: 'delegation', issuer, actor: { id: 'support-1' }, scopes: 'all' }],
          audit: 'none',
          now: () => api.nowSeconds * 1000,
        },
        [{ method: 'GET', path: '/context' }],
      )
      const ask = async (iss: string, act: JsonValue) => outcomeOf(await door.ask('/context', { token: api.with({ iss, act }) }))
      try {
        expect(await ask(issuer, { sub: 'support-1' })).toBe('200')
        expect(await ask(issuer, { sub: 'support-1', iss: issuer })).toBe('200')
        expect(await ask(issuer, { sub: 'support-1', iss: STRICT })).toBe('403 actor_unauthorized')
        expect(await ask(STRICT, { sub: 'support-1' })).toBe('403 actor_unauthorized')
        expect(await ask(STRICT, { sub: 'support-1', iss: issuer })).toBe('403 actor_unauthorized')
      } finally {
        await door.close()
      }
    })

    test('[BEHALF-no-rule] without rules every delegated call is refused, and a direct one is not', async () => {
      const door = await open({ issuers: [api.issuer.options({ jwks: api.issuer.jwks() })], now: () => api.nowSeconds * 1000 }, [
        { method: 'GET', path: '/context' },
      ])
      try {
        expect((await door.ask('/context', { token: api.token() })).status).toBe(200)
        const refused = await door.ask('/context', { token: api.with({ act: { sub: 'support-1' } }) })
        expect(outcomeOf(refused)).toBe('403 actor_unauthorized')
        expect(door.ran).toBe(1)
      } finally {
        await door.close()
      }
    })
  })

  test('[ENTITY-PROFILES-case] profile words have no case, in ASCII alone', async () => {
    const { actor, subject } = await contextOf({
      sub_profile: 'User',
      act: { sub: 'a', sub_profile: 'AI_Agent  Service ai_agent' },
    })
    expect([subject.profiles, actor?.profiles]).toEqual([['user'], ['ai_agent', 'service']])
    // U+0130 and U+212A lower-case to ASCII letters under full case folding.
    expect((await contextOf({ act: { sub: 'a', sub_profile: 'a\u0130_agent \u212aind' } })).actor?.profiles).toEqual([
      'a\u0130_agent',
      '\u212aind',
    ])
    for (const profile of [null, 1, ['ai_agent'], '']) {
      expect(await outcome({ act: { sub: 'a', sub_profile: profile } }), JSON.stringify(profile)).toBe('401 delegation_malformed')
      expect(await outcome({ sub_profile: profile }), JSON.stringify(profile)).toBe('401 claim_invalid')
    }
  })

  describe('dialects', () => {
    test.each(['act_as', 'impersonator', 'impersonator_user_id', 'impersonator_userid', 'impersonated', 'impersonatedBy'])(
      '[BEHALF-foreign-marker] refuses %s where the dialect does not read it, whatever its value',
      async (marker) => {
        for (const value of [{ sub: 'a' }, 'a', true, false, null, 0, '', []]) {
          expect(await outcome({ [marker]: value }), JSON.stringify(value)).toBe('401 delegation_foreign')
          expect(await outcome({ [marker]: value, act: { sub: 'a' } }), JSON.stringify(value)).toBe('401 delegation_foreign')
        }
      },
    )

    test('[BEHALF-foreign-marker] refuses act itself where an issuer writes no delegation', async () => {
      const token = (claims: Claims) =>
        api.token({ header: { typ: 'JWT' }, claims: { iss: NO_AUDIENCE, aud: undefined, ...claims } })
      expect(await api.outcome(token({}))).toBe('200')
      expect(await api.outcome(token({ act: { sub: 'a' } }))).toBe('401 delegation_foreign')
      expect(await api.outcome(token({ ext: { act: { sub: 'a' } } }))).toBe('401 delegation_foreign')
    })

    test('[BEHALF-dialect] act_as is reversed where the dialect is configured so, and foreign elsewhere', async () => {
      const claims = { sub: 'admin', act_as: { sub: 'user-1' } }
      expect(await api.outcome(curity(CURITY, claims))).toBe('401 delegation_foreign')
      const context = contextIn(await api.answer(curity(CURITY_ACT_AS, claims)))
      expect(context).toMatchObject({ kind: 'impersonation', subject: { id: 'user-1' }, actor: { id: 'admin' } })
      expect(await api.outcome(curity(CURITY_ACT_AS, { ...claims, act: { sub: 'x' } }))).toBe('401 delegation_ambiguous')
      for (const value of [
        null,
        'user-1',
        {},
        { sub: 'u', iss: 'https://other.example.test' },
        { sub: 'u', act: { sub: 'x' } },
      ]) {
        const unreadable = curity(CURITY_ACT_AS, { sub: 'admin', act_as: value })
        expect(await api.outcome(unreadable), JSON.stringify(value)).toBe('401 delegation_malformed')
      }
    })
  })

  describe('authority', () => {
    test('[BEHALF-narrowed] a delegated call has the scopes of token and rule, less the exceptions', async () => {
      const scope = 'orders:read orders:refund orders:audit profile:read orders:*'
      const context = await contextOf({ scope, act: { sub: 'a' } })
      expect(context).toMatchObject({ scopes: ['orders:audit', 'orders:read'], rule: 'support' })
      expect(await outcome({ scope, act: { sub: 'a' } }, '/refunds')).toBe('403 scope_not_delegated')
      expect(await outcome({ scope }, '/refunds')).toBe('200')
    })

    test('[BEHALF-narrowed] claims with authority beside scopes are kept apart in a delegated call', async () => {
      const context = await contextOf({ roles: ['admin'], groups: ['g'], act: { sub: 'a' } })
      expect(context).toMatchObject({ unnarrowed: { roles: ['admin'], groups: ['g'] } })
      expect(Object.keys(context.claims)).not.toEqual(expect.arrayContaining(['roles']))
      expect((await contextOf({ roles: ['admin'] })).claims['roles']).toEqual(['admin'])
    })

    test('[BEHALF-kind] a route for direct calls refuses delegated ones', async () => {
      const post = async (claims: Claims) => outcomeOf(await api.ask('/password', { method: 'POST', token: api.with(claims) }))
      expect(await post({})).toBe('200')
      expect(await post({ act: { sub: 'a' } })).toBe('403 delegation_forbidden')
    })
  })
})
