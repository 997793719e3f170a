/** What a security event ends, of whom, and up to when. */
import type { JsonObject, JsonValue, Revocation, RevocationBasis } from '@behalf/core'
import { ConfigError, memoryRevocations, RevocationError } from '@behalf/core'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import {
  type HeldReceiver,
  holdReceiver,
  NOW_SECONDS,
  OTHER_ISSUER,
  RECEIVER,
  type ReceiverSettings,
  TOLERANCE_SECONDS,
  TRANSMITTER,
} from '../../../test/support/security-event-receiver.js'
import {
  aliases,
  CREDENTIAL_CHANGE,
  complex,
  issSub,
  jwtId,
  opaque,
  SESSION_REVOKED,
  SET_CONTENT_TYPE,
  SSF,
} from '../../../test/support/security-event-transmitter.js'
import { createWorld, oauthIssuer } from './support/harness.js'

let held: HeldReceiver
const open: HeldReceiver[] = []
function hold(settings: ReceiverSettings = {}): HeldReceiver {
  held = holdReceiver(settings)
  open.push(held)
  return held
}
beforeEach(() => void hold())
afterEach(() => {
  vi.useRealTimers()
  for (const each of open.splice(0)) each.close()
})

const session = opaque('session-1')
const user = issSub(TRANSMITTER, 'user-1')
const token = jwtId(TRANSMITTER, 'token-1')
const mail: JsonObject = { format: 'email', email: 'user@example.test' }
const AT = { at: NOW_SECONDS }
const SESSION = { issuer: TRANSMITTER, sessionId: 'session-1', ...AT }
/** What somebody holds, for themselves and for others. */
const person = (name: string, issuer = TRANSMITTER, at = NOW_SECONDS): Revocation[] => [
  { issuer, subject: name, at },
  { issuer, actor: name, at },
]
const USER = person('user-1')

