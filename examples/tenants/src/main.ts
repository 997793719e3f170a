/** Starts the API on a free port, calls it as two tenants and an attacker do, and checks what comes of it. */
import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createTestIssuer } from '@behalf/testing'
import { createNotes } from './app.js'
import { Tenants } from './tenants.js'

const audience = 'https://notes.example.com'
const acme = await createTestIssuer({ algorithms: ['EdDSA'], audience })
const globex = await createTestIssuer({ algorithms: ['EdDSA'], audience, path: '/oauth2' })
// Real in every part: a server of its own, keys, metadata, and tokens for this very API.
const attacker = await createTestIssuer({ algorithms: ['EdDSA'], audience })

const tenants = new Tenants()
tenants.add({ name: 'Acme', issuer: acme.issuer, audience, notes: ['buy anvils'] })
tenants.add({ name: 'Globex', issuer: globex.issuer, audience, notes: ['hire scientists', 'move to the hills'] })

const { app, api, offboard } = createNotes({ tenants, allowPrivateAddresses: true })
const server = createServer(app)
await new Promise<void>((resolve) => {
  server.listen(0, '127.0.0.1', resolve)
})
const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`

const claims = { sub: 'ada', scope: 'notes:read' }
const ada = acme.token({ claims })
const namesake = globex.token({ claims })
const perfect = attacker.token({ claims })
const pretended = attacker.token({ claims: { ...claims, iss: acme.issuer } })

/** Makes a call; the answer must be as expected: a status and, where it is a refusal, its code, or else the body. */
async function call(what: string, path: string, token: string | null, status: number, expected: unknown): Promise<void> {
  const response = await fetch(`${origin}${path}`, {
    headers: token === null ? {} : { authorization: `Bearer ${token}` },
    signal: AbortSignal.timeout(10_000),
  })
  const body: unknown = await response.json()
  const found = response.headers.get('content-type') === 'application/problem+json' ? (body as { code: string }).code : body
  assert.deepEqual([response.status, found], [status, expected], what)
  process.stdout.write(`${what.padEnd(60)} ${path.padEnd(7)} ${status} ${JSON.stringify(found)}\n`)
}

const acmeNotes = { tenant: 'Acme', reader: 'ada', notes: ['buy anvils'] }
const globexNotes = { tenant: 'Globex', reader: 'ada', notes: ['hire scientists', 'move to the hills'] }

try {
  await call('Before the first call there is no issuer to wait for', '/ready', null, 200, { ready: true, issuers: 0, stale: 0 })
  await call('Ada of Acme reads the notes of Acme', '/notes', ada, 200, acmeNotes)
  await call('Ada of Globex is somebody else', '/notes', namesake, 200, globexNotes)
  await call('Both issuers are known now', '/ready', null, 200, { ready: true, issuers: 2, stale: 0 })

  await call("An attacker's own issuer is on no list", '/notes', perfect, 401, 'issuer_unknown')
  await call("Naming Acme does not help: Acme's keys say no", '/notes', pretended, 401, 'key_unknown')
  assert.deepEqual(attacker.hits, { jwks: 0, metadata: 0 }, 'nothing is fetched from a stranger')

  acme.fail()
  await call("Acme's server is down; its keys are known", '/notes', acme.token({ claims }), 200, acmeNotes)
  acme.recover()

  // Without evict() the answer of the list would hold for five minutes more.
  offboard(acme.issuer)
  await call('Acme is taken off the list, its good token with it', '/notes', ada, 401, 'issuer_unknown')
  await call('Globex does not notice', '/notes', namesake, 200, globexNotes)
  await call('One issuer is left', '/ready', null, 200, { ready: true, issuers: 1, stale: 0 })
} finally {
  await new Promise((resolve) => server.close(resolve))
  await api.close()
  await Promise.all([acme, globex, attacker].map((issuer) => issuer.close()))
}
process.stdout.write('\nAll as expected.\n')
