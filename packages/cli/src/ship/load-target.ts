import { readFile } from 'node:fs/promises'
import type { DeliveryTarget } from '@behalf/core'
import { httpsTarget } from '@behalf/journal'
import { CommandError } from '../command-error.js'
import { EXIT } from '../exit-codes.js'
import { readTextFile } from '../read-text-file.js'
import type { Destination } from './destination.js'

/** How to get in there. */
export interface TargetFlags {
  readonly subject?: string
  readonly table?: string
  /** A file with a bearer token (https) or a token (nats); read again at every delivery over https. */
  readonly tokenFile?: string
  /** A creds file of NATS. */
  readonly credentialsFile?: string
  /** PEM of the authority that signed the server's certificate. */
  readonly ca?: string
  /** Make the table first. */
  readonly migrate?: boolean
}

/** Holds a token, where there is no file. */
const TOKEN_VARIABLE = 'BEHALF_SHIP_TOKEN'

type Env = Readonly<Record<string, string | undefined>>

/** Imports a package of its own that need not be installed. */
export type ImportPackage = <T>(name: string, load: () => Promise<T>) => Promise<T>

/**
 * The target of a destination. Connects to nothing yet, unless a table is to be made.
 * @throws {CommandError} that names the mend; {ConfigError} for a URL that the target refuses
 */
export async function loadTarget(
  destination: Destination,
  flags: TargetFlags,
  env: Env,
  importPackage: ImportPackage = importInstalled,
): Promise<DeliveryTarget> {
  refuseStrayFlags(destination, flags)
  switch (destination.scheme) {
    case 'nats':
      return loadNats(destination, flags, env, importPackage)
    case 'postgres':
      return loadPostgres(destination, flags, importPackage)
    case 'https':
      return loadHttps(destination, flags, env)
  }
}

const GOES_WITH: Readonly<Record<string, readonly Destination['scheme'][]>> = {
  tokenFile: ['nats', 'https'],
  credentialsFile: ['nats'],
  ca: ['nats', 'postgres'],
  migrate: ['postgres'],
}

function refuseStrayFlags({ scheme }: Destination, flags: TargetFlags): void {
  for (const [flag, schemes] of Object.entries(GOES_WITH)) {
    if (flags[flag as keyof TargetFlags] === undefined || schemes.includes(scheme)) continue
    const name = flag.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)
    throw new CommandError(`--${name} goes with ${schemes.map((each) => `${each}://`).join(' and ')}`)
  }
}

async function loadNats(
  { url }: Destination,
  flags: TargetFlags,
  env: Env,
  importPackage: ImportPackage,
): Promise<DeliveryTarget> {
  const { natsTarget } = await importPackage('@behalf/nats', () => import('@behalf/nats'))
  const { subject, credentialsFile, ca } = flags
  const token = credentialsFile === undefined ? await readSecret(flags.tokenFile, env) : null
  if (credentialsFile !== undefined && flags.tokenFile !== undefined) {
    throw new CommandError('--credentials-file and --token-file say the same: leave one out')
  }
  return natsTarget({
    asksForGaps: true,
    servers: url,
    ...(subject !== undefined && { subject }),
    ...(credentialsFile !== undefined && { credentials: { credentialsFile } }),
    ...(token !== null && { credentials: { token } }),
    ...(ca !== undefined && { tls: { caFile: ca } }),
  })
}

async function loadPostgres({ url }: Destination, flags: TargetFlags, importPackage: ImportPackage): Promise<DeliveryTarget> {
  const { migrate, PostgresError, postgresTarget } = await importPackage('@behalf/postgres', () => import('@behalf/postgres'))
  const options = {
    connectionString: url,
    ...(flags.table !== undefined && { table: flags.table }),
    ...(flags.ca !== undefined && { tls: { ca: await readTextFile(flags.ca, 'the authority') } }),
  }
  if (flags.migrate === true) {
    await migrate(options).catch((error: unknown) => {
      throw error instanceof PostgresError ? new CommandError(error.message, EXIT.unavailable) : error
    })
  }
  return postgresTarget(options)
}

async function loadHttps({ url }: Destination, { tokenFile }: TargetFlags, env: Env): Promise<DeliveryTarget> {
  const first = await readSecret(tokenFile, env) // a file that is not there is a mistake of now, not of the first delivery
  if (first === null) return httpsTarget({ url })
  return httpsTarget({ url, token: tokenFile === undefined ? first : async () => (await readFile(tokenFile, 'utf8')).trim() })
}

async function readSecret(file: string | undefined, env: Env): Promise<string | null> {
  const secret = file === undefined ? (env[TOKEN_VARIABLE] ?? '') : (await readTextFile(file, 'the token')).trim()
  if (file !== undefined && secret === '') throw new CommandError(`--token-file: ${file} is empty`)
  return secret === '' ? null : secret
}

/** Imports a package; one that is missing is an error that names the mend. */
export async function importInstalled<T>(name: string, load: () => Promise<T>): Promise<T> {
  try {
    return await load()
  } catch (error) {
    const { code, message = '' } = (error ?? {}) as NodeJS.ErrnoException
    if (code !== 'ERR_MODULE_NOT_FOUND' || !message.includes(name)) throw error
    throw new CommandError(`this target needs a package that is not installed: npm install ${name}`)
  }
}
