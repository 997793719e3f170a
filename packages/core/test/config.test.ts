import { generateKeyPairSync } from 'node:crypto'
import { bestEffort, ConfigError, DEFAULT_LIMITS, iterableSink, type ResourceServerOptions } from '@behalf/core'
import { createResourceServer } from '@behalf/core/adapter'
import { asgardeo, curity, custom, descope, oauth } from '@behalf/core/issuers'
import { createSigningKey, fixtures, memorySink } from '@behalf/testing'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  AUDIENCE,
  anyRule,
  createWorld,
  ISSUER,
  JWKS,
  KEY,
  NOW_SECONDS,
  OTHER_ISSUER,
  oauthIssuer,
  tokenOfFixture,
  twoIssuers,
} from './support/harness.js'

// biome-ignore lint/suspicious/noExplicitAny: wrong options are the subject of this file, and types would refuse most of them
type Wrong = any

type Mistake = readonly [what: string, make: () => unknown, message: RegExp]

const audit = () => ({ sinks: [memorySink()] })
// Without a cache: one that holds ten thousand tokens takes longer to make than everything else here.
const server = (more: Wrong) => createResourceServer({ issuers: [oauthIssuer()], audit: audit(), cache: false, ...more })
/** A server with one issuer whose options are changed after the preset has made them. */
const issuer = (more: Wrong) => server({ issuers: [{ ...oauthIssuer(), ...more }] })
const rule = (more: Wrong) => server({ delegation: [{ ...anyRule(), ...more }] })
const ruleWithout = (name: string) => {
  const { [name]: _, ...others }: Wrong = anyRule()
  return server({ delegation: [others] })
}
const matcher = (actor: Wrong) => rule({ actor })
const words = (words: Wrong) => issuer({ claims: { profiles: { claim: 'p', words } } })
const oneServer = server({})
const guard = (requirement: Wrong) => oneServer.guard(requirement)
const rules = (...delegation: Wrong[]) => server({ issuers: twoIssuers(), delegation })
const without = (options: object, name: string) => Object.fromEntries(Object.entries(options).filter(([key]) => key !== name))

const rsa = (modulusLength: number) => generateKeyPairSync('rsa', { modulusLength }).publicKey.export({ format: 'jwk' })
const privateJwk = () => KEY.privateKey.export({ format: 'jwk' })

const undefinedMembers = (names: readonly string[], make: (more: Wrong) => unknown): Mistake[] =>
  names.map((name) => [
    `${name}: undefined`,
    () => make({ [name]: undefined }),
    new RegExp(`${name}.* is undefined: give a value`),
  ])

/** Limits of which the first must not be greater than the second, and a value that both can have. */
const PAIRS = [
  ['keysFreshLeastSeconds', 'keysFreshSeconds', 300],
  ['keysFreshSeconds', 'keysFreshMostSeconds', 1200],
  ['keysStaleDelegatedSeconds', 'keysStaleSeconds', 1200],
  ['backOffFirstSeconds', 'backOffMostSeconds', 30],
  ['fetchHeadersMilliseconds', 'fetchTotalMilliseconds', 2500],
] as const

