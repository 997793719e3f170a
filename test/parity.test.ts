/** One table of requests, four frameworks: what a caller and an auditor see does not depend on the framework. */
import { type AuditEvent, type AuthContext, REFUSAL_CODES, type RefusalCode, type ResourceServerOptions } from '@behalf/core'
import { curity, oauth } from '@behalf/core/issuers'
import {
  createDpopClient,
  createSigningKey,
  createTestIssuer,
  fixtures,
  type MemorySink,
  memorySink,
  type ProofOverrides,
  type TestIssuer,
} from '@behalf/testing'
import { CompactEncrypt, exportJWK, generateKeyPair } from 'jose'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Seal, sealFor } from './support/encryption.js'
import { NO_JWT } from './support/endings.js'
import { type Answer, type Ask, ask, askRaw, bearer, parseAnswer } from './support/http.js'
import { createIntrospectionServer, knows } from './support/introspection-server.js'
import { PUBLIC_ORIGIN, SWITCHED_ON } from './support/sender-constraint.js'
import { type Application, closeAll, type Framework, type RunningApi, startOnAll, type TestServer } from './support/servers.js'
import { withSwitchedOn } from './support/switched-on.js'

const NOW = 1_790_000_000_000
const AGENTS_ISSUER = 'https://agents.example.test'
const CURITY_ISSUER = String(fixtures.curity.impersonated.claims['iss'])
const now = () => NOW

const issuer: TestIssuer = await createTestIssuer({ algorithms: ['EdDSA'], now })
const { audience } = issuer
const jwks = issuer.jwks()
const trusted = oauth({ issuer: issuer.issuer, audience, jwks, clientIds: ['client-1', 'agent-client'] })

const MAIN: Omit<ResourceServerOptions, 'audit'> = {
  issuers: [
    trusted,
    curity({ issuer: CURITY_ISSUER, audience: 'test-web-api', jwks, actAs: true }),
    oauth({ issuer: AGENTS_ISSUER, audience, jwks, actor: { required: true } }),
  ],
  delegation: [
    {
      id: 'support-looks',
      kind: 'impersonation',
      issuer: CURITY_ISSUER,
      actor: { id: 'admin' },
      scopes: ['read', 'openid'],
      methods: 'safe',
      maxLifetimeSeconds: 600,
    },
    {
      id: 'agents',
      kind: 'delegation',
      issuer: issuer.issuer,
      actor: { profile: 'ai_agent' },
      scopes: ['orders:*'],
      exceptScopes: ['orders:refund'],
      maxDepth: 2,
    },
    { id: 'on-duty', kind: 'delegation', issuer: issuer.issuer, actor: { id: 'duty-1' }, scopes: 'all', when: async () => true },
    { id: 'off-duty', kind: 'delegation', issuer: issuer.issuer, actor: { id: 'off-1' }, scopes: 'all', when: () => false },
    {
      id: 'broken',
      kind: 'delegation',
      issuer: issuer.issuer,
      actor: { id: 'broken-1' },
      scopes: 'all',
      when: () => Promise.reject(new Error('the roster is down')),
    },
  ],
  now,
}

const BOUND: Omit<ResourceServerOptions, 'audit'> = {
  issuers: [{ ...trusted, dpop: 'require' }],
  publicOrigins: PUBLIC_ORIGIN,
  dpop: { replay: 'single-process', algorithms: ['ES256'] },
  now,
}

/** What a function knows of tokens: nothing of `token-unsure`. */
const REVOKED: Readonly<Record<string, boolean>> = { 'token-1': false, 'token-gone': true }

const encryption = await generateKeyPair('ECDH-ES', { crv: 'P-256', extractable: true })
const decryptionKey = { ...(await exportJWK(encryption.privateKey)), kid: 'enc-1' }

const endpoint = await createIntrospectionServer()
const askedOf = (url: string) => ({
  endpoint: url,
  clientId: 'api-1',
  authentication: { method: 'client_secret_basic', clientSecret: 'a secret of tests' } as const,
  presentClaims: [], // an answer need not say all that the JWTs of this issuer do
})

type ConfigName =
  | 'main'
  | 'plain'
  | 'optional'
  | 'cookie'
  | 'report'
  | 'deaf'
  | 'lenient'
  | 'keyless'
  | 'tenants'
  | 'bound'
  | 'nonces'
  | 'forgetful'
  | 'either'
  | 'revocable'
  | 'encrypted'
  | 'asked'
  | 'unasked'

/** The server's options beside its sink, and whether its `authenticate()` is optional. */
const CONFIGS: Readonly<
  Record<ConfigName, { options: (sink: MemorySink) => ResourceServerOptions; optional?: true; deaf?: true }>
