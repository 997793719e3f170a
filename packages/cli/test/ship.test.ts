import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer, get, type IncomingMessage, type Server } from 'node:http'
import { type AddressInfo, createServer as createTcpServer } from 'node:net'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { run } from '../src/run.js'
import { readDestination } from '../src/ship/destination.js'
import { loadTarget } from '../src/ship/load-target.js'
import { metricsText } from '../src/ship/metrics-text.js'
import { newDirectory, realJournal } from './support/journals.js'
import { createWorld, NOW, type Ran, runCommand, type World } from './support/run-command.js'

const ship = (directory: string, args: readonly string[], world: World = {}): Promise<Ran> =>
  runCommand(['audit', 'ship', directory, ...args], world)

/** Another log: keeps each line once, and can be told to refuse. */
interface Log {
  readonly url: string
  readonly lines: string[]
  readonly authorizations: (string | undefined)[]
  status: number
  close(): Promise<void>
}

const open: { close(): Promise<void> }[] = []
afterEach(async () => {
  for (const each of open.splice(0)) await each.close()
})

async function createLog(): Promise<Log> {
  const server = createServer(async (request, response) => {
    log.authorizations.push(request.headers.authorization)
    const text = await textOf(request)
    if (log.status < 300) log.lines.push(...text.trim().split('\n'))
    response.writeHead(log.status).end()
  })
  const port = await listening(server)
  const log: Log = {
    url: `http://127.0.0.1:${port}/audit`,
    lines: [],
    authorizations: [],
    status: 204,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
  open.push(log)
  return log
}

async function textOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks).toString()
}

function listening(server: Server): Promise<number> {
  return new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve((server.address() as AddressInfo).port)))
}

/** A port on which nobody listens. */
async function freePort(): Promise<number> {
  const server = createTcpServer()
  const port = await new Promise<number>((resolve) =>
    server.listen(0, '127.0.0.1', () => resolve((server.address() as AddressInfo).port)),
  )
  await new Promise((resolve) => server.close(resolve))
  return port
}

function linesOf(directory: string): readonly string[] {
  const segments = readdirSync(directory)
    .filter((name) => name.endsWith('.jsonl'))
    .sort()
  return segments.flatMap((name) => readFileSync(join(directory, name), 'utf8').trim().split('\n'))
}

