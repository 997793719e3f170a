/** Tokens that were ended before their time: `revocation`, `revoke()`, and who is asked about them. */
import {
  type AuthError,
  memoryRevocations,
  type ResourceServerOptions,
  type Revocation,
  type RevocationCheck,
  type RevocationEntry,
  RevocationError,
  type RevocationQuery,
  type RevocationSet,
} from '@behalf/core'
import { createSigningKey } from '@behalf/testing'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { deferred } from '../../../test/support/deferred.js'
import { FUZZ_FACTOR, FUZZ_SEED } from '../../../test/support/fuzz-settings.js'
import { resolveOptions } from '../src/options.js'
import { joinedEntry, revocationKey } from '../src/revocation/entry.js'
import {
  anyRule,
  createWorld,
  ISSUER,
  JWKS,
  NOW_SECONDS,
  OTHER_ISSUER,
  oauthIssuer,
  settle,
  tokenOf,
  type World,
} from './support/harness.js'
import { rewritten } from './support/rewritten-signature.js'

const EVERY_BASIS = ['tokenId', 'grantId', 'sessionId', 'subject', 'actor', 'subjectAndActor'] as const
const HOUR = 3600

/** An issuer that says grants and sessions. */
function sayingIssuer(issuer = ISSUER) {
  return oauthIssuer({ issuer, claims: { grant: 'grant_id', session: 'sid' } })
}

function revocation(...checks: readonly Partial<RevocationCheck>[]) {
  const asksSets = checks.some(({ from }) => typeof from !== 'function')
  return {
    ...(asksSets && { maxTokenLifetimeSeconds: HOUR }),
    checks: checks.map((check) => ({ by: EVERY_BASIS, issuer: ISSUER, from: memoryRevocations(), ...check })),
  }
}

/** A world whose tokens can be revoked in every way, by a set of this process. */
function revocable(...checks: readonly Partial<RevocationCheck>[]): World {
  return createWorld({
    issuers: [sayingIssuer()],
    delegation: [anyRule({ maxDepth: 8 })],
    revocation: revocation(...(checks.length === 0 ? [{}] : checks)),
  })
}

const CLAIMS = { jti: 'token-1', grant_id: 'grant-1', sid: 'session-1', act: { sub: 'actor-1', act: { sub: 'actor-2' } } }

async function refusal(
  world: World,
  revoked: Revocation,
  claims: Parameters<typeof tokenOf>[0] = CLAIMS,
): Promise<string | null> {
  const token = tokenOf(claims)
  expect((await world.call(token)).code, 'accepted before').toBe(null)
  await world.server.revoke(revoked)
  return (await world.call(token)).code
}

describe('what is revoked', () => {
  test.each<[string, Revocation]>([
    ['the token', { issuer: ISSUER, tokenId: 'token-1' }],
    ['its grant', { issuer: ISSUER, grantId: 'grant-1' }],
    ['its session', { issuer: ISSUER, sessionId: 'session-1' }],
    ['its subject', { issuer: ISSUER, subject: 'user-1' }],
    ['its actor', { issuer: ISSUER, actor: 'actor-1' }],
    ['an actor behind it', { issuer: ISSUER, actor: 'actor-2' }],
    ['its actor for its subject', { issuer: ISSUER, subject: 'user-1', actor: 'actor-1' }],
    ['an actor behind it, for its subject', { issuer: ISSUER, subject: 'user-1', actor: 'actor-2' }],
  ])('[Design-revocation-bases] is refused on the next request, also out of the cache: %s', async (_name, revoked) => {
    expect(await refusal(revocable(), revoked)).toBe('token_revoked')
  })

  test.each<[string, Revocation]>([
    ['another token', { issuer: ISSUER, tokenId: 'token-2' }],
    ['a token by the name of the grant', { issuer: ISSUER, tokenId: 'grant-1' }],
    ['another grant', { issuer: ISSUER, grantId: 'grant-2' }],
    ['a grant by the name of the session', { issuer: ISSUER, grantId: 'session-1' }],
    ['another session', { issuer: ISSUER, sessionId: 'session-2' }],
    ['another subject', { issuer: ISSUER, subject: 'user-2' }],
    ['a subject by the name of the actor', { issuer: ISSUER, subject: 'actor-1' }],
    ['another actor', { issuer: ISSUER, actor: 'actor-3' }],
    ['an actor by the name of the subject', { issuer: ISSUER, actor: 'user-1' }],
    ['the actor for another subject', { issuer: ISSUER, subject: 'user-2', actor: 'actor-1' }],
    ['another actor for the subject', { issuer: ISSUER, subject: 'user-1', actor: 'actor-3' }],
  ])('leaves everything else as it is: %s', async (_name, revoked) => {
    expect(await refusal(revocable(), revoked)).toBe(null)
  })

  test('is revoked at its issuer alone', async () => {
    const world = createWorld({
      issuers: [sayingIssuer(), sayingIssuer(OTHER_ISSUER)],
      revocation: revocation({ issuer: [ISSUER, OTHER_ISSUER] }),
    })
    await world.server.revoke({ issuer: OTHER_ISSUER, subject: 'user-1' })
    expect((await world.call({})).code).toBe(null)
    expect((await world.call({ iss: OTHER_ISSUER })).code).toBe('token_revoked')
  })

  test('is refused as the caller’s 401, with its challenge, and recorded with who called', async () => {
    const world = revocable()
    await world.server.revoke({ issuer: ISSUER, grantId: 'grant-1' })
    const { error } = await world.call(CLAIMS)
    expect([error?.status, error?.challenge]).toEqual([401, expect.stringContaining('error="invalid_token"')])
    expect(world.sink.events).toMatchObject([
      { stage: 'verify', decision: 'refuse', reason: 'token_revoked', subject: { id: 'user-1' }, actor: { id: 'actor-1' } },
    ])
  })

  test('holds for verify() too', async () => {
    const world = revocable()
    const token = tokenOf(CLAIMS)
    await world.server.verify(token)
    await world.server.revoke({ issuer: ISSUER, tokenId: 'token-1' })
    await expect(world.server.verify(token)).rejects.toMatchObject({ code: 'token_revoked' })
  })

  test('a direct call has no actor that could be revoked', async () => {
    const { act: _, ...direct } = CLAIMS
    expect(await refusal(revocable(), { issuer: ISSUER, actor: 'actor-1' }, direct)).toBe(null)
    expect(await refusal(revocable(), { issuer: ISSUER, subject: 'user-1', actor: 'user-1' }, direct)).toBe(null)
  })
})

