import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { csvHeader, toCloudEvent, toCsvRow, toEcs, toOcsf, toOtlpJson } from '@behalf/core/mappings'
import { describe, expect, it } from 'vitest'
import { HOSTILE, isHarmless } from './support/hostile.js'
import { at, event, JOURNAL_ID, newDirectory, party, type Written, writtenJournal } from './support/journals.js'
import { closingAfter, type Ran, runCommand, type World } from './support/run-command.js'

const exportOf = (directory: string, args: readonly string[], world: World = {}): Promise<Ran> =>
  runCommand(['audit', 'export', directory, ...args], world)

const EVENTS = [
  event('support-1', 'user-1', { time: at(7200) }),
  event('agent-7', 'user-2', { kind: 'delegation', time: at(60) }),
  event(null, 'user-3'),
]
const sample = () => writtenJournal(EVENTS.map((each) => ['event', each] as const))
const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value))

describe('every format', () => {
  it.each<[string, string[], unknown[]]>([
    ['ocsf', [], EVENTS.map((each) => toOcsf(each))],
    ['ocsf', ['--service', 'orders'], EVENTS.map((each) => toOcsf(each, { service: 'orders' }))],
    ['ecs', [], EVENTS.map((each) => toEcs(each))],
    ['cloudevents', [], EVENTS.map((each) => toCloudEvent(each, { source: `urn:behalf:journal:${JOURNAL_ID}` }))],
    [
      'cloudevents',
      ['--source', 'urn:example:orders'],
      EVENTS.map((each) => toCloudEvent(each, { source: 'urn:example:orders' })),
    ],
    ['otlp-json', [], [toOtlpJson(EVENTS)]],
    ['otlp-json', ['--service', 'orders'], [toOtlpJson(EVENTS, { resource: { 'service.name': 'orders' } })]],
  ])('%s %j is what the mapping says, one a line', async (format, args, expected) => {
    const { code, lines, err } = await exportOf(sample(), ['--format', format, ...args])
    expect(lines.map((line) => JSON.parse(line) as unknown)).toEqual(plain(expected))
    expect({ code, err }).toEqual({ code: 0, err: '' })
  })

  it('csv has a header, and lines that end as RFC 4180 says', async () => {
    const { out } = await exportOf(sample(), ['--format', 'csv'])
    expect(out).toBe([csvHeader(), ...EVENTS.map(toCsvRow)].map((line) => `${line}\r\n`).join(''))
  })

  it.each(['ocsf', 'ecs', 'cloudevents', 'otlp-json', 'csv'])(
    '%s takes a record of schema 1.0, as older journals hold them',
    async (format) => {
      const { consent: _consent, ...rest } = event('agent-7', 'user-1')
      const older = writtenJournal([['event', { ...rest, v: '1.0' }]])
      const { code, out, err } = await exportOf(older, ['--format', format])
      expect({ code, err }).toEqual({ code: 0, err: '' })
      expect(out).toContain('1.0')
      expect(out).toContain(rest.id)
    },
  )

  it('a cell that a spreadsheet would run is defused', async () => {
    const { lines } = await exportOf(writtenJournal([['event', event('=cmd|calc', 'user-1')]]), ['--format', 'csv'])
    expect(lines[1]).toContain(`"'=cmd|calc"`)
  })

  it('otlp-json gathers a hundred events in a request', async () => {
    const many = Array.from({ length: 250 }, (_, index) => ['event', event('a', `user-${index}`)] as const)
    const { lines } = await exportOf(writtenJournal(many), ['--format', 'otlp-json'])
    const counts = lines.map((line) => {
      const { resourceLogs } = JSON.parse(line) as { resourceLogs: { scopeLogs: { logRecords: unknown[] }[] }[] }
      return resourceLogs.flatMap((each) => each.scopeLogs).flatMap((each) => each.logRecords).length
    })
    expect(counts).toEqual([100, 100, 50])
  })

  it('is cut to what is recent', async () => {
    expect((await exportOf(sample(), ['--format', 'ecs', '--since', '1h'])).lines).toHaveLength(2)
    expect((await exportOf(sample(), ['--format', 'csv', '--since', '2026-09-22'])).lines).toHaveLength(1)
  })

  it('says what it had to leave out', async () => {
    const notes: Written[] = [
      ['gap', { decisions: 2, from: at(1), outcomes: 0, reason: 'late', refusals: 0, to: at(1) }],
      ['refusals', { actor: party('bot'), count: 3, from: at(1), issuer: null, reasons: {}, to: at(1) }],
      ['refusals', { actor: null, count: 3, from: at(1), issuer: null, reasons: {}, to: at(1) }],
      ['end', { time: at(0) }],
    ]
    const { lines, err, code } = await exportOf(writtenJournal([['event', EVENTS[0]], ...notes]), ['--format', 'ecs'])
    expect(lines).toHaveLength(1)
    expect(err).toBe('behalf: left out, since ecs has no place for them: 1 record of kind gap, 2 records of kind refusals\n')
    expect(code).toBe(0)
  })
})

