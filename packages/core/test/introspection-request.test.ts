/** What the authorization server is asked, and how it is asked (RFC 7662 2.1), over real HTTP. */
import { createPublicKey, type JsonWebKey } from 'node:crypto'
import type { Algorithm, JsonObject } from '@behalf/core'
import { createSigningKey, TEST_ALGORITHMS } from '@behalf/testing'
import { describe, expect, test } from 'vitest'
import { SERVER_CERTIFICATE } from '../../../test/support/certificates.js'
import {
  createIntrospectionServer,
  JSON_TYPE,
  type Question,
  SIGNED_TYPE,
  says,
  sends,
} from '../../../test/support/introspection-server.js'
import { verifySignature } from '../src/token/signature.js'
import {
  ACTIVE,
  asking,
  CLIENT_ID,
  clock,
  endpointForTests,
  environmentOf,
  expectTrouble,
  ISSUER,
  SECRET,
  START,
  START_SECONDS,
} from './support/introspection-api.js'

const server = await endpointForTests(says(ACTIVE))

function onlyQuestion(): Question {
  expect(server.questions).toHaveLength(1)
  return server.questions[0] as Question
}

function fields({ form }: Question): Record<string, string> {
  const all = [...form]
  expect(new Set(all.map(([name]) => name)).size).toBe(all.length)
  return Object.fromEntries(all)
}

describe('the question', () => {
  test('[RFC7662-2.1-post] is sent by POST, as a form, with the token and nothing about it in the URL', async () => {
    expect(await asking(server).outcome('a-token')).toBe('ok')
    const question = onlyQuestion()
    expect([question.method, question.path]).toEqual(['POST', '/introspect'])
    expect(question.headers['content-type']).toBe('application/x-www-form-urlencoded')
    expect(fields(question)).toEqual({ token: 'a-token', token_type_hint: 'access_token' })
  })

  test.each(['a+b/c==', 'a&token=other', 'a%20b', '~._-'])('[RFC7662-2.1-post] carries the token as it is: %s', async (token) => {
    await asking(server).outcome(token)
    expect(onlyQuestion().form.getAll('token')).toEqual([token])
  })

  test('keeps a query that the endpoint has', async () => {
    await asking({ endpoint: `${server.endpoint}?tenant=7` }).outcome('a-token')
    expect(onlyQuestion().path).toBe('/introspect?tenant=7')
  })

  test.each<[boolean, string]>([
    [false, JSON_TYPE],
    [true, SIGNED_TYPE],
  ])('[RFC9701-4-accept] says exactly what is accepted (signed: %s)', async (signed, type) => {
    await asking(server, { signed }).outcome('a-token')
    expect(onlyQuestion().headers['accept']).toBe(type)
  })

  test('[Design-introspection-bounds] is not sent about a token that is too long', async () => {
    const api = asking(server, {}, { limits: { tokenBytes: 20 } })
    expect(await api.outcome('x'.repeat(21))).toBe('token_malformed')
    expect(server.asked).toEqual([])
    expect(await api.outcome('x'.repeat(20))).toBe('ok')
  })
})