describe('a token without `jti`', () => {
  test('[Design-revocation-rewritten-signature] stays revoked when its ES256 signature is rewritten', async () => {
    const key = createSigningKey('ES256', { kid: 'es-1' })
    const world = createWorld({
      issuers: [{ issuer: ISSUER, audience: 'https://api.example.test', jwks: { keys: [key.jwk] } }],
      revocation: revocation({ by: 'tokenId' }),
    })
    const token = tokenOf({ jti: undefined }, {}, key)
    const admitted = await world.call(token)
    const twin = rewritten(token)
    expect(twin).not.toBe(token)
    expect([admitted.code, (await world.call(twin)).code]).toEqual([null, null]) // both signatures hold
    await world.server.revoke({ issuer: ISSUER, tokenId: admitted.context().token.id })
    expect([(await world.call(token)).code, (await world.call(twin)).code]).toEqual(['token_revoked', 'token_revoked'])
  })
})

describe('a time', () => {
  const TIMED: readonly Revocation[] = [
    { issuer: ISSUER, sessionId: 'session-1' },
    { issuer: ISSUER, subject: 'user-1' },
    { issuer: ISSUER, actor: 'actor-1' },
    { issuer: ISSUER, subject: 'user-1', actor: 'actor-1' },
  ]

  test.each(TIMED)('[Design-revocation-time] refuses what was issued at or before it, and nothing after: %j', async (revoked) => {
    const world = revocable()
    await world.server.revoke({ ...revoked, at: NOW_SECONDS - 10 } as Revocation)
    for (const [iat, code] of [
      [NOW_SECONDS - 11, 'token_revoked'],
      [NOW_SECONDS - 10, 'token_revoked'],
      [NOW_SECONDS - 9.9, null],
      [NOW_SECONDS - 9, null],
    ] as const) {
      expect((await world.call({ ...CLAIMS, iat, jti: `token-${iat}` })).code, String(iat)).toBe(code)
    }
  })

  test.each(TIMED)('is now and the clock tolerance where none is said: %j', async (revoked) => {
    const world = revocable()
    await world.server.revoke(revoked)
    world.now += 60_000
    expect((await world.call({ ...CLAIMS, iat: NOW_SECONDS + 5, jti: 'a' })).code).toBe('token_revoked')
    expect((await world.call({ ...CLAIMS, iat: NOW_SECONDS + 6, jti: 'b' })).code).toBe(null)
  })

  test('of a later revocation widens an earlier one, and that of an earlier one narrows nothing', async () => {
    const world = revocable()
    await world.server.revoke({ issuer: ISSUER, subject: 'user-1', at: NOW_SECONDS - 10 })
    await world.server.revoke({ issuer: ISSUER, subject: 'user-1', at: NOW_SECONDS - 20 })
    expect((await world.call({ iat: NOW_SECONDS - 10, jti: 'a' })).code).toBe('token_revoked')
    await world.server.revoke({ issuer: ISSUER, subject: 'user-1', at: NOW_SECONDS })
    expect((await world.call({ iat: NOW_SECONDS - 5, jti: 'b' })).code).toBe('token_revoked')
  })
})

test('a revocation up to a time ahead is kept for as long as what is issued until then', async () => {
  const set = new HeldSet()
  await revocable({ from: set }).server.revoke({ issuer: ISSUER, subject: 'user-1', at: NOW_SECONDS + 1000 })
  const [entry] = [...set.entries.values()]
  expect(entry?.keepUntil).toBe((NOW_SECONDS + 1000 + HOUR + 5) * 1000 + 1)
})

test('two revocations of one thing are kept as what both of them say', () => {
  const entry = (issuedUntilSeconds: number | null, keepUntil: number) => ({ key: 'k', issuedUntilSeconds, keepUntil })
  expect(joinedEntry(entry(1, 20), entry(2, 10))).toEqual(entry(2, 20))
  expect(joinedEntry(entry(2, 10), entry(1, 20))).toEqual(entry(2, 20))
  expect(joinedEntry(entry(null, 10), entry(1, 20))).toEqual(entry(null, 20))
  expect(joinedEntry(entry(1, 10), entry(null, 20))).toEqual(entry(null, 20))
})

describe('the longest lifetime', () => {
  test('[Design-revocation-lifetime] refuses tokens that live longer, or do not say since when', async () => {
    const world = createWorld({
      issuers: [{ issuer: ISSUER, audience: 'https://api.example.test', jwks: JWKS }],
      revocation: revocation({ by: 'tokenId' }),
    })
    const living = async (iat: number | undefined, exp: number) => (await world.call({ iat, exp })).code
    expect(await living(NOW_SECONDS, NOW_SECONDS + HOUR)).toBe(null)
    expect(await living(NOW_SECONDS, NOW_SECONDS + HOUR + 1)).toBe('claim_invalid')
    expect(await living(undefined, NOW_SECONDS + 60)).toBe('claim_missing')
  })

  test('is nothing to a function, which keeps what it likes', async () => {
    const asked: unknown[] = []
    const world = createWorld({
      issuers: [{ issuer: ISSUER, audience: 'https://api.example.test', jwks: JWKS }],
      revocation: { checks: [{ by: 'tokenId', issuer: ISSUER, from: ({ issuedAt }) => asked.push(issuedAt) < 0 }] },
    })
    expect((await world.call({ iat: undefined })).code).toBe(null)
    expect((await world.call({ exp: NOW_SECONDS + 100 * HOUR })).code).toBe(null)
    expect(asked).toEqual([null, NOW_SECONDS])
  })

  test('is asked of the issuers alone whose tokens can be revoked', async () => {
    const world = createWorld({
      issuers: [sayingIssuer(), sayingIssuer(OTHER_ISSUER)],
      revocation: revocation({ by: 'tokenId' }),
    })
    expect((await world.call({ iss: OTHER_ISSUER, exp: NOW_SECONDS + 10 * HOUR })).code).toBe(null)
  })

  test.each([0, 5, 300])(
    '[Design-revocation-kept] a revocation is kept for as long as any such token is accepted: tolerance %i',
    async (tolerance) => {
      const set = memoryRevocations({ maxEntries: 1, now: () => world.now })
      const world = createWorld({
        issuers: [sayingIssuer()],
        clockToleranceSeconds: tolerance,
        revocation: revocation({ from: set }),
      })
      // Issued by an issuer whose clock is ahead by all that is tolerated, and accepted for as long as any token can be.
      const token = tokenOf({ iat: NOW_SECONDS + tolerance, exp: NOW_SECONDS + tolerance + HOUR })
      await world.server.revoke({ issuer: ISSUER, tokenId: 'token-1' })
      world.now = (NOW_SECONDS + tolerance + HOUR + tolerance) * 1000 - 1
      await expect(world.server.revoke({ issuer: ISSUER, tokenId: 'another' })).rejects.toMatchObject({ code: 'full' })
      expect((await world.call(token)).code).toBe('token_revoked')
      world.now += 1
      expect((await world.call(token)).code).toBe('token_expired')
      world.now += 1
      await world.server.revoke({ issuer: ISSUER, tokenId: 'another' }) // the first one has made room
    },
  )
})

