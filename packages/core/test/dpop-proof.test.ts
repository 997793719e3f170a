/** Proofs of possession, taken apart and judged: RFC 9449 4.2, 4.3, 11.5 and 11.6, with its own examples. */
import { createHash, createHmac, generateKeyPairSync } from 'node:crypto'
import type { Algorithm, JsonObject, JsonValue } from '@behalf/core'
import { createDpopClient, createSigningKey, type DpopClient, TEST_ALGORITHMS } from '@behalf/testing'
import { describe, expect, test } from 'vitest'
import { readConfirmation } from '../src/binding/confirmation.js'
import { type DpopProof, DpopProofReader } from '../src/binding/dpop-proof.js'
import { checkProof, PROOF_CHECKS, type ProofDemand } from '../src/binding/proof-checks.js'
import { DEFAULT_LIMITS, type Limits } from '../src/limits.js'
import { EXAMPLE, EXAMPLE_BOUND_JWT, EXAMPLE_JKT, EXAMPLE_JWK, EXAMPLE_TOKEN_REQUEST_PROOF } from './support/rfc9449.js'

const NOW = 1_790_000_000
const URI = 'https://api.example.com/orders'
const client = createDpopClient({ now: () => NOW * 1000 })

function readerOf(limits: Partial<Limits> = {}, algorithms: readonly Algorithm[] = TEST_ALGORITHMS): DpopProofReader {
  return new DpopProofReader(new Set(algorithms), { ...DEFAULT_LIMITS, ...limits })
}

/** The proof, or why it is none. */
async function read(line: string | null, jkt: string = client.jkt, reader = readerOf()): Promise<DpopProof | string> {
  return reader.read(line, jkt, false)
}

function proofOf(overrides: Parameters<DpopClient['proof']>[2] = {}, by: DpopClient = client): string {
  return by.proof('GET', URI, { token: 'token', ...overrides })
}

function claimsOf(jwt: string): JsonObject {
  return JSON.parse(Buffer.from(jwt.split('.')[1] ?? '', 'base64url').toString()) as JsonObject
}

describe('the examples of RFC 9449', () => {
  const demand: ProofDemand = {
    token: EXAMPLE.token,
    method: EXAMPLE.method,
    targetUri: EXAMPLE.origin + EXAMPLE.path,
    nonces: null,
    nowSeconds: EXAMPLE.iat,
    toleranceSeconds: 5,
    lifeSeconds: 60,
  }

  async function example(): Promise<DpopProof> {
    const proof = await read(EXAMPLE.proof, EXAMPLE_JKT)
    if (typeof proof === 'string') throw new Error(proof)
    return proof
  }

  test('[RFC9449-4.3-6-signature] [RFC9449-6.1-jkt] the proof of figure 13 holds, by the key that figure 9 names', async () => {
    expect(await example()).toEqual({
      thumbprint: EXAMPLE_JKT,
      jti: EXAMPLE.jti,
      htm: 'GET',
      htu: 'https://resource.example.org/protectedresource',
      iat: EXAMPLE.iat,
      ath: EXAMPLE.ath,
      nonce: undefined,
    })
  })

  test('[RFC9449-4.3-8-htm] [RFC9449-4.3-9-htu] [RFC9449-4.3-11-time] [RFC9449-4.3-12-ath] it fits its request, and no other', async () => {
    const proof = await example()
    expect(checkProof(proof, demand)).toBeNull()
    expect(checkProof(proof, { ...demand, method: 'POST' })).toBe('proof_method_mismatch')
    expect(checkProof(proof, { ...demand, targetUri: `${EXAMPLE.origin}/other` })).toBe('proof_target_mismatch')
    expect(checkProof(proof, { ...demand, targetUri: `https://resource.example.com${EXAMPLE.path}` })).toBe(
      'proof_target_mismatch',
    )
    expect(checkProof(proof, { ...demand, token: `${EXAMPLE.token}x` })).toBe('proof_token_mismatch')
    expect(checkProof(proof, { ...demand, nowSeconds: EXAMPLE.iat + 65 })).toBe('proof_expired')
    expect(checkProof(proof, { ...demand, nowSeconds: EXAMPLE.iat - 6 })).toBe('proof_not_yet_valid')
  })

  test('[RFC9449-4.3-6-signature] with one character changed in any part it does not hold', async () => {
    for (const [part, at] of [
      [0, 150],
      [1, 20],
      [2, 0],
      [2, 40],
    ] as const) {
      const parts = EXAMPLE.proof.split('.')
      const text = parts[part] ?? ''
      parts[part] = text.slice(0, at) + (text[at] === 'A' ? 'B' : 'A') + text.slice(at + 1)
      expect(typeof (await read(parts.join('.'), EXAMPLE_JKT)), `part ${part}`).toBe('string')
    }
  })

  test('[RFC9449-4.3-3-claims] the proof of figure 2, for a token endpoint, has no ath, and is none for a resource', async () => {
    expect(await read(EXAMPLE_TOKEN_REQUEST_PROOF, EXAMPLE_JKT)).toBe('proof_malformed')
  })

  test('[RFC9449-6.1-jkt] the token of figure 8 says that it is bound to that key', async () => {
    expect(readConfirmation(claimsOf(EXAMPLE_BOUND_JWT))).toEqual({ jkt: EXAMPLE_JKT, certificate: null })
    expect((await example()).thumbprint).toBe(EXAMPLE_JKT)
  })

  test('[RFC9449-4.3-12-key] the key of figure 13 proves nothing about a token that is bound to another one', async () => {
    expect(await read(EXAMPLE.proof, client.jkt)).toBe('sender_mismatch')
  })
})

