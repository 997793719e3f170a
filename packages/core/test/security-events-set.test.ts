/** Whether a SET is believed, and what its transmitter is told where it is not. */
import { inspect } from 'node:util'
import type { HttpAnswer, JsonValue } from '@behalf/core'
import { createSigningKey, signCompact, TEST_ALGORITHMS } from '@behalf/testing'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import {
  type HeldReceiver,
  holdReceiver,
  NOW_SECONDS,
  OTHER_ISSUER,
  outcomeOf,
  RECEIVER,
  type ReceiverSettings,
  TOLERANCE_SECONDS,
  TRANSMITTER,
} from '../../../test/support/security-event-receiver.js'
import { complex, issSub, opaque, SESSION_REVOKED, type SetDraft } from '../../../test/support/security-event-transmitter.js'
import { createKeyServer, json, type KeyServer, status } from './support/key-server.js'

let held: HeldReceiver
const open: { close(): unknown }[] = []
function hold(settings: ReceiverSettings = {}): HeldReceiver {
  held = holdReceiver(settings)
  open.push(held)
  return held
}
beforeEach(() => void hold())
afterEach(async () => {
  vi.restoreAllMocks()
  vi.useRealTimers()
  for (const each of open.splice(0)) await each.close()
})

const session = opaque('session-1')
const set = (draft: SetDraft = {}) => held.transmitter.sessionRevoked(session, {}, draft)
const withClaims = (claims: NonNullable<SetDraft['claims']>) => held.outcome(set({ claims }))

/** A refusal, and that nothing was ended and nobody told. */
async function refuses(outcome: string, body: string | Uint8Array): Promise<void> {
  expect(await held.outcome(body)).toBe(outcome)
  expect([held.revoked, held.told]).toEqual([[], []])
}

describe('the push', () => {
  test('[RFC8935-2.2-accepted] a good one is answered with 202 and nothing else', async () => {
    expect(await held.push(set())).toEqual({
      status: 202,
      headers: { 'cache-control': 'no-store', 'content-length': '0' },
      body: '',
    })
    expect(held.revoked).toHaveLength(1)
  })

  test.each(['GET', 'HEAD', 'PUT', 'DELETE', 'OPTIONS', 'post', ''])(
    '[RFC9110-15.5.6-allow] %j is answered with 405',
    async (method) => {
      const { status, headers, body } = await held.push(set(), { method })
      expect([status, headers['allow'], body]).toEqual([405, 'POST', ''])
      expect(held.revoked).toEqual([])
    },
  )

  test.each([
    'application/secevent+jwt',
    'Application/SecEvent+JWT',
    'application/secevent+jwt; charset=utf-8',
    'application/secevent+jwt;charset=utf-8',
    'application/secevent+jwt \t;x=y',
  ])('[RFC8935-2.1-content-type] %j says that it is a SET', async (contentType) => {
    expect(await held.outcome(set(), { contentType })).toBe('202')
  })

  test.each([
    null,
    '',
    'application/jwt',
    'application/json',
    'text/plain',
    'secevent+jwt',
    'application/secevent+jwts',
    'application/secevent+jwt, application/json',
    'text/plain; x=application/secevent+jwt',
    'application/secevent+json',
  ])('[RFC8935-2.1-content-type] %j does not', async (contentType) => {
    expect(await held.outcome(set(), { contentType })).toBe('400 invalid_request')
    expect(held.revoked).toEqual([])
  })

  test('[RFC8935-2.3-failure] a refusal is JSON in English, and no cache keeps it', async () => {
    const { status, headers, body } = await held.push('x')
    expect([status, headers]).toEqual([
      400,
      {
        'cache-control': 'no-store',
        'content-type': 'application/json',
        'content-language': 'en',
        'content-length': String(Buffer.byteLength(body)),
      },
    ])
    expect(JSON.parse(body)).toEqual({ err: 'invalid_request', description: 'The body is not a well-formed signed JWT' })
  })

  test('a SET as bytes is the same as one as text, also where they are a part of more', async () => {
    const bytes = Buffer.from(`x${set()}x`)
    expect(await held.outcome(bytes.subarray(1, -1))).toBe('202')
    expect(await held.outcome(new Uint8Array(Buffer.from(set())))).toBe('202')
  })

  test('a SET may be as long as it may, and no longer', async () => {
    const longest = (length: number) => {
      const make = (filler: number) => set({ claims: { filler: 'x'.repeat(filler) } })
      let filler = 0
      for (let step = 65_536; step >= 1; step /= 2) if (make(filler + step).length <= length) filler += step
      return make(filler)
    }
    const most = longest(65_536)
    expect(most.length).toBeGreaterThan(65_530)
    expect(await held.outcome(most)).toBe('202')
    for (const body of [`${most}xxxxxx`, Buffer.alloc(65_537, 'x')]) {
      const { status, headers, body: said } = await held.push(body)
      expect([status, headers['content-length'], said]).toEqual([413, '0', ''])
    }
    expect(await held.outcome(Buffer.alloc(65_536, 'x'))).toBe('400 invalid_request')
  })
})