describe('a revocation up to a time that is over', () => {
  const ended = (tolerance: number) => NOW_SECONDS - HOUR - 2 * tolerance
  const REVOKED = { issuer: ISSUER, subject: 'user-1' }

  test.each([0, 5, 300])('[Design-revocation-kept] takes no room for longer than it matters: tolerance %i', async (tolerance) => {
    const set = new HeldSet()
    const options = { issuers: [sayingIssuer()], clockToleranceSeconds: tolerance, revocation: revocation({ from: set }) }
    const world = createWorld(options)
    const keptFor = async (at: number) => {
      set.entries.clear()
      await world.server.revoke({ ...REVOKED, at })
      const [entry] = set.entries.values()
      return entry === undefined ? null : entry.keepUntil - NOW_SECONDS * 1000
    }
    const always = (HOUR + 2 * tolerance) * 1000 + 1
    expect(await keptFor(0)).toBe(null)
    expect(await keptFor(ended(tolerance) - 0.001)).toBe(null)
    expect(await keptFor(ended(tolerance))).toBe(1)
    expect(await keptFor(NOW_SECONDS - 60)).toBe(always - 60_000)
    expect(await keptFor(NOW_SECONDS)).toBe(always)
    expect(await keptFor(NOW_SECONDS + tolerance)).toBe(always)
  })

  test('ends nothing where nothing is asked by it, however long ago', async () => {
    await expect(revocable({ by: 'tokenId' }).server.revoke({ ...REVOKED, at: 0 })).rejects.toThrow('would end nothing')
  })

  test('[Design-revocation-kept] is kept as if for ever: no token that it is about is served, whenever it comes', async () => {
    const TOLERANCE = 5
    const LIFE = 30
    // Where something ends, or could: around now, and as long before as tokens live and clocks differ.
    const edges = [0, TOLERANCE, -TOLERANCE, -LIFE, -LIFE - TOLERANCE, -LIFE - 2 * TOLERANCE]
    const nearby = fc.integer({ min: -TOLERANCE, max: TOLERANCE })
    const seconds = fc.tuple(fc.constantFrom(...edges), nearby).map(([edge, off]) => edge + off)
    const given = fc.record({
      at: fc.option(seconds),
      /** How far the clock of whoever revokes is ahead. */
      skew: fc.integer({ min: -TOLERANCE, max: TOLERANCE }),
      /** Of tokens: in seconds, and after the time that is revoked. */
      issued: fc.array(
        fc.record({
          iat: fc.oneof(fc.constant(0), nearby),
          life: fc.oneof(fc.constant(LIFE), fc.integer({ min: 1, max: LIFE })),
        }),
        { minLength: 1, maxLength: 4 },
      ),
      /** Milliseconds from one look to the next. */
      steps: fc.array(fc.integer({ min: 1, max: 12_000 }), { minLength: 1, maxLength: 8 }),
    })
    let served = 0
    let refused = 0
    await fc.assert(
      fc.asyncProperty(given, async ({ at, skew, issued, steps }) => {
        const open = (from: RevocationSet) =>
          createWorld({
            issuers: [sayingIssuer()],
            clockToleranceSeconds: TOLERANCE,
            revocation: { maxTokenLifetimeSeconds: LIFE, checks: [{ by: ['subject', 'tokenId'], issuer: ISSUER, from }] },
          })
        // One set forgets as soon as it may, to make room. The other one never does.
        const forgetful = memoryRevocations({ maxEntries: 1, now: () => world.now })
        const world = open(forgetful)
        const forEver = new HeldSet()
        const model = open(forEver)
        const replica = open(forgetful)
        replica.now += skew * 1000
        await replica.server.revoke({ ...REVOKED, ...(at !== null && { at: NOW_SECONDS + at }) })
        const until = NOW_SECONDS + (at ?? skew + TOLERANCE)
        const key = revocationKey('subject', ISSUER, ['user-1'])
        forEver.add({ key, issuedUntilSeconds: until, keepUntil: Number.MAX_SAFE_INTEGER })
        for (const step of [0, ...steps]) {
          world.now += step
          model.now = world.now
          await world.server.revoke({ issuer: ISSUER, tokenId: 'another' }).catch(() => {})
          for (const [index, { iat, life }] of issued.entries()) {
            const claims = { iat: until + iat, exp: until + iat + life, jti: `token-${index}` }
            const { code } = await model.call(claims)
            expect((await world.call(claims)).code, JSON.stringify(claims)).toBe(code)
            if (code === null) served++
            if (code === 'token_revoked') refused++
          }
        }
      }),
      { seed: FUZZ_SEED, numRuns: 150 * FUZZ_FACTOR },
    )
    expect(Math.min(served, refused)).toBeGreaterThan(20)
  })
})

describe('a full set', () => {
  test('[Design-revocation-full] refuses a new revocation, says so, and keeps its word about those it has', async () => {
    const world = revocable({ from: memoryRevocations({ maxEntries: 2, now: () => world.now }) })
    await world.server.revoke({ issuer: ISSUER, tokenId: 'a' })
    await world.server.revoke({ issuer: ISSUER, tokenId: 'b' })
    const failure: unknown = await world.server.revoke({ issuer: ISSUER, tokenId: 'c' }).catch((error: unknown) => error)
    expect(failure).toBeInstanceOf(RevocationError)
    expect(failure).toMatchObject({ code: 'full', message: expect.stringContaining('nothing was revoked') })
    const codes = await Promise.all(['a', 'b', 'c'].map(async (jti) => (await world.call({ jti })).code))
    expect(codes).toEqual(['token_revoked', 'token_revoked', null])
    await world.server.revoke({ issuer: ISSUER, tokenId: 'b' }) // is there already
  })
})

