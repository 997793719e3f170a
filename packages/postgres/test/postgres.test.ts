import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import type { AuditEvent, DeliveryTarget } from '@behalf/core'
import { migrate, migrations, PostgresError, type PostgresOptions, postgresSink, postgresTarget } from '@behalf/postgres'
import { sinkContract, targetContract, testEvent, testRecord } from '@behalf/testing'
import pg from 'pg'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { describeWith } from '../../../test/support/needs-program.js'
import { type AuditDatabase, startAuditDatabase } from './support/audit-database.js'

let database: AuditDatabase
const closing: (() => Promise<unknown>)[] = []

/** A target of the user that may do nothing but insert. */
function target(options: Partial<PostgresOptions> = {}): DeliveryTarget {
  const made = postgresTarget({ ...(options.pool === undefined && { connectionString: database.writerUrl }), ...options })
  closing.push(async () => made.close?.())
  return made
}

function pool(config: pg.PoolConfig = {}): pg.Pool {
  const made = new pg.Pool({ connectionString: database.writerUrl, ssl: false, ...config })
  closing.push(() => made.end())
  return made
}

/** What `deliver` came to. */
async function failure(promise: Promise<unknown>): Promise<PostgresError> {
  const error = await promise.then(
    () => null,
    (thrown: unknown) => thrown,
  )
  expect(error).toBeInstanceOf(PostgresError)
  const { stack, cause } = error as PostgresError
  expect(cause).toBeUndefined()
  expect(`${stack} ${JSON.stringify(error)}`).not.toContain('password-of')
  return error as PostgresError
}

/** Asks again until the answer fits: the server's processes take their time. */
async function until<Row>(text: string, fits: (rows: Row[]) => boolean): Promise<Row[]> {
  for (;;) {
    const rows = await database.sql<Row>(text)
    if (fits(rows)) return rows
  }
}

