/** The index finds the very rule that asking one after another would find. */
import type { DelegatedContext, DelegationRule, Party, PartyMatcher, UnknownParty } from '@behalf/core'
import { testContext } from '@behalf/testing'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { FUZZ_FACTOR, FUZZ_SEED, FUZZ_TIMEOUT } from '../../../test/support/fuzz-settings.js'
import { ConfigError } from '../src/errors.js'
import { type CompiledRule, compileRules, fitsRule } from '../src/policy/rule.js'
import { createRuleIndex } from '../src/policy/rule-index.js'

/** Few names, so that rules and contexts meet; some of them are members of every object. */
const ISSUERS = ['https://a.example', 'https://b.example', '__proto__']
const IDS = ['user-1', 'admin', 'constructor']
const TENANTS = ['t1', 't2']
const PROFILES = ['ai_agent', 'service', 'tostring']
const KNOWN = { names: new Set(ISSUERS), several: true, scopesAreWords: true, offersDpop: false }

const oneOrMore = <T>(values: readonly T[]) => fc.subarray([...values], { minLength: 1 })
const maybe = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined })

/** Without the members that were not drawn: a rule must not have one that is `undefined`. */
const defined = <T extends object>(value: T): T =>
  Object.fromEntries(Object.entries(value).filter(([, member]) => member !== undefined)) as T

const matcher: fc.Arbitrary<PartyMatcher> = fc
  .record({
    id: maybe(fc.constantFrom(...IDS)),
    issuer: maybe(fc.constantFrom(...ISSUERS)),
    type: maybe(fc.constantFrom('user' as const, 'client' as const)),
    profile: maybe(fc.constantFrom(...PROFILES)),
    tenant: maybe(fc.constantFrom(...TENANTS)),
    idClaim: maybe(fc.constantFrom('sub', 'client_id')),
  })
  .map(({ idClaim, ...rest }) => defined({ ...rest, ...(rest.id !== undefined && { idClaim }) }) as PartyMatcher)
  .filter((each) => Object.keys(each).length > 0)

const matchers = fc.oneof(matcher, fc.array(matcher, { minLength: 1, maxLength: 3 }))

const rule: fc.Arbitrary<Omit<DelegationRule, 'id'>> = fc
  .record({
    kind: oneOrMore(['impersonation', 'delegation'] as const),
    actor: fc.oneof(fc.constant('any' as const), matchers),
    issuer: maybe(oneOrMore(ISSUERS)),
    subject: maybe(matchers),
    tenant: maybe(oneOrMore(TENANTS)),
    scopes: fc.constant('all'),
  })
  .map((drawn) => {
    const named = [drawn.actor, drawn.subject ?? []].flat().some((each) => typeof each === 'object' && each.id !== undefined)
    return defined({ ...drawn, ...(named && { issuer: drawn.issuer ?? ISSUERS }) }) as Omit<DelegationRule, 'id'>
  })

const party: fc.Arbitrary<Partial<Party> & { readonly id: string }> = fc.record({
  id: fc.constantFrom(...IDS, 'nobody'),
  idClaim: fc.constantFrom('sub', 'client_id'),
  issuer: fc.constantFrom(null, ...ISSUERS, 'https://elsewhere.example'),
  type: fc.constantFrom(null, 'user' as const, 'client' as const),
  profiles: fc.subarray([...PROFILES, 'other']),
  tenant: fc.constantFrom(null, ...TENANTS),
})

const UNKNOWN_ACTOR = {
  id: null,
  idClaim: null,
  issuer: null,
  type: null,
  profiles: [],
  tenant: null,
  claims: {},
} as UnknownParty

const context: fc.Arbitrary<DelegatedContext> = fc
  .record({
    kind: fc.constantFrom('impersonation' as const, 'delegation' as const),
    issuer: fc.constantFrom(...ISSUERS, 'https://elsewhere.example'),
    tenant: maybe(fc.constantFrom(...TENANTS, 't3')),
    actor: party,
    subject: party,
    known: fc.integer({ min: 0, max: 9 }).map((draw) => draw > 0),
  })
  .map(({ known, ...drawn }) => {
    const made = testContext(defined(drawn) as Parameters<typeof testContext>[0] & { kind: 'delegation' })
    return known ? made : { ...made, actor: UNKNOWN_ACTOR, chain: [UNKNOWN_ACTOR] }
  })

/** Rules that a server accepts: one that an earlier one shadows is left out, as `compileRules` demands. */
function accepted(drawn: readonly Omit<DelegationRule, 'id'>[]): readonly CompiledRule[] {
  let rules: DelegationRule[] = []
  for (const [index, each] of drawn.entries()) {
    const more = [...rules, { id: `rule-${index}`, ...each }]
    try {
      compileRules(more, KNOWN)
      rules = more
    } catch (error) {
      if (!(error instanceof ConfigError && error.message.includes('can never decide'))) throw error
    }
  }
  return compileRules(rules, KNOWN)
}

describe('createRuleIndex', () => {
  test('finds what a search from the first rule to the last finds', { timeout: FUZZ_TIMEOUT }, () => {
    const places = new Map<number, number>()
    let none = 0
    fc.assert(
      fc.property(fc.array(rule, { maxLength: 12 }), fc.array(context, { minLength: 1, maxLength: 12 }), (drawn, contexts) => {
        const rules = accepted(drawn)
        const index = createRuleIndex(rules)
        for (const each of contexts) {
          const expected = rules.find((one) => fitsRule(one, each)) ?? null
          expect(index.first(each)).toBe(expected)
          if (expected === null) none++
          else places.set(rules.indexOf(expected), (places.get(rules.indexOf(expected)) ?? 0) + 1)
        }
      }),
      { seed: FUZZ_SEED, numRuns: 1000 * FUZZ_FACTOR },
    )
    expect(none, 'contexts that no rule fits').toBeGreaterThan(200)
    for (const place of [0, 1, 2, 3, 4]) expect(places.get(place) ?? 0, `found at place ${place}`).toBeGreaterThan(20)
  })

  test('order decides between shelves: the earlier rule wins, whatever each of them names', () => {
    const [issuer = ''] = ISSUERS
    const common = { kind: 'delegation', scopes: 'all' } as const
    const wide: readonly Omit<DelegationRule, 'id'>[] = [
      { ...common, issuer, actor: { id: 'admin' } },
      { ...common, issuer, actor: 'any', subject: { id: 'user-1' } },
      { ...common, actor: 'any', tenant: 't1' },
      { ...common, actor: { profile: 'ai_agent' } },
      { ...common, actor: { type: 'client' } },
    ]
    const call = testContext({
      kind: 'delegation',
      issuer,
      tenant: 't1',
      subject: 'user-1',
      actor: { id: 'admin', type: 'client', profiles: ['service', 'ai_agent'] },
    })
    for (let start = 0; start < wide.length; start++) {
      const turned = [...wide.slice(start), ...wide.slice(0, start)]
      for (const order of [turned, [...turned].reverse()]) {
        const rules = compileRules(
          order.map((each, index) => ({ id: `rule-${index}`, ...each })),
          KNOWN,
        )
        expect(createRuleIndex(rules).first(call as DelegatedContext)?.id).toBe('rule-0')
      }
    }
  })

  test('no rules, no answer', () => {
    expect(createRuleIndex([]).first(testContext({ kind: 'delegation' }))).toBeNull()
  })
})