describe('session-revoked', () => {
  test.each<[string, JsonValue, readonly Revocation[]]>([
    ['a session', session, [SESSION]],
    ['a user', user, USER],
    ['a token', token, [{ issuer: TRANSMITTER, tokenId: 'token-1' }]],
    ['a session and its user', complex({ user, session }), [SESSION]],
    ['a user alone', complex({ user }), USER],
    ['a session alone', complex({ session }), [SESSION]],
    ['a user on a device', complex({ user, device: issSub(TRANSMITTER, 'device-1') }), USER],
    ['a user of a tenant', complex({ user, tenant: opaque('t') }), USER],
    ['a user in a group, a unit and an application', complex({ user, group: mail, org_unit: mail, application: mail }), USER],
    ['a user and what nobody knows', complex({ user, spaceship: opaque('s') }), USER],
    ['a session, and a user by mail', complex({ session, user: mail }), [SESSION]],
    ['a user, and a session that is written in another way', complex({ user, session: user }), USER],
    ['a user by several names', aliases(mail, user), USER],
    ['a user by several names, one of them elsewhere', aliases(issSub('https://x.example.test', 'u'), user), USER],
    ['a complex subject whose user has several names', complex({ user: aliases(mail, user), device: mail }), USER],
  ])('[SSF-3.6-best-effort] ends %s', async (_what, subject, revocations) => {
    expect(await held.outcome(held.transmitter.sessionRevoked(subject))).toBe('202')
    expect(held.revoked).toEqual(revocations)
    expect(held.told).toEqual([])
  })

  test('every alias that can be read is ended', async () => {
    await held.push(held.transmitter.sessionRevoked(aliases(user, issSub(TRANSMITTER, 'user-2'), session)))
    expect(held.revoked).toEqual([...USER, ...person('user-2'), SESSION])
  })

  test.each<[string, JsonValue]>([
    ['a mail address', mail],
    ['a telephone', { format: 'phone_number', phone_number: '+12065550100' }],
    ['an account', { format: 'account', uri: 'acct:user@example.test' }],
    ['a URI', { format: 'uri', uri: 'https://user.example.test' }],
    ['a DID', { format: 'did', url: 'did:example:123' }],
    ['an assertion', { format: 'saml_assertion_id', issuer: TRANSMITTER, assertion_id: '_1' }],
    ['addresses', { format: 'ip-addresses', 'ip-addresses': ['192.0.2.1'] }],
    ['a format of the future', { format: 'future', id: 'user-1', iss: TRANSMITTER, sub: 'user-1' }],
    ['a format named like a member of every object', { format: 'constructor' }],
    ['a device', complex({ device: issSub(TRANSMITTER, 'device-1') })],
    ['a tenant', complex({ tenant: opaque('tenant-1') })],
    ['a user by mail', complex({ user: mail })],
    ['a user by a number that means something elsewhere', complex({ user: opaque('user-1') })],
    ['a session by another name', complex({ session: issSub(TRANSMITTER, 'session-1') })],
    ['a subject within a subject', complex({ user: complex({ user }) })],
    ['aliases that name no token', aliases(mail, { format: 'did', url: 'did:example:123' })],
    ['a complex alias', aliases(complex({ user }))],
  ])('%s names no token: taken, nothing ended, and the application told', async (_what, subject) => {
    expect(await held.outcome(held.transmitter.sessionRevoked(subject))).toBe('202')
    expect(held.revoked).toEqual([])
    expect(held.told).toEqual([{ transmitter: TRANSMITTER, event: 'session-revoked', reason: 'subject_not_supported' }])
  })

  test.each<[string, JsonValue | undefined]>([
    ['missing', undefined],
    ['null', null],
    ['a text', 'user-1'],
    ['a list', [user]],
    ['empty', {}],
    ['without a format', { iss: TRANSMITTER, sub: 'user-1' }],
    ['of a format that is no text', { format: ['opaque'], id: 'x' }],
    ['a number', opaque(1)],
    ['an empty id', opaque('')],
    ['an id with a line break', opaque('session-1\n')],
    ['an id that is too long', opaque('x'.repeat(1025))],
    ['an opaque one without an id', { format: 'opaque' }],
    ['a user without an issuer', { format: 'iss_sub', sub: 'user-1' }],
    ['a user of an issuer that is no text', issSub([TRANSMITTER], 'user-1')],
    ['a user without a name', { format: 'iss_sub', iss: TRANSMITTER }],
    ['a user whose name is an object', issSub(TRANSMITTER, { sub: 'user-1' })],
    ['a user without any name', issSub(TRANSMITTER, '')],
    ['a user whose name has a line break', issSub(TRANSMITTER, 'user-1\n')],
    ['a user whose name is too long', issSub(TRANSMITTER, 'x'.repeat(1025))],
    ['a token without an issuer', { format: 'jwt_id', jti: 'token-1' }],
    ['a token without an id', { format: 'jwt_id', iss: TRANSMITTER }],
    ['a complex one without members', complex({})],
    ['a complex one whose member is a text', complex({ user: 'user-1' })],
    ['a complex one with a member without a format', complex({ user, device: { id: 'd' } })],
    ['a complex one with a bad user', complex({ session, user: issSub(TRANSMITTER, 1) })],
    ['a complex one with a bad session', complex({ user, session: opaque(1) })],
    ['aliases without any', aliases()],
    ['aliases that are no list', { format: 'aliases', identifiers: user }],
    ['aliases with a bad one', aliases(user, opaque(1))],
    ['aliases with a text', aliases(user, 'user-1')],
    ['aliases within aliases', aliases(user, aliases(user))],
    ['too many aliases', aliases(...Array.from({ length: 17 }, () => user))],
  ])('[RFC8935-2.4-invalid-request] a subject that is %s is refused', async (_what, subject) => {
    expect(await held.outcome(held.transmitter.sessionRevoked(subject))).toBe('400 invalid_request')
    expect([held.revoked, held.told]).toEqual([[], []])
  })

  test('as many aliases as may be are read', async () => {
    await held.push(
      held.transmitter.sessionRevoked(aliases(...Array.from({ length: 16 }, (_, n) => issSub(TRANSMITTER, `u${n}`)))),
    )
    expect(held.revoked).toEqual(Array.from({ length: 16 }, (_, n) => person(`u${n}`)).flat())
  })

  test.each<[string, JsonValue]>([
    ['a user', issSub(OTHER_ISSUER, 'user-1')],
    ['a token', jwtId(OTHER_ISSUER, 'token-1')],
    ['a user of a complex subject', complex({ session, user: issSub(OTHER_ISSUER, 'user-1') })],
    ['a user by several names', aliases(mail, issSub(OTHER_ISSUER, 'user-1'))],
    ['a user whose issuer differs in a slash', issSub(`${TRANSMITTER}/`, 'user-1')],
    ['a user whose issuer differs in case', issSub(TRANSMITTER.toUpperCase(), 'user-1')],
  ])('[RFC8935-2-expected] %s of another issuer is not this transmitter’s to end', async (_what, subject) => {
    expect(await held.outcome(held.transmitter.sessionRevoked(subject))).toBe('400 access_denied')
    expect(held.revoked).toEqual([])
    expect(held.told).toEqual([{ transmitter: TRANSMITTER, event: 'session-revoked', reason: 'subject_not_expected' }])
  })
})

