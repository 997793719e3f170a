// #region serve
import { generateKeyPairSync, randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { deflateSync } from 'node:zlib'
import { memoryRevocations } from '@behalf/core'
import { resourceServer } from '@behalf/express'
import { createTestIssuer, memorySink } from '@behalf/testing'
import express from 'express'
import { CompactEncrypt } from 'jose'
import request from 'supertest'
import { createApp } from './testing.js' // the one of above

/** Answers each request, whatever its path, with a text that is made of its body and of the server's own URL. */
async function serve(contentType: string, answer: (body: string, url: string) => string) {
  const server = createServer(async (req, res) => {
    res.setHeader('content-type', contentType)
    res.end(answer(await text(req), url))
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return { url, close: () => server.close() }
}
// #endregion serve

export async function opaqueTokens(): Promise<void> {
  // #region opaque
  const issuer = await createTestIssuer({ algorithms: ['EdDSA'] })
  const exp = Math.floor(Date.now() / 1000) + 600
  const known = { active: true, token_type: 'Bearer', sub: 'user-1', aud: issuer.audience, exp, scope: 'orders:read' }
  const endpoint = await serve('application/json', (body) =>
    JSON.stringify(new URLSearchParams(body).get('token') === 'an-opaque-token' ? known : { active: false }),
  )
  const authentication = { method: 'client_secret_basic', clientSecret: 'of tests' } as const
  const introspection = { endpoint: endpoint.url, clientId: 'orders-api', authentication }
  const app = createApp(issuer.options({ introspection }), memorySink())

  await request(app).get('/orders').auth('an-opaque-token', { type: 'bearer' }).expect(200)
  await request(app).get('/orders').auth('another-one', { type: 'bearer' }).expect(401)
  // #endregion opaque
  endpoint.close()
  await issuer.close()
}

export async function encryptedTokens(): Promise<void> {
  // #region encrypted
  const issuer = await createTestIssuer({ algorithms: ['EdDSA'] })
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const keys = [{ ...privateKey.export({ format: 'jwk' }), kid: 'enc-1' }]
  const app = createApp(issuer.options({ decryption: { keys, algorithms: ['ECDH-ES+A256KW'] } }), memorySink())

  const token = await new CompactEncrypt(Buffer.from(issuer.token())) // of jose
    .setProtectedHeader({ alg: 'ECDH-ES+A256KW', enc: 'A256GCM', kid: 'enc-1', cty: 'JWT' })
    .encrypt(publicKey)
  await request(app).get('/orders').auth(token, { type: 'bearer' }).expect(200)
  await request(app).get('/orders').auth(issuer.token(), { type: 'bearer' }).expect(401) // encryption_required
  // #endregion encrypted
  await issuer.close()
}

export async function statusLists(): Promise<void> {
  // #region status
  const issuer = await createTestIssuer({ algorithms: ['EdDSA'] })
  const lst = deflateSync(Uint8Array.of(0b10)).toString('base64url') // 0 is valid, 1 is not
  const list = await serve('application/statuslist+jwt', (_body, sub) => {
    const payload = JSON.stringify({ sub, iat: Math.floor(Date.now() / 1000), status_list: { bits: 1, lst } })
    return issuer.token({ header: { typ: 'statuslist+jwt' }, payload })
  })
  const app = createApp(issuer.options({ statusList: { origins: [list.url] } }), memorySink())
  const tokenAt = (idx: number) => issuer.token({ claims: { status: { status_list: { idx, uri: list.url } } } })

  await request(app).get('/orders').auth(tokenAt(0), { type: 'bearer' }).expect(200)
  await request(app).get('/orders').auth(tokenAt(1), { type: 'bearer' }).expect(401) // token_revoked
  // #endregion status
  list.close()
  await issuer.close()
}

export async function securityEvents(): Promise<void> {
  // #region event
  const issuer = await createTestIssuer({ algorithms: ['EdDSA'] }) // transmits, too
  const transmitter = { issuer: issuer.issuer, audience: 'https://receiver.example.test', jwksUri: issuer.jwksUri }
  const api = resourceServer({
    issuers: [issuer.options()],
    revocation: {
      maxTokenLifetimeSeconds: 3600,
      checks: [{ by: 'subject', issuer: issuer.issuer, from: memoryRevocations() }],
    },
    securityEvents: { transmitters: [transmitter] },
  })
  const app = express()
  app.post('/security-events', api.securityEvents())
  app.use(api.authenticate(), (_req, res) => res.sendStatus(204))

  const token = issuer.token()
  await request(app).get('/').auth(token, { type: 'bearer' }).expect(204)

  const iat = Math.floor(Date.now() / 1000)
  const payload = JSON.stringify({
    iss: transmitter.issuer,
    aud: transmitter.audience,
    jti: randomUUID(),
    iat,
    sub_id: { format: 'iss_sub', iss: issuer.issuer, sub: 'user-1' },
    events: { 'https://schemas.openid.net/secevent/caep/event-type/session-revoked': { event_timestamp: iat } },
  })
  const event = issuer.token({ header: { typ: 'secevent+jwt' }, payload })
  await request(app).post('/security-events').type('application/secevent+jwt').send(event).expect(202)
  await request(app).get('/').auth(token, { type: 'bearer' }).expect(401) // token_revoked
  // #endregion event
  await issuer.close()
}
