/** What an access token is, and what is none: RFC 9068, RFC 7800, RFC 8705, RFC 9449, RFC 8725 3.11 and 3.12. */
import { createResourceServer } from '@behalf/core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { contextIn, outcomeOf } from '../support/request.js'
import { CURITY, openTrustedApi, type TrustedApi } from '../support/trusted-api.js'
import { DOORS } from './warm-doors.js'

describe.each(DOORS)('$name', ({ open }) => {
  let api: TrustedApi
  beforeAll(async () => {
    api = await openTrustedApi(open)
  })
  afterAll(() => api.close())

  test.each([
    ...['JWT', 'jwt', 'id_token+jwt', 'logout+jwt', 'secevent+jwt', 'dpop+jwt', 'oauth-id-jag+jwt', 'txntoken+jwt'],
    ...['token-introspection+jwt', 'statuslist+jwt', 'application/jwt', 'text/at+jwt', 'at+jwt ', 'at+jwt;v=1', 'at', ''],
    ...[undefined, null, 1, ['at+jwt'], { typ: 'at+jwt' }],
  ])('[RFC9068-4-typ] [RFC8725-3.11-typing] refuses typ %j', async (typ) => {
    expect(await api.outcome(api.token({ header: { typ } }))).toBe('401 token_type_refused')
  })

  test.each(['sub', 'exp', 'aud', 'client_id', 'iat', 'jti'])(
    '[RFC9068-2.2-claims] refuses a token without %s',
    async (claim) => {
      expect(await api.outcome(api.with({ [claim]: undefined }))).toBe('401 claim_missing')
    },
  )

  test('[RFC9068-2.2-claims] refuses a token without iss, which then belongs to nobody', async () => {
    expect(await api.outcome(api.with({ iss: undefined }))).toBe('401 issuer_unknown')
  })

  test('[RFC9068-2.2-client-subject] a subject that is the client is an application, and any other one is not', async () => {
    const typeOf = async (sub: string) => contextIn(await api.answer(api.with({ sub, client_id: 'app' }))).subject.type
    expect(await typeOf('app')).toBe('client')
    expect(await typeOf('App')).toBeNull()
  })

  test('[RFC8725-3.12-exclusive] another kind of token of the same issuer is refused by the claim that tells it apart', async () => {
    const token = (purpose: string | undefined) =>
      api.token({ header: { typ: 'JWT' }, claims: { iss: CURITY, purpose, jti: undefined, client_id: 'client-1' } })
    expect(await api.outcome(token('access_token'))).toBe('200')
    expect(await api.outcome(token('id'))).toBe('401 claim_invalid')
    expect(await api.outcome(token('refresh_token'))).toBe('401 claim_invalid')
    expect(await api.outcome(token('ACCESS_TOKEN'))).toBe('401 claim_invalid')
    expect(await api.outcome(token(undefined))).toBe('401 claim_missing')
  })

  describe('bound to its sender', () => {
    test.each([
      ['a DPoP key', { jkt: '0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I' }],
      ['a certificate', { 'x5t#S256': 'bwcK0esc3ACC3DB2Y5_lESsXE8o9ltc05O89jdN-dg2' }],
      ['a key of its own', { jwk: { kty: 'OKP' } }],
      ['something unheard of', { unheardOf: true }],
      ['nothing', {}],
      ['null', null],
      ['text', 'x'],
    ])('[RFC7800-3.1-cnf] [RFC9449-7.2-bound] [RFC8705-3-bound] to %s: refused on Bearer, new and known', async (_what, cnf) => {
      const token = api.with({ cnf })
      for (const _time of ['new', 'known']) expect(await api.outcome(token)).toBe('401 binding_unsupported')
    })

    test('[RFC9449-7.2-bound] verify() refuses it too, where no request is there to prove anything', async () => {
      const server = createResourceServer({
        issuers: [api.issuer.options({ jwks: api.issuer.jwks() })],
        now: () => api.nowSeconds * 1000,
      })
      expect((await server.verify(api.token())).subject.id).toBe('user-1')
      const bound = api.with({ cnf: { jkt: 'x' } })
      for (const _time of ['new', 'known']) {
        await expect(server.verify(bound)).rejects.toMatchObject({ code: 'binding_unsupported' })
      }
    })

    test('[RFC9449-7.1-scheme] the DPoP scheme is refused, bound token or not, and never taken for Bearer', async () => {
      for (const token of [api.token(), api.with({ cnf: { jkt: 'x' } })]) {
        for (const scheme of ['DPoP', 'dpop']) {
          const answer = await api.ask('/context', { authorization: [`${scheme} ${token}`], headers: { dpop: 'e30.e30.e30' } })
          expect(outcomeOf(answer)).toBe('401 binding_unsupported')
        }
      }
    })
  })

  describe('the application', () => {
    test('[BEHALF-anonymous] an optional route admits a call without credentials, and refuses bad ones all the same', async () => {
      expect(await api.ask('/open')).toMatchObject({ status: 200, text: 'null' })
      expect(outcomeOf(await api.ask('/open', { authorization: ['Bearer'] }))).toBe('400 credentials_malformed')
      expect(outcomeOf(await api.ask('/open', { authorization: ['Basic dTpw'] }))).toBe('401 credentials_missing')
      expect(outcomeOf(await api.ask('/open', { token: 'a.b.c' }))).toBe('401 token_malformed')
      expect(outcomeOf(await api.ask('/open', { token: api.with({ exp: 1 }) }))).toBe('401 token_expired')
      expect(contextIn(await api.ask('/open', { token: api.token() })).kind).toBe('direct')
    })

    test('[BEHALF-guard-own-record] a guard without authenticate() is a mistake of the application: 500, never 401', async () => {
      const before = api.ran
      const answer = await api.ask('/forgotten', { token: api.token() })
      expect(answer.status).toBe(500)
      expect(answer.headers['www-authenticate']).toBeUndefined()
      expect(api.ran).toBe(before)
    })

    test('[BEHALF-scopes-exact] a scope counts whole: no prefix, no pattern, no case', async () => {
      for (const scope of ['orders', 'orders:', 'orders:*', '*', 'orders:read:all', 'ORDERS:READ', 'xorders:read', '']) {
        expect(await api.outcome(api.with({ scope }), '/orders'), scope).toBe('403 scope_insufficient')
      }
      expect(await api.outcome(api.with({ scope: 'x orders:read y' }), '/orders')).toBe('200')
    })
  })
})
