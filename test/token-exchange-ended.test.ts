/** The whole way of a delegated call, to its end: consent withdrawn, and what was signed in for taken back. */
import { createHash, createPublicKey, generateKeyPairSync, type JsonWebKey, verify } from 'node:crypto'
import type { MemorySink } from '@behalf/testing'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { SECURITY_EVENTS } from '../examples/token-exchange/src/api-options.js'
import { type Cookies, visit } from '../examples/token-exchange/src/browser.js'
import { CALLBACK } from '../examples/token-exchange/src/clients.js'
import { type Consent, Consents, helpWanted } from '../examples/token-exchange/src/consents.js'
import { type Fetch, httpsFetch } from '../examples/token-exchange/src/https-fetch.js'
import type { OAuthClient, Tokens } from '../examples/token-exchange/src/oauth-client.js'
import { claimsOf } from '../examples/token-exchange/src/printing.js'
import { ACTOR_SCOPE, agentResource } from '../examples/token-exchange/src/resources.js'
import { createTransmitter } from '../examples/token-exchange/src/security-events.js'
import { createTransmitter as createForger, SESSION_REVOKED, SET_CONTENT_TYPE } from './support/security-event-transmitter.js'
import { type Cast, castOf, recorded, refusalOf, signInOf, toldBy } from './support/token-exchange.js'
import { BINDINGS, FRAMEWORKS, startTestWorld } from './support/token-exchange-world.js'

const ADMITTED = [200, null, null, null]

const { world, sinks, issuer, begin, end } = await startTestWorld()
/** Ada's, in each test a new one. */
let consent: Consent
beforeEach(() => {
  consent = begin()
})
afterAll(async () => expect(await end()).toEqual([]))

/** A request that somebody will make: to read the orders of an API. */
type Call = readonly [client: OAuthClient, tokens: Tokens, api: string]

/** How they are answered, one after the other. */
async function answersTo(calls: readonly Call[]): Promise<readonly (readonly unknown[])[]> {
  const answers: (readonly unknown[])[] = []
  for (const [client, tokens, api] of calls) answers.push(toldBy(await client.call(tokens, 'GET', `${api}/orders`)))
  return answers
}

