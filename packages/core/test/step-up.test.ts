import { AuthError, ConfigError, type DelegationRule, type JsonValue, type Requirement } from '@behalf/core'
import { curity } from '@behalf/core/issuers'
import { fixtures } from '@behalf/testing'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { FUZZ_FACTOR, FUZZ_SEED, FUZZ_TIMEOUT } from '../../../test/support/fuzz-settings.js'
import { anyRule, createWorld, JWKS, NOW_SECONDS, oauthIssuer, tokenOf, tokenOfFixture } from './support/harness.js'

type Claims = Readonly<Record<string, JsonValue | undefined>>

const SUPPORT: Claims = { act: { sub: 'support-1' } }

beforeEach(() => {
  vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
})
afterEach(() => {
  vi.restoreAllMocks()
})

async function judged(requirement: Requirement, claims: Claims, rule: Partial<DelegationRule> = {}) {
  const visit = await createWorld({ delegation: [anyRule(rule)] }).call(claims)
  expect(visit.code).toBeNull()
  return (await visit.guard(requirement))?.code ?? 'admitted'
}

describe('acr', () => {
  it.each<[what: string, asked: string | readonly string[], acr: JsonValue | undefined, outcome: string]>([
    ['the one', 'gold', 'gold', 'admitted'],
    ['one of several', ['gold', 'silver'], 'silver', 'admitted'],
    ['another one', 'gold', 'silver', 'step_up_required'],
    ['none', 'gold', undefined, 'step_up_required'],
    ['null', 'gold', null, 'step_up_required'],
    ['empty', 'gold', '', 'step_up_required'],
    ['with another case', 'gold', 'Gold', 'step_up_required'],
    ['with a space', 'gold', ' gold', 'step_up_required'],
    ['several in one text', ['gold', 'silver'], 'gold silver', 'step_up_required'],
    ['a list', 'gold', ['gold'], 'step_up_required'],
    ['an object', 'gold', { gold: true }, 'step_up_required'],
    ['a number', '2', 2, 'step_up_required'],
    ['true', 'true', true, 'step_up_required'],
    ['a URI', 'urn:mace:incommon:iap:gold', 'urn:mace:incommon:iap:gold', 'admitted'],
  ])('%s', async (_, asked, acr, outcome) => {
    expect(await judged({ acr: asked }, { acr })).toBe(outcome)
  })
})

describe('maxAuthAgeSeconds', () => {
  it.each<[what: string, most: number, authTime: JsonValue | undefined, outcome: string]>([
    ['just now', 300, NOW_SECONDS, 'admitted'],
    ['at its age', 300, NOW_SECONDS - 300, 'admitted'],
    ['within the tolerance', 300, NOW_SECONDS - 305, 'admitted'],
    ['beyond it', 300, NOW_SECONDS - 305.001, 'step_up_required'],
    ['ahead, within the tolerance', 300, NOW_SECONDS + 5, 'admitted'],
    ['ahead, beyond it', 300, NOW_SECONDS + 5.001, 'step_up_required'],
    ['far ahead', 300, 1e300, 'step_up_required'],
    ['0: just now', 0, NOW_SECONDS - 5, 'admitted'],
    ['0: before', 0, NOW_SECONDS - 6, 'step_up_required'],
    ['the beginning of time', 300, 0, 'step_up_required'],
    ['before it', 300, -1, 'step_up_required'],
    ['in milliseconds', 300, NOW_SECONDS * 1000, 'step_up_required'],
    ['none', 300, undefined, 'step_up_required'],
    ['null', 300, null, 'step_up_required'],
    ['a text', 300, `${NOW_SECONDS}`, 'step_up_required'],
    ['a list', 300, [NOW_SECONDS], 'step_up_required'],
    ['true', 300, true, 'step_up_required'],
    ['a large limit needs a time all the same', Number.MAX_SAFE_INTEGER, undefined, 'step_up_required'],
  ])('%s', async (_, maxAuthAgeSeconds, authTime, outcome) => {
    expect(await judged({ maxAuthAgeSeconds }, { auth_time: authTime })).toBe(outcome)
  })

  it('is judged by the clock of each request, also of a remembered token', async () => {
    const world = createWorld()
    const token = tokenOf({ auth_time: NOW_SECONDS })
    const outcome = async (seconds: number) => {
      world.now = (NOW_SECONDS + seconds) * 1000
      return (await (await world.call(token)).guard({ maxAuthAgeSeconds: 60 }))?.code ?? 'admitted'
    }
    expect(await outcome(0)).toBe('admitted')
    expect(await outcome(65)).toBe('admitted')
    expect(await outcome(66)).toBe('step_up_required')
    expect(await outcome(1)).toBe('admitted')
  })

  it('keeps to the clock tolerance of the server', async () => {
    const strict = createWorld({ clockToleranceSeconds: 0 })
    const outcome = async (authTime: number) =>
      (await (await strict.call({ auth_time: authTime })).guard({ maxAuthAgeSeconds: 60 }))?.code ?? 'admitted'
    expect(await outcome(NOW_SECONDS - 60)).toBe('admitted')
    expect(await outcome(NOW_SECONDS - 61)).toBe('step_up_required')
    expect(await outcome(NOW_SECONDS + 1)).toBe('step_up_required')
  })

  it(
    'an auth_time of any other type never counts',
    async () => {
      await fc.assert(
        fc.asyncProperty(fc.jsonValue({ maxDepth: 1 }), async (value) => {
          const fresh = typeof value === 'number' && Math.abs(NOW_SECONDS - value) <= 300
          expect(await judged({ maxAuthAgeSeconds: 300 }, { auth_time: value as JsonValue })).toBe(
            fresh ? 'admitted' : 'step_up_required',
          )
        }),
        { numRuns: 40 * FUZZ_FACTOR, seed: FUZZ_SEED },
      )
    },
    FUZZ_TIMEOUT,
  )
})

