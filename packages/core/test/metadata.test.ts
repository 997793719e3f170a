/** What a protected resource says about itself (RFC 9728): the document, its place, and who asks for it. */
import { describe, expect, test } from 'vitest'
import { ConfigError } from '../src/errors.js'
import { descope, oauth } from '../src/issuers/index.js'
import { metadataAnswer, resolveMetadata, type ServerFacts } from '../src/metadata.js'
import type { HttpAnswer, RequestView } from '../src/request-view.js'
import { createResourceServer } from '../src/resource-server.js'

const FACTS: ServerFacts = {
  authorizationServers: ['https://as.example.test'],
  dpopAlgorithms: null,
  dpopRequired: false,
  mtls: false,
  bindingsKnown: true,
}

const made = (members: object, facts: Partial<ServerFacts> = {}) => resolveMetadata(members, 'metadata', { ...FACTS, ...facts })
const document = (members: object, facts: Partial<ServerFacts> = {}) =>
  JSON.parse(made(members, facts).body) as Record<string, unknown>

const RESOURCE = 'https://api.example.test'

function requestFor(url: string, method = 'GET'): RequestView {
  return {
    ...{ method, wireMethod: method, url, path: url.split('?', 1)[0] ?? '', route: null, authorization: [] },
    ...{ header: () => null, peer: null, clientCertificate: null, raw: null },
  }
}

const WELL_KNOWN = '/.well-known/oauth-protected-resource'

describe('the place', () => {
  test.each([
    ['https://api.example.test', ''],
    ['https://api.example.test/', ''],
    ['https://api.example.test/mcp', '/mcp'],
    ['https://api.example.test/mcp/', '/mcp/'],
    ['https://api.example.test/a/b/c', '/a/b/c'],
    ['https://api.example.test//', '//'],
    ['https://api.example.test/%7Ea%2Fb', '/%7Ea%2Fb'],
    ['https://api.example.test/a:b;c=1@d', '/a:b;c=1@d'],
    ['https://api.example.test?tenant=a', '?tenant=a'],
    ['https://api.example.test/?tenant=a', '?tenant=a'],
    ['https://api.example.test/mcp?tenant=a&b=%20', '/mcp?tenant=a&b=%20'],
    ['https://api.example.test/mcp?next=/?a=b?c', '/mcp?next=/?a=b?c'],
    ['https://api.example.test:8443/mcp', '/mcp'],
  ])('of %s is between host and path, and is served there', (resource, rest) => {
    const metadata = made({ resource })
    expect(metadata.target).toBe(WELL_KNOWN + rest)
    expect(metadata.url).toBe(new URL(resource).origin + WELL_KNOWN + rest)
    expect(JSON.parse(metadata.body)).toMatchObject({ resource })
    expect(metadataAnswer(metadata, requestFor(metadata.target))?.status).toBe(200)
  })

  test.each([
    ['https://api.example.test', ['/', '', '/mcp', `${WELL_KNOWN}/`, `${WELL_KNOWN}/mcp`, `${WELL_KNOWN}x`, `/x${WELL_KNOWN}`]],
    [
      'https://api.example.test',
      [
        '/.well-known/OAuth-protected-resource',
        '/.well-known/oauth-authorization-server',
        '/.well-known/%6Fauth-protected-resource',
      ],
    ],
    [
      'https://api.example.test/mcp',
      [WELL_KNOWN, `${WELL_KNOWN}/`, `${WELL_KNOWN}/mcp/`, `${WELL_KNOWN}/MCP`, `${WELL_KNOWN}/mcp/x`, `/mcp${WELL_KNOWN}`],
    ],
    ['https://api.example.test/mcp/', [`${WELL_KNOWN}/mcp`]],
    [
      'https://api.example.test/mcp?tenant=a',
      [
        ...[`${WELL_KNOWN}/mcp`, `${WELL_KNOWN}/mcp?`, `${WELL_KNOWN}/mcp?tenant=b`, `${WELL_KNOWN}/mcp?tenant=a&x=1`],
        ...[`${WELL_KNOWN}/mcp?x=1&tenant=a`, `${WELL_KNOWN}/mcp?x=?tenant=a`, `${WELL_KNOWN}/mcp?tenant=A`],
      ],
    ],
  ])('of %s is no other one', (resource, targets) => {
    const metadata = made({ resource })
    for (const target of targets) expect(metadataAnswer(metadata, requestFor(target)), target).toBeNull()
  })

  test('where the resource has no query, one in the question changes nothing', () => {
    expect(metadataAnswer(made({ resource: RESOURCE }), requestFor(`${WELL_KNOWN}?x=1`))?.status).toBe(200)
  })
})

