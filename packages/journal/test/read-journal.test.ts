import { execFileSync } from 'node:child_process'
import { appendFileSync, mkdirSync, renameSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { segmentName } from '../src/format/segment-names.js'
import { JournalError } from '../src/journal-error.js'
import { type JournalEntry, type ReadJournalOptions, readJournal } from '../src/read/read-journal.js'
import { scratchDirectories } from './support/directories.js'
import { type BuiltSegment, JournalBuilder } from './support/journal-builder.js'

const newDirectory = scratchDirectories()

async function entriesOf(directory: string, options: ReadJournalOptions = {}): Promise<JournalEntry[]> {
  const entries: JournalEntry[] = []
  for await (const entry of readJournal(directory, options)) entries.push(entry)
  return entries
}

async function sequencesOf(directory: string, options: ReadJournalOptions = {}): Promise<number[]> {
  return (await entriesOf(directory, options)).map(({ record }) => record.seq)
}

const upTo = (end: number, start = 0): number[] => Array.from({ length: end - start }, (_, n) => start + n)

function written(builder: JournalBuilder): string {
  const directory = newDirectory()
  builder.writeTo(directory)
  return directory
}

/** Follows a journal; each time the reader waits, the next step is done, and after the last one it is stopped. */
async function followed(
  directory: string,
  steps: readonly (() => void)[],
  options: ReadJournalOptions = {},
): Promise<JournalEntry[]> {
  const controller = new AbortController()
  const left = [...steps]
  const wait = async (): Promise<void> => {
    const step = left.shift()
    if (step === undefined) controller.abort()
    else step()
  }
  const entries = await entriesOf(directory, { ...options, follow: true, signal: controller.signal, wait })
  expect(left).toEqual([])
  return entries
}

describe('reading a journal', () => {
  it('gives every record of every segment, with its place', async () => {
    const builder = new JournalBuilder().calls(3).rotate().calls(2).restart().calls(1).stop()
    const directory = written(builder)
    const entries = await entriesOf(directory)
    expect(entries.map(({ record }) => record.seq)).toEqual(upTo(builder.size))
    const files = builder.files()
    for (const { segment, offset, line } of entries) {
      const bytes = Buffer.from(`${line}\n`)
      expect(files.get(segment)?.subarray(offset, offset + bytes.length)).toEqual(bytes)
    }
    expect(new Set(entries.map(({ segment }) => segment))).toEqual(new Set(files.keys()))
  })

  it('gives nothing of an empty directory', async () => {
    expect(await sequencesOf(newDirectory())).toEqual([])
  })

  it('begins where it is told to, and opens no segment before that', async () => {
    const builder = new JournalBuilder().calls(3).rotate().calls(3).rotate().calls(3).stop()
    const directory = written(builder)
    const second = builder.segments[1]?.first as number
    for (const from of [0, 1, second - 1, second, second + 1, builder.size - 1, builder.size, 9_999])
      expect(await sequencesOf(directory, { fromSequence: from })).toEqual(upTo(builder.size, Math.min(from, builder.size)))
    writeFileSync(join(directory, segmentName(0)), 'no record\n')
    expect(await sequencesOf(directory, { fromSequence: second })).toEqual(upTo(builder.size, second))
    await expect(sequencesOf(directory, { fromSequence: second - 1 })).rejects.toThrow('has no record at byte 0')
  })

  it('begins with the oldest record where retention removed earlier ones', async () => {
    const builder = new JournalBuilder().calls(3).rotate().calls(3).retain(1).stop()
    expect(await sequencesOf(written(builder))).toEqual(upTo(builder.size, builder.segments[0]?.first))
  })

  it('leaves out bytes that a later segment declares not to be part of the journal', async () => {
    const lost = new JournalBuilder().calls(2)
    const builder = new JournalBuilder()
      .calls(1)
      .failedWrite(lost.segments[0]?.lines.slice(3).join('') as string)
      .calls(2)
    expect(await sequencesOf(written(builder))).toEqual(upTo(builder.size))
    expect(await sequencesOf(written(new JournalBuilder().calls(1).failedWrite('\u0000\n{"a').calls(2)))).toEqual(
      upTo(builder.size),
    )
  })

  it('leaves out an incomplete last line, and a segment without a whole header', async () => {
    const builder = new JournalBuilder().calls(2)
    const directory = written(builder)
    appendFileSync(join(directory, segmentName(0)), '{"event":')
    expect(await sequencesOf(directory)).toEqual(upTo(5))
    writeFileSync(join(directory, segmentName(5)), '{"prev":')
    expect(await sequencesOf(directory)).toEqual(upTo(5))
  })

  it('reads records of any length within bounds, across chunks', async () => {
    const builder = new JournalBuilder()
    for (const length of [10, 260_000, 600_000, 5, 1_100_000, 262_000, 1])
      builder.event('access.decision', 'r', { text: 'é'.repeat(length) })
    const entries = await entriesOf(written(builder))
    expect(entries.map(({ line }) => `${line}\n`)).toEqual(builder.segments[0]?.lines)
  })

  it('stops at a line that is too long, with its place, and without keeping it', async () => {
    const builder = new JournalBuilder().calls(1)
    const end = Buffer.byteLength(builder.segments[0]?.lines.join('') as string)
    builder.event('access.decision', 'r', { text: 'x'.repeat(4 * 1024 * 1024) }).calls(1)
    await expect(entriesOf(written(builder))).rejects.toThrow(`has no record at byte ${end}`)
    builder.segments[0]?.lines.splice(3, 99, 'y'.repeat(20 * 1024 * 1024))
    expect(await sequencesOf(written(builder))).toEqual(upTo(3))
  })

  it.each([
    ['a line that is no record', (lines: string[]) => lines.toSpliced(2, 0, 'x\n'), 'no record'],
    ['an empty line', (lines: string[]) => lines.toSpliced(2, 0, '\n'), 'no record'],
    ['an edited record', (lines: string[]) => lines.with(2, (lines[2] as string).replace('allow', 'refuse')), 'no record'],
    ['a record missing', (lines: string[]) => lines.toSpliced(2, 1), 'out of its place'],
    ['a record twice', (lines: string[]) => lines.toSpliced(2, 0, lines[2] as string), 'out of its place'],
    ['no header', (lines: string[]) => lines.slice(1), 'out of its place'],
    [
      'another chain',
      (lines: string[]) => [...lines.slice(0, 3), ...(new JournalBuilder().calls(4).segments[0]?.lines.slice(3) ?? [])],
      'out of its place',
    ],
  ])('stops at %s', async (_, change, message) => {
    const builder = new JournalBuilder().refusal().calls(4)
    const directory = newDirectory()
    writeFileSync(join(directory, segmentName(0)), change(builder.segments[0]?.lines ?? []).join(''))
    await expect(sequencesOf(directory)).rejects.toThrow(JournalError)
    await expect(sequencesOf(directory)).rejects.toThrow(message)
  })

  it('stops where a segment is shorter than the next one says, does not link to it, or has no header', async () => {
    const builder = new JournalBuilder().calls(2).rotate().calls(2).rotate().calls(2)
    const [first, second] = builder.segments.map(({ name }) => name) as [string, string]
    const cut = written(builder)
    const kept = Buffer.byteLength(builder.segments[0]?.lines.slice(0, -1).join('') as string)
    truncateSync(join(cut, first), kept)
    await expect(sequencesOf(cut)).rejects.toThrow('ends before byte')
    const other = written(builder)
    writeFileSync(join(other, first), new JournalBuilder().refusal().calls(1).refusal().rotate().files().get(first) as Buffer)
    await expect(sequencesOf(other)).rejects.toThrow(JournalError)
    const [one, another] = ['a', 'b'].map((rule) => new JournalBuilder().decision('x', { rule }).rotate().calls(1)) as [
      JournalBuilder,
      JournalBuilder,
    ]
    const mixed = written(one)
    const { name } = another.segments[1] as BuiltSegment
    writeFileSync(join(mixed, name), another.files().get(name) as Buffer)
    await expect(sequencesOf(mixed)).rejects.toThrow(`${name} has a record out of its place at byte 0`)
    const headless = written(builder)
    writeFileSync(join(headless, second), builder.segments[1]?.lines.slice(1).join('') as string)
    await expect(sequencesOf(headless)).rejects.toThrow("does not begin with a segment's header")
  })

  it('follows no symbolic link, and reads nothing but regular files', async () => {
    const builder = new JournalBuilder().calls(1)
    const genuine = written(builder)
    const linked = newDirectory()
    symlinkSync(join(genuine, segmentName(0)), join(linked, segmentName(0)))
    await expect(sequencesOf(linked)).rejects.toThrow('no regular file')
    const directory = newDirectory()
    mkdirSync(join(directory, segmentName(0)))
    await expect(sequencesOf(directory)).rejects.toThrow('no regular file')
    const pipe = newDirectory()
    execFileSync('mkfifo', [join(pipe, segmentName(0))])
    await expect(sequencesOf(pipe)).rejects.toThrow('no regular file')
  })

  it('says which directory cannot be read, by its error code alone', async () => {
    const missing = join(newDirectory(), 'secret-name')
    await expect(sequencesOf(missing)).rejects.toThrow("the journal's directory cannot be read (ENOENT)")
  })

  it('refuses options that are unknown or no option', () => {
    for (const options of [{ fromSequence: -1 }, { follow: 'yes' }, { pollMilliseconds: 0 }, { wait: 1 }, { from: 1 }])
      expect(() => readJournal('x', options as ReadJournalOptions)).toThrow(/^readJournal\(\)/)
  })

  it('can be left at any record', async () => {
    const directory = written(new JournalBuilder().calls(5))
    for await (const { record } of readJournal(directory, { follow: true })) if (record.seq === 3) break
    const controller = new AbortController()
    const seen: number[] = []
    for await (const { record } of readJournal(directory, { follow: true, signal: controller.signal })) {
      seen.push(record.seq)
      if (record.seq === 3) controller.abort()
    }
    expect(seen).toEqual([0, 1, 2, 3])
  })
})

describe('following a journal', () => {
  it('waits for a directory to be filled, for records, for the rest of a line, for segments and their headers', async () => {
    const builder = new JournalBuilder().calls(1)
    const directory = newDirectory()
    const first = join(directory, segmentName(0))
    const lines = (): string[] => builder.segments[0]?.lines ?? []
    const half = Buffer.from(lines()[2] as string).subarray(0, 50)
    const steps = [
      () => {},
      () => writeFileSync(first, ''),
      () => writeFileSync(first, lines().slice(0, 2).join('')),
      () => appendFileSync(first, half),
      () => {},
      () => appendFileSync(first, Buffer.from(lines()[2] as string).subarray(50)),
      () => {
        builder.calls(1).rotate().calls(1)
        const { name, lines: header } = builder.segments[1] as BuiltSegment
        writeFileSync(join(directory, name), (header[0] as string).slice(0, 20))
      },
      () => writeFileSync(first, lines().join('')),
      () => builder.writeTo(directory),
      () => builder.calls(1).stop().writeTo(directory),
    ]
    const entries = await followed(directory, steps)
    expect(entries.map(({ record }) => record.seq)).toEqual(upTo(builder.size))
  })

  it('gives again what a failed write took back: the same sequences, with what stands there now', async () => {
    const lost = new JournalBuilder().calls(3)
    const builder = new JournalBuilder().calls(1)
    const directory = written(lost)
    const entries = await followed(directory, [
      () =>
        builder
          .failedWrite(lost.segments[0]?.lines.slice(3).join('') as string)
          .calls(1)
          .writeTo(directory),
    ])
    expect(entries.map(({ record }) => record.seq)).toEqual([...upTo(7), ...upTo(builder.size, 3)])
    expect(entries.slice(7).map(({ line }) => `${line}\n`)).toEqual(builder.segments[1]?.lines)
  })

  it('goes on with the oldest segment that is left where retention was faster', async () => {
    const builder = new JournalBuilder().calls(1)
    const directory = written(builder)
    const first = builder.size
    const entries = await followed(directory, [
      () => {
        builder.calls(1).rotate().calls(2).rotate().calls(2).retain(2)
        rmSync(join(directory, segmentName(0)))
        builder.writeTo(directory)
      },
    ])
    expect(entries.map(({ record }) => record.seq)).toEqual([...upTo(first), ...upTo(builder.size, builder.segments[0]?.first)])
  })

  it('reads a segment that is removed while it is read to its end', async () => {
    const builder = new JournalBuilder().calls(2).rotate().calls(1)
    const directory = written(builder)
    const seen: number[] = []
    for await (const { record } of readJournal(directory)) {
      if (record.seq === 0) rmSync(join(directory, segmentName(0)))
      seen.push(record.seq)
    }
    expect(seen).toEqual(upTo(builder.size))
  })

  it('begins at a sequence that is yet to come', async () => {
    const builder = new JournalBuilder().calls(1)
    const directory = written(builder)
    const entries = await followed(directory, [() => builder.calls(2).writeTo(directory)], { fromSequence: 5 })
    expect(entries.map(({ record }) => record.seq)).toEqual([5, 6])
  })

  it('is ended by its signal also while it waits', async () => {
    const directory = written(new JournalBuilder())
    const controller = new AbortController()
    const reading = sequencesOf(directory, { follow: true, pollMilliseconds: 60_000, signal: controller.signal })
    setImmediate(() => controller.abort())
    expect((await reading).length).toBeLessThanOrEqual(1)
    expect(await sequencesOf(directory, { follow: true, signal: controller.signal })).toEqual([])
  })

  it('does not take a renamed file for a segment', async () => {
    const builder = new JournalBuilder().calls(1).rotate().calls(1)
    const directory = written(builder)
    const second = builder.segments[1]?.name as string
    renameSync(join(directory, second), join(directory, `${second}.bak`))
    expect(await sequencesOf(directory)).toEqual(upTo(builder.segments[1]?.first as number))
  })
})
