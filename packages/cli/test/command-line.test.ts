import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import { describe, expect, it } from 'vitest'
import { EXIT } from '../src/exit-codes.js'
import { escapeText } from '../src/text/escape-text.js'
import { HOSTILE, isHarmless } from './support/hostile.js'
import { newDirectory } from './support/journals.js'
import { runCommand } from './support/run-command.js'

describe('help', () => {
  it('says what there is', async () => {
    const { code, lines, err } = await runCommand(['--help'], { columns: 100 })
    expect(lines[0]).toBe('Usage: behalf [options] [command]')
    for (const line of [
      '  inspect [options]  Says what a token says: who calls, on whose behalf, and why it would be',
      '  audit              Works on an audit journal, a directory that journalSink() writes.',
    ])
      expect(lines).toContain(line)
    expect(lines.join('\n')).toContain('Exit codes: 0 good, 1 tampered or refused, 2 incomplete, 3 not authenticated')
    expect({ code, err }).toEqual({ code: 0, err: '' })
  })

  it.each<[string[], string[]]>([
    [
      ['audit'],
      [
        'verify [options] <dir>',
        'show [options] <dir>',
        'export [options] <dir>',
        'ship [options] <dir>',
        'checkpoint <dir>',
        'key [options] <file>',
      ],
    ],
    [
      ['inspect'],
      [
        '--preset <name>',
        '"oauth", "curity", "descope", "asgardeo", "custom"',
        '--issuer <url>',
        '--audience <name>',
        '--no-audience',
        '--client-id <id>',
        '--organization <name>',
        '--project-id <id>',
        '--act-as',
        '--jwks <file-or-url>',
        '--options <file>',
        '--offline',
        '--clock-tolerance <seconds>',
        '--json',
        'Exit codes: 0 verified; 1',
        '$ behalf inspect < token.txt',
      ],
    ],
    [
      ['audit', 'verify'],
      [
        '--key <file>',
        '--checkpoint <file>',
        '--live',
        '--json',
        'Exit codes: 0 good; 1 tampered; 2 incomplete; 3 consistent',
        '$ behalf audit verify',
      ],
    ],
    [
      ['audit', 'show'],
      [
        '--actor <id>',
        '--subject <id>',
        '--kind <kind>',
        '--since <time>',
        '--refused',
        '--all',
        '-n, --limit <records>',
        '--json',
        '-f, --follow',
        '$ behalf audit show',
      ],
    ],
    [
      ['audit', 'export'],
      [
        '--format <name>',
        '"ocsf", "ecs", "cloudevents", "otlp-json", "csv"',
        '--since <time>',
        '--out <file>',
        '--source <uri>',
        '--service <name>',
        '$ behalf audit export',
      ],
    ],
    [
      ['audit', 'ship'],
      [
        '--to <url>',
        '--to-file <file>',
        '--once',
        '--cursor <file>',
        '--subject <subject>',
        '--table <name>',
        '--migrate',
        '--token-file <file>',
        '--credentials-file <file>',
        '--ca <file>',
        '--batch <records>',
        '--metrics <port-or-file>',
        'BEHALF_SHIP_TO',
        'BEHALF_SHIP_TOKEN',
        '$ behalf audit ship',
      ],
    ],
    [
      ['audit', 'checkpoint'],
      ['Exit codes: 0 printed', '$ behalf audit checkpoint'],
    ],
    [
      ['audit', 'key'],
      ['--name <name>', '--public', '$ behalf audit key'],
    ],
  ])('of %j names its options and shows examples', async (command, texts) => {
    const { code, out, lines } = await runCommand([...command, '--help'], { columns: 100 })
    const folded = out.replace(/\s+/g, ' ')
    for (const text of texts) expect(folded).toContain(text)
    expect(lines.filter((line) => line.length > 100 && !line.startsWith('  $'))).toEqual([])
    expect(code).toBe(0)
    const parent = command.slice(0, -1)
    expect((await runCommand([...parent, 'help', ...command.slice(-1)], { columns: 100 })).out).toBe(out)
  })

  it('of nothing stands on standard error', async () => {
    for (const command of [[], ['audit']]) {
      const { code, out, err } = await runCommand(command)
      expect(err).toMatch(/^Usage: behalf/)
      expect({ code, out }).toEqual({ code: 64, out: '' })
    }
  })

  it('knows its version', async () => {
    expect((await runCommand(['--version'])).out).toMatch(/^\d+\.\d+\.\d+\n$/)
  })
})

