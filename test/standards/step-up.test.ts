/** What an API asks of the user's login (RFC 9470), of rich authorization (RFC 9396) and of a rule's application, over HTTP and on every framework. */
import type { DelegationRule, JsonObject, JsonValue, Requirement } from '@behalf/core'
import { custom } from '@behalf/core/issuers'
import { createTestIssuer } from '@behalf/testing'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { challengesOf } from '../support/challenges.js'
import { type DpopApi, outcomeOf, START_SECONDS, startDpopApi, TEST_ISSUER_OPTIONS } from '../support/dpop-api.js'
import { type Answer, ask, bearer as bearerField } from '../support/http.js'
import { createIntrospectionServer, knows } from '../support/introspection-server.js'
import { FRAMEWORKS, startApi } from '../support/servers.js'

type Claims = Readonly<Record<string, JsonValue | undefined>>

const issuer = await createTestIssuer(TEST_ISSUER_OPTIONS)
afterAll(() => issuer.close())

const PAYMENT = { type: 'payment', actions: ['initiate', 'status'], locations: ['https://api.example.com/payments'] }
const DELEGATED: Claims = { act: { sub: 'agent-1' } }
const TRUSTED: Claims = { act: { sub: 'agent-2' } }

/** What the application knows of the consents of its customers; tests change it. */
const consents = new Map<string, { readonly allow: boolean; readonly consentId: string; readonly expiresAt: number }>()

const RULES: readonly DelegationRule[] = [
  {
    ...{ id: 'trusted', kind: 'delegation', actor: { id: 'agent-2' }, scopes: 'all' },
    ...{ stepUp: 'subject', authorizationDetails: 'payment', completeChain: true },
  },
  {
    ...{ id: 'consented', kind: 'delegation', actor: { id: 'agent-3' }, scopes: 'all' },
    when: ({ subject }) => consents.get(subject.id) ?? false,
  },
  { id: 'plain', kind: 'delegation', actor: 'any', scopes: 'all' },
]

const ROUTES: Readonly<Record<string, Requirement>> = {
  '/acr': { acr: ['urn:example:gold', 'urn:example:silver'] },
  '/recent': { maxAuthAgeSeconds: 300 },
  '/now': { maxAuthAgeSeconds: 0 },
  '/both': { acr: 'urn:example:gold', maxAuthAgeSeconds: 300 },
  '/scopes': { acr: 'urn:example:gold', scopes: ['payments:write', 'orders:read'] },
  '/payments': { authorizationDetails: { type: 'payment', actions: 'initiate', locations: 'https://api.example.com/payments' } },
  '/chain': { completeChain: true },
}