> = {
  main: { options: (sink) => ({ ...MAIN, audit: { sinks: [sink], record: 'always' } }) },
  plain: { options: (sink) => ({ ...MAIN, audit: { sinks: [sink] } }) },
  optional: { options: (sink) => ({ ...MAIN, audit: { sinks: [sink] } }), optional: true },
  cookie: {
    options: (sink) => ({
      ...MAIN,
      audit: { sinks: [sink] },
      credentials: { from: (request) => /(?:^|; )token=([^;]*)/.exec(request.header('cookie') ?? '')?.[1] ?? null },
    }),
  },
  report: { options: (sink) => ({ ...MAIN, mode: 'report', audit: { sinks: [sink] } }) },
  deaf: { options: (sink) => ({ ...MAIN, audit: { sinks: [sink] } }), deaf: true },
  lenient: { options: (sink) => ({ ...MAIN, audit: { sinks: [sink], unrecorded: 'allow' } }), deaf: true },
  keyless: {
    options: (sink) => ({
      ...MAIN,
      issuers: [oauth({ issuer: issuer.issuer, audience, jwksUri: `${issuer.issuer}/nowhere` })],
      delegation: [],
      audit: { sinks: [sink], record: 'refusals' },
    }),
  },
  bound: { options: (sink) => ({ ...BOUND, audit: { sinks: [sink], record: 'always' } }) },
  nonces: {
    options: (sink) => ({
      ...BOUND,
      dpop: {
        replay: 'single-process',
        algorithms: ['ES256'],
        nonce: { secret: 'a text that is long enough for a secret of tests' },
      },
      audit: { sinks: [sink], record: 'always' },
    }),
  },
  forgetful: {
    options: (sink) => ({
      ...BOUND,
      dpop: { replay: { use: () => Promise.reject(new Error('the memory is away')) }, algorithms: ['ES256'] },
      audit: { sinks: [sink], record: 'always' },
    }),
  },
  either: {
    options: (sink) => ({ ...BOUND, issuers: [{ ...trusted, dpop: 'allow' }], audit: { sinks: [sink], record: 'always' } }),
  },
  revocable: {
    options: (sink) => ({
      issuers: [trusted],
      revocation: {
        checks: [{ by: 'tokenId', issuer: issuer.issuer, from: ({ tokenId }) => REVOKED[tokenId ?? ''] as boolean }],
      },
      audit: { sinks: [sink], record: 'always' },
      now,
    }),
  },
  encrypted: {
    options: (sink) => ({
      issuers: [{ ...trusted, decryption: { keys: [decryptionKey], algorithms: ['ECDH-ES'] } }],
      audit: { sinks: [sink], record: 'always' },
      now,
    }),
  },
  asked: {
    options: (sink) => ({
      issuers: [{ ...trusted, introspection: askedOf(endpoint.endpoint) }],
      audit: { sinks: [sink], record: 'always' },
      now,
    }),
  },
  unasked: {
    options: (sink) => ({
      issuers: [{ ...trusted, introspection: askedOf('http://127.0.0.1:1/introspect') }],
      audit: { sinks: [sink], record: 'always' },
      now,
    }),
  },
  tenants: {
    options: (sink) => ({
      issuers() {
        throw new Error('the list of tenants is down')
      },
      audit: { sinks: [sink], record: 'refusals' },
      now,
    }),
  },
}

/** The same routes everywhere. */
function build(optional: boolean, dpop: boolean) {
  return (app: Application, api: TestServer, { handler }: Framework) => {
    const whoami = handler((call) => {
      const context = api.contextOf(call.request)
      call.json({ context, shown: context === null ? null : call.shown['auth'] === context })
    })
    app.use(api.authenticate({ optional }))
    app.route('GET', '/', whoami)
    app.route('POST', '/', whoami)
    app.route('GET', '/verified', api.guard(), whoami)
    if (dpop) app.route('GET', '/bound', api.guard({ dpop: 'require' }), whoami)
    app.route('GET', '/orders/:id', api.guard({ scopes: 'orders:read' }), whoami)
    app.route('POST', '/orders', api.guard({ scopes: ['orders:write'] }), whoami)
    app.route('GET', '/refunds', api.guard({ scopes: ['orders:refund', 'orders:read'] }), whoami)
    app.route('POST', '/password', api.guard({ kind: 'direct' }), whoami)
    app.route(
      'GET',
      '/inbox',
      api.guard({ kind: ['delegation', 'impersonation'] }),
      api.guard({ actor: { profile: 'ai_agent' } }),
      whoami,
    )
    app.route('GET', '/department', api.guard({ claims: { department: ['sales', 'support'] } }), whoami)
    app.route('GET', '/login', api.guard({ acr: ['gold', 'silver'], maxAuthAgeSeconds: 60, scopes: 'orders:read' }), whoami)
    app.route('GET', '/whole-chain', api.guard({ completeChain: true }), whoami)
    app.route('GET', '/people', api.guard({ subject: { not: { type: 'client' } } }), whoami)
    app.route('GET', '/checked', api.guard({ check: async (_context, request) => request.header('x-pass') === 'yes' }), whoami)
    app.route(
      'GET',
      '/broken-check',
      api.guard({
        check() {
          throw new Error('the check is broken')
        },
      }),
      whoami,
    )
  }
}

interface Row extends Ask {
  readonly name: string
  readonly on?: ConfigName
  readonly token?: string
  /** The whole request as bytes, instead of the members above. */
  readonly raw?: string
  readonly status: number
  readonly code?: RefusalCode
  /** `error` of the challenge; `null`: a bare challenge. Left out: no challenge at all. */
  readonly challenge?: string | null
  readonly challengeScope?: string
  readonly retryAfter?: string
  /** `stage decision reason-or-rule`, for outcomes `response decision result status`. */
  readonly events?: readonly string[]
  /** `kind subject actor…chain / rule / effective scopes / wouldRefuse`. */
  readonly context?: string
}

const claims = (more: Readonly<Record<string, unknown>>) => ({ claims: more as Record<string, never> })
const token = (more: Readonly<Record<string, unknown>> = {}) => issuer.token(claims({ jti: 'token-1', ...more }))
const withHeader = (header: Readonly<Record<string, unknown>>) =>
  issuer.token({ ...claims({ jti: 'token-1' }), header: header as Record<string, never> })
