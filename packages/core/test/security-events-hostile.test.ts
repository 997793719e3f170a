/** Whatever is pushed: an answer of the table, and nothing ended that the event does not name. */
import type { JsonObject, JsonValue, Revocation } from '@behalf/core'
import fc from 'fast-check'
import { afterAll, describe, expect, test } from 'vitest'
import { FUZZ_FACTOR, FUZZ_SEED, FUZZ_TIMEOUT } from '../../../test/support/fuzz-settings.js'
import {
  holdReceiver,
  NOW_SECONDS,
  OTHER_ISSUER,
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
} from '../../../test/support/security-event-transmitter.js'

const held = holdReceiver({
  transmitter: { about: [TRANSMITTER, 'https://second.example.test'], sessions: TRANSMITTER, criticalMembers: ['tenant'] },
  tokenIssuers: [TRANSMITTER, 'https://second.example.test', OTHER_ISSUER],
})
afterAll(() => held.close())

const settings = (runs: number) => ({ seed: FUZZ_SEED, numRuns: runs * FUZZ_FACTOR })

const ISSUERS = [TRANSMITTER, 'https://second.example.test', OTHER_ISSUER, '']
const NAMES = ['user-1', 'session-1', '', 'x\u0000y', ' user-1', '__proto__', 'x'.repeat(1025)]
const text = fc.oneof(fc.constantFrom(...NAMES), fc.string())
const iss = fc.oneof(fc.constantFrom(...ISSUERS), text)
const format = fc.constantFrom('opaque', 'iss_sub', 'jwt_id', 'aliases', 'complex', 'email', 'constructor', '')
const anything = fc.jsonValue({ maxDepth: 3 }) as fc.Arbitrary<JsonValue>

/** Members as good subjects have them, and any others. */
const loose: fc.Arbitrary<JsonObject> = fc.record(
  { format: fc.oneof(format, anything), id: fc.oneof(text, anything), iss: fc.oneof(iss, anything), sub: text, jti: text },
  { requiredKeys: [] },
)
const simple: fc.Arbitrary<JsonObject> = fc.oneof(
  text.map(opaque),
  fc.tuple(iss, text).map(([one, two]) => issSub(one, two)),
  fc.tuple(iss, text).map(([one, two]) => jwtId(one, two)),
  loose,
)
const member = fc.oneof(
  { weight: 4, arbitrary: simple },
  fc.array(simple, { maxLength: 4 }).map((list) => aliases(...list)),
)
const subject: fc.Arbitrary<JsonValue> = fc.oneof(
  { weight: 3, arbitrary: member },
  {
    weight: 4,
    arbitrary: fc
      .record(
        { user: member, session: member, device: member, tenant: simple, other: anything as fc.Arbitrary<JsonObject> },
        { requiredKeys: [] },
      )
      .map((members) => complex(members as JsonObject)),
  },
  anything,
)

/** Every object within a value. */
function objectsIn(value: JsonValue | undefined): readonly JsonObject[] {
  if (typeof value !== 'object' || value === null) return []
  const own = Array.isArray(value) ? [] : [value as JsonObject]
  return [...own, ...Object.values(value).flatMap(objectsIn)]
}

/** Whether the very words of a revocation stand in one subject identifier, said of an issuer that may be spoken of. */
function isNamedBy(value: JsonValue, revocation: Revocation): boolean {
  const names = (each: JsonObject) => {
    if ('sessionId' in revocation) {
      return each['format'] === 'opaque' && each['id'] === revocation.sessionId && revocation.issuer === TRANSMITTER
    }
    if (each['iss'] !== revocation.issuer || !ISSUERS.slice(0, 2).includes(revocation.issuer)) return false
    if ('tokenId' in revocation) return each['format'] === 'jwt_id' && each['jti'] === revocation.tokenId
    const named = 'subject' in revocation ? revocation.subject : 'actor' in revocation && revocation.actor
    return each['format'] === 'iss_sub' && each['sub'] === named
  }
  return objectsIn(value).some(names)
}

const ANSWERS = ['202', '400 invalid_request', '400 access_denied']