/** A set in the test's hands. */
class HeldSet implements RevocationSet {
  readonly entries = new Map<string, RevocationEntry>()
  version = 0
  behindMilliseconds = 0
  add: RevocationSet['add'] = (entry) => {
    this.entries.set(entry.key, entry)
    this.version++
  }

  find(key: string): RevocationEntry | undefined {
    return this.entries.get(key)
  }

  wholeAt(now: number): number {
    return now - this.behindMilliseconds
  }
}

describe('a set that can be behind', () => {
  test.each([
    [undefined, 1000],
    [30, 30_000],
  ])('[Design-revocation-staleness] serves up to its bound, and then nobody: %s', async (staleSeconds, bound) => {
    const set = new HeldSet()
    const world = revocable({ from: set, ...(staleSeconds !== undefined && { staleSeconds }) })
    for (const [behind, code] of [
      [0, null],
      [bound, null],
      [bound + 1, 'revocation_unavailable'],
      [Number.POSITIVE_INFINITY, 'revocation_unavailable'],
      [Number.NaN, 'revocation_unavailable'],
      [-1, 'revocation_unavailable'], // the clock was set back: how old that is nobody knows
      [0, null],
    ] as const) {
      set.behindMilliseconds = behind
      expect((await world.call({})).code, String(behind)).toBe(code)
    }
  })

  test('is our trouble: 503 with Retry-After, and no challenge', async () => {
    const set = new HeldSet()
    set.behindMilliseconds = 60_000
    const { error } = await revocable({ from: set }).call(CLAIMS)
    expect([error?.status, error?.challenge, error?.headers['retry-after']]).toEqual([503, null, '5'])
  })

  test('is believed in what it says is revoked, however far behind', async () => {
    const set = new HeldSet()
    const world = revocable({ from: set })
    await world.server.revoke({ issuer: ISSUER, subject: 'user-1' })
    set.behindMilliseconds = 60_000
    expect((await world.call({})).code).toBe('token_revoked')
  })

  test('leaves other issuers alone', async () => {
    const set = new HeldSet()
    set.behindMilliseconds = 60_000
    const world = createWorld({ issuers: [sayingIssuer(), sayingIssuer(OTHER_ISSUER)], revocation: revocation({ from: set }) })
    expect([(await world.call({})).code, (await world.call({ iss: OTHER_ISSUER })).code]).toEqual([
      'revocation_unavailable',
      null,
    ])
  })

  test('is waited for by ready(), and its failure is our trouble', async () => {
    const reading = deferred()
    const set = Object.assign(new HeldSet(), { ready: () => reading.promise })
    const world = revocable({ from: set })
    const ready = world.server.ready().catch((error: AuthError) => error.code)
    reading.reject(new Error('secret'))
    expect(await ready).toBe('revocation_unavailable')
  })

  test('is closed with the server, once', async () => {
    let closed = 0
    const set = Object.assign(new HeldSet(), { close: async () => void closed++ })
    const world = revocable({ from: set, by: 'tokenId' }, { from: set, by: 'grantId' })
    await world.server.close()
    expect(closed).toBe(1)
  })
})

describe('a set that is broken', () => {
  const raises = () => raise()
  test.each<[string, Partial<RevocationSet> | { readonly find: unknown }, string]>([
    ['throws where it is looked into', { find: raises }, 'revocation_unavailable'],
    ['throws where it is asked how old it is', { wholeAt: raises }, 'revocation_unavailable'],
    ['answers later', { find: async () => undefined }, 'revocation_unavailable'],
    ['answers null', { find: () => null }, 'revocation_unavailable'],
    ['answers a text', { find: () => 'no' }, 'revocation_unavailable'],
    ['answers an entry without a time', { find: () => ({ key: 'k', keepUntil: 1 }) }, 'token_revoked'],
    [
      'answers an entry with no time',
      { find: () => ({ key: 'k', keepUntil: 1, issuedUntilSeconds: Number.NaN }) },
      'token_revoked',
    ],
  ])('never lets anybody in: it %s', async (_what, broken, code) => {
    const set = Object.assign(new HeldSet(), broken) as RevocationSet
    const visit = await revocable({ from: set }).call(CLAIMS)
    expect([visit.code, visit.error?.cause]).toEqual([code, undefined])
  })

  test('that nothing of a token is looked up in need not be whole', async () => {
    const set = new HeldSet()
    set.behindMilliseconds = 60_000
    const world = revocable({ from: set, by: 'grantId' })
    expect((await world.call({})).code).toBe(null)
    expect((await world.call({ grant_id: 'grant-1' })).code).toBe('revocation_unavailable')
  })

  test('of one process says that it is not whole where its clock was set back behind what it has forgotten', async () => {
    const set = memoryRevocations({ maxEntries: 1, now: () => world.now })
    const world = revocable({ from: set })
    await world.server.revoke({ issuer: ISSUER, tokenId: 'token-1' })
    world.now += 2 * HOUR * 1000
    await world.server.revoke({ issuer: ISSUER, tokenId: 'another' })
    world.now -= 2 * HOUR * 1000
    expect((await world.call({})).code).toBe('revocation_unavailable')
  })
})

describe('several sets', () => {
  test('have to be whole, all of them', async () => {
    const [one, other] = [new HeldSet(), new HeldSet()]
    const world = revocable({ from: one }, { from: other })
    for (const [behind, code] of [
      [[0, 0], null],
      [[60_000, 0], 'revocation_unavailable'],
      [[0, 60_000], 'revocation_unavailable'],
    ] as const) {
      ;[one.behindMilliseconds, other.behindMilliseconds] = behind
      expect((await world.call({})).code).toBe(code)
    }
  })

  test('are all told, and all asked', async () => {
    const [one, other] = [new HeldSet(), new HeldSet()]
    const world = revocable({ from: one, by: ['tokenId', 'grantId'] }, { from: other, by: 'tokenId' })
    await world.server.revoke({ issuer: ISSUER, tokenId: 'token-1' })
    expect([one.entries.size, other.entries.size]).toEqual([1, 1])
    one.entries.clear()
    one.version++
    expect((await world.call({})).code).toBe('token_revoked')
    await world.server.revoke({ issuer: ISSUER, grantId: 'grant-1' })
    expect([one.entries.size, other.entries.size]).toEqual([1, 1])
  })

  test('a set that fails fails the whole, after the others were told', async () => {
    const good = new HeldSet()
    const bad = new HeldSet()
    bad.add = () => Promise.reject(new RevocationError('unavailable'))
    const world = revocable({ from: bad }, { from: good })
    await expect(world.server.revoke({ issuer: ISSUER, tokenId: 'token-1' })).rejects.toMatchObject({ code: 'unavailable' })
    expect((await world.call({})).code).toBe('token_revoked')
  })

  test('a revocation is acknowledged only when every set has it', async () => {
    const slow = new HeldSet()
    const added = deferred()
    slow.add = () => added.promise
    const world = revocable({ from: slow }, { from: new HeldSet() })
    let acknowledged = false
    const revoking = world.server.revoke({ issuer: ISSUER, tokenId: 'token-1' }).then(() => {
      acknowledged = true
    })
    await new Promise((resolve) => setImmediate(resolve))
    expect(acknowledged).toBe(false)
    added.resolve()
    await revoking
    expect(acknowledged).toBe(true)
  })
})