describe('the field', () => {
  test('[RFC9449-4.3-1-one-field] no field is no proof', async () => {
    expect(await read(null)).toBe('proof_missing')
  })

  test('[RFC9449-4.3-1-one-field] two lines, which Node joins by a comma, are refused, also where both say the same', async () => {
    const proof = proofOf()
    for (const line of [`${proof}, ${proof}`, `${proof},${proof}`, `${proof}, `, `, ${proof}`, `${proof},`, ',']) {
      expect(await read(line), line.replaceAll(proof, 'proof')).toBe('proof_malformed')
    }
  })

  const [header = '', payload = '', signature = ''] = proofOf().split('.')
  test.each([
    ['nothing', ''],
    ['one part', header],
    ['two parts', `${header}.${payload}`],
    ['no signature', `${header}.${payload}.`],
    ['no header', `.${payload}.${signature}`],
    ['no payload', `${header}..${signature}`],
    ['four parts', `${header}.${payload}.${signature}.${signature}`],
    ['five parts, as a JWE has', `${header}.${payload}.${signature}.${payload}.${signature}`],
    ['padding', `${header}.${payload}.${signature}==`],
    ['the other alphabet', `${header}.${payload}.+/${signature.slice(2)}`],
    ['a space', `${header}.${payload}.${signature} `],
    ['quotes', `"${header}.${payload}.${signature}"`],
    ['bits that say nothing', `${header}.${payload}.${signature.slice(0, -1)}${signature.endsWith('B') ? 'C' : 'B'}`],
    ['JSON', '{"payload":"e30"}'],
    ['a header that is no JSON', `${Buffer.from('{').toString('base64url')}.${payload}.${signature}`],
    ['a header that is a list', `${Buffer.from('[]').toString('base64url')}.${payload}.${signature}`],
    ['the word of a scheme before it', `DPoP ${header}.${payload}.${signature}`],
  ])('[RFC9449-4.3-2-jwt] a value that is no single well-formed JWT is refused: %s', async (_what, line) => {
    expect(await read(line)).toBe('proof_malformed')
  })

  test('[RFC9449-4.3-2-jwt] a payload that is no JSON object, or has a member twice, is refused', async () => {
    const twice = `{"jti":"a","htm":"GET","htm":"GET","htu":"${URI}","iat":${NOW},"ath":"x"}`
    const escaped = `{"jti":"a","htm":"GET","\\u0068tm":"GET","htu":"${URI}","iat":${NOW},"ath":"x"}`
    for (const text of ['', '[]', 'null', '"x"', '{', '1', twice, escaped]) {
      expect(await read(proofOf({ payload: text })), text).toBe('proof_malformed')
    }
  })

  test('[RFC9449-4.3-2-jwt] a critical extension, which nobody here understands, is refused (RFC 7515 4.1.11)', async () => {
    expect(await read(proofOf({ header: { crit: ['b64'], b64: true } }))).toBe('proof_malformed')
    expect(await read(proofOf({ header: { crit: [] } }))).toBe('proof_malformed')
  })

  test('[RFC9449-11.1-size] is refused one byte beyond its limit, and read at it', async () => {
    const proof = proofOf()
    expect(typeof (await read(proof, client.jkt, readerOf({ proofBytes: proof.length })))).toBe('object')
    expect(await read(proof, client.jkt, readerOf({ proofBytes: proof.length - 1 }))).toBe('proof_malformed')
  })

  test('[RFC9449-11.1-size] its limit has nothing to do with that of tokens', async () => {
    expect(typeof (await read(proofOf(), client.jkt, readerOf({ tokenBytes: 1 })))).toBe('object')
  })
})