describe.each(FRAMEWORKS)('$name', (framework) => {
  let api: DpopApi
  beforeAll(async () => {
    api = await startDpopApi(framework, issuer, {
      issuer: { authorizationDetails: ['payment'] },
      record: 'always',
      server: { delegation: RULES },
      build(app, server, { handler }, handlerRan) {
        app.use(server.authenticate())
        const answer = handler((call) => {
          handlerRan()
          call.json(server.contextOf(call.request))
        })
        for (const [path, requirement] of Object.entries(ROUTES)) app.route('GET', path, server.guard(requirement), answer)
        app.route('GET', '/', server.guard(), answer)
      },
    })
  })
  afterAll(() => api.close())

  const bearer = (path: string, claims: Claims = {}): Promise<Answer> =>
    api.ask({ path, proof: null, authorization: [`Bearer ${api.token({ cnf: undefined, ...claims } as never)}`] })
  const outcome = async (path: string, claims: Claims = {}) => outcomeOf(await bearer(path, claims))
  const challenge = async (path: string, claims: Claims = {}) => {
    const { headers } = await bearer(path, claims)
    return challengesOf(headers['www-authenticate'])
  }
  const contextOf = ({ body }: Answer) => JSON.parse(body) as Readonly<Record<string, unknown>>

  describe('step-up (RFC 9470)', () => {
    test('[RFC9470-3-error] a login that does not do is answered with 401 and its own error, and no handler runs', async () => {
      const before = api.ran
      expect(await outcome('/acr', { acr: 'urn:example:bronze' })).toBe('401 step_up_required')
      const { Bearer } = await challenge('/acr', { acr: 'urn:example:bronze' })
      expect(Bearer).toMatchObject({ error: 'insufficient_user_authentication' })
      expect(Bearer?.['error_description']).toMatch(/^[\x20\x21\x23-\x5b\x5d-\x7e]+$/)
      expect(api.ran).toBe(before)
    })

    test('[RFC9470-2-met] a login that does is let through', async () => {
      const before = api.ran
      expect(await outcome('/both', { acr: 'urn:example:gold', auth_time: START_SECONDS - 299 })).toBe('200')
      expect(api.ran).toBe(before + 1)
    })

    test('[RFC9470-3-acr-values] acr_values lists what is accepted, separated by spaces, in order of preference', async () => {
      const { Bearer } = await challenge('/acr')
      expect(Bearer?.['acr_values']).toBe('urn:example:gold urn:example:silver')
      expect(Bearer).not.toHaveProperty('max_age')
    })

    test.each(['urn:example:gold', 'urn:example:silver'])('[RFC9470-3-acr-values] any one of them does: %s', async (acr) => {
      expect(await outcome('/acr', { acr })).toBe('200')
    })

    test.each<[path: string, seconds: string]>([
      ['/recent', '300'],
      ['/now', '0'],
    ])('[RFC9470-3-max-age] max_age is a whole number of seconds: %s', async (path, seconds) => {
      const { Bearer } = await challenge(path)
      expect(Bearer?.['max_age']).toBe(seconds)
      expect(Bearer).not.toHaveProperty('acr_values')
    })

    test.each<[ago: number, path: string, expected: string]>([
      [300, '/recent', '200'],
      [306, '/recent', '401 step_up_required'],
      [0, '/now', '200'],
      [6, '/now', '401 step_up_required'],
      [-6, '/recent', '401 step_up_required'],
    ])('[RFC9470-3-max-age] a login %i s ago, for %s', async (ago, path, expected) => {
      expect(await outcome(path, { auth_time: START_SECONDS - ago })).toBe(expected)
    })

    test('[RFC9470-3-both] both stand in one challenge where both are asked', async () => {
      const { Bearer } = await challenge('/both', { acr: 'urn:example:gold', auth_time: START_SECONDS - 3600 })
      expect(Bearer).toMatchObject({ acr_values: 'urn:example:gold', max_age: '300' })
    })

    test('[RFC9470-3-scope] scopes stand beside them where the token lacks some, and only there', async () => {
      expect((await challenge('/scopes'))['Bearer']).toMatchObject({
        ...{ error: 'insufficient_user_authentication', scope: 'payments:write orders:read', acr_values: 'urn:example:gold' },
      })
      const { Bearer } = await challenge('/scopes', { scope: 'payments:write orders:read' })
      expect(Bearer).toMatchObject({ acr_values: 'urn:example:gold' })
      expect(Bearer).not.toHaveProperty('scope')
      expect(await outcome('/scopes', { acr: 'urn:example:gold' })).toBe('403 scope_insufficient')
    })

    test('[RFC9470-3-schemes] the challenge is of the scheme that the token came with', async () => {
      const { headers } = await api.ask({ path: '/both' })
      const challenges = challengesOf(headers['www-authenticate'])
      expect(Object.keys(challenges)).toEqual(['DPoP'])
      expect(challenges['DPoP']).toMatchObject({
        ...{ error: 'insufficient_user_authentication', acr_values: 'urn:example:gold', max_age: '300' },
        algs: expect.any(String),
      })
      expect(Object.keys(await challenge('/both'))).toEqual(['Bearer', 'DPoP'])
      const met = api.token({ acr: 'urn:example:gold', auth_time: START_SECONDS })
      expect(await api.outcome({ path: '/both', token: met })).toBe('200')
    })

    test.each<[claim: string, value: JsonValue | undefined]>([
      ['acr', undefined],
      ['acr', ['urn:example:gold']],
      ['acr', 'urn:example:gold urn:example:silver'],
      ['acr', null],
      ['auth_time', undefined],
      ['auth_time', `${START_SECONDS}`],
      ['auth_time', START_SECONDS * 1000],
      ['auth_time', null],
    ])('[RFC9470-6.1-claims] %s %j tells of no login', async (claim, value) => {
      const claims = { acr: 'urn:example:gold', auth_time: START_SECONDS, [claim]: value }
      expect(await outcome('/both', claims)).toBe('401 step_up_required')
    })

    test('[Design-step-up-delegated] somebody who acts for the user never meets it, unless the rule lets the user’s login count', async () => {
      const login = { acr: 'urn:example:gold', auth_time: START_SECONDS }
      expect(await outcome('/both', { ...DELEGATED, ...login })).toBe('403 delegation_forbidden')
      expect((await challenge('/both', { ...DELEGATED, ...login }))['Bearer']).not.toHaveProperty('acr_values')
      expect(await outcome('/both', { ...TRUSTED, ...login })).toBe('200')
      expect(await outcome('/both', TRUSTED)).toBe('401 step_up_required')
    })

    test('[Design-step-up-in-vain] nobody is asked to log in where that would not help', async () => {
      expect(await outcome('/both', { ...DELEGATED })).toBe('403 delegation_forbidden')
      const { headers, body } = await bearer('/both', { sub: 'user-1', act: { sub: 'agent-1' } })
      expect(JSON.stringify([headers, body])).not.toContain('insufficient_user_authentication')
    })
  })

  describe('rich authorization (RFC 9396)', () => {
    const having = (value: JsonValue | undefined, more: Claims = {}): Claims => ({ authorization_details: value, ...more })

    test('[RFC9396-9.1-claim] the top-level claim is what counts', async () => {
      expect(await outcome('/payments', having([PAYMENT]))).toBe('200')
      expect(await outcome('/payments')).toBe('403 requirement_failed')
      expect(await outcome('/payments', { ext: { authorization_details: [PAYMENT] } })).toBe('403 requirement_failed')
      expect(contextOf(await bearer('/', having([PAYMENT])))).toMatchObject({ authorizationDetails: [PAYMENT] })
    })

    test.each<[what: string, value: JsonValue]>([
      ['one object', PAYMENT],
      ['a text', JSON.stringify([PAYMENT])],
      ['null', null],
      ['a list of texts', ['payment']],
      ['an object without type', [{ actions: ['initiate'] }]],
      ['a type that is no text', [{ type: ['payment'] }]],
    ])('[RFC9396-2-shape] a claim that is no list of objects with a type refuses the token: %s', async (_, value) => {
      expect(await outcome('/', having(value))).toBe('401 claim_invalid')
    })

    test.each<[what: string, detail: JsonValue]>([
      ['actions', { type: 'payment', actions: 'initiate' }],
      ['locations', { type: 'payment', locations: [1] }],
      ['datatypes', { type: 'payment', datatypes: {} }],
      ['privileges', { type: 'payment', privileges: null }],
      ['identifier', { type: 'payment', identifier: ['a'] }],
    ])('[RFC9396-2.2-common] so does a common member of another type, where the type is known: %s', async (_, detail) => {
      expect(await outcome('/', having([detail]))).toBe('401 claim_invalid')
      expect(await outcome('/', having([{ ...(detail as object), type: 'photo' }]))).toBe('200')
    })

    test.each(['Payment', 'payment ', 'paymen', 'photo', ''])('[RFC9396-2-type-exact] type %j is another one', async (type) => {
      const answer = await bearer('/', having([{ ...PAYMENT, type }]))
      expect(contextOf(answer)).toMatchObject({ authorizationDetails: [] })
      expect(await outcome('/payments', having([{ ...PAYMENT, type }]))).toBe('403 requirement_failed')
    })

    test('[RFC9396-3-one-object] what two objects say apart, none says', async () => {
      const apart = [
        { ...PAYMENT, locations: ['https://elsewhere.example'] },
        { ...PAYMENT, actions: ['status'] },
      ]
      expect(await outcome('/payments', having(apart))).toBe('403 requirement_failed')
      expect(await outcome('/payments', having([{ type: 'payment' }]))).toBe('403 requirement_failed')
    })

    test('[Design-details-delegated] of a delegated call only what its rule leaves counts', async () => {
      expect(await outcome('/payments', having([PAYMENT], DELEGATED))).toBe('403 scope_not_delegated')
      expect(await outcome('/payments', having([PAYMENT], TRUSTED))).toBe('200')
      expect(await outcome('/payments', DELEGATED)).toBe('403 requirement_failed')
      expect(contextOf(await bearer('/', having([PAYMENT], DELEGATED)))).toMatchObject({ authorizationDetails: [] })
    })
  })

  describe('of an opaque token, its issuer’s answer tells the same (RFC 7662)', () => {
    /** Asks for a path with a token of which the issuer says these claims. */
    async function told(path: string, claims: JsonObject): Promise<Answer> {
      const server = await createIntrospectionServer()
      const token = 'an-opaque-token-2YotnFZFEjr1zCsicMWpAA'
      const good = { token_type: 'Bearer', iss: issuer.issuer, aud: issuer.audience, sub: 'user-1', exp: START_SECONDS + 600 }
      server.reply = knows({ [token]: { ...good, ...claims } })
      const asked = custom({
        ...{ issuer: issuer.issuer, audience: issuer.audience, jwks: issuer.jwks(), tokenTypes: ['at+jwt'], kind: 'delegation' },
        ...{ actor: { claim: 'act' }, authorizationDetails: ['payment'] },
        introspection: {
          ...{ endpoint: server.endpoint, clientId: 'orders-api' },
          authentication: { method: 'client_secret_basic', clientSecret: 'tops3cret' },
        },
      })
      const limits = { fetchHeadersMilliseconds: 60_000, fetchTotalMilliseconds: 60_000 } // however slow the machine is
      const options = { issuers: [asked], delegation: RULES, audit: 'none', now: () => START_SECONDS * 1000, limits } as const
      const running = await startApi(framework, options, (app, guarded, { handler }) => {
        app.use(guarded.authenticate())
        const answer = handler((call) => call.json(guarded.contextOf(call.request)))
        for (const [each, requirement] of Object.entries(ROUTES)) app.route('GET', each, guarded.guard(requirement), answer)
      })
      try {
        return await ask(running.port, { path, headers: [bearerField(token)] })
      } finally {
        await running.close()
        await server.close()
      }
    }

    test('[RFC9470-6.2-introspection] acr and auth_time of the answer tell of the login', async () => {
      const login = { acr: 'urn:example:gold', auth_time: START_SECONDS - 10 }
      expect(outcomeOf(await told('/both', login))).toBe('200')
      expect(outcomeOf(await told('/both', { ...login, auth_time: START_SECONDS - 3600 }))).toBe('401 step_up_required')
      expect(outcomeOf(await told('/both', {}))).toBe('401 step_up_required')
      expect(outcomeOf(await told('/both', { ...login, act: { sub: 'agent-1' } }))).toBe('403 delegation_forbidden')
    })

    test('[RFC9396-9.2-introspection] authorization_details of the answer are read and checked as in a token', async () => {
      expect(outcomeOf(await told('/payments', { authorization_details: [PAYMENT] }))).toBe('200')
      expect(outcomeOf(await told('/payments', {}))).toBe('403 requirement_failed')
      expect(outcomeOf(await told('/payments', { authorization_details: [{ actions: ['initiate'] }] }))).toBe('401 claim_invalid')
    })

    test('[Design-chain-complete] so is chain_complete, of which the draft speaks there', async () => {
      const act = { sub: 'agent-1' }
      expect(outcomeOf(await told('/chain', { act, chain_complete: false }))).toBe('403 chain_incomplete')
      expect(outcomeOf(await told('/chain', { act, chain_complete: true }))).toBe('200')
    })
  })

  describe('consent and reason', () => {
    const call = (sub: string) => bearer('/', { sub, act: { sub: 'agent-3' } })

    test('[Design-consent-recorded] what the application knows of a consent is in the context and in every record', async () => {
      const consent = { consentId: 'consent-1', expiresAt: START_SECONDS + 60 }
      consents.set('customer-1', { allow: true, ...consent })
      api.sink.clear()
      const answer = await call('customer-1')
      expect(contextOf(answer)).toMatchObject({ rule: 'consented', consent: { ...consent, ticket: null, reason: null } })
      await api.sink.until(({ type }) => type === 'access.outcome')
      expect(api.sink.events.map((event) => event.consent?.consentId)).toEqual(['consent-1', 'consent-1'])

      consents.set('customer-1', { allow: false, ...consent })
      api.sink.clear()
      expect(outcomeOf(await call('customer-1'))).toBe('403 actor_unauthorized')
      expect(api.sink.events).toMatchObject([{ decision: 'refuse', rule: 'consented', consent }])
    })

    test('[Design-consent-end] a consent that has ended admits nobody, whatever the application says', async () => {
      consents.set('customer-2', { allow: true, consentId: 'consent-2', expiresAt: START_SECONDS })
      expect(outcomeOf(await call('customer-2'))).toBe('403 actor_unauthorized')
    })

    test('[Design-consent-shape] an answer of another shape admits nobody: 503', async () => {
      for (const more of [{ expiresAt: 'never' }, { expiresAt: (START_SECONDS + 60) * 1000 }, { ticket: 'a\nb' }, { until: 1 }]) {
        consents.set('customer-3', { allow: true, consentId: 'consent-3', expiresAt: START_SECONDS + 60, ...more } as never)
        expect(outcomeOf(await call('customer-3'))).toBe('503 rule_unavailable')
      }
    })
  })

  test('[Design-chain-complete] a chain that its issuer does not call complete is told, and refused where the whole is asked for', async () => {
    const incomplete = { ...DELEGATED, chain_complete: false }
    expect(contextOf(await bearer('/', incomplete))).toMatchObject({ kind: 'delegation', notices: ['chain_incomplete'] })
    expect(await outcome('/chain', incomplete)).toBe('403 chain_incomplete')
    expect(await outcome('/chain', { ...DELEGATED, chain_complete: 'true' })).toBe('403 chain_incomplete')
    expect(await outcome('/chain', { ...DELEGATED, chain_complete: true })).toBe('200')
    expect(await outcome('/chain', DELEGATED)).toBe('200')
    expect(await outcome('/', { ...TRUSTED, chain_complete: false })).toBe('403 chain_incomplete')
  })
})
