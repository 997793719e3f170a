import type { AuthContext, IssuerOptions, JsonObject, JsonValue } from '@behalf/core'
import { AuthError, createResourceServer } from '@behalf/core'
import { type InspectedIssuer, inspectToken, type UnverifiedInspection } from '@behalf/core/inspect'
import { asgardeo, curity, custom, descope, oauth } from '@behalf/core/issuers'
import { fixtures, signCompact } from '@behalf/testing'
import fc from 'fast-check'
import { describe, expect, it, vi } from 'vitest'
import { CLAIM_CHECKS } from '../src/claims/index.js'
import { ABOUT } from '../src/inspect/claim-refusals.js'
import { AUDIENCE, ISSUER, JWKS, KEY, NOW_SECONDS, oauthIssuer, tokenOf } from './support/harness.js'

const NOW = { nowMilliseconds: NOW_SECONDS * 1000 }

const inspect = (token: string, issuer: InspectedIssuer = oauthIssuer()): UnverifiedInspection => inspectToken(token, issuer, NOW)
const codes = (inspection: UnverifiedInspection): readonly string[] => inspection.refusals.map(({ code }) => code)

/** What a resource server of the same issuer makes of the token: a code, or `null` where it is let through. */
async function verifiedCode(token: string, issuer: IssuerOptions): Promise<string | null> {
  const server = createResourceServer({ issuers: [issuer], audit: 'none', now: () => NOW.nowMilliseconds })
  try {
    await server.verify(token)
    return null
  } catch (error) {
    if (error instanceof AuthError) return error.code
    throw error
  }
}

describe('what a token says', () => {
  it('is never verified, and nothing is fetched for it', () => {
    const fetch = vi.spyOn(globalThis, 'fetch')
    const inspection = inspect(
      tokenOf({}, { jku: 'https://evil.example/keys', x5u: 'https://evil.example/x', jwk: KEY.jwk as never }),
    )
    expect(inspection.verified).toBe(false)
    expect(inspection.refusals).toEqual([])
    expect(fetch).not.toHaveBeenCalled()
    fetch.mockRestore()
  })

  it('tells who would be calling, under the issuer’s dialect', () => {
    const { unverifiedCaller } = inspect(tokenOf({ act: { sub: 'agent-1', iss: ISSUER, act: { sub: 'svc-2' } } }))
    expect(unverifiedCaller).toMatchObject({
      unverifiedKind: 'delegation',
      unverifiedSubject: { id: 'user-1', issuer: ISSUER },
      unverifiedActor: { id: 'agent-1', issuer: ISSUER },
      unverifiedChain: [{ id: 'agent-1' }, { id: 'svc-2' }],
      unverifiedClientId: 'client-1',
      unverifiedScopes: ['orders:read', 'orders:write'],
    })
  })

  it('reads act_as the other way round only where that is configured', () => {
    const token = signCompact(
      { alg: KEY.algorithm, ...fixtures.curity.actAs.header },
      JSON.stringify(fixtures.curity.actAs.claims),
      KEY,
    )
    const options = { issuer: 'https://idsvr.example.com/oauth/v2/oauth-anonymous', audience: 'test-web-api' }
    const turned = inspect(token, curity({ ...options, actAs: true }))
    expect(turned.unverifiedCaller?.unverifiedSubject.id).toBe('user123')
    expect(turned.unverifiedCaller?.unverifiedActor?.id).toBe('admin')
    const plain = inspect(token, curity(options))
    expect(plain.unverifiedCaller).toBeNull()
    expect(plain.refusals.find(({ code }) => code === 'delegation_foreign')?.members).toEqual(['act_as'])
  })

  it('tells the name of a claim that holds a token, never the claim', () => {
    const inner = tokenOf({ sub: 'downstream' })
    const inspection = inspect(tokenOf({ inner }), oauthIssuer({ embeddedTokens: ['inner'] }))
    expect(inspection.embeddedClaims).toEqual(['inner'])
    expect(JSON.stringify(inspection)).not.toContain(inner)
    expect(inspection.unverifiedClaims?.['inner']).toBeUndefined()
  })

  it('keeps scopes that only ask the issuer for something apart', () => {
    const claims: JsonObject = { ...fixtures.curity.impersonated.claims, scope: 'read act_as:user123' }
    const token = signCompact({ alg: KEY.algorithm }, JSON.stringify(claims), KEY)
    const options = curity({ issuer: String(claims['iss']), audience: 'test-web-api' })
    expect(inspect(token, options).unverifiedCaller).toMatchObject({
      unverifiedScopes: ['read'],
      unverifiedRequestScopes: ['act_as:user123'],
    })
  })

  it('is frozen to the ground, and without prototypes', () => {
    const inspection = inspect(tokenOf({ nested: { deep: [1] } }))
    expect(
      Object.isFrozen(inspection) && Object.isFrozen(inspection.unverifiedCaller) && Object.isFrozen(inspection.refusals),
    ).toBe(true)
    const nested = inspection.unverifiedClaims?.['nested'] as JsonObject | undefined
    expect(Object.isFrozen(nested?.['deep'])).toBe(true)
    expect(nested?.['deep']).toEqual([1])
    expect(Object.getPrototypeOf(inspection.unverifiedClaims)).toBeNull()
  })

  it('cannot be taken for a context', () => {
    const inspection = inspect(tokenOf())
    // @ts-expect-error an inspection is no context
    const context: AuthContext = inspection
    // @ts-expect-error nor is who would be calling
    const caller: AuthContext | null = inspection.unverifiedCaller
    for (const member of ['kind', 'subject', 'actor', 'scopes', 'claims']) {
      expect(context).not.toHaveProperty(member)
      expect(caller).not.toHaveProperty(member)
    }
  })
})

