import { appendFileSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { testEvent } from '@behalf/testing'
import { describe, expect, it } from 'vitest'
import { run } from '../src/run.js'
import { textWidth } from '../src/text/text-width.js'
import { HOSTILE, isHarmless } from './support/hostile.js'
import { at, event, JOURNAL_ID, newDirectory, party, realJournal, type Written, writtenJournal } from './support/journals.js'
import { closingAfter, createWorld, type Ran, runCommand, type World } from './support/run-command.js'

const show = (directory: string, args: readonly string[] = [], world: World = {}): Promise<Ran> =>
  runCommand(['audit', 'show', directory, ...args], world)

const NOTES: readonly Written[] = [
  ['gap', { decisions: 2, from: at(90), outcomes: 1, reason: 'queue_full', refusals: 0, to: at(80) }],
  ['failure', { code: 'ENOSPC', message: 'a write failed', time: at(70) }],
  [
    'recovery',
    {
      closed: 1,
      cut: { bytes: 17, durable: 0, file: null, segment: 'journal-0000000000000000.jsonl', sha256: 'x' },
      time: at(60),
    },
  ],
  [
    'refusals',
    {
      actor: party('bot-1'),
      count: 120,
      from: at(50),
      issuer: 'https://as.example.test',
      reasons: { token_expired: 100, actor_unauthorized: 20 },
      to: at(40),
    },
  ],
  ['retention', { removed: { from: 0, segments: 1, through: 41 }, time: at(30) }],
  ['checkpoint', `orders.example/audit\n7\nAAAA\nrange 0 7\nhead x\njournal ${JOURNAL_ID}\ntime ${at(20)}\n`],
  ['end', { time: at(10) }],
]

function sample(): string {
  const allowed = event('support-1', 'user-1', { time: at(7200) })
  return writtenJournal([
    ['event', allowed],
    [
      'event',
      {
        ...allowed,
        id: testEvent().id,
        type: 'access.outcome',
        stage: 'response',
        time: at(7199),
        result: 'completed',
        http: { ...allowed.http, route: '/orders/:id', status: 200 },
      },
    ],
    [
      'event',
      event('agent-7', 'user-2', {
        kind: 'delegation',
        chain: [party('agent-7'), party('svc-2')],
        time: at(3600),
        decision: 'refuse',
        reason: 'scope_not_delegated',
        rule: 'agents',
        http: { ...allowed.http, status: 403 },
      }),
    ],
    ['event', event(null, 'user-3', { time: at(60) })],
    [
      'event',
      event('support-1', 'user-4', { time: at(30), decision: 'would_refuse', reason: 'method_not_delegated', rule: null }),
    ],
    [
      'event',
      event(null, 'nobody', {
        time: at(20),
        kind: null,
        subject: null,
        decision: 'refuse',
        reason: 'token_expired',
        rule: null,
        stage: 'verify',
      }),
    ],
    ...NOTES,
  ])
}

describe('who acted as whom', () => {
  it('is one line a record, whole where nobody looks', async () => {
    const { code, lines, err } = await show(sample())
    expect(err).toBe('')
    expect(code).toBe(0)
    expect(lines.map((line) => line.trim().split(/ {2,}/)).slice(0, 6)).toEqual([
      [at(7200), 'allow', 'support-1', 'impersonation', 'user-1', 'GET /orders', 'support-looks'],
      [at(7199), '-> completed', 'support-1', 'impersonation', 'user-1', '200 GET /orders/:id', 'support-looks'],
      [at(3600), 'refuse', 'agent-7', 'delegation 2', 'user-2', '403 GET /orders', 'scope_not_delegated (rule agents)'],
      [at(60), 'allow', '-', 'direct', 'user-3', 'GET /orders', 'support-looks'],
      [at(30), 'would_refuse', 'support-1', 'impersonation', 'user-4', 'GET /orders', 'method_not_delegated'],
      [at(20), 'refuse', '-', '-', '-', 'GET /orders', 'token_expired'],
    ])
  })

  it('has notes between the lines where the journal speaks of itself', async () => {
    const { lines } = await show(sample())
    expect(lines.slice(6)).toEqual([
      `${at(80)}  gap: 2 decisions, 1 outcome and 0 refusals are not in this journal (queue_full), from ${at(90)} to ${at(80)}`,
      `${at(70)}  failure: a write or sync failed (ENOSPC); the journal goes on here`,
      `${at(60)}  recovery: 17 bytes were cut off the end of journal-0000000000000000.jsonl; 1 decision closed as unknown`,
      `${at(40)}  refusals: 120 more of bot-1 at https://as.example.test, from ${at(50)} to ${at(40)}: token_expired 100, actor_unauthorized 20`,
      `${at(30)}  retention: records 0 to 41 were removed on purpose (1 segment)`,
    ])
  })

  it('has its book-keeping too, where that is asked for', async () => {
    const { lines } = await show(sample(), ['--all'])
    expect(lines).toHaveLength(6 + 7 + 1)
    expect(lines[0]).toBe(`${at(0)}  segment: begins here, of journal ${JOURNAL_ID}`)
    expect(lines.at(-2)).toBe(`${at(20)}  checkpoint: orders.example/audit 7 AAAA`)
    expect(lines.at(-1)).toBe(`${at(10)}  end: the writer ended as it should`)
  })

  it.each<[string[], number, string[]]>([
    [['--actor', 'support-1'], 3, ['support-1']],
    [['--actor', 'support'], 0, []],
    [['--subject', 'user-2'], 1, ['agent-7']],
    [['--kind', 'direct'], 1, ['user-3']],
    [['--refused'], 2, ['scope_not_delegated', 'token_expired']],
    [['--refused', '--actor', 'agent-7'], 1, ['scope_not_delegated']],
    [['--since', '1h'], 4, ['agent-7']],
    [['--since', '59m'], 3, ['user-3']],
    [['--since', at(30)], 2, ['user-4']],
  ])('%j', async (args, events, texts) => {
    const { lines, code } = await show(sample(), args)
    const found = lines.filter((line) => !/ (?:gap|failure|recovery|refusals|retention): /.test(line))
    expect(found).toHaveLength(events)
    for (const text of texts) expect(found.join('\n')).toContain(text)
    expect(code).toBe(0)
  })

  it('keeps gaps under every filter, and a summary of refusals only where it can be meant', async () => {
    const byOther = (await show(sample(), ['--actor', 'support-1'])).out
    expect(byOther).toContain('gap: ')
    expect(byOther).not.toContain('refusals: 120')
    expect((await show(sample(), ['--actor', 'bot-1'])).out).toContain('refusals: 120 more of bot-1')
    expect((await show(sample(), ['--since', '85s'])).out).toContain('gap: ')
    expect((await show(sample(), ['--since', '75s'])).out).not.toContain('gap: ')
  })

  it('is the last so many records', async () => {
    const { lines } = await show(sample(), ['-n', '2'])
    expect(lines.map((line) => line.slice(26).split(':')[0])).toEqual(['refusals', 'retention'])
    expect((await show(sample(), ['-n', '1000'])).lines).toHaveLength(11)
    expect((await show(sample(), ['-n', '3', '--kind', 'direct'])).lines[0]).toContain('recovery')
  })
})

describe('over several segments', () => {
  it('the last so many are the same as the end of all, wherever they stand', async () => {
    const { directory } = await realJournal(60, { maxSegmentBytes: 20_000 })
    expect(readdirSync(directory).filter((name) => name.startsWith('journal-')).length).toBeGreaterThan(3)
    for (const filter of [[], ['--actor', 'agent-3'], ['--actor', 'nobody'], ['--all']]) {
      const all = (await show(directory, ['--json', ...filter])).lines
      for (const count of [1, 7, 40, 119, 1000]) {
        expect((await show(directory, ['--json', ...filter, '-n', String(count)])).lines).toEqual(all.slice(-count))
      }
    }
  })

  it('a reader that goes away in the first one ends it quietly', async () => {
    const { directory } = await realJournal(60, { maxSegmentBytes: 40_000 })
    const { stream } = closingAfter(1)
    expect(await show(directory, ['--json'], { stdout: stream })).toMatchObject({ code: 0, err: '' })
  })
})

describe('JSON', () => {
  it('is the journal’s own records, one a line, value for value', async () => {
    const directory = sample()
    const written = readFileSync(join(directory, 'journal-0000000000000000.jsonl'), 'utf8').trim().split('\n')
    const { lines } = await show(directory, ['--json', '--all'])
    expect(lines.map((line) => JSON.parse(line) as unknown)).toEqual(written.map((line) => JSON.parse(line) as unknown))
    expect(lines).toEqual(written) // nothing in it needs an escape
  })

  it('has no header and no colours on a terminal', async () => {
    const { lines } = await show(sample(), ['--json'], { tty: true, columns: 100 })
    expect(lines.every((line) => line.startsWith('{') && isHarmless(line))).toBe(true)
  })
})

describe('on a terminal', () => {
  const SGR = new RegExp(`${String.fromCharCode(27)}\\[\\d+m`, 'g')

  it.each([60, 80, 100, 119, 120, 160, 300])(
    'of %i columns no line is wider, and the header stands above its columns',
    async (columns) => {
      const directory = writtenJournal([
        [
          'event',
          event('supporter-with-a-very-long-name@example.com', '名前'.repeat(40), {
            http: { method: 'DELETE', route: `/a/${'long/'.repeat(60)}`, status: 200, durationMilliseconds: 1 },
          }),
        ],
        ['event', event('a', 'b', { rule: 'r'.repeat(300) })],
        ...NOTES,
      ])
      const { lines, out } = await show(directory, [], { tty: true, columns })
      const plain = lines.map((line) => line.replace(SGR, ''))
      expect(Math.max(...plain.map(textWidth))).toBeLessThanOrEqual(Math.max(columns, 72))
      expect(plain[0]).toMatch(/^TIME +WHAT +ACTOR +KIND +SUBJECT +CALL +(?:RULE OR )?REASON$/)
      expect(plain[2]?.charAt(plain[0]?.indexOf('ACTOR') ?? 0)).toBe('a')
      expect(plain[2]?.charAt(plain[0]?.indexOf('SUBJECT') ?? 0)).toBe('b')
      expect(out).toContain('…')
    },
  )

  it.each<[string, World, boolean]>([
    ['by itself', { tty: true }, true],
    ['not with NO_COLOR', { tty: true, env: { NO_COLOR: '1' } }, false],
    ['not into a pipe', {}, false],
    ['into a pipe with FORCE_COLOR', { env: { FORCE_COLOR: '1' } }, true],
  ])('colours stand %s', async (_, world, coloured) => {
    const { out } = await show(sample(), [], { columns: 120, ...world })
    expect(out.includes('\u001b[32mallow')).toBe(coloured)
    expect(out.includes('\u001b[31mrefuse')).toBe(coloured)
  })
})

describe('hostile records', () => {
  const everywhere = (text: string): Written[] => [
    [
      'event',
      event(text, text, {
        rule: text,
        chain: [party(text), party(text)],
        http: { method: text, route: text, status: 200, durationMilliseconds: null },
      } as never),
    ],
    [
      'event',
      {
        [text]: text,
        time: text,
        type: text,
        decision: text,
        kind: text,
        reason: text,
        actor: { id: text },
        subject: text,
        http: text,
        chain: text,
      },
    ],
    ['gap', { decisions: text, from: text, outcomes: text, reason: text, refusals: text, to: text }],
    ['failure', { code: text, message: text, time: text }],
    ['recovery', { closed: text, cut: { bytes: 1, segment: text, durable: 1 }, time: text }],
    ['refusals', { actor: party(text), count: text, from: text, issuer: text, reasons: { [text]: text }, to: text }],
    ['retention', { removed: { from: text, through: text, segments: text }, time: text }],
    ['checkpoint', text],
    ['end', { time: text }],
  ]

  it.each(HOSTILE.map((text) => [JSON.stringify(text), text]))(
    '%s writes nothing to a terminal, and gets no line of its own',
    async (_, text) => {
      const records = everywhere(text)
      const directory = writtenJournal(records)
      const worlds: readonly [string[], World][] = [
        [[], {}],
        [['--json'], {}],
        [[], { tty: true, columns: 100 }],
        [[], { tty: true, columns: 240 }],
        [['--json'], { tty: true, columns: 100 }],
      ]
      for (const [args, world] of worlds) {
        const { lines, code, err } = await show(directory, [...args, '--all'], world)
        expect(lines.filter((line) => !isHarmless(line, world.tty === true && args.length === 0))).toEqual([])
        expect(lines).toHaveLength(records.length + 1 + (world.tty === true && args.length === 0 ? 1 : 0))
        expect({ code, err }).toEqual({ code: 0, err: '' })
      }
    },
  )

  it.each<[string, unknown]>([
    ['an empty body', {}],
    [
      'members of other types',
      { time: 7, type: [], decision: {}, actor: 'x', subject: [], chain: {}, http: null, kind: false, rule: 9 },
    ],
    ['a member named __proto__', JSON.parse('{"__proto__":{"decision":"allow"},"time":"x"}')],
  ])('%s is shown as it can be', async (_, body) => {
    const { lines, code } = await show(
      writtenJournal([['event', body], ...NOTES.map(([kind]) => [kind, kind === 'checkpoint' ? 'x' : {}] as const)]),
      ['--all'],
    )
    expect(lines).toHaveLength(2 + NOTES.length)
    expect(lines[1]).not.toContain('allow')
    expect(code).toBe(0)
  })

  it('an id that looks like words of ours stands in quotes', async () => {
    const { lines } = await show(
      writtenJournal([
        ['event', event('-', '(not named)')],
        ['event', event('a  allow', 'x  y')],
      ]),
    )
    expect(lines[0]).toContain('"-"')
    expect(lines[0]).toContain('"(not named)"')
    expect(lines[1]).toContain('a \\u{20}allow')
  })

  it('text from right to left does not move its neighbours', async () => {
    const { lines } = await show(writtenJournal([['event', event('שרה', 'דוד 12')]]))
    expect(lines[0]).toContain('\u2068שרה\u2069')
    expect(lines[0]).toContain('\u2068דוד 12\u2069')
  })
})

describe('much of it', () => {
  it('is read and written as fast as it is taken, in bounded memory', async () => {
    const records = 20_000
    const one = event('agent-1', 'user-1', {
      net: { peer: '10.0.0.1', forwarded: 'x'.repeat(200), userAgent: 'y'.repeat(200), callerRequestId: null },
    })
    const directory = newDirectory()
    writtenJournal(repeated(['event', one], records), directory)
    let taken = 0
    let most = 0
    const { Writable } = await import('node:stream')
    const slow = new Writable({
      highWaterMark: 16 * 1024,
      write(chunk: Buffer, _encoding, done) {
        taken += chunk.length
        most = Math.max(most, slow.writableLength)
        setImmediate(done)
      },
    })
    const { code } = await show(directory, ['--json'], { stdout: slow })
    expect(code).toBe(0)
    expect(taken).toBeGreaterThan(records * 1200)
    expect(most).toBeLessThan(64 * 1024) // never more than a chunk waits
  })

  it('ends quietly when nobody reads any more', async () => {
    const directory = writtenJournal(repeated(['event', event('a', 'b')], 20_000))
    const { stream, taken } = closingAfter(1000)
    const { code, err } = await show(directory, [], { stdout: stream })
    expect({ code, err }).toEqual({ code: 0, err: '' })
    expect(taken()).toBeLessThan(100_000)
  })
})

function* repeated(record: Written, times: number): Iterable<Written> {
  for (let time = 0; time < times; time++) yield record
}

describe('following', () => {
  it('shows the last ten, then what comes, until it is asked to end', async () => {
    const { directory } = await realJournal(20)
    const source = readFileSync(join(directory, 'journal-0000000000000000.jsonl'), 'utf8').split('\n').slice(0, -1)
    const growing = mkdtempSync(join(tmpdir(), 'behalf-cli-'))
    const file = join(growing, 'journal-0000000000000000.jsonl')
    const isEvent = (line: string) => line.startsWith('{"event"')
    const before = source.slice(0, 25)
    writeFileSync(file, before.map((line) => `${line}\n`).join(''))
    const ending = new AbortController()
    const { terminal, texts } = createWorld({ signal: ending.signal })
    const ended = run(['audit', 'show', growing, '-f', '--json'], terminal)
    const lines = () =>
      texts()
        .out.trim()
        .split('\n')
        .filter((line) => line !== '')
    await until(() => lines().length === 10)
    expect(lines()).toEqual(before.filter(isEvent).slice(-10))
    appendFileSync(
      file,
      source
        .slice(25)
        .map((line) => `${line}\n`)
        .join(''),
    )
    const all = source.filter(isEvent)
    await until(() => lines().length === 10 + all.length - before.filter(isEvent).length)
    expect(lines()).toEqual(all.slice(-lines().length))
    ending.abort('SIGINT')
    expect(await ended).toBe(0)
  })

  it('ends when its reader goes away', async () => {
    const directory = writtenJournal([
      ['event', event('a', 'b')],
      ['event', event('c', 'd')],
    ])
    const { stream } = closingAfter(0)
    expect((await show(directory, ['-f'], { stdout: stream })).code).toBe(0)
  })
})

/** Waits for something that another part of this process does; the test's own time limit ends it. */
async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setImmediate(resolve))
}