describe('a function', () => {
  test('[Design-revocation-function] is asked on every request, with what names the token on that basis', async () => {
    const asked: RevocationQuery[] = []
    const world = revocable({ from: (query) => asked.push(query) < 0 })
    await world.call(CLAIMS)
    const first = [...asked]
    await world.call(CLAIMS)
    expect(asked).toEqual([...first, ...first])
    const common = { issuer: ISSUER, issuedAt: NOW_SECONDS }
    expect(first).toEqual([
      { by: 'tokenId', tokenId: 'token-1', ...common },
      { by: 'grantId', grantId: 'grant-1', ...common },
      { by: 'sessionId', sessionId: 'session-1', ...common },
      { by: 'subject', subject: 'user-1', ...common },
      { by: 'actor', actor: 'actor-1', ...common },
      { by: 'actor', actor: 'actor-2', ...common },
      { by: 'subjectAndActor', subject: 'user-1', actor: 'actor-1', ...common },
      { by: 'subjectAndActor', subject: 'user-1', actor: 'actor-2', ...common },
    ])
  })

  const ANSWERS: readonly (readonly [string, () => unknown, string | null])[] = [
    ['false', () => false, null],
    ['false later', async () => false, null],
    ['true', () => true, 'token_revoked'],
    ['true later', async () => true, 'token_revoked'],
    ['nothing', () => undefined, 'revocation_unavailable'],
    ['null', () => null, 'revocation_unavailable'],
    ['0', () => 0, 'revocation_unavailable'],
    ['a text', () => 'false', 'revocation_unavailable'],
    ['nothing later', async () => undefined, 'revocation_unavailable'],
    ['an error', () => raise(), 'revocation_unavailable'],
    ['an error later', async () => raise(), 'revocation_unavailable'],
    // biome-ignore lint/suspicious/noThenProperty: a promise of another library
    ['a promise of another library', () => ({ then: (yes: (v: boolean) => void) => yes(false) }), null],
  ]

  test.each(ANSWERS)('lets a call go on only by the word false: %s', async (_name, answer, code) => {
    expect((await revocable({ by: 'tokenId', from: answer as () => boolean }).call({})).code).toBe(code)
  })

  test('that is late is our trouble', async () => {
    const world = createWorld({
      issuers: [sayingIssuer()],
      limits: { hookMilliseconds: 1 },
      revocation: revocation({ by: 'tokenId', from: () => new Promise(() => {}) }),
    })
    expect((await world.call({})).code).toBe('revocation_unavailable')
  })

  test('that fails for one of several actors does not take the process along', async () => {
    const world = revocable({
      by: 'actor',
      from: ({ actor }) => (actor === 'actor-1' ? Promise.reject(new Error('later')) : raise()),
    })
    expect((await world.call(CLAIMS)).code).toBe('revocation_unavailable')
  })

  test('its "not revoked" serves again for as long as was said, and no other answer does', async () => {
    let answer: boolean | undefined = false
    let asked = 0
    const world = revocable({
      by: 'tokenId',
      staleSeconds: 10,
      from: () => {
        asked++
        return answer as boolean
      },
    })
    const call = async () => (await world.call({ iat: NOW_SECONDS - 60 })).code
    expect([await call(), await call(), asked]).toEqual([null, null, 1])
    answer = undefined
    world.now += 9_999
    expect([await call(), asked]).toEqual([null, 1])
    world.now += 1
    expect([await call(), await call(), asked]).toEqual(['revocation_unavailable', 'revocation_unavailable', 3])
    answer = false
    expect([await call(), await call(), asked]).toEqual([null, null, 4])
    world.now -= 60_000 // how old the answer is nobody knows any more
    expect([await call(), asked]).toEqual([null, 5])
    expect((await world.call({ iat: NOW_SECONDS - 60, jti: 'another' })).code).toBe(null)
    expect(asked).toBe(6)
  })

  test('[Design-revocation-staleness] nor is it served any longer because a clock was set back, not so far that it shows', async () => {
    let asked = 0
    const world = revocable({ by: 'tokenId', staleSeconds: 60, from: () => asked++ < 0 })
    const token = tokenOf({})
    const call = async () => (await world.call(token)).code
    expect([await call(), asked]).toEqual([null, 1])
    world.now += 59_000
    expect([await call(), asked]).toEqual([null, 1])
    world.now -= 58_000
    expect([await call(), asked]).toEqual([null, 1])
    world.now += 1_000
    expect([await call(), asked]).toEqual([null, 2])
  })

  test('that knows of one actor, and fails for another, has said enough', async () => {
    for (const other of [() => raise(), async () => raise(), () => new Promise<boolean>(() => {})]) {
      for (const known of [true, Promise.resolve(true)]) {
        const world = revocable({ by: 'actor', from: ({ actor }) => (actor === 'actor-1' ? known : other()) })
        expect((await world.call(CLAIMS)).code).toBe('token_revoked')
      }
    }
  })

  test('its late no does not undo what it has said since', async () => {
    const first = deferred<boolean>()
    const answers = [first.promise, Promise.resolve(true), Promise.resolve(true)]
    let asked = 0
    const world = revocable({ by: 'tokenId', staleSeconds: 60, from: () => answers[asked++] as Promise<boolean> })
    const token = tokenOf({})
    const slow = world.call(token)
    await settle()
    await settle()
    // The same token, remembered or not, is one and the same question's.
    await world.server.verify(token).catch(() => {})
    first.resolve(false)
    await slow
    expect((await world.call(token)).code).toBe('token_revoked')
  })

  test('does not make revoke() believe that something was ended', async () => {
    const world = revocable({ from: () => false })
    await expect(world.server.revoke({ issuer: ISSUER, tokenId: 'a' })).rejects.toMatchObject({ code: 'config_invalid' })
  })
})

