import { readFileSync } from 'node:fs'
import { Command } from 'commander'
import type { CommandContext } from './command-context.js'
import { addAuditCheckpoint } from './commands/audit-checkpoint.js'
import { addAuditExport } from './commands/audit-export.js'
import { addAuditKey } from './commands/audit-key.js'
import { addAuditShip } from './commands/audit-ship.js'
import { addAuditShow } from './commands/audit-show.js'
import { addAuditVerify } from './commands/audit-verify.js'
import { addInspect } from './commands/inspect.js'
import type { Terminal } from './terminal.js'
import { shownText } from './text/shown-text.js'

const EXIT_CODES = `
Exit codes: 0 good, 1 tampered or refused, 2 incomplete, 3 not authenticated,
64 usage, 69 not reachable, 70 a defect, 74 input or output, 130 and 143 interrupted.`

/** The command line: what there is, with help for each. It runs nothing by itself. */
export function createProgram(context: CommandContext): Command {
  const { stdout, stderr } = context.terminal
  const program = new Command('behalf')
    .description('Reads, verifies, exports and ships the audit journal of behalf, and explains tokens.')
    .version(ownVersion(), '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print this help')
    .helpCommand('help [command]', 'print help for a command')
    .exitOverride()
    .configureHelp({ helpWidth: helpWidth(context.terminal) })
    .configureOutput({
      writeOut: (text) => stdout.write(text),
      writeErr: (text) => stderr.write(text),
      outputError: (text, write) => write(`behalf: ${oneLine(text)}; see behalf --help\n`),
    })
    .addHelpText('after', EXIT_CODES)
  addInspect(program, context)
  const audit = program.command('audit').description('Works on an audit journal, a directory that journalSink() writes.')
  addAuditVerify(audit, context)
  addAuditShow(audit, context)
  addAuditExport(audit, context)
  addAuditShip(audit, context)
  addAuditCheckpoint(audit, context)
  addAuditKey(audit, context)
  return program
}

const NARROWEST_HELP = 60
const WIDEST_HELP = 100

function helpWidth({ columns }: Terminal): number {
  return Math.min(WIDEST_HELP, Math.max(NARROWEST_HELP, columns() ?? WIDEST_HELP))
}

/** What the parser says of a mistake, suggestions included, without its own heading. */
function oneLine(text: string): string {
  const line = text.replace(/^error: /, '').replace(/\n+/g, ' ')
  return shownText(line.trim()).replace(/\.$/, '')
}

function ownVersion(): string {
  const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { version: string }
  return version
}
