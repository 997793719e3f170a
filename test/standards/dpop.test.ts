/** Proofs of possession at a resource server, over HTTP and on every framework: RFC 9449, and RFC 6750 beside a second scheme. */
import { inspect } from 'node:util'
import { AuthError, REFUSAL_CODES, type ReplayMemory, type ResourceServerOptions } from '@behalf/core'
import { oauth } from '@behalf/core/issuers'
import { createDpopClient, createSigningKey, createTestIssuer, TEST_AUDIENCE } from '@behalf/testing'
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest'
import { challengesOf } from '../support/challenges.js'
import {
  type Asked,
  type DpopApi,
  type DpopApiOptions,
  ORIGIN,
  outcomeOf,
  START_SECONDS,
  startDpopApi,
  TEST_ISSUER_OPTIONS,
} from '../support/dpop-api.js'
import type { Answer } from '../support/http.js'
import { connectHttp2, type Http2Connection } from '../support/http2.js'
import { FRAMEWORKS } from '../support/servers.js'

const issuer = await createTestIssuer(TEST_ISSUER_OPTIONS)
afterAll(() => issuer.close())

const SECRET = 'a text that is long enough to be a secret of tests'
const ALGORITHMS = ['ES256', 'PS256'] as const

const rsa = createDpopClient({ algorithm: 'RS256' })

const closing: { close(): Promise<unknown> }[] = []
afterEach(async () => {
  vi.restoreAllMocks()
  for (const each of closing.splice(0)) await each.close()
})

function challenges({ headers }: Answer) {
  return challengesOf(headers['www-authenticate'])
}

function exposed({ headers }: Answer): readonly string[] {
  return (headers['access-control-expose-headers'] ?? '').split(', ')
}

