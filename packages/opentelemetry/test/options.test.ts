import { ConfigError } from '@behalf/core'
import { type InstrumentationOptions, instrumentBehalf } from '@behalf/opentelemetry'
import { metrics } from '@opentelemetry/api'
import { describe, expect, it } from 'vitest'
import { heardChannels } from './support/subscribers.js'

const meter = metrics.getMeter('test')

describe('instrumentBehalf() refuses', () => {
  it.each<[what: string, options: unknown, message: string]>([
    ['null', null, 'options must be an object'],
    ['a list', [], 'options must be an object'],
    ['a word', 'spans', 'options must be an object'],
    ['an unknown member', { tracer: {} }, 'unknown member "tracer": it knows meter, spans, issuerLabel'],
    ['a member in another spelling', { issuerlabel: true }, 'unknown member "issuerlabel"'],
    ['an undefined meter', { meter: undefined }, 'options.meter is undefined'],
    ['an undefined switch', { spans: undefined }, 'options.spans is undefined'],
    ['null for a meter', { meter: null }, 'options.meter must be a Meter'],
    ['a meter provider for a meter', { meter: metrics.getMeterProvider() }, 'options.meter must be a Meter'],
    ['half a meter', { meter: { createCounter: () => {} } }, 'options.meter must be a Meter'],
    ['a word for spans', { spans: 'false' }, 'options.spans must be true or false'],
    ['null for spans', { spans: null }, 'options.spans must be true or false'],
    ['a number for issuerLabel', { issuerLabel: 1 }, 'options.issuerLabel must be true or false'],
  ])('%s, and listens to nothing', (_, options, message) => {
    const create = () => instrumentBehalf(options as InstrumentationOptions)
    expect(create).toThrow(ConfigError)
    expect(create).toThrow(message)
    expect(heardChannels()).toEqual([])
  })
})

describe('instrumentBehalf() takes', () => {
  it.each<[what: string, options: InstrumentationOptions | undefined]>([
    ['nothing', undefined],
    ['no options', {}],
    ['all of them', { meter, spans: false, issuerLabel: true }],
  ])('%s', (_, options) => {
    const stop = instrumentBehalf(options)
    expect(heardChannels()).not.toEqual([])
    stop()
    expect(heardChannels()).toEqual([])
  })
})

it('listens to nothing where the meter cannot make an instrument', () => {
  const broken = {
    createCounter: () => ({}),
    createHistogram() {
      throw new Error('no histograms')
    },
  }
  expect(() => instrumentBehalf({ meter: broken as never })).toThrow('no histograms')
  expect(heardChannels()).toEqual([])
})
