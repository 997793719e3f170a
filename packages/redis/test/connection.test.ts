/** How a memory connects, and what it tells of that. */
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { type AddressInfo, connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pipeline } from 'node:stream'
import { createSecureContext, createServer } from 'node:tls'
import { inspect } from 'node:util'
import { type RedisReplayOptions, redisReplay } from '@behalf/redis'
import { describe, expect, onTestFinished, test } from 'vitest'
import { describeWith } from '../../../test/support/needs-program.js'
import { ADDRESS_CERTIFICATE, NAME_CERTIFICATE } from '../../nats/test/support/certificates.js'
import { begin, Clock, newMemory, newServer, outcome } from './support/replays.js'

const SECRET = 'canary-4c0d7be1'

/** Nothing of what a failure says, at any depth, is a secret. */
function expectNoSecret(shown: unknown): void {
  const stack = shown instanceof Error ? shown.stack : ''
  expect(`${stack} ${JSON.stringify(shown)} ${inspect(shown, { depth: 10, showHidden: true })}`).not.toContain(SECRET)
}

async function failureOf(options: RedisReplayOptions): Promise<unknown> {
  const memory = newMemory(options)
  expectNoSecret(memory)
  return memory.ready().then(
    () => null,
    (error: unknown) => error,
  )
}

describe('options', () => {
  const url = 'redis://127.0.0.1:6379'
  test.each<[string, unknown, RegExp]>([
    ['none', undefined, /must be an object/],
    ['no URL', {}, /url must be a non-empty string/],
    ['an unknown one', { url, password: SECRET }, /unknown member "password"/],
    ['a URL that is undefined', { url: undefined }, /url is undefined/],
    ['no scheme', { url: `${SECRET}:6379` }, /must be rediss:/],
    ['another scheme', { url: `https://${SECRET}` }, /must be rediss:/],
    ['a scheme in capitals', { url: `REDIS://${SECRET}` }, /must be rediss:/],
    ['no host', { url: `redis://:${SECRET}@` }, /must be rediss:/],
    ['a database that is no number', { url: `redis://127.0.0.1/${SECRET}` }, /must be rediss:/],
    ['a query', { url: `redis://127.0.0.1?${SECRET}` }, /must be rediss:/],
    ['a fragment', { url: `redis://127.0.0.1#${SECRET}` }, /must be rediss:/],
    ['a port beyond all', { url: `redis://:${SECRET}@127.0.0.1:65536` }, /must be rediss:/],
    ['a password with a slash in it', { url: `redis://:${SECRET}/x@127.0.0.1` }, /percent-encoded/],
    ['broken escapes', { url: `redis://:${SECRET}%zz@127.0.0.1` }, /percent-encoded/],
    ['a user without a password', { url: `redis://${SECRET}@127.0.0.1` }, /without a password/],
    ['no TLS over the network', { url: `redis://:${SECRET}@redis.example.test` }, /must be rediss:.*loopback/],
    ['a host that only looks like loopback', { url: `redis://127.0.0.1.${SECRET}.test` }, /loopback/],
    ['an address of everybody', { url: `redis://:${SECRET}@0.0.0.0` }, /loopback/],
    ['credentials twice', { url: `redis://:${SECRET}@127.0.0.1`, credentials: { password: SECRET } }, /leave one of them out/],
    ['a user alone', { url, credentials: { user: SECRET } }, /credentials.password must be/],
    ['an empty password', { url, credentials: { password: '' } }, /credentials.password must be/],
    ['certificates without TLS', { url, tls: { caFile: SECRET } }, /rediss:/],
    ['a certificate without a key', { url: 'rediss://x.test', tls: { certFile: SECRET } }, /certFile and keyFile/],
    ['a server that is not verified', { url: 'rediss://x.test', tls: { rejectUnauthorized: false } }, /unknown member/],
    ['a prefix with a brace', { url, keyPrefix: `{${SECRET}}` }, /keyPrefix must be/],
    ['an empty prefix', { url, keyPrefix: '' }, /keyPrefix must be/],
    ['a tolerance that is none', { url, toleranceSeconds: -1 }, /toleranceSeconds must be/],
    ['no room', { url, maxPending: 0 }, /maxPending must be/],
    ['a time of 0', { url, answerTimeoutMilliseconds: 0 }, /answerTimeoutMilliseconds must be/],
    ['a clock that is none', { url, now: 5 }, /now must be a function/],
  ])('%s: refused, and not quoted', (_name, options, message) => {
    const create = () => redisReplay(options as RedisReplayOptions)
    expect(create).toThrow(message)
    expect(create).toThrow(expect.objectContaining({ name: 'ConfigError', message: expect.not.stringContaining(SECRET) }))
  })
})

