import { type Finding, type JournalReport, parseVerifierKey, type VerifierKey, verifyJournal } from '@behalf/journal'
import type { Command } from 'commander'
import type { CommandContext } from '../command-context.js'
import { CommandError } from '../command-error.js'
import { EXIT, type ExitCode } from '../exit-codes.js'
import { requireDirectory } from '../journal/open-journal.js'
import { requireOutside } from '../journal/outside-file.js'
import { byteText, createProgressBar } from '../journal/progress-bar.js'
import { createOutput } from '../output.js'
import { readTextFile } from '../read-text-file.js'
import { escapeJson } from '../text/escape-text.js'
import { shownText } from '../text/shown-text.js'
import { createStyle, type Look, type Style } from '../text/style.js'

interface VerifyFlags {
  readonly key?: string
  readonly checkpoint?: readonly string[]
  readonly live?: boolean
  readonly json?: boolean
}

const HELP = `
Checks framing, sequence, hash chain, checkpoints and their signatures, and that every admitted
call has its outcome. The key and the checkpoint must come from outside of the directory:
whoever can change the journal can change what lies beside it.

Exit codes: 0 good; 1 tampered; 2 incomplete; 3 consistent, but not authenticated (no --key); 64
usage; 74 it cannot be read.

Examples:
  $ behalf audit verify /var/lib/api/audit --key audit.vkey
  $ behalf audit verify /var/lib/api/audit --key audit.vkey --checkpoint last-week.checkpoint
  $ behalf audit verify /var/lib/api/audit --key audit.vkey --live --json`

export function addAuditVerify(audit: Command, context: CommandContext): void {
  audit
    .command('verify')
    .description('Says whether a journal is whole and unchanged.')
    .argument('<dir>', "the journal's directory")
    .option('--key <file>', "the verifier key, as 'behalf audit key' prints it, or a public key in PEM")
    .option(
      '--checkpoint <file>',
      'a checkpoint that was kept elsewhere: shows what was cut off or written anew since (repeat it for more)',
      (file: string, others: readonly string[] = []) => [...others, file],
    )
    .option('--live', 'a writer is at work: an open end is no fault')
    .option('--json', 'print one JSON object')
    .addHelpText('after', HELP)
    .action((directory: string, flags: VerifyFlags) => verify(directory, flags, context))
}

const EXIT_OF: Readonly<Record<JournalReport['verdict'], ExitCode>> = {
  good: EXIT.good,
  tampered: EXIT.refused,
  incomplete: EXIT.incomplete,
  unauthenticated: EXIT.unauthenticated,
}

async function verify(directory: string, flags: VerifyFlags, { terminal, exit }: CommandContext): Promise<void> {
  await requireDirectory(directory)
  const key = flags.key === undefined ? null : await readKey(flags.key, directory)
  const checkpoints = await Promise.all((flags.checkpoint ?? []).map((file) => readCheckpoint(file, directory)))
  const bar = createProgressBar(terminal)
  const reports: JournalReport[] = []
  for (const checkpoint of checkpoints.length === 0 ? [null] : checkpoints) {
    const options = { key, checkpoint, live: flags.live === true, signal: terminal.signal, onProgress: bar.show }
    reports.push(await verified(directory, options).finally(bar.clear))
  }
  const report = worstOf(reports)

  const output = createOutput(terminal.stdout)
  const lines =
    flags.json === true ? [escapeJson(JSON.stringify(report))] : reportLines(report, flags, createStyle(terminal, 'stdout'))
  for (const line of lines) await output.line(line)
  await output.flush()
  exit(EXIT_OF[report.verdict])
}

/** Worst first: what one checkpoint shows, the others need not. */
const WORST_FIRST: readonly JournalReport['verdict'][] = ['tampered', 'incomplete', 'unauthenticated', 'good']

function worstOf(reports: readonly JournalReport[]): JournalReport {
  const [worst] = reports.toSorted((one, other) => WORST_FIRST.indexOf(one.verdict) - WORST_FIRST.indexOf(other.verdict))
  return worst as JournalReport
}

async function verified(directory: string, options: Parameters<typeof verifyJournal>[1]): Promise<JournalReport> {
  try {
    return await verifyJournal(directory, options)
  } catch (error) {
    if (error instanceof TypeError && options?.checkpoint) throw new CommandError(`--checkpoint: ${error.message}`)
    throw error
  }
}

