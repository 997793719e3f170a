import { runInNewContext } from 'node:vm'
import {
  ApplicationError,
  hasScope,
  type IssuerOptions,
  type JsonObject,
  type JsonValue,
  mayBecomeActor,
  partyKey,
  type RequestView,
} from '@behalf/core'
import { asgardeo, type CustomOptions, curity, custom, descope } from '@behalf/core/issuers'
import { fixtures, testContext } from '@behalf/testing'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import {
  AUDIENCE,
  anyRule,
  createWorld,
  HeldResponse,
  ISSUER,
  JWKS,
  NOW_SECONDS,
  OTHER_ISSUER,
  oauthIssuer,
  requestView,
  settle,
  signed,
  tokenOf,
  tokenOfFixture,
} from './support/harness.js'

type Claims = Readonly<Record<string, JsonValue | undefined>>

/** Reads one token under one issuer's options: its context, or the code of the refusal. */
async function read(issuer: IssuerOptions, token: Claims | string) {
  const world = createWorld({ issuers: [issuer], delegation: [anyRule({ maxDepth: 8 })] })
  const visit = await world.call(token)
  return visit.code ?? visit.context()
}

const customIssuer = (more: Partial<CustomOptions>): IssuerOptions =>
  custom({
    issuer: ISSUER,
    audience: AUDIENCE,
    jwks: JWKS,
    tokenTypes: ['at+jwt'],
    actor: { claim: 'act' },
    kind: 'delegation',
    ...more,
  } as CustomOptions)

describe('an actor that is the subject itself', () => {
  const self = { sub: 'user-1', iss: ISSUER }

  it('is direct, with a notice, and stays in the chain', async () => {
    expect(await read(oauthIssuer(), { act: self })).toMatchObject({
      kind: 'direct',
      actor: null,
      chain: [{ id: 'user-1', issuer: ISSUER }],
      notices: ['self_actor'],
      rule: null,
    })
  })

  it.each([
    ['another issuer', { ...self, iss: OTHER_ISSUER }, []],
    ['an unsaid issuer, which is never inherited', { sub: 'user-1' }, []],
    ['another id', { ...self, sub: 'User-1' }, []],
    ['history', { ...self, act: { sub: 'x' } }, ['self_actor']],
    ['history of itself', { ...self, act: self }, ['self_actor']],
    ['a client', { ...self, client_id: 'client-1' }, ['self_actor']],
    ['another profile', { ...self, sub_profile: 'ai_agent' }, ['self_actor']],
    ['one profile of its own and one more', { ...self, sub_profile: 'ai_agent vip' }, ['self_actor']],
  ] satisfies [string, JsonValue, string[]][])('with %s is a delegation', async (_, act, notices) => {
    expect(await read(oauthIssuer(), { act })).toMatchObject({
      kind: 'delegation',
      actor: { id: (act as { sub: string }).sub },
      notices,
    })
  })

  const words = { claims: { profiles: { claim: 'cls', words: { bot: 'ai_agent' } } } }

  it.each([
    ['that is not read at all', { claims: { profiles: null } }, { sub_profile: 'ai_agent' }],
    ['of any shape that is not read', { claims: { profiles: null } }, { sub_profile: ['ai_agent'] }],
    ['in the standard claim, where another one is read', { claims: { profiles: 'cls' } }, { sub_profile: 'ai_agent' }],
    ['in the standard claim, beside words for another one', words, { sub_profile: 'ai_agent' }],
    ['of a word without a meaning', words, { cls: 'robot' }],
    ['of which one word has no meaning', words, { cls: 'bot robot' }],
  ] satisfies [string, Partial<Parameters<typeof oauthIssuer>[0]>, Claims][])(
    'with a profile %s is a delegation, and the claim stays in sight',
    async (_, options, profile) => {
      // The subject says the same: what cannot be read cannot be compared.
      const claims = { cls: 'bot', act: { ...self, ...profile } as JsonValue }
      expect(await read(oauthIssuer(options), claims)).toMatchObject({
        kind: 'delegation',
        actor: { id: 'user-1', claims: profile },
        notices: ['self_actor'],
      })
    },
  )

  it('with words that are all understood is direct, and they are no further claims', async () => {
    expect(await read(oauthIssuer(words), { cls: 'BOT', act: { ...self, cls: 'bot' } })).toMatchObject({
      kind: 'direct',
      chain: [{ profiles: ['ai_agent'], claims: {} }],
    })
    const context = await read(oauthIssuer(words), { act: { sub: 'agent-1', cls: 'bot' } })
    expect(typeof context !== 'string' && { ...context.actor?.claims }).toEqual({})
  })

  it('by a function that says a profile in a claim of the vendor is a delegation', async () => {
    const issuer = customIssuer({
      ...words,
      actor: { read: () => ({ ...self, cls: 'bot' }), selfIsDirect: true },
    })
    expect(await read(issuer, {})).toMatchObject({ kind: 'delegation', actor: { profiles: [], claims: { cls: 'bot' } } })
  })

  it('with a profile that the subject has too is direct', async () => {
    const claims = { sub_profile: 'vip staff', act: { ...self, sub_profile: 'STAFF' } }
    expect(await read(oauthIssuer(), claims)).toMatchObject({ kind: 'direct', notices: ['self_actor'] })
  })

  it('is a delegation under a dialect whose actors have names of their own', async () => {
    expect(await read(oauthIssuer({ actor: { selfIsDirect: false } }), { act: self })).toMatchObject({
      kind: 'delegation',
      notices: ['self_actor'],
    })
    expect(await read(customIssuer({}), { act: self })).toMatchObject({ kind: 'delegation', notices: ['self_actor'] })
  })

  it('is not one that another claim names', async () => {
    const issuer = customIssuer({ actor: { claim: 'act', id: ['sub', 'client_id'], selfIsDirect: true } })
    expect(await read(issuer, { sub: 'client-1', act: { client_id: 'client-1', iss: ISSUER } })).toMatchObject({
      kind: 'delegation',
      notices: [],
      subject: { id: 'client-1', idClaim: 'sub' },
      actor: { id: 'client-1', idClaim: 'client_id', type: 'client' },
    })
  })
})

