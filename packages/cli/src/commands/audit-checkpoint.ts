import { parseCheckpoint, parseNote } from '@behalf/journal'
import type { Command } from 'commander'
import type { CommandContext } from '../command-context.js'
import { CommandError } from '../command-error.js'
import { EXIT } from '../exit-codes.js'
import { openJournal, segmentsOf } from '../journal/open-journal.js'
import { createOutput } from '../output.js'
import { shownText } from '../text/shown-text.js'

const HELP = `
Keep what it prints where nobody who can change the journal can change it: another machine, a
mailbox, paper. 'behalf audit verify --checkpoint' then shows whether anything before it was
changed or cut off. The signature is not checked here.

Exit codes: 0 printed; 1 what stands there is no checkpoint; 2 there is none yet; 74 the journal
cannot be read.

Example:
  $ behalf audit checkpoint /var/lib/api/audit | ssh vault "cat > audit-$(date +%F).checkpoint"`

export function addAuditCheckpoint(audit: Command, context: CommandContext): void {
  audit
    .command('checkpoint')
    .description("Prints the journal's last checkpoint, to be kept elsewhere.")
    .argument('<dir>', "the journal's directory")
    .addHelpText('after', HELP)
    .action((directory: string) => checkpoint(directory, context))
}

async function checkpoint(directory: string, { terminal, exit }: CommandContext): Promise<void> {
  const note = await lastCheckpoint(directory, terminal.signal)
  terminal.signal.throwIfAborted()
  if (note === null) {
    terminal.stderr.write('behalf: the journal has no checkpoint yet\n')
    exit(EXIT.incomplete)
    return
  }
  const parsed = parseNote(note)
  if (parsed === null || parseCheckpoint(parsed.text) === null) {
    throw new CommandError(`what stands as the last checkpoint is none: run 'behalf audit verify ${directory}'`, EXIT.refused)
  }
  const output = createOutput(terminal.stdout)
  for (const line of note.replace(/\n$/, '').split('\n')) await output.line(terminal.isTTY.stdout ? shownText(line) : line)
  await output.flush()
}

/** Reads the last segments only: nearly always the last one has a checkpoint. */
async function lastCheckpoint(directory: string, signal: AbortSignal): Promise<string | null> {
  for (const fromSequence of [...(await segmentsOf(directory))].reverse()) {
    let found: string | null = null
    for await (const { record } of openJournal(directory, { fromSequence, signal })) {
      if (record.kind === 'checkpoint' && typeof record.body === 'string') found = record.body
    }
    if (found !== null || signal.aborted) return found
  }
  return null
}
