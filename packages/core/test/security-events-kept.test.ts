/** What a security event comes to at a server with sets of its own: whose tokens end, what has to be kept, and for how long. */
import {
  type HttpAnswer,
  type IssuerOptions,
  memoryRevocations,
  type RevocationBasis,
  type RevocationCheck,
  type RevocationEntry,
  RevocationError,
  type RevocationSet,
  type UnprocessedEvent,
} from '@behalf/core'
import { curity } from '@behalf/core/issuers'
import { describe, expect, test } from 'vitest'
import { OTHER_ISSUER, RECEIVER } from '../../../test/support/security-event-receiver.js'
import {
  aliases,
  CREDENTIAL_CHANGE,
  complex,
  createTransmitter,
  issSub,
  jwtId,
  opaque,
  SESSION_REVOKED,
  SET_CONTENT_TYPE,
} from '../../../test/support/security-event-transmitter.js'
import { AUDIENCE, anyRule, createWorld, ISSUER, JWKS, NOW_SECONDS, oauthIssuer, type World } from './support/harness.js'

const LIFETIME_SECONDS = 3600
/** The default of `clockToleranceSeconds`. */
const TOLERANCE_SECONDS = 5

interface EventWorld extends World {
  readonly transmitter: ReturnType<typeof createTransmitter>
  readonly told: UnprocessedEvent[]
  push(body: string): Promise<HttpAnswer>
}

/** A server that is asked by some bases for its issuer, or by more checks, and is told by a transmitter about both issuers. */
function eventWorld(
  checks: RevocationBasis | readonly RevocationBasis[] | readonly RevocationCheck[],
  issuer: IssuerOptions = oauthIssuer({ claims: { session: 'sid' } }),
): EventWorld {
  const given = [checks].flat()
  const told: UnprocessedEvent[] = []
  const transmitter = createTransmitter(ISSUER, RECEIVER, () => Math.floor(world.now / 1000))
  const own = (by: readonly RevocationBasis[]) => [{ by, issuer: ISSUER, from: memoryRevocations({ now: () => world.now }) }]
  const all = given.some((each) => typeof each === 'string')
    ? own(given as readonly RevocationBasis[])
    : (given as readonly RevocationCheck[])
  const about = [ISSUER, ...(all.some((check) => check.issuer === OTHER_ISSUER) ? [OTHER_ISSUER] : [])]
  const world = createWorld({
    issuers: [issuer, oauthIssuer({ issuer: OTHER_ISSUER })],
    delegation: [anyRule({ maxDepth: 8 })],
    revocation: { maxTokenLifetimeSeconds: LIFETIME_SECONDS, checks: all },
    securityEvents: {
      transmitters: [{ issuer: ISSUER, audience: RECEIVER, jwks: transmitter.jwks, about, sessions: ISSUER }],
      onUnprocessed: (event) => void told.push(event),
    },
  })
  const receiver = world.server.securityEvents()
  const push = (body: string) => receiver.receive({ method: 'POST', contentType: SET_CONTENT_TYPE, authorization: [], body })
  return Object.assign(world, { transmitter, told, push })
}

const status = async (answer: Promise<HttpAnswer>) => (await answer).status

/** What a function-like check of one set says, beside another one. */
const check = (by: RevocationCheck['by'], issuer: string, from: RevocationSet = memoryRevocations()): RevocationCheck => ({
  by,
  issuer,
  from,
})