describe.each(FRAMEWORKS)('$name', (framework) => {
  /** An API of one test's own. */
  async function start(options: DpopApiOptions = {}): Promise<DpopApi> {
    const own = await startDpopApi(framework, issuer, options)
    closing.push(own)
    return own
  }

  let api: DpopApi
  beforeAll(async () => {
    api = await startDpopApi(framework, issuer)
  })
  afterAll(() => api.close())

  describe('the checks of section 4.3', () => {
    test('[RFC9449-7.1-all-checks] [RFC9449-7.1-scheme] [RFC9449-6.1-jkt] a bound token with a good proof is let through', async () => {
      const before = api.ran
      const answer = await api.ask()
      expect(outcomeOf(answer)).toBe('200')
      expect(JSON.parse(answer.body)).toMatchObject({ kind: 'direct', subject: { id: 'user-1' } })
      expect(api.ran).toBe(before + 1)
    })

    test.each(['DPoP', 'dpop', 'DPOP', 'dPoP'])(
      '[RFC9449-7.1-scheme] [RFC9110-11.1-scheme-case] the scheme is read as %s',
      async (scheme) => {
        expect(await api.outcome({ scheme })).toBe('200')
      },
    )

    test.each(['DPoP', 'dpop', 'DPOP'])('[RFC9449-4.1-field-name] the field is read by the name %s', async (name) => {
      const token = api.token()
      expect(await api.outcome({ token, proof: null, headers: [[name, api.proof(token)]] })).toBe('200')
    })

    async function refuses(outcome: string, asked: Asked): Promise<void> {
      const before = api.ran
      expect(await api.outcome(asked)).toBe(`401 ${outcome}`)
      expect(api.ran).toBe(before)
    }

    test('[RFC9449-7.1-all-checks] a bound token without a proof is refused', () => refuses('proof_missing', { proof: null }))

    test.each(['', 'a-text', 'e30.e30.', 'e30.e30.AA.AA', '{"payload":"e30"}'])(
      '[RFC9449-4.3-2-jwt] a field that is no JWT is refused: %j',
      (proof) => refuses('proof_malformed', { proof }),
    )

    test.each(['jti', 'htm', 'htu', 'iat', 'ath'])('[RFC9449-4.3-3-claims] a proof without %s is refused', (claim) =>
      refuses('proof_malformed', { proof: { claims: { [claim]: undefined } } }),
    )

    test.each([undefined, 'JWT', 'at+jwt', 'application/jwt'])(
      '[RFC9449-4.3-4-typ] [RFC9449-11.5-swap] a JWT of type %j is no proof',
      (typ) => refuses('proof_malformed', { proof: { header: { typ } } }),
    )

    test('[RFC9449-11.5-swap] an access token is no proof, nor a proof an access token', async () => {
      const token = api.token()
      await refuses('proof_malformed', { token, proof: token })
      for (const scheme of ['DPoP', 'Bearer']) {
        const answer = await api.outcome({ authorization: [`${scheme} ${api.proof(token)}`], proof: api.proof(token) })
        expect(answer).toBe('401 issuer_unknown')
      }
    })

    test.each(['none', 'NONE', 'HS256', 'HS512', 'es256', '', undefined])(
      '[RFC9449-4.3-5-alg] [RFC9449-11.6-asymmetric] a proof by %j is refused',
      (alg) => refuses('proof_algorithm_refused', { proof: { header: { alg } } }),
    )

    test('[RFC9449-4.3-6-signature] a proof without a key, or with the signature of another one, is refused', async () => {
      await refuses('proof_key_refused', { proof: { header: { jwk: undefined } } })
      await refuses('proof_signature_invalid', { proof: { key: createSigningKey('ES256') } })
    })

    test.each(['POST', 'HEAD', 'get', 'GET ', ''])('[RFC9449-4.3-8-htm] a proof for %j is none for GET', (method) =>
      refuses('proof_method_mismatch', { for: { method } }),
    )

    test.each([
      `${ORIGIN}/other`,
      `${ORIGIN}/context/`,
      `${ORIGIN}:8443/context`,
      'http://api.example.com/context',
      'https://evil.example/context',
      `${ORIGIN}@evil.example/context`,
      '/context',
    ])('[RFC9449-4.3-9-htu] a proof for %s is for another URI', (url) => refuses('proof_target_mismatch', { for: { url } }))

    test('[RFC9449-4.3-11-time] a proof of the past, or of the future, is refused', async () => {
      await refuses('proof_expired', { proof: { claims: { iat: START_SECONDS - 65 } } })
      await refuses('proof_not_yet_valid', { proof: { claims: { iat: START_SECONDS + 6 } } })
    })

    test('[RFC9449-4.3-12-ath] a proof for another token is refused', () =>
      refuses('proof_token_mismatch', { proof: { token: 'other' } }))

    test('[RFC9449-4.3-1-one-field] two fields are refused, whether they say the same, or one is empty', async () => {
      const token = api.token()
      const [one, other] = [api.proof(token), api.proof(token)]
      for (const proof of [[one, other], [one, one], [one, ''], ['', one], [`${one}, ${other}`], [`${one},`], [`,${one}`]]) {
        expect(await api.outcome({ token, proof })).toBe('401 proof_malformed')
      }
      expect(await api.outcome({ token, proof: one })).toBe('200')
    })

    test('[RFC9449-4.3-7-private] a private key in the proof is refused', async () => {
      const jwk = api.client.key.privateKey.export({ format: 'jwk' }) as Record<string, string>
      expect(await api.outcome({ proof: { header: { jwk } } })).toBe('401 proof_key_refused')
    })

    test('[RFC9449-4.3-6-signature] a key that cannot be one is the caller’s 401, not our 500', async () => {
      for (const jwk of [
        { ...rsa.jwk, e: '' },
        { ...rsa.jwk, n: '' },
        { kty: 'EC', crv: 'P-256', x: '', y: '' },
        { kty: 'OKP', crv: 'Ed25519', x: '' },
      ]) {
        const alg = jwk.kty === 'RSA' ? 'RS256' : jwk.kty === 'EC' ? 'ES256' : 'EdDSA'
        expect(await api.outcome({ proof: { header: { alg, jwk } } }), JSON.stringify(jwk)).toBe('401 proof_key_refused')
      }
    })

    test('[RFC9449-4.2-more] claims and header parameters that nobody knows are let be', async () => {
      expect(await api.outcome({ proof: { claims: { more: { a: 1 }, exp: 1 }, header: { kid: 'k', more: true } } })).toBe('200')
    })

    test.each([
      'HTTPS://API.EXAMPLE.COM/context',
      'https://api.example.com:443/context',
      'https://api.example.com:/context',
      'https://api.example.com/%63ontext',
      'https://api.example.com/./a/../context',
      'https://api.example.com/context',
    ])('[RFC9449-4.3-normalization] htu %s is the same URI', async (htu) => {
      expect(await api.outcome({ proof: { claims: { htu } } })).toBe('200')
    })

    test('[RFC9449-4.3-9-htu] query and fragment of either are left aside', async () => {
      for (const htu of [`${ORIGIN}/context`, `${ORIGIN}/context?other=2`, `${ORIGIN}/context?`, `${ORIGIN}/context#part`]) {
        expect(await api.outcome({ path: '/context?q=1', proof: { claims: { htu } } })).toBe('200')
      }
    })

    test('[RFC9449-4.3-5-alg] an algorithm that the API does not accept is refused', async () => {
      const own = await start({ dpop: { algorithms: ALGORITHMS } })
      const strange = createDpopClient({ algorithm: 'EdDSA', now: () => START_SECONDS * 1000 })
      const token = own.token({ cnf: { jkt: strange.jkt } })
      expect(await own.outcome({ token, client: strange })).toBe('401 proof_algorithm_refused')
      expect(await own.outcome()).toBe('200')
    })

    test('[RFC9449-4.3-12-key] [RFC9449-6-key] a stolen token is of no use to whoever has another key, or another token', async () => {
      const token = api.token()
      const thief = createDpopClient({ now: () => START_SECONDS * 1000 })
      expect(await api.outcome({ token, client: thief })).toBe('401 sender_mismatch')
      const own = api.issuer.token({ claims: { cnf: { jkt: thief.jkt } } })
      const proof = thief.proof('GET', `${ORIGIN}/context`, { token: own })
      expect(await api.outcome({ token: own, proof })).toBe('200')
      expect(await api.outcome({ token, proof: thief.proof('GET', `${ORIGIN}/context`, { token: own }) })).toBe(
        '401 sender_mismatch',
      )
      // The holder's own proof, for another token of the holder's.
      expect(await api.outcome({ token, proof: api.proof(api.token()) })).toBe('401 proof_token_mismatch')
    })

    test('[RFC9449-6-reliably] a token that is bound in a way that cannot be read is refused, proof or not', async () => {
      for (const cnf of [
        {},
        null,
        'x',
        { jkt: '' },
        { jkt: api.client.jkt, kid: 'k' },
        { jwk: api.client.jwk },
        { jkt: [api.client.jkt] },
      ]) {
        for (const scheme of ['DPoP', 'Bearer']) {
          expect(await api.outcome({ token: api.token({ cnf }), scheme })).toBe('401 binding_unsupported')
        }
      }
      expect(await api.outcome({ token: api.token({ cnf: undefined, act: { sub: 'a', cnf: { jkt: api.client.jkt } } }) })).toBe(
        '401 sender_mismatch',
      )
    })
  })

  describe('the window', () => {
    test('[RFC9449-11.1-window] [RFC9449-4.3-11-time] has both its ends', async () => {
      for (const [after, outcome] of [
        [-5.001, '401 proof_not_yet_valid'],
        [-5, '200'],
        [64.999, '200'],
        [65, '401 proof_expired'],
      ] as const) {
        const own = await start()
        const token = own.token()
        const proof = own.proof(token)
        own.nowSeconds += after
        expect(await own.outcome({ token, proof }), `${after} s after iat`).toBe(outcome)
      }
    })

    test('[RFC9449-11.1-window] is as long as the API says', async () => {
      const own = await start({ server: { limits: { proofSeconds: 10 }, clockToleranceSeconds: 0 } })
      const [token, other] = [own.token(), own.token()]
      const [proof, late] = [own.proof(token), own.proof(other)]
      own.nowSeconds += 9.999
      expect(await own.outcome({ token, proof })).toBe('200')
      own.nowSeconds += 0.001
      expect(await own.outcome({ token: other, proof: late })).toBe('401 proof_expired')
    })

    test('[RFC9449-11.1-size] a proof is as long as the API says, to the byte', async () => {
      const token = api.token()
      const proof = api.proof(token)
      for (const [proofBytes, outcome] of [
        [proof.length, '200'],
        [proof.length - 1, '401 proof_malformed'],
      ] as const) {
        const own = await start({ server: { limits: { proofBytes } } })
        expect(await own.outcome({ token, proof })).toBe(outcome)
      }
    })
  })

  describe('replay', () => {
    test('[RFC9449-11.1-replay] a proof is accepted once, for as long as it would be', async () => {
      const own = await start()
      const token = own.token()
      const proof = own.proof(token)
      expect(await own.outcome({ token, proof })).toBe('200')
      for (const after of [0, 30, 64]) {
        own.nowSeconds = START_SECONDS + after
        expect(await own.outcome({ token, proof })).toBe('401 proof_replayed')
      }
      own.nowSeconds = START_SECONDS + 65
      expect(await own.outcome({ token, proof })).toBe('401 proof_expired')
      expect(own.ran).toBe(1)
    })

    test('[RFC9449-11.1-replay] of many uses at the same time exactly one is accepted', async () => {
      const token = api.token()
      const proof = api.proof(token)
      const outcomes = await Promise.all(Array.from({ length: 24 }, () => api.outcome({ token, proof })))
      expect(outcomes.filter((outcome) => outcome === '200')).toHaveLength(1)
      expect(outcomes.filter((outcome) => outcome === '401 proof_replayed')).toHaveLength(23)
    })

    test('[RFC9449-11.1-jti] a jti is used for its key and URI, whatever else is new; under others it is another one', async () => {
      const proof = { claims: { jti: `once on ${framework.name}` } }
      const other = createDpopClient({ now: () => START_SECONDS * 1000 })
      expect(await api.outcome({ proof })).toBe('200')
      expect(await api.outcome({ proof })).toBe('401 proof_replayed')
      expect(await api.outcome({ proof, method: 'POST' })).toBe('401 proof_replayed')
      expect(await api.outcome({ proof, path: '/context?again' })).toBe('401 proof_replayed')
      expect(await api.outcome({ proof, path: '/open' })).toBe('200')
      expect(await api.outcome({ proof, client: other, token: api.token({ cnf: { jkt: other.jkt } }) })).toBe('200')
    })

    test('[RFC9449-11.1-jti] a long jti is taken, and only a digest of it kept', async () => {
      const uses: unknown[] = []
      const replay: ReplayMemory = {
        use(proof) {
          uses.push(proof)
          return true
        },
      }
      const own = await start({ dpop: { replay } })
      expect(await own.outcome({ proof: { claims: { jti: 'j'.repeat(4000) } } })).toBe('200')
      expect(uses).toEqual([expect.objectContaining({ id: expect.stringMatching(/^[\w-]{43}$/) })])
    })

    test('[BEHALF-dpop-uses-last] what is refused for another reason uses nothing up', async () => {
      const own = await start()
      const token = own.token()
      const proof = own.proof(token)
      const at = (more: Asked) => own.outcome({ token, proof, ...more })
      expect(await at({ method: 'POST' })).toBe('401 proof_method_mismatch')
      expect(await at({ path: '/refunds' })).toBe('401 proof_target_mismatch')
      expect(await at({ token: own.token() })).toBe('401 proof_token_mismatch')
      expect(await at({ scheme: 'Bearer' })).toBe('401 sender_mismatch')
      expect(await at({ token: `${token}x` })).toBe('401 token_malformed')
      own.nowSeconds -= 6
      expect(await at({})).toBe('401 proof_not_yet_valid')
      own.nowSeconds += 6
      expect(await at({})).toBe('200')
      expect(await at({})).toBe('401 proof_replayed')
    })

    test.each<[string, () => unknown]>([
      ['rejects', () => Promise.reject(new Error('redis://user:secret@replay'))],
      ['throws', () => raise(new Error('redis://user:secret@replay'))],
      ['answers something else', () => 'OK'],
      ['answers nothing', () => undefined],
      ['never answers', () => new Promise(() => {})],
    ])('[BEHALF-dpop-unavailable] a memory that %s is our 503: to be tried again, without a challenge', async (_what, use) => {
      const own = await start({
        dpop: { replay: { use } as ReplayMemory },
        server: { limits: { replayMilliseconds: 1, retryAfterSeconds: 7 } },
      })
      const answer = await own.ask()
      expect(outcomeOf(answer)).toBe('503 replay_unavailable')
      expect(answer.headers['retry-after']).toBe('7')
      expect(answer.headers['www-authenticate']).toBeUndefined()
      expect(answer.headers['cache-control']).toBe('no-store')
      expect(answer.body).not.toContain('secret')
      expect(own.ran).toBe(0)
    })

    test('[BEHALF-dpop-unavailable] a full memory refuses the next one, until there is room', async () => {
      const own = await start({ server: { limits: { replayEntries: 2 } } })
      const token = own.token()
      const first = own.proof(token)
      expect(await own.outcome({ token, proof: first })).toBe('200')
      expect(await own.outcome()).toBe('200')
      expect(await own.outcome()).toBe('503 replay_unavailable')
      expect(await own.outcome({ token, proof: first })).toBe('401 proof_replayed')
      own.nowSeconds += 75
      expect(await own.outcome()).toBe('200')
    })
  })

  describe('the schemes and their challenges', () => {
    let both: DpopApi
    beforeAll(async () => {
      both = await startDpopApi(framework, issuer, { dpop: { algorithms: ALGORITHMS } })
    })
    afterAll(() => both.close())

    test('[RFC9449-7.2-bound] a bound token is refused on Bearer, with a proof or without', async () => {
      for (const proof of [{}, null]) expect(await both.outcome({ scheme: 'Bearer', proof })).toBe('401 sender_mismatch')
    })

    test('[RFC9449-7.2-bound] also where DPoP is off', async () => {
      const own = await start({ issuer: { dpop: 'off' }, dpop: null })
      for (const scheme of ['Bearer', 'DPoP']) {
        for (const proof of [{}, null]) expect(await own.outcome({ scheme, proof })).toBe('401 binding_unsupported')
      }
      const token = issuer.token()
      expect(await own.outcome({ scheme: 'Bearer', token, proof: null })).toBe('200')
      expect(challenges(await own.ask({ authorization: [], proof: null }))).toEqual({ Bearer: {} })
    })

    test('[RFC9449-7.2-bound] an unbound token goes on as before on Bearer, and proves nothing on DPoP', async () => {
      const token = issuer.token()
      expect(await both.outcome({ token, scheme: 'Bearer', proof: null })).toBe('200')
      expect(await both.outcome({ token, scheme: 'Bearer' })).toBe('200')
      expect(await both.outcome({ token })).toBe('401 sender_mismatch')
      expect(await both.outcome({ token, proof: null })).toBe('401 sender_mismatch')
    })

    test('[RFC9449-7.1-token68] what follows the scheme is one token68 and nothing else', async () => {
      const proof = both.proof('x')
      for (const line of [
        'DPoP',
        'DPoP ',
        'DPoP a b',
        'DPoP a.b.c, DPoP d',
        'DPoP "a"',
        'DPoP token="a"',
        'DPoP a=b',
        'DPoP\ta',
      ]) {
        const answer = await both.ask({ authorization: [line], proof })
        expect([line, outcomeOf(answer)]).toEqual([line, '400 credentials_malformed'])
      }
      expect(await both.outcome({ authorization: ['DPoP   aZ09-._~+/=='], proof })).toBe('401 token_malformed')
    })

    test('[RFC6750-2-one-method] [RFC9449-7.2-ambiguous] one credential: Bearer and DPoP on two lines are 400', async () => {
      const token = both.token()
      for (const authorization of [
        [`Bearer ${token}`, `DPoP ${token}`],
        [`DPoP ${token}`, `Bearer ${token}`],
        [`DPoP ${token}`, `DPoP ${token}`],
      ]) {
        const answer = await both.ask({ authorization, proof: both.proof(token) })
        expect(outcomeOf(answer)).toBe('400 request_ambiguous')
        for (const { error } of Object.values(challenges(answer))) expect(error).toBe('invalid_request')
      }
    })

    test('[RFC6750-2-one-method] nor a token at another place beside it', async () => {
      const own = await start({ server: { credentials: { from: (request) => request.header('x-token') } } })
      const token = own.token()
      expect(await own.outcome({ token, headers: [['X-Token', token]] })).toBe('400 request_ambiguous')
      expect(await own.outcome({ token })).toBe('200')
      // A token at that place is a bearer token: a bound one is not.
      expect(await own.outcome({ authorization: [], headers: [['X-Token', token]], proof: own.proof(token) })).toBe(
        '401 sender_mismatch',
      )
      expect(await own.outcome({ authorization: [], headers: [['X-Token', issuer.token()]], proof: null })).toBe('200')
    })

    test('[RFC9449-7.2-challenges] [RFC6750-3.1-no-error-code] without credentials both schemes are offered, and no error is told', async () => {
      for (const authorization of [[], ['Basic dTpw']]) {
        const answer = await both.ask({ authorization, proof: null })
        expect(outcomeOf(answer)).toBe('401 credentials_missing')
        expect(challenges(answer)).toEqual({ Bearer: {}, DPoP: { algs: 'ES256 PS256' } })
      }
      // A proof alone is no credential.
      const answer = await both.ask({ authorization: [], proof: both.proof('x') })
      expect(outcomeOf(answer)).toBe('401 credentials_missing')
    })

    test('[RFC9449-7.2-challenges] [RFC6750-3.1-invalid-token] the error stands with the scheme that was used, Bearer, and DPoP is offered', async () => {
      for (const token of ['INVALID_TOKEN', both.token()]) {
        const answer = await both.ask({ token, scheme: 'Bearer', proof: null })
        expect(challenges(answer)).toEqual({
          Bearer: { error: 'invalid_token', error_description: expect.any(String) },
          DPoP: { algs: 'ES256 PS256' },
        })
      }
    })

    test('[RFC9449-7.1-error] [RFC9449-7.2-challenges] the error stands with the scheme that was used, DPoP', async () => {
      const thief = createDpopClient({ now: () => START_SECONDS * 1000 })
      for (const [asked, error] of [
        [{ token: 'INVALID_TOKEN' }, 'invalid_token'],
        [{ client: thief }, 'invalid_token'],
        [{ token: issuer.token() }, 'invalid_token'],
        [{ proof: null }, 'invalid_dpop_proof'],
        [{ proof: 'x' }, 'invalid_dpop_proof'],
        [{ proof: { claims: { iat: 1 } } }, 'invalid_dpop_proof'],
        [{ proof: { claims: { htm: 'PUT' } } }, 'invalid_dpop_proof'],
        [{ proof: { claims: { htu: 'x' } } }, 'invalid_dpop_proof'],
        [{ proof: { claims: { ath: 'x' } } }, 'invalid_dpop_proof'],
        [{ proof: { key: createSigningKey('ES256') } }, 'invalid_dpop_proof'],
      ] as const) {
        const answer = await both.ask(asked)
        expect(answer.status).toBe(401)
        expect(challenges(answer)).toEqual({ DPoP: { error, error_description: expect.any(String), algs: 'ES256 PS256' } })
      }
    })

    test('[RFC6750-3.1-insufficient-scope] says insufficient_scope and the scopes with the scheme that was used', async () => {
      const on = (asked: Asked) => both.ask({ ...asked, path: '/refunds' })
      const [proved, bearer] = [await on({}), await on({ token: issuer.token(), scheme: 'Bearer', proof: null })]
      const told = { error: 'insufficient_scope', error_description: expect.any(String), scope: 'orders:refund' }
      expect([outcomeOf(proved), outcomeOf(bearer)]).toEqual(['403 scope_insufficient', '403 scope_insufficient'])
      expect(challenges(proved)).toEqual({ DPoP: { ...told, algs: 'ES256 PS256' } })
      expect(challenges(bearer)).toEqual({ Bearer: told })
      expect(await both.outcome({ path: '/refunds', token: both.token({ scope: 'orders:refund' }) })).toBe('200')
    })

    test('[RFC6750-3.1-invalid-request] says invalid_request with the scheme that was used', async () => {
      const proved = await both.ask({ authorization: ['DPoP a b'], proof: null })
      const bearer = await both.ask({ authorization: ['Bearer a b'], proof: null })
      expect(challenges(proved)).toMatchObject({ DPoP: { error: 'invalid_request' } })
      expect(challenges(bearer)).toMatchObject({ Bearer: { error: 'invalid_request' } })
    })

    test('[RFC9449-7.1-algs] the algorithms are those that are accepted', async () => {
      const answer = await api.ask({ proof: null })
      const accepted = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519']
      expect(challenges(answer)['DPoP']?.['algs']?.split(' ').sort()).toEqual(accepted.sort())
    })

    test('[RFC9449-7.2-challenges] where every token has to be bound, Bearer is not offered', async () => {
      const own = await start({ issuer: { dpop: 'require' }, dpop: { algorithms: ALGORITHMS } })
      expect(challenges(await own.ask({ authorization: [], proof: null }))).toEqual({ DPoP: { algs: 'ES256 PS256' } })
      const answer = await own.ask({ token: issuer.token(), scheme: 'Bearer', proof: null })
      expect(outcomeOf(answer)).toBe('401 binding_required')
      expect(challenges(answer)).toEqual({
        DPoP: { error: 'invalid_token', error_description: expect.any(String), algs: 'ES256 PS256' },
      })
    })

    test('[RFC9449-7.1-expose] [RFC9449-8-expose] scripts of other origins may read the challenge, and the nonce', async () => {
      for (const asked of [{ authorization: [], proof: null }, { proof: null }, { scheme: 'Bearer' }, { path: '/refunds' }]) {
        expect(exposed(await both.ask(asked))).toEqual(['WWW-Authenticate'])
      }
      const own = await start({ dpop: { nonce: { secret: SECRET } } })
      expect(exposed(await own.ask())).toEqual(['WWW-Authenticate', 'DPoP-Nonce'])
    })

    test('[RFC9449-7.1-expose] what the application exposes stays, and nothing stands there twice', async () => {
      for (const [said, expected] of [
        ['X-Total', 'X-Total, WWW-Authenticate, DPoP-Nonce'],
        ['X-Total, www-authenticate', 'X-Total, www-authenticate, DPoP-Nonce'],
        ['DPOP-NONCE,WWW-AUTHENTICATE', 'DPOP-NONCE, WWW-AUTHENTICATE'],
        ['', 'WWW-Authenticate, DPoP-Nonce'],
        ['*', '*, WWW-Authenticate, DPoP-Nonce'],
      ] as const) {
        const own = await start({
          dpop: { nonce: { secret: SECRET } },
          build(app, server) {
            app.use(framework.step((call) => call.response.setHeader('Access-Control-Expose-Headers', said)))
            app.use(server.authenticate())
          },
        })
        expect((await own.ask()).headers['access-control-expose-headers']).toBe(expected)
      }
    })

    test('[RFC9449-7.1-expose] it opens an answer to nobody', async () => {
      expect(
        (await both.ask({ proof: null, headers: [['Origin', 'https://evil.example']] })).headers['access-control-allow-origin'],
      ).toBeUndefined()
    })

    test("[RFC9449-7.1-expose] refusals: 'forward' keeps the names that the application has said already", async () => {
      const own = await start({
        server: { refusals: 'forward' },
        dpop: { nonce: { secret: SECRET } },
        build(app, server) {
          app.use(framework.step((call) => call.response.setHeader('Access-Control-Expose-Headers', 'X-Total')))
          app.use(server.authenticate())
        },
      })
      expect(exposed(await own.ask())).toEqual(['X-Total', 'WWW-Authenticate', 'DPoP-Nonce'])
    })

    test("[RFC9449-7.1-error] refusals: 'forward' keeps challenge, nonce and names", async () => {
      const own = await start({ server: { refusals: 'forward' }, dpop: { algorithms: ALGORITHMS, nonce: { secret: SECRET } } })
      const answer = await own.ask()
      expect(answer.status).toBe(401)
      expect(challenges(answer)).toEqual({
        DPoP: { error: 'use_dpop_nonce', error_description: expect.any(String), algs: 'ES256 PS256' },
      })
      expect(exposed(answer)).toEqual(['WWW-Authenticate', 'DPoP-Nonce'])
      const nonce = answer.headers['dpop-nonce'] ?? ''
      expect(await own.outcome({ proof: { nonce } })).toBe('200')
      expect(own.running.app.errors).toMatchObject([{ code: 'proof_nonce_required', status: 401 }])
    })
  })

  describe('nonces', () => {
    const withNonces = (options: DpopApiOptions = {}) =>
      start({ ...options, dpop: { nonce: { secret: SECRET }, ...options.dpop } })
    const nonceOf = async (own: DpopApi) => (await own.ask()).headers['dpop-nonce'] ?? ''

    test('[RFC9449-9-nonce] [RFC9449-4.3-10-nonce] a proof without one is refused with one, which the next proof is accepted with', async () => {
      const own = await withNonces()
      const answer = await own.ask()
      expect(outcomeOf(answer)).toBe('401 proof_nonce_required')
      expect(challenges(answer)['DPoP']).toMatchObject({ error: 'use_dpop_nonce' })
      const nonce = answer.headers['dpop-nonce'] ?? ''
      expect(await own.outcome({ proof: { nonce } })).toBe('200')
      expect(await own.outcome({ proof: { nonce } })).toBe('200')
    })

    test('[RFC9449-8.1-syntax] [RFC9449-8-one-nonce] it is in the characters of a nonce, and on one line', async () => {
      const own = await withNonces()
      expect((await own.ask()).headers['dpop-nonce']).toMatch(/^[\x21\x23-\x5b\x5d-\x7e]+$/)
      own.nowSeconds += 150
      const [nonce, later] = [await nonceOf(own), own.nowSeconds + 150]
      own.nowSeconds = later
      // Refused after a new nonce was given: still one line.
      const token = own.token()
      const proof = own.proof(token, { nonce })
      await own.ask({ token, proof })
      const replayed = await own.ask({ token, proof })
      expect(outcomeOf(replayed)).toBe('401 proof_replayed')
      expect(replayed.headers['dpop-nonce']).not.toContain('\n')
    })

    test('[RFC9449-11.3-downgrade] once they are given out, no proof without one is accepted, whatever else it says', async () => {
      const own = await withNonces()
      const nonce = await nonceOf(own)
      for (const claims of [
        {},
        { nonce: '' },
        { nonce: null },
        { nonce: [nonce] },
        { nonce: { nonce } },
        { Nonce: nonce },
        { nonce: true },
      ]) {
        expect(await own.outcome({ proof: { claims } })).toBe('401 proof_nonce_required')
      }
      const token = own.token()
      const proof = own.proof(token)
      expect(await own.outcome({ token, proof, headers: [['DPoP-Nonce', nonce]] })).toBe('401 proof_nonce_required')
      expect(own.ran).toBe(0)
    })

    test('[RFC9449-9-match] one that is forged, cut, of the future or of another secret is refused', async () => {
      const own = await withNonces()
      const other = await withNonces({ dpop: { nonce: { secret: `${SECRET}!` } } })
      const [nonce, foreign] = [await nonceOf(own), await nonceOf(other)]
      expect(foreign).not.toBe(nonce)
      own.nowSeconds += 3000
      const future = await nonceOf(own)
      own.nowSeconds -= 3000
      const flipped = `${nonce.slice(0, 12)}${nonce[12] === 'A' ? 'B' : 'A'}${nonce.slice(13)}`
      for (const each of [foreign, future, flipped, nonce.slice(0, -1), `${nonce}A`, ` ${nonce}`, nonce.toUpperCase(), 'nonce']) {
        expect([each, await own.outcome({ proof: { nonce: each } })]).toEqual([each, '401 proof_nonce_required'])
      }
      expect(await own.outcome({ proof: { nonce } })).toBe('200')
    })

    test('[RFC9449-8.2-new] a new one comes with a good answer in time, and the old one is good until its end', async () => {
      const own = await withNonces()
      own.nowSeconds -= START_SECONDS % 150
      const begun = own.nowSeconds
      const nonce = await nonceOf(own)
      const answerAt = async (after: number, given = nonce) => {
        own.nowSeconds = begun + after
        return own.ask({ proof: { nonce: given } })
      }
      for (const after of [0, 149.999]) expect((await answerAt(after)).headers['dpop-nonce']).toBeUndefined()
      const renewed = await answerAt(150)
      const next = renewed.headers['dpop-nonce'] ?? ''
      expect([renewed.status, exposed(renewed)]).toEqual([200, ['DPoP-Nonce']])
      expect(next).not.toBe(nonce)
      const inUse = await answerAt(150, next)
      expect([inUse.status, inUse.headers['dpop-nonce']]).toEqual([200, undefined])
      expect((await answerAt(299.999)).status).toBe(200)
      expect(outcomeOf(await answerAt(300))).toBe('401 proof_nonce_required')
      expect((await answerAt(449.999, next)).status).toBe(200)
      expect(outcomeOf(await answerAt(450, next))).toBe('401 proof_nonce_required')
    })

    test('[RFC9449-8.2-uncacheable] an answer with a new nonce may not be stored', async () => {
      const own = await withNonces()
      expect((await own.ask()).headers['cache-control']).toBe('no-store')
      const nonce = await nonceOf(own)
      own.nowSeconds += 200
      const answer = await own.ask({ proof: { nonce } })
      expect([answer.status, typeof answer.headers['dpop-nonce']]).toEqual([200, 'string'])
      expect(answer.headers['cache-control']).toBe('no-store')
    })

    test('[RFC9449-8.2-uncacheable] nor where the application lets all of its answers be stored', async () => {
      const own = await withNonces({
        build(app, server) {
          app.use(framework.step(({ response }) => void response.setHeader('Cache-Control', 'public, max-age=600')))
          app.use(server.authenticate())
          app.use(framework.handler((call) => call.json({})))
        },
      })
      const nonce = await nonceOf(own)
      expect((await own.ask({ proof: { nonce } })).headers['cache-control']).toBe('public, max-age=600')
      own.nowSeconds += 200
      const { status, headers } = await own.ask({ proof: { nonce } })
      expect([status, typeof headers['dpop-nonce'], headers['cache-control']]).toEqual([200, 'string', 'no-store'])
    })

    test('[BEHALF-dpop-replicas] replicas with one secret take each other’s nonces', async () => {
      const [one, other] = [await withNonces(), await withNonces()]
      const nonce = await nonceOf(one)
      expect(await other.outcome({ proof: { nonce } })).toBe('200')
    })

    test('[BEHALF-dpop-replicas] a change of secrets takes the old one’s nonces, and gives the new one’s', async () => {
      const old = await withNonces()
      const changing = await withNonces({ dpop: { nonce: { secret: [`${SECRET}, new`, SECRET] } } })
      const changed = await withNonces({ dpop: { nonce: { secret: `${SECRET}, new` } } })
      const nonce = await nonceOf(old)
      const answer = await changing.ask({ proof: { nonce } })
      expect(answer.status).toBe(200)
      const next = answer.headers['dpop-nonce'] ?? ''
      expect(next).toBe(await nonceOf(changed))
      expect(await changed.outcome({ proof: { nonce: next } })).toBe('200')
      expect(await changed.outcome({ proof: { nonce } })).toBe('401 proof_nonce_required')
    })

    test('[RFC9449-9-nonce] a nonce helps only where all else fits: other faults are told by their own names', async () => {
      const own = await withNonces()
      for (const [proof, outcome] of [
        [{ claims: { htm: 'PUT' } }, '401 proof_method_mismatch'],
        [{ claims: { iat: 1 } }, '401 proof_expired'],
        [{ claims: { ath: 'x' } }, '401 proof_token_mismatch'],
      ] as const) {
        const answer = await own.ask({ proof })
        expect([outcomeOf(answer), answer.headers['dpop-nonce']]).toEqual([outcome, undefined])
      }
    })
  })

  describe('the modes', () => {
    const modes = ['off', 'allow', 'require'] as const
    const requirements = ['none', ...modes] as const
    const nameOf = (mode: string) => `https://${mode}.example.test`
    const issuers = modes.map((mode) => oauth({ issuer: nameOf(mode), audience: TEST_AUDIENCE, jwks: issuer.jwks(), dpop: mode }))

    /** What comes of each presentation at a route without a requirement. */
    const BY_ISSUER = {
      off: {
        'unbound on Bearer': '200',
        'bound on Bearer': 'binding_unsupported',
        'unbound on DPoP': 'binding_unsupported',
        'bound on DPoP': 'binding_unsupported',
      },
      allow: {
        'unbound on Bearer': '200',
        'bound on Bearer': 'sender_mismatch',
        'unbound on DPoP': 'sender_mismatch',
        'bound on DPoP': '200',
      },
      require: {
        'unbound on Bearer': 'binding_required',
        'bound on Bearer': 'sender_mismatch',
        'unbound on DPoP': 'binding_required',
        'bound on DPoP': '200',
      },
    } as const
    type Presented = keyof (typeof BY_ISSUER)['off']

    /** What a route's requirement makes of a call that its issuer's mode has let through. */
    const BY_ROUTE: Readonly<Record<(typeof requirements)[number], Readonly<Partial<Record<Presented, string>>>>> = {
      none: {},
      allow: {},
      require: { 'unbound on Bearer': 'binding_required' },
      off: { 'bound on DPoP': 'binding_unsupported' },
    }

    const table = modes.flatMap((mode) =>
      requirements.flatMap((requirement) =>
        (Object.keys(BY_ISSUER[mode]) as Presented[]).map((presented) => {
          const first = BY_ISSUER[mode][presented]
          return [mode, requirement, presented, first === '200' ? (BY_ROUTE[requirement][presented] ?? '200') : first] as const
        }),
      ),
    )

    const build: DpopApiOptions['build'] = (app, server, _framework, handlerRan) => {
      app.use(server.authenticate())
      for (const requirement of requirements) {
        const guard = requirement === 'none' ? server.guard() : server.guard({ dpop: requirement })
        const handler = framework.handler((call) => {
          handlerRan()
          call.json({})
        })
        app.route('GET', `/${requirement}`, guard, handler)
      }
    }

    test.each([
      ['a list', issuers],
      ['a function', (iss: string) => issuers.find((each) => each.issuer === iss) ?? null],
    ] as const)(
      '[BEHALF-dpop-modes] [BEHALF-dpop-route] issuers as %s: every mode, requirement, scheme and binding',
      async (_what, of) => {
        expect(table).toHaveLength(48)
        const own = await start({ server: { issuers: of as ResourceServerOptions['issuers'] }, build })
        for (const [mode, requirement, presented, outcome] of table) {
          const [binding, , scheme = ''] = presented.split(' ')
          const token = own.token({ iss: nameOf(mode), ...(binding === 'unbound' && { cnf: undefined }) })
          const before = own.ran
          const came = await own.outcome({ token, scheme, path: `/${requirement}` })
          const row = `${mode}, ${requirement}, ${presented}`
          expect([row, came]).toEqual([row, outcome === '200' ? '200' : `401 ${outcome}`])
          expect(own.ran - before, row).toBe(outcome === '200' ? 1 : 0)
        }
      },
    )

    test('[BEHALF-dpop-route] a route that requires a bound token tells how', async () => {
      const own = await start({ server: { issuers }, dpop: { algorithms: ALGORITHMS }, build })
      const answer = await own.ask({
        token: own.token({ iss: nameOf('allow'), cnf: undefined }),
        scheme: 'Bearer',
        proof: null,
        path: '/require',
      })
      expect(challenges(answer)).toEqual({
        Bearer: { error: 'invalid_token', error_description: expect.any(String) },
        DPoP: { algs: 'ES256 PS256' },
      })
    })

    test('[BEHALF-anonymous] an optional route takes nobody who presents something bad', async () => {
      expect(await api.ask({ path: '/open', authorization: [], proof: null })).toMatchObject({ status: 200, body: 'null' })
      expect(await api.ask({ path: '/open', authorization: [], proof: api.proof('x') })).toMatchObject({
        status: 200,
        body: 'null',
      })
      expect(await api.outcome({ path: '/open' })).toBe('200')
      expect(await api.outcome({ path: '/open', proof: null })).toBe('401 proof_missing')
      expect(await api.outcome({ path: '/open', scheme: 'Bearer' })).toBe('401 sender_mismatch')
      expect(await api.outcome({ path: '/open', authorization: ['DPoP'] })).toBe('400 credentials_malformed')
    })

    test('[BEHALF-dpop-verify] verify() refuses a bound token: no request is there to prove anything', async () => {
      const { api: server } = api.running
      for (const _time of ['new', 'known']) {
        await expect(server.verify(api.token())).rejects.toMatchObject({ code: 'binding_unsupported', status: 401 })
      }
      const token = api.token()
      expect(await api.outcome({ token })).toBe('200')
      await expect(server.verify(token)).rejects.toMatchObject({ code: 'binding_unsupported' })
      await expect(server.verify(issuer.token())).resolves.toMatchObject({ kind: 'direct' })
      const strict = await start({ issuer: { dpop: 'require' } })
      await expect(strict.running.api.verify(issuer.token())).rejects.toMatchObject({ code: 'binding_required' })
    })
  })

  test.each([{ cache: false }, {}] as const)(
    '[BEHALF-dpop-cache] with %j a known bound token is never served from a decision made for another proof',
    async (server) => {
      const own = await start({ server })
      const token = own.token()
      const thief = createDpopClient({ now: () => START_SECONDS * 1000 })
      const first = own.proof(token)
      expect(await own.outcome({ token, proof: first })).toBe('200')
      const answers: string[] = []
      for (const asked of [
        { proof: null },
        { proof: first },
        { client: thief },
        { proof: { key: thief.key } },
        { scheme: 'Bearer' },
        { scheme: 'Bearer', proof: null },
        { method: 'POST', for: { method: 'GET' } },
        { for: { url: `${ORIGIN}/open` } },
        {},
      ] as Asked[]) {
        answers.push(await own.outcome({ token, ...asked }))
      }
      expect(answers).toEqual([
        '401 proof_missing',
        '401 proof_replayed',
        '401 sender_mismatch',
        '401 proof_signature_invalid',
        '401 sender_mismatch',
        '401 sender_mismatch',
        '401 proof_method_mismatch',
        '401 proof_target_mismatch',
        '200',
      ])
      expect(own.ran).toBe(2)
    },
  )

  describe('the request', () => {
    test('[RFC9110-9.3.2-head] [RFC9449-4.3-8-htm] HEAD is HEAD, not the GET whose route answers it', async () => {
      expect((await api.ask({ method: 'HEAD' })).status).toBe(200)
      const answer = await api.ask({ method: 'HEAD', for: { method: 'GET' } })
      expect([answer.status, answer.body]).toEqual([401, ''])
      expect(challenges(answer)['DPoP']).toMatchObject({ error: 'invalid_dpop_proof' })
      expect(await api.outcome({ for: { method: 'HEAD' } })).toBe('401 proof_method_mismatch')
    })

    test('[BEHALF-dpop-method] an overridden method changes nothing: the one on the wire is proved', async () => {
      const own = await start({
        build(app, server) {
          app.use(framework.step((call) => call.overrideMethod('DELETE')))
          app.use(server.authenticate())
          app.route(
            'DELETE',
            '/context',
            framework.handler((call) => call.json({})),
          )
        },
      })
      expect(await own.outcome({ method: 'POST' })).toBe('200')
      expect(await own.outcome({ method: 'POST', for: { method: 'DELETE' } })).toBe('401 proof_method_mismatch')
    })

    test('[RFC9449-4.3-9-htu] behind a router and a mounted application the URI is the one that was asked for', async () => {
      const own = await start({
        build(app, server) {
          const handler = framework.handler((call) => call.json({}))
          app.router('/v1', (routes) => void routes.route('GET', '/orders', server.authenticate(), handler))
          app.mount('/app', (inner) => void inner.use(server.authenticate()).route('GET', '/orders', handler))
        },
      })
      for (const path of ['/v1/orders', '/app/orders']) {
        expect([path, await own.outcome({ path })]).toEqual([path, '200'])
        expect(await own.outcome({ path, for: { url: `${ORIGIN}/orders` } })).toBe('401 proof_target_mismatch')
      }
    })

    test('[RFC9449-4.3-9-htu] a target of which a framework could take a part of the host for the path fits no proof', async () => {
      const own = await start({
        build(app, server) {
          app.use(server.authenticate())
          app.use(framework.handler((call) => call.json({})))
        },
      })
      const targets = [
        'http://a;x/orders',
        "http://a'x/orders",
        'http://a%2f/orders',
        'javascript://x/orders',
        'http://u@x/orders',
      ]
      for (const target of targets) {
        expect([target, await own.outcome({ target, path: '/orders' })]).toEqual([target, '401 proof_target_mismatch'])
      }
      expect(await own.outcome({ target: 'http://[::1]:80/orders', path: '/orders' })).toBe('200')
      expect(await own.outcome({ target: '*', path: '/' })).toBe('401 proof_target_mismatch')
      expect(await own.outcome({ target: '*', path: '/', method: 'OPTIONS' })).toBe('200')
    })

    test('[RFC9449-4.3-normalization] a path that is written in another way is proved in its normal form', async () => {
      const own = await start({
        build(app, server) {
          app.use(server.authenticate())
          app.use(framework.handler((call) => call.json({})))
        },
      })
      for (const [path, url] of [
        ['/a/../orders', '/a/../orders'],
        ['/a/%2E./orders', '/a/%2E./orders'],
        ['/%6frders', '/orders'],
        ['/a%2fb', '/a%2Fb'],
        ['//evil.example/orders', '//evil.example/orders'],
        ['/', ''],
        ['/?q', '?q'],
        ['/orders/', '/orders/'],
      ] as const) {
        expect([path, await own.outcome({ path, for: { url: ORIGIN + url } })]).toEqual([path, '200'])
      }
      // One proof is one use, also where two requests write its URI in two ways.
      const token = own.token()
      const proof = own.client.proof('GET', `${ORIGIN}/a/../orders`, { token })
      expect(await own.outcome({ path: '/a/../orders', token, proof })).toBe('200')
      expect(await own.outcome({ path: '/orders', token, proof })).toBe('401 proof_replayed')
      // Frameworks route by what is written, so that one route's proof must not open another.
      for (const path of ['/a/../orders', '/a/%2e%2E/orders', '/orders/.', '/./orders', '/orders/x/..']) {
        expect([path, await own.outcome({ path, for: { url: `${ORIGIN}/orders` } })]).toEqual([path, '401 proof_target_mismatch'])
      }
      expect(await own.outcome({ path: '/orders/', for: { url: `${ORIGIN}/orders` } })).toBe('401 proof_target_mismatch')
      expect(await own.outcome({ path: '//evil.example/orders', for: { url: 'https://evil.example/orders' } })).toBe(
        '401 proof_target_mismatch',
      )
    })

    test('[RFC9449-4.3-9-htu] a target in absolute form is proved by its path, whatever host it says', async () => {
      for (const target of [
        'http://api.example.com/context',
        'http://evil.example/context?q=1',
        'https://api.example.com:8443/context',
      ]) {
        expect([target, await api.outcome({ target })]).toEqual([target, '200'])
        expect(await api.outcome({ target, for: { url: 'https://evil.example/context' } })).toBe('401 proof_target_mismatch')
      }
    })

    test('[BEHALF-dpop-origins] Host, forwarded fields and a trusting framework never make an origin', async () => {
      const own = await start({
        build(app, server, _framework, ran) {
          app.trustProxy()
          app.use(server.authenticate())
          app.route(
            'GET',
            '/context',
            framework.handler((call) => {
              ran()
              call.json({})
            }),
          )
        },
      })
      const evil = 'https://evil.example/context'
      const headers = [
        ['X-Forwarded-Host', 'evil.example'],
        ['Forwarded', 'host=evil.example'],
        ['X-Forwarded-Proto', 'https'],
      ] as const
      expect(await own.outcome({ host: 'evil.example', headers, for: { url: evil } })).toBe('401 proof_target_mismatch')
      expect(await own.outcome({ host: 'evil.example', headers })).toBe('200')
      expect(own.ran).toBe(1)
    })

    test('[BEHALF-dpop-origins] Host selects among several', async () => {
      const own = await start({ server: { publicOrigins: [ORIGIN, 'https://eu.example.com:8443', 'http://localhost:3000'] } })
      const at = (host: string, origin: string) => own.outcome({ host, for: { url: `${origin}/context` } })
      expect(await at('api.example.com', ORIGIN)).toBe('200')
      expect(await at('API.example.com:443', ORIGIN)).toBe('200')
      expect(await at('eu.example.com:8443', 'https://eu.example.com:8443')).toBe('200')
      expect(await at('localhost:3000', 'http://localhost:3000')).toBe('200')
      expect(await at('eu.example.com:8443', ORIGIN)).toBe('401 proof_target_mismatch')
      expect(await at('api.example.com', 'https://eu.example.com:8443')).toBe('401 proof_target_mismatch')
      expect(await at('evil.example', 'https://evil.example')).toBe('401 proof_target_mismatch')
      expect(await at('evil.example', ORIGIN)).toBe('401 proof_target_mismatch')
      expect(await own.outcome({ host: 'evil.example', target: 'http://api.example.com/context' })).toBe('200')
      expect(await own.outcome({ host: 'api.example.com', target: 'http://evil.example/context' })).toBe(
        '401 proof_target_mismatch',
      )
    })

    test.each([
      ['X-Forwarded-Host', 'eu.example.com'],
      ['X-Forwarded-Host', 'evil.example, eu.example.com'],
      ['Forwarded', 'for=192.0.2.60;proto=https;host=eu.example.com'],
      ['Forwarded', 'host=evil.example, host="eu.example.com"'],
    ])('[BEHALF-dpop-origins] %s: %s selects only where a trusted proxy sends it', async (name, value) => {
      const publicOrigins = [ORIGIN, 'https://eu.example.com']
      const asked = { host: 'api.example.com', headers: [[name, value] as const] }
      const [here, there] = [{ ...asked }, { ...asked, for: { url: 'https://eu.example.com/context' } }]
      for (const trustedProxies of [undefined, ['192.0.2.1'], ['10.0.0.0/8', '::1']]) {
        const own = await start({ server: { publicOrigins, ...(trustedProxies && { trustedProxies }) } })
        expect([await own.outcome(here), await own.outcome(there)]).toEqual(['200', '401 proof_target_mismatch'])
      }
      const own = await start({ server: { publicOrigins, trustedProxies: ['127.0.0.0/8'] } })
      expect([await own.outcome(here), await own.outcome(there)]).toEqual(['401 proof_target_mismatch', '200'])
    })
  })

  describe('what is told of it', () => {
    const rules = [{ id: 'agents', kind: 'delegation', actor: 'any', scopes: 'all' }] as const
    const act = { sub: 'agent-1' }

    test('[BEHALF-dpop-audit] a refused delegated call is recorded at the stage bind, by its reason', async () => {
      const api = await start({ server: { delegation: rules }, record: 'delegated', dpop: { nonce: { secret: SECRET } } })
      const { sink } = api
      const nonce = (await api.ask({ token: api.token({ act }) })).headers['dpop-nonce'] ?? ''
      sink.clear()
      const thief = createDpopClient({ now: () => START_SECONDS * 1000 })
      const reasons = [
        ['proof_missing', { proof: null }],
        ['proof_malformed', { proof: 'x' }],
        ['proof_signature_invalid', { proof: { nonce, key: thief.key } }],
        ['proof_method_mismatch', { proof: { nonce, claims: { htm: 'PUT' } } }],
        ['proof_nonce_required', {}],
        ['sender_mismatch', { client: thief }],
        ['sender_mismatch', { scheme: 'Bearer' }],
      ] as const
      for (const [reason, asked] of reasons)
        expect(await api.outcome({ token: api.token({ act }), ...asked })).toBe(`401 ${reason}`)
      expect(sink.events.map(({ type, stage, decision, reason }) => [type, stage, decision, reason])).toEqual(
        reasons.map(([reason]) => ['access.decision', 'bind', 'refuse', reason]),
      )
      expect(sink.events.every((event) => JSON.stringify(event).includes('agent-1'))).toBe(true)
      sink.clear()
      const token = api.token({ act })
      const proof = api.proof(token, { nonce })
      expect([await api.outcome({ token, proof }), await api.outcome({ token, proof })]).toEqual(['200', '401 proof_replayed'])
      await sink.until(({ type }) => type === 'access.outcome')
      const told = sink.events.filter(({ type }) => type === 'access.decision')
      expect(told.map(({ stage, decision, reason }) => [stage, decision, reason])).toEqual([
        ['rules', 'allow', null],
        ['bind', 'refuse', 'proof_replayed'],
      ])
    })

    test('[BEHALF-dpop-audit] a direct call that is refused there is recorded only where refusals are', async () => {
      for (const record of ['delegated', 'refusals'] as const) {
        const own = await start({ record })
        expect(await own.outcome({ proof: null })).toBe('401 proof_missing')
        const told = own.sink.events.map(({ stage, reason }) => [stage, reason])
        expect(told).toEqual(record === 'refusals' ? [['bind', 'proof_missing']] : [])
      }
    })

    test('[BEHALF-dpop-secrecy] nothing of a proof stands in an event, an answer, an error or a log', async () => {
      const logged: unknown[] = []
      for (const method of ['log', 'info', 'warn', 'error', 'debug'] as const) {
        vi.spyOn(console, method).mockImplementation((...all) => void logged.push(...all))
      }
      const warned = (warning: Error) => void logged.push(warning)
      process.on('warning', warned)
      for (const refusals of ['respond', 'forward'] as const) {
        const own = await start({
          server: { delegation: rules, refusals, limits: { replayEntries: 1 } },
          dpop: { nonce: { secret: SECRET } },
        })
        const nonce = (await own.ask()).headers['dpop-nonce'] ?? ''
        const token = own.token({ act, jti: 'id-of-the-token' })
        const jti = 'id-of-the-proof'
        const forged = 'nonce-of-the-client'
        const good = own.proof(token, { nonce, claims: { jti } })
        const answers: Answer[] = []
        for (const asked of [
          { proof: good },
          { proof: good },
          { proof: { nonce } },
          { proof: { nonce: forged, claims: { jti } } },
          { proof: { nonce, claims: { jti, htm: 'method-of-the-proof' } } },
          { proof: { nonce, claims: { jti, htu: 'https://uri-of-the-proof.example' } } },
          { proof: { claims: { jti, iat: 1 } } },
          { proof: { key: createSigningKey('ES256'), claims: { jti } } },
          { proof: { header: { jwk: { ...own.client.jwk, d: 'private-part' } } } },
          { proof: `${good}, ${good}` },
          { scheme: 'Bearer', proof: good },
        ] as Asked[]) {
          answers.push(await own.ask({ token, ...asked }))
        }
        expect(answers.map(({ status }) => status)).toEqual([200, 401, 503, ...Array.from({ length: 8 }, () => 401)])
        await own.sink.until(({ type }) => type === 'access.outcome')
        const told = inspect([own.sink.events, answers.slice(1), own.running.app.errors, logged], { depth: 20, showHidden: true })
        const parts = [
          jti,
          forged,
          'method-of-the-proof',
          'uri-of-the-proof',
          'private-part',
          token,
          good,
          own.client.jkt,
          SECRET,
        ]
        for (const part of [...parts, ...good.split('.'), String(own.client.jwk['x']), String(own.client.jwk['y'])]) {
          expect(told.includes(part), part.slice(0, 30)).toBe(false)
        }
      }
      process.off('warning', warned)
    })
  })
})