async function readKey(path: string, directory: string): Promise<VerifierKey> {
  await requireOutside(path, directory, 'the key')
  try {
    return parseVerifierKey(await readTextFile(path, 'the key'))
  } catch (error) {
    throw error instanceof TypeError ? new CommandError(`--key: ${error.message}`) : error
  }
}

async function readCheckpoint(path: string, directory: string): Promise<string> {
  await requireOutside(path, directory, 'the checkpoint')
  const text = await readTextFile(path, 'the checkpoint')
  if (text.trim() === '') throw new CommandError(`--checkpoint: ${path} is empty`)
  return text
}

const VERDICTS: Readonly<Record<JournalReport['verdict'], readonly [look: Look, text: string]>> = {
  good: ['green', 'good: whole, unchanged, and signed by the key'],
  tampered: ['red', 'TAMPERED: this is not what the writer wrote'],
  incomplete: ['yellow', 'incomplete: something is missing, and nothing shows that it was changed'],
  unauthenticated: ['yellow', 'consistent, not authenticated: without --key, somebody may have written it all anew'],
}
/** More of them stand in `--json`. */
const MOST_FINDINGS = 10

function reportLines(report: JournalReport, { checkpoint }: VerifyFlags, style: Style): readonly string[] {
  const [look, said] = VERDICTS[report.verdict]
  const text = report.verdict === 'good' ? goodText(report, said) : said
  const faults = report.findings.filter(({ severity }) => severity !== 'note')
  const notes = report.findings.filter(({ severity }) => severity === 'note')
  const [first, ...others] = faults
  return [
    style(look, text),
    ...(first === undefined ? [] : ['', 'First bad record:', ...findingLines(first)]),
    ...listed('Also found:', others),
    ...listed('Notes:', notes),
    '',
    ...summaryLines(report),
    ...(checkpoint === undefined
      ? [
          'No --checkpoint from outside was given: an end that was cut off in order, and a history that was written anew before',
          'its writer started again, cannot be seen.',
        ]
      : []),
  ]
}

/** What a good journal says of itself that its reader should not miss. */
function goodText({ findings }: JournalReport, text: string): string {
  const found = (code: Finding['code']) => findings.some((each) => each.code === code)
  const but = [
    ...(found('unsigned_tail') ? ['its last records are not signed yet'] : []),
    ...(found('events_lost') ? ['it says itself that events are missing'] : []),
  ]
  return but.length === 0 ? text : `good: unchanged and signed by the key, but ${but.join(', and ')}`
}

function listed(heading: string, findings: readonly Finding[]): readonly string[] {
  if (findings.length === 0) return []
  const shown = findings.slice(0, MOST_FINDINGS)
  const more = findings.length - shown.length
  return ['', heading, ...shown.flatMap(findingLines), ...(more > 0 ? [`  and ${more} more: see --json`] : [])]
}

function findingLines({ severity, code, message, segment, sequence, offset }: Finding): readonly string[] {
  const places = [
    ...(segment === null ? [] : [segment]),
    ...(sequence === null ? [] : [`record ${sequence}`]),
    ...(offset === null ? [] : [`byte ${offset}`]),
  ]
  const place = places.length === 0 ? '' : `  (${shownText(places.join(', '))})`
  return [`  ${severity === 'note' ? '' : `${severity}: `}${code}: ${shownText(message)}${place}`]
}

function summaryLines(report: JournalReport): readonly string[] {
  const { records, firstSequence, lastSequence, segments, bytes, checkpoints, signedThrough, openDecisions } = report
  const range = firstSequence === null ? '' : ` (${firstSequence} to ${lastSequence})`
  return [
    `journal:      ${shownText(report.journal ?? '-')} of ${shownText(report.origin ?? '-')}`,
    `records:      ${records}${range} in ${segments} segment${segments === 1 ? '' : 's'}, ${byteText(bytes)}`,
    `checkpoints:  ${checkpoints}; records before ${signedThrough} are covered, the last of them at ${shownText(report.signedAt ?? '-')}`,
    `open:         ${openDecisions} decision${openDecisions === 1 ? '' : 's'} without an outcome`,
  ]
}