describe('what a person holds as an actor', () => {
  const ada = issSub(ISSUER, 'ada')
  const BASES = ['sessionId', 'subject', 'actor', 'tokenId'] as const

  test('[SSF-3.6-best-effort] ends with what is held as a subject: of support staff who act for a customer', async () => {
    const world = eventWorld(BASES)
    const calls = [
      { sub: 'customer', act: { sub: 'ada' } },
      { sub: 'customer', act: { sub: 'agent-1', act: { sub: 'ada' } }, jti: 'behind' },
      { sub: 'ada', jti: 'direct' },
    ]
    const codes = async () => await Promise.all(calls.map(async (claims) => (await world.call(claims)).code))
    expect(await codes()).toEqual([null, null, null])
    expect(await status(world.push(world.transmitter.credentialChange(ada)))).toBe(202)
    expect(await codes()).toEqual(Array(3).fill('token_revoked'))
    for (const claims of [
      { sub: 'customer', jti: 'a' }, // the customer's own
      { sub: 'customer', act: { sub: 'bob' }, jti: 'b' },
      { sub: 'customer', act: { sub: 'ada' }, iat: NOW_SECONDS + 1, jti: 'c' }, // signed in again
    ]) {
      expect((await world.call(claims)).code).toBe(null)
    }
  })

  test('[SSF-3.6-best-effort] also where `act_as` names the subject, and the token’s own `sub` is who acts', async () => {
    const issuer = curity({ issuer: ISSUER, audience: AUDIENCE, jwks: JWKS, actAs: true })
    const claims = { sub: 'admin', act_as: { sub: 'user-123' }, purpose: 'access_token' }
    const codeAfter = async (subject: string) => {
      const world = eventWorld(['subject', 'actor'], issuer)
      expect((await world.call(claims)).code).toBe(null)
      expect(await status(world.push(world.transmitter.sessionRevoked(issSub(ISSUER, subject))))).toBe(202)
      return (await world.call(claims)).code
    }
    expect(await codeAfter('admin')).toBe('token_revoked')
    expect(await codeAfter('user-123')).toBe('token_revoked')
    expect(await codeAfter('user-124')).toBe(null)
  })

  test('goes on where nothing is asked by actors: the rest is ended, and acknowledged', async () => {
    const world = eventWorld(['subject'])
    expect(await status(world.push(world.transmitter.credentialChange(ada)))).toBe(202)
    expect((await world.call({ sub: 'ada' })).code).toBe('token_revoked')
    expect((await world.call({ sub: 'customer', act: { sub: 'ada' }, jti: 'b' })).code).toBe(null)
  })

  test('does not stand for what is held as a subject: that nothing is asked by subjects is a mistake', async () => {
    const world = eventWorld(['actor', 'sessionId'])
    await expect(world.push(world.transmitter.credentialChange(ada))).rejects.toThrow('by subject would end nothing')
    expect((await world.call({ sub: 'customer', act: { sub: 'ada' } })).code).toBe('token_revoked')
  })

  test('[RFC8935-2.2-kept-first] that cannot be kept is not acknowledged, whatever else was', async () => {
    const full = Object.assign(memoryRevocations(), { add: () => Promise.reject(new RevocationError('full')) })
    const world = eventWorld([check('subject', ISSUER), check('actor', ISSUER, full)])
    expect(await status(world.push(world.transmitter.credentialChange(ada)))).toBe(503)
    expect((await world.call({ sub: 'ada' })).code).toBe('token_revoked')
    expect(world.told.map(({ reason }) => reason)).toEqual(['not_kept'])
  })

  test('is left alone where a session or a token is named', async () => {
    for (const subject of [opaque('ada'), jwtId(ISSUER, 'ada')]) {
      const world = eventWorld(BASES)
      expect(await status(world.push(world.transmitter.sessionRevoked(subject)))).toBe(202)
      expect((await world.call({ sub: 'customer', act: { sub: 'ada' } })).code).toBe(null)
    }
  })
})

describe('a subject by several names', () => {
  const here = issSub(ISSUER, 'user-1')
  const there = issSub(OTHER_ISSUER, 'user-1')
  const session = opaque('session-1')
  const token = jwtId(ISSUER, 'token-1')

  test('[RFC8935-2.2-kept-first] is ended by each of them, or the API has a mistake to mend', async () => {
    const world = eventWorld([check('sessionId', ISSUER), check('subject', OTHER_ISSUER)])
    for (const names of [aliases(here, there), aliases(there, here)]) {
      await expect(world.push(world.transmitter.credentialChange(names))).rejects.toMatchObject({
        name: 'ConfigError',
        message: expect.stringContaining(`by subject would end nothing: no set is asked by it for "${ISSUER}"`),
      })
    }
    // What could be kept is: it does not wait for the mend.
    expect((await world.call({ iss: OTHER_ISSUER })).code).toBe('token_revoked')
  })

  test.each<[string, RevocationBasis[], ReturnType<typeof aliases>, boolean]>([
    ['a session and its user, asked by subject', ['subject'], aliases(session, here), true],
    ['a token and its user, asked by subject', ['subject'], aliases(token, here), true],
    ['a session and its user, asked by session', ['sessionId'], aliases(session, here), false],
    ['a session and a token, asked by session', ['sessionId'], aliases(session, token), false],
    ['a session and a token, asked by both', ['sessionId', 'tokenId'], aliases(session, token), true],
    ['a user and a session of it as members, asked by subject', ['subject'], complex({ session, user: here }), true],
  ])('[RFC8935-2.2-kept-first] is acknowledged where all of it is kept, or more: %s', async (_what, by, subject, kept) => {
    const world = eventWorld(by)
    const answer = world.push(world.transmitter.sessionRevoked(subject))
    if (kept) expect(await status(answer)).toBe(202)
    else await expect(answer).rejects.toMatchObject({ name: 'ConfigError' })
    expect((await world.call({ sid: 'session-1' })).code).toBe('token_revoked')
  })

  test('a user of one issuer does not stand for a session of another', async () => {
    const world = eventWorld([check('subject', ISSUER), check('subject', OTHER_ISSUER)])
    await expect(world.push(world.transmitter.sessionRevoked(aliases(session, there)))).rejects.toThrow(
      'by sessionId would end nothing',
    )
  })

  test('[RFC8935-2.2-kept-first] a mistake about one event does not keep the other of the same SET from ending what it can', async () => {
    const world = eventWorld([check('tokenId', ISSUER), check('subject', ISSUER), check('subject', OTHER_ISSUER)])
    const events = {
      [SESSION_REVOKED]: { event_timestamp: NOW_SECONDS - 100 },
      [CREDENTIAL_CHANGE]: { change_type: 'revoke', event_timestamp: NOW_SECONDS - 50 },
    }
    const set = world.transmitter.set(events, { claims: { sub_id: aliases(session, there) } })
    await expect(world.push(set)).rejects.toThrow('by sessionId would end nothing')
    expect((await world.call({ iss: OTHER_ISSUER, iat: NOW_SECONDS - 50 })).code).toBe('token_revoked')
    expect((await world.call({ iss: OTHER_ISSUER, iat: NOW_SECONDS - 49, jti: 'b' })).code).toBe(null)
  })
})

