import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { AuditEvent } from '@behalf/core'
import { createResourceServer } from '@behalf/core/adapter'
import { oauth } from '@behalf/core/issuers'
import { pinoSink } from '@behalf/pino'
import { createSigningKey, sinkContract, testEvent } from '@behalf/testing'
import pino from 'pino'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'

interface Line {
  readonly level: number
  readonly msg: string
  readonly audit: AuditEvent
}

const INFO = 30
const WARN = 40

/** A logger, and the lines that reached its destination. */
function collecting(options: pino.LoggerOptions = {}) {
  const text: string[] = []
  const logger = pino(options, { write: (line: string) => void text.push(line) })
  return { logger, lines: () => text.map((line) => JSON.parse(line) as Line) }
}

describe('pinoSink() keeps the sink contract', () => {
  const create = () => {
    const { logger, lines } = collecting()
    return { sink: pinoSink(logger), accepted: () => lines().map((line) => line.audit) }
  }
  for (const { name, run } of sinkContract(create)) it(name, run)
})

describe('pinoSink()', () => {
  it.each([
    ['an allowed call', testEvent(), INFO, 'access.decision allow'],
    ['a refusal', testEvent({ decision: 'refuse', reason: 'actor_unauthorized' }), WARN, 'access.decision refuse'],
    ['what would be refused', testEvent({ decision: 'would_refuse' }), WARN, 'access.decision would_refuse'],
    [
      'an outcome',
      testEvent({ type: 'access.outcome', stage: 'response', result: 'completed' }),
      INFO,
      'access.outcome completed',
    ],
    [
      'a refused outcome',
      testEvent({ type: 'access.outcome', stage: 'response', result: 'refused' }),
      WARN,
      'access.outcome refused',
    ],
  ] as const)('writes one line for %s, at a level of its own', async (_, event, level, msg) => {
    const { logger, lines } = collecting()
    await pinoSink(logger).write(event)
    expect(lines()).toHaveLength(1)
    expect(lines()[0]).toMatchObject({ level, msg, audit: JSON.parse(JSON.stringify(event)) })
  })

  it('keeps one event on one line, whatever a caller wrote', async () => {
    const text: string[] = []
    const logger = pino({}, { write: (line: string) => void text.push(line) })
    await pinoSink(logger).write(
      testEvent({ net: { peer: null, forwarded: null, userAgent: '"}\\\u2028{', callerRequestId: null } }),
    )
    expect(text).toHaveLength(1)
    expect(text[0]?.trimEnd().split('\n')).toHaveLength(1)
  })

  it.each(['warn', 'error', 'fatal', 'silent'])('refuses a logger of level %s: it would drop events without a word', (level) => {
    expect(() => pinoSink(collecting({ level }).logger)).toThrow(TypeError)
    expect(() => pinoSink(collecting({ level }).logger)).toThrow(/level writes 'info'/)
  })

  it.each(['trace', 'debug', 'info'])('takes a logger of level %s', (level) => {
    const { logger, lines } = collecting({ level })
    pinoSink(logger).write(testEvent())
    expect(lines()).toHaveLength(1)
  })

  it('refuses an event that the destination refuses', () => {
    const logger = pino(
      {},
      {
        write() {
          throw new Error('disk full')
        },
      },
    )
    expect(() => pinoSink(logger).write(testEvent())).toThrow('disk full')
  })

  describe('with an asynchronous destination', () => {
    let folder = ''
    beforeEach(async () => {
      folder = await mkdtemp(join(tmpdir(), 'pino-sink-'))
    })
    afterEach(() => rm(folder, { recursive: true, force: true }))

    it('has on disk after flush what it accepted before', async () => {
      const dest = join(folder, 'audit.log')
      const destination = pino.destination({ dest, sync: false, minLength: 4096 })
      const sink = pinoSink(pino({}, destination))
      const events = [testEvent(), testEvent()]
      for (const event of events) await sink.write(event)
      await sink.flush?.()
      const kept = (await readFile(dest, 'utf8')).trimEnd().split('\n')
      expect(kept.map((line) => (JSON.parse(line) as Line).audit.id)).toEqual(events.map((event) => event.id))
      destination.destroy()
    })
  })

  it('writes what a server refuses', async () => {
    const key = createSigningKey('EdDSA')
    const { logger, lines } = collecting()
    const server = createResourceServer({
      issuers: [oauth({ issuer: 'https://as.example.test', audience: 'a', jwks: { keys: [key.jwk] } })],
      audit: { sinks: [pinoSink(logger)], record: 'always' },
    })
    const request = {
      ...{
        method: 'GET',
        wireMethod: 'GET',
        path: '/',
        url: '/',
        route: null,
        authorization: ['Bearer x'],
        peer: null,
        raw: null,
      },
      header: () => null,
    }
    const response = { status: 200, ended: false, onEnd() {} }
    await expect(server.authenticate()({ key: {}, request, response })).rejects.toMatchObject({ code: 'token_malformed' })
    await server.close()
    expect(lines()).toMatchObject([
      { level: WARN, audit: { decision: 'refuse', reason: 'token_malformed', http: { status: 401 } } },
    ])
  })
})
