import { appendFileSync, mkdirSync, readFileSync, renameSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { ConfigError } from '@behalf/core'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { segmentName } from '../src/format/segment-names.js'
import { JournalError } from '../src/journal-error.js'
import { type JournalReport, type VerifyOptions, verifyJournal } from '../src/verify/verify-journal.js'
import { scratchDirectories } from './support/directories.js'
import {
  type BuiltSegment,
  JOURNAL,
  JournalBuilder,
  ORIGIN,
  SIGNING_KEY,
  testSigningKey,
  VERIFIER_KEY,
} from './support/journal-builder.js'

const newDirectory = scratchDirectories()
const OTHER_JOURNAL = '5e0a4d0e-3b2f-4a53-9d0c-0d3f6ad3b002'

function written(builder: JournalBuilder): string {
  const directory = newDirectory()
  builder.writeTo(directory)
  return directory
}

/** Verifies with the key unless told otherwise. */
async function verified(journal: JournalBuilder | string, options: VerifyOptions = {}): Promise<JournalReport> {
  return verifyJournal(typeof journal === 'string' ? journal : written(journal), { key: VERIFIER_KEY, ...options })
}

/** Severity and code of what was found, without repeats. */
function foundIn({ findings }: JournalReport): string[] {
  return [...new Set(findings.map(({ severity, code }) => `${severity} ${code}`))]
}

function segmentAt(builder: JournalBuilder, index: number): BuiltSegment {
  return builder.segments.at(index) as BuiltSegment
}

/** A journal that is stopped in order. */
const stopped = (): JournalBuilder => new JournalBuilder().calls(3).rotate().calls(2).stop()
/** Two decisions on their way, checkpoints behind them, no stop: as a writer at work leaves it. */
const atWork = (): JournalBuilder => new JournalBuilder().calls(3).decision('open-1').checkpoint().decision('open-2')

describe('a sound journal', () => {
  it('is good: rotated, stopped, crashed, with failed writes, gaps and retention', async () => {
    const builder = new JournalBuilder().calls(3).rotate().calls(2).restart().calls(3).gap(0, 0, 7).refusal()
    builder.decision('cut off').crash().calls(1).failedWrite('left\n{"a":').calls(2).checkpoint().retain(2).calls(1).stop()
    const outside = builder.notes.at(-1) as string
    const report = await verified(builder, { checkpoint: outside })
    expect(report).toMatchObject({
      verdict: 'good',
      records: builder.size - segmentAt(builder, 0).first,
      firstSequence: segmentAt(builder, 0).first,
      lastSequence: builder.size - 1,
      signedThrough: builder.size - 1,
      openDecisions: 0,
      segments: builder.segments.length,
      journal: JOURNAL,
      origin: ORIGIN,
    })
    expect(report.bytes).toBe([...builder.files().values()].reduce((sum, { length }) => sum + length, 0))
    expect(foundIn(report)).toEqual(['note events_lost', 'note abandoned_bytes'])
  })

  it('is good without notes where nothing happened', async () => {
    const builder = stopped()
    expect(await verified(builder)).toMatchObject({ verdict: 'good', findings: [], checkpoints: 2, firstSequence: 0 })
  })

  it('is not authenticated without a key, whatever key lies in its directory', async () => {
    const directory = written(stopped())
    writeFileSync(join(directory, 'key.pub'), SIGNING_KEY.export({ type: 'pkcs8', format: 'pem' }))
    expect(await verifyJournal(directory)).toMatchObject({ verdict: 'unauthenticated', findings: [], signedThrough: 14 })
    expect(await verified(new JournalBuilder({ key: null }).calls(2).stop(), { key: null })).toMatchObject({
      verdict: 'unauthenticated',
      findings: [],
    })
  })

  it('is good with a key that says no name', async () => {
    expect(await verified(stopped(), { key: { ...VERIFIER_KEY, name: null } })).toMatchObject({ verdict: 'good' })
  })

  it('tells how far it is, and ends where it is told to', async () => {
    const builder = stopped()
    const directory = written(builder)
    const seen: number[][] = []
    const report = await verified(directory, {
      onProgress: ({ bytes, totalBytes, records }) => seen.push([bytes, totalBytes, records]),
    })
    expect(seen.at(-1)).toEqual([report.bytes, report.bytes, builder.size])
    expect(seen.map(([bytes]) => bytes)).toEqual(seen.map(([bytes]) => bytes).sort((a = 0, b = 0) => a - b))
    await expect(verified(directory, { signal: AbortSignal.abort(new Error('enough')) })).rejects.toThrow('enough')
  })
})

describe('checkpoints', () => {
  it.each([
    ['of another origin', { origin: 'other.example.test' }, 'checkpoint_foreign'],
    ['of another journal', { journal: OTHER_JOURNAL }, 'checkpoint_foreign'],
    ['for fewer records', { size: 5 }, 'checkpoint_range'],
    ['for more records', { size: 500 }, 'checkpoint_range'],
    ['from another checkpoint on', { from: 1 }, 'checkpoint_range'],
    ['over another head', { head: 'A'.repeat(43) }, 'checkpoint_head'],
    ['over another root', { root: Buffer.alloc(32) }, 'checkpoint_root'],
  ])('%s are tampered with, although the key signed them', async (_, members, code) => {
    const report = await verified(new JournalBuilder().calls(3).checkpoint(members).calls(1).stop())
    expect(report.verdict).toBe('tampered')
    expect(report.findings[0]).toMatchObject({ code, segment: segmentName(0), sequence: 7 })
  })

  it('that cannot be read are tampered with', async () => {
    const builder = new JournalBuilder().calls(1).record('checkpoint', 'no note').stop()
    expect(foundIn(await verified(builder))).toEqual(['tampered checkpoint_invalid'])
  })

  it('that say they are older than the one before are told of, since clocks go back', async () => {
    const report = await verified(
      new JournalBuilder().calls(1).checkpoint().calls(1).checkpoint({ time: '2020-01-01T00:00:00.000Z' }).stop(),
    )
    expect(report.verdict).toBe('good')
    expect(foundIn(report)).toEqual(['note checkpoint_time'])
  })

  it('that another key signed are no fault where a later one of the key covers them', async () => {
    const other = new JournalBuilder({ key: testSigningKey(9) }).calls(2).checkpoint().notes[0] as string
    const builder = new JournalBuilder({ signaturesOf: { notes: [other] } as unknown as JournalBuilder })
      .calls(2)
      .checkpoint()
      .calls(1)
      .stop()
    const report = await verified(builder)
    expect(report).toMatchObject({ verdict: 'good', checkpoints: 2 })
    expect(foundIn(report)).toEqual(['note checkpoint_signature'])
  })

  it('that nobody signed are no proof, and neither is a journal without any', async () => {
    expect(await verified(new JournalBuilder({ key: null }).calls(2).stop())).toMatchObject({
      verdict: 'tampered',
      signedThrough: 0,
    })
    const bare = await verified(new JournalBuilder().calls(2))
    expect(bare).toMatchObject({ verdict: 'incomplete', signedThrough: 0 })
    expect(bare.findings[0]).toMatchObject({ code: 'unsigned_tail', sequence: 0 })
    expect(await verified(new JournalBuilder().calls(2), { live: true })).toMatchObject({ verdict: 'incomplete' })
  })
})

describe('a checkpoint from outside', () => {
  it('fits at every size that it was made for', async () => {
    const builder = new JournalBuilder().calls(2).rotate().calls(2).restart().calls(1).stop()
    const directory = written(builder)
    for (const checkpoint of builder.notes)
      expect(await verified(directory, { checkpoint })).toMatchObject({ verdict: 'good', findings: [] })
  })

  it('shows that records behind it are gone, which nothing else does', async () => {
    const builder = new JournalBuilder().calls(2).restart().calls(2).stop()
    const [, checkpoint] = builder.notes as [string, string]
    const directory = written(builder)
    rmSync(join(directory, segmentAt(builder, -1).name))
    expect(await verified(directory)).toMatchObject({ verdict: 'good' })
    const report = await verified(directory, { checkpoint })
    expect(report.verdict).toBe('tampered')
    expect(report.findings[0]).toMatchObject({ code: 'outside_checkpoint', message: expect.stringContaining('fewer records') })
  })

  it('shows that the journal was replaced, with or without a key', async () => {
    const checkpoint = stopped().notes.at(-1) as string
    const replaced = new JournalBuilder().calls(3).rotate().refusal().calls(2).stop()
    for (const key of [VERIFIER_KEY, null]) {
      const report = await verified(replaced, { checkpoint, key })
      expect(foundIn(report)).toEqual(['tampered outside_checkpoint'])
    }
    const other = new JournalBuilder({ journal: OTHER_JOURNAL }).calls(3).rotate().calls(2).stop()
    expect(foundIn(await verified(other, { checkpoint }))).toEqual(['tampered outside_checkpoint'])
  })

  it('that the key did not sign is compared, but does not make a journal good', async () => {
    const builder = stopped()
    const unsigned = (builder.notes.at(-1) as string).replace(/— .*\n$/, '')
    expect(await verified(builder, { checkpoint: unsigned })).toMatchObject({
      verdict: 'incomplete',
      findings: [{ code: 'outside_signature' }],
    })
    expect(await verified(builder, { checkpoint: unsigned, key: null })).toMatchObject({
      verdict: 'unauthenticated',
      findings: [],
    })
  })

  it('that is older than the oldest record cannot be compared, and says so', async () => {
    const builder = new JournalBuilder().calls(1).checkpoint().calls(1).rotate().calls(1).retain(1).stop()
    const [old, atEnd] = builder.notes as [string, string]
    expect(await verified(builder, { checkpoint: old })).toMatchObject({
      verdict: 'incomplete',
      findings: [{ code: 'outside_checkpoint' }],
    })
    expect(foundIn(await verified(builder, { checkpoint: atEnd }))).toEqual(['incomplete outside_checkpoint'])
  })

  it('is compared with the frontier where exactly the records before it were removed', async () => {
    const builder = new JournalBuilder().calls(1).failedWrite('').calls(1).rotate().calls(1)
    const first = segmentAt(builder, 1).first
    const outside = new JournalBuilder().calls(1)
    expect(outside.size).toBe(first)
    const checkpoint = outside.checkpoint({ time: '2026-01-01T00:00:00.000Z' }).notes[0] as string
    builder.retain(1).stop()
    expect(await verified(builder, { checkpoint })).toMatchObject({ verdict: 'good', findings: [] })
    const other = new JournalBuilder().decision('x').decision('y').checkpoint().notes[0] as string
    expect(await verified(builder, { checkpoint: other })).toMatchObject({ verdict: 'tampered' })
  })

  it('that is none is a mistake of the caller', async () => {
    for (const checkpoint of ['x', `${stopped().notes[0]}more\n`, (stopped().notes[0] as string).trim()])
      await expect(verified(stopped(), { checkpoint })).rejects.toThrow(TypeError)
  })
})

describe('pairs of decision and outcome', () => {
  it.each([
    ['a decision without an outcome', (b: JournalBuilder) => b.decision('x'), 'incomplete outcome_missing'],
    [
      'a decision that would be refused, without an outcome',
      (b: JournalBuilder) => b.decision('x', { decision: 'would_refuse' }),
      'incomplete outcome_missing',
    ],
    ['an outcome without a decision', (b: JournalBuilder) => b.outcome('x'), 'incomplete outcome_unmatched'],
    ['a second outcome', (b: JournalBuilder) => b.decision('x').outcome('x').outcome('x'), 'tampered outcome_twice'],
    ['a second decision', (b: JournalBuilder) => b.decision('x').decision('x').outcome('x'), 'tampered decision_twice'],
    [
      'more outcomes missing than a gap explains',
      (b: JournalBuilder) => b.decision('x').decision('y').gap(0, 1),
      'incomplete outcome_missing',
    ],
    [
      'more decisions missing than a gap explains',
      (b: JournalBuilder) => b.outcome('x').outcome('y').gap(1, 0),
      'incomplete outcome_unmatched',
    ],
    [
      'an event without a request',
      (b: JournalBuilder) => b.record('event', { type: 'access.decision' }),
      'tampered body_malformed',
    ],
  ])('%s', async (_, add, expected) => {
    const report = await verified(add(new JournalBuilder().calls(2)).stop())
    expect(foundIn(report).filter((each) => !each.startsWith('note'))).toEqual([expected])
    expect(report.findings[0]?.segment).toBe(segmentName(0))
  })

  it.each([
    ['a refusal', (b: JournalBuilder) => b.refusal()],
    [
      "a guard's refusal of an admitted call",
      (b: JournalBuilder) =>
        b.decision('x').event('access.decision', 'x', { stage: 'requirement', decision: 'refuse' }).outcome('x'),
    ],
    [
      "a guard's would_refuse of an admitted call",
      (b: JournalBuilder) =>
        b.decision('x').event('access.decision', 'x', { stage: 'requirement', decision: 'would_refuse' }).outcome('x'),
    ],
    ['an outcome whose decision a gap explains', (b: JournalBuilder) => b.outcome('x').gap(1, 0)],
    ['a decision whose outcome a gap explains', (b: JournalBuilder) => b.gap(0, 1).decision('x')],
    ['an outcome in another segment', (b: JournalBuilder) => b.decision('x').rotate().outcome('x')],
    ['an outcome whose decision retention removed', (b: JournalBuilder) => b.decision('x').rotate().outcome('x').retain(1)],
    ['outcomes in another order', (b: JournalBuilder) => b.decision('x').decision('y').outcome('y').outcome('x')],
  ])('no fault: %s', async (_, add) => {
    const report = await verified(add(new JournalBuilder().calls(2)).stop())
    expect(report.findings.filter(({ severity }) => severity !== 'note')).toEqual([])
    expect(report.verdict).toBe('good')
  })

  it('does not let retention explain what was not open', async () => {
    const builder = new JournalBuilder().decision('x').rotate().outcome('x').outcome('y').retain(1).stop()
    expect(foundIn(await verified(builder))).toEqual(['incomplete outcome_unmatched'])
  })

  it('knows a second outcome after many others', async () => {
    const builder = new JournalBuilder().decision('x').outcome('x').calls(60).outcome('x').stop()
    expect(foundIn(await verified(builder))).toEqual(['tampered outcome_twice'])
  })
})

describe('segments', () => {
  const change = (builder: JournalBuilder, act: (directory: string, names: string[]) => void): string => {
    const directory = written(builder)
    act(
      directory,
      builder.segments.map(({ name }) => join(directory, name)),
    )
    return directory
  }
  const three = (): JournalBuilder => new JournalBuilder().calls(2).rotate().calls(2).rotate().calls(2).stop()

  it.each<[string, (directory: string, names: string[]) => void, string]>([
    ['the first is gone', (_, [one]) => rmSync(one as string), 'tampered retention_unexplained'],
    ['one in the middle is gone', (_, [, two]) => rmSync(two as string), 'tampered segment_missing'],
    ['one is cut', (_, [one]) => truncateSync(one as string, 1_000), 'tampered segment_cut'],
    ['one is cut in its header', (_, [one]) => truncateSync(one as string, 100), 'tampered segment_header'],
    ['one is empty', (_, [, two]) => truncateSync(two as string, 0), 'tampered segment_header'],
    ['bytes stand behind the end of one', (_, [one]) => appendFileSync(one as string, 'x'), 'incomplete abandoned_bytes'],
    [
      'records stand behind the end of one',
      (_, [one, two]) => appendFileSync(one as string, readFileSync(two as string)),
      'incomplete abandoned_bytes',
    ],
    [
      'one is a symbolic link',
      (directory, [one]) => {
        renameSync(one as string, join(directory, 'elsewhere'))
        symlinkSync('elsewhere', one as string)
      },
      'tampered segment_irregular',
    ],
    [
      'one is a directory',
      (_, [, two]) => {
        rmSync(two as string)
        mkdirSync(two as string)
      },
      'tampered segment_irregular',
    ],
    [
      'one is there twice',
      (directory, [, two]) => writeFileSync(join(directory, segmentName(3)), readFileSync(two as string)),
      'tampered segment_extra',
    ],
    [
      'one is renamed',
      (directory, [, two]) => renameSync(two as string, join(directory, 'journal-7.jsonl')),
      'tampered segment_missing',
    ],
    ['the last one is renamed', (_, [, , three]) => renameSync(three as string, `${three}~`), 'incomplete name_unknown'],
    ['the last one is empty', (_, [, , three]) => truncateSync(three as string, 0), 'incomplete torn_tail'],
    ['the last one is torn', (_, [, , three]) => truncateSync(three as string, 1_000), 'incomplete torn_tail'],
    ['zeros stand at the end', (_, [, , three]) => appendFileSync(three as string, Buffer.alloc(512)), 'incomplete torn_tail'],
    [
      'zeros and a line stand at the end',
      (_, [, , three]) => appendFileSync(three as string, '\u0000\u0000\u0000"}\n'),
      'incomplete torn_tail',
    ],
    [
      'a line that is no record stands at the end',
      (_, [, , three]) => appendFileSync(three as string, 'x\n'),
      'tampered line_malformed',
    ],
  ])('%s', async (_, act, expected) => {
    const report = await verified(change(three(), act))
    expect(foundIn(report)[0]).toBe(expected)
    expect(report.verdict).toBe(expected.split(' ')[0])
  })

  it('zeros where a later checkpoint stands were a record once', async () => {
    const builder = new JournalBuilder().calls(3).stop()
    const lines = segmentAt(builder, 0).lines
    lines[3] = `${'\u0000'.repeat(20)}\n`
    const report = await verified(builder)
    expect(report.findings[0]).toMatchObject({ severity: 'tampered', code: 'line_malformed', sequence: 3 })
  })

  it('of two journals do not make one', async () => {
    const builder = three()
    const other = new JournalBuilder({ journal: OTHER_JOURNAL }).calls(2).rotate().calls(2).rotate().calls(2).stop()
    const directory = written(builder)
    writeFileSync(join(directory, segmentAt(builder, 1).name), other.files().get(segmentAt(other, 1).name) as Buffer)
    const codes = foundIn(await verified(directory))
    expect(codes).toContain('tampered journal_mixed')
    expect(codes).toContain('tampered chain_broken')
  })

  it.each<[string, (header: Record<string, unknown>) => object, string]>([
    [
      'another frontier',
      (header) => ({ ...header, frontier: (header['frontier'] as string[]).map(() => 'A'.repeat(43)) }),
      'segment_frontier',
    ],
    ['a frontier of another length', (header) => ({ ...header, frontier: [] }), 'segment_header'],
    [
      'a frontier that is no hash',
      (header) => ({ ...header, frontier: (header['frontier'] as string[]).map(() => '!') }),
      'segment_header',
    ],
    ['open decisions that are not', (header) => ({ ...header, open: [1] }), 'segment_open'],
    ['nothing before it', (header) => ({ ...header, previous: null }), 'segment_previous'],
    ['another segment before it', (header) => ({ ...header, previous: { bytes: 1, name: segmentName(1) } }), 'segment_previous'],
    [
      'an end inside of a record',
      (header) => ({ ...header, previous: { ...(header['previous'] as object), bytes: 100 } }),
      'segment_previous',
    ],
    [
      'an end beyond the file',
      (header) => ({ ...header, previous: { ...(header['previous'] as object), bytes: 1e9 } }),
      'segment_cut',
    ],
    ['another format', (header) => ({ ...header, format: 'behalf-journal/2' }), 'segment_header'],
    ['another journal', (header) => ({ ...header, journal: OTHER_JOURNAL }), 'journal_mixed'],
    ['another origin', (header) => ({ ...header, origin: 'x' }), 'journal_mixed'],
  ])('with a header that states %s', async (_, edit, code) => {
    const builder = new JournalBuilder().calls(2).rotate()
    const { lines, name } = segmentAt(builder, 1)
    const { segment: header } = JSON.parse(lines.pop() as string)
    builder.rewind(1).record('segment', edit(header)).calls(1).stop()
    const report = await verified(builder)
    expect(report.verdict).toBe('tampered')
    expect(report.findings.map((each) => each.code)).toContain(code)
    expect(report.findings[0]?.segment === name || code === 'segment_cut' || code === 'segment_previous').toBe(true)
  })

  it('have no second header, and not another first record', async () => {
    const builder = new JournalBuilder().calls(1)
    const { segment: header } = JSON.parse(segmentAt(builder, 0).lines[0] as string)
    expect(foundIn(await verified(builder.record('segment', header).calls(1).stop()))).toEqual(['tampered segment_header'])
    const headless = new JournalBuilder().rewind(1)
    segmentAt(headless, 0).lines.length = 0
    const report = await verified(headless.calls(2).stop())
    expect(report.findings[0]).toMatchObject({ severity: 'tampered', code: 'segment_header', sequence: 0 })
  })

  it('that were removed on purpose are explained by a retention record, and by no earlier one', async () => {
    const explained = new JournalBuilder().calls(2).rotate().calls(2).rotate().calls(2).retain(1).stop()
    expect(await verified(explained)).toMatchObject({ verdict: 'good', findings: [] })
    const more = written(explained)
    rmSync(join(more, segmentAt(explained, 0).name))
    expect(foundIn(await verified(more))[0]).toBe('tampered retention_unexplained')
  })

  it('that retention names and that are there yet are no fault', async () => {
    const builder = new JournalBuilder().calls(2).rotate().calls(2)
    const removed = segmentAt(builder, 0)
    builder.retain(1).stop()
    builder.segments.unshift(removed)
    expect(await verified(builder)).toMatchObject({ verdict: 'good', findings: [], firstSequence: 0 })
  })

  it('that say less than they must about the journal itself are tampered with', async () => {
    for (const [kind, body] of [
      ['gap', { decisions: -1, outcomes: 0, refusals: 0 }],
      ['recovery', { cut: {} }],
      ['retention', {}],
    ] as const)
      expect(foundIn(await verified(new JournalBuilder().record(kind, body).calls(1).stop()))).toEqual([
        'tampered body_malformed',
      ])
  })

  it('that were not there at a start, although they were durable, are lost or worse', async () => {
    const builder = new JournalBuilder().calls(2).crash(3).calls(1).stop()
    expect(foundIn(await verified(builder))).toEqual(['tampered durable_lost'])
  })
})

describe('the end of a journal', () => {
  it('is open after a kill, and no fault while a writer is at work', async () => {
    const report = await verified(atWork())
    expect(report).toMatchObject({ verdict: 'incomplete', openDecisions: 2, signedThrough: 8 })
    expect(foundIn(report)).toEqual(['incomplete unsigned_tail', 'incomplete outcome_missing', 'incomplete no_clean_end'])
    const live = await verified(atWork(), { live: true })
    expect(live.verdict).toBe('good')
    expect(foundIn(live)).toEqual(['note unsigned_tail', 'note outcome_missing', 'note no_clean_end'])
  })

  it('can be in the midst of a write, or of beginning a segment, while a writer is at work', async () => {
    const builder = atWork()
    const directory = written(builder)
    appendFileSync(join(directory, segmentAt(builder, 0).name), '{"event":')
    expect(await verified(directory, { live: true })).toMatchObject({ verdict: 'good' })
    writeFileSync(join(directory, segmentName(builder.size)), '{"prev"')
    expect(await verified(directory, { live: true })).toMatchObject({ verdict: 'good' })
    expect(foundIn(await verified(directory))).toContain('incomplete torn_tail')
  })

  it('can be behind a write that failed just now, while a writer is at work', async () => {
    const builder = new JournalBuilder().calls(2).checkpoint().failedWrite('left')
    segmentAt(builder, -1).lines.pop()
    expect(foundIn(await verified(builder, { live: true }))).toContain('note abandoned_bytes')
    expect(foundIn(await verified(builder))).toContain('incomplete abandoned_bytes')
  })

  it('is not one that a writer at work excuses, where records were edited', async () => {
    const builder = atWork()
    segmentAt(builder, 0).lines[2] = (segmentAt(builder, 0).lines[2] as string).replace('completed', 'aborted')
    const report = await verified(builder, { live: true })
    expect(report.verdict).toBe('tampered')
    expect(report.findings[0]).toMatchObject({ code: 'hash_mismatch', sequence: 2 })
  })

  it('is clean only with a stop and its checkpoint', async () => {
    const without = new JournalBuilder().calls(2).checkpoint()
    expect(foundIn(await verified(without))).toEqual(['incomplete no_clean_end'])
    const unsigned = new JournalBuilder().calls(2).checkpoint().record('end', { time: 'x' })
    expect(foundIn(await verified(unsigned))).toEqual(['incomplete unsigned_tail', 'incomplete no_clean_end'])
  })

  it('is none where there is no record', async () => {
    expect(await verified(newDirectory())).toMatchObject({
      verdict: 'incomplete',
      records: 0,
      firstSequence: null,
      findings: [{ code: 'journal_empty' }],
    })
    const checkpoint = stopped().notes[0] as string
    expect(await verified(newDirectory(), { checkpoint })).toMatchObject({ verdict: 'tampered' })
  })
})

describe('what is reported', () => {
  it('begins with the first bad record, and is bounded', async () => {
    const builder = new JournalBuilder().calls(150).stop()
    const { lines } = segmentAt(builder, 0)
    for (let at = 20; at < 250; at += 2) lines[at] = 'x\n'
    const { findings } = await verified(builder)
    const place = { segment: segmentName(0), sequence: 20, offset: Buffer.byteLength(lines.slice(0, 20).join('')) }
    expect(findings[0]).toEqual({ severity: 'tampered', code: 'line_malformed', ...place, message: 'a line that is no record' })
    expect(findings.filter(({ severity }) => severity === 'tampered')).toHaveLength(50)
  })

  it('holds nothing of the contents', async () => {
    const builder = new JournalBuilder().decision('canary-request', { rule: 'canary-rule' }).calls(1).stop()
    const { lines } = segmentAt(builder, 0)
    for (const at of lines.keys()) lines[at] = (lines[at] as string).replace('canary-rule', 'canary-edit')
    expect(JSON.stringify(await verified(builder))).not.toContain('canary')
  })

  it('is a report whatever the bytes are', async () => {
    const directory = newDirectory()
    const genuine = segmentAt(stopped(), 0).lines.join('')
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 400 }),
      fc
        .tuple(fc.nat({ max: genuine.length }), fc.uint8Array({ maxLength: 40 }))
        .map(([at, more]) => Buffer.concat([Buffer.from(genuine.slice(0, at)), more])),
    )
    const files = fc.array(fc.tuple(fc.constantFrom(0, 1, 7, 9, 2 ** 40), bytes), { minLength: 1, maxLength: 3 })
    await fc.assert(
      fc.asyncProperty(files, async (each) => {
        const names = each.map(([first]) => join(directory, segmentName(first)))
        for (const [index, [, content]] of each.entries()) writeFileSync(names[index] as string, content)
        const { verdict } = await verified(directory, { live: true })
        for (const name of names) rmSync(name, { force: true })
        return verdict !== 'good'
      }),
      { seed: 400, numRuns: 150 },
    )
  })

  it('is an error where nothing can be read', async () => {
    await expect(verified(join(newDirectory(), 'nowhere'))).rejects.toThrow(JournalError)
  })

  it('is an error where an option is none', async () => {
    const bad = [{ key: 'text' }, { checkpoint: 1 }, { live: 'yes' }, { onProgress: 1 }, { keys: [] }]
    for (const options of bad) await expect(verifyJournal('x', options as unknown as VerifyOptions)).rejects.toThrow(ConfigError)
  })
})
