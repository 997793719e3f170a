import { once } from 'node:events'
import { createServer } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { type AuditEvent, type AuditOptions, type DelegationRule, REFUSAL_CODES, type ResourceServerOptions } from '@behalf/core'
import { asgardeo, custom } from '@behalf/core/issuers'
import { resourceServer } from '@behalf/express'
import { createSigningKey, createTestIssuer, fixtures, memorySink, type TestIssuer, testEvent } from '@behalf/testing'
import express from 'express'
import request from 'supertest'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { assertValidEvent, auditEventSchema, isValidEvent, type ObjectSchema } from './support/audit-schema.js'

let issuer: TestIssuer
/** Every event that any of the tests below has caused. */
const seen: AuditEvent[] = []

beforeAll(async () => {
  issuer = await createTestIssuer({ algorithms: ['EdDSA'] })
})
afterAll(() => issuer.close())

const RULES: readonly DelegationRule[] = [
  { id: 'broken', kind: 'delegation', actor: { id: 'broken-1' }, scopes: 'all', when: () => Promise.reject(new Error('down')) },
  {
    id: 'consented',
    kind: 'delegation',
    actor: { id: 'consented-1' },
    scopes: 'all',
    when: ({ subject }) => ({
      allow: subject.id === 'user-1',
      consentId: 'consent-1',
      expiresAt: 4e9,
      ticket: 'T-1',
      reason: 'ü'.repeat(300),
    }),
  },
  { id: 'support', kind: 'delegation', actor: { id: 'support-1' }, scopes: 'orders:read', methods: 'safe', maxDepth: 2 },
]

/** An Express application with a route for each outcome, whose events are all kept. */
function start(more: Partial<Omit<ResourceServerOptions, 'audit'>> & { readonly audit?: AuditOptions } = {}) {
  const sink = memorySink()
  const kept = {
    write(event: AuditEvent) {
      seen.push(event)
      sink.write(event)
    },
  }
  const audit = { record: 'always', ...more.audit, sinks: [kept, ...(more.audit?.sinks ?? [])] } as const
  const server = resourceServer({ issuers: [issuer.options()], delegation: RULES, ...more, audit })
  const app = express()
  app.use(server.authenticate({ optional: true }))
  app.get('/orders/:id', server.guard({ scopes: 'orders:read' }), (_req, res) => res.json({}))
  app.get('/broken', () => {
    throw new Error('a handler failed')
  })
  app.get('/direct', server.guard({ kind: 'direct' }), (_req, res) => res.json({}))
  app.get('/login', server.guard({ acr: 'gold' }), (_req, res) => res.json({}))
  app.get('/whole', server.guard({ completeChain: true }), (_req, res) => res.json({}))
  app.get('/write', server.guard({ scopes: 'orders:write' }), (_req, res) => res.json({}))
  app.get('/pending', (_req, res) => res.write('begun'))
  app.use((_error: unknown, _req: express.Request, res: express.Response, _next: express.NextFunction) => {
    res.status(500).end()
  })
  const get = (path: string, token?: string) => {
    const call = request(app).get(path).set('user-agent', 'test\t1').set('x-request-id', 'caller-1')
    return token === undefined ? call : call.set('authorization', `Bearer ${token}`)
  }
  return { app, sink, get }
}

const delegated = (act: object = { sub: 'support-1' }, claims: object = {}) =>
  issuer.token({ claims: { act, ...claims } as never })

const isOutcome = (event: AuditEvent) => event.type === 'access.outcome'