describe('act', () => {
  it('carries identity only: lifetimes, audiences, authority and keys inside mean nothing', async () => {
    const act = {
      sub: 'support-1',
      ...{ exp: 1, nbf: 9e9, aud: 'x', scope: 'admin', roles: ['admin'], cnf: { jkt: 'x' }, groups: ['g'], jti: 'j' },
      ...{ email: 'support@example.test', name: 'Support', client_profile: 'ai_agent' },
    }
    const context = await read(oauthIssuer(), { act })
    expect(context).toMatchObject({
      kind: 'delegation',
      actor: { id: 'support-1', profiles: [] },
      scopes: ['orders:read', 'orders:write'],
    })
    expect(typeof context !== 'string' && { ...context.actor?.claims }).toEqual({
      email: 'support@example.test',
      name: 'Support',
    })
  })

  it('stands where the issuer says, also inside another claim', async () => {
    const issuer = customIssuer({ actor: { claim: ['ext', 'act'] } })
    expect(await read(issuer, { ext: { act: { sub: 'support-1' } } })).toMatchObject({ actor: { id: 'support-1' } })
    expect(await read(issuer, { ext: { other: 1 } })).toMatchObject({ kind: 'direct' })
    expect(await read(issuer, { ext: { act: null } })).toBe('delegation_malformed')
    expect(await read(issuer, { ext: { act: { sub: 'a' } }, act: { sub: 'b' } })).toBe('delegation_foreign')
    expect(await read(issuer, { ext: { impersonator: 'a' } })).toBe('delegation_foreign')
  })

  it('inside a claim that can hold none is unreadable, not absent', async () => {
    const issuer = customIssuer({ actor: { claim: ['ext', 'act'] } })
    for (const ext of ['{"act":{"sub":"support-1"}}', '', ['act'], [], null, 0, true]) {
      expect(await read(issuer, { ext })).toBe('delegation_malformed')
    }
    expect(await read(issuer, { ext: {} })).toMatchObject({ kind: 'direct' })
    expect(await read(issuer, {})).toMatchObject({ kind: 'direct' })

    const deep = customIssuer({ actor: { claim: ['https://example.test/ext', 'who', 'act'] } })
    const at = (who: JsonValue) => read(deep, { 'https://example.test/ext': who })
    expect(await at({ who: { act: { sub: 'support-1' } } })).toMatchObject({ actor: { id: 'support-1' } })
    expect(await at({ who: {} })).toMatchObject({ kind: 'direct' })
    expect(await at({})).toMatchObject({ kind: 'direct' })
    for (const broken of [null, 'support-1', []]) {
      expect(await at(broken)).toBe('delegation_malformed')
      expect(await at({ who: broken })).toBe('delegation_malformed')
    }
  })

  it('a claim whose name has a dot is no path, and a path is no such name', async () => {
    const dotted = customIssuer({ actor: { claim: 'ext.act' } })
    expect(await read(dotted, { 'ext.act': { sub: 'support-1' } })).toMatchObject({ actor: { id: 'support-1' } })
    expect(await read(dotted, { ext: { act: { sub: 'support-1' } } })).toBe('delegation_foreign')
  })

  it('a URL as name of the claim', async () => {
    const issuer = customIssuer({ actor: { claim: 'https://example.test/act' } })
    expect(await read(issuer, { 'https://example.test/act': { sub: 'support-1' } })).toMatchObject({ actor: { id: 'support-1' } })
    expect(await read(issuer, { act: { sub: 'support-1' } })).toBe('delegation_foreign')
  })

  it('as JSON text is parsed once, and strictly', async () => {
    const issuer = customIssuer({ actor: { claim: 'act', encoding: 'json' } })
    expect(await read(issuer, { act: '{"sub":"a","act":{"sub":"b"}}' })).toMatchObject({ chain: [{ id: 'a' }, { id: 'b' }] })
    for (const act of [
      '{"sub":"a","sub":"b"}',
      '"{\\"sub\\":\\"a\\"}"',
      '{"sub":"a","act":"{\\"sub\\":\\"b\\"}"}',
      '{',
      '',
      'null',
      '[]',
    ]) {
      expect(await read(issuer, { act })).toBe('delegation_malformed')
    }
    expect(await read(issuer, { act: { sub: 'a' } })).toBe('delegation_malformed')
  })

  it("is a client where it is the token's own client, in the token's own name space", async () => {
    const type = async (act: JsonValue, more: Claims = {}) => {
      const context = await read(oauthIssuer(), { act, ...more })
      return typeof context === 'string' ? context : context.chain.map((party) => party.type)
    }
    expect(await type({ sub: 'client-1' })).toEqual(['client'])
    expect(await type({ sub: 'client-1', iss: ISSUER })).toEqual(['client'])
    expect(await type({ sub: 'client-1', iss: OTHER_ISSUER })).toEqual([null])
    expect(await type({ sub: 'client-1', iss: `${ISSUER}/` })).toEqual([null])
    expect(await type({ sub: 'Client-1' })).toEqual([null])
    expect(await type({ sub: 'agent-1' })).toEqual([null])
    expect(await type({ sub: 'agent-1', act: { sub: 'client-1' } })).toEqual([null, 'client'])
    const other = oauthIssuer({ claims: { client: 'azp' } })
    expect(await read(other, { azp: 'agent-1', act: { sub: 'agent-1' } })).toMatchObject({ actor: { type: 'client' } })
    expect(await read(other, { azp: 'agent-1', act: { sub: 'client-1' } })).toMatchObject({ actor: { type: null } })
    const anonymous = oauthIssuer({ claims: { client: [] } })
    expect(await read(anonymous, { act: { sub: 'client-1' } })).toMatchObject({ actor: { type: null }, clientId: null })
    const userIds = customIssuer({ actor: { claim: 'act', id: 'user_id' } })
    expect(await read(userIds, { act: { user_id: 'client-1' } })).toMatchObject({ actor: { type: null } })
    const flat = customIssuer({ actor: { claim: 'impersonator_id', encoding: 'string' } })
    expect(await read(flat, { impersonator_id: 'client-1' })).toMatchObject({ actor: { type: 'client' } })
  })

  it('as plain id', async () => {
    const issuer = customIssuer({ actor: { claim: 'impersonator_id', encoding: 'string', id: 'user_id' } })
    expect(await read(issuer, { impersonator_id: 'admin' })).toMatchObject({
      actor: { id: 'admin', idClaim: 'user_id', issuer: null },
    })
    for (const value of ['', ' admin', 7, null, ['admin'], { sub: 'admin' }, 'a\nb']) {
      expect(await read(issuer, { impersonator_id: value })).toBe('delegation_malformed')
    }
  })

  it('names its actor by the first claim that is present, and never falls through to the next', async () => {
    const issuer = customIssuer({ actor: { claim: 'act', id: ['user_id', 'sub'] } })
    expect(await read(issuer, { act: { sub: 's', user_id: 'u' } })).toMatchObject({ actor: { id: 'u', idClaim: 'user_id' } })
    expect(await read(issuer, { act: { sub: 's' } })).toMatchObject({ actor: { id: 's', idClaim: 'sub' } })
    expect(await read(issuer, { act: { sub: 's', user_id: 7 } })).toBe('delegation_malformed')
    expect(await read(issuer, { act: { sub: 's', user_id: null } })).toBe('delegation_malformed')
  })

  it('must say its issuer where that is required, at every step', async () => {
    const issuer = oauthIssuer({ actor: { issuer: 'required' } })
    expect(await read(issuer, { act: { sub: 'a', iss: ISSUER } })).toMatchObject({ actor: { id: 'a', issuer: ISSUER } })
    expect(await read(issuer, { act: { sub: 'a' } })).toBe('delegation_malformed')
    expect(await read(issuer, { act: { sub: 'a', iss: ISSUER, act: { sub: 'b' } } })).toBe('delegation_malformed')
  })

  it('must be there where that is required', async () => {
    const issuer = oauthIssuer({ actor: { required: true } })
    expect(await read(issuer, {})).toBe('delegation_missing')
    expect(await read(issuer, { act: { sub: 'a' } })).toMatchObject({ kind: 'delegation' })
  })

  it('is foreign where the issuer writes none', async () => {
    const issuer = custom({ issuer: ISSUER, audience: AUDIENCE, jwks: JWKS, tokenTypes: ['at+jwt'], actor: null })
    expect(await read(issuer, { act: { sub: 'a' } })).toBe('delegation_foreign')
    expect(await read(issuer, { act: null })).toBe('delegation_foreign')
    expect(await read(issuer, {})).toMatchObject({ kind: 'direct' })
  })
})

