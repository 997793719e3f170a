/** The client that proves to hold a key: its proofs are what RFC 9449 4.2 says, and can be made wrong in every way. */
import { createHash, createPublicKey, verify } from 'node:crypto'
import type { JsonObject } from '@behalf/core'
import { createResourceServer } from '@behalf/core/adapter'
import { createDpopClient, createSigningKey, createTestIssuer, TEST_ALGORITHMS } from '@behalf/testing'
import { calculateJwkThumbprint, type JWK } from 'jose'
import { describe, expect, test } from 'vitest'

const NOW_SECONDS = 1790000000
const now = () => NOW_SECONDS * 1000 + 999
const URL = 'https://api.example.test/orders'

function partsOf(jwt: string): {
  readonly header: JsonObject
  readonly claims: JsonObject
  readonly signature: Buffer
  input: string
} {
  const [header = '', payload = '', signature = ''] = jwt.split('.')
  const json = (part: string) => JSON.parse(Buffer.from(part, 'base64url').toString()) as JsonObject
  return {
    header: json(header),
    claims: json(payload),
    signature: Buffer.from(signature, 'base64url'),
    input: `${header}.${payload}`,
  }
}

describe('a proof', () => {
  test('has the type, the algorithm and the public key in its header, and nothing of the private one', () => {
    const client = createDpopClient()
    const { header } = partsOf(client.proof('GET', URL))
    expect(header).toEqual({ typ: 'dpop+jwt', alg: 'ES256', jwk: client.jwk })
    expect(Object.keys(client.jwk).sort()).toEqual(['crv', 'kty', 'x', 'y'])
  })

  test('is about one request: method, URI without query and fragment, time in whole seconds', () => {
    const client = createDpopClient({ now })
    const { claims } = partsOf(client.proof('POST', `${URL}?q=1#part`))
    expect(claims).toEqual({ jti: expect.any(String), htm: 'POST', htu: URL, iat: NOW_SECONDS })
    expect(partsOf(client.proof('GET', `${URL}#part?q`)).claims['htu']).toBe(URL)
  })

  test('has an id of its own each time', () => {
    const client = createDpopClient()
    const ids = Array.from({ length: 50 }, () => partsOf(client.proof('GET', URL)).claims['jti'])
    expect(new Set(ids).size).toBe(50)
  })

  test('goes with a token and a nonce where they are given', () => {
    const client = createDpopClient()
    const { claims } = partsOf(client.proof('GET', URL, { token: 'token', nonce: 'n' }))
    expect(claims).toMatchObject({ ath: createHash('sha256').update('token').digest('base64url'), nonce: 'n' })
    const without = partsOf(client.proof('GET', URL)).claims
    expect('ath' in without || 'nonce' in without).toBe(false)
  })

  test.each(TEST_ALGORITHMS)('is signed by %s, and the thumbprint is the one of RFC 7638', async (algorithm) => {
    const client = createDpopClient({ algorithm })
    const { header, input, signature } = partsOf(client.proof('GET', URL))
    expect(header['alg']).toBe(algorithm)
    expect(client.jkt).toBe(await calculateJwkThumbprint(client.jwk as JWK))
    const key = createPublicKey({ key: client.jwk as JWK, format: 'jwk' })
    const digest = algorithm.startsWith('Ed') ? null : `sha${algorithm.slice(2)}`
    const padding = algorithm.startsWith('PS') ? { padding: 6, saltLength: -1 } : {}
    expect(verify(digest, Buffer.from(input), { key, dsaEncoding: 'ieee-p1363', ...padding }, signature)).toBe(true)
  })

  test('can be made wrong: claims and header members changed or taken away, any payload, another signer', () => {
    const client = createDpopClient({ now })
    const { header, claims } = partsOf(
      client.proof('GET', URL, { claims: { htm: undefined, iat: 1 }, header: { typ: undefined, a: 1 } }),
    )
    expect('htm' in claims || 'typ' in header).toBe(false)
    expect([claims['iat'], header['a']]).toEqual([1, 1])
    expect(client.proof('GET', URL, { payload: 'x' }).split('.')[1]).toBe(Buffer.from('x').toString('base64url'))
    const other = createSigningKey('ES256')
    const { input, signature, header: shown } = partsOf(client.proof('GET', URL, { key: other }))
    expect(shown['jwk']).toEqual(client.jwk)
    const key = createPublicKey({ key: other.jwk as JWK, format: 'jwk' })
    expect(verify('sha256', Buffer.from(input), { key, dsaEncoding: 'ieee-p1363' }, signature)).toBe(true)
  })
})

describe('a client', () => {
  test('has a key of its own', () => {
    expect(createDpopClient().jkt).not.toBe(createDpopClient().jkt)
  })

  test('gives both header fields of a request, the proof made for its token', () => {
    const client = createDpopClient()
    const { authorization, dpop } = client.headers('GET', URL, 'token', { nonce: 'n' })
    expect(authorization).toBe('DPoP token')
    expect(partsOf(dpop).claims).toMatchObject({ htm: 'GET', htu: URL, nonce: 'n', ath: expect.any(String) })
    expect(partsOf(client.headers('GET', URL, 'token', { token: 'other' }).dpop).claims['ath']).toBe(
      createHash('sha256').update('other').digest('base64url'),
    )
  })

  test('takes the clock of its machine where none is given', () => {
    const before = Math.floor(Date.now() / 1000)
    const iat = Number(partsOf(createDpopClient().proof('GET', URL)).claims['iat'])
    expect(iat).toBeGreaterThanOrEqual(before)
    expect(iat).toBeLessThanOrEqual(Math.floor(Date.now() / 1000))
  })

  test('and a token of the test issuer that is bound to its key go together', async () => {
    const issuer = await createTestIssuer({ algorithms: ['EdDSA'], now })
    try {
      const client = createDpopClient({ now })
      const server = createResourceServer({
        issuers: [issuer.options({ dpop: 'require', jwks: issuer.jwks() })],
        publicOrigins: 'https://api.example.test',
        dpop: { replay: 'single-process' },
        now,
      })
      const { authorization, dpop } = client.headers('GET', URL, issuer.token({ claims: { cnf: { jkt: client.jkt } } }))
      const passage = server.authenticate()({
        key: {},
        request: {
          method: 'GET',
          wireMethod: 'GET',
          path: '/orders',
          url: '/orders',
          route: null,
          authorization: [authorization],
          header: (name) => (name === 'dpop' ? dpop : null),
          peer: null,
          clientCertificate: null,
          raw: null,
        },
        response: { status: 200, ended: false, header: () => null, setHeader() {}, onEnd() {} },
      })
      await expect(passage).resolves.toBe('go_on')
    } finally {
      await issuer.close()
    }
  })
})