it('both must hold', async () => {
  const both: Requirement = { acr: 'gold', maxAuthAgeSeconds: 60 }
  expect(await judged(both, { acr: 'gold', auth_time: NOW_SECONDS })).toBe('admitted')
  expect(await judged(both, { acr: 'silver', auth_time: NOW_SECONDS })).toBe('step_up_required')
  expect(await judged(both, { acr: 'gold', auth_time: NOW_SECONDS - 100 })).toBe('step_up_required')
  expect(await judged(both, {})).toBe('step_up_required')
})

describe('a delegated call', () => {
  const LOGIN: Claims = { acr: 'gold', auth_time: NOW_SECONDS }
  const asked: Requirement = { acr: 'gold', maxAuthAgeSeconds: 60 }

  it.each<[what: string, requirement: Requirement, claims: Claims]>([
    ['with the login of its subject', asked, { ...SUPPORT, ...LOGIN }],
    ['without a login', asked, SUPPORT],
    ['for acr alone', { acr: 'gold' }, { ...SUPPORT, ...LOGIN }],
    ['for an age alone', { maxAuthAgeSeconds: 60 }, { ...SUPPORT, ...LOGIN }],
    ['with a login in its act', asked, { act: { sub: 'support-1', ...LOGIN } }],
  ])('never meets it: %s', async (_, requirement, claims) => {
    expect(await judged(requirement, claims)).toBe('delegation_forbidden')
  })

  it('is judged as a direct one where its rule lets the login of the subject count', async () => {
    const counts = { stepUp: 'subject' } as const
    expect(await judged(asked, { ...SUPPORT, ...LOGIN }, counts)).toBe('admitted')
    expect(await judged(asked, { ...SUPPORT, acr: 'silver', auth_time: NOW_SECONDS }, counts)).toBe('step_up_required')
    expect(await judged(asked, { ...SUPPORT, acr: 'gold', auth_time: NOW_SECONDS - 66 }, counts)).toBe('step_up_required')
    expect(await judged(asked, SUPPORT, counts)).toBe('step_up_required')
    expect(await judged(asked, { act: { sub: 'support-1', ...LOGIN } }, counts)).toBe('step_up_required')
  })

  it('is judged by the rule that admits it, not by another one', async () => {
    const world = createWorld({
      delegation: [anyRule({ id: 'narrow', actor: { id: 'support-1' } }), anyRule({ id: 'wide', stepUp: 'subject' })],
    })
    const outcome = async (sub: string) => (await (await world.call({ act: { sub }, ...LOGIN })).guard(asked))?.code ?? 'admitted'
    expect(await outcome('support-1')).toBe('delegation_forbidden')
    expect(await outcome('agent-1')).toBe('admitted')
  })

  it('of an issuer that writes it the other way round is delegated too', async () => {
    const { actAs } = fixtures.curity
    const issuers = [curity({ issuer: String(actAs.claims['iss']), audience: 'test-web-api', jwks: JWKS, actAs: true })]
    const visit = await createWorld({ issuers, delegation: [anyRule()] }).call(tokenOfFixture(actAs, LOGIN))
    expect((await visit.guard(asked))?.code).toBe('delegation_forbidden')
  })

  it('whose actor is the subject is direct', async () => {
    const visit = await createWorld({ issuers: [oauthIssuer()] }).call({
      act: { sub: 'user-1', iss: 'https://as.example.test' },
      ...LOGIN,
    })
    expect(await visit.guard(asked)).toBeNull()
  })

  it('in report mode: the requirement holds, whatever rules would have refused', async () => {
    const world = (rule: Partial<DelegationRule>) => createWorld({ mode: 'report', delegation: [anyRule(rule)] })
    const call = async (rule: Partial<DelegationRule>) => (await world(rule).call({ ...SUPPORT, ...LOGIN })).guard(asked)
    expect((await call({}))?.code).toBe('delegation_forbidden')
    expect((await call({ actor: { id: 'somebody-else' }, stepUp: 'subject' }))?.code).toBe('delegation_forbidden')
    expect(await call({ stepUp: 'subject' })).toBeNull()
    expect(await call({ stepUp: 'subject', methods: ['POST'] })).toBeNull() // relaxed; its word about the login is no limit
  })

  it('in report mode: a guard that relaxes scopes keeps to what the rule says of the login', async () => {
    const world = createWorld({ mode: 'report', delegation: [anyRule({ scopes: 'orders:read', stepUp: 'subject' })] })
    const visit = await world.call({ ...SUPPORT, ...LOGIN })
    expect(await visit.guard({ ...asked, scopes: 'orders:write' })).toBeNull()
    expect(visit.context()).toMatchObject({ wouldRefuse: 'scope_not_delegated' })
    expect(await visit.guard(asked)).toBeNull()
    const weak = await world.call({ ...SUPPORT, acr: 'silver', auth_time: NOW_SECONDS, jti: 'weak' })
    expect((await weak.guard({ ...asked, scopes: 'orders:write' }))?.code).toBe('step_up_required')
  })
})

