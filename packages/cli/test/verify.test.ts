import { createPublicKey, generateKeyPairSync } from 'node:crypto'
import { copyFileSync, readdirSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type JournalReport, journalSink, verifierKeyText } from '@behalf/journal'
import { describe, expect, it } from 'vitest'
import { isHarmless } from './support/hostile.js'
import { event, newDirectory, ORIGIN, PATIENCE_MILLISECONDS, realJournal, writtenJournal } from './support/journals.js'
import { NOW, type Ran, runCommand, type World } from './support/run-command.js'

const verify = (directory: string, args: readonly string[] = [], world: World = {}): Promise<Ran> =>
  runCommand(['audit', 'verify', directory, ...args], world)

/** A journal of a real writer, with its key and last checkpoint in files elsewhere. */
async function signedJournal(calls = 20) {
  const checkpoints: string[] = []
  const { directory, signingKey } = await realJournal(calls, { checkpoints })
  if (signingKey === null) throw new Error('it is signed')
  const outside = newDirectory()
  const keyFile = join(outside, 'audit.vkey')
  writeFileSync(keyFile, `${verifierKeyText(ORIGIN, signingKey)}\n`)
  const checkpointFile = join(outside, 'last.checkpoint')
  writeFileSync(checkpointFile, checkpoints.at(-1) ?? '')
  const segment = join(directory, readdirSync(directory).find((name) => name.startsWith('journal-')) ?? '')
  return { directory, keyFile, checkpointFile, segment, outside, signingKey }
}