const agent = { sub: 'agent-7', iss: issuer.issuer, sub_profile: 'ai_agent' }
const valid = token()
const agentToken = token({ act: agent, client_id: 'agent-client', scope: 'orders:read orders:refund profile:read' })
const impersonated = issuer.tokenOf(fixtures.curity.impersonated)
const stranger = createSigningKey('EdDSA', { kid: issuer.key().kid })
const refusedAt = (stage: string, code: RefusalCode) => [`${stage} refuse ${code}`]
const invalid = (name: string, code: RefusalCode, badToken: string, more: Partial<Row> = {}): Row => ({
  name,
  token: badToken,
  status: 401,
  code,
  challenge: 'invalid_token',
  events: refusedAt('verify', code),
  ...more,
})

/** A client that holds a key, and a token that is bound to it. */
const client = createDpopClient({ now })
const bound = token({ cnf: { jkt: client.jkt } })
const shown = (proof: string): NonNullable<Ask['headers']> => [
  ['Authorization', `DPoP ${bound}`],
  ['DPoP', proof],
]
const proofFor = (overrides: ProofOverrides = {}, method = 'GET', url = `${PUBLIC_ORIGIN}/`) =>
  client.proof(method, url, { token: bound, ...overrides })
/** A bound token with a proof that does not do. */
const unproved = (name: string, code: RefusalCode, proof: string, more: Partial<Row> = {}): Row => ({
  name: `a proof ${name}`,
  on: 'bound',
  headers: shown(proof),
  status: 401,
  code,
  challenge: 'invalid_dpop_proof',
  events: refusedAt('bind', code),
  ...more,
})
const usedProof = proofFor()
const seconds = NOW / 1000

const PROOF_ROWS: readonly Row[] = [
  {
    name: 'a bound token with its proof',
    on: 'bound',
    headers: shown(usedProof),
    status: 200,
    context: 'direct user-1 / null / orders:read orders:write / null',
    events: ['rules allow null', 'response allow completed 200'],
  },
  unproved('that was used', 'proof_replayed', usedProof),
  unproved('that is none', 'proof_malformed', 'opaque'),
  unproved('of another algorithm', 'proof_algorithm_refused', proofFor({ header: { alg: 'RS256' } })),
  unproved('with a private key', 'proof_key_refused', proofFor({ header: { jwk: { ...client.jwk, d: 'AA' } } })),
  unproved('with the signature of another', 'proof_signature_invalid', proofFor({ key: createDpopClient().key })),
  unproved('for another method', 'proof_method_mismatch', proofFor({}, 'POST')),
  unproved('for another URI', 'proof_target_mismatch', proofFor({}, 'GET', 'https://api.example.test.evil.test/')),
  unproved('for another token', 'proof_token_mismatch', proofFor({ token: valid })),
  unproved('of yesterday', 'proof_expired', proofFor({ claims: { iat: seconds - 86_400 } })),
  unproved('of tomorrow', 'proof_not_yet_valid', proofFor({ claims: { iat: seconds + 86_400 } })),
  unproved('without a nonce', 'proof_nonce_required', proofFor(), { on: 'nonces', challenge: 'use_dpop_nonce' }),
  unproved('of another key', 'sender_mismatch', createDpopClient({ now }).proof('GET', `${PUBLIC_ORIGIN}/`, { token: bound }), {
    challenge: 'invalid_token',
  }),
  {
    name: 'a bound token without a proof',
    on: 'bound',
    headers: [['Authorization', `DPoP ${bound}`]],
    status: 401,
    code: 'proof_missing',
    challenge: 'invalid_dpop_proof',
    events: refusedAt('bind', 'proof_missing'),
  },
  {
    name: 'a bound token as a bearer token',
    on: 'bound',
    token: bound,
    status: 401,
    code: 'sender_mismatch',
    challenge: 'invalid_token',
    events: refusedAt('bind', 'sender_mismatch'),
  },
  invalid('a bearer token where tokens must be bound', 'binding_required', valid, {
    on: 'bound',
    events: refusedAt('bind', 'binding_required'),
  }),
  {
    name: 'a bearer token on a route for bound ones',
    on: 'either',
    path: '/bound',
    token: valid,
    status: 401,
    code: 'binding_required',
    challenge: 'invalid_token',
    events: ['rules allow null', 'requirement refuse binding_required', 'response allow refused 401'],
  },
  {
    name: 'a memory of proofs that is away',
    on: 'forgetful',
    headers: shown(proofFor()),
    status: 503,
    code: 'replay_unavailable',
    retryAfter: '5',
    events: refusedAt('bind', 'replay_unavailable'),
  },
]

const encrypted = await new CompactEncrypt(Buffer.from(valid))
  .setProtectedHeader({ alg: 'ECDH-ES', enc: 'A256GCM', kid: 'enc-1', cty: 'JWT' })
  .encrypt(encryption.publicKey)
const ADMITTED = {
  status: 200,
  context: 'direct user-1 / null / orders:read orders:write / null',
  events: ['rules allow null', 'response allow completed 200'],
} as const

/** What a token is, or what has become of it since it was issued. */
const WORD_ROWS: readonly Row[] = [
  { name: 'a token that was not ended', on: 'revocable', token: valid, ...ADMITTED },
  invalid('a token that was ended', 'token_revoked', token({ jti: 'token-gone' }), {
    on: 'revocable',
    events: refusedAt('verify', 'token_revoked'),
  }),
  {
    name: 'a token of which nobody can say whether it was ended',
    on: 'revocable',
    token: token({ jti: 'token-unsure' }),
    status: 503,
    code: 'revocation_unavailable',
    retryAfter: '5',
    events: refusedAt('verify', 'revocation_unavailable'),
  },
  { name: 'an encrypted token', on: 'encrypted', token: encrypted, ...ADMITTED },
  invalid('a plain token of an issuer that encrypts', 'encryption_required', valid, {
    on: 'encrypted',
    events: refusedAt('verify', 'encryption_required'),
  }),
  invalid('a token that cannot be decrypted', 'decryption_failed', `${encrypted.slice(0, -22)}${'A'.repeat(22)}`, {
    on: 'encrypted',
    events: refusedAt('verify', 'decryption_failed'),
  }),
  { name: 'an opaque token', on: 'asked', token: 'opaque-1', ...ADMITTED },
  invalid('an opaque token that is not active', 'token_inactive', 'opaque-2', {
    on: 'asked',
    events: refusedAt('verify', 'token_inactive'),
  }),
  {
    name: 'an opaque token that nobody can be asked about',
    on: 'unasked',
    token: 'opaque-1',
    status: 503,
    code: 'introspection_unavailable',
    retryAfter: '5',
    events: refusedAt('verify', 'introspection_unavailable'),
  },
]

