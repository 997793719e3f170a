/** An API on one framework whose callers prove that they hold a key (RFC 9449), and a client that does. */
import type { AuditOptions, ResourceServerOptions } from '@behalf/core'
import type { OAuthOptions } from '@behalf/core/issuers'
import {
  createDpopClient,
  type DpopClient,
  type MemorySink,
  memorySink,
  type ProofOverrides,
  type TestIssuer,
  type TokenOverrides,
} from '@behalf/testing'
import { type Answer, ask, askRaw, parseAnswer } from './http.js'
import { type Application, type Framework, type RunningApi, startApi, type TestServer } from './servers.js'

/** What clients call the API. */
export const ORIGIN = 'https://api.example.com'

/** The time at which clocks begin, in seconds since the epoch. */
export const START_SECONDS = 1_790_000_000

/** Options of a test issuer whose tokens these APIs take. */
export const TEST_ISSUER_OPTIONS = { algorithms: ['EdDSA'], now: () => START_SECONDS * 1000 } as const

/** A request; what is not said is what a good client sends. */
export interface Asked {
  readonly method?: string
  /** With query. Default `/context`. */
  readonly path?: string
  /** Whose key proves. Default: the API's client. */
  readonly client?: DpopClient
  /** Default: a new one, bound to the API's client. */
  readonly token?: string
  /** Default `DPoP`. */
  readonly scheme?: string
  /** Lines of `Authorization`, in place of scheme and token. */
  readonly authorization?: readonly string[]
  /** What makes the proof differ from a good one; or the value of the `DPoP` field; or several lines of it; `null`: none. */
  readonly proof?: ProofOverrides | string | readonly string[] | null
  /** What the proof is made for, in place of what is asked. */
  readonly for?: { readonly method?: string; readonly url?: string }
  readonly headers?: readonly (readonly [name: string, value: string])[]
  /** `Host`. */
  readonly host?: string
  /** The request target as it is written, in place of the path. */
  readonly target?: string
}

export interface DpopApi {
  readonly running: RunningApi
  readonly issuer: TestIssuer
  readonly client: DpopClient
  readonly sink: MemorySink
  /** How often a handler ran. */
  readonly ran: number
  /** Seconds since the epoch; settable. */
  nowSeconds: number
  /** A token that is bound to the client's key; issued a minute ago, so that clocks can be set back a little. */
  token(claims?: NonNullable<TokenOverrides['claims']>): string
  /** A proof of the client's, for `GET /context` with a token. */
  proof(token: string, overrides?: ProofOverrides): string
  ask(asked?: Asked): Promise<Answer>
  /** Status and code of the answer. */
  outcome(asked?: Asked): Promise<string>
  close(): Promise<void>
}

export interface DpopApiOptions {
  readonly server?: Partial<ResourceServerOptions>
  readonly issuer?: Partial<OAuthOptions>
  /** `null`: nothing is said of proofs. */
  readonly dpop?: Partial<NonNullable<ResourceServerOptions['dpop']>> | null
  /** What is recorded. Default `refusals`. */
  readonly record?: NonNullable<AuditOptions['record']>
  /** Builds the application. Default: `authenticate()`, and routes that answer with the context. */
  readonly build?: (app: Application, api: TestServer, framework: Framework, handlerRan: () => void) => void
}

/** Starts an API on a framework. Keys are configured, so that nothing is fetched. */
export async function startDpopApi(framework: Framework, issuer: TestIssuer, options: DpopApiOptions = {}): Promise<DpopApi> {
  let nowSeconds = START_SECONDS
  let ran = 0
  const now = () => nowSeconds * 1000
  const client = createDpopClient({ now })
  const sink = memorySink()
  const { build = contextRoutes } = options
  const running = await startApi(
    framework,
    {
      issuers: [issuer.options({ jwks: issuer.jwks(), dpop: 'allow', ...options.issuer })],
      publicOrigins: ORIGIN,
      ...(options.dpop !== null && { dpop: { replay: 'single-process' as const, ...options.dpop } }),
      audit: { sinks: [sink], record: options.record ?? 'refusals' },
      now,
      ...options.server,
    },
    (app, api) => build(app, api, framework, () => ran++),
  )
  const token: DpopApi['token'] = (claims) => {
    const seconds = Math.floor(nowSeconds)
    return issuer.token({ claims: { iat: seconds - 60, exp: seconds + 600, cnf: { jkt: client.jkt }, ...claims } })
  }

  function linesOf(asked: Asked): readonly (readonly [string, string])[] {
    const { path = '/context', method = 'GET', client: prover = client, scheme = 'DPoP', proof = {}, headers = [] } = asked
    const presented = asked.token ?? token()
    const lines = asked.authorization ?? [`${scheme} ${presented}`]
    const fields =
      proof === null
        ? []
        : typeof proof === 'string'
          ? [proof]
          : isLines(proof)
            ? proof
            : [prover.proof(asked.for?.method ?? method, asked.for?.url ?? ORIGIN + path, { token: presented, ...proof })]
    return [
      ...lines.map((line) => ['Authorization', line] as const),
      ...fields.map((field) => ['DPoP', field] as const),
      ...headers,
    ]
  }

  const api: DpopApi = {
    running,
    issuer,
    client,
    sink,
    get ran() {
      return ran
    },
    get nowSeconds() {
      return nowSeconds
    },
    set nowSeconds(seconds) {
      nowSeconds = seconds
    },
    token,
    proof: (presented, overrides) => client.proof('GET', `${ORIGIN}/context`, { token: presented, ...overrides }),
    async ask(asked = {}) {
      const { method = 'GET', path = '/context', host, target } = asked
      const headers = linesOf(asked)
      if (host === undefined && target === undefined) return ask(running.port, { method, path, headers })
      const all = [['Host', host ?? 'localhost'], ['Connection', 'close'], ...headers]
      const text = [`${method} ${target ?? path} HTTP/1.1`, ...all.map(([name, value]) => `${name}: ${value}`), '', ''].join(
        '\r\n',
      )
      return parseAnswer(await askRaw(running.port, text))
    },
    outcome: async (asked) => outcomeOf(await api.ask(asked)),
    close: () => running.close(),
  }
  return api
}

/** Status, and the code of a refusal. */
export function outcomeOf({ status, headers, body }: Answer): string {
  const isProblem = headers['content-type'] === 'application/problem+json'
  return isProblem && body !== '' ? `${status} ${(JSON.parse(body) as { code: string }).code}` : String(status)
}

function isLines(proof: ProofOverrides | readonly string[]): proof is readonly string[] {
  return Array.isArray(proof)
}

function contextRoutes(app: Application, api: TestServer, framework: Framework, handlerRan: () => void): void {
  const handler = framework.handler((call) => {
    handlerRan()
    call.json(api.contextOf(call.request))
  })
  app.route('GET', '/open', api.authenticate({ optional: true }), handler)
  app.use(api.authenticate())
  for (const method of ['GET', 'POST']) app.route(method, '/context', handler)
  app.route('GET', '/refunds', api.guard({ scopes: 'orders:refund' }), handler)
}
