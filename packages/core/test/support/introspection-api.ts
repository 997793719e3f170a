/** One issuer that is asked about tokens, by the tests' clock. */
import { AuthError, type JsonObject, type Limits } from '@behalf/core'
import { createSigningKey, type SigningKey } from '@behalf/testing'
import { afterAll, afterEach, beforeEach, expect } from 'vitest'
import {
  createIntrospectionServer,
  type IntrospectionServer,
  type Reply,
  says,
} from '../../../../test/support/introspection-server.js'
import { resolveIntrospection } from '../../src/introspection/endpoint-introspector.js'
import type { Introspected, IntrospectionEnvironment, Introspector } from '../../src/introspection/introspector.js'
import { StaticKeySet } from '../../src/keys/static-key-set.js'
import { DEFAULT_LIMITS } from '../../src/limits.js'
import { ALGORITHM_NAMES } from '../../src/token/algorithms.js'
import { settle } from './key-apis.js'

export const START = 1_790_000_000_000
export const START_SECONDS = START / 1000
export const ISSUER = 'https://as.example.test'
export const CLIENT_ID = 'api:one'
export const SECRET = 'tops3cret:ä+%&='
export const KEY: SigningKey = createSigningKey('ES256', { kid: 'key-1' })

/** Milliseconds since the epoch. Tests of an {@link endpointForTests} begin at {@link START}. */
export const clock = {
  time: START,
  now: () => clock.time,
}

/** Pauses as long as they can be. */
export const LONGEST = { random: () => 1 }

/** What the honest answer about an active token says, beside `active`. */
export const GOOD: JsonObject = {
  token_type: 'Bearer',
  iss: ISSUER,
  sub: 'user-1',
  aud: 'https://api.example.test',
  client_id: 'client-1',
  scope: 'orders:read',
  exp: START_SECONDS + 3600,
}

/** The honest answer about an active token. */
export const ACTIVE: JsonObject = { active: true, ...GOOD }

const underWay = new Set<Promise<unknown>>()

/** Resolves when every question that was begun, also in the background, has come to its end. */
export async function quiet(server: Pick<IntrospectionServer, 'idle'>): Promise<void> {
  do {
    await settle()
    await Promise.all(underWay)
    await server.idle()
    await settle()
  } while (underWay.size > 0)
}

/**
 * An endpoint for all tests of a file: each begins at {@link START}, with nothing asked yet, and is over when nothing is under way
 * any more.
 * @param reply how it answers at first
 */
export async function endpointForTests(reply: Reply = says({ active: false })): Promise<IntrospectionServer> {
  const server = await createIntrospectionServer()
  beforeEach(() => {
    clock.time = START
    server.reset()
    server.reply = reply
  })
  afterEach(() => quiet(server))
  afterAll(() => server.close())
  return server
}

/** Nothing takes so long, however slow the machine. */
const UNHURRIED = { fetchHeadersMilliseconds: 60_000, fetchTotalMilliseconds: 60_000 }

export interface Asking {
  readonly introspector: Introspector<string>
  /** `ok`, or the code of the refusal. */
  outcome(token: string): Promise<string>
  ask(token: string): Promise<Introspected<string>>
  error(token: string): Promise<AuthError>
  /** What is known and believed, or what is answered to a question. */
  claims(token: string): Promise<JsonObject>
}

type Environment = Partial<Omit<IntrospectionEnvironment, 'limits'>> & { readonly limits?: Partial<Limits> }

/** Options of an endpoint that is asked with a secret. */
function optionsAt(server: Pick<IntrospectionServer, 'endpoint'>, more: object = {}): object {
  return {
    endpoint: server.endpoint,
    clientId: CLIENT_ID,
    authentication: { method: 'client_secret_basic', clientSecret: SECRET },
    ...more,
  }
}

export const hasActor = (claims: JsonObject) => claims['act'] !== undefined

export function environmentOf({ limits, ...more }: Environment = {}): IntrospectionEnvironment {
  const all = { ...DEFAULT_LIMITS, ...UNHURRIED, ...limits }
  return {
    issuer: ISSUER,
    algorithms: new Set(ALGORITHM_NAMES),
    keys: new StaticKeySet({ keys: [KEY.jwk] }, 'jwks', all),
    fetch(url, init) {
      const answer = globalThis.fetch(url, init)
      const ended: Promise<unknown> = answer.catch(() => {}).then(() => underWay.delete(ended))
      underWay.add(ended)
      return answer
    },
    now: clock.now,
    random: () => 0,
    toleranceSeconds: 5,
    actors: { inToken: hasActor, inAnswer: hasActor },
    ...more,
    limits: all,
  }
}

/** @param isGood whether a token that is active is found good here, as its claims would say it */
export function asking(
  server: Pick<IntrospectionServer, 'endpoint'>,
  options: object = {},
  environment: Environment = {},
  isGood: (token: string) => boolean = () => true,
): Asking {
  const introspector = resolveIntrospection<string>(optionsAt(server, options), 'introspection', environmentOf(environment))
  const ask = async (token: string) => {
    const known = introspector.known(token)
    if (known !== undefined) return known
    const answer = await introspector.ask(token)
    if (isGood(token)) introspector.accepted(token, answer, 'what was made of it')
    return answer
  }
  const failure = async (token: string) => {
    try {
      await ask(token)
      return null
    } catch (error) {
      if (error instanceof AuthError) return error
      throw error
    }
  }
  return {
    introspector,
    ask,
    outcome: async (token) => (await failure(token))?.code ?? 'ok',
    async error(token) {
      const error = await failure(token)
      if (error === null) throw new Error('the token was not refused')
      return error
    },
    claims: async (token) => (await ask(token)).claims,
  }
}

/** Our trouble: never accepted, never told as the caller's fault, and when to come again. */
export async function expectTrouble({ error }: Asking, token: string, because?: string): Promise<void> {
  const { code, status, challenge, headers, cause } = await error(token)
  expect([code, status, challenge]).toEqual(['introspection_unavailable', 503, null])
  expect(headers['retry-after']).toMatch(/^\d+$/)
  expect(Number(headers['retry-after'])).toBeGreaterThanOrEqual(5)
  expect(Number(headers['retry-after'])).toBeLessThanOrEqual(60)
  if (because !== undefined) expect((cause as Error).message).toBe(because)
}
