import { readFileSync } from 'node:fs'
import { instrumentBehalf } from '@behalf/opentelemetry'
import type { MetricData } from '@opentelemetry/sdk-metrics'
import { beforeAll, describe, expect, it } from 'vitest'
import { membersOf } from '../../../test/support/interfaces.js'
import { codeIn, tableBelow } from '../../../test/support/markdown.js'
import { measured, tracedGlobally } from './support/measured.js'
import { CHANNELS, MESSAGES, publish, publishAll } from './support/publish.js'

const read = (path: string) => readFileSync(new URL(`../../../${path}`, import.meta.url), 'utf8')
const page = read('docs/telemetry.md')
const codesIn = (cell = '') => [...cell.matchAll(/`([^`]+)`/g)].map(([, code = '']) => code)

describe('docs/telemetry.md', () => {
  let all: readonly MetricData[]
  let span: object
  beforeAll(async () => {
    const under = measured()
    const traced = tracedGlobally()
    const stop = instrumentBehalf({ meter: under.meter, issuerLabel: true })
    traced.tracer.startActiveSpan('request', (active) => {
      publishAll()
      active.end()
    })
    publish('behalf:verification', { reason: 'token_expired', cache: 'hit', issuer: null, durationMilliseconds: 1 })
    publish('behalf:delegated', { kind: 'delegation', rule: 'a', decision: 'refuse', reason: 'delegation_too_deep' })
    all = await under.all()
    span = traced.attributesOf('request')
    stop()
    traced.end()
  })

  it('lists exactly the metrics there are, with kind, unit and attributes', () => {
    const listed = tableBelow(page, 'metrics').map(([name, kind, unit, attributes]) => [
      ...[codeIn(name), kind, codeIn(unit)],
      codesIn(attributes).toSorted(),
    ])
    const made = all.map(({ descriptor, dataPoints }) => [
      descriptor.name,
      typeof dataPoints[0]?.value === 'number' ? 'counter' : 'histogram',
      descriptor.unit,
      [...new Set(dataPoints.flatMap(({ attributes }) => Object.keys(attributes)))].toSorted(),
    ])
    expect(listed.toSorted()).toEqual(made.toSorted())
  })

  it('explains every attribute, of metrics and of spans', () => {
    const used = new Set(all.flatMap(({ dataPoints }) => dataPoints.flatMap(({ attributes }) => Object.keys(attributes))))
    expect(new Set(tableBelow(page, 'attributes').map(([name]) => codeIn(name)))).toEqual(used)
    expect(tableBelow(page, 'span attributes').map(([name]) => codeIn(name))).toEqual(expect.arrayContaining(Object.keys(span)))
    expect(tableBelow(page, 'span attributes')).toHaveLength(Object.keys(span).length)
  })

  it('lists every channel with the members of its message', () => {
    const listed = tableBelow(page, 'channels').map(([name, members]) => [codeIn(name), codesIn(members).toSorted()])
    expect(Object.fromEntries(listed)).toEqual(
      Object.fromEntries(CHANNELS.map((name) => [name, Object.keys(MESSAGES[name]).toSorted()])),
    )
  })

  it('knows the channels that the core publishes on', () => {
    const declared = [...read('packages/core/src/telemetry.ts').matchAll(/^ {2}'(behalf:[\w.]+)': \w+Message$/gm)]
    expect(declared.map(([, name]) => name).toSorted()).toEqual(CHANNELS.toSorted())
  })

  it('lists every option', () => {
    const declared = membersOf(read('packages/opentelemetry/src/options.ts'), 'InstrumentationOptions')?.map(({ path }) => path)
    expect(tableBelow(page, 'interface: InstrumentationOptions').map(([name]) => codeIn(name))).toEqual(declared)
  })
})

describe('docs/snippets/telemetry.ts', () => {
  it('counts refusals by hand, and stops', async () => {
    const { refusals, stop, stopCounting } = await import('../../../docs/snippets/telemetry.js')
    const refuse = () => publish('behalf:refusal', { code: 'token_expired', status: 401, stage: 'verify' })
    refuse()
    refuse()
    stopCounting()
    refuse()
    stop()
    expect([...refusals]).toEqual([['token_expired', 2]])
  })
})