describe('verdicts', () => {
  it('0: good, with the key', async () => {
    const { directory, keyFile, checkpointFile } = await signedJournal()
    const plain = await verify(directory, ['--key', keyFile])
    expect(plain.lines[0]).toBe('good: whole, unchanged, and signed by the key')
    expect(plain.out).toMatch(/^records: +\d+ \(0 to \d+\) in 1 segment, [\d.]+ KiB$/m)
    expect(plain.out).toMatch(/^open: +0 decisions without an outcome$/m)
    expect(plain.out).toContain('No --checkpoint from outside was given')
    expect(plain.code).toBe(0)
    const whole = await verify(directory, ['--key', keyFile, '--checkpoint', checkpointFile])
    expect(whole.out).not.toContain('No --checkpoint')
    expect(whole.code).toBe(0)
  })

  it('1: tampered, and says the first bad record', async () => {
    const { directory, keyFile, segment } = await signedJournal()
    const text = readFileSync(segment, 'utf8')
    writeFileSync(segment, text.replace('"agent-3"', '"agent-9"'))
    const { code, lines, out } = await verify(directory, ['--key', keyFile])
    expect(lines[0]).toBe('TAMPERED: this is not what the writer wrote')
    const bad = text.split('\n').findIndex((line) => line.includes('"agent-3"'))
    expect(lines.slice(1, 3)).toEqual(['', 'First bad record:'])
    expect(lines[3]).toMatch(
      new RegExp(`^  tampered: \\w+: .+  \\(journal-0000000000000000\\.jsonl, record ${bad}, byte \\d+\\)$`),
    )
    expect(out.match(/byte (\d+)/)?.[1]).toBe(String(Buffer.byteLength(text.split('\n').slice(0, bad).join('\n')) + 1))
    expect(code).toBe(1)
  })

  it('1: signed by another key', async () => {
    const { directory, outside } = await signedJournal()
    const other = join(outside, 'other.pem')
    writeFileSync(other, generateKeyPairSync('ed25519').publicKey.export({ type: 'spki', format: 'pem' }))
    expect((await verify(directory, ['--key', other])).code).toBe(1)
  })

  it('1: an end that was cut off in order is seen by a checkpoint from outside alone', async () => {
    const { directory, keyFile, checkpointFile, segment } = await signedJournal(600)
    const lines = readFileSync(segment, 'utf8').split('\n')
    const cut = lines.findLastIndex((line, index) => line.includes('"checkpoint":') && index < lines.length - 10)
    expect(cut).toBeGreaterThan(0)
    writeFileSync(
      segment,
      lines
        .slice(0, cut + 1)
        .map((line) => `${line}\n`)
        .join(''),
    )
    expect((await verify(directory, ['--key', keyFile])).code).not.toBe(1)
    const seen = await verify(directory, ['--key', keyFile, '--checkpoint', checkpointFile])
    expect(seen.out).toContain('outside_checkpoint')
    expect(seen.code).toBe(1)
  })

  it('2: incomplete, where the end is torn', async () => {
    const { directory, keyFile, segment } = await signedJournal()
    truncateSync(segment, statSync(segment).size - 10)
    const { code, lines } = await verify(directory, ['--key', keyFile])
    expect(lines[0]).toBe('incomplete: something is missing, and nothing shows that it was changed')
    expect(lines[3]).toMatch(/^ {2}incomplete: /)
    expect(code).toBe(2)
  })

  it('3: consistent, not authenticated, without a key; also where one lies in the directory', async () => {
    const { directory, keyFile } = await signedJournal()
    const { code, lines } = await verify(directory)
    expect(lines[0]).toBe('consistent, not authenticated: without --key, somebody may have written it all anew')
    expect(code).toBe(3)
    copyFileSync(keyFile, join(directory, 'audit.vkey'))
    expect((await verify(directory)).code).toBe(3)
    const inside = await verify(directory, ['--key', join(directory, 'audit.vkey')])
    expect(inside.err).toContain("the key lies in the journal's directory, where it proves nothing")
    expect(inside.code).toBe(64)
    copyFileSync(keyFile, join(directory, 'x.checkpoint'))
    expect((await verify(directory, ['--checkpoint', join(directory, 'x.checkpoint')])).code).toBe(64)
  })

  it('the key may be a public one in PEM', async () => {
    const { directory, outside, signingKey } = await signedJournal()
    const pem = join(outside, 'audit.pem')
    writeFileSync(pem, createPublicKey(signingKey).export({ type: 'spki', format: 'pem' }))
    expect((await verify(directory, ['--key', pem])).code).toBe(0)
  })

  it('--live takes an open end for none', async () => {
    const directory = newDirectory()
    const { privateKey } = generateKeyPairSync('ed25519')
    let signed = () => {}
    const checkpoint = new Promise<void>((resolve) => {
      signed = resolve
    })
    const sink = journalSink({
      directory,
      signingKey: privateKey,
      origin: ORIGIN,
      commitDeadlineMilliseconds: PATIENCE_MILLISECONDS,
      onCheckpoint: () => signed(),
    })
    await sink.write(event('support-1', 'user-1'))
    await checkpoint
    const keyFile = join(newDirectory(), 'audit.vkey')
    writeFileSync(keyFile, verifierKeyText(ORIGIN, privateKey))
    const closed = await verify(directory, ['--key', keyFile])
    const live = await verify(directory, ['--key', keyFile, '--live'])
    await sink.close?.()
    expect(closed.code).toBe(2)
    expect(live.code).toBe(0)
  })
})

describe('JSON', () => {
  it('is the report', async () => {
    const { directory, keyFile, segment } = await signedJournal()
    const good = JSON.parse((await verify(directory, ['--key', keyFile, '--json'])).out) as JournalReport
    expect(good).toMatchObject({ verdict: 'good', findings: [], segments: 1, openDecisions: 0, origin: ORIGIN })
    writeFileSync(segment, readFileSync(segment, 'utf8').replace('"agent-3"', '"agent-9"'))
    const bad = await verify(directory, ['--key', keyFile, '--json'])
    const [first] = (JSON.parse(bad.out) as JournalReport).findings
    expect(first).toMatchObject({ severity: 'tampered', segment: 'journal-0000000000000000.jsonl' })
    expect(bad.code).toBe(1)
  })
})

