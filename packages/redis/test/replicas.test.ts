/**
 * One proof, used again and again at four processes that share a Redis: one of these uses is accepted. `BEHALF_REPLAY_USES`: how many
 * of them.
 */
import { createDpopClient, createTestIssuer, TEST_AUDIENCE } from '@behalf/testing'
import { afterAll, expect, test } from 'vitest'
import { describeWith } from '../../../test/support/needs-program.js'
import { begin, Clock, newMemory, newServer } from './support/replays.js'
import { sendAll, startReplica } from './support/replicas.js'

const USES = Number(process.env['BEHALF_REPLAY_USES'] || 10_000)
const CONCURRENCY = 256
const REPLICAS = 4
const ORIGIN = 'https://api.example.test'
/** Long enough for many uses on a slow machine. */
const PROOF_SECONDS = 3_600

const issuer = await createTestIssuer({ algorithms: ['EdDSA'] })
afterAll(() => issuer.close())

describeWith('redis-server', 'four processes that share a Redis', () => {
  test(`[RFC9449-11.1-shared] ${USES} uses of one proof: exactly one is accepted`, { timeout: 900_000 }, async () => {
    const server = await newServer()
    const earlier = new Clock(Date.now() - 60_000) // it began to remember a minute ago
    await begin(newMemory({ url: server.url, now: earlier.now }), earlier)
    const settings = { url: server.url, issuer: issuer.issuer, audience: TEST_AUDIENCE, jwks: issuer.jwks(), origin: ORIGIN }
    const ports = await Promise.all(
      Array.from({ length: REPLICAS }, () => startReplica({ ...settings, proofSeconds: PROOF_SECONDS })),
    )
    const client = createDpopClient()
    const token = issuer.token({ claims: { cnf: { jkt: client.jkt } } })
    const headers = client.headers('GET', `${ORIGIN}/orders`, token)
    const counts = await sendAll(ports, '/orders', headers, { uses: USES, concurrency: CONCURRENCY })
    expect(Object.fromEntries(counts)).toEqual({ 200: 1, '401 proof_replayed': USES - 1 })
  })
})