describe('a call whose issuer leaves somebody out', () => {
  const LOGIN: Claims = { acr: 'gold', auth_time: NOW_SECONDS }
  const ASKED: Requirement = { acr: 'gold', maxAuthAgeSeconds: 60 }

  it.each<[what: string, claims: Claims, outcome: string]>([
    ['is nobody’s login where it is direct', { ...LOGIN, chain_complete: false }, 'chain_incomplete'],
    ['nor where the issuer says so unreadably', { ...LOGIN, chain_complete: 'true' }, 'chain_incomplete'],
    ['is the user’s where everybody is named', { ...LOGIN, chain_complete: true }, 'admitted'],
    ['is the user’s where nothing is said', LOGIN, 'admitted'],
  ])('%s', async (_, claims, outcome) => {
    expect(await judged(ASKED, claims)).toBe(outcome)
    expect(await judged({}, claims)).toBe('admitted')
  })

  it('counts where the rule lets the login of a delegated call count, whoever else acted before', async () => {
    expect(await judged(ASKED, { ...LOGIN, ...SUPPORT, chain_complete: false }, { stepUp: 'subject' })).toBe('admitted')
  })
})

describe('the order', () => {
  const TENANT = { issuers: [oauthIssuer({ claims: { tenant: 'tid' } })] }

  it.each<[what: string, requirement: Requirement, claims: Claims, code: string]>([
    ['kind', { kind: 'delegation' }, {}, 'delegation_required'],
    ['tenant', { tenant: 't1' }, {}, 'requirement_failed'],
    ['subject', { subject: { id: 'user-2' } }, {}, 'requirement_failed'],
    ['actor', { actor: { id: 'support-1' } }, {}, 'delegation_required'],
    ['claims', { claims: { vip: true } }, {}, 'requirement_failed'],
    ['chain', { completeChain: true }, { chain_complete: false }, 'chain_incomplete'],
  ])('asks nobody to log in in vain: %s comes before it', async (_, requirement, claims, code) => {
    const visit = await createWorld({ ...TENANT, delegation: [anyRule({ stepUp: 'subject' })] }).call(claims)
    expect((await visit.guard({ ...requirement, acr: 'gold' }))?.code).toBe(code)
  })

  it('scopes that a rule took away come before it, scopes that the token lacks come after it', async () => {
    const rule = { scopes: 'orders:read', stepUp: 'subject' } as const
    expect(await judged({ acr: 'gold', scopes: 'orders:write' }, SUPPORT, rule)).toBe('scope_not_delegated')
    expect(await judged({ acr: 'gold', scopes: 'admin' }, SUPPORT, rule)).toBe('step_up_required')
    expect(await judged({ acr: 'gold', scopes: 'admin' }, { ...SUPPORT, acr: 'gold' }, rule)).toBe('scope_insufficient')
    expect(await judged({ acr: 'gold', scopes: 'admin' }, { acr: 'gold' })).toBe('scope_insufficient')
  })

  it('the check comes after it', async () => {
    const check = vi.fn(() => false)
    expect(await judged({ acr: 'gold', check }, {})).toBe('step_up_required')
    expect(check).not.toHaveBeenCalled()
    expect(await judged({ acr: 'gold', check }, { acr: 'gold' })).toBe('requirement_failed')
  })
})