describe('the document', () => {
  test('says no more than there is to say', () => {
    expect(document({ resource: RESOURCE })).toEqual({
      resource: RESOURCE,
      authorization_servers: ['https://as.example.test'],
      bearer_methods_supported: ['header'],
    })
  })

  test('says all that is configured', () => {
    const members = {
      resource: `${RESOURCE}/mcp`,
      authorizationServers: ['https://login.example.test/realms/a', 'https://b.example.test'],
      scopesSupported: ['orders:read', 'orders:write'],
      resourceName: 'Orders',
      resourceDocumentation: 'https://docs.example.test',
      resourcePolicyUri: 'https://docs.example.test/policy',
      resourceTosUri: 'https://docs.example.test/terms',
      additional: { jwks_uri: 'https://api.example.test/jwks', 'resource_name#de': 'Bestellungen', signed_metadata: 'a.b.c' },
    }
    expect(document(members, { dpopAlgorithms: ['ES256', 'EdDSA'], dpopRequired: true, mtls: true })).toEqual({
      resource: `${RESOURCE}/mcp`,
      authorization_servers: ['https://login.example.test/realms/a', 'https://b.example.test'],
      scopes_supported: ['orders:read', 'orders:write'],
      bearer_methods_supported: ['header'],
      resource_name: 'Orders',
      resource_documentation: 'https://docs.example.test',
      resource_policy_uri: 'https://docs.example.test/policy',
      resource_tos_uri: 'https://docs.example.test/terms',
      dpop_signing_alg_values_supported: ['ES256', 'EdDSA'],
      dpop_bound_access_tokens_required: true,
      tls_client_certificate_bound_access_tokens: true,
      jwks_uri: 'https://api.example.test/jwks',
      'resource_name#de': 'Bestellungen',
      signed_metadata: 'a.b.c',
    })
  })

  test.each([
    'https://api.example.test',
    'https://api.example.test/',
    'HTTPS://API.example.test:443/',
    'https://api.example.test/a/../b',
    'https://api.example.test/mcp?',
    'https://xn--bcher-kva.example',
    'https://[2001:db8::1]/mcp',
    'http://localhost:3000/mcp',
    'http://127.0.0.1:3000',
    'http://[::1]:3000',
  ])('names the resource %s as it is written', (resource) => {
    expect(document({ resource })['resource']).toBe(resource)
  })
})

describe('the answer', () => {
  const metadata = made({ resource: `${RESOURCE}/mcp`, resourceName: 'B\u00fccher' })
  const answer = (method: string): HttpAnswer | null => metadataAnswer(metadata, requestFor(metadata.target, method))

  test.each(['GET', 'HEAD'])('to %s is the document, for everybody, for ten minutes', (method) => {
    expect(answer(method)).toEqual({
      status: 200,
      headers: {
        'access-control-allow-origin': '*',
        'content-type': 'application/json',
        'content-length': String(Buffer.byteLength(metadata.body)),
        'cache-control': 'public, max-age=600',
      },
      body: metadata.body,
    })
    expect(Buffer.byteLength(metadata.body)).toBe(metadata.body.length + 1)
  })

  test('to OPTIONS is what can be asked', () => {
    expect(answer('OPTIONS')).toEqual({
      status: 204,
      headers: {
        'access-control-allow-origin': '*',
        'access-control-allow-methods': 'GET, HEAD, OPTIONS',
        'access-control-allow-headers': '*',
        allow: 'GET, HEAD, OPTIONS',
      },
      body: '',
    })
  })

  test.each(['POST', 'PUT', 'DELETE', 'PATCH', 'TRACE', 'QUERY', 'get', ''])('to %j is that it cannot', (method) => {
    expect(answer(method)).toEqual({
      status: 405,
      headers: { 'access-control-allow-origin': '*', allow: 'GET, HEAD, OPTIONS', 'content-length': '0' },
      body: '',
    })
  })
})