function raise(): never {
  throw new Error('a failure of the application')
}

describe('the pipeline', () => {
  test('[Design-revocation-no-step] has no such step where nothing can be revoked', () => {
    const notEnded = (options: Partial<ResourceServerOptions> = {}) =>
      resolveOptions({ issuers: [oauthIssuer()], ...options }).notEnded
    expect(notEnded()).toEqual({ steps: [], judge: null })
    const everything = { issuers: [oauthIssuer({ statusList: true })], revocation: revocation({ by: 'tokenId' }) }
    expect(notEnded(everything).steps).toEqual(['revocation', 'status'])
    expect(notEnded({ revocation: everything.revocation }).steps).toEqual(['revocation'])
    expect(notEnded({ issuers: everything.issuers }).steps).toEqual(['status'])
    expect(notEnded({ issuers: () => null })).toEqual({ steps: [], judge: null })
  })

  test('a set is looked into once, and again only after it has changed', async () => {
    let looked = 0
    const set = new HeldSet()
    const find = set.find.bind(set)
    set.find = (key) => {
      looked++
      return find(key)
    }
    const world = revocable({ from: set, by: ['tokenId', 'subject'] })
    const token = tokenOf({})
    for (let i = 0; i < 5; i++) await world.call(token)
    expect(looked).toBe(2)
    await world.server.revoke({ issuer: ISSUER, tokenId: 'another' })
    for (let i = 0; i < 5; i++) expect((await world.call(token)).code).toBe(null)
    expect(looked).toBe(4)
  })

  test('a malformed session refuses the token: it could be one that was ended', async () => {
    const world = revocable()
    for (const sid of [1, '', null, ['session-1'], 'a\nb'] as const) {
      expect((await world.call({ ...CLAIMS, sid: sid as string })).code).toBe('claim_invalid')
    }
  })

  test('refuses exactly what a model of it refuses', async () => {
    const name = fc.constantFrom('a', 'b', 'c')
    const time = fc.integer({ min: NOW_SECONDS - 5, max: NOW_SECONDS })
    const revoked = fc.oneof(
      fc.record({ tokenId: name }),
      fc.record({ grantId: name }),
      fc.record({ sessionId: name, at: time }),
      fc.record({ subject: name, at: time }),
      fc.record({ actor: name, at: time }),
      fc.record({ subject: name, actor: name, at: time }),
    )
    const token = fc.record({
      jti: name,
      grant_id: name,
      sid: name,
      sub: name,
      iat: time,
      actors: fc.array(name, { maxLength: 3 }),
    })
    await fc.assert(
      fc.asyncProperty(
        fc.array(revoked, { maxLength: 4 }),
        fc.array(token, { minLength: 1, maxLength: 4 }),
        async (list, tokens) => {
          const world = revocable()
          // Every token is remembered before, and asked for once more between the revocations.
          const made = tokens.map(({ actors, ...claims }) => ({
            claims,
            actors,
            text: tokenOf({
              ...claims,
              act: actors.reduceRight<object | undefined>((act, sub) => ({ sub, ...(act && { act }) }), undefined) as never,
            }),
          }))
          for (const { text } of made) expect((await world.call(text)).code).toBe(null)
          for (const [index, each] of list.entries()) {
            await world.server.revoke({ issuer: ISSUER, ...each } as Revocation)
            for (const { text, claims, actors } of made) {
              const expected = list.slice(0, index + 1).some((entry) => revokes(entry, claims, actors))
              expect((await world.call(text)).code).toBe(expected ? 'token_revoked' : null)
            }
          }
        },
      ),
      { numRuns: 60 },
    )
  })
})

interface ModelEntry {
  readonly tokenId?: string
  readonly grantId?: string
  readonly sessionId?: string
  readonly subject?: string
  readonly actor?: string
  readonly at?: number
}

/** What is promised, in the plainest words. */
function revokes(
  entry: ModelEntry,
  token: { readonly jti: string; readonly grant_id: string; readonly sid: string; readonly sub: string; readonly iat: number },
  actors: readonly string[],
): boolean {
  if (entry.at !== undefined && token.iat > entry.at) return false
  return (
    (entry.tokenId ?? token.jti) === token.jti &&
    (entry.grantId ?? token.grant_id) === token.grant_id &&
    (entry.sessionId ?? token.sid) === token.sid &&
    (entry.subject ?? token.sub) === token.sub &&
    (entry.actor === undefined || actors.includes(entry.actor))
  )
}

