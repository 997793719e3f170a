/** Which way a token goes: proved, opened first, or asked about. What is refused on one way is tried on no other. */
import { createPublicKey, generateKeyPairSync } from 'node:crypto'
import { AuthError, DEFAULT_LIMITS, type IssuerOptions, memoryRevocations, type ResourceServerOptions } from '@behalf/core'
import { createSigningKey } from '@behalf/testing'
import { CompactEncrypt } from 'jose'
import { describe, expect, test } from 'vitest'
import { compileNotEnded } from '../src/not-ended.js'
import {
  AUDIENCE,
  createWorld,
  ISSUER,
  JWKS,
  NOW_SECONDS,
  OTHER_ISSUER,
  oauthIssuer,
  signed,
  tokenOf,
} from './support/harness.js'
import { rewritten } from './support/rewritten-signature.js'

const INTROSPECTION: NonNullable<IssuerOptions['introspection']> = {
  endpoint: 'https://as.example.test/introspect',
  clientId: 'api-1',
  authentication: { method: 'client_secret_basic', clientSecret: 'a secret of tests' },
  cacheSeconds: 0,
}
const ANSWER = { active: true, token_type: 'Bearer', sub: 'user-1', aud: AUDIENCE, iat: NOW_SECONDS, exp: NOW_SECONDS + 600 }

/** A world whose first issuer is asked about tokens, and what it was asked. */
function asking(more: Parameters<typeof oauthIssuer>[0] = {}, options: Partial<ResourceServerOptions> = {}, answer: object = {}) {
  const asked: (string | null)[] = []
  const world = createWorld({
    issuers: [oauthIssuer({ introspection: INTROSPECTION, ...more })],
    fetch: async (_url, init) => {
      asked.push(new URLSearchParams(String(init.body)).get('token'))
      return Response.json({ ...ANSWER, ...answer })
    },
    ...options,
  })
  return { world, asked, outcome: async (token: string) => (await world.call(token)).code ?? 'ok' }
}

const JWT = tokenOf()
/** Texts that somebody may read as the JWT that they are made of. */
const LOOSE: readonly string[] = [
  `${JWT}.`,
  `${JWT}..`,
  `.${JWT}`,
  JWT.replace('.', '..'),
  JWT.replace('.', '=.'),
  JWT.replace('.', '~.'),
  `~${JWT}`,
  `${JWT}.e30.AA`,
  JWT.split('.').slice(0, 2).join('.'),
]

describe('a token that is a JWT by its shape', () => {
  test.each(LOOSE)('[Design-jwt-shape] is asked about in no spelling: %s', async (token) => {
    const { asked, outcome } = asking()
    expect(await outcome(token)).toMatch(/^(?:token|credentials)_malformed$/)
    expect(asked).toEqual([])
  })

  test('[Design-jwt-shape] is proved, and not asked about where that fails', async () => {
    const { asked, outcome } = asking()
    expect(await outcome(JWT)).toBe('ok')
    for (const bad of [{ exp: 1 }, { iss: 'https://nobody.example' }, { aud: 'x' }])
      expect(await outcome(tokenOf(bad))).not.toBe('ok')
    expect(asked).toEqual([])
    expect([await outcome('opaque'), asked]).toEqual(['ok', ['opaque']])
  })
})