describe('a progress bar', () => {
  it('stands on a terminal’s stderr, and is taken away', async () => {
    const { directory } = await signedJournal()
    let time = NOW
    const { err, out } = await verify(directory, [], { tty: true, now: () => (time += 200) })
    expect(err.split('\r\u001b[K')[1]).toMatch(/^\[#*-*\] \d+ % {2}[\d.]+ \w+ of [\d.]+ KiB, \d+ records$/)
    expect(err.endsWith('\r\u001b[K')).toBe(true)
    expect(out).not.toContain('\r')
  })

  it('is written at most ten times a second', async () => {
    const { directory } = await signedJournal()
    const { err } = await verify(directory, [], { tty: true })
    expect(err.match(/ %/g)?.length ?? 0).toBeLessThanOrEqual(1)
  })

  it('is nowhere else', async () => {
    const { directory } = await signedJournal()
    expect((await verify(directory, [], { now: () => 0 })).err).toBe('')
  })
})

describe('troubles', () => {
  it.each<[string, (world: Awaited<ReturnType<typeof signedJournal>>) => string[], number, string]>([
    ['no such directory', () => ['/nonexistent'], 74, 'cannot read the journal /nonexistent: no such file or directory'],
    ['no such key', ({ directory }) => [directory, '--key', '/nonexistent'], 74, 'cannot read the key /nonexistent'],
    [
      'a key that is none',
      ({ directory, outside }) => [directory, '--key', written(outside, 'SECRET nonsense')],
      64,
      '--key: a verifier key must be',
    ],
    [
      'a private key',
      ({ directory, outside, signingKey }) => [
        directory,
        '--key',
        written(outside, String(signingKey.export({ type: 'pkcs8', format: 'pem' }))),
      ],
      64,
      'this is a private key: give the verifier its public half',
    ],
    [
      'a checkpoint that is none',
      ({ directory, outside }) => [directory, '--checkpoint', written(outside, 'SECRET nonsense')],
      64,
      '--checkpoint: ',
    ],
    ['an empty checkpoint', ({ directory, outside }) => [directory, '--checkpoint', written(outside, '')], 64, 'is empty'],
    ['an unknown option', ({ directory }) => [directory, '--chekpoint', 'x'], 64, '(Did you mean --checkpoint?)'],
  ])('%s', async (_, args, exit, message) => {
    const world = await signedJournal(1)
    const { code, err, out } = await runCommand(['audit', 'verify', ...args(world)])
    expect(err).toMatch(/^behalf: [^\n]+\n$/)
    expect(err).toContain(message)
    expect(err).not.toMatch(/SECRET|PRIVATE/)
    expect(out).toBe('')
    expect(code).toBe(exit)
  })

  it('an empty directory is incomplete, not good', async () => {
    const { code, out } = await verify(newDirectory())
    expect(out).toContain('journal_empty')
    expect(code).toBe(2)
  })

  it.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ])('%s before its end gives no verdict', async (reason, exit) => {
    const { directory } = await signedJournal()
    expect(await verify(directory, [], { signal: AbortSignal.abort(reason) })).toMatchObject({ code: exit, out: '', err: '' })
  })

  it('hostile records reach no terminal', async () => {
    const directory = writtenJournal([
      ['event', event('\u001b[2J\u202e', 'a\nb')],
      ['checkpoint', '\u001b[2J'],
      ['gap', { '\u202e': '\u001b' }],
    ])
    for (const args of [[], ['--json']]) {
      const { lines, code } = await verify(directory, args)
      expect(lines.filter((line) => !isHarmless(line))).toEqual([])
      expect(code).toBe(1)
    }
  })
})

function written(directory: string, text: string): string {
  const file = join(directory, 'given')
  writeFileSync(file, text)
  return file
}

