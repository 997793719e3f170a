/** Starts the API on a free port, calls it as a person and as agents do, and checks what comes of it. */
import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { JsonObject } from '@behalf/core'
import { createTestIssuer, memorySink } from '@behalf/testing'
import { createApp } from './app.js'

const issuer = await createTestIssuer({ algorithms: ['EdDSA'] })
const sink = memorySink()
const { app, api } = createApp(issuer.options(), sink)
const server = createServer(app.callback())
await new Promise<void>((resolve) => {
  server.listen(0, '127.0.0.1', resolve)
})
const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`

const scope = 'orders:read orders:write orders:refund'
const agent = (id: string, behind?: JsonObject): JsonObject => ({
  sub: id,
  sub_profile: 'ai_agent',
  ...(behind !== undefined && { act: behind }),
})
const actedBy = (act: JsonObject) => issuer.token({ claims: { sub: 'ada', scope, act } })

const ada = issuer.token({ claims: { sub: 'ada', scope } })
const shopper = actedBy(agent('shopping-agent'))
const shopperForPlanner = actedBy(agent('shopping-agent', agent('planning-agent')))
const threeAgents = actedBy(agent('shopping-agent', agent('planning-agent', agent('chat-agent'))))
const reporter = actedBy(agent('reporting-agent'))
const reporterForPlanner = actedBy(agent('reporting-agent', agent('planning-agent')))
const batchJob = actedBy({ sub: 'batch-job' })
const batchJobAfterAgent = actedBy({ sub: 'batch-job', act: agent('shopping-agent') })

/** Makes a call; the answer must be as expected: a status and, where it is a refusal, its code, or else the body. */
async function call(what: string, token: string, request: string, status: number, expected: unknown): Promise<void> {
  const [method = '', path = ''] = request.split(' ')
  const response = await fetch(`${origin}${path}`, {
    method,
    headers: { authorization: `Bearer ${token}` },
    signal: AbortSignal.timeout(10_000),
  })
  const body = (await response.json()) as { readonly code?: string }
  const found = status < 400 ? body : body.code
  assert.deepEqual([response.status, found], [status, expected], what)
  process.stdout.write(`${what.padEnd(60)} ${request.padEnd(23)} ${status} ${JSON.stringify(found)}\n`)
}

const left = ['orders:read', 'orders:write']
try {
  await call('Ada refunds in person', ada, 'POST /orders/7/refund', 200, { refunded: '7' })
  await call('Her agent orders for her', shopper, 'POST /orders', 201, { orderedFor: 'ada' })
  await call('It does not refund', shopper, 'POST /orders/7/refund', 403, 'scope_not_delegated')
  const throughBoth = { ordersOf: 'ada', through: ['shopping-agent', 'planning-agent'], scopes: left }
  await call('An agent hands on to another', shopperForPlanner, 'GET /orders', 200, throughBoth)
  await call('Three in a row are too many', threeAgents, 'GET /orders', 403, 'delegation_too_deep')

  const onlyReading = { ordersOf: 'ada', through: ['reporting-agent'], scopes: ['orders:read'] }
  await call('The reporting agent reads', reporter, 'GET /orders', 200, onlyReading)
  await call('It does not write', reporter, 'POST /orders', 403, 'method_not_delegated')
  await call(
    'Its rule says nothing of chains, so one actor is all',
    reporterForPlanner,
    'GET /orders',
    403,
    'delegation_too_deep',
  )

  await call('An agent reads its inbox', shopper, 'GET /agent/inbox', 200, ['welcome, shopping-agent for ada'])
  await call('Ada has no agent inbox', ada, 'GET /agent/inbox', 403, 'delegation_required')
  await call('A batch job is no agent', batchJob, 'GET /agent/inbox', 403, 'actor_unauthorized')
  await call('... even if an agent stands behind it', batchJobAfterAgent, 'GET /agent/inbox', 403, 'actor_unauthorized')
} finally {
  await new Promise((resolve) => server.close(resolve))
  await api.close()
  await issuer.close()
}

const outcomes = sink.events.filter(({ type }) => type === 'access.outcome')
assert.deepEqual(
  outcomes.map(({ rule, http, result }) => [rule, http.route, result]),
  [
    ['agents', '/orders', 'completed'],
    ['agents', '/orders/:id/refund', 'refused'],
    ['agents', '/orders', 'completed'],
    ['reports', '/orders', 'completed'],
    ['agents', '/agent/inbox', 'completed'],
  ],
)
process.stdout.write(`\nRecorded: ${outcomes.length} admitted calls with their outcomes. All as expected.\n`)
