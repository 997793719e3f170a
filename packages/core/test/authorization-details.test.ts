import { ConfigError, type DelegationRule, type JsonValue, type Requirement, type ResourceServerOptions } from '@behalf/core'
import { inspectToken } from '@behalf/core/inspect'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { FUZZ_FACTOR, FUZZ_SEED, FUZZ_TIMEOUT } from '../../../test/support/fuzz-settings.js'
import { compileRequirement } from '../src/policy/requirement.js'
import { compileRules, type KnownIssuers } from '../src/policy/rule.js'
import { anyRule, createWorld, ISSUER, NOW_SECONDS, oauthIssuer, tokenOf } from './support/harness.js'

type Claims = Readonly<Record<string, JsonValue | undefined>>

const KNOWN = ['payment', 'account']
const issuers = [oauthIssuer({ authorizationDetails: KNOWN })]
const PAYMENT = { type: 'payment', actions: ['initiate', 'status'], locations: ['https://api.example.test/payments'] }
const ACCOUNT = { type: 'account', identifier: 'acc-1', datatypes: ['balance'], privileges: ['reader'] }
const UNKNOWN = { type: 'photo', actions: ['read'] }
const SUPPORT: Claims = { act: { sub: 'support-1' } }

const having = (value: JsonValue | undefined): Claims => ({ authorization_details: value })

beforeEach(() => {
  vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
})
afterEach(() => {
  vi.restoreAllMocks()
})

const call = (claims: Claims, options: Partial<ResourceServerOptions> = {}) =>
  createWorld({ issuers, delegation: [anyRule()], ...options }).call(claims)

