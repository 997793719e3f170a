/** The whole way of a delegated call: a real authorization server with token exchange, openid-client as the client, both adapters. */
import { createHash, generateKeyPairSync, sign, X509Certificate } from 'node:crypto'
import { Agent, request } from 'node:https'
import type { TLSSocket } from 'node:tls'
import type { AuditEvent } from '@behalf/core'
import { createDpopClient, type MemorySink } from '@behalf/testing'
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { visit } from '../examples/token-exchange/src/browser.js'
import { CALLBACK, TOKEN_EXCHANGE } from '../examples/token-exchange/src/clients.js'
import type { Consent } from '../examples/token-exchange/src/consents.js'
import { httpsFetch } from '../examples/token-exchange/src/https-fetch.js'
import { connect, issuerOf, type OAuthClient, type Tokens } from '../examples/token-exchange/src/oauth-client.js'
import { readOwnToken } from '../examples/token-exchange/src/presented-token.js'
import { claimsOf } from '../examples/token-exchange/src/printing.js'
import { ACTOR_SCOPE, agentResource } from '../examples/token-exchange/src/resources.js'
import { ACCESS_TOKEN_TYPE } from '../examples/token-exchange/src/token-exchange.js'
import { TokenLedger } from '../examples/token-exchange/src/token-ledger.js'
import { type Cast, castOf, exchangeParameters, recorded, refusalOf, signInOf, toldBy } from './support/token-exchange.js'
import { BINDINGS, FRAMEWORKS, startTestWorld } from './support/token-exchange-world.js'

/** What libraries print, from before any of them is loaded. */
const printed = vi.hoisted(() => {
  const lines: unknown[] = []
  for (const name of ['log', 'info', 'warn', 'error'] as const) console[name] = (...line: unknown[]) => void lines.push(line)
  return lines
})
const ALL_SCOPES = ['orders:read', 'orders:refund', 'orders:write']

const { world, sinks, issuer, begin, end } = await startTestWorld()
/** Ada's, in each test a new one. */
let consent: Consent
beforeEach(() => {
  consent = begin()
})
afterAll(async () => expect({ warnings: await end(), printed }).toEqual({ warnings: [], printed: [] }))

/** A party of the audit trail, as this issuer's tokens name it. */
function party(id: string, profile: string, type: 'client' | null = null) {
  return { id, idClaim: 'sub', issuer, type, profiles: [profile], tenant: null }
}