const ROWS: readonly Row[] = [
  ...PROOF_ROWS,
  ...WORD_ROWS,

  // Admitted
  {
    name: 'a direct call',
    token: valid,
    status: 200,
    context: 'direct user-1 / null / orders:read orders:write / null',
    events: ['rules allow null', 'response allow completed 200'],
  },
  {
    name: 'a direct call that nobody records',
    on: 'plain',
    token: valid,
    status: 200,
    context: 'direct user-1 / null / orders:read orders:write / null',
    events: [],
  },
  {
    name: 'an impersonated call',
    token: impersonated,
    status: 200,
    context: 'impersonation user123 admin / support-looks / openid read / null',
    events: ['rules allow support-looks', 'response allow completed 200'],
  },
  {
    name: 'a reversed impersonation (act_as)',
    token: issuer.tokenOf(fixtures.curity.actAs),
    status: 200,
    context: 'impersonation user123 admin / support-looks / openid read / null',
    events: ['rules allow support-looks', 'response allow completed 200'],
  },
  {
    name: 'a delegated call, narrowed by its rule',
    path: '/orders/17?secret=1',
    token: agentToken,
    status: 200,
    context: 'delegation user-1 agent-7 / agents / orders:read / null',
    events: ['rules allow agents', 'response allow completed 200'],
  },
  {
    name: 'a nested chain',
    path: '/inbox',
    token: token({ act: { ...agent, act: { sub: 'agent-1' } } }),
    status: 200,
    context: 'delegation user-1 agent-7 agent-1 / agents / orders:read orders:write / null',
    events: ['rules allow agents', 'response allow completed 200'],
  },
  {
    name: 'a delegated call whose rule asks somebody',
    token: token({ act: { sub: 'duty-1' } }),
    status: 200,
    context: 'delegation user-1 duty-1 / on-duty / orders:read orders:write / null',
    events: ['rules allow on-duty', 'response allow completed 200'],
  },
  {
    name: 'the subject as its own actor',
    token: token({ act: { sub: 'user-1', iss: issuer.issuer } }),
    status: 200,
    context: 'direct user-1 user-1 / null / orders:read orders:write / null',
    events: ['rules allow null', 'response allow completed 200'],
  },
  {
    name: 'HEAD',
    method: 'HEAD',
    path: '/verified',
    token: valid,
    status: 200,
    events: ['rules allow null', 'response allow completed 200'],
  },
  {
    name: 'a scheme in lower case',
    headers: [['Authorization', `bearer ${valid}`]],
    status: 200,
    context: 'direct user-1 / null / orders:read orders:write / null',
    events: ['rules allow null', 'response allow completed 200'],
  },
  {
    name: 'several spaces after the scheme',
    headers: [['authorization', `BEARER   ${valid}`]],
    status: 200,
    context: 'direct user-1 / null / orders:read orders:write / null',
    events: ['rules allow null', 'response allow completed 200'],
  },
  {
    name: 'a check that holds',
    path: '/checked',
    token: valid,
    headers: [['X-Pass', 'yes']],
    status: 200,
    context: 'direct user-1 / null / orders:read orders:write / null',
    events: ['rules allow null', 'response allow completed 200'],
  },
  {
    name: 'a login that the route asks for',
    path: '/login',
    token: token({ acr: 'silver', auth_time: NOW / 1000 - 60 }),
    status: 200,
    context: 'direct user-1 / null / orders:read orders:write / null',
    events: ['rules allow null', 'response allow completed 200'],
  },
  {
    name: 'a claim that is required',
    path: '/department',
    token: token({ department: 'support' }),
    status: 200,
    context: 'direct user-1 / null / orders:read orders:write / null',
    events: ['rules allow null', 'response allow completed 200'],
  },
  {
    name: 'an unknown route',
    path: '/nowhere',
    token: agentToken,
    status: 404,
    events: ['rules allow agents', 'response allow completed 404'],
  },
  { name: 'an anonymous call where that is allowed', on: 'optional', status: 200, context: 'anonymous', events: [] },
  {
    name: 'a cookie',
    on: 'cookie',
    headers: [['Cookie', `theme=dark; token=${agentToken}`]],
    status: 200,
    context: 'delegation user-1 agent-7 / agents / orders:read / null',
    events: ['rules allow agents', 'response allow completed 200'],
  },
  {
    name: 'a header where a cookie might be',
    on: 'cookie',
    token: valid,
    status: 200,
    context: 'direct user-1 / null / orders:read orders:write / null',
    events: [],
  },
  {
    name: 'a sink that refuses, where calls may go unrecorded',
    on: 'lenient',
    token: agentToken,
    status: 200,
    context: 'delegation user-1 agent-7 / agents / orders:read / null',
    events: [],
  },
  {
    name: 'report mode: no rule fits',
    on: 'report',
    token: token({ act: { sub: 'somebody' } }),
    status: 200,
    context: 'delegation user-1 somebody / null / orders:read orders:write / actor_unauthorized',
    events: ['rules would_refuse actor_unauthorized', 'response would_refuse completed 200'],
  },
  {
    name: 'report mode: a write under a read-only rule',
    on: 'report',
    method: 'POST',
    token: impersonated,
    status: 200,
    context: 'impersonation user123 admin / null / openid profile read write / method_not_delegated',
    events: ['rules would_refuse method_not_delegated', 'response would_refuse completed 200'],
  },
  {
    name: 'report mode: a scope that the rule took away',
    on: 'report',
    path: '/refunds',
    token: agentToken,
    status: 200,
    context: 'delegation user-1 agent-7 / null / orders:read orders:refund profile:read / scope_not_delegated',
    events: ['rules allow agents', 'requirement would_refuse scope_not_delegated', 'response would_refuse completed 200'],
  },

  // 400
  {
    name: 'two Authorization lines',
    raw: `GET / HTTP/1.1\r\nHost: api\r\nAuthorization: Bearer ${valid}\r\nauthorization: Bearer ${valid}\r\nConnection: close\r\n\r\n`,
    status: 400,
    code: 'request_ambiguous',
    challenge: 'invalid_request',
    events: refusedAt('credentials', 'request_ambiguous'),
  },
  {
    name: 'a header and a cookie',
    on: 'cookie',
    token: valid,
    headers: [['Cookie', `token=${valid}`]],
    status: 400,
    code: 'request_ambiguous',
    challenge: 'invalid_request',
    events: [],
  },
  {
    name: 'two tokens joined by a comma',
    headers: [['Authorization', `Bearer ${valid}, Bearer ${valid}`]],
    status: 400,
    code: 'credentials_malformed',
    challenge: 'invalid_request',
    events: refusedAt('credentials', 'credentials_malformed'),
  },
  {
    name: 'an empty field',
    raw: 'GET / HTTP/1.1\r\nHost: api\r\nAuthorization:\r\nConnection: close\r\n\r\n',
    status: 400,
    code: 'credentials_malformed',
    challenge: 'invalid_request',
    events: refusedAt('credentials', 'credentials_malformed'),
  },
  {
    name: 'a scheme alone',
    headers: [['Authorization', 'Bearer']],
    status: 400,
    code: 'credentials_malformed',
    challenge: 'invalid_request',
    events: refusedAt('credentials', 'credentials_malformed'),
  },
  {
    name: 'a tab after the scheme',
    headers: [['Authorization', `Bearer\t${valid}`]],
    status: 400,
    code: 'credentials_malformed',
    challenge: 'invalid_request',
    events: refusedAt('credentials', 'credentials_malformed'),
  },
  {
    name: 'a cookie that is no token',
    on: 'cookie',
    headers: [['Cookie', 'token=a b']],
    status: 400,
    code: 'credentials_malformed',
    challenge: 'invalid_request',
    events: [],
  },
  {
    name: 'an empty field where anonymous calls are allowed',
    on: 'optional',
    raw: 'GET / HTTP/1.1\r\nHost: api\r\nAuthorization: \r\nConnection: close\r\n\r\n',
    status: 400,
    code: 'credentials_malformed',
    challenge: 'invalid_request',
    events: [],
  },

  // 401
  {
    name: 'no credentials',
    status: 401,
    code: 'credentials_missing',
    challenge: null,
    events: refusedAt('credentials', 'credentials_missing'),
  },
  {
    name: 'no credentials on an unknown route',
    method: 'DELETE',
    path: '/nowhere',
    status: 401,
    code: 'credentials_missing',
    challenge: null,
    events: refusedAt('credentials', 'credentials_missing'),
  },
  {
    name: 'no credentials, HEAD',
    method: 'HEAD',
    status: 401,
    code: 'credentials_missing',
    challenge: null,
    events: refusedAt('credentials', 'credentials_missing'),
  },
  {
    name: 'no credentials, an upload',
    method: 'POST',
    body: 'x'.repeat(100_000),
    status: 401,
    code: 'credentials_missing',
    challenge: null,
    events: refusedAt('credentials', 'credentials_missing'),
  },
  {
    name: 'no credentials, a browser',
    headers: [
      ['Accept', 'text/html'],
      ['Accept-Encoding', 'gzip'],
      ['If-None-Match', '*'],
    ],
    status: 401,
    code: 'credentials_missing',
    challenge: null,
    events: refusedAt('credentials', 'credentials_missing'),
  },
  {
    name: 'Basic',
    headers: [['Authorization', 'Basic dXNlcjpwYXNz']],
    status: 401,
    code: 'credentials_missing',
    challenge: null,
    events: refusedAt('credentials', 'credentials_missing'),
  },
  {
    name: 'Basic where anonymous calls are allowed',
    on: 'optional',
    headers: [['Authorization', 'Basic dXNlcjpwYXNz']],
    status: 401,
    code: 'credentials_missing',
    challenge: null,
    events: [],
  },
  {
    name: 'an anonymous call at a guard',
    on: 'optional',
    path: '/verified',
    status: 401,
    code: 'credentials_missing',
    challenge: null,
    events: [],
  },
  {
    name: 'an anonymous call at a guard for delegated calls',
    on: 'optional',
    path: '/inbox',
    status: 401,
    code: 'credentials_missing',
    challenge: null,
    events: [],
  },
  {
    name: 'DPoP',
    headers: [['Authorization', `DPoP ${valid}`]],
    status: 401,
    code: SWITCHED_ON ? 'sender_mismatch' : 'binding_unsupported',
    challenge: 'invalid_token',
    events: SWITCHED_ON ? refusedAt('bind', 'sender_mismatch') : refusedAt('credentials', 'binding_unsupported'),
  },
  invalid('a token bound to a key', 'binding_unsupported', token({ cnf: { jkt: 'x' } }), {
    events: refusedAt('bind', 'binding_unsupported'),
  }),
  invalid('no JWT', NO_JWT, 'opaque'),
  invalid('a header with crit', 'token_malformed', withHeader({ crit: ['b64'] })),
  invalid('a bad token where anonymous calls are allowed', NO_JWT, 'opaque', { on: 'optional', events: [] }),
  invalid('an unknown issuer', 'issuer_unknown', token({ iss: 'https://evil.example.test' })),
  invalid('alg none', 'algorithm_refused', withHeader({ alg: 'none' })),
  invalid('HMAC', 'algorithm_refused', withHeader({ alg: 'HS256' })),
  invalid('an unknown key', 'key_unknown', withHeader({ kid: 'nobody' })),
  invalid("somebody else's signature", 'signature_invalid', issuer.token({ key: stranger })),
  invalid('an ID token', 'token_type_refused', withHeader({ typ: 'JWT' })),
  invalid('no jti', 'claim_missing', token({ jti: undefined })),
  invalid('a sub that is a number', 'claim_invalid', token({ sub: 7 })),
  invalid('another audience', 'audience_mismatch', token({ aud: 'https://other.example.test' })),
  invalid('another client', 'client_refused', token({ client_id: 'client-2' })),
  invalid('an expired token', 'token_expired', token({ exp: NOW / 1000 - 5 })),
  invalid('a token for later', 'token_not_yet_valid', token({ nbf: NOW / 1000 + 6 })),
  invalid('an unreadable actor', 'delegation_malformed', token({ act: 'agent-7' })),
  invalid('an unreadable actor, by the default record', 'delegation_malformed', token({ act: null }), { on: 'plain' }),
  invalid(
    'two ways of delegation',
    'delegation_ambiguous',
    issuer.tokenOf(fixtures.curity.impersonated, claims({ act_as: { sub: 'user9' } })),
  ),
  invalid('a marker of another system', 'delegation_foreign', token({ impersonator: { email: 'a@example.test' } })),
  invalid('no actor where one must be', 'delegation_missing', token({ iss: AGENTS_ISSUER })),
  {
    name: 'a login that is not the one that the route asks for',
    path: '/login',
    token: token({ acr: 'bronze', auth_time: NOW / 1000 }),
    status: 401,
    code: 'step_up_required',
    challenge: 'insufficient_user_authentication',
    events: ['rules allow null', 'requirement refuse step_up_required', 'response allow refused 401'],
  },
  {
    name: 'a login that is too old, and a scope that is missing',
    path: '/login',
    token: token({ acr: 'gold', auth_time: NOW / 1000 - 100, scope: 'profile:read' }),
    status: 401,
    code: 'step_up_required',
    challenge: 'insufficient_user_authentication',
    challengeScope: 'orders:read',
    events: ['rules allow null', 'requirement refuse step_up_required', 'response allow refused 401'],
  },
  {
    name: 'a delegated call where the route asks for a login',
    path: '/login',
    token: token({ act: agent, acr: 'gold', auth_time: NOW / 1000 }),
    status: 403,
    code: 'delegation_forbidden',
    challenge: 'actor_unauthorized',
    events: ['rules allow agents', 'requirement refuse delegation_forbidden', 'response allow refused 403'],
  },

  // 403
  {
    name: 'a scope that the token lacks',
    path: '/refunds',
    token: valid,
    status: 403,
    code: 'scope_insufficient',
    challenge: 'insufficient_scope',
    challengeScope: 'orders:refund orders:read',
    events: ['rules allow null', 'requirement refuse scope_insufficient', 'response allow refused 403'],
  },
  {
    name: 'nobody admits the actor',
    token: token({ act: { sub: 'somebody' } }),
    status: 403,
    code: 'actor_unauthorized',
    challenge: 'actor_unauthorized',
    events: refusedAt('rules', 'actor_unauthorized'),
  },
  {
    name: 'nobody admits the actor, HEAD, by the default record',
    on: 'plain',
    method: 'HEAD',
    token: token({ act: { sub: 'somebody' } }),
    status: 403,
    code: 'actor_unauthorized',
    challenge: 'actor_unauthorized',
    events: refusedAt('rules', 'actor_unauthorized'),
  },
  {
    name: 'the rule says no',
    token: token({ act: { sub: 'off-1' } }),
    status: 403,
    code: 'actor_unauthorized',
    challenge: 'actor_unauthorized',
    events: refusedAt('rules', 'actor_unauthorized'),
  },
  {
    name: 'another actor than the route wants',
    path: '/inbox',
    token: token({ act: { sub: 'duty-1' } }),
    status: 403,
    code: 'actor_unauthorized',
    challenge: 'actor_unauthorized',
    events: ['rules allow on-duty', 'requirement refuse actor_unauthorized', 'response allow refused 403'],
  },
  {
    name: 'a scope that the rule took away',
    path: '/refunds',
    token: agentToken,
    status: 403,
    code: 'scope_not_delegated',
    challenge: 'actor_unauthorized',
    events: ['rules allow agents', 'requirement refuse scope_not_delegated', 'response allow refused 403'],
  },
  {
    name: 'a route for direct calls',
    method: 'POST',
    path: '/password',
    token: agentToken,
    status: 403,
    code: 'delegation_forbidden',
    challenge: 'actor_unauthorized',
    events: ['rules allow agents', 'requirement refuse delegation_forbidden', 'response allow refused 403'],
  },
  {
    name: 'report mode: a route for direct calls',
    on: 'report',
    method: 'POST',
    path: '/password',
    token: token({ act: { sub: 'somebody' } }),
    status: 403,
    code: 'delegation_forbidden',
    challenge: 'actor_unauthorized',
    events: [
      'rules would_refuse actor_unauthorized',
      'requirement refuse delegation_forbidden',
      'response would_refuse refused 403',
    ],
  },
  {
    name: 'report mode: an expired token',
    on: 'report',
    token: token({ act: agent, exp: NOW / 1000 - 5 }),
    status: 401,
    code: 'token_expired',
    challenge: 'invalid_token',
    events: refusedAt('verify', 'token_expired'),
  },
  {
    name: 'a chain that its issuer does not call complete',
    path: '/whole-chain',
    token: token({ act: agent, chain_complete: false }),
    status: 403,
    code: 'chain_incomplete',
    challenge: 'actor_unauthorized',
    events: ['rules allow agents', 'requirement refuse chain_incomplete', 'response allow refused 403'],
  },
  {
    name: 'a route for delegated calls',
    path: '/inbox',
    token: valid,
    status: 403,
    code: 'delegation_required',
    challenge: 'actor_unauthorized',
    events: ['rules allow null', 'requirement refuse delegation_required', 'response allow refused 403'],
  },
  {
    name: 'a chain that is too long for the rule',
    token: token({ act: { ...agent, act: { sub: 'b', act: { sub: 'c' } } } }),
    status: 403,
    code: 'delegation_too_deep',
    challenge: 'actor_unauthorized',
    events: refusedAt('rules', 'delegation_too_deep'),
  },
  {
    name: 'a write under a read-only rule',
    method: 'POST',
    path: '/orders',
    token: impersonated,
    body: '{"id":1}',
    status: 403,
    code: 'method_not_delegated',
    challenge: 'actor_unauthorized',
    events: refusedAt('rules', 'method_not_delegated'),
  },
  {
    name: 'a delegated token that lives too long',
    token: issuer.tokenOf(fixtures.curity.impersonated, claims({ exp: NOW / 1000 + 601 })),
    status: 403,
    code: 'delegation_too_long',
    challenge: 'actor_unauthorized',
    events: refusedAt('rules', 'delegation_too_long'),
  },
  {
    name: 'a claim that the route wants',
    path: '/department',
    token: token({ department: 'legal' }),
    status: 403,
    code: 'requirement_failed',
    events: ['rules allow null', 'requirement refuse requirement_failed', 'response allow refused 403'],
  },
  {
    name: 'an application where the route wants people',
    path: '/people',
    token: token({ sub: 'client-1' }),
    status: 403,
    code: 'requirement_failed',
    events: ['rules allow null', 'requirement refuse requirement_failed', 'response allow refused 403'],
  },
  {
    name: 'a check that does not hold',
    path: '/checked',
    token: valid,
    status: 403,
    code: 'requirement_failed',
    events: ['rules allow null', 'requirement refuse requirement_failed', 'response allow refused 403'],
  },

  // 503
  {
    name: 'a rule that throws',
    token: token({ act: { sub: 'broken-1' } }),
    status: 503,
    code: 'rule_unavailable',
    retryAfter: '5',
    events: refusedAt('rules', 'rule_unavailable'),
  },
  {
    name: 'a check that throws',
    path: '/broken-check',
    token: valid,
    status: 503,
    code: 'rule_unavailable',
    retryAfter: '5',
    events: ['rules allow null', 'requirement refuse rule_unavailable', 'response allow refused 503'],
  },
  {
    name: 'a sink that refuses',
    on: 'deaf',
    token: agentToken,
    status: 503,
    code: 'audit_unavailable',
    retryAfter: '5',
    events: [],
  },
  {
    name: 'a sink that refuses a call nobody records',
    on: 'deaf',
    token: valid,
    status: 200,
    context: 'direct user-1 / null / orders:read orders:write / null',
    events: [],
  },
  {
    name: 'keys that cannot be read',
    on: 'keyless',
    token: valid,
    status: 503,
    code: 'keys_unavailable',
    retryAfter: '5',
    events: refusedAt('verify', 'keys_unavailable'),
  },
  {
    name: 'a list of tenants that is down',
    on: 'tenants',
    token: valid,
    status: 503,
    code: 'issuer_unavailable',
    retryAfter: '5',
    events: refusedAt('verify', 'issuer_unavailable'),
  },
]

