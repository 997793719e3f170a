/** Token Status Lists: what a reference is, what a list says, and which lists are believed. */
import { inspect } from 'node:util'
import { AuthError, type JsonObject } from '@behalf/core'
import { createSigningKey, signCompact } from '@behalf/testing'
import fc from 'fast-check'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { readStatuses, statusAt } from '../src/status-list/statuses.js'
import { clock, codeOf, KEY, START } from './support/key-apis.js'
import { type Answer, flood, status } from './support/key-server.js'
import {
  createStatusListServer,
  deflated,
  keysOf,
  type ListDraft,
  listToken,
  packed,
  SECONDS,
  type StatusListServer,
  statusListsAt,
  text,
} from './support/status-list-server.js'

let server: StatusListServer
let other: StatusListServer
beforeAll(async () => {
  ;[server, other] = await Promise.all([createStatusListServer(), createStatusListServer()])
})
beforeEach(() => {
  clock.time = START
  for (const each of [server, other]) {
    each.reset()
    each.accepts.length = 0
  }
})
afterAll(() => Promise.all([server.close(), other.close()]))

const BITS = [1, 2, 4, 8] as const

describe('a reference', () => {
  const referenceIn = (status: unknown, settings = {}) => {
    const claims = { sub: 'secret-subject', ...(status !== undefined && { status }) } as JsonObject
    return statusListsAt({ origin: 'https://as.example.test' }, settings).reference(claims)
  }
  const URI = 'https://as.example.test/lists/1'

  test('[STATUS-LIST-6.2-reference] is read where there is one, and nothing is asked for it', () => {
    expect(referenceIn({ status_list: { idx: 0, uri: URI } })).toEqual({ uri: URI, index: 0 })
    expect(referenceIn({ status_list: { idx: Number.MAX_SAFE_INTEGER, uri: `${URI}?a=b`, more: 1 }, other: {} })).toEqual({
      uri: `${URI}?a=b`,
      index: Number.MAX_SAFE_INTEGER,
    })
    expect(referenceIn(undefined)).toBeNull()
    expect(() => referenceIn(undefined, { required: true })).toThrow(expect.objectContaining({ code: 'claim_missing' }))
    expect(server.asked).toEqual([])
  })

  test.each<readonly [string, unknown]>([
    ['a status of null', null],
    ['a status that is text', 'valid'],
    ['a status that is a number', 0],
    ['a status that is a list', [{ status_list: { idx: 0, uri: URI } }]],
    ['an empty status', {}],
    ['another mechanism only', { identifier_list: { id: 'a', uri: URI } }],
    ['null in place of the reference', { status_list: null }],
    ['text in place of the reference', { status_list: URI }],
    ['a list of references', { status_list: [{ idx: 0, uri: URI }] }],
    ['no index', { status_list: { uri: URI } }],
    ['an index of null', { status_list: { idx: null, uri: URI } }],
    ['a negative index', { status_list: { idx: -1, uri: URI } }],
    ['a broken index', { status_list: { idx: 0.5, uri: URI } }],
    ['an index beyond what can be told apart', { status_list: { idx: 2 ** 53, uri: URI } }],
    ['an infinite index', { status_list: { idx: Number.POSITIVE_INFINITY, uri: URI } }],
    ['an index that is text', { status_list: { idx: '0', uri: URI } }],
    ['an index that is true', { status_list: { idx: true, uri: URI } }],
    ['no URL', { status_list: { idx: 0 } }],
    ['a URL that is a list', { status_list: { idx: 0, uri: [URI] } }],
    ['a relative URL', { status_list: { idx: 0, uri: '/lists/1' } }],
    ['an empty URL', { status_list: { idx: 0, uri: '' } }],
    ['plain http', { status_list: { idx: 0, uri: URI.replace('https', 'http') } }],
    ['a file', { status_list: { idx: 0, uri: 'file:///etc/passwd' } }],
    ['data', { status_list: { idx: 0, uri: 'data:,x' } }],
    ['a URL with credentials', { status_list: { idx: 0, uri: 'https://a:b@as.example.test/lists/1' } }],
    ['a URL with a fragment', { status_list: { idx: 0, uri: `${URI}#a` } }],
    ['a URL that is too long', { status_list: { idx: 0, uri: `${URI}${'a'.repeat(1_024)}` } }],
    ['another host', { status_list: { idx: 0, uri: 'https://as.example.test.evil.test/lists/1' } }],
    ['another port', { status_list: { idx: 0, uri: 'https://as.example.test:8443/lists/1' } }],
    ['this machine', { status_list: { idx: 0, uri: 'http://127.0.0.1/lists/1' } }],
    ['the host after credentials', { status_list: { idx: 0, uri: 'https://evil.test@as.example.test/' } }],
  ])('[STATUS-LIST-6.2-reference] that is none refuses the token: %s', (_what, status) => {
    let error: unknown
    try {
      referenceIn(status)
    } catch (each) {
      error = each
    }
    expect(error).toMatchObject({ code: 'claim_invalid', status: 401 })
    expect(inspect(error, { depth: 9, showHidden: true })).not.toMatch(/secret|lists\/1/)
  })

  test('[BEHALF-status-list-origins] leads to the origins that are configured, and to the issuer’s own one only where none is', () => {
    const origins = ['https://status.example.test', 'https://status.example.test:8443', 'http://127.0.0.1:8080']
    for (const origin of origins) {
      const uri = `${origin}/lists/1`
      expect(referenceIn({ status_list: { idx: 1, uri } }, { origins })).toEqual({ uri, index: 1 })
      expect(() => referenceIn({ status_list: { idx: 1, uri } })).toThrow(expect.objectContaining({ code: 'claim_invalid' }))
    }
    expect(() => referenceIn({ status_list: { idx: 1, uri: URI } }, { origins })).toThrow(
      expect.objectContaining({ code: 'claim_invalid' }),
    )
  })
})

