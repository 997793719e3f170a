/** How a token is presented, and how a refusal is answered: RFC 6750, RFC 9110, RFC 9457. */
import { AuthError, REFUSAL_CODES } from '@behalf/core'
import { createSigningKey } from '@behalf/testing'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Answer, codeOf, contextIn, type Door, outcomeOf } from '../support/request.js'
import { openTrustedApi, type TrustedApi } from '../support/trusted-api.js'
import { DOORS } from './warm-doors.js'

/** A challenge of one scheme, taken apart by the grammar of RFC 9110 11.2; `null` where it does not follow it. */
function parseChallenge(value: string | undefined): { scheme: string; parameters: [name: string, value: string][] } | null {
  const [, scheme, rest] = /^([A-Za-z]+)(?: (.+))?$/.exec(value ?? '') ?? []
  if (scheme === undefined) return null
  const pairs = [...(rest ?? '').matchAll(/([a-z_]+)="([^"]*)"/g)].map(
    ([, name = '', text = '']) => [name, text] as [string, string],
  )
  const rebuilt = pairs.map(([name, text]) => `${name}="${text}"`).join(', ')
  return rebuilt === (rest ?? '') ? { scheme, parameters: pairs } : null
}

function errorIn({ headers }: Answer): string | null {
  return parseChallenge(headers['www-authenticate'])?.parameters.find(([name]) => name === 'error')?.[1] ?? null
}

describe.each(DOORS)('$name', ({ open }) => {
  let api: TrustedApi
  beforeAll(async () => {
    api = await openTrustedApi(open)
  })
  afterAll(() => api.close())

  const lines = async (...authorization: string[]) => outcomeOf(await api.ask('/context', { authorization }))

  describe('presenting a token', () => {
    test('[RFC6750-2.1-header] takes the token from the Authorization field', async () => {
      const answer = await api.ask('/context', { authorization: [`Bearer ${api.token()}`] })
      expect(contextIn(answer).subject.id).toBe('user-1')
    })

    test.each(['Bearer', 'bearer', 'BEARER', 'bEaReR'])(
      '[RFC6750-2.1-scheme-case] [RFC9110-11.1-scheme-case] takes the scheme as %s',
      async (scheme) => {
        expect(await lines(`${scheme} ${api.token()}`)).toBe('200')
      },
    )

    test('[RFC6750-2.1-header] takes more than one space after the scheme', async () => {
      expect(await lines(`Bearer   ${api.token()}`)).toBe('200')
    })

    test.each([
      ['no token', 'Bearer'],
      ['two words', 'Bearer a.b.c d'],
      ['a list', 'Bearer a.b.c, Bearer d.e.f'],
      ['a parameter', 'Bearer token="a.b.c"'],
      ['padding inside', 'Bearer a=b'],
      ['padding alone', 'Bearer ='],
      ['a tab for the space', 'Bearer\ta.b.c'],
      ['quotes', 'Bearer "a.b.c"'],
      ['JSON', 'Bearer {"payload":"e30"}'],
      ['a scheme that is no token', 'Bea{rer a.b.c'],
    ])('[RFC6750-2.1-b64token] answers 400 to %s', async (_what, line) => {
      expect(await lines(line)).toBe('400 credentials_malformed')
    })

    test('[RFC6750-2.1-b64token] lets every character of the grammar through to the token', async () => {
      expect(await lines('Bearer aZ09-._~+/==')).toBe('401 token_malformed')
    })

    test('[RFC6750-2-one-method] answers 400 to two Authorization lines, also where both say the same', async () => {
      const token = api.token()
      expect(await lines(`Bearer ${token}`, `Bearer ${token}`)).toBe('400 request_ambiguous')
      expect(await lines(`Bearer ${token}`, 'Basic dTpw')).toBe('400 request_ambiguous')
      expect(await lines('Basic dTpw', `Bearer ${token}`)).toBe('400 request_ambiguous')
    })

    test('[RFC6750-2.3-query] never reads a token from the query', async () => {
      expect(outcomeOf(await api.ask(`/context?access_token=${api.token()}`))).toBe('401 credentials_missing')
    })

    test('[RFC6750-2.2-form] never reads a token from a form', async () => {
      const answer = await api.ask('/form', {
        method: 'POST',
        headers: { 'content-type': 'application/x-www-form-urlencoded' },
        body: `access_token=${api.token()}`,
      })
      expect(outcomeOf(answer)).toBe('401 credentials_missing')
    })

    describe('with a second place', () => {
      let cookies: Door
      beforeAll(async () => {
        cookies = await open(
          {
            issuers: [api.issuer.options({ jwks: api.issuer.jwks() })],
            credentials: { from: (request) => request.header('x-token') },
            now: () => api.nowSeconds * 1000,
          },
          [{ method: 'GET', path: '/context', requirement: {} }],
        )
      })
      afterAll(() => cookies.close())

      test('[RFC6750-2-one-method] takes a token from either place, and answers 400 to both', async () => {
        const token = api.token()
        const elsewhere = { 'x-token': token }
        expect(outcomeOf(await cookies.ask('/context', { token }))).toBe('200')
        expect(outcomeOf(await cookies.ask('/context', { headers: elsewhere }))).toBe('200')
        expect(outcomeOf(await cookies.ask('/context', { token, headers: elsewhere }))).toBe('400 request_ambiguous')
        expect(outcomeOf(await cookies.ask('/context', { authorization: ['Basic dTpw'], headers: elsewhere }))).toBe(
          '400 request_ambiguous',
        )
      })
    })
  })

  describe('the challenge', () => {
    test('[RFC6750-3.1-no-error-code] is bare where no token was presented', async () => {
      for (const authorization of [[], ['Basic dTpw'], ['Negotiate YII=']]) {
        const answer = await api.ask('/context', { authorization })
        expect([outcomeOf(answer), answer.headers['www-authenticate']]).toEqual(['401 credentials_missing', 'Bearer'])
      }
    })

    test('[RFC6750-3.1-invalid-request] says invalid_request with 400', async () => {
      const answer = await api.ask('/context', { authorization: ['Bearer'] })
      expect([answer.status, errorIn(answer)]).toEqual([400, 'invalid_request'])
    })

    test('[RFC6750-3.1-invalid-token] [RFC9068-4-errors] says invalid_token with 401', async () => {
      const expired = api.with({ exp: api.nowSeconds - 60 })
      for (const token of ['a.b.c', expired, api.token({ key: createSigningKey('EdDSA') })]) {
        const answer = await api.answer(token)
        expect([answer.status, errorIn(answer)]).toEqual([401, 'invalid_token'])
      }
    })

    test('[RFC6750-3.1-insufficient-scope] says insufficient_scope with 403 and names the scopes', async () => {
      const answer = await api.answer(api.token(), '/refunds')
      expect(outcomeOf(answer)).toBe('403 scope_insufficient')
      const { parameters } = parseChallenge(answer.headers['www-authenticate']) ?? { parameters: [] }
      expect(Object.fromEntries(parameters)).toMatchObject({ error: 'insufficient_scope', scope: 'orders:refund orders:audit' })
      expect(outcomeOf(await api.answer(api.with({ scope: 'orders:refund orders:audit' }), '/refunds'))).toBe('200')
    })

    test('[RFC6750-3-challenge] [RFC9110-11.6.1] stands on every 401 that this API gives, exactly once', async () => {
      const tokens = ['a.b.c', api.token({ header: { typ: 'JWT' } }), api.with({ aud: 'other' }), api.with({ act: 'x' })]
      const refusals = [await api.ask('/context'), ...(await Promise.all(tokens.map((token) => api.answer(token))))]
      for (const { status, headers } of refusals) {
        expect(status).toBe(401)
        expect(parseChallenge(headers['www-authenticate'])?.scheme).toBe('Bearer')
      }
    })

    test('[RFC9110-9.3.2-head] stands on the answer to HEAD too, which has no content', async () => {
      const get = await api.ask('/context')
      const head = await api.ask('/context', { method: 'HEAD' })
      expect(head).toMatchObject({ status: 401, text: '' })
      expect(head.headers['www-authenticate']).toBe(get.headers['www-authenticate'])
      expect(head.headers['content-type']).toBe(get.headers['content-type'])
    })
  })

  describe('the problem document', () => {
    test('[RFC9457-3-media-type] [RFC9457-3.1-members] has its media type, and a status equal to the answer', async () => {
      for (const presented of [{}, { authorization: ['Bearer'] }, { token: 'a.b.c' }]) {
        const answer = await api.ask('/context', presented)
        expect(answer.headers['content-type']).toBe('application/problem+json')
        expect(answer.headers['content-length']).toBe(String(Buffer.byteLength(answer.text)))
        expect(JSON.parse(answer.text)).toEqual({
          type: 'about:blank',
          title: { 400: 'Bad Request', 401: 'Unauthorized' }[answer.status],
          status: answer.status,
          code: codeOf(answer),
          detail: expect.any(String),
        })
      }
    })

    test('[RFC9457-5-no-leak] is the same whatever the token says', async () => {
      const [one, other] = await Promise.all([api.answer(api.with({ aud: 'one' })), api.answer(api.with({ aud: ['other'] }))])
      expect(outcomeOf(one)).toBe('401 audience_mismatch')
      expect(other.text).toBe(one.text)
    })

    test('[BEHALF-no-store] no refusal may be stored by a cache', async () => {
      const forbidden = await api.answer(api.token(), '/refunds')
      const unauthorized = await api.ask('/context')
      for (const { headers } of [forbidden, unauthorized]) expect(headers['cache-control']).toBe('no-store')
    })
  })
})

