import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { AuditEvent } from '@behalf/core'
import { createResourceServer } from '@behalf/core/adapter'
import { oauth } from '@behalf/core/issuers'
import { pinoSink } from '@behalf/pino'
import { createSigningKey, signCompact, sinkContract, testEvent } from '@behalf/testing'
import pino from 'pino'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'

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
      testEvent({
        net: { peer: null, forwarded: null, userAgent: '"}\\\u2028{', callerRequestId: null },
      }),
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

  it.each(['silent', 'fatal', 'error'])('refuses every event once the level has been changed to %s', (level) => {
    const { logger, lines } = collecting()
    const sink = pinoSink(logger)
    logger.level = level
    expect(() => sink.write(testEvent())).toThrow(/level leaves out 'info'/)
    expect(() => sink.write(testEvent({ decision: 'refuse', reason: 'actor_unauthorized' }))).toThrow(/level leaves out 'warn'/)
    expect(lines()).toEqual([])
    logger.level = 'info'
    sink.write(testEvent())
    expect(lines()).toHaveLength(1)
  })

  it('refuses what a level of warn would drop, and writes the rest', () => {
    const { logger, lines } = collecting()
    const sink = pinoSink(logger)
    logger.level = 'warn'
    expect(() => sink.write(testEvent())).toThrow(TypeError)
    sink.write(testEvent({ decision: 'refuse', reason: 'actor_unauthorized' }))
    expect(lines()).toMatchObject([{ level: WARN }])
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

  const key = createSigningKey('EdDSA')
  /** A server that writes every event to a logger. */
  const serverOn = (logger: pino.Logger) =>
    createResourceServer({
      issuers: [oauth({ issuer: 'https://as.example.test', audience: 'a', jwks: { keys: [key.jwk] } })],
      audit: { sinks: [pinoSink(logger)], record: 'always' },
    })
  const exchangeOf = (token: string) => ({
    key: {},
    request: {
      ...{ method: 'GET', wireMethod: 'GET', path: '/', url: '/', route: null, peer: null, clientCertificate: null, raw: null },
      authorization: [`Bearer ${token}`],
      header: () => null,
    },
    response: { status: 200, ended: false, header: () => null, setHeader() {}, onEnd() {} },
  })

  it('whose logger was silenced lets no call pass unrecorded: 503', async () => {
    vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
    const { logger, lines } = collecting()
    const server = serverOn(logger)
    const iat = Math.floor(Date.now() / 1000)
    const claims = { iss: 'https://as.example.test', aud: 'a', sub: 'u', client_id: 'c', jti: 'j', iat, exp: iat + 600 }
    const token = signCompact({ alg: 'EdDSA', kid: key.kid, typ: 'at+jwt' }, JSON.stringify(claims), key)
    await expect(server.authenticate()(exchangeOf(token))).resolves.toBe('go_on')
    expect(lines()).toMatchObject([{ level: INFO, audit: { decision: 'allow' } }])
    logger.level = 'silent'
    await expect(server.authenticate()(exchangeOf(token))).rejects.toMatchObject({ code: 'audit_unavailable', status: 503 })
    expect(lines()).toHaveLength(1)
    vi.restoreAllMocks()
  })

  it('writes what a server refuses', async () => {
    const { logger, lines } = collecting()
    const server = serverOn(logger)
    await expect(server.authenticate()(exchangeOf('x'))).rejects.toMatchObject({ code: 'token_malformed' })
    await server.close()
    expect(lines()).toMatchObject([
      { level: WARN, audit: { decision: 'refuse', reason: 'token_malformed', http: { status: 401 } } },
    ])
  })
})