describe('the challenge', () => {
  const DESCRIPTION = 'error_description="A stronger or more recent authentication is required"'
  const HEAD = `Bearer error="insufficient_user_authentication", ${DESCRIPTION}`
  const challenge = async (requirement: Requirement, claims: Claims = {}) =>
    (await (await createWorld().call(claims)).guard(requirement))?.challenge

  it('names what is asked, and nothing else', async () => {
    expect(await challenge({ acr: ['gold', 'silver'], maxAuthAgeSeconds: 300 })).toContain(
      `${HEAD}, acr_values="gold silver", max_age="300"`,
    )
    expect(await challenge({ acr: 'gold' })).not.toContain('max_age')
    expect(await challenge({ maxAuthAgeSeconds: 0 })).toContain(`${HEAD}, max_age="0"`)
    expect(await challenge({ maxAuthAgeSeconds: 0 })).not.toContain('acr_values')
  })

  it('names the scopes too, where the token lacks some', async () => {
    expect(await challenge({ acr: 'gold', scopes: ['admin', 'orders:read'] })).toContain(
      `${HEAD}, scope="admin orders:read", acr_values="gold"`,
    )
    expect(await challenge({ acr: 'gold', scopes: 'orders:read' })).not.toContain('scope=')
    expect(await challenge({ acr: 'gold', anyScope: ['admin', 'owner'] })).toContain('scope="admin owner", acr_values="gold"')
  })

  it('says nothing of what the token says', async () => {
    const told = await challenge({ acr: 'gold', maxAuthAgeSeconds: 300 }, { acr: 'SECRET', auth_time: 1234567 })
    expect(told).not.toMatch(/SECRET|1234567/)
  })

  it('is part of no other refusal', async () => {
    const visit = await createWorld({ delegation: [anyRule({ stepUp: 'subject' })] }).call({ acr: 'gold' })
    expect((await visit.guard({ acr: 'gold', scopes: 'admin' }))?.challenge).not.toContain('acr_values')
    expect((await visit.guard({ acr: 'silver', kind: 'delegation' }))?.challenge).not.toContain('acr_values')
  })

  it('stays with the error that a server tells, and that an adapter sends', () => {
    const offer = { bearer: true, dpopAlgorithms: ['ES256'], resourceMetadata: 'https://api.example.test/meta' }
    const stepUp = { acrValues: ['gold'], maxAgeSeconds: 60 }
    const error = new AuthError('step_up_required', { stepUp })
    expect(error).toMatchObject({ status: 401, code: 'step_up_required' })
    const told = error.toldBy(offer, 'DPoP', null)
    expect(told.challenge).toBe(
      `DPoP error="insufficient_user_authentication", ${DESCRIPTION}, acr_values="gold", max_age="60", algs="ES256", resource_metadata="https://api.example.test/meta"`,
    )
    expect(told.beside('X-Own').challenge).toBe(told.challenge)
    expect(error.toldBy(offer, 'Bearer', null).challenge).toBe(
      `Bearer error="insufficient_user_authentication", ${DESCRIPTION}, acr_values="gold", max_age="60", resource_metadata="https://api.example.test/meta", DPoP algs="ES256", resource_metadata="https://api.example.test/meta"`,
    )
  })
})