describe('the SET', () => {
  const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')

  test.each<[string, (good: string) => string | Uint8Array]>([
    ['empty', () => ''],
    ['a text', () => 'secret'],
    ['JSON', () => '{"iss":"https://idp.example.test"}'],
    ['in two parts', (good) => good.split('.').slice(0, 2).join('.')],
    ['in four parts', (good) => `${good}.x`],
    ['encrypted', () => 'e30.e30.e30.e30.e30'],
    ['not signed', (good) => `${good.split('.').slice(0, 2).join('.')}.`],
    ['behind a line break', (good) => `\n${good}`],
    ['before a line break', (good) => `${good}\r\n`],
    ['padded', (good) => `${good}=`],
    ['a form', (good) => `token=${good}`],
    ['in quotes', (good) => `"${good}"`],
    ['with a byte beyond ASCII', (good) => Buffer.concat([Buffer.from(good), Buffer.from([0xc3])])],
    ['in UTF-16', (good) => Buffer.from(good, 'utf16le')],
    ['with a header that is a list', (good) => `${part([])}${good.slice(good.indexOf('.'))}`],
    ['a payload that is a list', () => set({ payload: '[]' })],
    ['a payload with a member twice', () => set({ payload: `{"iss":"${TRANSMITTER}","iss":"${TRANSMITTER}"}` })],
    ['nested too deep', () => set({ claims: { x: JSON.parse('['.repeat(40) + ']'.repeat(40)) as JsonValue } })],
    ['with a critical extension', () => set({ header: { crit: ['b64'], b64: false } })],
    ['with a kid that is no text', () => set({ header: { kid: 1 } })],
  ])('[RFC8935-2-parse] one that is %s is refused', async (_what, make) => refuses('400 invalid_request', make(set())))

  test.each(['secevent+jwt', 'application/secevent+jwt', 'SecEvent+JWT', 'APPLICATION/SECEVENT+JWT'])(
    '[RFC8417-2.3-typ] typ %s says that it is one',
    async (typ) => expect(await held.outcome(set({ header: { typ } }))).toBe('202'),
  )

  test.each([undefined, null, 'JWT', 'at+jwt', 'logout+jwt', 'secevent', 'secevent+jwt ', '', ['secevent+jwt']])(
    '[RFC8417-2.3-typ] [SSF-4.1.1-typ] typ %j does not',
    async (typ) => refuses('400 invalid_request', set({ header: { typ } })),
  )

  test.each([undefined, null, 1, ['https://idp.example.test'], `${TRANSMITTER}/`, TRANSMITTER.toUpperCase(), OTHER_ISSUER, ''])(
    '[RFC8935-2-issuer] [SSF-4.1.6-iss] one of issuer %j is refused',
    async (iss) => refuses('400 invalid_issuer', set({ claims: { iss } })),
  )

  test.each<[string, NonNullable<SetDraft['claims']>]>([
    ['another audience', { aud: 'https://other.example.test' }],
    ['other audiences', { aud: ['https://other.example.test', 'https://x.example.test'] }],
    ['no audience', { aud: undefined }],
    ['an empty list', { aud: [] }],
    ['null', { aud: null }],
    ['a number', { aud: 1 }],
    ['a list with a number', { aud: [RECEIVER, 1] }],
    ['an object', { aud: { [RECEIVER]: true } }],
    ['nearly this audience', { aud: `${RECEIVER}/` }],
  ])('[RFC8935-2-audience] one for %s is refused', async (_what, claims) => refuses('400 invalid_audience', set({ claims })))

  test.each<[string, JsonValue]>([
    ['alone', RECEIVER],
    ['among others', ['https://other.example.test', RECEIVER]],
  ])('[RFC8935-2-audience] one for this API %s is taken', async (_what, aud) => expect(await withClaims({ aud })).toBe('202'))

  test.each<[string, NonNullable<SetDraft['claims']>]>([
    ['no jti', { jti: undefined }],
    ['an empty jti', { jti: '' }],
    ['a jti that is no text', { jti: 1 }],
    ['a jti that is null', { jti: null }],
    ['no iat', { iat: undefined }],
    ['an iat that is a text', { iat: String(NOW_SECONDS) }],
    ['an iat that is null', { iat: null }],
    ['a negative iat', { iat: -1 }],
    ['a toe that is a text', { toe: 'now' }],
    ['a toe that is null', { toe: null }],
    ['a negative toe', { toe: -1 }],
    ['a txn that is no text', { txn: 1 }],
    ['a txn that is null', { txn: null }],
    ['an nbf that is a text', { nbf: 'now' }],
  ])('[RFC8417-2.2-claims] one with %s is refused', async (_what, claims) => refuses('400 invalid_request', set({ claims })))

  test.each([undefined, null, 'now', -1])(
    '[RFC8417-2.2-claims] an iat that is %j is missed also where nothing reads it',
    async (iat) => {
      await refuses(
        '400 invalid_request',
        held.transmitter.set({ 'https://events.example.test/coffee': {} }, { claims: { iat } }),
      )
      await refuses('400 invalid_request', held.transmitter.sessionRevoked(session, { event_timestamp: 1 }, { claims: { iat } }))
    },
  )

  test('[RFC8417-2.2-claims] what may be left out can be left out', async () => {
    expect(await withClaims({ txn: undefined, toe: undefined })).toBe('202')
  })

  test.each<[number, string]>([
    [TOLERANCE_SECONDS, '202'],
    [TOLERANCE_SECONDS + 1, '400 invalid_request'],
    [86_400, '400 invalid_request'],
    [-86_400 * 365, '202'],
  ])('[RFC8417-2.2-iat] one issued %d seconds from now: %s', async (seconds, outcome) => {
    expect(await withClaims({ iat: NOW_SECONDS + seconds })).toBe(outcome)
  })

  test.each<[number, string]>([
    [TOLERANCE_SECONDS, '202'],
    [TOLERANCE_SECONDS + 1, '400 invalid_request'],
  ])('[RFC7519-4.1.5-nbf] one that is valid %d seconds from now: %s', async (seconds, outcome) => {
    expect(await withClaims({ nbf: NOW_SECONDS + seconds })).toBe(outcome)
  })

  test.each<[string, NonNullable<SetDraft['claims']>]>([
    ['a sub', { sub: 'user-1' }],
    ['a sub that is null', { sub: null }],
    ['an exp', { exp: NOW_SECONDS + 600 }],
    ['an exp that is null', { exp: null }],
  ])('[SSF-4.1.2-sub] [SSF-4.1.7-exp] one with %s is refused', async (_what, claims) =>
    refuses('400 invalid_request', set({ claims })),
  )
})

