import { readFileSync } from 'node:fs'
import { isIPv4 } from 'node:net'
import { ConfigError } from '@behalf/core'
import { membersOf } from '@behalf/core/sink-kit'
import pg from 'pg'
import type { PostgresPool } from './pool.js'

/** Certificates, each in PEM. What is verified cannot be changed. */
export interface PostgresTls {
  /** The authorities that may sign the server's certificate. Default: those of Node. */
  readonly ca?: string
  /** Our own certificate, where the server asks for one. With `key`. */
  readonly cert?: string
  /** The private key of `cert`. */
  readonly key?: string
}

/** A pool, and how it is ended. */
export interface OpenPool {
  readonly pool: PostgresPool
  readonly endPool: () => Promise<void>
}

/** Parameters of a URL that name certificates, and what is in the files. */
const TLS_FILES = new Map<string, keyof PostgresTls>([
  ['sslrootcert', 'ca'],
  ['sslcert', 'cert'],
  ['sslkey', 'key'],
])

/**
 * A pool of one connection, since batches come one after another. It connects when it is first needed.
 * @throws {ConfigError} where the connection string is none, or where records would go over the network to a server that is not
 * verified. No message holds a part of the string.
 */
export function openPool(
  connectionString: string,
  tls: PostgresTls | undefined,
  connectTimeoutMilliseconds: number,
  where: string,
): OpenPool {
  const { address, parameters } = partsOf(connectionString, `${where}.connectionString`)
  const pool = new pg.Pool({
    connectionString: address,
    ssl: tlsOf(isLocal(hostOf(address)), parameters, tls, where),
    max: 1,
    connectionTimeoutMillis: connectTimeoutMilliseconds,
    idleTimeoutMillis: 0, // a quiet hour must not cost the next call a connection
    keepAlive: true,
    allowExitOnIdle: true,
    fallback_application_name: 'behalf',
  })
  return { pool, endPool: () => pool.end() }
}

/** A connection string without what it says of TLS, and what it says of it: that is read here, and `pg` never sees it. */
interface Parts {
  readonly address: string
  readonly parameters: ReadonlyMap<string, string>
}

function partsOf(connectionString: string, where: string): Parts {
  const noAddress = new ConfigError(
    `${where} must be a URL such as postgres://user@host:5432/database, with special characters in it percent-encoded`,
  )
  if (typeof connectionString !== 'string' || !/^postgres(ql)?:\/\//.test(connectionString)) throw noAddress
  const [start = '', ...query] = connectionString.split('?')
  const all = [...new URLSearchParams(query.join('?'))]
  const ofTls = all.filter(([name]) => /^(ssl|uselibpqcompat)/i.test(name))
  const others = new URLSearchParams(all.filter((parameter) => !ofTls.includes(parameter))).toString()
  const address = others === '' ? start : `${start}?${others}`
  if (new Map(ofTls).size < ofTls.length) throw new ConfigError(`${where} says something about TLS twice`)
  try {
    hostOf(address)
  } catch {
    throw noAddress // the library's own error can hold the password
  }
  return { address, parameters: new Map(ofTls) }
}

/** Where `pg` will connect to; that can also follow from `?host=` or `PGHOST`. */
function hostOf(address: string): string {
  return new pg.Client({ connectionString: address, ssl: false }).host
}

/** Whether what is sent stays on this machine: a unix socket, or an address that is loopback however it is looked up. */
function isLocal(host: string): boolean {
  return host.startsWith('/') || host === 'localhost' || host === '::1' || (isIPv4(host) && host.startsWith('127.'))
}

/** How the server is verified; `false`: no TLS, on this machine alone. */
function tlsOf(local: boolean, parameters: ReadonlyMap<string, string>, tls: PostgresTls | undefined, where: string) {
  const modes = local ? ['verify-full', 'disable'] : ['verify-full']
  for (const [name, value] of parameters) {
    if (TLS_FILES.has(name) || (name === 'sslmode' && modes.includes(value))) continue
    throw new ConfigError(
      `${where}.connectionString must say no more about TLS than sslmode=${modes.join(' or ')}, sslrootcert, sslcert and sslkey: ` +
        'over the network the server is always verified. Leave the rest out; name the authority of a private certificate with ' +
        'sslrootcert, or with the option tls',
    )
  }
  const certificates = certificatesOf(parameters, tls, where)
  const mode = parameters.get('sslmode') ?? (local && certificates === undefined ? 'disable' : 'verify-full')
  if (mode === 'verify-full') return { ...certificates, rejectUnauthorized: true }
  if (certificates !== undefined) throw new ConfigError(`${where} has certificates for TLS, and sslmode=disable: leave one out`)
  return false
}

/** From the URL or from the option; `undefined`: neither has any. */
function certificatesOf(
  parameters: ReadonlyMap<string, string>,
  tls: PostgresTls | undefined,
  where: string,
): PostgresTls | undefined {
  const files = [...TLS_FILES].filter(([parameter]) => parameters.has(parameter))
  if (files.length > 0 && tls !== undefined) {
    throw new ConfigError(`${where}.tls and the URL both name certificates: leave one out`)
  }
  const read = ([parameter, name]: [string, keyof PostgresTls]) => [
    name,
    textOf(parameters.get(parameter) ?? '', parameter, where),
  ]
  const certificates: PostgresTls | undefined = files.length === 0 ? tls : Object.fromEntries(files.map(read))
  if (certificates !== undefined) assertTls(certificates, `${where}.tls`)
  return certificates
}

/** What a file holds. It is read once, when the pool is made. */
function textOf(path: string, parameter: string, where: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    throw new ConfigError(`${where}.connectionString names a file as ${parameter} that cannot be read`)
  }
}

function assertTls(tls: PostgresTls, where: string): void {
  for (const [name, pem] of Object.entries(membersOf(tls, where, ['ca', 'cert', 'key']))) {
    if (typeof pem !== 'string' || !pem.includes('-----BEGIN ')) throw new ConfigError(`${where}.${name} must be a text in PEM`)
  }
  if ((tls.cert === undefined) !== (tls.key === undefined)) {
    throw new ConfigError(`${where} needs both cert and key, or neither`)
  }
}