describeWith('redis-server', 'being let in', () => {
  const withPassword = { settings: { requirepass: SECRET }, cli: ['--no-auth-warning', '-a', SECRET] }

  test.each<[string, (port: number) => RedisReplayOptions]>([
    ['none', (port) => ({ url: `redis://127.0.0.1:${port}` })],
    ['a wrong one', (port) => ({ url: `redis://:${SECRET}x@127.0.0.1:${port}` })],
    ['one of another user', (port) => ({ url: `redis://127.0.0.1:${port}`, credentials: { user: SECRET, password: SECRET } })],
  ])('a server that asks for a password, and is given %s', async (_name, options) => {
    const server = await newServer(withPassword)
    const error = await failureOf(options(server.port))
    expect(error).toMatchObject({ name: 'RedisReplayError', code: 'unauthorized' })
    expectNoSecret(error)
  })

  test('a server that asks for none, and is given one', async () => {
    const server = await newServer()
    const error = await failureOf({ url: `redis://:${SECRET}@localhost:${server.port}` })
    expect(error).toMatchObject({ code: 'unauthorized' })
    expectNoSecret(error)
  })

  test('a password in the URL, or beside it', async () => {
    const server = await newServer(withPassword)
    const clock = new Clock()
    const memories = [
      newMemory({ url: `redis://:${SECRET}@127.0.0.1:${server.port}`, now: clock.now }),
      newMemory({ url: server.url, credentials: { password: SECRET }, now: clock.now }),
    ]
    const use = clock.use()
    for (const memory of memories) await begin(memory, clock)
    expect(await outcome(memories[0] as never, clock.again(use))).toBe('forgotten')
    for (const memory of memories) expect(await memory.use(clock.use())).toBe(true)
    for (const memory of memories) expectNoSecret(memory)
  })

  test('a user with the privileges that the README names, and no others; in another database', async () => {
    const server = await newServer()
    const rule = ['on', '>p/w?', '~{behalf}*', '+info', '+eval', '+evalsha', '+get', '+set', '+select']
    expect(await server.cli('acl', 'setuser', 'api', ...rule)).toBe('OK')
    const clock = new Clock()
    const memory = newMemory({ url: `redis://api:p%2Fw%3F@127.0.0.1:${server.port}/3`, now: clock.now })
    await begin(memory, clock)
    const use = clock.use()
    expect([await memory.use(use), await memory.use(use)]).toEqual([true, false])
    expect(await server.cli('-n', '3', 'dbsize')).toBe('2')
    await server.cli('script', 'flush')
    expect(await memory.use(use)).toBe(false)
    await server.cli('acl', 'setuser', 'api', '-set')
    expect(await outcome(memory, clock.use())).toBe('unauthorized')
  })
})

describeWith('redis-server', 'TLS', () => {
  function fileOf(name: string, text: string): string {
    const directory = mkdtempSync(join(tmpdir(), 'behalf-redis-test-'))
    onTestFinished(() => rmSync(directory, { recursive: true }))
    const path = join(directory, name)
    writeFileSync(path, text, { mode: 0o600 })
    return path
  }

  async function secureServer({ certificate, key } = ADDRESS_CERTIFICATE) {
    const tls = { certFile: fileOf('certificate.pem', certificate), keyFile: fileOf('key.pem', key) }
    const server = await newServer({ tls, cli: ['--tls', '--insecure'] })
    return { server, url: `rediss://127.0.0.1:${server.port}`, caFile: tls.certFile }
  }

  test('a server whose authority is named', async () => {
    const { url, caFile } = await secureServer()
    const clock = new Clock()
    const memory = newMemory({ url, tls: { caFile }, now: clock.now })
    await begin(memory, clock)
    expect(await memory.use(clock.use())).toBe(true)
  })

  test('a server behind a door that asks for its name', async () => {
    const server = await newServer()
    const { certificate: cert, key } = NAME_CERTIFICATE
    const door = createServer({
      SNICallback: (name, answer) =>
        name === 'localhost' ? answer(null, createSecureContext({ cert, key })) : answer(new Error('unknown name')),
    })
    door.on('secureConnection', (outside) => {
      const inside = connect(server.port, '127.0.0.1')
      pipeline(outside, inside, outside, () => {}) // whichever side ends first
    })
    door.listen(0)
    onTestFinished(() => void door.close())
    await once(door, 'listening')
    const { port } = door.address() as AddressInfo
    const clock = new Clock()
    const caFile = fileOf('ca.pem', cert)
    const memory = newMemory({ url: `rediss://localhost:${port}`, tls: { caFile }, now: clock.now })
    await begin(memory, clock)
    expect(await memory.use(clock.use())).toBe(true)
  })

  test.each<[string, () => Promise<RedisReplayOptions>]>([
    ['nobody trusts', async () => ({ url: (await secureServer()).url })],
    [
      'has another name',
      async () => {
        const { url, caFile } = await secureServer(NAME_CERTIFICATE)
        return { url, tls: { caFile } }
      },
    ],
    ['is verified by a file that is not there', async () => ({ url: 'rediss://127.0.0.1:1', tls: { caFile: `/${SECRET}` } })],
  ])('a server that %s', async (_name, options) => {
    const error = await failureOf(await options())
    expect(error).toMatchObject({ code: 'tls_failed' })
    expectNoSecret(error)
  })

  test('a server that speaks no TLS, and is asked for it, gets nothing that is secret', async () => {
    const server = await newServer()
    const url = `rediss://:${SECRET}@127.0.0.1:${server.port}`
    const error = await failureOf({ url, connectTimeoutMilliseconds: 50 })
    expect(error).toMatchObject({ code: 'unreachable', message: expect.stringContaining('TLS') })
    expectNoSecret(error)
    expect(await server.cli('info', 'commandstats')).not.toContain('cmdstat_auth')
  })

  test('a server that speaks TLS alone, and is asked without', async () => {
    const { server } = await secureServer()
    expect(await failureOf({ url: server.url })).toMatchObject({ code: 'unreachable' })
  })
})
