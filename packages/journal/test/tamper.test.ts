import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { segmentName } from '../src/format/segment-names.js'
import { type JournalReport, type VerifyOptions, verifyJournal } from '../src/verify/verify-journal.js'
import { type Choices, seededChoices } from './support/choices.js'
import { scratchDirectories } from './support/directories.js'
import { type BuiltSegment, JournalBuilder, testSigningKey, VERIFIER_KEY } from './support/journal-builder.js'

/** How many ways to tamper are tried; `npm run soak` asks for more. */
const CASES = Number(process.env['BEHALF_TAMPER_CASES'] ?? 5_000)
const SEED = Number(process.env['BEHALF_TAMPER_SEED'] ?? 20_260_921)
const CASES_PER_JOURNAL = 250
/** Far more than a case takes on a slow machine. */
const MILLISECONDS_PER_CASE = 60

type Files = Map<string, Buffer>

/** A sound journal: at most 200 records, several segments, restarts, a crash, a failed write; now and then one with retention. */
interface Journal {
  readonly builder: JournalBuilder
  readonly files: Files
  /** Of each file, how many bytes are part of the journal. */
  readonly ends: Map<string, number>
}

function randomJournal(random: Choices): Journal {
  const builder = new JournalBuilder()
  const steps: (() => unknown)[] = [
    () => builder.rotate(),
    () => builder.restart(),
    () => builder.decision(builder.newRequest()).crash(),
    () => builder.failedWrite('{"event":{"v":"1.0"\n\u0000'),
    () => builder.checkpoint(),
    () => builder.refusal(),
    () => builder.gap(0, 0, 3),
  ]
  const most = random.below(8) === 0 ? 10 + random.below(170) : 10 + random.below(35)
  while (builder.size < most) {
    builder.calls(1 + random.below(6))
    random.pick(steps)()
  }
  if (random.below(3) === 0 && builder.segments.length > 2) builder.retain(1 + random.below(builder.segments.length - 2))
  for (const requestId of [...builder.open.keys()]) builder.outcome(requestId)
  builder.stop()
  expect(builder.size).toBeLessThanOrEqual(200)
  const ends = new Map(builder.segments.map(({ name, lines }) => [name, Buffer.byteLength(lines.join(''))]))
  return { builder, files: builder.files(), ends }
}

/** One way to tamper. Gives `null` where it would change nothing. Only cut tails need a checkpoint from outside. */
interface Way {
  readonly name: string
  readonly cutsTail?: boolean
  tamper(journal: Journal, random: Choices): Files | null
}