type Started = RunningApi & { readonly sink: MemorySink; readonly seal: Seal }
const running = new Map<ConfigName, readonly Started[]>()

beforeAll(async () => {
  endpoint.reply = knows({
    'opaque-1': {
      token_type: 'Bearer',
      sub: 'user-1',
      aud: audience,
      client_id: 'client-1',
      scope: 'orders:read orders:write',
      iat: NOW / 1000,
      exp: NOW / 1000 + 600,
    },
  })
  for (const [name, config] of Object.entries(CONFIGS)) {
    const sinks = new Map<Framework, MemorySink>()
    let seal: Seal = (token) => token
    const started = await startOnAll(
      (framework) => {
        const sink = memorySink()
        if (config.deaf) sink.refuse()
        sinks.set(framework, sink)
        const options = config.options(sink)
        if (options.dpop !== undefined) return options
        const all = withSwitchedOn(options)
        seal = sealFor(all)
        return all
      },
      build(config.optional ?? false, name === 'either'),
    )
    running.set(
      name as ConfigName,
      started.map((each) => ({ ...each, sink: sinks.get(each.framework) ?? memorySink(), seal })),
    )
  }
})

afterAll(async () => {
  await closeAll([...running.values()].flat())
  await issuer.close()
  await endpoint.close()
})

