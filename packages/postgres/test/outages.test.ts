import { EventEmitter, once } from 'node:events'
import { setImmediate as turn } from 'node:timers/promises'
import type { AuditSink, DeliveryRecord, DeliveryTarget } from '@behalf/core'
import { type PostgresClient, type PostgresPool, postgresSink, postgresTarget } from '@behalf/postgres'
import { testEvent, testRecord } from '@behalf/testing'
import pg from 'pg'
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest'
import { deferred } from '../../../test/support/deferred.js'
import { describeWith } from '../../../test/support/needs-program.js'
import { type AuditDatabase, startAuditDatabase } from './support/audit-database.js'

const KILLS = 5
const PAUSES = 4
const BATCH_RECORDS = 20

let database: AuditDatabase
/** Settles when the server is there again: nobody needs to try before. */
let back: Promise<void> = Promise.resolve()

/** Batches of one chain, each tried until it is acknowledged: what a shipper does. Emits `acknowledged` and `failed`. */
function ship(target: DeliveryTarget) {
  const state = { acknowledged: 0, stopped: false }
  const events = new EventEmitter()
  async function deliver(records: readonly DeliveryRecord[]): Promise<void> {
    for (;;) {
      try {
        await target.deliver(records)
        state.acknowledged += records.length
        events.emit('acknowledged')
        return
      } catch {
        events.emit('failed')
        await back
      }
    }
  }
  const done = (async () => {
    while (!state.stopped) {
      const start = state.acknowledged
      const chain = 'the chain'
      await deliver(Array.from({ length: BATCH_RECORDS }, (_, index) => testRecord({ chain, sequence: start + index })))
    }
  })()
  return { state, events, done }
}

/** In the middle of the work: after some acknowledgements, and another moment each time. */
async function moment(events: EventEmitter, number: number): Promise<void> {
  for (let times = 0; times < 3; times++) await once(events, 'acknowledged')
  for (let turns = number; turns > 0; turns--) await turn()
}

/** Kills the server, sees somebody fail, and starts it again. What was acknowledged before it was gone. */
async function crash<T>(events: EventEmitter, acknowledged: () => T): Promise<T> {
  const failed = once(events, 'failed')
  const { promise, resolve } = deferred()
  back = promise
  await database.server.kill()
  const before = acknowledged()
  await failed
  await database.server.start()
  resolve()
  return before
}

/** A pool that lets a test act just before a commit is sent. */
function beforeCommit(pool: pg.Pool, act: () => void): PostgresPool {
  return {
    on: (event, listener) => pool.on(event, listener),
    async connect() {
      const client: PostgresClient = await pool.connect()
      return {
        on: (event, listener) => client.on(event, listener),
        off: (event, listener) => client.off(event, listener),
        release: (destroy) => client.release(destroy),
        query(query) {
          if (query.text === 'commit') act()
          return client.query(query)
        },
      }
    },
  }
}

/** What is kept of the chain is its beginning, each record once, and nothing that was acknowledged is missing. */
async function assertPrefix(acknowledged: number): Promise<void> {
  const rows = await database.sql<{ sequence: string }>('select sequence from behalf_audit order by sequence')
  expect(rows.map(({ sequence }) => Number(sequence))).toEqual(Array.from(rows.keys()))
  expect(rows.length).toBeGreaterThanOrEqual(acknowledged)
}

/** Writes without a pause, and keeps the ids of what was accepted. Emits `acknowledged` and `failed`. */
function write(sink: AuditSink) {
  const state = { accepted: [] as string[], stopped: false }
  const events = new EventEmitter()
  const writer = async () => {
    while (!state.stopped) {
      const event = testEvent()
      try {
        await sink.write(event)
        state.accepted.push(event.id)
        events.emit('acknowledged')
      } catch {
        events.emit('failed')
        await back
      }
    }
  }
  return { state, events, done: Promise.all(Array.from({ length: 8 }, writer)) }
}

describeWith('postgres', '@behalf/postgres while the server is killed and paused', () => {
  beforeAll(async () => {
    database = await startAuditDatabase()
  })
  afterAll(() => database?.stop())
  beforeEach(() => database.sql('truncate behalf_audit'))

  it('a target: killed in the middle of deliveries, nothing acknowledged is lost, nothing doubled, order kept', async () => {
    const target = postgresTarget({ connectionString: database.writerUrl })
    const { state, events, done } = ship(target)
    for (let kill = 0; kill < KILLS; kill++) {
      await moment(events, kill)
      await assertPrefix(await crash(events, () => state.acknowledged))
    }
    state.stopped = true
    await done
    await assertPrefix(state.acknowledged)
    expect(await database.kept()).toHaveLength(state.acknowledged)
    await target.close?.()
  })

  it('a target: paused in the middle of deliveries, nothing acknowledged is lost, nothing doubled, order kept', async () => {
    const timeouts = { statementTimeoutMilliseconds: 100, connectTimeoutMilliseconds: 100 }
    const target = postgresTarget({ connectionString: database.writerUrl, ...timeouts })
    const { state, events, done } = ship(target)
    for (let pause = 0; pause < PAUSES; pause++) {
      await moment(events, pause)
      database.server.pause()
      await once(events, 'failed') // at a statement
      await once(events, 'failed') // at connecting
      const before = state.acknowledged
      if (pause === PAUSES - 1) await crash(events, () => {})
      else database.server.resume()
      await assertPrefix(before)
    }
    state.stopped = true
    await done
    await assertPrefix(state.acknowledged)
    expect(await database.kept()).toHaveLength(state.acknowledged)
    await target.close?.()
  })

  it('a target: a batch that was given up and committed all the same is acknowledged at the next attempt, without a duplicate', async () => {
    const pool = new pg.Pool({ connectionString: database.writerUrl, ssl: false })
    let pausing = true
    const pause = () => {
      if (pausing) database.server.pause()
      pausing = false
    }
    const target = postgresTarget({ pool: beforeCommit(pool, pause), statementTimeoutMilliseconds: 100 })
    const records = Array.from({ length: 3 }, (_, sequence) => testRecord({ sequence }))
    await expect(target.deliver(records.slice(0, 2))).rejects.toThrow('PostgreSQL did not answer in time')
    database.server.resume()
    while ((await database.kept()).length === 0);
    await target.deliver(records)
    expect((await database.kept()).map(({ id }) => id)).toEqual(records.map(({ id }) => id))
    await pool.end()
  })

  it('a sink: refuses while the server is away, accepts when it is back; what it accepted is there, once', async () => {
    const sink = postgresSink({ connectionString: database.writerUrl })
    const { state, events, done } = write(sink)
    for (let kill = 0; kill < 2; kill++) {
      await moment(events, kill)
      const accepted = await crash(events, () => [...state.accepted])
      const kept = new Set((await database.kept()).map(({ id }) => id))
      expect(accepted.filter((id) => !kept.has(id))).toEqual([])
      await once(events, 'acknowledged')
    }
    state.stopped = true
    await done
    await sink.close?.()
    const kept = (await database.kept()).map(({ id }) => id)
    expect(new Set(kept).size).toBe(kept.length)
    expect(state.accepted.filter((id) => !kept.includes(id))).toEqual([])
  })
})
