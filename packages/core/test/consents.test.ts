import {
  type AuditEvent,
  type AuthContext,
  DEFAULT_LIMITS,
  type DelegatedContext,
  type DelegationRule,
  type JsonValue,
  type ResourceServerOptions,
} from '@behalf/core'
import { memorySink } from '@behalf/testing'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { deferred } from '../../../test/support/deferred.js'
import { FUZZ_FACTOR, FUZZ_SEED, FUZZ_TIMEOUT } from '../../../test/support/fuzz-settings.js'
import {
  AUDIENCE,
  anyRule,
  createWorld,
  HeldResponse,
  NOW_SECONDS,
  oauthIssuer,
  requestView,
  settle,
  tokenOf,
} from './support/harness.js'

type Claims = Readonly<Record<string, JsonValue | undefined>>

const SUPPORT: Claims = { act: { sub: 'support-1' } }

/** About the shape of an answer. */
let warnings: unknown[][] = []
beforeEach(() => {
  warnings = []
  vi.spyOn(process, 'emitWarning').mockImplementation((...args: unknown[]) => {
    if ((args[1] as { code?: string }).code === 'BEHALF_WHEN_ANSWER') warnings.push(args)
  })
})
afterEach(() => {
  vi.restoreAllMocks()
})

/** What a rule whose `when` answers so makes of a call. */
async function answered(answer: unknown, more: Partial<DelegationRule> = {}) {
  const when = (() => answer) as unknown as NonNullable<DelegationRule['when']>
  const world = createWorld({ delegation: [anyRule({ when, ...more })] })
  const visit = await world.call(SUPPORT)
  return { world, visit, code: visit.code }
}

