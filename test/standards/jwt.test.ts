/** What a token is: RFC 7515, RFC 7518, RFC 7519, RFC 8725. */
import { constants, sign } from 'node:crypto'
import { createSigningKey, signCompact, signText } from '@behalf/testing'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { contextIn } from '../support/request.js'
import { LONG_KID, LONGEST_KID, NO_AUDIENCE, openTrustedApi, STRICT, type TrustedApi } from '../support/trusted-api.js'
import { DOORS } from './warm-doors.js'

const TOKEN_BYTES = 16 * 1024
const IDENTIFIER_CHARACTERS = 1024
const TOLERANCE_SECONDS = 5

const base64url = (data: string | Uint8Array) => Buffer.from(data as string).toString('base64url')
const partsOf = (token: string) => token.split('.') as [string, string, string]

describe.each(DOORS)('$name', ({ open }) => {
  let api: TrustedApi
  let start = 0
  beforeAll(async () => {
    api = await openTrustedApi(open, { algorithms: ['EdDSA', 'ES256', 'RS256', 'PS256'] })
    start = api.nowSeconds
  })
  afterAll(() => api.close())

  /** A token over exactly these header and payload bytes, whose signature holds. */
  function signed(header: string | Uint8Array, payload: string | Uint8Array): string {
    const input = `${base64url(header)}.${base64url(payload)}`
    return `${input}.${base64url(signText(input, 'EdDSA', api.issuer.key('EdDSA').privateKey))}`
  }
  const decoded = (token: string) =>
    partsOf(token)
      .slice(0, 2)
      .map((part) => Buffer.from(part, 'base64url').toString()) as [string, string]

  describe('parts', () => {
    test('[RFC7519-7.2-parts] has three parts, no more and no fewer', async () => {
      const [header, payload, signature] = partsOf(api.token())
      expect(await api.outcome(`${header}.${payload}.${signature}`)).toBe('200')
      const others = [header, `${header}.${payload}`, `${header}.${payload}.${signature}.`, `.${payload}.${signature}`]
      for (const other of [...others, `${header}..${signature}`, `${header}.${payload}.`, '...', '.', '..']) {
        expect(await api.outcome(other), other).toBe('401 token_malformed')
      }
    })

    test('[RFC8725-3.3-encrypted] refuses an encrypted token: decryption proves nobody', async () => {
      const [header] = partsOf(api.token({ header: { alg: 'dir', enc: 'A256GCM' } }))
      expect(await api.outcome(`${header}..aXY.Y3Q.dGFn`)).toBe('401 token_malformed')
      expect(await api.outcome(`${header}.a2V5.aXY.Y3Q.dGFn`)).toBe('401 token_malformed')
    })

    test('[RFC7515-5.2-base64url] refuses padding, the other alphabet and stray bits', async () => {
      const token = api.token()
      const [header, payload, signature] = partsOf(token)
      expect(await api.outcome(`${token}==`)).toBe('401 token_malformed')
      expect(await api.outcome(`${header}.${payload}.+${signature.slice(1)}`)).toBe('401 token_malformed')
      expect(await api.outcome(`${header}.${payload}.~${signature.slice(1)}`)).toBe('401 token_malformed')
      // 89 characters are no whole number of bytes.
      expect(await api.outcome(`${header}.${payload}.${signature}AAA`)).toBe('401 token_malformed')
      // 64 bytes leave four unused bits in the last character: only one of sixteen spellings is the token.
      const last = signature.at(-1) ?? ''
      const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
      const stray = alphabet[alphabet.indexOf(last) ^ 1]
      expect(await api.outcome(`${header}.${payload}.${signature.slice(0, -1)}${stray}`)).toBe('401 token_malformed')
    })

    test('[RFC7515-5.2-header] [RFC7519-7.2-claims] header and claims are JSON objects', async () => {
      const [header, payload] = decoded(api.token())
      expect(await api.outcome(signed(header, payload))).toBe('200')
      for (const other of ['', '[]', 'null', '"text"', '1', '{', `${header},`, `\ufeff${header}`]) {
        expect(await api.outcome(signed(other, payload)), other).toBe('401 token_malformed')
      }
      for (const other of ['[]', 'null', '"text"', '1', '{', `${payload}x`, `\ufeff${payload}`, payload.replaceAll('"', "'")]) {
        expect(await api.outcome(signed(header, other)), other).toBe('401 token_malformed')
      }
    })

    test('[RFC8725-3.7-utf8] refuses what is not UTF-8', async () => {
      const [header, payload] = decoded(api.with({ name: 'X' }))
      const broken = (text: string, ...bytes: number[]) => {
        const [before = '', after = ''] = text.split('X')
        return Buffer.concat([Buffer.from(before), Buffer.from(bytes), Buffer.from(after)])
      }
      expect(await api.outcome(signed(header, broken(payload, 0xc3, 0xa9)))).toBe('200')
      for (const bytes of [[0xff], [0xc3], [0xc0, 0xaf], [0xed, 0xa0, 0x80], [0xf4, 0x90, 0x80, 0x80]]) {
        expect(await api.outcome(signed(header, broken(payload, ...bytes))), String(bytes)).toBe('401 token_malformed')
      }
      expect(await api.outcome(signed(Buffer.from(header, 'utf16le'), payload))).toBe('401 token_malformed')
    })

    test('[RFC7515-4-duplicates] [RFC7519-4-duplicates] refuses two members of one name, however they are written', async () => {
      const [header, payload] = decoded(api.token())
      const also = (text: string, member: string) => text.replace('{', `{${member},`)
      expect(await api.outcome(signed(also(header, '"x":"EdDSA:"'), also(payload, '"x":{"sub":"a:b"}')))).toBe('200')
      expect(await api.outcome(signed(also(header, '"alg":"EdDSA"'), payload))).toBe('401 token_malformed')
      for (const member of [
        '"sub":"user-1"',
        '"s\\u0075b":"admin"',
        '"act":{"sub":"a","sub":"b"}',
        '"x":[{"y":1,"\\u0079":2}]',
      ]) {
        expect(await api.outcome(signed(header, also(payload, member))), member).toBe('401 token_malformed')
      }
    })

    test('[RFC8725-3.14-compact] refuses the JSON serialisation', async () => {
      const [header, payload, signature] = partsOf(api.token())
      const json = JSON.stringify({ protected: header, payload, signature })
      expect(await api.outcome(json)).toBe('400 credentials_malformed')
      expect(await api.outcome(base64url(json))).toBe('401 token_malformed')
    })

    test('[BEHALF-limit-nesting] claims may be nested 32 deep, and no deeper', async () => {
      const nested = (depth: number) => JSON.parse(`${'['.repeat(depth)}${']'.repeat(depth)}`)
      expect(await api.outcome(api.with({ x: nested(31) }))).toBe('200')
      expect(await api.outcome(api.with({ x: nested(32) }))).toBe('401 token_malformed')
    })

    test('[BEHALF-limit-token] a token may have 16 KiB, and not a byte more', async () => {
      const ofLength = (length: number) => {
        for (const header of ['', 'h', 'hh', 'hhh']) {
          const overhead = api.token({ header: { x: header }, claims: { x: '' } }).length
          const about = Math.floor(((length - overhead) * 3) / 4)
          for (const more of [-2, -1, 0, 1, 2]) {
            const token = api.token({ header: { x: header }, claims: { x: 'p'.repeat(about + more) } })
            if (token.length === length) return token
          }
        }
        throw new Error(`no token of ${length} characters was found`)
      }
      expect(await api.outcome(ofLength(TOKEN_BYTES - 1))).toBe('200')
      expect(await api.outcome(ofLength(TOKEN_BYTES))).toBe('200')
      expect(await api.outcome(ofLength(TOKEN_BYTES + 1))).toBe('401 token_malformed')
    })
  })

  describe('header', () => {
    test.each([
      { crit: ['exp'], exp: 1 },
      { crit: ['b64'], b64: true },
      { crit: [] },
      { crit: ['x'] },
      { crit: null },
      { crit: 'alg' },
    ])('[RFC7515-4.1.11-crit] refuses %j: no extension is understood here', async (header) => {
      expect(await api.outcome(api.token({ header }))).toBe('401 token_malformed')
    })

    test('[RFC7515-4.1.11-crit] ignores an unknown member that is not critical', async () => {
      expect(await api.outcome(api.token({ header: { x: { y: 1 } } }))).toBe('200')
    })

    test.each(['at+jwt', 'AT+JWT', 'application/at+jwt', 'Application/At+Jwt'])(
      '[RFC7515-4.1.9-typ] takes typ %s: media types have no case, and may leave "application/" out',
      async (typ) => {
        expect(await api.outcome(api.token({ header: { typ } }))).toBe('200')
      },
    )

    test('[RFC8725-3.10-no-fetch] neither fetches nor uses a key that the token brings or points to', async () => {
      const stranger = createSigningKey('EdDSA', { kid: api.issuer.key('EdDSA').kid })
      const before = { ...api.issuer.hits }
      for (const header of [
        { jwk: stranger.jwk },
        { jku: api.issuer.jwksUri },
        { x5u: api.issuer.jwksUri },
        { x5c: ['AAAA'] },
        { kid: api.issuer.jwksUri },
        { kid: '../../../../dev/null' },
      ]) {
        expect(await api.outcome(api.token({ key: stranger, header })), JSON.stringify(header)).toMatch(
          /^401 (signature_invalid|key_unknown)$/,
        )
      }
      expect(api.issuer.hits).toEqual(before)
    })

    test('[RFC7515-4.1.4-kid] a key id is a string', async () => {
      for (const kid of [1, null, ['k'], {}, true]) {
        expect(await api.outcome(api.token({ header: { kid } })), JSON.stringify(kid)).toBe('401 token_malformed')
      }
      expect(await api.outcome(api.token({ header: { kid: '' } }))).toBe('401 key_unknown')
      expect(await api.outcome(api.token({ header: { kid: '__proto__' } }))).toBe('401 key_unknown')
    })

    test('[RFC7515-4.1.4-kid] without a key id the one key that fits the algorithm is taken', async () => {
      expect(await api.outcome(api.token({ header: { kid: undefined } }))).toBe('200')
    })

    test('[BEHALF-limit-kid] a key id may have 256 characters, and no more', async () => {
      const token = (kid: string) => api.token({ header: { kid }, claims: { iss: LONG_KID } })
      expect(await api.outcome(token(LONGEST_KID))).toBe('200')
      expect(await api.outcome(token(LONGEST_KID.slice(1)))).toBe('401 key_unknown')
      expect(await api.outcome(token(`${LONGEST_KID}k`))).toBe('401 key_unknown')
    })
  })

  describe('algorithm and signature', () => {
    test.each(['none', 'None', 'noNE', 'NONE', ''])('[RFC9068-2.1-none] [RFC7518-3.6-none] refuses alg %j', async (alg) => {
      const token = api.token({ header: { alg } })
      expect(await api.outcome(token)).toBe('401 algorithm_refused')
      const [header, payload] = partsOf(token)
      expect(await api.outcome(`${header}.${payload}.`)).toBe('401 token_malformed')
      expect(await api.outcome(`${header}.${payload}.AAAA`)).toBe('401 algorithm_refused')
    })

    test.each(['HS256', 'HS512', 'eddsa', 'ES256K', 'RS1', 'Ed448', 'dir', 1, null, ['EdDSA'], '__proto__', 'toString'])(
      '[RFC8725-3.1-allow-list] refuses alg %j, whatever the signature',
      async (alg) => {
        expect(await api.outcome(api.token({ header: { alg } }))).toBe('401 algorithm_refused')
      },
    )

    test('[RFC8725-3.1-allow-list] refuses an algorithm that this issuer is not given, though its key is there', async () => {
      expect(await api.outcome(api.token({ algorithm: 'ES256' }))).toBe('200')
      const claims = { iss: STRICT }
      expect(await api.outcome(api.token({ algorithm: 'EdDSA', claims }))).toBe('200')
      expect(await api.outcome(api.token({ algorithm: 'ES256', claims }))).toBe('401 algorithm_refused')
    })

    test('[RFC8725-3.1-one-algorithm] a key proves nothing under an algorithm other than its own', async () => {
      const { kid: rsa, privateKey } = api.issuer.key('RS256')
      const pss = { algorithm: 'PS256', kid: rsa, privateKey, jwk: {} } as const
      expect(await api.outcome(api.token({ algorithm: 'RS256' }))).toBe('200')
      expect(await api.outcome(api.token({ algorithm: 'PS256' }))).toBe('200')
      expect(await api.outcome(api.token({ key: pss }))).toBe('401 key_unknown')
      expect(await api.outcome(api.token({ header: { kid: api.issuer.key('ES256').kid } }))).toBe('401 key_unknown')
    })

    test('[RFC8725-3.1-allow-list] an HMAC made with the public key as its secret is refused', async () => {
      const { createHmac } = await import('node:crypto')
      const secret = JSON.stringify(api.issuer.key('RS256').jwk)
      const [header, payload] = partsOf(api.token({ algorithm: 'RS256', header: { alg: 'HS256' } }))
      const mac = createHmac('sha256', secret).update(`${header}.${payload}`).digest('base64url')
      expect(await api.outcome(`${header}.${payload}.${mac}`)).toBe('401 algorithm_refused')
    })

    test.each(['EdDSA', 'ES256', 'RS256', 'PS256'] as const)(
      '[RFC7515-5.2-signature] [RFC9068-4-signature] %s: refuses another signature, header or payload',
      async (algorithm) => {
        const token = api.token({ algorithm })
        const [header, payload, signature] = partsOf(token)
        const bytes = Buffer.from(signature, 'base64url')
        bytes.writeUInt8(bytes.readUInt8(9) ^ 1, 9)
        const [otherHeader, otherPayload] = partsOf(api.token({ algorithm, header: { x: 1 }, claims: { sub: 'admin' } }))
        expect(await api.outcome(token)).toBe('200')
        for (const other of [
          `${header}.${payload}.${bytes.toString('base64url')}`,
          `${otherHeader}.${payload}.${signature}`,
          `${header}.${otherPayload}.${signature}`,
        ]) {
          expect(await api.outcome(other)).toBe('401 signature_invalid')
        }
      },
    )

    test("[RFC9068-4-signature] refuses a stranger's key under the issuer's key id", async () => {
      const { kid } = api.issuer.key('EdDSA')
      expect(await api.outcome(api.token({ key: createSigningKey('EdDSA', { kid }) }))).toBe('401 signature_invalid')
    })

    test('[RFC7518-3.4-format] an ECDSA signature is R and S of 32 bytes each: neither DER nor another length', async () => {
      const key = api.issuer.key('ES256')
      const [header, payload, signature] = partsOf(api.token({ algorithm: 'ES256' }))
      const input = `${header}.${payload}`
      const der = sign('sha256', Buffer.from(input), { key: key.privateKey, dsaEncoding: 'der' })
      const raw = Buffer.from(signature, 'base64url')
      expect(await api.outcome(`${input}.${raw.toString('base64url')}`)).toBe('200')
      for (const other of [der, raw.subarray(1), Buffer.concat([raw, Buffer.from([0])]), Buffer.alloc(64)]) {
        expect(await api.outcome(`${input}.${other.toString('base64url')}`)).toBe('401 signature_invalid')
      }
    })

    test('[RFC7518-3.5-salt] a PSS signature has a salt as long as its digest', async () => {
      const { privateKey } = api.issuer.key('PS256')
      const [header, payload] = partsOf(api.token({ algorithm: 'PS256' }))
      const withSalt = (saltLength: number) => {
        const options = { key: privateKey, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength }
        return `${header}.${payload}.${sign('sha256', Buffer.from(`${header}.${payload}`), options).toString('base64url')}`
      }
      expect(await api.outcome(withSalt(32))).toBe('200')
      for (const saltLength of [0, 20, 31, 33, 64]) expect(await api.outcome(withSalt(saltLength))).toBe('401 signature_invalid')
    })

    test('[RFC7518-3.5-salt] a PKCS #1 v1.5 signature is none of PSS', async () => {
      const { privateKey } = api.issuer.key('PS256')
      const [header, payload] = partsOf(api.token({ algorithm: 'PS256' }))
      const signature = sign('sha256', Buffer.from(`${header}.${payload}`), privateKey).toString('base64url')
      expect(await api.outcome(`${header}.${payload}.${signature}`)).toBe('401 signature_invalid')
    })

    test('[RFC8725-3.8-issuer-keys] a key of one issuer proves nothing for another, also under one key id', async () => {
      const { kid } = api.issuer.key('EdDSA')
      const own = createSigningKey('EdDSA', { kid })
      const other = 'https://other.example.test'
      const two = await open(
        {
          issuers: [
            api.issuer.options({ jwks: api.issuer.jwks() }),
            api.issuer.options({ issuer: other, jwks: { keys: [own.jwk] } }),
          ],
          now: () => api.nowSeconds * 1000,
        },
        [{ method: 'GET', path: '/context', requirement: {} }],
      )
      const status = async (token: string) => (await two.ask('/context', { token })).status
      try {
        expect(await status(api.token())).toBe(200)
        expect(await status(api.token({ key: own, claims: { iss: other } }))).toBe(200)
        expect(await status(api.token({ key: own }))).toBe(401)
        expect(await status(api.with({ iss: other }))).toBe(401)
      } finally {
        await two.close()
      }
    })
  })

  describe('claims', () => {
    test('[RFC7519-4.1.1-iss] [RFC9068-4-iss] the issuer is compared exactly, and the dialect follows from it alone', async () => {
      const { issuer } = api.issuer
      const others = [
        `${issuer}/`,
        issuer.toUpperCase(),
        issuer.replace('127.0.0.1', 'localhost'),
        ` ${issuer}`,
        '',
        null,
        1,
        [issuer],
      ]
      for (const iss of [...others, undefined]) {
        expect(await api.outcome(api.with({ iss })), JSON.stringify(iss)).toBe('401 issuer_unknown')
      }
    })

    test('[RFC7519-4.1.2-sub] [RFC8725-3.8-subject] the subject is a non-empty string without hidden characters', async () => {
      for (const sub of ['user-1', 'Jos\u00e9', 'a b', '\u5c71\u7530'])
        expect(contextIn(await api.answer(api.with({ sub }))).subject.id).toBe(sub)
      const refused = [
        '',
        ' ',
        ' a',
        'a ',
        'a\n',
        'a\u0000',
        'a\u202eb',
        'a\u200bb',
        '\ud800',
        'a\u2028',
        'a\u00a0b',
        1,
        null,
        {},
        ['a'],
      ]
      for (const sub of refused) expect(await api.outcome(api.with({ sub })), JSON.stringify(sub)).toBe('401 claim_invalid')
      expect(await api.outcome(api.with({ sub: undefined, act: { sub: 'a' } }))).toBe('401 claim_missing')
    })

    test('[RFC7519-4.1.3-aud] [RFC9068-4-aud] [RFC8725-3.9-audience] one audience is this API, exactly', async () => {
      const { audience } = api.issuer
      for (const aud of [audience, [audience], ['https://other.example.test', audience]]) {
        expect(await api.outcome(api.with({ aud })), JSON.stringify(aud)).toBe('200')
      }
      for (const aud of [
        `${audience}/`,
        audience.toUpperCase(),
        `${audience} x`,
        [`x ${audience}`],
        'https://other.example.test',
        [],
      ]) {
        expect(await api.outcome(api.with({ aud })), JSON.stringify(aud)).toBe('401 audience_mismatch')
      }
      for (const aud of ['', null, 1, { [audience]: true }, [audience, 1], [[audience]], [audience, '']]) {
        expect(await api.outcome(api.with({ aud })), JSON.stringify(aud)).toBe('401 claim_invalid')
      }
      expect(await api.outcome(api.with({ aud: undefined }))).toBe('401 claim_missing')
    })

    test('[RFC7519-4.1.3-aud-null] where tokens have no audience, one that has is for somebody else', async () => {
      const token = (claims: object) =>
        api.token({ header: { typ: 'JWT' }, claims: { iss: NO_AUDIENCE, aud: undefined, ...claims } })
      expect(await api.outcome(token({}))).toBe('200')
      for (const aud of [api.issuer.audience, [], [api.issuer.audience]]) {
        expect(await api.outcome(token({ aud })), JSON.stringify(aud)).toBe('401 audience_mismatch')
      }
      expect(await api.outcome(token({ client_id: 'client-2' }))).toBe('401 client_refused')
    })

    test.each([
      [-1, '401 token_expired'],
      [0, '401 token_expired'],
      [1, '200'],
    ])('[RFC7519-4.1.4-exp] [RFC9068-4-exp] %i s after the tolerance of exp has passed: %s', async (left, outcome) => {
      expect(await api.outcome(api.with({ iat: start - 600, exp: start - TOLERANCE_SECONDS + left }))).toBe(outcome)
    })

    test.each([
      [-1, '200'],
      [0, '200'],
      [1, '401 token_not_yet_valid'],
    ])('[RFC7519-4.1.5-nbf] nbf %i s beyond the tolerance: %s', async (beyond, outcome) => {
      expect(await api.outcome(api.with({ nbf: start + TOLERANCE_SECONDS + beyond }))).toBe(outcome)
    })

    test.each([
      [-1, '200'],
      [0, '200'],
      [1, '401 token_not_yet_valid'],
    ])('[RFC7519-4.1.6-iat] iat %i s beyond the tolerance: %s', async (beyond, outcome) => {
      expect(await api.outcome(api.with({ iat: start + TOLERANCE_SECONDS + beyond }))).toBe(outcome)
    })

    test('[BEHALF-time-on-hit] a token that was accepted before is refused from its expiry on', async () => {
      const token = api.with({ exp: start + 10 })
      const at = async (seconds: number) => {
        api.nowSeconds = seconds
        return api.outcome(token)
      }
      try {
        expect(await at(start)).toBe('200')
        expect(await at(start + 10 + TOLERANCE_SECONDS - 1)).toBe('200')
        expect(await at(start + 10 + TOLERANCE_SECONDS - 0.001)).toBe('200')
        expect(await at(start + 10 + TOLERANCE_SECONDS)).toBe('401 token_expired')
        expect(await at(start + 10 + TOLERANCE_SECONDS + 1)).toBe('401 token_expired')
      } finally {
        api.nowSeconds = start
      }
    })

    test('[BEHALF-time-on-hit] a token that was accepted before is refused when the clock stands before it', async () => {
      const token = api.with({ nbf: start })
      try {
        expect(await api.outcome(token)).toBe('200')
        api.nowSeconds = start - TOLERANCE_SECONDS - 1
        expect(await api.outcome(token)).toBe('401 token_not_yet_valid')
      } finally {
        api.nowSeconds = start
      }
    })

    test('[RFC7519-2-numericdate] a time is a finite number', async () => {
      const [header, payload] = decoded(api.token())
      const withText = (name: string, text: string) =>
        signed(header, payload.replace(new RegExp(`"${name}":\\d+`), `"${name}":${text}`))
      expect(await api.outcome(withText('exp', `${start + 60}.5`))).toBe('200')
      for (const name of ['exp', 'iat']) {
        for (const text of [`"${start + 60}"`, 'null', 'true', '[]', '{}', '1e400']) {
          expect(await api.outcome(withText(name, text)), `${name} ${text}`).toBe('401 claim_invalid')
        }
      }
      for (const nbf of [String(start), null, true]) {
        expect(await api.outcome(api.with({ nbf })), JSON.stringify(nbf)).toBe('401 claim_invalid')
      }
    })

    test('[RFC7519-4.1.7-jti] the token id is a string, kept as it is', async () => {
      expect(contextIn(await api.answer(api.with({ jti: 'Id-1' }))).token.id).toBe('Id-1')
      for (const jti of ['', 1, null, {}])
        expect(await api.outcome(api.with({ jti })), JSON.stringify(jti)).toBe('401 claim_invalid')
    })

    test('[RFC8693-4.2-scope] the scope is one string of words', async () => {
      expect(contextIn(await api.answer(api.with({ scope: 'b a  b' }))).scopes).toEqual(['a', 'b'])
      expect(contextIn(await api.answer(api.with({ scope: undefined }))).scopes).toEqual([])
      for (const scope of [['a'], 1, null, {}, 'a\tb', 'a\nb']) {
        expect(await api.outcome(api.with({ scope })), JSON.stringify(scope)).toBe('401 claim_invalid')
      }
    })

    test('[BEHALF-limit-identifiers] an identifier may have 1,024 characters, and no more', async () => {
      const longest = 'i'.repeat(IDENTIFIER_CHARACTERS)
      const cases: readonly [name: string, claims: (id: string) => Record<string, string | string[]>][] = [
        ['sub', (sub) => ({ sub })],
        ['client_id', (client_id) => ({ client_id })],
        ['jti', (jti) => ({ jti })],
        ['scope', (scope) => ({ scope })],
        ['aud', (other) => ({ aud: [api.issuer.audience, other] })],
      ]
      for (const [name, claims] of cases) {
        expect(await api.outcome(api.with(claims(longest.slice(1)))), name).toBe('200')
        expect(await api.outcome(api.with(claims(longest))), name).toBe('200')
        expect(await api.outcome(api.with(claims(`${longest}i`))), name).toBe('401 claim_invalid')
      }
      const act = (sub: string) => api.with({ act: { sub } })
      expect(await api.outcome(act(longest))).toBe('200')
      expect(await api.outcome(act(`${longest}i`))).toBe('401 delegation_malformed')
    })

    test('[RFC7519-3-forgery] claims that nobody signed are never read', async () => {
      const stranger = createSigningKey('EdDSA', { kid: api.issuer.key('EdDSA').kid })
      const claims = { iss: api.issuer.issuer, sub: 1, exp: 'x', act: 1 }
      const token = signCompact({ alg: 'EdDSA', kid: stranger.kid, typ: 'x' }, JSON.stringify(claims), stranger)
      expect(await api.outcome(token)).toBe('401 signature_invalid')
    })
  })
})