describe('the signature', () => {
  test.each(TEST_ALGORITHMS.map((algorithm) => [algorithm]))('[RFC8935-2-authentic] of %s is proved', async (algorithm) => {
    const key = createSigningKey(algorithm)
    hold({ transmitter: { jwks: { keys: [key.jwk] } } })
    const good = set({ key })
    expect(await held.outcome(good)).toBe('202')
    const forged = createSigningKey(algorithm, { kid: key.kid })
    expect(await held.outcome(set({ key: forged }))).toBe('400 authentication_failed')
    expect(held.revoked).toHaveLength(1)
  })

  test('[RFC8935-2-authentic] of other claims than those that were signed does not hold', async () => {
    const [header, , signature] = set().split('.')
    const [, payload] = held.transmitter.sessionRevoked(opaque('session-2')).split('.')
    await refuses('400 authentication_failed', `${header}.${payload}.${signature}`)
  })

  test.each([undefined, 'none', 'NONE', 'HS256', 'RS1', 'eddsa', '', null, 1])(
    '[RFC8935-2-authentic] alg %j is not accepted',
    async (alg) => refuses('400 invalid_key', set({ header: { alg } })),
  )

  test('[RFC8935-2-authentic] an algorithm that the transmitter is not said to use is not accepted', async () => {
    hold({ transmitter: { algorithms: ['RS256'] } })
    await refuses('400 invalid_key', set())
  })

  test.each(['other', '', 'x'.repeat(300)])('[RFC8935-2.4-invalid-key] by a key that is not the transmitter’s: %j', async (kid) =>
    refuses('400 invalid_key', set({ header: { kid } })),
  )

  test('[RFC8935-2-authentic] a key of one transmitter proves nothing for another', async () => {
    const other = createSigningKey('EdDSA', { kid: 'transmitter-1' })
    hold({
      events: {
        transmitters: [
          { issuer: OTHER_ISSUER, audience: RECEIVER, jwks: { keys: [other.jwk] } },
          { issuer: TRANSMITTER, audience: RECEIVER, jwks: { keys: [createSigningKey('EdDSA', { kid: 'x' }).jwk] } },
        ],
      },
    })
    await refuses('400 authentication_failed', set({ claims: { iss: OTHER_ISSUER } }))
    await refuses('400 invalid_key', set({ key: other }))
    const own = { sub_id: issSub(OTHER_ISSUER, 'user-1'), iss: OTHER_ISSUER }
    expect(await held.outcome(set({ key: other, claims: own }))).toBe('202')
    expect(new Set(held.revoked.map(({ issuer }) => issuer))).toEqual(new Set([OTHER_ISSUER]))
  })

  test('the signature is proved before any claim is judged', async () => {
    const forged = createSigningKey('EdDSA', { kid: 'transmitter-1' })
    for (const claims of [{ aud: 'x' }, { sub: 'x' }, { events: [] }, { sub_id: issSub(OTHER_ISSUER, 'u') }]) {
      await refuses('400 authentication_failed', set({ key: forged, claims }))
    }
  })
})