describe('an answer that is an object', () => {
  const CLASS = new (class {
    allow = true
    consentId = 'c'
  })()
  const throwing = Object.defineProperty({ allow: true }, 'ticket', {
    enumerable: true,
    get() {
      throw new Error('the store says: secret')
    },
  })
  const hidden = Object.defineProperty({ consentId: 'c' }, 'allow', { value: true, enumerable: false })

  it.each<[what: string, answer: unknown, code: string | null]>([
    ['allow: true', { allow: true }, null],
    ['allow: true, without a prototype', Object.assign(Object.create(null), { allow: true }), null],
    ['an object of a class', CLASS, null],
    ['all members', { allow: true, consentId: 'c', expiresAt: NOW_SECONDS + 1, ticket: 't', reason: 'r' }, null],
    ['all members, null', { allow: true, consentId: null, expiresAt: null, ticket: null, reason: null }, null],
    ['allow: false', { allow: false }, 'actor_unauthorized'],
    ['allow: false with a consent', { allow: false, consentId: 'c' }, 'actor_unauthorized'],
    ['no allow', { consentId: 'c' }, 'actor_unauthorized'],
    ['an inherited allow', Object.create({ allow: true }), 'actor_unauthorized'],
    [
      'an inherited allow beside own members',
      Object.assign(Object.create({ allow: true }), { ticket: 't' }),
      'actor_unauthorized',
    ],
    ['a list', [true], 'actor_unauthorized'],
    ['a function with allow', Object.assign(() => true, { allow: true }), 'actor_unauthorized'],
    ['allow: 1', { allow: 1 }, 'rule_unavailable'],
    ["allow: 'true'", { allow: 'true' }, 'rule_unavailable'],
    ['allow: null', { allow: null }, 'rule_unavailable'],
    ['allow: undefined', { allow: undefined }, 'rule_unavailable'],
    ['allow: a promise of true', { allow: Promise.resolve(true) }, 'rule_unavailable'],
    ['a Boolean object', { allow: Object(true) }, 'rule_unavailable'],
    ['an allow that is not enumerable', hidden, 'rule_unavailable'],
    ['a list with allow', Object.assign([], { allow: true }), 'rule_unavailable'],
    ['an unknown member', { allow: true, consent: 'c' }, 'rule_unavailable'],
    ['an unknown member beside a no', { allow: false, consent: 'c' }, 'rule_unavailable'],
    [
      'a member then',
      Object.fromEntries([
        ['allow', true],
        ['then', () => {}],
      ]),
      'rule_unavailable',
    ],
    ['a member __proto__', JSON.parse('{"allow":true,"__proto__":{}}'), 'rule_unavailable'],
    ['undefined consentId', { allow: true, consentId: undefined }, 'rule_unavailable'],
    ['empty consentId', { allow: true, consentId: '' }, 'rule_unavailable'],
    ['consentId as a number', { allow: true, consentId: 7 }, 'rule_unavailable'],
    ['a line break in consentId', { allow: true, consentId: 'a\nb' }, 'rule_unavailable'],
    ['a space at the end of consentId', { allow: true, consentId: 'a ' }, 'rule_unavailable'],
    ['a long consentId', { allow: true, consentId: 'c'.repeat(1025) }, 'rule_unavailable'],
    ['the longest consentId', { allow: true, consentId: 'c'.repeat(1024) }, null],
    ['empty ticket', { allow: true, ticket: '' }, 'rule_unavailable'],
    ['a control character in ticket', { allow: true, ticket: 'a\u0000b' }, 'rule_unavailable'],
    ['ticket as a list', { allow: true, ticket: ['t'] }, 'rule_unavailable'],
    ['empty reason', { allow: true, reason: '' }, 'rule_unavailable'],
    ['a reason that turns its direction', { allow: true, reason: 'a\u202eb' }, 'rule_unavailable'],
    ['a reason of two lines', { allow: true, reason: 'a\u2028b' }, 'rule_unavailable'],
    ['a long reason', { allow: true, reason: 'r'.repeat(1025) }, 'rule_unavailable'],
    ['expiresAt as a text', { allow: true, expiresAt: `${NOW_SECONDS + 60}` }, 'rule_unavailable'],
    ['expiresAt as a Date', { allow: true, expiresAt: new Date((NOW_SECONDS + 60) * 1000) }, 'rule_unavailable'],
    ['expiresAt in milliseconds', { allow: true, expiresAt: (NOW_SECONDS + 60) * 1000 }, 'rule_unavailable'],
    ['expiresAt NaN', { allow: true, expiresAt: Number.NaN }, 'rule_unavailable'],
    ['expiresAt Infinity', { allow: true, expiresAt: Number.POSITIVE_INFINITY }, 'rule_unavailable'],
    ['expiresAt -1', { allow: true, expiresAt: -1 }, 'rule_unavailable'],
    ['a member that throws', throwing, 'rule_unavailable'],
    [
      'a proxy that throws',
      new Proxy(
        { allow: true },
        {
          ownKeys() {
            throw new Error('no')
          },
        },
      ),
      'rule_unavailable',
    ],
  ])('%s', async (_, answer, code) => {
    expect((await answered(answer)).code).toBe(code)
    const late = createWorld({ delegation: [anyRule({ when: (async () => answer) as never })] })
    // A function, or an object that says `allow` in a way of its own, is no promise either way.
    expect((await late.call(SUPPORT)).code).toBe(code)
  })

  it('reads a member once: what a getter says later does not count', async () => {
    let reads = 0
    const answer = Object.defineProperty({}, 'allow', { enumerable: true, get: () => reads++ === 0 })
    expect((await answered(answer)).code).toBeNull()
    expect(reads).toBe(1)
  })

  it('keeps to the limits of the server', async () => {
    const limited = (characters: number) =>
      createWorld({
        delegation: [anyRule({ when: () => ({ allow: true, consentId: 'c'.repeat(characters) }) })],
        limits: { identifierCharacters: 64 },
      }).call(SUPPORT)
    expect((await limited(64)).code).toBeNull()
    expect((await limited(65)).code).toBe('rule_unavailable')
  })

  it(
    'never admits unless its own allow is true, its shape is right and its end has not come',
    async () => {
      const text = fc.oneof(
        fc.constantFrom<unknown>('ok', 'two words', '', ' ', 'a\n', '\u200b', '\ud800', 'x'.repeat(1025), null, undefined, 7, {}),
        fc.string({ unit: 'binary', maxLength: 4 }),
      )
      const time = fc.oneof(
        fc.constantFrom<unknown>(
          null,
          undefined,
          NOW_SECONDS,
          NOW_SECONDS + 0.5,
          NOW_SECONDS - 0.5,
          '1',
          Number.NaN,
          1e11,
          1e11 + 1,
        ),
        fc.double(),
      )
      const arbitraryAnswer = fc.record(
        {
          allow: fc.constantFrom<unknown>(true, true, true, false, 1, 'true', null, undefined, {}),
          consentId: text,
          ticket: text,
          reason: text,
          expiresAt: time,
          more: fc.constant(1),
        },
        { requiredKeys: [] },
      )
      const CLEAN = /^(?! )(?:[^\p{Cc}\p{Cf}\p{Cs}\p{Z}]| )+(?<! )$/u
      const isClean = (value: unknown) => typeof value === 'string' && value.length <= 1024 && CLEAN.test(value)
      /** Written anew from the contract. */
      const verdict = (answer: Readonly<Record<string, unknown>>): string | null => {
        if (!Object.hasOwn(answer, 'allow')) return 'actor_unauthorized'
        for (const [name, value] of Object.entries(answer)) {
          if (name === 'more') return 'rule_unavailable'
          if (name === 'allow' && value !== true && value !== false) return 'rule_unavailable'
          if (['consentId', 'ticket', 'reason'].includes(name) && value !== null && !isClean(value)) return 'rule_unavailable'
          if (name === 'expiresAt' && value !== null && !(Number.isFinite(value) && Number(value) >= 0 && Number(value) <= 1e11))
            return 'rule_unavailable'
        }
        const { allow, expiresAt } = answer
        return allow === true && (typeof expiresAt !== 'number' || expiresAt > NOW_SECONDS) ? null : 'actor_unauthorized'
      }
      let answer: unknown = null
      const world = createWorld({ delegation: [anyRule({ when: () => answer as never })] })
      const token = tokenOf(SUPPORT)
      await fc.assert(
        fc.asyncProperty(arbitraryAnswer, async (drawn) => {
          answer = drawn
          expect((await world.call(token)).code).toBe(verdict(drawn))
        }),
        { numRuns: 400 * FUZZ_FACTOR, seed: FUZZ_SEED },
      )
    },
    FUZZ_TIMEOUT,
  )

  it('that is misshapen is told to the developer, once for each rule, by the rule’s name alone', async () => {
    const when = () => ({ allow: true, consentId: 'secret\n', secret: 1 }) as never
    const world = createWorld({
      delegation: [anyRule({ id: 'one', actor: { id: 'a' }, when }), anyRule({ id: 'two', when })],
    })
    for (const sub of ['a', 'a', 'b']) expect((await world.call({ act: { sub } })).code).toBe('rule_unavailable')
    expect(warnings).toEqual([
      [expect.stringContaining('"one"'), { code: 'BEHALF_WHEN_ANSWER' }],
      [expect.stringContaining('"two"'), { code: 'BEHALF_WHEN_ANSWER' }],
    ])
    expect(JSON.stringify(warnings)).not.toContain('secret')
  })

  it.each<[what: string, answer: object, fault: string]>([
    [
      'a time in milliseconds',
      { allow: true, expiresAt: NOW_SECONDS * 1000 },
      'expiresAt must be seconds since the epoch, as exp is, or null',
    ],
    [
      'a time in words',
      { allow: true, expiresAt: '2026-01-01' },
      'expiresAt must be seconds since the epoch, as exp is, or null',
    ],
    [
      'another spelling',
      { allow: true, consentID: 'c' },
      'it has a member that is none of allow, consentId, expiresAt, ticket and reason',
    ],
    ['a number for allow', { allow: 1 }, 'allow must be true or false'],
    [
      'a line too many',
      { allow: true, ticket: 'a\nb' },
      `ticket must be one clean line of at most ${DEFAULT_LIMITS.identifierCharacters} characters, or null`,
    ],
    ['a list', Object.assign([], { allow: true }), 'it is a list'],
  ])('that is misshapen is told with what is wrong: %s', async (_, answer, fault) => {
    expect((await answered(answer)).code).toBe('rule_unavailable')
    expect(warnings[0]?.[0]).toContain(`of a wrong shape: ${fault} (`)
  })

  it('that is a plain no, or no answer at all, has no shape to speak of', async () => {
    for (const answer of [false, { allow: false, consentId: 'c' }, {}, null]) await answered(answer)
    await createWorld({ delegation: [anyRule({ when: () => Promise.reject(new Error('x')) })] }).call(SUPPORT)
    expect(warnings).toEqual([])
  })
})