describe('who asks', () => {
  test('[RFC7662-2.1-authenticated] [RFC6749-2.3.1-basic] by a secret in the header: both parts form-encoded', async () => {
    await asking(server).outcome('a-token')
    const question = onlyQuestion()
    const [scheme, credentials = ''] = (question.headers['authorization'] ?? '').split(' ')
    expect(scheme).toBe('Basic')
    const text = Buffer.from(credentials, 'base64').toString('latin1')
    expect(text).toBe('api%3Aone:tops3cret%3A%C3%A4%2B%25%26%3D')
    expect(text.split(':').map((part) => new URLSearchParams(`x=${part}`).get('x'))).toEqual([CLIENT_ID, SECRET])
    expect(fields(question)).toEqual({ token: 'a-token', token_type_hint: 'access_token' })
  })

  test('[RFC7662-2.1-authenticated] by a secret in the form, and nowhere else', async () => {
    await asking(server, { authentication: { method: 'client_secret_post', clientSecret: SECRET } }).outcome('a-token')
    const question = onlyQuestion()
    expect(question.headers['authorization']).toBeUndefined()
    expect(fields(question)).toEqual({
      token: 'a-token',
      token_type_hint: 'access_token',
      client_id: CLIENT_ID,
      client_secret: SECRET,
    })
  })

  /** Takes an assertion apart as an authorization server does. */
  async function proven(assertion: string, algorithm: Algorithm, jwk: JsonObject) {
    const [header = '', claims = '', signature = ''] = assertion.split('.')
    const key = createPublicKey({ key: jwk as JsonWebKey, format: 'jwk' })
    const holds = await verifySignature(algorithm, key, `${header}.${claims}`, Buffer.from(signature, 'base64url'))
    const read = (part: string) => JSON.parse(Buffer.from(part, 'base64url').toString()) as JsonObject
    return { holds, header: read(header), claims: read(claims) }
  }

  const byKey = (algorithm: Algorithm, more: object = {}) => {
    const key = createSigningKey(algorithm, { kid: `kid-${algorithm}` })
    const jwk = { ...key.privateKey.export({ format: 'jwk' }), kid: key.kid }
    return { key, options: { authentication: { method: 'private_key_jwt', key: jwk, algorithm, ...more } } }
  }

  test.each(TEST_ALGORITHMS)('[RFC7662-2.1-authenticated] [RFC7523-3-assertion] by a key, with %s', async (algorithm) => {
    const { key, options } = byKey(algorithm)
    clock.time = START + 500
    await asking(server, options).outcome('a-token')
    const question = onlyQuestion()
    expect(question.headers['authorization']).toBeUndefined()
    const { client_assertion: assertion = '', ...rest } = fields(question)
    expect(rest).toEqual({
      token: 'a-token',
      token_type_hint: 'access_token',
      client_id: CLIENT_ID,
      client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
    })
    const { holds, header, claims } = await proven(assertion, algorithm, key.jwk)
    expect(holds).toBe(true)
    expect(header).toEqual({ alg: algorithm, kid: key.kid })
    expect(claims).toEqual({
      iss: CLIENT_ID,
      sub: CLIENT_ID,
      aud: ISSUER,
      jti: expect.stringMatching(/^[\da-f-]{36}$/),
      iat: START_SECONDS,
      exp: START_SECONDS + 60,
    })
  })

  test('[RFC7523-3-assertion] each question has an assertion of its own', async () => {
    const { options } = byKey('EdDSA')
    const api = asking(server, options)
    for (const token of ['one', 'two', 'three']) await api.outcome(token)
    expect(new Set(server.questions.map(({ form }) => form.get('client_assertion'))).size).toBe(3)
  })

  test('[RFC7523-3-assertion] the assertion is for the audience that is configured, and has no key id where the key has none', async () => {
    const { key, options } = byKey('ES256', { audience: 'https://as.example.test/token' })
    const { kid: _, ...jwk } = options.authentication.key
    await asking(server, { authentication: { ...options.authentication, key: jwk } }).outcome('a-token')
    const { header, claims } = await proven(onlyQuestion().form.get('client_assertion') ?? '', 'ES256', key.jwk)
    expect(header).toEqual({ alg: 'ES256' })
    expect(claims['aud']).toBe('https://as.example.test/token')
  })
})

describe('where it goes', () => {
  test.each([301, 302, 303, 307, 308])('[Design-introspection-bounds] a redirect is not followed: %d', async (status) => {
    server.reply = (_request, response, { path }) => {
      if (path === '/introspect') response.writeHead(status, { location: '/elsewhere' }).end()
      else says(ACTIVE)(_request, response, onlyQuestion())
    }
    await expectTrouble(asking(server), 'a-token', 'the endpoint did not answer with status 200')
    expect(server.questions.map(({ path }) => path)).toEqual(['/introspect'])
  })

  test('[Design-introspection-bounds] an answer that came by a redirect all the same is not believed', async () => {
    server.reply = (request, response, question) => {
      if (question.path === '/introspect') response.writeHead(302, { location: '/elsewhere' }).end()
      else says(ACTIVE)(request, response, question)
    }
    const followed = asking(server, {}, { fetch: (url, init) => fetch(url, { ...init, redirect: 'follow' }) })
    await expectTrouble(followed, 'a-token', 'the answer came by a redirect')
  })

  test('[RFC7662-4-tls] a server whose certificate nobody vouches for is told nothing', async () => {
    const secured = await createIntrospectionServer(SERVER_CERTIFICATE)
    try {
      secured.reply = says(ACTIVE)
      await expectTrouble(asking(secured), 'a-token', 'the server could not be reached')
      expect(secured.questions).toEqual([])
    } finally {
      await secured.close()
    }
  })
})