describe('why it would be refused', () => {
  it('tells every reason, not only the first', () => {
    const token = tokenOf(
      {
        iss: 'https://evil.example',
        aud: 'somebody-else',
        exp: NOW_SECONDS - 600,
        nbf: NOW_SECONDS + 60,
        iat: NOW_SECONDS + 60,
        client_id: 'other',
        act: {},
        cnf: { jkt: 'x' },
        scope: 7,
      },
      { typ: 'JWT', alg: 'none' },
    )
    expect(codes(inspect(token, oauthIssuer({ clientIds: ['client-1'] })))).toEqual([
      'issuer_unknown',
      'algorithm_refused',
      'token_type_refused',
      'audience_mismatch',
      'client_refused',
      'token_expired',
      'token_not_yet_valid',
      'token_not_yet_valid',
      'claim_invalid',
      'binding_unsupported',
    ])
  })

  it('judges the header also where nobody issued the token', () => {
    for (const iss of [undefined, 7, ''] as const) {
      expect(codes(inspect(tokenOf({ iss }, { alg: 'none' }))).slice(0, 2)).toEqual(['issuer_unknown', 'algorithm_refused'])
    }
  })

  it('says which claims, and what is accepted there', () => {
    const { refusals } = inspect(tokenOf({ aud: 'x', jti: undefined, client_id: undefined }, { typ: 'JWT' }))
    const about = Object.fromEntries(refusals.map(({ code, members, accepted }) => [code, { members, accepted }]))
    expect(about).toMatchObject({
      token_type_refused: { members: ['typ'], accepted: ['application/at+jwt'] },
      claim_missing: { members: ['client_id', 'jti'] },
      audience_mismatch: { members: ['aud'], accepted: [AUDIENCE] },
    })
  })

  it('tells a missing claim once', () => {
    const { refusals } = inspect(tokenOf({ sub: undefined, aud: undefined, exp: undefined }))
    expect(refusals.map(({ code, members }) => [code, members])).toEqual([['claim_missing', ['sub', 'exp', 'aud']]])
  })

  it('says which required claim, and what it must be', () => {
    const options = curity({ issuer: ISSUER, audience: AUDIENCE, jwks: JWKS })
    const unmet = inspect(tokenOf({ purpose: 'id' }), options).refusals.find(({ members }) => members.includes('purpose'))
    expect(unmet).toMatchObject({ code: 'claim_invalid', accepted: ['access_token'] })
  })

  it('looks behind a foreign marker', () => {
    const { refusals } = inspect(tokenOf({ act_as: { sub: 'x' }, act: { sub: '' } }))
    expect(refusals.map(({ code, members }) => [code, members])).toEqual([
      ['delegation_foreign', ['act_as']],
      ['delegation_malformed', ['act']],
    ])
  })

  it('tells a subject token by its may_act', () => {
    const { header, claims } = fixtures.asgardeo.subjectToken
    const token = signCompact(
      { alg: KEY.algorithm, ...header, typ: 'at+jwt' },
      JSON.stringify({ ...claims, aut: 'APPLICATION_USER' }),
      KEY,
    )
    const { refusals } = inspect(token, asgardeo({ organization: 'bifrost', clientIds: ['jVcW4oLn1Jjb2T94H4gtPV9z5Y0a'] }))
    expect(refusals.find(({ code }) => code === 'token_type_refused')?.members).toEqual(['may_act'])
  })

  it.each([
    ['an opaque token', 'gAAAA-opaque_token'],
    ['an encrypted one', 'e30.e30.e30.e30.e30'],
    ['two claims of one name', signCompact({ alg: 'EdDSA' }, '{"sub":"a","sub":"b"}', KEY)],
    ['nothing', ''],
    ['too long a one', `e30.${'e30'.repeat(6000)}.e30`],
  ])('says nothing but that it is malformed of %s', (_, token) => {
    expect(inspect(token)).toEqual({
      verified: false,
      unverifiedHeader: null,
      unverifiedClaims: null,
      embeddedClaims: [],
      unverifiedCaller: null,
      refusals: [expect.objectContaining({ code: 'token_malformed', members: [], status: 401 })],
    })
  })

  it('holds no text of the token in a reason', () => {
    const evil = 'evil-\u202e-text'
    const { refusals } = inspect(
      tokenOf({ iss: evil, aud: evil, client_id: evil, sub: evil, jti: evil }, { kid: 7 as never, typ: evil, alg: evil }),
    )
    expect(refusals.length).toBeGreaterThan(4)
    expect(JSON.stringify(refusals)).not.toContain('evil')
  })

  it('judges times to the second, with the tolerance that is given', () => {
    const at = (exp: number, clockToleranceSeconds: number) =>
      codes(inspectToken(tokenOf({ exp }), oauthIssuer(), { ...NOW, clockToleranceSeconds }))
    expect(at(NOW_SECONDS - 29, 30)).toEqual([])
    expect(at(NOW_SECONDS - 30, 30)).toEqual(['token_expired'])
    expect(at(NOW_SECONDS, 0)).toEqual(['token_expired'])
  })
})

