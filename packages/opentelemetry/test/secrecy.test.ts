import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { readFileSync } from 'node:fs'
import type { ResourceServerOptions } from '@behalf/core'
import { instrumentBehalf } from '@behalf/opentelemetry'
import { createSigningKey, createTestIssuer, memorySink, signCompact, type TestIssuer } from '@behalf/testing'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { codeIn, tableBelow } from '../../../test/support/markdown.js'
import { FRAMEWORKS, type Framework } from '../../../test/support/servers.js'
import { type Measured, measured, tracedGlobally } from './support/measured.js'
import { CHANNELS } from './support/publish.js'
import { startTraced, type TracedApi } from './support/traced-api.js'

/** Stands in everything that a caller or an issuer can write. */
const MARK = 'mark-7f3a'
const marked = (what: string) => `${MARK}-${what}`
const ACTOR = marked('actor')

const traced = tracedGlobally()
afterAll(() => traced.end())

describe.each(FRAMEWORKS.filter(({ name }) => /5|3/.test(name)))('$name', (framework: Framework) => {
  let issuer: TestIssuer
  let under: Measured
  let running: TracedApi
  let stop: () => void
  const messages: unknown[] = []
  const keep = (message: unknown) => void messages.push(message)

  beforeAll(async () => {
    issuer = await createTestIssuer({ algorithms: ['EdDSA'] })
  })
  afterAll(() => issuer.close())
  beforeEach(async () => {
    under = measured()
    stop = instrumentBehalf({ meter: under.meter, issuerLabel: true })
    messages.length = 0
    for (const name of CHANNELS) subscribe(name, keep)
    const options: ResourceServerOptions = {
      issuers: [issuer.options()],
      delegation: [{ id: 'agents', kind: 'delegation', actor: { id: ACTOR }, scopes: 'all', maxDepth: 2 }],
      audit: { sinks: [memorySink()], record: 'always' },
    }
    running = await startTraced(framework, options, traced)
  })
  afterEach(async () => {
    for (const name of CHANNELS) unsubscribe(name, keep)
    stop()
    traced.clear()
    await running.close()
  })

  /** Calls that end at each step, with the marks wherever text can stand; attributes of their spans. */
  async function askEverything() {
    const claims = {
      ...{ sub: marked('sub'), jti: marked('jti'), client_id: marked('client'), tenant: marked('tenant'), more: marked('more') },
      scope: `orders:read ${marked('scope')}`,
    }
    const delegated = { ...claims, act: { sub: ACTOR, act: { sub: marked('prior') } } }
    const kid = marked('kid')
    const foreign = createSigningKey('EdDSA', { kid })
    const forged = (header: object, iss: string) =>
      signCompact(
        { alg: 'EdDSA', typ: 'at+jwt', ...header },
        JSON.stringify({ ...claims, iss, exp: 4_000_000_000, iat: 1 }),
        foreign,
      )
    const tokens = [
      issuer.token({ claims }),
      issuer.token({ claims: delegated }),
      issuer.token({ claims: { ...claims, act: { sub: marked('stranger') } } }),
      issuer.token({ claims: { ...claims, scope: marked('scope') } }),
      issuer.token({ claims: { ...delegated, scope: marked('scope') } }),
      issuer.token({ claims: { ...claims, exp: 1 } }),
      issuer.token({ claims: { ...claims, aud: marked('aud') } }),
      issuer.token({ claims: { ...claims, impersonator: marked('impersonator') } }),
      issuer.token({ claims, header: { typ: marked('typ') } }),
      issuer.token({ claims, header: { alg: marked('alg') } }),
      issuer.token({ claims, header: { kid } }),
      forged({ kid: issuer.key().kid }, issuer.issuer),
      forged({ kid }, marked('iss')),
      forged({ kid }, `${issuer.issuer}/${marked('iss')}`),
      `${MARK}.not.a.token`,
    ]
    const headers = { 'user-agent': marked('agent'), 'x-request-id': marked('request'), 'x-forwarded-for': marked('address') }
    const told = []
    for (const token of [...tokens, ...tokens.slice(0, 2)]) {
      told.push(await running.ask(token, { path: `/orders/${marked('path')}?q=${marked('query')}`, headers }))
    }
    return told
  }

  it('no attribute of a metric or a span, and no message, holds what a caller or an issuer wrote', async () => {
    const told = await askEverything()
    const codes = new Set(told.map(({ code }) => code))
    for (const code of ['scope_insufficient', 'actor_unauthorized', 'token_expired', 'issuer_unknown', 'token_malformed'])
      expect(codes).toContain(code)
    expect(told.filter(({ status }) => status === 200)).toHaveLength(4)

    const metrics = await under.all()
    const said = [
      ...metrics.flatMap(({ dataPoints }) => dataPoints.map(({ attributes }) => JSON.stringify(attributes))),
      ...told.map(({ span }) => JSON.stringify(span)),
      ...messages.map((message) => JSON.stringify(message)),
    ]
    expect(metrics.length).toBeGreaterThanOrEqual(7)
    expect(messages.length).toBeGreaterThan(told.length)
    expect(said.join('\n')).toContain('agents') // it would find what is there
    expect(said.filter((text) => text.includes(MARK))).toEqual([])
  })

  it('there is no attribute but those that docs/telemetry.md names', async () => {
    await askEverything()
    const metrics = await under.all()
    const used = metrics.flatMap(({ dataPoints }) => dataPoints.flatMap(({ attributes }) => Object.keys(attributes)))
    const page = readFileSync(new URL('../../../docs/telemetry.md', import.meta.url), 'utf8')
    expect(tableBelow(page, 'attributes').map(([name]) => codeIn(name))).toEqual(expect.arrayContaining([...new Set(used)]))
  })
})