describe('signs of delegation without an actor', () => {
  it("the actor's tenant alone is unreadable, not direct", async () => {
    const issuer = customIssuer({ actor: { claim: 'impersonator_userid', encoding: 'string', tenant: 'impersonator_tenantid' } })
    expect(await read(issuer, { impersonator_userid: 'a', impersonator_tenantid: 't' })).toMatchObject({
      actor: { id: 'a', tenant: 't' },
    })
    expect(await read(issuer, { impersonator_userid: 'a' })).toMatchObject({ actor: { id: 'a', tenant: null } })
    expect(await read(issuer, { impersonator_tenantid: 't' })).toBe('delegation_malformed')
    expect(await read(issuer, { impersonator_tenantid: null })).toBe('delegation_malformed')
    expect(await read(issuer, { impersonator_userid: 'a', impersonator_tenantid: 7 })).toBe('delegation_malformed')
  })

  it('a marker above the path is one, too', async () => {
    const issuer = customIssuer({ actor: { claim: ['impersonator', 'user'], encoding: 'string' } })
    expect(await read(issuer, { impersonator: { user: 'a' } })).toMatchObject({ actor: { id: 'a' } })
    for (const impersonator of [{}, { sub: 'a' }, 'a', null, []])
      expect(await read(issuer, { impersonator })).toBe('delegation_malformed')
    expect(await read(issuer, {})).toMatchObject({ kind: 'direct' })
  })
})

