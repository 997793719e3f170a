import type { AuditEvent, AuditParty, RefusalCode } from '@behalf/core'
import fc from 'fast-check'
import { auditEventSchema } from '../../../../test/support/audit-schema.js'

type Mutable<T> = { -readonly [K in keyof T]: T[K] }

const HEX = [...'0123456789abcdef']
const hex = (length: number) =>
  fc.array(fc.constantFrom(...HEX), { minLength: length, maxLength: length }).map((digits) => digits.join(''))

const uuidV7 = fc
  .tuple(hex(12), hex(3), fc.constantFrom(...'89ab'), hex(3), hex(12))
  .map(([time, count, variant, more, random]) => `${time.slice(0, 8)}-${time.slice(8)}-7${count}-${variant}${more}-${random}`)

/** Texts of a kind that somebody would try: formulas, markup, separators, names of prototypes, other scripts, private characters. */
const NASTY = [
  '=1+1',
  '+A1',
  '-2',
  '@SUM(1)',
  '＝1',
  '"',
  "'",
  ',',
  '""',
  'a,b',
  '__proto__',
  'constructor',
  '\u{10fffe}',
  '\ue000',
  '\u{1f600}',
]

const UNCLEAN = /[\p{Cc}\p{Cf}\p{Cs}\p{Z}]/gu

/** What the schema calls an identifier: clean, with plain spaces inside at most. */
const identifier = fc
  .oneof(
    fc.constantFrom(...NASTY),
    fc.string({ unit: 'binary', minLength: 1, maxLength: 20 }),
    fc.string({ minLength: 1, maxLength: 20 }),
  )
  .map((text) => text.replace(UNCLEAN, '') || 'x')

/** A caller's text as it is kept. */
const foreignText = fc
  .oneof(fc.constantFrom(...NASTY, ' =1', '\ufffd=1'), fc.string({ unit: 'binary', maxLength: 40 }))
  .map((text) =>
    text
      .replace(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu, '\ufffd')
      .slice(0, 256)
      .replace(/[\p{Cs}]/gu, '\ufffd'),
  )

const orNull = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | null> => fc.option(arbitrary, { nil: null, freq: 3 })

const namedParty: fc.Arbitrary<AuditParty & { readonly id: string }> = fc.record({
  id: identifier,
  idClaim: fc.constantFrom('sub', 'client_id', 'user_id', '=x'),
  issuer: orNull(identifier),
  type: fc.constantFrom('user', 'client', null),
  profiles: fc.uniqueArray(fc.oneof(fc.constant('ai_agent'), identifier), { maxLength: 2 }),
  tenant: orNull(identifier),
})

const NOBODY: AuditParty = { id: null, idClaim: null, issuer: null, type: null, profiles: [], tenant: null }
const party: fc.Arbitrary<AuditParty> = fc.oneof(
  { weight: 4, arbitrary: namedParty },
  { weight: 1, arbitrary: fc.constant(NOBODY) },
)

const scopes = fc.uniqueArray(identifier, { maxLength: 3 })
const time = fc
  .integer({ min: Date.parse('0001-01-01T00:00:00.000Z'), max: Date.parse('9999-12-31T23:59:59.999Z') })
  .map((milliseconds) => new Date(milliseconds).toISOString())

const peer = fc.oneof(
  fc.ipV4(),
  fc.ipV6(),
  fc.constantFrom('::ffff:10.0.0.7', 'fe80::1%eth0', '/run/api.sock', '', '999.1.1.1', '1:2'),
  foreignText,
)

const method = fc.constantFrom(
  'GET',
  'HEAD',
  'POST',
  'PUT',
  'PATCH',
  'DELETE',
  'OPTIONS',
  'PROPFIND',
  'PURGE',
  'M-SEARCH',
  'OTHER',
)

const statusless = fc.record({
  method,
  route: orNull(fc.oneof(fc.constantFrom('/orders/:id', '/'), fc.string({ unit: 'binary', maxLength: 20 }))),
  status: fc.constant(null),
  durationMilliseconds: fc.constant(null),
})

const traceparent = fc
  .tuple(hex(2), fc.oneof(hex(32), fc.constant('0'.repeat(32))), fc.oneof(hex(16), fc.constant('0'.repeat(16))), hex(2))
  .map((parts) => parts.join('-'))

const seconds = fc.oneof(
  fc.integer({ min: 0, max: 4_000_000_000 }),
  fc.double({ noNaN: true, noDefaultInfinity: true }).map((each) => each + 0),
)

const evidence = {
  id: identifier,
  keyId: orNull(foreignText),
  algorithm: fc.constantFrom('RS256', 'EdDSA'),
  issuer: identifier,
}
const NO_TOKEN = { issuer: null, id: null, issuedAt: null, expiresAt: null, keyId: null, algorithm: null }
const unproved = orNull(foreignText).map((keyId) => ({ ...NO_TOKEN, keyId }))
const proved = fc.record({ ...evidence, issuedAt: fc.constant(null), expiresAt: fc.constant(null) })
const withTimes = fc.record({ ...evidence, issuedAt: orNull(seconds), expiresAt: seconds })

