import { AuthError, type Fetch, type JsonValue, type Limits, type ResourceServerOptions } from '@behalf/core'
import { createResourceServer, type ResourceServer } from '@behalf/core/adapter'
import { oauth } from '@behalf/core/issuers'
import { createSigningKey, type SigningKey, signCompact, TEST_AUDIENCE } from '@behalf/testing'
import { expect, onTestFinished } from 'vitest'
import { configuredLocation, type KeyLocation } from '../../src/keys/discovery.js'
import { RemoteKeySet } from '../../src/keys/remote-key-set.js'
import { DEFAULT_LIMITS } from '../../src/limits.js'

export const START = 1_790_000_000_000
export const ISSUER = 'https://as.example.test'
export const KID = 'key-1'
export const KEY: SigningKey = createSigningKey('EdDSA', { kid: KID })
export const GOOD_SET = { keys: [KEY.jwk] }

/** Longer than any pause after a failure. */
export const PAUSE_OVER = 61_000

/** The time of every server of a test file, in milliseconds since the epoch. Tests put it back to {@link START} before they begin. */
export const clock = {
  time: START,
  now: () => clock.time,
}

let serial = 0
/** A good token, valid for a day; each has its own text, so that none is found in a cache. */
export function tokenOf(
  issuer: string,
  key: SigningKey = KEY,
  header: Readonly<Record<string, string | undefined>> = {},
  more: Readonly<Record<string, JsonValue>> = {},
): string {
  const seconds = Math.floor(START / 1000)
  const claims = {
    iss: issuer,
    aud: TEST_AUDIENCE,
    sub: 'user-1',
    client_id: 'c',
    iat: seconds,
    exp: seconds + 86_400,
    jti: `${serial++}`,
    ...more,
  }
  return signCompact({ alg: key.algorithm, kid: key.kid, typ: 'at+jwt', ...header }, JSON.stringify(claims), key)
}

/** A token of a delegated call. */
export const delegatedOf = (issuer: string, key: SigningKey = KEY): string =>
  tokenOf(issuer, key, {}, { act: { sub: 'support-1' } })

export interface Api {
  readonly server: ResourceServer
  /** `ok`, or the code of the refusal. */
  outcome(token: string): Promise<string>
  error(token: string): Promise<AuthError>
}

/** An API by the tests' clock, closed when its test is through: its timers must not ask the next one's servers. */
export function apiOf(options: ResourceServerOptions): Api {
  const server = createResourceServer({ now: clock.now, ...options })
  onTestFinished(() => server.close())
  const failure = (token: string) =>
    server.verify(token).then(
      () => null,
      (error: unknown) => error,
    )
  return {
    server,
    async outcome(token) {
      const error = await failure(token)
      if (error === null) return 'ok'
      if (error instanceof AuthError) return error.code
      throw error
    },
    async error(token) {
      const error = await failure(token)
      if (error instanceof AuthError) return error
      throw new Error('the token was not refused', { cause: error })
    },
  }
}

/** Options of an issuer whose keys are at a place. */
export const issuerAt = (jwksUri: string, issuer = ISSUER) => oauth({ issuer, audience: TEST_AUDIENCE, jwksUri })

/** Our trouble, and when to come again: never the caller's 401. */
export function assertUnavailable({ code, status, challenge, headers }: AuthError, what = ''): void {
  expect([code, status, challenge], what).toEqual(['keys_unavailable', 503, null])
  const retryAfter = headers['retry-after'] ?? ''
  expect(retryAfter, what).toMatch(/^\d+$/)
  expect(Number(retryAfter), what).toBeGreaterThanOrEqual(5)
  expect(Number(retryAfter), what).toBeLessThanOrEqual(60)
}

export async function expectUnavailable(api: Api, token: string, what = ''): Promise<void> {
  assertUnavailable(await api.error(token), what)
}

/** Lets everything that waits for nothing but promises and finished I/O go on. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve))
}

/** Lets everything go on until something holds, which it must within a bounded number of turns of the event loop. */
export async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  for (let turn = 0; turn < 10_000; turn++) {
    if (await holds()) return
    await new Promise((resolve) => setImmediate(resolve))
  }
  throw new Error('what was waited for did not come')
}

/** A `fetch` over HTTP whose answers are read whole before they are handed on, so that a test can wait until nothing is under way. */
export function watchedFetch(): { readonly fetch: Fetch; idle(): Promise<void> } {
  const underWay = new Set<Promise<unknown>>()
  return {
    fetch(url, init) {
      const answer = globalThis.fetch(url, init).then(async (response) => {
        const body = await response.arrayBuffer()
        return new Response(body.byteLength === 0 ? null : body, { status: response.status, headers: response.headers })
      })
      const ended: Promise<unknown> = answer.catch(() => {}).then(() => underWay.delete(ended))
      underWay.add(ended)
      return answer
    },
    async idle() {
      do {
        await Promise.all(underWay)
        await settle()
      } while (underWay.size > 0)
    },
  }
}

export interface KeySetSettings {
  readonly fetch?: Fetch
  readonly limits?: Partial<Limits>
  readonly random?: () => number
  readonly keepFresh?: boolean
  readonly location?: KeyLocation
}

/** A key set alone, by the tests' clock; its pauses and refreshes fall on the middle of what they can be. */
export function keySetAt(jwksUri: string, settings: KeySetSettings = {}): RemoteKeySet {
  const keys = new RemoteKeySet({
    issuer: ISSUER,
    location: settings.location ?? configuredLocation(jwksUri),
    fetch: settings.fetch ?? globalThis.fetch,
    now: clock.now,
    limits: { ...DEFAULT_LIMITS, ...settings.limits },
    random: settings.random ?? (() => 0.5),
    keepFresh: settings.keepFresh ?? false,
  })
  onTestFinished(() => keys.close())
  return keys
}

/** `ok` or the refusal's code, of whatever a key set answers. */
export async function codeOf(step: () => unknown): Promise<string> {
  try {
    await step()
    return 'ok'
  } catch (error) {
    if (error instanceof AuthError) return error.code
    throw error
  }
}