describe('the claims', () => {
  test.each(['jti', 'htm', 'htu', 'iat', 'ath'])('[RFC9449-4.3-3-claims] without %s it is refused', async (claim) => {
    expect(await read(proofOf({ claims: { [claim]: undefined } }))).toBe('proof_malformed')
  })

  test.each<[string, JsonValue]>([
    ['jti', ''],
    ['jti', 1],
    ['jti', null],
    ['jti', ['a']],
    ['htm', 1],
    ['htm', ['GET']],
    ['htm', null],
    ['htu', null],
    ['htu', [URI]],
    ['iat', String(NOW)],
    ['iat', null],
    ['iat', [NOW]],
    ['iat', true],
    ['ath', null],
    ['ath', 1],
    ['ath', ['x']],
  ])('[RFC9449-4.3-3-claims] with %s %j it is refused', async (claim, value) => {
    expect(await read(proofOf({ claims: { [claim]: value } }))).toBe('proof_malformed')
  })

  test('[RFC9449-4.3-3-claims] members of the prototype are no claims', async () => {
    expect(await read(proofOf({ payload: `{"__proto__":${JSON.stringify(claimsOf(proofOf()))}}` }))).toBe('proof_malformed')
  })

  test('[RFC9449-4.2-more] other claims and header parameters are let be', async () => {
    const proof = await read(proofOf({ claims: { exp: 1, aud: 'x', nonce: 'n' }, header: { kid: 'k', more: { a: [1] } } }))
    expect(proof).toMatchObject({ htm: 'GET', nonce: 'n' })
  })

  test('[RFC9449-11.1-jti] a long jti is read: what is remembered of it is a digest', async () => {
    const jti = 'j'.repeat(4000)
    expect(await read(proofOf({ claims: { jti } }))).toMatchObject({ jti })
  })
})

describe('the type', () => {
  test.each([
    undefined,
    null,
    '',
    'jwt',
    'JWT',
    'at+jwt',
    'dpop',
    'dpop+jwt ',
    'application/dpop',
    'dpop+jwt;v=1',
    1,
    ['dpop+jwt'],
  ])('[RFC9449-4.3-4-typ] [RFC9449-11.5-swap] %j is refused', async (typ) => {
    expect(await read(proofOf({ header: { typ } }))).toBe('proof_malformed')
  })
})

describe('the algorithm', () => {
  test.each(TEST_ALGORITHMS)('[RFC9449-4.3-5-alg] %s proves, where it is accepted', async (algorithm) => {
    const holder = createDpopClient({ algorithm, now: () => NOW * 1000 })
    expect(await read(proofOf({}, holder), holder.jkt)).toMatchObject({ thumbprint: holder.jkt })
    const others = TEST_ALGORITHMS.filter((each) => each !== algorithm)
    expect(await read(proofOf({}, holder), holder.jkt, readerOf({}, others))).toBe('proof_algorithm_refused')
  })

  test.each([undefined, null, '', 'none', 'None', 'nOnE', 'HS256', 'HS512', 'es256', 'ES256K', 'RSA-OAEP', 'dir', 1, ['ES256']])(
    '[RFC9449-4.3-5-alg] [RFC9449-11.6-asymmetric] %j is refused',
    async (alg) => {
      expect(await read(proofOf({ header: { alg } }))).toBe('proof_algorithm_refused')
    },
  )

  test('[RFC9449-11.6-asymmetric] none is refused without a signature, too, and a MAC by the public key', async () => {
    const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
    const claims = encode(claimsOf(proofOf()))
    const none = `${encode({ typ: 'dpop+jwt', alg: 'none', jwk: client.jwk })}.${claims}`
    expect(await read(`${none}.`)).toBe('proof_malformed')
    expect(await read(`${none}.AA`)).toBe('proof_algorithm_refused')
    const mac = `${encode({ typ: 'dpop+jwt', alg: 'HS256', jwk: client.jwk })}.${claims}`
    const tag = createHmac('sha256', JSON.stringify(client.jwk)).update(mac).digest('base64url')
    expect(await read(`${mac}.${tag}`)).toBe('proof_algorithm_refused')
  })

  test('[RFC9449-4.3-5-alg] one of another kind than the key is refused', async () => {
    for (const alg of ['RS256', 'EdDSA', 'ES384']) expect(await read(proofOf({ header: { alg } })), alg).toBe('proof_key_refused')
  })
})

