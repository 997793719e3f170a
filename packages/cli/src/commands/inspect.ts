import { inspectToken } from '@behalf/core/inspect'
import { type Command, InvalidArgumentError, Option } from 'commander'
import type { CommandContext } from '../command-context.js'
import { CommandError } from '../command-error.js'
import { reportAsJson, reportOf } from '../inspect/inspection-report.js'
import { type IssuerFlags, PRESETS, readIssuerFlags } from '../inspect/named-issuer.js'
import { proveToken } from '../inspect/prove-token.js'
import { readToken } from '../inspect/read-token.js'
import { reportAsText } from '../inspect/report-as-text.js'
import { unreadToken } from '../inspect/unread-token.js'
import { createOutput } from '../output.js'
import { createStyle } from '../text/style.js'

interface InspectFlags extends IssuerFlags {
  readonly clockTolerance: number
  readonly json?: boolean
}

const HELP = `
The token is read from standard input, never from the command line. It is shown as claims, never
whole. Without --jwks, --issuer, --organization or --project-id nothing is proved and nothing
fetched. Keys are fetched only from there: what a token says of its own keys (iss, jku, x5u,
jwk) is never followed.

Exit codes: 0 verified; 1 it would be refused; 3 no reason to refuse it was found, but it is not
verified; 69 the keys cannot be read.

Examples:
  $ behalf inspect < token.txt
  $ pbpaste | behalf inspect --preset curity --act-as
  $ behalf inspect --issuer https://as.example.com --audience https://api.example.com < token.txt
  $ behalf inspect --jwks keys.json --issuer https://as.example.com --audience https://api.example.com --json < token.txt`

export function addInspect(program: Command, context: CommandContext): void {
  program
    .command('inspect')
    .description('Says what a token says: who calls, on whose behalf, and why it would be refused.')
    .addOption(new Option('--preset <name>', 'how the issuer writes delegation').choices(PRESETS).default('oauth'))
    .option('--issuer <url>', 'the issuer that is trusted; its keys are discovered there unless --jwks is given')
    .option('--audience <name>', "this API's name at the issuer; can be given several times", collect)
    .option('--no-audience', 'tokens have no audience at all')
    .option('--client-id <id>', 'an accepted client; can be given several times', collect)
    .option('--organization <name>', 'organization at Asgardeo (--preset asgardeo)')
    .option('--project-id <id>', 'project at Descope (--preset descope)')
    .option('--act-as', 'read act_as too (--preset curity)')
    .option('--jwks <file-or-url>', 'the keys: a JWK set in a file, or its https URL')
    .option('--options <file>', 'more issuer options as a JSON object; --preset custom needs them')
    .option('--offline', 'fetch nothing, and so prove nothing')
    .option('--clock-tolerance <seconds>', 'how far clocks may differ, 0 to 300', seconds, 5)
    .option('--json', 'print one JSON object')
    .addHelpText('after', HELP)
    .allowExcessArguments()
    .action(async (flags: InspectFlags, command: Command) => {
      if (command.args.length > 0) {
        throw new CommandError("inspect takes no arguments: pipe the token in, as in 'behalf inspect < token.txt'")
      }
      await inspect(flags, context)
    })
}

async function inspect(flags: InspectFlags, { terminal, exit }: CommandContext): Promise<void> {
  const issuer = await readIssuerFlags(flags)
  const token = await readToken(terminal)
  const now = terminal.now()
  const times = { nowMilliseconds: now, clockToleranceSeconds: flags.clockTolerance }
  const inspection = inspectToken(token, ({ unverifiedClaims }) => issuer.optionsFor(unverifiedClaims), times)
  const { unverifiedClaims } = inspection
  const options = issuer.optionsFor(unverifiedClaims ?? {}) // also where the token could not be read: mistakes in the flags are told
  const proof =
    issuer.hasKeys && unverifiedClaims !== null ? await proveToken(token, options, () => now, flags.clockTolerance) : null
  const unread = unverifiedClaims === null ? unreadToken(token) : null
  const report = reportOf(inspection, proof, issuer.notCompared, unread?.mayBeTaken ?? false)

  const output = createOutput(terminal.stdout)
  const style = createStyle(terminal, 'stdout')
  const lines =
    flags.json === true
      ? [reportAsJson(report)]
      : [...reportAsText(report, now, style), ...(unread === null ? [] : ['', `Hint: ${unread.hint}.`])]
  for (const line of lines) await output.line(line)
  await output.flush()
  exit(report.exitCode)
}

function collect(value: string, before: readonly string[] | undefined): readonly string[] {
  return [...(before ?? []), value]
}

function seconds(value: string): number {
  if (!/^\d{1,3}$/.test(value) || Number(value) > 300) throw new InvalidArgumentError('It must be a whole number from 0 to 300.')
  return Number(value)
}
