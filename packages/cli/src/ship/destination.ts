import { hash } from 'node:crypto'
import { parseUrl } from '@behalf/core/sink-kit'
import { CommandError } from '../command-error.js'
import { readTextFile } from '../read-text-file.js'

/** Where records are shipped to. */
export interface Destination {
  readonly scheme: 'nats' | 'postgres' | 'https'
  /** May hold a secret, unless it came from the command line. */
  readonly url: string
  /** Names the place without any secret: two places have two names. */
  readonly name: string
}

/** Flags and variables that say where to. */
export interface DestinationFlags {
  readonly to?: string
  readonly toFile?: string
  readonly subject?: string
  readonly table?: string
}

/** Holds the URL where it has a secret in it: process lists do not show a program's environment to others. */
const TO_VARIABLE = 'BEHALF_SHIP_TO'

const SCHEMES: Readonly<Record<string, Destination['scheme']>> = {
  'nats:': 'nats',
  'tls:': 'nats',
  'postgres:': 'postgres',
  'postgresql:': 'postgres',
  'https:': 'https',
  'http:': 'https',
}

/**
 * Finds out where to, from exactly one place: the command line, a file or the environment.
 * @throws {CommandError} whose text holds nothing of the URL
 */
export async function readDestination(
  flags: DestinationFlags,
  env: Readonly<Record<string, string | undefined>>,
): Promise<Destination> {
  const variable = env[TO_VARIABLE] || undefined
  const given = [flags.to, flags.toFile].filter((each) => each !== undefined)
  if (given.length > 1) throw new CommandError('--to and --to-file say the same: leave one out')
  if (flags.to !== undefined) return destinationOf(withoutSecret(flags.to), '--to', flags)
  if (flags.toFile !== undefined) return destinationOf((await readTextFile(flags.toFile, 'the URL')).trim(), '--to-file', flags)
  if (variable !== undefined) return destinationOf(variable, TO_VARIABLE, flags)
  throw new CommandError(`say where to: --to nats://…, postgres://… or https://…, or ${TO_VARIABLE} where the URL holds a secret`)
}

/** A password on the command line is on everybody's screen, in histories and in logs of what was started: it is spent. */
function withoutSecret(text: string): string {
  const url = parsed(text)
  if (url === null) return text
  const isNats = SCHEMES[url.protocol] === 'nats'
  const hasSecret = url.password !== '' || (isNats && url.username !== '') || url.searchParams.has('password')
  if (hasSecret) {
    throw new CommandError(
      `--to holds a password or token, which process lists show: put the URL into ${TO_VARIABLE} or a file for --to-file, and change the secret`,
    )
  }
  return text
}

function destinationOf(url: string, where: string, { subject, table }: DestinationFlags): Destination {
  const place = parsed(url)
  const scheme = place === null ? undefined : SCHEMES[place.protocol]
  if (place === null || scheme === undefined) {
    throw new CommandError(`${where} must be a URL of nats://, tls://, postgres:// or https://`)
  }
  if (subject !== undefined && scheme !== 'nats') throw new CommandError('--subject goes with nats://')
  if (table !== undefined && scheme !== 'postgres') throw new CommandError('--table goes with postgres://')
  // Of a database's query only the host says where it is; of an HTTPS endpoint's all of it may.
  const query = scheme === 'https' ? place.search : (place.searchParams.get('host') ?? '')
  const identity = [scheme, place.host, place.pathname, subject ?? '', table ?? '', query].join('\n')
  return { scheme, url, name: `${scheme}-${hash('sha256', identity, 'hex').slice(0, 12)}` }
}

function parsed(text: string): URL | null {
  return parseUrl(text)
}
