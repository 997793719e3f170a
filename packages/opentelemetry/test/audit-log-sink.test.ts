import { type AuditEvent, bestEffort, ConfigError } from '@behalf/core'
import { toOtelLogRecord } from '@behalf/core/mappings'
import { auditLogSink } from '@behalf/opentelemetry'
import { createTestIssuer, memorySink, sinkContract, testEvent } from '@behalf/testing'
import { context, trace } from '@opentelemetry/api'
import { logs } from '@opentelemetry/api-logs'
import {
  BatchLogRecordProcessor,
  InMemoryLogRecordExporter,
  LoggerProvider,
  type LoggerProviderOptions,
  SimpleLogRecordProcessor,
} from '@opentelemetry/sdk-logs'
import { afterAll, describe, expect, it, vi } from 'vitest'
import { FRAMEWORKS } from '../../../test/support/servers.js'
import { tracedGlobally } from './support/measured.js'
import { startTraced } from './support/traced-api.js'

const TRACE_ID = '4bf92f3577b34da6a3ce929d0e0e4736'
const SPAN_ID = '00f067aa0ba902b7'
const TRACED = { traceparent: `00-${TRACE_ID}-${SPAN_ID}-01` }

const traced = tracedGlobally()
afterAll(() => traced.end())

/** The SDK that an application brings, and what reached its exporter. */
function collecting(options: Partial<LoggerProviderOptions> = {}) {
  const exporter = new InMemoryLogRecordExporter()
  const provider = new LoggerProvider({ processors: [new SimpleLogRecordProcessor({ exporter })], ...options })
  const logger = provider.getLogger('audit')
  const records = () => exporter.getFinishedLogRecords()
  return { provider, logger, records, events: () => records().map(({ body }) => body as unknown as AuditEvent) }
}

describe('auditLogSink() keeps the sink contract', () => {
  const create = () => {
    const { provider, logger, events } = collecting()
    return { sink: auditLogSink(logger, { flush: () => provider.forceFlush() }), accepted: events }
  }
  for (const { name, run } of sinkContract(create)) it(name, run)
})

describe('auditLogSink()', () => {
  it('writes a record with name, time, severity and attributes, and the event as its body', () => {
    const { logger, records } = collecting()
    const event = testEvent({ decision: 'refuse', reason: 'actor_unauthorized', time: '1990-01-02T03:04:05.678Z' })
    auditLogSink(logger).write(event)
    const [record = expect.fail('no record')] = records()
    expect(record).toMatchObject({ eventName: 'access.decision', severityNumber: 13, severityText: 'WARN', body: event })
    expect(record.attributes).toEqual(toOtelLogRecord(event).attributes)
    expect(record.hrTime).toEqual([Date.parse('1990-01-02T03:04:05Z') / 1000, 678_000_000]) // long before this process began
    expect(record.droppedAttributesCount).toBe(0)
  })

  it('belongs to the active span, whatever the caller says', () => {
    const { logger, records } = collecting()
    const sink = auditLogSink(logger)
    const inside = traced.tracer.startActiveSpan('request', (span) => {
      sink.write(testEvent({ trace: TRACED }))
      span.end()
      return span.spanContext()
    })
    expect(records()[0]?.spanContext).toEqual(inside)
  })

  it("belongs to the caller's trace where no span is active, and to none where the caller names none", () => {
    const { logger, records } = collecting()
    const sink = auditLogSink(logger)
    sink.write(testEvent({ trace: TRACED }))
    sink.write(testEvent({ trace: { traceparent: null } }))
    sink.write(testEvent({ trace: { traceparent: `00-${'0'.repeat(32)}-${SPAN_ID}-01` } }))
    const unnamed = trace.setSpanContext(context.active(), { traceId: '0'.repeat(32), spanId: '0'.repeat(16), traceFlags: 0 })
    context.with(unnamed, () => sink.write(testEvent({ trace: TRACED })))
    const said = { traceId: TRACE_ID, spanId: SPAN_ID, traceFlags: 1, isRemote: true }
    expect(records().map(({ spanContext }) => spanContext)).toEqual([said, undefined, undefined, said])
  })

  it('refuses what the logger would leave out', async () => {
    const severe = collecting({ loggerConfigurator: () => ({ disabled: false, minimumSeverity: 13, traceBased: false }) })
    const sampled = collecting({ loggerConfigurator: () => ({ disabled: false, minimumSeverity: 0, traceBased: true }) })
    const unsampled = testEvent({ trace: { traceparent: `00-${TRACE_ID}-${SPAN_ID}-00` } })
    const ended = collecting()
    await ended.provider.shutdown()
    const leftOut = /leaves this record out/
    expect(() => auditLogSink(severe.logger).write(testEvent())).toThrow(leftOut)
    expect(() => auditLogSink(sampled.logger).write(unsampled)).toThrow(leftOut)
    expect(() => auditLogSink(ended.logger).write(testEvent())).toThrow(leftOut)
    expect(() => auditLogSink(logs.getLogger('without an SDK')).write(testEvent())).toThrow(leftOut)
    auditLogSink(severe.logger).write(testEvent({ decision: 'refuse', reason: 'actor_unauthorized' }))
    auditLogSink(sampled.logger).write(testEvent({ trace: TRACED }))
    expect([severe.records().length, sampled.records().length]).toEqual([1, 1])
  })

  it('refuses where a processor throws', () => {
    const failing = { onEmit: () => expect.fail('broken'), forceFlush: async () => {}, shutdown: async () => {} }
    const { logger } = collecting({ processors: [failing] })
    expect(() => auditLogSink(logger).write(testEvent())).toThrow('broken')
  })

  it('flushes what it was told to, and has no flush otherwise', async () => {
    const { logger } = collecting()
    let flushed = 0
    const flush = async () => {
      flushed++
    }
    await auditLogSink(logger, { flush }).flush?.()
    expect(flushed).toBe(1)
    expect(auditLogSink(logger)).not.toHaveProperty('flush')
    expect(auditLogSink(logger)).not.toHaveProperty('close')
    const broken = auditLogSink(logger, { flush: () => Promise.reject(new Error('away')) })
    await expect(broken.flush?.()).rejects.toThrow('away')
  })

  it.each<[string, () => unknown, RegExp]>([
    ['no logger', () => auditLogSink(undefined as never), /needs a Logger of @opentelemetry\/api-logs/],
    ['a provider', () => auditLogSink(collecting().provider as never), /provider\.getLogger\(name\)/],
    ['a logger that cannot say what it leaves out', () => auditLogSink({ emit: () => {} } as never), /0\.215 or later/],
    ['an unknown option', () => auditLogSink(collecting().logger, { flsh: () => {} } as never), /unknown member "flsh"/],
    ['an undefined option', () => auditLogSink(collecting().logger, { flush: undefined } as never), /flush is undefined/],
    ['a flush that is none', () => auditLogSink(collecting().logger, { flush: true } as never), /flush must be a function/],
  ])('refuses %s', (_name, create, message) => {
    expect(create).toThrow(ConfigError)
    expect(create).toThrow(message)
  })
})