describe('over HTTP', () => {
  it('delivers every record as it stands, once, and goes on where it ended', async () => {
    const log = await createLog()
    const { directory } = await realJournal(30)
    const first = await ship(directory, ['--to', log.url, '--once', '--batch', '7'])
    expect(first).toMatchObject({ code: 0, err: '' })
    expect(first.out).toBe(`delivered ${log.lines.length} records\n`)
    expect(log.lines).toEqual(linesOf(directory))
    expect(readdirSync(directory).filter((name) => /^cursor-https-[0-9a-f]{12}\.json$/.test(name))).toHaveLength(1)
    const again = await ship(directory, ['--to', log.url, '--once'])
    expect(again).toMatchObject({ code: 0, out: 'delivered 0 records\n' })
    expect(log.lines).toEqual(linesOf(directory))
  })

  it('keeps a cursor for each target, unless one is named', async () => {
    const [one, other] = [await createLog(), await createLog()]
    const { directory } = await realJournal(3)
    for (const { url } of [one, other]) await ship(directory, ['--to', url, '--once'])
    expect(other.lines).toEqual(one.lines)
    expect(readdirSync(directory).filter((name) => name.startsWith('cursor-'))).toHaveLength(2)
    const cursor = join(newDirectory(), 'cursor.json')
    await ship(directory, ['--to', one.url, '--once', '--cursor', cursor])
    expect(existsSync(cursor)).toBe(true)
    expect(one.lines).toHaveLength(2 * other.lines.length)
  })

  it('goes on by itself until it is asked to end, and says when the target is away', async () => {
    const log = await createLog()
    log.status = 503
    const { directory } = await realJournal(3)
    const ending = new AbortController()
    const { terminal, texts } = createWorld({ signal: ending.signal, now: Date.now })
    const ended = run(['audit', 'ship', directory, '--to', log.url], terminal)
    await until(() => log.authorizations.length >= 2)
    log.status = 200
    await until(() => texts().err.includes('delivering again') && log.lines.length === linesOf(directory).length)
    ending.abort('SIGTERM')
    expect(await ended).toBe(0)
    expect(log.lines).toEqual(linesOf(directory))
    expect(texts().err).toMatch(
      /^behalf: not delivered, trying again: the server did not take the records \(503\) \(\d+ records wait\)\nbehalf: delivering again\n$/,
    )
    expect(texts().out).toBe(`delivered ${log.lines.length} records\n`)
    expect((await ship(directory, ['--to', log.url, '--once'])).out).toBe('delivered 0 records\n')
  })

  it('with --once, a target that takes nothing is 69 in the end, and the next run delivers all', async () => {
    const log = await createLog()
    log.status = 500
    const { directory } = await realJournal(1)
    const failed = await ship(directory, ['--to', log.url, '--once'])
    expect(failed.code).toBe(69)
    expect(failed.err.split('\n').at(-2)).toBe(
      'behalf: the target took no records, as often as it was tried (the server did not take the records (500)): look at the target; the next run goes on where this one ended',
    )
    log.status = 200
    expect((await ship(directory, ['--to', log.url, '--once'])).code).toBe(0)
    expect(log.lines).toEqual(linesOf(directory))
  })

  it('interrupted with --once it is not through', async () => {
    const log = await createLog()
    const { directory } = await realJournal(1)
    expect((await ship(directory, ['--to', log.url, '--once'], { signal: AbortSignal.abort('SIGINT') })).code).toBe(130)
    expect(log.lines).toEqual([])
  })

  it('refuses a journal that is not the one it delivered', async () => {
    const log = await createLog()
    const [one, other] = [await realJournal(3), await realJournal(3)]
    const cursor = join(newDirectory(), 'cursor.json')
    await ship(one.directory, ['--to', log.url, '--once', '--cursor', cursor])
    const { code, err } = await ship(other.directory, ['--to', log.url, '--once', '--cursor', cursor])
    expect(err).toMatch(/^behalf: the cursor does not fit the journal: [^\n]+; for another journal, name another --cursor\n$/)
    expect(code).toBe(1)
    writeFileSync(cursor, 'SECRET nonsense')
    const unreadable = await ship(one.directory, ['--to', log.url, '--once', '--cursor', cursor])
    expect(unreadable.code).toBe(74)
    expect(unreadable.err).not.toContain('SECRET')
  })
})

