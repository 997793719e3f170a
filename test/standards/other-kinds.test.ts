/** Tokens of the same issuer that are no access tokens: each is refused as what it is, also where the issuer does not type its own. */
import { ConfigError, createResourceServer, type JsonObject } from '@behalf/core'
import { custom, oauth } from '@behalf/core/issuers'
import { createDpopClient, createTestIssuer, type TestIssuer } from '@behalf/testing'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Door, outcomeOf } from '../support/request.js'
import { DOORS } from './warm-doors.js'

interface Kind {
  readonly name: string
  /** The header's `typ`; `null`: none. */
  readonly typ: string | null
  readonly claims: JsonObject
}

/** What an issuer signs for others than this API, each with all that an access token has, so that nothing else refuses it. */
const KINDS: readonly Kind[] = [
  { name: 'an ID token', typ: 'JWT', claims: { nonce: 'n-0S6_WzA2Mj', at_hash: '77QmUPtjPfzWtF2AnpK9RQ', auth_time: 1 } },
  { name: 'an ID token of the hybrid flow', typ: null, claims: { nonce: 'n', c_hash: 'LDktKdoQak3Pk0cnXxCltA' } },
  { name: 'an ID token with the hash of its state', typ: 'JWT', claims: { nonce: 'n', s_hash: 'LDktKdoQak3Pk0cnXxCltA' } },
  { name: 'a logout token', typ: 'logout+jwt', claims: { events: { 'http://schemas.openid.net/event/backchannel-logout': {} } } },
  {
    name: 'a logout token that is not typed',
    typ: 'JWT',
    claims: { events: { 'http://schemas.openid.net/event/backchannel-logout': {} } },
  },
  {
    name: 'a security event',
    typ: 'secevent+jwt',
    claims: { events: { 'https://schemas.openid.net/secevent/caep/event-type/session-revoked': {} } },
  },
  { name: 'an ID-JAG', typ: 'oauth-id-jag+jwt', claims: { resource: 'https://api.example.test' } },
  { name: 'a transaction token', typ: 'txntoken+jwt', claims: { txn: 't-1', req_wl: 'apigateway.example.test', purp: 'orders' } },
  { name: 'a transaction token that is not typed', typ: 'JWT', claims: { txn: 't-1', req_wl: 'apigateway.example.test' } },
  { name: 'a client assertion', typ: 'client-authentication+jwt', claims: {} },
  { name: 'a status list', typ: 'statuslist+jwt', claims: { status_list: { bits: 1, lst: 'eNrbuRgAAhcBXQ' }, ttl: 43_200 } },
  { name: 'a status list that is not typed', typ: null, claims: { status_list: { bits: 1, lst: 'eNrbuRgAAhcBXQ' } } },
  { name: 'an answer to an introspection', typ: 'token-introspection+jwt', claims: { token_introspection: { active: true } } },
  { name: 'such an answer that is not typed', typ: 'JWT', claims: { token_introspection: { active: true } } },
  { name: 'a request object', typ: 'oauth-authz-req+jwt', claims: { response_type: 'code' } },
  { name: 'a proof of possession', typ: 'dpop+jwt', claims: { htm: 'GET', htu: 'https://api.example.test/open' } },
  { name: 'a proof of possession that is not typed', typ: 'JWT', claims: { htm: 'GET', htu: 'https://api.example.test/open' } },
]