describe('the answer', () => {
  test.each(['application/json', 'application/json; charset=utf-8', 'Application/JSON ;x=y'])(
    '[RFC7662-2.2-json] is read where it is %s',
    async (type) => {
      server.reply = says(ACTIVE, type)
      expect(await asking(server).outcome('a-token')).toBe('ok')
    },
  )

  test.each([null, '', 'text/html', 'text/plain', 'application/jwt', SIGNED_TYPE, 'application/json+x', 'application/jsonp'])(
    '[RFC7662-2.2-json] is not read where its media type is %j',
    async (type) => {
      server.reply = says(ACTIVE, type)
      await expectTrouble(asking(server), 'a-token', 'the answer is of another media type')
    },
  )

  test.each([
    ['', 'nothing'],
    ['{"active":true', 'the half of an object'],
    ['[{"active":true}]', 'a list'],
    ['true', 'a value'],
    ['null', 'nothing in JSON'],
    [`{"active":false,"active":true,"token_type":"Bearer"}`, 'a member twice'],
    [`{"active":false,"acti\\u0076e":true,"token_type":"Bearer"}`, 'a member twice, one of them escaped'],
    [`{"active":true,"token_type":"Bearer","act":{"sub":"a","sub":"b"}}`, 'an inner member twice'],
    [`{"active":true,"token_type":"Bearer","deep":${'['.repeat(40)}${']'.repeat(40)}}`, 'what is too deep'],
  ])('[Design-introspection-strict] is not believed where it is %j (%s)', async (body) => {
    server.reply = sends(body)
    await expectTrouble(asking(server), 'a-token', 'the answer is not a JSON object')
  })

  test('[Design-introspection-bounds] is not read beyond its bound, whatever it says of its length', async () => {
    const limits = { fetchBytes: 1000 }
    const body = JSON.stringify({ ...ACTIVE, padding: 'x'.repeat(1000) })
    server.reply = sends(body)
    await expectTrouble(asking(server, {}, { limits }), 'a-token', 'the answer is too large')
    server.reply = (_request, response) => {
      response.writeHead(200, { 'content-type': JSON_TYPE })
      response.write(body)
      response.end()
    }
    await expectTrouble(asking(server, {}, { limits }), 'a-token', 'the answer is too large')
  })

  test('[Design-introspection-strict] is not believed where it is no UTF-8', async () => {
    server.reply = (_request, response) => {
      response.writeHead(200, { 'content-type': JSON_TYPE })
      response.end(Buffer.from('{"active":true,"token_type":"Bearer","sub":"\xff"}', 'latin1'))
    }
    await expectTrouble(asking(server), 'a-token', 'the answer is not UTF-8')
  })

  test('[Design-introspection-strict] is not taken from a fetch of the application that throws or answers with something else', async () => {
    const fetches = [
      () => Promise.reject(new Error('secret of somebody')),
      () => Promise.reject(null),
      () => Promise.resolve(null as unknown as Response),
      () => Promise.resolve({ status: 200, redirected: false } as unknown as Response),
      () =>
        Promise.resolve({ status: 200, headers: new Headers({ 'content-type': JSON_TYPE }), body: ['x'] } as unknown as Response),
    ]
    for (const fetch of fetches) await expectTrouble(asking(server, {}, { fetch }), 'a-token')
    const synchronous = () => {
      throw new Error('at once')
    }
    await expectTrouble(asking(server, {}, { fetch: synchronous }), 'a-token', 'the server could not be reached')
    expect(environmentOf().issuer).toBe(ISSUER)
  })
})
