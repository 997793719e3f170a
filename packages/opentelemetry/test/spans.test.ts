import { instrumentBehalf } from '@behalf/opentelemetry'
import { type Attributes, context, type Span, trace } from '@opentelemetry/api'
import { afterAll, afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { measured, tracedGlobally } from './support/measured.js'
import { publish, publishAll } from './support/publish.js'

const traced = tracedGlobally()
let stop: () => void = () => {}

beforeEach(() => {
  stop = instrumentBehalf()
})
afterEach(() => {
  stop()
  traced.clear()
})
afterAll(() => traced.end())

/** What a span holds in the end in which something has happened. */
function attributesAfter(act: () => void): Attributes {
  traced.tracer.startActiveSpan('request', (span) => {
    act()
    span.end()
  })
  return traced.attributesOf('request')
}

describe('the active span', () => {
  it.each(['hit', 'miss', 'off'] as const)('says that the cache was: %s', (cache) => {
    const verification = { reason: null, cache, issuer: 'https://as.example.test', durationMilliseconds: 1 }
    expect(attributesAfter(() => publish('behalf:verification', verification))).toEqual({ 'behalf.cache': cache })
  })

  it('says kind, rule and decision of a delegated call', () => {
    const attributes = attributesAfter(() =>
      publish('behalf:delegated', { kind: 'impersonation', rule: 'support-looks', decision: 'allow', reason: null }),
    )
    expect(attributes).toEqual({
      'behalf.kind': 'impersonation',
      'behalf.rule': 'support-looks',
      'behalf.decision': 'allow',
    })
  })

  it('names no rule where none fits', () => {
    const attributes = attributesAfter(() =>
      publish('behalf:delegated', { kind: 'delegation', rule: null, decision: 'refuse', reason: 'actor_unauthorized' }),
    )
    expect(attributes).toEqual({ 'behalf.kind': 'delegation', 'behalf.decision': 'refuse' })
  })

  it('says why the request was refused', () => {
    const attributes = attributesAfter(() => publish('behalf:refusal', { code: 'token_expired', status: 401, stage: 'verify' }))
    expect(attributes).toEqual({ 'behalf.refusal.code': 'token_expired' })
  })

  it('says nothing about key fetches and lost records: they may be of another request', () => {
    const attributes = attributesAfter(() => {
      publish('behalf:keys.fetch', { issuer: 'https://as.example.test', result: 'failed', durationMilliseconds: 1 })
      publish('behalf:audit.failure', { events: 1 })
    })
    expect(attributes).toEqual({})
  })

  it('collects all of one request', () => {
    expect(Object.keys(attributesAfter(publishAll)).toSorted()).toEqual([
      'behalf.cache',
      'behalf.decision',
      'behalf.kind',
      'behalf.refusal.code',
      'behalf.rule',
    ])
  })

  it('is left alone after it has ended', () => {
    traced.tracer.startActiveSpan('request', (span) => {
      span.end()
      publishAll()
    })
    expect(traced.attributesOf('request')).toEqual({})
  })

  it('is left alone where it is not sampled', () => {
    const setAttributes = vi.fn()
    const unsampled = { isRecording: () => false, setAttributes } as unknown as Span
    context.with(trace.setSpan(context.active(), unsampled), publishAll)
    expect(setAttributes).not.toHaveBeenCalled()
  })

  it('is left alone with spans: false, while metrics go on', async () => {
    stop()
    const under = measured()
    stop = instrumentBehalf({ meter: under.meter, spans: false })
    expect(attributesAfter(publishAll)).toEqual({})
    expect(await under.all()).toHaveLength(8)
  })

  it('need not be there', async () => {
    stop()
    const under = measured()
    stop = instrumentBehalf({ meter: under.meter })
    expect(trace.getActiveSpan()).toBeUndefined()
    publishAll()
    expect(await under.all()).toHaveLength(8)
  })
})