describe('nothing is waited for where nothing has to be', () => {
  const until = { allow: true, consentId: 'c', expiresAt: NOW_SECONDS + 60 }

  it.each<[what: string, answer: () => unknown, atOnce: boolean]>([
    ['true', () => true, true],
    ['an object', () => until, true],
    ['a promise', async () => until, false],
  ])('an answer that is %s', async (_, when, atOnce) => {
    const { server } = createWorld({ delegation: [anyRule({ when: when as never, whenCache: true })] })
    const token = tokenOf(SUPPORT)
    const admit = () => server.authenticate()({ key: {}, request: requestView(token), response: new HeldResponse() })
    await admit() // the token is remembered from here on
    const passage = admit()
    expect(passage instanceof Promise).toBe(false) // of a promise, what it came to is kept
    expect(await passage).toBe('go_on')
    const asked = createWorld({ delegation: [anyRule({ when: when as never })] })
    await asked.call(token)
    const again = asked.server.authenticate()({ key: {}, request: requestView(token), response: new HeldResponse() })
    expect(again instanceof Promise).toBe(!atOnce)
    expect(await again).toBe('go_on')
  })
})

describe('a consent', () => {
  const CONSENT = { consentId: 'consent-1', expiresAt: NOW_SECONDS + 60, ticket: 'CASE-7', reason: 'asked by phone' }

  it('stands in the context, frozen, with null for what is not said', async () => {
    const { visit } = await answered({ allow: true, ...CONSENT })
    expect(visit.context().consent).toEqual(CONSENT)
    expect(Object.isFrozen(visit.context().consent)).toBe(true)
    expect(Object.isFrozen(visit.context())).toBe(true)
    const some = await answered({ allow: true, ticket: 'CASE-7' })
    expect(some.visit.context().consent).toEqual({ consentId: null, expiresAt: null, ticket: 'CASE-7', reason: null })
    expect(visit.context()).toMatchObject({ rule: 'any', scopes: ['orders:read', 'orders:write'], kind: 'delegation' })
  })

  it.each<[string, unknown]>([
    ['true', true],
    ['allow alone', { allow: true }],
    ['nothing but null', { allow: true, consentId: null, expiresAt: null, ticket: null, reason: null }],
  ])('is null where nothing is told: %s', async (_, answer) => {
    const { world, visit } = await answered(answer)
    expect(visit.context().consent).toBeNull()
    expect(world.sink.events[0]?.consent).toBeNull()
  })

  it('is null for a direct call, for a rule without when, and before when is asked', async () => {
    const seen: AuthContext[] = []
    const world = createWorld({
      delegation: [
        anyRule({ id: 'plain', actor: { id: 'plain' } }),
        anyRule({
          when(context: DelegatedContext) {
            seen.push(context)
            return { allow: true, ...CONSENT }
          },
        }),
      ],
    })
    expect((await world.call({})).context().consent).toBeNull()
    expect((await world.call({ act: { sub: 'plain' } })).context().consent).toBeNull()
    expect((await world.call(SUPPORT)).context().consent).toEqual(CONSENT)
    expect((await world.server.verify(tokenOf(SUPPORT))).consent).toBeNull()
    expect(seen.map(({ consent }) => consent)).toEqual([null])
  })

  it.each([
    ['an hour before', 3600, null],
    ['half a second before', 0.5, null],
    ['at its end', 0, 'actor_unauthorized'],
    ['after it', -1, 'actor_unauthorized'],
    ['at the beginning of time', -NOW_SECONDS, 'actor_unauthorized'],
  ])('admits until its end: %s', async (_, left, code) => {
    const { visit, world } = await answered({ allow: true, consentId: 'c', expiresAt: NOW_SECONDS + left })
    expect(visit.code).toBe(code)
    expect(world.sink.events[0]).toMatchObject({ consent: { consentId: 'c', expiresAt: NOW_SECONDS + left } })
  })

  it('is judged when it is answered, not when it was asked for', async () => {
    const answer = deferred<{ allow: boolean; expiresAt: number }>()
    const world = createWorld({ delegation: [anyRule({ when: () => answer.promise })] })
    const call = world.call(SUPPORT)
    await settle()
    world.now += 60_000
    answer.resolve({ allow: true, expiresAt: NOW_SECONDS + 60 })
    expect((await call).code).toBe('actor_unauthorized')
  })

  it('is recorded with every event of the call', async () => {
    const sink = memorySink()
    const rule = anyRule({ when: () => ({ allow: true, ...CONSENT }) })
    const world = createWorld({ delegation: [rule], audit: { sinks: [sink] } })
    const visit = await world.call(SUPPORT)
    expect((await visit.guard({ kind: 'direct' }))?.code).toBe('delegation_forbidden')
    visit.response.end(403)
    await settle()
    expect(sink.events.map(({ type, stage, consent }) => [type, stage, consent])).toEqual([
      ['access.decision', 'rules', CONSENT],
      ['access.decision', 'requirement', CONSENT],
      ['access.outcome', 'response', CONSENT],
    ])
    for (const { consent } of sink.events) expect(Object.isFrozen(consent)).toBe(true)
  })

  it('is recorded where it refuses: which consent was withdrawn', async () => {
    const { world, code } = await answered({ allow: false, consentId: 'consent-1', reason: 'withdrawn by the customer' })
    expect(code).toBe('actor_unauthorized')
    expect(world.sink.events[0]).toMatchObject({
      ...{ decision: 'refuse', reason: 'actor_unauthorized', rule: 'any' },
      consent: { consentId: 'consent-1', expiresAt: null, ticket: null, reason: 'withdrawn by the customer' },
    })
  })

  it('is recorded with its ids whole and its reason capped', async () => {
    const long = (letter: string) => letter.repeat(1000)
    const { world, visit } = await answered({ allow: true, consentId: long('c'), ticket: long('t'), reason: long('r') })
    expect(visit.context().consent?.reason).toHaveLength(1000)
    expect(world.sink.events[0]?.consent).toEqual({
      ...{ consentId: long('c'), ticket: long('t'), reason: 'r'.repeat(256), expiresAt: null },
    })
  })

  it('makes no caller known under another’s scopes: events of one token differ in the consent alone', async () => {
    let n = 0
    const rules = [anyRule({ scopes: 'orders:read', when: () => ({ allow: true, consentId: `consent-${++n}` }) })]
    const world = createWorld({ delegation: rules })
    const token = tokenOf(SUPPORT)
    for (let call = 0; call < 3; call++) await world.call(token)
    expect(world.sink.events.map(({ consent }) => consent?.consentId)).toEqual(['consent-1', 'consent-2', 'consent-3'])
    expect(new Set(world.sink.events.map(({ scopes }) => scopes)).size).toBe(1) // made once for the token
    expect(world.sink.events[0]?.scopes).toEqual({ token: ['orders:read', 'orders:write'], effective: ['orders:read'] })
  })

  it('in report mode: a no is recorded with what it told, and gives no consent to the handler', async () => {
    const world = createWorld({
      mode: 'report',
      delegation: [anyRule({ when: () => ({ allow: false, consentId: 'consent-1' }) })],
    })
    const visit = await world.call(SUPPORT)
    expect(visit.code).toBeNull()
    expect(visit.context()).toMatchObject({ rule: null, wouldRefuse: 'actor_unauthorized', consent: null })
    visit.response.end(200)
    await settle()
    const told = ({ decision, consent }: AuditEvent) => [decision, consent?.consentId]
    expect(world.sink.events.map(told)).toEqual([
      ['would_refuse', 'consent-1'],
      ['would_refuse', 'consent-1'],
    ])
  })

  it('in report mode: stays with a call that a guard relaxes', async () => {
    const rule = anyRule({ scopes: 'orders:read', when: () => ({ allow: true, consentId: 'consent-1' }) })
    const world = createWorld({ mode: 'report', delegation: [rule] })
    const visit = await world.call(SUPPORT)
    expect(await visit.guard({ scopes: 'orders:write' })).toBeNull()
    expect(visit.context()).toMatchObject({ rule: null, wouldRefuse: 'scope_not_delegated', consent: { consentId: 'consent-1' } })
    expect(world.sink.events.map(({ consent }) => consent?.consentId)).toEqual(['consent-1', 'consent-1'])
  })

  it('is nothing that a check can tell: an object is no yes there', async () => {
    const visit = await createWorld().call({})
    expect((await visit.guard({ check: (() => ({ allow: true })) as never }))?.code).toBe('requirement_failed')
    expect(await visit.guard({ check: () => true })).toBeNull()
  })
})