describe.each(BINDINGS)('tokens bound by %s', (binding) => {
  describe.each(FRAMEWORKS)('at the API with %s', (framework) => {
    const scheme = binding === 'dpop' ? 'dpop' : 'bearer'
    let cast: Cast
    let api: string
    let sink: MemorySink

    beforeAll(async () => {
      api = world.apis[framework]
      sink = sinks[framework]
      cast = await castOf(world, binding, api)
    })

    /** What both events of an admitted call say of who calls. */
    async function callerRecorded(): Promise<
      Pick<AuditEvent, 'kind' | 'subject' | 'actor' | 'chain' | 'clientId' | 'rule' | 'scopes'>
    > {
      const [decision, outcome] = await recorded(sink)
      expect(decision).toMatchObject({ stage: 'rules', decision: 'allow', reason: null, result: null })
      expect(outcome).toMatchObject({
        stage: 'response',
        decision: 'allow',
        result: 'completed',
        http: { route: '/orders', status: 200 },
      })
      const who = ({ kind, subject, actor, chain, clientId, rule, scopes }: AuditEvent) =>
        ({ kind, subject, actor, chain, clientId, rule, scopes }) as const
      expect(who(outcome)).toEqual(who(decision))
      return who(outcome)
    }

    test('[RFC9728-5.1-newcomer] a client that knows nothing but the API finds out who issues tokens, and how they may be bound', async () => {
      const fetch = httpsFetch(world)
      expect(await issuerOf(fetch, api)).toBe(issuer)
      const answer = await fetch(`${api}/.well-known/oauth-protected-resource`)
      expect(await answer.json()).toEqual({
        resource: api,
        authorization_servers: [issuer],
        scopes_supported: ['orders:read', 'orders:write', 'orders:refund'],
        bearer_methods_supported: ['header'],
        resource_name: 'Orders',
        dpop_signing_alg_values_supported: expect.arrayContaining(['ES256', 'EdDSA']),
        tls_client_certificate_bound_access_tokens: true,
      })
    })

    test('[RFC8693-1.1-in-person] a customer calls in person', async () => {
      const { status, body } = await cast.helpdesk.call(cast.ada, 'GET', `${api}/orders`)
      expect([status, body]).toEqual([200, { subject: 'ada', chain: [], rule: null, consent: null, scopes: ALL_SCOPES }])
      expect(await callerRecorded()).toEqual({
        kind: 'direct',
        subject: party('ada', 'user'),
        actor: null,
        chain: [],
        clientId: `helpdesk-${binding}`,
        rule: null,
        scopes: { token: ALL_SCOPES, effective: ALL_SCOPES },
      })
    })

    test('[RFC8693-1.1-delegated] support calls for the customer, and both are recorded', async () => {
      const { status, body } = await cast.helpdesk.call(cast.support, 'GET', `${api}/orders`)
      const left = ['orders:read', 'orders:write']
      const { consentId } = consent
      expect([status, body]).toEqual([200, { subject: 'ada', chain: ['sam'], rule: 'support', consent: consentId, scopes: left }])
      expect(await callerRecorded()).toEqual({
        kind: 'delegation',
        subject: party('ada', 'user'),
        actor: party('sam', 'user'),
        chain: [party('sam', 'user')],
        clientId: `helpdesk-${binding}`,
        rule: 'support',
        scopes: { token: ALL_SCOPES, effective: left },
      })
    })

    test('[RFC8693-4.1-reexchanged] an agent calls two hops deep: it is the actor, and support stands behind it', async () => {
      const { status, body } = await cast.researcher.call(cast.agent, 'GET', `${api}/orders`)
      const { id } = cast.researcher
      const { consentId } = consent
      expect([status, body]).toEqual([
        200,
        { subject: 'ada', chain: [id, 'sam'], rule: 'agents', consent: consentId, scopes: ['orders:read'] },
      ])
      expect(await callerRecorded()).toEqual({
        kind: 'delegation',
        subject: party('ada', 'user'),
        actor: party(id, 'ai_agent', 'client'), // the token was issued to it
        chain: [party(id, 'ai_agent', 'client'), party('sam', 'user')],
        clientId: id,
        rule: 'agents',
        scopes: { token: ['orders:read'], effective: ['orders:read'] },
      })
    })

    test('[RFC8693-4.1-too-deep] a third hop is too many for the API, though the authorization server takes it', async () => {
      const { researcher, translator, errand } = cast
      const [own, others] = [await researcher.ownToken(issuer, ACTOR_SCOPE), await translator.ownToken(issuer, ACTOR_SCOPE)]
      const sentOn = await researcher.exchange({ subject: errand, actor: own, resource: agentResource(translator.id) })
      const third = await translator.exchange({ subject: sentOn, actor: others, resource: api, scope: 'orders:read' })
      const answer = await translator.call(third, 'GET', `${api}/orders`)
      expect(toldBy(answer)).toEqual([403, 'delegation_too_deep', scheme, 'actor_unauthorized'])
      const chain = [party(translator.id, 'ai_agent', 'client'), party(researcher.id, 'ai_agent'), party('sam', 'user')]
      expect(sink.events.at(-1)).toMatchObject({
        reason: 'delegation_too_deep',
        rule: 'agents',
        actor: chain[0],
        chain,
        result: null,
      })
    })

    test.each<[who: 'support' | 'agent' | 'sam', request: string, status: number, code: string, error: string]>([
      ['support', 'POST /orders/7/refund', 403, 'scope_not_delegated', 'actor_unauthorized'],
      ['agent', 'POST /orders', 403, 'scope_insufficient', 'insufficient_scope'],
      ['agent', 'GET /letters', 403, 'actor_unauthorized', 'actor_unauthorized'],
      ['sam', 'GET /orders', 401, 'audience_mismatch', 'invalid_token'],
    ])('[Delegation-exchanged-refused] %s is refused %s: %i %s', async (who, request, status, code, error) => {
      const [method = '', path = ''] = request.split(' ')
      const client = who === 'agent' ? cast.researcher : cast.helpdesk
      const answer = await client.call(cast[who], method, api + path)
      expect(toldBy(answer)).toEqual([status, code, scheme, error])
      expect(sink.events.filter(({ reason }) => reason === code)).toMatchObject([{ decision: 'refuse', http: { status } }])
    })

    test('[RFC9449-7.1-stolen] [RFC8705-3-stolen] a stolen token is of no use to whoever has another key or certificate, or none', async () => {
      const { translator, agent, researcher } = cast
      const other = await translator.call(agent, 'GET', `${api}/orders`)
      expect(toldBy(other)).toEqual([401, 'sender_mismatch', scheme, 'invalid_token'])

      const bare = await httpsFetch(world)(`${api}/orders`, { headers: { authorization: `Bearer ${agent.access_token}` } })
      expect([bare.status, ((await bare.json()) as { code: string }).code]).toEqual([401, 'sender_mismatch'])
      expect(bare.headers.get('www-authenticate')).toContain('error="invalid_token"')

      const thief = createDpopClient()
      const proved = thief.headers('GET', `${api}/orders`, agent.access_token)
      const signed = await httpsFetch(world)(`${api}/orders`, { headers: proved })
      expect([signed.status, ((await signed.json()) as { code: string }).code]).toEqual([401, 'sender_mismatch'])

      const whose = { actor: { id: researcher.id }, subject: { id: 'ada' }, stage: 'bind', decision: 'refuse' }
      expect(sink.events).toMatchObject([whose, whose, whose])
    })

    test('[Delegation-exchanged-audience] a token for one API opens no other', async () => {
      const elsewhere = world.apis[framework === 'express' ? 'koa' : 'express']
      const answer = await cast.helpdesk.call(cast.support, 'GET', `${elsewhere}/orders`)
      expect(toldBy(answer)).toEqual([401, 'audience_mismatch', scheme, 'invalid_token'])
    })

    if (binding === 'dpop') {
      test('[RFC9449-9-client] a client is given a nonce with its first call, and goes on with it by itself', async () => {
        const newcomer = await castOf(world, binding, api)
        const count = async () => {
          const before = newcomer.sent.helpdesk.length
          const { status } = await newcomer.helpdesk.call(newcomer.ada, 'GET', `${api}/orders`)
          return [status, newcomer.sent.helpdesk.length - before]
        }
        expect(await count()).toEqual([200, 2])
        expect(await count()).toEqual([200, 1])
        expect(sink.events[0]).toMatchObject({ stage: 'bind', reason: 'proof_nonce_required', http: { status: 401 } })
        const nonces = newcomer.sent.helpdesk
          .slice(-3)
          .map(([, { headers }]) => claimsOf(new Headers(headers).get('dpop') ?? '')['nonce'])
        expect(nonces.map((nonce) => typeof nonce)).toEqual(['undefined', 'string', 'string'])
      })

      test('[RFC9449-11.1-overheard] the very request, sent a second time, is refused', async () => {
        await cast.researcher.call(cast.agent, 'GET', `${api}/orders`)
        const [url, init] = cast.sent.researcher.at(-1) ?? expect.fail('nothing was sent')
        const answer = await httpsFetch(world)(url, init)
        expect([answer.status, ((await answer.json()) as { code: string }).code]).toEqual([401, 'proof_replayed'])
        const challenge = answer.headers.get('www-authenticate')
        expect(challenge).toMatch(/^DPoP .*error="invalid_dpop_proof"/)
        expect(sink.events.filter(({ reason }) => reason === 'proof_replayed')).toMatchObject([
          { stage: 'bind', actor: { id: cast.researcher.id } },
        ])
      })

      test('[RFC9449-4.3-elsewhere] an overheard proof fits no other route, method or API', async () => {
        await cast.researcher.call(cast.agent, 'GET', `${api}/orders`)
        const [, init] = cast.sent.researcher.at(-1) ?? expect.fail('nothing was sent')
        const code = async (url: string, method: string) =>
          ((await (await httpsFetch(world)(url, { ...init, method })).json()) as { code: string }).code
        expect(await code(`${api}/letters`, 'GET')).toBe('proof_target_mismatch')
        expect(await code(`${api}/orders`, 'POST')).toBe('proof_method_mismatch')
        const elsewhere = world.apis[framework === 'express' ? 'koa' : 'express']
        expect(await code(`${elsewhere}/orders`, 'GET')).toBe('audience_mismatch')
      })
    } else {
      test('[RFC8705-3-resumed] the certificate holds on a resumed TLS session too', async () => {
        const agent = new Agent({ ca: world.ca, ...world.clients.mtls.researcher.certificate })
        const headers = { authorization: `Bearer ${cast.agent.access_token}` }
        const call = (): Promise<readonly [status: number | undefined, resumed: boolean]> =>
          new Promise((resolve, reject) => {
            const sent = request(`${api}/orders`, { agent, headers }, (answer) => {
              const resumed = (answer.socket as TLSSocket).isSessionReused()
              answer.resume().on('end', () => resolve([answer.statusCode, resumed]))
            })
            sent.on('error', reject).end()
          })
        expect([await call(), await call()]).toEqual([
          [200, false],
          [200, true],
        ])
      })
    }
  })

  describe('the authorization server', () => {
    let cast: Cast
    let api: string

    beforeAll(async () => {
      api = world.apis.express
      cast = await castOf(world, binding, api)
    })

    const ask = (client: OAuthClient, parameters: URLSearchParams): Promise<Tokens> => client.grant(TOKEN_EXCHANGE, parameters)
    const good = () => exchangeParameters(cast.ada, cast.sam, api)

    test('issues what was asked for: bound, for one API, and no longer than what it comes from', async () => {
      const tokens = await ask(cast.helpdesk, good())
      expect(tokens).toEqual({
        access_token: expect.any(String),
        issued_token_type: ACCESS_TOKEN_TYPE,
        token_type: binding === 'dpop' ? 'dpop' : 'bearer',
        expires_in: expect.any(Number),
        scope: 'orders:read orders:write orders:refund',
      })
      const [header = ''] = tokens.access_token.split('.')
      expect(JSON.parse(Buffer.from(header, 'base64url').toString())).toEqual({
        typ: 'at+jwt',
        alg: 'ES256',
        kid: expect.any(String),
      })
      const { cnf, exp, iat, jti, ...claims } = claimsOf(tokens.access_token)
      expect(claims).toEqual({
        iss: issuer,
        aud: api,
        sub: 'ada',
        sub_profile: 'user',
        client_id: cast.helpdesk.id,
        scope: 'orders:read orders:write orders:refund',
        act: { iss: issuer, sub: 'sam', sub_profile: 'user' },
        may_act: { iss: issuer, sub: cast.researcher.id },
        ...signInOf(cast.ada),
      })
      expect(cnf).toEqual(claimsOf(cast.ada.access_token)['cnf'])
      expect(exp).toBe(Math.min(...[cast.ada, cast.sam].map(({ access_token }) => Number(claimsOf(access_token)['exp']))))
      expect(Number(exp) - Number(iat)).toBeLessThanOrEqual(300)
      if (binding === 'mtls') {
        const { raw } = new X509Certificate(world.clients.mtls.helpdesk.certificate.cert)
        expect(cnf).toEqual({ 'x5t#S256': createHash('sha256').update(raw).digest('base64url') })
      }
    })

    test('nests the earlier actor, and binds to whoever exchanges', () => {
      const { act, cnf, may_act } = claimsOf(cast.agent.access_token)
      const earlier = { iss: issuer, sub: 'sam', sub_profile: 'user' }
      expect(act).toEqual({ iss: issuer, sub: cast.researcher.id, sub_profile: 'ai_agent', act: earlier })
      expect(may_act).toEqual({ iss: issuer, sub: cast.translator.id })
      expect(Object.keys(cnf as object)).toEqual([binding === 'dpop' ? 'jkt' : 'x5t#S256'])
      expect(cnf).not.toEqual(claimsOf(cast.errand.access_token)['cnf'])
    })

    test('takes the target as `audience` too, or as both', async () => {
      const byAudience = good()
      byAudience.delete('resource')
      byAudience.set('audience', api)
      const byBoth = good()
      byBoth.set('audience', api)
      for (const parameters of [byAudience, byBoth])
        expect(claimsOf((await ask(cast.helpdesk, parameters)).access_token)['aud']).toBe(api)
    })

    const set = (name: string, value: string) => (parameters: URLSearchParams) => parameters.set(name, value)
    const without = (name: string) => (parameters: URLSearchParams) => parameters.delete(name)
    const add = (name: string, value: string) => (parameters: URLSearchParams) => parameters.append(name, value)
    const spoil = (name: string, change: (token: string) => string) => (parameters: URLSearchParams) =>
      parameters.set(name, change(parameters.get(name) ?? ''))
    const withClaims = (changes: object) => (token: string) => {
      const [header = '', , signature = ''] = token.split('.')
      return [header, encode({ ...claimsOf(token), ...changes }), signature].join('.')
    }

    test.each<[what: string, change: (parameters: URLSearchParams) => void, error: string]>([
      ['no subject token', without('subject_token'), 'invalid_request'],
      ['an empty subject token', set('subject_token', ''), 'invalid_request'],
      ['no type of the subject token', without('subject_token_type'), 'invalid_request'],
      [
        'another type of subject token',
        set('subject_token_type', 'urn:ietf:params:oauth:token-type:id_token'),
        'invalid_request',
      ],
      ['no actor token: impersonation', without('actor_token'), 'invalid_request'],
      ['no type of the actor token', without('actor_token_type'), 'invalid_request'],
      ['another type of actor token', set('actor_token_type', 'urn:ietf:params:oauth:token-type:saml2'), 'invalid_request'],
      [
        'a refresh token asked for',
        set('requested_token_type', 'urn:ietf:params:oauth:token-type:refresh_token'),
        'invalid_request',
      ],
      ['two subject tokens', add('subject_token', 'x'), 'invalid_request'],
      ['a subject token that is no JWT', set('subject_token', 'x'), 'invalid_request'],
      ['a subject token of four parts', spoil('subject_token', (token) => `${token}.`), 'invalid_request'],
      ['a subject token without signature', spoil('subject_token', (token) => token.replace(/[^.]+$/, '')), 'invalid_request'],
      ['a subject token with half of its signature', spoil('subject_token', (token) => token.slice(0, -43)), 'invalid_request'],
      ['a subject token that was written over', spoil('subject_token', withClaims({ sub: 'sam' })), 'invalid_request'],
      ['an actor token that was written over', spoil('actor_token', withClaims({ sub: 'mallory' })), 'invalid_request'],
      ['a scope that the subject token does not have', set('scope', 'orders:read orders:delete'), 'invalid_scope'],
      ['a scope that only the actor token has', set('scope', ACTOR_SCOPE), 'invalid_scope'],
      ['no target', without('resource'), 'invalid_target'],
      ['an unknown target', set('resource', 'https://elsewhere.example.com'), 'invalid_target'],
      ['an unknown audience', (each) => [each.delete('resource'), each.set('audience', 'orders')], 'invalid_target'],
      ['two targets', add('resource', 'https://elsewhere.example.com'), 'invalid_target'],
      ['a resource and another audience', set('audience', 'https://elsewhere.example.com'), 'invalid_target'],
    ])('refuses %s', async (_what, change, error) => {
      const parameters = good()
      change(parameters)
      expect((await refusalOf(ask(cast.helpdesk, parameters))).slice(0, 2)).toEqual([400, error])
    })

    test('lets nobody act whom the subject has not named', async () => {
      const { helpdesk, researcher, translator, ada, sam, errand } = cast
      const mallory = await helpdesk.signIn(world.people.mallory, issuer, ACTOR_SCOPE)
      const stranger = [400, 'invalid_request', 'the actor may not act for this subject']
      const exchange = (client: OAuthClient, subject: Tokens, actor: Tokens) =>
        refusalOf(client.exchange({ subject, actor, resource: api }))
      expect(await exchange(helpdesk, ada, mallory)).toEqual(stranger)
      expect(await exchange(helpdesk, mallory, sam)).toEqual(stranger) // has named nobody
      expect(await exchange(helpdesk, sam, sam)).toEqual(stranger) // nobody acts for themselves
      const notNext = await helpdesk.exchange({ subject: ada, actor: sam, resource: agentResource(translator.id) })
      expect(await exchange(translator, notNext, await translator.ownToken(issuer, ACTOR_SCOPE))).toEqual(stranger)
      const reversed = await researcher.ownToken(agentResource(translator.id), 'orders:read') // a program is no customer
      expect(await exchange(translator, reversed, await translator.ownToken(issuer, ACTOR_SCOPE))).toEqual([
        400,
        'invalid_request',
        'the subject is nobody here',
      ])
      const delegated = await helpdesk.exchange({ subject: ada, actor: sam, resource: issuer })
      expect(await exchange(helpdesk, ada, delegated)).toEqual([
        400,
        'invalid_request',
        'actor_token is delegated itself: an actor has to come in person',
      ])
      const samAtApi = await helpdesk.signIn(world.people.sam, api, 'orders:read')
      expect(await exchange(helpdesk, ada, samAtApi)).toEqual([400, 'invalid_request', 'actor_token is meant for somebody else'])
      expect(await exchange(researcher, errand, sam)).toEqual([400, 'invalid_request', 'actor_token belongs to somebody else'])
    })

    test('exchanges no token for anybody but its holder, or whom it was made for', async () => {
      const { researcher, translator, agent, errand, ada } = cast
      const theirs = [400, 'invalid_request', 'subject_token belongs to somebody else']
      const exchange = async (client: OAuthClient, subject: Tokens) =>
        refusalOf(client.exchange({ subject, actor: await client.ownToken(issuer, ACTOR_SCOPE), resource: api }))
      expect(await exchange(translator, agent)).toEqual(theirs)
      expect(await exchange(translator, errand)).toEqual(theirs)
      expect(await exchange(researcher, ada)).toEqual(theirs)
      if (binding === 'dpop') {
        const again = await connect(issuer, world.clients.dpop.researcher, world) // the same client, with another key
        expect(await exchange(again, agent)).toEqual(theirs)
      }
    })

    test('knows its clients, and how their tokens are bound', async () => {
      const init = { method: 'POST', body: good() }
      const { id, secret } = world.clients[binding].helpdesk
      const status = async (headers: Record<string, string>, body: URLSearchParams) => {
        const answer = await httpsFetch(world)(`${issuer}/token`, { ...init, headers, body })
        return [answer.status, ((await answer.json()) as { error: string }).error]
      }
      const request = good()
      request.set('grant_type', TOKEN_EXCHANGE)
      expect(await status({}, request)).toEqual([400, 'invalid_request'])
      const basic = (word: string) => ({ authorization: `Basic ${Buffer.from(`${id}:${word}`).toString('base64')}` })
      expect(await status(basic('guess'), request)).toEqual([401, 'invalid_client'])
      if (binding === 'dpop') {
        expect(await status(basic(secret), request)).toEqual([400, 'invalid_grant']) // no proof
      } else {
        request.set('client_id', id)
        expect(await status({}, request)).toEqual([401, 'invalid_client']) // no certificate
        const other = httpsFetch({ ca: world.ca, own: world.clients.mtls.researcher.certificate })
        const answer = await other(`${issuer}/token`, { method: 'POST', body: request })
        expect([answer.status, ((await answer.json()) as { error: string }).error]).toEqual([401, 'invalid_client'])
      }
    })

    if (binding === 'dpop') {
      test('takes a request with one proof once', async () => {
        await ask(cast.helpdesk, good())
        const [url, init] = cast.sent.helpdesk.at(-1) ?? expect.fail('nothing was sent')
        const answer = await cast.helpdesk.fetch(url, init)
        expect([answer.status, ((await answer.json()) as { error: string }).error]).toEqual([400, 'invalid_grant'])
      })
    }

    test('exchanges nothing that was taken back, nor what came of it', async () => {
      const fresh = await castOf(world, binding, api)
      world.authorizationServer.revoke(fresh.ada.access_token)
      const { helpdesk, researcher, ada, sam, errand } = fresh
      const own = await researcher.ownToken(issuer, ACTOR_SCOPE)
      const over = [400, 'invalid_request', 'subject_token is not a valid access token of this server']
      expect(await refusalOf(helpdesk.exchange({ subject: ada, actor: sam, resource: api }))).toEqual(over)
      expect(await refusalOf(researcher.exchange({ subject: errand, actor: own, resource: api }))).toEqual(over)
      world.authorizationServer.revoke(own.access_token)
      const other = await researcher.exchange({
        subject: cast.errand,
        actor: await researcher.ownToken(issuer, ACTOR_SCOPE),
        resource: api,
      })
      expect(other.scope).toBe('orders:read orders:write orders:refund') // somebody else's are as good as before
    })
  })
})