const MISTAKES: Readonly<Record<string, readonly Mistake[]>> = {
  'the server': [
    ['no options', () => createResourceServer(undefined as Wrong), /resourceServer\(\) must be an object/],
    ['a list', () => createResourceServer([] as Wrong), /must be an object/],
    ['an unknown member', () => server({ delegations: [] }), /unknown member "delegations": it knows issuers, delegation/],
    ['no issuers', () => createResourceServer({} as Wrong), /issuers must be a non-empty list/],
    ['an empty list of issuers', () => server({ issuers: [] }), /issuers must be a non-empty list/],
    ['one issuer twice', () => server({ issuers: [oauthIssuer(), oauthIssuer()] }), /issuers\[1\]\.issuer is configured twice/],
    ['a misspelt mode', () => server({ mode: 'reporting' }), /mode must be one of 'enforce', 'report'/],
    ['a misspelt refusals', () => server({ refusals: 'throw' }), /refusals must be one of 'respond', 'forward'/],
    ['an empty contextProperty', () => server({ contextProperty: '' }), /contextProperty must be a non-empty string/],
    ...[
      '__proto__',
      'constructor',
      'url',
      'originalUrl',
      'path',
      'method',
      'headers',
      'rawHeaders',
      'socket',
      'query',
      'body',
    ].map(
      (name): Mistake => [
        `contextProperty ${name}`,
        () => server({ contextProperty: name }),
        new RegExp(`contextProperty is "${name}", which requests have already: choose another name`),
      ],
    ),
    ['credentials without from', () => server({ credentials: {} }), /credentials\.from must be a function/],
    ['credentials as a function', () => server({ credentials: () => null }), /credentials must be an object/],
    ['a cookie name for credentials', () => server({ credentials: { cookie: 'x' } }), /unknown member "cookie": it knows from$/],
    ['fetch that is no function', () => server({ fetch: 'node-fetch' }), /fetch must be a function/],
    ['now as a number', () => server({ now: 1790000000 }), /now must be a function/],
    ['cache: true', () => server({ cache: true }), /cache must be an object/],
    ['an unknown cache bound', () => server({ cache: { max: 5 } }), /cache has an unknown member "max"/],
    ['a cache of no entries', () => server({ cache: { maxEntries: 0 } }), /cache\.maxEntries must be a whole number/],
    [
      'a cache of more entries than can be',
      () => server({ cache: { maxEntries: 2 ** 24 } }),
      /maxEntries must be a whole number/,
    ],
    ['a cache of 2 ** 40 entries', () => server({ cache: { maxEntries: 2 ** 40 } }), /maxEntries must be .*from 1 to 16777215/],
    ['a cache of half a byte', () => server({ cache: { maxBytes: 0.5 } }), /cache\.maxBytes must be a whole number/],
    [
      'tolerance 301',
      () => server({ clockToleranceSeconds: 301 }),
      /clockToleranceSeconds must be a whole number, from 0 to 300/,
    ],
    ['a negative tolerance', () => server({ clockToleranceSeconds: -1 }), /from 0 to 300/],
    ['a tolerance with fractions', () => server({ clockToleranceSeconds: 1.5 }), /from 0 to 300/],
    ['a tolerance as text', () => server({ clockToleranceSeconds: '5' }), /from 0 to 300/],
    ['limit 0', () => server({ limits: { actors: 0 } }), /limits\.actors must be a whole number, at least 1/],
    ['a negative limit', () => server({ limits: { tokenBytes: -1 } }), /limits\.tokenBytes must be a whole number/],
    ['a limit with fractions', () => server({ limits: { hookMilliseconds: 0.5 } }), /limits\.hookMilliseconds must be/],
    ['an infinite limit', () => server({ limits: { keys: Number.POSITIVE_INFINITY } }), /limits\.keys must be a whole number/],
    [
      'a time that no timer can hold',
      () => server({ limits: { hookMilliseconds: 2 ** 31 } }),
      /limits\.hookMilliseconds must be/,
    ],
    ...['issuers', 'unknownIssuers', 'unknownKeys'].map(
      (name): Mistake => [
        `more ${name} than a memory has room for`,
        () => server({ limits: { [name]: 16_777_216 } }),
        new RegExp(`limits\\.${name} must be a whole number, from 1 to 16777215`),
      ],
    ),
    ['a refresh after the time is over', () => server({ limits: { keysRefreshPercent: 101 } }), /keysRefreshPercent .*1 to 100/],
    ...PAIRS.flatMap(([less, more, between]): Mistake[] => [
      [
        `${less} greater than ${more}`,
        () => server({ limits: { [less]: between + 1, [more]: between } }),
        new RegExp(`limits\\.${less} \\(${between + 1}\\) is greater than ${more} \\(${between}\\): set both`),
      ],
      [`${less} greater than the default of ${more}`, () => server({ limits: { [less]: DEFAULT_LIMITS[more] + 1 } }), /set both/],
    ]),
    ...PAIRS.filter(([less]) => DEFAULT_LIMITS[less] > 1).map(
      ([less, more]): Mistake => [
        `${more} less than the default of ${less}`,
        () => server({ limits: { [more]: DEFAULT_LIMITS[less] - 1 } }),
        new RegExp(`limits\\.${less} .* is greater than`),
      ],
    ),
    ['an unknown limit', () => server({ limits: { tokenBits: 1 } }), /limits has an unknown member "tokenBits"/],
    ['an undefined limit', () => server({ limits: { keys: undefined } }), /limits\.keys is undefined/],
    ...undefinedMembers(
      ['issuers', 'delegation', 'mode', 'audit', 'credentials', 'refusals', 'contextProperty', 'clockToleranceSeconds'],
      server,
    ),
    ...undefinedMembers(['limits', 'cache', 'fetch', 'now'], server),
    [
      'authenticate() with a misspelt option',
      () => server({}).authenticate({ optionnal: true } as Wrong),
      /authenticate\(\) has an/,
    ],
    ['authenticate() with undefined', () => server({}).authenticate({ optional: undefined } as Wrong), /optional is undefined/],
    ['authenticate() with a word', () => server({}).authenticate({ optional: 'yes' } as Wrong), /optional must be true or false/],
    ['authenticate(null)', () => server({}).authenticate(null as Wrong), /authenticate\(\) must be an object/],
  ],

  audit: [
    ['rules without audit', () => createResourceServer({ issuers: [oauthIssuer()], delegation: [anyRule()] }), /audit is needed/],
    ['report mode without audit', () => createResourceServer({ issuers: [oauthIssuer()], mode: 'report' }), /audit is needed/],
    ['audit that names no sinks', () => server({ audit: {} }), /audit\.sinks must be a non-empty list/],
    ['an empty list of sinks', () => server({ audit: { sinks: [] } }), /audit\.sinks must be a non-empty list/],
    ['a sink without write', () => server({ audit: { sinks: [{}] } }), /audit\.sinks\[0\] must be a sink: .*write/],
    ['a function as a sink', () => server({ audit: { sinks: [() => {}] } }), /audit\.sinks\[0\] must be a sink/],
    ['null as a sink', () => server({ audit: { sinks: [null] } }), /audit\.sinks\[0\] must be a sink/],
    ['flush that cannot be called', () => server({ audit: { sinks: [{ write() {}, flush: 1 }] } }), /sinks\[0\].*flush/],
    ['close that cannot be called', () => server({ audit: { sinks: [{ write() {}, close: true }] } }), /sinks\[0\].*close/],
    [
      'one sink twice',
      () => {
        const sink = memorySink()
        return server({ audit: { sinks: [sink, sink] } })
      },
      /audit\.sinks names something twice/,
    ],
    ['another word', () => server({ audit: 'off' }), /audit must be an object/],
    ['a misspelt record', () => server({ audit: { ...audit(), record: 'all' } }), /audit\.record must be one of 'delegated'/],
    ['a misspelt unrecorded', () => server({ audit: { ...audit(), unrecorded: 'ignore' } }), /audit\.unrecorded must be one of/],
    ['no time at all', () => server({ audit: { ...audit(), timeoutMilliseconds: 0 } }), /timeoutMilliseconds must be a whole/],
    ['more than a minute', () => server({ audit: { ...audit(), timeoutMilliseconds: 60_001 } }), /from 1 to 60000/],
    ['an unknown member', () => server({ audit: { ...audit(), sink: memorySink() } }), /audit has an unknown member "sink"/],
    ...undefinedMembers(['sinks', 'record', 'unrecorded', 'timeoutMilliseconds'], (more) =>
      server({ audit: { ...audit(), ...more } }),
    ),
    ['bestEffort() of no sink', () => bestEffort({} as Wrong), /bestEffort\(\).*sink.*write/],
    ['bestEffort() of nothing', () => bestEffort(undefined as Wrong), /bestEffort\(\).*sink.*write/],
    ['iterableSink() without a bound', () => iterableSink(undefined as Wrong), /maxQueuedEvents must be a whole number/],
    ['iterableSink() that holds nothing', () => iterableSink({ maxQueuedEvents: 0 }), /maxQueuedEvents must be a whole number/],
  ],

  'an issuer': [
    ['not an object', () => server({ issuers: [ISSUER] }), /issuers\[0\] must be an object/],
    ['an unknown member', () => issuer({ jwks_uri: 'https://as.example.test/jwks' }), /unknown member "jwks_uri"/],
    ...undefinedMembers(['issuer', 'audience', 'jwks', 'algorithms', 'tokenTypes', 'clientIds', 'anyClient'], issuer),
    ...undefinedMembers(['presentClaims', 'requiredClaims', 'claims', 'actor', 'kind', 'mayAct'], issuer),
    ...undefinedMembers(['ignoredMarkers', 'authorityClaims', 'embeddedTokens'], issuer),
    [
      'jwksUri: undefined',
      () => server({ issuers: [{ ...without(oauthIssuer(), 'jwks'), jwksUri: undefined }] }),
      /jwksUri is undef/,
    ],
    [
      'no issuer',
      () => server({ issuers: [without(oauthIssuer(), 'issuer')] }),
      /issuers\[0\]\.issuer must be a non-empty string/,
    ],
    ['an empty issuer', () => issuer({ issuer: '' }), /issuers\[0\]\.issuer must be a non-empty string/],
    ['no audience', () => server({ issuers: [without(oauthIssuer(), 'audience')] }), /audience must be a non-empty string/],
    ['an empty audience', () => issuer({ audience: '' }), /audience must be a non-empty string/],
    ['an empty list of audiences', () => issuer({ audience: [] }), /audience must be a non-empty list/],
    ['an empty audience in a list', () => issuer({ audience: [AUDIENCE, ''] }), /audience\[1\] must be a non-empty string/],
    ['audience null alone', () => issuer({ audience: null }), /audience is null: name .* clientIds, or say anyClient: true/],
    ['anyClient: false beside it', () => issuer({ audience: null, anyClient: false }), /audience is null/],
    ['clientIds and anyClient', () => issuer({ clientIds: ['a'], anyClient: true }), /both clientIds and anyClient: choose one/],
    ['anyClient as text', () => issuer({ audience: null, anyClient: 'true' }), /anyClient must be true or false/],
    ['no clients', () => issuer({ clientIds: [] }), /clientIds must be a non-empty list/],
    ['an empty client', () => issuer({ clientIds: [''] }), /clientIds\[0\] must be a non-empty string/],
    [
      'clients that no claim names',
      () => issuer({ clientIds: ['a'], claims: { client: [] } }),
      /clientIds needs .*claims\.client/,
    ],
    ['jwks and jwksUri', () => issuer({ jwksUri: 'https://as.example.test/jwks' }), /both jwks and jwksUri: choose one/],
    [
      'an issuer that is no URL, without keys',
      () => server({ issuers: [{ ...without(oauthIssuer(), 'jwks'), issuer: 'as' }] }),
      /issuer is no https URL, .*give jwksUri or jwks/,
    ],
    [
      'an http issuer elsewhere, without keys',
      () => server({ issuers: [{ ...without(oauthIssuer(), 'jwks'), issuer: 'http://as.example.test' }] }),
      /issuer is no https URL/,
    ],
    ...[
      'http://as.example.test/jwks',
      'ftp://as.example.test/jwks',
      'http://127.0.0.1.example.test/jwks',
      'http://localhost.example.test/jwks',
      'https://user:word@as.example.test/jwks',
      'https://as.example.test/jwks#keys',
      '/jwks',
      '',
    ].map(
      (jwksUri): Mistake => [
        `jwksUri ${jwksUri || '(empty)'}`,
        () => server({ issuers: [{ ...without(oauthIssuer(), 'jwks'), jwksUri }] }),
        /jwksUri must be (an https URL|a non-empty string)/,
      ],
    ),
    ...['HS256', 'none', 'HS512', 'ES256K', 'rs256', 'RSA-OAEP', ''].map(
      (alg): Mistake => [
        `algorithm ${alg || '(empty)'}`,
        () => issuer({ algorithms: [alg] }),
        /algorithms\[0\] is not an accepted/,
      ],
    ),
    ['no algorithms', () => issuer({ algorithms: [] }), /algorithms must be a non-empty list/],
    ['no token types', () => issuer({ tokenTypes: [] }), /tokenTypes must be a non-empty list/],
    ['an empty token type', () => issuer({ tokenTypes: [''] }), /tokenTypes\[0\] must be a non-empty string/],
    ['a token type twice', () => issuer({ tokenTypes: ['JWT', 'application/jwt'] }), /tokenTypes names something twice/],
    ['an empty name of a claim', () => issuer({ presentClaims: [''] }), /presentClaims\[0\] must be a non-empty string/],
    ['an empty required value', () => issuer({ requiredClaims: { purpose: '' } }), /requiredClaims\["purpose"\] must be/],
    [
      'an empty list of them',
      () => issuer({ requiredClaims: { purpose: [] } }),
      /requiredClaims\["purpose"\] must be a non-empty/,
    ],
    ['an undefined one', () => issuer({ requiredClaims: { purpose: undefined } }), /requiredClaims\.purpose is undefined/],
    ['an object as one', () => issuer({ requiredClaims: { purpose: {} } }), /requiredClaims\["purpose"\] must be/],
    ['NaN as one', () => issuer({ requiredClaims: { level: Number.NaN } }), /requiredClaims\["level"\] must be/],
    ['required claims as a list', () => issuer({ requiredClaims: ['purpose'] }), /requiredClaims must be an object/],
    ['required claims null', () => issuer({ requiredClaims: null }), /issuers\[0\]\.requiredClaims must be an object/],
    ['claims null', () => issuer({ claims: null }), /issuers\[0\]\.claims must be an object/],
    ['another kind', () => issuer({ kind: 'direct' }), /kind must be one of 'impersonation', 'delegation'/],
    ['another mayAct', () => issuer({ mayAct: 'allow' }), /mayAct must be one of 'expose', 'refuse', 'refuse_without_act'/],
    [
      'an unknown marker',
      () => issuer({ ignoredMarkers: ['azp'] }),
      /ignoredMarkers\[0\] is no known delegation marker: it can be act/,
    ],
    ['no authority claims', () => issuer({ authorityClaims: [] }), /authorityClaims must be a non-empty list/],
    ['an empty embedded token', () => issuer({ embeddedTokens: [''] }), /embeddedTokens\[0\] must be a non-empty string/],
  ],

  'static keys': [
    ['jwks as a list', () => issuer({ jwks: [KEY.jwk] }), /jwks must be an object/],
    ['no keys', () => issuer({ jwks: { keys: [] } }), /jwks\.keys must be a non-empty list/],
    ['jwks without keys', () => issuer({ jwks: {} }), /jwks\.keys must be a non-empty list/],
    ['a PEM', () => issuer({ jwks: { keys: ['-----BEGIN PUBLIC KEY-----'] } }), /jwks\.keys\[0\] is not an object/],
    ['the second key is wrong', () => issuer({ jwks: { keys: [KEY.jwk, {}] } }), /jwks\.keys\[1\] has a key type/],
    [
      'a private key',
      () => issuer({ jwks: { keys: [privateJwk()] } }),
      /keys\[0\] is a private or symmetric key: give its public part/,
    ],
    ['a symmetric key', () => issuer({ jwks: { keys: [{ kty: 'oct', k: 'c2VjcmV0' }] } }), /private or symmetric/],
    ['a key for encryption', () => issuer({ jwks: { keys: [{ ...KEY.jwk, use: 'enc' }] } }), /not for signatures/],
    ['a key that may only sign', () => issuer({ jwks: { keys: [{ ...KEY.jwk, key_ops: ['sign'] }] } }), /may not verify/],
    ['a key of another algorithm', () => issuer({ jwks: { keys: [{ ...KEY.jwk, alg: 'RS256' }] } }), /"alg" that does not fit/],
    ['a key for HMAC', () => issuer({ jwks: { keys: [{ ...KEY.jwk, alg: 'HS256' }] } }), /"alg" that does not fit/],
    ['an unusable key id', () => issuer({ jwks: { keys: [{ ...KEY.jwk, kid: 7 }] } }), /unusable "kid"/],
    ['a key id that is too long', () => issuer({ jwks: { keys: [{ ...KEY.jwk, kid: 'k'.repeat(257) }] } }), /unusable "kid"/],
    ['X25519', () => issuer({ jwks: { keys: [{ ...KEY.jwk, crv: 'X25519' }] } }), /curve that is not accepted/],
    ['secp256k1', () => issuer({ jwks: { keys: [{ kty: 'EC', crv: 'secp256k1', x: 'AA', y: 'AA' }] } }), /curve that is not/],
    [
      'a curve of another key type',
      () => issuer({ jwks: { keys: [{ ...KEY.jwk, kty: 'EC', alg: 'ES256' }] } }),
      /curve that is not/,
    ],
    [
      'a curve that is no text',
      () => issuer({ jwks: { keys: [{ ...KEY.jwk, crv: Object.create(null) }] } }),
      /curve that is not/,
    ],
    ['half a key', () => issuer({ jwks: { keys: [without(KEY.jwk, 'x')] } }), /key material that cannot be read/],
    ['RSA with 1024 bits', () => issuer({ jwks: { keys: [rsa(1024)] } }), /fewer than 2048 bits/],
  ],

  'claims options': [
    [
      'an unknown member',
      () => issuer({ claims: { scope: 'scp' } }),
      /claims has an unknown member "scope": it knows client, scopes/,
    ],
    ...undefinedMembers(['client', 'scopes', 'tenantScopes', 'tenant', 'subjectTenant', 'grant', 'type', 'profiles'], (more) =>
      issuer({ claims: more }),
    ),
    ...undefinedMembers(['requestScopePrefixes'], (more) => issuer({ claims: more })),
    ['an empty client', () => issuer({ claims: { client: '' } }), /claims\.client must be a non-empty string/],
    ['an empty scopes', () => issuer({ claims: { scopes: '' } }), /claims\.scopes must be a non-empty string/],
    [
      'scopes without format',
      () => issuer({ claims: { scopes: { claim: 'scp' } } }),
      /scopes\.format must be one of 'string', 'list'/,
    ],
    [
      'scopes without claim',
      () => issuer({ claims: { scopes: { format: 'list' } } }),
      /scopes\.claim must be a non-empty string/,
    ],
    [
      'an unknown part',
      () => issuer({ claims: { scopes: { claim: 'a', format: 'list', separator: ',' } } }),
      /member "separator"/,
    ],
    [
      'tenantScopes without tenant',
      () => issuer({ claims: { tenantScopes: { claim: 'a', member: 'b' } } }),
      /tenantScopes needs .*tenant/,
    ],
    [
      'tenantScopes without member',
      () => issuer({ claims: { tenant: 't', tenantScopes: { claim: 'a' } } }),
      /tenantScopes\.member/,
    ],
    ['an empty tenant', () => issuer({ claims: { tenant: '' } }), /claims\.tenant must be a non-empty string/],
    ['type without claim', () => issuer({ claims: { type: { client: ['APP'] } } }), /type\.claim must be a non-empty string/],
    [
      'type with an empty list',
      () => issuer({ claims: { type: { claim: 'aut', client: [] } } }),
      /type\.client must be a non-empty/,
    ],
    [
      'type with a claim alone',
      () => issuer({ claims: { type: { claim: 'aut' } } }),
      /claims\.type needs client or user: the values/,
    ],
    ['profiles without words', () => issuer({ claims: { profiles: { claim: 'p' } } }), /profiles\.words must be an object/],
    ['no words', () => words({}), /profiles\.words is empty: name the vendor's words, or use profiles: null/],
    ['an empty word', () => words({ a: '' }), /words\["a"\] must be a non-empty/],
    ['an empty key of a word', () => words({ '': 'a' }), /the key of .*words\[""\] must be a non-empty/],
    ['a word that is no text', () => words({ a: ['b'] }), /words\["a"\] must be a non-empty string/],
    ...['Bot', 'a b', ' a', 'a\t', 'a\u00a0b'].flatMap((word): Mistake[] => [
      [`the word ${JSON.stringify(word)}`, () => words({ a: word }), /^[^k].*words\["a"\] must be one word in lower case/],
      [
        `the key ${JSON.stringify(word)}`,
        () => words({ [word]: 'a' }),
        /^the key of .*words\[.* must be one word in lower case/s,
      ],
    ]),
    ['no prefixes', () => issuer({ claims: { requestScopePrefixes: [] } }), /requestScopePrefixes must be a non-empty list/],
  ],

  'actor options': [
    ['an unknown member', () => issuer({ actor: { claim: 'act', path: 'x' } }), /actor has an unknown member "path"/],
    ...undefinedMembers(
      ['read', 'reads', 'encoding', 'id', 'issuer', 'direction', 'required', 'selfIsDirect', 'tenant'],
      (more) => issuer({ actor: { claim: 'act', ...more } }),
    ),
    ...undefinedMembers(['claim'], (more) => issuer({ actor: more })),
    ['neither claim nor read', () => issuer({ actor: {} }), /actor needs either "claim" or "read"/],
    ['claim and read', () => issuer({ actor: { claim: 'act', read: () => null } }), /actor needs either "claim" or "read"/],
    ['an empty list of ways', () => issuer({ actor: [] }), /actor must be a non-empty list/],
    ['an empty claim', () => issuer({ actor: { claim: '' } }), /actor\.claim must be a non-empty string/],
    ['an empty path', () => issuer({ actor: { claim: [] } }), /actor\.claim must be a non-empty list/],
    ['an empty name in a path', () => issuer({ actor: { claim: ['ext', ''] } }), /actor\.claim\[1\] must be a non-empty string/],
    [
      'another encoding',
      () => issuer({ actor: { claim: 'act', encoding: 'xml' } }),
      /encoding must be one of 'object', 'json', 'string'/,
    ],
    ['another direction', () => issuer({ actor: { claim: 'act', direction: 'both' } }), /direction must be one of/],
    [
      'issuer as a boolean',
      () => issuer({ actor: { claim: 'act', issuer: true } }),
      /actor\.issuer must be one of 'optional', 'required'/,
    ],
    [
      'required as a word',
      () => issuer({ actor: { claim: 'act', required: 'required' } }),
      /actor\.required must be true or false/,
    ],
    [
      'tenant without string',
      () => issuer({ actor: { claim: 'act', tenant: 't' } }),
      /actor\.tenant goes with encoding 'string'/,
    ],
    ['reads without read', () => issuer({ actor: { claim: 'act', reads: ['ext.act'] } }), /actor\.reads goes with "read"/],
    [
      'an unknown read',
      () => issuer({ actor: { read: () => null, reads: ['azp'] } }),
      /reads\[0\] is no known delegation marker/,
    ],
    ['read with encoding', () => issuer({ actor: { read: () => null, encoding: 'json' } }), /encoding goes with "claim"/],
    ['the second way is wrong', () => issuer({ actor: [{ claim: 'act' }, {}] }), /actor\[1\] needs either/],
  ],

  'a rule': [
    ['rules as an object', () => server({ delegation: anyRule() }), /delegation must be a list of rules/],
    ['a rule as a word', () => server({ delegation: ['any'] }), /delegation\[0\] must be an object/],
    [
      'an unknown member',
      () => rule({ scope: 'orders:read' }),
      /delegation\[0\] has an unknown member "scope": it knows id, kind/,
    ],
    ...['id', 'kind', 'actor', 'scopes'].map(
      (name): Mistake => [`no ${name}`, () => ruleWithout(name), new RegExp(`needs ${name}`)],
    ),
    ...undefinedMembers(['id', 'kind', 'actor', 'issuer', 'subject', 'tenant', 'scopes', 'exceptScopes', 'methods'], rule),
    ...undefinedMembers(['maxLifetimeSeconds', 'maxDepth', 'when'], rule),
    ['an empty id', () => rule({ id: '' }), /delegation\[0\]\.id must be a non-empty string/],
    ['kind direct', () => rule({ kind: 'direct' }), /kind must be one of 'impersonation', 'delegation'/],
    ['no kinds', () => rule({ kind: [] }), /kind must be a non-empty list/],
    ['a kind twice', () => rule({ kind: ['delegation', 'delegation'] }), /kind names something twice/],
    [
      'an unknown issuer',
      () => rule({ issuer: OTHER_ISSUER }),
      /issuer names an issuer that is not configured: "https:\/\/other/,
    ],
    ['an unknown one in a list', () => rule({ issuer: [ISSUER, `${ISSUER}/`] }), /issuer names an issuer that is not configured/],
    ['no issuers', () => rule({ issuer: [] }), /issuer must be a non-empty list/],
    ['an empty tenant', () => rule({ tenant: '' }), /tenant must be a non-empty string/],
    ['no tenants', () => rule({ tenant: [] }), /tenant must be a non-empty list/],
    ['subject any', () => rule({ subject: 'any' }), /subject must be an object/],
    ['no scopes at all', () => rule({ scopes: [] }), /scopes must be a non-empty list/],
    ['an empty scope', () => rule({ scopes: ['orders:read', ''] }), /scopes\[1\] must be a non-empty string/],
    ['a scope with a space', () => rule({ scopes: 'orders:read orders:write' }), /scopes holds a space: name several scopes/],
    [
      'a space in a list of scopes',
      () => rule({ scopes: ['a', 'b c'] }),
      /scopes\[1\] holds a space: name several scopes as a list/,
    ],
    [
      'an exception with a space',
      () => rule({ exceptScopes: 'a b' }),
      /exceptScopes holds a space: name several scopes as a list/,
    ],
    ['no exceptions', () => rule({ exceptScopes: [] }), /exceptScopes must be a non-empty list/],
    ['all as exception', () => rule({ exceptScopes: 'all' }), /exceptScopes is 'all', which would leave nothing/],
    ...['*', 'orders:*:read', '*:read', 'orders*', 'orders:r*', ':*', 'orders:**', 'orders.*', '**'].flatMap(
      (pattern): Mistake[] => [
        [`scope ${pattern}`, () => rule({ scopes: [pattern] }), /scopes.*a "\*" may only stand last, after a ":"/],
        [`exception ${pattern}`, () => rule({ exceptScopes: pattern }), /exceptScopes.*a "\*" may only stand last/],
      ],
    ),
    ['methods as a word', () => rule({ methods: 'GET' }), /methods must be a non-empty list/],
    ['a method in lower case', () => rule({ methods: ['get'] }), /methods\[0\] must be a method in upper case/],
    ['no methods', () => rule({ methods: [] }), /methods must be a non-empty list/],
    ['no lifetime', () => rule({ maxLifetimeSeconds: 0 }), /maxLifetimeSeconds must be a whole number/],
    ['a lifetime as text', () => rule({ maxLifetimeSeconds: '3600' }), /maxLifetimeSeconds must be a whole number/],
    ['no depth', () => rule({ maxDepth: 0 }), /maxDepth must be a whole number/],
    ['when as a value', () => rule({ when: true }), /when must be a function/],
    [
      'two rules of one id',
      () => rules(anyRule({ issuer: ISSUER }), anyRule({ issuer: OTHER_ISSUER })),
      /has an id that an earlier/,
    ],
    ['a hole in a list of scopes', () => rule({ scopes: new Array(1) }), /scopes\[0\] must be a non-empty string/],
    ['a hole in the list of rules', () => server({ delegation: new Array(1) }), /delegation\[0\] must be an object/],
    ['a hole in the list of issuers', () => server({ issuers: new Array(1) }), /issuers\[0\] must be an object/],
  ],

  'a matcher': [
    ['undefined id', () => matcher({ id: undefined }), /actor\.id is undefined: give a value, or leave the member out/],
    ['undefined id beside others', () => matcher({ type: 'client', id: undefined }), /actor\.id is undefined/],
    ...undefinedMembers(['idClaim', 'issuer', 'type', 'profile', 'tenant'], (more) => matcher({ id: 'a', ...more })),
    ['an empty matcher', () => matcher({}), /actor is empty: say whom it means, or use 'any'/],
    ['an empty list', () => matcher([]), /actor is an empty list: it would fit nobody/],
    ['an empty one in a list', () => matcher([{ id: 'a' }, {}]), /actor\[1\] is empty/],
    ['a hole in a list', () => matcher(new Array(1)), /actor\[0\] must be an object/],
    ['an empty subject', () => rule({ subject: {} }), /subject is empty/],
    ['an unknown member', () => matcher({ sub: 'a' }), /actor has an unknown member "sub": it knows id, idClaim/],
    ['another word than any', () => matcher('anybody'), /actor must be an object/],
    ['a regular expression', () => matcher({ id: /^support-/ }), /actor\.id must be a non-empty string/],
    ['a list of ids', () => matcher({ id: ['a', 'b'] }), /actor\.id must be a non-empty string/],
    ...['id', 'issuer', 'profile', 'tenant'].map(
      (name): Mistake => [`an empty ${name}`, () => matcher({ [name]: '' }), new RegExp(`actor\\.${name} must be a non-empty`)],
    ),
    ['an empty idClaim', () => matcher({ id: 'a', idClaim: '' }), /actor\.idClaim must be a non-empty string/],
    ['idClaim without id', () => matcher({ idClaim: 'user_id', type: 'user' }), /actor\.idClaim goes with id/],
    ['another type', () => matcher({ type: 'agent' }), /actor\.type must be one of 'user', 'client'/],
    ['a profile in upper case', () => matcher({ profile: 'AI_Agent' }), /actor\.profile must be one word in lower case/],
    ['a profile of two words', () => matcher({ profile: 'ai_agent user' }), /actor\.profile must be one word in lower case/],
    ['a profile with a space', () => rule({ subject: { profile: 'user ' } }), /subject\.profile must be one word in lower case/],
    ['an id beside two issuers', () => rules(anyRule({ actor: { id: 'a' } })), /names an id and needs issuer: .*two parties/],
    [
      'an id in a list beside two issuers',
      () => rules(anyRule({ actor: [{ type: 'client' }, { id: 'a' }] })),
      /names an id and needs/,
    ],
    ['a subject by id beside two issuers', () => rules(anyRule({ subject: { id: 'a' } })), /names an id and needs issuer/],
    [
      'a name space is no issuer of the token',
      () => rules(anyRule({ actor: { id: 'a', issuer: ISSUER } })),
      /names an id and needs/,
    ],
  ],

  'a requirement': [
    ['null', () => guard(null), /guard\(\) must be an object/],
    ['undefined, which is not the same as nothing', () => guard(undefined), /guard\(\) must be an object/],
    [
      'a profile of two words',
      () => guard({ actor: { not: { profile: 'a b' } } }),
      /not\.profile must be one word in lower case/,
    ],
    ['a scope with a space', () => guard({ scopes: 'orders:read orders:write' }), /scopes holds a space: name several scopes/],
    ['a space in a list of scopes', () => guard({ anyScope: ['a', 'b c'] }), /anyScope\[1\] holds a space: name several/],
    ['a scope alone', () => guard('orders:read'), /guard\(\) must be an object/],
    ['an unknown member', () => guard({ scope: 'orders:read' }), /guard\(\) has an unknown member "scope": it knows scopes/],
    ...undefinedMembers(['scopes', 'anyScope', 'kind', 'issuer', 'tenant', 'actor', 'subject', 'claims', 'check'], guard),
    ['an undefined id', () => guard({ subject: { id: undefined } }), /subject\.id is undefined/],
    ['an undefined id behind not', () => guard({ actor: { not: { id: undefined } } }), /actor\.not\.id is undefined/],
    ['not undefined', () => guard({ actor: { not: undefined } }), /actor\.not is undefined/],
    ['not nobody', () => guard({ actor: { not: [] } }), /actor\.not is an empty list/],
    ['an empty not', () => guard({ actor: { not: {} } }), /actor\.not is empty/],
    [
      'not and more',
      () => guard({ subject: { not: { type: 'client' }, id: 'a' } }),
      /subject has an unknown member "id": it knows not/,
    ],
    ['not twice', () => guard({ subject: { not: { not: { type: 'client' } } } }), /subject\.not has an unknown member "not"/],
    ['an empty matcher', () => guard({ actor: {} }), /actor is empty/],
    ['no matchers', () => guard({ subject: [] }), /subject is an empty list/],
    ['no scopes', () => guard({ scopes: [] }), /scopes must be a non-empty list/],
    ['an empty scope', () => guard({ scopes: '' }), /scopes must be a non-empty string/],
    ['no scopes of which one', () => guard({ anyScope: [] }), /anyScope must be a non-empty list/],
    ['another kind', () => guard({ kind: 'delegated' }), /kind must be one of 'direct', 'impersonation', 'delegation'/],
    ['no kinds', () => guard({ kind: [] }), /kind must be a non-empty list/],
    ['an unknown issuer', () => guard({ issuer: OTHER_ISSUER }), /issuer names an issuer that is not configured/],
    ['an empty tenant', () => guard({ tenant: '' }), /tenant must be a non-empty string/],
    ['no claims', () => guard({ claims: {} }), /claims is empty: name a claim, or leave the member out/],
    ['an undefined claim', () => guard({ claims: { department: undefined } }), /claims\.department is undefined/],
    ['no values', () => guard({ claims: { department: [] } }), /claims\["department"\] must be a non-empty list/],
    ['an object as a value', () => guard({ claims: { department: {} } }), /claims\["department"\] must be a non-empty string/],
    ['null as a value', () => guard({ claims: { department: null } }), /claims\["department"\] must be a non-empty string/],
    ['claims as a list', () => guard({ claims: ['department'] }), /claims must be an object/],
    ['check as a value', () => guard({ check: true }), /check must be a function/],
    [
      'an id beside two issuers',
      () => server({ issuers: twoIssuers() }).guard({ subject: { id: 'a' } }),
      /guard\(\) names an id and needs issuer/,
    ],
    [
      'an id behind not beside two issuers',
      () => server({ issuers: twoIssuers() }).guard({ actor: { not: { id: 'a' } } }),
      /guard\(\) names an id and needs issuer/,
    ],
  ],

  oauth: [
    ['nothing', () => oauth(undefined as Wrong), /oauth\(\) must be an object/],
    ['a URL', () => oauth(ISSUER as Wrong), /oauth\(\) must be an object/],
    [
      'an unknown member',
      () => oauth({ issuer: ISSUER, audience: AUDIENCE, jwks_uri: '' } as Wrong),
      /unknown member "jwks_uri"/,
    ],
    ['undefined audience', () => oauth({ issuer: ISSUER, audience: undefined } as Wrong), /oauth\(\)\.audience is undefined/],
    ['undefined issuer', () => oauth({ issuer: undefined, audience: AUDIENCE } as Wrong), /oauth\(\)\.issuer is undefined/],
    ['undefined actor', () => oauthIssuer({ actor: undefined } as Wrong), /oauth\(\)\.actor is undefined/],
    ['actor null', () => oauthIssuer({ actor: null } as Wrong), /oauth\(\)\.actor must be an object/],
    ['another claim', () => oauthIssuer({ actor: { claim: 'x' } } as Wrong), /oauth\(\)\.actor has an unknown member "claim"/],
    [
      'an undefined part of actor',
      () => oauthIssuer({ actor: { required: undefined } } as Wrong),
      /actor\.required is undefined/,
    ],
    [
      'no audience',
      () => server({ issuers: [oauth({ issuer: ISSUER, jwks: JWKS } as Wrong)] }),
      /audience (must be a non-empty|is undefined)/,
    ],
  ],

  curity: [
    ['nothing', () => curity(undefined as Wrong), /curity\(\) must be an object/],
    ['an unknown member', () => curity({ issuer: ISSUER, audience: AUDIENCE, act_as: true } as Wrong), /unknown member "act_as"/],
    ['undefined actAs', () => curity({ issuer: ISSUER, audience: AUDIENCE, actAs: undefined } as Wrong), /actAs is undefined/],
    [
      'actAs as text',
      () => curity({ issuer: ISSUER, audience: AUDIENCE, actAs: 'true' } as Wrong),
      /actAs must be true or false/,
    ],
    [
      'required claims as text',
      () => server({ issuers: [curity({ issuer: ISSUER, audience: AUDIENCE, jwks: JWKS, requiredClaims: 'purpose' } as Wrong)] }),
      /requiredClaims must be an object/,
    ],
    [
      'required claims null',
      () => server({ issuers: [curity({ issuer: ISSUER, audience: AUDIENCE, jwks: JWKS, requiredClaims: null } as Wrong)] }),
      /requiredClaims must be an object/,
    ],
    [
      'claims as a list',
      () => server({ issuers: [curity({ issuer: ISSUER, audience: AUDIENCE, jwks: JWKS, claims: [] } as Wrong)] }),
      /claims must be an object/,
    ],
    [
      'its own required claim undefined',
      () =>
        server({
          issuers: [curity({ issuer: ISSUER, audience: AUDIENCE, jwks: JWKS, requiredClaims: { purpose: undefined } } as Wrong)],
        }),
      /requiredClaims\.purpose is undefined/,
    ],
  ],

  descope: [
    ['nothing', () => descope(undefined as Wrong), /descope\(\) must be an object/],
    ['no projectId', () => descope({} as Wrong), /descope\(\)\.projectId must be a project id/],
    ['an empty projectId', () => descope({ projectId: '' }), /projectId must be a project id/],
    ['a URL as projectId', () => descope({ projectId: 'https://api.descope.com/P2' }), /projectId must be a project id/],
    ['a path in projectId', () => descope({ projectId: '../v1/keys/P2' }), /projectId must be a project id/],
    ['a line end behind it', () => descope({ projectId: 'P2\n' }), /projectId must be a project id/],
    ['a number as projectId', () => descope({ projectId: 7 } as Wrong), /projectId must be a project id/],
    ['an unknown member', () => descope({ projectId: 'P2', project: 'P2' } as Wrong), /unknown member "project"/],
    ['undefined audience', () => descope({ projectId: 'P2', audience: undefined } as Wrong), /audience is undefined/],
    ['undefined issuer', () => descope({ projectId: 'P2', issuer: undefined } as Wrong), /issuer is undefined/],
  ],

  asgardeo: [
    ['nothing', () => asgardeo(undefined as Wrong), /asgardeo\(\) must be an object/],
    ['neither organization nor issuer', () => asgardeo({ clientIds: ['a'] }), /needs either organization or issuer/],
    ['both', () => asgardeo({ organization: 'o', issuer: ISSUER, clientIds: ['a'] }), /needs either organization or issuer/],
    ['organization null', () => asgardeo({ organization: null, clientIds: ['a'] } as Wrong), /organization must be the name/],
    ['organization as a number', () => asgardeo({ organization: 5, clientIds: ['a'] } as Wrong), /organization must be the name/],
    ['an empty organization', () => asgardeo({ organization: '', clientIds: ['a'] }), /organization must be the name/],
    ['a path in organization', () => asgardeo({ organization: 'o/../p', clientIds: ['a'] }), /organization must be the name/],
    ['issuer without keys', () => asgardeo({ issuer: ISSUER, clientIds: ['a'] }), /issuer needs jwksUri or jwks beside it/],
    ['no clientIds', () => asgardeo({ organization: 'o' } as Wrong), /clientIds must name the accepted applications/],
    ['undefined clientIds', () => asgardeo({ organization: 'o', clientIds: undefined } as Wrong), /clientIds is undefined/],
    [
      'an empty list of clientIds',
      () => server({ issuers: [asgardeo({ organization: 'o', clientIds: [] })] }),
      /(audience|clientIds) must be a non-empty list/,
    ],
    [
      'an unknown member',
      () => asgardeo({ organization: 'o', clientIds: ['a'], tenant: 'x' } as Wrong),
      /unknown member "tenant"/,
    ],
    ['audience null', () => asgardeo({ organization: 'o', clientIds: ['a'], audience: null } as Wrong), /audience/],
  ],

  custom: [
    ['nothing', () => custom(undefined as Wrong), /custom\(\) must be an object/],
    ...['issuer', 'audience', 'tokenTypes', 'actor', 'kind'].map((name): Mistake => {
      const whole = { issuer: ISSUER, audience: AUDIENCE, tokenTypes: ['JWT'], actor: { claim: 'act' }, kind: 'delegation' }
      return [`no ${name}`, () => custom(without(whole, name) as Wrong), new RegExp(`custom\\(\\) needs ${name}: nothing`)]
    }),
    [
      'an unknown member',
      () => custom({ issuer: ISSUER, audience: AUDIENCE, tokenTypes: ['JWT'], actor: null, act: 'x' } as Wrong),
      /custom\(\) has an unknown member "act"/,
    ],
    [
      'an undefined member',
      () => custom({ issuer: ISSUER, audience: AUDIENCE, tokenTypes: ['JWT'], actor: null, jwks: undefined } as Wrong),
      /custom\(\)\.jwks is undefined/,
    ],
  ],
}

function thrownBy(make: () => unknown): unknown {
  try {
    make()
  } catch (error) {
    return error
  }
  return 'nothing was thrown'
}

describe.each(Object.entries(MISTAKES))('a mistake in %s', (_, mistakes) => {
  it.each(mistakes)('%s', (_what, make, message) => {
    const error = thrownBy(make)
    expect(error).toBeInstanceOf(ConfigError)
    expect(error).toMatchObject({ name: 'ConfigError', status: 500, code: 'config_invalid', expose: false })
    expect((error as ConfigError).message).toMatch(message)
  })
})

describe('what stands near a mistake, and is none', () => {
  const FINE: readonly (readonly [string, () => unknown])[] = [
    ['one issuer and nothing else', () => createResourceServer({ issuers: [oauthIssuer()] })],
    [
      "rules with audit: 'none'",
      () => createResourceServer({ issuers: [oauthIssuer()], delegation: [anyRule()], audit: 'none' }),
    ],
    ['an id with one issuer', () => matcher({ id: 'a' })],
    ['an id beside two issuers, with issuer', () => rules(anyRule({ actor: { id: 'a' }, issuer: ISSUER }))],
    ['no id beside two issuers', () => rules(anyRule({ actor: { profile: 'ai_agent' } }))],
    ['a requirement by id with one issuer', () => guard({ subject: { id: 'a' }, actor: { not: { id: 'b' } } })],
    [
      'a requirement by id beside two issuers, with issuer',
      () => server({ issuers: twoIssuers() }).guard({ issuer: ISSUER, subject: { id: 'a' } }),
    ],
    ['guard() without anything', () => server({}).guard()],
    ['authenticate() without anything', () => server({}).authenticate()],
    ['tolerance 0', () => server({ clockToleranceSeconds: 0 })],
    ['tolerance 300', () => server({ clockToleranceSeconds: 300 })],
    ...PAIRS.map(
      ([less, more, both]) => [`${less} as great as ${more}`, () => server({ limits: { [less]: both, [more]: both } })] as const,
    ),
    ...['issuers', 'unknownIssuers', 'unknownKeys'].map(
      (name) => [`as many ${name} as a memory has room for`, () => server({ limits: { [name]: 16_777_215 } })] as const,
    ),
    ['a refresh when the time is over', () => server({ limits: { keysRefreshPercent: 100 } })],
    ['audience null with clientIds', () => issuer({ audience: null, clientIds: ['a'] })],
    ['audience null with anyClient', () => issuer({ audience: null, anyClient: true })],
    ...['http://127.0.0.1:1/jwks', 'http://localhost/jwks', 'http://[::1]:8/jwks', 'https://as.example.test/jwks'].map(
      (jwksUri) => [`jwksUri ${jwksUri}`, () => server({ issuers: [{ ...without(oauthIssuer(), 'jwks'), jwksUri }] })] as const,
    ),
    ['an issuer that is no URL, with keys', () => issuer({ issuer: 'P2UcQcyxrjSA3mr6y0xZKRYI5oJz' })],
    ['patterns', () => rule({ scopes: ['orders:*', 'profile:email:*', 'openid'], exceptScopes: ['orders:refund:*'] })],
    [
      'custom() without delegation',
      () => custom({ issuer: ISSUER, audience: AUDIENCE, tokenTypes: ['JWT'], actor: null, jwks: JWKS }),
    ],
    ['cache: false', () => server({ cache: false })],
    ['a contextProperty that only looks taken', () => server({ contextProperty: 'urls' })],
    ['words in lower case', () => words({ bot: 'ai_agent', 'svc-2': 'service' })],
    ['type with one list of values', () => issuer({ claims: { type: { claim: 'aut', user: ['USER'] } } })],
    ["exceptScopes with a scope named 'all'", () => rule({ exceptScopes: ['all'] })],
    ...[
      { scopes: { claim: 'permissions', format: 'list' } },
      { tenant: 'tid', tenantScopes: { claim: 'tenants', member: 'permissions' } },
    ].flatMap((claims) => {
      const issuers = [oauthIssuer(), oauthIssuer({ issuer: OTHER_ISSUER, claims: claims as Wrong })]
      const spaced = { scopes: ['read orders', 'a:*'], exceptScopes: 'refund orders' }
      return [
        [
          `spaces where an issuer's scopes are a list: ${Object.keys(claims)}`,
          () => server({ issuers, delegation: [anyRule(spaced)] }),
        ],
        [
          `and in requirements: ${Object.keys(claims)}`,
          () => server({ issuers }).guard({ scopes: 'read orders', anyScope: ['refund orders'] }),
        ],
      ] as const
    }),
  ]

  it.each(FINE)('%s', (_, make) => {
    expect(thrownBy(make)).toBe('nothing was thrown')
  })
})

describe('shadowed rules', () => {
  const FIRST = 'first'
  const pair = (earlier: Wrong, later: Wrong, issuers = twoIssuers()) =>
    server({ issuers, delegation: [anyRule({ id: FIRST, ...earlier }), anyRule({ id: 'second', ...later })] })
  const one = () => [oauthIssuer()]

  const SHADOWED: readonly (readonly [string, () => unknown])[] = [
    ['two equal rules', () => pair({}, {})],
    ['limits are no part of the fit', () => pair({ methods: 'safe', maxDepth: 1, when: () => false }, { scopes: 'orders:read' })],
    ['a wide kind first', () => pair({}, { kind: 'impersonation' })],
    ['a narrow issuer later', () => pair({}, { issuer: ISSUER })],
    ['a part of the issuers later', () => pair({ issuer: [ISSUER, OTHER_ISSUER] }, { issuer: OTHER_ISSUER })],
    ['every issuer named, then any', () => pair({ issuer: [ISSUER, OTHER_ISSUER] }, {})],
    ['the only issuer named, then any', () => pair({ issuer: ISSUER }, {}, one())],
    ['a narrow tenant later', () => pair({}, { tenant: 'a' })],
    ['a part of the tenants later', () => pair({ tenant: ['a', 'b'] }, { tenant: 'b' })],
    ['any actor first', () => pair({}, { actor: { id: 'a' }, issuer: ISSUER })],
    ['a wide actor first', () => pair({ actor: { type: 'client' } }, { actor: { type: 'client', profile: 'ai_agent' } })],
    [
      'every actor of a list is covered',
      () =>
        pair(
          { actor: [{ type: 'client' }, { profile: 'ai_agent' }] },
          {
            actor: [
              { profile: 'ai_agent', tenant: 't' },
              { type: 'client', profile: 'bot' },
            ],
          },
        ),
    ],
    ['the naming claim spelt out', () => pair({ actor: { id: 'a' } }, { actor: { id: 'a', idClaim: 'sub' } }, one())],
    ['a wide subject first', () => pair({ subject: { tenant: 'a' } }, { subject: { tenant: 'a', type: 'user' } })],
    ['a subject later', () => pair({}, { subject: { type: 'user' } })],
    [
      "the token's own issuer as name space later",
      () => pair({ issuer: ISSUER, actor: { type: 'client' } }, { issuer: ISSUER, actor: { type: 'client', issuer: ISSUER } }),
    ],
    [
      "a subject's name space is always the token's issuer",
      () => pair({ issuer: ISSUER, subject: { type: 'user' } }, { issuer: ISSUER, subject: { type: 'user', issuer: ISSUER } }),
    ],
  ]

  it.each(SHADOWED)('%s', (_, make) => {
    const error = thrownBy(make)
    expect(error).toBeInstanceOf(ConfigError)
    expect((error as ConfigError).message).toMatch(/delegation\[1\] \("second"\) can never decide: the earlier rule "first"/)
  })

  const NOT_SHADOWED: readonly (readonly [string, () => unknown])[] = [
    ['other kinds', () => pair({ kind: 'impersonation' }, { kind: 'delegation' })],
    ['a narrow kind first', () => pair({ kind: 'impersonation' }, {})],
    ['a narrow issuer first', () => pair({ issuer: ISSUER }, {})],
    ['overlapping issuers', () => pair({ issuer: ISSUER }, { issuer: [ISSUER, OTHER_ISSUER] })],
    ['a narrow tenant first', () => pair({ tenant: 'a' }, {})],
    ['another tenant', () => pair({ tenant: 'a' }, { tenant: 'b' })],
    ['overlapping tenants', () => pair({ tenant: ['a', 'b'] }, { tenant: ['b', 'c'] })],
    ['a narrow actor first', () => pair({ actor: { profile: 'ai_agent' } }, {})],
    ['another actor', () => pair({ actor: { id: 'a' } }, { actor: { id: 'b' } }, one())],
    ['the same id by another claim', () => pair({ actor: { id: 'a' } }, { actor: { id: 'a', idClaim: 'client_id' } }, one())],
    [
      'an actor in a list that is not covered',
      () => pair({ actor: { type: 'client' } }, { actor: [{ type: 'client' }, { profile: 'x' }] }),
    ],
    [
      'both types leave the unsaid one',
      () => pair({ actor: [{ type: 'client' }, { type: 'user' }] }, { actor: { profile: 'x' } }),
    ],
    [
      'a named name space leaves the unsaid one',
      () => pair({ actor: { type: 'client', issuer: ISSUER } }, { actor: { type: 'client' } }),
    ],
    [
      'another name space',
      () => pair({ actor: { type: 'client' } }, { actor: { type: 'client', issuer: 'https://elsewhere.test' } }),
    ],
    ['a narrow subject first', () => pair({ subject: { type: 'user' } }, { subject: { tenant: 'a' } })],
    ['wider here, narrower there', () => pair({ tenant: 'a' }, { tenant: ['a', 'b'], actor: { type: 'client' } })],
    ['every known actor, then the unknown one', () => pair({ actor: { type: 'client' } }, { actor: 'any' })],
  ]

  it.each(NOT_SHADOWED)('not: %s', (_, make) => {
    expect(thrownBy(make)).toBe('nothing was thrown')
  })
})

describe('required claims of a preset', () => {
  const { impersonated } = fixtures.curity
  const iss = String(impersonated.claims['iss'])
  const curityWorld = (requiredClaims?: Wrong) =>
    createWorld({
      issuers: [curity({ issuer: iss, audience: 'test-web-api', jwks: JWKS, ...(requiredClaims && { requiredClaims }) })],
      delegation: [anyRule()],
    })
  const codeOf = async (requiredClaims: Wrong, claims: Wrong) =>
    (await curityWorld(requiredClaims).call(tokenOfFixture(impersonated, claims))).code

  it('stay when more are given', async () => {
    expect(await codeOf({ zone: 'eu' }, { zone: 'eu' })).toBeNull()
    expect(await codeOf({ zone: 'eu' }, { zone: 'eu', purpose: undefined })).toBe('claim_missing')
    expect(await codeOf({ zone: 'eu' }, { zone: 'eu', purpose: 'id_token' })).toBe('claim_invalid')
    expect(await codeOf({ zone: 'eu' }, { zone: 'us' })).toBe('claim_invalid')
    expect(await codeOf({ zone: 'eu' }, {})).toBe('claim_missing')
  })

  it("are lifted one by one, and only by 'any'", async () => {
    expect(await codeOf(undefined, { purpose: 'id_token' })).toBe('claim_invalid')
    expect(await codeOf({ purpose: 'any' }, { purpose: 'id_token' })).toBeNull()
    expect(await codeOf({ purpose: 'any' }, { purpose: undefined })).toBeNull()
    expect(await codeOf({ purpose: ['access_token', null] }, { purpose: undefined })).toBeNull()
    expect(await codeOf({ purpose: ['access_token', null] }, { purpose: 'id_token' })).toBe('claim_invalid')
    expect(await codeOf({ purpose: 'other' }, {})).toBe('claim_invalid')
  })

  it('do not take null in a token for "absent"', async () => {
    expect(await codeOf({ purpose: ['access_token', null] }, { purpose: null })).toBe('claim_invalid')
  })
})

describe('any junk', () => {
  const junk = fc.anything({
    withBigInt: true,
    withDate: true,
    withMap: true,
    withNullPrototype: true,
    withObjectString: true,
    withSet: true,
    withSparseArray: true,
    withTypedArray: true,
  })

  /** What was thrown, if it is another error than it may be. */
  const wrongError = (make: () => unknown): unknown => {
    const thrown = thrownBy(make)
    return thrown === 'nothing was thrown' || thrown instanceof ConfigError ? null : thrown
  }

  it('as all options is a ConfigError, never another error and never a server', () => {
    fc.assert(
      fc.property(junk, (options) => {
        expect(thrownBy(() => createResourceServer(options as Wrong))).toBeInstanceOf(ConfigError)
      }),
      { numRuns: 500, seed: 1 },
    )
  })

  it('as list of issuers or as single issuer is a ConfigError', () => {
    fc.assert(
      fc.property(junk, (value) => {
        expect(thrownBy(() => server({ issuers: value }))).toBeInstanceOf(ConfigError)
        expect(thrownBy(() => server({ issuers: [value] }))).toBeInstanceOf(ConfigError)
      }),
      { numRuns: 300, seed: 1 },
    )
  })

  it('as a rule is a ConfigError', () => {
    fc.assert(
      fc.property(junk, (value) => {
        expect(thrownBy(() => server({ delegation: [value] }))).toBeInstanceOf(ConfigError)
      }),
      { numRuns: 300, seed: 1 },
    )
  })

  const spoiled: Readonly<Record<string, (value: Wrong, name: string) => unknown>> = {
    server: (value, name) => server({ [name]: value }),
    issuer: (value, name) => issuer({ [name]: value }),
    claims: (value, name) => issuer({ claims: { [name]: value } }),
    actor: (value, name) => issuer({ actor: { claim: 'act', [name]: value } }),
    key: (value, name) => issuer({ jwks: { keys: [{ ...KEY.jwk, [name]: value }] } }),
    rule: (value, name) => rule({ [name]: value }),
    matcher: (value, name) => rule({ actor: { id: 'a', [name]: value } }),
    requirement: (value, name) => guard({ [name]: value }),
    not: (value) => guard({ subject: { not: value } }),
    oauth: (value, name) => server({ issuers: [oauth({ issuer: ISSUER, audience: AUDIENCE, jwks: JWKS, [name]: value })] }),
    curity: (value, name) => server({ issuers: [curity({ issuer: ISSUER, audience: AUDIENCE, jwks: JWKS, [name]: value })] }),
    descope: (value, name) => server({ issuers: [descope({ projectId: 'P2', jwks: JWKS, [name]: value } as Wrong)] }),
    asgardeo: (value, name) =>
      server({ issuers: [asgardeo({ organization: 'o', clientIds: ['a'], jwks: JWKS, [name]: value } as Wrong)] }),
    'a preset as a whole': (value) => [oauth, curity, descope, asgardeo, custom].map((preset) => preset(value)),
  }
  const NAMES = [
    ...['issuers', 'delegation', 'mode', 'audit', 'credentials', 'limits', 'cache', 'fetch', 'now', 'contextProperty'],
    ...['issuer', 'audience', 'jwksUri', 'jwks', 'algorithms', 'tokenTypes', 'clientIds', 'anyClient', 'presentClaims'],
    ...['requiredClaims', 'claims', 'actor', 'kind', 'mayAct', 'ignoredMarkers', 'authorityClaims', 'embeddedTokens'],
    ...['client', 'scopes', 'tenantScopes', 'tenant', 'subjectTenant', 'grant', 'type', 'profiles', 'requestScopePrefixes'],
    ...['claim', 'read', 'reads', 'encoding', 'id', 'direction', 'required', 'selfIsDirect', 'idClaim', 'profile', 'subject'],
    ...['exceptScopes', 'methods', 'maxLifetimeSeconds', 'maxDepth', 'when', 'anyScope', 'check', 'organization', 'projectId'],
    ...['kty', 'crv', 'x', 'kid', 'use', 'key_ops', 'alg', 'actAs'],
  ]

  it.each(Object.entries(spoiled))('as one member (%s) is never another error than a ConfigError', (_, make) => {
    fc.assert(
      fc.property(junk, fc.constantFrom(...NAMES), (value, name) => {
        expect(wrongError(() => make(value, name))).toBeNull()
      }),
      { numRuns: 500, seed: 1 },
    )
  })
})

describe('options', () => {
  it('are read once: what is changed afterwards changes nothing', async () => {
    const scopes = ['orders:read']
    const methods = ['GET']
    const mutable = { ...anyRule(), scopes, methods }
    const delegation = [mutable]
    const world = createWorld({ delegation } satisfies Partial<ResourceServerOptions>)
    scopes.push('orders:write')
    methods.length = 0
    mutable.actor = { id: 'nobody' } as Wrong
    delegation.length = 0
    const visit = await world.call({ act: { sub: 'support-1' } })
    expect(visit.code).toBeNull()
    expect(visit.context().scopes).toEqual(['orders:read'])
  })

  it('may be frozen, and may have no prototype', async () => {
    const options = Object.assign(Object.create(null), { issuers: [oauthIssuer()], now: () => NOW_SECONDS * 1000 })
    expect(thrownBy(() => createResourceServer(Object.freeze(options)))).toBe('nothing was thrown')
  })

  it('take keys of every kind that fits', () => {
    for (const algorithm of ['ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519'] as const) {
      expect(thrownBy(() => issuer({ jwks: { keys: [createSigningKey(algorithm).jwk] } }))).toBe('nothing was thrown')
    }
  })
})