describe('mistakes', () => {
  it.each<[string[], string]>([
    [['inpect'], "behalf: unknown command 'inpect' (Did you mean inspect?); see behalf --help\n"],
    [['audit', 'verfy', 'x'], "behalf: unknown command 'verfy' (Did you mean verify?); see behalf --help\n"],
    [['audit', 'show', '.', '--acter', 'x'], "behalf: unknown option '--acter' (Did you mean --actor?); see behalf --help\n"],
    [['audit', 'verify'], "behalf: missing required argument 'dir'; see behalf --help\n"],
    [
      ['audit', 'verify', 'a', 'b'],
      "behalf: too many arguments for 'verify'. Expected 1 argument but got 2; see behalf --help\n",
    ],
    [['audit', 'show', '.', '--since'], "behalf: option '--since <time>' argument missing; see behalf --help\n"],
  ])('%j', async (args, message) => {
    expect(await runCommand(args)).toMatchObject({ code: 64, out: '', err: message })
  })

  const TYPED = HOSTILE.filter((text) => !text.includes('\0')) // which no argument can hold

  it.each(TYPED.map((text) => [JSON.stringify(text), text]))('what was typed is told harmlessly: %s', async (_, text) => {
    for (const args of [
      [text],
      ['audit', text],
      ['audit', 'show', `/nonexistent/${text}`],
      ['audit', 'show', '.', `--${text}`],
      ['audit', 'show', '.', '--since', text],
    ]) {
      const { code, err } = await runCommand(args)
      expect(err.endsWith('\n') && isHarmless(err.slice(0, -1))).toBe(true)
      expect([EXIT.usage, EXIT.io]).toContain(code)
    }
  })
})

describe('the end', () => {
  it('a defect is told as one, with where it happened and where to report it', async () => {
    const broken = new Writable({
      write() {
        throw new TypeError('\u001b[2J of ours')
      },
    })
    const { code, err } = await runCommand(['inspect'], { input: 'x.y.z', stdout: broken })
    expect(err).toMatch(/^behalf: this is a defect of behalf itself; please report it at https:\/\/\S+\n/)
    expect(err).toContain(escapeText('\u001b[2J of ours'))
    expect(err).toContain('  at ')
    expect(err.split('\n').every((line) => isHarmless(line))).toBe(true)
    expect(code).toBe(70)
  })

  it('an output that fails otherwise than by going away is 74', async () => {
    const full = new Writable({
      write(_chunk, _encoding, done) {
        done(Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC', syscall: 'write' }))
      },
    })
    const directory = mkdtempSync(join(tmpdir(), 'behalf-cli-'))
    const { code, err } = await runCommand(['audit', 'key', join(directory, 'key')], { stdout: full })
    expect(err).toMatch(/\nbehalf: cannot write the output: no space is left on the disk\n$/)
    expect(code).toBe(74)
  })

  it('every exit code is a number of its own', () => {
    const codes = Object.values(EXIT)
    expect(new Set(codes).size).toBe(codes.length)
    expect(codes).toEqual([0, 1, 2, 3, 64, 69, 70, 74, 130, 143])
  })

  it('a file in place of a directory is 74', async () => {
    const file = join(newDirectory(), 'file')
    writeFileSync(file, '')
    for (const command of [
      ['verify'],
      ['show'],
      ['checkpoint'],
      ['export', '--format', 'csv'],
      ['ship', '--to', 'https://127.0.0.1'],
    ]) {
      const [name = '', ...more] = command
      expect(await runCommand(['audit', name, file, ...more])).toMatchObject({
        code: 74,
        err: `behalf: cannot read the journal ${file}: it is no directory\n`,
      })
    }
  })
})