describe('whose subjects a transmitter may name', () => {
  test('those of the issuers that about names, and no others', async () => {
    const { transmitter, push, outcome, revoked } = hold({ transmitter: { about: OTHER_ISSUER } })
    await push(transmitter.sessionRevoked(issSub(OTHER_ISSUER, 'user-1')))
    await push(transmitter.sessionRevoked(session))
    expect(revoked).toEqual([...person('user-1', OTHER_ISSUER), { ...SESSION, issuer: OTHER_ISSUER }])
    expect(await outcome(transmitter.sessionRevoked(user))).toBe('400 access_denied')
  })

  test('sessions are of the issuer that is said to number them', async () => {
    const { transmitter, push, revoked } = hold({
      transmitter: { about: [TRANSMITTER, OTHER_ISSUER], sessions: OTHER_ISSUER },
    })
    await push(transmitter.sessionRevoked(session))
    await push(transmitter.sessionRevoked(complex({ session, user: issSub(OTHER_ISSUER, 'user-1') })))
    expect(revoked).toEqual(Array.from({ length: 2 }, () => ({ ...SESSION, issuer: OTHER_ISSUER })))
  })

  test('the session of a user of another issuer is not looked for where the first one numbers sessions', async () => {
    const { transmitter, push, revoked } = hold({
      transmitter: { about: [TRANSMITTER, OTHER_ISSUER], sessions: OTHER_ISSUER },
    })
    await push(transmitter.sessionRevoked(complex({ session, user })))
    expect(revoked).toEqual(USER)
  })
})

describe('critical members', () => {
  const critical = (...criticalMembers: string[]) => hold({ transmitter: { criticalMembers } })

  test.each<[string, string[], JsonValue, readonly Revocation[]]>([
    ['a session', ['session'], complex({ session, user }), [SESSION]],
    ['a user', ['user'], complex({ session, user }), [SESSION]],
    ['both', ['user', 'session'], complex({ session, user }), [SESSION]],
    ['one that is not there', ['tenant'], complex({ user }), USER],
    ['one in a simple subject', ['id', 'format', 'user'], session, [SESSION]],
  ])('[SSF-3.6-critical] %s can be processed', async (_what, members, subject, revocations) => {
    const { transmitter, push, revoked } = critical(...members)
    await push(transmitter.sessionRevoked(subject))
    expect(revoked).toEqual(revocations)
  })

  test.each<[string, string[], JsonValue]>([
    ['a device', ['device'], complex({ user, device: opaque('d') })],
    ['a tenant beside a session', ['tenant'], complex({ session, tenant: opaque('t') })],
    ['a user by mail', ['user'], complex({ session, user: mail })],
    ['a session by another name', ['session'], complex({ session: mail, user })],
    ['an unknown one', ['spaceship'], complex({ user, spaceship: opaque('s') })],
  ])('[SSF-3.6-critical] an event with %s that is critical is discarded', async (_what, members, subject) => {
    const { transmitter, outcome, revoked, told } = critical(...members)
    expect(await outcome(transmitter.sessionRevoked(subject))).toBe('202')
    expect(revoked).toEqual([])
    expect(told).toEqual([{ transmitter: TRANSMITTER, event: 'session-revoked', reason: 'critical_member' }])
  })

  test('[SSF-3.6-critical] a session that is critical is not processed where a credential has changed', async () => {
    const { transmitter, push, revoked, told } = critical('session')
    await push(transmitter.credentialChange(complex({ session, user })))
    expect([revoked, told]).toEqual([[], [{ transmitter: TRANSMITTER, event: 'credential-change', reason: 'critical_member' }]])
  })
})