describe('where all tokens of an issuer are opaque', () => {
  const deep = signed({ typ: 'at+jwt' }, { iss: OTHER_ISSUER, deep: JSON.parse(`${'['.repeat(200)}${']'.repeat(200)}`) as never })
  const critical = signed({ typ: 'at+jwt', crit: ['x'], x: 1 }, { iss: OTHER_ISSUER })
  const foreign: readonly (readonly [string, string])[] = [
    ['another issuer’s', tokenOf({ iss: OTHER_ISSUER })],
    ['nobody’s', tokenOf({ iss: 'https://nobody.example' })],
    ['one that cannot be read', deep],
    ['one with a critical extension', critical],
  ]

  test.each(foreign)('[Design-opaque-only] it is not shown what could be %s', async (_what, token) => {
    const { asked, outcome } = asking(
      { opaqueOnly: true },
      { issuers: [oauthIssuer({ introspection: INTROSPECTION, opaqueOnly: true }), oauthIssuer({ issuer: OTHER_ISSUER })] },
    )
    await outcome(token)
    expect(asked).toEqual([])
  })

  test('[Design-opaque-only] it is asked about its own, and about those that name nobody', async () => {
    const { asked, outcome } = asking({ opaqueOnly: true }, {}, { iss: undefined })
    const nobodys = signed({ typ: 'at+jwt' }, { sub: 'user-1' })
    for (const token of [JWT, nobodys, critical, 'opaque']) await outcome(token)
    expect(asked).toEqual([JWT, nobodys, critical, 'opaque'])
  })

  test('a dot at either end is nobody’s', async () => {
    const { asked, outcome } = asking({ opaqueOnly: true })
    for (const token of [`${JWT}.`, `.${JWT}`, 'opaque.', '.opaque']) expect(await outcome(token)).toBe('token_malformed')
    expect(asked).toEqual([])
  })

  test('[Design-revocation-rewritten-signature] a revoked one stays revoked when its ES256 signature is rewritten', async () => {
    const key = createSigningKey('ES256', { kid: 'es-1' })
    const { world } = asking(
      { opaqueOnly: true },
      {
        revocation: {
          maxTokenLifetimeSeconds: 3600,
          checks: [{ by: 'tokenId', issuer: ISSUER, from: memoryRevocations() }],
        },
      },
    )
    const token = tokenOf({ jti: undefined }, {}, key)
    const { code, context } = await world.call(token)
    expect(code).toBe(null)
    await world.server.revoke({ issuer: ISSUER, tokenId: context().token.id })
    expect([(await world.call(token)).code, (await world.call(rewritten(token))).code]).toEqual([
      'token_revoked',
      'token_revoked',
    ])
    expect((await world.call(tokenOf({ jti: undefined, sub: 'user-1', iat: NOW_SECONDS - 1 }, {}, key))).code).toBe(null)
  })
})

describe('status lists', () => {
  const status = { status_list: { idx: 1, uri: 'https://elsewhere.example/list' } }

  test('are looked up where an answer names one, and need not be named', async () => {
    const more = { statusList: { required: true } }
    expect(await asking(more, {}, { status }).outcome('opaque')).toBe('claim_invalid')
    expect(await asking(more).outcome('opaque')).toBe('ok')
    expect(await asking(more).outcome(JWT)).toBe('claim_missing')
    expect(await asking({}, {}, { status }).outcome('opaque')).toBe('ok')
  })
})

