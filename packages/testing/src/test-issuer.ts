import { randomUUID } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Algorithm, IssuerOptions, JsonObject, JsonValue, JwkSet } from '@behalf/core'
import { type OAuthOptions, oauth } from '@behalf/core/issuers'
import type { TokenFixture } from './fixtures.js'
import { createKeyPair, createSigningKey, type KeyPair, type SigningKey, signCompact } from './keys.js'

/** Every algorithm that behalf accepts. */
export const TEST_ALGORITHMS: readonly Algorithm[] = [
  ...(['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'] as const),
  ...(['ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519'] as const),
]

/** The audience of test tokens, unless another one is given. */
export const TEST_AUDIENCE = 'https://api.example.test'

/** Options of {@link createTestIssuer}. */
export interface TestIssuerOptions {
  /** Algorithms it has keys for; the first one signs by default. Default: all, `EdDSA` first. RSA keys take a moment to make. */
  readonly algorithms?: readonly Algorithm[]
  /** `aud` of its tokens. Default {@link TEST_AUDIENCE}. */
  readonly audience?: string
  /** Path of the issuer's URL, for issuers that have one. Default: none. */
  readonly path?: string
  /** Port on 127.0.0.1. Default: a free one. */
  readonly port?: number
  /** The clock of its tokens, in milliseconds since the epoch. Default `Date.now`. */
  readonly now?: () => number
}

/** What makes a token differ from a valid one. */
export interface TokenOverrides {
  /** Claims to change or add; `undefined` takes one away. */
  readonly claims?: Readonly<Record<string, JsonValue | undefined>>
  /** Header members to change or add; `undefined` takes one away. */
  readonly header?: Readonly<Record<string, JsonValue | undefined>>
  /** The payload as text, instead of claims. */
  readonly payload?: string
  /** Which of the issuer's keys signs. Default: the first of its `algorithms`. */
  readonly algorithm?: Algorithm
  /** A key of somebody else's. */
  readonly key?: SigningKey
}

/** How an endpoint misbehaves: a status to answer with, or another kind of trouble. */
export type Trouble = number | 'garbage' | 'hang' | 'redirect' | 'reset'

/** An authorization server's public side on a loopback port, for tests. */
export interface TestIssuer {
  /** Its `iss`: a loopback URL. */
  readonly issuer: string
  /** `aud` of its tokens. */
  readonly audience: string
  /** Where its key set is. */
  readonly jwksUri: string
  /** How often each document was asked for. */
  readonly hits: { readonly jwks: number; readonly metadata: number }
  /** Its key set as it is now. */
  jwks(): JwkSet
  /** The key that signs with an algorithm now. */
  key(algorithm?: Algorithm): SigningKey
  /** Options for a resource server that trusts it: `oauth()`, with its keys discovered. */
  options(more?: Partial<OAuthOptions>): IssuerOptions
  /** A token by RFC 9068 that is valid now, unless something is overridden. */
  token(overrides?: TokenOverrides): string
  /** A documented token of a fixture, signed by this issuer; its times are moved so that it is valid now. Its `iss` stays the fixture's. */
  tokenOf(fixture: TokenFixture, overrides?: TokenOverrides): string
  /**
   * Replaces all keys; tokens signed before are orphans once a server has fetched the new set. It does that when a new token
   * comes, but only a few times in a row (`limits.unknownKeyFetches`): give it a clock (`now`) that your test moves.
   */
  rotate(): void
  /** Lets an endpoint fail until {@link TestIssuer.recover}. Default: both, with status 500. */
  fail(trouble?: Trouble, endpoint?: 'jwks' | 'metadata'): void
  /** Delays each answer. */
  delay(milliseconds: number): void
  /** Ends every trouble. */
  recover(): void
  /** Ends the server and every connection to it. */
  close(): Promise<void>
}

/** Lifetime of test tokens, in seconds. */
const LIFETIME_SECONDS = 600

