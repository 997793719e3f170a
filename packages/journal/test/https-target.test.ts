import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders, type RequestListener } from 'node:http'
import { type AddressInfo, createServer as createTcpServer, type Server } from 'node:net'
import { testRecord } from '@behalf/testing'
import { describe, expect, onTestFinished, test } from 'vitest'
import { type HttpsTargetOptions, httpsTarget } from '../src/ship/https-target.js'

const SECRET = 'canary-5f1d0c9e'

/** Listens on a free port until the test is over. */
async function listen(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(async () => {
    server.close()
    if ('closeAllConnections' in server) (server.closeAllConnections as () => void)()
  })
  return (server.address() as AddressInfo).port
}

interface Taken {
  readonly method: string | undefined
  readonly url: string | undefined
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

/** A server that takes everything down, and answers as it is told. */
async function endpoint(answer: RequestListener = (_, response) => response.writeHead(204).end()) {
  const taken: Taken[] = []
  let connections = 0
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const { method, url, headers } = request
      taken.push({ method, url, headers, body: Buffer.concat(chunks).toString('utf8') })
      answer(request, response)
    })
  })
  server.on('connection', () => connections++)
  return { taken, url: `http://127.0.0.1:${await listen(server)}/audit?tenant=1`, connections: () => connections }
}

const records = [
  testRecord({ body: '{"a":"Дело “日本” \u{1f600}"}' }),
  testRecord({ sequence: 1, body: '{"b":"\\ud800"}' }),
  testRecord({ sequence: 2 }),
] as const

describe('a delivery', () => {
  test('is one request: a line for each body, named by its first and last id', async () => {
    const { taken, url } = await endpoint()
    await httpsTarget({ url, token: SECRET, headers: { 'X-Source': 'orders' } }).deliver(records)
    const [request] = taken
    expect(taken.length).toBe(1)
    expect(request).toMatchObject({
      method: 'POST',
      url: '/audit?tenant=1',
      body: records.map(({ body }) => `${body}\n`).join(''),
    })
    expect(request?.headers).toMatchObject({
      'content-type': 'application/x-ndjson',
      'idempotency-key': `${records[0].id}..${records[2].id}`,
      authorization: `Bearer ${SECRET}`,
      'x-source': 'orders',
    })
  })

  test('asks for its token each time', async () => {
    const { taken, url } = await endpoint()
    let count = 0
    const target = httpsTarget({ url, token: async () => `token-${++count}` })
    await target.deliver(records)
    await target.deliver(records)
    expect(taken.map(({ headers }) => headers.authorization)).toEqual(['Bearer token-1', 'Bearer token-2'])
  })

  test('uses a connection again, whatever the server answers with', async () => {
    const { url, connections } = await endpoint((_, response) => {
      response.write('thank you')
      setTimeout(() => response.end('x'.repeat(10_000)), 5)
    })
    const target = httpsTarget({ url })
    for (let count = 0; count < 20; count++) await target.deliver(records)
    expect(connections()).toBeLessThan(5) // the client opens a second one where the first is not back yet
  })

  test('with an id that no header takes is made all the same', async () => {
    const { taken, url } = await endpoint()
    await httpsTarget({ url }).deliver([testRecord({ id: 'é\r\nx: y' })])
    expect(taken[0]?.headers['idempotency-key']).toBe('%C3%A9%0D%0Ax%3A%20y..%C3%A9%0D%0Ax%3A%20y')
  })

  test.each([200, 201, 202, 204, 299])('is acknowledged by %i', async (status) => {
    const { url } = await endpoint((_, response) => response.writeHead(status).end())
    await httpsTarget({ url }).deliver(records)
  })

  test.each([300, 304, 400, 401, 403, 404, 408, 409, 413, 429, 500, 503, 599])('is refused by %i', async (status) => {
    const { url } = await endpoint((_, response) => response.writeHead(status).end(SECRET))
    await expect(httpsTarget({ url }).deliver(records)).rejects.toMatchObject({ name: 'HttpsTargetError', status })
  })

  test.each([301, 302, 303, 307, 308])('is never led elsewhere by %i', async (status) => {
    const elsewhere = await endpoint()
    const { url } = await endpoint((_, response) => response.writeHead(status, { location: elsewhere.url }).end())
    await expect(httpsTarget({ url, token: SECRET }).deliver(records)).rejects.toMatchObject({ name: 'HttpsTargetError' })
    expect(elsewhere.taken).toEqual([])
  })

  test('that came by a redirect is not acknowledged, where a fetch follows one all the same', async () => {
    const elsewhere = await endpoint()
    const { url } = await endpoint((_, response) => response.writeHead(307, { location: elsewhere.url }).end())
    const following: HttpsTargetOptions['fetch'] = (to, init) => fetch(to, { ...init, redirect: 'follow' })
    await expect(httpsTarget({ url, fetch: following }).deliver(records)).rejects.toThrow('by a redirect')
  })

  test('that is not answered in time is refused, also where a fetch does not heed its signal', async () => {
    const { url } = await endpoint(() => {})
    await expect(httpsTarget({ url, timeoutMilliseconds: 50 }).deliver(records)).rejects.toThrow('took too long')
    const deaf = httpsTarget({ url, timeoutMilliseconds: 50, fetch: () => new Promise(() => {}) })
    await expect(deaf.deliver(records)).rejects.toThrow('took too long')
  })

  test('is acknowledged by its status, although the answer never ends', async () => {
    const { url } = await endpoint((_, response) => response.write('a'))
    await httpsTarget({ url, timeoutMilliseconds: 3_000 }).deliver(records)
  })

  test('is acknowledged by its status, and little is read of a long answer', async () => {
    let written = 0
    const { url } = await endpoint((_, response) => {
      const more = () => {
        while (!response.destroyed && written < 256 * 1024 * 1024) {
          written += 1024 * 1024
          if (!response.write(Buffer.alloc(1024 * 1024))) return void response.once('drain', more)
        }
      }
      more()
    })
    await httpsTarget({ url }).deliver(records)
    expect(written).toBeLessThan(64 * 1024 * 1024)
  })

  test('to nobody, or to a connection that breaks, is refused with the system’s name for it', async () => {
    const gone = createTcpServer()
    const port = await listen(gone)
    gone.close()
    await expect(httpsTarget({ url: `http://127.0.0.1:${port}` }).deliver(records)).rejects.toThrow('ECONNREFUSED')
    const breaking = await listen(createTcpServer((socket) => socket.destroy()))
    await expect(httpsTarget({ url: `http://127.0.0.1:${breaking}` }).deliver(records)).rejects.toMatchObject({ status: null })
  })
})