describe('the sign-in of the authorization server', () => {
  const start = (parameters: Record<string, string>) => {
    const asked = {
      client_id: 'helpdesk-dpop',
      response_type: 'code',
      redirect_uri: CALLBACK,
      resource: world.apis.koa,
      ...parameters,
    }
    return new URL(`${issuer}/auth?${new URLSearchParams({ scope: 'orders:read', ...asked })}`)
  }
  const challenge = { code_challenge: 'x'.repeat(43), code_challenge_method: 'S256' }
  const enter = (person: { id: string; password: string }, parameters: Record<string, string> = challenge) =>
    visit(httpsFetch(world), start(parameters), CALLBACK, person)

  test('lets nobody in without the right password', async () => {
    expect((await enter(world.people.ada)).searchParams.get('code')).toMatch(/^[\w-]+$/)
    const guessed = { id: 'ada', password: world.people.sam.password }
    await expect(enter(guessed)).rejects.toThrow('the sign-in ended with 401')
    await expect(enter({ id: '__proto__', password: '' })).rejects.toThrow('the sign-in ended with 401')
    const notSent = await httpsFetch(world)(`${issuer}/sign-in/x`, { method: 'POST', body: new URLSearchParams({ name: 'ada' }) })
    expect(notSent.status).toBe(400)
  })

  test('demands PKCE, and knows its APIs', async () => {
    const error = async (parameters: Record<string, string>) =>
      (await enter(world.people.ada, parameters)).searchParams.get('error')
    expect(await error({})).toBe('invalid_request')
    expect(await error({ ...challenge, resource: 'https://elsewhere.example.com' })).toBe('invalid_target')
  })
})