describeWith('postgres', '@behalf/postgres', () => {
  beforeAll(async () => {
    const settings = { wal_level: 'replica', max_wal_senders: '2', wal_writer_delay: '10s' }
    database = await startAuditDatabase({ settings })
    // What an acknowledgement is worth must not depend on what somebody has set.
    for (const setting of [
      'synchronous_commit = off',
      "default_transaction_isolation = 'serializable'",
      'client_min_messages = error',
    ]) {
      await database.sql(`alter role writer set ${setting}`)
    }
  })
  afterAll(() => database?.stop())
  beforeEach(() => database.sql('truncate behalf_audit'))
  afterEach(async () => {
    for (const close of closing.splice(0).reverse()) await close()
  })

  describe('postgresTarget() of a user that may only insert', () => {
    const contract = targetContract(() => ({ target: target(), kept: () => database.kept() }))
    for (const { name, run } of contract) it(name, run)
  })

  describe('postgresSink() of a user that may only insert', () => {
    const contract = sinkContract(() => {
      const sink = postgresSink({ connectionString: database.writerUrl })
      closing.push(async () => sink.close?.())
      return { sink, accepted: async () => (await database.kept()).map(({ body }): AuditEvent => JSON.parse(body)) }
    })
    for (const { name, run } of contract) it(name, run)
  })

  describe('a row', () => {
    it('has what people ask for in columns, and the body as it came', async () => {
      const event = testEvent({
        type: 'access.outcome',
        stage: 'response',
        result: 'completed',
        reason: 'scope_insufficient',
        decision: 'would_refuse',
        tenant: 'tenant-1',
        http: { method: 'POST', route: '/orders/:id', status: 201, durationMilliseconds: 5 },
      })
      const record = testRecord({ event, sequence: Number.MAX_SAFE_INTEGER })
      await target().deliver([record])
      expect(await database.sql('select * from behalf_audit')).toEqual([
        {
          id: event.id,
          chain: record.chain,
          sequence: String(Number.MAX_SAFE_INTEGER),
          time: new Date(event.time),
          type: 'access.outcome',
          request_id: event.requestId,
          stage: 'response',
          decision: 'would_refuse',
          reason: 'scope_insufficient',
          rule: 'support-looks',
          kind: 'impersonation',
          result: 'completed',
          issuer: 'https://as.example.test',
          subject_issuer: 'https://as.example.test',
          subject_id: 'user-1',
          actor_issuer: null,
          actor_id: 'support-1',
          client_id: 'client-1',
          tenant: 'tenant-1',
          http_method: 'POST',
          http_route: '/orders/:id',
          http_status: 201,
          peer: '127.0.0.1',
          body: record.body,
        },
      ])
    })

    it("of a journal's own record has nothing but its place and its body", async () => {
      await target().deliver([testRecord({ id: 'j/4', chain: 'j', sequence: 4, body: '{"stop":{}}', event: null })])
      const [row] = await database.sql('select * from behalf_audit')
      const said = Object.entries(row ?? {}).filter(([, value]) => value !== null)
      expect(Object.fromEntries(said)).toEqual({ id: 'j/4', chain: 'j', sequence: '4', body: '{"stop":{}}' })
    })

    it('shows a zero character and a half pair as U+FFFD in columns, and keeps them in the body', async () => {
      const text = 'a\0b\ud800'
      const subject = { id: text, idClaim: 'sub', issuer: text, type: null, profiles: [], tenant: null }
      await target().deliver([
        testRecord({ event: testEvent({ subject, actor: subject, clientId: text, rule: text, tenant: text }) }),
      ])
      const [row] = await database.sql<{ body: string }>(
        'select subject_id, actor_issuer, client_id, rule, tenant, body from behalf_audit',
      )
      const shown = 'a\ufffdb\ufffd'
      expect(row).toMatchObject({ subject_id: shown, actor_issuer: shown, client_id: shown, rule: shown, tenant: shown })
      expect(JSON.parse(row?.body ?? '').subject.id).toBe(text)
    })

    it('has every text as it is, whatever it means to PostgreSQL', async () => {
      const texts = [
        '',
        ' ',
        ' a ',
        'NULL',
        'null',
        '{}',
        '{a,b}',
        ',',
        '"',
        '""',
        "'",
        '\\',
        '\\\\',
        '\\"',
        '\\N',
        '\\n',
        'a\n\r\tb',
        '$1',
        '%s',
        '\u2028',
        '\ufeff',
        '\u{1f600}',
      ]
      const records = texts.map((text, sequence) =>
        testRecord({
          id: `id ${text}`,
          chain: `chain ${text}`,
          sequence,
          body: text,
          event: testEvent({ clientId: text, tenant: null }),
        }),
      )
      await target().deliver(records)
      const rows = await database.sql('select id, chain, sequence, body, client_id, tenant from behalf_audit order by sequence')
      expect(rows).toEqual(
        texts.map((text, sequence) => {
          const names = { id: `id ${text}`, chain: `chain ${text}`, sequence: String(sequence) }
          return { ...names, body: text, client_id: text, tenant: null }
        }),
      )
    })

    it('is never too long for an index: a column is cut at 512 characters, and says so', async () => {
      const long = (length: number) =>
        Array.from({ length }, (_, index) => String.fromCharCode(0x4e00 + ((index * 7919) % 20_000))).join('')
      const party = (id: string) => ({ id, idClaim: 'sub', issuer: null, type: null, profiles: [], tenant: null }) as const
      const events = [512, 513, 1024, 100_000].map((length) =>
        testEvent({ subject: party(long(length)), actor: party(long(length)), requestId: long(length) }),
      )
      await target().deliver(events.map((event, sequence) => testRecord({ event, sequence })))
      const rows = await database.sql<{ subject_id: string; body: string }>(
        'select subject_id, body from behalf_audit order by sequence',
      )
      expect(rows.map(({ subject_id }) => subject_id)).toEqual([long(512), ...Array(3).fill(`${long(511)}…`)])
      expect(rows.map(({ body }) => JSON.parse(body).subject.id.length)).toEqual([512, 513, 1024, 100_000])
    })

    it('is found by an index, whatever is asked', async () => {
      const client = new pg.Client({ connectionString: database.ownerUrl, ssl: false })
      await client.connect()
      closing.push(() => client.end())
      await client.query('set enable_seqscan = off')
      const indexOf = async (rest: string) => {
        const { rows } = await client.query(`explain (format json) select body from behalf_audit ${rest}`)
        return JSON.stringify(rows).match(/behalf_audit_[a-z]+/)?.[0]
      }
      expect(await indexOf("where chain = 'x' order by sequence")).toBe('behalf_audit_chain')
      expect(await indexOf("where time > now() - interval '1 day' order by time")).toBe('behalf_audit_time')
      expect(await indexOf("where subject_id = 'x' order by time desc limit 50")).toBe('behalf_audit_subject')
      expect(await indexOf("where actor_id = 'x' order by time desc limit 50")).toBe('behalf_audit_actor')
      expect(await indexOf("where request_id = 'x'")).toBe('behalf_audit_request')
      expect(await indexOf("where decision = 'refuse' order by time desc limit 50")).toBe('behalf_audit_refused')
    })
  })

  describe('the user of a sink', () => {
    it('needs INSERT and has nothing else: no row is read, changed or removed', async () => {
      const writer = pool()
      await target({ pool: writer }).deliver([testRecord()])
      const refused = { code: '42501' }
      await expect(writer.query('select id from behalf_audit')).rejects.toMatchObject(refused)
      await expect(writer.query("update behalf_audit set body = ''")).rejects.toMatchObject(refused)
      await expect(writer.query('delete from behalf_audit')).rejects.toMatchObject(refused)
      await expect(writer.query('truncate behalf_audit')).rejects.toMatchObject(refused)
      await expect(writer.query('select * from behalf_audit_migrations')).rejects.toMatchObject(refused)
    })
  })

  describe('an acknowledgement', () => {
    it('survives a crash, though the user is set to synchronous_commit = off', async () => {
      const writer = pool()
      const made = target({ pool: writer })
      const records = Array.from({ length: 5 }, (_, sequence) => testRecord({ sequence }))
      await made.deliver(records)
      await writer.query("insert into behalf_audit (id, chain, sequence, body) values ('as it is set', 'x', 0, '')")
      await database.server.restart()
      expect((await database.kept()).map(({ id }) => id)).toEqual(records.map(({ id }) => id))
    })

    describe('with a standby that is away', () => {
      const setStandby = async (names: string) => {
        await database.sql(`alter system set synchronous_standby_names = '${names}'`)
        await database.sql('select pg_reload_conf()')
        await until<{ names: string }>(
          'select current_setting($$synchronous_standby_names$$) as names',
          ([row]) => row?.names === names,
        )
      }
      const waiting = "select pid from pg_stat_activity where wait_event = 'SyncRep'"
      afterEach(() => setStandby(''))

      it('is not given, and not at the next attempt either, until one is there', async () => {
        const record = testRecord({ sequence: 1 })
        const impatient = target({ statementTimeoutMilliseconds: 300 })
        await impatient.deliver([testRecord()]) // connected
        await setStandby('away')
        expect((await failure(impatient.deliver([record]))).message).toBe('PostgreSQL did not answer in time')
        const [first] = await until<{ pid: number }>(waiting, (rows) => rows.length === 1)
        await database.sql('select pg_terminate_backend($1)', [first?.pid])
        await until(waiting, (rows) => rows.length === 0)
        expect(await database.kept()).toHaveLength(2) // committed here, and nowhere else
        expect((await failure(impatient.deliver([record]))).message).toBe('PostgreSQL did not answer in time')
        await setStandby('')
        await impatient.deliver([record])
        expect((await database.kept()).map(({ id }) => id)).toContain(record.id)
        expect(await database.kept()).toHaveLength(2)
      })

      it('is not given where somebody ends the wait, though the user is set to hear of no warning', async () => {
        const patient = target({ statementTimeoutMilliseconds: 60_000 })
        await setStandby('away')
        const delivering = failure(patient.deliver([testRecord()]))
        const [backend] = await until<{ pid: number }>(waiting, (rows) => rows.length === 1)
        await database.sql('select pg_cancel_backend($1)', [backend?.pid])
        expect((await delivering).message).toBe('the records were committed, but no standby has confirmed them')
      })
    })
  })

  describe('trouble', () => {
    it.each<[what: string, url: (url: URL) => void, code: string | null, message: string]>([
      ['a wrong password', (url) => (url.password = 'wrong'), '28P01', 'PostgreSQL does not let the user in'],
      ['a user that is not there', (url) => (url.username = 'nobody'), '28P01', 'PostgreSQL does not let the user in'],
      ['no password', (url) => (url.password = ''), null, 'PostgreSQL asks for a password, and none was given'],
      ['no such database', (url) => (url.pathname = '/nothing'), '3D000', 'the database does not exist'],
      ['nobody there', (url) => (url.port = '1'), 'ECONNREFUSED', 'PostgreSQL cannot be reached'],
      ['no such socket', (url) => (url.search = '?host=/nowhere'), 'ENOENT', 'PostgreSQL cannot be reached'],
      ['no TLS where it is asked for', (url) => (url.search = '?sslmode=verify-full'), null, 'the server does not speak TLS'],
    ])('%s', async (_, change, code, message) => {
      const url = new URL(database.writerUrl)
      change(url)
      const error = await failure(target({ connectionString: url.href }).deliver([testRecord()]))
      expect(error.code).toBe(code)
      expect(error.message).toContain(message)
    })

    it.each<[what: string, sql: string, undo: string, code: string, message: string]>([
      [
        'no table',
        'alter table behalf_audit rename to gone',
        'alter table gone rename to behalf_audit',
        '42P01',
        'the table of the audit log is not there',
      ],
      [
        'no privilege',
        'revoke insert on behalf_audit from writer',
        'grant insert on behalf_audit to writer',
        '42501',
        'the user has not the privilege',
      ],
      [
        'another table',
        'alter table behalf_audit rename stage to phase',
        'alter table behalf_audit rename phase to stage',
        '42703',
        'the table of the audit log is of another version',
      ],
      [
        'read only',
        'alter role writer set default_transaction_read_only = on',
        'alter role writer reset default_transaction_read_only',
        '25006',
        'the server takes no writes',
      ],
    ])('%s: the same target goes on when it is mended', async (_, sql, undo, code, message) => {
      const made = target()
      const record = testRecord()
      await database.sql(sql)
      try {
        const error = await failure(made.deliver([record]))
        expect(error).toMatchObject({ code, message: expect.stringContaining(message) })
        expect(error.message).toContain(`(${code})`)
      } finally {
        await database.sql(undo)
      }
      await made.deliver([record])
      expect(await database.kept()).toHaveLength(1)
    })

    it('no error holds a record, though the server names it', async () => {
      await database.sql("alter table behalf_audit add constraint picky check (client_id <> 'client-1')")
      try {
        const error = await failure(target().deliver([testRecord()]))
        expect(error).toMatchObject({ code: '23514', message: 'PostgreSQL did not take the records (23514)' })
        expect(`${error.stack} ${JSON.stringify(error)}`).not.toContain('client-1')
      } finally {
        await database.sql('alter table behalf_audit drop constraint picky')
      }
    })

    it('a record that an earlier attempt commits meanwhile is taken without a trace, whatever isolation is set', async () => {
      const record = testRecord()
      const earlier = new pg.Client({ connectionString: database.ownerUrl, ssl: false })
      await earlier.connect()
      closing.push(() => earlier.end())
      await earlier.query('begin')
      await earlier.query("insert into behalf_audit (id, chain, sequence, body) values ($1, 'x', 0, '')", [record.id])
      const delivering = target().deliver([record, testRecord({ sequence: 1 })])
      await until(
        "select 1 from pg_stat_activity where usename = 'writer' and wait_event_type = 'Lock'",
        (rows) => rows.length === 1,
      )
      await earlier.query('commit')
      await delivering
      expect(await database.kept()).toHaveLength(2)
    })

    it('a batch is kept as a whole or not at all', async () => {
      await database.sql('alter table behalf_audit add constraint picky check (sequence <> 3)')
      try {
        await failure(target().deliver(Array.from({ length: 5 }, (_, sequence) => testRecord({ sequence }))))
      } finally {
        await database.sql('alter table behalf_audit drop constraint picky')
      }
      expect(await database.kept()).toEqual([])
    })

    it('a statement that waits for a lock is given up, by the server too', async () => {
      const locker = new pg.Client({ connectionString: database.ownerUrl, ssl: false })
      await locker.connect()
      closing.push(() => locker.end())
      await locker.query('begin; lock table behalf_audit in access exclusive mode')
      const made = target({ statementTimeoutMilliseconds: 100 })
      expect((await failure(made.deliver([testRecord()]))).message).toContain('PostgreSQL did not answer in time')
      expect((await failure(made.deliver([testRecord()]))).message).toContain('PostgreSQL did not answer in time')
      await until(
        "select 1 from pg_stat_activity where usename = 'writer' and wait_event_type = 'Lock'",
        (rows) => rows.length === 0,
      )
      await locker.query('rollback')
      await made.deliver([testRecord()])
      expect(await database.kept()).toHaveLength(1)
    })

    it('connections that the server ends, in use or idle, end no process; the next delivery has another', async () => {
      const writer = pool()
      const made = target({ pool: writer })
      await made.deliver([testRecord()])
      const lost = once(writer, 'error')
      await database.sql("select pg_terminate_backend(pid) from pg_stat_activity where usename = 'writer'")
      await lost
      await made.deliver([testRecord({ sequence: 1 })])

      const own = target()
      await own.deliver([testRecord({ sequence: 2 })])
      await database.sql("select pg_terminate_backend(pid) from pg_stat_activity where usename = 'writer'")
      const last = testRecord({ sequence: 3 })
      await own.deliver([last]).catch(() => own.deliver([last])) // it may not have heard yet
      expect(await database.kept()).toHaveLength(4)
    })

    it('a connection that is lost during a delivery is said to be', async () => {
      const locker = new pg.Client({ connectionString: database.ownerUrl, ssl: false })
      await locker.connect()
      closing.push(() => locker.end())
      await locker.query('begin; lock table behalf_audit in access exclusive mode')
      const made = target()
      const delivering = failure(made.deliver([testRecord()]))
      const stuck = "select pid from pg_stat_activity where usename = 'writer' and wait_event_type = 'Lock'"
      const [backend] = await until<{ pid: number }>(stuck, (rows) => rows.length === 1)
      await database.sql('select pg_terminate_backend($1)', [backend?.pid])
      expect((await delivering).message).toBe('PostgreSQL ended the connection (57P01)')
      await locker.query('rollback')
      await made.deliver([testRecord()])
    })
  })

  describe("the application's pool", () => {
    it('is not ended with the target, keeps no listeners on its clients, and its sessions keep their settings', async () => {
      const writer = pool({ max: 1 })
      const made = target({ pool: writer })
      for (let sequence = 0; sequence < 20; sequence++) await made.deliver([testRecord({ sequence })])
      expect(writer.totalCount).toBe(1)
      await made.close?.()
      const error = await failure(made.deliver([testRecord()]))
      expect(error.message).toBe('the PostgreSQL target is closed')
      const client = await writer.connect()
      expect(client.listenerCount('notice')).toBe(0)
      expect(client.listenerCount('error')).toBe(0)
      expect((await client.query('show synchronous_commit')).rows).toEqual([{ synchronous_commit: 'off' }])
      expect((await client.query('show statement_timeout')).rows).toEqual([{ statement_timeout: '0' }])
      client.release()
    })

    it('has none free in time: the delivery is refused, and the connection that comes later goes back', async () => {
      const writer = pool({ max: 1 })
      const made = target({ pool: writer, connectTimeoutMilliseconds: 50 })
      const taken = await writer.connect()
      expect((await failure(made.deliver([testRecord()]))).message).toBe('there was no connection to PostgreSQL in time')
      taken.release()
      const again = await writer.connect()
      again.release()
      await made.deliver([testRecord()])
      expect(writer.waitingCount).toBe(0)
    })

    it('may have been ended', async () => {
      const writer = new pg.Pool({ connectionString: database.writerUrl, ssl: false })
      const made = target({ pool: writer })
      await writer.end()
      expect((await failure(made.deliver([testRecord()]))).message).toBe('PostgreSQL did not take the records')
    })
  })

  it('works over a unix socket, and into a schema of its own', async () => {
    await database.sql('create schema security')
    const options = { connectionString: database.server.socketUrl(), table: 'security.order' }
    expect(await migrate(options)).toEqual([1])
    const record = testRecord()
    await target(options).deliver([record, record])
    expect(await database.sql('select id, body from security.order')).toEqual([{ id: record.id, body: record.body }])
    expect(await database.kept()).toEqual([])
    const indexes = await database.sql(
      "select indexname from pg_indexes where schemaname = 'security' and indexname like 'order_%'",
    )
    expect(indexes).toHaveLength(8) // and two primary keys
  })

  describe('migrate()', () => {
    const fresh = async (run: (options: PostgresOptions) => Promise<void>) => {
      await database.sql('create schema fresh')
      try {
        await run({ connectionString: database.ownerUrl, table: 'fresh.audit' })
      } finally {
        await database.sql('drop schema fresh cascade')
      }
    }

    it('applies what is missing once, however many do so at once', () =>
      fresh(async (options) => {
        const applied = await Promise.all(Array.from({ length: 6 }, () => migrate(options)))
        expect(applied.flat()).toEqual(migrations().map(({ version }) => version))
        expect(await migrate(options)).toEqual([])
        const versions = await database.sql('select version from fresh.audit_migrations')
        expect(versions).toEqual(migrations().map(({ version }) => ({ version })))
      }))

    it('takes a table that was made by hand, and SQL that is run twice changes nothing', () =>
      fresh(async (options) => {
        const all = migrations('fresh.audit').map(({ sql }) => sql)
        for (const sql of [...all, ...all]) await database.sql(sql)
        await target({ connectionString: database.ownerUrl, table: 'fresh.audit' }).deliver([testRecord()])
        expect(await migrate(options)).toEqual(migrations().map(({ version }) => version))
        expect(await database.sql('select id from fresh.audit')).toHaveLength(1)
      }))

    it('leaves nothing behind where it fails', () =>
      fresh(async (options) => {
        await database.sql('create table fresh.audit (id text)') // somebody else's
        expect((await failure(migrate(options))).code).toBe('42703')
        expect(await database.sql("select 1 from pg_tables where tablename = 'audit_migrations'")).toEqual([])
      }))

    it("is the owner's: the user of the sink is refused, and so is whoever cannot get in", async () => {
      expect((await failure(migrate({ connectionString: database.writerUrl, table: 'mine' }))).code).toBe('42501')
      expect((await failure(migrate({ connectionString: database.server.url({ name: 'owner', password: 'x' }) }))).code).toBe(
        '28P01',
      )
    })

    it('refuses a database whose encoding cannot keep every record', async () => {
      await database.sql("create database latin encoding 'LATIN1' template template0 locale 'C'")
      const url = new URL(database.ownerUrl)
      url.pathname = '/latin'
      expect((await failure(migrate({ connectionString: url.href }))).message).toBe('the encoding of the database must be UTF8')
    })

    it("takes the application's pool, and leaves it open", async () => {
      const owner = pool({ connectionString: database.ownerUrl })
      expect(await migrate({ pool: owner })).toEqual([])
      expect((await owner.query('select 1 as one')).rows).toEqual([{ one: 1 }])
    })
  })
})

it('the README shows the SQL of every migration', () => {
  const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8')
  for (const { sql } of migrations()) expect(readme).toContain(`\`\`\`sql\n${sql}\`\`\``)
})