describe('mistakes', () => {
  it.each<[string, (directory: string) => string[], number, string]>([
    ['no directory', () => ['/nonexistent'], 74, 'cannot read the journal /nonexistent: no such file or directory'],
    ['a directory without a journal', () => [newDirectory()], 74, 'holds no journal'],
    ['a time that is none', (directory) => [directory, '--since', 'tomorrow'], 64, '--since must be an age'],
    [
      'a kind that is none',
      (directory) => [directory, '--kind', 'agent'],
      64,
      'Allowed choices are direct, impersonation, delegation',
    ],
    ['a limit that is none', (directory) => [directory, '-n', '0'], 64, 'It must be a whole number from 1 to 1000000'],
    ['nothing', () => [], 64, "missing required argument 'dir'"],
  ])('%s', async (_, args, exit, message) => {
    const { code, err, out } = await runCommand(['audit', 'show', ...args(sample())])
    expect(err).toMatch(/^behalf: [^\n]+\n$/)
    expect(err).toContain(message)
    expect(out).toBe('')
    expect(code).toBe(exit)
  })

  it('a record that is none ends it with the way on', async () => {
    const directory = sample()
    const file = join(directory, 'journal-0000000000000000.jsonl')
    writeFileSync(file, readFileSync(file, 'utf8').replace('"user-2"', '"user-9"'))
    const { code, err, lines } = await show(directory)
    expect(lines).toHaveLength(2)
    expect(err).toMatch(/^behalf: .*; 'behalf audit verify .*' says more\n$/)
    expect(code).toBe(74)
  })
})