describe('the tokens that the authorization server takes for its own', () => {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const ledger = new TokenLedger()
  const reader = { issuer: 'https://as.example.com', ledger, key: publicKey }
  const now = Math.floor(Date.now() / 1000)
  const token = (claims: object = {}, header: object = {}, key = privateKey) => {
    const signed = [
      encode({ typ: 'at+jwt', alg: 'ES256', ...header }),
      encode({ iss: reader.issuer, sub: 'ada', jti: 'known', exp: now + 60, ...claims }),
    ].join('.')
    return `${signed}.${sign('sha256', Buffer.from(signed), { key, dsaEncoding: 'ieee-p1363' }).toString('base64url')}`
  }
  const rows: [what: string, make: () => string][] = [
    ['of another key', () => token({}, {}, generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey)],
    ['of another issuer', () => token({ iss: 'https://as.example.com/' })],
    ['of another type, such as an ID token', () => token({}, { typ: 'JWT' })],
    ['of another algorithm', () => token({}, { alg: 'none' })],
    ['that has ended', () => token({ exp: now - 1 })],
    ['that it does not know', () => token({ jti: 'unknown' })],
    ['that was taken back', () => token({ jti: 'revoked' })],
    ['that comes of one that was taken back', () => token({ jti: 'child' })],
    ['that comes of a session that was taken back', () => token({ jti: 'of a session' })],
  ]

  beforeAll(() => {
    ledger.add('ended', now - 1, [])
    for (const id of ['known', 'revoked']) ledger.add(id, now + 60, [])
    ledger.add('child', now + 60, ['known', 'revoked'])
    ledger.revoke('revoked')
    ledger.add('session', now + 60, [])
    ledger.add('of a session', now + 60, ['session'])
    ledger.revoke('session')
  })

  test('are those that it has issued, while they last', () => {
    expect(readOwnToken(token(), reader)).toMatchObject({ sub: 'ada', jti: 'known' })
    expect(ledger.stands('ended')).toBe(false) // forgotten
  })

  test('are none the less if another token of the session ends earlier, or comes later', () => {
    ledger.add('session', now - 1, [])
    ledger.add('late', now + 60, ['session'])
    expect(ledger.stands('session')).toBe(false)
    expect(ledger.stands('late')).toBe(false)
    ledger.add('other session', now + 60, [])
    ledger.add('other session', now - 1, [])
    ledger.add('of another session', now + 60, ['other session'])
    expect(ledger.stands('of another session')).toBe(true)
  })

  test.each(rows)('are none %s', (_what, make) => {
    expect(readOwnToken(make(), reader)).toBeNull()
  })
})

function encode(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url')
}