describe('where it goes', () => {
  it('a new file, for its owner alone', async () => {
    const file = join(newDirectory(), 'audit.ndjson')
    const { code, out } = await exportOf(sample(), ['--format', 'ecs', '--out', file])
    expect({ code, out }).toEqual({ code: 0, out: '' })
    expect(
      readFileSync(file, 'utf8')
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as unknown),
    ).toEqual(plain(EVENTS.map((each) => toEcs(each))))
    expect(statSync(file).mode & 0o777).toBe(0o600)
    const again = await exportOf(sample(), ['--format', 'ecs', '--out', file])
    expect(again).toMatchObject({ code: 74, err: `behalf: cannot write the export to ${file}: it exists already\n` })
  })

  it('no file at all where it could not be written whole', async () => {
    const directory = sample()
    const journal = join(directory, 'journal-0000000000000000.jsonl')
    writeFileSync(journal, readFileSync(journal, 'utf8').replace('"user-3"', '"user-9"'))
    const file = join(newDirectory(), 'audit.csv')
    expect((await exportOf(directory, ['--format', 'csv', '--out', file])).code).toBe(74)
    expect(existsSync(file)).toBe(false)
    const ended = AbortSignal.abort('SIGTERM')
    expect((await exportOf(sample(), ['--format', 'csv', '--out', file], { signal: ended })).code).toBe(143)
    expect(existsSync(file)).toBe(false)
  })

  it('a reader that goes away ends it quietly', async () => {
    const many = Array.from({ length: 5000 }, () => ['event', EVENTS[0]] as const)
    const { stream } = closingAfter(1)
    expect(await exportOf(writtenJournal(many), ['--format', 'ecs'], { stdout: stream })).toMatchObject({ code: 0, err: '' })
  })
})

describe('hostile records', () => {
  it.each(HOSTILE.map((text) => [JSON.stringify(text), text]))('%s stays data', async (_, text) => {
    const directory = writtenJournal([['event', event(text, text, { rule: text, tenant: text })]])
    for (const format of ['ocsf', 'ecs', 'cloudevents', 'otlp-json']) {
      const { lines, code } = await exportOf(directory, ['--format', format])
      expect(lines).toHaveLength(1)
      expect(lines.every((line) => isHarmless(line))).toBe(true)
      expect(code).toBe(0)
    }
    const { lines } = await exportOf(directory, ['--format', 'csv'], { tty: true })
    expect(lines.every((line) => isHarmless(line))).toBe(true)
  })

  it.each<[string, unknown]>([
    ['an empty body', {}],
    ['a list', { list: [] }],
    ['an event without a part', { ...event('a', 'b'), http: null }],
  ])('%s is no event: said to be none, or exported as far as it goes', async (_, body) => {
    const codes: number[] = []
    for (const format of ['ocsf', 'ecs', 'cloudevents', 'otlp-json', 'csv']) {
      const { code, err } = await exportOf(writtenJournal([['event', body]]), ['--format', format])
      codes.push(code)
      expect(err).toMatch(
        code === 0 ? /^$/ : /^behalf: record 1, or one shortly before it, holds no event of the native schema: [^\n]+\n$/,
      )
    }
    expect(new Set([...codes, 0, 74])).toEqual(new Set([0, 74]))
    expect(codes).toContain(74)
  })
})

describe('mistakes', () => {
  it.each<[string, string[], number, string]>([
    ['no format', [], 64, "required option '--format <name>' not specified"],
    ['an unknown one', ['--format', 'xml'], 64, 'Allowed choices are ocsf, ecs, cloudevents, otlp-json, csv'],
    ['a source that is none', ['--format', 'cloudevents', '--source', 'two words'], 64, 'source'],
    [
      'a directory that is not there to write to',
      ['--format', 'csv', '--out', '/nonexistent/x.csv'],
      74,
      'no such file or directory',
    ],
  ])('%s', async (_, args, exit, message) => {
    const { code, err } = await exportOf(sample(), args)
    expect(err).toMatch(/^behalf: [^\n]+\n$/)
    expect(err).toContain(message)
    expect(code).toBe(exit)
  })
})
