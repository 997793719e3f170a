import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { ensureStream, type NatsTargetOptions, natsTarget } from '@behalf/nats'
import { testRecord } from '@behalf/testing'
import { nkeys } from '@nats-io/transport-node'
import { describe, expect, onTestFinished, test } from 'vitest'
import { startNatsServer } from '../../../test/support/nats-server.js'
import { describeWith } from '../../../test/support/needs-program.js'
import { ADDRESS_CERTIFICATE, NAME_CERTIFICATE } from './support/certificates.js'

const SECRET = 'canary-9d1b7f30'

/** Nothing of what a failure says, at any depth, is a secret. */
function expectNoSecret(error: unknown): void {
  expect(`${(error as Error).stack} ${inspect(error, { depth: 10, showHidden: true })}`).not.toContain(SECRET)
}

async function failureOf(options: NatsTargetOptions): Promise<unknown> {
  const target = natsTarget({ connectTimeoutMilliseconds: 20_000, ...options })
  onTestFinished(() => target.close?.())
  return target.deliver([testRecord()]).then(
    () => null,
    (error: unknown) => error,
  )
}

function fileOf(name: string, text: string): string {
  const directory = mkdtempSync(join(tmpdir(), 'behalf-nats-test-'))
  onTestFinished(() => rmSync(directory, { recursive: true }))
  const path = join(directory, name)
  writeFileSync(path, text, { mode: 0o600 })
  return path
}

describe('options', () => {
  const servers = 'nats://127.0.0.1:4222'
  test.each<[string, unknown, RegExp]>([
    ['none', undefined, /must be an object/],
    ['no server', {}, /servers must be a non-empty string/],
    ['an empty list of servers', { servers: [] }, /non-empty list/],
    ['an unknown one', { servers, token: SECRET }, /unknown member "token"/],
    ['a server without a scheme', { servers: `${SECRET}:4222` }, /servers\[0\] must be nats:/],
    ['a web address', { servers: `https://${SECRET}` }, /must be nats:/],
    ['a web socket', { servers: `wss://${SECRET}` }, /must be nats:/],
    ['a path', { servers: `nats://host/${SECRET}` }, /without a path/],
    ['a query', { servers: `nats://host?${SECRET}` }, /without a path/],
    ['no host', { servers: `nats://${SECRET}@` }, /must be nats:/],
    ['a port beyond all', { servers: `nats://${SECRET}@host:65536` }, /must be nats:/],
    ['credentials twice', { servers: `nats://${SECRET}@host`, credentials: { token: SECRET } }, /leave one of them out/],
    ['broken escapes', { servers: `nats://${SECRET}%zz@host` }, /percent-encoded/],
    ['two kinds of credentials', { servers, credentials: { token: SECRET, nkeySeed: SECRET } }, /and nothing beside it/],
    ['a user without a password', { servers, credentials: { user: SECRET } }, /user and password/],
    ['empty credentials', { servers, credentials: { token: '' } }, /token must be a non-empty string/],
    ['missing credentials', { servers, credentials: { token: undefined } }, /token is undefined/],
    ['a certificate without a key', { servers, tls: { certFile: SECRET } }, /certFile and keyFile/],
    ['an unknown member of tls', { servers, tls: { rejectUnauthorized: false } }, /unknown member "rejectUnauthorized"/],
    ['tls turned off', { servers: 'nats://example.test', tls: false }, /tls must be an object/],
    ['a subject with a wildcard', { servers, subject: 'behalf.>' }, /subject must be tokens/],
    ['a subject that is the server’s', { servers, subject: '_INBOX' }, /subject must be tokens/],
    ['a time of 0', { servers, ackTimeoutMilliseconds: 0 }, /from 1 to/],
  ])('%s: refused, and not quoted', (_name, options, message) => {
    const create = () => natsTarget(options as NatsTargetOptions)
    expect(create).toThrow(message)
    expect(create).toThrow(expect.objectContaining({ name: 'ConfigError', message: expect.not.stringContaining(SECRET) }))
  })

  test.each([
    ['a name that is none', { name: 'a.b' }, /name must be/],
    ['replicas that are not given', { replicas: undefined }, /replicas is undefined/],
    ['an even number of replicas', { replicas: 2 }, /replicas must be 1, 3 or 5/],
  ])('ensureStream(): %s: refused', async (_name, wrong, message) => {
    const options = { servers, name: 'audit', replicas: 1, ...wrong } as Parameters<typeof ensureStream>[0]
    await expect(ensureStream(options)).rejects.toThrow(message)
  })
})