interface Seen {
  readonly answer: Answer
  readonly events: readonly AuditEvent[]
}

/** A signed JWT in a text. */
const SIGNED = /[\w-]{20,}\.[\w-]{20,}\.[\w-]{20,}/g

async function see({ port, sink, seal }: Started, row: Row): Promise<Seen> {
  sink.clear()
  const more = (row.headers ?? []).map(([name, value]) => [name, value.replace(SIGNED, seal)] as const)
  const headers = [...(row.token === undefined ? [] : [bearer(seal(row.token))]), ...more]
  const answer =
    row.raw === undefined ? await ask(port, { ...row, headers }) : parseAnswer(await askRaw(port, row.raw.replace(SIGNED, seal)))
  if (row.events?.some((event) => event.startsWith('response '))) await sink.until((event) => event.type === 'access.outcome')
  return { answer, events: [...sink.events] }
}

/** What may differ between two runs of the same request: ids, which are replaced by their order of appearance. */
function comparable(events: readonly AuditEvent[]): unknown {
  const ids = [...new Set(events.flatMap(({ id, requestId }) => [id, requestId]))]
  return JSON.parse(JSON.stringify(events), (name, value: unknown) =>
    (name === 'id' || name === 'requestId') && ids.includes(String(value)) ? `id-${ids.indexOf(String(value))}` : value,
  )
}

