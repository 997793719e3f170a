/** Starts the API on a free port, calls it as customers and their agents do, and checks what comes of it. */
import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createTestIssuer, memorySink } from '@behalf/testing'
import { createApp } from './app.js'
import { createConsents, dropConsents } from './consents.js'
import { openDatabase } from './database.js'

/** The clock of everybody here; it stands still until the story moves it. */
let time = Date.now()
const now = () => time
const issuer = await createTestIssuer({ algorithms: ['EdDSA'], now })
const sink = memorySink()
const database = await openDatabase(process.env['CONSENTS_DATABASE_URL'])
await dropConsents(database) // a run that was ended in the middle may have left some
const consents = await createConsents(database)
let lookUps = 0
let away = false
const counted: typeof consents = {
  ...consents,
  last(...parties) {
    lookUps++
    return away ? Promise.reject(new Error('the database is away')) : consents.last(...parties)
  },
}
const { app, api } = createApp(issuer.options(), sink, counted, now)
const server = createServer(app)
await new Promise<void>((resolve) => {
  server.listen(0, '127.0.0.1', resolve)
})
const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`

const scope = 'orders:read profile:read'
const agentFor = (sub: string, agent: string) =>
  issuer.token({ claims: { sub, scope, act: { sub: agent, iss: issuer.issuer, sub_profile: 'ai_agent' } } })
const ada = issuer.token({ claims: { sub: 'ada', scope } })
const bob = issuer.token({ claims: { sub: 'bob', scope } })
const assistantForAda = agentFor('ada', 'assistant')
const assistantForBob = agentFor('bob', 'assistant')
const newsletterForAda = agentFor('ada', 'newsletter-agent')

/** Makes a call; its status must be as expected. */
async function call(
  what: string,
  token: string,
  request: string,
  status: number,
  sent?: object,
): Promise<Record<string, unknown>> {
  const [method = '', path = ''] = request.split(' ')
  const response = await fetch(`${origin}${path}`, {
    method,
    headers: { authorization: `Bearer ${token}`, ...(sent !== undefined && { 'content-type': 'application/json' }) },
    ...(sent !== undefined && { body: JSON.stringify(sent) }),
    signal: AbortSignal.timeout(10_000),
  })
  const body = (await response.json()) as Record<string, unknown>
  assert.equal(response.status, status, `${what}: ${JSON.stringify(body)}`)
  process.stdout.write(
    `${what.padEnd(58)} ${request.slice(0, 24).padEnd(24)} ${status} ${JSON.stringify(body['code'] ?? body)}\n`,
  )
  return body
}

/** The consent ids of what was recorded since the last time. */
const recorded = () => {
  const told = sink.events
    .filter(({ type }) => type === 'access.decision')
    .map(({ decision, reason, consent }) => [decision, reason, consent?.consentId ?? null])
  sink.clear()
  return told
}

try {
  await call('An assistant, before anybody has agreed', assistantForAda, 'GET /orders', 403)
  assert.deepEqual(recorded(), [['refuse', 'actor_unauthorized', null]])

  const { id } = await call('Ada agrees, in person', ada, 'POST /consents', 201, {
    agent: 'assistant',
    purpose: 'find my parcel',
  })
  const orders = await call('The assistant acts for her', assistantForAda, 'GET /orders', 200)
  assert.deepEqual(orders, { ordersOf: 'ada', because: 'find my parcel' })
  await call('It does not for Bob', assistantForBob, 'GET /orders', 403)
  await call('Nor can it agree for Bob', assistantForBob, 'POST /consents', 403, { agent: 'assistant', purpose: 'x' })
  await call('Nor can Bob withdraw for Ada', bob, `DELETE /consents/${String(id)}`, 404)
  assert.deepEqual(recorded(), [
    ['allow', null, id],
    ['refuse', 'actor_unauthorized', null],
    ['refuse', 'actor_unauthorized', null],
  ])

  await call('Ada withdraws', ada, `DELETE /consents/${String(id)}`, 200)
  await call('The next call is refused', assistantForAda, 'GET /orders', 403)
  assert.deepEqual(recorded(), [['refuse', 'actor_unauthorized', id]])

  const customer = (await api.verify(ada)).subject
  const ended = await consents.give(customer, { issuer: issuer.issuer, id: 'assistant' }, 'last year', now() / 1000 - 1)
  await call('A consent that has ended is none', assistantForAda, 'GET /orders', 403)
  assert.deepEqual(recorded(), [['refuse', 'actor_unauthorized', ended]])

  const letters = await call('Ada agrees to the newsletter', ada, 'POST /consents', 201, {
    ...{ agent: 'newsletter-agent', purpose: 'monthly news' },
  })
  lookUps = 0
  for (let n = 0; n < 3; n++) await call('The newsletter agent reads her profile', newsletterForAda, 'GET /profile', 200)
  assert.equal(lookUps, 1, 'the table was asked once for three calls')
  assert.deepEqual(recorded(), Array(3).fill(['allow', null, letters['id']]))
  await call('Ada withdraws', ada, `DELETE /consents/${String(letters['id'])}`, 200)
  await call('It goes on for a moment', newsletterForAda, 'GET /profile', 200)
  time += 5000
  await call('... and not longer', newsletterForAda, 'GET /profile', 403)
  assert.deepEqual(recorded(), [
    ['allow', null, letters['id']],
    ['refuse', 'actor_unauthorized', letters['id']],
  ])

  away = true
  await call('The database is away: our trouble, and no admission', assistantForAda, 'GET /orders', 503)
  assert.deepEqual(recorded(), [['refuse', 'rule_unavailable', null]])
} finally {
  await new Promise((resolve) => server.close(resolve))
  await api.close()
  await issuer.close()
  await dropConsents(database)
  await database.close()
}
process.stdout.write('\nEach record names its consent. All as expected.\n')
