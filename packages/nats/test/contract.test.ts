import type { AuditEvent } from '@behalf/core'
import { ensureStream, natsSink, natsTarget } from '@behalf/nats'
import { sinkContract, targetContract } from '@behalf/testing'
import { afterAll, beforeAll, test } from 'vitest'
import { type NatsServerUnderTest, startNatsServer } from '../../../test/support/nats-server.js'
import { describeWith } from '../../../test/support/needs-program.js'
import { storedMessages } from './support/stored.js'

describeWith('nats-server', 'contracts, on a server', () => {
  let server: NatsServerUnderTest
  let count = 0

  beforeAll(async () => {
    server = await startNatsServer()
  })
  afterAll(() => server.stop())

  /** A stream of its own for each case. */
  async function freshStream() {
    const subject = `case-${count++}`
    const options = { servers: server.url, subject }
    await ensureStream({ ...options, name: subject, replicas: 1 })
    return options
  }

  for (const { name, run } of targetContract(async () => {
    const options = await freshStream()
    return {
      target: natsTarget(options),
      kept: async () => (await storedMessages(server.url, options.subject)).map(({ id, body }) => ({ id, body })),
    }
  })) {
    test(`target: ${name}`, run)
  }

  for (const { name, run } of sinkContract(async () => {
    const options = await freshStream()
    return {
      sink: natsSink(options),
      accepted: async () => (await storedMessages(server.url, options.subject)).map(({ body }) => JSON.parse(body) as AuditEvent),
    }
  })) {
    test(`sink: ${name}`, run)
  }
})
