import { randomUUID } from 'node:crypto'
import { cpSync, rmSync } from 'node:fs'
import { setImmediate as turn } from 'node:timers/promises'
import type { DeliveryRecord, DeliveryTarget } from '@behalf/core'
import { ensureStream, natsTarget } from '@behalf/nats'
import { testEvent, testRecord } from '@behalf/testing'
import { expect, onTestFinished, test } from 'vitest'
import { type NatsServerUnderTest, startNatsServer } from '../../../test/support/nats-server.js'
import { describeWith } from '../../../test/support/needs-program.js'
import { storedMessages } from './support/stored.js'

describeWith('nats-server', 'a server that goes away', () => {
  async function serverAndTarget() {
    const server = await startNatsServer()
    onTestFinished(() => server.stop())
    const options = { servers: server.url, connectTimeoutMilliseconds: 200, ackTimeoutMilliseconds: 200 }
    await ensureStream({
      ...options,
      connectTimeoutMilliseconds: 5_000,
      ackTimeoutMilliseconds: 5_000,
      name: 'audit',
      replicas: 1,
    })
    const target = natsTarget(options)
    onTestFinished(() => target.close?.())
    return { server, target, stored: () => storedMessages(server.url, 'behalf.audit') }
  }

  function chainOf(length: number): DeliveryRecord[] {
    const chain = randomUUID()
    return Array.from({ length }, (_, sequence) => testRecord({ chain, sequence, event: testEvent() }))
  }

  const idsOf = (records: readonly { readonly id: string }[]) => records.map(({ id }) => id)

  /** Delivers until it is acknowledged, as a shipper does. */
  async function insist(target: DeliveryTarget, records: readonly DeliveryRecord[]): Promise<void> {
    for (;;) {
      try {
        return await target.deliver(records)
      } catch (error) {
        expect(error).toMatchObject({ name: 'NatsError', code: expect.stringMatching(/^(unreachable|unanswered|refused)$/) })
      }
    }
  }

  test('paused, it rejects in time; later what was under way and what is tried again are there once, in order', async () => {
    const { server, target, stored } = await serverAndTarget()
    const records = chainOf(900)
    await insist(target, records.slice(0, 100))
    server.pause()
    await expect(target.deliver(records.slice(100, 500))).rejects.toMatchObject({ code: 'unanswered' })
    await expect(target.deliver(records.slice(100, 500))).rejects.toMatchObject({ code: 'unreachable' })
    server.resume()
    await insist(target, records.slice(100))
    expect(idsOf(await stored())).toEqual(idsOf(records))
  })

  test('paused before anybody connected, it rejects in time', async () => {
    const { server, target } = await serverAndTarget()
    server.pause()
    await expect(target.deliver(chainOf(1))).rejects.toMatchObject({ code: 'unreachable' })
  })

  test('killed, it rejects at once; restarted, it is found again', async () => {
    const { server, target, stored } = await serverAndTarget()
    const records = chainOf(3)
    await insist(target, records.slice(0, 1))
    await server.kill()
    await expect(target.deliver(records.slice(1))).rejects.toMatchObject({ name: 'NatsError' })
    await expect(target.deliver(records.slice(1))).rejects.toMatchObject({ code: 'unreachable' })
    await server.restart()
    await insist(target, records)
    expect(idsOf(await stored())).toEqual(idsOf(records))
  })

  test('put back from an older copy of its files, it has lost what it acknowledged: told of once, then it goes on', async () => {
    const { server, target, stored } = await serverAndTarget()
    const records = chainOf(30)
    const copy = `${server.store}-copy` // in the server's own directory, which is removed with it
    await insist(target, records.slice(0, 10))
    await server.kill()
    cpSync(server.store, copy, { recursive: true })
    await server.restart()
    await insist(target, records.slice(0, 20))
    await server.kill()
    rmSync(server.store, { recursive: true })
    cpSync(copy, server.store, { recursive: true })
    await server.restart()
    await expect
      .poll(() =>
        target.deliver(records.slice(20)).then(
          () => null,
          (error: unknown) => error,
        ),
      )
      .toMatchObject({ code: 'acknowledged_lost', resumeFrom: { chain: records[0]?.chain, sequence: 10 } })
    await insist(target, records.slice(20))
    expect(idsOf(await stored())).toEqual(idsOf([...records.slice(0, 10), ...records.slice(20)]))
  })

  test.each<[string, (server: NatsServerUnderTest) => Promise<void>, (server: NatsServerUnderTest) => Promise<void>]>([
    ['killed', (server) => server.kill(), (server) => server.restart()],
    ['paused', async (server) => server.pause(), async (server) => server.resume()],
  ])(
    '%s in the middle of deliveries, again and again: nothing acknowledged is lost, nothing is there twice, order holds',
    async (_name, take, bring) => {
      const { server, target, stored } = await serverAndTarget()
      const records = chainOf(4_000)
      const acknowledged: DeliveryRecord[] = []
      for (let at = 0, round = 0; at < records.length; at += 800, round++) {
        const batch = records.slice(at, at + 800)
        const delivering = target.deliver(batch).then(
          () => acknowledged.push(...batch),
          () => {},
        )
        for (let turns = 0; turns < 2 * round; turns++) await turn()
        await take(server)
        await delivering
        await bring(server)
        if (round % 2 === 0)
          await insist(target, batch) // otherwise the next batch comes behind what is there of it
        else await insist(target, records.slice(0, at + 800))
      }
      expect(acknowledged.length).toBeLessThan(records.length) // some were interrupted
      expect(idsOf(await stored())).toEqual(idsOf(records))
    },
  )
})
