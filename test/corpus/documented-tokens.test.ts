import type { AuthContext, IssuerOptions, JsonObject, Problem } from '@behalf/core'
import { asgardeo, curity, custom, descope } from '@behalf/core/issuers'
import { createSigningKey, fixtures, signCompact, type TokenFixture } from '@behalf/testing'
import { afterAll, describe, expect, it } from 'vitest'
import { type AdapterName, type ContextServer, startContextServer } from '../support/corpus-servers.js'

const key = createSigningKey('EdDSA')
const jwks = { keys: [key.jwk] }

const CURITY = { issuer: 'https://idsvr.example.com/oauth/v2/oauth-anonymous', audience: 'test-web-api', jwks }
const BIFROST = 'https://api.asgardeo.io/t/bifrost/oauth2/token'
const CLIENT = 'jVcW4oLn1Jjb2T94H4gtPV9z5Y0a'
const PROJECT = 'P2UcQcyxrjSA3mr6y0xZKRYI5oJz'

/** What an application writes for each of the documented systems. */
const ISSUERS = {
  curity: curity(CURITY),
  curityActAs: curity({ ...CURITY, actAs: true }),
  descope: descope({ projectId: PROJECT, jwks }),
  asgardeo: asgardeo({ organization: 'bifrost', clientIds: [CLIENT], jwks }),
  identityServer: asgardeo({ issuer: 'https://localhost:9443/oauth2/token', clientIds: [CLIENT], jwks }),
  homeMade: custom({
    issuer: 'https://login.example.test',
    audience: 'https://api.example.test',
    jwks,
    tokenTypes: ['JWT'],
    claims: { client: [], scopes: { claim: 'permissions', format: 'list' } },
    actor: { claim: 'original_user', encoding: 'string' },
    kind: 'impersonation',
  }),
} as const satisfies Record<string, IssuerOptions>

const party = (id: string, issuer: string | null = null, more: object = {}) => ({
  ...{ id, idClaim: 'sub', issuer, type: null, profiles: [], tenant: null, claims: {} },
  ...more,
})
const ADMIN = party('2d931c9d-876e-46c0-9aba-f34501879dfc')
const ORGANIZATION = '10084a8d-113f-4211-a0d5-efe36b082211'
const SUB_ORGANIZATION = '1558ebf6-17e0-4165-b9c0-a8117c87806b'
const endUser = (issuer: string) => party('32bc4697-ed0f-4546-8387-dcd6403e7caa', issuer, { type: 'user', tenant: ORGANIZATION })
const ASGARDEO_SCOPES = [
  ...['internal_login', 'internal_org_user_mgt_list', 'internal_org_user_mgt_view'],
  ...['internal_user_mgt_list', 'internal_user_mgt_view'],
]
const DESCOPE_USER = party('U2UcRIInQ56lEhuRtxWx1NsmgxaS', PROJECT)
const CURITY_SCOPES = ['openid', 'profile', 'read', 'write']

interface Documented {
  readonly fixture: TokenFixture
  readonly issuer: keyof typeof ISSUERS
  /** Members of the context, or the code of the refusal. */
  readonly becomes: { readonly [Member in keyof AuthContext]?: unknown } | Problem['code']
}

const direct = { kind: 'direct', actor: null, chain: [], rule: null }
const impersonated = (actor: object) => ({ kind: 'impersonation', actor, chain: [actor], rule: 'everybody' })