describe('a recorded call is a decision and an outcome', () => {
  test('direct and completed', async () => {
    const { get, sink } = start()
    await get('/orders/7', issuer.token()).expect(200)
    const outcome = await sink.until(isOutcome)
    expect(sink.events.map(({ decision, result }) => [decision, result])).toEqual([
      ['allow', null],
      ['allow', 'completed'],
    ])
    expect(outcome).toMatchObject({ kind: 'direct', rule: null, http: { method: 'GET', route: '/orders/:id', status: 200 } })
    expect(outcome.net).toMatchObject({ userAgent: 'test\ufffd1', callerRequestId: 'caller-1' })
  })

  test('delegated through two actors', async () => {
    const { get, sink } = start()
    await get('/orders/7', delegated({ sub: 'support-1', act: { sub: 'agent-1', sub_profile: 'ai_agent' } })).expect(200)
    const outcome = await sink.until(isOutcome)
    expect(outcome).toMatchObject({ kind: 'delegation', rule: 'support', result: 'completed', subject: { id: 'user-1' } })
    expect(outcome.chain.map(({ id }) => id)).toEqual(['support-1', 'agent-1'])
    expect(outcome.scopes).toEqual({ token: ['orders:read', 'orders:write'], effective: ['orders:read'] })
  })

  test('with a consent, and with what the issuer says of its chain', async () => {
    const { get, sink } = start()
    await get('/orders/7', delegated({ sub: 'consented-1' }, { chain_complete: false })).expect(200)
    const outcome = await sink.until(isOutcome)
    expect(outcome).toMatchObject({ rule: 'consented', notices: ['chain_incomplete'] })
    expect(outcome.consent).toEqual({ consentId: 'consent-1', expiresAt: 4e9, ticket: 'T-1', reason: 'ü'.repeat(256) })
  })

  test('an actor that is the subject itself', async () => {
    const { get, sink } = start()
    await get('/orders/7', delegated({ iss: issuer.issuer, sub: 'user-1' })).expect(200)
    expect(await sink.until(isOutcome)).toMatchObject({ kind: 'direct', actor: null, notices: ['self_actor'] })
  })

  test('an actor that is not named, and a token without jti, kid and iat', async () => {
    const unnamed = custom({
      issuer: issuer.issuer,
      audience: issuer.audience,
      jwks: issuer.jwks(),
      tokenTypes: ['at+jwt'],
      actor: { read: () => 'unknown' },
      kind: 'impersonation',
    })
    const rule: DelegationRule = { id: 'anybody', kind: 'impersonation', actor: 'any', scopes: 'all' }
    const { get, sink } = start({ issuers: [unnamed], delegation: [rule] })
    const token = issuer.token({ claims: { jti: undefined, iat: undefined }, header: { kid: undefined } })
    await get('/orders/7', token).expect(200)
    const { actor, token: recorded } = await sink.until(isOutcome)
    expect(actor).toMatchObject({ id: null, idClaim: null })
    expect(recorded).toMatchObject({ issuedAt: null, keyId: null, id: expect.stringMatching(/^sha256:[\w-]{43}$/) })
  })

  test('with tenants and an organization switch', async () => {
    const { organizationSwitched } = fixtures.asgardeo
    const wso2 = asgardeo({
      issuer: 'https://localhost:9443/oauth2/token',
      jwks: issuer.jwks(),
      clientIds: ['jVcW4oLn1Jjb2T94H4gtPV9z5Y0a'],
    })
    const rule: DelegationRule = { id: 'any', kind: 'impersonation', actor: 'any', scopes: 'all' }
    const { get, sink } = start({ issuers: [wso2], delegation: [rule] })
    await get('/direct', issuer.tokenOf(organizationSwitched)).expect(403)
    const outcome = await sink.until(isOutcome)
    expect(outcome).toMatchObject({ tenant: '1558ebf6-17e0-4165-b9c0-a8117c87806b', result: 'refused' })
    expect(outcome.subject?.tenant).toBe('10084a8d-113f-4211-a0d5-efe36b082211')
  })
})

