import { bestEffort, iterableSink } from '@behalf/core'
import { oauth } from '@behalf/core/issuers'
import { resourceServer } from '@behalf/express'
import { pinoSink } from '@behalf/pino'
import { pino } from 'pino'

// #region sinks
const queue = iterableSink({ maxQueuedEvents: 10_000 })

const api = resourceServer({
  issuers: [oauth({ issuer: 'https://as.example.com', audience: 'https://api.example.com' })],
  delegation: [{ id: 'agents', kind: 'delegation', actor: 'any', scopes: 'orders:read' }],
  audit: {
    sinks: [queue, bestEffort(pinoSink(pino()))], // the queue must accept every event, the log need not
    record: 'refusals',
  },
})

async function forward(send: (line: string) => Promise<void>): Promise<void> {
  for await (const event of queue) await send(JSON.stringify(event))
}

// #endregion sinks

export { api, forward }