describe('the option metadata', () => {
  const resource = /metadata\.resource must be an https URL \(http only on loopback\), without fragment/

  test.each<[unknown, RegExp]>([
    [null, /metadata must be an object/],
    [RESOURCE, /metadata must be an object/],
    [[], /metadata must be an object/],
    [{}, /metadata\.resource must be a non-empty string/],
    [{ resource: '' }, /metadata\.resource must be a non-empty string/],
    [{ resource: new URL(RESOURCE) }, /metadata\.resource must be a non-empty string/],
    [{ resource: undefined }, /metadata\.resource is undefined/],
    ...[
      ...[
        'api',
        'urn:example:api',
        '//api.example.test',
        '/mcp',
        'ftp://api.example.test',
        'http://api.example.test',
        'http://10.0.0.1',
      ],
      ...[
        'http://localhost.example.test',
        'https://api.example.test#',
        'https://api.example.test/mcp#a',
        'https://u@api.example.test',
      ],
      ...[
        'https://u:p@api.example.test',
        'https://:p@api.example.test',
        'https://',
        'https://api.example.test/a b',
        ' https://api.example.test',
        `${RESOURCE}\n`,
      ],
      ...[
        `${RESOURCE}/"`,
        `${RESOURCE}/<a>`,
        `${RESOURCE}\\a`,
        'https://b\u00fccher.example',
        `${RESOURCE}/b\u00fccher`,
        `${RESOURCE}/\u0000`,
      ],
      ...['https:/api.example.test', 'https:api.example.test', 'https:///api.example.test'],
    ].map((each): [unknown, RegExp] => [{ resource: each }, resource]),
    [{ resource: RESOURCE, name: 'a' }, /metadata has an unknown member "name"/],
    [{ resource: RESOURCE, authorization_servers: [] }, /metadata has an unknown member "authorization_servers"/],
    [{ resource: RESOURCE, authorizationServers: [] }, /metadata\.authorizationServers must be a non-empty list/],
    [
      { resource: RESOURCE, authorizationServers: 'https://as.example.test' },
      /metadata\.authorizationServers must be a non-empty list/,
    ],
    [{ resource: RESOURCE, authorizationServers: undefined }, /metadata\.authorizationServers is undefined/],
    [{ resource: RESOURCE, authorizationServers: [''] }, /metadata\.authorizationServers\[0\] must be a non-empty string/],
    [
      { resource: RESOURCE, authorizationServers: ['https://a.test', 'as'] },
      /metadata\.authorizationServers\[1\] must be the https URL of an auth/,
    ],
    [
      { resource: RESOURCE, authorizationServers: ['https://a.test', 'https://a.test'] },
      /metadata\.authorizationServers names something twice/,
    ],
    [{ resource: RESOURCE, scopesSupported: [] }, /metadata\.scopesSupported must be a non-empty list/],
    [{ resource: RESOURCE, scopesSupported: 'orders:read' }, /metadata\.scopesSupported must be a non-empty list/],
    [{ resource: RESOURCE, scopesSupported: ['a', 7] }, /metadata\.scopesSupported\[1\] must be a non-empty string/],
    [{ resource: RESOURCE, scopesSupported: ['a', 'a'] }, /metadata\.scopesSupported names something twice/],
    ...['resourceName', 'resourceDocumentation', 'resourcePolicyUri', 'resourceTosUri'].flatMap((name): [unknown, RegExp][] =>
      ['', null, 7, ['a'], undefined].map((value) => [
        { resource: RESOURCE, [name]: value },
        value === undefined
          ? new RegExp(`metadata\\.${name} is undefined`)
          : new RegExp(`metadata\\.${name} must be a non-empty string`),
      ]),
    ),
    ...[null, 'a', [], [{}], 7].map((additional): [unknown, RegExp] => [
      { resource: RESOURCE, additional },
      /metadata\.additional must be an object/,
    ]),
    [{ resource: RESOURCE, additional: { a: undefined } }, /metadata\.additional\.a is undefined/],
    ...[
      ...[
        'resource',
        'authorization_servers',
        'scopes_supported',
        'bearer_methods_supported',
        'resource_name',
        'resource_documentation',
      ],
      ...['resource_policy_uri', 'resource_tos_uri', 'dpop_signing_alg_values_supported', 'dpop_bound_access_tokens_required'],
      'tls_client_certificate_bound_access_tokens',
    ].map((name): [unknown, RegExp] => [
      { resource: RESOURCE, additional: { [name]: 'x' } },
      new RegExp(`metadata\\.additional has "${name}", which is written here already`),
    ]),
  ])('is not %j', (members, message) => {
    expect(() => made(members as object)).toThrow(ConfigError)
    expect(() => made(members as object)).toThrow(message)
  })

  test('further members with nothing in them are refused: such are left out (RFC 9728 3.2)', () => {
    for (const name of ['authorization_details_types_supported', 'resource_signing_alg_values_supported']) {
      expect(() => made({ resource: RESOURCE, additional: { [name]: [] } }), name).toThrow(ConfigError)
    }
  })

  test('further members that are no JSON are refused', () => {
    const circular: Record<string, unknown> = {}
    circular['self'] = circular
    for (const value of [1n, circular, () => 1, Symbol('a')]) {
      expect(() => made({ resource: RESOURCE, additional: { a: value } })).toThrow(ConfigError)
    }
  })
})