describe('ignoredMarkers', () => {
  it('takes one marker away, and no other', async () => {
    const issuer = oauthIssuer({ ignoredMarkers: ['impersonated'] })
    expect(await read(issuer, { impersonated: false })).toMatchObject({ kind: 'direct' })
    expect(await read(oauthIssuer(), { impersonated: false })).toBe('delegation_foreign')
    expect(await read(issuer, { impersonated: false, impersonator: 'x' })).toBe('delegation_foreign')
    expect(await read(issuer, { ext: { act: {} } })).toBe('delegation_foreign')
    expect(await read(oauthIssuer({ ignoredMarkers: ['ext.act'] }), { ext: { act: {} } })).toMatchObject({ kind: 'direct' })
  })
})

describe('act_as', () => {
  const issuer = curity({ issuer: ISSUER, audience: AUDIENCE, jwks: JWKS, actAs: true })
  const without = curity({ issuer: ISSUER, audience: AUDIENCE, jwks: JWKS })
  const claims = (more: Claims): Claims => ({ purpose: 'access_token', sub: 'admin', ...more })

  it('is reversed: the subject of the token acts', async () => {
    expect(await read(issuer, claims({ act_as: { sub: 'user-1' } }))).toMatchObject({
      kind: 'impersonation',
      subject: { id: 'user-1', issuer: ISSUER },
      actor: { id: 'admin', issuer: ISSUER },
      chain: [{ id: 'admin' }],
    })
  })

  it('is foreign where it is not read', async () => {
    expect(await read(without, claims({ act_as: { sub: 'user-1' } }))).toBe('delegation_foreign')
    expect(await read(oauthIssuer(), { act_as: { sub: 'user-1' } })).toBe('delegation_foreign')
  })

  it('keeps to the issuer of the token', async () => {
    expect(await read(issuer, claims({ act_as: { sub: 'user-1', iss: ISSUER } }))).toMatchObject({ subject: { id: 'user-1' } })
    expect(await read(issuer, claims({ act_as: { sub: 'user-1', iss: OTHER_ISSUER } }))).toBe('delegation_malformed')
    expect(await read(issuer, claims({ act_as: { sub: 'user-1', iss: '' } }))).toBe('delegation_malformed')
  })

  it.each([
    ['nested act', { sub: 'user-1', act: { sub: 'x' } }],
    ['nested act_as', { sub: 'user-1', act_as: { sub: 'x' } }],
    ['nobody', {}],
    ['a string', 'user-1'],
    ['null', null],
    ['a list', [{ sub: 'user-1' }]],
    ['false', false],
  ] satisfies [string, JsonValue][])('with %s is malformed', async (_, actAs) => {
    expect(await read(issuer, claims({ act_as: actAs }))).toBe('delegation_malformed')
  })

  it('of the subject itself is direct', async () => {
    for (const actAs of [{ sub: 'admin' }, { sub: 'admin', iss: ISSUER }]) {
      expect(await read(issuer, claims({ act_as: actAs }))).toMatchObject({
        kind: 'direct',
        actor: null,
        subject: { id: 'admin' },
        notices: ['self_actor'],
      })
    }
  })

  it('beside act refuses, whatever either says', async () => {
    for (const act of [{ sub: 'x' }, {}, null, 'x']) {
      expect(await read(issuer, claims({ act, act_as: { sub: 'user-1' } }))).toBe('delegation_ambiguous')
    }
    expect(await read(issuer, claims({ act: { sub: 'x' }, act_as: null }))).toBe('delegation_ambiguous')
  })

  it('leaves act as it is', async () => {
    expect(await read(issuer, claims({ act: { sub: 'support-1' } }))).toMatchObject({
      subject: { id: 'admin' },
      actor: { id: 'support-1' },
    })
  })

  it('is what rules see: the actor is the administrator', async () => {
    const world = createWorld({ issuers: [issuer], delegation: [anyRule({ actor: { id: 'user-1' } })] })
    expect((await world.call(claims({ act_as: { sub: 'user-1' } }))).code).toBe('actor_unauthorized')
  })
})

