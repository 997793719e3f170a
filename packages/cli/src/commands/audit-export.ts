import { randomUUID } from 'node:crypto'
import { createWriteStream } from 'node:fs'
import { link, lstat, open, rm } from 'node:fs/promises'
import type { Writable } from 'node:stream'
import { finished } from 'node:stream/promises'
import type { AuditEvent } from '@behalf/core'
import type { JournalRecord } from '@behalf/journal'
import { type Command, Option } from 'commander'
import type { CommandContext } from '../command-context.js'
import { ioError } from '../command-error.js'
import { createExport, EXPORT_FORMATS, type ExportSettings } from '../journal/export-formats.js'
import { isWanted, type RecordFilter } from '../journal/filter.js'
import { mappedEvents } from '../journal/mapped-events.js'
import { openJournal, segmentsOf } from '../journal/open-journal.js'
import { createOutput, type Output } from '../output.js'
import type { Terminal } from '../terminal.js'
import { escapeJson } from '../text/escape-text.js'
import { parseSince } from '../text/parse-since.js'
import { shownText } from '../text/shown-text.js'

interface ExportFlags {
  readonly format: ExportSettings['format']
  readonly since?: string
  readonly out?: string
  readonly source?: string
  readonly service?: string
}

const HELP = `
Writes the journal's events in another schema: one JSON object a line, or CSV with a header.
What the journal says of itself has no place there; records of lost or summed-up events are
counted on standard error. Nothing is verified here.

Examples:
  $ behalf audit export /var/lib/api/audit --format ecs --since 1d | filebeat -e
  $ behalf audit export /var/lib/api/audit --format csv --out audit.csv
  $ behalf audit export /var/lib/api/audit --format cloudevents --source urn:example:orders`

export function addAuditExport(audit: Command, context: CommandContext): void {
  audit
    .command('export')
    .description('Writes the events in another schema.')
    .argument('<dir>', "the journal's directory")
    .addOption(new Option('--format <name>', 'the schema').choices(EXPORT_FORMATS).makeOptionMandatory())
    .option('--since <time>', 'only since an age (90s, 30m, 2h, 3d, 1w) or an RFC 3339 time')
    .option('--out <file>', 'where to; it must not be there yet')
    .option('--source <uri>', "CloudEvents' source (default: the journal's name)")
    .option('--service <name>', 'name of the API, for ocsf and otlp-json')
    .addHelpText('after', HELP)
    .action((directory: string, flags: ExportFlags) => exportEvents(directory, flags, context))
}

async function exportEvents(directory: string, flags: ExportFlags, { terminal }: CommandContext): Promise<void> {
  const filter: RecordFilter = flags.since === undefined ? {} : { sinceMilliseconds: parseSince(flags.since, terminal.now()) }
  await segmentsOf(directory)
  const losses =
    flags.out === undefined
      ? await toStdout(directory, flags, filter, terminal)
      : await toFile(directory, flags, flags.out, filter, terminal)
  if (losses.size > 0)
    terminal.stderr.write(`behalf: left out, since ${flags.format} has no place for them: ${lossText(losses)}\n`)
}

async function toStdout(directory: string, flags: ExportFlags, filter: RecordFilter, terminal: Terminal): Promise<Losses> {
  return writeAll(directory, flags, filter, createOutput(terminal.stdout), terminal.isTTY.stdout, terminal.signal)
}

/** A file that is whole, or none. */
async function toFile(
  directory: string,
  flags: ExportFlags,
  path: string,
  filter: RecordFilter,
  terminal: Terminal,
): Promise<Losses> {
  const unfinished = `${path}.${randomUUID()}.unfinished`
  await assertFree(path)
  const stream = await createNew(unfinished)
  try {
    const losses = await writeAll(directory, flags, filter, createOutput(stream), false, terminal.signal)
    await finished(stream.end())
    await link(unfinished, path) // whole, or not there; and never over another file
    return losses
  } catch (error) {
    stream.destroy()
    throw ioError(error, 'write the export to') ?? error
  } finally {
    await rm(unfinished, { force: true })
  }
}

/** That it is there already should be told before the work, not after it. */
async function assertFree(path: string): Promise<void> {
  const there = await lstat(path).then(
    () => true,
    () => false,
  )
  if (there)
    throw (
      ioError(Object.assign(new Error(), { code: 'EEXIST', syscall: 'open', path }), 'write the export to') ??
      new Error('it is there')
    )
}

async function createNew(path: string): Promise<Writable> {
  try {
    const handle = await open(path, 'wx', 0o600)
    return createWriteStream(path, { fd: handle })
  } catch (error) {
    throw ioError(error, 'write the export to') ?? error
  }
}

/** Records that count events which are no events here, by kind. */
type Losses = Map<JournalRecord['kind'], number>

async function writeAll(
  directory: string,
  { format, source, service }: ExportFlags,
  filter: RecordFilter,
  output: Output,
  tty: boolean,
  ending: AbortSignal,
): Promise<Losses> {
  const exporting = createExport({ format, source: source ?? null, service: service ?? null })
  const shown = format !== 'csv' ? escapeJson : tty ? shownText : (text: string) => text
  const put = async (lines: readonly string[]) => {
    for (const line of lines) await output.line(shown(line))
  }
  const losses: Losses = new Map()
  let last = 0
  try {
    await put(exporting.begin())
    for await (const { record } of openJournal(directory, { signal: AbortSignal.any([ending, output.gone]) })) {
      last = record.seq
      if (record.kind === 'event') {
        if (isWanted(record, filter))
          await put(mappedEvents(record.seq, () => exporting.add(record.body as unknown as AuditEvent)))
        continue
      }
      exporting.pass(record)
      if ((record.kind === 'gap' || record.kind === 'refusals') && isWanted(record, filter)) {
        losses.set(record.kind, (losses.get(record.kind) ?? 0) + 1)
      }
    }
    ending.throwIfAborted()
    await put(mappedEvents(last, exporting.end))
  } finally {
    await output.flush() // what came before a record that cannot be read
  }
  return losses
}

function lossText(losses: Losses): string {
  return [...losses].map(([kind, count]) => `${count} record${count === 1 ? '' : 's'} of kind ${kind}`).join(', ')
}
