/** A cached token is answered as if it had never been seen. */
import { createPublicKey, type JsonWebKey } from 'node:crypto'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { isDeepStrictEqual } from 'node:util'
import type { AuthContext, DelegationRule, IssuerOptions, JsonObject, JsonValue, Requirement } from '@behalf/core'
import { AuthError, createResourceServer, type ResourceServer } from '@behalf/core/adapter'
import { oauth } from '@behalf/core/issuers'
import { createSigningKey, type MemorySink, memorySink, type SigningKey, signCompact } from '@behalf/testing'
import fc from 'fast-check'
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { verifySignature } from '../packages/core/src/token/signature.js'
import { AUDIENCE, HeldResponse, NOW_SECONDS, requestView, settle } from '../packages/core/test/support/harness.js'
import { type Seal, sealFor } from './support/encryption.js'
import { NO_JWT } from './support/endings.js'
import { FUZZ_FACTOR, FUZZ_SEED, FUZZ_TIMEOUT } from './support/fuzz-settings.js'
import { withSwitchedOn } from './support/switched-on.js'

const A = 'https://a.example'
const B = 'https://b.example'
const STRANGER = 'https://stranger.example'
const ISSUERS = [A, B] as const

/** What each issuer can sign with. `other` is another key under the id of `one`. */
interface Keys {
  readonly one: SigningKey
  readonly two: SigningKey
  readonly other: SigningKey
}
const createKeys = (): Keys => ({
  one: createSigningKey('EdDSA', { kid: 'one' }),
  two: createSigningKey('EdDSA', { kid: 'two' }),
  other: createSigningKey('EdDSA', { kid: 'one' }),
})
const KEYS: Readonly<Record<string, Keys>> = { [A]: createKeys(), [B]: createKeys(), [STRANGER]: createKeys() }

/** What an issuer can show as its key set. */
const PUBLICATIONS: Readonly<Record<string, (keys: Keys) => readonly JsonObject[]>> = {
  both: ({ one, two }) => [one.jwk, two.jwk],
  'one removed': ({ two }) => [two.jwk],
  'two removed': ({ one }) => [one.jwk],
  'one replaced under its id': ({ other, two }) => [other.jwk, two.jwk],
  'one under another id': ({ one, two }) => [{ ...one.jwk, kid: 'three' }, two.jwk],
  'one under two ids': ({ one, two }) => [one.jwk, { ...one.jwk, kid: 'three' }, two.jwk],
  'one for another algorithm': ({ one, two }) => [{ ...one.jwk, alg: 'Ed25519' }, two.jwk],
  'ids swapped': ({ one, two }) => [
    { ...one.jwk, kid: 'two' },
    { ...two.jwk, kid: 'one' },
  ],
  'no usable key': () => [],
}

interface TokenShape {
  readonly iss?: string
  readonly by?: keyof Keys
  readonly claims?: Readonly<Record<string, JsonValue>>
  readonly header?: Readonly<Record<string, JsonValue | undefined>>
  readonly from?: string
}

let serial = 0
function tokenOf({ iss = A, by = 'one', claims = {}, header = {}, from = iss }: TokenShape): string {
  const payload = {
    iss,
    aud: AUDIENCE,
    sub: 'user-1',
    client_id: 'client-1',
    scope: 'orders:read orders:write orders:refund',
    roles: ['buyer'],
    iat: NOW_SECONDS,
    exp: NOW_SECONDS + 86_400,
    jti: `token-${serial++}`,
    ...claims,
  }
  const key = (KEYS[from] as Keys)[by]
  const full = JSON.parse(JSON.stringify({ alg: key.algorithm, kid: key.kid, typ: 'at+jwt', ...header })) as JsonObject
  return signCompact(full, JSON.stringify(payload), key)
}

const act = { sub: 'support-1' }

/** Tokens that are good at first, or can become so. */
const GOOD: readonly string[] = [
  tokenOf({}),
  tokenOf({ by: 'two' }),
  tokenOf({ claims: { act } }),
  tokenOf({ by: 'two', claims: { act: { ...act, sub_profile: 'ai_agent', act: { sub: 'before' } } } }),
  tokenOf({ claims: { act: { sub: 'user-1', iss: A } } }),
  tokenOf({ iss: B }),
  tokenOf({ iss: B, claims: { act } }),
  tokenOf({ header: { kid: undefined } }),
  tokenOf({ claims: { exp: NOW_SECONDS + 90 } }),
  tokenOf({ claims: { act, exp: NOW_SECONDS + 3000 } }),
  tokenOf({ claims: { nbf: NOW_SECONDS + 60 } }),
  tokenOf({ claims: { act: { ...act, act: { sub: 'before' } } } }),
  tokenOf({ by: 'other' }),
  tokenOf({ header: { kid: 'three' } }),
  tokenOf({ by: 'two', header: { kid: 'one' } }),
]