describe('every code, whatever is offered and presented', () => {
  const offers = [true, false].flatMap((bearer) =>
    [null, ALGORITHMS].flatMap((dpopAlgorithms) =>
      [null, `${ORIGIN}/.well-known/oauth-protected-resource`].map((resourceMetadata) => ({
        bearer,
        dpopAlgorithms,
        resourceMetadata,
      })),
    ),
  )
  const errors = offers
    .filter(({ bearer, dpopAlgorithms }) => bearer || dpopAlgorithms !== null) // something is
    .flatMap((offer) =>
      (['Bearer', 'DPoP'] as const).flatMap((scheme) =>
        REFUSAL_CODES.map((code) => ({ offer, scheme, error: new AuthError(code, { offer, scheme, scopes: ['orders:read'] }) })),
      ),
    )

  test('[RFC6750-3-challenge] [RFC6750-3-once] [RFC6750-3-charset] a 401 has a challenge, a 503 none, and each follows the grammar', () => {
    for (const { error, offer, scheme } of errors) {
      const what = `${error.code}, ${scheme}, ${JSON.stringify(offer)}`
      if (error.status === 503) expect(error.challenge, what).toBeNull()
      if (error.status === 401) expect(error.challenge, what).not.toBeNull()
      if (error.challenge === null) continue
      const all = challengesOf(error.challenge)
      expect(Object.keys(all).length, what).toBeGreaterThan(0)
      for (const parameters of Object.values(all)) {
        for (const value of Object.values(parameters)) expect(value, what).toMatch(/^[\x20-\x21\x23-\x5b\x5d-\x7e]+$/)
        expect(parameters['resource_metadata'] ?? null, what).toBe(offer.resourceMetadata)
      }
    }
  })

  test('[RFC9449-7.2-challenges] the error is told with one scheme; where none was used, with none', () => {
    for (const { error, offer, scheme } of errors) {
      if (error.challenge === null) continue
      const all = challengesOf(error.challenge)
      const told = Object.values(all).filter((parameters) => 'error' in parameters)
      const what = `${error.code}, ${scheme}, ${JSON.stringify(offer)}: ${error.challenge}`
      expect(told.length, what).toBe(error.code === 'credentials_missing' ? 0 : 1)
      if (offer.dpopAlgorithms !== null && scheme === 'DPoP' && told.length > 0) expect(all, what).toHaveProperty('DPoP.error')
      if (!offer.bearer) expect(Object.keys(all), what).toEqual(['DPoP'])
      if (error.code.startsWith('proof_')) expect(Object.keys(all), what).toEqual(['DPoP']) // no other scheme has such errors
    }
  })
})