const base = fc.record({
  v: fc.constant('1.1' as const),
  id: uuidV7,
  type: fc.constant('access.decision' as const),
  time,
  requestId: uuidV7,
  keys: fc.record({ ageSeconds: orNull(fc.nat()), stale: fc.boolean() }),
  http: statusless,
  net: fc.record({
    peer: orNull(peer),
    forwarded: orNull(foreignText),
    userAgent: orNull(foreignText),
    callerRequestId: orNull(foreignText),
  }),
  trace: fc.record({ traceparent: orNull(traceparent) }),
})

const { enum: reasons = [] } = auditEventSchema.properties['reason'] as { readonly enum?: readonly (RefusalCode | null)[] }
const codes = fc.constantFrom(...reasons.filter((code) => code !== null))
const refusalStatus = fc.constantFrom(400, 401, 403, 503)

const consent = fc.record({
  consentId: orNull(identifier),
  expiresAt: orNull(seconds.map((each) => Math.abs(each))),
  ticket: orNull(identifier),
  reason: orNull(foreignText),
})

/** Refused before there was a context. */
const withoutContext = fc
  .record({
    base,
    stage: fc.constantFrom('credentials' as const, 'verify' as const),
    reason: codes,
    token: fc.oneof(unproved, proved),
    status: refusalStatus,
  })
  .map(
    ({ base, stage, reason, token, status }): Mutable<AuditEvent> => ({
      ...base,
      http: { ...base.http, status },
      ...{ stage, decision: 'refuse', reason, rule: null, consent: null, kind: null, subject: null, actor: null, chain: [] },
      ...{ clientId: null, tenant: null, grantId: null, scopes: { token: [], effective: [] } },
      token: stage === 'credentials' ? NO_TOKEN : token,
      ...{ result: null, notices: [] },
    }),
  )

/** With a context: direct or delegated; let in, nearly refused, or refused. */
const withContext = fc
  .record({
    base,
    kind: fc.constantFrom('direct' as const, 'impersonation' as const, 'delegation' as const),
    decision: fc.constantFrom('allow' as const, 'refuse' as const, 'would_refuse' as const),
    reason: codes,
    rule: identifier,
    subject: namedParty,
    chain: fc.array(party, { minLength: 1, maxLength: 3 }),
    clientId: orNull(identifier),
    tenant: orNull(identifier),
    grantId: orNull(identifier),
    token: withTimes,
    granted: scopes,
    effective: scopes,
    status: refusalStatus,
    consent: orNull(consent),
    notices: fc.subarray(['self_actor' as const, 'chain_incomplete' as const]),
  })
  .map((drawn): Mutable<AuditEvent> => {
    const { base, kind, reason, rule, subject, chain, clientId, tenant, grantId, token, granted, effective, status, notices } =
      drawn
    const direct = kind === 'direct'
    const decision = direct && drawn.decision === 'would_refuse' ? 'allow' : drawn.decision
    const refused = decision === 'refuse'
    return {
      ...base,
      http: { ...base.http, status: refused ? status : null },
      ...{ stage: 'rules', decision, reason: decision === 'allow' ? null : reason, rule: direct ? null : rule, kind, subject },
      ...{ actor: direct ? null : (chain[0] ?? NOBODY), chain: direct ? [] : chain, clientId, tenant, grantId, token },
      ...{ scopes: { token: granted, effective: refused ? [] : effective }, result: null, notices },
      consent: direct ? null : drawn.consent,
    }
  })

const RESULTS = ['completed', 'failed', 'aborted', 'refused', 'not_run', 'unknown'] as const

const outcome = fc
  .record({
    event: withContext.filter(({ decision }) => decision !== 'refuse'),
    result: fc.constantFrom(...RESULTS),
    status: fc.integer({ min: 100, max: 999 }),
    duration: fc.oneof(fc.nat(), fc.double({ min: 0, noNaN: true, noDefaultInfinity: true })),
  })
  .map(({ event, result, status, duration }): Mutable<AuditEvent> => {
    const answered = result !== 'not_run' && result !== 'unknown'
    return {
      ...event,
      ...{ type: 'access.outcome', stage: 'response', result },
      http: {
        ...event.http,
        status: answered ? status : null,
        durationMilliseconds: result === 'unknown' ? null : duration,
      },
    }
  })

/** Any event that `docs/audit-event.schema.json` allows, hostile ones before friendly ones. */
export const arbitraryEvent: fc.Arbitrary<AuditEvent> = fc.oneof(withoutContext, withContext, outcome)