/** The same signature's end with another payload, and with another beginning of the signature. */
function lookAlikes(token: string): readonly string[] {
  const [header = '', payload = '', signature = ''] = token.split('.')
  const claims = JSON.parse(Buffer.from(payload, 'base64url').toString()) as JsonObject
  const other = Buffer.from(JSON.stringify({ ...claims, sub: 'admin' })).toString('base64url')
  const first = signature.startsWith('A') ? 'B' : 'A'
  return [`${header}.${other}.${signature}`, `${header}.${payload}.${first}${signature.slice(1)}`]
}

const BAD: readonly string[] = [
  ...GOOD.slice(0, 3).flatMap(lookAlikes),
  tokenOf({ claims: { aud: 'https://other-api.example' } }),
  tokenOf({ iss: STRANGER }),
  tokenOf({ from: STRANGER }),
  tokenOf({ header: { kid: 'nobody-1' } }),
  tokenOf({ iss: B, header: { kid: 'nobody-2' } }),
  tokenOf({ claims: { cnf: { jkt: 'x' } } }),
  tokenOf({ claims: { act: 'unreadable' } }),
  tokenOf({ header: { typ: 'JWT' } }),
]

const TOKENS = [...GOOD, ...BAD]

/** What two servers share: the clock, the issuers and what the application knows. */
class World {
  now = NOW_SECONDS * 1000
  onDuty = true
  readonly issuers = new Map(
    ISSUERS.map((iss) => [iss as string, { shows: 'both', down: false, cacheControl: null as string | null }]),
  )
  /** The application's own list, for servers that ask it. */
  readonly list = new Map<string, string>(ISSUERS.map((iss) => [iss, 'same']))

  lookUp(iss: string): IssuerOptions | null {
    const entry = this.list.get(iss)
    return entry === undefined ? null : (LISTINGS[entry]?.(iss) ?? null)
  }

  answer(url: string): Response {
    const iss = new URL(url).origin
    const issuer = this.issuers.get(iss)
    if (issuer === undefined) throw new Error(`nobody is at ${url}`)
    if (issuer.down) return new Response(null, { status: 500 })
    const keys = PUBLICATIONS[issuer.shows]?.(KEYS[iss] as Keys)
    return Response.json({ keys }, issuer.cacheControl === null ? {} : { headers: { 'cache-control': issuer.cacheControl } })
  }

  rules(): readonly (readonly DelegationRule[])[] {
    const common = { kind: 'delegation', actor: 'any' } as const
    const when = () => this.onDuty
    return [
      [
        { ...common, id: 'agents', actor: { profile: 'ai_agent' }, scopes: 'all', maxDepth: 2 },
        { ...common, id: 'support', scopes: ['orders:*'], exceptScopes: ['orders:refund'], when },
      ],
      [{ ...common, id: 'only-b', issuer: B, scopes: ['orders:read'], maxLifetimeSeconds: 3600 * 24 }],
    ]
  }

  requirements(): readonly Requirement[] {
    return [
      {},
      { scopes: 'orders:read' },
      { scopes: ['orders:refund'] },
      { anyScope: ['orders:write', 'profile:read'], issuer: A },
      { kind: 'direct' },
      { kind: 'delegation', actor: { profile: 'ai_agent' } },
      { issuer: A, subject: { id: 'user-1' } },
      { claims: { roles: 'buyer' } },
      { check: async () => this.onDuty },
    ]
  }
}

function optionsOf(iss: string, more: Partial<Parameters<typeof oauth>[0]> = {}): IssuerOptions {
  return oauth({ issuer: iss, audience: AUDIENCE, jwksUri: `${iss}/jwks`, ...more })
}

