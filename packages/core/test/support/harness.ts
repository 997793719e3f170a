import type {
  AuthContext,
  DelegatedContext,
  DelegationRule,
  IssuerOptions,
  JsonObject,
  JsonValue,
  RefusalCode,
  RequestView,
  Requirement,
  ResourceServerOptions,
} from '@behalf/core'
import { AuthError, createResourceServer, type ResourceServer, type ResponseView } from '@behalf/core/adapter'
import { type OAuthOptions, oauth } from '@behalf/core/issuers'
import { createSigningKey, type MemorySink, memorySink, type SigningKey, signCompact, type TokenFixture } from '@behalf/testing'

import { type Seal, sealFor } from '../../../../test/support/encryption.js'
import { withSwitchedOn } from '../../../../test/support/switched-on.js'

/** The world's time, in seconds: tokens are issued then, and the server's clock says so. */
export const NOW_SECONDS = 1790000000
export const ISSUER = 'https://as.example.test'
export const OTHER_ISSUER = 'https://other.example.test'
export const AUDIENCE = 'https://api.example.test'

/** One key signs for every issuer of a world: which issuer a token has is said by its `iss` alone. */
export const KEY: SigningKey = createSigningKey('EdDSA', { kid: 'key-1' })
export const JWKS = { keys: [KEY.jwk] }

type Overrides = Readonly<Record<string, JsonValue | undefined>>

/** `oauth()` of the world's issuer. */
export function oauthIssuer(more: Partial<OAuthOptions> = {}): IssuerOptions {
  return oauth({ issuer: ISSUER, audience: AUDIENCE, jwks: JWKS, ...more } as OAuthOptions)
}

/** Two issuers: beside a second one, an id alone names two parties. */
export function twoIssuers(): IssuerOptions[] {
  return [oauthIssuer(), oauthIssuer({ issuer: OTHER_ISSUER })]
}

/** A token by RFC 9068 with overrides; `undefined` takes a claim or header member away. */
export function tokenOf(claims: Overrides = {}, header: Overrides = {}, key: SigningKey = KEY): string {
  const payload = {
    iss: ISSUER,
    aud: AUDIENCE,
    sub: 'user-1',
    client_id: 'client-1',
    scope: 'orders:read orders:write',
    iat: NOW_SECONDS,
    exp: NOW_SECONDS + 600,
    jti: 'token-1',
    ...claims,
  }
  return signed({ typ: 'at+jwt', ...header }, payload, key)
}

/** Exactly these claims, signed. */
export function signed(header: Overrides, claims: Overrides, key: SigningKey = KEY): string {
  const full = { alg: key.algorithm, kid: key.kid, ...header }
  return signCompact(JSON.parse(JSON.stringify(full)) as JsonObject, JSON.stringify(claims), key)
}

/** A vendor's documented token, its times moved to the world's time. */
export function tokenOfFixture({ header, claims }: TokenFixture, overrides: Overrides = {}): string {
  const shift = NOW_SECONDS - Number(claims['iat'])
  const moved = Object.entries(claims).map(([name, value]) =>
    ['iat', 'nbf', 'exp'].includes(name) ? [name, Number(value) + shift] : [name, value],
  )
  return signed(header as Overrides, { ...Object.fromEntries(moved), ...overrides })
}

/** A rule that admits every delegated call, with members of its own. */
export function anyRule(more: Partial<DelegationRule> = {}): DelegationRule {
  return { id: 'any', kind: ['impersonation', 'delegation'], actor: 'any', scopes: 'all', ...more }
}

/** A response in the test's hands. */
export class HeldResponse implements ResponseView {
  status = 200
  ended = false
  readonly #headers = new Map<string, string>()
  #listeners: ((finished: boolean) => void)[] = []

  header(name: string): string | null {
    return this.#headers.get(name) ?? null
  }

  setHeader(name: string, value: string): void {
    this.#headers.set(name, value)
  }

  onEnd(listener: (finished: boolean) => void): void {
    this.#listeners.push(listener)
  }

  /** `finished: false`: the connection closed before the response was handed over whole. */
  end(status = 200, finished = true): void {
    this.status = status
    this.ended = true
    for (const listener of this.#listeners) listener(finished)
    this.#listeners = []
  }
}

export function requestView(token: string | null, more: Partial<RequestView> & { headers?: Record<string, string> } = {}) {
  const { headers = {} } = more
  const view: RequestView = {
    method: 'GET',
    wireMethod: 'GET',
    path: '/orders',
    url: '/orders?q=1',
    route: '/orders',
    authorization: token === null ? [] : [`Bearer ${token}`],
    header: (name) => headers[name] ?? null,
    peer: '127.0.0.1',
    clientCertificate: null,
    raw: null,
  }
  // Not spread: a getter among them is read as late as an adapter's own.
  return Object.defineProperties(view, Object.getOwnPropertyDescriptors(more))
}

/** What came of a request. */
interface Visit {
  readonly key: object
  readonly passage: 'go_on' | 'client_gone' | null
  readonly error: AuthError | null
  /** The refusal's code, `null` where the call was admitted. */
  readonly code: RefusalCode | null
  /** The context as it is now: a guard can relax it in report mode. Throws for a refused request. */
  context(): AuthContext
  delegated(): DelegatedContext
  readonly response: HeldResponse
  /** Asks a guard, with as many arguments as are given; answers the refusal or `null`. */
  guard(...requirement: readonly [] | readonly [requirement: Requirement]): Promise<AuthError | null>
}

export interface World {
  readonly server: ResourceServer
  /** A token as it is shown to this server. */
  readonly seal: Seal
  readonly sink: MemorySink
  /** Milliseconds since the epoch; tests move it. */
  now: number
  /** A request with a token, or with claims of which one is made. */
  call(token: string | Overrides | null, request?: Parameters<typeof requestView>[1], optional?: boolean): Promise<Visit>
}

/** A resource server with the world's issuer, a memory sink and a clock that stands still. */
export function createWorld(options: Partial<ResourceServerOptions> = {}): World {
  const sink = memorySink()
  const all = withSwitchedOn({
    issuers: [oauthIssuer()],
    audit: { sinks: [sink] },
    now: () => world.now,
    ...options,
  })
  const seal = sealFor(all)
  const world: World = {
    now: NOW_SECONDS * 1000,
    sink,
    seal,
    server: createResourceServer(all),
    async call(token, request = {}, optional = false) {
      const compact = token === null || typeof token === 'string' ? token : tokenOf(token)
      const shown = compact === null ? null : seal(compact)
      const key = {}
      const response = new HeldResponse()
      let passage: Visit['passage'] = null
      const error = await refusalOf(async () => {
        passage = await world.server.authenticate({ optional })({ key, request: requestView(shown, request), response })
      })
      return {
        key,
        passage,
        error,
        code: error?.code ?? null,
        context: () => {
          const context = world.server.contextOf(key)
          if (context === null) throw new TypeError('an anonymous request has no context')
          return context
        },
        delegated: () => world.server.delegatedContextOf(key),
        response,
        guard: (...requirement) => refusalOf(() => world.server.guard(...requirement)(key)),
      }
    },
  }
  return world
}

/** The refusal with which a step ended, or `null`. Any other error is the test's failure. */
async function refusalOf(step: () => unknown): Promise<AuthError | null> {
  try {
    await step()
    return null
  } catch (error) {
    if (error instanceof AuthError) return error
    throw error
  }
}

/** Lets everything that waits for nothing but promises and finished I/O go on. */
export function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