describe('the key', () => {
  const small = generateKeyPairSync('rsa', { modulusLength: 1024 })
  const p384 = createDpopClient({ algorithm: 'ES384' }).jwk
  const rsa = createDpopClient({ algorithm: 'RS256' })

  test('[RFC9449-4.3-7-private] a private key in the header is refused, though all else fits', async () => {
    const jwk = client.key.privateKey.export({ format: 'jwk' }) as JsonObject
    expect(jwk).toMatchObject(client.jwk)
    expect(await read(proofOf({ header: { jwk: { ...jwk, d: undefined } } }))).toMatchObject({ thumbprint: client.jkt })
    expect(await read(proofOf({ header: { jwk } }))).toBe('proof_key_refused')
  })

  test.each<[string, JsonValue | undefined]>([
    ['nothing', undefined],
    ['null', null],
    ['a text', 'key'],
    ['a list', [client.jwk as JsonValue]],
    ['an empty object', {}],
    ['a symmetric key', { kty: 'oct', k: 'c2VjcmV0' }],
    ['a public key with a symmetric member', { ...client.jwk, k: 'c2VjcmV0' }],
    ['a member of a private key alone', { ...client.jwk, d: '' }],
    ['a member of a private key that is null', { ...client.jwk, d: null }],
    ['no curve', { ...client.jwk, crv: undefined }],
    ['another curve', { ...client.jwk, crv: 'P-384' }],
    ['a curve that nobody accepts', { ...client.jwk, crv: 'secp256k1' }],
    ['a key of another curve', p384],
    ['a key of another kind', rsa.jwk],
    ['no y', { ...client.jwk, y: undefined }],
    ['a point that is not on the curve', { ...client.jwk, y: client.jwk['x'] }],
    ['the point at nowhere', { ...client.jwk, x: '', y: '' }],
    ['numbers', { kty: 'EC', crv: 'P-256', x: 1, y: 2 }],
    ['for encryption', { ...client.jwk, use: 'enc' }],
    ['for other operations', { ...client.jwk, key_ops: ['sign'] }],
    ['for another algorithm', { ...client.jwk, alg: 'ES384' }],
    ['an id that is no text', { ...client.jwk, kid: 1 }],
  ])('[RFC9449-4.3-6-signature] a jwk that is no usable public key is refused: %s', async (_what, jwk) => {
    expect(await read(proofOf({ header: { jwk } }))).toBe('proof_key_refused')
  })

  test.each<[string, JsonObject]>([
    ['of 1024 bits', small.publicKey.export({ format: 'jwk' }) as JsonObject],
    ['without an exponent', { ...rsa.jwk, e: undefined }],
    ['with an empty exponent', { ...rsa.jwk, e: '' }],
    ['without a modulus', { ...rsa.jwk, n: undefined }],
    ['with an empty modulus', { ...rsa.jwk, n: '' }],
    ['with a number for an exponent', { ...rsa.jwk, e: 65537 }],
  ])('[RFC9449-4.3-6-signature] an RSA key %s is refused', async (_what, jwk) => {
    expect(await read(proofOf({ header: { jwk } }, rsa), rsa.jkt)).toBe('proof_key_refused')
  })

  const rsaText = (bits: number, first: number) => {
    const bytes = Buffer.alloc(bits / 8, 0xff)
    bytes[0] = first
    return bytes.toString('base64url')
  }
  test.each<[string, JsonObject, string]>([
    ['of 4096 bits', { kty: 'RSA', n: rsaText(4096, 0x80), e: 'AQAB' }, 'proof_signature_invalid'],
    ['of more', { kty: 'RSA', n: rsaText(4104, 0x80), e: 'AQAB' }, 'proof_key_refused'],
    ['with an exponent of 32 bits', { kty: 'RSA', n: rsaText(2048, 0x80), e: '_____w' }, 'proof_signature_invalid'],
    ['with one of more', { kty: 'RSA', n: rsaText(2048, 0x80), e: 'AQAAAAE' }, 'proof_key_refused'],
    ['with the exponent one', { kty: 'RSA', n: rsaText(2048, 0x80), e: 'AQ' }, 'proof_key_refused'],
    ['with an even exponent', { kty: 'RSA', n: rsaText(2048, 0x80), e: 'BA' }, 'proof_key_refused'],
    ['with a leading zero', { kty: 'RSA', n: `AA${'A'.repeat(2)}${rsaText(2048, 0x80)}`, e: 'AQAB' }, 'proof_key_refused'],
  ])('[RFC9449-4.3-6-signature] a key that anybody could make, %s: neither costly nor loose', async (_what, jwk, code) => {
    const jkt = createHash('sha256')
      .update(JSON.stringify({ e: jwk['e'], kty: 'RSA', n: jwk['n'] }))
      .digest('base64url')
    expect(await read(proofOf({ header: { jwk } }, rsa), jkt)).toBe(code)
  })

  test('[RFC9449-4.3-12-key] the same key written in another way is another one: its thumbprint is', async () => {
    const padded = { ...client.jwk, x: `${String(client.jwk['x'])}=` }
    expect(['sender_mismatch', 'proof_key_refused']).toContain(await read(proofOf({ header: { jwk: padded } })))
  })

  test('[RFC9449-6.1-jkt] members that a thumbprint has no place for change nothing', async () => {
    const jwk = { ...client.jwk, kid: 'k'.repeat(1000), use: 'sig', key_ops: ['verify'], alg: 'ES256', x5c: ['x'], more: 1 }
    expect(await read(proofOf({ header: { jwk } }))).toMatchObject({ thumbprint: client.jkt })
  })

  test('[RFC9449-4.3-6-signature] a jku, x5u or kid of the header is never followed', async () => {
    const header = { jwk: undefined, jku: 'http://127.0.0.1:1/', x5u: 'http://127.0.0.1:1/', kid: client.key.kid }
    expect(await read(proofOf({ header }))).toBe('proof_key_refused')
  })
})

