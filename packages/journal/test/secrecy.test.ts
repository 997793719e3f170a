/**
 * Nothing that a caller presents gets into a journal's directory, but for the fields that are meant to hold its words; nor into a
 * mapping of a record, an error, or a warning. Every text below holds the same word.
 */
import { appendFileSync, readdirSync } from 'node:fs'
import { request } from 'node:http'
import { join } from 'node:path'
import { inspect } from 'node:util'
import type { AuditEvent, AuditSink, JsonValue, ResourceServerOptions } from '@behalf/core'
import * as mappings from '@behalf/core/mappings'
import { createSigningKey } from '@behalf/testing'
import { afterAll, afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { askRaw, bearer } from '../../../test/support/http.js'
import { type CreateFile, createSystemFile } from '../src/write/journal-file.js'
import type { JournalSink } from '../src/write/journal-sink.js'
import { DOORS, ISSUER, type JournaledApi, startJournaledApi } from './support/e2e-api.js'
import { CANARY, filesIn, formsOf, leaksIn, partsOf } from './support/e2e-canary.js'
import { bodiesOf, eventsOf, newDirectory, newJournal, SIGNING_KEY } from './support/journals.js'

afterAll(() => ISSUER.close())

/** What was said to the process, or to whoever writes to the journal. */
const said: string[] = []
const hear = (...heard: unknown[]) => void said.push(inspect(heard, { depth: Number.POSITIVE_INFINITY, showHidden: true }))
const PROCESS_EVENTS = ['unhandledRejection', 'uncaughtException'] as const
beforeEach(() => {
  vi.spyOn(process, 'emitWarning').mockImplementation(hear)
  for (const name of PROCESS_EVENTS) process.on(name, hear)
})
afterEach(() => {
  for (const name of PROCESS_EVENTS) process.off(name, hear)
  vi.restoreAllMocks()
  said.length = 0
})

/** The journal, with an ear at its errors. */
function overheard(sink: JournalSink): AuditSink {
  const tell = (error: unknown): never => {
    hear(error, String((error as Error).stack), JSON.stringify(error))
    throw error
  }
  return {
    write(event) {
      try {
        return sink.write(event)?.catch(tell)
      } catch (error) {
        return tell(error)
      }
    },
  }
}

/** Secrets everywhere in a request that is no token and no word of the caller that is recorded. */
const PATH = `/orders/${CANARY}?access_token=${CANARY}&${CANARY}=${CANARY}`
const HEADERS: readonly (readonly [string, string])[] = [
  'Cookie',
  'DPoP',
  'Proxy-Authorization',
  'Referer',
  'Origin',
  'Traceparent',
  'Tracestate',
  'Baggage',
  'If-None-Match',
  'X-Api-Key',
  'X-Secret',
  'X-Amz-Security-Token',
  'Signature',
  CANARY,
].map((name) => [name, `${CANARY}=${CANARY}`])
const WORDS = { forwarded: '203.0.113.9', userAgent: 'words-of-the-caller' }
const BODY = JSON.stringify({ password: CANARY, [CANARY]: Buffer.from(CANARY).toString('base64') })

type Claims = Readonly<Record<string, JsonValue>>

/** Claims that are never recorded, of a token that is verified and lets its caller in. */
const UNRECORDED: Claims = {
  email: `${CANARY}@example.test`,
  name: CANARY,
  phone_number: CANARY,
  [CANARY]: CANARY,
  nested: { [CANARY]: [CANARY, { deep: CANARY }] },
  roles: [CANARY],
  groups: [CANARY],
  authorization_details: [{ type: CANARY }],
  aud: [ISSUER.audience, CANARY],
  may_act: { sub: CANARY, email: CANARY },
}
const UNRECORDED_OF_ACTOR: Claims = {
  email: `${CANARY}@example.test`,
  name: CANARY,
  [CANARY]: { [CANARY]: CANARY },
  roles: [CANARY],
}
const HEADER: Claims = { cty: CANARY, jku: `https://${CANARY}.example.test`, x5u: CANARY, x5c: [CANARY], [CANARY]: CANARY }

const actor = (id: string, more: Claims = {}): Claims => ({ sub: id, sub_profile: 'ai_agent', ...UNRECORDED_OF_ACTOR, ...more })
const delegated = ISSUER.token({
  claims: { ...UNRECORDED, act: actor('agent-1', { act: { sub: 'behind', ...UNRECORDED_OF_ACTOR } }) },
  header: HEADER,
})
const direct = ISSUER.token({ claims: UNRECORDED, header: HEADER })
const stranger = ISSUER.token({ claims: { ...UNRECORDED, act: { sub: 'stranger-1', ...UNRECORDED_OF_ACTOR } }, header: HEADER })
const bound = ISSUER.token({ claims: { ...UNRECORDED, act: actor('agent-1'), cnf: { jkt: CANARY, 'x5t#S256': CANARY } } })

/** Every claim that is recorded of a token that is believed: of one that is refused at its verification, none is. */
const ALL_CLAIMS: Claims = {
  ...UNRECORDED,
  sub: CANARY,
  client_id: CANARY,
  azp: CANARY,
  scope: CANARY,
  tid: CANARY,
  sid: CANARY,
  act: actor(CANARY, { iss: CANARY, act: actor(CANARY) }),
}
const PAST: Claims = { exp: 1_000_000_000, iat: 999_999_000 }
const strangersKey = createSigningKey('EdDSA', { kid: ISSUER.key().kid })
const forged = (token: string) =>
  `${token.slice(0, token.lastIndexOf('.'))}.${Buffer.from(CANARY.repeat(8)).toString('base64url')}`

/** Tokens that are refused before there is a context, each for its own reason. */
const UNVERIFIED: Readonly<Record<string, string>> = {
  'signed by somebody else': ISSUER.token({ claims: { ...ALL_CLAIMS, jti: CANARY }, header: HEADER, key: strangersKey }),
  'with a forged signature': forged(ISSUER.token({ claims: { ...ALL_CLAIMS, jti: CANARY }, header: HEADER })),
  expired: ISSUER.token({ claims: { ...ALL_CLAIMS, ...PAST }, header: HEADER }),
  'not yet valid': ISSUER.token({ claims: { ...ALL_CLAIMS, nbf: 4_000_000_000 } }),
  'for another audience': ISSUER.token({ claims: { ...ALL_CLAIMS, aud: CANARY } }),
  'of another issuer': ISSUER.token({ claims: { ...ALL_CLAIMS, iss: `https://${CANARY}.example.test` } }),
  'of another type': ISSUER.token({ claims: ALL_CLAIMS, header: { typ: CANARY } }),
  'of an unknown algorithm': ISSUER.token({ claims: ALL_CLAIMS, header: { alg: CANARY } }),
  'with a critical header': ISSUER.token({ claims: ALL_CLAIMS, header: { crit: [CANARY], [CANARY]: true } }),
  'with a foreign marker': ISSUER.token({ claims: { ...ALL_CLAIMS, impersonator: { email: CANARY } } }),
  'with an actor that cannot be read': ISSUER.token({ claims: { ...ALL_CLAIMS, act: { sub: { [CANARY]: CANARY } } } }),
  'with an actor that is a text': ISSUER.token({ claims: { ...ALL_CLAIMS, act: CANARY } }),
  'with a payload that is a text': ISSUER.token({ payload: JSON.stringify(CANARY) }),
  'with a payload that is no JSON': ISSUER.token({ payload: `{"sub":"${CANARY}"` }),
  'with a member twice': ISSUER.token({ payload: `{"sub":"${CANARY}","sub":"${CANARY}"}` }),
  'of two parts': `${CANARY}.${CANARY}`,
  'of five parts': Array(5).fill(CANARY).join('.'),
  'of one part': CANARY.repeat(9),
  'that is too long': `${CANARY.repeat(2_000)}.${CANARY}.${CANARY}`,
}

/** Values of `Authorization` that are no token. */
const CREDENTIALS: Readonly<Record<string, string>> = {
  'a password': `Basic ${Buffer.from(`user:${CANARY}`).toString('base64')}`,
  'another scheme': `DPoP ${CANARY}`,
  'a scheme of its own': `${CANARY} ${CANARY}`,
  'two tokens': `Bearer ${CANARY}, Bearer ${CANARY}`,
  'a quote': `Bearer "${CANARY}"`,
  'no scheme': CANARY,
}

const TOKENS = [delegated, direct, stranger, bound, ...Object.values(UNVERIFIED)]
/** The signing key itself must stay outside too. */
const KEY_PARTS = formsOf(Buffer.from(SIGNING_KEY.export({ format: 'jwk' }).d ?? '', 'base64url').toString('latin1')).slice(1)
const PEM_PART = SIGNING_KEY.export({ type: 'pkcs8', format: 'pem' }).toString().split('\n')[1] ?? ''
const SECRETS = [...TOKENS.flatMap(partsOf), ...KEY_PARTS, PEM_PART].filter((part) => part !== '')

test('a secret is found in each of its forms', () => {
  for (const before of ['', 'x', 'xy', 'xyz']) {
    const text = `${before}${CANARY}${before}`
    for (const encoding of ['utf8', 'hex', 'base64', 'base64url'] as const)
      expect(leaksIn(Buffer.from(text).toString(encoding))).not.toEqual([])
  }
  expect(leaksIn(`"${CANARY.toUpperCase()}"`)).not.toEqual([])
  expect(leaksIn(delegated, SECRETS)).not.toEqual([])
  expect(leaksIn('a text without any')).toEqual([])
})

describe.each(DOORS)('$name', (framework) => {
  const start = (sink: AuditSink, more: Partial<ResourceServerOptions> = {}) =>
    startJournaledApi(framework, sink, {
      audit: { record: 'always', timeoutMilliseconds: 30_000 },
      server: {
        delegation: [{ id: 'agents', kind: 'delegation', actor: { profile: 'ai_agent' }, scopes: 'all', maxDepth: 3 }],
        ...more,
      },
      handle(call) {
        if (call.request.url?.startsWith('/throws')) throw Object.assign(new Error(CANARY), { status: 500, expose: true })
        if (!call.request.url?.startsWith('/never')) call.json({ secret: CANARY })
        return call.request.url?.startsWith('/never') ? new Promise(() => {}) : undefined
      },
    })

  test('calls of every kind, in the directory, in every mapping, in errors and warnings', async () => {
    const directory = newDirectory()
    const sink = newJournal(directory, {
      commitDeadlineMilliseconds: 20_000,
      maxSegmentBytes: 65_536,
      checkpointRecords: 5,
      refusalsPerSecond: 20,
      onCheckpoint: () => Promise.reject(new Error(CANARY)),
    })
    await sink.ready()
    const enforcing = await start(overheard(sink))
    for (const token of [delegated, direct, stranger, bound, ...Object.values(UNVERIFIED)]) await callAll(enforcing, token)
    for (const value of Object.values(CREDENTIALS)) await present(enforcing, value)
    await twice(enforcing)
    await leave(enforcing, delegated)
    await enforcing.close()
    const reporting = await start(overheard(sink), {
      mode: 'report',
      delegation: [{ id: 'agents', kind: 'delegation', actor: { profile: 'ai_agent' }, scopes: ['orders:write'], maxDepth: 3 }],
    })
    for (const token of [delegated, stranger]) await callAll(reporting, token)
    await reporting.close()
    await sink.flush()
    const forgery = eventsOf(directory).find(({ reason }) => reason === 'signature_invalid')
    for (let again = 0; again < 300; again++) void sink.write(forgery as AuditEvent) // as many as are not written any more
    await sink.flush()

    const events = eventsOf(directory)
    // What must be there is there: stages, decisions and results of all kinds, and the words of the caller.
    expect(new Set(events.map(({ stage }) => stage))).toEqual(
      new Set(['credentials', 'verify', 'bind', 'rules', 'requirement', 'response']),
    )
    expect(new Set(events.map(({ decision }) => decision))).toEqual(new Set(['allow', 'refuse', 'would_refuse']))
    expect(new Set(events.map(({ result }) => result))).toEqual(new Set([null, 'completed', 'failed', 'refused', 'aborted']))
    expect(new Set(events.map(({ reason }) => reason)).size).toBeGreaterThan(15)
    expect(
      events.filter(({ net }) => net.userAgent === WORDS.userAgent && net.forwarded === WORDS.forwarded).length,
    ).toBeGreaterThan(50)
    expect(bodiesOf(directory, 'refusals').length).toBeGreaterThan(0)
    expectSilence(directory, events)

    // A writer that ends in the middle of a record leaves torn bytes behind.
    await sink.close()
    const last =
      readdirSync(directory)
        .filter((name) => name.startsWith('journal-'))
        .sort()
        .at(-1) ?? ''
    appendFileSync(join(directory, last), `${'{"event":'}${JSON.stringify(events[0]).slice(0, -40)}`)
    const next = newJournal(directory)
    await next.ready()
    expect(readdirSync(directory).filter((name) => name.startsWith('torn-'))).toHaveLength(1)
    expect(readdirSync(directory)).toEqual(expect.arrayContaining(['lock', 'reserve']))
    expectSilence(directory, eventsOf(directory))
    await next.close()
    expectSilence(directory, eventsOf(directory))
  })

  test.each(['refuse', 'degrade'] as const)(
    'a disk that fails, with errors that tell everything (%s)',
    async (whenUnavailable) => {
      const directory = newDirectory()
      const disk = talkativeDisk()
      const sink = newJournal(directory, {
        createFile: disk.createFile,
        whenUnavailable,
        maxQueuedRecords: 8,
        commitDeadlineMilliseconds: 300,
        closeTimeoutMilliseconds: 50,
      })
      await sink.ready()
      const api = await start(overheard(sink))
      await callAll(api, delegated)
      for (const code of ['ENOSPC', 'EIO', CANARY]) {
        disk.code = code
        for (const token of [delegated, direct, stranger, UNVERIFIED['expired'] ?? '']) await callAll(api, token)
        expect(said.join()).toContain('BEHALF_JOURNAL_TROUBLE')
        disk.code = null
        await untilWriting(sink)
        expectSilence(directory, eventsOf(directory))
      }
      disk.code = 'EIO'
      await call(api, delegated, PATH)
      await sink.close().catch(hear)
      await call(api, delegated, PATH)
      await api.close()
      expect(said.length).toBeGreaterThan(3)
      expectSilence(directory, eventsOf(directory))
    },
  )
})

/** Waits until the journal has tried its disk again. */
async function untilWriting(sink: JournalSink): Promise<void> {
  while (sink.state !== 'writing' || sink.queuedRecords > 0) await new Promise((resolve) => setTimeout(resolve, 5))
}

/** A call to each route. */
async function callAll(api: JournaledApi, token: string): Promise<void> {
  for (const path of [PATH, `/orders?token=${CANARY}`, `/direct-only?token=${CANARY}`, `/throws/${CANARY}`])
    await call(api, token, path)
}

async function call(api: JournaledApi, token: string, path: string): Promise<void> {
  const words = [
    ['X-Forwarded-For', WORDS.forwarded],
    ['User-Agent', WORDS.userAgent],
  ] as const
  await api.call(null, 'request-1', {
    method: path === PATH ? 'POST' : 'GET',
    path,
    body: BODY,
    headers: [bearer(token), ...words, ...HEADERS],
  })
}

/** A call with a field `Authorization` of its own. */
async function present(api: JournaledApi, authorization: string): Promise<void> {
  await api.call(null, 'request-1', { path: PATH, headers: [['Authorization', authorization], ...HEADERS] })
}

async function twice({ port }: JournaledApi): Promise<void> {
  const lines = [delegated, direct].map((token) => `Authorization: Bearer ${token}\r\n`).join('')
  await askRaw(port, `GET ${PATH} HTTP/1.1\r\nHost: api\r\nConnection: close\r\n${lines}\r\n`)
}

/** A client that goes away while it sends its body. */
async function leave({ port, ran }: JournaledApi, token: string): Promise<void> {
  const known = ran.length
  const headers = { authorization: `Bearer ${token}`, 'content-length': 1_000_000 }
  const sent = request({ host: '127.0.0.1', port, path: `/never/${CANARY}`, method: 'POST', headers, agent: false })
  sent.on('error', () => {})
  sent.write(CANARY)
  while (ran.length === known) await new Promise((resolve) => setImmediate(resolve))
  sent.destroy()
}

/** No file, mapping, error or warning holds the canary, a part of a token, or the signing key. */
function expectSilence(directory: string, events: readonly AuditEvent[]): void {
  const texts = new Map(filesIn(directory))
  for (const [name, text] of mapped(events)) texts.set(name, text)
  texts.set('what was said', said.join('\n'))
  texts.set('the names of the files', readdirSync(directory).join('\n'))
  const leaks = [...texts]
    .map(([where, text]) => ({ where, leaks: leaksIn(text, SECRETS) }))
    .filter((each) => each.leaks.length > 0)
  expect(leaks).toEqual([])
}

/** The events in every schema there is. */
function mapped(events: readonly AuditEvent[]): readonly (readonly [string, string])[] {
  const { toCloudEvent, toCsvRow, toEcs, toOcsf, toOcsfImpersonation, toOtelLogRecord, toOtlpJson } = mappings
  const made: Readonly<Record<string, (event: AuditEvent) => unknown>> = {
    toCloudEvent: (event) => toCloudEvent(event, { source: 'https://api.example.test' }),
    toCsvRow,
    toEcs,
    toOcsf: (event) => toOcsf(event),
    toOcsfImpersonation: (event) => toOcsfImpersonation(event),
    toOtelLogRecord,
    toOtlpJson: (event) => toOtlpJson([event]),
  }
  const known = Object.keys(mappings).filter((name) => name.startsWith('to'))
  expect(Object.keys(made).sort()).toEqual(known.sort()) // a new mapping is looked at here too
  return Object.entries(made).map(([name, map]) => [name, events.map((event) => JSON.stringify(map(event))).join('\n')])
}

/** Files that fail with errors that hold what was to be written, and secrets of their own. */
function talkativeDisk(): { code: string | null; readonly createFile: CreateFile } {
  const disk = {
    code: null as string | null,
    createFile: (async (path) => {
      check(path)
      const file = await createSystemFile(path)
      return {
        async write(bytes) {
          check(Buffer.from(bytes).toString('utf8'))
          await file.write(bytes)
        },
        async sync() {
          check(path)
          await file.sync()
        },
        truncate: (bytes) => file.truncate(bytes),
        close: () => file.close(),
      }
    }) satisfies CreateFile,
  }
  function check(what: string): void {
    if (disk.code === null) return
    throw Object.assign(new Error(`${CANARY}: ${what}`), {
      code: disk.code,
      path: CANARY,
      token: delegated,
      cause: new Error(CANARY),
    })
  }
  return disk
}