describe('credential-change', () => {
  test.each(['revoke', 'update', 'delete'])('[CAEP-3.3-change-type] %s ends what the user has', async (change_type) => {
    expect(await held.outcome(held.transmitter.credentialChange(user, { change_type }))).toBe('202')
    expect(held.revoked).toEqual(USER)
  })

  test('[CAEP-3.3-change-type] a credential that was created ends nothing, and nobody needs to know', async () => {
    for (const subject of [user, mail, issSub(OTHER_ISSUER, 'user-1')]) {
      expect(await held.outcome(held.transmitter.credentialChange(subject, { change_type: 'create' }))).toBe('202')
    }
    expect([held.revoked, held.told]).toEqual([[], []])
  })

  test.each(['rotate', 'Create', ' create', ''])('a change that is not known (%j) is in doubt, and ends', async (change_type) => {
    await held.push(held.transmitter.credentialChange(user, { change_type }))
    expect(held.revoked).toEqual(USER)
  })

  test.each([undefined, null, 1, ['create'], { create: true }])(
    '[RFC8935-2.4-invalid-request] a change_type that is %j is refused',
    async (change_type) => {
      expect(await held.outcome(held.transmitter.credentialChange(user, { change_type }))).toBe('400 invalid_request')
      expect(held.revoked).toEqual([])
    },
  )

  test.each<[string, JsonObject]>([
    ['a user and a session', complex({ user, session })],
    ['a user and a bad session', complex({ user, session: opaque(1) })],
    ['a user by several names', aliases(user, mail)],
  ])('%s: everything of the user', async (_what, subject) => {
    await held.push(held.transmitter.credentialChange(subject))
    expect(held.revoked).toEqual(USER)
  })

  test.each<[string, JsonObject]>([
    ['a session', session],
    ['a token', token],
    ['a session of a complex subject', complex({ session })],
  ])('%s has no credentials', async (_what, subject) => {
    expect(await held.outcome(held.transmitter.credentialChange(subject))).toBe('202')
    expect(held.revoked).toEqual([])
    expect(held.told.map(({ event, reason }) => [event, reason])).toEqual([['credential-change', 'subject_not_supported']])
  })
})