describe('an event that comes again', () => {
  const user = issSub(ISSUER, 'user-1')

  test.each([
    ['in milliseconds', { event_timestamp: NOW_SECONDS * 1000 }, NOW_SECONDS],
    ['far ahead', { event_timestamp: NOW_SECONDS + 10_000 }, NOW_SECONDS],
    ['far ahead, in a SET that is ahead itself', { event_timestamp: NOW_SECONDS + 10_000 }, NOW_SECONDS + TOLERANCE_SECONDS],
  ])('[RFC8935-2-again] ends nothing new, though its time is %s', async (_what, payload, iat) => {
    const world = eventWorld(['subject'])
    const set = world.transmitter.sessionRevoked(user, payload, { claims: { iat } })
    const last = iat + TOLERANCE_SECONDS
    for (const seconds of [0, 1, 60, LIFETIME_SECONDS]) {
      world.now = (NOW_SECONDS + seconds) * 1000
      expect(await status(world.push(set))).toBe(202)
      world.now = Math.max(world.now, last * 1000)
      expect((await world.call({ iat: last, exp: last + LIFETIME_SECONDS, jti: `a${seconds}` })).code).toBe('token_revoked')
      expect((await world.call({ iat: last + 1, exp: last + LIFETIME_SECONDS, jti: `b${seconds}` })).code).toBe(null)
    }
  })
})

describe('events that can end nothing any more', () => {
  /** How much a set was given to keep. */
  function counted(): { readonly entries: RevocationEntry[]; readonly set: RevocationSet } {
    const entries: RevocationEntry[] = []
    const set = Object.assign(memoryRevocations({ maxEntries: 1, now: () => NOW_SECONDS * 1000 }), {
      add: (entry: RevocationEntry) => void entries.push(entry),
    })
    return { entries, set }
  }

  test('[Design-revocation-kept] fill no set, and are acknowledged: every token that they are about has ended', async () => {
    const { entries, set } = counted()
    const world = eventWorld([check(['sessionId', 'subject', 'actor'], ISSUER, set)])
    const ended = NOW_SECONDS - LIFETIME_SECONDS - 2 * TOLERANCE_SECONDS - 1
    for (const event_timestamp of [0, ended - 1, ended]) {
      expect(await status(world.push(world.transmitter.sessionRevoked(opaque('session-1'), { event_timestamp })))).toBe(202)
      expect(await status(world.push(world.transmitter.credentialChange(issSub(ISSUER, 'user-1'), { event_timestamp })))).toBe(
        202,
      )
    }
    expect([entries, world.told]).toEqual([[], []])
    await world.push(world.transmitter.sessionRevoked(opaque('session-1'), { event_timestamp: ended + 1 }))
    expect(entries.map(({ keepUntil }) => keepUntil)).toEqual([NOW_SECONDS * 1000 + 1])
  })

  test('are a mistake of the application all the same, where nothing is asked by them', async () => {
    const world = eventWorld(['subject'])
    await expect(world.push(world.transmitter.sessionRevoked(opaque('session-1'), { event_timestamp: 0 }))).rejects.toThrow(
      'by sessionId would end nothing',
    )
  })
})