const WAYS: readonly Way[] = [
  {
    name: 'another byte',
    tamper: (journal, random) => edit(journal, random, (bytes, at) => replaced(bytes, at, 1, Buffer.of(random.below(256)))),
  },
  {
    name: 'another bit',
    tamper: (journal, random) =>
      edit(journal, random, (bytes, at) => replaced(bytes, at, 1, Buffer.of((bytes[at] as number) ^ (1 << random.below(8))))),
  },
  {
    name: 'bytes inserted',
    tamper: (journal, random) => edit(journal, random, (bytes, at) => replaced(bytes, at, 0, random.bytes(1 + random.below(20)))),
  },
  {
    name: 'bytes deleted',
    tamper: (journal, random) => edit(journal, random, (bytes, at) => replaced(bytes, at, 1 + random.below(20), Buffer.alloc(0))),
  },
  {
    name: 'bytes doubled',
    tamper: (journal, random) =>
      edit(journal, random, (bytes, at) => replaced(bytes, at, 0, bytes.subarray(at, at + 1 + random.below(20)))),
  },
  {
    name: 'a record deleted',
    tamper: (journal, random) => editLines(journal, random, (lines, at) => lines.toSpliced(at, 1)),
  },
  {
    name: 'records deleted',
    tamper: (journal, random) => editLines(journal, random, (lines, at) => lines.toSpliced(at, 1 + random.below(5))),
  },
  {
    name: 'a record doubled',
    tamper: (journal, random) => editLines(journal, random, (lines, at) => lines.toSpliced(at, 0, random.pick(lines))),
  },
  {
    name: 'two records swapped',
    tamper: (journal, random) => editLines(journal, random, (lines, at) => swapped(lines, at, random.below(lines.length))),
  },
  {
    name: 'a record of another segment',
    tamper: (journal, random) =>
      editLines(journal, random, (lines, at) => lines.with(at, random.pick(random.pick(journal.builder.segments).lines))),
  },
  {
    name: 'a segment deleted',
    tamper: ({ files }, random) => {
      const names = [...files.keys()]
      return changed(files, { [names[random.below(names.length - 1)] as string]: null })
    },
  },
  {
    name: 'two segments swapped',
    tamper: ({ files }, random) => {
      const [one, other] = [random.pick([...files.keys()]), random.pick([...files.keys()])]
      return one === other ? null : changed(files, { [one]: files.get(other) ?? null, [other]: files.get(one) ?? null })
    },
  },
  {
    name: 'a segment doubled under another name',
    tamper: ({ files }, random) => {
      const name = segmentName(random.below(250))
      return files.has(name) ? null : changed(files, { [name]: files.get(random.pick([...files.keys()])) ?? null })
    },
  },
  {
    name: 'a segment renamed',
    tamper: ({ files }, random) => {
      const [from, to] = [random.pick([...files.keys()]), segmentName(random.below(250))]
      return files.has(to) ? null : changed(files, { [from]: null, [to]: files.get(from) ?? null })
    },
  },
  {
    name: 'an empty segment',
    tamper: ({ files }, random) => {
      const name = segmentName(random.below(250))
      return files.has(name) ? null : changed(files, { [name]: Buffer.alloc(0) })
    },
  },
  {
    name: 'the tail cut at any byte',
    cutsTail: true,
    tamper: (journal, random) => cutTail(journal, random, (bytes) => bytes.subarray(0, random.below(bytes.length))),
  },
  {
    name: 'the tail cut between records',
    cutsTail: true,
    tamper: (journal, random) =>
      cutTail(journal, random, (bytes) => {
        const ends = [...bytes.keys()].filter((at) => bytes[at] === 0x0a)
        return bytes.subarray(0, random.pick([0, ...ends.slice(0, -1).map((at) => at + 1)]))
      }),
  },
  {
    name: 'the last segments deleted',
    cutsTail: true,
    tamper: ({ files }, random) => {
      const names = [...files.keys()]
      const kept = random.below(names.length)
      return changed(files, Object.fromEntries(names.slice(kept).map((name) => [name, null])))
    },
  },
]

function edit({ files, ends }: Journal, random: Choices, change: (bytes: Buffer, at: number) => Buffer): Files | null {
  const name = random.pick([...files.keys()])
  const bytes = files.get(name) as Buffer
  const after = change(bytes, random.below(ends.get(name) as number))
  return after.equals(bytes) ? null : changed(files, { [name]: after })
}

function editLines(
  { builder, files }: Journal,
  random: Choices,
  change: (lines: string[], at: number) => string[],
): Files | null {
  const { name, lines, rest } = random.pick(builder.segments)
  const after = change(lines, random.below(lines.length)).join('') + rest
  return after === lines.join('') + rest ? null : changed(files, { [name]: Buffer.from(after) })
}

/** Cuts a segment, and deletes those after it. */
function cutTail({ builder, files, ends }: Journal, random: Choices, cut: (bytes: Buffer) => Buffer): Files {
  const index = random.below(builder.segments.length)
  const names = builder.segments.slice(index).map(({ name }) => name)
  const name = names[0] as string
  const bytes = (files.get(name) as Buffer).subarray(0, ends.get(name))
  return changed(files, { ...Object.fromEntries(names.map((each) => [each, null])), [name]: cut(bytes) })
}

function replaced(bytes: Buffer, at: number, count: number, by: Uint8Array): Buffer {
  return Buffer.concat([bytes.subarray(0, at), by, bytes.subarray(at + count)])
}

function swapped(lines: readonly string[], one: number, other: number): string[] {
  return lines.with(one, lines[other] as string).with(other, lines[one] as string)
}

function changed(files: Files, changes: Record<string, Buffer | null>): Files {
  const after = new Map(files)
  for (const [name, bytes] of Object.entries(changes)) {
    if (bytes === null) after.delete(name)
    else after.set(name, bytes)
  }
  return after
}

/** A directory that goes from one set of files to the next, writing only what differs. */
class Shelf {
  readonly directory: string
  #files: Files = new Map()

  constructor(directory: string) {
    this.directory = directory
    mkdirSync(directory, { recursive: true })
  }