describe('every code', () => {
  const errors = REFUSAL_CODES.map((code) => new AuthError(code, { scopes: ['orders:read', 'a\\"b'] }))

  test('[RFC9110-11.6.1] each 401 has a challenge, and each 503 has none', () => {
    for (const { code, status, challenge } of errors) {
      if (status === 401)
        expect(parseChallenge(challenge ?? undefined)?.scheme, code).toBe(/^proof_/.test(code) ? 'DPoP' : 'Bearer')
      if (status === 503) expect(challenge, code).toBeNull()
    }
    expect(new Set(errors.map(({ status }) => status))).toEqual(new Set([400, 401, 403, 503]))
  })

  test('[RFC6750-3-once] [RFC6750-3-charset] each parameter stands once, in the characters that it may have', () => {
    for (const { code, challenge } of errors) {
      if (challenge === null) continue
      const { parameters } = parseChallenge(challenge) ?? { parameters: null }
      if (parameters === null) throw new Error(`${code}: the challenge follows no grammar`)
      const names = parameters.map(([name]) => name)
      expect(new Set(names).size, code).toBe(names.length)
      for (const [, value] of parameters) expect(value, code).toMatch(/^[\x20-\x21\x23-\x5b\x5d-\x7e]+$/)
    }
  })

  test('[RFC6750-3-charset] a scope that a quoted string cannot hold leaves the scope parameter out', () => {
    expect(new AuthError('scope_insufficient', { scopes: ['orders:read'] }).challenge).toContain(', scope="orders:read"')
    expect(new AuthError('scope_insufficient', { scopes: ['orders:read', 'a"b'] }).challenge).not.toContain('scope="')
  })
})