describe('functions of an application', () => {
  let unhandled = vi.fn()
  beforeEach(() => {
    unhandled = vi.fn()
    process.on('unhandledRejection', unhandled)
  })
  afterEach(async () => {
    await settle()
    process.off('unhandledRejection', unhandled)
    expect(unhandled).not.toHaveBeenCalled()
  })

  const reader = (result: () => unknown) => customIssuer({ actor: { read: result as never } })

  it('read(): an act, nobody, or somebody unknown', async () => {
    expect(
      await read(
        reader(() => ({ sub: 'a', act: { sub: 'b' } })),
        {},
      ),
    ).toMatchObject({ chain: [{ id: 'a' }, { id: 'b' }] })
    expect(
      await read(
        reader(() => null),
        {},
      ),
    ).toMatchObject({ kind: 'direct', actor: null })
    expect(
      await read(
        reader(() => 'unknown'),
        {},
      ),
    ).toMatchObject({ kind: 'delegation', actor: { id: null }, chain: [{ id: null }] })
  })

  it("read(): somebody unknown cannot be whom the token's subject acts for", async () => {
    const reversed = (result: unknown) => customIssuer({ actor: { read: () => result as never, direction: 'subject' } })
    expect(await read(reversed('unknown'), {})).toBe('delegation_malformed')
    expect(await read(reversed({ sub: 'user-2' }), {})).toMatchObject({ subject: { id: 'user-2' }, actor: { id: 'user-1' } })
    expect(await read(reversed(null), {})).toMatchObject({ kind: 'direct', subject: { id: 'user-1' } })
  })

  const thenable = (then: unknown) => Object.fromEntries([['then', then]])

  it.each([
    ['a promise of another realm', () => runInNewContext("Promise.reject(new Error('late'))")],
    ['a thenable', () => thenable((_: unknown, no: (reason: unknown) => void) => no(new Error('late')))],
    [
      'a thenable that throws',
      () =>
        thenable(() => {
          throw new Error('late')
        }),
    ],
  ])('credentials.from: %s is no token, and its rejection ends nothing', async (_, from) => {
    const visit = await createWorld({ credentials: { from: from as never } }).call(null, {}, true)
    expect(visit.error).toMatchObject({ code: 'credentials_malformed', status: 400 })
    // Beside a header it is asked, too.
    expect((await createWorld({ credentials: { from: from as never } }).call({})).code).toBe('request_ambiguous')
  })

  const cyclic = () => {
    const act: Record<string, unknown> = { sub: 'a' }
    act['act'] = act
    return act
  }
  const cyclicElsewhere = () => {
    const act: Record<string, unknown> = { sub: 'a' }
    act['self'] = act
    return act
  }
  const WEIRD: readonly (readonly [string, () => unknown])[] = [
    ['undefined', () => undefined],
    ['false', () => false],
    ['0', () => 0],
    ['an empty string', () => ''],
    ['another word', () => 'somebody'],
    ['a list', () => []],
    ['an empty object', () => ({})],
    ['an id that is no text', () => ({ sub: 7 })],
    ['an unclean id', () => ({ sub: 'a\u202eb' })],
    ['an undefined id', () => ({ sub: undefined })],
    ['an inherited id', () => Object.create({ sub: 'a' })],
    ['a date', () => new Date()],
    ['a map', () => new Map([['sub', 'a']])],
    ['a symbol', () => Symbol('a')],
    ['a big integer', () => 7n],
    ['itself as history', cyclic],
    ['itself as a claim', cyclicElsewhere],
    ['a claim that is no JSON', () => ({ sub: 'a', size: 7n })],
    ['a chain that is too long', () => JSON.parse('{"sub":"a","act":'.repeat(8).concat('{"sub":"a"}', '}'.repeat(8)))],
    ['a promise', async () => ({ sub: 'a' })],
    ['a promise of nobody', async () => null],
    ['a rejected promise', () => Promise.reject(new Error('late'))],
    [
      'an error',
      () => {
        throw new Error('token eyJ')
      },
    ],
    [
      'nothing thrown',
      () => {
        throw null
      },
    ],
    [
      'a getter that throws',
      () => ({
        get sub() {
          throw new Error('x')
        },
      }),
    ],
  ]

  it.each(WEIRD)('read(): %s refuses the token', async (_, result) => {
    expect(await read(reader(result), {})).toBe('delegation_malformed')
  })

  it('read(): what it returns is copied; changing it later changes nothing', async () => {
    const act = { sub: 'a', address: { city: 'x' } }
    const context = await read(
      reader(() => act),
      {},
    )
    act.address.city = 'y'
    expect(context).toMatchObject({ actor: { id: 'a', claims: { address: { city: 'x' } } } })
  })

  it('read(): sees frozen claims without prototypes, and looks only after the markers it names', async () => {
    const seen = vi.fn((claims: JsonObject) =>
      typeof claims['impersonator'] === 'string' ? { sub: claims['impersonator'] } : null,
    )
    const issuer = customIssuer({ actor: { read: seen, reads: ['impersonator'] } })
    expect(await read(issuer, { impersonator: 'a' })).toMatchObject({ actor: { id: 'a' } })
    const claims = seen.mock.calls[0]?.[0] as JsonObject
    expect(Object.isFrozen(claims)).toBe(true)
    expect(Object.getPrototypeOf(claims)).toBeNull()
    expect(await read(issuer, { act: { sub: 'a' } })).toBe('delegation_foreign')
  })

  const kinded = (kind: (claims: JsonObject) => unknown) => customIssuer({ kind: kind as never })

  it('kind(): one of two words, by the claims', async () => {
    const issuer = kinded((claims) => (claims['imp'] === true ? 'impersonation' : 'delegation'))
    expect(await read(issuer, { act: { sub: 'a' }, imp: true })).toMatchObject({ kind: 'impersonation' })
    expect(await read(issuer, { act: { sub: 'a' } })).toMatchObject({ kind: 'delegation' })
  })

  it.each([
    ['direct', () => 'direct'],
    ['another word', () => 'Delegation'],
    ['undefined', () => undefined],
    ['null', () => null],
    ['true', () => true],
    ['a list', () => ['delegation']],
    ['an object', () => ({ toString: () => 'delegation' })],
    ['a promise', async () => 'delegation'],
    ['a rejected promise', () => Promise.reject(new Error('late'))],
    [
      'an error',
      () => {
        throw new Error('x')
      },
    ],
  ] satisfies [string, () => unknown][])('kind(): %s refuses the token', async (_, kind) => {
    expect(await read(kinded(kind), { act: { sub: 'a' } })).toBe('delegation_malformed')
  })

  it('kind(): is not asked about a direct call', async () => {
    const kind = vi.fn(() => 'nonsense')
    expect(await read(kinded(kind), {})).toMatchObject({ kind: 'direct' })
    expect(kind).not.toHaveBeenCalled()
  })
})

