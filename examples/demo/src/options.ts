import { parseArgs } from 'node:util'

export const USAGE = `Usage: npm run demo [-- options]

Starts a test issuer, an Express API and a Koa API under the same rules, prints curl lines to
paste, and shows the audit events while it runs. Ctrl-C ends it.

  --port-base N   issuer on port N, Express on N + 1, Koa on N + 2 (default 4000)
  --check         make the calls itself, on free ports, against both APIs; exit 1 if anything
                  differs from what is expected
  --help          show this
`

const DEFAULT_PORT_BASE = 4000
const HIGHEST_PORT_BASE = 65_535 - 2

/** What the command line asks for. */
export interface Options {
  readonly help: boolean
  readonly check: boolean
  readonly portBase: number
}

/** A mistake in the command line; its message is for the person who typed it. */
export class UsageError extends Error {}

/** @throws {UsageError} */
export function readOptions(args: readonly string[]): Options {
  const { help, check, ...values } = parse(args)
  return { help, check, portBase: portBaseOf(values['port-base']) }
}

function parse(args: readonly string[]): { help: boolean; check: boolean; 'port-base'?: string } {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        help: { type: 'boolean', short: 'h', default: false },
        check: { type: 'boolean', default: false },
        'port-base': { type: 'string' },
      },
    })
    return values
  } catch (error) {
    const [sentence = ''] = String(error instanceof Error ? error.message : error).split('\n')
    throw new UsageError(sentence.replace(/\.$/, ''))
  }
}

function portBaseOf(text: string | undefined): number {
  if (text === undefined) return DEFAULT_PORT_BASE
  const port = /^\d{1,5}$/.test(text) ? Number(text) : 0
  if (port < 1 || port > HIGHEST_PORT_BASE) {
    throw new UsageError(`--port-base must be a number from 1 to ${HIGHEST_PORT_BASE}`)
  }
  return port
}