describe('statuses', () => {
  /** Appendix of the draft and its section 4.2. */
  const EXAMPLES = [
    { bits: 1, lst: 'eNrbuRgAAhcBXQ', bytes: [0xb9, 0xa3], statuses: [1, 0, 0, 1, 1, 1, 0, 1, 1, 1, 0, 0, 0, 1, 0, 1] },
    { bits: 2, lst: 'eNo76fITAAPfAgc', bytes: [0xc9, 0x44, 0xf9], statuses: [1, 2, 0, 3, 0, 1, 0, 1, 1, 2, 3, 3] },
  ]

  test.each(EXAMPLES)('[STATUS-LIST-4.1-bits] the draft’s example of $bits bits', async ({ bits, lst, bytes, statuses }) => {
    const list = await readStatuses({ bits, lst }, 1_000)
    expect([...list.bytes]).toEqual(bytes)
    expect(statuses.map((_status, index) => statusAt(list, index))).toEqual(statuses)
    expect([...packed(bits, statuses)]).toEqual(bytes)
  })

  test('[STATUS-LIST-4.1-bits] any statuses are read as they were packed, and nothing beyond them', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...BITS),
        fc.array(fc.nat(255), { minLength: 1, maxLength: 300 }),
        async (bits, values) => {
          const statuses = values.map((value) => value & (2 ** bits - 1))
          const list = await readStatuses({ bits, lst: deflated(packed(bits, statuses)) }, 1_000)
          expect(statuses.map((_status, index) => statusAt(list, index))).toEqual(statuses)
          const places = list.bytes.length * (8 / bits)
          expect(statusAt(list, places - 1)).not.toBeNull()
          for (const index of [places, places + 1, places * 8, 2 ** 31, 2 ** 32, 2 ** 35, Number.MAX_SAFE_INTEGER]) {
            expect(statusAt(list, index)).toBeNull()
          }
        },
      ),
    )
  })

  test.each(BITS)('[STATUS-LIST-8.3-bounds] of %d bits: the last place is one, the next is none', async (bits) => {
    const places = 3 * (8 / bits)
    server.publish({ bits, bytes: new Uint8Array(3) })
    const lists = statusListsAt(server)
    const at = (index: number) => codeOf(() => lists.check({ uri: server.uri, index }))
    expect([await at(0), await at(places - 1), await at(places), await at(Number.MAX_SAFE_INTEGER)]).toEqual([
      'ok',
      'ok',
      'claim_invalid',
      'claim_invalid',
    ])
    expect(server.asked).toHaveLength(1)
  })

  test.each(BITS)('[STATUS-LIST-7-types] of %d bits: 0 alone is valid', async (bits) => {
    const statuses = Array.from({ length: 2 ** bits }, (_, value) => value)
    server.publish({ bits, bytes: packed(bits, statuses) })
    const lists = statusListsAt(server)
    for (const index of statuses) {
      expect(await codeOf(() => lists.check({ uri: server.uri, index }))).toBe(index === 0 ? 'ok' : 'token_revoked')
    }
  })
})