describe('may_act', () => {
  const mayAct = { sub: 'agent-1', iss: ISSUER }

  it('makes nobody an actor', async () => {
    expect(await read(oauthIssuer(), { may_act: mayAct })).toMatchObject({
      kind: 'direct',
      actor: null,
      mayAct: { id: 'agent-1' },
    })
    expect(await read(oauthIssuer(), { may_act: mayAct, act: { sub: 'b' } })).toMatchObject({
      actor: { id: 'b' },
      mayAct: { id: 'agent-1' },
    })
  })

  it.each([
    ['expose', 'direct', 'delegation'],
    ['refuse', 'token_type_refused', 'token_type_refused'],
    ['refuse_without_act', 'token_type_refused', 'delegation'],
  ] as const)('%s', async (policy, alone, withAct) => {
    const outcome = async (claims: Claims) => {
      const result = await read(customIssuer({ mayAct: policy }), claims)
      return typeof result === 'string' ? result : result.kind
    }
    expect(await outcome({ may_act: mayAct })).toBe(alone)
    expect(await outcome({ may_act: mayAct, act: { sub: 'a' } })).toBe(withAct)
    expect(await outcome({})).toBe('direct')
    for (const unreadable of [null, 'agent-1', {}, [], { sub: 7 }]) {
      expect(await outcome({ may_act: unreadable, act: { sub: 'a' } })).toBe('delegation_malformed')
    }
  })

  describe('mayBecomeActor()', () => {
    const ask = async (claim: JsonValue | undefined, party: Parameters<typeof mayBecomeActor>[1]) => {
      const context = await read(oauthIssuer(), { may_act: claim })
      if (typeof context === 'string') throw new TypeError(context)
      return mayBecomeActor(context, party)
    }

    it('compares issuer, naming claim and id', async () => {
      expect(await ask(mayAct, { issuer: ISSUER, id: 'agent-1' })).toBe(true)
      expect(await ask(mayAct, { issuer: ISSUER, id: 'agent-1', idClaim: 'sub' })).toBe(true)
      expect(await ask(mayAct, { issuer: ISSUER, id: 'agent-2' })).toBe(false)
      expect(await ask(mayAct, { issuer: OTHER_ISSUER, id: 'agent-1' })).toBe(false)
      expect(await ask(mayAct, { issuer: ISSUER, id: 'agent-1', idClaim: 'client_id' })).toBe(false)
      expect(await ask({ client_id: 'one' }, { issuer: ISSUER, id: 'one', idClaim: 'client_id' })).toBe(true)
      expect(await ask({ client_id: 'one' }, { issuer: ISSUER, id: 'one' })).toBe(false)
    })

    it("takes the token's issuer where may_act says none", async () => {
      expect(await ask({ sub: 'agent-1' }, { issuer: ISSUER, id: 'agent-1' })).toBe(true)
      expect(await ask({ sub: 'agent-1' }, { issuer: OTHER_ISSUER, id: 'agent-1' })).toBe(false)
    })

    it('says no where the token does not say', async () => {
      expect(await ask(undefined, { issuer: ISSUER, id: 'agent-1' })).toBe(false)
    })
  })
})