describe('secrets', () => {
  const failures: [string, Partial<HttpsTargetOptions>][] = [
    ['a fetch that quotes everything', { fetch: (url, init) => Promise.reject(new Error(`${url} ${JSON.stringify(init)}`)) }],
    [
      'a fetch that throws',
      {
        fetch: (url, init) => {
          throw new Error(`${url} ${JSON.stringify(init)}`)
        },
      },
    ],
    [
      'a token function that quotes it',
      {
        token: () => {
          throw new Error(SECRET)
        },
      },
    ],
    ['a token function that answers with what is none', { token: () => `${SECRET}\r\nx: y` }],
  ]
  test.each(failures)('%s: no error holds one', async (_name, options) => {
    const target = httpsTarget({
      url: `https://audit.example.test/${SECRET}?key=${SECRET}`,
      token: SECRET,
      headers: { 'x-api-key': SECRET },
      ...options,
    })
    const error = await target.deliver([testRecord({ body: SECRET })]).then(
      () => null,
      (reason: unknown) => reason as Error,
    )
    expect(error).toMatchObject({ name: 'HttpsTargetError' })
    expect(`${error?.stack} ${JSON.stringify(error)} ${String(error?.cause)}`).not.toContain(SECRET)
  })
})

describe('options', () => {
  const url = 'https://audit.example.test/in'
  test.each<[string, unknown, RegExp]>([
    ['none', undefined, /must be an object/],
    ['no URL', {}, /url must be a non-empty string/],
    ['an unknown one', { url, timeout: 1 }, /unknown member "timeout"/],
    ['a URL that is none', { url: SECRET }, /must be an https URL/],
    ['http to elsewhere', { url: `http://example.test/${SECRET}` }, /must be an https URL/],
    ['http to what only looks like loopback', { url: 'http://127.0.0.1.example.test' }, /must be an https URL/],
    ['another scheme', { url: 'ftp://127.0.0.1' }, /must be an https URL/],
    ['credentials in the URL', { url: `https://user:${SECRET}@example.test` }, /use the option token/],
    ['a user in the URL', { url: `https://${SECRET}@example.test` }, /use the option token/],
    ['a fragment', { url: `${url}#${SECRET}` }, /without a fragment/],
    ['a token with its scheme', { url, token: `Bearer ${SECRET}` }, /without "Bearer" before it/],
    ['an empty token', { url, token: '' }, /must be a bearer token/],
    ['a missing token', { url, token: undefined }, /token is undefined/],
    ['a token and a header beside it', { url, token: SECRET, headers: { Authorization: SECRET } }, /leave one of them out/],
    ['a field that is ours', { url, headers: { 'Idempotency-Key': SECRET } }, /cannot be set/],
    ['a field twice', { url, headers: { a: SECRET, A: SECRET } }, /none twice/],
    ['a field that splits the request', { url, headers: { a: `${SECRET}\r\nb: c` } }, /headers\.a must be a line/],
    ['a time of 0', { url, timeoutMilliseconds: 0 }, /from 1 to 600000/],
    ['a fetch that is none', { url, fetch: 'fetch' }, /must be a function/],
  ])('%s is refused, and not quoted', (_name, options, message) => {
    const create = () => httpsTarget(options as HttpsTargetOptions)
    expect(create).toThrow(message)
    expect(create).toThrow(expect.objectContaining({ name: 'ConfigError', message: expect.not.stringContaining(SECRET) }))
  })

  test.each(['http://localhost:1/', 'http://127.0.0.2:1/', 'http://[::1]:1/', 'https://example.test/'])(
    '%s is taken',
    (allowed) => {
      expect(() => httpsTarget({ url: allowed })).not.toThrow()
    },
  )
})