describe('the claim', () => {
  it.each<[what: string, value: JsonValue]>([
    ['null', null],
    ['a text', 'payment'],
    ['JSON as text', JSON.stringify([PAYMENT])],
    ['one object', PAYMENT],
    ['a number', 1],
    ['true', true],
    ['a list of texts', ['payment']],
    ['a list with null', [PAYMENT, null]],
    ['a list of lists', [[PAYMENT]]],
    ['an object without type', [{ actions: ['read'] }]],
    ['a type that is a list', [{ type: ['payment'] }]],
    ['a type that is a number', [{ type: 1 }]],
    ['a type that is null', [{ type: null }]],
    ['no type behind a good one', [PAYMENT, {}]],
    ['too many', Array.from({ length: 65 }, () => PAYMENT)],
    ['too many of an unknown type', Array.from({ length: 65 }, () => UNKNOWN)],
    ['actions as text', [{ type: 'payment', actions: 'initiate' }]],
    ['actions as null', [{ type: 'payment', actions: null }]],
    ['actions with a number', [{ type: 'payment', actions: ['initiate', 1] }]],
    ['locations as an object', [{ type: 'payment', locations: { a: 'b' } }]],
    ['datatypes as text', [{ type: 'account', datatypes: 'balance' }]],
    ['privileges as true', [{ type: 'account', privileges: true }]],
    ['identifier as a list', [{ type: 'account', identifier: ['acc-1'] }]],
    ['identifier as null', [{ type: 'account', identifier: null }]],
    ['a bad one behind a good one', [PAYMENT, { type: 'payment', actions: 'initiate' }]],
  ])('refuses the token: %s', async (_, value) => {
    expect((await call(having(value))).error).toMatchObject({ code: 'claim_invalid', status: 401 })
    expect((await call({ ...SUPPORT, ...having(value) })).code).toBe('claim_invalid')
    // Where no type is known it is what it always was: a claim that nobody reads.
    expect((await call(having(value), { issuers: [oauthIssuer()] })).code).toBeNull()
  })

  it.each<[what: string, value: JsonValue | undefined, details: readonly unknown[]]>([
    ['none', undefined, []],
    ['an empty list', [], []],
    ['one', [PAYMENT], [PAYMENT]],
    ['several, in their order', [ACCOUNT, PAYMENT, ACCOUNT], [ACCOUNT, PAYMENT, ACCOUNT]],
    ['unknown types grant nothing', [UNKNOWN, PAYMENT, UNKNOWN], [PAYMENT]],
    ['an unknown type of whatever shape', [{ type: 'photo', actions: 7, identifier: [] }], []],
    ['types are exact', [{ type: 'Payment' }, { type: 'payment ' }, { type: '' }, { type: 'paymen' }], []],
    ['a type that objects have by themselves', [{ type: 'constructor' }, { type: '__proto__' }], []],
    [
      'members of its own',
      [{ ...PAYMENT, amount: { currency: 'EUR', value: 1 } }],
      [{ ...PAYMENT, amount: { currency: 'EUR', value: 1 } }],
    ],
    ['empty lists', [{ type: 'payment', actions: [] }], [{ type: 'payment', actions: [] }]],
    ['as many as are read', Array.from({ length: 64 }, () => PAYMENT), Array.from({ length: 64 }, () => PAYMENT)],
  ])('is in the context: %s', async (_, value, details) => {
    const context = (await call(having(value))).context()
    expect(context.authorizationDetails).toEqual(details)
    expect(Object.isFrozen(context.authorizationDetails)).toBe(true)
    for (const detail of context.authorizationDetails) {
      expect(Object.isFrozen(detail) && Object.isFrozen(detail.actions ?? Object.freeze([]))).toBe(true)
      expect(Object.getPrototypeOf(detail)).toBeNull()
    }
    expect(context.claims['authorization_details']).toEqual(value)
  })

  it('stands in claims as ever where no type is known, and grants nothing', async () => {
    const context = (await call(having([PAYMENT]), { issuers: [oauthIssuer()] })).context()
    expect(context.authorizationDetails).toEqual([])
    expect(context.claims['authorization_details']).toEqual([PAYMENT])
  })

  it('is told by an inspection as what it is', () => {
    const look = (value: JsonValue) =>
      inspectToken(tokenOf({ ...SUPPORT, ...having(value) }), issuers[0] ?? expect.fail(), {
        nowMilliseconds: NOW_SECONDS * 1000,
      })
    expect(look('x').refusals).toEqual([expect.objectContaining({ code: 'claim_invalid', members: ['authorization_details'] })])
    expect(look([PAYMENT]).refusals).toEqual([])
  })

  it(
    'whatever is written there, only well-formed objects of known types come through, and nothing else is refused',
    async () => {
      const word = fc.constantFrom('payment', 'account', 'photo', 'read', '')
      const list = fc.oneof(
        { weight: 5, arbitrary: fc.array(word, { maxLength: 2 }) },
        fc.constantFrom<JsonValue>('read', null, [1], {}),
      )
      const detail = fc.oneof(
        {
          weight: 9,
          arbitrary: fc.record(
            {
              type: fc.oneof({ weight: 9, arbitrary: word }, fc.constantFrom<JsonValue>(null, 1, ['payment'])),
              actions: list,
              locations: list,
              datatypes: list,
              privileges: list,
              identifier: fc.oneof({ weight: 5, arbitrary: word }, fc.constantFrom<JsonValue>(null, 1)),
            },
            { requiredKeys: ['type'] },
          ),
        },
        fc.constantFrom<JsonValue>(null, 'payment', [], {}),
      )
      const texts = (value: unknown) =>
        value === undefined || (Array.isArray(value) && value.every((each) => typeof each === 'string'))
      const verdict = (value: readonly unknown[]): 'claim_invalid' | readonly unknown[] => {
        const known: unknown[] = []
        for (const each of value) {
          if (typeof each !== 'object' || each === null || Array.isArray(each)) return 'claim_invalid'
          const { type, identifier, actions, locations, datatypes, privileges } = each as Record<string, unknown>
          if (typeof type !== 'string') return 'claim_invalid'
          if (!KNOWN.includes(type)) continue
          if (![actions, locations, datatypes, privileges].every(texts)) return 'claim_invalid'
          if (identifier !== undefined && typeof identifier !== 'string') return 'claim_invalid'
          known.push(each)
        }
        return known
      }
      const world = createWorld({ issuers })
      let n = 0
      await fc.assert(
        fc.asyncProperty(fc.array(detail, { maxLength: 3 }), async (value) => {
          const visit = await world.call({ ...having(value as JsonValue), jti: `token-${n++}` })
          const expected = verdict(JSON.parse(JSON.stringify(value)) as unknown[])
          if (expected === 'claim_invalid') expect(visit.code).toBe('claim_invalid')
          else expect(visit.context().authorizationDetails).toEqual(expected)
        }),
        { numRuns: 200 * FUZZ_FACTOR, seed: FUZZ_SEED },
      )
    },
    FUZZ_TIMEOUT,
  )
})

