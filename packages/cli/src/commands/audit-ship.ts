import { join } from 'node:path'
import { ShipError, type ShipErrorCode, type ShipProgress, type ShipReport, shipJournal } from '@behalf/journal'
import { type Command, InvalidArgumentError } from 'commander'
import type { CommandContext } from '../command-context.js'
import { CommandError } from '../command-error.js'
import { EXIT, type ExitCode } from '../exit-codes.js'
import { interrupted } from '../interrupted.js'
import { requireDirectory, segmentsOf } from '../journal/open-journal.js'
import { createOutput } from '../output.js'
import { type DestinationFlags, readDestination } from '../ship/destination.js'
import { loadTarget, type TargetFlags } from '../ship/load-target.js'
import { openMetrics } from '../ship/publish-metrics.js'
import type { Terminal } from '../terminal.js'
import { shownText } from '../text/shown-text.js'

interface ShipFlags extends DestinationFlags, TargetFlags {
  readonly once?: boolean
  readonly cursor?: string
  readonly batch?: number
  readonly metrics?: string
}

const HELP = `
Delivers every record at least once, in order, with the same bytes at every attempt; the target
keeps each of them once. How far it went is saved after the target's acknowledgement, in the
cursor's file. While the target is away it waits, longer each time. Without --once it goes on
until SIGINT or SIGTERM, and then ends with 0.

Secrets never belong on the command line. The URL can come from BEHALF_SHIP_TO or --to-file, a
token from BEHALF_SHIP_TOKEN or --token-file; PostgreSQL also knows PGPASSWORD and its password
file.

Exit codes: 0 all that is final was delivered, or it was asked to end; 1 the journal is not the
one that was delivered before; 2 records were removed before their turn, or the journal has no
checkpoints; 69 the target took nothing; 74 input or output.

Examples:
  $ behalf audit ship /var/lib/api/audit --to tls://nats.example.com --credentials-file /etc/api/nats.creds
  $ BEHALF_SHIP_TO=postgres://audit:…@db.example.com/audit behalf audit ship /var/lib/api/audit --once
  $ behalf audit ship /var/lib/api/audit --to https://log.example.com/audit --token-file /run/token --metrics 9464`

export function addAuditShip(audit: Command, context: CommandContext): void {
  audit
    .command('ship')
    .description('Delivers the journal to another log, and keeps on doing so.')
    .argument('<dir>', "the journal's directory")
    .option('--to <url>', 'nats://, tls://, postgres:// or https://, without a secret in it')
    .option('--to-file <file>', 'a file that holds the URL')
    .option('--once', 'deliver what is there, and end')
    .option('--cursor <file>', "where to keep how far it went (default: one for each target, in the journal's directory)")
    .option('--subject <subject>', 'first tokens of the subjects (nats; default behalf.audit)')
    .option('--table <name>', 'the table (postgres; default behalf_audit)')
    .option('--migrate', 'make the table, or bring it to this version, first (postgres)')
    .option('--token-file <file>', 'a file that holds the token (https, nats)')
    .option('--credentials-file <file>', 'a creds file (nats)')
    .option('--ca <file>', "PEM of the authority that signed the server's certificate (nats, postgres)")
    .option('--batch <records>', 'most records that are delivered together', records, 500)
    .option('--metrics <port-or-file>', 'metrics for Prometheus: a port on loopback, or a file')
    .addHelpText('after', HELP)
    .action((directory: string, flags: ShipFlags) => ship(directory, flags, context))
}

async function ship(directory: string, flags: ShipFlags, { terminal, exit }: CommandContext): Promise<void> {
  const { env, signal } = terminal
  const destination = await readDestination(flags, env)
  await (flags.once === true ? segmentsOf(directory) : requireDirectory(directory)) // a journal can come later, where somebody waits
  const target = await loadTarget(destination, flags, env)
  const metrics = await openMetrics(flags.metrics)
  const teller = createTeller(terminal)
  let acknowledgedAt: number | null = null
  try {
    const report = await shipJournal({
      directory,
      target,
      cursorFile: flags.cursor ?? join(directory, `cursor-${destination.name}.json`),
      once: flags.once === true,
      signal,
      batchRecords: flags.batch ?? 500,
      now: terminal.now,
      onProgress(progress) {
        if (progress.error === null) acknowledgedAt = terminal.now()
        teller.tell(progress)
        metrics.publish({ progress, acknowledgedAt })
      },
    })
    await tellEnd(report, terminal)
    exit(exitCodeOf(report, flags.once === true, signal))
  } catch (error) {
    throw error instanceof ShipError ? explained(error) : error
  } finally {
    await target.close?.()
    await metrics.close()
  }
}

/** Says when the target goes away, and when it is back; not every attempt. */
function createTeller({ stderr }: Pick<Terminal, 'stderr'>): { tell(progress: ShipProgress): void } {
  let away = false
  return {
    tell({ error, recordsBehind }) {
      const failed = error !== null
      if (failed && !away)
        stderr.write(`behalf: not delivered, trying again: ${reasonText(error)} (${recordsBehind} records wait)\n`)
      if (!failed && away) stderr.write('behalf: delivering again\n')
      away = failed
    },
  }
}

/** Errors of our own targets have fixed texts. Whatever others say is not told: it may hold a secret. */
const TOLD: ReadonlySet<string> = new Set(['NatsError', 'PostgresError', 'HttpsTargetError'])

function reasonText(error: unknown): string {
  if (error instanceof Error && TOLD.has(error.name)) return shownText(error.message)
  const { code } = (error ?? {}) as NodeJS.ErrnoException
  return typeof code === 'string' && /^[A-Z][A-Z0-9_]{1,40}$/.test(code) ? code : 'an error that is not told here'
}

async function tellEnd({ delivered, held, removed }: ShipReport, { stdout, stderr }: Terminal): Promise<void> {
  const output = createOutput(stdout)
  await output.line(`delivered ${delivered} records${held > 0 ? `; ${held} are not final yet` : ''}`)
  await output.flush()
  if (removed > 0)
    stderr.write(`behalf: ${removed} records were removed from the journal before their turn: the target lacks them\n`)
}

function exitCodeOf({ removed }: ShipReport, once: boolean, signal: AbortSignal): ExitCode {
  if (signal.aborted && once) return interrupted(signal)
  return removed > 0 ? EXIT.incomplete : EXIT.good
}

const ENDS: Readonly<Record<ShipErrorCode, readonly [code: ExitCode, mend: string]>> = {
  cursor_unreadable: [EXIT.io, 'look at the file, or name another one with --cursor'],
  cursor_mismatch: [EXIT.refused, "run 'behalf audit verify'; for another journal, name another --cursor"],
  cursor_unsaved: [EXIT.io, 'make room, or name a --cursor that can be written'],
  journal_rewritten: [EXIT.refused, "run 'behalf audit verify'"],
  checkpoint_missing: [EXIT.incomplete, "run 'behalf audit verify'"],
  target_failed: [EXIT.unavailable, 'look at the target; the next run goes on where this one ended'],
}

function explained({ code, message, cause }: ShipError): CommandError {
  const [exitCode, mend] = ENDS[code]
  const why = code === 'target_failed' ? ` (${reasonText(cause)})` : ''
  return new CommandError(`${message}${why}: ${mend}`, exitCode)
}

function records(value: string): number {
  const count = Number(value)
  if (!/^\d{1,5}$/.test(value) || count < 1 || count > 10_000)
    throw new InvalidArgumentError('It must be a whole number from 1 to 10000.')
  return count
}
