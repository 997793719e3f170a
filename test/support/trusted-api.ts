import type { AuditOptions, DelegationRule, ResourceServerOptions } from '@behalf/core'
import { curity, custom, oauth } from '@behalf/core/issuers'
import {
  createTestIssuer,
  type MemorySink,
  memorySink,
  TEST_AUDIENCE,
  type TestIssuer,
  type TestIssuerOptions,
  type TokenOverrides,
} from '@behalf/testing'
import { type Answer, type Door, type OpenDoor, outcomeOf, type Route } from './request.js'

/** Names under which the test issuer's keys are trusted a second time, with other options. */
export const STRICT = 'https://strict.example.test'
export const NO_AUDIENCE = 'https://no-audience.example.test'
export const CURITY = 'https://curity.example.test/oauth/v2/oauth-anonymous'
export const CURITY_ACT_AS = 'https://curity-act-as.example.test/oauth/v2/oauth-anonymous'
export const LONG_KID = 'https://long-kid.example.test'

/** The longest key id that is accepted. */
export const LONGEST_KID = 'k'.repeat(256)

const ROUTES: readonly Route[] = [
  { method: 'GET', path: '/context', requirement: {} },
  { method: 'GET', path: '/orders', requirement: { scopes: 'orders:read' } },
  { method: 'GET', path: '/refunds', requirement: { scopes: ['orders:refund', 'orders:audit'] } },
  { method: 'POST', path: '/password', requirement: { kind: 'direct' } },
  { method: 'POST', path: '/form', requirement: {} },
  { method: 'GET', path: '/open', authenticate: 'optional' },
  { method: 'GET', path: '/forgotten', authenticate: 'none', requirement: {} },
]

/** An API behind one framework, its issuer, its clock and its records. */
export interface TrustedApi extends Door {
  readonly issuer: TestIssuer
  readonly sink: MemorySink
  /** Seconds since the epoch; settable. */
  nowSeconds: number
  token(overrides?: TokenOverrides): string
  /** A token with more claims. */
  with(claims: NonNullable<TokenOverrides['claims']>): string
  /** Status and code of the answer to a token. */
  outcome(token: string, path?: string): Promise<string>
  answer(token: string, path?: string): Promise<Answer>
}

export interface TrustedApiOptions {
  readonly algorithms?: NonNullable<TestIssuerOptions['algorithms']>
  readonly server?: Partial<ResourceServerOptions>
  readonly audit?: Omit<AuditOptions, 'sinks'>
}

/** Support may read orders for anybody, under every issuer here, however long the history behind it is. */
const RULES: readonly DelegationRule[] = [
  {
    id: 'support',
    kind: ['delegation', 'impersonation'],
    actor: 'any',
    scopes: ['orders:*'],
    exceptScopes: ['orders:refund'],
    maxDepth: 8,
  },
]

const START_SECONDS = 1_790_000_000

/** Opens an API whose keys are configured, so that no test of a token's content waits for a fetch. */
export async function openTrustedApi(open: OpenDoor, options: TrustedApiOptions = {}): Promise<TrustedApi> {
  let nowSeconds = START_SECONDS
  const now = () => nowSeconds * 1000
  const issuer = await createTestIssuer({ algorithms: options.algorithms ?? ['EdDSA'], now })
  const sink = memorySink()
  const jwks = issuer.jwks()
  const audience = TEST_AUDIENCE
  const door = await open(
    {
      issuers: [
        issuer.options({ jwks }),
        oauth({ issuer: STRICT, audience, jwks, actor: { issuer: 'required' }, algorithms: ['EdDSA'] }),
        custom({ issuer: NO_AUDIENCE, audience: null, clientIds: ['client-1'], jwks, tokenTypes: ['JWT', null], actor: null }),
        curity({ issuer: CURITY, audience, jwks }),
        curity({ issuer: CURITY_ACT_AS, audience, jwks, actAs: true }),
        oauth({ issuer: LONG_KID, audience, jwks: { keys: [{ ...issuer.key('EdDSA').jwk, kid: LONGEST_KID }] } }),
      ],
      delegation: RULES,
      audit: { sinks: [sink], ...options.audit },
      now,
      ...options.server,
    },
    ROUTES,
  )
  return {
    url: door.url,
    get ran() {
      return door.ran
    },
    ask: door.ask,
    issuer,
    sink,
    get nowSeconds() {
      return nowSeconds
    },
    set nowSeconds(seconds) {
      nowSeconds = seconds
    },
    token: (overrides) => issuer.token(overrides),
    with: (claims) => issuer.token({ claims }),
    answer: (token, path = '/context') => door.ask(path, { token }),
    async outcome(token, path = '/context') {
      return outcomeOf(await door.ask(path, { token }))
    },
    async close() {
      await door.close()
      await issuer.close()
    },
  }
}