describe('secrets', () => {
  const SECRET = 'hunter2-SECRET'

  it.each([
    `postgres://audit:${SECRET}@db.example.com/audit`,
    `postgres://audit@db.example.com/audit?password=${SECRET}`,
    `nats://user:${SECRET}@nats.example.com`,
    `nats://${SECRET}@nats.example.com`,
    `tls://${SECRET}@nats.example.com`,
    `https://user:${SECRET}@log.example.com/`,
  ])('one on the command line is refused, and told nowhere: %s', async (url) => {
    const { directory } = await realJournal(1)
    const { code, out, err } = await ship(directory, ['--to', url, '--once'])
    expect(err).toMatch(
      /^behalf: --to holds a password or token, which process lists show: put the URL into BEHALF_SHIP_TO or a file for --to-file, and change the secret\n$/,
    )
    expect(`${out}${err}`).not.toContain(SECRET)
    expect(code).toBe(64)
  })

  it('a token comes from a file, which is read again, or from the environment', async () => {
    const log = await createLog()
    const { directory } = await realJournal(1)
    const file = join(newDirectory(), 'token')
    writeFileSync(file, `${SECRET}\n`)
    const byFile = await ship(directory, ['--to', log.url, '--once', '--token-file', file])
    const cursor = ['--cursor', join(newDirectory(), 'c.json')]
    const byEnv = await ship(directory, ['--to', log.url, '--once', ...cursor], { env: { BEHALF_SHIP_TOKEN: `${SECRET}-2` } })
    expect(new Set(log.authorizations)).toEqual(new Set([`Bearer ${SECRET}`, `Bearer ${SECRET}-2`]))
    expect(`${byFile.out}${byFile.err}${byEnv.out}${byEnv.err}`).not.toContain(SECRET)
    expect([byFile.code, byEnv.code]).toEqual([0, 0])
    expect(
      linesOf(directory).join('') +
        readFileSync(join(directory, readdirSync(directory).find((name) => name.startsWith('cursor-')) ?? ''), 'utf8'),
    ).not.toContain(SECRET)
  })

  it('the URL comes from a file or from the environment', async () => {
    const log = await createLog()
    const { directory } = await realJournal(1)
    const file = join(newDirectory(), 'url')
    writeFileSync(file, `${log.url}\n`)
    expect((await ship(directory, ['--to-file', file, '--once'])).code).toBe(0)
    expect((await ship(directory, ['--once'], { env: { BEHALF_SHIP_TO: log.url } })).out).toBe('delivered 0 records\n')
    expect((await ship(directory, ['--to', log.url, '--once'], { env: { BEHALF_SHIP_TO: 'nonsense' } })).code).toBe(0)
  })

  it.each([
    [
      'a server that is not there',
      (port: number) => `postgres://audit:${SECRET}@127.0.0.1:${port}/audit`,
      'PostgreSQL cannot be reached',
    ],
    [
      'a server that is not there',
      (port: number) => `nats://audit:${SECRET}@127.0.0.1:${port}`,
      'no NATS server could be reached',
    ],
  ])('%s is told without any', async (_, url, message) => {
    const { directory } = await realJournal(1)
    const { code, out, err } = await ship(directory, ['--once'], { env: { BEHALF_SHIP_TO: url(await freePort()) } })
    expect(err).toContain(message)
    expect(`${out}${err}`).not.toMatch(/SECRET|127\.0\.0\.1/)
    expect(code).toBe(69)
    expect(readdirSync(directory).join()).not.toContain('cursor')
  })

  it.each([
    [`postgres://audit:${SECRET}@db.example.com/audit?sslmode=disable`, 'sslmode=verify-full'],
    [`nats://audit:${SECRET}@nats.example.com/path`, 'without a path'],
    [`http://log.example.com/${SECRET}`, 'must be an https URL'],
    [`ftp://${SECRET}@example.com`, 'must be a URL of'],
    [SECRET, 'must be a URL of'],
  ])('a URL that is refused is not told: %s', async (url, message) => {
    const { directory } = await realJournal(1)
    const { code, out, err } = await ship(directory, ['--once'], { env: { BEHALF_SHIP_TO: url } })
    expect(err).toMatch(/^behalf: [^\n]+\n$/)
    expect(err).toContain(message)
    expect(`${out}${err}`).not.toContain(SECRET)
    expect(code).toBe(64)
  })
})

describe('targets that are packages of their own', () => {
  it.each([
    ['nats://127.0.0.1', '@behalf/nats'],
    ['postgres://127.0.0.1/audit', '@behalf/postgres'],
  ])('%s names the package that is missing', async (url, name) => {
    const missing = async (): Promise<never> => {
      throw Object.assign(new Error(`Cannot find package '${name}' imported from /x/load-target.js`), {
        code: 'ERR_MODULE_NOT_FOUND',
      })
    }
    const destination = await readDestination({ to: url }, {})
    const { importInstalled } = await import('../src/ship/load-target.js')
    await expect(loadTarget(destination, {}, {}, (each) => importInstalled(each, missing))).rejects.toThrow(
      `this target needs a package that is not installed: npm install ${name}`,
    )
    const broken = async (): Promise<never> => {
      throw Object.assign(new Error("Cannot find package 'pg' imported from /x/open-pool.js"), { code: 'ERR_MODULE_NOT_FOUND' })
    }
    await expect(loadTarget(destination, {}, {}, (each) => importInstalled(each, broken))).rejects.toThrow(
      "Cannot find package 'pg'",
    )
  })

  it('are there where they are installed', async () => {
    for (const to of [
      'nats://127.0.0.1',
      'tls://nats.example.com',
      'postgres://127.0.0.1/audit',
      'postgresql://db.example.com/audit',
    ]) {
      const target = await loadTarget(await readDestination({ to }, {}), {}, {})
      expect(target.deliver).toBeTypeOf('function')
      await target.close?.()
    }
  })
})

