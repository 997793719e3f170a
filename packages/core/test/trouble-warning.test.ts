/** Our own trouble is told to callers as 503 and nothing else: the warnings of the process say why. */
import type { JsonObject, ResourceServerOptions } from '@behalf/core'
import { oauth } from '@behalf/core/issuers'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { AUDIENCE, anyRule, createWorld, ISSUER, NOW_SECONDS, oauthIssuer, tokenOf, type World } from './support/harness.js'

const SECRET = 'a-text-that-nobody-may-see'

const warned = vi.fn()
beforeEach(() => {
  warned.mockReset()
  vi.spyOn(process, 'emitWarning').mockImplementation(warned as typeof process.emitWarning)
})
afterEach(() => vi.restoreAllMocks())

const texts = () => warned.mock.calls.map(([text]) => String(text))

function throwing(): never {
  throw new Error(SECRET)
}

const INTROSPECTION = {
  endpoint: 'https://as.example.test/introspect',
  clientId: 'api-1',
  authentication: { method: 'client_secret_basic', clientSecret: SECRET },
} as const

const asking = (answer: () => Response): Partial<ResourceServerOptions> => ({
  issuers: [oauthIssuer({ introspection: INTROSPECTION })],
  fetch: async () => answer(),
})
const ANSWER: JsonObject = { active: true, token_type: 'Bearer', sub: SECRET, aud: AUDIENCE, exp: NOW_SECONDS + 600 }
const act = { sub: 'support-1' }

const TROUBLES: readonly (readonly [string, Partial<ResourceServerOptions>, string | JsonObject, string])[] = [
  [
    'an endpoint that does not let us in',
    asking(() => new Response(SECRET, { status: 401 })),
    'opaque',
    '503 introspection_unavailable: the endpoint did not answer with status 200 (status 401)',
  ],
  [
    'an answer of another issuer',
    asking(() => Response.json({ ...ANSWER, iss: `${ISSUER}/` })),
    'opaque',
    '503 introspection_unavailable: the answer names another issuer',
  ],
  [
    'keys that cannot be read',
    { issuers: [oauth({ issuer: ISSUER, audience: AUDIENCE, jwksUri: `${ISSUER}/jwks` })], fetch: throwing },
    {},
    '503 keys_unavailable: the server could not be reached',
  ],
  [
    'a list of tenants that fails',
    { issuers: throwing },
    {},
    '503 issuer_unavailable: the function issuers threw, rejected or took too long',
  ],
  [
    'a function that knows of revocations and fails',
    { revocation: { checks: [{ by: 'subject', issuer: ISSUER, from: throwing }] } },
    {},
    '503 revocation_unavailable: a set of revocations is behind, or a function that knows of some threw, rejected or took too long',
  ],
  [
    'a rule whose function fails',
    { delegation: [anyRule({ id: 'agents', when: throwing })] },
    { act },
    '503 rule_unavailable by the rule "agents": a function of the application threw, rejected, took too long or answered oddly',
  ],
]

const call = (world: World, token: string | JsonObject) => world.call(typeof token === 'string' ? token : tokenOf(token))

describe.each(TROUBLES)('%s', (_what, options, token, text) => {
  test('is told to whoever reads the warnings, once a minute', async () => {
    const world = createWorld(options)
    for (let each = 0; each < 3; each++) expect((await call(world, token)).error?.status).toBe(503)
    expect(warned.mock.calls).toEqual([[`behalf: requests are answered with ${text}`, { code: 'BEHALF_UNAVAILABLE' }]])
    world.now += 59_999
    await call(world, token)
    expect(warned).toHaveBeenCalledTimes(1)
    world.now += 1
    await call(world, token)
    expect(warned).toHaveBeenCalledTimes(2)
    world.now -= 50_000 // nothing is held up by a clock that was set back
    await call(world, token)
    expect(texts()).toHaveLength(3)
    expect(texts().join()).not.toContain(SECRET)
  })
})

test('each kind of trouble is told apart from the others', async () => {
  const delegation = [anyRule({ id: 'agents', when: throwing })]
  const world = createWorld({ ...asking(() => new Response(null, { status: 500 })), delegation })
  await call(world, 'opaque')
  await call(world, { act })
  expect(texts().map((text) => /503 (\w+)/.exec(text)?.[1])).toEqual(['introspection_unavailable', 'rule_unavailable'])
})

test('a check of a route that fails is no rule’s', async () => {
  const visit = await createWorld({ delegation: [anyRule({ id: 'agents' })] }).call({ act })
  expect((await visit.guard({ kind: 'delegation', check: throwing }))?.code).toBe('rule_unavailable')
  expect(texts()).toEqual([
    'behalf: requests are answered with 503 rule_unavailable: a function of the application threw, rejected, took too long or answered oddly',
  ])
})

test('what is the caller’s trouble is told to nobody else', async () => {
  const world = createWorld()
  for (const token of ['x.y.z', tokenOf({ aud: 'https://other.example' }), tokenOf({ act })]) {
    expect((await world.call(token)).error?.status).toBeLessThan(500)
  }
  expect(warned).not.toHaveBeenCalled()
})