describe('a server that is none', () => {
  /** A listener that does as it is told, and remembers what it was sent. */
  async function listener(greet: (socket: Socket) => void) {
    const received: string[] = []
    const open = new Set<Socket>()
    const server = createServer((socket) => {
      open.add(socket)
      socket.on('error', () => {}).on('close', () => open.delete(socket))
      socket.on('data', (chunk) => received.push(chunk.toString('latin1')))
      greet(socket)
    }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    onTestFinished(() => {
      for (const socket of open) socket.destroy()
      server.close()
    })
    return { port: (server.address() as AddressInfo).port, received, open }
  }

  const INFO = `INFO ${JSON.stringify({ server_id: 'x', version: '2.9.10', proto: 1, max_payload: 1048576, headers: true, auth_required: true })}\r\n`

  test('nobody there: unreachable', async () => {
    expect(await failureOf({ servers: 'nats://127.0.0.1:1' })).toMatchObject({ name: 'NatsError', code: 'unreachable' })
  })

  test('one that says nothing: unreachable in time, and no connection is left behind', async () => {
    const { port, open } = await listener(() => {})
    const target = natsTarget({ servers: `nats://127.0.0.1:${port}`, connectTimeoutMilliseconds: 30 })
    for (let attempt = 0; attempt < 5; attempt++) {
      await expect(target.deliver([testRecord()])).rejects.toMatchObject({ code: 'unreachable' })
    }
    await expect.poll(() => open.size).toBe(0)
  })

  test('one that speaks something else: unreachable', async () => {
    const { port } = await listener((socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'))
    expect(await failureOf({ servers: `nats://127.0.0.1:${port}` })).toMatchObject({ code: 'unreachable' })
  })

  test.each<[string, Partial<NatsTargetOptions> & { readonly scheme?: string }]>([
    ['tls://', { scheme: 'tls' }],
    ['the option tls', { tls: {} }],
  ])('one without TLS where %s requires it: gets no credentials', async (_name, { scheme = 'nats', ...options }) => {
    const { port, received } = await listener((socket) => socket.write(INFO))
    const servers = `${scheme}://127.0.0.1:${port}`
    const error = await failureOf({ servers, credentials: { user: 'app', password: SECRET }, ...options })
    expect(error).toMatchObject({ code: 'tls_failed' })
    expectNoSecret(error)
    expect(received).toEqual([])
  })

  test('credentials that cannot be read: the server is not asked', async () => {
    const { port, received } = await listener((socket) => socket.write(INFO))
    const servers = `nats://127.0.0.1:${port}`
    const credentialsFile = fileOf('broken.creds', SECRET)
    for (const credentials of [{ credentialsFile }, { credentialsFile: `${credentialsFile}-missing` }, { nkeySeed: SECRET }]) {
      const error = await failureOf({ servers, credentials })
      expect(error).toMatchObject({ code: 'unauthorized' })
      expectNoSecret(error)
    }
    expect(received).toEqual([])
  })
})

describeWith('nats-server', 'a server', () => {
  async function delivers(options: NatsTargetOptions, name = `s${Math.random().toString(36).slice(2)}`): Promise<void> {
    await ensureStream({ ...options, name, subject: name, replicas: 1 })
    const target = natsTarget({ ...options, subject: name })
    await target.deliver([testRecord()])
    await target.close?.()
  }

  async function serverWith(configuration: string) {
    const server = await startNatsServer({ configuration })
    onTestFinished(() => server.stop())
    return server
  }

  const refuses = async (options: NatsTargetOptions) => {
    const error = await failureOf(options)
    expect(error).toMatchObject({ name: 'NatsError', code: 'unauthorized' })
    expectNoSecret(error)
  }

  test('with a token, as an option or in the URL', async () => {
    const { url, port } = await serverWith(`authorization { token: "${SECRET}-right/&" }`)
    await delivers({ servers: url, credentials: { token: `${SECRET}-right/&` } })
    await delivers({ servers: `nats://${encodeURIComponent(`${SECRET}-right/&`)}@127.0.0.1:${port}` })
    await refuses({ servers: url })
    await refuses({ servers: url, credentials: { token: `${SECRET}-wrong` } })
    await refuses({ servers: `nats://${SECRET}@127.0.0.1:${port}` })
  })

  test('with a user and a password, as options or in the URL', async () => {
    const { url, port } = await serverWith(`authorization { user: app, password: "${SECRET}" }`)
    await delivers({ servers: url, credentials: { user: 'app', password: SECRET } })
    await delivers({ servers: `nats://app:${SECRET}@127.0.0.1:${port}` })
    await refuses({ servers: url, credentials: { user: 'app', password: `${SECRET}-wrong` } })
    await refuses({ servers: `nats://app:${SECRET}-wrong@127.0.0.1:${port}` })
  })

  test('with an nkey', async () => {
    const user = nkeys.createUser()
    const seed = new TextDecoder().decode(user.getSeed())
    const { url } = await serverWith(`authorization { users: [{ nkey: ${user.getPublicKey()} }] }`)
    await delivers({ servers: url, credentials: { nkeySeed: seed } })
    const error = await failureOf({
      servers: url,
      credentials: { nkeySeed: new TextDecoder().decode(nkeys.createUser().getSeed()) },
    })
    expect(error).toMatchObject({ code: 'unauthorized' })
    expect(inspect(error)).not.toContain(seed)
  })

  test('with a creds file', async () => {
    const { configuration, creds } = operatorMode()
    const { url } = await serverWith(configuration)
    await delivers({ servers: url, credentials: { credentialsFile: fileOf('app.creds', creds) } })
    await refuses({ servers: url })
  })

  test('where this user may not publish: refused, in time', async () => {
    const { url } = await serverWith(
      `authorization { users: [{ user: app, password: x, permissions: { publish: { deny: "audit.>" } } }] }`,
    )
    const options = { servers: url, credentials: { user: 'app', password: 'x' } }
    await ensureStream({ ...options, name: 'audit', subject: 'audit', replicas: 1 })
    expect(await failureOf({ ...options, subject: 'audit', ackTimeoutMilliseconds: 200 })).toMatchObject({ code: 'unanswered' })
  })

  test('without JetStream: refused', async () => {
    const { url } = await serverWith('accounts { plain { users: [{ user: app, password: x }] } }')
    const error = await failureOf({ servers: url, credentials: { user: 'app', password: 'x' }, ackTimeoutMilliseconds: 60_000 })
    expect(error).toMatchObject({ name: 'NatsError', code: 'stream_missing' })
  })

  describe('with TLS', () => {
    const configured = ({ certificate, key }: typeof ADDRESS_CERTIFICATE) =>
      `tls { cert_file: ${JSON.stringify(fileOf('cert.pem', certificate))}, key_file: ${JSON.stringify(fileOf('key.pem', key))} }`

    test('whose certificate names its address: delivered, also where only the server asks for TLS', async () => {
      const { port, url } = await serverWith(configured(ADDRESS_CERTIFICATE))
      const tls = { caFile: fileOf('ca.pem', ADDRESS_CERTIFICATE.certificate) }
      await delivers({ servers: `tls://127.0.0.1:${port}`, tls })
      await delivers({ servers: url, tls })
    })

    test('whose certificate names another: refused', async () => {
      const { port } = await serverWith(configured(NAME_CERTIFICATE))
      const tls = { caFile: fileOf('ca.pem', NAME_CERTIFICATE.certificate) }
      const error = await failureOf({ servers: `tls://127.0.0.1:${port}`, tls, credentials: { token: SECRET } })
      expect(error).toMatchObject({ code: 'tls_failed' })
      await delivers({ servers: `tls://localhost:${port}`, tls })
    })

    test('whose certificate is not trusted: refused, also on loopback', async () => {
      const { port, url } = await serverWith(configured(ADDRESS_CERTIFICATE))
      expect(await failureOf({ servers: `tls://127.0.0.1:${port}` })).toMatchObject({ code: 'tls_failed' })
      expect(await failureOf({ servers: url })).toMatchObject({ code: 'tls_failed' })
    })
  })

  test('of several, one that is there is used', async () => {
    const { url } = await serverWith('')
    for (let attempt = 0; attempt < 4; attempt++) {
      await delivers({ servers: ['nats://127.0.0.1:1', url, 'nats://127.0.0.1:2'] })
    }
  })
})

/** What `nsc` makes: an operator, an account with JetStream, and a user's creds. */
function operatorMode(): { readonly configuration: string; readonly creds: string } {
  const [operator, system, account, user] = [
    nkeys.createOperator(),
    nkeys.createAccount(),
    nkeys.createAccount(),
    nkeys.createUser(),
  ]
  const jwt = (issuer: nkeys.KeyPair, subject: nkeys.KeyPair, name: string, nats: object) => {
    const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
    const claims = {
      jti: name,
      iat: 1_790_000_000,
      iss: issuer.getPublicKey(),
      name,
      sub: subject.getPublicKey(),
      nats: { version: 2, ...nats },
    }
    const text = `${encode({ typ: 'JWT', alg: 'ed25519-nkey' })}.${encode(claims)}`
    return `${text}.${Buffer.from(issuer.sign(new TextEncoder().encode(text))).toString('base64url')}`
  }
  const unlimited = { subs: -1, data: -1, payload: -1, imports: -1, exports: -1, wildcards: true, conn: -1, leaf: -1 }
  const limits = { ...unlimited, mem_storage: -1, disk_storage: -1, streams: -1, consumer: -1 }
  const systemJwt = jwt(operator, system, 'system', { type: 'account', limits: unlimited })
  const accountJwt = jwt(operator, account, 'account', { type: 'account', limits })
  const userJwt = jwt(account, user, 'user', { type: 'user', subs: -1, data: -1, payload: -1 })
  return {
    configuration: `
operator: ${jwt(operator, operator, 'operator', { type: 'operator' })}
resolver: MEMORY
system_account: ${system.getPublicKey()}
resolver_preload { ${system.getPublicKey()}: ${systemJwt}, ${account.getPublicKey()}: ${accountJwt} }`,
    creds: `-----BEGIN NATS USER JWT-----
${userJwt}
------END NATS USER JWT------

-----BEGIN USER NKEY SEED-----
${new TextDecoder().decode(user.getSeed())}
------END USER NKEY SEED------
`,
  }
}