it("an SDK's batch processor drops above its queue without a word: accepted is not kept", async () => {
  const exporter = new InMemoryLogRecordExporter()
  const limits = { exporter, maxQueueSize: 2, maxExportBatchSize: 2, scheduledDelayMillis: 600_000 }
  const { provider, logger } = collecting({ processors: [new BatchLogRecordProcessor(limits)] })
  const sink = auditLogSink(logger, { flush: () => provider.forceFlush() })
  for (let count = 0; count < 10; count++) sink.write(testEvent()) // none is refused
  await sink.flush?.()
  expect(exporter.getFinishedLogRecords().length).toBeLessThan(10)
  await provider.shutdown()
})

describe.each(FRAMEWORKS)('$name', (framework) => {
  it('records a delegated call under the span of its request; what is lost there stops nobody', async () => {
    const issuer = await createTestIssuer({ algorithms: ['EdDSA'] })
    const { provider, logger, records, events } = collecting()
    const kept = memorySink()
    const sinks = [kept, bestEffort(auditLogSink(logger, { flush: () => provider.forceFlush() }))]
    const rule = { id: 'readers', kind: 'delegation', actor: { id: 'reader-1' }, scopes: 'all' } as const
    const running = await startTraced(framework, { issuers: [issuer.options()], delegation: [rule], audit: { sinks } }, traced)
    const token = issuer.token({ claims: { act: { sub: 'reader-1' } } })
    const outcomes = () => kept.events.filter(({ type }) => type === 'access.outcome').length

    expect(await running.ask(token)).toMatchObject({ status: 200 })
    await kept.until(({ type }) => type === 'access.outcome')
    expect(events()).toEqual(kept.events)
    expect(records().map(({ eventName }) => eventName)).toEqual(['access.decision', 'access.outcome'])
    const [decision] = records()
    expect(decision?.spanContext).toMatchObject({ traceId: expect.stringMatching(/^[0-9a-f]{32}$/) })
    expect(decision?.spanContext?.isRemote).toBeUndefined()

    await provider.shutdown()
    const warned = vi.spyOn(process, 'emitWarning').mockReturnValue()
    expect(await running.ask(token)).toMatchObject({ status: 200 })
    await kept.until(() => outcomes() === 2)
    expect(warned).toHaveBeenCalledWith(expect.any(String), { code: 'BEHALF_AUDIT_LOST' })
    await running.close()
    warned.mockRestore()
    await issuer.close()
  })
})