describe('the signature', () => {
  test('[RFC9449-4.3-6-signature] of another key than the one that is shown does not hold', async () => {
    expect(await read(proofOf({ key: createSigningKey('ES256') }))).toBe('proof_signature_invalid')
  })

  test('[RFC9449-4.3-6-signature] of other claims does not hold, with a key that was seen before or not', async () => {
    const [header = '', , signature = ''] = proofOf().split('.')
    const [, payload = ''] = proofOf({ claims: { htm: 'POST' } }).split('.')
    const forged = `${header}.${payload}.${signature}`
    const reader = readerOf()
    expect(await read(forged, client.jkt, reader)).toBe('proof_signature_invalid')
    expect(await read(proofOf(), client.jkt, reader)).toMatchObject({ thumbprint: client.jkt })
    expect(await read(forged, client.jkt, reader)).toBe('proof_signature_invalid')
    expect(await read(proofOf({ key: createSigningKey('ES256') }), client.jkt, reader)).toBe('proof_signature_invalid')
  })

  test('[RFC9449-4.3-6-signature] in DER, of zeros, empty or too long does not hold', async () => {
    const [header, payload, signature = ''] = proofOf().split('.')
    const bytes = Buffer.from(signature, 'base64url')
    for (const each of [Buffer.alloc(64), Buffer.alloc(1), Buffer.concat([bytes, Buffer.alloc(1)]), bytes.subarray(0, 63)]) {
      expect(await read(`${header}.${payload}.${each.toString('base64url')}`)).toBe('proof_signature_invalid')
    }
  })
})

describe('a key that was seen before', () => {
  const other = createDpopClient({ now: () => NOW * 1000 })

  test('[RFC9449-4.3-12-key] proves nothing about a token that is bound to another one', async () => {
    const reader = readerOf()
    expect(await read(proofOf({}, other), other.jkt, reader)).toMatchObject({ thumbprint: other.jkt })
    expect(await read(proofOf({}, other), client.jkt, reader)).toBe('sender_mismatch')
    expect(await read(proofOf(), client.jkt, reader)).toMatchObject({ thumbprint: client.jkt })
    expect(await read(proofOf(), other.jkt, reader)).toBe('sender_mismatch')
  })

  test('its header is still checked: the type, and the claims of each proof', async () => {
    const reader = readerOf()
    await read(proofOf(), client.jkt, reader)
    expect(await read(proofOf({ header: { typ: 'JWT' } }), client.jkt, reader)).toBe('proof_malformed')
    expect(await read(proofOf({ claims: { jti: undefined } }), client.jkt, reader)).toBe('proof_malformed')
  })
})