describe('a delegated call', () => {
  const delegated = async (rule: Partial<DelegationRule>) =>
    (await call({ ...SUPPORT, ...having([PAYMENT, ACCOUNT, UNKNOWN]) }, { delegation: [anyRule(rule)] })).delegated()

  it.each<[what: string, rule: Partial<DelegationRule>, details: readonly unknown[]]>([
    ['none, unless its rule says so', {}, []],
    ['none, whatever scopes it has', { scopes: 'all' }, []],
    ['one type', { authorizationDetails: 'payment' }, [PAYMENT]],
    ['several types', { authorizationDetails: ['account', 'payment'] }, [PAYMENT, ACCOUNT]],
    ['all that are known', { authorizationDetails: 'all' }, [PAYMENT, ACCOUNT]],
  ])('has %s', async (_, rule, details) => {
    const context = await delegated(rule)
    expect(context.authorizationDetails).toEqual(details)
    expect(Object.isFrozen(context.authorizationDetails)).toBe(true)
    expect(context.claims['authorization_details']).toBeUndefined()
    expect(context.unnarrowed['authorization_details']).toEqual([PAYMENT, ACCOUNT, UNKNOWN])
  })

  it('has those of its token before a rule: from verify(), and where report mode lets it through', async () => {
    const claims = { ...SUPPORT, ...having([PAYMENT]) }
    expect((await createWorld({ issuers }).server.verify(tokenOf(claims))).authorizationDetails).toEqual([PAYMENT])
    const visit = await call(claims, { mode: 'report', delegation: [] })
    expect(visit.context()).toMatchObject({ wouldRefuse: 'actor_unauthorized', authorizationDetails: [PAYMENT] })
  })
})