  put(files: Files): void {
    for (const name of this.#files.keys()) if (!files.has(name)) rmSync(join(this.directory, name))
    for (const [name, bytes] of files) if (this.#files.get(name) !== bytes) writeFileSync(join(this.directory, name), bytes)
    this.#files = files
  }
}

const newDirectory = scratchDirectories()
/** Whether nothing was changed but bytes that a failed write left, which are no part of the journal. */
function onlyBehindEnds({ builder, ends }: Journal, files: Files): boolean {
  const unchanged = builder.segments.every(({ name, lines, rest }) => {
    const bytes = files.get(name)
    const end = rest === '' ? undefined : ends.get(name)
    return bytes?.subarray(0, end).equals(Buffer.from(lines.join(''))) === true
  })
  return unchanged && files.size === builder.segments.length
}

/** Whether what is left holds everything that the last checkpoint covers: then only that checkpoint's own record was cut. */
function keepsCovered({ builder, ends }: Journal, files: Files): boolean {
  const { name, lines } = builder.segments.at(-1) as BuiltSegment
  const covered = (ends.get(name) as number) - Buffer.byteLength(lines.at(-1) as string)
  return (files.get(name)?.length ?? 0) >= covered
}

function isFound({ verdict }: JournalReport, way: Way, journal: Journal, files: Files): boolean {
  return verdict === 'tampered' || (verdict === 'incomplete' && !(way.cutsTail === true && !keepsCovered(journal, files)))
}

describe('tampering', () => {
  it(
    `is found, whatever it is: ${CASES} ways, of the seed ${SEED}`,
    async () => {
      const random = seededChoices(SEED)
      const shelf = new Shelf(newDirectory())
      const missed: string[] = []
      let tried = 0
      while (tried < CASES) {
        const journal = randomJournal(random)
        const checkpoint = journal.builder.notes.at(-1) as string
        shelf.put(journal.files)
        expect(await verifyJournal(shelf.directory, { key: VERIFIER_KEY, checkpoint })).toMatchObject({ verdict: 'good' })
        for (let n = 0; n < CASES_PER_JOURNAL && tried < CASES; n++) {
          const way = random.pick(WAYS)
          const files = way.tamper(journal, random)
          if (files === null || onlyBehindEnds(journal, files)) continue
          tried++
          shelf.put(files)
          const report = await verifyJournal(shelf.directory, { key: VERIFIER_KEY, ...(way.cutsTail && { checkpoint }) })
          if (!isFound(report, way, journal, files)) missed.push(`case ${tried}: ${way.name}: ${report.verdict}`)
        }
      }
      expect(missed).toEqual([])
      expect(tried).toBe(CASES)
    },
    30_000 + CASES * MILLISECONDS_PER_CASE,
  )
})

describe('an attacker who writes the whole journal anew, with every hash, and has no signing key', () => {
  const steps = (builder: JournalBuilder, subject: string): JournalBuilder => {
    builder.calls(3).rotate().decision('r', { subject }).outcome('r').checkpoint()
    return builder.calls(2).restart().calls(2).stop()
  }
  const genuine = steps(new JournalBuilder(), 'user-1')
  const outside = genuine.notes.at(-1) as string

  async function verdictOf(forged: JournalBuilder, options: VerifyOptions): Promise<unknown> {
    const directory = newDirectory()
    forged.writeTo(directory)
    const { verdict, findings } = await verifyJournal(directory, options)
    return { verdict, worst: findings[0]?.code }
  }

  const forgeries: [string, () => JournalBuilder][] = [
    ['and signs with a key of their own', () => steps(new JournalBuilder({ key: testSigningKey(66) }), 'user-2')],
    ['and signs nothing', () => steps(new JournalBuilder({ key: null }), 'user-2')],
    ['and puts the genuine signatures under it', () => steps(new JournalBuilder({ signaturesOf: genuine }), 'user-2')],
  ]

  it.each(forgeries)('%s: is found with the key', async (_, forge) => {
    expect(await verdictOf(forge(), { key: VERIFIER_KEY })).toEqual({ verdict: 'tampered', worst: 'checkpoint_signature' })
  })

  it.each(forgeries)('%s: is found with a checkpoint from outside alone', async (_, forge) => {
    expect(await verdictOf(forge(), { checkpoint: outside })).toEqual({ verdict: 'tampered', worst: 'outside_checkpoint' })
  })

  it.each(forgeries)('%s: is not authenticated, and not found, with neither', async (_, forge) => {
    expect(await verdictOf(forge(), {})).toEqual({ verdict: 'unauthenticated', worst: undefined })
  })

  it('is found where the genuine checkpoints are kept as they are', async () => {
    const forged = new JournalBuilder()
    for (const { lines } of genuine.segments) forged.replay(lines, (line) => line.replace('user-1', 'user-2'))
    expect(await verdictOf(forged, { key: VERIFIER_KEY })).toEqual({ verdict: 'tampered', worst: 'checkpoint_head' })
  })
})