describe('events in one SET', () => {
  test.each<[string, JsonObject]>([
    ['an unknown event', { 'https://events.example.test/coffee': {} }],
    ['another event of CAEP', { 'https://schemas.openid.net/secevent/caep/event-type/token-claims-change': { claims: {} } }],
    ['an event whose name only begins as a known one', { [`${SESSION_REVOKED}/later`]: {} }],
    ['a known event in capitals', { [SESSION_REVOKED.toUpperCase()]: {} }],
    ['a verification', { [`${SSF}verification`]: { state: 'VGhpcyBpcyBhIHN0YXRl' } }],
    ['a stream that was updated', { [`${SSF}stream-updated`]: { status: 'paused' } }],
    ['an event named like a member of every object', { constructor: {}, toString: {} }],
  ])('[RFC8417-2.2-unknown-events] %s is taken, and nothing is done', async (_what, events) => {
    for (const subject of [session, undefined, 'x']) {
      expect(await held.outcome(held.transmitter.set(events, { claims: { sub_id: subject } }))).toBe('202')
    }
    expect([held.revoked, held.told]).toEqual([[], []])
  })

  test('beside an unknown event, a known one is heeded', async () => {
    const events = { 'https://alias.example.test/session-revoked': {}, [SESSION_REVOKED]: {} }
    await held.push(held.transmitter.set(events, { claims: { sub_id: session } }))
    expect(held.revoked).toEqual([SESSION])
  })

  test('both known events are heeded', async () => {
    const events = { [CREDENTIAL_CHANGE]: { change_type: 'delete', event_timestamp: 7 }, [SESSION_REVOKED]: {} }
    await held.push(held.transmitter.set(events, { claims: { sub_id: complex({ session, user }) } }))
    expect(held.revoked).toEqual([SESSION, ...person('user-1', TRANSMITTER, 7)])
  })

  test('where one of two names no token, the other is heeded and the application is told', async () => {
    const events = { [CREDENTIAL_CHANGE]: { change_type: 'delete' }, [SESSION_REVOKED]: {} }
    expect(await held.outcome(held.transmitter.set(events, { claims: { sub_id: session } }))).toBe('202')
    expect(held.revoked).toEqual([SESSION])
    expect(held.told.map(({ event }) => event)).toEqual(['credential-change'])
  })

  test.each<[string, JsonValue]>([
    ['missing', undefined as unknown as JsonValue],
    ['null', null],
    ['a list', [SESSION_REVOKED]],
    ['a text', SESSION_REVOKED],
    ['empty', {}],
    ['with a text', { [SESSION_REVOKED]: 'now' }],
    ['with a list', { [SESSION_REVOKED]: [] }],
    ['with null', { [SESSION_REVOKED]: null }],
    ['with an unknown event that is no object', { [SESSION_REVOKED]: {}, 'https://events.example.test/coffee': true }],
  ])('[RFC8417-2.2-events] events that are %s are refused', async (_what, events) => {
    const set = held.transmitter.set(events, { claims: { sub_id: session } })
    expect(await held.outcome(set)).toBe('400 invalid_request')
    expect(held.revoked).toEqual([])
  })

  test('one bad event refuses the whole, and nothing is ended', async () => {
    const events = { [SESSION_REVOKED]: {}, [CREDENTIAL_CHANGE]: {} }
    expect(await held.outcome(held.transmitter.set(events, { claims: { sub_id: complex({ user, session }) } }))).toBe(
      '400 invalid_request',
    )
    expect(held.revoked).toEqual([])
  })

  test('the subject may stand in the event too, where it is the same', async () => {
    const subject = complex({ user, device: opaque('d') })
    await held.push(held.transmitter.sessionRevoked(subject, { subject: { ...subject } }))
    expect(held.revoked).toEqual(USER)
  })

  test.each<[string, JsonObject, JsonValue | undefined]>([
    ['another subject', { subject: issSub(TRANSMITTER, 'user-2') }, user],
    ['a subject with one more member', { subject: complex({ user, session }) }, complex({ user })],
    ['a subject where the SET has none', { subject: user }, undefined],
    ['a subject that is null', { subject: null }, user],
  ])('[SSF-3.1-sub-id] %s in the event is ambiguous, and refused', async (_what, payload, subject) => {
    expect(await held.outcome(held.transmitter.sessionRevoked(subject, payload))).toBe('400 invalid_request')
    expect(held.revoked).toEqual([])
  })

  test('[SSF-4.2.3-unknown-members] members that nobody knows are ignored, wherever they are', async () => {
    const payload = { reason_admin: { en: 'x' }, initiating_entity: 'policy', colour: ['red'] }
    const draft = { header: { colour: 'red' }, claims: { colour: { red: true } } }
    expect(await held.outcome(held.transmitter.sessionRevoked({ ...session, colour: 'red' }, payload, draft))).toBe('202')
    expect(held.revoked).toEqual([SESSION])
  })
})

