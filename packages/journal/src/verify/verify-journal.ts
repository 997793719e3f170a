import { booleanAt, ConfigError, functionAt, membersOf, optional, stringAt } from '@behalf/core/sink-kit'
import type { VerifierKey } from '../format/verifier-key.js'
import { namesIn, type SegmentName, segmentsAmong } from '../read/segment-lines.js'
import { type Finding, Findings, NOWHERE } from './findings.js'
import type { JournalCheck } from './journal-check.js'
import { OutsideCheckpoint } from './outside-checkpoint.js'
import { SegmentWalk, type VerifyProgress } from './segment-walk.js'

/** Options of {@link verifyJournal}. */
export interface VerifyOptions {
  /** What checkpoints must be signed with. `null`, or left out: nothing is authenticated. A key in the directory is never used. */
  readonly key?: VerifierKey | null
  /** Text of a checkpoint that was kept outside. Without one, a tail that was cut off cannot be seen. */
  readonly checkpoint?: string | null
  /** A writer is at work: an open end is no fault. Default: `false`. */
  readonly live?: boolean
  /** Called after each chunk that was read. */
  readonly onProgress?: (done: VerifyProgress) => void
  /** Ends verification with the signal's reason. */
  readonly signal?: AbortSignal
}

/**
 * What a journal is worth. The worst finding decides; `good` also needs a key and no finding but notes.
 * `unauthenticated`: it is consistent, but so is one that somebody wrote anew.
 */
export type Verdict = 'good' | 'tampered' | 'incomplete' | 'unauthenticated'

/** What {@link verifyJournal} found. */
export interface JournalReport {
  /** What the journal is worth. */
  readonly verdict: Verdict
  /** Worst first, and of each severity in order; at most 50 of each. */
  readonly findings: readonly Finding[]
  /** Records that could be read. */
  readonly records: number
  /** `null`: no record could be read. */
  readonly firstSequence: number | null
  /** `null`: no record could be read. */
  readonly lastSequence: number | null
  /** Checkpoints that fit the records before them. */
  readonly checkpoints: number
  /** Records 0 to here, without this one, are covered by a checkpoint that fits and, where a key was given, is signed by it. */
  readonly signedThrough: number
  /** Time that the last of these checkpoints names (RFC 3339, UTC): how old what is signed is. `null`: there is none. */
  readonly signedAt: string | null
  /** Decisions that let a call in, and have no outcome. */
  readonly openDecisions: number
  /** Files of the journal. */
  readonly segments: number
  /** Bytes of all segments. */
  readonly bytes: number
  /** UUID of the journal; `null`: it could not be read. */
  readonly journal: string | null
  /** First line of its checkpoints. */
  readonly origin: string | null
}

interface Settings {
  readonly key: VerifierKey | null
  readonly checkpoint: string | null
  readonly live: boolean
  readonly onProgress: ((done: VerifyProgress) => void) | null
  readonly signal: AbortSignal | undefined
}

const WHERE = 'verifyJournal()'
const NAMES = ['key', 'checkpoint', 'live', 'onProgress', 'signal']

/**
 * Checks a whole journal: framing, own hashes, sequence, links, headers, Merkle roots and signatures of checkpoints, pairs of decision
 * and outcome, removals, and the end. Memory does not grow with the journal.
 *
 * Not seen: a tail that was cut off in order, unless `checkpoint` is given; whatever the holder of the signing key writes; bytes
 * behind a segment's end that a failed write explains, which are no part of the journal.
 * @throws {JournalError} `unreadable` where the directory or a file cannot be read
 * @throws {ConfigError} where an option is unknown or not what it must be
 * @throws TypeError where `checkpoint` is none
 */
export async function verifyJournal(directory: string, options: VerifyOptions = {}): Promise<JournalReport> {
  const settings = resolve(options)
  for (let attempts = 1; ; attempts++) {
    const report = await verifyOnce(directory, settings)
    if (!settings.live || attempts === MOST_ATTEMPTS || !report.findings.some(({ code }) => OF_REMOVAL.has(code))) return report
  }
}

/** Retention can remove what is just being read; whoever looks again finds it explained, or it was not retention. */
const OF_REMOVAL: ReadonlySet<string> = new Set(['segment_missing', 'retention_unexplained'])
const MOST_ATTEMPTS = 3

async function verifyOnce(directory: string, settings: Settings): Promise<JournalReport> {
  const { key, live } = settings
  const findings = new Findings()
  const outside = settings.checkpoint === null ? null : OutsideCheckpoint.of(settings.checkpoint, key, findings)
  const segments = await findSegments(directory, findings)
  const walk = new SegmentWalk(directory, segments, settings, outside, findings)
  await walk.run()
  checkWhole(walk, segments, live, findings)
  outside?.finish(walk.check?.identity ?? null, walk.check?.first ?? null)
  return reportOf(walk, segments, key, findings)
}