describe('is recorded', () => {
  it('as a refusal of stage requirement, with 401', async () => {
    const world = createWorld({ delegation: [anyRule({ stepUp: 'subject' })] })
    const visit = await world.call(SUPPORT)
    await visit.guard({ acr: 'gold' })
    expect(world.sink.events.at(-1)).toMatchObject({
      ...{ stage: 'requirement', decision: 'refuse', reason: 'step_up_required', rule: 'any', http: { status: 401 } },
    })
  })
})

describe('mistakes', () => {
  it.each<[what: string, requirement: object, message: RegExp]>([
    ['an empty acr', { acr: '' }, /^guard\(\)\.acr must be a non-empty string$/],
    ['an empty list', { acr: [] }, /^guard\(\)\.acr must be a non-empty list$/],
    ['twice the same', { acr: ['gold', 'gold'] }, /^guard\(\)\.acr names something twice$/],
    ['a space', { acr: 'gold silver' }, /^guard\(\)\.acr must be printable ASCII without space.*several values are a list$/],
    ['a quote', { acr: ['ok', 'a"b'] }, /^guard\(\)\.acr\[1\] must be printable ASCII/],
    ['a backslash', { acr: 'a\\b' }, /printable ASCII/],
    ['a line break', { acr: 'a\r\nb' }, /printable ASCII/],
    ['another script', { acr: 'gölden' }, /printable ASCII/],
    ['a number', { acr: 2 }, /^guard\(\)\.acr must be a non-empty string$/],
    ['undefined', { acr: undefined }, /^guard\(\)\.acr is undefined/],
    ['a negative age', { maxAuthAgeSeconds: -1 }, /^guard\(\)\.maxAuthAgeSeconds must be a whole number, at least 0$/],
    ['half a second', { maxAuthAgeSeconds: 0.5 }, /whole number/],
    ['an age as text', { maxAuthAgeSeconds: '300' }, /whole number/],
    ['Infinity', { maxAuthAgeSeconds: Number.POSITIVE_INFINITY }, /whole number/],
  ])('%s', (_, requirement, message) => {
    const make = () => createWorld().server.guard(requirement as Requirement)
    expect(make).toThrow(ConfigError)
    expect(make).toThrow(message)
  })

  const LOGIN_OF_NOBODY =
    "guard() asks for a delegated call and for a login, which no rule lets count: give a rule stepUp: 'subject'"

  describe.each<[what: string, requirement: Requirement]>([
    ['a delegated kind', { kind: 'delegation', acr: 'gold' }],
    ['each delegated kind, and an age', { kind: ['delegation', 'impersonation'], maxAuthAgeSeconds: 60 }],
    ['an actor', { actor: { id: 'support-1' }, acr: 'gold' }],
  ])('a login that could never count: %s', (_, requirement) => {
    const make = (options: Parameters<typeof createWorld>[0]) => () => createWorld(options).server.guard(requirement)

    it('where no rule lets it', () => {
      for (const delegation of [[], [anyRule()]]) {
        expect(make({ delegation })).toThrow(expect.objectContaining({ name: 'ConfigError', message: LOGIN_OF_NOBODY }))
      }
    })

    it('not where one of the rules does, or rules are not enforced', () => {
      expect(make({ delegation: [anyRule({ id: 'a', actor: { id: 'x' } }), anyRule({ stepUp: 'subject' })] })).not.toThrow()
      expect(make({ delegation: [anyRule()], mode: 'report' })).not.toThrow()
    })
  })

  it.each<[what: string, requirement: Requirement]>([
    ['no kind', { acr: 'gold' }],
    ['a direct call too', { kind: ['direct', 'delegation'], acr: 'gold' }],
    ['anybody but an actor', { actor: { not: { id: 'support-1' } }, acr: 'gold' }],
    ['a subject', { subject: { id: 'user-1' }, acr: 'gold' }],
    ['no login', { kind: 'delegation', actor: { id: 'support-1' } }],
  ])('none is a login that a direct call can meet, or that is not asked: %s', (_, requirement) => {
    expect(() => createWorld({ delegation: [anyRule()] }).server.guard(requirement)).not.toThrow()
  })

  it.each<[unknown, RegExp]>([
    ['actor', /^delegation\[0\]\.stepUp must be one of 'subject'$/],
    [true, /stepUp must be one of/],
    [undefined, /stepUp is undefined/],
  ])('of a rule: stepUp %s', (stepUp, message) => {
    expect(() => createWorld({ delegation: [anyRule({ stepUp: stepUp as never })] })).toThrow(message)
  })
})