describe('up to when', () => {
  const HOUR_AGO = NOW_SECONDS - 3600
  const LATEST = NOW_SECONDS + TOLERANCE_SECONDS

  test.each<[string, JsonObject, Record<string, JsonValue>, number]>([
    ['when the SET was issued', {}, { iat: NOW_SECONDS - 60 }, NOW_SECONDS - 60],
    ['when the event happened', { event_timestamp: HOUR_AGO }, { iat: NOW_SECONDS - 60, toe: 5 }, HOUR_AGO],
    ['when it happened, as the SET says it', {}, { toe: HOUR_AGO }, HOUR_AGO],
    ['the very beginning', { event_timestamp: 0 }, {}, 0],
    ['the end of a broken second', { event_timestamp: HOUR_AGO + 0.2 }, {}, HOUR_AGO + 1],
    ['a little ahead, where the issuer’s clock is', { event_timestamp: NOW_SECONDS + 5 }, {}, NOW_SECONDS + 5],
    ['the SET, and what clocks may differ, where the event is after it', { event_timestamp: NOW_SECONDS + 6 }, {}, LATEST],
    ['the same, where it is in milliseconds', { event_timestamp: HOUR_AGO * 1000 }, {}, LATEST],
    ['the same, where toe is after it', {}, { toe: NOW_SECONDS + 500 }, LATEST],
    ['the same, of a SET from before', { event_timestamp: NOW_SECONDS }, { iat: HOUR_AGO }, HOUR_AGO + TOLERANCE_SECONDS],
    [
      'the same, to the end of its second',
      { event_timestamp: NOW_SECONDS },
      { iat: HOUR_AGO - 0.5 },
      HOUR_AGO + TOLERANCE_SECONDS,
    ],
    ['when the SET was issued, where that is ahead within the tolerance', {}, { iat: LATEST }, LATEST],
  ])('[CAEP-2-event-timestamp] tokens end that were issued until %s', async (_what, payload, claims, at) => {
    held.nowMilliseconds += 999 // a second is not over before its end
    expect(await held.outcome(held.transmitter.sessionRevoked(session, payload, { claims }))).toBe('202')
    await held.push(held.transmitter.credentialChange(user, payload, { claims }))
    expect(held.revoked.map((each) => each.at)).toEqual([at, at, at])
  })

  test.each<[string, JsonValue | string]>([
    ['a text', String(NOW_SECONDS)],
    ['null', null],
    ['negative', -1],
    ['a list', [NOW_SECONDS]],
  ])('[RFC8935-2.4-invalid-request] an event_timestamp that is %s is refused', async (_what, event_timestamp) => {
    expect(await held.outcome(held.transmitter.sessionRevoked(session, { event_timestamp }))).toBe('400 invalid_request')
    expect(held.revoked).toEqual([])
  })

  test('[RFC8935-2.4-invalid-request] a time beyond all numbers is refused', async () => {
    const claims = {
      iss: TRANSMITTER,
      aud: RECEIVER,
      jti: 'j',
      iat: NOW_SECONDS,
      sub_id: session,
      events: { [SESSION_REVOKED]: {} },
    }
    const written = (name: string, of: object) => JSON.stringify(of).replace(`"${name}":0`, `"${name}":1e999`)
    for (const payload of [
      written('event_timestamp', { ...claims, events: { [SESSION_REVOKED]: { event_timestamp: 0 } } }),
      written('toe', { ...claims, toe: 0 }),
      written('iat', { ...claims, iat: 0 }),
    ]) {
      expect(await held.outcome(held.transmitter.set({}, { payload }))).toBe('400 invalid_request')
    }
    expect(held.revoked).toEqual([])
  })

  test('[RFC8935-2-again] a SET that comes again says what it said, and ends nothing that was issued since', async () => {
    const set = held.transmitter.sessionRevoked(session)
    const first = await held.push(set)
    held.nowMilliseconds += 86_400_000
    expect(await held.push(set)).toEqual(first)
    expect(held.revoked).toEqual([SESSION, SESSION])
  })
})

