/** Tokens that are JWTs and are asked about all the same: what the answer leaves out must not make anything else of them. */
import type { JsonObject, JsonValue } from '@behalf/core'
import { custom } from '@behalf/core/issuers'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { isJwtShaped, unverifiedClaimsOf } from '../src/token/token-shape.js'
import { AUDIENCE, anyRule, createWorld, ISSUER, NOW_SECONDS, oauthIssuer, tokenOf } from './support/harness.js'

const ANSWER = { active: true, token_type: 'Bearer', sub: 'user-1', aud: AUDIENCE, iat: NOW_SECONDS, exp: NOW_SECONDS + 600 }

const ENDPOINT = {
  endpoint: 'https://as.example.test/introspect',
  clientId: 'api-1',
  authentication: { method: 'client_secret_basic', clientSecret: 'a secret of tests' },
} as const

/** A server that asks about every token, and is answered this. */
function asking(answer: Readonly<Record<string, unknown>>, more: Parameters<typeof oauthIssuer>[0] = {}) {
  return createWorld({
    issuers: [
      oauthIssuer({
        opaqueOnly: true,
        introspection: ENDPOINT,
        ...more,
      }),
    ],
    delegation: [anyRule()],
    fetch: async () => Response.json({ ...ANSWER, ...answer }),
  })
}

const act = { sub: 'support-1' }

/** The same signature with a bit more that it does not use: no honest reader of base64url takes it, and some servers do. */
function loosely(token: string): string {
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
  return token.slice(0, -1) + alphabet[alphabet.indexOf(token.slice(-1)) | 1]
}

const SPELLINGS: readonly (readonly [string, (token: string) => string])[] = [
  ['as it is', (token) => token],
  ['with a signature in another spelling', loosely],
  ['with a part more', (token) => `${token}.x`],
]

describe.each(SPELLINGS)('a delegated JWT, %s', (_what, spelled) => {
  test.each<[string, Readonly<Record<string, JsonValue>>]>([
    ['act', { act }],
    ['an act that nobody can read', { act: 'support-1' }],
    ['an act of nobody', { act: null }],
    ['act_as', { act_as: act }],
    ['the marker of another system', { impersonator: { email: 'support@example.test' } }],
    ['a marker further in', { ext: { act } }],
  ])('[Design-opaque-omits] is not direct because the answer leaves out %s', async (_claim, claims) => {
    const visit = await asking({}).call(spelled(tokenOf(claims)))
    expect(visit.error).toMatchObject({ code: 'introspection_unavailable', status: 503 })
    expect((visit.error?.cause as Error | undefined)?.message).toBe('the answer leaves out who acts, which the token tells')
  })

  test('[Design-opaque-omits] is delegated where the answer says so', async () => {
    const visit = await asking({ act }).call(spelled(tokenOf({ act })))
    expect(visit.code).toBeNull()
    expect(visit.context()).toMatchObject({ kind: 'delegation', actor: { id: 'support-1' } })
  })

  test('[Design-opaque-omits] may be told in the words of the answers', async () => {
    const more = { introspection: { ...ENDPOINT, actor: { claim: 'agent', encoding: 'string' } as const } }
    expect((await asking({ agent: 'support-1' }, more).call(spelled(tokenOf({ act })))).context().kind).toBe('delegation')
    expect((await asking({}, more).call(spelled(tokenOf({ act })))).code).toBe('introspection_unavailable')
  })

  test('[Design-opaque-omits] is not somebody else because its spelling is loose', async () => {
    const visit = await asking({ sub: 'somebody-else' }).call(spelled(tokenOf({})))
    expect(visit.code).toBe('introspection_unavailable')
  })

  test('[Design-opaque-omits] is no bearer token because the answer leaves out its key', async () => {
    const bound = spelled(tokenOf({ cnf: { jkt: 'x'.repeat(43) } }))
    expect((await asking({}).call(bound)).code).toBe('introspection_unavailable')
    expect((await asking({ cnf: { jkt: 'x'.repeat(43) } }).call(bound)).code).toBe('binding_unsupported')
  })
})

test('[Design-opaque-omits] who acts may stand in a claim of the JWTs alone', async () => {
  const issuers = [
    custom({
      issuer: ISSUER,
      audience: AUDIENCE,
      tokenTypes: ['at+jwt'],
      kind: 'delegation',
      actor: { claim: 'on_duty', encoding: 'string' },
      opaqueOnly: true,
      introspection: { ...ENDPOINT, actor: { claim: 'act' } },
    }),
  ]
  const call = async (answer: object) =>
    createWorld({
      issuers,
      delegation: [anyRule()],
      fetch: async () => Response.json({ ...ANSWER, ...answer }),
    }).call(tokenOf({ on_duty: 'support-1' }))
  expect((await call({})).code).toBe('introspection_unavailable')
  expect((await call({ act })).context().kind).toBe('delegation')
})

test('[Design-opaque-omits] a direct JWT is direct, and one that only says who may act as well', async () => {
  for (const claims of [{}, { may_act: act }]) expect((await asking({}).call(tokenOf(claims))).context().kind).toBe('direct')
})

test('[Design-opaque-omits] a marker that the issuer uses for something else says nothing', async () => {
  const token = tokenOf({ impersonator: 'a word of theirs' })
  expect((await asking({}, { ignoredMarkers: ['impersonator'] }).call(token)).context().kind).toBe('direct')
})

test('what a text claims is read of JWTs by their shape alone, and never throws', () => {
  const part = (value: JsonValue) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const anyPart = fc.oneof(
    fc.string(),
    fc.jsonValue().map((value) => part(value as JsonValue)),
    fc.constant(part({ alg: 'ES256' })),
  )
  fc.assert(
    fc.property(fc.array(anyPart, { maxLength: 6 }), (parts) => {
      const token = parts.join('.')
      const claims = unverifiedClaimsOf(token)
      if (claims === null) return
      expect(isJwtShaped(token)).toBe(true)
      expect(Array.isArray(claims)).toBe(false)
    }),
  )
  const claims: JsonObject = { sub: 'user-1', act }
  expect(unverifiedClaimsOf(`${part({ alg: 'ES256' })}.${part(claims)}.c2ln`)).toEqual(claims)
  for (const text of ['opaque', `x.${part(claims)}.x`, `${part({})}.x.x`, `${part({})}.${part(['act'])}.x`, part({})]) {
    expect(unverifiedClaimsOf(text)).toBeNull()
  }
})
