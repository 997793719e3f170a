import { channel, subscribe, unsubscribe } from 'node:diagnostics_channel'
import { instrumentBehalf } from '@behalf/opentelemetry'
import { context, type DiagLogFunction, type DiagLogger, DiagLogLevel, diag, trace } from '@opentelemetry/api'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { measured, tracedGlobally } from './support/measured.js'
import { CHANNELS, publishAll } from './support/publish.js'
import { heardChannels } from './support/subscribers.js'

const stops: (() => void)[] = []
const started = (options: Parameters<typeof instrumentBehalf>[0]) => {
  const stop = instrumentBehalf(options)
  stops.push(stop)
  return stop
}
afterEach(() => {
  for (const stop of stops.splice(0)) stop()
})

describe('what instrumentBehalf() gives back', () => {
  it('ends it, however often it is called', async () => {
    const under = measured()
    const stop = started({ meter: under.meter })
    expect(heardChannels()).toEqual(CHANNELS)
    publishAll()
    stop()
    stop()
    expect(heardChannels()).toEqual([])
    publishAll()
    expect(await under.series('behalf.verifications')).toEqual([[{ result: 'accepted' }, 1]])
  })

  it('ends its own alone', async () => {
    const [one, other] = [measured(), measured()]
    const stopOne = started({ meter: one.meter })
    started({ meter: other.meter })
    publishAll()
    stopOne()
    stopOne()
    publishAll()
    expect(await one.series('behalf.audit.failures')).toEqual([[{}, 1]])
    expect(await other.series('behalf.audit.failures')).toEqual([[{}, 2]])
  })

  it('can be followed by another start', async () => {
    const under = measured()
    started({ meter: under.meter })()
    started({ meter: under.meter })
    publishAll()
    expect(await under.series('behalf.audit.failures')).toEqual([[{}, 1]])
  })
})

describe('a listener throws nothing into the process', () => {
  const uncaught: unknown[] = []
  const keep = (error: unknown) => void uncaught.push(error)
  let runnersOwn: NodeJS.UncaughtExceptionListener[] = []
  beforeEach(() => {
    runnersOwn = process.listeners('uncaughtException')
    process.removeAllListeners('uncaughtException')
    process.on('uncaughtException', keep)
  })
  afterEach(() => {
    process.removeListener('uncaughtException', keep)
    for (const listener of runnersOwn) process.on('uncaughtException', listener)
    uncaught.length = 0
    diag.disable()
  })

  /** Node rethrows in `process.nextTick`: after a turn of the event loop it has happened. */
  const turned = () => new Promise<void>((resolve) => setImmediate(resolve))
  const logger = (error: DiagLogFunction): DiagLogger => ({ error, warn() {}, info() {}, debug() {}, verbose() {} })
  const failing = () => {
    throw new Error('the exporter is broken')
  }
  const brokenMeter = { createCounter: () => ({ add: failing }), createHistogram: () => ({ record: failing }) } as never

  it('though others would: Node ends the process for them', async () => {
    subscribe('behalf:refusal', failing)
    channel('behalf:refusal').publish({})
    unsubscribe('behalf:refusal', failing)
    await turned()
    expect(uncaught).toMatchObject([{ message: 'the exporter is broken' }])
  })

  it('where an instrument throws; the diagnostic logger is told, each time', async () => {
    const told: unknown[][] = []
    diag.setLogger(
      logger((...line) => void told.push(line)),
      DiagLogLevel.ERROR,
    )
    started({ meter: brokenMeter })
    publishAll()
    await turned()
    expect(uncaught).toEqual([])
    expect(told).toHaveLength(CHANNELS.length)
    for (const line of told)
      expect(line).toEqual([
        '@behalf/opentelemetry: a message could not be measured',
        expect.objectContaining({ message: 'the exporter is broken' }),
      ])
  })

  it('where the diagnostic logger throws too', async () => {
    diag.setLogger(logger(failing), { logLevel: DiagLogLevel.ERROR, suppressOverrideMessage: true })
    started({ meter: brokenMeter })
    publishAll()
    await turned()
    expect(uncaught).toEqual([])
  })

  it.each([
    ['nothing', undefined],
    ['null', null],
    ['a word', 'refused'],
    ['an object of another shape', {}],
    [
      'an object that throws when it is read',
      new Proxy(
        {},
        {
          get: failing,
        },
      ),
    ],
  ])('where somebody else publishes %s on our channels', async (_, message) => {
    const under = measured()
    started({ meter: under.meter })
    for (const name of CHANNELS) channel(name).publish(message)
    publishAll()
    await turned()
    expect(uncaught).toEqual([])
    expect(await under.series('behalf.cache.lookups')).toContainEqual([{ result: 'hit' }, 1])
  })

  it('where metrics are broken, spans are still written; and the other way round', async () => {
    const traced = tracedGlobally()
    started({ meter: brokenMeter })
    traced.tracer.startActiveSpan('request', (span) => {
      publishAll()
      span.end()
    })
    expect(traced.attributesOf('request')).toMatchObject({ 'behalf.cache': 'hit' })

    const under = measured()
    started({ meter: under.meter })
    const brokenSpan = { isRecording: () => true, setAttributes: failing } as never
    context.with(trace.setSpan(context.active(), brokenSpan), publishAll)
    expect(await under.series('behalf.verifications')).toEqual([[{ result: 'accepted' }, 1]])
    await turned()
    expect(uncaught).toEqual([])
    traced.end()
  })
})