describe.each(BINDINGS)('tokens bound by %s', (binding) => {
  const scheme = binding === 'dpop' ? 'dpop' : 'bearer'

  describe.each(FRAMEWORKS)('at the API with %s', (framework) => {
    const REVOKED = [401, 'token_revoked', scheme, 'invalid_token']
    const UNAUTHORIZED = [403, 'actor_unauthorized', scheme, 'actor_unauthorized']
    let api: string
    let elsewhere: string
    let sink: MemorySink

    beforeAll(() => {
      api = world.apis[framework]
      elsewhere = world.apis[framework === 'express' ? 'koa' : 'express']
      sink = sinks[framework]
    })

    /** The three that Ada's sign-in leads to: her own call, support's and the agent's. */
    const callsOf = ({ helpdesk, researcher, ada, support, agent }: Cast): readonly [Call, Call, Call] => [
      [helpdesk, ada, api],
      [helpdesk, support, api],
      [researcher, agent, api],
    ]

    /** Support's call and the agent's at the other API, with tokens of the same sign-in. */
    async function callsElsewhere({ helpdesk, researcher, ada, sam, errand }: Cast): Promise<readonly Call[]> {
      const own = await researcher.ownToken(issuer, ACTOR_SCOPE)
      const support = await helpdesk.exchange({ subject: ada, actor: sam, resource: elsewhere })
      const agent = await researcher.exchange({ subject: errand, actor: own, resource: elsewhere, scope: 'orders:read' })
      return [
        [helpdesk, support, elsewhere],
        [researcher, agent, elsewhere],
      ]
    }

    describe('while Ada is signed in', () => {
      let cast: Cast

      beforeAll(async () => {
        cast = await castOf(world, binding, api)
      })

      test('[Delegation-consent-recorded] delegated calls and their records name the consent that they stand on', async () => {
        const [own, ...delegated] = callsOf(cast)
        for (const [client, tokens] of delegated) {
          sink.clear()
          const { body } = await client.call(tokens, 'GET', `${api}/orders`)
          expect(body).toMatchObject({ subject: 'ada', consent: consent.consentId })
          for (const event of await recorded(sink)) expect(event).toMatchObject({ decision: 'allow', consent })
        }
        sink.clear()
        const [client, tokens] = own
        expect((await client.call(tokens, 'GET', `${api}/orders`)).body).toMatchObject({ rule: null, consent: null })
        for (const event of await recorded(sink)) expect(event).toMatchObject({ decision: 'allow', consent: null })
      })

      test('[Delegation-consent-withdrawn] the very next call of support and of its agent is refused, and Ada goes on', async () => {
        const calls = callsOf(cast)
        expect(await answersTo(calls)).toEqual([ADMITTED, ADMITTED, ADMITTED])
        sink.clear()
        world.consents.withdraw('ada')
        expect(await answersTo(calls)).toEqual([ADMITTED, UNAUTHORIZED, UNAUTHORIZED])
        const refusal = {
          stage: 'rules',
          reason: 'actor_unauthorized',
          subject: { id: 'ada' },
          consent,
          http: { status: 403 },
          result: null,
        }
        expect(sink.events.filter(({ decision }) => decision === 'refuse')).toMatchObject([
          { ...refusal, rule: 'support', actor: { id: 'sam' } },
          { ...refusal, rule: 'agents', actor: { id: cast.researcher.id } },
        ])

        const { consentId } = world.consents.give('ada', helpWanted())
        expect(await answersTo(calls)).toEqual([ADMITTED, ADMITTED, ADMITTED])
        expect(consentId).not.toBe(consent.consentId)
        expect(sink.events.findLast(({ rule }) => rule === 'agents')).toMatchObject({ decision: 'allow', consent: { consentId } })
      })

      test('[Delegation-consent-ended] a consent is good until it ends, and no longer', async () => {
        const expiresAt = Math.floor(Date.now() / 1000) - 1
        const { consentId } = world.consents.give('ada', { ...helpWanted(), expiresAt })
        expect(await answersTo(callsOf(cast))).toEqual([ADMITTED, UNAUTHORIZED, UNAUTHORIZED])
        expect(sink.events.at(-1)).toMatchObject({ reason: 'actor_unauthorized', consent: { consentId, expiresAt } })
      })

      test('[Delegation-consent-missing] the consent of one is none of another, and where there is none nobody acts', async () => {
        const { helpdesk, researcher } = cast
        const sam = await helpdesk.signIn(world.people.sam, agentResource(researcher.id), 'orders:read')
        const actor = await researcher.ownToken(issuer, ACTOR_SCOPE)
        const agent = await researcher.exchange({ subject: sam, actor, resource: api })
        expect(await answersTo([[researcher, agent, api]])).toEqual([UNAUTHORIZED])
        expect(sink.events.at(-1)).toMatchObject({ rule: 'agents', subject: { id: 'sam' }, consent: null })
      })
    })

    test('[Delegation-grant-revoked] [Delegation-grant-revoked-everywhere] all that came of a session is refused at both APIs once it is taken back, and nothing else is', async () => {
      const [theirs, others] = [await castOf(world, binding, api), await castOf(world, binding, api)]
      const calls = [...callsOf(theirs), ...(await callsElsewhere(theirs))]
      expect(await answersTo(calls)).toEqual(calls.map(() => ADMITTED)) // from now on the tokens are remembered
      const { grant_id, sid } = signInOf(theirs.ada)
      for (const each of Object.values(sinks)) each.clear()

      await world.authorizationServer.revokeSession(sid)
      expect(await answersTo(calls)).toEqual(calls.map(() => REVOKED))
      const refusal = { stage: 'verify', decision: 'refuse', reason: 'token_revoked', result: null, http: { status: 401 } }
      const of = { ...refusal, subject: { id: 'ada' }, grantId: grant_id }
      const [support, agent] = [['sam'], [theirs.researcher.id, 'sam']].map((chain) => ({
        ...of,
        chain: chain.map((id) => ({ id })),
      }))
      expect(sink.events).toMatchObject([{ ...of, actor: null, chain: [] }, support, agent])
      expect(sinks[framework === 'express' ? 'koa' : 'express'].events).toMatchObject([support, agent])

      const { helpdesk, ada, sam } = theirs
      expect(await refusalOf(helpdesk.exchange({ subject: ada, actor: sam, resource: api }))).toEqual([
        400,
        'invalid_request',
        'subject_token is not a valid access token of this server',
      ])
      const [again, own] = [await castOf(world, binding, api), [helpdesk, ada, api] as const]
      expect(await answersTo([...callsOf(others), ...callsOf(again), own])).toEqual([...Array(6).fill(ADMITTED), REVOKED])
    })

    test('[Delegation-grant-revoked-here] the operator of one API ends a grant there, and another grant of the same session goes on', async () => {
      const cookies: Cookies = new Map()
      const cast = await castOf(world, binding, api, cookies)
      const more = await cast.helpdesk.signIn({ id: 'ada', password: 'not asked for' }, api, 'orders:read', cookies)
      const [first, second] = [signInOf(cast.ada), signInOf(more)]
      expect(second.sid).toBe(first.sid)
      expect(second.grant_id).not.toBe(first.grant_id)
      const there = await callsElsewhere(cast)
      const ofTheOther: Call = [cast.helpdesk, more, api]
      await answersTo([...callsOf(cast), ofTheOther, ...there])

      await world.revoke(framework, { issuer, grantId: first.grant_id })
      expect(await answersTo(callsOf(cast))).toEqual([REVOKED, REVOKED, REVOKED])
      expect(await answersTo([ofTheOther, ...there])).toEqual([ADMITTED, ADMITTED, ADMITTED])

      await world.authorizationServer.revokeSession(first.sid)
      expect(await answersTo([ofTheOther, ...there])).toEqual([REVOKED, REVOKED, REVOKED])
    })

    test('[Delegation-token-revoked-here] the operator of one API ends one token there, by its id', async () => {
      const cast = await castOf(world, binding, api)
      await answersTo(callsOf(cast))
      await world.revoke(framework, { issuer, tokenId: String(claimsOf(cast.support.access_token)['jti']) })
      expect(await answersTo(callsOf(cast))).toEqual([ADMITTED, REVOKED, ADMITTED])
    })

    test('[Delegation-grant-revoked-forged] nobody but the authorization server takes anything back', async () => {
      const cast = await castOf(world, binding, api)
      const { sid } = signInOf(cast.ada)
      const forger = createForger(issuer, api, () => Math.floor(Date.now() / 1000))
      const set = forger.sessionRevoked({ format: 'opaque', id: sid })
      const push = async (body: string, headers: Record<string, string> = {}) => {
        const init = { method: 'POST', headers: { 'content-type': SET_CONTENT_TYPE, ...headers }, body }
        const answer = await httpsFetch(world)(api + SECURITY_EVENTS, init)
        return [answer.status, ((await answer.json()) as { err: string }).err]
      }
      const failed = [400, 'authentication_failed']
      expect(await push(set)).toEqual(failed)
      expect(await push(set, { authorization: 'Bearer guess' })).toEqual(failed)
      expect(await push(cast.ada.access_token)).toEqual([400, 'invalid_request'])
      expect(await answersTo(callsOf(cast))).toEqual([ADMITTED, ADMITTED, ADMITTED])
      expect(sink.events.filter(({ reason }) => reason === 'token_revoked')).toEqual([])
    })
  })

  describe('the authorization server', () => {
    let cast: Cast

    beforeAll(async () => {
      cast = await castOf(world, binding, world.apis.koa)
    })

    test('[Delegation-grant-inherited] names grant and session in each token that comes of a sign-in, and in no other', async () => {
      const { ada, support, errand, agent, sam, researcher } = cast
      const first = signInOf(ada)
      expect(claimsOf(ada.access_token)).toMatchObject({ grant_id: expect.any(String), sid: expect.any(String) })
      for (const tokens of [support, errand, agent]) expect(signInOf(tokens)).toEqual(first)
      const another = await castOf(world, binding, world.apis.koa)
      const values = [first, signInOf(sam), signInOf(another.ada)].flatMap(({ grant_id, sid }) => [grant_id, sid])
      expect(new Set(values).size).toBe(6)
      const own = claimsOf((await researcher.ownToken(issuer, ACTOR_SCOPE)).access_token)
      expect([own['grant_id'], own['sid']]).toEqual([undefined, undefined])
    })

    test('asks for the password again once a session was taken back, and gives nothing for its codes', async () => {
      const { helpdesk } = cast
      const cookies: Cookies = new Map()
      const sid = signInOf(await helpdesk.signIn(world.people.ada, world.apis.koa, 'orders:read', cookies)).sid
      const forgetful = { id: 'ada', password: 'forgotten' }
      const verifier = 'x'.repeat(43)
      const start = new URL(`${issuer}/auth`)
      start.search = new URLSearchParams({
        client_id: helpdesk.id,
        response_type: 'code',
        redirect_uri: CALLBACK,
        resource: world.apis.koa,
        scope: 'orders:read',
        code_challenge: createHash('sha256').update(verifier).digest('base64url'),
        code_challenge_method: 'S256',
      }).toString()
      const code = async () =>
        (await visit(httpsFetch(world), start, CALLBACK, forgetful, cookies)).searchParams.get('code') ?? expect.fail('no code')
      const redeem = (each: string) =>
        helpdesk.grant('authorization_code', { code: each, redirect_uri: CALLBACK, code_verifier: verifier })
      expect(signInOf(await redeem(await code())).sid).toBe(sid)

      const late = await code()
      await world.authorizationServer.revokeSession(sid)
      expect((await refusalOf(redeem(late))).slice(0, 2)).toEqual([400, 'invalid_grant'])
      await expect(code()).rejects.toThrow('the sign-in ended with 401')
    })
  })
})