/** How an application's list can change. */
const LISTINGS: Readonly<Record<string, (iss: string) => IssuerOptions | null>> = {
  same: (iss) => optionsOf(iss),
  'taken off': () => null,
  'another audience': (iss) => optionsOf(iss, { audience: 'https://other-api.example' }),
  'both audiences': (iss) => optionsOf(iss, { audience: [AUDIENCE, 'https://other-api.example'] }),
  'other algorithms': (iss) => optionsOf(iss, { algorithms: ['ES256'] }),
  'keys elsewhere': (iss) => optionsOf(iss, { jwksUri: `${iss}/other-jwks` }),
  unreadable: () => {
    throw new Error('the database is down')
  },
}

/** Fetches of all servers, begun and ended. */
const fetches = { begun: 0, ended: 0 }
const countEnded = () => void fetches.ended++

/** Until nothing goes on in the background. */
async function quiet(): Promise<void> {
  do await settle()
  while (fetches.ended < fetches.begun)
  await settle()
}

/** One server over the world. */
interface Side {
  readonly server: ResourceServer
  readonly seal: Seal
  readonly sink: MemorySink
  readonly guards: readonly ReturnType<ResourceServer['guard']>[]
  /** Documents that were fetched. */
  fetches: number
  /** The same, and questions to the application. */
  outside: number
}

type Configured = 'list' | 'function' | 'asynchronous function'

function createSide(world: World, configured: Configured, delegation: readonly DelegationRule[], cache: boolean): Side {
  const sink = memorySink()
  const lookup = (iss: string) => {
    side.outside++
    return world.lookUp(iss)
  }
  const options = withSwitchedOn({
    issuers:
      configured === 'list'
        ? ISSUERS.map((iss) => optionsOf(iss))
        : configured === 'function'
          ? lookup
          : async (iss) => lookup(iss),
    delegation,
    audit: { sinks: [sink], record: 'always' },
    now: () => world.now,
    // A cached token whose key is gone can cost one fetch more, where its keys had to be read before it was looked at again. So the
    // two can have different budgets left for unknown keys, which is no difference in what they answer about known ones.
    limits: { unknownKeyFetches: 1000 },
    fetch: async (url) => {
      side.fetches++
      side.outside++
      fetches.begun++
      return world.answer(url)
    },
    ...(!cache && { cache: false as const }),
  })
  const server = createResourceServer(options)
  const side: Side = {
    server,
    seal: sealFor(options),
    sink,
    guards: world.requirements().map((each) => server.guard(each)),
    fetches: 0,
    outside: 0,
  }
  return side
}

/** Everything that a request comes to. */
interface Answer {
  readonly refusal: JsonObject | null
  readonly context: AuthContext | null
  readonly events: readonly object[]
}

const SLOW = createSigningKey('ES384')
const SLOW_PUBLIC = createPublicKey({ key: SLOW.jwk as JsonWebKey, format: 'jwk' })

/** A proof of nobody's on the thread pool: beside it, a new token is proved there too rather than at once. */
const proveBeside = () => verifySignature('ES384', SLOW_PUBLIC, 'anything', Buffer.alloc(96, 1))

async function ask(side: Side, token: string, requirement: number, beside: boolean): Promise<Answer> {
  const other = beside ? proveBeside() : null
  const key = {}
  const response = new HeldResponse()
  let [refusal, context]: [AuthError | null, AuthContext | null] = [null, null]
  try {
    await side.server.authenticate()({ key, request: requestView(side.seal(token)), response })
    context = side.server.contextOf(key)
    await side.guards[requirement]?.(key)
  } catch (error) {
    if (!(error instanceof AuthError)) throw error
    refusal = error
  }
  response.end(refusal?.status ?? 200)
  await other
  await quiet()
  const events = side.sink.events.map(({ id: _id, requestId: _requestId, ...rest }) => rest)
  side.sink.clear()
  const { code, status, headers } = refusal ?? {}
  return { refusal: refusal === null ? null : ({ code, status, headers } as JsonObject), context, events }
}

type Step =
  | { readonly do: 'ask'; readonly token: number; readonly requirement: number; readonly beside: boolean }
  | { readonly do: 'clock'; readonly seconds: number }
  | { readonly do: 'publish'; readonly issuer: string; readonly what: string }
  | { readonly do: 'down'; readonly issuer: string; readonly down: boolean }
  | { readonly do: 'cache-control'; readonly issuer: string; readonly text: string | null }
  | { readonly do: 'refresh' | 'evict'; readonly issuer: string }
  | { readonly do: 'duty'; readonly on: boolean }
  | { readonly do: 'list'; readonly issuer: string; readonly what: string }

