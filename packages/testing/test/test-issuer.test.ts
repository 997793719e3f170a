import { createServer, get, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { RefusalCode, ResourceServerOptions } from '@behalf/core'
import { AuthError, createResourceServer } from '@behalf/core/adapter'
import { asgardeo, curity, custom, descope } from '@behalf/core/issuers'
import {
  createSigningKey,
  createTestIssuer,
  fixtures,
  signCompact,
  TEST_ALGORITHMS,
  TEST_AUDIENCE,
  type TestIssuer,
  type TestIssuerOptions,
  type TokenOverrides,
  type Trouble,
} from '@behalf/testing'
import { afterEach, describe, expect, it, vi } from 'vitest'

const NOW_SECONDS = 1790000000

let open: TestIssuer[] = []
afterEach(async () => {
  vi.useRealTimers()
  await Promise.all(open.map((issuer) => issuer.close()))
  open = []
})

async function testIssuer(options: TestIssuerOptions = {}): Promise<TestIssuer> {
  const issuer = await createTestIssuer({ algorithms: ['EdDSA'], now: () => NOW_SECONDS * 1000, ...options })
  open.push(issuer)
  return issuer
}

function serverOf(issuer: TestIssuer, more: Partial<ResourceServerOptions> = {}) {
  return createResourceServer({ issuers: [issuer.options()], now: () => NOW_SECONDS * 1000, ...more })
}

/** The context's kind, or the code of the refusal. */
async function outcomeOf(server: ReturnType<typeof serverOf>, token: string): Promise<string> {
  try {
    return (await server.verify(token)).kind
  } catch (error) {
    if (error instanceof AuthError) return error.code
    throw error
  }
}

describe('a test token', () => {
  it('is valid by default', async () => {
    const issuer = await testIssuer()
    const context = await serverOf(issuer).verify(issuer.token())
    expect(context).toMatchObject({
      kind: 'direct',
      subject: { id: 'user-1', issuer: issuer.issuer },
      clientId: 'client-1',
      scopes: ['orders:read', 'orders:write'],
      token: { audience: [TEST_AUDIENCE], issuedAt: NOW_SECONDS, expiresAt: NOW_SECONDS + 600, type: 'at+jwt' },
    })
  })

  it('is another one each time', async () => {
    const issuer = await testIssuer()
    expect(issuer.token()).not.toBe(issuer.token())
  })

  const stranger = createSigningKey('EdDSA')
  const OVERRIDES: readonly (readonly [string, TokenOverrides, RefusalCode])[] = [
    ['another issuer', { claims: { iss: 'https://elsewhere.test' } }, 'issuer_unknown'],
    ['no issuer', { claims: { iss: undefined } }, 'issuer_unknown'],
    ['another audience', { claims: { aud: 'https://elsewhere.test' } }, 'audience_mismatch'],
    ['no audience', { claims: { aud: undefined } }, 'claim_missing'],
    ['no subject', { claims: { sub: undefined } }, 'claim_missing'],
    ['an empty subject', { claims: { sub: '' } }, 'claim_invalid'],
    ['no client', { claims: { client_id: undefined } }, 'claim_missing'],
    ['no jti', { claims: { jti: undefined } }, 'claim_missing'],
    ['no iat', { claims: { iat: undefined } }, 'claim_missing'],
    ['no exp', { claims: { exp: undefined } }, 'claim_missing'],
    ['expired', { claims: { exp: NOW_SECONDS - 5 } }, 'token_expired'],
    ['issued in the future', { claims: { iat: NOW_SECONDS + 6 } }, 'token_not_yet_valid'],
    ['not yet valid', { claims: { nbf: NOW_SECONDS + 6 } }, 'token_not_yet_valid'],
    ['scopes as a list', { claims: { scope: ['orders:read'] } }, 'claim_invalid'],
    ['an act that is a string', { claims: { act: 'support-1' } }, 'delegation_malformed'],
    ['a foreign marker', { claims: { impersonator: 'x' } }, 'delegation_foreign'],
    ['a bound token', { claims: { cnf: { jkt: 'x' } } }, 'binding_unsupported'],
    ['typ JWT', { header: { typ: 'JWT' } }, 'token_type_refused'],
    ['no typ', { header: { typ: undefined } }, 'token_type_refused'],
    ['alg none', { header: { alg: 'none' } }, 'algorithm_refused'],
    ['alg HS256', { header: { alg: 'HS256' } }, 'algorithm_refused'],
    ['an alg of another key', { header: { alg: 'ES256' } }, 'key_unknown'],
    ['an unknown kid', { header: { kid: 'unknown' } }, 'key_unknown'],
    ['crit', { header: { crit: ['exp'] } }, 'token_malformed'],
    ["a stranger's key", { key: stranger }, 'key_unknown'],
    ["a stranger's key under no kid", { key: stranger, header: { kid: undefined } }, 'signature_invalid'],
    ['another payload', { payload: '{}' }, 'issuer_unknown'],
    ['a broken payload', { payload: '{"iss":' }, 'token_malformed'],
  ]

  it.each(OVERRIDES)('with one thing overridden is refused for it: %s', async (_, overrides, code) => {
    const issuer = await testIssuer()
    expect(await outcomeOf(serverOf(issuer), issuer.token(overrides))).toBe(code)
  })

  it('can be delegated', async () => {
    const issuer = await testIssuer()
    expect(await outcomeOf(serverOf(issuer), issuer.token({ claims: { act: { sub: 'support-1' } } }))).toBe('delegation')
  })

  it('can be signed with every algorithm that behalf accepts', async () => {
    const issuer = await testIssuer({ algorithms: TEST_ALGORITHMS })
    const server = serverOf(issuer)
    for (const algorithm of TEST_ALGORITHMS) {
      expect([algorithm, await outcomeOf(server, issuer.token({ algorithm }))]).toEqual([algorithm, 'direct'])
    }
    expect(new Set(issuer.jwks().keys.map((key) => (key as { kid: string }).kid)).size).toBe(TEST_ALGORITHMS.length)
  })

  it('cannot be signed with an algorithm for which there is no key', async () => {
    const issuer = await testIssuer()
    expect(() => issuer.token({ algorithm: 'RS256' })).toThrow(/no key for RS256/)
  })

  it('can be anything: signCompact() signs what it is given', async () => {
    const issuer = await testIssuer()
    const key = issuer.key()
    expect(await outcomeOf(serverOf(issuer), signCompact({ alg: 'EdDSA', kid: key.kid }, 'no JSON', key))).toBe('token_malformed')
  })
})

describe('documented tokens', () => {
  it('are valid now under the presets of their vendors', async () => {
    const issuer = await testIssuer()
    const jwks = issuer.jwks()
    const text = (value: unknown) => String(value)
    const { asgardeo: wso2, curity: cty, descope: dsc, homeMade } = fixtures
    const clientIds = [text(wso2.direct.claims['aud'])]
    const server = serverOf(issuer, {
      issuers: [
        curity({ issuer: text(cty.direct.claims['iss']), audience: 'test-web-api', actAs: true, jwks }),
        descope({ projectId: text(dsc.direct.claims['iss']), jwks }),
        asgardeo({ organization: 'bifrost', clientIds, jwks }),
        asgardeo({ issuer: text(wso2.organizationSwitched.claims['iss']), clientIds, jwks }),
        custom({
          issuer: text(homeMade.direct.claims['iss']),
          audience: text(homeMade.direct.claims['aud']),
          tokenTypes: ['JWT'],
          jwks,
          actor: { claim: 'original_user', encoding: 'string' },
          kind: 'impersonation',
          claims: { scopes: { claim: 'permissions', format: 'list' } },
        }),
      ],
    })
    const kind = (fixture: Parameters<TestIssuer['tokenOf']>[0]) => outcomeOf(server, issuer.tokenOf(fixture))
    for (const vendor of [cty, dsc, wso2, homeMade]) {
      expect(await kind(vendor.direct)).toBe('direct')
      expect(await kind(vendor.impersonated)).toBe('impersonation')
    }
    expect(await kind(cty.actAs)).toBe('impersonation')
    expect(await kind(wso2.organizationSwitched)).toBe('impersonation')
    expect(await kind(wso2.subjectToken)).toBe('token_type_refused')
    expect(await kind(dsc.refreshToken)).toBe('claim_invalid')
  })

  it('keep their lifetimes, and take overrides', async () => {
    const issuer = await testIssuer()
    const { impersonated } = fixtures.curity
    const [, payload] = issuer.tokenOf(impersonated, { claims: { zone: 'eu', jti: undefined } }).split('.')
    const claims = JSON.parse(Buffer.from(payload ?? '', 'base64url').toString())
    expect(claims).toEqual({
      ...impersonated.claims,
      jti: undefined,
      iat: NOW_SECONDS,
      nbf: NOW_SECONDS,
      exp: NOW_SECONDS + 600,
      zone: 'eu',
    })
    expect(impersonated.claims['iat']).toBe(1646641575)
  })
})

describe('a test issuer', () => {
  const json = async (url: string) => (await fetch(url)).json()

  it('serves its metadata where RFC 8414 and OpenID look, and its keys', async () => {
    const issuer = await testIssuer()
    const metadata = { issuer: issuer.issuer, jwks_uri: issuer.jwksUri }
    expect(await json(`${issuer.issuer}/.well-known/oauth-authorization-server`)).toMatchObject(metadata)
    expect(await json(`${issuer.issuer}/.well-known/openid-configuration`)).toMatchObject(metadata)
    expect(await json(issuer.jwksUri)).toEqual(issuer.jwks())
    expect(JSON.stringify(issuer.jwks())).not.toContain('"d":')
    expect((await fetch(`${issuer.issuer}/elsewhere`)).status).toBe(404)
    expect(issuer.hits).toEqual({ metadata: 2, jwks: 1 })
  })

  it('may have a path', async () => {
    const issuer = await testIssuer({ path: '/realms/a' })
    expect(issuer.issuer).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/realms\/a$/)
    expect(await outcomeOf(serverOf(issuer), issuer.token())).toBe('direct')
    expect(issuer.hits).toEqual({ metadata: 1, jwks: 1 })
  })

  it('may have an audience of its own', async () => {
    const issuer = await testIssuer({ audience: 'https://orders.example.test' })
    expect(await outcomeOf(serverOf(issuer), issuer.token())).toBe('direct')
    expect(await outcomeOf(serverOf(issuer), issuer.token({ claims: { aud: TEST_AUDIENCE } }))).toBe('audience_mismatch')
  })

  it('takes the port that it is given, and says so where it is taken', async () => {
    const taken = createServer()
    await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve))
    const { port } = taken.address() as AddressInfo
    await expect(createTestIssuer({ algorithms: ['EdDSA'], port })).rejects.toMatchObject({ code: 'EADDRINUSE' })
    await new Promise((resolve) => taken.close(resolve))
    expect((await testIssuer({ port })).issuer).toBe(`http://127.0.0.1:${port}`)
  })

  it('is asked once for any number of tokens', async () => {
    const issuer = await testIssuer()
    const server = serverOf(issuer)
    await Promise.all(Array.from({ length: 20 }, () => server.verify(issuer.token())))
    expect(issuer.hits).toEqual({ metadata: 1, jwks: 1 })
  })

  it('rotate() replaces its keys: tokens signed before are orphans', async () => {
    const issuer = await testIssuer()
    let now = NOW_SECONDS * 1000
    const server = serverOf(issuer, { now: () => now })
    const before = issuer.token()
    const kid = issuer.key().kid
    expect(await outcomeOf(server, before)).toBe('direct')
    issuer.rotate()
    expect(issuer.key().kid).not.toBe(kid)
    now += 6_000 // past the time in which an unknown key id causes no further fetch
    expect(await outcomeOf(server, issuer.token())).toBe('direct')
    expect(await outcomeOf(server, before)).toBe('key_unknown')
  })

  const TROUBLES: readonly Trouble[] = [500, 404, 204, 'garbage', 'hang', 'redirect', 'reset']

  it.each(TROUBLES)('fail(%j): its keys are not available, until it recovers', async (trouble) => {
    const issuer = await testIssuer()
    const server = serverOf(issuer, { limits: { fetchHeadersMilliseconds: 30 } })
    for (const endpoint of ['jwks', 'metadata', undefined] as const) {
      if (endpoint === undefined) issuer.fail(trouble)
      else issuer.fail(trouble, endpoint)
      expect(await outcomeOf(server, issuer.token())).toBe('keys_unavailable')
      issuer.recover()
    }
    const patient = serverOf(issuer)
    expect(await outcomeOf(patient, issuer.token())).toBe('direct')
  })

  it('fail() alone is status 500 for both documents', async () => {
    const issuer = await testIssuer()
    issuer.fail()
    expect((await fetch(issuer.jwksUri)).status).toBe(500)
    expect((await fetch(`${issuer.issuer}/.well-known/openid-configuration`)).status).toBe(500)
    issuer.recover()
    expect((await fetch(issuer.jwksUri)).status).toBe(200)
  })

  it('delay() holds every answer back', async () => {
    const issuer = await testIssuer()
    issuer.delay(60_000)
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    const answer = new Promise<IncomingMessage>((resolve, reject) => {
      get(issuer.jwksUri, { agent: false }, resolve).once('error', reject)
    })
    while (issuer.hits.jwks === 0) await new Promise((resolve) => setImmediate(resolve))
    let answered = false
    void answer.then(() => {
      answered = true
    })
    vi.advanceTimersByTime(59_999)
    for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve))
    expect(answered).toBe(false)
    vi.advanceTimersByTime(1)
    const response = await answer
    expect(response.statusCode).toBe(200)
    response.resume()
    issuer.recover()
  })

  it('close() ends it, with whoever still waits', async () => {
    const issuer = await createTestIssuer({ algorithms: ['EdDSA'] })
    issuer.fail('hang')
    const waiting = fetch(issuer.jwksUri).then(
      () => 'answered',
      () => 'cut off',
    )
    while (issuer.hits.jwks === 0) await new Promise((resolve) => setImmediate(resolve))
    await issuer.close()
    expect(await waiting).toBe('cut off')
    await expect(fetch(issuer.jwksUri)).rejects.toThrow()
  })
})