describe('Descope', () => {
  const issuer = descope({ projectId: 'P2UcQcyxrjSA3mr6y0xZKRYI5oJz', jwks: JWKS })
  const token = (more: Claims) => tokenOfFixture(fixtures.descope.direct, more)
  const tenants = { T1: { permissions: ['t1:read', 'orders:read'], roles: ['Admin'] }, T2: { permissions: ['t2:read'] } }

  it('has the permissions of the project, and those of the tenant that the token selects', async () => {
    expect(await read(issuer, token({ tenants, dct: 'T1' }))).toMatchObject({ tenant: 'T1', scopes: ['orders:read', 't1:read'] })
    expect(await read(issuer, token({ tenants, dct: 'T2' }))).toMatchObject({ tenant: 'T2', scopes: ['orders:read', 't2:read'] })
  })

  it('has those of no tenant where none, or an unknown one, is selected', async () => {
    expect(await read(issuer, token({ tenants }))).toMatchObject({ tenant: null, scopes: ['orders:read'] })
    for (const dct of ['T3', 'constructor', '__proto__', 'toString']) {
      expect(await read(issuer, token({ tenants, dct }))).toMatchObject({ tenant: dct, scopes: ['orders:read'] })
    }
    expect(await read(issuer, token({ dct: 'T1' }))).toMatchObject({ scopes: ['orders:read'] })
  })

  it('refuses a selection or permissions that cannot be read', async () => {
    expect(await read(issuer, token({ tenants, dct: 7 }))).toBe('claim_invalid')
    expect(await read(issuer, token({ tenants: { T1: { permissions: 'all' } }, dct: 'T1' }))).toBe('claim_invalid')
    expect(await read(issuer, token({ permissions: 'orders:read' }))).toBe('claim_invalid')
    expect(await read(issuer, token({ permissions: [7] }))).toBe('claim_invalid')
  })

  it('keeps tenants and roles out of the claims of an impersonation', async () => {
    const context = await read(
      issuer,
      tokenOfFixture(fixtures.descope.impersonated, { tenants, dct: 'T1', roles: ['x'], permissions: [] }),
    )
    expect(context).toMatchObject({
      kind: 'impersonation',
      scopes: ['orders:read', 't1:read'],
      unnarrowed: { tenants, roles: ['x'] },
    })
    expect(typeof context !== 'string' && Object.keys(context.claims)).not.toContain('tenants')
    expect(typeof context !== 'string' && Object.keys(context.claims)).not.toContain('permissions')
  })

  it('tells session tokens from refresh tokens, and rexp is no expiry', async () => {
    expect(await read(issuer, tokenOfFixture(fixtures.descope.refreshToken))).toBe('claim_invalid')
    expect(await read(issuer, token({ drn: undefined }))).toBe('claim_missing')
    expect(await read(issuer, token({ rexp: 'long ago' }))).toMatchObject({ kind: 'direct' })
    expect(await read(issuer, token({ aud: 'somebody' }))).toBe('audience_mismatch')
  })
})

describe('Asgardeo', () => {
  const { direct, impersonated, organizationSwitched, subjectToken } = fixtures.asgardeo
  const clientIds = [String(direct.claims['aud'])]
  const issuer = asgardeo({ organization: 'bifrost', clientIds, jwks: JWKS })
  const local = asgardeo({ issuer: String(organizationSwitched.claims['iss']), clientIds, jwks: JWKS })

  it('has org_id as tenant of token and subject', async () => {
    const tenant = impersonated.claims['org_id']
    expect(await read(issuer, tokenOfFixture(impersonated))).toMatchObject({
      kind: 'impersonation',
      tenant,
      subject: { tenant },
      actor: { id: '2d931c9d-876e-46c0-9aba-f34501879dfc', tenant: null },
    })
  })

  it('after an organization switch, user_org is the home of the subject', async () => {
    expect(await read(local, tokenOfFixture(organizationSwitched))).toMatchObject({
      kind: 'impersonation',
      tenant: organizationSwitched.claims['org_id'],
      subject: { tenant: organizationSwitched.claims['user_org'] },
    })
  })

  it.each([
    ['APPLICATION_USER', 'user'],
    ['APPLICATION', 'client'],
    ['AGENT', 'client'],
    ['SOMETHING_NEW', null],
  ])('aut %s: the subject is %s', async (aut, type) => {
    expect(await read(issuer, tokenOfFixture(direct, { aut }))).toMatchObject({ subject: { type } })
  })

  it('a subject that is the client is one, whatever aut says', async () => {
    expect(await read(issuer, tokenOfFixture(direct, { sub: clientIds[0] }))).toMatchObject({ subject: { type: 'client' } })
  })

  it('refuses the subject token, by each of its signs alone', async () => {
    expect(await read(issuer, tokenOfFixture(subjectToken))).toBe('token_type_refused')
    const asAccessToken = { header: { typ: 'at+jwt' }, claims: subjectToken.claims }
    expect(await read(issuer, tokenOfFixture(asAccessToken))).toBe('claim_missing')
    expect(await read(issuer, tokenOfFixture(asAccessToken, { aut: 'APPLICATION_USER' }))).toBe('token_type_refused')
    expect(await read(issuer, tokenOfFixture(impersonated, { may_act: { sub: 'x' } }))).toMatchObject({ kind: 'impersonation' })
  })

  it('accepts listed clients only', async () => {
    const other = asgardeo({ organization: 'bifrost', clientIds: ['another'], audience: clientIds, jwks: JWKS })
    expect(await read(other, tokenOfFixture(direct))).toBe('client_refused')
    expect(await read(issuer, tokenOfFixture(direct, { client_id: undefined, azp: 'another' }))).toBe('client_refused')
  })
})

