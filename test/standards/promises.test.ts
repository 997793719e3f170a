/** What behalf promises beside the standards: records, secrecy, contexts that stay, and whose trouble is whose. */
import type { AuditEvent, AuthContext } from '@behalf/core'
import { createTestIssuer, memorySink } from '@behalf/testing'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { DOORS, outcomeOf } from '../support/request.js'
import { openTrustedApi, type TrustedApi } from '../support/trusted-api.js'

const isOutcome = ({ type }: AuditEvent) => type === 'access.outcome'

describe.each(DOORS)('$name', ({ open }) => {
  let api: TrustedApi
  beforeAll(async () => {
    api = await openTrustedApi(open, { audit: { record: 'refusals' } })
  })
  beforeEach(() => {
    api.sink.clear()
    api.sink.refuse(false)
  })
  afterAll(() => api.close())

  const delegated = () => api.with({ act: { sub: 'support-1' } })

  describe('records', () => {
    test('[BEHALF-one-outcome] an admitted delegated call has one decision and one outcome', async () => {
      expect(await api.outcome(delegated())).toBe('200')
      const outcome = await api.sink.until(isOutcome)
      // Another whole request, so that a second outcome of the first would have come.
      await api.outcome(delegated())
      await api.sink.until((event) => isOutcome(event) && event.requestId !== outcome.requestId)
      const events = api.sink.events.filter(({ requestId }) => requestId === outcome.requestId)
      expect(events.map(({ type, stage, decision, result }) => [type, stage, decision, result])).toEqual([
        ['access.decision', 'rules', 'allow', null],
        ['access.outcome', 'response', 'allow', 'completed'],
      ])
      expect(outcome).toMatchObject({
        rule: 'support',
        subject: { id: 'user-1' },
        actor: { id: 'support-1' },
        http: { status: 200 },
      })
    })

    test('[BEHALF-one-outcome] a call that a guard refuses has two decisions and one outcome', async () => {
      const answer = await api.ask('/password', { method: 'POST', token: delegated() })
      expect(outcomeOf(answer)).toBe('403 delegation_forbidden')
      await api.sink.until(isOutcome)
      expect(api.sink.events.map(({ type, stage, reason, result }) => [type, stage, reason, result])).toEqual([
        ['access.decision', 'rules', null, null],
        ['access.decision', 'requirement', 'delegation_forbidden', null],
        ['access.outcome', 'response', null, 'refused'],
      ])
    })

    test('[BEHALF-record-first] a call whose record no sink accepts never reaches its handler', async () => {
      const before = api.ran
      api.sink.refuse()
      const refused = await api.answer(delegated())
      expect(outcomeOf(refused)).toBe('503 audit_unavailable')
      expect(refused.headers['retry-after']).toBe('5')
      expect(api.ran).toBe(before)
      api.sink.refuse(false)
      expect(await api.outcome(delegated())).toBe('200')
      expect(api.ran).toBe(before + 1)
    })

    test('[BEHALF-recorded] a refused token is recorded, when it carries delegation and its signature holds', async () => {
      const quiet = memorySink()
      const door = await open(
        {
          issuers: [api.issuer.options({ jwks: api.issuer.jwks() })],
          delegation: [{ id: 'any', kind: 'delegation', actor: 'any', scopes: 'all' }],
          audit: { sinks: [quiet] },
          now: () => api.nowSeconds * 1000,
        },
        [{ method: 'GET', path: '/context' }],
      )
      const expired = { exp: api.nowSeconds - 60 }
      const [header, payload] = delegated().split('.')
      try {
        await door.ask('/context', { token: api.with(expired) })
        await door.ask('/context', { token: `${header}.${payload}.${'A'.repeat(86)}` })
        expect(quiet.events).toEqual([])
        await door.ask('/context', { token: api.with({ ...expired, act: 'unreadable' }) })
        expect(quiet.events.map(({ reason, stage }) => [reason, stage])).toEqual([['token_expired', 'verify']])
      } finally {
        await door.close()
      }
    })
  })

  test('[BEHALF-secrecy] no text of a refused token or of its request stands in the answer or in a record', async () => {
    const canary = 'CANARY0815'
    const tokens = [
      `${canary}.${canary}.${canary}`,
      api.token({ header: { alg: canary } }),
      api.token({ header: { typ: canary } }),
      api.token({ header: { crit: [canary], [canary]: 1 } }),
      api.with({ iss: `https://${canary}.example` }),
      api.with({ aud: canary }),
      api.with({ sub: ` ${canary}` }),
      api.with({ exp: canary }),
      api.with({ act: canary }),
      api.with({ impersonator: { [canary]: canary } }),
      api.with({ client_id: `${canary}\n` }),
      api.with({ cnf: { [canary]: canary } }),
    ]
    const answers = [
      ...(await Promise.all(tokens.map((token) => api.answer(token)))),
      await api.ask('/context', { authorization: [`Bearer ${canary} ${canary}`] }),
      await api.ask('/context', { authorization: [`${canary} ${canary}`] }),
    ]
    for (const answer of answers) {
      expect(answer.status === 400 || answer.status === 401, outcomeOf(answer)).toBe(true)
      expect(answer.text + JSON.stringify(answer.headers)).not.toContain(canary)
    }
    expect(api.sink.events.length).toBe(answers.length)
    expect(JSON.stringify(api.sink.events)).not.toContain(canary)
  })

  test('[BEHALF-frozen] a handler cannot change what the next request with the same token sees', async () => {
    const thrown: unknown[] = []
    const door = await open(
      {
        issuers: [api.issuer.options({ jwks: api.issuer.jwks() })],
        delegation: [{ id: 'any', kind: 'delegation', actor: 'any', scopes: 'all', maxDepth: 2 }],
        audit: 'none',
        now: () => api.nowSeconds * 1000,
      },
      [{ method: 'GET', path: '/context', requirement: { check: (context) => spoil(context, thrown) } }],
    )
    const token = api.with({ deep: [{ list: [1] }], roles: ['r'], act: { sub: 'a', email: 'e', act: { sub: 'b' } } })
    try {
      const first = await door.ask('/context', { token })
      const second = await door.ask('/context', { token })
      expect(first.status).toBe(200)
      expect(second.text).toBe(first.text)
      expect(thrown.length).toBeGreaterThan(20)
      expect(thrown.every((each) => each instanceof TypeError)).toBe(true)
    } finally {
      await door.close()
    }
  })

  test('[BEHALF-own-trouble] trouble with the keys is our 503 with Retry-After, without a challenge, and over when it is over', async () => {
    let time = Date.now()
    const now = () => time
    const issuer = await createTestIssuer({ algorithms: ['EdDSA'], now })
    try {
      for (const endpoint of ['metadata', 'jwks'] as const) {
        for (const trouble of [500, 404, 'garbage', 'redirect', 'reset'] as const) {
          const door = await open({ issuers: [issuer.options()], now }, [{ method: 'GET', path: '/context', requirement: {} }])
          try {
            issuer.fail(trouble, endpoint)
            const answer = await door.ask('/context', { token: issuer.token() })
            expect(outcomeOf(answer), `${endpoint} ${trouble}`).toBe('503 keys_unavailable')
            expect([answer.headers['retry-after'], answer.headers['www-authenticate']]).toEqual(['5', undefined])
            issuer.recover()
            time += 1_000 // no first pause is longer
            expect(outcomeOf(await door.ask('/context', { token: issuer.token() })), `${endpoint} ${trouble}`).toBe('200')
          } finally {
            await door.close()
          }
        }
      }
    } finally {
      await issuer.close()
    }
  })
})

/** Tries to change everything that can be reached; notes what each attempt threw. */
function spoil(context: AuthContext, thrown: unknown[]): true {
  const seen = new Set<object>()
  const visit = (value: unknown) => {
    if (typeof value !== 'object' || value === null || seen.has(value)) return
    seen.add(value)
    const attempts = [
      () => Object.assign(value, { spoiled: true }),
      () => Object.setPrototypeOf(value, { spoiled: true }),
      ...Object.keys(value).map((name) => () => Object.assign(value, { [name]: 'spoiled' })),
    ]
    for (const attempt of attempts) {
      try {
        attempt()
        thrown.push(null)
      } catch (error) {
        thrown.push(error)
      }
    }
    Object.values(value).forEach(visit)
  }
  visit(context)
  return true
}