describe('what the server knows', () => {
  const metadata = { resource: RESOURCE }
  const dpop = { dpop: { replay: 'single-process', algorithms: ['ES256'] }, publicOrigins: RESOURCE }
  const as = (name: string, more = {}) => oauth({ issuer: `https://${name}.example.test`, audience: 'api', ...more })

  /** The document that a server with such options serves. */
  function served(options: object): Record<string, unknown> {
    const answer = createResourceServer({ metadata, ...options } as never).metadata()(requestFor(WELL_KNOWN))
    return JSON.parse(answer?.body ?? 'null') as Record<string, unknown>
  }

  test('its issuers that are URLs, unless others are named', () => {
    expect(served({ issuers: [as('b'), as('a')] })['authorization_servers']).toEqual([
      'https://b.example.test',
      'https://a.example.test',
    ])
    expect(
      served({ issuers: [as('a')], metadata: { ...metadata, authorizationServers: ['https://c.example.test'] } }),
    ).toMatchObject({
      authorization_servers: ['https://c.example.test'],
    })
  })

  test('an issuer whose name is no URL is none that clients can ask', () => {
    const project = descope({ projectId: 'P2abcdefghijklmnopqrstuvwxyz' })
    expect(served({ issuers: [project, as('a')] })['authorization_servers']).toEqual(['https://a.example.test'])
    expect(() => served({ issuers: [project] })).toThrow(
      /metadata\.authorizationServers is needed: no configured issuer is a URL/,
    )
  })

  test.each<[string, object[], object]>([
    ['nothing is bound', [{}], {}],
    ['proofs are taken of some', [{ dpop: 'allow' }, {}], { dpop_signing_alg_values_supported: ['ES256'] }],
    ['proofs are needed for some', [{ dpop: 'require' }, { dpop: 'allow' }], { dpop_signing_alg_values_supported: ['ES256'] }],
    [
      'proofs are needed for all',
      [{ dpop: 'require' }, { dpop: 'require' }],
      { dpop_signing_alg_values_supported: ['ES256'], dpop_bound_access_tokens_required: true },
    ],
    ['certificates are taken of some', [{ mtls: 'allow' }, {}], { tls_client_certificate_bound_access_tokens: true }],
    [
      'certificates are needed for all',
      [{ mtls: 'require' }, { mtls: 'require' }],
      { tls_client_certificate_bound_access_tokens: true },
    ],
  ])('how tokens may be bound: %s', (_what, policies, expected) => {
    const issuers = policies.map((policy, at) => as(`as${at}`, policy))
    const {
      resource: _resource,
      authorization_servers: _servers,
      bearer_methods_supported: methods,
      ...rest
    } = served({ issuers, ...(policies.some((policy) => 'dpop' in policy) && dpop) })
    expect(methods).toEqual(['header'])
    expect(rest).toEqual(expected)
  })

  test('where issuers are asked for: nothing of them, so that they have to be named', () => {
    const issuers = () => null
    expect(() => served({ issuers })).toThrow(ConfigError)
    expect(() => served({ issuers })).toThrow(/metadata\.authorizationServers is needed: no configured issuer is a URL/)
    const named = { ...metadata, authorizationServers: ['https://a.example.test'] }
    expect(served({ issuers, metadata: named })).toEqual({
      resource: RESOURCE,
      authorization_servers: ['https://a.example.test'],
      bearer_methods_supported: ['header'],
    })
    expect(served({ issuers, metadata: named, ...dpop })).toMatchObject({ dpop_signing_alg_values_supported: ['ES256'] })
  })

  test('metadata() without the option is a mistake', () => {
    const server = createResourceServer({ issuers: [as('a')] })
    expect(() => server.metadata()).toThrow(ConfigError)
  })
})

describe('where the application is asked for issuers', () => {
  const options = {
    issuers: () => null,
    metadata: { resource: 'https://api.example.test', authorizationServers: ['https://as.example.test'] },
  }

  test('it says itself whether tokens must be bound: the server does not know', () => {
    const additional = { dpop_bound_access_tokens_required: true, tls_client_certificate_bound_access_tokens: true }
    const api = createResourceServer({ ...options, metadata: { ...options.metadata, additional } })
    const view = { path: '/.well-known/oauth-protected-resource', url: '/.well-known/oauth-protected-resource', method: 'GET' }
    expect(JSON.parse(api.metadata()(view as RequestView)?.body ?? '')).toMatchObject(additional)
  })

  test('but not what it says elsewhere', () => {
    const additional = { resource_name: 'x' }
    const create = () => createResourceServer({ ...options, metadata: { ...options.metadata, additional } })
    expect(create).toThrow(/additional has "resource_name", which is written here already/)
  })
})