describe('the last checkpoint', () => {
  it('is printed as it was signed, and shows later that nothing was cut off', async () => {
    const { directory, checkpointFile, keyFile } = await signedJournal()
    const { code, out, err } = await runCommand(['audit', 'checkpoint', directory])
    expect(out).toBe(readFileSync(checkpointFile, 'utf8'))
    expect({ code, err }).toEqual({ code: 0, err: '' })
    writeFileSync(checkpointFile, out)
    expect((await verify(directory, ['--key', keyFile, '--checkpoint', checkpointFile])).code).toBe(0)
  })

  it('is looked for in earlier segments too', async () => {
    const checkpoints: string[] = []
    const { directory } = await realJournal(40, { checkpoints, maxSegmentBytes: 8192 })
    const segments = readdirSync(directory)
      .filter((name) => name.startsWith('journal-'))
      .sort()
    expect(segments.length).toBeGreaterThan(2)
    const last = join(directory, segments.at(-1) ?? '')
    writeFileSync(last, `${readFileSync(last, 'utf8').split('\n')[0]}\n`)
    const { out } = await runCommand(['audit', 'checkpoint', directory])
    expect(checkpoints).toContain(out)
  })

  it.each<[string, () => string, number, string]>([
    ['none yet: 2', () => writtenJournal([['event', event('a', 'b')]]), 2, 'the journal has no checkpoint yet'],
    [
      'one that is none: 1',
      () => writtenJournal([['checkpoint', '\u001b[2Jnonsense']]),
      1,
      'what stands as the last checkpoint is none',
    ],
    ['no journal: 74', newDirectory, 74, 'holds no journal'],
  ])('%s', async (_, directory, exit, message) => {
    const { code, out, err } = await runCommand(['audit', 'checkpoint', directory()])
    expect(err).toMatch(/^behalf: [^\n]+\n$/)
    expect(err).toContain(message)
    expect(out).toBe('')
    expect(code).toBe(exit)
  })
})

describe('a signing key', () => {
  it('is made once, for its owner alone, and fits the journal and its verifier', async () => {
    const outside = newDirectory()
    const file = join(outside, 'audit.key')
    const made = await runCommand(['audit', 'key', file, '--name', ORIGIN])
    expect(made.code).toBe(0)
    expect(made.out).toMatch(/^orders\.example\/audit\+[0-9a-f]{8}\+[A-Za-z0-9+/]+=*\n$/)
    expect(made.err).toContain('keep the signing key to the writer alone')
    expect(statSync(file).mode & 0o777).toBe(0o600)
    const pem = readFileSync(file, 'utf8')
    expect(pem).toMatch(/^-----BEGIN PRIVATE KEY-----/)
    expect(`${made.out}${made.err}`).not.toContain(pem.split('\n')[1])

    const directory = join(newDirectory(), 'audit')
    const sink = journalSink({
      directory,
      signingKey: { file },
      origin: ORIGIN,
      commitDeadlineMilliseconds: PATIENCE_MILLISECONDS,
    })
    await sink.write(event('a', 'b', { type: 'access.decision', decision: 'refuse', reason: 'actor_unauthorized' }))
    await sink.close?.()
    const keyFile = join(outside, 'audit.vkey')
    writeFileSync(keyFile, made.out)
    expect((await verify(directory, ['--key', keyFile])).code).toBe(0)

    expect(await runCommand(['audit', 'key', file])).toMatchObject({
      code: 74,
      out: '',
      err: `behalf: cannot write the key to ${file}: it exists already\n`,
    })
    expect(readFileSync(file, 'utf8')).toBe(pem)
    expect(await runCommand(['audit', 'key', file, '--name', ORIGIN, '--public'])).toMatchObject({
      code: 0,
      out: made.out,
      err: '',
    })
  })

  it.each<[string, (directory: string) => string[], number, string]>([
    [
      'a name that is none',
      (directory) => [join(directory, 'k'), '--name', 'two words'],
      64,
      'must not be empty, and hold no spaces',
    ],
    ['a directory that is not there', () => ['/nonexistent/k'], 74, 'no such file or directory'],
    ['a journal’s directory', () => [join(writtenJournal([]), 'k')], 64, 'holds a journal: keep its key elsewhere'],
    ['no key to read', (directory) => [join(directory, 'k'), '--public'], 74, 'cannot read the signing key'],
    ['something else to read', (directory) => [written(directory, 'SECRET'), '--public'], 64, 'holds no private key in PEM'],
  ])('%s leaves nothing behind', async (_, args, exit, message) => {
    const directory = newDirectory()
    const { code, out, err } = await runCommand(['audit', 'key', ...args(directory)])
    expect(err).toMatch(/^behalf: [^\n]+\n$/)
    expect(err).toContain(message)
    expect(err).not.toContain('SECRET')
    expect(out).toBe('')
    expect(readdirSync(directory).filter((name) => name === 'k')).toEqual([])
    expect(code).toBe(exit)
  })
})