describe('any subject', () => {
  test.each(['sessionRevoked', 'credentialChange'] as const)(
    '[SSF-3.6-best-effort] of %s: nothing is ended that it does not name',
    async (event) => {
      const seen = new Set<string>()
      await fc.assert(
        fc.asyncProperty(subject, async (value) => {
          held.revoked.length = 0
          held.told.length = 0
          const outcome = await held.outcome(held.transmitter[event](value))
          expect(ANSWERS).toContain(outcome)
          seen.add(held.revoked.length > 0 ? 'ended' : outcome)
          for (const revocation of held.revoked) {
            expect(isNamedBy(value, revocation)).toBe(true)
            expect('at' in revocation ? revocation.at : NOW_SECONDS).toBe(NOW_SECONDS)
            if (event === 'credentialChange') expect('subject' in revocation || 'actor' in revocation).toBe(true)
          }
          // Whatever somebody holds, in whichever part.
          const people = (part: 'subject' | 'actor') =>
            held.revoked.flatMap((each) => (each[part] === undefined ? [] : [[each.issuer, each[part]]]))
          expect(people('actor')).toEqual(people('subject'))
          // Each event ends something, or somebody hears that it did not.
          if (outcome === '202') expect(held.revoked.length > 0).toBe(held.told.length === 0)
          else expect(held.revoked).toEqual([])
        }),
        settings(800),
      )
      expect([...seen].sort()).toEqual(['202', '400 access_denied', '400 invalid_request', 'ended'])
    },
    FUZZ_TIMEOUT,
  )
})

test(
  '[RFC8417-2.2-claims] any claims and events: an answer, and never a time further after the SET than clocks may differ',
  async () => {
    const time = fc.oneof(fc.constantFrom(0, -1, NOW_SECONDS, NOW_SECONDS + 6, 1e15, 0.5), anything)
    const payload = fc.record(
      { event_timestamp: time, change_type: fc.oneof(fc.constantFrom('create', 'revoke'), anything), subject: anything },
      { requiredKeys: [] },
    ) as fc.Arbitrary<JsonObject>
    const events = fc.oneof(
      fc.dictionary(fc.oneof(fc.constantFrom(SESSION_REVOKED, CREDENTIAL_CHANGE), fc.string()), fc.oneof(payload, anything), {
        maxKeys: 3,
      }) as fc.Arbitrary<JsonObject>,
      anything,
    )
    const claims = fc.record(
      { iat: time, toe: time, txn: anything, jti: anything, aud: anything, sub: anything, exp: anything, nbf: time },
      { requiredKeys: [] },
    ) as fc.Arbitrary<Record<string, JsonValue>>
    const seldom = fc.oneof({ weight: 3, arbitrary: fc.constant<Record<string, JsonValue>>({}) }, claims)
    await fc.assert(
      fc.asyncProperty(events, seldom, async (given, more) => {
        held.revoked.length = 0
        const set = held.transmitter.set(given, { claims: { sub_id: issSub(TRANSMITTER, 'user-1'), ...more } })
        expect(['202', '400 invalid_request', '400 invalid_audience']).toContain(await held.outcome(set))
        for (const revocation of held.revoked) {
          const { at, ...named } = revocation as { at: number }
          expect([{ subject: 'user-1' }, { actor: 'user-1' }].map((each) => ({ issuer: TRANSMITTER, ...each }))).toContainEqual(
            named,
          )
          const issued = Math.ceil(typeof more['iat'] === 'number' ? more['iat'] : NOW_SECONDS)
          expect(Number.isSafeInteger(at) && at >= 0 && at <= issued + TOLERANCE_SECONDS).toBe(true)
        }
      }),
      settings(800),
    )
  },
  FUZZ_TIMEOUT,
)

test(
  '[RFC8935-2-parse] any bytes are answered, and end nothing',
  async () => {
    held.revoked.length = 0
    await fc.assert(
      fc.asyncProperty(fc.oneof(fc.uint8Array({ maxLength: 400 }), fc.string({ unit: 'binary' })), async (body) => {
        expect(await held.outcome(body)).toBe('400 invalid_request')
      }),
      settings(500),
    )
    expect(held.revoked).toEqual([])
  },
  FUZZ_TIMEOUT,
)

test(
  '[RFC8935-2-authentic] a SET of which one character was changed, added or left out ends nothing',
  async () => {
    const good = held.transmitter.sessionRevoked(opaque('session-1'))
    expect(await held.outcome(good)).toBe('202')
    held.revoked.length = 0
    const place = fc.nat({ max: good.length - 1 })
    const character = fc.constantFrom(...'ABab01-_.=+/ \n'.split(''))
    await fc.assert(
      fc.asyncProperty(place, character, fc.constantFrom(0, 1), async (at, put, removed) => {
        const changed = good.slice(0, at) + put + good.slice(at + removed)
        fc.pre(changed !== good)
        const outcome = await held.outcome(changed)
        expect(outcome).toMatch(/^400 (?:invalid_request|invalid_key|invalid_issuer|authentication_failed)$/)
      }),
      settings(800),
    )
    expect(held.revoked).toEqual([])
  },
  FUZZ_TIMEOUT,
)
