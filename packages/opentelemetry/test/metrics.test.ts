import { readFileSync } from 'node:fs'
import { REFUSAL_CODES } from '@behalf/core'
import { instrumentBehalf } from '@behalf/opentelemetry'
import { metrics } from '@opentelemetry/api'
import {
  AggregationTemporality,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} from '@opentelemetry/sdk-metrics'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { VERSION } from '../src/metrics.js'
import { type Measured, measured, measuredGlobally, seriesOf } from './support/measured.js'
import { publish, publishAll } from './support/publish.js'

const ISSUER = 'https://as.example.test'
let under: Measured
let stop: () => void

const start = (options: Omit<Parameters<typeof instrumentBehalf>[0], 'meter'> = {}) => {
  under = measured()
  stop = instrumentBehalf({ meter: under.meter, ...options })
}

beforeEach(() => start())
afterEach(() => {
  stop()
  metrics.disable()
})

const verified = (reason: (typeof REFUSAL_CODES)[number] | null, cache: 'hit' | 'miss' | 'off', durationMilliseconds = 0.1) =>
  publish('behalf:verification', { reason, cache, issuer: ISSUER, durationMilliseconds })

describe('verifications', () => {
  it('are counted by result, and by reason where they were refused', async () => {
    verified(null, 'miss')
    verified(null, 'hit')
    verified('token_expired', 'hit')
    verified('signature_invalid', 'miss')
    verified('signature_invalid', 'miss')
    expect(await under.series('behalf.verifications')).toEqual([
      [{ result: 'accepted' }, 2],
      [{ result: 'refused', reason: 'signature_invalid' }, 2],
      [{ result: 'refused', reason: 'token_expired' }, 1],
    ])
  })

  it('are timed in seconds, by result and cache', async () => {
    verified(null, 'hit', 0.004)
    verified(null, 'miss', 2)
    verified('keys_unavailable', 'off', 3000)
    const { descriptor, dataPoints } = await under.histogram('behalf.verification.duration')
    expect(descriptor.unit).toBe('s')
    expect(dataPoints.map(({ attributes, value }) => [attributes, value.sum])).toEqual([
      [{ result: 'accepted', cache: 'hit' }, 0.000004],
      [{ result: 'accepted', cache: 'miss' }, 0.002],
      [{ result: 'refused', cache: 'off' }, 3],
    ])
  })

  it('fall into buckets from 5 us to 3 s: a hit and a proof never into one', async () => {
    for (const milliseconds of [0.004, 0.03, 0.3, 3001]) verified(null, 'miss', milliseconds)
    const [point] = (await under.histogram('behalf.verification.duration')).dataPoints
    const { boundaries, counts } = point?.value.buckets ?? expect.fail('nothing was recorded')
    expect([boundaries[0], boundaries.at(-1)]).toEqual([0.000005, 3])
    expect(boundaries).toEqual(boundaries.toSorted((a, b) => a - b))
    expect(counts.filter((count) => count > 0)).toEqual([1, 1, 1, 1])
    expect([counts[0], counts.at(-1)]).toEqual([1, 1])
  })

  it('look into the cache, where there is one', async () => {
    verified(null, 'hit')
    verified(null, 'hit')
    verified(null, 'miss')
    verified('signature_invalid', 'miss')
    verified(null, 'off')
    expect(await under.series('behalf.cache.lookups')).toEqual([
      [{ result: 'hit' }, 2],
      [{ result: 'miss' }, 2],
    ])
  })

  it('without a cache are no lookups', async () => {
    verified(null, 'off')
    expect(await under.series('behalf.cache.lookups')).toEqual([])
  })
})

describe('key fetches', () => {
  const fetchAll = () => {
    for (const result of ['loaded', 'unchanged', 'failed'] as const)
      publish('behalf:keys.fetch', { issuer: `${ISSUER}/${result}`, result, durationMilliseconds: 250 })
  }

  it('are counted and timed by result; the issuer is left out', async () => {
    fetchAll()
    const series = [
      [{ result: 'failed' }, 1],
      [{ result: 'loaded' }, 1],
      [{ result: 'unchanged' }, 1],
    ]
    expect(await under.series('behalf.keys.fetches')).toEqual(series)
    expect(await under.series('behalf.keys.fetch.duration')).toEqual(series)
    const { descriptor, dataPoints } = await under.histogram('behalf.keys.fetch.duration')
    expect([descriptor.unit, dataPoints[0]?.value.sum]).toEqual(['s', 0.25])
  })

  it('name the issuer if it is asked for', async () => {
    stop()
    start({ issuerLabel: true })
    fetchAll()
    const series = [
      [{ result: 'failed', issuer: `${ISSUER}/failed` }, 1],
      [{ result: 'loaded', issuer: `${ISSUER}/loaded` }, 1],
      [{ result: 'unchanged', issuer: `${ISSUER}/unchanged` }, 1],
    ]
    expect(await under.series('behalf.keys.fetches')).toEqual(series)
    expect(await under.series('behalf.keys.fetch.duration')).toEqual(series)
  })
})

