import type { JournalEntry } from '@behalf/journal'
import { type Command, InvalidArgumentError, Option } from 'commander'
import type { CommandContext } from '../command-context.js'
import { interrupted } from '../interrupted.js'
import { isWanted, type RecordFilter } from '../journal/filter.js'
import { lastEntries } from '../journal/last-entries.js'
import { openJournal, segmentsOf } from '../journal/open-journal.js'
import { createRecordTable } from '../journal/record-table.js'
import { createOutput } from '../output.js'
import { escapeJson } from '../text/escape-text.js'
import { parseSince } from '../text/parse-since.js'
import { createStyle } from '../text/style.js'

interface ShowFlags {
  readonly actor?: string
  readonly subject?: string
  readonly kind?: string
  readonly since?: string
  readonly refused?: boolean
  readonly all?: boolean
  readonly limit?: number
  readonly json?: boolean
  readonly follow?: boolean
}

const HELP = `
One line a record: when, what was decided (or, behind an arrow, what became of the call), who
acted, for whom, on what, and which rule or reason decided. What the journal says of itself
(gap, failure, recovery, refusals, retention) stands between them as notes. Characters that
could command or confuse a terminal are shown as \\u{…}. Nothing is verified here: that is
'behalf audit verify'.

Examples:
  $ behalf audit show /var/lib/api/audit --since 2h
  $ behalf audit show /var/lib/api/audit --actor support-1 --refused
  $ behalf audit show /var/lib/api/audit -f -n 50
  $ behalf audit show /var/lib/api/audit --json | jq .event.actor.id`

/** What `-f` begins with, where `-n` does not say. */
const LINES_BEFORE_FOLLOWING = 10
const MOST_LINES = 1_000_000

export function addAuditShow(audit: Command, context: CommandContext): void {
  audit
    .command('show')
    .description('Shows who acted as whom, on what, when, allowed or refused.')
    .argument('<dir>', "the journal's directory")
    .option('--actor <id>', 'only calls by this actor')
    .option('--subject <id>', 'only calls with the authority of this subject')
    .addOption(new Option('--kind <kind>', 'only calls of this kind').choices(['direct', 'impersonation', 'delegation']))
    .option('--since <time>', 'only since an age (90s, 30m, 2h, 3d, 1w) or an RFC 3339 time')
    .option('--refused', 'only decisions that refused')
    .option('--all', "the journal's book-keeping too: segments, checkpoints, ends")
    .option('-n, --limit <records>', 'only the last so many records', lines)
    .option('--json', "print the journal's records, one JSON object a line")
    .option('-f, --follow', 'wait for further records and show them, until interrupted')
    .addHelpText('after', HELP)
    .action((directory: string, flags: ShowFlags) => show(directory, flags, context))
}

async function show(directory: string, flags: ShowFlags, { terminal, exit }: CommandContext): Promise<void> {
  const filter = filterOf(flags, terminal.now())
  await segmentsOf(directory)
  const output = createOutput(terminal.stdout)
  const signal = AbortSignal.any([terminal.signal, output.gone])
  const tty = terminal.isTTY.stdout
  const table = createRecordTable(tty ? terminal.columns() : null, createStyle(terminal, 'stdout'))
  const wanted = ({ record }: JournalEntry) => isWanted(record, filter)
  const put = ({ line, record }: JournalEntry) => output.line(flags.json === true ? escapeJson(line) : table.line(record))

  if (tty && flags.json !== true) await output.line(table.header())
  const follow = flags.follow === true
  const limit = flags.limit ?? (follow ? LINES_BEFORE_FOLLOWING : null)
  if (limit === null) await showAll(openJournal(directory, { signal }), wanted, put).finally(output.flush)
  else {
    const { entries, next } = await lastEntries(directory, limit, wanted, signal)
    for (const entry of entries) await put(entry)
    await output.flush()
    const following = follow && !signal.aborted
    const further = following ? openJournal(directory, { signal, follow, fromSequence: next }) : []
    await showAll(further, wanted, (entry) => put(entry).then(output.flush))
  }
  if (terminal.signal.aborted && !follow) exit(interrupted(terminal.signal)) // following ends in no other way
}

async function showAll(
  entries: AsyncIterable<JournalEntry> | readonly JournalEntry[],
  wanted: (entry: JournalEntry) => boolean,
  put: (entry: JournalEntry) => Promise<void>,
): Promise<void> {
  for await (const entry of entries) if (wanted(entry)) await put(entry)
}

function filterOf({ actor, subject, kind, since, refused, all }: ShowFlags, nowMilliseconds: number): RecordFilter {
  return {
    ...(actor !== undefined && { actor }),
    ...(subject !== undefined && { subject }),
    ...(kind !== undefined && { kind }),
    ...(since !== undefined && { sinceMilliseconds: parseSince(since, nowMilliseconds) }),
    ...(refused === true && { refused }),
    ...(all === true && { all }),
  }
}

function lines(value: string): number {
  const count = Number(value)
  if (!/^\d{1,7}$/.test(value) || count < 1 || count > MOST_LINES) {
    throw new InvalidArgumentError(`It must be a whole number from 1 to ${MOST_LINES}.`)
  }
  return count
}