const DOCUMENTED: Readonly<Record<string, Documented>> = {
  'curity.impersonated': {
    fixture: fixtures.curity.impersonated,
    issuer: 'curity',
    becomes: {
      ...impersonated(party('admin')),
      subject: party('user123', CURITY.issuer),
      scopes: CURITY_SCOPES,
      clientId: 'test-web-client',
      grantId: '6c209adb-7e3a-4608-8c99-46d8e908fc86',
    },
  },
  'curity.actAs': {
    fixture: fixtures.curity.actAs,
    issuer: 'curityActAs',
    becomes: {
      ...impersonated(party('admin', CURITY.issuer)),
      subject: party('user123', CURITY.issuer),
      scopes: CURITY_SCOPES,
      grantId: 'b3691c08-f57f-43da-a6ba-5d382651bcc3',
    },
  },
  'curity.actAs, which is not read': { fixture: fixtures.curity.actAs, issuer: 'curity', becomes: 'delegation_foreign' },
  'curity.direct': {
    fixture: fixtures.curity.direct,
    issuer: 'curity',
    becomes: { ...direct, subject: party('user123', CURITY.issuer), scopes: CURITY_SCOPES },
  },
  'descope.impersonated': {
    fixture: fixtures.descope.impersonated,
    issuer: 'descope',
    becomes: {
      ...impersonated(party('U2UcRpsA4DSJ8kBvp6jikPyJ3aJ8')),
      subject: DESCOPE_USER,
      scopes: [],
      clientId: null,
      grantId: null,
      tenant: null,
    },
  },
  'descope.direct': {
    fixture: fixtures.descope.direct,
    issuer: 'descope',
    becomes: { ...direct, subject: DESCOPE_USER, scopes: ['orders:read'] },
  },
  'descope.refreshToken': { fixture: fixtures.descope.refreshToken, issuer: 'descope', becomes: 'claim_invalid' },
  'asgardeo.impersonated': {
    fixture: fixtures.asgardeo.impersonated,
    issuer: 'asgardeo',
    becomes: {
      ...impersonated(ADMIN),
      subject: endUser(BIFROST),
      scopes: ASGARDEO_SCOPES,
      clientId: CLIENT,
      tenant: ORGANIZATION,
      mayAct: null,
    },
  },
  'asgardeo.organizationSwitched': {
    fixture: fixtures.asgardeo.organizationSwitched,
    issuer: 'identityServer',
    becomes: {
      ...impersonated(ADMIN),
      subject: endUser('https://localhost:9443/oauth2/token'),
      scopes: ASGARDEO_SCOPES.slice(0, 3),
      tenant: SUB_ORGANIZATION,
    },
  },
  'asgardeo.subjectToken': { fixture: fixtures.asgardeo.subjectToken, issuer: 'asgardeo', becomes: 'token_type_refused' },
  'asgardeo.direct': {
    fixture: fixtures.asgardeo.direct,
    issuer: 'asgardeo',
    becomes: { ...direct, subject: endUser(BIFROST), scopes: ASGARDEO_SCOPES, clientId: CLIENT, tenant: ORGANIZATION },
  },
  'homeMade.impersonated': {
    fixture: fixtures.homeMade.impersonated,
    issuer: 'homeMade',
    becomes: {
      ...impersonated(party('admin-7')),
      subject: party('user-42', 'https://login.example.test'),
      scopes: ['orders:read'],
    },
  },
  'homeMade.direct': {
    fixture: fixtures.homeMade.direct,
    issuer: 'homeMade',
    becomes: { ...direct, subject: party('user-42', 'https://login.example.test'), scopes: ['orders:read', 'orders:write'] },
  },
}

const servers: Promise<ContextServer>[] = []
let nowSeconds = 0

afterAll(async () => {
  for (const server of servers) await (await server).close()
})

describe.each<AdapterName>(['express', 'koa'])('%s reads tokens exactly as they are documented', (adapter) => {
  const started = new Map<keyof typeof ISSUERS, Promise<ContextServer>>()
  const serverOf = (name: keyof typeof ISSUERS) => {
    const server =
      started.get(name) ??
      startContextServer({
        adapter,
        issuer: ISSUERS[name],
        rule: { id: 'everybody', kind: ['impersonation', 'delegation'], actor: 'any', scopes: 'all', maxDepth: 8 },
        now: () => nowSeconds * 1000,
        clockToleranceSeconds: 0,
      })
    if (!started.has(name)) servers.push(server)
    started.set(name, server)
    return server
  }
  const ask = async ({ fixture, issuer }: Documented, atSeconds: number) => {
    nowSeconds = atSeconds
    const header: JsonObject = { ...fixture.header, alg: key.algorithm, kid: key.kid }
    const server = await serverOf(issuer)
    return server.ask(`Bearer ${server.seal(signCompact(header, JSON.stringify(fixture.claims), key))}`)
  }

  it.each(Object.entries(DOCUMENTED))('%s', async (_name, documented) => {
    const { claims } = documented.fixture
    const answer = await ask(documented, Number(claims['iat']))
    const said: unknown = JSON.parse(answer.body)
    if (typeof documented.becomes === 'string') {
      expect(said).toMatchObject({ code: documented.becomes })
      expect(answer.status).toBe(401)
      expect(answer.headers['www-authenticate']).toMatch(/^Bearer error="invalid_token"/)
      return
    }
    expect(answer.status, answer.body).toBe(200)
    expect(said).toMatchObject({
      ...documented.becomes,
      tokenScopes: documented.becomes.scopes,
      notices: [],
      token: { issuer: claims['iss'], issuedAt: claims['iat'], expiresAt: claims['exp'] },
    })
    const late = await ask(documented, Number(claims['exp']))
    expect([late.status, JSON.parse(late.body)]).toEqual([401, expect.objectContaining({ code: 'token_expired' })])
  })
})

describe('the documented tokens', () => {
  it('are all judged', () => {
    const all = Object.values(fixtures).flatMap((system) => Object.values<TokenFixture>(system))
    const judged = Object.values(DOCUMENTED).map(({ fixture }) => fixture)
    expect(all.filter((fixture) => !judged.includes(fixture))).toEqual([])
  })
})