describe('keys that are fetched', () => {
  let server: KeyServer
  beforeEach(async () => {
    server = await createKeyServer()
    open.push(server)
    hold({ transmitter: {}, events: {} })
  })

  const remote = (own: ReceiverSettings['transmitter']) => {
    const { jwks } = held.transmitter
    const { key } = held.transmitter
    const issuer = own?.issuer ?? TRANSMITTER
    hold({
      events: { transmitters: [{ issuer, audience: RECEIVER, about: TRANSMITTER, ...own }] },
    })
    return { jwks, key, issuer }
  }

  test('are those of jwksUri', async () => {
    const { jwks, key } = remote({ jwksUri: server.jwksUri })
    server.answer = json(jwks)
    expect(await held.outcome(set({ key }))).toBe('202')
  })

  test.each<[string, string]>([
    ['', '/.well-known/ssf-configuration'],
    ['/', '/.well-known/ssf-configuration'],
    ['/issuer1', '/.well-known/ssf-configuration/issuer1'],
  ])('[SSF-7.2-configuration] are named by the configuration of the transmitter with path %j', async (path, place) => {
    const issuer = `${server.origin}${path}`
    const { jwks, key } = remote({ issuer })
    server.answer = (request, response) => {
      if (request.url === place) json({ issuer, jwks_uri: server.jwksUri })(request, response)
      else if (server.jwksUri.endsWith(request.url ?? '')) json(jwks)(request, response)
      else status(404)(request, response)
    }
    expect(await held.outcome(set({ key, claims: { iss: issuer } }))).toBe('202')
    expect(server.asked[0]).toBe(place)
  })

  test('[SSF-4.1.6-iss] of a configuration of another issuer are nobody’s', async () => {
    const { jwks, key } = remote({ issuer: server.origin })
    server.answer = (request, response) => {
      const document = { issuer: `${server.origin}/`, jwks_uri: server.jwksUri }
      json(server.jwksUri.endsWith(request.url ?? '') ? jwks : document)(request, response)
    }
    expect(await held.outcome(set({ key, claims: { iss: server.origin } }))).toBe('503')
  })

  test('are fetched again by a timer, until the receiver is closed', async () => {
    const { jwks, key } = held.transmitter
    vi.spyOn(globalThis, 'fetch').mockImplementation(async () => Response.json(jwks))
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    remote({ jwksUri: server.jwksUri })
    expect(await held.outcome(set({ key }))).toBe('202')
    const timers = vi.getTimerCount() // Node's own client may have some too
    held.close()
    expect(vi.getTimerCount()).toBe(timers - 1)
  })

  test('[RFC8935-2.3-general] that cannot be fetched are our trouble: the transmitter comes again', async () => {
    const { jwks, key } = remote({ jwksUri: server.jwksUri })
    server.answer = status(500)
    const { status: code, headers, body } = await held.push(set({ key }))
    expect([code, headers['retry-after'], headers['cache-control'], body]).toEqual([503, '5', 'no-store', ''])
    expect(held.revoked).toEqual([])
    server.answer = json(jwks)
    held.nowMilliseconds += 60_000
    expect(await held.outcome(set({ key }))).toBe('202')
  })
})