const issuer = fc.constantFrom(...ISSUERS)
const clock = fc.constantFrom(1, 4, 5, 30, 61, 245, 301, 485, 610, 901, 1500, 3601, 7200, -1, -10, -400)

function steps(configured: Configured): fc.Arbitrary<readonly Step[]> {
  const step: fc.Arbitrary<Step> = fc.oneof(
    {
      weight: 12,
      arbitrary: fc.record({
        do: fc.constant('ask' as const),
        beside: fc.boolean(),
        token: fc.oneof(
          { weight: 4, arbitrary: fc.nat(GOOD.length - 1) },
          { weight: 3, arbitrary: fc.nat(3) },
          { weight: 1, arbitrary: fc.nat(TOKENS.length - 1) },
        ),
        requirement: fc.oneof({ weight: 1, arbitrary: fc.constant(0) }, { weight: 2, arbitrary: fc.nat(8) }),
      }),
    },
    { weight: 5, arbitrary: fc.record({ do: fc.constant('clock' as const), seconds: clock }) },
    {
      weight: 4,
      arbitrary: fc.record({ do: fc.constant('publish' as const), issuer, what: fc.constantFrom(...Object.keys(PUBLICATIONS)) }),
    },
    { weight: 2, arbitrary: fc.record({ do: fc.constant('refresh' as const), issuer }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('evict' as const), issuer }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constant('down' as const), issuer, down: fc.boolean() }) },
    {
      weight: 1,
      arbitrary: fc.record({
        do: fc.constant('cache-control' as const),
        issuer,
        text: fc.constantFrom(null, 'max-age=60', 'max-age=3600', 'no-store'),
      }),
    },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('duty' as const), on: fc.boolean() }) },
    {
      weight: configured === 'list' ? 0 : 2,
      arbitrary: fc.record({ do: fc.constant('list' as const), issuer, what: fc.constantFrom(...Object.keys(LISTINGS)) }),
    },
  )
  return fc.array(step, { minLength: 10, maxLength: 50, size: 'max' })
}

/** Changes the world, and what is done by hand to a server. */
async function take(step: Exclude<Step, { do: 'ask' }>, world: World, sides: readonly Side[]): Promise<void> {
  if (step.do === 'clock') world.now += step.seconds * 1000
  else if (step.do === 'duty') world.onDuty = step.on
  else if (step.do === 'evict') for (const { server } of sides) server.keys.evict(step.issuer)
  else if (step.do === 'refresh') {
    const results: unknown[] = []
    for (const { server } of sides) {
      results.push(
        await server.keys.refresh(step.issuer).then(
          () => 'read',
          (error: AuthError) => error.code,
        ),
      )
      await quiet()
    }
    expect(new Set(results).size, `refresh: ${results.join()}`).toBe(1)
  } else if (step.do === 'list') {
    world.list.set(step.issuer, step.what)
  } else {
    const found = world.issuers.get(step.issuer)
    if (found === undefined) throw new Error(`no issuer ${step.issuer}`)
    if (step.do === 'publish') found.shows = step.what
    if (step.do === 'down') found.down = step.down
    if (step.do === 'cache-control') found.cacheControl = step.text
  }
}

