import { readFile } from 'node:fs/promises'
import { connect as connectSocket } from 'node:net'
import {
  type Authenticator,
  connect,
  credsAuthenticator,
  errors,
  type NatsConnection,
  type NodeConnectionOptions,
  nkeyAuthenticator,
  type TlsOptions,
  tokenAuthenticator,
  usernamePasswordAuthenticator,
} from '@nats-io/transport-node'
import type { ConnectionSettings, NatsCredentials, NatsServer, NatsTlsOptions } from './connection-options.js'
import { NatsError } from './nats-error.js'

/**
 * Connects to one of the servers, tried in an order that is drawn anew each time. The connection never connects again by itself:
 * what it would send from its buffers then, nobody waits for any more.
 * @throws {NatsError} `unreachable`, `tls_failed`, `unauthorized`: of the last server tried
 */
export async function openConnection(settings: ConnectionSettings): Promise<NatsConnection> {
  let failure = new NatsError('unreachable')
  for (const server of shuffled(settings.servers)) {
    try {
      return await connectTo(server, settings.connectTimeoutMilliseconds)
    } catch (error) {
      failure = failureOf(error)
    }
  }
  throw failure
}

async function connectTo(server: NatsServer, timeoutMilliseconds: number): Promise<NatsConnection> {
  const authenticator = server.credentials === null ? null : await authenticatorOf(server.credentials)
  await assertAnswers(server, timeoutMilliseconds)
  const options: NodeConnectionOptions = {
    servers: `${server.host.includes(':') ? `[${server.host}]` : server.host}:${server.port}`,
    name: 'behalf',
    timeout: timeoutMilliseconds,
    reconnect: false,
    ignoreClusterUpdates: true, // a server that is named by another one was not checked
    noAsyncTraces: true, // a stack for every request costs more than the request
    ...(server.tls !== null && { tls: tlsOf(server.tls, server.host) }),
    ...(authenticator !== null && { authenticator }),
  }
  return connect(options)
}

/** With the address for a certificate to name: of servers that are given by an address, the client would check `localhost`. */
function tlsOf(tls: NatsTlsOptions, host: string): TlsOptions {
  return { ...tls, host } as TlsOptions
}

/**
 * Makes sure that somebody speaks at the other end. The client leaves its socket open where a server takes a connection and then
 * says nothing, as a paused one does: each attempt would leave one more.
 */
function assertAnswers({ host, port, tls }: NatsServer, timeoutMilliseconds: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connectSocket({ host, port })
    const timer = setTimeout(failed, timeoutMilliseconds)
    function done(): void {
      clearTimeout(timer)
      socket.destroy()
      resolve()
    }
    function failed(): void {
      clearTimeout(timer)
      socket.destroy()
      reject(new NatsError('unreachable'))
    }
    socket.on('error', failed).on('close', failed)
    if (tls?.handshakeFirst === true) socket.once('connect', done)
    else socket.once('data', done)
  })
}

/** @throws {NatsError} `unauthorized` where the file or the seed cannot be read */
async function authenticatorOf(credentials: NatsCredentials): Promise<Authenticator> {
  try {
    if ('token' in credentials) return tokenAuthenticator(credentials.token)
    if ('user' in credentials) return usernamePasswordAuthenticator(credentials.user, credentials.password)
    if ('nkeySeed' in credentials) return signedOnce(nkeyAuthenticator(new TextEncoder().encode(credentials.nkeySeed)))
    return signedOnce(credsAuthenticator(await readFile(credentials.credentialsFile)))
  } catch {
    throw new NatsError('unauthorized')
  }
}

/** Tried before it is used: in the client, a seed that is none is an error that nobody catches. */
function signedOnce(authenticator: Authenticator): Authenticator {
  authenticator('nonce')
  return authenticator
}

/** What the client's error comes to. Its text is never kept: it can name files, addresses and accounts. */
function failureOf(error: unknown): NatsError {
  if (error instanceof NatsError) return error
  if (error instanceof errors.AuthorizationError || error instanceof errors.UserAuthenticationExpiredError) {
    return new NatsError('unauthorized')
  }
  const { code, message } = (error ?? {}) as { readonly code?: unknown; readonly message?: unknown }
  const tls = /tls|cert|ssl|altname|issuer/i.test(`${String(code)} ${String(message)}`)
  return new NatsError(tls ? 'tls_failed' : 'unreachable')
}

function shuffled<T>(values: readonly T[]): T[] {
  return values
    .map((value) => ({ value, at: Math.random() }))
    .sort((one, other) => one.at - other.at)
    .map(({ value }) => value)
}