function comparableHeaders({ headers }: Answer): Record<string, string> {
  const { 'x-powered-by': _by, date: _date, connection: _connection, 'keep-alive': _alive, ...rest } = headers
  return rest
}

function summaryOf({ type, stage, decision, reason, rule, result, http }: AuditEvent): string {
  return type === 'access.outcome'
    ? `${stage} ${decision} ${result} ${http.status}`
    : `${stage} ${decision} ${decision === 'allow' ? rule : reason}`
}

function describeContext(context: AuthContext | null): string {
  if (context === null) return 'anonymous'
  const parties = [context.subject, ...context.chain].map(({ id }) => id)
  return [`${context.kind} ${parties.join(' ')}`, context.rule, context.scopes.join(' '), context.wouldRefuse]
    .map(String)
    .join(' / ')
}

describe.each(ROWS)('$name', (row) => {
  const seen: Seen[] = []

  test('is answered and recorded as the table says, on every framework', async () => {
    for (const started of running.get(row.on ?? 'main') ?? []) {
      const one = await see(started, row)
      seen.push(one)
      const { answer, events } = one
      expect(answer.status).toBe(row.status)
      if (row.code !== undefined) expectRefusal(answer, row, row.code)
      if (row.context !== undefined) {
        const body = JSON.parse(answer.body) as { context: AuthContext | null; shown: boolean | null }
        expect(describeContext(body.context)).toBe(row.context)
        expect(body.shown).toBe(body.context === null ? null : true)
      }
      expect(events.map(summaryOf)).toEqual(row.events)
    }
    expect(seen).toHaveLength(4)
  })

  test('is the same on every framework', () => {
    const [first, ...others] = seen
    expect(others).toHaveLength(3)
    for (const other of others) {
      if (row.code !== undefined) {
        expect(comparableHeaders(other.answer)).toEqual(comparableHeaders(first?.answer as Answer))
        expect(other.answer.body).toBe(first?.answer.body)
      }
      if (row.context !== undefined) expect(other.answer.body).toBe(first?.answer.body)
      expect(comparable(other.events)).toEqual(comparable(first?.events ?? []))
    }
  })
})