describe('the Authorization field', () => {
  const AGREED = 'Bearer eyJ0b2tlbiI6ImV4YW1wbGUifQo='
  const withLines = (...authorization: string[]) => held.outcome(set(), { authorization })

  test('is not looked at where nothing was agreed upon', async () => {
    expect(await withLines('Bearer x', 'Basic y')).toBe('202')
  })

  test('[RFC8935-3-authorization] is the one that was agreed upon', async () => {
    hold({ transmitter: { authorization: AGREED } })
    expect(await withLines(AGREED)).toBe('202')
    expect(held.revoked).toHaveLength(1)
  })

  test.each([
    [[]],
    [['']],
    [['Bearer x']],
    [[AGREED.toLowerCase()]],
    [[AGREED.slice(0, -1)]],
    [[`${AGREED} `]],
    [[`${AGREED}, ${AGREED}`]],
    [[AGREED, AGREED]],
    [['Bearer x', AGREED]],
  ])('[RFC8935-3-authorization] [RFC8935-2.4-authentication-failed] %j is not', async (lines) => {
    hold({ transmitter: { authorization: AGREED } })
    const { status, headers, body } = await held.push(set(), { authorization: lines })
    expect([status, outcomeOf({ status, body })]).toEqual([400, '400 authentication_failed'])
    expect(headers['www-authenticate']).toBeUndefined()
    expect(held.revoked).toEqual([])
  })

  test('is asked for before any signature is proved', async () => {
    hold({ transmitter: { authorization: AGREED } })
    const body = set({ key: createSigningKey('EdDSA', { kid: 'unknown' }) })
    expect(await held.outcome(body)).toBe('400 authentication_failed')
    expect(await held.outcome(body, { authorization: [AGREED] })).toBe('400 invalid_key')
  })
})

describe('secrecy', () => {
  const WORD = 'cnry'
  const SUBJECTS: readonly JsonValue[] = [
    opaque(`${WORD}\n`),
    issSub(WORD, WORD),
    { format: WORD, id: WORD },
    complex({ user: { format: WORD, email: WORD }, [WORD]: { format: WORD } }),
    WORD,
  ]

  test('[BEHALF-event-secrecy] nothing of a SET stands in an answer, or in what the application is told', async () => {
    const key = createSigningKey('EdDSA', { kid: WORD })
    const answers: HttpAnswer[] = []
    for (const subject of SUBJECTS) {
      const claims = { jti: WORD, txn: WORD, sub_id: subject }
      answers.push(await held.push(set({ claims })))
      answers.push(await held.push(set({ claims, key })))
      answers.push(await held.push(set({ claims: { ...claims, iss: WORD } })))
      answers.push(await held.push(set({ claims: { ...claims, aud: WORD } })))
      answers.push(await held.push(set({ claims, header: { typ: WORD } })))
      answers.push(await held.push(held.transmitter.set({ [WORD]: WORD }, { claims })))
      answers.push(await held.push(held.transmitter.set({ [SESSION_REVOKED]: { subject: WORD } }, { claims })))
    }
    answers.push(await held.push(WORD), await held.push(set(), { contentType: WORD, authorization: [WORD] }))
    answers.push(await held.push(set(), { method: WORD }))
    expect(held.told.length).toBeGreaterThan(0)
    expect(inspect([answers, held.told], { depth: 9 }).toLowerCase()).not.toContain(WORD)
  })

  test('[BEHALF-event-secrecy] nor in the warning of the process, which comes once a minute', async () => {
    const warn = vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
    const receiver = holdReceiver({ silent: true })
    open.push(receiver)
    const push = () => receiver.push(receiver.transmitter.sessionRevoked({ format: 'email', email: WORD }))
    await push()
    receiver.nowMilliseconds += 59_999
    await push()
    expect(warn.mock.calls).toEqual([
      [
        'behalf: a security event (session-revoked) ended no tokens: subject_not_supported',
        { code: 'BEHALF_SECURITY_EVENT_UNPROCESSED' },
      ],
    ])
    receiver.nowMilliseconds += 1
    await push()
    expect(warn).toHaveBeenCalledTimes(2)
    receiver.nowMilliseconds -= 30_000 // a clock that was set back says nothing about the last one
    await push()
    expect(warn).toHaveBeenCalledTimes(3)
  })

  test.each<[string, () => unknown]>([
    [
      'throws',
      () => {
        throw new Error('x')
      },
    ],
    ['rejects', () => Promise.reject(new Error('x'))],
  ])('a function of the application that %s changes no answer', async (_what, onUnprocessed) => {
    hold({ events: { onUnprocessed: onUnprocessed as () => void } })
    expect(await held.outcome(held.transmitter.sessionRevoked({ format: 'email', email: 'x' }))).toBe('202')
  })
})

test('signatures over other texts than JSON are refused as such', async () => {
  const { key } = held.transmitter
  await refuses('400 invalid_request', signCompact({ alg: 'EdDSA', kid: key.kid, typ: 'secevent+jwt' }, 'x', key))
})