describe('whenCache', () => {
  const asking = (answer: () => unknown, more: Partial<DelegationRule> = {}) => {
    const when = vi.fn(answer as NonNullable<DelegationRule['when']>)
    return { when, world: createWorld({ delegation: [anyRule({ when, whenCache: true, ...more })] }) }
  }
  const until = (seconds: number, consentId = 'c') => ({ allow: true, consentId, expiresAt: NOW_SECONDS + seconds })

  it('uses an answer again for the same token until it ends, and not a moment longer', async () => {
    const { when, world } = asking(() => until(60))
    const token = tokenOf(SUPPORT)
    const call = async (seconds: number) => {
      world.now = (NOW_SECONDS + seconds) * 1000
      return (await world.call(token)).code
    }
    for (const seconds of [0, 1, 59, 59.999]) expect(await call(seconds)).toBeNull()
    expect(when).toHaveBeenCalledTimes(1)
    expect(await call(60)).toBe('actor_unauthorized')
    expect(when).toHaveBeenCalledTimes(2)
    expect(await call(59)).toBeNull() // a no is not remembered, nor is the answer before it
    expect(when).toHaveBeenCalledTimes(3)
  })

  it('gives and records the same consent, in the same context', async () => {
    const { world } = asking(() => until(60, 'consent-1'))
    const token = tokenOf(SUPPORT)
    const contexts = [(await world.call(token)).context(), (await world.call(token)).context()]
    expect(contexts[0]).toMatchObject({ consent: { consentId: 'consent-1' }, rule: 'any' })
    expect(contexts[1]).toBe(contexts[0])
    expect(world.sink.events.map(({ consent }) => consent?.consentId)).toEqual(['consent-1', 'consent-1'])
  })

  it('is asked for: without it every request asks', async () => {
    const { when, world } = asking(() => until(60), { whenCache: false })
    const token = tokenOf(SUPPORT)
    for (let n = 0; n < 3; n++) await world.call(token)
    expect(when).toHaveBeenCalledTimes(3)
  })

  it.each<[string, () => unknown]>([
    ['true', () => true],
    ['allow alone', () => ({ allow: true })],
    ['a consent without an end', () => ({ allow: true, consentId: 'c' })],
    ['a consent whose end is null', () => ({ allow: true, consentId: 'c', expiresAt: null })],
    ['a no', () => ({ ...until(60), allow: false })],
    ['a plain no', () => false],
    ['a mistake', () => ({ ...until(60), more: 1 })],
    ['a failure', () => Promise.reject(new Error('x'))],
  ])('does not keep %s', async (_, answer) => {
    const { when, world } = asking(answer)
    const token = tokenOf(SUPPORT)
    for (let n = 0; n < 3; n++) await world.call(token)
    expect(when).toHaveBeenCalledTimes(3)
  })

  it('keeps an answer for one token alone, also of the same actor and subject', async () => {
    const { when, world } = asking(() => until(60))
    await world.call({ ...SUPPORT, jti: 'one' })
    await world.call({ ...SUPPORT, jti: 'two' })
    expect(when).toHaveBeenCalledTimes(2)
  })

  it('keeps nothing where tokens are not remembered', async () => {
    const when = vi.fn(() => until(60))
    const world = createWorld({ delegation: [anyRule({ when, whenCache: true })], cache: false })
    const token = tokenOf(SUPPORT)
    for (let n = 0; n < 2; n++) expect((await world.call(token)).code).toBeNull()
    expect(when).toHaveBeenCalledTimes(2)
  })

  it('asks the other limits all the same', async () => {
    const { when, world } = asking(() => until(60), { methods: ['GET'] })
    const token = tokenOf(SUPPORT)
    expect((await world.call(token)).code).toBeNull()
    expect((await world.call(token, { method: 'POST', wireMethod: 'POST' })).code).toBe('method_not_delegated')
    expect(when).toHaveBeenCalledTimes(1)
  })

  it('does not keep a yes that was asked for before a no', async () => {
    const first = deferred<unknown>()
    const answers = [() => true, () => first.promise, () => false, () => until(60, 'third')]
    const { when, world } = asking(() => answers.shift()?.())
    const token = tokenOf(SUPPORT)
    await world.call(token) // from here on the token is remembered, and the calls share what is known of it
    const slow = world.call(token)
    expect((await world.call(token)).code).toBe('actor_unauthorized') // withdrawn meanwhile
    first.resolve(until(60, 'first'))
    expect((await slow).code).toBeNull() // its own answer
    expect((await world.call(token)).context().consent?.consentId).toBe('third')
    expect((await world.call(token)).context().consent?.consentId).toBe('third')
    expect(when).toHaveBeenCalledTimes(4)
  })

  const OPAQUE: Partial<ResourceServerOptions> = {
    issuers: [
      oauthIssuer({
        introspection: {
          endpoint: 'https://as.example.test/introspect',
          clientId: 'api-1',
          authentication: { method: 'client_secret_basic', clientSecret: 'a secret of tests' },
        },
      }),
    ],
    fetch: async () =>
      Response.json({ active: true, token_type: 'Bearer', sub: 'user-1', aud: AUDIENCE, exp: NOW_SECONDS + 600, ...SUPPORT }),
  }

  it.each<[string, string, Partial<ResourceServerOptions>]>([
    ['proved', tokenOf(SUPPORT), {}],
    ['asked about', 'opaque', OPAQUE],
  ])('nor where the token was %s twice at once: what is known of it is one and the same', async (_what, token, options) => {
    const both = deferred()
    const [first, second] = [deferred<unknown>(), deferred<unknown>()]
    const answers = [first.promise, second.promise, until(60, 'third')]
    const when = vi.fn(() => {
      if (answers.length === 2) both.resolve()
      return answers.shift() as never
    })
    const world = createWorld({ ...options, delegation: [anyRule({ when, whenCache: true })] })
    const calls = [world.call(token), world.call(token)]
    await both.promise
    first.resolve(false)
    const codes = [(await calls[0])?.code]
    second.resolve(until(60, 'second'))
    codes.push((await calls[1])?.code)
    expect(codes).toEqual(['actor_unauthorized', null])
    expect((await world.call(token)).context().consent?.consentId).toBe('third')
    expect(when).toHaveBeenCalledTimes(3)
  })

  it('does not keep an answer that came too late', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    try {
      const asked = deferred()
      const first = deferred<unknown>()
      const answers = [() => first.promise, () => until(60, 'second')]
      const { when, world } = asking(() => {
        asked.resolve()
        return answers.shift()?.()
      })
      const token = tokenOf(SUPPORT)
      const call = world.call(token)
      await asked.promise
      await vi.advanceTimersByTimeAsync(1000)
      expect((await call).code).toBe('rule_unavailable')
      first.resolve(until(60, 'first'))
      await settle()
      expect((await world.call(token)).context().consent?.consentId).toBe('second')
      expect(when).toHaveBeenCalledTimes(2)
    } finally {
      vi.useRealTimers()
    }
  })

  it('in report mode: as ever', async () => {
    const when = vi.fn(() => until(60))
    const world = createWorld({ mode: 'report', delegation: [anyRule({ when, whenCache: true })] })
    const token = tokenOf(SUPPORT)
    for (let n = 0; n < 2; n++) expect((await world.call(token)).context()).toMatchObject({ rule: 'any', wouldRefuse: null })
    expect(when).toHaveBeenCalledTimes(1)
  })

  it.each<[string, Partial<DelegationRule>, RegExp]>([
    ['without when', { whenCache: true }, /^delegation\[0\]\.whenCache goes with when$/],
    ['no boolean', { when: () => true, whenCache: 'yes' as never }, /^delegation\[0\]\.whenCache must be true or false$/],
    ['undefined', { when: () => true, whenCache: undefined as never }, /whenCache is undefined/],
    ['when that is no function', { when: { allow: true } as never }, /^delegation\[0\]\.when must be a function$/],
  ])('a mistake: %s', (_, more, message) => {
    expect(() => createWorld({ delegation: [anyRule(more)] })).toThrow(message)
  })
})

describe('one token, asked about again', () => {
  it('has the context of the answer that was given for this very call', async () => {
    const first = { allow: true, consentId: 'c', expiresAt: NOW_SECONDS + 60, ticket: 't', reason: 'r' }
    const answers = [
      first,
      { ...first, consentId: 'another' },
      first,
      { ...first, expiresAt: NOW_SECONDS + 61 },
      first,
      { ...first, ticket: 'another' },
      first,
      { ...first, reason: 'another' },
      true,
      first,
    ]
    let asked = 0
    const world = createWorld({ delegation: [anyRule({ when: () => answers[asked++] as typeof first })] })
    const token = tokenOf(SUPPORT)
    for (const answer of answers) {
      const { consentId, expiresAt, ticket, reason } = answer === true ? { ...first, consentId: null } : (answer as typeof first)
      const { consent } = (await world.call(token)).delegated()
      expect(consent).toEqual(answer === true ? null : { consentId, expiresAt, ticket, reason })
    }
    expect(asked).toBe(answers.length)
  })
})