describe('what cannot be kept', () => {
  const sets = () => [held.transmitter.sessionRevoked(session), held.transmitter.credentialChange(user)] as const

  test.each([new RevocationError('full'), new RevocationError('unavailable'), new Error('secret'), 'secret', undefined])(
    '[RFC8935-2.2-kept-first] is not acknowledged: the transmitter comes again (%s)',
    async (error) => {
      held.keep = () => Promise.reject(error)
      for (const set of sets()) {
        expect(await held.push(set)).toEqual({
          status: 503,
          headers: { 'cache-control': 'no-store', 'retry-after': '5', 'content-length': '0' },
          body: '',
        })
      }
      expect(held.told.map(({ reason }) => reason)).toEqual(['not_kept', 'not_kept'])
    },
  )

  test('[RFC8935-2.2-kept-first] nor where the set throws at once', async () => {
    held.keep = () => {
      throw new RevocationError('full')
    }
    expect(await held.outcome(sets()[0])).toBe('503')
  })

  test('[RFC8935-2.2-kept-first] the answer waits until everything is kept', async () => {
    const keeping: (() => void)[] = []
    held.keep = () => new Promise((resolve) => keeping.push(resolve))
    let answered = false
    const answer = held.push(held.transmitter.sessionRevoked(aliases(user, session))).then((each) => {
      answered = true
      return each
    })
    await vi.waitFor(() => expect(keeping).toHaveLength(3), { timeout: 60_000 })
    for (const index of [0, 2]) {
      keeping[index]?.()
      await new Promise(setImmediate)
      expect(answered).toBe(false)
    }
    keeping[1]?.()
    expect((await answer).status).toBe(202)
  })

  test('a set that does not answer is not waited for', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    let asked = 0
    held.keep = () => {
      asked++
      return new Promise(() => {})
    }
    const answer = held.push(sets()[0])
    await vi.waitFor(() => expect(asked).toBe(1), { interval: 1, timeout: 60_000 })
    await vi.advanceTimersByTimeAsync(5_000)
    expect((await answer).status).toBe(503)
  })

  test('[RFC8935-2.2-kept-first] one of several that is not kept is one too many', async () => {
    held.keep = (each) => ('subject' in each ? Promise.reject(new RevocationError('full')) : undefined)
    expect(await held.outcome(held.transmitter.sessionRevoked(aliases(session, user)))).toBe('503')
  })
})

describe('what nothing is asked by', () => {
  const wrong = new ConfigError('revoke() by sessionId would end nothing')

  test('is a mistake of the application, and no answer to the transmitter', async () => {
    held.keep = () => Promise.reject(wrong)
    await expect(held.push(held.transmitter.sessionRevoked(session))).rejects.toBe(wrong)
    await expect(held.push(held.transmitter.sessionRevoked(complex({ session, user })))).rejects.toBe(wrong)
  })

  test('is told as what it is: a security event, and the check that lacks it', async () => {
    const { transmitter } = held
    const securityEvents = { transmitters: [{ issuer: TRANSMITTER, audience: RECEIVER, jwks: transmitter.jwks }] }
    const server = (by: RevocationBasis | readonly RevocationBasis[]) =>
      createWorld({
        issuers: [oauthIssuer({ issuer: TRANSMITTER, claims: { session: 'sid' } })],
        revocation: { maxTokenLifetimeSeconds: 3600, checks: [{ by, issuer: TRANSMITTER, from: memoryRevocations() }] },
        securityEvents,
      }).server.securityEvents()
    const push = { method: 'POST', contentType: SET_CONTENT_TYPE, authorization: [], body: transmitter.sessionRevoked(session) }
    await expect(server('subject').receive(push)).rejects.toMatchObject({
      name: 'ConfigError',
      message: `a security event by sessionId would end nothing: no set is asked by it for "${TRANSMITTER}". Add sessionId to by of a check in revocation.checks, with a set to keep it`,
    })
    expect((await server(['subject', 'sessionId']).receive(push)).status).toBe(202)
  })

  test('a session that nothing is asked by is ended with all else of its user', async () => {
    held.keep = (each) => ('sessionId' in each ? Promise.reject(wrong) : undefined)
    expect(await held.outcome(held.transmitter.sessionRevoked(complex({ session, user })))).toBe('202')
    expect(held.revoked).toEqual(USER)
  })

  test('a session that cannot be kept now is no reason to end more', async () => {
    held.keep = (each) => ('sessionId' in each ? Promise.reject(new RevocationError('unavailable')) : undefined)
    expect(await held.outcome(held.transmitter.sessionRevoked(complex({ session, user })))).toBe('503')
    expect(held.revoked).toEqual([])
  })
})