/** Starts a test issuer. Close it when the tests are through. */
export async function createTestIssuer(options: TestIssuerOptions = {}): Promise<TestIssuer> {
  const { audience = TEST_AUDIENCE, path = '', port = 0, now = Date.now } = options
  const algorithms = options.algorithms ?? ['EdDSA', ...TEST_ALGORITHMS.filter((name) => name !== 'EdDSA')]
  const troubles = new Map<'jwks' | 'metadata', Trouble>()
  const hits = { jwks: 0, metadata: 0 }
  let keys = createKeys(algorithms)
  let delayMilliseconds = 0
  let issuer = ''

  const server = createServer((request, response) => {
    const endpoint = request.url === `${path}/jwks` ? 'jwks' : metadataPaths(path).includes(request.url ?? '') ? 'metadata' : null
    if (endpoint === null) {
      response.writeHead(404).end()
      return
    }
    hits[endpoint]++
    const document = endpoint === 'jwks' ? jwks() : { issuer, jwks_uri: `${issuer}/jwks` }
    const timer = setTimeout(() => serve(request, response, document, troubles.get(endpoint)), delayMilliseconds)
    response.once('close', () => clearTimeout(timer))
  })
  const jwks = (): JwkSet => ({ keys: [...keys.values()].map((key) => key.jwk) })
  const key = (algorithm: Algorithm = algorithms[0] ?? 'EdDSA'): SigningKey => {
    const found = keys.get(algorithm)
    if (found === undefined) throw new TypeError(`this test issuer has no key for ${algorithm}`)
    return found
  }
  const sign = (header: JsonObject, claims: JsonObject, overrides: TokenOverrides): string => {
    const signer = overrides.key ?? key(overrides.algorithm)
    const payload = overrides.payload ?? JSON.stringify({ ...claims, ...overrides.claims })
    return signCompact({ alg: signer.algorithm, kid: signer.kid, ...header, ...overrides.header }, payload, signer)
  }

  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, '127.0.0.1', resolve)
  })
  server.unref()
  issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}${path}`

  return {
    issuer,
    audience,
    jwksUri: `${issuer}/jwks`,
    hits,
    jwks,
    key,
    options: (more) => oauth({ issuer, audience, ...more }),
    token(overrides = {}) {
      const seconds = Math.floor(now() / 1000)
      const claims = {
        iss: issuer,
        aud: audience,
        sub: 'user-1',
        client_id: 'client-1',
        scope: 'orders:read orders:write',
        iat: seconds,
        exp: seconds + LIFETIME_SECONDS,
        jti: randomUUID(),
      }
      return sign({ typ: 'at+jwt' }, claims, overrides)
    },
    tokenOf({ header, claims }, overrides = {}) {
      const shift = Math.floor(now() / 1000) - Number(claims['iat'])
      const moved = Object.fromEntries(
        Object.entries(claims).map(([name, value]) => [
          name,
          ['iat', 'nbf', 'exp'].includes(name) ? Number(value) + shift : value,
        ]),
      )
      return sign(header, moved, overrides)
    },
    rotate() {
      keys = createKeys(algorithms)
    },
    fail(trouble = 500, endpoint) {
      for (const each of endpoint === undefined ? (['jwks', 'metadata'] as const) : [endpoint]) troubles.set(each, trouble)
    },
    delay(milliseconds) {
      delayMilliseconds = milliseconds
    },
    recover() {
      troubles.clear()
      delayMilliseconds = 0
    },
    close: () =>
      new Promise((resolve, reject) => {
        server.close((error) => (error ? reject(error) : resolve()))
        server.closeAllConnections()
      }),
  }
}

/** One pair for all of an RSA family: they take long to make. Each algorithm still has a key id of its own. */
function createKeys(algorithms: readonly Algorithm[]): ReadonlyMap<Algorithm, SigningKey> {
  const families = new Map<string, KeyPair>()
  return new Map(
    algorithms.map((algorithm) => {
      const family = algorithm.startsWith('RS') || algorithm.startsWith('PS') ? algorithm.slice(0, 2) : algorithm
      const pair = families.get(family) ?? createKeyPair(algorithm)
      families.set(family, pair)
      return [algorithm, createSigningKey(algorithm, { pair })]
    }),
  )
}

function metadataPaths(path: string): readonly string[] {
  return [`/.well-known/oauth-authorization-server${path}`, `${path}/.well-known/openid-configuration`]
}

function serve(request: IncomingMessage, response: ServerResponse, document: object, trouble: Trouble | undefined): void {
  if (trouble === 'hang') return
  if (trouble === 'reset') {
    request.socket.destroy()
    return
  }
  if (trouble === 'redirect') {
    response.writeHead(302, { location: 'http://127.0.0.1:1/' }).end()
    return
  }
  if (typeof trouble === 'number') {
    response.writeHead(trouble).end()
    return
  }
  response.writeHead(200, { 'content-type': 'application/json' })
  response.end(trouble === 'garbage' ? '<html>' : JSON.stringify(document))
}