describe('a requirement', () => {
  const TWO = [
    { type: 'payment', actions: ['initiate'], locations: ['https://a.test'] },
    { type: 'payment', actions: ['status'], locations: ['https://b.test'] },
  ]
  const outcome = async (asked: Requirement['authorizationDetails'], details: JsonValue | undefined) => {
    const visit = await call(having(details))
    return (await visit.guard({ authorizationDetails: asked as NonNullable<typeof asked> }))?.code ?? 'admitted'
  }

  it.each<[what: string, asked: Requirement['authorizationDetails'], details: JsonValue | undefined, outcome: string]>([
    ['a type', { type: 'payment' }, [PAYMENT], 'admitted'],
    ['another type', { type: 'account' }, [PAYMENT], 'requirement_failed'],
    ['no details', { type: 'payment' }, undefined, 'requirement_failed'],
    ['an empty list', { type: 'payment' }, [], 'requirement_failed'],
    ['one action', { type: 'payment', actions: 'initiate' }, [PAYMENT], 'admitted'],
    ['all of several actions', { type: 'payment', actions: ['status', 'initiate'] }, [PAYMENT], 'admitted'],
    ['all but one', { type: 'payment', actions: ['status', 'cancel'] }, [PAYMENT], 'requirement_failed'],
    ['an action that is not said', { type: 'payment', actions: 'initiate' }, [{ type: 'payment' }], 'requirement_failed'],
    ['a part of a word', { type: 'payment', actions: 'init' }, [PAYMENT], 'requirement_failed'],
    ['a location', { type: 'payment', locations: 'https://api.example.test/payments' }, [PAYMENT], 'admitted'],
    [
      'a location below it',
      { type: 'payment', locations: 'https://api.example.test/payments/1' },
      [PAYMENT],
      'requirement_failed',
    ],
    ['an identifier', { type: 'account', identifier: 'acc-1' }, [ACCOUNT], 'admitted'],
    ['another identifier', { type: 'account', identifier: 'acc-2' }, [ACCOUNT], 'requirement_failed'],
    ['an identifier that is not said', { type: 'payment', identifier: 'acc-1' }, [PAYMENT], 'requirement_failed'],
    ['datatypes', { type: 'account', datatypes: 'balance' }, [ACCOUNT], 'admitted'],
    ['other datatypes', { type: 'account', datatypes: ['balance', 'history'] }, [ACCOUNT], 'requirement_failed'],
    ['privileges', { type: 'account', privileges: 'reader' }, [ACCOUNT], 'admitted'],
    ['other privileges', { type: 'account', privileges: 'owner' }, [ACCOUNT], 'requirement_failed'],
    ['in one and the same object', { type: 'payment', actions: 'initiate', locations: 'https://a.test' }, TWO, 'admitted'],
    ['not put together of two', { type: 'payment', actions: 'initiate', locations: 'https://b.test' }, TWO, 'requirement_failed'],
    ['not put together of two lists', { type: 'payment', actions: ['initiate', 'status'] }, TWO, 'requirement_failed'],
    [
      'the action of another type',
      { type: 'payment', actions: 'read' },
      [PAYMENT, { type: 'account', actions: ['read'] }],
      'requirement_failed',
    ],
    ['several objects', [{ type: 'payment' }, { type: 'account' }], [ACCOUNT, PAYMENT], 'admitted'],
    ['one of several objects', [{ type: 'payment' }, { type: 'account' }], [ACCOUNT], 'requirement_failed'],
  ])('%s', async (_, asked, details, expected) => {
    expect(await outcome(asked, details)).toBe(expected)
  })

  it('of a type that no issuer knows is a mistake, in a guard and in a rule', async () => {
    const mistake = expect.objectContaining({ name: 'ConfigError', message: expect.stringContaining('"photo"') })
    const visit = await call({})
    await expect(visit.guard({ authorizationDetails: { type: 'photo' } })).rejects.toEqual(mistake)
    const delegation = [anyRule({ authorizationDetails: 'photo' })]
    expect(() => createWorld({ issuers, delegation })).toThrow(mistake)
    // Where the application is asked for its issuers, nobody knows what they know.
    expect(() => createWorld({ issuers: () => null, delegation })).not.toThrow()
  })

  it('has no challenge: signing in again would not help', async () => {
    const visit = await call({})
    expect(await visit.guard({ authorizationDetails: { type: 'payment' } })).toMatchObject({ status: 403, challenge: null })
  })

  const asked: Requirement = { authorizationDetails: [{ type: 'payment', actions: 'initiate' }] }
  const claims = { ...SUPPORT, ...having([PAYMENT]) }

  it('of a delegated call: what its rule leaves counts', async () => {
    const judged = async (rule: Partial<DelegationRule>, of: Claims = claims) =>
      (await (await call(of, { delegation: [anyRule(rule)] })).guard(asked))?.code ?? 'admitted'
    expect(await judged({ authorizationDetails: 'payment' })).toBe('admitted')
    expect(await judged({ authorizationDetails: 'all' })).toBe('admitted')
    expect(await judged({})).toBe('scope_not_delegated')
    expect(await judged({ authorizationDetails: 'account' })).toBe('scope_not_delegated')
    expect(await judged({}, SUPPORT)).toBe('requirement_failed')
    const both: Requirement = { authorizationDetails: [{ type: 'payment' }, { type: 'account' }] }
    const partly = await call(claims) // the token has one of the two, the rule leaves none
    expect((await partly.guard(both))?.code).toBe('requirement_failed')
    expect(await judged({ authorizationDetails: 'all' }, { ...SUPPORT, ...having([ACCOUNT]) })).toBe('requirement_failed')
    expect(await judged({ authorizationDetails: 'account' }, { ...SUPPORT, ...having([ACCOUNT]) })).toBe('requirement_failed')
  })

  it('in report mode: what a rule did not leave is recorded, and left', async () => {
    const world = createWorld({ issuers, mode: 'report', delegation: [anyRule({ scopes: 'orders:read' })] })
    const visit = await world.call(claims)
    expect(visit.context().authorizationDetails).toEqual([])
    expect(await visit.guard(asked)).toBeNull()
    expect(visit.context()).toMatchObject({ wouldRefuse: 'scope_not_delegated', authorizationDetails: [PAYMENT] })
    expect(world.sink.events.at(-1)).toMatchObject({ decision: 'would_refuse', reason: 'scope_not_delegated', rule: 'any' })
    const none = await world.call({ ...SUPPORT, jti: 'none' })
    expect((await none.guard(asked))?.code).toBe('requirement_failed')
  })

  it('comes after claims and before scopes', async () => {
    const visit = await call(having([PAYMENT]))
    const missing: Requirement = { authorizationDetails: { type: 'account' }, scopes: 'admin' }
    expect((await visit.guard(missing))?.code).toBe('requirement_failed')
    expect((await visit.guard({ ...asked, scopes: 'admin' }))?.code).toBe('scope_insufficient')
  })
})

