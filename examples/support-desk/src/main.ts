/** Starts the desk on a free port, calls it as customers and support people do, and checks what comes of it. */
import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createTestIssuer, fixtures, memorySink } from '@behalf/testing'
import { ASGARDEO, CURITY, createDesk } from './app.js'
import { Customers } from './customers.js'
import { Staff } from './staff.js'

const ASGARDEO_CUSTOMER = '32bc4697-ed0f-4546-8387-dcd6403e7caa'
const ASGARDEO_ADMIN = '2d931c9d-876e-46c0-9aba-f34501879dfc'

const issuer = await createTestIssuer({ algorithms: ['EdDSA'] })
const sink = memorySink()
const staff = new Staff()
const customers = new Customers()
staff.arrives(CURITY, 'admin')
staff.arrives(ASGARDEO, ASGARDEO_ADMIN)
customers.add(CURITY, 'user123', { name: 'Ada', address: '1 First Street', orders: ['lamp'] })
customers.add(ASGARDEO, ASGARDEO_CUSTOMER, { name: 'Ben', address: '2 Second Street', orders: ['desk', 'chair'] })

const { app, api } = createDesk({ staff, customers, sink, jwks: issuer.jwks() })
const server = createServer(app)
await new Promise<void>((resolve) => {
  server.listen(0, '127.0.0.1', resolve)
})
const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`

// The documented tokens of both systems, with the shop's scopes.
const claims = { scope: 'profile:read profile:write orders:read payments:read' }
const ada = issuer.tokenOf(fixtures.curity.direct, { claims })
const supportAsAda = issuer.tokenOf(fixtures.curity.impersonated, { claims })
const supportAsBen = issuer.tokenOf(fixtures.asgardeo.impersonated, { claims })
const strangerAsBen = issuer.tokenOf(fixtures.asgardeo.impersonated, { claims: { ...claims, act: { sub: 'admin' } } })
const subjectToken = issuer.tokenOf(fixtures.asgardeo.subjectToken, { claims })

/** Makes a call; the answer must be as expected: a status and, where it is a refusal, its code, or else the body. */
async function call(what: string, token: string, request: string, status: number, expected?: unknown): Promise<void> {
  const [method = '', path = ''] = request.split(' ')
  const response = await fetch(`${origin}${path}`, {
    method,
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    ...(method === 'PUT' && { body: JSON.stringify({ address: '9 Elsewhere' }) }),
    signal: AbortSignal.timeout(10_000),
  })
  const text = await response.text()
  const body: unknown = text.startsWith('{') || text.startsWith('[') ? JSON.parse(text) : undefined
  const found = status < 400 ? body : (body as { code?: string } | undefined)?.code
  assert.deepEqual([response.status, found], [status, expected], what)
  process.stdout.write(`${what.padEnd(64)} ${request.padEnd(20)} ${status} ${JSON.stringify(found) ?? ''}\n`)
}

try {
  await call('Ada sees her profile', ada, 'GET /profile', 200, { name: 'Ada', address: '1 First Street' })
  await call('Support sees what Ada sees (Curity)', supportAsAda, 'GET /profile', 200, { name: 'Ada', address: '1 First Street' })
  await call('Support sees what Ben sees (Asgardeo)', supportAsBen, 'GET /orders', 200, ['desk', 'chair'])
  await call('Support touches nothing', supportAsAda, 'PUT /profile/address', 403, 'method_not_delegated')
  await call('The token has the scope, the rule does not hand it on', supportAsAda, 'GET /payments', 403, 'scope_not_delegated')
  await call('Some things are not even looked at', supportAsAda, 'GET /recovery-codes', 403, 'delegation_forbidden')
  await call('"admin" of the other issuer is somebody else', strangerAsBen, 'GET /orders', 403, 'actor_unauthorized')
  await call('A grant to impersonate is no access token', subjectToken, 'GET /orders', 401, 'token_type_refused')
  await call('Support cannot change a password', supportAsAda, 'POST /password', 403, 'method_not_delegated')
  await call('Ada can', ada, 'POST /password', 204)
  staff.leaves(CURITY, 'admin')
  await call(
    'Support goes home; the token is still good, the rule is not',
    supportAsAda,
    'GET /profile',
    403,
    'actor_unauthorized',
  )
  assert.equal(customers.of({ issuer: CURITY, id: 'user123' }).address, '1 First Street')
} finally {
  await new Promise((resolve) => server.close(resolve))
  await api.close()
  await issuer.close()
}

// Ada's own calls are not recorded by default; everything that somebody did in her name is, refused or not.
const admissions = sink.events.filter(({ type, decision }) => type === 'access.decision' && decision === 'allow')
const refusals = sink.events.filter(({ decision }) => decision === 'refuse')
const outcomes = sink.events.filter(({ type }) => type === 'access.outcome')
assert.equal(
  sink.events.some(({ kind }) => kind === 'direct'),
  false,
)
assert.deepEqual(
  admissions.map(({ actor, subject, rule }) => [actor?.id, subject?.id, rule]),
  [
    ['admin', 'user123', 'support-looks'],
    [ASGARDEO_ADMIN, ASGARDEO_CUSTOMER, 'support-looks'],
    ['admin', 'user123', 'support-looks'],
    ['admin', 'user123', 'support-looks'],
  ],
)
assert.deepEqual(
  refusals.map(({ reason }) => reason),
  [
    'method_not_delegated',
    'scope_not_delegated',
    'delegation_forbidden',
    'actor_unauthorized',
    'token_type_refused',
    'method_not_delegated',
    'actor_unauthorized',
  ],
)
assert.deepEqual(
  outcomes.map(({ result }) => result),
  ['completed', 'completed', 'refused', 'refused'],
)
process.stdout.write(
  `\nRecorded: ${admissions.length} admissions with their outcomes, ${refusals.length} refusals. All as expected.\n`,
)