describe.each(DOORS)('$name', ({ open }) => {
  let issuer: TestIssuer
  let strict: Door
  let lenient: Door
  beforeAll(async () => {
    issuer = await createTestIssuer({ algorithms: ['EdDSA'] })
    const routes = [{ method: 'GET', path: '/open' }] as const
    strict = await open({ issuers: [issuer.options()] }, routes)
    lenient = await open({ issuers: [untyped()] }, routes)
  })
  afterAll(async () => {
    await strict.close()
    await lenient.close()
    await issuer.close()
  })

  /** An issuer that gives its access tokens no type of their own, as many do. */
  const untyped = (requiredClaims: Readonly<Record<string, string>> = {}) =>
    custom({
      issuer: issuer.issuer,
      audience: issuer.audience,
      jwks: issuer.jwks(),
      tokenTypes: [null, 'JWT'],
      actor: { claim: 'act' },
      kind: 'delegation',
      requiredClaims,
    })
  const tokenOf = ({ typ, claims }: Kind) => issuer.token({ header: { typ: typ ?? undefined }, claims })
  const asked = async (door: Door, token: string) => outcomeOf(await door.ask('/open', { token }))

  test('an access token is one, typed where the issuer types its own', async () => {
    expect(await asked(strict, issuer.token())).toBe('200')
    expect(await asked(lenient, issuer.token({ header: { typ: 'JWT' } }))).toBe('200')
    expect(await asked(lenient, issuer.token({ header: { typ: undefined } }))).toBe('200')
  })

  test.each(KINDS)('[RFC8725-3.12-other-kinds] $name is no access token', async (kind) => {
    expect(await asked(strict, tokenOf(kind))).toBe('401 token_type_refused')
    expect(await asked(lenient, tokenOf(kind))).toBe('401 token_type_refused')
  })

  test.each([
    ['events', ['orders']],
    ['events', 'orders'],
    ['at_hash', null],
    ['htu', 1],
    ['status_list', 'x'],
    ['nonce', 'n'],
  ])('a claim %s that means something else (%j) tells nothing', async (name, value) => {
    expect(await asked(lenient, issuer.token({ header: { typ: 'JWT' }, claims: { [name]: value } }))).toBe('200')
  })

  test('a header that says access token is believed: it is signed', async () => {
    expect(await asked(strict, issuer.token({ claims: { events: {}, at_hash: 'x' } }))).toBe('200')
  })

  test('[RFC8725-3.12-other-kinds] a client assertion is signed by its client, who is no issuer here', async () => {
    const { key } = createDpopClient()
    const assertion = issuer.token({ key, claims: { iss: 'client-1', sub: 'client-1', aud: issuer.issuer } })
    expect(await asked(strict, assertion)).toBe('401 issuer_unknown')
  })

  test('[RFC8725-3.12-other-kinds] a real proof of possession is signed by its client, who is no issuer here', async () => {
    const proof = createDpopClient().proof('GET', 'https://api.example.test/open')
    expect(await asked(strict, proof)).toBe('401 issuer_unknown')
    expect(await asked(lenient, proof)).toBe('401 issuer_unknown')
  })

  test('[RFC8725-3.12-other-kinds] a subject token, which only says who may act, is none where the issuer is told so', async () => {
    const door = await open({ issuers: [issuer.options({ mayAct: 'refuse_without_act' })] }, [{ method: 'GET', path: '/open' }])
    try {
      expect(await asked(door, issuer.token({ claims: { may_act: { sub: 'support-1' } } }))).toBe('401 token_type_refused')
    } finally {
      await door.close()
    }
  })

  test('[RFC8725-3.12-other-kinds] a refresh token is told apart by the claim that its issuer marks it with', async () => {
    const door = await open({ issuers: [untyped({ token_use: 'access' })] }, [{ method: 'GET', path: '/open' }])
    try {
      const refresh = issuer.token({ header: { typ: 'JWT' }, claims: { token_use: 'refresh' } })
      expect(await asked(door, refresh)).toBe('401 claim_invalid')
    } finally {
      await door.close()
    }
  })
})

test.each(KINDS.flatMap(({ typ }) => (typ === null || typ === 'JWT' ? [] : [typ, `application/${typ}`, typ.toUpperCase()])))(
  '[RFC8725-3.12-other-kinds] %s cannot be configured as a type of access tokens',
  (typ) => {
    const options = { issuer: 'https://as.example.test', audience: 'a', jwksUri: 'https://as.example.test/jwks' }
    const create = () => createResourceServer({ issuers: [oauth({ ...options, tokenTypes: ['at+jwt', typ] })] })
    expect(create).toThrow(ConfigError)
    expect(create).toThrow(/tokenTypes\[1\] is ".*", which is no access token: leave it out/)
  },
)