describe('the checks', () => {
  const PROOF: DpopProof = {
    thumbprint: client.jkt,
    jti: 'j',
    htm: 'GET',
    htu: URI,
    iat: NOW,
    ath: 'PEaenWxYddN6Q_NT1PiOYfz4EsZu7jRXRlpAsNpBU-A', // SHA-256 of "token"
    nonce: undefined,
  }
  const DEMAND: ProofDemand = {
    token: 'token',
    method: 'GET',
    targetUri: URI,
    nonces: null,
    nowSeconds: NOW,
    toleranceSeconds: 5,
    lifeSeconds: 60,
  }
  const judge = (proof: Partial<DpopProof>, demand: Partial<ProofDemand> = {}) =>
    checkProof({ ...PROOF, ...proof }, { ...DEMAND, ...demand })

  test('let a good proof pass', () => {
    expect(judge({})).toBeNull()
    expect(PROOF_CHECKS.map((check) => check(PROOF, DEMAND))).toEqual(PROOF_CHECKS.map(() => null))
  })

  test.each(['get', 'Get', 'GET ', ' GET', '', 'HEAD', 'POST', 'GETX', 'GE'])('[RFC9449-4.3-8-htm] htm %j is not GET', (htm) => {
    expect(judge({ htm })).toBe('proof_method_mismatch')
  })

  test.each([
    '/orders',
    'api.example.com/orders',
    'http://api.example.com/orders',
    'https://api.example.com/',
    'https://api.example.com/orders/',
    'https://api.example.com:8443/orders',
    'https://evil.example/orders',
    'https://api.example.com@evil.example/orders',
    'https://evil.example/https://api.example.com/orders',
    '*',
    '',
  ])('[RFC9449-4.3-9-htu] htu %j is another URI', (htu) => {
    expect(judge({ htu })).toBe('proof_target_mismatch')
  })

  test.each(['HTTPS://API.example.com:443/orders', 'https://api.example.com/a/../%6Frders?q=1#part'])(
    '[RFC9449-4.3-9-htu] [RFC9449-4.3-normalization] htu %s is the same URI in another form',
    (htu) => {
      expect(judge({ htu })).toBeNull()
    },
  )

  test('[RFC9449-4.3-9-htu] a request that fits no public origin fits no proof', () => {
    expect(judge({}, { targetUri: null })).toBe('proof_target_mismatch')
    expect(judge({ htu: 'null' }, { targetUri: null })).toBe('proof_target_mismatch')
    expect(judge({ htu: 'not a URI' }, { targetUri: null })).toBe('proof_target_mismatch')
  })

  // Accepted from iat − tolerance, that instant included, up to iat + life + tolerance, that instant excluded.
  test.each([
    [0, -0.001, 'proof_not_yet_valid'],
    [0, 0, null],
    [0, 59.999, null],
    [0, 60, 'proof_expired'],
    [5, -5.001, 'proof_not_yet_valid'],
    [5, -5, null],
    [5, -4.999, null],
    [5, 64.999, null],
    [5, 65, 'proof_expired'],
    [5, 65.001, 'proof_expired'],
    [300, -300, null],
    [300, -300.001, 'proof_not_yet_valid'],
    [300, 359.999, null],
    [300, 360, 'proof_expired'],
  ])(
    '[RFC9449-4.3-11-time] [RFC9449-11.1-window] at a tolerance of %i s, %f s after iat: %j',
    (toleranceSeconds, after, refusal) => {
      expect(judge({}, { toleranceSeconds, nowSeconds: NOW + after })).toBe(refusal)
    },
  )

  test.each([1, 2, 600])('[RFC9449-11.1-window] a life of %i s has that length', (lifeSeconds) => {
    const at = (after: number) => judge({}, { lifeSeconds, toleranceSeconds: 0, nowSeconds: NOW + after })
    expect([at(lifeSeconds - 0.001), at(lifeSeconds)]).toEqual([null, 'proof_expired'])
  })

  test.each([
    [-1, 'proof_expired'],
    [0, 'proof_expired'],
    [-(2 ** 53), 'proof_expired'],
    [-1e308, 'proof_expired'],
    [NOW * 1000, 'proof_not_yet_valid'], // milliseconds, as some clients write them
    [2 ** 53, 'proof_not_yet_valid'],
    [1e308, 'proof_not_yet_valid'],
    [NOW - 0.5, null],
  ])('[RFC9449-4.3-11-time] iat %d: %j', (iat, refusal) => {
    expect(judge({ iat })).toBe(refusal)
  })

  test.each(['', 'token', 'PEaenWxYddN6Q_NT1PiOYfz4EsZu7jRXRlpAsNpBU-B', 'PEaenWxYddN6Q_NT1PiOYfz4EsZu7jRXRlpAsNpBU-A='])(
    '[RFC9449-4.3-12-ath] ath %j is not that of the token',
    (ath) => {
      expect(judge({ ath })).toBe('proof_token_mismatch')
    },
  )

  test('[RFC9449-4.3-12-ath] the digest in hexadecimal, or of another token, is none', () => {
    expect(judge({ ath: Buffer.from(PROOF.ath, 'base64url').toString('hex') })).toBe('proof_token_mismatch')
    expect(judge({}, { token: 'token2' })).toBe('proof_token_mismatch')
    expect(judge({}, { token: 'Token' })).toBe('proof_token_mismatch')
  })

  test('[RFC9449-4.3-10-nonce] a nonce is asked for last: a new one helps only where all else fits', () => {
    const nonces = { accepts: () => false } as unknown as NonNullable<ProofDemand['nonces']>
    expect(judge({}, { nonces })).toBe('proof_nonce_required')
    expect(judge({ htm: 'POST' }, { nonces })).toBe('proof_method_mismatch')
    expect(judge({ htu: 'x' }, { nonces })).toBe('proof_target_mismatch')
    expect(judge({ iat: 0 }, { nonces })).toBe('proof_expired')
    expect(judge({ ath: '' }, { nonces })).toBe('proof_token_mismatch')
  })
})

