import { randomUUID } from 'node:crypto'
import type { DeliveryRecord } from '@behalf/core'
import { ensureStream, natsSink, natsTarget } from '@behalf/nats'
import { testEvent, testRecord } from '@behalf/testing'
import { type JetStreamManager, jetstreamManager } from '@nats-io/jetstream'
import { connect, type NatsConnection } from '@nats-io/transport-node'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { type NatsServerUnderTest, startNatsServer } from '../../../test/support/nats-server.js'
import { describeWith } from '../../../test/support/needs-program.js'
import { storedMessages } from './support/stored.js'

describeWith('nats-server', 'delivery to a stream', () => {
  let server: NatsServerUnderTest
  let connection: NatsConnection
  let manager: JetStreamManager
  let count = 0

  beforeAll(async () => {
    server = await startNatsServer()
    connection = await connect({ servers: server.url })
    manager = await jetstreamManager(connection)
  })
  afterAll(async () => {
    await connection.close()
    await server.stop()
  })

  /** A stream, and targets for it. */
  async function freshStream(settings: { readonly duplicateWindowMilliseconds?: number } = {}) {
    const name = `delivery-${count++}`
    const options = { servers: server.url, subject: name }
    await ensureStream({ ...options, name, replicas: 1, ...settings })
    return {
      name,
      options,
      target: () => {
        const target = natsTarget(options)
        onTestFinished(() => target.close?.())
        return target
      },
      stored: () => storedMessages(server.url, name),
    }
  }

  function chainOf(length: number, chain: string = randomUUID()): DeliveryRecord[] {
    return Array.from({ length }, (_, sequence) => testRecord({ chain, sequence, event: testEvent() }))
  }

  const idsOf = (records: readonly { readonly id: string }[]) => records.map(({ id }) => id)

  test('each record is one message on the subject of its chain, with its id and its place', async () => {
    const { name, target, stored } = await freshStream()
    const [record] = chainOf(1)
    if (record === undefined) throw new Error('there is one')
    await target().deliver([{ ...record, sequence: 41 }])
    expect(await stored()).toEqual([{ id: record.id, body: record.body, subject: `${name}.${record.chain}`, sequence: '41' }])
  })

  test('a shipper is asked once for what the stream does not have of a chain that is new to its target', async () => {
    const { options, target, stored } = await freshStream()
    const records = chainOf(6)
    await target().deliver(records.slice(0, 2))
    const asking = natsTarget({ ...options, asksForGaps: true })
    onTestFinished(() => asking.close?.())
    const chain = String(records[0]?.chain)
    await expect(asking.deliver(records.slice(4))).rejects.toMatchObject({
      code: 'acknowledged_lost',
      resumeFrom: { chain, sequence: 2 },
    })
    await asking.deliver(records.slice(2, 4))
    await asking.deliver(records.slice(4))
    expect(idsOf(await stored())).toEqual(idsOf(records))
    const another = natsTarget({ ...options, asksForGaps: true })
    onTestFinished(() => another.close?.())
    const removed = { ...(chainOf(1, chain)[0] as DeliveryRecord), sequence: 99 }
    await expect(another.deliver([removed])).rejects.toMatchObject({ resumeFrom: { chain, sequence: 6 } })
    await another.deliver([removed]) // retention has removed what was asked for
    expect(await stored()).toHaveLength(7)
  })

  test('a chain whose name means something in a subject gets a subject of its own', async () => {
    const { name, target, stored } = await freshStream()
    const chains = ['a.b', 'a b', '*', '>', 'a=2eb', 'Ж\u{1f600}\ud800']
    await target().deliver(chains.map((chain) => testRecord({ chain, event: testEvent() })))
    const subjects = (await stored()).map(({ subject }) => subject.slice(name.length + 1))
    expect(subjects).toEqual(['a=2eb', 'a=20b', '=2a', '=3e', 'a=3d2eb', '=d0=96=f0=9f=98=80=ef=bf=bd'])
  })

  test('where one of a batch is refused, nothing behind it is stored; later it goes on in order', async () => {
    const { name, target, stored } = await freshStream()
    const records = chainOf(300).map((record) => (record.sequence === 120 ? { ...record, body: 'x'.repeat(20_000) } : record))
    await manager.streams.update(name, { max_msg_size: 10_000 })
    const delivering = target()
    await expect(delivering.deliver(records)).rejects.toMatchObject({ name: 'NatsError', code: 'refused', status: 10_054 })
    expect(idsOf(await stored())).toEqual(idsOf(records.slice(0, 120)))
    await manager.streams.update(name, { max_msg_size: -1 })
    await delivering.deliver(records)
    expect(idsOf(await stored())).toEqual(idsOf(records))
  })

  test('what is there is not delivered again, however long ago it was, and whoever delivered it', async () => {
    const { name, target, stored } = await freshStream({ duplicateWindowMilliseconds: 100 })
    const records = chainOf(50)
    await target().deliver(records.slice(0, 30))
    await pastWindow(name)
    await target().deliver(records.slice(0, 30))
    await target().deliver(records)
    expect(idsOf(await stored())).toEqual(idsOf(records))
  })

  test('who was overtaken by another writer of the chain, long ago, delivers nothing again', async () => {
    const { name, target, stored } = await freshStream({ duplicateWindowMilliseconds: 100 })
    const records = chainOf(12)
    const [slow, fast] = [target(), target()]
    await slow.deliver(records.slice(0, 5))
    await fast.deliver(records.slice(0, 10))
    await pastWindow(name)
    await slow.deliver(records.slice(5))
    expect(idsOf(await stored())).toEqual(idsOf(records))
  })

  /** Until the server no longer knows an id that it saw before. */
  async function pastWindow(name: string): Promise<void> {
    const js = manager.jetstream()
    const id = randomUUID()
    await js.publish(`${name}.window`, 'x', { msgID: id })
    await expect
      .poll(async () => (await js.publish(`${name}.window`, 'x', { msgID: id })).duplicate, { timeout: 10_000 })
      .toBe(false)
    await manager.streams.purge(name, { filter: `${name}.window` })
  }

  test('two writers in one stream: each chain whole, once, and in order', async () => {
    const { target, stored } = await freshStream()
    const chains = [chainOf(2_000), chainOf(2_000), chainOf(2_000)]
    await Promise.all(
      chains.map(async (records) => {
        const delivering = target()
        for (let at = 0; at < records.length; at += 500) await delivering.deliver(records.slice(at, at + 500))
      }),
    )
    const all = await stored()
    expect(all.length).toBe(6_000)
    for (const records of chains) {
      const ids = new Set(idsOf(records))
      expect(idsOf(all.filter(({ id }) => ids.has(id)))).toEqual(idsOf(records))
    }
  })

  test('two writers of one chain, which must not be: each record is there once and in order all the same', async () => {
    const { target, stored } = await freshStream()
    const records = chainOf(1_000)
    await Promise.all([target().deliver(records), target().deliver(records)])
    expect(idsOf(await stored())).toEqual(idsOf(records))
  })

  test('an event that comes by another chain too is there once, and both chains go on', async () => {
    const { target, stored } = await freshStream()
    const records = chainOf(3)
    const other = records
      .map((record) => ({ ...record, chain: randomUUID() }))
      .map((record, _, all) => ({ ...record, chain: all[0]?.chain ?? '' }))
    const further = chainOf(5, other[0]?.chain).slice(3)
    const delivering = target()
    await delivering.deliver(records)
    await delivering.deliver(other)
    await delivering.deliver(further)
    expect(idsOf(await stored())).toEqual(idsOf([...records, ...further]))
  })

  test('another record at the same place is refused', async () => {
    const { target, stored } = await freshStream()
    const records = chainOf(3)
    await target().deliver(records)
    const forked = chainOf(5, records[0]?.chain)
    const delivering = target()
    for (let attempt = 0; attempt < 2; attempt++) {
      await expect(delivering.deliver(forked)).rejects.toMatchObject({ code: 'chain_forked' })
    }
    expect(idsOf(await stored())).toEqual(idsOf(records))
  })

  test('a stream that was made anew has lost what it acknowledged: told of once, then it goes on', async () => {
    const { name, options, target, stored } = await freshStream()
    const records = chainOf(12)
    const delivering = target()
    await delivering.deliver(records.slice(0, 10))
    await manager.streams.delete(name)
    await ensureStream({ ...options, name, replicas: 1 })
    await expect(delivering.deliver(records.slice(10))).rejects.toMatchObject({
      code: 'acknowledged_lost',
      resumeFrom: { chain: records[0]?.chain, sequence: 0 },
    })
    await delivering.deliver(records.slice(10))
    expect(idsOf(await stored())).toEqual(idsOf(records.slice(10)))
  })

  test('records that the stream removed for their age are neither missed nor delivered again', async () => {
    const { name, target, stored } = await freshStream()
    const records = chainOf(12)
    const delivering = target()
    await delivering.deliver(records.slice(0, 10))
    await manager.streams.purge(name)
    await delivering.deliver(records)
    expect(idsOf(await stored())).toEqual(idsOf(records.slice(10)))
  })

  test('without a stream, and once it is gone, it says so', async () => {
    const missing = natsTarget({ servers: server.url, subject: 'nobody.listens' })
    await expect(missing.deliver(chainOf(1))).rejects.toMatchObject({ code: 'stream_missing' })
    await expect(missing.deliver(chainOf(1))).rejects.toThrow('nobody.listens.*')
    const { name, target } = await freshStream()
    const delivering = target()
    const records = chainOf(2)
    await delivering.deliver(records.slice(0, 1))
    await manager.streams.delete(name)
    await expect(delivering.deliver(records.slice(1))).rejects.toMatchObject({ code: 'stream_missing' })
  })

  test.each([
    ['acknowledges nothing', { no_ack: true }, /no_ack/],
    ['drops what was read', { retention: 'workqueue' as const }, /retention workqueue/],
    ['drops what nobody waits for', { retention: 'interest' as const }, /retention interest/],
    ['keeps the last record of a chain alone', { max_msgs_per_subject: 1 }, /max_msgs_per_subject/],
  ])('a stream that %s is refused', async (_name, config, message) => {
    const name = `unfit-${count++}`
    await manager.streams.add({ name, subjects: [`${name}.*`], ...config })
    const target = natsTarget({ servers: server.url, subject: name })
    await expect(target.deliver(chainOf(1))).rejects.toMatchObject({
      code: 'stream_unfit',
      message: expect.stringMatching(message),
    })
  })

  test('a full stream refuses, and keeps what it has', async () => {
    const { name, target, stored } = await freshStream()
    await manager.streams.update(name, { max_bytes: 20_000 })
    const records = chainOf(100)
    await expect(target().deliver(records)).rejects.toMatchObject({ code: 'refused', status: 10_077 })
    const kept = await stored()
    expect(kept.length).toBeGreaterThan(0)
    expect(idsOf(kept)).toEqual(idsOf(records.slice(0, kept.length)))
  })

  test.each([
    ['larger than the server takes', { body: 'x'.repeat(1024 * 1024) }],
    ['whose id ends a header', { id: 'a\r\nNats-Msg-Id: b' }],
    ['without an id', { id: '' }],
    ['without a chain', { chain: '' }],
    ['with a chain that is too long', { chain: 'x'.repeat(129) }],
  ])('a record %s is refused; those before it are there', async (_name, unfit) => {
    const { target, stored } = await freshStream()
    const [first, second] = chainOf(2)
    if (first === undefined || second === undefined) throw new Error('there are two')
    await expect(target().deliver([first, { ...second, ...unfit }])).rejects.toMatchObject({ code: 'record_unfit' })
    expect(idsOf(await stored())).toEqual([first.id])
  })

  test('more than fits into one window of bytes arrives in order', async () => {
    const { target, stored } = await freshStream()
    const records = chainOf(20).map((record) => ({ ...record, body: 'x'.repeat(500_000) }))
    await target().deliver(records)
    expect(idsOf(await stored())).toEqual(idsOf(records))
  })

  test('after close() it takes nothing, and connects no more', async () => {
    const { target } = await freshStream()
    const unused = target()
    await unused.close?.()
    await expect(unused.deliver(chainOf(1))).rejects.toMatchObject({ code: 'closed' })
    const used = target()
    await used.deliver(chainOf(1))
    await used.close?.()
    await expect(used.deliver(chainOf(1))).rejects.toMatchObject({ code: 'closed' })
  })

  test('a sink refuses what is beyond its queue, and what comes while the server is away', async () => {
    const { options } = await freshStream()
    const sink = natsSink({ ...options, maxQueuedRecords: 4 })
    const written = Array.from({ length: 4 }, () => sink.write(testEvent()))
    expect(() => sink.write(testEvent())).toThrow('full')
    await Promise.all(written)
    await sink.close?.()
    const away = natsSink({ servers: 'nats://127.0.0.1:1' })
    await expect(away.write(testEvent())).rejects.toMatchObject({ code: 'unreachable' })
    await away.close?.()
  })

  test('ensureStream() makes a stream that keeps records, once', async () => {
    const name = `ensured-${count++}`
    const options = {
      servers: server.url,
      name,
      subject: name,
      replicas: 1 as const,
      maxAgeMilliseconds: 86_400_000,
      maxBytes: 10_000_000,
    }
    expect(await ensureStream(options)).toBe(true)
    expect(await ensureStream(options)).toBe(false)
    const { config } = await manager.streams.info(name)
    expect(config).toMatchObject({
      subjects: [`${name}.*`],
      storage: 'file',
      retention: 'limits',
      discard: 'new',
      num_replicas: 1,
      max_bytes: 10_000_000,
      max_age: 86_400_000 * 1e6,
      duplicate_window: 120_000 * 1e6,
    })
  })

  test.each([
    ['other subjects', { subjects: ['elsewhere.*'] }, /does not listen/],
    ['memory', { storage: 'memory' as const }, /in memory/],
    ['a shorter age', { max_age: 1e12 }, /removes records earlier/],
    ['a bound that drops old records', { max_msgs: 100 }, /discard/],
    ['no acknowledgements', { no_ack: true }, /no_ack/],
  ])('ensureStream() refuses a stream of that name with %s, and leaves it as it is', async (_name, config, message) => {
    const name = `ensured-${count++}`
    await manager.streams.add({ name, subjects: [`${name}.*`], ...config })
    const before = (await manager.streams.info(name)).config
    const rejection = expect(ensureStream({ servers: server.url, name, subject: name, replicas: 1 })).rejects
    await rejection.toMatchObject({ code: 'stream_unfit', message: expect.stringMatching(message) })
    expect((await manager.streams.info(name)).config).toEqual(before)
  })

  test('ensureStream() says what the server refuses: replicas that it has not', async () => {
    const rejection = expect(
      ensureStream({ servers: server.url, name: 'replicated', subject: 'replicated', replicas: 3 }),
    ).rejects
    await rejection.toMatchObject({ code: 'refused', status: 10_074 })
  })
})