describe('cached and uncached', () => {
  beforeAll(() => subscribe('behalf:keys.fetch', countEnded))
  afterAll(() => {
    unsubscribe('behalf:keys.fetch', countEnded)
    vi.useRealTimers()
    vi.restoreAllMocks()
  })
  beforeEach(() => {
    // Refreshes by a timer would come whenever the machine likes; the clock is the world's.
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    vi.spyOn(Math, 'random').mockReturnValue(0.5) // pauses and jitter of both servers
  })

  test.each<[configured: Configured, runs: number]>([
    ['list', 80],
    ['function', 50],
    ['asynchronous function', 30],
  ])(
    '[BEHALF-cached-same] answers are the same for any sequence of tokens, requirements, rules, clock steps and changes of keys: issuers by %s',
    { timeout: FUZZ_TIMEOUT },
    async (configured, runs) => {
      const seen = { asked: 0, admitted: 0, hits: 0, refreshing: 0, codes: new Set<unknown>() }

      await fc.assert(
        fc.asyncProperty(steps(configured), async (script) => {
          const world = new World()
          const pairs = world.rules().map((rules) => ({
            cached: createSide(world, configured, rules, true),
            uncached: createSide(world, configured, rules, false),
            contexts: new Map<string, AuthContext>(),
          }))
          const sides = pairs.flatMap(({ cached, uncached }) => [cached, uncached])
          for (const step of script) {
            if (step.do !== 'ask') {
              await take(step, world, sides)
              continue
            }
            const token = TOKENS[step.token] as string
            for (const { cached, uncached, contexts } of pairs) {
              const before = [cached.outside, uncached.outside]
              let [hot, cold] = [
                await ask(cached, token, step.requirement, step.beside),
                await ask(uncached, token, step.requirement, step.beside),
              ]
              const began = Math.min(cached.outside - (before[0] ?? 0), uncached.outside - (before[1] ?? 0)) > 0
              if (began && (cached.fetches !== uncached.fetches || !isDeepStrictEqual(hot, cold))) {
                // This very call began to read the keys anew, or to ask for the issuer again, and does not wait for it. What comes
                // can come before or after the proof of a new token ends. Asked again at the same time, both agree.
                seen.refreshing++
                hot = await ask(cached, token, step.requirement, step.beside)
                cold = await ask(uncached, token, step.requirement, step.beside)
              }
              if (!isDeepStrictEqual(hot, cold)) expect(hot).toEqual(cold)
              expect(cached.server.keys.state()).toEqual(uncached.server.keys.state())

              seen.asked++
              seen.codes.add(hot.refusal?.['code'] ?? null)
              if (hot.refusal === null) seen.admitted++
              if (hot.context?.kind === 'direct') {
                if (contexts.get(token) === hot.context) seen.hits++
                contexts.set(token, hot.context)
              }
            }
          }
          await Promise.all(sides.map(({ server }) => server.close()))
        }),
        { seed: FUZZ_SEED, numRuns: runs * FUZZ_FACTOR },
      )

      // Otherwise the property would say little.
      expect(seen.admitted).toBeGreaterThan(seen.asked / 10)
      expect(seen.hits).toBeGreaterThan(runs)
      expect(seen.refreshing).toBeLessThan(seen.asked / 100)
      expect([...seen.codes]).toEqual(
        expect.arrayContaining([
          null,
          ...['key_unknown', 'keys_unavailable', 'signature_invalid', 'token_expired', 'actor_unauthorized'],
          ...['scope_not_delegated', 'requirement_failed', 'delegation_forbidden', 'delegation_required'],
          ...(configured === 'list' ? [] : ['issuer_unavailable', 'issuer_unknown', 'audience_mismatch']),
        ]),
      )
    },
  )
})