describe('profiles', () => {
  const profiles = async (issuer: IssuerOptions, value: JsonValue | undefined) => {
    const context = await read(issuer, { act: { sub: 'a', sub_profile: value, cls: value } })
    return typeof context === 'string' ? context : context.actor?.profiles
  }

  it('are words, in lower case, in the order given, without duplicates', async () => {
    expect(await profiles(oauthIssuer(), 'AI_Agent service ai_agent')).toEqual(['ai_agent', 'service'])
    expect(await profiles(oauthIssuer(), undefined)).toEqual([])
    expect(await profiles(oauthIssuer(), '\u212Aelvin')).toEqual(['\u212Aelvin'])
  })

  it('that cannot be read refuse the token: nobody falls out of a class into a laxer rule', async () => {
    for (const value of ['', ' ', ['ai_agent'], 7, null, {}, 'a\tb', 'a '])
      expect(await profiles(oauthIssuer(), value)).toBe('delegation_malformed')
    expect(await read(oauthIssuer(), { sub_profile: ['x'] })).toBe('claim_invalid')
  })

  it('are not read where the issuer says null', async () => {
    expect(await profiles(oauthIssuer({ claims: { profiles: null } }), ['anything'])).toEqual([])
  })

  it("mean what the issuer's words are said to mean; other words are dropped", async () => {
    const issuer = oauthIssuer({
      claims: { profiles: { claim: 'cls', words: { bot: 'ai_agent', robot: 'ai_agent', svc: 'service' } } },
    })
    expect(await profiles(issuer, 'BOT robot unknown svc constructor')).toEqual(['ai_agent', 'service'])
  })
})

describe('small questions', () => {
  it('hasScope() is exact', () => {
    const context = testContext({ scopes: ['orders:read', 'profile:*'] })
    expect(hasScope(context, 'orders:read')).toBe(true)
    for (const scope of ['orders:rea', 'orders:READ', 'profile:email', 'orders:read orders:write', '']) {
      expect(hasScope(context, scope)).toBe(false)
    }
    expect(hasScope(context, 'profile:*')).toBe(true)
  })

  it('partyKey() joins so that no two parties share a key', () => {
    const parties = [
      { issuer: 'a', id: 'b' },
      { issuer: 'b', id: 'a' },
      { issuer: null, id: 'b' },
      { issuer: 'null', id: 'b' },
      { issuer: 'a', id: 'b', idClaim: 'client_id' },
      { issuer: 'a","sub', id: 'b' },
      { issuer: 'a', id: '","b' },
      { issuer: 'a|b', id: 'c' },
      { issuer: 'a', id: 'b|c' },
    ]
    expect(new Set(parties.map(partyKey)).size).toBe(parties.length)
    expect(partyKey({ issuer: 'a', id: 'b' })).toBe(partyKey({ issuer: 'a', id: 'b', idClaim: 'sub' }))
  })

  it('partyKey() of nobody in particular is a TypeError', () => {
    expect(() => partyKey({ issuer: null, id: null as unknown as string })).toThrow(TypeError)
  })

  it('verify() reads a token without rules, requirement or record', async () => {
    const world = createWorld()
    expect(await world.server.verify(tokenOf({ act: { sub: 'a' } }))).toMatchObject({
      kind: 'delegation',
      rule: null,
      wouldRefuse: null,
    })
    await expect(world.server.verify(tokenOf({ exp: NOW_SECONDS - 5 }))).rejects.toMatchObject({ code: 'token_expired' })
    await expect(world.server.verify(signed({}, {}))).rejects.toMatchObject({ code: 'issuer_unknown' })
    await expect(world.server.verify(undefined as unknown as string)).rejects.toMatchObject({ code: 'token_malformed' })
    expect(world.sink.events).toEqual([])
  })

  it.each([
    ['an error', new RangeError('cookie jar')],
    ['an error with a status', Object.assign(new Error('cookie jar'), { status: 404, expose: true })],
    ['nothing', undefined],
    ['null', null],
    ['an empty string', ''],
    ["Express's word for the next route", 'route'],
    ['a number', 0],
  ])("`credentials.from` that throws %s is the application's own failure, never an anonymous call", async (_, thrown) => {
    const from = (_request: RequestView): string | null => {
      throw thrown
    }
    const world = createWorld({ credentials: { from } })
    for (const token of [null, {}]) {
      const error = await world.call(token, {}, true).catch((reason: unknown) => reason)
      expect(error).toBeInstanceOf(ApplicationError)
      expect(error).toMatchObject({ name: 'ApplicationError', code: 'application_failed', status: 500, expose: false })
      expect((error as ApplicationError).message).toBe('a function of the application failed while the request was authenticated')
      expect((error as ApplicationError).cause).toBe(thrown)
    }
  })

  it('whoever asks a failed request later gets the same failure', async () => {
    const from = (): never => {
      throw undefined
    }
    const { server } = createWorld({ credentials: { from } })
    const key = {}
    const exchange = { key, request: requestView(tokenOf()), response: new HeldResponse() }
    const failure = await Promise.resolve(server.authenticate()(exchange)).catch((reason: unknown) => reason)
    expect(failure).toBeInstanceOf(ApplicationError)
    await expect(server.authenticate({ optional: true })(exchange)).rejects.toBe(failure)
    await expect(server.guard()(key)).rejects.toBe(failure)
    expect(() => server.contextOf(key)).toThrow(failure as Error)
  })
})