describe('the security events of the authorization server', () => {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const signingKey: JsonWebKey & { readonly kid: string } = { ...privateKey.export({ format: 'jwk' }), kid: 'key-1' }
  const streams = ['first', 'second'].map((name) => ({
    endpoint: `https://${name}.example.com/events`,
    audience: `https://${name}.example.com`,
    authorization: `Bearer ${name}`,
  }))

  /** @param statuses what each API answers */
  function transmitterTo(statuses: Readonly<Record<string, number>>) {
    const pushed: Request[] = []
    const fetch: Fetch = async (input, init) => {
      const request = new Request(input, init)
      pushed.push(request)
      return new Response(null, { status: statuses[new URL(request.url).hostname] ?? 404 })
    }
    return { pushed, transmitter: createTransmitter({ issuer: 'https://as.example.com', signingKey, streams, fetch }) }
  }

  test('[Delegation-grant-revoked-pushed] are signed, typed, and pushed to each API as agreed', async () => {
    const before = Math.floor(Date.now() / 1000)
    const { pushed, transmitter } = transmitterTo({ 'first.example.com': 202, 'second.example.com': 202 })
    await transmitter.sessionRevoked('session-1')
    expect(pushed.map(({ method, url }) => [method, url])).toEqual(streams.map(({ endpoint }) => ['POST', endpoint]))
    const jtis = new Set<unknown>()
    for (const [index, request] of pushed.entries()) {
      const { audience, authorization } = streams[index] ?? expect.fail('too many')
      expect(Object.fromEntries(request.headers)).toEqual({
        'content-type': 'application/secevent+jwt',
        accept: 'application/json',
        authorization,
      })
      const set = await request.text()
      const [header = '', payload = '', signature = ''] = set.split('.')
      expect(JSON.parse(Buffer.from(header, 'base64url').toString())).toEqual({ typ: 'secevent+jwt', alg: 'ES256', kid: 'key-1' })
      const key = { key: createPublicKey(publicKey.export({ type: 'spki', format: 'pem' })), dsaEncoding: 'ieee-p1363' } as const
      expect(verify('sha256', Buffer.from(`${header}.${payload}`), key, Buffer.from(signature, 'base64url'))).toBe(true)
      const { jti, iat, txn, ...claims } = claimsOf(set)
      jtis.add(jti)
      expect([typeof txn, Number(iat) >= before, Number(iat) * 1000 <= Date.now()]).toEqual(['string', true, true])
      expect(claims).toEqual({
        iss: 'https://as.example.com',
        aud: audience,
        sub_id: { format: 'opaque', id: 'session-1' },
        events: { [SESSION_REVOKED]: { event_timestamp: iat, initiating_entity: 'user' } },
      })
    }
    expect(jtis.size).toBe(2)
  })

  test.each([200, 400, 503])('are not taken for delivered where an API answers %i', async (status) => {
    const { pushed, transmitter } = transmitterTo({ 'first.example.com': 202, 'second.example.com': status })
    const reason = `https://second.example.com/events has not taken a security event: ${status}`
    await expect(transmitter.sessionRevoked('session-1')).rejects.toThrow(reason)
    expect(pushed.length).toBe(2)
  })
})

describe('the register of consents', () => {
  test('says no for whoever has not consented, also where there is nothing to withdraw', () => {
    const consents = new Consents()
    consents.withdraw('ada')
    expect(consents.answerFor('ada')).toEqual({ allow: false })
    const given = consents.give('ada', helpWanted())
    expect(consents.answerFor('ada')).toEqual({ allow: true, ...given })
    consents.withdraw('ada')
    expect(consents.answerFor('ada')).toEqual({ allow: false, ...given })
  })
})