/** Express itself does not run on HTTP/2, but its middleware does. */
describe('HTTP/2', () => {
  const now = () => START_SECONDS * 1000
  const client = createDpopClient({ now })
  const token = () => issuer.token({ claims: { cnf: { jkt: client.jkt } } })

  const options: ResourceServerOptions = {
    issuers: [issuer.options({ jwks: issuer.jwks(), dpop: 'require' })],
    publicOrigins: [ORIGIN, 'https://eu.example.com'],
    dpop: { replay: 'single-process' },
    now,
  }
  const connections = FRAMEWORKS.filter(({ name }) => name !== 'Express 4').map(
    (framework) => [framework.name, () => connectionTo(framework)] as const,
  )

  function connectionTo(framework: (typeof FRAMEWORKS)[number]): Promise<Http2Connection> {
    const server = framework.resourceServer(options)
    const authenticate = server.authenticate()
    if (framework.family === 'express') {
      const run = authenticate as unknown as (request: object, response: object, next: () => void) => void
      return connectHttp2((request, response) => run(request, response, () => void response.end('ok')))
    }
    const app = framework.application()
    app.use(authenticate)
    app.use(framework.handler((call) => call.json({})))
    return connectHttp2(app.listener())
  }

  test.each(connections)(
    '[RFC9449-4.3-8-htm] [RFC9449-4.3-9-htu] [BEHALF-dpop-origins] %s: method, authority and path are those of the stream',
    async (_name, connect) => {
      const connection = await connect()
      closing.push(connection)
      const asked = async (headers: Record<string, string>, method: string, url: string) => {
        const { status, body } = await connection.ask({
          ':path': '/orders?q',
          ':authority': 'api.example.com',
          ...headers,
          ...client.headers(method, url, token()),
        })
        return status === 200 ? '200' : `${status} ${(JSON.parse(body) as { code: string }).code}`
      }
      expect(await asked({}, 'GET', `${ORIGIN}/orders`)).toBe('200')
      expect(await asked({ ':method': 'POST' }, 'POST', `${ORIGIN}/orders`)).toBe('200')
      expect(await asked({ ':method': 'POST' }, 'GET', `${ORIGIN}/orders`)).toBe('401 proof_method_mismatch')
      expect(await asked({ ':authority': 'eu.example.com' }, 'GET', 'https://eu.example.com/orders')).toBe('200')
      expect(await asked({ ':authority': 'eu.example.com' }, 'GET', `${ORIGIN}/orders`)).toBe('401 proof_target_mismatch')
      expect(await asked({ host: 'eu.example.com' }, 'GET', `${ORIGIN}/orders`)).toBe('200')
      expect(await asked({ ':authority': 'evil.example' }, 'GET', 'https://evil.example/orders')).toBe(
        '401 proof_target_mismatch',
      )
    },
  )

  test.each(connections)('[RFC9449-4.3-1-one-field] %s: two fields are refused', async (_name, connect) => {
    const connection = await connect()
    closing.push(connection)
    const { authorization, dpop } = client.headers('GET', `${ORIGIN}/orders`, token())
    const twice = [dpop, dpop] as unknown as string // Node sends a field for each
    const { status, body } = await connection.ask({
      ':path': '/orders',
      ':authority': 'api.example.com',
      authorization,
      dpop: twice,
    })
    expect([status, JSON.parse(body)]).toEqual([401, expect.objectContaining({ code: 'proof_malformed' })])
  })
})

function raise(error: unknown): never {
  throw error
}