it('refusals are counted by code and stage', async () => {
  publish('behalf:refusal', { code: 'credentials_missing', status: 401, stage: 'credentials' })
  publish('behalf:refusal', { code: 'actor_unauthorized', status: 403, stage: 'rules' })
  publish('behalf:refusal', { code: 'actor_unauthorized', status: 403, stage: 'requirement' })
  publish('behalf:refusal', { code: 'actor_unauthorized', status: 403, stage: 'requirement' })
  expect(await under.series('behalf.refusals')).toEqual([
    [{ code: 'actor_unauthorized', stage: 'requirement' }, 2],
    [{ code: 'actor_unauthorized', stage: 'rules' }, 1],
    [{ code: 'credentials_missing', stage: 'credentials' }, 1],
  ])
})

it('delegated calls are counted by kind, decision, rule and reason, as far as there are such', async () => {
  const delegated = { kind: 'delegation', rule: 'agents', decision: 'allow', reason: null } as const
  publish('behalf:delegated', { ...delegated })
  publish('behalf:delegated', { ...delegated, kind: 'impersonation', rule: 'support-looks' })
  publish('behalf:delegated', { ...delegated, decision: 'refuse', reason: 'method_not_delegated' })
  publish('behalf:delegated', { ...delegated, rule: null, decision: 'refuse', reason: 'actor_unauthorized' })
  publish('behalf:delegated', { ...delegated, rule: null, decision: 'would_refuse', reason: 'actor_unauthorized' })
  expect(await under.series('behalf.delegated_calls')).toEqual([
    [{ kind: 'delegation', decision: 'allow', rule: 'agents' }, 1],
    [{ kind: 'delegation', decision: 'refuse', reason: 'actor_unauthorized' }, 1],
    [{ kind: 'delegation', decision: 'refuse', rule: 'agents', reason: 'method_not_delegated' }, 1],
    [{ kind: 'delegation', decision: 'would_refuse', reason: 'actor_unauthorized' }, 1],
    [{ kind: 'impersonation', decision: 'allow', rule: 'support-looks' }, 1],
  ])
})

it('audit failures are counted by their events', async () => {
  publish('behalf:audit.failure', { events: 1 })
  publish('behalf:audit.failure', { events: 41 })
  expect(await under.series('behalf.audit.failures')).toEqual([[{}, 42]])
})

it('every instrument says its unit and what it counts', async () => {
  publishAll()
  const all = await under.all()
  expect(all.map(({ descriptor }) => [descriptor.name, descriptor.unit]).toSorted()).toEqual([
    ['behalf.audit.failures', '{event}'],
    ['behalf.cache.lookups', '{lookup}'],
    ['behalf.delegated_calls', '{call}'],
    ['behalf.keys.fetch.duration', 's'],
    ['behalf.keys.fetches', '{fetch}'],
    ['behalf.refusals', '{request}'],
    ['behalf.verification.duration', 's'],
    ['behalf.verifications', '{verification}'],
  ])
  expect(all.filter(({ descriptor }) => descriptor.description === '')).toEqual([])
})

describe('without a meter', () => {
  beforeEach(() => stop())

  it('the global provider measures, under the name and version of this package', async () => {
    const exporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE)
    const provider = new MeterProvider({ readers: [new PeriodicExportingMetricReader({ exporter })] })
    metrics.setGlobalMeterProvider(provider)
    stop = instrumentBehalf()
    verified(null, 'hit')
    await provider.forceFlush()
    const scopes = exporter.getMetrics().flatMap(({ scopeMetrics }) => scopeMetrics)
    const { name, version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'))
    expect(scopes.map(({ scope }) => [scope.name, scope.version])).toEqual([[name, version]])
    expect(version).toBe(VERSION)
    const counted = scopes[0]?.metrics.find(({ descriptor }) => descriptor.name === 'behalf.verifications')
    expect(seriesOf(counted ?? expect.fail('not measured'))).toEqual([[{ result: 'accepted' }, 1]])
    await provider.shutdown()
  })

  it('nothing is measured, and nothing fails, until there is a provider', async () => {
    stop = instrumentBehalf()
    publishAll()
    const late = measuredGlobally()
    expect(await late.all()).toEqual([])
    publishAll()
    expect(await late.series('behalf.verifications')).toEqual([[{ result: 'accepted' }, 1]])
  })

  it('another global provider measures from then on', async () => {
    const first = measuredGlobally()
    stop = instrumentBehalf()
    verified(null, 'hit')
    const second = measuredGlobally()
    verified(null, 'hit')
    verified(null, 'hit')
    expect(await first.series('behalf.verifications')).toEqual([[{ result: 'accepted' }, 1]])
    expect(await second.series('behalf.verifications')).toEqual([[{ result: 'accepted' }, 2]])
  })

  it('a meter that is given measures instead of the global one', async () => {
    const globally = measuredGlobally()
    start()
    publishAll()
    expect(await under.all()).toHaveLength(8)
    expect(await globally.all()).toEqual([])
  })
})

it('every refusal code can be a reason, and no more than these', async () => {
  for (const code of REFUSAL_CODES) verified(code, 'miss')
  expect(await under.series('behalf.verifications')).toHaveLength(REFUSAL_CODES.length)
})