describe('a refusal is recorded at its stage', () => {
  const refusals: readonly [stage: string, reason: string, path: string, token: () => string | undefined][] = [
    ['credentials', 'credentials_malformed', '/orders/7', () => 'two words'],
    ['verify', 'token_malformed', '/orders/7', () => 'no-jwt'],
    ['verify', 'key_unknown', '/orders/7', () => issuer.token({ header: { kid: 'k\r\n\u2028?'.repeat(40) } })],
    ['verify', 'signature_invalid', '/orders/7', () => issuer.token({ key: strangersKey() })],
    ['verify', 'token_expired', '/orders/7', () => issuer.token({ claims: { iat: 1, exp: 2 } })],
    ['verify', 'delegation_malformed', '/orders/7', () => delegated({ sub: 7 })],
    ['verify', 'claim_invalid', '/orders/7', () => issuer.token({ claims: { jti: 'one\r\ntwo' } })],
    ['bind', 'binding_unsupported', '/orders/7', () => issuer.token({ claims: { cnf: { jkt: 'x' } } })],
    ['bind', 'binding_unsupported', '/orders/7', () => delegated(undefined, { cnf: { jkt: 'x' } })],
    ['rules', 'actor_unauthorized', '/orders/7', () => delegated({ sub: 'stranger' })],
    ['rules', 'rule_unavailable', '/orders/7', () => delegated({ sub: 'broken-1' })],
    ['rules', 'actor_unauthorized', '/orders/7', () => delegated({ sub: 'consented-1' }, { sub: 'user-2' })],
    ['requirement', 'step_up_required', '/login', () => issuer.token()],
    ['requirement', 'chain_incomplete', '/whole', () => delegated(undefined, { chain_complete: false })],
    ['requirement', 'credentials_missing', '/orders/7', () => undefined],
    ['requirement', 'delegation_forbidden', '/direct', () => delegated()],
    ['requirement', 'scope_not_delegated', '/write', () => delegated()],
    ['requirement', 'scope_insufficient', '/write', () => issuer.token({ claims: { scope: 'orders:read' } })],
  ]
  const strangersKey = () => createSigningKey('EdDSA', { kid: issuer.key().kid })

  test.each(refusals)('%s: %s', async (stage, reason, path, token) => {
    const { get, sink } = start()
    const { status } = await get(path, token())
    const event = await sink.until(({ decision }) => decision === 'refuse')
    expect(event).toMatchObject({ stage, reason, http: { status }, result: null })
    assertValidEvent(event)
  })
})

describe('an outcome says what became of the response', () => {
  test('failed', async () => {
    const { get, sink } = start()
    await get('/broken', issuer.token()).expect(500)
    expect(await sink.until(isOutcome)).toMatchObject({ result: 'failed', http: { status: 500 } })
  })

  test('refused, by a guard of ours', async () => {
    const { get, sink } = start()
    await get('/direct', delegated()).expect(403)
    expect(await sink.until(isOutcome)).toMatchObject({ decision: 'allow', result: 'refused', http: { status: 403 } })
  })

  test('aborted, where the connection closed first', async () => {
    const { app, sink } = start()
    const server = createServer(app).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const socket = connect((server.address() as AddressInfo).port, '127.0.0.1')
    socket.write(`GET /pending HTTP/1.1\r\nhost: test\r\nauthorization: Bearer ${issuer.token()}\r\n\r\n`)
    await once(socket, 'data')
    socket.destroy()
    expect(await sink.until(isOutcome)).toMatchObject({ result: 'aborted', http: { route: '/pending' } })
    server.close()
  })

  test('not run, where another sink did not accept the decision', async () => {
    const full = memorySink()
    full.refuse()
    const { get, sink } = start({ audit: { sinks: [full] } })
    await get('/orders/7', delegated()).expect(503)
    expect(await sink.until(isOutcome)).toMatchObject({ result: 'not_run', http: { status: null } })
  })
})

describe('in report mode a refusal by rules is recorded, and the call goes on', () => {
  test('no rule fits', async () => {
    const { get, sink } = start({ mode: 'report' })
    await get('/write', delegated({ sub: 'stranger' })).expect(200)
    await sink.until(isOutcome)
    expect(sink.events.map(({ stage, decision, reason, rule }) => [stage, decision, reason, rule])).toEqual([
      ['rules', 'would_refuse', 'actor_unauthorized', null],
      ['response', 'would_refuse', 'actor_unauthorized', null],
    ])
  })

  test("a rule's scopes are too narrow for the route", async () => {
    const { get, sink } = start({ mode: 'report' })
    await get('/write', delegated()).expect(200)
    await sink.until(isOutcome)
    expect(sink.events.map(({ stage, decision, reason, rule }) => [stage, decision, reason, rule])).toEqual([
      ['rules', 'allow', null, 'support'],
      ['requirement', 'would_refuse', 'scope_not_delegated', 'support'],
      ['response', 'would_refuse', 'scope_not_delegated', 'support'],
    ])
  })
})

