/** An API on one framework to which a transmitter pushes security events, over real HTTP. */
import { memoryRevocations, type ResourceServerOptions, type RevocationSet } from '@behalf/core'
import type { OAuthOptions } from '@behalf/core/issuers'
import type { TestIssuer, TokenOverrides } from '@behalf/testing'
import { type Answer, type Ask, ask, bearer } from './http.js'
import { createTransmitter, SET_CONTENT_TYPE, type TestTransmitter } from './security-event-transmitter.js'
import { type Application, type Framework, type RunningApi, startApi, type TestServer } from './servers.js'

/** The time at which clocks begin, in seconds since the epoch. */
export const START_SECONDS = 1_790_000_000

/** Options of a test issuer whose tokens these APIs take. */
export const TEST_ISSUER_OPTIONS = { algorithms: ['EdDSA'], now: () => START_SECONDS * 1000 } as const

export const RECEIVER = 'https://api.example.test/security-events'
const PATH = '/security-events'

type Transmitters = NonNullable<ResourceServerOptions['securityEvents']>['transmitters']

export interface SecurityEventApi {
  readonly running: RunningApi
  /** The issuer of tokens is the transmitter too, with another key. */
  readonly transmitter: TestTransmitter
  readonly revocations: RevocationSet
  /** What the application was told of. */
  readonly told: unknown[]
  /** Milliseconds since the epoch; settable. */
  nowMilliseconds: number
  /** A token of a session, issued a minute ago. */
  token(claims?: NonNullable<TokenOverrides['claims']>): string
  /** Status and code of the API's answer to a token. */
  served(token: string): Promise<string>
  push(body: string, more?: Ask): Promise<Answer>
  /** Status and code of the answer to a push. */
  pushed(body: string, more?: Ask): Promise<string>
  close(): Promise<void>
}

export interface SecurityEventApiOptions {
  readonly server?: Partial<ResourceServerOptions>
  readonly issuer?: Partial<OAuthOptions>
  readonly transmitter?: Partial<Transmitters[number]>
  /** A set of the test's own. */
  readonly revocations?: RevocationSet
  /** Middleware before everything else. */
  readonly before?: (app: Application) => void
}

/** Methods with which the receiver is asked; only one of them is a push. */
const METHODS = ['POST', 'GET', 'PUT', 'DELETE', 'PATCH'] as const

export async function startSecurityEventApi(
  framework: Framework,
  issuer: TestIssuer,
  options: SecurityEventApiOptions = {},
): Promise<SecurityEventApi> {
  let nowMilliseconds = START_SECONDS * 1000
  const now = () => nowMilliseconds
  const told: unknown[] = []
  const transmitter = createTransmitter(issuer.issuer, RECEIVER, () => Math.floor(now() / 1000))
  const revocations = options.revocations ?? memoryRevocations({ now })
  const build = (app: Application, api: TestServer) => {
    options.before?.(app)
    for (const method of METHODS) app.route(method, PATH, api.securityEvents())
    app.use(api.authenticate())
    app.route(
      'GET',
      '/',
      framework.handler(({ json }) => json('handled')),
    )
  }
  const running = await startApi(
    framework,
    {
      issuers: [issuer.options({ jwks: issuer.jwks(), claims: { session: 'sid' }, ...options.issuer })],
      revocation: {
        maxTokenLifetimeSeconds: 3600,
        checks: [{ by: ['tokenId', 'sessionId', 'subject'], issuer: issuer.issuer, from: revocations }],
      },
      securityEvents: {
        transmitters: [{ issuer: issuer.issuer, audience: RECEIVER, jwks: transmitter.jwks, ...options.transmitter }],
        onUnprocessed: (event) => void told.push(event),
      },
      now,
      ...options.server,
    },
    build,
  )
  const api: SecurityEventApi = {
    running,
    transmitter,
    revocations,
    told,
    get nowMilliseconds() {
      return nowMilliseconds
    },
    set nowMilliseconds(value) {
      nowMilliseconds = value
    },
    token: (claims) =>
      issuer.token({
        claims: { iat: START_SECONDS - 60, exp: START_SECONDS + 600, jti: 'token-1', sid: 'session-1', ...claims },
      }),
    async served(token) {
      const { status, body } = await ask(running.port, { headers: [bearer(token)] })
      return status === 200 ? '200' : `${status} ${(JSON.parse(body) as { code: string }).code}`
    },
    push: (body, more) =>
      ask(running.port, { method: 'POST', path: PATH, headers: [['Content-Type', SET_CONTENT_TYPE]], body, ...more }),
    async pushed(body, more) {
      const answer = await api.push(body, more)
      return answer.headers['content-type'] === 'application/json'
        ? `${answer.status} ${(JSON.parse(answer.body) as { err: string }).err}`
        : String(answer.status)
    },
    close: async () => {
      await running.close()
      await running.api.close()
    },
  }
  return api
}
