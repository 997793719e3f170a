import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { ensureStream } from '@behalf/nats'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { type NatsServerUnderTest, startNatsServer } from '../../../test/support/nats-server.js'
import { describeWith } from '../../../test/support/needs-program.js'
import { type PostgresServer, startPostgres } from '../../../test/support/postgres-server.js'
import { newDirectory, realJournal } from './support/journals.js'
import { type Ran, runCommand, type World } from './support/run-command.js'

const ship = (directory: string, args: readonly string[], world: World = {}): Promise<Ran> =>
  runCommand(['audit', 'ship', directory, '--once', ...args], world)

/** How many records a journal of one segment has. */
function recordsOf(directory: string): number {
  const [segment = ''] = readdirSync(directory).filter((name) => name.endsWith('.jsonl'))
  return readFileSync(join(directory, segment), 'utf8').trim().split('\n').length
}

describeWith('nats-server', 'shipping to NATS', () => {
  let server: NatsServerUnderTest
  beforeAll(async () => {
    server = await startNatsServer({ configuration: 'authorization { token: "token-SECRET" }' })
  })
  afterAll(() => server.stop())

  it('delivers what is there, with a token from the environment; without a stream it says what is missing', async () => {
    const { directory } = await realJournal(3)
    const world = { env: { BEHALF_SHIP_TOKEN: 'token-SECRET' } }
    const nowhere = await ship(directory, ['--to', server.url], world)
    expect(nowhere.code).toBe(69)
    expect(nowhere.err).toContain('no JetStream stream takes the subject of the records')
    await ensureStream({ servers: server.url, credentials: { token: 'token-SECRET' }, name: 'AUDIT', replicas: 1 })
    const done = await ship(directory, ['--to', server.url], world)
    expect(done).toMatchObject({ code: 0, out: `delivered ${recordsOf(directory)} records\n`, err: '' })
    const denied = await ship(directory, ['--to', server.url, '--cursor', join(newDirectory(), 'c.json')])
    expect(denied.code).toBe(69)
    expect(denied.err).toContain('the server refuses them')
    for (const { out, err } of [nowhere, done, denied]) expect(`${out}${err}`).not.toContain('SECRET')
  })
})

describeWith('postgres', 'shipping to PostgreSQL', () => {
  let server: PostgresServer
  beforeAll(async () => {
    server = await startPostgres()
  })
  afterAll(() => server.stop())

  it('makes the table where it is asked to, and delivers', async () => {
    const { directory } = await realJournal(3)
    const world = { env: { BEHALF_SHIP_TO: server.url() } }
    const missing = await ship(directory, [], world)
    expect(missing.code).toBe(69)
    expect(missing.err).toContain('the table of the audit log is not there')
    const records = `delivered ${recordsOf(directory)} records\n`
    expect(await ship(directory, ['--migrate'], world)).toMatchObject({ code: 0, out: records, err: '' })
    expect(await ship(directory, ['--migrate'], world)).toMatchObject({ code: 0, out: 'delivered 0 records\n' })
    const password = new URL(server.url()).password
    expect(password).not.toBe('')
    expect(`${missing.out}${missing.err}`).not.toContain(password)
  })

  it('a server that cannot be reached for its table is 69, not a defect', async () => {
    const { directory } = await realJournal(1)
    const url = new URL(server.url())
    url.password = 'wrong-SECRET'
    const { code, err } = await ship(directory, ['--migrate'], { env: { BEHALF_SHIP_TO: url.href } })
    expect(err).toMatch(/^behalf: PostgreSQL does not let the user in[^\n]+\n$/)
    expect(err).not.toContain('SECRET')
    expect(code).toBe(69)
  })
})