describe('a list', () => {
  /** What becomes of a token whose list is this one. */
  const outcome = async (draft: ListDraft | string | Buffer, settings = {}) => {
    const isText = typeof draft === 'string' || Buffer.isBuffer(draft)
    server.answer = text(isText ? draft : listToken(server.uri, draft))
    return codeOf(() => statusListsAt(server, settings).check({ uri: server.uri, index: 0 }))
  }

  test('[STATUS-LIST-8.1-request] is asked for by GET, as what it is', async () => {
    server.publish({})
    expect(await codeOf(() => statusListsAt(server).check({ uri: server.uri, index: 0 }))).toBe('ok')
    expect(server.asked).toEqual(['/lists/1'])
    expect(server.accepts).toEqual(['application/statuslist+jwt'])
  })

  test('[STATUS-LIST-5.1-token] is believed in every form that it may have', async () => {
    for (const draft of [
      {},
      { claims: { iss: server.origin } },
      { claims: { exp: SECONDS + 1 } },
      { claims: { exp: SECONDS - 4 } }, // clocks may differ
      { claims: { iat: SECONDS + 5 } },
      { claims: { iat: 0.5 } },
      { claims: { ttl: 0.1 } },
      { claims: { ttl: 1e300 } },
      { claims: { nbf: SECONDS } },
      { claims: { jti: 'a', more: [1] } },
      { header: { typ: 'application/statuslist+jwt' } },
      { header: { typ: 'StatusList+JWT' } },
      { header: { kid: undefined } },
      { claims: { status_list: { bits: 8, lst: deflated(Uint8Array.of(0)), aggregation_uri: 'https://a.example' } } },
    ]) {
      expect(await outcome(draft), JSON.stringify(draft)).toBe('ok')
    }
  })

  const stranger = createSigningKey('EdDSA', { kid: KEY.kid })
  const rsa = createSigningKey('RS256')
  test.each<readonly [string, () => ListDraft | string | Buffer]>([
    ['an access token', () => ({ header: { typ: 'at+jwt' } })],
    ['a JWT', () => ({ header: { typ: 'JWT' } })],
    ['of no type', () => ({ header: { typ: undefined } })],
    ['of another type that begins so', () => ({ header: { typ: 'statuslist+jwt2' } })],
    ['a CWT by its type', () => ({ header: { typ: 'statuslist+cwt' } })],
    ['of an unreadable type', () => ({ header: { typ: ['statuslist+jwt'] } })],
    ['signed by a stranger', () => ({ key: stranger })],
    ['signed by a key that is not the issuer’s', () => ({ key: rsa })],
    ['of an algorithm that is not accepted', () => ({ header: { alg: 'ES256' } })],
    ['unsigned', () => ({ header: { alg: 'none' } })],
    ['unsigned, without signature', () => listToken(server.uri).replace(/[^.]*$/, '')],
    ['signed by a shared secret', () => ({ header: { alg: 'HS256' } })],
    ['of no algorithm', () => ({ header: { alg: undefined } })],
    ['of another key id', () => ({ header: { kid: 'other' } })],
    ['of an unreadable key id', () => ({ header: { kid: 1 } })],
    ['of a key id that is too long', () => ({ header: { kid: 'k'.repeat(257) } })],
    ['with a critical extension', () => ({ header: { crit: ['exp'] } })],
    [
      'changed after it was signed',
      () => listToken(server.uri).replace(/\.[^.]*\./, `.${listToken(server.uri, { claims: { ttl: 9 } }).split('.')[1]}.`),
    ],
    ['of another issuer', () => ({ claims: { iss: 'https://other.example.test' } })],
    ['of an unreadable issuer', () => ({ claims: { iss: null } })],
    ['of another list', () => ({ claims: { sub: `${server.uri}0` } })],
    ['of the same list, written otherwise', () => ({ claims: { sub: server.uri.replace('http:', 'HTTP:') } })],
    ['of no list', () => ({ claims: { sub: undefined } })],
    ['for an audience', () => ({ claims: { aud: 'https://api.example.test' } })],
    ['without time', () => ({ claims: { iat: undefined } })],
    ['of an unreadable time', () => ({ claims: { iat: String(SECONDS) } })],
    ['of the future', () => ({ claims: { iat: SECONDS + 6 } })],
    ['not valid yet', () => ({ claims: { nbf: SECONDS + 6 } })],
    ['of an unreadable beginning', () => ({ claims: { nbf: null } })],
    ['expired', () => ({ claims: { exp: SECONDS - 5 } })],
    ['of an unreadable end', () => ({ claims: { exp: '9999999999' } })],
    ['of an end of null', () => ({ claims: { exp: null } })],
    ['of a ttl of 0', () => ({ claims: { ttl: 0 } })],
    ['of a negative ttl', () => ({ claims: { ttl: -1 } })],
    ['of an unreadable ttl', () => ({ claims: { ttl: '60' } })],
    ['without statuses', () => ({ claims: { status_list: undefined } })],
    ['of unreadable statuses', () => ({ claims: { status_list: [] } })],
    ['of 0 bits', () => ({ bits: 0 })],
    ['of 3 bits', () => ({ bits: 3 })],
    ['of 16 bits', () => ({ bits: 16 })],
    ['of negative bits', () => ({ bits: -1 })],
    ['of bits that are text', () => ({ bits: '1' })],
    ['of no bits', () => ({ claims: { status_list: { lst: deflated(Uint8Array.of(0)) } } })],
    ['without content', () => ({ claims: { status_list: { bits: 1 } } })],
    ['of empty content', () => ({ lst: '' })],
    ['of content that is a list', () => ({ lst: [0] })],
    ['of plain bytes', () => ({ lst: 'AAAA' })],
    ['of padded base64', () => ({ lst: `${deflated(Uint8Array.of(0))}=` })],
    [
      'of base64 of the other alphabet',
      () => ({
        lst: Buffer.from(deflated(Uint8Array.of(250, 255, 190)), 'base64url')
          .toString('base64')
          .replace(/=*$/, '+'),
      }),
    ],
    ['of base64 with a blank', () => ({ lst: ` ${deflated(Uint8Array.of(0))}` })],
    [
      'cut off',
      () => ({
        lst: Buffer.from(deflated(new Uint8Array(999)), 'base64url')
          .subarray(0, -5)
          .toString('base64url'),
      }),
    ],
    [
      'of a wrong checksum',
      () => ({
        lst: Buffer.concat([Buffer.from(deflated(new Uint8Array(9)), 'base64url').subarray(0, -1), Buffer.of(2)]).toString(
          'base64url',
        ),
      }),
    ],
    ['no token', () => '{"status_list":{"bits":1,"lst":"eNpjAAAAAQAB"}}'],
    ['nothing', () => ''],
    ['a page', () => '<html>'],
    ['a token and a line break', () => `${listToken(server.uri)}\n`],
    ['not UTF-8', () => Buffer.from([0xff, 0xfe])],
  ])('[STATUS-LIST-8.3-validation] that is %s says nothing: 503, never the caller’s fault', async (_what, made) => {
    expect(await outcome(made())).toBe('revocation_unavailable')
  })

  test.each<readonly [string, ListDraft]>([
    ['names its key unreadably', { header: { kid: 1 } }],
    ['names its key unreadably', { header: { kid: 'k'.repeat(257) } }],
    ['is signed by a key that is not one of its issuer', { header: { kid: 'k'.repeat(256) } }],
    ['holds no status list', { claims: { status_list: null } }],
    ['is of another list', { claims: { sub: 'x' } }],
  ])('[STATUS-LIST-8.3-validation] why it is not believed is told to the application: it %s', async (reason, draft) => {
    server.publish(draft)
    const lists = statusListsAt(server)
    const error: unknown = await Promise.resolve(lists.check({ uri: server.uri, index: 0 })).catch((each: unknown) => each)
    expect((error as AuthError).cause).toMatchObject({ message: `the status list token ${reason}` })
  })

  test.each<readonly [string, Answer]>([
    ['the status list token is not a well-formed signed JWT', text('<html>')],
    ['the answer is too large', flood(5 * 1024 * 1024)],
    ['the answer is too large', status(200, { 'content-length': String(5 * 1024 * 1024) })],
    ['the server did not answer with status 200', status(404)],
  ])('[STATUS-LIST-8.3-validation] and why it is none: %s', async (message, answer) => {
    server.answer = answer
    const error: unknown = await Promise.resolve(statusListsAt(server).check({ uri: server.uri, index: 0 })).catch((each) => each)
    expect((error as AuthError).cause).toMatchObject({ message })
  })

  test.each([201, 203, 206, 226])('[STATUS-LIST-8.1-request] that comes with status %d is not the list', async (code) => {
    server.answer = (_request, response) => response.writeHead(code).end(listToken(server.uri))
    expect(await codeOf(() => statusListsAt(server).check({ uri: server.uri, index: 0 }))).toBe('revocation_unavailable')
  })

  test('[STATUS-LIST-8.3-validation] that says its statuses twice says nothing', async () => {
    const header = { alg: 'EdDSA', kid: KEY.kid, typ: 'statuslist+jwt' }
    const statuses = (value: number) => `"status_list":{"bits":1,"lst":"${deflated(Uint8Array.of(value))}"}`
    const signed = (...members: readonly string[]) =>
      signCompact(header, `{"sub":${JSON.stringify(server.uri)},"iat":${SECONDS},${members.join()}}`, KEY)
    expect(await outcome(signed(statuses(0)))).toBe('ok')
    expect(await outcome(signed(statuses(1)))).toBe('token_revoked')
    expect(await outcome(signed(statuses(1), statuses(0)))).toBe('revocation_unavailable')
  })

  test('[STATUS-LIST-8.3-validation] is proved by every algorithm of the issuer, and by no other', async () => {
    for (const algorithm of ['RS256', 'PS256', 'ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519'] as const) {
      const key = createSigningKey(algorithm)
      const keys = keysOf(key)
      expect(await outcome({ key }, { keys, algorithms: [algorithm] }), algorithm).toBe('ok')
      expect(await outcome({ key }, { keys, algorithms: ['PS384'] }), algorithm).toBe('revocation_unavailable')
    }
  })

  test('[STATUS-LIST-8.3-size] that is inflated without end is given up where its bound is', async () => {
    const bomb = deflated(new Uint8Array(40 * 1024 * 1024)) // some 40 KB
    expect(bomb.length).toBeLessThan(60_000)
    expect(await outcome({ lst: bomb })).toBe('revocation_unavailable')
    expect(await outcome({ bytes: new Uint8Array(1_000) }, { limits: { statusListInflatedBytes: 1_000 } })).toBe('ok')
    expect(await outcome({ bytes: new Uint8Array(1_001) }, { limits: { statusListInflatedBytes: 1_000 } })).toBe(
      'revocation_unavailable',
    )
  })

  test('[STATUS-LIST-8.3-size] is read up to its bound, and that of its token', async () => {
    const { length } = listToken(server.uri)
    expect(await outcome({}, { limits: { statusListBytes: length } })).toBe('ok')
    expect(await outcome({}, { limits: { statusListBytes: length - 1 } })).toBe('revocation_unavailable')
    let seed = 1
    const large = new Uint8Array(300_000).map(() => {
      seed = (seed * 1_664_525 + 1_013_904_223) % 2 ** 32
      return seed >>> 24
    })
    expect(listToken(server.uri, { bytes: large }).length).toBeGreaterThan(256 * 1024) // more than a key set may have
    expect(await outcome({ bytes: large })).toBe('ok')
  })

  test('[STATUS-LIST-8.3-validation] a refusal quotes nothing of it', async () => {
    server.answer = text(listToken(server.uri, { claims: { iss: 'secret-issuer' }, header: { kid: 'secret-kid' } }))
    const lists = statusListsAt(server)
    const error: unknown = await Promise.resolve(lists.check({ uri: `${server.uri}?secret`, index: 7 })).catch((each) => each)
    expect(error).toBeInstanceOf(AuthError)
    expect(inspect(error, { depth: 9, showHidden: true })).not.toMatch(/secret|lists\/1/)
    expect((error as AuthError).cause).toMatchObject({ name: 'FetchError' })
  })

  test('[STATUS-LIST-8.3-validation] of another issuer’s server is not taken for this one’s', async () => {
    other.answer = text(listToken(server.uri))
    const lists = statusListsAt(server, { origins: [server.origin, other.origin] })
    expect(await codeOf(() => lists.check({ uri: other.uri, index: 0 }))).toBe('revocation_unavailable')
    server.answer = status(302, { location: other.uri })
    expect(await codeOf(() => lists.check({ uri: server.uri, index: 0 }))).toBe('revocation_unavailable')
  })
})
