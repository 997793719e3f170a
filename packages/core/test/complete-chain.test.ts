import type { DelegationRule, JsonValue } from '@behalf/core'
import { inspectToken } from '@behalf/core/inspect'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { anyRule, createWorld, ISSUER, NOW_SECONDS, oauthIssuer, tokenOf } from './support/harness.js'

type Claims = Readonly<Record<string, JsonValue | undefined>>

const SUPPORT: Claims = { act: { sub: 'support-1' } }
const SELF: Claims = { act: { sub: 'user-1', iss: ISSUER } }

beforeEach(() => {
  vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
})
afterEach(() => {
  vi.restoreAllMocks()
})

const call = (claims: Claims, rule: Partial<DelegationRule> = {}) => createWorld({ delegation: [anyRule(rule)] }).call(claims)

/** What is said of the chain, and whether that leaves it incomplete. */
const SAID: readonly (readonly [what: string, said: JsonValue | undefined, incomplete: boolean])[] = [
  ['nothing', undefined, false],
  ['true', true, false],
  ['false', false, true],
  ['null', null, true],
  ["'true'", 'true', true],
  ['1', 1, true],
  ['0', 0, true],
  ['an object', {}, true],
  ['a list', [true], true],
]

describe.each(SAID)('chain_complete: %s', (_, said, incomplete) => {
  const claims: Claims = { ...SUPPORT, chain_complete: said }

  it('is told in the context and in the record', async () => {
    const world = createWorld({ delegation: [anyRule()] })
    const visit = await world.call(claims)
    const notices = incomplete ? ['chain_incomplete'] : []
    expect(visit.context()).toMatchObject({ kind: 'delegation', rule: 'any', notices })
    expect(Object.isFrozen(visit.context().notices)).toBe(true)
    expect(world.sink.events[0]?.notices).toEqual(notices)
  })

  it('a rule with completeChain refuses it where it is not complete', async () => {
    expect((await call(claims, { completeChain: true })).code).toBe(incomplete ? 'chain_incomplete' : null)
    expect((await call(claims, { completeChain: false })).code).toBeNull()
  })

  it('so does a requirement', async () => {
    const visit = await call(claims)
    expect((await visit.guard({ completeChain: true }))?.code ?? null).toBe(incomplete ? 'chain_incomplete' : null)
    expect(await visit.guard({ completeChain: false })).toBeNull()
    expect(await visit.guard()).toBeNull()
  })

  it('an actor that is the subject is direct only where nobody can have acted before', async () => {
    const visit = await call({ ...SELF, chain_complete: said })
    expect(visit.context()).toMatchObject(
      incomplete
        ? { kind: 'delegation', rule: 'any', notices: ['self_actor', 'chain_incomplete'] }
        : { kind: 'direct', rule: null, notices: ['self_actor'] },
    )
  })

  it('a call without an actor is direct, and what is said of its chain is told', async () => {
    const visit = await call({ chain_complete: said }, { completeChain: true })
    expect(visit.context()).toMatchObject({ kind: 'direct', notices: incomplete ? ['chain_incomplete'] : [] })
    expect((await visit.guard({ completeChain: true }))?.code ?? null).toBe(incomplete ? 'chain_incomplete' : null)
  })
})

describe('a chain that is not complete', () => {
  const claims: Claims = { ...SUPPORT, chain_complete: false }

  it('is answered with 403 and the challenge of an actor', async () => {
    expect((await call(claims, { completeChain: true })).error).toMatchObject({
      ...{ status: 403, challenge: expect.stringMatching(/^Bearer error="actor_unauthorized"/) },
    })
  })

  it('is asked for after the depth, and before methods, lifetime and when', async () => {
    const when = vi.fn(() => true)
    const rule = { completeChain: true, methods: ['POST'], maxLifetimeSeconds: 1, when }
    expect((await call({ act: { sub: 'a', act: { sub: 'b' } }, chain_complete: false }, rule)).code).toBe('delegation_too_deep')
    expect((await call(claims, rule)).code).toBe('chain_incomplete')
    expect((await call({ ...claims, chain_complete: true }, rule)).code).toBe('method_not_delegated')
    expect(when).not.toHaveBeenCalled()
  })

  it('never leads to the next rule', async () => {
    const world = createWorld({
      delegation: [anyRule({ id: 'first', actor: { id: 'support-1' }, completeChain: true }), anyRule({ id: 'rest' })],
    })
    expect((await world.call(claims)).code).toBe('chain_incomplete')
  })

  it('is asked of an actor inside act in vain: the token’s own claim counts', async () => {
    expect((await call({ act: { sub: 'support-1', chain_complete: false } })).context().notices).toEqual([])
    expect((await call({ act: { sub: 'a', chain_complete: true }, chain_complete: false })).context().notices).toEqual([
      'chain_incomplete',
    ])
  })

  it('in report mode: a rule’s refusal is recorded, a requirement’s holds', async () => {
    const world = createWorld({ mode: 'report', delegation: [anyRule({ completeChain: true })] })
    const visit = await world.call(claims)
    expect(visit.context()).toMatchObject({ rule: null, wouldRefuse: 'chain_incomplete' })
    expect((await visit.guard({ completeChain: true }))?.code).toBe('chain_incomplete')
  })

  it('is told by an inspection', () => {
    const { unverifiedCaller } = inspectToken(tokenOf(claims), oauthIssuer(), { nowMilliseconds: NOW_SECONDS * 1000 })
    expect(unverifiedCaller?.notices).toEqual(['chain_incomplete'])
  })

  it.each(['yes', 1, null, undefined])('a mistake: completeChain %s', (value) => {
    expect(() => createWorld({ delegation: [anyRule({ completeChain: value as never })] })).toThrow(/completeChain/)
    expect(() => createWorld().server.guard({ completeChain: value as never })).toThrow(/^guard\(\)\.completeChain/)
  })
})