describe('an issuer that is made of the token', () => {
  it('is asked once, with what the token says', () => {
    const asked = vi.fn(({ unverifiedClaims }: { unverifiedClaims: JsonObject }) =>
      oauth({ issuer: String(unverifiedClaims['iss']), audience: String(unverifiedClaims['aud']) }),
    )
    expect(codes(inspect(tokenOf({ iss: 'https://somebody.example' }), asked))).toEqual([])
    expect(asked).toHaveBeenCalledTimes(1)
  })

  it('is not asked about what cannot be read', () => {
    const asked = vi.fn(() => oauthIssuer())
    expect(codes(inspect('a.b.c', asked))).toEqual(['token_malformed'])
    expect(asked).not.toHaveBeenCalled()
  })

  it('need not have keys that could be discovered', () => {
    const options = custom({ issuer: 'not a url', audience: AUDIENCE, tokenTypes: ['at+jwt'], actor: null })
    expect(codes(inspect(tokenOf({ iss: 'not a url' }), options))).toEqual([])
  })
})

describe('mistakes', () => {
  it.each([
    ['a clock that is none', { nowMilliseconds: Number.NaN }, 'inspectToken().nowMilliseconds must be a whole number'],
    [
      'a tolerance beyond the bounds',
      { ...NOW, clockToleranceSeconds: 301 },
      'clockToleranceSeconds must be a whole number, from 0 to 300',
    ],
    ['an unknown option', { ...NOW, keys: [] }, 'unknown member "keys"'],
  ])('%s is refused', (_, options, message) => {
    expect(() => inspectToken(tokenOf(), oauthIssuer(), options as never)).toThrow(message)
  })

  it('wrong issuer options are refused before the token is looked at', () => {
    expect(() => inspect('not a token', { issuer: ISSUER } as never)).toThrow('issuer.audience')
    expect(() => inspect('not a token', null as never)).toThrow('issuer must be an object')
  })
})