describe('a cached token', () => {
  const options = (server: Partial<Parameters<typeof createResourceServer>[0]> = {}) => ({
    issuers: [
      oauth({ issuer: A, audience: AUDIENCE, jwks: { keys: [KEYS[A]?.one.jwk as JsonObject, KEYS[A]?.two.jwk as JsonObject] } }),
    ],
    now: () => NOW_SECONDS * 1000,
    ...server,
  })
  const token = GOOD[0] as string
  /** A server, and how it verifies what is shown to it. */
  const open = (more: Parameters<typeof options>[0] = {}) => {
    const all = withSwitchedOn(options(more))
    const [server, seal] = [createResourceServer(all), sealFor(all)]
    return { server, seal, verify: (text: string) => server.verify(seal(text)) }
  }
  const codeOf = ({ server, seal }: { readonly server: ResourceServer; readonly seal: Seal }, text: string) =>
    server.verify(seal(text)).then(
      () => 'ok',
      (error: AuthError) => error.code,
    )

  test('is neither hit nor evicted by forged ones with the same last 43 characters', async () => {
    const server = open({ cache: { maxEntries: 1 } })
    const context = await server.verify(token)
    for (const forged of lookAlikes(token)) {
      expect(forged.slice(-43)).toBe(token.slice(-43))
      for (let times = 0; times < 3; times++) expect(await codeOf(server, forged)).toBe('signature_invalid')
      expect(await server.verify(token)).toBe(context)
    }
    for (const tail of [`x.${token.slice(-43)}`, token.slice(-43), token.slice(1), ` ${token}`, `${token}.`]) {
      expect([NO_JWT, 'token_malformed']).toContain(await codeOf(server, tail))
      expect(await server.verify(token)).toBe(context)
    }
  })

  test('is not pushed out by any number of refused ones: failures are not cached', async () => {
    const server = open({ cache: { maxEntries: 1 } })
    const context = await server.verify(token)
    for (let index = 0; index < 500; index++) {
      const refused = tokenOf(index % 2 === 0 ? { claims: { aud: `https://${index}.example` } } : { from: STRANGER })
      expect(await codeOf(server, refused)).toBe(index % 2 === 0 ? 'audience_mismatch' : 'signature_invalid')
    }
    expect(await server.verify(token)).toBe(context)
    await server.verify(GOOD[1] as string)
    expect(await server.verify(token), 'one good one pushes it out of a cache for one').not.toBe(context)
  })

  test('that was refused once is admitted when its time has come, and refused when it is over', async () => {
    let now = NOW_SECONDS * 1000
    const server = open({ now: () => now, clockToleranceSeconds: 0 })
    const later = tokenOf({ claims: { nbf: NOW_SECONDS + 60, exp: NOW_SECONDS + 120 } })
    for (const [seconds, code] of [
      [59, 'token_not_yet_valid'],
      [60, 'ok'],
      [59, 'token_not_yet_valid'],
      [119, 'ok'],
      [120, 'token_expired'],
      [119, 'ok'],
    ] as const) {
      now = (NOW_SECONDS + seconds) * 1000
      for (const _time of ['first', 'again']) expect(await codeOf(server, later), `after ${seconds} s`).toBe(code)
    }
  })

  test('has a context that no handler can change for the next request', async () => {
    const rules: readonly DelegationRule[] = [{ id: 'any', kind: 'delegation', actor: 'any', scopes: 'all', maxDepth: 8 }]
    const { server, seal } = open({ delegation: rules, audit: 'none' })
    const delegated = tokenOf({
      claims: { act: { ...act, more: { deep: ['x'] } }, may_act: { sub: 'agent' }, address: { city: ['x'] } },
    })
    const contextNow = async (text: string) => {
      const key = {}
      await server.authenticate()({ key, request: requestView(seal(text)), response: new HeldResponse() })
      return server.contextOf(key) as AuthContext
    }
    for (const text of [token, delegated]) {
      const before = structuredClone(await contextNow(text))
      let tried = 0
      /** What a careless or hostile handler does, at every depth. */
      const vandalise = (value: unknown): void => {
        if (typeof value !== 'object' || value === null) return
        for (const member of [...Object.keys(value), '__proto__', 'extra']) {
          expect(Reflect.set(value, member, 'changed') && Object.hasOwn(value, member), member).toBe(false)
          expect(Reflect.defineProperty(value, member, { value: 'changed' }), member).toBe(false)
          tried++
        }
        for (const member of Object.keys(value)) expect(Reflect.deleteProperty(value, member), member).toBe(false)
        expect(Reflect.setPrototypeOf(value, { extra: 'changed' })).toBe(false)
        if (Array.isArray(value)) expect(() => value.push('changed')).toThrow(TypeError)
        for (const inner of Object.values(value)) vandalise(inner)
      }
      vandalise(await contextNow(text))
      expect(tried).toBeGreaterThan(50)
      expect(structuredClone(await contextNow(text))).toEqual(before)
    }
  })

  describe('whose keys changed at the issuer', () => {
    const texts = [token, GOOD[1] as string, tokenOf({ header: { kid: undefined } }), tokenOf({ claims: { act } })]

    /** What a server says of a token under some keys, and after a refresh under others. */
    async function answers(text: string, from: string, to: string, cache: boolean): Promise<readonly string[]> {
      const world = new World()
      const side = createSide(world, 'list', [], cache)
      const show = (shows: string) => world.issuers.set(A, { shows, down: false, cacheControl: null })
      show(from)
      const before = await codeOf(side, text)
      show(to)
      await side.server.keys.refresh(A).catch(() => {})
      const after = await codeOf(side, text)
      await side.server.close()
      return [before, after]
    }

    test.each(Object.keys(PUBLICATIONS))('now %s: it is answered like one that was never seen', async (to) => {
      let accepted = 0
      for (const from of Object.keys(PUBLICATIONS)) {
        for (const text of texts) {
          const cached = await answers(text, from, to, true)
          expect(cached, `from ${from}, token ${texts.indexOf(text)}`).toEqual(await answers(text, from, to, false))
          if (cached[0] === 'ok') accepted++
        }
      }
      expect(accepted).toBeGreaterThan(texts.length * 2)
    })
  })
})