describe('a place’s name', () => {
  it('is the same without its secrets, and another for another place', async () => {
    const name = async (to: string, more = {}) => (await readDestination({ ...more }, { BEHALF_SHIP_TO: to })).name
    expect(await name('postgres://a:b@db.example/audit')).toBe(await name('postgres://c:d@db.example/audit?sslmode=verify-full'))
    const names = [
      await name('postgres://db.example/audit'),
      await name('postgres://db.example/other'),
      await name('postgres://other.example/audit'),
      await name('postgres://db.example/audit', { table: 'audit_2' }),
      await name('nats://db.example/'),
      await name('nats://db.example/', { subject: 'x.audit' }),
      await name('https://db.example/audit'),
      await name('https://db.example/audit?stream=a'),
      await name('https://db.example/audit?stream=b'),
    ]
    expect(new Set(names).size).toBe(names.length)
  })
})

describe('metrics', () => {
  const progress = {
    delivered: 10,
    retries: 2,
    removed: 0,
    held: 3,
    nextSequence: 10,
    recordsBehind: 3,
    bytesBehind: 900,
    secondsBehind: 1.5,
    error: null,
  }

  it('are Prometheus’ text', () => {
    const text = metricsText({ progress, acknowledgedAt: NOW })
    expect(text).toContain(
      '# HELP behalf_ship_lag_records Records between the last delivery and the end of the journal.\n# TYPE behalf_ship_lag_records gauge\nbehalf_ship_lag_records 3\n',
    )
    expect(text).toContain('\nbehalf_ship_delivered_total 10\n')
    expect(text).toContain('\nbehalf_ship_target_up 1\n')
    expect(text).toContain(`\nbehalf_ship_acknowledged_timestamp_seconds ${NOW / 1000}\n`)
    for (const line of text.trim().split('\n'))
      expect(line).toMatch(/^# (?:HELP \w+ .+|TYPE \w+ (?:gauge|counter))$|^\w+ [\d.]+$/)
    const down = metricsText({ progress: { ...progress, error: new Error('SECRET'), secondsBehind: null }, acknowledgedAt: null })
    expect(down).toContain('\nbehalf_ship_target_up 0\n')
    expect(down).not.toMatch(/SECRET|timestamp|NaN|null/)
  })

  it('stand in a file that is whole at any time', async () => {
    const log = await createLog()
    const { directory } = await realJournal(30)
    const file = join(newDirectory(), 'behalf.prom')
    expect((await ship(directory, ['--to', log.url, '--once', '--batch', '5', '--metrics', file])).code).toBe(0)
    const text = readFileSync(file, 'utf8')
    expect(text).toContain(`\nbehalf_ship_delivered_total ${log.lines.length}\n`)
    expect(text).toContain('\nbehalf_ship_lag_records 0\n')
    expect(existsSync(`${file}.new`)).toBe(false)
  })

  it('can be asked for on loopback, and the port is free again at the end', async () => {
    const log = await createLog()
    const { directory } = await realJournal(3)
    const port = await freePort()
    const ending = new AbortController()
    const { terminal } = createWorld({ signal: ending.signal, now: Date.now })
    const ended = run(['audit', 'ship', directory, '--to', log.url, '--metrics', String(port)], terminal)
    const all = linesOf(directory).length
    await until(() => log.lines.length === all)
    let answer = await asked(port, '/metrics')
    while (!answer.text.includes(`behalf_ship_delivered_total ${all}\n`)) answer = await asked(port, '/metrics')
    expect(answer.type).toBe('text/plain; version=0.0.4; charset=utf-8')
    expect((await asked(port, '/')).status).toBe(404)
    ending.abort('SIGINT')
    expect(await ended).toBe(0)
    await expect(asked(port, '/metrics')).rejects.toThrow('ECONNREFUSED')
  })

  it('a port that is taken, or a file that cannot be written, is told before anything is delivered', async () => {
    const log = await createLog()
    const { directory } = await realJournal(1)
    const taken = await ship(directory, ['--to', log.url, '--once', '--metrics', new URL(log.url).port])
    expect(taken).toMatchObject({
      code: 74,
      err: `behalf: --metrics: port ${new URL(log.url).port} cannot be had (EADDRINUSE)\n`,
    })
    const nowhere = await ship(directory, ['--to', log.url, '--once', '--metrics', '/nonexistent/x.prom'])
    expect(nowhere.err).toContain('cannot write the metrics to /nonexistent/x.prom')
    expect(nowhere.code).toBe(74)
    expect(log.lines).toEqual([])
  })
})

describe('mistakes', () => {
  it.each<[string, string[], number, string]>([
    ['nowhere to go', ['--once'], 64, 'say where to: --to nats://…'],
    ['two places', ['--to', 'nats://x', '--to-file', 'y'], 64, '--to and --to-file say the same'],
    ['a file that is not there', ['--to-file', '/nonexistent'], 74, 'cannot read the URL /nonexistent'],
    ['a subject for a table', ['--to', 'postgres://127.0.0.1/x', '--subject', 'y'], 64, '--subject goes with nats://'],
    ['a table for a subject', ['--to', 'nats://127.0.0.1', '--table', 'y'], 64, '--table goes with postgres://'],
    ['a migration of a stream', ['--to', 'nats://127.0.0.1', '--migrate'], 64, '--migrate goes with postgres://'],
    [
      'two kinds of credentials',
      ['--to', 'nats://127.0.0.1', '--token-file', 'a', '--credentials-file', 'b'],
      64,
      'say the same',
    ],
    ['no token in its file', ['--to', 'https://127.0.0.1', '--token-file', '/nonexistent'], 74, 'cannot read the token'],
    ['a batch of nothing', ['--to', 'nats://127.0.0.1', '--batch', '0'], 64, 'It must be a whole number from 1 to 10000'],
  ])('%s', async (_, args, exit, message) => {
    const { directory } = await realJournal(1)
    const { code, err, out } = await ship(directory, args)
    expect(err).toMatch(/^behalf: [^\n]+\n$/)
    expect(err).toContain(message)
    expect(out).toBe('')
    expect(code).toBe(exit)
  })

  it('a journal that was changed, or is none', async () => {
    const log = await createLog()
    const { directory } = await realJournal(3)
    const segment = join(directory, 'journal-0000000000000000.jsonl')
    writeFileSync(segment, readFileSync(segment, 'utf8').replace('"agent-1"', '"agent-9"'))
    const { code, err } = await ship(directory, ['--to', log.url, '--once'])
    expect(err).toMatch(/^behalf: journal-0000000000000000\.jsonl has no record at byte \d+\n$/)
    expect(code).toBe(74)
    expect((await ship(newDirectory(), ['--to', log.url, '--once'])).err).toContain('holds no journal')
  })

  it('no directory', async () => {
    expect(await ship('/nonexistent', ['--to', 'https://127.0.0.1', '--once'])).toMatchObject({
      code: 74,
      err: 'behalf: cannot read the journal /nonexistent: no such file or directory\n',
    })
  })

  it('a cursor that cannot be saved is told, though everything was delivered', async () => {
    const log = await createLog()
    const { directory } = await realJournal(1)
    const cursor = join(newDirectory(), 'cursor.json')
    mkdirSync(cursor)
    const { code, err } = await ship(directory, ['--to', log.url, '--once', '--cursor', cursor])
    expect(err).toMatch(/^behalf: [^\n]+\n$/)
    expect(code).toBe(74)
  })
})

function asked(
  port: number,
  path: string,
): Promise<{ readonly status: number | undefined; readonly type: string | undefined; readonly text: string }> {
  return new Promise((resolve, reject) => {
    get({ port, host: '127.0.0.1', path, agent: false }, async (response) => {
      resolve({ status: response.statusCode, type: response.headers['content-type'], text: await textOf(response) })
    }).once('error', reject)
  })
}

/** Waits for something that another part of this process does; the test's own time limit ends it. */
async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setImmediate(resolve))
}