describe('an issuer that encrypts its tokens', () => {
  const keyOf = (kid: string) => ({
    ...generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'jwk' }),
    kid,
  })
  const [first, second] = [keyOf('enc-1'), keyOf('enc-2')]
  const decryption = (key: object) => ({ keys: [key], algorithms: ['ECDH-ES' as const] })
  const issuers = [
    oauthIssuer({ decryption: decryption(first) }),
    oauthIssuer({ issuer: OTHER_ISSUER, decryption: decryption(second) }),
    oauthIssuer({ issuer: 'https://plain.example.test' }),
  ]
  const encrypted = async (token: string, { d: _, ...key }: { d?: string; kid: string }) =>
    new CompactEncrypt(Buffer.from(token))
      .setProtectedHeader({ alg: 'ECDH-ES', enc: 'A256GCM', kid: key.kid, cty: 'JWT' })
      .encrypt(createPublicKey({ key, format: 'jwk' }))

  test('takes what was encrypted for its own key, and nothing that was for another issuer’s, or for nobody’s', async () => {
    const world = createWorld({ issuers })
    const outcome = async (token: string) => (await world.call(token)).code ?? 'ok'
    const [ours, theirs, plain] = [tokenOf(), tokenOf({ iss: OTHER_ISSUER }), tokenOf({ iss: 'https://plain.example.test' })]
    expect(await outcome(await encrypted(ours, first))).toBe('ok')
    expect(await outcome(await encrypted(theirs, second))).toBe('ok')
    expect(await outcome(await encrypted(ours, second))).toBe('issuer_unknown')
    expect(await outcome(await encrypted(theirs, first))).toBe('issuer_unknown')
    expect(await outcome(await encrypted(plain, first))).toBe('issuer_unknown')
    expect([await outcome(ours), await outcome(theirs)]).toEqual(['encryption_required', 'encryption_required'])
    expect(await outcome(plain)).toBe('ok')
  })

  test('names its token by what was signed: encrypted anew, a revoked one stays revoked', async () => {
    const world = createWorld({
      issuers: [{ issuer: ISSUER, audience: AUDIENCE, jwks: JWKS, decryption: decryption(first) }],
      revocation: { maxTokenLifetimeSeconds: 3600, checks: [{ by: 'tokenId', issuer: ISSUER, from: memoryRevocations() }] },
    })
    const token = tokenOf({ jti: undefined })
    const [one, other] = [await encrypted(token, first), await encrypted(token, first)]
    await world.server.revoke({ issuer: ISSUER, tokenId: (await world.call(one)).context().token.id })
    expect([(await world.call(one)).code, (await world.call(other)).code]).toEqual(['token_revoked', 'token_revoked'])
  })

  test('and one that is asked about tokens, go with issuers as a list, and one alone is asked', async () => {
    const ways: readonly Partial<IssuerOptions>[] = [
      { introspection: INTROSPECTION },
      { decryption: decryption(first) },
      { statusList: true },
      { introspection: INTROSPECTION, opaqueOnly: true },
    ]
    for (const way of ways) {
      const world = createWorld({ issuers: () => ({ ...oauthIssuer(), ...way }) })
      const failure: unknown = await world.call({}).catch((error: unknown) => error)
      expect(failure).toMatchObject({ name: 'ConfigError', message: expect.stringContaining('issuers as a list') })
    }
    const asked = [
      oauthIssuer({ introspection: INTROSPECTION }),
      oauthIssuer({ issuer: OTHER_ISSUER, introspection: INTROSPECTION }),
    ]
    expect(() => createWorld({ issuers: asked })).toThrow(expect.objectContaining({ name: 'ConfigError' }))
    const idle = oauthIssuer({ opaqueOnly: true })
    expect(() => createWorld({ issuers: [idle] })).toThrow('opaqueOnly needs')
  })
})

describe('what is asked of a proven token', () => {
  test('is all of it, and the first refusal is the answer', async () => {
    const asked: string[] = []
    const revocations = (refusal: 'token_revoked' | 'revocation_unavailable' | null) => ({
      judge: () => {
        asked.push('revocation')
        return refusal
      },
    })
    const lists = (refusal: 'token_revoked' | null) => ({
      check() {
        asked.push('status')
        if (refusal !== null) throw new AuthError(refusal)
      },
    })
    const codes = []
    for (const [known, published] of [
      [null, null],
      [null, 'token_revoked'],
      ['revocation_unavailable', 'token_revoked'],
    ] as const) {
      const { judge } = compileNotEnded({ revocations: revocations(known) as never, statusLists: true, limits: DEFAULT_LIMITS })
      const token = { issuer: { statusLists: lists(published) }, status: { uri: '', index: 0 }, memo: {} }
      codes.push((await judge?.(token as never))?.code ?? null)
    }
    expect(codes).toEqual([null, 'token_revoked', 'revocation_unavailable'])
    expect(asked).toEqual(['revocation', 'status', 'revocation', 'status', 'revocation'])
  })
})