describe('docs/audit-event.schema.json', () => {
  test('allows every event of the calls above, which are of every stage, decision and result', () => {
    for (const event of seen) assertValidEvent(event)
    expect(new Set(seen.map(({ stage }) => stage))).toEqual(
      new Set(['credentials', 'verify', 'bind', 'rules', 'requirement', 'response']),
    )
    expect(new Set(seen.map(({ decision }) => decision))).toEqual(new Set(['allow', 'refuse', 'would_refuse']))
    expect(new Set(seen.map(({ result }) => result))).toEqual(
      new Set([null, 'completed', 'failed', 'aborted', 'refused', 'not_run']),
    )
  })

  test('allows every refusal code as a reason, and no other word', () => {
    const { enum: words } = auditEventSchema.properties['reason'] as unknown as { enum: unknown[] }
    expect(new Set(words)).toEqual(new Set([...REFUSAL_CODES, null]))
  })

  test('allows what testEvent() makes', () => assertValidEvent(testEvent()))

  test('names exactly the members of a real event, at every level', () => {
    const outcome = seen.find((event) => isOutcome(event) && event.actor?.id === 'support-1')
    expect(outcome).toBeDefined()
    const level = (schema: Partial<ObjectSchema> | undefined, value: object | null | undefined) => {
      expect(Object.keys(schema?.properties ?? {})).toEqual(Object.keys(value ?? {}))
      expect(schema?.required).toEqual(Object.keys(value ?? {}))
    }
    level(auditEventSchema, outcome)
    for (const part of ['scopes', 'token', 'keys', 'http', 'net', 'trace'] as const) {
      level(auditEventSchema.properties[part], outcome?.[part])
    }
    level(auditEventSchema.$defs['consent'], seen.find(({ consent }) => consent !== null)?.consent)
    level(auditEventSchema.$defs['namedParty'], outcome?.subject)
    level(auditEventSchema.$defs['namedParty'], outcome?.actor)
    level(auditEventSchema.$defs['unknownParty'], seen.find(({ actor }) => actor !== null && actor.id === null)?.actor)
  })

  test('refuses an event with a member missing, added, or of another type, wherever it stands', () => {
    let mutations = 0
    for (const event of [...seen, testEvent()].map((each) => JSON.parse(JSON.stringify(each)) as object)) {
      for (const [what, change] of mutationsOf(event)) {
        const undo = change()
        expect(isValidEvent(event), what).toBe(false)
        undo()
        mutations++
      }
      expect(isValidEvent(event)).toBe(true)
    }
    expect(mutations).toBeGreaterThan(1000)
  })

  const decision = () => testEvent()
  const outcome = () => ({
    ...testEvent({ type: 'access.outcome', stage: 'response', result: 'completed' }),
    http: { method: 'GET', route: null, status: 200, durationMilliseconds: 1 },
  })
  const unknownOutcome = () => ({
    ...outcome(),
    result: 'unknown',
    http: { method: 'GET', route: null, status: null, durationMilliseconds: null },
  })
  const refusal = () => ({
    ...testEvent({ decision: 'refuse', reason: 'method_not_delegated', scopes: { token: ['a'], effective: [] } }),
    http: { method: 'POST', route: null, status: 403, durationMilliseconds: null },
  })

  const CONSENT = { consentId: 'c', expiresAt: null, ticket: null, reason: null }
  const DIRECT = { kind: 'direct', actor: null, chain: [], rule: null }
  const NO_CONTEXT = {
    ...{ ...DIRECT, stage: 'verify', reason: 'signature_invalid', kind: null, subject: null, clientId: null },
    scopes: { token: [], effective: [] },
    token: { issuer: null, id: null, issuedAt: null, expiresAt: null, keyId: null, algorithm: null },
  }

  test('allows the events that the next tests start from', () => {
    for (const event of [decision(), outcome(), unknownOutcome(), refusal()]) assertValidEvent(event)
    assertValidEvent({ ...decision(), consent: CONSENT, notices: ['chain_incomplete'] })
    assertValidEvent({ ...refusal(), consent: { ...CONSENT, reason: 'withdrawn' } })
    assertValidEvent({ ...decision(), ...DIRECT })
    assertValidEvent({ ...refusal(), ...NO_CONTEXT })
  })

  test.each<[string, () => object]>([
    ['another version', () => ({ ...decision(), v: '1.0' })],
    ['an id without a clock', () => ({ ...decision(), id: '3f0a4d58-2a4f-4a53-9c0e-0d2f6d1f6a11' })],
    ['a time with an offset', () => ({ ...decision(), time: '2026-09-21T15:33:20.000+02:00' })],
    ['a time that does not exist', () => ({ ...decision(), time: '2026-13-21T15:33:20.000Z' })],
    ['a decision with a result', () => ({ ...decision(), result: 'completed' })],
    ['a decision with a duration', () => ({ ...decision(), http: outcome().http })],
    ['an outcome without a result', () => ({ ...outcome(), result: null })],
    ['an outcome of another stage', () => ({ ...outcome(), stage: 'rules' })],
    ['an outcome of a refused call', () => ({ ...outcome(), decision: 'refuse', reason: 'actor_unauthorized' })],
    ['a completed outcome without a status', () => ({ ...outcome(), http: { ...outcome().http, status: null } })],
    ['an outcome that nobody saw, with a status', () => ({ ...outcome(), result: 'unknown' })],
    [
      'an outcome that nobody saw, with a duration',
      () => ({ ...unknownOutcome(), http: { ...unknownOutcome().http, durationMilliseconds: 1 } }),
    ],
    ['a completed outcome without a duration', () => ({ ...outcome(), http: { ...outcome().http, durationMilliseconds: null } })],
    ['a handler that was not run, with a status', () => ({ ...outcome(), result: 'not_run' })],
    ['a refusal without a reason', () => ({ ...refusal(), reason: null })],
    ['a refusal for an unknown reason', () => ({ ...refusal(), reason: 'because' })],
    ['a refusal that leaves scopes', () => ({ ...refusal(), scopes: { token: ['a'], effective: ['a'] } })],
    ['a refusal that is answered with 200', () => ({ ...refusal(), http: { ...refusal().http, status: 200 } })],
    ['an admission with a reason', () => ({ ...decision(), reason: 'actor_unauthorized' })],
    ['a delegated call that no rule let in', () => ({ ...decision(), rule: null })],
    ['a delegated call without an actor', () => ({ ...decision(), actor: null })],
    ['a direct call with an actor', () => ({ ...decision(), kind: 'direct', rule: null })],
    [
      'a direct call that would be refused',
      () => ({
        ...decision(),
        decision: 'would_refuse',
        reason: 'actor_unauthorized',
        kind: 'direct',
        actor: null,
        chain: [],
        rule: null,
      }),
    ],
    ['a party of an unproved token', () => ({ ...refusal(), stage: 'verify', reason: 'signature_invalid' })],
    ['a consent of a direct call', () => ({ ...decision(), ...DIRECT, consent: CONSENT })],
    ['a consent of nobody', () => ({ ...refusal(), ...NO_CONTEXT, consent: CONSENT })],
    ['a line break in a consent’s id', () => ({ ...decision(), consent: { ...CONSENT, consentId: 'a\nb' } })],
    ['a reason that is not capped', () => ({ ...decision(), consent: { ...CONSENT, reason: 'a'.repeat(257) } })],
    ['a consent that ended before the epoch', () => ({ ...decision(), consent: { ...CONSENT, expiresAt: -1 } })],
    ['a notice that nobody knows', () => ({ ...decision(), notices: ['odd'] })],
    ['a line break in an id', () => ({ ...decision(), clientId: 'a\nb' })],
    ['a line break in a caller’s text', () => ({ ...decision(), net: { ...decision().net, userAgent: 'a\nb' } })],
    ['a caller’s text that is not capped', () => ({ ...decision(), net: { ...decision().net, userAgent: 'a'.repeat(257) } })],
    ['a trace that is none', () => ({ ...decision(), trace: { traceparent: '00-1-2-03' } })],
    ['a method in lower case', () => ({ ...decision(), http: { ...decision().http, method: 'get' } })],
  ])('refuses %s', (_, event) => expect(isValidEvent(event())).toBe(false))
})

/** Every change of one member of an event that no event survives; each can be undone. */
function* mutationsOf(node: object, path = ''): Generator<[what: string, change: () => () => void]> {
  const holder = node as Record<string, unknown>
  if (!Array.isArray(node)) {
    yield [
      `${path}/extra`,
      () => {
        holder['extra'] = null
        return () => delete holder['extra']
      },
    ]
  }
  for (const [name, value] of Object.entries(node)) {
    const replaced = (by: unknown) => () => {
      holder[name] = by
      return () => {
        holder[name] = value
      }
    }
    if (!Array.isArray(node)) {
      // Put back at its place: the order of members is nothing that a schema could judge.
      yield [`${path}/${name} missing`, replaced(undefined)]
    }
    yield [`${path}/${name} of another type`, replaced(typeof value === 'object' && value !== null ? 'text' : { text: true })]
    if (typeof value === 'object' && value !== null) yield* mutationsOf(value, `${path}/${name}`)
  }
}