function resolve(options: VerifyOptions): Settings {
  const members = membersOf(options, WHERE, NAMES)
  return {
    key: optional(members, 'key', WHERE, keyAt, null),
    checkpoint: optional(members, 'checkpoint', WHERE, (value, where) => (value === null ? null : stringAt(value, where)), null),
    live: optional(members, 'live', WHERE, booleanAt, false),
    onProgress: optional(members, 'onProgress', WHERE, functionAt<(done: VerifyProgress) => void>, null),
    signal: options.signal,
  }
}

function keyAt(value: unknown, where: string): VerifierKey | null {
  const fits = value === null || (typeof value === 'object' && 'publicKey' in value && 'raw' in value && 'name' in value)
  if (!fits) throw new ConfigError(`${where} must be what parseVerifierKey() returns, or null`)
  return value as VerifierKey | null
}

/** The segments of a directory; names that are almost one are told of. */
async function findSegments(directory: string, findings: Findings): Promise<SegmentName[]> {
  const names = await namesIn(directory)
  const segments = segmentsAmong(names)
  const known = new Set(segments.map(({ name }) => name))
  for (const name of names) {
    if (!known.has(name) && /^journal-/i.test(name))
      findings.add('incomplete', 'name_unknown', NOWHERE, 'a file whose name begins as that of a segment, and is none')
  }
  return segments
}

/** More records than this behind the last checkpoint are no open end, also while a writer is at work. */
const MOST_OPEN_RECORDS = 11_000

/** What can be said only after the last record. */
function checkWhole({ check }: SegmentWalk, segments: readonly SegmentName[], live: boolean, findings: Findings): void {
  if (check === null || check.last === null) {
    findings.add('incomplete', 'journal_empty', NOWHERE, 'there is no record')
    return
  }
  const { checkpoints, pairs, first, last, endsCleanly } = check
  const atEnd = { segment: segments.at(-1)?.name ?? null, sequence: last, offset: null }
  const severity = live ? 'note' : 'incomplete'
  checkpoints.finish()
  const { signedThrough } = checkpoints
  const uncovered = signedThrough === 0 ? last + 1 - first : last - signedThrough // the checkpoint itself needs none
  const open = live && signedThrough > 0 && uncovered <= MOST_OPEN_RECORDS
  if (uncovered > 0)
    findings.add(
      open ? 'note' : 'incomplete',
      'unsigned_tail',
      { ...atEnd, sequence: last + 1 - uncovered },
      `the last ${uncovered} record(s) are covered by no good checkpoint`,
    )
  pairs.finish(live, (sequence) => segments.findLast((each) => each.first <= sequence)?.name ?? null)
  if (!endsCleanly)
    findings.add(severity, 'no_clean_end', atEnd, 'the last writer did not end in order, or its last records are not there')
  checkStart(check, signedThrough, findings)
}

function checkStart(check: JournalCheck, signedThrough: number, findings: Findings): void {
  const explained = check.startExplained(signedThrough)
  if (explained === 'yes') return
  const place = { ...NOWHERE, sequence: check.first }
  if (explained === 'no')
    findings.add(
      'tampered',
      'retention_unexplained',
      place,
      `the journal begins at record ${check.first}, and does not say that older ones were removed`,
    )
  else
    findings.add(
      'incomplete',
      'retention_unexplained',
      place,
      `the journal begins at record ${check.first}; that older ones were removed is covered by no good checkpoint`,
    )
}

function reportOf(
  walk: SegmentWalk,
  segments: readonly SegmentName[],
  key: VerifierKey | null,
  findings: Findings,
): JournalReport {
  const { check, bytes } = walk
  return {
    verdict: verdictOf(findings, key),
    findings: findings.list(),
    records: check?.records ?? 0,
    firstSequence: check === null || check.last === null ? null : check.first,
    lastSequence: check?.last ?? null,
    checkpoints: check?.checkpoints.count ?? 0,
    signedThrough: check?.checkpoints.signedThrough ?? 0,
    signedAt: check?.checkpoints.signedAt ?? null,
    openDecisions: check?.pairs.openDecisions ?? 0,
    segments: segments.length,
    bytes,
    journal: check?.identity?.journal ?? null,
    origin: check?.identity?.origin ?? null,
  }
}

function verdictOf(findings: Findings, key: VerifierKey | null): Verdict {
  if (findings.has('tampered')) return 'tampered'
  if (findings.has('incomplete')) return 'incomplete'
  return key === null ? 'unauthenticated' : 'good'
}