describe('mistakes', () => {
  const options = (checks: unknown, more: object = {}) => ({
    issuers: [sayingIssuer()],
    revocation: { maxTokenLifetimeSeconds: HOUR, checks, ...more } as never,
  })
  const CHECK = { by: 'tokenId', issuer: ISSUER, from: memoryRevocations() }
  const ISSUER_WORDS = "revocation.checks[0].issuer must be an issuer, a list of them, or 'any'"

  test.each<[string, object, string]>([
    ['no checks', options([]), 'revocation.checks'],
    ['no lifetime', { issuers: [sayingIssuer()], revocation: { checks: [CHECK] } }, 'maxTokenLifetimeSeconds'],
    ['a lifetime of nothing', options([CHECK], { maxTokenLifetimeSeconds: 0 }), 'maxTokenLifetimeSeconds'],
    ['another member', options([CHECK], { store: 1 }), '"store"'],
    [
      'a lifetime that nothing enforces',
      options([{ ...CHECK, from: () => false }]),
      'nothing enforces it: leave it out, or give a check a set, such as memoryRevocations()',
    ],
    [
      'memoryRevocations, not called',
      { issuers: [sayingIssuer()], revocation: { checks: [{ ...CHECK, from: memoryRevocations }] } },
      'revocation.checks[0].from is memoryRevocations itself: call it, memoryRevocations()',
    ],
    ['no issuer', options([{ by: 'tokenId', from: CHECK.from }]), ISSUER_WORDS],
    ['the issuer null', options([{ ...CHECK, issuer: null }]), ISSUER_WORDS],
    ['a list of issuers, one of them a number', options([{ ...CHECK, issuer: [ISSUER, 1] }]), 'checks[0].issuer[1] must be an'],
    ['an empty issuer', options([{ ...CHECK, issuer: '' }]), 'checks[0].issuer must be a non-empty string'],
    ['an empty list of issuers', options([{ ...CHECK, issuer: [] }]), 'checks[0].issuer must be a non-empty list'],
    ['an unknown basis', options([{ ...CHECK, by: 'jti' }]), 'revocation.checks[0].by'],
    ['no basis', options([{ ...CHECK, by: [] }]), 'revocation.checks[0].by'],
    ['an unknown issuer', options([{ ...CHECK, issuer: 'https://nobody.example' }]), 'not configured'],
    ['nobody to ask', options([{ ...CHECK, from: {} }]), 'revocation.checks[0].from'],
    ['null to ask', options([{ ...CHECK, from: null }]), 'revocation.checks[0].from'],
    ['a set that is always behind', options([{ ...CHECK, staleSeconds: 0 }]), 'staleSeconds'],
    ['staleness in words', options([{ ...CHECK, staleSeconds: '1' }]), 'staleSeconds'],
    [
      'a session that no claim says',
      { issuers: [oauthIssuer()], revocation: { maxTokenLifetimeSeconds: HOUR, checks: [{ ...CHECK, by: 'sessionId' }] } },
      'claims.session',
    ],
    [
      'a grant that no claim says, at any issuer',
      {
        issuers: [oauthIssuer()],
        revocation: { maxTokenLifetimeSeconds: HOUR, checks: [{ ...CHECK, by: 'grantId', issuer: 'any' }] },
      },
      'claims.grant',
    ],
  ])('in the options name the option and the mend: %s', (_name, given, named) => {
    expect(() => createWorld(given)).toThrow(
      expect.objectContaining({ name: 'ConfigError', message: expect.stringContaining(named) }),
    )
  })

  const EXACTLY_ONE =
    'revoke() takes exactly one of tokenId, grantId, sessionId, subject, actor, or subject and actor together: call it once for each'

  const NO_NAME = (name: string) =>
    `revoke().${name} names nothing: no token that is accepted says it so. Give it as tokens do: one clean line of at most 1024 characters, without white space around it`

  test.each<[string, object, string]>([
    ['nothing', {}, 'revoke().issuer'],
    ['nobody', { issuer: ISSUER }, 'revoke() needs one of tokenId, grantId,'],
    ['two things', { issuer: ISSUER, tokenId: 'a', grantId: 'b' }, EXACTLY_ONE],
    ['two that could go with the same third', { issuer: ISSUER, sessionId: 'a', subject: 'b' }, EXACTLY_ONE],
    ['three things', { issuer: ISSUER, subject: 'a', actor: 'b', sessionId: 'c' }, EXACTLY_ONE],
    ['a text of nothing', { issuer: ISSUER, tokenId: '' }, 'revoke().tokenId'],
    ['what was not found', { issuer: ISSUER, tokenId: undefined }, 'revoke().tokenId is undefined'],
    ['a subject, its actor undefined', { issuer: ISSUER, subject: 'a', actor: undefined }, 'revoke().actor is undefined'],
    ['a token with a line break', { issuer: ISSUER, tokenId: 'token-1\n' }, NO_NAME('tokenId')],
    ['a grant with a space before it', { issuer: ISSUER, grantId: ' grant-1' }, NO_NAME('grantId')],
    ['a session that is too long', { issuer: ISSUER, sessionId: 's'.repeat(1025) }, NO_NAME('sessionId')],
    ['a subject with what cannot be seen', { issuer: ISSUER, subject: 'user\u200b-1' }, NO_NAME('subject')],
    ['an actor with another space', { issuer: ISSUER, actor: 'actor\u00a01' }, NO_NAME('actor')],
    ['a subject of an actor, with a space after it', { issuer: ISSUER, subject: 'a ', actor: 'b' }, NO_NAME('subject')],
    ['an actor of a subject, with a NUL', { issuer: ISSUER, subject: 'a', actor: 'b\0' }, NO_NAME('actor')],
    ['a subject that is a number', { issuer: ISSUER, subject: 1 }, 'revoke().subject must be a non-empty string'],
    ['a time for a token', { issuer: ISSUER, tokenId: 'a', at: 1 }, 'revoke().at'],
    ['a time in milliseconds', { issuer: ISSUER, subject: 'a', at: NOW_SECONDS * 1000 }, 'seconds'],
    ['no time', { issuer: ISSUER, subject: 'a', at: Number.NaN }, 'seconds'],
    ['a date', { issuer: ISSUER, subject: 'a', at: new Date() }, 'seconds'],
    ['an issuer that is not configured', { issuer: OTHER_ISSUER, subject: 'a' }, 'not configured'],
    ['a word too many', { issuer: ISSUER, subject: 'a', reason: 'b' }, '"reason"'],
  ])('in revoke() end nothing, and say so: %s', async (_name, given, named) => {
    const failure: unknown = await revocable()
      .server.revoke(given as Revocation)
      .catch((error: unknown) => error)
    expect(failure).toMatchObject({ name: 'ConfigError', message: expect.stringContaining(named) })
  })

  describe('a name', () => {
    const CLAIM_OF = { tokenId: 'jti', grantId: 'grant_id', sessionId: 'sid', subject: 'sub', actor: 'sub' } as const
    const odd = fc.constantFrom(' ', '\n', '\0', '\u00a0', '\u00ad', '\u200b', '\u2028', '\ud800', '\ufeff', 'é', '界', '"', 'a')
    const names = fc.oneof(fc.string(), fc.string({ unit: 'grapheme' }), fc.string({ unit: odd, maxLength: 12 }))

    test.each(Object.entries(CLAIM_OF))(
      '[Design-revocation-bases] is taken exactly where a token can be admitted with it: %s',
      async (name, claim) => {
        const seen = new Set<unknown>()
        await fc.assert(
          fc.asyncProperty(names, async (value) => {
            const world = createWorld({
              issuers: [sayingIssuer()],
              delegation: [anyRule()],
              limits: { identifierCharacters: 30 },
              revocation: revocation({}),
            })
            const own = { jti: 't', sub: 's', client_id: 'c' }
            const token = tokenOf({ ...own, ...(name === 'actor' ? { act: { sub: value } } : { [claim]: value }) })
            const { code } = await world.call(token)
            seen.add(code)
            const revoking = world.server.revoke({ issuer: ISSUER, [name]: value } as never)
            if (code === null) {
              await revoking
              expect((await world.call(token)).code).toBe('token_revoked')
            } else {
              await expect(revoking).rejects.toMatchObject({ name: 'ConfigError' })
            }
          }),
          { seed: FUZZ_SEED, numRuns: 200 * FUZZ_FACTOR },
        )
        expect([seen.has(null), seen.size > 1]).toEqual([true, true])
      },
    )

    test('that was made for a token without `jti` is taken, however short identifiers have to be', async () => {
      const world = createWorld({
        issuers: [{ issuer: ISSUER, audience: 'api', jwks: JWKS }],
        limits: { identifierCharacters: 30 },
        revocation: revocation({ by: 'tokenId' }),
      })
      const token = tokenOf({ jti: undefined, client_id: 'c', aud: 'api' })
      const tokenId = (await world.call(token)).context().token.id
      await world.server.revoke({ issuer: ISSUER, tokenId })
      expect((await world.call(token)).code).toBe('token_revoked')
      for (const given of [`${tokenId}A`, `md5:${tokenId}`, `${tokenId.slice(0, -1)}.`]) {
        await expect(world.server.revoke({ issuer: ISSUER, tokenId: given })).rejects.toThrow('names nothing')
      }
    })

    test('that is wrong is not repeated', async () => {
      const failure: unknown = await revocable()
        .server.revoke({ issuer: ISSUER, subject: 'cnry\n' })
        .catch((error: unknown) => error)
      expect(String(failure)).not.toContain('cnry')
    })
  })

  test('an issuer that is not configured is none, also where checks are for any', async () => {
    const world = revocable({ issuer: 'any' })
    await expect(world.server.revoke({ issuer: `${ISSUER}/`, subject: 'a' })).rejects.toThrow('not configured')
  })

  test('an issuer that is not asked about ends nothing, and says so', async () => {
    const world = createWorld({ issuers: [sayingIssuer(), sayingIssuer(OTHER_ISSUER)], revocation: revocation({}) })
    await expect(world.server.revoke({ issuer: OTHER_ISSUER, subject: 'a' })).rejects.toThrow('would end nothing')
  })

  test('one set under two lifetimes would forget what the longer one needs', () => {
    const set = memoryRevocations()
    const options = (seconds: number) => ({
      issuers: [sayingIssuer()],
      revocation: { maxTokenLifetimeSeconds: seconds, checks: [{ by: 'tokenId' as const, issuer: ISSUER, from: set }] },
    })
    createWorld(options(60))
    createWorld(options(60))
    const message =
      'a set of revocations is shared by servers with maxTokenLifetimeSeconds of 60 and 61: give them one, or a set each'
    expect(() => createWorld(options(61))).toThrow(expect.objectContaining({ name: 'ConfigError', message }))
  })

  test('[Design-revocation-kept] so it would under two clock tolerances: what the stricter server revokes would come back', () => {
    const set = memoryRevocations()
    const options = (clockToleranceSeconds?: number) => ({
      issuers: [sayingIssuer()],
      ...(clockToleranceSeconds !== undefined && { clockToleranceSeconds }),
      revocation: revocation({ by: 'tokenId', from: set }),
    })
    createWorld(options())
    createWorld(options(5))
    for (const [tolerance, said] of [
      [0, '5 and 0'],
      [300, '5 and 300'],
    ] as const) {
      const message = `a set of revocations is shared by servers with clockToleranceSeconds of ${said}: give them one, or a set each`
      expect(() => createWorld(options(tolerance))).toThrow(expect.objectContaining({ name: 'ConfigError', message }))
    }
  })

  test('security events that could end nothing are one, whoever they are about', () => {
    const securityEvents = { transmitters: [{ issuer: ISSUER, audience: 'us', jwks: JWKS }] }
    const world = (...checks: readonly Partial<RevocationCheck>[]) =>
      createWorld({ issuers: [sayingIssuer()], securityEvents, revocation: revocation(...checks) })
    const message = `securityEvents would end nothing: no set is asked by sessionId or subject for "${ISSUER}". Add one of them to by of a check in revocation.checks, with a set to keep it`
    const mistake = expect.objectContaining({ name: 'ConfigError', message })
    expect(() => createWorld({ issuers: [sayingIssuer()], securityEvents })).toThrow(mistake)
    expect(() => world({ from: () => false })).toThrow(mistake)
    expect(() => world({ by: ['tokenId', 'grantId', 'actor'] })).toThrow(mistake)
    expect(() => world({ by: 'subject' })).not.toThrow()
    expect(() => world({ by: 'sessionId' })).not.toThrow()
  })

  test('a basis that nothing is asked by ends nothing, and says so', async () => {
    const world = revocable({ by: 'tokenId' })
    await expect(world.server.revoke({ issuer: ISSUER, grantId: 'a' })).rejects.toThrow(
      `revoke() by grantId would end nothing: no set is asked by it for "${ISSUER}". Add grantId to by of a check in revocation.checks`,
    )
  })

  test('revoke() without the option names it', async () => {
    await expect(createWorld().server.revoke({ issuer: ISSUER, tokenId: 'a' })).rejects.toThrow('needs the option revocation')
  })
})