describe('beside the verifier', () => {
  const VENDORS: readonly (readonly [IssuerOptions, readonly { header: JsonObject; claims: JsonObject }[]])[] = [
    [
      curity({ issuer: 'https://idsvr.example.com/oauth/v2/oauth-anonymous', audience: 'test-web-api', jwks: JWKS }),
      Object.values(fixtures.curity),
    ],
    [descope({ projectId: String(fixtures.descope.direct.claims['iss']), jwks: JWKS }), Object.values(fixtures.descope)],
    [
      asgardeo({
        issuer: 'https://api.asgardeo.io/t/bifrost/oauth2/token',
        jwks: JWKS,
        clientIds: ['jVcW4oLn1Jjb2T94H4gtPV9z5Y0a'],
      }),
      Object.values(fixtures.asgardeo),
    ],
    [oauthIssuer(), [{ header: { typ: 'at+jwt' }, claims: claimsOf(tokenOf()) }]],
  ]
  const BASES = VENDORS.flatMap(([issuer, tokens]) =>
    tokens.map(({ header, claims }) => ({ issuer, header, claims: moved(claims) })),
  )

  const VALUES: readonly (JsonValue | undefined)[] = [
    undefined,
    null,
    '',
    'x',
    7,
    true,
    [],
    ['x'],
    {},
    { sub: 'a' },
    { sub: 'a', iss: ISSUER, act: { sub: 'b' } },
    '\u0000',
    1e308,
    NOW_SECONDS - 5,
    NOW_SECONDS + 5,
    NOW_SECONDS + 6,
  ]
  const NAMES = [
    'iss',
    'sub',
    'aud',
    'exp',
    'nbf',
    'iat',
    'jti',
    'client_id',
    'scope',
    'permissions',
    'act',
    'act_as',
    'may_act',
    'impersonator',
    'purpose',
    'drn',
    'aut',
    'org_id',
    'dct',
    'tenants',
    'delegationId',
    'sub_profile',
    'cnf',
    'azp',
  ]

  // No unknown key id: which keys there are is what an inspection does not ask.
  const HEADER_CHANGES: readonly (readonly [string, JsonValue | undefined])[] = [
    ...[undefined, 'JWT', 'at+jwt', 7, null].map((typ) => ['typ', typ] as const),
    ...[undefined, 'none', 'HS256', 7].map((alg) => ['alg', alg] as const),
    ...[undefined, 7, null, 'k'.repeat(257)].map((kid) => ['kid', kid] as const),
    ['crit', ['b64']],
  ]

  it('says first what the verifier says, whatever stands in the token', async () => {
    let letThrough = 0
    const refused = new Set<string>()
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...BASES),
        fc.array(fc.tuple(fc.constantFrom(...NAMES), fc.constantFrom(...VALUES)), { maxLength: 3 }),
        fc.array(fc.constantFrom(...HEADER_CHANGES), { maxLength: 1 }),
        async ({ issuer, header, claims }, changes, headerChanges) => {
          const payload = JSON.stringify({ ...claims, ...Object.fromEntries(changes) })
          const head = JSON.parse(
            JSON.stringify({ alg: KEY.algorithm, ...header, ...Object.fromEntries(headerChanges) }),
          ) as JsonObject
          const token = signCompact(head, payload, KEY)
          const expected = await verifiedCode(token, issuer)
          if (expected === null) letThrough++
          else refused.add(expected)
          expect(codes(inspect(token, issuer))[0] ?? null).toBe(expected)
        },
      ),
      { numRuns: 600, seed: 20260921 },
    )
    expect(letThrough).toBeGreaterThan(20)
    expect(refused.size).toBeGreaterThan(10)
  })

  it('knows what every claim check is about', () => {
    expect(CLAIM_CHECKS.length).toBeGreaterThan(10)
    expect(CLAIM_CHECKS.filter((check) => !ABOUT.has(check))).toEqual([])
    expect(ABOUT.size).toBe(CLAIM_CHECKS.length)
  })
})

function claimsOf(token: string): JsonObject {
  return JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) as JsonObject
}

function moved(claims: JsonObject): JsonObject {
  const shift = NOW_SECONDS - Number(claims['iat'])
  const times = ['iat', 'nbf', 'exp'].filter((name) => claims[name] !== undefined)
  return { ...claims, ...Object.fromEntries(times.map((name) => [name, Number(claims[name]) + shift])) }
}