describe('mistakes', () => {
  it.each<[what: string, asked: unknown, message: RegExp]>([
    ['no type', { actions: 'read' }, /^guard\(\)\.authorizationDetails\.type must be a non-empty string$/],
    ['an empty list', [], /^guard\(\)\.authorizationDetails must be a non-empty list$/],
    ['a text', 'payment', /^guard\(\)\.authorizationDetails must be an object such as \{ type: "payment" \}$/],
    ['a text in a list', ['payment'], /^guard\(\)\.authorizationDetails\[0\] must be an object such as \{ type: "payment" \}$/],
    [
      'an unknown member',
      { type: 'payment', action: 'read' },
      /^guard\(\)\.authorizationDetails has an unknown member "action": it knows type, identifier, [\w, ]+; compare other members in check, with context\.authorizationDetails$/,
    ],
    [
      'an undefined member',
      [{ type: 'payment', actions: undefined }],
      /^guard\(\)\.authorizationDetails\[0\]\.actions is undefined/,
    ],
    ['empty actions', { type: 'payment', actions: [] }, /authorizationDetails\.actions must be a non-empty list/],
    [
      'several identifiers',
      { type: 'payment', identifier: ['a'] },
      /authorizationDetails\.identifier must be a non-empty string/,
    ],
  ])('of a requirement: %s', (_, asked, message) => {
    const make = () => createWorld({ issuers }).server.guard({ authorizationDetails: asked } as Requirement)
    expect(make).toThrow(ConfigError)
    expect(make).toThrow(message)
  })

  it.each<[what: string, value: unknown, message: RegExp]>([
    ['an empty list', [], /authorizationDetails must be a non-empty list/],
    ['a text', 'payment', /authorizationDetails must be a non-empty list/],
    ['an empty type', [''], /authorizationDetails\[0\] must be a non-empty string/],
    ['a type twice', ['a', 'a'], /authorizationDetails names something twice/],
    ['undefined', undefined, /authorizationDetails is undefined/],
  ])('of an issuer: %s', (_, value, message) => {
    expect(() => createWorld({ issuers: [{ ...oauthIssuer(), authorizationDetails: value as never }] })).toThrow(message)
  })

  it.each<[what: string, value: unknown, message: RegExp]>([
    ['an empty list', [], /^delegation\[0\]\.authorizationDetails must be a non-empty list$/],
    ['true', true, /^delegation\[0\]\.authorizationDetails must be a non-empty string$/],
  ])('of a rule: %s', (_, value, message) => {
    expect(() => createWorld({ issuers, delegation: [anyRule({ authorizationDetails: value as never })] })).toThrow(message)
  })

  const known = (detailTypes: KnownIssuers['detailTypes']): KnownIssuers => ({
    ...{ names: new Set([ISSUER]), several: false, scopesAreWords: true, offersDpop: false },
    ...(detailTypes !== undefined && { detailTypes }),
  })

  it('a type that no issuer knows, where it is known which they know', () => {
    const rule = (value: unknown, types: KnownIssuers['detailTypes']) =>
      compileRules([anyRule({ authorizationDetails: value as string })], known(types))
    const guard = (type: string, types: KnownIssuers['detailTypes']) =>
      compileRequirement({ authorizationDetails: { type } }, { knownIssuers: known(types), loginCanCount: true })
    for (const make of [() => rule(['payment', 'photo'], new Set(KNOWN)), () => guard('photo', new Set(KNOWN))]) {
      expect(make).toThrow(/names a type that no issuer knows: "photo"; add it to an issuer's authorizationDetails$/)
    }
    for (const types of [new Set(KNOWN), null, undefined]) {
      expect(() => rule('payment', types)).not.toThrow()
      expect(() => rule('all', types)).not.toThrow()
      expect(() => guard('account', types)).not.toThrow()
    }
    expect(() => guard('photo', null)).not.toThrow()
    expect(() => guard('payment', new Set())).toThrow(/no issuer knows/)
  })
})