describe('issuers as a function', () => {
  test('are all meant by the word any', async () => {
    const world = createWorld({
      issuers: (iss) => (iss === ISSUER ? sayingIssuer() : null),
      revocation: revocation({ issuer: 'any' }),
    })
    expect(await refusal(world, { issuer: ISSUER, grantId: 'grant-1' }, { grant_id: 'grant-1' })).toBe('token_revoked')
  })
})

describe('what a preset asks, and what the application asks beside it', () => {
  test('both are asked of JWTs', async () => {
    const world = createWorld({ issuers: [oauthIssuer({ presentClaims: ['grant_id'] })] })
    expect((await world.call({})).code).toBe('claim_missing')
    expect((await world.call({ grant_id: 'grant-1' })).code).toBe(null)
    expect((await world.call({ grant_id: 'grant-1', client_id: undefined })).code).toBe('claim_missing')
  })

  test('of answers what the application asks alone', async () => {
    const answers: Record<string, object> = {
      without: { sub: 'user-1' },
      within: { sub: 'user-1', grant_id: 'grant-1' },
    }
    const issuer = oauthIssuer({
      presentClaims: ['grant_id'],
      introspection: {
        endpoint: 'https://as.example.test/introspect',
        clientId: 'api-1',
        authentication: { method: 'client_secret_basic', clientSecret: 'a secret of tests' },
      },
    })
    const said = { active: true, token_type: 'Bearer', aud: 'https://api.example.test', exp: NOW_SECONDS + 60 }
    const world = createWorld({
      issuers: [issuer],
      fetch: async (_url, init) =>
        Response.json({ ...said, ...answers[new URLSearchParams(String(init.body)).get('token') ?? ''] }),
    })
    expect((await world.call('without')).code).toBe('claim_missing')
    expect((await world.call('within')).code).toBe(null)
  })
})