/** A challenge with an error; what a server offers beside it comes after. */
const CHALLENGE =
  /^(?:Bearer|DPoP) error="([a-z_]+)", error_description="[\x20\x21\x23-\x5b\x5d-\x7e]+"(?:, scope="([^"]*)")?(?:, (?:acr_values|max_age|algs|resource_metadata)="[^"]+")*(?:, DPoP (?:(?:, )?(?:algs|resource_metadata)="[^"]+")+)?$/

function expectRefusal({ headers, body }: Answer, row: Row, code: RefusalCode): void {
  expect(headers['content-type']).toBe('application/problem+json')
  expect(headers['cache-control']).toBe('no-store')
  expect(headers['retry-after']).toBe(row.retryAfter)
  const challenge = headers['www-authenticate']
  if (row.challenge === undefined) expect(challenge).toBeUndefined()
  else if (row.challenge === null)
    expect(challenge).toMatch(SWITCHED_ON ? /^Bearer resource_metadata="[^"]+", DPoP / : /^Bearer$/)
  else {
    const [, error, scope] = CHALLENGE.exec(challenge ?? '') ?? []
    expect({ error, scope }).toEqual({ error: row.challenge, scope: row.challengeScope })
  }
  if (row.method === 'HEAD') {
    expect(body).toBe('')
    expect(Number(headers['content-length'])).toBeGreaterThan(0)
  } else {
    expect(Buffer.byteLength(body)).toBe(Number(headers['content-length']))
    expect(JSON.parse(body)).toMatchObject({ type: 'about:blank', status: row.status, code })
  }
}

test('the table reaches every refusal', () => {
  const reached = new Set(ROWS.map(({ code }) => code))
  expect(REFUSAL_CODES.filter((code) => !reached.has(code))).toEqual([])
})

test('an event says the route by its pattern, and nothing of the path or query', async () => {
  for (const started of running.get('main') ?? []) {
    const { events } = await see(started, {
      name: '',
      path: '/orders/order-4711?q=query-4711',
      token: agentToken,
      status: 200,
      events: ['response '],
    })
    expect(events.at(-1)?.http).toEqual({ method: 'GET', route: '/orders/:id', status: 200, durationMilliseconds: 0 })
    expect(JSON.stringify(events)).not.toContain('4711')
  }
})