describe('what a token says that it is bound to', () => {
  const digest = EXAMPLE_JKT
  test.each<[string, JsonValue | undefined, unknown]>([
    ['nothing', undefined, null],
    ['a key', { jkt: digest }, { jkt: digest, certificate: null }],
    ['a certificate', { 'x5t#S256': digest }, { jkt: null, certificate: digest }],
    ['both', { jkt: digest, 'x5t#S256': digest }, { jkt: digest, certificate: digest }],
    ['an empty object', {}, 'unsupported'],
    ['null', null, 'unsupported'],
    ['a text', digest, 'unsupported'],
    ['a list', [{ jkt: digest }], 'unsupported'],
    ['something else beside a key', { jkt: digest, kid: 'k' }, 'unsupported'],
    ['a whole key', { jwk: EXAMPLE_JWK }, 'unsupported'],
    ['a key that is null', { jkt: null }, 'unsupported'],
    ['a key that is a number', { jkt: 1 }, 'unsupported'],
    ['a key that is a list', { jkt: [digest] }, 'unsupported'],
    ['a key beside a certificate that is null', { jkt: digest, 'x5t#S256': null }, 'unsupported'],
    ['an empty key', { jkt: '' }, 'unsupported'],
    ['a key with padding', { jkt: `${digest}=` }, 'unsupported'],
    ['a short key', { jkt: digest.slice(1) }, 'unsupported'],
    ['a key in hexadecimal', { jkt: '0'.repeat(64) }, 'unsupported'],
    ['a key in the other alphabet', { jkt: digest.replace('-', '+') }, 'unsupported'],
    ['a key with bits that say nothing', { jkt: `${digest.slice(0, -1)}J` }, 'unsupported'],
    ['a key by another name', { JKT: digest }, 'unsupported'],
    ['a certificate by another digest', { 'x5t#S512': digest }, 'unsupported'],
  ])('[RFC9449-6-reliably] [RFC9449-6.1-jkt] %s', (_what, cnf, confirmation) => {
    const claims = JSON.parse(JSON.stringify({ cnf })) as JsonObject
    expect(readConfirmation(Object.setPrototypeOf(claims, null) as JsonObject)).toEqual(confirmation)
  })

  test('[RFC9449-6-reliably] a cnf inside act says nothing about the sender', () => {
    expect(readConfirmation({ act: { sub: 'a', cnf: { jkt: digest } } })).toBeNull()
  })
})
